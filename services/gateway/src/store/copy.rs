//! Copies of the store's file: made while a gateway works, and looked at before one is put back.
//!
//! Owns: what SQLite has to do for both. May not: change the store, nor open a copy for writing; what a start with an older file
//! means is for `engine/start.rs`.

use std::path::{Path, PathBuf};

use paygate_payments::LedgerRef;
use rusqlite::{Connection, OpenFlags, OptionalExtension};
use xrpl_tx::AccountId;

use super::codec::{Whole, ledger_ref};
use super::error::OpenError;
use super::open::{self, Lock};
use super::schema::{APPLICATION_ID, MIGRATIONS};

/// How long a copy waits for a moment at which the file can be read, in milliseconds. The gateway never holds it for long.
const BUSY_TIMEOUT_MS: u64 = 30_000;

/// Complaints of SQLite about one file that are told.
const COMPLAINTS_MAX: u32 = 10;

/// The states in which a payment has ended, as they are stored.
const ENDED: [&str; 5] = ["PAID", "FAILED", "EXPIRED", "CANCELLED", "REJECTED"];

/// What a copy says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CopyFacts {
    /// Identity of the store.
    pub store_id: [u8; 16],
    /// Network of its wallet.
    pub network_id: u32,
    /// Its wallet.
    pub account: AccountId,
    /// SourceTag of its transactions.
    pub source_tag: Option<u32>,
    /// The generation that wrote it.
    pub epoch: u64,
    /// The last ledger that it had reconciled. `None`: none yet.
    pub reconciled: Option<LedgerRef>,
    /// Height of the signer's journal as it knew it.
    pub journal_height: u64,
    /// Version of its schema.
    pub schema: i64,
    /// Payments by state, of those states in which none has ended.
    pub open: Vec<(String, u64)>,
    /// All payments.
    pub payments: u64,
}

/// A copy that cannot be made or used.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    /// There is no store, or it cannot be opened, or SQLite refuses.
    #[error("{path}: {source}")]
    Sqlite {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: rusqlite::Error,
    },
    /// A name that SQLite cannot take.
    #[error("{0} is not UTF-8")]
    Name(PathBuf),
    /// Some other database.
    #[error("{path} is not a store of paygate: application id {found:#x}")]
    NotOurs {
        /// The file.
        path: PathBuf,
        /// Its application id.
        found: i32,
    },
    /// A newer gateway wrote it.
    #[error("{path} has schema {found}, this gateway knows up to {known}: use the newer gateway")]
    NewerSchema {
        /// The file.
        path: PathBuf,
        /// What it says.
        found: i64,
        /// The highest known here.
        known: i64,
    },
    /// SQLite finds damage.
    #[error("{path} is damaged: {}", complaints.join("; "))]
    Damaged {
        /// The file.
        path: PathBuf,
        /// In SQLite's words.
        complaints: Vec<String>,
    },
    /// The file never became a store.
    #[error("{0} has no identity: no gateway has ever finished opening it")]
    Empty(PathBuf),
}

/// The highest schema that this gateway knows.
#[must_use]
pub fn schema_known() -> i64 {
    i64::try_from(MIGRATIONS.len()).expect("there are few migrations")
}

/// Writes what the store holds at one moment into the file `to`, which is there and empty. A gateway may write meanwhile; it waits for
/// nothing, only its log grows a little.
pub fn copy(store: &Path, to: &Path) -> Result<(), CopyError> {
    let sql = |source| sqlite(store, source);
    let name = to.to_str().ok_or_else(|| CopyError::Name(to.to_owned()))?;
    let conn = connect(store)?;
    check_kind(&conn, store)?;
    conn.execute("VACUUM INTO ?1", [name]).map_err(sql)?;
    Ok(())
}

/// What a copy says of itself, after SQLite has looked at every page of it.
pub fn examine(path: &Path) -> Result<CopyFacts, CopyError> {
    let conn = connect(path)?;
    let schema = check_kind(&conn, path)?;
    check_whole(&conn, path)?;
    facts(&conn, path, schema)
}

/// The same without the look at every page. A gateway may have it open.
pub fn peek(path: &Path) -> Result<CopyFacts, CopyError> {
    let conn = connect(path)?;
    let schema = check_kind(&conn, path)?;
    facts(&conn, path, schema)
}

/// Keeps gateways away from the store at `path`, as an open store does. Fails while one has it open.
pub fn hold(path: &Path) -> Result<Lock, OpenError> {
    open::lock(path)
}

/// The stage of the roll-out that a store is in. `None`: none was begun, or it is suspended. A gateway may have it open.
pub fn rollout_stage(path: &Path) -> Result<Option<String>, CopyError> {
    let conn = connect(path)?;
    check_kind(&conn, path)?;
    super::rollout::stage_of(&conn).map_err(|source| sqlite(path, source))
}

fn connect(path: &Path) -> Result<Connection, CopyError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let conn = Connection::open_with_flags(path, flags).map_err(|source| sqlite(path, source))?;
    let set_up = conn
        .busy_timeout(std::time::Duration::from_millis(BUSY_TIMEOUT_MS))
        .and_then(|()| conn.pragma_update(None, "trusted_schema", false));
    set_up.map_err(|source| sqlite(path, source))?;
    Ok(conn)
}

/// The schema's version.
fn check_kind(conn: &Connection, path: &Path) -> Result<i64, CopyError> {
    let sql = |source| sqlite(path, source);
    let found: i32 = conn
        .pragma_query_value(None, "application_id", |row| row.get(0))
        .map_err(sql)?;
    if found != APPLICATION_ID {
        let path = path.to_owned();
        return Err(CopyError::NotOurs { path, found });
    }
    let schema: i64 = conn
        .pragma_query_value(None, "user_version", |row| row.get(0))
        .map_err(sql)?;
    if schema > schema_known() {
        return Err(CopyError::NewerSchema {
            path: path.to_owned(),
            found: schema,
            known: schema_known(),
        });
    }
    Ok(schema)
}

fn check_whole(conn: &Connection, path: &Path) -> Result<(), CopyError> {
    let sql = |source| sqlite(path, source);
    let mut complaints = Vec::new();
    conn.pragma(None, "integrity_check", COMPLAINTS_MAX, |row| {
        complaints.push(row.get::<_, String>(0)?);
        Ok(())
    })
    .map_err(sql)?;
    complaints.retain(|said| said != "ok");
    conn.pragma_query(None, "foreign_key_check", |row| {
        let table: String = row.get(0)?;
        complaints.push(format!("a row of {table} refers to one that is not there"));
        Ok(())
    })
    .map_err(sql)?;
    complaints.truncate(usize::try_from(COMPLAINTS_MAX).unwrap_or(usize::MAX));
    match complaints.is_empty() {
        true => Ok(()),
        false => Err(CopyError::Damaged {
            path: path.to_owned(),
            complaints,
        }),
    }
}

fn facts(conn: &Connection, path: &Path, schema: i64) -> Result<CopyFacts, CopyError> {
    let sql = |source| sqlite(path, source);
    let states = "SELECT state, n FROM state_counts WHERE n > 0 ORDER BY state";
    let mut statement = conn.prepare(states).map_err(sql)?;
    let counted: Vec<(String, u64)> = statement
        .query_map([], |row| {
            let Whole(count) = row.get(1)?;
            Ok((row.get(0)?, count))
        })
        .and_then(Iterator::collect)
        .map_err(sql)?;
    let payments = counted.iter().map(|(_, count)| count).sum();
    let open = counted
        .into_iter()
        .filter(|(state, _)| !ENDED.contains(&state.as_str()))
        .collect();
    let meta = "SELECT store_id, network_id, account, source_tag, epoch, ledger_index, ledger_hash, journal_height FROM meta WHERE id = 1";
    let facts = conn.query_row(meta, [], |row| {
        let (Whole(epoch), Whole(journal_height)) = (row.get(4)?, row.get(7)?);
        let index: Option<u32> = row.get(5)?;
        let hash: Option<[u8; 32]> = row.get(6)?;
        Ok(CopyFacts {
            store_id: row.get(0)?,
            network_id: row.get(1)?,
            account: AccountId::from_bytes(row.get(2)?),
            source_tag: row.get(3)?,
            epoch,
            reconciled: index.zip(hash).map(|(index, hash)| ledger_ref(index, hash)),
            journal_height,
            schema,
            open,
            payments,
        })
    });
    facts
        .optional()
        .map_err(sql)?
        .ok_or_else(|| CopyError::Empty(path.to_owned()))
}

fn sqlite(path: &Path, source: rusqlite::Error) -> CopyError {
    CopyError::Sqlite {
        path: path.to_owned(),
        source,
    }
}
