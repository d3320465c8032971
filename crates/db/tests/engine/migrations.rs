//! The schema from nothing, from an older state, and from a newer one.

use reeve_db::{DatabaseUrl, Db, DbError, Engine, Migration, OpenError, Options, Schema, params, statements};

use crate::support::{Place, on_both_engines};

on_both_engines!(
    from_nothing_and_from_an_older_state,
    a_newer_schema_is_refused,
    the_schema_of_another_program_is_refused,
    a_failing_migration_leaves_nothing,
    two_at_once,
    a_wrong_list_is_refused,
    nothing_is_made_or_migrated_unless_allowed,
);

static MIGRATIONS: &[Migration] = &[
    Migration {
        number: 1,
        name: "people",
        sql: "CREATE TABLE people (
            num {identity},
            name {text} NOT NULL,
            flag {bigint} NOT NULL DEFAULT 0,
            hash {blob},
            twice {bigint} GENERATED ALWAYS AS (flag * 2) {generated}
        ){strict};",
    },
    Migration {
        number: 2,
        name: "rename",
        sql: "ALTER TABLE people ADD COLUMN engine {text};
-- only sqlite
UPDATE people SET engine = 'sqlite';
-- end
    -- only postgres
    UPDATE people SET engine = 'postgres';
    -- end
CREATE INDEX people_name ON people (name);",
    },
];

static FAILING: &[Migration] = &[
    MIGRATIONS[0],
    Migration {
        number: 2,
        name: "broken",
        sql: "CREATE TABLE half (num {identity}); INSERT INTO nowhere VALUES (1);",
    },
];

static GAP: &[Migration] = &[MIGRATIONS[0], Migration { number: 3, ..MIGRATIONS[1] }];

static UNCLOSED: &[Migration] =
    &[Migration { number: 1, name: "unclosed", sql: "-- only sqlite\nSELECT 1;" }];

statements! {
    ADD = "INSERT INTO people (name, flag) VALUES ($1, $2)";
    PEOPLE = "SELECT name, twice, engine FROM people ORDER BY name";
    APPLIED = "SELECT number, name FROM schema_migrations WHERE applied_ts > 0 ORDER BY number";
    HALF = "SELECT num FROM half";
}

async fn open(place: &Place, migrations: &'static [Migration]) -> Result<Db, OpenError> {
    Db::open(&place.url, Options::default(), migrations).await
}

async fn applied(db: &Db) -> Vec<(i64, String)> {
    db.read::<_, DbError, _>(|tx| tx.query(&APPLIED, &[], |row| Ok((row.get(0)?, row.get(1)?))))
        .await
        .unwrap()
}

async fn nothing_is_made_or_migrated_unless_allowed(engine: Engine) {
    let place = Place::new(engine);
    let open_as = |schema, migrations| {
        let options = Options { schema, ..Options::default() };
        let url = place.url.clone();
        async move { Db::open(&url, options, migrations).await }
    };
    for schema in [Schema::Migrate, Schema::UpToDate] {
        let refused = open_as(schema, MIGRATIONS).await;
        assert!(matches!(refused, Err(OpenError::Missing { .. })), "{schema:?}: {:?}", refused.err());
    }
    if let DatabaseUrl::Sqlite(path) = &place.url {
        assert!(!path.exists());
    }

    open_as(Schema::Create, &MIGRATIONS[..1]).await.unwrap().close().await;
    let refused = open_as(Schema::UpToDate, MIGRATIONS).await;
    assert!(matches!(refused, Err(OpenError::Pending { found: 1, known: 2, .. })), "{:?}", refused.err());
    let older = open_as(Schema::UpToDate, &MIGRATIONS[..1]).await.unwrap();
    assert_eq!(applied(&older).await.len(), 1, "a refusal changes nothing");
    older.close().await;

    open_as(Schema::Migrate, MIGRATIONS).await.unwrap().close().await;
    let db = open_as(Schema::UpToDate, MIGRATIONS).await.unwrap();
    assert_eq!(applied(&db).await.len(), 2);
    db.close().await;
    for schema in [Schema::Create, Schema::Migrate, Schema::UpToDate] {
        let refused = open_as(schema, &MIGRATIONS[..1]).await;
        assert!(
            matches!(refused, Err(OpenError::SchemaTooNew { found: 2, known: 1 })),
            "{schema:?}: {:?}",
            refused.err()
        );
    }
}

async fn the_schema_of_another_program_is_refused(engine: Engine) {
    static OTHER: &[Migration] = &[Migration { name: "persons", ..MIGRATIONS[0] }, MIGRATIONS[1]];
    let place = Place::new(engine);
    open(&place, &OTHER[..1]).await.unwrap().close().await;
    for schema in [Schema::Create, Schema::Migrate, Schema::UpToDate] {
        let refused = Db::open(&place.url, Options { schema, ..Options::default() }, MIGRATIONS).await;
        assert!(matches!(refused, Err(OpenError::SchemaForeign)), "{schema:?}: {:?}", refused.err());
    }
    let db = open(&place, OTHER).await.unwrap();
    assert_eq!(applied(&db).await.len(), 2, "it was left as it was");
    db.close().await;
}

async fn from_nothing_and_from_an_older_state(engine: Engine) {
    let place = Place::new(engine);
    let db = open(&place, &MIGRATIONS[..1]).await.unwrap();
    assert_eq!(applied(&db).await, [(1, "people".to_owned())]);
    // Both engines sort by code points.
    for name in ["b", "a", "B", "ä", "_"] {
        db.write::<_, DbError, _>(move |tx| tx.execute(&ADD, &params![name, 1])).await.unwrap();
    }
    db.close().await;

    let db = open(&place, MIGRATIONS).await.unwrap();
    assert_eq!(applied(&db).await, [(1, "people".to_owned()), (2, "rename".to_owned())]);
    let people = db
        .read::<_, DbError, _>(|tx| {
            tx.query(&PEOPLE, &[], |row| {
                Ok((row.get::<String>(0)?, row.get::<i64>(1)?, row.get::<String>(2)?))
            })
        })
        .await
        .unwrap();
    let name = if engine == Engine::Sqlite { "sqlite" } else { "postgres" };
    let expected: Vec<_> =
        ["B", "_", "a", "b", "ä"].into_iter().map(|person| (person.to_owned(), 2, name.to_owned())).collect();
    assert_eq!(people, expected);
    db.close().await;

    let db = open(&place, MIGRATIONS).await.unwrap();
    assert_eq!(applied(&db).await.len(), 2);
}

async fn a_newer_schema_is_refused(engine: Engine) {
    let place = Place::new(engine);
    open(&place, MIGRATIONS).await.unwrap().close().await;
    let error = open(&place, &MIGRATIONS[..1]).await.err().unwrap();
    assert!(matches!(error, OpenError::SchemaTooNew { found: 2, known: 1 }), "{error:?}");
    assert_eq!(
        error.to_string(),
        "the database has schema version 2, this program knows only up to 1: use a newer program"
    );
}

async fn a_failing_migration_leaves_nothing(engine: Engine) {
    let place = Place::new(engine);
    let error = open(&place, FAILING).await.err().unwrap();
    let OpenError::Migration { number, name, reason } = error else { panic!("{error:?}") };
    assert_eq!((number, name), (2, "broken"));
    assert!(reason.contains("nowhere"), "{reason}");
    let db = open(&place, &MIGRATIONS[..1]).await.unwrap();
    assert_eq!(applied(&db).await, [(1, "people".to_owned())]);
    assert_eq!(db.prepare(&[&HALF]).await.len(), 1, "the table is there");
}

async fn two_at_once(engine: Engine) {
    let place = Place::new(engine);
    let (first, second) = tokio::join!(open(&place, MIGRATIONS), open(&place, MIGRATIONS));
    assert_eq!(applied(&first.unwrap()).await, applied(&second.unwrap()).await);
}

async fn a_wrong_list_is_refused(engine: Engine) {
    let place = Place::new(engine);
    let gap = open(&place, GAP).await.err().unwrap();
    assert_eq!(gap.to_string(), "the list of migrations is wrong: rename has number 3 instead of 2");
    let unclosed = open(&place, UNCLOSED).await.err().unwrap();
    assert_eq!(unclosed.to_string(), "migration 1 (unclosed) failed: \"-- end\" is missing");
}
