//! The accounts that a selection has, as a set.

use reeve_db::{DbError, ReadTx, params};
use reeve_model::{Millis, UserNum};

use super::addresses::{self, Medium};
use super::bits::Bits;
use super::chosen::Chosen;
use super::columns::{Facts, NEVER, Traits};
use super::known::View;
use crate::connections;
use crate::lists::ngrams::Limit;
use crate::lists::selection::Selection;
use crate::lists::users::{Flag, Term, search};
use crate::users;

/// The number of accounts that a search looks up at most; where more may match, all names are compared.
const MAX_LOOKED_UP: i64 = if cfg!(test) { 20 } else { 20_000 };

reeve_db::statements! {
    MATCHES = {
        sqlite: "SELECT num FROM users WHERE search_key LIKE $1 ESCAPE '\\'",
        postgres: "SELECT num FROM users WHERE search_key LIKE $1",
    };
}

/// A selection with what was read for it.
pub(super) struct Wanted<'a> {
    selection: &'a Selection,
    /// Sets of accounts from other tables: the selection has only members of all of them.
    sets: Vec<Bits>,
    email: Option<String>,
    phone: Option<String>,
}

impl<'a> Wanted<'a> {
    pub(super) fn prepare(
        tx: &ReadTx<'_>,
        server_name: &str,
        selection: &'a Selection,
    ) -> Result<Self, DbError> {
        let mut sets = Vec::new();
        if let Some(term) = selection.term().filter(|term| !term.matches_domain(server_name)) {
            sets.push(Chosen::of(&matching(tx, server_name, &term)?)?.0);
        }
        if let Some(network) = &selection.ip {
            sets.push(Chosen::of(&connections::in_network(tx, network)?)?.0);
        }
        let email = selection.email.as_ref().map(|text| text.to_lowercase());
        Ok(Self { selection, sets, email, phone: selection.phone_digits() })
    }

    pub(super) fn with_addresses(&self) -> bool {
        self.selection.needs_addresses()
    }

    /// The texts to look for in addresses.
    fn texts(&self) -> impl Iterator<Item = (Medium, &str)> {
        let texts = [(Medium::Email, &self.email), (Medium::Phone, &self.phone)];
        texts.into_iter().filter_map(|(medium, text)| Some((medium, text.as_deref()?)))
    }

    /// Returns the accounts.
    pub(super) fn choose(&self, view: &View<'_>) -> Bits {
        let columns = &view.known.columns;
        // The first traits stand for no account.
        let admits = |(index, traits)| index > 0 && self.admits(traits);
        let admitted: Vec<bool> = columns.known.iter().enumerate().map(admits).collect();
        let mut chosen = columns.with_traits(&admitted);
        // The columns are looked at last, since that costs less the fewer are left.
        for (medium, text) in self.texts() {
            let found = view.known.addresses.as_ref().map(|all| all.find(medium, text, view.len()));
            chosen.keep_those_in(&found.unwrap_or_default());
        }
        if let Some(size) = self.selection.media_size_over {
            chosen.keep(&columns.media, |media| media > size);
        }
        if let Some((from, to)) = self.created() {
            chosen.keep(&columns.created, |created| from <= created && created < to);
        }
        if let Some((from, to)) = self.last_seen() {
            chosen.keep(&columns.last_seen, |seen| from <= seen && seen < to);
        }
        for num in &view.reread.nums {
            let facts = view.reread.facts.get(num);
            chosen.set(*num, facts.is_some_and(|facts| self.has(facts, view.reread.own.get(num))));
        }
        for set in &self.sets {
            chosen.keep_those_in(set);
        }
        chosen
    }

    /// Returns true if the selection has an account with these facts and addresses, as far as these decide.
    fn has(&self, facts: &Facts, own: Option<&addresses::Own>) -> bool {
        let within = |span: Option<(i64, i64)>, time| span.is_none_or(|(from, to)| from <= time && time < to);
        self.admits(&facts.traits)
            && within(self.created(), facts.created)
            && within(self.last_seen(), facts.last_seen)
            && self.selection.media_size_over.is_none_or(|size| facts.media > size)
            && self
                .texts()
                .all(|(medium, text)| own.is_some_and(|own| addresses::contains(own, medium, text)))
    }

    /// The span of the times of creation.
    fn created(&self) -> Option<(i64, i64)> {
        let Selection { created_after: after, created_before: before, .. } = self.selection;
        (after.is_some() || before.is_some())
            .then(|| (after.map_or(i64::MIN, Millis::get), before.map_or(i64::MAX, Millis::get)))
    }

    /// The span of the times when accounts were last seen.
    fn last_seen(&self) -> Option<(i64, i64)> {
        let Selection { last_seen_after: after, last_seen_before: before, never_seen, .. } = self.selection;
        match never_seen {
            Some(true) => Some((NEVER, NEVER + 1)),
            Some(false) => Some((NEVER + 1, i64::MAX)),
            None => (after.is_some() || before.is_some())
                .then(|| (after.map_or(NEVER + 1, Millis::get), before.map_or(i64::MAX, Millis::get))),
        }
    }

    /// Returns true if the selection has accounts with these traits.
    fn admits(&self, traits: &Traits) -> bool {
        let wanted = self.selection;
        let agrees = |wanted: Option<bool>, is: bool| wanted.is_none_or(|wanted| wanted == is);
        let equals = |wanted: &Option<String>, is: &Option<String>| {
            wanted.as_ref().is_none_or(|wanted| wanted == is.as_deref().unwrap_or_default())
        };
        let user_type = traits.user_type.as_deref().unwrap_or_default();
        let with_locked = wanted.locked == Some(true) || wanted.is_locked == Some(true);
        (wanted.guests != Some(false) || !traits.has(Flag::IsGuest))
            && (with_locked || !traits.has(Flag::Locked))
            && agrees(wanted.is_guest, traits.has(Flag::IsGuest))
            && agrees(wanted.is_locked, traits.has(Flag::Locked))
            && agrees(wanted.deactivated, traits.has(Flag::Deactivated))
            && agrees(wanted.admins, traits.has(Flag::Admin))
            && agrees(wanted.shadow_banned, traits.has(Flag::ShadowBanned))
            && agrees(wanted.suspended, traits.suspended())
            && agrees(wanted.erased, traits.erased())
            && agrees(wanted.password_change_required, traits.must_change_password())
            && agrees(wanted.has_devices, traits.has_devices())
            && !wanted.not_user_type.iter().any(|excluded| excluded == user_type)
            && equals(&wanted.user_type, &traits.user_type)
            && equals(&wanted.appservice, &traits.appservice_id)
            && wanted.role.as_ref().is_none_or(|role| role == traits.role().unwrap_or_default())
            && wanted.external_provider.as_ref().is_none_or(|provider| traits.providers.contains(provider))
    }
}

/// Returns the accounts whose names contain a term.
fn matching(tx: &ReadTx<'_>, server_name: &str, term: &Term) -> Result<Vec<UserNum>, DbError> {
    let of = users::highest_num(tx)?.get();
    let limit = Limit { max: MAX_LOOKED_UP.min(of / 8), of };
    if let Some(found) = search::matches(tx, term, limit, &mut |found| found.num().map(Some))? {
        return Ok(found);
    }
    match term.pattern(server_name) {
        Some(pattern) => tx.query(&MATCHES, &params![pattern], |row| row.get(0)),
        None => Ok(Vec::new()),
    }
}
