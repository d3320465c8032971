//! The settings of what is kept, and for how long: outcomes of batches, old data, archives.

use super::describe::sections;

sections! {
    Batches {
        /// The time for which the outcomes of acts on selections of accounts are kept, in milliseconds, counted from the
        /// order. Those that are not over are kept.
        keep_ms: i64 = 7_776_000_000;
    }

    Retention {
        /// The age, since they were last seen, at which devices are deleted with their sessions, in milliseconds. When not
        /// set, they are kept. A device of an administrator is deleted, too; a dehydrated device is kept.
        devices_ms: Option<i64> = None;
        /// The age, since they were last downloaded or else uploaded, at which uploads are deleted, in milliseconds. When
        /// not set, they are kept. Avatars of accounts and rooms, protected and quarantined uploads are kept.
        media_ms: Option<i64> = None;
        /// The same for pictures of previews of web pages. A later preview gets a new picture.
        preview_media_ms: i64 = 604_800_000;
        /// The age, since they were last seen, at which guests are deactivated, in milliseconds. When not set, they are
        /// kept.
        guests_ms: Option<i64> = None;
        /// The age, since they were made, at which accounts are deactivated that were never used, in milliseconds: never
        /// seen, without devices, and in no room. When not set, they are kept. Accounts with a role and those of application
        /// services are kept. An imported account is as old as on the server that it comes from.
        unused_accounts_ms: Option<i64> = None;
        /// The age at which entries of the audit log are deleted, in milliseconds. When not set, they are kept.
        audit_ms: Option<i64> = None;
        /// The age, since they were last seen, at which addresses of clients are deleted, in milliseconds: connections of
        /// accounts, and the last addresses of devices, browser sessions and service tokens. Entries of the audit log keep
        /// theirs.
        ip_addresses_ms: i64 = 2_419_200_000;
        /// Lifetimes of messages.
        messages: RetentionMessages = RetentionMessages::default();
    }

    RetentionMessages {
        /// Delete messages that have lived long enough. Rooms set the lifetime with `m.room.retention` (MSC1763). State,
        /// such as names and members, is kept.
        enabled: bool = false;
        /// The lifetime in rooms that set none, in milliseconds. When not set, their messages are kept.
        default_lifetime_ms: Option<i64> = None;
        /// The shortest lifetime, in milliseconds. A shorter one that a room sets counts as this one.
        min_lifetime_ms: Option<i64> = None;
        /// The longest lifetime, in milliseconds. A longer one that a room sets counts as this one.
        max_lifetime_ms: Option<i64> = None;
    }

    Exports {
        /// Let people order an archive of everything about their own account. Administrators can order archives in any case.
        own: bool = true;
        /// The time between two orders of a person, in milliseconds, whatever becomes of the first. A new archive replaces the
        /// former one. An archive that would be larger than `exports.max_bytes` is not ordered again before the end of
        /// `exports.keep_ms`, unless with fewer parts.
        own_interval_ms: i64 = 86_400_000;
        /// The time for which an archive is kept, in milliseconds. It is deleted afterwards.
        keep_ms: i64 = 604_800_000;
        /// The time for which a link to download an archive can be used, in milliseconds. It ends with the archive in any case.
        link_ms: i64 = 86_400_000;
        /// Maximum size of an archive, in bytes. An export that would be larger fails. Archives are in the media store, and do not
        /// count against `media.max_bytes`.
        max_bytes: i64 = 107_374_182_400;
    }
}
