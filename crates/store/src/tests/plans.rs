//! The plans of statements on SQLite: none reads a whole table, unless that is bounded otherwise.

use std::collections::BTreeSet;

use reeve_db::{DatabaseUrl, Engine};

use super::{fresh, runtime};
use crate::statements;

/// The statements, or modules of statements, for which SQLite reads a whole table, index or subquery, and the reasons
/// why it may.
const SCANS: &[(&str, &str)] = &[
    ("operation::alerts::POSITION", "has one row"),
    ("operation::alerts::SET_POSITION", "has one row"),
    ("accounts::devices::COUNT", "its subquery has a limit"),
    ("syncing::ephemeral::CHANGED_PRESENCE", "its subquery has a limit"),
    ("conversations::events::SAMPLE", "its subquery has a limit"),
    ("operation::happenings::WAITING", "its subquery has a limit"),
    ("encryption::key_backups::LEFT_TO_CLEAR", "stops at the first"),
    ("encryption::key_backups::TO_CLEAR", "stops at the first"),
    ("lists::rooms", "pages of a list are walked in its order; a search in it compares all"),
    ("lists::roster::select::MATCHES", "compares all accounts where the index would find many of them"),
    ("lists::roster::version::OLDEST_KEPT", "its offset is a constant"),
    ("lists::users::counts::COUNT", "reads the places that it is given"),
    ("lists::users::counts::RECLASS", "reads the places that it is given"),
    ("lists::users::order::whole", "lists are rebuilt from all accounts, after a bulk load"),
    ("lists::users::search::COUNT", "compares all accounts where the index would find most of them"),
    ("uploads::media_objects::COUNT", "metrics: there are few objects without an upload"),
    ("uploads::media_statistics", "pages of a list are walked in its order; a search in it compares all"),
    ("uploads::media_users::TOTALS", "has one row for each lane"),
    ("accounts::registration_tokens::ALL", "there are few"),
    ("conversations::reports", "pages of a list are walked in its order; there are few reports"),
    ("accounts::roles::LIST", "there are at most 100"),
    ("conversations::rooms::COUNT_ALIASES", "its subquery has a limit"),
    ("conversations::rooms::COUNT_ALIASES_BY", "its subquery has a limit"),
    ("conversations::rooms::LARGEST", "an administrator asks for statistics of all rooms"),
    ("operation::service_tokens::CLEAR_ADDRESSES", "there are at most 1000"),
    ("operation::service_tokens::COUNT", "there are at most 1000"),
    ("operation::service_tokens::COUNT_ADDRESSES", "there are at most 1000"),
    ("operation::signing_keys::NEWEST", "has one row for each key there ever was"),
    ("syncing::stream::CURRENT", "has one row"),
    ("syncing::stream::ADVANCE", "has one row"),
    ("syncing::stream_epochs::NEWEST", "stops at the first"),
    ("syncing::stream_epochs::OLD", "skips the 100,000 that are kept, when an epoch begins"),
    ("encryption::to_device::FIRST_ORPHANED", "stops at the first"),
    ("encryption::to_device::ORPHAN", "its subquery has one row"),
    ("accounts::users::ANY_USER_ID", "stops at the first"),
    ("accounts::users::OTHER_OWNER", "stops at the second owner"),
    ("operation::webhooks::COUNT", "there are few"),
    ("operation::webhooks::ENABLED", "there are few"),
];

/// Returns the reason for a statement among [`SCANS`].
fn excuse(name: &str) -> Option<&'static str> {
    let name = name.strip_prefix("reeve_store::").unwrap_or(name);
    let is_in =
        |entry: &str| name.strip_prefix(entry).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"));
    SCANS.iter().map(|(entry, _)| *entry).find(|entry| is_in(entry))
}

/// Returns the tables, indexes and subqueries that SQLite reads as a whole for a statement.
fn scans(connection: &rusqlite::Connection, sql: &str) -> BTreeSet<String> {
    let mut statement = connection.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
    statement
        .raw_query()
        .mapped(|row| row.get::<_, String>("detail"))
        .map(Result::unwrap)
        .filter(|step| {
            step.starts_with("SCAN ") && !step.contains("VIRTUAL TABLE") && step != "SCAN CONSTANT ROW"
        })
        .collect()
}

#[test]
fn no_statement_reads_a_whole_table_on_sqlite() {
    let runtime = runtime();
    let fresh = fresh(&runtime, Engine::Sqlite, "plans");
    let DatabaseUrl::Sqlite(file) = &fresh.url else { panic!("it is a file") };
    let connection = rusqlite::Connection::open(file).unwrap();
    let mut excused = BTreeSet::new();
    let mut unbounded = Vec::new();
    for statement in statements() {
        let scans = scans(&connection, statement.sql(Engine::Sqlite));
        match excuse(statement.name()) {
            Some(entry) if !scans.is_empty() => _ = excused.insert(entry),
            None if !scans.is_empty() => unbounded.push((statement.name(), scans)),
            Some(_) | None => {}
        }
    }
    assert!(unbounded.is_empty(), "these read whole tables: {unbounded:#?}");
    let idle: Vec<_> = SCANS.iter().filter(|(entry, _)| !excused.contains(entry)).collect();
    assert!(idle.is_empty(), "these are not needed: {idle:?}");
    fresh.close(&runtime);
}
