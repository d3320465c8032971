//! The contents of an archive, as its schema describes them. `docs/export.md` explains the format.
//!
//! A key is never removed and never changes its meaning within a version; keys may be added.

#![expect(clippy::struct_field_names, reason = "the keys are those of the archive")]

use reeve_model::{ActorKind, Membership, Millis, ReportKind, ReportState, Resolution};
use serde::Serialize;
use serde_json::{Map, Value, json};
use utoipa::{PartialSchema, ToSchema};

/// The version of the format.
pub(crate) const VERSION: u32 = 1;

/// `manifest.json`: what the archive is, and what is in it.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Manifest {
    /// `reeve-export`.
    pub(crate) format: &'static str,
    /// The version of the format: 1.
    pub(crate) version: u32,
    /// The name of the server.
    pub(crate) server_name: String,
    /// The account that the archive is about.
    pub(crate) user_id: String,
    /// The id of the export.
    pub(crate) export_id: String,
    /// When the archive was begun, in milliseconds. It has no message that was sent later.
    #[schema(value_type = i64)]
    pub(crate) began_ts: Millis,
    /// When its last part was read, in milliseconds.
    #[schema(value_type = i64)]
    pub(crate) completed_ts: Millis,
    /// True if it was ordered with the history of rooms.
    pub(crate) history: bool,
    /// True if it was ordered with the files that the person uploaded.
    pub(crate) media: bool,
    /// The lists in the archive.
    pub(crate) files: Vec<ListedFile>,
    /// The number of files that `media.jsonl` names and that are missing, since they were deleted or withdrawn while the archive
    /// was written.
    pub(crate) missing_media: u64,
}

/// A list in the archive.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct ListedFile {
    /// Its name in the archive.
    pub(crate) name: &'static str,
    /// What it lists.
    pub(crate) about: &'static str,
    /// The number of its entries.
    pub(crate) entries: u64,
}

/// `account.json`: the account.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Account {
    pub(crate) user_id: String,
    /// In milliseconds.
    #[schema(value_type = i64)]
    pub(crate) created_ts: Millis,
    #[schema(required)]
    pub(crate) displayname: Option<String>,
    #[schema(required)]
    pub(crate) avatar_url: Option<String>,
    /// The further fields of the profile.
    #[schema(value_type = Object)]
    pub(crate) profile_fields: Map<String, Value>,
    /// The kind of account; null for an ordinary one.
    #[schema(required)]
    pub(crate) user_type: Option<String>,
    /// The role in the administration of the server; null if there is none.
    #[schema(required)]
    pub(crate) role: Option<String>,
    pub(crate) is_guest: bool,
    pub(crate) deactivated: bool,
    pub(crate) erased: bool,
    pub(crate) locked: bool,
    pub(crate) suspended: bool,
    /// True if the messages of the account reach nobody.
    pub(crate) shadow_banned: bool,
    /// The application service that registered it.
    #[schema(required)]
    pub(crate) appservice_id: Option<String>,
    /// True if the account has a password. The password itself is not stored.
    pub(crate) has_password: bool,
    pub(crate) consent: Consent,
    /// When the account expires, in milliseconds; null if it does not.
    #[schema(value_type = Option<i64>, required)]
    pub(crate) expiration_ts: Option<Millis>,
    /// When it was last seen, in milliseconds.
    #[schema(value_type = Option<i64>, required)]
    pub(crate) last_seen_ts: Option<Millis>,
    pub(crate) threepids: Vec<Threepid>,
    pub(crate) external_ids: Vec<ExternalId>,
    /// The experimental features that were switched for the account.
    #[schema(value_type = std::collections::BTreeMap<String, bool>)]
    pub(crate) experimental_features: Map<String, Value>,
    /// The rate limit of its own; null if there is none.
    #[schema(required)]
    pub(crate) rate_limit: Option<RateLimit>,
    /// The last presence; null if there never was one.
    #[schema(required)]
    pub(crate) presence: Option<Presence>,
    /// The room aliases that the account created.
    pub(crate) room_aliases: Vec<RoomAlias>,
}

/// The consent to the policy of the server.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Consent {
    /// The version of the policy; null if there was no consent.
    #[schema(required)]
    pub(crate) version: Option<String>,
    /// The version about which the person was told.
    #[schema(required)]
    pub(crate) notice_sent: Option<String>,
    /// In milliseconds.
    #[schema(value_type = Option<i64>, required)]
    pub(crate) ts: Option<Millis>,
}

/// An e-mail address or telephone number.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Threepid {
    /// `email` or `msisdn`.
    pub(crate) medium: String,
    pub(crate) address: String,
    /// In milliseconds.
    #[schema(value_type = i64)]
    pub(crate) validated_at: Millis,
    /// In milliseconds.
    #[schema(value_type = i64)]
    pub(crate) added_at: Millis,
}

/// A name of the account at an identity provider.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ExternalId {
    pub(crate) auth_provider: String,
    pub(crate) external_id: String,
}

/// A rate limit of the account's own.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RateLimit {
    pub(crate) messages_per_second: i64,
    pub(crate) burst_count: i64,
}

/// A presence.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Presence {
    /// `online`, `unavailable` or `offline`.
    pub(crate) presence: String,
    #[schema(required)]
    pub(crate) status_msg: Option<String>,
    /// In milliseconds.
    #[schema(value_type = i64)]
    pub(crate) last_active_ts: Millis,
}

/// An alias of a room.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RoomAlias {
    pub(crate) alias: String,
    pub(crate) room_id: String,
}

/// A line of `devices.jsonl`: a device that is logged in.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Device {
    pub(crate) device_id: String,
    #[schema(required)]
    pub(crate) display_name: Option<String>,
    /// In milliseconds.
    #[schema(value_type = Option<i64>, required)]
    pub(crate) created_ts: Option<Millis>,
    /// In milliseconds.
    #[schema(value_type = Option<i64>, required)]
    pub(crate) last_seen_ts: Option<Millis>,
    #[schema(required)]
    pub(crate) last_seen_ip: Option<String>,
    #[schema(required)]
    pub(crate) last_seen_user_agent: Option<String>,
}

/// A line of `browsers.jsonl`: a browser in which the person is signed in on pages of the server.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Browser {
    /// In milliseconds.
    #[schema(value_type = i64)]
    pub(crate) signed_in_ts: Millis,
    /// In milliseconds; it may be an hour late.
    #[schema(value_type = i64)]
    pub(crate) last_seen_ts: Millis,
    /// The address from which the person signed in, unless it was deleted.
    #[schema(required)]
    pub(crate) ip: Option<String>,
    pub(crate) user_agent: String,
}

/// A line of `connections.jsonl`: an address from which a session was used, for 28 days.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Connection {
    pub(crate) ip: String,
    pub(crate) user_agent: String,
    #[schema(required)]
    pub(crate) device_id: Option<String>,
    /// In milliseconds.
    #[schema(value_type = i64)]
    pub(crate) last_seen_ts: Millis,
}

/// A line of `pushers.jsonl`: where notifications are sent.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Pusher {
    /// `http` or `email`.
    pub(crate) kind: String,
    pub(crate) app_id: String,
    pub(crate) pushkey: String,
    pub(crate) app_display_name: String,
    pub(crate) device_display_name: String,
    pub(crate) profile_tag: String,
    pub(crate) lang: String,
    #[schema(value_type = Object)]
    pub(crate) data: Value,
    #[schema(required)]
    pub(crate) device_id: Option<String>,
    pub(crate) enabled: bool,
}

/// A line of `account_data.jsonl`: data that clients stored.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AccountData {
    /// The room that it is about; null for global data.
    #[schema(required)]
    pub(crate) room_id: Option<String>,
    #[serde(rename = "type")]
    pub(crate) data_type: String,
    #[schema(value_type = Object)]
    pub(crate) content: Value,
}

/// A line of `memberships.jsonl`: a room in which the person is or was.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RoomMembership {
    pub(crate) room_id: String,
    /// The present membership: `join`, `invite`, `knock`, `leave` or `ban`.
    #[schema(value_type = String)]
    pub(crate) membership: Membership,
    /// True if the person forgot the room.
    pub(crate) forgotten: bool,
    /// The name of the room, if the person is in it or invited to it.
    #[schema(required)]
    pub(crate) name: Option<String>,
    /// All memberships, the oldest first.
    pub(crate) changes: Vec<MembershipChange>,
    /// How far the person has read.
    pub(crate) receipts: Vec<Receipt>,
}

/// A change of a membership.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct MembershipChange {
    pub(crate) event_id: String,
    #[schema(value_type = String)]
    pub(crate) membership: Membership,
    /// In milliseconds.
    #[schema(value_type = i64)]
    pub(crate) ts: Millis,
    /// The user who changed it.
    pub(crate) sender: String,
}

/// The last event that the person has read.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Receipt {
    /// `m.read` or `m.read.private`.
    #[serde(rename = "type")]
    pub(crate) receipt_type: String,
    /// The thread, or `main`; null for the whole room.
    #[schema(required)]
    pub(crate) thread_id: Option<String>,
    pub(crate) event_id: String,
    /// In milliseconds.
    #[schema(value_type = i64)]
    pub(crate) ts: Millis,
}

/// A line of `messages.jsonl` and `history.jsonl`: an event in the form of the client-server API.
#[derive(ToSchema)]
#[expect(dead_code, reason = "documents events, which are made elsewhere")]
pub(crate) struct RoomEvent {
    #[schema(rename = "type")]
    event_type: String,
    #[schema(value_type = Object)]
    content: Value,
    event_id: String,
    sender: String,
    /// In milliseconds.
    origin_server_ts: i64,
    /// Present for state events.
    #[schema(required = false)]
    state_key: Option<String>,
    /// The event that it redacts.
    #[schema(required = false)]
    redacts: Option<String>,
    room_id: String,
    /// Data added by the server, such as `redacted_because`.
    #[schema(value_type = Object, required = false)]
    unsigned: Option<Value>,
}

/// A line of `media.jsonl`: an upload.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Upload {
    pub(crate) media_id: String,
    /// The name of the file when it was uploaded.
    #[schema(required)]
    pub(crate) name: Option<String>,
    /// The type that was stated when it was uploaded.
    #[serde(rename = "type")]
    pub(crate) media_type: String,
    /// In bytes.
    pub(crate) length: i64,
    pub(crate) sha256: String,
    /// In milliseconds.
    #[schema(value_type = i64)]
    pub(crate) created_ts: Millis,
    /// When somebody last downloaded it, in milliseconds.
    #[schema(value_type = Option<i64>, required)]
    pub(crate) last_access_ts: Option<Millis>,
    /// The page of which it is a preview.
    #[schema(required)]
    pub(crate) preview_of: Option<String>,
    /// True if administrators withdrew it. Its file is not in the archive.
    pub(crate) quarantined: bool,
    /// The name of the file in the archive; null if it is not there.
    #[schema(required)]
    pub(crate) file: Option<String>,
}

/// A line of `reports.jsonl`: a report that the person made.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Report {
    /// `event`, `room` or `user`.
    #[schema(value_type = String)]
    pub(crate) kind: ReportKind,
    /// In milliseconds.
    #[schema(value_type = i64)]
    pub(crate) ts: Millis,
    /// The reported room, or that of the event.
    #[schema(required)]
    pub(crate) room_id: Option<String>,
    #[schema(required)]
    pub(crate) event_id: Option<String>,
    /// The reported user.
    #[schema(required)]
    pub(crate) user_id: Option<String>,
    #[schema(required)]
    pub(crate) reason: Option<String>,
    #[schema(required)]
    pub(crate) score: Option<i64>,
    /// `open`, `assigned` or `resolved`.
    #[schema(value_type = String)]
    pub(crate) state: ReportState,
    /// `acted`, `dismissed` or `duplicate`; null if it is not resolved.
    #[schema(value_type = Option<String>, required)]
    pub(crate) resolution: Option<Resolution>,
}

/// A line of `reports_about.jsonl`: a resolved report about the person or an event of theirs. Those who report are protected, so
/// that neither their names nor their words are here.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ReportAbout {
    /// `event` or `user`.
    #[schema(value_type = String)]
    pub(crate) kind: ReportKind,
    /// The room of the event.
    #[schema(required)]
    pub(crate) room_id: Option<String>,
    #[schema(required)]
    pub(crate) event_id: Option<String>,
    /// `acted`, `dismissed` or `duplicate`.
    #[schema(value_type = String)]
    pub(crate) resolution: Resolution,
}

/// A line of `audit.jsonl`: an act of administration on the account, or one that the person did as an administrator.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Act {
    /// In milliseconds.
    #[schema(value_type = i64)]
    pub(crate) ts: Millis,
    /// The act, such as `user.lock`.
    pub(crate) action: String,
    /// True if the account was acted on; false if the person acted on something else.
    pub(crate) on_account: bool,
    /// True if the person did it.
    pub(crate) by_person: bool,
    /// The kind of the actor: `user`, `service`, `appservice`, `server`, `cli` or `job`. The archive does not name other people.
    #[schema(value_type = String)]
    pub(crate) actor_kind: ActorKind,
    /// The address of the person, if the person did it.
    #[schema(required)]
    pub(crate) ip: Option<String>,
    /// The changes of the account; null for acts on something else.
    #[schema(value_type = Option<Object>, required)]
    pub(crate) changes: Option<Value>,
}

fn definition<T: ToSchema + PartialSchema>(defs: &mut Map<String, Value>) -> String {
    let mut schemas = vec![(T::name().into_owned(), T::schema())];
    T::schemas(&mut schemas);
    for (name, schema) in schemas {
        let text = json!(schema).to_string().replace("#/components/schemas/", "#/$defs/");
        defs.insert(name, serde_json::from_str(&text).unwrap_or_default());
    }
    T::name().into_owned()
}

/// Returns the JSON schema of an archive: under `files`, the schema of each file; of a file that ends with `.jsonl`, that of each
/// of its lines.
pub fn schema() -> Value {
    let mut defs = Map::new();
    let files = [
        ("manifest.json", definition::<Manifest>(&mut defs)),
        ("account.json", definition::<Account>(&mut defs)),
        ("devices.jsonl", definition::<Device>(&mut defs)),
        ("browsers.jsonl", definition::<Browser>(&mut defs)),
        ("connections.jsonl", definition::<Connection>(&mut defs)),
        ("pushers.jsonl", definition::<Pusher>(&mut defs)),
        ("account_data.jsonl", definition::<AccountData>(&mut defs)),
        ("memberships.jsonl", definition::<RoomMembership>(&mut defs)),
        ("messages.jsonl", definition::<RoomEvent>(&mut defs)),
        ("history.jsonl", definition::<RoomEvent>(&mut defs)),
        ("media.jsonl", definition::<Upload>(&mut defs)),
        ("reports.jsonl", definition::<Report>(&mut defs)),
        ("reports_about.jsonl", definition::<ReportAbout>(&mut defs)),
        ("audit.jsonl", definition::<Act>(&mut defs)),
    ];
    let mut files: Map<String, Value> = files
        .into_iter()
        .map(|(file, name)| (file.to_owned(), json!({ "$ref": format!("#/$defs/{name}") })))
        .collect();
    files.insert(
        "push_rules.json".to_owned(),
        json!({ "type": "object", "description": "The push rules, in the form of the client-server API." }),
    );
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Archive of everything about an account",
        "description": "The schema of each file of an archive is under `files`. A file whose name ends with `.jsonl` \
                        has a JSON value on each line, of which this is the schema.",
        "version": VERSION,
        "files": files,
        "$defs": defs,
    })
}
