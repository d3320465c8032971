//! `reeve user`.

use reeve_accounts::{
    Error, account, deactivate, moderation,
    password_change::{self, Reset},
    roles,
    sessions::{self, Spared},
    users::{self, NewUser},
    validity,
};
use reeve_db::{DbError, ReadTx};
use reeve_model::{Millis, User, id};
use reeve_store::{
    devices::{self, Device},
    lists::users::{Filter, Term, UserPage},
    validity as stored_validity,
};
use serde_json::{Value, json};

use super::{
    Failure, block_on,
    operator::Operator,
    selected::{Listed, export, wanted},
    terminal::{print, table},
    token::milliseconds,
    user_batch::{self, Batch},
    user_export::{self, ExportData},
    user_restore::{self, Restore},
};
use crate::{server::Config, settings::Settings};

/// The word for no role.
const NO_ROLE: &str = "none";

/// NAME is a localpart (alice) or a full user id (@alice:example.org).
#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Create an account; reads its password from a prompt
    Create {
        /// A localpart, or a full user id of this server
        name: String,
        /// Make it an administrator
        #[arg(long)]
        admin: bool,
        /// Read the password from the first line of standard input
        #[arg(long, conflicts_with = "no_password")]
        password_stdin: bool,
        /// Create it without a password: login with a password is not possible
        #[arg(long)]
        no_password: bool,
        /// The display name
        #[arg(long, value_name = "TEXT")]
        displayname: Option<String>,
        /// The kind of account: bot, support, or a type in the settings
        #[arg(long, value_name = "TYPE")]
        user_type: Option<String>,
    },
    /// Give an account a new password and end its sessions
    SetPassword {
        /// The account
        name: String,
        /// Read the password from the first line of standard input
        #[arg(long)]
        password_stdin: bool,
        /// Keep its sessions
        #[arg(long)]
        keep_sessions: bool,
        /// Until its person has changed the new password, it can only read
        #[arg(long)]
        require_change: bool,
    },
    /// Make an account an owner of the server, or take that away
    SetAdmin {
        /// The account
        name: String,
        /// true for an owner, who holds every right of administration; false for none
        #[arg(action = clap::ArgAction::Set)]
        admin: bool,
    },
    /// Give an account a role: owner, administrator, moderator, support, auditor, or one of the server's own
    SetRole {
        /// The account
        name: String,
        /// The role; "none" takes it away
        role: String,
    },
    /// Lock an account: its sessions are refused until it is unlocked
    Lock {
        /// The account
        name: String,
    },
    /// Unlock an account: its sessions work again
    Unlock {
        /// The account
        name: String,
    },
    /// Set the time until which an account is valid, also for administrators; by default one period of the
    /// settings from now
    Renew {
        /// The account
        name: String,
        /// The duration from now, such as 8h or 365d
        #[arg(long, value_name = "DURATION", value_parser = milliseconds, conflicts_with = "for_ever")]
        valid_for: Option<i64>,
        /// The account never expires
        #[arg(long)]
        for_ever: bool,
    },
    /// End all sessions of an account
    Logout {
        /// The account
        name: String,
    },
    /// Deactivate an account: login becomes impossible, and its name stays taken
    Deactivate {
        /// The account
        name: String,
        /// Delete its profile and hide its messages from people who join later, too
        #[arg(long)]
        erase: bool,
    },
    /// Restore a deactivated account with what is kept of it: addresses, account data, backups of room keys, rooms
    Restore(Restore),
    /// Show an account and its devices
    Show {
        /// The account
        name: String,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Do something with many accounts: those of a file, or those that a filter accepts
    Batch(Batch),
    /// Write everything about an account to an archive, for the person: the server writes it, and must run
    ExportData(ExportData),
    /// List accounts by name
    List {
        /// Only accounts with this text in their localpart or display name
        #[arg(long, value_name = "TEXT")]
        name: Option<String>,
        /// Only administrators
        #[arg(long)]
        admins: bool,
        /// Include deactivated accounts
        #[arg(long)]
        deactivated: bool,
        /// Maximum number of accounts
        #[arg(long, value_name = "N", default_value_t = 100)]
        limit: u32,
        /// Only accounts to which a filter of GET /_reeve/admin/v1/users applies, such as suspended=true; repeatable
        #[arg(long = "filter", value_name = "NAME=VALUE", conflicts_with_all = ["name", "admins", "deactivated"])]
        filters: Vec<String>,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Write all accounts, or a selection of them, to standard output
    Export {
        /// Only accounts to which a filter of GET /_reeve/admin/v1/users applies, such as suspended=true; repeatable
        #[arg(long = "filter", value_name = "NAME=VALUE")]
        filters: Vec<String>,
        /// csv or jsonl
        #[arg(long, default_value = "csv")]
        format: String,
        /// An addition to each account: threepids, external_ids, devices_count
        #[arg(long, value_name = "WORD", value_delimiter = ',')]
        include: Vec<String>,
    },
}

pub(super) fn run(command: Command, settings: &Settings) -> Result<(), Failure> {
    block_on(async {
        let operator = Operator::open(settings).await?;
        let result = answer(command, &operator, settings).await;
        operator.close().await;
        print(&result?)
    })
}

/// Runs a command, and returns its output.
async fn answer(command: Command, operator: &Operator, settings: &Settings) -> Result<String, Failure> {
    match command {
        Command::Create { name, admin, password_stdin, no_password, displayname, user_type } => {
            let new = NewUser { displayname, user_type, admin, ..NewUser::default() };
            create(operator, &name, new, (!no_password).then_some(password_stdin)).await
        }
        Command::SetPassword { name, password_stdin, keep_sessions, require_change } => {
            set_password(operator, &name, password_stdin, !keep_sessions, require_change).await
        }
        Command::SetAdmin { name, admin } => {
            let user = operator.find(&name).await?;
            operator.write(move |tx, ctx| users::set_admin(tx, ctx, &user.user_id, admin)).await.map(|user| {
                format!("{} is {} administrator\n", user.user_id, if admin { "an" } else { "no" })
            })
        }
        Command::SetRole { name, role } => {
            let user = operator.find(&name).await?;
            let role = Some(role).filter(|role| role != NO_ROLE);
            let set = operator.write(move |tx, ctx| roles::set(tx, ctx, &user.user_id, role.as_deref()));
            let user = set.await?;
            Ok(format!(
                "{} has {}\n",
                user.user_id,
                user.role().map_or_else(|| "no role".to_owned(), |role| format!("the role {role}"))
            ))
        }
        Command::Lock { name } => set_locked(operator, &name, true).await,
        Command::Unlock { name } => set_locked(operator, &name, false).await,
        Command::Renew { name, valid_for, for_ever } => renew(operator, &name, valid_for, for_ever).await,
        Command::Logout { name } => log_out(operator, &name).await,
        Command::Deactivate { name, erase } => deactivate(operator, &name, erase).await,
        Command::Restore(command) => user_restore::run(command, operator).await,
        Command::Batch(command) => user_batch::run(command, operator).await,
        Command::ExportData(command) => {
            user_export::run(command, operator, Config::from_settings(settings)).await
        }
        Command::Show { name, json } => show(operator, &name, json).await,
        Command::List { filters, limit, json, .. } if !filters.is_empty() => {
            let selection = wanted(&filters, &[])?.selection().clone();
            list(operator, Listed::Selection(Box::new(selection)), limit, json).await
        }
        Command::Export { filters, format, include } => {
            let more = [("format", format), ("include", include.join(","))];
            export(operator, wanted(&filters, &more)?).await.map(|()| String::new())
        }
        Command::List { name, admins, deactivated, limit, json, .. } => {
            let filter = Filter {
                term: name.filter(|name| !name.is_empty()).map(Term::Name),
                admins: admins.then_some(true),
                deactivated: (!deactivated).then_some(false),
                ..Filter::default()
            };
            list(operator, Listed::Filter(filter), limit, json).await
        }
    }
}

/// Creates an account. `password`: true to read it from standard input; `None` for no password.
async fn create(
    operator: &Operator,
    name: &str,
    new: NewUser,
    password: Option<bool>,
) -> Result<String, Failure> {
    let policy = operator.policy().clone();
    if let Some(user_type) = new.user_type.as_deref().filter(|user_type| !policy.knows_user_type(user_type)) {
        return Err(Failure::new(format!(
            "the user type {user_type:?} is neither \"bot\" nor \"support\" nor one of account.user_types"
        )));
    }
    let user_id = operator.user_id(name)?;
    let localpart = id::localpart(&user_id).to_owned();
    // Checked before the password is typed.
    let (checked, rules) = (localpart.clone(), policy.clone());
    operator
        .read(move |tx, ctx| users::check_name(tx, ctx, &rules, &checked))
        .await
        .map_err(|failure| Failure::new(format!("{user_id} cannot be created: {failure}")))?;
    let password_hash = match password {
        Some(from_stdin) => Some(operator.new_password_hash(from_stdin, &user_id).await?),
        None => None,
    };
    let displayname = new.displayname.clone().or_else(|| Some(localpart.clone()));
    let new = NewUser { localpart, displayname, password_hash, ..new };
    let user = operator.write(move |tx, ctx| users::create(tx, ctx, &policy, &new)).await?;
    Ok(format!("created {}{}\n", user.user_id, if user.admin { ", an administrator" } else { "" }))
}

async fn set_password(
    operator: &Operator,
    name: &str,
    from_stdin: bool,
    end_sessions: bool,
    require_change: bool,
) -> Result<String, Failure> {
    let user = operator.find(name).await?;
    if user.deactivated {
        return Err(Failure::new(format!("{} is deactivated", user.user_id)));
    }
    let hash = operator.new_password_hash(from_stdin, &user.user_id).await?;
    let reset = Reset { hash, require_change, end_sessions: end_sessions.then(Spared::default) };
    let sessions = if end_sessions { "its sessions ended" } else { "its sessions were kept" };
    let change = if require_change { "; its person must change it" } else { "" };
    let message = format!("{} has a new password; {sessions}{change}\n", user.user_id);
    let policy = operator.policy().clone();
    operator
        .write(move |tx, ctx| {
            // Read again: the password prompt took time.
            let user = account::find(tx, &user.user_id)?;
            if user.deactivated {
                return Err(Error::Deactivated);
            }
            password_change::reset(tx, ctx, &policy, &user, &reset)
        })
        .await?;
    Ok(message)
}

async fn set_locked(operator: &Operator, name: &str, locked: bool) -> Result<String, Failure> {
    let user = operator.find(name).await?;
    let edit = operator.write(move |tx, ctx| moderation::set_locked(tx, ctx, &user.user_id, locked));
    Ok(format!("{} is {}\n", edit.await?.user_id, if locked { "locked" } else { "not locked" }))
}

async fn log_out(operator: &Operator, name: &str) -> Result<String, Failure> {
    let user = operator.find(name).await?;
    let message = format!("all sessions of {} ended\n", user.user_id);
    operator.write(move |tx, ctx| sessions::log_out_everywhere(tx, ctx, &user.user_id)).await?;
    Ok(message)
}

async fn deactivate(operator: &Operator, name: &str, erase: bool) -> Result<String, Failure> {
    let user = operator.find(name).await?;
    let message = format!(
        "{} is deactivated{}; the server clears its remaining data when it runs\n",
        user.user_id,
        if erase { " and erased" } else { "" }
    );
    let policy = operator.policy().clone();
    operator
        .write(move |tx, ctx| {
            let user = account::find(tx, &user.user_id)?;
            deactivate::deactivate(tx, ctx, &policy, &user, erase)
        })
        .await?;
    Ok(message)
}

async fn renew(
    operator: &Operator,
    name: &str,
    valid_for: Option<i64>,
    for_ever: bool,
) -> Result<String, Failure> {
    let user_id = operator.find(name).await?.user_id;
    let period = match valid_for.or(operator.policy().account_validity_period_ms) {
        _ if for_ever => None,
        None => {
            return Err(Failure::new(
                "accounts do not expire on this server: give --valid-for or --for-ever",
            ));
        }
        period => period,
    };
    let renewed = user_id.clone();
    let until = operator
        .write(move |tx, ctx| match period {
            None => validity::clear(tx, ctx, &renewed).map(|()| None),
            Some(period) => {
                let until = ctx.now.plus(period);
                let reminded = stored_validity::find(tx, &renewed)?.is_none_or(|known| known.renewal_emails);
                validity::set(tx, ctx, &renewed, until, reminded).map(|()| Some(until))
            }
        })
        .await?;
    Ok(match until {
        Some(until) => format!("{user_id} is valid until {} UTC\n", until.utc()),
        None => format!("{user_id} does not expire\n"),
    })
}

/// An account, and the time until which it is valid.
struct Shown {
    user: User,
    /// In milliseconds; `None` if it does not expire.
    expiration_ts: Option<Millis>,
    /// True if that time is over.
    expired: bool,
}

impl Shown {
    fn read(tx: &ReadTx<'_>, user: User, now: Millis) -> Result<Self, DbError> {
        let expiration_ts = stored_validity::find(tx, &user.user_id)?.map(|known| known.expiration_ts);
        Ok(Self { user, expiration_ts, expired: expiration_ts.is_some_and(|until| until <= now) })
    }
}

async fn show(operator: &Operator, name: &str, as_json: bool) -> Result<String, Failure> {
    let found = operator.find(name).await?;
    let read = operator.read(move |tx, ctx| {
        let devices = devices::of_user(tx, found.num)?;
        Ok((Shown::read(tx, found.clone(), ctx.now)?, devices))
    });
    let (shown, devices) = read.await?;
    if as_json {
        let mut object = to_json(&shown);
        if let Some(object) = object.as_object_mut() {
            object.insert("devices".to_owned(), devices.iter().map(device_to_json).collect());
        }
        return Ok(format!("{object:#}\n"));
    }
    let utc = |at: Millis| format!("{} UTC", at.utc());
    let user = &shown.user;
    let row = |name: &str, value: &str| vec![name.to_owned(), value.to_owned()];
    let mut rows = vec![
        row("user id", &user.user_id),
        row("display name", user.displayname.as_deref().unwrap_or("-")),
        row("avatar", user.avatar_url.as_deref().unwrap_or("-")),
        row("type", user.user_type.as_deref().unwrap_or("-")),
        row("role", user.role().unwrap_or("-")),
        row("state", &state(&shown)),
        row("valid until", &shown.expiration_ts.map_or_else(|| "for ever".to_owned(), utc)),
        row("created", &utc(user.created_ts)),
        row("last seen", &user.last_seen_ts.map_or_else(|| "never".to_owned(), utc)),
        row("devices", &devices.len().to_string()),
    ];
    rows.extend(devices.iter().map(|device| {
        let seen = device.last_seen_ts.map_or_else(|| "never seen".to_owned(), utc);
        let from = device.last_seen_ip.as_deref().unwrap_or_default();
        let display_name = device.display_name.as_deref().unwrap_or_default();
        row("", &format!("{}  {seen}  {from}  {display_name}", device.device_id))
    }));
    Ok(table(&rows))
}

async fn list(operator: &Operator, listed: Listed, limit: u32, as_json: bool) -> Result<String, Failure> {
    let read = operator.read(move |tx, ctx| {
        let UserPage { users, total } = listed.page(tx, &ctx.server_name, limit.into())?;
        let users = users.into_iter().map(|user| Shown::read(tx, user, ctx.now));
        Ok((users.collect::<Result<Vec<_>, _>>()?, total))
    });
    let (users, total) = read.await?;
    if as_json {
        let users: Vec<Value> = users.iter().map(to_json).collect();
        return Ok(format!("{:#}\n", json!({ "users": users, "total": total })));
    }
    let heads = ["USER ID", "ROLE", "STATE", "LAST SEEN (UTC)", "DISPLAY NAME"].map(str::to_owned).to_vec();
    let mut rows = vec![heads];
    rows.extend(users.iter().map(|shown| {
        let user = &shown.user;
        vec![
            user.user_id.clone(),
            user.role().unwrap_or_default().to_owned(),
            state(shown),
            user.last_seen_ts.map_or_else(|| "never".to_owned(), Millis::utc),
            user.displayname.clone().unwrap_or_default(),
        ]
    }));
    Ok(format!("{}{} of {total} accounts\n", table(&rows), users.len()))
}

/// The unusual states of an account, in words.
fn state(shown: &Shown) -> String {
    let user = &shown.user;
    let words = [
        (user.is_guest, "guest"),
        (user.deactivated, "deactivated"),
        (user.erased, "erased"),
        (user.locked, "locked"),
        (user.suspended, "suspended"),
        (user.shadow_banned, "shadow-banned"),
        (user.password_change_required, "must change its password"),
        (shown.expired, "expired"),
    ];
    let words: Vec<&str> = words.iter().filter(|(holds, _)| *holds).map(|(_, word)| *word).collect();
    if words.is_empty() { "active".to_owned() } else { words.join(", ") }
}

/// An account with the keys of the admin API. All times are in milliseconds.
fn to_json(shown: &Shown) -> Value {
    let Shown { user, expiration_ts, expired } = shown;
    json!({
        "name": user.user_id,
        "displayname": user.displayname,
        "avatar_url": user.avatar_url,
        "user_type": user.user_type,
        "is_guest": user.is_guest,
        "admin": user.admin,
        "role": user.role(),
        "deactivated": user.deactivated,
        "erased": user.erased,
        "locked": user.locked,
        "suspended": user.suspended,
        "shadow_banned": user.shadow_banned,
        "password_change_required": user.password_change_required,
        "expired": expired,
        "expiration_ts": expiration_ts,
        "creation_ts": user.created_ts,
        "last_seen_ts": user.last_seen_ts,
    })
}

fn device_to_json(device: &Device) -> Value {
    json!({
        "device_id": device.device_id,
        "display_name": device.display_name,
        "last_seen_ts": device.last_seen_ts,
        "last_seen_ip": device.last_seen_ip,
        "last_seen_user_agent": device.last_seen_user_agent,
    })
}
