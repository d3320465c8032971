//! Housekeeping: writes data collected in memory, and deletes expired data, at intervals.

use std::sync::Arc;
use std::time::Duration;

use reeve_accounts::{
    emails, kept, key_backup, keys, registration, selections, service_tokens, sessions, to_device, validity,
};
use reeve_app::App;
use reeve_db::DbError;
use reeve_model::Ctx;
use reeve_push::Push;
use reeve_rooms::{deletion, ephemeral};
use reeve_store::transactions;
use tokio::sync::watch;

/// Interval of writing sightings.
const FLUSH_EVERY: Duration = Duration::from_secs(5);
/// Interval of writing last download times.
const FLUSH_MEDIA_EVERY: Duration = Duration::from_mins(1);
/// Interval of moving the roster on.
const REFRESH_EVERY: Duration = Duration::from_mins(1);
/// Maximum interval of sweeping the media store.
const SWEEP_MEDIA_EVERY: Duration = Duration::from_mins(1);
/// Interval of the sweep of typing and presence, and of the look for kept data whose time is over.
const SWEEP_EVERY: Duration = Duration::from_secs(1);
/// The time for which a transaction id is remembered.
const TRANSACTIONS_MS: i64 = 24 * 3600 * 1000;
/// Interval of deleting expired data.
const PRUNE_EVERY: Duration = Duration::from_mins(10);
/// Maximum number of batches of orphaned room keys, and of orphaned to-device messages, deleted at a time.
const PARTS: usize = 100;

/// Writes sightings in batches and deletes expired data.
pub(super) async fn run_housekeeping(
    app: Arc<App>,
    push: Push,
    keep_batches_ms: i64,
    mut stop: watch::Receiver<bool>,
) {
    let mut flush = tokio::time::interval(FLUSH_EVERY);
    let mut prune = tokio::time::interval(PRUNE_EVERY);
    let mut sweep = tokio::time::interval(SWEEP_EVERY);
    let mut flush_media = tokio::time::interval(FLUSH_MEDIA_EVERY);
    let mut refresh = tokio::time::interval(REFRESH_EVERY);
    refresh.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    sweep.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    flush_media.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    flush.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        let done = tokio::select! {
            () = stopped(&mut stop) => return,
            _ = flush.tick() => flush_seen(&app).await,
            _ = flush_media.tick() => app.media.flush().await,
            _ = refresh.tick() => app.selections.refresh(&app.db).await,
            _ = prune.tick() => prune_expired(&app, &push, keep_batches_ms, &stop).await,
            _ = sweep.tick() => sweep_due(&app).await,
        };
        if let Err(error) = done {
            tracing::warn!(%error, "housekeeping failed and will be retried");
        }
    }
}

/// Waits until the server stops, without the lock on the signal that `wait_for` returns: the rest of the loop awaits.
async fn stopped(stop: &mut watch::Receiver<bool>) {
    drop(stop.wait_for(|stop| *stop).await);
}

/// Writes when accounts and service tokens were seen.
pub(super) async fn flush_seen(app: &App) -> Result<(), DbError> {
    app.seen.flush(&app.db).await?;
    app.service_uses.flush(&app.db).await
}

/// Deletes orphaned objects in the media store, soon after they became so.
pub(super) async fn sweep_media(app: Arc<App>, mut stop: watch::Receiver<bool>) {
    let mut every = tokio::time::interval(SWEEP_MEDIA_EVERY);
    every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = stop.wait_for(|stop| *stop) => return,
            _ = every.tick() => {}
            () = app.media.sweep_due() => {}
        }
        if let Err(error) = app.media.sweep().await {
            tracing::warn!(%error, "the media store could not be swept; retrying later");
        }
    }
}

/// Ends expired typing, the presence of devices that were not heard of, and the time of what is kept of accounts.
async fn sweep_due(app: &Arc<App>) -> Result<(), DbError> {
    let now = app.clock.now();
    let (fades, purge) = app
        .db
        .read(move |tx| -> Result<_, DbError> {
            Ok((ephemeral::is_sweep_due(tx, now)?, kept::is_purge_due(tx, now)?))
        })
        .await?;
    if !fades && !purge {
        return Ok(());
    }
    app.db
        .write(move |tx| -> Result<(), DbError> {
            if fades {
                ephemeral::sweep_typing(tx, now)?;
                ephemeral::sweep_presence(tx, now)?;
            }
            if purge { kept::order_purge(tx, now) } else { Ok(()) }
        })
        .await
}

async fn prune_expired(
    app: &App,
    push: &Push,
    keep_batches_ms: i64,
    stop: &watch::Receiver<bool>,
) -> Result<(), DbError> {
    let now = app.clock.now();
    push.prune().await?;
    app.webhooks.prune().await?;
    reeve_retention::schedule(&app.db, &app.retention, now).await?;
    app.jobs.prune().await?;
    selections::prune(&app.db).await?;
    reeve_media::bin::purge_due(&app.db, now).await?;
    deletion::purge::purge_due(&app.db, now).await?;
    reeve_batch::prune(&app.db, now.minus(keep_batches_ms), now).await?;
    remind_owners(app).await?;
    for _ in 0..PARTS {
        if !app.db.write(move |tx| emails::prune(tx, now)).await? {
            break;
        }
    }
    for clear in [key_backup::clear, to_device::delete_orphaned] {
        for _ in 0..PARTS {
            if !app.db.write(clear).await? {
                break;
            }
        }
    }
    // One batch in a transaction, so that others can write in between.
    for prune in [keys::prune, registration::prune, reeve_client_api::prune] {
        while app.db.write(move |tx| prune(tx, now)).await? {
            if *stop.borrow() {
                return Ok(());
            }
        }
    }
    let unused_clients_ms = app.oauth.as_ref().map(|oauth| oauth.unused_clients_ms);
    while app.db.write(move |tx| reeve_oauth::prune(tx, now, unused_clients_ms)).await? {
        if *stop.borrow() {
            return Ok(());
        }
    }
    app.db
        .write(move |tx| -> Result<(), DbError> {
            sessions::prune(tx, now)?;
            service_tokens::prune(tx, now)?;
            transactions::prune(tx, now.minus(TRANSACTIONS_MS))
        })
        .await
}

/// Reminds the owners of accounts that expire soon.
async fn remind_owners(app: &App) -> Result<(), DbError> {
    if !validity::is_renewed_by_mail(&app.policy) {
        return Ok(());
    }
    for _ in 0..PARTS {
        let ctx = Ctx::system(&app.clock, &app.server_name, "account_validity");
        let policy = app.policy.clone();
        if !app.db.write(move |tx| validity::remind(tx, &ctx, &policy)).await? {
            break;
        }
    }
    Ok(())
}
