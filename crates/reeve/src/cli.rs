//! The command line: commands, results and exit codes.
//!
//! Results go to standard output, everything else to standard error. The exit code is 0 on success, 1 on
//! failure, and 2 for invalid arguments.

mod config;
mod database;
mod import;
mod operator;
mod retention;
mod role;
mod selected;
mod serve;
mod service_token;
mod terminal;
mod token;
mod user;
mod user_batch;
mod user_export;
mod user_restore;

use std::{env, io, path::PathBuf, process::ExitCode};

use clap::{CommandFactory, Parser, Subcommand};
use clap_complete::Shell;

use crate::{
    server::StartError,
    settings::{self, Flags, Loaded, SettingsError},
};

/// A Matrix homeserver whose centre is user administration.
#[derive(Debug, Parser)]
#[command(name = "reeve", version, disable_help_subcommand = true)]
struct Cli {
    #[command(flatten)]
    settings: SettingsOptions,
    #[command(subcommand)]
    command: Command,
}

/// The settings that can be given on the command line, with any command.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Settings")]
struct SettingsOptions {
    /// The settings file; by default ./reeve.toml, if it exists
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The name of this homeserver: the part of user ids after the colon
    #[arg(long, global = true, value_name = "NAME")]
    server_name: Option<String>,
    /// An address to listen on; can be given several times
    #[arg(long, global = true, value_name = "ADDRESS:PORT")]
    listen: Vec<String>,
    /// The folder for everything the server stores itself
    #[arg(long, global = true, value_name = "DIR")]
    data_dir: Option<String>,
    /// The database, sqlite:FILE or postgres://USER@HOST/DATABASE. Other users can read the command line: put a
    /// password into the settings file or the environment
    #[arg(long, global = true, value_name = "URL")]
    database: Option<String>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the server
    Serve,
    /// Print the effective settings, with their meanings and sources
    Config(config::Arguments),
    /// Create, find, inspect and change accounts, whether the server runs or not
    #[command(subcommand)]
    User(user::Command),
    /// Import accounts from another server
    #[command(subcommand)]
    Import(import::Command),
    /// Create access tokens
    #[command(subcommand)]
    Token(token::Command),
    /// Create, list, change and delete roles, which accounts hold
    #[command(subcommand)]
    Role(role::Command),
    /// Create, list, rotate and delete credentials of administration that belong to no account
    #[command(subcommand)]
    ServiceToken(service_token::Command),
    /// Delete old data, or count it, by the rules of the settings
    #[command(subcommand)]
    Retention(retention::Command),
    /// Create, migrate, copy and check the database
    #[command(subcommand)]
    Database(database::Command),
    /// Print a completion script for a shell
    Completions {
        /// The shell
        shell: Shell,
    },
}

/// The reason why a command failed: one line for each problem.
#[derive(Debug, thiserror::Error)]
#[error("{}", .0.join("; "))]
struct Failure(Vec<String>);

impl Failure {
    fn new(text: impl Into<String>) -> Self {
        Self(vec![text.into()])
    }
}

impl From<SettingsError> for Failure {
    fn from(error: SettingsError) -> Self {
        Self(error.into_lines())
    }
}

impl From<StartError> for Failure {
    fn from(error: StartError) -> Self {
        Self::new(error.to_string())
    }
}

/// Runs the program with the arguments and the environment of the process.
pub fn main() -> ExitCode {
    match run(Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure(lines)) => {
            for line in lines {
                terminal::say(&line);
            }
            ExitCode::FAILURE
        }
    }
}

fn run(cli: Cli) -> Result<(), Failure> {
    let SettingsOptions { config, server_name, listen, data_dir, database } = cli.settings;
    let flags = Flags { config, server_name, listen, data_dir, database };
    let load = || -> Result<Loaded, Failure> { Ok(settings::load(&flags, env::vars_os())?) };
    match cli.command {
        Command::Serve => serve::run(load()?, load),
        Command::Config(arguments) => config::run(&arguments, load),
        Command::User(command) => user::run(command, &load()?.settings),
        Command::Import(command) => import::run(command, &load()?.settings),
        Command::Token(command) => token::run(command, &load()?.settings),
        Command::Role(command) => role::run(command, &load()?.settings),
        Command::ServiceToken(command) => service_token::run(command, &load()?.settings),
        Command::Retention(command) => retention::run(command, &load()?.settings),
        Command::Database(command) => database::run(command, &load()?.settings),
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "reeve", &mut script);
            terminal::print(&String::from_utf8_lossy(&script))
        }
    }
}

/// Runs one asynchronous command on this thread.
fn block_on<T>(future: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(cannot_start)?.block_on(future)
}

fn cannot_start(error: io::Error) -> Failure {
    Failure::new(format!("cannot start the threads of the program: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_arguments_are_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn settings_can_be_given_before_and_after_the_command() {
        for line in ["reeve --data-dir d serve", "reeve serve --data-dir d", "reeve user --data-dir d list"] {
            let cli = Cli::try_parse_from(line.split(' ')).unwrap();
            assert_eq!(cli.settings.data_dir.as_deref(), Some("d"), "{line}");
        }
    }

    #[test]
    fn a_password_is_never_an_argument() {
        for line in ["reeve user create a secret", "reeve user create a --password secret"] {
            let error = Cli::try_parse_from(line.split(' ')).unwrap_err();
            assert_eq!(error.exit_code(), 2, "{line}");
        }
    }
}
