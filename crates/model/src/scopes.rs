//! Sets of scopes: the rights that a caller holds.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::word::{Scope, UnknownWord};

/// A set of scopes. As text, their words in the order of [`Scope`], separated by spaces; in JSON, an array of words.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Scopes(u32);

impl Scopes {
    /// No scope.
    pub const NONE: Self = Self(0);
    /// Every scope, also those that later versions add.
    pub const ALL: Self = Self(u32::MAX);

    /// Returns the set of these scopes.
    pub(crate) const fn of(scopes: &[Scope]) -> Self {
        let (mut set, mut rest) = (Self::NONE, scopes);
        while let [scope, others @ ..] = rest {
            set = Self(set.0 | Self::bit(*scope));
            rest = others;
        }
        set
    }

    const fn bit(scope: Scope) -> u32 {
        1 << scope as u32
    }

    /// Returns true if a scope is in the set.
    pub const fn contains(self, scope: Scope) -> bool {
        self.0 & Self::bit(scope) != 0
    }

    /// Returns the set without one scope.
    #[must_use]
    pub const fn without(self, scope: Scope) -> Self {
        Self(self.0 & !Self::bit(scope))
    }

    /// Returns the scopes, in the order of [`Scope`].
    pub fn iter(self) -> impl Iterator<Item = Scope> {
        Scope::WORDS.iter().map(|(_, scope)| *scope).filter(move |scope| self.contains(*scope))
    }

    /// Returns the scopes that are in both sets.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// Returns true if no scope is in the set.
    pub fn is_empty(self) -> bool {
        self.iter().next().is_none()
    }

    /// Returns the first scope that is in this set and not in another.
    pub fn beyond(self, other: Self) -> Option<Scope> {
        self.iter().find(|scope| !other.contains(*scope))
    }
}

impl FromIterator<Scope> for Scopes {
    fn from_iter<I: IntoIterator<Item = Scope>>(scopes: I) -> Self {
        Self(scopes.into_iter().fold(0, |bits, scope| bits | Self::bit(scope)))
    }
}

impl fmt::Display for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut space = "";
        for scope in self.iter() {
            write!(f, "{space}{scope}")?;
            space = " ";
        }
        Ok(())
    }
}

impl FromStr for Scopes {
    type Err = UnknownWord;

    fn from_str(text: &str) -> Result<Self, UnknownWord> {
        text.split_whitespace().map(str::parse).collect()
    }
}

impl Serialize for Scopes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.iter())
    }
}

impl<'de> Deserialize<'de> for Scopes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Vec::<Scope>::deserialize(deserializer).map(|scopes| scopes.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_and_words() {
        let two: Scopes = [Scope::AuditRead, Scope::UsersRead].into_iter().collect();
        assert_eq!(two.to_string(), "users:read audit:read");
        assert_eq!(two.to_string().parse(), Ok(two));
        assert!(two.contains(Scope::UsersRead) && !two.contains(Scope::UsersWrite));
        assert_eq!((two.beyond(Scopes::ALL), two.beyond(Scopes::NONE)), (None, Some(Scope::UsersRead)));
        assert_eq!(two.without(Scope::UsersRead).to_string(), "audit:read");
        assert_eq!(Scopes::of(&[Scope::AuditRead, Scope::UsersRead]), two);
        assert_eq!(two.and(Scopes::of(&[Scope::UsersRead, Scope::UsersWrite])).to_string(), "users:read");
        assert_eq!(Scopes::ALL.iter().count(), Scope::WORDS.len());
        assert_eq!(Scopes::ALL.iter().collect::<Scopes>().beyond(Scopes::ALL), None);
        assert_eq!("".parse(), Ok(Scopes::NONE));
        assert!(Scopes::NONE.is_empty());
        assert_eq!(serde_json::from_value::<Scopes>(serde_json::json!(two)).unwrap(), two);
        assert_eq!("users:read x".parse::<Scopes>(), Err(UnknownWord));
    }

    #[test]
    fn every_scope_has_a_bit() {
        assert!(Scope::WORDS.len() <= 32);
    }
}
