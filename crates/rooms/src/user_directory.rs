//! The user directory.

use reeve_db::ReadTx;
use reeve_model::User;
use reeve_store::lists::users::search;
use reeve_store::{memberships, users};

use crate::Home;
use crate::error::Error;

/// Returns users whose name contains a text, as far as the requester may know of them, and true if there are more.
/// <https://spec.matrix.org/v1.18/client-server-api/#user-directory>
pub fn search_users(
    tx: &ReadTx<'_>,
    home: &Home,
    user: &User,
    term: &str,
    limit: usize,
) -> Result<(Vec<User>, bool), Error> {
    const MAX_CANDIDATES: i64 = 2000;
    // In a whole user id only the part before the server name distinguishes users.
    let term = term.trim().trim_start_matches('@').split(':').next().unwrap_or_default();
    let mut found = Vec::new();
    if term.is_empty() {
        return Ok((found, false));
    }
    for num in search::nums(tx, term, MAX_CANDIDATES)? {
        let Some(other) = users::by_num(tx, num)? else { continue };
        let hidden = other.deactivated
            || other.locked
            || other.user_type.as_deref() == Some("support")
            || other.is_guest;
        if hidden || other.appservice_id.is_some() {
            continue;
        }
        let known = home.settings.search_all_users
            || other.num == user.num
            || memberships::in_public_room(tx, &other.user_id)?
            || memberships::share_room(tx, &user.user_id, &other.user_id)?;
        if known {
            if found.len() == limit {
                return Ok((found, true));
            }
            found.push(other);
        }
    }
    Ok((found, false))
}
