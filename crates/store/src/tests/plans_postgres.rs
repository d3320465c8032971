//! The plans of the statements of lists and syncs on PostgreSQL: `plans.postgres.txt` has the scans of each, so that a
//! change shows.
//!
//! The plans are those for unknown parameters. For them a range is a third of a table, so that some read whole tables
//! that the server does not read when it knows the range.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use reeve_db::Engine;
use reeve_test_postgres::Client;

use super::{fresh, runtime};
use crate::statements;

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/tests/plans.postgres.txt");

/// The major version of the server that made the file. Other versions plan differently here and there.
const MAJOR: i32 = 15;

/// The modules whose plans are kept: of lists, and of the queries of each sync.
const MODULES: &[&str] = &[
    "account_data",
    "alerts",
    "deliveries",
    "device_changes",
    "ephemeral",
    "events",
    "lists",
    "memberships",
    "notifications",
    "report_work",
    "silences",
    "stream",
    "to_device",
];

/// Enough rows to make an index worthwhile.
const ROWS: i64 = 5000;
/// The tables that have more.
const LARGE: &[(&str, i64)] = &[("events", 60_000), ("memberships", 30_000), ("users", 20_000)];

/// The value of row `g` of a table in a column: for columns with few values, and for references to other tables. Other
/// columns have a different value in each row.
const VALUES: &[(&str, &str)] = &[
    ("data_type", "CASE WHEN g % 5 = 0 THEN 'm.push_rules' ELSE 'type ' || g % 50 END"),
    ("event_type", "(ARRAY['m.room.message', 'm.room.member', 'm.reaction', 'm.room.encrypted'])[1 + g % 4]"),
    ("membership", "CASE WHEN g % 10 = 0 THEN 'leave' ELSE 'join' END"),
    ("notifies", "CASE WHEN g % 4 = 0 THEN 1 ELSE 0 END"),
    ("own_rules", "CASE WHEN g % 50 = 0 THEN 1 ELSE 0 END"),
    ("owner_num", "g % 4000"),
    ("redacted_by", "NULL"),
    ("rel_type", "CASE WHEN g % 20 = 0 THEN 'm.thread' END"),
    ("relates_to", "CASE WHEN g % 20 = 0 THEN 'event_id ' || g / 7 END"),
    ("resolution", "CASE WHEN g % 10 > 0 THEN 'acted' END"),
    ("room_id", "'!room' || g % 5000 || ':test'"),
    ("room_num", "g % 1000"),
    ("sender", "'@user' || g % 4000 || ':test'"),
    ("state_key", "CASE WHEN g % 4 = 1 THEN '@user' || g % 4000 || ':test' END"),
    ("until_pos", "CASE WHEN g % 4 = 1 THEN 9223372036854775807 END"),
    ("user_id", "'@user' || g || ':test'"),
    ("user_num", "g % 4000"),
];

/// The SQL that makes the rows of a table.
#[derive(Default)]
struct Rows {
    columns: Vec<String>,
    values: Vec<String>,
}

/// Fills every table and gathers its statistics.
fn seed(client: &mut Client) {
    let columns = "SELECT table_name, column_name, udt_name FROM information_schema.columns \
                   WHERE table_schema = current_schema() AND is_identity = 'NO' AND is_generated = 'NEVER' \
                   AND table_name <> 'schema_migrations' ORDER BY table_name, ordinal_position";
    let mut tables: BTreeMap<String, Rows> = BTreeMap::new();
    for row in client.query(columns, &[]).unwrap() {
        let (table, column, kind): (String, String, String) = (row.get(0), row.get(1), row.get(2));
        let value = VALUES.iter().find(|(name, _)| *name == column).map(|(_, value)| (*value).to_owned());
        let value = value.unwrap_or_else(|| match &*kind {
            "int8" => "g".to_owned(),
            "text" => format!("'{column} ' || g"),
            "bytea" => format!("CAST('{column} ' || g AS BYTEA)"),
            "tsvector" => "to_tsvector('simple', 'w' || g % 100)".to_owned(),
            array if array.starts_with('_') => format!("CAST(ARRAY[g % 100, g % 37] AS {array})"),
            other => panic!("{table}.{column} is {other}"),
        });
        let rows = tables.entry(table).or_default();
        rows.columns.push(column);
        rows.values.push(value);
    }
    for (table, rows) in tables {
        let count = LARGE.iter().find(|(name, _)| *name == table).map_or(ROWS, |(_, count)| *count);
        let (columns, values) = (rows.columns.join(", "), rows.values.join(", "));
        let sql = format!(
            "INSERT INTO {table} ({columns}) SELECT {values} FROM generate_series(1, {count}) g ON CONFLICT DO NOTHING"
        );
        client.batch_execute(&sql).unwrap_or_else(|error| panic!("{table}: {error:?}"));
    }
    // Triggers have filled it with numbers of transactions, which are different in each run. Negative ones are below that of
    // the present transaction in every run.
    let changes = format!(
        "TRUNCATE user_changes; INSERT INTO user_changes (pos, user_num) \
         SELECT -g, g % 4000 FROM generate_series(1, {ROWS}) g"
    );
    client.batch_execute(&changes).unwrap();
    client.batch_execute("ANALYZE").unwrap();
}

/// Returns the scans with which the server runs a statement, whatever the values of its parameters.
fn scans(client: &mut Client, sql: &str) -> Vec<String> {
    client.batch_execute(&format!("PREPARE tried AS {sql}")).unwrap_or_else(|error| panic!("{sql}: {error}"));
    let count = (1..100).take_while(|number| sql.contains(&format!("${number}"))).count();
    let nulls = if count == 0 { String::new() } else { format!("({})", vec!["NULL"; count].join(", ")) };
    let plan = client.query(&format!("EXPLAIN (COSTS OFF) EXECUTE tried{nulls}"), &[]).unwrap();
    client.batch_execute("DEALLOCATE tried").unwrap();
    let mut scans: Vec<String> = Vec::new();
    for line in plan {
        let line: String = line.get(0);
        let step = line.trim_start_matches([' ', '-', '>']);
        if step.contains(" Scan ") {
            scans.push(step.to_owned());
        } else if step.starts_with("Index Cond:")
            && let Some(scan) = scans.last_mut()
        {
            scan.push_str(" by key");
        }
    }
    scans
}

#[test]
fn the_page_of_the_plans_on_postgres_is_up_to_date() {
    if !reeve_test_postgres::available() {
        return;
    }
    let runtime = runtime();
    let fresh = fresh(&runtime, Engine::Postgres, "plans");
    let mut client = reeve_test_postgres::connect_to(&fresh.url.to_string());
    let version: String = client.query_one("SHOW server_version_num", &[]).unwrap().get(0);
    let is_major = version.parse::<i32>().unwrap() / 10_000 == MAJOR;
    if !is_major {
        println!("plans of PostgreSQL {version} are not compared with those of {MAJOR}");
    }
    seed(&mut client);
    client.batch_execute("SET plan_cache_mode = force_generic_plan").unwrap();
    let mut page = String::new();
    for statement in statements() {
        let name = statement.name().trim_start_matches("reeve_store::");
        // The folder of the module does not matter.
        let name = match name.split_once("::") {
            Some((folder, rest)) if folder != "lists" => rest,
            Some(_) | None => name,
        };
        let sql = statement.sql(Engine::Postgres);
        let has_plan = !sql.starts_with("CREATE") && !sql.starts_with("DROP");
        if has_plan && MODULES.iter().any(|module| name.starts_with(module)) {
            let _ = writeln!(page, "{name}");
            for scan in scans(&mut client, sql) {
                let _ = writeln!(page, "  {scan}");
            }
        }
    }
    drop(client);
    fresh.close(&runtime);
    if is_major && std::env::var_os("REEVE_WRITE_DOCS").is_some() {
        std::fs::write(PAGE, &page).unwrap();
    }
    let kept = std::fs::read_to_string(PAGE).unwrap_or_default();
    assert!(
        !is_major || kept == page,
        "plans have changed: if for the better, run this test with REEVE_WRITE_DOCS=1"
    );
}
