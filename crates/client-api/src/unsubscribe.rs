//! Unsubscribe links in e-mails.

use http::Method;
use reeve_accounts::pushers;
use reeve_app::{Access, Answer, Call, Content, MatrixError, Param, Route, reply};
use reeve_store::users;
use subtle::ConstantTimeEq;

const PATH: &str = "/_synapse/client/unsubscribe";

pub(crate) fn routes() -> Vec<Route> {
    let route = |id: &'static str, method: Method, description: &'static str| {
        Route::of(method, PATH, handle)
            .access(Access::Anybody)
            .id(id)
            .returns_other(200, Content::Text("text/html; charset=utf-8"))
            .summary("Deletes the e-mail pusher that a link in its mails names")
            .description(description)
            .query([
                Param::text("user_id", "the account"),
                Param::text("app_id", "the application of the pusher"),
                Param::text("pushkey", "the address of the pusher"),
                Param::text("token", "proof that this server created the link"),
            ])
            .errors(&[(403, "M_FORBIDDEN", "the link was not created by this server")])
    };
    vec![
        route("unsubscribe", Method::GET, "For users who follow the link in a mail."),
        route(
            "unsubscribeByClick",
            Method::POST,
            "For mail clients with one-click unsubscription (RFC 8058).",
        ),
    ]
}

async fn handle(call: Call) -> Answer {
    let value = |key: &str| call.query.utf8(key).map(Option::unwrap_or_default);
    let (user_id, app_id, pushkey) = (value("user_id")?, value("app_id")?, value("pushkey")?);
    let expected = call.app.home.seal_unsubscribe(&user_id, &app_id, &pushkey)?;
    if !bool::from(expected.as_bytes().ct_eq(value("token")?.as_bytes())) {
        return Err(MatrixError::forbidden("The link is not valid"));
    }
    call.write(move |tx| -> Result<(), reeve_accounts::Error> {
        match users::num(tx, &user_id)? {
            Some(num) => pushers::delete(tx, num, &app_id, &pushkey),
            None => Ok(()),
        }
    })
    .await?;
    let page =
        "<!DOCTYPE html>\n<html><body><p>You will not receive these e-mails any more.</p></body></html>\n";
    reply::text("text/html; charset=utf-8", page.to_owned())
}
