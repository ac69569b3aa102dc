//! The invariants: what must hold after every step of a run, whatever went wrong in it.
//!
//! Owns: the 24 checks, each with its number, its name and one sentence, over facts that come one at a time. A check sees the true
//! chain and what everybody had, never what the gateway believes. May not: know how a run was made, or forgive a violation because
//! a fault explains it.
//!
//! Each has a history that violates it (`invariants/tests.rs`).
//!
//! # Layout
//! - here: the list, and which check looks at which fact. `invariants/books.rs`: what is remembered.
//! - `invariants/ledger.rs`, `commit.rs`, `signer.rs`, `words.rs`: the checks, by what they look at.

mod books;
mod commit;
mod ledger;
mod signer;
#[cfg(test)]
mod tests;
mod words;

use std::fmt;

use super::facts::Fact;
use books::Books;

/// An invariant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Invariant {
    /// Its number.
    pub number: u8,
    /// Its name in reports.
    pub name: &'static str,
    /// What must hold.
    pub sentence: &'static str,
}

macro_rules! invariants {
    ($($constant:ident = $number:literal, $name:literal, $sentence:literal;)*) => {
        $(
            #[doc = $sentence]
            pub const $constant: Invariant = Invariant { number: $number, name: $name, sentence: $sentence };
        )*
        /// All of them, in the order of their numbers.
        pub const ALL: &[Invariant] = &[$($constant),*];
    };
}

invariants! {
    ROW_FIRST = 1, "row-first", "A version is committed before the signer is asked for it and before its blob is sent.";
    BOUNDED_LIFE = 2, "bounded-life", "Every version has a LastLedgerSequence past the validated ledger, within the window, and not past its payment's deadline.";
    ONE_LIVE_PAYMENT = 3, "one-live-payment", "No slot has two payments that are undecided.";
    ONE_SLOT = 4, "one-slot", "A payment has one slot for life, in the rows and in all that was ever signed for it.";
    SAME_CONTENT = 5, "same-content", "All versions of a slot carry one intent, and after its cancel or first no-op only no-ops are added.";
    PAID_ONCE = 6, "paid-once", "The chain holds at most one successful transaction with a payment's InvoiceID.";
    PAID_IS_TRUE = 7, "paid-is-true", "What is called PAID is in the chain once, where it is said to be, with the right content and the whole amount.";
    UNPAID_IS_TRUE = 8, "unpaid-is-true", "What is called FAILED, EXPIRED, CANCELLED or REJECTED is not paid in the chain, nor in any later ledger.";
    FINAL_STAYS = 9, "final-stays", "A final state never changes, and the ledger that it names has that hash in the chain.";
    SLOT_NEVER_TWICE = 10, "slot-never-twice", "No slot is ever given to a second payment, in the rows or in all that was ever signed.";
    NO_GAPS = 11, "no-gaps", "Slots are given without gaps, and none below the reconciled Sequence is undecided.";
    RECONCILED_IS_CHAIN = 12, "reconciled-is-chain", "The reconciled ledger only grows, and is one that the chain has validated.";
    PROVEN = 13, "proven", "A bound payment ends only by a validated ledger that proves it, over every version that was ever made.";
    FROZEN_SIGNS_NOTHING = 14, "frozen-signs-nothing", "Once something foreign was seen nothing new is bound or signed until a person has looked.";
    QUARANTINE_HOLDS = 15, "quarantine-holds", "Nothing is bound or signed while a blob that the store has forgotten may still come into a ledger.";
    ONE_GENERATION = 16, "one-generation", "Only the newest generation of the gateway binds and signs.";
    BOOKS_BALANCE = 17, "books-balance", "What the store knows of the wallet's transactions, fees and balance equals the chain.";
    MONEY_IS_THERE = 18, "money-is-there", "No version costs more than the cap, and what is at large never exceeds the balance less the reserve when more is bound.";
    ENDS = 19, "ends", "When faults have stopped, every payment ends.";
    SAME_BYTES = 20, "same-bytes", "What is sent again is byte for byte what was stored, and the same request gets the same signature.";
    SCHEDULE_IS_NOTHING = 21, "schedule-is-nothing", "The same chain by another schedule of messages gives no other verdict.";
    RESTART_LOSES_NOTHING = 22, "restart-loses-nothing", "After a crash everything that was committed or has left the signer is still there, and the start succeeds.";
    TOLD_TRUTH = 23, "told-truth", "What callers are told is what was committed, each final state is told to who watches, and nobody hears two of one payment.";
    RIGHT_NETWORK = 24, "right-network", "No blob is sent to a server of another network.";
}

/// What the checks have to know of the configuration.
#[derive(Clone, Copy, Debug)]
pub struct Rules {
    /// How many ledgers past the validated one a version lives at most.
    pub window: u32,
    /// Drops that a version costs at most.
    pub fee_cap: u64,
    /// Drops that the wallet must keep.
    pub reserve: u64,
    /// Somebody watches all payments to the end.
    pub is_watched: bool,
}

/// An invariant that does not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Which one.
    pub invariant: Invariant,
    /// What was seen.
    pub detail: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Invariant {
            number,
            name,
            sentence,
        } = self.invariant;
        write!(
            f,
            "invariant {number} ({name}): {sentence} Seen: {}",
            self.detail
        )
    }
}

/// Looks at one fact after the other.
#[derive(Debug)]
pub struct Checker {
    rules: Rules,
    books: Books,
    found: Vec<Violation>,
}

impl Checker {
    /// Nothing has happened yet.
    #[must_use]
    pub fn new(rules: Rules) -> Self {
        Self {
            rules,
            books: Books::default(),
            found: Vec::new(),
        }
    }

    /// True if who watches was told of this payment's end, or nobody watches.
    #[must_use]
    pub fn is_told(&self, key: &str) -> bool {
        !self.rules.is_watched || self.books.watched.contains_key(key)
    }

    /// Checks everything that this fact can violate, and remembers it.
    pub fn see(&mut self, fact: &Fact) {
        match fact {
            Fact::Ledger(ledger) => self.see_ledger(ledger),
            Fact::Began(life) => self.books.begin(life),
            Fact::Committed(commit) => self.see_commit(commit),
            Fact::Asked(ask) => self.see_ask(ask),
            Fact::SignerBegan(held) => self.see_signer(held),
            Fact::SignerRefused(why) => self.violated(
                RESTART_LOSES_NOTHING,
                format!("the signer does not start after a crash: {why}"),
            ),
            Fact::Signed(signature) => self.see_signature(signature),
            Fact::Sent(sending) => self.see_sending(sending),
            Fact::Told(telling) => self.see_telling(telling),
            Fact::Replayed(verdicts) => self.see_replay(verdicts),
            Fact::Unfrozen => self.books.unfrozen(),
            Fact::Ended => self.see_end(),
        }
    }

    /// All violations so far.
    #[must_use]
    pub fn found(&self) -> &[Violation] {
        &self.found
    }

    fn violated(&mut self, invariant: Invariant, detail: String) {
        self.found.push(Violation { invariant, detail });
    }

    fn expect(&mut self, holds: bool, invariant: Invariant, detail: impl FnOnce() -> String) {
        if !holds {
            self.violated(invariant, detail());
        }
    }
}
