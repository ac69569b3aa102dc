//! What a server told us, in our own checked types.
//!
//! Owns: plain data. May not: parse (see `wire`) or judge (see the core). A field that the server may leave out is an
//! `Option`; everything else was present and well formed, or the whole answer was refused as malformed.

use std::time::Instant;

use paygate_payments::LedgerRef;
use paygate_payments::money::Money;
use xrpl_tx::{AccountId, Amount, Asset, Drops, Hash256, IssuedAmount, IssuedValue, Slot};

/// A validated ledger, announced by the stream or by the answer to `subscribe`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LedgerEvent {
    /// Index of the validated ledger.
    pub index: u32,
    /// Its hash.
    pub hash: Hash256,
    /// Cost of the cheapest transaction in this ledger.
    pub fee_base: Drops,
    /// What an account must hold at least.
    pub reserve_base: Drops,
    /// What it must hold more for each object that it owns.
    pub reserve_inc: Drops,
    /// Close time in seconds since 2000-01-01T00:00:00Z; rounded by the network, never a clock.
    pub close_time: u32,
    /// When we saw it, on our own monotonic clock.
    pub seen: Instant,
}

/// State of the server itself (`server_state`: integers only, unlike `server_info`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerInfo {
    /// `full`, `proposing` and `validating` may be submitted to; anything else may not.
    pub server_state: String,
    /// The last validated ledger, absent when the server has none.
    pub validated: Option<LedgerRef>,
    /// Ranges of held ledgers as the server prints them; a hint, never proof.
    pub complete_ledgers: String,
    /// Network id; only some versions and configurations send it.
    pub network_id: Option<u32>,
    /// The server no longer follows the network's rules: its answers count for nothing.
    pub amendment_blocked: bool,
    /// Load factor times `load_base`.
    pub load_factor: u64,
    /// Load factor of the server alone, without the queue's escalation; equal to `load_base` when idle.
    pub load_factor_server: u64,
    /// The unit of both load factors.
    pub load_base: u64,
    /// Base fee in the validated ledger; absent with it.
    pub base_fee: Option<Drops>,
    /// Base reserve in the validated ledger; absent with it.
    pub reserve_base: Option<Drops>,
    /// Reserve for each owned object in the validated ledger; absent with it.
    pub reserve_inc: Option<Drops>,
}

impl ServerInfo {
    /// Whether a blob may be submitted: a server that is not synced relays even what it refuses.
    pub fn may_submit(&self) -> bool {
        !self.amendment_blocked
            && self.validated.is_some()
            && matches!(
                self.server_state.as_str(),
                "full" | "proposing" | "validating"
            )
    }
}

/// What transactions cost right now (`fee`), without the server's own load factor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fees {
    /// Cost of a reference transaction on an idle network.
    pub base: Drops,
    /// Least fee that is queued.
    pub minimum: Drops,
    /// Fee that enters the open ledger at this instant. Chasing it is expensive and hardly ever needed.
    pub open_ledger: Drops,
    /// Median fee of the last ledger.
    pub median: Drops,
    /// Index of the open ledger.
    pub current_index: u32,
    /// Transactions in the queue.
    pub queue_size: u64,
    /// Capacity of the queue, absent on servers that do not say.
    pub queue_max: Option<u64>,
}

/// What `submit` answered. Always provisional: there is no way from here to a final state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubmitAnswer {
    /// Result code, for example `tesSUCCESS` or `terQUEUED`.
    pub engine_result: String,
    /// The same as a number.
    pub code: i32,
    /// Applied to the open ledger.
    pub applied: bool,
    /// Put into the queue.
    pub queued: bool,
    /// The server goes on trying it at each close; such a blob may execute later whatever the code says.
    pub kept: bool,
    /// Sent on to peers just now; false also when it was sent less than 30 s ago.
    pub broadcast: bool,
    /// The server's sentence for the code, cut to a safe length.
    pub message: String,
    /// Hash by the server's account. Ours is computed from the blob; a difference is a fault of the server.
    pub tx_hash: Option<Hash256>,
}

/// An account in one ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AccountFacts {
    /// Sequence of the account's next transaction in this ledger.
    pub sequence: u32,
    /// Balance, reserve included.
    pub balance: Drops,
    /// Objects owned: each raises the reserve.
    pub owner_count: u32,
    /// Flags of the account root.
    pub flags: u32,
    /// Ledger of these facts.
    pub ledger_index: u32,
    /// Its hash.
    pub ledger_hash: Hash256,
    /// Only `true` makes the rest a fact.
    pub validated: bool,
    /// The regular key, if one is set.
    pub regular_key: Option<AccountId>,
}

/// Header of a ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LedgerHeader {
    /// Index of the ledger.
    pub index: u32,
    /// Its hash.
    pub hash: Hash256,
    /// Hash of the ledger before it.
    pub parent_hash: Hash256,
    /// Close time in seconds since 2000-01-01T00:00:00Z.
    pub close_time: u32,
    /// Whether the server says that it is validated.
    pub validated: bool,
}

/// One memo as found on the ledger: bytes, nothing assumed about them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MemoFacts {
    /// MemoType, empty when absent.
    pub memo_type: Vec<u8>,
    /// MemoData, empty when absent.
    pub data: Vec<u8>,
    /// MemoFormat, empty when absent.
    pub format: Vec<u8>,
}

/// An amount of a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PaymentAmount {
    /// The transaction has no such field.
    Absent,
    /// XRP.
    Xrp(Drops),
    /// A currency of one issuer.
    Issued(Asset, IssuedValue),
    /// Anything else, or what the server calls unavailable: never equal to an amount of ours.
    Other,
}

impl PaymentAmount {
    /// The drops, if it is XRP.
    pub fn drops(self) -> Option<Drops> {
        match self {
            PaymentAmount::Xrp(drops) => Some(drops),
            PaymentAmount::Absent | PaymentAmount::Issued(..) | PaymentAmount::Other => None,
        }
    }

    /// The amount in the core's words. `None`: there is none, or none that we could pay.
    pub fn money(self) -> Option<Money> {
        match self {
            PaymentAmount::Xrp(drops) => Some(Money::Xrp(drops)),
            PaymentAmount::Issued(asset, value) => Some(Money::Issued { asset, value }),
            PaymentAmount::Absent | PaymentAmount::Other => None,
        }
    }
}

/// What one transaction did to the balance of the account that was asked about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BalanceChange {
    /// Balance before, zero if the transaction created the account.
    pub before: Drops,
    /// Balance after, zero if the transaction deleted the account.
    pub after: Drops,
}

/// A transaction in a ledger, with what its metadata says happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LedgerTransaction {
    /// Hash of the transaction.
    pub hash: Hash256,
    /// Index of the ledger that holds it.
    pub ledger_index: u32,
    /// Hash of that ledger, absent in answers of servers that leave it out.
    pub ledger_hash: Option<Hash256>,
    /// Place within the ledger.
    pub transaction_index: u32,
    /// Only `true` makes this evidence.
    pub validated: bool,
    /// `TransactionResult` of the metadata.
    pub result: String,
    /// Sender.
    pub account: AccountId,
    /// Sequence or ticket that it used.
    pub slot: Slot,
    /// For example `Payment` or `AccountSet`.
    pub transaction_type: String,
    /// Receiver, for types that have one.
    pub destination: Option<AccountId>,
    /// Tag of the receiver.
    pub destination_tag: Option<u32>,
    /// Amount (`DeliverMax` in answers of API version 2).
    pub amount: PaymentAmount,
    /// SendMax: only payments of issued assets have one.
    pub send_max: PaymentAmount,
    /// Whether Paths or DeliverMin are present: a direct payment that delivers all or nothing has neither.
    pub has_path_fields: bool,
    /// InvoiceID.
    pub invoice_id: Option<Hash256>,
    /// Fee offered.
    pub fee: Drops,
    /// Fee charged, from the metadata if the asked account is the sender and its balance changed; else the offer.
    pub fee_charged: Drops,
    /// LastLedgerSequence.
    pub last_ledger_sequence: Option<u32>,
    /// SourceTag.
    pub source_tag: Option<u32>,
    /// NetworkID.
    pub network_id: Option<u32>,
    /// Memos in order.
    pub memos: Vec<MemoFacts>,
    /// Flags, zero when absent.
    pub flags: u32,
    /// What arrived (`delivered_amount` of the metadata), absent for anything but a success.
    pub delivered: PaymentAmount,
    /// Tickets that this transaction created; a TicketCreate moves the Sequence past them.
    pub tickets_created: Vec<u32>,
    /// Change of the asked account's balance, absent if this transaction left it alone.
    pub balance_change: Option<BalanceChange>,
}

impl LedgerTransaction {
    /// What it was to pay, if a payment of ours could have said so: in one asset, its SendMax in the same.
    pub fn plain_amount(&self) -> Option<Amount> {
        let issued = |asset, value, send_max| {
            let amount = IssuedAmount::new(asset, value).ok()?;
            Some(Amount::Issued { amount, send_max })
        };
        match (self.amount, self.send_max) {
            (PaymentAmount::Xrp(drops), PaymentAmount::Absent) => Some(Amount::Xrp(drops)),
            (PaymentAmount::Issued(asset, value), PaymentAmount::Absent) => {
                issued(asset, value, None)
            }
            (PaymentAmount::Issued(asset, value), PaymentAmount::Issued(of, send_max))
                if of == asset =>
            {
                issued(asset, value, Some(send_max))
            }
            _ => None,
        }
    }
}

/// Every transaction of an account in a range of ledgers that the server proved to cover on every page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountHistory {
    /// First ledger of the range.
    pub from: u32,
    /// Last ledger of the range.
    pub to: u32,
    /// Oldest first.
    pub transactions: Vec<LedgerTransaction>,
}

/// Answer to `tx`. `NotFound` and `Unvalidated` prove nothing at all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TxLookup {
    /// This server does not know it.
    NotFound,
    /// Known to this server, which may have refused it; dead and queued ones look the same.
    Unvalidated,
    /// In a validated ledger.
    Validated(Box<LedgerTransaction>),
}
