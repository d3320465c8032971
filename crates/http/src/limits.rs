//! Rate limits: leaky buckets in memory, per process.
//!
//! A request is allowed while the bucket holds at most `burst - 1`; the bucket leaks `per_second`.

use std::collections::HashMap;
use std::net::Ipv6Addr;
use std::sync::{Mutex, MutexGuard, PoisonError, RwLock};

use reeve_model::{MatrixError, Millis, RateLimitOverride, ServiceTokenNum, Session, UserNum};

/// One rate limit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RateLimit {
    /// The rate at which a bucket leaks.
    pub per_second: f64,
    /// The capacity of a bucket.
    pub burst: i64,
}

/// All limits.
#[derive(Clone, Debug, PartialEq)]
pub struct RateLimits {
    /// True if rate limits are enabled.
    pub enabled: bool,
    /// Sending, changing memberships, creating rooms, changing the own name and avatar; per account.
    pub message: RateLimit,
    /// Changing a profile; per account.
    pub profile: RateLimit,
    /// Creating and upgrading rooms; per account.
    pub room_creation: RateLimit,
    /// Joining rooms; per account.
    pub joins: RateLimit,
    /// Joining a room; per room.
    pub joins_per_room: RateLimit,
    /// Inviting; per account that invites.
    pub invites_per_sender: RateLimit,
    /// Being invited; per account.
    pub invites_per_recipient: RateLimit,
    /// Inviting into a room; per room.
    pub invites_per_room: RateLimit,
    /// Sending messages to devices; per account.
    pub to_device: RateLimit,
    /// Reporting; per account.
    pub reports: RateLimit,
    /// Uploading; per account.
    pub media: RateLimit,
    /// Asking for previews of web pages; per account.
    pub url_previews: RateLimit,
    /// Registering; per address.
    pub registration: RateLimit,
    /// Trying to register or to recover a password, a request at a time; per address.
    pub registration_attempts: RateLimit,
    /// Logging in; per address.
    pub login_address: RateLimit,
    /// Logging in; per account.
    pub login_account: RateLimit,
    /// Logging in with wrong credentials; per account.
    pub login_failed: RateLimit,
    /// Registering clients of OAuth 2.0, and asking for access; per address.
    pub oauth_requests: RateLimit,
    /// Presenting codes and tokens of OAuth 2.0 that are not valid, or asking too often; per address.
    pub oauth_failed: RateLimit,
    /// Asking for mails; per address of the client.
    pub email_requests: RateLimit,
    /// Asking for mails; per account.
    pub email_account: RateLimit,
    /// Being sent mails that somebody asked for; per e-mail address.
    pub email_recipient: RateLimit,
    /// Requests with a service token; per token.
    pub service_tokens: RateLimit,
}

impl Default for RateLimits {
    fn default() -> Self {
        let login = RateLimit { per_second: 0.003, burst: 5 };
        let seldom = RateLimit { per_second: 0.17, burst: 3 };
        Self {
            enabled: true,
            message: RateLimit { per_second: 0.2, burst: 10 },
            profile: RateLimit { per_second: 0.5, burst: 50 },
            room_creation: RateLimit { per_second: 0.016, burst: 10 },
            joins: RateLimit { per_second: 0.1, burst: 10 },
            joins_per_room: RateLimit { per_second: 1.0, burst: 10 },
            invites_per_sender: RateLimit { per_second: 0.3, burst: 10 },
            invites_per_recipient: RateLimit { per_second: 0.003, burst: 5 },
            invites_per_room: RateLimit { per_second: 0.3, burst: 10 },
            to_device: RateLimit { per_second: 5.0, burst: 500 },
            reports: RateLimit { per_second: 1.0, burst: 5 },
            media: RateLimit { per_second: 10.0, burst: 50 },
            url_previews: RateLimit { per_second: 2.0, burst: 30 },
            registration: seldom,
            registration_attempts: RateLimit { per_second: 0.5, burst: 30 },
            login_address: login,
            login_account: login,
            login_failed: seldom,
            oauth_requests: RateLimit { per_second: 0.2, burst: 20 },
            oauth_failed: RateLimit { per_second: 0.17, burst: 10 },
            email_requests: RateLimit { per_second: 0.01, burst: 10 },
            email_account: RateLimit { per_second: 0.003, burst: 5 },
            email_recipient: RateLimit { per_second: 0.002, burst: 4 },
            service_tokens: RateLimit { per_second: 100.0, burst: 1000 },
        }
    }
}

/// Login tokens for other devices are as good as passwords for a while.
const LOGIN_TOKEN: RateLimit = RateLimit { per_second: 1.0 / 60.0, burst: 1 };

/// Attempts with registration tokens. Not a setting: legitimate users need few.
const TRYING_TOKENS: RateLimit = RateLimit { per_second: 0.1, burst: 5 };

/// Attempts with the codes that clients on devices without a browser show. Not a setting: a code is typed once, and has eight
/// letters of twenty.
const TRYING_CODES: RateLimit = RateLimit { per_second: 0.1, burst: 5 };

/// The client to whom requests count that come from an address: the address itself, but of IPv6 the network of 64 bits. One
/// subscriber has all addresses in it, and could come from another one each time.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Source(String);

impl Source {
    /// Returns the source of requests from an address.
    pub fn of(ip: &str) -> Self {
        Self(match ip.parse::<Ipv6Addr>() {
            Ok(address) => {
                let [a, b, c, d, ..] = address.segments();
                format!("{}/64", Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
            }
            Err(_) => ip.to_owned(),
        })
    }
}

/// A bucket: the limit, and the account, address or room it belongs to.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Bucket {
    /// `message`, by account number.
    Message(UserNum),
    /// `profile`, by account number.
    Profile(UserNum),
    /// `room_creation`, by account number.
    RoomCreation(UserNum),
    /// `joins`, by account number.
    Joins(UserNum),
    /// `joins_per_room`, by room id.
    JoinsOfRoom(String),
    /// `invites_per_sender`, by account number.
    InvitesBy(UserNum),
    /// `invites_per_recipient`, by user id.
    InvitesOf(String),
    /// `invites_per_room`, by room id.
    InvitesInto(String),
    /// `to_device`, by account number.
    ToDevice(UserNum),
    /// `reports`, by account number.
    Reports(UserNum),
    /// `media`, by account number.
    Media(UserNum),
    /// `url_previews`, by account number.
    UrlPreviews(UserNum),
    /// `registration`, by address.
    Registration(Source),
    /// `registration_attempts`, by address.
    RegistrationAttempts(Source),
    /// Trying registration tokens, by address.
    RegistrationToken(Source),
    /// `login_address`, by address.
    LoginAddress(Source),
    /// `login_account`, by user id.
    LoginAccount(String),
    /// `login_failed`, by user id.
    LoginFailed(String),
    /// Tokens for logging in another device, by account number: one a minute.
    LoginToken(UserNum),
    /// `oauth_requests`, by address.
    OAuthRequests(Source),
    /// `oauth_failed`, by address.
    OAuthFailed(Source),
    /// Trying codes of clients on other devices, by account number.
    UserCode(UserNum),
    /// `email_requests`, by address.
    EmailRequests(Source),
    /// `email_account`, by account number.
    EmailAccount(UserNum),
    /// `email_recipient`, by e-mail address.
    EmailRecipient(String),
    /// `service_tokens`, by the number of the token.
    ServiceToken(ServiceTokenNum),
}

#[derive(Clone, Copy)]
struct Level {
    amount: f64,
    at: Millis,
    per_second: f64,
}

/// Fractions of a millisecond below this come from the arithmetic.
const ROUNDING: f64 = 1e-3;
/// The number of buckets at which those that have run empty are dropped.
const PRUNE_AT: usize = 50_000;

struct Levels {
    of: HashMap<Bucket, Level>,
    /// The number of buckets at which empty ones are next removed.
    prune_at: usize,
}

/// All buckets.
pub struct Limiter {
    limits: RwLock<RateLimits>,
    levels: Mutex<Levels>,
}

impl Limiter {
    /// Returns a limiter with these limits and empty buckets.
    pub fn new(limits: RateLimits) -> Self {
        let levels = Mutex::new(Levels { of: HashMap::new(), prune_at: PRUNE_AT });
        Self { limits: RwLock::new(limits), levels }
    }

    /// Returns the current limits.
    pub fn limits(&self) -> RateLimits {
        self.limits.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Replaces the limits; the contents of the buckets are kept.
    pub fn set_limits(&self, limits: RateLimits) {
        *self.limits.write().unwrap_or_else(PoisonError::into_inner) = limits;
    }

    fn levels(&self) -> MutexGuard<'_, Levels> {
        self.levels.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts one request; `Err` holds the milliseconds after which it would be allowed. With `count` false the
    /// bucket is only read.
    fn take(&self, bucket: Bucket, limit: RateLimit, now: Millis, count: bool) -> Result<(), i64> {
        let mut levels = self.levels();
        let amount = levels.fit(&bucket, limit, 0.0, now)?;
        if count {
            levels.set(bucket, Level { amount: amount + 1.0, at: now, per_second: limit.per_second });
        }
        Ok(())
    }

    /// Counts a request against several limits: against all of them, or against none if one refuses. A bucket
    /// may occur several times.
    fn take_all(&self, buckets: &[Bucket], now: Millis) -> Result<(), i64> {
        let mut levels = self.levels();
        let mut wanted: HashMap<&Bucket, f64> = HashMap::new();
        for bucket in buckets {
            let before = wanted.entry(bucket).or_default();
            levels.fit(bucket, self.limit(bucket), *before, now)?;
            *before += 1.0;
        }
        for (bucket, wanted) in wanted {
            let limit = self.limit(bucket);
            let amount = levels.amount(bucket, limit, now) + wanted;
            levels.set(bucket.clone(), Level { amount, at: now, per_second: limit.per_second });
        }
        Ok(())
    }

    /// Gives back what was counted for a request that failed.
    fn give_back(&self, buckets: &[Bucket]) {
        let mut levels = self.levels();
        for bucket in buckets {
            if let Some(level) = levels.of.get_mut(bucket) {
                level.amount = (level.amount - 1.0).max(0.0);
            }
        }
    }

    /// Counts a request against a limit, if limits are enabled.
    pub fn check(&self, bucket: Bucket, now: Millis) -> Result<(), MatrixError> {
        self.apply(bucket, now, true)
    }

    /// Refuses if a limit is used up, without counting.
    pub fn peek(&self, bucket: Bucket, now: Millis) -> Result<(), MatrixError> {
        self.apply(bucket, now, false)
    }

    fn apply(&self, bucket: Bucket, now: Millis, count: bool) -> Result<(), MatrixError> {
        if !self.limits().enabled {
            return Ok(());
        }
        let limit = self.limit(&bucket);
        self.take(bucket, limit, now, count).map_err(MatrixError::limit_exceeded)
    }

    fn limit(&self, bucket: &Bucket) -> RateLimit {
        let limits = self.limits();
        match bucket {
            Bucket::Message(_) => limits.message,
            Bucket::Profile(_) => limits.profile,
            Bucket::RoomCreation(_) => limits.room_creation,
            Bucket::Joins(_) => limits.joins,
            Bucket::JoinsOfRoom(_) => limits.joins_per_room,
            Bucket::InvitesBy(_) => limits.invites_per_sender,
            Bucket::InvitesOf(_) => limits.invites_per_recipient,
            Bucket::InvitesInto(_) => limits.invites_per_room,
            Bucket::ToDevice(_) => limits.to_device,
            Bucket::Reports(_) => limits.reports,
            Bucket::Media(_) => limits.media,
            Bucket::UrlPreviews(_) => limits.url_previews,
            Bucket::Registration(_) => limits.registration,
            Bucket::RegistrationAttempts(_) => limits.registration_attempts,
            Bucket::RegistrationToken(_) => TRYING_TOKENS,
            Bucket::LoginAddress(_) => limits.login_address,
            Bucket::LoginAccount(_) => limits.login_account,
            Bucket::LoginFailed(_) => limits.login_failed,
            Bucket::LoginToken(_) => LOGIN_TOKEN,
            Bucket::OAuthRequests(_) => limits.oauth_requests,
            Bucket::OAuthFailed(_) => limits.oauth_failed,
            Bucket::UserCode(_) => TRYING_CODES,
            Bucket::EmailRequests(_) => limits.email_requests,
            Bucket::EmailAccount(_) => limits.email_account,
            Bucket::EmailRecipient(_) => limits.email_recipient,
            Bucket::ServiceToken(_) => limits.service_tokens,
        }
    }
}

impl Levels {
    /// Returns the contents of a bucket.
    fn amount(&self, bucket: &Bucket, limit: RateLimit, now: Millis) -> f64 {
        let old = self.of.get(bucket).copied();
        old.map_or(0.0, |old| leaked(Level { per_second: limit.per_second, ..old }, now))
    }

    /// Returns the contents of a bucket with some other requests, if one more fits in; `Err` holds the milliseconds after
    /// which it does.
    fn fit(&self, bucket: &Bucket, limit: RateLimit, others: f64, now: Millis) -> Result<f64, i64> {
        #[expect(clippy::cast_precision_loss, reason = "a burst is a small number")]
        let most = limit.burst as f64 - 1.0;
        let amount = self.amount(bucket, limit, now) + others;
        if amount > most {
            #[expect(clippy::cast_possible_truncation, reason = "bounded by the clamp")]
            let wait = ((amount - most) / limit.per_second * 1000.0 - ROUNDING)
                .ceil()
                .clamp(1.0, 86_400_000.0) as i64;
            return Err(wait);
        }
        Ok(amount)
    }

    fn set(&mut self, bucket: Bucket, level: Level) {
        if self.of.len() >= self.prune_at {
            self.of.retain(|_, other| leaked(*other, level.at) > 0.0);
            self.prune_at = (self.of.len() * 2).max(PRUNE_AT);
        }
        self.of.insert(bucket, level);
    }
}

fn leaked(level: Level, now: Millis) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "milliseconds since the last request")]
    let seconds = (now.since(level.at)).max(0) as f64 / 1000.0;
    (level.amount - seconds * level.per_second).max(0.0)
}

/// Returns true if an administrator switched off the limits of a session, by an override of 0 messages per second for
/// the acting account, or for the administrator who acts as it.
fn is_unlimited(session: &Session) -> bool {
    let off = |limit: &Option<RateLimitOverride>| limit.is_some_and(|limit| limit.messages_per_second == 0);
    off(&session.limit) || off(&session.owner_limit)
}

impl Limiter {
    /// Applies the `message` limit of an account. An administrator's override replaces the setting.
    pub fn message(&self, session: &Session, now: Millis) -> Result<(), MatrixError> {
        let limits = self.limits();
        if !limits.enabled || is_unlimited(session) {
            return Ok(());
        }
        let limit = match session.limit {
            None => limits.message,
            #[expect(clippy::cast_precision_loss, reason = "a rate is a small number")]
            Some(limit) => {
                RateLimit { per_second: limit.messages_per_second as f64, burst: limit.burst_count }
            }
        };
        self.take(Bucket::Message(session.user.num), limit, now, true).map_err(MatrixError::limit_exceeded)
    }

    /// Applies a limit of an account, such as `media`, that an override can only switch off.
    pub fn switchable(&self, session: &Session, bucket: Bucket, now: Millis) -> Result<(), MatrixError> {
        if is_unlimited(session) { Ok(()) } else { self.check(bucket, now) }
    }

    /// Refuses more invites at once than the limit can ever allow.
    pub fn check_invites(&self, session: &Session, invites: usize) -> Result<(), MatrixError> {
        let limits = self.limits();
        let most = usize::try_from(limits.invites_per_sender.burst).unwrap_or(usize::MAX);
        if limits.enabled && invites > most && !is_unlimited(session) {
            return Err(MatrixError::unknown("Cannot invite so many users at once"));
        }
        Ok(())
    }

    /// Runs an operation that counts against several limits of an account; a failed operation is not counted. An
    /// override can only switch the limits off.
    pub async fn counted<T>(
        &self,
        session: &Session,
        buckets: &[Bucket],
        now: Millis,
        deed: impl Future<Output = Result<T, MatrixError>>,
    ) -> Result<T, MatrixError> {
        if !self.limits().enabled || buckets.is_empty() {
            return deed.await;
        }
        if let Err(wait) = self.take_all(buckets, now) {
            if is_unlimited(session) {
                return deed.await;
            }
            return Err(MatrixError::limit_exceeded(wait));
        }
        let done = deed.await;
        if done.is_err() {
            self.give_back(buckets);
        }
        done
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leaks() {
        let limiter = Limiter::new(RateLimits::default());
        let limit = RateLimit { per_second: 1.0, burst: 2 };
        let take = |now| limiter.take(Bucket::Message(UserNum::new(1)), limit, Millis::new(now), true);
        assert_eq!(take(0), Ok(()));
        assert_eq!(take(0), Ok(()));
        assert_eq!(take(0), Err(1000));
        assert_eq!(take(400), Err(600));
        assert_eq!(take(1000), Ok(()));
        assert_eq!(take(1000), Err(1000));
    }

    #[test]
    fn all_or_none() {
        let limiter = Limiter::new(RateLimits {
            joins: RateLimit { per_second: 1.0, burst: 2 },
            joins_per_room: RateLimit { per_second: 0.5, burst: 1 },
            ..RateLimits::default()
        });
        let both = |room: &str| [Bucket::Joins(UserNum::new(1)), Bucket::JoinsOfRoom(room.to_owned())];
        assert_eq!(limiter.take_all(&both("a"), Millis::ZERO), Ok(()));
        assert_eq!(limiter.take_all(&both("a"), Millis::ZERO), Err(2000));
        assert_eq!(limiter.take_all(&both("b"), Millis::ZERO), Ok(()), "the refused one did not count");
        assert_eq!(limiter.take_all(&both("c"), Millis::ZERO), Err(1000));
        limiter.give_back(&both("b"));
        assert_eq!(limiter.take_all(&both("b"), Millis::ZERO), Ok(()));
        let thrice =
            [Bucket::Joins(UserNum::new(2)), Bucket::Joins(UserNum::new(2)), Bucket::Joins(UserNum::new(2))];
        assert_eq!(limiter.take_all(&thrice, Millis::ZERO), Err(1000));
        assert_eq!(limiter.take_all(&thrice[1..], Millis::ZERO), Ok(()));
        assert_eq!(limiter.take_all(&thrice[2..], Millis::ZERO), Err(1000));
    }

    #[test]
    fn empty_buckets_go() {
        let limiter = Limiter::new(RateLimits::default());
        for number in 0..i64::try_from(PRUNE_AT).unwrap() {
            limiter.take_all(&[Bucket::Reports(UserNum::new(number))], Millis::ZERO).unwrap();
        }
        assert_eq!(limiter.levels().of.len(), PRUNE_AT);
        limiter.take_all(&[Bucket::Reports(UserNum::new(-1))], Millis::new(10_000)).unwrap();
        assert_eq!(limiter.levels().of.len(), 1);
    }

    #[test]
    fn one_subscriber_is_one_source() {
        assert_eq!(Source::of("192.0.2.1"), Source::of("192.0.2.1"));
        assert_ne!(Source::of("192.0.2.1"), Source::of("192.0.2.2"));
        assert_eq!(Source::of("2001:db8:0:1::1"), Source::of("2001:db8:0:1:ffff:ffff:ffff:ffff"));
        assert_ne!(Source::of("2001:db8:0:1::1"), Source::of("2001:db8:0:2::1"));
    }

    #[test]
    fn no_burst_refuses_always() {
        let limiter = Limiter::new(RateLimits::default());
        let limit = RateLimit { per_second: 10.0, burst: 0 };
        assert_eq!(limiter.take(Bucket::Message(UserNum::new(1)), limit, Millis::ZERO, true), Err(100));
        assert_eq!(
            limiter.take(Bucket::Message(UserNum::new(1)), limit, Millis::new(10_000), true),
            Err(100)
        );
    }
}
