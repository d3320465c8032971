//! The default push rules: those of the newest specification, and those by which messages without `m.mentions` mention
//! users, which versions before 1.17 have.
//! <https://spec.matrix.org/v1.16/client-server-api/#predefined-rules>

use ruma::UserId;
use ruma::power_levels::NotificationPowerLevelsKey;
use ruma::push::{
    Action, ConditionalPushRule, ConditionalPushRuleInit, EventMatchConditionData, HighlightTweakValue,
    PatternedPushRule, PatternedPushRuleInit, PushCondition, Ruleset,
    SenderNotificationPermissionConditionData, SoundTweakValue, Tweak,
};

/// Mentions by the name in the room.
const DISPLAY_NAME: &str = ".m.rule.contains_display_name";
/// Mentions by the localpart.
const USER_NAME: &str = ".m.rule.contains_user_name";
/// Mentions of the whole room.
const ROOM: &str = ".m.rule.roomnotif";

/// Returns true if a rule does not apply to messages with `m.mentions`.
pub(super) fn rests_with_mentions(rule_id: &str) -> bool {
    matches!(rule_id, DISPLAY_NAME | USER_NAME | ROOM)
}

/// Returns the default rules of an account.
pub(super) fn of(user_id: &UserId) -> Ruleset {
    let mut rules = Ruleset::server_default(user_id);
    insert_after(&mut rules, ".m.rule.is_user_mention", contains_display_name());
    insert_after(&mut rules, ".m.rule.is_room_mention", room_notif());
    rules.content.insert(contains_user_name(user_id));
    rules
}

/// Returns the default rules of a user whom no message mentions by name.
pub(super) fn of_nobody(user_id: &UserId) -> Ruleset {
    let mut rules = Ruleset::server_default(user_id);
    insert_after(&mut rules, ".m.rule.is_room_mention", room_notif());
    rules
}

fn insert_after(rules: &mut Ruleset, rule_id: &str, rule: ConditionalPushRule) {
    let place = rules.override_.get_index_of(rule_id).map_or(rules.override_.len(), |place| place + 1);
    rules.override_.shift_insert(place, rule);
}

fn loudly() -> Vec<Action> {
    vec![
        Action::Notify,
        Action::SetTweak(Tweak::Sound(SoundTweakValue::Default)),
        Action::SetTweak(Tweak::Highlight(HighlightTweakValue::Yes)),
    ]
}

fn contains_display_name() -> ConditionalPushRule {
    #[expect(deprecated, reason = "the rules of older versions of the specification have it")]
    let condition = PushCondition::ContainsDisplayName;
    ConditionalPushRuleInit {
        actions: loudly(),
        default: true,
        enabled: true,
        rule_id: DISPLAY_NAME.to_owned(),
        conditions: vec![condition],
    }
    .into()
}

fn room_notif() -> ConditionalPushRule {
    let may_notify = SenderNotificationPermissionConditionData::new(NotificationPowerLevelsKey::Room);
    ConditionalPushRuleInit {
        actions: vec![Action::Notify, Action::SetTweak(Tweak::Highlight(HighlightTweakValue::Yes))],
        default: true,
        enabled: true,
        rule_id: ROOM.to_owned(),
        conditions: vec![
            PushCondition::EventMatch(EventMatchConditionData::new(
                "content.body".to_owned(),
                "@room".to_owned(),
            )),
            PushCondition::SenderNotificationPermission(may_notify),
        ],
    }
    .into()
}

fn contains_user_name(user_id: &UserId) -> PatternedPushRule {
    PatternedPushRuleInit {
        actions: loudly(),
        default: true,
        enabled: true,
        rule_id: USER_NAME.to_owned(),
        pattern: user_id.localpart().to_owned(),
    }
    .into()
}
