//! The grammar of filters and of paths in PATCH, within bounds of length, depth and number of terms.
//! <https://www.rfc-editor.org/rfc/rfc7644#section-3.4.2.2>

use reeve_app::MatrixError;
use serde_json::Value;

use crate::error::{invalid_filter, invalid_path};

/// The maximum length of a filter, in bytes.
const MAX_LENGTH: usize = 4096;
/// The maximum depth of brackets.
const MAX_DEPTH: usize = 16;
/// The maximum number of comparisons.
const MAX_TERMS: usize = 64;

/// A comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operator {
    Eq,
    Ne,
    Co,
    Sw,
    Ew,
    Gt,
    Ge,
    Lt,
    Le,
}

impl Operator {
    /// Returns true if only a text that contains the other one compares so.
    pub(crate) const fn needs_substring(self) -> bool {
        match self {
            Self::Eq | Self::Co | Self::Sw | Self::Ew => true,
            Self::Ne | Self::Gt | Self::Ge | Self::Lt | Self::Le => false,
        }
    }
}

/// A filter with paths of some form.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Raw<P> {
    Compare(P, Operator, Value),
    Present(P),
    Within(P, Box<Raw<P>>),
    Not(Box<Raw<P>>),
    And(Vec<Raw<P>>),
    Or(Vec<Raw<P>>),
}

/// A filter as written.
pub(crate) type RawFilter = Raw<String>;

/// A path of PATCH as written.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct RawPath {
    /// The attribute, with a key if there is no filter.
    pub(crate) name: String,
    /// The filter on its values.
    pub(crate) filter: Option<RawFilter>,
    /// The key behind the filter.
    pub(crate) key: Option<String>,
}

/// Reads a filter.
pub(crate) fn raw(text: &str) -> Result<RawFilter, MatrixError> {
    let mut reader = Reader::new(text).ok_or_else(|| invalid_filter("The filter is too long"))?;
    let malformed = |at: usize| invalid_filter(format!("The filter is malformed at character {}", at + 1));
    let filter = reader.either().filter(|_| reader.is_at_end());
    filter.ok_or_else(|| malformed(reader.at))
}

/// Reads a path of PATCH.
pub(crate) fn path(text: &str) -> Result<RawPath, MatrixError> {
    let malformed = || invalid_path(format!("The path '{text}' is malformed"));
    let mut reader = Reader::new(text).ok_or_else(|| invalid_path("The path is too long"))?;
    let name = reader.name().ok_or_else(malformed)?;
    let mut path = RawPath { name, filter: None, key: None };
    if reader.take('[') {
        path.filter = Some(reader.either().filter(|_| reader.take(']')).ok_or_else(malformed)?);
        if reader.take('.') {
            path.key = Some(reader.name().ok_or_else(malformed)?);
        }
    }
    if reader.is_at_end() { Ok(path) } else { Err(malformed()) }
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
    depth: usize,
    terms: usize,
}

impl<'a> Reader<'a> {
    fn new(text: &'a str) -> Option<Self> {
        (text.len() <= MAX_LENGTH).then_some(Self { text, at: 0, depth: 0, terms: 0 })
    }

    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn skip_spaces(&mut self) {
        self.at += self.rest().len() - self.rest().trim_start_matches(' ').len();
    }

    fn is_at_end(&mut self) -> bool {
        self.skip_spaces();
        self.rest().is_empty()
    }

    /// Takes a character, if it is next.
    fn take(&mut self, wanted: char) -> bool {
        let is_next = self.rest().starts_with(wanted);
        if is_next {
            self.at += wanted.len_utf8();
        }
        is_next
    }

    /// Takes a word, if it is next, in any case, and ends there.
    fn take_word(&mut self, wanted: &str) -> bool {
        let rest = self.rest();
        let is_next = rest.get(..wanted.len()).is_some_and(|word| word.eq_ignore_ascii_case(wanted))
            && !rest.get(wanted.len()..).is_some_and(|after| after.starts_with(is_of_name));
        if is_next {
            self.at += wanted.len();
        }
        is_next
    }

    /// Goes one bracket deeper for what `read` reads, up to a closing bracket.
    fn bracket(&mut self, closing: char) -> Option<RawFilter> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return None;
        }
        let inner = self.either()?;
        self.depth -= 1;
        self.skip_spaces();
        self.take(closing).then_some(inner)
    }

    /// Reads terms joined by `or`.
    fn either(&mut self) -> Option<RawFilter> {
        let mut parts = vec![self.both()?];
        loop {
            self.skip_spaces();
            if !self.take_word("or") {
                break;
            }
            parts.push(self.both()?);
        }
        one_or(parts, Raw::Or)
    }

    /// Reads terms joined by `and`, which binds stronger.
    fn both(&mut self) -> Option<RawFilter> {
        let mut parts = vec![self.term()?];
        loop {
            self.skip_spaces();
            if !self.take_word("and") {
                break;
            }
            parts.push(self.term()?);
        }
        one_or(parts, Raw::And)
    }

    fn term(&mut self) -> Option<RawFilter> {
        self.terms += 1;
        if self.terms > MAX_TERMS {
            return None;
        }
        self.skip_spaces();
        if self.take('(') {
            return self.bracket(')');
        }
        if self.take_word("not") {
            self.skip_spaces();
            return if self.take('(') { Some(Raw::Not(Box::new(self.bracket(')')?))) } else { None };
        }
        let name = self.name()?;
        if self.take('[') {
            return Some(Raw::Within(name, Box::new(self.bracket(']')?)));
        }
        self.skip_spaces();
        if self.take_word("pr") {
            return Some(Raw::Present(name));
        }
        let operators = [
            ("eq", Operator::Eq),
            ("ne", Operator::Ne),
            ("co", Operator::Co),
            ("sw", Operator::Sw),
            ("ew", Operator::Ew),
            ("gt", Operator::Gt),
            ("ge", Operator::Ge),
            ("lt", Operator::Lt),
            ("le", Operator::Le),
        ];
        let (_, operator) = operators.into_iter().find(|(word, _)| self.take_word(word))?;
        self.skip_spaces();
        Some(Raw::Compare(name, operator, self.value()?))
    }

    /// Reads the name of an attribute, with its URN and key.
    fn name(&mut self) -> Option<String> {
        let rest = self.rest();
        let length = rest.find(|c| !is_of_name(c)).unwrap_or(rest.len());
        self.at += length;
        rest.get(..length).filter(|name| !name.is_empty()).map(str::to_owned)
    }

    /// Reads a JSON value that is not a list or an object.
    fn value(&mut self) -> Option<Value> {
        let rest = self.rest();
        let length = if rest.starts_with('"') {
            let mut is_escaped = false;
            let mut end = None;
            for (at, c) in rest.char_indices().skip(1) {
                match c {
                    '"' if !is_escaped => {
                        end = Some(at + 1);
                        break;
                    }
                    '\\' => is_escaped = !is_escaped,
                    _ => is_escaped = false,
                }
            }
            end?
        } else {
            rest.find([' ', ')', ']']).unwrap_or(rest.len())
        };
        let text = rest.get(..length)?;
        // Some identity providers write `True`.
        let lowered = if text.starts_with('"') { text.to_owned() } else { text.to_ascii_lowercase() };
        let value: Value = serde_json::from_str(&lowered).ok()?;
        self.at += length;
        match value {
            Value::Array(_) | Value::Object(_) => None,
            Value::String(text) if text.contains('\0') => None,
            value @ (Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_)) => Some(value),
        }
    }
}

fn is_of_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '$' | ':' | '.')
}

/// Returns a single part as it is.
fn one_or(mut parts: Vec<RawFilter>, join: fn(Vec<RawFilter>) -> RawFilter) -> Option<RawFilter> {
    if parts.len() == 1 { parts.pop() } else { Some(join(parts)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths() {
        let plain = |name: &str| RawPath { name: name.to_owned(), filter: None, key: None };
        for name in ["displayName", "name.formatted", "urn:a:2.0:User:x.y"] {
            assert_eq!(path(name).unwrap(), plain(name));
        }
        let selected = path(r#"emails[type eq "work"].value"#).unwrap();
        assert_eq!((&*selected.name, selected.key.as_deref()), ("emails", Some("value")));
        assert!(path(r#"members[value eq "x"]"#).unwrap().filter.is_some());
        for bad in ["", " x", "a b", "a[", "a[x eq 1", "a[x eq 1].", "a[x eq 1]b", "a[]", "[x eq 1]"] {
            assert_eq!(path(bad).expect_err(bad).errcode, "invalidPath", "{bad}");
        }
    }
}
