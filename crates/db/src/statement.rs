use crate::Engine;

/// One SQL statement for both engines. Parameters are `$1` to `$n`; each may occur in any order and repeatedly.
///
/// It is created by [`statements!`](crate::statements) only, so that a test can prepare every statement of the
/// program.
#[derive(Debug)]
pub struct Statement {
    name: &'static str,
    sqlite: &'static str,
    postgres: &'static str,
}

impl Statement {
    #[doc(hidden)]
    pub const fn new(name: &'static str, sqlite: &'static str, postgres: &'static str) -> Self {
        Self { name, sqlite, postgres }
    }

    /// Returns the path of the constant, for logs and test failures: `reeve_store::users::FIND`.
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// Returns the SQL text for one engine.
    pub const fn sql(&self, engine: Engine) -> &'static str {
        match engine {
            Engine::Sqlite => self.sqlite,
            Engine::Postgres => self.postgres,
        }
    }
}

/// Defines the SQL statements of one module, each a `static` [`Statement`], and `STATEMENTS`, the list of them
/// all.
///
/// ```
/// reeve_db::statements! {
///     /// Finds an account by its user id.
///     pub(crate) FIND = "SELECT num FROM users WHERE user_id = $1";
///     /// One that differs between the engines.
///     pub(crate) NOW = { sqlite: "SELECT unixepoch()", postgres: "SELECT extract(epoch FROM now())::BIGINT" };
/// }
/// assert_eq!(STATEMENTS.len(), 2);
/// ```
#[macro_export]
macro_rules! statements {
    (@list [$($names:ident)*]) => {
        /// Every statement of this module.
        pub(crate) const STATEMENTS: &[&$crate::Statement] = &[$(&$names),*];
    };
    (@list [$($names:ident)*]
        $(#[$meta:meta])* $vis:vis $name:ident = { sqlite: $sqlite:expr, postgres: $postgres:expr $(,)? };
        $($rest:tt)*
    ) => {
        $(#[$meta])*
        $vis static $name: $crate::Statement =
            $crate::Statement::new(concat!(module_path!(), "::", stringify!($name)), $sqlite, $postgres);
        $crate::statements! { @list [$($names)* $name] $($rest)* }
    };
    (@list [$($names:ident)*] $(#[$meta:meta])* $vis:vis $name:ident = $sql:expr; $($rest:tt)*) => {
        $(#[$meta])*
        $vis static $name: $crate::Statement =
            $crate::Statement::new(concat!(module_path!(), "::", stringify!($name)), $sql, $sql);
        $crate::statements! { @list [$($names)* $name] $($rest)* }
    };
    ($($all:tt)*) => {
        $crate::statements! { @list [] $($all)* }
    };
}
