//! Payments on hold whose slot went to something that a person knows: they end, with every ledger that proves it.
//!
//! Owns: gathering the history from the rows. May not: judge it; only the core makes the evidence.

use paygate_payments::displaced::{Displaced, History};
use paygate_payments::payment::{HoldCause, State};
use paygate_payments::step::{Event, Step};
use xrpl_tx::Hash256;

use super::dispatch;
use super::error::StoreError;
use super::imported;
use super::rows::{self, columns};
use super::types::Record;
use super::wallet::{self, Gate};
use super::writer::Scope;

/// Payments on hold that are looked at with one ledger. More are left to the next one.
const LOOK_MAX: u32 = 500;

/// The steps of those that end now.
pub(super) fn steps(scope: &Scope<'_>, gate: Gate) -> Result<Vec<(Record, Step)>, StoreError> {
    let mut steps = Vec::new();
    if gate.frozen || gate.quarantined {
        return Ok(steps);
    }
    let sql = concat!(
        "SELECT ",
        columns!(),
        " FROM payments WHERE state = 'ON_HOLD' ORDER BY number LIMIT ?1"
    );
    for held in rows::select(scope.view(), sql, &[&LOOK_MAX])? {
        let Some(history) = history(scope, &held)? else {
            continue;
        };
        if let Ok(displaced) = Displaced::of(&held.payment, history) {
            let step = dispatch::decide(scope.view(), gate, &held, Event::Displaced(displaced))?;
            steps.push((held, step));
        }
    }
    Ok(steps)
}

/// What the rows hold of the wallet's history: every ledger after the first one up to the cursor was taken in without a gap.
fn history(scope: &Scope<'_>, held: &Record) -> Result<Option<History>, StoreError> {
    let cursor = wallet::cursor(scope.conn)?;
    let State::OnHold(on_hold) = &held.payment.state else {
        return Ok(None);
    };
    let by = match on_hold.why {
        HoldCause::SlotTaken { by } | HoldCause::JumpedOver { by } => by,
        HoldCause::ConsumerUnknown | HoldCause::DeliveredDiffers { .. } => return Ok(None),
    };
    let (Some(first), Some(done)) = (cursor.first_ledger, cursor.reconciled) else {
        return Ok(None);
    };
    // Both kinds of transactions that no row made: foreign ones, and those of rows that were lost.
    let invoice = held.payment.invoice_id;
    let foreign = rows::foreign_with_invoice(scope.view(), invoice)?;
    let lost = imported::with_invoice(scope.view(), invoice)?;
    Ok(Some(History {
        from: first.plus(1),
        to: done.index,
        invoice_seen: foreign.is_some() || lost.is_some(),
        acknowledged: is_acknowledged(scope, by)?.then_some(by),
    }))
}

fn is_acknowledged(scope: &Scope<'_>, hash: Hash256) -> Result<bool, StoreError> {
    let sql =
        "SELECT 1 FROM foreign_transactions WHERE tx_hash = ?1 AND acknowledged_ms IS NOT NULL";
    let mut statement = scope.conn.prepare_cached(sql)?;
    Ok(statement.exists([hash.as_bytes()])?)
}
