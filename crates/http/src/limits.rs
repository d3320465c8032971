//! Rate limits: leaky buckets in memory, per process.
//!
//! A request is let through while the bucket holds at most `burst - 1`; the bucket leaks `per_second`.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use reeve_accounts::sessions::Session;
use reeve_store::ratelimits::Override;

use crate::app::App;
use crate::error::MatrixError;

/// One limit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RateLimit {
    /// How much a bucket leaks.
    pub per_second: f64,
    /// How much it holds.
    pub burst: i64,
}

/// All limits.
#[derive(Clone, Debug)]
pub struct RateLimits {
    /// Whether there are any.
    pub enabled: bool,
    /// Sending, changing memberships, creating rooms, changing the own profile; per account.
    pub message: RateLimit,
    /// Uploading; per account.
    pub media: RateLimit,
    /// Asking for previews of web pages; per account.
    pub url_previews: RateLimit,
    /// Registering; per address.
    pub registration: RateLimit,
    /// Logging in; per address.
    pub login_address: RateLimit,
    /// Logging in; per account.
    pub login_account: RateLimit,
    /// Logging in with wrong credentials; per account.
    pub login_failed: RateLimit,
}

impl Default for RateLimits {
    fn default() -> Self {
        let login = RateLimit { per_second: 0.003, burst: 5 };
        let seldom = RateLimit { per_second: 0.17, burst: 3 };
        Self {
            enabled: true,
            message: RateLimit { per_second: 0.2, burst: 10 },
            media: RateLimit { per_second: 10.0, burst: 50 },
            url_previews: RateLimit { per_second: 2.0, burst: 30 },
            registration: seldom,
            login_address: login,
            login_account: login,
            login_failed: seldom,
        }
    }
}

/// Tokens for logging in another device are as good as passwords for a while.
const LOGIN_TOKEN: RateLimit = RateLimit { per_second: 1.0 / 60.0, burst: 1 };

/// Trying registration tokens. Not among the settings: who must guess them needs no speed.
const TRYING_TOKENS: RateLimit = RateLimit { per_second: 0.1, burst: 5 };

/// Which limit, and of whom.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Bucket {
    /// `message`, by account number.
    Message(i64),
    /// `media`, by account number.
    Media(i64),
    /// `url_previews`, by account number.
    UrlPreviews(i64),
    /// `registration`, by address.
    Registration(String),
    /// Trying registration tokens, by address.
    RegistrationToken(String),
    /// `login_address`, by address.
    LoginAddress(String),
    /// `login_account`, by user id.
    LoginAccount(String),
    /// `login_failed`, by user id.
    LoginFailed(String),
    /// Tokens for logging in another device, by account number: one a minute.
    LoginToken(i64),
}

#[derive(Clone, Copy)]
struct Level {
    amount: f64,
    at: i64,
    per_second: f64,
}

/// Fractions of a millisecond below this come from the arithmetic.
const ROUNDING: f64 = 1e-3;
/// When this many buckets are kept, those that have run empty are dropped.
const PRUNE_AT: usize = 50_000;

/// All buckets.
pub struct Limiter {
    limits: RateLimits,
    levels: Mutex<HashMap<Bucket, Level>>,
}

impl Limiter {
    /// Buckets with these limits, all empty.
    pub fn new(limits: RateLimits) -> Self {
        Self { limits, levels: Mutex::new(HashMap::new()) }
    }

    /// The limits in force.
    pub fn limits(&self) -> &RateLimits {
        &self.limits
    }

    /// Counts one request; `Err` holds the milliseconds after which it would be let through. With `count` off the
    /// bucket is only looked at.
    fn take(&self, bucket: Bucket, limit: RateLimit, now: i64, count: bool) -> Result<(), i64> {
        let mut levels = self.levels.lock().unwrap_or_else(PoisonError::into_inner);
        if levels.len() >= PRUNE_AT {
            levels.retain(|_, level| leaked(*level, now) > 0.0);
        }
        let old = levels.get(&bucket).copied().unwrap_or(Level {
            amount: 0.0,
            at: now,
            per_second: limit.per_second,
        });
        #[expect(clippy::cast_precision_loss, reason = "a burst is a small number")]
        let room = limit.burst as f64 - 1.0;
        let amount = leaked(Level { per_second: limit.per_second, ..old }, now);
        if amount > room {
            #[expect(clippy::cast_possible_truncation, reason = "bounded by the clamp")]
            let wait = ((amount - room) / limit.per_second * 1000.0 - ROUNDING)
                .ceil()
                .clamp(1.0, 86_400_000.0) as i64;
            return Err(wait);
        }
        if count {
            levels.insert(bucket, Level { amount: amount + 1.0, at: now, per_second: limit.per_second });
        }
        Ok(())
    }

    /// Counts a request against a limit, if limits are on.
    pub fn check(&self, bucket: Bucket, now: i64) -> Result<(), MatrixError> {
        self.apply(bucket, now, true)
    }

    /// Refuses if a limit is used up, without counting.
    pub fn peek(&self, bucket: Bucket, now: i64) -> Result<(), MatrixError> {
        self.apply(bucket, now, false)
    }

    fn apply(&self, bucket: Bucket, now: i64, count: bool) -> Result<(), MatrixError> {
        if !self.limits.enabled {
            return Ok(());
        }
        let limit = match bucket {
            Bucket::Message(_) => self.limits.message,
            Bucket::Media(_) => self.limits.media,
            Bucket::UrlPreviews(_) => self.limits.url_previews,
            Bucket::Registration(_) => self.limits.registration,
            Bucket::RegistrationToken(_) => TRYING_TOKENS,
            Bucket::LoginAddress(_) => self.limits.login_address,
            Bucket::LoginAccount(_) => self.limits.login_account,
            Bucket::LoginFailed(_) => self.limits.login_failed,
            Bucket::LoginToken(_) => LOGIN_TOKEN,
        };
        self.take(bucket, limit, now, count).map_err(MatrixError::limit_exceeded)
    }
}

fn leaked(level: Level, now: i64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "milliseconds since the last request")]
    let seconds = (now - level.at).max(0) as f64 / 1000.0;
    (level.amount - seconds * level.per_second).max(0.0)
}

/// Whether an administrator switched the limits of a session off, with 0 messages per second: those of the account that
/// acts, or those of the administrator who acts as it.
fn is_unlimited(session: &Session) -> bool {
    let off = |limit: &Option<Override>| limit.is_some_and(|limit| limit.messages_per_second == 0);
    off(&session.limit) || off(&session.owner_limit)
}

/// The `message` limit of an account. An administrator's override takes the place of the setting.
pub fn message(app: &App, session: &Session, now: i64) -> Result<(), MatrixError> {
    if !app.limiter.limits.enabled || is_unlimited(session) {
        return Ok(());
    }
    let limit = match session.limit {
        None => app.limiter.limits.message,
        #[expect(clippy::cast_precision_loss, reason = "a rate is a small number")]
        Some(limit) => RateLimit { per_second: limit.messages_per_second as f64, burst: limit.burst_count },
    };
    app.limiter.take(Bucket::Message(session.user.num), limit, now, true).map_err(MatrixError::limit_exceeded)
}

/// A limit of an account, such as `media`, which an override can only switch off.
pub fn switchable(app: &App, session: &Session, bucket: Bucket, now: i64) -> Result<(), MatrixError> {
    if is_unlimited(session) { Ok(()) } else { app.limiter.check(bucket, now) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leaks() {
        let limiter = Limiter::new(RateLimits::default());
        let limit = RateLimit { per_second: 1.0, burst: 2 };
        let take = |now| limiter.take(Bucket::Message(1), limit, now, true);
        assert_eq!(take(0), Ok(()));
        assert_eq!(take(0), Ok(()));
        assert_eq!(take(0), Err(1000));
        assert_eq!(take(400), Err(600));
        assert_eq!(take(1000), Ok(()));
        assert_eq!(take(1000), Err(1000));
    }

    #[test]
    fn no_burst_refuses_always() {
        let limiter = Limiter::new(RateLimits::default());
        let limit = RateLimit { per_second: 10.0, burst: 0 };
        assert_eq!(limiter.take(Bucket::Message(1), limit, 0, true), Err(100));
        assert_eq!(limiter.take(Bucket::Message(1), limit, 10_000, true), Err(100));
    }
}
