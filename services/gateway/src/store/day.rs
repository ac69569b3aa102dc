//! The rolling day: what payments took of each limit that counts over 24 hours.
//!
//! Owns: the sums, from rows, and those that the writer carries from job to job. May not: refuse a payment; the core compares
//! sums with limits. A sum is exact in XRP, and in an issued currency never too low.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use paygate_payments::intent::Intent;
use paygate_payments::limits::{DayUnits, Limits};
use rusqlite::params;
use xrpl_tx::Asset;

use super::amounts::{self, ValueBytes};
use super::clients::Carried;
use super::codec::Whole;
use super::error::StoreError;
use super::open::View;
use super::types::Record;
use super::writer::Scope;
use crate::clock::Millis;

/// The rolling day of the daily limits.
pub(super) const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Callers read the clock before they wait in line, so that times arrive a little out of order. Only a clock that went back
/// further than this makes the day's sum be counted anew.
pub(super) const CLOCK_DISORDER: Duration = Duration::from_secs(10);

/// The rolling day's sums, carried from job to job so that a busy day costs no scan. Derived from rows, dropped on any doubt.
#[derive(Clone, Debug, Default)]
pub(super) struct DaySums {
    xrp: Option<DayUsed>,
    assets: BTreeMap<Asset, DayUsed>,
    /// What of it single clients took, and their payments that are not final.
    pub(super) clients: Carried,
    /// The limits by whose units all this is counted.
    under: Option<Arc<Limits>>,
}

/// One sum.
#[derive(Clone, Copy, Debug)]
struct DayUsed {
    /// Rows created from here on are in the sum.
    from: Millis,
    /// Their sum.
    units: DayUnits,
    /// None of them is older than this, so that nothing leaves the sum before then.
    oldest: Millis,
}

impl DaySums {
    /// Drops what was counted under other limits, whose units may be others.
    pub(super) fn fit(&mut self, limits: &Arc<Limits>) {
        if !self
            .under
            .as_ref()
            .is_some_and(|under| Arc::ptr_eq(under, limits))
        {
            *self = Self {
                under: Some(Arc::clone(limits)),
                ..Self::default()
            };
        }
    }

    fn of(&self, asset: Option<Asset>) -> Option<DayUsed> {
        match asset {
            None => self.xrp,
            Some(asset) => self.assets.get(&asset).copied(),
        }
    }

    fn set(&mut self, asset: Option<Asset>, sum: Option<DayUsed>) {
        match (asset, sum) {
            (None, sum) => self.xrp = sum,
            (Some(asset), Some(sum)) => {
                self.assets.insert(asset, sum);
            }
            (Some(asset), None) => {
                self.assets.remove(&asset);
            }
        }
    }

    /// A payment was stored, created at `at`.
    pub(super) fn add(&mut self, asset: Option<Asset>, units: DayUnits, at: Millis) {
        if let Some(sum) = self.of(asset) {
            let day = DayUsed {
                units: sum.units.plus(units),
                oldest: sum.oldest.min(at),
                ..sum
            };
            self.set(asset, Some(day));
        }
    }

    /// An end unpaid takes a payment out of the rolling day. Where sum and rows disagree, it is counted anew.
    pub(super) fn give_back(&mut self, record: &Record, units: DayUnits) {
        let asset = asset_of(&record.payment.intent);
        if let Some(sum) = self.of(asset).filter(|sum| record.created >= sum.from) {
            let rest = sum.units.minus(units);
            self.set(asset, rest.map(|units| DayUsed { units, ..sum }));
        }
    }
}

/// What the payment's limits count by. `None`: XRP.
pub(super) fn asset_of(intent: &Intent) -> Option<Asset> {
    intent.takes().asset()
}

/// The sum for one asset: the one carried along, less what has left the day since.
pub(super) fn used(
    scope: &mut Scope<'_>,
    asset: Option<Asset>,
    at: Millis,
) -> Result<DayUnits, StoreError> {
    let from = at.minus(DAY);
    let view = scope.view();
    let anew = || {
        Ok::<_, StoreError>(DayUsed {
            from,
            units: sum(view, asset, from)?,
            oldest: oldest(view, asset, from)?,
        })
    };
    let day = match scope.day.of(asset) {
        // Nobody's day is over yet.
        Some(day) if from > day.from && from <= day.oldest => DayUsed { from, ..day },
        Some(day) if from > day.from => {
            match day.units.minus(between(view, asset, day.from, from)?) {
                Some(units) => DayUsed {
                    from,
                    units,
                    oldest: oldest(view, asset, from)?,
                },
                None => anew()?,
            }
        }
        Some(day) if day.from.since(from) <= CLOCK_DISORDER => day,
        _ => anew()?,
    };
    scope.day.set(asset, Some(day));
    Ok(day.units)
}

/// What payments created from `from` on took, and that did not end unpaid.
pub(super) fn sum(
    view: View<'_>,
    asset: Option<Asset>,
    from: Millis,
) -> Result<DayUnits, StoreError> {
    between(view, asset, from, Millis(i64::MAX))
}

/// When the oldest payment was created that counts from `from` on. In XRP those of other assets are among them, which only makes it
/// earlier.
fn oldest(view: View<'_>, asset: Option<Asset>, from: Millis) -> Result<Millis, StoreError> {
    let found: Option<i64> = match asset {
        None => {
            let sql = "SELECT min(created_ms) FROM payments WHERE counts = 1 AND created_ms >= ?1";
            let mut statement = view.conn.prepare_cached(sql)?;
            statement.query_row([from.0], |row| row.get(0))?
        }
        Some(asset) => {
            let sql = "SELECT min(created_ms) FROM payments \
                       WHERE counts = 1 AND asset = ?1 AND created_ms >= ?2";
            let mut statement = view.conn.prepare_cached(sql)?;
            let asset = amounts::asset_column(asset);
            statement.query_row(params![asset, from.0], |row| row.get(0))?
        }
    };
    Ok(found.map_or(Millis(i64::MAX), Millis))
}

fn between(
    view: View<'_>,
    asset: Option<Asset>,
    from: Millis,
    before: Millis,
) -> Result<DayUnits, StoreError> {
    let Some(asset) = asset else {
        let sql = "SELECT coalesce(sum(drops), 0) FROM payments \
                   WHERE counts = 1 AND created_ms >= ?1 AND created_ms < ?2";
        let mut statement = view.conn.prepare_cached(sql)?;
        let Whole(drops) = statement.query_row([from.0, before.0], |row| row.get(0))?;
        return Ok(DayUnits::of_drops_sum(drops));
    };
    let all = view.limits();
    let Some(limits) = all.asset(asset) else {
        return Ok(DayUnits::default());
    };
    let sql = "SELECT value, send_max FROM payments \
               WHERE counts = 1 AND asset = ?1 AND created_ms >= ?2 AND created_ms < ?3";
    let mut statement = view.conn.prepare_cached(sql)?;
    let asset = amounts::asset_column(asset);
    let mut rows = statement.query(params![asset, from.0, before.0])?;
    let mut units = DayUnits::default();
    while let Some(row) = rows.next()? {
        let value: ValueBytes = row.get(0)?;
        let takes = amounts::takes(value, row.get(1)?)?;
        units = units.plus(limits.units(takes));
    }
    Ok(units)
}
