//! Permission to replace the cross-signing keys, for people who have lost all clients and their recovery key.

use std::sync::Arc;

use http::StatusCode;
use reeve_accounts::{browser_sessions, cross_signing};
use reeve_app::{Access, Answer, Call, Reading, Route};
use reeve_db::{DbError, ReadTx};
use reeve_model::{KeyUsage, Millis, UserNum};
use reeve_store::cross_signing as stored;
use serde::Serialize;

use crate::moment::Moment;
use crate::page;
use crate::problem::Problem;
use crate::proof::{self, PasswordConfirmation};

pub(super) const PATH: &str = "/_reeve/pages/account/reset-identity";

pub(super) fn routes() -> Vec<Route> {
    vec![
        page::shown(Route::read(PATH, show), Access::SignedIn).id("showIdentityReset").summary(
            "Explains what a new cross-signing identity means, and asks for the permission to make one",
        ),
        page::form::<PasswordConfirmation>(Route::post(PATH, allow), Access::SignedIn)
            .id("allowIdentityReset")
            .summary(
                "Lets a client replace the cross-signing keys once, without authentication, for ten minutes",
            )
            .errors(&[
                (400, "M_UNKNOWN", "the account has no cross-signing keys"),
                (403, "M_FORBIDDEN", "the password is wrong"),
                proof::TOO_MANY,
            ]),
    ]
}

/// The values in the page.
#[derive(Serialize)]
struct Values {
    here: &'static str,
    has_identity: bool,
    allowed_until: Option<Moment>,
    asks_password: bool,
    problems: Vec<Problem>,
}

impl Values {
    fn read(
        tx: &ReadTx<'_>,
        policy: &reeve_accounts::Policy,
        user_num: UserNum,
        now: Millis,
    ) -> Result<Self, DbError> {
        let keys = stored::of_user(tx, user_num)?;
        let master = keys.iter().find(|key| key.usage == KeyUsage::Master);
        let until = master.and_then(|key| key.replaceable_until_ts).filter(|until| *until > now);
        Ok(Self {
            here: "reset-identity",
            has_identity: master.is_some(),
            allowed_until: until.map(Moment::from),
            asks_password: proof::is_asked(tx, policy, user_num)?,
            problems: Vec::new(),
        })
    }
}

fn show(call: &Reading<'_>) -> Answer {
    let values = Values::read(call.tx, &call.app.policy, call.user()?.num, call.now)?;
    Ok(page::show(call, StatusCode::OK, "reset_identity.html", values))
}

/// Shows the page again, with what is wrong.
async fn refused(call: &Call, status: StatusCode, problem: Problem) -> Answer {
    let (app, num, now) = (Arc::clone(&call.app), call.user()?.num, call.now);
    let values = call.read(move |tx| Values::read(tx, &app.policy, num, now)).await?;
    let values = Values { problems: vec![problem], ..values };
    Ok(page::show(call, status, "reset_identity.html", values))
}

async fn allow(mut call: Call) -> Answer {
    let password = call.take_form::<PasswordConfirmation>().await?.password.read()?;
    let proven = match proof::check(&call, password.as_deref()).await? {
        Ok(proven) => proven,
        Err(problem) => return refused(&call, StatusCode::FORBIDDEN, problem).await,
    };
    let ctx = call.ctx();
    let allowed = call
        .act_in_browser(move |tx, browser| -> Result<(), reeve_accounts::Error> {
            browser_sessions::prove(tx, browser, proven.password_hash.as_deref(), ctx.now)?;
            cross_signing::allow_replacing(tx, &ctx, &browser.user.user_id).map(|_: Millis| ())
        })
        .await;
    match allowed {
        Ok(()) => page::go(&call, PATH),
        Err(error) => refused(&call, StatusCode::BAD_REQUEST, Problem::of_refusal(error)?).await,
    }
}
