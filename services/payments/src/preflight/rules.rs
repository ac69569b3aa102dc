//! The rules of pre-flight, one after the other, with words for the person who has to put it right.
//!
//! Owns: what the ledger would not let through, as `Payment` is executed there. May not: make a refusal of it.

use xrpl_tx::{ACCOUNT_ONE, ACCOUNT_ZERO, AccountId, Amount, Drops, IssuedAmount, IssuedValue};

use super::{
    AccountRoot, AssetFacts, DestinationFacts, FLAG_GLOBAL_FREEZE, IssuedFacts, IssuerRoot,
    RefusalReason, Shortage, TrustLine,
};
use crate::intent::{Intent, Wallet};

/// lsfRequireDestTag: it takes nothing without a destination tag. Tag 0 is a tag.
const FLAG_REQUIRE_TAG: u32 = 0x0002_0000;

/// lsfDisallowXRP: it asks not to be sent XRP.
const FLAG_DISALLOW_XRP: u32 = 0x0008_0000;

/// lsfRequireAuth of an issuer: it decides who may hold what it issues.
const FLAG_REQUIRE_AUTH: u32 = 0x0004_0000;

/// A rule that stands in the way, with words for a person.
pub(super) type Obstacle = (RefusalReason, String);

/// What holds for every asset, in the order in which a person would put it right.
pub(super) fn door(intent: &Intent, wallet: &Wallet, facts: &DestinationFacts) -> Option<Obstacle> {
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
    None
}

fn not_there(intent: &Intent, facts: &DestinationFacts) -> Option<Obstacle> {
    let (to, reserve) = (facts.account, facts.reserve_base);
    let detail = match intent.amount {
        Amount::Xrp(drops) if drops >= reserve => return None,
        Amount::Xrp(drops) => format!(
            "{to} does not exist yet, and {drops} is less than the {reserve} that create an account: pay at least that much, or let the payee fund it first"
        ),
        Amount::Issued { .. } => format!(
            "{to} does not exist yet, and only {reserve} or more create an account: let the payee fund it and set a trust line first"
        ),
    };
    Some((RefusalReason::NotFunded, detail))
}

// === XRP ===

pub(super) fn xrp_obstacle(
    drops: Drops,
    wallet: &Wallet,
    facts: &DestinationFacts,
) -> Option<Obstacle> {
    let to = facts.account;
    let root = facts.root.as_ref()?;
    if root.has(FLAG_DISALLOW_XRP) {
        let detail = format!(
            "{to} asks not to be sent XRP (DisallowXRP): ask the payee for another address, or to clear that flag"
        );
        return Some((RefusalReason::XrpUnwanted, detail));
    }
    // An account that has next to nothing may always be helped back to its reserve.
    let helps_back = drops <= facts.reserve_base && root.balance <= facts.reserve_base;
    if helps_back {
        None
    } else {
        not_authorised(to, root, wallet)
    }
}

fn not_authorised(to: AccountId, root: &AccountRoot, wallet: &Wallet) -> Option<Obstacle> {
    let barred = root.asks_for_preauthorisation() && !root.wallet_preauthorised;
    barred.then(|| {
        let detail = format!(
            "{to} takes deposits only from accounts that it preauthorised (DepositAuth), and {} is none of them: ask the payee to preauthorise it",
            wallet.account
        );
        (RefusalReason::DepositNotAuthorised, detail)
    })
}

// === issued currencies ===

pub(super) fn issued_door(wallet: &Wallet, facts: &DestinationFacts) -> Option<Obstacle> {
    not_authorised(facts.account, facts.root.as_ref()?, wallet)
}

/// A payment in an issued currency: from the wallet's line to the issuer, and on from there to the destination's line.
pub(super) struct Transfer<'a> {
    amount: IssuedAmount,
    most: IssuedValue,
    destination: &'a DestinationFacts,
    asset: &'a AssetFacts,
    line: Option<&'a TrustLine>,
}

impl<'a> Transfer<'a> {
    pub(super) fn new(
        amount: IssuedAmount,
        send_max: Option<IssuedValue>,
        facts: IssuedFacts<'a>,
        destination: &'a DestinationFacts,
    ) -> Self {
        let (asset, holding) = (facts.asset.fact(), facts.holding.fact());
        assert_eq!(asset.asset, amount.asset(), "facts of another asset");
        assert_eq!(
            (holding.account, holding.asset),
            (destination.account, amount.asset()),
            "a trust line of somebody else, or of another asset"
        );
        Self {
            amount,
            most: send_max.unwrap_or(amount.value()),
            destination,
            asset,
            line: holding.line.as_ref(),
        }
    }

    /// Paid back to who issued it: no second line, no fee, and no freeze bars it.
    fn redeems(&self) -> bool {
        self.destination.account == self.amount.asset().issuer
    }

    pub(super) fn obstacle(&self) -> Option<Obstacle> {
        if self.redeems() {
            return None;
        }
        // An issuer that is not there has no lines either: the wallet's own shortage says so.
        let issuer = self.asset.issuer.as_ref()?;
        let (to, asset) = (self.destination.account, self.amount.asset());
        let Some(line) = self.line else {
            let detail = format!(
                "{to} has no trust line for {asset}: ask the payee to set one, with a limit of at least {}",
                self.amount.value()
            );
            return Some((RefusalReason::NoTrustLine, detail));
        };
        self.line_obstacle(line, issuer)
            .or_else(|| self.issuer_obstacle(line, issuer))
    }

    fn line_obstacle(&self, line: &TrustLine, issuer: &IssuerRoot) -> Option<Obstacle> {
        let (to, asset) = (self.destination.account, self.amount.asset());
        let global = self.destination.root.as_ref();
        // A line that only the issuer has frozen still receives.
        let barred = line.frozen_by_holder
            || line.deep_frozen
            || global.is_some_and(|root| root.has(FLAG_GLOBAL_FREEZE));
        if barred {
            let detail = format!(
                "the trust line of {to} for {asset} is frozen and receives nothing: the payee or the issuer has to lift the freeze"
            );
            return Some((RefusalReason::LineFrozen, detail));
        }
        // The ledger lets an unauthorised line go on that holds something already.
        if issuer.has(FLAG_REQUIRE_AUTH) && !line.authorised && line.balance.is_zero() {
            let detail = format!(
                "the issuer of {asset} decides who may hold it and has not authorised {to}: the payee has to ask the issuer"
            );
            return Some((RefusalReason::LineNotAuthorised, detail));
        }
        let after = line.balance.checked_add_up(self.amount.value());
        if after.is_none_or(|after| after > line.limit) {
            let detail = format!(
                "{to} is willing to hold {} of {asset} and has {}, so {} more do not fit: ask the payee to raise the limit of the trust line",
                line.limit,
                line.balance,
                self.amount.value()
            );
            return Some((RefusalReason::LineLimit, detail));
        }
        None
    }

    fn issuer_obstacle(&self, line: &TrustLine, issuer: &IssuerRoot) -> Option<Obstacle> {
        let asset = self.amount.asset();
        if issuer.has(FLAG_GLOBAL_FREEZE) {
            let detail = format!(
                "the issuer has frozen everything that it issued (global freeze), so nobody can pay {asset} to anybody: wait for the issuer, then pay again"
            );
            return Some((RefusalReason::AssetFrozen, detail));
        }
        let ours = self.asset.wallet_line.as_ref();
        if line.no_ripple_by_issuer && ours.is_some_and(|ours| ours.no_ripple_by_issuer) {
            let detail = format!(
                "the issuer does not let {asset} pass from one holder to another (no DefaultRipple): ask the issuer"
            );
            return Some((RefusalReason::NotPassedOn, detail));
        }
        let rate = issuer.transfer_fee_ppm_up();
        let needed = self.amount.value().add_ppm_up(rate);
        if needed.is_none_or(|needed| needed > self.most) {
            let detail = format!(
                "the issuer of {asset} keeps {rate} millionths of each transfer, so {} cost more than the {} that this payment may take: raise assets.max_transfer_fee_ppm and pay again",
                self.amount.value(),
                self.most
            );
            return Some((RefusalReason::TransferFeeAboveCap, detail));
        }
        None
    }

    /// What the wallet itself lacks. It passes without a word of the caller, so it is waited for.
    pub(super) fn shortage(&self) -> Option<Shortage> {
        let asset = self.amount.asset();
        match &self.asset.wallet_line {
            None => Some(Shortage::NoLine { asset }),
            Some(ours)
                if (ours.frozen_by_issuer || ours.frozen_by_holder || ours.deep_frozen)
                    && !self.redeems() =>
            {
                Some(Shortage::LineFrozen { asset })
            }
            Some(_) => None,
        }
    }
}
