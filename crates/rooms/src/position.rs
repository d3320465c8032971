//! Positions in the stream as clients carry them, and the check that a position belongs to this database's past.
//!
//! A restored backup undoes everything after it, and the stream takes the same positions again for other things. A
//! client that continues from such a position would miss them. So each start of a server, and each command that writes,
//! begins an epoch at a new position of the stream, and each token names the epoch in which its position was given out.
//! A position is known if its epoch is, and if it is below the beginning of the next epoch. After a restore, the epoch
//! of the backup ends before anything new is written, and epochs that began later are unknown. No process needs to know
//! that, or when, a backup was restored.
//!
//! A dump of PostgreSQL may hold a sequence that is ahead of its rows by the writes during the dump. Tokens of these
//! few positions count as known; everything that comes later is above them.

use reeve_db::{DbError, ReadTx, Tx};
use reeve_model::{Epoch, Pos, Token, random};
use reeve_store::{stream, stream_epochs};

/// The length of the name of an epoch.
const NAME: usize = 8;
/// The maximum number of stored epochs. A client whose token is from an older one syncs from the beginning.
const MAX: i64 = 100_000;
/// A position below every epoch.
const BEFORE_ALL: Pos = Pos::ZERO.prev();

/// Begins an epoch, before anything else is written to a database that may have been restored.
pub fn begin_epoch(tx: &mut Tx<'_>) -> Result<(), DbError> {
    // A transaction that takes a position holds the stream until it ends. So no reader sees a position above this one
    // without seeing the epoch, and positions in the former epoch are below it.
    let pos = stream::next(tx)?;
    stream_epochs::insert(tx, &random::letters(NAME), pos)?;
    stream_epochs::prune(tx, MAX)
}

/// Positions and tokens, as one transaction sees them.
#[derive(Clone, Debug)]
pub struct Positions {
    epoch: Option<Epoch>,
}

impl Positions {
    /// Returns those of a transaction.
    pub fn of(tx: &ReadTx<'_>) -> Result<Self, DbError> {
        Ok(Self { epoch: stream_epochs::newest(tx)?.and_then(|name| Epoch::new(&name)) })
    }

    /// Returns the epoch in which positions are given out now.
    pub fn epoch(&self) -> Option<Epoch> {
        self.epoch.clone()
    }

    /// Returns the token of a position.
    pub fn token(&self, pos: Pos) -> Token {
        Token::new(pos, self.epoch())
    }

    /// Returns true if a token's position belongs to this database's past. Tokens without epoch are from before the
    /// first one.
    pub fn knows(&self, tx: &ReadTx<'_>, token: &Token) -> Result<bool, DbError> {
        let began = match &token.epoch {
            None => Some(BEFORE_ALL),
            epoch if *epoch == self.epoch => return Ok(true),
            Some(epoch) => stream_epochs::beginning(tx, epoch.name())?,
        };
        let Some(began) = began else { return Ok(false) };
        Ok(stream_epochs::first_after(tx, began)?.is_none_or(|end| token.pos < end))
    }

    /// Returns the position from which a page begins: that of its token; the newest, if it was undone.
    pub fn start(&self, tx: &ReadTx<'_>, token: &Token) -> Result<Pos, DbError> {
        if self.knows(tx, token)? { Ok(token.pos) } else { stream::current(tx) }
    }
}
