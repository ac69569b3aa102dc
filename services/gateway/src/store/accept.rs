//! Accepting: idempotency, predecessors and limits, decided in the transaction that stores the payment.
//!
//! Owns: the insert of a payment. May not: check what needs no store; that was done before.

use std::time::Duration;

use paygate_payments::intent::{Id, PaymentKey};
use paygate_payments::limits::Usage;
use paygate_payments::payment::{Payment, State, StateName};
use rusqlite::{OptionalExtension, params};
use xrpl_tx::{Drops, Hash256};

use super::codec::{self, Whole};
use super::counts;
use super::error::StoreError;
use super::open::View;
use super::rows;
use super::timeline;
use super::types::{Accept, NewPayment, Record, RetryRefusal};
use super::writer::{DayUsed, Scope};
use crate::clock::Millis;

/// The rolling day of the daily limit.
pub(super) const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Callers read the clock before they wait in line, so that times arrive a little out of order. Only a clock that went back
/// further than this makes the day's sum be counted anew.
const CLOCK_DISORDER: Duration = Duration::from_secs(10);

pub(super) fn create(scope: &mut Scope<'_>, new: &NewPayment) -> Result<Accept, StoreError> {
    let view = scope.view();
    if let Some(known) = known(view, new)? {
        return Ok(known);
    }
    let used = day_used(scope, new.at)?;
    let pending = scope.counts.pending(scope.conn)?;
    let invoice_id = view.identity.wallet.invoice_id(&new.intent.key);
    if let Some(refusal) = refusal(view, new, invoice_id, used, pending)? {
        return Ok(refusal);
    }
    let record = insert(scope, new, invoice_id)?;
    scope.counts.entered(StateName::Accepted);
    if let Some(day) = scope.day.as_mut() {
        day.drops = day.drops.saturating_add(new.intent.drops().get());
    }
    Ok(Accept::Created(record))
}

pub(super) fn preview(view: View<'_>, new: &NewPayment) -> Result<Accept, StoreError> {
    if let Some(known) = known(view, new)? {
        return Ok(known);
    }
    let invoice_id = view.identity.wallet.invoice_id(&new.intent.key);
    let used = day_sum(view, new.at.minus(DAY))?;
    match refusal(view, new, invoice_id, used, counts::pending(view.conn)?)? {
        Some(refusal) => Ok(refusal),
        None => Ok(Accept::Created(record(new, invoice_id, 0))),
    }
}

/// The payment that has the id already. For ever: an id is never free again.
fn known(view: View<'_>, new: &NewPayment) -> Result<Option<Accept>, StoreError> {
    let Some(existing) = rows::by_key(view, &new.intent.key)? else {
        return Ok(None);
    };
    Ok(Some(
        match existing.payment.intent.differs_from(&new.intent) {
            None => Accept::Existed(existing),
            Some(field) => Accept::Conflict {
                field,
                existing: Box::new(existing),
            },
        },
    ))
}

fn refusal(
    view: View<'_>,
    new: &NewPayment,
    invoice: Hash256,
    day: u64,
    pending: u64,
) -> Result<Option<Accept>, StoreError> {
    if let Some(tx_hash) = rows::foreign_with_invoice(view, invoice)? {
        return Ok(Some(Accept::OnLedger { tx_hash }));
    }
    if let Some(predecessor) = &new.intent.retry_of
        && let Some(refusal) = retry_refusal(view, &new.intent.key, predecessor)?
    {
        return Ok(Some(Accept::BadRetry(refusal)));
    }
    // More than all the XRP there is: the limit is passed in any case.
    let day = Drops::new(day).unwrap_or(Drops::MAX);
    let usage = Usage { day, pending };
    let admitted = view.identity.limits.admit(new.intent.drops(), usage);
    Ok(admitted.err().map(Accept::OverLimit))
}

fn retry_refusal(
    view: View<'_>,
    key: &PaymentKey,
    predecessor: &Id,
) -> Result<Option<RetryRefusal>, StoreError> {
    let key = PaymentKey {
        client: key.client.clone(),
        payment: predecessor.clone(),
    };
    let Some(found) = rows::by_key(view, &key)? else {
        return Ok(Some(RetryRefusal::Unknown));
    };
    let state = found.payment.state.name();
    if !state.is_final() {
        return Ok(Some(RetryRefusal::NotFinal(state)));
    }
    if !state.safe_to_repay() {
        return Ok(Some(RetryRefusal::NotSafe(state)));
    }
    let sql = "SELECT payment_id FROM payments WHERE client_id = ?1 AND retry_of = ?2";
    let values = params![key.client.as_str(), predecessor.as_str()];
    let successor: Option<String> = view
        .conn
        .prepare_cached(sql)?
        .query_row(values, |row| row.get(0))
        .optional()?;
    match successor {
        None => Ok(None),
        Some(text) => {
            let id = Id::new(text)
                .map_err(|error| StoreError::corrupt(format!("payment_id {error}")))?;
            Ok(Some(RetryRefusal::HasSuccessor(id)))
        }
    }
}

/// Drops of payments created from `from` on and not ended unpaid.
pub(super) fn day_sum(view: View<'_>, from: Millis) -> Result<u64, StoreError> {
    let sql = "SELECT coalesce(sum(drops), 0) FROM payments WHERE counts = 1 AND created_ms >= ?1";
    Ok(view
        .conn
        .prepare_cached(sql)?
        .query_row([from.0], |row| row.get::<_, Whole>(0))?
        .0)
}

/// The rolling day's sum: the one carried along, less what has left the day since.
fn day_used(scope: &mut Scope<'_>, at: Millis) -> Result<u64, StoreError> {
    let from = at.minus(DAY);
    let view = scope.view();
    let day = match *scope.day {
        Some(day) if from > day.from => {
            let sql = "SELECT coalesce(sum(drops), 0) FROM payments \
                       WHERE counts = 1 AND created_ms >= ?1 AND created_ms < ?2";
            let mut statement = view.conn.prepare_cached(sql)?;
            let Whole(left) = statement.query_row([day.from.0, from.0], |row| row.get(0))?;
            match day.drops.checked_sub(left) {
                Some(drops) => DayUsed { from, drops },
                None => DayUsed {
                    from,
                    drops: day_sum(view, from)?,
                },
            }
        }
        Some(day) if day.from.since(from) <= CLOCK_DISORDER => day,
        _ => DayUsed {
            from,
            drops: day_sum(view, from)?,
        },
    };
    *scope.day = Some(day);
    Ok(day.drops)
}

fn record(new: &NewPayment, invoice_id: Hash256, number: u64) -> Record {
    Record {
        payment: Payment {
            intent: new.intent.clone(),
            invoice_id,
            deadline: new.deadline,
            cancel: None,
            state: State::Accepted,
        },
        created: new.at,
        updated: new.at,
        trace_parent: new.trace_parent.clone(),
        number,
        ledger_closed: None,
        versions: None,
    }
}

fn insert(scope: &Scope<'_>, new: &NewPayment, invoice_id: Hash256) -> Result<Record, StoreError> {
    let sql = "INSERT INTO payments (client_id, payment_id, invoice_id, destination, destination_tag, drops, memos, retry_of, \
               deadline, trace_parent, created_ms, updated_ms, state, live, counts) \
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?11, ?12, 1, 1)";
    let intent = &new.intent;
    let number = scope.conn.prepare_cached(sql)?.insert(params![
        intent.key.client.as_str(),
        intent.key.payment.as_str(),
        invoice_id.as_bytes(),
        intent.destination.as_bytes(),
        intent.destination_tag,
        codec::count(intent.drops().get())?,
        codec::memos_column(&intent.memos),
        intent.retry_of.as_ref().map(Id::as_str),
        new.deadline.map(|deadline| deadline.0),
        new.trace_parent,
        new.at.0,
        StateName::Accepted.as_str(),
    ])?;
    let number =
        u64::try_from(number).map_err(|_| StoreError::corrupt("a payment's number is negative"))?;
    let record = record(new, invoice_id, number);
    timeline::of_accepted(scope.conn, &record)?;
    Ok(record)
}
