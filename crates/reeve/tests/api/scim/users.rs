//! `/scim/v2/Users`

use http::Method;
use reeve_model::{Scope, Scopes};
use reeve_testkit::{Client, Reply, on_both_engines};
use serde_json::{Value, json};

use super::{
    GROUP, GROUPS, MATRIX, PATCH, SEARCH, USER, USERS, create, deactivating, filtered, ids, only, patch,
    provider, refusal, with_groups,
};

const ALICE: &str = "/scim/v2/Users/@alice:test";
const ADMIN: &str = "/_synapse/admin/v2/users";

/// A user without `meta`.
fn facts(mut user: Value) -> Value {
    user.as_object_mut().unwrap().shift_remove("meta");
    user
}

async fn put(client: &Client, path: &str, mut user: Value) -> Reply {
    user["schemas"] = json!([USER]);
    client.put(path, user).await
}

on_both_engines! {
    async fn from_creation_to_deletion(server: Server) {
        let admin = server.admin().await;
        let service = provider(&server, &admin, Scopes::ALL).await;
        let created = service.post(USERS, json!({
            "schemas": [USER, "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"],
            "userName": "Alice",
            "externalId": "00u1",
            "name": { "givenName": "Alice", "familyName": "Liddell" },
            "emails": [{ "value": "Alice@Example.org", "type": "work", "primary": true }],
            "phoneNumbers": [{ "value": "+1-201-555-0123", "type": "mobile" }, { "value": "1", "type": "fax" }],
            "password": "a passphrase",
            "roles": [{ "value": "support" }],
            "title": "not kept",
            "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User": { "department": "x" },
        })).await;
        assert_eq!(created.status, 201, "{}", created.body);
        let wanted = json!({
            "schemas": [USER],
            "id": "@alice:test",
            "externalId": "00u1",
            "userName": "alice",
            "name": { "formatted": "Alice Liddell" },
            "displayName": "Alice Liddell",
            "active": true,
            "emails": [{ "value": "alice@example.org", "type": "work" }],
            "phoneNumbers": [{ "value": "12015550123", "type": "mobile" }],
            "groups": [{ "value": "role:support", "$ref": "/scim/v2/Groups/role:support", "display": "support", "type": "direct" }],
            "roles": [{ "value": "support" }],
        });
        assert_eq!(facts(created.body.clone()), wanted);
        let meta = &created.body["meta"];
        assert_eq!(meta["resourceType"], json!("User"));
        assert_eq!(meta["created"], json!("2023-11-14T22:13:20Z"));
        assert_eq!(created.header("location"), ALICE);
        assert_eq!(created.header("etag"), meta["version"].as_str().unwrap());
        assert_eq!(service.get(ALICE).await.body, created.body);
        let matrix = json!({ "userId": "@alice:test", "locked": false, "deactivated": false, "admin": false });
        let asked = service.get(&format!("{ALICE}?attributes={MATRIX}")).await.body;
        assert_eq!(asked, json!({ "schemas": [USER, MATRIX], "id": "@alice:test", MATRIX: matrix }));
        // The other APIs see the same account, and the person can log in.
        let account = admin.get(&format!("{ADMIN}/@alice:test")).await.body;
        assert_eq!(account["external_ids"], json!([{ "auth_provider": "scim", "external_id": "00u1" }]));
        server.log_in("alice", "a passphrase").await;
        let entries = admin.get("/_reeve/admin/v1/audit?target=@alice:test").await.body;
        let actions: Vec<&str> = entries["entries"].as_array().unwrap().iter().map(|entry| entry["action"].as_str().unwrap()).collect();
        assert_eq!(actions, ["user.role", "user.create"]);

        assert_eq!(service.delete(ALICE).await.status, 204);
        assert_eq!(refusal(&service.get(ALICE).await), (404, ""));
        for reply in [service.delete(ALICE).await, put(&service, ALICE, json!({ "userName": "alice" })).await] {
            assert_eq!(refusal(&reply), (404, ""));
        }
        assert_eq!(ids(&service.get(&filtered(USERS, "userName eq \"alice\"")).await), (vec![], 0));
        let account = admin.get(&format!("{ADMIN}/@alice:test")).await.body;
        assert_eq!((&account["deactivated"], &account["external_ids"]), (&json!(true), &json!([])));
        // The same person comes back, without the rights of before.
        let again = create(&service, json!({ "userName": "alice", "displayName": "A", "externalId": "00u1" })).await;
        assert_eq!((&again["id"], &again["active"], again.get("roles")), (&json!("@alice:test"), &json!(true), None));
        assert_eq!((again.get("emails"), &again["displayName"]), (None, &json!("A")));
    }

    async fn creation_is_refused(server: Server) {
        let admin = server.admin().await;
        create(&admin, json!({ "userName": "alice", "externalId": "1" })).await;
        for (user, wanted) in [
            (json!({ "userName": "alice" }), (409, "uniqueness")),
            (json!({ "userName": "ALICE" }), (409, "uniqueness")),
            (json!({ "userName": "@alice:test" }), (409, "uniqueness")),
            (json!({ "userName": "bob", "externalId": "1" }), (409, "uniqueness")),
            (json!({}), (400, "invalidValue")),
            (json!({ "userName": " " }), (400, "invalidValue")),
            (json!({ "userName": 1 }), (400, "invalidValue")),
            (json!({ "userName": "123" }), (400, "invalidValue")),
            (json!({ "userName": "x".repeat(300) }), (400, "invalidValue")),
            (json!({ "userName": "bob", "emails": [{ "value": "x" }] }), (400, "invalidValue")),
            (json!({ "userName": "bob", "roles": [{ "value": "nonsense" }] }), (400, "invalidValue")),
            (json!({ "userName": "bob", "roles": ["support", "auditor"] }), (400, "invalidValue")),
            (json!({ "userName": "bob", "active": "perhaps" }), (400, "invalidValue")),
        ] {
            let mut body = user.clone();
            body["schemas"] = json!([USER]);
            assert_eq!(refusal(&admin.post(USERS, body).await), wanted, "{user}");
        }
        assert_eq!(refusal(&admin.post(USERS, json!({ "userName": "bob" })).await), (400, "invalidSyntax"));
        assert_eq!(refusal(&admin.post(USERS, json!({ "schemas": ["x"], "userName": "bob" })).await), (400, "invalidSyntax"));
        // Nothing of a refused request stays.
        assert_eq!(admin.get(&format!("{ADMIN}/@bob:test")).await.status, 404);
    }

    async fn an_act_needs_its_scope(server: Server) {
        let admin = server.admin().await;
        let writer = provider(&server, &admin, only(&[Scope::UsersRead, Scope::UsersWrite])).await;
        create(&writer, json!({ "userName": "alice" })).await;
        for user in [json!({ "userName": "bob", "active": false }), json!({ "userName": "bob", "roles": ["support"] })] {
            let mut body = user.clone();
            body["schemas"] = json!([USER]);
            assert_eq!(refusal(&writer.post(USERS, body).await), (403, ""), "{user}");
            assert_eq!(refusal(&put(&writer, ALICE, json!({ "userName": "alice", "active": user["active"], "roles": user["roles"] })).await).0, 403);
        }
        assert_eq!(admin.get(&format!("{ADMIN}/@bob:test")).await.status, 404);
        assert_eq!(refusal(&writer.delete(ALICE).await), (403, ""));
        assert_eq!(refusal(&writer.get("/scim/v2/Groups").await), (403, ""));
        // Accounts above the caller are out of reach, also by what they had.
        admin.put("/_reeve/admin/v1/users/@alice:test/role", json!({ "role": "administrator" })).await;
        assert_eq!(refusal(&put(&writer, ALICE, json!({ "userName": "alice", "displayName": "x" })).await), (403, ""));
        admin.post("/_synapse/admin/v1/deactivate/@alice:test", json!({})).await;
        let again = writer.post(USERS, json!({ "schemas": [USER], "userName": "alice" })).await;
        assert_eq!(refusal(&again), (403, ""));
    }

    async fn a_put_changes_what_it_names(server: Server) {
        let admin = server.admin().await;
        let alice = create(&admin, json!({
            "userName": "alice", "displayName": "Alice", "externalId": "1", "emails": ["a@x.org"], "phoneNumbers": ["1"],
        })).await;
        let changed = put(&admin, ALICE, json!({ "userName": "alice", "displayName": "B" })).await;
        assert_eq!(changed.status, 200, "{}", changed.body);
        assert_eq!((&changed.body["displayName"], &changed.body["emails"], &changed.body["externalId"]), (&json!("B"), &alice["emails"], &json!("1")));
        let cleared = put(&admin, ALICE, json!({ "userName": "alice", "displayName": null, "emails": [], "externalId": null })).await.body;
        for key in ["displayName", "name", "emails", "externalId"] {
            assert_eq!(cleared.get(key), None, "{key}");
        }
        assert_eq!(cleared["phoneNumbers"], alice["phoneNumbers"]);
        // A user can be sent back as it was read.
        let same = admin.put(ALICE, admin.get(ALICE).await.body).await;
        assert_eq!((same.status, facts(same.body)), (200, facts(cleared)));
        assert_eq!(refusal(&put(&admin, ALICE, json!({ "userName": "bob" })).await), (400, "mutability"));
        assert_eq!(refusal(&put(&admin, ALICE, json!({ "displayName": "x" })).await), (400, "invalidValue"));
        assert_eq!(refusal(&put(&admin, "/scim/v2/Users/@nobody:test", json!({ "userName": "nobody" })).await), (404, ""));
        let password = put(&admin, ALICE, json!({ "userName": "alice", "password": "another passphrase" })).await;
        assert_eq!(password.status, 200);
        server.log_in("alice", "another passphrase").await;
    }

    async fn inactive_users_are_locked(server: Server) {
        let admin = server.admin().await;
        create(&admin, json!({ "userName": "alice", "password": "p", "emails": ["a@x.org"] })).await;
        let session = server.log_in("alice", "p").await;
        let whoami = "/_matrix/client/v3/account/whoami";
        let off = patch(&admin, ALICE, json!([{ "op": "Replace", "path": "active", "value": "False" }])).await;
        assert_eq!((off.status, &off.body["active"]), (200, &json!(false)));
        let locked = admin.get(&format!("{ALICE}?attributes={MATRIX}:locked")).await.body;
        assert_eq!(locked[MATRIX], json!({ "locked": true }));
        assert_eq!(session.get(whoami).await.refusal().1, "M_USER_LOCKED");
        assert_eq!(ids(&admin.get(&filtered(USERS, "active eq false")).await), (vec!["@alice:test"], 1));
        assert_eq!(ids(&admin.get(&filtered(USERS, "active eq true")).await), (vec!["@admin:test"], 1));
        let on = patch(&admin, ALICE, json!([{ "op": "replace", "value": { "active": true } }])).await;
        assert_eq!((&on.body["active"], &on.body["emails"][0]["value"]), (&json!(true), &json!("a@x.org")));
        assert_eq!(session.get(whoami).await.status, 200);
    }

    #[config(deactivating)]
    async fn inactive_users_are_deactivated_where_the_settings_say(server: Server) {
        let admin = server.admin().await;
        create(&admin, json!({ "userName": "alice", "displayName": "A", "externalId": "1", "emails": ["a@x.org"] })).await;
        let off = patch(&admin, ALICE, json!([{ "op": "replace", "path": "active", "value": false }])).await.body;
        assert_eq!((&off["active"], &off["displayName"], off.get("emails")), (&json!(false), &json!("A"), None));
        assert_eq!(ids(&admin.get(&filtered(USERS, "active eq false")).await), (vec!["@alice:test"], 1));
        assert_eq!(ids(&admin.get(&filtered(USERS, "active eq true")).await), (vec!["@admin:test"], 1));
        assert_eq!(refusal(&admin.post(USERS, json!({ "schemas": [USER], "userName": "alice" })).await), (409, "uniqueness"));
        let on = patch(&admin, ALICE, json!([{ "op": "replace", "path": "active", "value": true }])).await.body;
        assert_eq!((&on["active"], &on["externalId"]), (&json!(true), &json!("1")));
        assert_eq!(admin.delete(ALICE).await.status, 204);
        assert_eq!(admin.get(ALICE).await.status, 404);
        assert_eq!(admin.get(&format!("{ADMIN}/@alice:test")).await.body["erased"], json!(true));
        assert_eq!(refusal(&admin.post(USERS, json!({ "schemas": [USER], "userName": "alice" })).await), (409, "uniqueness"));
    }

    async fn the_name_of_an_erased_account_is_taken(server: Server) {
        let admin = server.admin().await;
        for (name, erase) in [("alice", true), ("bob", false)] {
            create(&admin, json!({ "userName": name, "displayName": "Old", "externalId": name })).await;
            let path = format!("/_synapse/admin/v1/deactivate/@{name}:test");
            assert_eq!(admin.post(&path, json!({ "erase": erase })).await.status, 200);
        }
        let before = admin.get(&format!("{ADMIN}/@alice:test")).await.body;
        for name in ["alice", "ALICE", "@alice:test"] {
            let reply = admin.post(USERS, json!({ "schemas": [USER], "userName": name, "displayName": "New" })).await;
            assert_eq!(refusal(&reply), (409, "uniqueness"), "{name}");
        }
        assert_eq!(admin.get(&format!("{ADMIN}/@alice:test")).await.body, before);
        // One that was deactivated alone is given back, and what is kept of it can be restored.
        let bob = create(&admin, json!({ "userName": "bob", "displayName": "New" })).await;
        assert_eq!((&bob["active"], &bob["displayName"]), (&json!(true), &json!("New")));
        let restored = admin.post("/_reeve/admin/v1/users/@bob:test/restore", json!({})).await;
        assert_eq!(restored.status, 200, "{}", restored.body);
        // An administrator can reactivate an erased account by hand.
        admin.put(&format!("{ADMIN}/@alice:test"), json!({ "deactivated": false })).await;
        assert_eq!(admin.get(ALICE).await.body["active"], json!(true));
    }

    #[config(|config| { deactivating(config); config.scim.reuse_erased = true; })]
    async fn the_name_of_an_erased_account_is_free_where_the_settings_say(server: Server) {
        let admin = server.admin().await;
        create(&admin, json!({ "userName": "alice" })).await;
        assert_eq!(admin.delete(ALICE).await.status, 204);
        assert_eq!(admin.get(&format!("{ADMIN}/@alice:test")).await.body["erased"], json!(true));
        let new = create(&admin, json!({ "userName": "alice", "active": false })).await;
        assert_eq!(new["active"], json!(false));
        let account = admin.get(&format!("{ADMIN}/@alice:test")).await.body;
        assert_eq!((&account["deactivated"], &account["erased"]), (&json!(true), &json!(false)));
    }

    #[config(with_groups)]
    async fn the_managing_account_is_no_user_who_could_be_created(server: Server) {
        let admin = server.admin().await;
        let group = admin.post(GROUPS, json!({ "schemas": [GROUP], "displayName": "G" })).await;
        assert_eq!(group.status, 201, "{}", group.body);
        let reply = admin.post(USERS, json!({ "schemas": [USER], "userName": "groups", "displayName": "X" })).await;
        assert_eq!(refusal(&reply), (409, "uniqueness"));
        assert_eq!(admin.get(&format!("{ADMIN}/@groups:test")).await.body["displayname"], json!("groups"));
    }

    async fn a_patch_is_all_or_nothing(server: Server) {
        let admin = server.admin().await;
        create(&admin, json!({ "userName": "alice", "displayName": "Alice" })).await;
        create(&admin, json!({ "userName": "bob", "externalId": "taken" })).await;
        let before = admin.get(ALICE).await.body;
        for (second, wanted) in [
            (json!({ "op": "add", "path": "nonsense", "value": 1 }), (400, "invalidPath")),
            (json!({ "op": "add", "path": "emails[", "value": 1 }), (400, "invalidPath")),
            (json!({ "op": "add", "path": "emails[nonsense eq 1].value", "value": "x" }), (400, "invalidFilter")),
            (json!({ "op": "replace", "path": "id", "value": "x" }), (400, "mutability")),
            (json!({ "op": "replace", "path": "userName", "value": "carol" }), (400, "mutability")),
            (json!({ "op": "remove", "path": "active" }), (400, "mutability")),
            (json!({ "op": "remove" }), (400, "noTarget")),
            (json!({ "op": "replace", "path": "roles", "value": ["nonsense"] }), (400, "invalidValue")),
            (json!({ "op": "replace", "path": "externalId", "value": "taken" }), (409, "uniqueness")),
        ] {
            let reply = patch(&admin, ALICE, json!([{ "op": "replace", "path": "displayName", "value": "B" }, second])).await;
            assert_eq!(refusal(&reply), wanted, "{second}");
            assert_eq!(admin.get(ALICE).await.body, before, "{second}");
        }
        let body = json!({ "Operations": [{ "op": "replace", "path": "displayName", "value": "B" }] });
        assert_eq!(refusal(&admin.send(Method::PATCH, ALICE, &[], body.to_string()).await), (400, "invalidSyntax"));
    }

    async fn the_habits_of_identity_providers(server: Server) {
        let admin = server.admin().await;
        create(&admin, json!({ "userName": "alice" })).await;
        // Entra ID.
        let reply = patch(&admin, ALICE, json!([
            { "op": "Add", "path": "emails[type eq \"work\"].value", "value": "a@x.org" },
            { "op": "Add", "path": "phoneNumbers[type eq \"mobile\"].value", "value": "+49 1" },
            { "op": "Add", "path": "phoneNumbers[type eq \"fax\"].value", "value": "+49 2" },
            { "op": "Replace", "path": "name.givenName", "value": "not kept" },
            { "op": "Replace", "path": "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department", "value": "not kept" },
            { "op": "Replace", "value": { "displayName": "A", "externalId": "e" } },
        ])).await;
        assert_eq!(reply.status, 200, "{}", reply.body);
        assert_eq!(reply.body["emails"], json!([{ "value": "a@x.org", "type": "work" }]));
        assert_eq!(reply.body["phoneNumbers"][0]["value"], json!("491"));
        assert_eq!((&reply.body["displayName"], &reply.body["externalId"]), (&json!("A"), &json!("e")));
        let reply = patch(&admin, ALICE, json!([{ "op": "Replace", "path": "emails[type eq \"work\"].value", "value": "b@x.org" }])).await;
        assert_eq!(reply.body["emails"], json!([{ "value": "b@x.org", "type": "work" }]));
        // Okta.
        let reply = patch(&admin, ALICE, json!([{ "op": "replace", "value": { "active": false, "id": "@alice:test" } }])).await;
        assert_eq!((reply.status, &reply.body["active"]), (200, &json!(false)));
        let list = admin.get(&format!("{}&startIndex=1&count=100", filtered(USERS, "userName eq \"alice\""))).await;
        assert_eq!(ids(&list), (vec!["@alice:test"], 1));
        assert_eq!(ids(&admin.get(&format!("{USERS}?aadOptscim062020")).await).1, 2);
        let reply = patch(&admin, ALICE, json!([{ "op": "add", "path": "password", "value": "a passphrase" }, { "op": "replace", "path": "active", "value": true }])).await;
        assert_eq!((reply.status, reply.body.get("password")), (200, None));
        server.log_in("alice", "a passphrase").await;
    }

    async fn versions(server: Server) {
        let admin = server.admin().await;
        let first = create(&admin, json!({ "userName": "alice" })).await;
        let version = first["meta"]["version"].as_str().unwrap().to_owned();
        let with = |method: Method, header: &'static str, version: String, body: Value| {
            let admin = admin.clone();
            async move { admin.send(method, ALICE, &[(header, &version)], body.to_string()).await }
        };
        let none = with(Method::GET, "if-none-match", version.clone(), json!(null)).await;
        assert_eq!((none.status, none.header("etag"), none.bytes.len()), (304, &*version, 0));
        assert_eq!(with(Method::GET, "if-none-match", "W/\"x\"".to_owned(), json!(null)).await.status, 200);
        let body = json!({ "schemas": [USER], "userName": "alice", "displayName": "A" });
        let changed = with(Method::PUT, "if-match", version.clone(), body.clone()).await;
        assert_eq!(changed.status, 200);
        assert_ne!(changed.header("etag"), version);
        let stale = (412, "");
        assert_eq!(refusal(&with(Method::PUT, "if-match", version.clone(), body).await), stale);
        let operations = json!({ "schemas": [PATCH], "Operations": [{ "op": "replace", "path": "displayName", "value": "B" }] });
        assert_eq!(refusal(&with(Method::PATCH, "if-match", version.clone(), operations.clone()).await), stale);
        assert_eq!(refusal(&with(Method::DELETE, "if-match", version, json!(null)).await), stale);
        assert_eq!(admin.get(ALICE).await.body, changed.body);
        assert_eq!(with(Method::PATCH, "if-match", "*".to_owned(), operations).await.status, 200);
    }

    #[config(with_groups)]
    async fn a_version_is_the_same_whatever_a_request_asks_for(server: Server) {
        let admin = server.admin().await;
        let alice = create(&admin, json!({ "userName": "alice", "emails": ["a@x.org"], "roles": ["support"] })).await;
        create(&admin, json!({ "userName": "bob" })).await;
        let version = &alice["meta"]["version"];
        let group = admin.post(GROUPS, json!({ "schemas": [GROUP], "displayName": "G", "members": [{ "value": "@alice:test" }] })).await;
        assert_eq!(group.status, 201, "{}", group.body);
        // A change of a group is no change of its members.
        let whole = admin.get(ALICE).await.body;
        let groups: Vec<&str> = whole["groups"].as_array().unwrap().iter().map(|group| group["display"].as_str().unwrap()).collect();
        assert_eq!((groups, &whole["meta"]["version"]), (vec!["support", "G"], version));
        for query in ["count=100", "attributes=meta.version", "attributes=userName,meta", "excludedAttributes=groups", "excludedAttributes=groups,emails,roles"] {
            for path in [
                format!("{USERS}?{query}"),
                format!("{}&{query}", filtered(USERS, "userName eq \"alice\"")),
                format!("{}&{query}", filtered(USERS, "active eq true and emails pr")),
                format!("{}&{query}", filtered(USERS, "groups.display eq \"g\"")),
            ] {
                let list = admin.get(&path).await.body;
                let found = list["Resources"].as_array().unwrap().iter().find(|user| user["id"] == "@alice:test");
                assert_eq!(&found.unwrap()["meta"]["version"], version, "{path}");
            }
        }
        for query in ["attributes=meta.version", "excludedAttributes=groups,emails"] {
            let one = admin.get(&format!("{ALICE}?{query}")).await;
            assert_eq!((&one.body["meta"]["version"], one.header("etag")), (version, version.as_str().unwrap()), "{query}");
        }
        // The groups of all users in a page are right.
        let list = admin.get(USERS).await.body;
        let of = |id: &str| list["Resources"].as_array().unwrap().iter().find(|user| user["id"] == id).unwrap().get("groups");
        assert_eq!((of("@alice:test"), of("@bob:test")), (Some(&whole["groups"]), None));
        let changed = patch(&admin, ALICE, json!([{ "op": "replace", "path": "displayName", "value": "B" }])).await.body;
        assert_ne!(&changed["meta"]["version"], version);
    }

    async fn filters(server: Server) {
        let admin = server.admin().await;
        for number in 0..12 {
            let name = format!("user{number:02}");
            create(&admin, json!({
                "userName": name, "externalId": format!("E{number}"), "displayName": format!("Person {number}"),
                "emails": [format!("{name}@x.org")], "active": number % 4 != 0,
            })).await;
        }
        patch(&admin, &format!("{USERS}/@user03:test"), json!([{ "op": "add", "path": "roles", "value": ["support"] }])).await;
        server.clock.advance(60_000);
        create(&admin, json!({ "userName": "late" })).await;
        admin.post("/_synapse/admin/v1/deactivate/@user11:test", json!({})).await;
        for (filter, wanted) in [
            ("userName eq \"user01\"", vec!["user01"]),
            ("USERNAME EQ \"USER01\"", vec!["user01"]),
            ("userName eq \"nobody\"", vec![]),
            ("userName eq \"user11\"", vec![]),
            ("id eq \"@user02:test\"", vec!["user02"]),
            ("externalId eq \"E5\"", vec!["user05"]),
            ("externalId eq \"e5\"", vec![]),
            ("emails.value eq \"USER06@x.org\"", vec!["user06"]),
            ("emails[type eq \"work\" and value eq \"user06@x.org\"]", vec!["user06"]),
            ("emails[type eq \"home\" and value eq \"user06@x.org\"]", vec![]),
            ("userName eq \"user01\" or externalId eq \"E2\" or userName eq \"user01\"", vec!["user01", "user02"]),
            ("userName eq \"user01\" and active eq false", vec![]),
            ("userName eq \"user04\" and active eq false", vec!["user04"]),
            ("active eq false", vec!["user00", "user04", "user08"]),
            ("active eq false and displayName co \"person 4\"", vec!["user04"]),
            ("not (active eq true)", vec!["user00", "user04", "user08"]),
            ("displayName co \"son 1\"", vec!["user01", "user10"]),
            ("displayName sw \"Person 9\"", vec!["user09"]),
            ("displayName eq \"person 10\"", vec!["user10"]),
            ("userName sw \"user1\"", vec!["user10"]),
            ("userName sw \"USER1\"", vec!["user10"]),
            ("userName co \"SER09\"", vec!["user09"]),
            ("userName ew \"ER03\"", vec!["user03"]),
            ("displayName co \"SON 1\"", vec!["user01", "user10"]),
            ("emails co \"USER06@X\"", vec!["user06"]),
            ("roles.value eq \"support\"", vec!["user03"]),
            ("roles pr and active eq true and userName sw \"user\"", vec!["user03"]),
            ("groups.value eq \"role:support\"", vec!["user03"]),
            ("meta.created gt \"2023-11-14T22:13:20Z\"", vec!["late"]),
            ("meta.created ge \"2023-11-14T22:14:20Z\" and active eq true", vec!["late"]),
            ("meta.created gt \"2023-11-14T22:13:20Z\" and meta.created lt \"2023-11-14T22:13:21Z\"", vec![]),
            ("title pr", vec![]),
            ("urn:reeve:params:scim:schemas:extension:matrix:2.0:User:admin eq true", vec!["admin"]),
        ] {
            let wanted: Vec<String> = wanted.into_iter().map(|name| format!("@{name}:test")).collect();
            let reply = admin.get(&filtered(USERS, filter)).await;
            let (found, total) = ids(&reply);
            assert_eq!(found, wanted, "{filter}");
            assert_eq!(total, i64::try_from(wanted.len()).unwrap(), "{filter}");
            let search = json!({ "schemas": [SEARCH], "filter": filter });
            assert_eq!(admin.post("/scim/v2/Users/.search", search).await.body, reply.body, "{filter}");
        }
        for filter in ["nonsense eq 1", "userName eq", "userName eq \"x", "active eq true and", "(active eq true"] {
            assert_eq!(refusal(&admin.get(&filtered(USERS, filter)).await), (400, "invalidFilter"), "{filter}");
        }
    }

    async fn pages_orders_and_attributes(server: Server) {
        let admin = server.admin().await;
        for (name, shown) in [("a", "Z"), ("b", "Y"), ("c", "X")] {
            create(&admin, json!({ "userName": name, "displayName": shown, "emails": [format!("{name}@x.org")] })).await;
        }
        let all = ["@a:test", "@admin:test", "@b:test", "@c:test"];
        let list = admin.get(USERS).await;
        assert_eq!(ids(&list), (all.to_vec(), 4));
        assert_eq!((&list.body["startIndex"], &list.body["itemsPerPage"]), (&json!(1), &json!(4)));
        for (query, wanted) in [
            ("startIndex=2&count=2", &all[1..3]),
            ("startIndex=0&count=1", &all[..1]),
            ("startIndex=9", &[][..]),
            ("count=0", &[][..]),
            ("count=-1", &[][..]),
            ("count=100000", &all[..]),
            ("sortBy=userName&sortOrder=descending", &["@c:test", "@b:test", "@admin:test", "@a:test"][..]),
            ("sortBy=displayName", &["@c:test", "@b:test", "@a:test", "@admin:test"][..]),
            ("sortBy=displayName&filter=active%20eq%20true%20and%20emails%20pr", &["@c:test", "@b:test", "@a:test"][..]),
        ] {
            let reply = admin.get(&format!("{USERS}?{query}")).await;
            assert_eq!(ids(&reply).0, wanted, "{query}");
        }
        for bad in ["startIndex=x", "count=1.5", "sortBy=nonsense", "sortBy=active", "sortOrder=up", "x=1", "attributes=a&excludedAttributes=b"] {
            assert_eq!(refusal(&admin.get(&format!("{USERS}?{bad}")).await), (400, "invalidValue"), "{bad}");
        }
        let only = admin.get(&format!("{USERS}/@a:test?attributes=userName,emails.value")).await.body;
        assert_eq!(only, json!({ "schemas": [USER], "id": "@a:test", "userName": "a", "emails": [{ "value": "a@x.org" }] }));
        let without = admin.get(&format!("{USERS}?excludedAttributes=emails,meta&count=1")).await.body;
        assert_eq!((without["Resources"][0].get("emails"), without["Resources"][0].get("meta")), (None, None));
        assert_eq!(without["Resources"][0]["displayName"], json!("Z"));
        let search = json!({ "schemas": [SEARCH], "attributes": ["userName"], "startIndex": 2, "count": 1 });
        let found = admin.post("/scim/v2/Users/.search", search.clone()).await.body;
        assert_eq!(found["Resources"], json!([{ "schemas": [USER], "id": "@admin:test", "userName": "admin" }]));
        // Users come before groups.
        let everything = admin.post("/scim/v2/.search", json!({ "schemas": [SEARCH], "startIndex": 4, "count": 3 })).await;
        assert_eq!(ids(&everything), (vec!["@c:test", "role:owner", "role:administrator"], 9));
        let groups = json!({ "schemas": [SEARCH], "filter": "members.value eq \"@admin:test\"" });
        assert_eq!(ids(&admin.post("/scim/v2/.search", groups).await), (vec!["role:owner"], 1));
    }

    #[config(|config| config.scim.user_name_domain = Some("example.com".to_owned()))]
    async fn names_with_domains(server: Server) {
        let admin = server.admin().await;
        for (name, id, back) in [
            ("alice@example.com", "@alice:test", "alice@example.com"),
            ("Bob@Example.COM", "@bob:test", "bob@example.com"),
            ("carol", "@carol:test", "carol@example.com"),
            ("dave@other.org", "@dave=40other.org:test", "dave@other.org"),
        ] {
            let user = create(&admin, json!({ "userName": name })).await;
            assert_eq!((user["id"].as_str(), user["userName"].as_str()), (Some(id), Some(back)));
            assert_eq!(ids(&admin.get(&filtered(USERS, &format!("userName eq \"{back}\""))).await), (vec![id], 1));
            assert_eq!(put(&admin, &format!("{USERS}/{id}"), json!({ "userName": name })).await.status, 200, "{name}");
        }
        assert_eq!(ids(&admin.get(&filtered(USERS, "userName eq \"alice@other.org\"")).await).1, 0);
        for (filter, wanted) in [
            ("userName ew \"example.com\"", 4),
            ("userName ew \"EXAMPLE.COM\"", 4),
            ("userName co \"Example\"", 4),
            ("userName sw \"ALICE\"", 1),
            ("userName ew \"@OTHER.org\"", 1),
            ("userName eq \"ALICE@EXAMPLE.com\"", 1),
        ] {
            assert_eq!(ids(&admin.get(&filtered(USERS, filter)).await).1, wanted, "{filter}");
        }
    }

    async fn historical_names_with_capitals_are_found_in_any_case(server: Server) {
        let admin = server.admin().await;
        let insert = |tx: &mut reeve_db::Tx<'_>| -> Result<(), reeve_db::DbError> {
            for id in ["@Carol:test", "@CAROL:test"] {
                let user = reeve_model::User::new(id.to_owned(), reeve_testkit::START);
                reeve_store::users::insert(tx, &user, None)?;
            }
            Ok(())
        };
        server.app().db.write(insert).await.unwrap();
        for filter in [
            "userName eq \"carol\"",
            "userName eq \"cArOl\"",
            "userName sw \"caR\"",
            "userName co \"ARO\"",
            "userName ew \"rol\"",
            "userName co \"aro\" and active eq true",
        ] {
            let found = admin.get(&filtered(USERS, filter)).await;
            assert_eq!(ids(&found), (vec!["@CAROL:test", "@Carol:test"], 2), "{filter}");
        }
        let path = format!("{USERS}/@Carol:test");
        let named = put(&admin, &path, json!({ "userName": "carol", "displayName": "C" })).await;
        assert_eq!((named.status, &named.body["userName"], &named.body["displayName"]), (200, &json!("Carol"), &json!("C")));
        assert_eq!(refusal(&put(&admin, &path, json!({ "userName": "carl" })).await), (400, "mutability"));
        let taken = admin.post(USERS, json!({ "schemas": [USER], "userName": "carol" })).await;
        assert_eq!(refusal(&taken), (409, "uniqueness"));
    }
}
