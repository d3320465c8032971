//! `reeve token`.

use reeve_accounts::{
    Policy, account, audit, login,
    sessions::{self, NewSession},
};
use serde_json::json;

use super::{Failure, block_on, operator::Operator, terminal::print};
use crate::settings::Settings;

/// The device name of such a token.
const DEVICE_NAME: &str = "reeve token create";

/// NAME is a localpart (alice) or a full user id (@alice:example.org).
#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Print a new access token of an account, which is listed as a separate device
    Create {
        /// The account
        name: String,
        /// The lifetime, such as 90s, 15m, 8h or 7d; by default as in the settings
        #[arg(long, value_name = "DURATION", value_parser = milliseconds)]
        valid_for: Option<i64>,
    },
}

pub(super) fn run(command: Command, settings: &Settings) -> Result<(), Failure> {
    let Command::Create { name, valid_for } = command;
    block_on(async {
        let operator = Operator::open(settings).await?;
        let token = create(&operator, &name, valid_for).await;
        operator.close().await;
        print(&format!("{}\n", token?))
    })
}

async fn create(operator: &Operator, name: &str, valid_for: Option<i64>) -> Result<String, Failure> {
    let user = operator.find(name).await?;
    let policy = operator.policy();
    let policy = Policy { token_lifetime_ms: valid_for.or(policy.token_lifetime_ms), ..policy.clone() };
    let issued = operator.write(move |tx, ctx| {
        let user = account::find(tx, &user.user_id)?;
        login::check_may_log_in(&user)?;
        let device = NewSession {
            device_id: None,
            initial_device_display_name: Some(DEVICE_NAME.to_owned()),
            refreshable: false,
        };
        let issued = sessions::create(tx, ctx, &policy, &user, &device)?;
        let changes = json!({ "device_id": issued.device_id, "expires_in_ms": issued.expires_in_ms });
        audit::record(tx, ctx, "user.token", &user.user_id, &changes)?;
        Ok(issued)
    });
    Ok(issued.await?.access_token)
}

/// Parses a number with a unit.
pub(super) fn milliseconds(text: &str) -> Result<i64, String> {
    let unit = |suffix: char| match suffix {
        's' => Some(1_000),
        'm' => Some(60_000),
        'h' => Some(3_600_000),
        'd' => Some(86_400_000),
        _ => None,
    };
    let parse = || {
        let suffix = text.chars().last()?;
        let number: u32 = text.strip_suffix(suffix)?.parse().ok().filter(|number| *number > 0)?;
        i64::from(number).checked_mul(unit(suffix)?)
    };
    parse().ok_or_else(|| "expected a number and a unit, such as 90s, 15m, 8h or 7d".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        for (text, ms) in [("90s", 90_000), ("15m", 900_000), ("8h", 28_800_000), ("7d", 604_800_000)] {
            assert_eq!(milliseconds(text), Ok(ms));
        }
        for wrong in ["", "s", "0s", "-1h", "1", "1.5h", "1w", "1h30m", "1ä", "99999999999d"] {
            assert!(milliseconds(wrong).is_err(), "{wrong}");
        }
    }
}
