//! What can be said of a transaction from its own fields and the network's id alone.
//!
//! Owns: the `tem` codes and those about the network's id. May not: look at any account.

use serde_json::Value;

use super::apply::ACCOUNT_SET_FLAGS;
use super::blob::{Kind, Tx};
use super::codes::Ter;
use super::state::{TOTAL_DROPS, View};
use super::types::AccountId;

/// Networks above this id require the NetworkID field; the others refuse it.
const NETWORK_ID_FREE_MAX: u32 = 1024;
const TF_FULLY_CANONICAL: u32 = 0x8000_0000;
const TF_NO_DIRECT: u32 = 0x0001_0000;
/// A payment may deliver less; no gateway should ever set it.
pub(super) const TF_PARTIAL_PAYMENT: u32 = 0x0002_0000;
const TF_LIMIT_QUALITY: u32 = 0x0004_0000;
/// What an issuer may charge for a transfer, in billionths of the amount.
const TRANSFER_RATES: std::ops::RangeInclusive<u64> = 1_000_000_000..=2_000_000_000;
/// Tickets that an account may have, and that one transaction may make.
pub(super) const TICKETS_MAX: u32 = 250;
/// Fields that an AccountSet may have here; others ask for what is not built.
const ACCOUNT_SET_FIELDS: [&str; 13] = [
    "Account",
    "ClearFlag",
    "Fee",
    "Flags",
    "LastLedgerSequence",
    "Memos",
    "NetworkID",
    "Sequence",
    "SetFlag",
    "SigningPubKey",
    "SourceTag",
    "TransactionType",
    "TxnSignature",
];

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
        Kind::AccountSet { .. }
        | Kind::SetRegularKey { .. }
        | Kind::TicketCreate { .. }
        | Kind::DepositPreauth { .. }
        | Kind::AccountDelete
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
        Kind::TicketCreate { .. }
        | Kind::SetRegularKey { .. }
        | Kind::DepositPreauth { .. }
        | Kind::AccountDelete
        | Kind::NoSuchObject(_)
        | Kind::Other => Ok(()),
    }
}

fn preflight_payment(tx: &Tx, destination: AccountId, drops: Option<i128>) -> Result<(), Ter> {
    if let Some(drops) = drops
        && !(1..=i128::from(TOTAL_DROPS)).contains(&drops)
    {
        return Err(Ter::TemBadAmount);
    }
    if destination.0 == [0; 20] {
        return Err(Ter::TemDstNeeded);
    }
    let sends_xrp = tx.json.get("SendMax").is_none_or(Value::is_string);
    if destination == tx.account && drops.is_some() && sends_xrp && !tx.json.contains_key("Paths") {
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
    if tx.json.contains_key("DeliverMin") && tx.flags & TF_PARTIAL_PAYMENT == 0 {
        return Err(Ter::TemBadAmount);
    }
    Ok(())
}

fn preflight_account_set(tx: &Tx, set: u32, clear: u32) -> Result<(), Ter> {
    if set != 0 && set == clear {
        return Err(Ter::TemInvalidFlag);
    }
    let rate = tx.json.get("TransferRate").and_then(Value::as_u64);
    if rate.is_some_and(|rate| rate != 0 && !TRANSFER_RATES.contains(&rate)) {
        return Err(Ter::TemBadTransferRate);
    }
    let built = |flag: u32| flag == 0 || ACCOUNT_SET_FLAGS.iter().any(|(known, _)| *known == flag);
    let only_known_fields = tx.json.keys().all(|name| {
        ACCOUNT_SET_FIELDS.contains(&name.as_str())
            || ["TicketSequence", "AccountTxnID"].contains(&name.as_str())
    });
    if built(set) && built(clear) && only_known_fields {
        Ok(())
    } else {
        Err(Ter::TemDisabled)
    }
}
