//! Sync tokens: positions in the stream, in the form in which clients carry them.
//!
//! Each token names the epoch in which its position was given out. An epoch begins with each start of a server
//! and has a unique name, so that a database that was restored from a backup knows which positions belong to
//! its own past. Tokens from before there were epochs have none.

use std::fmt;

use crate::num::Pos;

/// An epoch: a part of the stream's history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Epoch(String);

impl Epoch {
    /// The epoch of this name: ASCII letters and digits, at most 32; `None` for any other text.
    pub fn new(name: &str) -> Option<Self> {
        let fits = (1..=32).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_alphanumeric());
        fits.then(|| Self(name.to_owned()))
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.0
    }
}

/// Splits off the epoch after the dot; `None` if it is malformed.
fn split(text: &str) -> Option<(&str, Option<Epoch>)> {
    match text.split_once('.') {
        None => Some((text, None)),
        Some((rest, name)) => Some((rest, Some(Epoch::new(name)?))),
    }
}

/// Appends the epoch.
fn write_epoch(epoch: Option<&Epoch>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    epoch.map_or(Ok(()), |epoch| write!(f, ".{}", epoch.name()))
}

/// A position, in decimal digits.
fn position(text: &str) -> Option<Pos> {
    number(text).map(Pos::new)
}

/// Decimal digits of a non-negative number.
fn number(text: &str) -> Option<i64> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| digits)
}

/// A place in the stream: just after a position. In full `s40_38.qWeRtYuI`, in short `s40`; lists that once had
/// plain numbers as tokens still read these.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// The position.
    pub pos: Pos,
    /// The position up to which the client has the to-device messages, of which there may be too many for one
    /// response. Not above `pos`.
    pub to_device: Pos,
    /// The epoch in which the token was given out.
    pub epoch: Option<Epoch>,
}

impl Token {
    /// The token of a position that is given out in an epoch.
    pub fn new(pos: Pos, epoch: Option<Epoch>) -> Self {
        Self { pos, to_device: pos, epoch }
    }

    /// Reads a token that a server may have given out, for syncing or for paging.
    pub fn parse(text: &str) -> Option<Self> {
        let (places, epoch) = split(text)?;
        let places = places.strip_prefix('s').unwrap_or(places);
        let (pos, to_device) = match places.split_once('_') {
            None => (position(places)?, position(places)?),
            Some((pos, to_device)) => (position(pos)?, position(to_device)?),
        };
        (to_device <= pos).then_some(Self { pos, to_device, epoch })
    }
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "s{}", self.pos)?;
        if self.to_device < self.pos {
            write!(f, "_{}", self.to_device)?;
        }
        write_epoch(self.epoch.as_ref(), f)
    }
}

/// The state of a sliding-sync connection: `7_3_40_0.qWeRtYuI`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SlidingToken {
    /// The number of the connection.
    pub connection: i64,
    /// The version of the connection, which determines how much of each room the client has.
    pub version: i64,
    /// The position in the stream up to which the client has everything except rooms.
    pub upto: Pos,
    /// The number of earlier responses with the same version, since no two tokens are equal.
    pub round: i64,
    /// The epoch in which the token was given out.
    pub epoch: Option<Epoch>,
}

impl SlidingToken {
    /// Reads a token that a server may have given out.
    pub fn parse(text: &str) -> Option<Self> {
        let (numbers, epoch) = split(text)?;
        let mut numbers = numbers.split('_').map(number);
        let mut next = || numbers.next()?;
        let (connection, version, upto, round) = (next()?, next()?, Pos::new(next()?), next()?);
        numbers.next().is_none().then_some(Self { connection, version, upto, round, epoch })
    }

    /// The place in the stream.
    pub fn place(&self) -> Token {
        Token::new(self.upto, self.epoch.clone())
    }
}

impl fmt::Display for SlidingToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}_{}_{}_{}", self.connection, self.version, self.upto, self.round)?;
        write_epoch(self.epoch.as_ref(), f)
    }
}

#[cfg(test)]
mod tests {
    use super::{Epoch, Pos, SlidingToken, Token};

    #[test]
    fn tokens() {
        let epoch = Epoch::new("abcXYZ12");
        assert!(epoch.is_some());
        for (text, pos, to_device, epoch) in [
            ("s40", 40, 40, None),
            ("s40_38", 40, 38, None),
            ("s40.abcXYZ12", 40, 40, epoch.clone()),
            ("s40_38.abcXYZ12", 40, 38, epoch),
        ] {
            let token = Token { pos: Pos::new(pos), to_device: Pos::new(to_device), epoch };
            assert_eq!(Token::parse(text).as_ref(), Some(&token), "{text}");
            assert_eq!(token.to_string(), text);
        }
        assert_eq!(Token::parse("40"), Some(Token::new(Pos::new(40), None)));
        for text in [
            "",
            "s",
            "-1",
            "s-1",
            "s+1",
            "nonsense",
            "s40_",
            "s40_41",
            "s40_1_1",
            "s40.",
            "s40.a b",
            "s40.a.b",
            "s40_38.é",
            "s99999999999999999999",
            "s40.abcdefghijklmnopqrstuvwxyzabcdefg",
        ] {
            assert_eq!(Token::parse(text), None, "{text}");
        }
    }

    #[test]
    fn sliding_tokens() {
        for epoch in [None, Epoch::new("abc")] {
            let token = SlidingToken { connection: 1, version: 2, upto: Pos::new(3), round: 4, epoch };
            assert_eq!(SlidingToken::parse(&token.to_string()), Some(token));
        }
        for text in
            ["", "1", "1_2_3", "1_2_3_4_5", "1_2_3_-4", "s1_2_3_4", "1_2_3_99999999999999999999", "1_2_3_4."]
        {
            assert_eq!(SlidingToken::parse(text), None, "{text}");
        }
    }
}
