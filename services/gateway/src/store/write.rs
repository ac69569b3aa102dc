//! Payments, slots and versions, written.
//!
//! Owns: how a step of the core becomes rows, with its timeline, in the caller's transaction. May not: decide anything, or
//! leave a row that does not decode to what was written.

use paygate_payments::LedgerIndex;
use paygate_payments::payment::{Binding, EndProof, HoldCause, Payment, State, StateName, Version};
use paygate_payments::step::Step;
use rusqlite::params;
use xrpl_tx::{Hash256, Signed, Slot};

use super::clients;
use super::codec;
use super::error::StoreError;
use super::fees;
use super::rows::slot_row;
use super::timeline;
use super::types::{Note, Record};
use super::writer::Scope;
use crate::clock::Millis;

/// Writes what a step made of `before`: the payment, its slot, its versions and its timeline. A step that changed nothing
/// writes nothing.
pub(super) fn write_step(
    scope: &mut Scope<'_>,
    before: &Record,
    step: &Step,
    at: Millis,
) -> Result<Record, StoreError> {
    if step.next == before.payment {
        return Ok(before.clone());
    }
    let was = before.payment.state.name();
    let is = step.next.state.name();
    write_slot(scope, before, &step.next)?;
    write_versions(scope, before, &step.next, at)?;
    write_payment(scope, before.number, &step.next, at)?;
    for fact in &step.facts {
        timeline::of_fact(scope.conn, before.number, fact, &step.next, at)?;
    }
    if was != is {
        scope.counts.left(was);
        scope.counts.entered(is);
    }
    let limits = scope.identity.limits();
    scope.day.fit(&limits);
    if codec::counts(was) && !codec::counts(is) {
        let units = limits.day_units(before.payment.intent.amount);
        scope.day.give_back(before, units);
    }
    clients::moved(scope, &limits, before, is);
    let versions = step
        .next
        .state
        .versions()
        .or(before.versions.as_ref())
        .cloned();
    Ok(Record {
        payment: step.next.clone(),
        updated: at,
        versions,
        approve_before: before
            .approve_before
            .filter(|_| is == StateName::AwaitingApproval),
        ..before.clone()
    })
}

/// Writes notes of a shell into a payment's timeline.
pub(super) fn write_notes(
    scope: &Scope<'_>,
    number: u64,
    notes: &[Note],
    at: Millis,
) -> Result<(), StoreError> {
    notes
        .iter()
        .try_for_each(|note| timeline::of_note(scope.conn, number, note, at))
}

fn binding_of(state: &State) -> Option<Binding> {
    match state {
        State::AtLarge(at_large) => Some(at_large.binding),
        State::OnHold(held) => Some(held.binding),
        _ => None,
    }
}

fn versions_of(state: &State) -> &[Version] {
    match state {
        State::AtLarge(at_large) => at_large.versions.as_slice(),
        State::OnHold(held) => held.versions.as_slice(),
        _ => &[],
    }
}

fn write_payment(
    scope: &Scope<'_>,
    number: u64,
    payment: &Payment,
    at: Millis,
) -> Result<(), StoreError> {
    // What a final state no longer carries, its binding, stays in the row.
    let sql = "UPDATE payments SET state = ?2, live = ?3, counts = ?4, slot_kind = coalesce(?5, slot_kind), \
               slot_number = coalesce(?6, slot_number), digest = coalesce(?7, digest), epoch = coalesce(?8, epoch), \
               since_ledger = coalesce(?9, since_ledger), cancel = ?10, evidence = ?11, updated_ms = ?12 \
               WHERE number = ?1";
    let name = payment.state.name();
    let slot = payment.state.slot().map(codec::slot_columns);
    let binding = binding_of(&payment.state);
    let changed = scope.conn.prepare_cached(sql)?.execute(params![
        codec::count(number)?,
        name.as_str(),
        !name.is_final(),
        codec::counts(name),
        slot.map(|(kind, _)| kind),
        slot.map(|(_, number)| number),
        binding.map(|b| *b.digest.as_bytes()),
        binding.map(|b| codec::count(b.epoch)).transpose()?,
        binding.map(|b| b.since.0),
        payment.cancel.map(codec::cancel_column),
        codec::evidence_column(&payment.state),
        at.0,
    ])?;
    if changed == 1 {
        Ok(())
    } else {
        Err(StoreError::corrupt(format!(
            "payment number {number} is missing"
        )))
    }
}

/// Remembers when the network closed the ledger that decided a payment.
pub(super) fn write_closed(
    scope: &Scope<'_>,
    number: u64,
    closed: Millis,
) -> Result<(), StoreError> {
    let sql = "UPDATE payments SET closed_ms = ?2 WHERE number = ?1";
    scope
        .conn
        .prepare_cached(sql)?
        .execute(params![codec::count(number)?, closed.0])?;
    Ok(())
}

fn write_slot(scope: &Scope<'_>, before: &Record, next: &Payment) -> Result<(), StoreError> {
    let Some(slot) = next.state.slot() else {
        return Ok(());
    };
    if before.payment.state.slot().is_none() {
        own_slot(scope, slot, before.number, &next.state)?;
    }
    match &next.state {
        State::Paid(settled) | State::Failed(settled) => {
            resolve_slot(scope, slot, settled.ledger.index, Some(settled.tx_hash))
        }
        State::OnHold(held) => {
            let by = match held.why {
                HoldCause::SlotTaken { by }
                | HoldCause::JumpedOver { by }
                | HoldCause::DeliveredDiffers { by } => Some(by),
                HoldCause::ConsumerUnknown => None,
            };
            resolve_slot(scope, slot, held.seen.index, by)
        }
        State::Cancelled(ended, _) => match &ended.proof {
            EndProof::Filled {
                ledger, tx_hash, ..
            } => resolve_slot(scope, slot, ledger.index, Some(*tx_hash)),
            EndProof::NeverBound { .. }
            | EndProof::Absence { .. }
            | EndProof::Sealed(_)
            | EndProof::Displaced { .. }
            | EndProof::CannotReceive(_) => Ok(()),
        },
        // What took it was kept when the payment was put on hold.
        State::Displaced(_) => Ok(()),
        // Open until the ledger shows what used it.
        State::AwaitingApproval
        | State::Accepted
        | State::AtLarge(_)
        | State::Expired(_)
        | State::Rejected(_) => Ok(()),
    }
}

/// Gives the slot to the payment. A slot that has a row is another's, unless the ledger itself shows that the payment used it.
fn own_slot(scope: &Scope<'_>, slot: Slot, number: u64, state: &State) -> Result<(), StoreError> {
    let row = slot_row(scope.view(), slot)?;
    let free = match &row {
        None => true,
        Some(row) => {
            row.owner.is_none() && state.name().is_final() || xrpl_tx::mutant!("slot-reused")
        }
    };
    if !free {
        return Err(StoreError::SlotTaken(slot));
    }
    let sql = "INSERT INTO slots (account, kind, number, owner) VALUES (?1, ?2, ?3, ?4) \
               ON CONFLICT (account, kind, number) DO UPDATE SET owner = excluded.owner";
    insert_slot(scope, sql, slot, Some(number))
}

/// Makes a row for a slot that no payment has.
pub(super) fn make_slot(scope: &Scope<'_>, slot: Slot) -> Result<(), StoreError> {
    insert_slot(
        scope,
        "INSERT INTO slots (account, kind, number, owner) VALUES (?1, ?2, ?3, ?4)",
        slot,
        None,
    )
}

fn insert_slot(
    scope: &Scope<'_>,
    sql: &str,
    slot: Slot,
    owner: Option<u64>,
) -> Result<(), StoreError> {
    let (kind, number) = codec::slot_columns(slot);
    let account = scope.identity.wallet.account.as_bytes();
    let owner = owner.map(codec::count).transpose()?;
    scope
        .conn
        .prepare_cached(sql)?
        .execute(params![account, kind, number, owner])?;
    Ok(())
}

/// A ledger decided the slot.
pub(super) fn resolve_slot(
    scope: &Scope<'_>,
    slot: Slot,
    ledger: LedgerIndex,
    by: Option<Hash256>,
) -> Result<(), StoreError> {
    let sql = "UPDATE slots SET resolved_ledger = ?4, resolved_by = coalesce(?5, resolved_by) \
               WHERE account = ?1 AND kind = ?2 AND number = ?3";
    let (kind, number) = codec::slot_columns(slot);
    let account = scope.identity.wallet.account.as_bytes();
    let by = by.map(|hash| *hash.as_bytes());
    scope
        .conn
        .prepare_cached(sql)?
        .execute(params![account, kind, number, ledger.0, by])?;
    Ok(())
}

fn write_versions(
    scope: &Scope<'_>,
    before: &Record,
    next: &Payment,
    at: Millis,
) -> Result<(), StoreError> {
    let known = versions_of(&before.payment.state);
    let Some(slot) = next.state.slot() else {
        return Ok(());
    };
    for (n, version) in versions_of(&next.state).iter().enumerate() {
        match known.get(n) {
            None => insert_version(scope, slot, n, version, at)?,
            Some(known) if known != version => {
                if let Some(signed) = &version.signed {
                    sign_version(scope, slot, n, signed)?;
                }
            }
            Some(_) => {}
        }
    }
    Ok(())
}

/// Commits a version before anybody is asked to sign it, if the fees of the hour leave room for it.
pub(super) fn insert_version(
    scope: &Scope<'_>,
    slot: Slot,
    n: usize,
    version: &Version,
    at: Millis,
) -> Result<(), StoreError> {
    fees::spend(scope, slot, version.fee, at)?;
    let sql = "INSERT INTO versions (account, slot_kind, slot_number, n, kind, fee, last_ledger, tx_hash, blob) \
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)";
    let sql = match xrpl_tx::mutant!("slot-reused") {
        true => &sql.replacen("INSERT", "INSERT OR REPLACE", 1),
        false => sql,
    };
    let (kind, number) = codec::slot_columns(slot);
    scope.conn.prepare_cached(sql)?.execute(params![
        scope.identity.wallet.account.as_bytes(),
        kind,
        number,
        place(n)?,
        codec::version_kind_column(version.kind),
        codec::count(version.fee.get())?,
        version.last_ledger.0,
        version
            .signed
            .as_ref()
            .map(|signed| *signed.hash.as_bytes()),
        version.signed.as_ref().map(|signed| signed.blob.as_slice()),
    ])?;
    Ok(())
}

/// Keeps a signature. A version keeps its first one.
pub(super) fn sign_version(
    scope: &Scope<'_>,
    slot: Slot,
    n: usize,
    signed: &Signed,
) -> Result<(), StoreError> {
    let sql = "UPDATE versions SET tx_hash = ?5, blob = ?6 \
               WHERE account = ?1 AND slot_kind = ?2 AND slot_number = ?3 AND n = ?4 AND tx_hash IS NULL";
    let (kind, number) = codec::slot_columns(slot);
    let account = scope.identity.wallet.account.as_bytes();
    let row = params![
        account,
        kind,
        number,
        place(n)?,
        signed.hash.as_bytes(),
        signed.blob
    ];
    match scope.conn.prepare_cached(sql)?.execute(row)? {
        1 => Ok(()),
        _ => Err(StoreError::NoFiller {
            slot,
            why: "there is no such version, or it has another signature",
        }),
    }
}

fn place(n: usize) -> Result<i64, StoreError> {
    i64::try_from(n).map_err(|_| StoreError::corrupt("a version's number is out of range"))
}
