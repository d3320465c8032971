//! The e-mail addresses and telephone numbers of all accounts, as one text of each kind, so that a substring is found by
//! one pass over memory. They are read when a selection first asks for one.

use std::collections::HashMap;

use memchr::memmem;
use reeve_db::{DbError, ReadTx, params};
use reeve_model::UserNum;

use super::bits::Bits;
use crate::sql::num_list;

/// The number of accounts with changed addresses after which the texts are made anew.
const REBUILD: usize = if cfg!(test) { 5 } else { 4096 };
/// The number of addresses that are read at a time.
const CHUNK: i64 = if cfg!(test) { 3 } else { 50_000 };
/// Separates addresses, none of which contains it.
const SEPARATOR: char = '\n';

reeve_db::statements! {
    ALL = "SELECT address, user_num FROM user_threepids WHERE medium = $1 AND address > $2 ORDER BY address LIMIT $3";
    OF = {
        sqlite: "SELECT user_num, medium, address FROM json_each($1) w JOIN user_threepids ON user_num = w.value",
        postgres: "SELECT user_num, medium, address FROM user_threepids \
                   WHERE user_num = ANY (CAST(CAST($1 AS TEXT) AS BIGINT[]))",
    };
}

/// The kind of an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Medium {
    Email,
    Phone,
}

impl Medium {
    const ALL: [Self; 2] = [Self::Email, Self::Phone];

    fn word(self) -> &'static str {
        match self {
            Self::Email => "email",
            Self::Phone => "msisdn",
        }
    }
}

/// The addresses of one account.
pub(crate) type Own = Vec<(Medium, String)>;

/// Returns the addresses of the accounts with some numbers; those without any are left out.
pub(crate) fn of(tx: &ReadTx<'_>, nums: &[UserNum]) -> Result<HashMap<u32, Own>, DbError> {
    let mut found: HashMap<u32, Own> = HashMap::new();
    tx.query(&OF, &params![num_list(tx.engine(), nums)], |row| {
        let word = row.text(1)?;
        if let Some(medium) = Medium::ALL.into_iter().find(|medium| medium.word() == word) {
            found.entry(row.get(0)?).or_default().push((medium, folded(row.text(2)?)));
        }
        Ok(())
    })?;
    Ok(found)
}

/// Returns an address as it is compared.
fn folded(address: &str) -> String {
    address.to_lowercase().replace(SEPARATOR, " ")
}

/// The addresses of one kind.
#[derive(Default)]
struct Texts {
    /// The addresses, each with a separator behind it.
    text: String,
    /// Where each begins, and whose it is.
    starts: Vec<(u32, u32)>,
}

impl Texts {
    fn push(&mut self, num: u32, address: &str) -> Result<(), DbError> {
        let start = u32::try_from(self.text.len());
        let start =
            start.map_err(|_| DbError::Internal("the addresses of all accounts are too long".to_owned()))?;
        self.starts.push((start, num));
        self.text.push_str(address);
        self.text.push(SEPARATOR);
        Ok(())
    }

    /// Visits the accounts with an address that contains a text.
    fn find(&self, text: &str, mut visit: impl FnMut(u32)) {
        if text.contains(SEPARATOR) {
            return;
        }
        let finder = memmem::Finder::new(text);
        let (mut from, mut at) = (0, 0);
        while let Some(hit) = self.text.as_bytes().get(from..).and_then(|rest| finder.find(rest)) {
            let hit = from + hit;
            // The addresses up to the one with the hit; it is near if many have one.
            at = ahead(&self.starts, at, |(start, _)| *start as usize <= hit);
            let Some((_, num)) = at.checked_sub(1).and_then(|found| self.starts.get(found)) else { return };
            visit(*num);
            let Some((next, _)) = self.starts.get(at) else { return };
            from = *next as usize;
        }
    }
}

/// Returns the first place from `from` on at which a condition, which holds up to some place, holds no more.
fn ahead<T>(items: &[T], from: usize, holds: impl Fn(&T) -> bool) -> usize {
    let mut step = 1;
    while items.get(from + step).is_some_and(&holds) {
        step *= 2;
    }
    let end = (from + step).min(items.len());
    from + items.get(from..end).unwrap_or_default().partition_point(&holds)
}

/// The addresses of all accounts.
#[derive(Default)]
pub(crate) struct Addresses {
    emails: Texts,
    phones: Texts,
    /// The accounts whose addresses changed since the texts were made, with the present ones.
    changed: HashMap<u32, Own>,
}

impl Addresses {
    pub(crate) fn load(tx: &ReadTx<'_>) -> Result<Self, DbError> {
        let mut addresses = Self::default();
        for medium in Medium::ALL {
            let mut last = String::new();
            loop {
                let from = std::mem::take(&mut last);
                let texts = addresses.of_mut(medium);
                tx.query(&ALL, &params![medium.word(), from, CHUNK], |row| {
                    last.clear();
                    last.push_str(row.text(0)?);
                    texts.push(row.get(1)?, &folded(&last))
                })?;
                if last.is_empty() {
                    texts.text.shrink_to_fit();
                    texts.starts.shrink_to_fit();
                    break;
                }
            }
        }
        Ok(addresses)
    }

    fn of(&self, medium: Medium) -> &Texts {
        match medium {
            Medium::Email => &self.emails,
            Medium::Phone => &self.phones,
        }
    }

    fn of_mut(&mut self, medium: Medium) -> &mut Texts {
        match medium {
            Medium::Email => &mut self.emails,
            Medium::Phone => &mut self.phones,
        }
    }

    /// Replaces the addresses of an account.
    pub(crate) fn put(&mut self, num: u32, own: Own) {
        self.changed.insert(num, own);
    }

    /// Makes the texts anew, if many accounts have changed since.
    pub(crate) fn settle(&mut self) -> Result<(), DbError> {
        if self.changed.len() <= REBUILD {
            return Ok(());
        }
        let changed = std::mem::take(&mut self.changed);
        for medium in Medium::ALL {
            let former = std::mem::take(self.of_mut(medium));
            let texts = self.of_mut(medium);
            for ((_, num), address) in former.starts.iter().zip(former.text.split_terminator(SEPARATOR)) {
                if !changed.contains_key(num) {
                    texts.push(*num, address)?;
                }
            }
            for (num, own) in &changed {
                for (_, address) in own.iter().filter(|(of, _)| *of == medium) {
                    texts.push(*num, address)?;
                }
            }
        }
        Ok(())
    }

    /// Returns the accounts with an address that contains a text.
    pub(crate) fn find(&self, medium: Medium, text: &str, len: usize) -> Bits {
        let mut found = Bits::new(len);
        self.of(medium).find(text, |num| found.set(num, true));
        for (num, own) in &self.changed {
            found.set(*num, contains(own, medium, text));
        }
        found
    }
}

/// Returns true if one of the addresses of an account contains a text.
pub(crate) fn contains(own: &Own, medium: Medium, text: &str) -> bool {
    own.iter().any(|(of, address)| *of == medium && address.contains(text))
}
