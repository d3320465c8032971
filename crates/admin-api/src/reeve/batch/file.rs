//! The outcomes of a batch as a file.

use bytes::Bytes;
use futures_util::stream;
use http::{HeaderValue, header};
use reeve_app::reply::Body;
use reeve_app::{Access, Answer, Call, Content, MatrixError, Param, Route};
use reeve_model::{BatchNum, BatchOutcome, Scope};
use reeve_store::batches::{self, Outcome};

use super::outcomes::{OutcomeView, only};
use super::{FORBIDDEN, MISSING};
use crate::csv;

/// Number of outcomes that are read at a time.
const AT_ONCE: i64 = 1000;

/// The form of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    Csv,
    Jsonl,
}

impl Format {
    const WORDS: &'static [(&'static str, Self)] = &[("csv", Self::Csv), ("jsonl", Self::Jsonl)];

    fn media_type(self) -> HeaderValue {
        HeaderValue::from_static(match self {
            Self::Csv => "text/csv; charset=utf-8",
            Self::Jsonl => "application/jsonl",
        })
    }

    /// The line before the first account.
    fn head(self) -> &'static str {
        match self {
            Self::Csv => "user_id,outcome,reason\r\n",
            Self::Jsonl => "",
        }
    }

    fn line(self, outcome: Outcome) -> Result<String, serde_json::Error> {
        match self {
            Self::Csv => {
                let reason = outcome.reason.unwrap_or_default();
                let user_id = csv::user_id(&outcome.user_id);
                Ok(format!("{user_id},{},{}\r\n", outcome.outcome, csv::cell(&reason)))
            }
            Self::Jsonl => serde_json::to_string(&OutcomeView::from(outcome)).map(|line| format!("{line}\n")),
        }
    }
}

pub(crate) fn route() -> Route {
    Route::get("/_reeve/admin/v1/users/batch/{id}/outcomes/file", handle)
        .access(Access::Admin(Scope::UsersRead))
        .id("downloadUserBatchOutcomes")
        .summary("Returns what became of each account of a batch, as a file")
        .description(
            "The caller needs the scope of the act. The file breaks off, without its end, if the caller loses it. In a table, a text \
             that begins like a formula of a spreadsheet has an apostrophe in front.",
        )
        .query([
            Param::choice(
                "format",
                Format::WORDS,
                "`csv` (the default), or `jsonl` for one JSON object per line",
            ),
            only(),
        ])
        .returns_other(200, Content::Bytes)
        .errors(&[(400, "M_INVALID_PARAM", "there is no such format or outcome"), FORBIDDEN, MISSING])
}

/// The part of a file that is read next.
struct Rest {
    call: Call,
    num: BatchNum,
    /// The scope of the act, which the caller still needs with each part.
    scope: Scope,
    only: Option<BatchOutcome>,
    format: Format,
    after: i64,
    is_begun: bool,
}

async fn next(mut rest: Rest) -> Result<Option<(Bytes, Rest)>, std::io::Error> {
    let (num, scope, only, after) = (rest.num, rest.scope, rest.only, rest.after);
    let read = rest.call.read_as(move |tx, caller| {
        if !caller.holds(scope) {
            return Err(MatrixError::forbidden(format!("This needs the scope {scope}")));
        }
        Ok(batches::outcomes(tx, num, only, after, AT_ONCE)?)
    });
    let some = read.await.map_err(|error| std::io::Error::other(error.error.into_owned()))?;
    let Some(last) = some.last() else {
        let head = if rest.is_begun { "" } else { rest.format.head() };
        rest.is_begun = true;
        return Ok(Some(head).filter(|head| !head.is_empty()).map(|head| (Bytes::from(head), rest)));
    };
    rest.after = last.place;
    let mut text = if rest.is_begun { String::new() } else { rest.format.head().to_owned() };
    for outcome in some {
        text.push_str(&rest.format.line(outcome).map_err(std::io::Error::other)?);
    }
    rest.is_begun = true;
    Ok(Some((Bytes::from(text), rest)))
}

async fn handle(call: Call) -> Answer {
    let (ctx, id) = (call.admin_ctx()?, call.param("id"));
    let format = call.query.choice("format", Format::WORDS)?.unwrap_or(Format::Csv);
    let only = call.query.choice("outcome", BatchOutcome::WORDS)?;
    let view = call.read(move |tx| reeve_batch::find_outcomes(tx, &ctx, &id)).await?;
    let (num, scope) = (view.batch.num, view.act.scope());
    let rest = Rest { call, num, scope, only, format, after: -1, is_begun: false };
    let mut response = http::Response::new(Body::from_stream(stream::try_unfold(rest, next)));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, format.media_type());
    let name = format!(
        "attachment; filename=\"{}.{}\"",
        view.batch.id,
        if format == Format::Csv { "csv" } else { "jsonl" }
    );
    let name = HeaderValue::from_str(&name).map_err(MatrixError::internal)?;
    headers.insert(header::CONTENT_DISPOSITION, name);
    Ok(response)
}
