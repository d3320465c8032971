//! The operator's settings for provisioning with SCIM.

/// The settings for provisioning with SCIM.
#[derive(Clone, Debug)]
pub struct ScimSettings {
    /// The id of the identity provider under which `externalId` is kept among the external ids of an account.
    pub external_id_provider: String,
    /// The domain of user names that are e-mail addresses, which user ids do without; `None` for none.
    pub user_name_domain: Option<String>,
    /// The state of an account that becomes inactive.
    pub inactive: Inactive,
    /// The localpart of the account that manages the rooms of groups; `None` if no group is a room.
    pub groups_localpart: Option<String>,
    /// The kind of room of a new group.
    pub new_groups: NewGroups,
    /// True if a user who is created with the name of an erased account gets that account.
    pub reuse_erased: bool,
}

impl Default for ScimSettings {
    fn default() -> Self {
        Self {
            external_id_provider: "scim".to_owned(),
            user_name_domain: None,
            inactive: Inactive::Lock,
            groups_localpart: None,
            new_groups: NewGroups::Space,
            reuse_erased: false,
        }
    }
}

/// The state of an account that becomes inactive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Inactive {
    /// It is locked, and has all that it had when it is active again.
    Lock,
    /// It is deactivated.
    Deactivate,
}

/// The kind of room of a new group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NewGroups {
    /// A space.
    Space,
    /// A room.
    Room,
}
