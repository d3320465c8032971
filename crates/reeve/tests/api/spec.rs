//! The specification's operations, held against the route table: each is served, or there is a reason why not.
//!
//! `tests/spec/operations.tsv` is made by `scripts/spec-operations`, `tests/spec/not-served.tsv` by hand.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt::Write as _;

use reeve_testkit::check_generated;

const OPERATIONS: &str = include_str!("../spec/operations.tsv");
const NOT_SERVED: &str = include_str!("../spec/not-served.tsv");

/// Why an operation is not served.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Reason {
    ThirdPartyIds,
    Email,
    SingleSignOn,
    ApplicationServices,
    AnotherServer,
    NotYet,
}

impl Reason {
    const ALL: [Self; 6] = [
        Self::ThirdPartyIds,
        Self::Email,
        Self::SingleSignOn,
        Self::ApplicationServices,
        Self::AnotherServer,
        Self::NotYet,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::ThirdPartyIds => "third-party ids",
            Self::Email => "e-mail",
            Self::SingleSignOn => "single sign-on",
            Self::ApplicationServices => "application services",
            Self::AnotherServer => "another server",
            Self::NotYet => "not yet",
        }
    }

    fn meaning(self) -> &'static str {
        match self {
            Self::ThirdPartyIds => {
                "Administrators set the e-mail addresses and telephone numbers of accounts. That people add them \
                 themselves comes with a later release."
            }
            Self::Email => "Proving an e-mail address by a mail comes with a later release.",
            Self::SingleSignOn => "Single sign-on and the OAuth 2.0 API come with a later release.",
            Self::ApplicationServices => "Application services come with a later release.",
            Self::AnotherServer => "A policy server answers this, which a homeserver need not be.",
            Self::NotYet => "The version that added it is not among those that `/versions` names.",
        }
    }

    fn parse(name: &str) -> Self {
        *Self::ALL
            .iter()
            .find(|reason| reason.name() == name)
            .unwrap_or_else(|| panic!("unknown reason {name:?}"))
    }
}

/// Method and path, with `{}` for each parameter.
type Key = (String, String);

fn key(method: &str, path: &str) -> Key {
    let segments = path.split('/').map(|segment| if segment.starts_with('{') { "{}" } else { segment });
    (method.to_owned(), segments.collect::<Vec<_>>().join("/"))
}

fn rows(text: &'static str) -> impl Iterator<Item = [&'static str; 3]> {
    text.lines().map(|line| line.split('\t').collect::<Vec<_>>().try_into().unwrap())
}

/// A version as numbers that can be compared; those before 1.1 are alike.
fn version(name: &str) -> (u32, u32) {
    let numbers = name.strip_prefix('v').and_then(|numbers| numbers.split_once('.'));
    numbers.map_or((0, 0), |(major, minor)| (major.parse().unwrap(), minor.parse().unwrap()))
}

fn reasons() -> HashMap<Key, Reason> {
    rows(NOT_SERVED).map(|[method, path, reason]| (key(method, path), Reason::parse(reason))).collect()
}

fn served() -> HashSet<Key> {
    let routes = reeve::server::routes();
    let each = |route: &std::sync::Arc<reeve_http::Route>| -> Vec<Key> {
        route.paths.iter().map(|path| key(route.method.as_str(), path)).collect()
    };
    routes.iter().flat_map(each).collect()
}

fn ledger() -> String {
    let (served, reasons) = (served(), reasons());
    let mut counts: BTreeMap<Option<Reason>, usize> = BTreeMap::new();
    let mut table = String::from("| method | path | since | served |\n|---|---|---|---|\n");
    for [method, path, since] in rows(OPERATIONS) {
        let key = key(method, path);
        let reason = reasons.get(&key).copied();
        assert_ne!(
            served.contains(&key),
            reason.is_some(),
            "{method} {path}: either served, or a reason why not"
        );
        *counts.entry(reason).or_default() += 1;
        let answer = reason.map_or_else(|| "yes".to_owned(), |reason| format!("no: {}", reason.name()));
        let _ = writeln!(table, "| {method} | `{path}` | {since} | {answer} |");
    }
    let mut text = String::from(
        "# Specification ledger\n\nEvery operation of the \
         [client-server specification](https://spec.matrix.org/latest/client-server-api/), and whether Reeve serves it. \
         *Since* is the version that added the operation; `r0` are all versions before 1.1. This page is made by a test \
         from the route table and the lists in `crates/reeve/tests/spec`.\n\n`/_matrix/client/versions` names the \
         highest version of which everything is served, apart from what the first five reasons below leave out.\n\n",
    );
    let _ = writeln!(text, "- Served: {}", counts.get(&None).copied().unwrap_or(0));
    for reason in Reason::ALL {
        let count = counts.get(&Some(reason)).copied().unwrap_or(0);
        let _ = writeln!(text, "- Not served, *{}*: {count}. {}", reason.name(), reason.meaning());
    }
    text + "\n" + &table
}

#[test]
fn the_ledger_is_up_to_date() {
    check_generated("docs/spec-ledger.md", &ledger());
}

#[test]
fn reasons_are_about_operations() {
    let operations: HashSet<Key> = rows(OPERATIONS).map(|[method, path, _]| key(method, path)).collect();
    assert!(operations.len() > 150, "the list of operations lost its lines: {}", operations.len());
    for [method, path, _] in rows(NOT_SERVED) {
        assert!(
            operations.contains(&key(method, path)),
            "{method} {path} is no operation of the specification"
        );
    }
}

#[test]
fn the_highest_version_of_which_everything_is_served_is_claimed() {
    let reasons = reasons();
    let is_missing = |method, path| reasons.get(&key(method, path)) == Some(&Reason::NotYet);
    let all: Vec<(u32, u32)> = rows(OPERATIONS).map(|[_, _, since]| version(since)).collect();
    let missing = rows(OPERATIONS)
        .filter(|[method, path, _]| is_missing(method, path))
        .map(|[_, _, since]| version(since))
        .min();
    let highest = match missing {
        Some((major, minor)) => (major, minor.checked_sub(1).unwrap()),
        None => all.into_iter().max().unwrap(),
    };
    let claimed: Vec<(u32, u32)> = reeve_client_api::VERSIONS.iter().map(|name| version(name)).collect();
    assert!(claimed.is_sorted());
    assert_eq!(claimed.last(), Some(&highest));
}
