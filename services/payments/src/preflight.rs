//! Pre-flight: whether a destination provably cannot receive a payment, as one validated ledger has it.
//!
//! Owns: the rules, and the only maker of [`Refusal`], without which no payment that was never bound is given up here. May not:
//! decide about a payment that was ever bound, nor promise that one arrives: the ledger may change before it executes, and
//! what is not known is never a no.
//!
//! The rules are those of the ledger itself, with one exception: it lets XRP through to an account that asks for none
//! (DisallowXRP), and we honour the wish.

mod rules;

use std::fmt;

use xrpl_tx::{AccountId, Amount, Asset, Drops, IssuedValue};

use crate::LedgerRef;
use crate::intent::{Intent, PaymentKey, Wallet};
use crate::payment::CannotReceive;
use crate::proof::Observed;
use rules::{Transfer, door, issued_door, xrp_obstacle};

/// lsfDepositAuth: it takes deposits only from accounts that it preauthorised.
const FLAG_DEPOSIT_AUTH: u32 = 0x0100_0000;

/// lsfGlobalFreeze: nothing that the account issued moves but to the account itself.
const FLAG_GLOBAL_FREEZE: u32 = 0x0040_0000;

/// A TransferRate of this takes nothing.
const RATE_ONE: u32 = 1_000_000_000;

/// Billionths in a millionth.
const BILLIONTHS_IN_MILLIONTH: u32 = 1_000;

/// Everything of a destination that the rules look at, in one ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DestinationFacts {
    /// The destination.
    pub account: AccountId,
    /// What an account must hold at least.
    pub reserve_base: Drops,
    /// Its account root. `None`: the ledger has no such account.
    pub root: Option<AccountRoot>,
}

/// An account in a ledger, as far as it matters to who pays it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountRoot {
    /// Its balance.
    pub balance: Drops,
    /// Its flags.
    pub flags: u32,
    /// It belongs to an object of the ledger, such as an AMM or a vault, and nobody has a key of it.
    pub is_pseudo: bool,
    /// It has preauthorised the wallet. Matters only where [`AccountRoot::asks_for_preauthorisation`], and is asked only then.
    pub wallet_preauthorised: bool,
}

/// An issued currency in one ledger, as the wallet that pays it sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AssetFacts {
    /// Which.
    pub asset: Asset,
    /// The issuer's account root. `None`: the ledger has no such account.
    pub issuer: Option<IssuerRoot>,
    /// The wallet's own trust line. `None`: it has none.
    pub wallet_line: Option<TrustLine>,
}

/// An issuer's account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IssuerRoot {
    /// Its flags.
    pub flags: u32,
    /// What leaves the sender for each billion that arrives; 0 means a billion as well.
    pub transfer_rate: u32,
}

/// Whether somebody holds an asset, in one ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HoldingFacts {
    /// Who.
    pub account: AccountId,
    /// What.
    pub asset: Asset,
    /// His trust line. `None`: he has none.
    pub line: Option<TrustLine>,
}

/// A trust line between a holder and the issuer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TrustLine {
    /// What the holder has. Zero if he owes.
    pub balance: IssuedValue,
    /// What the holder is willing to have.
    pub limit: IssuedValue,
    /// The issuer has authorised it.
    pub authorised: bool,
    /// The issuer has frozen it: nothing leaves it but to the issuer.
    pub frozen_by_issuer: bool,
    /// The holder has frozen it: nothing comes in.
    pub frozen_by_holder: bool,
    /// Either has frozen it in both directions.
    pub deep_frozen: bool,
    /// The issuer lets nothing pass from it to other lines that it has marked so.
    pub no_ripple_by_issuer: bool,
}

/// What is known of a payment's way, all of it in one ledger.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// Of its destination.
    pub destination: &'a Observed<DestinationFacts>,
    /// Of its asset, if it is an issued currency and that was read.
    pub issued: Option<IssuedFacts<'a>>,
}

/// What is known of the way of an issued currency.
#[derive(Clone, Copy, Debug)]
pub struct IssuedFacts<'a> {
    /// Of the asset.
    pub asset: &'a Observed<AssetFacts>,
    /// Of the destination's trust line.
    pub holding: &'a Observed<HoldingFacts>,
}

/// What pre-flight says of a payment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing is known to be in its way.
    Clear,
    /// Its destination cannot receive it.
    Refused(Refusal),
    /// The wallet itself lacks something. It waits.
    Waits(Shortage),
}

/// What the wallet lacks to pay an asset. What it holds of it is another matter, see [`crate::slots::Room`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shortage {
    /// It was not read yet.
    NotRead {
        /// Which asset.
        asset: Asset,
    },
    /// The wallet has no trust line for it.
    NoLine {
        /// Which asset.
        asset: Asset,
    },
    /// The wallet's trust line is frozen.
    LineFrozen {
        /// Which asset.
        asset: Asset,
    },
}

/// Why a destination cannot receive a payment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum RefusalReason {
    /// It is the paying wallet.
    OwnAddress,
    /// It is one of the two addresses that nobody can have a key of.
    NobodysAddress,
    /// It does not exist, and the amount does not create it.
    NotFunded,
    /// It belongs to an object of the ledger.
    PseudoAccount,
    /// It requires a destination tag and the payment has none.
    TagNeeded,
    /// It takes deposits only from accounts that it preauthorised.
    DepositNotAuthorised,
    /// It asks not to be sent XRP.
    XrpUnwanted,
    /// It has no trust line for the asset.
    NoTrustLine,
    /// Its trust line does not take so much.
    LineLimit,
    /// Its trust line is frozen and receives nothing.
    LineFrozen,
    /// The issuer has not authorised its trust line.
    LineNotAuthorised,
    /// The issuer has frozen everything that it issued.
    AssetFrozen,
    /// The issuer lets nothing pass from holder to holder.
    NotPassedOn,
    /// The issuer keeps more of a transfer than the payment may take.
    TransferFeeAboveCap,
}

/// Proof that a validated ledger would not let a payment through. Only [`check`] makes one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    key: PaymentKey,
    cannot: CannotReceive,
}

/// Looks at a payment as a validated ledger has what it needs. Clear says only that nothing is known to be in its way.
#[must_use]
pub fn check(intent: &Intent, wallet: &Wallet, facts: Facts<'_>) -> Verdict {
    let destination = facts.destination.fact();
    assert_eq!(
        destination.account, intent.destination,
        "facts of one destination say nothing about another"
    );
    let found = match (intent.amount, facts.issued) {
        (Amount::Xrp(drops), _) => {
            door(intent, wallet, destination).or_else(|| xrp_obstacle(drops, wallet, destination))
        }
        (Amount::Issued { amount, send_max }, Some(issued)) => {
            let transfer = Transfer::new(amount, send_max, issued, destination);
            assert!(
                facts.destination.ledger() == issued.asset.ledger()
                    && facts.destination.ledger() == issued.holding.ledger(),
                "facts of two ledgers do not fit together"
            );
            let obstacle = door(intent, wallet, destination)
                .or_else(|| issued_door(wallet, destination))
                .or_else(|| transfer.obstacle());
            match (obstacle, transfer.shortage()) {
                (Some(obstacle), _) => Some(obstacle),
                (None, Some(shortage)) => return Verdict::Waits(shortage),
                (None, None) => None,
            }
        }
        (Amount::Issued { amount, .. }, None) => {
            return Verdict::Waits(Shortage::NotRead {
                asset: amount.asset(),
            });
        }
    };
    let Some((reason, detail)) = found else {
        return Verdict::Clear;
    };
    Verdict::Refused(Refusal {
        key: intent.key.clone(),
        cannot: CannotReceive {
            ledger: facts.destination.ledger(),
            reason,
            detail,
            servers: facts.destination.servers().to_vec(),
        },
    })
}

// === impl AccountRoot ===

impl AccountRoot {
    fn has(&self, flag: u32) -> bool {
        self.flags & flag != 0
    }

    /// Whether `wallet_preauthorised` matters.
    #[must_use]
    pub fn asks_for_preauthorisation(&self) -> bool {
        self.has(FLAG_DEPOSIT_AUTH)
    }
}

impl IssuerRoot {
    fn has(&self, flag: u32) -> bool {
        self.flags & flag != 0
    }

    /// Whether nothing that it issued moves now.
    #[must_use]
    pub fn has_global_freeze(&self) -> bool {
        self.has(FLAG_GLOBAL_FREEZE)
    }

    /// What it keeps of each transfer, in millionths. Caps are whole millionths, so rounding up passes none that it did not.
    fn transfer_fee_ppm_up(&self) -> u32 {
        self.transfer_rate
            .saturating_sub(RATE_ONE)
            .div_ceil(BILLIONTHS_IN_MILLIONTH)
    }
}

impl fmt::Display for Shortage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotRead { asset } => write!(f, "what the ledger has of {asset} was not read yet"),
            Self::NoLine { asset } => write!(
                f,
                "the wallet has no trust line for {asset}: set one and have it funded"
            ),
            Self::LineFrozen { asset } => write!(
                f,
                "the wallet's trust line for {asset} is frozen: nothing of it can be paid until the freeze is lifted"
            ),
        }
    }
}

// === impl RefusalReason ===

impl RefusalReason {
    /// Every reason.
    pub const ALL: [Self; 14] = [
        Self::OwnAddress,
        Self::NobodysAddress,
        Self::NotFunded,
        Self::PseudoAccount,
        Self::TagNeeded,
        Self::DepositNotAuthorised,
        Self::XrpUnwanted,
        Self::NoTrustLine,
        Self::LineLimit,
        Self::LineFrozen,
        Self::LineNotAuthorised,
        Self::AssetFrozen,
        Self::NotPassedOn,
        Self::TransferFeeAboveCap,
    ];

    /// The word that is stored, and the label of the metric.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::OwnAddress => "own_address",
            Self::NobodysAddress => "nobodys_address",
            Self::NotFunded => "not_funded",
            Self::PseudoAccount => "pseudo_account",
            Self::TagNeeded => "tag_needed",
            Self::DepositNotAuthorised => "deposit_not_authorised",
            Self::XrpUnwanted => "xrp_unwanted",
            Self::NoTrustLine => "no_trust_line",
            Self::LineLimit => "line_limit",
            Self::LineFrozen => "line_frozen",
            Self::LineNotAuthorised => "line_not_authorised",
            Self::AssetFrozen => "asset_frozen",
            Self::NotPassedOn => "not_passed_on",
            Self::TransferFeeAboveCap => "transfer_fee_above_cap",
        }
    }

    /// The reason of that word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.as_str() == word)
    }
}

impl fmt::Display for RefusalReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

// === impl Refusal ===

impl Refusal {
    /// The payment that it is about.
    #[must_use]
    pub fn key(&self) -> &PaymentKey {
        &self.key
    }

    /// The validated ledger that shows it.
    #[must_use]
    pub fn ledger(&self) -> LedgerRef {
        self.cannot.ledger
    }

    /// What is to be kept of it.
    #[must_use]
    pub fn cannot(&self) -> &CannotReceive {
        &self.cannot
    }
}
