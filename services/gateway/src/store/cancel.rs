//! Cancelling: a caller's wish, decided on the row as it is.
//!
//! Owns: that a cancel is committed with its comment, and carried out once a quarantine is over. May not: end a bound
//! payment; that is the ledger's. It binds and signs nothing, so that every gateway may do it, whatever its epoch.

use paygate_payments::LedgerIndex;
use paygate_payments::intent::PaymentKey;
use paygate_payments::payment::CancelCause;
use paygate_payments::step::Event;
use paygate_proto::v1::TimelineStage;

use super::dispatch;
use super::error::StoreError;
use super::rows::{self, columns};
use super::types::{Advanced, Note, Record};
use super::wallet::{self, Gate};
use super::write;
use super::writer::Scope;
use crate::clock::Millis;

/// Commits that the caller wants the payment cancelled. `comment` goes into the timeline with the first such call.
pub(super) fn ask(
    scope: &mut Scope<'_>,
    key: &PaymentKey,
    comment: &str,
    at: Millis,
) -> Result<Advanced, StoreError> {
    let before = dispatch::load(scope.view(), key)?;
    if before.payment.state.name().is_final() {
        return Ok(Advanced {
            record: before,
            effects: Vec::new(),
            changed: false,
        });
    }
    let gate = wallet::gate(scope)?;
    let notes: Vec<Note> = (!comment.is_empty())
        .then(|| note(comment))
        .into_iter()
        .collect();
    advance(scope, gate, &before, CancelCause::Requested, &notes, at)
}

/// Carries out the cancels of payments that were never bound and waited for the end of a quarantine.
pub(super) fn carry_out(scope: &mut Scope<'_>, at: Millis) -> Result<(), StoreError> {
    // No more than may be pending at all; the index on the state finds them.
    let sql = concat!(
        "SELECT ",
        columns!(),
        " FROM payments WHERE state IN ('ACCEPTED', 'AWAITING_APPROVAL') AND cancel IS NOT NULL ORDER BY number"
    );
    let gate = wallet::gate(scope)?;
    for before in rows::select(scope.view(), sql, &[])? {
        let cause = before.payment.cancel.unwrap_or(CancelCause::Requested);
        match advance(scope, gate, &before, cause, &[], at) {
            Ok(_) => {}
            // It stays unbound, as a cancel is committed for it, and an operator must look.
            Err(error @ StoreError::OnLedger { .. }) => {
                tracing::error!(%error, "a payment to be cancelled is on the ledger and no row made it");
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn advance(
    scope: &mut Scope<'_>,
    gate: Gate,
    before: &Record,
    cause: CancelCause,
    notes: &[Note],
    at: Millis,
) -> Result<Advanced, StoreError> {
    let reconciled = wallet::cursor(scope.conn)?.reconciled;
    let validated = reconciled.map_or(LedgerIndex::default(), |ledger| ledger.index);
    let event = Event::CancelAsked { cause, validated };
    let step = dispatch::decide(scope.view(), gate, before, event)?;
    let changed = step.next != before.payment;
    if changed {
        write::write_notes(scope, before.number, notes, at)?;
    }
    Ok(Advanced {
        changed,
        record: write::write_step(scope, before, &step, at)?,
        effects: step.effects,
    })
}

fn note(comment: &str) -> Note {
    Note {
        stage: TimelineStage::CancelRequested,
        summary: format!("The caller asked to cancel and said: {comment}"),
        details: vec![("reason", comment.to_owned())],
        span_id: None,
    }
}
