//! Folding the log into the file, beside the writer and between its transactions.
//!
//! Owns: the thread that folds, and when. May not: write a row, or be waited for by a commit.
//!
//! Once the log has grown by enough pages, a thread with a connection of its own copies them into the file and syncs it, while the writer
//! goes on. What was written meanwhile is left over; a log of which nothing is left over begins anew with the next transaction. So the
//! writer folds that rest, which is short, after it has answered a batch. SQLite keeps the order (log synced, pages copied, file synced, and
//! only then the log given up), whoever folds; what fails is tried again with the next pages. Before 3.51.3 SQLite could take pages of a
//! log that had just begun anew for folded when two connections folded at once (its "WAL-reset bug"); with such a one nothing is folded
//! here.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{self, JoinHandle};

use rusqlite::Connection;

use super::open::{self, LOG_PAGES_FOLDED};

/// Pages that a transaction writes beside one for each changed row, about: the newest of each index.
const PAGES_EACH_COMMIT: u64 = 8;

/// Pages left over that the writer folds itself: about a millisecond.
const REST_PAGES_MAX: i64 = 200;

/// Passes of a round. Each copies what was written during the one before, which is less; after the last one the writer folds whatever is
/// left, so that the log does not grow for ever under a load that never pauses.
const PASSES_MAX: u32 = 4;

/// The first SQLite of which two connections may fold at once: 3.51.3.
const SQLITE_MIN: i32 = 3_051_003;

/// The thread, seen from the writer.
pub(super) struct Folding {
    /// Dropped to end the thread.
    ring: Option<SyncSender<()>>,
    thread: Option<JoinHandle<()>>,
    /// A little is left over for the writer.
    rest: Arc<AtomicBool>,
    /// Rows that the connection had changed at the last commit.
    changes: u64,
    /// Pages written since the last round, about.
    pages: u64,
}

/// What a pass did: pages in the log, and how many of them are in the file.
struct Folded {
    log: i64,
    done: i64,
}

impl Folding {
    /// Starts the thread and takes the work from the writer's commits. `None`: it cannot be had, and commits go on doing it.
    pub(super) fn start(writer: &Connection, path: &Path) -> Option<Self> {
        if rusqlite::version_number() < SQLITE_MIN {
            tracing::warn!(
                sqlite = rusqlite::version(),
                "too old to fold its log beside the writer: the store folds it within commits"
            );
            return None;
        }
        match Self::try_start(writer, path) {
            Ok(folding) => Some(folding),
            Err(error) => {
                tracing::warn!(%error, "the store folds its log within commits");
                None
            }
        }
    }

    fn try_start(writer: &Connection, path: &Path) -> rusqlite::Result<Self> {
        let conn = open::folder(path)?;
        writer.pragma_update(None, "wal_autocheckpoint", 0)?;
        // One ring waits while a round runs; more of them would say the same.
        let (ring, rings) = sync_channel(1);
        let rest = Arc::new(AtomicBool::new(false));
        let thread = thread::Builder::new()
            .name("store-folder".to_owned())
            .spawn({
                let rest = Arc::clone(&rest);
                move || run(&conn, &rings, &rest)
            });
        Ok(Self {
            ring: Some(ring),
            thread: Some(thread.expect("a process that cannot start one thread cannot run")),
            rest,
            changes: writer.total_changes(),
            pages: 0,
        })
    }

    /// After a commit whose callers have their answers.
    pub(super) fn after_commit(&mut self, writer: &Connection) {
        let changes = writer.total_changes();
        let rows = changes.saturating_sub(self.changes);
        self.changes = changes;
        self.pages = self.pages.saturating_add(rows + PAGES_EACH_COMMIT);
        if self.pages >= u64::from(LOG_PAGES_FOLDED) {
            self.pages = 0;
            if let Some(ring) = &self.ring {
                // Full: it was rung already.
                let _ = ring.try_send(());
            }
        }
        if self.rest.swap(false, Ordering::Acquire)
            && let Err(error) = fold(writer)
        {
            tracing::warn!(%error, "the rest of the store's log stays in it for now");
        }
    }
}

impl Drop for Folding {
    fn drop(&mut self) {
        self.ring = None;
        if let Some(thread) = self.thread.take() {
            // A panic there has been told by the process's hook; the log is whole without it.
            let _ = thread.join();
        }
    }
}

fn run(conn: &Connection, rings: &Receiver<()>, rest: &AtomicBool) {
    while rings.recv().is_ok() {
        for _ in 0..PASSES_MAX {
            match fold(conn) {
                Ok(Folded { log, done }) if log - done > REST_PAGES_MAX => {}
                Ok(_) => break,
                Err(error) => {
                    tracing::warn!(%error, "the store's log could not be folded into its file, and grows");
                    break;
                }
            }
        }
        rest.store(true, Ordering::Release);
    }
}

/// Copies what no reader still needs in the log. Waits for nobody.
fn fold(conn: &Connection) -> rusqlite::Result<Folded> {
    conn.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |row| {
        Ok(Folded {
            log: row.get(1)?,
            done: row.get(2)?,
        })
    })
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_sqlite_that_is_built_in_may_fold_beside_its_writer() {
        assert!(
            rusqlite::version_number() >= super::SQLITE_MIN,
            "{} is too old",
            rusqlite::version()
        );
    }
}
