//! Reading: everything that changes nothing.
//!
//! Owns: the queries of lookups, pages, timelines and numbers. May not: scan what grows for ever; each query has an index and
//! a limit.

use std::collections::BTreeMap;

use paygate_payments::LedgerIndex;
use paygate_payments::intent::PaymentKey;
use paygate_payments::limits::AssetLimits;
use paygate_payments::payment::StateName;
use rusqlite::{Row, ToSql};
use xrpl_tx::{Drops, IssuedValue, Slot};

use super::amounts::{self, AssetBytes, ValueBytes};
use super::announce;
use super::books;
use super::codec::{self, Whole};
use super::counts;
use super::day::{self, DAY};
use super::dispatch;
use super::error::StoreError;
use super::fees;
use super::open::View;
use super::pause;
use super::rows::{self, columns};
use super::timeline as lines;
use super::types::{
    AssetSummary, ListPage, ListQuery, OpenSlot, Record, StoreSlots, Summary, TimelineRow,
};
use super::{PAGE_DEFAULT, PAGE_MAX, TIMELINE_MAX};
use crate::clock::Millis;

/// Bytes of a page token: the number, and a check of it and the filters.
const TOKEN_NUMBER_BYTES: usize = 8;
const TOKEN_CHECK_BYTES: usize = 8;

pub(super) fn get(view: View<'_>, key: &PaymentKey) -> Result<Option<Record>, StoreError> {
    rows::by_key(view, key)
}

pub(super) fn timeline(view: View<'_>, key: &PaymentKey) -> Result<Vec<TimelineRow>, StoreError> {
    let Some(record) = rows::by_key(view, key)? else {
        return Ok(Vec::new());
    };
    let half = i64::try_from(TIMELINE_MAX / 2).expect("a small constant");
    let number = codec::count(record.number)?;
    // The first half and the newest half; the same lines, if they are fewer than that.
    let sql = "SELECT sequence, at_ms, stage, body, state FROM events WHERE payment = ?1 AND sequence IN ( \
                   SELECT sequence FROM (SELECT sequence FROM events WHERE payment = ?1 ORDER BY sequence LIMIT ?2) \
                   UNION \
                   SELECT sequence FROM (SELECT sequence FROM events WHERE payment = ?1 ORDER BY sequence DESC LIMIT ?2) \
               ) ORDER BY sequence";
    let mut statement = view.conn.prepare_cached(sql)?;
    let mut rows = statement.query([number, half])?;
    let mut timeline = Vec::new();
    while let Some(row) = rows.next()? {
        let body: Vec<u8> = row.get(3)?;
        timeline.push(lines::row(
            row.get::<_, Whole>(0)?.0,
            Millis(row.get(1)?),
            row.get(2)?,
            state_of(row, 4)?,
            &body,
        )?);
    }
    Ok(timeline)
}

/// The state right after an event, in column `at`. `None`: it changed nothing.
pub(super) fn state_of(row: &Row<'_>, at: usize) -> Result<Option<StateName>, StoreError> {
    let word: Option<String> = row.get(at)?;
    word.as_deref().map(codec::state_name).transpose()
}

pub(super) fn summary(view: View<'_>, now: Millis) -> Result<Summary, StoreError> {
    let mut by_state = Vec::with_capacity(StateName::ALL.len());
    let mut oldest_pending: Option<Millis> = None;
    for state in StateName::ALL {
        let sql = "SELECT coalesce((SELECT n FROM state_counts WHERE state = ?1), 0)";
        let Whole(count) = view
            .conn
            .prepare_cached(sql)?
            .query_row([state.as_str()], |row| row.get(0))?;
        by_state.push((state, count));
        if count > 0 && !state.is_final() {
            let sql = "SELECT created_ms FROM payments WHERE state = ?1 ORDER BY number LIMIT 1";
            let oldest: i64 = view
                .conn
                .prepare_cached(sql)?
                .query_row([state.as_str()], |row| row.get(0))?;
            oldest_pending =
                Some(oldest_pending.map_or(Millis(oldest), |known| known.min(Millis(oldest))));
        }
    }
    let open = "SELECT count(*) FROM slots WHERE resolved_ledger IS NULL";
    let accepted = "SELECT coalesce(sum(drops), 0) FROM payments WHERE state IN ('ACCEPTED', 'AWAITING_APPROVAL')";
    let Whole(accepted) = view
        .conn
        .prepare_cached(accepted)?
        .query_row([], |row| row.get(0))?;
    let day = day::sum(view, None, now.minus(DAY))?;
    Ok(Summary {
        by_state,
        pending: counts::pending(view.conn)?,
        oldest_pending,
        day_used: day.drops(),
        at_large_count: view
            .conn
            .prepare_cached(open)?
            .query_row([], |row| row.get::<_, Whole>(0))?
            .0,
        accepted: Drops::new(accepted).unwrap_or(Drops::MAX),
        assets: assets(view, now)?,
        fees_hour: fees::budget(view, now)?,
        book: books::read(view.conn)?,
        announced: announce::awaited(view.conn)?,
        pauses: pause::all(view.conn)?,
    })
}

fn assets(view: View<'_>, now: Millis) -> Result<Vec<AssetSummary>, StoreError> {
    let all = view.limits();
    let limits = &all.assets;
    if limits.is_empty() {
        return Ok(Vec::new());
    }
    let sql = "SELECT asset, value, send_max FROM payments \
               WHERE state IN ('ACCEPTED', 'AWAITING_APPROVAL') AND asset IS NOT NULL";
    let mut statement = view.conn.prepare_cached(sql)?;
    let mut rows = statement.query([])?;
    let mut accepted: BTreeMap<AssetBytes, IssuedValue> = BTreeMap::new();
    while let Some(row) = rows.next()? {
        let value: ValueBytes = row.get(1)?;
        let takes = amounts::takes(value, row.get(2)?)?;
        let sum = accepted.entry(row.get(0)?).or_default();
        *sum = sum.checked_add_up(takes).unwrap_or(IssuedValue::MAX);
    }
    let one = |limits: &AssetLimits| {
        let day = day::sum(view, Some(limits.asset), now.minus(DAY))?;
        let accepted = accepted.get(&amounts::asset_column(limits.asset)).copied();
        Ok(AssetSummary {
            asset: limits.asset,
            day_used: limits.shown(day),
            accepted: accepted.unwrap_or_default(),
        })
    };
    limits.iter().map(one).collect()
}

// === for the dispatcher ===

/// ACCEPTED payments. One whose InvoiceID stands on the ledger under other content is never bound, and one that is paused not yet;
/// neither holds up another.
pub(super) fn waiting(view: View<'_>, limit: usize) -> Result<Vec<Record>, StoreError> {
    let sql = concat!(
        "SELECT ",
        columns!(),
        " FROM payments WHERE state = 'ACCEPTED' AND cancel IS NULL \
         AND NOT EXISTS (SELECT 1 FROM foreign_transactions f WHERE f.invoice_id = payments.invoice_id) \
         AND NOT EXISTS (SELECT 1 FROM imported i WHERE i.invoice_id = payments.invoice_id) \
         AND NOT EXISTS (SELECT 1 FROM pauses h WHERE (h.client_id IS NULL AND h.destination IS NULL) \
         OR h.client_id = payments.client_id OR h.destination = payments.destination) ORDER BY number LIMIT ?1"
    );
    rows::select(view, sql, &[&i64::try_from(limit).unwrap_or(i64::MAX)])
}

/// Undecided slots, lowest first, with the number of the payment that each is bound to.
pub(super) fn open_slot_rows(view: View<'_>) -> Result<Vec<(Slot, Option<u64>)>, StoreError> {
    let sql =
        "SELECT kind, number, owner FROM slots WHERE resolved_ledger IS NULL ORDER BY kind, number";
    let mut statement = view.conn.prepare_cached(sql)?;
    let mut rows = statement.query([])?;
    let mut slots = Vec::new();
    while let Some(row) = rows.next()? {
        let owner: Option<Whole> = row.get(2)?;
        slots.push((
            codec::slot(row.get(0)?, row.get(1)?)?,
            owner.map(|owner| owner.0),
        ));
    }
    Ok(slots)
}

pub(super) fn open_slots(view: View<'_>) -> Result<Vec<OpenSlot>, StoreError> {
    let mut slots = Vec::new();
    for (slot, owner) in open_slot_rows(view)? {
        let row = rows::SlotRow {
            owner,
            resolved: false,
            by: None,
        };
        let filler = dispatch::filler(view, slot, &row)?;
        let owner = owner
            .map(|number| rows::by_number(view, number))
            .transpose()?;
        slots.push(OpenSlot {
            slot,
            owner,
            filler,
        });
    }
    Ok(slots)
}

/// The newest versions: among them and those of the open slots is the one with the highest LastLedgerSequence. If it were not, a
/// quarantine would begin for nothing.
const VERSIONS_LOOKED_AT: u32 = 512;

pub(super) fn slot_facts(view: View<'_>) -> Result<StoreSlots, StoreError> {
    let sql = "SELECT max(number) FROM slots WHERE account = ?1 AND kind = ?2";
    let (kind, _) = codec::slot_columns(Slot::Sequence(0));
    let account = view.identity.wallet.account;
    let values: [&dyn ToSql; 2] = [account.as_bytes(), &kind];
    let highest_bound = view
        .conn
        .prepare_cached(sql)?
        .query_row(values, |row| row.get(0))?;
    // CROSS JOIN keeps SQLite to the order of the tables: the few open slots first, never all versions there are.
    let sql = "SELECT coalesce(max(last_ledger), 0) FROM (\
               SELECT * FROM (SELECT last_ledger FROM versions WHERE account = ?1 AND slot_kind = ?2 \
               ORDER BY slot_number DESC, n DESC LIMIT ?3) \
               UNION ALL SELECT v.last_ledger FROM slots s CROSS JOIN versions v \
               ON v.account = s.account AND v.slot_kind = s.kind AND v.slot_number = s.number \
               WHERE s.resolved_ledger IS NULL)";
    let values: [&dyn ToSql; 3] = [account.as_bytes(), &kind, &VERSIONS_LOOKED_AT];
    let highest_last_ledger: u32 = view
        .conn
        .prepare_cached(sql)?
        .query_row(values, |row| row.get(0))?;
    let open = open_slot_rows(view)?;
    let sequence = |(slot, _): &(Slot, Option<u64>)| match slot {
        Slot::Sequence(number) => Some(*number),
        Slot::Ticket(_) => None,
    };
    Ok(StoreSlots {
        highest_bound,
        highest_last_ledger: LedgerIndex(highest_last_ledger),
        open_sorted: open.iter().filter_map(sequence).collect(),
    })
}

/// Payments that are bound to no slot and whose deadline is `index` or before.
pub(super) fn past_deadline(
    view: View<'_>,
    index: LedgerIndex,
    limit: u32,
) -> Result<Vec<Record>, StoreError> {
    let sql = concat!(
        "SELECT ",
        columns!(),
        " FROM payments INDEXED BY payments_deadline \
         WHERE live = 1 AND deadline IS NOT NULL AND deadline <= ?1 \
         AND state IN ('ACCEPTED', 'AWAITING_APPROVAL') ORDER BY deadline LIMIT ?2"
    );
    rows::select(view, sql, &[&index.0, &limit])
}

// === pages ===

pub(super) fn list(view: View<'_>, query: &ListQuery) -> Result<ListPage, StoreError> {
    let limit = if query.limit == 0 {
        PAGE_DEFAULT
    } else {
        query.limit.min(PAGE_MAX)
    };
    let below = match &query.token {
        Some(token) => read_token(view, query, token)?,
        None => i64::MAX,
    };
    // One more than the page tells whether there is a next one.
    let wanted = i64::try_from(limit + 1).expect("a page is small");
    let from = query.from.map_or(i64::MIN, |from| from.0);
    let before = query.before.map_or(i64::MAX, |before| before.0);
    let mut records = Vec::new();
    if query.client.is_none() && query.states.is_empty() {
        let sql = concat!(
            "SELECT ",
            columns!(),
            " FROM payments WHERE number < ?1 AND created_ms >= ?2 AND created_ms < ?3 ORDER BY number DESC LIMIT ?4"
        );
        records = rows::select(view, sql, &[&below, &from, &before, &wanted])?;
    }
    // With a filter, each state by itself has an index in the page's order; the pages of all are merged.
    let states = match (query.states.is_empty(), &query.client) {
        (true, Some(_)) => &StateName::ALL[..],
        _ => query.states.as_slice(),
    };
    for (at, state) in states.iter().enumerate() {
        if !states[..at].contains(state) {
            records.extend(of_state(
                view,
                query,
                *state,
                [below, from, before, wanted],
            )?);
        }
    }
    records.sort_by_key(|record| std::cmp::Reverse(record.number));
    let more = records.len() > limit;
    records.truncate(limit);
    let next = records
        .last()
        .filter(|_| more)
        .map(|last| make_token(view, query, last.number));
    Ok(ListPage { records, next })
}

fn of_state(
    view: View<'_>,
    query: &ListQuery,
    state: StateName,
    bounds: [i64; 4],
) -> Result<Vec<Record>, StoreError> {
    let [below, from, before, wanted] = &bounds;
    match &query.client {
        None => {
            let sql = concat!(
                "SELECT ",
                columns!(),
                " FROM payments WHERE state = ?1 AND number < ?2 AND created_ms >= ?3 AND created_ms < ?4 \
                 ORDER BY number DESC LIMIT ?5"
            );
            rows::select(view, sql, &[&state.as_str(), below, from, before, wanted])
        }
        Some(client) => {
            let sql = concat!(
                "SELECT ",
                columns!(),
                " FROM payments WHERE client_id = ?6 AND state = ?1 AND number < ?2 AND created_ms >= ?3 \
                 AND created_ms < ?4 ORDER BY number DESC LIMIT ?5"
            );
            rows::select(
                view,
                sql,
                &[
                    &state.as_str(),
                    below,
                    from,
                    before,
                    wanted,
                    &client.as_str(),
                ],
            )
        }
    }
}

fn make_token(view: View<'_>, query: &ListQuery, number: u64) -> String {
    let mut token = number.to_be_bytes().to_vec();
    token.extend_from_slice(&token_check(view, query, number));
    hex::encode(token)
}

fn read_token(view: View<'_>, query: &ListQuery, token: &str) -> Result<i64, StoreError> {
    let mut bytes = [0; TOKEN_NUMBER_BYTES + TOKEN_CHECK_BYTES];
    hex::decode_to_slice(token, &mut bytes).map_err(|_| StoreError::PageToken)?;
    let (number, check) = bytes.split_at(TOKEN_NUMBER_BYTES);
    let number = <[u8; TOKEN_NUMBER_BYTES]>::try_from(number).map_err(|_| StoreError::PageToken)?;
    let number = u64::from_be_bytes(number);
    if check != token_check(view, query, number).as_slice() {
        return Err(StoreError::PageToken);
    }
    i64::try_from(number).map_err(|_| StoreError::PageToken)
}

/// Ties a token to this store and these filters. It keeps mistakes out, not attackers: a token opens nothing.
fn token_check(view: View<'_>, query: &ListQuery, number: u64) -> [u8; TOKEN_CHECK_BYTES] {
    let mut states: Vec<&str> = query.states.iter().map(|state| state.as_str()).collect();
    states.sort_unstable();
    states.dedup();
    let filters = format!(
        "{:?} {states:?} {:?} {:?}",
        query.client, query.from, query.before
    );
    let whole = xrpl_tx::sha256(&[
        &view.identity.store_id,
        &number.to_be_bytes(),
        filters.as_bytes(),
    ]);
    let mut check = [0; TOKEN_CHECK_BYTES];
    check.copy_from_slice(&whole.as_bytes()[..TOKEN_CHECK_BYTES]);
    check
}
