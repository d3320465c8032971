//! The list of rooms: every order, every filter, search, pages at any offset, exact totals.
//!
//! Totals are kept by class (`rooms.list_class`). There is one index for each order, in which alone a page is found,
//! from the nearer end. If a filter or a search leaves few rooms, these are read and sorted here.

use std::cmp::Ordering;
use std::collections::HashMap;

use reeve_db::{DbError, ReadTx, Statement, Tx, params};
use reeve_model::RoomNum;

use super::ngrams::{self, Index, Limit, SEPARATOR, fold};
use crate::paging::{Paging, count_of};
use crate::room::{Room, columns, from_row};
use crate::sql::num_list;

/// The maximum number of rooms that are sorted here; more are read in the order of an index.
const MAX_SORTED: i64 = 10_000;
/// The index of the n-grams of room names.
const INDEX: Index = Index { table: "room_search", postings: &POSTINGS };
/// The length of the part of a text by which rooms are sorted, in characters.
const MAX_SORTED_BY: usize = 250;
/// The length of the part of a name or alias that is searched, in characters.
const MAX_SEARCHED: usize = 500;

reeve_db::statements! {
    COUNTS = "SELECT list_class, CAST(sum(n) AS BIGINT) FROM room_list_counts GROUP BY list_class";
    ADD = "INSERT INTO room_list_counts (list_class, lane, n) VALUES ($1, $2, $3) \
           ON CONFLICT (list_class, lane) DO UPDATE SET n = room_list_counts.n + excluded.n";
    SET_KEYS = "UPDATE rooms SET list_class = $2, search_key = $3, sort_name = $4, sort_alias = $5, \
                sort_encryption = $6, sort_join_rule = $7, sort_guest_access = $8, \
                sort_history_visibility = $9 WHERE num = $1";
    ADD_TO_INDEX = {
        sqlite: "INSERT INTO room_search (rowid, grams) VALUES ($1, $2)",
        postgres: "INSERT INTO room_search (num, grams) VALUES ($1, CAST(CAST($2 AS TEXT) AS INTEGER[]))",
    };
    REMOVE_FROM_INDEX = {
        sqlite: "DELETE FROM room_search WHERE rowid = $1",
        postgres: "DELETE FROM room_search WHERE num = $1",
    };
    /// The rooms that have all n-grams.
    POSTINGS = {
        sqlite: "SELECT rowid FROM room_search WHERE room_search MATCH $1 LIMIT $2",
        postgres: "SELECT num FROM room_search WHERE grams @> CAST(CAST($1 AS TEXT) AS INTEGER[]) LIMIT $2",
    };
    /// `$1`: the numbers, in the form of [`num_list`].
    BY_NUMS = {
        sqlite: concat!("SELECT ", columns!(), " FROM json_each($1) AS wanted CROSS JOIN rooms ON num = wanted.value"),
        postgres: concat!("SELECT ", columns!(), " FROM rooms WHERE num = ANY (CAST(CAST($1 AS TEXT) AS BIGINT[]))"),
    };
    /// `$1` and `$2` as above, then the term and an id.
    MATCHES = {
        sqlite: concat!("SELECT ", columns!(), " FROM rooms WHERE (num IN (SELECT value FROM json_each($1)) \
                         AND instr(search_key, $2) > 0) OR room_id = $3"),
        postgres: concat!("SELECT ", columns!(), " FROM rooms \
                           WHERE (num = ANY (CAST(CAST($1 AS TEXT) AS BIGINT[])) AND instr(search_key, $2) > 0) \
                           OR room_id = $3"),
    };
    OF_CLASSES = concat!("SELECT ", columns!(), " FROM rooms WHERE list_class IN ($1, $2, $3, $4)");
    COUNT_FOUND = "SELECT count(*) FROM rooms WHERE +list_class IN ($1, $2, $3, $4) \
                   AND (instr(search_key, $5) > 0 OR room_id = $6)";
}

/// The statements of one order: pages of all rooms, and of those that a search finds.
struct Pages {
    up: &'static Statement,
    down: &'static Statement,
    found_up: &'static Statement,
    found_down: &'static Statement,
}

macro_rules! orders {
    ($($order:ident $module:ident: $column:literal, $compare:expr;)*) => {
        /// The sort key of the list. Ties are sorted by id; rooms without a value come last.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[expect(missing_docs, reason = "each is named after what it sorts by")]
        pub enum OrderBy {
            $($order,)*
        }

        $(
            mod $module {
                reeve_db::statements! {
                    pub(super) UP = concat!("SELECT num FROM rooms WHERE +list_class IN ($1, $2, $3, $4) \
                                  ORDER BY ", $column, ", room_id LIMIT $5 OFFSET $6");
                    pub(super) DOWN = concat!("SELECT num FROM rooms WHERE +list_class IN ($1, $2, $3, $4) \
                                    ORDER BY ", $column, " DESC, room_id DESC LIMIT $5 OFFSET $6");
                    pub(super) FOUND_UP = concat!("SELECT num FROM rooms WHERE +list_class IN ($1, $2, $3, $4) \
                                        AND (instr(search_key, $7) > 0 OR room_id = $8) \
                                        ORDER BY ", $column, ", room_id LIMIT $5 OFFSET $6");
                    pub(super) FOUND_DOWN = concat!("SELECT num FROM rooms WHERE +list_class IN ($1, $2, $3, $4) \
                                          AND (instr(search_key, $7) > 0 OR room_id = $8) \
                                          ORDER BY ", $column, " DESC, room_id DESC LIMIT $5 OFFSET $6");
                }
            }
        )*

        /// The statements of each order.
        pub(super) const PAGES: &[&[&Statement]] = &[$($module::STATEMENTS),*];

        impl OrderBy {
            fn pages(self) -> Pages {
                match self {
                    $(Self::$order => Pages {
                        up: &$module::UP,
                        down: &$module::DOWN,
                        found_up: &$module::FOUND_UP,
                        found_down: &$module::FOUND_DOWN,
                    },)*
                }
            }

            /// Returns the comparison of two rooms by the sort key, ascending.
            fn by_value(self) -> fn(&Room, &Room) -> Ordering {
                match self {
                    $(Self::$order => $compare,)*
                }
            }
        }
    };
}

// A row: the column by which the database sorts, and the same for rooms that are sorted here.
orders! {
    Name name: "sort_name", |a, b| texts(a.name.as_ref(), b.name.as_ref());
    CanonicalAlias canonical_alias: "sort_alias", |a, b| texts(a.canonical_alias.as_ref(), b.canonical_alias.as_ref());
    Encryption encryption: "sort_encryption", |a, b| texts(a.encryption.as_ref(), b.encryption.as_ref());
    JoinRule join_rule: "sort_join_rule", |a, b| texts(a.join_rule.as_ref(), b.join_rule.as_ref());
    GuestAccess guest_access: "sort_guest_access", |a, b| texts(a.guest_access.as_ref(), b.guest_access.as_ref());
    HistoryVisibility history_visibility: "sort_history_visibility",
        |a, b| texts(a.history_visibility.as_ref(), b.history_visibility.as_ref());
    JoinedMembers joined_members: "joined_members", |a, b| a.joined_members.cmp(&b.joined_members);
    Version version: "version", |a, b| a.version.cmp(&b.version);
    Creator creator: "creator", |a, b| a.creator.cmp(&b.creator);
    Federatable federatable: "federatable", |a, b| a.federatable.cmp(&b.federatable);
    Published published: "published", |a, b| a.published.cmp(&b.published);
    StateEvents state_events: "state_events", |a, b| a.state_events.cmp(&b.state_events);
}

fn texts(a: Option<&String>, b: Option<&String>) -> Ordering {
    sort_key(a).cmp(&sort_key(b))
}

impl OrderBy {
    /// Returns the statement of this order, for all rooms or for those that a search finds.
    fn statement(self, descending: bool, search: bool) -> &'static Statement {
        let pages = self.pages();
        match (descending, search) {
            (false, false) => pages.up,
            (true, false) => pages.down,
            (false, true) => pages.found_up,
            (true, true) => pages.found_down,
        }
    }

    /// Compares two rooms in this order, ascending.
    fn compare(self, a: &Room, b: &Room) -> Ordering {
        self.by_value()(a, b).then_with(|| a.room_id.cmp(&b.room_id))
    }
}

/// The rooms to list.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Only those that are, or are not, in the public room directory.
    pub published: Option<bool>,
    /// Only those in which nobody, or somebody, has joined.
    pub empty: Option<bool>,
    /// Only rooms with this text in their name or the local part of their main alias, in any case, and the room with
    /// this id.
    pub term: Option<String>,
}

/// A page of the list.
#[derive(Debug)]
pub struct Page {
    /// Its rooms.
    pub rooms: Vec<Room>,
    /// The number of rooms that the filter accepts.
    pub total: i64,
}

fn class(published: bool, joined_members: i64) -> i64 {
    i64::from(published) * 2 + i64::from(joined_members > 0)
}

impl Filter {
    /// Returns the accepted classes of rooms, and -1 in the place of each other class.
    fn classes(&self) -> [i64; 4] {
        [0, 1, 2, 3].map(|class| {
            let published = self.published.is_none_or(|wanted| wanted == (class >= 2));
            let empty = self.empty.is_none_or(|wanted| wanted == (class % 2 == 0));
            if published && empty { class } else { -1 }
        })
    }
}

/// Returns a page of rooms from an offset on.
pub fn page(
    tx: &ReadTx<'_>,
    filter: &Filter,
    order_by: OrderBy,
    descending: bool,
    paging: Paging,
) -> Result<Page, DbError> {
    let classes = filter.classes();
    let counts = tx.query(&COUNTS, &params![], |row| Ok((row.get::<i64>(0)?, row.get::<i64>(1)?)))?;
    let total = counts.iter().filter(|(class, _)| classes.contains(class)).map(|(_, n)| n).sum::<i64>();
    if let Some(term) = &filter.term {
        return search(tx, term, classes, order_by, descending, paging);
    }
    if classes.contains(&-1) && total <= MAX_SORTED {
        let [a, b, c, d] = classes;
        let found = tx.query(&OF_CLASSES, &params![a, b, c, d], from_row)?;
        return Ok(cut(found, order_by, descending, paging));
    }
    // The page is read from the nearer end.
    let Paging { from, limit } = paging;
    let limit = limit.min(total.saturating_sub(from)).max(0);
    let backwards = from > total / 2;
    let offset = if backwards { total - from - limit } else { from };
    let [a, b, c, d] = classes;
    let statement = order_by.statement(descending != backwards, false);
    let mut nums = if limit == 0 {
        Vec::new()
    } else {
        tx.query(statement, &params![a, b, c, d, limit, offset], |row| row.get(0))?
    };
    if backwards {
        nums.reverse();
    }
    Ok(Page { rooms: by_nums(tx, &nums)?, total })
}

fn search(
    tx: &ReadTx<'_>,
    term: &str,
    classes: [i64; 4],
    order_by: OrderBy,
    descending: bool,
    paging: Paging,
) -> Result<Page, DbError> {
    let folded = fold(term);
    let limit = Limit { max: MAX_SORTED + 1, of: MAX_SORTED };
    let nums: Vec<RoomNum> = ngrams::postings(tx, INDEX, &folded, limit)?.unwrap_or_default();
    if count_of(&nums) <= MAX_SORTED {
        let list = num_list(tx.engine(), &nums);
        let mut found = tx.query(&MATCHES, &params![&list, &folded, term], from_row)?;
        found.retain(|room| classes.contains(&class(room.published, room.joined_members)));
        return Ok(cut(found, order_by, descending, paging));
    }
    let [a, b, c, d] = classes;
    let total = tx.query_one(&COUNT_FOUND, &params![a, b, c, d, &folded, term], |row| row.get(0))?;
    let statement = order_by.statement(descending, true);
    let Paging { from, limit } = paging;
    let nums =
        tx.query(statement, &params![a, b, c, d, limit, from, &folded, term], |row| row.get::<RoomNum>(0))?;
    Ok(Page { rooms: by_nums(tx, &nums)?, total })
}

/// Sorts rooms and takes a page of them.
fn cut(mut rooms: Vec<Room>, order_by: OrderBy, descending: bool, paging: Paging) -> Page {
    rooms.sort_by(|a, b| order_by.compare(a, b));
    if descending {
        rooms.reverse();
    }
    let total = count_of(&rooms);
    Page { rooms: paging.of(rooms), total }
}

/// Returns the rooms with these numbers, in this order. Unknown numbers are left out.
pub fn by_nums(tx: &ReadTx<'_>, nums: &[RoomNum]) -> Result<Vec<Room>, DbError> {
    if nums.is_empty() {
        return Ok(Vec::new());
    }
    let mut found = tx.query(&BY_NUMS, &params![&num_list(tx.engine(), nums)], from_row)?;
    let place: HashMap<RoomNum, usize> = nums.iter().enumerate().map(|(place, num)| (*num, place)).collect();
    found.sort_by_key(|room| place.get(&room.num).copied());
    Ok(found)
}

fn count(tx: &mut Tx<'_>, class: i64, by: i64) -> Result<(), DbError> {
    let lane = tx.lane();
    tx.execute(&ADD, &params![class, lane, by])?;
    Ok(())
}

/// Returns the sort key of a value. A missing value comes last.
fn sort_key(text: Option<&String>) -> String {
    match text {
        Some(text) => std::iter::once('a').chain(text.chars().take(MAX_SORTED_BY)).collect(),
        None => "b".to_owned(),
    }
}

/// Returns the text that searches compare.
fn search_key(room: &Room) -> String {
    let part =
        |text: &str| -> String { text.chars().filter(|c| *c != SEPARATOR).take(MAX_SEARCHED).collect() };
    let name = room.name.as_deref().unwrap_or_default();
    let alias = room.canonical_alias.as_deref().and_then(|alias| alias.strip_prefix('#')?.split(':').next());
    format!("{}{SEPARATOR}{}", fold(&part(name)), fold(&part(alias.unwrap_or_default())))
}

/// The columns by which rooms are listed.
#[derive(PartialEq, Eq)]
struct Keys {
    class: i64,
    search: String,
    sort: [String; 6],
}

impl Keys {
    fn of(room: &Room) -> Self {
        let sorted_by = [
            &room.name,
            &room.canonical_alias,
            &room.encryption,
            &room.join_rule,
            &room.guest_access,
            &room.history_visibility,
        ];
        Self {
            class: class(room.published, room.joined_members),
            search: search_key(room),
            sort: sorted_by.map(|text| sort_key(text.as_ref())),
        }
    }
}

/// Counts a new room, which is empty.
pub(crate) fn appeared(tx: &mut Tx<'_>) -> Result<(), DbError> {
    count(tx, class(false, 0), 1)
}

/// Updates the columns and counts of lists after a change.
pub(crate) fn changed(tx: &mut Tx<'_>, before: &Room, after: &Room) -> Result<(), DbError> {
    let (old, new) = (Keys::of(before), Keys::of(after));
    if old == new {
        return Ok(());
    }
    let [name, alias, encryption, join_rule, guest_access, visibility] = &new.sort;
    tx.execute(
        &SET_KEYS,
        &params![
            after.num,
            new.class,
            &new.search,
            name,
            alias,
            encryption,
            join_rule,
            guest_access,
            visibility
        ],
    )?;
    if old.class != new.class {
        count(tx, old.class, -1)?;
        count(tx, new.class, 1)?;
    }
    if old.search != new.search {
        tx.execute(&REMOVE_FROM_INDEX, &params![after.num])?;
        let document = ngrams::document(tx.engine(), &new.search);
        tx.execute(&ADD_TO_INDEX, &params![after.num, &document])?;
    }
    Ok(())
}

/// Subtracts a room from the counts.
pub(crate) fn vanished(tx: &mut Tx<'_>, room: &Room) -> Result<(), DbError> {
    count(tx, class(room.published, room.joined_members), -1)?;
    tx.execute(&REMOVE_FROM_INDEX, &params![room.num])?;
    Ok(())
}
