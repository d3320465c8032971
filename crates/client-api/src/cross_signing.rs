//! Cross-signing keys, and signatures of users' and devices' keys.
//! <https://spec.matrix.org/v1.18/client-server-api/#cross-signing>

use http::Method;
use reeve_accounts::cross_signing::{self, Sent, Upload, Uploaded};
use reeve_app::shape::{self, AnyObject};
use reeve_app::{Access, Answer, Call, Route, body, reply};
use serde_json::json;

use crate::rooms::v3;
use crate::shapes;
use crate::uia;

body! {
    /// Cross-signing keys of an account.
    pub(crate) struct CrossSigningKeys {
        master_key: Option<AnyObject>,
        self_signing_key: Option<AnyObject>,
        user_signing_key: Option<AnyObject>,
        auth: Option<AnyObject>,
    }
}

pub(crate) fn routes() -> Vec<Route> {
    vec![
        v3(Method::POST, "keys/device_signing/upload", upload)
            .also("/_matrix/client/unstable/keys/device_signing/upload")
            .access(Access::User)
            .id("uploadCrossSigningKeys")
            .takes::<CrossSigningKeys>()
            .returns::<shape::Empty>(200)
            .interactive()
            .summary("Stores the cross-signing keys of the account")
            .description(
                "The first keys, and the same keys again, need no authentication. Replacing keys needs \
                 authentication, unless an administrator allowed it. A client that signed in with OAuth 2.0 sends the \
                 person to the page that `params` name, and then repeats the request.",
            )
            .errors(&[
                (400, "M_BAD_JSON", "a key is malformed"),
                (400, "M_INVALID_PARAM", "a key belongs to another user, or is for another usage"),
                (400, "M_INVALID_SIGNATURE", "a key is not signed by the master key"),
                (400, "M_MISSING_PARAM", "there is no master key"),
                (403, "M_FORBIDDEN", "a device of the account has the name of a key"),
            ])
            .spec("https://spec.matrix.org/v1.18/client-server-api/#post_matrixclientv3keysdevice_signingupload"),
        v3(Method::POST, "keys/signatures/upload", sign)
            .also("/_matrix/client/unstable/keys/signatures/upload")
            .access(Access::User)
            .id("uploadCrossSigningSignatures")
            .takes::<AnyObject>()
            .returns::<shapes::keys::Failures>(200)
            .summary("Stores signatures of keys and devices")
            .description("Invalid signatures are listed in `failures`; the others are stored.")
            .errors(&[(400, "M_BAD_JSON", "the body is not an object of objects of objects")])
            .spec("https://spec.matrix.org/v1.18/client-server-api/#post_matrixclientv3keyssignaturesupload"),
    ]
}

async fn upload(mut call: Call) -> Answer {
    let body: CrossSigningKeys = call.take().await?;
    let user = call.user()?.clone();
    let sent = Sent {
        master_key: body.master_key.value(),
        self_signing_key: body.self_signing_key.value(),
        user_signing_key: body.user_signing_key.value(),
    };
    let upload = Upload::read(sent, &user.user_id)?;
    for authenticated in [false, true] {
        if authenticated {
            uia::reset(&call, &body.auth).await?;
        }
        let (ctx, user, upload) = (call.ctx(), user.clone(), upload.clone());
        let uploaded =
            call.write(move |tx| cross_signing::upload(tx, &ctx, &user, &upload, authenticated)).await?;
        if uploaded == Uploaded::Stored {
            break;
        }
    }
    reply::empty()
}

async fn sign(mut call: Call) -> Answer {
    let AnyObject(body) = call.take().await?;
    let user = call.user()?.clone();
    let failures = call.write(move |tx| cross_signing::sign(tx, &user, &body)).await?;
    reply::ok(&json!({ "failures": failures }))
}
