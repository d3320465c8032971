//! The worker of a process: claims exports that are due, one after the other, and writes their archives; and the end of archives
//! whose time is over.
//!
//! A claim is a lease that is renewed while the archive is written. A worker that dies loses it, and another one begins again.

use std::sync::Arc;
use std::time::Duration;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::registry::Registry;
use reeve_db::{Db, DbError, ReadTx, Tx};
use reeve_media::{Content, Library, Upload};
use reeve_model::{Actor, Clock, ExportNum, ExportState, HappeningKind, JobState, Millis, random};
use reeve_rooms::Home;
use reeve_store::exports::{self, Claim, Export};
use reeve_store::happenings::{self, NewHappening};
use reeve_store::{media_objects, stream};
use serde_json::json;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::archive::Archive;
use crate::error::Failure;
use crate::parts::{self, Source};
use crate::settings::Settings;

/// The lease of a claim, in milliseconds.
const LEASE_MS: i64 = 15_000;
/// Interval at which the lease is renewed.
const RENEW_EVERY: Duration = Duration::from_secs(3);
/// Interval at which the database is read without a notification: finds orders of other processes, retries, and ends.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Maximum number of attempts.
const MAX_ATTEMPTS: i64 = 5;
/// The pause after the first failure, in milliseconds; it doubles with each.
const PAUSE_MS: i64 = 30_000;
/// Maximum number of ended exports that one transaction deletes.
const DELETE_AT_ONCE: i64 = 100;
/// The time after which an order of a person comes before those of administrators, in milliseconds, so that each is written
/// at last.
const PATIENCE_MS: i64 = 86_400_000;
/// The kind under which webhooks are told of the end of an export.
const KIND: &str = "user_export";

struct Inner {
    db: Db,
    clock: Clock,
    home: Arc<Home>,
    media: Library,
    settings: Settings,
    complete: Counter,
    failed: Counter,
}

/// Exports of this server. Cheap to clone.
#[derive(Clone)]
pub struct Exports(Arc<Inner>);

impl Exports {
    /// A worker that does nothing until [`Exports::start`].
    pub fn new(db: Db, clock: Clock, home: Arc<Home>, media: Library, settings: Settings) -> Self {
        let (complete, failed) = (Counter::default(), Counter::default());
        Self(Arc::new(Inner { db, clock, home, media, settings, complete, failed }))
    }

    /// The operator's settings.
    pub fn settings(&self) -> &Settings {
        &self.0.settings
    }

    /// Registers the metrics.
    pub fn register(&self, registry: &mut Registry) {
        registry.register("exports_complete", "Exports that were completed", self.0.complete.clone());
        registry.register("exports_failed", "Exports that were given up", self.0.failed.clone());
    }

    /// Ends the claims of a former process. Only for a process that has the database to itself.
    pub async fn release_former(&self) -> Result<(), DbError> {
        self.0.db.write(exports::release_all).await
    }

    /// Starts the worker, and the deletion of archives whose time is over, until stopped.
    pub fn start(&self, stop: &watch::Receiver<bool>) -> Vec<JoinHandle<()>> {
        vec![
            tokio::spawn(self.clone().write_all(stop.clone())),
            tokio::spawn(self.clone().delete_ended(stop.clone())),
        ]
    }

    /// Reads a range of an archive, which must lie within it.
    pub async fn read(
        &self,
        archive: &exports::Archive,
        range: std::ops::Range<u64>,
    ) -> Result<Content, reeve_media::Error> {
        self.0.media.read_object(&archive.object, range).await
    }

    async fn delete_ended(self, mut stop: watch::Receiver<bool>) {
        loop {
            if let Err(error) = self.delete_all_ended(&stop).await {
                tracing::warn!(%error, "exports whose time is over cannot be deleted; retrying");
            }
            tokio::select! {
                _ = stop.wait_for(|stop| *stop) => return,
                () = tokio::time::sleep(LOOK_EVERY) => {}
            }
        }
    }

    async fn delete_all_ended(&self, stop: &watch::Receiver<bool>) -> Result<(), DbError> {
        let now = self.0.clock.now();
        while self.0.db.read(move |tx| exports::has_ended(tx, now)).await? {
            if *stop.borrow() {
                break;
            }
            self.0.db.write(move |tx| exports::delete_ended(tx, now, DELETE_AT_ONCE)).await?;
            self.0.media.wake_sweeper();
        }
        Ok(())
    }

    async fn write_all(self, mut stop: watch::Receiver<bool>) {
        let mut ordered = self.0.db.listen(exports::ORDERED);
        loop {
            match self.claim().await {
                Ok(Some((export, claim))) => {
                    Box::pin(self.attempt(export, claim, stop.clone())).await;
                    if !*stop.borrow() {
                        continue;
                    }
                }
                Ok(None) => {}
                Err(error) => tracing::warn!(%error, "due exports cannot be claimed"),
            }
            tokio::select! {
                _ = stop.wait_for(|stop| *stop) => return,
                () = ordered.notified() => {}
                () = tokio::time::sleep(LOOK_EVERY) => {}
            }
        }
    }

    async fn claim(&self) -> Result<Option<(Export, Claim)>, DbError> {
        let now = self.0.clock.now();
        if self.0.db.read(move |tx| next(tx, now)).await?.is_none() {
            return Ok(None);
        }
        let name = random::letters(16);
        let claim = move |tx: &mut Tx<'_>| -> Result<Option<(Export, Claim)>, DbError> {
            let Some(num) = next(tx, now)? else { return Ok(None) };
            let claim = Claim { num, name: name.clone() };
            Ok(exports::claim(tx, &claim, now.plus(LEASE_MS))?.map(|export| (export, claim)))
        };
        self.0.db.write(claim).await
    }

    /// Makes an attempt to write an archive. It ends early if the server stops, or the claim does not hold any more.
    async fn attempt(&self, export: Export, claim: Claim, mut stop: watch::Receiver<bool>) {
        tracing::info!(export = export.id, user = export.user_id, attempt = export.attempts, "export begins");
        if export.attempts > MAX_ATTEMPTS {
            let failure = Failure::Hopeless("the server stopped too often while it wrote the archive");
            return self.give_up_or_retry(&export, &claim, failure).await;
        }
        let begun = self.0.media.begin_up_to(export.user_num, self.0.settings.max_bytes).await;
        let upload = match begun {
            Ok(upload) => upload,
            Err(error) => return self.give_up_or_retry(&export, &claim, error.into()).await,
        };
        let object = upload.object().to_owned();
        let ended = tokio::select! {
            made = self.make(&export, &claim, upload) => Some(made),
            () = self.hold(&claim, &object) => Some(Err(Failure::Lost)),
            _ = stop.wait_for(|stop| *stop) => None,
        };
        match ended {
            Some(Ok(())) => {
                self.0.complete.inc();
                tracing::info!(export = export.id, user = export.user_id, "export is complete");
            }
            Some(Err(failure)) => self.give_up_or_retry(&export, &claim, failure).await,
            None => {
                self.settle(&claim, exports::release).await;
            }
        }
    }

    /// Writes an archive, and completes the export.
    async fn make(&self, export: &Export, claim: &Claim, upload: Upload) -> Result<(), Failure> {
        let inner = &self.0;
        let began = inner.clock.now();
        let upto = inner.db.read(stream::current).await?;
        let archive = Archive::begin(upload, export.options.recipient.as_deref())?;
        let source = Source {
            db: inner.db.clone(),
            clock: inner.clock.clone(),
            home: Arc::clone(&inner.home),
            media: inner.media.clone(),
            export: export.clone(),
            began,
            upto,
        };
        let upload = Box::pin(parts::write(source, archive)).await?;
        let upload = Box::pin(upload.finish()).await?;
        let (export, claim, keep_ms) = (export.clone(), claim.clone(), inner.settings.keep_ms);
        let clock = inner.clock.clone();
        let complete = move |tx: &mut Tx<'_>, stored: &reeve_media::Stored| -> Result<(), Failure> {
            let now = clock.now();
            let archive = exports::Archive {
                object: stored.object.clone(),
                length: stored.length,
                sha256: stored.sha256.clone(),
            };
            if !exports::complete(tx, &claim, &archive, now, now.plus(keep_ms))? {
                return Err(Failure::Lost);
            }
            if !media_objects::take(tx, &stored.object)? {
                return Err(Failure::transient("the archive counted as abandoned while it was written"));
            }
            if export.own {
                exports::delete_other_own(tx, export.user_num, export.num, now)?;
            }
            Ok(tell(tx, &export, JobState::Complete, None, now)?)
        };
        inner.media.keep(upload, complete).await
    }

    /// Renews the lease of a claim, and its object, so that it does not count as abandoned; returns when the claim does not hold
    /// any more.
    async fn hold(&self, claim: &Claim, object: &str) {
        let mut until = self.0.clock.now().plus(LEASE_MS);
        loop {
            tokio::time::sleep(RENEW_EVERY).await;
            let now = self.0.clock.now();
            // A test's clock may stand still.
            let next = now.plus(LEASE_MS).max(until);
            let (claim, object) = (claim.clone(), object.to_owned());
            let renew = move |tx: &mut Tx<'_>| -> Result<bool, DbError> {
                media_objects::renew(tx, &object, now)?;
                exports::renew(tx, &claim, next)
            };
            match self.0.db.write(renew).await {
                Ok(true) => until = next,
                Ok(false) => return,
                Err(error) => tracing::warn!(%error, "the lease of an export cannot be renewed; retrying"),
            }
        }
    }

    async fn give_up_or_retry(&self, export: &Export, claim: &Claim, failure: Failure) {
        let now = self.0.clock.now();
        let error = failure.to_string();
        let state = match failure {
            // It was deleted, or the worker that has it now goes on.
            Failure::Lost => {
                return tracing::info!(
                    export = export.id,
                    "the export was deleted, or another worker has it"
                );
            }
            Failure::TooLarge => Some(ExportState::TooLarge),
            Failure::Hopeless(_) => Some(ExportState::Failed),
            Failure::Transient(_) => (export.attempts >= MAX_ATTEMPTS).then_some(ExportState::Failed),
        };
        if let Some(state) = state {
            tracing::error!(export = export.id, user = export.user_id, error, "export failed");
            self.0.failed.inc();
            let (export, ends) = (export.clone(), now.plus(self.0.settings.keep_ms));
            self.settle(claim, move |tx, claim| {
                if exports::fail(tx, claim, state, &error, ends)? {
                    tell(tx, &export, JobState::Failed, Some(&error), now)?;
                }
                Ok(())
            })
            .await;
        } else {
            tracing::warn!(export = export.id, error, "an export will be tried again");
            let pause = PAUSE_MS << export.attempts.clamp(1, MAX_ATTEMPTS).saturating_sub(1);
            self.settle(claim, move |tx, claim| exports::retry(tx, claim, now.plus(pause), &error)).await;
        }
    }

    /// Stores the end of an attempt. If that fails, the claim ends with its lease.
    async fn settle(
        &self,
        claim: &Claim,
        write: impl Fn(&mut Tx<'_>, &Claim) -> Result<(), DbError> + Send + 'static,
    ) {
        let claim = claim.clone();
        if let Err(error) = self.0.db.write(move |tx| write(tx, &claim)).await {
            tracing::error!(%error, "an export cannot be released; it goes on when its lease ends");
        }
    }
}

/// Returns the export that is written next: the first that an administrator ordered, or else the first that a person did.
fn next(tx: &ReadTx<'_>, now: Millis) -> Result<Option<ExportNum>, DbError> {
    for (own, since) in [(true, now.minus(PATIENCE_MS)), (false, now), (true, now)] {
        if let Some(num) = exports::first_due(tx, own, since)? {
            return Ok(Some(num));
        }
    }
    Ok(None)
}

/// Tells webhooks of the end of an export, as of that of a job.
fn tell(
    tx: &mut Tx<'_>,
    export: &Export,
    state: JobState,
    error: Option<&str>,
    now: Millis,
) -> Result<(), DbError> {
    let details = json!({ "job_id": export.id, "kind": KIND, "state": state, "error": error });
    let ended = NewHappening {
        ts: now,
        kind: HappeningKind::JobEnded,
        target: Some(&export.user_id),
        actor: &Actor::Job(KIND.into()),
        audited: None,
        details: &details,
    };
    happenings::record(tx, &ended)
}
