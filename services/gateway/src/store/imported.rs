//! What the ledger shows of rows that were lost: validated transactions of the wallet that look like ours and that no row made.
//!
//! Owns: the table `imported`, and what is told of a payment that is asked for again. May not: judge content; that is the core's. Nor
//! call a transaction ours for its looks alone: only what the signer's journal reaches up to is, the rest is foreign.

use paygate_payments::intent::{Id, PaymentKey};
use paygate_payments::proof::{
    FinalResult, LedgerBody, LedgerTx, Presence, Quorum, Source, TransactionReading,
};
use prost::Message;
use rusqlite::{OptionalExtension, params};
use xrpl_tx::{AccountId, Amount, FILLER_MEMO_TYPE, Hash256, Memo, NOOP_MEMO_TYPE};

use super::amounts;
use super::codec::{self, MemoRows};
use super::error::StoreError;
use super::open::View;
use super::rows;
use super::types::Record;
use super::write;
use super::writer::Scope;

/// A transaction as it is kept. New fields may be added, never changed.
#[derive(Clone, PartialEq, Message)]
struct Body {
    #[prost(bytes = "vec", tag = "1")]
    ledger_hash: Vec<u8>,
    #[prost(string, tag = "2")]
    result: String,
    #[prost(uint64, tag = "3")]
    fee: u64,
    #[prost(uint32, optional, tag = "4")]
    source_tag: Option<u32>,
    #[prost(bytes = "vec", tag = "5")]
    memos: Vec<u8>,
    #[prost(string, repeated, tag = "6")]
    servers: Vec<String>,
    /// Absent: a no-op.
    #[prost(message, optional, tag = "7")]
    payment: Option<PaymentBody>,
}

#[derive(Clone, PartialEq, Message)]
struct PaymentBody {
    #[prost(bytes = "vec", tag = "1")]
    destination: Vec<u8>,
    #[prost(uint32, optional, tag = "2")]
    destination_tag: Option<u32>,
    #[prost(uint64, tag = "3")]
    drops: u64,
    #[prost(bytes = "vec", optional, tag = "4")]
    asset: Option<Vec<u8>>,
    #[prost(bytes = "vec", optional, tag = "5")]
    value: Option<Vec<u8>>,
    #[prost(bytes = "vec", optional, tag = "6")]
    send_max: Option<Vec<u8>>,
    #[prost(uint64, tag = "7")]
    delivered: u64,
    #[prost(bytes = "vec", tag = "8")]
    delivered_issued: Vec<u8>,
}

/// Whether a gateway with this wallet makes such transactions. Anybody with the key could, too.
pub(super) fn looks_ours(view: View<'_>, tx: &LedgerTx) -> bool {
    let wallet = &view.identity.wallet;
    let named = match &tx.body {
        LedgerBody::Payment { invoice_id, .. } => invoice_id.is_some(),
        LedgerBody::NoOp => tx.memos.iter().any(is_of_noop),
        LedgerBody::TicketCreate { .. } | LedgerBody::Other => false,
    };
    named && tx.account == wallet.account && tx.source_tag == wallet.source_tag
}

/// The unbound payment that a transaction on an unknown slot is of: by its InvoiceID, or named by a no-op.
pub(super) fn unbound(view: View<'_>, tx: &LedgerTx) -> Result<Option<Record>, StoreError> {
    match &tx.body {
        LedgerBody::Payment {
            invoice_id: Some(invoice),
            ..
        } => rows::unbound_by_invoice(view, *invoice),
        LedgerBody::NoOp if looks_ours(view, tx) => {
            let Some(key) = tx.memos.iter().find_map(named_payment) else {
                return Ok(None);
            };
            let found = rows::by_key(view, &key)?;
            Ok(found.filter(|record| {
                !record.payment.state.name().is_final() && record.payment.state.slot().is_none()
            }))
        }
        _ => Ok(None),
    }
}

/// Keeps a transaction, and its slot as used.
pub(super) fn keep(scope: &Scope<'_>, presence: &Presence, judged: bool) -> Result<(), StoreError> {
    let tx = presence.tx();
    let (kind, number) = codec::slot_columns(tx.slot);
    let invoice = match &tx.body {
        LedgerBody::Payment { invoice_id, .. } => *invoice_id,
        LedgerBody::NoOp | LedgerBody::TicketCreate { .. } | LedgerBody::Other => None,
    };
    let key = match &tx.body {
        LedgerBody::NoOp => tx.memos.iter().find_map(named_payment),
        LedgerBody::Payment { .. } | LedgerBody::TicketCreate { .. } | LedgerBody::Other => None,
    };
    let sql = "INSERT INTO imported (tx_hash, slot_kind, slot_number, ledger_index, invoice_id, payment_key, judged, body) \
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) ON CONFLICT (tx_hash) DO NOTHING";
    scope.conn.prepare_cached(sql)?.execute(params![
        tx.hash.as_bytes(),
        kind,
        number,
        presence.ledger().index.0,
        invoice.map(|invoice| *invoice.as_bytes()),
        key.map(|key| key.to_string()),
        judged,
        encode(presence).encode_to_vec(),
    ])?;
    if rows::slot_row(scope.view(), tx.slot)?.is_none() {
        write::make_slot(scope, tx.slot)?;
    }
    write::resolve_slot(scope, tx.slot, presence.ledger().index, Some(tx.hash))
}

pub(super) fn is_known(scope: &Scope<'_>, hash: Hash256) -> Result<bool, StoreError> {
    let sql = "SELECT 1 FROM imported WHERE tx_hash = ?1";
    Ok(scope.conn.prepare_cached(sql)?.exists([hash.as_bytes()])?)
}

/// What the ledger shows of a payment that no row knows. One that delivered counts before any other.
pub(super) fn of_payment(
    view: View<'_>,
    key: &PaymentKey,
    invoice: Hash256,
) -> Result<Option<Presence>, StoreError> {
    let sql = "SELECT tx_hash, slot_kind, slot_number, ledger_index, body FROM imported WHERE invoice_id = ?1 \
               UNION ALL \
               SELECT tx_hash, slot_kind, slot_number, ledger_index, body FROM imported WHERE payment_key = ?2";
    let mut found = select(view, sql, params![invoice.as_bytes(), key.to_string()])?;
    let delivered = |presence: &Presence| {
        matches!(presence.tx().body, LedgerBody::Payment { .. })
            && presence.tx().result == FinalResult::Success
    };
    let at = found.iter().position(delivered).unwrap_or(0);
    Ok((at < found.len()).then(|| found.swap_remove(at)))
}

/// The transaction of the ledger that carries this InvoiceID and that no row made.
pub(super) fn with_invoice(
    view: View<'_>,
    invoice: Hash256,
) -> Result<Option<Hash256>, StoreError> {
    let sql = "SELECT tx_hash FROM imported WHERE invoice_id = ?1 LIMIT 1";
    let hash: Option<[u8; 32]> = view
        .conn
        .prepare_cached(sql)?
        .query_row([invoice.as_bytes()], |row| row.get(0))
        .optional()?;
    Ok(hash.map(Hash256::from_bytes))
}

/// Those of which the signer was not asked yet, now that it was. Each is shown once.
pub(super) fn take_unjudged(scope: &Scope<'_>) -> Result<Vec<Presence>, StoreError> {
    let sql =
        "SELECT tx_hash, slot_kind, slot_number, ledger_index, body FROM imported WHERE judged = 0";
    let found = select(scope.view(), sql, [])?;
    let sql = "UPDATE imported SET judged = 1 WHERE judged = 0";
    scope.conn.prepare_cached(sql)?.execute([])?;
    Ok(found)
}

fn is_of_noop(memo: &Memo) -> bool {
    let types = [NOOP_MEMO_TYPE, FILLER_MEMO_TYPE].map(str::as_bytes);
    memo.memo_type
        .as_deref()
        .is_some_and(|memo_type| types.contains(&memo_type))
}

/// The payment that a no-op was made for.
fn named_payment(memo: &Memo) -> Option<PaymentKey> {
    if memo.memo_type.as_deref() != Some(NOOP_MEMO_TYPE.as_bytes()) {
        return None;
    }
    let text = std::str::from_utf8(memo.data.as_deref()?).ok()?;
    // Ids hold no slash.
    let (client, payment) = text.split_once('/')?;
    Some(PaymentKey {
        client: Id::new(client.to_owned()).ok()?,
        payment: Id::new(payment.to_owned()).ok()?,
    })
}

// === rows ===

fn select(
    view: View<'_>,
    sql: &str,
    values: impl rusqlite::Params,
) -> Result<Vec<Presence>, StoreError> {
    let mut statement = view.conn.prepare_cached(sql)?;
    let mut rows = statement.query(values)?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let hash = Hash256::from_bytes(row.get(0)?);
        let slot = codec::slot(row.get(1)?, row.get(2)?)?;
        let blob: Vec<u8> = row.get(4)?;
        let body = Body::decode(blob.as_slice())
            .map_err(|error| StoreError::corrupt(format!("imported.body: {error}")))?;
        let ledger_hash = bytes(&body.ledger_hash, "ledger_hash")?;
        let ledger = codec::ledger_ref(row.get(3)?, ledger_hash);
        let tx = LedgerTx {
            hash,
            account: view.identity.wallet.account,
            slot,
            result: FinalResult::parse(&body.result)
                .ok_or_else(|| StoreError::corrupt(format!("imported.result {}", body.result)))?,
            fee: codec::drops(body.fee, "imported.fee")?,
            source_tag: body.source_tag,
            memos: codec::memo_list(&body.memos)?,
            body: decode(body.payment, hash_of_invoice(view, hash)?)?,
        };
        found.push(shown(ledger, tx, body.servers)?);
    }
    Ok(found)
}

fn hash_of_invoice(view: View<'_>, tx: Hash256) -> Result<Option<Hash256>, StoreError> {
    let sql = "SELECT invoice_id FROM imported WHERE tx_hash = ?1";
    let invoice: Option<[u8; 32]> = view
        .conn
        .prepare_cached(sql)?
        .query_row([tx.as_bytes()], |row| row.get(0))?;
    Ok(invoice.map(Hash256::from_bytes))
}

/// Evidence as it was when it was kept: by exactly those who said so then.
fn shown(
    ledger: paygate_payments::LedgerRef,
    tx: LedgerTx,
    servers: Vec<String>,
) -> Result<Presence, StoreError> {
    let readings: Vec<TransactionReading> = servers
        .into_iter()
        .map(|operator| TransactionReading {
            source: Source {
                operator,
                own: false,
            },
            validated: true,
            ledger,
            tx: tx.clone(),
        })
        .collect();
    Quorum::new(readings.len())
        .presence(&readings)
        .map_err(|_| StoreError::corrupt("imported.servers is empty"))
}

fn encode(presence: &Presence) -> Body {
    let tx = presence.tx();
    let payment = match &tx.body {
        LedgerBody::Payment {
            destination,
            destination_tag,
            amount,
            delivered,
            ..
        } => {
            let columns = amounts::amount_columns(*amount);
            let (delivered, delivered_issued) = amounts::delivered_columns(*delivered);
            Some(PaymentBody {
                destination: destination.as_bytes().to_vec(),
                destination_tag: *destination_tag,
                drops: columns.drops,
                asset: columns.asset.map(Vec::from),
                value: columns.value.map(Vec::from),
                send_max: columns.send_max.map(Vec::from),
                delivered,
                delivered_issued,
            })
        }
        LedgerBody::NoOp | LedgerBody::TicketCreate { .. } | LedgerBody::Other => None,
    };
    Body {
        ledger_hash: presence.ledger().hash.as_bytes().to_vec(),
        result: tx.result.code().to_owned(),
        fee: tx.fee.get(),
        source_tag: tx.source_tag,
        memos: MemoRows::of(&tx.memos).encode_to_vec(),
        servers: presence.servers().to_vec(),
        payment,
    }
}

fn decode(
    payment: Option<PaymentBody>,
    invoice_id: Option<Hash256>,
) -> Result<LedgerBody, StoreError> {
    let Some(payment) = payment else {
        return Ok(LedgerBody::NoOp);
    };
    let asset = part(payment.asset.as_deref(), "asset")?;
    let value = part(payment.value.as_deref(), "value")?;
    let send_max = part(payment.send_max.as_deref(), "send_max")?;
    let amount: Amount = amounts::amount(payment.drops, asset, value, send_max)?;
    Ok(LedgerBody::Payment {
        destination: AccountId::from_bytes(bytes(&payment.destination, "destination")?),
        destination_tag: payment.destination_tag,
        amount,
        delivered: amounts::delivered(payment.delivered, &payment.delivered_issued)?,
        invoice_id,
    })
}

fn part<const N: usize>(found: Option<&[u8]>, what: &str) -> Result<Option<[u8; N]>, StoreError> {
    found.map(|found| bytes(found, what)).transpose()
}

fn bytes<const N: usize>(found: &[u8], what: &str) -> Result<[u8; N], StoreError> {
    <[u8; N]>::try_from(found)
        .map_err(|_| StoreError::corrupt(format!("imported.{what} has other than {N} bytes")))
}
