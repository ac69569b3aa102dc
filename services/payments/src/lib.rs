//! The core of Paygate: everything that decides about a payment, and nothing that acts.
//!
//! Pure and total: no socket, clock, task, database or randomness; those arrive as arguments. The gateway is the shell
//! that commits what this crate decides and only then acts.
//!
//! # Layout
//! - [`intent`]: what a caller asked for, its identity, and the digests that bind it to a slot.
//! - [`payment`]: a payment and its states, each a variant with exactly its data.
//! - [`step`]: the one transition function.
//! - [`proof`]: evidence from validated ledgers; the only maker of [`proof::Presence`] and [`proof::StateProof`].
//! - [`agreement`]: what several servers say of one thing, and whether enough say the same.
//! - [`preflight`]: whether a destination provably cannot receive a payment that was never bound.
//! - [`codes`]: every result code and refusal of the ledger's servers: what it means, and what happens next.
//! - [`slots`]: which slot comes next, and how much may be bound now.
//! - [`filler`]: the no-op that fills a slot whose payment will never use it.
//! - [`terms`]: fee and LastLedgerSequence of a version; [`bump`]: when a slot bids more; [`budget`]: how much in an hour.
//! - [`books`]: whether the ledger's balance is what payments, fees and inflows make of it.
//! - [`displaced`]: the evidence that a payment whose slot went to something else was never paid.
//! - [`money`]: an amount together with what it is an amount of.
//! - [`limits`]: what is let in; [`clients`]: of one client; [`rollout`]: stage by stage, and what stands between two stages.
//! - [`continuity`]: whether store, signer and ledger tell one story; when to quarantine.
#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod agreement;
pub mod books;
pub mod budget;
pub mod bump;
pub mod clients;
pub mod codes;
pub mod continuity;
pub mod displaced;
pub mod filler;
pub mod intent;
pub mod limits;
pub mod money;
pub mod payment;
pub mod preflight;
pub mod proof;
pub mod rollout;
pub mod slots;
pub mod step;
pub mod terms;

use std::fmt;

/// Index of a ledger.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LedgerIndex(pub u32);

impl LedgerIndex {
    /// The index `ledgers` later. Indexes end at `u32::MAX`, some five hundred years from now.
    #[must_use]
    pub fn plus(self, ledgers: u32) -> Self {
        Self(self.0.saturating_add(ledgers))
    }
}

impl fmt::Display for LedgerIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A ledger, named so that two servers can agree on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct LedgerRef {
    /// Its index.
    pub index: LedgerIndex,
    /// Its hash.
    pub hash: xrpl_tx::Hash256,
}
