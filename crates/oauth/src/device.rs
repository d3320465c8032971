//! Requests of clients on devices without a browser: the person types a code in a browser elsewhere, and the client asks
//! meanwhile (RFC 8628).
//! <https://spec.matrix.org/v1.18/client-server-api/#device-authorisation-flow>

use reeve_accounts::{Policy, login};
use reeve_db::{DbError, ReadTx, Tx};
use reeve_model::session::hash_token;
use reeve_model::{Consent, Ctx, Millis, TokenHash, User, random};
use reeve_store::oauth_device_requests::{self as requests, NewOAuthDeviceRequest, OAuthDeviceRequest};
use reeve_store::users;

use crate::client::{Client, GrantType};
use crate::error::Error;
use crate::grant::{self, Tokens};
use crate::scope::ClientScope;

/// The lifetime of a request, in milliseconds.
pub(crate) const REQUEST_MS: i64 = 30 * 60 * 1000;
/// The least time between two questions of a client, in milliseconds.
pub(crate) const INTERVAL_MS: i64 = 5000;
/// The time by which that grows each time a client asks too often (RFC 8628, 3.5).
const SLOWER_BY_MS: i64 = 5000;
/// The letters of user codes: no vowels, so that they form no words, and none that are easily confused.
const LETTERS: &[u8; 20] = b"BCDFGHJKLMNPQRSTVWXZ";
/// The number of letters of a user code.
const CODE_LENGTH: usize = 8;
/// Maximum number of user codes that are tried for a request.
const TRIES: usize = 8;

/// The codes of a request.
#[derive(Clone)]
pub struct Begun {
    /// The code with which the client asks.
    pub device_code: String,
    /// The code that the person types, in the form in which it is shown.
    pub user_code: String,
}

/// Stores a request.
pub fn begin(tx: &mut Tx<'_>, ctx: &Ctx, client_id: &str, scope: &str) -> Result<Begun, Error> {
    let client = Client::find_for(tx, client_id, GrantType::Device)?;
    let scope = ClientScope::read(scope)?;
    client.touch(tx, ctx.now)?;
    let device_code = format!("rvd_{}", random::secret(40));
    let user_code = unused_code(tx)?;
    requests::insert(
        tx,
        &NewOAuthDeviceRequest {
            device_code_hash: hash_token(&device_code),
            user_code: user_code.clone(),
            client_id: client.client_id,
            scope: scope.text,
            ends_ts: ctx.now.plus(REQUEST_MS),
            interval_ms: INTERVAL_MS,
        },
    )?;
    Ok(Begun { device_code, user_code: shown(&user_code) })
}

/// Returns a user code that no request has. Of 25 milliards few are in use, so that the first one is free as a rule.
fn unused_code(tx: &ReadTx<'_>) -> Result<String, DbError> {
    for _ in 0..TRIES {
        let letter = || {
            let place = usize::try_from(random::below(20)).unwrap_or_default();
            char::from(LETTERS.get(place).copied().unwrap_or(b'B'))
        };
        let code: String = std::iter::repeat_with(letter).take(CODE_LENGTH).collect();
        if requests::by_user_code(tx, &code)?.is_none() {
            return Ok(code);
        }
    }
    Err(DbError::Internal("no user code is free".to_owned()))
}

/// Returns a user code as it is shown, in two halves.
pub fn shown(code: &str) -> String {
    match code.split_at_checked(CODE_LENGTH / 2) {
        Some((first, second)) => format!("{first}-{second}"),
        None => code.to_owned(),
    }
}

/// Returns the user code that a person typed, in the form in which it is stored. Case, spaces and separators do not count.
fn typed(text: &str) -> String {
    text.chars()
        .filter(char::is_ascii_alphanumeric)
        .map(|c| c.to_ascii_uppercase())
        .take(2 * CODE_LENGTH)
        .collect()
}

/// A request that waits for the answer of a person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceWaiting {
    /// The client.
    pub client: Client,
    /// The scope that it asks for.
    pub scope: ClientScope,
    /// The code by which the person found it, in the form in which it is shown.
    pub user_code: String,
    device_code_hash: TokenHash,
}

impl DeviceWaiting {
    /// Returns the request with a user code; [`Error::Ended`] if it has ended, was answered, or never was.
    pub fn find(tx: &ReadTx<'_>, user_code: &str, now: Millis) -> Result<Self, Error> {
        let OAuthDeviceRequest { made, consent, .. } =
            requests::by_user_code(tx, &typed(user_code))?.ok_or(Error::Ended)?;
        if consent != Consent::Waiting || made.ends_ts <= now {
            return Err(Error::Ended);
        }
        Ok(Self {
            client: Client::find(tx, &made.client_id)?,
            scope: ClientScope::read(&made.scope)?,
            user_code: shown(&made.user_code),
            device_code_hash: made.device_code_hash,
        })
    }
}

/// Answers a request for an account.
pub fn answer(tx: &mut Tx<'_>, ctx: &Ctx, user: &User, user_code: &str, allows: bool) -> Result<(), Error> {
    let waiting = DeviceWaiting::find(tx, user_code, ctx.now)?;
    login::check_may_log_in(user)?;
    let consent = if allows { Consent::Given } else { Consent::Refused };
    requests::answer(tx, &waiting.device_code_hash, consent, user.num)?;
    Ok(())
}

/// Answers a client that asks whether its request was allowed: with tokens, once. The refusal inside the result is noted; the
/// outer error changes nothing.
pub fn poll(
    tx: &mut Tx<'_>,
    ctx: &Ctx,
    policy: &Policy,
    client_id: &str,
    device_code: &str,
) -> Result<Result<Tokens, Error>, Error> {
    let client = Client::find_for(tx, client_id, GrantType::Device)?;
    let code_hash = hash_token(device_code);
    let found = requests::by_device_code(tx, &code_hash)?.filter(|found| found.made.client_id == client_id);
    let Some(OAuthDeviceRequest { made, consent, user_num, last_poll_ts }) = found else {
        return Err(Error::Grant("The device code is unknown, or was used"));
    };
    if made.ends_ts <= ctx.now {
        return Err(Error::Ended);
    }
    match consent {
        Consent::Waiting => {
            let is_early = last_poll_ts.is_some_and(|last| ctx.now.since(last) < made.interval_ms);
            let interval_ms = made.interval_ms.saturating_add(if is_early { SLOWER_BY_MS } else { 0 });
            requests::polled(tx, &code_hash, ctx.now, interval_ms)?;
            Ok(Err(if is_early { Error::SlowDown } else { Error::Pending }))
        }
        Consent::Refused => {
            requests::delete(tx, &code_hash)?;
            Ok(Err(Error::Refused))
        }
        Consent::Given => {
            requests::delete(tx, &code_hash)?;
            let user = user_num.map(|num| users::by_num(tx, num)).transpose()?.flatten();
            let user = user.ok_or(Error::Grant("The account is gone"))?;
            grant::begin_session(tx, ctx, policy, &user, &client, &ClientScope::read(&made.scope)?).map(Ok)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn user_codes() {
        assert_eq!(shown("WDJBMJHT"), "WDJB-MJHT");
        for text in ["WDJB-MJHT", "wdjbmjht", " wdjb mjht\n", "W-D-J-B-M-J-H-T"] {
            assert_eq!(typed(text), "WDJBMJHT", "{text}");
        }
        assert_eq!(typed(&"a".repeat(1000)).len(), 16);
        assert_eq!(typed("äöü"), "");
    }
}
