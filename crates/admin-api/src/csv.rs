//! Cells of tables (RFC 4180), for people who open them in a spreadsheet.

use std::borrow::Cow;

/// The characters with which a spreadsheet lets a formula begin.
const BEGIN_FORMULA: [char; 7] = ['=', '+', '-', '@', '\t', '\r', '\n'];

/// Returns a cell with a text that people may have chosen. A text that begins like a formula gets an apostrophe in front, so that
/// a spreadsheet takes it for a text.
pub(crate) fn cell(text: &str) -> String {
    let is_formula = text.starts_with(BEGIN_FORMULA);
    quoted(if is_formula { Cow::Owned(format!("'{text}")) } else { Cow::Borrowed(text) })
}

/// Returns a cell with a user id. It begins with `@`, and stays as it is for programs, since no formula that does anything can be
/// written with the characters of user ids; only one with others, which old accounts may have, is treated as any text.
pub(crate) fn user_id(text: &str) -> String {
    let is_plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "@._=-/+:[]".contains(c);
    if text.chars().all(is_plain) { quoted(Cow::Borrowed(text)) } else { cell(text) }
}

/// Returns a text in quotation marks, if it needs them.
fn quoted(text: Cow<'_, str>) -> String {
    if text.contains(['"', ',', '\r', '\n']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text.into_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_cell_is_a_formula() {
        for (text, expected) in [
            ("", ""),
            ("Ann", "Ann"),
            ("a=b", "a=b"),
            ("Ann, \"the\" first", "\"Ann, \"\"the\"\" first\""),
            ("=1+1", "'=1+1"),
            ("=HYPERLINK(\"http://x\",\"y\")", "\"'=HYPERLINK(\"\"http://x\"\",\"\"y\"\")\""),
            ("+49", "'+49"),
            ("-1", "'-1"),
            ("@SUM(A1)", "'@SUM(A1)"),
            ("\t=1", "'\t=1"),
            ("\r=1", "\"'\r=1\""),
        ] {
            assert_eq!(cell(text), expected);
        }
        assert_eq!(user_id("@ann-1.b=c/d+e:example.org:8448"), "@ann-1.b=c/d+e:example.org:8448");
        assert_eq!(user_id("@SUM(1+1):example.org"), "'@SUM(1+1):example.org");
    }
}
