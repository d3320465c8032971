//! Pushers, push rules and notifications.

use reeve_app::shape::{AnyObject, ClientEvent};
use utoipa::ToSchema;

/// Pushers.
#[derive(ToSchema)]
pub(crate) struct Pushers {
    pushers: Vec<Pusher>,
}

/// A pusher. The keys of MSC3881 are present if an administrator enabled that feature.
#[derive(ToSchema)]
pub(crate) struct Pusher {
    app_display_name: String,
    app_id: String,
    data: AnyObject,
    device_display_name: String,
    kind: String,
    lang: String,
    profile_tag: String,
    pushkey: String,
    #[schema(rename = "org.matrix.msc3881.enabled")]
    enabled: Option<bool>,
    #[schema(rename = "org.matrix.msc3881.device_id")]
    device_id: Option<String>,
}

/// Push rules.
#[derive(ToSchema)]
pub(crate) struct PushRules {
    global: Ruleset,
}

/// Push rules by kind.
#[derive(ToSchema)]
pub(crate) struct Ruleset {
    #[schema(rename = "override")]
    overriding: Vec<PushRule>,
    content: Vec<PushRule>,
    room: Vec<PushRule>,
    sender: Vec<PushRule>,
    underride: Vec<PushRule>,
}

/// A push rule.
#[derive(ToSchema)]
pub(crate) struct PushRule {
    rule_id: String,
    default: bool,
    enabled: bool,
    actions: Actions,
    conditions: Option<Vec<AnyObject>>,
    pattern: Option<String>,
}

/// Events that notified the account.
#[derive(ToSchema)]
pub(crate) struct Notifications {
    notifications: Vec<Notification>,
    next_token: Option<String>,
}

/// An event that notified the account.
#[derive(ToSchema)]
pub(crate) struct Notification {
    actions: Actions,
    event: ClientEvent,
    read: bool,
    room_id: String,
    ts: i64,
}

/// An action of a push rule: `notify`, or a tweak.
#[derive(ToSchema)]
pub(crate) struct Actions(Vec<Action>);

/// `notify` or `{"set_tweak", "value"}`.
#[derive(ToSchema)]
#[schema(value_type = Value)]
pub(crate) struct Action(());
