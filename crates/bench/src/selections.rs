//! Selections of accounts: duration and correctness of each filter alone and of every two together.

use std::time::Duration;

use reeve_store::lists::users::{Column, OrderBy};
use serde_json::Value;

use crate::Fallible;
use crate::http::Connection;
use crate::population::{self, Account, FIRST_MS, More, Population};
use crate::report::{Report, Times, Verdict, below};

/// Accounts on a page.
const LIMIT: usize = 100;
/// Number of unmeasured warm-up requests.
const WARM_UP: usize = 2;
/// Number of measured requests.
const REQUESTS: usize = 30;
/// Maximum duration of the measurement of one kind of request.
const MAX: Duration = Duration::from_secs(1);
const DAY_MS: i64 = 86_400_000;

/// A condition on an account.
type Finds = Box<dyn Fn(&Account, &More) -> bool>;

/// A filter, and the accounts that it finds.
struct Filter {
    query: String,
    /// Filters with the same subject are not combined.
    subject: &'static str,
    finds: Finds,
}

fn filters() -> Vec<Filter> {
    let filter = |subject, query: String, finds: Finds| Filter { query, subject, finds };
    let day = |days: i64| FIRST_MS + days * DAY_MS;
    let (early, late) = (day(300), day(900));
    vec![
        filter("suspended", "suspended=true".into(), Box::new(|_, more| more.suspended)),
        filter("shadow_banned", "shadow_banned=true".into(), Box::new(|account, _| account.shadow_banned)),
        filter("erased", "erased=true".into(), Box::new(|_, more| more.erased)),
        filter("user_type", "user_type=bot".into(), Box::new(|account, _| account.bot)),
        filter("user_type", "user_type=".into(), Box::new(|account, _| !account.bot)),
        filter("appservice", "appservice=irc".into(), Box::new(|_, more| more.appservice)),
        filter(
            "created",
            format!("created_after={late}"),
            Box::new(move |account, _| account.created_ts >= late),
        ),
        filter(
            "created",
            format!("created_before={early}"),
            Box::new(move |account, _| account.created_ts < early),
        ),
        filter(
            "seen",
            format!("last_seen_after={late}"),
            Box::new(move |account, _| account.last_seen_ts.is_some_and(|ts| ts >= late)),
        ),
        filter(
            "seen",
            format!("last_seen_before={early}"),
            Box::new(move |account, _| account.last_seen_ts.is_some_and(|ts| ts < early)),
        ),
        filter("seen", "never_seen=true".into(), Box::new(|account, _| account.last_seen_ts.is_none())),
        filter("email", "email=%40mail1".into(), Box::new(|_, more| more.has_email("@mail1"))),
        filter("email", "email=00123".into(), Box::new(|_, more| more.has_email("00123"))),
        filter("phone", "phone=4917".into(), Box::new(|_, more| more.phone)),
        filter("provider", "external_provider=oidc".into(), Box::new(|_, more| more.oidc)),
        filter("ip", "ip=10.0.0.0/16".into(), Box::new(|_, more| more.ip.is_some_and(|ip| ip < 1 << 16))),
        filter("ip", "ip=10.0.4.1".into(), Box::new(|_, more| more.ip == Some(4 << 8 | 1))),
        filter("devices", "has_devices=true".into(), Box::new(|account, _| account.devices > 0)),
        filter("devices", "has_devices=false".into(), Box::new(|account, _| account.devices == 0)),
        filter("media", "media_size_over=50000000".into(), Box::new(|_, more| more.media > 50_000_000)),
    ]
}

struct Group<'a> {
    name: &'static str,
    limit_ms: f64,
    medians: Vec<Duration>,
    worst: Times,
    worst_name: String,
    wrong: usize,
    population: &'a Population,
}

impl<'a> Group<'a> {
    fn new(name: &'static str, limit_ms: f64, population: &'a Population) -> Self {
        let (medians, worst, worst_name) = (Vec::new(), Times::default(), String::new());
        Self { name, limit_ms, medians, worst, worst_name, wrong: 0, population }
    }

    async fn measure(
        &mut self,
        connection: &mut Connection,
        filters: &[&Filter],
        (order, order_by): (&str, OrderBy),
        deep: bool,
        report: &mut Report,
    ) -> Fallible<()> {
        let selection = self.population.select(|number, account| {
            let more = population::more(number, account);
            !account.locked && filters.iter().all(|filter| (filter.finds)(account, &more))
        });
        let from = if deep { selection.len() / 2 } else { 0 };
        let query: Vec<&str> = filters.iter().map(|filter| &*filter.query).collect();
        let query = format!("{}&order_by={order}&from={from}&limit={LIMIT}", query.join("&"));
        let path = format!("/_reeve/admin/v1/users?{query}");
        let (mut right, mut took) = (true, Vec::new());
        for number in 0..WARM_UP + REQUESTS {
            let reply = connection.get(&path).await?;
            if number == 0 {
                let expected = self.population.page(&selection, order_by, false, from, LIMIT);
                right = is_right(&reply.json()?, selection.len(), &expected);
            }
            if number >= WARM_UP {
                took.push(reply.took);
            }
            if took.len() > 4 && took.iter().sum::<Duration>() > MAX {
                break;
            }
        }
        let times = Times::of(took);
        let verdict = if right { below(times.median, self.limit_ms) } else { Verdict::Wrong };
        report.list(&query, times, self.limit_ms, verdict);
        self.medians.push(Duration::from_secs_f64(times.median / 1000.0));
        self.wrong += usize::from(!right);
        if times.median > self.worst.median {
            (self.worst, self.worst_name) = (times, query);
        }
        Ok(())
    }

    fn finish(self, report: &mut Report) {
        let Self { worst, wrong, medians, .. } = self;
        let verdict = if wrong > 0 { Verdict::Wrong } else { below(worst.median, self.limit_ms) };
        let all = Times::of(medians.clone());
        let value = format!(
            "median {:.1} ms; slowest: median {:.1} ms, p99 {:.1} ms, max {:.1} ms",
            all.median, worst.median, worst.p99, worst.max
        );
        println!("  (slowest: {})", self.worst_name);
        let name = format!("{}: {} kinds of requests", self.name, medians.len());
        report.row(name, value, format!("< {} ms", self.limit_ms), verdict);
        if wrong > 0 {
            report.row(format!("{}: wrong answers", self.name), wrong.to_string(), "0", Verdict::Wrong);
        }
    }
}

fn is_right(page: &Value, total: usize, expected: &[String]) -> bool {
    let names = page.get("users").and_then(Value::as_array).into_iter().flatten();
    let names = names.map(|user| user.get("name").and_then(Value::as_str).unwrap_or_default());
    page.get("total").and_then(Value::as_u64) == Some(total as u64)
        && names.eq(expected.iter().map(String::as_str))
}

/// Asks for selections of every kind. The accounts must be as seeded.
pub(crate) async fn run(
    population: &Population,
    connection: &mut Connection,
    report: &mut Report,
) -> Fallible<()> {
    println!("selections: median, p99 and maximum in ms");
    let first = connection.get("/_reeve/admin/v1/users?suspended=true&limit=1").await?;
    report.info(
        "First request, which loads the roster",
        format!("{:.0} ms", first.took.as_secs_f64() * 1000.0),
    );
    let first = connection.get("/_reeve/admin/v1/users?email=x&limit=1").await?;
    report.info(
        "First request for addresses, which loads them",
        format!("{:.0} ms", first.took.as_secs_f64() * 1000.0),
    );
    // Selections that are larger than any page of the benchmark's target are held to twice its time.
    let target = if population.len() > 2_000_000 { 20.0 } else { 10.0 };
    let filters = filters();
    let by_name = ("name", OrderBy::Name);
    let mut group = Group::new("Each filter alone", target, population);
    for filter in &filters {
        group.measure(connection, &[filter], by_name, false, report).await?;
    }
    group.finish(report);
    let mut group = Group::new("Every two filters", target, population);
    for (at, one) in filters.iter().enumerate() {
        for other in filters.iter().skip(at + 1).filter(|other| other.subject != one.subject) {
            group.measure(connection, &[one, other], by_name, false, report).await?;
        }
    }
    group.finish(report);
    let mut group = Group::new("Each filter alone, page in the middle", target, population);
    for filter in &filters {
        group.measure(connection, &[filter], by_name, true, report).await?;
    }
    group.finish(report);
    let mut group = Group::new("Each filter alone, by times", target, population);
    for filter in &filters {
        for order in [
            ("creation_ts", OrderBy::Column(Column::CreatedTs)),
            ("last_seen_ts", OrderBy::Column(Column::LastSeenTs)),
        ] {
            group.measure(connection, &[filter], order, false, report).await?;
        }
    }
    group.finish(report);
    let mut group = Group::new("Each filter alone, by display name", target, population);
    for filter in &filters {
        group
            .measure(
                connection,
                &[filter],
                ("displayname", OrderBy::Column(Column::Displayname)),
                false,
                report,
            )
            .await?;
    }
    group.finish(report);
    Ok(())
}
