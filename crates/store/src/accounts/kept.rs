//! The data kept of deactivated accounts for a while, so that they can be restored. Their backups of room keys are kept in
//! their own table ([`crate::key_backups`]).

use reeve_db::{DbError, ReadTx, Row, Statement, Tx, params};
use reeve_model::{KeptNum, Membership, Millis, UserNum};

use super::account_data::{self, Totals};
use super::threepids::Threepid;
use super::validity::Validity;
use crate::stream;

reeve_db::statements! {
    INSERT = "INSERT INTO kept_accounts (user_num, deactivated_ts, purge_ts, open, expiration_ts, renewal_emails) \
              VALUES ($1, $2, $3, 1, $4, $5) RETURNING num";
    OF_USER = "SELECT num, deactivated_ts, purge_ts, expiration_ts, renewal_emails FROM kept_accounts \
               WHERE user_num = $1 AND purge_ts > $2 ORDER BY num DESC";
    OPEN = "SELECT num FROM kept_accounts WHERE user_num = $1 AND open = 1 AND purge_ts > $2 ORDER BY num DESC LIMIT 1";
    CLOSE = "UPDATE kept_accounts SET open = 0 WHERE user_num = $1 AND open = 1";
    EXPIRE = "UPDATE kept_accounts SET purge_ts = 0, open = 0 WHERE num = $1";
    /// What a job of a kind works with waits for the end of the job.
    DUE = "SELECT k.num, k.user_num FROM kept_accounts k WHERE k.purge_ts <= $1 AND NOT EXISTS \
           (SELECT 1 FROM users u JOIN jobs j ON j.subject = u.user_id WHERE u.num = k.user_num AND j.kind = $2 \
           AND j.state IN ('scheduled', 'active', 'paused')) ORDER BY k.purge_ts, k.num LIMIT 1";
    FORGET_VALIDITY = "UPDATE kept_accounts SET expiration_ts = NULL, renewal_emails = NULL \
                       WHERE user_num = $1 AND expiration_ts IS NOT NULL";
    DELETE = "DELETE FROM kept_accounts WHERE num = $1";

    KEEP_THREEPIDS = "INSERT INTO kept_threepids (kept_num, medium, address, validated_at, added_at) \
                      SELECT CAST($1 AS BIGINT), medium, address, validated_at, added_at FROM user_threepids WHERE user_num = $2";
    THREEPIDS = "SELECT medium, address, validated_at, added_at FROM kept_threepids WHERE kept_num = $1 \
                 ORDER BY medium, address";
    COUNT_THREEPIDS = "SELECT count(*) FROM kept_threepids WHERE kept_num = $1";
    DELETE_THREEPIDS = "DELETE FROM kept_threepids WHERE kept_num = $1";

    KEEP_MEMBERSHIP = "INSERT INTO kept_memberships (kept_num, room_id, membership) VALUES ($1, $2, $3) \
                       ON CONFLICT (kept_num, room_id) DO UPDATE SET membership = excluded.membership";
    MEMBERSHIPS = "SELECT room_id, membership FROM kept_memberships WHERE kept_num = $1 AND room_id > $2 \
                   ORDER BY room_id LIMIT $3";
    COUNT_MEMBERSHIPS = "SELECT count(*) FROM kept_memberships WHERE kept_num = $1";
    DELETE_MEMBERSHIP = "DELETE FROM kept_memberships WHERE kept_num = $1 AND room_id = $2";
    DELETE_MEMBERSHIPS = "DELETE FROM kept_memberships WHERE kept_num = $1 AND room_id IN \
                          (SELECT room_id FROM kept_memberships WHERE kept_num = $1 ORDER BY room_id LIMIT $2)";

    // The later content is the one that the account had last.
    KEEP_DATA = "INSERT INTO kept_account_data (kept_num, room_id, data_type, content) \
                 SELECT CAST($1 AS BIGINT), room_id, data_type, content FROM account_data WHERE user_num = $2 \
                 ORDER BY room_id, data_type LIMIT $3 \
                 ON CONFLICT (kept_num, room_id, data_type) DO UPDATE SET content = excluded.content";
    BRING_DATA_BACK = "INSERT INTO account_data (user_num, room_id, data_type, content, pos) \
                       SELECT CAST($1 AS BIGINT), room_id, data_type, content, CAST($2 AS BIGINT) FROM kept_account_data \
                       WHERE kept_num = $3 ORDER BY room_id, data_type LIMIT $4 \
                       ON CONFLICT (user_num, room_id, data_type) DO NOTHING \
                       RETURNING room_id, data_type, octet_length(content)";
    HAS_DATA = "SELECT 1 FROM kept_account_data WHERE kept_num = $1 LIMIT 1";
    COUNT_DATA = "SELECT count(*) FROM kept_account_data WHERE kept_num = $1";
    DELETE_DATA = "DELETE FROM kept_account_data WHERE kept_num = $1 AND (room_id, data_type) IN \
                   (SELECT room_id, data_type FROM kept_account_data WHERE kept_num = $1 ORDER BY room_id, data_type LIMIT $2)";
}

/// The data kept of one deactivation of an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kept {
    /// Its number.
    pub num: KeptNum,
    /// The time of the deactivation.
    pub deactivated_ts: Millis,
    /// The time until which it is kept.
    pub purge_ts: Millis,
    /// The validity of the account; `None` if it did not expire.
    pub validity: Option<Validity>,
}

fn from_row(row: &Row<'_>) -> Result<Kept, DbError> {
    let (expiration_ts, renewal_emails): (Option<Millis>, Option<bool>) = (row.get(3)?, row.get(4)?);
    let validity = expiration_ts.zip(renewal_emails);
    Ok(Kept {
        num: row.get(0)?,
        deactivated_ts: row.get(1)?,
        purge_ts: row.get(2)?,
        validity: validity.map(|(expiration_ts, renewal_emails)| Validity { expiration_ts, renewal_emails }),
    })
}

/// Begins to keep something of an account that is deactivated now, until `purge_ts`; returns its number.
pub fn insert(
    tx: &mut Tx<'_>,
    user_num: UserNum,
    validity: Option<Validity>,
    now: Millis,
    purge_ts: Millis,
) -> Result<KeptNum, DbError> {
    let expiration_ts = validity.map(|validity| validity.expiration_ts);
    let renewal_emails = validity.map(|validity| validity.renewal_emails);
    let values = params![user_num, now, purge_ts, expiration_ts, renewal_emails];
    tx.returning(&INSERT, &values, |row| row.get(0))?.pop().ok_or(DbError::NoRow)
}

/// Returns what is kept of an account at a time, that of the last deactivation first.
pub fn of_user(tx: &ReadTx<'_>, user_num: UserNum, now: Millis) -> Result<Vec<Kept>, DbError> {
    tx.query(&OF_USER, &params![user_num, now], from_row)
}

/// Returns the number under which a deactivated account keeps what is removed now; `None` if nothing is kept.
pub fn open(tx: &ReadTx<'_>, user_num: UserNum, now: Millis) -> Result<Option<KeptNum>, DbError> {
    tx.query_opt(&OPEN, &params![user_num, now], |row| row.get(0))
}

/// Adds nothing more to what is kept of an account, since it is active again.
pub fn close(tx: &mut Tx<'_>, user_num: UserNum) -> Result<(), DbError> {
    tx.execute(&CLOSE, &params![user_num])?;
    Ok(())
}

/// Lets the time of something kept be over, by every clock.
pub fn expire(tx: &mut Tx<'_>, kept: KeptNum) -> Result<(), DbError> {
    tx.execute(&EXPIRE, &params![kept])?;
    Ok(())
}

/// Keeps the validity of an account no longer.
pub fn forget_validity(tx: &mut Tx<'_>, user_num: UserNum) -> Result<(), DbError> {
    tx.execute(&FORGET_VALIDITY, &params![user_num])?;
    Ok(())
}

/// Returns something whose time is over, with the number of the account, unless an unfinished job of a kind on the account
/// brings it back.
pub fn due(tx: &ReadTx<'_>, now: Millis, restoring: &str) -> Result<Option<(KeptNum, UserNum)>, DbError> {
    tx.query_opt(&DUE, &params![now, restoring], |row| Ok((row.get(0)?, row.get(1)?)))
}

/// Deletes the row of something kept, of which nothing else is left.
pub fn delete(tx: &mut Tx<'_>, kept: KeptNum) -> Result<(), DbError> {
    tx.execute(&DELETE, &params![kept])?;
    Ok(())
}

/// Keeps a copy of the third-party ids of an account.
pub fn keep_threepids(tx: &mut Tx<'_>, kept: KeptNum, user_num: UserNum) -> Result<(), DbError> {
    tx.execute(&KEEP_THREEPIDS, &params![kept, user_num])?;
    Ok(())
}

/// Returns the kept third-party ids.
pub fn threepids(tx: &ReadTx<'_>, kept: KeptNum) -> Result<Vec<Threepid>, DbError> {
    tx.query(&THREEPIDS, &params![kept], |row| {
        Ok(Threepid {
            medium: row.get(0)?,
            address: row.get(1)?,
            validated_at: row.get(2)?,
            added_at: row.get(3)?,
        })
    })
}

/// Deletes the kept third-party ids.
pub fn delete_threepids(tx: &mut Tx<'_>, kept: KeptNum) -> Result<(), DbError> {
    tx.execute(&DELETE_THREEPIDS, &params![kept])?;
    Ok(())
}

/// A room that an account left when it was deactivated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptMembership {
    /// The id of the room.
    pub room_id: String,
    /// The membership before.
    pub membership: Membership,
}

/// Keeps a membership of an account that leaves the room.
pub fn keep_membership(
    tx: &mut Tx<'_>,
    kept: KeptNum,
    room_id: &str,
    membership: Membership,
) -> Result<(), DbError> {
    tx.execute(&KEEP_MEMBERSHIP, &params![kept, room_id, membership])?;
    Ok(())
}

/// Returns the next kept memberships after a room id, in the order of the ids.
pub fn memberships(
    tx: &ReadTx<'_>,
    kept: KeptNum,
    beyond: &str,
    limit: i64,
) -> Result<Vec<KeptMembership>, DbError> {
    tx.query(&MEMBERSHIPS, &params![kept, beyond, limit], |row| {
        Ok(KeptMembership { room_id: row.get(0)?, membership: row.get(1)? })
    })
}

/// Deletes one kept membership.
pub fn delete_membership(tx: &mut Tx<'_>, kept: KeptNum, room_id: &str) -> Result<(), DbError> {
    tx.execute(&DELETE_MEMBERSHIP, &params![kept, room_id])?;
    Ok(())
}

/// Deletes up to `most` kept memberships; returns the number.
pub fn delete_some_memberships(tx: &mut Tx<'_>, kept: KeptNum, most: i64) -> Result<u64, DbError> {
    tx.execute(&DELETE_MEMBERSHIPS, &params![kept, most])
}

/// Keeps a copy of the first pieces of account data of an account by room and type, up to `most`. Those are the pieces
/// that [`account_data::delete_some_of_user`] deletes.
pub fn keep_some_data(tx: &mut Tx<'_>, kept: KeptNum, user_num: UserNum, most: i64) -> Result<(), DbError> {
    tx.execute(&KEEP_DATA, &params![kept, user_num, most])?;
    Ok(())
}

/// A part of kept account data that was moved back.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Moved {
    /// The number of pieces that are not kept any more.
    pub taken: i64,
    /// The rooms (blank if global) and types of the pieces among them that the account has again; it had newer ones of
    /// the others.
    pub brought_back: Vec<(String, String)>,
}

/// Moves the first kept pieces of account data by room and type, up to `most`, back to the account. Pieces that it was
/// given since win.
pub fn bring_some_data_back(
    tx: &mut Tx<'_>,
    kept: KeptNum,
    user_num: UserNum,
    most: i64,
) -> Result<Moved, DbError> {
    if tx.query_opt(&HAS_DATA, &params![kept], |_| Ok(()))?.is_none() {
        return Ok(Moved::default());
    }
    let pos = stream::next(tx)?;
    let mut bytes = 0_i64;
    let brought_back = tx.returning(&BRING_DATA_BACK, &params![user_num, pos, kept, most], |row| {
        bytes += row.get::<i64>(2)?;
        Ok((row.get(0)?, row.get(1)?))
    })?;
    let entries = i64::try_from(brought_back.len()).unwrap_or(most);
    account_data::add(tx, user_num, Totals { entries, bytes })?;
    let taken = delete_some_data(tx, kept, most)?;
    Ok(Moved { taken: i64::try_from(taken).unwrap_or(most), brought_back })
}

/// Deletes the first kept pieces of account data by room and type, up to `most`; returns the number.
pub fn delete_some_data(tx: &mut Tx<'_>, kept: KeptNum, most: i64) -> Result<u64, DbError> {
    tx.execute(&DELETE_DATA, &params![kept, most])
}

/// The numbers of what is kept in these tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counts {
    /// Third-party ids.
    pub threepids: i64,
    /// Memberships.
    pub memberships: i64,
    /// Pieces of account data.
    pub account_data: i64,
}

/// Returns the numbers of what is kept.
pub fn counts(tx: &ReadTx<'_>, kept: KeptNum) -> Result<Counts, DbError> {
    let count = |statement: &'static Statement| tx.query_one(statement, &params![kept], |row| row.get(0));
    Ok(Counts {
        threepids: count(&COUNT_THREEPIDS)?,
        memberships: count(&COUNT_MEMBERSHIPS)?,
        account_data: count(&COUNT_DATA)?,
    })
}
