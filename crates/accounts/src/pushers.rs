//! Pushers: the destinations of an account's notifications.
//! <https://spec.matrix.org/v1.18/client-server-api/#push-notifications>

use reeve_db::{DbError, ReadTx, Tx};
use reeve_model::{Ctx, Millis, User, UserNum};
use reeve_store::pushers::Pusher;
use reeve_store::{memberships, pushers, stream, threepids as addresses, users as accounts, validity};

use crate::error::Error;
use crate::policy::Limits;
use crate::threepids;

/// Sets a pusher, in place of the account's own one with the same application and key. Those of other accounts are
/// deleted, since a device has one owner, unless `append` says that it has several.
pub fn set(
    tx: &mut Tx<'_>,
    ctx: &Ctx,
    limits: &Limits,
    user_num: UserNum,
    pusher: &Pusher,
    append: bool,
) -> Result<(), Error> {
    if pusher.device_id.is_none() {
        // It would outlive the session.
        return Err(Error::PusherWithoutDevice);
    }
    let mut pusher = pusher.clone();
    if pusher.kind == "email" {
        // The address is stored as the account has it, so that the pusher is deleted with the address.
        pusher.pushkey = threepids::canonical("email", &pusher.pushkey).map_err(|_| Error::EmailNotFound)?;
        if addresses::find_user(tx, "email", &pusher.pushkey)? != Some(user_num) {
            return Err(Error::EmailNotFound);
        }
    }
    if !append {
        pushers::delete_of_others(tx, user_num, &pusher.app_id, &pusher.pushkey)?;
    }
    let count = pushers::count_of_user(tx, user_num)?;
    if count >= limits.pushers && !pushers::exists(tx, user_num, &pusher.app_id, &pusher.pushkey)? {
        return Err(Error::too_many("An account", limits.pushers, "pushers"));
    }
    if count == 0
        && let Some(user_id) = accounts::user_id(tx, user_num)?
    {
        memberships::set_pushes(tx, &user_id)?;
    }
    // Earlier events are not delivered.
    let pos = stream::current(tx)?;
    pushers::put(tx, user_num, &pusher, pos, ctx.now)?;
    Ok(())
}

/// Deletes a pusher. It is no error if there is none.
pub fn delete(tx: &mut Tx<'_>, user_num: UserNum, app_id: &str, pushkey: &str) -> Result<(), Error> {
    pushers::delete(tx, user_num, app_id, pushkey)?;
    if app_id == threepids::EMAIL_PUSHER
        && let Ok(address) = threepids::canonical("email", pushkey)
    {
        pushers::delete(tx, user_num, app_id, &address)?;
    }
    Ok(())
}

/// Returns true if an account gets notifications at present. A locked, expired, deactivated or suspended one gets none.
pub fn gets_notifications(tx: &ReadTx<'_>, user: &User, now: Millis) -> Result<bool, DbError> {
    if user.deactivated || user.locked || user.suspended {
        return Ok(false);
    }
    Ok(validity::find(tx, &user.user_id)?.is_none_or(|validity| validity.expiration_ts > now))
}
