//! The index of the words of events.

use reeve_db::{DbError, ReadTx, Tx, params};
use reeve_model::{Pos, RoomNum};

use crate::words;

reeve_db::statements! {
    /// `$2`: the words, in the form of [`words::document`].
    INDEX = {
        sqlite: "INSERT INTO event_words (rowid, words) VALUES ($1, $2)",
        postgres: "INSERT INTO event_words (pos, words) VALUES ($1, \
                   array_to_tsvector(ARRAY(SELECT json_array_elements_text(CAST(CAST($2 AS TEXT) AS JSON)))))",
    };
    FORGET = {
        sqlite: "DELETE FROM event_words WHERE rowid = $1",
        postgres: "DELETE FROM event_words WHERE pos = $1",
    };
    /// `$1`: the words, in the form of [`words::query`].
    SEARCH = {
        sqlite: "SELECT e.pos, e.room_num FROM event_words s JOIN events e ON e.pos = s.rowid \
                 WHERE event_words MATCH $1 AND s.rowid < $2 ORDER BY s.rowid DESC LIMIT $3",
        postgres: "SELECT e.pos, e.room_num FROM event_words s JOIN events e ON e.pos = s.pos \
                   WHERE s.words @@ CAST(CAST($1 AS TEXT) AS TSQUERY) AND s.pos < $2 ORDER BY s.pos DESC LIMIT $3",
    };
}

/// Adds an event with the words of a text to the index.
pub fn index(tx: &mut Tx<'_>, pos: Pos, text: &str) -> Result<(), DbError> {
    if let Some(document) = words::document(tx.engine(), text) {
        tx.execute(&INDEX, &params![pos, &document])?;
    }
    Ok(())
}

/// Removes an event from the index.
pub fn forget(tx: &mut Tx<'_>, pos: Pos) -> Result<(), DbError> {
    tx.execute(&FORGET, &params![pos])?;
    Ok(())
}

/// Returns the positions and room numbers of events before a position that have all words of a text, in any order, the
/// newest first.
pub fn search(tx: &ReadTx<'_>, text: &str, before: Pos, limit: i64) -> Result<Vec<(Pos, RoomNum)>, DbError> {
    let Some(query) = words::query(tx.engine(), text) else { return Ok(Vec::new()) };
    tx.query(&SEARCH, &params![&query, before, limit], |row| Ok((row.get(0)?, row.get(1)?)))
}
