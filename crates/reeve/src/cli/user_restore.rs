//! `reeve user restore`: brings back what is kept of a deactivated account.

use reeve_accounts::restore::{self, Order};

use super::{Failure, operator::Operator};

/// Restore a deactivated account with what is kept of it: addresses, account data, backups of room keys, rooms
#[derive(Debug, clap::Args)]
pub(super) struct Restore {
    /// The account
    name: String,
    /// Give it a new password, which is read from a prompt; by default it has none
    #[arg(long)]
    set_password: bool,
    /// Read the password from the first line of standard input
    #[arg(long, requires = "set_password")]
    password_stdin: bool,
    /// Do not join its rooms again
    #[arg(long)]
    no_rejoin: bool,
}

/// Restores the account, and returns what to print.
pub(super) async fn run(command: Restore, operator: &Operator) -> Result<String, Failure> {
    let Restore { name, set_password, password_stdin, no_rejoin } = command;
    let user = operator.find(&name).await?;
    let user_id = user.user_id.clone();
    // Checked before the password is typed.
    operator.read(move |tx, ctx| restore::overview(tx, &user, ctx.now).map(drop)).await?;
    let password_hash =
        if set_password { Some(operator.new_password_hash(password_stdin, &user_id).await?) } else { None };
    let (policy, restored_id) = (operator.policy().clone(), user_id.clone());
    let order = Order { password_hash, rejoin: !no_rejoin };
    let restored = operator.write(move |tx, ctx| restore::restore(tx, ctx, &policy, &restored_id, &order));
    let restored = restored.await?;
    let mut lines = vec![format!(
        "{user_id} is restored, with {} addresses and {} backups of room keys",
        restored.threepids.len(),
        restored.key_backups
    )];
    let taken = restored.threepids_taken.iter();
    lines.extend(taken.map(|taken| format!("{} belongs to another account now", taken.address)));
    let rooms = if no_rejoin { 0 } else { restored.rooms };
    lines.push(format!(
        "the server brings back {} pieces of account data and {rooms} rooms when it runs (job {})\n",
        restored.account_data, restored.job
    ));
    Ok(lines.join("\n"))
}
