//! The order of push rules of one kind: the most important one comes first.
//! <https://spec.matrix.org/v1.18/client-server-api/#put_matrixclientv3pushrulesglobalkindruleid>

use std::hash::Hash;

use indexmap::{Equivalent, IndexSet};
use ruma::push::{NewPushRule, RuleKind, Ruleset};

use crate::error::Error;

/// The place of a rule, relative to another rule of its kind that its owner made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// It becomes the next more important rule.
    Before(String),
    /// It becomes the next less important rule.
    After(String),
}

/// Adds a rule, or replaces the rule of this kind and id, which stays enabled or disabled. Without a place a new rule
/// becomes the most important of its owner's rules, and a replaced one stays where it is. After an error `rules` is in
/// an undefined state.
pub fn put_rule(rules: &mut Ruleset, rule: NewPushRule, place: Option<&Place>) -> Result<(), Error> {
    let (kind, rule_id) = (rule.kind(), rule.rule_id().to_owned());
    // The library panics for some places (`move_index` beyond the end), so it gets none.
    rules.insert(rule, None, None).map_err(|error| Error::Invalid(error.to_string()))?;
    let Some(place) = place else { return Ok(()) };
    match kind {
        RuleKind::Override => move_rule(&mut rules.override_, &rule_id, place),
        RuleKind::Content => move_rule(&mut rules.content, &rule_id, place),
        RuleKind::Room => move_rule(&mut rules.room, &rule_id, place),
        RuleKind::Sender => move_rule(&mut rules.sender, &rule_id, place),
        RuleKind::Underride => move_rule(&mut rules.underride, &rule_id, place),
        kind => Err(Error::internal(format!("a push rule of the kind {kind}"))),
    }
}

fn move_rule<T>(rules: &mut IndexSet<T>, rule_id: &str, place: &Place) -> Result<(), Error>
where
    T: Hash + Eq,
    str: Equivalent<T>,
{
    let (Place::Before(other) | Place::After(other)) = place;
    let own = Some(other.as_str()).filter(|other| !other.starts_with('.'));
    let anchor = own.and_then(|other| rules.get_index_of(other));
    let anchor = anchor.ok_or_else(|| Error::Refused(format!("before/after rule not found: {other}")))?;
    let from = rules.get_index_of(rule_id).ok_or_else(|| Error::internal("a new push rule is missing"))?;
    if from == anchor {
        return Ok(());
    }
    // Indexes are counted without the moved rule.
    let anchor = if from < anchor { anchor - 1 } else { anchor };
    let to = match place {
        Place::Before(_) => anchor,
        Place::After(_) => anchor + 1,
    };
    rules.move_index(from, to);
    Ok(())
}
