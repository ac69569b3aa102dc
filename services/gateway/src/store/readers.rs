//! Read-only connections, used off the async threads.
//!
//! Owns: how many there are, and that each job reads one snapshot. May not: write; their connections refuse it.

use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::Connection;
use tokio::sync::Semaphore;

use super::error::StoreError;
use super::open::{self, Identity, View};

/// Connections that read at once. More would only wait for the same two or four cores.
const READERS_MAX: usize = 4;

/// The connections. They are opened when they are first needed.
#[derive(Debug)]
pub(super) struct Readers {
    permits: Arc<Semaphore>,
    idle: Arc<Mutex<Vec<Connection>>>,
    identity: Arc<Identity>,
}

impl Readers {
    pub(super) fn new(identity: Arc<Identity>) -> Self {
        Self {
            permits: Arc::new(Semaphore::new(READERS_MAX)),
            idle: Arc::default(),
            identity,
        }
    }

    pub(super) async fn run<T, W>(&self, work: W) -> Result<T, StoreError>
    where
        T: Send + 'static,
        W: FnOnce(View<'_>) -> Result<T, StoreError> + Send + 'static,
    {
        let permit = Arc::clone(&self.permits)
            .acquire_owned()
            .await
            .map_err(|_| StoreError::Stopped)?;
        let idle = Arc::clone(&self.idle);
        let identity = Arc::clone(&self.identity);
        let task = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            let popped = idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
            let conn = match popped {
                Some(conn) => conn,
                None => open::reader(&identity.path)?,
            };
            // Kept prepared, as every other statement: parsing them costs more than many a lookup.
            conn.prepare_cached("BEGIN")?.execute([])?;
            let result = work(View {
                conn: &conn,
                identity: &identity,
            });
            // A connection that failed is not used again, which ends its transaction; the next job opens a new one.
            if result.is_ok() {
                conn.prepare_cached("COMMIT")?.execute([])?;
                idle.lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .push(conn);
            }
            result
        });
        match task.await {
            Ok(result) => result,
            Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
            Err(_) => Err(StoreError::Stopped),
        }
    }
}
