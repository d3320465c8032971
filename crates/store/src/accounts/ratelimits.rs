//! Overrides of the message rate limit.

use reeve_db::{DbError, ReadTx, Tx, params};
use reeve_model::{RateLimitOverride, UserNum};

reeve_db::statements! {
    FIND = "SELECT messages_per_second, burst_count FROM ratelimit_overrides WHERE user_num = $1";
    SET = "INSERT INTO ratelimit_overrides (user_num, messages_per_second, burst_count) VALUES ($1, $2, $3) \
           ON CONFLICT (user_num) DO UPDATE SET messages_per_second = excluded.messages_per_second, \
           burst_count = excluded.burst_count";
    DELETE = "DELETE FROM ratelimit_overrides WHERE user_num = $1";
}

/// Returns the override of an account.
pub fn find(tx: &ReadTx<'_>, user_num: UserNum) -> Result<Option<RateLimitOverride>, DbError> {
    tx.query_opt(&FIND, &params![user_num], |row| {
        Ok(RateLimitOverride { messages_per_second: row.get(0)?, burst_count: row.get(1)? })
    })
}

/// Sets the override of an account.
pub fn set(tx: &mut Tx<'_>, user_num: UserNum, limit: RateLimitOverride) -> Result<(), DbError> {
    tx.execute(&SET, &params![user_num, limit.messages_per_second, limit.burst_count])?;
    Ok(())
}

/// Removes the override of an account; returns true if there was one.
pub fn delete(tx: &mut Tx<'_>, user_num: UserNum) -> Result<bool, DbError> {
    Ok(tx.execute(&DELETE, &params![user_num])? > 0)
}
