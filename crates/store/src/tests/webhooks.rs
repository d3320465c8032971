//! A webhook and what belongs to it come and go together, and happenings are kept only while somebody wants them.

use reeve_db::{DbError, Engine, Statement, Tx, statements};
use reeve_model::{Actor, DeliveryKind, HappeningKind, Millis, Pos, WebhookNum};
use serde_json::json;

use super::{fresh, runtime};
use crate::happenings::{self, NewHappening};
use crate::stream::{self, Span};
use crate::webhooks::{self, Terms};
use crate::{deliveries, statements};

statements! {
    WEBHOOKS = "SELECT count(*) FROM webhooks";
    KINDS = "SELECT count(*) FROM webhook_kinds";
    SECRETS = "SELECT count(*) FROM webhook_secrets";
    DEAD_LETTERS = "SELECT count(*) FROM webhook_dead_letters";
    DELIVERIES = "SELECT count(*) FROM deliveries WHERE kind = 'webhook'";
}

const NOW: Millis = Millis::new(1000);

fn insert(tx: &mut Tx<'_>, name: &str, kinds: &[HappeningKind]) -> Result<WebhookNum, DbError> {
    let terms = Terms {
        description: String::new(),
        url: "https://example.org/".to_owned(),
        kinds: kinds.to_vec(),
        enabled: true,
    };
    let pos = stream::current(tx)?;
    let num = webhooks::insert(tx, name, &terms, &Actor::Cli, pos, NOW)?.expect("the name is free");
    webhooks::insert_secret(tx, num, "whsec_", NOW)?;
    Ok(num)
}

/// The numbers of webhooks, kinds, secrets, dead letters and deliveries.
fn counts(tx: &Tx<'_>) -> Result<[i64; 5], DbError> {
    let mut counts = [0; 5];
    for (count, statement) in counts.iter_mut().zip([&WEBHOOKS, &KINDS, &SECRETS, &DEAD_LETTERS, &DELIVERIES])
    {
        *count = tx.query_one(statement, &[], |row| row.get(0))?;
    }
    Ok(counts)
}

fn happens(tx: &mut Tx<'_>, kind: HappeningKind, ts: i64) -> Result<Pos, DbError> {
    let new = NewHappening {
        ts: Millis::new(ts),
        kind,
        target: Some("@a:test"),
        actor: &Actor::Cli,
        audited: None,
        details: &json!({}),
    };
    happenings::record(tx, &new)?;
    stream::current(tx)
}

fn they_come_and_go_together(engine: Engine) {
    let runtime = runtime();
    let fresh = fresh(&runtime, engine, "webhooks");
    let test = fresh.db.write(|tx| -> Result<(), DbError> {
        let before = stream::current(tx)?;
        assert_eq!(happens(tx, HappeningKind::AccountCreated, 0)?, before, "nobody wants it");
        let both = [HappeningKind::AccountCreated, HappeningKind::JobEnded];
        let (first, second) = (insert(tx, "first", &both)?, insert(tx, "second", &both[1..])?);
        assert_eq!(counts(tx)?, [2, 3, 2, 0, 2]);
        assert_eq!(happens(tx, HappeningKind::RoomCreated, 0)?, before, "nobody wants this one");
        let created = happens(tx, HappeningKind::AccountCreated, 1)?;
        let ended = happens(tx, HappeningKind::JobEnded, 2)?;
        assert!(before < created && created < ended);

        let next = |tx: &Tx<'_>, num, after| Ok(happenings::next(tx, num, after)?.map(|found| found.pos));
        let seen: Result<_, DbError> = [(first, before), (first, created), (first, ended), (second, before)]
            .into_iter()
            .map(|(num, after)| next(tx, num, after))
            .collect::<Result<Vec<_>, _>>();
        assert_eq!(seen?, [Some(created), Some(ended), None, Some(ended)]);
        assert_eq!([first, second].map(|num| happenings::waiting(tx, num, before, 10).unwrap()), [2, 1]);
        let concerned = |tx: &Tx<'_>, after, upto| -> Result<Vec<WebhookNum>, DbError> {
            let mut nums = webhooks::concerned(tx, Span { after, upto })?;
            nums.sort_unstable();
            Ok(nums)
        };
        assert_eq!(concerned(tx, before, created)?, [first]);
        assert_eq!(concerned(tx, before, ended)?, [first, second]);
        deliveries::rewind(tx, DeliveryKind::Webhook, second, ended, NOW)?;
        assert_eq!(concerned(tx, before, ended)?, [first], "the second was told");
        assert_eq!(webhooks::late(tx, Millis::new(3))?, ["first"]);
        webhooks::disable(tx, first)?;
        assert_eq!((concerned(tx, before, ended)?, webhooks::enabled(tx)?), (vec![], vec![second]));

        // The oldest dead letters are dropped.
        for pos in [created, ended] {
            webhooks::put_dead_letter(tx, first, pos, "why", 1, NOW)?;
        }
        webhooks::put_dead_letter(tx, second, ended, "why", 1, NOW)?;
        let letters = webhooks::dead_letters(tx, first, Pos::END, 10)?;
        assert_eq!(letters.iter().map(|letter| letter.pos).collect::<Vec<_>>(), [ended]);
        assert_eq!(counts(tx)?, [2, 3, 2, 2, 2]);

        webhooks::delete(tx, first)?;
        assert_eq!(counts(tx)?, [1, 1, 1, 1, 1]);
        assert!(happenings::prune(tx, Millis::new(3), 1)?, "there is more");
        assert_eq!((happenings::find(tx, created)?, counts(tx)?), (None, [1, 1, 1, 1, 1]));
        assert!(happenings::prune(tx, Millis::new(3), 1)?);
        assert!(!happenings::prune(tx, Millis::new(3), 1)?);
        assert_eq!(counts(tx)?, [1, 1, 1, 0, 1], "dead letters go with what they are about");
        webhooks::delete(tx, second)?;
        assert_eq!(counts(tx)?, [0; 5]);
        Ok(())
    });
    runtime.block_on(test).unwrap();
    fresh.close(&runtime);
}

#[test]
fn they_come_and_go_together_on_sqlite() {
    they_come_and_go_together(Engine::Sqlite);
}

#[test]
fn they_come_and_go_together_on_postgres() {
    if reeve_test_postgres::available() {
        they_come_and_go_together(Engine::Postgres);
    }
}

/// Only `delete` deletes a webhook, since it deletes the delivery, too.
#[test]
fn one_statement_deletes_webhooks() {
    let deletions: Vec<&str> = statements()
        .into_iter()
        .filter(|statement| statement.sql(Engine::Sqlite).starts_with("DELETE FROM webhooks "))
        .map(Statement::name)
        .collect();
    assert_eq!(deletions, ["reeve_store::operation::webhooks::DELETE"]);
}
