use std::path::Path;

use super::*;

type Variables = Vec<(OsString, OsString)>;

fn variables(pairs: &[(&str, &str)]) -> Variables {
    pairs.iter().map(|(name, value)| (name.into(), value.into())).collect()
}

/// Loads a file with this content, under these variables and flags.
fn load_with(file: &str, environment: &[(&str, &str)], mut flags: Flags) -> Result<Loaded, String> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("reeve.toml");
    fs::write(&path, file).unwrap();
    flags.config = Some(path.clone());
    load(&flags, variables(environment))
        .map_err(|error| error.to_string().replace(path.to_str().unwrap(), "reeve.toml"))
}

fn load_file(file: &str) -> Result<Settings, String> {
    load_with(file, &[], Flags::default()).map(|loaded| loaded.settings)
}

fn load_environment(pairs: &[(&str, &str)]) -> Result<Settings, String> {
    load_with("", pairs, Flags::default()).map(|loaded| loaded.settings)
}

#[test]
fn nothing_set_gives_the_defaults() {
    let loaded = load(&Flags::default(), []).unwrap();
    assert_eq!(loaded.settings, Settings::default());
    assert_eq!(loaded.settings.server_name, "localhost");
    assert_eq!(loaded.settings.listen.0, ["127.0.0.1:8008".parse().unwrap()]);
    assert_eq!(loaded.place("listen"), Place::Default);
}

#[test]
fn later_places_win() {
    let file = "server_name = 'file'\ndata_dir = 'file'\nlisten = '127.0.0.1:1'\n[password]\niterations = 3";
    let environment = [
        ("REEVE_SERVER_NAME", "environment"),
        ("REEVE_DATA_DIR", "environment"),
        ("REEVE_RATE_LIMITS__LOGIN__BURST", "9"),
    ];
    let flags = Flags { server_name: Some("flag".to_owned()), ..Flags::default() };
    let loaded = load_with(file, &environment, flags).unwrap();
    let settings = &loaded.settings;
    assert_eq!(settings.server_name, "flag");
    assert_eq!(settings.data_dir, Path::new("environment"));
    assert_eq!(settings.listen.0, ["127.0.0.1:1".parse().unwrap()]);
    assert_eq!(settings.password.iterations, 3);
    assert_eq!(settings.password.memory_kib, 19_456);
    // One value of a limit leaves the other at the default of that limit.
    assert_eq!(settings.rate_limits.login, RateLimit { per_second: 0.003, burst: 9 });

    assert_eq!(loaded.place("server_name"), Place::Flag("--server-name".to_owned()));
    assert_eq!(loaded.place("data_dir"), Place::Environment("REEVE_DATA_DIR".to_owned()));
    assert_eq!(loaded.place("listen"), Place::File(loaded.found.file.clone().unwrap()));
    assert_eq!(loaded.place("password.memory_kib"), Place::Default);
}

#[test]
fn the_environment_is_read_by_the_kind_of_the_key() {
    let settings = load_environment(&[
        ("REEVE_PASSWORD__PEPPER", "12345"),
        ("REEVE_PASSWORD__ENABLED", "false"),
        ("REEVE_TOKENS__LIFETIME_MS", "60000"),
        ("REEVE_RATE_LIMITS__MESSAGE__PER_SECOND", "2"),
        ("REEVE_LISTEN", "127.0.0.1:1, [::1]:2"),
        ("REEVE_ACCOUNT__USER_TYPES", "['a,b', 'c']"),
        ("REEVE_TRUSTED_PROXIES", "10.0.0.0/8,::1"),
        ("REEVE_DATABASE", ""),
    ])
    .unwrap();
    assert_eq!(settings.password.pepper.expose(), "12345");
    assert!(!settings.password.enabled);
    assert_eq!(settings.tokens.lifetime_ms, Some(60_000));
    assert!((settings.rate_limits.message.per_second - 2.0).abs() < f64::EPSILON);
    assert_eq!(settings.listen.0, ["127.0.0.1:1".parse().unwrap(), "[::1]:2".parse().unwrap()]);
    assert_eq!(settings.account.user_types, ["a,b", "c"]);
    assert_eq!(settings.trusted_proxies.0.len(), 2);
    assert_eq!(settings.database, None);
}

#[test]
fn other_variables_do_not_count() {
    let settings = load_environment(&[
        ("PATH", "/bin"),
        ("reeve_server_name", "x"),
        ("REEVE_TEST_POSTGRES", "x"),
        ("REEVE_SERVICE_HOST", "10.0.0.1"),
        ("REEVE_PORT", "tcp://10.0.0.1:8008"),
        ("REEVE_PORT_8008_TCP_PORT", "8008"),
    ]);
    assert_eq!(settings, Ok(Settings::default()));
}

#[test]
fn the_file_can_be_named_in_the_environment() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("other.toml");
    let environment = variables(&[("REEVE_CONFIG", path.to_str().unwrap())]);
    let error = load(&Flags::default(), environment.clone()).unwrap_err();
    assert_eq!(error.to_string(), format!("the settings file {} does not exist", path.display()));
    fs::write(&path, "server_name = 'other'").unwrap();
    assert_eq!(load(&Flags::default(), environment).unwrap().settings.server_name, "other");
}

#[test]
fn unknown_keys_name_the_nearest() {
    for (file, error) in [
        (
            "'registration.enabled' = true",
            "unknown setting \"registration.enabled\" (in reeve.toml); the nearest is registration.enabled",
        ),
        ("sever_name = 'x'", "unknown setting sever_name (in reeve.toml); the nearest is server_name"),
        (
            "[registraton]\nenabled = true",
            "unknown setting registraton.enabled (in reeve.toml); the nearest is registration.enabled",
        ),
        (
            "shared_secret = 'x'",
            "unknown setting shared_secret (in reeve.toml); the nearest is registration.shared_secret",
        ),
        (
            "[rate_limits.message]\nrate = 1",
            "unknown setting rate_limits.message.rate (in reeve.toml); the nearest is rate_limits.message.burst",
        ),
        ("[logs]\nfilter = 'x'", "unknown setting logs.filter (in reeve.toml); the nearest is log.filter"),
        ("log = 'debug'", "log: expected a table (in reeve.toml)"),
    ] {
        assert_eq!(load_file(file).unwrap_err(), error);
    }
    assert_eq!(
        load_environment(&[("REEVE_REGISTRATON__ENABLED", "true")]).unwrap_err(),
        "unknown environment variable REEVE_REGISTRATON__ENABLED: there is no setting registraton.enabled; \
         the nearest is REEVE_REGISTRATION__ENABLED (registration.enabled)"
    );
    assert!(
        load_environment(&[("REEVE_PASSWORD", "x")]).unwrap_err().starts_with("unknown environment variable")
    );
}

#[test]
fn wrong_values_name_the_key_and_the_place() {
    for (file, error) in [
        (
            "listen = 'localhost'",
            "listen: expected ADDRESS:PORT such as 127.0.0.1:8008 or [::1]:8008, found \"localhost\" (in reeve.toml)",
        ),
        ("listen = []", "listen: expected at least one address (in reeve.toml)"),
        ("listen = 8008", "listen: expected list of texts, found a number (in reeve.toml)"),
        (
            "trusted_proxies = ['::1', 'proxy']",
            "trusted_proxies: expected an address or network such as 127.0.0.1 or 10.0.0.0/8, found \"proxy\" \
             (in reeve.toml)",
        ),
        (
            "account.user_types = ['a', 1]",
            "account.user_types: expected list of texts, found a number (in reeve.toml)",
        ),
        ("password.iterations = 0", "password.iterations: must be at least 1, not 0 (in reeve.toml)"),
        ("password.iterations = -1", "password.iterations: -1 is out of range (in reeve.toml)"),
        (
            "password.iterations = 'x'",
            "password.iterations: expected whole number, found a text (in reeve.toml)",
        ),
        ("password.memory_kib = 7", "password.memory_kib: must be at least 8, not 7 (in reeve.toml)"),
        (
            "oauth.token_lifetime_ms = 300",
            "oauth.token_lifetime_ms: must be at least 60000, not 300 (in reeve.toml)",
        ),
        (
            "oauth.unused_clients_ms = 86400000",
            "oauth.unused_clients_ms: must be at least 172800000, not 86400000 (in reeve.toml)",
        ),
        ("media.bin_ms = -1", "media.bin_ms: must be at least 0, not -1 (in reeve.toml)"),
        (
            "rooms.bin_ms = 9000000000000000",
            "rooms.bin_ms: must be at most 3162240000000, not 9000000000000000 (in reeve.toml)",
        ),
        ("webhooks.history_ms = 0", "webhooks.history_ms: must be at least 1, not 0 (in reeve.toml)"),
        (
            "retention.devices_ms = 7776000",
            "retention.devices_ms: must be at least 86400000, not 7776000 (in reeve.toml)",
        ),
        (
            "retention.messages = { min_lifetime_ms = 172800000, default_lifetime_ms = 86400000 }",
            "retention.messages.default_lifetime_ms: must not be less than retention.messages.min_lifetime_ms (in reeve.toml)",
        ),
        (
            "scim.inactive = \"delete\"",
            "scim.inactive: expected \"lock\" or \"deactivate\", found \"delete\" (in reeve.toml)",
        ),
        (
            "scim.new_groups = \"club\"",
            "scim.new_groups: expected \"space\" or \"room\", found \"club\" (in reeve.toml)",
        ),
        (
            "scim.user_name_domain = \"a@b\"",
            "scim.user_name_domain: must be a domain such as example.com, without @ (in reeve.toml)",
        ),
        ("scim.external_id_provider = \"\"", "scim.external_id_provider: must not be empty (in reeve.toml)"),
        (
            "pages.accent = 'blue'",
            "pages.accent: expected a colour such as #1f5f8b, found \"blue\" (in reeve.toml)",
        ),
        ("pages.session_idle_ms = 0", "pages.session_idle_ms: must be at least 1, not 0 (in reeve.toml)"),
        (
            "exports.own_interval_ms = 60000",
            "exports.own_interval_ms: must be at least 3600000, not 60000 (in reeve.toml)",
        ),
        (
            "exports = { own_interval_ms = 172800000, keep_ms = 86400000 }",
            "exports.own_interval_ms: must not be greater than exports.keep_ms (in reeve.toml)",
        ),
        ("tokens.lifetime_ms = 0", "tokens.lifetime_ms: must be at least 1, not 0 (in reeve.toml)"),
        (
            "rate_limits.login.per_second = 0",
            "rate_limits.login.per_second: must be greater than 0, not 0 (in reeve.toml)",
        ),
        ("rate_limits.login.burst = 0", "rate_limits.login.burst: must be at least 1, not 0 (in reeve.toml)"),
        ("log.format = 'xml'", "log.format: expected \"text\" or \"json\", found \"xml\" (in reeve.toml)"),
        (
            "database = 'mysql://u:pw@h/d'",
            "database: unknown database scheme \"mysql\": write sqlite:PATH or postgres://… (in reeve.toml)",
        ),
        (
            "public_base_url = 'ftp://h'",
            "public_base_url: expected an http or https URL, found \"ftp://h\" (in reeve.toml)",
        ),
        (
            "account.default_user_type = 'robot'",
            "account.default_user_type: \"robot\" is neither \"bot\" nor \"support\" nor one of account.user_types \
             (in reeve.toml)",
        ),
        (
            "account.keep_deactivated_ms = -1",
            "account.keep_deactivated_ms: must be at least 0, not -1 (in reeve.toml)",
        ),
        (
            "account_validity.enabled = true",
            "account_validity.period_ms: must be set when account_validity.enabled is true",
        ),
        (
            "account_validity = { period_ms = 2, remind_ms = 2 }\nemail = { host = 'h', from = 'a@b' }\npublic_base_url = 'http://h'",
            "account_validity.remind_ms: must be less than account_validity.period_ms (in reeve.toml)",
        ),
        ("account_validity.remind_ms = 2", "account_validity.remind_ms: needs email.host (in reeve.toml)"),
        ("registration.require_email = true", "registration.require_email: needs email.host (in reeve.toml)"),
        ("email.link_ms = 3600", "email.link_ms: must be at least 60000, not 3600 (in reeve.toml)"),
        ("email.language = 'fr'", "email.language: expected \"en\" or \"de\", found \"fr\" (in reeve.toml)"),
        (
            "email.next_link_hosts = ['https://app.example.org']",
            "email.next_link_hosts: expected names of hosts such as app.example.org (in reeve.toml)",
        ),
        (
            "voip.turn_uris = ['turn:t.example.org']",
            "voip.turn_shared_secret: must be set, or voip.turn_username, when voip.turn_uris is set",
        ),
        (
            "voip.turn_uris = ['https://t.example.org']",
            "voip.turn_uris: expected URIs such as turn:turn.example.org?transport=udp (in reeve.toml)",
        ),
        (
            "voip.turn_username = 'x'",
            "voip.turn_username: must be set together with voip.turn_password (in reeve.toml)",
        ),
        (
            "voip.turn_user_lifetime_ms = 0",
            "voip.turn_user_lifetime_ms: must be at least 1, not 0 (in reeve.toml)",
        ),
        (
            "support.admin_matrix_id = 'ada'",
            "support.admin_matrix_id: expected a user id such as @name:example.org (in reeve.toml)",
        ),
        (
            "support.security_email = 'ada'",
            "support.security_email: expected an address such as name@example.org (in reeve.toml)",
        ),
        ("listen = '[::1]:1'\nlog format = 'x'", "reeve.toml, line 2: "),
    ] {
        let found = load_file(file).unwrap_err();
        assert!(found.starts_with(error), "{found}\nis not\n{error}");
        assert!(!found.contains('\n'), "{found}");
    }
    for name in ["", "a b", "http://x", "x:99999"] {
        let error = load_file(&format!("server_name = '{name}'")).unwrap_err();
        assert!(error.starts_with("server_name: ") && error.ends_with(" (in reeve.toml)"), "{error}");
    }
    assert_eq!(
        load_environment(&[("REEVE_PASSWORD__ENABLED", "yes")]).unwrap_err(),
        "password.enabled: expected true or false, found a text (environment variable REEVE_PASSWORD__ENABLED)"
    );
    let flags = Flags { listen: vec!["127.0.0.1:8008".to_owned(), "x".to_owned()], ..Flags::default() };
    assert!(load_with("", &[], flags).unwrap_err().ends_with("found \"x\" (--listen)"));
}

#[test]
fn all_that_is_wrong_is_said_at_once() {
    let file = "
        sever_name = 'x'
        listen = ['127.0.0.1:1', 'x']
        log = 'debug'
        enable_registration = true
        registration.enabled = true
        tokens.lifetime_ms = 'x'
        password.iterations = 0
        password.pepper_path = '/nowhere'
        account_validity = { enabled = true, period_ms = 'x' }
        email.host = 'h'
    ";
    let error = load_with(file, &[("REEVE_LOG__FORMAT", "xml"), ("REEVE_X", "y")], Flags::default());
    let error = error.unwrap_err();
    let mut keys: Vec<&str> = error.lines().map(|line| line.split(':').next().unwrap()).collect();
    keys.sort_unstable();
    assert_eq!(
        keys,
        [
            "account_validity.period_ms",
            "email.from",
            "enable_registration is a setting of Synapse; its name here is registration.enabled (in reeve.toml)",
            "listen",
            "log",
            "log.format",
            "password.iterations",
            "password.pepper_path",
            "public_base_url",
            "registration.enabled",
            "tokens.lifetime_ms",
            "unknown environment variable REEVE_X",
            "unknown setting sever_name (in reeve.toml); the nearest is server_name",
        ]
    );
}

#[test]
fn settings_of_synapse_are_known() {
    for (file, error) in [
        (
            "enable_registration = true",
            "enable_registration is a setting of Synapse; its name here is registration.enabled (in reeve.toml)",
        ),
        (
            "[rc_message]\nper_second = 1\nburst_count = 2",
            "rc_message is a setting of Synapse; its name here is rate_limits.message (in reeve.toml)",
        ),
        (
            "[email]\nsmtp_host = 'h'",
            "email.smtp_host is a setting of Synapse; its name here is email.host (in reeve.toml)",
        ),
        (
            "[[listeners]]\nport = 8008",
            "listeners is a setting of Synapse; its name here is listen (in reeve.toml)",
        ),
        (
            "report_stats = true",
            "report_stats is a setting of Synapse; it has no counterpart here: nothing is ever reported (in reeve.toml)",
        ),
    ] {
        assert_eq!(load_file(file).unwrap_err(), error);
    }
}

#[test]
fn every_secret_can_come_from_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("secret");
    let path = path.to_str().unwrap();
    let known = entries(&Settings::default());
    let secrets: Vec<&Entry> = known.iter().filter(|entry| entry.kind == Kind::Secret).collect();
    assert!(secrets.len() > 4);
    for Entry { key, .. } in secrets {
        let path_key = format!("{key}_path");
        assert!(known.iter().any(|entry| entry.key == path_key && entry.kind == Kind::Text), "{path_key}");
        let (variable, path_variable) = (layers::variable(key), layers::variable(&path_key));
        let place = format!("(environment variable {path_variable})");
        // A password needs its user.
        let mut pairs = vec![(path_variable.as_str(), path)];
        pairs.extend((key == "email.password").then_some(("REEVE_EMAIL__USER", "u")));
        pairs.extend((key == "voip.turn_password").then_some(("REEVE_VOIP__TURN_USERNAME", "u")));

        drop(fs::remove_file(path));
        let error = load_environment(&pairs).unwrap_err();
        assert!(error.starts_with(&format!("{path_key}: cannot read {path}: ")), "{error}");
        fs::write(path, "\n").unwrap();
        let error = load_environment(&pairs).unwrap_err();
        assert!(error.starts_with(&format!("{path_key}: {path} is empty {place}")), "{error}");

        // It also has the form of a database.
        let secret = "postgres://u:hush@h/d";
        fs::write(path, format!("{secret}\n")).unwrap();
        let loaded = load_with("", &pairs, Flags::default()).unwrap();
        let found = entries(&loaded.settings).into_iter().find(|entry| entry.key == *key).unwrap();
        assert_eq!(found.value, Some(Value::String(secret.to_owned())));
        assert_eq!(loaded.files_with_secrets(), [Path::new(path)]);
        let printed = loaded.to_toml();
        assert!(!printed.contains("hush") && printed.contains(&format!("  # from {path}\n")), "{printed}");

        let mut both = pairs.clone();
        both.push((&variable, secret));
        let error = load_environment(&both).unwrap_err();
        assert_eq!(error, format!("{path_key}: {key} is set as well; set one of the two {place}"));
    }
}

#[test]
fn the_later_of_a_secret_and_its_file_wins() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("secret");
    fs::write(&path, "from a file").unwrap();
    let path = path.to_str().unwrap();
    let pepper = |file: &str, environment: &[(&str, &str)]| {
        let loaded = load_with(file, environment, Flags::default()).unwrap();
        loaded.settings.password.pepper.expose().to_owned()
    };
    let by_path = format!("password.pepper_path = '{path}'");
    assert_eq!(pepper(&by_path, &[("REEVE_PASSWORD__PEPPER", "given")]), "given");
    assert_eq!(pepper("password.pepper = 'x'", &[("REEVE_PASSWORD__PEPPER_PATH", path)]), "from a file");
}

#[test]
fn the_secret_of_turn_servers_can_come_from_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("secret");
    fs::write(&path, " s3cret\n").unwrap();
    let file = format!(
        "voip.turn_uris = ['turn:t.example.org']\nvoip.turn_shared_secret_path = {:?}",
        path.to_str().unwrap()
    );
    let settings = load_file(&file).unwrap();
    assert_eq!(settings.voip.turn_shared_secret.unwrap().expose(), "s3cret");
    let both = format!("{file}\nvoip.turn_shared_secret = 'x'");
    assert!(
        load_file(&both)
            .unwrap_err()
            .starts_with("voip.turn_shared_secret_path: voip.turn_shared_secret is set")
    );
}

#[test]
fn printed_settings_hide_secrets_and_load_again() {
    let file = "
        server_name = 'reeve.example.org'
        database = 'postgres://u:hush@h/d'
        listen = ['127.0.0.1:1', '127.0.0.1:2']
        trusted_proxies = ['10.0.0.0/8', '::1']
        tokens.lifetime_ms = 5
        password.pepper = 'hush'
        registration.shared_secret = 'hush'
        rate_limits.message.per_second = 1
        log.filter = 'info,a[b{c=\"d\"}]=debug'
    ";
    let loaded = load_with(file, &[("REEVE_LOG__FORMAT", "json")], Flags::default()).unwrap();
    let printed = loaded.to_toml();
    assert!(!printed.contains("hush") && !format!("{loaded:?}").contains("hush"), "{printed}");
    assert!(printed.contains("\n# database = \"postgres://u:***@h/d\"  # from "), "{printed}");
    assert!(printed.contains("\n# pepper = \"********\"  # from "), "{printed}");
    assert!(printed.contains("\nformat = \"json\"  # from REEVE_LOG__FORMAT\n"), "{printed}");
    assert!(printed.contains("\niterations = 2  # default\n"), "{printed}");
    assert!(printed.contains("\n# refresh_lifetime_ms is not set\n"), "{printed}");

    let mut expected = loaded.settings;
    expected.database = None;
    expected.password.pepper = Secret::default();
    expected.registration.shared_secret = None;
    assert_eq!(load_file(&printed), Ok(expected));
}

#[test]
fn every_key_is_documented() {
    for entry in entries(&Settings::default()).into_iter().skip(1) {
        let doc = entry.doc.concat();
        assert!(doc.trim_end().ends_with('.') && doc.len() > 10, "{}: {doc:?}", entry.key);
    }
}

#[test]
fn the_example_file_sets_nothing_and_shows_the_defaults() {
    assert_eq!(load_file(&example()), Ok(Settings::default()));
    let set: Vec<String> = example()
        .lines()
        .filter(|line| !line.ends_with(", not set by default"))
        .map(|line| match line.strip_prefix('#') {
            Some(setting) if !setting.starts_with(' ') => setting.to_owned(),
            _ => line.to_owned(),
        })
        .collect();
    assert!(set.iter().any(|line| line == "iterations = 2"), "{set:?}");
    assert_eq!(load_file(&set.join("\n")), Ok(Settings::default()));
}
