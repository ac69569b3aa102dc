//! Watching: the events of payments by range, in the order of commits.
//!
//! Owns: what a cursor is, and that nothing behind it is passed over. May not: queue, push or remember a watcher; whoever
//! follows asks again from where he was.
//!
//! One writer gives out the events' numbers inside its transactions, and a rolled back savepoint takes its numbers back. So a
//! reader's snapshot holds every event up to the newest in it, and a number that is read is never followed by a smaller one.

use std::collections::HashMap;

use rusqlite::{OptionalExtension, Row};
use xrpl_tx::Hash256;

use super::codec::{self, Whole};
use super::error::StoreError;
use super::open::View;
use super::read::state_of;
use super::rows;
use super::timeline;
use super::types::{Change, Changes, Record, WatchFilter};
use crate::clock::Millis;

/// Changes of one answer. A watcher holds no more than that, at most some 5 KiB each.
const CHANGES_MAX: usize = 64;

/// Events that one answer looks at: others' and those of no payment are cheap to pass, but not for ever under one reader.
const EVENTS_MAX: i64 = 1024;

/// The cursor's first byte. A later form of cursors gets another one.
const CURSOR_VERSION: u8 = 1;
const CURSOR_BYTES: usize = 1 + 8 + MARK_BYTES;

/// Bytes of the check that ties a cursor to the store and to the very event that it names.
const MARK_BYTES: usize = 8;

/// A place behind an event, or before all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    sequence: u64,
    mark: [u8; MARK_BYTES],
}

/// The columns of an event in the order in which [`event`] reads them.
const EVENT: &str = "SELECT e.sequence, e.at_ms, e.stage, e.body, e.state, e.payment, p.client_id, p.payment_id \
                     FROM events e LEFT JOIN payments p ON p.number = e.payment";

struct Event {
    sequence: u64,
    at: Millis,
    stage: i32,
    body: Vec<u8>,
    state: Option<paygate_payments::payment::StateName>,
    payment: Option<u64>,
    client: Option<String>,
    payment_id: Option<String>,
}

impl Position {
    /// Before the first event.
    pub const BEGINNING: Self = Self {
        sequence: 0,
        mark: [0; MARK_BYTES],
    };

    /// What a caller keeps of it.
    #[must_use]
    pub fn cursor(self) -> String {
        let mut bytes = vec![CURSOR_VERSION];
        bytes.extend_from_slice(&self.sequence.to_be_bytes());
        bytes.extend_from_slice(&self.mark);
        hex::encode(bytes)
    }
}

/// The place that `cursor` names, if the event before it is still the one that it was.
pub(super) fn read_cursor(view: View<'_>, cursor: &str) -> Result<Position, StoreError> {
    let mut bytes = [0; CURSOR_BYTES];
    hex::decode_to_slice(cursor, &mut bytes)
        .map_err(|_| StoreError::WatchCursor("it is not written like one"))?;
    if bytes[0] != CURSOR_VERSION {
        return Err(StoreError::WatchCursor(
            "it is of a version that is not known here",
        ));
    }
    let (number, mark) = bytes[1..].split_at(8);
    let position = Position {
        sequence: u64::from_be_bytes(number.try_into().expect("split off eight bytes")),
        mark: mark.try_into().expect("the rest has as many"),
    };
    if position == Position::BEGINNING {
        return Ok(position);
    }
    let sql = format!("{EVENT} WHERE e.sequence = ?1");
    let sequence = i64::try_from(position.sequence)
        .map_err(|_| StoreError::WatchCursor("no store has so many events"))?;
    let found = view
        .conn
        .prepare_cached(&sql)?
        .query_row([sequence], |row| Ok(event(row)))
        .optional()?
        .transpose()?;
    match found {
        Some(event) if event.position(view) == position => Ok(position),
        _ => Err(StoreError::WatchCursor(
            "it is of another store, or this one was restored from an older copy",
        )),
    }
}

pub(super) fn newest(view: View<'_>) -> Result<Position, StoreError> {
    let sql = format!("{EVENT} ORDER BY e.sequence DESC LIMIT 1");
    let found = view
        .conn
        .prepare_cached(&sql)?
        .query_row([], |row| Ok(event(row)))
        .optional()?
        .transpose()?;
    Ok(found.map_or(Position::BEGINNING, |event| event.position(view)))
}

pub(super) fn changes(
    view: View<'_>,
    after: Position,
    filter: &WatchFilter,
) -> Result<Changes, StoreError> {
    let sql = format!("{EVENT} WHERE e.sequence > ?1 ORDER BY e.sequence LIMIT ?2");
    let mut statement = view.conn.prepare_cached(&sql)?;
    let passed = after.sequence + u64::from(xrpl_tx::mutant!("event-passed-over"));
    let mut found = statement.query([codec::count(passed)?, EVENTS_MAX])?;
    let mut records: HashMap<u64, Record> = HashMap::new();
    let mut changes = Vec::new();
    let mut position = after;
    let mut seen = 0;
    while changes.len() < CHANGES_MAX {
        let Some(row) = found.next()? else {
            let at_end = seen < EVENTS_MAX;
            return Ok(Changes {
                changes,
                position,
                at_end,
            });
        };
        seen += 1;
        let event = event(row)?;
        position = event.position(view);
        let Some(number) = event.payment.filter(|_| event.is_wanted(filter)) else {
            continue;
        };
        let record = match records.get(&number) {
            Some(record) => record.clone(),
            None => {
                let record = rows::by_number(view, number)?;
                records.insert(number, record.clone());
                record
            }
        };
        changes.push(Change {
            position,
            row: timeline::row(
                event.sequence,
                event.at,
                event.stage,
                event.state,
                &event.body,
            )?,
            record,
        });
    }
    Ok(Changes {
        changes,
        position,
        at_end: false,
    })
}

fn event(row: &Row<'_>) -> Result<Event, StoreError> {
    let payment: Option<Whole> = row.get(5)?;
    Ok(Event {
        sequence: row.get::<_, Whole>(0)?.0,
        at: Millis(row.get(1)?),
        stage: row.get(2)?,
        body: row.get(3)?,
        state: state_of(row, 4)?,
        payment: payment.map(|payment| payment.0),
        client: row.get(6)?,
        payment_id: row.get(7)?,
    })
}

impl Event {
    /// Notes of what was tried change nothing of the payment and have no state.
    fn is_wanted(&self, filter: &WatchFilter) -> bool {
        let client = filter
            .client
            .as_ref()
            .is_none_or(|client| self.client.as_deref() == Some(client.as_str()));
        let state = self
            .state
            .is_some_and(|state| filter.states.is_empty() || filter.states.contains(&state));
        client && state
    }

    fn position(&self, view: View<'_>) -> Position {
        let whole: Hash256 = xrpl_tx::sha256(&[
            b"paygate/cursor/v1",
            &view.identity.store_id,
            &self.sequence.to_be_bytes(),
            &self.payment.unwrap_or(0).to_be_bytes(),
            self.client.as_deref().unwrap_or_default().as_bytes(),
            b"/",
            self.payment_id.as_deref().unwrap_or_default().as_bytes(),
            &self.at.0.to_be_bytes(),
            &self.stage.to_be_bytes(),
            &self.body,
        ]);
        let mut mark = [0; MARK_BYTES];
        mark.copy_from_slice(&whole.as_bytes()[..MARK_BYTES]);
        Position {
            sequence: self.sequence,
            mark,
        }
    }
}
