//! Rooms and events that a caller must not learn of: the response is that for something that does not exist.

use http::Method;
use reeve_testkit::{Client, Reply, on_both_engines};
use serde_json::{Value, json};

use crate::rooms_kit::*;

const UNKNOWN: &str = "!unknown:test";

/// Every request that names a room, with an event and a user in it.
fn requests(room: &str, event: &str) -> Vec<(Method, String, Value)> {
    let (get, post, put) = (Method::GET, Method::POST, Method::PUT);
    let (id, v1) = (enc(event), format!("/_matrix/client/v1/rooms/{}", enc(room)));
    let whom = json!({ "user_id": "@anna:test" });
    let here = |method: &Method, rest: &str, body: Value| (method.clone(), room_path(room, rest), body);
    let mut requests = vec![
        (post.clone(), format!("{CS}/join/{}", enc(room)), json!({})),
        (post.clone(), format!("{CS}/knock/{}", enc(room)), json!({})),
        (get.clone(), format!("/_matrix/client/v1/room_summary/{}", enc(room)), json!(null)),
        (get.clone(), format!("{CS}/directory/list/room/{}", enc(room)), json!(null)),
        (put.clone(), format!("{CS}/directory/list/room/{}", enc(room)), json!({ "visibility": "public" })),
        (put.clone(), format!("{CS}/directory/room/%23new:test"), json!({ "room_id": room })),
    ];
    for rest in [
        "join",
        "leave",
        "forget",
        "report",
        "upgrade",
        "invite",
        "kick",
        "ban",
        "unban",
        &format!("report/{id}"),
    ] {
        let mut body =
            if rest.contains("ban") || matches!(rest, "invite" | "kick") { whom.clone() } else { json!({}) };
        match rest {
            "report" => body["reason"] = json!("x"),
            "upgrade" => body["new_version"] = json!("11"),
            _ => {}
        }
        requests.push(here(&post, rest, body));
    }
    for membership in ["join", "leave", "knock"] {
        requests.push(here(&put, "state/m.room.member/@ben:test", json!({ "membership": membership })));
    }
    for rest in
        ["state/m.room.topic/", "send/m.room.message/1", &format!("redact/{id}/1"), "typing/@ben:test"]
    {
        requests.push(here(&put, rest, json!({ "typing": true })));
    }
    for rest in [
        &format!("event/{id}"),
        &format!("context/{id}"),
        "messages?dir=b",
        "state",
        "state/m.room.create/",
        "members",
        "joined_members",
        "aliases",
    ] {
        requests.push(here(&get, rest, json!(null)));
    }
    for rest in ["threads", "hierarchy", &format!("relations/{id}"), "timestamp_to_event?ts=0&dir=f"] {
        requests.push((get.clone(), format!("{v1}/{rest}"), json!(null)));
    }
    requests
}

async fn send(client: &Client, (method, path, body): &(Method, String, Value)) -> Reply {
    let body = if body.is_null() { String::new() } else { body.to_string() };
    client.send(method.clone(), path, &[], body).await
}

/// Sends the same requests for two rooms, and compares the responses except for the names in them.
async fn compare(client: &Client, (room, event): (&str, &str), (other, other_event): (&str, &str)) {
    for (here, there) in requests(room, event).iter().zip(&requests(other, other_event)) {
        let (a, b) = (send(client, here).await, send(client, there).await);
        let text = a.body.to_string().replace(room, other).replace(event, other_event);
        assert_eq!((a.status, text), (b.status, b.body.to_string()), "{here:?}");
    }
}

on_both_engines! {
    async fn private_rooms_are_as_if_they_were_not(server: Server) {
        let (anna, ben) = (server.user("anna").await, server.user("ben").await);
        let club = create(&anna, json!({})).await;
        let allow = json!([{ "type": "m.room_membership", "room_id": club }]);
        for rule in [json!({ "join_rule": "invite" }), json!({ "join_rule": "private" }), json!({ "join_rule": "restricted", "allow": allow })] {
            for visibility in ["shared", "joined"] {
                let room = create(&anna, json!({ "initial_state": [
                    { "type": "m.room.join_rules", "content": rule },
                    { "type": "m.room.history_visibility", "content": { "history_visibility": visibility } },
                    { "type": "m.room.guest_access", "content": { "guest_access": "forbidden" } },
                ] })).await;
                let id = say(&anna, &room, "x").await;
                compare(&ben, (&room, &id), (UNKNOWN, "$unknown")).await;
                // Nothing happened by it.
                assert_eq!(membership(&anna, &room, "@ben:test").await, "");
                assert_eq!(sync(&ben).await.get("rooms"), None);
            }
        }
        let reports = ok(server.admin().await.get("/_synapse/admin/v1/event_reports").await);
        assert_eq!(reports["total"], 0);
    }

    async fn to_strangers_and_the_suspended_too(server: Server) {
        let (anna, ben, admin) = (server.user("anna").await, server.user("ben").await, server.admin().await);
        let room = create(&anna, json!({})).await;
        let stranger = server.stranger();
        for path in ["/_matrix/client/v1/room_summary/", &format!("{CS}/directory/list/room/")] {
            let replies = [stranger.get(&format!("{path}{}", enc(&room))).await, stranger.get(&format!("{path}{UNKNOWN}")).await];
            assert_eq!(code(&replies[0]), (404, "M_NOT_FOUND"));
            assert_eq!(replies[0].refusal(), replies[1].refusal(), "{path}");
        }
        let suspend = |on: bool| {
            let admin = &admin;
            async move { ok(admin.put("/_synapse/admin/v1/suspend/@ben:test", json!({ "suspend": on })).await) }
        };
        suspend(true).await;
        let id = say(&anna, &room, "x").await;
        compare(&ben, (&room, &id), (UNKNOWN, "$unknown")).await;
        suspend(false).await;
        // A block is known, whether the room is there or not.
        for room in [&*room, UNKNOWN] {
            ok(admin.put(&format!("/_synapse/admin/v1/rooms/{}/block", enc(room)), json!({ "block": true })).await);
        }
        compare(&ben, (&room, &id), (UNKNOWN, "$unknown")).await;
        // An alias reveals that a room exists, and no more.
        add_alias(&anna, &room, "den").await;
        let replies = [
            ben.get("/_matrix/client/v1/room_summary/%23den:test").await,
            ben.get("/_matrix/client/v1/room_summary/%23nothing:test").await,
        ];
        assert_eq!(replies[0].refusal(), replies[1].refusal());
    }

    async fn events_are_as_if_they_were_not(server: Server) {
        let (anna, ben) = (server.user("anna").await, server.user("ben").await);
        let room = create_public(&anna).await;
        set_state(&anna, &room, "m.room.history_visibility", "", json!({ "history_visibility": "joined" })).await;
        let id = say(&anna, &room, "x").await;
        join(&ben, &room).await;
        for rest in ["event/", "context/"] {
            let replies = [ben.get(&room_path(&room, &format!("{rest}{}", enc(&id)))).await, ben.get(&room_path(&room, &format!("{rest}$unknown"))).await];
            assert_eq!((code(&replies[0]), replies[0].refusal()), ((404, "M_NOT_FOUND"), replies[1].refusal()), "{rest}");
        }
        let v1 = format!("/_matrix/client/v1/rooms/{}/relations", enc(&room));
        let relations = [ben.get(&format!("{v1}/{}", enc(&id))).await, ben.get(&format!("{v1}/$unknown")).await];
        assert_eq!(relations[0].refusal(), relations[1].refusal());
        let report = |id: &str| room_path(&room, &format!("report/{}", enc(id)));
        let reports = [ben.post(&report(&id), json!({})).await, ben.post(&report("$unknown"), json!({})).await];
        assert_eq!(reports[0].refusal(), reports[1].refusal());
    }

    async fn rooms_that_one_knows_are_named(server: Server) {
        let (anna, ben) = (server.user("anna").await, server.user("ben").await);
        let stranger = server.stranger();
        let setting = |room: &str| format!("{CS}/directory/list/room/{}", enc(room));
        let summary = |room: &str| format!("/_matrix/client/v1/room_summary/{}", enc(room));
        let (public, private) = (create_public(&anna).await, create(&anna, json!({})).await);
        assert_eq!(stranger.get(&setting(&public)).await, (200, json!({ "visibility": "private" })));
        assert_eq!(stranger.get(&summary(&public)).await.status, 200);
        invite(&anna, &private, "@ben:test").await;
        assert_eq!(ben.get(&setting(&private)).await, (200, json!({ "visibility": "private" })));
        assert_eq!(ben.get(&summary(&private)).await.status, 200);
        // A kicked or banned user learns the reason.
        join(&ben, &private).await;
        ban(&anna, &private, "@ben:test").await;
        let banned = ben.post(&format!("{CS}/join/{}", enc(&private)), json!({})).await;
        let unknown = ben.post(&format!("{CS}/join/{UNKNOWN}"), json!({})).await;
        assert_eq!((code(&banned), code(&unknown)), ((403, "M_FORBIDDEN"), (403, "M_FORBIDDEN")));
        assert_ne!(banned.text("error"), unknown.text("error"));
        // A published room is visible, even if it cannot be joined.
        ok(anna.put(&setting(&private), json!({ "visibility": "public" })).await);
        assert_eq!(stranger.get(&setting(&private)).await, (200, json!({ "visibility": "public" })));
        // Reports of rooms reach the administrators, whether the reporter knows the room or not.
        let carol = server.user("carol").await;
        for room in [&*private, UNKNOWN] {
            assert_eq!(carol.post(&room_path(room, "report"), json!({ "reason": "x" })).await, (200, json!({})));
        }
    }

    async fn forgotten_rooms(server: Server) {
        let (anna, ben) = (server.user("anna").await, server.user("ben").await);
        let room = create_public(&anna).await;
        join(&ben, &room).await;
        let since = now(&ben).await;
        let slide = json!({
            "lists": { "all": { "ranges": [[0, 9]], "required_state": [["*", "*"]], "timeline_limit": 50 } },
            "room_subscriptions": { &room: { "required_state": [["*", "*"]], "timeline_limit": 50 } },
        });
        let path = "/_matrix/client/unstable/org.matrix.simplified_msc3575/sync?timeout=0";
        let first = ok(ben.post(path, slide.clone()).await);
        let id = say(&anna, &room, "secret").await;
        set_state(&anna, &room, "m.room.topic", "", json!({ "topic": "secret" })).await;
        assert_eq!(try_event(&ben, &room, &id).await.status, 200);
        leave(&ben, &room).await;
        assert_eq!(try_event(&ben, &room, &id).await.status, 200);
        forget(&ben, &room).await;
        for rest in [format!("event/{}", enc(&id)), format!("context/{}", enc(&id))] {
            let (hidden, unknown) = (ben.get(&room_path(&room, &rest)).await, ben.get(&room_path(UNKNOWN, &rest)).await);
            assert_eq!((code(&hidden), hidden.refusal()), ((404, "M_NOT_FOUND"), unknown.refusal()), "{rest}");
        }
        for rest in ["messages?dir=b", "state", "state/m.room.topic/", "members"] {
            assert_eq!(code(&ben.get(&room_path(&room, rest)).await), (403, "M_FORBIDDEN"), "{rest}");
        }
        for rest in ["threads".to_owned(), format!("relations/{}", enc(&id)), "timestamp_to_event?ts=0&dir=f".to_owned()] {
            let path = format!("/_matrix/client/v1/rooms/{}/{rest}", enc(&room));
            assert_eq!(code(&ben.get(&path).await), (403, "M_FORBIDDEN"), "{rest}");
        }
        assert_eq!(code(&ben.post(&room_path(&room, &format!("report/{}", enc(&id))), json!({})).await), (404, "M_NOT_FOUND"));
        // Clients that knew the room learn that it was left, and nothing more.
        let all = filter(&json!({ "room": { "include_leave": true } }));
        for (answer, told) in [
            (sync_with(&ben, &format!("timeout=0&{all}&since={}", enc(&since))).await, true),
            (sync_with(&ben, &format!("timeout=0&{all}&since={}&full_state=true", enc(&since))).await, true),
            (ok(ben.post(&format!("{path}&pos={}", enc(at(&first, "/pos"))), slide.clone()).await), true),
            (sync_with(&ben, &format!("timeout=0&{all}")).await, false),
            (ok(ben.post(path, slide).await), false),
        ] {
            assert_eq!(answer.to_string().contains(&*room), told, "{answer}");
            assert!(!answer.to_string().contains("secret"), "{answer}");
        }
        let search = json!({ "search_categories": { "room_events": { "search_term": "secret" } } });
        let found = ok(ben.post(&format!("{CS}/search"), search).await);
        assert_eq!(found["search_categories"]["room_events"]["count"], 0);
        // A world-readable room is open to those who forgot it, too.
        set_state(&anna, &room, "m.room.history_visibility", "", json!({ "history_visibility": "world_readable" })).await;
        let open = say(&anna, &room, "open").await;
        assert_eq!((try_event(&ben, &room, &open).await.status, try_event(&ben, &room, &id).await.status), (200, 404));
        // A user who rejoins has the history again.
        join(&ben, &room).await;
        assert_eq!(try_event(&ben, &room, &id).await.status, 200);
    }
}
