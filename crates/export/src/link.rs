//! Links to download archives. Each export has one, which ends by itself; its token is stored as a digest.

use reeve_accounts::{Policy, audit, rights};
use reeve_db::{DbError, ReadTx, Tx};
use reeve_model::session::hash_token;
use reeve_model::{ActorKind, Ctx, ExportState, Millis, User, random};
use reeve_store::exports::{self, Archive, By, Export};
use reeve_store::users;
use serde_json::json;

use crate::error::Error;
use crate::order::{self, check_may_export};
use crate::settings::Settings;

/// The path of downloads, before the token of a link.
pub const DOWNLOAD: &str = "/_reeve/export/";
/// The beginning of every token of a link.
const PREFIX: &str = "rvx_";
/// Length of the random part of a token.
const TOKEN: usize = 40;

/// A new link.
#[derive(Clone)]
pub struct Issued {
    /// The token, which cannot be read again.
    pub token: String,
    /// The time until which it can be used.
    pub until_ts: Millis,
}

/// Makes the link of an archive, in place of a former one: for the owner of an account, if one is given, or else for an
/// administrator who holds the scopes of all parts of an archive.
pub fn create(
    tx: &mut Tx<'_>,
    ctx: &Ctx,
    settings: &Settings,
    owner: Option<&User>,
    id: &str,
) -> Result<Issued, Error> {
    let (export, by) = if let Some(owner) = owner {
        let by = By { kind: ActorKind::User, id: owner.user_id.clone() };
        (order::find_own(tx, owner, id, ctx.now)?, by)
    } else {
        let export = order::find(tx, id, ctx.now)?;
        check_may_export(tx, ctx, &export.user_id)?;
        let actor = ctx.actor.as_ref().ok_or(DbError::NoRow)?;
        (export, By { kind: actor.kind(), id: actor.id().to_owned() })
    };
    let ends = match (export.state, export.ends_ts) {
        (ExportState::Ready, Some(ends)) => ends,
        (state, _) => return Err(Error::WrongState(state)),
    };
    let token = format!("{PREFIX}{}", random::secret(TOKEN));
    let until_ts = ctx.now.plus(settings.link_ms).min(ends);
    exports::set_link(tx, export.num, &hash_token(&token), until_ts, &by)?;
    let changes = json!({ "export": id, "until_ts": until_ts });
    audit::record(tx, ctx, "user.export_link", &export.user_id, &changes)?;
    Ok(Issued { token, until_ts })
}

/// Returns the export of a link that can be used, and its archive. A link rests while the actor who made it could not do so.
pub fn open(tx: &ReadTx<'_>, ctx: &Ctx, policy: &Policy, token: &str) -> Result<(Export, Archive), Error> {
    let export = exports::by_link(tx, &hash_token(token))?.ok_or(Error::BadLink)?;
    let link = export.link.as_ref().filter(|link| link.until_ts > ctx.now).ok_or(Error::BadLink)?;
    let is_kept = export.ends_ts.is_some_and(|ends| ends > ctx.now);
    let archive = export.archive.clone().filter(|_| is_kept).ok_or(Error::BadLink)?;
    if is_of_owner(&export) {
        // It is as good as the sessions of the account.
        if users::find(tx, &link.by.id)?.is_none_or(|user| user.locked || user.deactivated) {
            return Err(Error::BadLink);
        }
    } else {
        let held = rights::held_now(tx, policy, link.by.kind, &link.by.id, ctx.now)?;
        let maker = Ctx { scopes: held.map_err(|_gone| Error::BadLink)?, ..ctx.clone() };
        check_may_export(tx, &maker, &export.user_id).map_err(|refusal| match refusal {
            Error::Db(_) | Error::Accounts(reeve_accounts::Error::Db(_)) => refusal,
            _refused => Error::BadLink,
        })?;
    }
    Ok((export, archive))
}

/// Returns true if the link was made by the owner of the account for themselves.
fn is_of_owner(export: &Export) -> bool {
    export.own
        && export
            .link
            .as_ref()
            .is_some_and(|link| link.by.kind == ActorKind::User && link.by.id == export.user_id)
}

/// Returns true if a download is to be audited with [`note`]: the first use of a link that an administrator made, and each download
/// that is not the continuation of another one. People's downloads of their own data are not.
pub fn is_noted(export: &Export, from_start: bool) -> bool {
    let is_first = export.link.as_ref().is_some_and(|link| !link.used);
    (is_first || from_start) && !is_of_owner(export)
}

/// Audits a download, as an act of the actor who made the link.
pub fn note(tx: &mut Tx<'_>, ctx: &Ctx, export: &Export) -> Result<(), Error> {
    exports::set_link_used(tx, export.num)?;
    let actor = export.link.as_ref().and_then(|link| order::actor(&link.by));
    let ctx = Ctx { actor, ..ctx.clone() };
    let length = export.archive.as_ref().map(|archive| archive.length);
    let changes = json!({ "export": export.id, "length": length });
    Ok(audit::record(tx, &ctx, "user.export_download", &export.user_id, &changes)?)
}
