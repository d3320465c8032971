//! The facts of all accounts by which selections are made: a packed column for each, by the number of the account.

use std::collections::{HashMap, HashSet};

use reeve_db::{DbError, ReadTx, Row, params};
use reeve_model::{BuiltInRole, UserNum};

use super::bits::Bits;
use crate::lists::users::Flag;
use crate::sql::num_list;

/// The value of a time, or of a display name, that an account does not have.
pub(crate) const NEVER: i64 = i64::MIN;
/// The number of bytes at the beginning of a display name by which accounts are sorted first.
const BEGINNING: usize = 8;

/// Makes [`Traits`], with a text for each of these columns of `users`.
macro_rules! words {
    ($($(#[$doc:meta])* $column:ident;)*) => {
        /// The facts that accounts have in common with many others. Equal traits are stored once.
        #[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
        pub(crate) struct Traits {
            /// A bit for each of [`FLAGS`], the first the lowest, and for each of the other flags.
            flags: u32,
            /// The identity providers at which it has ids, sorted.
            pub(crate) providers: Vec<String>,
            $($(#[$doc])* pub(crate) $column: Option<String>,)*
        }

        /// The columns, each after a comma.
        macro_rules! word_columns {
            () => { concat!($(", u.", stringify!($column)),*) };
        }

        impl Traits {
            /// Reads the columns behind the first [`NUMBERS`].
            fn read(row: &Row<'_>) -> Result<Self, DbError> {
                let mut columns = NUMBERS..;
                let mut next = || columns.next().unwrap_or_default();
                Ok(Self { flags: row.get(1)?, providers: Vec::new(), $($column: text(row, next())?),* })
            }
        }
    };
}

words! {
    /// The type; `None` for an ordinary account.
    user_type;
    /// The application service that registered it.
    appservice_id;
    /// The role, where that is another one than owner.
    role;
}

/// The flags by which lists are sorted, in the order of their bits.
const FLAGS: [Flag; 5] = [Flag::IsGuest, Flag::Admin, Flag::Deactivated, Flag::Locked, Flag::ShadowBanned];
/// The bits of the other flags.
const SUSPENDED: u32 = 1 << 5;
const ERASED: u32 = 1 << 6;
const HAS_DEVICES: u32 = 1 << 7;
const PASSWORD_CHANGE: u32 = 1 << 8;
/// The number of columns of facts before the words.
const NUMBERS: usize = 6;

/// The facts of accounts `u`: the number, the flags, times, the size of uploads, the display name, and words.
macro_rules! facts {
    ($device_flag:literal, $media:literal, $rest:literal) => {
        concat!(
            "SELECT u.num, u.is_guest + u.admin * 2 + u.deactivated * 4 + u.locked * 8 + u.shadow_banned * 16 \
             + u.suspended * 32 + u.erased * 64 + u.password_change_required * 256 + ",
            $device_flag,
            ", u.created_ts, u.last_seen_ts, ",
            $media,
            ", u.displayname",
            word_columns!(),
            " FROM ",
            $rest
        )
    };
}
/// The same, with what other tables have of them.
macro_rules! whole_facts {
    ($rest:literal) => {
        facts!(
            "CASE WHEN EXISTS (SELECT 1 FROM devices d WHERE d.user_num = u.num) THEN 128 ELSE 0 END",
            "coalesce((SELECT m.media_length FROM media_users m WHERE m.user_num = u.num), 0)",
            $rest
        )
    };
}

reeve_db::statements! {
    /// The accounts with some numbers, in the form of [`num_list`].
    OF = {
        sqlite: whole_facts!("json_each($1) w CROSS JOIN users u ON u.num = w.value"),
        postgres: whole_facts!("users u WHERE u.num = ANY (CAST(CAST($1 AS TEXT) AS BIGINT[]))"),
    };
    /// The accounts after a number, up to another, and what other tables have of them.
    BETWEEN = facts!("0", "0", "users u WHERE u.num > $1 AND u.num <= $2");
    WITH_DEVICES_BETWEEN = "SELECT DISTINCT user_num FROM devices WHERE user_num > $1 AND user_num <= $2";
    MEDIA_BETWEEN = "SELECT user_num, media_length FROM media_users WHERE user_num > $1 AND user_num <= $2";
    PROVIDERS_OF = {
        sqlite: "SELECT user_num, auth_provider FROM json_each($1) w JOIN user_external_ids ON user_num = w.value",
        postgres: "SELECT user_num, auth_provider FROM user_external_ids \
                   WHERE user_num = ANY (CAST(CAST($1 AS TEXT) AS BIGINT[]))",
    };
    PROVIDERS_BETWEEN = "SELECT user_num, auth_provider FROM user_external_ids WHERE user_num > $1 AND user_num <= $2";
}

fn text(row: &Row<'_>, index: usize) -> Result<Option<String>, DbError> {
    Ok(row.get::<Option<String>>(index)?.filter(|text| !text.is_empty()))
}

impl Traits {
    /// Returns true if a flag is set.
    pub(crate) fn has(&self, flag: Flag) -> bool {
        FLAGS.iter().position(|known| *known == flag).is_some_and(|bit| self.flags >> bit & 1 == 1)
    }

    /// Returns the name of the role.
    pub(crate) fn role(&self) -> Option<&str> {
        if self.has(Flag::Admin) { Some(BuiltInRole::Owner.as_str()) } else { self.role.as_deref() }
    }

    pub(crate) fn suspended(&self) -> bool {
        self.flags & SUSPENDED != 0
    }

    pub(crate) fn erased(&self) -> bool {
        self.flags & ERASED != 0
    }

    pub(crate) fn must_change_password(&self) -> bool {
        self.flags & PASSWORD_CHANGE != 0
    }

    pub(crate) fn has_devices(&self) -> bool {
        self.flags & HAS_DEVICES != 0
    }
}

/// The facts of one account.
#[derive(Clone, Debug)]
pub(crate) struct Facts {
    pub(crate) traits: Traits,
    pub(crate) created: i64,
    /// The time; [`NEVER`] if it was not seen.
    pub(crate) last_seen: i64,
    pub(crate) media: i64,
    /// The [`beginning`] of the display name.
    pub(crate) displayname: i64,
}

/// Returns a number that does not descend where display names ascend; [`NEVER`] for none.
pub(crate) fn beginning(displayname: Option<&str>) -> i64 {
    let Some(text) = displayname else { return NEVER };
    let mut first = [0; BEGINNING];
    for (to, byte) in first.iter_mut().zip(text.bytes()) {
        *to = byte;
    }
    // One bit makes room for the sign.
    (u64::from_be_bytes(first) >> 1).cast_signed()
}

impl Facts {
    fn read(row: &Row<'_>) -> Result<Self, DbError> {
        Ok(Self {
            traits: Traits::read(row)?,
            created: row.get(2)?,
            last_seen: row.get::<Option<i64>>(3)?.unwrap_or(NEVER),
            media: row.get(4)?,
            displayname: beginning(row.get::<Option<String>>(5)?.as_deref()),
        })
    }
}

/// A number of accounts by which they are sorted.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Measure {
    Created,
    LastSeen,
    /// The beginning of the display name.
    Displayname,
}

impl Measure {
    pub(crate) fn of_facts(self, facts: &Facts) -> i64 {
        match self {
            Self::Created => facts.created,
            Self::LastSeen => facts.last_seen,
            Self::Displayname => facts.displayname,
        }
    }

    pub(crate) fn of_columns(self, columns: &Columns) -> &[i64] {
        match self {
            Self::Created => &columns.created,
            Self::LastSeen => &columns.last_seen,
            Self::Displayname => &columns.displayname,
        }
    }
}

/// Returns the facts of the accounts with some numbers, as far as there are such.
pub(crate) fn facts(tx: &ReadTx<'_>, nums: &[UserNum]) -> Result<HashMap<u32, Facts>, DbError> {
    let list = num_list(tx.engine(), nums);
    let mut facts = HashMap::new();
    tx.query(&OF, &params![list], |row| {
        facts.insert(row.get(0)?, Facts::read(row)?);
        Ok(())
    })?;
    tx.query(&PROVIDERS_OF, &params![list], |row| {
        if let Some(facts) = facts.get_mut(&row.get(0)?) {
            facts.traits.providers.push(row.get(1)?);
        }
        Ok(())
    })?;
    for facts in facts.values_mut() {
        facts.traits.providers.sort_unstable();
        facts.traits.providers.dedup();
    }
    Ok(facts)
}

/// The columns. The place of an account in each is its number.
#[derive(Default)]
pub(crate) struct Columns {
    /// The index of its traits; 0 where there is no account.
    pub(crate) traits: Vec<u32>,
    pub(crate) created: Vec<i64>,
    pub(crate) last_seen: Vec<i64>,
    pub(crate) media: Vec<i64>,
    pub(crate) displayname: Vec<i64>,
    /// All traits; the first stands for no account.
    pub(crate) known: Vec<Traits>,
    indexes: HashMap<Traits, u32>,
}

impl Columns {
    /// Returns columns for the numbers up to `highest`, without accounts.
    pub(crate) fn new(highest: UserNum) -> Self {
        let len = usize::try_from(highest.get()).unwrap_or_default().saturating_add(1);
        let mut columns = Self { known: vec![Traits::default()], ..Self::default() };
        columns.grow(len);
        columns
    }

    fn grow(&mut self, len: usize) {
        self.traits.resize(len, 0);
        self.created.resize(len, 0);
        self.last_seen.resize(len, NEVER);
        self.media.resize(len, 0);
        self.displayname.resize(len, NEVER);
    }

    /// Reads the accounts after a number, up to another.
    pub(crate) fn load(&mut self, tx: &ReadTx<'_>, after: i64, upto: i64) -> Result<(), DbError> {
        let range = params![after, upto];
        let with_devices = tx.query(&WITH_DEVICES_BETWEEN, &range, |row| row.get(0))?;
        let with_devices: HashSet<u32> = with_devices.into_iter().collect();
        let media = tx.query(&MEDIA_BETWEEN, &range, |row| Ok((row.get(0)?, row.get(1)?)))?;
        let media: HashMap<u32, i64> = media.into_iter().collect();
        let mut providers: HashMap<u32, Vec<String>> = HashMap::new();
        tx.query(&PROVIDERS_BETWEEN, &range, |row| {
            providers.entry(row.get(0)?).or_default().push(row.get(1)?);
            Ok(())
        })?;
        tx.query(&BETWEEN, &range, |row| {
            let (num, mut facts) = (row.get(0)?, Facts::read(row)?);
            facts.media = media.get(&num).copied().unwrap_or_default();
            if with_devices.contains(&num) {
                facts.traits.flags |= HAS_DEVICES;
            }
            if let Some(mut providers) = providers.remove(&num) {
                providers.sort_unstable();
                providers.dedup();
                facts.traits.providers = providers;
            }
            self.put(num, facts);
            Ok(())
        })?;
        Ok(())
    }

    /// Returns true if there is an account with a number.
    pub(crate) fn has(&self, num: u32) -> bool {
        self.traits.get(num as usize).is_some_and(|traits| *traits != 0)
    }

    /// Adds an account, or replaces its facts.
    pub(crate) fn put(&mut self, num: u32, facts: Facts) {
        let at = num as usize;
        if at >= self.traits.len() {
            self.grow(at + 1);
        }
        let Facts { traits, created, last_seen, media, displayname } = facts;
        let traits = self.index(traits);
        put(&mut self.traits, at, traits);
        put(&mut self.created, at, created);
        put(&mut self.last_seen, at, last_seen);
        put(&mut self.media, at, media);
        put(&mut self.displayname, at, displayname);
    }

    /// Returns the index of traits, which are added unless they are known.
    fn index(&mut self, traits: Traits) -> u32 {
        if let Some(index) = self.indexes.get(&traits) {
            return *index;
        }
        let index = u32::try_from(self.known.len()).unwrap_or(u32::MAX);
        self.known.push(traits.clone());
        self.indexes.insert(traits, index);
        index
    }

    /// Returns the accounts whose traits are among some, by index.
    pub(crate) fn with_traits(&self, admitted: &[bool]) -> Bits {
        Bits::of(&self.traits, |index: u32| admitted.get(index as usize).copied().unwrap_or(false))
    }
}

fn put<T>(column: &mut [T], at: usize, value: T) {
    if let Some(place) = column.get_mut(at) {
        *place = value;
    }
}

/// The number of an account as columns have it.
pub(crate) fn short(num: UserNum) -> Result<u32, DbError> {
    let short = u32::try_from(num.get()).ok().filter(|num| *num <= super::names::MAX);
    short.ok_or_else(|| DbError::Internal(format!("the number of account {num} is too large")))
}

/// The number of an account from its form in columns.
pub(crate) fn long(num: u32) -> UserNum {
    UserNum::new(i64::from(num))
}
