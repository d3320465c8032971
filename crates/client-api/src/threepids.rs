//! Third-party ids of the caller's account, and the mails with which people prove that an e-mail address is theirs. This server
//! checks addresses itself: there is no identity server, and no telephone number is checked.
//! <https://spec.matrix.org/v1.18/client-server-api/#adding-account-administrative-contact-information>

use std::sync::Arc;

use reeve_accounts::Error;
use reeve_accounts::emails::{self, Client, Credentials, Request};
use reeve_app::body::Key;
use reeve_app::shape::AnyObject;
use reeve_app::{Access, Answer, Call, MatrixError, Route, body, page, reply, shape};
use reeve_model::EmailPurpose;
use reeve_outgoing::is_http;
use serde_json::json;
use url::Url;

use crate::shapes;
use crate::{email, uia};

/// The longest secret of a client and the longest id of a proof, in characters.
const MAX_WORD: usize = 255;
/// The longest URL at which a browser continues, in bytes.
const MAX_LINK: usize = 2048;

body! {
    /// A request for a mail with which an e-mail address is confirmed.
    #[schema(example = json!({ "client_secret": "monkeys_are_GREAT", "email": "alice@example.org", "send_attempt": 1 }))]
    pub(crate) struct RequestEmailToken {
        /// A secret of the client's choice: letters, digits and `.=_-`.
        client_secret: String,
        email: String,
        /// Another mail is sent only for a greater number.
        send_attempt: i64,
        /// The URL at which the browser continues when the address is confirmed, if the settings allow its host.
        next_link: Option<String>,
    }

    /// An e-mail address to add, which was confirmed.
    pub(crate) struct AddThreepid {
        client_secret: String,
        sid: String,
        auth: Option<AnyObject>,
    }

    /// A third-party id to remove.
    pub(crate) struct RemoveThreepid {
        /// `email` or `msisdn`.
        medium: String,
        address: String,
    }
}

const PROOF: (u16, &str, &str) =
    (403, "M_THREEPID_AUTH_FAILED", "the address is not confirmed, or the proof is of another client");
const NO_CHANGES: (u16, &str, &str) = (403, "M_FORBIDDEN", "administrators change addresses on this server");
const NO_IDENTITY_SERVER: (u16, &str, &str) =
    (400, "M_SERVER_NOT_TRUSTED", "always: the server works with no identity server");

pub(crate) fn routes() -> Vec<Route> {
    let mut routes = email_routes();
    routes.extend(msisdn_routes());
    routes.extend(account_routes());
    routes
}

fn email_routes() -> Vec<Route> {
    let request = |route: Route, id: &'static str, summary: &'static str| {
        route
            .id(id)
            .takes::<RequestEmailToken>()
            .returns::<shapes::account::BegunProof>(200)
            .summary(summary)
            .errors(&[
                (400, "M_INVALID_PARAM", "a value is not valid"),
                (400, "M_THREEPID_MEDIUM_NOT_SUPPORTED", "the server sends no e-mail"),
                (429, "M_LIMIT_EXCEEDED", "too many mails from this client, or to this address"),
            ])
    };
    vec![
        request(
            Route::post("/_matrix/client/v3/register/email/requestToken", register)
                .also("/_matrix/client/r0/register/email/requestToken")
                .access(Access::Anybody),
            "requestTokenToRegisterEmail",
            "Sends a mail with which an address is confirmed, to register with it",
        )
        .errors(&[
            (400, "M_THREEPID_IN_USE", "an account has the address, and the settings do not hide that"),
            (403, "M_FORBIDDEN", "registration is disabled"),
        ])
        .spec("https://spec.matrix.org/v1.18/client-server-api/#post_matrixclientv3registeremailrequesttoken"),
        request(
            Route::post("/_matrix/client/v3/account/password/email/requestToken", recover)
                .also("/_matrix/client/r0/account/password/email/requestToken")
                .access(Access::Anybody),
            "requestTokenToResetPasswordEmail",
            "Sends a mail with which an address is confirmed, to set a new password",
        )
        .errors(&[
            (400, "M_THREEPID_NOT_FOUND", "no account has the address, and the settings do not hide that"),
            (403, "M_FORBIDDEN", "passwords cannot be changed"),
        ])
        .spec(
            "https://spec.matrix.org/v1.18/client-server-api/#post_matrixclientv3accountpasswordemailrequesttoken",
        ),
        request(
            Route::post("/_matrix/client/v3/account/3pid/email/requestToken", add_email)
                .also("/_matrix/client/r0/account/3pid/email/requestToken")
                .access(Access::Optional),
            "requestTokenTo3PIDEmail",
            "Sends a mail with which an address is confirmed, to add it to an account",
        )
        .description("With an access token, the address can be added to the account of the caller only.")
        .errors(&[
            (400, "M_THREEPID_IN_USE", "the caller has the address, or another account, and the settings do not hide that"),
            NO_CHANGES,
            (403, "M_USER_DEACTIVATED", "the account was deactivated meanwhile"),
        ])
        .spec("https://spec.matrix.org/v1.18/client-server-api/#post_matrixclientv3account3pidemailrequesttoken"),
    ]
}

fn msisdn_routes() -> Vec<Route> {
    let request = |path: &str, id: &'static str, spec: &'static str| {
        Route::post(&format!("/_matrix/client/v3/{path}"), no_telephone)
            .also(&format!("/_matrix/client/r0/{path}"))
            .access(Access::Anybody)
            .id(id)
            .takes::<AnyObject>()
            .summary("Refuses: the server checks no telephone numbers")
            .errors(&[(400, "M_THREEPID_MEDIUM_NOT_SUPPORTED", "always")])
            .spec(spec)
    };
    vec![
        request(
            "register/msisdn/requestToken",
            "requestTokenToRegisterMSISDN",
            "https://spec.matrix.org/v1.18/client-server-api/#post_matrixclientv3registermsisdnrequesttoken",
        ),
        request(
            "account/password/msisdn/requestToken",
            "requestTokenToResetPasswordMSISDN",
            "https://spec.matrix.org/v1.18/client-server-api/#post_matrixclientv3accountpasswordmsisdnrequesttoken",
        ),
        request(
            "account/3pid/msisdn/requestToken",
            "requestTokenTo3PIDMSISDN",
            "https://spec.matrix.org/v1.18/client-server-api/#post_matrixclientv3account3pidmsisdnrequesttoken",
        ),
    ]
}

fn account_routes() -> Vec<Route> {
    vec![
        Route::post("/_matrix/client/v3/account/3pid/add", add)
            .also("/_matrix/client/r0/account/3pid/add")
            .access(Access::User)
            .id("add3PID")
            .takes::<AddThreepid>()
            .returns::<shape::Empty>(200)
            .interactive()
            .summary("Adds an e-mail address to the account that was confirmed before")
            .errors(&[
                (400, "M_INVALID_PARAM", "a value is not valid"),
                (400, "M_THREEPID_IN_USE", "another account got the address meanwhile"),
                (400, "M_TOO_LARGE", "the account has too many addresses"),
                PROOF,
                NO_CHANGES,
            ])
            .spec("https://spec.matrix.org/v1.18/client-server-api/#post_matrixclientv3account3pidadd"),
        Route::post("/_matrix/client/v3/account/3pid/delete", remove)
            .also("/_matrix/client/r0/account/3pid/delete")
            .access(Access::User)
            .not_suspended("A suspended account cannot remove addresses")
            .id("delete3pidFromAccount")
            .takes::<RemoveThreepid>()
            .returns::<shapes::account::Unbound>(200)
            .summary("Removes a third-party id from the account")
            .errors(&[
                (400, "M_INVALID_PARAM", "the medium is unknown"),
                (400, "M_UNKNOWN", "it is no e-mail address"),
                NO_CHANGES,
            ])
            .spec("https://spec.matrix.org/v1.18/client-server-api/#post_matrixclientv3account3piddelete"),
        Route::post("/_matrix/client/v3/account/3pid", bind)
            .also("/_matrix/client/r0/account/3pid")
            .access(Access::User)
            .id("post3PIDs")
            .takes::<AnyObject>()
            .summary("Refuses: the server works with no identity server")
            .description(
                "`/account/3pid/add` adds an address that this server has checked, with a proof of identity.",
            )
            .errors(&[NO_IDENTITY_SERVER])
            .spec("https://spec.matrix.org/v1.18/client-server-api/#post_matrixclientv3account3pid"),
        Route::post("/_matrix/client/v3/account/3pid/bind", bind)
            .also("/_matrix/client/r0/account/3pid/bind")
            .access(Access::User)
            .id("bind3PID")
            .takes::<AnyObject>()
            .summary("Refuses: the server works with no identity server")
            .errors(&[NO_IDENTITY_SERVER])
            .spec("https://spec.matrix.org/v1.18/client-server-api/#post_matrixclientv3account3pidbind"),
        Route::post("/_matrix/client/v3/account/3pid/unbind", unbind)
            .also("/_matrix/client/r0/account/3pid/unbind")
            .access(Access::User)
            .id("unbind3pidFromAccount")
            .takes::<AnyObject>()
            .returns::<shapes::account::Unbound>(200)
            .summary(
                "Says that nothing was removed from an identity server, since the server works with none",
            )
            .spec("https://spec.matrix.org/v1.18/client-server-api/#post_matrixclientv3account3pidunbind"),
    ]
}

async fn register(call: Call) -> Answer {
    if !call.app.policy.registration_enabled {
        return Err(MatrixError::forbidden("Registration has been disabled"));
    }
    request(call, EmailPurpose::Register).await
}

async fn recover(call: Call) -> Answer {
    if !call.app.policy.password_enabled {
        return Err(Error::PasswordChangeDisabled.into());
    }
    request(call, EmailPurpose::Reset).await
}

async fn add_email(call: Call) -> Answer {
    emails::check_own(&call.app.policy)?;
    request(call, EmailPurpose::Add).await
}

async fn request(mut call: Call, purpose: EmailPurpose) -> Answer {
    let body: RequestEmailToken = call.take().await?;
    body::require([body.client_secret.missing(), body.email.missing(), body.send_attempt.missing()])?;
    let secret = word(&body.client_secret)?;
    let address = emails::address(&body.email.read()?)
        .map_err(|_| MatrixError::invalid_param("'email' is not an e-mail address"))?;
    let send_attempt = body.send_attempt.read()?;
    let next_link = next_link(&call, body.next_link.read()?)?;
    let request = Request {
        purpose,
        address,
        user_num: call.optional_session().map(|session| session.user.num),
        client: Some(Client { secret, send_attempt }),
        next_link,
        language: page::preferred_language(&call.headers),
    };
    let sid = email::ask(&call, request).await?;
    reply::ok(&json!({ "sid": sid }))
}

/// Returns a secret of a client, or the id of a proof.
fn word(key: &Key<String>) -> Result<String, MatrixError> {
    let word = key.read()?;
    let is_of_word = |c: char| c.is_ascii_alphanumeric() || ".=_-".contains(c);
    if word.is_empty() || word.len() > MAX_WORD || !word.chars().all(is_of_word) {
        let text = format!("'{}' must have 1 to 255 letters, digits and characters of .=_-", key.name());
        return Err(MatrixError::invalid_param(text));
    }
    Ok(word)
}

/// Returns the URL at which the browser continues; `None` if the settings do not allow its host.
fn next_link(call: &Call, given: Option<String>) -> Result<Option<String>, MatrixError> {
    let Some(given) = given.filter(|given| !given.is_empty()) else { return Ok(None) };
    let url = Url::parse(&given).ok().filter(|url| given.len() <= MAX_LINK && is_http(url));
    let url = url.ok_or_else(|| MatrixError::invalid_param("'next_link' must be an http or https URL"))?;
    let is_plain = url.username().is_empty() && url.password().is_none();
    let hosts = &call.app.policy.mail.next_link_hosts;
    let is_allowed = is_plain && url.host_str().is_some_and(|host| hosts.iter().any(|known| known == host));
    Ok(is_allowed.then(|| url.to_string()))
}

async fn no_telephone(mut call: Call) -> Answer {
    call.take::<AnyObject>().await?;
    let text = "This server checks no telephone numbers";
    Err(MatrixError::bad_request("M_THREEPID_MEDIUM_NOT_SUPPORTED", text))
}

async fn add(mut call: Call) -> Answer {
    let body: AddThreepid = call.take().await?;
    body::require([body.client_secret.missing(), body.sid.missing()])?;
    let credentials = Credentials { sid: word(&body.sid)?, secret: word(&body.client_secret)? };
    emails::check_own(&call.app.policy)?;
    uia::owner(&call, &body.auth).await?;
    let (ctx, app) = (call.ctx(), Arc::clone(&call.app));
    call.act(move |tx, session| emails::add(tx, &ctx, &app.policy, &session.user, &credentials)).await?;
    reply::empty()
}

async fn remove(mut call: Call) -> Answer {
    let body: RemoveThreepid = call.take().await?;
    body::require([body.medium.missing(), body.address.missing()])?;
    let (medium, address) = (body.medium.read()?, body.address.read()?);
    let (ctx, app) = (call.ctx(), Arc::clone(&call.app));
    call.act(move |tx, session| emails::remove(tx, &ctx, &app.policy, &session.user, &medium, &address))
        .await?;
    not_unbound()
}

async fn bind(mut call: Call) -> Answer {
    call.take::<AnyObject>().await?;
    Err(MatrixError::bad_request("M_SERVER_NOT_TRUSTED", "This server works with no identity server"))
}

async fn unbind(mut call: Call) -> Answer {
    call.take::<AnyObject>().await?;
    not_unbound()
}

/// Returns that nothing was removed from an identity server.
fn not_unbound() -> Answer {
    reply::ok(&json!({ "id_server_unbind_result": "no-support" }))
}
