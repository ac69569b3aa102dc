//! The comparison of what the gateway said with what the ledger holds, drop by drop.
//!
//! Owns: the three questions after every story of faults: was anything paid twice, lost, or said falsely? May not: believe
//! anything but validated history.

use std::collections::{BTreeMap, BTreeSet};

use paygate_proto::v1::{Payment, PaymentState, payment};

use super::client::{DROPS_PER_XRP, state_name};
use super::ledger::LedgerError;
use super::{World, client};

/// What went wrong, each with the payments that it happened to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Audit {
    /// InvoiceIDs that were paid more than once, or two payments with one slot.
    pub double: Vec<String>,
    /// Payments without a final state, and InvoiceIDs of the ledger that no payment has.
    pub lost: Vec<String>,
    /// Payments that are said to be paid and are not, or the other way round.
    pub false_words: Vec<String>,
    /// Balances that do not follow from history.
    pub books: Vec<String>,
}

impl Audit {
    /// Whether nothing did.
    pub fn is_clean(&self) -> bool {
        *self == Audit::default()
    }
}

/// Compares all payments of drops with the wallet's whole history, and its balance with both.
pub async fn audit(world: &World, payments: &[Payment]) -> Result<Audit, LedgerError> {
    let wallet = world.wallet().address();
    let invoices = world.ledger().paid_invoices(&wallet).await?;
    let mut found = Audit::default();
    let twice = invoices.iter().filter(|(_, times)| **times != 1);
    found
        .double
        .extend(twice.map(|(invoice, times)| format!("{invoice}: {times} times")));
    let mut slots = BTreeMap::new();
    for payment in payments {
        let who = format!("{} ({})", payment.payment_id, state_name(payment.state()));
        let is_paid = invoices.contains_key(&payment.invoice_id);
        if !client::is_final(payment) {
            found.lost.push(who.clone());
        } else if is_paid != (payment.state() == PaymentState::Paid) {
            found.false_words.push(who.clone());
        }
        if payment.slot.is_some() {
            let slot = format!("{:?}", payment.slot);
            if let Some(other) = slots.insert(slot, who.clone()) {
                found.double.push(format!("{other} and {who} on one slot"));
            }
        }
    }
    let known: BTreeSet<&String> = payments.iter().map(|payment| &payment.invoice_id).collect();
    let strange = invoices.keys().filter(|invoice| !known.contains(invoice));
    found
        .lost
        .extend(strange.map(|invoice| format!("{invoice} belongs to no payment")));
    found.books = books(world, payments).await?;
    Ok(found)
}

/// By the ledger's own figures.
async fn books(world: &World, payments: &[Payment]) -> Result<Vec<String>, LedgerError> {
    let wallet = world.wallet().address();
    let history = world.ledger().history(&wallet).await?;
    let made = || history.iter().filter(|entry| entry.account == wallet);
    let fees: u64 = made().map(|entry| entry.fee_drops).sum();
    let delivered: u64 = made().map(|entry| entry.delivered_drops).sum();
    let said: u64 = payments
        .iter()
        .filter(|payment| payment.state() == PaymentState::Paid)
        .map(drops)
        .sum();
    let mut wrong = Vec::new();
    if delivered != said {
        wrong.push(format!("said {said} drops are paid, {delivered} were"));
    }
    let balance = world
        .ledger()
        .account(&wallet)
        .await?
        .map(|account| account.0);
    let expected = world.wallet_xrp() * DROPS_PER_XRP - delivered - fees;
    if balance != Some(expected) {
        wrong.push(format!("the wallet holds {balance:?}, expected {expected}"));
    }
    Ok(wrong)
}

/// What is asked for, in drops; 0 for issued currencies.
fn drops(asked: &Payment) -> u64 {
    match asked.amount {
        Some(payment::Amount::XrpDrops(drops)) => drops,
        _ => 0,
    }
}
