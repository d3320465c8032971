//! Connections of accounts: a row for each access token and address.

use reeve_db::{DbError, ReadTx, Tx, params};
use reeve_model::{Millis, TokenHash, UserNum};

reeve_db::statements! {
    RECORD = "INSERT INTO user_connections (user_num, token_hash, ip, user_agent, device_id, last_seen_ts) \
              VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (user_num, token_hash, ip) DO UPDATE SET \
              user_agent = excluded.user_agent, device_id = excluded.device_id, last_seen_ts = excluded.last_seen_ts";
    OF_USER = "SELECT user_num, token_hash, ip, user_agent, device_id, last_seen_ts FROM user_connections \
               WHERE user_num = $1 ORDER BY last_seen_ts DESC LIMIT $2";
    PRUNE = "DELETE FROM user_connections WHERE (user_num, token_hash, ip) IN \
             (SELECT user_num, token_hash, ip FROM user_connections WHERE last_seen_ts < $1 ORDER BY last_seen_ts LIMIT $2)";
}

/// The number of rows that one call prunes.
const PRUNE_AT_ONCE: i64 = 1000;

/// A connection of an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Connection {
    /// The account that owns the token.
    pub user_num: UserNum,
    /// The digest of the token.
    pub token_hash: TokenHash,
    /// The address of the client.
    pub ip: String,
    /// The user agent of the client.
    pub user_agent: String,
    /// The device of the session.
    pub device_id: Option<String>,
    /// The time at which it was last seen, in milliseconds.
    pub last_seen_ts: Millis,
}

/// Stores a connection, or the time at which it was seen again.
pub fn record(tx: &mut Tx<'_>, connection: &Connection) -> Result<(), DbError> {
    tx.execute(
        &RECORD,
        &params![
            connection.user_num,
            connection.token_hash,
            &connection.ip,
            &connection.user_agent,
            &connection.device_id,
            connection.last_seen_ts
        ],
    )?;
    Ok(())
}

/// Returns up to `limit` connections of an account, the newest first.
pub fn of_user(tx: &ReadTx<'_>, user_num: UserNum, limit: i64) -> Result<Vec<Connection>, DbError> {
    tx.query(&OF_USER, &params![user_num, limit], |row| {
        Ok(Connection {
            user_num: row.get(0)?,
            token_hash: row.get(1)?,
            ip: row.get(2)?,
            user_agent: row.get(3)?,
            device_id: row.get(4)?,
            last_seen_ts: row.get(5)?,
        })
    })
}

/// Deletes some of the connections last seen before a time; returns their number.
pub fn prune(tx: &mut Tx<'_>, before_ts: Millis) -> Result<u64, DbError> {
    tx.execute(&PRUNE, &params![before_ts, PRUNE_AT_ONCE])
}
