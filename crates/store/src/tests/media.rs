//! What an account uploaded, in every order, against a model.

use std::cmp::Ordering;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use reeve_db::{DbError, Engine};
use reeve_model::User;

use super::{fresh, runtime};
use crate::media::{self, Media, NewMedia, Unused};
use crate::media_list::{self, OrderBy};
use crate::media_users::{self, Totals, Usage};
use crate::{media_objects, users};

const ORDERS: [OrderBy; 8] = [
    OrderBy::MediaId,
    OrderBy::UploadName,
    OrderBy::CreatedTs,
    OrderBy::LastAccessTs,
    OrderBy::MediaLength,
    OrderBy::MediaType,
    OrderBy::QuarantinedBy,
    OrderBy::SafeFromQuarantine,
];

/// An upload with few different values, so that there are many equal ones.
#[derive(Clone, Debug)]
struct Facts {
    owner: usize,
    blob: u8,
    name: Option<String>,
    created_ts: i64,
    accessed_ts: Option<i64>,
    media_type: &'static str,
    quarantined_by: Option<&'static str>,
    safe: bool,
    deleted: bool,
}

fn facts() -> impl Strategy<Value = Facts> {
    let name = prop_oneof![Just(None), "[a-c]{0,1}".prop_map(Some)];
    let types = prop::sample::select(vec!["a/b", "c/d"]);
    let by = prop::sample::select(vec![None, Some("@x:test"), Some("@y:test")]);
    let rare = prop::bool::weighted(0.1);
    (0..2_usize, 0..9_u8, name, 1..5_i64, prop::option::of(5..8_i64), types, by, any::<bool>(), rare)
        .prop_map(
            |(owner, blob, name, created_ts, accessed_ts, media_type, quarantined_by, safe, deleted)| Facts {
                owner,
                blob,
                name,
                created_ts,
                accessed_ts,
                media_type,
                quarantined_by,
                safe,
                deleted,
            },
        )
}

fn store(
    tx: &mut reeve_db::Tx<'_>,
    number: usize,
    facts: &Facts,
    user_num: i64,
) -> Result<Option<Media>, DbError> {
    // The order of the ids is not that of the uploads.
    let media_id = format!("{:02}", number * 37 % 100);
    let object = format!("object {number}");
    media_objects::begin(tx, &object, 0)?;
    let length = i64::from(facts.blob) % 4;
    let blob = media_objects::put_blob(tx, &facts.blob.to_string(), length, &object, 0)?.unwrap();
    let new = NewMedia {
        media_id: media_id.clone(),
        user_num,
        media_type: facts.media_type.to_owned(),
        upload_name: facts.name.clone(),
        created_ts: facts.created_ts,
        ..NewMedia::default()
    };
    media::insert(tx, &new, blob, length)?;
    let stored = media::find(tx, &media_id)?.unwrap();
    media::set_quarantined(tx, &stored, facts.quarantined_by, 0)?;
    media::set_safe(tx, &media_id, facts.safe)?;
    if let Some(ts) = facts.accessed_ts {
        media::touch(tx, &media_id, ts)?;
        media::touch(tx, &media_id, ts - 1)?;
    }
    let stored = media::find(tx, &media_id)?.unwrap();
    if facts.deleted {
        assert!(media::delete(tx, &stored, 0)?);
        assert!(!media::delete(tx, &stored, 0)?);
        return Ok(None);
    }
    Ok(Some(stored))
}

/// A missing value comes last.
fn last_if_none<T: Ord>(a: Option<&T>, b: Option<&T>) -> Ordering {
    (a.is_none(), a).cmp(&(b.is_none(), b))
}

fn compare(order_by: OrderBy, a: &Media, b: &Media) -> Ordering {
    match order_by {
        OrderBy::MediaId => a.media_id.cmp(&b.media_id),
        OrderBy::UploadName => last_if_none(a.upload_name.as_ref(), b.upload_name.as_ref()),
        OrderBy::CreatedTs => a.created_ts.cmp(&b.created_ts),
        OrderBy::LastAccessTs => last_if_none(a.last_access_ts.as_ref(), b.last_access_ts.as_ref()),
        OrderBy::MediaLength => a.media_length.cmp(&b.media_length),
        OrderBy::MediaType => a.media_type.cmp(&b.media_type),
        OrderBy::QuarantinedBy => last_if_none(a.quarantined_by.as_ref(), b.quarantined_by.as_ref()),
        OrderBy::SafeFromQuarantine => a.safe_from_quarantine.cmp(&b.safe_from_quarantine),
    }
}

fn expected(mut all: Vec<Media>, order_by: OrderBy, descending: bool, from: i64, limit: i64) -> Vec<Media> {
    all.sort_by(|a, b| {
        let by_value = compare(order_by, a, b);
        let by_value = if descending { by_value.reverse() } else { by_value };
        by_value.then_with(|| a.media_id.cmp(&b.media_id))
    });
    let size = |n: i64| usize::try_from(n).unwrap();
    all.into_iter().skip(size(from)).take(size(limit)).collect()
}

fn lists_agree_with_the_model(engine: Engine, cases: u32) {
    let runtime = runtime();
    let mut runner = TestRunner::new(Config { cases, failure_persistence: None, ..Config::default() });
    let number = std::cell::Cell::new(0);
    let questions = prop::collection::vec(
        (prop::sample::select(ORDERS.to_vec()), any::<bool>(), 0..40_i64, 0..30_i64),
        40..80,
    );
    let outcome = runner.run(&(prop::collection::vec(facts(), 0..60), questions), |(all, questions)| {
        number.set(number.get() + 1);
        let fresh = fresh(&runtime, engine, &format!("media_{}", number.get()));
        let played = fresh.db.write(move |tx| -> Result<_, DbError> {
            let user = |name: &str| User { user_id: format!("@{name}:test"), ..User::default() };
            let owners = [users::insert(tx, &user("a"), None)?, users::insert(tx, &user("b"), None)?];
            let mut stored = Vec::new();
            for (number, facts) in all.iter().enumerate() {
                stored.extend(store(tx, number, facts, owners[facts.owner])?);
            }
            Ok((owners, stored))
        });
        let (owners, stored) = runtime.block_on(played).unwrap();
        let read = stored.clone();
        let checked = fresh.db.read(move |tx| -> Result<_, DbError> {
            let mut pages = Vec::new();
            for owner in owners {
                let total = media_users::of_user(tx, owner)?.media_count;
                for (order_by, descending, from, limit) in &questions {
                    let page = media_list::page(tx, owner, *order_by, *descending, (*from, *limit, total))?;
                    pages.push((owner, *order_by, *descending, *from, *limit, page));
                }
            }
            let mut unused = Vec::new();
            for before_ts in [3, 6, i64::MAX] {
                let (wanted, mut found, mut after) = (Unused { before_ts, size_gt: 1 }, Vec::new(), None);
                loop {
                    let page = media::unused(tx, wanted, after.as_ref(), 3)?;
                    let Some(last) = page.last() else { break };
                    after = Some(last.clone());
                    found.extend(page);
                }
                unused.push((wanted, found));
            }
            let usage = (media_users::of_user(tx, owners[0])?, media_users::of_user(tx, owners[1])?);
            Ok((pages, unused, usage, media_users::totals(tx)?))
        });
        let (pages, unused, usage, totals) = runtime.block_on(checked).unwrap();
        let of =
            |owner: i64| read.iter().filter(|media| media.user_num == owner).cloned().collect::<Vec<_>>();
        for (owner, order_by, descending, from, limit, page) in pages {
            let right = expected(of(owner), order_by, descending, from, limit);
            prop_assert_eq!(page, right, "{:?} {} {} {}", order_by, descending, from, limit);
        }
        for (Unused { before_ts, size_gt }, mut found) in unused {
            let mut right: Vec<Media> = read
                .iter()
                .filter(|media| media.last_access_ts.unwrap_or(media.created_ts) < before_ts)
                .filter(|media| media.media_length > size_gt)
                .filter(|media| !media.safe_from_quarantine && media.quarantined_by.is_none())
                .cloned()
                .collect();
            for list in [&mut found, &mut right] {
                list.sort_by_key(|media| media.num);
            }
            prop_assert_eq!(found, right, "before {}", before_ts);
        }
        let sum = |owner: i64| {
            let all = of(owner);
            let media_length = all.iter().map(|media| media.media_length).sum();
            Usage { media_count: i64::try_from(all.len()).unwrap(), media_length }
        };
        prop_assert_eq!(usage, (sum(owners[0]), sum(owners[1])));
        let mut blobs: Vec<_> = read.iter().map(|media| (media.blob_num, media.media_length)).collect();
        blobs.sort_unstable();
        blobs.dedup();
        let users = owners.iter().filter(|owner| !of(**owner).is_empty()).count();
        let right = Totals {
            users: i64::try_from(users).unwrap(),
            media: i64::try_from(read.len()).unwrap(),
            bytes: blobs.iter().map(|(_, length)| length).sum(),
        };
        prop_assert_eq!(totals, right);
        fresh.close(&runtime);
        Ok(())
    });
    if let Err(error) = outcome {
        panic!("{error}");
    }
}

#[test]
fn media_lists_agree_with_the_model_on_sqlite() {
    lists_agree_with_the_model(Engine::Sqlite, 40);
}

#[test]
fn media_lists_agree_with_the_model_on_postgres() {
    lists_agree_with_the_model(Engine::Postgres, 8);
}
