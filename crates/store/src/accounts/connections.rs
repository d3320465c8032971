//! Connections of accounts: a row for each access token and address.

use std::net::IpAddr;

use reeve_db::{DbError, ReadTx, Row, Tx, params};
use reeve_model::{Millis, Network, TokenHash, UserNum};

use crate::retention::{Ages, Part};

reeve_db::statements! {
    RECORD = "INSERT INTO user_connections (user_num, token_hash, ip, user_agent, device_id, last_seen_ts, ip_key) \
              VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (user_num, token_hash, ip) DO UPDATE SET \
              user_agent = excluded.user_agent, device_id = excluded.device_id, last_seen_ts = excluded.last_seen_ts";
    OF_USER = "SELECT user_num, token_hash, ip, user_agent, device_id, last_seen_ts FROM user_connections \
               WHERE user_num = $1 ORDER BY last_seen_ts DESC LIMIT $2";
    PAGE_OF_USER = "SELECT user_num, token_hash, ip, user_agent, device_id, last_seen_ts FROM user_connections \
                    WHERE user_num = $1 AND (token_hash, ip) > ($2, $3) ORDER BY token_hash, ip LIMIT $4";
    PRUNE = "DELETE FROM user_connections WHERE (user_num, token_hash, ip) IN \
             (SELECT user_num, token_hash, ip FROM user_connections WHERE last_seen_ts < $1 ORDER BY last_seen_ts LIMIT $2)";
    NTH_OLD = "SELECT last_seen_ts FROM user_connections WHERE last_seen_ts >= $1 AND last_seen_ts < $2 \
               ORDER BY last_seen_ts LIMIT 1 OFFSET $3";
    COUNT_OLD = "SELECT count(*) FROM user_connections WHERE last_seen_ts >= $1 AND last_seen_ts < $2";
    IN_RANGE = "SELECT user_num FROM user_connections WHERE ip_key >= $1 AND ip_key <= $2";
    UNKEYED = "SELECT user_num, token_hash, ip FROM user_connections WHERE ip_key IS NULL LIMIT $1";
    SET_KEY = "UPDATE user_connections SET ip_key = $4 WHERE user_num = $1 AND token_hash = $2 AND ip = $3";
}

/// The number of rows to which one call adds their keys.
const KEYS_AT_ONCE: i64 = 1000;

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
            connection.last_seen_ts,
            key_of(&connection.ip)
        ],
    )?;
    Ok(())
}

/// Returns up to `limit` connections of an account, the newest first.
pub fn of_user(tx: &ReadTx<'_>, user_num: UserNum, limit: i64) -> Result<Vec<Connection>, DbError> {
    tx.query(&OF_USER, &params![user_num, limit], from_row)
}

fn from_row(row: &Row<'_>) -> Result<Connection, DbError> {
    Ok(Connection {
        user_num: row.get(0)?,
        token_hash: row.get(1)?,
        ip: row.get(2)?,
        user_agent: row.get(3)?,
        device_id: row.get(4)?,
        last_seen_ts: row.get(5)?,
    })
}

/// Returns some of the connections of an account after one of them, in the order of tokens and addresses.
pub fn page_of_user(
    tx: &ReadTx<'_>,
    user_num: UserNum,
    after: Option<&Connection>,
    limit: i64,
) -> Result<Vec<Connection>, DbError> {
    let (token_hash, ip) = after.map_or((&[][..], ""), |last| (&last.token_hash[..], &last.ip));
    tx.query(&PAGE_OF_USER, &params![user_num, token_hash, ip, limit], from_row)
}

/// Counts about `most` of the connections last seen from a time on and before another.
pub fn count_old(tx: &ReadTx<'_>, from: Millis, before: Millis, most: i64) -> Result<Part, DbError> {
    Ages { nth: &NTH_OLD, count: &COUNT_OLD }.part(tx, from, before, most)
}

/// Deletes up to `most` of the connections last seen before a time; returns their number.
pub fn prune(tx: &mut Tx<'_>, before_ts: Millis, most: i64) -> Result<u64, DbError> {
    tx.execute(&PRUNE, &params![before_ts, most])
}

/// Returns the text that sorts an address among others of its kind.
fn key(ip: IpAddr) -> String {
    match ip.to_canonical() {
        IpAddr::V4(ip) => format!("4{:08x}", ip.to_bits()),
        IpAddr::V6(ip) => format!("6{:032x}", ip.to_bits()),
    }
}

/// Returns the key of an address as a text; blank if it is none.
fn key_of(ip: &str) -> String {
    ip.parse().map(key).unwrap_or_default()
}

/// Returns the accounts that were seen from a network, each at least once.
pub fn in_network(tx: &ReadTx<'_>, network: &Network) -> Result<Vec<UserNum>, DbError> {
    let (first, last) = network.bounds();
    let mut found = tx.query(&IN_RANGE, &params![key(first), key(last)], |row| row.get(0))?;
    // Those that are not in the index yet.
    let rest: Vec<(UserNum, String)> =
        tx.query(&UNKEYED, &params![i64::MAX], |row| Ok((row.get(0)?, row.get(2)?)))?;
    let is_in = |ip: &str| ip.parse().is_ok_and(|ip| network.contains(ip));
    found.extend(rest.into_iter().filter(|(_, ip)| is_in(ip)).map(|(num, _)| num));
    Ok(found)
}

/// Adds the keys of addresses to some rows that lack them; returns true if there may be more.
pub fn add_keys(tx: &mut Tx<'_>) -> Result<bool, DbError> {
    let rows: Vec<(UserNum, TokenHash, String)> =
        tx.query(&UNKEYED, &params![KEYS_AT_ONCE], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
    for (num, token_hash, ip) in &rows {
        tx.execute(&SET_KEY, &params![*num, *token_hash, ip, key_of(ip)])?;
    }
    Ok(!rows.is_empty())
}
