//! Pushers of an account.

use reeve_app::{Access, Answer, MatrixError, Reading, Route, reply};
use reeve_model::Scope;
use reeve_store::pushers;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::target;

/// The pushers of an account, the oldest first.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PusherList {
    pushers: Vec<PusherView>,
    /// The number of pushers.
    total: usize,
}

/// A pusher.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PusherView {
    app_display_name: String,
    app_id: String,
    /// The data that the client set.
    #[schema(value_type = Object)]
    data: Value,
    device_display_name: String,
    /// `http` or `email`.
    kind: String,
    lang: String,
    /// Empty if not set.
    profile_tag: String,
    pushkey: String,
    /// True if it is enabled; another device of the account may have disabled it.
    enabled: bool,
    /// The device it was set from.
    #[schema(required)]
    device_id: Option<String>,
}

pub(crate) fn route() -> Route {
    Route::read("/_synapse/admin/v1/users/{user_id}/pushers", handle)
        .access(Access::Admin(Scope::UsersRead))
        .id("listUserPushers")
        .summary("Lists the pushers of an account")
        .returns::<PusherList>(200)
        .errors(target::ERRORS)
}

fn handle(call: &Reading<'_>) -> Answer {
    let user_id = target::local_user(call, "Can only look up local users")?;
    let user = target::found(call.tx, &user_id, "User not found")?;
    let stored = pushers::of_user(call.tx, user.num)?;
    let pushers = stored.into_iter().map(view).collect::<Result<Vec<_>, _>>()?;
    reply::ok(&PusherList { total: pushers.len(), pushers })
}

fn view(pusher: pushers::Pusher) -> Result<PusherView, MatrixError> {
    Ok(PusherView {
        data: serde_json::from_str(&pusher.data).map_err(MatrixError::internal)?,
        app_display_name: pusher.app_display_name,
        app_id: pusher.app_id,
        device_display_name: pusher.device_display_name,
        kind: pusher.kind,
        lang: pusher.lang,
        profile_tag: pusher.profile_tag,
        pushkey: pusher.pushkey,
        enabled: pusher.enabled,
        device_id: pusher.device_id,
    })
}
