//! What was committed to fees within the last hour.
//!
//! Owns: the table `fee_minutes`, written in the transaction that commits a version. May not: choose a fee, or let a version
//! pass that the budget does not cover.

use paygate_payments::budget::FeeBudget;
use rusqlite::params;
use xrpl_tx::{Drops, Slot};

use super::codec::{self, Whole};
use super::error::StoreError;
use super::open::View;
use super::writer::Scope;
use crate::clock::Millis;

/// Minutes that count as the last hour: one more than there are in it, because the first of them is half over.
const HOUR_MINUTES: i64 = 61;

const MINUTE_MILLIS: i64 = 60_000;

/// The budget as it stands.
pub(super) fn budget(view: View<'_>, at: Millis) -> Result<FeeBudget, StoreError> {
    // What lies in the future was committed before the clock was set back: it counts.
    let sql = "SELECT coalesce(sum(drops), 0) FROM fee_minutes WHERE minute > ?1";
    let from = minute(at).saturating_sub(HOUR_MINUTES);
    let mut statement = view.conn.prepare_cached(sql)?;
    let Whole(used) = statement.query_row([from], |row| row.get(0))?;
    Ok(FeeBudget {
        max: view.identity.fees_hour_max(),
        used: Drops::new(used).unwrap_or(Drops::MAX),
    })
}

/// Counts a version that is about to be committed, or refuses it. A slot is charged once: a higher bid adds only what is more.
pub(super) fn spend(
    scope: &Scope<'_>,
    slot: Slot,
    fee: Drops,
    at: Millis,
) -> Result<(), StoreError> {
    let needed = FeeBudget::needs(fee, highest(scope, slot)?);
    if needed == Drops::ZERO {
        return Ok(());
    }
    budget(scope.view(), at)?
        .take(needed)
        .map_err(StoreError::FeeBudget)?;
    let now = minute(at);
    // Old minutes go, and what lies in the future is an hour old in an hour from now.
    let sql = "DELETE FROM fee_minutes WHERE minute <= ?1";
    scope
        .conn
        .prepare_cached(sql)?
        .execute([now.saturating_sub(HOUR_MINUTES)])?;
    let sql = "DELETE FROM fee_minutes WHERE minute > ?1 RETURNING drops";
    let mut statement = scope.conn.prepare_cached(sql)?;
    let ahead = statement.query_map([now], |row| row.get::<_, i64>(0))?;
    let mut drops = codec::count(needed.get())?;
    for more in ahead {
        drops = drops.saturating_add(more?);
    }
    let sql = "INSERT INTO fee_minutes (minute, drops) VALUES (?1, ?2) \
               ON CONFLICT (minute) DO UPDATE SET drops = drops + excluded.drops";
    scope
        .conn
        .prepare_cached(sql)?
        .execute(params![now, drops])?;
    Ok(())
}

fn highest(scope: &Scope<'_>, slot: Slot) -> Result<Drops, StoreError> {
    let sql = "SELECT coalesce(max(fee), 0) FROM versions WHERE account = ?1 AND slot_kind = ?2 AND slot_number = ?3";
    let (kind, number) = codec::slot_columns(slot);
    let account = scope.identity.wallet.account.as_bytes();
    let mut statement = scope.conn.prepare_cached(sql)?;
    let Whole(fee) = statement.query_row(params![account, kind, number], |row| row.get(0))?;
    codec::drops(fee, "versions.fee")
}

fn minute(at: Millis) -> i64 {
    at.0.div_euclid(MINUTE_MILLIS)
}
