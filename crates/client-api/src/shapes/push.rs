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

/// A pusher; `kind` null to delete it.
#[derive(ToSchema)]
pub(crate) struct NewPusher {
    #[schema(required)]
    kind: Option<String>,
    app_id: String,
    pushkey: String,
    app_display_name: Option<String>,
    device_display_name: Option<String>,
    profile_tag: Option<String>,
    lang: Option<String>,
    data: Option<AnyObject>,
    append: Option<bool>,
    #[schema(rename = "org.matrix.msc3881.enabled")]
    enabled: Option<bool>,
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

/// A push rule.
#[derive(ToSchema)]
pub(crate) struct NewPushRule {
    actions: Actions,
    conditions: Option<Vec<AnyObject>>,
    pattern: Option<String>,
}

/// The enabled flag of a push rule.
#[derive(ToSchema)]
pub(crate) struct Enabled {
    enabled: bool,
}

/// The actions of a push rule.
#[derive(ToSchema)]
pub(crate) struct RuleActions {
    actions: Actions,
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
