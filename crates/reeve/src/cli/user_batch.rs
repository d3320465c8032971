//! `reeve user batch`: an act on a selection of accounts, which the server does as a job.

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, BufRead as _, IsTerminal as _, Write as _};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use indicatif::ProgressBar;
use reeve_accounts::Error;
use reeve_batch::{self as batch, Act, Confirmed, Order, Preview, Selection, View};
use reeve_model::{JobState, Millis};
use reeve_store::Roster;

use super::{Failure, operator::Operator, selected::wanted, terminal::say, token::milliseconds};

/// Interval at which the progress is read.
const LOOK_EVERY: Duration = Duration::from_millis(300);

/// An act on many accounts: shows how many first, and asks
#[derive(Debug, clap::Args)]
pub(super) struct Batch {
    /// The act on each account
    #[command(subcommand)]
    act: ActOf,
    /// Only the accounts that this file names, one in a line
    #[arg(long, value_name = "FILE", global = true, conflicts_with_all = ["name", "guests", "deactivated", "locked", "filters"])]
    from_file: Option<PathBuf>,
    /// Only accounts to which a filter of GET /_reeve/admin/v1/users applies, such as suspended=true; repeatable
    #[arg(long = "filter", value_name = "NAME=VALUE", global = true)]
    filters: Vec<String>,
    /// Only accounts with this text in their localpart or display name
    #[arg(long, value_name = "TEXT", global = true)]
    name: Option<String>,
    /// Only guests, or only others
    #[arg(long, value_name = "BOOL", global = true)]
    guests: Option<bool>,
    /// Only deactivated accounts, or only others
    #[arg(long, value_name = "BOOL", global = true)]
    deactivated: Option<bool>,
    /// Only locked accounts, or only others
    #[arg(long, value_name = "BOOL", global = true)]
    locked: Option<bool>,
    /// An owner of the server who is not left out; repeatable
    #[arg(long, value_name = "NAME", global = true)]
    include: Vec<String>,
    /// Only show what would be done
    #[arg(long, global = true)]
    dry_run: bool,
    /// Do not ask
    #[arg(long, global = true)]
    yes: bool,
    /// Do not wait for the end
    #[arg(long, global = true)]
    no_wait: bool,
}

#[derive(Debug, clap::Subcommand)]
enum ActOf {
    /// Lock
    Lock,
    /// Unlock
    Unlock,
    /// Suspend
    Suspend,
    /// End a suspension
    Unsuspend,
    /// Shadow-ban
    ShadowBan,
    /// End a shadow-ban
    UnshadowBan,
    /// End all sessions
    Logout,
    /// Require that the person changes the password: until then, the account can only read
    RequirePasswordChange {
        /// End all sessions, too
        #[arg(long)]
        logout_devices: bool,
    },
    /// Delete devices that were not seen for a time
    DeleteDevices {
        /// The time, such as 90d
        #[arg(long, value_name = "DURATION", value_parser = milliseconds)]
        not_seen_for: i64,
    },
    /// Deactivate
    Deactivate {
        /// Erase, too
        #[arg(long)]
        erase: bool,
    },
    /// Set the type
    SetUserType {
        /// The type; "none" for an ordinary account
        user_type: String,
    },
    /// Give a role, or take it away
    SetRole {
        /// The role; "none" takes it away
        role: String,
    },
    /// Delete all uploads
    DeleteMedia,
    /// Quarantine all uploads
    QuarantineMedia,
}

impl ActOf {
    fn act(self, now: Millis) -> Act {
        let named = |text: String| Some(text).filter(|text| text != "none");
        match self {
            Self::Lock => Act::Lock,
            Self::Unlock => Act::Unlock,
            Self::Suspend => Act::Suspend,
            Self::Unsuspend => Act::Unsuspend,
            Self::ShadowBan => Act::ShadowBan,
            Self::UnshadowBan => Act::UnshadowBan,
            Self::Logout => Act::LogOut,
            Self::RequirePasswordChange { logout_devices } => Act::RequirePasswordChange { logout_devices },
            Self::DeleteDevices { not_seen_for } => {
                Act::DeleteDevices { not_seen_since: now.minus(not_seen_for) }
            }
            Self::Deactivate { erase } => Act::Deactivate { erase },
            Self::SetUserType { user_type } => Act::SetUserType { user_type: named(user_type) },
            Self::SetRole { role } => Act::SetRole { role: named(role) },
            Self::DeleteMedia => Act::DeleteMedia,
            Self::QuarantineMedia => Act::QuarantineMedia,
        }
    }
}

/// Runs the command, and returns its output.
pub(super) async fn run(command: Batch, operator: &Operator) -> Result<String, Failure> {
    let (dry_run, yes, no_wait) = (command.dry_run, command.yes, command.no_wait);
    let order = Arc::new(order(command, operator)?);
    let roster = Arc::new(Roster::default());
    let (shown, policy, known) = (Arc::clone(&order), operator.policy().clone(), Arc::clone(&roster));
    let preview = operator.read(move |tx, ctx| Ok(batch::preview(tx, ctx, &policy, &known, &shown))).await?;
    let preview = preview.map_err(failure)?;
    let text = describe(&preview);
    if dry_run {
        return Ok(text);
    }
    say(text.trim_end());
    if !yes && !asked()? {
        return Err(Failure::new("nothing was changed"));
    }
    let (policy, total, selection) = (operator.policy().clone(), preview.total, order.selection.clone());
    let chosen = operator.read(move |tx, ctx| Ok(batch::choose(tx, ctx, &roster, &selection)?)).await?;
    let (digest, order) = (order.digest(), Order::clone(&order));
    let started = operator.write(move |tx, ctx| {
        let token = match batch::confirm(tx, ctx, &digest, total) {
            Ok(token) => token.token,
            Err(error) => return undone(error),
        };
        let (order, chosen) = (order.clone(), chosen.clone());
        let confirmed = Confirmed { order, digest, chosen, token, idempotency_key: None };
        match batch::start(tx, ctx, &policy, &confirmed) {
            Ok(started) => Ok(Ok(started.id)),
            Err(error) => undone(error),
        }
    });
    let id = started.await?.map_err(Failure::new)?;
    if no_wait {
        return Ok(format!("batch {id} is ordered; the server does it\n"));
    }
    wait(operator, &id).await
}

/// A refusal as its text. Nothing but a confirmation, which ends by itself, was written.
fn undone<T>(error: batch::Error) -> Result<Result<T, String>, Error> {
    match error {
        batch::Error::Db(error) => Err(error.into()),
        other => Ok(Err(other.to_string())),
    }
}

fn failure(error: batch::Error) -> Failure {
    Failure::new(error.to_string())
}

/// Returns the filters that have flags of their own. Without one for locked accounts, they are included.
fn flags(command: &Batch) -> Vec<(&'static str, String)> {
    let flag = |name, value: Option<bool>| value.map(|value| (name, value.to_string()));
    let locked = match command.locked {
        None => Some(("locked", true.to_string())).filter(|_| command.filters.is_empty()),
        Some(locked) => flag("is_locked", Some(locked)),
    };
    let name = command.name.clone().map(|name| ("name", name));
    let flags = [name, flag("is_guest", command.guests), flag("deactivated", command.deactivated), locked];
    flags.into_iter().flatten().collect()
}

fn order(command: Batch, operator: &Operator) -> Result<Order, Failure> {
    let selection = match &command.from_file {
        None => {
            let filter = wanted(&command.filters, &flags(&command))?;
            Selection::Filter(Box::new(filter.selection().clone()))
        }
        Some(path) => {
            let text = fs::read_to_string(path)
                .map_err(|error| Failure::new(format!("cannot read {}: {error}", path.display())))?;
            let names = text.lines().map(str::trim).filter(|line| !line.is_empty());
            Selection::Users(names.map(|name| operator.user_id(name)).collect::<Result<_, _>>()?)
        }
    };
    let include = command.include.iter().map(|name| operator.user_id(name));
    let include = include.collect::<Result<BTreeSet<_>, _>>()?;
    Ok(Order { selection, act: command.act.act(operator.ctx().now), include })
}

fn describe(preview: &Preview) -> String {
    let left_out = preview.left_out;
    format!(
        "{} accounts are selected; {} owners are left out, {} names are unknown\n",
        preview.total, left_out.owners, left_out.unknown
    )
}

/// Asks the person at the terminal.
fn asked() -> Result<bool, Failure> {
    if !io::stdin().is_terminal() {
        return Err(Failure::new("there is no terminal to ask at: use --yes"));
    }
    let unreadable = |error: io::Error| Failure::new(format!("cannot ask: {error}"));
    let mut err = io::stderr();
    write!(err, "Go on? [y/N] ").and_then(|()| err.flush()).map_err(unreadable)?;
    let mut line = String::new();
    io::stdin().lock().read_line(&mut line).map_err(unreadable)?;
    Ok(matches!(line.trim(), "y" | "yes"))
}

/// Waits for the end of a batch, with a bar at a terminal.
async fn wait(operator: &Operator, id: &str) -> Result<String, Failure> {
    let bar = io::stderr().is_terminal().then(|| ProgressBar::new(0));
    say(&format!("batch {id} is ordered; the server does it, also if this command is interrupted"));
    loop {
        let wanted = id.to_owned();
        let view = operator.read(move |tx, _| Ok(batch::find(tx, &wanted))).await?.map_err(failure)?;
        if let Some(bar) = &bar {
            bar.set_length(view.total.unsigned_abs());
            bar.set_position(view.done.unsigned_abs());
        }
        match view.state {
            JobState::Scheduled | JobState::Active | JobState::Paused => {
                tokio::time::sleep(LOOK_EVERY).await;
            }
            JobState::Complete | JobState::Failed | JobState::Cancelled => {
                if let Some(bar) = &bar {
                    bar.finish_and_clear();
                }
                return ended(&view);
            }
        }
    }
}

fn ended(view: &View) -> Result<String, Failure> {
    let counts = view.counts;
    let text = format!(
        "{}: {} done, {} unchanged, {} refused, {} failed, {} skipped\n",
        view.state, counts.done, counts.unchanged, counts.refused, counts.failed, counts.skipped
    );
    match &view.error {
        Some(error) if view.state == JobState::Failed => {
            Err(Failure::new(format!("{error}; {}", text.trim())))
        }
        Some(_) | None => Ok(text),
    }
}
