//! Rights: nobody sets up a webhook for what they may not read.

use reeve_db::ReadTx;
use reeve_model::{Actor, Ctx, HappeningKind, Scope};
use reeve_store::service_tokens;

use crate::error::Error;

/// Returns the scopes that reading a kind of happenings needs: that of the audit log for all that it may have an entry
/// of, and that of the subject.
pub const fn needs(kind: HappeningKind) -> &'static [Scope] {
    match kind {
        HappeningKind::AccountCreated
        | HappeningKind::AccountChanged
        | HappeningKind::AccountLocked
        | HappeningKind::AccountUnlocked
        | HappeningKind::AccountSuspended
        | HappeningKind::AccountUnsuspended
        | HappeningKind::AccountShadowBanned
        | HappeningKind::AccountShadowUnbanned
        | HappeningKind::AccountDeactivated
        | HappeningKind::AccountReactivated
        | HappeningKind::AccountRestored
        | HappeningKind::AccountPasswordChanged
        | HappeningKind::AccountAdminGranted
        | HappeningKind::AccountAdminRevoked
        | HappeningKind::AccountImpersonated => &[Scope::AuditRead, Scope::UsersRead],
        HappeningKind::AccountLoggedIn => &[Scope::UsersRead],
        HappeningKind::EventReported | HappeningKind::UserReported | HappeningKind::RoomReported => {
            &[Scope::ReportsRead]
        }
        HappeningKind::MediaQuarantined | HappeningKind::MediaUnquarantined | HappeningKind::MediaDeleted => {
            &[Scope::AuditRead, Scope::MediaRead]
        }
        HappeningKind::RoomCreated => &[Scope::RoomsRead],
        HappeningKind::RoomDeleted | HappeningKind::RoomBlocked | HappeningKind::RoomUnblocked => {
            &[Scope::AuditRead, Scope::RoomsRead]
        }
        HappeningKind::JobEnded => &[Scope::ServerRead],
        HappeningKind::ServiceTokenCreated
        | HappeningKind::ServiceTokenChanged
        | HappeningKind::ServiceTokenRotated
        | HappeningKind::ServiceTokenDeleted => &[Scope::AuditRead, Scope::ServicesRead],
        HappeningKind::AdministrationOther => &[Scope::AuditRead],
    }
}

/// Refuses unless the actor may read these kinds of happenings, for as long as a webhook lasts.
pub(crate) fn check(tx: &ReadTx<'_>, ctx: &Ctx, kinds: &[HappeningKind]) -> Result<(), Error> {
    for kind in kinds {
        if let Some(scope) = needs(*kind).iter().find(|scope| !ctx.scopes.contains(**scope)) {
            return Err(Error::MayNotRead { kind: *kind, scope: *scope });
        }
    }
    if let Some(Actor::Service(name)) = &ctx.actor
        && service_tokens::find(tx, name)?.is_some_and(|token| token.terms.expires_ts.is_some())
    {
        return Err(Error::Outlives);
    }
    Ok(())
}
