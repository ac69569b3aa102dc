//! What the checks remember.
//!
//! Owns: the chain, the store as it stands now, all blobs that were ever stored, all signatures that ever left, all finals that
//! were ever reached. May not: judge.

use std::collections::{BTreeMap, BTreeSet};

use crate::simulate::facts::{
    Ask, ChainTx, Commit, Content, Evidence, Hash, Meta, PaymentRow, Signature, Standing,
    StoreLife, VersionRow,
};

/// A ledger of the chain.
#[derive(Clone, Copy, Debug)]
pub(super) struct Header {
    pub(super) hash: Hash,
    pub(super) sequence: u32,
    pub(super) balance: u64,
}

/// A payment's end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct End {
    pub(super) state: Standing,
    pub(super) evidence: Option<Evidence>,
}

/// The store as it stands.
#[derive(Clone, Debug, Default)]
pub(super) struct Stored {
    pub(super) meta: Meta,
    pub(super) rows: BTreeMap<String, PaymentRow>,
    /// By slot and number.
    pub(super) versions: BTreeMap<(u32, u32), VersionRow>,
    pub(super) owners: BTreeMap<u32, String>,
    pub(super) resolved: BTreeMap<u32, Option<Hash>>,
    pub(super) foreign: BTreeSet<Hash>,
}

impl Stored {
    /// The row about the store, and the rows that this commit changes, as they were.
    pub(super) fn touched_by(&self, commit: &Commit) -> Self {
        let rows = commit.payments.iter();
        let rows = rows.filter_map(|row| self.rows.get_key_value(&row.key));
        let versions = commit.versions.iter();
        let versions = versions.map(|version| (version.slot, version.number));
        let versions = versions.filter_map(|id| self.versions.get_key_value(&id));
        Self {
            meta: self.meta.clone(),
            rows: rows.map(|(key, row)| (key.clone(), row.clone())).collect(),
            versions: versions.map(|(id, row)| (*id, row.clone())).collect(),
            ..Self::default()
        }
    }
}

#[derive(Debug, Default)]
pub(super) struct Books {
    // --- the chain ---
    pub(super) validated: u32,
    pub(super) ledgers: BTreeMap<u32, Header>,
    pub(super) txs: BTreeMap<Hash, (u32, ChainTx)>,
    pub(super) by_invoice: BTreeMap<Hash, Vec<Hash>>,
    // --- the store ---
    pub(super) generation: Option<u64>,
    /// A life has begun, and its first commit shows all rows.
    pub(super) begins: Option<Begin>,
    pub(super) store: Stored,
    /// The validated ledger when something froze the wallet; a person has not looked since.
    pub(super) frozen_at: Option<u32>,
    /// A person has looked, and the store has not taken it in yet.
    pub(super) has_looked: bool,
    /// Of all stores there ever were.
    pub(super) blobs: BTreeMap<Hash, Vec<u8>>,
    pub(super) invoices: BTreeMap<Hash, String>,
    pub(super) ends: BTreeMap<String, End>,
    /// Payments whose end was in a store that is lost.
    pub(super) lost_ends: BTreeSet<String>,
    pub(super) store_was_replaced: bool,
    // --- the signer ---
    pub(super) signatures: BTreeMap<Hash, Signature>,
    pub(super) by_request: BTreeMap<(u32, bool, u64, u32), Hash>,
    pub(super) signed_slots: BTreeMap<u32, String>,
    pub(super) signed_payments: BTreeMap<String, u32>,
    pub(super) signed_noops: BTreeSet<u32>,
    pub(super) signer_epoch: u64,
    // --- words ---
    pub(super) told: BTreeMap<String, Standing>,
    pub(super) watched: BTreeMap<String, Standing>,
}

/// How a life began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Begin {
    /// On the store as it was.
    Same,
    /// On a store that was put back or made anew.
    Other,
}

impl Books {
    pub(super) fn begin(&mut self, life: &StoreLife) {
        let begin = match self.generation {
            Some(known) if known == life.generation => Begin::Same,
            _ => Begin::Other,
        };
        // A crash between two beginnings takes nothing back of the first.
        let earlier = self.begins == Some(Begin::Other);
        if begin == Begin::Other && self.generation.is_some() {
            self.store_was_replaced = true;
            // An end of which nobody was told is lost with its store: its caller may ask anew, with another deadline. One that was told
            // stays true for ever.
            self.ends.retain(|key, _| self.told.contains_key(key));
            self.lost_ends.extend(self.ends.keys().cloned());
        }
        self.begins = Some(if earlier { Begin::Other } else { begin });
        self.generation = Some(life.generation);
    }

    pub(super) fn unfrozen(&mut self) {
        self.has_looked = self.frozen_at.is_some();
    }

    /// The wallet's Sequence in the newest ledger.
    pub(super) fn sequence(&self) -> u32 {
        self.ledgers
            .last_key_value()
            .map_or(0, |(_, header)| header.sequence)
    }

    /// Successful payments with this InvoiceID.
    pub(super) fn paid(&self, invoice: &Hash) -> Vec<(u32, &ChainTx)> {
        let hashes = self.by_invoice.get(invoice).map_or(&[][..], Vec::as_slice);
        let found = hashes.iter().filter_map(|hash| self.txs.get(hash));
        found
            .filter(|(_, tx)| tx.succeeded)
            .map(|(ledger, tx)| (*ledger, tx))
            .collect()
    }

    /// True if this signature can still come into a ledger.
    pub(super) fn lives(&self, signature: &Signature) -> bool {
        signature.ask.last_ledger > self.validated && signature.ask.slot >= self.sequence()
    }

    /// Signatures that can still come into a ledger and of which the store has no version.
    pub(super) fn forgotten(&self) -> Option<&Signature> {
        self.signatures
            .values()
            .find(|signature| self.lives(signature) && !self.is_stored(&signature.ask))
    }

    /// True if a store was lost, and nothing that was signed for this payment until then can come into a ledger any more.
    pub(super) fn is_forgotten_and_dead(&self, key: &str) -> bool {
        let mut signed = self.signatures.values();
        self.store_was_replaced
            && !signed.any(|signature| {
                signature.ask.is_payment
                    && signature.ask.key.as_deref() == Some(key)
                    && self.lives(signature)
            })
    }

    /// True if the store has the version that is asked for.
    pub(super) fn is_stored(&self, ask: &Ask) -> bool {
        let of_slot = self
            .store
            .versions
            .range((ask.slot, 0)..=(ask.slot, u32::MAX));
        of_slot.into_iter().any(|(_, version)| {
            version.is_payment == ask.is_payment
                && version.fee == ask.fee
                && version.last_ledger == ask.last_ledger
        })
    }

    /// True if the store knows anything of this slot.
    pub(super) fn knows_slot(&self, slot: u32) -> bool {
        let store = &self.store;
        store.owners.contains_key(&slot)
            || store.resolved.contains_key(&slot)
            || store
                .versions
                .range((slot, 0)..=(slot, u32::MAX))
                .next()
                .is_some()
    }

    /// True if the store now is not the one in which some ends were committed.
    pub(super) fn is_other_store(&self) -> bool {
        self.store_was_replaced
    }

    /// True if the end of this payment was committed in a store that was lost since.
    pub(super) fn is_lost_end(&self, key: &str) -> bool {
        self.lost_ends.contains(key)
    }
}

/// The InvoiceID of a payment.
pub(super) fn invoice_of(tx: &ChainTx) -> Option<Hash> {
    match &tx.content {
        Content::Payment { invoice, .. } => *invoice,
        Content::NoOp | Content::Other => None,
    }
}

/// A hash as people read it, shortened.
pub(super) fn short(hash: &Hash) -> String {
    hex::encode_upper(&hash[..6])
}
