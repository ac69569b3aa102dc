//! What the rows show of a stage: its payments, and what made sending stand still.
//!
//! Owns: these sums. May not: judge them.

use std::time::Duration;

use paygate_payments::continuity::Doubt;
use paygate_payments::rollout::judge::{Evidence, Payments};
use rusqlite::{Connection, params};

use super::super::codec::{self, Whole};
use super::super::error::StoreError;
use super::super::writer::Scope;
use super::rows::Here;
use crate::clock::Millis;

/// What makes sending stand still.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::store) enum Incident {
    /// Sending was frozen.
    Freeze,
    /// Continuity came into doubt.
    Quarantine(Doubt),
}

/// Takes note of one. That the gateway was away for long is none: a person may have stopped it.
pub(in crate::store) fn incident(
    scope: &Scope<'_>,
    what: Incident,
    at: Millis,
) -> Result<(), StoreError> {
    let word = match what {
        Incident::Freeze => "freeze",
        Incident::Quarantine(Doubt::LongAbsence) => return Ok(()),
        Incident::Quarantine(_) => "quarantine",
    };
    let sql = "INSERT INTO incidents (at_ms, what) VALUES (?1, ?2)";
    scope
        .conn
        .prepare_cached(sql)?
        .execute(params![at.0, word])?;
    Ok(())
}

pub(super) fn evidence(
    conn: &Connection,
    here: &Here,
    scraped: Option<Duration>,
    at: Millis,
) -> Result<Evidence, StoreError> {
    let sql = "SELECT (SELECT count(*) FROM incidents WHERE at_ms >= ?1), \
               frozen_why IS NOT NULL OR coalesce(quarantine_why, 'LONG_ABSENCE') <> 'LONG_ABSENCE' FROM meta WHERE id = 1";
    let (Whole(incidents), standstill) = conn
        .prepare_cached(sql)?
        .query_row([here.since.0], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(Evidence {
        lasted: at.since(here.since),
        payments: payments(conn, here.first_payment, at)?,
        incidents,
        standstill,
        scraped,
    })
}

/// A payment counts for the stage in which it was stored. What nobody approved, or an approver rejected, or its own client cancelled, is
/// stored and nothing else. The clock of a payment that waited for approval starts with the approval.
fn payments(conn: &Connection, first: u64, at: Millis) -> Result<Payments, StoreError> {
    let sql = "SELECT count(*), \
               coalesce(sum(state = 'PAID'), 0), \
               coalesce(sum(state = 'FAILED'), 0), \
               coalesce(sum(state = 'EXPIRED' AND unasked), 0), \
               coalesce(sum(state = 'REJECTED' AND unasked), 0), \
               coalesce(sum(state = 'ON_HOLD'), 0), \
               coalesce(sum(state IN ('ACCEPTED', 'AT_LARGE')), 0), \
               coalesce(max(CASE WHEN state = 'PAID' THEN updated_ms - began_ms END), 0), \
               min(CASE WHEN state IN ('ACCEPTED', 'AT_LARGE', 'ON_HOLD') THEN began_ms END) \
               FROM (SELECT p.state AS state, p.updated_ms AS updated_ms, coalesce(a.decided_ms, p.created_ms) AS began_ms, \
                     a.payment IS NULL OR a.decision IS 1 AS unasked \
                     FROM payments p LEFT JOIN approvals a ON a.payment = p.number WHERE p.number >= ?1)";
    let mut statement = conn.prepare_cached(sql)?;
    let first = codec::count(first)?;
    let found = statement.query_row([first], |row| {
        let whole = |at: usize| row.get::<_, Whole>(at).map(|whole| whole.0);
        let slowest: i64 = row.get(7)?;
        let oldest: Option<i64> = row.get(8)?;
        Ok(Payments {
            stored: whole(0)?,
            paid: whole(1)?,
            failed: whole(2)?,
            expired: whole(3)?,
            rejected: whole(4)?,
            on_hold: whole(5)?,
            open: whole(6)?,
            slowest: Duration::from_millis(u64::try_from(slowest).unwrap_or(0)),
            oldest: oldest.map_or(Duration::ZERO, |began| at.since(Millis(began))),
        })
    })?;
    Ok(found)
}
