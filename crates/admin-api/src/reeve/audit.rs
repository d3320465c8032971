//! The audit log.

use reeve_app::{Access, Answer, MatrixError, Param, Reading, Route, reply};
use reeve_model::{ActorKind, Millis, Scope};
use reeve_store::SortKey;
use reeve_store::audit::{self, Entry, Filter};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

/// A page of the audit log, the newest entry first.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AuditLog {
    entries: Vec<AuditEntry>,
    /// The `from` of the next page; absent on the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_token: Option<String>,
}

/// An administrative act.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AuditEntry {
    id: i64,
    /// The time, in milliseconds.
    ts: i64,
    /// The kind of the actor.
    #[schema(value_type = String)]
    actor_kind: ActorKind,
    /// The id of the actor among those of its kind: for `user`, the user id; for `service`, the name of its credential, such
    /// as `shared secret`; for `cli`, the command line of the server, `cli`.
    actor: String,
    /// The address of the client; null for the command line.
    #[schema(required)]
    ip: Option<String>,
    /// The id of the request, as in the `X-Request-Id` of its response and in the log.
    request_id: String,
    /// The act, such as `user.lock`.
    action: String,
    /// The target: usually a user id. Of a registration token, callers without `registration:read` see the beginning.
    target: String,
    /// The changes, with the new values; never a secret.
    #[schema(value_type = Object)]
    changes: Value,
}

pub(crate) fn route() -> Route {
    Route::read("/_reeve/admin/v1/audit", handle)
        .access(Access::Admin(Scope::AuditRead))
        .id("listAuditLog")
        .summary("Lists administrative acts, the newest first")
        .query(
            [
                Param::text("actor", "only acts of the actor with this id, usually a user id"),
                Param::text("actor_kind", "only acts of actors of this kind; needs `actor`"),
                Param::text("target", "only acts on this target, usually a user id"),
                Param::text("action", "only acts of this name, such as `user.lock`"),
                Param::integer("from_ts", "only acts at this time or later, in milliseconds"),
                Param::integer("until_ts", "only acts before this time, in milliseconds"),
            ]
            .into_iter()
            .chain(super::page("entries")),
        )
        .returns::<AuditLog>(200)
        .errors(&[(
            400,
            "M_INVALID_PARAM",
            "a number is malformed, `actor_kind` is unknown or without `actor`, or `from` is not a `next_token` of this list",
        )])
}

fn actor_kind(call: &Reading<'_>) -> Result<Option<ActorKind>, MatrixError> {
    let Some(word) = call.query.utf8("actor_kind")? else { return Ok(None) };
    // Few kinds act often: without an actor, a page could mean to read the whole log.
    if !call.query.has("actor") {
        return Err(MatrixError::invalid_param("Query parameter 'actor_kind' needs 'actor'"));
    }
    let kind = word.parse();
    kind.map(Some)
        .map_err(|_| MatrixError::invalid_param("Query parameter 'actor_kind' must be a kind of actor"))
}

fn handle(call: &Reading<'_>) -> Answer {
    let text = |name| call.query.utf8(name).map(Option::unwrap_or_default);
    let filter = Filter {
        actor: text("actor")?,
        actor_kind: actor_kind(call)?,
        target: text("target")?,
        action: text("action")?,
        from_ts: call.query.integer("from_ts")?.map_or(Millis::ZERO, Millis::new),
    };
    let until = SortKey::at(call.query.integer("until_ts")?.map_or(Millis::MAX, Millis::new));
    let limit = super::limit(call)?;
    let before = super::from(call)?.min(until);
    let mut entries = audit::list(call.tx, &filter, &before, limit + 1)?;
    let next_token = super::cut(&mut entries, limit).map(|last| last.sort_key().to_string());
    let entries = entries.into_iter().map(|entry| view(call, entry)).collect::<Result<_, _>>()?;
    reply::ok(&AuditLog { entries, next_token })
}

/// The number of characters of a registration token that everybody sees who reads the log.
const SHOWN: usize = 4;

fn view(call: &Reading<'_>, entry: Entry) -> Result<AuditEntry, MatrixError> {
    // A registration token is a secret of those who may read registration tokens.
    let is_secret = entry.action.starts_with("registration_token.");
    let target = if is_secret && !call.caller().holds(Scope::RegistrationRead) {
        format!("{}…", entry.target.chars().take(SHOWN).collect::<String>())
    } else {
        entry.target
    };
    Ok(AuditEntry {
        id: entry.id,
        ts: entry.ts.get(),
        actor_kind: entry.actor_kind,
        actor: entry.actor,
        ip: entry.ip,
        request_id: entry.request_id,
        action: entry.action,
        target,
        changes: serde_json::from_str(&entry.changes).map_err(MatrixError::internal)?,
    })
}
