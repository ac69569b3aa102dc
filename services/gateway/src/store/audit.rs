//! The log of what people do: append-only, and chained by hashes.
//!
//! Owns: the tables `audit`, `audit_head` and `limits_in_force`. May not: change or drop an entry, or be read to decide something. An entry is written
//! in the transaction of what it records, so that there is neither a deed without its entry nor an entry without its deed.
//!
//! Whoever can write to the file can also make the whole chain anew. So each entry's hash goes into the process's log too, and to
//! whoever keeps the head that ListAuditEntries shows; `paygatectl audit verify --head` compares.

use rusqlite::{Connection, OptionalExtension, Row, params};
use xrpl_tx::{Hash256, sha256};

use super::codec::{self, Whole};
use super::error::StoreError;
use super::open::{Identity, View};
use super::people::{Actor, AuditEntry, AuditHead, AuditPage, AuditQuery};
use super::writer::Scope;
use super::{PAGE_DEFAULT, PAGE_MAX};
use crate::clock::Millis;

/// What the chain begins with, before the store's id.
const DOMAIN: &[u8] = b"paygate.audit.v1";

/// What stands in place of an RPC when the limits were changed by reading the configuration anew.
const LIMITS: &str = "configuration reload";

/// The same, when they were changed while the gateway was not running.
const LIMITS_AT_START: &str = "configuration at start";

/// Something that somebody did, or was refused on the ground of the rows.
pub(super) struct Deed<'a> {
    pub(super) by: &'a Actor,
    /// Full name of the RPC.
    pub(super) method: &'static str,
    /// What it was done to.
    pub(super) subject: String,
    pub(super) reason: &'a str,
    pub(super) code: tonic::Code,
}

/// Appends. A log that was damaged is gone on with, so that nobody is kept from pausing: the damage stays visible.
pub(super) fn append(
    scope: &Scope<'_>,
    deed: Deed<'_>,
    at: Millis,
) -> Result<AuditHead, StoreError> {
    let (sequence, previous) = match head(scope.conn)? {
        Some(head) => (head.sequence + 1, head.hash),
        None => (1, genesis(scope.identity)),
    };
    let mut entry = AuditEntry {
        sequence,
        at,
        client: deed.by.client.to_string(),
        credential: deed.by.credential.clone(),
        method: deed.method.to_owned(),
        subject: deed.subject,
        reason: deed.reason.to_owned(),
        code: i32::from(deed.code),
        trace_id: deed.by.trace_id.clone(),
        previous,
        hash: previous,
    };
    entry.hash = entry.chained();
    let sql = "INSERT INTO audit (sequence, at_ms, client_id, credential, method, subject, reason, code, trace_id, previous, hash) \
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)";
    scope.conn.prepare_cached(sql)?.execute(params![
        codec::count(sequence)?,
        at.0,
        entry.client,
        entry.credential,
        entry.method,
        entry.subject,
        entry.reason,
        entry.code,
        entry.trace_id,
        entry.previous.as_bytes(),
        entry.hash.as_bytes(),
    ])?;
    let sql = "INSERT INTO audit_head (id, sequence, hash) VALUES (1, ?1, ?2) \
               ON CONFLICT (id) DO UPDATE SET sequence = excluded.sequence, hash = excluded.hash";
    scope
        .conn
        .prepare_cached(sql)?
        .execute(params![codec::count(sequence)?, entry.hash.as_bytes()])?;
    Ok(AuditHead {
        sequence,
        hash: entry.hash,
    })
}

/// The configuration was read anew, and the limits with it. `in_force` is what the next start compares with.
pub(super) fn limits_changed(
    scope: &Scope<'_>,
    by: &Actor,
    summary: &str,
    in_force: &str,
    at: Millis,
) -> Result<AuditHead, StoreError> {
    keep_limits(scope, in_force)?;
    let deed = Deed {
        by,
        method: LIMITS,
        subject: "limits".to_owned(),
        reason: summary,
        code: tonic::Code::Ok,
    };
    append(scope, deed, at)
}

/// The gateway starts with these limits. An entry tells what differs from those that were in force last, in the words of `told`.
pub(super) fn limits_at_start(
    scope: &Scope<'_>,
    by: &Actor,
    in_force: &str,
    told: fn(&str, &str) -> String,
    at: Millis,
) -> Result<Option<AuditHead>, StoreError> {
    let sql = "SELECT text FROM limits_in_force WHERE id = 1";
    let mut known = scope.conn.prepare_cached(sql)?;
    let known: Option<String> = known.query_row([], |row| row.get(0)).optional()?;
    if known.as_deref() == Some(in_force) {
        return Ok(None);
    }
    keep_limits(scope, in_force)?;
    let Some(known) = known else {
        // Nothing to compare with.
        return Ok(None);
    };
    let deed = Deed {
        by,
        method: LIMITS_AT_START,
        subject: "limits".to_owned(),
        reason: &told(&known, in_force),
        code: tonic::Code::Ok,
    };
    append(scope, deed, at).map(Some)
}

fn keep_limits(scope: &Scope<'_>, in_force: &str) -> Result<(), StoreError> {
    let sql = "INSERT INTO limits_in_force (id, text) VALUES (1, ?1) ON CONFLICT (id) DO UPDATE SET text = excluded.text";
    scope.conn.prepare_cached(sql)?.execute([in_force])?;
    Ok(())
}

/// A page, newest first.
pub(super) fn list(view: View<'_>, query: &AuditQuery) -> Result<AuditPage, StoreError> {
    let limit = match query.limit {
        0 => PAGE_DEFAULT,
        limit => limit.min(PAGE_MAX),
    };
    let below = match &query.token {
        None => i64::MAX,
        Some(token) => read_token(token)?,
    };
    // One more than the page tells whether there is a next one.
    let wanted = i64::try_from(limit + 1).expect("a page is small");
    let sql = "SELECT sequence, at_ms, client_id, credential, method, subject, reason, code, trace_id, previous, hash \
               FROM audit WHERE sequence < ?1 AND (?2 IS NULL OR client_id = ?2) ORDER BY sequence DESC LIMIT ?3";
    let client = query.client.as_ref().map(|client| client.as_str());
    let mut statement = view.conn.prepare_cached(sql)?;
    let mut rows = statement.query(params![below, client, wanted])?;
    let mut entries = Vec::new();
    while let Some(row) = rows.next()? {
        entries.push(entry(row)?);
    }
    let more = entries.len() > limit;
    entries.truncate(limit);
    let next = entries
        .last()
        .filter(|_| more)
        .map(|last| hex::encode(last.sequence.to_be_bytes()));
    Ok(AuditPage {
        entries,
        next,
        head: head(view.conn)?,
    })
}

fn head(conn: &Connection) -> Result<Option<AuditHead>, StoreError> {
    let sql = "SELECT sequence, hash FROM audit_head WHERE id = 1";
    let head = conn
        .prepare_cached(sql)?
        .query_row([], |row| {
            Ok(AuditHead {
                sequence: row.get::<_, Whole>(0)?.0,
                hash: Hash256::from_bytes(row.get(1)?),
            })
        })
        .optional()?;
    Ok(head)
}

fn genesis(identity: &Identity) -> Hash256 {
    sha256(&[DOMAIN, &identity.store_id])
}

fn entry(row: &Row<'_>) -> Result<AuditEntry, StoreError> {
    Ok(AuditEntry {
        sequence: row.get::<_, Whole>(0)?.0,
        at: Millis(row.get(1)?),
        client: row.get(2)?,
        credential: row.get(3)?,
        method: row.get(4)?,
        subject: row.get(5)?,
        reason: row.get(6)?,
        code: row.get(7)?,
        trace_id: row.get(8)?,
        previous: Hash256::from_bytes(row.get(9)?),
        hash: Hash256::from_bytes(row.get(10)?),
    })
}

fn read_token(token: &str) -> Result<i64, StoreError> {
    let mut bytes = [0; 8];
    hex::decode_to_slice(token, &mut bytes).map_err(|_| StoreError::PageToken)?;
    i64::try_from(u64::from_be_bytes(bytes)).map_err(|_| StoreError::PageToken)
}

impl AuditEntry {
    /// The hash that it must have, as the contract describes it.
    #[must_use]
    pub fn chained(&self) -> Hash256 {
        let texts = [
            &self.client,
            &self.credential,
            &self.method,
            &self.subject,
            &self.reason,
            &self.trace_id,
        ];
        let mut body = Vec::new();
        for text in texts {
            // The fields are capped far below; a longer one would be another hash, never another entry's.
            let length = u32::try_from(text.len()).unwrap_or(u32::MAX);
            body.extend_from_slice(&length.to_be_bytes());
            body.extend_from_slice(text.as_bytes());
        }
        sha256(&[
            self.previous.as_bytes(),
            &self.sequence.to_be_bytes(),
            &self.at.0.to_be_bytes(),
            &self.code.to_be_bytes(),
            &body,
        ])
    }
}
