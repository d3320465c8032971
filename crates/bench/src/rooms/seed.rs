//! Creates the rooms in the database, through the functions that requests use.

use std::sync::Arc;

use reeve_db::{Db, DbError, Options, Tx};
use reeve_model::session::hash_token;
use reeve_model::{Clock, Ctx, User};
use reeve_model::{Millis, clock::monotonic};
use reeve_rooms::create::{self, NewRoom, Preset};
use reeve_rooms::push::PushRuleCache;
use reeve_rooms::send::{self, Sent};
use reeve_rooms::{Error, Home, SigningKey, membership};
use reeve_store::access_tokens::{self, NewAccessToken};
use reeve_store::{devices, rooms, users};
use serde_json::{Map, Value, json};

use super::Step;
use crate::Fallible;
use crate::database::Place;
use crate::population::SERVER_NAME;
use crate::report::Report;
use crate::seed::per_second;

/// Number of senders, each with a room.
pub(super) const SENDERS: usize = 64;
/// The members of the large room.
pub(super) const CROWD: usize = 1000;
/// Number of rooms of the account for initial syncs.
pub(super) const READER_ROOMS: usize = 200;
/// Number of members of each of these besides the creator and the reader, and of messages.
const READER_MEMBERS: usize = 22;
const READER_MESSAGES: usize = 100;
/// Number of waiting clients.
pub(super) const WAITERS: usize = 1000;
/// Number of their rooms, and of rooms that each of them is in.
const WAITER_ROOMS: usize = 100;
const WAITER_ROOMS_EACH: usize = 10;
/// Number of them with a room where nobody else waits.
pub(super) const WOKEN: usize = 20;
/// Number of accounts to deactivate, and of their rooms.
pub(super) const LEAVERS: usize = 3;
pub(super) const LEAVER_ROOMS: usize = 2000;

/// Number of deeds of a kind in one transaction.
const BATCH: usize = 100;

/// The kinds of accounts that are in rooms.
#[derive(Clone, Copy)]
pub(super) enum Kind {
    /// Creates the shared rooms.
    Host,
    /// Sends, and is a member of rooms.
    Member,
    /// Makes initial syncs.
    Reader,
    /// Waits for changes.
    Waiter,
    /// Is deactivated.
    Leaver,
}

/// One account that is in rooms.
#[derive(Clone, Copy)]
pub(super) struct Person(pub(super) Kind, pub(super) usize);

impl Person {
    fn localpart(self) -> String {
        let name = match self.0 {
            Kind::Host => "host",
            Kind::Member => "member",
            Kind::Reader => "reader",
            Kind::Waiter => "waiter",
            Kind::Leaver => "leaver",
        };
        format!("{name}{:04}", self.1)
    }

    pub(super) fn user_id(self) -> String {
        format!("@{}:{SERVER_NAME}", self.localpart())
    }

    pub(super) fn token(self) -> String {
        format!("benchmark-{}", self.localpart())
    }
}

pub(super) const HOST: Person = Person(Kind::Host, 0);
pub(super) const READER: Person = Person(Kind::Reader, 0);

/// A room of two members, and one of very many.
pub(super) struct TwoRooms {
    pub(super) small: String,
    pub(super) large: String,
}

/// The ids of the rooms for measurements.
#[derive(Default)]
pub(super) struct Seeded {
    /// The rooms of the senders.
    pub(super) own: Vec<String>,
    /// The large room.
    pub(super) large: Option<String>,
    /// A room of few and one of many.
    pub(super) push: Option<TwoRooms>,
    /// Rooms in which one account waits alone, in their order.
    pub(super) quiet: Vec<String>,
}

struct Seeder {
    db: Db,
    home: Arc<Home>,
    clock: Clock,
    events: usize,
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(object) => object,
        _ => Map::new(),
    }
}

fn person(tx: &mut Tx<'_>, person: Person, now: Millis) -> Result<(), DbError> {
    let user =
        User { displayname: Some(person.localpart()), ..User::new(person.user_id(), now.whole_second()) };
    let num = users::insert(tx, &user, None)?;
    devices::insert(tx, num, "DEVICE", None, now)?;
    access_tokens::insert(
        tx,
        &NewAccessToken {
            token_hash: &hash_token(&person.token()),
            owner_num: num,
            acting_num: num,
            device_id: Some("DEVICE"),
            valid_until_ts: None,
            created_ts: now,
            unconfirmed: false,
        },
    )
}

fn user(tx: &Tx<'_>, person: Person) -> Result<User, Error> {
    users::find(tx, &person.user_id())?.ok_or(Error::NotFound("an account of the benchmark"))
}

impl Seeder {
    fn ctx(&self) -> Ctx {
        Ctx::system(&self.clock, &self.home.server_name, "benchmark")
    }

    async fn people(&self, kind: Kind, count: usize) -> Fallible<()> {
        for start in (0..count).step_by(BATCH) {
            let (now, end) = (self.clock.now(), count.min(start + BATCH));
            self.db
                .write(move |tx| (start..end).try_for_each(|number| person(tx, Person(kind, number), now)))
                .await?;
        }
        Ok(())
    }

    /// Creates a public room with some members and their messages; returns its id.
    async fn room(
        &mut self,
        name: String,
        creator: Person,
        members: Vec<Person>,
        messages: usize,
    ) -> Fallible<String> {
        let (home, ctx) = (Arc::clone(&self.home), self.ctx());
        let new = NewRoom { preset: Some(Preset::PublicChat), name: Some(name), ..NewRoom::default() };
        let first = members.get(..members.len().min(BATCH)).unwrap_or_default().to_vec();
        let created = self
            .db
            .write(move |tx| -> Result<_, Error> {
                let mut room = create::create(tx, &home, &ctx, &user(tx, creator)?, &new)?;
                for member in &first {
                    membership::join(tx, &home, &ctx, &user(tx, *member)?, &mut room, None)?;
                }
                Ok(room)
            })
            .await?;
        for more in members.get(BATCH..).unwrap_or_default().chunks(BATCH) {
            let (home, ctx, more, num) = (Arc::clone(&self.home), self.ctx(), more.to_vec(), created.num);
            self.db
                .write(move |tx| -> Result<_, Error> {
                    let mut room = rooms::by_num(tx, num)?.ok_or(Error::NotFound("the room"))?;
                    for member in &more {
                        membership::join(tx, &home, &ctx, &user(tx, *member)?, &mut room, None)?;
                    }
                    Ok(())
                })
                .await?;
        }
        for start in (0..messages).step_by(BATCH) {
            let (home, ctx, room_id) = (Arc::clone(&self.home), self.ctx(), created.room_id.clone());
            let (members, end) = (members.clone(), messages.min(start + BATCH));
            self.db
                .write(move |tx| -> Result<_, Error> {
                    for number in start..end {
                        let sender = members.get(number % members.len().max(1)).copied().unwrap_or(creator);
                        let body = format!("This is message {number} of {messages}, neither short nor long.");
                        let sent = Sent {
                            event_type: "m.room.message".to_owned(),
                            state_key: None,
                            content: object(json!({ "msgtype": "m.text", "body": body })),
                        };
                        send::send(tx, &home, &ctx, &user(tx, sender)?, &room_id, &sent)?;
                    }
                    Ok(())
                })
                .await?;
        }
        // The initial events of a room: creation, creator, power levels, three rules, and the name.
        self.events += 6 + members.len() + messages;
        Ok(created.room_id)
    }

    async fn rooms_for(&mut self, step: Step, seeded: &mut Seeded) -> Fallible<()> {
        let members = |from: usize, count: usize| {
            (0..count).map(|number| Person(Kind::Member, (from + number) % CROWD)).collect::<Vec<_>>()
        };
        match step {
            Step::Send => {
                for number in 0..SENDERS {
                    let creator = Person(Kind::Member, number);
                    let room = self.room(format!("Own {number}"), creator, members(number + 1, 9), 0).await?;
                    seeded.own.push(room);
                }
            }
            Step::Fanout => {
                seeded.large = Some(self.room("Large".to_owned(), HOST, members(0, CROWD), 0).await?);
            }
            Step::Push => {
                let small = self.room("Two".to_owned(), HOST, members(0, 1), 0).await?;
                let large = self.room("Many".to_owned(), HOST, members(0, CROWD - 1), 0).await?;
                seeded.push = Some(TwoRooms { small, large });
            }
            Step::Initial => {
                for number in 0..READER_ROOMS {
                    let mut there = members(number * 5, READER_MEMBERS);
                    there.push(READER);
                    self.room(format!("Read {number}"), HOST, there, READER_MESSAGES).await?;
                }
            }
            Step::Polls => {
                for number in 0..WAITER_ROOMS {
                    let is_in = |waiter: &usize| {
                        (0..WAITER_ROOMS_EACH).any(|nth| (waiter + 11 * nth) % WAITER_ROOMS == number)
                    };
                    let there =
                        (0..WAITERS).filter(is_in).map(|waiter| Person(Kind::Waiter, waiter)).collect();
                    self.room(format!("Quiet {number}"), HOST, there, 0).await?;
                }
                for number in 0..WOKEN {
                    let there = vec![Person(Kind::Waiter, number)];
                    seeded.quiet.push(self.room(format!("Alone {number}"), HOST, there, 0).await?);
                }
            }
            Step::Deactivate => {
                let there: Vec<_> = (0..LEAVERS).map(|number| Person(Kind::Leaver, number)).collect();
                for number in 0..LEAVER_ROOMS {
                    self.room(format!("Left {number}"), HOST, there.clone(), 0).await?;
                }
            }
        }
        Ok(())
    }
}

/// Creates the accounts and rooms that the steps need.
pub(super) async fn seed(place: &Place, steps: &[Step], report: &mut Report) -> Fallible<Seeded> {
    let db = Db::open(place.url(), Options::default(), reeve_store::MIGRATIONS).await?;
    let clock = Clock::System;
    let key = SigningKey::load(&db, clock.now()).await?;
    let home = Home {
        server_name: Arc::from(SERVER_NAME),
        key,
        settings: reeve_rooms::Settings::default(),
        limits: reeve_accounts::Limits::default(),
        push_rules: PushRuleCache::default(),
    };
    let mut seeder = Seeder { db, home: Arc::new(home), clock, events: 0 };
    let host = HOST.user_id();
    if seeder.db.read(move |tx| users::num(tx, &host)).await?.is_some() {
        return Err("the database has rooms already: it must be blank".into());
    }
    for (kind, count) in [
        (Kind::Host, 1),
        (Kind::Member, CROWD),
        (Kind::Reader, 1),
        (Kind::Waiter, WAITERS),
        (Kind::Leaver, LEAVERS),
    ] {
        seeder.people(kind, count).await?;
    }
    let (mut seeded, start) = (Seeded::default(), monotonic());
    for step in steps {
        seeder.rooms_for(*step, &mut seeded).await?;
    }
    let rate = per_second(seeder.events, start.elapsed().as_secs_f64());
    report.info("Seeding rooms, one after the other", format!("{} events, {rate:.0}/s", seeder.events));
    seeder.db.close().await;
    place.settle()?;
    Ok(seeded)
}
