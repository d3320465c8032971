//! Requests of clients to act for an account, made in its browser, and the answer of its person.
//! <https://spec.matrix.org/v1.18/client-server-api/#authorisation-code-flow>

use reeve_accounts::login;
use reeve_db::{ReadTx, Tx};
use reeve_model::session::hash_token;
use reeve_model::{BrowserSession, Ctx, MatrixError, Millis, ResponseMode, encoding, random};
use reeve_store::oauth_requests::{self, NewOAuthRequest, OAuthRequest};

use crate::client::{Client, GrantType};
use crate::error::Error;
use crate::scope::ClientScope;
use crate::uri;

/// The time in which a person must answer, in milliseconds.
const REQUEST_MS: i64 = 30 * 60 * 1000;
/// The time in which a client must exchange a code, in milliseconds.
const CODE_MS: i64 = 60 * 1000;
/// Maximum length of the text that a client gets back, in bytes.
const MAX_STATE: usize = 2048;

/// The parameters of a request, as a client gives them to the browser.
#[derive(Clone, Debug, Default)]
pub struct Params {
    /// `client_id`.
    pub client_id: Option<String>,
    /// `redirect_uri`.
    pub redirect_uri: Option<String>,
    /// `response_type`.
    pub response_type: Option<String>,
    /// `response_mode`.
    pub response_mode: Option<String>,
    /// `scope`.
    pub scope: Option<String>,
    /// `state`.
    pub state: Option<String>,
    /// `code_challenge`.
    pub code_challenge: Option<String>,
    /// `code_challenge_method`.
    pub code_challenge_method: Option<String>,
    /// `prompt`.
    pub prompt: Option<String>,
}

/// The outcome of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Begun {
    /// The person is asked for consent.
    Asks {
        /// The id of the request.
        id: String,
        /// True if the person wants to make an account first.
        creates_account: bool,
    },
    /// The client gets an error.
    Refused {
        /// The client.
        client: Box<Client>,
        /// The address at which the browser continues.
        location: String,
        /// The error, for a page.
        text: String,
        /// True if the client wants no page to be shown.
        is_silent: bool,
    },
}

/// The pages that a client wants a person to see.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Prompt {
    /// No page at all.
    none: bool,
    /// A page to sign in, also with a session.
    login: bool,
    /// A page to make an account.
    create: bool,
}

impl Prompt {
    /// Reads the words of the parameter `prompt`. Those for pages that are shown in any case are ignored.
    fn read(text: Option<&str>) -> Result<Self, Error> {
        let mut prompt = Self::default();
        let words = || text.into_iter().flat_map(|text| text.split(' ')).filter(|word| !word.is_empty());
        for word in words() {
            match word {
                "none" => prompt.none = true,
                "login" => prompt.login = true,
                "create" => prompt.create = true,
                "consent" | "select_account" => {}
                _ => return Err(Error::Request("'prompt' is not supported")),
            }
        }
        if prompt.none && words().count() > 1 {
            return Err(Error::Request("'prompt' must not combine 'none' with others"));
        }
        Ok(prompt)
    }
}

/// Stores a request, or refuses it with an error for the client. If the client or the redirect URI is not known, the error is
/// for the person alone: the browser must not continue anywhere (RFC 6749, 4.1.2.1).
pub fn begin(
    tx: &mut Tx<'_>,
    ctx: &Ctx,
    issuer: &str,
    params: &Params,
    is_signed_in: bool,
) -> Result<Begun, Error> {
    let client_id = params.client_id.as_deref().ok_or(Error::Request("'client_id' is missing"))?;
    let client = Client::find(tx, client_id)?;
    let redirect_uri = params.redirect_uri.as_deref().ok_or(Error::Request("'redirect_uri' is missing"))?;
    if !client.redirects_to(redirect_uri) {
        return Err(Error::UnknownRedirect);
    }
    // The error about a response mode that is not known can only be in the usual part of the URI.
    let mode = params.response_mode.as_deref().map(str::parse::<ResponseMode>);
    let response_mode = match &mode {
        Some(Ok(mode)) => *mode,
        Some(Err(_)) | None => ResponseMode::Query,
    };
    let asked = if matches!(mode, Some(Err(_))) {
        Err(Error::Request("'response_mode' must be 'query' or 'fragment'"))
    } else {
        check(&client, params, is_signed_in)
    };
    let asked = match asked {
        Ok(asked) => asked,
        Err(error) => {
            let error = MatrixError::from(error);
            let (code, text) = (&*error.errcode, &*error.error);
            let state = params.state.as_deref().filter(|state| state.len() <= MAX_STATE);
            let fields = [("error", code), ("error_description", text)];
            return Ok(Begun::Refused {
                location: location(redirect_uri, response_mode, &fields, state, issuer),
                text: text.to_owned(),
                is_silent: matches!(Prompt::read(params.prompt.as_deref()), Ok(Prompt { none: true, .. })),
                client: Box::new(client),
            });
        }
    };
    client.touch(tx, ctx.now)?;
    let id = random::letters(24);
    oauth_requests::insert(
        tx,
        &NewOAuthRequest {
            id: id.clone(),
            client_id: client.client_id,
            redirect_uri: redirect_uri.to_owned(),
            response_mode,
            state: params.state.clone(),
            scope: asked.scope,
            code_challenge: asked.code_challenge,
            proves_again: asked.prompt.login,
            created_ts: ctx.now,
            ends_ts: ctx.now.plus(REQUEST_MS),
        },
    )?;
    Ok(Begun::Asks { id, creates_account: asked.prompt.create })
}

/// The contents of a request that is well-formed.
struct Asked {
    scope: String,
    code_challenge: String,
    prompt: Prompt,
}

/// Checks the parameters whose faults are reported to the client.
fn check(client: &Client, params: &Params, is_signed_in: bool) -> Result<Asked, Error> {
    if !client.metadata.grant_types.contains(&GrantType::Code) {
        return Err(Error::Unregistered);
    }
    match params.response_type.as_deref() {
        Some("code") => {}
        Some(_) => return Err(Error::ResponseType),
        None => return Err(Error::Request("'response_type' is missing")),
    }
    if params.state.as_ref().is_some_and(|state| state.len() > MAX_STATE) {
        return Err(Error::Request("'state' is too long"));
    }
    let scope = ClientScope::read(params.scope.as_deref().unwrap_or_default())?;
    // Without a method the challenge would be the secret itself, which is as good as none (RFC 9700, 2.1.1).
    if params.code_challenge_method.as_deref() != Some("S256") {
        return Err(Error::Request("'code_challenge_method' must be 'S256'"));
    }
    let code_challenge = params.code_challenge.clone().filter(|challenge| is_challenge(challenge));
    let code_challenge = code_challenge
        .ok_or(Error::Request("'code_challenge' must be a SHA-256 digest in base64 for URLs"))?;
    let prompt = Prompt::read(params.prompt.as_deref())?;
    if prompt.none {
        return Err(if is_signed_in { Error::ConsentRequired } else { Error::LoginRequired });
    }
    Ok(Asked { scope: scope.text, code_challenge, prompt })
}

fn is_challenge(text: &str) -> bool {
    encoding::from_url_base64(text).is_some_and(|digest| digest.len() == 32)
}

/// Returns the address at which a browser continues with a response. Every response names this server (RFC 9207), so that a
/// client which knows several can tell them apart.
fn location(
    redirect_uri: &str,
    mode: ResponseMode,
    fields: &[(&str, &str)],
    state: Option<&str>,
    issuer: &str,
) -> String {
    let mut all = fields.to_vec();
    all.extend(state.map(|state| ("state", state)));
    all.push(("iss", issuer));
    uri::with_fields(redirect_uri, mode == ResponseMode::Fragment, &all)
}

/// A request that waits for the answer of a person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// The client.
    pub client: Client,
    /// The scope that it asks for.
    pub scope: ClientScope,
    request: OAuthRequest,
}

impl Waiting {
    /// Returns a request; [`Error::Ended`] if it has ended, was answered, or never was.
    pub fn find(tx: &ReadTx<'_>, id: &str, now: Millis) -> Result<Self, Error> {
        let request = oauth_requests::find(tx, id)?.ok_or(Error::Ended)?;
        if request.user_num.is_some() || request.made.ends_ts <= now {
            return Err(Error::Ended);
        }
        let client = Client::find(tx, &request.made.client_id)?;
        let scope = ClientScope::read(&request.made.scope)?;
        Ok(Self { client, scope, request })
    }

    /// Returns true if the person must sign in again before the answer counts.
    pub fn needs_proof(&self, browser: &BrowserSession) -> bool {
        self.request.made.proves_again && browser.proven_ts < self.request.made.created_ts
    }

    /// Returns the source expression by which a Content Security Policy lets the form of the page continue at the client.
    pub fn form_source(&self) -> Option<String> {
        uri::source(&self.request.made.redirect_uri)
    }

    /// Returns the host at which the browser continues; `None` if it opens a program on the same machine.
    pub fn returns_to(&self) -> Option<String> {
        uri::host(&self.request.made.redirect_uri).filter(|host| !uri::is_loopback(host))
    }

    fn location(&self, fields: &[(&str, &str)], issuer: &str) -> String {
        let made = &self.request.made;
        location(&made.redirect_uri, made.response_mode, fields, made.state.as_deref(), issuer)
    }
}

/// Lets the client of a request act for an account; returns the address at which the browser continues, with the code.
pub fn allow(
    tx: &mut Tx<'_>,
    ctx: &Ctx,
    issuer: &str,
    browser: &BrowserSession,
    id: &str,
) -> Result<String, Error> {
    let waiting = Waiting::find(tx, id, ctx.now)?;
    if waiting.needs_proof(browser) {
        return Err(Error::LoginRequired);
    }
    login::check_may_log_in(&browser.user)?;
    let code = format!("rvc_{}", random::secret(40));
    oauth_requests::allow(tx, id, browser.user.num, &hash_token(&code), ctx.now.plus(CODE_MS))?;
    Ok(waiting.location(&[("code", code.as_str())], issuer))
}

/// Refuses a request; returns the address at which the browser continues, with the error.
pub fn refuse(tx: &mut Tx<'_>, ctx: &Ctx, issuer: &str, id: &str) -> Result<String, Error> {
    let waiting = Waiting::find(tx, id, ctx.now)?;
    oauth_requests::delete(tx, id)?;
    let error = MatrixError::from(Error::Refused);
    let fields = [("error", &*error.errcode), ("error_description", &*error.error)];
    Ok(waiting.location(&fields, issuer))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prompts() {
        let read = |text: &str| Prompt::read(Some(text)).ok();
        assert_eq!(Prompt::read(None).ok(), Some(Prompt::default()));
        assert_eq!(read(""), Some(Prompt::default()));
        assert_eq!(read("consent select_account"), Some(Prompt::default()));
        assert_eq!(read("none"), Some(Prompt { none: true, ..Prompt::default() }));
        assert_eq!(read("login create"), Some(Prompt { none: false, login: true, create: true }));
        for bad in ["none login", "none consent", "page", "LOGIN"] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }

    #[test]
    fn challenges() {
        assert!(is_challenge("E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"));
        for bad in [
            "",
            "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw+cM",
            "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw",
            "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM=",
        ] {
            assert!(!is_challenge(bad), "{bad}");
        }
    }
}
