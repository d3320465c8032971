//! The log of changes of accounts, and the place in it up to which a snapshot of the database, or a roster, goes.

use reeve_db::{DbError, Engine, ReadTx, Tx, params};
use reeve_model::UserNum;

use crate::sql::num_list;

/// The number of changes that are kept.
const KEPT: i64 = if cfg!(test) { 30 } else { 100_000 };
/// The number of changes that one call prunes.
const PRUNE_AT_ONCE: i64 = 10_000;

reeve_db::statements! {
    /// The place of the snapshot, in the form of PostgreSQL: the lowest position that may be open, the end, and the open ones
    /// below it. And the position from which on changes are kept.
    HERE = {
        sqlite: "SELECT '0:' || (coalesce((SELECT max(pos) FROM user_changes), 0) + 1) || ':', since FROM user_changes_kept WHERE one = 1",
        postgres: "SELECT CAST(pg_current_snapshot() AS TEXT), since FROM user_changes_kept WHERE one = 1",
    };
    /// The changes from position `$1` on, and those at the positions of a list, `$2`.
    SINCE = {
        sqlite: "SELECT pos, user_num FROM user_changes WHERE pos >= $1 \
                 UNION ALL SELECT c.pos, c.user_num FROM json_each($2) o JOIN user_changes c ON c.pos = o.value",
        postgres: "SELECT pos, user_num FROM user_changes WHERE pos >= $1 \
                   UNION ALL SELECT pos, user_num FROM user_changes WHERE pos = ANY (CAST(CAST($2 AS TEXT) AS BIGINT[]))",
    };
    /// The position of the oldest change to keep. A transaction that is open on PostgreSQL has a position below those of later
    /// ones, at which its changes will be: rosters that wait for them would be cut off, and load all accounts with each answer.
    OLDEST_KEPT = {
        sqlite: "SELECT pos FROM user_changes ORDER BY pos DESC LIMIT 1 OFFSET $1",
        postgres: "SELECT least(pos, CAST(CAST(pg_snapshot_xmin(pg_current_snapshot()) AS TEXT) AS BIGINT)) \
                   FROM user_changes ORDER BY pos DESC LIMIT 1 OFFSET $1",
    };
    KEEP_SINCE = "UPDATE user_changes_kept SET since = $1 WHERE one = 1 AND since < $1";
    DELETE = "DELETE FROM user_changes WHERE pos IN (SELECT pos FROM user_changes WHERE pos < $1 ORDER BY pos LIMIT $2)";
    /// Deletes positions that were not reached yet: those of another PostgreSQL server, from which the database was restored.
    DELETE_FOREIGN = {
        sqlite: "DELETE FROM user_changes WHERE pos < 0",
        postgres: "DELETE FROM user_changes WHERE pos > CAST(CAST(pg_current_xact_id() AS TEXT) AS BIGINT)",
    };
    KEEP_NO_FOREIGN = {
        sqlite: "UPDATE user_changes_kept SET since = since WHERE one = 0",
        postgres: "UPDATE user_changes_kept SET since = CAST(CAST(pg_current_xact_id() AS TEXT) AS BIGINT) \
                   WHERE one = 1 AND since > CAST(CAST(pg_current_xact_id() AS TEXT) AS BIGINT)",
    };
    /// Adds a change of no account.
    ADD = {
        sqlite: "INSERT INTO user_changes (user_num) VALUES (0)",
        postgres: "INSERT INTO user_changes (pos, user_num) VALUES (CAST(CAST(pg_current_xact_id() AS TEXT) AS BIGINT), 0) \
                   ON CONFLICT DO NOTHING",
    };
    FORGET = "UPDATE user_changes_kept SET since = (SELECT max(pos) + 1 FROM user_changes) WHERE one = 1";
}

/// A place in the log: all changes before its end, except for those that were open. The snapshots of a database are
/// ordered: each sees all that earlier ones see.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Version {
    end: i64,
    open: Vec<i64>,
}

impl Version {
    /// Reads the form of PostgreSQL.
    fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split(':').skip(1);
        let end = parts.next()?.parse().ok()?;
        let open = parts.next()?.split(',').filter(|pos| !pos.is_empty());
        Some(Self { end, open: open.map(str::parse).collect::<Result<_, _>>().ok()? })
    }

    /// Returns true if the change at a position belongs to it.
    pub(crate) fn sees(&self, pos: i64) -> bool {
        pos < self.end && !self.open.contains(&pos)
    }

    /// Returns true if it sees all that another one sees.
    pub(crate) fn includes(&self, other: &Self) -> bool {
        let is_hidden = |pos: &i64| *pos >= other.end || other.open.contains(pos);
        self.end >= other.end && self.open.iter().all(is_hidden)
    }

    /// Returns the lowest position that it does not see.
    pub(crate) fn first_unseen(&self) -> i64 {
        self.open.iter().copied().fold(self.end, i64::min)
    }
}

/// The place of a snapshot, and the position from which on the log has all changes.
pub(crate) struct Here {
    pub(crate) version: Version,
    pub(crate) kept_since: i64,
}

impl Here {
    pub(crate) fn of(tx: &ReadTx<'_>) -> Result<Self, DbError> {
        tx.query_one(&HERE, &[], |row| {
            let version = Version::parse(row.text(0)?);
            let version = version.ok_or_else(|| DbError::Internal("a snapshot is malformed".to_owned()))?;
            Ok(Self { version, kept_since: row.get(1)? })
        })
    }
}

/// An entry of the log.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Change {
    pub(crate) pos: i64,
    pub(crate) num: UserNum,
}

/// Returns the changes that a version does not see and a transaction does.
pub(crate) fn since(tx: &ReadTx<'_>, version: &Version) -> Result<Vec<Change>, DbError> {
    let open = num_list(tx.engine(), &version.open);
    tx.query(&SINCE, &params![version.end, open], |row| Ok(Change { pos: row.get(0)?, num: row.get(1)? }))
}

/// Deletes some of the changes that are too old; returns true if there may be more.
pub fn prune(tx: &mut Tx<'_>) -> Result<bool, DbError> {
    if tx.engine() == Engine::Postgres {
        tx.execute(&DELETE_FOREIGN, &[])?;
        tx.execute(&KEEP_NO_FOREIGN, &[])?;
    }
    let oldest: Option<i64> = tx.query_opt(&OLDEST_KEPT, &params![KEPT], |row| row.get(0))?;
    let Some(oldest) = oldest else { return Ok(false) };
    tx.execute(&KEEP_SINCE, &params![oldest])?;
    Ok(tx.execute(&DELETE, &params![oldest, PRUNE_AT_ONCE])? > 0)
}

/// Lets every roster read all accounts anew, after changes that are not in the log.
pub(crate) fn forget(tx: &mut Tx<'_>) -> Result<(), DbError> {
    tx.execute(&ADD, &[])?;
    tx.execute(&FORGET, &[])?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::Version;

    #[test]
    fn versions_are_ordered() {
        let version = |text| Version::parse(text).unwrap();
        let (first, second, third) = (version("5:10:5,8"), version("8:12:8,11"), version("12:12:"));
        assert!(second.includes(&first) && third.includes(&second) && first.includes(&first));
        assert!(!first.includes(&second) && !second.includes(&third));
        assert!(!version("5:10:5").includes(&version("10:10:")));
        assert_eq!([4, 5, 9, 10].map(|pos| first.sees(pos)), [true, false, true, false]);
        assert_eq!((first.first_unseen(), third.first_unseen()), (5, 12));
        assert_eq!(Version::parse("5"), None);
        assert_eq!(Version::parse("5:x:"), None);
    }
}
