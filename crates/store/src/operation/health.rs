//! The check that the database responds.

use reeve_db::{DbError, ReadTx, params};

reeve_db::statements! {
    ANSWER = "SELECT count(*) FROM users WHERE num = 0";
}

/// Reads from the database.
pub fn answers(tx: &ReadTx<'_>) -> Result<(), DbError> {
    tx.query_one(&ANSWER, &params![], |row| row.get::<i64>(0)).map(|_| ())
}
