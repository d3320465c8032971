//! `reeve service-token`.

use reeve_accounts::service_tokens::{self, OVERLAP_MS};
use reeve_model::{Millis, Network, Scope, Scopes};
use reeve_store::SortKey;
use reeve_store::service_tokens::{self as stored, ServiceToken, Terms};
use serde_json::{Value, json};

use super::{
    Failure, block_on,
    operator::Operator,
    terminal::{print, scope, table},
    token::milliseconds,
};
use crate::settings::Settings;

/// NAME is the name of a service token, which the audit log shows.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Create a service token, and print its secret, which cannot be read again
    Create {
        /// A new name: letters, digits, dots, hyphens and underscores
        name: String,
        /// A scope that it holds, such as users:read; can be given several times
        #[arg(long, value_name = "SCOPE", value_parser = scope, required = true)]
        scope: Vec<Scope>,
        /// Its purpose
        #[arg(long, value_name = "TEXT", default_value = "")]
        description: String,
        /// An address or network from which it can be used, such as 10.0.0.0/8; can be given several times; by
        /// default it can be used from anywhere
        #[arg(long, value_name = "NETWORK", value_parser = network)]
        network: Vec<Network>,
        /// The lifetime, such as 8h or 90d; by default it does not expire
        #[arg(long, value_name = "DURATION", value_parser = milliseconds)]
        valid_for: Option<i64>,
    },
    /// List service tokens, the newest first
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Show a service token
    Show {
        /// The service token
        name: String,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Print a new secret of a service token; the former ones stay valid for a day
    Rotate {
        /// The service token
        name: String,
        /// The time for which the former secrets stay valid, such as 1h, instead of a day
        #[arg(long, value_name = "DURATION", value_parser = milliseconds, conflicts_with = "at_once")]
        overlap: Option<i64>,
        /// End the former secrets at once
        #[arg(long)]
        at_once: bool,
    },
    /// Delete a service token: it is refused from then on
    Delete {
        /// The service token
        name: String,
    },
}

fn network(text: &str) -> Result<Network, String> {
    text.parse().map_err(|_| "expected an address or network such as 127.0.0.1 or 10.0.0.0/8".to_owned())
}

pub(super) fn run(command: Command, settings: &Settings) -> Result<(), Failure> {
    block_on(async {
        let operator = Operator::open(settings).await?;
        let result = answer(command, &operator).await;
        operator.close().await;
        print(&result?)
    })
}

/// Runs a command, and returns its output.
async fn answer(command: Command, operator: &Operator) -> Result<String, Failure> {
    match command {
        Command::Create { name, scope, description, network, valid_for } => {
            let scopes: Scopes = scope.into_iter().collect();
            let terms = Terms { description, scopes, networks: network, expires_ts: None };
            let issued = operator.write(move |tx, ctx| {
                let expires_ts = valid_for.map(|lifetime| ctx.now.plus(lifetime));
                service_tokens::create(tx, ctx, &name, &Terms { expires_ts, ..terms.clone() })
            });
            Ok(format!("{}\n", issued.await?.secret))
        }
        Command::List { json } => list(operator, json).await,
        Command::Show { name, json } => show(operator, name, json).await,
        Command::Rotate { name, overlap, at_once } => {
            let overlap_ms = if at_once { 0 } else { overlap.unwrap_or(OVERLAP_MS) };
            let issued = operator.write(move |tx, ctx| service_tokens::rotate(tx, ctx, &name, overlap_ms));
            Ok(format!("{}\n", issued.await?.secret))
        }
        Command::Delete { name } => {
            let message = format!("{name} is deleted\n");
            operator.write(move |tx, ctx| service_tokens::delete(tx, ctx, &name)).await?;
            Ok(message)
        }
    }
}

async fn list(operator: &Operator, as_json: bool) -> Result<String, Failure> {
    let all = SortKey::at(Millis::MAX);
    let tokens = operator.read(move |tx, _| Ok(stored::list(tx, &all, i64::MAX)?)).await?;
    if as_json {
        let tokens: Vec<Value> = tokens.iter().map(to_json).collect();
        return Ok(format!("{:#}\n", json!({ "service_tokens": tokens })));
    }
    let heads = ["NAME", "VALID UNTIL (UTC)", "LAST USED (UTC)", "SCOPES", "DESCRIPTION"];
    let mut rows = vec![heads.map(str::to_owned).to_vec()];
    rows.extend(tokens.iter().map(|token| {
        vec![
            token.name.clone(),
            token.terms.expires_ts.map_or_else(|| "for ever".to_owned(), Millis::utc),
            token.last_used.as_ref().map_or_else(|| "never".to_owned(), |last| last.ts.utc()),
            token.terms.scopes.to_string(),
            token.terms.description.clone(),
        ]
    }));
    Ok(table(&rows))
}

async fn show(operator: &Operator, name: String, as_json: bool) -> Result<String, Failure> {
    let token = operator.read(move |tx, _| service_tokens::find(tx, &name)).await?;
    if as_json {
        return Ok(format!("{:#}\n", to_json(&token)));
    }
    let utc = |at: Millis| format!("{} UTC", at.utc());
    let row = |name: &str, value: &str| vec![name.to_owned(), value.to_owned()];
    let networks: Vec<String> = token.terms.networks.iter().map(Network::to_string).collect();
    let last_used = token.last_used.as_ref();
    Ok(table(&[
        row("name", &token.name),
        row("description", &token.terms.description),
        row("scopes", &token.terms.scopes.to_string()),
        row("networks", &if networks.is_empty() { "any".to_owned() } else { networks.join(" ") }),
        row("created", &format!("{} by {}", utc(token.created_ts), token.created_by)),
        row("valid until", &token.terms.expires_ts.map_or_else(|| "for ever".to_owned(), utc)),
        row(
            "last used",
            &last_used.map_or_else(
                || "never".to_owned(),
                |last| match &last.ip {
                    Some(ip) => format!("{} from {ip}", utc(last.ts)),
                    None => utc(last.ts),
                },
            ),
        ),
    ]))
}

/// A service token with the keys of the administration API.
fn to_json(token: &ServiceToken) -> Value {
    let last_used = token.last_used.as_ref();
    json!({
        "name": token.name,
        "description": token.terms.description,
        "scopes": token.terms.scopes,
        "networks": token.terms.networks,
        "created_by_kind": token.created_by_kind,
        "created_by": token.created_by,
        "created_ts": token.created_ts,
        "expires_ts": token.terms.expires_ts,
        "last_used_ts": last_used.map(|last| last.ts),
        "last_used_ip": last_used.and_then(|last| last.ip.as_ref()),
    })
}
