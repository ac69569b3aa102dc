//! What one transaction did: every object before and after, and how its metadata says so.
//!
//! Owns: which objects a change touches besides itself, and who is affected. May not: decide what changes (`apply`).

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use super::codes::Ter;
use super::draft::Draft;
use super::entries::Entry;
use super::lines::{Line, LineKey};
use super::money::Money;
use super::nodes::{Nodes, line_fields};
use super::state::{Account, Overlay, View};
use super::types::{AccountId, Hash};

/// An object before and after; an end also shows the object as it was last.
#[derive(Debug)]
pub(super) struct Change<T> {
    /// None if it is new.
    pub before: Option<T>,
    /// None if it is gone.
    pub after: Option<T>,
    /// As it was last, if it is gone.
    pub last: Option<T>,
}

/// What was delivered, and whether metadata has a field of its own for it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Delivered {
    /// To the destination.
    pub money: Money,
    /// It is not what the transaction says, so metadata has to.
    pub in_metadata: bool,
}

/// The changes that a transaction made.
#[derive(Debug)]
pub(super) struct Effect {
    /// Accounts, also those of which only the list of what they own changed.
    pub accounts: BTreeMap<AccountId, Change<Account>>,
    lines: BTreeMap<LineKey, Change<Line>>,
    entries: BTreeMap<Hash, Change<Entry>>,
    /// Accounts that take note of the transaction though their roots did not change.
    threaded: BTreeSet<AccountId>,
    /// What reached the destination.
    pub delivered: Option<Delivered>,
    /// XRP burned.
    pub fee: u64,
}

impl Effect {
    /// Collects the changes of a draft, and stamps the objects with the transaction if the ledger is being closed.
    pub(super) fn new(
        view: &View<'_>,
        draft: DraftEnd,
        (hash, is_open): (Hash, bool),
        delivered: Option<Delivered>,
        fee: u64,
    ) -> Self {
        let DraftEnd {
            mut changed,
            mut ended_lines,
            mut ended_accounts,
        } = draft;
        let origin = Some((hash, view.index));
        let mut threaded = BTreeSet::new();
        for (key, after) in &changed.lines {
            if view.line(key).is_some() != after.is_some() {
                threaded.extend([key.low, key.high]);
            }
        }
        for (key, after) in &changed.entries {
            let before = view.entry(key);
            if before.is_some() != after.is_some() {
                let entry = before.or(after.as_ref());
                threaded.extend(entry.into_iter().flat_map(Entry::threads));
            }
        }
        for id in &threaded {
            if !changed.accounts.contains_key(id) {
                changed.accounts.insert(*id, view.get(id).cloned());
            }
        }
        let mut accounts = BTreeMap::new();
        for (id, mut after) in changed.accounts {
            let before = view.get(&id).cloned();
            if let Some(after) = &mut after {
                let old = before.as_ref();
                after.directory.stamp(old.map(|old| &old.directory), origin);
                let is_same = old.is_some_and(|old| old.has_same_root(after));
                if !is_open && (!is_same || threaded.contains(&id)) {
                    after.previous = origin;
                }
            }
            let last = ended_accounts.remove(&id);
            accounts.insert(
                id,
                Change {
                    before,
                    after,
                    last,
                },
            );
        }
        let mut lines = BTreeMap::new();
        for (key, mut after) in changed.lines {
            let before = view.line(&key).cloned();
            if before == after {
                continue;
            }
            if let Some(after) = after.as_mut().filter(|_| !is_open) {
                after.origin = origin;
            }
            let last = ended_lines.remove(&key);
            lines.insert(
                key,
                Change {
                    before,
                    after,
                    last,
                },
            );
        }
        let mut entries = BTreeMap::new();
        for (key, mut after) in changed.entries {
            let before = view.entry(&key).cloned();
            if let Some(after) = &mut after {
                after.origin = origin;
            }
            let last = before.clone();
            entries.insert(
                key,
                Change {
                    before,
                    after,
                    last,
                },
            );
        }
        Self {
            accounts,
            lines,
            entries,
            threaded,
            delivered,
            fee,
        }
    }

    /// The changed state.
    pub(super) fn changed(&self) -> Overlay {
        Overlay {
            accounts: after_all(&self.accounts),
            lines: after_all(&self.lines),
            entries: after_all(&self.entries),
        }
    }

    /// The metadata as a server prints it, without `TransactionIndex`.
    pub(super) fn meta(&self, ter: Ter) -> Map<String, Value> {
        let mut nodes = Nodes::default();
        for (id, change) in &self.accounts {
            nodes.account(id, change, self.threaded.contains(id));
        }
        for (key, change) in &self.lines {
            let fields = |line: &Line| line_fields(line, |id| self.accounts.get(id));
            nodes.line(key, change, fields);
        }
        for (key, change) in &self.entries {
            nodes.entry(*key, change);
        }
        let mut meta = Map::new();
        meta.insert("AffectedNodes".into(), json!(nodes.into_sorted()));
        meta.insert("TransactionResult".into(), json!(ter.name()));
        if let Some(delivered) = &self.delivered {
            let money = delivered.money.to_json();
            if delivered.in_metadata {
                meta.insert("DeliveredAmount".into(), money.clone());
            }
            meta.insert("delivered_amount".into(), money);
        }
        meta
    }

    /// The accounts that are named in the metadata.
    pub(super) fn affected(&self) -> Vec<AccountId> {
        let mut affected = BTreeSet::new();
        for (id, change) in &self.accounts {
            let shown = change.after.as_ref().or(change.last.as_ref());
            affected.insert(*id);
            affected.extend(shown.and_then(|account| account.regular_key));
        }
        for key in self.lines.keys() {
            affected.extend([key.low, key.high]);
        }
        for change in self.entries.values() {
            let shown = change.after.as_ref().or(change.last.as_ref());
            affected.extend(shown.into_iter().flat_map(|entry| entry.owners.clone()));
        }
        affected.into_iter().collect()
    }

    /// XRP is moved or burned, never made.
    pub(super) fn assert_conserved(&self) {
        let sum =
            |account: Option<&Account>| u128::from(account.map_or(0, |account| account.balance));
        let changes = || self.accounts.values();
        let before: u128 = changes().map(|change| sum(change.before.as_ref())).sum();
        let after: u128 = changes().map(|change| sum(change.after.as_ref())).sum();
        assert_eq!(
            before,
            after + u128::from(self.fee),
            "a transaction made or lost XRP"
        );
    }
}

fn after_all<K: Ord + Copy, T: Clone>(changes: &BTreeMap<K, Change<T>>) -> BTreeMap<K, Option<T>> {
    changes
        .iter()
        .map(|(key, change)| (*key, change.after.clone()))
        .collect()
}

/// A draft that no longer borrows the view it was made on.
pub(super) struct DraftEnd {
    changed: Overlay,
    ended_lines: BTreeMap<LineKey, Line>,
    ended_accounts: BTreeMap<AccountId, Account>,
}

impl From<Draft<'_, '_>> for DraftEnd {
    fn from(draft: Draft<'_, '_>) -> Self {
        Self {
            changed: draft.changed,
            ended_lines: draft.ended_lines,
            ended_accounts: draft.ended_accounts,
        }
    }
}
