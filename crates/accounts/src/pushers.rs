//! Pushers: where an account wants its notifications sent.
//! <https://spec.matrix.org/v1.18/client-server-api/#push-notifications>

use reeve_db::Tx;
use reeve_store::pushers::Pusher;
use reeve_store::{pushers, threepids as addresses};

use crate::error::Error;
use crate::{threepids, users};

/// Sets a pusher, in place of the account's own of the same application and key. Those of other accounts go, since
/// a device has one owner, unless `append` says that it has several.
pub fn set(tx: &mut Tx<'_>, user_num: i64, pusher: &Pusher, append: bool, now: i64) -> Result<(), Error> {
    users::check_active(tx, user_num)?;
    let mut pusher = pusher.clone();
    if pusher.kind == "email" {
        // The address is stored as the account has it, so that the pusher goes when the address goes.
        pusher.pushkey = threepids::canonical("email", &pusher.pushkey).map_err(|_| Error::EmailNotFound)?;
        if addresses::find_user(tx, "email", &pusher.pushkey)? != Some(user_num) {
            return Err(Error::EmailNotFound);
        }
    }
    if !append {
        pushers::delete_of_others(tx, user_num, &pusher.app_id, &pusher.pushkey)?;
    }
    pushers::put(tx, user_num, &pusher, now)?;
    Ok(())
}

/// Takes a pusher away; one that is not there is no error.
pub fn delete(tx: &mut Tx<'_>, user_num: i64, app_id: &str, pushkey: &str) -> Result<(), Error> {
    pushers::delete(tx, user_num, app_id, pushkey)?;
    if app_id == threepids::EMAIL_PUSHER
        && let Ok(address) = threepids::canonical("email", pushkey)
    {
        pushers::delete(tx, user_num, app_id, &address)?;
    }
    Ok(())
}
