//! What one transaction is about to change, on top of a ledger in the making.
//!
//! Owns: the changes while a transaction is applied; they are dropped if it fails. May not: decide what changes (`apply`).

use std::collections::BTreeMap;

use super::entries::Entry;
use super::lines::{Line, LineKey};
use super::state::{Account, Fees, Overlay, View};
use super::types::{AccountId, Hash};
use super::world::Release;

/// What one transaction changes, on top of a view.
pub(super) struct Draft<'d, 'v> {
    below: &'d View<'v>,
    /// The changes.
    pub changed: Overlay,
    /// Lines at their end, as they were last.
    pub ended_lines: BTreeMap<LineKey, Line>,
    /// Accounts at their end, as they were last.
    pub ended_accounts: BTreeMap<AccountId, Account>,
}

impl<'d, 'v> Draft<'d, 'v> {
    /// Nothing changed yet.
    pub(super) fn new(below: &'d View<'v>) -> Self {
        Self {
            below,
            changed: Overlay::default(),
            ended_lines: BTreeMap::new(),
            ended_accounts: BTreeMap::new(),
        }
    }

    /// The ledger's index.
    pub(super) fn index(&self) -> u32 {
        self.below.index
    }

    /// The release that builds the ledger.
    pub(super) fn release(&self) -> Release {
        self.below.release
    }

    /// The network's fees.
    pub(super) fn fees(&self) -> Fees {
        self.below.fees
    }

    /// The account as of now.
    pub(super) fn find(&self, id: &AccountId) -> Option<&Account> {
        match self.changed.accounts.get(id) {
            Some(changed) => changed.as_ref(),
            None => self.below.get(id),
        }
    }

    /// An account that was checked to exist.
    pub(super) fn account(&self, id: &AccountId) -> &Account {
        self.find(id).expect("checked that the account exists")
    }

    /// Changes an account that was checked to exist.
    pub(super) fn change<R>(
        &mut self,
        id: &AccountId,
        change: impl FnOnce(&mut Account) -> R,
    ) -> R {
        let mut account = self.account(id).clone();
        let result = change(&mut account);
        self.put(account);
        result
    }

    /// Makes or changes an account.
    pub(super) fn put(&mut self, account: Account) {
        self.changed.accounts.insert(account.id, Some(account));
    }

    /// Ends an account.
    pub(super) fn remove(&mut self, id: AccountId) {
        if let Some(Some(account)) = self.changed.accounts.insert(id, None) {
            self.ended_accounts.insert(id, account);
        }
    }

    /// The trust line as of now.
    pub(super) fn line(&self, key: &LineKey) -> Option<&Line> {
        match self.changed.lines.get(key) {
            Some(changed) => changed.as_ref(),
            None => self.below.line(key),
        }
    }

    /// Makes or changes a trust line.
    pub(super) fn put_line(&mut self, line: Line) {
        self.changed.lines.insert(line.key, Some(line));
    }

    /// Ends a trust line.
    pub(super) fn remove_line(&mut self, key: LineKey) {
        if let Some(Some(line)) = self.changed.lines.insert(key, None) {
            self.ended_lines.insert(key, line);
        }
    }

    /// Another object as of now.
    pub(super) fn entry(&self, key: &Hash) -> Option<&Entry> {
        match self.changed.entries.get(key) {
            Some(changed) => changed.as_ref(),
            None => self.below.entry(key),
        }
    }

    /// Makes or changes another object.
    pub(super) fn put_entry(&mut self, key: Hash, entry: Entry) {
        self.changed.entries.insert(key, Some(entry));
    }

    /// Ends another object.
    pub(super) fn remove_entry(&mut self, key: Hash) {
        self.changed.entries.insert(key, None);
    }
}
