//! How many payments are in each state.
//!
//! Owns: the table `state_counts`, for counting a million rows takes too long. May not: count what a rolled back job did; the
//! writer puts it back as it was.
//!
//! Changes are collected while jobs run and written once, right before the commit: all jobs of a transaction touch the same
//! two or three rows.

use paygate_payments::payment::StateName;
use rusqlite::{Connection, params};

use super::codec::Whole;
use super::error::StoreError;

/// What the running transaction has changed and not written yet.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Counts {
    changed: [i64; StateName::ALL.len()],
    /// Payments that are not final, `changed` included, once somebody has asked.
    pending: Option<u64>,
}

impl Counts {
    /// A payment is in `state` now.
    pub(super) fn entered(&mut self, state: StateName) {
        self.changed[state as usize] += 1;
        if !state.is_final() {
            self.pending = self.pending.and_then(|pending| pending.checked_add(1));
        }
    }

    /// A payment is no longer in `state`.
    pub(super) fn left(&mut self, state: StateName) {
        self.changed[state as usize] -= 1;
        if !state.is_final() {
            self.pending = self.pending.and_then(|pending| pending.checked_sub(1));
        }
    }

    /// Payments that are not final, those of the running transaction included.
    pub(super) fn pending(&mut self, conn: &Connection) -> Result<u64, StoreError> {
        if let Some(pending) = self.pending {
            return Ok(pending);
        }
        let live = StateName::ALL.into_iter().filter(|state| !state.is_final());
        let here: i64 = live.map(|state| self.changed[state as usize]).sum();
        let pending = pending(conn)?
            .checked_add_signed(here)
            .ok_or_else(|| StoreError::corrupt("state_counts: fewer than no payments pending"))?;
        self.pending = Some(pending);
        Ok(pending)
    }

    /// Writes what has changed, before the commit.
    pub(super) fn write(&mut self, conn: &Connection) -> rusqlite::Result<()> {
        let sql =
            "INSERT INTO state_counts (state, n) VALUES (?1, 0) ON CONFLICT (state) DO NOTHING";
        let change = "UPDATE state_counts SET n = n + ?2 WHERE state = ?1";
        for state in StateName::ALL {
            let changed = std::mem::take(&mut self.changed[state as usize]);
            if changed != 0 {
                conn.prepare_cached(sql)?.execute([state.as_str()])?;
                conn.prepare_cached(change)?
                    .execute(params![state.as_str(), changed])?;
            }
        }
        Ok(())
    }
}

/// Payments that are not final, as of the last commit.
pub(super) fn pending(conn: &Connection) -> Result<u64, StoreError> {
    let sql = "SELECT coalesce(sum(n), 0) FROM state_counts \
               WHERE state IN ('AWAITING_APPROVAL', 'ACCEPTED', 'AT_LARGE', 'ON_HOLD')";
    let Whole(pending) = conn.prepare_cached(sql)?.query_row([], |row| row.get(0))?;
    Ok(pending)
}
