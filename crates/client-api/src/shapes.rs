//! The bodies of requests and responses, for the documentation. Handlers read and write most of them key by
//! key, since each error has its own text. An `Option` key is optional; in responses it is never null, unless
//! it is marked as required.

#![expect(dead_code, reason = "documents bodies that are read and written key by key")]
#![expect(
    clippy::struct_field_names,
    clippy::zero_sized_map_values,
    reason = "the keys are the specification's"
)]

use std::collections::BTreeMap;

use reeve_http::shape::{AnyObject, ClientEvent};
use utoipa::ToSchema;

/// The versions and features of the server.
#[derive(ToSchema)]
pub(crate) struct Versions {
    versions: Vec<String>,
    unstable_features: BTreeMap<String, bool>,
}

/// The URLs of the server.
#[derive(ToSchema)]
pub(crate) struct WellKnown {
    #[schema(rename = "m.homeserver")]
    homeserver: BaseUrl,
}

/// A URL.
#[derive(ToSchema)]
pub(crate) struct BaseUrl {
    base_url: String,
}

/// The capabilities of the server.
#[derive(ToSchema)]
pub(crate) struct Capabilities {
    capabilities: AnyObject,
}

/// A new account.
#[derive(ToSchema)]
pub(crate) struct Registration {
    username: Option<String>,
    password: Option<String>,
    device_id: Option<String>,
    initial_device_display_name: Option<String>,
    inhibit_login: Option<bool>,
    refresh_token: Option<bool>,
    auth: Option<AnyObject>,
}

/// A new account, and its session unless `inhibit_login` was sent.
#[derive(ToSchema)]
pub(crate) struct NewAccount {
    user_id: String,
    home_server: String,
    access_token: Option<String>,
    device_id: Option<String>,
    expires_in_ms: Option<i64>,
    refresh_token: Option<String>,
}

/// The availability of a name.
#[derive(ToSchema)]
pub(crate) struct Available {
    available: bool,
}

/// The validity of a token.
#[derive(ToSchema)]
pub(crate) struct TokenValidity {
    valid: bool,
}

/// The login methods.
#[derive(ToSchema)]
pub(crate) struct LoginFlows {
    flows: Vec<LoginFlow>,
}

/// A login method.
#[derive(ToSchema)]
pub(crate) struct LoginFlow {
    #[schema(rename = "type")]
    kind: String,
    get_login_token: Option<bool>,
}

/// A login.
#[derive(ToSchema)]
#[schema(example = json!({
    "type": "m.login.password",
    "identifier": { "type": "m.id.user", "user": "alice" },
    "password": "a long passphrase",
    "initial_device_display_name": "Alice's laptop",
}))]
pub(crate) struct Login {
    #[schema(rename = "type")]
    kind: String,
    identifier: Option<AnyObject>,
    user: Option<String>,
    password: Option<String>,
    token: Option<String>,
    device_id: Option<String>,
    initial_device_display_name: Option<String>,
    refresh_token: Option<bool>,
}

/// A new session.
#[derive(ToSchema)]
pub(crate) struct LoggedIn {
    user_id: String,
    home_server: String,
    access_token: String,
    device_id: String,
    expires_in_ms: Option<i64>,
    refresh_token: Option<String>,
    well_known: Option<WellKnown>,
}

/// User-interactive authentication.
#[derive(ToSchema)]
pub(crate) struct Authentication {
    auth: Option<AnyObject>,
}

/// A token with which another device logs in.
#[derive(ToSchema)]
pub(crate) struct LoginToken {
    login_token: String,
    expires_in_ms: i64,
}

/// A refresh token.
#[derive(ToSchema)]
pub(crate) struct Refresh {
    refresh_token: String,
}

/// New tokens.
#[derive(ToSchema)]
pub(crate) struct Refreshed {
    access_token: String,
    #[schema(required)]
    refresh_token: Option<String>,
    #[schema(required)]
    expires_in_ms: Option<i64>,
}

/// The account that a token acts as.
#[derive(ToSchema)]
pub(crate) struct WhoAmI {
    user_id: String,
    is_guest: bool,
    device_id: Option<String>,
}

/// The name and keys of the server, signed.
#[derive(ToSchema)]
pub(crate) struct ServerKeys {
    server_name: String,
    verify_keys: BTreeMap<String, VerifyKey>,
    old_verify_keys: AnyObject,
    valid_until_ts: i64,
    signatures: BTreeMap<String, BTreeMap<String, String>>,
}

/// A public key.
#[derive(ToSchema)]
pub(crate) struct VerifyKey {
    key: String,
}

/// A new password.
#[derive(ToSchema)]
pub(crate) struct NewPassword {
    new_password: Option<String>,
    logout_devices: Option<bool>,
    auth: Option<AnyObject>,
}

/// The options of a deactivation.
#[derive(ToSchema)]
pub(crate) struct Deactivation {
    erase: Option<bool>,
    id_server: Option<String>,
    auth: Option<AnyObject>,
}

/// The result for third-party ids at identity servers.
#[derive(ToSchema)]
pub(crate) struct Unbound {
    id_server_unbind_result: String,
}

/// Third-party ids.
#[derive(ToSchema)]
pub(crate) struct Threepids {
    threepids: Vec<Threepid>,
}

/// A third-party id.
#[derive(ToSchema)]
pub(crate) struct Threepid {
    medium: String,
    address: String,
    validated_at: i64,
    added_at: i64,
}

/// Devices.
#[derive(ToSchema)]
pub(crate) struct Devices {
    devices: Vec<Device>,
}

/// A device.
#[derive(ToSchema)]
pub(crate) struct Device {
    user_id: String,
    device_id: String,
    #[schema(required)]
    display_name: Option<String>,
    #[schema(required)]
    last_seen_ts: Option<i64>,
    #[schema(required)]
    last_seen_ip: Option<String>,
}

/// The name of a device.
#[derive(ToSchema)]
pub(crate) struct DeviceName {
    display_name: Option<String>,
}

/// Devices to delete.
#[derive(ToSchema)]
pub(crate) struct DevicesToDelete {
    devices: Vec<String>,
    auth: Option<AnyObject>,
}

/// Keys of a device.
#[derive(ToSchema)]
pub(crate) struct KeyUpload {
    device_keys: Option<AnyObject>,
    one_time_keys: Option<AnyObject>,
    fallback_keys: Option<AnyObject>,
}

/// The numbers of one-time keys, by algorithm.
#[derive(ToSchema)]
pub(crate) struct KeyCounts {
    one_time_key_counts: BTreeMap<String, i64>,
}

/// A query for keys: devices by user; an empty list for all devices of a user.
#[derive(ToSchema)]
pub(crate) struct KeyQuery {
    device_keys: BTreeMap<String, Vec<String>>,
}

/// Keys by user, and failures by server.
#[derive(ToSchema)]
pub(crate) struct FoundKeys {
    device_keys: BTreeMap<String, BTreeMap<String, AnyObject>>,
    master_keys: BTreeMap<String, AnyObject>,
    self_signing_keys: BTreeMap<String, AnyObject>,
    user_signing_keys: BTreeMap<String, AnyObject>,
    failures: BTreeMap<String, AnyObject>,
}

/// A claim of keys: algorithms by device by user.
#[derive(ToSchema)]
pub(crate) struct KeyClaim {
    one_time_keys: BTreeMap<String, BTreeMap<String, String>>,
}

/// Keys by device by user, and failures by server.
#[derive(ToSchema)]
pub(crate) struct ClaimedKeys {
    one_time_keys: BTreeMap<String, BTreeMap<String, AnyObject>>,
    failures: BTreeMap<String, AnyObject>,
}

/// Users whose devices changed, and users who no longer share a room.
#[derive(ToSchema)]
pub(crate) struct ChangedDevices {
    changed: Vec<String>,
    left: Vec<String>,
}

/// Cross-signing keys of an account.
#[derive(ToSchema)]
pub(crate) struct CrossSigningKeys {
    master_key: Option<AnyObject>,
    self_signing_key: Option<AnyObject>,
    user_signing_key: Option<AnyObject>,
    auth: Option<AnyObject>,
}

/// Refused signatures: errors by key by user.
#[derive(ToSchema)]
pub(crate) struct Failures {
    failures: BTreeMap<String, AnyObject>,
}

/// The algorithm and authentication data of a backup.
#[derive(ToSchema)]
pub(crate) struct NewBackup {
    algorithm: String,
    auth_data: AnyObject,
}

/// The new authentication data of a backup.
#[derive(ToSchema)]
pub(crate) struct ChangedBackup {
    algorithm: String,
    auth_data: AnyObject,
    version: Option<String>,
}

/// The version of a backup.
#[derive(ToSchema)]
pub(crate) struct BackupVersion {
    version: String,
}

/// A backup of room keys.
#[derive(ToSchema)]
pub(crate) struct KeyBackup {
    version: String,
    algorithm: String,
    auth_data: AnyObject,
    count: i64,
    etag: String,
}

/// The number of keys in a backup, and a tag that changes with them.
#[derive(ToSchema)]
pub(crate) struct BackupExtent {
    count: i64,
    etag: String,
}

/// Room keys by session by room.
#[derive(ToSchema)]
pub(crate) struct RoomsOfKeys {
    rooms: BTreeMap<String, SessionsOfKeys>,
}

/// Room keys by session.
#[derive(ToSchema)]
pub(crate) struct SessionsOfKeys {
    sessions: BTreeMap<String, RoomKey>,
}

/// A room key, encrypted.
#[derive(ToSchema)]
pub(crate) struct RoomKey {
    first_message_index: i64,
    forwarded_count: i64,
    is_verified: bool,
    session_data: AnyObject,
}

/// A dehydrated device.
#[derive(ToSchema)]
pub(crate) struct NewDehydratedDevice {
    device_id: String,
    device_data: AnyObject,
    initial_device_display_name: Option<String>,
    device_keys: Option<AnyObject>,
    one_time_keys: Option<AnyObject>,
    fallback_keys: Option<AnyObject>,
}

/// The id of a device.
#[derive(ToSchema)]
pub(crate) struct DeviceId {
    device_id: String,
}

/// A dehydrated device.
#[derive(ToSchema)]
pub(crate) struct DehydratedDevice {
    device_id: String,
    device_data: AnyObject,
}

/// The token of the next page.
#[derive(ToSchema)]
pub(crate) struct After {
    next_batch: Option<String>,
}

/// Messages to a device.
#[derive(ToSchema)]
pub(crate) struct DeviceMessages {
    events: Vec<AnyObject>,
    next_batch: String,
}

/// Messages by device by user.
#[derive(ToSchema)]
pub(crate) struct ToDevice {
    messages: BTreeMap<String, BTreeMap<String, AnyObject>>,
}

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

/// The presence of a user.
#[derive(ToSchema)]
pub(crate) struct Presence {
    presence: String,
    last_active_ago: Option<i64>,
    currently_active: Option<bool>,
    status_msg: Option<String>,
}

/// The presence to set.
#[derive(ToSchema)]
pub(crate) struct NewPresence {
    presence: String,
    status_msg: Option<String>,
}

/// A search in messages.
#[derive(ToSchema)]
pub(crate) struct Search {
    search_categories: SearchCategories,
}

/// The search categories.
#[derive(ToSchema)]
pub(crate) struct SearchCategories {
    room_events: Option<AnyObject>,
}

/// The results of a search.
#[derive(ToSchema)]
pub(crate) struct SearchAnswer {
    search_categories: FoundCategories,
}

/// The results of a search, by category.
#[derive(ToSchema)]
pub(crate) struct FoundCategories {
    room_events: Option<FoundEvents>,
}

/// The events that a search found.
#[derive(ToSchema)]
pub(crate) struct FoundEvents {
    count: i64,
    highlights: Vec<String>,
    results: Vec<FoundEvent>,
    next_batch: Option<String>,
    groups: Option<AnyObject>,
    state: Option<BTreeMap<String, Vec<ClientEvent>>>,
}

/// An event that a search found.
#[derive(ToSchema)]
pub(crate) struct FoundEvent {
    rank: f64,
    result: ClientEvent,
    context: Option<AnyObject>,
}

/// A search for users.
#[derive(ToSchema)]
pub(crate) struct PeopleSearch {
    search_term: String,
    limit: Option<i64>,
}

/// The users found by a search.
#[derive(ToSchema)]
pub(crate) struct FoundPeople {
    results: Vec<FoundPerson>,
    limited: bool,
}

/// A user.
#[derive(ToSchema)]
pub(crate) struct FoundPerson {
    user_id: String,
    display_name: Option<String>,
    avatar_url: Option<String>,
}

/// The id of a filter.
#[derive(ToSchema)]
pub(crate) struct FilterId {
    filter_id: String,
}

/// The changes since `since`.
#[derive(ToSchema)]
pub(crate) struct Sync {
    next_batch: String,
    rooms: Option<SyncRooms>,
    account_data: Option<Events>,
    presence: Option<Events>,
    to_device: Events,
    device_lists: ChangedDevices,
    device_one_time_keys_count: BTreeMap<String, i64>,
    device_unused_fallback_key_types: Vec<String>,
}

/// Events.
#[derive(ToSchema)]
pub(crate) struct Events {
    events: Vec<AnyObject>,
}

/// Rooms, by the membership of the account.
#[derive(ToSchema)]
pub(crate) struct SyncRooms {
    join: Option<BTreeMap<String, SyncedRoom>>,
    invite: Option<BTreeMap<String, AnyObject>>,
    knock: Option<BTreeMap<String, AnyObject>>,
    leave: Option<BTreeMap<String, LeftRoom>>,
}

/// The changes in a room.
#[derive(ToSchema)]
pub(crate) struct SyncedRoom {
    timeline: SyncTimeline,
    state: Option<Events>,
    state_after: Option<Events>,
    #[schema(rename = "org.matrix.msc4222.state_after")]
    unstable_state_after: Option<Events>,
    account_data: Events,
    ephemeral: Events,
    unread_notifications: UnreadCounts,
    unread_thread_notifications: Option<BTreeMap<String, UnreadCounts>>,
    summary: Option<RoomHeroes>,
}

/// The changes in a room that was left.
#[derive(ToSchema)]
pub(crate) struct LeftRoom {
    timeline: SyncTimeline,
    state: Option<Events>,
    state_after: Option<Events>,
    #[schema(rename = "org.matrix.msc4222.state_after")]
    unstable_state_after: Option<Events>,
    account_data: Events,
}

/// Events of a room. A filter decides which keys they have.
#[derive(ToSchema)]
pub(crate) struct SyncTimeline {
    events: Vec<AnyObject>,
    limited: bool,
    prev_batch: String,
}

/// Unread counts.
#[derive(ToSchema)]
pub(crate) struct UnreadCounts {
    notification_count: i64,
    highlight_count: i64,
}

/// The summary of a room's members.
#[derive(ToSchema)]
pub(crate) struct RoomHeroes {
    #[schema(rename = "m.heroes")]
    heroes: Vec<String>,
    #[schema(rename = "m.joined_member_count")]
    joined: i64,
    #[schema(rename = "m.invited_member_count")]
    invited: i64,
}

/// A request of sliding sync.
#[derive(ToSchema)]
pub(crate) struct SlidingRequest {
    conn_id: Option<String>,
    txn_id: Option<String>,
    lists: Option<BTreeMap<String, AnyObject>>,
    room_subscriptions: Option<BTreeMap<String, AnyObject>>,
    extensions: Option<AnyObject>,
}

/// The changes since `pos`.
#[derive(ToSchema)]
pub(crate) struct SlidingAnswer {
    pos: String,
    txn_id: Option<String>,
    lists: BTreeMap<String, ListCount>,
    rooms: BTreeMap<String, AnyObject>,
    extensions: SlidingExtensions,
}

/// The number of rooms in a list.
#[derive(ToSchema)]
pub(crate) struct ListCount {
    count: i64,
}

/// The changes outside rooms.
#[derive(ToSchema)]
pub(crate) struct SlidingExtensions {
    to_device: Option<DeviceMessages>,
    e2ee: Option<SlidingKeys>,
    account_data: Option<AnyObject>,
    receipts: Option<AnyObject>,
    typing: Option<AnyObject>,
}

/// The changes of keys.
#[derive(ToSchema)]
pub(crate) struct SlidingKeys {
    device_lists: ChangedDevices,
    device_one_time_keys_count: BTreeMap<String, i64>,
    device_unused_fallback_key_types: Vec<String>,
}

/// The room of an alias.
#[derive(ToSchema)]
pub(crate) struct ResolvedAlias {
    room_id: String,
    servers: Vec<String>,
}

/// The id of a room.
#[derive(ToSchema)]
pub(crate) struct RoomId {
    room_id: String,
}

/// Aliases.
#[derive(ToSchema)]
pub(crate) struct Aliases {
    aliases: Vec<String>,
}

/// `public` or `private`.
#[derive(ToSchema)]
pub(crate) struct Visibility {
    visibility: String,
}

/// `public` (default) or `private`.
#[derive(ToSchema)]
pub(crate) struct NewVisibility {
    visibility: Option<String>,
}

/// A page of the public room directory.
#[derive(ToSchema)]
pub(crate) struct PublicRooms {
    chunk: Vec<PublicRoom>,
    total_room_count_estimate: i64,
    next_batch: Option<String>,
    prev_batch: Option<String>,
}

/// A published room.
#[derive(ToSchema)]
pub(crate) struct PublicRoom {
    room_id: String,
    name: Option<String>,
    topic: Option<String>,
    canonical_alias: Option<String>,
    num_joined_members: i64,
    avatar_url: Option<String>,
    world_readable: bool,
    guest_can_join: bool,
    join_rule: Option<String>,
    room_type: Option<String>,
}

/// A search in the public room directory.
#[derive(ToSchema)]
pub(crate) struct RoomSearch {
    filter: Option<AnyObject>,
    limit: Option<i64>,
    since: Option<String>,
}

/// A new room.
#[derive(ToSchema)]
pub(crate) struct NewRoom {
    room_version: Option<String>,
    preset: Option<String>,
    visibility: Option<String>,
    room_alias_name: Option<String>,
    name: Option<String>,
    topic: Option<String>,
    invite: Option<Vec<String>>,
    is_direct: Option<bool>,
    creation_content: Option<AnyObject>,
    initial_state: Option<Vec<AnyObject>>,
    power_level_content_override: Option<AnyObject>,
}

/// A new room.
#[derive(ToSchema)]
pub(crate) struct CreatedRoom {
    room_id: String,
    room_alias: Option<String>,
}

/// The reason.
#[derive(ToSchema)]
pub(crate) struct Reason {
    reason: Option<String>,
}

/// The user, and the reason.
#[derive(ToSchema)]
pub(crate) struct TargetUser {
    user_id: String,
    reason: Option<String>,
}

/// Rooms.
#[derive(ToSchema)]
pub(crate) struct JoinedRoomIds {
    joined_rooms: Vec<String>,
}

/// A page of a history.
#[derive(ToSchema)]
pub(crate) struct History {
    chunk: Vec<ClientEvent>,
    start: String,
    end: Option<String>,
    state: Option<Vec<ClientEvent>>,
}

/// An event and its context.
#[derive(ToSchema)]
pub(crate) struct Surroundings {
    event: ClientEvent,
    events_before: Vec<ClientEvent>,
    events_after: Vec<ClientEvent>,
    start: String,
    end: String,
    state: Vec<ClientEvent>,
}

/// Membership events.
#[derive(ToSchema)]
pub(crate) struct Members {
    chunk: Vec<ClientEvent>,
}

/// The joined members, by user id.
#[derive(ToSchema)]
pub(crate) struct JoinedMembers {
    joined: BTreeMap<String, MemberProfile>,
}

/// The profile of a member in a room.
#[derive(ToSchema)]
pub(crate) struct MemberProfile {
    #[schema(required)]
    display_name: Option<String>,
    #[schema(required)]
    avatar_url: Option<String>,
}

/// An event near a time.
#[derive(ToSchema)]
pub(crate) struct EventAtTime {
    event_id: String,
    origin_server_ts: i64,
}

/// A page of related events.
#[derive(ToSchema)]
pub(crate) struct Relations {
    chunk: Vec<ClientEvent>,
    next_batch: Option<String>,
    prev_batch: Option<String>,
    recursion_depth: Option<i64>,
}

/// A page of threads.
#[derive(ToSchema)]
pub(crate) struct Threads {
    chunk: Vec<ClientEvent>,
    next_batch: Option<String>,
}

/// A page of the rooms of a space.
#[derive(ToSchema)]
pub(crate) struct Space {
    rooms: Vec<AnyObject>,
    next_batch: Option<String>,
}

/// The summary of a room.
#[derive(ToSchema)]
pub(crate) struct RoomPresentation {
    room_id: String,
    name: Option<String>,
    topic: Option<String>,
    canonical_alias: Option<String>,
    num_joined_members: i64,
    avatar_url: Option<String>,
    world_readable: bool,
    guest_can_join: bool,
    join_rule: Option<String>,
    room_type: Option<String>,
    room_version: Option<String>,
    encryption: Option<String>,
    allowed_room_ids: Option<Vec<String>>,
    membership: Option<String>,
}

/// The thread.
#[derive(ToSchema)]
pub(crate) struct Thread {
    thread_id: Option<String>,
}

/// The events up to which the account has read.
#[derive(ToSchema)]
pub(crate) struct ReadMarkers {
    #[schema(rename = "m.fully_read")]
    fully_read: Option<String>,
    #[schema(rename = "m.read")]
    read: Option<String>,
    #[schema(rename = "m.read.private")]
    read_private: Option<String>,
}

/// The typing state, with its duration in milliseconds.
#[derive(ToSchema)]
pub(crate) struct Typing {
    typing: bool,
    timeout: Option<i64>,
}

/// The reason of a report.
#[derive(ToSchema)]
pub(crate) struct EventReport {
    reason: Option<String>,
    score: Option<i64>,
}

/// The reason.
#[derive(ToSchema)]
pub(crate) struct Report {
    reason: String,
}

/// The id of an event.
#[derive(ToSchema)]
pub(crate) struct EventId {
    event_id: String,
}

/// Tags by name.
#[derive(ToSchema)]
pub(crate) struct Tags {
    tags: BTreeMap<String, AnyObject>,
}

/// The position of a room among those with the tag.
#[derive(ToSchema)]
pub(crate) struct Tag {
    order: Option<f64>,
}

/// The new room version.
#[derive(ToSchema)]
pub(crate) struct Upgrade {
    new_version: String,
    additional_creators: Option<Vec<String>>,
}

/// The room that replaces another.
#[derive(ToSchema)]
pub(crate) struct Replacement {
    replacement_room: String,
}

/// The maximum upload size, in bytes.
#[derive(ToSchema)]
pub(crate) struct UploadLimit {
    #[schema(rename = "m.upload.size")]
    size: i64,
}

/// The URI of a file.
#[derive(ToSchema)]
pub(crate) struct ContentUri {
    content_uri: String,
}

/// The URI of a file that will be uploaded later.
#[derive(ToSchema)]
pub(crate) struct ReservedUri {
    content_uri: String,
    unused_expires_at: i64,
}

/// An action of a push rule: `notify`, or a tweak.
#[derive(ToSchema)]
pub(crate) struct Actions(Vec<Action>);

/// `notify` or `{"set_tweak", "value"}`.
#[derive(ToSchema)]
#[schema(value_type = Value)]
pub(crate) struct Action(());

/// State events.
#[derive(ToSchema)]
pub(crate) struct State(Vec<ClientEvent>);

/// A list.
#[derive(ToSchema)]
pub(crate) struct List(Vec<AnyObject>);

/// Rooms that two users have joined.
#[derive(ToSchema)]
pub(crate) struct MutualRooms {
    joined: Vec<String>,
    count: i64,
    next_batch: Option<String>,
}

/// A token that proves a user id to another service.
#[derive(ToSchema)]
pub(crate) struct OpenIdToken {
    access_token: String,
    token_type: String,
    matrix_server_name: String,
    /// In seconds.
    expires_in: i64,
}

/// The user id that a token proves.
#[derive(ToSchema)]
pub(crate) struct OpenIdUser {
    sub: String,
}

/// TURN servers for calls; an empty object if there are none.
#[derive(ToSchema)]
pub(crate) struct TurnServer {
    username: Option<String>,
    password: Option<String>,
    uris: Option<Vec<String>>,
    /// In seconds.
    ttl: Option<i64>,
}

/// The rooms, account data and presence of an account.
#[derive(ToSchema)]
pub(crate) struct InitialSync {
    end: String,
    rooms: Vec<AnyObject>,
    presence: Vec<AnyObject>,
    account_data: Vec<AnyObject>,
    receipts: Vec<AnyObject>,
}

/// The state of a room and its latest messages.
#[derive(ToSchema)]
pub(crate) struct RoomInitialSync {
    room_id: String,
    state: Vec<ClientEvent>,
    messages: RoomChunk,
    account_data: Vec<AnyObject>,
    visibility: String,
    membership: Option<String>,
}

/// A part of the history of a room.
#[derive(ToSchema)]
pub(crate) struct RoomChunk {
    chunk: Vec<ClientEvent>,
    start: String,
    end: String,
}

/// New events of rooms.
#[derive(ToSchema)]
pub(crate) struct EventChunk {
    chunk: Vec<ClientEvent>,
    start: String,
    end: String,
}

/// The contacts of the server.
#[derive(ToSchema)]
pub(crate) struct Support {
    contacts: Option<Vec<SupportContact>>,
    support_page: Option<String>,
}

/// A contact.
#[derive(ToSchema)]
pub(crate) struct SupportContact {
    role: String,
    matrix_id: Option<String>,
    email_address: Option<String>,
}

/// The rules for passwords.
#[derive(ToSchema)]
pub(crate) struct PasswordPolicy {
    #[schema(rename = "m.minimum_length")]
    minimum_length: i64,
    #[schema(rename = "m.require_digit")]
    require_digit: bool,
    #[schema(rename = "m.require_symbol")]
    require_symbol: bool,
    #[schema(rename = "m.require_lowercase")]
    require_lowercase: bool,
    #[schema(rename = "m.require_uppercase")]
    require_uppercase: bool,
}
