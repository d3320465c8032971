//! Selections of accounts against a model.

use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::sync::{Arc, mpsc};

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use reeve_db::{Db, DbError, Engine, Options, Tx};
use reeve_model::{Millis, Network, TokenHash, User, UserNum};

use super::{Fresh, SERVER, fresh, runtime};
use crate::connections::{self, Connection};
use crate::external_ids::{self, ExternalId};
use crate::lists::roster::{Asked, Roster, Start, version};
use crate::lists::selection::Selection;
use crate::lists::users::{Column, Flag, OrderBy};
use crate::{devices, media_users, threepids, users};

/// A change; `usize` chooses an account.
#[derive(Clone, Debug)]
enum Deed {
    Create(String, Facts),
    Change(usize, Facts),
    Seen(usize, i64, u8),
    Device(usize, u8, bool),
    Email(usize, String, bool),
    Phone(usize, String, bool),
    Provider(usize, String, bool),
    Upload(usize, i64),
    Remove(usize),
}

#[derive(Clone, Debug)]
struct Facts {
    displayname: Option<String>,
    user_type: Option<String>,
    appservice: Option<String>,
    flags: [bool; 8],
    created_s: i64,
}

/// An account of the model.
#[derive(Clone, Debug)]
struct Person {
    user: User,
    devices: BTreeSet<u8>,
    emails: BTreeSet<String>,
    phones: BTreeSet<String>,
    providers: BTreeSet<(String, String)>,
    uploads: Vec<i64>,
    ips: BTreeSet<u8>,
}

fn word(words: &'static [&'static str]) -> impl Strategy<Value = String> {
    prop::sample::select(words).prop_map(str::to_owned)
}

fn facts() -> impl Strategy<Value = Facts> {
    (
        // Some begin alike, with more characters than are in memory.
        prop::option::of(word(&["Ann", "bob", "Äda", "cy%", "Annabella", "Annabella B", "Annabella Ä"])),
        prop::option::weighted(0.3, word(&["bot", "support"])),
        prop::option::weighted(0.3, word(&["bridge", "irc"])),
        prop::array::uniform8(prop::bool::weighted(0.2)),
        0..6_i64,
    )
        .prop_map(|(displayname, user_type, appservice, flags, created_s)| Facts {
            displayname,
            user_type,
            appservice,
            flags,
            created_s,
        })
}

const EMAILS: &[&str] = &["ann@example.org", "bob@example.org", "cy@other.net", "dot@other.net", "eve@x.org"];
const PHONES: &[&str] = &["4915112345", "4917254321", "12025550123"];
const PROVIDERS: &[&str] = &["oidc-a", "oidc-b", "saml"];

fn deed() -> impl Strategy<Value = Deed> {
    let who = any::<usize>;
    prop_oneof![
        6 => ("[a-d0-9._-]{1,4}", facts()).prop_map(|(name, facts)| Deed::Create(name, facts)),
        3 => (who(), facts()).prop_map(|(who, facts)| Deed::Change(who, facts)),
        3 => (who(), 1..6_i64, 0..6_u8).prop_map(|(who, ts, ip)| Deed::Seen(who, ts, ip)),
        2 => (who(), 0..3_u8, any::<bool>()).prop_map(|(who, device, add)| Deed::Device(who, device, add)),
        2 => (who(), word(EMAILS), prop::bool::weighted(0.7)).prop_map(|(who, email, add)| Deed::Email(who, email, add)),
        1 => (who(), word(PHONES), any::<bool>()).prop_map(|(who, phone, add)| Deed::Phone(who, phone, add)),
        2 => (who(), word(PROVIDERS), any::<bool>()).prop_map(|(who, provider, add)| Deed::Provider(who, provider, add)),
        2 => (who(), 1..9_i64).prop_map(|(who, size)| Deed::Upload(who, size)),
        1 => who().prop_map(Deed::Remove),
    ]
}

fn with_facts(user: &User, facts: &Facts) -> User {
    let [is_guest, admin, deactivated, locked, shadow_banned, suspended, erased, password_change_required] =
        facts.flags;
    User {
        displayname: facts.displayname.clone(),
        user_type: facts.user_type.clone(),
        appservice_id: facts.appservice.clone(),
        // Roles are as varied as application services.
        role: facts.appservice.clone(),
        is_guest,
        admin,
        deactivated,
        locked,
        shadow_banned,
        suspended,
        erased,
        password_change_required,
        ..user.clone()
    }
}

/// Does a deed in the database and in the model.
fn play(tx: &mut Tx<'_>, all: &mut Vec<Person>, deed: &Deed) -> Result<(), DbError> {
    if let Deed::Create(name, facts) = deed {
        let user_id = format!("@{name}:{SERVER}");
        if all.iter().any(|person| person.user.user_id == user_id) {
            return Ok(());
        }
        let mut user = with_facts(&User::new(user_id, Millis::new(facts.created_s * 1000)), facts);
        user.num = users::insert(tx, &user, None)?;
        all.push(Person {
            user,
            devices: BTreeSet::new(),
            emails: BTreeSet::new(),
            phones: BTreeSet::new(),
            providers: BTreeSet::new(),
            uploads: Vec::new(),
            ips: BTreeSet::new(),
        });
        return Ok(());
    }
    if all.is_empty() {
        return Ok(());
    }
    let count = all.len();
    let now = Millis::new(1);
    match deed {
        Deed::Create(..) => {}
        Deed::Change(who, facts) => {
            let person = &mut all[who % count];
            let after = with_facts(&person.user, facts);
            users::update(tx, &person.user, &after)?;
            person.user = after;
        }
        Deed::Seen(who, s, ip) => {
            let person = &mut all[who % count];
            let ts = Millis::new(s * 1000);
            connections::record(
                tx,
                &Connection {
                    user_num: person.user.num,
                    token_hash: TokenHash::default(),
                    ip: address(*ip),
                    user_agent: String::new(),
                    device_id: None,
                    last_seen_ts: ts,
                },
            )?;
            person.ips.insert(*ip);
            users::touch_last_seen(tx, person.user.num, ts)?;
            person.user.last_seen_ts = person.user.last_seen_ts.max(Some(ts));
        }
        Deed::Device(who, device, add) => {
            let person = &mut all[who % count];
            let id = format!("D{device}");
            if *add {
                devices::insert(tx, person.user.num, &id, None, now)?;
                person.devices.insert(*device);
            } else {
                devices::delete(tx, person.user.num, &id)?;
                person.devices.remove(device);
            }
        }
        Deed::Email(who, address, add) => threepid(tx, all, who % count, ("email", address), *add)?,
        Deed::Phone(who, address, add) => threepid(tx, all, who % count, ("msisdn", address), *add)?,
        Deed::Provider(who, provider, add) => {
            let person = &mut all[who % count];
            let id = ExternalId { auth_provider: provider.clone(), external_id: person.user.user_id.clone() };
            let known = (id.auth_provider.clone(), id.external_id.clone());
            if *add && person.providers.insert(known.clone()) {
                external_ids::insert(tx, person.user.num, &id)?;
            } else if !add && person.providers.remove(&known) {
                external_ids::delete(tx, person.user.num, &id)?;
            }
        }
        Deed::Upload(who, size) => {
            let person = &mut all[who % count];
            media_users::add(tx, person.user.num, *size)?;
            person.uploads.push(*size);
        }
        Deed::Remove(who) => {
            let person = &mut all[who % count];
            if let Some(size) = person.uploads.pop() {
                media_users::remove(tx, person.user.num, size)?;
            }
        }
    }
    Ok(())
}

/// Gives an address to an account, which takes it from another one, or removes it.
fn threepid(
    tx: &mut Tx<'_>,
    all: &mut [Person],
    at: usize,
    (medium, address): (&str, &str),
    add: bool,
) -> Result<(), DbError> {
    let num = all[at].user.num;
    let set = |person: &mut Person, add: bool| {
        let own = if medium == "email" { &mut person.emails } else { &mut person.phones };
        if add { own.insert(address.to_owned()) } else { own.remove(address) }
    };
    if add {
        threepids::put(tx, num, medium, address, Millis::new(1))?;
        for person in all.iter_mut() {
            set(person, false);
        }
        set(&mut all[at], true);
    } else {
        threepids::delete(tx, num, medium, address)?;
        set(&mut all[at], false);
    }
    Ok(())
}

/// The addresses of clients, of both kinds; the last is none.
fn address(ip: u8) -> String {
    match ip {
        0..=2 => format!("10.0.{ip}.7"),
        3 => "::ffff:10.0.1.9".to_owned(),
        4 => "2001:db8::1".to_owned(),
        _ => "unix".to_owned(),
    }
}

fn selection() -> impl Strategy<Value = Selection> {
    let flag = || prop::option::weighted(0.15, any::<bool>());
    let time = || prop::option::weighted(0.15, (0..6_i64).prop_map(|s| Millis::new(s * 1000)));
    let text = |words| prop::option::weighted(0.12, word(words));
    let only = (flag(), flag());
    let locked = prop::option::weighted(0.5, any::<bool>());
    let flags = (flag(), flag(), locked, flag(), flag(), flag(), flag(), flag());
    let times = (time(), time(), time(), time(), flag());
    let texts = (
        text(&["", "bot", "support", "none"]),
        text(&["", "bridge", "irc", "none"]),
        text(&["EXAMPLE", "@", "o", "ann@example.org", "xyz"]),
        text(&["+49 1", "5", "12025550123", "999"]),
        text(&["oidc-a", "saml", "none"]),
        text(&["a", "ann", "1", "äda", "xyz"]),
        text(&["@a", "b", ":test", "1:t"]),
        text(&["10.0.0.0/8", "10.0.1.9", "10.0.1.0/24", "2001:db8::/32", "::/0"]),
        text(&["", "owner", "bridge", "none"]),
    );
    let others =
        (flag(), prop::option::weighted(0.15, 0..12_i64), prop::collection::vec(word(&["", "bot"]), 0..2));
    (flags, only, times, texts, others).prop_map(|(flags, only, times, texts, others)| {
        let (guests, deactivated, locked, admins, suspended, shadow_banned, erased, password_change_required) =
            flags;
        let (created_after, created_before, last_seen_after, last_seen_before, never_seen) = times;
        let (user_type, appservice, email, phone, external_provider, name, user_id, ip, role) = texts;
        let (has_devices, media_size_over, mut not_user_type) = others;
        // Selections that contradict themselves are refused before they get here.
        let in_order = |after: Option<Millis>, before: Option<Millis>| {
            (after, before.filter(|before| after.is_none_or(|after| after < *before)))
        };
        let (created_after, created_before) = in_order(created_after, created_before);
        let (last_seen_after, last_seen_before) = in_order(
            last_seen_after.filter(|_| never_seen.is_none()),
            last_seen_before.filter(|_| never_seen.is_none()),
        );
        not_user_type.retain(|excluded| Some(excluded) != user_type.as_ref());
        let (is_guest, is_locked) = only;
        let guests = guests.filter(|guests| *guests || is_guest != Some(true));
        let locked = locked.filter(|locked| *locked || is_locked != Some(true));
        Selection {
            name,
            user_id,
            guests,
            is_guest,
            deactivated,
            locked,
            is_locked,
            admins,
            not_user_type,
            user_type,
            appservice,
            role,
            suspended,
            shadow_banned,
            erased,
            password_change_required,
            created_after,
            created_before,
            last_seen_after,
            last_seen_before,
            never_seen,
            email,
            phone,
            external_provider,
            ip: ip.map(|ip| ip.parse().unwrap()),
            has_devices,
            media_size_over,
        }
    })
}

/// Returns true if the model has an account in a selection.
fn has(person: &Person, selection: &Selection) -> bool {
    let user = &person.user;
    let agrees = |wanted: Option<bool>, is: bool| wanted.is_none_or(|wanted| wanted == is);
    let equals = |wanted: &Option<String>, is: &Option<String>| {
        wanted.as_ref().is_none_or(|wanted| *wanted == is.clone().unwrap_or_default())
    };
    let within = |after: Option<Millis>, before: Option<Millis>, ts: Option<Millis>| {
        after.is_none_or(|after| ts.is_some_and(|ts| ts >= after))
            && before.is_none_or(|before| ts.is_some_and(|ts| ts < before))
    };
    let folded = |text: &str| text.to_lowercase();
    let named = selection.name.as_ref().is_none_or(|name| {
        let displayname = user.displayname.as_deref().unwrap_or_default();
        folded(user.localpart()).contains(&folded(name)) || folded(displayname).contains(&folded(name))
    });
    let by_id = selection.name.is_some()
        || selection.user_id.as_ref().is_none_or(|id| folded(&user.user_id).contains(&folded(id)));
    let digits = |text: &String| text.chars().filter(char::is_ascii_digit).collect::<String>();
    let is_in = |network: &Network| {
        person.ips.iter().any(|ip| address(*ip).parse().is_ok_and(|ip| network.contains(ip)))
    };
    let uploads: i64 = person.uploads.iter().sum();
    named
        && by_id
        && (selection.guests != Some(false) || !user.is_guest)
        && (selection.locked == Some(true) || selection.is_locked == Some(true) || !user.locked)
        && agrees(selection.is_guest, user.is_guest)
        && agrees(selection.is_locked, user.locked)
        && agrees(selection.deactivated, user.deactivated)
        && agrees(selection.admins, user.admin)
        && agrees(selection.suspended, user.suspended)
        && agrees(selection.shadow_banned, user.shadow_banned)
        && agrees(selection.erased, user.erased)
        && agrees(selection.password_change_required, user.password_change_required)
        && agrees(selection.never_seen, user.last_seen_ts.is_none())
        && agrees(selection.has_devices, !person.devices.is_empty())
        && !selection.not_user_type.contains(&user.user_type.clone().unwrap_or_default())
        && equals(&selection.user_type, &user.user_type)
        && equals(&selection.appservice, &user.appservice_id)
        && equals(&selection.role, &user.role().map(str::to_owned))
        && within(selection.created_after, selection.created_before, Some(user.created_ts))
        && within(selection.last_seen_after, selection.last_seen_before, user.last_seen_ts)
        && selection.email.as_ref().is_none_or(|text| person.emails.iter().any(|e| e.contains(&folded(text))))
        && selection.phone.as_ref().is_none_or(|text| person.phones.iter().any(|p| p.contains(&digits(text))))
        && selection.external_provider.as_ref().is_none_or(|p| person.providers.iter().any(|(of, _)| of == p))
        && selection.ip.as_ref().is_none_or(is_in)
        && selection.media_size_over.is_none_or(|size| uploads > size)
}

/// Returns the accounts of a selection in the model, in order.
fn expected(all: &[Person], selection: &Selection, order_by: OrderBy, descending: bool) -> Vec<UserNum> {
    let mut found: Vec<&User> =
        all.iter().filter(|person| has(person, selection)).map(|person| &person.user).collect();
    let key = |user: &User| -> (bool, String) {
        let flag = |flag: bool| Some(flag.to_string());
        let time = |ts: Millis| format!("{:020}", ts.get());
        let value = match order_by {
            OrderBy::Name => Some(user.user_id.clone()),
            OrderBy::Column(Column::Displayname) => user.displayname.clone(),
            OrderBy::Column(Column::AvatarUrl) => user.avatar_url.clone(),
            OrderBy::Column(Column::CreatedTs) => Some(time(user.created_ts)),
            OrderBy::Column(Column::LastSeenTs) => user.last_seen_ts.map(time),
            OrderBy::UserType => user.user_type.clone(),
            OrderBy::Flag(Flag::IsGuest) => flag(user.is_guest),
            OrderBy::Flag(Flag::Admin) => flag(user.admin),
            OrderBy::Flag(Flag::Deactivated) => flag(user.deactivated),
            OrderBy::Flag(Flag::ShadowBanned) => flag(user.shadow_banned),
            OrderBy::Flag(Flag::Locked) => flag(user.locked),
        };
        (value.is_none(), value.unwrap_or_default())
    };
    if descending {
        found.sort_by_key(|user| (Reverse(key(user)), user.user_id.clone()));
    } else {
        found.sort_by_key(|user| (key(user), user.user_id.clone()));
    }
    found.into_iter().map(|user| user.num).collect()
}

#[derive(Clone, Debug)]
struct Question {
    selection: Selection,
    order_by: OrderBy,
    descending: bool,
    from: usize,
    limit: usize,
}

fn question() -> impl Strategy<Value = Question> {
    let orders: Vec<OrderBy> = OrderBy::ALL.iter().map(|(_, order_by)| *order_by).collect();
    (selection(), prop::sample::select(orders), any::<bool>(), 0..12_usize, 0..9_usize).prop_map(
        |(selection, order_by, descending, from, limit)| Question {
            selection,
            order_by,
            descending,
            from,
            limit,
        },
    )
}

/// Asks a roster, by offset and by place, and compares the answers with the model.
fn ask(
    tx: &reeve_db::ReadTx<'_>,
    roster: &Roster,
    all: &[Person],
    question: &Question,
) -> Result<Result<(), String>, DbError> {
    let Question { selection, order_by, descending, from, limit } = question;
    let (order_by, descending) = (*order_by, *descending);
    let model = expected(all, selection, order_by, descending);
    let limit_i64 = i64::try_from(*limit).unwrap();
    let asked = |start| Asked { order_by, descending, start, limit: limit_i64 };
    let start = Start::Offset(i64::try_from(*from).unwrap());
    let mut page = roster.page(tx, SERVER, selection, &asked(start))?.unwrap();
    let mut at = *from;
    loop {
        let right: Vec<UserNum> = model.iter().skip(at).take(*limit).copied().collect();
        let total = i64::try_from(model.len()).unwrap();
        if (&page.nums, page.total) != (&right, total) {
            return Ok(Err(format!("{page:?} instead of {right:?} of {total} at {at} for {question:?}")));
        }
        let Some(next) = page.next else { break };
        at += limit;
        page = roster.page(tx, SERVER, selection, &asked(Start::After(next)))?.unwrap();
    }
    if *limit > 0 && at + limit < model.len() {
        return Ok(Err(format!("the pages end at {at} of {} for {question:?}", model.len())));
    }
    chosen_as_a_whole(tx, roster, all, question)
}

/// Compares the chosen accounts with the model: by number, by user id, and by role.
fn chosen_as_a_whole(
    tx: &reeve_db::ReadTx<'_>,
    roster: &Roster,
    all: &[Person],
    question: &Question,
) -> Result<Result<(), String>, DbError> {
    let selection = &question.selection;
    let chosen = roster.choose(tx, SERVER, selection)?;
    let by_name = expected(all, selection, OrderBy::Name, false);
    let (mut walked, mut after) = (Vec::new(), None);
    loop {
        let some = roster.by_name(tx, &chosen, after, question.limit + 1)?;
        walked.extend(&some);
        after = some.last().copied();
        if some.len() <= question.limit {
            break;
        }
    }
    let mut by_number = by_name.clone();
    by_number.sort_unstable();
    let mut roles = std::collections::BTreeMap::new();
    for person in all.iter().filter(|person| has(person, selection)) {
        *roles.entry(person.user.role().map(str::to_owned)).or_default() += 1_i64;
    }
    let found = (walked, chosen.nums().collect::<Vec<_>>(), roster.roles(tx, &chosen)?);
    let is_right =
        found == (by_name, by_number, roles) && chosen.count() == i64::try_from(found.1.len()).unwrap();
    Ok(if is_right { Ok(()) } else { Err(format!("{found:?} for {selection:?}")) })
}

fn selections_agree_with_the_model(engine: Engine, cases: u32) {
    let runtime = runtime();
    let mut runner = TestRunner::new(Config { cases, failure_persistence: None, ..Config::default() });
    let number = std::cell::Cell::new(0);
    let round =
        (prop::collection::vec(deed(), 0..60), prop::collection::vec(question(), 1..12), any::<bool>());
    let strategy = prop::collection::vec(round, 3..7);
    let outcome = runner.run(&strategy, |rounds| {
        number.set(number.get() + 1);
        let fresh = fresh(&runtime, engine, &format!("select_{}", number.get()));
        // One roster follows all changes, as that of one process; another one misses some rounds.
        let rosters = [Arc::new(Roster::default()), Arc::new(Roster::default())];
        let mut all: Vec<Person> = Vec::new();
        for (deeds, questions, both) in rounds {
            let there = all.clone();
            let played = fresh.db.write(move |tx| -> Result<Vec<Person>, DbError> {
                let mut all = there.clone();
                deeds.iter().try_for_each(|deed| play(tx, &mut all, deed))?;
                Ok(all)
            });
            all = runtime.block_on(played).unwrap();
            for roster in rosters.iter().take(if both { 2 } else { 1 }) {
                let (roster, all, questions) = (Arc::clone(roster), all.clone(), questions.clone());
                let asked = fresh.db.read(move |tx| -> Result<Result<(), String>, DbError> {
                    for question in &questions {
                        if let Err(difference) = ask(tx, &roster, &all, question)? {
                            return Ok(Err(difference));
                        }
                    }
                    Ok(Ok(()))
                });
                let answer =
                    runtime.block_on(asked).map_err(|error| TestCaseError::fail(error.to_string()))?;
                answer.map_err(TestCaseError::fail)?;
            }
        }
        fresh.close(&runtime);
        Ok(())
    });
    if let Err(error) = outcome {
        panic!("{error}");
    }
}

#[test]
fn selections_agree_with_the_model_on_sqlite() {
    selections_agree_with_the_model(Engine::Sqlite, 60);
}

#[test]
fn selections_agree_with_the_model_on_postgres() {
    if reeve_test_postgres::available() {
        selections_agree_with_the_model(Engine::Postgres, 12);
    }
}

/// Creates accounts, alternately suspended.
fn create(runtime: &tokio::runtime::Runtime, db: &Db, names: std::ops::Range<i64>) {
    let created = db.write(move |tx| -> Result<(), DbError> {
        for name in names.clone() {
            let user = User::new(format!("@u{name:03}:{SERVER}"), Millis::ZERO);
            users::insert(tx, &User { suspended: name % 2 == 0, ..user }, None)?;
        }
        Ok(())
    });
    runtime.block_on(created).unwrap();
}

fn suspend_all(runtime: &tokio::runtime::Runtime, db: &Db, suspended: bool) {
    let changed = db.write(move |tx| -> Result<(), DbError> {
        for num in 1..=users::highest_num(tx)?.get() {
            if let Some(before) = users::by_num(tx, UserNum::new(num))? {
                users::update(tx, &before, &User { suspended, ..before.clone() })?;
            }
        }
        Ok(())
    });
    runtime.block_on(changed).unwrap();
}

const SUSPENDED: fn() -> Selection = || Selection { suspended: Some(true), ..Selection::default() };

fn count(runtime: &tokio::runtime::Runtime, db: &Db, roster: &Arc<Roster>) -> i64 {
    let roster = Arc::clone(roster);
    runtime
        .block_on(db.read(move |tx| Ok::<_, DbError>(roster.choose(tx, SERVER, &SUSPENDED())?.count())))
        .unwrap()
}

/// A transaction of its own thread that reads when it is told to, in the snapshot that it began with.
struct Held<T> {
    go: mpsc::Sender<()>,
    reading: std::thread::JoinHandle<Result<T, DbError>>,
}

impl<T: Send + 'static> Held<T> {
    fn begin(db: &Db, read: impl Fn(&reeve_db::ReadTx<'_>) -> Result<T, DbError> + Send + 'static) -> Self {
        let (began, has_begun) = mpsc::channel();
        let (go, may_go) = mpsc::channel::<()>();
        let (may_go, db) = (std::sync::Mutex::new(may_go), db.clone());
        let reading = std::thread::spawn(move || {
            super::runtime().block_on(db.read(move |tx| {
                users::highest_num(tx)?;
                began.send(()).unwrap();
                may_go.lock().unwrap().recv().unwrap();
                read(tx)
            }))
        });
        has_begun.recv().unwrap();
        Self { go, reading }
    }

    fn end(self) -> T {
        self.go.send(()).unwrap();
        self.reading.join().unwrap().unwrap()
    }
}

/// Opens the database again with enough threads for transactions beside each other.
fn with_threads(runtime: &tokio::runtime::Runtime, fresh: Fresh) -> Fresh {
    let Fresh { db, folder, postgres, url } = fresh;
    runtime.block_on(db.close());
    let options = Options { readers: 6, connections: 14, ..Options::default() };
    let db = runtime.block_on(Db::open(&url, options, crate::MIGRATIONS)).unwrap();
    Fresh { db, folder, postgres, url }
}

/// Many transactions at once load the roster, its addresses, and the whole after very many changes, once each.
fn loads_are_done_once(engine: Engine) {
    const HELD: usize = 5;
    let runtime = runtime();
    let fresh = with_threads(&runtime, fresh(&runtime, engine, "once"));
    create(&runtime, &fresh.db, 0..120);
    let roster = Arc::new(Roster::default());
    let ask = |selection: fn() -> Selection| {
        // All have begun before the first one looks at the roster.
        let held: Vec<_> = (0..HELD)
            .map(|_| {
                let roster = Arc::clone(&roster);
                Held::begin(&fresh.db, move |tx| Ok(roster.choose(tx, SERVER, &selection())?.count()))
            })
            .collect();
        for one in &held {
            one.go.send(()).unwrap();
        }
        let counts: BTreeSet<i64> =
            held.into_iter().map(|one| one.reading.join().unwrap().unwrap()).collect();
        (counts.into_iter().collect::<Vec<_>>(), roster.loads())
    };
    // Other databases of the same PostgreSQL move its snapshots on, and each of those that are older than what was loaded loads
    // for itself.
    let most = match engine {
        Engine::Sqlite => 1,
        Engine::Postgres => HELD,
    };
    let mut before = 0;
    let mut check = |selection: fn() -> Selection, count: i64, loads: std::ops::RangeInclusive<usize>| {
        let (counts, after) = ask(selection);
        assert_eq!(counts, [count]);
        assert!(loads.contains(&(after - before)), "{before} loads, then {after}");
        before = after;
    };
    let with_email = || Selection { email: Some("@".to_owned()), ..Selection::default() };
    check(SUSPENDED, 60, 1..=most);
    check(with_email, 0, 1..=most);
    suspend_all(&runtime, &fresh.db, true);
    check(SUSPENDED, 120, 1..=most);
    check(with_email, 0, 0..=most - 1);
    fresh.close(&runtime);
}

#[test]
fn loads_are_done_once_on_sqlite() {
    loads_are_done_once(Engine::Sqlite);
}

#[test]
fn loads_are_done_once_on_postgres() {
    if reeve_test_postgres::available() {
        loads_are_done_once(Engine::Postgres);
    }
}

/// A load that fails is the failure of one answer: each of those that waited loads, and so does who comes later.
fn a_load_that_fails_lets_the_next_one_load(engine: Engine) {
    reeve_db::statements! {
        RAISE = "UPDATE users SET num = 9000000000 WHERE num = 1";
        LOWER = "UPDATE users SET num = 1 WHERE num = 9000000000";
    }
    let runtime = runtime();
    let fresh = with_threads(&runtime, fresh(&runtime, engine, "fails"));
    create(&runtime, &fresh.db, 0..20);
    let run = |statement: &'static reeve_db::Statement| {
        let run = fresh.db.write(move |tx: &mut Tx<'_>| tx.execute(statement, &[]));
        assert_eq!(runtime.block_on(run).unwrap(), 1);
    };
    let roster = Arc::new(Roster::default());
    // A number that fits into no roster.
    run(&RAISE);
    let held: Vec<_> = (0..4)
        .map(|_| {
            let roster = Arc::clone(&roster);
            Held::begin(&fresh.db, move |tx| Ok(roster.choose(tx, SERVER, &SUSPENDED())?.count()))
        })
        .collect();
    for one in &held {
        one.go.send(()).unwrap();
    }
    for one in held {
        let failed = one.reading.join().unwrap();
        assert!(matches!(failed, Err(DbError::Internal(_))), "{failed:?}");
    }
    assert_eq!(roster.loads(), 4);
    run(&LOWER);
    assert_eq!((count(&runtime, &fresh.db, &roster), roster.loads()), (10, 5));
    fresh.close(&runtime);
}

#[test]
fn a_load_that_fails_lets_the_next_one_load_on_sqlite() {
    a_load_that_fails_lets_the_next_one_load(Engine::Sqlite);
}

#[test]
fn a_load_that_fails_lets_the_next_one_load_on_postgres() {
    if reeve_test_postgres::available() {
        a_load_that_fails_lets_the_next_one_load(Engine::Postgres);
    }
}

/// Addresses that an old snapshot loads serve all later ones, although the roster has moved on: those of accounts that changed
/// meanwhile are read again.
fn addresses_are_loaded_while_accounts_change(engine: Engine) {
    let runtime = runtime();
    let fresh = with_threads(&runtime, fresh(&runtime, engine, "addresses"));
    create(&runtime, &fresh.db, 0..20);
    let put = |num: i64, address: &str| {
        let address = address.to_owned();
        let put =
            move |tx: &mut Tx<'_>| threepids::put(tx, UserNum::new(num), "email", &address, Millis::ZERO);
        runtime.block_on(fresh.db.write(put)).unwrap();
    };
    put(1, "one@example.org");
    put(2, "two@example.org");
    let roster = Arc::new(Roster::default());
    assert_eq!(count(&runtime, &fresh.db, &roster), 10);
    let found = |roster: &Arc<Roster>| {
        let roster = Arc::clone(roster);
        move |tx: &reeve_db::ReadTx<'_>| -> Result<Vec<i64>, DbError> {
            let selection = Selection { email: Some("example.org".to_owned()), ..Selection::default() };
            Ok(roster.choose(tx, SERVER, &selection)?.nums().map(UserNum::get).collect())
        }
    };
    let old = Held::begin(&fresh.db, found(&roster));
    put(3, "three@example.org");
    put(2, "two@other.org");
    let delete = |tx: &mut Tx<'_>| threepids::delete(tx, UserNum::new(2), "email", "two@example.org");
    runtime.block_on(fresh.db.write(delete)).unwrap();
    // The roster moves on without addresses.
    assert_eq!(count(&runtime, &fresh.db, &roster), 10);
    assert_eq!(old.end(), [1, 2]);
    assert_eq!(roster.loads(), 2, "the roster and its addresses");
    assert_eq!(runtime.block_on(fresh.db.read(found(&roster))).unwrap(), [1, 3]);
    put(4, "four@example.org");
    assert_eq!(runtime.block_on(fresh.db.read(found(&roster))).unwrap(), [1, 3, 4]);
    assert_eq!(roster.loads(), 2);
    fresh.close(&runtime);
}

#[test]
fn addresses_are_loaded_while_accounts_change_on_sqlite() {
    addresses_are_loaded_while_accounts_change(Engine::Sqlite);
}

#[test]
fn addresses_are_loaded_while_accounts_change_on_postgres() {
    if reeve_test_postgres::available() {
        addresses_are_loaded_while_accounts_change(Engine::Postgres);
    }
}

/// While a transaction is open, its changes may come at a position far below the present end. Pruning does not cut rosters off
/// from them, and they need not read all accounts again.
#[test]
fn pruning_waits_for_open_transactions_on_postgres() {
    if !reeve_test_postgres::available() {
        return;
    }
    let runtime = runtime();
    let fresh = fresh(&runtime, Engine::Postgres, "open");
    create(&runtime, &fresh.db, 0..20);
    let roster = Arc::new(Roster::default());
    assert_eq!(count(&runtime, &fresh.db, &roster), 10);
    let mut client = reeve_test_postgres::connect_to(&fresh.url.to_string());
    client.batch_execute("BEGIN; UPDATE users SET suspended = 1 WHERE num = 2").unwrap();
    for next in 20..70 {
        create(&runtime, &fresh.db, next..next + 1);
        while runtime.block_on(fresh.db.write(version::prune)).unwrap() {}
        assert_eq!(count(&runtime, &fresh.db, &roster), i64::midpoint(next, 2));
    }
    assert_eq!(roster.loads(), 1);
    client.batch_execute("COMMIT").unwrap();
    assert_eq!(count(&runtime, &fresh.db, &roster), 36);
    assert_eq!(roster.loads(), 1);
    // Then the log is cut.
    create(&runtime, &fresh.db, 70..71);
    while runtime.block_on(fresh.db.write(version::prune)).unwrap() {}
    let left: i64 = client.query_one("SELECT count(*) FROM user_changes", &[]).unwrap().get(0);
    assert!(left < 40, "{left} changes are kept");
    drop(client);
    fresh.close(&runtime);
}

/// What was chosen stays the same while accounts change, and is walked over in short transactions.
#[test]
fn what_was_chosen_stays() {
    let runtime = runtime();
    let fresh = fresh(&runtime, Engine::Sqlite, "chosen");
    create(&runtime, &fresh.db, 0..20);
    let roster = Arc::new(Roster::default());
    let known = Arc::clone(&roster);
    let chosen = runtime.block_on(fresh.db.read(move |tx| known.choose(tx, SERVER, &SUSPENDED()))).unwrap();
    let chosen = Arc::new(chosen);
    let mut after = None;
    let mut walked = Vec::new();
    for round in 0..5 {
        let (known, chosen) = (Arc::clone(&roster), Arc::clone(&chosen));
        let some = runtime.block_on(fresh.db.read(move |tx| known.by_name(tx, &chosen, after, 3))).unwrap();
        after = some.last().copied();
        walked.extend(some.into_iter().map(UserNum::get));
        create(&runtime, &fresh.db, 20 + round..21 + round);
        suspend_all(&runtime, &fresh.db, round % 2 == 0);
    }
    assert_eq!(walked, (0..10).map(|half| 2 * half + 1).collect::<Vec<_>>());
    fresh.close(&runtime);
}

/// A snapshot gets its own answer from a roster that is ahead of it: a little, so that changed accounts are read again; and
/// far, so that all are.
fn an_old_snapshot_keeps_its_answer(engine: Engine) {
    let runtime = runtime();
    let fresh = with_threads(&runtime, fresh(&runtime, engine, "snapshot"));
    let db = fresh.db.clone();
    let roster = Arc::new(Roster::default());
    create(&runtime, &db, 0..20);
    assert_eq!(count(&runtime, &db, &roster), 10);
    let (mut expected, mut next) = (10, 20);
    for many in [1, 3, 20, 100] {
        let old = Arc::clone(&roster);
        let held = Held::begin(&db, move |tx| {
            let all = users::highest_num(tx)?;
            let asked =
                Asked { order_by: OrderBy::Name, descending: true, start: Start::Offset(0), limit: 1000 };
            let page = old.page(tx, SERVER, &SUSPENDED(), &asked)?.unwrap();
            assert!(page.nums.iter().all(|num| *num <= all), "it has accounts from later");
            Ok((page.total, i64::try_from(page.nums.len()).unwrap()))
        });
        create(&runtime, &db, next..next + many);
        suspend_all(&runtime, &db, many % 2 == 0);
        next += many;
        let after = if many % 2 == 0 { next } else { 0 };
        assert_eq!(count(&runtime, &db, &roster), after);
        assert_eq!(held.end(), (expected, expected), "{many}");
        assert_eq!(count(&runtime, &db, &roster), after);
        expected = after;
    }
    fresh.close(&runtime);
}

#[test]
fn an_old_snapshot_keeps_its_answer_on_sqlite() {
    an_old_snapshot_keeps_its_answer(Engine::Sqlite);
}

#[test]
fn an_old_snapshot_keeps_its_answer_on_postgres() {
    if reeve_test_postgres::available() {
        an_old_snapshot_keeps_its_answer(Engine::Postgres);
    }
}

/// A roster for which changes are missing in the log reads all accounts again.
fn a_roster_survives_a_pruned_log(engine: Engine) {
    let runtime = runtime();
    let fresh = fresh(&runtime, engine, "pruned");
    let rosters = [Arc::new(Roster::default()), Arc::new(Roster::default())];
    create(&runtime, &fresh.db, 0..10);
    assert_eq!(rosters.each_ref().map(|roster| count(&runtime, &fresh.db, roster)), [5, 5]);
    suspend_all(&runtime, &fresh.db, true);
    runtime.block_on(fresh.db.write(version::forget)).unwrap();
    while runtime.block_on(fresh.db.write(version::prune)).unwrap() {}
    assert_eq!(count(&runtime, &fresh.db, &rosters[0]), 10);
    create(&runtime, &fresh.db, 10..12);
    assert_eq!(rosters.each_ref().map(|roster| count(&runtime, &fresh.db, roster)), [11, 11]);
    fresh.close(&runtime);
}

#[test]
fn a_roster_survives_a_pruned_log_on_sqlite() {
    a_roster_survives_a_pruned_log(Engine::Sqlite);
}

#[test]
fn a_roster_survives_a_pruned_log_on_postgres() {
    if reeve_test_postgres::available() {
        a_roster_survives_a_pruned_log(Engine::Postgres);
    }
}

/// A bulk load writes no changes, and is seen when it has ended.
#[test]
fn accounts_of_a_bulk_load_are_found() {
    let runtime = runtime();
    let fresh = fresh(&runtime, Engine::Sqlite, "bulk");
    let roster = Arc::new(Roster::default());
    let admins = || {
        let roster = Arc::clone(&roster);
        let selection = Selection { admins: Some(true), ..Selection::default() };
        runtime
            .block_on(
                fresh.db.read(move |tx| Ok::<_, DbError>(roster.choose(tx, SERVER, &selection)?.count())),
            )
            .unwrap()
    };
    create(&runtime, &fresh.db, 0..3);
    assert_eq!(admins(), 0);
    let facts = super::Facts {
        displayname: None,
        avatar_url: None,
        user_type: None,
        flags: [false, true, false, false, false],
        created_s: 1,
    };
    let mass: Vec<_> = (0..20).map(|name| super::Event::Create(format!("b{name}"), facts.clone())).collect();
    super::bring_in(&runtime, &fresh.db, &mass);
    assert_eq!(admins(), 20);
    fresh.close(&runtime);
}

/// Changes that others have not committed are never kept.
#[test]
fn a_roster_is_not_looked_at_while_writing() {
    let runtime = runtime();
    let fresh = fresh(&runtime, Engine::Sqlite, "writing");
    let roster = Arc::new(Roster::default());
    let refused = runtime.block_on(fresh.db.write(move |tx| roster.choose(tx, SERVER, &SUSPENDED())));
    assert!(matches!(refused, Err(DbError::Internal(_))), "{refused:?}");
    fresh.close(&runtime);
}

#[test]
fn selections_are_written_and_read_as_json() {
    let mut runner = TestRunner::new(Config { failure_persistence: None, ..Config::default() });
    runner
        .run(&selection(), |selection| {
            prop_assert_eq!(selection.check(), Ok(()));
            let text = serde_json::to_string(&selection).unwrap();
            prop_assert_eq!(serde_json::from_str::<Selection>(&text).unwrap(), selection);
            Ok(())
        })
        .unwrap();
    assert!(serde_json::from_str::<Selection>(r#"{"suspendet":true}"#).is_err());
    assert!(serde_json::from_str::<Selection>(r#"{"suspended":1}"#).is_err());
    assert!(serde_json::from_str::<Selection>(r#"{"ip":"10"}"#).is_err());
}

/// The keys of addresses that lack one are added, and the accounts are found before and after.
#[test]
fn old_connections_get_their_keys() {
    reeve_db::statements! {
        STRIP = "UPDATE user_connections SET ip_key = NULL WHERE user_num > 0";
    }
    let runtime = runtime();
    let fresh = fresh(&runtime, Engine::Sqlite, "keys");
    let found = || {
        let network: Network = "10.0.0.0/23".parse().unwrap();
        let mut found =
            runtime.block_on(fresh.db.read(move |tx| connections::in_network(tx, &network))).unwrap();
        found.sort_unstable();
        found.iter().map(|num| num.get()).collect::<Vec<_>>()
    };
    let record = |tx: &mut Tx<'_>| -> Result<(), DbError> {
        for ip in 0..6 {
            connections::record(
                tx,
                &Connection {
                    user_num: UserNum::new(i64::from(ip) + 1),
                    token_hash: TokenHash::default(),
                    ip: address(ip),
                    user_agent: String::new(),
                    device_id: None,
                    last_seen_ts: Millis::ZERO,
                },
            )?;
        }
        tx.execute(&STRIP, &[])?;
        Ok(())
    };
    runtime.block_on(fresh.db.write(record)).unwrap();
    assert_eq!(found(), [1, 2, 4]);
    assert!(runtime.block_on(fresh.db.write(connections::add_keys)).unwrap());
    assert!(!runtime.block_on(fresh.db.write(connections::add_keys)).unwrap());
    assert_eq!(found(), [1, 2, 4]);
    fresh.close(&runtime);
}
