//! The epochs of the stream.

use reeve_db::{DbError, ReadTx, Tx, params};
use reeve_model::Pos;

reeve_db::statements! {
    INSERT = "INSERT INTO stream_epochs (began_pos, epoch) VALUES ($1, $2)";
    NEWEST = "SELECT epoch FROM stream_epochs ORDER BY began_pos DESC LIMIT 1";
    BEGINNING = "SELECT began_pos FROM stream_epochs WHERE epoch = $1";
    FIRST_AFTER = "SELECT began_pos FROM stream_epochs WHERE began_pos > $1 ORDER BY began_pos LIMIT 1";
    OLD = "SELECT began_pos FROM stream_epochs ORDER BY began_pos DESC LIMIT 1 OFFSET $1";
    DELETE = "DELETE FROM stream_epochs WHERE began_pos <= $1 \
              AND began_pos > (SELECT min(began_pos) FROM stream_epochs)";
}

/// Stores an epoch that begins at a position.
pub fn insert(tx: &mut Tx<'_>, epoch: &str, began_pos: Pos) -> Result<(), DbError> {
    tx.execute(&INSERT, &params![began_pos, epoch])?;
    Ok(())
}

/// Returns the newest epoch; `None` before the first start of a server.
pub fn newest(tx: &ReadTx<'_>) -> Result<Option<String>, DbError> {
    tx.query_opt(&NEWEST, &params![], |row| row.get(0))
}

/// Returns the position at which an epoch began, if it is known.
pub fn beginning(tx: &ReadTx<'_>, epoch: &str) -> Result<Option<Pos>, DbError> {
    tx.query_opt(&BEGINNING, &params![epoch], |row| row.get(0))
}

/// Returns the position at which the first epoch after a position began, if there is one.
pub fn first_after(tx: &ReadTx<'_>, pos: Pos) -> Result<Option<Pos>, DbError> {
    tx.query_opt(&FIRST_AFTER, &params![pos], |row| row.get(0))
}

/// Deletes old epochs except the first. `kept` is the number of the newest that stay.
pub fn prune(tx: &mut Tx<'_>, kept: i64) -> Result<(), DbError> {
    if let Some(last) = tx.query_opt(&OLD, &params![kept], |row| row.get::<Pos>(0))? {
        tx.execute(&DELETE, &params![last])?;
    }
    Ok(())
}
