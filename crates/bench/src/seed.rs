//! Creates the accounts in the database, as an import does.

use std::fs::File;
use std::io::{self, BufWriter, Write as _};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use reeve::server::Config;
use reeve::settings::Settings;
use reeve_accounts::Policy;
use reeve_accounts::import::{Candidate, Importer};
use reeve_accounts::password::Hasher;
use reeve_db::{Db, DbError, Options, ReadTx, Tx, statements};
use reeve_model::session::hash_token;
use reeve_model::{Clock, Ctx, Scopes};
use reeve_model::{Millis, clock::monotonic};
use reeve_store::Paging;
use reeve_store::access_tokens::{self, NewAccessToken};
use reeve_store::lists::users::{self as user_list, Filter, OrderBy};
use reeve_store::users;

use crate::Fallible;
use crate::database::Place;
use crate::population::{self, Population, SERVER_NAME};
use crate::report::Report;

/// The access token of the administrator.
pub(crate) const TOKEN: &str = "benchmark-administrator";
/// The password of the accounts that have one.
pub(crate) const PASSWORD: &str = "correct horse battery staple";

/// Number of accounts in a batch.
const BATCH: usize = 20_000;
/// The page cache of each connection while seeding, in KiB.
const CACHE_KIB: i64 = 64 * 1024;
/// Distance of accounts that follow each other in a file.
const STRIDE: usize = 7919;

/// Creates all accounts, unless they exist from an earlier run.
pub(crate) async fn seed(
    place: &Place,
    population: &Arc<Population>,
    hash: String,
    report: &mut Report,
) -> Fallible<()> {
    let all = population.len();
    let options = Options {
        cache_kib: CACHE_KIB,
        sort_in_files: true,
        readers: 1,
        wait: Duration::from_mins(10),
        ..Options::default()
    };
    let db = Db::open(place.url(), options, reeve_store::MIGRATIONS).await?;
    // Not the highest number: repeated attempts leave gaps.
    let everybody = |tx: &ReadTx<'_>| {
        let paging = Paging { from: 0, limit: 0 };
        user_list::page(tx, SERVER_NAME, &Filter::default(), OrderBy::Name, false, paging)
    };
    let there = usize::try_from(db.read(everybody).await?.total)?;
    if there == all {
        println!("the accounts are there already");
    } else if there > 0 {
        return Err(format!(
            "the database has {there} accounts, not {all}: it must be blank, or kept from such a run"
        )
        .into());
    } else {
        let start = monotonic();
        let ctx = Ctx {
            now: Clock::System.now(),
            server_name: Arc::from(SERVER_NAME),
            request_id: Arc::from("benchmark"),
            ip: None,
            actor: None,
            scopes: Scopes::ALL,
        };
        let policy = Policy::default();
        let mut importer = Importer::new(db.clone(), ctx.clone(), policy.clone(), "benchmark").await?;
        for from in (0..all).step_by(BATCH) {
            let batch = (from..all.min(from + BATCH)).filter_map(|number| {
                let account = population.get(number)?.to_import(number, &hash);
                Candidate::new(account, &ctx, &policy).ok()
            });
            importer.add(batch.collect(), 0).await?;
            let done = importer.tally().added;
            print!("\r  {done} accounts");
            io::stdout().flush()?;
        }
        let tally = importer.finish(|_| ()).await?;
        println!();
        if usize::try_from(tally.added) != Ok(all) {
            return Err(format!("{} of {all} accounts were taken", tally.added).into());
        }
        db.write(give_token).await?;
        db.write(add_more).await?;
        let seconds = start.elapsed().as_secs_f64();
        report.info("Seeding", format!("{:.0} accounts/s", per_second(all, seconds)));
    }
    db.close().await;
    place.settle()?;
    let per_account = place.bytes()? / u64::try_from(all)?.max(1);
    report.info("Database", format!("{per_account} bytes per account"));
    Ok(())
}

#[expect(clippy::cast_precision_loss, reason = "far fewer than 2^52")]
pub(crate) fn per_second(count: usize, seconds: f64) -> f64 {
    count as f64 / seconds
}

statements! {
    ADD_APPSERVICE = "UPDATE users SET appservice_id = 'irc' \
                      WHERE user_id LIKE '@user%' AND CAST(substr(user_id, 6, 7) AS BIGINT) % 200 = 9";
    ADD_ERASED = "UPDATE users SET erased = 1 WHERE deactivated = 1 AND user_id LIKE '@user%' \
                  AND CAST(substr(user_id, 6, 7) AS BIGINT) % 2 = 0";
    ADD_MEDIA = "INSERT INTO media_users (user_num, user_id, sort_displayname, media_count, media_length) \
                 SELECT num, user_id, coalesce('a' || displayname, 'b'), 1, CAST(substr(user_id, 6, 7) AS BIGINT) % 1000 * 100000 \
                 FROM users WHERE user_id LIKE '@user%' AND CAST(substr(user_id, 6, 7) AS BIGINT) % 10 = 3";
    ADD_CONNECTIONS = {
        sqlite: "INSERT INTO user_connections (user_num, token_hash, ip, user_agent, last_seen_ts, ip_key) \
                 SELECT num, zeroblob(32), '10.' || (n >> 16) || '.' || (n >> 8 & 255) || '.' || (n & 255), '', 4102444800000, \
                 printf('40a%06x', n) FROM (SELECT num, CAST(substr(user_id, 6, 7) AS BIGINT) AS n \
                 FROM users WHERE user_id LIKE '@user%') WHERE n % 4 = 1",
        postgres: "INSERT INTO user_connections (user_num, token_hash, ip, user_agent, last_seen_ts, ip_key) \
                   SELECT num, decode(repeat('00', 32), 'hex'), '10.' || (n >> 16) || '.' || (n >> 8 & 255) || '.' || (n & 255), \
                   '', 4102444800000, '40a' || lpad(to_hex(n), 6, '0') FROM (SELECT num, \
                   CAST(substr(user_id, 6, 7) AS BIGINT) AS n FROM users WHERE user_id LIKE '@user%') numbered WHERE n % 4 = 1",
    };
}

/// Adds what an import does not bring, as [`population::more`] says.
fn add_more(tx: &mut Tx<'_>) -> Result<(), DbError> {
    for statement in [&ADD_APPSERVICE, &ADD_ERASED, &ADD_MEDIA, &ADD_CONNECTIONS] {
        tx.execute(statement, &[])?;
    }
    Ok(())
}

/// Logs the administrator in.
fn give_token(tx: &mut Tx<'_>) -> Result<(), DbError> {
    let num = users::num(tx, &population::user_id(0))?.ok_or(DbError::NoRow)?;
    let token_hash = hash_token(TOKEN);
    let token = NewAccessToken {
        token_hash: &token_hash,
        owner_num: num,
        acting_num: num,
        device_id: None,
        valid_until_ts: None,
        created_ts: Millis::ZERO,
        unconfirmed: false,
    };
    access_tokens::insert(tx, &token)
}

/// Writes all accounts as lines for `reeve import accounts`, in no order.
pub(crate) async fn write_file(file: &Path, all: usize) -> Fallible<()> {
    let hash = Hasher::new(Config::from_settings(&Settings::default()).hashing)?.hash(PASSWORD).await?;
    // Visits all numbers, since it is prime, unless `all` is a multiple of it.
    let stride = if all.is_multiple_of(STRIDE) { 1 } else { STRIDE };
    let mut out = BufWriter::new(File::create(file)?);
    for step in 0..all {
        let number = step * stride % all;
        let line = population::account(number, all).to_line(number, &hash);
        writeln!(out, "{line}")?;
    }
    Ok(out.flush()?)
}

/// An account in the middle, to be read by id.
pub(crate) fn middle(population: &Population) -> String {
    population::user_id(population.len() / 2)
}
