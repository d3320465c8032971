//! Concurrent acts of and for an account at the moment of its deactivation: by itself from two devices, by
//! others, by an administrator, by a login-as token. In any order, nothing is left with which it could act, and
//! it is in no room.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::future::join_all;
use proptest::collection::vec;
use proptest::prelude::*;
use reeve_model::Membership;
use reeve_store::{account_data, devices, memberships, profile_fields, pushers, threepids, users};
use reeve_testkit::{Client, Reply, Server, on_both_engines, tokio};
use serde_json::{Value, json};

use super::for_all;
use crate::rooms_kit::*;
use crate::sync_kit::eventually;

/// The number of histories that each test tries.
const CASES: u32 = 10;

/// An act for the account.
#[derive(Clone, Copy, Debug)]
enum Deed {
    LogIn,
    Refresh,
    LoginToken,
    Rename,
    SetField,
    SetAccountData,
    SetRoomData,
    SetPushRule,
    SetPusher,
    UploadKeys,
    BackUpKeys,
    Upload,
    Join,
    CreateRoom,
    Say,
    /// A friend invites it.
    Invited,
    /// An administrator brings it into a room.
    Brought,
    /// An administrator renames it and gives it an address.
    Edited,
    /// An administrator acts as it, and joins a room.
    Impersonated,
    Locked,
    Unlocked,
    Deactivated,
    Erased,
}

const DEEDS: &[Deed] = &[
    Deed::LogIn,
    Deed::Refresh,
    Deed::LoginToken,
    Deed::Rename,
    Deed::SetField,
    Deed::SetAccountData,
    Deed::SetRoomData,
    Deed::SetPushRule,
    Deed::SetPusher,
    Deed::UploadKeys,
    Deed::BackUpKeys,
    Deed::Upload,
    Deed::Join,
    Deed::CreateRoom,
    Deed::Say,
    Deed::Invited,
    Deed::Brought,
    Deed::Edited,
    Deed::Impersonated,
    Deed::Locked,
    Deed::Unlocked,
];

fn history() -> impl Strategy<Value = Vec<Deed>> {
    let end = prop_oneof![Just(Deed::Deactivated), Just(Deed::Erased)];
    (vec(prop::sample::select(DEEDS), 12..40), vec((end, any::<prop::sample::Index>()), 1..3)).prop_map(
        |(mut deeds, ends)| {
            for (end, at) in ends {
                deeds.insert(at.index(deeds.len()), end);
            }
            deeds
        },
    )
}

/// The participants.
struct Cast {
    admin: Client,
    friend: Client,
    /// Two devices of the account.
    sessions: [Client; 2],
    refresh_token: String,
    /// A room where everybody can join, one to which the friend invites, and one where the account is.
    rooms: [String; 3],
    user_id: String,
    name: String,
    /// Every access token and every refresh token that was handed out.
    tokens: Mutex<Vec<String>>,
    login_tokens: Mutex<Vec<String>>,
}

impl Cast {
    async fn gather(server: &Server, admin: &Client, friend: &Client, name: &str) -> Self {
        let first = server.user(name).await;
        let password = format!("{name}'s password");
        let login = json!({
            "type": "m.login.password", "user": name, "password": password, "refresh_token": true,
        });
        let login = ok(server.stranger().post(&format!("{CS}/login"), login).await);
        let mut second = server.with_token(at(&login, "/access_token"));
        second.user_id.clone_from(&first.user_id);
        second.device_id = at(&login, "/device_id").to_owned();
        let rooms =
            [create_public(friend).await, create(friend, json!({})).await, create_public(friend).await];
        join(&first, &rooms[2]).await;
        let tokens = [&first, &second].iter().filter_map(|client| client.token.clone()).collect();
        Self {
            admin: admin.clone(),
            friend: friend.clone(),
            user_id: first.user_id.clone(),
            name: name.to_owned(),
            sessions: [first, second],
            refresh_token: at(&login, "/refresh_token").to_owned(),
            rooms,
            tokens: Mutex::new(tokens),
            login_tokens: Mutex::default(),
        }
    }

    fn keep(&self, reply: &Reply) {
        for key in ["access_token", "refresh_token"] {
            if !reply.text(key).is_empty() {
                self.tokens.lock().unwrap().push(reply.text(key).to_owned());
            }
        }
    }

    /// Does one deed. Refusals are as good as successes, but for errors of the server itself.
    async fn act(&self, server: &Server, deed: Deed, turn: usize) {
        let client = &self.sessions[turn % 2];
        let id = enc(&self.user_id);
        let reply = match deed {
            Deed::LogIn => {
                let body = json!({
                    "type": "m.login.password", "user": self.name, "password": format!("{}'s password", self.name),
                    "refresh_token": turn.is_multiple_of(3),
                });
                server.stranger().post(&format!("{CS}/login"), body).await
            }
            Deed::Refresh => {
                let body = json!({ "refresh_token": self.refresh_token });
                server.stranger().post(&format!("{CS}/refresh"), body).await
            }
            Deed::LoginToken => {
                let path = "/_matrix/client/v1/login/get_token";
                let body = json!({ "auth": {
                    "type": "m.login.password", "user": self.name, "password": format!("{}'s password", self.name),
                } });
                let reply = client.post(path, body).await;
                if reply.status == 200 {
                    self.login_tokens.lock().unwrap().push(reply.text("login_token").to_owned());
                }
                reply
            }
            Deed::Rename => {
                let body = json!({ "displayname": format!("name {turn}") });
                client.put(&format!("{CS}/profile/{id}/displayname"), body).await
            }
            Deed::SetField => {
                client
                    .put(&format!("{CS}/profile/{id}/org.example.mood"), json!({ "org.example.mood": turn }))
                    .await
            }
            Deed::SetAccountData => {
                client
                    .put(&format!("{CS}/user/{id}/account_data/org.example.{turn}"), json!({ "a": 1 }))
                    .await
            }
            Deed::SetRoomData => {
                let room = enc(&self.rooms[2]);
                let path = format!("{CS}/user/{id}/rooms/{room}/account_data/org.example.{turn}");
                client.put(&path, json!({ "a": 1 })).await
            }
            Deed::SetPushRule => {
                let body = json!({ "actions": ["notify"], "pattern": "word" });
                client.put(&format!("{CS}/pushrules/global/content/rule{turn}"), body).await
            }
            Deed::SetPusher => {
                let body = json!({
                    "kind": "http", "app_id": "org.example", "pushkey": format!("{}-{turn}", self.name),
                    "app_display_name": "App", "device_display_name": "Device", "lang": "en",
                    "data": { "url": "https://push.example.org/_matrix/push/v1/notify" },
                });
                client.post(&format!("{CS}/pushers/set"), body).await
            }
            Deed::UploadKeys => {
                let keys = crate::keys_kit::one_time_keys(&[&format!("k{turn}")]);
                client.post(&format!("{CS}/keys/upload"), json!({ "one_time_keys": keys })).await
            }
            Deed::BackUpKeys => {
                let body = json!({ "algorithm": "m.megolm_backup.v1.curve25519-aes-sha2", "auth_data": {} });
                client.post(&format!("{CS}/room_keys/version"), body).await
            }
            Deed::Upload => {
                let headers = [("Content-Type", "text/plain")];
                client.send(http::Method::POST, "/_matrix/media/v3/upload", &headers, "text").await
            }
            Deed::Join => client.post(&format!("{CS}/join/{}", enc(&self.rooms[0])), json!({})).await,
            Deed::CreateRoom => {
                client.post(&format!("{CS}/createRoom"), json!({ "name": turn.to_string() })).await
            }
            Deed::Say => {
                try_send(
                    client,
                    &self.rooms[2],
                    "m.room.message",
                    json!({ "msgtype": "m.text", "body": "hi" }),
                )
                .await
            }
            Deed::Invited => {
                let path = room_path(&self.rooms[1], "invite");
                self.friend.post(&path, json!({ "user_id": self.user_id })).await
            }
            Deed::Brought => {
                let path = format!("/_synapse/admin/v1/join/{}", enc(&self.rooms[0]));
                self.admin.post(&path, json!({ "user_id": self.user_id })).await
            }
            Deed::Edited => {
                let body = json!({
                    "displayname": format!("given {turn}"),
                    "threepids": [{ "medium": "email", "address": format!("{}@example.org", self.name) }],
                });
                self.admin.put(&format!("/_synapse/admin/v2/users/{id}"), body).await
            }
            Deed::Impersonated => {
                let reply = self.admin.post(&format!("/_synapse/admin/v1/users/{id}/login"), json!({})).await;
                if reply.status == 200 {
                    let acting = server.with_token(reply.text("access_token"));
                    let path = format!("{CS}/join/{}", enc(&self.rooms[0]));
                    sound(Deed::Join, &acting.post(&path, json!({})).await);
                }
                reply
            }
            Deed::Locked | Deed::Unlocked => {
                let body = json!({ "locked": matches!(deed, Deed::Locked) });
                self.admin.put(&format!("/_matrix/client/v1/admin/lock/{id}"), body).await
            }
            Deed::Deactivated | Deed::Erased => {
                let body = json!({ "erase": matches!(deed, Deed::Erased) });
                let reply = self.admin.post(&format!("/_synapse/admin/v1/deactivate/{id}"), body).await;
                assert_eq!(reply.status, 200, "{}", reply.body);
                reply
            }
        };
        sound(deed, &reply);
        self.keep(&reply);
    }

    /// Checks that the account is deactivated and that nothing of it acts any more.
    async fn check(&self, server: &Server, erased: bool) {
        let subject = format!("/_reeve/admin/v1/jobs?subject={}", enc(&self.user_id));
        let settled = |reply: &Reply| {
            list(&reply.body, "/jobs").iter().all(|job| matches!(at(job, "/state"), "complete" | "failed"))
        };
        let jobs = eventually(&self.admin, &subject, settled).await;
        assert!(list(&jobs.body, "/jobs").iter().all(|job| at(job, "/state") == "complete"), "{}", jobs.body);
        let tokens = self.tokens.lock().unwrap().clone();
        for token in tokens {
            let reply = server.with_token(&token).get(&format!("{CS}/account/whoami")).await;
            assert_eq!(code(&reply), (401, "M_UNKNOWN_TOKEN"));
            let reply =
                server.stranger().post(&format!("{CS}/refresh"), json!({ "refresh_token": token })).await;
            assert_eq!(code(&reply), (401, "M_UNKNOWN_TOKEN"));
        }
        let login_tokens = self.login_tokens.lock().unwrap().clone();
        for token in login_tokens {
            let body = json!({ "type": "m.login.token", "token": token });
            assert_eq!(server.stranger().post(&format!("{CS}/login"), body).await.status, 403);
        }
        let user_id = self.user_id.clone();
        let left: Result<Value, reeve_db::DbError> = server
            .app()
            .db
            .read(move |tx| {
                let user = users::find(tx, &user_id)?.ok_or(reeve_db::DbError::NoRow)?;
                let mut memberships_left = 0;
                for membership in [Membership::Join, Membership::Invite, Membership::Knock] {
                    memberships_left += memberships::count_of_user_in(tx, &user_id, membership)?;
                }
                Ok(json!({
                    "deactivated": user.deactivated,
                    "erased": user.erased,
                    "named": user.erased && (user.displayname.is_some() || user.avatar_url.is_some()),
                    "fields": user.erased && !profile_fields::of_user(tx, user.num)?.is_empty(),
                    "devices": devices::of_user(tx, user.num)?.len(),
                    "pushers": pushers::count_of_user(tx, user.num)?,
                    "threepids": threepids::of_user(tx, user.num)?.len(),
                    "account_data": account_data::count_of_user(tx, user.num)?,
                    "memberships": memberships_left,
                }))
            })
            .await;
        let nothing = json!({
            "deactivated": true, "erased": erased, "named": false, "fields": false, "devices": 0, "pushers": 0,
            "threepids": 0, "account_data": 0, "memberships": 0,
        });
        assert_eq!(left.unwrap(), nothing);
    }
}

fn sound(deed: Deed, reply: &Reply) {
    assert!(reply.status < 500, "{deed:?}: {} {}", reply.status, reply.body);
}

on_both_engines! {
    async fn a_deactivation_wins(server: Server) {
        let (admin, friend) = (server.admin().await, server.user("friend").await);
        let number = AtomicUsize::new(0);
        for_all(CASES, &history(), async |deeds| {
            let name = format!("a{}", number.fetch_add(1, Ordering::Relaxed));
            let cast = Cast::gather(&server, &admin, &friend, &name).await;
            let acts = deeds.iter().enumerate().map(|(turn, deed)| cast.act(&server, *deed, turn));
            join_all(acts).await;
            cast.check(&server, deeds.iter().any(|deed| matches!(deed, Deed::Erased))).await;
        });
    }

    async fn of_two_administrators_who_demote_each_other_one_stays(server: Server) {
        let root = server.admin().await;
        for round in 0..12 {
            let mut pair = Vec::new();
            for side in ["left", "right"] {
                let name = format!("{side}{round}");
                server.create(&name, true).await;
                pair.push(server.log_in(&name, &format!("{name}'s password")).await);
            }
            let (left, right) = (&pair[0], &pair[1]);
            let against = |one: &Client, other: &Client| {
                let (one, id) = (one.clone(), enc(&other.user_id));
                async move {
                    match round % 3 {
                        0 => one.put(&format!("/_synapse/admin/v1/users/{id}/admin"), json!({ "admin": false })).await,
                        1 => one.post(&format!("/_synapse/admin/v1/deactivate/{id}"), json!({})).await,
                        _ => one.put(&format!("/_synapse/admin/v2/users/{id}"), json!({ "locked": true })).await,
                    }
                }
            };
            let (first, second) = tokio::join!(against(left, right), against(right, left));
            let mut won = 0;
            for (reply, client) in [(&first, left), (&second, right)] {
                won += usize::from(reply.status == 200);
                let whether = root.get(&format!("/_synapse/admin/v2/users/{}", enc(&client.user_id))).await;
                let user = ok(whether);
                let acts = user["admin"] == true && user["deactivated"] == false && user["locked"] == false;
                assert_eq!(acts, reply.status == 200, "{round}: {} {} {user}", first.body, second.body);
            }
            assert_eq!(won, 1, "{round}: {} {}", first.body, second.body);
        }
    }

    async fn no_token_outlives_the_rights_of_who_asked_for_it(server: Server) {
        let root = server.admin().await;
        server.create("target", false).await;
        for round in 0..12 {
            let name = format!("helper{round}");
            server.create(&name, true).await;
            let helper = server.log_in(&name, &format!("{name}'s password")).await;
            let path = "/_synapse/admin/v1/users/@target:test/login";
            let asks = join_all((0..6).map(|_| helper.post(path, json!({}))));
            let id = enc(&helper.user_id);
            let ends = async {
                match round % 4 {
                    0 => root.put(&format!("/_synapse/admin/v1/users/{id}/admin"), json!({ "admin": false })).await,
                    1 => root.put(&format!("/_synapse/admin/v2/users/{id}"), json!({ "locked": true })).await,
                    2 => root.put(&format!("/_synapse/admin/v1/suspend/{id}"), json!({ "suspend": true })).await,
                    _ => root.post(&format!("/_synapse/admin/v1/deactivate/{id}"), json!({})).await,
                }
            };
            let (tokens, ended) = tokio::join!(asks, ends);
            ok(ended);
            for reply in tokens.iter().filter(|reply| reply.status == 200) {
                let acting = server.with_token(reply.text("access_token"));
                assert_eq!(code(&acting.get(&format!("{CS}/account/whoami")).await), (401, "M_UNKNOWN_TOKEN"));
            }
        }
    }
}
