//! The wallet as a whole: epoch, cursor, the signer's journal, quarantine and freeze.
//!
//! Owns: the row `meta`, once the store is open. May not: begin or end a quarantine or a thaw by itself; a freeze, yes.

use std::collections::BTreeSet;

use paygate_payments::continuity::{Doubt, Quarantine};
use paygate_payments::payment::State;
use paygate_payments::step::{Effect, Step};
use paygate_payments::{LedgerIndex, LedgerRef};
use paygate_proto::v1::TimelineStage;
use rusqlite::{Connection, params};
use tonic::Code;
use xrpl_tx::{Drops, Hash256};

use super::audit::{self, Deed};
use super::codec::{self, Whole};
use super::error::StoreError;
use super::people::{Actor, AuditHead};
use super::rollout::{Incident, incident};
use super::timeline;
use super::types::{Cursor, Freeze, Record, Unfrozen};
use super::writer::Scope;
use crate::clock::Millis;

const UNFREEZE: &str = "paygate.v1.OperationsService/Unfreeze";

/// Every doubt.
const DOUBTS: [Doubt; 8] = [
    Doubt::FreshStoreUsedJournal,
    Doubt::SignerAhead,
    Doubt::SignerBehind,
    Doubt::OtherStore,
    Doubt::LongAbsence,
    Doubt::UnknownTransaction,
    Doubt::JournalRecovered,
    Doubt::TakenOver,
];

/// What decides whether anything may be bound or signed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Gate {
    pub(super) quarantined: bool,
    pub(super) frozen: bool,
}

pub(super) fn begin_epoch(scope: &Scope<'_>) -> Result<u64, StoreError> {
    // The doubt reaches back to the last generation that was compared with ledger and signer, over crashes before that.
    let sql = "UPDATE meta SET epoch = epoch + 1, \
               doubt_from = CASE WHEN checked_epoch = epoch THEN ledger_index ELSE doubt_from END \
               WHERE id = 1 RETURNING epoch";
    Ok(scope
        .conn
        .prepare_cached(sql)?
        .query_row([], |row| row.get::<_, Whole>(0))?
        .0)
}

/// Store, ledger and signer were compared, and a quarantine was begun if they call for one. Until then every generation is
/// held as if in quarantine: rows may have been lost, and what they knew may be on the network.
pub(super) fn pass_continuity(scope: &Scope<'_>, epoch: u64) -> Result<Gate, StoreError> {
    fence(scope, epoch)?;
    let sql = "UPDATE meta SET checked_epoch = epoch WHERE id = 1";
    scope.conn.prepare_cached(sql)?.execute([])?;
    if xrpl_tx::mutant!("recovery-signs-new-slot") {
        let sql = "UPDATE slots SET owner = NULL WHERE resolved_ledger IS NULL; \
                   UPDATE payments SET state = 'ACCEPTED', slot_kind = NULL, slot_number = NULL, digest = NULL, \
                   epoch = NULL, since_ledger = NULL WHERE state = 'AT_LARGE'";
        scope.conn.execute_batch(sql)?;
    }
    gate(scope)
}

/// Refuses a gateway that is not of the store's own generation, and tells what is barred now.
pub(super) fn fence(scope: &Scope<'_>, caller: u64) -> Result<Gate, StoreError> {
    let (store, gate) = generation(scope)?;
    // A higher epoch than the store's own is one of a store that was set back since.
    if store == caller || xrpl_tx::mutant!("epoch-unchecked") {
        Ok(gate)
    } else {
        Err(StoreError::Fenced { store, caller })
    }
}

/// What is barred now, for what neither binds nor signs: every gateway may do it.
pub(super) fn gate(scope: &Scope<'_>) -> Result<Gate, StoreError> {
    Ok(generation(scope)?.1)
}

fn generation(scope: &Scope<'_>) -> Result<(u64, Gate), StoreError> {
    let sql = "SELECT epoch, quarantine_why IS NOT NULL OR checked_epoch <> epoch, frozen_why IS NOT NULL \
         FROM meta WHERE id = 1";
    let (Whole(store), quarantined, frozen): (Whole, bool, bool) = scope
        .conn
        .prepare_cached(sql)?
        .query_row([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
    let gate = Gate {
        quarantined,
        frozen,
    };
    Ok((store, gate))
}

impl Gate {
    /// Lets pass what binds or adds a version that is not asked for by a payment's own course.
    pub(super) fn open(self) -> Result<(), StoreError> {
        if self.quarantined {
            Err(StoreError::Quarantined)
        } else if self.frozen && !xrpl_tx::mutant!("freeze-ignored") {
            Err(StoreError::Frozen)
        } else {
            Ok(())
        }
    }
}

pub(super) fn record_journal(
    scope: &Scope<'_>,
    height: u64,
    hash: Hash256,
) -> Result<(), StoreError> {
    let sql = "UPDATE meta SET journal_height = ?1, journal_hash = ?2 WHERE id = 1 AND journal_height < ?1";
    scope
        .conn
        .prepare_cached(sql)?
        .execute(params![codec::count(height)?, hash.as_bytes()])?;
    Ok(())
}

/// Takes note that a person took the signer's journal into use again: what was recorded of it before says nothing any more.
pub(super) fn record_recovery(
    scope: &Scope<'_>,
    epoch: u64,
    height: u64,
    hash: Hash256,
) -> Result<(), StoreError> {
    fence(scope, epoch)?;
    let sql = "UPDATE meta SET recovery_height = ?1, recovery_hash = ?2, journal_height = ?1, journal_hash = ?2 WHERE id = 1";
    scope
        .conn
        .prepare_cached(sql)?
        .execute(params![codec::count(height)?, hash.as_bytes()])?;
    Ok(())
}

/// Raises the generation above one that the signer has heard of: a store that was set back hands the same ones out again.
pub(super) fn raise_epoch(scope: &Scope<'_>, epoch: u64, above: u64) -> Result<u64, StoreError> {
    fence(scope, epoch)?;
    let raised = epoch.max(above).saturating_add(1);
    let sql = "UPDATE meta SET epoch = ?1 WHERE id = 1";
    scope
        .conn
        .prepare_cached(sql)?
        .execute([codec::count(raised)?])?;
    Ok(raised)
}

/// Has the history before the first ledger imported, from this ledger on. Once for a store.
pub(super) fn want_import(
    scope: &Scope<'_>,
    epoch: u64,
    from: LedgerIndex,
) -> Result<(), StoreError> {
    fence(scope, epoch)?;
    let sql = "UPDATE meta SET import_from = coalesce(import_from, ?1) WHERE id = 1 AND import_done = 0 AND first_ledger >= ?1";
    scope.conn.prepare_cached(sql)?.execute([from.0])?;
    Ok(())
}

/// The next ledger to be imported is `next`, or none.
pub(super) fn imported_up_to(
    scope: &Scope<'_>,
    next: Option<LedgerIndex>,
) -> Result<(), StoreError> {
    let sql =
        "UPDATE meta SET import_from = ?1, import_done = import_done OR ?1 IS NULL WHERE id = 1";
    scope
        .conn
        .prepare_cached(sql)?
        .execute([next.map(|next| next.0)])?;
    Ok(())
}

/// Whether this generation has compared store, ledger and signer.
pub(super) fn is_checked(scope: &Scope<'_>) -> Result<bool, StoreError> {
    let sql = "SELECT checked_epoch = epoch FROM meta WHERE id = 1";
    Ok(scope
        .conn
        .prepare_cached(sql)?
        .query_row([], |row| row.get(0))?)
}

pub(super) fn cursor(conn: &Connection) -> Result<Cursor, StoreError> {
    let sql = "SELECT ledger_index, ledger_hash, journal_height, journal_hash, epoch, quarantine_why, quarantine_until, \
               frozen_why, frozen_since_ms, first_ledger, balance, doubt_from, recovery_height, recovery_hash, import_from \
               FROM meta WHERE id = 1";
    let mut statement = conn.prepare_cached(sql)?;
    let mut rows = statement.query([])?;
    let row = rows
        .next()?
        .ok_or_else(|| StoreError::corrupt("table meta is empty"))?;
    let index: Option<u32> = row.get(0)?;
    let hash: Option<[u8; 32]> = row.get(1)?;
    let why: Option<String> = row.get(5)?;
    let until: Option<u32> = row.get(6)?;
    let frozen: Option<String> = row.get(7)?;
    let since: Option<i64> = row.get(8)?;
    let quarantine = match why.zip(until) {
        None => None,
        Some((why, until)) => Some(Quarantine {
            why: doubt(&why)?,
            until: LedgerIndex(until),
        }),
    };
    Ok(Cursor {
        reconciled: index
            .zip(hash)
            .map(|(index, hash)| codec::ledger_ref(index, hash)),
        balance: row
            .get::<_, Option<Whole>>(10)?
            .map(|n| codec::drops(n.0, "meta.balance"))
            .transpose()?,
        journal_height: row.get::<_, Whole>(2)?.0,
        journal_hash: row.get::<_, Option<[u8; 32]>>(3)?.map(Hash256::from_bytes),
        epoch: row.get::<_, Whole>(4)?.0,
        quarantine,
        frozen: frozen.zip(since).map(|(why, since)| Freeze {
            why,
            since: Millis(since),
        }),
        first_ledger: row.get::<_, Option<u32>>(9)?.map(LedgerIndex),
        doubt_from: row.get::<_, Option<u32>>(11)?.map(LedgerIndex),
        recovery: row
            .get::<_, Option<[u8; 32]>>(13)?
            .map(|hash| {
                Ok::<_, StoreError>((row.get::<_, Whole>(12)?.0, Hash256::from_bytes(hash)))
            })
            .transpose()?,
        import_from: row.get::<_, Option<u32>>(14)?.map(LedgerIndex),
    })
}

pub(super) fn start_at(scope: &Scope<'_>, ledger: LedgerRef) -> Result<(), StoreError> {
    let sql = "UPDATE meta SET first_ledger = ?1, ledger_index = ?1, ledger_hash = ?2 WHERE id = 1 AND ledger_index IS NULL";
    scope
        .conn
        .prepare_cached(sql)?
        .execute(params![ledger.index.0, ledger.hash.as_bytes()])?;
    Ok(())
}

pub(super) fn move_cursor(
    scope: &Scope<'_>,
    ledger: LedgerRef,
    balance: Drops,
) -> Result<(), StoreError> {
    let sql = "UPDATE meta SET ledger_index = ?1, ledger_hash = ?2, balance = ?3, \
               first_ledger = coalesce(first_ledger, ?1) WHERE id = 1";
    let row = params![
        ledger.index.0,
        ledger.hash.as_bytes(),
        codec::count(balance.get())?
    ];
    scope.conn.prepare_cached(sql)?.execute(row)?;
    Ok(())
}

pub(super) fn set_quarantine(
    scope: &Scope<'_>,
    epoch: u64,
    quarantine: Option<Quarantine>,
    at: Millis,
) -> Result<(), StoreError> {
    fence(scope, epoch)?;
    if cursor(scope.conn)?.quarantine == quarantine {
        return Ok(());
    }
    let sql = "UPDATE meta SET quarantine_why = ?1, quarantine_until = ?2 WHERE id = 1";
    let row = params![
        quarantine.map(|q| word(q.why)),
        quarantine.map(|q| q.until.0)
    ];
    scope.conn.prepare_cached(sql)?.execute(row)?;
    if let Some(quarantine) = quarantine {
        incident(scope, Incident::Quarantine(quarantine.why), at)?;
    }
    let summary = match quarantine {
        Some(q) => format!("Quarantine, nothing is bound: {q}."),
        None => "The quarantine is over: payments are bound again.".to_owned(),
    };
    timeline::of_wallet(scope.conn, TimelineStage::Waiting, &summary, &[], at)
}

/// Thaws, if the person who asks has named every foreign transaction that nobody has acknowledged yet. Decides no payment.
pub(super) fn unfreeze(
    scope: &Scope<'_>,
    by: &Actor,
    reason: &str,
    acknowledged: &BTreeSet<Hash256>,
    at: Millis,
) -> Result<(Unfrozen, Option<AuditHead>), StoreError> {
    if cursor(scope.conn)?.frozen.is_none() {
        return Ok((Unfrozen::WasNotFrozen, None));
    }
    let deed = |code| Deed {
        by,
        method: UNFREEZE,
        subject: "wallet".to_owned(),
        reason,
        code,
    };
    let sql = "SELECT tx_hash FROM foreign_transactions WHERE acknowledged_ms IS NULL ORDER BY ledger_index, tx_hash";
    let mut statement = scope.conn.prepare_cached(sql)?;
    let known = statement.query_map([], |row| row.get::<_, [u8; 32]>(0))?;
    let known = known.collect::<Result<Vec<_>, _>>()?;
    let unnamed: Vec<Hash256> = known
        .iter()
        .map(|hash| Hash256::from_bytes(*hash))
        .filter(|hash| !acknowledged.contains(hash))
        .collect();
    if !unnamed.is_empty() {
        let head = audit::append(scope, deed(Code::FailedPrecondition), at)?;
        return Ok((Unfrozen::Unnamed(unnamed), Some(head)));
    }
    let sql = "UPDATE foreign_transactions SET acknowledged_ms = ?1 WHERE acknowledged_ms IS NULL";
    scope.conn.prepare_cached(sql)?.execute([at.0])?;
    let sql = "UPDATE meta SET frozen_why = NULL, frozen_since_ms = NULL WHERE id = 1";
    scope.conn.prepare_cached(sql)?.execute([])?;
    let summary = format!("Sending was unfrozen by a person: {reason}");
    let named: Vec<String> = known.iter().map(hex::encode_upper).collect();
    let details = [
        ("reason", reason.to_owned()),
        ("acknowledged", named.join(",")),
    ];
    timeline::of_wallet(scope.conn, TimelineStage::Waiting, &summary, &details, at)?;
    let head = audit::append(scope, deed(Code::Ok), at)?;
    Ok((Unfrozen::Now, Some(head)))
}

/// Freezes. Frozen already: the first reason stays.
pub(super) fn set_frozen(scope: &Scope<'_>, freeze: &Freeze, at: Millis) -> Result<(), StoreError> {
    let sql =
        "UPDATE meta SET frozen_why = ?1, frozen_since_ms = ?2 WHERE id = 1 AND frozen_why IS NULL";
    let row = params![freeze.why.as_str(), freeze.since.0];
    if scope.conn.prepare_cached(sql)?.execute(row)? == 0 {
        return Ok(());
    }
    incident(scope, Incident::Freeze, at)?;
    let summary = format!(
        "Sending is frozen until a person unfreezes it: {}.",
        freeze.why
    );
    timeline::of_wallet(scope.conn, TimelineStage::Held, &summary, &[], at)
}

pub(super) fn check(scope: &Scope<'_>) -> Result<(), StoreError> {
    scope
        .conn
        .prepare_cached("UPDATE meta SET checks = checks + 1 WHERE id = 1")?
        .execute([])?;
    Ok(())
}

/// Freezes sending in the transaction that found the reason, if the core asks for it.
pub(super) fn freeze_on(
    scope: &Scope<'_>,
    step: &Step,
    record: &Record,
    at: Millis,
) -> Result<(), StoreError> {
    if !step.effects.contains(&Effect::FreezeWallet) {
        return Ok(());
    }
    let key = &record.payment.intent.key;
    let why = match &record.payment.state {
        State::Failed(settled) => format!(
            "payment {key} failed with {} in ledger {}, which nothing that is sent here should cause",
            settled.result, settled.ledger.index
        ),
        _ => format!("payment {key} is on hold"),
    };
    set_frozen(scope, &Freeze { why, since: at }, at)
}

fn word(doubt: Doubt) -> &'static str {
    match doubt {
        Doubt::FreshStoreUsedJournal => "FRESH_STORE_USED_JOURNAL",
        Doubt::SignerAhead => "SIGNER_AHEAD",
        Doubt::SignerBehind => "SIGNER_BEHIND",
        Doubt::OtherStore => "OTHER_STORE",
        Doubt::LongAbsence => "LONG_ABSENCE",
        Doubt::UnknownTransaction => "UNKNOWN_TRANSACTION",
        Doubt::JournalRecovered => "JOURNAL_RECOVERED",
        Doubt::TakenOver => "TAKEN_OVER",
    }
}

fn doubt(text: &str) -> Result<Doubt, StoreError> {
    let found = DOUBTS.iter().copied().find(|doubt| word(*doubt) == text);
    found.ok_or_else(|| StoreError::corrupt(format!("meta.quarantine_why is {text:?}")))
}
