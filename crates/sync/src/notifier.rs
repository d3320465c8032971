//! The notifier: it wakes the requests that wait for something new.
//!
//! A wake-up is only a hint: the woken request reads again from the position up to which it knows everything. So a
//! wake-up may come twice or too early, and any process may have made the change.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use reeve_db::{Db, DbError, Engine, ReadTx};
use reeve_follow::{Follower, Pace, Seen};
use reeve_model::{Pos, RoomNum, UserNum, clock::monotonic};
use reeve_store::stream::{self, Changes, Span};
use tokio::sync::{Notify, watch};

use crate::replaceable::Replaceable;

/// The interval at which the stream is read for changes by other processes.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// The same where there are no other processes.
const LOOK_ALONE_EVERY: Duration = Duration::from_secs(1);
/// The minimum interval between wake-ups for new presences and devices of others. When many users come online, each of
/// them would otherwise wake all others, one by one.
const MEMBERS_EVERY: Duration = Duration::from_secs(1);

#[derive(Default)]
struct Waiting {
    waiters: HashMap<u64, Waiter>,
    by_room: HashMap<RoomNum, Vec<u64>>,
    by_user: HashMap<Arc<str>, Vec<u64>>,
    by_account: HashMap<UserNum, Vec<u64>>,
}

struct Waiter {
    user_id: Arc<str>,
    user_num: UserNum,
    rooms: Vec<RoomNum>,
    wake: Arc<Notify>,
}

fn remove<K: std::hash::Hash + Eq>(map: &mut HashMap<K, Vec<u64>>, key: &K, id: u64) {
    if let Some(ids) = map.get_mut(key) {
        ids.retain(|other| *other != id);
        if ids.is_empty() {
            map.remove(key);
        }
    }
}

impl Waiting {
    fn wake(&self, ids: Option<&Vec<u64>>) {
        for id in ids.into_iter().flatten() {
            if let Some(waiter) = self.waiters.get(id) {
                waiter.wake.notify_one();
            }
        }
    }

    fn leave_rooms(&mut self, id: u64) {
        let rooms =
            self.waiters.get_mut(&id).map(|waiter| std::mem::take(&mut waiter.rooms)).unwrap_or_default();
        for room in rooms {
            remove(&mut self.by_room, &room, id);
        }
    }
}

/// Rooms whose members changed something that has not caused a wake-up yet.
#[derive(Default)]
struct Members {
    rooms: HashSet<RoomNum>,
    last_due: Option<Instant>,
}

impl Members {
    /// Returns the rooms, if the interval has passed.
    fn due(&mut self) -> HashSet<RoomNum> {
        if self.rooms.is_empty() || self.last_due.is_some_and(|last| last.elapsed() < MEMBERS_EVERY) {
            return HashSet::new();
        }
        self.last_due = Some(monotonic());
        std::mem::take(&mut self.rooms)
    }
}

/// All waiting requests of this process.
#[derive(Default)]
pub struct Notifier {
    waiting: Mutex<Waiting>,
    members: Mutex<Members>,
    next_id: AtomicU64,
    position: AtomicI64,
    /// Requests of sliding sync.
    pub replaceable: Arc<Replaceable>,
}

impl Notifier {
    /// Begins to listen for changes that concern a user.
    pub fn listen(self: &Arc<Self>, user_id: &str, user_num: UserNum) -> Listener {
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let (user_id, wake): (Arc<str>, _) = (Arc::from(user_id), Arc::new(Notify::new()));
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.by_user.entry(Arc::clone(&user_id)).or_default().push(id);
        waiting.by_account.entry(user_num).or_default().push(id);
        let waiter = Waiter { user_id, user_num, rooms: Vec::new(), wake: Arc::clone(&wake) };
        waiting.waiters.insert(id, waiter);
        drop(waiting);
        Listener { notifier: Arc::clone(self), id, wake }
    }

    /// Returns the position up to which the stream was followed. A look at the database that begins now sees everything
    /// up to it.
    pub fn position(&self) -> Pos {
        Pos::new(self.position.load(Ordering::SeqCst))
    }

    /// Returns the number of waiting requests.
    pub fn waiting(&self) -> usize {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).waiters.len()
    }

    /// Follows the stream and wakes the requests concerned, until `stop` is set.
    pub async fn follow(self: Arc<Self>, db: Db, stop: watch::Receiver<bool>) {
        let every = match db.engine() {
            Engine::Sqlite => LOOK_ALONE_EVERY,
            Engine::Postgres => LOOK_EVERY,
        };
        reeve_follow::follow(self, db, Pace { pause: Duration::ZERO, every }, stop).await;
    }
}

impl Follower for Notifier {
    /// `None` if no request waits: nothing is read.
    type News = Option<Changes>;

    const NAME: &'static str = "sync";

    fn read(&self, tx: &ReadTx<'_>, span: Span) -> Result<Seen<Self::News>, DbError> {
        // Before the first request waits, there is nothing to do; the first look only finds the end of the stream.
        let idle = span.after == Pos::ZERO || self.waiting() == 0;
        let news = if idle { None } else { Some(stream::changes(tx, span)?) };
        Ok(Seen { upto: span.upto, news })
    }

    async fn act(&self, Seen { upto, news }: Seen<Self::News>) -> Result<(), DbError> {
        let grew = self.position.fetch_max(upto.get(), Ordering::SeqCst) < upto.get();
        let Some(changes) = news else {
            // A request may have begun to wait meanwhile, without seeing the newest changes.
            let waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
            if grew {
                waiting.waiters.values().for_each(|waiter| waiter.wake.notify_one());
            }
            return Ok(());
        };
        let members = {
            let mut members = self.members.lock().unwrap_or_else(PoisonError::into_inner);
            members.rooms.extend(&changes.members);
            members.due()
        };
        let waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        for room in changes.rooms.iter().chain(&members) {
            waiting.wake(waiting.by_room.get(room));
        }
        for user_id in &changes.users {
            waiting.wake(waiting.by_user.get(user_id.as_str()));
        }
        for user_num in &changes.accounts {
            waiting.wake(waiting.by_account.get(user_num));
        }
        Ok(())
    }
}

/// A waiting request.
pub struct Listener {
    notifier: Arc<Notifier>,
    id: u64,
    wake: Arc<Notify>,
}

impl Listener {
    /// Listens to these rooms from now on. `upto` is the position up to which the request knows everything: the end of
    /// its look, or [`Notifier::position`] from before the look, which is higher when the row with the newest position
    /// was deleted. If the stream was followed beyond it, the listener wakes at once.
    pub fn watch_rooms(&self, rooms: Vec<RoomNum>, upto: Pos) {
        let mut waiting = self.notifier.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.leave_rooms(self.id);
        for room in &rooms {
            waiting.by_room.entry(*room).or_default().push(self.id);
        }
        if let Some(waiter) = waiting.waiters.get_mut(&self.id) {
            waiter.rooms = rooms;
        }
        drop(waiting);
        if self.notifier.position() > upto {
            self.wake.notify_one();
        }
    }

    /// Waits for a wake-up.
    pub async fn news(&self) {
        self.wake.notified().await;
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        let mut waiting = self.notifier.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.leave_rooms(self.id);
        if let Some(waiter) = waiting.waiters.remove(&self.id) {
            remove(&mut waiting.by_user, &waiter.user_id, self.id);
            remove(&mut waiting.by_account, &waiter.user_num, self.id);
        }
    }
}
