//! The evidence that a payment was never paid because its slot went to something else.
//!
//! Owns: the only maker of [`Displaced`]. May not: be given less than all of it: the transaction that took the slot, shown in a
//! validated ledger; the whole history of the wallet since the binding; and a person who took note of that transaction.

use xrpl_tx::{Hash256, Slot};

use crate::intent::PaymentKey;
use crate::payment::{HoldCause, Payment, State};
use crate::{LedgerIndex, LedgerRef};

/// What the rows hold of the wallet's history, complete from `from` to `to`: every ledger between was taken in, with the
/// servers' word that they show all of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct History {
    /// The first ledger of the range.
    pub from: LedgerIndex,
    /// The last one.
    pub to: LedgerIndex,
    /// A transaction that no row made carries the payment's InvoiceID.
    pub invoice_seen: bool,
    /// The transaction of which a person has said that it is known, if it is the one that took the slot.
    pub acknowledged: Option<Hash256>,
}

/// A payment's slot went to something else, nothing carries its InvoiceID, and a person knows of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Displaced {
    key: PaymentKey,
    slot: Slot,
    ledger: LedgerRef,
    by: Hash256,
    searched_from: LedgerIndex,
    searched_to: LedgerIndex,
}

/// Why a payment on hold stays there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StaysOnHold {
    /// It is not on hold, or for another reason than a slot that a shown transaction took or jumped over.
    OtherCause,
    /// The history does not reach from its binding to the ledger that took its slot.
    HistoryMissing,
    /// Something that no row made carries its InvoiceID: it may be paid by that.
    InvoiceSeen,
    /// Nobody has said that the transaction that took the slot is known.
    NotAcknowledged,
}

impl Displaced {
    /// The evidence for a payment on hold, or what it lacks.
    pub fn of(payment: &Payment, history: History) -> Result<Self, StaysOnHold> {
        let State::OnHold(held) = &payment.state else {
            return Err(StaysOnHold::OtherCause);
        };
        let by = match held.why {
            HoldCause::SlotTaken { by } | HoldCause::JumpedOver { by } => by,
            HoldCause::ConsumerUnknown | HoldCause::DeliveredDiffers { .. } => {
                return Err(StaysOnHold::OtherCause);
            }
        };
        // At its binding nothing of it was in the validated ledger or before: the history begins right after.
        if history.from > held.binding.since.plus(1) || history.to < held.seen.index {
            return Err(StaysOnHold::HistoryMissing);
        }
        if history.invoice_seen {
            return Err(StaysOnHold::InvoiceSeen);
        }
        if history.acknowledged != Some(by) {
            return Err(StaysOnHold::NotAcknowledged);
        }
        Ok(Self {
            key: payment.intent.key.clone(),
            slot: held.binding.slot,
            ledger: held.seen,
            by,
            searched_from: history.from,
            searched_to: history.to,
        })
    }

    /// The payment that it is about.
    #[must_use]
    pub fn key(&self) -> &PaymentKey {
        &self.key
    }

    /// Its slot.
    #[must_use]
    pub fn slot(&self) -> Slot {
        self.slot
    }

    /// The ledger that holds the transaction.
    #[must_use]
    pub fn ledger(&self) -> LedgerRef {
        self.ledger
    }

    /// The transaction that took the slot, or jumped over it.
    #[must_use]
    pub fn by(&self) -> Hash256 {
        self.by
    }

    /// The ledgers in which nothing carries the payment's InvoiceID.
    #[must_use]
    pub fn searched(&self) -> (LedgerIndex, LedgerIndex) {
        (self.searched_from, self.searched_to)
    }
}
