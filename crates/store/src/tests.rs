//! Every statement on both engines, and lists against models.

mod mails;
mod media;
mod media_objects;
mod migrations;
mod oauth;
mod plans;
mod plans_postgres;
mod pushers;
mod retention;
mod schema;
mod selections;
mod webhooks;

use std::cmp::Reverse;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use reeve_db::{DatabaseUrl, Db, DbError, Engine, Migration, Options, Tx};
use reeve_model::{Millis, User};

use crate::lists::users::{self as list, Column, Filter, Flag, OrderBy, Term, bulk};
use crate::{MIGRATIONS, Paging, statements, users};

const SERVER: &str = "test";

/// A fresh database, with the folder or server that keeps it alive.
struct Fresh {
    db: Db,
    folder: Option<tempfile::TempDir>,
    postgres: Option<String>,
    url: DatabaseUrl,
}

fn fresh(runtime: &tokio::runtime::Runtime, engine: Engine, name: &str) -> Fresh {
    fresh_at(runtime, engine, name, MIGRATIONS)
}

/// Opens a fresh database to which only these migrations were applied.
fn fresh_at(
    runtime: &tokio::runtime::Runtime,
    engine: Engine,
    name: &str,
    migrations: &'static [Migration],
) -> Fresh {
    let (url, folder, postgres) = match engine {
        Engine::Sqlite => {
            let folder = tempfile::tempdir().unwrap();
            (DatabaseUrl::Sqlite(folder.path().join("reeve.db")), Some(folder), None)
        }
        Engine::Postgres => {
            let name = format!("reeve_store_{}_{name}", std::process::id());
            reeve_test_postgres::create(&name);
            (DatabaseUrl::Postgres(reeve_test_postgres::url_of(&name)), None, Some(name))
        }
    };
    let options = Options { readers: 1, connections: 2, ..Options::default() };
    let db = runtime.block_on(Db::open(&url, options, migrations)).unwrap();
    Fresh { db, folder, postgres, url }
}

impl Fresh {
    fn close(self, runtime: &tokio::runtime::Runtime) {
        runtime.block_on(self.db.close());
        drop(self.folder);
        if let Some(name) = self.postgres {
            reeve_test_postgres::drop_database(&name);
        }
    }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

fn every_statement_prepares(engine: Engine) {
    let runtime = runtime();
    let fresh = fresh(&runtime, engine, "prepare");
    assert!(statements().len() > 50, "the list of statements is not whole");
    let refused = runtime.block_on(fresh.db.prepare(&statements()));
    assert!(refused.is_empty(), "{refused:#?}");
    fresh.close(&runtime);
}

#[test]
fn every_statement_prepares_on_sqlite() {
    every_statement_prepares(Engine::Sqlite);
}

#[test]
fn every_statement_prepares_on_postgres() {
    if reeve_test_postgres::available() {
        every_statement_prepares(Engine::Postgres);
    }
}

/// An event of an account; `who` is taken modulo the number of accounts.
#[derive(Clone, Debug)]
enum Event {
    Create(String, Facts),
    Change(usize, Facts),
    Seen(usize, Millis),
}

#[derive(Clone, Debug)]
struct Facts {
    displayname: Option<String>,
    avatar_url: Option<String>,
    user_type: Option<String>,
    flags: [bool; 5],
    created_s: i64,
}

fn facts() -> impl Strategy<Value = Facts> {
    let name = prop_oneof![Just(None), Just(Some("Ann".to_owned())), r"[a-cA-CäÄ%_\\ ]{0,4}".prop_map(Some),];
    let user_type = prop_oneof![6 => Just(None), 1 => Just(Some("bot".to_owned())), 1 => Just(Some("support".to_owned()))];
    let avatar = prop_oneof![3 => Just(None), 1 => Just(Some("mxc://a/b".to_owned())), 1 => Just(Some("mxc://c/d".to_owned()))];
    (name, avatar, user_type, prop::array::uniform5(prop::bool::weighted(0.2)), 0..6_i64).prop_map(
        |(displayname, avatar_url, user_type, flags, created_s)| Facts {
            displayname,
            avatar_url,
            user_type,
            flags,
            created_s,
        },
    )
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        4 => ("[a-d0-9._-]{1,4}", facts()).prop_map(|(name, facts)| Event::Create(name, facts)),
        2 => (any::<usize>(), facts()).prop_map(|(who, facts)| Event::Change(who, facts)),
        1 => (any::<usize>(), 1..5_i64).prop_map(|(who, ts)| Event::Seen(who, Millis::new(ts * 1000))),
    ]
}

fn with_facts(user: &User, facts: &Facts) -> User {
    let [is_guest, admin, deactivated, locked, shadow_banned] = facts.flags;
    User {
        displayname: facts.displayname.clone(),
        avatar_url: facts.avatar_url.clone(),
        user_type: facts.user_type.clone(),
        is_guest,
        admin,
        deactivated,
        locked,
        shadow_banned,
        ..user.clone()
    }
}

#[derive(Clone, Debug)]
struct Question {
    filter: Filter,
    order_by: OrderBy,
    descending: bool,
    from: i64,
    limit: i64,
}

fn question() -> impl Strategy<Value = Question> {
    let term = prop_oneof![
        3 => Just(None),
        2 => r"[a-d0-9AÄä%_.\\]{1,3}".prop_map(|text| Some(Term::Name(text))),
        1 => "[@a-d0-9_:tes]{1,4}".prop_map(|text| Some(Term::UserId(text))),
    ];
    let flag = || prop_oneof![2 => Just(None), 1 => any::<bool>().prop_map(Some)];
    let types = prop::collection::vec(
        prop_oneof![Just(None), Just(Some("bot".to_owned())), Just(Some("other".to_owned()))],
        0..2,
    );
    let orders: Vec<OrderBy> = OrderBy::ALL.iter().map(|(_, order_by)| *order_by).collect();
    let filter = (term, flag(), flag(), flag(), flag(), types).prop_map(
        |(term, guests, deactivated, locked, admins, not_user_types)| Filter {
            term,
            guests,
            deactivated,
            locked,
            admins,
            not_user_types,
        },
    );
    (filter, prop::sample::select(orders), any::<bool>(), 0..40_i64, 0..20_i64).prop_map(
        |(filter, order_by, descending, from, limit)| Question { filter, order_by, descending, from, limit },
    )
}

/// Finds the expected page by comparing all accounts.
fn expected(all: &[User], question: &Question) -> (Vec<String>, i64) {
    let filter = &question.filter;
    let agrees = |wanted: Option<bool>, flag: bool| wanted.is_none_or(|wanted| wanted == flag);
    let mut found: Vec<&User> = all
        .iter()
        .filter(|user| {
            let matches = match &filter.term {
                None => true,
                Some(Term::Name(term)) => {
                    let term = term.to_lowercase();
                    user.localpart().to_lowercase().contains(&term)
                        || user.displayname.as_ref().is_some_and(|name| name.to_lowercase().contains(&term))
                }
                Some(Term::UserId(term)) => user.user_id.to_lowercase().contains(&term.to_lowercase()),
            };
            matches
                && agrees(filter.guests, user.is_guest)
                && agrees(filter.deactivated, user.deactivated)
                && agrees(filter.locked, user.locked)
                && agrees(filter.admins, user.admin)
                && !filter.not_user_types.contains(&user.user_type)
        })
        .collect();
    let key = |user: &User| -> (bool, String) {
        let flag = |flag: bool| Some(flag.to_string());
        let number = |number: i64| format!("{number:020}");
        let value = match question.order_by {
            OrderBy::Name => Some(user.user_id.clone()),
            OrderBy::Column(Column::Displayname) => user.displayname.clone(),
            OrderBy::Column(Column::AvatarUrl) => user.avatar_url.clone(),
            OrderBy::Column(Column::CreatedTs) => Some(number(user.created_ts.get())),
            OrderBy::Column(Column::LastSeenTs) => user.last_seen_ts.map(|ts| number(ts.get())),
            OrderBy::UserType => user.user_type.clone(),
            OrderBy::Flag(Flag::IsGuest) => flag(user.is_guest),
            OrderBy::Flag(Flag::Admin) => flag(user.admin),
            OrderBy::Flag(Flag::Deactivated) => flag(user.deactivated),
            OrderBy::Flag(Flag::ShadowBanned) => flag(user.shadow_banned),
            OrderBy::Flag(Flag::Locked) => flag(user.locked),
        };
        (value.is_none(), value.unwrap_or_default())
    };
    if question.descending {
        found.sort_by_key(|user| (Reverse(key(user)), user.user_id.clone()));
    } else {
        found.sort_by_key(|user| (key(user), user.user_id.clone()));
    }
    let total = i64::try_from(found.len()).unwrap();
    let from = usize::try_from(question.from).unwrap();
    let limit = usize::try_from(question.limit).unwrap();
    (found.iter().skip(from).take(limit).map(|user| user.user_id.clone()).collect(), total)
}

reeve_db::statements! {
    /// The indexes of accounts, the oldest first.
    INDEXES = {
        sqlite: "SELECT coalesce(sql, '') FROM sqlite_master WHERE type = 'index' AND tbl_name = 'users' ORDER BY rowid",
        postgres: "SELECT indexdef FROM pg_indexes WHERE tablename = 'users' ORDER BY indexname",
    };
}

/// The indexes of all accounts in the order of their creation, since SQLite counts in the newest, and then the partial ones.
fn indexes(runtime: &tokio::runtime::Runtime, db: &Db) -> Vec<String> {
    let mut indexes: Vec<String> =
        runtime.block_on(db.read(|tx| tx.query(&INDEXES, &[], |row| row.get(0)))).unwrap();
    indexes.sort_by_key(|sql| sql.contains("WHERE").then(|| sql.clone()));
    indexes
}

/// Imports all accounts that these events create, and rebuilds lists and search.
fn bring_in(runtime: &tokio::runtime::Runtime, db: &Db, events: &[Event]) -> Vec<User> {
    let before = indexes(runtime, db);
    runtime.block_on(db.write(bulk::begin)).unwrap();
    let events = events.to_vec();
    let users = runtime.block_on(db.write(move |tx| -> Result<_, DbError> {
        let mut all: Vec<User> = Vec::new();
        for event in &events {
            let Event::Create(name, facts) = event else { continue };
            let user = with_facts(
                &User::new(format!("@{name}:{SERVER}"), Millis::new(facts.created_s * 1000)),
                facts,
            );
            if users::num(tx, &user.user_id)?.is_none() {
                let num = bulk::insert(tx, &user, None)?;
                all.push(User { num, ..user });
            }
        }
        Ok(all)
    }));
    assert!(runtime.block_on(db.read(bulk::is_pending)).unwrap());
    let step = |tx: &mut Tx<'_>| -> Result<bool, DbError> {
        let searched = bulk::searched(tx)?.unwrap();
        let keys = bulk::unsearched(tx, searched, 7)?;
        let documents: Vec<_> = keys.iter().map(|(num, key)| (*num, bulk::search_document(key))).collect();
        bulk::add_to_search(tx, &documents)?;
        bulk::finish(tx)
    };
    for index in 0..bulk::INDEXES {
        runtime.block_on(db.write(move |tx| bulk::build_index(tx, index))).unwrap();
    }
    while !runtime.block_on(db.write(step)).unwrap() {}
    assert!(!runtime.block_on(db.read(bulk::is_pending)).unwrap());
    assert_eq!(indexes(runtime, db), before);
    users.unwrap()
}

/// Plays events into the database and into a model of its list; returns the model.
fn play(runtime: &tokio::runtime::Runtime, db: &Db, events: &[Event], there: &[User]) -> Vec<User> {
    let (events, there) = (events.to_vec(), there.to_vec());
    let played = db.write(move |tx| -> Result<Vec<User>, DbError> {
        let mut all = there.clone();
        for event in &events {
            match event {
                Event::Create(name, facts) => {
                    let user_id = format!("@{name}:{SERVER}");
                    if all.iter().any(|user| user.user_id == user_id) {
                        continue;
                    }
                    let empty = User::new(user_id, Millis::new(facts.created_s * 1000));
                    let mut user = with_facts(&empty, facts);
                    user.num = users::insert(tx, &user, None)?;
                    all.push(user);
                }
                Event::Change(who, facts) if !all.is_empty() => {
                    let at = who % all.len();
                    let after = with_facts(&all[at], facts);
                    users::update(tx, &all[at], &after)?;
                    all[at] = after;
                }
                Event::Seen(who, ts) if !all.is_empty() => {
                    let at = who % all.len();
                    users::touch_last_seen(tx, all[at].num, *ts)?;
                    all[at].last_seen_ts = all[at].last_seen_ts.max(Some(*ts));
                }
                Event::Change(..) | Event::Seen(..) => {}
            }
        }
        Ok(all)
    });
    runtime.block_on(played).unwrap()
}

fn lists_agree_with_the_model(engine: Engine, cases: u32) {
    let runtime = runtime();
    let mut runner = TestRunner::new(Config { cases, failure_persistence: None, ..Config::default() });
    let number = std::cell::Cell::new(0);
    let strategy = (
        prop::collection::vec(event(), 30..150),
        prop::option::of(any::<usize>()),
        prop::collection::vec(question(), 60..100),
    );
    let outcome = runner.run(&strategy, |(events, bulk, questions)| {
        number.set(number.get() + 1);
        let fresh = fresh(&runtime, engine, &format!("list_{}", number.get()));
        // On SQLite accounts can also be imported in bulk, before others or among them.
        let mut all = Vec::new();
        let mut rest = &*events;
        if let Some(bulk) = bulk.filter(|_| engine == Engine::Sqlite) {
            let (first, later) = events.split_at(bulk % events.len());
            let (mass, last) = later.split_at(later.len() / 2);
            all = play(&runtime, &fresh.db, first, &all);
            let mass: Vec<Event> = mass
                .iter()
                .filter(|event| match event {
                    Event::Create(name, _) => !all.iter().any(|user| user.localpart() == name),
                    _ => false,
                })
                .cloned()
                .collect();
            all.extend(bring_in(&runtime, &fresh.db, &mass));
            rest = last;
        }
        let all = play(&runtime, &fresh.db, rest, &all);
        for question in questions {
            let asked = question.clone();
            let page = runtime.block_on(fresh.db.read(move |tx| {
                let paging = Paging { from: asked.from, limit: asked.limit };
                list::page(tx, SERVER, &asked.filter, asked.order_by, asked.descending, paging)
            }));
            let page = page.map_err(|error| TestCaseError::fail(error.to_string()))?;
            let ids: Vec<String> = page.users.iter().map(|user| user.user_id.clone()).collect();
            prop_assert_eq!((ids, page.total), expected(&all, &question), "{:?}", question);
            for user in &page.users {
                prop_assert!(all.contains(user), "{:?}", user);
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
fn lists_agree_with_the_model_on_sqlite() {
    lists_agree_with_the_model(Engine::Sqlite, 40);
}

#[test]
fn lists_agree_with_the_model_on_postgres() {
    if reeve_test_postgres::available() {
        lists_agree_with_the_model(Engine::Postgres, 12);
    }
}
