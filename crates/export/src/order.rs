//! Orders of exports, by administrators and by people for their own accounts; lists, and deletion.

use age::x25519::Recipient;
use reeve_accounts::{account, audit, rights};
use reeve_db::{DbError, ReadTx, Tx};
use reeve_model::{Actor, ActorKind, Ctx, ExportState, Millis, Scope, User, random};
use reeve_store::SortKey;
use reeve_store::exports::{self, By, Export, NewExport, Options};
use serde_json::json;

use crate::error::Error;
use crate::settings::Settings;

/// Length of an id.
const ID: usize = 16;

/// The scopes that an export needs: that of its routes, and those with which each of its parts can be read.
const SCOPES: [Scope; 6] = [
    Scope::UsersWrite,
    Scope::UsersRead,
    Scope::MessagesRead,
    Scope::MediaRead,
    Scope::ReportsRead,
    Scope::AuditRead,
];

/// Returns the account of an export, for an administrator: refuses if the account is above the actor, or the actor could not read
/// a part of an archive by another route.
pub(crate) fn check_may_export(tx: &ReadTx<'_>, ctx: &Ctx, user_id: &str) -> Result<User, Error> {
    let user = rights::to_change(tx, ctx, user_id)?;
    SCOPES.into_iter().try_for_each(|scope| rights::check_holds(ctx, scope))?;
    Ok(user)
}

/// Orders an archive of an account, for an administrator who holds the scopes of all its parts; returns the export. One of an
/// account that is deactivated or erased has the data that is left.
pub fn order(tx: &mut Tx<'_>, ctx: &Ctx, user_id: &str, options: &Options) -> Result<Export, Error> {
    let user = check_may_export(tx, ctx, user_id)?;
    let (kind, id) = ctx
        .actor
        .as_ref()
        .map_or((ActorKind::Server, ActorKind::Server.as_str()), |actor| (actor.kind(), actor.id()));
    check(tx, &user, false, options)?;
    let export = insert(tx, &user, false, By { kind, id: id.to_owned() }, options, ctx.now)?;
    let changes = json!({
        "export": export.id,
        "history": options.history,
        "media": options.media,
        "encrypted": options.recipient.is_some(),
    });
    audit::record(tx, ctx, "user.export", user_id, &changes)?;
    Ok(export)
}

/// Orders an archive of an account, for its owner; returns the export. A person can order one in a time, whatever becomes of it. An
/// archive that would be too large is not ordered again, with as many parts, as long as the first order is kept. The former
/// archive stays until the new one is complete.
pub fn order_own(
    tx: &mut Tx<'_>,
    ctx: &Ctx,
    settings: &Settings,
    user: &User,
    options: &Options,
) -> Result<Export, Error> {
    if !settings.own {
        return Err(Error::Disabled);
    }
    account::check_active(tx, user.num)?;
    check(tx, user, true, options)?;
    let newest = exports::of_user(tx, user.num, true, &SortKey::at(Millis::MAX), 1)?;
    let next = newest.first().map(|newest| newest.created_ts.plus(settings.own_interval_ms));
    let too_large = exports::own_too_large(tx, user.num, options)?;
    if let Some(from) = next.max(too_large).filter(|from| *from > ctx.now) {
        return Err(Error::TooSoon(from.since(ctx.now)));
    }
    let by = By { kind: ActorKind::User, id: user.user_id.clone() };
    Ok(insert(tx, user, true, by, options, ctx.now)?)
}

/// Refuses an order that cannot be written, and one while another is not over. People and administrators do not wait for each
/// other.
fn check(tx: &ReadTx<'_>, user: &User, own: bool, options: &Options) -> Result<(), Error> {
    if options.recipient.as_ref().is_some_and(|recipient| recipient.parse::<Recipient>().is_err()) {
        return Err(Error::BadRecipient);
    }
    if exports::is_unfinished(tx, user.num, own)? { Err(Error::Unfinished) } else { Ok(()) }
}

fn insert(
    tx: &mut Tx<'_>,
    user: &User,
    own: bool,
    requested_by: By,
    options: &Options,
    now: Millis,
) -> Result<Export, DbError> {
    let id = random::letters(ID);
    let new = NewExport { id: &id, user_num: user.num, own, requested_by, options };
    exports::insert(tx, &new, now)?;
    exports::find(tx, &id)?.ok_or(DbError::NoRow)
}

/// Returns the export of an id.
pub fn find(tx: &ReadTx<'_>, id: &str, now: Millis) -> Result<Export, Error> {
    let found = exports::find(tx, id)?.filter(|export| export.ends_ts.is_none_or(|ends| ends > now));
    found.ok_or(Error::NotFound)
}

/// Returns the export of an id that an account ordered for itself.
pub fn find_own(tx: &ReadTx<'_>, user: &User, id: &str, now: Millis) -> Result<Export, Error> {
    let found = Some(find(tx, id, now)?).filter(|export| export.own && export.user_num == user.num);
    found.ok_or(Error::NotFound)
}

/// Returns exports of an account before a position (time and id), the newest first; `own` only those that it ordered for
/// itself. One whose time is over may be among them.
pub fn list(
    tx: &ReadTx<'_>,
    user: &User,
    own: bool,
    before: &SortKey<String>,
    limit: i64,
) -> Result<Vec<Export>, DbError> {
    exports::of_user(tx, user.num, own, before, limit)
}

/// Deletes an archive, or ends the work on it, for an administrator. The person can then order again what was too large.
pub fn delete(tx: &mut Tx<'_>, ctx: &Ctx, settings: &Settings, id: &str) -> Result<(), Error> {
    let export = find(tx, id, ctx.now)?;
    rights::to_change(tx, ctx, &export.user_id)?;
    withdraw(tx, settings, &export, ctx.now)?;
    audit::record(tx, ctx, "user.export_delete", &export.user_id, &json!({ "export": id }))?;
    Ok(())
}

/// Deletes an archive that an account ordered for itself, or ends the work on it, for its owner. The order of one that was too
/// large stays: it keeps the person from ordering the same again.
pub fn delete_own(
    tx: &mut Tx<'_>,
    ctx: &Ctx,
    settings: &Settings,
    user: &User,
    id: &str,
) -> Result<(), Error> {
    let export = find_own(tx, user, id, ctx.now)?;
    if export.state == ExportState::TooLarge {
        return Err(Error::WrongState(export.state));
    }
    withdraw(tx, settings, &export, ctx.now)
}

/// Deletes an archive. The row stays until the person can order another one.
fn withdraw(tx: &mut Tx<'_>, settings: &Settings, export: &Export, now: Millis) -> Result<(), Error> {
    if export.state == ExportState::Deleted {
        return Err(Error::WrongState(export.state));
    }
    let ends = export.created_ts.plus(settings.own_interval_ms).max(now.plus(1));
    Ok(exports::set_deleted(tx, export.num, now, ends)?)
}

/// Returns the actor of a stored order or link.
pub(crate) fn actor(by: &By) -> Option<Actor> {
    let id = by.id.as_str().into();
    match by.kind {
        ActorKind::User => Some(Actor::User(id)),
        ActorKind::Service => Some(Actor::Service(id)),
        ActorKind::Cli => Some(Actor::Cli),
        ActorKind::Server => Some(Actor::Server),
        ActorKind::Job => Some(Actor::Job(id)),
        // These administer nothing.
        ActorKind::Appservice => None,
    }
}
