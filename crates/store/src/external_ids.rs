//! External ids: the ids of accounts at identity providers.

use reeve_db::{DbError, ReadTx, Tx, params};
use reeve_model::UserNum;

reeve_db::statements! {
    OF_USER = "SELECT auth_provider, external_id FROM user_external_ids WHERE user_num = $1 \
               ORDER BY auth_provider, external_id";
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
