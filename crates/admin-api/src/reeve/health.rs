//! Health check.

use std::sync::Arc;

use reeve_accounts::registration;
use reeve_app::{Access, Answer, Call, MatrixError, Route, reply};
use reeve_db::DbError;
use reeve_model::Millis;
use reeve_store::health;
use serde::Serialize;
use tokio::sync::Mutex;
use utoipa::ToSchema;

/// The time for which the result of a database write is reused, in milliseconds: however often the route is
/// requested, there is at most one write in this time.
const GOOD_FOR_MS: i64 = 5_000;

/// The server works.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Health {
    /// Always `ok`.
    status: &'static str,
}

/// The result and time of the last write to the database. Locked during a write, so that concurrent requests
/// wait for the same result.
type LastWrite = Mutex<Option<(Millis, Result<(), DbError>)>>;

pub(crate) fn route() -> Route {
    let last = Arc::new(LastWrite::default());
    Route::get("/health", move |call| handle(call, Arc::clone(&last)))
        .access(Access::Anybody)
        .id("getHealth")
        .summary("Checks that the database can be read and written")
        .returns::<Health>(200)
        .errors(&[(503, "M_UNKNOWN", "the database cannot be read or written; `error` says why")])
}

async fn handle(call: Call, last: Arc<LastWrite>) -> Answer {
    call.app
        .db
        .read(health::answers)
        .await
        .map_err(|error| unavailable("The database is not available".to_owned(), &error))?;
    takes_writes(&call, &last).await.map_err(|error| {
        let reason = match &error {
            DbError::Unavailable(reason) => reason.clone(),
            error => error.to_string(),
        };
        unavailable(format!("The database takes no writes: {reason}"), &error)
    })?;
    reply::ok(&Health { status: "ok" })
}

/// Writes to the database, durably and without a trace, unless a recent result can be reused.
async fn takes_writes(call: &Call, last: &LastWrite) -> Result<(), DbError> {
    let mut last = last.lock().await;
    if let Some((at, result)) = &*last
        && (*at..at.plus(GOOD_FOR_MS)).contains(&call.now)
    {
        return result.clone();
    }
    let ctx = call.ctx();
    let result = call
        .app
        .db
        .write(move |tx| -> Result<(), DbError> {
            let nonce = registration::new_nonce(tx, &ctx)?;
            registration::take_nonce(tx, &ctx, &nonce)?;
            Ok(())
        })
        .await;
    *last = Some((call.now, result.clone()));
    result
}

fn unavailable(text: String, cause: &DbError) -> MatrixError {
    MatrixError::unavailable(text).caused_by(cause)
}
