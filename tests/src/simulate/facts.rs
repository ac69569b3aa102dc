//! What a run of the simulation is made of, as somebody sees it who sees everything: the true chain, the rows that were
//! committed, what the signer was asked and gave, what went to the network, and what people were told.
//!
//! Owns: the facts and nothing else; they come one at a time, in the order in which they happened. May not: judge any; that is
//! `invariants.rs`.

use std::fmt;
use std::sync::Arc;

/// A hash of the ledger.
pub type Hash = [u8; 32];

/// Takes facts down.
pub type Sink = Arc<dyn Fn(Fact) + Send + Sync>;

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fact {
    /// The network validated a ledger.
    Ledger(ChainLedger),
    /// A life of the gateway began on a store: the first, or one after a crash, or on a store that was put back.
    Began(StoreLife),
    /// A transaction of the store committed, and this is what it changed. The first one of a life shows all rows.
    Committed(Commit),
    /// The signer was asked for a signature. Nothing of the answer is known yet.
    Asked(Ask),
    /// The signer's process began, and this is what its journal holds.
    SignerBegan(Vec<Hash>),
    /// The signer's process does not begin although nothing but a crash happened to its disk, and why.
    SignerRefused(String),
    /// A signature left the signer: from here it may be on the network.
    Signed(Signature),
    /// A blob was handed to a server.
    Sent(Sending),
    /// A caller was told how a payment stands.
    Told(Telling),
    /// A copy of the store learned the same chain by another schedule of messages, and these are its verdicts.
    Replayed(Vec<(String, Standing)>),
    /// A person unfroze the wallet.
    Unfrozen,
    /// The run is over: faults have stopped long ago, and everything had the time that it needs.
    Ended,
}

/// A ledger of the true chain, with what the wallet did in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChainLedger {
    /// Its index.
    pub index: u32,
    /// Its hash.
    pub hash: Hash,
    /// The wallet's Sequence in it.
    pub sequence: u32,
    /// The wallet's drops in it.
    pub balance: u64,
    /// The wallet's own transactions in it, in their order.
    pub txs: Vec<ChainTx>,
}

/// A transaction of the wallet in a validated ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChainTx {
    /// Its hash.
    pub hash: Hash,
    /// Its Sequence.
    pub sequence: u32,
    /// What it does.
    pub content: Content,
    /// Its result is tesSUCCESS.
    pub succeeded: bool,
    /// Drops that arrived.
    pub delivered: u64,
    /// Drops that it cost.
    pub fee: u64,
    /// Nobody of us made it.
    pub is_foreign: bool,
}

/// What a transaction of the wallet does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// Pays XRP.
    Payment {
        /// Its InvoiceID: which payment it is.
        invoice: Option<Hash>,
        /// Who receives, as the ledger writes accounts.
        destination: String,
        /// The tag there.
        tag: Option<u32>,
        /// Drops.
        amount: u64,
    },
    /// Takes its slot and does nothing.
    NoOp,
    /// Anything else.
    Other,
}

/// Where a life of the gateway began.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreLife {
    /// Grows with each store that was put back or made anew: what came after the copy is lost in it.
    pub generation: u64,
}

/// What a commit changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Commit {
    /// Epoch of the gateway that made it, once it has one.
    pub by_epoch: Option<u64>,
    /// The store as a whole.
    pub meta: Meta,
    /// Payments that are new or changed.
    pub payments: Vec<PaymentRow>,
    /// Versions that are new, or got their signature.
    pub versions: Vec<VersionRow>,
    /// Slots that are decided and what used them; none: nobody shows it.
    pub resolved: Vec<(u32, Option<Hash>)>,
    /// Transactions that it found and that no row of it has made.
    pub foreign: Vec<Hash>,
}

/// The row about the store itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Meta {
    /// Whose generation it is.
    pub epoch: u64,
    /// The first ledger that it looked at.
    pub first_ledger: Option<u32>,
    /// The last ledger that it reconciled, with its hash.
    pub reconciled: Option<(u32, Hash)>,
    /// The wallet's drops there, as it read them.
    pub balance: Option<u64>,
    /// Nothing is bound until this ledger.
    pub quarantine_until: Option<u32>,
    /// Nothing is sent until a person looked.
    pub is_frozen: bool,
}

/// A payment as it stands in the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PaymentRow {
    /// Client and payment id.
    pub key: String,
    /// Its InvoiceID.
    pub invoice: Hash,
    /// Who is to receive, as the ledger writes accounts.
    pub destination: String,
    /// The tag there.
    pub tag: Option<u32>,
    /// Drops; 0 for an issued amount.
    pub amount: u64,
    /// It pays XRP.
    pub is_xrp: bool,
    /// No version may live past this ledger.
    pub deadline: Option<u32>,
    /// A cancel was committed.
    pub is_cancelled: bool,
    /// Where it stands.
    pub state: Standing,
    /// Its slot, if it was bound.
    pub slot: Option<u32>,
    /// The intent's digest on that slot.
    pub digest: Option<Hash>,
    /// What decided it.
    pub evidence: Option<Evidence>,
}

/// The state of a payment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[expect(missing_docs, reason = "the states of the contract")]
pub enum Standing {
    AwaitingApproval,
    Accepted,
    AtLarge,
    OnHold,
    Paid,
    Failed,
    Expired,
    Cancelled,
    Rejected,
}

/// What decided a payment, as far as a checker needs it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Evidence {
    /// The ledger, with its hash if the evidence names one.
    pub ledger: Option<(u32, Hash)>,
    /// The transaction.
    pub tx: Option<Hash>,
    /// Drops that arrived.
    pub delivered: u64,
    /// Drops that it cost.
    pub fee: u64,
    /// It says that the slot is unused in that ledger.
    pub is_absence: bool,
    /// It says that the payment had no slot.
    pub is_unbound: bool,
    /// It says that the signer has sealed the payment.
    pub is_seal: bool,
}

/// A version of a slot as it stands in the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VersionRow {
    /// The slot.
    pub slot: u32,
    /// Its number there.
    pub number: u32,
    /// It pays; else it is a no-op.
    pub is_payment: bool,
    /// Its fee in drops.
    pub fee: u64,
    /// The last ledger that may hold it.
    pub last_ledger: u32,
    /// Hash and blob, once its signature came back.
    pub signed: Option<(Hash, Vec<u8>)>,
}

/// A request for a signature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ask {
    /// The epoch that it carries.
    pub epoch: u64,
    /// The slot.
    pub slot: u32,
    /// Client and payment id; of a no-op, the payment that it is for.
    pub key: Option<String>,
    /// It asks for a payment; else for a no-op.
    pub is_payment: bool,
    /// The fee in drops.
    pub fee: u64,
    /// The last ledger that may hold it.
    pub last_ledger: u32,
}

/// A signature that left the signer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signature {
    /// What was asked.
    pub ask: Ask,
    /// The transaction's hash.
    pub hash: Hash,
    /// The whole transaction.
    pub blob: Vec<u8>,
    /// The journal held it already.
    pub replayed: bool,
}

/// A blob on its way to a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sending {
    /// The server.
    pub server: String,
    /// It belonged to the wallet's network when the connection was made.
    pub is_our_network: bool,
    /// The transaction's hash.
    pub hash: Hash,
    /// The whole transaction.
    pub blob: Vec<u8>,
}

/// A word to a caller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Telling {
    /// Client and payment id.
    pub key: String,
    /// The state that was told.
    pub state: Standing,
    /// It was said that paying again is safe.
    pub safe_to_repay: bool,
    /// It came by the stream of changes, not as an answer to a question.
    pub by_watch: bool,
}

// === impl Standing ===

impl Standing {
    /// The state of that word of the store.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Some(match word {
            "AWAITING_APPROVAL" => Self::AwaitingApproval,
            "ACCEPTED" => Self::Accepted,
            "AT_LARGE" => Self::AtLarge,
            "ON_HOLD" => Self::OnHold,
            "PAID" => Self::Paid,
            "FAILED" => Self::Failed,
            "EXPIRED" => Self::Expired,
            "CANCELLED" => Self::Cancelled,
            "REJECTED" => Self::Rejected,
            _ => return None,
        })
    }

    /// True if nothing may ever change it.
    #[must_use]
    pub fn is_final(self) -> bool {
        self >= Self::Paid
    }

    /// True if it says that no money moved and none ever will.
    #[must_use]
    pub fn is_unpaid(self) -> bool {
        self > Self::Paid
    }
}

impl fmt::Display for Standing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}
