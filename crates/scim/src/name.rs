//! The names of users at identity providers, and the localparts of user ids that are made from them.
//!
//! A name that is a localpart is taken as it is. Other characters are escaped, as the specification recommends for names from
//! elsewhere: <https://spec.matrix.org/v1.18/appendices/#mapping-from-other-character-sets>. The domain of the settings is left out.
//! No name is stored: an account has the name from which its localpart is made.

use std::fmt::Write as _;

/// The names of users on this server.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Names<'a> {
    pub(crate) server_name: &'a str,
    /// The domain of e-mail addresses that localparts do without, in lower case.
    pub(crate) domain: Option<&'a str>,
}

fn is_plain(c: char) -> bool {
    c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '_' | '-' | '.' | '/' | '+')
}

/// Escapes a name in lower case, unless it is a localpart.
fn escape(name: &str) -> String {
    if name.chars().all(|c| is_plain(c) || c == '=') {
        return name.to_owned();
    }
    let mut escaped = String::new();
    for c in name.chars() {
        if is_plain(c) {
            escaped.push(c);
        } else {
            for byte in c.encode_utf8(&mut [0; 4]).bytes() {
                let _ = write!(escaped, "={byte:02x}");
            }
        }
    }
    escaped
}

/// Reverses [`escape`]; `None` if a text is not one that it makes.
fn unescape(localpart: &str) -> Option<String> {
    let mut bytes = Vec::new();
    let mut rest = localpart;
    while let Some((before, after)) = rest.split_once('=') {
        bytes.extend_from_slice(before.as_bytes());
        bytes.push(u8::from_str_radix(after.get(..2)?, 16).ok()?);
        rest = after.get(2..)?;
    }
    bytes.extend_from_slice(rest.as_bytes());
    String::from_utf8(bytes).ok().filter(|name| *name == name.to_lowercase() && escape(name) == localpart)
}

impl Names<'_> {
    /// Returns the localpart that a name stands for. A full user id of this server stands for its own.
    pub(crate) fn localpart(self, name: &str) -> String {
        let name = name.trim().to_lowercase();
        if let Some(localpart) = name
            .strip_prefix('@')
            .and_then(|rest| rest.strip_suffix(&self.server_name.to_lowercase()))
            .and_then(|rest| rest.strip_suffix(':'))
        {
            return localpart.to_owned();
        }
        let without = match (name.rsplit_once('@'), self.domain) {
            (Some((local, domain)), Some(own)) if domain == own && !local.contains('@') => local,
            (Some(_) | None, _) => &name,
        };
        escape(without)
    }

    /// Returns the name of the account with a localpart.
    pub(crate) fn of(self, localpart: &str) -> String {
        let name = unescape(localpart).unwrap_or_else(|| localpart.to_owned());
        match self.domain {
            Some(domain) if !name.contains('@') => {
                let full = format!("{name}@{domain}");
                if self.localpart(&full) == localpart { full } else { name }
            }
            Some(_) | None => name,
        }
    }

    /// Returns true if a name, in any case of letters, is one of the account with a localpart.
    pub(crate) fn is_of(self, name: &str, localpart: &str) -> bool {
        self.localpart(name) == localpart.to_lowercase()
            || self.of(localpart).to_lowercase() == name.trim().to_lowercase()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_localparts() {
        let plain = Names { server_name: "Test.org", domain: None };
        let short = Names { domain: Some("example.com"), ..plain };
        for (names, name, localpart, back) in [
            (plain, "alice", "alice", "alice"),
            (plain, " Alice ", "alice", "alice"),
            (plain, "@alice:test.org", "alice", "alice"),
            (plain, "alice@example.com", "alice=40example.com", "alice@example.com"),
            (plain, "@alice:other.org", "=40alice=3aother.org", "@alice:other.org"),
            (plain, "a=b", "a=b", "a=b"),
            (plain, "a=3db", "a=3db", "a=3db"),
            (plain, "a=b@c", "a=3db=40c", "a=b@c"),
            (plain, "Zoë", "zo=c3=ab", "zoë"),
            (short, "alice@example.com", "alice", "alice@example.com"),
            (short, "Alice@Example.COM", "alice", "alice@example.com"),
            (short, "alice", "alice", "alice@example.com"),
            (short, "bob@other.org", "bob=40other.org", "bob@other.org"),
            (short, "o'hara@example.com", "o=27hara", "o'hara@example.com"),
            (short, "a@b@example.com", "a=40b=40example.com", "a@b@example.com"),
        ] {
            assert_eq!(names.localpart(name), localpart, "{name}");
            assert_eq!(names.of(localpart), back, "{localpart}");
            assert_eq!(names.localpart(back), localpart, "{back}");
        }
        // Localparts that no name makes.
        for localpart in ["Alice", "a=", "a=4", "a=zz", "a=ff", "=41"] {
            assert_eq!(plain.of(localpart), localpart);
        }
        for (names, name, localpart, is_its) in [
            (plain, "ALICE", "alice", true),
            (plain, "alice", "Alice", true),
            (plain, "Alice", "Alice", true),
            (plain, "bob", "alice", false),
            (plain, "ZOË", "zo=c3=ab", true),
            (short, "ALICE@Example.com", "alice", true),
            (short, "Alice", "Alice", true),
            (short, "alice@other.org", "alice", false),
        ] {
            assert_eq!(names.is_of(name, localpart), is_its, "{name} {localpart}");
        }
    }
}
