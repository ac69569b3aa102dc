//! WatchPayments: the committed changes of payments as a stream.
//!
//! Owns: how long a watcher waits, when he is told that all is well, how many there are, and that he leaves when he would not be let in any
//! more. May not: hold changes that the store could give again. Nothing is pushed here: the stream is asked for its next message when the connection has room
//! for it, so that a slow reader slows down his own reading and loses nothing.

use std::collections::VecDeque;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::{FutureExt as _, Stream, stream};
use paygate_proto::v1::WatchPaymentsResponse;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::{Interval, MissedTickBehavior};
use tonic::Status;

use super::access::Standing;
use super::decode::WatchFrom;
use super::{encode, errors};
use crate::metrics::OpenWatch;
use crate::store::{Change, Changes, Position, Store, StoreError, WatchFilter};
use crate::view::{EngineView, View};

/// Streams at once. Each holds up to 64 changes, some 300 KiB, and reads after each commit.
const WATCHERS_MAX: usize = 64;

/// Without changes, a heartbeat comes so often.
const HEARTBEAT: Duration = Duration::from_secs(10);

/// A silent watcher's credential is looked at so often. Before each message it is looked at anyway.
const STANDING_LOOK: Duration = Duration::from_secs(1);

/// Seats for watchers. Clones share them.
#[derive(Clone, Debug)]
pub(super) struct Watchers {
    seats: Arc<Semaphore>,
    heartbeat: Duration,
}

/// The stream of one watcher. Dropping it frees the seat.
pub struct PaymentChanges(
    Pin<Box<dyn Stream<Item = Result<WatchPaymentsResponse, Status>> + Send>>,
);

/// What a watcher is, between two of his messages.
struct Watcher {
    store: Store,
    view: View,
    filter: Arc<WatchFilter>,
    /// Everything up to here was read.
    position: Position,
    /// Read and not sent yet, in the order of commits.
    ready: VecDeque<Change>,
    /// False while more is known to be there.
    at_end: bool,
    /// Nothing was sent yet: the first message is a heartbeat.
    silent: bool,
    commits: watch::Receiver<()>,
    stopping: watch::Receiver<Arc<EngineView>>,
    heartbeat: Interval,
    standing: Option<Standing>,
    looks: Interval,
    _seat: OwnedSemaphorePermit,
    _open: OpenWatch,
}

/// What woke a watcher who has nothing to send.
enum Woken {
    Committed,
    Heartbeat,
    Draining,
    /// It is time to look at the credential.
    Look,
    /// The store is closed.
    Closed,
}

impl Default for Watchers {
    fn default() -> Self {
        Self {
            seats: Arc::new(Semaphore::new(WATCHERS_MAX)),
            heartbeat: HEARTBEAT,
        }
    }
}

impl Watchers {
    /// Follows the store from somewhere on.
    pub(super) async fn follow(
        &self,
        store: Store,
        view: View,
        from: WatchFrom,
        filter: WatchFilter,
        standing: Option<Standing>,
        open: OpenWatch,
    ) -> Result<PaymentChanges, Status> {
        if view.now().draining {
            return Err(errors::watch_draining());
        }
        let seat = Arc::clone(&self.seats)
            .try_acquire_owned()
            .map_err(|_| errors::too_many_watchers(WATCHERS_MAX))?;
        // Before the first look at the rows, so that no commit falls in between.
        let commits = store.commits();
        let position = match from {
            WatchFrom::Beginning => Ok(Position::BEGINNING),
            WatchFrom::Now => store.newest_position().await,
            WatchFrom::Cursor(cursor) => store.position_of(cursor).await,
        };
        let mut heartbeat = tokio::time::interval(self.heartbeat);
        heartbeat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        heartbeat.reset();
        let mut looks = tokio::time::interval(STANDING_LOOK);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let stopping = view.changes();
        let watcher = Watcher {
            store,
            view,
            filter: Arc::new(filter),
            position: position.map_err(failed)?,
            ready: VecDeque::new(),
            at_end: false,
            silent: true,
            commits,
            stopping,
            heartbeat,
            standing,
            looks,
            _seat: seat,
            _open: open,
        };
        let messages = stream::unfold(Some(watcher), |watcher| async move {
            let mut watcher = watcher?;
            match watcher.next().await {
                Ok(message) => {
                    watcher.heartbeat.reset();
                    Some((Ok(message), Some(watcher)))
                }
                Err(status) => Some((Err(status), None)),
            }
        });
        Ok(PaymentChanges(Box::pin(messages)))
    }
}

impl Watcher {
    /// The next message, once there is one.
    async fn next(&mut self) -> Result<WatchPaymentsResponse, Status> {
        if std::mem::take(&mut self.silent) {
            return Ok(self.heartbeat_message());
        }
        loop {
            if let Some(standing) = &self.standing {
                standing.check()?;
            }
            if let Some(change) = self.ready.pop_front() {
                return Ok(message(change, &self.view.now()));
            }
            if self.stopping.borrow().draining {
                return Err(errors::watch_draining());
            }
            if !self.at_end {
                self.read().await.map_err(failed)?;
                // Others' changes may fill many reads.
                if self.ready.is_empty() && self.heartbeat.tick().now_or_never().is_some() {
                    return Ok(self.heartbeat_message());
                }
                continue;
            }
            match self.wait().await {
                Woken::Committed => self.at_end = false,
                // A wake-up is a hint: the rows are looked at before it is said that there is nothing.
                Woken::Heartbeat => {
                    self.read().await.map_err(failed)?;
                    if self.ready.is_empty() {
                        return Ok(self.heartbeat_message());
                    }
                }
                Woken::Look => {}
                Woken::Draining => return Err(errors::watch_draining()),
                Woken::Closed => return Err(failed(StoreError::Stopped)),
            }
        }
    }

    async fn read(&mut self) -> Result<(), StoreError> {
        // Marked before it is read: a commit in between rings again.
        self.commits.mark_unchanged();
        let Changes {
            changes,
            position,
            at_end,
        } = self
            .store
            .changes(self.position, Arc::clone(&self.filter))
            .await?;
        self.ready.extend(changes);
        self.position = position;
        self.at_end = at_end;
        Ok(())
    }

    async fn wait(&mut self) -> Woken {
        tokio::select! {
            committed = self.commits.changed() => match committed {
                Ok(()) => Woken::Committed,
                Err(_) => Woken::Closed,
            },
            _ = self.stopping.wait_for(|view| view.draining) => Woken::Draining,
            _ = self.heartbeat.tick() => Woken::Heartbeat,
            _ = self.looks.tick(), if self.standing.is_some() => Woken::Look,
        }
    }

    fn heartbeat_message(&self) -> WatchPaymentsResponse {
        WatchPaymentsResponse {
            cursor: self.position.cursor(),
            payment: None,
            change: None,
        }
    }
}

fn message(change: Change, view: &EngineView) -> WatchPaymentsResponse {
    WatchPaymentsResponse {
        cursor: change.position.cursor(),
        payment: Some(encode::payment(&change.record, view)),
        change: Some(change.row.event),
    }
}

fn failed(error: StoreError) -> Status {
    errors::store("watch_payments", &error)
}

impl Stream for PaymentChanges {
    type Item = Result<WatchPaymentsResponse, Status>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.as_mut().poll_next(cx)
    }
}

impl fmt::Debug for PaymentChanges {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PaymentChanges")
    }
}

#[cfg(test)]
mod tests {
    use futures_util::StreamExt as _;
    use paygate_payments::intent::Wallet;
    use paygate_payments::limits::Limits;
    use xrpl_tx::{AccountId, Drops};

    use super::*;
    use crate::metrics::{BuildInfo, Metrics};
    use crate::store::StoreOptions;

    #[tokio::test]
    async fn without_changes_a_heartbeat_comes_each_period_and_carries_the_cursor() {
        let heartbeat = Duration::from_millis(50);
        let watchers = Watchers {
            heartbeat,
            ..Watchers::default()
        };
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(StoreOptions {
            path: folder.path().join("paygate.db"),
            wallet: Wallet {
                network_id: 0,
                account: AccountId::from_bytes([7; 20]),
                source_tag: None,
            },
            limits: Limits {
                payment_min: Drops::ZERO,
                payment_max: Drops::MAX,
                day_max: Drops::MAX,
                pending_max: 1,
                assets: Vec::new(),
                approval_threshold: None,
                approval_window: Duration::ZERO,
                clients: Vec::new(),
                stage: None,
            },
        })
        .unwrap();
        let build = BuildInfo {
            version: "0.1.0",
            revision: "unknown",
        };
        let mut changes = watchers
            .follow(
                store,
                View::default(),
                WatchFrom::Now,
                WatchFilter::default(),
                None,
                Metrics::new(&build, []).open_watch(),
            )
            .await
            .unwrap();
        let hello = changes.next().await.unwrap().unwrap();
        let began = crate::clock::instant();
        for beats in 1..4 {
            let message = changes.next().await.unwrap().unwrap();
            assert_eq!(message, hello, "nothing has happened");
            let waited = began.elapsed();
            assert!(
                waited >= heartbeat * (beats - 1),
                "{waited:?}: not more often"
            );
        }
    }
}
