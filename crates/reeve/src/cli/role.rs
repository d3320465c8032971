//! `reeve role`.

use reeve_accounts::roles;
use reeve_model::{BuiltInRole, Role, Scope};
use reeve_store::roles as stored;
use serde_json::{Value, json};

use super::{
    Failure, block_on,
    operator::Operator,
    terminal::{print, scope, table},
};
use crate::settings::Settings;

/// NAME is the name of a role.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// List roles with their scopes
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Create a role, or change it for all accounts that hold it
    Put {
        /// The role: letters, digits, dots, hyphens and underscores
        name: String,
        /// A scope that its holders have, such as users:read; can be given several times
        #[arg(long, value_name = "SCOPE", value_parser = scope, required = true)]
        scope: Vec<Scope>,
        /// Its purpose
        #[arg(long, value_name = "TEXT", default_value = "")]
        description: String,
    },
    /// Delete a role that no account holds
    Delete {
        /// The role
        name: String,
    },
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
        Command::List { json } => list(operator, json).await,
        Command::Put { name, scope, description } => {
            let message = name.clone();
            let role = Role { name, description, scopes: scope.into_iter().collect() };
            let is_new = operator.write(move |tx, ctx| roles::put(tx, ctx, &role)).await?;
            Ok(format!("{message} is {}\n", if is_new { "created" } else { "changed" }))
        }
        Command::Delete { name } => {
            let message = format!("{name} is deleted\n");
            operator.write(move |tx, ctx| roles::delete(tx, ctx, &name)).await?;
            Ok(message)
        }
    }
}

async fn list(operator: &Operator, as_json: bool) -> Result<String, Failure> {
    let own = operator.read(move |tx, _| Ok(stored::own(tx)?)).await?;
    let roles: Vec<Role> = BuiltInRole::WORDS.iter().map(|(_, role)| Role::from(*role)).chain(own).collect();
    if as_json {
        let roles: Vec<Value> = roles
            .iter()
            .map(|role| json!({ "name": role.name, "description": role.description, "scopes": role.scopes }))
            .collect();
        return Ok(format!("{:#}\n", json!({ "roles": roles })));
    }
    let mut rows = vec![["NAME", "DESCRIPTION", "SCOPES"].map(str::to_owned).to_vec()];
    rows.extend(roles.into_iter().map(|role| vec![role.name, role.description, role.scopes.to_string()]));
    Ok(table(&rows))
}
