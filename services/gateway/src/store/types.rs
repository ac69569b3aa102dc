//! What goes into the store and comes out of it.
//!
//! Owns: the words of the store's interface. May not: know of SQL.

use std::path::PathBuf;

use paygate_payments::books::{Book, Difference};
use paygate_payments::budget::FeeBudget;
use paygate_payments::continuity::Quarantine;
use paygate_payments::filler::Filler;
use paygate_payments::intent::{Id, Intent, IntentField, PaymentKey, Wallet};
use paygate_payments::limits::{Limits, OverLimit};
use paygate_payments::money::Money;
use paygate_payments::payment::{Payment, StateName, Versions};
use paygate_payments::proof::{Presence, StateProof};
use paygate_payments::step::Effect;
use paygate_payments::terms::Terms;
use paygate_payments::{LedgerIndex, LedgerRef};
use paygate_proto::v1::{TimelineEvent, TimelineStage};
use xrpl_tx::{Asset, Drops, Hash256, IssuedValue, Slot};

use super::people::Pause;
use super::watch::Position;
use crate::clock::Millis;

/// Where the store is and what it serves.
#[derive(Clone, Debug)]
pub struct StoreOptions {
    /// The database file. Beside it lie `-wal`, `-shm` and `.lock`.
    pub path: PathBuf,
    /// The wallet. A store serves one for ever.
    pub wallet: Wallet,
    /// What is let in.
    pub limits: Limits,
}

/// A payment to be stored.
#[derive(Clone, Debug)]
pub struct NewPayment {
    /// What is to be paid.
    pub intent: Intent,
    /// No version may be valid past this ledger. On a repeated request the stored one stands.
    pub deadline: Option<LedgerIndex>,
    /// The caller's W3C `traceparent`.
    pub trace_parent: Option<String>,
    /// Now.
    pub at: Millis,
}

/// What became of a request to store a payment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Accept {
    /// Stored now.
    Created(Record),
    /// Stored by an earlier request of the same content.
    Existed(Record),
    /// The id belongs to a payment of other content. Nothing was stored.
    Conflict {
        /// The first field that differs.
        field: IntentField,
        /// The payment that has the id.
        existing: Box<Record>,
    },
    /// A limit is in the way. Nothing was stored.
    OverLimit(OverLimit),
    /// `retry_of` names a payment that cannot be replaced. Nothing was stored.
    BadRetry(RetryRefusal),
    /// The ledger holds a transaction with this payment's InvoiceID and no row does: rows were lost. Nothing was stored;
    /// the payment may be paid already.
    OnLedger {
        /// That transaction.
        tx_hash: Hash256,
    },
}

/// Why a payment cannot be replaced by a new one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RetryRefusal {
    /// There is no such payment of this client.
    Unknown,
    /// It may still be paid.
    NotFinal(StateName),
    /// It is paid.
    NotSafe(StateName),
    /// Another payment replaces it already.
    HasSuccessor(Id),
}

/// A payment as it stands in the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// The payment.
    pub payment: Payment,
    /// When it was stored.
    pub created: Millis,
    /// When its state or its versions last changed.
    pub updated: Millis,
    /// The caller's W3C `traceparent`.
    pub trace_parent: Option<String>,
    /// Order of creation, from 1.
    pub number: u64,
    /// When the network closed the ledger that decided it, if that is known.
    pub ledger_closed: Option<Millis>,
    /// While it waits for approval: until when.
    pub approve_before: Option<Millis>,
    /// Every version ever committed for its slot, also after evidence has decided. `None`: never bound.
    pub versions: Option<Versions>,
}

/// What became of a person's wish to unfreeze.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unfrozen {
    /// Sending goes on.
    Now,
    /// It was not frozen.
    WasNotFrozen,
    /// Still frozen: these foreign transactions were not named.
    Unnamed(Vec<Hash256>),
}

/// Which payments to list, newest first. Filters are combined with "and".
#[derive(Clone, Debug, Default)]
pub struct ListQuery {
    /// At most so many; capped at [`super::PAGE_MAX`]. 0: [`super::PAGE_DEFAULT`].
    pub limit: usize,
    /// `next` of the page before, made for the same filters.
    pub token: Option<String>,
    /// Whose payments. `None`: everybody's.
    pub client: Option<Id>,
    /// Only these states. Empty: all.
    pub states: Vec<StateName>,
    /// Created at or after this time.
    pub from: Option<Millis>,
    /// Created before this time.
    pub before: Option<Millis>,
}

/// A page of payments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListPage {
    /// Newest first.
    pub records: Vec<Record>,
    /// Token of the next page. `None`: this was the last one.
    pub next: Option<String>,
}

/// The store in numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Summary {
    /// How many payments are in each state, for every state.
    pub by_state: Vec<(StateName, u64)>,
    /// How many are not final.
    pub pending: u64,
    /// When the oldest of those was stored.
    pub oldest_pending: Option<Millis>,
    /// Sum of payments in XRP accepted within the last 24 hours and not ended unpaid.
    pub day_used: Drops,
    /// Slots that no ledger has decided yet.
    pub at_large_count: u64,
    /// Amounts of payments in XRP that are stored and not bound.
    pub accepted: Drops,
    /// The same for each configured issued currency, in the configuration's order.
    pub assets: Vec<AssetSummary>,
    /// What was committed to fees within the last hour.
    pub fees_hour: FeeBudget,
    /// The wallet's books. `None`: no balance was read yet.
    pub book: Option<Book>,
    /// Transactions made outside that were announced and have not come.
    pub announced: Vec<Announcement>,
    /// Pauses in force, the oldest first.
    pub pauses: Vec<Pause>,
}

/// The store in numbers of one issued currency. Sums are rounded up to what a value can say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AssetSummary {
    /// Which.
    pub asset: Asset,
    /// Taken at most by payments accepted within the last 24 hours and not ended unpaid.
    pub day_used: IssuedValue,
    /// Taken at most by payments that are stored and not bound.
    pub accepted: IssuedValue,
}

/// A line of a payment's timeline.
#[derive(Clone, Debug, PartialEq)]
pub struct TimelineRow {
    /// Order of commits over all payments.
    pub sequence: u64,
    /// When it was committed.
    pub at: Millis,
    /// The line, complete with time and sequence.
    pub event: TimelineEvent,
}

/// A line that a shell adds to a payment's timeline: what it tried and what it was told.
#[derive(Clone, Debug)]
pub struct Note {
    /// What kind of thing.
    pub stage: TimelineStage,
    /// One sentence for a person.
    pub summary: String,
    /// More, under the keys that the contract lists.
    pub details: Vec<(&'static str, String)>,
    /// The W3C span id under which it happened.
    pub span_id: Option<String>,
}

/// What binds a payment to a slot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bind {
    /// The payment.
    pub key: PaymentKey,
    /// Its slot.
    pub slot: Slot,
    /// The validated ledger now.
    pub since: LedgerIndex,
    /// Terms of its first version.
    pub terms: Terms,
}

/// A change of a payment, as a watcher is told of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// Where to go on after it.
    pub position: Position,
    /// What was committed.
    pub row: TimelineRow,
    /// The payment as it is now: after this change, and perhaps after later ones.
    pub record: Record,
}

/// Changes in the order of commits.
#[derive(Clone, Debug, PartialEq)]
pub struct Changes {
    /// Those that are asked for.
    pub changes: Vec<Change>,
    /// Everything up to here was looked at.
    pub position: Position,
    /// True if there is nothing behind it at this moment.
    pub at_end: bool,
}

/// Which changes a watcher wants. Filters are combined with "and".
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WatchFilter {
    /// Whose payments. `None`: everybody's.
    pub client: Option<Id>,
    /// Only changes after which the payment was in one of these. Empty: all.
    pub states: Vec<StateName>,
}

/// What a payment became.
#[derive(Clone, Debug)]
pub struct Advanced {
    /// The payment now.
    pub record: Record,
    /// What to do, now that it is committed.
    pub effects: Vec<Effect>,
    /// False if the event told nothing new.
    pub changed: bool,
}

/// A slot that no ledger has decided yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenSlot {
    /// The slot.
    pub slot: Slot,
    /// The payment that it is bound to, whatever its state.
    pub owner: Option<Record>,
    /// Set when the owner is final or absent: the slot needs a no-op.
    pub filler: Option<Filler>,
}

/// The slots as the rows know them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StoreSlots {
    /// The highest Sequence that any row was ever bound to.
    pub highest_bound: Option<u32>,
    /// The highest LastLedgerSequence that was ever committed. 0: none.
    pub highest_last_ledger: LedgerIndex,
    /// Sequences that no ledger has decided yet, lowest first.
    pub open_sorted: Vec<u32>,
}

/// What a validated ledger says, complete from the cursor up to it.
#[derive(Clone, Debug)]
pub struct Reconciliation {
    /// The ledger.
    pub ledger: LedgerRef,
    /// When the network closed it.
    pub closed_at: Option<Millis>,
    /// The wallet's Sequence in it. Must be the one of `proof`.
    pub sequence: u32,
    /// The wallet's balance in it.
    pub balance: Drops,
    /// Every validated transaction of the wallet's account since the cursor, in the ledger's order.
    pub settled: Vec<Presence>,
    /// The wallet's Sequence in it, proven.
    pub proof: StateProof,
    /// Terms of further versions, if any may be made now. Trimmed here to each payment's deadline.
    pub terms: Option<Terms>,
    /// What the guards need to know.
    pub guards: Guards,
    /// The highest Sequence that the signer says it signed for. `None`: it was not asked by this generation yet.
    pub signer_highest: Option<u32>,
    /// How many ledgers a version lives at most.
    pub window: u32,
    /// Now.
    pub at: Millis,
}

/// What books and fees need to know of a validated ledger.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Guards {
    /// Every movement of the wallet's balance since the cursor, in the ledger's order.
    pub moved: Vec<Moved>,
    /// The most that a version may cost. Zero: nobody bids more than what is asked.
    pub fee_max: Drops,
}

/// What one validated transaction did to the wallet's balance, as its metadata says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moved {
    /// The transaction.
    pub tx: Hash256,
    /// The ledger that holds it.
    pub ledger: LedgerIndex,
    /// The balance before it.
    pub before: Drops,
    /// The balance after it.
    pub after: Drops,
    /// Set if the wallet is its sender.
    pub own: Option<OwnMove>,
}

/// What a transaction of the wallet delivered and cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OwnMove {
    /// Drops that arrived; zero for a failure, a no-op and an issued currency.
    pub delivered: Drops,
    /// What the ledger charged.
    pub fee: Drops,
}

/// A transaction of the wallet that a person makes outside, and says so before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Announcement {
    /// Its hash.
    pub tx_hash: Hash256,
    /// Its LastLedgerSequence: with that ledger the announcement is over.
    pub last_ledger: LedgerIndex,
    /// As the person gave it.
    pub reason: String,
    /// Who announced it.
    pub client: String,
}

/// What became of an announcement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Announced {
    /// It is stored, now or before.
    Now,
    /// The same transaction was announced with another LastLedgerSequence.
    OtherLastLedger(LedgerIndex),
    /// So many slots are not decided: what is on them and what is announced would compete.
    AtLarge(u32),
    /// Continuity is in doubt: what is at large is not known.
    Quarantined,
    /// Its LastLedgerSequence is not one of these.
    OutOfRange {
        /// The next ledger.
        first: LedgerIndex,
        /// The farthest one.
        last: LedgerIndex,
    },
    /// So many are awaited already.
    TooMany(usize),
}

/// What a validated ledger changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reconciled {
    /// Payments that changed, and what they are now.
    pub changed: Vec<(PaymentKey, StateName)>,
    /// Transactions of the wallet that are not ours, seen for the first time.
    pub foreign: Vec<Hash256>,
    /// Transactions of rows that were lost, seen for the first time and kept.
    pub imported: Vec<Hash256>,
    /// A quarantine that began with this ledger. It is in the store already.
    pub quarantine: Option<Quarantine>,
    /// What to do, now that it is committed. A freeze is in the store already.
    pub effects: Vec<Effect>,
    /// Payments that became final, for metrics.
    pub settled: Vec<SettledStats>,
    /// Where books and ledger differ. Sending is frozen in the store already.
    pub differences: Vec<Difference>,
}

/// A payment that became final.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettledStats {
    /// Its name.
    pub key: PaymentKey,
    /// What it was to deliver.
    pub amount: Money,
    /// How it ended.
    pub state: StateName,
    /// When it was stored.
    pub created: Millis,
    /// The caller's W3C `traceparent`.
    pub trace_parent: Option<String>,
}

/// How far the store is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cursor {
    /// The last ledger that was reconciled.
    pub reconciled: Option<LedgerRef>,
    /// The wallet's balance in that ledger.
    pub balance: Option<Drops>,
    /// The signer's journal as it was recorded last.
    pub journal_height: u64,
    /// Its head at that height.
    pub journal_hash: Option<Hash256>,
    /// Generation of the dispatching gateway.
    pub epoch: u64,
    /// Set while continuity is in doubt.
    pub quarantine: Option<Quarantine>,
    /// Set while nothing may be sent.
    pub frozen: Option<Freeze>,
    /// Where the store began to reconcile.
    pub first_ledger: Option<LedgerIndex>,
    /// What was reconciled when this generation began, or an earlier one that ended before store, ledger and signer were
    /// compared. `None`: the store was fresh.
    pub doubt_from: Option<LedgerIndex>,
    /// The newest recovery of the signer's journal that was recorded.
    pub recovery: Option<(u64, Hash256)>,
    /// The next ledger of the history before the first one that is still to be imported. `None`: nothing is.
    pub import_from: Option<LedgerIndex>,
}

/// Why nothing may be sent until a person says so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Freeze {
    /// For a person.
    pub why: String,
    /// Since when.
    pub since: Millis,
}
