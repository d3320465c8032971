//! `docs/schema.md`: the tables and indexes of a migrated SQLite database.

use std::fmt::Write as _;

use reeve_db::{DbError, Engine, params};

use super::{fresh, runtime};
use crate::MIGRATIONS;

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/schema.md");

const HEAD: &str = "# Database schema

Generated from a migrated SQLite database; the migrations are in `crates/store/migrations`. PostgreSQL has the same
tables, with `BIGINT` for `INTEGER`, `TEXT COLLATE \"C\"` for `TEXT`, `BYTEA` for `BLOB` and identity columns for
`AUTOINCREMENT`; its search indexes are GIN indexes instead of FTS5 tables.
";

reeve_db::statements! {
    TABLES = "SELECT name, sql FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%' AND name <> 'schema_migrations' \
              AND name NOT LIKE '%_search_%' AND name NOT LIKE 'event_words_%' ORDER BY rowid";
    /// The columns of a table that another one lacks, but for those that are derived from others.
    LACKING = "SELECT name FROM pragma_table_info($1) WHERE name NOT IN (SELECT name FROM pragma_table_info($2)) \
               AND substr(name, 1, 5) <> 'sort_' AND name NOT IN ('list_class', 'search_key')";
    INDEXES = "SELECT sql FROM sqlite_schema WHERE type = 'index' AND tbl_name = $1 AND sql IS NOT NULL ORDER BY rowid";
}

/// The comments before the statements that create a table and alter it.
fn comment(name: &str) -> String {
    let changes = ["CREATE TABLE {} (", "CREATE VIRTUAL TABLE {} ", "ALTER TABLE {} "];
    let changes = changes.map(|change| change.replace("{}", name));
    let mut paragraphs = Vec::new();
    for migration in MIGRATIONS {
        let mut lines = Vec::new();
        for line in migration.sql.lines() {
            match line {
                "-- only sqlite" | "-- only postgres" | "-- end" => {}
                _ if line.starts_with("--") => lines.push(line.trim_start_matches("--").trim()),
                _ => {
                    if !lines.is_empty() && changes.iter().any(|change| line.starts_with(change)) {
                        paragraphs.push(lines.join("\n"));
                    }
                    lines.clear();
                }
            }
        }
    }
    paragraphs.join("\n\n")
}

#[test]
fn the_page_of_the_schema_is_up_to_date() {
    let runtime = runtime();
    let fresh = fresh(&runtime, Engine::Sqlite, "schema");
    let page = fresh.db.read(|tx| -> Result<String, DbError> {
        let mut page = HEAD.to_owned();
        for (name, sql) in tx.query(&TABLES, &[], |row| Ok((row.get::<String>(0)?, row.get::<String>(1)?)))? {
            let _ = write!(page, "\n## {name}\n");
            let comment = comment(&name);
            if !comment.is_empty() {
                let _ = write!(page, "\n{comment}\n");
            }
            let _ = write!(page, "\n```sql\n{sql};\n");
            for index in tx.query(&INDEXES, &reeve_db::params![&name], |row| row.get::<String>(0))? {
                let _ = writeln!(page, "{index};");
            }
            page.push_str("```\n");
        }
        Ok(page)
    });
    let page = runtime.block_on(page).unwrap();
    fresh.close(&runtime);
    if std::env::var_os("REEVE_WRITE_DOCS").is_some() {
        std::fs::write(PAGE, &page).unwrap();
    }
    let kept = std::fs::read_to_string(PAGE).unwrap_or_default();
    assert!(kept == page, "docs/schema.md is out of date: run this test with REEVE_WRITE_DOCS=1");
}

/// What comes back from a bin is what went into it.
#[test]
fn bins_have_all_columns_that_are_not_derived() {
    let runtime = runtime();
    let fresh = fresh(&runtime, Engine::Sqlite, "bins");
    for (table, bin) in [
        ("rooms", "room_bin"),
        ("room_aliases", "room_bin_aliases"),
        ("event_reports", "room_bin_reports"),
        ("media", "media_bin"),
    ] {
        let lacking = fresh.db.read(move |tx| -> Result<Vec<String>, DbError> {
            tx.query(&LACKING, &params![table, bin], |row| row.get(0))
        });
        assert_eq!(runtime.block_on(lacking).unwrap(), Vec::<String>::new(), "{bin}");
    }
    fresh.close(&runtime);
}
