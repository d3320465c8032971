//! Access tokens, stored as SHA-256 digests.

use reeve_db::{DbError, ReadTx, Tx, params};
use reeve_model::{Millis, RateLimitOverride, Scopes, Session, TokenHash, User, UserNum};

use crate::{roles, users};

reeve_db::statements! {
    /// One statement, since it runs on every authenticated request.
    FIND = "SELECT u.num, u.user_id, u.created_ts, u.displayname, u.avatar_url, u.user_type, u.is_guest, u.admin, \
            u.deactivated, u.locked, u.shadow_banned, u.suspended, u.erased, u.appservice_id, u.consent_version, \
            u.consent_server_notice_sent, u.consent_ts, u.last_seen_ts, u.role, \
            u.password_change_required, \
            t.owner_num, t.device_id, t.valid_until_ts, t.unconfirmed, v.expiration_ts, a.messages_per_second, \
            a.burst_count \
            FROM access_tokens t JOIN users u ON u.num = t.acting_num \
            LEFT JOIN account_validity v ON v.user_id = u.user_id \
            LEFT JOIN ratelimit_overrides a ON a.user_num = t.acting_num WHERE t.token_hash = $1";
    /// The owner of a token that acts as another account.
    OWNER = "SELECT o.user_id, o.admin, o.role, w.expiration_ts, b.messages_per_second, b.burst_count FROM users o \
             LEFT JOIN account_validity w ON w.user_id = o.user_id \
             LEFT JOIN ratelimit_overrides b ON b.user_num = o.num WHERE o.num = $1";
    INSERT = "INSERT INTO access_tokens (token_hash, owner_num, acting_num, device_id, valid_until_ts, created_ts, \
              unconfirmed) VALUES ($1, $2, $3, $4, $5, $6, $7)";
    DELETE = "DELETE FROM access_tokens WHERE token_hash = $1";
    CONFIRM = "UPDATE access_tokens SET unconfirmed = 0 WHERE token_hash = $1";
    DELETE_OF_OWNER = "DELETE FROM access_tokens WHERE owner_num = $1";
    DELETE_OF_OWNER_BUT = "DELETE FROM access_tokens WHERE owner_num = $1 AND token_hash <> $2";
    DELETE_OF_DEVICE = "DELETE FROM access_tokens WHERE owner_num = $1 AND device_id = $2";
    DELETE_ACTING_AS = "DELETE FROM access_tokens WHERE acting_num = $1";
    DELETE_ACTING_AS_OTHERS_OF_ROLE = "DELETE FROM access_tokens WHERE acting_num <> owner_num \
                                       AND owner_num IN (SELECT num FROM users WHERE role = $1)";
    DELETE_ACTING_AS_OTHERS = "DELETE FROM access_tokens WHERE owner_num = $1 AND acting_num <> owner_num";
}

/// A new access token.
#[derive(Clone, Debug)]
pub struct NewAccessToken<'a> {
    /// Its digest.
    pub token_hash: &'a TokenHash,
    /// The account that owns it.
    pub owner_num: UserNum,
    /// The account it acts as.
    pub acting_num: UserNum,
    /// The device of the session.
    pub device_id: Option<&'a str>,
    /// The time at which it expires, in milliseconds.
    pub valid_until_ts: Option<Millis>,
    /// The time of its creation.
    pub created_ts: Millis,
    /// True if it was issued by a refresh.
    pub unconfirmed: bool,
}

fn limit(messages_per_second: Option<i64>, burst_count: Option<i64>) -> Option<RateLimitOverride> {
    Some(RateLimitOverride { messages_per_second: messages_per_second?, burst_count: burst_count? })
}

/// Returns the session of a token, even if it has expired; `None` if the token is unknown. A required change of the password
/// does not restrict it yet.
pub fn find(tx: &ReadTx<'_>, token_hash: &TokenHash) -> Result<Option<Session>, DbError> {
    let found = tx.query_opt(&FIND, &params![token_hash], |row| {
        Ok(Session {
            token_hash: *token_hash,
            user: users::from_row(row)?,
            owner_num: row.get(20)?,
            device_id: row.get(21)?,
            valid_until_ts: row.get(22)?,
            unconfirmed: row.get(23)?,
            expiration_ts: row.get(24)?,
            impersonator: None,
            scopes: Scopes::NONE,
            must_change_password: false,
            limit: limit(row.get(25)?, row.get(26)?),
            owner_limit: None,
        })
    })?;
    let Some(session) = found else { return Ok(None) };
    let scopes = roles::scopes(tx, &session.user)?;
    let session = Session { scopes, ..session };
    if session.owner_num == session.user.num { Ok(Some(session)) } else { owned(tx, session) }
}

/// Adds to a session that acts as another account what its owner allows; `None` if there is no owner.
fn owned(tx: &ReadTx<'_>, session: Session) -> Result<Option<Session>, DbError> {
    let found = tx.query_opt(&OWNER, &params![session.owner_num], |row| {
        let owner = User { user_id: row.get(0)?, admin: row.get(1)?, role: row.get(2)?, ..User::default() };
        let expiration_ts: Option<Millis> = row.get(3)?;
        Ok((owner, expiration_ts, limit(row.get(4)?, row.get(5)?)))
    })?;
    let Some((owner, expiration_ts, owner_limit)) = found else { return Ok(None) };
    let scopes =
        if session.scopes.is_empty() { Scopes::NONE } else { session.scopes.and(roles::scopes(tx, &owner)?) };
    Ok(Some(Session {
        impersonator: Some(owner.user_id),
        expiration_ts: [session.expiration_ts, expiration_ts].into_iter().flatten().min(),
        scopes,
        owner_limit,
        ..session
    }))
}

/// Stores a token.
pub fn insert(tx: &mut Tx<'_>, token: &NewAccessToken<'_>) -> Result<(), DbError> {
    tx.execute(
        &INSERT,
        &params![
            token.token_hash,
            token.owner_num,
            token.acting_num,
            token.device_id,
            token.valid_until_ts,
            token.created_ts,
            token.unconfirmed
        ],
    )?;
    Ok(())
}

/// Deletes one token; returns the number of deleted tokens.
pub fn delete(tx: &mut Tx<'_>, token_hash: &TokenHash) -> Result<u64, DbError> {
    tx.execute(&DELETE, &params![token_hash])
}

/// Marks a token as used.
pub fn confirm(tx: &mut Tx<'_>, token_hash: &TokenHash) -> Result<(), DbError> {
    tx.execute(&CONFIRM, &params![token_hash])?;
    Ok(())
}

/// Deletes every token that an account owns (those with which it acts as others included), except one.
pub fn delete_of_owner(tx: &mut Tx<'_>, owner_num: UserNum, but: Option<&TokenHash>) -> Result<u64, DbError> {
    match but {
        None => tx.execute(&DELETE_OF_OWNER, &params![owner_num]),
        Some(token_hash) => tx.execute(&DELETE_OF_OWNER_BUT, &params![owner_num, token_hash]),
    }
}

/// Deletes the tokens of one device.
pub fn delete_of_device(tx: &mut Tx<'_>, owner_num: UserNum, device_id: &str) -> Result<u64, DbError> {
    tx.execute(&DELETE_OF_DEVICE, &params![owner_num, device_id])
}

/// Deletes every token that acts as an account, of any owner.
pub fn delete_acting_as(tx: &mut Tx<'_>, acting_num: UserNum) -> Result<u64, DbError> {
    tx.execute(&DELETE_ACTING_AS, &params![acting_num])
}

/// Deletes the tokens with which the holders of a role other than owner act as others.
pub fn delete_acting_as_others_of_role(tx: &mut Tx<'_>, role: &str) -> Result<u64, DbError> {
    tx.execute(&DELETE_ACTING_AS_OTHERS_OF_ROLE, &params![role])
}

/// Deletes the tokens with which an account acts as others.
pub fn delete_acting_as_others(tx: &mut Tx<'_>, owner_num: UserNum) -> Result<u64, DbError> {
    tx.execute(&DELETE_ACTING_AS_OTHERS, &params![owner_num])
}
