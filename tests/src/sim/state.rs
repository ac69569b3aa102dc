//! Accounts, and views of them: the validated state with its history, and changes not yet validated on top of it.
//!
//! Owns: balances, and the rule that XRP is only moved or burned. May not: decide whether a transaction may do so (`apply`).

use std::collections::{BTreeMap, HashMap};

use serde_json::{Map, Value, json};

use super::types::{AccountId, Hash};

/// The one free change of the regular key is used up.
pub(super) const LSF_PASSWORD_SPENT: u32 = 0x0001_0000;
/// A payment must carry a destination tag.
pub(super) const LSF_REQUIRE_DEST_TAG: u32 = 0x0002_0000;
/// The owner would rather not have XRP; advice only.
pub(super) const LSF_DISALLOW_XRP: u32 = 0x0008_0000;
/// The master key signs no more.
pub(super) const LSF_DISABLE_MASTER: u32 = 0x0010_0000;
/// Only preauthorised senders may pay in.
pub(super) const LSF_DEPOSIT_AUTH: u32 = 0x0100_0000;

/// All the XRP there ever was, in drops.
pub(super) const TOTAL_DROPS: u64 = 100_000_000_000_000_000;

/// What the network charges and keeps back, in drops.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Fees {
    /// Fee of a simple transaction.
    pub base_drops: u64,
    /// Reserve of every account.
    pub reserve_base_drops: u64,
    /// Further reserve for each owned object.
    pub reserve_inc_drops: u64,
}

impl Fees {
    /// What an account with that many objects may not spend.
    pub fn reserve(&self, owner_count: u32) -> u64 {
        self.reserve_base_drops.saturating_add(
            self.reserve_inc_drops
                .saturating_mul(u64::from(owner_count)),
        )
    }
}

/// The root object of an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Account {
    /// Whose it is.
    pub id: AccountId,
    /// In drops.
    pub balance: u64,
    /// The next Sequence it will use.
    pub sequence: u32,
    /// Objects it owns.
    pub owner_count: u32,
    /// `lsf` bits.
    pub flags: u32,
    /// A second key.
    pub regular_key: Option<AccountId>,
    /// The validated transaction that last changed it, and its ledger; None since genesis or while unvalidated.
    pub previous: Option<(Hash, u32)>,
    /// Its tickets, each with the transaction that made it and the ledger of that.
    pub tickets: BTreeMap<u32, (Hash, u32)>,
    /// Who may pay in without being asked, each with the transaction that allowed it and the ledger of that.
    pub preauthorized: BTreeMap<AccountId, (Hash, u32)>,
    /// The list of what it owns: the transaction that last changed it. None if it never owned anything.
    pub directory: Option<(Hash, u32)>,
}

impl Account {
    /// An account that owns nothing yet.
    pub(super) fn new(id: AccountId, balance: u64, sequence: u32) -> Self {
        Self {
            id,
            balance,
            sequence,
            owner_count: 0,
            flags: 0,
            regular_key: None,
            previous: None,
            tickets: BTreeMap::new(),
            preauthorized: BTreeMap::new(),
            directory: None,
        }
    }

    /// True if the flag is set.
    pub(super) fn has(&self, flag: u32) -> bool {
        self.flags & flag != 0
    }

    /// The fields that metadata shows of it.
    pub(super) fn fields(&self) -> Map<String, Value> {
        let mut fields = Map::new();
        fields.insert("Account".into(), json!(self.id.to_string()));
        fields.insert("Balance".into(), json!(self.balance.to_string()));
        fields.insert("Flags".into(), json!(self.flags));
        fields.insert("OwnerCount".into(), json!(self.owner_count));
        fields.insert("Sequence".into(), json!(self.sequence));
        if let Some(key) = self.regular_key {
            fields.insert("RegularKey".into(), json!(key.to_string()));
        }
        if !self.tickets.is_empty() {
            fields.insert("TicketCount".into(), json!(self.tickets.len()));
        }
        fields
    }
}

/// Every validated account with every state it was in after a ledger that changed it.
#[derive(Default)]
pub(super) struct Accounts {
    states: HashMap<AccountId, Vec<(u32, Account)>>,
}

impl Accounts {
    /// As of the last validated ledger.
    pub(super) fn get(&self, id: &AccountId) -> Option<&Account> {
        self.states.get(id)?.last().map(|(_, account)| account)
    }

    /// As of the end of that ledger.
    pub(super) fn get_at(&self, id: &AccountId, ledger: u32) -> Option<&Account> {
        let states = self.states.get(id)?;
        let after = states.partition_point(|(index, _)| *index <= ledger);
        states[..after].last().map(|(_, account)| account)
    }

    /// Records the state of an account at the end of a ledger.
    pub(super) fn put(&mut self, ledger: u32, account: Account) {
        self.states
            .entry(account.id)
            .or_default()
            .push((ledger, account));
    }

    /// The sum of all balances.
    pub(super) fn total_drops(&self) -> u64 {
        self.states
            .values()
            .filter_map(|states| states.last())
            .try_fold(0_u64, |sum, (_, account)| sum.checked_add(account.balance))
            .expect("all balances together are at most all XRP")
    }
}

/// Accounts as changed by transactions that are not validated yet.
#[derive(Default, Clone)]
pub(super) struct Overlay {
    changed: BTreeMap<AccountId, Account>,
}

impl Overlay {
    /// The same with one more change.
    pub(super) fn with(mut self, account: Account) -> Self {
        self.changed.insert(account.id, account);
        self
    }

    /// The changed accounts, in order of their ids.
    pub(super) fn into_changed(self) -> impl Iterator<Item = Account> {
        self.changed.into_values()
    }
}

/// A ledger in the making: validated accounts below, changes on top.
pub(super) struct View<'a> {
    /// What is validated.
    pub base: &'a Accounts,
    /// What changed since.
    pub over: &'a mut Overlay,
    /// The index that the ledger will have.
    pub index: u32,
    /// Its fees.
    pub fees: Fees,
    /// The network's id.
    pub network_id: u32,
}

impl View<'_> {
    /// The account as of now.
    pub(super) fn get(&self, id: &AccountId) -> Option<&Account> {
        self.over.changed.get(id).or_else(|| self.base.get(id))
    }

    /// Changes an account.
    pub(super) fn put(&mut self, account: Account) {
        self.over.changed.insert(account.id, account);
    }
}
