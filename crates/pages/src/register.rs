//! Making an account: the page with the form, and that of the link in a mail, by which a person proves that an e-mail address is
//! theirs before there is an account.

use std::sync::Arc;

use axum_core::response::Response;
use http::StatusCode;
use reeve_accounts::Policy;
use reeve_accounts::emails::{self, Link, Proof, Request};
use reeve_accounts::registration::{Email, FirstSession, Permission, Registration};
use reeve_accounts::users::{self, NewUser};
use reeve_app::limits::{Bucket, Source};
use reeve_app::{
    Access, Answer, Call, Content, Family, Limit, MatrixError, Param, Reading, Route, Visit, body, reply,
};
use reeve_client_api::{create_account, email};
use reeve_model::{EmailPurpose, User};
use reeve_store::registration_tokens;
use serde::Serialize;

use crate::links::REGISTER;
use crate::mail_link::{self, REGISTRATION, TOKEN};
use crate::new_password::{self, Rules};
use crate::page::{self, Nothing, Visitor};
use crate::problem::Problem;
use crate::{signed_in, target};

const LINKED: &str = "/_reeve/pages/register/{mail_token}";
const CLOSED: (u16, &str, &str) = (403, "M_FORBIDDEN", "registration is disabled");
const REFUSED: (u16, &str, &str) = (
    400,
    "M_INVALID_PARAM",
    "a field is empty, the name cannot be given, the password breaks a rule, or the registration token cannot be used",
);
const LIMITED: (u16, &str, &str) =
    (429, "M_LIMIT_EXCEEDED", "too many registrations from this address, or too many mails");

body! {
    /// A new account, as its person enters it on the page.
    pub(crate) struct RegistrationForm {
        /// The localpart.
        username: Option<String>,
        password: Option<String>,
        registration_token: Option<String>,
        email: Option<String>,
        /// The path and query of the page at which to continue.
        to: Option<String>,
    }

    /// A new account with the e-mail address of a link in a mail.
    pub(crate) struct LinkedRegistrationForm {
        /// The localpart.
        username: Option<String>,
        password: Option<String>,
        registration_token: Option<String>,
    }
}

pub(crate) fn routes() -> Vec<Route> {
    let to = Param::text("to", "the path and query of the page at which to continue");
    vec![
        page::shown(Route::read(REGISTER, show), Access::Page)
            .id("showRegistration")
            .returns_other(303, Content::Nothing)
            .query(page::params([to]))
            .summary("Shows the page on which people make accounts, unless somebody has signed in")
            .errors(&[CLOSED]),
        page::form::<RegistrationForm>(Route::post(REGISTER, register), Access::Page)
            .before_password_change()
            .limit(Limit::Registration)
            .id("registerByPage")
            .returns_other(200, Content::Text(Family::Page.media_type()))
            .summary("Makes an account, and signs in")
            .description(
                "Where registration needs an e-mail address, it sends a mail instead, with a link to the page that makes the \
                 account.",
            )
            .errors(&[
                REFUSED,
                (400, "M_THREEPID_IN_USE", "an account has the e-mail address, and the settings do not hide that"),
                CLOSED,
                LIMITED,
            ]),
        page::shown(Route::read(LINKED, show_linked), Access::Page)
            .id("showRegistrationLink")
            .summary("Shows the page on which an account with the e-mail address of a link is made")
            .errors(&[CLOSED, mail_link::ENDED]),
        page::form::<LinkedRegistrationForm>(Route::post(LINKED, register_linked), Access::Page)
            .before_password_change()
            .limit(Limit::Registration)
            .id("registerByLink")
            .summary("Makes an account with the e-mail address of a link, and signs in")
            .errors(&[
                REFUSED,
                (400, "M_THREEPID_IN_USE", "an account got the e-mail address meanwhile"),
                CLOSED,
                LIMITED,
                mail_link::ENDED,
            ]),
    ]
}

/// The page with the form of a new account.
enum Place {
    /// The one to which others lead.
    Open {
        /// The path and query of the page at which the person continues.
        to: Option<String>,
    },
    /// That of the link in a mail.
    Linked {
        /// The token of the link.
        token: String,
        link: Link,
    },
}

/// The values that a person entered.
#[derive(Default)]
struct Entered {
    username: String,
    /// It is not shown again.
    password: Option<String>,
    registration_token: String,
    email: String,
}

impl Entered {
    fn localpart(&self) -> String {
        self.username.to_lowercase()
    }
}

/// The values in the page with the form of a new account.
#[derive(Serialize)]
struct Values<'a> {
    action: String,
    /// The address that the person proved to be theirs.
    address: Option<&'a str>,
    server: &'a str,
    username: String,
    needs_token: bool,
    registration_token: String,
    takes_email: bool,
    email: String,
    to: &'a str,
    /// The parameters of the page in another language.
    keep: String,
    rules: Rules,
    problems: Vec<Problem>,
}

impl Place {
    fn page(
        &self,
        visitor: &impl Visitor,
        status: StatusCode,
        entered: Entered,
        problems: Vec<Problem>,
    ) -> Response {
        let (action, address, to) = match self {
            Self::Open { to } => (REGISTER.to_owned(), None, to.as_deref()),
            Self::Linked { token, link } => {
                (mail_link::path("register", token), Some(link.address.as_str()), None)
            }
        };
        let head = visitor.head();
        let policy = &head.app.policy;
        let values = Values {
            action,
            address,
            server: &head.app.server_name,
            username: entered.username,
            needs_token: policy.registration_requires_token,
            registration_token: entered.registration_token,
            takes_email: address.is_none() && takes_email(policy),
            email: entered.email,
            to: to.unwrap_or_default(),
            keep: target::kept(to),
            rules: policy.password_rules.into(),
            problems,
        };
        page::show(visitor, status, "register.html", values)
    }

    /// Returns the path and query of the page at which the person continues.
    fn to(self) -> Option<String> {
        match self {
            Self::Open { to } => to,
            Self::Linked { link, .. } => link.next_link,
        }
    }
}

/// Returns true if people can give an e-mail address that they have not proved yet.
fn takes_email(policy: &Policy) -> bool {
    policy.mail.enabled && policy.mail.own_addresses && !policy.registration_requires_email
}

/// Returns the page that says that nobody can register; `None` if people can.
fn closed(visitor: &impl Visitor) -> Option<Response> {
    let is_closed = !visitor.head().app.policy.registration_enabled;
    is_closed.then(|| page::show(visitor, StatusCode::FORBIDDEN, "register_closed.html", Nothing {}))
}

fn show(call: &Reading<'_>) -> Answer {
    let to = target::local(call.query.lossy("to"));
    if let Ok(browser) = call.browser() {
        return reply::see_other(&signed_in::next(&browser.user, to));
    }
    if let Some(closed) = closed(call) {
        return Ok(closed);
    }
    if call.app.policy.registration_requires_email {
        return Ok(asking(call, StatusCode::OK, to.as_deref(), Asking::default()));
    }
    Ok(Place::Open { to }.page(call, StatusCode::OK, Entered::default(), Vec::new()))
}

async fn register(mut call: Call) -> Answer {
    let form: RegistrationForm = call.take_form().await?;
    let entered = Entered {
        username: trimmed(form.username.read()?),
        password: form.password.read()?,
        registration_token: trimmed(form.registration_token.read()?),
        email: trimmed(form.email.read()?),
    };
    let to = target::local(form.to.read()?);
    if let Some(closed) = closed(&call) {
        return Ok(closed);
    }
    if call.app.policy.registration_requires_email {
        return ask(&call, entered.email, to).await;
    }
    complete(&call, Place::Open { to }, entered).await
}

fn show_linked(call: &Reading<'_>) -> Answer {
    if let Some(closed) = closed(call) {
        return Ok(closed);
    }
    let token = call.param(TOKEN);
    match emails::open_registration(call.tx, &token, call.now) {
        Ok(link) => {
            let place = Place::Linked { token, link };
            Ok(place.page(call, StatusCode::OK, Entered::default(), Vec::new()))
        }
        Err(error) => mail_link::ended(call, error.into(), Some(&REGISTRATION)),
    }
}

async fn register_linked(mut call: Call) -> Answer {
    let form: LinkedRegistrationForm = call.take_form().await?;
    let entered = Entered {
        username: trimmed(form.username.read()?),
        password: form.password.read()?,
        registration_token: trimmed(form.registration_token.read()?),
        email: String::new(),
    };
    if let Some(closed) = closed(&call) {
        return Ok(closed);
    }
    let (token, now) = (call.param(TOKEN), call.now);
    let wanted = token.clone();
    match call.read(move |tx| emails::open_registration(tx, &wanted, now)).await {
        Ok(link) => complete(&call, Place::Linked { token, link }, entered).await,
        Err(error) => mail_link::ended(&call, error, Some(&REGISTRATION)),
    }
}

fn trimmed(given: Option<String>) -> String {
    given.unwrap_or_default().trim().to_owned()
}

/// The values in the page that asks for an address.
#[derive(Default, Serialize)]
struct Asking {
    email: String,
    to: String,
    /// The parameters of the page in another language.
    keep: String,
    /// True if the mail is on its way.
    is_sent: bool,
    problems: Vec<Problem>,
}

fn asking(visitor: &impl Visitor, status: StatusCode, to: Option<&str>, values: Asking) -> Response {
    let values = Asking { to: to.unwrap_or_default().to_owned(), keep: target::kept(to), ..values };
    page::show(visitor, status, "register_email.html", values)
}

/// Sends a mail to an address, with a link to the page that makes the account.
async fn ask(call: &Call, email: String, to: Option<String>) -> Answer {
    let refused = |email: String, key| {
        let problems = vec![Problem::at("email", key)];
        let values = Asking { email, problems, ..Asking::default() };
        Ok(asking(call, StatusCode::BAD_REQUEST, to.as_deref(), values))
    };
    let Ok(address) = emails::address(&email) else { return refused(email, "emails-bad") };
    match email::ask(call, request(call, EmailPurpose::Register, address, to.clone())).await {
        Ok(_) => {
            let values = Asking { email, is_sent: true, ..Asking::default() };
            Ok(asking(call, StatusCode::OK, to.as_deref(), values))
        }
        Err(error) if error.errcode == "M_THREEPID_IN_USE" => refused(email, "emails-in-use"),
        Err(error) => Err(error),
    }
}

fn request(call: &Call, purpose: EmailPurpose, address: String, next_link: Option<String>) -> Request {
    let language = Some(page::language(call));
    Request { purpose, address, user_num: None, client: None, next_link, language }
}

/// Makes the account, or shows what is wrong with what was entered.
async fn complete(call: &Call, place: Place, entered: Entered) -> Answer {
    call.app.limiter.peek(Bucket::Registration(Source::of(&call.ip)), call.now)?;
    let problems = problems(call, &place, &entered).await?;
    if !problems.is_empty() {
        return Ok(place.page(call, StatusCode::BAD_REQUEST, entered, problems));
    }
    let visit = Visit::begin();
    match make(call, &place, &entered, &visit).await {
        Ok(user) => signed_in::go_on(call, &visit, &user, place.to()),
        Err(error) => match refusal(&place, error) {
            Ok(problem) => Ok(place.page(call, StatusCode::BAD_REQUEST, entered, vec![problem])),
            Err(error) => mail_link::ended(call, error, Some(&REGISTRATION)),
        },
    }
}

/// Returns what is wrong with what was entered, as far as it shows before the account is made.
async fn problems(call: &Call, place: &Place, entered: &Entered) -> Result<Vec<Problem>, MatrixError> {
    let (policy, localpart) = (&call.app.policy, entered.localpart());
    let user_id = call.ctx().user_id(&localpart);
    let password = match &entered.password {
        Some(password) => new_password::problem("password", password, policy.password_rules, &user_id),
        None => Some(Problem::at("password", "register-missing-password")),
    };
    let has_bad_email = claims_email(policy, entered) && emails::address(&entered.email).is_err();
    let all = [
        name_problem(call, place, localpart).await?,
        password,
        token_problem(call, &entered.registration_token).await?,
        has_bad_email.then(|| Problem::at("email", "emails-bad")),
    ];
    Ok(all.into_iter().flatten().collect())
}

async fn name_problem(call: &Call, place: &Place, localpart: String) -> Result<Option<Problem>, MatrixError> {
    if localpart.is_empty() {
        return Ok(Some(Problem::at("username", "register-missing-name")));
    }
    let (ctx, app) = (call.ctx(), Arc::clone(&call.app));
    match call.read(move |tx| users::check_name(tx, &ctx, &app.policy, &localpart)).await {
        Ok(()) => Ok(None),
        Err(error) => refusal(place, error).map(Some),
    }
}

async fn token_problem(call: &Call, token: &str) -> Result<Option<Problem>, MatrixError> {
    if !call.app.policy.registration_requires_token {
        return Ok(None);
    }
    if token.is_empty() {
        return Ok(Some(Problem::at("registration_token", "register-missing-token")));
    }
    let (wanted, now) = (token.to_owned(), call.now);
    let found = call.read(move |tx| registration_tokens::find(tx, &wanted)).await?;
    let is_valid = found.is_some_and(|found| found.is_valid(now));
    Ok((!is_valid).then(|| Problem::at("registration_token", "register-bad-token")))
}

/// Makes the account with a session of the browser.
async fn make(call: &Call, place: &Place, entered: &Entered, visit: &Visit) -> Result<User, MatrixError> {
    let policy = &call.app.policy;
    let email = match place {
        Place::Open { .. } => claimed(call, entered).await?,
        Place::Linked { token, .. } => Some(Email::Proven(Proof::Link(token.clone()))),
    };
    let password = entered.password.as_deref().unwrap_or_default();
    let localpart = entered.localpart();
    let account = NewUser {
        displayname: Some(localpart.clone()),
        localpart,
        password_hash: Some(call.app.hasher.hash(password).await?),
        ..NewUser::default()
    };
    let permission = if policy.registration_requires_token {
        Permission::Token(entered.registration_token.clone())
    } else {
        Permission::Free
    };
    let new = Registration {
        account,
        numbered: false,
        first: Some(FirstSession::Browser(signed_in::browser(call, visit))),
        permission,
        email,
        needs_email: policy.registration_requires_email,
    };
    let (user, _) = create_account(call, new).await?;
    Ok(user)
}

/// Returns true if an address was entered that is not proved yet.
fn claims_email(policy: &Policy, entered: &Entered) -> bool {
    takes_email(policy) && !entered.email.is_empty()
}

/// Returns the address that was entered, if any. The mail to it counts against the limits.
async fn claimed(call: &Call, entered: &Entered) -> Result<Option<Email>, MatrixError> {
    if !claims_email(&call.app.policy, entered) {
        return Ok(None);
    }
    let request = request(call, EmailPurpose::Add, emails::address(&entered.email)?, None);
    email::count(call, &request).await?;
    Ok(Some(Email::Claimed(request)))
}

/// Returns the problem that a refusal is; otherwise the error.
fn refusal(place: &Place, error: MatrixError) -> Result<Problem, MatrixError> {
    match (error.status, &*error.errcode, place) {
        (400, "M_INVALID_USERNAME", _) => Ok(Problem::at("username", "register-bad-name")),
        (400, "M_USER_IN_USE" | "M_EXCLUSIVE", _) => Ok(Problem::at("username", "register-name-taken")),
        (400, "M_THREEPID_IN_USE", Place::Open { .. }) => Ok(Problem::at("email", "emails-in-use")),
        (400, "M_THREEPID_IN_USE", Place::Linked { .. }) => Ok(Problem::new("email-in-use")),
        (401, "M_UNAUTHORIZED", _) => Ok(Problem::at("registration_token", "register-bad-token")),
        (_, _, _) => Err(error),
    }
}
