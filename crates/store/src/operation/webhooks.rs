//! Webhooks: the kinds of happenings that each wants, its secrets, and its dead letters. The cursor, the marks and the
//! claim of a webhook are in its delivery ([`crate::deliveries`]).

use reeve_db::{DbError, ReadTx, Row, Tx, params};
use reeve_model::{Actor, ActorKind, DeliveryKind, HappeningKind, Millis, Pos, WebhookNum};

use crate::stream::Span;
use crate::{SortKey, deliveries};

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT num, name, description, url, enabled, created_by_kind, created_by, created_ts FROM webhooks ",
            $rest
        )
    };
}

/// Happenings beyond the cursors of webhooks that want them.
macro_rules! not_told {
    ($column:literal, $condition:literal) => {
        concat!(
            "SELECT DISTINCT ", $column, " FROM happenings h JOIN webhook_kinds k ON k.kind = h.kind \
             JOIN webhooks w ON w.num = k.webhook_num \
             JOIN deliveries d ON d.kind = 'webhook' AND d.target_num = k.webhook_num AND d.cursor < h.pos WHERE ",
            $condition
        )
    };
}

reeve_db::statements! {
    FIND = select!("WHERE name = $1");
    BY_NUM = select!("WHERE num = $1");
    LIST = select!("WHERE (created_ts, num) < ($1, $2) ORDER BY created_ts DESC, num DESC LIMIT $3");
    COUNT = "SELECT count(*) FROM webhooks";
    ENABLED = "SELECT num FROM webhooks WHERE enabled = 1";
    INSERT = "INSERT INTO webhooks (name, description, url, enabled, created_by_kind, created_by, created_ts) \
              VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (name) DO NOTHING RETURNING num";
    UPDATE = "UPDATE webhooks SET description = $2, url = $3, enabled = $4 WHERE num = $1";
    DISABLE = "UPDATE webhooks SET enabled = 0 WHERE num = $1";
    DELETE = "DELETE FROM webhooks WHERE num = $1";
    KINDS = "SELECT kind FROM webhook_kinds WHERE webhook_num = $1";
    INSERT_KIND = "INSERT INTO webhook_kinds (webhook_num, kind) VALUES ($1, $2)";
    DELETE_KINDS = "DELETE FROM webhook_kinds WHERE webhook_num = $1";
    SECRETS = "SELECT secret FROM webhook_secrets WHERE webhook_num = $1 AND (valid_until_ts IS NULL OR valid_until_ts > $2) \
               ORDER BY num DESC";
    INSERT_SECRET = "INSERT INTO webhook_secrets (webhook_num, secret, created_ts) VALUES ($1, $2, $3)";
    END_SECRETS = "UPDATE webhook_secrets SET valid_until_ts = $2 WHERE webhook_num = $1 \
                   AND (valid_until_ts IS NULL OR valid_until_ts > $2)";
    DELETE_SECRETS = "DELETE FROM webhook_secrets WHERE webhook_num = $1";
    PRUNE_SECRETS = "DELETE FROM webhook_secrets WHERE valid_until_ts <= $1";
    /// The webhooks that something new concerns and that were not told.
    CONCERNED = not_told!("w.num", "h.pos > $1 AND h.pos <= $2 AND w.enabled = 1");
    /// The webhooks that were not told something from before a time.
    LATE = not_told!("w.name", "h.ts < $1");
    DEAD_LETTERS = "SELECT l.pos, h.kind, h.ts, l.failed_ts, l.reason FROM webhook_dead_letters l \
                    JOIN happenings h ON h.pos = l.pos WHERE l.webhook_num = $1 AND l.pos < $2 ORDER BY l.pos DESC LIMIT $3";
    DEAD_LETTER = "SELECT l.pos, h.kind, h.ts, l.failed_ts, l.reason FROM webhook_dead_letters l \
                   JOIN happenings h ON h.pos = l.pos WHERE l.webhook_num = $1 AND l.pos = $2";
    PUT_DEAD_LETTER = "INSERT INTO webhook_dead_letters (webhook_num, pos, failed_ts, reason) VALUES ($1, $2, $3, $4) \
                       ON CONFLICT (webhook_num, pos) DO UPDATE SET failed_ts = excluded.failed_ts, reason = excluded.reason";
    DROP_DEAD_LETTERS = "DELETE FROM webhook_dead_letters WHERE webhook_num = $1 AND pos <= \
                         (SELECT pos FROM webhook_dead_letters WHERE webhook_num = $1 ORDER BY pos DESC LIMIT 1 OFFSET $2)";
    DELETE_DEAD_LETTER = "DELETE FROM webhook_dead_letters WHERE webhook_num = $1 AND pos = $2";
    DELETE_DEAD_LETTERS = "DELETE FROM webhook_dead_letters WHERE webhook_num = $1";
}

/// The terms of a webhook: where it leads, and what it is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Terms {
    /// Its purpose, for people.
    pub description: String,
    /// The URL of the receiver.
    pub url: String,
    /// The kinds of happenings that it wants, in the order of [`HappeningKind`].
    pub kinds: Vec<HappeningKind>,
    /// False if nothing is sent.
    pub enabled: bool,
}

/// A webhook.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Webhook {
    /// Its number.
    pub num: WebhookNum,
    /// Its name, which never changes.
    pub name: String,
    /// Its terms.
    pub terms: Terms,
    /// The kind of the actor who created it.
    pub created_by_kind: ActorKind,
    /// The id of that actor among those of the kind.
    pub created_by: String,
    /// The time of its creation.
    pub created_ts: Millis,
}

impl Webhook {
    /// Returns its place in lists.
    pub fn sort_key(&self) -> SortKey<WebhookNum> {
        SortKey { ts: self.created_ts, id: self.num }
    }
}

/// A webhook without its kinds, which are in other rows.
fn from_row(row: &Row<'_>) -> Result<Webhook, DbError> {
    Ok(Webhook {
        num: row.get(0)?,
        name: row.get(1)?,
        terms: Terms { description: row.get(2)?, url: row.get(3)?, kinds: Vec::new(), enabled: row.get(4)? },
        created_by_kind: row.get(5)?,
        created_by: row.get(6)?,
        created_ts: row.get(7)?,
    })
}

/// Adds the kinds.
fn whole(tx: &ReadTx<'_>, mut webhook: Webhook) -> Result<Webhook, DbError> {
    let wanted: Vec<HappeningKind> = tx.query(&KINDS, &params![webhook.num], |row| row.get(0))?;
    let all = HappeningKind::WORDS.iter().map(|(_, kind)| *kind);
    webhook.terms.kinds = all.filter(|kind| wanted.contains(kind)).collect();
    Ok(webhook)
}

/// Returns the webhook of a name.
pub fn find(tx: &ReadTx<'_>, name: &str) -> Result<Option<Webhook>, DbError> {
    tx.query_opt(&FIND, &params![name], from_row)?.map(|webhook| whole(tx, webhook)).transpose()
}

/// Returns a webhook; [`DbError::NoRow`] if there is none.
pub fn by_num(tx: &ReadTx<'_>, num: WebhookNum) -> Result<Webhook, DbError> {
    whole(tx, tx.query_one(&BY_NUM, &params![num], from_row)?)
}

/// Returns webhooks before a key, the newest first.
pub fn list(tx: &ReadTx<'_>, before: &SortKey<WebhookNum>, limit: i64) -> Result<Vec<Webhook>, DbError> {
    let SortKey { ts, id } = before;
    let webhooks = tx.query(&LIST, &params![ts, id, limit], from_row)?;
    webhooks.into_iter().map(|webhook| whole(tx, webhook)).collect()
}

/// Returns the number of webhooks.
pub fn count(tx: &ReadTx<'_>) -> Result<i64, DbError> {
    tx.query_one(&COUNT, &params![], |row| row.get(0))
}

/// Returns the webhooks that are enabled.
pub fn enabled(tx: &ReadTx<'_>) -> Result<Vec<WebhookNum>, DbError> {
    tx.query(&ENABLED, &params![], |row| row.get(0))
}

/// Adds a webhook without a secret, which is told what comes after a position. Returns its number, or `None` if there is
/// one of this name.
pub fn insert(
    tx: &mut Tx<'_>,
    name: &str,
    terms: &Terms,
    created_by: &Actor,
    pos: Pos,
    now: Millis,
) -> Result<Option<WebhookNum>, DbError> {
    let (kind, id) = (created_by.kind(), created_by.id());
    let params = params![*name, terms.description, terms.url, terms.enabled, kind, *id, now];
    let Some(num) = tx.returning(&INSERT, &params, |row| row.get(0))?.pop() else { return Ok(None) };
    insert_kinds(tx, num, &terms.kinds)?;
    deliveries::put(tx, DeliveryKind::Webhook, num, pos, now)?;
    Ok(Some(num))
}

fn insert_kinds(tx: &mut Tx<'_>, num: WebhookNum, kinds: &[HappeningKind]) -> Result<(), DbError> {
    kinds.iter().try_for_each(|kind| tx.execute(&INSERT_KIND, &params![num, *kind]).map(|_| ()))
}

/// Changes the terms of a webhook.
pub fn update(tx: &mut Tx<'_>, num: WebhookNum, terms: &Terms) -> Result<(), DbError> {
    tx.execute(&UPDATE, &params![num, &terms.description, &terms.url, terms.enabled])?;
    tx.execute(&DELETE_KINDS, &params![num])?;
    insert_kinds(tx, num, &terms.kinds)
}

/// Disables a webhook.
pub fn disable(tx: &mut Tx<'_>, num: WebhookNum) -> Result<(), DbError> {
    tx.execute(&DISABLE, &params![num])?;
    Ok(())
}

/// Deletes a webhook with all that belongs to it.
pub fn delete(tx: &mut Tx<'_>, num: WebhookNum) -> Result<(), DbError> {
    tx.execute(&DELETE_KINDS, &params![num])?;
    tx.execute(&DELETE_DEAD_LETTERS, &params![num])?;
    delete_secrets(tx, num)?;
    tx.execute(&DELETE, &params![num])?;
    deliveries::delete(tx, DeliveryKind::Webhook, &[num])
}

/// Returns the valid secrets of a webhook, the newest first.
pub fn secrets(tx: &ReadTx<'_>, num: WebhookNum, now: Millis) -> Result<Vec<String>, DbError> {
    tx.query(&SECRETS, &params![num, now], |row| row.get(0))
}

/// Adds a secret of a webhook.
pub fn insert_secret(tx: &mut Tx<'_>, num: WebhookNum, secret: &str, now: Millis) -> Result<(), DbError> {
    tx.execute(&INSERT_SECRET, &params![num, *secret, now])?;
    Ok(())
}

/// Lets the secrets of a webhook end at a time, those that end earlier excepted.
pub fn end_secrets(tx: &mut Tx<'_>, num: WebhookNum, until: Millis) -> Result<(), DbError> {
    tx.execute(&END_SECRETS, &params![num, until])?;
    Ok(())
}

/// Deletes the secrets of a webhook.
pub fn delete_secrets(tx: &mut Tx<'_>, num: WebhookNum) -> Result<(), DbError> {
    tx.execute(&DELETE_SECRETS, &params![num])?;
    Ok(())
}

/// Deletes secrets that have ended.
pub fn prune_secrets(tx: &mut Tx<'_>, now: Millis) -> Result<(), DbError> {
    tx.execute(&PRUNE_SECRETS, &params![now])?;
    Ok(())
}

/// Returns the enabled webhooks that want a happening in a stretch of the stream and were not told it yet.
pub fn concerned(tx: &ReadTx<'_>, span: Span) -> Result<Vec<WebhookNum>, DbError> {
    tx.query(&CONCERNED, &params![span.after, span.upto], |row| row.get(0))
}

/// Returns the names of the webhooks that want a happening from before a time and were not told it yet.
pub fn late(tx: &ReadTx<'_>, before: Millis) -> Result<Vec<String>, DbError> {
    tx.query(&LATE, &params![before], |row| row.get(0))
}

/// A happening that a webhook was not told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadLetter {
    /// The position of the happening.
    pub pos: Pos,
    /// Its kind.
    pub kind: HappeningKind,
    /// Its time.
    pub ts: Millis,
    /// The time of the last try.
    pub failed_ts: Millis,
    /// The reason why that failed.
    pub reason: String,
}

fn dead_letter_row(row: &Row<'_>) -> Result<DeadLetter, DbError> {
    Ok(DeadLetter {
        pos: row.get(0)?,
        kind: row.get(1)?,
        ts: row.get(2)?,
        failed_ts: row.get(3)?,
        reason: row.get(4)?,
    })
}

/// Returns dead letters of a webhook before a position, the newest first.
pub fn dead_letters(
    tx: &ReadTx<'_>,
    num: WebhookNum,
    before: Pos,
    limit: i64,
) -> Result<Vec<DeadLetter>, DbError> {
    tx.query(&DEAD_LETTERS, &params![num, before, limit], dead_letter_row)
}

/// Returns the dead letter of a webhook about the happening at a position.
pub fn dead_letter(tx: &ReadTx<'_>, num: WebhookNum, pos: Pos) -> Result<Option<DeadLetter>, DbError> {
    tx.query_opt(&DEAD_LETTER, &params![num, pos], dead_letter_row)
}

/// Stores a dead letter. Of more than `most` of the webhook the oldest are dropped.
pub fn put_dead_letter(
    tx: &mut Tx<'_>,
    num: WebhookNum,
    pos: Pos,
    reason: &str,
    most: i64,
    now: Millis,
) -> Result<(), DbError> {
    tx.execute(&PUT_DEAD_LETTER, &params![num, pos, now, *reason])?;
    tx.execute(&DROP_DEAD_LETTERS, &params![num, most])?;
    Ok(())
}

/// Deletes a dead letter; returns true if it existed.
pub fn delete_dead_letter(tx: &mut Tx<'_>, num: WebhookNum, pos: Pos) -> Result<bool, DbError> {
    Ok(tx.execute(&DELETE_DEAD_LETTER, &params![num, pos])? > 0)
}
