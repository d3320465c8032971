//! The SQL of lists, from which each column makes its statements.

/// Accounts whose search key matches a pattern; a blank one matches all. On SQLite the backslash must be named as the
/// escape character; on PostgreSQL, where it is the default, naming it would cost a function call for each row.
macro_rules! like {
    ($pattern:literal, sqlite) => {
        concat!(" AND (", $pattern, " = '' OR search_key LIKE ", $pattern, r" ESCAPE '\')")
    };
    ($pattern:literal, postgres) => {
        concat!(" AND (", $pattern, " = '' OR search_key LIKE ", $pattern, ")")
    };
}
/// Rows of a class with a value, ascending from a value and user id.
macro_rules! from {
    ($column:expr, $class:literal, $engine:ident) => {
        concat!(
            "SELECT num, user_id, ",
            $column,
            " AS sort_key FROM users WHERE list_class = ",
            $class,
            " AND (",
            $column,
            ", user_id) >= ($2, $3)",
            like!("$5", $engine),
            " ORDER BY ",
            $column,
            ", user_id LIMIT $4"
        )
    };
}
/// Rows of a class without a value, ascending from a user id. Sorted by the value, too, so that PostgreSQL does not
/// take the index of all user ids.
macro_rules! from_null {
    ($column:expr, $class:literal, $engine:ident) => {
        concat!(
            "SELECT num, user_id FROM users WHERE list_class = ",
            $class,
            " AND ",
            $column,
            " IS NULL AND user_id >= $2",
            like!("$4", $engine),
            " ORDER BY ",
            $column,
            ", user_id LIMIT $3"
        )
    };
}
/// Rows of a class with a smaller value, descending.
macro_rules! before {
    ($column:expr, $class:literal, $engine:ident) => {
        concat!(
            "SELECT num, user_id, ",
            $column,
            " AS sort_key FROM users WHERE list_class = ",
            $class,
            " AND ",
            $column,
            " < $2",
            like!("$4", $engine),
            " ORDER BY ",
            $column,
            " DESC, user_id DESC LIMIT $3"
        )
    };
}
/// Rows of a class, ascending from a user id.
macro_rules! from_name {
    ($class:literal, $engine:ident) => {
        concat!(
            "SELECT num, user_id FROM users WHERE list_class = ",
            $class,
            " AND user_id >= $2",
            like!("$4", $engine),
            " ORDER BY user_id LIMIT $3"
        )
    };
}
/// Rows of a class, descending below a user id.
macro_rules! before_name {
    ($class:literal, $engine:ident) => {
        concat!(
            "SELECT num, user_id FROM users WHERE list_class = ",
            $class,
            " AND user_id < $2",
            like!("$4", $engine),
            " ORDER BY user_id DESC LIMIT $3"
        )
    };
}
/// The rows of each class `c.class` of a list, `$1`, which is a JSON array. The last column of each row is the index of
/// its class.
macro_rules! of_each {
    ($rows:expr, $order:literal) => {
        concat!(
            "SELECT r.*, c.place FROM json_array_elements_text(CAST(CAST($1 AS TEXT) AS JSON)) WITH ORDINALITY c(class, place) \
             CROSS JOIN LATERAL (",
            $rows,
            ") r ORDER BY c.place, ",
            $order
        )
    };
}
/// The number of rows of a class between two keys. On PostgreSQL the keys are compared alone, too: it cannot estimate a
/// comparison with user ids, and would start parallel workers.
macro_rules! between {
    ($column:expr, sqlite) => {
        concat!(
            "SELECT count(*) FROM users WHERE list_class = $1 AND (",
            $column,
            ", user_id) >= ($2, $3) AND (",
            $column,
            ", user_id) < ($4, $5)"
        )
    };
    ($column:expr, postgres) => {
        concat!(between!($column, sqlite), " AND ", $column, " >= $2 AND ", $column, " <= $4")
    };
}
/// All accounts that have a value, in order.
macro_rules! all {
    ($column:expr) => {
        concat!(
            "SELECT list_class, user_id, ",
            $column,
            " FROM users WHERE ",
            $column,
            " IS NOT NULL ORDER BY ",
            $column,
            ", user_id"
        )
    };
}
/// All accounts that have none, in order.
macro_rules! all_null {
    ($column:expr) => {
        concat!("SELECT list_class, user_id, NULL FROM users WHERE ", $column, " IS NULL ORDER BY user_id")
    };
}

/// The columns that a search compares. The flags are one number, since SQLite would compute `list_class` for each row.
macro_rules! compared {
    () => {
        "num, search_key, user_id, \
         is_guest * 16 + admin * 8 + deactivated * 4 + locked * 2 + shadow_banned, user_type"
    };
}
