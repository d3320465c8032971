//! The interface between the engine and the state of a server.

use std::ops::Deref;

use reeve_db::ReadTx;
use reeve_model::MatrixError;

use crate::base::Base;
use crate::caller::{Caller, Credentials};
use crate::head::Head;

/// The state of a server, which its handlers work with. The engine works with the part that is [`Base`], and
/// reads no account and no room by itself.
pub trait State: Deref<Target = Base> + Send + Sync + Sized + 'static {
    /// Returns the caller with these credentials; `None` if they are unknown. The engine applies the rules of the
    /// route, such as that the session has not expired.
    ///
    /// Beside settings, which do not change, it reads the database alone, in the transaction that acts on the result, so that
    /// an act that takes a right away holds from its commit on.
    fn caller(&self, tx: &ReadTx<'_>, credentials: &Credentials) -> Result<Option<Caller>, MatrixError>;

    /// Notes that a caller was here: reads from now on show it. Refused callers are noted, too.
    fn note(&self, head: &Head<Self>, caller: &Caller);

    /// Stores what follows from the use of a caller's credentials.
    fn confirm(&self, caller: &Caller) -> impl Future<Output = Result<(), MatrixError>> + Send;
}
