//! Transactions of the wallet that a person makes outside and has announced.
//!
//! Owns: the table `announcements`; when one is let in, and when it has come. May not: let one in while anything of ours may
//! still get into a ledger: both would compete for the same slots.

use paygate_payments::LedgerIndex;
use paygate_payments::proof::Presence;
use paygate_proto::v1::TimelineStage;
use rusqlite::{Connection, params};
use tonic::Code;
use xrpl_tx::Hash256;

use super::audit::{self, Deed};
use super::error::StoreError;
use super::people::{Actor, AuditHead};
use super::timeline;
use super::types::{Announced, Announcement};
use super::wallet;
use super::writer::Scope;
use crate::clock::Millis;

const ANNOUNCE: &str = "paygate.v1.OperationsService/AnnounceTransaction";

/// Announcements that may be awaited at once: a change of keys takes two or three transactions.
const AWAITED_MAX: usize = 8;

/// While one is awaited nothing is bound: at most so many ledgers, some hour of the network.
const AWAITED_LEDGERS_MAX: u32 = 1000;

/// Lets an announcement in, or says why not. Safe to repeat.
pub(super) fn announce(
    scope: &Scope<'_>,
    by: &Actor,
    announcement: &Announcement,
    at: Millis,
) -> Result<(Announced, Option<AuditHead>), StoreError> {
    let deed = |code| Deed {
        by,
        method: ANNOUNCE,
        subject: format!("transaction {}", announcement.tx_hash),
        reason: &announcement.reason,
        code,
    };
    let sql = "SELECT last_ledger FROM announcements WHERE tx_hash = ?1";
    let mut statement = scope.conn.prepare_cached(sql)?;
    let mut rows = statement.query([announcement.tx_hash.as_bytes()])?;
    if let Some(row) = rows.next()? {
        let last_ledger = LedgerIndex(row.get(0)?);
        if last_ledger == announcement.last_ledger {
            return Ok((Announced::Now, None));
        }
        let head = audit::append(scope, deed(Code::FailedPrecondition), at)?;
        return Ok((Announced::OtherLastLedger(last_ledger), Some(head)));
    }
    if let Some(refused) = obstacle(scope, announcement.last_ledger)? {
        let head = audit::append(scope, deed(Code::FailedPrecondition), at)?;
        return Ok((refused, Some(head)));
    }
    let sql = "INSERT INTO announcements (tx_hash, last_ledger, reason, client_id, at_ms) VALUES (?1, ?2, ?3, ?4, ?5)";
    scope.conn.prepare_cached(sql)?.execute(params![
        announcement.tx_hash.as_bytes(),
        announcement.last_ledger.0,
        announcement.reason,
        announcement.client,
        at.0,
    ])?;
    let summary = format!(
        "Transaction {}, made outside, was announced by {}: {}. Nothing is bound until it is validated, at the latest until ledger {} is.",
        announcement.tx_hash, announcement.client, announcement.reason, announcement.last_ledger
    );
    let details = [
        ("tx_hash", announcement.tx_hash.to_string()),
        ("reason", announcement.reason.clone()),
        ("client_id", announcement.client.clone()),
        ("last_ledger_sequence", announcement.last_ledger.to_string()),
    ];
    timeline::of_wallet(scope.conn, TimelineStage::Waiting, &summary, &details, at)?;
    let head = audit::append(scope, deed(Code::Ok), at)?;
    Ok((Announced::Now, Some(head)))
}

fn obstacle(scope: &Scope<'_>, last: LedgerIndex) -> Result<Option<Announced>, StoreError> {
    if wallet::gate(scope)?.quarantined {
        return Ok(Some(Announced::Quarantined));
    }
    let Some(done) = wallet::cursor(scope.conn)?.reconciled else {
        return Ok(Some(Announced::Quarantined));
    };
    let sql = "SELECT count(*) FROM slots WHERE resolved_ledger IS NULL";
    let mut statement = scope.conn.prepare_cached(sql)?;
    let open: u32 = statement.query_row([], |row| row.get(0))?;
    if open > 0 {
        return Ok(Some(Announced::AtLarge(open)));
    }
    let farthest = done.index.plus(AWAITED_LEDGERS_MAX);
    if last <= done.index || last > farthest {
        return Ok(Some(Announced::OutOfRange {
            first: done.index.plus(1),
            last: farthest,
        }));
    }
    let awaited = awaited(scope.conn)?.len();
    Ok((awaited >= AWAITED_MAX).then_some(Announced::TooMany(AWAITED_MAX)))
}

/// Announcements that may still come, the longest first. With the ledger that is reconciled the others are over.
pub(super) fn awaited(conn: &Connection) -> Result<Vec<Announcement>, StoreError> {
    let sql = "SELECT tx_hash, last_ledger, reason, client_id FROM announcements, meta \
               WHERE seen_ledger IS NULL AND last_ledger > coalesce(meta.ledger_index, 0) ORDER BY last_ledger DESC";
    let mut statement = conn.prepare_cached(sql)?;
    let rows = statement.query_map([], |row| {
        Ok(Announcement {
            tx_hash: Hash256::from_bytes(row.get(0)?),
            last_ledger: LedgerIndex(row.get(1)?),
            reason: row.get(2)?,
            client: row.get(3)?,
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// True if the transaction was announced and came in time. It is remembered as seen.
pub(super) fn came(scope: &Scope<'_>, presence: &Presence, at: Millis) -> Result<bool, StoreError> {
    let tx = presence.tx().hash;
    let ledger = presence.ledger();
    let sql = "UPDATE announcements SET seen_ledger = ?2 WHERE tx_hash = ?1 AND last_ledger >= ?2 RETURNING reason, client_id";
    let mut statement = scope.conn.prepare_cached(sql)?;
    let mut rows = statement.query(params![tx.as_bytes(), ledger.index.0])?;
    let Some(row) = rows.next()? else {
        return Ok(false);
    };
    let (reason, client): (String, String) = (row.get(0)?, row.get(1)?);
    let summary = format!(
        "Ledger {}: the announced transaction {tx} is validated ({}), as {client} had said: {reason}.",
        ledger.index,
        presence.tx().result.code()
    );
    let details = [
        ("tx_hash", tx.to_string()),
        ("ledger_index", ledger.index.to_string()),
        ("reason", reason),
    ];
    timeline::of_wallet(scope.conn, TimelineStage::Waiting, &summary, &details, at)?;
    Ok(true)
}
