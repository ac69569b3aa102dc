//! How the store fails. A variant is what the caller does differently.

use std::io;
use std::path::PathBuf;

use paygate_payments::budget::OverBudget;
use paygate_payments::intent::PaymentKey;
use paygate_payments::step::IllegalEvent;
use xrpl_tx::{AccountId, Hash256, Slot};

/// A call to the store failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// Another gateway took over: stop dispatching. Nothing was stored.
    #[error("the store is at epoch {store}, this gateway at {caller}: another one has taken over")]
    Fenced {
        /// The store's epoch.
        store: u64,
        /// The caller's.
        caller: u64,
    },
    /// The event cannot happen in this state: read the payment again. Nothing was stored.
    #[error("{0}")]
    Illegal(IllegalEvent),
    /// There is no such payment.
    #[error("there is no payment {0}")]
    UnknownPayment(PaymentKey),
    /// The slot has a row already: compute the slots anew. Nothing was stored.
    #[error("slot {0} is taken by another row")]
    SlotTaken(Slot),
    /// The slot, or this version of it, is not one that can be filled or signed so. Nothing was stored.
    #[error("slot {slot} cannot be filled: {why}")]
    NoFiller {
        /// The slot.
        slot: Slot,
        /// Why.
        why: &'static str,
    },
    /// Continuity is in doubt: wait until the quarantine ends. Nothing was stored.
    #[error("in quarantine nothing is bound or filled")]
    Quarantined,
    /// Sending is frozen: wait for a person. Nothing was stored.
    #[error("sending is frozen: nothing is bound or filled")]
    Frozen,
    /// The fees of the last hour leave no room for this version: wait. Nothing was stored.
    #[error("{0}")]
    FeeBudget(OverBudget),
    /// A person awaits a transaction made outside: wait until it came or its time is over. Nothing was stored.
    #[error("transaction {0}, made outside, is awaited: nothing is bound meanwhile")]
    Awaited(Hash256),
    /// A person has paused it: wait until somebody resumes. Nothing was stored.
    #[error("{0}; nothing of it is bound meanwhile")]
    Paused(String),
    /// The ledger holds a transaction with this payment's InvoiceID that no row made: page somebody. Nothing was stored.
    #[error("transaction {tx_hash} on the ledger carries the InvoiceID of payment {key}")]
    OnLedger {
        /// The payment.
        key: PaymentKey,
        /// The transaction.
        tx_hash: Hash256,
    },
    /// What a validated ledger is said to hold does not fit the store: read the ledger again. Nothing was stored.
    #[error("the ledger's story does not fit: {0}")]
    BadLedger(&'static str),
    /// The roll-out is in a stage that the file of stages does not name: put the stage back into the file. Nothing was stored.
    #[error(
        "the roll-out is in stage {0}, which the file of stages (rollout.stages_path) does not name"
    )]
    UnknownStage(String),
    /// The page token was not made by this store for these filters.
    #[error("page token is not one of this store for these filters")]
    PageToken,
    /// The cursor of a watcher was not made by this store, or the store was set back since.
    #[error("cursor is not one of this store: {0}")]
    WatchCursor(&'static str),
    /// The disk is full: refuse new work, page somebody. Nothing was stored.
    #[error("the disk of the store is full")]
    Full,
    /// The disk or the file system failed: page somebody. Nothing was stored.
    #[error("the disk of the store failed: sqlite code {code}")]
    Io {
        /// SQLite's extended code.
        code: i32,
    },
    /// A row or the file is damaged: page somebody, restore. Nothing was stored.
    #[error("the store is damaged: {what}")]
    Corrupt {
        /// What does not decode.
        what: String,
    },
    /// SQLite refused a statement: a bug here. Nothing was stored.
    #[error("sqlite refuses: {0}")]
    Sqlite(String),
    /// COMMIT failed, or the writer died before it answered: it is not known whether this was stored. Read the rows
    /// before anything else; repeating the same call is safe.
    #[error("it is not known whether the store kept this")]
    Unknown,
    /// The store is closed. Nothing was stored.
    #[error("the store is closed")]
    Stopped,
}

/// The store cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process has it open.
    #[error(
        "{path} is locked: another gateway has this store open, process {holder}; exactly one may run on it, and this one ends"
    )]
    Locked {
        /// The lock file.
        path: PathBuf,
        /// What it says of who holds it.
        holder: String,
    },
    /// The file or its folder cannot be used.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// It is a database of something else.
    #[error("{path} is a database, and not one of paygate: application id {found:#x}")]
    NotOurs {
        /// The file.
        path: PathBuf,
        /// Its application id.
        found: i32,
    },
    /// A newer gateway wrote it.
    #[error(
        "the store has schema {found}, this gateway knows up to {known}: use the newer gateway"
    )]
    NewerSchema {
        /// What the file says.
        found: i64,
        /// The highest known here.
        known: i64,
    },
    /// It serves another wallet.
    #[error(
        "the store serves {have} on network {have_network}, the configuration says {want} on network {want_network}"
    )]
    OtherWallet {
        /// The store's account.
        have: AccountId,
        /// The store's network.
        have_network: u32,
        /// The configured account.
        want: AccountId,
        /// The configured network.
        want_network: u32,
    },
    /// The source tag was changed while slots are undecided; their transactions carry the old one.
    #[error(
        "the source tag changed from {have:?} to {want:?} while {open} slots are undecided: change it back and let them end"
    )]
    SourceTag {
        /// The store's.
        have: Option<u32>,
        /// The configured one.
        want: Option<u32>,
        /// Undecided slots.
        open: u64,
    },
    /// SQLite refuses.
    #[error("{path}: {source}")]
    Sqlite {
        /// The file.
        path: PathBuf,
        /// Why.
        source: rusqlite::Error,
    },
    /// A row that is needed at once is damaged.
    #[error("the store is damaged: {what}")]
    Corrupt {
        /// What does not decode.
        what: String,
    },
    /// The store's random id cannot be made.
    #[error("the system gives no random bytes")]
    NoRandom,
}

impl StoreError {
    /// A row that does not decode.
    pub(crate) fn corrupt(what: impl Into<String>) -> Self {
        Self::Corrupt { what: what.into() }
    }
}

impl From<IllegalEvent> for StoreError {
    fn from(illegal: IllegalEvent) -> Self {
        Self::Illegal(illegal)
    }
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        use rusqlite::ErrorCode;
        let Some(inner) = error.sqlite_error() else {
            return match error {
                rusqlite::Error::FromSqlConversionFailure(..)
                | rusqlite::Error::IntegralValueOutOfRange(..)
                | rusqlite::Error::InvalidColumnType(..)
                | rusqlite::Error::Utf8Error(..)
                | rusqlite::Error::QueryReturnedNoRows => Self::Corrupt {
                    what: error.to_string(),
                },
                other => Self::Sqlite(other.to_string()),
            };
        };
        match inner.code {
            ErrorCode::DiskFull => Self::Full,
            ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase => Self::Corrupt {
                what: error.to_string(),
            },
            ErrorCode::SystemIoFailure
            | ErrorCode::CannotOpen
            | ErrorCode::ReadOnly
            | ErrorCode::PermissionDenied
            | ErrorCode::FileLockingProtocolFailed
            | ErrorCode::DatabaseBusy
            | ErrorCode::DatabaseLocked
            | ErrorCode::OutOfMemory => Self::Io {
                code: inner.extended_code,
            },
            _ => Self::Sqlite(error.to_string()),
        }
    }
}
