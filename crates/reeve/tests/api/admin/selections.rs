//! `/_reeve/admin/v1/users` and its export.

use reeve_testkit::{Client, START_MS, Server, on_both_engines};
use serde_json::{Value, json};

const USERS: &str = "/_reeve/admin/v1/users";

/// Accounts with everything that can be asked for.
async fn people(server: &Server, admin: &Client) {
    let put = async |name: &str, body: Value| {
        let reply = admin.put(&format!("/_synapse/admin/v2/users/@{name}:test"), body).await;
        assert_eq!(reply.status, 201, "{}", reply.body);
    };
    put("ann", json!({
        "displayname": "Ann", "user_type": "bot", "external_ids": [{ "auth_provider": "oidc", "external_id": "a" }],
        "threepids": [{ "medium": "email", "address": "Ann@Example.org" }, { "medium": "msisdn", "address": "4915112345" }],
    })).await;
    put("bob", json!({ "password": "pw", "threepids": [{ "medium": "email", "address": "bob@other.net" }] }))
        .await;
    put("cy", json!({ "locked": true })).await;
    put("dot", json!({ "admin": true })).await;
    let act = async |path: &str| {
        let reply = admin.post(path, json!({})).await;
        assert_eq!(reply.status, 200, "{}", reply.body);
    };
    act("/_synapse/admin/v1/users/@bob:test/shadow_ban").await;
    let suspended = admin.put("/_synapse/admin/v1/suspend/@dot:test", json!({ "suspend": true })).await;
    assert_eq!(suspended.status, 200);
    put("eve", json!({})).await;
    let erased = admin.post("/_synapse/admin/v1/deactivate/@eve:test", json!({ "erase": true })).await;
    assert_eq!(erased.status, 200);
    server.clock.advance(3_600_000);
    put("fay", json!({ "password": "pw" })).await;
    server.log_in("fay", "pw").await;
    let required =
        admin.put(&format!("{USERS}/@bob:test/password_change"), json!({ "required": true })).await;
    assert_eq!(required.status, 200);
}

/// The names that a query finds, and the total.
async fn found(admin: &Client, query: &str) -> (Vec<String>, i64) {
    let reply = admin.get(&format!("{USERS}?{query}")).await;
    assert_eq!(reply.status, 200, "{query}: {}", reply.body);
    let names = reply.body["users"].as_array().unwrap().iter();
    let names = names.map(|user| user["name"].as_str().unwrap().trim_end_matches(":test")[1..].to_owned());
    (names.collect(), reply.body["total"].as_i64().unwrap())
}

on_both_engines! {
    async fn each_filter_finds_its_accounts(server: Server) {
        let admin = server.admin().await;
        people(&server, &admin).await;
        let later = START_MS + 1_800_000;
        let cases: &[(&str, &[&str])] = &[
            ("", &["admin", "ann", "bob", "dot", "eve", "fay"]),
            ("locked=true", &["admin", "ann", "bob", "cy", "dot", "eve", "fay"]),
            ("is_locked=true", &["cy"]),
            ("is_locked=false&name=c", &[]),
            ("is_guest=true", &[]),
            ("is_guest=false&name=n", &["admin", "ann"]),
            ("suspended=true", &["dot"]),
            ("suspended=false&admins=false", &["ann", "bob", "eve", "fay"]),
            ("shadow_banned=true", &["bob"]),
            ("password_change_required=true", &["bob"]),
            ("password_change_required=false&admins=false&suspended=false", &["ann", "eve", "fay"]),
            ("erased=true", &["eve"]),
            ("deactivated=false&erased=false", &["admin", "ann", "bob", "dot", "fay"]),
            ("user_type=bot", &["ann"]),
            ("user_type=", &["admin", "bob", "dot", "eve", "fay"]),
            ("not_user_type=bot&not_user_type=support&name=n", &["admin"]),
            ("appservice=", &["admin", "ann", "bob", "dot", "eve", "fay"]),
            ("appservice=irc", &[]),
            ("role=owner", &["admin", "dot"]),
            ("role=&suspended=false", &["ann", "bob", "eve", "fay"]),
            ("role=support", &[]),
            (&format!("created_after={later}"), &["fay"]),
            (&format!("created_before={later}"), &["admin", "ann", "bob", "dot", "eve"]),
            (&format!("created_after={START_MS}&created_before={later}&admins=true"), &["admin", "dot"]),
            ("email=example.ORG", &["ann"]),
            ("email=b", &["bob"]),
            ("phone=%2B49+151", &["ann"]),
            ("external_provider=oidc", &["ann"]),
            ("external_provider=saml", &[]),
            ("has_devices=true", &["admin", "fay"]),
            ("has_devices=false&email=o", &["ann", "bob"]),
            ("media_size_over=0", &[]),
            ("name=a&suspended=false", &["admin", "ann", "fay"]),
            ("user_id=%40b", &["bob"]),
        ];
        for (query, names) in cases {
            let total = i64::try_from(names.len()).unwrap();
            let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
            assert_eq!(found(&admin, query).await, (names, total), "{query}");
        }
        // What was uploaded, and when and from where somebody was seen, shows once it is written.
        let fay = server.log_in("fay", "pw").await;
        let upload = fay.send(http::Method::POST, "/_matrix/media/v3/upload", &[("content-type", "text/plain")], "12345").await;
        assert_eq!(upload.status, 200);
        server.app().seen.flush(&server.app().db).await.unwrap();
        for (query, names) in [
            ("media_size_over=4", &["fay"][..]),
            ("media_size_over=5", &[]),
            ("never_seen=false", &["admin", "fay"]),
            ("never_seen=true&name=a", &["ann"]),
            (&format!("last_seen_after={later}"), &["admin", "fay"]),
            (&format!("last_seen_before={later}"), &[]),
            ("ip=127.0.0.1", &["admin", "fay"]),
            ("ip=127.0.0.0/8&admins=false", &["fay"]),
            ("ip=%3A%3A1", &[]),
        ] {
            assert_eq!(found(&admin, query).await.0, names, "{query}");
        }
    }

    async fn what_is_refused(server: Server) {
        let admin = server.admin().await;
        for (query, text) in [
            ("suspendet=true", "Unknown query parameter 'suspendet'"),
            ("suspended=true&suspended=false", "Query parameter 'suspended' is given more than once"),
            ("suspended=1", "Boolean query parameter 'suspended' must be one of ['true', 'false']"),
            ("created_after=x", "Query parameter created_after must be an integer"),
            ("created_after=5&created_before=5", "'created_after' must be less than 'created_before'"),
            ("last_seen_after=6&last_seen_before=5", "'last_seen_after' must be less than 'last_seen_before'"),
            ("never_seen=true&last_seen_before=5", "'never_seen' cannot be combined with 'last_seen_after' or 'last_seen_before'"),
            ("user_type=bot&not_user_type=bot", "'user_type' must not be among 'not_user_type'"),
            ("is_locked=true&locked=false", "'is_locked' cannot be true where 'locked' is false"),
            ("is_guest=true&guests=false", "'is_guest' cannot be true where 'guests' is false"),
            ("email=", "'email' must not be blank"),
            ("phone=abc", "'phone' must contain a digit"),
            ("ip=10", "'10' is neither an address nor a network"),
            ("media_size_over=-1", "Query parameter media_size_over must be a positive integer."),
            ("include=threepids,keys", "Query parameter 'include' has the unknown word 'keys'"),
            ("token=nonsense", "Query parameter 'token' must be a next_token of the same filters and order"),
            ("token=x&from=0", "'from' and 'token' cannot be combined"),
        ] {
            let reply = admin.get(&format!("{USERS}?{query}")).await;
            assert_eq!(reply.refusal(), (400, "M_INVALID_PARAM", text), "{query}");
        }
        let reply = admin.get(&format!("{USERS}/export?from=1")).await;
        assert_eq!(reply.refusal(), (400, "M_INVALID_PARAM", "Unknown query parameter 'from'"));
        let user = server.user("user").await;
        for path in [USERS.to_owned(), format!("{USERS}/export")] {
            assert_eq!(user.get(&path).await.status, 403);
        }
    }

    async fn pages_continue_where_they_ended(server: Server) {
        let admin = server.admin().await;
        people(&server, &admin).await;
        for order in ["name", "displayname", "creation_ts", "last_seen_ts", "admin", "user_type", "avatar_url"] {
            for dir in ["f", "b"] {
                let asked = format!("order_by={order}&dir={dir}&erased=false");
                let (all, total) = found(&admin, &asked).await;
                let (mut pages, mut token) = (Vec::new(), String::new());
                loop {
                    let reply = admin.get(&format!("{USERS}?{asked}&limit=2{token}")).await;
                    assert_eq!(reply.body["total"], total);
                    let users = reply.body["users"].as_array().unwrap();
                    pages.extend(users.iter().map(|user| user["name"].as_str().unwrap().to_owned()));
                    let Some(next) = reply.body["next_token"].as_str() else { break };
                    token = format!("&token={next}");
                    // It is good for nothing else.
                    let other = admin.get(&format!("{USERS}?order_by={order}&dir={dir}&limit=2{token}")).await;
                    assert_eq!(other.status, 400, "{}", other.body);
                }
                let all: Vec<String> = all.iter().map(|name| format!("@{name}:test")).collect();
                assert_eq!(pages, all, "{asked}");
            }
        }
        let offset = found(&admin, "from=2&limit=2").await;
        assert_eq!(offset, (vec!["bob".to_owned(), "dot".to_owned()], 6));
        // An account that is created behind the place comes, and one before it does not.
        let first = admin.get(&format!("{USERS}?limit=3")).await;
        server.create("aaa", false).await;
        server.create("zoe", false).await;
        let rest = found(&admin, &format!("token={}", first.text("next_token"))).await;
        assert_eq!(rest, (["dot", "eve", "fay", "zoe"].map(str::to_owned).to_vec(), 8));
    }

    async fn accounts_come_with_what_is_included(server: Server) {
        let admin = server.admin().await;
        people(&server, &admin).await;
        let whole = json!({
            "name": "@ann:test", "displayname": "Ann", "avatar_url": null, "user_type": "bot", "is_guest": false,
            "admin": false, "role": null, "deactivated": false, "erased": false, "locked": false, "suspended": false,
            "shadow_banned": false, "password_change_required": false, "appservice_id": null, "creation_ts": START_MS, "last_seen_ts": null,
        });
        let reply = admin.get(&format!("{USERS}?user_type=bot")).await;
        assert_eq!(reply, (200, json!({ "users": [whole], "total": 1 })));
        let reply = admin.get(&format!("{USERS}?user_type=bot&include=threepids,external_ids,devices_count")).await;
        let mut more = whole.clone();
        more.as_object_mut().unwrap().extend(json!({
            "threepids": [
                { "medium": "email", "address": "ann@example.org", "validated_at": START_MS, "added_at": START_MS },
                { "medium": "msisdn", "address": "4915112345", "validated_at": START_MS, "added_at": START_MS },
            ],
            "external_ids": [{ "auth_provider": "oidc", "external_id": "a" }],
            "devices_count": 0,
        }).as_object().unwrap().clone());
        assert_eq!(reply, (200, json!({ "users": [more], "total": 1 })));
        let reply = admin.get(&format!("{USERS}?name=fay&include=devices_count")).await;
        assert_eq!(reply.body["users"][0]["devices_count"], 1);
    }

    async fn roles_are_found_as_they_are_given(server: Server) {
        let admin = server.admin().await;
        people(&server, &admin).await;
        for (role, with, without) in [
            ("support", vec!["bob"], vec!["ann", "eve", "fay"]),
            ("auditor", vec![], vec!["ann", "eve", "fay"]),
        ] {
            let reply = admin.put("/_reeve/admin/v1/users/@bob:test/role", json!({ "role": role })).await;
            assert_eq!(reply.status, 200, "{}", reply.body);
            let names = |names: Vec<&str>| names.into_iter().map(str::to_owned).collect::<Vec<_>>();
            let total = i64::try_from(with.len()).unwrap();
            assert_eq!(found(&admin, "role=support").await, (names(with), total));
            assert_eq!(found(&admin, "role=").await, (names(without), 3));
        }
        assert_eq!(admin.get(&format!("{USERS}?role=auditor")).await.body["users"][0]["role"], "auditor");
        assert_eq!(admin.get(&format!("{USERS}?role=owner&name=admin")).await.body["users"][0]["role"], "owner");
    }

    async fn a_selection_is_exported(server: Server) {
        let admin = server.admin().await;
        people(&server, &admin).await;
        let reply = admin.put("/_synapse/admin/v2/users/@ann:test", json!({ "displayname": "Ann, \"the\" first" })).await;
        assert_eq!(reply.status, 200);
        let reply = admin.get(&format!("{USERS}/export?email=o&include=threepids")).await;
        assert_eq!(reply.header("content-type"), "text/csv; charset=utf-8; header=present");
        let text = String::from_utf8(reply.bytes.to_vec()).unwrap();
        let lines: Vec<&str> = text.split("\r\n").collect();
        assert_eq!(lines[0], "name,displayname,avatar_url,user_type,is_guest,admin,role,deactivated,erased,locked,suspended,\
                              shadow_banned,password_change_required,appservice_id,creation_ts,last_seen_ts,threepids");
        let begin = "@ann:test,\"Ann, \"\"the\"\" first\",,bot,false,false,,false,false,false,false,false,false,,";
        assert!(lines[1].starts_with(&format!("{begin}{START_MS},,\"[{{\"\"medium\"\":\"\"email\"\"")), "{}", lines[1]);
        assert!(lines[2].starts_with("@bob:test,bob,") && lines[3].is_empty() && lines.len() == 4, "{text}");
        // A name that begins like a formula is a text to a spreadsheet.
        let reply = admin.put("/_synapse/admin/v2/users/@bob:test", json!({ "displayname": "=1+1,2" })).await;
        assert_eq!(reply.status, 200);
        let reply = admin.get(&format!("{USERS}/export?name=bob")).await;
        let text = String::from_utf8(reply.bytes.to_vec()).unwrap();
        assert!(text.contains("\r\n@bob:test,\"'=1+1,2\",,"), "{text}");
        let reply = admin.get(&format!("{USERS}/export?format=jsonl&name=bob")).await;
        assert_eq!(serde_json::from_slice::<Value>(&reply.bytes).unwrap()["displayname"], "=1+1,2");
        let reply = admin.get(&format!("{USERS}/export?format=jsonl&locked=true")).await;
        assert_eq!(reply.header("content-type"), "application/x-ndjson");
        let text = String::from_utf8(reply.bytes.to_vec()).unwrap();
        let names = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()["name"].clone());
        let all = ["admin", "ann", "bob", "cy", "dot", "eve", "fay"].map(|name| json!(format!("@{name}:test")));
        assert_eq!(names.collect::<Vec<_>>(), all);
        assert_eq!(admin.get(&format!("{USERS}/export?format=jsonl&user_type=none")).await.bytes.len(), 0);
        // Few exports at a time; those that ended make room.
        let app = server.app();
        let permits: Vec<_> = std::iter::from_fn(|| app.selections.begin_export()).collect();
        assert_eq!(permits.len(), 2, "an export that ended has not made room");
        let refused = admin.get(&format!("{USERS}/export")).await;
        assert_eq!((refused.status, refused.text("errcode")), (429, "M_LIMIT_EXCEEDED"));
        drop(permits);
        assert_eq!(admin.get(&format!("{USERS}/export")).await.status, 200);
    }

    async fn totals_are_exact_after_a_restart(server: Server) {
        let mut server = server;
        let admin = server.admin().await;
        people(&server, &admin).await;
        let before = found(&admin, "has_devices=false").await;
        server.restart(|_| ()).await;
        let admin = server.again(&admin);
        assert_eq!(found(&admin, "has_devices=false").await, before);
        server.create("new", false).await;
        assert_eq!(found(&admin, "has_devices=false").await.1, before.1 + 1);
    }
}
