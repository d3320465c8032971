//! Types of events and relations with a meaning for the server.

/// The aliases of a room.
pub const CANONICAL_ALIAS: &str = "m.room.canonical_alias";
/// The first event of a room.
pub const CREATE: &str = "m.room.create";
/// An encrypted message.
pub const ENCRYPTED: &str = "m.room.encrypted";
/// The encryption of messages.
pub const ENCRYPTION: &str = "m.room.encryption";
/// The access of guests.
pub const GUEST_ACCESS: &str = "m.room.guest_access";
/// The history visibility.
pub const HISTORY_VISIBILITY: &str = "m.room.history_visibility";
/// The join rule.
pub const JOIN_RULES: &str = "m.room.join_rules";
/// A membership.
pub const MEMBER: &str = "m.room.member";
/// A message.
pub const MESSAGE: &str = "m.room.message";
/// The name of a room.
pub const NAME: &str = "m.room.name";
/// The power levels.
pub const POWER_LEVELS: &str = "m.room.power_levels";
/// The lifetime of messages.
pub const RETENTION: &str = "m.room.retention";
/// A redaction.
pub const REDACTION: &str = "m.room.redaction";
/// The avatar of a room.
pub const AVATAR: &str = "m.room.avatar";
/// Servers that are excluded.
pub const SERVER_ACL: &str = "m.room.server_acl";
/// A room that belongs to a space.
pub const SPACE_CHILD: &str = "m.space.child";
/// The replacement of a room by another one.
pub const TOMBSTONE: &str = "m.room.tombstone";
/// The topic of a room.
pub const TOPIC: &str = "m.room.topic";

/// Relation: a reaction.
pub const ANNOTATION: &str = "m.annotation";
/// Relation: a reference to another event.
pub const REFERENCE: &str = "m.reference";
/// Relation: an edit.
pub const REPLACE: &str = "m.replace";
/// Relation: a reply in a thread.
pub const THREAD: &str = "m.thread";
