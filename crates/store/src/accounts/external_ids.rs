//! External ids: the ids of accounts at identity providers.

use std::collections::HashMap;

use reeve_db::{DbError, ReadTx, Tx, params};
use reeve_model::UserNum;

use crate::sql::num_list;

reeve_db::statements! {
    OF_USER = "SELECT auth_provider, external_id FROM user_external_ids WHERE user_num = $1 \
               ORDER BY auth_provider, external_id";
    /// `$1`: the numbers, in the form of [`num_list`].
    OF_USERS = {
        sqlite: "SELECT auth_provider, external_id, user_num FROM json_each($1) w \
                 JOIN user_external_ids ON user_num = w.value ORDER BY user_num, auth_provider, external_id",
        postgres: "SELECT auth_provider, external_id, user_num FROM user_external_ids \
                   WHERE user_num = ANY (CAST(CAST($1 AS TEXT) AS BIGINT[])) ORDER BY user_num, auth_provider, external_id",
    };
    FIND_USER = "SELECT user_num FROM user_external_ids WHERE auth_provider = $1 AND external_id = $2";
    INSERT = "INSERT INTO user_external_ids (auth_provider, external_id, user_num) VALUES ($1, $2, $3)";
    DELETE = "DELETE FROM user_external_ids WHERE auth_provider = $1 AND external_id = $2 AND user_num = $3";
}

/// An external id of an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExternalId {
    /// The identity provider.
    pub auth_provider: String,
    /// The id of the account there.
    pub external_id: String,
}

/// Returns the external ids of an account.
pub fn of_user(tx: &ReadTx<'_>, user_num: UserNum) -> Result<Vec<ExternalId>, DbError> {
    tx.query(&OF_USER, &params![user_num], |row| {
        Ok(ExternalId { auth_provider: row.get(0)?, external_id: row.get(1)? })
    })
}

/// Returns the external ids of some accounts; accounts without any are left out.
pub fn of_users(tx: &ReadTx<'_>, nums: &[UserNum]) -> Result<HashMap<UserNum, Vec<ExternalId>>, DbError> {
    let mut found: HashMap<UserNum, Vec<ExternalId>> = HashMap::new();
    tx.query(&OF_USERS, &params![num_list(tx.engine(), nums)], |row| {
        let id = ExternalId { auth_provider: row.get(0)?, external_id: row.get(1)? };
        found.entry(row.get(2)?).or_default().push(id);
        Ok(())
    })?;
    Ok(found)
}

/// Returns the account with an id at an identity provider.
pub fn find_user(
    tx: &ReadTx<'_>,
    auth_provider: &str,
    external_id: &str,
) -> Result<Option<UserNum>, DbError> {
    tx.query_opt(&FIND_USER, &params![auth_provider, external_id], |row| row.get(0))
}

/// Adds an external id, which must be free, to an account.
pub fn insert(tx: &mut Tx<'_>, user_num: UserNum, id: &ExternalId) -> Result<(), DbError> {
    tx.execute(&INSERT, &params![&id.auth_provider, &id.external_id, user_num])?;
    Ok(())
}

/// Removes an external id from an account.
pub fn delete(tx: &mut Tx<'_>, user_num: UserNum, id: &ExternalId) -> Result<(), DbError> {
    tx.execute(&DELETE, &params![&id.auth_provider, &id.external_id, user_num])?;
    Ok(())
}
