//! `reeve user export-data`: an archive of everything about an account, which the server writes.

use std::fmt::Display;
use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use futures_util::StreamExt as _;
use reeve_accounts::Error;
use reeve_export as export;
use reeve_media::{Content, Library};
use reeve_model::{Clock, ExportState};
use reeve_store::exports::{Archive, Export, Options};
use tempfile::Builder;

use super::{Failure, operator::Operator, serve::Signals, terminal::say, token::milliseconds};
use crate::server::Config;

/// Interval at which the state is read.
const LOOK_EVERY: Duration = Duration::from_millis(300);

/// The archive of an account.
#[derive(Debug, clap::Args)]
pub(super) struct ExportData {
    /// The account
    name: String,
    /// The file to write the archive to; it must not exist
    #[arg(long, value_name = "FILE", required_unless_present = "no_wait")]
    output: Option<PathBuf>,
    /// Include the history of rooms that the person can see
    #[arg(long)]
    history: bool,
    /// Leave out the files that the person uploaded
    #[arg(long)]
    no_media: bool,
    /// The age recipient to encrypt the archive to
    #[arg(long, value_name = "AGE1…")]
    recipient: Option<String>,
    /// The longest time to wait for the server, such as 90s or 8h
    #[arg(long, value_name = "DURATION", value_parser = milliseconds, default_value = "1h")]
    timeout: i64,
    /// Only order the archive, and do not wait for it
    #[arg(long, conflicts_with = "output")]
    no_wait: bool,
}

/// Runs the command, and returns its output.
pub(super) async fn run(command: ExportData, operator: &Operator, config: Config) -> Result<String, Failure> {
    let ExportData { name, output, history, no_media, recipient, timeout, .. } = command;
    if let Some(path) = &output {
        check_target(path)?;
    }
    let user_id = operator.find(&name).await?.user_id;
    let options = Options { history, media: !no_media, recipient };
    let about = user_id.clone();
    let ordered = operator.write(move |tx, ctx| match export::order(tx, ctx, &about, &options) {
        Ok(ordered) => Ok(Ok(ordered)),
        Err(export::Error::Db(error)) => Err(error.into()),
        Err(export::Error::Accounts(error)) => Err(error),
        // Nothing was written.
        Err(refusal) => Ok(Err(refusal.to_string())),
    });
    let ordered = ordered.await?.map_err(Failure::new)?;
    let Some(output) = output else {
        return Ok(format!("export {} of {user_id} is ordered; the server writes it\n", ordered.id));
    };
    let text = format!(
        "export {} is ordered; the server writes it, also if this command is interrupted",
        ordered.id
    );
    say(&text);
    let timeout = Duration::from_millis(u64::try_from(timeout).unwrap_or_default());
    let archive =
        tokio::time::timeout(timeout, wait(operator, &ordered.id)).await.map_err(|_elapsed| {
            let text =
                "is not ready in time; the server goes on with it, and administrators can make a link to it";
            Failure::new(format!("export {} {text}", ordered.id))
        })??;
    let store = Library::open(config.media, operator.db().clone(), Clock::System)
        .map_err(|error| Failure::new(error.to_string()))?;
    let mut signals = Signals::new().map_err(super::cannot_start)?;
    tokio::select! {
        copied = copy(&store, &archive, &output) => copied?,
        name = signals.next() => return Err(Failure::new(format!("stopped by {name}"))),
    }
    Ok(format!("the archive of {user_id} is in {}\n", output.display()))
}

/// Returns the folder of a file.
fn folder(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Refuses a file that cannot be written, before anything is ordered.
fn check_target(path: &Path) -> Result<(), Failure> {
    if path.exists() {
        return Err(Failure::new(format!("{} exists already", path.display())));
    }
    let folder = folder(path);
    if !folder.is_dir() {
        return Err(Failure::new(format!("there is no folder {}", folder.display())));
    }
    Ok(())
}

/// Waits until the server has written an archive.
async fn wait(operator: &Operator, id: &str) -> Result<Archive, Failure> {
    loop {
        let wanted = id.to_owned();
        let found = operator.read(move |tx, _| -> Result<Option<Export>, Error> {
            Ok(reeve_store::exports::find(tx, &wanted)?)
        });
        let found = found.await?.ok_or_else(|| Failure::new("the account was erased meanwhile"))?;
        match (found.state, found.archive) {
            (ExportState::Ready, Some(archive)) => return Ok(archive),
            (ExportState::Waiting | ExportState::Running | ExportState::Ready, _) => {
                tokio::time::sleep(LOOK_EVERY).await;
            }
            (ExportState::Failed | ExportState::TooLarge, _) => {
                return Err(Failure::new(found.error.unwrap_or_else(|| "the export failed".to_owned())));
            }
            (ExportState::Deleted, _) => return Err(Failure::new("the export was deleted")),
        }
    }
}

fn unreadable(error: impl Display) -> Failure {
    Failure::new(format!("cannot read the archive: {error}"))
}

/// Copies an archive to a new file that only its owner can read. The file has its name when it is whole; until then it is one beside
/// it, which is removed if this fails.
async fn copy(store: &Library, archive: &Archive, path: &Path) -> Result<(), Failure> {
    let unwritable =
        |error: std::io::Error| Failure::new(format!("cannot write {}: {error}", path.display()));
    let folder = folder(path);
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".");
    let part = Builder::new().prefix(&name).suffix(".part").tempfile_in(folder);
    let mut part = part.map_err(unwritable)?;
    let length = u64::try_from(archive.length).unwrap_or_default();
    match store.read_object(&archive.object, 0..length).await.map_err(unreadable)? {
        Content::Whole(bytes) => part.write_all(&bytes).map_err(unwritable)?,
        Content::Pieces(mut pieces) => {
            while let Some(piece) = pieces.next().await {
                part.write_all(&piece.map_err(unreadable)?).map_err(unwritable)?;
            }
        }
    }
    part.as_file().sync_all().map_err(unwritable)?;
    part.persist_noclobber(path).map_err(|failed| unwritable(failed.error))?;
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(unwritable)
}
