//! Deletion of uploads: a page of an account's, one, and unused ones.

use reeve_testkit::{START_MS, on_both_engines};
use serde_json::json;

use super::{delete, deleted, download, error, info, media, of_user, several, without_bin};
use crate::client::media::{not_found, objects, upload};

const UNUSED: &str = "/_synapse/admin/v1/media/delete";

on_both_engines! {
    #[config(without_bin)]
    async fn a_page(server: Server) {
        let (admin, alice) = (server.admin().await, server.user("alice").await);
        let ids = several(&server, &alice, 6).await;
        let kept = several(&server, &server.user("bob").await, 1).await;
        for (what, id) in [("protect", ids[5].clone()), ("quarantine/test", ids[4].clone())] {
            assert_eq!(admin.post(&media(&format!("{what}/{id}")), json!({})).await, (200, json!({})));
        }
        assert_eq!(objects(&server).await, 7);
        // The oldest of the second page, then the newest, whatever their state.
        let reply = delete(&admin, &of_user("@alice:test", "?order_by=created_ts&from=1&limit=1")).await;
        assert_eq!(reply, (200, deleted(&[&ids[1]])));
        let reply = delete(&admin, &of_user("@alice:test", "?limit=2")).await;
        assert_eq!(reply, (200, deleted(&[&ids[5], &ids[4]])));
        not_found(&download(&alice, &ids[5]).await);
        let reply = delete(&admin, &of_user("@alice:test", "")).await;
        assert_eq!(reply, (200, deleted(&[&ids[3], &ids[2], &ids[0]])));
        assert_eq!(delete(&admin, &of_user("@alice:test", "")).await, (200, deleted(&[])));
        assert_eq!(admin.get(&of_user("@alice:test", "")).await, (200, json!({ "media": [], "total": 0 })));
        assert_eq!(objects(&server).await, 1);
        assert_eq!(download(&alice, &kept[0]).await.status, 200);
        let log = admin.get("/_reeve/admin/v1/audit?action=media.delete").await;
        let targets: Vec<_> = log.body["entries"].as_array().unwrap().iter().map(|entry| &entry["target"]).collect();
        assert_eq!(targets.len(), 6, "{}", log.body);
    }

    #[config(without_bin)]
    async fn one(server: Server) {
        let (admin, alice, bob) = (server.admin().await, server.user("alice").await, server.user("bob").await);
        let (first, second) = (upload(&alice, "text/plain", "same").await, upload(&bob, "text/plain", "same").await);
        let one = |server: &str, id: &str| media(&format!("{server}/{id}"));
        let remote = error("M_UNKNOWN", "Can only delete local media");
        assert_eq!(delete(&admin, &one("other", &first)).await, (400, remote));
        let unknown = error("M_NOT_FOUND", "Unknown media");
        assert_eq!(delete(&admin, &one("test", "unknown")).await, (404, unknown.clone()));
        assert_eq!(delete(&admin, &one("test", &first)).await, (200, deleted(&[&first])));
        assert_eq!(delete(&admin, &one("test", &first)).await, (404, unknown));
        // Another user's upload of the same bytes is kept.
        not_found(&download(&alice, &first).await);
        assert_eq!((download(&bob, &second).await.status, objects(&server).await), (200, 1));
        assert_eq!(delete(&admin, &one("test", &second)).await, (200, deleted(&[&second])));
        assert_eq!(objects(&server).await, 0);
    }

    #[config(without_bin)]
    async fn unused(server: Server) {
        let (admin, alice) = (server.admin().await, server.user("alice").await);
        let ids = several(&server, &alice, 7).await;
        let long = upload(&alice, "text/plain", vec![b'x'; 1000]).await;
        for (what, id) in [("protect", &ids[0]), ("quarantine/test", &ids[1])] {
            assert_eq!(admin.post(&media(&format!("{what}/{id}")), json!({})).await, (200, json!({})));
        }
        let avatar = format!("mxc://test/{}", ids[2]);
        let path = "/_matrix/client/v3/profile/@alice:test/avatar_url";
        assert_eq!(alice.put(path, json!({ "avatar_url": avatar })).await.status, 200);
        server.clock.advance(60_000);
        assert_eq!(download(&alice, &ids[3]).await.status, 200);
        server.app().media.flush().await.unwrap();
        let until = |ms: i64| format!("{UNUSED}?before_ts={}", START_MS + ms);
        // `size_gt` leaves out what is as long.
        assert_eq!(admin.post(&format!("{}&size_gt=1000", until(50_000)), json!({})).await, (200, deleted(&[])));
        assert_eq!(admin.post(&format!("{}&size_gt=999", until(50_000)), json!({})).await, (200, deleted(&[&long])));
        // The fourth was used, the sixth and seventh were uploaded too late.
        assert_eq!(admin.post(&until(5000), json!({})).await, (200, deleted(&[&ids[4]])));
        assert_eq!(admin.post(&format!("{}&keep_profiles=false", until(5000)), json!({})).await, (200, deleted(&[&ids[2]])));
        let legacy = format!("{}?before_ts={}", media("test/delete"), START_MS + 10_000);
        let reply = admin.post(&legacy, json!({})).await;
        assert_eq!(reply, (200, deleted(&[&ids[5], &ids[6]])));
        assert_eq!(admin.post(&until(100_000), json!({})).await, (200, deleted(&[&ids[3]])));
        assert_eq!((info(&admin, &ids[0]).await["safe_from_quarantine"].clone(), objects(&server).await), (json!(true), 2));
    }

    #[config(without_bin)]
    async fn many_pages_of_unused(server: Server) {
        let (admin, alice) = (server.admin().await, server.user("alice").await);
        let mut ids = Vec::new();
        for number in 0..520 {
            ids.push(upload(&alice, "text/plain", format!("{}", number % 10)).await);
        }
        let reply = admin.post(&format!("{UNUSED}?before_ts={}", START_MS + 1), json!({})).await;
        assert_eq!((reply.status, &reply.body["total"]), (200, &json!(520)));
        let mut deleted: Vec<&str> =
            reply.body["deleted_media"].as_array().unwrap().iter().filter_map(|id| id.as_str()).collect();
        deleted.sort_unstable();
        ids.sort_unstable();
        assert_eq!((deleted, objects(&server).await), (ids.iter().map(String::as_str).collect(), 0));
    }

    async fn refusals(server: Server) {
        let (admin, alice) = (server.admin().await, server.user("alice").await);
        upload(&alice, "text/plain", "kept").await;
        let cache = "/_synapse/admin/v1/purge_media_cache";
        let seconds = error(
            "M_INVALID_PARAM",
            "Query parameter before_ts you provided is from the year 1970. Double check that you are providing a \
             timestamp in milliseconds.",
        );
        for path in [UNUSED, cache] {
            let missing = error("M_MISSING_PARAM", "Missing required integer query parameter before_ts");
            assert_eq!(admin.post(path, json!({})).await, (400, missing), "{path}");
            assert_eq!(admin.post(&format!("{path}?before_ts=29999999999"), json!({})).await, (400, seconds.clone()), "{path}");
            let negative = error("M_INVALID_PARAM", "Query parameter before_ts must be a positive integer.");
            assert_eq!(admin.post(&format!("{path}?before_ts=-1"), json!({})).await, (400, negative), "{path}");
        }
        let path = format!("{UNUSED}?before_ts={}", START_MS + 1);
        for (query, text) in [
            ("size_gt=x", "Query parameter size_gt must be an integer"),
            ("keep_profiles=1", "Boolean query parameter 'keep_profiles' must be one of ['true', 'false']"),
        ] {
            let reply = admin.post(&format!("{path}&{query}"), json!({})).await;
            assert_eq!(reply, (400, error("M_INVALID_PARAM", text)), "{query}");
        }
        let legacy = format!("{}?before_ts={}", media("other/delete"), START_MS + 1);
        let remote = error("M_UNKNOWN", "Can only delete local media");
        assert_eq!(admin.post(&legacy, json!({})).await, (400, remote));
        // There is nothing of other servers.
        let reply = admin.post(&format!("{cache}?before_ts={START_MS}"), json!({})).await;
        assert_eq!(reply, (200, json!({ "deleted": 0 })));
        assert_eq!(admin.get(&of_user("@alice:test", "")).await.body["total"], 1);
    }
}
