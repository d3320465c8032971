//! Values in, values out.

use reeve_db::{DbError, Engine, Value, params, statements};

use crate::support::{ADD, ADD_ALL, COUNT, NAME, on_both_engines, open};

on_both_engines!(
    every_type_comes_back,
    null_is_an_option,
    a_wrong_type_is_an_error,
    parameters_in_any_order,
    a_wrong_number_of_values,
    a_text_with_nul,
    rows_and_counts,
    every_statement_can_be_prepared,
);

statements! {
    ALL = "SELECT name, amount, data FROM things WHERE num = $1";
    ORDER = { sqlite: "SELECT $3, $1, $2, $3, $10, $4, $5, $6, $7, $8, $9",
        postgres: "SELECT $3::TEXT, $1::TEXT, $2::TEXT, $3, $10::TEXT, $4::TEXT, $5::TEXT, $6::TEXT, $7::TEXT, $8::TEXT, $9::TEXT" };
    AMOUNT_OR_ZERO = "SELECT COALESCE(amount, 0) FROM things ORDER BY num LIMIT $1";
    SMALL = { sqlite: "SELECT $1 = 1", postgres: "SELECT $1::INT2 = 1" };
    RENAME = "UPDATE things SET name = $1 || name WHERE num >= $2";
    NO_TABLE = "SELECT 1 FROM nothing";
}

type Things = (Option<String>, Option<i64>, Option<Vec<u8>>);

async fn every_type_comes_back(engine: Engine) {
    let (db, _place) = open(engine).await;
    let hash = [0xFF_u8; 32];
    let cases: Vec<Things> = vec![
        (Some("Grüße, 🦀".into()), Some(i64::MAX), Some(vec![0, 1, 255])),
        (Some(String::new()), Some(i64::MIN), Some(Vec::new())),
        (None, None, None),
    ];
    for case in cases {
        let given = case.clone();
        let num = db
            .write::<_, DbError, _>(move |tx| {
                let (name, amount, data) = &given;
                tx.returning(&ADD_ALL, &params![name, amount, data], |row| row.get::<i64>(0))
            })
            .await
            .unwrap()[0];
        let found = db
            .read::<_, DbError, _>(move |tx| {
                tx.query_one(&ALL, &params![num], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
            })
            .await
            .unwrap();
        assert_eq!(case, found);
    }
    let num = db
        .write::<_, DbError, _>(move |tx| {
            tx.returning(&ADD_ALL, &params!["flag", true, hash], |row| row.get::<u32>(0))
        })
        .await
        .unwrap()[0];
    let found = db
        .read::<_, DbError, _>(move |tx| {
            tx.query_one(&ALL, &params![num], |row| Ok((row.get::<bool>(1)?, row.get::<[u8; 32]>(2)?)))
        })
        .await
        .unwrap();
    assert_eq!(found, (true, hash));
    // The result of a comparison is a flag, too.
    let flag =
        db.read::<_, DbError, _>(|tx| tx.query_one(&SMALL, &params![1_u8], |row| row.get::<bool>(0))).await;
    assert_eq!(flag, Ok(true));
}

async fn null_is_an_option(engine: Engine) {
    let (db, _place) = open(engine).await;
    let result = db
        .write::<_, DbError, _>(|tx| {
            let none: Option<&str> = None;
            let num = tx
                .returning(&ADD_ALL, &params![none, Value::Null, "x".as_bytes()], |row| row.get::<i64>(0))?
                [0];
            assert_eq!(tx.query_one(&NAME, &params![num], |row| row.get::<Option<String>>(0))?, None);
            tx.query_one(&NAME, &params![num], |row| row.get::<String>(0))
        })
        .await;
    assert_eq!(result, Err(DbError::Type { place: "column", index: 0, expected: "a text", found: "NULL" }));
}

async fn a_wrong_type_is_an_error(engine: Engine) {
    let (db, _place) = open(engine).await;
    db.write::<_, DbError, _>(|tx| {
        tx.returning(&ADD_ALL, &params!["a", 5_000_000_000_i64, [1_u8, 2]], |_| Ok(()))?;
        tx.query_one(&ALL, &params![1], |row| {
            let wrong = |index, expected, found| DbError::Type { place: "column", index, expected, found };
            assert_eq!(row.get::<i64>(0), Err(wrong(0, "an integer", "a text")));
            assert_eq!(row.get::<String>(1), Err(wrong(1, "a text", "an integer")));
            assert_eq!(row.get::<bool>(1), Err(wrong(1, "0 or 1", "an integer")));
            assert_eq!(row.get::<i32>(1), Err(wrong(1, "an integer of 32 bits", "an integer")));
            assert_eq!(row.get::<String>(2), Err(wrong(2, "a text", "bytes")));
            assert_eq!(row.get::<[u8; 3]>(2), Err(wrong(2, "bytes of a fixed length", "bytes")));
            assert_eq!(row.get::<i64>(3), Err(wrong(3, "an integer", "no such column")));
            Ok(())
        })
    })
    .await
    .unwrap();
    // A value that its column cannot store. Only the kind of error differs.
    let refused = db.write::<_, DbError, _>(|tx| tx.execute(&ADD, &params![b"bytes"])).await;
    match engine {
        Engine::Sqlite => assert!(matches!(refused, Err(DbError::Constraint(_))), "{refused:?}"),
        Engine::Postgres => assert_eq!(
            refused,
            Err(DbError::Type { place: "parameter", index: 1, expected: "a text", found: "bytes" })
        ),
    }
}

async fn parameters_in_any_order(engine: Engine) {
    let (db, _place) = open(engine).await;
    let found = db
        .read::<_, DbError, _>(|tx| {
            let params = params!["1", "2", "3", "4", "5", "6", "7", "8", "9", "10"];
            tx.query_one(&ORDER, &params, |row| {
                (0..11).map(|index| row.get::<String>(index)).collect::<Result<Vec<_>, _>>()
            })
        })
        .await
        .unwrap();
    assert_eq!(found, ["3", "1", "2", "3", "10", "4", "5", "6", "7", "8", "9"]);
}

async fn a_wrong_number_of_values(engine: Engine) {
    let (db, _place) = open(engine).await;
    let too_few = db.read::<_, DbError, _>(|tx| tx.query(&NAME, &params![], |_| Ok(()))).await;
    assert_eq!(too_few, Err(DbError::Internal("engine::support::NAME: 1 parameters, 0 values".into())));
    let too_many = db.read::<_, DbError, _>(|tx| tx.query(&NAME, &params![1, 2], |_| Ok(()))).await;
    assert_eq!(too_many, Err(DbError::Internal("engine::support::NAME: 1 parameters, 2 values".into())));
}

async fn a_text_with_nul(engine: Engine) {
    let (db, _place) = open(engine).await;
    let refused = db
        .write::<_, DbError, _>(|tx| {
            assert_eq!(tx.execute(&ADD, &params!["a\0b"]), Err(DbError::Nul(1)));
            // The transaction continues.
            tx.execute(&ADD, &params!["a"])
        })
        .await;
    assert_eq!(refused, Ok(1));
}

async fn rows_and_counts(engine: Engine) {
    let (db, _place) = open(engine).await;
    db.write::<_, DbError, _>(|tx| {
        for name in ["a", "b", "c"] {
            assert_eq!(tx.execute(&ADD, &params![name])?, 1);
        }
        assert_eq!(tx.execute(&RENAME, &params!["x", 2])?, 2);
        assert_eq!(tx.execute(&RENAME, &params!["x", 9])?, 0);
        // A query inside the visit of another.
        let names = tx.query(&AMOUNT_OR_ZERO, &params![2], |row| {
            assert_eq!(row.get::<i64>(0)?, 0);
            tx.query_one(&COUNT, &params![], |row| row.get::<i64>(0))
        })?;
        assert_eq!(names, [3, 3]);
        assert_eq!(tx.query_opt(&NAME, &params![3], |row| row.get::<String>(0))?, Some("xc".into()));
        assert_eq!(tx.query_opt(&NAME, &params![4], |row| row.get::<String>(0))?, None);
        assert_eq!(tx.query_one(&NAME, &params![4], |row| row.get::<String>(0)), Err(DbError::NoRow));
        assert_eq!(tx.engine(), if tx.lane() == 0 { tx.engine() } else { Engine::Postgres });
        Ok(())
    })
    .await
    .unwrap();
}

async fn every_statement_can_be_prepared(engine: Engine) {
    let (db, _place) = open(engine).await;
    assert_eq!(db.prepare(crate::support::STATEMENTS).await, []);
    let refused = db.prepare(STATEMENTS).await;
    assert_eq!(refused.iter().map(|(name, _)| *name).collect::<Vec<_>>(), ["engine::values::NO_TABLE"]);
}
