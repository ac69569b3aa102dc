//! The durable store: what the gateway knows, and the only place where it becomes a fact.
//!
//! Owns: every payment, slot and version, their timelines, and how far the ledger and the signer's journal were read. Each
//! decision of the core is made and stored in one transaction, on the rows as they are there. May not: decide; that is
//! `paygate_payments`. Nor act: whoever calls acts after the answer, never before.
//!
//! One thread writes; it gathers what waits into one transaction, so that many payments share one fsync. A few read-only
//! connections serve everything that changes nothing. An answer leaves only after its commit, also if it is a refusal,
//! because it may rest on a row of the same transaction.
//!
//! # Layout
//! - [`types`], [`people`] and [`error`]: the words of the interface.
//! - `open.rs`, `schema.rs`: lock, pragmas, migrations, the wallet's identity.
//! - `writer.rs`, `readers.rs`: the thread and the connections. `inline.rs`: both without threads.
//! - `rows.rs`, `write.rs`, `codec.rs`, `amounts.rs`: rows to core types and back.
//! - `day.rs`: the sums of the rolling day. `clients.rs`: those of single clients. `counts.rs`: how many payments are in each state.
//! - `accept.rs`, `cancel.rs`, `dispatch.rs`, `confirm.rs`, `wallet.rs`, `read.rs`, `watch.rs`: what is done, by who asks for it.
//! - `books.rs`, `fees.rs`, `announce.rs`, `displaced.rs`: the books, the fees of the hour, announced transactions, lost slots.
//! - `foreign.rs`: transactions that nobody here made. `imported.rs`: what the ledger shows of rows that were lost.
//! - `pause.rs`, `approvals.rs`, `audit.rs`: what people do, and the log of it.
//! - `rollout.rs`: the stage in force, and what was said of stages.
//! - `timeline.rs`, `sentences.rs`: what a person reads at night.
//! - [`copy`]: copies of the file, for backups.

mod accept;
mod amounts;
mod announce;
mod approvals;
mod audit;
mod books;
mod cancel;
mod clients;
mod codec;
mod confirm;
pub mod copy;
mod counts;
mod day;
mod dispatch;
mod displaced;
pub mod error;
mod fees;
mod fold;
mod foreign;
mod imported;
mod inline;
mod open;
mod pause;
pub mod people;
mod read;
mod readers;
pub mod rollout;
mod rows;
mod schema;
mod sentences;
mod timeline;
pub mod types;
mod wallet;
mod watch;
mod write;
mod writer;

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use paygate_payments::budget::FeeBudget;
use paygate_payments::clients::ClientUse;
use paygate_payments::continuity::Quarantine;
use paygate_payments::intent::PaymentKey;
use paygate_payments::limits::Limits;
use paygate_payments::preflight::Refusal;
use paygate_payments::proof::Presence;
use paygate_payments::step::Event;
use paygate_payments::terms::Terms;
use paygate_payments::{LedgerIndex, LedgerRef};
use tokio::sync::{oneshot, watch as tokio_watch};
use xrpl_tx::{Drops, Hash256, Signed, Slot};

use crate::clock::{self, Millis};

pub use error::{OpenError, StoreError};
pub use inline::{Gate, Passing, Point};
pub use people::{
    Actor, ApprovalPage, AuditEntry, AuditHead, AuditPage, AuditQuery, Decided, Decision, Pause,
    PauseScope, Paused, Verdict,
};
pub use types::{
    Accept, Advanced, Announced, Announcement, AssetSummary, Bind, Change, Changes, Cursor, Freeze,
    Guards, ListPage, ListQuery, Moved, NewPayment, Note, OpenSlot, OwnMove, Reconciled,
    Reconciliation, Record, RetryRefusal, SettledStats, StoreOptions, StoreSlots, Summary,
    TimelineRow, Unfrozen, WatchFilter,
};
pub use watch::Position;

/// Most payments on a page.
pub const PAGE_MAX: usize = 1000;
/// Payments on a page if nothing is said.
pub const PAGE_DEFAULT: usize = 50;
/// Most lines of a timeline: the first ones and, past them, the newest. A payment that lives for weeks of fee bumps stays
/// readable, and one answer stays below a megabyte.
pub const TIMELINE_MAX: usize = 2000;

/// A handle to the store; clones are cheap. The writer ends when the last one is dropped, after what it was given.
#[derive(Clone, Debug)]
pub struct Store {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    way: Way,
    commits: tokio_watch::Receiver<()>,
    failure: tokio_watch::Receiver<Option<String>>,
    identity: Arc<open::Identity>,
}

/// Who does the work.
#[derive(Debug)]
enum Way {
    /// Threads, so that nobody waits for a disk on an async one.
    Threads {
        jobs: writer::Jobs,
        readers: readers::Readers,
    },
    /// Whoever asks.
    Inline(Box<inline::Inline>),
}

impl Store {
    /// Opens or makes the store, without threads of its own: jobs run where they are asked for, when `gate` lets them.
    pub fn open_inline(options: StoreOptions, gate: Arc<dyn Gate>) -> Result<Self, OpenError> {
        let opened = open::open(options)?;
        let identity = Arc::new(opened.identity);
        let (writer, commits, failure) =
            writer::Writer::new(opened.writer, Arc::clone(&identity), opened.lock);
        Ok(Self {
            inner: Arc::new(Inner {
                way: Way::Inline(Box::new(inline::Inline::new(writer, gate))),
                commits,
                failure,
                identity,
            }),
        })
    }

    /// Opens or makes the store. Blocks for as long as the disk takes.
    pub fn open(options: StoreOptions) -> Result<Self, OpenError> {
        let opened = open::open(options)?;
        let identity = Arc::new(opened.identity);
        let writer::Started {
            jobs,
            commits,
            failure,
        } = writer::start(opened.writer, Arc::clone(&identity), opened.lock);
        let readers = readers::Readers::new(Arc::clone(&identity));
        Ok(Self {
            inner: Arc::new(Inner {
                way: Way::Threads { jobs, readers },
                commits,
                failure,
                identity,
            }),
        })
    }

    /// The store's name, made once at random. The signer pins it.
    #[must_use]
    pub fn store_id(&self) -> [u8; 16] {
        self.inner.identity.store_id
    }

    // --- accepting

    /// Stores a payment, or tells what stands against it.
    pub async fn create(&self, new: NewPayment) -> Result<Accept, StoreError> {
        self.write(move |scope| accept::create(scope, &new)).await
    }

    /// What [`Self::create`] would answer now, if nothing else came between; stores nothing. A payment that would be
    /// stored comes back as `Created` with number 0.
    pub async fn preview(&self, new: NewPayment) -> Result<Accept, StoreError> {
        self.read(move |view| accept::preview(view, &new)).await
    }

    /// One payment.
    pub async fn get(&self, key: &PaymentKey) -> Result<Option<Record>, StoreError> {
        let key = key.clone();
        self.read(move |view| read::get(view, &key)).await
    }

    /// A page of payments, newest first.
    pub async fn list(&self, query: ListQuery) -> Result<ListPage, StoreError> {
        self.read(move |view| read::list(view, &query)).await
    }

    /// What happened to a payment, in the order of commits, at most [`TIMELINE_MAX`] lines. Empty: there is no such payment.
    pub async fn timeline(&self, key: &PaymentKey) -> Result<Vec<TimelineRow>, StoreError> {
        let key = key.clone();
        self.read(move |view| read::timeline(view, &key)).await
    }

    /// Cancels a payment for its caller: at once if it was never bound, otherwise as the ledger decides. A final payment
    /// stays what it is. A repeated call changes nothing.
    pub async fn cancel(
        &self,
        key: PaymentKey,
        comment: String,
        at: Millis,
    ) -> Result<Advanced, StoreError> {
        self.write(move |scope| cancel::ask(scope, &key, &comment, at))
            .await
    }

    /// The place behind the newest event.
    pub async fn newest_position(&self) -> Result<Position, StoreError> {
        self.read(watch::newest).await
    }

    /// The place that a cursor names.
    pub async fn position_of(&self, cursor: String) -> Result<Position, StoreError> {
        self.read(move |view| watch::read_cursor(view, &cursor))
            .await
    }

    /// Changes behind `after`, in the order of commits, a bounded number.
    pub async fn changes(
        &self,
        after: Position,
        filter: Arc<WatchFilter>,
    ) -> Result<Changes, StoreError> {
        self.read(move |view| watch::changes(view, after, &filter))
            .await
    }

    /// Rings after each commit. A hint, which may stand for many: who hears it reads the rows.
    #[must_use]
    pub fn commits(&self) -> tokio_watch::Receiver<()> {
        self.inner.commits.clone()
    }

    /// The store in numbers.
    pub async fn summary(&self, now: Millis) -> Result<Summary, StoreError> {
        self.read(move |view| read::summary(view, now)).await
    }

    // --- dispatching

    /// Begins a generation: whoever writes with an older epoch is refused from now on.
    pub async fn begin_epoch(&self) -> Result<u64, StoreError> {
        self.write(|scope| wallet::begin_epoch(scope)).await
    }

    /// ACCEPTED payments, oldest first.
    pub async fn waiting(&self, limit: usize) -> Result<Vec<Record>, StoreError> {
        self.read(move |view| read::waiting(view, limit)).await
    }

    /// Slots that no ledger has decided yet, lowest first.
    pub async fn open_slots(&self) -> Result<Vec<OpenSlot>, StoreError> {
        self.read(read::open_slots).await
    }

    /// The slots as the rows know them.
    pub async fn slot_facts(&self) -> Result<StoreSlots, StoreError> {
        self.read(read::slot_facts).await
    }

    /// Binds payments to slots: all of them or none.
    pub async fn bind(
        &self,
        epoch: u64,
        binds: Vec<Bind>,
        at: Millis,
    ) -> Result<Vec<Record>, StoreError> {
        self.write(move |scope| dispatch::bind(scope, epoch, &binds, at))
            .await
    }

    /// Gives up payments that were never bound and that their destinations cannot receive. Answers those that it did.
    pub async fn refuse(
        &self,
        epoch: u64,
        refusals: Vec<Refusal>,
        at: Millis,
    ) -> Result<Vec<Record>, StoreError> {
        self.write(move |scope| dispatch::refuse(scope, epoch, &refusals, at))
            .await
    }

    /// Lets `event` happen to a payment, and adds `notes` to its timeline, the notes first.
    pub async fn advance(
        &self,
        epoch: u64,
        key: PaymentKey,
        event: Event,
        notes: Vec<Note>,
        at: Millis,
    ) -> Result<Advanced, StoreError> {
        self.write(move |scope| dispatch::advance(scope, epoch, &key, event.clone(), &notes, at))
            .await
    }

    /// Adds `notes` to a payment's timeline.
    pub async fn note(
        &self,
        key: PaymentKey,
        notes: Vec<Note>,
        at: Millis,
    ) -> Result<(), StoreError> {
        self.write(move |scope| dispatch::note(scope, &key, &notes, at))
            .await
    }

    /// Commits a no-op for a slot without a live payment, and makes the slot's row if there is none. Answers the version's
    /// number.
    pub async fn add_filler(
        &self,
        epoch: u64,
        slot: Slot,
        owner: Option<PaymentKey>,
        terms: Terms,
        at: Millis,
    ) -> Result<usize, StoreError> {
        self.write(move |scope| dispatch::add_filler(scope, epoch, slot, owner.as_ref(), terms, at))
            .await
    }

    /// Stores the signature of a no-op. The same one again changes nothing.
    pub async fn filler_signed(
        &self,
        epoch: u64,
        slot: Slot,
        number: usize,
        signed: Signed,
    ) -> Result<(), StoreError> {
        self.write(move |scope| dispatch::filler_signed(scope, epoch, slot, number, &signed))
            .await
    }

    /// Records the head of the signer's journal. A lower one than known changes nothing.
    pub async fn record_journal(&self, height: u64, hash: Hash256) -> Result<(), StoreError> {
        self.write(move |scope| wallet::record_journal(scope, height, hash))
            .await
    }

    /// Takes note that a person took the signer's journal into use again, by this frame of it.
    pub async fn record_recovery(
        &self,
        epoch: u64,
        height: u64,
        hash: Hash256,
    ) -> Result<(), StoreError> {
        self.write(move |scope| wallet::record_recovery(scope, epoch, height, hash))
            .await
    }

    /// Raises the generation above one that the signer has heard of, and answers it.
    pub async fn raise_epoch(&self, epoch: u64, above: u64) -> Result<u64, StoreError> {
        self.write(move |scope| wallet::raise_epoch(scope, epoch, above))
            .await
    }

    // --- confirming

    /// Takes in a validated ledger, complete from the cursor up to it.
    pub async fn reconcile(
        &self,
        epoch: u64,
        ledger: Reconciliation,
    ) -> Result<Reconciled, StoreError> {
        self.write(move |scope| confirm::reconcile(scope, epoch, &ledger))
            .await
    }

    /// Has the history before the first ledger imported, from `from` on. Once for a store.
    pub async fn want_import(&self, epoch: u64, from: LedgerIndex) -> Result<(), StoreError> {
        self.write(move |scope| wallet::want_import(scope, epoch, from))
            .await
    }

    /// Takes in a part of that history; `next` is the ledger to go on from. Answers how many transactions look ours.
    pub async fn import(
        &self,
        epoch: u64,
        history: Vec<Presence>,
        next: Option<LedgerIndex>,
    ) -> Result<usize, StoreError> {
        self.write(move |scope| confirm::import(scope, epoch, &history, next))
            .await
    }

    /// Judges what was kept of lost rows while the signer could not be asked, now that its journal is known to reach up to
    /// `signer_highest`. Answers what is foreign after all; sending is frozen then.
    pub async fn judge_imported(
        &self,
        epoch: u64,
        signer_highest: u32,
        at: Millis,
    ) -> Result<Vec<Hash256>, StoreError> {
        self.write(move |scope| confirm::judge_imported(scope, epoch, signer_highest, at))
            .await
    }

    /// How far the store is.
    pub async fn cursor(&self) -> Result<Cursor, StoreError> {
        self.read(|view| wallet::cursor(view.conn)).await
    }

    /// Where a fresh store begins to reconcile. A store that has begun keeps its cursor.
    pub async fn start_at(&self, ledger: LedgerRef) -> Result<(), StoreError> {
        self.write(move |scope| wallet::start_at(scope, ledger))
            .await
    }

    /// Begins or ends a quarantine; with its end, cancels that waited for it are carried out. Only the dispatching gateway of `epoch` may.
    pub async fn set_quarantine(
        &self,
        epoch: u64,
        quarantine: Option<Quarantine>,
        at: Millis,
    ) -> Result<(), StoreError> {
        self.write(move |scope| {
            wallet::set_quarantine(scope, epoch, quarantine, at)?;
            match quarantine {
                Some(_) => Ok(()),
                // In the same transaction: what was to be cancelled is never bound in between.
                None => cancel::carry_out(scope, at),
            }
        })
        .await
    }

    /// Says that store, ledger and signer were compared, after a quarantine was begun if they call for one. Before it, nothing
    /// of this generation is bound and nothing ends unpaid; cancels that waited for it are carried out with it.
    pub async fn pass_continuity(&self, epoch: u64, at: Millis) -> Result<(), StoreError> {
        self.write(move |scope| {
            let gate = wallet::pass_continuity(scope, epoch)?;
            if gate.quarantined {
                return Ok(());
            }
            cancel::carry_out(scope, at)
        })
        .await
    }

    /// Freezes sending. A freeze keeps its first reason.
    pub async fn set_frozen(&self, freeze: Freeze, at: Millis) -> Result<(), StoreError> {
        self.write(move |scope| wallet::set_frozen(scope, &freeze, at))
            .await
    }

    /// Lets sending go on for a person who gives a reason and names every foreign transaction that is not acknowledged.
    pub async fn unfreeze(
        &self,
        by: Actor,
        reason: String,
        acknowledged: BTreeSet<Hash256>,
        at: Millis,
    ) -> Result<Unfrozen, StoreError> {
        self.audited(move |scope| wallet::unfreeze(scope, &by, &reason, &acknowledged, at))
            .await
    }

    /// Keeps what `scope` says from being bound, until somebody resumes.
    pub async fn pause(
        &self,
        by: Actor,
        what: PauseScope,
        reason: String,
        at: Millis,
    ) -> Result<Paused, StoreError> {
        self.audited(move |scope| pause::pause(scope, &what, &by, &reason, at))
            .await
    }

    /// Ends the pause of this scope. False: there was none.
    pub async fn resume(
        &self,
        by: Actor,
        what: PauseScope,
        reason: String,
        at: Millis,
    ) -> Result<bool, StoreError> {
        self.audited(move |scope| pause::resume(scope, &what, &by, &reason, at))
            .await
    }

    /// Every pause in force, the oldest first.
    pub async fn pauses(&self) -> Result<Vec<Pause>, StoreError> {
        self.read(|view| pause::all(view.conn)).await
    }

    /// Carries out what an approver decides about a payment.
    pub async fn decide(&self, decision: Decision, at: Millis) -> Result<Decided, StoreError> {
        self.audited(move |scope| approvals::decide(scope, &decision, at))
            .await
    }

    /// Payments that wait for approval, oldest first.
    pub async fn awaiting_approval(
        &self,
        limit: usize,
        token: Option<String>,
    ) -> Result<ApprovalPage, StoreError> {
        self.read(move |view| approvals::list(view, limit, token.as_deref()))
            .await
    }

    /// Payments that nobody approved in time expire. Answers those that did.
    pub async fn expire_approvals(
        &self,
        epoch: u64,
        at: Millis,
    ) -> Result<Vec<Record>, StoreError> {
        self.write(move |scope| approvals::expire(scope, epoch, at))
            .await
    }

    /// A page of the audit log, newest first.
    pub async fn audit(&self, query: AuditQuery) -> Result<AuditPage, StoreError> {
        self.read(move |view| audit::list(view, &query)).await
    }

    /// What is let in now.
    #[must_use]
    pub fn limits(&self) -> Arc<Limits> {
        self.inner.identity.limits()
    }

    /// What each of [`Limits::clients`] uses now, in that order, as the writer counts it.
    pub async fn client_use(&self, at: Millis) -> Result<ClientUse, StoreError> {
        self.write(move |scope| {
            let limits = scope.view().limits();
            scope.day.fit(&limits);
            clients::used(scope, at)
        })
        .await
    }

    /// Keeps the limits that this start puts into force, and audits what differs from those of the life before. `told` says that of two
    /// texts.
    pub async fn limits_at_start(
        &self,
        by: Actor,
        in_force: String,
        told: fn(&str, &str) -> String,
        at: Millis,
    ) -> Result<(), StoreError> {
        self.audited(move |scope| {
            let head = audit::limits_at_start(scope, &by, &in_force, told, at)?;
            Ok(((), head))
        })
        .await
    }

    /// What is let in from now on; audited as `summary`, and kept as `in_force` for the next start. What is stored already stays.
    pub async fn set_limits(
        &self,
        by: Actor,
        limits: Limits,
        summary: String,
        in_force: String,
        at: Millis,
    ) -> Result<(), StoreError> {
        let (limits, before) = (Arc::new(limits), self.inner.identity.configured_limits());
        self.audited(move |scope| {
            let head = audit::limits_changed(scope, &by, &summary, &in_force, at)?;
            // In the order of jobs: each payment is measured by the limits that the log says.
            scope.identity.set_limits(Arc::clone(&limits));
            Ok(((), Some(head)))
        })
        .await
        .inspect_err(|_| self.inner.identity.set_limits(before))
    }

    /// What may go to fees within an hour. Told once, before anything is bound.
    pub fn limit_fees(&self, hour_max: Drops) {
        // A second word changes nothing: the first one was acted on.
        let _ = self.inner.identity.fees_hour.set(hour_max);
    }

    /// Opens the wallet's books at a ledger, unless they are open.
    pub async fn open_books(&self, ledger: LedgerRef, balance: Drops) -> Result<(), StoreError> {
        self.write(move |scope| books::open(scope, ledger, balance))
            .await
    }

    /// Takes note of a transaction of the wallet that a person makes outside, so that it does not freeze.
    pub async fn announce(
        &self,
        by: Actor,
        announcement: Announcement,
        at: Millis,
    ) -> Result<Announced, StoreError> {
        self.audited(move |scope| announce::announce(scope, &by, &announcement, at))
            .await
    }

    /// Transactions made outside that were announced and may still come.
    pub async fn awaited(&self) -> Result<Vec<Announcement>, StoreError> {
        self.read(|view| announce::awaited(view.conn)).await
    }

    /// What was committed to fees within the last hour, against its limit.
    pub async fn fee_budget(&self, at: Millis) -> Result<FeeBudget, StoreError> {
        self.read(move |view| fees::budget(view, at)).await
    }

    /// Writes and commits something trivial, for health. Answers how long that took, waiting in line included.
    pub async fn check(&self) -> Result<Duration, StoreError> {
        let began = clock::instant();
        self.write(|scope| wallet::check(scope)).await?;
        Ok(clock::elapsed(began))
    }

    /// Why the last transaction that failed did, in the disk's words: of use to whom a call has just failed. What he may conclude is in
    /// his own answer.
    #[must_use]
    pub fn last_failure(&self) -> Option<String> {
        self.inner.failure.borrow().clone()
    }

    // --- its life

    /// Finishes what was given to the writer before, folds the log into the file and ends the writer. Later calls are
    /// answered with [`StoreError::Stopped`].
    pub async fn close(self) {
        let jobs = match &self.inner.way {
            Way::Threads { jobs, .. } => jobs,
            Way::Inline(inline) => return inline.close(),
        };
        let (done, wait) = oneshot::channel();
        if jobs.send(writer::Message::Close(done)).await.is_ok() {
            // An error says that the writer ended before, which is all that is wanted.
            let _ = wait.await;
        }
    }

    /// Resolves when the writer has ended. Unless the store was closed, the process must end then, with an error: after a
    /// failed COMMIT only opening the file anew tells what is on the disk.
    pub async fn ended(&self) {
        match &self.inner.way {
            Way::Threads { jobs, .. } => jobs.closed().await,
            Way::Inline(inline) => inline.ended().await,
        }
    }

    async fn write<T, W>(&self, work: W) -> Result<T, StoreError>
    where
        T: Send + 'static,
        W: Fn(&mut writer::Scope<'_>) -> Result<T, StoreError> + Send + 'static,
    {
        let (job, answer) = writer::job(work);
        match &self.inner.way {
            Way::Threads { jobs, .. } => jobs
                .send(writer::Message::Job(job))
                .await
                .map_err(|_| StoreError::Stopped)?,
            Way::Inline(inline) => inline.write(job).await,
        }
        answer.await.unwrap_or(Err(StoreError::Unknown))
    }

    /// Work of a person. Once it is committed, the new head of the audit log also goes into the process's log, which is kept elsewhere.
    async fn audited<T, W>(&self, work: W) -> Result<T, StoreError>
    where
        T: Send + 'static,
        W: Fn(&mut writer::Scope<'_>) -> Result<(T, Option<AuditHead>), StoreError>
            + Send
            + 'static,
    {
        let (answer, head) = self.write(work).await?;
        if let Some(AuditHead { sequence, hash }) = head {
            tracing::info!(
                audit_sequence = sequence,
                audit_hash = hex::encode(hash.as_bytes()),
                "audited"
            );
        }
        Ok(answer)
    }

    async fn read<T, W>(&self, work: W) -> Result<T, StoreError>
    where
        T: Send + 'static,
        W: FnOnce(open::View<'_>) -> Result<T, StoreError> + Send + 'static,
    {
        match &self.inner.way {
            Way::Threads { readers, .. } => readers.run(work).await,
            Way::Inline(inline) => inline.read(work).await,
        }
    }
}

#[cfg(test)]
impl Store {
    /// Makes the file's disk as small as its content, as far as SQLite is concerned, or endless again.
    async fn limit_pages(&self, pages: Option<u32>) -> Result<(), StoreError> {
        let pages = pages.unwrap_or(u32::MAX - 1);
        self.write(move |scope| {
            Ok(scope
                .conn
                .query_row(&format!("PRAGMA max_page_count = {pages}"), [], |_| Ok(()))?)
        })
        .await
    }
}
