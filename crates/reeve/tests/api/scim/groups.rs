//! `/scim/v2/Groups`

use http::Method;
use reeve_app::NewGroups;
use reeve_model::{Scope, Scopes};
use reeve_testkit::{Client, Server, on_both_engines};
use serde_json::{Value, json};

use super::{
    GROUP, GROUPS, PATCH, USERS, create, filtered, ids, only, patch, provider, refusal, with_groups,
};
use crate::rooms_kit::{CS, ok};

const KIND: &str = "urn:reeve:params:scim:schemas:extension:matrix:2.0:Group";
const ROLES: [&str; 5] =
    ["role:owner", "role:administrator", "role:moderator", "role:support", "role:auditor"];

/// Creates a group; returns it, and its path.
async fn group(client: &Client, mut group: Value) -> (Value, String) {
    group["schemas"] = json!([GROUP]);
    let reply = client.post(GROUPS, group).await;
    assert_eq!(reply.status, 201, "{}", reply.body);
    let path = format!("{GROUPS}/{}", reply.text("id"));
    (reply.body, path)
}

/// The ids of the members of a group.
fn members(group: &Value) -> Vec<&str> {
    let listed = group["members"].as_array().map(Vec::as_slice).unwrap_or_default();
    listed.iter().map(|member| member["value"].as_str().unwrap()).collect()
}

/// Creates the accounts `@m00:test` and so on; returns them as members of groups.
async fn people(server: &Server, many: usize) -> Vec<Value> {
    let ids: Vec<String> = (0..many).map(|number| format!("@m{number:02}:test")).collect();
    let members = ids.iter().map(|id| json!({ "value": id })).collect();
    let insert = move |tx: &mut reeve_db::Tx<'_>| -> Result<(), reeve_db::DbError> {
        for id in &ids {
            let user = reeve_model::User::new(id.clone(), reeve_testkit::START);
            reeve_store::users::insert(tx, &user, None)?;
        }
        Ok(())
    };
    server.app().db.write(insert).await.unwrap();
    members
}

async fn suspend(admin: &Client, user_id: &str, is_suspended: bool) {
    let path = format!("/_synapse/admin/v1/suspend/{user_id}");
    assert_eq!(admin.put(&path, json!({ "suspend": is_suspended })).await.status, 200);
}

on_both_engines! {
    #[config(with_groups)]
    async fn a_group_is_a_space_with_its_members(server: Server) {
        let admin = server.admin().await;
        let service = provider(&server, &admin, Scopes::ALL).await;
        let alice = server.user("alice").await;
        server.user("bob").await;
        let (made, path) = group(&service, json!({
            "displayName": "Engineering", "externalId": "g1",
            "members": [{ "value": "@alice:test" }, { "value": "@nobody:test" }, { "value": "@x:elsewhere" }],
        })).await;
        assert_eq!((&made["displayName"], &made["externalId"]), (&json!("Engineering"), &json!("g1")));
        assert_eq!(service.get(&format!("{path}?attributes={KIND}")).await.body[KIND], json!({ "kind": "space" }));
        assert_eq!(made["members"], json!([{ "value": "@alice:test", "$ref": format!("{USERS}/@alice:test"), "type": "User" }]));
        assert_eq!(service.get(&path).await.body, made);
        let room = made["id"].as_str().unwrap();
        assert_eq!(ok(alice.get(&format!("{CS}/joined_rooms")).await)["joined_rooms"], json!([room]));
        let user = service.get(&format!("{USERS}/@alice:test")).await.body;
        assert_eq!((&user["groups"][0]["value"], &user["groups"][0]["display"]), (&json!(room), &json!("Engineering")));

        let add = json!([{ "op": "add", "path": "members", "value": [{ "value": "@bob:test" }, { "value": "fake" }] }]);
        let added = patch(&service, &path, add.clone()).await.body;
        assert_eq!(members(&added), ["@alice:test", "@bob:test"]);
        assert_eq!(patch(&service, &path, add).await.body["members"], added["members"]);
        let removed = patch(&service, &path, json!([{ "op": "Remove", "path": "members[value eq \"@alice:test\"]" }])).await.body;
        assert_eq!(members(&removed), ["@bob:test"]);
        assert_eq!(ok(alice.get(&format!("{CS}/joined_rooms")).await)["joined_rooms"], json!([]));
        let renamed = service.put(&path, json!({ "schemas": [GROUP], "displayName": "E", "members": [{ "value": "@alice:test" }] })).await;
        assert_eq!((&renamed.body["displayName"], members(&renamed.body), &renamed.body["externalId"]), (&json!("E"), vec!["@alice:test"], &json!("g1")));
        assert_eq!(members(&patch(&service, &path, json!([{ "op": "replace", "path": "members", "value": [] }])).await.body), [""; 0]);
        let entries = admin.get(&format!("/_reeve/admin/v1/audit?target={}", crate::rooms_kit::enc(room))).await.body;
        let actions: Vec<&str> = entries["entries"].as_array().unwrap().iter().map(|entry| entry["action"].as_str().unwrap()).collect();
        for action in ["group.create", "group.update", "room.join", "room.remove"] {
            assert!(actions.contains(&action), "{action}: {actions:?}");
        }

        patch(&service, &path, json!([{ "op": "add", "path": "members", "value": [{ "value": "@alice:test" }] }])).await;
        assert_eq!(service.delete(&path).await.status, 204);
        assert_eq!(refusal(&service.get(&path).await), (404, ""));
        crate::sync_kit::eventually(&alice, &format!("{CS}/joined_rooms"), |reply| reply.body["joined_rooms"] == json!([])).await;
    }

    #[config(|config| { with_groups(config); config.scim.new_groups = NewGroups::Room; })]
    async fn rooms_that_the_managing_account_joins_are_groups(server: Server) {
        let admin = server.admin().await;
        server.user("alice").await;
        let (made, path) = group(&admin, json!({ "displayName": "First" })).await;
        assert_eq!(admin.get(&format!("{path}?attributes={KIND}:kind")).await.body[KIND]["kind"], json!("room"));
        let room = crate::rooms_kit::create(&admin, json!({ "name": "Old room" })).await;
        assert_eq!(refusal(&admin.get(&format!("{GROUPS}/{room}")).await), (404, ""));
        assert_eq!(ids(&admin.get(GROUPS).await).1, 6);
        ok(admin.post(&format!("/_synapse/admin/v1/join/{room}"), json!({ "user_id": "@groups:test" })).await);
        let seen = admin.get(&format!("{GROUPS}/{room}")).await.body;
        assert_eq!((&seen["displayName"], members(&seen)), (&json!("Old room"), vec!["@admin:test"]));
        let first = made["id"].as_str().unwrap();
        assert_eq!(ids(&admin.get(GROUPS).await), ([&ROLES[..], &[first, &room]].concat(), 7));
        // Nobody else can have the name of the managing account.
        let reserved = admin.put("/_synapse/admin/v2/users/@groups:test", json!({ "displayname": "G" })).await;
        assert_eq!(reserved.status, 200);
    }

    async fn roles_are_groups(server: Server) {
        let admin = server.admin().await;
        server.user("alice").await;
        server.user("bob").await;
        admin.put("/_reeve/admin/v1/roles/helpers", json!({ "scopes": ["users:read"] })).await;
        assert_eq!(ids(&admin.get(GROUPS).await), ([&ROLES[..], &["role:helpers"]].concat(), 6));
        let path = format!("{GROUPS}/role:helpers");
        let helpers = admin.get(&path).await.body;
        assert_eq!((&helpers["displayName"], helpers.get(KIND), helpers.get("members")), (&json!("helpers"), None, None));
        assert_eq!(members(&admin.get(&format!("{GROUPS}/role:owner")).await.body), ["@admin:test"]);
        let both = json!([{ "op": "add", "path": "members", "value": [{ "value": "@alice:test" }, { "value": "@bob:test" }] }, { "op": "add", "path": "externalId", "value": "h" }]);
        let added = patch(&admin, &path, both).await.body;
        assert_eq!((members(&added), &added["externalId"]), (vec!["@alice:test", "@bob:test"], &json!("h")));
        assert_eq!(admin.get("/_reeve/admin/v1/users/@bob:test/role").await.body["role"], json!("helpers"));
        // An account has one role.
        patch(&admin, &format!("{GROUPS}/role:support"), json!([{ "op": "add", "path": "members", "value": [{ "value": "@bob:test" }] }])).await;
        assert_eq!(members(&admin.get(&path).await.body), ["@alice:test"]);
        assert_eq!(refusal(&patch(&admin, &path, json!([{ "op": "replace", "path": "displayName", "value": "x" }])).await), (400, "mutability"));
        assert_eq!(refusal(&admin.delete(&path).await), (409, ""));
        assert_eq!(members(&patch(&admin, &path, json!([{ "op": "remove", "path": "members" }])).await.body), [""; 0]);
        assert_eq!(admin.delete(&path).await.status, 204);
        assert_eq!(refusal(&admin.get(&path).await), (404, ""));
        assert_eq!(refusal(&admin.delete(&format!("{GROUPS}/role:support")).await), (403, ""));
        // The external id went with the role.
        admin.put("/_reeve/admin/v1/roles/helpers", json!({ "scopes": ["users:read"] })).await;
        assert_eq!(admin.get(&path).await.body.get("externalId"), None);

        let rooms = provider(&server, &admin, only(&[Scope::RoomsRead, Scope::RoomsWrite])).await;
        assert_eq!(ids(&rooms.get(GROUPS).await), (vec![], 0));
        assert_eq!(refusal(&rooms.get(&path).await), (403, ""));
        let more = provider(&server, &admin, only(&[Scope::RoomsRead, Scope::RoomsWrite, Scope::UsersRead])).await;
        assert_eq!(more.get(&path).await.status, 200);
        let add = json!([{ "op": "add", "path": "members", "value": [{ "value": "@alice:test" }] }]);
        assert_eq!(refusal(&patch(&more, &path, add).await), (403, ""));
        // Without a managing account, no group can be created.
        assert_eq!(refusal(&admin.post(GROUPS, json!({ "schemas": [GROUP], "displayName": "x" })).await), (501, ""));
    }

    #[config(with_groups)]
    async fn many_members_are_changed_by_and_by(server: Server) {
        let admin = server.admin().await;
        let people = people(&server, 25).await;
        let (made, path) = group(&admin, json!({ "displayName": "All", "members": people })).await;
        assert_eq!(members(&made).len(), 25);
        assert_eq!(admin.get(&path).await.body, made);
        let few = admin.put(&path, json!({ "schemas": [GROUP], "displayName": "All", "members": people[20..] })).await;
        assert_eq!(members(&few.body), ["@m20:test", "@m21:test", "@m22:test", "@m23:test", "@m24:test"]);

        // What comes before the ten with a refused member is kept.
        suspend(&admin, "@m12:test", true).await;
        let all = json!({ "schemas": [GROUP], "displayName": "Most", "externalId": "m", "members": people });
        let put = |version: &str| {
            let (admin, path, version, body) = (admin.clone(), path.clone(), version.to_owned(), all.to_string());
            async move { admin.send(Method::PUT, &path, &[("if-match", &version)], body).await }
        };
        assert_eq!(refusal(&put(few.header("etag")).await), (403, ""));
        let half = admin.get(&path).await;
        assert_eq!((&half.body["displayName"], &half.body["externalId"], members(&half.body).len()), (&json!("Most"), &json!("m"), 15));
        assert_eq!(members(&half.body).last(), Some(&"@m09:test"));
        assert_eq!(refusal(&put(few.header("etag")).await), (412, ""));
        // A repetition completes it, and one more changes nothing.
        suspend(&admin, "@m12:test", false).await;
        let whole = put(half.header("etag")).await;
        assert_eq!((whole.status, members(&whole.body).len()), (200, 25));
        let again = put(whole.header("etag")).await;
        assert_eq!((again.status, again.header("etag")), (200, whole.header("etag")));
        let entries = admin.get(&format!("/_reeve/admin/v1/audit?target={}&action=room.join", crate::rooms_kit::enc(made["id"].as_str().unwrap()))).await.body;
        assert_eq!(entries["entries"].as_array().unwrap().len(), 25 + 20);
        let none = patch(&admin, &path, json!([{ "op": "remove", "path": "members" }])).await;
        assert_eq!((none.status, members(&none.body)), (200, vec![]));

        let role = format!("{GROUPS}/role:support");
        let given = admin.put(&role, json!({ "schemas": [GROUP], "displayName": "support", "members": people })).await;
        assert_eq!((given.status, members(&given.body).len()), (200, 25));
        let taken = patch(&admin, &role, json!([{ "op": "remove", "path": "members", "value": people[..20] }])).await;
        assert_eq!((taken.status, members(&taken.body).len()), (200, 5));
    }

    #[config(with_groups)]
    async fn a_new_group_whose_members_are_refused_is_none(server: Server) {
        let admin = server.admin().await;
        let people = people(&server, 15).await;
        for refused in ["@m03:test", "@m14:test"] {
            suspend(&admin, refused, true).await;
            let new = json!({ "schemas": [GROUP], "displayName": "New", "externalId": "n", "members": people });
            assert_eq!(refusal(&admin.post(GROUPS, new).await), (403, ""), "{refused}");
            assert_eq!(ids(&admin.get(&filtered(GROUPS, "displayName eq \"New\"")).await), (vec![], 0), "{refused}");
            let rooms = "/_synapse/admin/v1/users/@m00:test/joined_rooms";
            crate::sync_kit::eventually(&admin, rooms, |reply| reply.body["total"] == json!(0)).await;
            suspend(&admin, refused, false).await;
        }
        let (made, _) = group(&admin, json!({ "displayName": "New", "externalId": "n", "members": people })).await;
        assert_eq!(members(&made).len(), 15);
    }

    #[config(with_groups)]
    async fn filters_and_refusals(server: Server) {
        let admin = server.admin().await;
        let alice = create(&admin, json!({ "userName": "alice" })).await;
        let (one, path) = group(&admin, json!({ "displayName": "One", "externalId": "1", "members": [{ "value": alice["id"] }] })).await;
        let (two, _) = group(&admin, json!({ "displayName": "Two" })).await;
        let (one, two) = (one["id"].as_str().unwrap(), two["id"].as_str().unwrap());
        for (filter, wanted) in [
            ("displayName eq \"one\"", vec![one]),
            ("externalId eq \"1\"", vec![one]),
            ("displayName eq \"support\"", vec!["role:support"]),
            ("displayName co \"t\" and urn:reeve:params:scim:schemas:extension:matrix:2.0:Group:kind eq \"space\"", vec![two]),
            ("members.value eq \"@alice:test\"", vec![one]),
            ("members[value eq \"@alice:test\"] and displayName eq \"Two\"", vec![]),
            ("members eq \"@nobody:test\"", vec![]),
            ("members eq \"@groups:test\"", vec![]),
            ("members eq \"@admin:test\" or members.value eq \"@alice:test\"", vec!["role:owner", one]),
            ("members eq \"@alice:test\" or displayName eq \"Two\"", vec![one, two]),
            ("not (members eq \"@alice:test\") and displayName co \"o\" and meta.created pr", vec![two]),
            ("id eq \"role:auditor\" or displayName eq \"Two\"", vec!["role:auditor", two]),
            (&format!("id eq \"{two}\" or id eq \"{one}\" or id eq \"{two}\""), vec![one, two]),
            (&format!("id eq \"{one}\" and displayName eq \"two\""), vec![]),
            (&format!("id eq \"role:support\" or id eq \"{two}\" or id eq \"role:nobody\""), vec!["role:support", two]),
            ("id eq \"!nowhere:test\"", vec![]),
            ("externalId eq \"1\" and meta.lastModified pr", vec![one]),
            ("DISPLAYNAME SW \"tW\"", vec![two]),
        ] {
            let reply = admin.get(&filtered(GROUPS, filter)).await;
            assert_eq!(ids(&reply).0, wanted, "{filter}");
            let search = json!({ "schemas": ["urn:ietf:params:scim:api:messages:2.0:SearchRequest"], "filter": filter });
            assert_eq!(admin.post("/scim/v2/Groups/.search", search).await.body, reply.body);
        }
        let many = vec!["members eq \"@x:test\""; 21].join(" or ");
        for filter in ["members pr", "members co \"x\"", "members ne null", "nonsense eq 1", "title pr", &many] {
            assert_eq!(refusal(&admin.get(&filtered(GROUPS, filter)).await), (400, "invalidFilter"), "{filter}");
        }
        // A filter by member shows all members, and only if they are asked for.
        let by_member = filtered(GROUPS, "members eq \"@alice:test\"");
        assert_eq!(members(&admin.get(&by_member).await.body["Resources"][0]), ["@alice:test"]);
        assert_eq!(admin.get(&format!("{by_member}&excludedAttributes=members")).await.body["Resources"][0].get("members"), None);
        let reader = provider(&server, &admin, only(&[Scope::RoomsRead])).await;
        assert_eq!(ids(&reader.get(&filtered(GROUPS, "id eq \"role:support\"")).await), (vec![], 0));
        assert_eq!(ids(&reader.get(&filtered(GROUPS, "members eq \"@admin:test\"")).await), (vec![], 0));
        assert_eq!(ids(&reader.get(&format!("{GROUPS}?startIndex=2&count=1")).await), (vec![two], 2));
        for (query, wanted) in [
            ("startIndex=5&count=2", vec!["role:auditor", one]),
            ("sortBy=externalId&count=1", vec![one]),
            ("sortBy=id&sortOrder=descending&count=1", vec!["role:support"]),
        ] {
            assert_eq!(ids(&admin.get(&format!("{GROUPS}?{query}")).await), (wanted, 7), "{query}");
        }
        let page = admin.get(&format!("{GROUPS}?sortBy=displayName&sortOrder=descending&count=1&excludedAttributes=members")).await;
        assert_eq!(ids(&page), (vec![two], 7));
        assert_eq!(refusal(&admin.get(&format!("{GROUPS}?sortBy=members")).await), (400, "invalidValue"));
        let without = admin.get(&format!("{path}?excludedAttributes=members")).await.body;
        assert_eq!(without.get("members"), None);
        for (body, wanted) in [
            (json!({}), (400, "invalidValue")),
            (json!({ "displayName": "" }), (400, "invalidValue")),
            (json!({ "displayName": "x", "members": [{}] }), (400, "invalidValue")),
            (json!({ "displayName": "x", "members": (0..501).map(|n| json!({ "value": format!("@x{n}:test") })).collect::<Vec<_>>() }), (400, "tooMany")),
        ] {
            let mut group = body.clone();
            group["schemas"] = json!([GROUP]);
            assert_eq!(refusal(&admin.post(GROUPS, group).await), wanted, "{body}");
        }
        assert_eq!(ids(&admin.get(GROUPS).await).1, 7);
        // A member who cannot join makes the whole request fail.
        let version = admin.get(&path).await.header("etag").to_owned();
        create(&admin, json!({ "userName": "bob" })).await;
        admin.put("/_synapse/admin/v1/suspend/@bob:test", json!({ "suspend": true })).await;
        let change = json!([{ "op": "replace", "path": "displayName", "value": "Z" }, { "op": "replace", "path": "members", "value": [] }, { "op": "add", "path": "members", "value": [{ "value": "@bob:test" }] }]);
        assert_eq!(refusal(&patch(&admin, &path, change).await), (403, ""));
        assert_eq!(admin.get(&path).await.header("etag"), version);
        let body = json!({ "schemas": [PATCH], "Operations": [{ "op": "replace", "path": "displayName", "value": "Z" }] }).to_string();
        let stale = admin.send(Method::PATCH, &path, &[("if-match", "W/\"x\"")], body.clone()).await;
        assert_eq!(refusal(&stale), (412, ""));
        assert_eq!(admin.send(Method::PATCH, &path, &[("if-match", &version)], body).await.status, 200);
    }
}
