//! Puts the accounts into the database, through the store.

use std::io::{self, Write as _};
use std::sync::Arc;

use reeve_accounts::sessions::hash_token;
use reeve_db::{Db, DbError, Options, Tx};
use reeve_model::clock::monotonic;
use reeve_store::access_tokens::{self, NewAccessToken};
use reeve_store::{devices, users};

use crate::Fallible;
use crate::database::Place;
use crate::population::{self, Population, WITH_PASSWORD};
use crate::report::Report;

/// The access token of the administrator.
pub(crate) const TOKEN: &str = "benchmark-administrator";
/// The password of the accounts that have one.
pub(crate) const PASSWORD: &str = "correct horse battery staple";

/// How many accounts are created in one transaction.
const BATCH: usize = 1000;
/// The page cache while seeding, in KiB.
const CACHE_KIB: i64 = 512 * 1024;

/// Creates all accounts, unless they are there from an earlier run.
pub(crate) async fn seed(
    place: &Place,
    population: &Arc<Population>,
    hash: String,
    report: &mut Report,
) -> Fallible<()> {
    let all = population.len();
    let options = Options { cache_kib: CACHE_KIB, ..Options::default() };
    let db = Db::open(place.url(), options, reeve_store::MIGRATIONS).await?;
    let there = usize::try_from(db.read(users::highest_num).await?)?;
    if there == all {
        println!("the accounts are there already");
    } else if there > 0 {
        return Err(format!(
            "the database has {there} accounts, not {all}: it must be blank, or kept from such a run"
        )
        .into());
    } else {
        let hash = Arc::new(hash);
        let start = monotonic();
        let mut done = 0;
        while done < all {
            let (population, hash) = (Arc::clone(population), Arc::clone(&hash));
            let end = all.min(done + BATCH);
            db.write(move |tx| (done..end).try_for_each(|number| create(tx, &population, number, &hash)))
                .await?;
            done = end;
            if done % (20 * BATCH) == 0 {
                print!("\r  {done} accounts, {:.0}/s", per_second(done, start.elapsed().as_secs_f64()));
                io::stdout().flush()?;
            }
        }
        println!();
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

fn create(tx: &mut Tx<'_>, population: &Population, number: usize, hash: &str) -> Result<(), DbError> {
    let Some(account) = population.get(number) else { return Ok(()) };
    let hash = Some(hash).filter(|_| (1..=WITH_PASSWORD).contains(&number));
    let num = users::insert(tx, &account.to_user(number), hash)?;
    for device in 0..account.devices {
        let ts = account.last_seen_ts.unwrap_or(account.created_ts);
        let device_id = format!("DEVICE{device}");
        devices::insert(tx, num, &device_id, Some("A telephone"), ts)?;
        devices::touch(tx, num, &device_id, ts, "192.0.2.1", "A Matrix client")?;
    }
    if number == 0 {
        let token_hash = hash_token(TOKEN);
        access_tokens::insert(
            tx,
            &NewAccessToken {
                token_hash: &token_hash,
                owner_num: num,
                acting_num: num,
                device_id: None,
                valid_until_ts: None,
                created_ts: account.created_ts,
                unconfirmed: false,
            },
        )?;
    }
    Ok(())
}

/// Some account in the middle, to be read by id.
pub(crate) fn middle(population: &Population) -> String {
    population::user_id(population.len() / 2)
}
