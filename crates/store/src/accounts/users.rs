//! Accounts.
//!
//! Every change of an account goes through [`insert`], [`update`] or [`touch_last_seen`], which update the counts of
//! the lists and the search index in the same transaction.

use reeve_db::{DbError, ReadTx, Row, Statement, Tx, params};
use reeve_model::{Millis, User, UserNum};
use serde::{Deserialize, Serialize};

use crate::lists::users::{counts, search};
use crate::media_users;
use crate::sql::num_list;

macro_rules! columns {
    () => {
        "num, user_id, created_ts, displayname, avatar_url, user_type, is_guest, admin, deactivated, locked, \
         shadow_banned, suspended, erased, appservice_id, consent_version, consent_server_notice_sent, consent_ts, \
         last_seen_ts, role, password_change_required"
    };
}

reeve_db::statements! {
    FIND = concat!("SELECT ", columns!(), " FROM users WHERE user_id = $1");
    BY_NUM = concat!("SELECT ", columns!(), " FROM users WHERE num = $1");
    /// `$1`: the numbers, in the form of [`num_list`].
    BY_NUMS = {
        sqlite: concat!("SELECT ", columns!(), " FROM json_each($1) AS wanted CROSS JOIN users ON num = wanted.value"),
        postgres: concat!("SELECT ", columns!(), " FROM users WHERE num = ANY (CAST(CAST($1 AS TEXT) AS BIGINT[]))"),
    };
    /// `$1`: the user ids, a JSON array.
    BY_IDS = {
        sqlite: concat!("SELECT ", columns!(), " FROM json_each($1) AS wanted CROSS JOIN users ON user_id = wanted.value"),
        postgres: concat!("SELECT ", columns!(), " FROM users WHERE user_id = ANY (ARRAY( \
                  SELECT json_array_elements_text(CAST(CAST($1 AS TEXT) AS JSON))))"),
    };
    NUM = "SELECT num FROM users WHERE user_id = $1";
    ERASED = "SELECT erased FROM users WHERE user_id = $1";
    USER_ID = "SELECT user_id FROM users WHERE num = $1";
    /// Historical names may have capitals; a new name must not differ from one only in case.
    TAKEN = "SELECT 1 FROM users WHERE user_id = $1 \
             UNION ALL SELECT 1 FROM users WHERE lower(user_id) = $1 AND user_id <> lower(user_id) LIMIT 1";
    ANY_CASE = "SELECT user_id FROM users WHERE user_id = $1 \
                UNION SELECT user_id FROM users WHERE lower(user_id) = $1 AND user_id <> lower(user_id) LIMIT $2";
    ANY_USER_ID = "SELECT user_id FROM users LIMIT 1";
    INSERT = "INSERT INTO users (user_id, created_ts, displayname, avatar_url, user_type, is_guest, admin, \
              deactivated, locked, shadow_banned, suspended, erased, appservice_id, consent_version, \
              consent_server_notice_sent, consent_ts, last_seen_ts, role, password_change_required, password_hash, \
              search_key) \
              VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21) \
              RETURNING num";
    UPDATE = "UPDATE users SET displayname = $2, avatar_url = $3, user_type = $4, is_guest = $5, admin = $6, \
              deactivated = $7, locked = $8, shadow_banned = $9, suspended = $10, erased = $11, \
              appservice_id = $12, consent_version = $13, consent_server_notice_sent = $14, consent_ts = $15, \
              search_key = $16, role = $17, password_change_required = $18 WHERE num = $1";
    SET_LAST_SEEN = "UPDATE users SET last_seen_ts = $2 WHERE num = $1 AND (last_seen_ts IS NULL OR last_seen_ts < $2)";
    PASSWORD_HASH = "SELECT password_hash FROM users WHERE num = $1";
    SET_PASSWORD_HASH = "UPDATE users SET password_hash = $2 WHERE num = $1";
    OTHER_OWNER = "SELECT num FROM users WHERE admin = 1 AND deactivated = 0 AND locked = 0 AND suspended = 0 \
                   AND num <> $1 LIMIT 1";
    /// SQLite takes the lower bound of an expression from a comparison by itself.
    OLD_GUESTS = "SELECT coalesce(last_seen_ts, created_ts), num FROM users WHERE is_guest = 1 AND deactivated = 0 \
                  AND coalesce(last_seen_ts, created_ts) < $1 AND coalesce(last_seen_ts, created_ts) >= $2 \
                  AND (coalesce(last_seen_ts, created_ts), num) > ($2, $3) \
                  ORDER BY coalesce(last_seen_ts, created_ts), num LIMIT $4";
    NEVER_SEEN = "SELECT created_ts, num FROM users WHERE last_seen_ts IS NULL AND is_guest = 0 AND deactivated = 0 \
                  AND appservice_id IS NULL AND created_ts < $1 AND (created_ts, num) > ($2, $3) \
                  ORDER BY created_ts, num LIMIT $4";
    HIGHEST_NUM = "SELECT max(num) FROM users";
}

/// Reads the columns of `columns!()`.
pub(crate) fn from_row(row: &Row<'_>) -> Result<User, DbError> {
    Ok(User {
        num: row.get(0)?,
        user_id: row.get(1)?,
        created_ts: row.get(2)?,
        displayname: row.get(3)?,
        avatar_url: row.get(4)?,
        user_type: row.get(5)?,
        is_guest: row.get(6)?,
        admin: row.get(7)?,
        deactivated: row.get(8)?,
        locked: row.get(9)?,
        shadow_banned: row.get(10)?,
        suspended: row.get(11)?,
        erased: row.get(12)?,
        appservice_id: row.get(13)?,
        consent_version: row.get(14)?,
        consent_server_notice_sent: row.get(15)?,
        consent_ts: row.get(16)?,
        last_seen_ts: row.get(17)?,
        role: row.get(18)?,
        password_change_required: row.get(19)?,
    })
}

/// Returns the account with a user id.
pub fn find(tx: &ReadTx<'_>, user_id: &str) -> Result<Option<User>, DbError> {
    tx.query_opt(&FIND, &params![user_id], from_row)
}

/// Returns the account with a number.
pub fn by_num(tx: &ReadTx<'_>, num: UserNum) -> Result<Option<User>, DbError> {
    tx.query_opt(&BY_NUM, &params![num], from_row)
}

/// Returns the accounts with some numbers, in the order of the numbers. Unknown numbers are left out.
pub fn by_nums(tx: &ReadTx<'_>, nums: &[UserNum]) -> Result<Vec<User>, DbError> {
    let list = num_list(tx.engine(), nums);
    let mut found = tx.query(&BY_NUMS, &params![&list], from_row)?;
    let place: std::collections::HashMap<UserNum, usize> =
        nums.iter().enumerate().map(|(i, num)| (*num, i)).collect();
    found.sort_by_key(|user| place.get(&user.num).copied());
    Ok(found)
}

/// Returns the accounts with some user ids, in no order. Unknown ids are left out; one that occurs twice may be returned
/// twice.
pub fn by_ids(tx: &ReadTx<'_>, user_ids: &[String]) -> Result<Vec<User>, DbError> {
    tx.query(&BY_IDS, &params![serde_json::json!(user_ids).to_string()], from_row)
}

/// Returns the number of the account with a user id.
pub fn num(tx: &ReadTx<'_>, user_id: &str) -> Result<Option<UserNum>, DbError> {
    tx.query_opt(&NUM, &params![user_id], |row| row.get(0))
}

/// Returns true if a user is an account of this server that was erased.
pub fn is_erased(tx: &ReadTx<'_>, user_id: &str) -> Result<bool, DbError> {
    Ok(tx.query_opt(&ERASED, &params![user_id], |row| row.get(0))?.unwrap_or(false))
}

/// Returns the user id of the account with a number.
pub fn user_id(tx: &ReadTx<'_>, num: UserNum) -> Result<Option<String>, DbError> {
    tx.query_opt(&USER_ID, &params![num], |row| row.get(0))
}

/// Returns true if an account has this user id, in any case of letters. `user_id` must be in lower case.
pub fn is_taken(tx: &ReadTx<'_>, user_id: &str) -> Result<bool, DbError> {
    Ok(tx.query_opt(&TAKEN, &params![user_id], |_| Ok(()))?.is_some())
}

/// Returns the account whose user id equals this one; else the only account whose user id differs from it in case
/// alone.
pub fn resolve_case(tx: &ReadTx<'_>, user_id: &str) -> Result<Option<String>, DbError> {
    if num(tx, user_id)?.is_some() {
        return Ok(Some(user_id.to_owned()));
    }
    let mut found = any_case(tx, user_id, 2)?;
    Ok(if found.len() == 1 { found.pop() } else { None })
}

/// Returns up to `limit` of the user ids that equal this one but for the case of letters, in no order.
pub fn any_case(tx: &ReadTx<'_>, user_id: &str, limit: i64) -> Result<Vec<String>, DbError> {
    tx.query(&ANY_CASE, &params![&user_id.to_lowercase(), limit], |row| row.get(0))
}

/// Returns the user id of some account.
pub fn any_user_id(tx: &ReadTx<'_>) -> Result<Option<String>, DbError> {
    tx.query_opt(&ANY_USER_ID, &params![], |row| row.get(0))
}

/// Returns true if there is an owner of the server beside an account whose own account can be used.
pub fn has_other_owner(tx: &ReadTx<'_>, num: UserNum) -> Result<bool, DbError> {
    Ok(tx.query_opt(&OTHER_OWNER, &params![num], |_| Ok(()))?.is_some())
}

/// The place of an account in a list in the order of time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
pub struct AgePlace {
    /// The time by which the list is ordered.
    pub ts: Millis,
    /// The number of the account.
    pub num: UserNum,
}

fn ages(
    tx: &ReadTx<'_>,
    statement: &'static Statement,
    before: Millis,
    after: AgePlace,
    limit: i64,
) -> Result<Vec<AgePlace>, DbError> {
    let params = params![before, after.ts, after.num, limit];
    tx.query(statement, &params, |row| Ok(AgePlace { ts: row.get(0)?, num: row.get(1)? }))
}

/// Returns some of the guests that are not deactivated and were last seen before a time (or, if never, made), after a place.
pub fn old_guests(
    tx: &ReadTx<'_>,
    before: Millis,
    after: AgePlace,
    limit: i64,
) -> Result<Vec<AgePlace>, DbError> {
    ages(tx, &OLD_GUESTS, before, after, limit)
}

/// Returns some of the accounts that were made before a time and never seen, after a place. Guests, deactivated accounts
/// and those of application services are left out.
pub fn never_seen(
    tx: &ReadTx<'_>,
    before: Millis,
    after: AgePlace,
    limit: i64,
) -> Result<Vec<AgePlace>, DbError> {
    ages(tx, &NEVER_SEEN, before, after, limit)
}

/// Returns the highest number so far; 0 if there is no account.
pub fn highest_num(tx: &ReadTx<'_>) -> Result<UserNum, DbError> {
    tx.query_one(&HIGHEST_NUM, &[], |row| row.get::<Option<UserNum>>(0)).map(Option::unwrap_or_default)
}

/// Creates an account and returns its number. `user.num` is ignored; the user id must be free.
pub fn insert(tx: &mut Tx<'_>, user: &User, password_hash: Option<&str>) -> Result<UserNum, DbError> {
    let key = search::key(user);
    let num = insert_row(tx, user, password_hash, &key)?;
    search::insert(tx, num, &key)?;
    counts::add(tx, user)?;
    Ok(num)
}

/// Adds the row of an account without its entries in lists and search.
pub(crate) fn insert_row(
    tx: &mut Tx<'_>,
    user: &User,
    password_hash: Option<&str>,
    search_key: &str,
) -> Result<UserNum, DbError> {
    let nums = tx.returning(
        &INSERT,
        &params![
            &user.user_id,
            user.created_ts,
            &user.displayname,
            &user.avatar_url,
            &user.user_type,
            user.is_guest,
            user.admin,
            user.deactivated,
            user.locked,
            user.shadow_banned,
            user.suspended,
            user.erased,
            &user.appservice_id,
            &user.consent_version,
            &user.consent_server_notice_sent,
            user.consent_ts,
            user.last_seen_ts,
            &user.role,
            user.password_change_required,
            password_hash,
            search_key
        ],
        |row| row.get(0),
    )?;
    nums.first().copied().ok_or(DbError::NoRow)
}

/// Stores the changes from `before` (as read in this transaction) to `after`, except for the user id, the time of
/// creation, the time last seen and the password.
pub fn update(tx: &mut Tx<'_>, before: &User, after: &User) -> Result<(), DbError> {
    if before == after {
        return Ok(());
    }
    let key = search::key(after);
    tx.execute(
        &UPDATE,
        &params![
            before.num,
            &after.displayname,
            &after.avatar_url,
            &after.user_type,
            after.is_guest,
            after.admin,
            after.deactivated,
            after.locked,
            after.shadow_banned,
            after.suspended,
            after.erased,
            &after.appservice_id,
            &after.consent_version,
            &after.consent_server_notice_sent,
            after.consent_ts,
            &key,
            &after.role,
            after.password_change_required
        ],
    )?;
    if key != search::key(before) {
        search::replace(tx, before.num, &key)?;
    }
    media_users::changed(tx, before, after)?;
    counts::change(tx, before, after)
}

/// Moves the time an account was last seen forward; an older time changes nothing.
pub fn touch_last_seen(tx: &mut Tx<'_>, num: UserNum, ts: Millis) -> Result<(), DbError> {
    let Some(before) = by_num(tx, num)? else { return Ok(()) };
    if tx.execute(&SET_LAST_SEEN, &params![num, ts])? == 0 {
        return Ok(());
    }
    let after = User { last_seen_ts: Some(ts), ..before.clone() };
    counts::change(tx, &before, &after)
}

/// Returns the stored password hash; `None` if the account has no password.
pub fn password_hash(tx: &ReadTx<'_>, num: UserNum) -> Result<Option<String>, DbError> {
    Ok(tx.query_opt(&PASSWORD_HASH, &params![num], |row| row.get(0))?.flatten())
}

/// Replaces the stored password hash.
pub fn set_password_hash(tx: &mut Tx<'_>, num: UserNum, hash: Option<&str>) -> Result<(), DbError> {
    tx.execute(&SET_PASSWORD_HASH, &params![num, hash])?;
    Ok(())
}
