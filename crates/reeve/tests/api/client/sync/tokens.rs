//! Invalid positions and parameters, and accounts in every state.

use reeve_testkit::on_both_engines;
use serde_json::json;

use crate::rooms_kit::*;
use crate::sync_kit::*;

on_both_engines! {
    async fn what_is_refused(server: Server) {
        let alice = server.user("alice").await;
        for query in [
            "since=nonsense", "since=s", "since=-1", "since=%C3%A9", "timeout=soon", "timeout=-1", "timeout=1.5",
            "full_state=maybe", "set_presence=dancing",
        ] {
            let reply = alice.get(&format!("{CS}/sync?timeout=0&{query}")).await;
            let reply = if query.starts_with("timeout") { alice.get(&format!("{CS}/sync?{query}")).await } else { reply };
            assert_eq!(reply.status, 400, "{query}: {}", reply.body);
            assert!(!reply.text("errcode").is_empty(), "{query}: {}", reply.body);
        }
        assert_eq!(server.stranger().get(&format!("{CS}/sync")).await.refusal().1, "M_MISSING_TOKEN");
        let nobody = server.with_token("nobody").get(&format!("{CS}/sync")).await;
        assert_eq!((nobody.refusal().1, &nobody.body["soft_logout"]), ("M_UNKNOWN_TOKEN", &json!(false)));
    }

    async fn the_old_path_works(server: Server) {
        let alice = server.user("alice").await;
        let room = create_public(&alice).await;
        let came = ok(alice.get("/_matrix/client/r0/sync?timeout=0").await);
        assert_eq!(rooms_in(&came, "join"), [room]);
    }

    async fn accounts_in_every_state(server: Server) {
        let (admin, alice, bob) = (server.admin().await, server.user("alice").await, server.user("bob").await);
        let room = create_public(&alice).await;
        join(&bob, &room).await;
        let since = now(&bob).await;
        say(&alice, &room, "m").await;
        let path = format!("{CS}/sync?timeout=0&since={}", enc(&since));
        let heard = |reply: reeve_testkit::Reply| assert_eq!(bodies(timeline(&ok(reply), &room)), ["m"]);
        ok(admin.put("/_synapse/admin/v1/suspend/@bob:test", json!({ "suspend": true })).await);
        heard(bob.get(&path).await);
        ok(admin.post("/_synapse/admin/v1/users/@bob:test/shadow_ban", json!({})).await);
        heard(bob.get(&path).await);
        // A login-as token sees what the account sees.
        let login = ok(admin.post("/_synapse/admin/v1/users/@bob:test/login", json!({})).await);
        let puppet = server.with_token(at(&login, "/access_token"));
        heard(puppet.get(&path).await);
        heard(puppet.get(&path).await);
        ok(admin.put("/_synapse/admin/v2/users/@bob:test", json!({ "locked": true })).await);
        for client in [&bob, &puppet] {
            let reply = client.get(&path).await;
            assert_eq!(reply.refusal(), (401, "M_USER_LOCKED", "User account has been locked"));
            assert_eq!(reply.body["soft_logout"], true);
        }
        ok(admin.put("/_synapse/admin/v2/users/@bob:test", json!({ "locked": false })).await);
        heard(bob.get(&path).await);
        ok(admin.post("/_synapse/admin/v1/deactivate/@bob:test", json!({})).await);
        assert_eq!(bob.get(&path).await.refusal().1, "M_UNKNOWN_TOKEN");
    }

    async fn who_waits_is_not_let_in_after_a_lock(server: Server) {
        let (admin, alice, bob) = (server.admin().await, server.user("alice").await, server.user("bob").await);
        let room = create_public(&alice).await;
        join(&bob, &room).await;
        let since = now(&bob).await;
        let path = format!("{CS}/sync?timeout=1500&since={}", enc(&since));
        let (reply, ()) = tokio::join!(bob.get(&path), async {
            ok(bob.get(&format!("{CS}/account/whoami")).await);
            ok(admin.put("/_synapse/admin/v2/users/@bob:test", json!({ "locked": true })).await);
            say(&alice, &room, "said after").await;
        });
        // The next poll is refused, even if the poll before began before the lock.
        assert!(reply.status == 200 || reply.status == 401, "{}", reply.body);
        assert_eq!(bob.get(&path).await.refusal().1, "M_USER_LOCKED");
    }
}
