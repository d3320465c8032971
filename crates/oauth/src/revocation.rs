//! Revocation of tokens, by which clients log out (RFC 7009).
//! <https://spec.matrix.org/v1.18/client-server-api/#token-revocation>

use reeve_accounts::devices;
use reeve_db::{ReadTx, Tx};
use reeve_model::UserNum;
use reeve_model::session::hash_token;
use reeve_store::{access_tokens, oauth_sessions, refresh_tokens};

use crate::error::Error;

/// Ends the session of an access or refresh token, with its device. A token that is not one of OAuth 2.0, or not any more, has
/// no effect; then this returns false. Any client may revoke a token that it knows, such as a program that finds it published.
pub fn revoke(tx: &mut Tx<'_>, token: &str, client_id: Option<&str>) -> Result<bool, Error> {
    let Some((user_num, device_id)) = session_of(tx, token)? else { return Ok(false) };
    let Some(session) = oauth_sessions::find(tx, user_num, &device_id)? else { return Ok(false) };
    if client_id != Some(&*session.client_id) {
        tracing::warn!(%user_num, %device_id, "a token was revoked by another client than its own");
    }
    devices::delete(tx, user_num, &device_id)?;
    Ok(true)
}

/// Returns the account and the device of a token, even if it has expired.
fn session_of(tx: &ReadTx<'_>, token: &str) -> Result<Option<(UserNum, String)>, Error> {
    let token_hash = hash_token(token);
    if let Some(session) = access_tokens::find(tx, &token_hash)? {
        return Ok(session.device_id.map(|device_id| (session.owner_num, device_id)));
    }
    let refresh = refresh_tokens::find(tx, &token_hash)?;
    Ok(refresh.map(|refresh| (refresh.user_num, refresh.device_id)))
}
