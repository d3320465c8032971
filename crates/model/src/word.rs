//! Closed sets of words that events, rows and answers hold.

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

    /// What became of one account in a batch.
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

    /// The kind of a delivery to a destination outside the server.
    DeliveryKind {
        /// Notifications of a pusher.
        Push = "push",
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
        /// Deactivates and erases accounts.
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
        /// Deletes reports.
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
