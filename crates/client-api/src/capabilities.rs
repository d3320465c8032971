//! Capabilities of the server.
//! <https://spec.matrix.org/v1.18/client-server-api/#capabilities-negotiation>

use reeve_app::{Access, Answer, Call, Route, reply};
use reeve_model::Scope;
use reeve_rooms::version;
use serde_json::{Map, Value, json};

use crate::shapes;

pub(crate) fn routes() -> Vec<Route> {
    vec![
        Route::get("/_matrix/client/v3/capabilities", handle)
            .also("/_matrix/client/r0/capabilities")
            .access(Access::Guest)
            .id("getCapabilities")
            .returns::<shapes::server::Capabilities>(200)
            .summary("Returns the capabilities of the server for the caller")
            .spec("https://spec.matrix.org/v1.18/client-server-api/#capabilities-negotiation"),
    ]
}

async fn handle(call: Call) -> Answer {
    let policy = &call.app.policy;
    let available: Map<String, Value> =
        version::SUPPORTED.iter().map(|version| ((*version).to_owned(), json!("stable"))).collect();
    let mut capabilities = json!({
        "m.room_versions": { "default": version::DEFAULT, "available": available },
        "m.change_password": { "enabled": policy.password_enabled },
        "m.set_displayname": { "enabled": true },
        "m.set_avatar_url": { "enabled": true },
        "m.profile_fields": { "enabled": true },
        "m.3pid_changes": { "enabled": policy.mail.enabled && policy.mail.own_addresses },
        "m.get_login_token": { "enabled": policy.login_via_existing_session },
    });
    if call.caller().holds(Scope::UsersModerate)
        && let Value::Object(capabilities) = &mut capabilities
    {
        capabilities.insert("m.account_moderation".to_owned(), json!({ "suspend": true, "lock": true }));
    }
    reply::ok(&json!({ "capabilities": capabilities }))
}
