//! Checks of what the signer is asked, gives, and keeps.

use super::books::short;
use super::{
    BOUNDED_LIFE, Checker, FROZEN_SIGNS_NOTHING, ONE_GENERATION, ONE_SLOT, QUARANTINE_HOLDS,
    RESTART_LOSES_NOTHING, ROW_FIRST, SAME_BYTES, SAME_CONTENT, SLOT_NEVER_TWICE,
};
use crate::simulate::facts::{Ask, Hash, Signature};

impl Checker {
    pub(super) fn see_ask(&mut self, ask: &Ask) {
        let stored = self.books.is_stored(ask);
        self.expect(stored, ROW_FIRST, || {
            format!(
                "the signer is asked for slot {} up to ledger {} at {} drops, and the store has no such version",
                ask.slot, ask.last_ledger, ask.fee
            )
        });
        // What was asked before cannot be called back, however late the signer gets it; a turn that has begun may end.
        let frozen = self.books.frozen_at.filter(|_| !self.books.has_looked);
        let has_begun = frozen.is_none_or(|at| self.books.validated <= at.saturating_add(1));
        self.expect(has_begun, FROZEN_SIGNS_NOTHING, || {
            format!(
                "the signer is asked for slot {}, and the wallet is frozen since ledger {frozen:?}",
                ask.slot
            )
        });
    }

    pub(super) fn see_signer(&mut self, held: &[Hash]) {
        let lost = self
            .books
            .signatures
            .keys()
            .find(|hash| !held.contains(hash))
            .map(short);
        if let Some(hash) = lost {
            self.violated(
                RESTART_LOSES_NOTHING,
                format!("{hash} has left the signer, and its journal does not hold it"),
            );
        }
    }

    pub(super) fn see_signature(&mut self, signature: &Signature) {
        let Signature { ask, hash, .. } = signature;
        let (slot, short) = (ask.slot, short(hash));
        let request = (slot, ask.is_payment, ask.fee, ask.last_ledger);
        let before = self.books.by_request.insert(request, *hash);
        self.expect(
            before.is_none_or(|before| before == *hash),
            SAME_BYTES,
            || {
                format!(
                    "slot {slot} up to ledger {} was signed twice, with different bytes",
                    ask.last_ledger
                )
            },
        );
        if !signature.replayed {
            self.see_new_signature(ask);
        }
        if let (true, Some(key)) = (ask.is_payment, &ask.key) {
            let owner = self
                .books
                .signed_slots
                .entry(slot)
                .or_insert(key.clone())
                .clone();
            self.expect(owner == *key, SLOT_NEVER_TWICE, || {
                format!("{short} is signed for {key} on slot {slot}, which was signed for {owner}")
            });
            let first = *self
                .books
                .signed_payments
                .entry(key.clone())
                .or_insert(slot);
            self.expect(first == slot, ONE_SLOT, || {
                format!("{short} is signed for {key} on slot {slot}, which was signed on {first}")
            });
        } else if !ask.is_payment {
            self.books.signed_noops.insert(slot);
        }
        self.books.signatures.insert(*hash, signature.clone());
    }

    fn see_new_signature(&mut self, ask: &Ask) {
        let slot = ask.slot;
        let given_up = ask.is_payment && self.books.signed_noops.contains(&slot);
        self.expect(!given_up, SAME_CONTENT, || {
            format!("a payment is signed on slot {slot} after a no-op")
        });
        let validated = self.books.validated;
        let latest = validated.saturating_add(self.rules.window);
        self.expect(ask.last_ledger <= latest, BOUNDED_LIFE, || {
            format!(
                "slot {slot} is signed up to ledger {}, more than a window past {validated}",
                ask.last_ledger
            )
        });
        let highest = self.books.signer_epoch.max(ask.epoch);
        self.expect(ask.epoch >= highest, ONE_GENERATION, || {
            format!(
                "slot {slot} is signed for generation {}, after {highest}",
                ask.epoch
            )
        });
        self.books.signer_epoch = highest;
        self.check_forgotten(&format!("slot {slot} is signed"));
    }

    /// Something is bound or signed: no blob that the store has forgotten may still be alive.
    pub(super) fn check_forgotten(&mut self, what: &str) {
        let forgotten = self.books.forgotten().map(|signature| {
            format!(
                "{what}, and {} on slot {} may come until ledger {}, of which the store has no version",
                short(&signature.hash),
                signature.ask.slot,
                signature.ask.last_ledger
            )
        });
        if let Some(detail) = forgotten {
            self.violated(QUARANTINE_HOLDS, detail);
        }
    }
}
