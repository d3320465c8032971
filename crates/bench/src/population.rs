//! The population of the benchmark: always the same accounts, and the responses expected from the server.

use std::cmp::Ordering;

use reeve_accounts::import;
use reeve_store::lists::users::{Column, Flag, OrderBy};
use serde_json::{Value, json};

/// The name of the homeserver.
pub(crate) const SERVER_NAME: &str = "bench.example";
/// The word that exactly [`RARE`] display names contain.
pub(crate) const RARE_WORD: &str = "quokka";
/// Number of display names that contain [`RARE_WORD`].
pub(crate) const RARE: usize = 1000;
/// Number of administrators, whatever the number of accounts: so that a list of them is a page at any size.
const ADMINISTRATORS: usize = 150;
/// The accounts `1..=WITH_PASSWORD` have a password and no flags.
pub(crate) const WITH_PASSWORD: usize = 64;

const DAY_MS: u64 = 86_400_000;
/// The creation time of the first accounts.
pub(crate) const FIRST_MS: i64 = 1_640_995_200_000;
/// The same, without a sign.
const BEGIN_MS: u64 = FIRST_MS.unsigned_abs();
const DAYS: u64 = 3 * 365;
/// Later than any benchmark runs, so that requests do not move the administrator in the lists.
const FAR_FUTURE_MS: i64 = 4_102_444_800_000;

const FIRST_NAMES: &[&str] = &[
    "Ada",
    "Alan",
    "Barbara",
    "Blaise",
    "Claude",
    "Donald",
    "Edsger",
    "Emmy",
    "Frances",
    "Grace",
    "Hedy",
    "Ida",
    "Jean",
    "Joan",
    "John",
    "Karen",
    "Leslie",
    "Łukasz",
    "Margaret",
    "Mary",
    "Niklaus",
    "Radia",
    "Sofia",
    "Tim",
    "Ursula",
    "Vint",
    "Whitfield",
    "Zoë",
    "李娜",
    "Сергей",
];
const LAST_NAMES: &[&str] = &[
    "Allen",
    "Backus",
    "Cerf",
    "Clarke",
    "Diffie",
    "Dijkstra",
    "Goldberg",
    "Hamilton",
    "Hopper",
    "Jones",
    "Kernighan",
    "Lamarr",
    "Lamport",
    "Liskov",
    "Lovelace",
    "Noether",
    "Pascal",
    "Perlman",
    "Ritchie",
    "Rhodes",
    "Shannon",
    "Thompson",
    "Turing",
    "Wing",
    "Wirth",
];

/// A small pseudo-random generator (SplitMix64), seeded by the number of the account.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound.max(1)
    }

    /// True with a probability of `n` in ten thousand.
    fn chance(&mut self, n: u64) -> bool {
        self.below(10_000) < n
    }

    fn pick<'a>(&mut self, from: &[&'a str]) -> &'a str {
        let at = usize::try_from(self.below(from.len() as u64)).unwrap_or(0);
        from.get(at).copied().unwrap_or_default()
    }
}

/// One account.
pub(crate) struct Account {
    pub(crate) displayname: Option<String>,
    pub(crate) avatar_url: Option<String>,
    pub(crate) bot: bool,
    pub(crate) is_guest: bool,
    pub(crate) admin: bool,
    pub(crate) deactivated: bool,
    pub(crate) locked: bool,
    pub(crate) shadow_banned: bool,
    pub(crate) created_ts: i64,
    pub(crate) last_seen_ts: Option<i64>,
    pub(crate) devices: u64,
}

/// Account 0 is the administrator that the benchmark acts as. User ids ascend with the number.
pub(crate) fn localpart(number: usize) -> String {
    if number == 0 { "superuser".to_owned() } else { format!("user{number:07}") }
}

/// The full user id of an account.
pub(crate) fn user_id(number: usize) -> String {
    format!("@{}:{SERVER_NAME}", localpart(number))
}

fn ms(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// The account with a number, out of `all`.
pub(crate) fn account(number: usize, all: usize) -> Account {
    if number == 0 {
        return Account {
            displayname: None,
            avatar_url: None,
            bot: false,
            is_guest: false,
            admin: true,
            deactivated: false,
            locked: false,
            shadow_banned: false,
            created_ts: FIRST_MS,
            last_seen_ts: Some(FAR_FUTURE_MS),
            devices: 0,
        };
    }
    let mut numbers = Numbers(number as u64);
    let plain = number <= WITH_PASSWORD;
    let mut flag = |n| numbers.chance(n) && !plain;
    let (is_guest, deactivated, locked) = (flag(200), flag(500), flag(50));
    let (shadow_banned, bot) = (flag(10), flag(100));
    // So many, spread evenly, including the last ones.
    let is_one_of = |many: usize| number * many / (all - 1) != (number - 1) * many / (all - 1);
    let (rare, admin) = (is_one_of(RARE), is_one_of(ADMINISTRATORS) && !plain);
    let displayname = (numbers.chance(8000) || rare || plain).then(|| {
        let mut name = format!("{} {}", numbers.pick(FIRST_NAMES), numbers.pick(LAST_NAMES));
        if rare {
            name = format!("{name} the {RARE_WORD}");
        } else if numbers.chance(5000) {
            name = format!("{name} {}", numbers.below(100_000));
        }
        name
    });
    let avatar_url = numbers.chance(3000).then(|| {
        if numbers.chance(1000) {
            format!("mxc://{SERVER_NAME}/theDefaultAvatarOfAll")
        } else {
            format!("mxc://{SERVER_NAME}/{:016x}{:08x}", numbers.next(), numbers.below(1 << 32))
        }
    });
    // One in twenty was imported on the same day from another server, the rest by the hour.
    let created = if numbers.chance(500) {
        BEGIN_MS + 500 * DAY_MS
    } else {
        BEGIN_MS + numbers.below(DAYS * 24) * (DAY_MS / 24)
    };
    let last_seen =
        numbers.chance(6000).then(|| created + numbers.below(BEGIN_MS + DAYS * DAY_MS + 1 - created));
    let devices = if last_seen.is_some() && !deactivated { 1 + numbers.below(3) } else { 0 };
    Account {
        displayname,
        avatar_url,
        bot,
        is_guest,
        admin,
        deactivated,
        locked,
        shadow_banned,
        created_ts: ms(created),
        last_seen_ts: last_seen.map(ms),
        devices,
    }
}

/// The other facts that selections ask for, which follow from the number.
pub(crate) struct More {
    pub(crate) suspended: bool,
    pub(crate) erased: bool,
    pub(crate) appservice: bool,
    email: Option<String>,
    pub(crate) phone: bool,
    pub(crate) oidc: bool,
    /// The lower three bytes of an address in 10.0.0.0/8 from which it was seen.
    pub(crate) ip: Option<usize>,
    /// The size of its uploads.
    pub(crate) media: usize,
}

impl More {
    /// True if it has an e-mail address that contains a text.
    pub(crate) fn has_email(&self, text: &str) -> bool {
        self.email.as_ref().is_some_and(|email| email.contains(text))
    }
}

/// The other facts of an account that selections ask for.
pub(crate) fn more(number: usize, account: &Account) -> More {
    let is_ordinary = number > 0;
    let lives = is_ordinary && !account.deactivated;
    let domain = number % 3;
    More {
        suspended: lives && number > WITH_PASSWORD && number % 50 == 7,
        erased: is_ordinary && account.deactivated && number.is_multiple_of(2),
        appservice: is_ordinary && number % 200 == 9,
        email: (lives && number.is_multiple_of(2))
            .then(|| format!("{:07}@mail{domain}.example", number * 13 % 9_999_991)),
        phone: lives && number.is_multiple_of(10),
        oidc: is_ordinary && number.is_multiple_of(5),
        ip: (is_ordinary && number % 4 == 1).then_some(number % (1 << 24)),
        media: if is_ordinary && number % 10 == 3 { number % 1000 * 100_000 } else { 0 },
    }
}

impl Account {
    /// The account for an import.
    pub(crate) fn to_import(&self, number: usize, hash: &str) -> import::Account {
        let ts = self.last_seen_ts.unwrap_or(self.created_ts);
        let more = more(number, self);
        let threepid = |medium: &str, address| import::AccountThreepid {
            medium: medium.to_owned(),
            address,
            validated_at: Some(self.created_ts),
            added_at: None,
        };
        let email = more.email.map(|address| threepid("email", address));
        let phone = more.phone.then(|| threepid("msisdn", format!("4917{number:08}")));
        let devices = (0..self.devices).map(|device| import::AccountDevice {
            device_id: format!("DEVICE{device}"),
            display_name: Some("A telephone".to_owned()),
            last_seen_ts: Some(ts),
            last_seen_ip: Some("192.0.2.1".to_owned()),
            last_seen_user_agent: Some("A Matrix client".to_owned()),
        });
        import::Account {
            localpart: Some(localpart(number)),
            password_hash: Some(hash.to_owned()).filter(|_| (1..=WITH_PASSWORD).contains(&number)),
            displayname: self.displayname.clone(),
            avatar_url: self.avatar_url.clone(),
            user_type: self.bot.then(|| "bot".to_owned()),
            is_guest: Some(self.is_guest),
            admin: Some(self.admin),
            deactivated: Some(self.deactivated),
            locked: Some(self.locked),
            shadow_banned: Some(self.shadow_banned),
            creation_ts: Some(self.created_ts),
            last_seen_ts: self.last_seen_ts,
            suspended: Some(more.suspended),
            threepids: email.into_iter().chain(phone).collect(),
            external_ids: (more.oidc.then(|| import::AccountExternalId {
                auth_provider: "oidc".to_owned(),
                external_id: number.to_string(),
            }))
            .into_iter()
            .collect(),
            devices: devices.collect(),
            ..import::Account::default()
        }
    }

    /// The account as a line of a file, with the data of accounts of other servers: passwords, e-mail addresses
    /// and external ids.
    pub(crate) fn to_line(&self, number: usize, hash: &str) -> Value {
        let lives = !self.deactivated;
        let threepids: Vec<Value> = (lives && number.is_multiple_of(2))
            .then(|| json!({ "medium": "email", "address": format!("{:07}@mail.example", number * 13 % 9_999_991), "validated_at": self.created_ts }))
            .into_iter()
            .collect();
        let external_ids: Vec<Value> = number
            .is_multiple_of(5)
            .then(|| json!({ "auth_provider": "oidc", "external_id": format!("{:016x}", Numbers(number as u64).next()) }))
            .into_iter()
            .collect();
        let devices: Vec<Value> = (0..self.devices)
            .map(|device| {
                json!({
                    "device_id": format!("DEVICE{device}"),
                    "display_name": "A telephone",
                    "last_seen_ts": self.last_seen_ts,
                    "last_seen_ip": "192.0.2.1",
                    "last_seen_user_agent": "A Matrix client",
                })
            })
            .collect();
        json!({
            "user_id": user_id(number),
            "password_hash": lives.then_some(hash),
            "displayname": self.displayname,
            "avatar_url": self.avatar_url,
            "user_type": self.bot.then_some("bot"),
            "is_guest": self.is_guest,
            "admin": self.admin,
            "deactivated": self.deactivated,
            "locked": self.locked,
            "shadow_banned": self.shadow_banned,
            "creation_ts": self.created_ts,
            "last_seen_ts": self.last_seen_ts,
            "threepids": threepids,
            "external_ids": external_ids,
            "devices": devices,
        })
    }
}

/// The sort key of an account: first true if it has no value.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Key<'a> {
    Text(&'a str),
    Number(i64),
    None,
}

fn key(account: &Account, number: usize, order_by: OrderBy) -> Key<'_> {
    fn text(text: Option<&String>) -> Key<'_> {
        text.map_or(Key::None, |text| Key::Text(text))
    }
    let flag = |flag: bool| Key::Number(i64::from(flag));
    match order_by {
        OrderBy::Name => Key::Number(i64::try_from(number).unwrap_or(i64::MAX)),
        OrderBy::Column(Column::Displayname) => text(account.displayname.as_ref()),
        OrderBy::Column(Column::AvatarUrl) => text(account.avatar_url.as_ref()),
        OrderBy::Column(Column::CreatedTs) => Key::Number(account.created_ts),
        OrderBy::Column(Column::LastSeenTs) => account.last_seen_ts.map_or(Key::None, Key::Number),
        OrderBy::Flag(Flag::IsGuest) => flag(account.is_guest),
        OrderBy::Flag(Flag::Admin) => flag(account.admin),
        OrderBy::Flag(Flag::Deactivated) => flag(account.deactivated),
        OrderBy::Flag(Flag::Locked) => flag(account.locked),
        OrderBy::Flag(Flag::ShadowBanned) => flag(account.shadow_banned),
        OrderBy::UserType if account.bot => Key::Text("bot"),
        OrderBy::UserType => Key::None,
    }
}

/// All accounts.
pub(crate) struct Population {
    accounts: Vec<Account>,
}

/// A part of the accounts, by number.
pub(crate) type Selection = Vec<u32>;

impl Population {
    pub(crate) fn new(all: usize) -> Self {
        Self { accounts: (0..all).map(|number| account(number, all)).collect() }
    }

    pub(crate) fn len(&self) -> usize {
        self.accounts.len()
    }

    pub(crate) fn get(&self, number: usize) -> Option<&Account> {
        self.accounts.get(number)
    }

    /// The accounts for which a condition holds.
    pub(crate) fn select(&self, condition: impl Fn(usize, &Account) -> bool) -> Selection {
        let found = self.accounts.iter().enumerate().filter(|(number, account)| condition(*number, account));
        found.filter_map(|(number, _)| u32::try_from(number).ok()).collect()
    }

    /// The user ids of one page of a selection.
    pub(crate) fn page(
        &self,
        selection: &Selection,
        order_by: OrderBy,
        descending: bool,
        from: usize,
        limit: usize,
    ) -> Vec<String> {
        let mut keyed: Vec<(Key<'_>, usize)> = selection
            .iter()
            .filter_map(|number| {
                let number = usize::try_from(*number).ok()?;
                Some((key(self.accounts.get(number)?, number, order_by), number))
            })
            .collect();
        let by_order = |a: &(Key<'_>, usize), b: &(Key<'_>, usize)| -> Ordering {
            let by_key = a.0.cmp(&b.0);
            (if descending { by_key.reverse() } else { by_key }).then(a.1.cmp(&b.1))
        };
        let end = from + limit;
        if end < keyed.len() {
            keyed.select_nth_unstable_by(end, by_order);
            keyed.truncate(end);
        }
        if from > 0 && from < keyed.len() {
            keyed.select_nth_unstable_by(from, by_order);
        }
        let mut page = keyed.split_off(from.min(keyed.len()));
        page.sort_by(by_order);
        page.into_iter().map(|(_, number)| user_id(number)).collect()
    }
}
