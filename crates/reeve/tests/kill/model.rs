//! A model of a writer's accounts, and of the acts on them.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::process::SERVER_NAME;

/// An account as the API shows it, with what follows from it: one deed changes several of these fields, and all of
/// them or none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Account {
    pub(crate) displayname: Option<String>,
    pub(crate) avatar_url: Option<String>,
    pub(crate) threepids: Vec<String>,
    pub(crate) external_ids: Vec<String>,
    pub(crate) admin: bool,
    pub(crate) locked: bool,
    pub(crate) deactivated: bool,
    pub(crate) erased: bool,
    /// Messages per second and burst.
    pub(crate) limit: Option<(i64, i64)>,
    pub(crate) devices: BTreeSet<String>,
    /// Account data: a number by type.
    pub(crate) data: BTreeMap<String, u64>,
    /// The number of jobs that were queued for it.
    pub(crate) jobs: usize,
    /// Its audit entries, the oldest first.
    pub(crate) audit: Vec<String>,
}

/// An act of a writer, in one request. Every `stamp` is used once, so that its effects are distinguishable from
/// all others.
#[derive(Clone, Debug)]
pub(crate) enum Deed {
    Create { stamp: String, admin: bool },
    Rename { stamp: String },
    Rewrite { stamp: String, admin: bool },
    Lock(bool),
    Limit(Option<(i64, i64)>),
    LogIn { device: String },
    Password { password: String },
    Data { kind: String, value: u64, token: String },
    Deactivate { erase: bool },
}

/// A request.
pub(crate) struct Request {
    pub(crate) method: &'static str,
    pub(crate) path: String,
    pub(crate) body: Value,
    /// The owner of its token: a user, nobody, or the administrator.
    pub(crate) sender: Sender,
    /// The status of success.
    pub(crate) status: u16,
}

pub(crate) enum Sender {
    Admin,
    Nobody,
    Token(String),
}

/// The display name of a stamp. The period keeps it from being a part of another one.
pub(crate) fn displayname(stamp: &str) -> String {
    format!("Name {stamp}.")
}

pub(crate) fn address(stamp: &str) -> String {
    format!("{stamp}@mail.example")
}

pub(crate) fn external_id(stamp: &str) -> String {
    format!("id-{stamp}")
}

fn avatar_url(stamp: &str) -> String {
    format!("mxc://{SERVER_NAME}/{stamp}")
}

/// The password with which an account is created.
pub(crate) fn first_password(stamp: &str) -> String {
    format!("first {stamp}")
}

/// The whole of what a stamp sets in one request.
fn whole(stamp: &str, admin: bool) -> Value {
    json!({
        "displayname": displayname(stamp),
        "avatar_url": avatar_url(stamp),
        "threepids": [
            { "medium": "email", "address": address(stamp) },
            { "medium": "email", "address": address(&format!("{stamp}-b")) },
        ],
        "external_ids": [{ "auth_provider": "idp", "external_id": external_id(stamp) }],
        "admin": admin,
    })
}

impl Deed {
    /// The request for it.
    pub(crate) fn request(&self, user_id: &str, password: &str) -> Request {
        let user = format!("/_synapse/admin/v2/users/{user_id}");
        let limit = format!("/_synapse/admin/v1/users/{user_id}/override_ratelimit");
        let admin =
            |method, path, body, status| Request { method, path, body, sender: Sender::Admin, status };
        match self {
            Self::Create { stamp, admin: is_admin } => {
                let mut body = whole(stamp, *is_admin);
                body["password"] = json!(first_password(stamp));
                admin("PUT", user, body, 201)
            }
            Self::Rename { stamp } => admin("PUT", user, json!({ "displayname": displayname(stamp) }), 200),
            Self::Rewrite { stamp, admin: is_admin } => admin("PUT", user, whole(stamp, *is_admin), 200),
            Self::Lock(locked) => admin("PUT", user, json!({ "locked": locked }), 200),
            Self::Limit(Some((per_second, burst))) => {
                admin("POST", limit, json!({ "messages_per_second": per_second, "burst_count": burst }), 200)
            }
            Self::Limit(None) => admin("DELETE", limit, Value::Null, 200),
            Self::LogIn { device } => Request {
                method: "POST",
                path: "/_matrix/client/v3/login".to_owned(),
                body: json!({
                    "type": "m.login.password", "identifier": { "type": "m.id.user", "user": user_id },
                    "password": password, "device_id": device,
                }),
                sender: Sender::Nobody,
                status: 200,
            },
            Self::Password { password } => {
                let path = format!("/_synapse/admin/v1/reset_password/{user_id}");
                admin("POST", path, json!({ "new_password": password, "logout_devices": true }), 200)
            }
            Self::Data { kind, value, token } => Request {
                method: "PUT",
                path: format!("/_matrix/client/v3/user/{user_id}/account_data/{kind}"),
                body: json!({ "value": value }),
                sender: Sender::Token(token.clone()),
                status: 200,
            },
            Self::Deactivate { erase } => {
                let path = format!("/_synapse/admin/v1/deactivate/{user_id}");
                admin("POST", path, json!({ "erase": erase }), 200)
            }
        }
    }

    /// The account after it.
    pub(crate) fn after(&self, before: Option<&Account>) -> Account {
        let mut account = before.cloned().unwrap_or_default();
        let mut audited = Some("user.update");
        match self {
            Self::Create { stamp, admin } | Self::Rewrite { stamp, admin } => {
                account.displayname = Some(displayname(stamp));
                account.avatar_url = Some(avatar_url(stamp));
                account.threepids = vec![address(stamp), address(&format!("{stamp}-b"))];
                account.external_ids = vec![external_id(stamp)];
                account.admin = *admin;
                if before.is_none() {
                    audited = Some("user.create");
                }
            }
            Self::Rename { stamp } => account.displayname = Some(displayname(stamp)),
            Self::Lock(locked) => account.locked = *locked,
            Self::Limit(limit) => {
                account.limit = *limit;
                audited = Some(if limit.is_some() { "ratelimit.set" } else { "ratelimit.delete" });
            }
            Self::LogIn { device } => {
                account.devices.insert(device.clone());
                audited = None;
            }
            Self::Password { .. } => {
                account.devices.clear();
                audited = Some("user.password");
            }
            Self::Data { kind, value, .. } => {
                account.data.insert(kind.clone(), *value);
                audited = None;
            }
            Self::Deactivate { erase } => {
                account.deactivated = true;
                account.threepids.clear();
                account.devices.clear();
                account.data.clear();
                account.jobs += 1;
                if *erase {
                    (account.erased, account.displayname, account.avatar_url) = (true, None, None);
                }
                audited = Some("user.deactivate");
            }
        }
        account.audit.extend(audited.map(str::to_owned));
        account
    }
}

/// Numbers that look random and are the same in every run.
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    /// A number below `sides`.
    pub(crate) fn roll(&mut self, sides: u64) -> u64 {
        // SplitMix64.
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % sides
    }
}
