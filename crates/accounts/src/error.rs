//! The reasons why a deed is refused, in terms of the domain, and the Matrix error of each.

use reeve_db::DbError;
use reeve_model::id::BadName;
use reeve_model::{MatrixError, Scope};

use crate::policy::WeakPassword;

/// The reason why a deed on accounts is refused. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no such account.
    #[error("User not found")]
    UserNotFound,
    /// There is no such device.
    #[error("Not found")]
    DeviceNotFound,
    /// The name cannot be given to an account.
    #[error(transparent)]
    BadName(#[from] BadName),
    /// Another account has the name already, perhaps in another case.
    #[error("User ID already taken.")]
    UserInUse,
    /// The name is that of an account of the server itself, or is to be, which sends notices or manages groups: nobody logs in as it.
    #[error("This user ID is reserved.")]
    NameReserved,
    /// The external id belongs to another account.
    #[error("External id is already in use.")]
    ExternalIdInUse,
    /// The medium of a third-party id is not known.
    #[error("'{0}' is not a valid value for 'medium'")]
    UnknownMedium(String),
    /// The address is not an e-mail address.
    #[error("Unable to parse email address")]
    BadEmail,
    /// Administrators cannot take their own rights away.
    #[error("You may not demote yourself.")]
    SelfDemotion,
    /// The specification exempts the account from being locked or suspended; the text says why.
    #[error("{0}")]
    NotModerated(&'static str),
    /// The act needs a scope that the actor does not hold.
    #[error("This needs the scope {0}")]
    LacksScope(Scope),
    /// The role of the account holds a scope that the actor does not hold.
    #[error("This account holds the scope {0}, which you do not hold")]
    Above(Scope),
    /// Nobody else could administer the server.
    #[error("The last owner of the server cannot be demoted, deactivated, locked or suspended")]
    LastOwner,
    /// There is no such role.
    #[error("Role not found")]
    RoleNotFound,
    /// An account holds the role.
    #[error("Accounts hold this role")]
    RoleHeld,
    /// Built-in roles cannot be changed.
    #[error("This role is built in")]
    BuiltIn,
    /// A value of a role is not valid; the text says which.
    #[error("{0}")]
    BadRole(&'static str),
    /// Nobody gives away a scope that they do not hold.
    #[error("You cannot grant the scope {0}, which you do not hold")]
    CannotGrant(Scope),
    /// No service token gives away more time or other networks than it has.
    #[error("A service token cannot give away more time or other networks than it has")]
    BeyondOwnTerms,
    /// The act is done as an account, and the actor has none.
    #[error("Only an account can log in as another one")]
    NeedsAccount,
    /// There is no such service token.
    #[error("Service token not found")]
    ServiceTokenNotFound,
    /// Another service token has the name.
    #[error("A service token of this name exists")]
    ServiceTokenExists,
    /// A value of a service token is not valid; the text says which.
    #[error("{0}")]
    BadServiceToken(&'static str),
    /// Passwords cannot be changed on this server.
    #[error("Password change disabled")]
    PasswordChangeDisabled,
    /// The account has no password that could be changed.
    #[error("The account has no password to change")]
    NoPassword,
    /// The password must be changed, and the new one is the present one.
    #[error("The new password must differ from the present one")]
    SamePassword,
    /// A value that must be a text is something else.
    #[error("'{0}' must be a string")]
    NotAString(&'static str),
    /// A display name or avatar URL has more characters than allowed.
    #[error("{0}")]
    ProfileTooLong(&'static str),
    /// The profile as a whole has more bytes than allowed.
    #[error("Profile too large")]
    ProfileTooLarge,
    /// No account has the e-mail address, or not the account in question.
    #[error("Email not found")]
    EmailNotFound,
    /// Another account has the address, or the account has it already.
    #[error("This address is already in use")]
    ThreepidInUse,
    /// The person has not confirmed the e-mail address, or the time for it is over.
    #[error("The e-mail address is not confirmed")]
    EmailNotConfirmed,
    /// The link in a mail is unknown, was replaced by a newer one, was used, or has ended.
    #[error("This link is not valid, or not any more")]
    BadMailLink,
    /// The server sends no e-mail.
    #[error("This server sends no e-mail")]
    SendsNoMail,
    /// Administrators alone change the addresses of accounts.
    #[error("Addresses are changed by administrators on this server")]
    OwnAddressesDisabled,
    /// The registration token cannot be used, or not any more.
    #[error("Invalid registration token")]
    BadRegistrationToken,
    /// One registration uses one registration token.
    #[error("Registration token has changed")]
    RegistrationTokenChanged,
    /// A device's display name has more characters than allowed.
    #[error("Device display name is too long (max 100)")]
    DeviceNameTooLong,
    /// The credentials are wrong. The text never says which part.
    #[error("Invalid username or password")]
    BadCredentials,
    /// A refresh token that cannot be used; the text says why, and the flag whether the session may be resumed by
    /// logging in again.
    #[error("{0}")]
    BadRefreshToken(&'static str, bool),
    /// A login token that is unknown, used or expired.
    #[error("Invalid login token")]
    BadLoginToken,
    /// A device id is longer than 512 characters.
    #[error("device_id cannot be longer than 512 characters.")]
    DeviceIdTooLong,
    /// The account is deactivated.
    #[error("This account has been deactivated")]
    Deactivated,
    /// Nothing is kept of the account that could be restored: it was never deactivated, the time is over, or it was erased.
    #[error("Nothing is kept of this account")]
    NothingKept,
    /// The account is being restored.
    #[error("This account is being restored")]
    RestoreUnderWay,
    /// The account is locked.
    #[error("User account has been locked")]
    Locked,
    /// The validity of the account has ended.
    #[error("User account has expired")]
    Expired,
    /// The session is that of an administrator who acts as the account.
    #[error("An administrator who acts as a user cannot prove to be that user")]
    ActsAsAnother,
    /// A precondition failed; the text says which.
    #[error("{0}")]
    Refused(&'static str),
    /// A session without device has no keys.
    #[error("To upload keys, you must pass device_id when authenticating")]
    NoDevice,
    /// The id of a device is a public key of the account.
    #[error("The device ID is in use")]
    DeviceIdInUse,
    /// A public key is the id of a device of the account.
    #[error("Key ID in use")]
    KeyIdInUse,
    /// Keys have the wrong form; the text says why.
    #[error("{0}")]
    BadKeys(String),
    /// Keys name another owner or another usage; the text says which.
    #[error("{0}")]
    OtherKeys(&'static str),
    /// Another one-time key has the id already. Clients compare the words of the text.
    #[error("One time key {id} already exists. Old key: {old}; new key: {new}")]
    KeyExists {
        /// Algorithm and id.
        id: String,
        /// The stored key, as JSON.
        old: String,
        /// The key that was to be stored, as JSON.
        new: String,
    },
    /// A limit is reached.
    #[error("{owner} cannot have more than {most} {what}")]
    TooMany {
        /// The owner of the things.
        owner: &'static str,
        /// The limit.
        most: i64,
        /// The things, in the plural.
        what: &'static str,
    },
    /// A value is too long.
    #[error("{what} cannot have more than {most} bytes")]
    TooLong {
        /// The value.
        what: &'static str,
        /// The limit, in bytes.
        most: i64,
    },
    /// A message to a device is longer than allowed.
    #[error("A message to a device cannot be longer than 64 KiB")]
    MessageTooLong,
    /// A session without device has no pushers.
    #[error("A session without a device cannot set pushers")]
    PusherWithoutDevice,
    /// More messages to devices than one request may send.
    #[error("A request cannot send more than 5000 messages")]
    TooManyMessages,
    /// A signature is missing or wrong.
    #[error("Invalid signature")]
    BadSignature,
    /// The account has no master key, and none was given.
    #[error("No master key available")]
    NoMasterKey,
    /// There is no such key.
    #[error("{0}")]
    KeyNotFound(&'static str),
    /// There is no such backup of room keys, or no such key in it.
    #[error("{0}")]
    BackupNotFound(&'static str),
    /// Keys are added to the newest backup only; this is its version.
    #[error("Wrong backup version.")]
    WrongBackupVersion(String),
    /// A chosen password breaks a rule.
    #[error(transparent)]
    WeakPassword(#[from] WeakPassword),
    /// Too many requests at once.
    #[error("The server is busy")]
    Overloaded,
    /// An error of the database.
    #[error(transparent)]
    Db(#[from] DbError),
}

impl Error {
    /// Returns [`Error::TooMany`].
    pub fn too_many(owner: &'static str, most: i64, what: &'static str) -> Self {
        Self::TooMany { owner, most, what }
    }

    /// Returns [`Error::TooLong`].
    pub fn too_long(what: &'static str, most: usize) -> Self {
        Self::TooLong { what, most: i64::try_from(most).unwrap_or(i64::MAX) }
    }
}

impl From<Error> for MatrixError {
    fn from(error: Error) -> Self {
        let text = error.to_string();
        match error {
            Error::Db(error) => error.into(),
            Error::BadName(error) => error.into(),
            Error::UserNotFound
            | Error::DeviceNotFound
            | Error::ServiceTokenNotFound
            | Error::RoleNotFound
            | Error::NothingKept
            | Error::BadMailLink
            | Error::KeyNotFound(_)
            | Error::BackupNotFound(_) => Self::not_found(text),
            Error::UserInUse => Self::bad_request("M_USER_IN_USE", text),
            Error::NameReserved => Self::bad_request("M_EXCLUSIVE", text),
            Error::ExternalIdInUse | Error::ServiceTokenExists | Error::RoleHeld | Error::RestoreUnderWay => {
                Self::new(409, "M_UNKNOWN", text)
            }
            Error::UnknownMedium(_)
            | Error::NotAString(_)
            | Error::DeviceIdTooLong
            | Error::OtherKeys(_)
            | Error::BadRole(_)
            | Error::BadServiceToken(_) => Self::invalid_param(text),
            Error::BadEmail
            | Error::SelfDemotion
            | Error::NoPassword
            | Error::ProfileTooLong(_)
            | Error::NoDevice
            | Error::KeyExists { .. }
            | Error::Refused(_) => Self::unknown(text),
            Error::SamePassword => Self::bad_request("M_WEAK_PASSWORD", text),
            Error::ProfileTooLarge => Self::bad_request("M_PROFILE_TOO_LARGE", text),
            Error::EmailNotFound => Self::bad_request("M_THREEPID_NOT_FOUND", text),
            Error::ThreepidInUse => Self::bad_request("M_THREEPID_IN_USE", text),
            Error::EmailNotConfirmed => Self::new(403, "M_THREEPID_AUTH_FAILED", text),
            Error::SendsNoMail => Self::bad_request("M_THREEPID_MEDIUM_NOT_SUPPORTED", text),
            Error::BadRegistrationToken => Self::new(401, "M_UNAUTHORIZED", text),
            Error::RegistrationTokenChanged => Self::new(401, "M_INVALID_PARAM", text),
            Error::DeviceNameTooLong | Error::TooMany { .. } => Self::bad_request("M_TOO_LARGE", text),
            Error::NotModerated(_)
            | Error::LacksScope(_)
            | Error::Above(_)
            | Error::LastOwner
            | Error::BuiltIn
            | Error::CannotGrant(_)
            | Error::BeyondOwnTerms
            | Error::NeedsAccount
            | Error::OwnAddressesDisabled
            | Error::PasswordChangeDisabled
            | Error::BadCredentials
            | Error::BadLoginToken
            | Error::PusherWithoutDevice
            | Error::ActsAsAnother
            | Error::KeyIdInUse => Self::forbidden(text),
            Error::BadRefreshToken(_, soft_logout) => {
                let error = Self::new(401, "M_UNKNOWN_TOKEN", text);
                if soft_logout { error.with("soft_logout", true) } else { error }
            }
            Error::Deactivated => Self::new(403, "M_USER_DEACTIVATED", text),
            Error::Locked => Self::locked(),
            Error::Expired => Self::new(403, "ORG_MATRIX_EXPIRED_ACCOUNT", text),
            Error::DeviceIdInUse => Self::bad_request("M_FORBIDDEN", text),
            Error::BadKeys(_) => Self::bad_json(text),
            Error::TooManyMessages | Error::MessageTooLong | Error::TooLong { .. } => Self::too_large(text),
            Error::BadSignature => Self::bad_request("M_INVALID_SIGNATURE", text),
            Error::NoMasterKey => Self::bad_request("M_MISSING_PARAM", text),
            Error::WrongBackupVersion(current) => {
                Self::new(403, "M_WRONG_ROOM_KEYS_VERSION", text).with("current_version", current)
            }
            Error::WeakPassword(weakness) => Self::bad_request(
                match weakness {
                    WeakPassword::TooShort(_) => "M_PASSWORD_TOO_SHORT",
                    WeakPassword::NoDigit => "M_PASSWORD_NO_DIGIT",
                    WeakPassword::NoSymbol => "M_PASSWORD_NO_SYMBOL",
                    WeakPassword::NoUppercase => "M_PASSWORD_NO_UPPERCASE",
                    WeakPassword::NoLowercase => "M_PASSWORD_NO_LOWERCASE",
                    WeakPassword::Name => "M_WEAK_PASSWORD",
                },
                text,
            ),
            Error::Overloaded => Self::unavailable(text),
        }
    }
}
