//! The writer: one thread, one connection, many jobs to a commit.
//!
//! Owns: when a transaction begins and ends, and what is answered when one fails. May not: know what a job does.
//!
//! Each job runs inside a savepoint of its own: one that fails is rolled back alone. Every answer waits for the commit.
//!
//! # When it fails
//! - A statement fails and SQLite gives up the whole transaction (full disk, disk error): nothing of the batch is stored, and
//!   each job of it is told so. The writer goes on.
//! - COMMIT fails for a full disk: the log lacks its last page, so the transaction is not there; it is rolled back and all
//!   are told [`StoreError::Unknown`], since it costs nothing to be careful. The writer goes on.
//! - COMMIT fails otherwise: the kernel may have kept or dropped any page, and a later fsync that succeeds says nothing
//!   about them. All are told [`StoreError::Unknown`] and the writer ends for good. The process must end too (see
//!   [`super::Store::ended`]); whoever opens the file next reads what the disk has, and rows decide.

use std::sync::Arc;
use std::thread;

use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot, watch};

use super::error::StoreError;
use super::open::{Identity, Lock, View};
use crate::clock::Millis;

/// Jobs that wait. More callers than that wait to be let in: back-pressure, without a lost request.
const QUEUE_JOBS_MAX: usize = 1024;

/// Jobs in one transaction. 256 rows share one fsync at 65 000 rows/s measured; more only adds to the latency of the first.
const BATCH_JOBS_MAX: usize = 256;

/// The way to the writer.
pub(super) type Jobs = mpsc::Sender<Message>;

/// Tells the job's caller, once the commit has succeeded or failed.
type Answer = Box<dyn FnOnce(Result<(), StoreError>) + Send>;

/// Does its work inside a savepoint.
pub(super) type Job = Box<dyn FnOnce(&mut Scope<'_>) -> Done + Send>;

/// What the writer is told.
pub(super) enum Message {
    /// Do this.
    Job(Job),
    /// End, after everything before.
    Close(oneshot::Sender<()>),
}

/// What a job left behind.
pub(super) struct Done {
    keep: bool,
    answer: Answer,
}

/// What a job works with.
pub(super) struct Scope<'a> {
    /// The connection, inside a transaction.
    pub(super) conn: &'a Connection,
    /// Whose store it is.
    pub(super) identity: &'a Identity,
    /// What the rolling day has used, as far as it is known.
    pub(super) day: &'a mut Option<DayUsed>,
}

impl<'a> Scope<'a> {
    /// What reading needs.
    pub(super) fn view(&self) -> View<'a> {
        View {
            conn: self.conn,
            identity: self.identity,
        }
    }
}

/// The rolling day's sum, carried from job to job so that a busy day costs no scan. Derived from rows, dropped on any doubt.
#[derive(Clone, Copy, Debug)]
pub(super) struct DayUsed {
    /// Rows created from here on are in the sum.
    pub(super) from: Millis,
    /// Their sum, in drops.
    pub(super) drops: u64,
}

struct Writer {
    conn: Connection,
    identity: Arc<Identity>,
    day: Option<DayUsed>,
    /// Rings after each commit. A hint: who waits reads the rows.
    committed: watch::Sender<()>,
    /// Why the last transaction failed, for a person. None: it was committed.
    failing: watch::Sender<Option<String>>,
    // Held until the connection is closed, so that nobody else opens the file before.
    _lock: Lock,
}

/// The ends of a running writer that others hold.
pub(super) struct Started {
    /// The way to it.
    pub(super) jobs: Jobs,
    /// Rings after each commit.
    pub(super) commits: watch::Receiver<()>,
    /// Why the last transaction failed.
    pub(super) failure: watch::Receiver<Option<String>>,
}

/// What became of a batch.
enum Batch {
    GoOn,
    End,
}

/// Wraps `work` and the way back to its caller.
pub(super) fn job<T, W>(work: W) -> (Job, oneshot::Receiver<Result<T, StoreError>>)
where
    T: Send + 'static,
    W: FnOnce(&mut Scope<'_>) -> Result<T, StoreError> + Send + 'static,
{
    let (tell, answer) = oneshot::channel();
    let job: Job = Box::new(move |scope| {
        let result = work(scope);
        let keep = result.is_ok();
        // Nobody listens any more: the caller gave up, and the rows say what happened.
        let answer: Answer = Box::new(move |commit| drop(tell.send(commit.and(result))));
        Done { keep, answer }
    });
    (job, answer)
}

/// Starts the thread.
pub(super) fn start(conn: Connection, identity: Arc<Identity>, lock: Lock) -> Started {
    let (jobs, inbox) = mpsc::channel(QUEUE_JOBS_MAX);
    let (committed, commits) = watch::channel(());
    let (failing, failure) = watch::channel(None);
    let writer = Writer {
        conn,
        identity,
        day: None,
        committed,
        failing,
        _lock: lock,
    };
    thread::Builder::new()
        .name("store-writer".to_owned())
        .spawn(move || writer.run(inbox))
        .expect("a process that cannot start one thread cannot run");
    Started {
        jobs,
        commits,
        failure,
    }
}

impl Writer {
    fn run(mut self, mut inbox: mpsc::Receiver<Message>) {
        let mut batch = Vec::with_capacity(BATCH_JOBS_MAX);
        while let Some(first) = inbox.blocking_recv() {
            let mut closing = None;
            let mut next = Some(first);
            while let Some(message) = next {
                match message {
                    Message::Job(job) => batch.push(job),
                    Message::Close(done) => {
                        closing = Some(done);
                        break;
                    }
                }
                next = if batch.len() < BATCH_JOBS_MAX {
                    inbox.try_recv().ok()
                } else {
                    None
                };
            }
            if matches!(self.commit(&mut batch), Batch::End) {
                return;
            }
            if let Some(done) = closing {
                self.fold_log();
                drop(self);
                drop(inbox);
                // The caller may have gone; the store is closed all the same.
                let _ = done.send(());
                return;
            }
        }
        self.fold_log();
    }

    /// Runs the jobs in as few transactions as can be, normally one.
    fn commit(&mut self, batch: &mut Vec<Job>) -> Batch {
        let mut jobs = batch.drain(..).peekable();
        while jobs.peek().is_some() {
            if let Err(error) = self.conn.execute_batch("BEGIN IMMEDIATE") {
                // The jobs are dropped, which their callers read as Unknown.
                tracing::error!(%error, "the store cannot begin a transaction");
                self.failing.send_replace(Some(error.to_string()));
                return Batch::GoOn;
            }
            let mut answers = Vec::new();
            let mut outcome = Ok(());
            for job in jobs.by_ref() {
                let (answer, result) = self.run_one(job);
                answers.push(answer);
                outcome = result;
                if outcome.is_err() {
                    break;
                }
            }
            match outcome.and_then(|()| self.end_transaction()) {
                Ok(()) => {
                    answers.into_iter().for_each(|answer| answer(Ok(())));
                    self.committed.send_replace(());
                    self.failing
                        .send_if_modified(|failing| failing.take().is_some());
                }
                Err((told, end)) => {
                    self.day = None;
                    answers
                        .into_iter()
                        .for_each(|answer| answer(Err(told.clone())));
                    if matches!(end, Batch::End) {
                        return Batch::End;
                    }
                }
            }
        }
        Batch::GoOn
    }

    /// Runs a job in its savepoint. An error says that the whole transaction is gone.
    fn run_one(&mut self, job: Job) -> (Answer, Result<(), (StoreError, Batch)>) {
        let before = self.day;
        let opened = self.statement("SAVEPOINT job");
        let done = job(&mut Scope {
            conn: &self.conn,
            identity: &self.identity,
            day: &mut self.day,
        });
        let closed = opened.and_then(|()| {
            if !done.keep {
                self.day = before;
                // SQLite may have given up the whole transaction, and the savepoint with it.
                self.statement("ROLLBACK TO job")?;
            }
            self.statement("RELEASE job")
        });
        let lost = match closed {
            Ok(()) if !self.conn.is_autocommit() => Ok(()),
            Ok(()) => Err(StoreError::Full),
            Err(error) => Err(StoreError::from(error)),
        };
        (done.answer, lost.map_err(|error| self.give_up(error)))
    }

    fn end_transaction(&self) -> Result<(), (StoreError, Batch)> {
        let Err(error) = self.statement("COMMIT") else {
            return Ok(());
        };
        let full = error.sqlite_error_code() == Some(rusqlite::ErrorCode::DiskFull);
        tracing::error!(%error, full, "the store cannot commit");
        self.failing.send_replace(Some(error.to_string()));
        if full && (self.conn.is_autocommit() || self.statement("ROLLBACK").is_ok()) {
            Err((StoreError::Unknown, Batch::GoOn))
        } else {
            Err((StoreError::Unknown, Batch::End))
        }
    }

    /// The transaction cannot be completed; nothing of it may stay.
    fn give_up(&self, error: StoreError) -> (StoreError, Batch) {
        tracing::error!(%error, "the store gave up a transaction; nothing of it is stored");
        self.failing.send_replace(Some(error.to_string()));
        if self.conn.is_autocommit() || self.statement("ROLLBACK").is_ok() {
            (error, Batch::GoOn)
        } else {
            (StoreError::Unknown, Batch::End)
        }
    }

    fn statement(&self, sql: &'static str) -> rusqlite::Result<()> {
        self.conn.prepare_cached(sql)?.execute([]).map(drop)
    }

    fn fold_log(&self) {
        // The log is as durable as the file; folding it in only saves the next start some reading.
        if let Err(error) = self
            .conn
            .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
        {
            tracing::warn!(%error, "the store's log stays beside its file");
        }
    }
}
