//! Accepting: idempotency, predecessors and limits, decided in the transaction that stores the payment.
//!
//! Owns: the insert of a payment. May not: check what needs no store; that was done before.

use paygate_payments::clients::ClientUse;
use paygate_payments::intent::{Id, PaymentKey};
use paygate_payments::limits::{DayUnits, Usage};
use paygate_payments::payment::{Payment, State, StateName};
use paygate_payments::proof::Presence;
use paygate_payments::step::{self, Context, Event, Step};
use rusqlite::{OptionalExtension, params};
use xrpl_tx::Hash256;

use super::amounts;
use super::approvals;
use super::clients;
use super::codec;
use super::counts;
use super::day::{self, DAY};
use super::error::StoreError;
use super::imported;
use super::open::View;
use super::rows;
use super::timeline;
use super::types::{Accept, NewPayment, Record, RetryRefusal};
use super::write;
use super::writer::Scope;
use crate::clock::Millis;

/// How a payment begins that needs nobody's approval.
const ACCEPTED: (StateName, Option<Millis>) = (StateName::Accepted, None);

pub(super) fn create(scope: &mut Scope<'_>, new: &NewPayment) -> Result<Accept, StoreError> {
    let view = scope.view();
    let invoice_id = view.identity.wallet.invoice_id(&new.intent.key);
    match earlier(view, new, invoice_id)? {
        Some(Earlier::Answers(accept)) => return Ok(accept),
        Some(Earlier::Decided(presence)) => return found(scope, new, invoice_id, presence),
        None => {}
    }
    scope.day.fit(&view.limits());
    let asset = day::asset_of(&new.intent);
    let used = day::used(scope, asset, new.at)?;
    let pending = scope.counts.pending(scope.conn)?;
    let clients = clients::used(scope, new.at)?;
    let used = (used, pending, &clients);
    if let Some(refusal) = refusal(view, new, used)? {
        return Ok(refusal);
    }
    let (state, until) = approvals::beginning(view, &new.intent, new.at);
    let record = insert(scope, record(new, invoice_id, (state, until)))?;
    let limits = view.limits();
    scope
        .day
        .add(asset, limits.day_units(new.intent.amount), new.at);
    scope.day.clients.stored(&limits, &record);
    scope.counts.entered(record.payment.state.name());
    Ok(Accept::Created(record))
}

pub(super) fn preview(view: View<'_>, new: &NewPayment) -> Result<Accept, StoreError> {
    let invoice_id = view.identity.wallet.invoice_id(&new.intent.key);
    match earlier(view, new, invoice_id)? {
        Some(Earlier::Answers(accept)) => return Ok(accept),
        Some(Earlier::Decided(presence)) => {
            let mut record = record(new, invoice_id, ACCEPTED);
            return Ok(match decide(view, &record, presence) {
                Ok(step) => {
                    record.payment = step.next;
                    Accept::Created(record)
                }
                Err(tx_hash) => Accept::OnLedger { tx_hash },
            });
        }
        None => {}
    }
    let used = day::sum(view, day::asset_of(&new.intent), new.at.minus(DAY))?;
    let clients = clients::committed(view, new.at)?;
    let used = (used, counts::pending(view.conn)?, &clients);
    if let Some(refusal) = refusal(view, new, used)? {
        return Ok(refusal);
    }
    let beginning = approvals::beginning(view, &new.intent, new.at);
    Ok(Accept::Created(record(new, invoice_id, beginning)))
}

/// A payment whose row was lost and which the ledger has decided: it is stored anew, with its fate. No limit stands against what has
/// happened. Nothing is stored if the ledger shows other content under its InvoiceID.
fn found(
    scope: &mut Scope<'_>,
    new: &NewPayment,
    invoice_id: Hash256,
    presence: Presence,
) -> Result<Accept, StoreError> {
    let view = scope.view();
    if let Some(predecessor) = &new.intent.retry_of
        && let Some(refusal @ RetryRefusal::HasSuccessor(_)) =
            retry_refusal(view, &new.intent.key, predecessor)?
    {
        return Ok(Accept::BadRetry(refusal));
    }
    let step = match decide(view, &record(new, invoice_id, ACCEPTED), presence) {
        Ok(step) => step,
        Err(tx_hash) => return Ok(Accept::OnLedger { tx_hash }),
    };
    scope.day.fit(&view.limits());
    let asset = day::asset_of(&new.intent);
    day::used(scope, asset, new.at)?;
    scope.counts.pending(scope.conn)?;
    clients::used(scope, new.at)?;
    let record = insert(scope, record(new, invoice_id, ACCEPTED))?;
    let limits = view.limits();
    scope
        .day
        .add(asset, limits.day_units(new.intent.amount), new.at);
    scope.day.clients.stored(&limits, &record);
    scope.counts.entered(StateName::Accepted);
    let record = write::write_step(scope, &record, &step, new.at)?;
    Ok(Accept::Created(record))
}

fn decide(view: View<'_>, record: &Record, presence: Presence) -> Result<Step, Hash256> {
    let context = Context {
        wallet: &view.identity.wallet,
        // Evidence decides, whatever else is in doubt.
        quarantined: true,
    };
    let tx_hash = presence.tx().hash;
    step::step(&record.payment, Event::Confirmed(presence), context).map_err(|illegal| {
        tracing::error!(%illegal, %tx_hash, payment = %record.payment.intent.key, "the ledger holds other content");
        tx_hash
    })
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

/// What is known already of a payment that is asked for.
enum Earlier {
    /// It has its answer.
    Answers(Accept),
    /// Its row was lost, and the ledger has decided it.
    Decided(Presence),
}

/// Nearly always nothing is known, which one look at four indexes tells.
fn earlier(
    view: View<'_>,
    new: &NewPayment,
    invoice: Hash256,
) -> Result<Option<Earlier>, StoreError> {
    let key = &new.intent.key;
    let sql = "SELECT EXISTS (SELECT 1 FROM payments WHERE client_id = ?1 AND payment_id = ?2) \
               OR EXISTS (SELECT 1 FROM imported WHERE invoice_id = ?3) \
               OR EXISTS (SELECT 1 FROM imported WHERE payment_key = ?1 || '/' || ?2) \
               OR EXISTS (SELECT 1 FROM foreign_transactions WHERE invoice_id = ?3)";
    let values = params![
        key.client.as_str(),
        key.payment.as_str(),
        invoice.as_bytes()
    ];
    let is_known: bool = view
        .conn
        .prepare_cached(sql)?
        .query_row(values, |row| row.get(0))?;
    if !is_known {
        return Ok(None);
    }
    if let Some(known) = known(view, new)? {
        return Ok(Some(Earlier::Answers(known)));
    }
    if let Some(presence) = imported::of_payment(view, key, invoice)? {
        return Ok(Some(Earlier::Decided(presence)));
    }
    let foreign = rows::foreign_with_invoice(view, invoice)?;
    Ok(foreign.map(|tx_hash| Earlier::Answers(Accept::OnLedger { tx_hash })))
}

fn refusal(
    view: View<'_>,
    new: &NewPayment,
    (day, pending, clients): (DayUnits, u64, &ClientUse),
) -> Result<Option<Accept>, StoreError> {
    if let Some(predecessor) = &new.intent.retry_of
        && let Some(refusal) = retry_refusal(view, &new.intent.key, predecessor)?
    {
        return Ok(Some(Accept::BadRetry(refusal)));
    }
    let limits = view.limits();
    if let Err(over) = limits.admit_to_stage(&new.intent) {
        return Ok(Some(Accept::OverLimit(over)));
    }
    let usage = Usage { day, pending };
    if let Err(over) = limits.admit(new.intent.amount, usage) {
        return Ok(Some(Accept::OverLimit(over)));
    }
    let at = limits.client(&new.intent.key.client);
    let admitted = limits.admit_client(at, &new.intent, clients, pending);
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

/// A payment as it begins, without its number.
fn record(
    new: &NewPayment,
    invoice_id: Hash256,
    (state, until): (StateName, Option<Millis>),
) -> Record {
    Record {
        payment: Payment {
            intent: new.intent.clone(),
            invoice_id,
            deadline: new.deadline,
            cancel: None,
            state: match state {
                StateName::AwaitingApproval => State::AwaitingApproval,
                _ => State::Accepted,
            },
        },
        created: new.at,
        updated: new.at,
        trace_parent: new.trace_parent.clone(),
        number: 0,
        ledger_closed: None,
        approve_before: until,
        versions: None,
    }
}

fn insert(scope: &Scope<'_>, mut record: Record) -> Result<Record, StoreError> {
    let sql = "INSERT INTO payments (client_id, payment_id, invoice_id, destination, destination_tag, drops, memos, retry_of, \
               deadline, trace_parent, created_ms, updated_ms, state, live, counts, asset, value, send_max) \
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?11, ?12, 1, 1, ?13, ?14, ?15)";
    let intent = &record.payment.intent;
    let amount = amounts::amount_columns(intent.amount);
    let number = scope.conn.prepare_cached(sql)?.insert(params![
        intent.key.client.as_str(),
        intent.key.payment.as_str(),
        record.payment.invoice_id.as_bytes(),
        intent.destination.as_bytes(),
        intent.destination_tag,
        codec::count(amount.drops)?,
        codec::memos_column(&intent.memos),
        intent.retry_of.as_ref().map(Id::as_str),
        record.payment.deadline.map(|deadline| deadline.0),
        record.trace_parent,
        record.created.0,
        record.payment.state.name().as_str(),
        amount.asset,
        amount.value,
        amount.send_max,
    ])?;
    record.number =
        u64::try_from(number).map_err(|_| StoreError::corrupt("a payment's number is negative"))?;
    if let Some(until) = record.approve_before {
        approvals::begin(scope.conn, record.number, until)?;
    }
    timeline::of_accepted(scope.conn, &record)?;
    Ok(record)
}
