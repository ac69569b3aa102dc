//! Which slot comes next, and how much may be bound now.
//!
//! Owns: the order of slots and the room for new bindings. May not: keep a counter; the next slot is computed anew from the
//! validated ledger, the rows and the signer each time, so there is nothing that could drift.

#![expect(
    clippy::result_large_err,
    reason = "a refusal names amounts with their assets; it is rare, and copied once"
)]

use std::fmt;

use xrpl_tx::{Amount, Asset, Drops, IssuedValue, Slot};

use crate::money::Money;
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
#[derive(Clone, Debug, PartialEq, Eq)]
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
    /// The same for each issued currency that signer and ledger let us pay.
    pub assets: Vec<AssetRoom>,
}

/// How much room there is for payments in an issued currency. Their fees are paid in XRP and take of [`Room`] as well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AssetRoom {
    /// Which.
    pub asset: Asset,
    /// What the signer still allows within its day, less everything bound that it has not signed yet.
    pub signer_day_left: IssuedValue,
    /// The most that the signer lets one payment take.
    pub signer_payment_max: IssuedValue,
    /// Balance of the wallet's trust line less everything at large. `None`: it has no line, or it was not read yet.
    pub spendable: Option<IssuedValue>,
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
        needed: Money,
        /// What is left.
        left: Money,
    },
    /// The signer's limit of one payment is lower.
    SignerPayment {
        /// What it may take.
        amount: Money,
        /// At most so much.
        max: Money,
    },
    /// The signer's policy does not list the issued currency.
    SignerAsset {
        /// Which.
        asset: Asset,
    },
    /// No ledger has shown a trust line of the wallet for the issued currency.
    NoLine {
        /// Which.
        asset: Asset,
    },
    /// The wallet does not hold enough above its reserve.
    Balance {
        /// What is needed.
        needed: Money,
        /// What is there.
        spendable: Money,
    },
}

/// The slot of the next payment. Slots below it that nobody used are gaps, listed by [`gaps`], to be filled first.
pub fn next(facts: SlotFacts) -> Result<Slot, SlotDoubt> {
    let bound = match xrpl_tx::mutant!("slot-reused") {
        // Slots behind the head that it takes for free.
        true => facts.highest_bound.unwrap_or(0).saturating_sub(1),
        false => facts.highest_bound.unwrap_or(0),
    };
    let known = bound.max(facts.validated_sequence.saturating_sub(1));
    if facts.signer_highest > known && !xrpl_tx::mutant!("slot-reused") {
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
    pub fn take(&mut self, amount: Amount, terms: Terms) -> Result<(), NoRoom> {
        if self.at_large >= self.at_large_max {
            return Err(NoRoom::AtLarge {
                max: self.at_large_max,
            });
        }
        let takes = Money::taken_by(amount);
        let drops = takes.drops().unwrap_or(Drops::ZERO);
        if drops > self.signer_payment_max {
            return Err(NoRoom::SignerPayment {
                amount: takes,
                max: Money::Xrp(self.signer_payment_max),
            });
        }
        let needed = drops.checked_add(terms.fee).unwrap_or(Drops::MAX);
        let day = self.signer_day_left.checked_sub(needed);
        let day = day.ok_or(NoRoom::SignerDay {
            needed: Money::Xrp(needed),
            left: Money::Xrp(self.signer_day_left),
        })?;
        let spendable = self.spendable.checked_sub(needed);
        let unchecked = xrpl_tx::mutant!("balance-ignored").then_some(self.spendable);
        let spendable = spendable.or(unchecked).ok_or(NoRoom::Balance {
            needed: Money::Xrp(needed),
            spendable: Money::Xrp(self.spendable),
        })?;
        // Last, so that nothing was taken if one of the two is short.
        if let Money::Issued { asset, value } = takes {
            let room = self.assets.iter_mut().find(|room| room.asset == asset);
            room.ok_or(NoRoom::SignerAsset { asset })?.take(value)?;
        }
        self.at_large += 1;
        self.signer_day_left = day;
        self.spendable = spendable;
        Ok(())
    }
}

impl NoRoom {
    /// The issued currency of which there is too little. `None`: it concerns payments in every asset.
    #[must_use]
    pub fn asset(&self) -> Option<Asset> {
        match self {
            Self::AtLarge { .. } => None,
            Self::SignerDay { needed: amount, .. }
            | Self::SignerPayment { amount, .. }
            | Self::Balance { needed: amount, .. } => amount.asset(),
            Self::SignerAsset { asset } | Self::NoLine { asset } => Some(*asset),
        }
    }
}

impl AssetRoom {
    fn take(&mut self, value: IssuedValue) -> Result<(), NoRoom> {
        let asset = self.asset;
        let of = |value| Money::Issued { asset, value };
        if value > self.signer_payment_max {
            return Err(NoRoom::SignerPayment {
                amount: of(value),
                max: of(self.signer_payment_max),
            });
        }
        if value > self.signer_day_left {
            return Err(NoRoom::SignerDay {
                needed: of(value),
                left: of(self.signer_day_left),
            });
        }
        let spendable = self.spendable.ok_or(NoRoom::NoLine { asset })?;
        if value > spendable {
            return Err(NoRoom::Balance {
                needed: of(value),
                spendable: of(spendable),
            });
        }
        self.signer_day_left = self.signer_day_left.saturating_sub_down(value);
        self.spendable = Some(spendable.saturating_sub_down(value));
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
            Self::SignerAsset { asset } => {
                write!(
                    f,
                    "asset {asset} is not listed in the signer's policy.assets"
                )
            }
            Self::NoLine { asset } => {
                write!(
                    f,
                    "no validated ledger has shown a trust line of the wallet for {asset}"
                )
            }
            Self::Balance { needed, spendable } => {
                write!(f, "needs {needed}, the wallet can spend {spendable}")
            }
        }
    }
}

impl std::error::Error for NoRoom {}
