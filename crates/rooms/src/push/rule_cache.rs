//! Push rules that were read before. They are looked at with each event in a room, and change seldom.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use reeve_db::{DbError, ReadTx};
use reeve_model::{Pos, RoomNum, UserNum};
use reeve_store::{account_data, notifications};
use ruma::UserId;
use ruma::push::Ruleset;

use super::{DATA_TYPE, parse};
use crate::error::Error;

/// How many bytes of rules are kept, as they are stored.
const MAX_BYTES: usize = 16 << 20;

/// Parsed rules by account, with the position in the stream since which they are so: other rules have another one.
#[derive(Debug, Default)]
pub struct PushRuleCache(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    by_user: HashMap<UserNum, (Pos, Arc<Ruleset>)>,
    bytes: usize,
}

impl PushRuleCache {
    fn find(&self, user_num: UserNum, pos: Pos) -> Option<Arc<Ruleset>> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.by_user.get(&user_num).filter(|(since, _)| *since == pos).map(|(_, rules)| Arc::clone(rules))
    }

    fn keep(&self, user_num: UserNum, pos: Pos, rules: &Arc<Ruleset>, bytes: usize) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.bytes += bytes;
        if kept.bytes > MAX_BYTES {
            *kept = Kept { bytes, ..Kept::default() };
        }
        kept.by_user.insert(user_num, (pos, Arc::clone(rules)));
    }

    /// The rules of those members of a room who have their own, by user id. Rules that cannot be read are none.
    pub(super) fn of_members(
        &self,
        tx: &ReadTx<'_>,
        room_num: RoomNum,
    ) -> Result<Vec<(String, Arc<Ruleset>)>, Error> {
        let members = notifications::members_with_rules(tx, room_num)?;
        let mut found = Vec::with_capacity(members.len());
        for member in members {
            let rules = match self.find(member.user_num, member.pos) {
                Some(rules) => rules,
                None => self.read(tx, member.user_num, &member.user_id, member.pos)?,
            };
            found.push((member.user_id, rules));
        }
        Ok(found)
    }

    fn read(
        &self,
        tx: &ReadTx<'_>,
        user_num: UserNum,
        user_id: &str,
        pos: Pos,
    ) -> Result<Arc<Ruleset>, DbError> {
        let stored = account_data::find(tx, user_num, "", DATA_TYPE)?.unwrap_or_default();
        let parsed = UserId::parse(user_id).ok().and_then(|user_id| parse(&stored, &user_id));
        let rules = Arc::new(parsed.unwrap_or_default());
        self.keep(user_num, pos, &rules, stored.len());
        Ok(rules)
    }
}
