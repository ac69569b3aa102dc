//! What the store and the engine know, in the words of the contract.
//!
//! Owns: reasons and evidence as callers read them. May not: show a blob, a memo of another payment or an error text of ours, nor
//! let a condition of the moment change what a state says.

use paygate_payments::LedgerRef;
use paygate_payments::codes::Concern;
use paygate_payments::money::Money;
use paygate_payments::payment::{
    AtLarge, CancelCause, EndProof, Ended, HoldCause, Payment, Settled, State, StateName, Version,
    VersionKind,
};
use paygate_payments::preflight::RefusalReason;
use paygate_proto::v1::payment::Amount as ShownAmount;
use paygate_proto::v1::{
    self, EvidenceKind, PaymentReason, PaymentState, PreflightRefusal, evidence, slot,
};
use paygate_telemetry::TraceParent;
use xrpl_tx::{Amount, Asset, IssuedValue, Memo, Slot};

use crate::clock::Millis;
use crate::store::Record;
use crate::view::{EngineView, SlotAnswer};

/// A reason and words for a person.
type Why = (PaymentReason, String);

/// The payment as it is now. `view` tells why a live one does not move; nothing else is taken from it.
pub(super) fn payment(record: &Record, view: &EngineView) -> v1::Payment {
    let payment = &record.payment;
    let intent = &payment.intent;
    let name = payment.state.name();
    let (reason, reason_detail) = why(record, view);
    let versions = record.versions.as_ref();
    let (amount, send_max) = amount(intent.amount);
    v1::Payment {
        payment_id: intent.key.payment.to_string(),
        client_id: intent.key.client.to_string(),
        state: state(name).into(),
        reason: reason.into(),
        reason_detail,
        safe_to_repay: name.safe_to_repay(),
        destination: intent.destination.to_address(),
        destination_tag: intent.destination_tag,
        amount: Some(amount),
        send_max,
        memos: intent.memos.as_slice().iter().map(memo).collect(),
        retry_of: intent
            .retry_of
            .as_ref()
            .map(ToString::to_string)
            .unwrap_or_default(),
        create_time: Some(record.created.timestamp()),
        update_time: Some(record.updated.timestamp()),
        deadline_ledger: payment.deadline.map_or(0, |deadline| deadline.0),
        cancel_requested: payment.cancel.is_some(),
        slot: payment.state.slot().map(shown_slot),
        dead_at_ledger: versions.map_or(0, |versions| versions.highest_last_ledger().0),
        versions: versions
            .map(|versions| versions.as_slice().iter().map(version).collect())
            .unwrap_or_default(),
        invoice_id: payment.invoice_id.to_string(),
        trace_id: trace_id(record),
        evidence: evidence(record),
        approve_before: record.approve_before.map(Millis::timestamp),
    }
}

/// The state's value in the contract.
pub(super) fn state(name: StateName) -> PaymentState {
    match name {
        StateName::AwaitingApproval => PaymentState::AwaitingApproval,
        StateName::Accepted => PaymentState::Accepted,
        StateName::AtLarge => PaymentState::AtLarge,
        StateName::OnHold => PaymentState::OnHold,
        StateName::Paid => PaymentState::Paid,
        StateName::Failed => PaymentState::Failed,
        StateName::Expired => PaymentState::Expired,
        StateName::Cancelled => PaymentState::Cancelled,
        StateName::Rejected => PaymentState::Rejected,
    }
}

// --- reasons

fn why(record: &Record, view: &EngineView) -> Why {
    match &record.payment.state {
        State::AwaitingApproval if record.payment.cancel.is_some() => {
            why_not_bound(&record.payment, view)
        }
        State::AwaitingApproval => {
            let detail = "waits for approval by another identity than its client".to_owned();
            (PaymentReason::None, detail)
        }
        State::Accepted => why_not_bound(&record.payment, view),
        State::AtLarge(at_large) => why_at_large(at_large, record.payment.cancel, view),
        State::OnHold(held) => why_held(held.why),
        State::Paid(_) => (PaymentReason::None, String::new()),
        State::Failed(settled) => why_failed(settled),
        State::Displaced(ended) => why_displaced(ended),
        State::Expired(ended) => why_expired(record, ended),
        State::Cancelled(ended, cause) => why_cancelled(ended, *cause),
        State::Rejected(ended) => why_rejected(ended),
    }
}

/// What stops everything, whatever a payment's state: doubt first, then people, then the network.
fn stopped(view: &EngineView) -> Option<Why> {
    if let Some(doubt) = view.doubt() {
        return Some((
            PaymentReason::Quarantine,
            format!("continuity is in doubt: {doubt}"),
        ));
    }
    if let Some(freeze) = &view.frozen {
        return Some((PaymentReason::WalletFrozen, freeze.why.clone()));
    }
    if view.halted {
        let detail = match view.validated {
            Some(ledger) => format!(
                "the network has validated nothing since ledger {}",
                ledger.index
            ),
            None => "the network validates no ledgers".to_owned(),
        };
        return Some((PaymentReason::NetworkHalted, detail));
    }
    None
}

fn link_down(view: &EngineView) -> Option<Why> {
    (!view.link.connected).then(|| (PaymentReason::LedgerUnavailable, view.link.detail.clone()))
}

fn signer_away(view: &EngineView) -> Option<Why> {
    view.signer
        .unreachable
        .as_ref()
        .map(|why| (PaymentReason::SignerUnavailable, why.clone()))
}

fn why_not_bound(payment: &Payment, view: &EngineView) -> Why {
    if payment.cancel.is_some() {
        return why_cancel_waits(view).unwrap_or_else(|| {
            let detail = "to be cancelled; it is bound no more".to_owned();
            (PaymentReason::CancelRequested, detail)
        });
    }
    let own = || view.waits.get(&payment.intent.key);
    let blocked = || {
        own()
            .or(view.blocked.as_ref())
            .map(|blocked| (blocked.reason, blocked.detail.clone()))
    };
    let paused = || {
        view.pause_of(&payment.intent)
            .map(|pause| (PaymentReason::Paused, pause.to_string()))
    };
    stopped(view)
        .or_else(paused)
        .or_else(|| signer_away(view))
        .or_else(blocked)
        .or_else(|| link_down(view))
        .unwrap_or((PaymentReason::Queued, String::new()))
}

/// A cancel is stored at any time; in a quarantine nothing comes of it yet.
fn why_cancel_waits(view: &EngineView) -> Option<Why> {
    let doubt = view.doubt()?;
    let detail = format!(
        "the cancel is stored, and nothing ends unpaid while continuity is in doubt: {doubt}"
    );
    Some((PaymentReason::Quarantine, detail))
}

fn why_at_large(at_large: &AtLarge, cancel: Option<CancelCause>, view: &EngineView) -> Why {
    if let Some(cause) = cancel {
        let who = cancel_cause(cause);
        return why_cancel_waits(view).unwrap_or_else(|| {
            let detail =
                format!("to be cancelled, because {who}; the ledger decides which of the two won");
            (PaymentReason::CancelRequested, detail)
        });
    }
    let (_, newest) = at_large.versions.latest();
    let unsigned = newest.signed.is_none();
    stopped(view)
        .or_else(|| if unsigned { signer_away(view) } else { None })
        .or_else(|| link_down(view))
        .or_else(|| why_answered(view.answers.get(&at_large.binding.slot)?))
        .unwrap_or((PaymentReason::None, String::new()))
}

/// What the ledger's server said last to what was sent. It explains, and decides nothing.
fn why_answered(answer: &SlotAnswer) -> Option<Why> {
    let reason = match answer {
        SlotAnswer::Result { code, .. } if code == "tesSUCCESS" => return None,
        SlotAnswer::Result { code, .. } => match Concern::of(code) {
            Concern::Destination => PaymentReason::DestinationNotReady,
            Concern::Funds => PaymentReason::InsufficientFunds,
            Concern::Nobody => PaymentReason::None,
        },
        SlotAnswer::Refused { .. } => PaymentReason::LedgerUnavailable,
        SlotAnswer::Unread => PaymentReason::None,
    };
    Some((reason, format!("the ledger's server last said {answer}")))
}

fn why_displaced(ended: &Ended) -> Why {
    let detail = match &ended.proof {
        EndProof::Displaced { by, ledger, .. } => format!(
            "transaction {by} took its slot in ledger {}, and an operator knows of it",
            ledger.index
        ),
        _ => "its slot went to something else".to_owned(),
    };
    (PaymentReason::SlotTaken, detail)
}

fn why_held(cause: HoldCause) -> Why {
    match cause {
        HoldCause::SlotTaken { by } => (
            PaymentReason::SlotTaken,
            format!("transaction {by} of other content used its slot"),
        ),
        HoldCause::JumpedOver { by } => (
            PaymentReason::SlotTaken,
            format!("transaction {by} made Tickets and jumped over its slot"),
        ),
        HoldCause::ConsumerUnknown => (
            PaymentReason::HistoryMissing,
            "its slot is used and no server showed by which transaction".to_owned(),
        ),
        HoldCause::DeliveredDiffers { by } => (
            PaymentReason::DeliveredDiffers,
            format!("transaction {by} delivered another amount"),
        ),
    }
}

fn why_failed(settled: &Settled) -> Why {
    let reason = match settled.result.as_str() {
        "tecNO_DST" | "tecNO_DST_INSUF_XRP" => PaymentReason::TecNoDestination,
        "tecDST_TAG_NEEDED" => PaymentReason::TecTagNeeded,
        "tecNO_PERMISSION" => PaymentReason::TecNoPermission,
        "tecUNFUNDED_PAYMENT" | "tecUNFUNDED" | "tecINSUFF_FEE" | "tecINSUFFICIENT_RESERVE" => {
            PaymentReason::TecUnfunded
        }
        result if result.starts_with("tec") => PaymentReason::TecOther,
        _ => {
            return (
                PaymentReason::SlotTaken,
                format!(
                    "transaction {} of other content used its slot",
                    settled.tx_hash
                ),
            );
        }
    };
    (
        reason,
        format!(
            "ledger {} holds it with {}",
            settled.ledger.index, settled.result
        ),
    )
}

fn why_expired(record: &Record, ended: &Ended) -> Why {
    match (&ended.proof, record.payment.deadline) {
        (EndProof::NeverBound { validated }, Some(deadline)) if *validated >= deadline => (
            PaymentReason::DeadlinePassed,
            format!("ledger {validated} is past its deadline {deadline}; it was never bound"),
        ),
        (EndProof::NeverBound { .. }, _) => (
            PaymentReason::ApprovalWindowOver,
            "nobody approved it in time".to_owned(),
        ),
        (_, Some(deadline)) => (
            PaymentReason::DeadlinePassed,
            format!("it is proven dead and its deadline {deadline} allows no other version"),
        ),
        (_, None) => (
            PaymentReason::DeadlinePassed,
            "it is proven dead".to_owned(),
        ),
    }
}

fn why_cancelled(ended: &Ended, cause: CancelCause) -> Why {
    let reason = match cause {
        CancelCause::Requested => PaymentReason::CancelledByCaller,
        CancelCause::SignerDenied | CancelCause::Forgotten => PaymentReason::CancelledByGateway,
        CancelCause::DestinationCannotReceive => PaymentReason::DestinationCannotReceive,
    };
    if let EndProof::CannotReceive(cannot) = &ended.proof {
        return (reason, cannot.detail.clone());
    }
    let how = match &ended.proof {
        EndProof::NeverBound { .. } => "it was never bound",
        EndProof::Filled { .. } => "a no-op took its slot",
        EndProof::Absence { .. }
        | EndProof::Sealed(_)
        | EndProof::Displaced { .. }
        | EndProof::CannotReceive(_) => "it can never be paid",
    };
    (reason, format!("{}, and {how}", cancel_cause(cause)))
}

fn cancel_cause(cause: CancelCause) -> &'static str {
    match cause {
        CancelCause::Requested => "its caller asked for it",
        CancelCause::SignerDenied => "the signer denied it for a whole window",
        CancelCause::Forgotten => "a no-op of ours says so, though no row tells who asked for it",
        CancelCause::DestinationCannotReceive => "its destination cannot receive it",
    }
}

fn why_rejected(ended: &Ended) -> Why {
    match &ended.proof {
        EndProof::Sealed(seal) => (PaymentReason::SignerSealed, seal.reason.clone()),
        EndProof::NeverBound { .. }
        | EndProof::Absence { .. }
        | EndProof::Filled { .. }
        | EndProof::Displaced { .. }
        | EndProof::CannotReceive(_) => (
            PaymentReason::ApprovalRefused,
            "an approver refused it".to_owned(),
        ),
    }
}

// --- evidence

fn evidence(record: &Record) -> Option<v1::Evidence> {
    let shown = match &record.payment.state {
        State::AwaitingApproval | State::Accepted | State::AtLarge(_) | State::OnHold(_) => {
            return None;
        }
        State::Paid(settled) => v1::Evidence {
            delivered: settled.delivered.map(delivered),
            ..presence(settled)
        },
        State::Failed(settled) => presence(settled),
        State::Expired(ended) | State::Displaced(ended) => end(&ended.proof),
        // No deadline ended it: of which ledger it was never bound says nothing.
        State::Cancelled(ended, _) | State::Rejected(ended) => match &ended.proof {
            EndProof::NeverBound { .. } => v1::Evidence {
                kind: EvidenceKind::NeverBound.into(),
                ..v1::Evidence::default()
            },
            proof => end(proof),
        },
    };
    Some(v1::Evidence {
        ledger_close_time: record.ledger_closed.map(Millis::timestamp),
        ..shown
    })
}

fn presence(settled: &Settled) -> v1::Evidence {
    v1::Evidence {
        tx_hash: settled.tx_hash.to_string(),
        engine_result: settled.result.clone(),
        fee_drops: settled.fee.get(),
        servers: settled.servers.clone(),
        ..in_ledger(EvidenceKind::Presence, settled.ledger)
    }
}

fn end(proof: &EndProof) -> v1::Evidence {
    match proof {
        EndProof::NeverBound { validated } => v1::Evidence {
            kind: EvidenceKind::NeverBound.into(),
            ledger_index: validated.0,
            ..v1::Evidence::default()
        },
        EndProof::Absence {
            ledger, servers, ..
        } => v1::Evidence {
            servers: servers.clone(),
            ..in_ledger(EvidenceKind::Absence, *ledger)
        },
        EndProof::Filled {
            ledger,
            tx_hash,
            result,
            fee,
            servers,
        } => v1::Evidence {
            tx_hash: tx_hash.to_string(),
            engine_result: result.clone(),
            fee_drops: fee.get(),
            servers: servers.clone(),
            ..in_ledger(EvidenceKind::Presence, *ledger)
        },
        EndProof::Displaced { ledger, by, .. } => v1::Evidence {
            tx_hash: by.to_string(),
            ..in_ledger(EvidenceKind::Displaced, *ledger)
        },
        EndProof::Sealed(_) => v1::Evidence {
            kind: EvidenceKind::Seal.into(),
            ..v1::Evidence::default()
        },
        EndProof::CannotReceive(cannot) => v1::Evidence {
            servers: cannot.servers.clone(),
            refusal: refusal(cannot.reason).into(),
            ..in_ledger(EvidenceKind::NeverBound, cannot.ledger)
        },
    }
}

fn refusal(reason: RefusalReason) -> PreflightRefusal {
    match reason {
        RefusalReason::OwnAddress => PreflightRefusal::OwnAddress,
        RefusalReason::NobodysAddress => PreflightRefusal::NobodysAddress,
        RefusalReason::NotFunded => PreflightRefusal::NotFunded,
        RefusalReason::PseudoAccount => PreflightRefusal::PseudoAccount,
        RefusalReason::TagNeeded => PreflightRefusal::TagNeeded,
        RefusalReason::DepositNotAuthorised => PreflightRefusal::DepositNotAuthorised,
        RefusalReason::XrpUnwanted => PreflightRefusal::XrpUnwanted,
        RefusalReason::NoTrustLine => PreflightRefusal::NoTrustLine,
        RefusalReason::LineLimit => PreflightRefusal::LineLimit,
        RefusalReason::LineFrozen => PreflightRefusal::LineFrozen,
        RefusalReason::LineNotAuthorised => PreflightRefusal::LineNotAuthorised,
        RefusalReason::AssetFrozen => PreflightRefusal::AssetFrozen,
        RefusalReason::NotPassedOn => PreflightRefusal::NotPassedOn,
        RefusalReason::TransferFeeAboveCap => PreflightRefusal::TransferFeeAboveCap,
    }
}

fn in_ledger(kind: EvidenceKind, ledger: LedgerRef) -> v1::Evidence {
    v1::Evidence {
        kind: kind.into(),
        ledger_index: ledger.index.0,
        ledger_hash: ledger.hash.to_string(),
        ..v1::Evidence::default()
    }
}

// --- parts

fn amount(amount: Amount) -> (ShownAmount, String) {
    match amount {
        Amount::Xrp(drops) => (ShownAmount::XrpDrops(drops.get()), String::new()),
        Amount::Issued { amount, send_max } => (
            ShownAmount::Issued(issued(amount.asset(), amount.value())),
            send_max.map(|most| most.to_string()).unwrap_or_default(),
        ),
    }
}

fn delivered(money: Money) -> evidence::Delivered {
    match money {
        Money::Xrp(drops) => evidence::Delivered::DeliveredDrops(drops.get()),
        Money::Issued { asset, value } => {
            evidence::Delivered::DeliveredIssued(issued(asset, value))
        }
    }
}

fn issued(asset: Asset, value: IssuedValue) -> v1::IssuedAmount {
    v1::IssuedAmount {
        currency: asset.currency.to_string(),
        issuer: asset.issuer.to_address(),
        value: value.to_string(),
    }
}

fn version(version: &Version) -> v1::PaymentVersion {
    let kind = match version.kind {
        VersionKind::Payment => v1::VersionKind::Payment,
        VersionKind::NoOp => v1::VersionKind::NoOp,
    };
    v1::PaymentVersion {
        fee_drops: version.fee.get(),
        last_ledger_sequence: version.last_ledger.0,
        tx_hash: version
            .signed
            .as_ref()
            .map(|signed| signed.hash.to_string())
            .unwrap_or_default(),
        kind: kind.into(),
    }
}

fn shown_slot(slot: Slot) -> v1::Slot {
    let kind = match slot {
        Slot::Sequence(number) => slot::Kind::Sequence(number),
        Slot::Ticket(number) => slot::Kind::Ticket(number),
    };
    v1::Slot { kind: Some(kind) }
}

fn memo(memo: &Memo) -> v1::Memo {
    // Type and format came in as text; a row that is damaged shows what is left of it.
    let text = |part: &Option<Vec<u8>>| {
        String::from_utf8_lossy(part.as_deref().unwrap_or_default()).into_owned()
    };
    v1::Memo {
        r#type: text(&memo.memo_type),
        data: memo.data.clone().unwrap_or_default(),
        format: text(&memo.format),
    }
}

fn trace_id(record: &Record) -> String {
    let parent = record
        .trace_parent
        .as_deref()
        .and_then(|text| text.parse::<TraceParent>().ok());
    parent
        .map(|parent| parent.trace_id().to_owned())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests;
