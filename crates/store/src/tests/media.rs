//! The list of an account's uploads, in every order, against a model.

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use reeve_db::{DbError, Engine, ReadTx, Tx};
use reeve_model::{ActorKind, Millis, User, UserNum};

use super::{fresh, runtime};
use crate::lists::media::counts::{FEW, SPLIT, buckets};
use crate::lists::media::order::{Key, Position};
use crate::lists::media::{self as media_list, OrderBy};
use crate::media::{self, Media, NewMedia, Unused, UnusedKind, UnusedPlace};
use crate::media_users::{self, Totals, Usage};
use crate::sql::sort_key;
use crate::{Binned, Paging, media_bin, media_objects, users};

/// An upload with few different values, so that there are many equal ones.
#[derive(Clone, Debug)]
struct Facts {
    owner: usize,
    blob: u8,
    name: Option<String>,
    created_ts: Millis,
    accessed_ts: Option<Millis>,
    media_type: &'static str,
    quarantined_by: Option<&'static str>,
    safe: bool,
}

/// An event; the number of its upload is taken modulo the number of uploads, or of those in the bin.
#[derive(Clone, Debug)]
enum Event {
    Upload(Facts),
    Touch(usize, Millis),
    Quarantine(usize, Option<&'static str>),
    Protect(usize, bool),
    Delete(usize),
    Bin(usize),
    Restore(usize),
    Purge(usize),
}

fn event() -> impl Strategy<Value = Event> {
    let by = prop::sample::select(vec![None, Some("@x:test"), Some("@y:test")]);
    prop_oneof![
        4 => facts().prop_map(Event::Upload),
        1 => (any::<usize>(), 4..9_i64).prop_map(|(which, ts)| Event::Touch(which, Millis::new(ts))),
        1 => (any::<usize>(), by).prop_map(|(which, by)| Event::Quarantine(which, by)),
        1 => (any::<usize>(), any::<bool>()).prop_map(|(which, safe)| Event::Protect(which, safe)),
        1 => any::<usize>().prop_map(Event::Delete),
        1 => any::<usize>().prop_map(Event::Bin),
        1 => any::<usize>().prop_map(Event::Restore),
        1 => any::<usize>().prop_map(Event::Purge),
    ]
}

/// Many events, and then perhaps many deletions.
fn events() -> impl Strategy<Value = Vec<Event>> {
    let deletion = prop_oneof![any::<usize>().prop_map(Event::Delete), any::<usize>().prop_map(Event::Bin)];
    let deletions = prop::collection::vec(deletion, 0..60);
    (prop::collection::vec(event(), 0..150), prop::option::of(deletions))
        .prop_map(|(events, deletions)| events.into_iter().chain(deletions.into_iter().flatten()).collect())
}

fn facts() -> impl Strategy<Value = Facts> {
    let name = prop_oneof![Just(None), "[a-c]{0,1}".prop_map(Some)];
    let types = prop::sample::select(vec!["a/b", "c/d"]);
    let by = prop::sample::select(vec![None, Some("@x:test"), Some("@y:test")]);
    (0..2_usize, 0..9_u8, name, 1..5_i64, prop::option::of(5..8_i64), types, by, any::<bool>()).prop_map(
        |(owner, blob, name, created_ts, accessed_ts, media_type, quarantined_by, safe)| Facts {
            owner,
            blob,
            name,
            created_ts: Millis::new(created_ts),
            accessed_ts: accessed_ts.map(Millis::new),
            media_type,
            quarantined_by,
            safe,
        },
    )
}

fn store(tx: &mut Tx<'_>, number: usize, facts: &Facts, user_num: UserNum) -> Result<Media, DbError> {
    // The order of the ids is not that of the uploads.
    let media_id = format!("{:03}", number * 37 % 1000);
    let object = format!("object {number}");
    media_objects::begin(tx, &object, Millis::ZERO)?;
    let length = i64::from(facts.blob) % 4;
    let blob = media_objects::put_blob(tx, &facts.blob.to_string(), length, &object, Millis::ZERO)?.unwrap();
    let new = NewMedia {
        media_id: media_id.clone(),
        user_num,
        media_type: facts.media_type.to_owned(),
        upload_name: facts.name.clone(),
        created_ts: facts.created_ts,
        // Some are pictures of previews.
        url_cache: (length % 2 == 0).then(|| "https://example.org".to_owned()),
        ..NewMedia::default()
    };
    media::insert(tx, &new, blob, length)?;
    let stored = media::find(tx, &media_id)?.unwrap();
    media::set_quarantined(tx, &stored, facts.quarantined_by, Millis::ZERO)?;
    media::set_safe(tx, &media_id, facts.safe)?;
    if let Some(ts) = facts.accessed_ts {
        media::touch(tx, &media_id, ts)?;
        media::touch(tx, &media_id, ts.minus(1))?;
    }
    Ok(media::find(tx, &media_id)?.unwrap())
}

/// The uploads after events, and those in the bin.
#[derive(Clone, Debug)]
struct Played {
    stored: Vec<Media>,
    binned: Vec<Media>,
}

/// Plays events.
fn play(tx: &mut Tx<'_>, events: &[Event], owners: [UserNum; 2]) -> Result<Played, DbError> {
    let mut all: Vec<Media> = Vec::new();
    let mut binned: Vec<Media> = Vec::new();
    for (number, event) in events.iter().enumerate() {
        let which = match event {
            Event::Upload(facts) => {
                all.push(store(tx, number, facts, owners[facts.owner])?);
                continue;
            }
            Event::Restore(which) | Event::Purge(which) => {
                if binned.is_empty() {
                    continue;
                }
                let media = binned.swap_remove(which % binned.len());
                let found = media_bin::find(tx, &media.media_id)?.map(|found| found.media);
                assert_eq!(found.as_ref(), Some(&media));
                if matches!(event, Event::Restore(_)) {
                    media_bin::put_back(tx, &media)?;
                    all.push(media);
                } else {
                    media_bin::delete(tx, &media, Millis::ZERO)?;
                }
                continue;
            }
            Event::Touch(which, _)
            | Event::Quarantine(which, _)
            | Event::Protect(which, _)
            | Event::Delete(which)
            | Event::Bin(which) => *which,
        };
        if all.is_empty() {
            continue;
        }
        let at = which % all.len();
        let stored = all[at].clone();
        match event {
            Event::Upload(_) | Event::Restore(_) | Event::Purge(_) => {}
            Event::Touch(_, ts) => media::touch(tx, &stored.media_id, *ts)?,
            Event::Quarantine(_, by) => media::set_quarantined(tx, &stored, *by, Millis::ZERO)?,
            Event::Protect(_, safe) => assert!(media::set_safe(tx, &stored.media_id, *safe)?),
            Event::Delete(_) => {
                assert!(media::delete(tx, &stored, Millis::ZERO)?);
                assert!(!media::delete(tx, &stored, Millis::ZERO)?);
                all.swap_remove(at);
                continue;
            }
            Event::Bin(_) => {
                assert!(media_bin::put(tx, &stored, &deletion())?);
                assert!(!media_bin::put(tx, &stored, &deletion())?);
                assert!(media::find(tx, &stored.media_id)?.is_none());
                binned.push(all.swap_remove(at));
                continue;
            }
        }
        all[at] = media::find(tx, &stored.media_id)?.unwrap();
    }
    Ok(Played { stored: all, binned })
}

fn deletion() -> Binned {
    Binned {
        deleted_ts: Millis::ZERO,
        deleted_by_kind: ActorKind::Cli,
        deleted_by: "cli".to_owned(),
        purge_ts: Millis::ZERO,
    }
}

/// Returns the sort key of an upload.
fn key(order_by: OrderBy, media: &Media) -> Key {
    match order_by {
        OrderBy::MediaId => Key::Text(media.media_id.clone()),
        OrderBy::UploadName => Key::Text(sort_key(media.upload_name.as_deref())),
        OrderBy::CreatedTs => Key::Int(media.created_ts.get()),
        OrderBy::LastAccessTs => Key::Int(media.last_access_ts.unwrap_or(Millis::MAX).get()),
        OrderBy::MediaLength => Key::Int(media.media_length),
        OrderBy::MediaType => Key::Text(media.media_type.clone()),
        OrderBy::QuarantinedBy => Key::Text(sort_key(media.quarantined_by.as_deref())),
        OrderBy::SafeFromQuarantine => Key::Int(i64::from(media.safe_from_quarantine)),
    }
}

/// Checks the buckets of an account: there are some if it is large, nothing comes before the first, none is too large,
/// and their counts are right.
fn check_buckets(tx: &ReadTx<'_>, owner: UserNum, all: &[Media]) -> Result<(), DbError> {
    let count = |found: usize| i64::try_from(found).unwrap();
    for (_, order_by) in OrderBy::ALL {
        let buckets = buckets(tx, owner, *order_by)?;
        let place = |media: &Media| Position { key: key(*order_by, media), media_id: media.media_id.clone() };
        let of_owner = || all.iter().filter(|media| media.user_num == owner).map(place);
        let total = count(of_owner().count());
        assert!(total >= FEW || buckets.is_empty(), "{order_by:?}: {buckets:?}");
        assert!(total <= SPLIT || !buckets.is_empty(), "{order_by:?}: none for {total}");
        let Some(first) = buckets.first() else { continue };
        let begin = Position { key: order_by.key(i64::MIN, String::new()), media_id: String::new() };
        assert_eq!(first.start, begin);
        for (index, bucket) in buckets.iter().enumerate() {
            let start = &bucket.start;
            let end = buckets.get(index + 1).map(|next| &next.start);
            let inside = |place: &Position| place >= start && end.is_none_or(|end| place < end);
            assert!(end.is_none_or(|end| start < end));
            assert_eq!(count(of_owner().filter(inside).count()), bucket.n, "{order_by:?}: {buckets:?}");
            assert!(bucket.n <= SPLIT && (bucket.n > 0 || index == 0), "{order_by:?}: {buckets:?}");
        }
    }
    Ok(())
}

fn expected(mut all: Vec<Media>, order_by: OrderBy, descending: bool, from: i64, limit: i64) -> Vec<Media> {
    all.sort_by(|a, b| {
        let by_value = key(order_by, a).cmp(&key(order_by, b));
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
    let orders: Vec<OrderBy> = OrderBy::ALL.iter().map(|(_, order_by)| *order_by).collect();
    let questions =
        prop::collection::vec((prop::sample::select(orders), any::<bool>(), 0..60_i64, 0..30_i64), 40..80);
    let outcome = runner.run(&(events(), questions), |(events, questions)| {
        number.set(number.get() + 1);
        let fresh = fresh(&runtime, engine, &format!("media_{}", number.get()));
        let played = fresh.db.write(move |tx| -> Result<_, DbError> {
            let user = |name: &str| User { user_id: format!("@{name}:test"), ..User::default() };
            let owners = [users::insert(tx, &user("a"), None)?, users::insert(tx, &user("b"), None)?];
            Ok((owners, play(tx, &events, owners)?))
        });
        let (owners, Played { stored, binned }) = runtime.block_on(played).unwrap();
        let read = stored.clone();
        let checked = fresh.db.read(move |tx| -> Result<_, DbError> {
            let mut pages = Vec::new();
            for owner in owners {
                check_buckets(tx, owner, &stored)?;
                let total = media_users::of_user(tx, owner)?.media_count;
                for (order_by, descending, from, limit) in &questions {
                    let paging = Paging { from: *from, limit: *limit };
                    let page = media_list::page(tx, owner, *order_by, *descending, paging, total)?;
                    pages.push((owner, *order_by, *descending, *from, *limit, page));
                }
            }
            let mut unused = Vec::new();
            for before_ts in [Millis::new(3), Millis::new(6), Millis::MAX] {
                for kind in [UnusedKind::All, UnusedKind::Uploads, UnusedKind::Previews] {
                    let wanted = Unused { kind, before_ts, size_gt: 1 };
                    let (mut found, mut after) = (Vec::new(), None);
                    loop {
                        let page = media::unused(tx, wanted, after, 3)?;
                        let Some(last) = page.last() else { break };
                        after = Some(UnusedPlace::from(last));
                        found.extend(page);
                    }
                    unused.push((wanted, found));
                }
            }
            let usage = (media_users::of_user(tx, owners[0])?, media_users::of_user(tx, owners[1])?);
            Ok((pages, unused, usage, media_users::totals(tx)?))
        });
        let (pages, unused, usage, totals) = runtime.block_on(checked).unwrap();
        let of =
            |owner: UserNum| read.iter().filter(|media| media.user_num == owner).cloned().collect::<Vec<_>>();
        for (owner, order_by, descending, from, limit, page) in pages {
            let right = expected(of(owner), order_by, descending, from, limit);
            prop_assert_eq!(page, right, "{:?} {} {} {}", order_by, descending, from, limit);
        }
        for (Unused { kind, before_ts, size_gt }, mut found) in unused {
            let mut right: Vec<Media> = read
                .iter()
                .filter(|media| media.last_access_ts.unwrap_or(media.created_ts) < before_ts)
                .filter(|media| media.media_length > size_gt)
                .filter(|media| match kind {
                    UnusedKind::All => true,
                    UnusedKind::Uploads => media.url_cache.is_none(),
                    UnusedKind::Previews => media.url_cache.is_some(),
                })
                .filter(|media| !media.safe_from_quarantine && media.quarantined_by.is_none())
                .cloned()
                .collect();
            for list in [&mut found, &mut right] {
                list.sort_by_key(|media| media.num);
            }
            prop_assert_eq!(found, right, "{:?} before {}", kind, before_ts);
        }
        let sum = |owner: UserNum| {
            let all = of(owner);
            let media_length = all.iter().map(|media| media.media_length).sum();
            Usage { media_count: i64::try_from(all.len()).unwrap(), media_length }
        };
        prop_assert_eq!(usage, (sum(owners[0]), sum(owners[1])));
        // Bytes in the bin are stored.
        let mut blobs: Vec<_> =
            read.iter().chain(&binned).map(|media| (media.blob_num, media.media_length)).collect();
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
    if reeve_test_postgres::available() {
        lists_agree_with_the_model(Engine::Postgres, 8);
    }
}
