//! Validated transactions of the wallet that no row made.
//!
//! Owns: the table `foreign_transactions`. May not: decide what is foreign; `confirm.rs` does.

use paygate_payments::proof::{LedgerBody, Presence};
use rusqlite::params;
use xrpl_tx::Hash256;

use super::amounts;
use super::codec;
use super::error::StoreError;
use super::types::Freeze;
use super::wallet;
use super::writer::Scope;
use crate::clock::Millis;

pub(super) fn is_known(scope: &Scope<'_>, hash: Hash256) -> Result<bool, StoreError> {
    let sql = "SELECT 1 FROM foreign_transactions WHERE tx_hash = ?1";
    Ok(scope.conn.prepare_cached(sql)?.exists([hash.as_bytes()])?)
}

/// Keeps one. `acknowledged`: a person knew of it before it came.
pub(super) fn keep(
    scope: &Scope<'_>,
    presence: &Presence,
    seen: Millis,
    acknowledged: Option<Millis>,
) -> Result<(), StoreError> {
    let sql = "INSERT INTO foreign_transactions (tx_hash, slot_kind, slot_number, ledger_index, ledger_hash, \
               invoice_id, destination, drops, result, seen_ms, asset, value, acknowledged_ms) \
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)";
    let tx = presence.tx();
    let (kind, number) = codec::slot_columns(tx.slot);
    let (invoice, destination, amount) = match &tx.body {
        LedgerBody::Payment {
            destination,
            amount,
            invoice_id,
            ..
        } => (
            *invoice_id,
            Some(*destination),
            Some(amounts::amount_columns(*amount)),
        ),
        LedgerBody::NoOp | LedgerBody::TicketCreate { .. } | LedgerBody::Other => {
            (None, None, None)
        }
    };
    // As of a payment's row: of an issued currency there are no drops.
    let drops = amount.as_ref().filter(|amount| amount.asset.is_none());
    let drops = drops.map(|amount| codec::count(amount.drops)).transpose()?;
    let ledger = presence.ledger();
    scope.conn.prepare_cached(sql)?.execute(params![
        tx.hash.as_bytes(),
        kind,
        number,
        ledger.index.0,
        ledger.hash.as_bytes(),
        invoice.map(|invoice| *invoice.as_bytes()),
        destination.map(|destination| *destination.as_bytes()),
        drops,
        tx.result.code(),
        seen.0,
        amount.as_ref().and_then(|amount| amount.asset),
        amount.as_ref().and_then(|amount| amount.value),
        acknowledged.map(|at| at.0),
    ])?;
    Ok(())
}

/// Keeps one that nobody knows of, and freezes sending.
pub(super) fn keep_and_freeze(
    scope: &Scope<'_>,
    presence: &Presence,
    what: &str,
    at: Millis,
) -> Result<(), StoreError> {
    keep(scope, presence, at, None)?;
    let tx = presence.tx();
    let why = format!(
        "transaction {} in ledger {}, not ours, {what} ({})",
        tx.hash,
        presence.ledger().index,
        tx.slot
    );
    wallet::set_frozen(scope, &Freeze { why, since: at }, at)
}
