//! The kinds of happenings that acts on accounts, rooms and uploads are.

use reeve_model::HappeningKind;
use serde_json::Value;

/// Returns true if people do this to their own account.
pub(crate) fn is_own(kind: HappeningKind) -> bool {
    matches!(
        kind,
        HappeningKind::AccountCreated
            | HappeningKind::AccountChanged
            | HappeningKind::AccountDeactivated
            | HappeningKind::AccountPasswordChanged
    )
}

/// Returns the kinds of happenings that an act is.
pub(crate) fn kinds(action: &str, changes: &Value) -> Vec<HappeningKind> {
    let one = match action {
        "user.create" => HappeningKind::AccountCreated,
        "user.password" => {
            let requires = changes.get("password_change_required").map(|_| HappeningKind::AccountChanged);
            return [Some(HappeningKind::AccountPasswordChanged), requires].into_iter().flatten().collect();
        }
        "user.deactivate" => HappeningKind::AccountDeactivated,
        "user.login_as" | "user.token" => HappeningKind::AccountImpersonated,
        "user.update" | "user.admin" | "user.role" | "user.suspend" | "user.unsuspend"
        | "user.shadow_ban" | "user.shadow_unban" | "user.reactivate" => return of_changes(changes),
        "user.restore" => {
            let reactivated = changes.get("deactivated") == Some(&Value::Bool(false));
            let reactivated = reactivated.then_some(HappeningKind::AccountReactivated);
            return reactivated.into_iter().chain([HappeningKind::AccountRestored]).collect();
        }
        "account_validity.set" | "experimental_features.set" | "ratelimit.set" | "ratelimit.delete" => {
            HappeningKind::AccountChanged
        }
        "media.quarantine" => HappeningKind::MediaQuarantined,
        "media.unquarantine" => HappeningKind::MediaUnquarantined,
        "media.delete" => HappeningKind::MediaDeleted,
        "room.delete" => HappeningKind::RoomDeleted,
        "room.block" => HappeningKind::RoomBlocked,
        "room.unblock" => HappeningKind::RoomUnblocked,
        "service_token.create" => HappeningKind::ServiceTokenCreated,
        "service_token.update" => HappeningKind::ServiceTokenChanged,
        "service_token.rotate" => HappeningKind::ServiceTokenRotated,
        "service_token.delete" => HappeningKind::ServiceTokenDeleted,
        _ => HappeningKind::AdministrationOther,
    };
    let makes_admin =
        one == HappeningKind::AccountCreated && changes.get("admin") == Some(&Value::Bool(true));
    let granted = makes_admin.then_some(HappeningKind::AccountAdminGranted);
    [Some(one), granted].into_iter().flatten().collect()
}

/// Returns the kinds of happenings that the changed fields of an account are: one for each flag, and one for all the rest.
fn of_changes(changes: &Value) -> Vec<HappeningKind> {
    let mut kinds = Vec::new();
    let mut others = false;
    for (field, value) in changes.as_object().into_iter().flatten() {
        let (set, cleared) = match field.as_str() {
            "locked" => (HappeningKind::AccountLocked, HappeningKind::AccountUnlocked),
            "suspended" => (HappeningKind::AccountSuspended, HappeningKind::AccountUnsuspended),
            "shadow_banned" => (HappeningKind::AccountShadowBanned, HappeningKind::AccountShadowUnbanned),
            "admin" => (HappeningKind::AccountAdminGranted, HappeningKind::AccountAdminRevoked),
            "deactivated" => (HappeningKind::AccountDeactivated, HappeningKind::AccountReactivated),
            // Comes with `deactivated`.
            "erased" => continue,
            _ => {
                others = true;
                continue;
            }
        };
        kinds.push(if value == &Value::Bool(true) { set } else { cleared });
    }
    kinds.extend(others.then_some(HappeningKind::AccountChanged));
    kinds
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn each_flag_is_a_happening() {
        use HappeningKind as Kind;
        for (action, changes, expected) in [
            ("user.update", json!({ "displayname": "A", "avatar_url": null }), vec![Kind::AccountChanged]),
            ("user.update", json!({ "locked": true }), vec![Kind::AccountLocked]),
            (
                "user.update",
                json!({ "admin": false, "locked": false, "user_type": "bot" }),
                vec![Kind::AccountAdminRevoked, Kind::AccountUnlocked, Kind::AccountChanged],
            ),
            ("user.suspend", json!({ "suspended": true }), vec![Kind::AccountSuspended]),
            ("user.unsuspend", json!({ "suspended": false }), vec![Kind::AccountUnsuspended]),
            ("user.shadow_ban", json!({ "shadow_banned": true }), vec![Kind::AccountShadowBanned]),
            ("user.shadow_unban", json!({ "shadow_banned": false }), vec![Kind::AccountShadowUnbanned]),
            (
                "user.reactivate",
                json!({ "deactivated": false, "erased": false }),
                vec![Kind::AccountReactivated],
            ),
            ("user.update", json!({ "password_change_required": true }), vec![Kind::AccountChanged]),
            ("user.password", json!({ "password": true }), vec![Kind::AccountPasswordChanged]),
            (
                "user.password",
                json!({ "password_change_required": false, "password": true }),
                vec![Kind::AccountPasswordChanged, Kind::AccountChanged],
            ),
            (
                "user.restore",
                json!({ "deactivated": false, "rooms": 1 }),
                vec![Kind::AccountReactivated, Kind::AccountRestored],
            ),
            ("user.restore", json!({ "rooms": 1 }), vec![Kind::AccountRestored]),
            ("user.create", json!({ "admin": false }), vec![Kind::AccountCreated]),
            ("user.create", json!({ "admin": true }), vec![Kind::AccountCreated, Kind::AccountAdminGranted]),
            ("webhook.create", json!({}), vec![Kind::AdministrationOther]),
        ] {
            assert_eq!(kinds(action, &changes), expected, "{action} {changes}");
        }
    }
}
