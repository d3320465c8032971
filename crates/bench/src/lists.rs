//! The list of accounts: duration and correctness of its pages.

use std::time::Duration;

use reeve_store::lists::users::OrderBy;
use serde_json::Value;

use crate::Fallible;
use crate::http::Connection;
use crate::population::{self, Account, Population, RARE_WORD, SERVER_NAME, Selection};
use crate::report::{Report, Times, Verdict, below};

/// Accounts on a page.
const LIMIT: usize = 100;
/// Number of unmeasured warm-up requests.
const WARM_UP: usize = 2;
/// Number of measured requests.
const REQUESTS: usize = 100;
/// Minimum number of measured requests, for slow ones.
const FEWEST: usize = 10;
/// Maximum duration of the measurement of one kind of request.
const MAX: Duration = Duration::from_secs(2);

/// One group of requests with the same target.
struct Group<'a> {
    name: &'static str,
    limit_ms: f64,
    worst: Times,
    worst_name: String,
    wrong: usize,
    count: usize,
    population: &'a Population,
}

/// The requested pages.
struct Ask<'a> {
    path: &'a str,
    query: &'a str,
    /// Its order, with the word for it.
    order: (&'a str, OrderBy),
    descending: bool,
    from: usize,
    selection: &'a Selection,
}

impl<'a> Group<'a> {
    fn new(name: &'static str, limit_ms: f64, population: &'a Population) -> Self {
        Self {
            name,
            limit_ms,
            worst: Times::default(),
            worst_name: String::new(),
            wrong: 0,
            count: 0,
            population,
        }
    }

    async fn measure(
        &mut self,
        connection: &mut Connection,
        ask: &Ask<'_>,
        report: &mut Report,
    ) -> Fallible<()> {
        let dir = if ask.descending { "b" } else { "f" };
        let (order, order_by) = ask.order;
        let query = format!("order_by={order}&dir={dir}&from={}&limit={LIMIT}{}", ask.from, ask.query);
        let path = format!("/_synapse/admin/{}/users?{query}", ask.path);
        let mut right = true;
        let mut took = Vec::new();
        for number in 0..WARM_UP + REQUESTS {
            let reply = connection.get(&path).await?;
            if number == 0 {
                let expected = self.population.page(ask.selection, order_by, ask.descending, ask.from, LIMIT);
                right = is_right(&reply.json()?, ask.selection.len(), &expected);
            }
            if number >= WARM_UP {
                took.push(reply.took);
            }
            if took.len() >= FEWEST && took.iter().sum::<Duration>() > MAX {
                break;
            }
        }
        let times = Times::of(took);
        let verdict = if right { below(times.p99, self.limit_ms) } else { Verdict::Wrong };
        let name = format!("{} order={order} dir={dir} from={}{}", ask.path, ask.from, ask.query);
        report.list(&name, times, self.limit_ms, verdict);
        self.count += 1;
        self.wrong += usize::from(!right);
        if times.p99 > self.worst.p99 {
            (self.worst, self.worst_name) = (times, name);
        }
        Ok(())
    }

    /// Every order in both directions.
    async fn all_orders(
        &mut self,
        connection: &mut Connection,
        ask: &Ask<'_>,
        report: &mut Report,
    ) -> Fallible<()> {
        for order in OrderBy::ALL.iter().copied() {
            for descending in [false, true] {
                self.measure(connection, &Ask { order, descending, ..*ask }, report).await?;
            }
        }
        Ok(())
    }

    fn finish(self, report: &mut Report) {
        let Self { worst, wrong, count, .. } = self;
        let verdict = if wrong > 0 { Verdict::Wrong } else { below(worst.p99, self.limit_ms) };
        let value =
            format!("median {:.1} ms, p99 {:.1} ms, max {:.1} ms", worst.median, worst.p99, worst.max);
        println!("  (slowest: {})", self.worst_name);
        let name = format!("{}: slowest of {count} requests", self.name);
        report.row(name, value, format!("< {} ms", self.limit_ms), verdict);
        if wrong > 0 {
            report.row(format!("{}: wrong answers", self.name), wrong.to_string(), "0", Verdict::Wrong);
        }
    }
}

/// Checks that a page has the right accounts, in order, and the right total.
fn is_right(page: &Value, total: usize, expected: &[String]) -> bool {
    let names = page.get("users").and_then(Value::as_array).into_iter().flatten();
    let names = names.map(|user| user.get("name").and_then(Value::as_str).unwrap_or_default());
    page.get("total").and_then(Value::as_u64) == Some(total as u64)
        && names.eq(expected.iter().map(String::as_str))
}

/// Reads pages of every kind. The accounts must be as seeded.
pub(crate) async fn run(
    population: &Population,
    connection: &mut Connection,
    report: &mut Report,
) -> Fallible<()> {
    println!("lists: median, p99 and maximum in ms");
    let shown = |account: &Account| !account.deactivated && !account.locked;
    let everybody = population.select(|_, account| shown(account));
    let order = ("name", OrderBy::Name);
    let ask = Ask { path: "v2", query: "", order, descending: false, from: 0, selection: &everybody };

    let mut group = Group::new("First page, all orders and filters", 10.0, population);
    group.all_orders(connection, &ask, report).await?;
    let filters: [(&str, &str, Selection); 8] = [
        ("v2", "&guests=false", population.select(|_, a| shown(a) && !a.is_guest)),
        ("v2", "&admins=true", population.select(|_, a| shown(a) && a.admin)),
        ("v2", "&admins=false", population.select(|_, a| shown(a) && !a.admin)),
        ("v2", "&deactivated=true", population.select(|_, a| !a.locked)),
        ("v2", "&locked=true", population.select(|_, a| !a.deactivated)),
        ("v2", "&not_user_type=bot", population.select(|_, a| shown(a) && !a.bot)),
        ("v3", "&locked=true", population.select(|_, _| true)),
        ("v3", "&locked=true&deactivated=true", population.select(|_, a| a.deactivated)),
    ];
    for (path, query, selection) in &filters {
        group.all_orders(connection, &Ask { path, query, selection, ..ask }, report).await?;
    }
    group.finish(report);

    let has = |text: &'static str| {
        population.select(move |number, account| {
            let name = account.displayname.as_ref().map(|name| name.to_lowercase());
            shown(account)
                && (population::localpart(number).contains(text)
                    || name.is_some_and(|name| name.contains(text)))
        })
    };
    let mut group = Group::new("Search with up to 1,000 matches", 10.0, population);
    let (rare, double_k) = (has(RARE_WORD), has("kk"));
    let query = format!("&name={RARE_WORD}");
    group.all_orders(connection, &Ask { query: &query, selection: &rare, ..ask }, report).await?;
    group.all_orders(connection, &Ask { query: "&name=kk", selection: &double_k, ..ask }, report).await?;
    let by_id = population
        .select(|number, account| shown(account) && population::user_id(number).contains("ser0012"));
    group
        .all_orders(connection, &Ask { query: "&user_id=SER0012", selection: &by_id, ..ask }, report)
        .await?;
    let none = Selection::new();
    group.measure(connection, &Ask { query: "&name=xyzzy", selection: &none, ..ask }, report).await?;
    group.finish(report);

    let mut group = Group::new("Search that matches everybody", 300.0, population);
    group
        .all_orders(connection, &Ask { query: "&name=user", selection: &has("user"), ..ask }, report)
        .await?;
    let domain = format!("&user_id={SERVER_NAME}");
    group.all_orders(connection, &Ask { query: &domain, ..ask }, report).await?;
    let from = everybody.len() - LIMIT;
    let last = Ask { query: "&name=user", from, ..ask };
    group.all_orders(connection, &last, report).await?;
    group.finish(report);

    let mut group = Group::new("Search that matches a part", 300.0, population);
    group.all_orders(connection, &Ask { query: "&name=ad", selection: &has("ad"), ..ask }, report).await?;
    group
        .all_orders(connection, &Ask { query: "&name=lovelace", selection: &has("lovelace"), ..ask }, report)
        .await?;
    group.all_orders(connection, &Ask { query: "&name=7", selection: &has("7"), ..ask }, report).await?;
    group.finish(report);

    let mut group = Group::new("Page at 90 % of the accounts", 50.0, population);
    let from = population.len() / 10 * 9;
    group.all_orders(connection, &Ask { from, ..ask }, report).await?;
    group.all_orders(connection, &Ask { from: population.len() / 2, ..ask }, report).await?;
    if let Some((path, query, selection)) = filters.get(6) {
        group.all_orders(connection, &Ask { path, query, from, selection, ..ask }, report).await?;
    }
    group.finish(report);
    Ok(())
}
