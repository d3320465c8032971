//! Selections of accounts: what administrators ask for in a list, and act on.

use reeve_model::{Millis, Network};
use serde::{Deserialize, Serialize};

use crate::lists::users::Term;

/// The maximum length of a text in a selection, in bytes.
const MAX_TEXT: usize = 1000;

/// The accounts to which all of these conditions apply; without any, all accounts that are not locked. The names of the fields
/// are those in requests. Times are in milliseconds; a span begins at `…_after`, which belongs to it, and ends before
/// `…_before`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Selection {
    /// A substring of localpart or display name, in any case.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// A substring of the user id, in any case; without effect beside `name`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_id: Option<String>,
    /// False to leave out guests; true has no effect.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub guests: Option<bool>,
    /// Guests or not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub is_guest: Option<bool>,
    /// Deactivated or not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deactivated: Option<bool>,
    /// True to include locked accounts, which are left out otherwise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub locked: Option<bool>,
    /// Locked or not. Where it is true, locked accounts are included without `locked`, too.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub is_locked: Option<bool>,
    /// Administrators or not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub admins: Option<bool>,
    /// User types to leave out; a blank one means accounts without a type.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub not_user_type: Vec<String>,
    /// The user type; blank for accounts without one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_type: Option<String>,
    /// The id of the application service that registered it; blank for accounts that none has registered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub appservice: Option<String>,
    /// The role; blank for accounts without one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    /// Suspended or not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub suspended: Option<bool>,
    /// Shadow-banned or not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shadow_banned: Option<bool>,
    /// Erased or not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub erased: Option<bool>,
    /// Required to change the password or not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password_change_required: Option<bool>,
    /// Created at this time or later.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created_after: Option<Millis>,
    /// Created before this time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created_before: Option<Millis>,
    /// Last seen at this time or later.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_seen_after: Option<Millis>,
    /// Last seen before this time. Accounts that were never seen do not count.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_seen_before: Option<Millis>,
    /// Never seen, or seen at some time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub never_seen: Option<bool>,
    /// A substring of an e-mail address, in any case.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// A substring of a telephone number; of this text only the digits count.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phone: Option<String>,
    /// The id of an identity provider at which it has an id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub external_provider: Option<String>,
    /// The network of an address from which it was seen, as long as addresses are kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ip: Option<Network>,
    /// With or without devices.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub has_devices: Option<bool>,
    /// The size of its uploads, in bytes, is greater than this.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub media_size_over: Option<i64>,
}

impl Selection {
    /// Checks that the selection can have accounts. The error is a sentence about its fields.
    pub fn check(&self) -> Result<(), String> {
        let spans = [
            ("created", self.created_after, self.created_before),
            ("last_seen", self.last_seen_after, self.last_seen_before),
        ];
        for (name, after, before) in spans {
            if after.zip(before).is_some_and(|(after, before)| after >= before) {
                return Err(format!("'{name}_after' must be less than '{name}_before'"));
            }
            if [after, before].into_iter().flatten().any(|time| time < Millis::ZERO) {
                return Err(format!("'{name}_after' and '{name}_before' must not be negative"));
            }
        }
        if self.never_seen.is_some() && (self.last_seen_after.is_some() || self.last_seen_before.is_some()) {
            return Err(
                "'never_seen' cannot be combined with 'last_seen_after' or 'last_seen_before'".to_owned()
            );
        }
        for (only, is_only, all, includes) in [
            ("is_guest", self.is_guest, "guests", self.guests),
            ("is_locked", self.is_locked, "locked", self.locked),
        ] {
            if is_only == Some(true) && includes == Some(false) {
                return Err(format!("'{only}' cannot be true where '{all}' is false"));
            }
        }
        if self.user_type.as_ref().is_some_and(|user_type| self.not_user_type.contains(user_type)) {
            return Err("'user_type' must not be among 'not_user_type'".to_owned());
        }
        if self.media_size_over.is_some_and(|size| size < 0) {
            return Err("'media_size_over' must not be negative".to_owned());
        }
        if self.phone.is_some() && self.phone_digits().is_none() {
            return Err("'phone' must contain a digit".to_owned());
        }
        let texts = [
            ("name", &self.name, true),
            ("user_id", &self.user_id, true),
            ("user_type", &self.user_type, true),
            ("appservice", &self.appservice, true),
            ("role", &self.role, true),
            ("email", &self.email, false),
            ("phone", &self.phone, false),
            ("external_provider", &self.external_provider, false),
        ];
        for (name, text, may_be_blank) in texts {
            let Some(text) = text else { continue };
            if text.is_empty() && !may_be_blank {
                return Err(format!("'{name}' must not be blank"));
            }
            if text.len() > MAX_TEXT || text.contains('\0') {
                return Err(format!("'{name}' must have at most {MAX_TEXT} bytes, and no NUL"));
            }
        }
        Ok(())
    }

    /// Returns true if addresses decide.
    pub fn needs_addresses(&self) -> bool {
        self.email.is_some() || self.phone.is_some()
    }

    /// Returns the text to look for in names, if there is one.
    pub(crate) fn term(&self) -> Option<Term> {
        let given = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
        given(&self.name).map(Term::Name).or_else(|| given(&self.user_id).map(Term::UserId))
    }

    /// Returns the digits to look for in telephone numbers.
    pub(crate) fn phone_digits(&self) -> Option<String> {
        let digits: String = self.phone.as_ref()?.chars().filter(char::is_ascii_digit).collect();
        Some(digits).filter(|digits| !digits.is_empty())
    }
}
