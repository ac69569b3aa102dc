//! The store without threads: every job runs where it is asked for, on one connection, one transaction each.
//!
//! Owns: when a job may run, which a [`Gate`] says. May not: differ from the threads in what a job does or in what is durable
//! when it is answered: file, schema, transactions and the code in them are the same.
//!
//! For a simulation, which runs everything on one thread and lets a gateway die at any of these points.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::watch;

use super::error::StoreError;
use super::open::View;
use super::writer::{Batch, Job, Writer};

/// Where a job is when its [`Gate`] is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Point {
    /// Nothing of the job is stored yet.
    BeforeCommit,
    /// All of it is stored and synced; its caller does not know yet.
    AfterCommit,
    /// Nothing is stored by it: it only reads.
    Read,
}

/// A gate lets a job go on once this resolves. If it never does, the gateway has died there as far as the store is concerned.
pub type Passing = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Who lets jobs go on.
pub trait Gate: fmt::Debug + Send + Sync {
    /// A job is at this point.
    fn pass(&self, point: Point) -> Passing;
}

/// The connection and its gate.
pub(super) struct Inline {
    writer: Mutex<Option<Writer>>,
    gate: Arc<dyn Gate>,
    ended: watch::Sender<bool>,
}

impl fmt::Debug for Inline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inline")
            .field("gate", &self.gate)
            .finish_non_exhaustive()
    }
}

impl Inline {
    pub(super) fn new(writer: Writer, gate: Arc<dyn Gate>) -> Self {
        Self {
            writer: Mutex::new(Some(writer)),
            gate,
            ended: watch::Sender::new(false),
        }
    }

    /// Runs a job and commits it. The job has answered its caller when this ends, or it was dropped, and the store is closed.
    pub(super) async fn write(&self, job: Box<dyn Job>) {
        self.gate.pass(Point::BeforeCommit).await;
        {
            let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
            let Some(open) = writer.as_mut() else { return };
            if matches!(open.commit(&mut vec![job]), Batch::End) {
                *writer = None;
                self.ended.send_replace(true);
            }
        }
        self.gate.pass(Point::AfterCommit).await;
    }

    /// Reads one snapshot.
    pub(super) async fn read<T>(
        &self,
        work: impl FnOnce(View<'_>) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        self.gate.pass(Point::Read).await;
        let writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        let open = writer.as_ref().ok_or(StoreError::Stopped)?;
        open.read(work)
    }

    /// Closes the file.
    pub(super) fn close(&self) {
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        *writer = None;
        self.ended.send_replace(true);
    }

    /// Resolves once the file is closed.
    pub(super) async fn ended(&self) {
        // The sender lives as long as we do.
        let _ = self.ended.subscribe().wait_for(|ended| *ended).await;
    }
}
