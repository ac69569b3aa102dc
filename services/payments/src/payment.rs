//! A payment and its states. A state is a variant with exactly its data; what moves it is [`crate::step`].
//!
//! Owns: what is a fact in each state. May not: change one.

use xrpl_tx::{Drops, Hash256, Signed, Slot};

use crate::intent::Intent;
use crate::money::Money;
use crate::preflight::RefusalReason;
use crate::{LedgerIndex, LedgerRef};

/// A payment as the store holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Payment {
    /// What is to be paid. Never changes.
    pub intent: Intent,
    /// How the ledger names it. Never changes.
    pub invoice_id: Hash256,
    /// No version may be valid past this ledger. `None`: no deadline. Never changes.
    pub deadline: Option<LedgerIndex>,
    /// Set once a cancel was committed, for ever: from then on it is not bound, and only no-ops are made for its slot.
    pub cancel: Option<CancelCause>,
    /// Where it stands.
    pub state: State,
}

/// Where a payment stands. See the table in ARCHITECTURE.md.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// Stored, limits reserved, waits for another identity's approval.
    AwaitingApproval,
    /// Stored, limits reserved, bound to no slot, never shown to the signer.
    Accepted,
    /// Bound to a slot; from here it may be on the network whatever anybody says.
    AtLarge(AtLarge),
    /// Its slot went to something unknown, or what was delivered is not the amount, or history is missing.
    OnHold(OnHold),
    /// Delivered in full in a validated ledger.
    Paid(Settled),
    /// A validated failure took its slot.
    Failed(Settled),
    /// Failed as well: something else provably took its slot, nothing carries its InvoiceID, and a person knows of it.
    Displaced(Ended),
    /// Provably in no ledger, and its deadline allows no further version; or never bound and past its deadline.
    Expired(Ended),
    /// Cancelled before it was bound, or our own no-op provably took its slot. And why it was given up.
    Cancelled(Ended, CancelCause),
    /// Refused by an approver, or sealed by the signer before it was ever signed.
    Rejected(Ended),
}

/// The name of a state, as stored and shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[expect(
    missing_docs,
    reason = "the variants of `State`, where each is explained"
)]
pub enum StateName {
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

/// What ties a payment to its slot for life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Binding {
    /// The slot.
    pub slot: Slot,
    /// Digest of the intent on that slot.
    pub digest: Hash256,
    /// Generation of the gateway that bound it.
    pub epoch: u64,
    /// The validated ledger at binding: nothing of this payment is in it or before it.
    pub since: LedgerIndex,
}

/// A bound payment whose fate the ledger has not told yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AtLarge {
    /// Its slot.
    pub binding: Binding,
    /// Every version that was ever committed for the slot.
    pub versions: Versions,
}

/// All versions of a slot, at least one, in the order of their commits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Versions(Vec<Version>);

/// One transaction for a slot, committed before the signer is asked for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version {
    /// What it does.
    pub kind: VersionKind,
    /// Its fee.
    pub fee: Drops,
    /// The last ledger that may hold it.
    pub last_ledger: LedgerIndex,
    /// The signature, if it came back. Without one it still counts as if it were on the network.
    pub signed: Option<Signed>,
}

/// What a version does with the slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VersionKind {
    /// Pays.
    Payment,
    /// Fills the slot, so that nothing else can use it.
    NoOp,
}

/// Why a payment is to be cancelled, or was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CancelCause {
    /// The caller asked for it.
    Requested,
    /// The signer denied it for a whole window, and it blocks the slots behind it.
    SignerDenied,
    /// Our own no-op took its slot, and no row says who asked for that: rows were lost.
    Forgotten,
    /// It was never bound, and its destination provably could not receive it.
    DestinationCannotReceive,
}

/// A payment that evidence stopped but did not decide.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OnHold {
    /// Its slot.
    pub binding: Binding,
    /// What is known of its slot.
    pub versions: Versions,
    /// What is wrong.
    pub why: HoldCause,
    /// The validated ledger in which it was seen.
    pub seen: LedgerRef,
}

/// Why a payment is on hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HoldCause {
    /// A validated transaction of other content took the slot.
    SlotTaken {
        /// That transaction.
        by: Hash256,
    },
    /// A validated TicketCreate of other making jumped over the slot: its number became a Ticket's.
    JumpedOver {
        /// That transaction.
        by: Hash256,
    },
    /// The account's Sequence passed the slot and no server showed what used it.
    ConsumerUnknown,
    /// The ledger says that something else than the amount was delivered.
    DeliveredDiffers {
        /// That transaction.
        by: Hash256,
    },
}

/// Evidence that a transaction in a validated ledger decided the payment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settled {
    /// The slot that it used.
    pub slot: Slot,
    /// The ledger that holds it.
    pub ledger: LedgerRef,
    /// Its hash.
    pub tx_hash: Hash256,
    /// `tesSUCCESS` or a `tec` code.
    pub result: String,
    /// What arrived. `None`: nothing, as with a `tec`.
    pub delivered: Option<Money>,
    /// What the ledger charged.
    pub fee: Drops,
    /// Operators of the servers that said so.
    pub servers: Vec<String>,
}

/// How a payment ended unpaid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ended {
    /// Its slot, if it was ever bound.
    pub slot: Option<Slot>,
    /// What proves it.
    pub proof: EndProof,
}

/// What proves that a payment will never be paid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EndProof {
    /// It was bound to no slot when this validated ledger was seen, and never will be.
    NeverBound {
        /// The validated index at that moment.
        validated: LedgerIndex,
    },
    /// A validated ledger at or past every version's LastLedgerSequence in which the slot is unused.
    Absence {
        /// That ledger.
        ledger: LedgerRef,
        /// The account's Sequence in it.
        sequence: u32,
        /// Operators of the servers that said so.
        servers: Vec<String>,
    },
    /// Our no-op used the slot.
    Filled {
        /// The ledger that holds it.
        ledger: LedgerRef,
        /// The no-op.
        tx_hash: Hash256,
        /// Its result: `tesSUCCESS`, or a `tec` code, which takes the slot as well.
        result: String,
        /// What the ledger charged.
        fee: Drops,
        /// Operators of the servers that said so.
        servers: Vec<String>,
    },
    /// A validated transaction of other content took the slot or jumped over it, no transaction in the ledgers searched, which
    /// reach from the binding past that one, carries the payment's InvoiceID, and a person has taken note.
    Displaced {
        /// The ledger that holds the transaction.
        ledger: LedgerRef,
        /// The transaction.
        by: Hash256,
        /// The first ledger searched.
        searched_from: LedgerIndex,
        /// The last one.
        searched_to: LedgerIndex,
    },
    /// The signer's journal holds a seal: it will never sign this payment, and never has.
    Sealed(Seal),
    /// It was bound to no slot when this validated ledger showed that its destination cannot receive it, and never will be.
    CannotReceive(CannotReceive),
}

/// A validated ledger in which the destination of a payment cannot receive it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CannotReceive {
    /// The ledger.
    pub ledger: LedgerRef,
    /// Why it cannot.
    pub reason: RefusalReason,
    /// For a person: what stands in the way, with its values, and what to do next.
    pub detail: String,
    /// Operators of the servers that said so.
    pub servers: Vec<String>,
}

/// The signer's promise never to sign a payment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seal {
    /// Height of the journal that holds the seal.
    pub height: u64,
    /// Head of the journal at that height.
    pub hash: Hash256,
    /// The signer's reason.
    pub reason: String,
}

// === impl State ===

impl StateName {
    /// Every state.
    pub const ALL: [Self; 9] = [
        Self::AwaitingApproval,
        Self::Accepted,
        Self::AtLarge,
        Self::OnHold,
        Self::Paid,
        Self::Failed,
        Self::Expired,
        Self::Cancelled,
        Self::Rejected,
    ];

    /// The word that is stored and shown.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::AwaitingApproval => "AWAITING_APPROVAL",
            Self::Accepted => "ACCEPTED",
            Self::AtLarge => "AT_LARGE",
            Self::OnHold => "ON_HOLD",
            Self::Paid => "PAID",
            Self::Failed => "FAILED",
            Self::Expired => "EXPIRED",
            Self::Cancelled => "CANCELLED",
            Self::Rejected => "REJECTED",
        }
    }

    /// The state of that word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|name| name.as_str() == word)
    }

    /// True if nothing ever changes it.
    #[must_use]
    pub fn is_final(self) -> bool {
        match self {
            Self::Paid | Self::Failed | Self::Expired | Self::Cancelled | Self::Rejected => true,
            Self::AwaitingApproval | Self::Accepted | Self::AtLarge | Self::OnHold => false,
        }
    }

    /// True only if it is proven that this payment moved no money and never will: paying again, under a new id, is safe.
    #[must_use]
    pub fn safe_to_repay(self) -> bool {
        match self {
            Self::Failed | Self::Expired | Self::Cancelled | Self::Rejected => true,
            Self::AwaitingApproval | Self::Accepted | Self::AtLarge | Self::OnHold | Self::Paid => {
                false
            }
        }
    }
}

impl State {
    /// Its name.
    #[must_use]
    pub fn name(&self) -> StateName {
        match self {
            Self::AwaitingApproval => StateName::AwaitingApproval,
            Self::Accepted => StateName::Accepted,
            Self::AtLarge(_) => StateName::AtLarge,
            Self::OnHold(_) => StateName::OnHold,
            Self::Paid(_) => StateName::Paid,
            Self::Failed(_) | Self::Displaced(_) => StateName::Failed,
            Self::Expired(_) => StateName::Expired,
            Self::Cancelled(..) => StateName::Cancelled,
            Self::Rejected(_) => StateName::Rejected,
        }
    }

    /// The versions of a bound payment that the ledger has not decided.
    #[must_use]
    pub fn versions(&self) -> Option<&Versions> {
        match self {
            Self::AtLarge(at_large) => Some(&at_large.versions),
            Self::OnHold(held) => Some(&held.versions),
            Self::AwaitingApproval
            | Self::Accepted
            | Self::Paid(_)
            | Self::Failed(_)
            | Self::Displaced(_)
            | Self::Expired(_)
            | Self::Cancelled(..)
            | Self::Rejected(_) => None,
        }
    }

    /// The slot that the payment is or was bound to.
    #[must_use]
    pub fn slot(&self) -> Option<Slot> {
        match self {
            Self::AwaitingApproval | Self::Accepted => None,
            Self::AtLarge(at_large) => Some(at_large.binding.slot),
            Self::OnHold(held) => Some(held.binding.slot),
            Self::Paid(settled) | Self::Failed(settled) => Some(settled.slot),
            Self::Expired(ended)
            | Self::Cancelled(ended, _)
            | Self::Rejected(ended)
            | Self::Displaced(ended) => ended.slot,
        }
    }
}

// === impl Versions ===

impl Versions {
    /// The first version of a slot.
    #[must_use]
    pub fn first(version: Version) -> Self {
        Self(vec![version])
    }

    /// All versions as the store kept them. `None` if there are none.
    #[must_use]
    pub fn restore(versions: Vec<Version>) -> Option<Self> {
        if versions.is_empty() {
            None
        } else {
            Some(Self(versions))
        }
    }

    /// In the order of their commits; a version's number is its place here.
    #[must_use]
    pub fn as_slice(&self) -> &[Version] {
        &self.0
    }

    /// The newest one, and its number.
    #[must_use]
    pub fn latest(&self) -> (usize, &Version) {
        let last = self
            .0
            .len()
            .checked_sub(1)
            .expect("there is always a first version");
        (last, &self.0[last])
    }

    /// The highest LastLedgerSequence of all, signed or not: only past it can absence be proven.
    #[must_use]
    pub fn highest_last_ledger(&self) -> LedgerIndex {
        self.0
            .iter()
            .map(|v| v.last_ledger)
            .max()
            .expect("there is always a first version")
    }

    /// True if a signature of any version ever came back.
    #[must_use]
    pub fn ever_signed(&self) -> bool {
        self.0.iter().any(|v| v.signed.is_some())
    }

    /// Adds a version.
    #[must_use]
    pub fn with(mut self, version: Version) -> Self {
        self.0.push(version);
        self
    }

    /// Stores the signature of version `number`. `None` if there is no such version or it has another signature.
    #[must_use]
    pub fn with_signature(mut self, number: usize, signed: Signed) -> Option<Self> {
        let version = self.0.get_mut(number)?;
        match &version.signed {
            Some(known) if *known != signed => None,
            _ => {
                version.signed = Some(signed);
                Some(self)
            }
        }
    }

    /// The version of that hash.
    #[must_use]
    pub fn by_hash(&self, hash: Hash256) -> Option<&Version> {
        self.0
            .iter()
            .find(|v| v.signed.as_ref().is_some_and(|s| s.hash == hash))
    }
}
