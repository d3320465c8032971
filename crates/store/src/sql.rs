//! Values for statements: lists in one parameter, where the engines differ, and sort keys.

use reeve_db::Engine;
use serde_json::json;

use crate::stream::Span;

/// True if a sender is not in a list, which is a JSON array.
macro_rules! sender_not_in {
    (sqlite, $sender:literal, $list:literal) => {
        concat!($sender, " NOT IN (SELECT value FROM json_each(", $list, "))")
    };
    (postgres, $sender:literal, $list:literal) => {
        concat!($sender, " NOT IN (SELECT json_array_elements_text(CAST(CAST(", $list, " AS TEXT) AS JSON)))")
    };
}

/// The events `e` whose position is in one of some spans, which come from [`span_list`].
macro_rules! events_in {
    (sqlite, $list:literal) => {
        concat!(
            "json_each(",
            $list,
            ") r CROSS JOIN events e ON e.pos BETWEEN json_extract(r.value, '$[0]') AND json_extract(r.value, '$[1]')"
        )
    };
    (postgres, $list:literal) => {
        concat!(
            "json_array_elements(CAST(CAST(",
            $list,
            " AS TEXT) AS JSON)) r JOIN events e ON e.pos BETWEEN CAST(r->>0 AS BIGINT) AND CAST(r->>1 AS BIGINT)"
        )
    };
}

/// Returns a list of numbers as one parameter: JSON for SQLite, an array literal for PostgreSQL.
pub(crate) fn num_list<N: ToString>(engine: Engine, nums: &[N]) -> String {
    let inner = nums.iter().map(N::to_string).collect::<Vec<_>>().join(",");
    match engine {
        Engine::Sqlite => format!("[{inner}]"),
        Engine::Postgres => format!("{{{inner}}}"),
    }
}

/// Returns spans of the stream as one parameter: a JSON array of the first and last position of each.
pub(crate) fn span_list(spans: &[Span]) -> String {
    json!(spans.iter().map(|span| (span.after.next(), span.upto)).collect::<Vec<_>>()).to_string()
}

/// Returns the sort key of a text. A missing text comes last.
pub(crate) fn sort_key(text: Option<&str>) -> String {
    text.map_or_else(|| "b".to_owned(), |text| format!("a{text}"))
}
