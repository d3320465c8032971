//! Values for statements: lists in one parameter, where the engines differ, and keys to sort by.

use reeve_db::Engine;

/// Whether a sender is none of those in a list, which is an array as JSON.
macro_rules! heard {
    (sqlite, $sender:literal, $list:literal) => {
        concat!($sender, " NOT IN (SELECT value FROM json_each(", $list, "))")
    };
    (postgres, $sender:literal, $list:literal) => {
        concat!($sender, " NOT IN (SELECT json_array_elements_text(CAST(CAST(", $list, " AS TEXT) AS JSON)))")
    };
}

/// The events `e` whose position is in a range of a list, which is an array of pairs as JSON.
macro_rules! ranges {
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

/// A list of numbers as one parameter: JSON for SQLite, an array literal for PostgreSQL.
pub(crate) fn num_list<N: ToString>(engine: Engine, nums: &[N]) -> String {
    let inner = nums.iter().map(N::to_string).collect::<Vec<_>>().join(",");
    match engine {
        Engine::Sqlite => format!("[{inner}]"),
        Engine::Postgres => format!("{{{inner}}}"),
    }
}

/// What a text is sorted by: none comes after all.
pub(crate) fn sort_key(text: Option<&str>) -> String {
    text.map_or_else(|| "b".to_owned(), |text| format!("a{text}"))
}
