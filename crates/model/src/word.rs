//! Closed sets of words that events, rows and responses hold.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A text is none of the words of a set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnknownWord;

impl fmt::Display for UnknownWord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an unknown word")
    }
}

impl std::error::Error for UnknownWord {}

macro_rules! words {
    ($($(#[$meta:meta])* $name:ident { $($(#[$about:meta])* $variant:ident = $word:literal),* $(,)? })*) => { $(
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
        pub enum $name {
            $($(#[$about])* #[serde(rename = $word)] $variant),*
        }

        impl $name {
            /// All words with their values.
            pub const WORDS: &'static [(&'static str, Self)] = &[$(($word, Self::$variant)),*];

            /// The word.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $word),*
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl FromStr for $name {
            type Err = UnknownWord;

            fn from_str(text: &str) -> Result<Self, UnknownWord> {
                Ok(match text {
                    $($word => Self::$variant,)*
                    _ => return Err(UnknownWord),
                })
            }
        }
    )* };
}

words! {
    /// The membership of a user in a room.
    /// <https://spec.matrix.org/v1.18/client-server-api/#room-membership>
    Membership {
        /// Invited.
        Invite = "invite",
        /// Joined.
        Join = "join",
        /// Asked to be invited.
        Knock = "knock",
        /// Left, kicked, an invite declined or a knock withdrawn; also of users that were never in touch with the room.
        Leave = "leave",
        /// Banned.
        Ban = "ban",
    }

    /// The state of a job.
    JobState {
        /// Waits.
        Scheduled = "scheduled",
        /// Is being worked on.
        Active = "active",
        /// Rests until somebody lets it continue.
        Paused = "paused",
        /// Done.
        Complete = "complete",
        /// Given up.
        Failed = "failed",
        /// Called off.
        Cancelled = "cancelled",
    }

    /// The outcome of one account in a batch.
    BatchOutcome {
        /// The act was done.
        Done = "done",
        /// The account was already as the act would make it.
        Unchanged = "unchanged",
        /// The requester may not do this to the account.
        Refused = "refused",
        /// The act was not possible.
        Failed = "failed",
        /// The account is protected, and the order does not name it.
        Skipped = "skipped",
    }

    /// The state of an archive of everything about an account.
    ExportState {
        /// Waits for a worker.
        Waiting = "waiting",
        /// Is being written.
        Running = "running",
        /// Can be downloaded.
        Ready = "ready",
        /// Given up.
        Failed = "failed",
        /// Given up, since the archive would be larger than the operator allows.
        TooLarge = "too_large",
        /// Deleted before its time.
        Deleted = "deleted",
    }

    /// The kind of a delivery to a destination outside the server.
    DeliveryKind {
        /// Notifications of a pusher.
        Push = "push",
        /// Happenings, for a webhook.
        Webhook = "webhook",
        /// A mail to a person.
        Mail = "mail",
    }

    /// The purpose for which somebody proves that an e-mail address is theirs.
    EmailPurpose {
        /// To add it to an account.
        Add = "add",
        /// To register an account with it.
        Register = "register",
        /// To choose a new password for the account that has it.
        Reset = "reset",
    }

    /// A language of pages and mails, as its tag (RFC 5646).
    Language {
        /// English, also for people who understand none of the others.
        English = "en",
        /// German.
        German = "de",
    }

    /// The usage of a cross-signing key.
    KeyUsage {
        /// Signs the other two.
        Master = "master",
        /// Signs the account's devices.
        SelfSigning = "self_signing",
        /// Signs the master keys of others.
        UserSigning = "user_signing",
    }

    /// A role that every server has.
    BuiltInRole {
        /// Holds every scope: an account with the administrator flag.
        Owner = "owner",
        /// Runs the server from day to day.
        Administrator = "administrator",
        /// Acts on reports.
        Moderator = "moderator",
        /// Helps people with their accounts.
        Support = "support",
        /// Reads what was done.
        Auditor = "auditor",
    }

    /// A right of administration, which a route asks for and a caller holds. Decision 7 says why there are these.
    Scope {
        /// Reads accounts and what belongs to them: devices, connections, memberships, pushers, account data.
        UsersRead = "users:read",
        /// Creates and changes accounts, their passwords, addresses, devices and validity.
        UsersWrite = "users:write",
        /// Restricts accounts: lock, suspension, shadow-ban, rate limits, redaction of what they said.
        UsersModerate = "users:moderate",
        /// Deactivates and erases accounts, and restores them.
        UsersDeactivate = "users:deactivate",
        /// Gives roles to accounts, also that of an owner, or takes them away; makes roles.
        AdminsWrite = "admins:write",
        /// Acts as other accounts.
        SessionsImpersonate = "sessions:impersonate",
        /// Reads registration tokens.
        RegistrationRead = "registration:read",
        /// Creates, changes and deletes registration tokens.
        RegistrationWrite = "registration:write",
        /// Reads rooms: their details, members and state.
        RoomsRead = "rooms:read",
        /// Changes rooms: blocks, deletes and purges them, brings people in, gives power.
        RoomsWrite = "rooms:write",
        /// Reads what people wrote in rooms.
        MessagesRead = "messages:read",
        /// Sends server notices.
        NoticesWrite = "notices:write",
        /// Reads the details of uploads.
        MediaRead = "media:read",
        /// Quarantines, protects and deletes uploads.
        MediaWrite = "media:write",
        /// Reads reports.
        ReportsRead = "reports:read",
        /// Deals with reports: assigns, resolves and deletes them, and writes notes. Acts on what was reported need their own
        /// scopes, too.
        ReportsWrite = "reports:write",
        /// Reads the state of the server: jobs, federation, sizes.
        ServerRead = "server:read",
        /// Changes the state of the server.
        ServerWrite = "server:write",
        /// Reads the audit log.
        AuditRead = "audit:read",
        /// Reads service tokens, without their secrets.
        ServicesRead = "services:read",
        /// Creates, changes, rotates and deletes service tokens with scopes that the caller holds.
        ServicesWrite = "services:write",
        /// Reads webhooks, without their secrets.
        WebhooksRead = "webhooks:read",
        /// Creates, changes, rotates, replays and deletes webhooks for what the caller may read.
        WebhooksWrite = "webhooks:write",
    }

    /// The kind of a happening, which webhooks choose by its word.
    HappeningKind {
        /// An account was created, by an administrator or by its owner.
        AccountCreated = "account.created",
        /// The profile or another property of an account changed.
        AccountChanged = "account.changed",
        /// An account was locked.
        AccountLocked = "account.locked",
        /// An account was unlocked.
        AccountUnlocked = "account.unlocked",
        /// An account was suspended.
        AccountSuspended = "account.suspended",
        /// The suspension of an account ended.
        AccountUnsuspended = "account.unsuspended",
        /// An account was shadow-banned.
        AccountShadowBanned = "account.shadow_banned",
        /// The shadow-ban of an account ended.
        AccountShadowUnbanned = "account.shadow_unbanned",
        /// An account was deactivated, by an administrator or by its owner.
        AccountDeactivated = "account.deactivated",
        /// A deactivated account was reactivated.
        AccountReactivated = "account.reactivated",
        /// An administrator brought back what was kept of a deactivated account.
        AccountRestored = "account.restored",
        /// The password of an account was set or removed.
        AccountPasswordChanged = "account.password_changed",
        /// An account became an administrator.
        AccountAdminGranted = "account.admin_granted",
        /// An account is no administrator any more.
        AccountAdminRevoked = "account.admin_revoked",
        /// An administrator got a token to act as an account.
        AccountImpersonated = "account.impersonated",
        /// Somebody logged in on a new device.
        AccountLoggedIn = "account.logged_in",
        /// An event was reported.
        EventReported = "event.reported",
        /// A user was reported.
        UserReported = "user.reported",
        /// A room was reported.
        RoomReported = "room.reported",
        /// An upload was quarantined.
        MediaQuarantined = "media.quarantined",
        /// The quarantine of an upload ended.
        MediaUnquarantined = "media.unquarantined",
        /// An administrator deleted an upload.
        MediaDeleted = "media.deleted",
        /// A room was created.
        RoomCreated = "room.created",
        /// An administrator ordered that a room is deleted.
        RoomDeleted = "room.deleted",
        /// A room was blocked.
        RoomBlocked = "room.blocked",
        /// A room is not blocked any more.
        RoomUnblocked = "room.unblocked",
        /// A job is complete, or was given up.
        JobEnded = "job.ended",
        /// A service token was created.
        ServiceTokenCreated = "service_token.created",
        /// The terms of a service token changed.
        ServiceTokenChanged = "service_token.changed",
        /// A service token got a new secret.
        ServiceTokenRotated = "service_token.rotated",
        /// A service token was deleted.
        ServiceTokenDeleted = "service_token.deleted",
        /// Any other act in the audit log.
        AdministrationOther = "administration.other",
    }

    /// The kind of the reported thing.
    ReportKind {
        /// An event.
        Event = "event",
        /// A room.
        Room = "room",
        /// A user.
        User = "user",
    }

    /// The state of a report, which follows from its assignee and its resolution.
    ReportState {
        /// Nobody deals with it.
        Open = "open",
        /// Somebody deals with it.
        Assigned = "assigned",
        /// It was dealt with.
        Resolved = "resolved",
    }

    /// The result of dealing with a report.
    Resolution {
        /// Something was done about it.
        Acted = "acted",
        /// Nothing had to be done.
        Dismissed = "dismissed",
        /// Another report says the same.
        Duplicate = "duplicate",
    }

    /// An act on what was reported.
    ReportAct {
        /// Redacts the event.
        Redact = "redact",
        /// Bans the sender of the event from the room.
        Ban = "ban",
        /// Suspends the account of the user, or of the sender of the event.
        Suspend = "suspend",
        /// Quarantines the media of the event.
        Quarantine = "quarantine",
    }

    /// A rule by which old data is deleted.
    RetentionRule {
        /// Devices that were not seen.
        Devices = "devices",
        /// Uploads that were not used.
        Media = "media",
        /// Pictures of previews of web pages that were not used.
        PreviewMedia = "preview_media",
        /// Messages that are older than the lifetime in their room.
        Messages = "messages",
        /// Guests that were not seen.
        Guests = "guests",
        /// Accounts that were never used.
        UnusedAccounts = "unused_accounts",
        /// Entries of the audit log.
        Audit = "audit",
        /// Addresses of clients.
        IpAddresses = "ip_addresses",
    }

    /// The part of a redirect URI that holds the response to an authorisation request (OAuth 2.0 Multiple Response Type Encoding
    /// Practices, 2.1).
    ResponseMode {
        /// The query string.
        Query = "query",
        /// The fragment.
        Fragment = "fragment",
    }

    /// The answer of a person to a request of a client.
    Consent {
        /// There is none yet.
        Waiting = "waiting",
        /// The client may act for the account.
        Given = "given",
        /// The client may not.
        Refused = "refused",
    }

    /// The kind of an [`Actor`](crate::Actor), as the audit log stores it.
    ActorKind {
        /// An account.
        User = "user",
        /// A program with a credential that belongs to no account.
        Service = "service",
        /// An application service.
        Appservice = "appservice",
        /// This server by itself.
        Server = "server",
        /// The command line of this server.
        Cli = "cli",
        /// A job.
        Job = "job",
    }
}

impl JobState {
    /// Returns true if nothing will be done any more.
    pub const fn is_over(self) -> bool {
        match self {
            Self::Complete | Self::Failed | Self::Cancelled => true,
            Self::Scheduled | Self::Active | Self::Paused => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{JobState, Membership, UnknownWord};

    #[test]
    fn words_and_back() {
        for membership in
            [Membership::Invite, Membership::Join, Membership::Knock, Membership::Leave, Membership::Ban]
        {
            assert_eq!(membership.as_str().parse(), Ok(membership));
        }
        assert_eq!("active".parse(), Ok(JobState::Active));
        assert_eq!("Join".parse::<Membership>(), Err(UnknownWord));
        assert_eq!("".parse::<JobState>(), Err(UnknownWord));
    }
}
