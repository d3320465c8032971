//! Tags and account data of rooms.

use http::Method;
use reeve_accounts::account_data::changed_elsewhere;
use reeve_app::json::Object;
use reeve_app::shape::{self, AnyObject};
use reeve_app::{Access, Answer, Call, MatrixError, Route, body, reply};
use reeve_model::UserNum;
use reeve_rooms::data;
use serde_json::json;

use super::v3;

use crate::shapes;

const TAGS: &str = "https://spec.matrix.org/v1.18/client-server-api/#room-tagging";
const DATA: &str = "https://spec.matrix.org/v1.18/client-server-api/#client-config";
const FORBIDDEN: &[(u16, &str, &str)] = &[(403, "M_FORBIDDEN", "the data belongs to another user")];

body! {
    /// The position of a room among those with the tag.
    pub(crate) struct Tag {
        order?: f64,
        ..more
    }
}

pub(crate) fn routes() -> Vec<Route> {
    vec![
        v3(Method::GET, "user/{user_id}/rooms/{room_id}/tags", tags)
            .access(Access::User)
            .id("getRoomTags")
            .returns::<shapes::rooms::Tags>(200)
            .summary("Lists the tags of a room")
            .errors(FORBIDDEN)
            .spec(TAGS),
        v3(Method::PUT, "user/{user_id}/rooms/{room_id}/tags/{tag}", put_tag)
            .access(Access::User)
            .id("setRoomTag")
            .takes::<Tag>()
            .returns::<shape::Empty>(200)
            .summary("Adds a tag to a room")
            .errors(FORBIDDEN)
            .errors(&[
                (400, "M_TOO_LARGE", "the account would exceed its limit of account data entries"),
                (413, "M_TOO_LARGE", "the account would exceed its limit of account data bytes"),
            ])
            .spec(TAGS),
        v3(Method::DELETE, "user/{user_id}/rooms/{room_id}/tags/{tag}", delete_tag)
            .access(Access::User)
            .id("deleteRoomTag")
            .returns::<shape::Empty>(200)
            .summary("Removes a tag from a room")
            .errors(FORBIDDEN)
            .spec(TAGS),
        v3(Method::GET, "user/{user_id}/rooms/{room_id}/account_data/{type}", get)
            .access(Access::User)
            .id("getAccountDataPerRoom")
            .returns::<AnyObject>(200)
            .summary("Returns account data of one type for a room")
            .errors(FORBIDDEN)
            .errors(&[(404, "M_NOT_FOUND", "no data of this type is set")])
            .spec(DATA),
        v3(Method::PUT, "user/{user_id}/rooms/{room_id}/account_data/{type}", put)
            .access(Access::User)
            .id("setAccountDataPerRoom")
            .takes::<AnyObject>()
            .returns::<shape::Empty>(200)
            .summary("Sets account data of one type for a room")
            .errors(FORBIDDEN)
            .errors(&[
                (400, "M_TOO_LARGE", "the account would exceed its limit of account data entries"),
                (405, "M_BAD_JSON", "data of this type is managed by the server"),
                (413, "M_TOO_LARGE", "the account would exceed its limit of account data bytes"),
            ])
            .spec(DATA),
    ]
}

/// Returns the number of the caller, who must be the owner.
fn owner(call: &Call, refusal: &'static str) -> Result<UserNum, MatrixError> {
    let user = call.user()?;
    if call.params.get("user_id") == user.user_id {
        Ok(user.num)
    } else {
        Err(MatrixError::forbidden(refusal))
    }
}

/// Returns the room id; only its form is checked, since account data may be about unknown rooms.
fn room_id(call: &Call) -> Result<String, MatrixError> {
    let room_id = call.param("room_id");
    if room_id.starts_with('!') {
        Ok(room_id)
    } else {
        Err(MatrixError::invalid_param(format!("{room_id} is not a valid room ID")))
    }
}

async fn tags(call: Call) -> Answer {
    let num = owner(&call, "Cannot get tags for other users.")?;
    let room_id = room_id(&call)?;
    let tags = call.read(move |tx| data::tags(tx, num, &room_id)).await?;
    reply::ok(&json!({ "tags": tags }))
}

async fn put_tag(mut call: Call) -> Answer {
    let num = owner(&call, "Cannot add tags for other users.")?;
    let body: Tag = call.take().await?;
    body.order.read()?;
    let content: Object = body.more.into_iter().chain(body.order.into_pair()).collect();
    let (room_id, tag) = (room_id(&call)?, call.param("tag"));
    let limits = call.app.policy.limits;
    call.write(move |tx| data::set_tag(tx, &limits, num, &room_id, &tag, Some(content.clone()))).await?;
    reply::empty()
}

async fn delete_tag(call: Call) -> Answer {
    let num = owner(&call, "Cannot delete tags for other users.")?;
    let (room_id, tag) = (room_id(&call)?, call.param("tag"));
    let limits = call.app.policy.limits;
    call.write(move |tx| data::set_tag(tx, &limits, num, &room_id, &tag, None)).await?;
    reply::empty()
}

async fn get(call: Call) -> Answer {
    let num = owner(&call, "Cannot get account data for other users.")?;
    let (room_id, data_type) = (room_id(&call)?, call.param("type"));
    match call.read(move |tx| data::find(tx, num, &room_id, &data_type)).await? {
        Some(content) => reply::ok(&content),
        None => Err(MatrixError::not_found("Room account data not found")),
    }
}

async fn put(mut call: Call) -> Answer {
    let num = owner(&call, "Cannot add account data for other users.")?;
    let (room_id, data_type) = (room_id(&call)?, call.param("type"));
    if let Some(instead) = changed_elsewhere(&data_type) {
        let text = format!("Cannot set {data_type} through this API. Use {instead}");
        return Err(MatrixError::new(405, "M_BAD_JSON", text));
    }
    let AnyObject(content) = call.take().await?;
    let limits = call.app.policy.limits;
    call.write(move |tx| data::set(tx, &limits, num, &room_id, &data_type, &content)).await?;
    reply::empty()
}
