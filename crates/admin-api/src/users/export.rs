//! Exports all accounts of a selection, as a stream.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::stream;
use http::HeaderValue;
use reeve_app::query::Query;
use reeve_app::reply::{self, Body};
use reeve_app::{Access, Answer, Call, Content, MatrixError, Param, Route};
use reeve_db::{DbError, ReadTx};
use reeve_model::{Scope, UserNum};
use reeve_store::lists::roster::Chosen;
use reeve_store::{Roster, Selection};
use tokio::sync::OwnedSemaphorePermit;

use super::select::{Include, SelectedUser};
use super::selection;
use crate::csv;

/// The number of accounts that one transaction reads.
const STEP: usize = 1000;
/// The time after which a refused client may retry, in milliseconds.
const AGAIN_MS: i64 = 10_000;

/// The formats, with their words.
const FORMATS: &[(&str, Format)] = &[("csv", Format::Csv), ("jsonl", Format::JsonLines)];

/// The format of an export.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    /// A table with a line of titles (RFC 4180).
    Csv,
    /// A JSON object on each line.
    JsonLines,
}

impl Format {
    fn media_type(self) -> HeaderValue {
        HeaderValue::from_static(match self {
            Self::Csv => "text/csv; charset=utf-8; header=present",
            Self::JsonLines => "application/x-ndjson",
        })
    }
}

/// An export of the accounts of a selection, by user id.
#[derive(Clone, Debug)]
pub struct Export {
    selection: Selection,
    include: Include,
    format: Format,
}

/// A part of an export.
pub struct Step {
    /// Its lines.
    pub text: String,
    /// The last account, behind which the next part begins; `None` if this is the last part.
    pub last: Option<UserNum>,
}

impl Export {
    /// Returns true if a query parameter is a filter of accounts.
    pub fn is_filter(name: &str) -> bool {
        selection::params().iter().any(|param| param.name == name)
    }

    fn params() -> impl Iterator<Item = Param> {
        let own =
            [Param::choice("format", FORMATS, "format of the lines; `csv` by default"), Include::param()];
        selection::params().into_iter().chain(own)
    }

    fn read(query: &Query) -> Result<Self, MatrixError> {
        Ok(Self {
            selection: selection::from_query(query)?,
            include: Include::read(query)?,
            format: query.choice("format", FORMATS)?.unwrap_or(Format::Csv),
        })
    }

    /// Reads an export from a query string, as the endpoint does.
    pub fn parse(query: &str) -> Result<Self, MatrixError> {
        let declared: Arc<[Param]> = Self::params().collect();
        Self::read(&Query::parse(query).declared(&declared))
    }

    /// Returns the selection.
    pub fn selection(&self) -> &Selection {
        &self.selection
    }

    /// Returns the lines before the first account.
    pub fn head(&self) -> String {
        let mut titles = TITLES.join(",");
        let Include { threepids, external_ids, devices_count } = self.include;
        for (title, is_included) in
            [("threepids", threepids), ("external_ids", external_ids), ("devices_count", devices_count)]
        {
            if is_included {
                titles.push(',');
                titles.push_str(title);
            }
        }
        match self.format {
            Format::Csv => titles + "\r\n",
            Format::JsonLines => String::new(),
        }
    }

    /// Returns the lines of some of the chosen accounts after one, or of the first ones, as a transaction sees them.
    pub fn step(
        &self,
        tx: &ReadTx<'_>,
        roster: &Roster,
        chosen: &Chosen,
        after: Option<UserNum>,
    ) -> Result<Step, DbError> {
        let nums = roster.by_name(tx, chosen, after, STEP)?;
        let mut text = String::new();
        for account in self.include.accounts(tx, &nums)? {
            match self.format {
                Format::Csv => text.push_str(&line(&account)),
                Format::JsonLines => {
                    let line = serde_json::to_string(&account);
                    text.push_str(&line.map_err(|error| DbError::Internal(error.to_string()))?);
                    text.push('\n');
                }
            }
        }
        Ok(Step { text, last: nums.last().copied().filter(|_| nums.len() >= STEP) })
    }
}

/// The columns of every table.
const TITLES: [&str; 16] = [
    "name",
    "displayname",
    "avatar_url",
    "user_type",
    "is_guest",
    "admin",
    "role",
    "deactivated",
    "erased",
    "locked",
    "suspended",
    "shadow_banned",
    "password_change_required",
    "appservice_id",
    "creation_ts",
    "last_seen_ts",
];

/// Returns the line of an account in a table. Values that are not set are blank, and lists are JSON.
fn line(account: &SelectedUser) -> String {
    let values = serde_json::to_value(account).unwrap_or_default();
    let included = ["threepids", "external_ids", "devices_count"];
    let included = included.iter().filter(|title| values.get(**title).is_some());
    let cells = TITLES.iter().chain(included).map(|title| match values.get(*title) {
        None | Some(serde_json::Value::Null) => String::new(),
        Some(serde_json::Value::String(text)) if *title == "name" => csv::user_id(text),
        Some(serde_json::Value::String(text)) => csv::cell(text),
        // A negative number is no formula.
        Some(serde_json::Value::Number(number)) => number.to_string(),
        Some(other) => csv::cell(&other.to_string()),
    });
    cells.collect::<Vec<_>>().join(",") + "\r\n"
}

pub(crate) fn route() -> Route {
    Route::get("/_reeve/admin/v1/users/export", handle)
        .access(Access::Admin(Scope::UsersRead))
        .id("exportUsers")
        .summary("Exports all accounts to which all given filters apply")
        .description(
            "The accounts that the selection has at the beginning come as a stream, by user id, in as many short transactions as are \
             needed: each is as it was when it was read. The stream breaks off, without its end, if the caller loses the right to \
             read accounts. In a table, times are in milliseconds, values that are not set are blank, lists are JSON, and a text \
             that begins like a formula of a spreadsheet has an apostrophe in front.",
        )
        .query(Export::params())
        .returns_other(200, Content::Bytes)
        .errors(&[
            (
                400,
                "M_INVALID_PARAM",
                "a parameter is unknown, malformed or given twice, or filters contradict each other",
            ),
            (429, "M_LIMIT_EXCEEDED", "too many exports at a time"),
        ])
}

/// A stream under way.
struct Under {
    call: Call,
    roster: Arc<Roster>,
    export: Arc<Export>,
    chosen: Arc<Chosen>,
    at: At,
    /// Held until the stream ends.
    _permit: OwnedSemaphorePermit,
}

/// The place of a stream.
enum At {
    Head,
    After(Option<UserNum>),
    End,
}

async fn handle(call: Call) -> Answer {
    let export = Export::read(&call.query)?;
    let permit = call.app.selections.begin_export().ok_or_else(|| MatrixError::limit_exceeded(AGAIN_MS))?;
    let (export, server_name) = (Arc::new(export), Arc::clone(&call.app.server_name));
    let roster = call.app.selections.roster_for(&call.app.db, &export.selection).await?;
    let (wanted, known) = (Arc::clone(&export), Arc::clone(&roster));
    let chosen = call.read(move |tx| known.choose(tx, &server_name, &wanted.selection)).await?;
    let media_type = export.format.media_type();
    let under = Under { call, roster, export, chosen: Arc::new(chosen), at: At::Head, _permit: permit };
    Ok(reply::stream(media_type, Body::from_stream(stream::try_unfold(under, next))))
}

/// Returns the next piece of a stream.
async fn next(mut under: Under) -> Result<Option<(Bytes, Under)>, std::io::Error> {
    loop {
        let (text, at) = match under.at {
            At::Head => (under.export.head(), At::After(None)),
            At::After(after) => {
                let (roster, export) = (Arc::clone(&under.roster), Arc::clone(&under.export));
                let chosen = Arc::clone(&under.chosen);
                let step = move |tx: &ReadTx<'_>| export.step(tx, &roster, &chosen, after);
                let step = under.call.read_authorised(step).await;
                let step = step.map_err(|error| std::io::Error::other(error.error.into_owned()))?;
                (step.text, step.last.map_or(At::End, |last| At::After(Some(last))))
            }
            At::End => return Ok(None),
        };
        under.at = at;
        // An empty piece would be taken for the end.
        if !text.is_empty() {
            return Ok(Some((Bytes::from(text), under)));
        }
    }
}
