//! Roles: named sets of scopes that accounts hold.

use crate::scopes::Scopes;
use crate::word::{BuiltInRole, Scope};

/// The largest number of roles beside the built-in ones.
pub const MAX_OWN_ROLES: i64 = 100;

impl BuiltInRole {
    /// Returns the scopes of the role.
    pub const fn scopes(self) -> Scopes {
        match self {
            Self::Owner => Scopes::ALL,
            Self::Administrator => {
                Scopes::ALL.without(Scope::SessionsImpersonate).without(Scope::ServerWrite)
            }
            Self::Moderator => Scopes::of(&[
                Scope::UsersRead,
                Scope::UsersModerate,
                Scope::RoomsRead,
                Scope::RoomsWrite,
                Scope::MessagesRead,
                Scope::MediaRead,
                Scope::MediaWrite,
                Scope::ReportsRead,
                Scope::ReportsWrite,
                Scope::NoticesWrite,
            ]),
            Self::Support => {
                Scopes::of(&[Scope::UsersRead, Scope::UsersWrite, Scope::ReportsRead, Scope::NoticesWrite])
            }
            Self::Auditor => {
                Scopes::of(&[Scope::AuditRead, Scope::UsersRead, Scope::ServicesRead, Scope::ServerRead])
            }
        }
    }

    /// Returns the purpose of the role, for people.
    pub const fn description(self) -> &'static str {
        match self {
            Self::Owner => "Everything: the administrator flag of the account",
            Self::Administrator => "Everything but acting as other accounts and changing the server",
            Self::Moderator => "Reports, restrictions, rooms and media",
            Self::Support => "Accounts: passwords, addresses, devices, validity",
            Self::Auditor => "Who did what, and who may",
        }
    }
}

/// A role.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Role {
    /// The name, which never changes.
    pub name: String,
    /// Its purpose, for people.
    pub description: String,
    /// The scopes that its holders have.
    pub scopes: Scopes,
}

impl From<BuiltInRole> for Role {
    fn from(role: BuiltInRole) -> Self {
        Self {
            name: role.as_str().to_owned(),
            description: role.description().to_owned(),
            scopes: role.scopes(),
        }
    }
}
