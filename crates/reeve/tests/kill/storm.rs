//! Concurrent writers while the server is killed, again and again.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::mpsc::{Sender as Channel, channel};
use std::thread;
use std::time::Duration;

use reeve_testkit::Engine;

use crate::check;
use crate::http::{Client, Cut, Reply};
use crate::model::{Account, Deed, Dice, Request, Sender, first_password};
use crate::process::{self, SERVER_NAME, Site};
use crate::rooms::{self, Rooms};
use crate::talk::{self, Board, Talker};
use crate::watch::Watcher;

/// The number of times that a server is killed at work.
const KILLS: u64 = 32;
/// The number of times that a server is killed while it starts.
const STARTS_KILLED: u64 = 8;
const WRITERS: u64 = 8;
const TALKERS: u64 = 4;

/// A writer's knowledge of one of its accounts, which nobody else changes.
pub(crate) struct Known {
    pub(crate) account: Account,
    pub(crate) password: String,
    /// The sessions it was given: device and token. Device ids are used once.
    pub(crate) sessions: Vec<(String, String)>,
    /// True if it was changed since it was last checked.
    pub(crate) touched: bool,
}

/// A request without a response yet.
pub(crate) struct InFlight {
    pub(crate) user_id: String,
    pub(crate) deed: Deed,
}

/// A user who changes accounts, one request after the other.
pub(crate) struct Writer {
    pub(crate) number: u64,
    pub(crate) accounts: BTreeMap<String, Known>,
    pub(crate) in_flight: Option<InFlight>,
    /// The number of acknowledged changes.
    pub(crate) acknowledged: u64,
    /// The number of changes that were not acknowledged and done all the same.
    pub(crate) landed: u64,
    dice: Dice,
    stamps: u64,
}

pub(crate) fn run(engine: Engine, seed: u64) {
    let site = Site::new(engine);
    let mut dice = Dice(seed);
    // A fresh database, and a start that never finishes.
    for _ in 0..STARTS_KILLED {
        site.start_and_kill(Duration::from_millis(dice.roll(60)));
    }
    site.create_admin();
    let mut server = site.start();
    let admin = process::log_in_admin(server.address);
    let mut writers: Vec<Writer> = (0..WRITERS).map(|number| Writer::new(number, seed)).collect();
    let mut watcher = Watcher::new(server.address, talk::person(server.address, &admin, "watcher"));
    let mut talkers: Vec<Talker> = (0..TALKERS)
        .map(|number| Talker::new(server.address, &admin, &watcher.user_id, number, seed))
        .collect();
    let others: Vec<String> =
        talkers.iter().map(|talker| &talker.user_id).chain([&watcher.user_id]).cloned().collect();
    let (board, mut rooms) = (Board::default(), Rooms::new());
    let (mut cut, mut talks_cut) = (0, 0);
    for round in 0..KILLS {
        let (enough, delay) = (10 + dice.roll(25), Duration::from_millis(dice.roll(50)));
        let address = server.address;
        thread::scope(|scope| {
            let (acknowledged, heard) = channel();
            for writer in &mut writers {
                let (admin, acknowledged) = (&admin, acknowledged.clone());
                scope.spawn(move || writer.work(address, admin, acknowledged));
            }
            for talker in &mut talkers {
                let (board, acknowledged) = (&board, acknowledged.clone());
                scope.spawn(move || talker.work(address, board, acknowledged));
            }
            scope.spawn(|| watcher.work(address));
            drop(acknowledged);
            // However slow the machine is, the server has done some work.
            for _ in 0..enough {
                heard.recv().expect("something is acknowledged");
            }
            thread::sleep(delay);
            server.kill();
        });
        cut += writers.iter().filter(|writer| writer.in_flight.is_some()).count();
        talks_cut += talkers.iter().filter(|talker| talker.in_flight.is_some()).count();
        if round % 4 == 3 {
            // The data must also survive a start that does not finish.
            site.start_and_kill(Duration::from_millis(dice.roll(60)));
        }
        server = site.start();
        let when = format!("{engine:?}, kill {round}");
        check::writers((&mut writers, &others), server.address, &admin, &when);
        rooms::check((&mut talkers, &mut watcher), &mut rooms, &board, server.address, &when);
    }
    check::jobs_finish(&mut writers, server.address, &admin);
    for known in writers.iter_mut().flat_map(|writer| writer.accounts.values_mut()) {
        known.touched = true;
    }
    check::writers((&mut writers, &others), server.address, &admin, "at the end");
    rooms::check_all((&mut talkers, &mut watcher), &mut rooms, &board, server.address);
    let log = site.log();
    assert!(!log.contains("ERROR") && !log.contains("panicked"), "the servers complained:\n{log}");
    let acknowledged: u64 = writers.iter().map(|writer| writer.acknowledged).sum();
    let accounts: usize = writers.iter().map(|writer| writer.accounts.len()).sum();
    let landed: u64 = writers.iter().map(|writer| writer.landed).sum();
    println!(
        "{engine:?}: {KILLS} kills, {acknowledged} changes acknowledged, {cut} cut (of which {landed} happened), \
         {accounts} accounts"
    );
    let acknowledged: u64 = talkers.iter().map(|talker| talker.acknowledged).sum();
    let landed: u64 = talkers.iter().map(|talker| talker.landed).sum();
    println!(
        "{engine:?}: {} rooms, {acknowledged} requests acknowledged, {talks_cut} cut (of which {landed} happened); \
         {} syncs with news, {} gaps closed",
        rooms.len(),
        watcher.syncs,
        watcher.gaps
    );
    assert!(talks_cut > 0 && watcher.gaps > 0, "nothing happened in the rooms");
    assert!(cut > 0, "no request was ever cut: the kills came too late");
}

impl Writer {
    fn new(number: u64, seed: u64) -> Self {
        let dice = Dice(seed ^ (number + 1).wrapping_mul(0xd134_2543_de82_ef95));
        Self {
            number,
            accounts: BTreeMap::new(),
            in_flight: None,
            acknowledged: 0,
            landed: 0,
            dice,
            stamps: 0,
        }
    }

    /// Works until the server is gone.
    fn work(&mut self, address: SocketAddr, admin: &str, acknowledged: Channel<()>) {
        let mut client = Client::new(address, Some(admin));
        loop {
            let (user_id, deed) = self.choose();
            let known = self.accounts.get(&user_id);
            let request = deed.request(&user_id, known.map_or("", |known| &known.password));
            let Ok(reply) = send(&mut client, &request) else {
                self.in_flight = Some(InFlight { user_id, deed });
                return;
            };
            let Request { method, path, body, status, .. } = request;
            assert_eq!(reply.status, status, "{method} {path} {body}: {}", reply.body);
            self.acknowledged(&user_id, &deed, &reply);
            // The kill may have been ordered already.
            let _ = acknowledged.send(());
        }
    }

    fn acknowledged(&mut self, user_id: &str, deed: &Deed, reply: &Reply) {
        self.acknowledged += 1;
        self.happened(user_id, deed);
        if let (Deed::LogIn { device }, Some(known)) = (deed, self.accounts.get_mut(user_id)) {
            assert_eq!(reply.text("device_id"), device);
            known.sessions.push((device.clone(), reply.text("access_token").to_owned()));
        }
    }

    /// Records an act that took effect.
    pub(crate) fn happened(&mut self, user_id: &str, deed: &Deed) {
        let account = deed.after(self.accounts.get(user_id).map(|known| &known.account));
        match (self.accounts.get_mut(user_id), deed) {
            (Some(known), _) => {
                known.account = account;
                known.touched = true;
                if let Deed::Password { password } = deed {
                    known.password.clone_from(password);
                }
            }
            (None, Deed::Create { stamp, .. }) => {
                let known =
                    Known { account, password: first_password(stamp), sessions: Vec::new(), touched: true };
                self.accounts.insert(user_id.to_owned(), known);
            }
            (None, deed) => panic!("{user_id} cannot have {deed:?}"),
        }
    }

    /// The next act, and its target.
    fn choose(&mut self) -> (String, Deed) {
        self.stamps += 1;
        let stamp = format!("k{}-{}", self.number, self.stamps);
        let living: Vec<_> = self.accounts.iter().filter(|(_, known)| !known.account.deactivated).collect();
        let create = living.len() < 2 || self.dice.roll(6) == 0;
        if create {
            let user_id = format!("@{stamp}:{SERVER_NAME}");
            return (user_id, Deed::Create { stamp, admin: self.dice.roll(4) == 0 });
        }
        let at = usize::try_from(self.dice.roll(living.len() as u64)).unwrap();
        let (user_id, Known { account, sessions, .. }) = living[at];
        let session = sessions.iter().find(|(device, _)| account.devices.contains(device));
        let deed = match self.dice.roll(20) {
            0..4 => Deed::Rename { stamp },
            4..8 => Deed::Rewrite { stamp, admin: !account.admin },
            8 => Deed::Lock(!account.locked),
            9 if account.limit.is_some() => Deed::Limit(None),
            9 | 10 => Deed::Limit(Some((i64::try_from(self.stamps).unwrap(), 7))),
            11 => Deed::Password { password: format!("new {stamp}") },
            12 => Deed::Deactivate { erase: self.dice.roll(2) == 0 },
            _ if account.locked => Deed::Lock(false),
            _ => match session {
                None => Deed::LogIn { device: stamp },
                Some(_) if self.dice.roll(4) == 0 => Deed::LogIn { device: stamp },
                Some((_, token)) => {
                    let kind = format!("org.example.{}", self.dice.roll(5));
                    Deed::Data { kind, value: self.stamps, token: token.clone() }
                }
            },
        };
        (user_id.clone(), deed)
    }
}

fn send(client: &mut Client, request: &Request) -> Result<Reply, Cut> {
    let Request { method, path, body, sender, .. } = request;
    match sender {
        Sender::Admin => client.send(method, path, body),
        Sender::Nobody => client.send_as(None, method, path, body),
        Sender::Token(token) => client.send_as(Some(token), method, path, body),
    }
}
