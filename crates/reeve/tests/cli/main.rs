//! The program as an operator uses it: its commands, exit codes and messages.
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
    os::unix::{
        fs::{MetadataExt, PermissionsExt},
        process::CommandExt,
    },
    path::Path,
    process::{Child, Command, Output, Stdio},
    time::Duration,
};

use reeve::settings;
use reeve_db::{Db, Options};
use reeve_testkit::check_generated;

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

/// The standard error of a command, without the line that names its database.
fn said(output: &Output) -> &str {
    let all = text(&output.stderr);
    match all.split_once('\n') {
        Some((first, rest)) if first.starts_with("reeve: the database is ") => rest,
        _ => all,
    }
}

/// The output of a successful command.
fn prints(folder: &Path, arguments: &[&str]) -> String {
    let output = reeve(folder, arguments).output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", text(&output.stderr));
    assert_eq!(said(&output), "", "{arguments:?}");
    text(&output.stdout).to_owned()
}

/// The one line that a command complains with.
fn complaint(output: &Output) -> &str {
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert_eq!(text(&output.stdout), "");
    let line = said(output).strip_prefix("reeve: ").and_then(|line| line.strip_suffix('\n'));
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
    /// Its output when it was ready.
    banner: String,
}

impl Server {
    fn start(folder: &Path) -> Self {
        let mut command = reeve(folder, &["serve"]);
        command.stderr(Stdio::null());
        Self::start_as(command)
    }

    /// A server by another command.
    fn start_as(mut command: Command) -> Self {
        command.stdin(Stdio::null()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut banner = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut banner).unwrap();
        Self { child, banner }
    }

    fn address(&self) -> &str {
        let (_, rest) = self.banner.split_once("http://").unwrap();
        rest.split_once(';').unwrap().0
    }

    /// The response to a request that ends the connection.
    fn asks(&self, request: &str) -> String {
        let mut client = TcpStream::connect(self.address()).unwrap();
        client.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        client.read_to_string(&mut answer).unwrap();
        answer
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
    prints(folder, &["database", "create"]);
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
        "USER ID           ROLE   STATE   LAST SEEN (UTC)  DISPLAY NAME\n\
         @alice:localhost  owner  active  never            alice\n\
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
    assert_eq!(
        prints(folder, &["role", "put", "desk", "--scope", "users:read", "--scope", "users:write"]),
        "desk is created\n"
    );
    assert!(prints(folder, &["role", "list"]).contains("desk"));
    assert!(prints(folder, &["role", "list", "--json"]).contains("\"auditor\""));
    let set = prints(folder, &["user", "set-role", "bob", "desk"]);
    assert_eq!(set, "@bob:localhost has the role desk\n");
    assert!(prints(folder, &["user", "show", "bob"]).contains("role          desk\n"));
    assert_eq!(fails(folder, &["role", "delete", "desk"]), "Accounts hold this role");
    assert_eq!(fails(folder, &["user", "set-role", "bob", "king"]), "Role not found");
    assert_eq!(prints(folder, &["user", "set-role", "bob", "none"]), "@bob:localhost has no role\n");
    assert_eq!(prints(folder, &["role", "delete", "desk"]), "desk is deleted\n");
    let last = "The last owner of the server cannot be demoted, deactivated, locked or suspended";
    assert_eq!(fails(folder, &["user", "set-admin", "alice", "false"]), last);
    assert_eq!(fails(folder, &["user", "deactivate", "alice"]), last);
    assert_eq!(prints(folder, &["user", "lock", "bob"]), "@bob:localhost is locked\n");
    assert!(prints(folder, &["user", "show", "bob"]).contains("locked"));
    assert_eq!(prints(folder, &["user", "unlock", "bob"]), "@bob:localhost is not locked\n");
    assert!(!prints(folder, &["user", "show", "bob"]).contains("locked"));
    assert_eq!(prints(folder, &["user", "logout", "bob"]), "all sessions of @bob:localhost ended\n");
    let changed = with_password(folder, "x", &["user", "set-password", "bob", "--password-stdin"]);
    assert_eq!(text(&changed.stdout), "@bob:localhost has a new password; its sessions ended\n");
    let required = ["user", "set-password", "bob", "--password-stdin", "--keep-sessions", "--require-change"];
    assert_eq!(
        text(&with_password(folder, "y", &required).stdout),
        "@bob:localhost has a new password; its sessions were kept; its person must change it\n"
    );
    assert!(prints(folder, &["user", "show", "bob"]).contains("must change its password"));
    assert!(
        prints(folder, &["user", "show", "bob", "--json"]).contains("\"password_change_required\": true")
    );
    with_password(folder, "x", &["user", "set-password", "bob", "--password-stdin"]);
    assert!(!prints(folder, &["user", "show", "bob"]).contains("must change its password"));

    let token = prints(folder, &["token", "create", "bob", "--valid-for", "1h"]);
    assert!(
        token.len() > 30 && token.trim_end().chars().all(|c| c.is_ascii_alphanumeric() || c == '_'),
        "{token}"
    );
    assert!(prints(folder, &["user", "show", "bob"]).contains("never seen    reeve token create\n"));
    prints(folder, &["user", "logout", "bob"]);
    assert!(!prints(folder, &["user", "show", "bob"]).contains("reeve token create"));

    assert_eq!(fails(folder, &["user", "restore", "bob"]), "Nothing is kept of this account");
    prints(folder, &["user", "deactivate", "bob"]);
    let restored =
        with_password(folder, "x", &["user", "restore", "bob", "--set-password", "--password-stdin"]);
    let restored = text(&restored.stdout);
    assert!(
        restored.starts_with(
            "@bob:localhost is restored, with 0 addresses and 0 backups of room keys\n\
             the server brings back 0 pieces of account data and 0 rooms when it runs (job "
        ),
        "{restored}"
    );
    assert!(!prints(folder, &["user", "show", "bob"]).contains("deactivated"));
    assert_eq!(fails(folder, &["user", "restore", "bob"]), "This account is being restored");

    assert!(prints(folder, &["user", "deactivate", "bob", "--erase"]).contains("deactivated and erased"));
    let shown = prints(folder, &["user", "show", "bob", "--json"]);
    assert!(shown.contains("\"erased\": true") && shown.contains("\"displayname\": null"), "{shown}");
    assert_eq!(fails(folder, &["token", "create", "bob"]), "This account has been deactivated");
    let refused = with_password(folder, "x", &["user", "set-password", "bob", "--password-stdin"]);
    assert_eq!(complaint(&refused), "@bob:localhost is deactivated");
    assert!(prints(folder, &["user", "list"]).ends_with("\n1 of 1 accounts\n"));
    let filtered = prints(folder, &["user", "list", "--filter", "erased=true"]);
    assert!(filtered.contains("@bob:localhost") && filtered.ends_with("\n1 of 1 accounts\n"), "{filtered}");
    let exported = prints(
        folder,
        &["user", "export", "--format", "jsonl", "--filter", "name=alice", "--include", "devices_count"],
    );
    assert!(
        exported.starts_with("{\"name\":\"@alice:localhost\"")
            && exported.ends_with("\"devices_count\":0}\n"),
        "{exported}"
    );
    assert!(prints(folder, &["user", "export"]).starts_with("name,displayname,"));
    assert_eq!(
        fails(folder, &["user", "export", "--filter", "erased"]),
        "the filter \"erased\" is not of the form NAME=VALUE"
    );
    assert_eq!(fails(folder, &["user", "list", "--filter", "x=1"]), "there is no filter 'x'");
    assert!(
        prints(folder, &["user", "list", "--deactivated", "--limit", "1"]).ends_with("\n1 of 2 accounts\n")
    );
}

#[test]
fn nobody_must_change_a_password_that_cannot_be_changed() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    prints(folder, &["database", "create"]);
    prints(folder, &["user", "create", "alice", "--no-password"]);
    let set = |arguments: &[&str]| {
        let all = [&["user", "set-password", "alice", "--password-stdin"], arguments].concat();
        let mut command = reeve(folder, &all);
        let mut child =
            command.env("REEVE_PASSWORD__ENABLED", "false").stdin(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(b"a long password").unwrap();
        child.wait_with_output().unwrap()
    };
    assert_eq!(complaint(&set(&["--require-change"])), "Password change disabled");
    assert!(set(&[]).status.success());
}

#[test]
fn the_data_of_a_person() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    prints(folder, &["database", "create"]);
    prints(folder, &["user", "create", "alice", "--no-password"]);
    let ordered = prints(folder, &["user", "export-data", "alice", "--no-wait"]);
    assert!(ordered.ends_with(" of @alice:localhost is ordered; the server writes it\n"), "{ordered}");
    let export =
        |arguments: &[&str]| reeve(folder, &[&["user", "export-data"], arguments].concat()).output().unwrap();
    assert_eq!(complaint(&export(&["alice", "--output", "a.zip"])), "An export of this account is not over");
    assert_eq!(complaint(&export(&["bob", "--output", "a.zip"])), "there is no account @bob:localhost");
    let wrong = export(&["alice", "--output", "a.zip", "--recipient", "x"]);
    assert_eq!(complaint(&wrong), "The recipient must be an X25519 recipient of age (age1…)");
    assert_eq!(export(&["alice"]).status.code(), Some(2));
    assert_eq!(export(&["alice", "--output", "a.zip", "--timeout", "1"]).status.code(), Some(2));
    // A target that cannot be written is refused before the order.
    prints(folder, &["user", "create", "carol", "--no-password"]);
    assert_eq!(complaint(&export(&["carol", "--output", "no/c.zip"])), "there is no folder no");
    // Nobody writes it.
    let late = export(&["carol", "--output", "c.zip", "--timeout", "1s"]);
    assert_eq!(late.status.code(), Some(1));
    assert!(said(&late).contains(" is not ready in time; the server goes on with it"), "{late:?}");
    assert!(!folder.join("c.zip").exists());

    let _server = Server::start(folder);
    // The order from before is done first.
    let output = loop {
        let output = export(&["alice", "--output", "a.zip", "--history"]);
        if output.status.success() {
            break output;
        }
        assert_eq!(complaint(&output), "An export of this account is not over");
    };
    assert_eq!(text(&output.stdout), "the archive of @alice:localhost is in a.zip\n");
    let file = fs::File::open(folder.join("a.zip")).unwrap();
    assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    let mut zip = zip::ZipArchive::new(file).unwrap();
    let mut manifest = String::new();
    zip.by_name("manifest.json").unwrap().read_to_string(&mut manifest).unwrap();
    assert!(
        manifest.contains("\"user_id\": \"@alice:localhost\"") && manifest.contains("\"history\": true"),
        "{manifest}"
    );
    assert_eq!(complaint(&export(&["alice", "--output", "a.zip"])), "a.zip exists already");
    // An archive that cannot be read leaves nothing behind.
    prints(folder, &["user", "create", "dave", "--no-password"]);
    let mut elsewhere = reeve(folder, &["user", "export-data", "dave", "--output", "d.zip"]);
    let failed = elsewhere.env("REEVE_MEDIA__FOLDER", "elsewhere").output().unwrap();
    assert_eq!(failed.status.code(), Some(1));
    assert!(said(&failed).contains("cannot read the archive: "), "{failed:?}");
    let names = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let left: Vec<String> = names.filter(|name| name.contains(".zip")).collect();
    assert_eq!(left, ["a.zip"]);
}

#[test]
fn service_tokens_without_a_server() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    prints(folder, &["database", "create"]);
    let service_token = |arguments: &[&str]| prints(folder, &[&["service-token"], arguments].concat());
    let scopes = ["--scope", "users:write", "--scope", "users:read"];
    let create =
        ["create", "bot", "--description", "Help desk", "--network", "127.0.0.1", "--valid-for", "1h"];
    let secret = service_token(&[&create[..], &scopes].concat());
    assert!(secret.starts_with("rvs_") && secret.len() == 45, "{secret}");
    assert!(service_token(&["list"]).contains("users:read users:write  Help desk\n"));
    let shown = service_token(&["show", "bot", "--json"]);
    assert!(shown.contains("\"created_by_kind\": \"cli\"") && !shown.contains("rvs_"), "{shown}");
    assert!(service_token(&["show", "bot"]).contains("\nnetworks     127.0.0.1\n"));

    let server = Server::start(folder);
    let whoami = |secret: &str| {
        server.asks(&format!(
            "GET /_reeve/admin/v1/whoami HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer {}\r\n\r\n",
            secret.trim_end()
        ))
    };
    assert!(whoami(&secret).contains("\"name\":\"bot\""), "{}", whoami(&secret));
    let second = service_token(&["rotate", "bot"]);
    assert!(whoami(&secret).contains("\"name\":\"bot\"") && whoami(&second).contains("\"name\":\"bot\""));
    let third = service_token(&["rotate", "bot", "--at-once"]);
    assert!(whoami(&second).contains("M_UNKNOWN_TOKEN") && whoami(&third).contains("\"name\":\"bot\""));
    assert_eq!(service_token(&["delete", "bot"]), "bot is deleted\n");
    assert!(whoami(&third).contains("M_UNKNOWN_TOKEN"));

    assert_eq!(fails(folder, &["service-token", "show", "bot"]), "Service token not found");
    service_token(&["create", "a", "--scope", "audit:read"]);
    let again = ["service-token", "create", "a", "--scope", "audit:read"];
    assert_eq!(fails(folder, &again), "A service token of this name exists");
    for wrong in [
        &["create", "b"][..],
        &["create", "b", "--scope", "users:eat"],
        &["create", "b", "--scope", "users:read", "--network", "here"],
        &["rotate", "a", "--at-once", "--overlap", "1h"],
    ] {
        let output = reeve(folder, &[&["service-token"], wrong].concat()).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{wrong:?}");
    }
}

#[test]
fn old_data_is_deleted_by_rules() {
    fn run<'a>(arguments: &[&'a str]) -> Vec<&'a str> {
        [&["retention", "run"], arguments].concat()
    }

    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    prints(folder, &["database", "create"]);
    let retention = |arguments: &[&str]| prints(folder, &[&["retention"], arguments].concat());
    let listed = retention(&["list"]);
    assert!(listed.starts_with("RULE             AGE      NEXT RUN (UTC)"), "{listed}");
    assert!(listed.contains("\ndevices          never    -"), "{listed}");
    assert!(listed.contains("\nip_addresses     28 days  -"), "{listed}");
    assert!(retention(&["list", "--json"]).contains("\"older_than_ms\": 604800000"));
    assert_eq!(
        fails(folder, &run(&["devices", "--no-wait"])),
        "Neither the settings nor the order give this rule a time"
    );
    let young = run(&["devices", "--older-than", "1h"]);
    assert_eq!(fails(folder, &young), "What is less than a day old is not deleted");
    for wrong in [&["nothing"][..], &["devices", "--older-than", "soon"]] {
        assert_eq!(reeve(folder, &run(wrong)).output().unwrap().status.code(), Some(2), "{wrong:?}");
    }
    // The operator can delete more of the audit log than the settings say.
    let ordered = retention(&["run", "audit", "--older-than", "1d", "--no-wait"]);
    assert!(ordered.ends_with(" is ordered; the server does it\n"), "{ordered}");
    assert!(fails(folder, &run(&["audit", "--older-than", "1d"])).contains("is not over: its job is "));

    let _server = Server::start(folder);
    for (arguments, expected) in [
        (&["ip_addresses", "--dry-run"][..], "ip_addresses: 0 would be deleted, 0 kept\n"),
        (&["devices", "--older-than", "90d"], "devices: 0 deleted, 0 kept\n"),
    ] {
        let output = reeve(folder, &run(arguments)).output().unwrap();
        assert_eq!(text(&output.stdout), expected, "{}", text(&output.stderr));
    }
}

/// The error if there is no database.
fn no_database(folder: &Path) -> String {
    format!(
        "there is no database sqlite:{}: give the --data-dir or --database of the server, or create one with reeve \
         database create",
        folder.join("reeve-data/reeve.db").display()
    )
}

#[test]
fn nothing_but_the_server_makes_a_database_unasked() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    fs::write(folder.join("accounts.jsonl"), "").unwrap();
    for arguments in [
        &["user", "list"][..],
        &["user", "create", "alice", "--no-password"],
        &["user", "create", "alice", "--password-stdin"],
        &["token", "create", "alice"],
        &["service-token", "list"],
        &["retention", "list"],
        &["import", "accounts", "accounts.jsonl"],
        &["database", "migrate"],
        &["database", "check"],
        &["database", "backup", "copy.db"],
    ] {
        assert_eq!(fails(folder, arguments), no_database(folder), "{arguments:?}");
        assert_eq!(fs::read_dir(folder).unwrap().count(), 1, "{arguments:?}");
    }
    // A broken start leaves a file without a database in it.
    fs::create_dir(folder.join("reeve-data")).unwrap();
    fs::write(folder.join("reeve-data/reeve.db"), "").unwrap();
    assert_eq!(fails(folder, &["user", "list"]), no_database(folder));
    assert_eq!(fails(folder, &["database", "migrate"]), no_database(folder));

    let url = format!("sqlite:{}", folder.join("reeve-data/reeve.db").display());
    assert_eq!(prints(folder, &["database", "create"]), format!("created the database {url}\n"));
    assert_eq!(fails(folder, &["database", "create"]), format!("the database {url} exists already"));
    let list = reeve(folder, &["user", "list"]).output().unwrap();
    assert_eq!(text(&list.stderr), format!("reeve: the database is {url}\n"));
    assert_eq!(
        prints(folder, &["database", "migrate"]),
        format!("the schema of the database {url} is up to date\n")
    );
    let _server = Server::start(folder);
    assert_eq!(
        fails(folder, &["database", "migrate"]),
        "the data folder reeve-data is in use by another server"
    );
}

#[test]
fn nothing_but_the_server_migrates_a_database_unasked() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    fs::create_dir(folder.join("reeve-data")).unwrap();
    let url = format!("sqlite:{}", folder.join("reeve-data/reeve.db").display());
    let all = reeve_store::MIGRATIONS;
    let open = |migrations| {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let url = url.parse().unwrap();
            Db::open(&url, Options::default(), migrations).await.unwrap().close().await;
        });
    };
    open(&all[..all.len() - 1]);
    let pending = format!(
        "the database {url} has schema version {}, this program needs {}: stop the server if it runs, and start this \
         version of it, or run reeve database migrate",
        all.len() - 1,
        all.len()
    );
    for arguments in [
        &["user", "list"][..],
        &["user", "create", "alice", "--no-password"],
        &["token", "create", "alice"],
        &["import", "accounts", "accounts.jsonl"],
        &["import", "accounts", "accounts.jsonl", "--dry-run"],
    ] {
        assert_eq!(fails(folder, arguments), pending, "{arguments:?}");
    }
    // Commands that do not change the schema work.
    prints(folder, &["database", "check"]);
    prints(folder, &["database", "backup", "copy.db"]);
    prints(folder, &["database", "migrate"]);
    assert!(prints(folder, &["user", "list"]).ends_with("\n0 of 0 accounts\n"));
}

/// A command run as another user than root, so that permissions are enforced.
fn as_somebody(folder: &Path, arguments: &[&str]) -> Command {
    if fs::metadata("/proc/self").unwrap().uid() != 0 {
        return reeve(folder, arguments);
    }
    // The folder of the program may be closed to others.
    let (built, program) = (env!("CARGO_BIN_EXE_reeve"), folder.join("reeve"));
    if !program.exists() {
        fs::hard_link(built, &program).or_else(|_| fs::copy(built, &program).map(drop)).unwrap();
        std::os::unix::fs::chown(folder, Some(NOBODY), None).unwrap();
    }
    let mut command = Command::new(program);
    command.args(arguments).current_dir(folder).env_clear().stdin(Stdio::null()).uid(NOBODY);
    command
}

const NOBODY: u32 = 65_534;

#[test]
fn the_true_reason_is_said_where_permission_is_missing() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    prints(folder, &["database", "create"]);
    let (data, file) = (folder.join("reeve-data"), folder.join("reeve-data/reeve.db"));
    let mode = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    let list = || complaint(&as_somebody(folder, &["user", "list"]).output().unwrap()).to_owned();
    let cannot = |reason| format!("cannot open the database sqlite:{}: {reason}", file.display());
    mode(&data, 0o000);
    assert_eq!(list(), cannot("Permission denied (os error 13)"));
    mode(&data, 0o755);
    mode(&file, 0o000);
    assert_eq!(list(), cannot("Permission denied (os error 13)"));
    mode(&file, 0o444);
    assert_eq!(list(), cannot("this user may read the file, but not write to it"));
}

#[test]
fn files_are_for_their_owner_alone() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    // Folders that a service manager may create, for a program whose new files are readable and writable by
    // everybody.
    fs::create_dir(folder.join("reeve-data")).unwrap();
    for path in [folder, &folder.join("reeve-data")] {
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
    }
    let mut command = Command::new("sh");
    let script = "umask 0; exec \"$0\" serve";
    command.args(["-c", script, env!("CARGO_BIN_EXE_reeve")]).current_dir(folder).env_clear();
    command.env("REEVE_PASSWORD__MEMORY_KIB", "8").env("REEVE_LISTEN", "127.0.0.1:0");
    let server = Server::start_as(command);
    let created = with_password(folder, "secret\n", &["user", "create", "alice", "--password-stdin"]);
    assert!(created.status.success(), "{created:?}");
    let token = prints(folder, &["token", "create", "alice"]);
    let upload = format!(
        "POST /_matrix/media/v3/upload HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {}\r\nContent-Length: \
         5\r\nConnection: close\r\n\r\nhello",
        token.trim_end()
    );
    let answer = server.asks(&upload);
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    prints(folder, &["database", "backup", "copy.db"]);

    let mut files = Vec::new();
    let mut folders = vec![folder.join("reeve-data/media")];
    let mut look_at = vec![folder.join("copy.db"), folder.join("reeve-data")];
    while let Some(path) = look_at.pop() {
        if path.is_dir() {
            look_at.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
            folders.push(path);
        } else {
            files.push(path);
        }
    }
    folders.retain(|path| *path != folder.join("reeve-data"));
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    for path in &files {
        assert_eq!(mode(path), 0o600, "{}", path.display());
    }
    for path in &folders {
        assert_eq!(mode(path), 0o700, "{}", path.display());
    }
    // The copy, the database with its log and index, the lock, and the upload in a folder of its own.
    assert_eq!((files.len(), folders.len()), (6, 3), "{files:?} {folders:?}");
}

#[test]
fn a_start_names_files_that_others_can_read() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    prints(folder, &["database", "create"]);
    fs::write(folder.join("pepper"), "hush\n").unwrap();
    fs::write(
        folder.join("reeve.toml"),
        "password.pepper_path = 'pepper'\nregistration.shared_secret = 'hush'",
    )
    .unwrap();
    let open =
        |path: &str, mode| fs::set_permissions(folder.join(path), fs::Permissions::from_mode(mode)).unwrap();
    let warned = || {
        let mut command = reeve(folder, &["serve"]);
        command.stderr(fs::File::create(folder.join("log")).unwrap());
        drop(Server::start_as(command));
        let log = fs::read_to_string(folder.join("log")).unwrap();
        let lines = log.lines().filter(|line| line.contains("every user of this machine can read this"));
        let paths = lines.filter_map(|line| line.split_once("path=").map(|(_, path)| path.to_owned()));
        paths.collect::<Vec<_>>()
    };
    for path in ["pepper", "reeve.toml", "reeve-data/reeve.db"] {
        open(path, 0o644);
    }
    open(".", 0o700);
    // Other users cannot read the folders.
    assert_eq!(warned(), [""; 0]);
    open(".", 0o755);
    assert_eq!(warned(), ["reeve.toml", "pepper"]);
    open("reeve-data", 0o755);
    let database =
        ["reeve.toml", "pepper", "reeve-data/reeve.db", "reeve-data/reeve.db-wal", "reeve-data/reeve.db-shm"];
    assert_eq!(warned(), database);
}

#[test]
fn registration_for_everybody_is_a_decision() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let open = "REEVE_REGISTRATION__ENABLED";
    let output = reeve(folder, &["serve"]).env(open, "true").output().unwrap();
    assert_eq!(
        complaint(&output),
        "registration.enabled: would let everybody register: set registration.require_token or registration.require_email as well, or \
         registration.without_verification if this is meant (environment variable REEVE_REGISTRATION__ENABLED)"
    );
    assert_eq!(fs::read_dir(folder).unwrap().count(), 0);
    for decision in ["REEVE_REGISTRATION__REQUIRE_TOKEN", "REEVE_REGISTRATION__WITHOUT_VERIFICATION"] {
        let mut command = reeve(folder, &["serve"]);
        command.env(open, "true").env(decision, "true").stderr(Stdio::null());
        assert!(Server::start_as(command).banner.starts_with("Reeve "), "{decision}");
    }
}

#[test]
fn settings_are_read_again_on_sighup() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let settings = |text: &str| fs::write(folder.join("reeve.toml"), text).unwrap();
    settings("log.filter = 'info'\nrate_limits.enabled = false");
    let mut command = reeve(folder, &["serve"]);
    command.stderr(fs::File::create(folder.join("log")).unwrap());
    let mut server = Server::start_as(command);
    let log = |wanted: &str| {
        eventually(|| fs::read_to_string(folder.join("log")).unwrap().contains(wanted), wanted);
    };
    let body = r#"{"type":"m.login.password","user":"a","password":"b"}"#;
    let login = format!(
        "POST /_matrix/client/v3/login HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    for _ in 0..3 {
        assert!(server.asks(&login).starts_with("HTTP/1.1 403 "));
    }
    settings("log.filter = 'info,reeve_http=debug'\nrate_limits.login.burst = 1\ndata_dir = 'elsewhere'");
    server.signal("HUP");
    log("read the settings again changed=\"rate_limits.enabled, rate_limits.login.burst, log.filter\"");
    log("changes that need a restart changed=\"data_dir\"");
    assert!(server.asks(&login).starts_with("HTTP/1.1 403 "));
    assert!(server.asks(&login).starts_with("HTTP/1.1 429 "));

    // Invalid settings change nothing.
    settings("log.filter = 'debgu'\nrate_limits.enabled = false\npassword.iterations = 0");
    server.signal("HUP");
    log("problem=password.iterations: must be at least 1, not 0");
    log("problem=log.filter: expected a level");
    assert!(server.asks(&login).starts_with("HTTP/1.1 429 "));
    settings("rate_limits.enabled = false\nrate_limits.login.burst = 1");
    server.signal("HUP");
    log("changed=\"rate_limits.enabled, log.filter\"");
    assert!(server.asks(&login).starts_with("HTTP/1.1 403 "));

    server.signal("TERM");
    assert_eq!(server.child.wait().unwrap().code(), Some(0));
}

/// Waits until something holds.
fn eventually(holds: impl Fn() -> bool, what: &str) {
    for _ in 0..1000 {
        if holds() {
            return;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    panic!("not so after ten seconds: {what}");
}

#[test]
fn health_tells_that_the_disk_is_full() {
    let folder = tempfile::tempdir().unwrap();
    // Writing beyond the limit is an error of the write then, and does not kill.
    let mut command = Command::new("sh");
    command.args(["-c", "trap '' XFSZ; exec \"$0\" serve", env!("CARGO_BIN_EXE_reeve")]);
    command.current_dir(folder.path()).env_clear().env("REEVE_LISTEN", "127.0.0.1:0").stderr(Stdio::null());
    let server = Server::start_as(command);
    let health = "GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    let is = |status: &str, body: &str| {
        let answer = server.asks(health);
        answer.starts_with(&format!("HTTP/1.1 {status} ")) && answer.ends_with(body)
    };
    assert!(is("200", "{\"status\":\"ok\"}"));
    let limit = |bytes: &str| {
        let pid = server.child.id().to_string();
        let status = Command::new("prlimit").args(["--pid", &pid, &format!("--fsize={bytes}:")]).status();
        assert!(status.unwrap().success());
    };
    limit("0");
    eventually(|| is("503", "disk I/O error\"}"), "health tells of writes that fail");
    assert!(server.asks(health).contains("\"error\":\"The database takes no writes: "));
    limit("unlimited");
    eventually(|| is("200", "{\"status\":\"ok\"}"), "health tells that writes work again");
}

#[test]
fn accounts_expire_and_are_renewed() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    prints(folder, &["database", "create"]);
    prints(folder, &["user", "create", "ada", "--admin", "--no-password"]);
    let show = || prints(folder, &["user", "show", "ada"]);
    assert!(show().contains("valid until   for ever\n"), "{}", show());
    assert_eq!(
        fails(folder, &["user", "renew", "ada"]),
        "accounts do not expire on this server: give --valid-for or --for-ever"
    );
    let renewed = prints(folder, &["user", "renew", "ada", "--valid-for", "365d"]);
    assert!(
        renewed.starts_with("@ada:localhost is valid until 20") && renewed.ends_with(" UTC\n"),
        "{renewed}"
    );
    assert!(show().contains("state         active\nvalid until   20"), "{}", show());

    // A moment later it is over, which both commands show.
    prints(folder, &["user", "renew", "ada", "--valid-for", "1s"]);
    eventually(|| show().contains("state         expired\n"), "the account is shown as expired");
    assert!(prints(folder, &["user", "list"]).contains("@ada:localhost  owner  expired  "));
    let shown = prints(folder, &["user", "show", "ada", "--json"]);
    assert!(shown.contains("\"expired\": true"), "{shown}");

    let mut by_settings = reeve(folder, &["user", "renew", "ada"]);
    by_settings.env("REEVE_ACCOUNT_VALIDITY__ENABLED", "true");
    by_settings.env("REEVE_ACCOUNT_VALIDITY__PERIOD_MS", "3600000");
    let renewed = by_settings.output().unwrap();
    assert!(text(&renewed.stdout).starts_with("@ada:localhost is valid until 20"), "{renewed:?}");
    assert_eq!(prints(folder, &["user", "renew", "ada", "--for-ever"]), "@ada:localhost does not expire\n");
    assert!(show().contains("valid until   for ever\n"), "{}", show());
}

#[test]
fn names_that_mean_nobody_here() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    prints(folder, &["database", "create"]);
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
    let mut many = reeve(folder, &["config", "--check", "--server-name", "a b"]);
    let many =
        many.env("REEVE_LOG__FILTER", "debgu").env("REEVE_ENABLE_REGISTRATION", "true").output().unwrap();
    assert_eq!(many.status.code(), Some(1));
    assert_eq!(
        text(&many.stderr),
        "reeve: enable_registration is a setting of Synapse; its name here is registration.enabled (environment variable \
         REEVE_ENABLE_REGISTRATION)\n\
         reeve: server_name: server name is not a valid IP address or domain name (--server-name)\n\
         reeve: log.filter: expected a level (off, error, warn, info, debug or trace), or PART=LEVEL such as \
         reeve_db=debug, found \"debgu\" (environment variable REEVE_LOG__FILTER)\n"
    );
    assert!(prints(folder, &["completions", "bash"]).contains("_reeve()"));
    assert_eq!(prints(folder, &["config", "--markdown"]), settings::markdown());
    assert_eq!(prints(folder, &["config", "--example"]), settings::example());
}

#[test]
fn the_page_about_the_settings_is_up_to_date() {
    check_generated("docs/settings.md", &settings::markdown());
}

#[test]
fn the_example_file_is_up_to_date() {
    check_generated("reeve.example.toml", &settings::example());
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

    let answer =
        server.asks("GET /_matrix/client/versions HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
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
    // A request whose body never arrives keeps the server from stopping; the server itself reports that it has
    // begun.
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
    // A port without a listener, since its owner just closed it.
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let url = format!("postgres://u:hush@127.0.0.1:{port}/d");
    let output = reeve(folder, &["serve"]).env("REEVE_DATABASE", url).output().unwrap();
    let error = complaint(&output);
    assert!(
        error.starts_with(&format!("cannot open the database postgres://u:***@127.0.0.1:{port}/d: ")),
        "{error}"
    );

    let bucket = [
        ("REEVE_MEDIA__BUCKET__NAME", "uploads"),
        ("REEVE_MEDIA__BUCKET__ENDPOINT", &format!("http://127.0.0.1:{port}")),
        ("REEVE_MEDIA__BUCKET__ACCESS_KEY_ID", "id"),
        ("REEVE_MEDIA__BUCKET__SECRET_ACCESS_KEY", "hush"),
    ];
    let output = reeve(folder, &["serve"]).envs(bucket).output().unwrap();
    let error = output.stderr.split(|byte| *byte == b'\n').filter(|line| line.starts_with(b"reeve: "));
    let error: Vec<&str> = error.map(text).collect();
    assert_eq!(error.len(), 1, "{output:?}");
    assert!(error[0].contains("cannot use the bucket uploads: ") && !error[0].contains("hush"), "{error:?}");

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
    let server = Server::start(folder);
    prints(folder, &["user", "create", "alice", "--no-password"]);
    let copied = prints(folder, &["database", "backup", "copy.db"]);
    assert!(copied.starts_with("copied ") && copied.ends_with(" MiB to copy.db\n"), "{copied}");
    assert_eq!(
        fails(folder, &["database", "backup", "copy.db"]),
        "cannot copy to copy.db: entity already exists"
    );
    let checked = prints(folder, &["database", "check"]);
    assert_eq!(checked, format!("no faults in {}\n", folder.join("reeve-data/reeve.db").display()));
    // Later changes are not in it.
    prints(folder, &["user", "create", "bob", "--no-password"]);
    drop(server);

    let of_copy = ["--database", "sqlite:copy.db"];
    assert_eq!(
        prints(folder, &[&of_copy[..], &["database", "check"]].concat()),
        format!("no faults in {}\n", folder.join("copy.db").display())
    );
    let listed = prints(folder, &[&of_copy[..], &["user", "list"]].concat());
    assert!(listed.contains("@alice:localhost") && !listed.contains("@bob:localhost"), "{listed}");

    let elsewhere = ["--database", "postgres://localhost/none", "database", "check"];
    assert_eq!(
        fails(folder, &elsewhere),
        "this is for SQLite: a PostgreSQL database is checked with pg_amcheck"
    );
}
