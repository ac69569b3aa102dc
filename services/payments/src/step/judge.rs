//! What a validated transaction on a payment's slot says about the payment.
//!
//! Owns: attribution: the slot is given, then content, then the hash. May not: change a payment.

use crate::intent::{Intent, Wallet};
use crate::payment::{Settled, VersionKind, Versions};
use crate::proof::{FinalResult, LedgerBody, LedgerTx, Presence};
use xrpl_tx::Hash256;

/// What a validated transaction on a payment's slot says about the payment.
pub(super) enum Verdict {
    Paid,
    Failed,
    Filled,
    DeliveredDiffers,
    OtherContent,
}

/// Attribution: the slot is given, so content comes next, and a hash only tells our own no-ops.
pub(super) fn judge(
    intent: &Intent,
    invoice: Hash256,
    wallet: &Wallet,
    versions: Option<&Versions>,
    tx: &LedgerTx,
) -> Verdict {
    let ours = tx.account == wallet.account && tx.source_tag == wallet.source_tag;
    match &tx.body {
        LedgerBody::Payment {
            destination,
            destination_tag,
            amount,
            delivered,
            invoice_id,
        } => {
            let content = ours
                && *destination == intent.destination
                && *destination_tag == intent.destination_tag
                && *amount == intent.amount
                && *invoice_id == Some(invoice)
                && tx.memos == intent.memos.as_slice();
            let content = match xrpl_tx::mutant!("attribution-by-hash") {
                true => versions.is_some_and(|v| v.by_hash(tx.hash).is_some()),
                false => content,
            };
            match (content, &tx.result) {
                (false, _) => Verdict::OtherContent,
                (true, FinalResult::Claimed(_)) if xrpl_tx::mutant!("tec-is-paid") => Verdict::Paid,
                (true, FinalResult::Claimed(_)) => Verdict::Failed,
                (true, FinalResult::Success) if *delivered == Some(intent.gets()) => Verdict::Paid,
                (true, FinalResult::Success) => Verdict::DeliveredDiffers,
            }
        }
        LedgerBody::NoOp => {
            let known = versions
                .and_then(|v| v.by_hash(tx.hash))
                .is_some_and(|v| v.kind == VersionKind::NoOp);
            let memo = xrpl_tx::noop_memo(intent.key.client.as_str(), intent.key.payment.as_str());
            if known || (ours && tx.memos.contains(&memo)) {
                Verdict::Filled
            } else {
                Verdict::OtherContent
            }
        }
        LedgerBody::Other => Verdict::OtherContent,
    }
}

pub(super) fn settled(presence: &Presence) -> Settled {
    let tx = presence.tx();
    let delivered = match (&tx.body, &tx.result) {
        (LedgerBody::Payment { delivered, .. }, FinalResult::Success) => *delivered,
        _ => None,
    };
    Settled {
        slot: tx.slot,
        ledger: presence.ledger(),
        tx_hash: tx.hash,
        result: tx.result.code().to_owned(),
        delivered,
        fee: tx.fee,
        servers: presence.servers().to_vec(),
    }
}
