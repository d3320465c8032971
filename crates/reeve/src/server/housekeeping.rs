//! What is done at intervals: writing what waits in memory, and deleting what is over.

use std::sync::Arc;
use std::time::Duration;

use reeve_accounts::{key_backup, keys, registration, sessions, to_device};
use reeve_db::DbError;
use reeve_http::app::App;
use reeve_http::serve;
use reeve_push::Push;
use reeve_rooms::ephemeral;
use reeve_store::transactions;
use tokio::sync::watch;

/// How often sightings of accounts are written.
const FLUSH_EVERY: Duration = Duration::from_secs(5);
/// How often it is written down when uploads were last downloaded.
const FLUSH_MEDIA_EVERY: Duration = Duration::from_mins(1);
/// How often the media store is swept without being told to.
const SWEEP_MEDIA_EVERY: Duration = Duration::from_mins(1);
/// How often it is looked who stopped typing or went away.
const SWEEP_EVERY: Duration = Duration::from_secs(1);
/// How long a request with a transaction id is remembered.
const TRANSACTIONS_MS: i64 = 24 * 3600 * 1000;
/// How often what has expired is deleted.
const PRUNE_EVERY: Duration = Duration::from_mins(10);
/// How many parts of deleted backups of room keys, and of messages to devices that are gone, are deleted at a time.
const PARTS: usize = 100;

/// Writes sightings in batches and deletes what has expired.
pub(super) async fn keep_house(app: Arc<App>, push: Push, mut stop: watch::Receiver<bool>) {
    let mut flush = tokio::time::interval(FLUSH_EVERY);
    let mut prune = tokio::time::interval(PRUNE_EVERY);
    let mut sweep = tokio::time::interval(SWEEP_EVERY);
    let mut flush_media = tokio::time::interval(FLUSH_MEDIA_EVERY);
    sweep.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    flush_media.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    flush.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        let done = tokio::select! {
            () = serve::stopped(&mut stop) => return,
            _ = flush.tick() => app.seen.flush(&app.db).await,
            _ = flush_media.tick() => app.media.flush().await,
            _ = prune.tick() => prune_expired(&app, &push).await,
            _ = sweep.tick() => sweep_ephemeral(&app).await,
        };
        if let Err(error) = done {
            tracing::warn!(%error, "housekeeping failed and will be tried again");
        }
    }
}

/// Deletes what is in the media store and belongs to nothing, soon after it is so.
pub(super) async fn sweep_media(app: Arc<App>, mut stop: watch::Receiver<bool>) {
    let mut every = tokio::time::interval(SWEEP_MEDIA_EVERY);
    every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = serve::stopped(&mut stop) => return,
            _ = every.tick() => {}
            () = app.media.strayed() => {}
        }
        if let Err(error) = app.media.sweep().await {
            tracing::warn!(%error, "the media store could not be swept and will be again");
        }
    }
}

/// Lets those stop typing whose time ran out, and devices go that are not heard of any more.
async fn sweep_ephemeral(app: &Arc<App>) -> Result<(), DbError> {
    let now = app.clock.now();
    let due = app.db.read(move |tx| -> Result<_, DbError> { ephemeral::is_sweep_due(tx, now) }).await?;
    if !due {
        return Ok(());
    }
    app.db
        .write(move |tx| -> Result<(), DbError> {
            ephemeral::sweep_typing(tx, now)?;
            ephemeral::sweep_presence(tx, now)
        })
        .await
}

async fn prune_expired(app: &App, push: &Push) -> Result<(), DbError> {
    let now = app.clock.now();
    push.prune().await?;
    app.seen.prune(&app.db, now).await?;
    app.jobs.prune().await?;
    for clear in [key_backup::clear, to_device::clear] {
        for _ in 0..PARTS {
            if !app.db.write(clear).await? {
                break;
            }
        }
    }
    app.db
        .write(move |tx| -> Result<(), DbError> {
            sessions::prune(tx, now)?;
            keys::prune(tx, now)?;
            registration::prune(tx, now)?;
            transactions::prune(tx, now.minus(TRANSACTIONS_MS))?;
            reeve_client_api::prune(tx, now)
        })
        .await
}
