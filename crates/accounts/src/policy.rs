//! The settings for deeds on accounts.

use std::time::Duration;

use reeve_model::{Language, User};

/// The operator's decisions about accounts. They are fixed while the server runs.
#[derive(Clone, Debug)]
pub struct Policy {
    /// True if users can register without an administrator.
    pub registration_enabled: bool,
    /// True if registering needs a registration token.
    pub registration_requires_token: bool,
    /// True if registering needs an e-mail address that the person has confirmed.
    pub registration_requires_email: bool,
    /// True if guests are allowed.
    pub guests: bool,
    /// The secret with which scripts register accounts; `None` forbids it.
    pub registration_shared_secret: Option<String>,
    /// True if users can log in with a password, and change it.
    pub password_enabled: bool,
    /// The rules for passwords that users choose.
    pub password_rules: PasswordRules,
    /// The lifetime of an access token, in milliseconds; `None` if it ends only by revocation.
    pub token_lifetime_ms: Option<i64>,
    /// The lifetime of an access token that can be refreshed, in milliseconds.
    pub refreshable_token_lifetime_ms: i64,
    /// The lifetime of an access token of a client of OAuth 2.0, in milliseconds.
    pub oauth_token_lifetime_ms: i64,
    /// The lifetime of a refresh token, in milliseconds; `None` if it ends only by revocation.
    pub refresh_token_lifetime_ms: Option<i64>,
    /// The time after which a browser session that is not used ends, in milliseconds.
    pub browser_session_idle_ms: i64,
    /// The longest time for which a browser session lives, in milliseconds.
    pub browser_session_longest_ms: i64,
    /// True if a session can request a login token for another device.
    pub login_via_existing_session: bool,
    /// User types besides `bot` and `support`.
    pub extra_user_types: Vec<String>,
    /// The type of accounts that are created without one.
    pub default_user_type: Option<String>,
    /// The time for which a new account is valid, in milliseconds; `None` if accounts do not expire.
    pub account_validity_period_ms: Option<i64>,
    /// The time before an account expires at which its owner gets a mail with a link that renews it, in milliseconds; `None` if
    /// only administrators renew accounts.
    pub account_validity_remind_ms: Option<i64>,
    /// The time for which what a deactivated account loses is kept, in milliseconds; 0 if nothing is kept.
    pub keep_deactivated_ms: i64,
    /// The localpart of the account that sends server notices, which no other account can have.
    pub notices_localpart: Option<String>,
    /// The localpart of the account that manages the rooms of groups, which no other account can have.
    pub groups_localpart: Option<String>,
    /// E-mail.
    pub mail: MailPolicy,
    /// The limits of what one account may store.
    pub limits: Limits,
}

/// The operator's decisions about e-mail.
#[derive(Clone, Debug)]
pub struct MailPolicy {
    /// True if the server sends e-mail.
    pub enabled: bool,
    /// The language of mails to people whose language is not known.
    pub language: Language,
    /// The lifetime of a link in a mail, in milliseconds.
    pub link_ms: i64,
    /// The time for which a confirmed address can be used by the client that asked for it, in milliseconds.
    pub confirmed_ms: i64,
    /// True if only the mail to an address says whether an account has it. Otherwise clients are told, too.
    pub hides_addresses: bool,
    /// True if people can add e-mail addresses to their accounts, and remove them.
    pub own_addresses: bool,
    /// The hosts to which a browser may continue after an address is confirmed, in lower case.
    pub next_link_hosts: Vec<String>,
    /// The notices of what happens to an account.
    pub notices: Notices,
}

impl Default for MailPolicy {
    fn default() -> Self {
        Self {
            enabled: false,
            language: Language::English,
            link_ms: 3_600_000,
            confirmed_ms: 48 * 3_600_000,
            hides_addresses: true,
            own_addresses: true,
            next_link_hosts: Vec::new(),
            notices: Notices::default(),
        }
    }
}

/// The mails that tell people what happens to their accounts.
#[derive(Clone, Copy, Debug)]
pub struct Notices {
    /// True to tell of new devices and browsers.
    pub sign_in: bool,
    /// True to tell that the password was changed.
    pub password: bool,
    /// True to tell that addresses were added or removed.
    pub addresses: bool,
}

impl Default for Notices {
    fn default() -> Self {
        Self { sign_in: true, password: true, addresses: true }
    }
}

/// The limits of what one account may store.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Pieces of account data.
    pub account_data: i64,
    /// Bytes of account data.
    pub account_data_bytes: i64,
    /// Devices.
    pub devices: i64,
    /// One-time keys of a device for an algorithm.
    pub one_time_keys: i64,
    /// Backups of room keys.
    pub key_backups: i64,
    /// Room keys in its backups.
    pub backed_up_keys: i64,
    /// Bytes of the room keys in its backups, encrypted.
    pub key_backup_bytes: i64,
    /// Pushers.
    pub pushers: i64,
    /// Push rules, default ones included.
    pub push_rules: i64,
    /// Filters.
    pub filters: i64,
    /// E-mail addresses that people add.
    pub email_addresses: i64,
    /// Aliases that it created.
    pub aliases_per_account: i64,
    /// Aliases of a room.
    pub aliases_per_room: i64,
    /// Reports of each kind that administrators have not deleted.
    pub reports: i64,
    /// Messages that wait for a device.
    pub waiting_messages: i64,
    /// Bytes of the messages that wait for a device.
    pub waiting_message_bytes: i64,
    /// Bytes of the messages that wait for all devices together.
    pub waiting_message_bytes_per_account: i64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            account_data: 20_000,
            account_data_bytes: 10 * 1024 * 1024,
            devices: 1000,
            one_time_keys: 1000,
            key_backups: 100,
            backed_up_keys: 500_000,
            key_backup_bytes: 128 * 1024 * 1024,
            pushers: 100,
            push_rules: 1000,
            filters: 500,
            email_addresses: 20,
            aliases_per_account: 1000,
            aliases_per_room: 100,
            reports: 1000,
            waiting_messages: 20_000,
            waiting_message_bytes: 32 * 1024 * 1024,
            waiting_message_bytes_per_account: 128 * 1024 * 1024,
        }
    }
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            registration_enabled: false,
            registration_requires_token: false,
            registration_requires_email: false,
            guests: false,
            registration_shared_secret: None,
            password_enabled: true,
            password_rules: PasswordRules::default(),
            token_lifetime_ms: None,
            refreshable_token_lifetime_ms: 300_000,
            oauth_token_lifetime_ms: 300_000,
            refresh_token_lifetime_ms: None,
            browser_session_idle_ms: 30 * 86_400_000,
            browser_session_longest_ms: 90 * 86_400_000,
            login_via_existing_session: false,
            extra_user_types: Vec::new(),
            default_user_type: None,
            account_validity_period_ms: None,
            account_validity_remind_ms: None,
            keep_deactivated_ms: 30 * 86_400_000,
            notices_localpart: None,
            groups_localpart: None,
            mail: MailPolicy::default(),
            limits: Limits::default(),
        }
    }
}

impl Policy {
    /// Returns true for the accounts of the server itself, which send notices and manage groups: nobody logs in as them, and
    /// they are not deactivated.
    pub fn is_of_server(&self, user: &User) -> bool {
        let own = [&self.notices_localpart, &self.groups_localpart];
        own.into_iter().flatten().any(|localpart| localpart == user.localpart())
    }

    /// Returns true if the person of an account must change the password before doing anything else that writes. A requirement
    /// rests while passwords cannot be changed: the person would be shut out.
    pub fn must_change_password(&self, user: &User) -> bool {
        self.password_enabled && user.password_change_required
    }

    /// Returns true if accounts can have this type.
    pub fn knows_user_type(&self, user_type: &str) -> bool {
        matches!(user_type, "bot" | "support") || self.extra_user_types.iter().any(|extra| extra == user_type)
    }
}

/// The rules for passwords.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PasswordRules {
    /// The minimum number of characters.
    pub min_length: u32,
    /// True if it needs a digit.
    pub require_digit: bool,
    /// True if it needs a character that is neither a letter nor a digit.
    pub require_symbol: bool,
    /// True if it needs a lowercase letter.
    pub require_lowercase: bool,
    /// True if it needs an uppercase letter.
    pub require_uppercase: bool,
}

impl Default for PasswordRules {
    fn default() -> Self {
        Self {
            min_length: 8,
            require_digit: false,
            require_symbol: false,
            require_lowercase: false,
            require_uppercase: false,
        }
    }
}

impl PasswordRules {
    /// Checks a password that a user chooses. The user id may not be known yet.
    ///
    /// # Errors
    /// [`WeakPassword`]: the first rule that it breaks.
    pub fn check(&self, password: &str, user_id: Option<&str>) -> Result<(), WeakPassword> {
        let length = password.chars().count();
        if length < usize::try_from(self.min_length).unwrap_or(usize::MAX) {
            return Err(WeakPassword::TooShort(self.min_length));
        }
        let lacks = |wanted: bool, class: fn(char) -> bool| wanted && !password.chars().any(class);
        if lacks(self.require_digit, char::is_numeric) {
            return Err(WeakPassword::NoDigit);
        }
        if lacks(self.require_symbol, |c| !c.is_alphanumeric()) {
            return Err(WeakPassword::NoSymbol);
        }
        if lacks(self.require_uppercase, char::is_uppercase) {
            return Err(WeakPassword::NoUppercase);
        }
        if lacks(self.require_lowercase, char::is_lowercase) {
            return Err(WeakPassword::NoLowercase);
        }
        if user_id.is_some_and(|user_id| is_name(password, user_id)) {
            return Err(WeakPassword::Name);
        }
        Ok(())
    }
}

/// Returns true if a password is a user id, or the localpart of one.
fn is_name(password: &str, user_id: &str) -> bool {
    let (password, user_id) = (password.to_lowercase(), user_id.to_lowercase());
    let password = password.strip_prefix('@').unwrap_or(&password);
    let user_id = user_id.strip_prefix('@').unwrap_or(&user_id);
    password == user_id || user_id.split_once(':').is_some_and(|(localpart, _)| password == localpart)
}

/// The reason why a password is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WeakPassword {
    /// It has fewer characters than this.
    #[error("The password is too short: it needs {0} characters")]
    TooShort(u32),
    /// It has no digit.
    #[error("The password needs a digit")]
    NoDigit,
    /// It has no character that is neither a letter nor a digit.
    #[error("The password needs a character that is neither a letter nor a digit")]
    NoSymbol,
    /// It has no uppercase letter.
    #[error("The password needs an uppercase letter")]
    NoUppercase,
    /// It has no lowercase letter.
    #[error("The password needs a lowercase letter")]
    NoLowercase,
    /// It is the name of the account.
    #[error("The password must not be the name of the account")]
    Name,
}

/// The cost of hashing a password.
#[derive(Clone, Debug)]
pub struct HashingCost {
    /// A secret that is mixed into every password.
    pub pepper: String,
    /// Memory of one hash, in KiB.
    pub memory_kib: u32,
    /// Passes over that memory.
    pub iterations: u32,
    /// The number of hashing threads.
    pub workers: usize,
    /// The maximum time that a login waits in the queue.
    pub wait: Duration,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords() {
        let all = PasswordRules {
            min_length: 8,
            require_digit: true,
            require_symbol: true,
            require_lowercase: true,
            require_uppercase: true,
        };
        for (password, verdict) in [
            ("Pässw0rd!", Ok(())),
            ("Pas0rd!", Err(WeakPassword::TooShort(8))),
            // Characters are counted, not bytes.
            ("ÄÖÜäöü1", Err(WeakPassword::TooShort(8))),
            ("Password!", Err(WeakPassword::NoDigit)),
            ("Passw0rds", Err(WeakPassword::NoSymbol)),
            ("passw0rd!", Err(WeakPassword::NoUppercase)),
            ("PASSW0RD!", Err(WeakPassword::NoLowercase)),
            ("Alice-0000", Err(WeakPassword::Name)),
        ] {
            assert_eq!(all.check(password, Some("@alice-0000:test")), verdict, "{password}");
        }
        assert_eq!(all.check("Alice-0000", None), Ok(()));
        let short = PasswordRules { min_length: 0, ..PasswordRules::default() };
        for name in ["alice", "ALICE", "@alice", "@alice:example.org", "alice:example.org"] {
            assert_eq!(short.check(name, Some("@alice:example.org")), Err(WeakPassword::Name), "{name}");
        }
        for other in ["alice's", "alice:secret"] {
            assert_eq!(short.check(other, Some("@alice:example.org")), Ok(()), "{other}");
        }
    }
}
