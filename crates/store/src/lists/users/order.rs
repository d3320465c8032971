//! The orders of the list of accounts. Each column by which accounts can be sorted is one row of [`columns!`], from
//! which its statements, its lists, and the matches in other files are made.

use reeve_db::{DbError, FromValue, Statement, ToValue, Value};
use reeve_model::User;

use super::class::Flag;

/// The sort key of a list. Ties, and accounts without a value, are sorted by user id, ascending.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OrderBy {
    /// The user id.
    Name,
    /// The values of a column.
    Column(Column),
    /// A flag: first those without it.
    Flag(Flag),
    /// The type.
    UserType,
}

impl OrderBy {
    /// All orders, with their words in requests.
    pub const ALL: &[(&str, Self)] = &[
        ("name", Self::Name),
        ("displayname", Self::Column(Column::Displayname)),
        ("is_guest", Self::Flag(Flag::IsGuest)),
        ("admin", Self::Flag(Flag::Admin)),
        ("deactivated", Self::Flag(Flag::Deactivated)),
        ("user_type", Self::UserType),
        ("avatar_url", Self::Column(Column::AvatarUrl)),
        ("shadow_banned", Self::Flag(Flag::ShadowBanned)),
        ("creation_ts", Self::Column(Column::CreatedTs)),
        ("last_seen_ts", Self::Column(Column::LastSeenTs)),
        ("locked", Self::Flag(Flag::Locked)),
    ];
}

const _: () =
    assert!(OrderBy::ALL.len() == 2 + Column::ALL.len() + Flag::ALL.len(), "each order needs its word");

/// The statements of the list of all accounts by user id.
pub(super) mod name {
    reeve_db::statements! {
        pub(crate) FROM = {
            sqlite: from_name!("$1", sqlite),
            postgres: of_each!(from_name!("c.class", postgres), "r.user_id"),
        };
        pub(crate) BEFORE = {
            sqlite: before_name!("$1", sqlite),
            postgres: of_each!(before_name!("c.class", postgres), "r.user_id DESC"),
        };
    }
}

/// The kind of the values of a column.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Int,
    Text,
}

/// The definition of a column, with its statements.
pub(crate) struct Definition {
    /// The name of the list of accounts with a value, in the table of buckets.
    pub(crate) name: &'static str,
    /// The name of the list of accounts without a value, in the table of buckets.
    pub(crate) null_name: &'static str,
    pub(crate) kind: Kind,
    /// True if accounts can be without a value.
    pub(crate) is_optional: bool,
    /// Returns the value of an account.
    pub(crate) value: fn(&User) -> Option<Key>,
    /// Rows with a value, ascending.
    pub(crate) from: &'static Statement,
    /// Rows without a value, ascending by user id.
    pub(crate) from_null: &'static Statement,
    /// Rows with a smaller value, descending.
    pub(crate) before: &'static Statement,
    /// The number of rows between two positions.
    pub(crate) between: &'static Statement,
    /// All accounts with a value, in order.
    pub(crate) all: &'static Statement,
    /// All accounts without a value, in order.
    pub(crate) all_null: &'static Statement,
    /// Drops the index of the order; SQLite only.
    pub(crate) drop_index: &'static Statement,
    /// Creates the index of the order again; SQLite only.
    pub(crate) build_index: &'static Statement,
}

macro_rules! columns {
    ($($(#[$doc:meta])* $variant:ident: $column:ident, $name:literal, $kind:ident, $optional:literal, $value:expr,
       $index:literal on $on:literal;)*) => {
        /// A column by whose values accounts can be sorted.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Column {
            $($(#[$doc])* $variant,)*
        }

        impl Column {
            /// All columns, in the order of the table.
            pub(crate) const ALL: &[Self] = &[$(Self::$variant),*];

            /// Returns the index of the value in [`candidates::BY_NUMS`], behind the five columns that are compared.
            pub(crate) fn index(self) -> usize {
                5 + self as usize
            }

            /// Returns true if its values are texts.
            pub(crate) fn is_text(self) -> bool {
                self.definition().kind == Kind::Text
            }

            /// Returns the definition of the column.
            pub(crate) fn definition(self) -> &'static Definition {
                match self {
                    $(Self::$variant => &$column::DEFINITION,)*
                }
            }
        }

        $(
            mod $column {
                use super::{Definition, Key, Kind, whole};

                reeve_db::statements! {
                    FROM = {
                        sqlite: from!(stringify!($column), "$1", sqlite),
                        postgres: of_each!(from!(stringify!($column), "c.class", postgres), "r.sort_key, r.user_id"),
                    };
                    FROM_NULL = {
                        sqlite: from_null!(stringify!($column), "$1", sqlite),
                        postgres: of_each!(from_null!(stringify!($column), "c.class", postgres), "r.user_id"),
                    };
                    BEFORE = {
                        sqlite: before!(stringify!($column), "$1", sqlite),
                        postgres: of_each!(before!(stringify!($column), "c.class", postgres),
                                           "r.sort_key DESC, r.user_id DESC"),
                    };
                    BETWEEN = {
                        sqlite: between!(stringify!($column), sqlite),
                        postgres: between!(stringify!($column), postgres),
                    };
                    DROP_INDEX = concat!("DROP INDEX IF EXISTS ", $index);
                    BUILD_INDEX = concat!("CREATE INDEX IF NOT EXISTS ", $index, " ON users ", $on);
                }

                pub(super) static DEFINITION: Definition = Definition {
                    name: $name,
                    null_name: concat!($name, " null"),
                    kind: Kind::$kind,
                    is_optional: $optional,
                    value: $value,
                    from: &FROM,
                    from_null: &FROM_NULL,
                    before: &BEFORE,
                    between: &BETWEEN,
                    all: &whole::$column::WITH,
                    all_null: &whole::$column::WITHOUT,
                    drop_index: &DROP_INDEX,
                    build_index: &BUILD_INDEX,
                };
            }
        )*

        /// The candidates of a search: the columns that it compares, and all columns by which accounts can be sorted.
        pub(crate) mod candidates {
            reeve_db::statements! {
                /// `$1`: the numbers, in the form of [`crate::sql::num_list`].
                pub(crate) BY_NUMS = {
                    sqlite: concat!("SELECT ", compared!(), $(", ", stringify!($column),)*
                                    " FROM json_each($1) AS wanted CROSS JOIN users ON num = wanted.value"),
                    postgres: concat!("SELECT ", compared!(), $(", ", stringify!($column),)*
                                      " FROM users WHERE num = ANY (CAST(CAST($1 AS TEXT) AS BIGINT[]))"),
                };
            }
        }

        /// All accounts in the order of each list, for a rebuild.
        pub(super) mod whole {
            pub(crate) mod name {
                reeve_db::statements! {
                    pub(crate) ALL = "SELECT list_class, user_id, NULL FROM users ORDER BY user_id";
                }
            }
            $(
                pub(crate) mod $column {
                    reeve_db::statements! {
                        pub(crate) WITH = all!(stringify!($column));
                        pub(crate) WITHOUT = all_null!(stringify!($column));
                    }
                }
            )*
        }

        /// Every statement of this module.
        pub(crate) const STATEMENTS: &[&[&Statement]] = &[
            name::STATEMENTS,
            candidates::STATEMENTS,
            whole::name::STATEMENTS,
            $($column::STATEMENTS, whole::$column::STATEMENTS),*
        ];
    };
}

// A row: the column; the name of its buckets, which is in the database; the kind of its values; true if accounts can be
// without one; the value of an account; the name of the index and its columns, as SQLite has it. Rows are in the order
// in which the schema creates the indexes.
columns! {
    /// The avatar URL.
    AvatarUrl: avatar_url, "avatar_url", Text, true, |user| user.avatar_url.clone().map(Key::Text),
        "users_list_avatar_url" on "(list_class, avatar_url, user_id)";
    /// The time of creation.
    CreatedTs: created_ts, "creation_ts", Int, false, |user| Some(Key::Int(user.created_ts.get())),
        "users_list_created_ts" on "(list_class, created_ts, user_id)";
    /// The time when it was last seen.
    LastSeenTs: last_seen_ts, "last_seen_ts", Int, true, |user| user.last_seen_ts.map(|ts| Key::Int(ts.get())),
        "users_list_last_seen_ts" on "(list_class, last_seen_ts, user_id)";
    /// The display name, by code point.
    Displayname: displayname, "displayname", Text, true, |user| user.displayname.clone().map(Key::Text),
        "users_list_displayname" on "(list_class, displayname, user_id, search_key)";
}

/// The maximum length of a text by which accounts are sorted, in characters.
const MAX_TEXT_LEN: usize = 1000;
/// A text that sorts after every user id, since those begin with `@`.
pub(crate) const AFTER_USER_IDS: &str = "A";

/// A list: accounts in one order, with a position for each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum List {
    /// All accounts, by user id.
    Name,
    /// The accounts with a value in a column, by value and user id.
    With(Column),
    /// The accounts without a value, by user id.
    Without(Column),
}

impl List {
    /// All lists.
    pub(crate) fn all() -> impl Iterator<Item = Self> {
        let of_column = |column: &Column| {
            let without = column.definition().is_optional.then_some(Self::Without(*column));
            [Some(Self::With(*column)), without].into_iter().flatten()
        };
        std::iter::once(Self::Name).chain(Column::ALL.iter().flat_map(of_column))
    }

    /// Returns its name in the table of buckets.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Name => "name",
            Self::With(column) => column.definition().name,
            Self::Without(column) => column.definition().null_name,
        }
    }

    /// Returns the list with a name.
    pub(crate) fn parse(name: &str) -> Result<Self, DbError> {
        let found = Self::all().find(|list| list.name() == name);
        found.ok_or_else(|| DbError::Internal(format!("there is no list {name}")))
    }

    /// Returns the kind of its values; `None` if it is sorted by user id alone.
    fn kind(self) -> Option<Kind> {
        match self {
            Self::With(column) => Some(column.definition().kind),
            Self::Name | Self::Without(_) => None,
        }
    }

    /// The position before all accounts.
    pub(crate) fn begin(self) -> Position {
        let key = match self.kind() {
            None => Key::None,
            Some(Kind::Int) => Key::Int(i64::MIN),
            Some(Kind::Text) => Key::Text(String::new()),
        };
        Position { key, user_id: String::new() }
    }

    /// The position after all accounts.
    pub(crate) fn end(self) -> Position {
        let key = match self.kind() {
            None => Key::None,
            Some(Kind::Int) => Key::Int(i64::MAX),
            Some(Kind::Text) => Key::Text("\u{10ffff}".repeat(MAX_TEXT_LEN + 1)),
        };
        Position { key, user_id: AFTER_USER_IDS.to_owned() }
    }
}

/// A position in a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Position {
    pub(crate) key: Key,
    pub(crate) user_id: String,
}

/// A sort key, without the user id that breaks ties.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Key {
    None,
    Int(i64),
    Text(String),
}

impl Key {
    /// Returns a text that sorts as the key does.
    pub(crate) fn encode(&self) -> String {
        match self {
            Self::None => String::new(),
            Self::Text(text) => text.clone(),
            Self::Int(number) => format!("{:020}", i128::from(*number) - i128::from(i64::MIN)),
        }
    }

    /// Reverses [`Key::encode`]; the blank text is the beginning of the list.
    pub(crate) fn decode(list: List, text: &str) -> Result<Self, DbError> {
        if text.is_empty() {
            return Ok(list.begin().key);
        }
        Ok(match list.kind() {
            None => Self::None,
            Some(Kind::Text) => Self::Text(text.to_owned()),
            Some(Kind::Int) => {
                let number = text.parse::<i128>().ok().map(|number| number + i128::from(i64::MIN));
                let number = number.and_then(|number| i64::try_from(number).ok());
                Self::Int(
                    number.ok_or_else(|| DbError::Internal("a list bucket has no valid bound".to_owned()))?,
                )
            }
        })
    }
}

impl ToValue for Key {
    fn to_value(&self) -> Value<'_> {
        match self {
            Self::None => Value::Null,
            Self::Int(number) => Value::Int(*number),
            Self::Text(text) => Value::Text(text),
        }
    }
}

impl FromValue for Key {
    const EXPECTED: &'static str = "an integer, a text or NULL";

    fn from_value(value: Value<'_>) -> Option<Self> {
        match value {
            Value::Null => Some(Self::None),
            Value::Int(number) => Some(Self::Int(number)),
            Value::Text(text) => Some(Self::Text(text.to_owned())),
            Value::Blob(_) => None,
        }
    }
}
