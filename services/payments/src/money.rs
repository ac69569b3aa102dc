//! Money: an amount together with what it is an amount of.
//!
//! Owns: [`Money`], and that amounts of two assets never compare. May not: convert one asset into another; there is no rate.

use std::fmt;

use xrpl_tx::{Amount, Asset, Drops, IssuedAmount, IssuedValue};

/// An amount of XRP or of an issued currency; nothing of either is an amount too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Money {
    /// XRP.
    Xrp(Drops),
    /// A currency of one issuer.
    Issued {
        /// Of what.
        asset: Asset,
        /// How much.
        value: IssuedValue,
    },
}

impl Money {
    /// What a destination gets of a payment of `amount`.
    #[must_use]
    pub fn delivered_by(amount: Amount) -> Self {
        match amount {
            Amount::Xrp(drops) => Self::Xrp(drops),
            Amount::Issued { amount, .. } => Self::from(amount),
        }
    }

    /// The most that a payment of `amount` takes from who pays it, without the fee of the ledger: with a SendMax more than
    /// what is delivered, because the issuer may take a share of each transfer.
    #[must_use]
    pub fn taken_by(amount: Amount) -> Self {
        match amount {
            Amount::Issued {
                amount,
                send_max: Some(send_max),
            } => Self::Issued {
                asset: amount.asset(),
                value: send_max.max(amount.value()),
            },
            other => Self::delivered_by(other),
        }
    }

    /// The drops of an amount of XRP.
    #[must_use]
    pub fn drops(self) -> Option<Drops> {
        match self {
            Self::Xrp(drops) => Some(drops),
            Self::Issued { .. } => None,
        }
    }

    /// What it is an amount of. `None`: XRP.
    #[must_use]
    pub fn asset(self) -> Option<Asset> {
        match self {
            Self::Xrp(_) => None,
            Self::Issued { asset, .. } => Some(asset),
        }
    }

    /// What it counts in: `XRP`, or currency and issuer.
    #[must_use]
    pub fn unit(self) -> String {
        self.asset()
            .map_or_else(|| "XRP".to_owned(), |asset| asset.to_string())
    }

    /// The number alone: drops for XRP, else a decimal.
    #[must_use]
    pub fn number(self) -> String {
        match self {
            Self::Xrp(drops) => drops.get().to_string(),
            Self::Issued { value, .. } => value.to_string(),
        }
    }

    /// True if it is not more than `other`, which must be of the same asset.
    #[must_use]
    pub fn is_at_most(self, other: Self) -> bool {
        match (self, other) {
            (Self::Xrp(this), Self::Xrp(other)) => this <= other,
            (
                Self::Issued { asset, value },
                Self::Issued {
                    asset: other_asset,
                    value: other,
                },
            ) => asset == other_asset && value <= other,
            (Self::Xrp(_), Self::Issued { .. }) | (Self::Issued { .. }, Self::Xrp(_)) => false,
        }
    }
}

impl From<IssuedAmount> for Money {
    fn from(amount: IssuedAmount) -> Self {
        Self::Issued {
            asset: amount.asset(),
            value: amount.value(),
        }
    }
}

impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Xrp(drops) => drops.fmt(f),
            Self::Issued { asset, value } => write!(f, "{value} {asset}"),
        }
    }
}
