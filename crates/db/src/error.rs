use reeve_model::MatrixError;
use thiserror::Error;

/// The error of a database call. No variant shows the values of parameters.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum DbError {
    /// The queue of waiting calls is full; nothing was run. The call can be retried later.
    #[error("the database is overloaded")]
    Overloaded,
    /// The call waited longer than [`Options::wait`](crate::Options::wait) and was not run, or one statement
    /// ran into the server's time limit and its transaction was rolled back.
    #[error("the database did not respond in time")]
    Timeout,
    /// [`Db::close`](crate::Db::close) was called before.
    #[error("the database is closed")]
    Closed,
    /// The database cannot be reached, is locked by another process, or its disk fails. After a failed commit
    /// the text says that the outcome is unknown.
    #[error("the database is unavailable: {0}")]
    Unavailable(String),
    /// The transaction conflicted with others until its tries were used up; nothing was changed.
    #[error("the transaction kept conflicting with others")]
    Serialization,
    /// A statement violated a constraint of the schema. The text is the engine's own, for the log only.
    #[error("a constraint was violated: {0}")]
    Constraint(String),
    /// A value has another type than the program requested (or than the parameter's column has).
    #[error("{place} {index}: expected {expected}, found {found}")]
    Type {
        /// `"column"` or `"parameter"`.
        place: &'static str,
        /// Columns count from 0, parameters from 1, as in the program.
        index: usize,
        /// The requested type, or the type that the parameter accepts.
        expected: &'static str,
        /// The actual type.
        found: &'static str,
    },
    /// A text parameter contains U+0000, which PostgreSQL cannot store and therefore neither engine accepts.
    #[error("parameter {0}: a text cannot contain U+0000")]
    Nul(usize),
    /// [`ReadTx::query_one`](crate::ReadTx::query_one) found no row.
    #[error("no such row")]
    NoRow,
    /// An error of the program: wrong SQL, a panic in a closure, and the like.
    #[error("database fault: {0}")]
    Internal(String),
}

impl DbError {
    /// Returns true if the error came from the engine while it ran a statement. PostgreSQL then accepts only a
    /// rollback, so the transaction is lost on both engines even if the closure continues.
    pub(crate) fn dooms(&self) -> bool {
        !matches!(self, Self::Type { .. } | Self::Nul(_) | Self::NoRow)
    }
}

impl From<DbError> for MatrixError {
    fn from(error: DbError) -> Self {
        match error {
            DbError::Overloaded | DbError::Timeout | DbError::Closed | DbError::Unavailable(_) => {
                Self::unavailable("The database is not available").caused_by(error)
            }
            DbError::Serialization
            | DbError::Constraint(_)
            | DbError::Type { .. }
            | DbError::Nul(_)
            | DbError::NoRow
            | DbError::Internal(_) => Self::internal(error),
        }
    }
}

/// The reason why a database could not be opened.
#[derive(Debug, Error)]
pub enum OpenError {
    /// The file or server cannot be reached, or refuses.
    #[error("cannot open the database {url}: {reason}")]
    Connect {
        /// The database, without its password.
        url: String,
        /// The reason given by the engine.
        reason: String,
    },
    /// There is no database, or no table of this program in it, and it was not to be created.
    #[error("there is no database {url}")]
    Missing {
        /// The database, without its password.
        url: String,
    },
    /// The database lacks migrations, and they were not to be applied.
    #[error("the database {url} has schema version {found}, this program needs {known}")]
    Pending {
        /// The database, without its password.
        url: String,
        /// The number of the last migration in the database.
        found: i64,
        /// The number of the last migration in the program.
        known: i64,
    },
    /// The engine or the database lacks a required feature.
    #[error("cannot use this database: {0}")]
    Unsupported(String),
    /// The database was migrated by a newer program.
    #[error(
        "the database has schema version {found}, this program knows only up to {known}: use a newer program"
    )]
    SchemaTooNew {
        /// The number of the last migration in the database.
        found: i64,
        /// The number of the last migration in the program.
        known: i64,
    },
    /// The first migration of the database is not this program's first one.
    #[error(
        "the database has the schema of another program, or of a version from before the first release, which this \
         program cannot migrate"
    )]
    SchemaForeign,
    /// A migration failed and was rolled back; those before it stay.
    #[error("migration {number} ({name}) failed: {reason}")]
    Migration {
        /// The migration's number.
        number: i64,
        /// The migration's name.
        name: &'static str,
        /// The reason given by the engine.
        reason: String,
    },
    /// The program's list of migrations is wrong: numbers must run from 1 without gaps.
    #[error("the list of migrations is wrong: {0}")]
    Migrations(String),
}
