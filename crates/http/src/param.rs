//! Query parameters as routes declare them.

use std::borrow::Cow;

/// The type of a query parameter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A string.
    Text,
    /// Strings: the parameter may be repeated.
    Texts,
    /// A non-negative integer.
    Integer,
    /// `true` or `false`.
    Boolean,
    /// One of these words.
    Choice(Vec<&'static str>),
}

/// A query parameter. In debug builds reading one that the route does not declare, or as another type, panics: see
/// [`Query`](crate::query::Query).
#[derive(Clone, Debug)]
pub struct Param {
    /// Its name.
    pub name: &'static str,
    /// Its type.
    pub kind: Kind,
    /// True if a request without it is refused.
    pub required: bool,
    /// Its meaning.
    pub meaning: Cow<'static, str>,
}

impl Param {
    const fn new(name: &'static str, kind: Kind, meaning: Cow<'static, str>) -> Self {
        Self { name, kind, required: false, meaning }
    }

    /// Declares a string parameter.
    pub const fn text(name: &'static str, meaning: &'static str) -> Self {
        Self::new(name, Kind::Text, Cow::Borrowed(meaning))
    }

    /// Declares a repeatable string parameter.
    pub const fn texts(name: &'static str, meaning: &'static str) -> Self {
        Self::new(name, Kind::Texts, Cow::Borrowed(meaning))
    }

    /// Declares a non-negative integer.
    pub const fn integer(name: &'static str, meaning: &'static str) -> Self {
        Self::new(name, Kind::Integer, Cow::Borrowed(meaning))
    }

    /// Declares a non-negative integer whose meaning is put together.
    pub const fn integer_of(name: &'static str, meaning: String) -> Self {
        Self::new(name, Kind::Integer, Cow::Owned(meaning))
    }

    /// Declares `true` or `false`.
    pub const fn boolean(name: &'static str, meaning: &'static str) -> Self {
        Self::new(name, Kind::Boolean, Cow::Borrowed(meaning))
    }

    /// Declares one of the words in a table that [`Query::choice`](crate::query::Query::choice) reads with.
    pub fn choice<T>(name: &'static str, choices: &[(&'static str, T)], meaning: &'static str) -> Self {
        Self::new(name, Kind::Choice(choices.iter().map(|(word, _)| *word).collect()), Cow::Borrowed(meaning))
    }

    /// Declares one of these words; other values count as absent.
    pub fn word(name: &'static str, words: &[&'static str], meaning: &'static str) -> Self {
        Self::new(name, Kind::Choice(words.to_vec()), Cow::Borrowed(meaning))
    }

    /// Declares the `dir` parameter: `f` for forwards or `b` for backwards.
    pub fn direction(meaning: &'static str) -> Self {
        Self::choice("dir", &DIRECTIONS, meaning)
    }

    /// Makes the parameter required.
    pub const fn required(mut self) -> Self {
        self.required = true;
        self
    }
}

/// The values of the parameter `dir`, with true for backwards.
pub(crate) const DIRECTIONS: [(&str, bool); 2] = [("b", true), ("f", false)];
