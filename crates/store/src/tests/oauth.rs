//! Requests of clients that have ended are deleted in batches.

use reeve_db::{DbError, Engine, Tx};
use reeve_model::session::hash_token;
use reeve_model::{Millis, ResponseMode};

use super::{fresh, runtime};
use crate::oauth_device_requests::{self, NewOAuthDeviceRequest};
use crate::oauth_requests::{self, NewOAuthRequest};

/// Adds a request of each kind that ends at a time, and is named by it.
fn insert(tx: &mut Tx<'_>, ends: i64) -> Result<(), DbError> {
    let name = ends.to_string();
    oauth_requests::insert(
        tx,
        &NewOAuthRequest {
            id: name.clone(),
            client_id: String::new(),
            redirect_uri: String::new(),
            response_mode: ResponseMode::Query,
            state: None,
            scope: String::new(),
            code_challenge: String::new(),
            proves_again: false,
            created_ts: Millis::ZERO,
            ends_ts: Millis::new(ends),
        },
    )?;
    oauth_device_requests::insert(
        tx,
        &NewOAuthDeviceRequest {
            device_code_hash: hash_token(&name),
            user_code: name,
            client_id: String::new(),
            scope: String::new(),
            ends_ts: Millis::new(ends),
            interval_ms: 0,
        },
    )
}

/// Returns the times of the requests that are left, which must be the same for both kinds.
fn left(tx: &Tx<'_>) -> Result<Vec<i64>, DbError> {
    let mut left = Vec::new();
    for ends in 1_i64..=5 {
        let is_left = oauth_requests::find(tx, &ends.to_string())?.is_some();
        let is_left_on_device = oauth_device_requests::by_user_code(tx, &ends.to_string())?.is_some();
        assert_eq!(is_left, is_left_on_device, "{ends}");
        if is_left {
            left.push(ends);
        }
    }
    Ok(left)
}

fn requests_that_ended_go_in_batches(engine: Engine) {
    let runtime = runtime();
    let fresh = fresh(&runtime, engine, "oauth");
    let test = fresh.db.write(|tx| -> Result<(), DbError> {
        for ends in 1..=5 {
            insert(tx, ends)?;
        }
        for (more, wanted) in [(true, vec![3, 4, 5]), (false, vec![4, 5]), (false, vec![4, 5])] {
            assert_eq!(oauth_requests::prune(tx, Millis::new(4), 2)?, more);
            assert_eq!(oauth_device_requests::prune(tx, Millis::new(4), 2)?, more);
            assert_eq!(left(tx)?, wanted);
        }
        Ok(())
    });
    runtime.block_on(test).unwrap();
    fresh.close(&runtime);
}

#[test]
fn requests_that_ended_go_in_batches_on_sqlite() {
    requests_that_ended_go_in_batches(Engine::Sqlite);
}

#[test]
fn requests_that_ended_go_in_batches_on_postgres() {
    if reeve_test_postgres::available() {
        requests_that_ended_go_in_batches(Engine::Postgres);
    }
}
