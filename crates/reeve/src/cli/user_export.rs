//! `reeve user export-data`: an archive of everything about an account, which the server writes.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use futures_util::StreamExt as _;
use reeve_accounts::Error;
use reeve_export as export;
use reeve_media::{Content, Library};
use reeve_model::{Clock, ExportState};
use reeve_store::exports::{Archive, Export, Options};

use super::{Failure, operator::Operator, terminal::say};
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
    /// Only order the archive, and do not wait for it
    #[arg(long, conflicts_with = "output")]
    no_wait: bool,
}

/// Runs the command, and returns its output.
pub(super) async fn run(command: ExportData, operator: &Operator, config: Config) -> Result<String, Failure> {
    let ExportData { name, output, history, no_media, recipient, .. } = command;
    if let Some(path) = output.as_deref().filter(|path| path.exists()) {
        return Err(Failure::new(format!("{} exists already", path.display())));
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
    let archive = wait(operator, &ordered.id).await?;
    let store = Library::open(config.media, operator.db().clone(), Clock::System)
        .map_err(|error| Failure::new(error.to_string()))?;
    copy(&store, &archive, &output).await?;
    Ok(format!("the archive of {user_id} is in {}\n", output.display()))
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

/// Copies an archive to a new file that only its owner can read.
async fn copy(store: &Library, archive: &Archive, path: &Path) -> Result<(), Failure> {
    let unwritable =
        |error: std::io::Error| Failure::new(format!("cannot write {}: {error}", path.display()));
    let mut file =
        OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map_err(unwritable)?;
    let length = u64::try_from(archive.length).unwrap_or_default();
    let content = store.read_object(&archive.object, 0..length).await;
    match content.map_err(|error| Failure::new(format!("cannot read the archive: {error}")))? {
        Content::Whole(bytes) => file.write_all(&bytes).map_err(unwritable)?,
        Content::Pieces(mut pieces) => {
            while let Some(piece) = pieces.next().await {
                let piece =
                    piece.map_err(|error| Failure::new(format!("cannot read the archive: {error}")))?;
                file.write_all(&piece).map_err(unwritable)?;
            }
        }
    }
    file.sync_all().map_err(unwritable)
}
