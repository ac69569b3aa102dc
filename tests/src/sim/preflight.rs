//! What can be said of a transaction from its own fields and the network's id alone.
//!
//! Owns: the `tem` codes and those about the network's id. May not: look at any account.

use super::blob::{Kind, Tx};
use super::clawback::preflight_clawback;
use super::codes::Ter;
use super::entries::{ISSUANCE_FLAGS, Made};
use super::money::Money;
use super::offers::{OFFER_FLAGS, preflight_offer};
use super::settings::{ACCOUNT_SET_FLAGS, preflight_account_set};
use super::signers::preflight_signer_list;
use super::state::{TOTAL_DROPS, View};
use super::trust::{TRUST_SET_FLAGS, preflight_trust_set};
use super::types::AccountId;

/// Networks above this id require the NetworkID field; the others refuse it.
const NETWORK_ID_FREE_MAX: u32 = 1024;
const TF_FULLY_CANONICAL: u32 = 0x8000_0000;
/// A payment that may not take the default path.
pub(super) const TF_NO_DIRECT: u32 = 0x0001_0000;
/// A payment may deliver less; no gateway should ever set it.
pub(super) const TF_PARTIAL_PAYMENT: u32 = 0x0002_0000;
const TF_LIMIT_QUALITY: u32 = 0x0004_0000;
/// Tickets that an account may have, and that one transaction may make.
pub(super) const TICKETS_MAX: u32 = 250;
/// Checks the form; nothing here depends on an account.
pub(super) fn preflight(view: &View<'_>, tx: &Tx) -> Result<(), Ter> {
    match tx.network_id {
        Some(_) if view.network_id <= NETWORK_ID_FREE_MAX => {
            return Err(Ter::TelNetworkIdMakesTxNonCanonical);
        }
        None if view.network_id > NETWORK_ID_FREE_MAX => return Err(Ter::TelRequiresNetworkId),
        Some(id) if id != view.network_id => return Err(Ter::TelWrongNetwork),
        _ => {}
    }
    let known_flags = match tx.kind {
        Kind::Payment { .. } => {
            TF_FULLY_CANONICAL | TF_NO_DIRECT | TF_PARTIAL_PAYMENT | TF_LIMIT_QUALITY
        }
        Kind::TrustSet => TF_FULLY_CANONICAL | TRUST_SET_FLAGS,
        Kind::OfferCreate => TF_FULLY_CANONICAL | OFFER_FLAGS,
        Kind::AccountSet { .. } => TF_FULLY_CANONICAL | ACCOUNT_SET_FLAGS,
        Kind::Creates(Made::Issuance) => TF_FULLY_CANONICAL | ISSUANCE_FLAGS,
        Kind::Clawback
        | Kind::Creates(Made::Credential { .. })
        | Kind::SetRegularKey { .. }
        | Kind::SignerListSet
        | Kind::TicketCreate { .. }
        | Kind::DepositPreauth { .. }
        | Kind::AccountDelete { .. }
        | Kind::NoSuchObject(_) => TF_FULLY_CANONICAL,
        Kind::Other => return Err(Ter::TemDisabled),
    };
    if tx.flags & !known_flags != 0 {
        return Err(Ter::TemInvalidFlag);
    }
    if tx.account.0 == [0; 20] {
        return Err(Ter::TemBadSrcAccount);
    }
    if tx
        .fee
        .is_none_or(|fee| !(0..=i128::from(TOTAL_DROPS)).contains(&fee))
    {
        return Err(Ter::TemBadFee);
    }
    if tx.ticket.is_some() && tx.json.contains_key("AccountTxnID") {
        return Err(Ter::TemInvalid);
    }
    match tx.kind {
        Kind::Payment { destination, drops } => preflight_payment(tx, destination, drops),
        Kind::AccountSet { set, clear } => preflight_account_set(tx, set, clear),
        Kind::SetRegularKey { key } if key == Some(tx.account) => Err(Ter::TemBadRegkey),
        Kind::TicketCreate { count } if !(1..=TICKETS_MAX).contains(&count) => {
            Err(Ter::TemInvalidCount)
        }
        Kind::DepositPreauth {
            authorize,
            unauthorize,
        } if authorize.is_some() == unauthorize.is_some() => Err(Ter::TemMalformed),
        Kind::NoSuchObject(ter) if ter.is_tem() => Err(ter),
        Kind::SignerListSet => preflight_signer_list(tx),
        Kind::TrustSet => preflight_trust_set(tx),
        Kind::Clawback => preflight_clawback(tx),
        Kind::OfferCreate => preflight_offer(tx),
        Kind::AccountDelete { destination } if destination == tx.account => Err(Ter::TemDstIsSrc),
        Kind::Creates(_)
        | Kind::TicketCreate { .. }
        | Kind::SetRegularKey { .. }
        | Kind::DepositPreauth { .. }
        | Kind::AccountDelete { .. }
        | Kind::NoSuchObject(_)
        | Kind::Other => Ok(()),
    }
}

fn preflight_payment(tx: &Tx, destination: AccountId, drops: Option<i128>) -> Result<(), Ter> {
    let amount = tx.money("Amount").ok_or(Ter::TemBadAmount)?;
    let send_max = tx.json.contains_key("SendMax").then(|| tx.money("SendMax"));
    let sent = match send_max {
        None => amount,
        Some(most) => most.ok_or(Ter::TemBadAmount)?,
    };
    if !is_possible(amount) {
        return Err(Ter::TemBadAmount);
    }
    if destination.0 == [0; 20] {
        return Err(Ter::TemDstNeeded);
    }
    if !is_possible(sent) {
        return Err(Ter::TemBadAmount);
    }
    if [amount, sent]
        .iter()
        .any(|money| matches!(money, Money::Issued(_, asset) if asset.currency.is_bad()))
    {
        return Err(Ter::TemBadCurrency);
    }
    let sends_xrp = sent.drops().is_some();
    let same_kind = match (amount, sent) {
        (Money::Xrp(_), Money::Xrp(_)) => true,
        (Money::Issued(_, one), Money::Issued(_, other)) => one.currency == other.currency,
        _ => false,
    };
    if destination == tx.account && same_kind && !tx.json.contains_key("Paths") {
        return Err(Ter::TemRedundant);
    }
    if drops.is_some() && sends_xrp {
        let refusals = [
            (tx.json.contains_key("SendMax"), Ter::TemBadSendXrpMax),
            (tx.json.contains_key("Paths"), Ter::TemBadSendXrpPaths),
            (
                tx.flags & TF_PARTIAL_PAYMENT != 0,
                Ter::TemBadSendXrpPartial,
            ),
            (tx.flags & TF_LIMIT_QUALITY != 0, Ter::TemBadSendXrpLimit),
            (tx.flags & TF_NO_DIRECT != 0, Ter::TemBadSendXrpNoDirect),
        ];
        if let Some((_, ter)) = refusals.into_iter().find(|(applies, _)| *applies) {
            return Err(ter);
        }
    }
    preflight_least(tx, amount)
}

/// The least that a partial payment must deliver.
fn preflight_least(tx: &Tx, amount: Money) -> Result<(), Ter> {
    if !tx.json.contains_key("DeliverMin") {
        return Ok(());
    }
    let fits = match (tx.money("DeliverMin"), amount) {
        (Some(Money::Xrp(least)), Money::Xrp(most)) => least <= most,
        (Some(Money::Issued(least, of)), Money::Issued(most, asset)) => {
            of == asset && least <= most
        }
        _ => false,
    };
    let least = tx.money("DeliverMin").is_some_and(is_possible);
    if tx.flags & TF_PARTIAL_PAYMENT == 0 || !fits || !least {
        return Err(Ter::TemBadAmount);
    }
    Ok(())
}

/// True for an amount that somebody can have.
fn is_possible(money: Money) -> bool {
    match money {
        Money::Xrp(drops) => (1..=i128::from(TOTAL_DROPS)).contains(&drops),
        Money::Issued(value, _) => value.is_positive(),
    }
}
