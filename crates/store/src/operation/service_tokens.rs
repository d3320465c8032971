//! Service tokens and their secrets, which are stored as SHA-256 digests.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use reeve_db::{DbError, ReadTx, Row, Tx, params};
use reeve_model::{Actor, ActorKind, Millis, Network, Scopes, Service, ServiceTokenNum, TokenHash};

use crate::paging::SortKey;

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT num, name, description, scopes, networks, created_by_kind, created_by, created_ts, expires_ts, \
             last_used_ts, last_used_ip FROM service_tokens ",
            $rest
        )
    };
}

reeve_db::statements! {
    /// One statement, since it runs on every request with such a token.
    CALLER = "SELECT t.num, t.name, t.scopes, t.networks, t.expires_ts, s.valid_until_ts FROM service_token_secrets s \
              JOIN service_tokens t ON t.num = s.token_num WHERE s.token_hash = $1";
    FIND = select!("WHERE name = $1");
    LIST = select!("WHERE (created_ts, num) < ($1, $2) ORDER BY created_ts DESC, num DESC LIMIT $3");
    INSERT = "INSERT INTO service_tokens (name, description, scopes, networks, created_by_kind, created_by, created_ts, \
              expires_ts) VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (name) DO NOTHING RETURNING num";
    UPDATE = "UPDATE service_tokens SET description = $2, scopes = $3, networks = $4, expires_ts = $5 WHERE num = $1";
    TOUCH = "UPDATE service_tokens SET last_used_ts = $2, last_used_ip = $3 WHERE num = $1 \
             AND (last_used_ts IS NULL OR last_used_ts < $2)";
    COUNT_ADDRESSES = "SELECT count(*) FROM service_tokens WHERE last_used_ip IS NOT NULL AND last_used_ts < $1";
    CLEAR_ADDRESSES = "UPDATE service_tokens SET last_used_ip = NULL WHERE last_used_ip IS NOT NULL AND last_used_ts < $1";
    DELETE = "DELETE FROM service_tokens WHERE num = $1";
    COUNT = "SELECT count(*) FROM service_tokens";
    COUNT_SECRETS = "SELECT count(*) FROM service_token_secrets WHERE token_num = $1 \
                     AND (valid_until_ts IS NULL OR valid_until_ts > $2)";
    INSERT_SECRET = "INSERT INTO service_token_secrets (token_hash, token_num, created_ts) VALUES ($1, $2, $3)";
    END_SECRETS = "UPDATE service_token_secrets SET valid_until_ts = $2 WHERE token_num = $1 \
                   AND (valid_until_ts IS NULL OR valid_until_ts > $2)";
    DELETE_SECRETS = "DELETE FROM service_token_secrets WHERE token_num = $1";
    PRUNE = "DELETE FROM service_token_secrets WHERE valid_until_ts <= $1";
}

/// The terms of a service token: its purpose, its scopes, and from where and until when it can be used.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Terms {
    /// Its purpose, for people.
    pub description: String,
    /// The scopes that it holds.
    pub scopes: Scopes,
    /// The networks from which it can be used; none for anywhere.
    pub networks: Vec<Network>,
    /// The time of its expiry; `None` for never.
    pub expires_ts: Option<Millis>,
}

/// A service token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceToken {
    /// The number of the token.
    pub num: ServiceTokenNum,
    /// Its name, which never changes.
    pub name: String,
    /// Its terms.
    pub terms: Terms,
    /// The kind of the actor who created it.
    pub created_by_kind: ActorKind,
    /// The id of that actor among those of the kind.
    pub created_by: String,
    /// The time of its creation.
    pub created_ts: Millis,
    /// Its last use that was written; `None` if there was none.
    pub last_used: Option<LastUse>,
}

impl ServiceToken {
    /// Returns its key in the list of tokens, by the time of its creation.
    pub fn sort_key(&self) -> SortKey<ServiceTokenNum> {
        SortKey { ts: self.created_ts, id: self.num }
    }
}

/// The last use of a service token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LastUse {
    /// The time.
    pub ts: Millis,
    /// The address of the client; `None` once it was deleted for its age.
    pub ip: Option<String>,
}

/// Values separated by spaces.
fn joined<T: fmt::Display>(values: &[T]) -> String {
    values.iter().map(T::to_string).collect::<Vec<_>>().join(" ")
}

fn parsed<T: FromStr>(text: &str) -> Result<T, DbError> {
    text.parse().map_err(|_| DbError::Internal(format!("a service token has {text:?}")))
}

fn networks(text: &str) -> Result<Vec<Network>, DbError> {
    text.split_whitespace().map(parsed).collect()
}

fn from_row(row: &Row<'_>) -> Result<ServiceToken, DbError> {
    let last_used_ts: Option<Millis> = row.get(9)?;
    let ip: Option<String> = row.get(10)?;
    Ok(ServiceToken {
        num: row.get(0)?,
        name: row.get(1)?,
        terms: Terms {
            description: row.get(2)?,
            scopes: parsed(&row.get::<String>(3)?)?,
            networks: networks(&row.get::<String>(4)?)?,
            expires_ts: row.get(8)?,
        },
        created_by_kind: row.get(5)?,
        created_by: row.get(6)?,
        created_ts: row.get(7)?,
        last_used: last_used_ts.map(|ts| LastUse { ts, ip }),
    })
}

/// Returns the service token of a secret, even if one of them has expired; `None` if the secret is unknown.
pub fn caller(tx: &ReadTx<'_>, token_hash: &TokenHash) -> Result<Option<Service>, DbError> {
    tx.query_opt(&CALLER, &params![token_hash], |row| {
        Ok(Service {
            num: row.get(0)?,
            name: Arc::from(row.get::<String>(1)?),
            scopes: parsed(&row.get::<String>(2)?)?,
            networks: networks(&row.get::<String>(3)?)?,
            expires_ts: row.get(4)?,
            secret_until_ts: row.get(5)?,
        })
    })
}

/// Returns the token of a name.
pub fn find(tx: &ReadTx<'_>, name: &str) -> Result<Option<ServiceToken>, DbError> {
    tx.query_opt(&FIND, &params![name], from_row)
}

/// Returns tokens before a key, the newest first.
pub fn list(
    tx: &ReadTx<'_>,
    before: &SortKey<ServiceTokenNum>,
    limit: i64,
) -> Result<Vec<ServiceToken>, DbError> {
    tx.query(&LIST, &params![before.ts, before.id, limit], from_row)
}

/// Returns the number of tokens.
pub fn count(tx: &ReadTx<'_>) -> Result<i64, DbError> {
    tx.query_one(&COUNT, &params![], |row| row.get(0))
}

/// Returns the number of secrets of a token that are valid at a time.
pub fn count_secrets(tx: &ReadTx<'_>, num: ServiceTokenNum, now: Millis) -> Result<i64, DbError> {
    tx.query_one(&COUNT_SECRETS, &params![num, now], |row| row.get(0))
}

/// Adds a token without a secret; returns its number, or `None` if there is one of this name.
pub fn insert(
    tx: &mut Tx<'_>,
    name: &str,
    terms: &Terms,
    created_by: &Actor,
    now: Millis,
) -> Result<Option<ServiceTokenNum>, DbError> {
    let Terms { description, scopes, networks, expires_ts } = terms;
    let (scopes, networks) = (scopes.to_string(), joined(networks));
    let (kind, id) = (created_by.kind(), created_by.id());
    let params = params![*name, description, scopes, networks, kind, *id, now, *expires_ts];
    Ok(tx.returning(&INSERT, &params, |row| row.get(0))?.pop())
}

/// Changes the terms of a token.
pub fn update(tx: &mut Tx<'_>, num: ServiceTokenNum, terms: &Terms) -> Result<(), DbError> {
    let Terms { description, scopes, networks, expires_ts } = terms;
    let (scopes, networks) = (scopes.to_string(), joined(networks));
    tx.execute(&UPDATE, &params![num, description, scopes, networks, *expires_ts])?;
    Ok(())
}

/// Stores the last use of a token, unless a later one is stored.
pub fn touch(tx: &mut Tx<'_>, num: ServiceTokenNum, last_use: &LastUse) -> Result<(), DbError> {
    tx.execute(&TOUCH, &params![num, last_use.ts, last_use.ip])?;
    Ok(())
}

/// Returns the number of tokens with an address that were last used before a time.
pub fn count_addresses(tx: &ReadTx<'_>, before: Millis) -> Result<i64, DbError> {
    tx.query_one(&COUNT_ADDRESSES, &params![before], |row| row.get(0))
}

/// Removes the addresses of tokens that were last used before a time; returns their number.
pub fn clear_addresses(tx: &mut Tx<'_>, before: Millis) -> Result<u64, DbError> {
    tx.execute(&CLEAR_ADDRESSES, &params![before])
}

/// Deletes a token with its secrets.
pub fn delete(tx: &mut Tx<'_>, num: ServiceTokenNum) -> Result<(), DbError> {
    delete_secrets(tx, num)?;
    tx.execute(&DELETE, &params![num])?;
    Ok(())
}

/// Adds a secret of a token, by its digest.
pub fn insert_secret(
    tx: &mut Tx<'_>,
    num: ServiceTokenNum,
    token_hash: &TokenHash,
    now: Millis,
) -> Result<(), DbError> {
    tx.execute(&INSERT_SECRET, &params![token_hash, num, now])?;
    Ok(())
}

/// Lets the secrets of a token end at a time, those that end earlier excepted.
pub fn end_secrets(tx: &mut Tx<'_>, num: ServiceTokenNum, until: Millis) -> Result<(), DbError> {
    tx.execute(&END_SECRETS, &params![num, until])?;
    Ok(())
}

/// Deletes the secrets of a token.
pub fn delete_secrets(tx: &mut Tx<'_>, num: ServiceTokenNum) -> Result<(), DbError> {
    tx.execute(&DELETE_SECRETS, &params![num])?;
    Ok(())
}

/// Deletes secrets that have ended.
pub fn prune(tx: &mut Tx<'_>, now: Millis) -> Result<(), DbError> {
    tx.execute(&PRUNE, &params![now])?;
    Ok(())
}
