//! Third-party ids: e-mail addresses and telephone numbers of accounts, in canonical form.

use std::collections::HashMap;

use reeve_db::{DbError, ReadTx, Row, Tx, params};
use reeve_model::{Millis, UserNum};

use crate::sql::num_list;

reeve_db::statements! {
    OF_USER = "SELECT medium, address, validated_at, added_at FROM user_threepids WHERE user_num = $1 \
               ORDER BY added_at, medium, address";
    /// `$1`: the numbers, in the form of [`num_list`].
    OF_USERS = {
        sqlite: "SELECT medium, address, validated_at, added_at, user_num FROM json_each($1) w \
                 JOIN user_threepids ON user_num = w.value ORDER BY user_num, added_at, medium, address",
        postgres: "SELECT medium, address, validated_at, added_at, user_num FROM user_threepids \
                   WHERE user_num = ANY (CAST(CAST($1 AS TEXT) AS BIGINT[])) ORDER BY user_num, added_at, medium, address",
    };
    FIND_USER = "SELECT user_num FROM user_threepids WHERE medium = $1 AND address = $2";
    PUT = "INSERT INTO user_threepids (medium, address, user_num, validated_at, added_at) VALUES ($1, $2, $3, $4, $4) \
           ON CONFLICT (medium, address) DO UPDATE SET user_num = excluded.user_num, \
           validated_at = excluded.validated_at, added_at = excluded.added_at";
    INSERT = "INSERT INTO user_threepids (medium, address, user_num, validated_at, added_at) VALUES ($1, $2, $3, $4, $5)";
    DELETE = "DELETE FROM user_threepids WHERE user_num = $1 AND medium = $2 AND address = $3";
    DELETE_OF_USER = "DELETE FROM user_threepids WHERE user_num = $1";
}

/// A third-party id of an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Threepid {
    /// `email` or `msisdn`.
    pub medium: String,
    /// The canonical address.
    pub address: String,
    /// The time at which it was validated, in milliseconds.
    pub validated_at: Millis,
    /// The time at which it was added, in milliseconds.
    pub added_at: Millis,
}

/// Returns the third-party ids of an account, the oldest first.
pub fn of_user(tx: &ReadTx<'_>, user_num: UserNum) -> Result<Vec<Threepid>, DbError> {
    tx.query(&OF_USER, &params![user_num], from_row)
}

/// Returns the third-party ids of some accounts, the oldest first; accounts without any are left out.
pub fn of_users(tx: &ReadTx<'_>, nums: &[UserNum]) -> Result<HashMap<UserNum, Vec<Threepid>>, DbError> {
    let mut found: HashMap<UserNum, Vec<Threepid>> = HashMap::new();
    tx.query(&OF_USERS, &params![num_list(tx.engine(), nums)], |row| {
        found.entry(row.get(4)?).or_default().push(from_row(row)?);
        Ok(())
    })?;
    Ok(found)
}

fn from_row(row: &Row<'_>) -> Result<Threepid, DbError> {
    Ok(Threepid {
        medium: row.get(0)?,
        address: row.get(1)?,
        validated_at: row.get(2)?,
        added_at: row.get(3)?,
    })
}

/// Returns the account with an address.
pub fn find_user(tx: &ReadTx<'_>, medium: &str, address: &str) -> Result<Option<UserNum>, DbError> {
    tx.query_opt(&FIND_USER, &params![medium, address], |row| row.get(0))
}

/// Adds an address to an account, and removes it from the account that had it.
pub fn put(
    tx: &mut Tx<'_>,
    user_num: UserNum,
    medium: &str,
    address: &str,
    now: Millis,
) -> Result<(), DbError> {
    tx.execute(&PUT, &params![medium, address, user_num, now])?;
    Ok(())
}

/// Adds an address, which must be free, to an account.
pub fn insert(tx: &mut Tx<'_>, user_num: UserNum, threepid: &Threepid) -> Result<(), DbError> {
    let Threepid { medium, address, validated_at, added_at } = threepid;
    tx.execute(&INSERT, &params![medium, address, user_num, *validated_at, *added_at])?;
    Ok(())
}

/// Removes an address from an account.
pub fn delete(tx: &mut Tx<'_>, user_num: UserNum, medium: &str, address: &str) -> Result<(), DbError> {
    tx.execute(&DELETE, &params![user_num, medium, address])?;
    Ok(())
}

/// Removes all addresses from an account.
pub fn delete_of_user(tx: &mut Tx<'_>, user_num: UserNum) -> Result<u64, DbError> {
    tx.execute(&DELETE_OF_USER, &params![user_num])
}
