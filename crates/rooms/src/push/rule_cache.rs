//! A cache of parsed push rules. They are evaluated with each event in a room, and change seldom.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use reeve_db::{DbError, Tx};
use reeve_model::{Pos, RoomNum, UserNum};
use reeve_store::notifications::MemberWithRules;
use reeve_store::{account_data, notifications};
use ruma::UserId;
use ruma::push::Ruleset;

use super::{DATA_TYPE, parse};
use crate::error::Error;

/// The maximum size of the cache, in bytes of rules as they are stored.
const MAX_BYTES: usize = 16 << 20;

/// Parsed rules by account. Clones share them.
///
/// An entry is added after the commit of the transaction that read the rules: a position that was rolled back may be
/// given to other rules.
#[derive(Clone, Debug, Default)]
pub struct PushRuleCache(Arc<Mutex<Entries>>);

#[derive(Debug, Default)]
struct Entries {
    by_user: HashMap<UserNum, Entry>,
    bytes: usize,
}

#[derive(Debug)]
struct Entry {
    /// The position in the stream at which the rules were set. Other rules of the account have another one.
    pos: Pos,
    rules: Arc<Ruleset>,
}

/// A member of a room with push rules of their own.
pub(super) struct Member {
    pub(super) user_id: String,
    pub(super) rules: Arc<Ruleset>,
}

impl PushRuleCache {
    fn find(&self, user_num: UserNum, pos: Pos) -> Option<Arc<Ruleset>> {
        let entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = entries.by_user.get(&user_num).filter(|entry| entry.pos == pos)?;
        Some(Arc::clone(&entry.rules))
    }

    fn add(&self, user_num: UserNum, entry: Entry, bytes: usize) {
        let mut entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        entries.bytes += bytes;
        if entries.bytes > MAX_BYTES {
            *entries = Entries { bytes, ..Entries::default() };
        }
        entries.by_user.insert(user_num, entry);
    }

    /// Returns the members of a room who have push rules of their own. Rules that cannot be read are empty.
    pub(super) fn members(&self, tx: &mut Tx<'_>, room_num: RoomNum) -> Result<Vec<Member>, Error> {
        let members = notifications::members_with_rules(tx, room_num)?;
        let mut found = Vec::with_capacity(members.len());
        for member in members {
            let rules = match self.find(member.user_num, member.pos) {
                Some(rules) => rules,
                None => self.read(tx, &member)?,
            };
            found.push(Member { user_id: member.user_id, rules });
        }
        Ok(found)
    }

    fn read(&self, tx: &mut Tx<'_>, member: &MemberWithRules) -> Result<Arc<Ruleset>, DbError> {
        let stored = account_data::find(tx, member.user_num, "", DATA_TYPE)?.unwrap_or_default();
        let parsed = UserId::parse(&*member.user_id).ok().and_then(|user_id| parse(&stored, &user_id));
        let rules = Arc::new(parsed.unwrap_or_default());
        let entry = Entry { pos: member.pos, rules: Arc::clone(&rules) };
        let (cache, user_num, bytes) = (self.clone(), member.user_num, stored.len());
        tx.after_commit(move || cache.add(user_num, entry, bytes));
        Ok(rules)
    }
}
