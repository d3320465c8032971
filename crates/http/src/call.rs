//! One request, as its handler sees it.

use std::ops::Deref;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use axum_core::body::Body;
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use reeve_db::{DbError, ReadTx, Tx};
use reeve_model::{BrowserSession, Ctx, MatrixError, Session, User, clock};
use serde_json::Value;

use crate::admission::Admission;
use crate::auth;
use crate::body::Body as JsonBody;
use crate::caller::{Caller, Credentials};
use crate::content::Request;
use crate::family::Family;
use crate::form;
use crate::head::Head;
use crate::json::{self, Object};
use crate::state::State;
use crate::unread::{MAX_DRAINED, Slot};
use crate::visit::FORM_TOKEN;

/// A request at a read-only route: the transaction that authenticated the caller continues, so that one trip to
/// the database serves both and both see the same state.
pub struct Reading<'a, S> {
    /// The transaction.
    pub tx: &'a ReadTx<'a>,
    pub(crate) head: &'a Head<S>,
    pub(crate) caller: &'a Caller,
}

impl<S> Deref for Reading<'_, S> {
    type Target = Head<S>;

    fn deref(&self) -> &Head<S> {
        self.head
    }
}

impl<S: State> Reading<'_, S> {
    /// Returns the caller.
    pub fn caller(&self) -> &Caller {
        self.caller
    }

    /// Returns the session of the caller; `None` if an optional token was not sent.
    pub fn optional_session(&self) -> Option<&Session> {
        self.caller.session()
    }

    /// Returns the browser session of the caller. Pages for people who have signed in always have one.
    pub fn browser(&self) -> Result<&BrowserSession, MatrixError> {
        present(self.caller, self.caller.browser())
    }

    /// Returns the account of the caller.
    pub fn user(&self) -> Result<&User, MatrixError> {
        present(self.caller, self.caller.user())
    }

    /// Returns the context in which the caller is the actor.
    pub fn admin_ctx(&self) -> Result<Ctx, MatrixError> {
        Ok(self.ctx_of(present(self.caller, self.caller.actor())?, self.caller.scopes()))
    }
}

/// Returns a part of the caller that a route needs; without it, the caller has not sent the token of an account.
fn present<T>(caller: &Caller, known: Option<T>) -> Result<T, MatrixError> {
    known.ok_or_else(|| match caller {
        Caller::Service(_) => MatrixError::forbidden(auth::NO_ACCOUNT),
        Caller::Nobody | Caller::Session(_) | Caller::Browser(_) => {
            MatrixError::missing_token("Missing access token")
        }
    })
}

/// An authorised request.
pub struct Call<S> {
    pub(crate) head: Head<S>,
    pub(crate) admission: Admission,
    pub(crate) credentials: Option<Credentials>,
    pub(crate) caller: Caller,
    /// The body that the route declares.
    pub(crate) request: Option<Arc<Request>>,
    pub(crate) family: Family,
    pub(crate) body: Slot,
    pub(crate) max_body: usize,
}

impl<S> Deref for Call<S> {
    type Target = Head<S>;

    fn deref(&self) -> &Head<S> {
        &self.head
    }
}

impl<S: State> Call<S> {
    /// Returns the caller.
    pub fn caller(&self) -> &Caller {
        &self.caller
    }

    /// Returns the session of the caller. Routes for accounts always have one.
    pub fn session(&self) -> Result<&Session, MatrixError> {
        present(&self.caller, self.caller.session())
    }

    /// Returns the session of the caller; `None` if an optional token was not sent.
    pub fn optional_session(&self) -> Option<&Session> {
        self.caller.session()
    }

    /// Returns the browser session of the caller. Pages for people who have signed in always have one.
    pub fn browser(&self) -> Result<&BrowserSession, MatrixError> {
        present(&self.caller, self.caller.browser())
    }

    /// Returns the acting account.
    pub fn user(&self) -> Result<&User, MatrixError> {
        present(&self.caller, self.caller.user())
    }

    /// Returns the context of an administrative act of the caller, which is audited.
    pub fn admin_ctx(&self) -> Result<Ctx, MatrixError> {
        Ok(self.ctx_of(present(&self.caller, self.caller.actor())?, self.caller.scopes()))
    }

    fn take_body(&mut self) -> Option<Body> {
        self.body.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Reads the whole body, within the limits of size and time.
    async fn body(&mut self) -> Result<Bytes, MatrixError> {
        let Some(body) = self.take_body() else { return Ok(Bytes::new()) };
        let reading = collect(body, self.max_body);
        tokio::time::timeout(self.app.http.body_timeout, reading).await.map_err(|_| too_slow())?
    }

    /// Returns the body as a stream, within the limits of size and time.
    pub fn incoming(&mut self) -> Incoming {
        Incoming {
            body: self.take_body().unwrap_or_else(Body::empty),
            most: self.max_body,
            read: 0,
            pause: self.app.http.body_timeout,
            began: clock::monotonic(),
        }
    }

    /// Reads the JSON body that the route declares. One that the route does not require may be empty: then it has no
    /// keys. In debug builds reading a body that the route does not declare panics.
    pub async fn take<T: JsonBody>(&mut self) -> Result<T, MatrixError> {
        self.take_with_nul(&[]).await
    }

    /// Reads the JSON body, as [`Call::take`] does. These keys may contain NUL characters, which the handler refuses
    /// with its own error.
    pub async fn take_with_nul<T: JsonBody>(&mut self, may: &[&str]) -> Result<T, MatrixError> {
        let declared = self.request.as_deref();
        debug_assert!(
            declared.is_some_and(Request::is::<T>),
            "the route does not declare the body '{}'",
            T::name()
        );
        let is_required = declared.is_none_or(|request| request.required);
        let body = self.body().await?;
        Ok(T::of(if body.is_empty() && !is_required { Object::new() } else { json::object(&body, may)? }))
    }

    /// Reads the form that the route declares. At a page, one that is not from a page that was shown to the same browser is
    /// refused. In debug builds reading a form that the route does not declare panics.
    pub async fn take_form<T: JsonBody>(&mut self) -> Result<T, MatrixError> {
        let is_declared = self.request.as_deref().is_some_and(Request::is::<T>);
        debug_assert!(is_declared, "the route does not declare the form '{}'", T::name());
        let body = self.body().await?;
        let mut form = form::object(&self.head.headers, &body)?;
        if self.family == Family::Page {
            let token = form.swap_remove(FORM_TOKEN);
            let token = token.as_ref().and_then(Value::as_str).unwrap_or_default();
            if !self.head.visit.as_ref().is_some_and(|visit| visit.showed(token)) {
                return Err(MatrixError::forbidden("The form is not from a page of this browser"));
            }
        }
        Ok(T::of(form))
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

    /// Reads from the database, as [`Call::read`] does, if the route still lets the caller in: for requests that wait, whose
    /// session may end meanwhile.
    pub async fn read_authorised<T, E, F>(&self, f: F) -> Result<T, MatrixError>
    where
        T: Send + 'static,
        E: From<DbError> + Into<MatrixError> + Send + 'static,
        F: Fn(&ReadTx<'_>) -> Result<T, E> + Send + 'static,
    {
        self.read_as(move |tx, _| f(tx)).await
    }

    /// Reads from the database, as [`Call::read_authorised`] does, with the caller as the transaction sees it.
    pub async fn read_as<T, E, F>(&self, f: F) -> Result<T, MatrixError>
    where
        T: Send + 'static,
        E: From<DbError> + Into<MatrixError> + Send + 'static,
        F: Fn(&ReadTx<'_>, &Caller) -> Result<T, E> + Send + 'static,
    {
        let (app, admission, credentials) = (Arc::clone(&self.app), self.admission, self.credentials_now());
        let look = move |tx: &ReadTx<'_>| -> Result<T, MatrixError> {
            let caller = auth::admit::<S>(&app, tx, admission, credentials.as_ref())?;
            f(tx, &caller).map_err(Into::into)
        };
        self.app.db.read(look).await
    }

    /// Runs a deed: one transaction, all or nothing. The caller's session, if the route has one, is read again
    /// in the transaction: it may have ended, or lost the right to call the route, since the request was
    /// authenticated.
    pub async fn write<T, E, F>(&self, f: F) -> Result<T, MatrixError>
    where
        T: Send + 'static,
        E: From<DbError> + Into<MatrixError> + Send + 'static,
        F: Fn(&mut Tx<'_>) -> Result<T, E> + Send + 'static,
    {
        self.authorised(move |tx, _| f(tx).map_err(Into::into)).await
    }

    /// Runs a deed of the caller, as [`Call::write`] does. The deed receives the caller's session as the
    /// transaction sees it, so that its checks of the account hold when it writes.
    pub async fn act<T, E, F>(&self, f: F) -> Result<T, MatrixError>
    where
        T: Send + 'static,
        E: From<DbError> + Into<MatrixError> + Send + 'static,
        F: Fn(&mut Tx<'_>, &Session) -> Result<T, E> + Send + 'static,
    {
        self.authorised(move |tx, caller| f(tx, present(caller, caller.session())?).map_err(Into::into)).await
    }

    /// Runs a deed of the person who signed in, as [`Call::act`] does, with the browser session as the transaction sees it.
    pub async fn act_in_browser<T, E, F>(&self, f: F) -> Result<T, MatrixError>
    where
        T: Send + 'static,
        E: From<DbError> + Into<MatrixError> + Send + 'static,
        F: Fn(&mut Tx<'_>, &BrowserSession) -> Result<T, E> + Send + 'static,
    {
        self.authorised(move |tx, caller| f(tx, present(caller, caller.browser())?).map_err(Into::into)).await
    }

    /// Runs a deed of the caller, as [`Call::act`] does, who need not be an account.
    pub async fn act_as<T, E, F>(&self, f: F) -> Result<T, MatrixError>
    where
        T: Send + 'static,
        E: From<DbError> + Into<MatrixError> + Send + 'static,
        F: Fn(&mut Tx<'_>, &Caller) -> Result<T, E> + Send + 'static,
    {
        self.authorised(move |tx, caller| f(tx, caller).map_err(Into::into)).await
    }

    /// Returns the credentials, to be judged at the present time: they may have expired since the request began.
    fn credentials_now(&self) -> Option<Credentials> {
        let now = self.app.clock.now();
        self.credentials.map(|credentials| Credentials { now, ..credentials })
    }

    /// Writes with the caller as the transaction sees it, if the route still lets the caller in.
    async fn authorised<T: Send + 'static>(
        &self,
        f: impl Fn(&mut Tx<'_>, &Caller) -> Result<T, MatrixError> + Send + 'static,
    ) -> Result<T, MatrixError> {
        let (app, credentials) = (Arc::clone(&self.app), self.credentials_now());
        let (admission, held) = (self.admission, self.caller.scopes());
        let deed = move |tx: &mut Tx<'_>| {
            let caller = auth::admit_again::<S>(&app, tx, admission, credentials.as_ref(), held)?;
            f(tx, &caller)
        };
        self.app.db.write(deed).await
    }
}

/// Minimum rate of a long body, in bytes a second.
const SLOWEST: f64 = 4096.0;

/// A body as a stream.
pub struct Incoming {
    body: Body,
    most: usize,
    read: usize,
    /// Maximum pause of the client.
    pause: Duration,
    began: Instant,
}

impl Incoming {
    /// Returns the next chunk; `None` at the end.
    pub async fn next(&mut self) -> Result<Option<Bytes>, MatrixError> {
        loop {
            let frame = tokio::time::timeout(self.pause, self.body.frame()).await.map_err(|_| too_slow())?;
            let Some(frame) = frame else { return Ok(None) };
            let frame = frame.map_err(|_| MatrixError::unknown("The request body broke off"))?;
            let Ok(data) = frame.into_data() else { continue };
            self.read = self.read.saturating_add(data.len());
            if self.read > self.most {
                self.discard().await;
                return Err(too_large());
            }
            #[expect(clippy::cast_precision_loss, reason = "an estimate")]
            let most = self.pause.as_secs_f64() + self.read as f64 / SLOWEST;
            if self.began.elapsed().as_secs_f64() > most {
                return Err(too_slow());
            }
            return Ok(Some(data));
        }
    }

    /// Reads and discards the body for a while: a client that is still sending would mistake a closed
    /// connection for a failure and never read the error.
    pub async fn discard(&mut self) {
        let most = self.read.saturating_add(MAX_DRAINED);
        let discard = async {
            while let Some(Ok(frame)) = self.body.frame().await {
                self.read = self.read.saturating_add(frame.data_ref().map_or(0, Bytes::len));
                if self.read > most {
                    break;
                }
            }
        };
        // The result does not matter.
        drop(tokio::time::timeout(self.pause, discard).await);
    }
}

fn too_slow() -> MatrixError {
    MatrixError::new(408, "M_UNKNOWN", "The request body took too long to arrive")
}

pub(crate) fn too_large() -> MatrixError {
    MatrixError::too_large("Request body is too large")
}

/// Reads a body of at most `most` bytes. A somewhat longer one is drained to its end: a client that is still
/// sending would mistake a closed connection for a failure and never read the error.
async fn collect(mut body: Body, most: usize) -> Result<Bytes, MatrixError> {
    let (mut read, mut kept) = (0_usize, BytesMut::new());
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| MatrixError::bad_request("M_NOT_JSON", "Content not JSON."))?;
        let Ok(data) = frame.into_data() else { continue };
        read = read.saturating_add(data.len());
        if read <= most {
            kept.extend_from_slice(&data);
        } else if read > most.saturating_add(MAX_DRAINED) {
            break;
        }
    }
    if read > most { Err(too_large()) } else { Ok(kept.freeze()) }
}
