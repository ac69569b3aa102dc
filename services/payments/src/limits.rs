//! What is let in: limits that CreatePayment checks in the transaction that stores the payment.
//!
//! Owns: the limits' arithmetic. May not: know of clients' credentials or rates, which the gateway's edge checks.

use std::fmt;

use xrpl_tx::Drops;

/// The gateway's limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Least amount of one payment.
    pub payment_min: Drops,
    /// Largest amount of one payment.
    pub payment_max: Drops,
    /// Largest sum of payments accepted within any 24 hours and not ended unpaid.
    pub day_max: Drops,
    /// Most payments that are not final.
    pub pending_max: u64,
}

/// What is used of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Usage {
    /// Sum of payments accepted within the last 24 hours and not ended unpaid.
    pub day: Drops,
    /// Payments that are not final.
    pub pending: u64,
}

/// Why a payment is not let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OverLimit {
    /// The amount is too small.
    BelowMinimum {
        /// The amount.
        amount: Drops,
        /// At least so much.
        min: Drops,
    },
    /// The amount is too large.
    AboveMaximum {
        /// The amount.
        amount: Drops,
        /// At most so much.
        max: Drops,
    },
    /// The day's sum would be passed.
    Day {
        /// The amount.
        amount: Drops,
        /// What the day has used.
        used: Drops,
        /// At most so much.
        max: Drops,
    },
    /// Too many payments are waiting.
    Pending {
        /// At most so many.
        max: u64,
    },
}

impl Limits {
    /// Lets a payment in, or names the limit.
    pub fn admit(&self, amount: Drops, usage: Usage) -> Result<(), OverLimit> {
        self.check_amount(amount)?;
        let day = usage.day.checked_add(amount).unwrap_or(Drops::MAX);
        if day > self.day_max {
            return Err(OverLimit::Day {
                amount,
                used: usage.day,
                max: self.day_max,
            });
        }
        if usage.pending >= self.pending_max {
            return Err(OverLimit::Pending {
                max: self.pending_max,
            });
        }
        Ok(())
    }

    /// The part of [`Self::admit`] that needs no store.
    pub fn check_amount(&self, amount: Drops) -> Result<(), OverLimit> {
        if amount < self.payment_min {
            return Err(OverLimit::BelowMinimum {
                amount,
                min: self.payment_min,
            });
        }
        if amount > self.payment_max {
            return Err(OverLimit::AboveMaximum {
                amount,
                max: self.payment_max,
            });
        }
        Ok(())
    }
}

impl fmt::Display for OverLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BelowMinimum { amount, min } => {
                write!(f, "amount {amount} is below limits.min_payment_xrp {min}")
            }
            Self::AboveMaximum { amount, max } => {
                write!(f, "amount {amount} is above limits.max_payment_xrp {max}")
            }
            Self::Day { amount, used, max } => {
                write!(
                    f,
                    "amount {amount} with {used} of the last 24 hours is above limits.daily_limit_xrp {max}"
                )
            }
            Self::Pending { max } => write!(
                f,
                "limits.max_pending_payments {max} payments are not final yet"
            ),
        }
    }
}

impl std::error::Error for OverLimit {}
