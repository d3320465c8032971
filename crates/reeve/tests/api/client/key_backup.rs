//! Backups of room keys: `/_matrix/client/v3/room_keys`.

use reeve_testkit::{Client, on_both_engines};
use serde_json::{Value, json};

use crate::rooms_kit::*;

const VERSION: &str = "/_matrix/client/v3/room_keys/version";
const ALGORITHM: &str = "m.megolm_backup.v1.curve25519-aes-sha2";

fn keys_path(rest: &str, version: &str) -> String {
    format!("{CS}/room_keys/keys{rest}?version={version}")
}

fn key(index: i64, forwarded: i64, verified: bool, data: &str) -> Value {
    json!({
        "first_message_index": index, "forwarded_count": forwarded, "is_verified": verified,
        "session_data": { "ciphertext": data },
    })
}

async fn begin(client: &Client) -> String {
    let body = json!({ "algorithm": ALGORITHM, "auth_data": { "public_key": "abc" } });
    at(&ok(client.post(VERSION, body).await), "/version").to_owned()
}

fn info(version: &str, count: i64, etag: &str) -> Value {
    json!({ "version": version, "algorithm": ALGORITHM, "auth_data": { "public_key": "abc" }, "count": count, "etag": etag })
}

on_both_engines! {
    async fn versions(server: Server) {
        let (alice, bob) = (server.user("alice").await, server.user("bob").await);
        assert_eq!(alice.get(VERSION).await.refusal(), (404, "M_NOT_FOUND", "No current backup version"));
        let unknown = (404, "M_NOT_FOUND", "Unknown backup version");
        for version in ["1", "x", "-1"] {
            assert_eq!(alice.get(&format!("{VERSION}/{version}")).await.refusal(), unknown);
            assert_eq!(alice.delete(&format!("{VERSION}/{version}")).await.refusal(), unknown);
        }
        assert_eq!((begin(&alice).await, begin(&alice).await), ("1".to_owned(), "2".to_owned()));
        assert_eq!(alice.get(VERSION).await, (200, info("2", 0, "0")));
        assert_eq!(alice.get(&format!("{VERSION}/1")).await, (200, info("1", 0, "0")));
        assert_eq!(bob.get(&format!("{VERSION}/1")).await.refusal(), unknown);
        // Another algorithm is another backup.
        let path = format!("{VERSION}/2");
        let body = |algorithm: &str, version: Value| json!({ "algorithm": algorithm, "auth_data": { "public_key": "new" }, "version": version });
        for (body, expected) in [
            (body("other", Value::Null), "M_INVALID_PARAM"), (body(ALGORITHM, json!("1")), "M_INVALID_PARAM"),
            (body(ALGORITHM, json!(2)), "M_BAD_JSON"), (json!({ "algorithm": ALGORITHM }), "M_MISSING_PARAM"),
            (json!({ "algorithm": ALGORITHM, "auth_data": 1 }), "M_BAD_JSON"),
        ] {
            assert_eq!(code(&alice.put(&path, body.clone()).await), (400, expected), "{body}");
        }
        assert_eq!(alice.put(&format!("{VERSION}/3"), body(ALGORITHM, Value::Null)).await.refusal(), unknown);
        assert_eq!(alice.put(&path, body(ALGORITHM, json!("2"))).await, (200, json!({})));
        assert_eq!(alice.get(VERSION).await.body["auth_data"], json!({ "public_key": "new" }));
        // Deleting twice is allowed; the version is not reused.
        for _ in 0..2 {
            assert_eq!(alice.delete(&path).await, (200, json!({})));
        }
        assert_eq!(alice.get(&path).await.refusal(), unknown);
        assert_eq!(alice.get(VERSION).await, (200, info("1", 0, "0")));
        assert_eq!(begin(&alice).await, "3");
        for body in [json!({ "algorithm": ALGORITHM }), json!({ "auth_data": {} })] {
            assert_eq!(code(&alice.post(VERSION, body).await), (400, "M_MISSING_PARAM"));
        }
    }

    async fn keys_in_and_out(server: Server) {
        let alice = server.user("alice").await;
        begin(&alice).await;
        let body = json!({ "rooms": {
            "!a:test": { "sessions": { "one": key(0, 0, true, "a1"), "two/2": key(1, 0, false, "a2") } },
            "!b:test": { "sessions": { "one": key(2, 0, false, "b1") } },
        } });
        let extent = |count: i64, etag: &str| json!({ "count": count, "etag": etag });
        assert_eq!(alice.put(&keys_path("", "1"), body.clone()).await, (200, extent(3, "1")));
        assert_eq!(alice.get(&keys_path("", "1")).await, (200, body.clone()));
        assert_eq!(alice.get(&keys_path("/!a:test", "1")).await, (200, body["rooms"]["!a:test"].clone()));
        assert_eq!(alice.get(&keys_path("/!a:test/two%2F2", "1")).await, (200, key(1, 0, false, "a2")));
        assert_eq!(alice.get(&keys_path("/!c:test", "1")).await, (200, json!({ "sessions": {} })));
        let missing = (404, "M_NOT_FOUND", "Key not found.");
        assert_eq!(alice.get(&keys_path("/!a:test/three", "1")).await.refusal(), missing);
        assert_eq!(alice.get(VERSION).await, (200, info("1", 3, "1")));
        // The same again changes nothing.
        assert_eq!(alice.put(&keys_path("", "1"), body).await, (200, extent(3, "1")));
        let more = json!({ "sessions": { "three": key(0, 0, false, "a3") } });
        assert_eq!(alice.put(&keys_path("/!a:test", "1"), more).await, (200, extent(4, "2")));
        assert_eq!(alice.put(&keys_path("/!b:test/two", "1"), key(0, 0, false, "b2")).await, (200, extent(5, "3")));
        assert_eq!(alice.delete(&keys_path("/!b:test/two", "1")).await, (200, extent(4, "4")));
        assert_eq!(alice.delete(&keys_path("/!b:test/two", "1")).await, (200, extent(4, "4")));
        assert_eq!(alice.delete(&keys_path("/!a:test", "1")).await, (200, extent(1, "5")));
        assert_eq!(alice.delete(&keys_path("", "1")).await, (200, extent(0, "6")));
        assert_eq!(alice.get(&keys_path("", "1")).await, (200, json!({ "rooms": {} })));
    }

    async fn better_keys_take_the_place_of_worse(server: Server) {
        let alice = server.user("alice").await;
        begin(&alice).await;
        let path = keys_path("/!a:test/one", "1");
        // Each with whether it is stored, and the etag afterwards.
        for (index, forwarded, verified, stored, etag) in [
            (5, 5, false, true, "1"),
            (5, 5, false, false, "1"),
            (5, 6, false, false, "1"),
            (5, 4, false, true, "2"),
            (6, 0, false, false, "2"),
            (4, 9, false, true, "3"),
            (9, 9, true, true, "4"),
            (0, 0, false, false, "4"),
            (9, 8, true, true, "5"),
        ] {
            let new = key(index, forwarded, verified, &format!("{index} {forwarded} {verified}"));
            let what = new.to_string();
            assert_eq!(alice.put(&path, new.clone()).await, (200, json!({ "count": 1, "etag": etag })), "{what}");
            let kept = ok(alice.get(&path).await);
            assert!(!stored || kept == new, "{what}: {kept}");
        }
        assert_eq!(ok(alice.get(&path).await), key(9, 8, true, "9 8 true"));
    }

    async fn only_the_newest_gets_keys(server: Server) {
        let alice = server.user("alice").await;
        let unknown = (404, "M_NOT_FOUND", "Unknown backup version");
        let one = key(0, 0, false, "x");
        let put = async |version: &str| alice.put(&keys_path("/!a:test/one", version), one.clone()).await;
        assert_eq!(put("1").await.refusal(), unknown);
        begin(&alice).await;
        ok(put("1").await);
        begin(&alice).await;
        let wrong = json!({ "errcode": "M_WRONG_ROOM_KEYS_VERSION", "error": "Wrong backup version.", "current_version": "2" });
        assert_eq!(put("1").await, (403, wrong.clone()));
        assert_eq!(put("3").await.refusal(), unknown);
        // The old one can still be read, and deleted.
        assert_eq!(ok(alice.get(&keys_path("/!a:test/one", "1")).await), one);
        ok(alice.delete(&format!("{VERSION}/1")).await);
        assert_eq!(put("1").await, (403, wrong));
        assert_eq!(alice.get(&keys_path("", "1")).await.refusal(), unknown);
        assert_eq!(alice.delete(&keys_path("", "1")).await.refusal(), unknown);
        for (path, body, expected) in [
            (format!("{CS}/room_keys/keys"), json!({ "rooms": {} }), "M_MISSING_PARAM"),
            (keys_path("", "2"), json!({}), "M_BAD_JSON"),
            (keys_path("", "2"), json!({ "rooms": { "!a:test": {} } }), "M_BAD_JSON"),
            (keys_path("/!a:test", "2"), json!({ "sessions": [] }), "M_BAD_JSON"),
            (keys_path("/!a:test/one", "2"), json!({}), "M_BAD_JSON"),
            (keys_path("/!a:test/one", "2"), key(-1, 0, true, "x"), "M_BAD_JSON"),
            (keys_path("/!a:test", "2"), json!({ "sessions": { "one": one, "two": key(0, -1, true, "x") } }), "M_BAD_JSON"),
        ] {
            assert_eq!(code(&alice.put(&path, body.clone()).await), (400, expected), "{path} {body}");
        }
        assert_eq!(alice.get(VERSION).await, (200, info("2", 0, "0")));
    }

    async fn they_go_with_the_account(server: Server) {
        let (admin, alice) = (server.admin().await, server.user("alice").await);
        begin(&alice).await;
        ok(alice.put(&keys_path("/!a:test/one", "1"), key(0, 0, false, "x")).await);
        ok(admin.post("/_synapse/admin/v1/deactivate/@alice:test", json!({ "erase": true })).await);
        let body = json!({ "deactivated": false, "password": "again" });
        ok(admin.put("/_synapse/admin/v2/users/@alice:test", body).await);
        let alice = server.log_in("alice", "again").await;
        assert_eq!(code(&alice.get(VERSION).await), (404, "M_NOT_FOUND"));
        // The keys themselves are deleted in batches.
        for more in [true, false] {
            assert_eq!(server.app().db.write(reeve_accounts::key_backup::clear).await.unwrap(), more);
        }
        let num = server.app().db.read(|tx| reeve_store::users::num(tx, "@alice:test")).await.unwrap().unwrap();
        let which = reeve_store::key_backups::Which::All;
        let kept = server.app().db.read(move |tx| reeve_store::key_backups::keys(tx, num, 1, &which)).await.unwrap();
        assert_eq!(kept, []);
        assert_eq!(begin(&alice).await, "2");
    }

    async fn all_keys_go_at_once_and_their_rows_bit_by_bit(server: Server) {
        let alice = server.user("alice").await;
        begin(&alice).await;
        let (one, two) = (key(0, 0, false, "x"), key(0, 0, false, "y"));
        ok(alice.put(&keys_path("/!a:test/one", "1"), one.clone()).await);
        ok(alice.put(&keys_path("/!a:test/two", "1"), one.clone()).await);
        assert_eq!(alice.delete(&keys_path("", "1")).await, (200, json!({ "count": 0, "etag": "3" })));
        assert_eq!(alice.delete(&keys_path("", "1")).await, (200, json!({ "count": 0, "etag": "3" })));
        assert_eq!(alice.get(&keys_path("", "1")).await, (200, json!({ "rooms": {} })));
        let added = alice.put(&keys_path("/!a:test/two", "1"), two.clone()).await;
        assert_eq!(added, (200, json!({ "count": 1, "etag": "4" })));
        for more in [true, false] {
            assert_eq!(server.app().db.write(reeve_accounts::key_backup::clear).await.unwrap(), more);
            assert_eq!(ok(alice.get(&keys_path("/!a:test/two", "1")).await), two);
        }
        let num = server.app().db.read(|tx| reeve_store::users::num(tx, "@alice:test")).await.unwrap().unwrap();
        let which = reeve_store::key_backups::Which::All;
        let kept = server.app().db.read(move |tx| reeve_store::key_backups::keys(tx, num, 1, &which)).await.unwrap();
        assert_eq!(kept, []);
    }
}
