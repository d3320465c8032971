//! E-mail addresses of people, who prove that an address is theirs by a link in a mail to it.
//! <https://spec.matrix.org/v1.18/client-server-api/#adding-account-administrative-contact-information>
//!
//! A request for a mail says nothing about the address: it is answered in the same way whether an account has it or not, and only
//! the mail says so.

use reeve_db::{DbError, ReadTx, Tx};
use reeve_model::session::hash_token;
use reeve_model::{Ctx, EmailPurpose, Language, Millis, TokenHash, User, UserNum, random};
use reeve_store::email_validations::{self as validations, Validation};
use reeve_store::{threepids as stored, users};
use serde_json::json;
use subtle::ConstantTimeEq;

use crate::audit;
use crate::error::Error;
use crate::mails::{self, Letter, Recipient};
use crate::policy::Policy;
use crate::threepids::{self, EMAIL};

/// The longest address, in bytes (RFC 5321, 4.5.3.1).
const MAX_ADDRESS: usize = 254;
/// The longest part of an address before the `@`, in bytes.
const MAX_LOCAL: usize = 64;
/// Characters that the part of an address before the `@` can have besides letters and digits (RFC 5322, 3.2.3).
const LOCAL: &str = "!#$%&'*+-/=?^_`{|}~.";
/// Maximum number of proofs of one address. Beyond it, the oldest are dropped, those that are not complete first: anybody can
/// begin them.
const MAX_PER_ADDRESS: usize = 20;
/// The time in which a form of a page that is sent again causes no other mail, in milliseconds.
const REPEATED_MS: i64 = 60_000;
/// The length of the token in a link, in characters.
pub(crate) const TOKEN: usize = 43;
/// Maximum number of proofs whose time is over that one transaction deletes.
const PRUNE_ROWS: i64 = 500;

/// Returns the canonical form of an address that a person gives, if mail can be sent to it.
pub fn address(given: &str) -> Result<String, Error> {
    let address = threepids::canonical(EMAIL, given)?;
    let (local, domain) = address.split_once('@').ok_or(Error::BadEmail)?;
    let is_dotted = |text: &str| text.split('.').all(|part| !part.is_empty());
    let is_local = |c: char| c.is_alphanumeric() || LOCAL.contains(c);
    let is_label = |label: &str| {
        let is_of_label = |c: char| c.is_alphanumeric() || c == '-';
        label.chars().all(is_of_label) && !label.starts_with('-') && !label.ends_with('-')
    };
    let is_sound = address.len() <= MAX_ADDRESS
        && local.len() <= MAX_LOCAL
        && is_dotted(local)
        && local.chars().all(is_local)
        && is_dotted(domain)
        && domain.split('.').all(is_label);
    if is_sound { Ok(address) } else { Err(Error::BadEmail) }
}

/// The client that begins a proof, and uses it afterwards.
#[derive(Clone)]
pub struct Client {
    /// A secret of its choice.
    pub secret: String,
    /// The number of its request, which it increases for another mail.
    pub send_attempt: i64,
}

/// A request for a mail with which a person proves that an address is theirs.
#[derive(Clone)]
pub struct Request {
    /// The purpose.
    pub purpose: EmailPurpose,
    /// The canonical address.
    pub address: String,
    /// The account to which the address is to be added; `None` if the client does not say, which may ask without a token.
    pub user_num: Option<UserNum>,
    /// The client; `None` for a page of the server, where the link does everything.
    pub client: Option<Client>,
    /// The URL at which the browser continues; from a page of the server, a path and query of another one.
    pub next_link: Option<String>,
    /// The language that the person prefers.
    pub language: Option<Language>,
}

impl Request {
    fn secret_hash(&self) -> Option<TokenHash> {
        self.client.as_ref().map(|client| hash_token(&client.secret))
    }

    /// Returns the earlier request of the same client, or the same form sent again.
    fn find<'a>(&self, all: &'a [Validation], now: Millis) -> Option<&'a Validation> {
        let secret_hash = self.secret_hash();
        all.iter().find(|former| {
            let is_same = match (&secret_hash, &former.secret_hash) {
                (Some(ours), Some(theirs)) => is_equal(ours, theirs),
                (None, None) => former.validated_ts.is_none() && now.since(former.created_ts) < REPEATED_MS,
                (Some(_), None) | (None, Some(_)) => false,
            };
            let is_for_same = match self.purpose {
                EmailPurpose::Add => former.user_num == self.user_num,
                EmailPurpose::Register | EmailPurpose::Reset => true,
            };
            former.purpose == self.purpose && is_same && is_for_same
        })
    }

    /// Returns true if an earlier request answers this one, without another mail.
    fn is_answered_by(&self, former: &Validation) -> bool {
        let is_repeated =
            self.client.as_ref().is_none_or(|client| client.send_attempt <= former.send_attempt);
        is_repeated || former.validated_ts.is_some()
    }
}

/// Compares in constant time.
fn is_equal(a: &TokenHash, b: &TokenHash) -> bool {
    a.as_slice().ct_eq(b.as_slice()).into()
}

/// Returns the id of the proof of an earlier request that answers this one; then it causes no mail.
pub fn answered(tx: &ReadTx<'_>, request: &Request, now: Millis) -> Result<Option<String>, DbError> {
    let all = validations::of_address(tx, &request.address, now)?;
    let former = request.find(&all, now).filter(|former| request.is_answered_by(former));
    Ok(former.map(|former| former.sid.clone()))
}

/// Begins a proof, and queues the mail for it. Returns its id, by which a client uses it. If the address is of no use for the
/// purpose, the mail says so, and the proof cannot be completed.
pub fn begin(tx: &mut Tx<'_>, ctx: &Ctx, policy: &Policy, request: &Request) -> Result<String, Error> {
    if !policy.mail.enabled {
        return Err(Error::SendsNoMail);
    }
    let all = validations::of_address(tx, &request.address, ctx.now)?;
    let former = request.find(&all, ctx.now);
    if let Some(former) = former.filter(|former| request.is_answered_by(former)) {
        return Ok(former.sid.clone());
    }
    let token = random::secret(TOKEN);
    let reply = reply(tx, policy, request, &token)?;
    let validation = Validation {
        sid: former.map_or_else(|| random::letters(24), |former| former.sid.clone()),
        purpose: request.purpose,
        address: request.address.clone(),
        user_num: reply.user_num,
        secret_hash: request.secret_hash(),
        send_attempt: request.client.as_ref().map_or(0, |client| client.send_attempt),
        next_link: request.next_link.clone(),
        created_ts: former.map_or(ctx.now, |former| former.created_ts),
        expires_ts: ctx.now.plus(policy.mail.link_ms),
        validated_ts: None,
    };
    let token_hash = reply.has_link.then(|| hash_token(&token));
    if former.is_some() {
        validations::send_again(tx, &validation, token_hash.as_ref())?;
    } else {
        let excess = (all.len() + 1).saturating_sub(MAX_PER_ADDRESS);
        let (complete, open): (Vec<_>, Vec<_>) =
            all.iter().rev().partition(|other| other.validated_ts.is_some());
        for other in open.into_iter().chain(complete).take(excess) {
            validations::delete(tx, &other.sid)?;
        }
        validations::insert(tx, &validation, token_hash.as_ref())?;
    }
    let known = match reply.about {
        Some(num) => mails::known_language(tx, num)?,
        None => None,
    };
    let language = known.or(request.language).unwrap_or(policy.mail.language);
    let to = Recipient { address: validation.address, user_num: reply.about, language };
    mails::queue(tx, to, &reply.letter, ctx.now, Some(validation.expires_ts))?;
    Ok(validation.sid)
}

/// The mail that a request causes.
struct Reply {
    letter: Letter,
    /// True if it leads to the completion of the proof.
    has_link: bool,
    /// The account that the mail is about.
    about: Option<UserNum>,
    /// The account that the proof is for.
    user_num: Option<UserNum>,
}

/// Decides what is written to an address. Where clients are told about addresses, one that is of no use is refused.
fn reply(tx: &ReadTx<'_>, policy: &Policy, request: &Request, token: &str) -> Result<Reply, Error> {
    let holder = stored::find_user(tx, EMAIL, &request.address)?;
    let holder = holder.map(|num| users::by_num(tx, num)).transpose()?.flatten();
    let holder = holder.filter(|user| !policy.is_of_server(user));
    let token = token.to_owned();
    let discloses = !policy.mail.hides_addresses;
    match (request.purpose, holder) {
        (EmailPurpose::Register, None) => {
            let letter = match request.client {
                Some(_) => Letter::ConfirmRegistration { token },
                None => Letter::CompleteRegistration { token },
            };
            Ok(Reply { letter, has_link: true, about: None, user_num: None })
        }
        (EmailPurpose::Register, Some(_)) if discloses => Err(Error::ThreepidInUse),
        (EmailPurpose::Register, Some(User { num, user_id, .. })) => {
            let letter = Letter::AlreadyRegistered { user_id };
            Ok(Reply { letter, has_link: false, about: Some(num), user_num: None })
        }
        (EmailPurpose::Add, None) => {
            let user = request.user_num.map(|num| active(tx, num)).transpose()?;
            let num = user.as_ref().map(|user| user.num);
            let letter = Letter::ConfirmAddress { token, user_id: user.map(|user| user.user_id) };
            Ok(Reply { letter, has_link: true, about: num, user_num: num })
        }
        (EmailPurpose::Add, Some(user)) if discloses || request.user_num == Some(user.num) => {
            Err(Error::ThreepidInUse)
        }
        (EmailPurpose::Add, Some(User { num, user_id, .. })) => {
            let letter = Letter::AlreadyAdded { user_id };
            Ok(Reply { letter, has_link: false, about: Some(num), user_num: request.user_num })
        }
        (EmailPurpose::Reset, None) if discloses => Err(Error::EmailNotFound),
        (EmailPurpose::Reset, None) => {
            Ok(Reply { letter: Letter::NoAccount, has_link: false, about: None, user_num: None })
        }
        (EmailPurpose::Reset, Some(User { num, user_id, .. })) => {
            let letter = match request.client {
                Some(_) => Letter::ConfirmReset { token, user_id },
                None => Letter::ChoosePassword { token, user_id },
            };
            Ok(Reply { letter, has_link: true, about: Some(num), user_num: Some(num) })
        }
    }
}

/// Returns an account, if it is not deactivated.
fn active(tx: &ReadTx<'_>, num: UserNum) -> Result<User, Error> {
    users::by_num(tx, num)?.filter(|user| !user.deactivated).ok_or(Error::Deactivated)
}

/// The proof to which the link in a mail leads, as a page shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// The purpose.
    pub purpose: EmailPurpose,
    /// The address.
    pub address: String,
    /// The account to which it is to be added, or whose password is to be set.
    pub user_id: Option<String>,
    /// True if it was confirmed.
    pub is_confirmed: bool,
    /// True if an application does the rest. Otherwise the page of the link does everything.
    pub is_for_client: bool,
    /// The URL at which the browser continues, or the path and query of a page of this server.
    pub next_link: Option<String>,
}

/// Returns the proof to which the link with a token leads, if the link confirms an address.
pub fn open(tx: &ReadTx<'_>, token: &str, now: Millis) -> Result<Link, Error> {
    let validation = opened(tx, token, now)?;
    shown(tx, validation)
}

/// Returns the proof to which the link with a token leads, if the link registers an account.
pub fn open_registration(tx: &ReadTx<'_>, token: &str, now: Millis) -> Result<Link, Error> {
    let validation = Proof::Link(token.to_owned()).find(tx, EmailPurpose::Register, now)?;
    shown(tx, validation)
}

/// Confirms an address, for the person who opened the link in the mail to it. One that was given on a page of the server is
/// added to the account at once, if its person could still give it. A repetition changes nothing.
pub fn confirm(tx: &mut Tx<'_>, ctx: &Ctx, policy: &Policy, token: &str) -> Result<Link, Error> {
    let validation = opened(tx, token, ctx.now)?;
    if validation.validated_ts.is_some() {
        return shown(tx, validation);
    }
    if validation.secret_hash.is_none() {
        check_own(policy)?;
        let user = active(tx, validation.user_num.ok_or(Error::BadMailLink)?)?;
        if user.locked {
            return Err(Error::Locked);
        }
        attach(tx, ctx, policy, &user, &validation.address)?;
    }
    let until = ctx.now.plus(policy.mail.confirmed_ms);
    validations::set_validated(tx, &validation.sid, ctx.now, until)?;
    shown(tx, Validation { validated_ts: Some(ctx.now), ..validation })
}

/// Returns the proof to which a link leads that confirms an address. Those of pages on which somebody registers, or chooses a
/// password, are others.
fn opened(tx: &ReadTx<'_>, token: &str, now: Millis) -> Result<Validation, Error> {
    let validation = validations::by_token(tx, &hash_token(token), now)?.ok_or(Error::BadMailLink)?;
    match (validation.purpose, &validation.secret_hash) {
        (EmailPurpose::Register | EmailPurpose::Reset, None) => Err(Error::BadMailLink),
        (EmailPurpose::Register | EmailPurpose::Reset, Some(_)) | (EmailPurpose::Add, _) => Ok(validation),
    }
}

fn shown(tx: &ReadTx<'_>, validation: Validation) -> Result<Link, Error> {
    let user_id = validation.user_num.map(|num| users::user_id(tx, num)).transpose()?.flatten();
    Ok(Link {
        purpose: validation.purpose,
        address: validation.address,
        user_id,
        is_confirmed: validation.validated_ts.is_some(),
        is_for_client: validation.secret_hash.is_some(),
        next_link: validation.next_link,
    })
}

/// A proof by which a person without a session acts.
#[derive(Clone)]
pub enum Proof {
    /// A complete proof of a client, by its id. The client was asked for its secret.
    Confirmed(String),
    /// The token of a link in a mail that leads to the page on which the person acts.
    Link(String),
}

impl Proof {
    /// Returns the refusal of a proof that is of no use.
    pub(crate) fn refusal(&self) -> Error {
        match self {
            Self::Confirmed(_) => Error::EmailNotConfirmed,
            Self::Link(_) => Error::BadMailLink,
        }
    }

    /// Returns what is stored of the proof, if it is for a purpose.
    pub(crate) fn find(
        &self,
        tx: &ReadTx<'_>,
        purpose: EmailPurpose,
        now: Millis,
    ) -> Result<Validation, Error> {
        let found = match self {
            Self::Confirmed(sid) => {
                let found = validations::find(tx, sid, now)?;
                found.filter(|proof| proof.secret_hash.is_some() && proof.validated_ts.is_some())
            }
            Self::Link(token) => {
                let found = validations::by_token(tx, &hash_token(token), now)?;
                found.filter(|proof| proof.secret_hash.is_none())
            }
        };
        found.filter(|found| found.purpose == purpose).ok_or_else(|| self.refusal())
    }
}

/// A proof, as the client that began it presents it.
#[derive(Clone)]
pub struct Credentials {
    /// Its id.
    pub sid: String,
    /// The secret of the client.
    pub secret: String,
}

/// Returns a complete proof for a purpose. One for a new password counts while the account has the address.
pub fn proven(
    tx: &ReadTx<'_>,
    purpose: EmailPurpose,
    credentials: &Credentials,
    now: Millis,
) -> Result<Validation, Error> {
    let secret_hash = hash_token(&credentials.secret);
    let is_theirs =
        |proof: &Validation| proof.secret_hash.as_ref().is_some_and(|theirs| is_equal(theirs, &secret_hash));
    let found = validations::find(tx, &credentials.sid, now)?;
    let proof = found.filter(|proof| proof.purpose == purpose && proof.validated_ts.is_some());
    let proof = proof.filter(is_theirs).ok_or(Error::EmailNotConfirmed)?;
    let is_valid = match purpose {
        EmailPurpose::Reset => stored::find_user(tx, EMAIL, &proof.address)? == proof.user_num,
        EmailPurpose::Add | EmailPurpose::Register => true,
    };
    if is_valid { Ok(proof) } else { Err(Error::EmailNotConfirmed) }
}

/// Refuses if people cannot change the addresses of their accounts.
pub fn check_own(policy: &Policy) -> Result<(), Error> {
    if policy.mail.own_addresses { Ok(()) } else { Err(Error::OwnAddressesDisabled) }
}

/// Adds an address to the account of the person who has proved that it is theirs, and uses the proof up.
pub fn add(
    tx: &mut Tx<'_>,
    ctx: &Ctx,
    policy: &Policy,
    user: &User,
    credentials: &Credentials,
) -> Result<(), Error> {
    check_own(policy)?;
    let proof = proven(tx, EmailPurpose::Add, credentials, ctx.now)?;
    if proof.user_num.is_some_and(|num| num != user.num) {
        return Err(Error::EmailNotConfirmed);
    }
    attach(tx, ctx, policy, user, &proof.address)?;
    validations::delete(tx, &proof.sid)?;
    Ok(())
}

/// Adds an address to an account, unless another one has it.
fn attach(tx: &mut Tx<'_>, ctx: &Ctx, policy: &Policy, user: &User, address: &str) -> Result<(), Error> {
    match stored::find_user(tx, EMAIL, address)? {
        Some(holder) if holder == user.num => return Ok(()),
        Some(_) => return Err(Error::ThreepidInUse),
        None => {}
    }
    let (before, most) = (mails::addresses(tx, user.num)?, policy.limits.email_addresses);
    if i64::try_from(before.len()).unwrap_or(i64::MAX) >= most {
        return Err(Error::too_many("An account", most, "e-mail addresses"));
    }
    stored::put(tx, user.num, EMAIL, address, ctx.now)?;
    record(tx, ctx, policy, user, &before)
}

/// Removes an address, or a telephone number, from the account of a person. It is no error if the account does not have it.
pub fn remove(
    tx: &mut Tx<'_>,
    ctx: &Ctx,
    policy: &Policy,
    user: &User,
    medium: &str,
    address: &str,
) -> Result<(), Error> {
    check_own(policy)?;
    let address = threepids::canonical(medium, address)?;
    if stored::find_user(tx, medium, &address)? != Some(user.num) {
        return Ok(());
    }
    let before = mails::addresses(tx, user.num)?;
    threepids::remove(tx, user.num, medium, &address)?;
    record(tx, ctx, policy, user, &before)
}

/// Records a change of the addresses of an account, and tells those that it had before.
fn record(tx: &mut Tx<'_>, ctx: &Ctx, policy: &Policy, user: &User, before: &[String]) -> Result<(), Error> {
    let after = stored::of_user(tx, user.num)?;
    let pairs: Vec<_> = after.iter().map(|threepid| (&threepid.medium, &threepid.address)).collect();
    audit::record(tx, ctx, "user.update", &user.user_id, &json!({ "threepids": pairs }))?;
    mails::addresses_changed(tx, ctx, policy, user, before)?;
    Ok(())
}

/// Uses up a proof for a registration; returns the address, which is free.
pub(crate) fn take(tx: &mut Tx<'_>, ctx: &Ctx, proof: &Proof) -> Result<String, Error> {
    let found = proof.find(tx, EmailPurpose::Register, ctx.now)?;
    if stored::find_user(tx, EMAIL, &found.address)?.is_some() {
        return Err(Error::ThreepidInUse);
    }
    validations::delete(tx, &found.sid)?;
    Ok(found.address)
}

/// Deletes some proofs whose time is over; returns true if there may be more.
pub fn prune(tx: &mut Tx<'_>, now: Millis) -> Result<bool, DbError> {
    validations::prune(tx, now, PRUNE_ROWS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_that_mail_can_be_sent_to() {
        for (given, canonical) in [
            (" Alice@Example.ORG ", "alice@example.org"),
            ("a.b+c@localhost", "a.b+c@localhost"),
            ("ä@ö.example", "ä@ö.example"),
        ] {
            assert_eq!(address(given).ok().as_deref(), Some(canonical), "{given}");
        }
        let (long, longer) = ("x".repeat(65), "x".repeat(260));
        for wrong in [
            "",
            "@",
            "a",
            "@b.c",
            "a@",
            "a@b@c",
            "a b@c.d",
            "a\r\nBcc: x@y.z",
            "<a@b.c>",
            "a,b@c.d",
            "a@b..c",
            ".a@b.c",
            "a@.b",
            "a@-b.c",
            "a@[127.0.0.1]",
            "\"a\"@b.c",
            &format!("{long}@b.c"),
            &format!("a@{longer}.c"),
        ] {
            assert!(matches!(address(wrong), Err(Error::BadEmail)), "{wrong:?}");
        }
    }
}
