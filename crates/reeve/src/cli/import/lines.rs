//! Reads the lines of an import file.

use std::io::{self, BufRead, Read};

use reeve_accounts::{
    Policy,
    import::{Account, Candidate, KEYS, Refusal},
};
use reeve_model::Ctx;
use serde_json::{Map, Value};

/// Maximum length of a line, in bytes.
const MAX: u64 = 1 << 20;
/// Maximum number of lines, and of bytes, in a batch.
const BATCH_LINES: usize = 20_000;
const BATCH_BYTES: u64 = 16 << 20;

/// A line.
pub(super) enum Line {
    /// An account that is valid as far as known yet.
    Account(u64, Box<Candidate>),
    /// A refused account, with its user id if known.
    Refused(u64, Option<String>, Refusal),
}

/// Lines that are imported together.
#[derive(Default)]
pub(super) struct Batch {
    pub(super) lines: Vec<Line>,
    /// The number of the last line.
    pub(super) last_line: u64,
    /// The offset of its end in the file, in bytes.
    pub(super) end: u64,
}

/// A reader of an import file.
pub(super) struct Reader<R> {
    input: R,
    ctx: Ctx,
    policy: Policy,
    line: u64,
    bytes: u64,
    buffer: Vec<u8>,
}

impl<R: BufRead> Reader<R> {
    pub(super) fn new(input: R, ctx: Ctx, policy: Policy) -> Self {
        Self { input, ctx, policy, line: 0, bytes: 0, buffer: Vec::new() }
    }

    /// The next batch; `None` at the end.
    pub(super) fn next(&mut self) -> io::Result<Option<Batch>> {
        let begin = self.bytes;
        let mut batch = Batch::default();
        while batch.lines.len() < BATCH_LINES && self.bytes - begin < BATCH_BYTES && self.read_line()? {
            let too_long = self.buffer.len() as u64 > MAX;
            if too_long {
                self.skip_line()?;
            }
            let line = if too_long {
                let error = format!("the line has more than {MAX} bytes");
                Line::Refused(self.line, None, Refusal { reason: "line too long", error })
            } else if self.buffer.trim_ascii().is_empty() {
                continue;
            } else {
                self.parse()
            };
            batch.lines.push(line);
        }
        (batch.last_line, batch.end) = (self.line, self.bytes);
        Ok(Some(batch).filter(|_| self.bytes > begin))
    }

    /// Reads a line, or one byte more than the maximum; returns `false` at the end.
    fn read_line(&mut self) -> io::Result<bool> {
        self.buffer.clear();
        let read = self.input.by_ref().take(MAX + 2).read_until(b'\n', &mut self.buffer)?;
        self.bytes += read as u64;
        self.line += u64::from(read > 0);
        if self.buffer.last() == Some(&b'\n') {
            self.buffer.pop();
        }
        Ok(read > 0)
    }

    /// Skips the rest of a line that is too long.
    fn skip_line(&mut self) -> io::Result<()> {
        // A line that is exactly one byte too long is complete already.
        if self.buffer.len() as u64 == MAX + 1 {
            return Ok(());
        }
        self.bytes += self.input.skip_until(b'\n')? as u64;
        Ok(())
    }

    fn parse(&self) -> Line {
        let malformed = |user_id, error: String| {
            Line::Refused(self.line, user_id, Refusal { reason: "malformed line", error })
        };
        let Ok(text) = std::str::from_utf8(&self.buffer) else {
            return malformed(None, "the line is not UTF-8".to_owned());
        };
        // A structure could also be read from an array.
        if !text.trim_start().starts_with('{') {
            return malformed(None, "the line is not a JSON object".to_owned());
        }
        let account: Account = match serde_json::from_str(text) {
            Ok(account) => account,
            Err(error) => {
                let value = serde_json::from_str::<Map<String, Value>>(text).unwrap_or_default();
                let user_id = value.get("user_id").or_else(|| value.get("localpart"));
                let user_id = user_id.and_then(Value::as_str).map(str::to_owned);
                return match unknown_key(&value) {
                    Some(error) => {
                        Line::Refused(self.line, user_id, Refusal { reason: "unknown key", error })
                    }
                    None => {
                        malformed(user_id, error.to_string().replace(" at line 1 column ", " at column "))
                    }
                };
            }
        };
        let name = account.user_id.clone().or_else(|| account.localpart.clone());
        match Candidate::new(account, &self.ctx, &self.policy) {
            Ok(candidate) => Line::Account(self.line, Box::new(candidate)),
            Err(refusal) => Line::Refused(self.line, name, refusal),
        }
    }
}

/// The error text for an unknown key, with the nearest known one.
fn unknown_key(object: &Map<String, Value>) -> Option<String> {
    KEYS.iter().find_map(|(place, keys)| {
        let objects: Vec<&Map<String, Value>> = if place.is_empty() {
            vec![object]
        } else {
            object.get(*place)?.as_array()?.iter().filter_map(Value::as_object).collect()
        };
        let unknown = objects.into_iter().flat_map(Map::keys).find(|key| !keys.contains(&key.as_str()))?;
        let nearest = keys.iter().min_by_key(|key| strsim::damerau_levenshtein(unknown, key))?;
        let at = if place.is_empty() { String::new() } else { format!(" in {place}") };
        Some(format!("unknown key {unknown:?}{at}; the nearest is {nearest}"))
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use reeve_model::{Millis, Scopes};

    use super::*;

    /// The user id, or for a refused account its user id as far as known, the reason and the error.
    type Outcome = Result<String, (Option<String>, &'static str, String)>;

    fn read(text: &[u8]) -> Vec<(u64, Outcome)> {
        let ctx = Ctx {
            now: Millis::ZERO,
            server_name: Arc::from("test"),
            request_id: Arc::from("r"),
            ip: None,
            actor: None,
            scopes: Scopes::ALL,
        };
        let mut reader = Reader::new(text, ctx, Policy::default());
        let mut all = Vec::new();
        while let Some(batch) = reader.next().unwrap() {
            all.extend(batch.lines.into_iter().map(|line| match line {
                Line::Account(number, candidate) => (number, Ok(candidate.user_id().to_owned())),
                Line::Refused(number, user_id, refusal) => {
                    (number, Err((user_id, refusal.reason, refusal.error)))
                }
            }));
        }
        all
    }

    #[test]
    fn lines_are_bounded() {
        let account = |length: u64| {
            let rest = usize::try_from(length).unwrap() - r#"{"localpart":"a"}"#.len();
            format!(r#"{{"localpart":"a"{}}}"#, " ".repeat(rest))
        };
        let too_long =
            |line| (line, Err((None, "line too long", "the line has more than 1048576 bytes".to_owned())));
        let good = |line| (line, Ok("@a:test".to_owned()));
        for (length, expected) in
            [(MAX, good(1)), (MAX + 1, too_long(1)), (MAX + 2, too_long(1)), (3 * MAX, too_long(1))]
        {
            let text = format!("{}\n\n{{\"localpart\":\"a\"}}", account(length));
            assert_eq!(read(text.as_bytes()), [expected, good(3)], "{length}");
        }
    }

    #[test]
    fn every_key_is_known_by_its_name() {
        for (place, keys) in KEYS {
            let unknown = serde_json::json!({ "?": 1 });
            let line = if place.is_empty() { unknown } else { serde_json::json!({ *place: [unknown] }) };
            let error = serde_json::from_value::<Account>(line).map(drop).unwrap_err().to_string();
            let names: Vec<&str> = error.split('`').skip(3).step_by(2).collect();
            assert_eq!(names, *keys, "{error}");
        }
    }
}
