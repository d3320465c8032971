//! Random acts of users in a room: drawn, requested, and predicted.

use http::Method;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::model::{Draft, History};
use crate::rooms_kit::{enc, room_path, txn};

/// The number of people who act. The first created the room. One more is there, does nothing, and sees everything.
pub(crate) const PEOPLE: usize = 4;

/// One deed; people are meant by their number.
#[derive(Clone, Debug)]
pub(crate) enum Deed {
    Join(usize),
    Leave(usize),
    Knock(usize),
    Invite(usize, usize),
    Kick(usize, usize),
    Ban(usize, usize),
    Unban(usize, usize),
    /// A membership event, as a client may write it.
    Member(usize, usize, &'static str),
    JoinRule(usize, &'static str),
    /// The power level of a user.
    Power(usize, usize, i64),
    /// The level that something needs.
    Level(usize, &'static str, i64),
    Visibility(usize, &'static str),
    Topic(usize, u8),
    Say(usize),
    /// Redacts one of the events that there are.
    Redact(usize, prop::sample::Index),
}

pub(crate) fn deed() -> impl Strategy<Value = Deed> {
    // Users with power act more often, so that many acts are allowed.
    let who = || prop_oneof![3 => Just(0), 2 => Just(1), 3 => 0..PEOPLE];
    let whom = || 0..PEOPLE;
    let level = || prop::sample::select(vec![0, 25, 50, 75, 100]);
    let rules = ["public", "invite", "knock", "restricted", "knock_restricted", "private"];
    let visibilities = ["world_readable", "shared", "invited", "joined"];
    let fields = ["ban", "kick", "invite", "redact", "users_default", "state_default", "events_default"];
    prop_oneof![
        4 => whom().prop_map(Deed::Join),
        2 => whom().prop_map(Deed::Leave),
        2 => whom().prop_map(Deed::Knock),
        3 => (who(), whom()).prop_map(|(who, whom)| Deed::Invite(who, whom)),
        2 => (who(), whom()).prop_map(|(who, whom)| Deed::Kick(who, whom)),
        2 => (who(), whom()).prop_map(|(who, whom)| Deed::Ban(who, whom)),
        2 => (who(), whom()).prop_map(|(who, whom)| Deed::Unban(who, whom)),
        3 => (who(), whom(), prop::sample::select(vec!["join", "leave", "invite", "knock", "ban"]))
            .prop_map(|(who, whom, membership)| Deed::Member(who, whom, membership)),
        3 => (who(), prop::sample::select(rules.to_vec())).prop_map(|(who, rule)| Deed::JoinRule(who, rule)),
        3 => (who(), whom(), level()).prop_map(|(who, whom, level)| Deed::Power(who, whom, level)),
        2 => (who(), prop::sample::select(fields.to_vec()), level())
            .prop_map(|(who, field, level)| Deed::Level(who, field, level)),
        3 => (who(), prop::sample::select(visibilities.to_vec()))
            .prop_map(|(who, value)| Deed::Visibility(who, value)),
        2 => (who(), 0..3_u8).prop_map(|(who, topic)| Deed::Topic(who, topic)),
        4 => whom().prop_map(Deed::Say),
        2 => (who(), any::<prop::sample::Index>()).prop_map(|(who, which)| Deed::Redact(who, which)),
    ]
}

/// A request, and its expected result.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) who: usize,
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) body: Value,
    pub(crate) outcome: Outcome,
}

/// The expected result of a request.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// It is refused.
    No,
    /// It is granted, and nothing happens.
    Nothing,
    /// One of these events happens.
    One(Vec<Draft>),
    /// An event is redacted.
    Redaction(Draft, String),
}

/// A room, its users, and another room whose members may join if the join rules allow it.
pub(crate) struct Place<'a> {
    pub(crate) room: &'a History,
    pub(crate) people: &'a [String],
    pub(crate) club: &'a str,
    pub(crate) in_club: &'a [usize],
}

impl Place<'_> {
    /// The request for a deed.
    pub(crate) fn request(&self, deed: &Deed) -> Request {
        match *deed {
            Deed::Join(who) => self.endpoint(who, None, "join", self.join(who)),
            Deed::Leave(who) => self.endpoint(who, None, "leave", self.leave(who)),
            Deed::Knock(who) => {
                self.endpoint(who, None, "knock", self.set(vec![self.member(who, who, "knock", true)]))
            }
            Deed::Invite(who, whom) => {
                let outcome = if self.is(who, "join") && !self.is(whom, "join") {
                    self.set(vec![self.member(who, whom, "invite", true)])
                } else {
                    Outcome::No
                };
                self.endpoint(who, Some(whom), "invite", outcome)
            }
            Deed::Kick(who, whom) => {
                let there = ["join", "invite", "knock"].iter().any(|membership| self.is(whom, membership));
                self.endpoint(who, Some(whom), "kick", self.remove(there, who, whom, "leave"))
            }
            Deed::Ban(who, whom) => {
                self.endpoint(who, Some(whom), "ban", self.remove(true, who, whom, "ban"))
            }
            Deed::Unban(who, whom) => {
                // If there never was a membership, users who could unban receive the error that there is none.
                let (banned, stranger) = (self.is(whom, "ban"), self.is(whom, ""));
                let outcome = match self.remove(banned || stranger, who, whom, "leave") {
                    Outcome::One(_) if stranger => Outcome::Nothing,
                    outcome => outcome,
                };
                self.endpoint(who, Some(whom), "unban", outcome)
            }
            Deed::Member(who, whom, membership) => self.put(self.member(who, whom, membership, false)),
            Deed::JoinRule(who, rule) => {
                let mut content = json!({ "join_rule": rule });
                if rule.contains("restricted") {
                    content["allow"] = json!([{ "type": "m.room_membership", "room_id": self.club }]);
                }
                self.put(self.state(who, "m.room.join_rules", content))
            }
            Deed::Power(who, whom, level) => {
                let mut powers = self.room.powers();
                powers["users"][&self.people[whom]] = json!(level);
                self.put(self.state(who, "m.room.power_levels", powers))
            }
            Deed::Level(who, field, level) => {
                let mut powers = self.room.powers();
                powers[field] = json!(level);
                self.put(self.state(who, "m.room.power_levels", powers))
            }
            Deed::Visibility(who, value) => {
                let content = json!({ "history_visibility": value });
                self.put(self.state(who, "m.room.history_visibility", content))
            }
            Deed::Topic(who, topic) => {
                self.put(self.state(who, "m.room.topic", json!({ "topic": topic.to_string() })))
            }
            Deed::Say(who) => {
                let content = json!({ "msgtype": "m.text", "body": "words" });
                let draft = self.draft(who, "m.room.message", None, content.clone());
                let outcome = self.allowed(vec![draft]);
                let path = room_path(&self.room.room_id, &format!("send/m.room.message/{}", txn()));
                Request { who, method: Method::PUT, path, body: content, outcome }
            }
            Deed::Redact(who, which) => self.redact(who, which),
        }
    }

    fn is(&self, who: usize, membership: &str) -> bool {
        self.room.membership(&self.people[who]) == membership
    }

    fn draft(&self, who: usize, kind: &'static str, state_key: Option<&str>, content: Value) -> Draft {
        Draft { kind, state_key: state_key.map(str::to_owned), sender: self.people[who].clone(), content }
    }

    fn state(&self, who: usize, kind: &'static str, content: Value) -> Draft {
        self.draft(who, kind, Some(""), content)
    }

    fn member(&self, who: usize, whom: usize, membership: &str, named: bool) -> Draft {
        let mut content = json!({ "membership": membership });
        if named {
            let name = self.people[whom].trim_start_matches('@').split(':').next();
            content["displayname"] = json!(name);
        }
        self.draft(who, "m.room.member", Some(&self.people[whom]), content)
    }

    /// Which of some events the rules of the room allow; none is a refusal.
    fn allowed(&self, mut drafts: Vec<Draft>) -> Outcome {
        drafts.retain(|draft| self.room.allows(draft));
        if drafts.is_empty() { Outcome::No } else { Outcome::One(drafts) }
    }

    /// The same for state, which is not set again to what it is.
    fn set(&self, drafts: Vec<Draft>) -> Outcome {
        let same = |draft: &Draft| {
            let old = self.room.get(draft.kind, draft.state_key.as_deref().unwrap_or_default());
            old.is_some_and(|old| old.sender == draft.sender && old.content == draft.content)
        };
        if drafts.iter().any(same) { Outcome::Nothing } else { self.allowed(drafts) }
    }

    fn join(&self, who: usize) -> Outcome {
        let plain = self.member(who, who, "join", true);
        if self.is(who, "join") {
            return Outcome::Nothing;
        }
        if self.is(who, "invite") || !self.room.join_rule().contains("restricted") {
            return self.set(vec![plain]);
        }
        // A user with the power to invite must accept the knock.
        let hosts = self.room.joined().into_iter().filter(|_| self.in_club.contains(&who));
        let drafts = hosts.map(|host| {
            let mut draft = plain.clone();
            draft.content["join_authorised_via_users_server"] = json!(host);
            draft
        });
        self.set(drafts.collect())
    }

    fn leave(&self, who: usize) -> Outcome {
        match self.room.membership(&self.people[who]) {
            "leave" => Outcome::Nothing,
            "join" | "invite" | "knock" => self.set(vec![self.member(who, who, "leave", false)]),
            _ => Outcome::No,
        }
    }

    fn remove(&self, fits: bool, who: usize, whom: usize, membership: &str) -> Outcome {
        if fits && self.is(who, "join") {
            self.set(vec![self.member(who, whom, membership, false)])
        } else {
            Outcome::No
        }
    }

    fn endpoint(&self, who: usize, whom: Option<usize>, name: &str, outcome: Outcome) -> Request {
        let path = match name {
            "knock" => format!("/_matrix/client/v3/knock/{}", enc(&self.room.room_id)),
            _ => room_path(&self.room.room_id, name),
        };
        let body = whom.map_or(json!({}), |whom| json!({ "user_id": self.people[whom] }));
        Request { who, method: Method::POST, path, body, outcome }
    }

    /// Sets state as such.
    fn put(&self, draft: Draft) -> Request {
        let who = self.people.iter().position(|user_id| *user_id == draft.sender).unwrap();
        let key = draft.state_key.clone().unwrap();
        let path = room_path(&self.room.room_id, &format!("state/{}/{}", draft.kind, enc(&key)));
        let may_speak = self.is(who, "join") || (draft.kind == "m.room.member" && key == draft.sender);
        let body = draft.content.clone();
        let outcome = if may_speak { self.set(vec![draft]) } else { Outcome::No };
        Request { who, method: Method::PUT, path, body, outcome }
    }

    fn redact(&self, who: usize, which: prop::sample::Index) -> Request {
        let target = which.get(&self.room.events);
        let path = room_path(&self.room.room_id, &format!("redact/{}/{}", enc(&target.event_id), txn()));
        // Clients of older rooms find it here, too.
        let content = json!({ "redacts": target.event_id });
        let draft = self.draft(who, "m.room.redaction", None, content);
        let user_id = &self.people[who];
        let may = self.is(who, "join")
            && target.kind != "m.room.create"
            && (target.sender == *user_id || self.room.may_redact(user_id))
            && self.room.allows(&draft);
        let outcome = if may { Outcome::Redaction(draft, target.event_id.clone()) } else { Outcome::No };
        Request { who, method: Method::PUT, path, body: json!({}), outcome }
    }
}
