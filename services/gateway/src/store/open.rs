//! Opening: one process, the right file, the right schema, the right wallet.
//!
//! Owns: the lock, the pragmas, the migrations and the store's identity. May not: touch a payment.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock, PoisonError, RwLock, RwLockReadGuard};

use paygate_payments::intent::Wallet;
use paygate_payments::limits::Limits;
use paygate_payments::rollout::{Stage, Stages};
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, OptionalExtension, params};
use xrpl_tx::{AccountId, Drops};

use super::codec::Whole;
use super::error::OpenError;
use super::schema::{APPLICATION_ID, MIGRATIONS};
use super::types::StoreOptions;
use crate::chance;

/// Only the gateway's own user reads amounts and destinations.
const FILE_MODE: u32 = 0o600;

/// Statements kept prepared for each connection: all that there are here, with room.
const STATEMENTS_MAX: usize = 128;

/// Page cache of the writer, in KiB: the inner pages of all indexes of a million payments.
const WRITER_CACHE_KIB: i64 = 12 * 1024;

/// Page cache of each reader, in KiB: the inner pages that lookups of payments and their versions go through among a million, and room for
/// leaves to come and go without driving those out.
const READER_CACHE_KIB: i64 = 6 * 1024;

/// Page cache of the connection that folds the log, in KiB: it copies past its cache.
const FOLDER_CACHE_KIB: i64 = 64;

/// How long a statement waits for another process, for example a backup, in milliseconds.
const BUSY_TIMEOUT_MS: u64 = 5000;

/// Pages in the log after which it is folded into the file. A page that many payments touch is copied once each time: folding less
/// often costs less.
pub(super) const LOG_PAGES_FOLDED: u32 = 4000;

/// Bytes that the log keeps after it was folded into the file: as many pages of 4 KiB.
const LOG_BYTES_KEPT: i64 = 16 * 1024 * 1024;

/// Whose store it is, fixed while it is open.
#[derive(Debug)]
pub(super) struct Identity {
    pub(super) path: PathBuf,
    pub(super) store_id: [u8; 16],
    pub(super) wallet: Wallet,
    /// What is let in. Changed by [`super::Store::set_limits`], and by stages of a roll-out.
    limits: RwLock<InForce>,
    /// The stages of the roll-out. Told once, at the start; without them there is none.
    pub(super) rollout: OnceLock<Arc<Stages>>,
    /// What may go to fees within an hour. Told once, at the start; without it there is no limit.
    pub(super) fees_hour: OnceLock<Drops>,
}

/// Limits, and what made them.
#[derive(Debug)]
struct InForce {
    configured: Arc<Limits>,
    stage: Option<Stage>,
    /// Of both the smaller.
    limits: Arc<Limits>,
}

impl InForce {
    fn new(configured: Arc<Limits>, stage: Option<Stage>) -> Self {
        let limits = match &stage {
            None => Arc::clone(&configured),
            Some(stage) => Arc::new(configured.in_stage(stage)),
        };
        Self {
            configured,
            stage,
            limits,
        }
    }
}

impl Identity {
    pub(super) fn fees_hour_max(&self) -> Drops {
        self.fees_hour.get().copied().unwrap_or(Drops::MAX)
    }
}

impl Identity {
    /// Those in force.
    pub(super) fn limits(&self) -> Arc<Limits> {
        Arc::clone(&self.in_force().limits)
    }

    /// Those that the configuration says.
    pub(super) fn configured_limits(&self) -> Arc<Limits> {
        Arc::clone(&self.in_force().configured)
    }

    /// The stage in force.
    pub(super) fn stage(&self) -> Option<Stage> {
        self.in_force().stage.clone()
    }

    /// The configuration says others. The stage stays.
    pub(super) fn set_limits(&self, configured: Arc<Limits>) {
        let mut limits = self.limits.write().unwrap_or_else(PoisonError::into_inner);
        *limits = InForce::new(configured, limits.stage.take());
    }

    /// Another stage begins, or there is none.
    pub(super) fn set_stage(&self, stage: Option<Stage>) {
        let mut limits = self.limits.write().unwrap_or_else(PoisonError::into_inner);
        *limits = InForce::new(Arc::clone(&limits.configured), stage);
    }

    fn in_force(&self) -> RwLockReadGuard<'_, InForce> {
        self.limits.read().unwrap_or_else(PoisonError::into_inner)
    }
}

impl View<'_> {
    /// What is let in now.
    pub(super) fn limits(&self) -> Arc<Limits> {
        self.identity.limits()
    }
}

/// A transaction's view of the store.
#[derive(Clone, Copy)]
pub(super) struct View<'a> {
    /// The connection, inside a transaction: all its queries see one commit.
    pub(super) conn: &'a Connection,
    /// Whose store it is.
    pub(super) identity: &'a Identity,
}

/// Keeps other processes out until it is dropped.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

/// An open store.
pub(super) struct Opened {
    pub(super) writer: Connection,
    pub(super) identity: Identity,
    pub(super) lock: Lock,
}

/// Opens or makes the store.
pub(super) fn open(options: StoreOptions) -> Result<Opened, OpenError> {
    let path = options.path;
    let lock = lock(&path)?;
    let io = |source| OpenError::Io {
        path: path.clone(),
        source,
    };
    // SQLite gives its log and index the mode of the file.
    OpenOptions::new()
        .read(true)
        .append(true)
        .create(true)
        .mode(FILE_MODE)
        .open(&path)
        .map_err(io)?;
    let sql = |source| OpenError::Sqlite {
        path: path.clone(),
        source,
    };
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut conn = Connection::open_with_flags(&path, flags).map_err(sql)?;
    check_kind(&conn, &path)?;
    set_up(&conn, WRITER_CACHE_KIB).map_err(sql)?;
    durable(&conn).map_err(sql)?;
    migrate(&mut conn, &path)?;
    let store_id = identify(&mut conn, &options.wallet, &path)?;
    sync_folder(&path).map_err(io)?;
    let identity = Identity {
        path: path.clone(),
        store_id,
        wallet: options.wallet,
        limits: RwLock::new(InForce::new(Arc::new(options.limits), None)),
        rollout: OnceLock::new(),
        fees_hour: OnceLock::new(),
    };
    Ok(Opened {
        writer: conn,
        identity,
        lock,
    })
}

/// A connection that folds the log into the file and does nothing else.
pub(super) fn folder(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let conn = Connection::open_with_flags(path, flags)?;
    set_up(&conn, FOLDER_CACHE_KIB)?;
    // As careful with syncs as the writer: what leaves the log must be in the file for good.
    durable(&conn)?;
    Ok(conn)
}

/// A connection that cannot write.
pub(super) fn reader(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let conn = Connection::open_with_flags(path, flags)?;
    set_up(&conn, READER_CACHE_KIB)?;
    conn.pragma_update(None, "query_only", true)?;
    Ok(conn)
}

pub(super) fn lock(path: &Path) -> Result<Lock, OpenError> {
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    let path = PathBuf::from(name);
    let opened = OpenOptions::new()
        .read(true)
        .append(true)
        .create(true)
        .mode(FILE_MODE)
        .open(&path);
    let file = opened.map_err(|source| OpenError::Io {
        path: path.clone(),
        source,
    })?;
    match file.try_lock() {
        Ok(()) => {
            // For the one that comes second, so that a person finds the first. The lock itself is the kernel's.
            let _ = file.set_len(0);
            let _ = write!(&file, "{}", std::process::id());
            Ok(Lock { _file: file })
        }
        Err(TryLockError::WouldBlock) => {
            let holder = std::fs::read_to_string(&path).unwrap_or_default();
            Err(OpenError::Locked { path, holder })
        }
        Err(TryLockError::Error(source)) => Err(OpenError::Io { path, source }),
    }
}

/// A file that was just made is there after a power cut only if its folder was synced too.
fn sync_folder(path: &Path) -> io::Result<()> {
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    File::open(folder)?.sync_all()
}

fn check_kind(conn: &Connection, path: &Path) -> Result<(), OpenError> {
    let sql = |source| OpenError::Sqlite {
        path: path.to_owned(),
        source,
    };
    let found: i32 = conn
        .pragma_query_value(None, "application_id", |row| row.get(0))
        .map_err(sql)?;
    let count = "SELECT count(*) FROM sqlite_schema";
    let tables: i64 = conn.query_row(count, [], |row| row.get(0)).map_err(sql)?;
    if found == APPLICATION_ID || (found == 0 && tables == 0) {
        Ok(())
    } else {
        Err(OpenError::NotOurs {
            path: path.to_owned(),
            found,
        })
    }
}

fn set_up(conn: &Connection, cache_kib: i64) -> rusqlite::Result<()> {
    conn.busy_timeout(std::time::Duration::from_millis(BUSY_TIMEOUT_MS))?;
    conn.set_prepared_statement_cache_capacity(STATEMENTS_MAX);
    conn.pragma_update(None, "foreign_keys", true)?;
    conn.pragma_update(None, "trusted_schema", false)?;
    // Plans never depend on bound values. Otherwise SQLite parses a prepared statement anew whenever a value is bound to it that an
    // index on some of the rows could have been chosen by, which is in every look at a payment.
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    // What a statement may have to undo stays in memory: no file of its own, outside of our folder.
    conn.pragma_update(None, "temp_store", "MEMORY")?;
    // Negative: KiB instead of pages.
    conn.pragma_update(None, "cache_size", -cache_kib)
}

fn durable(conn: &Connection) -> rusqlite::Result<()> {
    conn.query_row("PRAGMA journal_mode = WAL", [], |row| {
        row.get::<_, String>(0)
    })?;
    conn.pragma_update(None, "wal_autocheckpoint", LOG_PAGES_FOLDED)?;
    // FULL: the log is synced in each commit, before anybody is answered.
    conn.pragma_update(None, "synchronous", "FULL")?;
    conn.query_row(
        &format!("PRAGMA journal_size_limit = {LOG_BYTES_KEPT}"),
        [],
        |_| Ok(()),
    )
}

fn migrate(conn: &mut Connection, path: &Path) -> Result<(), OpenError> {
    let sql = |source| OpenError::Sqlite {
        path: path.to_owned(),
        source,
    };
    let found: i64 = conn
        .pragma_query_value(None, "user_version", |row| row.get(0))
        .map_err(sql)?;
    let known = i64::try_from(MIGRATIONS.len()).expect("there are few migrations");
    let done = usize::try_from(found)
        .ok()
        .filter(|done| *done <= MIGRATIONS.len());
    let done = done.ok_or(OpenError::NewerSchema { found, known })?;
    for (n, migration) in MIGRATIONS.iter().enumerate().skip(done) {
        let tx = conn.transaction().map_err(sql)?;
        tx.execute_batch(migration).map_err(sql)?;
        tx.pragma_update(None, "application_id", APPLICATION_ID)
            .map_err(sql)?;
        tx.pragma_update(None, "user_version", i64::try_from(n + 1).unwrap_or(known))
            .map_err(sql)?;
        tx.commit().map_err(sql)?;
    }
    if xrpl_tx::mutant!("slot-reused") {
        conn.execute_batch("DROP INDEX IF EXISTS payments_slot")
            .map_err(sql)?;
    }
    Ok(())
}

/// Makes the store's identity, or compares it with what the configuration says.
fn identify(conn: &mut Connection, wallet: &Wallet, path: &Path) -> Result<[u8; 16], OpenError> {
    let sql = |source| OpenError::Sqlite {
        path: path.to_owned(),
        source,
    };
    let tx = conn.transaction().map_err(sql)?;
    let found = tx
        .query_row(
            "SELECT store_id, network_id, account, source_tag FROM meta WHERE id = 1",
            [],
            |row| {
                Ok((
                    row.get::<_, [u8; 16]>(0)?,
                    row.get::<_, u32>(1)?,
                    row.get::<_, [u8; 20]>(2)?,
                    row.get::<_, Option<u32>>(3)?,
                ))
            },
        )
        .optional()
        .map_err(sql)?;
    let store_id = match found {
        None => {
            let mut store_id = [0; 16];
            chance::fill(&mut store_id).map_err(|_| OpenError::NoRandom)?;
            tx.execute(
                "INSERT INTO meta (id, store_id, network_id, account, source_tag) VALUES (1, ?1, ?2, ?3, ?4)",
                params![store_id, wallet.network_id, wallet.account.as_bytes(), wallet.source_tag],
            )
            .map_err(sql)?;
            store_id
        }
        Some((store_id, network_id, account, source_tag)) => {
            let account = AccountId::from_bytes(account);
            if network_id != wallet.network_id || account != wallet.account {
                return Err(OpenError::OtherWallet {
                    have: account,
                    have_network: network_id,
                    want: wallet.account,
                    want_network: wallet.network_id,
                });
            }
            if source_tag != wallet.source_tag {
                let count = "SELECT count(*) FROM slots WHERE resolved_ledger IS NULL";
                let Whole(open) = tx.query_row(count, [], |row| row.get(0)).map_err(sql)?;
                if open > 0 {
                    return Err(OpenError::SourceTag {
                        have: source_tag,
                        want: wallet.source_tag,
                        open,
                    });
                }
                tx.execute(
                    "UPDATE meta SET source_tag = ?1 WHERE id = 1",
                    [wallet.source_tag],
                )
                .map_err(sql)?;
            }
            store_id
        }
    };
    tx.commit().map_err(sql)?;
    Ok(store_id)
}
