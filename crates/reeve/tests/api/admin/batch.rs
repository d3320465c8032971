//! Acts on selections of accounts: each act, its protection, its confirmation, and interruptions.

use std::collections::BTreeMap;

use reeve_testkit::{Client, Reply, Server, on_both_engines};
use serde_json::{Value, json};

use crate::sync_kit::eventually;

const PATH: &str = "/_reeve/admin/v1/users/batch";
const USERS: &str = "/_synapse/admin/v2/users";

fn id(name: &str) -> String {
    format!("@{name}:test")
}

fn ids(names: &[&str]) -> Value {
    json!({ "user_ids": names.iter().map(|name| id(name)).collect::<Vec<_>>() })
}

/// Shows an order; returns its preview.
async fn show(client: &Client, selection: &Value, act: &Value) -> Value {
    let reply = client.post(PATH, json!({ "selection": selection, "act": act, "dry_run": true })).await;
    assert_eq!(reply.status, 200, "{}", reply.body);
    reply.body["preview"].clone()
}

/// Shows an order and starts it.
async fn order(client: &Client, selection: &Value, act: &Value, more: Value) -> Reply {
    let mut body = json!({ "selection": selection, "act": act });
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let mut dry = body.clone();
    dry["dry_run"] = json!(true);
    dry.as_object_mut().unwrap().shift_remove("idempotency_key");
    let shown = client.post(PATH, dry).await;
    assert_eq!(shown.status, 200, "{}", shown.body);
    body["confirm"] = shown.body["preview"]["confirm"].clone();
    client.post(PATH, body).await
}

/// Waits for the end of a batch.
async fn finished(client: &Client, id: &str) -> Value {
    for _ in 0..600 {
        let batch = client.get(&format!("{PATH}/{id}")).await;
        if matches!(batch.text("state"), "complete" | "failed" | "cancelled") {
            return batch.body;
        }
        tokio_sleep(100).await;
    }
    panic!("the batch {id} does not end");
}

/// Runs an act on some accounts; returns its outcomes by name, without reasons.
async fn run(client: &Client, selection: &Value, act: &Value) -> BTreeMap<String, String> {
    let started = order(client, selection, act, json!({})).await;
    assert_eq!(started.status, 201, "{}", started.body);
    let id = started.body["batch"]["id"].as_str().unwrap();
    let batch = finished(client, id).await;
    assert_eq!(batch["state"], "complete", "{batch}");
    let outcomes = outcomes(client, id).await;
    let counted: i64 = batch["outcomes"].as_object().unwrap().values().map(|n| n.as_i64().unwrap()).sum();
    assert_eq!(counted, i64::try_from(outcomes.len()).unwrap(), "{batch}");
    assert_eq!(batch["processed"], counted, "{batch}");
    assert_eq!(batch["total"], counted, "{batch}");
    outcomes.into_iter().map(|(name, (outcome, _))| (name, outcome)).collect()
}

/// The outcomes of a batch, with their reasons, by name. An account that occurs twice is a failure.
async fn outcomes(client: &Client, id: &str) -> BTreeMap<String, (String, Option<String>)> {
    let (mut all, mut from) = (BTreeMap::new(), String::new());
    loop {
        let reply = client.get(&format!("{PATH}/{id}/outcomes?limit=7{from}")).await;
        assert_eq!(reply.status, 200, "{}", reply.body);
        for outcome in reply.body["outcomes"].as_array().unwrap() {
            let text = |key: &str| outcome[key].as_str().map(str::to_owned);
            let twice = all.insert(text("user_id").unwrap(), (text("outcome").unwrap(), text("reason")));
            assert!(twice.is_none(), "{outcome}");
        }
        match reply.body["next_token"].as_str() {
            Some(token) => from = format!("&from={token}"),
            None => return all,
        }
    }
}

fn all(names: &[&str], outcome: &str) -> BTreeMap<String, String> {
    names.iter().map(|name| (id(name), outcome.to_owned())).collect()
}

async fn create(server: &Server, prefix: &str, many: usize) {
    let prefix = prefix.to_owned();
    let write = move |tx: &mut reeve_db::Tx<'_>| -> Result<(), reeve_db::DbError> {
        for n in 0..many {
            let user = reeve_model::User::new(id(&format!("{prefix}{n:04}")), reeve_testkit::START);
            reeve_store::users::insert(tx, &user, None)?;
        }
        Ok(())
    };
    server.app().db.write(write).await.unwrap();
}

async fn audit_of(admin: &Client, target: &str, action: &str) -> Vec<Value> {
    let reply = admin.get(&format!("/_reeve/admin/v1/audit?target={target}&action={action}")).await;
    reply.body["entries"].as_array().unwrap().clone()
}

async fn count(admin: &Client, query: &str) -> i64 {
    admin.get(&format!("/_synapse/admin/v3/users?limit=1&{query}")).await.body["total"].as_i64().unwrap()
}

on_both_engines! {
    async fn restrictions_and_flags(server: Server) {
        let admin = server.admin().await;
        let (alice, _bob) = (server.user("alice").await, server.user("bob").await);
        let both = ["alice", "bob"];
        let selection = ids(&both);
        let user = |name: &'static str| { let admin = admin.clone(); async move { admin.get(&format!("{USERS}/{}", id(name))).await.body } };
        for (act, undo, key) in [
            ("lock", "unlock", "locked"), ("suspend", "unsuspend", "suspended"), ("shadow_ban", "unshadow_ban", "shadow_banned"),
        ] {
            assert_eq!(run(&admin, &selection, &json!({ "type": act })).await, all(&both, "done"), "{act}");
            assert_eq!(user("alice").await[key], true, "{act}");
            assert_eq!(run(&admin, &selection, &json!({ "type": act })).await, all(&both, "unchanged"), "{act}");
            assert_eq!(run(&admin, &selection, &json!({ "type": undo })).await, all(&both, "done"), "{undo}");
            assert_eq!(user("bob").await[key], false, "{undo}");
        }
        let set = json!({ "type": "set_user_type", "user_type": "bot" });
        assert_eq!(run(&admin, &selection, &set).await, all(&both, "done"));
        assert_eq!(user("alice").await["user_type"], "bot");
        assert_eq!(run(&admin, &selection, &set).await, all(&both, "unchanged"));
        let clear = json!({ "type": "set_user_type", "user_type": null });
        assert_eq!(run(&admin, &selection, &clear).await, all(&both, "done"));
        assert_eq!(user("alice").await["user_type"], Value::Null);
        let limit = json!({ "type": "set_ratelimit", "messages_per_second": 3, "burst_count": 9 });
        assert_eq!(run(&admin, &selection, &limit).await, all(&both, "done"));
        let path = format!("/_synapse/admin/v1/users/{}/override_ratelimit", id("bob"));
        assert_eq!(admin.get(&path).await.body, json!({ "messages_per_second": 3, "burst_count": 9 }));
        assert_eq!(run(&admin, &selection, &limit).await, all(&both, "unchanged"));
        let clear = json!({ "type": "clear_ratelimit" });
        assert_eq!(run(&admin, &selection, &clear).await, all(&both, "done"));
        assert_eq!(admin.get(&path).await.body, json!({}));
        let role = json!({ "type": "set_role", "role": "support" });
        assert_eq!(run(&admin, &selection, &role).await, all(&both, "done"));
        assert_eq!(alice.get(USERS).await.status, 200);
        assert_eq!(run(&admin, &selection, &json!({ "type": "set_role", "role": null })).await, all(&both, "done"));
        assert_eq!(alice.get(USERS).await.status, 403);
    }

    async fn required_changes_of_passwords(server: Server) {
        let admin = server.admin().await;
        let (alice, bob) = (server.user("alice").await, server.user("bob").await);
        admin.put(&format!("{USERS}/@bare:test"), json!({})).await;
        let is_required = async |name: &str| {
            admin.get(&format!("/_reeve/admin/v1/users/{}/password_change", id(name))).await.body["required"] == true
        };
        let act = json!({ "type": "require_password_change" });
        let got = run(&admin, &ids(&["alice", "bare"]), &act).await;
        assert_eq!(got, [(id("alice"), "done".to_owned()), (id("bare"), "failed".to_owned())].into());
        assert!(is_required("alice").await && !is_required("bob").await && !is_required("bare").await);
        let whoami = "/_matrix/client/v3/account/whoami";
        assert_eq!(alice.get(whoami).await.status, 200);
        assert_eq!(run(&admin, &ids(&["alice"]), &act).await, all(&["alice"], "unchanged"));
        let ending = json!({ "type": "require_password_change", "logout_devices": true });
        assert_eq!(run(&admin, &ids(&["alice", "bob"]), &ending).await, all(&["alice", "bob"], "done"));
        assert_eq!((alice.get(whoami).await.status, bob.get(whoami).await.status), (401, 401));
        assert!(is_required("bob").await);
        let changes = &audit_of(&admin, &id("bob"), "user.update").await[0]["changes"];
        assert_eq!(changes, &json!({ "password_change_required": true }));
        assert_eq!(run(&admin, &ids(&["alice", "bob"]), &ending).await, all(&["alice", "bob"], "unchanged"));
    }

    async fn sessions_devices_and_deactivation(server: Server) {
        let admin = server.admin().await;
        let (alice, bob) = (server.user("alice").await, server.user("bob").await);
        server.create("idle", false).await;
        server.clock.advance(10_000);
        let old = json!({ "type": "delete_devices", "not_seen_since": server.clock.now().get() - 5000 });
        // Sightings reach the database after a moment.
        let fresh = server.log_in("alice", "alice's password").await;
        let got = run(&admin, &ids(&["alice", "idle"]), &old).await;
        assert_eq!(got, [(id("alice"), "done".to_owned()), (id("idle"), "unchanged".to_owned())].into());
        let whoami = "/_matrix/client/v3/account/whoami";
        assert_eq!((alice.get(whoami).await.status, fresh.get(whoami).await.status), (401, 200));
        let got = run(&admin, &ids(&["alice", "idle"]), &json!({ "type": "log_out" })).await;
        assert_eq!(got, [(id("alice"), "done".to_owned()), (id("idle"), "unchanged".to_owned())].into());
        assert_eq!(fresh.get(whoami).await.status, 401);
        let act = json!({ "type": "deactivate" });
        assert_eq!(run(&admin, &ids(&["bob"]), &act).await, all(&["bob"], "done"));
        assert_eq!(bob.get(whoami).await.status, 401);
        assert_eq!(run(&admin, &ids(&["bob"]), &act).await, all(&["bob"], "unchanged"));
        let erase = json!({ "type": "deactivate", "erase": true });
        assert_eq!(run(&admin, &ids(&["bob"]), &erase).await, all(&["bob"], "done"));
        let bob = admin.get(&format!("{USERS}/{}", id("bob"))).await.body;
        assert_eq!((&bob["deactivated"], &bob["erased"]), (&json!(true), &json!(true)));
    }

    #[config(|config| config.policy.notices_localpart = Some("notices".to_owned()))]
    async fn rooms_notices_and_media(server: Server) {
        let admin = server.admin().await;
        let (alice, _bob) = (server.user("alice").await, server.user("bob").await);
        let made = admin.post("/_matrix/client/v3/createRoom", json!({ "preset": "public_chat" })).await;
        let room = made.text("room_id").to_owned();
        let join = json!({ "type": "join_room", "room": room });
        assert_eq!(run(&admin, &ids(&["alice", "bob"]), &join).await, all(&["alice", "bob"], "done"));
        assert_eq!(run(&admin, &ids(&["alice"]), &join).await, all(&["alice"], "unchanged"));
        let joined = || alice.get("/_matrix/client/v3/joined_rooms");
        assert_eq!(joined().await.body["joined_rooms"], json!([room]));
        let remove = json!({ "type": "remove_from_room", "room": room });
        assert_eq!(run(&admin, &ids(&["alice"]), &remove).await, all(&["alice"], "done"));
        assert_eq!(run(&admin, &ids(&["alice"]), &remove).await, all(&["alice"], "unchanged"));
        assert_eq!(joined().await.body["joined_rooms"], json!([]));
        // Somebody who was banned cannot be let in, and nothing of the try is left.
        let ban = json!({ "user_id": id("alice") });
        assert_eq!(admin.post(&format!("/_matrix/client/v3/rooms/{room}/ban"), ban).await.status, 200);
        assert_eq!(run(&admin, &ids(&["alice"]), &join).await, all(&["alice"], "refused"));

        let notice = json!({ "type": "send_notice", "content": { "msgtype": "m.text", "body": "hello" } });
        assert_eq!(run(&admin, &ids(&["alice"]), &notice).await, all(&["alice"], "done"));
        let sync = alice.get("/_matrix/client/v3/sync").await.body;
        assert_eq!(sync["rooms"]["invite"].as_object().map(serde_json::Map::len), Some(1), "{sync}");

        for n in 0..3 {
            let sent = alice.send(http::Method::POST, "/_matrix/media/v3/upload", &[("content-type", "text/plain")], format!("text {n}").into_bytes()).await;
            assert_eq!(sent.status, 200, "{}", sent.body);
        }
        let media = format!("/_synapse/admin/v1/users/{}/media", id("alice"));
        let quarantine = json!({ "type": "quarantine_media" });
        let both = || [(id("alice"), "done".to_owned()), (id("bob"), "unchanged".to_owned())].into();
        assert_eq!(run(&admin, &ids(&["alice", "bob"]), &quarantine).await, both());
        let listed = admin.get(&media).await.body;
        assert!(listed["media"].as_array().unwrap().iter().all(|one| one["quarantined_by"] == id("admin")), "{listed}");
        assert_eq!(run(&admin, &ids(&["alice"]), &quarantine).await, all(&["alice"], "unchanged"));
        assert_eq!(run(&admin, &ids(&["alice", "bob"]), &json!({ "type": "delete_media" })).await, both());
        assert_eq!(admin.get(&media).await.body["total"], 0);
    }

    async fn protected_accounts_and_rights(server: Server) {
        let admin = server.admin().await;
        server.create("owner", true).await;
        for name in ["moderator", "auditor", "helper", "plain"] {
            server.create(name, false).await;
        }
        let set = |name: &'static str, role: &'static str| {
            let admin = admin.clone();
            async move {
                let path = format!("/_reeve/admin/v1/users/{}/role", id(name));
                assert_eq!(admin.put(&path, json!({ "role": role })).await.status, 200);
            }
        };
        set("moderator", "moderator").await;
        set("auditor", "auditor").await;
        set("helper", "support").await;
        let moderator = server.log_in("moderator", "moderator's password").await;
        let auditor = server.log_in("auditor", "auditor's password").await;
        let lock = json!({ "type": "lock" });
        let shown = show(&moderator, &json!({ "filter": {} }), &lock).await;
        assert_eq!(shown["total"], 6, "{shown}");
        assert_eq!(shown["left_out"], json!({ "requester": 1, "owners": 2, "above": 2, "unknown": 0 }));
        assert_eq!((&shown["concerned"], &shown["user_ids"]), (&json!(1), &json!([id("plain")])));
        let names = ["moderator", "owner", "auditor", "helper", "plain", "nobody", "plain"];
        let shown = show(&moderator, &ids(&names), &lock).await;
        assert_eq!(shown["left_out"], json!({ "requester": 1, "owners": 1, "above": 2, "unknown": 1 }));
        assert_eq!(shown["total"], 5);

        let everybody: BTreeMap<_, _> = [
            ("admin", "skipped"), ("owner", "skipped"), ("moderator", "skipped"), ("auditor", "refused"), ("helper", "refused"), ("plain", "done"),
        ].into_iter().map(|(name, outcome)| (id(name), outcome.to_owned())).collect();
        assert_eq!(run(&moderator, &json!({ "filter": {} }), &lock).await, everybody);
        let entries = audit_of(&admin, &id("plain"), "user.update").await;
        assert_eq!((entries.len(), &entries[0]["actor"]), (1, &json!(id("moderator"))), "{entries:?}");
        let batch = entries[0]["request_id"].as_str().unwrap();
        let entry = &audit_of(&admin, batch, "batch.start").await[0];
        assert_eq!((&entry["changes"]["act"], &entry["changes"]["total"]), (&lock, &json!(6)));
        // Naming an account that is above does not help.
        let started = order(&moderator, &ids(&["owner"]), &lock, json!({ "include": [id("owner")] })).await;
        let ended = finished(&admin, started.body["batch"]["id"].as_str().unwrap()).await;
        assert_eq!(ended["outcomes"]["refused"], 1, "{ended}");
        let started = order(&admin, &ids(&["owner"]), &lock, json!({ "include": [id("owner")] })).await;
        let ended = finished(&admin, started.body["batch"]["id"].as_str().unwrap()).await;
        assert_eq!(ended["outcomes"]["done"], 1, "{ended}");

        // Each act needs its scope, at a dry run, too.
        let forbidden = |scope: &str| (403, "M_FORBIDDEN".to_owned(), format!("This needs the scope {scope}"));
        for (client, act, scope) in [
            (&auditor, json!({ "type": "lock" }), "users:moderate"),
            (&moderator, json!({ "type": "log_out" }), "users:write"),
            (&moderator, json!({ "type": "deactivate" }), "users:deactivate"),
            (&moderator, json!({ "type": "set_role", "role": null }), "admins:write"),
            (&auditor, json!({ "type": "delete_media" }), "media:write"),
            (&auditor, json!({ "type": "join_room", "room": "!x:test" }), "rooms:write"),
            (&auditor, json!({ "type": "send_notice", "content": {} }), "notices:write"),
        ] {
            for more in [json!({ "dry_run": true }), json!({ "confirm": "x" })] {
                let mut body = json!({ "selection": ids(&["plain"]), "act": act });
                body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
                let reply = client.post(PATH, body).await;
                let (status, code, text) = reply.refusal();
                assert_eq!((status, code.to_owned(), text.to_owned()), forbidden(scope), "{act}");
            }
        }
        let last = admin.get(&format!("{PATH}?limit=1")).await.body["batches"][0]["id"].as_str().unwrap().to_owned();
        assert_eq!(auditor.post(&format!("{PATH}/{last}/cancel"), json!({})).await.status, 403);
    }

    async fn confirmations_and_idempotency(server: Server) {
        let admin = server.admin().await;
        server.create("other", true).await;
        let other = server.log_in("other", "other's password").await;
        create(&server, "u", 3).await;
        let (selection, lock) = (json!({ "filter": { "name": "u0" } }), json!({ "type": "lock" }));
        let refused = (403, "M_FORBIDDEN", "The confirmation is not valid for this order: show it again with dry_run");
        let start = |client: &Client, selection: &Value, act: &Value, confirm: &Value| {
            let (client, body) = (client.clone(), json!({ "selection": selection, "act": act, "confirm": confirm }));
            async move { client.post(PATH, body).await }
        };
        let confirm = || async { show(&admin, &selection, &lock).await["confirm"].clone() };
        for (client, selection, act) in [
            (&other, selection.clone(), lock.clone()),
            (&admin, json!({ "filter": { "name": "u00" } }), lock.clone()),
            (&admin, ids(&["u0001"]), lock.clone()),
            (&admin, selection.clone(), json!({ "type": "unlock" })),
        ] {
            let token = confirm().await;
            assert_eq!(start(client, &selection, &act, &token).await.refusal(), refused);
        }
        assert_eq!(start(&admin, &selection, &lock, &json!("unknown")).await.refusal(), refused);
        let token = confirm().await;
        server.clock.advance(600_000);
        assert_eq!(start(&admin, &selection, &lock, &token).await.refusal(), refused);
        let token = confirm().await;
        create(&server, "u1", 1).await;
        // One more that the filter does not select is no obstacle, one more that it selects is.
        create(&server, "u0x", 1).await;
        let grown = start(&admin, &selection, &lock, &token).await;
        assert_eq!(grown.refusal(), (409, "M_UNKNOWN", "4 accounts are selected now, and 3 were shown: show the order again with dry_run"));
        assert_eq!(count(&admin, "name=u0&locked=true").await, count(&admin, "name=u0").await);
        assert_eq!(admin.get(PATH).await.body, json!({ "batches": [] }));
        assert_eq!(admin.get("/_reeve/admin/v1/jobs?kind=users_batch").await.body["jobs"], json!([]));

        let first = order(&admin, &selection, &lock, json!({ "idempotency_key": "k" })).await;
        assert_eq!(first.status, 201);
        let batch = first.body["batch"]["id"].clone();
        finished(&admin, batch.as_str().unwrap()).await;
        // A repetition needs no valid confirmation.
        let again = |act: &Value| json!({ "selection": selection, "act": act, "confirm": "lost", "idempotency_key": "k" });
        let reply = admin.post(PATH, again(&lock)).await;
        assert_eq!((reply.status, &reply.body["batch"]["id"]), (200, &batch));
        let reply = admin.post(PATH, again(&json!({ "type": "unlock" }))).await;
        assert_eq!(reply.refusal(), (409, "M_UNKNOWN", "The idempotency key was used for another order"));
        // The keys of another administrator are others.
        assert_eq!(other.post(PATH, again(&lock)).await.refusal(), refused);
        // A confirmation is valid once.
        let token = confirm().await;
        assert_eq!(start(&admin, &selection, &lock, &token).await.status, 201);
        assert_eq!(start(&admin, &selection, &lock, &token).await.refusal(), refused);
    }

    // The filter of an order is that of the list, with the same accounts and the same refusals.
    async fn a_filter_is_that_of_the_list(server: Server) {
        let admin = server.admin().await;
        for (name, body) in [
            ("ann", json!({ "displayname": "Ann", "user_type": "bot", "threepids": [{ "medium": "email", "address": "ann@example.org" }] })),
            ("bob", json!({ "threepids": [{ "medium": "msisdn", "address": "4915112345" }] })),
            ("cy", json!({ "locked": true })),
            ("dot", json!({ "external_ids": [{ "auth_provider": "oidc", "external_id": "d" }] })),
        ] {
            assert_eq!(admin.put(&format!("{USERS}/{}", id(name)), body).await.status, 201);
        }
        let suspended = admin.put(&format!("/_synapse/admin/v1/suspend/{}", id("dot")), json!({ "suspend": true })).await;
        assert_eq!(suspended.status, 200);
        let (lock, later) = (json!({ "type": "lock" }), reeve_testkit::START_MS + 1);
        // Sightings reach the database after a moment.
        server.app().seen.flush(&server.app().db).await.unwrap();
        for (filter, query) in [
            (json!({}), String::new()),
            (json!({ "name": "n" }), "name=n".to_owned()),
            (json!({ "name": "n", "user_id": "nobody" }), "name=n&user_id=nobody".to_owned()),
            (json!({ "locked": true }), "locked=true".to_owned()),
            (json!({ "is_locked": true }), "is_locked=true".to_owned()),
            (json!({ "guests": false, "is_guest": false }), "guests=false&is_guest=false".to_owned()),
            (json!({ "suspended": true }), "suspended=true".to_owned()),
            (json!({ "not_user_type": ["bot", "x"] }), "not_user_type=bot&not_user_type=x".to_owned()),
            (json!({ "user_type": "" }), "user_type=".to_owned()),
            (json!({ "role": "owner", "has_devices": true }), "role=owner&has_devices=true".to_owned()),
            (json!({ "created_before": later, "never_seen": true }), format!("created_before={later}&never_seen=true")),
            (json!({ "email": "example" }), "email=example".to_owned()),
            (json!({ "phone": "+49 151", "deactivated": false }), "phone=%2B49+151&deactivated=false".to_owned()),
            (json!({ "external_provider": "oidc" }), "external_provider=oidc".to_owned()),
            (json!({ "ip": "10.0.0.0/8" }), "ip=10.0.0.0/8".to_owned()),
            (json!({ "media_size_over": 0 }), "media_size_over=0".to_owned()),
        ] {
            let listed = admin.get(&format!("/_reeve/admin/v1/users?{query}")).await;
            let shown = show(&admin, &json!({ "filter": filter }), &lock).await;
            assert_eq!(shown["total"], listed.body["total"], "{query}");
            let names: Vec<&Value> = listed.body["users"].as_array().unwrap().iter().map(|user| &user["name"]).collect();
            let concerned: Vec<&Value> = names.into_iter().filter(|name| *name != &json!(id("admin"))).collect();
            assert_eq!(shown["user_ids"].as_array().unwrap().iter().collect::<Vec<_>>(), concerned, "{query}");
        }
        for (filter, query) in [
            (json!({ "created_after": 5, "created_before": 5 }), "created_after=5&created_before=5"),
            (json!({ "never_seen": true, "last_seen_before": 5 }), "never_seen=true&last_seen_before=5"),
            (json!({ "user_type": "bot", "not_user_type": ["bot"] }), "user_type=bot&not_user_type=bot"),
            (json!({ "is_locked": true, "locked": false }), "is_locked=true&locked=false"),
            (json!({ "email": "" }), "email="),
            (json!({ "ip": "10" }), "ip=10"),
        ] {
            let listed = admin.get(&format!("/_reeve/admin/v1/users?{query}")).await;
            let refused = admin.post(PATH, json!({ "selection": { "filter": filter }, "act": lock, "dry_run": true })).await;
            assert_eq!((refused.status, refused.body), (400, listed.body), "{query}");
        }
        // What was chosen is shown with the batch.
        let started = order(&admin, &json!({ "filter": { "email": "example" } }), &lock, json!({})).await;
        assert_eq!(started.body["batch"]["filter"], json!({ "email": "example" }));
        let ended = finished(&admin, started.body["batch"]["id"].as_str().unwrap()).await;
        assert_eq!((&ended["total"], &ended["outcomes"]["done"]), (&json!(1), &json!(1)));
    }

    // Accounts with very many devices: each step does a part of them, and all are done once.
    async fn heavy_accounts_are_done_in_turn(server: Server) {
        let admin = server.admin().await;
        create(&server, "h", 12).await;
        let write = |tx: &mut reeve_db::Tx<'_>| -> Result<(), reeve_db::DbError> {
            for n in 0..12 {
                let user = reeve_store::users::num(tx, &id(&format!("h{n:04}")))?.unwrap();
                for device in 0..100 {
                    reeve_store::devices::insert(tx, user, &format!("D{device}"), None, reeve_testkit::START)?;
                }
            }
            Ok(())
        };
        server.app().db.write(write).await.unwrap();
        let selection = json!({ "filter": { "has_devices": true, "name": "h0" } });
        let done = run(&admin, &selection, &json!({ "type": "log_out" })).await;
        assert_eq!(done.len(), 12);
        assert!(done.values().all(|outcome| outcome == "done"), "{done:?}");
        assert_eq!(show(&admin, &selection, &json!({ "type": "log_out" })).await["total"], 0);
    }

    // Only those who may send notices see their content, and only those who may do an act see what became of each account.
    #[config(|config| config.policy.notices_localpart = Some("notices".to_owned()))]
    async fn what_others_see_of_a_batch(server: Server) {
        let admin = server.admin().await;
        for name in ["plain", "auditor", "moderator"] {
            server.create(name, false).await;
        }
        let role = |name: &'static str| { let admin = admin.clone(); async move {
            let path = format!("/_reeve/admin/v1/users/{}/role", id(name));
            assert_eq!(admin.put(&path, json!({ "role": name })).await.status, 200);
        } };
        role("auditor").await;
        role("moderator").await;
        let auditor = server.log_in("auditor", "auditor's password").await;
        let moderator = server.log_in("moderator", "moderator's password").await;
        let sent = json!({ "type": "send_notice", "content": { "msgtype": "m.text", "body": "between us" } });
        let notice = json!({ "type": "send_notice", "event_type": null, "content": sent["content"] });
        let started = order(&admin, &ids(&["plain"]), &sent, json!({})).await;
        assert_eq!(started.body["batch"]["act"], notice);
        let batch = started.body["batch"]["id"].as_str().unwrap().to_owned();
        assert_eq!(finished(&admin, &batch).await["outcomes"]["done"], 1);
        let path = format!("{PATH}/{batch}");
        assert_eq!(admin.get(&path).await.body["act"], notice);
        let less = json!({ "type": "send_notice", "event_type": null });
        assert_eq!(auditor.get(&path).await.body["act"], less);
        for client in [&admin, &auditor] {
            assert_eq!(client.get(PATH).await.body["batches"][0]["act"], less);
        }
        assert_eq!(audit_of(&admin, &batch, "batch.start").await[0]["changes"]["act"], less);
        let refused = (403, "M_FORBIDDEN", "This needs the scope notices:write");
        for what in ["outcomes", "outcomes/file"] {
            assert_eq!(auditor.get(&format!("{path}/{what}")).await.refusal(), refused);
            assert_eq!(admin.get(&format!("{path}/{what}")).await.status, 200);
        }
        let started = order(&admin, &ids(&["plain"]), &json!({ "type": "lock" }), json!({})).await;
        let path = format!("{PATH}/{}/outcomes", started.body["batch"]["id"].as_str().unwrap());
        assert_eq!(auditor.get(&path).await.status, 403);
        assert_eq!(moderator.get(&path).await.status, 200);
    }

    async fn a_suspended_requester_stops_the_batch(server: Server) {
        let admin = server.admin().await;
        server.create("mod", true).await;
        let moderator = server.log_in("mod", "mod's password").await;
        create(&server, "u", 300).await;
        let (selection, lock) = (json!({ "filter": { "name": "u0" } }), json!({ "type": "lock" }));
        let batch = order(&moderator, &selection, &lock, json!({})).await.body["batch"]["id"].as_str().unwrap().to_owned();
        let paused = admin.post(&format!("{PATH}/{batch}/pause"), json!({})).await;
        let suspended = admin.put(&format!("/_synapse/admin/v1/suspend/{}", id("mod")), json!({ "suspend": true })).await;
        assert_eq!(suspended.status, 200);
        if paused.status != 200 {
            return;
        }
        assert_eq!(admin.post(&format!("{PATH}/{batch}/resume"), json!({})).await.status, 200);
        let ended = finished(&admin, &batch).await;
        assert_eq!((&ended["state"], &ended["processed"]), (&json!("failed"), &paused.body["processed"]), "{ended}");
        assert_eq!(ended["error"], "the requester was suspended");
    }

    async fn bad_orders_change_nothing(server: Server) {
        let admin = server.admin().await;
        server.create("plain", false).await;
        let (some, lock) = (ids(&["plain"]), json!({ "type": "lock" }));
        let too_many: Vec<String> = (0..100_001).map(|n| id(&format!("u{n}"))).collect();
        for (body, status, code) in [
            (json!({}), 400, "M_MISSING_PARAM"),
            (json!({ "selection": some, "act": lock }), 400, "M_MISSING_PARAM"),
            (json!({ "selection": some, "act": lock, "dry_run": true, "confirm": "x" }), 400, "M_INVALID_PARAM"),
            (json!({ "selection": some, "act": lock, "dry_run": true, "idempotency_key": "x" }), 400, "M_INVALID_PARAM"),
            (json!({ "selection": some, "act": lock, "confirm": "x", "idempotency_key": "" }), 400, "M_INVALID_PARAM"),
            (json!({ "selection": some, "act": lock, "dry_run": true, "typo": 1 }), 400, "M_INVALID_PARAM"),
            (json!({ "selection": {}, "act": lock, "dry_run": true }), 400, "M_INVALID_PARAM"),
            (json!({ "selection": { "user_ids": [] }, "act": lock, "dry_run": true }), 400, "M_INVALID_PARAM"),
            (json!({ "selection": { "user_ids": [1] }, "act": lock, "dry_run": true }), 400, "M_BAD_JSON"),
            (json!({ "selection": { "user_ids": ["plain"] }, "act": lock, "dry_run": true }), 400, "M_INVALID_PARAM"),
            (json!({ "selection": { "user_ids": ["@a:elsewhere"] }, "act": lock, "dry_run": true }), 400, "M_INVALID_PARAM"),
            (json!({ "selection": { "user_ids": too_many }, "act": lock, "dry_run": true }), 400, "M_TOO_LARGE"),
            (json!({ "selection": { "user_ids": [id("plain")], "filter": {} }, "act": lock, "dry_run": true }), 400, "M_INVALID_PARAM"),
            (json!({ "selection": { "filter": { "colour": 1 } }, "act": lock, "dry_run": true }), 400, "M_INVALID_PARAM"),
            (json!({ "selection": { "filter": [] }, "act": lock, "dry_run": true }), 400, "M_BAD_JSON"),
            (json!({ "selection": { "filter": { "created_after": 2, "created_before": 1 } }, "act": lock, "dry_run": true }), 400, "M_INVALID_PARAM"),
            (json!({ "selection": { "filter": { "locked": "yes" } }, "act": lock, "dry_run": true }), 400, "M_INVALID_PARAM"),
            (json!({ "selection": { "filter": { "not_user_types": [null] } }, "act": lock, "dry_run": true }), 400, "M_INVALID_PARAM"),
            (json!({ "selection": some, "act": { "type": "explode" }, "dry_run": true }), 400, "M_INVALID_PARAM"),
            (json!({ "selection": some, "act": { "type": "reset_password" }, "dry_run": true }), 400, "M_INVALID_PARAM"),
            (json!({ "selection": some, "act": { "type": "lock", "erase": true }, "dry_run": true }), 400, "M_INVALID_PARAM"),
            (json!({ "selection": some, "act": { "type": "lock", "typo": true }, "dry_run": true }), 400, "M_INVALID_PARAM"),
            (json!({ "selection": some, "act": { "type": "delete_devices" }, "dry_run": true }), 400, "M_MISSING_PARAM"),
            (json!({ "selection": some, "act": { "type": "set_role" }, "dry_run": true }), 400, "M_MISSING_PARAM"),
            (json!({ "selection": some, "act": { "type": "set_role", "role": "king" }, "dry_run": true }), 404, "M_NOT_FOUND"),
            (json!({ "selection": some, "act": { "type": "set_user_type", "user_type": "king" }, "dry_run": true }), 400, "M_INVALID_PARAM"),
            (json!({ "selection": some, "act": { "type": "set_ratelimit", "messages_per_second": -1, "burst_count": 1 }, "dry_run": true }), 400, "M_INVALID_PARAM"),
            (json!({ "selection": some, "act": { "type": "join_room", "room": "!x:test" }, "dry_run": true }), 404, "M_NOT_FOUND"),
            (json!({ "selection": some, "act": { "type": "send_notice", "content": {} }, "dry_run": true }), 400, "M_INVALID_PARAM"),
        ] {
            let reply = admin.post(PATH, body.clone()).await;
            let text = body.to_string();
            assert_eq!((reply.status, reply.refusal().1), (status, code), "{} {}", &text[..text.len().min(300)], reply.body);
        }
        assert_eq!(admin.get(PATH).await.body, json!({ "batches": [] }));
        assert_eq!(admin.get("/_reeve/admin/v1/jobs?kind=users_batch").await.body["jobs"], json!([]));
        assert_eq!(admin.get(&format!("{PATH}/nothing")).await.status, 404);
        assert_eq!(admin.post(&format!("{PATH}/nothing/pause"), json!({})).await.status, 404);
        let user = admin.get(&format!("{USERS}/{}", id("plain"))).await.body;
        assert_eq!(user["locked"], false);
    }

    async fn pause_resume_cancel(server: Server) {
        let admin = server.admin().await;
        create(&server, "u", 900).await;
        let (selection, lock) = (json!({ "filter": { "name": "u0", "locked": true } }), json!({ "type": "lock" }));
        let judge = server.user("judge").await;
        let role = admin.put("/_reeve/admin/v1/users/@judge:test/role", json!({ "role": "moderator" })).await;
        assert_eq!(role.status, 200);
        // The job of the batch waits as long as it is paused in the transaction that follows the order.
        let batch = order(&admin, &selection, &lock, json!({})).await.body["batch"]["id"].as_str().unwrap().to_owned();
        let post = |what: &'static str| { let (admin, path) = (admin.clone(), format!("{PATH}/{batch}/{what}")); async move { admin.post(&path, json!({})).await } };
        let paused = post("pause").await;
        if paused.status == 200 {
            assert_eq!(paused.body["state"], "paused");
            let before = admin.get(&format!("{PATH}/{batch}")).await.body;
            tokio_sleep(1500).await;
            let after = admin.get(&format!("{PATH}/{batch}")).await.body;
            assert_eq!(before["processed"], after["processed"]);
            assert_eq!(outcomes(&admin, &batch).await.len() as u64, after["processed"].as_u64().unwrap());
            assert_eq!(count(&admin, "name=u0&locked=true").await - count(&admin, "name=u0").await, after["processed"].as_i64().unwrap());
            assert_eq!(post("pause").await.refusal(), (409, "M_UNKNOWN", "The batch is paused"));
            // An account that resumes it acts with the rights of the requester.
            let refused = judge.post(&format!("{PATH}/{batch}/resume"), json!({})).await;
            let cannot = "You cannot grant the scope users:write, which you do not hold";
            assert_eq!(refused.refusal(), (403, "M_FORBIDDEN", cannot));
            assert_eq!(post("resume").await.status, 200);
        } else {
            assert_eq!(paused.refusal(), (409, "M_UNKNOWN", "The batch is complete"));
        }
        assert_eq!(finished(&admin, &batch).await["outcomes"]["done"], 900);
        assert_eq!(outcomes(&admin, &batch).await.len(), 900);
        for what in ["pause", "resume", "cancel"] {
            assert_eq!(post(what).await.refusal(), (409, "M_UNKNOWN", "The batch is complete"), "{what}");
        }
        let batch = order(&admin, &selection, &json!({ "type": "unlock" }), json!({})).await.body["batch"]["id"].as_str().unwrap().to_owned();
        let reply = admin.post(&format!("{PATH}/{batch}/cancel"), json!({})).await;
        let ended = finished(&admin, &batch).await;
        if reply.status == 200 {
            assert_eq!(ended["state"], "cancelled");
        }
        tokio_sleep(300).await;
        let processed = i64::try_from(outcomes(&admin, &batch).await.len()).unwrap();
        assert_eq!(ended["processed"], processed);
        assert_eq!(count(&admin, "name=u0").await, processed);
    }

    async fn restarts_lose_and_repeat_nothing(server: Server) {
        let mut server = server;
        let mut admin = server.admin().await;
        create(&server, "u", 400).await;
        let selection = json!({ "filter": { "name": "u", "locked": true } });
        let (mut restarts, mut inside) = (0, 0);
        for (act, key) in [("lock", true), ("unlock", false), ("lock", true)] {
            let started = order(&admin, &selection, &json!({ "type": act }), json!({})).await;
            let batch = started.body["batch"]["id"].as_str().unwrap().to_owned();
            loop {
                server.restart(|_| ()).await;
                admin = server.again(&admin);
                restarts += 1;
                let now = admin.get(&format!("{PATH}/{batch}")).await.body;
                let processed = now["processed"].as_i64().unwrap();
                inside += i32::from(processed > 0 && processed < 400);
                if now["state"] == "complete" {
                    break;
                }
                tokio_sleep(20).await;
            }
            let ended = finished(&admin, &batch).await;
            assert_eq!((&ended["outcomes"]["done"], &ended["processed"]), (&json!(400), &json!(400)), "{ended}");
            let outcomes = outcomes(&admin, &batch).await;
            assert!(outcomes.len() == 400 && outcomes.values().all(|(outcome, _)| outcome == "done"));
            let locked = count(&admin, "name=u&locked=true").await - count(&admin, "name=u").await;
            assert_eq!(locked, if key { 400 } else { 0 });
            // One audit entry for each account and act.
            let batch_id = batch.clone();
            let entries = server.app().db.read(move |tx| {
                let filter = reeve_store::audit::Filter { action: "user.update".to_owned(), ..Default::default() };
                let all = reeve_store::audit::list(tx, &filter, &reeve_store::SortKey::at(reeve_model::Millis::MAX), 100_000)?;
                Ok::<_, reeve_db::DbError>(all.iter().filter(|entry| entry.request_id == batch_id).count())
            }).await.unwrap();
            assert_eq!(entries, 400);
        }
        assert!(restarts >= 3, "{restarts} restarts, {inside} in the middle");
        println!("{restarts} restarts, {inside} in the middle");
    }

    async fn a_demoted_requester_stops_the_batch(server: Server) {
        let admin = server.admin().await;
        server.create("mod", true).await;
        let moderator = server.log_in("mod", "mod's password").await;
        create(&server, "u", 300).await;
        let (selection, lock) = (json!({ "filter": { "name": "u0" } }), json!({ "type": "lock" }));
        let batch = order(&moderator, &selection, &lock, json!({})).await.body["batch"]["id"].as_str().unwrap().to_owned();
        let paused = moderator.post(&format!("{PATH}/{batch}/pause"), json!({})).await;
        let path = format!("/_reeve/admin/v1/users/{}/role", id("mod"));
        assert_eq!(admin.put(&path, json!({ "role": "auditor" })).await.status, 200);
        if paused.status != 200 {
            return;
        }
        let before = paused.body["processed"].clone();
        assert_eq!(moderator.post(&format!("{PATH}/{batch}/resume"), json!({})).await.status, 403);
        assert_eq!(admin.post(&format!("{PATH}/{batch}/resume"), json!({})).await.status, 200);
        let ended = finished(&admin, &batch).await;
        assert_eq!((&ended["state"], &ended["processed"]), (&json!("failed"), &before), "{ended}");
        assert_eq!(ended["error"], "the requester does not hold the scope users:moderate any more");
    }

    async fn results_are_files_and_are_pruned(server: Server) {
        let mut server = server;
        let admin = server.admin().await;
        server.create("plain", false).await;
        let started = order(&admin, &json!({ "filter": {} }), &json!({ "type": "lock" }), json!({})).await;
        let batch = started.body["batch"]["id"].as_str().unwrap().to_owned();
        finished(&admin, &batch).await;
        let file = admin.get(&format!("{PATH}/{batch}/outcomes/file")).await;
        let text = String::from_utf8(file.bytes.to_vec()).unwrap();
        assert_eq!(text, "user_id,outcome,reason\r\n@admin:test,skipped,The account is protected\r\n@plain:test,done,\r\n");
        let file = admin.get(&format!("{PATH}/{batch}/outcomes/file?format=jsonl&outcome=done")).await;
        let line: Value = serde_json::from_slice(&file.bytes).unwrap();
        assert_eq!(line, json!({ "user_id": id("plain"), "outcome": "done", "reason": null }));
        let only = admin.get(&format!("{PATH}/{batch}/outcomes?outcome=skipped")).await.body;
        assert_eq!(only["outcomes"].as_array().unwrap().len(), 1);
        assert_eq!(admin.get(&format!("{PATH}/{batch}/outcomes?outcome=odd")).await.refusal().1, "M_INVALID_PARAM");
        // The job stays as long as the batch, although other jobs are deleted after a week.
        server.clock.advance(89 * 24 * 3_600_000);
        server.restart(|_| ()).await;
        let admin = server.again(&admin);
        tokio_sleep(500).await;
        assert_eq!(admin.get(&format!("{PATH}/{batch}")).await.body["state"], "complete");
        server.clock.advance(2 * 24 * 3_600_000);
        server.restart(|_| ()).await;
        let admin = server.again(&admin);
        eventually(&admin, &format!("{PATH}/{batch}"), |reply| reply.status == 404).await;
        assert_eq!(admin.get("/_reeve/admin/v1/jobs?kind=users_batch").await.body["jobs"], json!([]));
    }
}

async fn tokio_sleep(ms: u64) {
    reeve_testkit::tokio::time::sleep(std::time::Duration::from_millis(ms)).await;
}
