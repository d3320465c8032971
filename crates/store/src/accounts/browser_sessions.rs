//! Browser sessions, by the SHA-256 digests of the secrets in their cookies.

use reeve_db::{DbError, ReadTx, Tx, params};
use reeve_model::{BrowserSession, Millis, Scopes, TokenHash, UserNum};

use crate::retention::{Ages, Part};
use crate::{roles, users};

reeve_db::statements! {
    /// One statement, since it runs on every request for a page of somebody who signed in.
    FIND = "SELECT u.num, u.user_id, u.created_ts, u.displayname, u.avatar_url, u.user_type, u.is_guest, u.admin, \
            u.deactivated, u.locked, u.shadow_banned, u.suspended, u.erased, u.appservice_id, u.consent_version, \
            u.consent_server_notice_sent, u.consent_ts, u.last_seen_ts, u.role, u.password_change_required, \
            b.proven_ts, b.valid_until_ts, b.last_seen_ts, v.expiration_ts \
            FROM browser_sessions b JOIN users u ON u.num = b.user_num \
            LEFT JOIN account_validity v ON v.user_id = u.user_id WHERE b.token_hash = $1";
    OF_USER = "SELECT token_hash, created_ts, last_seen_ts, ip, user_agent FROM browser_sessions WHERE user_num = $1 \
               AND valid_until_ts > $2 ORDER BY created_ts DESC";
    INSERT = "INSERT INTO browser_sessions (token_hash, user_num, created_ts, proven_ts, last_seen_ts, valid_until_ts, ip, \
              user_agent) VALUES ($1, $2, $3, $3, $3, $4, $5, $6)";
    /// `$3`: the end unless it is used again; `$4`: the longest time since its beginning.
    TOUCH = "UPDATE browser_sessions SET last_seen_ts = $2, \
             valid_until_ts = CASE WHEN created_ts + $4 < $3 THEN created_ts + $4 ELSE $3 END \
             WHERE token_hash = $1 AND last_seen_ts < $2";
    PROVE = "UPDATE browser_sessions SET proven_ts = $2 WHERE token_hash = $1";
    TAKE = "DELETE FROM browser_sessions WHERE token_hash = $1 RETURNING user_num";
    DELETE_OF_USER = "DELETE FROM browser_sessions WHERE user_num = $1";
    DELETE_OF_USER_BUT = "DELETE FROM browser_sessions WHERE user_num = $1 AND token_hash <> $2";
    DELETE_OLDEST = "DELETE FROM browser_sessions WHERE token_hash IN (SELECT token_hash FROM browser_sessions \
                     WHERE user_num = $1 ORDER BY created_ts DESC LIMIT 1000 OFFSET $2)";
    PRUNE = "DELETE FROM browser_sessions WHERE valid_until_ts < $1";
    NTH_ADDRESS = "SELECT last_seen_ts FROM browser_sessions WHERE ip IS NOT NULL AND last_seen_ts >= $1 \
                   AND last_seen_ts < $2 ORDER BY last_seen_ts LIMIT 1 OFFSET $3";
    COUNT_ADDRESSES = "SELECT count(*) FROM browser_sessions WHERE ip IS NOT NULL AND last_seen_ts >= $1 \
                       AND last_seen_ts < $2";
    CLEAR_ADDRESSES = "UPDATE browser_sessions SET ip = NULL WHERE token_hash IN (SELECT token_hash FROM browser_sessions \
                       WHERE ip IS NOT NULL AND last_seen_ts < $1 ORDER BY last_seen_ts LIMIT $2)";
}

/// A browser session, as its account sees it in a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Browser {
    /// The digest of the secret in its cookie.
    pub token_hash: TokenHash,
    /// The time at which the person signed in.
    pub created_ts: Millis,
    /// The time of the last request that was noted.
    pub last_seen_ts: Millis,
    /// The address from which the person signed in, unless it was deleted since.
    pub ip: Option<String>,
    /// The program in which the person signed in, as it names itself.
    pub user_agent: String,
}

/// Returns the session of a cookie, even if it has ended by time; `None` if the cookie is that of no session.
pub fn find(tx: &ReadTx<'_>, token_hash: &TokenHash) -> Result<Option<BrowserSession>, DbError> {
    let found = tx.query_opt(&FIND, &params![token_hash], |row| {
        Ok(BrowserSession {
            token_hash: *token_hash,
            user: users::from_row(row)?,
            scopes: Scopes::NONE,
            must_change_password: false,
            proven_ts: row.get(20)?,
            valid_until_ts: row.get(21)?,
            last_seen_ts: row.get(22)?,
            expiration_ts: row.get(23)?,
        })
    })?;
    let Some(browser) = found else { return Ok(None) };
    let scopes = roles::scopes(tx, &browser.user)?;
    Ok(Some(BrowserSession { scopes, ..browser }))
}

/// Returns the sessions of an account that have not ended by time, the newest first.
pub fn of_user(tx: &ReadTx<'_>, user_num: UserNum, now: Millis) -> Result<Vec<Browser>, DbError> {
    tx.query(&OF_USER, &params![user_num, now], |row| {
        Ok(Browser {
            token_hash: row.get(0)?,
            created_ts: row.get(1)?,
            last_seen_ts: row.get(2)?,
            ip: row.get(3)?,
            user_agent: row.get(4)?,
        })
    })
}

/// A browser session to store.
#[derive(Clone, Copy, Debug)]
pub struct NewBrowserSession<'a> {
    /// The digest of the secret in its cookie.
    pub token_hash: &'a TokenHash,
    /// The account.
    pub user_num: UserNum,
    /// The present time, at which the person has proved to be there.
    pub created_ts: Millis,
    /// The time at which it ends unless it is used again.
    pub valid_until_ts: Millis,
    /// The address of the browser.
    pub ip: Option<&'a str>,
    /// The browser, as it names itself.
    pub user_agent: &'a str,
}

/// Stores a session.
pub fn insert(tx: &mut Tx<'_>, new: &NewBrowserSession<'_>) -> Result<(), DbError> {
    let NewBrowserSession { token_hash, user_num, created_ts, valid_until_ts, ip, user_agent } = *new;
    tx.execute(&INSERT, &params![token_hash, user_num, created_ts, valid_until_ts, ip, user_agent])?;
    Ok(())
}

/// Stores that a session was used, and that it ends later for it: at a time, but at most `longest_ms` milliseconds after its
/// beginning.
pub fn touch(
    tx: &mut Tx<'_>,
    token_hash: &TokenHash,
    now: Millis,
    valid_until_ts: Millis,
    longest_ms: i64,
) -> Result<(), DbError> {
    tx.execute(&TOUCH, &params![token_hash, now, valid_until_ts, longest_ms])?;
    Ok(())
}

/// Stores that the person of a session proved to be there.
pub fn prove(tx: &mut Tx<'_>, token_hash: &TokenHash, now: Millis) -> Result<(), DbError> {
    tx.execute(&PROVE, &params![token_hash, now])?;
    Ok(())
}

/// Deletes a session; returns the account that it was of, if it existed.
pub fn take(tx: &mut Tx<'_>, token_hash: &TokenHash) -> Result<Option<UserNum>, DbError> {
    let taken = tx.returning(&TAKE, &params![token_hash], |row| row.get(0))?;
    Ok(taken.into_iter().next())
}

/// Deletes the sessions of an account, except one; returns their number.
pub fn delete_of_user(tx: &mut Tx<'_>, user_num: UserNum, but: Option<&TokenHash>) -> Result<u64, DbError> {
    match but {
        None => tx.execute(&DELETE_OF_USER, &params![user_num]),
        Some(token_hash) => tx.execute(&DELETE_OF_USER_BUT, &params![user_num, token_hash]),
    }
}

/// Deletes the oldest sessions of an account, so that at most `kept` are left.
pub fn delete_oldest(tx: &mut Tx<'_>, user_num: UserNum, kept: i64) -> Result<u64, DbError> {
    tx.execute(&DELETE_OLDEST, &params![user_num, kept])
}

/// Deletes sessions that ended before a time.
pub fn prune(tx: &mut Tx<'_>, before: Millis) -> Result<u64, DbError> {
    tx.execute(&PRUNE, &params![before])
}

/// Counts about `most` of the sessions with an address that were last seen from a time on and before another.
pub fn count_addresses(tx: &ReadTx<'_>, from: Millis, before: Millis, most: i64) -> Result<Part, DbError> {
    Ages { nth: &NTH_ADDRESS, count: &COUNT_ADDRESSES }.part(tx, from, before, most)
}

/// Removes the addresses of up to `most` sessions that were last seen before a time; returns their number.
pub fn clear_addresses(tx: &mut Tx<'_>, before: Millis, most: i64) -> Result<u64, DbError> {
    tx.execute(&CLEAR_ADDRESSES, &params![before, most])
}
