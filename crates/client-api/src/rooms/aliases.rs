//! Aliases of rooms, and the public room directory.

use http::Method;
use reeve_app::body::Key;
use reeve_app::shape::{self, AnyObject};
use reeve_app::{Access, Answer, Call, MatrixError, Param, Route, body, reply};
use reeve_model::{Scope, Session};
use reeve_rooms::Error;
use reeve_rooms::aliases;
use reeve_rooms::public_rooms;
use reeve_rooms::public_rooms::Boundary;
use reeve_store::rooms::PublishedCursor;
use serde_json::{Value, json};

use super::{home, not_text, v3};

use crate::shapes;

const ALIASES: &str = "https://spec.matrix.org/v1.18/client-server-api/#room-aliases";
const NO_ROOM: (u16, &str, &str) = (404, "M_NOT_FOUND", "there is no such room");
const NO_SERVER: (u16, &str, &str) = (404, "M_NOT_FOUND", "the directory is that of another server");
const LIST: &str = "https://spec.matrix.org/v1.18/client-server-api/#published-room-directory";
const SERVER: Param =
    Param::text("server", "the server whose directory is requested; only this server's is available");
/// Default number of published rooms in a page.
const PAGE: i64 = 100;

body! {
    /// The id of a room.
    pub(crate) struct RoomId {
        room_id: String,
    }

    /// `public` (default) or `private`.
    pub(crate) struct NewVisibility {
        visibility: Option<String>,
    }

    /// A search in the public room directory.
    pub(crate) struct RoomSearch {
        filter: Option<AnyObject>,
        limit: Option<i64>,
        since: Option<String>,
    }
}

pub(crate) fn routes() -> Vec<Route> {
    vec![
        v3(Method::GET, "directory/room/{room_alias}", resolve)
            .access(Access::Anybody)
            .id("getRoomIdByAlias")
            .returns::<shapes::rooms::ResolvedAlias>(200)
            .summary("Resolves an alias to a room")
            .errors(&[(404, "M_NOT_FOUND", "there is no such alias")])
            .spec(ALIASES),
        v3(Method::PUT, "directory/room/{room_alias}", create)
            .access(Access::User)
            .id("setRoomAlias")
            .takes::<RoomId>()
            .returns::<shape::Empty>(200)
            .summary("Creates an alias")
            .errors(&[
                (400, "M_TOO_LARGE", "the room or the account has reached its limit of aliases"),
                (403, "M_FORBIDDEN", "the account is not in the room"),
                (409, "M_UNKNOWN", "the alias exists"),
            ])
            .spec(ALIASES),
        v3(Method::DELETE, "directory/room/{room_alias}", delete)
            .access(Access::SelfOr(Scope::RoomsWrite))
            .id("deleteRoomAlias")
            .returns::<shape::Empty>(200)
            .summary("Deletes an alias")
            .errors(&[
                (403, "M_FORBIDDEN", "the alias belongs to another user, and the power level is too low"),
                (404, "M_NOT_FOUND", "there is no such alias"),
            ])
            .spec(ALIASES),
        v3(Method::GET, "rooms/{room_id}/aliases", of_room)
            .access(Access::SelfOr(Scope::RoomsRead))
            .id("getLocalAliases")
            .returns::<shapes::rooms::Aliases>(200)
            .summary("Lists the aliases of a room")
            .errors(&[
                (403, "M_FORBIDDEN", "the account is not in the room"),
                (404, "M_NOT_FOUND", "there is no such room"),
            ])
            .spec(ALIASES),
        v3(Method::GET, "directory/list/room/{room_id}", visibility)
            .access(Access::Optional)
            .id("getRoomVisibilityOnDirectory")
            .returns::<shapes::rooms::Visibility>(200)
            .summary("Returns whether the public room directory lists a room")
            .errors(&[(404, "M_NOT_FOUND", "there is no such room, or its summary is not public")])
            .spec(LIST),
        v3(Method::PUT, "directory/list/room/{room_id}", publish)
            .access(Access::SelfOr(Scope::RoomsWrite))
            .id("setRoomVisibilityOnDirectory")
            .takes::<NewVisibility>()
            .returns::<shape::Empty>(200)
            .summary("Adds a room to the public room directory, or removes it")
            .errors(&[(403, "M_FORBIDDEN", "the power level is too low"), NO_ROOM])
            .spec(LIST),
        v3(Method::GET, "publicRooms", list)
            .access(Access::Optional)
            .id("getPublicRooms")
            .query([
                SERVER,
                Param::integer("limit", "maximum number of rooms; 100 by default"),
                Param::text("since", "`next_batch` or `prev_batch` of another page"),
            ])
            .returns::<shapes::rooms::PublicRooms>(200)
            .summary("Lists the public room directory")
            .errors(&[NO_SERVER])
            .spec(LIST),
        v3(Method::POST, "publicRooms", search)
            .access(Access::Guest)
            .repeatable()
            .before_password_change()
            .id("queryPublicRooms")
            .query([SERVER])
            .may_take::<RoomSearch>()
            .returns::<shapes::rooms::PublicRooms>(200)
            .summary("Searches the public room directory")
            .errors(&[NO_SERVER])
            .spec(LIST),
    ]
}

async fn resolve(call: Call) -> Answer {
    let alias = call.param("room_alias");
    let found = call.read(move |tx| aliases::resolve(tx, &alias)).await?;
    reply::ok(&json!({ "room_id": found.room_id, "servers": [&*call.app.server_name] }))
}

async fn create(mut call: Call) -> Answer {
    let room_id = call.take::<RoomId>().await?.room_id.read_or(not_text)?;
    let (home, ctx, alias) = (home(&call), call.admin_ctx()?, call.param("room_alias"));
    call.act(move |tx, Session { user, .. }| aliases::create_alias(tx, &home, &ctx, user, &alias, &room_id))
        .await?;
    reply::empty()
}

async fn delete(call: Call) -> Answer {
    let (home, ctx, alias) = (home(&call), call.admin_ctx()?, call.param("room_alias"));
    call.act_as(move |tx, caller| aliases::delete_alias(tx, &home, &ctx, caller.user(), &alias)).await?;
    reply::empty()
}

async fn of_room(call: Call) -> Answer {
    let (caller, room_id) = (call.caller().clone(), call.param("room_id"));
    let read = call.read(move |tx| aliases::aliases(tx, caller.scopes(), caller.user(), &room_id));
    let aliases = read.await?;
    reply::ok(&json!({ "aliases": aliases }))
}

async fn visibility(call: Call) -> Answer {
    let user_id = call.optional_session().map(|session| session.user.user_id.clone());
    let room_id = call.param("room_id");
    let published = call.read(move |tx| public_rooms::is_published(tx, user_id.as_deref(), &room_id)).await?;
    reply::ok(&json!({ "visibility": if published { "public" } else { "private" } }))
}

async fn publish(mut call: Call) -> Answer {
    let published = match call.take::<NewVisibility>().await?.visibility.read_or(not_text)?.as_deref() {
        None | Some("public") => true,
        Some("private") => false,
        Some(other) => return Err(MatrixError::bad_json(format!("'{other}' is not a valid visibility"))),
    };
    let (ctx, room_id) = (call.admin_ctx()?, call.param("room_id"));
    call.act_as(move |tx, caller| public_rooms::publish(tx, &ctx, caller.user(), &room_id, published))
        .await?;
    reply::empty()
}

/// Returns a position in the directory: direction, number of members, and id of the room at the boundary.
fn parse_since(text: &str) -> Result<Boundary, MatrixError> {
    let invalid = || MatrixError::invalid_param("Invalid pagination token");
    let mut parts = text.splitn(3, '_');
    let (Some(direction), Some(members), Some(room_id)) = (parts.next(), parts.next(), parts.next()) else {
        return Err(invalid());
    };
    let backwards = match direction {
        "n" => false,
        "p" => true,
        _ => return Err(invalid()),
    };
    let members = members.parse().map_err(|_| invalid())?;
    Ok(Boundary { cursor: PublishedCursor { members, room_id: room_id.to_owned() }, backwards })
}

/// Refuses the directory of another server.
fn check_server(call: &Call) -> Result<(), MatrixError> {
    match call.query.utf8("server")? {
        Some(server) if !server.is_empty() && server != *call.app.server_name => {
            Err(MatrixError::not_found("This server does not reach the directories of other servers"))
        }
        Some(_) | None => Ok(()),
    }
}

async fn list(call: Call) -> Answer {
    check_server(&call)?;
    let since = call.query.utf8("since")?.filter(|since| !since.is_empty());
    let search = public_rooms::RoomSearch {
        limit: call.query.integer("limit")?.filter(|limit| *limit > 0).unwrap_or(PAGE),
        since: since.as_deref().map(parse_since).transpose()?,
        ..public_rooms::RoomSearch::default()
    };
    page(&call, search).await
}

async fn search(mut call: Call) -> Answer {
    check_server(&call)?;
    let body: RoomSearch = call.take().await?;
    let mut filter = body.filter.value().and_then(Value::as_object).cloned().unwrap_or_default();
    let types = match filter.get("room_types") {
        None | Some(Value::Null) => None,
        Some(Value::Array(types)) => {
            Some(types.iter().map(|wanted| wanted.as_str().unwrap_or_default().to_owned()).collect())
        }
        Some(_) => return Err(MatrixError::bad_json("'room_types' must be a list")),
    };
    let limit = body.limit.read()?.unwrap_or(PAGE);
    let since = body.since.read_or(not_text)?.filter(|since| !since.is_empty());
    let search = public_rooms::RoomSearch {
        term: Key::<Option<String>>::take(&mut filter, "generic_search_term").read_or(not_text)?,
        types,
        limit: if limit > 0 { limit } else { PAGE },
        since: since.as_deref().map(parse_since).transpose()?,
    };
    page(&call, search).await
}

async fn page(call: &Call, search: public_rooms::RoomSearch) -> Answer {
    let found = call.read(move |tx| -> Result<_, Error> { public_rooms::published(tx, &search) }).await?;
    let mut body = json!({ "chunk": found.chunk, "total_room_count_estimate": found.total });
    if let Some(body) = body.as_object_mut() {
        for (key, direction, border) in [("next_batch", "n", found.next), ("prev_batch", "p", found.prev)] {
            if let Some(PublishedCursor { members, room_id }) = border {
                body.insert(key.to_owned(), json!(format!("{direction}_{members}_{room_id}")));
            }
        }
    }
    reply::ok(&body)
}
