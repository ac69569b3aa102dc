//! What the dispatcher reads off a slot that no ledger has decided yet.
//!
//! Owns: questions about rows, answered from the rows alone. May not: remember anything.

use paygate_payments::LedgerIndex;
use paygate_payments::money::Money;
use paygate_payments::payment::{CancelCause, Payment, State, VersionKind, Versions};
use xrpl_tx::{Asset, Drops, IssuedValue};

use crate::store::OpenSlot;

impl OpenSlot {
    /// Versions of a payment that is at large on this slot.
    pub(super) fn live_versions(&self) -> Option<&Versions> {
        match &self.owner.as_ref()?.payment.state {
            State::AtLarge(at_large) => Some(&at_large.versions),
            _ => None,
        }
    }

    pub(super) fn is_cancelled(&self) -> bool {
        self.owner
            .as_ref()
            .is_some_and(|r| r.payment.cancel.is_some())
            && self.live_versions().is_some()
    }

    /// A cancel was committed and no no-op competes for the slot yet.
    pub(super) fn wants_noop(&self) -> bool {
        let has_noop = |v: &Versions| v.as_slice().iter().any(|v| v.kind == VersionKind::NoOp);
        self.is_cancelled() && !self.live_versions().is_some_and(has_noop)
    }

    /// A no-op was ever committed for the slot.
    pub(super) fn has_noop(&self) -> bool {
        let versions = self.versions().map(Versions::as_slice).unwrap_or_default();
        versions.iter().any(|v| v.kind == VersionKind::NoOp)
    }

    /// The memo of a no-op on this slot: it names the payment, unless that has another slot, of a lost row, in the signer's journal.
    pub(super) fn noop_memo(&self) -> Option<xrpl_tx::Memo> {
        let payment = &self.owner.as_ref()?.payment;
        if has_other_slot(payment) {
            return Some(xrpl_tx::filler_memo(self.slot));
        }
        let key = &payment.intent.key;
        Some(xrpl_tx::noop_memo(
            key.client.as_str(),
            key.payment.as_str(),
        ))
    }

    fn versions(&self) -> Option<&Versions> {
        self.live_versions()
            .or_else(|| self.filler.as_ref()?.versions.as_ref())
    }

    pub(super) fn ever_signed(&self) -> bool {
        self.versions().is_some_and(Versions::ever_signed)
    }

    pub(super) fn highest_last_ledger(&self) -> Option<LedgerIndex> {
        self.versions().map(Versions::highest_last_ledger)
    }

    /// The dearest fee of all its versions.
    pub(super) fn highest_fee(&self) -> Drops {
        self.versions()
            .and_then(|v| v.as_slice().iter().map(|v| v.fee).max())
            .unwrap_or(Drops::ZERO)
    }

    /// The most that this slot may still take out of the wallet: an amount at most once, and its dearest fee.
    fn exposure(&self) -> Drops {
        let fee = self.highest_fee();
        let amount = match (&self.filler, &self.owner) {
            (None, Some(record)) => record.payment.intent.drops(),
            _ => Drops::ZERO,
        };
        amount.checked_add(fee).unwrap_or(Drops::MAX)
    }
}

/// A lost row had bound it to another slot: the signer's journal holds it there for ever.
pub(super) fn has_other_slot(payment: &Payment) -> bool {
    payment.cancel == Some(CancelCause::Forgotten)
}

/// The most of an asset that these slots may still take out of the wallet, rounded up to what a value can say.
pub(crate) fn asset_exposure<'a>(
    slots: impl Iterator<Item = &'a OpenSlot>,
    asset: Asset,
) -> IssuedValue {
    let taken = slots.filter_map(|slot| match (&slot.filler, &slot.owner) {
        (None, Some(record)) => match record.payment.intent.takes() {
            Money::Issued { asset: of, value } if of == asset => Some(value),
            Money::Issued { .. } | Money::Xrp(_) => None,
        },
        _ => None,
    });
    taken.fold(IssuedValue::ZERO, |sum, value| {
        sum.checked_add_up(value).unwrap_or(IssuedValue::MAX)
    })
}

/// The most that these slots may still take out of the wallet.
pub(super) fn exposure<'a>(slots: impl Iterator<Item = &'a OpenSlot>) -> Drops {
    slots.fold(Drops::ZERO, |sum, slot| {
        sum.checked_add(slot.exposure()).unwrap_or(Drops::MAX)
    })
}
