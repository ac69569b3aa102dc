//! The no-op that fills a slot whose payment will never use it, so that the slots behind it can go on.
//!
//! Owns: the life of such a no-op. May not: touch a payment; the payment has ended already, or there never was one.

use xrpl_tx::{AccountId, Memo, Signed, Slot};

use crate::intent::PaymentKey;
use crate::payment::{VersionKind, Versions};
use crate::proof::{LedgerBody, Presence, StateProof};
use crate::terms::Terms;

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

/// What to do about a slot that is to be filled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FillMove {
    /// Commit a no-op with these terms, then ask the signer for it.
    Add(Terms),
    /// Ask the signer for this version.
    Sign(usize),
    /// Send this blob.
    Send(Signed),
    /// Wait for the ledger.
    Wait,
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

    /// What to do next. `proof` is a state proof of the newest validated ledger.
    #[must_use]
    pub fn next(&self, proof: &StateProof, terms: Terms) -> FillMove {
        let noop = self
            .versions
            .iter()
            .flat_map(|v| v.as_slice().iter().enumerate())
            .filter(|(_, v)| v.kind == VersionKind::NoOp)
            .last();
        match noop {
            None => FillMove::Add(terms),
            Some((_, version)) if proof.ledger().index >= version.last_ledger => FillMove::Add(terms),
            Some((_, version)) if version.signed.is_some() => match &version.signed {
                Some(signed) => FillMove::Send(signed.clone()),
                None => FillMove::Wait,
            },
            Some((number, _)) => FillMove::Sign(number),
        }
    }

    /// Judges the validated transaction that used the slot.
    #[must_use]
    pub fn judge(&self, account: AccountId, presence: &Presence) -> Filled {
        let tx = presence.tx();
        let known = self.versions.as_ref().is_some_and(|v| v.by_hash(tx.hash).is_some_and(|v| v.kind == VersionKind::NoOp));
        let named = matches!(tx.body, LedgerBody::NoOp) && tx.memos.contains(&self.memo());
        if tx.account == account && tx.slot == self.slot && (known || named) { Filled::ByUs } else { Filled::ByOther }
    }
}
