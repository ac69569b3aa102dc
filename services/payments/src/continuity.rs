//! Whether store, signer and ledger tell one story. If not, a quarantine lets every lost blob die before anything is bound.
//!
//! Owns: when a quarantine begins and when it ends. May not: be ended by a person or a clock.

use std::fmt;

use crate::LedgerIndex;

/// What is known at the start of a dispatching gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StartFacts {
    /// The validated ledger now.
    pub validated: LedgerIndex,
    /// The last ledger that the store has reconciled. `None`: the store is fresh.
    pub reconciled: Option<LedgerIndex>,
    /// How many ledgers a version lives at most.
    pub window: u32,
    /// Height of the signer's journal.
    pub journal_height: u64,
    /// The journal's height as the store recorded it last.
    pub recorded_height: u64,
    /// The highest Sequence that the signer signed for. 0: none.
    pub signer_highest: u32,
    /// The highest Sequence that the store bound. `None`: none.
    pub highest_bound: Option<u32>,
    /// The account's Sequence in the validated ledger.
    pub validated_sequence: u32,
    /// The signer's journal is pinned to another store.
    pub other_store: bool,
}

/// Why continuity is in doubt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Doubt {
    /// The store is fresh and the signer's journal is not.
    FreshStoreUsedJournal,
    /// The signer signed for slots that no row knows.
    SignerAhead,
    /// The store recorded more of the journal than there is.
    SignerBehind,
    /// The journal belongs to another store.
    OtherStore,
    /// The gateway was away for longer than a version lives.
    LongAbsence,
    /// A transaction of the wallet appeared that no row knows.
    UnknownTransaction,
}

/// A quarantine: until it ends nothing is bound and nothing ends unpaid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quarantine {
    /// Why.
    pub why: Doubt,
    /// It ends when this ledger is validated and everything up to it is reconciled.
    pub until: LedgerIndex,
}

/// The quarantine that these facts call for.
#[must_use]
pub fn at_start(facts: StartFacts) -> Option<Quarantine> {
    let known = facts.highest_bound.unwrap_or(0);
    let why = if facts.other_store {
        Some(Doubt::OtherStore)
    } else if facts.journal_height < facts.recorded_height {
        Some(Doubt::SignerBehind)
    } else if facts.signer_highest > known {
        // Bindings are committed before the signer is asked: a slot that only the signer knows is a lost row.
        Some(if facts.reconciled.is_none() {
            Doubt::FreshStoreUsedJournal
        } else {
            Doubt::SignerAhead
        })
    } else {
        match facts.reconciled {
            None if facts.journal_height > 0 => Some(Doubt::FreshStoreUsedJournal),
            Some(last) if facts.validated > last.plus(facts.window) => Some(Doubt::LongAbsence),
            _ => None,
        }
    };
    why.map(|why| Quarantine {
        why,
        until: facts.validated.plus(facts.window),
    })
}

impl Quarantine {
    /// True once everything that could have been lost is provably dead or known.
    #[must_use]
    pub fn is_over(self, reconciled: LedgerIndex) -> bool {
        reconciled >= self.until || xrpl_tx::mutant!("quarantine-ended-early")
    }
}

impl fmt::Display for Doubt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::FreshStoreUsedJournal => "the store is fresh and the signer's journal is not",
            Self::SignerAhead => "the signer signed for slots that the store does not know",
            Self::SignerBehind => "the signer's journal is shorter than the store recorded",
            Self::OtherStore => "the signer's journal belongs to another store",
            Self::LongAbsence => "the gateway was away for longer than a transaction lives",
            Self::UnknownTransaction => {
                "the ledger holds a transaction of the wallet that the store does not know"
            }
        })
    }
}
