//! `/_reeve/admin/v1/users/{user_id}/restore`: bringing back what is kept of deactivated accounts.

use http::Method;
use reeve_accounts::restore::{self as restoring, Order};
use reeve_accounts::{Policy, deactivate as deactivating, kept as keeping};
use reeve_db::DbError;
use reeve_model::{Ctx, Millis};
use reeve_store::key_backups::Which;
use reeve_store::{jobs, kept, key_backups, users, validity};
use reeve_testkit::{Client, Reply, START_MS, Server, on_both_engines};
use serde_json::{Map, Value, json};

use crate::rooms_kit::*;
use crate::sync_kit::*;

const USER: &str = "/_synapse/admin/v2/users/@alice:test";
const RESTORE: &str = "/_reeve/admin/v1/users/@alice:test/restore";
const DATA: &str = "/_synapse/admin/v1/users/@alice:test/accountdata";
const JOBS: &str = "/_reeve/admin/v1/jobs";
const BACKUP: &str = "/_matrix/client/v3/room_keys/version";
const NOTHING: (u16, &str, &str) = (404, "M_NOT_FOUND", "Nothing is kept of this account");
/// 30 days, the default.
const KEEP_MS: i64 = 30 * 86_400_000;

/// Waits until all jobs of a kind on a subject are complete, and gives the result of the newest.
async fn result(admin: &Client, kind: &str, subject: &str) -> Value {
    let path = format!("{JOBS}?kind={kind}&subject={subject}");
    let over = |reply: &Reply| list(&reply.body, "/jobs").iter().all(|job| job["state"] == "complete");
    let reply = eventually(admin, &path, over).await;
    reply.body["jobs"][0]["result"].clone()
}

async fn deactivate(admin: &Client, erase: bool) {
    ok(admin.post("/_synapse/admin/v1/deactivate/@alice:test", json!({ "erase": erase })).await);
    result(admin, "deactivate_user", "@alice:test").await;
}

/// Restores with a password, and waits for the job; gives the response and the result of the job.
async fn restore(admin: &Client, body: Value) -> (Value, Value) {
    let response = ok(admin.post(RESTORE, body).await);
    let path = format!("{JOBS}/{}", at(&response, "/job_id"));
    let job = eventually(admin, &path, |reply| reply.body["state"] == "complete").await.body;
    assert_eq!((&job["kind"], &job["subject"]), (&json!("restore_user"), &json!("@alice:test")), "{job}");
    assert_eq!((&job["done"], &job["error"]), (&job["total"], &Value::Null), "{job}");
    (response, job["result"].clone())
}

/// The result of a job that brought nothing back but this.
fn report(changes: &Value) -> Value {
    let mut report = json!({
        "threepids": 0, "threepids_taken": 0, "key_backups": 0, "account_data": 0, "rooms_joined": 0, "rooms_knocked": 0,
        "not_rejoined": { "total": 0, "rooms": [] },
    });
    report.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
    report
}

async fn put(admin: &Client, name: &str, body: Value) -> Value {
    let reply = admin.put(&format!("/_synapse/admin/v2/users/@{name}:test"), body).await;
    assert!(matches!(reply.status, 200 | 201), "{}", reply.body);
    reply.body
}

/// The account, without the time at which it was last seen, which is written a few seconds late.
async fn account(admin: &Client) -> Value {
    let mut user = ok(admin.get(USER).await);
    user.as_object_mut().unwrap().remove("last_seen_ts");
    user
}

fn email(address: &str) -> Value {
    json!({ "medium": "email", "address": address })
}

/// Creates a backup of room keys with some keys; gives its version.
async fn back_up(client: &Client, keys: usize) -> String {
    let body = json!({ "algorithm": "m.megolm_backup.v1", "auth_data": { "public_key": "abc" } });
    let version = at(&ok(client.post(BACKUP, body).await), "/version").to_owned();
    let key = json!({ "first_message_index": 0, "forwarded_count": 0, "is_verified": true, "session_data": { "c": "x" } });
    let sessions: Map<String, Value> = (0..keys).map(|key_id| (format!("s{key_id}"), key.clone())).collect();
    let path = format!("{CS}/room_keys/keys?version={version}");
    ok(client.put(&path, json!({ "rooms": { "!a:test": { "sessions": sessions } } })).await);
    version
}

async fn keys(client: &Client, version: &str) -> Value {
    ok(client.get(&format!("{CS}/room_keys/keys?version={version}")).await)
}

/// The number of rows in which anything of the account is kept, whatever the time, and of its stored room keys.
async fn rows_left(server: &Server) -> (usize, usize) {
    server
        .app()
        .db
        .read(|tx| -> Result<_, DbError> {
            let num = users::num(tx, "@alice:test")?.unwrap();
            // Nothing begins before this time.
            let kept = kept::of_user(tx, num, Millis::new(-1))?;
            Ok((kept.len(), key_backups::keys(tx, num, 1, &Which::All)?.len()))
        })
        .await
        .unwrap()
}

async fn purged(server: &Server, admin: &Client) {
    eventually(admin, &format!("{JOBS}?kind=purge_kept"), |reply| {
        let jobs = list(&reply.body, "/jobs");
        !jobs.is_empty() && jobs.iter().all(|job| job["state"] == "complete")
    })
    .await;
    assert_eq!(rows_left(server).await, (0, 0));
}

/// Runs deeds of the operator in one transaction, after which the newest job of a kind on the account rests.
async fn paused(
    server: &Server,
    kind: &'static str,
    deed: fn(&mut reeve_db::Tx<'_>, &Ctx) -> Result<(), reeve_accounts::Error>,
) {
    let ctx = Ctx::system(&server.clock, &server.app().server_name, "test");
    let done = server.app().db.write(move |tx| -> Result<(), reeve_accounts::Error> {
        deed(tx, &ctx)?;
        let job = jobs::newest(tx, "@alice:test", kind)?.unwrap();
        assert!(jobs::pause(tx, &job.id, ctx.now)?);
        Ok(())
    });
    done.await.unwrap();
}

async fn resume(server: &Server, kind: &'static str) {
    let now = server.clock.now();
    let resumed = server.app().db.write(move |tx| -> Result<bool, DbError> {
        let job = jobs::newest(tx, "@alice:test", kind)?.unwrap();
        jobs::resume(tx, &job.id, now)
    });
    assert!(resumed.await.unwrap());
}

fn order_deactivation(tx: &mut reeve_db::Tx<'_>, ctx: &Ctx) -> Result<(), reeve_accounts::Error> {
    let user = users::find(tx, "@alice:test")?.unwrap();
    deactivating::deactivate(tx, ctx, &Policy::default(), &user, false).map(drop)
}

fn order_restoration(tx: &mut reeve_db::Tx<'_>, ctx: &Ctx) -> Result<(), reeve_accounts::Error> {
    let order = Order { password_hash: None, rejoin: true };
    restoring::restore(tx, ctx, &Policy::default(), "@alice:test", &order).map(drop)
}

on_both_engines! {
    async fn everything_comes_back(server: Server) {
        let (admin, alice, bob) = (server.admin().await, server.user("alice").await, server.user("bob").await);
        put(&admin, "alice", json!({
            "displayname": "Alice", "avatar_url": "mxc://test/face",
            "threepids": [email("a@example.org"), { "medium": "msisdn", "address": "447700900001" }],
            "external_ids": [{ "auth_provider": "idp", "external_id": "17" }],
        })).await;
        let validity = json!({ "user_id": "@alice:test", "expiration_ts": START_MS + 100 * KEEP_MS });
        ok(admin.post("/_synapse/admin/v1/account_validity/validity", validity).await);
        ok(alice.put(&format!("{CS}/profile/@alice:test/m.tz"), json!({ "m.tz": "Europe/Berlin" })).await);
        let mut rooms = Vec::new();
        for _ in 0..12 {
            let room = create_public(&bob).await;
            join(&alice, &room).await;
            rooms.push(room);
        }
        rooms.sort();
        set_data(&alice, "org.example.a", json!({ "a": 1 })).await;
        set_room_data(&alice, &rooms[0], "org.example.b", json!({ "b": 1 })).await;
        ok(alice.put(&format!("{CS}/pushrules/global/room/{}", enc(&rooms[1])), json!({ "actions": [] })).await);
        // More than one step brings back.
        for number in 0..600 {
            set_data(&alice, &format!("org.example.{number}"), json!({ "n": number })).await;
        }
        let version = back_up(&alice, 3).await;
        let (user, data) = (account(&admin).await, ok(admin.get(DATA).await));
        let (rules, stored) = (ok(alice.get(&format!("{CS}/pushrules/")).await), keys(&alice, &version).await);
        assert_eq!(admin.get(RESTORE).await.refusal(), NOTHING);

        server.clock.advance(1000);
        deactivate(&admin, false).await;
        // Nobody sees anything of it.
        assert_eq!(ok(admin.get(DATA).await), json!({ "account_data": { "global": {}, "rooms": {} } }));
        assert_eq!(ok(admin.get(USER).await)["threepids"], json!([]));
        assert_eq!(rows_left(&server).await, (1, 3));
        assert_eq!(admin.get(RESTORE).await, (200, json!({ "deactivated": true, "kept": [{
            "deactivated_ts": START_MS + 1000, "purge_ts": START_MS + 1000 + KEEP_MS, "threepids": 2, "rooms": 12,
            "account_data": 603, "key_backups": 1, "backed_up_keys": 3,
        }] })));

        server.clock.advance(1000);
        let (response, result) = restore(&admin, json!({ "password": "a new one" })).await;
        let job_id = at(&response, "/job_id").to_owned();
        assert_eq!(response, json!({
            "job_id": job_id, "reactivated": true,
            "threepids": [email("a@example.org"), { "medium": "msisdn", "address": "447700900001" }], "threepids_taken": [],
            "key_backups": 1, "account_data": 603, "rooms": 12,
        }));
        assert_eq!(result, report(&json!({ "threepids": 2, "key_backups": 1, "account_data": 603, "rooms_joined": 12 })));
        let alice = server.log_in("alice", "a new one").await;
        assert_eq!(account(&admin).await, user);
        assert_eq!(ok(admin.get(DATA).await), data);
        assert_eq!(ok(alice.get(&format!("{CS}/pushrules/")).await), rules);
        assert_eq!(keys(&alice, &version).await, stored);
        assert_eq!(ok(alice.get(&format!("{CS}/profile/@alice:test/m.tz")).await), json!({ "m.tz": "Europe/Berlin" }));
        let mut joined = joined_rooms(&alice).await;
        joined.sort();
        assert_eq!(joined, rooms);
        for room in &rooms {
            let (all, _) = all_messages(&bob, room, "dir=b&limit=50").await;
            let own = all.iter().filter(|event| event["state_key"] == "@alice:test");
            let memberships: Vec<&str> = own.map(|event| at(event, "/content/membership")).collect();
            assert_eq!(memberships, ["join", "leave", "join"]);
        }
        // Names come from the profile, and the rule mutes the room.
        assert_eq!(state(&bob, &rooms[0], "m.room.member", "@alice:test").await["displayname"], "Alice");
        let since = now(&alice).await;
        say(&bob, &rooms[1], "muted").await;
        say(&bob, &rooms[2], "heard").await;
        let news = sync_since(&alice, &since).await;
        assert_eq!((unread(&news, &rooms[1]).0, unread(&news, &rooms[2]).0), (0, 1));
        server.clock.advance(99 * KEEP_MS);
        assert_eq!(alice.get(&format!("{CS}/account/whoami")).await.status, 200);
        server.clock.advance(KEEP_MS);
        assert_eq!(alice.get(&format!("{CS}/account/whoami")).await.refusal().1, "ORG_MATRIX_EXPIRED_ACCOUNT");

        // It was done once, and nothing is kept any more.
        assert_eq!(admin.get(RESTORE).await.refusal(), NOTHING);
        assert_eq!(admin.post(RESTORE, json!({})).await.refusal(), NOTHING);
        eventually(&admin, &format!("{JOBS}?kind=purge_kept"), |reply| reply.body["jobs"][0]["state"] == "complete").await;
        assert_eq!(rows_left(&server).await, (0, 3));
        let audit = ok(admin.get("/_reeve/admin/v1/audit?target=@alice:test&limit=2").await);
        let entries: Vec<_> = list(&audit, "/entries").iter().map(|entry| (at(entry, "/action"), &entry["changes"])).collect();
        assert_eq!(entries, [("user.password", &json!({ "password": true })), ("user.restore", &json!({
            "job": job_id, "rejoin": true, "deactivated": false,
            "threepids": [["email", "a@example.org"], ["msisdn", "447700900001"]], "threepids_taken": [],
            "key_backups": 1, "account_data": 603, "rooms": 12,
        }))]);
    }

    async fn newer_things_win(server: Server) {
        let (admin, alice, bob) = (server.admin().await, server.user("alice").await, server.user("bob").await);
        let (muted, open) = (create_public(&bob).await, create_public(&bob).await);
        join(&alice, &muted).await;
        join(&alice, &open).await;
        let taken = email("taken@example.org");
        put(&admin, "alice", json!({ "threepids": [email("free@example.org"), taken, email("own@example.org")] })).await;
        set_data(&alice, "org.example.old", json!({ "old": 1 })).await;
        set_data(&alice, "org.example.both", json!({ "old": 1 })).await;
        ok(alice.put(&format!("{CS}/pushrules/global/room/{}", enc(&muted)), json!({ "actions": [] })).await);
        let old = back_up(&alice, 2).await;
        deactivate(&admin, false).await;
        put(&admin, "bob", json!({ "threepids": [taken] })).await;

        // Reactivated as ever: with nothing of that.
        put(&admin, "alice", json!({ "deactivated": false, "password": "pw", "threepids": [email("own@example.org")] })).await;
        let alice = server.log_in("alice", "pw").await;
        assert_eq!(code(&alice.get(BACKUP).await), (404, "M_NOT_FOUND"));
        set_data(&alice, "org.example.both", json!({ "new": 1 })).await;
        let new = back_up(&alice, 1).await;
        join(&alice, &muted).await;
        let since = now(&alice).await;
        assert_eq!(ok(admin.get(RESTORE).await)["deactivated"], json!(false));

        let (response, result) = restore(&admin, json!({ "rejoin": false })).await;
        assert_eq!(response, json!({
            "job_id": response["job_id"], "reactivated": false, "threepids": [email("free@example.org")],
            "threepids_taken": [taken], "key_backups": 1, "account_data": 3, "rooms": 2,
        }));
        let expected = json!({ "threepids": 1, "threepids_taken": 1, "key_backups": 1, "account_data": 2 });
        assert_eq!(result, report(&expected));
        let addresses: Vec<String> = list(&ok(admin.get(USER).await), "/threepids")
            .iter().map(|threepid| at(threepid, "/address").to_owned()).collect();
        assert_eq!(addresses, ["free@example.org", "own@example.org"]);
        assert_eq!(ok(admin.get("/_synapse/admin/v2/users/@bob:test").await)["threepids"][0]["address"], taken["address"]);
        // The session goes on, and learns of what came back.
        let news = sync_since(&alice, &since).await;
        assert_eq!(global_data(&news, "org.example.old"), &json!({ "old": 1 }));
        assert!(global_data(&news, "org.example.both").is_null(), "{news}");
        assert_eq!(global_data(&sync(&alice).await, "org.example.both"), &json!({ "new": 1 }));
        assert_eq!((old.as_str(), new.as_str()), ("1", "2"));
        assert_eq!(ok(alice.get(BACKUP).await)["version"], json!(new));
        assert_eq!(keys(&alice, &old).await["rooms"]["!a:test"]["sessions"].as_object().unwrap().len(), 2);
        // The push rules hold in a room that was joined without them.
        let since = now(&alice).await;
        say(&bob, &muted, "muted").await;
        assert_eq!(unread(&sync_since(&alice, &since).await, &muted).0, 0);
        assert_eq!(joined_rooms(&alice).await, [muted]);
    }

    async fn rooms_let_in_by_their_rules(server: Server) {
        let (admin, alice, bob) = (server.admin().await, server.user("alice").await, server.user("bob").await);
        let ruled = async |content: Value| create(&bob, json!({ "preset": "public_chat", "initial_state": [
            { "type": "m.room.join_rules", "state_key": "", "content": content },
        ] })).await;
        let admitting = |space: &str| json!({
            "join_rule": "restricted", "allow": [{ "type": "m.room_membership", "room_id": space }],
        });
        let space = create_public(&bob).await;
        let far = create_public(&bob).await;
        let mut expected = Vec::new();
        let mut back = vec![space.clone()];
        // One is admitted by the next, which comes in any order.
        for _ in 0..4 {
            let next = ruled(admitting(back.last().unwrap())).await;
            back.push(next);
        }
        for room in &back {
            join(&alice, room).await;
        }
        let restricted = ruled(admitting(&far)).await;
        bring(&bob, &restricted, &alice).await;
        expected.push((restricted, "join", "restricted"));
        let private = create(&bob, json!({})).await;
        bring(&bob, &private, &alice).await;
        expected.push((private, "join", "invite_only"));
        let invited = create(&bob, json!({ "invite": ["@alice:test"] })).await;
        expected.push((invited, "invite", "invite_gone"));
        let banned = create_public(&bob).await;
        join(&alice, &banned).await;
        expected.push((banned.clone(), "join", "banned"));
        let deleted = create_public(&bob).await;
        join(&alice, &deleted).await;
        expected.push((deleted.clone(), "join", "deleted"));
        let blocked = create_public(&bob).await;
        join(&alice, &blocked).await;
        expected.push((blocked.clone(), "join", "blocked"));
        let (door, knocked) = (ruled(json!({ "join_rule": "knock" })).await, ruled(json!({ "join_rule": "knock" })).await);
        bring(&bob, &door, &alice).await;
        ok(alice.post(&format!("{CS}/knock/{}", enc(&knocked)), json!({})).await);

        deactivate(&admin, false).await;
        ban(&bob, &banned, "@alice:test").await;
        let delete = format!("/_synapse/admin/v1/rooms/{}", enc(&deleted));
        ok(admin.send(Method::DELETE, &delete, &[], r#"{"bin":false}"#).await);
        let block = format!("/_synapse/admin/v1/rooms/{}/block", enc(&blocked));
        ok(admin.put(&block, json!({ "block": true })).await);

        let (_, result) = restore(&admin, json!({ "password": "pw" })).await;
        let alice = server.log_in("alice", "pw").await;
        let mut joined = joined_rooms(&alice).await;
        joined.sort();
        back.sort();
        assert_eq!(joined, back);
        for room in [&door, &knocked] {
            assert_eq!(membership(&bob, room, "@alice:test").await, "knock");
        }
        expected.sort();
        let expected: Vec<Value> = expected.into_iter()
            .map(|(room_id, membership, reason)| json!({ "room_id": room_id, "membership": membership, "reason": reason }))
            .collect();
        assert_eq!(result, report(&json!({
            "rooms_joined": 5, "rooms_knocked": 2, "not_rejoined": { "total": expected.len(), "rooms": expected },
        })));
    }

    async fn rooms_in_the_bin_stay_kept(server: Server) {
        let (admin, alice, bob) = (server.admin().await, server.user("alice").await, server.user("bob").await);
        let (room, other, closed) = (create_public(&bob).await, create_public(&bob).await, create(&bob, json!({})).await);
        join(&alice, &room).await;
        join(&alice, &other).await;
        bring(&bob, &closed, &alice).await;
        let validity = json!({ "user_id": "@alice:test", "expiration_ts": START_MS + 100 * KEEP_MS });
        ok(admin.post("/_synapse/admin/v1/account_validity/validity", validity).await);
        deactivate(&admin, false).await;
        let delete = format!("/_synapse/admin/v1/rooms/{}", enc(&room));
        ok(admin.send(Method::DELETE, &delete, &[], "{}").await);
        let refused = |mut rooms: Vec<(&str, &str)>| {
            rooms.sort_unstable();
            let rooms: Vec<Value> = rooms.iter()
                .map(|(room_id, reason)| json!({ "room_id": room_id, "membership": "join", "reason": reason }))
                .collect();
            json!({ "total": rooms.len(), "rooms": rooms })
        };
        let (response, result) = restore(&admin, json!({})).await;
        assert_eq!(response["rooms"], 3);
        let both = refused(vec![(room.as_str(), "in_bin"), (closed.as_str(), "invite_only")]);
        assert_eq!(result, report(&json!({ "rooms_joined": 1, "not_rejoined": both })));
        // That room is all that is left, and nothing else comes back twice.
        let kept = ok(admin.get(RESTORE).await);
        let one = &kept["kept"][0];
        assert_eq!((&kept["deactivated"], list(&kept, "/kept").len(), &one["rooms"]), (&json!(false), 1, &json!(1)));
        server.app().db.write(|tx| validity::delete(tx, "@alice:test")).await.unwrap();
        let (response, result) = restore(&admin, json!({})).await;
        assert_eq!((&response["reactivated"], &response["rooms"]), (&json!(false), &json!(1)));
        assert_eq!(result, report(&json!({ "not_rejoined": refused(vec![(room.as_str(), "in_bin")]) })));
        let found = server.app().db.read(|tx| validity::find(tx, "@alice:test")).await.unwrap();
        assert_eq!(found, None);
        // The room first, then the account.
        let back = format!("/_reeve/admin/v1/bin/rooms/{}/restore", enc(&room));
        let job = ok(admin.post(&back, json!({})).await);
        eventually(&admin, &format!("{JOBS}/{}", at(&job, "/job")), |reply| reply.body["state"] == "complete").await;
        assert_eq!(membership(&bob, &room, "@alice:test").await, "leave");
        let (_, result) = restore(&admin, json!({})).await;
        assert_eq!(result, report(&json!({ "rooms_joined": 1 })));
        assert_eq!(membership(&bob, &room, "@alice:test").await, "join");
        assert_eq!(admin.get(RESTORE).await.refusal(), NOTHING);
    }

    async fn rooms_in_the_bin_are_forgotten_with_the_others(server: Server) {
        let (admin, alice, bob) = (server.admin().await, server.user("alice").await, server.user("bob").await);
        let room = create_public(&bob).await;
        join(&alice, &room).await;
        deactivate(&admin, false).await;
        let delete = format!("/_synapse/admin/v1/rooms/{}", enc(&room));
        ok(admin.send(Method::DELETE, &delete, &[], "{}").await);
        restore(&admin, json!({ "rejoin": false })).await;
        assert_eq!(admin.get(RESTORE).await.refusal(), NOTHING);
    }

    async fn flags_stay(server: Server) {
        let (admin, alice, bob) = (server.admin().await, server.user("alice").await, server.user("bob").await);
        let room = create_public(&bob).await;
        join(&alice, &room).await;
        put(&admin, "alice", json!({ "locked": true })).await;
        ok(admin.put("/_synapse/admin/v1/suspend/@alice:test", json!({ "suspend": true })).await);
        ok(admin.put("/_reeve/admin/v1/users/@alice:test/role", json!({ "role": "support" })).await);
        deactivate(&admin, false).await;
        let path = "/_reeve/admin/v1/users/@alice:test/restore";
        let refused = "Suspended accounts join no rooms: end the suspension first, or restore without rooms";
        assert_eq!(admin.post(path, json!({})).await.refusal(), (400, "M_UNKNOWN", refused));
        restore(&admin, json!({ "rejoin": false })).await;
        let user = ok(admin.get("/_reeve/admin/v1/users?name=alice&locked=true").await)["users"][0].clone();
        let flags = ["locked", "suspended", "deactivated", "role"].map(|flag| user[flag].clone());
        assert_eq!(flags, [json!(true), json!(true), json!(false), json!("support")]);
        // Without a password nobody logs in.
        put(&admin, "alice", json!({ "locked": false })).await;
        let login = json!({
            "type": "m.login.password", "identifier": { "type": "m.id.user", "user": "alice" }, "password": "alice's password",
        });
        assert_eq!(code(&server.stranger().post(&format!("{CS}/login"), login).await), (403, "M_FORBIDDEN"));
    }

    async fn erasing_keeps_nothing(server: Server) {
        let (admin, alice) = (server.admin().await, server.user("alice").await);
        put(&admin, "alice", json!({ "threepids": [email("a@example.org")] })).await;
        set_data(&alice, "org.example.a", json!({ "a": 1 })).await;
        // More keys than one step deletes.
        back_up(&alice, 700).await;
        deactivate(&admin, false).await;
        assert_eq!(rows_left(&server).await, (1, 700));
        deactivate(&admin, true).await;
        assert_eq!(admin.get(RESTORE).await.refusal(), NOTHING);
        let before = ok(admin.get(USER).await);
        assert_eq!(admin.post(RESTORE, json!({ "password": "pw" })).await.refusal(), NOTHING);
        assert_eq!(ok(admin.get(USER).await), before);
        purged(&server, &admin).await;
        // Nor later, nor if it was erased at once.
        put(&admin, "alice", json!({ "deactivated": false, "password": "pw" })).await;
        assert_eq!(admin.get(RESTORE).await.refusal(), NOTHING);
        deactivate(&admin, true).await;
        assert_eq!(admin.get(RESTORE).await.refusal(), NOTHING);
        assert_eq!(admin.post(RESTORE, json!({})).await.refusal(), NOTHING);
    }

    async fn erasing_drops_what_earlier_deactivations_kept(server: Server) {
        let (admin, alice) = (server.admin().await, server.user("alice").await);
        set_data(&alice, "org.example.a", json!({ "a": 1 })).await;
        deactivate(&admin, false).await;
        put(&admin, "alice", json!({ "deactivated": false, "password": "pw" })).await;
        assert_eq!(ok(admin.get(RESTORE).await)["kept"][0]["account_data"], json!(1));
        deactivate(&admin, true).await;
        assert_eq!(admin.get(RESTORE).await.refusal(), NOTHING);
        purged(&server, &admin).await;
    }

    async fn the_time_ends(server: Server) {
        let (admin, alice) = (server.admin().await, server.user("alice").await);
        put(&admin, "alice", json!({ "threepids": [email("a@example.org")] })).await;
        for number in 0..510 {
            set_data(&alice, &format!("org.example.{number}"), json!({ "n": number })).await;
        }
        back_up(&alice, 5).await;
        deactivate(&admin, false).await;
        // Deactivating it again gives no more time.
        server.clock.advance(KEEP_MS - 1);
        deactivate(&admin, false).await;
        put(&admin, "alice", json!({ "deactivated": true })).await;
        let kept = ok(admin.get(RESTORE).await)["kept"].clone();
        assert_eq!((list(&kept, "").len(), &kept[0]["purge_ts"]), (1, &json!(START_MS + KEEP_MS)));
        server.clock.advance(1);
        assert_eq!(admin.get(RESTORE).await.refusal(), NOTHING);
        assert_eq!(admin.post(RESTORE, json!({})).await.refusal(), NOTHING);
        assert_eq!(ok(admin.get(USER).await)["deactivated"], json!(true));
        purged(&server, &admin).await;
    }

    #[config(|config| config.policy.keep_deactivated_ms = 0)]
    async fn nothing_is_kept_if_the_settings_say_so(server: Server) {
        let (admin, alice) = (server.admin().await, server.user("alice").await);
        put(&admin, "alice", json!({ "threepids": [email("a@example.org")] })).await;
        set_data(&alice, "org.example.a", json!({ "a": 1 })).await;
        deactivate(&admin, false).await;
        assert_eq!(rows_left(&server).await.0, 0);
        assert_eq!(admin.get(RESTORE).await.refusal(), NOTHING);
        assert_eq!(admin.post(RESTORE, json!({})).await.refusal(), NOTHING);
        assert_eq!(ok(admin.get(USER).await)["deactivated"], json!(true));
    }

    async fn a_restoration_while_the_deactivation_goes_on(server: Server) {
        let (admin, alice, bob) = (server.admin().await, server.user("alice").await, server.user("bob").await);
        let room = create_public(&bob).await;
        join(&alice, &room).await;
        set_data(&alice, "org.example.a", json!({ "a": 1 })).await;
        let data = ok(admin.get(DATA).await);
        back_up(&alice, 2).await;
        paused(&server, deactivating::JOB.name(), order_deactivation).await;
        let (response, result) = restore(&admin, json!({ "password": "pw" })).await;
        assert_eq!((&response["account_data"], &response["rooms"]), (&json!(0), &json!(0)));
        assert_eq!(result, report(&json!({ "key_backups": 1 })));
        resume(&server, deactivating::JOB.name()).await;
        let ended = self::result(&admin, "deactivate_user", "@alice:test").await;
        assert_eq!(ended, json!({ "reactivated": true }));
        let alice = server.log_in("alice", "pw").await;
        assert_eq!((joined_rooms(&alice).await, ok(admin.get(DATA).await)), (vec![room], data));
        // The next deactivation has everything again.
        deactivate(&admin, false).await;
        let kept = ok(admin.get(RESTORE).await)["kept"].clone();
        assert_eq!((&kept[0]["account_data"], &kept[0]["rooms"], &kept[0]["backed_up_keys"]), (&json!(1), &json!(1), &json!(2)));
    }

    async fn a_deactivation_while_the_restoration_goes_on(server: Server) {
        let (admin, alice, bob) = (server.admin().await, server.user("alice").await, server.user("bob").await);
        let mut rooms = vec![create_public(&bob).await, create_public(&bob).await];
        for room in &rooms {
            join(&alice, room).await;
        }
        rooms.sort();
        for number in 0..510 {
            set_data(&alice, &format!("org.example.{number}"), json!({ "n": number })).await;
        }
        let data = ok(admin.get(DATA).await);
        put(&admin, "alice", json!({ "threepids": [email("a@example.org")] })).await;
        deactivate(&admin, false).await;
        paused(&server, restoring::JOB.name(), order_restoration).await;
        // A second order changes nothing.
        let refused = admin.post(RESTORE, json!({ "password": "second" })).await;
        assert_eq!(refused.refusal(), (409, "M_UNKNOWN", "This account is being restored"));
        // The first 500 pieces are back, and are kept anew; the rest stays kept.
        deactivate(&admin, false).await;
        let jobs = ok(admin.get(&format!("{JOBS}?kind=restore_user")).await);
        assert_eq!(jobs["jobs"][0]["state"], "cancelled");
        let kept = ok(admin.get(RESTORE).await)["kept"].clone();
        let counts = |at: usize| ["threepids", "rooms", "account_data"].map(|what| kept[at][what].as_i64().unwrap());
        assert_eq!((counts(0), counts(1)), ([1, 0, 500], [0, 2, 10]));
        let (response, result) = restore(&admin, json!({ "password": "pw" })).await;
        assert_eq!((&response["account_data"], &response["rooms"]), (&json!(510), &json!(2)));
        assert_eq!(result, report(&json!({ "threepids": 1, "account_data": 510, "rooms_joined": 2 })));
        let alice = server.log_in("alice", "pw").await;
        let mut joined = joined_rooms(&alice).await;
        joined.sort();
        assert_eq!((joined, ok(admin.get(DATA).await)), (rooms, data));
    }

    async fn a_restoration_that_began_in_time_is_finished(server: Server) {
        let (admin, alice, bob) = (server.admin().await, server.user("alice").await, server.user("bob").await);
        let room = create_public(&bob).await;
        join(&alice, &room).await;
        for number in 0..510 {
            set_data(&alice, &format!("org.example.{number}"), json!({ "n": number })).await;
        }
        deactivate(&admin, false).await;
        server.clock.advance(KEEP_MS - 1);
        paused(&server, restoring::JOB.name(), order_restoration).await;
        server.clock.advance(1);
        // Neither housekeeping nor the job deletes what is on its way.
        let now = server.clock.now();
        let due = server.app().db.read(move |tx| keeping::is_purge_due(tx, now)).await.unwrap();
        assert!(!due);
        server.app().db.write(move |tx| keeping::order_purge(tx, now)).await.unwrap();
        result(&admin, "purge_kept", "kept_accounts").await;
        assert_eq!(rows_left(&server).await, (1, 0));
        resume(&server, restoring::JOB.name()).await;
        let result = self::result(&admin, "restore_user", "@alice:test").await;
        assert_eq!(result, report(&json!({ "account_data": 510, "rooms_joined": 1 })));
        assert_eq!(membership(&bob, &room, "@alice:test").await, "join");
        eventually(&admin, &format!("{JOBS}?kind=purge_kept"), |reply| list(&reply.body, "/jobs").len() == 2).await;
        purged(&server, &admin).await;
    }

    async fn only_so_many_deactivations_are_kept(server: Server) {
        let (admin, alice) = (server.admin().await, server.user("alice").await);
        // Most is kept of the first one.
        set_data(&alice, "org.example.a", json!({ "a": 1 })).await;
        for number in 0..12 {
            server.clock.advance(1000);
            put(&admin, "alice", json!({ "threepids": [email(&format!("a{number}@example.org"))] })).await;
            deactivate(&admin, false).await;
            put(&admin, "alice", json!({ "deactivated": false, "password": "pw" })).await;
        }
        let kept = ok(admin.get(RESTORE).await)["kept"].clone();
        let times: Vec<i64> = list(&kept, "").iter().map(|one| one["deactivated_ts"].as_i64().unwrap() - START_MS).collect();
        let seconds = [12, 11, 10, 9, 8, 7, 6, 5, 4, 1];
        assert_eq!(times, seconds.map(|second| second * 1000));
        let (response, result) = restore(&admin, json!({})).await;
        assert_eq!((list(&response, "/threepids").len(), &result["account_data"]), (10, &json!(1)));
    }

    async fn refusals(server: Server) {
        let (admin, alice) = (server.admin().await, server.user("alice").await);
        set_data(&alice, "org.example.a", json!({ "a": 1 })).await;
        let token = async |name: &str, scopes: &[&str]| {
            let body = json!({ "name": name, "scopes": scopes });
            server.with_token(admin.post("/_reeve/admin/v1/service_tokens", body).await.text("secret"))
        };
        let (reader, clerk) = (token("reader", &["users:read"]).await, token("clerk", &["users:deactivate"]).await);
        deactivate(&admin, false).await;
        let before = (ok(admin.get(USER).await), ok(admin.get(RESTORE).await));
        for (name, expected) in [
            ("@nobody:test", (404, "M_NOT_FOUND")), ("@alice:elsewhere", (400, "M_UNKNOWN")), ("alice", (400, "M_INVALID_PARAM")),
        ] {
            let path = format!("/_reeve/admin/v1/users/{name}/restore");
            assert_eq!(code(&admin.get(&path).await), expected);
            assert_eq!(code(&admin.post(&path, json!({})).await), expected);
        }
        for body in [json!({ "password": 1 }), json!({ "rejoin": "no" }), json!({ "password": null }), json!({ "rejoin": null })] {
            assert_eq!(code(&admin.post(RESTORE, body.clone()).await), (400, "M_BAD_JSON"), "{body}");
        }
        assert_eq!(reader.get(RESTORE).await, (200, before.1.clone()));
        assert_eq!(code(&reader.post(RESTORE, json!({})).await), (403, "M_FORBIDDEN"));
        assert_eq!(code(&clerk.get(RESTORE).await), (403, "M_FORBIDDEN"));
        let needs = (403, "M_FORBIDDEN", "This needs the scope users:write");
        assert_eq!(clerk.post(RESTORE, json!({ "password": "pw" })).await.refusal(), needs);
        assert_eq!((ok(admin.get(USER).await), ok(admin.get(RESTORE).await)), before);
        let response = ok(clerk.post(RESTORE, json!({})).await);
        assert_eq!(response["reactivated"], json!(true));
    }

    async fn passwords_can_be_switched_off(server: Server) {
        let ctx = Ctx::system(&server.clock, &server.app().server_name, "test");
        server.create("alice", false).await;
        let write = server.app().db.write(move |tx| -> Result<(), reeve_accounts::Error> {
            order_deactivation(tx, &ctx)?;
            let order = Order { password_hash: Some("hash".to_owned()), rejoin: true };
            let policy = Policy { password_enabled: false, ..Policy::default() };
            let refused = tx.attempt(|tx| restoring::restore(tx, &ctx, &policy, "@alice:test", &order));
            assert!(matches!(refused, Err(reeve_accounts::Error::PasswordChangeDisabled)), "{refused:?}");
            Ok(())
        });
        write.await.unwrap();
    }
}
