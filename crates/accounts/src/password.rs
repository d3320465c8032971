//! Password hashes: Argon2id for new ones, bcrypt for those of other servers.
//!
//! Hashing is slow by purpose, so it runs on a bounded number of threads with low priority: a storm of logins waits,
//! and the rest of the server does not.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread;

use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use argon2::{Algorithm, Argon2, Params, PasswordHash, Version};
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use tokio::sync::{Semaphore, oneshot};
use unicode_normalization::UnicodeNormalization;

use crate::error::Error;
use crate::policy::HashingCost;

/// The number of bytes that bcrypt uses.
const BCRYPT_BYTES: usize = 72;
/// The highest accepted cost of stored hashes: memory of Argon2 in KiB, its passes, and the cost of bcrypt.
const MAX_STORED_KIB: u32 = 1 << 20;
const MAX_STORED_PASSES: u32 = 100;
const MAX_STORED_BCRYPT: u32 = 20;
/// The maximum number of waiting logins; further ones are refused.
const MAX_WAITING: i64 = 1000;

/// The niceness of the hashing threads.
#[cfg(target_os = "linux")]
const NICE: i32 = 10;

/// The result of a comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is not the password.
    Wrong,
    /// It is the password.
    Right,
    /// It is the password, and the stored hash should be replaced by one of the present kind and cost.
    RightButOld,
}

type Job = Box<dyn FnOnce() + Send>;

struct Inner {
    cost: HashingCost,
    jobs: mpsc::Sender<Job>,
    turns: Arc<Semaphore>,
    waiting: Gauge,
    /// A hash to compare with if there is no account or no password, so that the response takes as long.
    decoy: String,
}

/// Hashes and compares passwords.
#[derive(Clone)]
pub struct Hasher(Arc<Inner>);

impl Hasher {
    /// Starts a hasher of this cost.
    pub fn new(cost: HashingCost) -> Result<Self, Error> {
        let decoy = hash(&cost, "")?;
        let workers = cost.workers.max(1);
        let jobs = start(workers)?;
        let turns = Arc::new(Semaphore::new(workers));
        Ok(Self(Arc::new(Inner { cost, jobs, turns, waiting: Gauge::default(), decoy })))
    }

    /// Returns the number of hashes that wait or are being made.
    pub fn waiting(&self) -> i64 {
        self.0.waiting.get()
    }

    /// Registers its metrics.
    pub fn register(&self, registry: &mut Registry) {
        registry.register(
            "password_hashing_waiting",
            "Password hashes waiting or in progress",
            self.0.waiting.clone(),
        );
    }

    /// Hashes a password and returns a PHC string.
    pub async fn hash(&self, password: &str) -> Result<String, Error> {
        let password = password.to_owned();
        self.turn(move |inner| hash(&inner.cost, &password)).await?
    }

    /// Compares a password with a stored hash. Without a hash the comparison takes as long, and fails.
    pub async fn verify(&self, password: &str, stored: Option<&str>) -> Result<Verdict, Error> {
        let (password, stored) = (password.to_owned(), stored.map(str::to_owned));
        self.turn(move |inner| {
            let verdict = verify(&inner.cost, &password, stored.as_deref().unwrap_or(&inner.decoy));
            if stored.is_some() { verdict } else { Verdict::Wrong }
        })
        .await
    }

    async fn turn<T: Send + 'static>(
        &self,
        f: impl FnOnce(&Inner) -> T + Send + 'static,
    ) -> Result<T, Error> {
        let inner = Arc::clone(&self.0);
        let _waiting = Waiting::enter(&inner.waiting)?;
        let turn = tokio::time::timeout(inner.cost.wait, Arc::clone(&inner.turns).acquire_owned()).await;
        let turn = turn.map_err(|_| Error::Overloaded)?.map_err(|_| Error::Overloaded)?;
        let (worker, (reply, result)) = (Arc::clone(&self.0), oneshot::channel());
        let job = Box::new(move || {
            // Held until the work is done, even if the caller stops waiting.
            let _turn = turn;
            drop(reply.send(f(&worker)));
        });
        inner.jobs.send(job).map_err(|_| Error::Overloaded)?;
        result.await.map_err(|_| Error::Overloaded)
    }
}

/// Starts the threads that hash. They end when all senders are gone.
fn start(workers: usize) -> Result<mpsc::Sender<Job>, Error> {
    let (jobs, queue) = mpsc::channel::<Job>();
    let queue = Arc::new(Mutex::new(queue));
    for number in 0..workers {
        let queue = Arc::clone(&queue);
        thread::Builder::new()
            .name(format!("password-{number}"))
            .spawn(move || {
                give_way();
                loop {
                    // The lock is held while waiting: another thread that waits for it has nothing else to do.
                    let Ok(job) = queue.lock().unwrap_or_else(PoisonError::into_inner).recv() else { return };
                    // The caller learns of a panic from the missing reply.
                    drop(catch_unwind(AssertUnwindSafe(job)));
                }
            })
            .map_err(|_| Error::Refused("The threads that hash passwords cannot be started"))?;
    }
    Ok(jobs)
}

/// Gives the thread a low priority. On other systems than Linux this would affect the whole process.
fn give_way() {
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::getpriority_process(None)
        .and_then(|now| rustix::process::setpriority_process(None, now + NICE))
    {
        tracing::warn!(%error, "hashing passwords competes with the rest of the server for the processor");
    }
}

struct Waiting<'a>(&'a Gauge);

impl<'a> Waiting<'a> {
    fn enter(count: &'a Gauge) -> Result<Self, Error> {
        if count.inc() >= MAX_WAITING {
            count.dec();
            return Err(Error::Overloaded);
        }
        Ok(Self(count))
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// The input of the hash: the password in normal form NFKC, and the pepper.
fn seasoned(cost: &HashingCost, password: &str) -> Vec<u8> {
    let mut text: String = password.nfkc().collect();
    text.push_str(&cost.pepper);
    text.into_bytes()
}

fn argon2(cost: &HashingCost) -> Result<Argon2<'static>, Error> {
    let params = Params::new(cost.memory_kib, cost.iterations, 1, None)
        .map_err(|_| Error::Refused("The settings of password hashing are out of range"))?;
    Ok(Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
}

fn hash(cost: &HashingCost, password: &str) -> Result<String, Error> {
    let hash = argon2(cost)?
        .hash_password(&seasoned(cost, password))
        .map_err(|_| Error::Refused("The password cannot be hashed"))?;
    Ok(hash.to_string())
}

/// Checks that the cost of comparing a password with a hash from elsewhere is bearable. The error says why it is not.
pub fn check_stored(stored: &str) -> Result<(), &'static str> {
    if let Some(rest) = stored.strip_prefix("$2") {
        return check_bcrypt(rest);
    }
    let Ok(parsed) = PasswordHash::new(stored) else {
        return Err("it is neither a bcrypt hash ($2a$, $2b$, $2y$) nor a PHC string of Argon2");
    };
    if !parsed.algorithm.as_str().starts_with("argon2") {
        return Err("only Argon2 and bcrypt are known");
    }
    if parsed.hash.is_none() || parsed.salt.is_none() {
        return Err("the PHC string has no salt or no hash");
    }
    match Params::try_from(&parsed) {
        Ok(params) if params.m_cost() <= MAX_STORED_KIB && params.t_cost() <= MAX_STORED_PASSES => Ok(()),
        Ok(_) => Err("it takes more than 1 GiB of memory, or more than 100 passes"),
        Err(_) => Err("the parameters of the PHC string are out of range"),
    }
}

/// `rest` is what follows `$2`: `b$12$` and 53 characters.
fn check_bcrypt(rest: &str) -> Result<(), &'static str> {
    let malformed = Err("it is not a bcrypt hash: $2b$, two digits, $ and 53 characters");
    let mut parts = rest.split('$');
    let (Some("a" | "b" | "y"), Some(cost), Some(text), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return malformed;
    };
    if cost.len() != 2 || text.len() != 53 {
        return malformed;
    }
    if !text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'/')) {
        return malformed;
    }
    match cost.parse::<u32>() {
        Ok(4..=MAX_STORED_BCRYPT) => Ok(()),
        Ok(_) => Err("the cost of a bcrypt hash is from 4 to 20"),
        Err(_) => malformed,
    }
}

fn verify(cost: &HashingCost, password: &str, stored: &str) -> Verdict {
    let password = seasoned(cost, password);
    if stored.starts_with("$2") {
        let significant = password.get(..BCRYPT_BYTES).unwrap_or(&password);
        // No password with a NUL was ever hashed with bcrypt: it is wrong, not an error.
        return if bcrypt::verify(significant, stored).unwrap_or(false) {
            Verdict::RightButOld
        } else {
            Verdict::Wrong
        };
    }
    let Ok(parsed) = PasswordHash::new(stored) else { return Verdict::Wrong };
    if Argon2::default().verify_password(&password, &parsed).is_err() {
        return Verdict::Wrong;
    }
    let today = format!("$argon2id$v=19$m={},t={},p=1$", cost.memory_kib, cost.iterations);
    if stored.starts_with(&today) { Verdict::Right } else { Verdict::RightButOld }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn cost(iterations: u32) -> HashingCost {
        HashingCost {
            pepper: "pepper".to_owned(),
            memory_kib: 64,
            iterations,
            workers: 1,
            wait: Duration::from_secs(5),
        }
    }

    #[test]
    fn verdicts() {
        let stored = hash(&cost(1), "secret").unwrap();
        assert!(stored.starts_with("$argon2id$v=19$m=64,t=1,p=1$"), "{stored}");
        assert_eq!(verify(&cost(1), "secret", &stored), Verdict::Right);
        assert_eq!(verify(&cost(2), "secret", &stored), Verdict::RightButOld);
        assert_eq!(verify(&cost(1), "Secret", &stored), Verdict::Wrong);
        assert_eq!(verify(&cost(1), "secret", "garbage"), Verdict::Wrong);
        let unpeppered = HashingCost { pepper: String::new(), ..cost(1) };
        assert_eq!(verify(&unpeppered, "secret", &stored), Verdict::Wrong);
    }

    #[tokio::test]
    #[cfg(target_os = "linux")]
    async fn hashing_gives_way() {
        let nice = || rustix::process::getpriority_process(None).unwrap();
        let (hasher, before) = (Hasher::new(cost(1)).unwrap(), nice());
        assert_eq!(hasher.turn(move |_| nice()).await.unwrap(), (before + NICE).min(19));
        assert_eq!(nice(), before);
    }

    #[tokio::test]
    async fn a_panic_is_no_verdict() {
        let hasher = Hasher::new(cost(1)).unwrap();
        assert!(hasher.turn(|_| panic!("on purpose")).await.is_err());
        let stored = hasher.hash("secret").await.unwrap();
        assert_eq!(hasher.verify("secret", Some(&stored)).await.unwrap(), Verdict::Right);
    }

    #[tokio::test]
    async fn a_hash_keeps_its_turn_when_nobody_waits_for_it() {
        let hasher = Hasher::new(cost(1)).unwrap();
        let (begin, begun) = oneshot::channel();
        let (end, ended) = mpsc::channel();
        let caller = tokio::spawn({
            let hasher = hasher.clone();
            async move { hasher.turn(move |_| (begin.send(()), ended.recv())).await.is_ok() }
        });
        begun.await.unwrap();
        caller.abort();
        assert!(caller.await.unwrap_err().is_cancelled());
        assert_eq!(hasher.0.turns.available_permits(), 0);
        end.send(()).unwrap();
        assert!(hasher.hash("secret").await.is_ok());
        assert_eq!(hasher.waiting(), 0);
    }

    #[test]
    fn hashes_that_can_be_stored() {
        assert_eq!(check_stored(&hash(&cost(1), "secret").unwrap()), Ok(()));
        let bcrypt = bcrypt::hash("secret", 4).unwrap();
        assert_eq!(check_stored(&bcrypt), Ok(()));
        for kind in ["$2a$", "$2y$"] {
            assert_eq!(check_stored(&bcrypt.replacen("$2b$", kind, 1)), Ok(()));
        }
        let salted = "$argon2id$v=19$m=4194304,t=1,p=1$c29tZXNhbHQ$MDEyMzQ1Njc4OWFiY2RlZg";
        for bad in [
            "",
            "secret",
            "$2b$04$short",
            "$2x$04$0123456789012345678901234567890123456789012345678901",
            &bcrypt.replacen("$04$", "$31$", 1),
            &bcrypt.replacen("$04$", "$4$", 1),
            "$argon2id$v=19$m=64,t=1,p=1$c29tZXNhbHQ",
            "$pbkdf2-sha256$i=1000$c29tZXNhbHQ$MDEyMzQ1Njc4OWFiY2RlZg",
            salted,
        ] {
            assert!(check_stored(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn bcrypt_hashes_of_other_servers() {
        let long = "x".repeat(100);
        for password in ["secret", "ﬁ", &long] {
            let normal: String = password.nfkc().collect();
            let peppered = format!("{normal}pepper");
            let significant = peppered.as_bytes().get(..72).unwrap_or(peppered.as_bytes());
            let stored = bcrypt::hash(significant, 4).unwrap();
            assert_eq!(verify(&cost(1), password, &stored), Verdict::RightButOld, "{password}");
            assert_eq!(verify(&cost(1), "other", &stored), Verdict::Wrong);
        }
    }
}
