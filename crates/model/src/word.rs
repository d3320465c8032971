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
        /// Done.
        Complete = "complete",
        /// Given up.
        Failed = "failed",
        /// Called off.
        Cancelled = "cancelled",
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
    /// Whether nothing will be done any more.
    pub const fn is_over(self) -> bool {
        match self {
            Self::Complete | Self::Failed | Self::Cancelled => true,
            Self::Scheduled | Self::Active => false,
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
