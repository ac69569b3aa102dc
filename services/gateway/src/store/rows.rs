//! Payments, slots and versions, read from their rows.
//!
//! Owns: how a row becomes what the core works with. May not: write, or panic on what a row holds.

use paygate_payments::LedgerIndex;
use paygate_payments::intent::{Id, Intent, PaymentKey};
use paygate_payments::payment::{Binding, Payment, State, StateName, Version, Versions};
use rusqlite::{Row, ToSql, params};
use xrpl_tx::{AccountId, Hash256, Signed, Slot};

use super::amounts;
use super::approvals;
use super::codec::{self, StateParts, Whole};
use super::error::StoreError;
use super::open::View;
use super::types::Record;
use crate::clock::Millis;

/// All columns of a payment, in the order in which [`record`] reads them.
macro_rules! columns {
    () => {
        "number, client_id, payment_id, invoice_id, destination, destination_tag, drops, memos, retry_of, deadline, \
         trace_parent, created_ms, updated_ms, state, slot_kind, slot_number, digest, epoch, since_ledger, cancel, evidence, \
         closed_ms, asset, value, send_max"
    };
}
pub(super) use columns;

/// A slot's row.
#[derive(Clone, Debug)]
pub(super) struct SlotRow {
    /// Number of the payment that it is bound to.
    pub(super) owner: Option<u64>,
    /// A ledger has decided it.
    pub(super) resolved: bool,
    /// The transaction that used it.
    pub(super) by: Option<Hash256>,
}

/// The payments that `sql`, a SELECT of [`columns!`], finds.
pub(super) fn select(
    view: View<'_>,
    sql: &str,
    values: &[&dyn ToSql],
) -> Result<Vec<Record>, StoreError> {
    let mut statement = view.conn.prepare_cached(sql)?;
    let mut rows = statement.query(values)?;
    let mut records = Vec::new();
    while let Some(row) = rows.next()? {
        records.push(record(view, row)?);
    }
    Ok(records)
}

pub(super) fn by_key(view: View<'_>, key: &PaymentKey) -> Result<Option<Record>, StoreError> {
    let sql = concat!(
        "SELECT ",
        columns!(),
        " FROM payments WHERE client_id = ?1 AND payment_id = ?2"
    );
    Ok(select(view, sql, &[&key.client.as_str(), &key.payment.as_str()])?.pop())
}

pub(super) fn by_number(view: View<'_>, number: u64) -> Result<Record, StoreError> {
    let sql = concat!("SELECT ", columns!(), " FROM payments WHERE number = ?1");
    let found = select(view, sql, &[&codec::count(number)?])?.pop();
    found.ok_or_else(|| StoreError::corrupt(format!("payment number {number} is missing")))
}

/// A live payment that is bound to no slot yet and has this InvoiceID. All that wait are looked through, as many as the limits let in: it
/// is asked for transactions of lost rows alone.
pub(super) fn unbound_by_invoice(
    view: View<'_>,
    invoice: Hash256,
) -> Result<Option<Record>, StoreError> {
    let sql = concat!(
        "SELECT ",
        columns!(),
        " FROM payments INDEXED BY payments_state WHERE state IN ('ACCEPTED', 'AWAITING_APPROVAL') AND live = 1 AND invoice_id = ?1"
    );
    Ok(select(view, sql, &[invoice.as_bytes()])?.pop())
}

fn record(view: View<'_>, row: &Row<'_>) -> Result<Record, StoreError> {
    let Whole(number) = row.get(0)?;
    decode(view, number, row).map_err(|error| match error {
        StoreError::Corrupt { what } => {
            StoreError::corrupt(format!("payment number {number}: {what}"))
        }
        other => other,
    })
}

fn decode(view: View<'_>, number: u64, row: &Row<'_>) -> Result<Record, StoreError> {
    let key = PaymentKey {
        client: id(row.get(1)?, "client_id")?,
        payment: id(row.get(2)?, "payment_id")?,
    };
    let name = codec::state_name(row.get_ref(13)?.as_str().map_err(rusqlite::Error::from)?)?;
    let cancel: Option<String> = row.get(19)?;
    let cancel = cancel.as_deref().map(codec::cancel).transpose()?;
    let parts = StateParts {
        cancel,
        ..state_parts(view, row)?
    };
    let versions = parts.versions.clone();
    let state = match name {
        StateName::AwaitingApproval => State::AwaitingApproval,
        StateName::Accepted => State::Accepted,
        _ => codec::state(name, parts)?,
    };
    let retry_of: Option<String> = row.get(8)?;
    let memos: Option<Vec<u8>> = row.get(7)?;
    let intent = Intent {
        key,
        destination: AccountId::from_bytes(row.get(4)?),
        destination_tag: row.get(5)?,
        amount: amounts::amount(
            row.get::<_, Whole>(6)?.0,
            row.get(22)?,
            row.get(23)?,
            row.get(24)?,
        )?,
        memos: codec::memos(memos.as_deref())?,
        retry_of: retry_of.map(|text| id(text, "retry_of")).transpose()?,
    };
    Ok(Record {
        payment: Payment {
            intent,
            invoice_id: Hash256::from_bytes(row.get(3)?),
            deadline: row.get::<_, Option<u32>>(9)?.map(LedgerIndex),
            cancel,
            state,
        },
        created: Millis(row.get(11)?),
        updated: Millis(row.get(12)?),
        trace_parent: row.get(10)?,
        number,
        ledger_closed: row.get::<_, Option<i64>>(21)?.map(Millis),
        approve_before: match name {
            StateName::AwaitingApproval => approvals::until(view.conn, number)?,
            _ => None,
        },
        versions,
    })
}

fn state_parts(view: View<'_>, row: &Row<'_>) -> Result<StateParts, StoreError> {
    let kind: Option<u32> = row.get(14)?;
    let slot_number: Option<u32> = row.get(15)?;
    let slot = kind
        .zip(slot_number)
        .map(|(kind, number)| codec::slot(kind, number))
        .transpose()?;
    let digest: Option<[u8; 32]> = row.get(16)?;
    let epoch: Option<Whole> = row.get(17)?;
    let since: Option<u32> = row.get(18)?;
    let binding = match (slot, digest, epoch, since) {
        (Some(slot), Some(digest), Some(Whole(epoch)), Some(since)) => Some(Binding {
            slot,
            digest: Hash256::from_bytes(digest),
            epoch,
            since: LedgerIndex(since),
        }),
        _ => None,
    };
    let versions = match slot {
        Some(slot) => versions(view, slot)?,
        None => None,
    };
    Ok(StateParts {
        slot,
        binding,
        cancel: None,
        versions,
        evidence: row.get(20)?,
    })
}

fn id(text: String, column: &str) -> Result<Id, StoreError> {
    Id::new(text).map_err(|error| StoreError::corrupt(format!("{column} {error}")))
}

/// All versions of a slot, in the order of their numbers. `None`: there are none.
pub(super) fn versions(view: View<'_>, slot: Slot) -> Result<Option<Versions>, StoreError> {
    let sql = "SELECT n, kind, fee, last_ledger, tx_hash, blob FROM versions \
               WHERE account = ?1 AND slot_kind = ?2 AND slot_number = ?3 ORDER BY n";
    let (kind, number) = codec::slot_columns(slot);
    let mut statement = view.conn.prepare_cached(sql)?;
    let mut rows = statement.query(params![
        view.identity.wallet.account.as_bytes(),
        kind,
        number
    ])?;
    let mut versions: Vec<Version> = Vec::new();
    while let Some(row) = rows.next()? {
        // A version's number is its place: a gap would shift what the signatures belong to.
        if row.get::<_, i64>(0)? != i64::try_from(versions.len()).unwrap_or(i64::MAX) {
            return Err(StoreError::corrupt(format!(
                "{slot} lacks version {}",
                versions.len()
            )));
        }
        let hash: Option<[u8; 32]> = row.get(4)?;
        let blob: Option<Vec<u8>> = row.get(5)?;
        versions.push(Version {
            kind: codec::version_kind(row.get(1)?)?,
            fee: codec::drops(row.get::<_, Whole>(2)?.0, "versions.fee")?,
            last_ledger: LedgerIndex(row.get(3)?),
            signed: hash.zip(blob).map(|(hash, blob)| Signed {
                blob,
                hash: Hash256::from_bytes(hash),
            }),
        });
    }
    Ok(Versions::restore(versions))
}

pub(super) fn slot_row(view: View<'_>, slot: Slot) -> Result<Option<SlotRow>, StoreError> {
    let sql = "SELECT owner, resolved_ledger IS NOT NULL, resolved_by FROM slots \
               WHERE account = ?1 AND kind = ?2 AND number = ?3";
    let (kind, number) = codec::slot_columns(slot);
    let mut statement = view.conn.prepare_cached(sql)?;
    let mut rows = statement.query(params![
        view.identity.wallet.account.as_bytes(),
        kind,
        number
    ])?;
    let Some(row) = rows.next()? else {
        return Ok(None);
    };
    let by: Option<[u8; 32]> = row.get(2)?;
    let owner: Option<Whole> = row.get(0)?;
    Ok(Some(SlotRow {
        owner: owner.map(|owner| owner.0),
        resolved: row.get(1)?,
        by: by.map(Hash256::from_bytes),
    }))
}

/// The transaction of the ledger that carries this InvoiceID and that no row made.
pub(super) fn foreign_with_invoice(
    view: View<'_>,
    invoice: Hash256,
) -> Result<Option<Hash256>, StoreError> {
    let sql = "SELECT tx_hash FROM foreign_transactions WHERE invoice_id = ?1 LIMIT 1";
    let mut statement = view.conn.prepare_cached(sql)?;
    let mut rows = statement.query([invoice.as_bytes()])?;
    let row = rows.next()?;
    Ok(row
        .map(|row| row.get::<_, [u8; 32]>(0))
        .transpose()?
        .map(Hash256::from_bytes))
}
