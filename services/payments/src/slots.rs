//! Which slot comes next, and how much may be bound now.
//!
//! Owns: the order of slots and the room for new bindings. May not: keep a counter; the next slot is computed anew from the
//! validated ledger, the rows and the signer each time, so there is nothing that could drift.

use std::fmt;

use xrpl_tx::{Drops, Slot};

use crate::terms::Terms;

/// What three parties know about the slots of the wallet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SlotFacts {
    /// The account's Sequence in the validated ledger: the first number that is not used.
    pub validated_sequence: u32,
    /// The highest Sequence that a row of the store is bound to.
    pub highest_bound: Option<u32>,
    /// The highest Sequence that the signer ever signed for. 0: none.
    pub signer_highest: u32,
}

/// The slots do not fit together; nothing may be bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SlotDoubt {
    /// The signer signed for a slot that no row knows and the ledger has not used: rows were lost.
    SignerAhead {
        /// The signer's highest slot.
        signer: u32,
        /// The highest that rows and ledger know.
        known: u32,
    },
    /// Sequences have come to their end.
    Exhausted,
}

/// How much room there is for new bindings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    /// Bound payments and slots to be filled that the ledger has not decided yet.
    pub at_large: usize,
    /// At most so many.
    pub at_large_max: usize,
    /// What the signer still allows within its day, less everything bound that it has not signed yet.
    pub signer_day_left: Drops,
    /// The largest amount that the signer allows for one payment.
    pub signer_payment_max: Drops,
    /// Balance less reserve less everything at large.
    pub spendable: Drops,
}

/// Why the next payment is not bound now. It stays ACCEPTED.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoRoom {
    /// So many are at large already.
    AtLarge {
        /// At most so many.
        max: usize,
    },
    /// The signer's limit of the day would be passed.
    SignerDay {
        /// What is needed.
        needed: Drops,
        /// What is left.
        left: Drops,
    },
    /// The signer's limit of one payment is lower.
    SignerPayment {
        /// The amount.
        amount: Drops,
        /// At most so much.
        max: Drops,
    },
    /// The wallet does not hold enough above its reserve.
    Balance {
        /// What is needed.
        needed: Drops,
        /// What is there.
        spendable: Drops,
    },
}

/// The slot of the next payment. Slots below it that nobody used are gaps, listed by [`gaps`], to be filled first.
pub fn next(facts: SlotFacts) -> Result<Slot, SlotDoubt> {
    let bound = facts.highest_bound.unwrap_or(0);
    let known = bound.max(facts.validated_sequence.saturating_sub(1));
    if facts.signer_highest > known {
        return Err(SlotDoubt::SignerAhead {
            signer: facts.signer_highest,
            known,
        });
    }
    known
        .checked_add(1)
        .map(Slot::Sequence)
        .ok_or(SlotDoubt::Exhausted)
}

/// Unused slots between the validated Sequence and the highest bound one that no row has: they block what is behind them.
pub fn gaps(validated_sequence: u32, bound_sorted: &[u32]) -> Vec<Slot> {
    let Some(&highest) = bound_sorted.last() else {
        return Vec::new();
    };
    (validated_sequence..highest)
        .filter(|number| bound_sorted.binary_search(number).is_err())
        .map(Slot::Sequence)
        .collect()
}

impl Room {
    /// Takes the place of a payment of `amount` with these terms, or tells why there is none.
    pub fn take(&mut self, amount: Drops, terms: Terms) -> Result<(), NoRoom> {
        if self.at_large >= self.at_large_max {
            return Err(NoRoom::AtLarge {
                max: self.at_large_max,
            });
        }
        if amount > self.signer_payment_max {
            return Err(NoRoom::SignerPayment {
                amount,
                max: self.signer_payment_max,
            });
        }
        let needed = amount.checked_add(terms.fee).unwrap_or(Drops::MAX);
        let day = self.signer_day_left.checked_sub(needed);
        let day = day.ok_or(NoRoom::SignerDay {
            needed,
            left: self.signer_day_left,
        })?;
        let spendable = self.spendable.checked_sub(needed);
        let spendable = spendable.ok_or(NoRoom::Balance {
            needed,
            spendable: self.spendable,
        })?;
        *self = Self {
            at_large: self.at_large + 1,
            signer_day_left: day,
            spendable,
            ..*self
        };
        Ok(())
    }
}

impl fmt::Display for SlotDoubt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SignerAhead { signer, known } => {
                write!(
                    f,
                    "the signer signed for slot {signer}, store and ledger know only up to {known}"
                )
            }
            Self::Exhausted => f.write_str("the account's Sequence has come to its end"),
        }
    }
}

impl std::error::Error for SlotDoubt {}

impl fmt::Display for NoRoom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AtLarge { max } => {
                write!(f, "xrpl.max_at_large {max} payments wait for the ledger")
            }
            Self::SignerDay { needed, left } => {
                write!(f, "needs {needed}, the signer has {left} left of its day")
            }
            Self::SignerPayment { amount, max } => {
                write!(f, "amount {amount} is above the signer's maximum of {max}")
            }
            Self::Balance { needed, spendable } => {
                write!(f, "needs {needed}, the wallet can spend {spendable}")
            }
        }
    }
}

impl std::error::Error for NoRoom {}
