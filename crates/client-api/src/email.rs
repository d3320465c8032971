//! Requests for mails with which people prove that an e-mail address is theirs.

use std::sync::Arc;

use reeve_accounts::Error;
use reeve_accounts::emails::{self, Request};
use reeve_app::limits::{Bucket, Source};
use reeve_app::{Call, MatrixError};

/// Begins a proof, and returns its id. The request is counted, as [`count`] does, unless an earlier one answers it.
pub async fn ask(call: &Call, request: Request) -> Result<String, MatrixError> {
    if let Some(sid) = count(call, &request).await? {
        return Ok(sid);
    }
    let (ctx, app) = (call.ctx(), Arc::clone(&call.app));
    call.write(move |tx| emails::begin(tx, &ctx, &app.policy, &request)).await
}

/// Counts a request for a mail against the limits of the client, of the account and of the address to which the mail goes. Returns
/// the id of the proof if an earlier request answers it, which is not counted then.
pub async fn count(call: &Call, request: &Request) -> Result<Option<String>, MatrixError> {
    if !call.app.policy.mail.enabled {
        return Err(Error::SendsNoMail.into());
    }
    let (wanted, now) = (request.clone(), call.now);
    if let Some(sid) = call.read(move |tx| emails::answered(tx, &wanted, now)).await? {
        return Ok(Some(sid));
    }
    let limiter = &call.app.limiter;
    limiter.check(Bucket::EmailRequests(Source::of(&call.ip)), now)?;
    if let Some(num) = request.user_num {
        limiter.check(Bucket::EmailAccount(num), now)?;
    }
    limiter.check(Bucket::EmailRecipient(request.address.clone()), now)?;
    Ok(None)
}
