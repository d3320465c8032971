//! `/_reeve/admin/v1/retention`: what each rule deletes and keeps, orders, and the runs of the server itself.

use std::time::Duration;

use reeve_db::DbError;
use reeve_model::{JobState, Millis, Scope, Scopes, User};
use reeve_retention::{Cutoff, Lifetimes, MessageSettings, Order};
use reeve_store::media::NewMedia;
use reeve_store::{dehydrated_devices, jobs, users};
use reeve_testkit::{Client, Config, START_MS, Server, on_both_engines};
use serde_json::{Value, json};

use super::service_tokens::issue;
use crate::client::media::{download_path, upload};
use crate::rooms_kit::{
    CS, all_messages, at, bodies, create, create_public, enc, join, joined, list, next, ok, say, say_many,
    set_state, state, sync, sync_since, thread, timeline, try_event,
};
use crate::sync_kit::state_after;

const PATH: &str = "/_reeve/admin/v1/retention";
const WHOAMI: &str = "/_matrix/client/v3/account/whoami";
const DAY: i64 = 86_400_000;

/// Orders a run and returns its result.
pub(crate) async fn run(server: &Server, admin: &Client, rule: &str, body: Value) -> Value {
    let ordered = ok(admin.post(&format!("{PATH}/{rule}"), body).await);
    result(server, admin, at(&ordered, "/job_id")).await
}

/// The result of a run, when it is over.
async fn result(server: &Server, admin: &Client, job: &str) -> Value {
    let over = server.app().jobs.wait(job, Duration::from_mins(1)).await.unwrap().unwrap();
    assert_eq!(over.state, JobState::Complete, "{over:?}");
    let shown = ok(admin.get(&format!("/_reeve/admin/v1/jobs/{job}")).await);
    assert_eq!(shown["kind"], "retention", "{shown}");
    shown["result"].clone()
}

/// Counts, runs, and returns the numbers of what was deleted and kept, which are those that were counted. A second run finds
/// nothing to delete.
async fn both(server: &Server, admin: &Client, rule: &str, body: Value) -> (i64, i64) {
    let mut counting = body.clone();
    counting["dry_run"] = json!(true);
    let counted = run(server, admin, rule, counting.clone()).await;
    assert_eq!(run(server, admin, rule, counting).await, counted, "counting changes nothing");
    let done = run(server, admin, rule, body.clone()).await;
    let numbers = |result: &Value| {
        assert_eq!(result["rule"], rule);
        (result["deleted"].as_i64().unwrap(), result["kept"].as_i64().unwrap())
    };
    assert_eq!((&counted["dry_run"], &done["dry_run"]), (&json!(true), &json!(false)));
    assert_eq!((numbers(&counted), &counted["before_ts"]), (numbers(&done), &done["before_ts"]));
    assert_eq!(last_run(admin, rule).await["deleted"], done["deleted"]);
    let again = run(server, admin, rule, body).await;
    assert_eq!(numbers(&again), (0, numbers(&done).1));
    numbers(&done)
}

async fn rules(admin: &Client) -> Vec<Value> {
    list(&ok(admin.get(PATH).await), "/rules").to_vec()
}

async fn rule(admin: &Client, word: &str) -> Value {
    rules(admin).await.into_iter().find(|rule| rule["rule"] == word).unwrap()
}

async fn last_run(admin: &Client, word: &str) -> Value {
    rule(admin, word).await["last_run"].clone()
}

async fn audited(admin: &Client, query: &str) -> Vec<Value> {
    list(&ok(admin.get(&format!("/_reeve/admin/v1/audit?{query}")).await), "/entries").to_vec()
}

/// Uses a session, and writes down that it was seen.
async fn be_seen(server: &Server, client: &Client) {
    assert_eq!(client.get(WHOAMI).await.status, 200);
    server.app().seen.flush(&server.app().db).await.unwrap();
}

async fn devices(admin: &Client, user_id: &str) -> Vec<String> {
    let devices = ok(admin.get(&format!("/_synapse/admin/v2/users/{user_id}/devices")).await);
    list(&devices, "/devices").iter().map(|device| at(device, "/device_id").to_owned()).collect()
}

async fn account(admin: &Client, user_id: &str) -> Value {
    ok(admin.get(&format!("/_synapse/admin/v2/users/{user_id}")).await)
}

fn only(scopes: &[Scope]) -> Scopes {
    scopes.iter().copied().collect()
}

/// Changes an account as the database has it.
async fn change(server: &Server, user_id: &'static str, change: fn(&mut User)) {
    let write = move |tx: &mut reeve_db::Tx<'_>| -> Result<(), DbError> {
        let before = users::find(tx, user_id)?.unwrap();
        let mut after = before.clone();
        change(&mut after);
        users::update(tx, &before, &after)
    };
    server.app().db.write(write).await.unwrap();
}

fn with_lifetimes(config: &mut Config) {
    config.retention.messages = MessageSettings {
        enabled: true,
        lifetimes: Lifetimes { default_ms: None, min_ms: Some(2 * DAY), max_ms: Some(50 * DAY) },
    };
}

fn with_default_lifetime(config: &mut Config) {
    config.retention.messages = MessageSettings {
        enabled: true,
        lifetimes: Lifetimes { default_ms: Some(10 * DAY), ..Lifetimes::default() },
    };
}

on_both_engines! {
    async fn devices_that_were_not_seen(server: Server) {
        let admin = server.admin().await;
        let (phone, laptop) = (server.user("alice").await, server.log_in("alice", "alice's password").await);
        let never = server.log_in("alice", "alice's password").await;
        be_seen(&server, &phone).await;
        let boss = server.user("boss").await;
        be_seen(&server, &boss).await;
        admin.put("/_synapse/admin/v1/users/@boss:test/admin", json!({ "admin": true })).await;
        server.app().db.write(|tx| -> Result<(), DbError> {
            let num = users::num(tx, "@alice:test")?.unwrap();
            reeve_store::devices::insert(tx, num, "DEHYDRATED", None, Millis::new(START_MS))?;
            dehydrated_devices::put(tx, num, "DEHYDRATED", "{}")
        }).await.unwrap();
        let now = ok(laptop.get(&format!("{CS}/sync")).await);
        server.clock.advance(100 * DAY);
        be_seen(&server, &laptop).await;
        be_seen(&server, &admin).await;
        // What was seen exactly then stays.
        let kept = json!({ "before_ts": START_MS });
        assert_eq!(both(&server, &admin, "devices", kept).await, (0, 0));
        // The boss is above a caller who holds less.
        let helper = issue(&server, &admin, "helper", only(&[Scope::ServerWrite, Scope::ServerRead, Scope::UsersWrite])).await;
        assert_eq!(both(&server, &helper, "devices", json!({ "older_than_ms": 90 * DAY })).await, (2, 2));
        assert_eq!(devices(&admin, "@boss:test").await, std::slice::from_ref(&boss.device_id));
        for gone in [&phone, &never] {
            assert_eq!(gone.get(WHOAMI).await.refusal(), (401, "M_UNKNOWN_TOKEN", "Invalid access token passed."));
        }
        let mut left = vec!["DEHYDRATED".to_owned(), laptop.device_id.clone()];
        left.sort();
        assert_eq!(devices(&admin, "@alice:test").await, left);
        // Others learn of it.
        let news = ok(laptop.get(&format!("{CS}/sync?since={}", at(&now, "/next_batch"))).await);
        assert_eq!(news["device_lists"]["changed"], json!(["@alice:test"]));
        assert_eq!(both(&server, &admin, "devices", json!({ "before_ts": START_MS + 1 })).await, (1, 1));
        assert_eq!(boss.get(WHOAMI).await.status, 401);
        assert_eq!(admin.get(WHOAMI).await.status, 200);
        // A run is one entry.
        assert_eq!(audited(&admin, "action=device.delete").await.len(), 0);
        let runs = audited(&admin, "action=retention.run").await;
        assert_eq!(runs.len(), 2, "{runs:?}");
        assert_eq!((&runs[0]["actor_kind"], &runs[0]["actor"], &runs[0]["target"]), (&json!("job"), &json!("retention"), &json!("devices")));
        assert_eq!((&runs[0]["changes"]["deleted"], &runs[0]["changes"]["ordered_by"]), (&json!(1), &json!("@admin:test")));
        let orders = audited(&admin, "action=retention.order&actor=helper").await;
        assert_eq!((orders.len(), &orders[0]["changes"]["before_ts"]), (2, &json!(START_MS + 10 * DAY)));
    }

    async fn uploads_that_were_not_used(server: Server) {
        let (admin, alice) = (server.admin().await, server.user("alice").await);
        let mut ids = Vec::new();
        for number in 0..6 {
            ids.push(upload(&alice, "text/plain", format!("number {number}")).await);
        }
        let empty = upload(&alice, "text/plain", "").await;
        for (what, id) in [("protect", &ids[0]), ("quarantine/test", &ids[1])] {
            assert_eq!(admin.post(&format!("/_synapse/admin/v1/media/{what}/{id}"), json!({})).await.status, 200);
        }
        let avatar = format!("mxc://test/{}", ids[2]);
        alice.put(&format!("{CS}/profile/@alice:test/avatar_url"), json!({ "avatar_url": avatar })).await;
        let picture = NewMedia {
            media_id: "picture".to_owned(),
            user_num: server.app().db.read(|tx| users::num(tx, "@alice:test")).await.unwrap().unwrap(),
            media_type: "text/plain".to_owned(),
            created_ts: Millis::new(START_MS),
            url_cache: Some("https://example.org".to_owned()),
            ..NewMedia::default()
        };
        server.app().media.add_bytes(picture, b"picture").await.unwrap();
        server.clock.advance(5 * DAY);
        assert_eq!(alice.get(&download_path(&ids[3])).await.status, 200);
        server.app().media.flush().await.unwrap();
        server.clock.advance(5 * DAY);
        assert_eq!(both(&server, &admin, "media", json!({ "before_ts": START_MS })).await, (0, 0));
        // Two were never used, and one is empty; the avatar is kept.
        assert_eq!(both(&server, &admin, "media", json!({ "older_than_ms": 5 * DAY })).await, (3, 1));
        for (id, status) in [(&ids[0], 200), (&ids[2], 200), (&ids[3], 200), (&ids[4], 404), (&ids[5], 404), (&empty, 404)] {
            assert_eq!(alice.get(&download_path(id)).await.status, status, "{id}");
        }
        assert_eq!(alice.get(&download_path("picture")).await.status, 200);
        assert_eq!(audited(&admin, "action=media.delete").await.len(), 0);
        server.app().media.flush().await.unwrap();
        server.clock.advance(7 * DAY + 1);
        assert_eq!(both(&server, &admin, "preview_media", json!({})).await, (1, 0));
        assert_eq!(alice.get(&download_path(&ids[3])).await.status, 200);
    }

    #[config(with_lifetimes)]
    async fn messages_that_have_lived_long_enough(server: Server) {
        let (admin, alice, bob) = (server.admin().await, server.user("alice").await, server.user("bob").await);
        let mut rooms = Vec::new();
        for lifetime in [json!({ "max_lifetime": 10 * DAY }), json!({ "max_lifetime": 1 }), json!({ "max_lifetime": 400 * DAY }), json!({}), Value::Null] {
            // Equal rooms of one moment would have times that differ.
            server.clock.advance(1);
            let room = create(&alice, json!({ "preset": "public_chat", "name": "Room" })).await;
            join(&bob, &room).await;
            if !lifetime.is_null() {
                set_state(&alice, &room, "m.room.retention", "", lifetime).await;
            }
            rooms.push(room);
        }
        let away = sync(&bob).await;
        set_state(&alice, &rooms[1], "m.room.topic", "", json!({ "topic": "New" })).await;
        let mut first = Vec::new();
        for room in &rooms {
            first.push(say(&alice, room, "old").await);
        }
        thread(&alice, &rooms[0], &first[0], "in a thread").await;
        server.clock.advance(1);
        for room in &rooms {
            say(&alice, room, "young").await;
        }
        let members = state(&bob, &rooms[0], "m.room.member", "@bob:test").await;
        // The first room's lifetime ends exactly now; that of the second one is the server's shortest.
        server.clock.advance(10 * DAY);
        assert_eq!(both(&server, &admin, "messages", json!({})).await, (4, 0));
        for client in [&alice, &bob] {
            assert_eq!(bodies(&all_messages(client, &rooms[0], "dir=b").await.0), ["young"]);
            assert_eq!(bodies(timeline(&sync(client).await, &rooms[0])), ["young"]);
            assert_eq!(try_event(client, &rooms[0], &first[0]).await.status, 404);
            assert_eq!(bodies(&all_messages(client, &rooms[1], "dir=b").await.0), Vec::<&str>::new());
            assert_eq!(bodies(&all_messages(client, &rooms[1], "dir=f").await.0), Vec::<&str>::new());
            assert_eq!(bodies(timeline(&sync(client).await, &rooms[1])), Vec::<&str>::new());
            for room in &rooms[2..] {
                assert_eq!(bodies(&all_messages(client, room, "dir=f").await.0), ["old", "young"]);
            }
        }
        // A client that was away learns of changes of state, though the events have left the timeline.
        let news = sync_since(&bob, &next(&away)).await;
        let room = joined(&news, &rooms[1]);
        assert_eq!(state_after(room)[&("m.room.topic".to_owned(), String::new())]["topic"], "New", "{room}");
        assert_eq!(room["timeline"]["limited"], true);
        let search = json!({ "search_categories": { "room_events": { "search_term": "old" } } });
        let found = ok(bob.post(&format!("{CS}/search"), search).await);
        assert_eq!(found["search_categories"]["room_events"]["count"], 3);
        // State stays, and life goes on.
        assert_eq!(state(&bob, &rooms[0], "m.room.member", "@bob:test").await, members);
        assert_eq!(state(&bob, &rooms[1], "m.room.name", "").await["name"], "Room");
        say(&bob, &rooms[1], "hello").await;
        assert_eq!(bodies(&all_messages(&alice, &rooms[1], "dir=b").await.0), ["hello"]);
        server.clock.advance(40 * DAY);
        // What is left in the first three rooms, of which the third has the server's longest lifetime.
        assert_eq!(both(&server, &admin, "messages", json!({})).await, (3, 0));
        assert_eq!(bodies(&all_messages(&alice, &rooms[2], "dir=b").await.0), ["young"]);
        assert_eq!(bodies(&all_messages(&alice, &rooms[4], "dir=b").await.0), ["young", "old"]);
        // A lifetime that is taken back is none.
        set_state(&alice, &rooms[2], "m.room.retention", "", json!({})).await;
        server.clock.advance(100 * DAY);
        assert_eq!(both(&server, &admin, "messages", json!({})).await, (0, 0));
    }

    #[config(with_default_lifetime)]
    async fn a_lifetime_for_all_rooms(server: Server) {
        let (admin, alice) = (server.admin().await, server.user("alice").await);
        let long = create_public(&alice).await;
        server.clock.advance(1);
        let short = create_public(&alice).await;
        set_state(&alice, &long, "m.room.retention", "", json!({ "max_lifetime": 30 * DAY })).await;
        // More than one step deletes.
        say_many(&alice, &short, "m", 430).await;
        say(&alice, &long, "stays").await;
        server.clock.advance(10 * DAY + 1);
        say(&alice, &short, "new").await;
        assert_eq!(both(&server, &admin, "messages", json!({})).await, (430, 0));
        assert_eq!(bodies(&all_messages(&alice, &short, "dir=b").await.0), ["new"]);
        assert_eq!(bodies(&all_messages(&alice, &long, "dir=b").await.0), ["stays"]);
        // Events that a purge put aside go, too.
        let upto = say(&alice, &long, "upto").await;
        let purge = format!("/_synapse/admin/v1/purge_history/{}/{}", enc(&long), enc(&upto));
        let purged = ok(admin.post(&purge, json!({})).await);
        server.app().jobs.wait(at(&purged, "/purge_id"), Duration::from_mins(1)).await.unwrap();
        server.clock.advance(20 * DAY);
        assert_eq!(both(&server, &admin, "messages", json!({})).await, (2, 0));
        assert_eq!(bodies(&all_messages(&alice, &long, "dir=b").await.0), ["upto"]);
    }

    #[config(|config| config.policy.guests = true)]
    async fn guests_that_were_not_seen(server: Server) {
        let admin = server.admin().await;
        let mut guests = Vec::new();
        for _ in 0..3 {
            let body = ok(server.stranger().post(&format!("{CS}/register?kind=guest"), json!({})).await);
            let mut guest = server.with_token(at(&body, "/access_token"));
            at(&body, "/user_id").clone_into(&mut guest.user_id);
            guests.push(guest);
        }
        server.create("person", false).await;
        be_seen(&server, &guests[0]).await;
        server.clock.advance(DAY);
        be_seen(&server, &guests[1]).await;
        server.clock.advance(29 * DAY);
        assert_eq!(both(&server, &admin, "guests", json!({ "before_ts": START_MS })).await, (0, 0));
        assert_eq!(both(&server, &admin, "guests", json!({ "older_than_ms": 29 * DAY })).await, (2, 0));
        let gone: Vec<bool> = [
            account(&admin, &guests[0].user_id).await, account(&admin, &guests[1].user_id).await,
            account(&admin, &guests[2].user_id).await, account(&admin, "@person:test").await,
        ].iter().map(|account| account["deactivated"] == true).collect();
        assert_eq!(gone, [true, false, true, false]);
        assert_eq!(guests[0].get(WHOAMI).await.status, 401);
        // Each account is in the audit log.
        let acts = audited(&admin, "action=user.deactivate").await;
        assert_eq!((acts.len(), &acts[0]["actor_kind"], &acts[0]["actor"]), (2, &json!("job"), &json!("retention")));
    }

    #[config(|config| config.policy.notices_localpart = Some("notices".to_owned()))]
    async fn accounts_that_were_never_used(server: Server) {
        let (admin, alice) = (server.admin().await, server.user("alice").await);
        for name in ["unused", "device", "member", "bridged", "helper", "gone", "seen"] {
            server.create(name, false).await;
        }
        server.create("owner", true).await;
        server.app().db.write(|tx| -> Result<(), DbError> {
            users::insert(tx, &User::new("@notices:test".to_owned(), Millis::new(START_MS)), None).map(|_| ())
        }).await.unwrap();
        admin.post("/_synapse/admin/v2/users/@device:test/devices", json!({ "device_id": "D" })).await;
        let room = create_public(&alice).await;
        ok(admin.post(&format!("/_synapse/admin/v1/join/{}", enc(&room)), json!({ "user_id": "@member:test" })).await);
        ok(admin.put("/_reeve/admin/v1/users/@helper:test/role", json!({ "role": "support" })).await);
        admin.post("/_synapse/admin/v1/deactivate/@gone:test", json!({})).await;
        change(&server, "@bridged:test", |user| user.appservice_id = Some("irc".to_owned())).await;
        let seen = server.log_in("seen", "seen's password").await;
        be_seen(&server, &seen).await;
        assert_eq!(seen.post(&format!("{CS}/logout"), json!({})).await.status, 200);
        server.clock.advance(30 * DAY);
        server.create("young", false).await;
        server.clock.advance(30 * DAY);
        assert_eq!(both(&server, &admin, "unused_accounts", json!({ "before_ts": START_MS })).await, (0, 0));
        // The accounts with a role are kept; the others are in use.
        assert_eq!(both(&server, &admin, "unused_accounts", json!({ "older_than_ms": 30 * DAY })).await, (1, 2));
        assert_eq!(account(&admin, "@unused:test").await["deactivated"], true);
        for name in ["device", "member", "bridged", "helper", "seen", "owner", "young", "notices"] {
            assert_eq!(account(&admin, &format!("@{name}:test")).await["deactivated"], false, "{name}");
        }
    }

    #[config(|config| config.retention.audit_ms = Some(30 * DAY))]
    async fn entries_of_the_audit_log(server: Server) {
        let admin = server.admin().await;
        for name in ["a", "b"] {
            assert_eq!(admin.put(&format!("/_synapse/admin/v2/users/@{name}:test"), json!({})).await.status, 201);
            server.clock.advance(1000);
        }
        server.clock.advance(30 * DAY - 1000);
        // The second was made exactly at the time.
        assert_eq!(audited(&admin, "").await.len(), 2);
        // Nobody but the operator deletes more than the settings say.
        for body in [json!({ "older_than_ms": 29 * DAY }), json!({ "before_ts": START_MS + 1001 })] {
            let reply = admin.post(&format!("{PATH}/audit"), body.clone()).await;
            let text = "Entries of the audit log are deleted as the settings say, and no earlier";
            assert_eq!(reply.refusal(), (403, "M_FORBIDDEN", text), "{body}");
        }
        let counted = run(&server, &admin, "audit", json!({ "older_than_ms": 29 * DAY, "dry_run": true })).await;
        assert_eq!(counted["deleted"], 2);
        assert_eq!(both(&server, &admin, "audit", json!({})).await, (1, 0));
        let left = audited(&admin, "").await;
        let actions: Vec<&str> = left.iter().map(|entry| at(entry, "/action")).collect();
        assert_eq!(actions, ["retention.order", "retention.run", "retention.order", "user.create"]);
        assert_eq!(left[3]["target"], "@b:test");
    }

    async fn addresses_of_clients(server: Server) {
        let (admin, alice, bob) = (server.admin().await, server.user("alice").await, server.user("bob").await);
        let service = issue(&server, &admin, "script", only(&[Scope::UsersRead])).await;
        assert_eq!(service.get("/_synapse/admin/v2/users").await.status, 200);
        be_seen(&server, &alice).await;
        server.app().service_uses.flush(&server.app().db).await.unwrap();
        server.clock.advance(1);
        be_seen(&server, &bob).await;
        server.clock.advance(28 * DAY);
        be_seen(&server, &admin).await;
        let seen_from = async |user: &str| {
            let path = format!("/_reeve/admin/v1/users?ip=127.0.0.1&user_id={user}");
            ok(admin.get(&path).await)["total"].as_i64().unwrap()
        };
        assert_eq!((seen_from("alice").await, seen_from("bob").await), (1, 1));
        assert_eq!(both(&server, &admin, "ip_addresses", json!({ "before_ts": START_MS })).await, (0, 0));
        // A connection, a device and a service token; what is exactly as old stays.
        assert_eq!(both(&server, &admin, "ip_addresses", json!({})).await, (3, 0));
        let device = |user_id: &str, device_id: &str| format!("/_synapse/admin/v2/users/{user_id}/devices/{device_id}");
        let of_alice = ok(admin.get(&device("@alice:test", &alice.device_id)).await);
        assert_eq!((&of_alice["last_seen_ip"], &of_alice["last_seen_ts"]), (&Value::Null, &json!(START_MS)));
        let of_bob = ok(admin.get(&device("@bob:test", &bob.device_id)).await);
        assert_eq!(of_bob["last_seen_ip"], "127.0.0.1");
        assert_eq!((seen_from("alice").await, seen_from("bob").await), (0, 1));
        let whois = ok(admin.get("/_synapse/admin/v1/whois/@alice:test").await);
        assert_eq!(whois["devices"][""]["sessions"][0]["connections"], json!([]));
        let stored = server.app().db.read(|tx| reeve_store::service_tokens::find(tx, "script")).await.unwrap().unwrap();
        assert_eq!(stored.last_used.map(|last| (last.ts, last.ip)), Some((Millis::new(START_MS), None)));
    }

    async fn orders(server: Server) {
        let admin = server.admin().await;
        let post = async |rule: &str, body: Value| admin.post(&format!("{PATH}/{rule}"), body).await;
        assert_eq!(post("nothing", json!({})).await.refusal(), (404, "M_NOT_FOUND", "There is no such rule"));
        let invalid = |text| (400, "M_INVALID_PARAM", text);
        assert_eq!(post("devices", json!({ "days": 3 })).await.refusal(), invalid("Unknown key 'days'"));
        let both = json!({ "older_than_ms": DAY, "before_ts": START_MS - DAY });
        assert_eq!(post("devices", both).await.refusal(), invalid("Only one of 'older_than_ms' and 'before_ts' can be given"));
        for body in [
            json!({ "older_than_ms": DAY - 1 }), json!({ "older_than_ms": -1 }), json!({ "before_ts": START_MS }),
            json!({ "before_ts": i64::MAX }),
        ] {
            assert_eq!(post("devices", body.clone()).await.refusal(), invalid("What is less than a day old is not deleted"), "{body}");
        }
        assert_eq!(post("devices", json!({ "dry_run": 1 })).await.refusal().0, 400);
        let text = "Neither the settings nor the order give this rule a time";
        for rule in ["devices", "media", "guests", "unused_accounts", "audit"] {
            assert_eq!(post(rule, json!({ "dry_run": true })).await.refusal(), (400, "M_MISSING_PARAM", text), "{rule}");
        }
        let text = "The lifetimes of messages are in the settings and in rooms: an order gives no time";
        assert_eq!(post("messages", json!({ "older_than_ms": DAY })).await.refusal(), invalid(text));
        let text = "The settings do not let messages be deleted: retention.messages.enabled";
        assert_eq!(post("messages", json!({})).await.refusal(), (409, "M_UNKNOWN", text));
        assert_eq!(run(&server, &admin, "messages", json!({ "dry_run": true })).await["deleted"], 0);
        assert_eq!(audited(&admin, "action=retention.order").await.len(), 0);

        // One run at a time, also while it rests.
        let (ctx, settings) = (reeve_model::Ctx::system(&server.clock, &server.app().server_name, "test"), server.app().retention.clone());
        let id = server.app().db.write(move |tx| -> Result<_, reeve_retention::Error> {
            let wanted = Order { rule: reeve_model::RetentionRule::Devices, cutoff: Some(Cutoff::Age(DAY)), dry_run: false };
            let id = reeve_retention::order(tx, &ctx, &settings, wanted)?;
            assert!(jobs::pause(tx, &id, ctx.now)?);
            Ok(id)
        }).await.unwrap();
        assert_eq!(rule(&admin, "devices").await["running"], json!(id));
        let busy = (409, "M_UNKNOWN", format!("A run of this rule is not over: its job is {id}"));
        for dry_run in [false, true] {
            let reply = post("devices", json!({ "older_than_ms": DAY, "dry_run": dry_run })).await;
            let (status, code, text) = reply.refusal();
            assert_eq!((status, code, text.to_owned()), busy);
        }
        assert_eq!(run(&server, &admin, "preview_media", json!({})).await["deleted"], 0);
        let wanted = id.clone();
        server.app().db.write(move |tx| jobs::resume(tx, &wanted, Millis::new(START_MS))).await.unwrap();
        result(&server, &admin, &id).await;
        let devices = rule(&admin, "devices").await;
        assert_eq!((&devices["running"], &devices["last_run"]), (&Value::Null, &json!({
            "job_id": id, "before_ts": START_MS - DAY, "ended_ts": START_MS, "deleted": 0, "kept": 0,
        })));
    }

    #[config(with_default_lifetime)]
    async fn an_order_needs_the_scope_of_what_it_deletes(server: Server) {
        let admin = server.admin().await;
        let bare = issue(&server, &admin, "bare", only(&[Scope::ServerWrite])).await;
        for (rule, scope) in [
            ("devices", Scope::UsersWrite), ("media", Scope::MediaWrite), ("preview_media", Scope::MediaWrite),
            ("messages", Scope::RoomsWrite), ("guests", Scope::UsersDeactivate), ("unused_accounts", Scope::UsersDeactivate),
            ("audit", Scope::AuditRead), ("ip_addresses", Scope::UsersWrite),
        ] {
            let body = if rule == "messages" { json!({ "dry_run": true }) } else { json!({ "older_than_ms": DAY, "dry_run": true }) };
            let path = format!("{PATH}/{rule}");
            let reply = bare.post(&path, body.clone()).await;
            assert_eq!(reply.refusal(), (403, "M_FORBIDDEN", &*format!("This needs the scope {scope}")), "{rule}");
            let scopes = only(&[Scope::ServerWrite, scope]);
            let client = issue(&server, &admin, &format!("for-{rule}"), scopes).await;
            let ordered = ok(client.post(&path, body.clone()).await);
            assert_eq!(result(&server, &admin, at(&ordered, "/job_id")).await["rule"], rule);
            let other = issue(&server, &admin, &format!("not-{rule}"), only(&[scope])).await;
            let text = "The service token lacks the scope server:write";
            assert_eq!(other.post(&path, body).await.refusal(), (403, "M_FORBIDDEN", text), "{rule}");
        }
    }

    #[config(|config| { config.retention.devices_ms = Some(90 * DAY); config.retention.messages.enabled = true; })]
    async fn the_server_runs_each_rule_once_a_day(server: Server) {
        let (admin, alice) = (server.admin().await, server.user("alice").await);
        be_seen(&server, &alice).await;
        // One run after the other, until nothing is due.
        let schedule = async || {
            let mut all: Vec<(String, String)> = Vec::new();
            loop {
                let (app, before) = (server.app(), all.len());
                reeve_retention::schedule(&app.db, &app.retention, app.clock.now()).await.unwrap();
                let jobs = ok(admin.get("/_reeve/admin/v1/jobs?kind=retention").await);
                all.clear();
                for job in list(&jobs, "/jobs") {
                    app.jobs.wait(at(job, "/id"), Duration::from_mins(1)).await.unwrap();
                    all.push((at(job, "/subject").to_owned(), at(job, "/id").to_owned()));
                }
                if all.len() == before || all.is_empty() {
                    all.sort();
                    return all;
                }
            }
        };
        let words = |jobs: &[(String, String)]| jobs.iter().map(|(word, _)| word.clone()).collect::<Vec<_>>();
        // Rules that are new begin a day later.
        assert!(schedule().await.is_empty());
        let nexts = |rules: &[Value]| rules.iter().map(|rule| rule["next_run_ts"].clone()).collect::<Vec<_>>();
        let (due, off) = (json!(START_MS + DAY), Value::Null);
        let expected = [due.clone(), off.clone(), due.clone(), due.clone(), off.clone(), off.clone(), off, due];
        assert_eq!(nexts(&rules(&admin).await), expected);
        server.clock.advance(DAY - 1);
        assert!(schedule().await.is_empty());
        server.clock.advance(1);
        let first = schedule().await;
        assert_eq!(words(&first), ["devices", "ip_addresses", "messages", "preview_media"]);
        assert_eq!(schedule().await, first);
        assert_eq!(audited(&admin, "").await.iter().filter(|entry| at(entry, "/action").starts_with("retention.")).count(), 0);
        server.clock.advance(90 * DAY);
        be_seen(&server, &admin).await;
        assert_eq!(schedule().await.len(), 8);
        let last = last_run(&admin, "devices").await;
        assert_eq!((&last["deleted"], &last["before_ts"]), (&json!(1), &json!(START_MS + DAY)));
        assert_eq!(alice.get(WHOAMI).await.status, 401);
        let entry = audited(&admin, "action=retention.run&target=devices").await.remove(0);
        assert_eq!((&entry["actor_kind"], &entry["changes"]["ordered_by"]), (&json!("job"), &Value::Null));
        // A rule that is off is forgotten.
        let off = reeve_retention::Settings { devices_ms: None, ..server.app().retention.clone() };
        reeve_retention::schedule(&server.app().db, &off, server.clock.now()).await.unwrap();
        server.clock.advance(2 * DAY);
        assert_eq!(schedule().await.len(), 11);
        assert_eq!(rule(&admin, "devices").await["next_run_ts"], json!(START_MS + 94 * DAY));
    }

    async fn the_rules_are_listed(server: Server) {
        let admin = server.admin().await;
        let words: Vec<Value> = rules(&admin).await.iter().map(|rule| rule["rule"].clone()).collect();
        assert_eq!(words, ["devices", "media", "preview_media", "messages", "guests", "unused_accounts", "audit", "ip_addresses"]);
        let mut messages = rule(&admin, "messages").await;
        messages.as_object_mut().unwrap().remove("next_run_ts");
        assert_eq!(messages, json!({
            "rule": "messages", "older_than_ms": null, "running": null, "last_run": null,
            "lifetimes": { "enabled": false, "default_ms": null, "min_ms": null, "max_ms": null },
        }));
        let addresses = rule(&admin, "ip_addresses").await;
        assert_eq!((&addresses["older_than_ms"], &addresses["lifetimes"]), (&json!(28 * DAY), &Value::Null));
    }
}
