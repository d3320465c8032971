//! The audit log.

use reeve_db::{DbError, ReadTx, Tx, params};

reeve_db::statements! {
    INSERT = "INSERT INTO audit (ts, actor, ip, request_id, action, target, changes) VALUES ($1, $2, $3, $4, $5, $6, $7)";
}

/// A deed to write down.
#[derive(Debug)]
pub struct NewEntry<'a> {
    /// When, in milliseconds.
    pub ts: i64,
    /// Who.
    pub actor: &'a str,
    /// From which address.
    pub ip: Option<&'a str>,
    /// In which request.
    pub request_id: &'a str,
    /// What, as a dotted name.
    pub action: &'a str,
    /// To whom.
    pub target: &'a str,
    /// What changed, as JSON without secrets.
    pub changes: &'a str,
}

/// Writes a deed down.
pub fn insert(tx: &mut Tx<'_>, entry: &NewEntry<'_>) -> Result<(), DbError> {
    tx.execute(
        &INSERT,
        &params![entry.ts, entry.actor, entry.ip, entry.request_id, entry.action, entry.target, entry.changes],
    )?;
    Ok(())
}
