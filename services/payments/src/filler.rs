//! The no-op that fills a slot whose payment will never use it, so that the slots behind it can go on.
//!
//! Owns: the life of such a no-op. May not: touch a payment; the payment has ended already, or there never was one.

use xrpl_tx::{AccountId, Memo, Slot};

use crate::LedgerIndex;
use crate::intent::PaymentKey;
use crate::payment::{VersionKind, Versions};
use crate::proof::{LedgerBody, Presence};

/// A slot to be filled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filler {
    /// The slot.
    pub slot: Slot,
    /// The payment that the slot was bound to, if any.
    pub owner: Option<PaymentKey>,
    /// All versions ever committed for the slot: the ended payment's, and no-ops.
    pub versions: Option<Versions>,
}

/// What the ledger says about the slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Filled {
    /// Our no-op used it.
    ByUs,
    /// Something else used it: freeze and page.
    ByOther,
}

impl Filler {
    /// The memo that tells on the ledger what the no-op is for.
    #[must_use]
    pub fn memo(&self) -> Memo {
        match &self.owner {
            Some(key) => xrpl_tx::noop_memo(key.client.as_str(), key.payment.as_str()),
            None => xrpl_tx::filler_memo(self.slot),
        }
    }

    /// True if a further no-op is to be committed: there is none, or the newest can be in no later ledger. Adding one is always
    /// safe, since the slot takes one transaction and every candidate but the ended payment's is a no-op.
    #[must_use]
    pub fn wants_version(&self, validated: LedgerIndex) -> bool {
        let mut versions = self.versions.iter().flat_map(Versions::as_slice);
        let newest = versions.rfind(|v| v.kind == VersionKind::NoOp);
        newest.is_none_or(|version| validated >= version.last_ledger)
    }

    /// Judges the validated transaction that used the slot.
    #[must_use]
    pub fn judge(&self, account: AccountId, presence: &Presence) -> Filled {
        let tx = presence.tx();
        let known = self.versions.as_ref().is_some_and(|v| {
            v.by_hash(tx.hash)
                .is_some_and(|v| v.kind == VersionKind::NoOp)
        });
        let named = matches!(tx.body, LedgerBody::NoOp) && tx.memos.contains(&self.memo());
        if tx.account == account && tx.slot == self.slot && (known || named) {
            Filled::ByUs
        } else {
            Filled::ByOther
        }
    }
}
