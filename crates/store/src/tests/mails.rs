//! A mail and its delivery come and go together.

use reeve_db::{DbError, Engine, Tx, statements};
use reeve_model::{DeliveryKind, Language, MailNum, Millis, UserNum};

use super::{fresh, runtime};
use crate::deliveries;
use crate::mails::{self, StoredMail};

statements! {
    DUE = "SELECT m.address FROM mails m JOIN deliveries d ON d.kind = 'mail' AND d.target_num = m.num \
           WHERE d.due_ts = m.created_ts ORDER BY m.address";
    COUNT_MAILS = "SELECT count(*) FROM mails";
    COUNT_DELIVERIES = "SELECT count(*) FROM deliveries";
}

fn put(tx: &mut Tx<'_>, address: &str, user_num: Option<UserNum>) -> Result<(), DbError> {
    let mail = StoredMail {
        address: address.to_owned(),
        user_num,
        language: Language::German,
        letter: "{}".to_owned(),
        created_ts: Millis::new(5),
        ends_ts: None,
    };
    mails::insert(tx, &mail)
}

/// The addresses of the mails, each of which has a delivery that is due.
fn addresses(tx: &Tx<'_>) -> Result<Vec<String>, DbError> {
    let addresses = tx.query(&DUE, &[], |row| row.get(0))?;
    for count in [&COUNT_MAILS, &COUNT_DELIVERIES] {
        let count: i64 = tx.query_one(count, &[], |row| row.get(0))?;
        assert_eq!(usize::try_from(count), Ok(addresses.len()));
    }
    Ok(addresses)
}

fn each_mail_has_a_delivery(engine: Engine) {
    let runtime = runtime();
    let fresh = fresh(&runtime, engine, "mails");
    let test = fresh.db.write(|tx| -> Result<(), DbError> {
        let (alice, bob) = (UserNum::new(1), UserNum::new(2));
        for (address, user) in [("a1", Some(alice)), ("a2", Some(alice)), ("b", Some(bob)), ("c", None)] {
            put(tx, address, user)?;
        }
        assert_eq!(addresses(tx)?, ["a1", "a2", "b", "c"]);
        mails::delete_of_user(tx, alice)?;
        assert_eq!(addresses(tx)?, ["b", "c"]);
        let (now, until) = (Millis::new(6), Millis::new(7));
        let name = "name".into();
        let claimed =
            deliveries::claim::<MailNum, i64>(tx, DeliveryKind::Mail, &name, now, until, 1)?.pop().unwrap();
        assert_eq!(claimed.cursor, mails::CURSOR);
        assert_eq!(mails::by_num(tx, claimed.claim.target)?.language, Language::German);
        mails::delete(tx, claimed.claim.target)?;
        assert_eq!(addresses(tx)?.len(), 1);
        Ok(())
    });
    runtime.block_on(test).unwrap();
    fresh.close(&runtime);
}

#[test]
fn each_mail_has_a_delivery_on_sqlite() {
    each_mail_has_a_delivery(Engine::Sqlite);
}

#[test]
fn each_mail_has_a_delivery_on_postgres() {
    if reeve_test_postgres::available() {
        each_mail_has_a_delivery(Engine::Postgres);
    }
}

/// `delete_with` needs the numbers, to delete the deliveries.
#[test]
fn every_deletion_of_mails_returns_the_numbers() {
    let deletions = crate::statements()
        .into_iter()
        .filter(|statement| statement.sql(Engine::Sqlite).contains("DELETE FROM mails"));
    for statement in deletions {
        assert!(statement.name().starts_with("reeve_store::operation::mails::"), "{}", statement.name());
        assert!(statement.sql(Engine::Sqlite).ends_with("RETURNING num"), "{}", statement.name());
    }
}
