//! The page of a link in a mail by which the owner of an account that expires renews it.

use std::sync::Arc;

use http::StatusCode;
use reeve_accounts::validity;
use reeve_app::shape::AnyObject;
use reeve_app::{Access, Answer, Call, Reading, Route};
use serde::Serialize;

use crate::mail_link::{self, TOKEN};
use crate::moment::Moment;
use crate::page;

const PATH: &str = "/_reeve/pages/renew/{mail_token}";

pub(crate) fn routes() -> Vec<Route> {
    vec![
        page::shown(Route::read(PATH, show), Access::Page)
            .id("showRenewal")
            .summary("Shows the account that the link in a mail renews")
            .errors(&[mail_link::ENDED]),
        page::form::<AnyObject>(Route::post(PATH, renew), Access::Page)
            .before_password_change()
            .id("renewAccount")
            .summary("Renews the account of the link in a mail")
            .errors(&[mail_link::ENDED]),
    ]
}

/// The values in the page.
#[derive(Serialize)]
struct Values {
    action: String,
    user_id: String,
    until: Moment,
    is_renewed: bool,
}

fn show(call: &Reading<'_>) -> Answer {
    let token = call.params.get(TOKEN);
    match validity::renewal(call.tx, token) {
        Ok(renewal) => {
            let values = Values {
                action: mail_link::path("renew", token),
                user_id: renewal.user_id,
                until: renewal.expiration_ts.into(),
                is_renewed: renewal.is_used,
            };
            Ok(page::show(call, StatusCode::OK, "renew.html", values))
        }
        Err(error) => mail_link::ended(call, error.into(), None),
    }
}

async fn renew(mut call: Call) -> Answer {
    let AnyObject(_) = call.take_form().await?;
    let token = call.param(TOKEN);
    let (ctx, app, wanted) = (call.ctx(), Arc::clone(&call.app), token.clone());
    match call.write(move |tx| validity::renew(tx, &ctx, &app.policy, &wanted)).await {
        Ok(_) => page::go(&call, &mail_link::path("renew", &token)),
        Err(error) => mail_link::ended(&call, error, None),
    }
}
