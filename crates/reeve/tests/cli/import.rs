//! `reeve import accounts`.

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Command, Output, Stdio},
    sync::atomic::{AtomicU64, Ordering},
};

use serde_json::{Value, json};

use crate::{Server, complaint, fails, prints, reeve, said, text};

/// Where a database is made for one test, if not in the folder of the server.
struct Postgres {
    name: String,
    url: String,
}

static NUMBER: AtomicU64 = AtomicU64::new(0);

impl Postgres {
    fn new() -> Self {
        let name = format!("reeve_cli_{}_{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
        reeve_test_postgres::create(&name);
        Self { url: reeve_test_postgres::url_of(&name), name }
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        reeve_test_postgres::drop_database(&self.name);
    }
}

/// The program in a folder, on one of the engines.
fn command(folder: &Path, postgres: Option<&Postgres>, arguments: &[&str]) -> Command {
    let mut command = reeve(folder, arguments);
    command.envs(postgres.map(|database| ("REEVE_DATABASE", database.url.as_str())));
    command
}

fn output(folder: &Path, postgres: Option<&Postgres>, arguments: &[&str]) -> Output {
    command(folder, postgres, arguments).output().unwrap()
}

fn write_lines(folder: &Path, lines: &[Value]) {
    let lines: Vec<String> = lines.iter().map(|line| format!("{line}\n")).collect();
    fs::write(folder.join("accounts.jsonl"), lines.concat()).unwrap();
}

/// The contents of the file of refused accounts.
fn refused(folder: &Path) -> Vec<Value> {
    let text = fs::read_to_string(folder.join("refused.jsonl")).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

const IMPORT: [&str; 5] = ["import", "accounts", "accounts.jsonl", "--refused", "refused.jsonl"];
const BCRYPT: &str = "$2b$04$VVvoG/Ld7pyJNBgm0zvhzuXtxb5fDyVcNbyDlzjM/0DTBDYBO4RUC";

/// An account with everything that one can have, and one with nothing.
fn good() -> [Value; 2] {
    [
        json!({
            "user_id": "@ada:localhost",
            "password_hash": BCRYPT,
            "displayname": "Ada Lovelace",
            "avatar_url": "mxc://localhost/ada",
            "admin": true,
            "user_type": "support",
            "is_guest": false,
            "deactivated": false,
            "erased": false,
            "locked": true,
            "suspended": true,
            "shadow_banned": true,
            "approved": true,
            "creation_ts": 1_600_000_000_123_i64,
            "consent_version": "1.0",
            "consent_ts": 1_600_000_000_124_i64,
            "last_seen_ts": 1_700_000_000_000_i64,
            "threepids": [{ "medium": "email", "address": "Ada@Example.org", "validated_at": 1_600_000_000_125_i64,
                "added_at": 1_600_000_000_126_i64 }],
            "external_ids": [{ "auth_provider": "oidc", "external_id": "ada-1" }],
            "devices": [{ "device_id": "TELEPHONE", "display_name": "A telephone", "last_seen_ts": 1_700_000_000_001_i64,
                "last_seen_ip": "192.0.2.1", "last_seen_user_agent": "Client" }],
            "profile_fields": { "m.tz": "Europe/London" },
        }),
        json!({ "localpart": "bob" }),
    ]
}

/// Accounts that are refused, with the reason and the error.
fn bad() -> Vec<(Value, Value, &'static str, &'static str)> {
    let case = |mut account: Value, reason, error| {
        let name = json!("@bad:localhost");
        let user_id = if account.get("user_id").is_none() && account.get("localpart").is_none() {
            account["user_id"] = name.clone();
            name
        } else {
            account.get("user_id").or(account.get("localpart")).unwrap().clone()
        };
        (account, user_id, reason, error)
    };
    let id = "invalid user id";
    let device = "invalid device";
    vec![
        case(json!({ "user_id": "bad" }), id, "Expected UserID string to start with '@'"),
        case(json!({ "user_id": "@bad:example.org" }), id, "it belongs to example.org, this is localhost"),
        case(
            json!({ "user_id": "@a:localhost", "localpart": "a" }),
            id,
            "both user_id and localpart are given",
        ),
        case(json!({ "localpart": "Bad" }), id, "User ID can only contain characters a-z, 0-9, or '=_-./+'"),
        case(json!({ "localpart": "123" }), id, "Numeric user IDs are reserved for guest users."),
        case(
            json!({ "displayname": "x".repeat(257) }),
            "invalid profile",
            "Displayname is too long (max 256)",
        ),
        case(
            json!({ "avatar_url": "x".repeat(1001) }),
            "invalid profile",
            "Avatar URL is too long (max 1000)",
        ),
        case(
            json!({ "profile_fields": { "Bad": 1 } }),
            "invalid profile",
            "Field name does not follow Common Namespaced Identifier Grammar: \"Bad\"",
        ),
        case(
            json!({ "profile_fields": { "avatar_url": "x" } }),
            "invalid profile",
            "avatar_url does not belong into profile_fields",
        ),
        case(
            json!({ "profile_fields": { "big": "x".repeat(65536) } }),
            "invalid profile",
            "Profile too large",
        ),
        case(json!({ "displayname": "a\0" }), "invalid text", "a text has U+0000 in it"),
        case(
            json!({ "user_type": "robot" }),
            "unknown user type",
            "the user type \"robot\" is not known here",
        ),
        case(
            json!({ "approved": false }),
            "not approved",
            "accounts do not wait for approval here: leave it out, or import it locked",
        ),
        case(
            json!({ "password_hash": "secret" }),
            "invalid password hash",
            "it is neither a bcrypt hash ($2a$, $2b$, $2y$) nor a PHC string of Argon2",
        ),
        case(
            json!({ "creation_ts": 1_600_000_000 }),
            "invalid time",
            "creation_ts is in milliseconds, but 1600000000 seems to be in seconds",
        ),
        case(json!({ "last_seen_ts": -1 }), "invalid time", "last_seen_ts is negative"),
        case(
            json!({ "deactivated": true, "password_hash": BCRYPT }),
            "inconsistent",
            "a deactivated account has no password, devices or third-party ids",
        ),
        case(json!({ "erased": true }), "inconsistent", "an erased account is deactivated, too"),
        case(
            json!({ "erased": true, "deactivated": true, "displayname": "x" }),
            "inconsistent",
            "an erased account has no profile",
        ),
        case(
            json!({ "threepids": [{ "medium": "pigeon", "address": "x" }] }),
            "invalid third-party id",
            "'pigeon' is not a valid value for 'medium'",
        ),
        case(
            json!({ "threepids": [{ "medium": "email", "address": "x" }] }),
            "invalid third-party id",
            "Unable to parse email address",
        ),
        case(
            json!({ "threepids": [{ "medium": "email", "address": "a@b" }, { "medium": "email", "address": "A@b" }] }),
            "invalid third-party id",
            "email a@b is given twice",
        ),
        case(
            json!({ "external_ids": [{ "auth_provider": "a", "external_id": "b" }, { "auth_provider": "a", "external_id": "b" }] }),
            "invalid external id",
            "\"b\" at \"a\" is given twice",
        ),
        case(
            json!({ "devices": [{ "device_id": "" }] }),
            device,
            "a device_id must have 1 to 512 characters",
        ),
        case(
            json!({ "devices": [{ "device_id": "D" }, { "device_id": "D" }] }),
            device,
            "the device \"D\" is given twice",
        ),
        case(
            json!({ "devices": [{ "device_id": "D", "display_name": "x".repeat(101) }] }),
            device,
            "Device display name is too long (max 100)",
        ),
        case(
            json!({ "devices": [{ "device_id": "D", "last_seen_ip": "here" }] }),
            device,
            "\"here\" is not an IP address",
        ),
        case(
            json!({ "dispalyname": "x" }),
            "unknown key",
            "unknown key \"dispalyname\"; the nearest is displayname",
        ),
        case(
            json!({ "devices": [{ "device_id": "D", "last_seen_pi": "192.0.2.1" }] }),
            "unknown key",
            "unknown key \"last_seen_pi\" in devices; the nearest is last_seen_ip",
        ),
        case(
            json!({ "user_id": "@bad:localhost", "admin": 1 }),
            "malformed line",
            "invalid type: integer `1`, expected a boolean at column 37",
        ),
        // In conflict with the good ones, which stand before these.
        case(
            json!({ "threepids": [{ "medium": "email", "address": "ada@example.org" }] }),
            "third-party id taken",
            "email ada@example.org belongs to @ada:localhost",
        ),
        case(
            json!({ "external_ids": [{ "auth_provider": "oidc", "external_id": "ada-1" }] }),
            "external id taken",
            "\"ada-1\" at \"oidc\" belongs to @ada:localhost",
        ),
    ]
}

fn accounts_come_and_are_refused(postgres: Option<&Postgres>) {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let bad = bad();
    let mut lines: Vec<Value> = good().to_vec();
    lines.extend(bad.iter().map(|(account, ..)| account.clone()));
    write_lines(folder, &lines);
    let mut reasons = std::collections::BTreeMap::new();
    for (_, _, reason, _) in &bad {
        *reasons.entry(*reason).or_insert(0) += 1;
    }
    let reasons = reasons.iter().fold(String::new(), |text, (reason, n)| text + &format!("  {n} {reason}\n"));
    let expected: Vec<Value> = (3..)
        .zip(&bad)
        .map(|(line, (_, user_id, reason, error))| {
            json!({ "line": line, "user_id": user_id, "reason": reason, "error": error })
        })
        .collect();

    let n = bad.len();
    // Checked without a database first. Conflicts with other accounts are found there, too, with another text.
    let dry = [&IMPORT[..], &["--dry-run"]].concat();
    let alone = output(folder, postgres, &dry);
    assert_eq!(text(&alone.stdout), format!("2 would be added\n0 there already\n{n} refused\n{reasons}"));
    assert!(text(&alone.stderr).contains(": checking the file only\n"), "{}", text(&alone.stderr));
    assert_eq!(alone.status.code(), Some(1));
    let mut left = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name()).collect::<Vec<_>>();
    left.sort();
    assert_eq!(left, ["accounts.jsonl", "refused.jsonl"]);

    let made = output(folder, postgres, &["database", "create"]);
    assert!(made.status.success(), "{made:?}");
    let first = output(folder, postgres, &IMPORT);
    assert_eq!(said(&first), format!("reeve: {n} accounts were refused\n"));
    assert_eq!(text(&first.stdout), format!("2 added\n0 there already\n{n} refused\n{reasons}"));
    assert_eq!(first.status.code(), Some(1));
    assert_eq!(refused(folder), expected);

    // Again, and dry: nothing is new.
    for arguments in [&IMPORT[..], &[&IMPORT[..], &["--dry-run"]].concat()] {
        let again = output(folder, postgres, arguments);
        let added = if arguments.len() > IMPORT.len() { "would be added" } else { "added" };
        assert_eq!(text(&again.stdout), format!("0 {added}\n2 there already\n{n} refused\n{reasons}"));
        assert_eq!(refused(folder), expected);
    }

    let shown = output(folder, postgres, &["user", "show", "ada", "--json"]);
    let shown: Value = serde_json::from_str(text(&shown.stdout)).unwrap();
    assert_eq!(
        shown,
        json!({
            "name": "@ada:localhost",
            "displayname": "Ada Lovelace",
            "avatar_url": "mxc://localhost/ada",
            "user_type": "support",
            "is_guest": false,
            "admin": true,
            "role": "owner",
            "deactivated": false,
            "erased": false,
            "locked": true,
            "suspended": true,
            "shadow_banned": true,
            "password_change_required": false,
            "expired": false,
            "expiration_ts": null,
            "creation_ts": 1_600_000_000_000_i64,
            "last_seen_ts": 1_700_000_000_001_i64,
            "devices": [{
                "device_id": "TELEPHONE",
                "display_name": "A telephone",
                "last_seen_ts": 1_700_000_000_001_i64,
                "last_seen_ip": "192.0.2.1",
                "last_seen_user_agent": "Client",
            }],
        })
    );
    let listed = output(folder, postgres, &["user", "list", "--json"]);
    let listed: Value = serde_json::from_str(text(&listed.stdout)).unwrap();
    let names: Vec<_> = listed["users"].as_array().unwrap().iter().map(|user| &user["name"]).collect();
    assert_eq!((json!(names), &listed["total"]), (json!(["@ada:localhost", "@bob:localhost"]), &json!(2)));
}

#[test]
fn accounts_come_and_are_refused_on_sqlite() {
    accounts_come_and_are_refused(None);
}

#[test]
fn accounts_come_and_are_refused_on_postgres() {
    if reeve_test_postgres::available() {
        accounts_come_and_are_refused(Some(&Postgres::new()));
    }
}

#[test]
fn files_that_are_of_no_use() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    prints(folder, &["database", "create"]);
    let missing = fails(folder, &["import", "accounts", "nowhere"]);
    assert!(missing.starts_with("cannot read nowhere: "), "{missing}");
    write_lines(folder, &[]);
    assert_eq!(prints(folder, &IMPORT), "0 added\n0 there already\n0 refused\n");

    // Without a file for them, the refused are named.
    fs::write(folder.join("accounts.jsonl"), "\n{\"localpart\":\"a\"}\n[]\n\u{1}").unwrap();
    let named = output(folder, None, &["import", "accounts", "accounts.jsonl"]);
    assert_eq!(
        said(&named),
        "reeve: line 3: no user id: the line is not a JSON object\n\
         reeve: line 4: no user id: the line is not a JSON object\n\
         reeve: 2 accounts were refused\n"
    );
    let server = Server::start(folder);
    assert_eq!(
        complaint(&output(folder, None, &IMPORT)),
        "the data folder reeve-data is in use by another server"
    );
    drop(server);
}

/// Number of lines in a batch.
const BATCH: usize = 20_000;

/// An import that is large keeps the lists for the end. It is killed before.
#[test]
fn a_large_import_is_killed_and_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let mut lines: Vec<Value> = (1..BATCH)
        .map(|n| json!({ "localpart": format!("user{n:05}"), "displayname": format!("Person {n}") }))
        .collect();
    lines.push(json!({ "localpart": "" }));
    lines.push(json!({ "localpart": "last" }));
    write_lines(folder, &lines);
    let all = fs::read(folder.join("accounts.jsonl")).unwrap();
    prints(folder, &["database", "create"]);

    // The first batch ends with a refused account, which shows when it is written.
    let mut child = reeve(folder, &["import", "accounts", "-", "--refused", "/dev/stdout"])
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    input.write_all(&all).unwrap();
    let mut first = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut first).unwrap();
    assert!(first.starts_with("{\"line\":20000,"), "{first}");
    child.kill().unwrap();
    child.wait().unwrap();
    drop(input);
    assert_eq!(
        fails(folder, &["user", "list"]),
        "accounts are being imported, or an import was interrupted: the next start of the server, or of an import, completes it"
    );

    // A copy continues with the import, the original with a server. The command above has left nothing outside
    // the file.
    let copy = tempfile::tempdir().unwrap();
    let copy = copy.path();
    fs::create_dir(copy.join("reeve-data")).unwrap();
    for file in ["accounts.jsonl", "reeve-data/reeve.db"] {
        fs::copy(folder.join(file), copy.join(file)).unwrap();
    }
    let resumed = output(copy, None, &["import", "accounts", "accounts.jsonl"]);
    assert_eq!(
        text(&resumed.stdout),
        "1 added\n19999 there already\n1 refused\n  1 invalid user id\n",
        "{}",
        text(&resumed.stderr)
    );
    drop(Server::start(folder));
    for (folder, total) in [(copy, BATCH), (folder, BATCH - 1)] {
        let list =
            |arguments: &[&str]| prints(folder, &[&["user", "list", "--limit", "2"][..], arguments].concat());
        assert!(list(&[]).ends_with(&format!("\n2 of {total} accounts\n")));
        let found = list(&["--name", "person 12345"]);
        assert!(found.contains("@user12345:localhost") && found.ends_with("\n1 of 1 accounts\n"), "{found}");
        // 777, and those from 7770 to 7779.
        let found = list(&["--name", "person 777"]);
        assert!(found.ends_with("\n2 of 11 accounts\n"), "{found}");
    }
}
