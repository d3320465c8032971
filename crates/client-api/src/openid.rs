//! OpenID tokens, with which users prove their identity to other services.
//! <https://spec.matrix.org/v1.18/client-server-api/#openid>

use http::Method;
use reeve_accounts::sessions::{self, OPENID_TOKEN_MS};
use reeve_app::shape::AnyObject;
use reeve_app::{Access, Answer, Call, MatrixError, Param, Route, reply};
use serde_json::json;

use crate::rooms::v3;
use crate::shapes;

pub(crate) fn routes() -> Vec<Route> {
    vec![
        v3(Method::POST, "user/{user_id}/openid/request_token", request_token)
            .access(Access::User)
            .id("requestOpenIdToken")
            .takes::<AnyObject>()
            .returns::<shapes::account::OpenIdToken>(200)
            .summary("Creates a token that proves the caller's user id to another service")
            .description("The token is valid for an hour and for no other purpose.")
            .errors(&[(403, "M_FORBIDDEN", "the user id is not the caller's, or the token is a login-as token")])
            .spec("https://spec.matrix.org/v1.18/client-server-api/#post_matrixclientv3useruseridopenidrequest_token"),
        Route::get("/_matrix/federation/v1/openid/userinfo", user_info)
            .access(Access::Anybody)
            .summary("Returns the user id of the account that created an OpenID token")
            .id("getOpenIdUserInfo")
            .returns::<shapes::account::OpenIdUser>(200)
            .query([Param::text("access_token", "the OpenID token")])
            .errors(&[
                (401, "M_MISSING_TOKEN", "the token is missing"),
                (401, "M_UNKNOWN_TOKEN", "the token is unknown or has expired, or the account is locked or deactivated"),
            ])
            .spec("https://spec.matrix.org/v1.18/server-server-api/#get_matrixfederationv1openiduserinfo"),
    ]
}

async fn request_token(mut call: Call) -> Answer {
    let session = call.session()?.clone();
    if call.params.get("user_id") != session.user.user_id {
        return Err(MatrixError::forbidden("Cannot request tokens for other users."));
    }
    // The body is reserved, but must be an object.
    call.take::<AnyObject>().await?;
    let ctx = call.ctx();
    let token = call.write(move |tx| sessions::create_openid_token(tx, &ctx, &session)).await?;
    reply::ok(&json!({
        "access_token": token,
        "token_type": "Bearer",
        "matrix_server_name": &*call.app.server_name,
        "expires_in": OPENID_TOKEN_MS / 1000,
    }))
}

async fn user_info(call: Call) -> Answer {
    let refused = |errcode, text| MatrixError::new(401, errcode, text);
    let token = call.query.utf8("access_token")?.filter(|token| !token.is_empty());
    let token = token.ok_or_else(|| refused("M_MISSING_TOKEN", "Access Token required"))?;
    let now = call.now;
    let user = call.read(move |tx| sessions::openid_user(tx, now, &token)).await?;
    let user = user.ok_or_else(|| refused("M_UNKNOWN_TOKEN", "Access Token unknown or expired"))?;
    reply::ok(&json!({ "sub": user.user_id }))
}
