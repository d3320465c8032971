//! The program as an operator meets it: its commands, exit codes and messages.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "the helpers of a test fail the test"
)]

mod import;

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    os::unix::fs::PermissionsExt,
    path::Path,
    process::{Child, Command, Output, Stdio},
};

/// The program in `folder`, without the environment of the test.
fn reeve(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_reeve"));
    command.args(arguments).current_dir(folder).env_clear();
    // Hashing that costs nothing.
    command.env("REEVE_PASSWORD__MEMORY_KIB", "8").env("REEVE_LISTEN", "127.0.0.1:0");
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

/// What a command prints that succeeds.
fn prints(folder: &Path, arguments: &[&str]) -> String {
    let output = reeve(folder, arguments).output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", text(&output.stderr));
    assert_eq!(text(&output.stderr), "", "{arguments:?}");
    text(&output.stdout).to_owned()
}

/// The one line that a command complains with.
fn complaint(output: &Output) -> &str {
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert_eq!(text(&output.stdout), "");
    let line = text(&output.stderr).strip_prefix("reeve: ").and_then(|line| line.strip_suffix('\n'));
    line.filter(|line| !line.contains('\n')).unwrap_or_else(|| panic!("not one line: {output:?}"))
}

fn fails(folder: &Path, arguments: &[&str]) -> String {
    complaint(&reeve(folder, arguments).output().unwrap()).to_owned()
}

/// Runs a command with a password on its standard input.
fn with_password(folder: &Path, password: &str, arguments: &[&str]) -> Output {
    let mut child = reeve(folder, arguments).stdin(Stdio::piped()).spawn().unwrap();
    // A command that fails early does not read it.
    drop(child.stdin.take().unwrap().write_all(password.as_bytes()));
    child.wait_with_output().unwrap()
}

/// A server that is stopped, the hard way, when the test is over.
struct Server {
    child: Child,
    /// What it printed when it was ready.
    banner: String,
}

impl Server {
    fn start(folder: &Path) -> Self {
        let mut child = reeve(folder, &["serve"]).stderr(Stdio::null()).spawn().unwrap();
        let mut banner = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut banner).unwrap();
        Self { child, banner }
    }

    fn address(&self) -> &str {
        let (_, rest) = self.banner.split_once("http://").unwrap();
        rest.split_once(';').unwrap().0
    }

    fn signal(&self, name: &str) {
        let status = Command::new("kill").args(["-s", name, &self.child.id().to_string()]).status().unwrap();
        assert!(status.success());
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

#[test]
fn accounts_without_a_server() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    assert_eq!(
        fails(folder, &["user", "list"]),
        "there is no database reeve-data/reeve.db: give the --data-dir or --database of the server"
    );

    let create = ["user", "create", "alice", "--admin", "--password-stdin"];
    let created = with_password(folder, "correct horse\n", &create);
    assert_eq!(text(&created.stdout), "created @alice:localhost, an administrator\n");
    let mode = fs::metadata(folder.join("reeve-data")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
    assert_eq!(
        complaint(&with_password(folder, "x", &create)),
        "@alice:localhost cannot be created: User ID already taken"
    );
    let empty = with_password(folder, "\n", &["user", "create", "bob", "--password-stdin"]);
    assert_eq!(complaint(&empty), "the password is empty; nothing was changed");

    let bob = ["user", "create", "@bob:localhost", "--no-password", "--displayname", "Bob\u{1b}[2J"];
    assert_eq!(prints(folder, &bob), "created @bob:localhost\n");
    assert_eq!(
        prints(folder, &["user", "list"]),
        "USER ID           ADMIN  STATE   LAST SEEN (UTC)  DISPLAY NAME\n\
         @alice:localhost  admin  active  never            alice\n\
         @bob:localhost           active  never            Bob\\u{1b}[2J\n\
         2 of 2 accounts\n"
    );
    let admins = prints(folder, &["user", "list", "--admins", "--json"]);
    assert!(admins.contains("\"@alice:localhost\"") && !admins.contains("bob"), "{admins}");

    assert_eq!(prints(folder, &["user", "set-admin", "bob", "true"]), "@bob:localhost is an administrator\n");
    assert_eq!(
        prints(folder, &["user", "set-admin", "bob", "false"]),
        "@bob:localhost is no administrator\n"
    );
    assert_eq!(prints(folder, &["user", "lock", "bob"]), "@bob:localhost is locked\n");
    assert!(prints(folder, &["user", "show", "bob"]).contains("locked"));
    assert_eq!(prints(folder, &["user", "unlock", "bob"]), "@bob:localhost is not locked\n");
    assert!(!prints(folder, &["user", "show", "bob"]).contains("locked"));
    assert_eq!(prints(folder, &["user", "logout", "bob"]), "all sessions of @bob:localhost ended\n");
    let changed = with_password(folder, "x", &["user", "set-password", "bob", "--password-stdin"]);
    assert_eq!(text(&changed.stdout), "@bob:localhost has a new password; its sessions ended\n");

    let token = prints(folder, &["token", "create", "bob", "--valid-for", "1h"]);
    assert!(
        token.len() > 30 && token.trim_end().chars().all(|c| c.is_ascii_alphanumeric() || c == '_'),
        "{token}"
    );
    assert!(prints(folder, &["user", "show", "bob"]).contains("never seen    reeve token create\n"));
    prints(folder, &["user", "logout", "bob"]);
    assert!(!prints(folder, &["user", "show", "bob"]).contains("reeve token create"));

    assert!(prints(folder, &["user", "deactivate", "bob", "--erase"]).contains("deactivated and erased"));
    let shown = prints(folder, &["user", "show", "bob", "--json"]);
    assert!(shown.contains("\"erased\": true") && shown.contains("\"displayname\": null"), "{shown}");
    assert_eq!(fails(folder, &["token", "create", "bob"]), "This account has been deactivated");
    let refused = with_password(folder, "x", &["user", "set-password", "bob", "--password-stdin"]);
    assert_eq!(complaint(&refused), "@bob:localhost is deactivated");
    assert!(prints(folder, &["user", "list"]).ends_with("\n1 of 1 accounts\n"));
    assert!(
        prints(folder, &["user", "list", "--deactivated", "--limit", "1"]).ends_with("\n1 of 2 accounts\n")
    );
}

#[test]
fn names_that_mean_nobody_here() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    prints(folder, &["user", "create", "alice", "--no-password"]);
    for (arguments, error) in [
        (&["user", "show", "carol"][..], "there is no account @carol:localhost"),
        (&["user", "show", "@"], "\"@\" is not the name of an account"),
        (
            &["user", "lock", "@alice:example.org"],
            "\"@alice:example.org\" belongs to example.org, this is localhost",
        ),
        (
            &["user", "list", "--server-name", "example.org"],
            "the accounts in this database belong to localhost, not to example.org: give the --server-name of the server",
        ),
        (
            &["user", "create", "Carol", "--no-password"],
            "@Carol:localhost cannot be created: User ID can only contain characters a-z, 0-9, or '=_-./+'",
        ),
        (
            &["user", "create", "carol", "--no-password", "--user-type", "robot"],
            "the user type \"robot\" is neither \"bot\" nor \"support\" nor one of account.user_types",
        ),
    ] {
        assert_eq!(fails(folder, arguments), error);
    }
}

#[test]
fn questions_that_make_no_sense() {
    let folder = tempfile::tempdir().unwrap();
    for arguments in [
        &[][..],
        &["dance"],
        &["user", "create"],
        &["user", "create", "a", "password"],
        &["user", "create", "a", "--no-password", "--password-stdin"],
        &["user", "set-admin", "a", "maybe"],
        &["token", "create", "a", "--valid-for", "soon"],
        &["serve", "--colour"],
    ] {
        let output = reeve(folder.path(), arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert_eq!(text(&output.stdout), "");
    }
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn settings_are_printed_and_checked() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    fs::write(folder.join("reeve.toml"), "server_name = 'example.org'").unwrap();
    let printed = prints(folder, &["config", "--data-dir", "elsewhere"]);
    assert!(printed.contains("\nserver_name = \"example.org\"  # from reeve.toml\n"), "{printed}");
    assert!(printed.contains("\ndata_dir = \"elsewhere\"  # from --data-dir\n"), "{printed}");
    assert!(printed.contains("\nlisten = [\"127.0.0.1:0\"]  # from REEVE_LISTEN\n"), "{printed}");
    assert_eq!(prints(folder, &["config", "--check"]), "");
    assert_eq!(
        fails(folder, &["config", "--check", "--server-name", "a b"]),
        "server_name: server name is not a valid IP address or domain name (--server-name)"
    );
    assert!(prints(folder, &["completions", "bash"]).contains("_reeve()"));
    assert!(prints(folder, &["config", "--markdown"]).starts_with("# Settings\n"));
}

#[test]
fn a_server_and_commands_beside_it() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let mut server = Server::start(folder);
    assert_eq!(
        server.banner,
        format!(
            "Reeve {} serves localhost on http://{}; create an administrator with: reeve user create NAME --admin\n",
            env!("CARGO_PKG_VERSION"),
            server.address()
        )
    );
    prints(folder, &["user", "create", "alice", "--no-password"]);
    assert_eq!(fails(folder, &["serve"]), "the data folder reeve-data is in use by another server");
    let taken = fails(folder, &["serve", "--data-dir", "other", "--listen", server.address()]);
    assert!(taken.starts_with(&format!("cannot listen on {}: ", server.address())), "{taken}");

    let mut client = TcpStream::connect(server.address()).unwrap();
    client
        .write_all(b"GET /_matrix/client/versions HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        .unwrap();
    let mut answer = String::new();
    client.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 "), "{answer}");

    server.signal("TERM");
    assert_eq!(server.child.wait().unwrap().code(), Some(0));
    assert!(prints(folder, &["user", "list"]).ends_with("\n1 of 1 accounts\n"));
}

#[test]
fn a_second_signal_does_not_wait_for_requests() {
    let folder = tempfile::tempdir().unwrap();
    let mut server = Server::start(folder.path());
    let mut client = TcpStream::connect(server.address()).unwrap();
    // A request whose body never comes keeps the server from stopping; that it has begun is told by the server itself.
    client
        .write_all(
            b"POST /_matrix/client/v3/login HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\nExpect: 100-continue\r\n\r\n",
        )
        .unwrap();
    let mut begun = [0; 12];
    client.read_exact(&mut begun).unwrap();
    assert_eq!(text(&begun), "HTTP/1.1 100");
    server.signal("INT");
    server.signal("TERM");
    assert_eq!(server.child.wait().unwrap().code(), Some(1));
}

#[test]
fn a_server_that_cannot_start() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    // A port that nobody listens on, since its owner just left.
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let url = format!("postgres://u:hush@127.0.0.1:{port}/d");
    let output = reeve(folder, &["serve"]).env("REEVE_DATABASE", url).output().unwrap();
    let error = complaint(&output);
    assert!(
        error.starts_with(&format!("cannot open the database postgres://u:***@127.0.0.1:{port}/d: ")),
        "{error}"
    );

    let output = reeve(folder, &["serve"]).env("REEVE_REGISTRATON__ENABLED", "true").output().unwrap();
    assert!(
        complaint(&output).ends_with("the nearest is REEVE_REGISTRATION__ENABLED (registration.enabled)")
    );

    fs::write(folder.join("file"), "").unwrap();
    let error = fails(folder, &["serve", "--data-dir", "file/data"]);
    assert!(error.starts_with("cannot use the data folder file/data: "), "{error}");
}

#[test]
fn backups() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    assert_eq!(
        fails(folder, &["database", "backup", "copy.db"]),
        "there is no database reeve-data/reeve.db: give the --data-dir or --database of the server"
    );
    let server = Server::start(folder);
    prints(folder, &["user", "create", "alice", "--no-password"]);
    let copied = prints(folder, &["database", "backup", "copy.db"]);
    assert!(copied.starts_with("copied ") && copied.ends_with(" MiB to copy.db\n"), "{copied}");
    assert_eq!(
        fails(folder, &["database", "backup", "copy.db"]),
        "cannot copy to copy.db: entity already exists"
    );
    assert_eq!(prints(folder, &["database", "check"]), "found nothing wrong with reeve-data/reeve.db\n");
    // What happens later is not in it.
    prints(folder, &["user", "create", "bob", "--no-password"]);
    drop(server);

    let of_copy = ["--database", "sqlite:copy.db"];
    assert_eq!(
        prints(folder, &[&of_copy[..], &["database", "check"]].concat()),
        "found nothing wrong with copy.db\n"
    );
    let listed = prints(folder, &[&of_copy[..], &["user", "list"]].concat());
    assert!(listed.contains("@alice:localhost") && !listed.contains("@bob:localhost"), "{listed}");

    let elsewhere = ["--database", "postgres://localhost/none", "database", "check"];
    assert_eq!(
        fails(folder, &elsewhere),
        "this is for SQLite: a PostgreSQL database is checked with pg_amcheck"
    );
}
