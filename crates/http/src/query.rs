//! Query strings, read as the Synapse admin API reads them: the first occurrence of a key wins, empty values
//! are values, unknown keys are ignored.

use std::borrow::Cow;
use std::collections::HashSet;
use std::sync::Arc;

use percent_encoding::percent_decode_str;
use reeve_model::MatrixError;

use crate::param::{DIRECTIONS, Kind, Param};

/// The query parameter for the access token of older clients; every route that authenticates reads it.
pub(crate) const ACCESS_TOKEN: &str = "access_token";

/// The decoded query string of a request. In debug builds it can only be read as the route declares it, so that
/// the documentation matches the handlers.
#[derive(Debug, Default, Clone)]
pub struct Query {
    pairs: Vec<(String, Vec<u8>)>,
    declared: Option<Arc<[Param]>>,
}

impl Query {
    /// Decodes a query string; `+` is a space.
    pub fn parse(text: &str) -> Self {
        let decode = |part: &str| -> Vec<u8> {
            let part =
                if part.contains('+') { Cow::Owned(part.replace('+', " ")) } else { Cow::Borrowed(part) };
            percent_decode_str(&part).collect()
        };
        let pairs = text
            .split('&')
            .filter(|pair| !pair.is_empty())
            .map(|pair| {
                let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
                (String::from_utf8_lossy(&decode(key)).into_owned(), decode(value))
            })
            .collect();
        Self { pairs, declared: None }
    }

    /// Returns this query string, as a route that declares these parameters may read it.
    pub fn declared(self, params: &Arc<[Param]>) -> Self {
        Self { declared: Some(Arc::clone(params)), ..self }
    }

    /// Returns true if the route declares a parameter, of a type for which `is` holds.
    fn declares(&self, name: &str, is: impl Fn(&Param) -> bool) -> bool {
        let Some(declared) = &self.declared else { return true };
        name == ACCESS_TOKEN || declared.iter().any(|param| param.name == name && is(param))
    }

    fn check(&self, name: &str, is: impl Fn(&Param) -> bool) {
        debug_assert!(self.declares(name, is), "the route does not declare the query parameter '{name}' so");
    }

    fn raw(&self, name: &str) -> Option<&[u8]> {
        self.pairs.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_slice())
    }

    /// Returns true if the key is given, even if empty.
    pub fn has(&self, name: &str) -> bool {
        self.check(name, |_| true);
        self.raw(name).is_some()
    }

    /// Refuses parameters that the route does not declare, and those that are given more than once though they have one
    /// value: for routes where ignoring one would select too much.
    pub fn only_declared(&self) -> Result<(), MatrixError> {
        let unknown = self.pairs.iter().find(|(key, _)| key != ACCESS_TOKEN && self.kind(key).is_none());
        match unknown {
            Some((key, _)) => Err(MatrixError::invalid_param(format!("Unknown query parameter '{key}'"))),
            None => self.without_repetition(),
        }
    }

    /// Refuses parameters that are given more than once though they have one value.
    pub fn without_repetition(&self) -> Result<(), MatrixError> {
        // A query string can have very many keys.
        let mut seen = HashSet::new();
        for (key, _) in &self.pairs {
            if !seen.insert(key) && self.kind(key) != Some(&Kind::Texts) {
                return Err(MatrixError::invalid_param(format!(
                    "Query parameter '{key}' is given more than once"
                )));
            }
        }
        Ok(())
    }

    /// Returns the type of a parameter that the route declares.
    fn kind(&self, name: &str) -> Option<&Kind> {
        let mut declared = self.declared.iter().flat_map(|params| params.iter());
        declared.find(|param| param.name == name).map(|param| &param.kind)
    }

    /// Returns the first value, with invalid UTF-8 replaced; for credentials and other opaque values.
    pub fn lossy(&self, name: &str) -> Option<String> {
        self.check(name, |param| matches!(param.kind, Kind::Text | Kind::Choice(_)));
        self.raw(name).map(|value| String::from_utf8_lossy(value).into_owned())
    }

    /// Returns a UTF-8 string. NUL, which no database can store, is refused.
    pub fn utf8(&self, name: &str) -> Result<Option<String>, MatrixError> {
        self.check(name, |param| matches!(param.kind, Kind::Text | Kind::Choice(_)));
        let Some(raw) = self.raw(name) else { return Ok(None) };
        let text = std::str::from_utf8(raw)
            .map_err(|_| MatrixError::unknown(format!("Query parameter '{name}' must be utf-8")))?;
        no_nul(name, text)?;
        Ok(Some(text.to_owned()))
    }

    /// Returns an ASCII string.
    pub fn ascii(&self, name: &str) -> Result<Option<String>, MatrixError> {
        self.check(name, |param| matches!(param.kind, Kind::Text | Kind::Choice(_)));
        let Some(raw) = self.raw(name) else { return Ok(None) };
        ascii(name, raw).map(Some)
    }

    /// Returns a required ASCII string.
    pub fn required_ascii(&self, name: &str) -> Result<String, MatrixError> {
        self.check(name, |param| param.required);
        self.ascii(name)?.ok_or_else(|| {
            MatrixError::bad_request("M_MISSING_PARAM", format!("Missing string query parameter '{name}'"))
        })
    }

    /// Returns all ASCII values of a repeatable key, including empty ones.
    pub fn all_ascii(&self, name: &str) -> Result<Vec<String>, MatrixError> {
        self.check(name, |param| param.kind == Kind::Texts);
        self.pairs.iter().filter(|(key, _)| key == name).map(|(_, value)| ascii(name, value)).collect()
    }

    /// Returns a non-negative integer.
    pub fn integer(&self, name: &str) -> Result<Option<i64>, MatrixError> {
        self.check(name, |param| param.kind == Kind::Integer);
        let Some(raw) = self.raw(name) else { return Ok(None) };
        let number = parse_integer(raw).ok_or_else(|| {
            MatrixError::invalid_param(format!("Query parameter {name} must be an integer"))
        })?;
        if number < 0 {
            return Err(MatrixError::invalid_param(format!(
                "Query parameter {name} must be a positive integer."
            )));
        }
        Ok(Some(number))
    }

    /// Returns a required non-negative integer.
    pub fn required_integer(&self, name: &str) -> Result<i64, MatrixError> {
        self.check(name, |param| param.required);
        self.integer(name)?.ok_or_else(|| {
            MatrixError::bad_request(
                "M_MISSING_PARAM",
                format!("Missing required integer query parameter {name}"),
            )
        })
    }

    /// Returns `true` or `false`; refuses everything else.
    pub fn boolean(&self, name: &str) -> Result<Option<bool>, MatrixError> {
        self.check(name, |param| param.kind == Kind::Boolean);
        match self.raw(name) {
            None => Ok(None),
            Some(b"true") => Ok(Some(true)),
            Some(b"false") => Ok(Some(false)),
            Some(_) => Err(MatrixError::invalid_param(format!(
                "Boolean query parameter '{name}' must be one of ['true', 'false']"
            ))),
        }
    }

    /// Returns one of the listed words, in their exact case.
    pub fn choice<T: Copy>(&self, name: &str, choices: &[(&str, T)]) -> Result<Option<T>, MatrixError> {
        self.check(name, |param| match &param.kind {
            Kind::Choice(words) => words.iter().copied().eq(choices.iter().map(|(word, _)| *word)),
            Kind::Text | Kind::Texts | Kind::Integer | Kind::Boolean => false,
        });
        let Some(text) = self.ascii(name)? else { return Ok(None) };
        let found = choices.iter().find(|(word, _)| *word == text).map(|(_, value)| *value);
        found.map(Some).ok_or_else(|| {
            let words = choices.iter().map(|(word, _)| format!("'{word}'")).collect::<Vec<_>>().join(", ");
            MatrixError::invalid_param(format!("Query parameter '{name}' must be one of [{words}]"))
        })
    }

    /// Returns the `dir` parameter: true for backwards.
    pub fn backwards(&self) -> Result<Option<bool>, MatrixError> {
        self.choice("dir", &DIRECTIONS)
    }
}

fn ascii(name: &str, raw: &[u8]) -> Result<String, MatrixError> {
    let text = std::str::from_utf8(raw).ok().filter(|text| text.is_ascii());
    let text = text.ok_or_else(|| MatrixError::unknown(format!("Query parameter '{name}' must be ascii")))?;
    no_nul(name, text)?;
    Ok(text.to_owned())
}

fn no_nul(name: &str, text: &str) -> Result<(), MatrixError> {
    if text.contains('\0') {
        return Err(MatrixError::invalid_param(format!("Query parameter '{name}' must not contain NUL")));
    }
    Ok(())
}

/// Returns an integer as Python reads one: surrounding spaces, a sign, `_` between digits.
fn parse_integer(raw: &[u8]) -> Option<i64> {
    let text = std::str::from_utf8(raw).ok()?.trim();
    let (negative, digits) = match text.as_bytes().first()? {
        b'-' => (true, text.get(1..)?),
        b'+' => (false, text.get(1..)?),
        _ => (false, text),
    };
    let well_formed = !digits.is_empty()
        && digits.split('_').all(|part| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit()));
    if !well_formed {
        return None;
    }
    let digits = digits.replace('_', "");
    if negative { format!("-{digits}").parse().ok() } else { digits.parse().ok() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers() {
        let value =
            |text: &str| Query::parse(&format!("n={text}")).integer("n").map_err(|e| e.error.into_owned());
        assert_eq!(value("10"), Ok(Some(10)));
        assert_eq!(value("%2B1_0"), Ok(Some(10)));
        assert_eq!(value("+7+"), Ok(Some(7)));
        assert_eq!(value("0"), Ok(Some(0)));
        for bad in ["", "x", "1_", "_1", "1__0", "1.0", "9223372036854775808", "%D9%A1", "-", "%2B"] {
            assert_eq!(value(bad), Err("Query parameter n must be an integer".to_owned()), "{bad}");
        }
        assert_eq!(value("-1"), Err("Query parameter n must be a positive integer.".to_owned()));
    }

    #[test]
    fn only_what_is_declared_can_be_read() {
        let words: [(&str, ()); 2] = [("a", ()), ("b", ())];
        let params =
            [Param::integer("n", ""), Param::text("t", "").required(), Param::choice("c", &words, "")];
        let query = Query::parse("n=1&t=x&c=b&u=1").declared(&Arc::from(params));
        assert_eq!(query.integer("n").unwrap(), Some(1));
        assert_eq!(query.required_ascii("t").unwrap(), "x");
        assert_eq!(query.choice("c", &words).unwrap(), Some(()));
        assert_eq!(query.lossy(ACCESS_TOKEN), None);
        let others: [fn(&Query); 5] = [
            |query| drop(query.utf8("n")),
            |query| drop(query.integer("t")),
            |query| drop(query.required_integer("n")),
            |query| drop(query.choice("c", &[("a", ())])),
            |query| drop(query.utf8("u")),
        ];
        for read in others {
            let query = query.clone();
            assert!(std::panic::catch_unwind(move || read(&query)).is_err());
        }
    }

    #[test]
    fn only_declared_parameters() {
        let declared: Arc<[Param]> = Arc::from([Param::integer("n", ""), Param::texts("t", "")]);
        let refusal = |text: &str| {
            let query = Query::parse(text).declared(&declared);
            query.only_declared().map_err(|error| error.error.into_owned())
        };
        assert_eq!(refusal("n=1&t=a&t=b&access_token=x"), Ok(()));
        assert_eq!(refusal("n=1&m=2"), Err("Unknown query parameter 'm'".to_owned()));
        assert_eq!(refusal("n=1&n=1"), Err("Query parameter 'n' is given more than once".to_owned()));
    }

    #[test]
    fn texts() {
        let query = Query::parse("a=1&a=2&b&c=%C3%A4&d=x%00&e=%FF");
        assert_eq!(query.ascii("a").unwrap(), Some("1".to_owned()));
        assert_eq!(query.all_ascii("a").unwrap(), ["1", "2"]);
        assert_eq!(query.ascii("b").unwrap(), Some(String::new()));
        assert_eq!(query.utf8("c").unwrap(), Some("ä".to_owned()));
        assert_eq!(query.ascii("c").unwrap_err().error, "Query parameter 'c' must be ascii");
        assert_eq!(query.utf8("e").unwrap_err().error, "Query parameter 'e' must be utf-8");
        assert_eq!(query.utf8("d").unwrap_err().errcode, "M_INVALID_PARAM");
        assert_eq!(query.required_ascii("z").unwrap_err().error, "Missing string query parameter 'z'");
    }
}
