//! The loops around the core: what carries a stored payment to the ledger and brings its fate back.
//!
//! Owns: the order claim, decide, commit, act. May not: decide. Every decision is a call into `paygate_payments`, made by
//! the store inside the transaction that keeps it; every loop works from rows, and queues and wake-ups are only hints.
//!
//! # Layout
//! - `dispatch`: one turn after another: fills dead slots, has versions signed, sends
//! - `bind`: binds accepted payments to slots, as many as there is room for
//! - `bump`: bids more for slots whose payments are in a hurry
//! - `preflight`: asks the ledger whether their destinations can receive them; `inquiry`: one question and its answer
//! - `creating`: who waits for an account that a payment of ours is about to create
//! - `slot`: what is read off an open slot
//! - `sign`: one request to the signer, its check by an independent decoder, its commit
//! - `submit`: sends blobs through one server, lowest slot first, again with each validated ledger; `fanout`: tells the others
//! - `witness`: what enough servers say of the wallet, and the proofs made of it
//! - `confirm`: brings validated ledgers in; the only path to a final state of a bound payment
//! - `books`: what validated transactions did to the balance
//! - `halt`: when to go on once a halted network validates again
//! - `fees`: what the ledger asks for now
//! - `start`: whether store, signer and ledger tell one story; `import`: what the ledger shows of a store that was lost
//! - `watch`: looks at link, signer and store; `capabilities`: what follows from what was seen
//! - `pull`: the signer's spans and metrics

mod bind;
mod books;
mod bump;
mod capabilities;
mod confirm;
mod creating;
mod dispatch;
mod fanout;
mod fees;
mod halt;
mod import;
mod inquiry;
#[cfg(paygate_mutants)]
mod mutants;
mod preflight;
mod pull;
mod sign;
mod slot;
mod start;
mod submit;
mod watch;
mod witness;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use paygate_payments::LedgerIndex;
use paygate_payments::intent::Wallet;
use paygate_payments::terms::TermsPolicy;
use paygate_telemetry::shutdown::StopToken;
use paygate_telemetry::{SpanForwarder, TraceParent, propagation};
use tokio::sync::{Notify, RwLock};
use xrpl_tx::PublicKey;

use crate::clock;
use crate::metrics::Metrics;
use crate::signer::{Fence, JournalHead, SignerClient};
use crate::store::{Freeze, Record, Store, StoreError};
use crate::view::View;
use crate::xrpl::Fleet;
use fanout::FanOut;
use submit::LastAnswers;

pub use inquiry::{Ground, Inquiry};
pub(crate) use slot::asset_exposure;
pub use watch::Outputs;

/// What the loops need to know, fixed at start.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The hot wallet.
    pub wallet: Wallet,
    /// A ledger before the wallet's first payment: from there a fresh store imports what was paid.
    pub anchor: LedgerIndex,
    /// Bounds of fee and LastLedgerSequence.
    pub terms: TermsPolicy,
    /// At most so many slots undecided.
    pub at_large_max: usize,
    /// Least time between two submits to a server that is not our own.
    pub submit_pause: Duration,
    /// A validated ledger that does not move for so long is a halted network.
    pub halt_after: Duration,
    /// An XRPL request slower than this degrades health.
    pub latency_threshold: Duration,
}

/// The loops' common ground.
#[derive(Debug)]
pub struct Engine {
    settings: Settings,
    store: Store,
    fleet: Fleet,
    signer: SignerClient,
    view: View,
    metrics: Metrics,
    /// What servers said to what was sent.
    answers: Mutex<LastAnswers>,
    /// What servers other than the primary are still to be told.
    fan_out: FanOut,
    /// When each server that is not our own may be sent the next transaction.
    turns: Mutex<BTreeMap<usize, Instant>>,
    /// What pre-flight asks with.
    inquiry: Arc<Inquiry>,
    /// A payment was stored.
    wake: Arc<Notify>,
    /// A validated ledger was reconciled.
    reconciled: Notify,
    /// Generation of this gateway. Raised once, at the start, if the store turns out to have been set back.
    epoch: AtomicU64,
    /// Held while the generation is raised, and shared by whoever writes with it beside the dispatcher.
    generation: RwLock<()>,
    /// The newest journal head that the store has recorded.
    journal: Mutex<Option<JournalHead>>,
}

/// The parts that make an engine.
#[derive(Debug)]
pub struct Parts {
    /// What is fixed at start.
    pub settings: Settings,
    /// The durable store.
    pub store: Store,
    /// The ledger servers.
    pub fleet: Fleet,
    /// The connection to the signer.
    pub signer: SignerClient,
    /// Where the picture of the moment hangs.
    pub view: View,
    /// Where things are counted.
    pub metrics: Metrics,
    /// Rings when a payment was stored.
    pub wake: Arc<Notify>,
}

/// Why a loop cannot go on; the process ends.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The store is not usable, or another gateway has taken over.
    #[error("the store cannot be used: {0}")]
    Store(#[from] StoreError),
}

impl Engine {
    /// Takes over the store with a new epoch.
    pub async fn take_over(parts: Parts) -> Result<Arc<Self>, StoreError> {
        let Parts {
            settings,
            store,
            fleet,
            signer,
            view,
            metrics,
            wake,
        } = parts;
        let epoch = store.begin_epoch().await?;
        let cursor = store.cursor().await?;
        if let Some(ledger) = cursor.reconciled {
            fleet.recall(ledger);
        }
        view.update(|v| {
            v.epoch = epoch;
            v.store_id = hex::encode(store.store_id());
            v.quarantine = cursor.quarantine;
            v.frozen = cursor.frozen.clone();
        });
        let journal = cursor.journal_hash.map(|hash| JournalHead {
            height: cursor.journal_height,
            hash,
        });
        let announced = store.awaited().await?;
        let pauses = Arc::new(store.pauses().await?);
        view.update(|v| {
            v.announced = announced;
            v.pauses = pauses;
        });
        let inquiry = Inquiry::new(fleet.clone(), settings.wallet.clone());
        let fan_out = FanOut::new(fleet.members().len());
        tracing::info!(epoch, "took over the store");
        Ok(Arc::new(Self {
            settings,
            store,
            fleet,
            signer,
            view,
            metrics,
            answers: Mutex::default(),
            fan_out,
            turns: Mutex::default(),
            inquiry: Arc::new(inquiry),
            wake,
            reconciled: Notify::new(),
            epoch: AtomicU64::new(epoch),
            generation: RwLock::new(()),
            journal: Mutex::new(journal),
        }))
    }

    /// Brings validated ledgers in until told to stop.
    pub async fn confirm(self: Arc<Self>, stop: StopToken) -> Result<(), EngineError> {
        confirm::run(&self, stop).await
    }

    /// Carries payments out until told to stop.
    pub async fn dispatch(self: Arc<Self>, stop: StopToken) -> Result<(), EngineError> {
        dispatch::run(self, stop).await
    }

    /// Watches signer, link and store until told to stop.
    pub async fn watch(
        self: Arc<Self>,
        outputs: Outputs,
        stop: StopToken,
    ) -> Result<(), EngineError> {
        watch::run(&self, outputs, stop).await
    }

    /// Hands the signer's spans on until told to stop.
    pub async fn forward_spans(
        self: Arc<Self>,
        forwarder: Option<SpanForwarder>,
        stop: StopToken,
    ) -> Result<(), EngineError> {
        pull::forward_spans(&self, forwarder, stop).await;
        Ok(())
    }

    /// Generation of this gateway.
    fn epoch(&self) -> u64 {
        self.epoch.load(Ordering::Acquire)
    }

    fn fence(&self) -> Fence {
        let journal = *self.journal.lock().unwrap_or_else(PoisonError::into_inner);
        Fence {
            store_id: self.store.store_id(),
            epoch: self.epoch(),
            journal,
        }
    }

    /// Records a journal head durably before any request carries it.
    async fn record_journal(&self, head: JournalHead) -> Result<(), StoreError> {
        self.store.record_journal(head.height, head.hash).await?;
        let mut known = self.journal.lock().unwrap_or_else(PoisonError::into_inner);
        if known.is_none_or(|known| known.height < head.height) {
            *known = Some(head);
        }
        Ok(())
    }

    /// Stops sending until a person looked. Durable; repeats keep the first reason.
    async fn freeze(&self, why: String) -> Result<(), StoreError> {
        if self.view.now().frozen.is_some() {
            return Ok(());
        }
        tracing::error!(reason = %why, "the wallet is frozen: nothing is sent until a person looked");
        let freeze = Freeze {
            why,
            since: clock::now(),
        };
        self.store.set_frozen(freeze.clone(), clock::now()).await?;
        self.view.update(|v| v.frozen = Some(freeze));
        Ok(())
    }

    /// The key that must have signed: the signer's own description of it.
    fn signing_key(&self) -> Option<PublicKey> {
        let described = self.view.now().signer.described.clone()?;
        PublicKey::from_bytes(&described.public_key).ok()
    }
}

/// Makes `span` a part of the trace in which the payment was created, also hours and restarts later.
fn join_trace(span: &tracing::Span, record: Option<&Record>) {
    if let Some(parent) = trace_of(record) {
        propagation::set_remote_parent(span, &parent);
    }
}

/// The caller's trace, if the payment was created in one.
fn trace_of(record: Option<&Record>) -> Option<TraceParent> {
    record?.trace_parent.as_deref()?.parse().ok()
}
