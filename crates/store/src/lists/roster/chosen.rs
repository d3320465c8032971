//! Sets of accounts that were chosen, for all who act on them in several transactions.

use reeve_db::DbError;
use reeve_model::UserNum;

use super::bits::Bits;
use super::columns::{long, short};

/// The accounts of a selection as one snapshot saw them, in a bit for each account of the server.
#[derive(Clone, Debug, Default)]
pub struct Chosen(pub(super) Bits);

impl Chosen {
    /// Returns the set of some accounts.
    pub fn of(nums: &[UserNum]) -> Result<Self, DbError> {
        let mut set = Bits::default();
        for num in nums {
            set.set(short(*num)?, true);
        }
        Ok(Self(set))
    }

    /// Returns the number of accounts.
    pub fn count(&self) -> i64 {
        i64::try_from(self.0.count()).unwrap_or(i64::MAX)
    }

    /// Returns true if an account is in the set.
    pub fn has(&self, num: UserNum) -> bool {
        short(num).is_ok_and(|num| self.0.has(num))
    }

    /// Returns the accounts, by number.
    pub fn nums(&self) -> impl Iterator<Item = UserNum> {
        self.0.iter().map(long)
    }
}
