//! A payment and its transaction, field by field.
//!
//! Owns: which fields must agree. May not: compare amounts of two assets, or texts of amounts.

use paygate_client::proto::{
    Evidence, EvidenceKind, IssuedAmount, Payment, PaymentState, evidence, payment,
};

use super::super::decimal::Decimal;
use super::transaction::{Amount, Transaction};

/// Each field in which the two differ, in words.
pub(super) fn fields(payment: &Payment, evidence: &Evidence, tx: &Transaction) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut check = |field: &str, store: String, ledger: String| {
        if store != ledger {
            let shown = |text: String| {
                if text.is_empty() {
                    "nothing".to_owned()
                } else {
                    text
                }
            };
            wrong.push(format!(
                "{field}: the gateway says {}, the ledger {}",
                shown(store),
                shown(ledger)
            ));
        }
    };
    check(
        "ledger_index",
        evidence.ledger_index.to_string(),
        tx.ledger_index.to_string(),
    );
    if !tx.ledger_hash.is_empty() {
        check(
            "ledger_hash",
            evidence.ledger_hash.clone(),
            tx.ledger_hash.clone(),
        );
    }
    if evidence.kind() == EvidenceKind::Displaced {
        return wrong;
    }
    check(
        "engine_result",
        evidence.engine_result.clone(),
        tx.result.clone(),
    );
    check(
        "fee_drops",
        evidence.fee_drops.to_string(),
        tx.fee_drops.to_string(),
    );
    let amount_text = |amount: Option<Amount>| {
        amount.map_or(String::new(), |amount| {
            format!("{} {}", amount.value, amount.asset)
        })
    };
    if !matches!(payment.state(), PaymentState::Paid | PaymentState::Failed) {
        // Our own no-op ended it.
        check(
            "type",
            "no-op".to_owned(),
            if tx.is_no_op {
                "no-op".to_owned()
            } else {
                tx.kind.clone()
            },
        );
        return wrong;
    }
    let tag = |tag: Option<u32>| tag.map(|tag| tag.to_string()).unwrap_or_default();
    check("type", "Payment".to_owned(), tx.kind.clone());
    check(
        "invoice_id",
        payment.invoice_id.clone(),
        tx.invoice_id.clone(),
    );
    check(
        "destination",
        payment.destination.clone(),
        tx.destination.clone(),
    );
    check(
        "destination_tag",
        tag(payment.destination_tag),
        tag(tx.destination_tag),
    );
    check(
        "delivered",
        amount_text(said(evidence.delivered.as_ref())),
        amount_text(tx.delivered.clone()),
    );
    if payment.state() == PaymentState::Paid {
        check(
            "amount",
            amount_text(asked(payment)),
            amount_text(tx.delivered.clone()),
        );
    }
    wrong
}

pub(super) fn said(delivered: Option<&evidence::Delivered>) -> Option<Amount> {
    match delivered? {
        evidence::Delivered::DeliveredDrops(drops) => Some(xrp(*drops)),
        evidence::Delivered::DeliveredIssued(amount) => Some(issued(amount)),
    }
}

fn asked(payment: &Payment) -> Option<Amount> {
    match payment.amount.as_ref()? {
        payment::Amount::XrpDrops(drops) => Some(xrp(*drops)),
        payment::Amount::Issued(amount) => Some(issued(amount)),
    }
}

pub(super) fn xrp(drops: u64) -> Amount {
    Amount {
        asset: "XRP".to_owned(),
        value: Decimal::of_drops(drops),
    }
}

/// A value that is none differs from every other.
fn issued(amount: &IssuedAmount) -> Amount {
    let asset = format!("{} {}", amount.currency, amount.issuer);
    match Decimal::read(&amount.value) {
        Some(value) => Amount { asset, value },
        None => Amount {
            asset: format!("{asset} ({:?})", amount.value),
            value: Decimal::default(),
        },
    }
}
