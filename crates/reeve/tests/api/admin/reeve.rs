//! Reeve's own administration API and monitoring: audit log, jobs, health, metrics, documentation.

use std::collections::{BTreeMap, HashSet};

use http::Method;
use reeve_app::Content;
use reeve_db::{DbError, params, statements};
use reeve_model::{Actor, Millis};
use reeve_store::jobs::{self, NewJob};
use reeve_testkit::{Client, Config, Contract, Engine, Reply, START, START_MS, Server, on_both_engines};
use serde_json::{Value, json};

const AUDIT: &str = "/_reeve/admin/v1/audit";
const JOBS: &str = "/_reeve/admin/v1/jobs";

statements! {
    REFUSE_WRITES = {
        sqlite: "PRAGMA query_only = 1",
        postgres: "SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY",
    };
    NONCES = "SELECT COUNT(*) FROM registration_nonces";
}

/// All writes go through one connection, whose state a test can change.
fn one_connection(config: &mut Config) {
    config.database_options.connections = 1;
}

fn invalid(error: &str) -> (u16, Value) {
    (400, json!({ "errcode": "M_INVALID_PARAM", "error": error }))
}

/// Follows a list page by page to its end; what `key` is in each entry.
async fn pages(admin: &Client, path: &str, list: &str, key: &str) -> Vec<Vec<String>> {
    let mut pages = Vec::new();
    let mut from = String::new();
    loop {
        let page = admin.get(&format!("{path}{from}")).await;
        assert_eq!(page.status, 200, "{path}{from}: {}", page.body);
        let entries = page.body[list].as_array().unwrap();
        pages.push(entries.iter().map(|entry| entry[key].to_string()).collect());
        let Some(token) = page.body.get("next_token") else { return pages };
        from = format!("&from={}", token.as_str().unwrap());
        assert!(pages.len() < 100, "the list has no end");
    }
}

/// Queues jobs that no worker claims, since they are due in a thousand years.
async fn queue(server: &Server, jobs: &'static [(&'static str, &'static str, &'static str, i64)]) {
    server
        .app()
        .db
        .write(move |tx| -> Result<(), DbError> {
            for (id, kind, subject, ts) in jobs {
                let job = NewJob { id, kind, subject, payload: "{\"secret\":1}", total: 5 };
                jobs::insert(tx, job, START.plus(1000 * 365 * 24 * 3_600_000 + ts))?;
            }
            Ok(())
        })
        .await
        .unwrap();
}

/// Which of the entries a filter lets through.
type Wanted = fn(i64) -> bool;

/// Makes a response invalid.
type Break = fn(&mut Reply);

on_both_engines! {
    async fn the_audit_log_tells_who_did_what(server: Server) {
        let admin = server.admin().await;
        assert_eq!(admin.get(AUDIT).await, (200, json!({ "entries": [] })));
        let put = |body: Value| {
            let admin = admin.clone();
            async move { admin.put("/_synapse/admin/v2/users/@u:test", body).await }
        };
        let created = put(json!({ "password": "secret" })).await;
        server.clock.advance(1);
        // Nothing changes, nothing is written down; neither is what is refused.
        put(json!({ "displayname": "u" })).await;
        put(json!({ "admin": true, "displayname": 1 })).await;
        let locked = put(json!({ "locked": true })).await;
        let log = admin.get(AUDIT).await;
        let ids: Vec<i64> = log.body["entries"].as_array().unwrap().iter().map(|entry| entry["id"].as_i64().unwrap()).collect();
        assert_eq!(ids.len(), 2, "{}", log.body);
        assert!(ids[0] > ids[1]);
        assert_eq!(log, (200, json!({ "entries": [
            {
                "id": ids[0], "ts": START_MS + 1, "actor_kind": "user", "actor": "@admin:test", "ip": "127.0.0.1",
                "request_id": locked.header("x-request-id"), "action": "user.update", "target": "@u:test",
                "changes": { "locked": true },
            },
            {
                "id": ids[1], "ts": START_MS, "actor_kind": "user", "actor": "@admin:test", "ip": "127.0.0.1",
                "request_id": created.header("x-request-id"), "action": "user.create", "target": "@u:test",
                "changes": { "admin": false, "user_type": null, "displayname": "u", "locked": false, "deactivated": false },
            },
        ] })));
        // The actor of a login-as token is the administrator.
        admin.put("/_synapse/admin/v2/users/@boss:test", json!({ "admin": true })).await;
        let login = admin.post("/_synapse/admin/v1/users/@boss:test/login", json!({})).await;
        let puppet = server.with_token(login.text("access_token"));
        assert_eq!(puppet.post("/_synapse/admin/v1/users/@u:test/shadow_ban", json!({})).await.status, 200);
        let newest = admin.get(&format!("{AUDIT}?limit=1")).await.body;
        assert_eq!((&newest["entries"][0]["action"], &newest["entries"][0]["actor"]), (&json!("user.shadow_ban"), &json!("@admin:test")));
    }

    async fn the_audit_log_by_filters_and_pages(server: Server) {
        let admin = server.admin().await;
        // Three actors, four actions, five targets, and three entries in each millisecond.
        server.app().db.write(|tx| -> Result<(), DbError> {
            for n in 0..60_i64 {
                let (actor, action, target) = (Actor::User(format!("@a{}:x", n % 3).into()), format!("act.{}", n % 4), format!("t{}", n % 5));
                reeve_store::audit::insert(tx, &reeve_store::audit::NewEntry {
                    ts: Millis::new(n / 3), actor: &actor, ip: None, request_id: "r", action: &action, target: &target,
                    changes: &json!({ "n": n }).to_string(),
                })?;
            }
            Ok(())
        }).await.unwrap();
        let cases: [(&str, Wanted); 11] = [
            ("", |_| true),
            ("actor=@a1:x", |n| n % 3 == 1),
            ("target=t2", |n| n % 5 == 2),
            ("action=act.3", |n| n % 4 == 3),
            ("actor=@a1:x&target=t2", |n| n % 3 == 1 && n % 5 == 2),
            ("actor=@a1:x&target=t2&action=act.1", |n| n % 3 == 1 && n % 5 == 2 && n % 4 == 1),
            ("from_ts=5", |n| n / 3 >= 5),
            ("until_ts=5", |n| n / 3 < 5),
            ("from_ts=5&until_ts=7&actor=@a0:x", |n| (5..7).contains(&(n / 3)) && n % 3 == 0),
            ("actor=nobody", |_| false),
            ("from_ts=7&until_ts=7", |_| false),
        ];
        for (filter, wanted) in cases {
            let expected: Vec<String> = (0..60).rev().filter(|n| wanted(*n)).map(|n| json!({ "n": n }).to_string()).collect();
            for limit in [1, 7, 1000] {
                let pages = pages(&admin, &format!("{AUDIT}?{filter}&limit={limit}"), "entries", "changes").await;
                let (last, full) = pages.split_last().unwrap();
                assert!(full.iter().all(|page| page.len() == limit), "{filter} {limit}");
                assert!(!last.is_empty() || expected.is_empty(), "{filter} {limit}: a page too many");
                assert_eq!(pages.concat(), expected, "{filter} {limit}");
            }
        }
        // Out of bounds the limit is the nearest that is allowed.
        assert_eq!(admin.get(&format!("{AUDIT}?limit=0")).await.body["entries"].as_array().unwrap().len(), 1);
        assert_eq!(admin.get(&format!("{AUDIT}?limit=5000")).await.body["entries"].as_array().unwrap().len(), 60);
        for bad in ["x", "_", "1", "1_x", "x_1", "1_1_1", "1_9223372036854775808"] {
            let expected = invalid("Query parameter 'from' must be a next_token of this list");
            assert_eq!(admin.get(&format!("{AUDIT}?from={bad}")).await, expected, "{bad}");
        }
        for name in ["from_ts", "until_ts", "limit"] {
            let integer = invalid(&format!("Query parameter {name} must be an integer"));
            assert_eq!(admin.get(&format!("{AUDIT}?{name}=x")).await, integer);
            let positive = invalid(&format!("Query parameter {name} must be a positive integer."));
            assert_eq!(admin.get(&format!("{AUDIT}?{name}=-1")).await, positive);
        }
    }

    async fn audit_pages_stay_in_step_while_the_log_grows(server: Server) {
        let admin = server.admin().await;
        for n in 0..4 {
            admin.put(&format!("/_synapse/admin/v2/users/@u{n}:test"), json!({})).await;
        }
        let first = admin.get(&format!("{AUDIT}?limit=2")).await.body;
        admin.put("/_synapse/admin/v2/users/@later:test", json!({})).await;
        let second = admin.get(&format!("{AUDIT}?limit=2&from={}", first["next_token"].as_str().unwrap())).await.body;
        let targets: Vec<&Value> =
            [&first, &second].iter().flat_map(|page| page["entries"].as_array().unwrap()).map(|entry| &entry["target"]).collect();
        assert_eq!(targets, ["@u3:test", "@u2:test", "@u1:test", "@u0:test"]);
        assert_eq!(second.get("next_token"), None);
    }

    async fn a_job_can_be_watched(server: Server) {
        let (admin, alice) = (server.admin().await, server.user("alice").await);
        assert_eq!(admin.get(JOBS).await, (200, json!({ "jobs": [] })));
        alice.put("/_matrix/client/v3/user/@alice:test/account_data/x", json!({})).await;
        admin.post("/_synapse/admin/v1/deactivate/@alice:test", json!({})).await;
        let list = admin.get(&format!("{JOBS}?subject=@alice:test")).await;
        let id = list.body["jobs"][0]["id"].as_str().unwrap().to_owned();
        let job = json!({
            "id": id, "kind": "deactivate_user", "subject": "@alice:test", "state": "complete", "done": 1, "total": 1,
            "result": { "rooms_left": 0, "rooms_failed": [], "account_data": 1 }, "error": null, "attempts": 0, "run_after_ts": START_MS,
            "created_ts": START_MS, "updated_ts": START_MS,
        });
        assert_eq!(list, (200, json!({ "jobs": [job] })));
        assert_eq!(admin.get(&format!("{JOBS}/{id}")).await, (200, job));
        for unknown in ["NOPE", "", "%F0%9F%A6%80"] {
            let reply = admin.get(&format!("{JOBS}/{unknown}")).await;
            assert_eq!(reply, (404, json!({ "errcode": "M_NOT_FOUND", "error": "Job not found" })), "{unknown}");
        }
    }

    async fn jobs_by_filters_and_pages(server: Server) {
        let admin = server.admin().await;
        queue(&server, &[
            ("a", "one", "@x:test", 1), ("b", "two", "@x:test", 1), ("c", "one", "@y:test", 1), ("d", "two", "@y:test", 2),
            ("e", "one", "@x:test", 3), ("f", "one", "@x:test", 3),
        ]).await;
        server.app().db.write(|tx| reeve_store::jobs::fail(tx, "e", "broken", 1, START)).await.unwrap();
        for (filter, expected) in [
            ("", "fedcba"),
            ("kind=one", "feca"),
            ("kind=", "fedcba"),
            ("subject=@x:test", "feba"),
            ("subject=@x:test&kind=two", "b"),
            ("state=failed", "e"),
            ("state=scheduled&subject=@x:test", "fba"),
            ("state=cancelled", ""),
            ("subject=@nobody:test", ""),
        ] {
            let expected: Vec<String> = expected.chars().map(|id| format!("\"{id}\"")).collect();
            for limit in [1, 2, 6, 1000] {
                let pages = pages(&admin, &format!("{JOBS}?{filter}&limit={limit}"), "jobs", "id").await;
                assert_eq!(pages.concat(), expected, "{filter} {limit}");
                assert_eq!(pages.len(), expected.len().div_ceil(limit).max(1), "{filter} {limit}");
            }
        }
        let failed = admin.get(&format!("{JOBS}/e")).await.body;
        assert_eq!((&failed["state"], &failed["error"], &failed["attempts"]), (&json!("failed"), &json!("broken"), &json!(1)));
        assert!(!failed.to_string().contains("secret"), "the payload is not shown");
        let choices = "Query parameter 'state' must be one of ['scheduled', 'active', 'paused', 'complete', 'failed', 'cancelled']";
        for bad in ["", "done", "Failed"] {
            assert_eq!(admin.get(&format!("{JOBS}?state={bad}")).await, invalid(choices), "{bad}");
        }
        for bad in ["x", "1", "x_a"] {
            let expected = invalid("Query parameter 'from' must be a next_token of this list");
            assert_eq!(admin.get(&format!("{JOBS}?from={bad}")).await, expected, "{bad}");
        }
    }

    async fn health(server: Server) {
        let stranger = server.stranger();
        assert_eq!(stranger.get("/health").await, (200, json!({ "status": "ok" })));
        server.app().db.close().await;
        let unavailable = json!({ "errcode": "M_UNKNOWN", "error": "The database is not available" });
        assert_eq!(stranger.get("/health").await, (503, unavailable));
        // The metrics are there when the database is not.
        let metrics = stranger.get("/metrics").await;
        assert_eq!(metrics.status, 200);
        assert!(metrics.body.as_str().unwrap().contains("status=\"503\""), "{}", metrics.body);
    }

    #[config(one_connection)]
    async fn health_tells_of_writes(server: Server) {
        let stranger = server.stranger();
        let ok = (200, json!({ "status": "ok" }));
        let mut server = server;
        assert_eq!(stranger.get("/health").await, ok);
        let refuse = server.app().db.write(|tx| -> Result<_, DbError> { tx.execute(&REFUSE_WRITES, &params![]) });
        refuse.await.unwrap();
        // The last result is reused for a while.
        assert_eq!(stranger.get("/health").await, ok);
        server.clock.advance(5_000);
        let refused = stranger.get("/health").await;
        let why = match server.engine() {
            Engine::Sqlite => "attempt to write a readonly database",
            Engine::Postgres => "database fault: 25006: cannot execute INSERT in a read-only transaction",
        };
        let error = format!("The database takes no writes: {why}");
        assert_eq!(refused, (503, json!({ "errcode": "M_UNKNOWN", "error": error })));
        // With a connection that accepts writes again.
        server.restart(|_| ()).await;
        let stranger = server.stranger();
        assert_eq!(stranger.get("/health").await, ok);
        // Concurrent requests share one write. It leaves nothing behind.
        server.clock.advance(5_000);
        let writes = || async {
            let text = stranger.get("/metrics").await.body.as_str().unwrap().to_owned();
            let count = "reeve_db_run_seconds_count{kind=\"write\"} ";
            text.lines().find_map(|line| line.strip_prefix(count)).unwrap().parse::<u32>().unwrap()
        };
        let before = writes().await;
        let many = futures_util::future::join_all((0..50).map(|_| stranger.get("/health"))).await;
        assert!(many.iter().all(|reply| *reply == ok));
        // Housekeeping may write meanwhile.
        assert!(writes().await - before < 20);
        let nonces = server.app().db.read(|tx| tx.query_one(&NONCES, &params![], |row| row.get::<i64>(0)));
        assert_eq!(nonces.await, Ok(0));
    }

    async fn metrics(server: Server) {
        let admin = server.admin().await;
        admin.get("/_synapse/admin/v2/users/@admin:test").await;
        queue(&server, &[("a", "one", "@x:test", 1)]).await;
        let reply = server.stranger().get("/metrics").await;
        assert_eq!(reply.status, 200);
        assert_eq!(reply.header("content-type"), "application/openmetrics-text; version=1.0.0; charset=utf-8");
        let text = reply.body.as_str().unwrap();
        assert!(text.ends_with("# EOF\n"));
        for line in [
            "reeve_http_requests_total{method=\"GET\",route=\"/_synapse/admin/v2/users/{user_id}\",status=\"200\"} 1",
            "reeve_http_requests_in_flight 1",
            "reeve_jobs{kind=\"one\",state=\"scheduled\"} 1",
            "reeve_password_hashing_waiting 0",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
        }
        assert!(text.contains("reeve_db_commits_total "), "{text}");
        assert!(text.contains("reeve_seen_waiting "), "{text}");
        assert!(!text.contains("@admin:test"), "no path as sent is in the metrics");
    }

    async fn documentation(server: Server) {
        let reply = server.stranger().get("/_reeve/openapi.json").await;
        assert_eq!(reply.status, 200);
        assert_eq!(reply.header("content-type"), "application/json");
        assert_eq!(reply.body["openapi"], "3.1.0");
        let paths = reply.body["paths"].as_object().unwrap();
        let documented: HashSet<(String, String)> = paths
            .iter()
            .flat_map(|(path, operations)| operations.as_object().unwrap().keys().map(|method| (method.clone(), path.clone())))
            .collect();
        let served: HashSet<(String, String)> = reeve::server::routes()
            .iter()
            .flat_map(|route| route.paths.iter().map(|path| (route.method.as_str().to_lowercase(), path.clone())))
            .collect();
        assert_eq!(documented, served);
        // Every reference leads somewhere.
        let text = reply.body.to_string();
        let schemas = reply.body["components"]["schemas"].as_object().unwrap();
        for reference in text.split("\"#/components/schemas/").skip(1) {
            let name = reference.split('"').next().unwrap();
            assert!(schemas.contains_key(name), "{name} is not described");
        }
        // No two types share a name.
        let mut types: BTreeMap<String, Value> = BTreeMap::new();
        for route in reeve::server::routes() {
            let bodies = route.doc.successes.iter().map(|success| &success.content);
            let bodies = bodies.chain(route.doc.request.as_ref().map(|request| &request.content));
            let named = bodies.filter_map(|content| match content {
                Content::Json(name, schema) | Content::Form(name, schema) => Some((name.clone(), (**schema).clone())),
                Content::Text(_) | Content::Bytes | Content::Nothing => None,
            });
            for (name, schema) in named.chain(route.doc.schemas.iter().cloned()) {
                let schema = json!(schema);
                let before = types.insert(name.clone(), schema.clone());
                assert!(before.is_none_or(|before| before == schema), "two types are called {name}");
            }
        }
    }

    async fn every_operation_is_documented(server: Server) {
        let document = server.stranger().get("/_reeve/openapi.json").await.body;
        let mut ids = HashSet::new();
        for (path, operations) in document["paths"].as_object().unwrap() {
            for (method, operation) in operations.as_object().unwrap() {
                let what = format!("{method} {path}");
                let id = operation["operationId"].as_str().unwrap();
                let is_name = id.starts_with(|c: char| c.is_ascii_lowercase()) && id.chars().all(|c| c.is_ascii_alphanumeric());
                assert!(is_name, "{what}: '{id}' is not a name in camel case: say `.id(\"…\")` in the route");
                assert!(ids.insert(id.to_owned()), "{what}: another operation is called {id}");
                assert!(!operation["summary"].as_str().unwrap().is_empty(), "{what} has no summary");
                for parameter in operation["parameters"].as_array().unwrap() {
                    let name = &parameter["name"];
                    assert!(!parameter["description"].as_str().unwrap().is_empty(), "{what}: {name} is not described");
                }
                let responses = operation["responses"].as_object().unwrap();
                let succeeds = responses.keys().any(|status| status.starts_with(['2', '3']));
                let never = responses.values().any(|response| response["description"].as_str().unwrap().contains("always"));
                assert!(succeeds || never, "{what}: no answer on success: say `.returns::<T>(200)` in the route");
            }
        }
    }

    async fn every_example_is_of_its_schema(server: Server) {
        let document = server.stranger().get("/_reeve/openapi.json").await.body;
        let contract = Contract::new(&document);
        let mut seen = 0;
        for operation in document["paths"].as_object().unwrap().values().flat_map(|operations| operations.as_object().unwrap().values()) {
            let bodies = operation["responses"].as_object().unwrap().values().chain(operation.get("requestBody"));
            for body in bodies.filter_map(|body| body["content"].as_object()?.iter().find(|(kind, _)| kind.ends_with("json")).map(|(_, body)| body)) {
                if let Err(wrong) = contract.check_schema(&body["schema"], &body["example"]) {
                    panic!("{}: {wrong}: {}", operation["operationId"], body["example"]);
                }
                seen += 1;
            }
        }
        assert!(seen > 500, "{seen} examples");
    }

    async fn what_breaks_the_document_is_noticed(server: Server) {
        let path = "/_synapse/admin/v2/users";
        let good = server.admin().await.get(path).await;
        let check = |change: fn(&mut Reply)| {
            let mut reply = good.clone();
            change(&mut reply);
            Contract::get().check(&Method::GET, path, &reply).err().unwrap_or_default()
        };
        assert_eq!(check(|_| {}), "");
        assert_eq!(good.body["users"][0].get("user_type"), Some(&Value::Null));
        let breaks: [(Break, &str); 8] = [
            (|reply| reply.status = 418, "does not know this status"),
            (|reply| { reply.body["users"][0].as_object_mut().unwrap().shift_remove("user_type"); }, "\"user_type\" is a required property"),
            (|reply| reply.body["users"][0]["locked"] = json!("no"), "is not of type \"boolean\""),
            (|reply| reply.body["users"][0]["creation_ts"] = Value::Null, "is not of type \"integer\""),
            (|reply| reply.body["next_token"] = Value::Null, "is not of type \"string\""),
            (|reply| reply.body["more"] = json!(1), "'more' was unexpected"),
            (|reply| { reply.headers.remove("content-type"); }, "not JSON"),
            (
                |reply| {
                    reply.status = 403;
                    reply.body = json!({ "errcode": "M_OTHER", "error": "" });
                },
                "\"M_OTHER\" is not one of",
            ),
        ];
        for (change, complaint) in breaks {
            let wrong = check(change);
            assert!(wrong.contains(complaint), "{complaint}: {wrong}");
        }
    }

    async fn server_version(server: Server) {
        let version = concat!("1.163.2 (Reeve ", env!("CARGO_PKG_VERSION"), ")");
        for client in [server.stranger(), server.with_token("nobody")] {
            let reply = client.get("/_synapse/admin/v1/server_version").await;
            assert_eq!(reply, (200, json!({ "server_version": version })));
        }
    }
}
