//! Whether the server works.

use std::sync::Arc;

use reeve_accounts::registration;
use reeve_db::DbError;
use reeve_http::{Access, Answer, Call, MatrixError, Route, reply};
use reeve_model::Millis;
use reeve_store::health;
use serde::Serialize;
use tokio::sync::Mutex;
use utoipa::ToSchema;

/// How long an answer to the question whether the database takes writes is good for, in milliseconds: however often
/// somebody asks, there is no more than one write in this time.
const GOOD_FOR_MS: i64 = 5_000;

/// The server works.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Health {
    /// Always `ok`.
    status: &'static str,
}

/// What writing to the database came to when it was last tried, and when that was. Locked while it is tried, so that
/// those who ask meanwhile wait for the same answer.
type LastWrite = Mutex<Option<(Millis, Result<(), DbError>)>>;

pub(crate) fn route() -> Route {
    let last = Arc::new(LastWrite::default());
    Route::get("/health", move |call| handle(call, Arc::clone(&last)))
        .access(Access::Anybody)
        .id("getHealth")
        .summary("Whether the server works: its database answers and takes writes")
        .returns::<Health>(200)
        .errors(&[(503, "M_UNKNOWN", "the database does not answer, or takes no writes; `error` says why")])
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

/// Writes to the database, durably and without a trace, unless that was done a moment ago.
async fn takes_writes(call: &Call, last: &LastWrite) -> Result<(), DbError> {
    let mut last = last.lock().await;
    if let Some((at, result)) = &*last
        && (*at..at.plus(GOOD_FOR_MS)).contains(&call.now)
    {
        return result.clone();
    }
    let now = call.now;
    let result = call
        .app
        .db
        .write(move |tx| -> Result<(), DbError> {
            let nonce = registration::new_nonce(tx, now)?;
            registration::take_nonce(tx, &nonce, now)?;
            Ok(())
        })
        .await;
    *last = Some((call.now, result.clone()));
    result
}

fn unavailable(text: String, cause: &DbError) -> MatrixError {
    let answer = MatrixError::new(http::StatusCode::SERVICE_UNAVAILABLE, "M_UNKNOWN", text);
    MatrixError { cause: Some(cause.to_string()), ..answer }
}
