//! Roles, and the scopes of the accounts that hold them.

use reeve_db::{DbError, ReadTx, Row, Tx, params};
use reeve_model::{BuiltInRole, Millis, Role, Scopes, User, UserNum};

reeve_db::statements! {
    FIND = "SELECT name, description, scopes FROM roles WHERE name = $1";
    LIST = "SELECT name, description, scopes FROM roles ORDER BY name";
    PUT = "INSERT INTO roles (name, description, scopes, created_ts) VALUES ($1, $2, $3, $4) \
           ON CONFLICT (name) DO UPDATE SET description = excluded.description, scopes = excluded.scopes";
    DELETE = "DELETE FROM roles WHERE name = $1";
    /// Finds one holder.
    HELD = "SELECT num FROM users WHERE role = $1 LIMIT 1";
    HOLDERS = "SELECT num FROM users WHERE role = $1 ORDER BY num LIMIT $2";
}

fn from_row(row: &Row<'_>) -> Result<Role, DbError> {
    let scopes: String = row.get(2)?;
    Ok(Role {
        name: row.get(0)?,
        description: row.get(1)?,
        scopes: scopes.parse().map_err(|_| DbError::Internal(format!("a role has {scopes:?}")))?,
    })
}

/// Returns the role of a name, also a built-in one.
pub fn find(tx: &ReadTx<'_>, name: &str) -> Result<Option<Role>, DbError> {
    match name.parse::<BuiltInRole>() {
        Ok(role) => Ok(Some(role.into())),
        Err(_) => tx.query_opt(&FIND, &params![name], from_row),
    }
}

/// Returns the roles that are not built in, by name.
pub fn own(tx: &ReadTx<'_>) -> Result<Vec<Role>, DbError> {
    tx.query(&LIST, &params![], from_row)
}

/// Returns the scopes that the role of an account holds.
pub fn scopes(tx: &ReadTx<'_>, user: &User) -> Result<Scopes, DbError> {
    match user.role() {
        None => Ok(Scopes::NONE),
        Some(name) => Ok(find(tx, name)?.map_or(Scopes::NONE, |role| role.scopes)),
    }
}

/// Creates or changes a role that is not built in.
pub fn put(tx: &mut Tx<'_>, role: &Role, now: Millis) -> Result<(), DbError> {
    tx.execute(&PUT, &params![&role.name, &role.description, role.scopes.to_string(), now])?;
    Ok(())
}

/// Deletes a role that is not built in.
pub fn delete(tx: &mut Tx<'_>, name: &str) -> Result<(), DbError> {
    tx.execute(&DELETE, &params![name])?;
    Ok(())
}

/// Returns the numbers of up to `most` accounts that hold a role other than owner.
pub fn holders(tx: &ReadTx<'_>, name: &str, most: i64) -> Result<Vec<UserNum>, DbError> {
    tx.query(&HOLDERS, &params![name, most], |row| row.get(0))
}

/// Returns true if an account holds a role other than owner.
pub fn is_held(tx: &ReadTx<'_>, name: &str) -> Result<bool, DbError> {
    Ok(tx.query_opt(&HELD, &params![name], |_| Ok(()))?.is_some())
}
