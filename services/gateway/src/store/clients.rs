//! What each client with limits of its own has used of them.
//!
//! Owns: those sums, from rows, and as the writer carries them from job to job. May not: refuse a payment; the core compares. Derived
//! from rows, dropped on any doubt; without configured clients nothing is counted.

use paygate_payments::clients::ClientUse;
use paygate_payments::limits::Limits;
use paygate_payments::payment::StateName;
use rusqlite::{Rows, params};
use xrpl_tx::{Amount, Drops};

use super::codec::{self, Whole};
use super::day::{CLOCK_DISORDER, DAY};
use super::error::StoreError;
use super::open::View;
use super::types::Record;
use super::writer::Scope;
use crate::clock::Millis;

/// What is known so far.
#[derive(Clone, Debug, Default)]
pub(super) struct Carried(Option<Known>);

#[derive(Clone, Debug)]
struct Known {
    /// Rows created from here on are in the sums of the day.
    from: Millis,
    used: ClientUse,
}

impl Carried {
    /// A payment was stored.
    pub(super) fn stored(&mut self, limits: &Limits, record: &Record) {
        let Some(at) = limits.client(&record.payment.intent.key.client) else {
            return;
        };
        let drops = drops(record).get();
        self.change(at, |day, pending| {
            Some((day.checked_add(drops)?, pending.checked_add(1)?))
        });
    }

    /// A payment became final; `unpaid`: what it had reserved of the day is free again.
    pub(super) fn ended(&mut self, limits: &Limits, record: &Record, unpaid: bool) {
        let (Some(at), Some(known)) = (
            limits.client(&record.payment.intent.key.client),
            self.0.as_ref(),
        ) else {
            return;
        };
        let back = match unpaid && record.created >= known.from {
            true => drops(record).get(),
            false => 0,
        };
        self.change(at, |day, pending| {
            Some((day.checked_sub(back)?, pending.checked_sub(1)?))
        });
    }

    /// Where sums and rows disagree, they are counted anew.
    fn change(&mut self, at: usize, change: impl FnOnce(u64, u64) -> Option<(u64, u64)>) {
        let Some(known) = &mut self.0 else { return };
        let (Some(day), Some(pending)) =
            (known.used.day.get_mut(at), known.used.pending.get_mut(at))
        else {
            self.0 = None;
            return;
        };
        match change(*day, *pending) {
            Some((new_day, new_pending)) => (*day, *pending) = (new_day, new_pending),
            None => self.0 = None,
        }
    }
}

/// What is used now: what was carried along, less what has left the day since.
pub(super) fn used(scope: &mut Scope<'_>, at: Millis) -> Result<ClientUse, StoreError> {
    let limits = scope.view().limits();
    if limits.clients.is_empty() {
        return Ok(ClientUse::default());
    }
    let from = at.minus(DAY);
    let known = match scope.day.clients.0.take() {
        Some(known) if from > known.from => match less(scope.view(), &limits, known, from)? {
            Some(known) => known,
            None => anew(scope.view(), &limits, from)?,
        },
        Some(known) if known.from.since(from) <= CLOCK_DISORDER => known,
        _ => anew(scope.view(), &limits, from)?,
    };
    let used = known.used.clone();
    scope.day.clients.0 = Some(known);
    Ok(used)
}

/// What is used as of the last commit.
pub(super) fn committed(view: View<'_>, at: Millis) -> Result<ClientUse, StoreError> {
    let limits = view.limits();
    if limits.clients.is_empty() {
        return Ok(ClientUse::default());
    }
    Ok(anew(view, &limits, at.minus(DAY))?.used)
}

fn less(
    view: View<'_>,
    limits: &Limits,
    mut known: Known,
    from: Millis,
) -> Result<Option<Known>, StoreError> {
    let left = day_of(view, limits, known.from, from)?;
    for (day, left) in known.used.day.iter_mut().zip(left) {
        match day.checked_sub(left) {
            Some(rest) => *day = rest,
            None => return Ok(None),
        }
    }
    known.from = from;
    Ok(Some(known))
}

fn anew(view: View<'_>, limits: &Limits, from: Millis) -> Result<Known, StoreError> {
    let sql = "SELECT client_id, count(*) FROM payments INDEXED BY payments_state \
               WHERE state IN ('AWAITING_APPROVAL', 'ACCEPTED', 'AT_LARGE', 'ON_HOLD') GROUP BY client_id";
    let mut statement = view.conn.prepare_cached(sql)?;
    let used = ClientUse {
        day: day_of(view, limits, from, Millis(i64::MAX))?,
        pending: by_client(limits, statement.query([])?)?,
    };
    Ok(Known { from, used })
}

fn day_of(
    view: View<'_>,
    limits: &Limits,
    from: Millis,
    before: Millis,
) -> Result<Vec<u64>, StoreError> {
    let sql = "SELECT client_id, sum(drops) FROM payments INDEXED BY payments_day \
               WHERE counts = 1 AND created_ms >= ?1 AND created_ms < ?2 GROUP BY client_id";
    let mut statement = view.conn.prepare_cached(sql)?;
    by_client(limits, statement.query(params![from.0, before.0])?)
}

fn by_client(limits: &Limits, mut rows: Rows<'_>) -> Result<Vec<u64>, StoreError> {
    let mut sums = vec![0; limits.clients.len()];
    while let Some(row) = rows.next()? {
        let name: String = row.get(0)?;
        let at = limits
            .clients
            .iter()
            .position(|limits| limits.client.as_str() == name);
        if let Some(sum) = at.and_then(|at| sums.get_mut(at)) {
            *sum = row.get::<_, Whole>(1)?.0;
        }
    }
    Ok(sums)
}

fn drops(record: &Record) -> Drops {
    match record.payment.intent.amount {
        Amount::Xrp(drops) => drops,
        Amount::Issued { .. } => Drops::ZERO,
    }
}

/// Tells that a payment went from one state to another.
pub(super) fn moved(scope: &mut Scope<'_>, limits: &Limits, before: &Record, is: StateName) {
    let was = before.payment.state.name();
    if !was.is_final() && is.is_final() {
        let unpaid = codec::counts(was) && !codec::counts(is);
        scope.day.clients.ended(limits, before, unpaid);
    }
}
