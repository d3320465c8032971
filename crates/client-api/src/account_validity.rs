//! Renewal of accounts that expire, by a link in a mail. The paths are those of Synapse.

use std::sync::Arc;

use reeve_accounts::{Error, validity};
use reeve_app::limits::Bucket;
use reeve_app::{Access, Answer, Call, Content, OpenTo, Param, Route, reply, shape};

/// The longest token that can be one, in characters.
const MAX_TOKEN: usize = 64;

pub(crate) fn routes() -> Vec<Route> {
    vec![
        Route::get("/_matrix/client/unstable/account_validity/renew", renew)
            .access(Access::Anybody)
            .id("openRenewal")
            .returns_other(303, Content::Nothing)
            .summary("Leads to the page on which the link of a mail renews an account")
            .description("Programs that follow every link of a mail do not renew the account.")
            .query([Param::text("token", "the token of the link").required()])
            .errors(&[(404, "M_NOT_FOUND", "the token cannot be one")]),
        Route::post("/_matrix/client/unstable/account_validity/send_mail", send)
            .access(Access::User)
            .open_to(OpenTo { expired_account: true, ..OpenTo::default() })
            .id("sendRenewal")
            .returns::<shape::Empty>(200)
            .summary("Sends the caller a mail with a link that renews the account")
            .errors(&[
                (400, "M_UNKNOWN", "accounts are not renewed by mail on this server"),
                (
                    400,
                    "M_THREEPID_NOT_FOUND",
                    "the account has no e-mail address, does not expire, or is not renewed by mail",
                ),
                (429, "M_LIMIT_EXCEEDED", "too many mails for the account"),
            ]),
    ]
}

async fn renew(call: Call) -> Answer {
    let token = call.query.required_ascii("token")?;
    if token.is_empty() || token.len() > MAX_TOKEN || !token.bytes().all(|byte| byte.is_ascii_alphanumeric())
    {
        return Err(Error::BadMailLink.into());
    }
    reply::see_other(&format!("/_reeve/pages/renew/{token}"))
}

async fn send(call: Call) -> Answer {
    if !validity::is_renewed_by_mail(&call.app.policy) {
        return Err(Error::Refused("Accounts are not renewed by mail on this server").into());
    }
    call.app.limiter.check(Bucket::EmailAccount(call.user()?.num), call.now)?;
    let (ctx, app) = (call.ctx(), Arc::clone(&call.app));
    let send = call.act(move |tx, session| validity::send_link(tx, &ctx, &app.policy, &session.user)).await?;
    if send { reply::empty() } else { Err(Error::EmailNotFound.into()) }
}
