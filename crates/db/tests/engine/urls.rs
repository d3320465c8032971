//! Addresses of databases.

use std::path::PathBuf;

use reeve_db::{DatabaseUrl, UrlError};

#[test]
fn a_file_has_three_spellings() {
    for text in ["sqlite:/var/lib/x.db", "sqlite:///var/lib/x.db", "/var/lib/x.db"] {
        assert_eq!(text.parse(), Ok(DatabaseUrl::Sqlite(PathBuf::from("/var/lib/x.db"))));
    }
    assert_eq!("sqlite:x.db".parse(), Ok(DatabaseUrl::Sqlite(PathBuf::from("x.db"))));
    assert_eq!("./a:b.db".parse(), Ok(DatabaseUrl::Sqlite(PathBuf::from("./a:b.db"))));
}

#[test]
fn a_server_keeps_its_url() {
    for text in ["postgres://host/name", "postgresql:///name?host=/run/postgresql"] {
        assert_eq!(text.parse(), Ok(DatabaseUrl::Postgres(text.into())));
    }
}

#[test]
fn other_texts_are_refused() {
    let parse = |text: &str| text.parse::<DatabaseUrl>().unwrap_err();
    assert_eq!(parse("mysql://host/name"), UrlError::Scheme("mysql".into()));
    assert_eq!(parse("postgres:name"), UrlError::Scheme("postgres".into()));
    assert_eq!(parse(""), UrlError::EmptyPath);
    assert_eq!(parse("sqlite://"), UrlError::EmptyPath);
    assert_eq!(parse("sqlite::memory:"), UrlError::NoFile(":memory:".into()));
    assert_eq!(parse("sqlite:file:x?mode=memory"), UrlError::NoFile("file:x?mode=memory".into()));
}

#[test]
fn passwords_are_masked() {
    for (url, shown) in [
        ("postgres://user:secret@host/name", "postgres://user:***@host/name"),
        (
            "postgres://user:se@c/ret@host:5432/name?sslmode=require",
            "postgres://user:***@host:5432/name?sslmode=require",
        ),
        ("postgres://user@host/name", "postgres://user@host/name"),
        (
            "postgres:///name?host=/run&password=secret&user=x",
            "postgres:///name?host=/run&password=***&user=x",
        ),
        ("postgres://host/name", "postgres://host/name"),
    ] {
        let parsed: DatabaseUrl = url.parse().unwrap();
        assert_eq!(parsed.to_string(), shown);
        assert_eq!(format!("{parsed:?}"), shown);
    }
    assert_eq!(DatabaseUrl::Sqlite("x.db".into()).to_string(), "sqlite:x.db");
}
