//! What is let in: limits that CreatePayment checks in the transaction that stores the payment.
//!
//! Owns: the limits' arithmetic, for XRP and for each issued currency by itself. May not: know of clients' credentials or
//! rates, which the gateway's edge checks, or convert between assets.

#![expect(
    clippy::result_large_err,
    reason = "a refusal names amounts with their assets; it is rare, and copied once"
)]

use std::fmt;
use std::time::Duration;

use xrpl_tx::{Amount, Asset, Drops, IssuedAmount, IssuedValue};

use crate::clients::{ClientLimits, OverClientLimit};
use crate::money::Money;
use crate::rollout::{OverStage, StageRules};

/// The gateway's limits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Least amount of one payment in XRP.
    pub payment_min: Drops,
    /// Largest amount of one payment in XRP.
    pub payment_max: Drops,
    /// Largest sum of payments in XRP accepted within any 24 hours and not ended unpaid.
    pub day_max: Drops,
    /// Most payments that are not final, of all assets together.
    pub pending_max: u64,
    /// The issued currencies that may be paid, each at most once. All others are refused.
    pub assets: Vec<AssetLimits>,
    /// Payments in XRP above so much wait for another identity's approval. `None`: no payment in XRP does.
    pub approval_threshold: Option<Drops>,
    /// How long such a payment waits before it expires.
    pub approval_window: Duration,
    /// What single clients may do. One that is not here has the wallet's limits alone.
    pub clients: Vec<ClientLimits>,
    /// The stage of the roll-out that has lowered these limits. `None`: they are as configured.
    pub stage: Option<StageRules>,
}

/// The limits of one issued currency of one issuer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AssetLimits {
    /// The currency and its issuer.
    pub asset: Asset,
    /// Least value of one payment.
    pub payment_min: IssuedValue,
    /// Most that one payment may take.
    pub payment_max: IssuedValue,
    /// Most that payments accepted within any 24 hours, and not ended unpaid, may take together.
    pub day_max: IssuedValue,
    /// What the issuer may take of each transfer at most, in millionths of the value: it becomes the payment's SendMax.
    pub transfer_fee_max_ppm: u32,
    /// Payments that may take more than this wait for another identity's approval. `None`: none does.
    pub approval_threshold: Option<IssuedValue>,
}

/// What the rolling day counts in: drops for XRP, and for an asset units of the last digit of its daily limit. What a payment
/// takes is rounded up to whole units, each by itself, so that adding and taking back never drift, and no sum is too low.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct DayUnits(u128);

/// What is used of the limits that concern one payment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Usage {
    /// What payments in the same asset took, accepted within the last 24 hours and not ended unpaid.
    pub day: DayUnits,
    /// Payments that are not final.
    pub pending: u64,
}

/// Why a payment is not let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OverLimit {
    /// The currency of that issuer is not to be paid.
    NotConfigured {
        /// Which.
        asset: Asset,
    },
    /// The amount is too small.
    BelowMinimum {
        /// The amount.
        amount: Money,
        /// At least so much.
        min: Money,
    },
    /// The amount, or what it may take with the issuer's fee, is too large.
    AboveMaximum {
        /// What it may take.
        amount: Money,
        /// At most so much.
        max: Money,
    },
    /// The day's sum would be passed.
    Day {
        /// What it may take.
        amount: Money,
        /// What the day has used.
        used: Money,
        /// At most so much.
        max: Money,
    },
    /// Too many payments are waiting.
    Pending {
        /// At most so many.
        max: u64,
    },
    /// A limit of the client who asks.
    Client(OverClientLimit),
    /// The stage of the roll-out.
    Stage(OverStage),
}

/// How long a payment waits for approval if nothing is configured.
pub const APPROVAL_WINDOW_DEFAULT: Duration = Duration::from_secs(60 * 60);

/// One payment's units at most: so many times the largest limit that nothing fits beside it, and far from overflow.
const PAYMENT_UNITS_MAX: u128 = 1_000_000_000_000_000_000_000;

/// Powers of ten by which a stored value may stand above the unit before it counts as [`PAYMENT_UNITS_MAX`].
const UNIT_SHIFT_MAX: u32 = 5;

/// Digits of a value; units with more are rounded up to so many when they are shown.
const VALUE_UNITS_MAX: u128 = 9_999_999_999_999_999;

// === impl Limits ===

impl Limits {
    /// The limits of an asset. `None`: it is not to be paid.
    #[must_use]
    pub fn asset(&self, asset: Asset) -> Option<&AssetLimits> {
        self.assets.iter().find(|limits| limits.asset == asset)
    }

    /// Lets a payment in, or names the limit.
    pub fn admit(&self, amount: Amount, usage: Usage) -> Result<(), OverLimit> {
        self.check_amount(amount)?;
        let day = usage.day.plus(self.day_units(amount));
        let (used, max) = match amount {
            Amount::Xrp(_) => (Money::Xrp(usage.day.drops()), Money::Xrp(self.day_max)),
            Amount::Issued { amount, .. } => {
                let asset = amount.asset();
                let limits = self.configured(asset)?;
                let of = |value| Money::Issued { asset, value };
                (of(limits.shown(usage.day)), of(limits.day_max))
            }
        };
        if day > self.day_units_max(amount) {
            let own = self.stage.as_ref().filter(|stage| stage.binds_day);
            if let (Some(stage), Amount::Xrp(amount)) = (own, amount) {
                return Err(OverLimit::Stage(OverStage::Day {
                    stage: stage.name,
                    amount,
                    used: usage.day.drops(),
                    max: self.day_max,
                }));
            }
            return Err(OverLimit::Day {
                amount: Money::taken_by(amount),
                used,
                max,
            });
        }
        if usage.pending >= self.pending_max {
            return Err(OverLimit::Pending {
                max: self.pending_max,
            });
        }
        Ok(())
    }

    /// Whether a payment waits for another identity's approval: it may take more than the threshold of its asset.
    #[must_use]
    pub fn needs_approval(&self, amount: Amount) -> bool {
        match Money::taken_by(amount) {
            Money::Xrp(drops) => self.approval_threshold.is_some_and(|most| drops > most),
            Money::Issued { asset, value } => self
                .asset(asset)
                .and_then(|limits| limits.approval_threshold)
                .is_some_and(|threshold| {
                    let most = Money::Issued {
                        asset,
                        value: threshold,
                    };
                    !Money::Issued { asset, value }.is_at_most(most)
                }),
        }
    }

    /// The part of [`Self::admit`] that needs no store.
    pub fn check_amount(&self, amount: Amount) -> Result<(), OverLimit> {
        let (min, max) = match amount {
            Amount::Xrp(_) => (Money::Xrp(self.payment_min), Money::Xrp(self.payment_max)),
            Amount::Issued { amount, .. } => {
                let asset = amount.asset();
                let limits = self.configured(asset)?;
                let of = |value| Money::Issued { asset, value };
                (of(limits.payment_min), of(limits.payment_max))
            }
        };
        let (gets, takes) = (Money::delivered_by(amount), Money::taken_by(amount));
        if !min.is_at_most(gets) {
            return Err(OverLimit::BelowMinimum { amount: gets, min });
        }
        if !takes.is_at_most(max) {
            let own = self.stage.as_ref().filter(|stage| stage.binds_payment);
            if let (Some(stage), Amount::Xrp(amount)) = (own, amount) {
                return Err(OverLimit::Stage(OverStage::Payment {
                    stage: stage.name,
                    amount,
                    max: self.payment_max,
                }));
            }
            return Err(OverLimit::AboveMaximum { amount: takes, max });
        }
        Ok(())
    }

    /// What a payment takes of its day. Of an asset that is not configured nothing is counted, as nothing of it is let in.
    #[must_use]
    pub fn day_units(&self, amount: Amount) -> DayUnits {
        match Money::taken_by(amount) {
            Money::Xrp(drops) => DayUnits::of_drops(drops),
            Money::Issued { asset, value } => self
                .asset(asset)
                .map_or(DayUnits::default(), |limits| limits.units(value)),
        }
    }

    fn day_units_max(&self, amount: Amount) -> DayUnits {
        match amount {
            Amount::Xrp(_) => DayUnits::of_drops(self.day_max),
            Amount::Issued { amount, .. } => self
                .asset(amount.asset())
                .map_or(DayUnits::default(), |limits| limits.units(limits.day_max)),
        }
    }

    fn configured(&self, asset: Asset) -> Result<&AssetLimits, OverLimit> {
        self.asset(asset).ok_or(OverLimit::NotConfigured { asset })
    }
}

// === impl AssetLimits ===

impl AssetLimits {
    /// The payment of `value`: with the SendMax that the configured cap of the issuer's fee makes, if there is one. `None`: it
    /// would be more than the ledger can hold.
    #[must_use]
    pub fn payment(&self, value: IssuedAmount) -> Option<Amount> {
        let send_max = match self.transfer_fee_max_ppm {
            0 => None,
            ppm => Some(value.value().add_ppm_up(ppm)?),
        };
        Some(Amount::Issued {
            amount: value,
            send_max,
        })
    }

    /// So many units of the daily limit's last digit, rounded up.
    #[must_use]
    pub fn units(&self, value: IssuedValue) -> DayUnits {
        if value.is_zero() {
            return DayUnits::default();
        }
        let unit = if self.day_max.is_zero() {
            value.exponent()
        } else {
            self.day_max.exponent()
        };
        let mantissa = u128::from(value.mantissa());
        let distance = value.exponent().abs_diff(unit);
        let units = if value.exponent() >= unit {
            match distance {
                0..=UNIT_SHIFT_MAX => mantissa * 10u128.pow(distance),
                _ => PAYMENT_UNITS_MAX,
            }
        } else {
            // Past 38 powers of ten a value of 16 digits is far below one unit.
            10u128
                .checked_pow(distance)
                .map_or(1, |divisor| mantissa.div_ceil(divisor))
        };
        DayUnits(units.min(PAYMENT_UNITS_MAX))
    }

    /// What the day has used, rounded up to what a value can say.
    #[must_use]
    pub fn shown(&self, units: DayUnits) -> IssuedValue {
        let (mut mantissa, mut exponent) = (units.0, self.day_max.exponent());
        while mantissa > VALUE_UNITS_MAX {
            (mantissa, exponent) = (mantissa.div_ceil(10), exponent + 1);
        }
        u64::try_from(mantissa)
            .ok()
            .and_then(|mantissa| IssuedValue::new(mantissa, exponent).ok())
            .unwrap_or(IssuedValue::MAX)
    }
}

// === impl DayUnits ===

impl DayUnits {
    /// XRP is counted in drops.
    #[must_use]
    pub fn of_drops(drops: Drops) -> Self {
        Self(u128::from(drops.get()))
    }

    /// A sum of drops, which may be more than there is.
    #[must_use]
    pub fn of_drops_sum(drops: u64) -> Self {
        Self(u128::from(drops))
    }

    /// The sum. It ends at the type's end, which no limit reaches.
    #[must_use]
    pub fn plus(self, more: Self) -> Self {
        Self(self.0.saturating_add(more.0))
    }

    /// The difference. `None`: it would be below nothing, so one of the two is wrong.
    #[must_use]
    pub fn minus(self, less: Self) -> Option<Self> {
        self.0.checked_sub(less.0).map(Self)
    }

    /// Units of XRP as an amount. More than all the XRP there is passes every limit in any case.
    #[must_use]
    pub fn drops(self) -> Drops {
        u64::try_from(self.0)
            .ok()
            .and_then(|drops| Drops::new(drops).ok())
            .unwrap_or(Drops::MAX)
    }
}

// === impl OverLimit ===

impl OverLimit {
    /// The key of the configuration that names the limit.
    #[must_use]
    pub fn key(&self) -> &'static str {
        let of = |money: &Money, xrp, issued| match money {
            Money::Xrp(_) => xrp,
            Money::Issued { .. } => issued,
        };
        match self {
            Self::NotConfigured { .. } => "assets",
            Self::BelowMinimum { min, .. } => {
                of(min, "limits.min_payment_xrp", "assets.min_payment")
            }
            Self::AboveMaximum { max, .. } => {
                of(max, "limits.max_payment_xrp", "assets.max_payment")
            }
            Self::Day { max, .. } => of(max, "limits.daily_limit_xrp", "assets.daily_limit"),
            Self::Pending { .. } => "limits.max_pending_payments",
            Self::Client(over) => over.key(),
            Self::Stage(over) => over.key(),
        }
    }
}

impl fmt::Display for OverLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key = self.key();
        match self {
            Self::NotConfigured { asset } => {
                write!(f, "asset {asset} is none of the configured {key}")
            }
            Self::BelowMinimum { amount, min } => {
                write!(f, "amount {amount} is below {key} {min}")
            }
            Self::AboveMaximum { amount, max } => {
                write!(f, "amount {amount} is above {key} {max}")
            }
            Self::Day { amount, used, max } => {
                write!(
                    f,
                    "amount {amount} with {used} of the last 24 hours is above {key} {max}"
                )
            }
            Self::Pending { max } => write!(f, "{key} {max} payments are not final yet"),
            Self::Client(over) => over.fmt(f),
            Self::Stage(over) => over.fmt(f),
        }
    }
}

impl std::error::Error for OverLimit {}
