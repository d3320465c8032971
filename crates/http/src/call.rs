//! One request, as a handler sees it.

use std::ops::Deref;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use axum::body::Body;
use bytes::{Bytes, BytesMut};
use http::HeaderMap;
use http_body_util::BodyExt;
use reeve_accounts::sessions::Session;
use reeve_db::{DbError, ReadTx, Tx};
use reeve_model::{Actor, Ctx, Millis, User, clock};

use crate::app::App;
use crate::auth;
use crate::error::MatrixError;
use crate::json::{self, Object};
use crate::query::Query;
use crate::route::Route;
use crate::unread::{Slot, THROWN_AWAY};

/// The values of a path's parameters.
#[derive(Debug, Default, Clone)]
pub struct Params {
    pairs: Vec<(String, String)>,
}

impl Params {
    pub(crate) fn new(pairs: Vec<(String, String)>) -> Self {
        Self { pairs }
    }

    /// The decoded value of a parameter; blank if the route has none of that name.
    pub fn get(&self, name: &str) -> &str {
        self.pairs.iter().find(|(key, _)| key == name).map_or("", |(_, value)| value)
    }

    pub(crate) fn has_nul(&self) -> bool {
        self.pairs.iter().any(|(_, value)| value.contains('\0'))
    }
}

/// What is known of a request before anything is asked of the database.
pub struct Head {
    /// The running server.
    pub app: Arc<App>,
    /// The path's parameters.
    pub params: Params,
    /// The query string.
    pub query: Query,
    /// The headers.
    pub headers: HeaderMap,
    /// The address of the client.
    pub ip: Arc<str>,
    /// The id of the request, in the log and in the answer's `X-Request-Id`.
    pub request_id: Arc<str>,
    /// When the request came, in milliseconds.
    pub now: Millis,
    /// The method and the path as sent, for user-interactive authentication.
    pub operation: String,
}

impl Head {
    /// The decoded value of a path parameter.
    pub fn param(&self, name: &str) -> String {
        self.params.get(name).to_owned()
    }

    /// What the client says it is.
    pub fn user_agent(&self) -> &str {
        self.headers.get(http::header::USER_AGENT).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// The circumstances of a deed that is nobody's administrative act.
    pub fn ctx(&self) -> Ctx {
        Ctx {
            now: self.now,
            server_name: Arc::clone(&self.app.server_name),
            request_id: Arc::clone(&self.request_id),
            actor: None,
        }
    }

    /// The circumstances of an administrative deed of somebody without an account, such as a script that knows
    /// the registration shared secret.
    pub fn ctx_of(&self, actor: &str) -> Ctx {
        Ctx { actor: Some(Actor { user_id: Arc::from(actor), ip: Some(Arc::clone(&self.ip)) }), ..self.ctx() }
    }
}

/// A request that the route table let through, at a route that only reads: the transaction in which it was found
/// out who calls goes on, so that one trip to the database serves both and both see the same state.
pub struct Reading<'a> {
    /// The transaction.
    pub tx: &'a ReadTx<'a>,
    pub(crate) head: &'a Head,
    pub(crate) session: Option<&'a Session>,
}

impl Deref for Reading<'_> {
    type Target = Head;

    fn deref(&self) -> &Head {
        self.head
    }
}

impl Reading<'_> {
    /// The session of the caller, where the route does not ask for one.
    pub fn optional_session(&self) -> Option<&Session> {
        self.session
    }

    /// The account that asks.
    pub fn user(&self) -> Result<&User, MatrixError> {
        Ok(&present(self.session)?.user)
    }
}

fn present(session: Option<&Session>) -> Result<&Session, MatrixError> {
    session.ok_or_else(|| MatrixError::missing_token("Missing access token"))
}

/// A request that the route table let through.
pub struct Call {
    pub(crate) head: Head,
    pub(crate) route: Arc<Route>,
    pub(crate) session: Option<Session>,
    pub(crate) body: Slot,
    pub(crate) max_body: usize,
}

impl Deref for Call {
    type Target = Head;

    fn deref(&self) -> &Head {
        &self.head
    }
}

impl Call {
    /// The session of the caller. Routes that only let accounts in always have one.
    pub fn session(&self) -> Result<&Session, MatrixError> {
        present(self.session.as_ref())
    }

    /// The session of the caller, where the route does not ask for one.
    pub fn optional_session(&self) -> Option<&Session> {
        self.session.as_ref()
    }

    /// The account that acts.
    pub fn user(&self) -> Result<&User, MatrixError> {
        Ok(&self.session()?.user)
    }

    /// The circumstances of an administrative deed of the caller, which will be audited.
    pub fn admin_ctx(&self) -> Result<Ctx, MatrixError> {
        let actor = auth::actor(self.session()?, Arc::clone(&self.ip));
        Ok(Ctx { actor: Some(actor), ..self.ctx() })
    }

    fn take_body(&mut self) -> Option<Body> {
        self.body.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Reads the whole body, within the limits of size and time.
    pub async fn body(&mut self) -> Result<Bytes, MatrixError> {
        let Some(body) = self.take_body() else { return Ok(Bytes::new()) };
        let reading = collect(body, self.max_body);
        tokio::time::timeout(self.app.http.body_timeout, reading).await.map_err(|_| too_slow())?
    }

    /// The body as it comes, within the limits of size and time.
    pub fn incoming(&mut self) -> Incoming {
        Incoming {
            body: self.take_body().unwrap_or_else(Body::empty),
            most: self.max_body,
            read: 0,
            pause: self.app.http.body_timeout,
            began: clock::monotonic(),
        }
    }

    /// Reads a body that must be a JSON object.
    pub async fn object(&mut self) -> Result<Object, MatrixError> {
        json::object(&self.body().await?)
    }

    /// Reads a body that may be left out, else must be a JSON object.
    pub async fn optional_object(&mut self) -> Result<Object, MatrixError> {
        json::optional_object(&self.body().await?)
    }

    /// Reads from the database.
    pub async fn read<T, E, F>(&self, f: F) -> Result<T, MatrixError>
    where
        T: Send + 'static,
        E: From<DbError> + Into<MatrixError> + Send + 'static,
        F: Fn(&ReadTx<'_>) -> Result<T, E> + Send + 'static,
    {
        self.app.db.read(f).await.map_err(Into::into)
    }

    /// Does a deed: one transaction, all or nothing. The caller's session, if the route has one, is looked at again in
    /// the transaction: it may have ended, or lost the right to call the route, since the request came.
    pub async fn write<T, E, F>(&self, f: F) -> Result<T, MatrixError>
    where
        T: Send + 'static,
        E: From<DbError> + Into<MatrixError> + Send + 'static,
        F: Fn(&mut Tx<'_>) -> Result<T, E> + Send + 'static,
    {
        let (route, now) = (Arc::clone(&self.route), self.now);
        let credentials = self.session.as_ref().map(|session| session.token_hash);
        let deed = move |tx: &mut Tx<'_>| -> Result<T, MatrixError> {
            if let Some(session) = auth::authenticate(tx, &route, credentials.as_ref(), now)? {
                auth::permit(&route, &session)?;
            }
            f(tx).map_err(Into::into)
        };
        self.app.db.write(deed).await
    }

    /// Does a deed of the caller, as [`Call::write`] does. The deed gets the caller's session as the transaction sees
    /// it, so that what it checks of the account holds when it writes.
    pub async fn act<T, E, F>(&self, f: F) -> Result<T, MatrixError>
    where
        T: Send + 'static,
        E: From<DbError> + Into<MatrixError> + Send + 'static,
        F: Fn(&mut Tx<'_>, &Session) -> Result<T, E> + Send + 'static,
    {
        let (route, now, credentials) = (Arc::clone(&self.route), self.now, self.session()?.token_hash);
        let deed = move |tx: &mut Tx<'_>| -> Result<T, MatrixError> {
            let session = auth::authenticate(tx, &route, Some(&credentials), now)?;
            let session = present(session.as_ref())?;
            auth::permit(&route, session)?;
            f(tx, session).map_err(Into::into)
        };
        self.app.db.write(deed).await
    }
}

/// The slowest that a long body may come, in bytes a second.
const SLOWEST: f64 = 4096.0;

/// A body as it comes.
pub struct Incoming {
    body: Body,
    most: usize,
    read: usize,
    /// How long the client may pause.
    pause: Duration,
    began: Instant,
}

impl Incoming {
    /// The next piece; `None` at the end.
    pub async fn next(&mut self) -> Result<Option<Bytes>, MatrixError> {
        loop {
            let frame = tokio::time::timeout(self.pause, self.body.frame()).await.map_err(|_| too_slow())?;
            let Some(frame) = frame else { return Ok(None) };
            let frame = frame.map_err(|_| MatrixError::unknown("The request body broke off"))?;
            let Ok(data) = frame.into_data() else { continue };
            self.read = self.read.saturating_add(data.len());
            if self.read > self.most {
                self.discard().await;
                return Err(MatrixError::too_large());
            }
            #[expect(clippy::cast_precision_loss, reason = "an estimate")]
            let most = self.pause.as_secs_f64() + self.read as f64 / SLOWEST;
            if self.began.elapsed().as_secs_f64() > most {
                return Err(too_slow());
            }
            return Ok(Some(data));
        }
    }

    /// Reads on for a while and throws away what comes: a client that is still sending would take a hang-up for a broken
    /// connection and never see the refusal.
    pub async fn discard(&mut self) {
        let most = self.read.saturating_add(THROWN_AWAY);
        let discard = async {
            while let Some(Ok(frame)) = self.body.frame().await {
                self.read = self.read.saturating_add(frame.data_ref().map_or(0, Bytes::len));
                if self.read > most {
                    break;
                }
            }
        };
        // Whether it ends or not, nothing follows from it.
        drop(tokio::time::timeout(self.pause, discard).await);
    }
}

fn too_slow() -> MatrixError {
    MatrixError::new(
        http::StatusCode::REQUEST_TIMEOUT,
        "M_UNKNOWN",
        "The request body took too long to arrive",
    )
}

/// Reads a body of at most `most` bytes. A somewhat longer one is read to its end and thrown away: a client that is
/// still sending would take a hang-up for a broken connection and never see the refusal.
async fn collect(mut body: Body, most: usize) -> Result<Bytes, MatrixError> {
    let (mut read, mut kept) = (0_usize, BytesMut::new());
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| MatrixError::bad_request("M_NOT_JSON", "Content not JSON."))?;
        let Ok(data) = frame.into_data() else { continue };
        read = read.saturating_add(data.len());
        if read <= most {
            kept.extend_from_slice(&data);
        } else if read > most.saturating_add(THROWN_AWAY) {
            break;
        }
    }
    if read > most { Err(MatrixError::too_large()) } else { Ok(kept.freeze()) }
}
