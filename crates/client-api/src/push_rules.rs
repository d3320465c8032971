//! Push rules and the list of notifications.
//! <https://spec.matrix.org/v1.18/client-server-api/#push-rules-api>

use http::Method;
use reeve_app::shape::{self, AnyObject};
use reeve_app::{Access, Answer, Call, MatrixError, Param, Route, body, reply};
use reeve_rooms::Error;
use reeve_rooms::glob;
use reeve_rooms::push::{self, Notification, Place};
use reeve_rooms::view::View;
use ruma::push::{AnyPushRuleRef, RemovePushRuleError, RuleKind, Ruleset};
use serde_json::{Map, Value, json};

use crate::rooms::{home, token, v3, viewer};
use crate::shapes;
use crate::shapes::push::Actions;

const SPEC: &str = "https://spec.matrix.org/v1.18/client-server-api/#push-rules-api";
const NOT_FOUND: Error = Error::NotFound("No such rule");

body! {
    /// A push rule.
    pub(crate) struct NewPushRule {
        actions: Actions,
        conditions?: Vec<AnyObject>,
        pattern?: String,
    }

    /// The enabled flag of a push rule.
    pub(crate) struct Enabled {
        enabled: bool,
    }

    /// The actions of a push rule.
    pub(crate) struct RuleActions {
        actions: Actions,
    }
}

pub(crate) fn routes() -> Vec<Route> {
    let not_found: &[_] = &[
        (400, "M_UNRECOGNIZED", "there is no such kind of rule"),
        (404, "M_NOT_FOUND", "there is no such rule"),
    ];
    let rule = "pushrules/global/{kind}/{rule_id}";
    let unknown_kind = (400, "M_UNRECOGNIZED", "there is no such kind of rule");
    vec![
        v3(Method::GET, "pushrules", all)
            .access(Access::User)
            .id("getPushRulesNoSlash")
            .returns::<shapes::push::PushRules>(200)
            .summary("Returns all push rules")
            .spec(SPEC),
        v3(Method::GET, "pushrules/", all)
            .access(Access::User)
            .id("getPushRules")
            .returns::<shapes::push::PushRules>(200)
            .summary("Returns all push rules")
            .spec(SPEC),
        v3(Method::GET, "pushrules/global", global)
            .access(Access::User)
            .id("getPushRulesGlobalNoSlash")
            .returns::<shapes::push::Ruleset>(200)
            .summary("Returns all push rules")
            .spec(SPEC),
        v3(Method::GET, "pushrules/global/", global)
            .access(Access::User)
            .id("getPushRulesGlobal")
            .returns::<shapes::push::Ruleset>(200)
            .summary("Returns all push rules")
            .spec(SPEC),
        v3(Method::GET, rule, get)
            .access(Access::User)
            .id("getPushRule")
            .returns::<shapes::push::PushRule>(200)
            .summary("Returns a push rule")
            .errors(not_found)
            .spec(SPEC),
        v3(Method::PUT, rule, put)
            .access(Access::User)
            .id("setPushRule")
            .takes::<NewPushRule>()
            .returns::<shape::Empty>(200)
            .summary("Sets a push rule")
            .query([
                Param::text("before", "the rule before which it is placed"),
                Param::text("after", "the rule after which it is placed"),
            ])
            .errors(&[
                (400, "M_INVALID_PARAM", "the rule is not valid"),
                (
                    400,
                    "M_UNKNOWN",
                    "the account has no rule of its own of this kind with the id `before` or `after`",
                ),
                (400, "M_TOO_LARGE", "the account would exceed its limit of push rules"),
                (413, "M_TOO_LARGE", "the push rules of the account would exceed their size limit"),
                unknown_kind,
            ])
            .spec(SPEC),
        v3(Method::DELETE, rule, delete)
            .access(Access::User)
            .id("deletePushRule")
            .returns::<shape::Empty>(200)
            .summary("Deletes a push rule")
            .errors(not_found)
            .errors(&[(400, "M_INVALID_PARAM", "the rule is a default rule")])
            .spec(SPEC),
        v3(Method::GET, &format!("{rule}/enabled"), get_enabled)
            .access(Access::User)
            .id("isPushRuleEnabled")
            .returns::<Enabled>(200)
            .summary("Returns whether a push rule is enabled")
            .errors(not_found)
            .spec(SPEC),
        v3(Method::PUT, &format!("{rule}/enabled"), put_enabled)
            .access(Access::User)
            .id("setPushRuleEnabled")
            .takes::<Enabled>()
            .returns::<shape::Empty>(200)
            .summary("Enables or disables a push rule")
            .errors(not_found)
            .spec(SPEC),
        v3(Method::GET, &format!("{rule}/actions"), get_actions)
            .access(Access::User)
            .id("getPushRuleActions")
            .returns::<RuleActions>(200)
            .summary("Returns the actions of a push rule")
            .errors(not_found)
            .spec(SPEC),
        v3(Method::PUT, &format!("{rule}/actions"), put_actions)
            .access(Access::User)
            .id("setPushRuleActions")
            .takes::<RuleActions>()
            .returns::<shape::Empty>(200)
            .summary("Sets the actions of a push rule")
            .errors(not_found)
            .spec(SPEC),
        v3(Method::GET, "notifications", notifications)
            .access(Access::User)
            .id("getNotifications")
            .returns::<shapes::push::Notifications>(200)
            .summary("Lists the events that notified the account")
            .query([
                Param::text("from", "the token to begin at"),
                Param::integer("limit", "maximum number of notifications"),
                Param::word("only", &["highlight"], "`highlight` for highlighted events only"),
            ])
            .spec("https://spec.matrix.org/v1.18/client-server-api/#get_matrixclientv3notifications"),
    ]
}

fn kind(call: &Call) -> Result<RuleKind, MatrixError> {
    match call.params.get("kind") {
        "override" => Ok(RuleKind::Override),
        "underride" => Ok(RuleKind::Underride),
        "sender" => Ok(RuleKind::Sender),
        "room" => Ok(RuleKind::Room),
        "content" => Ok(RuleKind::Content),
        _ => Err(MatrixError::new(400, "M_UNRECOGNIZED", "Unrecognized request")),
    }
}

async fn rules(call: &Call) -> Result<Ruleset, MatrixError> {
    let user = call.user()?.clone();
    call.read(move |tx| push::rules(tx, user.num, &user.user_id)).await
}

async fn all(call: Call) -> Answer {
    let user = call.user()?.clone();
    reply::ok(&call.read(move |tx| push::as_account_data(tx, user.num, &user.user_id)).await?)
}

async fn global(call: Call) -> Answer {
    reply::ok(&push::as_json(&rules(&call).await?)?)
}

/// Returns the rule that the path names, as JSON.
async fn found(call: &Call) -> Result<Value, MatrixError> {
    let (kind, rules) = (kind(call)?, rules(call).await?);
    let rule = rules.get(kind, call.params.get("rule_id")).ok_or(NOT_FOUND)?;
    match rule {
        AnyPushRuleRef::Override(rule) | AnyPushRuleRef::Underride(rule) => serde_json::to_value(rule),
        AnyPushRuleRef::Content(rule) => serde_json::to_value(rule),
        AnyPushRuleRef::Room(rule) => serde_json::to_value(rule),
        AnyPushRuleRef::Sender(rule) => serde_json::to_value(rule),
        _ => return Err(NOT_FOUND.into()),
    }
    .map_err(MatrixError::internal)
}

async fn get(call: Call) -> Answer {
    reply::ok(&found(&call).await?)
}

async fn get_enabled(call: Call) -> Answer {
    let rule = found(&call).await?;
    reply::ok(&json!({ "enabled": rule.get("enabled") }))
}

async fn get_actions(call: Call) -> Answer {
    let rule = found(&call).await?;
    reply::ok(&json!({ "actions": rule.get("actions") }))
}

/// Changes the rules of the caller. A refused request changes nothing.
async fn change<F>(call: &Call, change: F) -> Answer
where
    F: Fn(&mut Ruleset) -> Result<(), Error> + Send + 'static,
{
    let (home, user) = (home(call), call.user()?.clone());
    call.write(move |tx| -> Result<_, Error> {
        let mut rules = push::rules(tx, user.num, &user.user_id)?;
        let before = rules.iter().count();
        change(&mut rules)?;
        push::set_rules(tx, &home, user.num, rules, before)
    })
    .await?;
    reply::empty()
}

async fn put(mut call: Call) -> Answer {
    let kind = kind(&call)?;
    let place = place(&call)?;
    let rule_id = call.param("rule_id");
    let body: NewPushRule = call.take().await?;
    let new = new_rule(kind, &rule_id, body)?;
    change(&call, move |rules| push::put_rule(rules, new.clone(), place.as_ref())).await
}

/// Returns the position for a rule that the query names; `before` overrides `after`.
fn place(call: &Call) -> Result<Option<Place>, MatrixError> {
    let rule = |name| call.query.utf8(name).map(|rule| rule.filter(|rule| !rule.is_empty()));
    let (before, after) = (rule("before")?, rule("after")?);
    Ok(before.map(Place::Before).or(after.map(Place::After)))
}

fn new_rule(
    kind: RuleKind,
    rule_id: &str,
    body: NewPushRule,
) -> Result<ruma::push::NewPushRule, MatrixError> {
    let invalid =
        |error: serde_json::Error| MatrixError::invalid_param(format!("The rule is not valid: {error}"));
    let actions = body.actions.value().ok_or_else(|| MatrixError::invalid_param("No actions found"))?;
    if !are_actions(actions) {
        return Err(MatrixError::invalid_param("Unrecognised action"));
    }
    check_patterns(&body)?;
    let keys = [body.actions.into_pair(), body.conditions.into_pair(), body.pattern.into_pair()];
    let mut rule: Map<String, Value> = keys.into_iter().flatten().collect();
    rule.insert("rule_id".to_owned(), json!(rule_id));
    let rule = Value::Object(rule);
    Ok(match kind {
        RuleKind::Override => ruma::push::NewPushRule::Override(conditional(rule).map_err(invalid)?),
        RuleKind::Underride => ruma::push::NewPushRule::Underride(conditional(rule).map_err(invalid)?),
        RuleKind::Content => ruma::push::NewPushRule::Content(serde_json::from_value(rule).map_err(invalid)?),
        RuleKind::Room => ruma::push::NewPushRule::Room(serde_json::from_value(rule).map_err(invalid)?),
        RuleKind::Sender => ruma::push::NewPushRule::Sender(serde_json::from_value(rule).map_err(invalid)?),
        _ => return Err(MatrixError::invalid_param("Unknown kind of rule")),
    })
}

/// Checks the patterns of a rule and its conditions, which are matched against every event sent to its owner.
fn check_patterns(body: &NewPushRule) -> Result<(), MatrixError> {
    let conditions = body.conditions.value().and_then(Value::as_array).into_iter().flatten();
    let patterns = conditions.map(|condition| condition.get("pattern")).chain([body.pattern.value()]);
    let mut patterns = patterns.flatten().filter_map(Value::as_str);
    if !patterns.all(glob::is_allowed) {
        return Err(MatrixError::invalid_param("A pattern is too long or has too many wildcards"));
    }
    Ok(())
}

/// Returns true if a value is a list of actions. Two obsolete ones, which have no effect, are still accepted.
fn are_actions(value: &Value) -> bool {
    let is_action = |action: &Value| match action {
        Value::String(action) => matches!(action.as_str(), "notify" | "dont_notify" | "coalesce"),
        Value::Object(action) => action.get("set_tweak").is_some_and(Value::is_string),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) => false,
    };
    value.as_array().is_some_and(|actions| actions.iter().all(is_action))
}

/// Returns a rule with conditions, which are optional in the body.
fn conditional(mut body: Value) -> Result<ruma::push::NewConditionalPushRule, serde_json::Error> {
    if let Some(body) = body.as_object_mut() {
        body.entry("conditions").or_insert_with(|| json!([]));
    }
    serde_json::from_value(body)
}

async fn delete(call: Call) -> Answer {
    let (kind, rule_id) = (kind(&call)?, call.param("rule_id"));
    change(&call, move |rules| {
        rules.remove(kind.clone(), &rule_id).map_err(|error| match error {
            RemovePushRuleError::NotFound => NOT_FOUND,
            error => Error::Invalid(error.to_string()),
        })
    })
    .await
}

async fn put_enabled(mut call: Call) -> Answer {
    let (kind, rule_id) = (kind(&call)?, call.param("rule_id"));
    let body: Enabled = call.take().await?;
    let Some(&Value::Bool(enabled)) = body.enabled.value() else {
        return Err(MatrixError::bad_json("'enabled' must be a boolean"));
    };
    change(&call, move |rules| rules.set_enabled(kind.clone(), &rule_id, enabled).map_err(|_| NOT_FOUND))
        .await
}

async fn put_actions(mut call: Call) -> Answer {
    let (kind, rule_id) = (kind(&call)?, call.param("rule_id"));
    let body: RuleActions = call.take().await?;
    let actions = body.actions.value().cloned().unwrap_or_default();
    if !are_actions(&actions) {
        return Err(MatrixError::invalid_param("Unrecognised action"));
    }
    let actions: Vec<ruma::push::Action> = serde_json::from_value(actions)
        .map_err(|error| MatrixError::invalid_param(format!("The actions are not valid: {error}")))?;
    change(&call, move |rules| {
        rules.set_actions(kind.clone(), &rule_id, actions.clone()).map_err(|_| NOT_FOUND)
    })
    .await
}

async fn notifications(call: Call) -> Answer {
    let (viewer, now) = (viewer(&call)?, call.now);
    let limit = usize::try_from(call.query.integer("limit")?.unwrap_or(50).clamp(1, 500)).unwrap_or(1);
    let from = token(&call, "from")?;
    let highlights = call.query.utf8("only")?.as_deref() == Some("highlight");
    let (found, next) = call
        .read(move |tx| -> Result<_, Error> {
            let view = View::of(tx, viewer.clone(), now)?;
            let from = from.as_ref().map(|from| view.start(from)).transpose()?;
            let (found, next) =
                push::notifications(tx, &viewer.user_id, view.ignored(), from, limit, highlights)?;
            let next = next.map(|next| view.token(next)).transpose()?;
            let mut shown = Vec::new();
            for Notification { event, room, is_read, stands_out } in found {
                if let Some(client) = view.room(&room)?.show(&event)? {
                    let actions = if stands_out {
                        json!(["notify", { "set_tweak": "highlight" }])
                    } else {
                        json!(["notify"])
                    };
                    shown.push(json!({
                        "actions": actions,
                        "event": client,
                        "read": is_read,
                        "room_id": room.room_id,
                        "ts": event.ts,
                    }));
                }
            }
            Ok((shown, next))
        })
        .await?;
    let mut body = json!({ "notifications": found });
    if let (Some(next), Some(body)) = (next, body.as_object_mut()) {
        body.insert("next_token".to_owned(), json!(next.to_string()));
    }
    reply::ok(&body)
}
