//! The closed list of reasons to refuse, in words for a person, and which of them are final. Decides nothing.

use paygate_proto::signer::v1::DenialReason;
use xrpl_tx::{AccountId, Asset, Drops, IssuedValue, MemoError, Slot};

use super::{EPOCH_STEP_MAX, TransactionType};
use crate::intent::Malformed;

/// Why a request is not signed. Each is temporary or permanent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Denial {
    /// Policy or sense forbids the destination.
    #[error("destination {destination} is {why}")]
    DestinationDenied {
        /// Whom it would pay.
        destination: AccountId,
        /// What it is.
        why: &'static str,
    },
    /// More than one payment may have.
    #[error("amount of {amount} is above policy.max_payment_xrp, {limit}")]
    AmountAboveMaximum {
        /// Asked for.
        amount: Drops,
        /// Allowed.
        limit: Drops,
    },
    /// The issuer's currency is not listed.
    #[error("asset {0} is not in policy.assets")]
    AssetNotAllowed(Asset),
    /// More of the asset than one payment may have.
    #[error(
        "{charge} of {asset}, SendMax included, is above its max_payment in policy.assets, {limit}"
    )]
    AssetAmountAboveMaximum {
        /// Of what.
        asset: Asset,
        /// What it could take.
        charge: IssuedValue,
        /// Allowed.
        limit: IssuedValue,
    },
    /// The asset's sum of a day is used up.
    #[error(
        "{charge} of {asset}, SendMax included, on top of {used} within 24 hours are above its max_day in policy.assets, {limit}"
    )]
    AssetDayLimit {
        /// Of what.
        asset: Asset,
        /// What it could take.
        charge: IssuedValue,
        /// What is taken by other slots.
        used: IssuedValue,
        /// Allowed.
        limit: IssuedValue,
    },
    /// The ledger would not take the memos.
    #[error("memos are refused: {0}")]
    MemosInvalid(MemoError),
    /// The sum of a day is used up.
    #[error(
        "amount and fee of {charge} on top of {used} within 24 hours are above policy.max_day_xrp, {limit}"
    )]
    DayLimit {
        /// What it would take.
        charge: Drops,
        /// What is taken by other slots.
        used: Drops,
        /// Allowed.
        limit: Drops,
    },
    /// No fee, or one above the cap.
    #[error("fee_drops {fee_drops} is not within 1 to policy.max_fee_drops, {limit_drops}")]
    Fee {
        /// Asked for.
        fee_drops: u64,
        /// Allowed.
        limit_drops: u64,
    },
    /// The transaction would live too long.
    #[error(
        "last_ledger_sequence {asked} is not within 1 to {limit}: the signer's own estimate of the ledger index is {estimate}, \
         policy.last_ledger_window {window}"
    )]
    LastLedgerSequence {
        /// Asked for.
        asked: u32,
        /// Highest allowed now.
        limit: u32,
        /// The estimate.
        estimate: u32,
        /// The window.
        window: u32,
    },
    /// A field is missing or has no meaning.
    #[error(transparent)]
    Malformed(#[from] Malformed),
    /// Another wallet.
    #[error("account {asked} is not the signer's wallet {wallet}")]
    WrongAccount {
        /// Asked for.
        asked: AccountId,
        /// The signer's.
        wallet: AccountId,
    },
    /// Another store.
    #[error("fence.store_id is not the store that this journal belongs to")]
    WrongStore,
    /// An old or absurd epoch.
    #[error("fence.epoch {asked} is not within {highest} to {highest} + {EPOCH_STEP_MAX}")]
    Epoch {
        /// Asked for.
        asked: u64,
        /// The highest seen.
        highest: u64,
    },
    /// The store knows a frame that this journal lacks.
    #[error(
        "the store knows frame {height} of the journal, which is not in this one: the signer's disk is older than the store or another"
    )]
    JournalBehind {
        /// The frame's number.
        height: u64,
    },
    /// The slot has another intent.
    #[error("{0} belongs to another intent")]
    SlotTaken(Slot),
    /// The payment has another slot.
    #[error("the payment was given to {0}")]
    PaymentOnOtherSlot(Slot),
    /// The slot has a no-op or a seal.
    #[error("{0} takes only no-ops")]
    SlotIsNoOp(Slot),
    /// The payment is sealed.
    #[error("the payment is sealed: it is never signed")]
    Sealed,
    /// A TicketCreate may make a ticket of the sequence.
    #[error("sequence {sequence} is set aside by the TicketCreate of sequence {by}")]
    SetAside {
        /// Asked for.
        sequence: u32,
        /// The TicketCreate's.
        by: u32,
    },
    /// Tickets would be made of sequences that may be used already.
    #[error(
        "a TicketCreate of sequence {sequence} would set aside what was signed for: sequence {highest} was"
    )]
    TicketsBehind {
        /// Asked for.
        sequence: u32,
        /// The highest ever signed or sealed.
        highest: u32,
    },
    /// The policy does not list the type.
    #[error("type {0} is not in policy.allowed_types")]
    TypeNotAllowed(TransactionType),
    /// The two sides do not mean the same.
    #[error("intent_digest is not the one that the signer computes")]
    IntentDigest,
}

// === impl Denial ===

impl Denial {
    /// Whether the content itself is at fault, so that no later request can be allowed. Such a denial is told as
    /// permanent only after a seal was recorded, and never for a payment that was signed before.
    pub fn permanent(&self) -> bool {
        matches!(
            self,
            Denial::DestinationDenied { .. }
                | Denial::MemosInvalid(_)
                | Denial::AssetNotAllowed(_)
                | Denial::Sealed
        )
    }

    /// The reason in the contract.
    pub fn reason(&self) -> DenialReason {
        match self {
            Denial::DestinationDenied { .. } => DenialReason::DestinationDenied,
            Denial::AssetNotAllowed(_) => DenialReason::AssetNotAllowed,
            Denial::AmountAboveMaximum { .. } | Denial::AssetAmountAboveMaximum { .. } => {
                DenialReason::AmountAboveMaximum
            }
            Denial::MemosInvalid(_) => DenialReason::MemosInvalid,
            Denial::DayLimit { .. } | Denial::AssetDayLimit { .. } => DenialReason::DayLimit,
            Denial::Fee { .. } => DenialReason::Fee,
            Denial::LastLedgerSequence { .. } => DenialReason::LastLedgerSequence,
            Denial::Malformed(_) | Denial::WrongAccount { .. } | Denial::WrongStore => {
                DenialReason::WrongRequest
            }
            Denial::Epoch { .. } => DenialReason::Epoch,
            Denial::JournalBehind { .. } => DenialReason::JournalBehind,
            Denial::SlotTaken(_) | Denial::SetAside { .. } | Denial::TicketsBehind { .. } => {
                DenialReason::SlotTaken
            }
            Denial::PaymentOnOtherSlot(_) => DenialReason::PaymentOnOtherSlot,
            Denial::SlotIsNoOp(_) => DenialReason::SlotIsNoOp,
            Denial::Sealed => DenialReason::Sealed,
            Denial::TypeNotAllowed(_) => DenialReason::TypeNotAllowed,
            Denial::IntentDigest => DenialReason::IntentDigest,
        }
    }
}
