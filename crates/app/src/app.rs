//! The state of the server that handlers work with: created once at start, shared by all requests.

use std::ops::Deref;
use std::sync::Arc;

use axum_core::response::Response;
use reeve_accounts::password::Hasher;
use reeve_accounts::seen::Seen;
use reeve_accounts::selections::Selections;
use reeve_accounts::service_uses::ServiceUses;
use reeve_accounts::{Policy, browser_sessions, sessions};
use reeve_db::ReadTx;
use reeve_export::Exports;
use reeve_html::Html;
use reeve_http::{Base, Caller, Credentials, Head, Refused, State, Token};
use reeve_jobs::Jobs;
use reeve_media::Library;
use reeve_model::MatrixError;
use reeve_outgoing::Outgoing;
use reeve_previews::Previews;
use reeve_rooms::Home;
use reeve_store::service_tokens;
use reeve_sync::Notifier;
use reeve_webhooks::Webhooks;
use tokio::sync::watch;

use crate::discovery::Discovery;
use crate::oauth::OAuthSettings;
use crate::page;
use crate::scim::ScimSettings;

/// The running server, as handlers use it. The part that the HTTP engine works with is reached through it.
pub struct App {
    /// The part that the HTTP engine works with.
    pub base: Base,
    /// The account policy of the operator.
    pub policy: Policy,
    /// The bounded pool of password hashing threads.
    pub hasher: Hasher,
    /// The last-seen tracker.
    pub seen: Seen,
    /// The roster of all accounts, by which selections are answered.
    pub selections: Selections,
    /// The last use of each service token.
    pub service_uses: ServiceUses,
    /// The job runner.
    pub jobs: Jobs,
    /// Uploads.
    pub media: Library,
    /// This homeserver, for operations on rooms.
    pub home: Arc<Home>,
    /// The notifier, which wakes waiting requests.
    pub notifier: Arc<Notifier>,
    /// Requests that the server makes.
    pub outgoing: Outgoing,
    /// Previews of web pages, if enabled.
    pub previews: Option<Previews>,
    /// The rules by which old data is deleted.
    pub retention: reeve_retention::Settings,
    /// Webhooks.
    pub webhooks: Webhooks,
    /// Archives of everything about single accounts.
    pub exports: Exports,
    /// The addresses that clients are told.
    pub discovery: Discovery,
    /// The settings for signing in with OAuth 2.0, if it is enabled.
    pub oauth: Option<OAuthSettings>,
    /// The settings for provisioning with SCIM.
    pub scim: ScimSettings,
    /// The templates, texts and assets of pages.
    pub html: Html,
    /// Becomes true when the server stops, so that waiting requests end.
    pub stop: watch::Sender<bool>,
}

impl App {
    /// A signal that the server stops.
    pub fn stopping(&self) -> watch::Receiver<bool> {
        self.stop.subscribe()
    }
}

impl Deref for App {
    type Target = Base;

    fn deref(&self) -> &Base {
        &self.base
    }
}

impl State for App {
    fn caller(&self, tx: &ReadTx<'_>, credentials: &Credentials) -> Result<Option<Caller>, MatrixError> {
        Ok(match &credentials.token {
            Token::Access(hash) => {
                sessions::find(tx, &self.policy, hash)?.map(|session| Caller::Session(Box::new(session)))
            }
            Token::Service(hash) => {
                service_tokens::caller(tx, hash)?.map(|service| Caller::Service(Box::new(service)))
            }
            Token::Browser(hash) => {
                let browser = browser_sessions::find(tx, &self.policy, hash)?;
                browser.map(|browser| Caller::Browser(Box::new(browser)))
            }
        })
    }

    fn note(&self, head: &Head<Self>, caller: &Caller) {
        match caller {
            // The use of a browser session is noted when it is confirmed.
            Caller::Nobody | Caller::Browser(_) => {}
            Caller::Session(session) => self.seen.note(session, &head.ip, head.user_agent(), head.now),
            Caller::Service(service) => self.service_uses.note(service.num, &head.ip, head.now),
        }
    }

    async fn confirm(&self, caller: &Caller) -> Result<(), MatrixError> {
        match caller {
            Caller::Session(session) if session.unconfirmed => {
                let token_hash = session.token_hash;
                Ok(self.db.write(move |tx| sessions::confirm(tx, &token_hash)).await?)
            }
            Caller::Browser(browser)
                if browser_sessions::is_to_be_noted(&self.policy, browser, self.clock.now()) =>
            {
                let (policy, browser, now) = (self.policy.clone(), browser.clone(), self.clock.now());
                Ok(self.db.write(move |tx| browser_sessions::note(tx, &policy, &browser, now)).await?)
            }
            Caller::Nobody | Caller::Session(_) | Caller::Service(_) | Caller::Browser(_) => Ok(()),
        }
    }

    fn error_page(&self, refused: &Refused, error: &MatrixError) -> Response {
        page::error(&self.html, refused, error)
    }
}
