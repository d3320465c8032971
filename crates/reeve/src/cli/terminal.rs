//! Output to, and input from, the person or script that runs a command.

use reeve_model::Scope;

use std::io::{self, BufRead, IsTerminal, Write};

use super::Failure;
use crate::settings::Secret;

/// Maximum length of a password, in characters.
const MAX_PASSWORD_LEN: usize = 512;

/// Writes a result to standard output. A reader that closed the pipe (`| head`) is not an error.
pub(super) fn print(text: &str) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Failure::new(format!("cannot write the result: {error}")))
        }
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Writes one line to standard error: an error, or the database of a command.
pub(super) fn say(text: &str) {
    // If standard error is closed there is nothing left to report to.
    drop(writeln!(io::stderr(), "reeve: {}", one_line(text)));
}

/// Joins the lines of a text from a database or an operating system.
fn one_line(text: &str) -> String {
    text.lines().map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join("; ")
}

/// Reads a new password: the first line of standard input, or typed twice at the terminal.
pub(super) fn new_password(from_stdin: bool, user_id: &str) -> Result<Secret, Failure> {
    let password = if from_stdin { first_line(io::stdin().lock())? } else { ask_twice(user_id)? };
    check_password(&password)?;
    Ok(Secret::new(password))
}

fn first_line(input: impl BufRead) -> Result<String, Failure> {
    let mut line = String::new();
    // Oversized input, such as a disk image by mistake, is refused without reading all of it.
    input
        .take(65_536)
        .read_line(&mut line)
        .map_err(|error| Failure::new(format!("cannot read the password from standard input: {error}")))?;
    let line = line.strip_suffix('\n').unwrap_or(&line);
    Ok(line.strip_suffix('\r').unwrap_or(line).to_owned())
}

fn ask_twice(user_id: &str) -> Result<String, Failure> {
    let ask = |prompt: String| {
        rpassword::prompt_password(prompt).map_err(|error| {
            Failure::new(if io::stdin().is_terminal() {
                format!("cannot read the password: {error}")
            } else {
                "there is no terminal to read the password from: use --password-stdin".to_owned()
            })
        })
    };
    let password = ask(format!("New password of {user_id}: "))?;
    check_password(&password)?;
    if ask("Again: ".to_owned())? == password {
        Ok(password)
    } else {
        Err(Failure::new("the two passwords differ; nothing was changed"))
    }
}

fn check_password(password: &str) -> Result<(), Failure> {
    if password.is_empty() {
        return Err(Failure::new("the password is empty; nothing was changed"));
    }
    if password.chars().count() > MAX_PASSWORD_LEN {
        return Err(Failure::new(format!("the password is longer than {MAX_PASSWORD_LEN} characters")));
    }
    Ok(())
}

/// Lays rows out in columns; the first row has their titles. Control characters are escaped: names chosen by
/// users must not control the operator's terminal.
pub(super) fn table(rows: &[Vec<String>]) -> String {
    let rows: Vec<Vec<String>> =
        rows.iter().map(|row| row.iter().map(|cell| printable(cell)).collect()).collect();
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width_of =
        |column: usize| rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max();
    let widths: Vec<usize> = (0..columns).map(|column| width_of(column).unwrap_or(0)).collect();
    let mut out = String::new();
    for row in &rows {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
        out.push_str(cells.collect::<Vec<_>>().join("  ").trim_end());
        out.push('\n');
    }
    out
}

/// The text with control characters, and those that change the writing direction, escaped.
fn printable(text: &str) -> String {
    let steers = |c: char| {
        c.is_control()
            || matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    text.chars()
        .flat_map(|c| if steers(c) { c.escape_unicode().collect::<Vec<_>>() } else { vec![c] })
        .collect()
}

/// Reads a scope from the command line.
pub(super) fn scope(text: &str) -> Result<Scope, String> {
    let words = || Scope::WORDS.iter().map(|(word, _)| *word).collect::<Vec<_>>().join(", ");
    text.parse().map_err(|_| format!("expected one of {}", words()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_the_first_line() {
        for (input, password) in [("a b \n", "a b "), ("a\r\nb\n", "a"), ("a", "a"), ("", ""), ("\nb", "")] {
            assert_eq!(first_line(input.as_bytes()).unwrap(), password);
        }
        assert!(first_line(&b"\xff\n"[..]).is_err());
        assert!(check_password("").is_err());
        assert!(check_password(&"ä".repeat(512)).is_ok());
        assert!(check_password(&"a".repeat(513)).is_err());
    }

    #[test]
    fn tables_are_aligned_and_harmless() {
        let rows =
            [vec!["a".to_owned(), "bb".to_owned()], vec!["äöü".to_owned(), "\u{1b}[2J\u{202e}".to_owned()]];
        assert_eq!(table(&rows), "a    bb\näöü  \\u{1b}[2J\\u{202e}\n");
    }

    #[test]
    fn failures_have_one_line() {
        assert_eq!(one_line("a\n\n  b\n"), "a; b");
    }
}
