//! The database driver alone, in one thread: reads the same rows and writes the same JSON.

use std::path::Path;
use std::time::Duration;

use reeve_db::DatabaseUrl;
use reeve_model::clock::monotonic;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, OpenFlags, Row, Statement};
use serde_json::{Map, Value};

use super::results::Driver;
use super::stage::Names;
use crate::Fallible;
use crate::seed::per_second;

const DURATION: Duration = Duration::from_secs(3);

/// The columns that the list of accounts shows.
const COLUMNS: &str = "user_id, user_type, is_guest, admin, deactivated, shadow_banned, displayname, avatar_url, \
                       created_ts, last_seen_ts, locked";

/// Reads a database of Reeve, which may be in use.
pub(super) fn run(database: &str, names: &Names) -> Fallible<Vec<Driver>> {
    let DatabaseUrl::Sqlite(file) = database.parse()? else {
        return Err("only an SQLite database can be read by the driver alone".into());
    };
    let connection = Connection::open_with_flags(Path::new(&file), OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    let mut page = connection.prepare(&format!(
        "SELECT {COLUMNS} FROM users WHERE deactivated = 0 AND locked = 0 ORDER BY user_id LIMIT 100"
    ))?;
    let mut one = connection.prepare(&format!("SELECT {COLUMNS} FROM users WHERE user_id = $1"))?;
    let mut ids = names.ids.iter().cycle();
    Ok(vec![
        Driver {
            workload: "list".to_owned(),
            title: "First page by name".to_owned(),
            per_second: repeat(|| json(&mut page, []))?,
        },
        Driver {
            workload: "account".to_owned(),
            title: "One account".to_owned(),
            per_second: repeat(|| json(&mut one, [ids.next()]))?,
        },
    ])
}

/// The rate, per second, of a function that produces some bytes.
fn repeat(mut what: impl FnMut() -> Fallible<Vec<u8>>) -> Fallible<f64> {
    let (start, mut count) = (monotonic(), 0);
    while start.elapsed() < DURATION {
        if what()?.len() < 3 {
            return Err("nothing was read".into());
        }
        count += 1;
    }
    Ok(per_second(count, start.elapsed().as_secs_f64()))
}

fn json(statement: &mut Statement<'_>, parameters: impl rusqlite::Params) -> Fallible<Vec<u8>> {
    let names: Vec<String> = statement.column_names().map(ToOwned::to_owned).collect();
    let mut rows = statement.query(parameters)?;
    let mut read = Vec::new();
    while let Some(row) = rows.next()? {
        read.push(object(&names, row)?);
    }
    Ok(serde_json::to_vec(&read)?)
}

fn object(names: &[String], row: &Row<'_>) -> Fallible<Map<String, Value>> {
    let mut object = Map::new();
    for (at, name) in names.iter().enumerate() {
        let value = match row.get_ref(at)? {
            ValueRef::Integer(number) => number.into(),
            ValueRef::Text(text) => str::from_utf8(text)?.into(),
            _ => Value::Null,
        };
        object.insert(name.clone(), value);
    }
    Ok(object)
}
