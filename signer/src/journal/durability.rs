//! Group commit: makes appended frames durable, many at once, and is the only maker of [`Recorded`].
//!
//! There is no writer thread. Whoever waits for his frame and gets the lock syncs for everybody who appended before; the
//! others find their frames durable when they get the lock. One failed sync ends it for good: after an error the kernel
//! may have dropped the pages, and a second sync that succeeds proves nothing.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::disk::DiskFile;
use super::file::Position;
use super::head::{Head, HeadFile};
use super::record::Record;

/// The journal cannot be written. The process must end: what is on the disk is known only after a restart.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The disk failed now.
    #[error("cannot {what} the journal: {source}")]
    Io {
        /// What was tried.
        what: &'static str,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// It failed before; nothing is written any more.
    #[error("the journal failed before and takes nothing until a restart")]
    Failed,
    /// A frame that was written cannot be read back.
    #[error("frame at offset {offset} of the journal cannot be read back: {source}")]
    Damaged {
        /// Where it begins.
        offset: u64,
        /// What is wrong.
        #[source]
        source: super::frame::FrameError,
    },
    /// More frames wait for a commit than one commit takes.
    #[error("{0} frames wait for their commit")]
    Backlog(u64),
    /// The file has no room for more frames that the index could address.
    #[error("the journal is full at {0} bytes")]
    Full(u64),
}

/// A record that survives a crash: its frame is synced and `HEAD` reaches it. The only way to its signed bytes.
#[derive(Debug)]
#[must_use = "only what is recorded may be handed out"]
pub struct Recorded {
    record: Record,
    head: Head,
}

/// Makes frames durable. Shared by everybody who waits.
#[derive(Debug)]
pub struct Durability {
    file: Arc<dyn DiskFile>,
    /// The end of what was appended.
    written: Mutex<Head>,
    /// None after a failure.
    durable: Mutex<Option<Durable>>,
    /// Height of `durable`, readable while a commit holds its lock.
    durable_height: AtomicU64,
}

/// The end of what survives, and the file that says so.
#[derive(Debug)]
struct Durable {
    head: Head,
    file: HeadFile,
}

impl Durability {
    pub(super) fn new(file: Arc<dyn DiskFile>, head_file: HeadFile, head: Head) -> Durability {
        Durability {
            file,
            written: Mutex::new(head),
            durable: Mutex::new(Some(Durable {
                head,
                file: head_file,
            })),
            durable_height: AtomicU64::new(head.height),
        }
    }

    pub(super) fn durable_height(&self) -> u64 {
        self.durable_height.load(Ordering::Acquire)
    }

    pub(super) fn appended(&self, head: Head) {
        // A poisoned lock is no reason to go on with old values: the panic hook of the process has ended it anyway.
        *self.written.lock().unwrap_or_else(PoisonError::into_inner) = head;
    }

    pub(super) fn fail(&self) {
        *self.durable.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// The end of what survives a crash.
    pub fn head(&self) -> Result<Head, JournalError> {
        self.durable
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .as_ref()
            .map(|durable| durable.head)
            .ok_or(JournalError::Failed)
    }

    /// Returns once the record's frame is durable and `HEAD` reaches it.
    pub fn commit(&self, at: Position, record: Record) -> Result<Recorded, JournalError> {
        let mut guard = self.durable.lock().unwrap_or_else(PoisonError::into_inner);
        let durable = guard.as_mut().ok_or(JournalError::Failed)?;
        if durable.head.height < at.height {
            let target = *self.written.lock().unwrap_or_else(PoisonError::into_inner);
            if let Err(error) = self.sync(&mut durable.file, &target) {
                *guard = None;
                return Err(error);
            }
            durable.head = target;
            self.durable_height.store(target.height, Ordering::Release);
        }
        let head = durable.head;
        Ok(Recorded { record, head })
    }

    /// The frames first: a `HEAD` that survives without them would be a journal that refuses to open.
    fn sync(&self, head_file: &mut HeadFile, target: &Head) -> Result<(), JournalError> {
        if !xrpl_tx::mutant!("journal-not-synced") {
            self.file.sync_data().map_err(|source| JournalError::Io {
                what: "sync",
                source,
            })?;
        }
        head_file
            .advance(target)
            .map_err(|source| JournalError::Io {
                what: "move HEAD of",
                source,
            })
    }
}

impl Recorded {
    /// The journal's end at or after the record's frame.
    pub fn head(&self) -> Head {
        self.head
    }

    /// What was recorded.
    pub fn record(&self) -> &Record {
        &self.record
    }
}
