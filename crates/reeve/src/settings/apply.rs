//! What the settings mean to the other crates, values that are not set filled in.

use std::{net::SocketAddr, num::NonZero, thread, time::Duration};

use reeve_accounts::policy::{HashingCost, Policy};
use reeve_db::{DatabaseUrl, Options};

use super::{Secret, Settings};

/// Life of an access token that can be refreshed, where the settings give none.
const REFRESHABLE_LIFETIME_MS: i64 = 5 * 60 * 1000;

/// How long a login may wait until a thread is free to hash its password.
const HASHING_WAIT: Duration = Duration::from_secs(30);

impl Settings {
    /// Where the database is.
    pub fn database_url(&self) -> DatabaseUrl {
        match &self.database {
            Some(database) => database.0.clone(),
            None => DatabaseUrl::Sqlite(self.data_dir.join("reeve.db")),
        }
    }

    /// How much of the machine the database may use.
    pub fn database_options(&self) -> Options {
        let defaults = Options::default();
        let chosen = self.database_connections.and_then(|count| usize::try_from(count).ok());
        Options {
            readers: chosen.unwrap_or(defaults.readers),
            connections: chosen.unwrap_or(defaults.connections),
            ..defaults
        }
    }

    /// The URL at which clients reach the server, without a trailing slash; `bound` is the first address
    /// it really listens on.
    pub fn base_url(&self, bound: SocketAddr) -> String {
        match &self.public_base_url {
            Some(url) => url.as_str().to_owned(),
            None if self.server_name == "localhost" => format!("http://{bound}"),
            None => format!("https://{}", self.server_name),
        }
    }

    /// The rules that deeds on accounts follow.
    pub fn policy(&self) -> Policy {
        let Self { registration, tokens, account, account_validity, .. } = self;
        let secret = registration.shared_secret.as_ref().map(Secret::expose);
        Policy {
            registration_enabled: registration.enabled,
            registration_requires_token: registration.require_token,
            guests: registration.guests,
            registration_shared_secret: secret.map(str::to_owned),
            password_enabled: self.password.enabled,
            token_lifetime_ms: tokens.lifetime_ms,
            refreshable_token_lifetime_ms: tokens.lifetime_ms.unwrap_or(REFRESHABLE_LIFETIME_MS),
            refresh_token_lifetime_ms: tokens.refresh_lifetime_ms,
            login_via_existing_session: tokens.login_via_existing_session,
            extra_user_types: account.user_types.clone(),
            default_user_type: account.default_user_type.clone(),
            account_validity_period_ms: account_validity.period_ms.filter(|_| account_validity.enabled),
        }
    }

    /// What hashing a password costs, and how many are hashed at the same time.
    pub fn hashing_cost(&self) -> HashingCost {
        let password = &self.password;
        let half = || thread::available_parallelism().map_or(1, NonZero::get) / 2;
        let workers = password.workers.and_then(|workers| usize::try_from(workers).ok());
        HashingCost {
            pepper: password.pepper.expose().to_owned(),
            memory_kib: password.memory_kib,
            iterations: password.iterations,
            workers: workers.unwrap_or_else(half).max(1),
            wait: HASHING_WAIT,
        }
    }
}
