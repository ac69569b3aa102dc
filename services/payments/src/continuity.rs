//! Whether store, signer and ledger tell one story. If not, a quarantine lets every lost blob die before anything is bound.
//!
//! Owns: when a quarantine begins, whether it may end, and what its words tell a person. May not: be ended by a person or a clock.

use std::fmt;

use crate::LedgerIndex;

/// What is known when store, signer and ledger are compared: at the start of a dispatching gateway, and whenever the signer
/// says something new of itself.
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
    /// The journal holds another frame at the recorded height.
    pub journal_differs: bool,
    /// A person took the journal into use again after it was lost or put back, and the store has not recorded that yet.
    pub journal_recovered: bool,
    /// The highest Sequence that the signer signed for. 0: none.
    pub signer_highest: u32,
    /// The highest Sequence that the store bound. `None`: none.
    pub highest_bound: Option<u32>,
    /// The highest LastLedgerSequence that the signer signed. 0: none.
    pub signer_last_ledger: LedgerIndex,
    /// The highest LastLedgerSequence that the store committed. 0: none.
    pub committed_last_ledger: LedgerIndex,
    /// The account's Sequence in the validated ledger.
    pub validated_sequence: u32,
    /// The signer's journal is pinned to another store.
    pub other_store: bool,
    /// Generation of this gateway.
    pub epoch: u64,
    /// The highest generation that the signer has heard of from this store.
    pub signer_epoch: u64,
}

/// Why continuity is in doubt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Doubt {
    /// The store is fresh and the signer's journal is not.
    FreshStoreUsedJournal,
    /// The signer signed what no row knows.
    SignerAhead,
    /// The store recorded what the journal does not hold.
    SignerBehind,
    /// The journal belongs to another store.
    OtherStore,
    /// The gateway was away for longer than a version lives.
    LongAbsence,
    /// A transaction of the wallet appeared that no row knows.
    UnknownTransaction,
    /// A person took the signer's journal into use again after it was lost or put back.
    JournalRecovered,
    /// Another gateway signs for this store with a higher epoch.
    TakenOver,
}

/// A quarantine: until it ends nothing is bound and nothing ends unpaid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quarantine {
    /// Why.
    pub why: Doubt,
    /// It ends when this ledger is validated and everything up to it is reconciled, unless the doubt stands.
    pub until: LedgerIndex,
}

/// The quarantine that these facts call for when a generation begins.
#[must_use]
pub fn at_start(facts: StartFacts) -> Option<Quarantine> {
    let why = standing(facts)
        .filter(|doubt| *doubt != Doubt::TakenOver)
        .or_else(|| lost_rows(facts))
        // A generation is the store's alone: one that the signer has heard of before it began was handed out twice.
        .or_else(|| (facts.signer_epoch >= facts.epoch).then_some(Doubt::SignerAhead))
        .or_else(|| match facts.reconciled {
            None if facts.journal_height > 0 => Some(Doubt::FreshStoreUsedJournal),
            Some(last) if facts.validated > last.plus(facts.window) => Some(Doubt::LongAbsence),
            _ => None,
        });
    why.map(|why| facts.quarantine(why))
}

/// The quarantine that these facts call for while a generation runs: what it was away for was judged at its start.
#[must_use]
pub fn while_running(facts: StartFacts) -> Option<Quarantine> {
    let why = standing(facts).or_else(|| lost_rows(facts));
    why.map(|why| facts.quarantine(why))
}

/// What waiting does not cure: two sides contradict each other until a person puts one of them right.
fn standing(facts: StartFacts) -> Option<Doubt> {
    if facts.other_store {
        Some(Doubt::OtherStore)
    } else if facts.journal_recovered {
        // Its heights begin anew: what the store recorded before says nothing about it.
        None
    } else if facts.journal_height < facts.recorded_height || facts.journal_differs {
        Some(Doubt::SignerBehind)
    } else if facts.signer_epoch > facts.epoch {
        Some(Doubt::TakenOver)
    } else {
        None
    }
}

/// Versions are committed before the signer is asked: what only the signer knows is a lost row.
fn lost_rows(facts: StartFacts) -> Option<Doubt> {
    if facts.journal_recovered {
        return Some(Doubt::JournalRecovered);
    }
    // What could be in no later ledger is dead or known already.
    let known_to = facts
        .committed_last_ledger
        .max(facts.reconciled.unwrap_or(LedgerIndex(0)));
    let ahead = facts.signer_highest > facts.highest_bound.unwrap_or(0)
        || facts.signer_last_ledger > known_to;
    let fresh = facts.reconciled.is_none();
    ahead.then_some(if fresh {
        Doubt::FreshStoreUsedJournal
    } else {
        Doubt::SignerAhead
    })
}

impl StartFacts {
    /// Everything that could have been lost is dead or known once a whole window has passed from now, and the last ledger of
    /// whatever the signer signed.
    fn quarantine(self, why: Doubt) -> Quarantine {
        let window = self.validated.plus(self.window);
        Quarantine {
            why,
            until: window.max(self.signer_last_ledger),
        }
    }
}

impl Doubt {
    /// Whether it passes by itself once every lost blob is dead or known. If not, a person has to put something right first.
    #[must_use]
    pub fn ends_by_waiting(self) -> bool {
        match self {
            Self::FreshStoreUsedJournal
            | Self::SignerAhead
            | Self::LongAbsence
            | Self::UnknownTransaction
            | Self::JournalRecovered => true,
            Self::SignerBehind | Self::OtherStore | Self::TakenOver => false,
        }
    }

    /// What a person has to do. `None`: wait.
    #[must_use]
    pub fn remedy(self) -> Option<&'static str> {
        match self {
            Self::SignerBehind => Some(
                "put the newest copy of journal and HEAD back, or, if it is lost, stop the signer and run `paygate-signer recover`",
            ),
            Self::OtherStore => Some(
                "start this gateway with the store that the journal belongs to, or, if that store is lost for ever and no gateway \
                 runs on it, stop the signer and run `paygate-signer adopt-store` with this store's id",
            ),
            Self::TakenOver => Some(
                "exactly one gateway may dispatch for a store: stop the other one, then restart this one",
            ),
            _ => None,
        }
    }
}

impl Quarantine {
    /// Whether it is over, as far as ledgers go. A doubt that stands keeps it all the same.
    #[must_use]
    pub fn is_over(self, reconciled: LedgerIndex) -> bool {
        reconciled >= self.until || xrpl_tx::mutant!("quarantine-ended-early")
    }

    /// What becomes of it now that everything up to `reconciled` is, by what the signer says now. `None`: it ends.
    #[must_use]
    pub fn review(self, reconciled: LedgerIndex, now: StartFacts) -> Option<Self> {
        if let Some(why) = standing(now) {
            let until = self.until.max(now.quarantine(why).until);
            return Some(Self { why, until });
        }
        if now.journal_recovered {
            return Some(now.quarantine(Doubt::JournalRecovered));
        }
        // The signer signs nothing for us meanwhile; if its last ledger moves on, somebody else is served.
        let until = self.until.max(now.signer_last_ledger);
        if reconciled >= until || xrpl_tx::mutant!("quarantine-ended-early") {
            return None;
        }
        // What a person has put right is waited out like everything else.
        let why = if self.why.ends_by_waiting() {
            self.why
        } else {
            Doubt::SignerAhead
        };
        Some(Self { why, until })
    }
}

impl fmt::Display for Quarantine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.why.remedy() {
            None => write!(f, "{}, until ledger {}", self.why, self.until),
            Some(remedy) => write!(f, "{}: {remedy}", self.why),
        }
    }
}

impl fmt::Display for Doubt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::FreshStoreUsedJournal => "the store is fresh and the signer's journal is not",
            Self::SignerAhead => "the signer signed what the store does not know",
            Self::SignerBehind => "the signer's journal lacks what the store recorded of it",
            Self::OtherStore => "the signer's journal belongs to another store",
            Self::LongAbsence => "the gateway was away for longer than a transaction lives",
            Self::UnknownTransaction => {
                "the ledger holds a transaction of the wallet that the store does not know"
            }
            Self::JournalRecovered => "a person took the signer's journal into use again",
            Self::TakenOver => "another gateway signs for this store with a higher epoch",
        })
    }
}
