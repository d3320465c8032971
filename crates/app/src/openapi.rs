//! The OpenAPI document of the server's routes.

use std::sync::Arc;

use reeve_http::openapi::{self, PathParam};
use serde_json::Value;

use crate::Route;

const fn param(name: &'static str, meaning: &'static str, example: &'static str) -> PathParam {
    PathParam { name, meaning, example }
}

/// The path parameters of all routes.
const PATH_PARAMS: &[PathParam] = &[
    param("address", "The e-mail address or telephone number.", "alice@example.org"),
    param("asset", "The name of the file.", "style-0123456789abcdef.css"),
    param("delete_id", "The id of the deletion.", "delete_1"),
    param("destination", "The name of another server.", "example.com"),
    param("device_id", "The id of the device.", "QBUAZIFURK"),
    param("event_id", "The id of the event.", "$143273582443PhrSn"),
    param("event_type", "The type of the event.", "m.room.message"),
    param("export_token", "The token of the link.", "rvx_abcd"),
    param("external_id", "The name of the account at the identity provider.", "alice"),
    param("fileName", "The name under which the file is saved.", "picture.png"),
    param("filter_id", "The id of the filter.", "1"),
    param(
        "group_id",
        "The id of the group: `role:` with the name of a role, or the id of a room.",
        "role:support",
    ),
    param("id", "The id of the job, batch or export.", "job_1"),
    param("key", "The name of the field of the profile.", "m.tz"),
    param("kind", "The kind of rule: `override`, `underride`, `sender`, `room` or `content`.", "override"),
    param("mail_token", "The token of the link in a mail.", "abcd"),
    param("mediaId", "The media id: the last part of the `mxc` URI.", "AQwafuaFswefuhsfAFAgsw"),
    param("media_id", "The media id: the last part of the `mxc` URI.", "AQwafuaFswefuhsfAFAgsw"),
    param("medium", "`email` or `msisdn`.", "email"),
    param("name", "The name of the service token or role.", "provisioning"),
    param("position", "The position of the event.", "40"),
    param("protocol", "The name of the protocol.", "irc"),
    param("provider", "The id of the identity provider.", "oidc-example"),
    param("purge_id", "The id of the purge.", "purge_1"),
    param("receipt_type", "`m.read`, `m.read.private` or `m.fully_read`.", "m.read"),
    param("redact_id", "The id of the redaction.", "redact_1"),
    param("rel_type", "The type of the relation.", "m.thread"),
    param("report_kind", "The kind of the reported thing: `event`, `room` or `user`.", "event"),
    param("report_id", "The number of the report.", "1"),
    param("request", "The id of the request of a client.", "abcdefghijklmnopqrstuvwx"),
    param("room", "The id or an alias of the room.", "!636q39766251:example.org"),
    param("room_alias", "The alias of the room.", "#monkeys:example.org"),
    param("room_id", "The id of the room.", "!636q39766251:example.org"),
    param("room_id_or_alias", "The id or an alias of the room.", "!636q39766251:example.org"),
    param("rule", "The rule by which old data is deleted.", "devices"),
    param("rule_id", "The id of the rule.", "nocake"),
    param("scim_schema", "The URN of the schema.", "urn:ietf:params:scim:schemas:core:2.0:User"),
    param("scim_type", "The name of the type of resource.", "User"),
    param("serverName", "The server name: the first part of the `mxc` URI.", "example.org"),
    param("server_name", "The server name: the first part of the `mxc` URI.", "example.org"),
    param("session", "The id of the browser session, or of the device after `device:`.", "device:QBUAZIFURK"),
    param("session_id", "The id of the session whose key it is.", "sessionid"),
    param("state_key", "The state key of the event.", "@alice:example.org"),
    param("tag", "The name of the tag.", "m.favourite"),
    param("token", "The registration token.", "abcd"),
    param("txn_id", "The transaction id: a string that the client uses once for each event.", "37"),
    param("type", "The type of the account data.", "org.example.custom"),
    param("user_id", "The full user id.", "@alice:example.org"),
    param("version", "The version of the backup.", "1"),
    param("webhook", "The name of the webhook.", "billing"),
];

/// Returns the OpenAPI 3.1 document of these routes.
pub fn document(routes: &[Arc<Route>]) -> Value {
    openapi::document(routes, PATH_PARAMS)
}
