//! The writer: one thread, one connection, many jobs to a commit.
//!
//! Owns: when a transaction begins and ends, and what is answered when one fails. May not: know what a job does.
//!
//! A job that fails is rolled back alone, and every answer waits for the commit. A savepoint for each job would do it, but it
//! copies every page that the job touches, and jobs hardly ever fail after they have written something. So a batch runs
//! without; only if a job fails and leaves something behind, all of the transaction is rolled back, and its jobs are done
//! again, each in a savepoint. Nobody was told anything before.
//!
//! The answers of a batch are handed to the runtime in one piece, which wakes the callers: waking each from here costs the writer a call of
//! the system for every one. The log is folded into the file beside the writer and between batches (`fold.rs`), never inside a commit that
//! somebody waits for.
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
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot, watch};

use super::counts::Counts;
use super::day::DaySums;
use super::error::StoreError;
use super::fold::Folding;
use super::open::{Identity, Lock, View};

/// Jobs that wait. More callers than that wait to be let in: back-pressure, without a lost request.
const QUEUE_JOBS_MAX: usize = 1024;

/// Jobs in one transaction. 256 rows share one fsync at 65 000 rows/s measured; more only adds to the latency of the first.
const BATCH_JOBS_MAX: usize = 256;

/// Answers that are handed over together. Fewer are told at once.
const ANSWERS_HANDED_OVER: usize = 3;

/// The way to the writer.
pub(super) type Jobs = mpsc::Sender<Message>;

/// Work whose result's type is forgotten, with the way back to its caller.
pub(super) trait Job: Send {
    /// Does the work, a second time if the first one was rolled back.
    fn run(&mut self, scope: &mut Scope<'_>) -> Done;

    /// Tells the caller, once the commit has succeeded or failed.
    fn answer(self: Box<Self>, commit: Result<(), StoreError>);
}

/// What the writer is told.
pub(super) enum Message {
    /// Do this.
    Job(Box<dyn Job>),
    /// End, after everything before.
    Close(oneshot::Sender<()>),
}

/// What becomes of a job's writes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Done {
    /// They are committed with the others'.
    Keep,
    /// The job failed, and nothing of it may stay.
    Undo,
}

/// What a job works with.
pub(super) struct Scope<'a> {
    /// The connection, inside a transaction.
    pub(super) conn: &'a Connection,
    /// Whose store it is.
    pub(super) identity: &'a Identity,
    /// What the rolling day has used, as far as it is known.
    pub(super) day: &'a mut DaySums,
    /// How many payments are in each state.
    pub(super) counts: &'a mut Counts,
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

pub(super) struct Writer {
    conn: Connection,
    identity: Arc<Identity>,
    day: DaySums,
    counts: Counts,
    /// Rings after each commit. A hint: who waits reads the rows.
    committed: watch::Sender<()>,
    /// Why the last one that failed did, for a person. A commit after it does not take that back: who asks has an error in his hands.
    failing: watch::Sender<Option<String>>,
    /// Who folds the log. `None`: SQLite does, in commits.
    folding: Option<Folding>,
    /// Where callers are woken. `None`: here.
    runtime: Option<Handle>,
    // Held until the connection is closed, so that nobody else opens the file before.
    _lock: Lock,
}

/// The ends of a running writer that others hold.
pub(super) struct Started {
    /// The way to it.
    pub(super) jobs: Jobs,
    /// Rings after each commit.
    pub(super) commits: watch::Receiver<()>,
    /// Why the last transaction that failed did.
    pub(super) failure: watch::Receiver<Option<String>>,
}

/// What follows a batch: more, or, after a COMMIT of which nobody knows what it did, the end.
pub(super) enum Batch {
    GoOn,
    End,
}

/// How jobs share a transaction.
#[derive(Clone, Copy)]
enum Care {
    /// Without savepoints.
    Together,
    /// Each in a savepoint of its own.
    EachAlone,
}

/// A transaction cannot be committed.
enum Broken {
    /// A job failed after it had written something, and there is no savepoint: all is to be done again.
    LeftWrites,
    /// SQLite has given it up, or must.
    Lost(StoreError),
}

struct Asked<T, W> {
    work: W,
    result: Result<T, StoreError>,
    tell: oneshot::Sender<Result<T, StoreError>>,
}

impl<T, W> Job for Asked<T, W>
where
    T: Send,
    W: Fn(&mut Scope<'_>) -> Result<T, StoreError> + Send,
{
    fn run(&mut self, scope: &mut Scope<'_>) -> Done {
        self.result = (self.work)(scope);
        match self.result {
            Ok(_) => Done::Keep,
            Err(_) => Done::Undo,
        }
    }

    fn answer(self: Box<Self>, commit: Result<(), StoreError>) {
        // Nobody listens any more: the caller gave up, and the rows say what happened.
        drop(self.tell.send(commit.and(self.result)));
    }
}

/// Wraps `work` and the way back to its caller.
pub(super) fn job<T, W>(work: W) -> (Box<dyn Job>, oneshot::Receiver<Result<T, StoreError>>)
where
    T: Send + 'static,
    W: Fn(&mut Scope<'_>) -> Result<T, StoreError> + Send + 'static,
{
    let (tell, answer) = oneshot::channel();
    let result = Err(StoreError::Unknown);
    (Box::new(Asked { work, result, tell }), answer)
}

/// Starts the thread.
pub(super) fn start(conn: Connection, identity: Arc<Identity>, lock: Lock) -> Started {
    let (jobs, inbox) = mpsc::channel(QUEUE_JOBS_MAX);
    let (mut writer, commits, failure) = Writer::new(conn, identity, lock);
    writer.folding = Folding::start(&writer.conn, &writer.identity.path);
    writer.runtime = Handle::try_current().ok();
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
    /// A writer, what rings after each of its commits, and why the last one that failed did.
    pub(super) fn new(
        conn: Connection,
        identity: Arc<Identity>,
        lock: Lock,
    ) -> (Self, watch::Receiver<()>, watch::Receiver<Option<String>>) {
        let (committed, commits) = watch::channel(());
        let (failing, failure) = watch::channel(None);
        let writer = Self {
            conn,
            identity,
            day: DaySums::default(),
            counts: Counts::default(),
            committed,
            failing,
            folding: None,
            runtime: None,
            _lock: lock,
        };
        (writer, commits, failure)
    }

    /// Reads one snapshot on the writer's connection.
    pub(super) fn read<T>(
        &self,
        work: impl FnOnce(View<'_>) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let snapshot = self.conn.unchecked_transaction()?;
        let result = work(View {
            conn: &self.conn,
            identity: &self.identity,
        });
        snapshot.finish()?;
        result
    }

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
            if let Some(folding) = &mut self.folding {
                folding.after_commit(&self.conn);
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
    pub(super) fn commit(&mut self, batch: &mut Vec<Box<dyn Job>>) -> Batch {
        let mut care = Care::Together;
        while !batch.is_empty() {
            if let Err(error) = self.statement("BEGIN IMMEDIATE") {
                // The jobs are dropped, which their callers read as Unknown.
                tracing::error!(%error, "the store cannot begin a transaction");
                self.failing.send_replace(Some(error.to_string()));
                batch.clear();
                return Batch::GoOn;
            }
            let before = (self.day.clone(), self.counts);
            let (tried, outcome) = self.run_all(batch, care);
            let outcome = match outcome {
                Ok(()) => self.end_transaction(),
                Err(Broken::LeftWrites) => match self.statement("ROLLBACK") {
                    Ok(()) => {
                        (self.day, self.counts) = before;
                        care = Care::EachAlone;
                        continue;
                    }
                    Err(error) => Err(self.give_up(StoreError::from(error))),
                },
                Err(Broken::Lost(error)) => Err(self.give_up(error)),
            };
            let rest = batch.split_off(tried);
            let done = std::mem::replace(batch, rest);
            match outcome {
                Ok(()) => {
                    self.answer(done);
                    self.committed.send_replace(());
                }
                Err((told, end)) => {
                    (self.day, self.counts) = (DaySums::default(), Counts::default());
                    done.into_iter()
                        .for_each(|job| job.answer(Err(told.clone())));
                    if matches!(end, Batch::End) {
                        return Batch::End;
                    }
                }
            }
        }
        Batch::GoOn
    }

    /// Runs jobs until the transaction is of no more use, and tells how many were run.
    fn run_all(&mut self, jobs: &mut [Box<dyn Job>], care: Care) -> (usize, Result<(), Broken>) {
        for (at, job) in jobs.iter_mut().enumerate() {
            let result = match care {
                Care::Together => self.run_one(job.as_mut()),
                Care::EachAlone => self.run_alone(job.as_mut()),
            };
            if result.is_err() {
                return (at + 1, result);
            }
        }
        (jobs.len(), Ok(()))
    }

    fn run_one(&mut self, job: &mut dyn Job) -> Result<(), Broken> {
        let before = (self.day.clone(), self.counts);
        let written = self.conn.total_changes();
        let done = self.work(job);
        if self.conn.is_autocommit() {
            return Err(Broken::Lost(StoreError::Full));
        }
        if done == Done::Undo {
            (self.day, self.counts) = before;
            if self.conn.total_changes() != written {
                return Err(Broken::LeftWrites);
            }
        }
        Ok(())
    }

    /// The same in a savepoint, in which a job that fails leaves nothing.
    fn run_alone(&mut self, job: &mut dyn Job) -> Result<(), Broken> {
        let before = (self.day.clone(), self.counts);
        let opened = self.statement("SAVEPOINT job");
        let done = self.work(job);
        let closed = opened.and_then(|()| {
            if done == Done::Undo {
                (self.day, self.counts) = before;
                // SQLite may have given up the whole transaction, and the savepoint with it.
                self.statement("ROLLBACK TO job")?;
            }
            self.statement("RELEASE job")
        });
        match closed {
            Ok(()) if !self.conn.is_autocommit() => Ok(()),
            Ok(()) => Err(Broken::Lost(StoreError::Full)),
            Err(error) => Err(Broken::Lost(StoreError::from(error))),
        }
    }

    fn work(&mut self, job: &mut dyn Job) -> Done {
        job.run(&mut Scope {
            conn: &self.conn,
            identity: &self.identity,
            day: &mut self.day,
            counts: &mut self.counts,
        })
    }

    fn end_transaction(&mut self) -> Result<(), (StoreError, Batch)> {
        if let Err(error) = self.counts.write(&self.conn) {
            return Err(self.give_up(StoreError::from(error)));
        }
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

    /// Tells the callers that their jobs are committed.
    fn answer(&self, done: Vec<Box<dyn Job>>) {
        let tell = |done: Vec<Box<dyn Job>>| done.into_iter().for_each(|job| job.answer(Ok(())));
        match &self.runtime {
            Some(runtime) if done.len() >= ANSWERS_HANDED_OVER => {
                // A runtime that has ended drops them, and with it their callers are gone.
                drop(runtime.spawn(async move { tell(done) }));
            }
            _ => tell(done),
        }
    }

    fn fold_log(&mut self) {
        // Its connection is closed before this one, so that nobody has the file open when the lock goes.
        self.folding = None;
        // The log is as durable as the file; folding it in only saves the next start some reading.
        if let Err(error) = self
            .conn
            .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
        {
            tracing::warn!(%error, "the store's log stays beside its file");
        }
    }
}
