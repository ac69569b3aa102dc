//! The tables of the roll-out: the one row of the stage in force, and the history, to which lines are only added.
//!
//! Owns: their SQL. May not: put a stage into force; who writes the row does that, in the same job.

use std::collections::BTreeMap;

use paygate_payments::rollout::Name;
use paygate_payments::rollout::judge::Verdict;
use rusqlite::{Connection, OptionalExtension, params};
use xrpl_tx::Hash256;

use super::super::codec::{self, Whole};
use super::super::error::StoreError;
use super::super::people::Actor;
use super::super::writer::Scope;
use super::types::{RolloutLine, Spoken};
use crate::clock::Millis;

/// Lines of history that are shown.
const HISTORY_MAX: u32 = 100;

/// The row of table `rollout`.
pub(super) struct Here {
    pub(super) stage: Name,
    pub(super) since: Millis,
    /// The line of history with which the stage began: what people said before does not count.
    pub(super) entered: u64,
    /// Payments from this number on are the stage's.
    pub(super) first_payment: u64,
    pub(super) digest: Hash256,
    pub(super) suspended: bool,
}

/// One line to be written.
#[derive(Default)]
pub(super) struct Line<'a> {
    pub(super) what: &'static str,
    pub(super) criterion: Option<Name>,
    pub(super) outcome: &'static str,
    pub(super) detail: String,
    pub(super) reason: &'a str,
}

pub(super) fn here(conn: &Connection) -> Result<Option<Here>, StoreError> {
    let sql = "SELECT stage, since_ms, entered, first_payment, digest, suspended FROM rollout WHERE id = 1";
    let mut statement = conn.prepare_cached(sql)?;
    let mut rows = statement.query([])?;
    let Some(row) = rows.next()? else {
        return Ok(None);
    };
    Ok(Some(Here {
        stage: name(&row.get::<_, String>(0)?)?,
        since: Millis(row.get(1)?),
        entered: row.get::<_, Whole>(2)?.0,
        first_payment: row.get::<_, Whole>(3)?.0,
        digest: Hash256::from_bytes(row.get(4)?),
        suspended: row.get(5)?,
    }))
}

/// A stage begins: what was measured and said before does not count for it.
pub(super) fn enter_for(
    scope: &Scope<'_>,
    by: &Actor,
    stage: Name,
    (what, detail): (&'static str, &str),
    reason: &str,
    at: Millis,
) -> Result<(), StoreError> {
    let line = Line {
        what,
        detail: detail.to_owned(),
        reason,
        ..Line::default()
    };
    let entered = write(scope, by, stage, line, at)?;
    let sql = "INSERT INTO rollout (id, stage, since_ms, entered, first_payment, digest, suspended) \
               VALUES (1, ?1, ?2, ?3, (SELECT coalesce(max(number), 0) + 1 FROM payments), zeroblob(32), 0) \
               ON CONFLICT (id) DO UPDATE SET stage = excluded.stage, since_ms = excluded.since_ms, entered = excluded.entered, \
               first_payment = excluded.first_payment";
    scope.conn.prepare_cached(sql)?.execute(params![
        stage.as_str(),
        at.0,
        codec::count(entered)?
    ])?;
    Ok(())
}

pub(super) fn set_digest(scope: &Scope<'_>, digest: Hash256) -> Result<(), StoreError> {
    let sql = "UPDATE rollout SET digest = ?1 WHERE id = 1";
    scope.conn.execute(sql, [digest.as_bytes()])?;
    Ok(())
}

pub(super) fn set_suspended(scope: &Scope<'_>, suspended: bool) -> Result<(), StoreError> {
    let sql = "UPDATE rollout SET suspended = ?1 WHERE id = 1";
    scope.conn.execute(sql, [suspended])?;
    Ok(())
}

/// Writes a line of history, and answers its number.
pub(super) fn write(
    scope: &Scope<'_>,
    by: &Actor,
    stage: Name,
    line: Line<'_>,
    at: Millis,
) -> Result<u64, StoreError> {
    let sql = "INSERT INTO rollout_history (at_ms, what, stage, criterion, outcome, detail, client_id, reason) \
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
    let number = scope.conn.prepare_cached(sql)?.insert(params![
        at.0,
        line.what,
        stage.as_str(),
        line.criterion
            .map(|name| name.to_string())
            .unwrap_or_default(),
        line.outcome,
        line.detail,
        by.client.as_str(),
        line.reason,
    ])?;
    u64::try_from(number).map_err(|_| StoreError::corrupt("a line of the roll-out is negative"))
}

/// The newest word on each criterion since the stage began.
pub(super) fn words(conn: &Connection, entered: u64) -> Result<BTreeMap<Name, Spoken>, StoreError> {
    let sql = "SELECT criterion, outcome, client_id, reason, at_ms FROM rollout_history \
               WHERE sequence > ?1 AND what = 'recorded' ORDER BY sequence";
    let mut statement = conn.prepare_cached(sql)?;
    let mut rows = statement.query([codec::count(entered)?])?;
    let mut words = BTreeMap::new();
    while let Some(row) = rows.next()? {
        let (criterion, word): (String, String) = (row.get(0)?, row.get(1)?);
        let verdict = Verdict::of_word(&word)
            .ok_or_else(|| StoreError::corrupt(format!("rollout_history.outcome is {word:?}")))?;
        let spoken = Spoken {
            verdict,
            by: row.get(2)?,
            reason: row.get(3)?,
            at: Millis(row.get(4)?),
        };
        words.insert(name(&criterion)?, spoken);
    }
    Ok(words)
}

pub(super) fn history(conn: &Connection) -> Result<Vec<RolloutLine>, StoreError> {
    let sql = "SELECT sequence, at_ms, what, stage, criterion, outcome, detail, client_id, reason FROM rollout_history \
               ORDER BY sequence DESC LIMIT ?1";
    let mut statement = conn.prepare_cached(sql)?;
    let lines = statement.query_map([HISTORY_MAX], |row| {
        Ok(RolloutLine {
            sequence: row.get::<_, Whole>(0)?.0,
            at: Millis(row.get(1)?),
            what: row.get(2)?,
            stage: row.get(3)?,
            criterion: row.get(4)?,
            outcome: row.get(5)?,
            detail: row.get(6)?,
            client: row.get(7)?,
            reason: row.get(8)?,
        })
    })?;
    Ok(lines.collect::<Result<_, _>>()?)
}

/// The stage that a store is in, for who only looks at the file. `None`: no roll-out was begun.
pub(in crate::store) fn stage_of(conn: &Connection) -> rusqlite::Result<Option<String>> {
    let has = "SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE name = 'rollout')";
    if !conn.query_row(has, [], |row| row.get::<_, bool>(0))? {
        return Ok(None);
    }
    let sql = "SELECT stage FROM rollout WHERE id = 1 AND suspended = 0";
    conn.query_row(sql, [], |row| row.get(0)).optional()
}

fn name(text: &str) -> Result<Name, StoreError> {
    Name::new(text).map_err(|error| StoreError::corrupt(format!("{text:?}: {error}")))
}
