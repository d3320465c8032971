//! The types of events and relations that the server gives a meaning to.

/// The aliases of a room.
pub const CANONICAL_ALIAS: &str = "m.room.canonical_alias";
/// The first event of a room.
pub const CREATE: &str = "m.room.create";
/// An encrypted message.
pub const ENCRYPTED: &str = "m.room.encrypted";
/// That messages are encrypted, and how.
pub const ENCRYPTION: &str = "m.room.encryption";
/// Whether guests may join.
pub const GUEST_ACCESS: &str = "m.room.guest_access";
/// Who may see the history.
pub const HISTORY_VISIBILITY: &str = "m.room.history_visibility";
/// Who may join.
pub const JOIN_RULES: &str = "m.room.join_rules";
/// A membership.
pub const MEMBER: &str = "m.room.member";
/// A message.
pub const MESSAGE: &str = "m.room.message";
/// The name of a room.
pub const NAME: &str = "m.room.name";
/// Who may do what.
pub const POWER_LEVELS: &str = "m.room.power_levels";
/// A redaction.
pub const REDACTION: &str = "m.room.redaction";
/// The avatar of a room.
pub const AVATAR: &str = "m.room.avatar";
/// Which servers are kept out.
pub const SERVER_ACL: &str = "m.room.server_acl";
/// A room that belongs to a space.
pub const SPACE_CHILD: &str = "m.space.child";
/// That another room takes the place of this one.
pub const TOMBSTONE: &str = "m.room.tombstone";
/// The topic of a room.
pub const TOPIC: &str = "m.room.topic";

/// Relation: a reaction.
pub const ANNOTATION: &str = "m.annotation";
/// Relation: mentions another event.
pub const REFERENCE: &str = "m.reference";
/// Relation: an edit.
pub const REPLACE: &str = "m.replace";
/// Relation: a reply in a thread.
pub const THREAD: &str = "m.thread";
