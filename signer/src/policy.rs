//! The rules: which content, amount, fee and LastLedgerSequence the signer signs, and why not.
//!
//! Pure: no file, clock or key. Why not is `policy/denial.rs`. May not know the gateway's
//! rules; they are others on purpose, so that one bug cannot approve on both sides.

mod denial;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;

use xrpl_tx::{AccountId, Amount, Asset, Drops, IssuedValue, Memo, Memos, sha256};

use crate::intent::Version;

pub use denial::Denial;

/// The rolling sum's length: 24 hours.
pub const DAY_MS: u64 = 24 * 60 * 60 * 1000;

/// Largest step between two epochs. A store raises its epoch by one at each start; a bigger jump is a mistake or an
/// attempt to lock every later gateway out.
pub const EPOCH_STEP_MAX: u64 = 1_000_000;

/// What the signer allows. All of it comes from its own configuration, none from a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Largest amount of one payment.
    pub max_payment: Drops,
    /// Largest sum of amounts and fees within 24 hours.
    pub max_day: Drops,
    /// Largest fee of one transaction.
    pub max_fee: Drops,
    /// How many ledgers LastLedgerSequence may lie past the estimate.
    pub last_ledger_window: u32,
    /// A ledger index that was validated...
    pub anchor_ledger_index: u32,
    /// ...at this time, milliseconds since 1970.
    pub anchor_time_ms: u64,
    /// The shortest time between two ledgers that the network ever has on average.
    pub ledger_min_close_ms: u64,
    /// Accounts that are never paid.
    pub denied_destinations: BTreeSet<AccountId>,
    /// Types of transactions that are signed.
    pub allowed_types: BTreeSet<TransactionType>,
    /// Issued currencies that are paid. All others are denied.
    pub assets: BTreeMap<Asset, AssetLimits>,
}

/// What is allowed of one issued currency. What counts of a payment is the most that may leave, its SendMax.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AssetLimits {
    /// Largest payment.
    pub max_payment: IssuedValue,
    /// Largest sum within 24 hours.
    pub max_day: IssuedValue,
}

/// A type of transaction that the signer can build. Displayed and read as the configuration names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TransactionType {
    /// Pays.
    Payment,
    /// Fills a slot.
    NoOp,
    /// Sets sequences aside as tickets.
    TicketCreate,
}

/// No type has that name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("is none of payment, no_op, ticket_create")]
pub struct UnknownType;

// === impl TransactionType ===

impl fmt::Display for TransactionType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            TransactionType::Payment => "payment",
            TransactionType::NoOp => "no_op",
            TransactionType::TicketCreate => "ticket_create",
        })
    }
}

impl FromStr for TransactionType {
    type Err = UnknownType;

    fn from_str(name: &str) -> Result<TransactionType, UnknownType> {
        [
            TransactionType::Payment,
            TransactionType::NoOp,
            TransactionType::TicketCreate,
        ]
        .into_iter()
        .find(|known| known.to_string() == name)
        .ok_or(UnknownType)
    }
}

// === impl Policy ===

impl Policy {
    /// What the payment says, whatever it costs and whenever it is. The denials are final.
    pub fn check_content(
        &self,
        wallet: AccountId,
        destination: AccountId,
        amount: &Amount,
        memos: &[Memo],
    ) -> Result<Memos, Denial> {
        if destination == wallet {
            return Err(Denial::DestinationDenied {
                destination,
                why: "the wallet itself",
            });
        }
        if self.denied_destinations.contains(&destination) {
            return Err(Denial::DestinationDenied {
                destination,
                why: "in policy.denied_destinations",
            });
        }
        if let Amount::Issued { amount, .. } = amount {
            self.limits_of(amount.asset())?;
        }
        Memos::new(memos.to_vec()).map_err(Denial::MemosInvalid)
    }

    /// Whether transactions of the type are signed at all.
    pub fn check_type(&self, asked: TransactionType) -> Result<(), Denial> {
        match self.allowed_types.contains(&asked) {
            true => Ok(()),
            false => Err(Denial::TypeNotAllowed(asked)),
        }
    }

    fn limits_of(&self, asset: Asset) -> Result<&AssetLimits, Denial> {
        self.assets
            .get(&asset)
            .ok_or(Denial::AssetNotAllowed(asset))
    }

    /// One payment's cap.
    pub fn check_amount(&self, amount: Drops) -> Result<(), Denial> {
        if amount > self.max_payment {
            return Err(Denial::AmountAboveMaximum {
                amount,
                limit: self.max_payment,
            });
        }
        Ok(())
    }

    /// One payment's cap of an issued currency.
    pub fn check_issued_amount(&self, asset: Asset, charge: IssuedValue) -> Result<(), Denial> {
        let limit = self.limits_of(asset)?.max_payment;
        if charge > limit {
            return Err(Denial::AssetAmountAboveMaximum {
                asset,
                charge,
                limit,
            });
        }
        Ok(())
    }

    /// The day's cap of an issued currency, given what other slots took within 24 hours.
    pub fn check_issued_day(
        &self,
        asset: Asset,
        charge: IssuedValue,
        used: IssuedValue,
    ) -> Result<(), Denial> {
        let limit = self.limits_of(asset)?.max_day;
        match used.checked_add_up(charge) {
            Some(sum) if sum <= limit => Ok(()),
            _ => Err(Denial::AssetDayLimit {
                asset,
                charge,
                used,
                limit,
            }),
        }
    }

    /// Fee and life time of a version. Returns the fee.
    pub fn check_version(&self, version: Version, now_ms: u64) -> Result<Drops, Denial> {
        let denied = Denial::Fee {
            fee_drops: version.fee_drops,
            limit_drops: self.max_fee.get(),
        };
        let fee = match Drops::new(version.fee_drops) {
            Ok(fee) if fee > Drops::ZERO && fee <= self.max_fee => fee,
            _ => return Err(denied),
        };
        let estimate = self.estimated_ledger_index(now_ms);
        let limit = estimate.saturating_add(self.last_ledger_window);
        let asked = version.last_ledger_sequence;
        if asked == 0 || asked > limit {
            let window = self.last_ledger_window;
            return Err(Denial::LastLedgerSequence {
                asked,
                limit,
                estimate,
                window,
            });
        }
        Ok(fee)
    }

    /// The day's cap, given what other slots took within 24 hours.
    pub fn check_day(&self, charge: Drops, used: Drops) -> Result<(), Denial> {
        match used.checked_add(charge) {
            Some(sum) if sum <= self.max_day => Ok(()),
            _ => Err(Denial::DayLimit {
                charge,
                used,
                limit: self.max_day,
            }),
        }
    }

    /// The highest ledger index that can exist now: the anchor, and ledgers as fast as they ever close since then.
    pub fn estimated_ledger_index(&self, now_ms: u64) -> u32 {
        let passed_ms = now_ms.saturating_sub(self.anchor_time_ms);
        let ledgers =
            u32::try_from(passed_ms / self.ledger_min_close_ms.max(1)).unwrap_or(u32::MAX);
        self.anchor_ledger_index.saturating_add(ledgers)
    }

    /// SHA-256 over everything that the policy says, for the wallet and the network that it is about.
    pub fn digest(&self, wallet: AccountId, network_id: u32) -> [u8; 32] {
        let mut text = b"paygate/signer-policy/v2\0".to_vec();
        text.extend_from_slice(&network_id.to_be_bytes());
        text.extend_from_slice(wallet.as_bytes());
        for number in [
            self.max_payment.get(),
            self.max_day.get(),
            self.max_fee.get(),
            u64::from(self.last_ledger_window),
            u64::from(self.anchor_ledger_index),
            self.anchor_time_ms,
            self.ledger_min_close_ms,
            self.denied_destinations.len() as u64,
        ] {
            text.extend_from_slice(&number.to_be_bytes());
        }
        for account in &self.denied_destinations {
            text.extend_from_slice(account.as_bytes());
        }
        text.extend_from_slice(&(self.allowed_types.len() as u64).to_be_bytes());
        for allowed in &self.allowed_types {
            text.push(match allowed {
                TransactionType::Payment => 1,
                TransactionType::NoOp => 2,
                TransactionType::TicketCreate => 3,
            });
        }
        text.extend_from_slice(&(self.assets.len() as u64).to_be_bytes());
        for (asset, limits) in &self.assets {
            text.extend_from_slice(asset.currency.as_bytes());
            text.extend_from_slice(asset.issuer.as_bytes());
            text.extend_from_slice(&limits.max_payment.to_bytes());
            text.extend_from_slice(&limits.max_day.to_bytes());
        }
        *sha256(&[&text]).as_bytes()
    }
}
