//! Pre-flight: whether a destination provably cannot receive a payment, as one validated ledger has it.
//!
//! Owns: the rules, and the only maker of [`Refusal`], without which no payment that was never bound is given up here. May not:
//! decide about a payment that was ever bound, nor promise that one arrives: the ledger may change before it executes, and
//! what is not known is never a no.
//!
//! The rules are those of the ledger itself, with one exception: it lets XRP through to an account that asks for none
//! (DisallowXRP), and we honour the wish.

use std::fmt;

use xrpl_tx::{ACCOUNT_ONE, ACCOUNT_ZERO, AccountId, Amount, Drops};

use crate::LedgerRef;
use crate::intent::{Intent, PaymentKey, Wallet};
use crate::payment::CannotReceive;
use crate::proof::Observed;

/// lsfRequireDestTag: it takes nothing without a destination tag. Tag 0 is a tag.
const FLAG_REQUIRE_TAG: u32 = 0x0002_0000;

/// lsfDisallowXRP: it asks not to be sent XRP.
const FLAG_DISALLOW_XRP: u32 = 0x0008_0000;

/// lsfDepositAuth: it takes deposits only from accounts that it preauthorised.
const FLAG_DEPOSIT_AUTH: u32 = 0x0100_0000;

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
}

/// Proof that a validated ledger would not let a payment through. Only [`check`] makes one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    key: PaymentKey,
    cannot: CannotReceive,
}

/// Looks at a payment as the ledger of `destination` has it. `Ok` says only that nothing is known to be in its way.
pub fn check(
    intent: &Intent,
    wallet: &Wallet,
    destination: &Observed<DestinationFacts>,
) -> Result<(), Refusal> {
    let facts = destination.fact();
    assert_eq!(
        facts.account, intent.destination,
        "facts of one destination say nothing about another"
    );
    let found = obstacle(intent, wallet, facts);
    let Some((reason, detail)) = found else {
        return Ok(());
    };
    Err(Refusal {
        key: intent.key.clone(),
        cannot: CannotReceive {
            ledger: destination.ledger(),
            reason,
            detail,
            servers: destination.servers().to_vec(),
        },
    })
}

/// The first rule that stands in the way, in the order in which a person would put it right, with words for him.
fn obstacle(
    intent: &Intent,
    wallet: &Wallet,
    facts: &DestinationFacts,
) -> Option<(RefusalReason, String)> {
    let to = facts.account;
    if to == wallet.account {
        let detail =
            format!("{to} is the paying wallet itself: name the account that is to be paid");
        return Some((RefusalReason::OwnAddress, detail));
    }
    if to == ACCOUNT_ZERO || to == ACCOUNT_ONE {
        let detail = format!(
            "nobody can have a key of {to}, the money would be lost: ask the payee for his address"
        );
        return Some((RefusalReason::NobodysAddress, detail));
    }
    let Some(root) = &facts.root else {
        return not_there(intent, facts);
    };
    if root.is_pseudo {
        let detail = format!(
            "{to} belongs to an object of the ledger (an AMM, a vault) and takes no payments: ask the payee for his own address"
        );
        return Some((RefusalReason::PseudoAccount, detail));
    }
    if root.has(FLAG_REQUIRE_TAG) && intent.destination_tag.is_none() {
        let detail = format!(
            "{to} requires a destination tag and the payment has none: ask the payee for the tag and pay again with it"
        );
        return Some((RefusalReason::TagNeeded, detail));
    }
    match intent.amount {
        Amount::Xrp(drops) => xrp_obstacle(drops, root, wallet, facts),
    }
}

fn not_there(intent: &Intent, facts: &DestinationFacts) -> Option<(RefusalReason, String)> {
    let to = facts.account;
    let Amount::Xrp(drops) = intent.amount;
    if drops >= facts.reserve_base {
        return None;
    }
    let detail = format!(
        "{to} does not exist yet, and {drops} is less than the {} that create an account: pay at least that much, or let the payee fund it first",
        facts.reserve_base
    );
    Some((RefusalReason::NotFunded, detail))
}

fn xrp_obstacle(
    drops: Drops,
    root: &AccountRoot,
    wallet: &Wallet,
    facts: &DestinationFacts,
) -> Option<(RefusalReason, String)> {
    let to = facts.account;
    if root.has(FLAG_DISALLOW_XRP) {
        let detail = format!(
            "{to} asks not to be sent XRP (DisallowXRP): ask the payee for another address, or to clear that flag"
        );
        return Some((RefusalReason::XrpUnwanted, detail));
    }
    // An account that has next to nothing may always be helped back to its reserve.
    let helps_back = drops <= facts.reserve_base && root.balance <= facts.reserve_base;
    if root.asks_for_preauthorisation() && !root.wallet_preauthorised && !helps_back {
        return Some((
            RefusalReason::DepositNotAuthorised,
            not_authorised(to, wallet),
        ));
    }
    None
}

fn not_authorised(to: AccountId, wallet: &Wallet) -> String {
    format!(
        "{to} takes deposits only from accounts that it preauthorised (DepositAuth), and {} is none of them: ask the payee to preauthorise it",
        wallet.account
    )
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

// === impl RefusalReason ===

impl RefusalReason {
    /// Every reason.
    pub const ALL: [Self; 7] = [
        Self::OwnAddress,
        Self::NobodysAddress,
        Self::NotFunded,
        Self::PseudoAccount,
        Self::TagNeeded,
        Self::DepositNotAuthorised,
        Self::XrpUnwanted,
    ];

    /// The word that is stored, and in lower case the label of the metric.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::OwnAddress => "own_address",
            Self::NobodysAddress => "nobodys_address",
            Self::NotFunded => "not_funded",
            Self::PseudoAccount => "pseudo_account",
            Self::TagNeeded => "tag_needed",
            Self::DepositNotAuthorised => "deposit_not_authorised",
            Self::XrpUnwanted => "xrp_unwanted",
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
