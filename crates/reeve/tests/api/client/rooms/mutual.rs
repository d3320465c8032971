//! Rooms that two users share.

use reeve_testkit::on_both_engines;
use serde_json::json;

use crate::rooms_kit::*;

const MUTUAL: &str = "/_matrix/client/v1/mutual_rooms";

on_both_engines! {
    async fn rooms_that_both_have_joined(server: Server) {
        let (alice, bob) = (server.user("alice").await, server.user("bob").await);
        let of_bob = format!("{MUTUAL}?user_id=@bob:test");
        assert_eq!(alice.get(&of_bob).await, (200, json!({ "joined": [], "count": 0 })));
        let (one, two, invited) = (create_public(&alice).await, create_public(&bob).await, create(&alice, json!({})).await);
        create(&alice, json!({})).await;
        join(&bob, &one).await;
        join(&alice, &two).await;
        invite(&alice, &invited, "@bob:test").await;
        let both = json!({ "joined": [one, two], "count": 2 });
        assert_eq!(alice.get(&of_bob).await, (200, both.clone()));
        assert_eq!(bob.get(&format!("{MUTUAL}?user_id=@alice:test")).await, (200, both.clone()));
        let unstable = "/_matrix/client/unstable/uk.half-shot.msc2666/user/mutual_rooms?user_id=@bob:test";
        assert_eq!(alice.get(unstable).await, (200, both));
        leave(&bob, &one).await;
        assert_eq!(alice.get(&of_bob).await, (200, json!({ "joined": [two], "count": 1 })));
        for nobody in ["@nobody:test", "@bob:elsewhere"] {
            let reply = alice.get(&format!("{MUTUAL}?user_id={nobody}")).await;
            assert_eq!(reply, (200, json!({ "joined": [], "count": 0 })), "{nobody}");
        }
        for bad in ["?user_id=@alice:test", "?user_id=bob", "?user_id=@bob:test&from=x", "?user_id=@bob:test&from=-1"] {
            assert_eq!(code(&alice.get(&format!("{MUTUAL}{bad}")).await), (400, "M_INVALID_PARAM"), "{bad}");
        }
        assert_eq!(code(&alice.get(MUTUAL).await), (400, "M_MISSING_PARAM"));
    }

    async fn many_come_in_pages(server: Server) {
        let (alice, bob) = (server.user("alice").await, server.user("bob").await);
        let mut rooms = Vec::new();
        for _ in 0..102 {
            let room = create_public(&alice).await;
            join(&bob, &room).await;
            rooms.push(room);
        }
        let path = format!("{MUTUAL}?user_id=@bob:test");
        let first = ok(alice.get(&path).await);
        assert_eq!((&first["joined"], &first["count"]), (&json!(rooms[..100]), &json!(102)));
        let second = alice.get(&format!("{path}&from={}", at(&first, "/next_batch"))).await;
        assert_eq!(second, (200, json!({ "joined": rooms[100..], "count": 102 })));
    }
}
