//! The parts of an archive. Each is read page by page, a page in a transaction of its own, and written in between.

mod account;
mod events;
mod media;
mod records;
mod rooms;

use std::sync::Arc;

use reeve_db::{Db, ReadTx};
use reeve_media::Library;
use reeve_model::{Clock, Millis, Pos};
use reeve_rooms::Home;
use reeve_store::exports::Export;
use serde::Serialize;
use serde_json::Value;

use crate::archive::{Archive, Packing};
use crate::error::Failure;
use crate::format::{ListedFile, Manifest, VERSION, schema};
use crate::index;

/// The number of rows in a page.
const PAGE: i64 = 200;

/// The sources of an archive.
pub(crate) struct Source {
    pub(crate) db: Db,
    pub(crate) clock: Clock,
    pub(crate) home: Arc<Home>,
    pub(crate) media: Library,
    pub(crate) export: Export,
    /// The time at which the archive was begun.
    pub(crate) began: Millis,
    /// The newest position of the stream at that time. Later events are not in the archive.
    pub(crate) upto: Pos,
}

/// A part of a list: lines of JSON, and the cursor from which the list goes on.
struct Page<C> {
    lines: Vec<u8>,
    entries: u64,
    /// The number of entries that name a file of the archive.
    names: u64,
    next: Option<C>,
}

impl<C> Page<C> {
    fn new(next: Option<C>) -> Self {
        Self { lines: Vec::new(), entries: 0, names: 0, next }
    }

    fn of<T: Serialize>(entries: impl IntoIterator<Item = T>, next: Option<C>) -> Result<Self, Failure> {
        let mut page = Self::new(next);
        entries.into_iter().try_for_each(|entry| page.add(&entry))?;
        Ok(page)
    }

    fn add(&mut self, entry: &impl Serialize) -> Result<(), Failure> {
        serde_json::to_writer(&mut self.lines, entry)?;
        self.lines.push(b'\n');
        self.entries += 1;
        Ok(())
    }
}

/// The cursor of a list that is read in one page, since its length is limited.
#[derive(Clone)]
struct Whole;

/// Reads a page of a list from a cursor.
type Read<C> = fn(&Source, &ReadTx<'_>, &C) -> Result<Page<C>, Failure>;

/// Returns true if a read of [`PAGE`] rows may have left some.
fn is_full<T>(rows: &[T]) -> bool {
    i64::try_from(rows.len()).is_ok_and(|rows| rows >= PAGE)
}

/// Returns stored JSON as a value; null if it is none.
fn parsed(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_default()
}

/// Writes an archive.
struct Writing {
    source: Arc<Source>,
    archive: Archive,
    files: Vec<ListedFile>,
    /// The number of files that the lists name.
    named: u64,
}

impl Writing {
    async fn read<T: Send + 'static>(
        &self,
        read: impl Fn(&Source, &ReadTx<'_>) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, Failure> {
        let source = Arc::clone(&self.source);
        self.source.db.read(move |tx| read(&source, tx)).await
    }

    /// Writes a list, page by page.
    async fn list<C>(
        &mut self,
        name: &'static str,
        about: &'static str,
        first: C,
        read: Read<C>,
    ) -> Result<(), Failure>
    where
        C: Clone + Send + 'static,
    {
        self.archive.start(name.to_owned(), Packing::Deflated).await?;
        let (mut cursor, mut entries) = (Some(first), 0);
        while let Some(from) = cursor {
            let page = self.read(move |source, tx| read(source, tx, &from)).await?;
            self.archive.write(&page.lines).await?;
            entries += page.entries;
            self.named += page.names;
            cursor = page.next;
        }
        self.files.push(ListedFile { name, about, entries });
        Ok(())
    }

    /// Writes a file with one JSON value.
    async fn json(&mut self, name: &str, value: &impl Serialize) -> Result<(), Failure> {
        let mut text = serde_json::to_vec_pretty(value)?;
        text.push(b'\n');
        self.archive.file(name, &text).await
    }
}

/// Writes all parts of an archive; returns the archive, which is to be finished.
pub(crate) async fn write(source: Source, archive: Archive) -> Result<Archive, Failure> {
    let source = Arc::new(source);
    let mut writing = Writing { source: Arc::clone(&source), archive, files: Vec::new(), named: 0 };
    let account = writing.read(account::account).await?;
    writing.json("account.json", &account).await?;
    let rules = writing.read(account::push_rules).await?;
    writing.json("push_rules.json", &rules).await?;
    writing.list("devices.jsonl", "Devices that are logged in", Whole, account::devices).await?;
    let about = "Browsers in which you are signed in on pages of the server";
    writing.list("browsers.jsonl", about, Whole, account::browsers).await?;
    let about = "Addresses from which the account was used in the last 28 days";
    writing.list("connections.jsonl", about, None, account::connections).await?;
    writing.list("pushers.jsonl", "Where notifications are sent", Whole, account::pushers).await?;
    let first = account::Piece::default();
    writing.list("account_data.jsonl", "Data that clients stored", first, account::account_data).await?;
    let first = rooms::Beyond::default();
    writing.list("memberships.jsonl", "Rooms in which you are or were", first, rooms::memberships).await?;
    let first = events::Walk::default();
    writing.list("messages.jsonl", "Everything that you sent in rooms", first.clone(), events::sent).await?;
    if source.export.options.history {
        writing.list("history.jsonl", "Everything that you can see in rooms", first, events::seen).await?;
    }
    writing.list("media.jsonl", "Uploads", media::After::default(), media::uploads).await?;
    let first = records::Reports::default();
    writing.list("reports.jsonl", "Reports that you made", first.clone(), records::reports).await?;
    let about = "Reports about you or your messages that were dealt with";
    writing.list("reports_about.jsonl", about, first, records::reports_about).await?;
    let first = records::Acts::default();
    writing.list("audit.jsonl", "Acts of administration", first, records::acts).await?;
    let missing_media = if source.export.options.media { writing.media_files().await? } else { 0 };
    let manifest = Manifest {
        format: "reeve-export",
        version: VERSION,
        server_name: source.home.server_name.to_string(),
        user_id: source.export.user_id.clone(),
        export_id: source.export.id.clone(),
        began_ts: source.began,
        completed_ts: source.clock.now(),
        history: source.export.options.history,
        media: source.export.options.media,
        files: std::mem::take(&mut writing.files),
        missing_media,
    };
    writing.json("schema.json", &schema()).await?;
    writing.json("manifest.json", &manifest).await?;
    let page = index::page(&manifest, account.displayname.as_deref())?;
    writing.archive.file("index.html", page.as_bytes()).await?;
    Ok(writing.archive)
}
