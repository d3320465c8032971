//! Bundled data, and other events within events of a response, for viewers who cannot see all of them.

use reeve_testkit::{Client, Server, on_both_engines};
use serde_json::{Value, json};

use crate::rooms_kit::*;
use crate::sync_kit::*;

const SLIDING: &str = "/_matrix/client/unstable/org.matrix.simplified_msc3575/sync";

async fn refer(client: &Client, room: &str, event: &str) -> String {
    relate(client, room, "reference", json!({ "rel_type": "m.reference", "event_id": event })).await
}

async fn set_visibility(client: &Client, room: &str, value: &str) {
    set_state(client, room, "m.room.history_visibility", "", json!({ "history_visibility": value })).await;
}

async fn set_topic(client: &Client, room: &str, topic: &str) {
    set_state(client, room, "m.room.topic", "", json!({ "topic": topic })).await;
}

async fn ignore(client: &Client, users: &[&Client]) {
    let users: serde_json::Map<String, Value> =
        users.iter().map(|user| (user.user_id.clone(), json!({}))).collect();
    set_data(client, "m.ignored_user_list", json!({ "ignored_users": users })).await;
}

/// The forms of an event in a response.
fn forms(answer: &Value, event: &str, found: &mut Vec<Value>) {
    match answer {
        Value::Array(values) => values.iter().for_each(|value| forms(value, event, found)),
        Value::Object(map) => {
            if map.get("event_id") == Some(&json!(event)) && map.contains_key("sender") {
                found.push(answer.clone());
            }
            map.values().for_each(|value| forms(value, event, found));
        }
        _ => {}
    }
}

/// The data bundled with an event in each response that contains it: by id, in pages, in both kinds of sync,
/// and so on.
async fn bundled(client: &Client, room: &str, event: &str, since: &str) -> Vec<(String, Value)> {
    let (id, v1) = (enc(event), format!("/_matrix/client/v1/rooms/{}", enc(room)));
    let all = filter(&json!({ "room": { "include_leave": true, "timeline": { "limit": 100 } } }));
    let slide = json!({
        "lists": { "all": { "ranges": [[0, 99]], "required_state": [], "timeline_limit": 50 } },
        "room_subscriptions": { room: { "required_state": [], "timeline_limit": 50 } },
    });
    let search = json!({ "search_categories": { "room_events": { "search_term": "root" } } });
    let mut answers = Vec::new();
    for path in [
        room_path(room, &format!("event/{id}")),
        room_path(room, &format!("context/{id}?limit=50")),
        room_path(room, "messages?dir=b&limit=100"),
        room_path(room, "messages?dir=f&limit=100"),
        format!("{v1}/threads"),
        format!("{CS}/sync?timeout=0&{all}"),
        format!("{CS}/sync?timeout=0&{all}&since={}", enc(since)),
    ] {
        answers.push((path.clone(), client.get(&path).await.body));
    }
    answers.push(("sliding".to_owned(), ok(client.post(&format!("{SLIDING}?timeout=0"), slide).await)));
    answers.push(("search".to_owned(), ok(client.post(&format!("{CS}/search"), search).await)));
    let mut found = Vec::new();
    for (name, answer) in answers {
        let mut of_answer = Vec::new();
        forms(&answer, event, &mut of_answer);
        found.extend(
            of_answer.into_iter().map(|form| (name.clone(), form["unsigned"]["m.relations"].clone())),
        );
    }
    found
}

/// A short form of bundled data: the edit, the references, and of the thread the count, the latest reply and
/// its edit, and true if the viewer participated.
fn brief(bundled: &Value) -> Value {
    let thread = bundled.get("m.thread").map(|thread| {
        let latest = &thread["latest_event"];
        let edit = at(latest, "/unsigned/m.relations/m.replace/event_id");
        json!([thread["count"], latest["event_id"], edit, thread["current_user_participated"]])
    });
    json!([at(bundled, "/m.replace/event_id"), ids(list(bundled, "/m.reference/chunk")), thread])
}

async fn pair(server: &Server) -> (Client, Client) {
    (server.user("anna").await, server.user("ben").await)
}

on_both_engines! {
    async fn what_came_after_one_was_put_out(server: Server) {
        let ((anna, ben), admin) = (pair(&server).await, server.admin().await);
        for visibility in ["shared", "invited", "joined"] {
            for gone in ["leave", "kick", "ban"] {
                let room = create_public(&anna).await;
                set_visibility(&anna, &room, visibility).await;
                join(&ben, &room).await;
                let since = now(&ben).await;
                let root = say(&anna, &room, "root").await;
                let edited = edit(&anna, &room, &root, "root once more").await;
                let reply = thread(&anna, &room, &root, "reply").await;
                let reply_edited = edit(&anna, &room, &reply, "reply once more").await;
                let reference = refer(&anna, &room, &root).await;
                match gone {
                    "leave" => leave(&ben, &room).await,
                    "kick" => kick(&anna, &room, "@ben:test").await,
                    _ => ban(&anna, &room, "@ben:test").await,
                }
                edit(&anna, &room, &reply, "secret").await;
                let later = thread(&anna, &room, &root, "secret").await;
                let last = thread(&anna, &room, &root, "secret").await;
                let last_edit = edit(&anna, &room, &root, "root secret").await;
                let later_reference = refer(&anna, &room, &root).await;
                let expected = json!([edited, [reference], [1, reply, reply_edited, false]]);
                let answers = bundled(&ben, &room, &root, &since).await;
                assert!(answers.len() >= 9, "{answers:?}");
                for (answer, bundled) in &answers {
                    assert_eq!(brief(bundled), expected, "{visibility} {gone} {answer}");
                    assert!(!bundled.to_string().contains("secret"), "{answer} {bundled}");
                }
                assert_eq!(try_event(&ben, &room, &later).await.status, 404);
                // Members who stayed see all of it, and so do administrators.
                let all = json!([last_edit, [reference, later_reference], [3, last, "", true]]);
                for (answer, bundled) in bundled_for_all(&admin, &anna, &room, &root).await {
                    let mut brief = brief(&bundled);
                    if answer.starts_with("/_synapse") {
                        // Administrators participate in nothing.
                        assert_eq!(brief[2][3].take(), false);
                        brief[2][3] = json!(true);
                    }
                    assert_eq!(brief, all, "{visibility} {gone} {answer}");
                }
            }
        }
    }

    async fn what_came_while_one_was_away(server: Server) {
        let (anna, ben) = pair(&server).await;
        let room = create_public(&anna).await;
        set_visibility(&anna, &room, "joined").await;
        join(&ben, &room).await;
        let since = now(&ben).await;
        let root = say(&anna, &room, "root").await;
        thread(&ben, &room, &root, "first").await;
        let edited = edit(&anna, &room, &root, "root once more").await;
        leave(&ben, &room).await;
        let missed = thread(&anna, &room, &root, "secret").await;
        edit(&anna, &room, &root, "root secret").await;
        refer(&anna, &room, &root).await;
        join(&ben, &room).await;
        let expected = json!([edited, [], [1, "", "", true]]);
        for (answer, bundled) in bundled(&ben, &room, &root, &since).await {
            let mut brief = brief(&bundled);
            brief[2][1] = json!("");
            assert_eq!(brief, expected, "{answer}");
        }
        // Later events are visible again; the rest stays hidden.
        let last = thread(&anna, &room, &root, "last").await;
        let reference = refer(&anna, &room, &root).await;
        let expected = json!([edited, [reference], [2, last, "", true]]);
        for (answer, bundled) in bundled(&ben, &room, &root, &since).await {
            assert_eq!(brief(&bundled), expected, "{answer}");
        }
        redact(&anna, &room, &missed).await;
        redact(&anna, &room, &last).await;
        let seen = event(&ben, &room, &root).await;
        assert_eq!(seen["unsigned"]["m.relations"]["m.thread"]["count"], 1);
    }

    async fn what_came_before_one_joined(server: Server) {
        let (anna, ben) = pair(&server).await;
        let room = create_public(&anna).await;
        let since = now(&ben).await;
        let root = say(&anna, &room, "root").await;
        set_visibility(&anna, &room, "joined").await;
        thread(&anna, &room, &root, "secret").await;
        edit(&anna, &room, &root, "root secret").await;
        refer(&anna, &room, &root).await;
        join(&ben, &room).await;
        let answers = bundled(&ben, &room, &root, &since).await;
        assert!(answers.len() >= 6, "{answers:?}");
        for (answer, bundled) in answers {
            assert_eq!(brief(&bundled), json!(["", [], null]), "{answer}");
        }
        // A thread in which one sees nothing is none.
        let threads = ok(ben.get(&format!("/_matrix/client/v1/rooms/{}/threads", enc(&room))).await);
        assert_eq!(list(&threads, "/chunk"), &[] as &[Value]);
        let last = thread(&anna, &room, &root, "reply").await;
        for (answer, bundled) in bundled(&ben, &room, &root, &since).await {
            assert_eq!(brief(&bundled), json!(["", [], [1, last, "", false]]), "{answer}");
        }
    }

    async fn many_hidden_ones_hide_no_others(server: Server) {
        let (anna, ben) = pair(&server).await;
        let room = create_public(&anna).await;
        join(&ben, &room).await;
        let since = now(&ben).await;
        let root = say(&anna, &room, "root").await;
        let edited = edit(&anna, &room, &root, "root once more").await;
        let reply = thread(&anna, &room, &root, "reply").await;
        let reference = refer(&anna, &room, &root).await;
        kick(&anna, &room, "@ben:test").await;
        for _ in 0..101 {
            refer(&anna, &room, &root).await;
        }
        for _ in 0..21 {
            edit(&anna, &room, &root, "root secret").await;
        }
        let expected = json!([edited, [reference], [1, reply, "", false]]);
        for (answer, bundled) in bundled(&ben, &room, &root, &since).await {
            assert_eq!(brief(&bundled), expected, "{answer}");
        }
        let path = format!("/_matrix/client/v1/rooms/{}/relations/{}", enc(&room), enc(&root));
        let children = ok(ben.get(&path).await);
        assert_eq!(ids(list(&children, "/chunk")), [&*reference, &*reply, &*edited]);
    }

    async fn those_whom_one_ignores(server: Server) {
        let (anna, ben) = pair(&server).await;
        let (carol, dave) = (server.user("carol").await, server.user("dave").await);
        let room = create_public(&anna).await;
        for client in [&ben, &carol, &dave] {
            join(client, &room).await;
        }
        let since = now(&ben).await;
        let root = say(&anna, &room, "root").await;
        let reply = thread(&anna, &room, &root, "reply").await;
        let rude = thread(&carol, &room, &root, "rude").await;
        edit(&carol, &room, &rude, "ruder").await;
        thread(&dave, &room, &root, "rude").await;
        refer(&carol, &room, &root).await;
        set_level(&anna, &room, "@carol:test", 50).await;
        set_topic(&carol, &room, "rude").await;
        ignore(&ben, &[&carol, &dave]).await;
        for (answer, bundled) in bundled(&ben, &room, &root, &since).await {
            assert_eq!(brief(&bundled), json!(["", [], [1, reply, "", false]]), "{answer}");
        }
        // Messages of an erased user are hidden, also by id; state that they set is visible.
        for rest in [format!("event/{}", enc(&rude)), format!("context/{}", enc(&rude))] {
            let (hidden, missing) = (ben.get(&room_path(&room, &rest)).await, ben.get(&room_path(&room, "event/$x")).await);
            assert_eq!(hidden.refusal(), missing.refusal(), "{rest}");
        }
        let context = ok(ben.get(&room_path(&room, &format!("context/{}?limit=20", enc(&root)))).await);
        assert!(list(&context, "/events_after").iter().all(|event| event["type"] != "m.room.message" || event["sender"] == "@anna:test"));
        let topic = ok(ben.get(&room_path(&room, "state/m.room.topic/?format=event")).await);
        assert_eq!(at(&event(&ben, &room, at(&topic, "/event_id")).await, "/content/topic"), "rude");
        let path = |id: &str| format!("/_matrix/client/v1/rooms/{}/relations/{}", enc(&room), enc(id));
        assert_eq!(ids(list(&ok(ben.get(&path(&root)).await), "/chunk")), [&*reply]);
        assert_eq!(ben.get(&path(&rude)).await.status, 404);
        let report = ben.post(&room_path(&room, &format!("report/{}", enc(&rude))), json!({})).await;
        assert_eq!(code(&report), (404, "M_NOT_FOUND"));
        // A thread of which nothing is left is none.
        let quiet = say(&anna, &room, "quiet").await;
        thread(&carol, &room, &quiet, "rude").await;
        assert_eq!(event(&ben, &room, &quiet).await["unsigned"].get("m.relations"), None);
        ignore(&ben, &[]).await;
        assert_eq!(event(&ben, &room, &root).await["unsigned"]["m.relations"]["m.thread"]["count"], 3);
        assert_eq!(try_event(&ben, &room, &rude).await.status, 200);
    }

    async fn redactions_that_one_does_not_see(server: Server) {
        let (anna, ben) = pair(&server).await;
        let room = create_public(&anna).await;
        join(&ben, &room).await;
        let (early, late) = (say(&anna, &room, "early").await, say(&anna, &room, "late").await);
        let seen = redact(&anna, &room, &early).await;
        kick(&anna, &room, "@ben:test").await;
        let path = room_path(&room, &format!("redact/{}/{}", enc(&late), txn()));
        ok(anna.put(&path, json!({ "reason": "secret" })).await);
        let because = |event: &Value| at(event, "/unsigned/redacted_because/event_id").to_owned();
        assert_eq!(because(&event(&ben, &room, &early).await), seen);
        let hidden = event(&ben, &room, &late).await;
        assert_eq!((because(&hidden), hidden["unsigned"].get("redacted_by"), &hidden["content"]), (String::new(), None, &json!({})));
        assert!(!because(&event(&anna, &room, &late).await).is_empty());
        let page = messages(&ben, &room, "dir=b&limit=50").await;
        assert!(!page.to_string().contains("secret"), "{page}");
    }

    async fn state_that_one_never_knew(server: Server) {
        let (anna, ben) = pair(&server).await;
        let room = create_public(&anna).await;
        set_visibility(&anna, &room, "joined").await;
        set_topic(&anna, &room, "secret").await;
        rename_in(&anna, &room, "Secret").await;
        let before = now(&anna).await;
        set_topic(&anna, &room, "open").await;
        rename_in(&anna, &room, "Open").await;
        join(&ben, &room).await;
        let hidden = ok(anna.get(&room_path(&room, "state/m.room.topic/?format=event")).await);
        assert_eq!(at(&hidden, "/unsigned/prev_content/topic"), "secret");
        let topic = ok(ben.get(&room_path(&room, "state/m.room.topic/?format=event")).await);
        // That it replaced something is known, what it was is not.
        assert_eq!(topic["unsigned"]["replaces_state"], hidden["unsigned"]["replaces_state"]);
        assert_eq!((topic["unsigned"].get("prev_content"), topic["unsigned"].get("prev_sender")), (None, None));
        let all = filter(&json!({ "room": { "timeline": { "limit": 50 } } }));
        let slide = json!({ "lists": { "all": { "ranges": [[0, 9]], "required_state": [["*", "*"]], "timeline_limit": 50 } } });
        for (answer, tells) in [
            (ok(ben.get(&room_path(&room, "state")).await), true),
            (ok(ben.get(&room_path(&room, "members")).await), true),
            (ok(ben.get(&room_path(&room, &format!("members?at={}", enc(&before)))).await), true),
            (sync_with(&ben, &all).await, false),
            (sync_with(&ben, &format!("{all}&since={}", enc(&before))).await, false),
            (sync_with(&ben, &format!("{all}&since={}&use_state_after=true", enc(&before))).await, true),
            (ok(ben.post(&format!("{SLIDING}?timeout=0"), slide).await), true),
        ] {
            assert!(answer.to_string().contains("Open") || !tells, "{answer}");
            assert!(!answer.to_string().to_lowercase().contains("secret"), "{answer}");
        }
        // A replacement of a visible event contains what it replaced.
        set_topic(&anna, &room, "new").await;
        let topic = ok(ben.get(&room_path(&room, "state/m.room.topic/?format=event")).await);
        assert_eq!(at(&topic, "/unsigned/prev_content/topic"), "open");
    }

    async fn state_after_one_was_put_out(server: Server) {
        let (anna, ben) = pair(&server).await;
        let room = create_public(&anna).await;
        set_topic(&anna, &room, "open").await;
        join(&ben, &room).await;
        let since = now(&ben).await;
        let slide = json!({
            "lists": { "all": { "ranges": [[0, 9]], "required_state": [["*", "*"]], "timeline_limit": 1 } },
            "room_subscriptions": { &room: { "required_state": [["*", "*"]], "timeline_limit": 1 } },
        });
        let first = ok(ben.post(&format!("{SLIDING}?timeout=0"), slide.clone()).await);
        kick(&anna, &room, "@ben:test").await;
        set_topic(&anna, &room, "secret").await;
        set_state(&anna, &room, "m.room.name", "", json!({ "name": "Secret" })).await;
        rename_in(&anna, &room, "Secret").await;
        // One learns of the ban, and nothing of what happened before it.
        ban(&anna, &room, "@ben:test").await;
        let own = ok(anna.get(&room_path(&room, "state/m.room.member/@ben:test?format=event")).await);
        let (ban, few) = (at(&own, "/event_id"), filter(&json!({ "room": { "include_leave": true, "timeline": { "limit": 1 } } })));
        let lazy = filter(&json!({ "lazy_load_members": true }));
        for answer in [
            sync_with(&ben, &format!("timeout=0&{few}")).await,
            sync_with(&ben, &format!("timeout=0&{few}&since={}", enc(&since))).await,
            sync_with(&ben, &format!("timeout=0&{few}&since={}&full_state=true", enc(&since))).await,
            sync_with(&ben, &format!("timeout=0&{few}&since={}&use_state_after=true", enc(&since))).await,
            ok(ben.post(&format!("{SLIDING}?timeout=0&pos={}", enc(at(&first, "/pos"))), slide.clone()).await),
            ok(ben.post(&format!("{SLIDING}?timeout=0"), slide).await),
            ok(ben.get(&room_path(&room, &format!("context/{}", enc(ban)))).await),
            messages(&ben, &room, &format!("dir=b&{lazy}")).await,
            ok(ben.get(&room_path(&room, "state")).await),
            ok(ben.get(&room_path(&room, "members")).await),
            event(&ben, &room, ban).await,
        ] {
            assert!(answer.to_string().contains("@ben:test"), "{answer}");
            assert!(!answer.to_string().to_lowercase().contains("secret"), "{answer}");
        }
        assert_eq!(state(&ben, &room, "m.room.topic", "").await, json!({ "topic": "open" }));
        // The invited do not know the state, either.
        let carol = server.user("carol").await;
        let private = create(&anna, json!({ "topic": "secret" })).await;
        invite(&anna, &private, "@carol:test").await;
        let own = ok(anna.get(&room_path(&private, "state/m.room.member/@carol:test?format=event")).await);
        let context = ok(carol.get(&room_path(&private, &format!("context/{}", enc(at(&own, "/event_id"))))).await);
        assert_eq!((at(&context, "/event/content/membership"), &context["state"]), ("invite", &json!([])));
    }

    async fn relations_from_other_rooms(server: Server) {
        let (anna, ben) = pair(&server).await;
        let (room, secret) = (create_public(&anna).await, create(&anna, json!({})).await);
        join(&ben, &room).await;
        let root = say(&anna, &room, "root").await;
        for rel_type in ["m.reference", "m.replace"] {
            relate(&anna, &secret, "secret", json!({ "rel_type": rel_type, "event_id": root })).await;
        }
        // A thread is not begun from another room, neither by a message nor by the state with which a room begins.
        let content = json!({ "m.relates_to": { "rel_type": "m.thread", "event_id": root } });
        assert_eq!(try_send(&anna, &secret, "m.room.message", content.clone()).await.status, 400);
        let body = json!({ "initial_state": [{ "type": "com.x", "content": content }] });
        assert_eq!(anna.post(&format!("{CS}/createRoom"), body).await.status, 400);
        let since = now(&ben).await;
        for client in [&anna, &ben] {
            for (answer, bundled) in bundled(client, &room, &root, &since).await {
                assert_eq!(bundled, Value::Null, "{answer}");
            }
            let path = format!("/_matrix/client/v1/rooms/{}/relations/{}", enc(&room), enc(&root));
            assert_eq!(list(&ok(client.get(&path).await), "/chunk"), &[] as &[Value]);
        }
    }
}

/// The data bundled with an event for a member and for administrators.
async fn bundled_for_all(admin: &Client, member: &Client, room: &str, event: &str) -> Vec<(String, Value)> {
    let id = enc(event);
    let mut found = bundled(member, room, event, &now(member).await).await;
    for path in [
        format!("/_synapse/admin/v1/rooms/{}/messages?dir=b&limit=100", enc(room)),
        format!("/_synapse/admin/v1/rooms/{}/context/{id}", enc(room)),
    ] {
        let mut forms_of = Vec::new();
        forms(&ok(admin.get(&path).await), event, &mut forms_of);
        found
            .extend(forms_of.into_iter().map(|form| (path.clone(), form["unsigned"]["m.relations"].clone())));
    }
    found
}

/// Sets a different name in one room.
async fn rename_in(client: &Client, room: &str, name: &str) {
    let content = json!({ "membership": "join", "displayname": name });
    set_state(client, room, "m.room.member", &client.user_id, content).await;
}
