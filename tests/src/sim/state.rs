//! Accounts and what lies between them, and views of both: the validated state with its history, and changes not yet
//! validated on top of it.
//!
//! Owns: what the ledger holds. May not: decide whether a transaction may change it (`apply`).

use std::collections::{BTreeMap, HashMap};
use std::hash::Hash as HashKey;

use serde_json::{Map, Value, json};

use super::directory::Directory;
use super::entries::Entry;
use super::lines::{Line, LineKey};
use super::types::{AccountId, Hash, Origin};
use super::world::Release;

/// The one free change of the regular key is used up.
pub(super) const LSF_PASSWORD_SPENT: u32 = 0x0001_0000;
/// A payment must carry a destination tag.
pub(super) const LSF_REQUIRE_DEST_TAG: u32 = 0x0002_0000;
/// Nobody holds its money unasked.
pub(super) const LSF_REQUIRE_AUTH: u32 = 0x0004_0000;
/// The owner would rather not have XRP; advice only.
pub(super) const LSF_DISALLOW_XRP: u32 = 0x0008_0000;
/// The master key signs no more.
pub(super) const LSF_DISABLE_MASTER: u32 = 0x0010_0000;
/// It gave up freezing, for good.
pub(super) const LSF_NO_FREEZE: u32 = 0x0020_0000;
/// Nobody passes its money on.
pub(super) const LSF_GLOBAL_FREEZE: u32 = 0x0040_0000;
/// Its money passes from holder to holder.
pub(super) const LSF_DEFAULT_RIPPLE: u32 = 0x0080_0000;
/// Only preauthorised senders may pay in.
pub(super) const LSF_DEPOSIT_AUTH: u32 = 0x0100_0000;
/// Nobody may begin a trust line with it.
pub(super) const LSF_DISALLOW_TRUSTLINES: u32 = 0x2000_0000;

/// It may take back what others hold of its money.
pub(super) const LSF_CLAWBACK: u32 = 0x8000_0000;

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

/// The root object of an account, with its tickets and permissions and the list of all it owns.
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
    /// Fields that it set itself: `TransferRate`, `Domain` and the like.
    pub settings: BTreeMap<&'static str, Value>,
    /// The validated transaction that last changed it.
    pub previous: Origin,
    /// Its tickets, each with the transaction that made it and the ledger of that.
    pub tickets: BTreeMap<u32, (Hash, u32)>,
    /// Who may pay in without being asked, each with the transaction that allowed it and the ledger of that.
    pub preauthorized: BTreeMap<AccountId, (Hash, u32)>,
    /// The list of what it owns.
    pub directory: Directory,
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
            settings: BTreeMap::new(),
            previous: None,
            tickets: BTreeMap::new(),
            preauthorized: BTreeMap::new(),
            directory: Directory::default(),
        }
    }

    /// True if the flag is set.
    pub(super) fn has(&self, flag: u32) -> bool {
        self.flags & flag != 0
    }

    /// What it takes to pass one of its money on, in billionths; 0 if that is one.
    pub(super) fn transfer_rate(&self) -> u32 {
        let rate = self.settings.get("TransferRate").and_then(Value::as_u64);
        rate.and_then(|rate| u32::try_from(rate).ok()).unwrap_or(0)
    }

    /// True if the root object itself is the same; what it owns may differ.
    pub(super) fn has_same_root(&self, other: &Self) -> bool {
        (self.balance, self.sequence, self.owner_count, self.flags)
            == (
                other.balance,
                other.sequence,
                other.owner_count,
                other.flags,
            )
            && self.regular_key == other.regular_key
            && self.settings == other.settings
            && self.tickets.len() == other.tickets.len()
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
        for (name, value) in &self.settings {
            fields.insert((*name).to_owned(), value.clone());
        }
        fields
    }
}

/// Everything of one kind, each with every state it was in after a ledger that changed it; None after its end.
pub(super) struct History<K, V> {
    states: HashMap<K, Vec<(u32, Option<V>)>>,
}

impl<K, V> Default for History<K, V> {
    fn default() -> Self {
        Self {
            states: HashMap::new(),
        }
    }
}

impl<K: Eq + HashKey, V> History<K, V> {
    /// As of the last validated ledger.
    pub(super) fn get(&self, key: &K) -> Option<&V> {
        self.states.get(key)?.last()?.1.as_ref()
    }

    /// As of the end of that ledger.
    pub(super) fn get_at(&self, key: &K, ledger: u32) -> Option<&V> {
        let states = self.states.get(key)?;
        let after = states.partition_point(|(index, _)| *index <= ledger);
        states[..after].last()?.1.as_ref()
    }

    /// Records a state at the end of a ledger.
    pub(super) fn put(&mut self, ledger: u32, key: K, value: Option<V>) {
        self.states.entry(key).or_default().push((ledger, value));
    }

    /// Forgets what happened after this ledger.
    fn truncate(&mut self, last: u32) {
        for states in self.states.values_mut() {
            states.retain(|(index, _)| *index <= last);
        }
        self.states.retain(|_, states| !states.is_empty());
    }

    /// All that exist as of the last validated ledger.
    pub(super) fn all(&self) -> impl Iterator<Item = &V> {
        self.states
            .values()
            .filter_map(|states| states.last()?.1.as_ref())
    }
}

/// The validated state.
#[derive(Default)]
pub(super) struct Accounts {
    roots: History<AccountId, Account>,
    lines: History<LineKey, Line>,
    entries: History<Hash, Entry>,
}

impl Accounts {
    /// As of the last validated ledger.
    pub(super) fn get(&self, id: &AccountId) -> Option<&Account> {
        self.roots.get(id)
    }

    /// As of the end of that ledger.
    pub(super) fn get_at(&self, id: &AccountId, ledger: u32) -> Option<&Account> {
        self.roots.get_at(id, ledger)
    }

    /// A trust line as of the last validated ledger.
    pub(super) fn line(&self, key: &LineKey) -> Option<&Line> {
        self.lines.get(key)
    }

    /// A trust line as of the end of that ledger.
    pub(super) fn line_at(&self, key: &LineKey, ledger: u32) -> Option<&Line> {
        self.lines.get_at(key, ledger)
    }

    /// Another object as of the end of that ledger.
    pub(super) fn entry_at(&self, key: &Hash, ledger: u32) -> Option<&Entry> {
        self.entries.get_at(key, ledger)
    }

    /// Names of all trust lines that there ever were.
    pub(super) fn line_keys(&self) -> impl Iterator<Item = &LineKey> {
        self.lines.states.keys()
    }

    /// Records the state of an account at the end of a ledger.
    pub(super) fn put(&mut self, ledger: u32, account: Account) {
        self.roots.put(ledger, account.id, Some(account));
    }

    /// Records all changes of a ledger at its end.
    pub(super) fn put_all(&mut self, ledger: u32, changed: Overlay) {
        for (id, account) in changed.accounts {
            self.roots.put(ledger, id, account);
        }
        for (key, line) in changed.lines {
            self.lines.put(ledger, key, line);
        }
        for (key, entry) in changed.entries {
            self.entries.put(ledger, key, entry);
        }
    }

    /// Forgets what happened after this ledger.
    pub(super) fn truncate(&mut self, last: u32) {
        self.roots.truncate(last);
        self.lines.truncate(last);
        self.entries.truncate(last);
    }

    /// The sum of all balances.
    pub(super) fn total_drops(&self) -> u64 {
        self.roots
            .all()
            .try_fold(0_u64, |sum, account| sum.checked_add(account.balance))
            .expect("all balances together are at most all XRP")
    }
}

/// What changed and is not validated yet; None is gone.
#[derive(Debug, Default, Clone)]
pub(super) struct Overlay {
    pub accounts: BTreeMap<AccountId, Option<Account>>,
    pub lines: BTreeMap<LineKey, Option<Line>>,
    pub entries: BTreeMap<Hash, Option<Entry>>,
}

impl Overlay {
    /// The same with one more change.
    pub(super) fn with(mut self, account: Account) -> Self {
        self.accounts.insert(account.id, Some(account));
        self
    }

    /// True if nothing changed.
    pub(super) fn is_empty(&self) -> bool {
        self.accounts.is_empty() && self.lines.is_empty() && self.entries.is_empty()
    }
}

/// A ledger in the making: what is validated below, changes on top.
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
    /// The release that builds it.
    pub release: Release,
}

impl View<'_> {
    /// The account as of now.
    pub(super) fn get(&self, id: &AccountId) -> Option<&Account> {
        match self.over.accounts.get(id) {
            Some(changed) => changed.as_ref(),
            None => self.base.get(id),
        }
    }

    /// The trust line as of now.
    pub(super) fn line(&self, key: &LineKey) -> Option<&Line> {
        match self.over.lines.get(key) {
            Some(changed) => changed.as_ref(),
            None => self.base.line(key),
        }
    }

    /// Another object as of now.
    pub(super) fn entry(&self, key: &Hash) -> Option<&Entry> {
        match self.over.entries.get(key) {
            Some(changed) => changed.as_ref(),
            None => self.base.entries.get(key),
        }
    }

    /// Keeps what a transaction changed.
    pub(super) fn put_all(&mut self, changed: Overlay) {
        self.over.accounts.extend(changed.accounts);
        self.over.lines.extend(changed.lines);
        self.over.entries.extend(changed.entries);
    }
}
