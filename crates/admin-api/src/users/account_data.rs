//! Account data: what the clients of an account store on the server.

use std::collections::BTreeMap;

use reeve_app::{Access, Answer, MatrixError, Reading, Route, reply};
use reeve_model::Scope;
use reeve_rooms::{data, push};
use reeve_store::account_data as store;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::target;

/// Contents by type.
type ByType = BTreeMap<String, Value>;

/// All account data of an account.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AccountDataAnswer {
    account_data: AccountData,
}

/// Account data as the clients stored it, without push rules and tags.
#[derive(Debug, Default, Serialize, ToSchema)]
pub(crate) struct AccountData {
    /// Contents by type.
    #[schema(value_type = Object)]
    global: ByType,
    /// By room id: contents by type.
    #[schema(value_type = Object)]
    rooms: BTreeMap<String, ByType>,
}

pub(crate) fn route() -> Route {
    Route::read("/_synapse/admin/v1/users/{user_id}/accountdata", handle)
        .access(Access::Admin(Scope::UsersRead))
        .id("getUserAccountData")
        .summary("Returns the account data of an account")
        .returns::<AccountDataAnswer>(200)
        .errors(&[
            (400, "M_UNKNOWN", "the account is on another server, or the user id is malformed"),
            (404, "M_NOT_FOUND", "there is no such account"),
        ])
}

fn handle(call: &Reading<'_>) -> Answer {
    let user_id = target::local_domain(call, "Can only look up local users")?;
    let user = target::found(call.tx, &user_id, "User not found")?;
    let mut account_data = AccountData::default();
    for item in store::of_user(call.tx, user.num)? {
        if matches!(item.data_type.as_str(), push::DATA_TYPE | data::TAGS) {
            continue;
        }
        let content = serde_json::from_str(&item.content).map_err(MatrixError::internal)?;
        let by_type = if item.room_id.is_empty() {
            &mut account_data.global
        } else {
            account_data.rooms.entry(item.room_id).or_default()
        };
        by_type.insert(item.data_type, content);
    }
    reply::ok(&AccountDataAnswer { account_data })
}
