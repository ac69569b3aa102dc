//! Dispatching: binding, stepping, and no-ops for slots without a live payment.
//!
//! Owns: the fence and the gate in front of everything that binds or adds a version. May not: choose a slot or terms.

use paygate_payments::filler::Filler;
use paygate_payments::intent::PaymentKey;
use paygate_payments::payment::{VersionKind, Versions};
use paygate_payments::preflight::Refusal;
use paygate_payments::step::{self, Context, Event, Step};
use paygate_payments::terms::Terms;
use xrpl_tx::{Signed, Slot};

use super::announce;
use super::error::StoreError;
use super::imported;
use super::open::View;
use super::pause;
use super::rows::{self, SlotRow};
use super::timeline;
use super::types::{Advanced, Bind, Note, Record};
use super::wallet::{self, Gate};
use super::write;
use super::writer::Scope;
use crate::clock::Millis;

pub(super) fn bind(
    scope: &mut Scope<'_>,
    epoch: u64,
    binds: &[Bind],
    at: Millis,
) -> Result<Vec<Record>, StoreError> {
    let gate = wallet::fence(scope, epoch)?;
    let mut records = Vec::with_capacity(binds.len());
    for bind in binds {
        let before = load(scope.view(), &bind.key)?;
        let event = Event::Bound {
            slot: bind.slot,
            epoch,
            since: bind.since,
            terms: bind.terms,
        };
        let step = decide(scope.view(), gate, &before, event)?;
        records.push(write::write_step(scope, &before, &step, at)?);
    }
    Ok(records)
}

pub(super) fn advance(
    scope: &mut Scope<'_>,
    epoch: u64,
    key: &PaymentKey,
    event: Event,
    notes: &[Note],
    at: Millis,
) -> Result<Advanced, StoreError> {
    let gate = wallet::fence(scope, epoch)?;
    let before = load(scope.view(), key)?;
    let step = decide(scope.view(), gate, &before, event)?;
    write::write_notes(scope, before.number, notes, at)?;
    let record = write::write_step(scope, &before, &step, at)?;
    wallet::freeze_on(scope, &step, &record, at)?;
    Ok(Advanced {
        changed: record.payment != before.payment,
        record,
        effects: step.effects,
    })
}

/// Gives up payments that were never bound and that their destinations cannot receive. One that has changed meanwhile keeps
/// what it is; answers those that were given up.
pub(super) fn refuse(
    scope: &mut Scope<'_>,
    epoch: u64,
    refusals: &[Refusal],
    at: Millis,
) -> Result<Vec<Record>, StoreError> {
    let gate = wallet::fence(scope, epoch)?;
    let mut records = Vec::with_capacity(refusals.len());
    for refusal in refusals {
        let before = load(scope.view(), refusal.key())?;
        let event = Event::CannotReceive(refusal.clone());
        match decide(scope.view(), gate, &before, event) {
            Ok(step) => records.push(write::write_step(scope, &before, &step, at)?),
            Err(error @ StoreError::Illegal(_)) => {
                tracing::info!(payment_id = %refusal.key().payment, %error, "not given up");
            }
            // It stays unbound, and an operator must look.
            Err(error @ StoreError::OnLedger { .. }) => {
                tracing::error!(%error, "a payment to be given up is on the ledger and no row made it");
            }
            Err(error) => return Err(error),
        }
    }
    Ok(records)
}

pub(super) fn note(
    scope: &Scope<'_>,
    key: &PaymentKey,
    notes: &[Note],
    at: Millis,
) -> Result<(), StoreError> {
    let record = load(scope.view(), key)?;
    write::write_notes(scope, record.number, notes, at)
}

pub(super) fn load(view: View<'_>, key: &PaymentKey) -> Result<Record, StoreError> {
    rows::by_key(view, key)?.ok_or_else(|| StoreError::UnknownPayment(key.clone()))
}

/// Asks the core, after the checks that only the store can make.
pub(super) fn decide(
    view: View<'_>,
    gate: Gate,
    before: &Record,
    event: Event,
) -> Result<Step, StoreError> {
    match &event {
        Event::Bound { .. } => {
            gate.open()?;
            if let Some(awaited) = announce::awaited(view.conn)?.first() {
                return Err(StoreError::Awaited(awaited.tx_hash));
            }
            pause::open(view.conn, &before.payment.intent)?;
            not_on_ledger(view, before)?;
        }
        Event::NoOpAdded(_) => {
            gate.open()?;
            not_on_ledger(view, before)?;
        }
        Event::FeeRaised(_) => gate.open()?,
        Event::Approved => not_on_ledger(view, before)?,
        // These would end a payment that was never bound, on the ground that nothing of it was ever sent.
        Event::CancelAsked { .. }
        | Event::LedgerValidated(_)
        | Event::Refused(_)
        | Event::ApprovalWindowOver(_)
        | Event::CannotReceive(_)
            if before.payment.state.slot().is_none() =>
        {
            not_on_ledger(view, before)?;
        }
        _ => {}
    }
    let context = Context {
        wallet: &view.identity.wallet,
        quarantined: gate.quarantined,
    };
    Ok(step::step(&before.payment, event, context)?)
}

fn not_on_ledger(view: View<'_>, record: &Record) -> Result<(), StoreError> {
    let invoice = record.payment.invoice_id;
    let foreign = rows::foreign_with_invoice(view, invoice)?;
    match foreign.map_or_else(
        || imported::with_invoice(view, invoice),
        |hash| Ok(Some(hash)),
    )? {
        None => Ok(()),
        Some(tx_hash) => Err(StoreError::OnLedger {
            key: record.payment.intent.key.clone(),
            tx_hash,
        }),
    }
}

// === no-ops ===

/// The slot as something to be filled. `None`: its payment is live, or a ledger has decided it.
pub(super) fn filler(
    view: View<'_>,
    slot: Slot,
    row: &SlotRow,
) -> Result<Option<Filler>, StoreError> {
    if row.resolved {
        return Ok(None);
    }
    let owner = row
        .owner
        .map(|number| rows::by_number(view, number))
        .transpose()?;
    if owner
        .as_ref()
        .is_some_and(|owner| !owner.payment.state.name().is_final())
    {
        return Ok(None);
    }
    let owner = owner.map(|owner| owner.payment.intent.key);
    Ok(Some(Filler {
        slot,
        owner,
        versions: rows::versions(view, slot)?,
    }))
}

pub(super) fn add_filler(
    scope: &Scope<'_>,
    epoch: u64,
    slot: Slot,
    owner: Option<&PaymentKey>,
    terms: Terms,
    at: Millis,
) -> Result<usize, StoreError> {
    wallet::fence(scope, epoch)?.open()?;
    let view = scope.view();
    let filler = match rows::slot_row(view, slot)? {
        Some(row) => filler(view, slot, &row)?.ok_or(StoreError::NoFiller {
            slot,
            why: "its payment is live, or a ledger has decided it",
        })?,
        None => {
            write::make_slot(scope, slot)?;
            Filler {
                slot,
                owner: None,
                versions: None,
            }
        }
    };
    if filler.owner.as_ref() != owner {
        return Err(StoreError::NoFiller {
            slot,
            why: "it belongs to another payment",
        });
    }
    let number = filler
        .versions
        .as_ref()
        .map_or(0, |versions| versions.as_slice().len());
    write::insert_version(scope, slot, number, &terms.version(VersionKind::NoOp), at)?;
    timeline::of_filler(
        scope.conn,
        owner_number(view, slot)?,
        slot,
        number,
        terms,
        at,
    )?;
    Ok(number)
}

pub(super) fn filler_signed(
    scope: &Scope<'_>,
    epoch: u64,
    slot: Slot,
    number: usize,
    signed: &Signed,
) -> Result<(), StoreError> {
    wallet::fence(scope, epoch)?;
    let versions = rows::versions(scope.view(), slot)?;
    let known = versions
        .as_ref()
        .map(Versions::as_slice)
        .and_then(|versions| versions.get(number));
    match known {
        Some(version) if version.signed.as_ref() == Some(signed) => Ok(()),
        Some(version) if version.kind == VersionKind::NoOp => {
            write::sign_version(scope, slot, number, signed)
        }
        _ => Err(StoreError::NoFiller {
            slot,
            why: "it has no such no-op",
        }),
    }
}

pub(super) fn owner_number(view: View<'_>, slot: Slot) -> Result<Option<u64>, StoreError> {
    Ok(rows::slot_row(view, slot)?.and_then(|row| row.owner))
}
