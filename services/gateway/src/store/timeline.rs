//! The timeline: what happened, in the order of commits.
//!
//! Owns: the table `events`. May not: be read by any code to decide something.

use paygate_payments::filler::Filled;
use paygate_payments::payment::{Payment, StateName};
use paygate_payments::proof::Presence;
use paygate_payments::step::Fact;
use paygate_payments::terms::Terms;
use paygate_proto::v1::{PaymentState, TimelineEvent, TimelineStage};
use prost::Message;
use rusqlite::{Connection, params};
use xrpl_tx::Slot;

use super::codec;
use super::error::StoreError;
use super::sentences::{Line, line, version_details};
use super::types::{Note, Record, TimelineRow};
use crate::clock::Millis;

// === writing ===

pub(super) fn of_accepted(conn: &Connection, record: &Record) -> Result<(), StoreError> {
    let intent = &record.payment.intent;
    let tag = intent
        .destination_tag
        .map(|tag| format!(", tag {tag}"))
        .unwrap_or_default();
    let at_most = if intent.takes() == intent.gets() {
        String::new()
    } else {
        format!(
            ", with the issuer's fee at most {}",
            intent.takes().number()
        )
    };
    let deadline = match record.payment.deadline {
        Some(deadline) => {
            format!("It must be in ledger {deadline} or an earlier one, or it expires.")
        }
        None => "It has no deadline.".to_owned(),
    };
    let replaces = intent
        .retry_of
        .as_ref()
        .map(|id| format!(" It replaces payment {id}."))
        .unwrap_or_default();
    let (stage, how) = match record.approve_before {
        None => (TimelineStage::Accepted, "Accepted"),
        Some(_) => (
            TimelineStage::ApprovalRequested,
            "Stored, and waits for approval by another identity",
        ),
    };
    let line = Line {
        stage,
        summary: format!(
            "{how}: {} to {}{tag}{at_most}. {deadline}{replaces}",
            intent.gets(),
            intent.destination
        ),
        details: Vec::new(),
    };
    let state = Some(record.payment.state.name());
    insert(
        conn,
        Some(record.number),
        state,
        line,
        String::new(),
        record.created,
    )
}

/// Writes what the core says is to be remembered. `after` is the payment after the step.
pub(super) fn of_fact(
    conn: &Connection,
    number: u64,
    fact: &Fact,
    after: &Payment,
    at: Millis,
) -> Result<(), StoreError> {
    match line(fact, after) {
        Some(line) => insert(
            conn,
            Some(number),
            Some(after.state.name()),
            line,
            String::new(),
            at,
        ),
        None => Ok(()),
    }
}

pub(super) fn of_note(
    conn: &Connection,
    number: u64,
    note: &Note,
    at: Millis,
) -> Result<(), StoreError> {
    let line = Line {
        stage: note.stage,
        summary: note.summary.clone(),
        details: note.details.clone(),
    };
    insert(
        conn,
        Some(number),
        None,
        line,
        note.span_id.clone().unwrap_or_default(),
        at,
    )
}

/// What concerns the wallet as a whole.
pub(super) fn of_wallet(
    conn: &Connection,
    stage: TimelineStage,
    summary: &str,
    details: &[(&'static str, String)],
    at: Millis,
) -> Result<(), StoreError> {
    let line = Line {
        stage,
        summary: summary.to_owned(),
        details: details.to_vec(),
    };
    insert(conn, None, None, line, String::new(), at)
}

/// A no-op was committed for a slot whose payment, if any, has ended.
pub(super) fn of_filler(
    conn: &Connection,
    owner: Option<u64>,
    slot: Slot,
    number: usize,
    terms: Terms,
    at: Millis,
) -> Result<(), StoreError> {
    let summary = format!(
        "Version {} for {slot}: a no-op that fills the unused slot, fee {}, dead after ledger {}.",
        number + 1,
        terms.fee,
        terms.last_ledger
    );
    let line = Line {
        stage: TimelineStage::VersionAdded,
        summary,
        details: version_details(slot, terms),
    };
    insert(conn, owner, None, line, String::new(), at)
}

/// The ledger shows what used a slot whose payment, if any, has ended.
pub(super) fn of_filled(
    conn: &Connection,
    owner: Option<u64>,
    presence: &Presence,
    filled: Filled,
    at: Millis,
) -> Result<(), StoreError> {
    let tx = presence.tx();
    let (stage, what) = match filled {
        Filled::ByUs => (
            TimelineStage::Waiting,
            "our no-op filled the unused slot; nothing can use it any more",
        ),
        Filled::ByOther => (
            TimelineStage::Held,
            "a transaction that is not ours used the slot",
        ),
    };
    let ledger = presence.ledger();
    let details = vec![
        ("ledger_index", ledger.index.to_string()),
        ("ledger_hash", ledger.hash.to_string()),
        ("tx_hash", tx.hash.to_string()),
        ("engine_result", tx.result.code().to_owned()),
        ("fee_drops", tx.fee.get().to_string()),
        ("slot", tx.slot.to_string()),
    ];
    let summary = format!("Ledger {}: {what} ({}).", ledger.index, tx.slot);
    insert(
        conn,
        owner,
        None,
        Line {
            stage,
            summary,
            details,
        },
        String::new(),
        at,
    )
}

fn insert(
    conn: &Connection,
    payment: Option<u64>,
    state: Option<StateName>,
    line: Line,
    span_id: String,
    at: Millis,
) -> Result<(), StoreError> {
    // Time, sequence and stage are columns; the body holds the rest and does not repeat them.
    let body = TimelineEvent {
        summary: line.summary,
        details: line
            .details
            .into_iter()
            .map(|(key, value)| (key.to_owned(), value))
            .collect(),
        span_id,
        ..TimelineEvent::default()
    };
    let sql = "INSERT INTO events (payment, at_ms, stage, state, body) VALUES (?1, ?2, ?3, ?4, ?5)";
    conn.prepare_cached(sql)?.execute(params![
        payment.map(codec::count).transpose()?,
        at.0,
        i32::from(line.stage),
        state.map(StateName::as_str),
        body.encode_to_vec(),
    ])?;
    Ok(())
}

// === reading ===

/// Puts a line together from its columns.
pub(super) fn row(
    sequence: u64,
    at: Millis,
    stage: i32,
    state: Option<StateName>,
    body: &[u8],
) -> Result<TimelineRow, StoreError> {
    let event = TimelineEvent::decode(body)
        .map_err(|error| StoreError::corrupt(format!("event {sequence}: {error}")))?;
    Ok(TimelineRow {
        sequence,
        at,
        event: TimelineEvent {
            time: Some(at.timestamp()),
            sequence,
            stage,
            state: state.map(|state| shown_state(state).into()),
            ..event
        },
    })
}

/// The state's value in the contract.
fn shown_state(name: StateName) -> PaymentState {
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
