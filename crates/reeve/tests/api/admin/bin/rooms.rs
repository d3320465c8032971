//! Rooms in the bin.

use std::sync::Arc;

use http::Method;
use reeve_db::DbError;
use reeve_model::{Ctx, RoomNum};
use reeve_rooms::deletion::{self, Order};
use reeve_store::departures::{self, Departure};
use reeve_store::{jobs, lifetimes, rooms};
use reeve_testkit::{Client, START_MS, Server, on_both_engines};
use serde_json::{Value, json};

use super::{BIN, WEEK_MS, acts, delete, keep_house, missing, over};
use crate::rooms_kit::*;
use crate::sync_kit::{eventually, sync_filtered};

const ROOMS: &str = "/_synapse/admin/v1/rooms";
const BOB: &str = "/_reeve/admin/v1/users/@bob:test/restore";
/// The number of the first room of a server.
const FIRST: RoomNum = RoomNum::new(1);

fn path(room: &str, rest: &str) -> String {
    format!("{ROOMS}/{}{rest}", enc(room))
}

fn in_bin(room: &str) -> String {
    format!("{BIN}/rooms/{}", enc(room))
}

/// Deletes a room, and returns the result.
async fn bin(admin: &Client, room: &str, body: Value) -> Value {
    ok(admin.send(Method::DELETE, &path(room, ""), &[], body.to_string()).await)
}

/// Brings a room back, and returns the result of the job.
async fn restore(admin: &Client, room: &str) -> Value {
    let order = ok(admin.post(&format!("{}/restore", in_bin(room)), json!({})).await);
    over(admin, &order["job"]).await
}

/// Brings a room back, and lets the job rest before its first step.
async fn begin_to_restore(server: &Server, room: &str) {
    let ctx = Ctx::system(&server.clock, &server.app().server_name, "test");
    let room_id = room.to_owned();
    let begun = server.app().db.write(move |tx| -> Result<(), reeve_rooms::Error> {
        let job = deletion::restore::order(tx, &ctx, &room_id)?;
        assert!(jobs::pause(tx, &job, ctx.now)?);
        Ok(())
    });
    begun.await.unwrap();
}

/// Orders a deletion whose job fails for good when bob has had to leave.
async fn fail_to_delete(server: &Server, room: &str) {
    let app = server.app();
    let (home, ctx) = (Arc::clone(&app.home), Ctx::system(&server.clock, &app.server_name, "test"));
    let order = Order {
        room_id: room.to_owned(),
        block: true,
        purge: true,
        force_purge: false,
        bin: true,
        substitute: None,
    };
    let failed = app.db.write(move |tx| -> Result<(), reeve_rooms::Error> {
        let job = deletion::order(tx, &home, &ctx, &order)?;
        let mut room = rooms::find(tx, &order.room_id)?.unwrap();
        reeve_rooms::membership::leave(tx, &home, &ctx, "@bob:test", &mut room, None)?;
        let departure = Departure { room_id: room.room_id.clone(), pos: room.last_pos, event: None };
        departures::put(tx, "@bob:test", &departure)?;
        jobs::fail(tx, &job, "the disk is full", 10, ctx.now)?;
        Ok(())
    });
    failed.await.unwrap();
}

async fn reports(admin: &Client) -> i64 {
    number(admin, "/_reeve/admin/v1/reports", "/total").await
}

/// Deactivates bob, and returns what is kept of him when that is done.
async fn deactivate_bob(admin: &Client) -> Value {
    ok(admin.post("/_synapse/admin/v1/deactivate/@bob:test", json!({})).await);
    eventually(admin, "/_reeve/admin/v1/jobs?kind=deactivate_user&subject=@bob:test", |reply| {
        list(&reply.body, "/jobs").iter().all(|job| job["state"] == "complete")
    })
    .await;
    kept_of_bob(admin).await
}

async fn kept_of_bob(admin: &Client) -> Value {
    ok(admin.get(BOB).await)["kept"].clone()
}

/// Restores bob, and returns the result of the job.
async fn restore_bob(admin: &Client) -> Value {
    let order = ok(admin.post(BOB, json!({})).await);
    over(admin, &order["job_id"]).await
}

async fn ids_in_bin(admin: &Client, query: &str) -> (Vec<String>, Value) {
    let body = ok(admin.get(&format!("{BIN}/rooms?{query}")).await);
    let ids = list(&body, "/rooms").iter().map(|room| at(room, "/room_id").to_owned()).collect();
    (ids, body["next_token"].clone())
}

async fn alias(client: &Client, alias: &str) -> String {
    client.get(&format!("{CS}/directory/room/{}", enc(alias))).await.text("room_id").to_owned()
}

async fn published(client: &Client) -> Vec<String> {
    let body = ok(client.get(&format!("{CS}/publicRooms")).await);
    list(&body, "/chunk").iter().map(|room| at(room, "/room_id").to_owned()).collect()
}

async fn found(client: &Client, text: &str) -> usize {
    let body = json!({ "search_categories": { "room_events": { "search_term": text } } });
    list(&ok(client.post(&format!("{CS}/search"), body).await), "/search_categories/room_events/results")
        .len()
}

async fn number(client: &Client, path: &str, pointer: &str) -> i64 {
    ok(client.get(path).await).pointer(pointer).unwrap().as_i64().unwrap()
}

/// The number of stored events of the first room.
async fn stored(server: &Server) -> usize {
    server
        .app()
        .db
        .read(move |tx| reeve_store::event_deletion::some_of_room(tx, FIRST, 1000))
        .await
        .unwrap()
        .len()
}

async fn body_of(client: &Client, room: &str, event_id: &str) -> String {
    at(&event(client, room, event_id).await, "/content/body").to_owned()
}

/// A private room, in which alice is alone with bob; carol is invited, dave was banned.
struct Scene {
    admin: Client,
    alice: Client,
    bob: Client,
    carol: Client,
    room: String,
    event: String,
}

impl Scene {
    async fn new(server: &Server) -> Self {
        let admin = server.admin().await;
        let (alice, bob, carol) =
            (server.user("alice").await, server.user("bob").await, server.user("carol").await);
        server.create("dave", false).await;
        let body = json!({ "preset": "private_chat", "visibility": "public", "name": "Plans", "room_alias_name": "plans" });
        let room = create(&alice, body).await;
        bring(&alice, &room, &bob).await;
        invite(&alice, &room, "@carol:test").await;
        ban(&alice, &room, "@dave:test").await;
        let event = say(&alice, &room, "the secret plan").await;
        ok(bob
            .post(
                &room_path(&room, &format!("report/{}", enc(&event))),
                json!({ "reason": "spam", "score": -1 }),
            )
            .await);
        Self { admin, alice, bob, carol, room, event }
    }

    /// Checks that nobody sees anything of the room.
    async fn assert_gone(&self) {
        let Self { admin, alice, bob, carol, room, event } = self;
        for rest in ["", "/members", "/state", "/hierarchy"] {
            assert_eq!(admin.get(&path(room, rest)).await.status, 404, "{rest}");
        }
        assert_eq!(number(admin, ROOMS, "/total_rooms").await, 0);
        assert_eq!(number(admin, &format!("{ROOMS}?search_term=plans"), "/total_rooms").await, 0);
        assert_eq!(list(&ok(admin.get(&path(room, "/messages")).await), "/chunk").len(), 0);
        assert_eq!(admin.get(&format!("/_synapse/admin/v1/fetch_event/{}", enc(event))).await.status, 404);
        assert_eq!(admin.get(&path(room, &format!("/context/{}", enc(event)))).await.status, 404);
        assert_eq!(admin.get(&path(room, "/timestamp_to_event?ts=1")).await.status, 404);
        let media = ok(admin.get(&format!("/_synapse/admin/v1/room/{}/media", enc(room))).await);
        assert_eq!(media, json!({ "local": [], "remote": [] }));
        assert_eq!(number(admin, "/_synapse/admin/v1/event_reports", "/total").await, 0);
        assert_eq!(number(admin, "/_reeve/admin/v1/reports", "/total").await, 0);
        assert_eq!(
            list(&ok(admin.get("/_synapse/admin/v1/statistics/database/rooms").await), "/rooms").len(),
            0
        );
        assert_eq!(
            number(
                admin,
                "/_synapse/admin/v1/users/@alice:test/sent_invite_count?from_ts=0",
                "/invite_count"
            )
            .await,
            0
        );
        let joined = "/_synapse/admin/v1/users/@bob:test/cumulative_joined_room_count?from_ts=0";
        assert_eq!(number(admin, joined, "/cumulative_joined_room_count").await, 0);
        for user in ["@alice:test", "@bob:test", "@carol:test", "@dave:test"] {
            let memberships = ok(admin.get(&format!("/_synapse/admin/v1/users/{user}/memberships")).await);
            assert_eq!(memberships["memberships"], json!({}), "{user}");
        }
        assert_eq!(published(alice).await, Vec::<String>::new());
        assert_eq!(alias(alice, "#plans:test").await, "");
        for client in [alice, bob, carol] {
            assert_eq!(joined_rooms(client).await, Vec::<String>::new());
            assert_eq!(found(client, "secret").await, 0);
            assert!([403, 404].contains(&try_event(client, room, event).await.status));
            assert!([403, 404].contains(&client.get(&state_path(room, "m.room.name", "")).await.status));
            assert!(
                [403, 404]
                    .contains(&client.post(&format!("{CS}/join/{}", enc(room)), json!({})).await.status)
            );
            let everything = sync_filtered(client, &json!({ "room": { "include_leave": true } })).await;
            for part in ["join", "invite", "leave"] {
                assert!(everything["rooms"][part].get(room).is_none(), "{part}: {everything}");
            }
        }
    }
}

on_both_engines! {
    async fn it_is_gone_for_everybody(server: Server) {
        let scene = Scene::new(&server).await;
        let Scene { admin, alice, room, .. } = &scene;
        server.clock.advance(5);
        let result = bin(admin, room, json!({})).await;
        assert_eq!(list(&result, "/kicked_users").len(), 3);
        scene.assert_gone().await;
        // A second deletion finds nothing, and changes nothing.
        assert_eq!(bin(admin, room, json!({})).await["kicked_users"], json!([]));
        let body = ok(admin.get(&format!("{BIN}/rooms")).await);
        let one = &body["rooms"][0];
        let expected = json!({
            "room_id": room, "name": "Plans", "canonical_alias": "#plans:test", "version": one["version"], "creator": "@alice:test",
            "created_ts": START_MS, "events": one["events"], "deleted_ts": START_MS + 5, "deleted_by_kind": "user",
            "deleted_by": "@admin:test", "purge_ts": START_MS + 5 + WEEK_MS,
        });
        assert_eq!((one, body.get("next_token")), (&expected, None));
        assert!(one["events"].as_i64().unwrap() > 10);
        // Its alias is free.
        let other = create(alice, json!({ "room_alias_name": "plans" })).await;
        assert_eq!(alias(alice, "#plans:test").await, other);
    }

    async fn it_comes_back(server: Server) {
        let scene = Scene::new(&server).await;
        let Scene { admin, alice, bob, carol, room, event } = &scene;
        add_alias(alice, room, "second").await;
        let before = ok(admin.get(&path(room, "")).await);
        let reports = ok(admin.get("/_reeve/admin/v1/reports").await);
        bin(admin, room, json!({ "block": true })).await;
        scene.assert_gone().await;
        assert_eq!(ok(admin.get(&path(room, "/block")).await)["block"], true);
        let other = create(bob, json!({ "room_alias_name": "second" })).await;
        let since = [now(alice).await, now(bob).await, now(carol).await];
        server.clock.advance(10);
        let result = restore(admin, room).await;
        let expected = json!({
            "rejoined": 2, "failed": 0, "failed_users": [], "aliases": ["#plans:test"], "taken_aliases": ["#second:test"],
        });
        assert_eq!(result, expected);
        assert_eq!(ok(admin.get(&path(room, "/block")).await)["block"], false);
        // All is as before; only the invite is over.
        let after = ok(admin.get(&path(room, "")).await);
        for (key, value) in before.as_object().unwrap() {
            assert_eq!(&after[key], value, "{key}");
        }
        assert_eq!((published(alice).await, alias(alice, "#plans:test").await), (vec![room.clone()], room.clone()));
        assert_eq!(alias(alice, "#second:test").await, other);
        assert_eq!(number(admin, &format!("{ROOMS}?search_term=plans"), "/total_rooms").await, 1);
        assert_eq!(number(admin, ROOMS, "/total_rooms").await, 2);
        assert_eq!(ok(admin.get("/_reeve/admin/v1/reports").await), reports);
        assert_eq!(number(admin, "/_synapse/admin/v1/event_reports", "/total").await, 1);
        assert_eq!(membership(alice, room, "@carol:test").await, "leave");
        assert_eq!(membership(alice, room, "@dave:test").await, "ban");
        for (client, since) in [alice, bob].into_iter().zip(&since) {
            assert!(joined_rooms(client).await.contains(room));
            assert_eq!(found(client, "secret").await, 1);
            assert_eq!(body_of(client, room, event).await, "the secret plan");
            // Clients that continue to sync get the room again, with its state.
            let news = sync_since(client, since).await;
            assert!(news["rooms"]["leave"].get(room).is_none(), "{news}");
            let again = joined(&news, room);
            let state = [list(again, "/state/events"), list(again, "/timeline/events")].concat();
            assert!(of_state(&state, "m.room.name", "").is_some(), "{news}");
        }
        assert!(sync_since(carol, &since[2]).await["rooms"]["join"].get(room).is_none());
        say(bob, room, "we are back").await;
        say(alice, room, "so we are").await;
        assert_eq!(acts(admin, room).await, ["room.delete", "room.restore"]);
        assert_eq!(admin.post(&format!("{}/restore", in_bin(room)), json!({})).await, missing("room"));
        // It can go and come again.
        bin(admin, room, json!({})).await;
        assert_eq!(number(admin, ROOMS, "/total_rooms").await, 1);
        assert_eq!(restore(admin, room).await["rejoined"], 2);
    }

    async fn messages_that_had_expired_are_not_looked_at_again(server: Server) {
        let scene = Scene::new(&server).await;
        let Scene { admin, alice, room, .. } = &scene;
        say(alice, room, "young").await;
        let db = &server.app().db;
        let (upto, expired) = db
            .write(|tx| -> Result<_, DbError> {
                let last = rooms::by_num(tx, FIRST)?.unwrap().last_pos;
                lifetimes::set_expired(tx, FIRST, last)?;
                Ok((last, lifetimes::expired_pos(tx, FIRST)?))
            })
            .await
            .unwrap();
        assert_eq!(expired, Some(upto));
        bin(admin, room, json!({})).await;
        assert_eq!(restore(admin, room).await["rejoined"], 2);
        let expired = db.read(|tx| lifetimes::expired_pos(tx, FIRST)).await.unwrap();
        assert_eq!(expired, Some(upto));
        let (all, _) = all_messages(alice, room, "dir=b").await;
        assert_eq!(bodies(&all), ["young"]);
    }

    async fn another_block_stays(server: Server) {
        let scene = Scene::new(&server).await;
        let Scene { admin, alice, room, .. } = &scene;
        ok(admin.put(&path(room, "/block"), json!({ "block": true })).await);
        server.clock.advance(1);
        bin(admin, room, json!({ "block": true })).await;
        let result = restore(admin, room).await;
        // Nobody joins a blocked room.
        assert_eq!((&result["rejoined"], &result["failed_users"]), (&json!(0), &json!(["@alice:test", "@bob:test"])));
        assert_eq!(ok(admin.get(&path(room, "/block")).await)["block"], true);
        assert_eq!(joined_rooms(alice).await, Vec::<String>::new());
    }

    async fn deactivated_members_stay_out(server: Server) {
        let scene = Scene::new(&server).await;
        let Scene { admin, alice, room, .. } = &scene;
        bin(admin, room, json!({})).await;
        ok(admin.post("/_synapse/admin/v1/deactivate/@bob:test", json!({ "erase": true })).await);
        let result = restore(admin, room).await;
        assert_eq!((&result["rejoined"], &result["failed_users"]), (&json!(1), &json!(["@bob:test"])));
        assert_eq!(membership(alice, room, "@bob:test").await, "leave");
    }

    async fn deactivated_members_come_back_with_their_account(server: Server) {
        let (admin, alice, bob) = (server.admin().await, server.user("alice").await, server.user("bob").await);
        let room = create_public(&alice).await;
        join(&bob, &room).await;
        bin(&admin, &room, json!({})).await;
        assert_eq!(deactivate_bob(&admin).await[0]["rooms"], 0, "there is no such room");
        let result = restore(&admin, &room).await;
        assert_eq!((&result["rejoined"], &result["failed_users"]), (&json!(1), &json!(["@bob:test"])));
        assert_eq!(membership(&alice, &room, "@bob:test").await, "leave");
        assert_eq!(kept_of_bob(&admin).await[0]["rooms"], 1);
        assert_eq!(restore_bob(&admin).await["rooms_joined"], 1);
        assert_eq!(membership(&alice, &room, "@bob:test").await, "join");
        // The account first.
        bin(&admin, &room, json!({})).await;
        deactivate_bob(&admin).await;
        assert_eq!(restore_bob(&admin).await["rooms_joined"], 0);
        assert_eq!(restore(&admin, &room).await["rejoined"], 2);
        assert_eq!(membership(&alice, &room, "@bob:test").await, "join");
    }

    async fn it_is_deleted_again_while_it_comes_back(server: Server) {
        let (admin, alice, bob) = (server.admin().await, server.user("alice").await, server.user("bob").await);
        let room = create_public(&alice).await;
        join(&bob, &room).await;
        let event = say(&alice, &room, "spam").await;
        ok(bob.post(&room_path(&room, &format!("report/{}", enc(&event))), json!({ "reason": "spam" })).await);
        bin(&admin, &room, json!({})).await;
        begin_to_restore(&server, &room).await;
        join(&bob, &room).await;
        server.clock.advance(1);
        let result = bin(&admin, &room, json!({})).await;
        assert_eq!(result["kicked_users"], json!(["@bob:test"]), "alice was not back yet");
        let jobs = ok(admin.get(&format!("/_reeve/admin/v1/jobs?kind=restore_room&subject={}", enc(&room))).await);
        assert_eq!(jobs["jobs"][0]["state"], "cancelled");
        assert_eq!((reports(&admin).await, joined_rooms(&bob).await), (0, vec![]));
        assert_eq!(restore(&admin, &room).await["rejoined"], 2);
        for client in [&alice, &bob] {
            assert_eq!(joined_rooms(client).await, std::slice::from_ref(&room));
        }
        assert_eq!(reports(&admin).await, 1);
    }

    async fn what_is_shut_down_while_it_comes_back_has_its_reports(server: Server) {
        let scene = Scene::new(&server).await;
        let Scene { admin, room, .. } = &scene;
        bin(admin, room, json!({})).await;
        begin_to_restore(&server, room).await;
        assert_eq!(reports(admin).await, 0);
        bin(admin, room, json!({ "purge": false })).await;
        assert_eq!(reports(admin).await, 1);
        // A later deletion is undone alone.
        server.clock.advance(1);
        bin(admin, room, json!({})).await;
        assert_eq!(restore(admin, room).await["rejoined"], 0);
        assert_eq!(reports(admin).await, 1);
    }

    async fn a_deletion_that_failed_is_undone_with_the_next(server: Server) {
        let scene = Scene::new(&server).await;
        let Scene { admin, alice, bob, room, .. } = &scene;
        fail_to_delete(&server, room).await;
        assert_eq!((joined_rooms(alice).await, joined_rooms(bob).await), (vec![room.clone()], vec![]));
        assert_eq!(published(alice).await, Vec::<String>::new());
        server.clock.advance(1);
        let result = bin(admin, room, json!({ "block": true })).await;
        assert_eq!(result["kicked_users"], json!(["@alice:test", "@carol:test"]));
        assert_eq!(restore(admin, room).await["rejoined"], 2);
        assert_eq!(ok(admin.get(&path(room, "/block")).await)["block"], false);
        assert_eq!(published(alice).await, std::slice::from_ref(room));
        assert_eq!(joined_rooms(bob).await, std::slice::from_ref(room));
        // With that it is over.
        ok(bob.post(&room_path(room, "leave"), json!({})).await);
        ok(alice.put(&format!("{CS}/directory/list/room/{}", enc(room)), json!({ "visibility": "private" })).await);
        server.clock.advance(1);
        bin(admin, room, json!({})).await;
        assert_eq!(restore(admin, room).await["rejoined"], 1);
        assert_eq!(published(alice).await, Vec::<String>::new());
    }

    async fn members_who_moved_are_in_both(server: Server) {
        let scene = Scene::new(&server).await;
        let Scene { admin, alice, room, .. } = &scene;
        let result = bin(admin, room, json!({ "new_room_user_id": "@herald:test" })).await;
        let new = at(&result, "/new_room_id").to_owned();
        let result = restore(admin, room).await;
        assert_eq!((&result["rejoined"], &result["aliases"], &result["taken_aliases"]), (&json!(2), &json!([]), &json!([])));
        let rooms = joined_rooms(alice).await;
        assert!(rooms.contains(room) && rooms.contains(&new), "{rooms:?}");
        assert_eq!(alias(alice, "#plans:test").await, new, "an alias that moved is not free");
    }

    async fn its_time_comes(server: Server) {
        let scene = Scene::new(&server).await;
        let Scene { admin, alice, room, .. } = &scene;
        for _ in 0..3 {
            say_many(alice, room, "word", 100).await;
        }
        bin(admin, room, json!({})).await;
        server.clock.advance(WEEK_MS - 1);
        keep_house(&server, admin).await;
        assert_eq!(ids_in_bin(admin, "").await.0, std::slice::from_ref(room));
        assert!(stored(&server).await > 300);
        server.clock.advance(1);
        keep_house(&server, admin).await;
        assert_eq!(ids_in_bin(admin, "").await, (vec![], Value::Null));
        assert_eq!(stored(&server).await, 0);
        scene.assert_gone().await;
        assert_eq!(admin.post(&format!("{}/restore", in_bin(room)), json!({})).await, missing("room"));
        let jobs = ok(admin.get("/_reeve/admin/v1/jobs?kind=purge_room_bin").await);
        assert_eq!(jobs["jobs"][0]["result"], json!({ "purged": 1 }));
    }

    async fn at_once_if_that_is_wanted(server: Server) {
        let scene = Scene::new(&server).await;
        let Scene { admin, alice, room, .. } = &scene;
        let refused = admin.send(Method::DELETE, &path(room, ""), &[], r#"{"bin":1}"#).await;
        let text = "Param 'bin' must be a boolean, if given";
        assert_eq!(refused, (400, json!({ "errcode": "M_BAD_JSON", "error": text })));
        bin(admin, room, json!({ "bin": false })).await;
        scene.assert_gone().await;
        assert_eq!((ids_in_bin(admin, "").await.0.len(), stored(&server).await), (0, 0));
        let second = create(alice, json!({})).await;
        bin(admin, &second, json!({ "force_purge": true })).await;
        // An equal room of the same millisecond would have the same id.
        server.clock.advance(1);
        let third = create(alice, json!({})).await;
        bin(admin, &third, json!({ "purge": false })).await;
        assert_eq!(ids_in_bin(admin, "").await, (vec![], Value::Null));
        assert_eq!(admin.get(&path(&second, "")).await.status, 404);
        assert_eq!(admin.get(&path(&third, "")).await.status, 200);
    }

    async fn many_are_listed_and_emptied(server: Server) {
        let scene = Scene::new(&server).await;
        let Scene { admin, alice, room, .. } = &scene;
        let mut rooms = vec![room.clone()];
        for _ in 0..3 {
            rooms.push(create(alice, json!({})).await);
        }
        for room in &rooms {
            bin(admin, room, json!({})).await;
            server.clock.advance(1);
        }
        rooms.reverse();
        let (first, next) = ids_in_bin(admin, "limit=3").await;
        assert_eq!(first, rooms[..3]);
        let (second, next) = ids_in_bin(admin, &format!("limit=3&from={}", next.as_str().unwrap())).await;
        assert_eq!((second.as_slice(), next), (&rooms[3..], Value::Null));
        for wrong in ["limit=x", "from=x"] {
            let reply = admin.get(&format!("{BIN}/rooms?{wrong}")).await;
            assert_eq!((reply.status, reply.text("errcode")), (400, "M_INVALID_PARAM"), "{wrong}");
        }
        // One at once: it cannot come back from then on.
        assert_eq!(delete(admin, &in_bin("!unknown:test")).await, missing("room"));
        let order = ok(delete(admin, &in_bin(room)).await);
        assert_eq!(admin.post(&format!("{}/restore", in_bin(room)), json!({})).await, missing("room"));
        assert_eq!(over(admin, &order["job"]).await, json!({ "purged": 1 }));
        assert_eq!(stored(&server).await, 0);
        assert_eq!(acts(admin, room).await, ["room.delete", "room.purge"]);
        let order = ok(delete(admin, &format!("{BIN}/rooms")).await);
        assert_eq!(over(admin, &order["job"]).await, json!({ "purged": 3 }));
        assert_eq!(ids_in_bin(admin, "").await, (vec![], Value::Null));
        assert_eq!(acts(admin, "rooms").await, ["room.empty_bin"]);
    }

    #[config(|config| config.rooms.bin_ms = 0)]
    async fn without_a_bin_it_is_deleted_at_once(server: Server) {
        let scene = Scene::new(&server).await;
        bin(&scene.admin, &scene.room, json!({})).await;
        scene.assert_gone().await;
        assert_eq!((ids_in_bin(&scene.admin, "").await.0.len(), stored(&server).await), (0, 0));
    }
}
