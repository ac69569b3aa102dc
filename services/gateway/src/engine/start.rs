//! Whether store, signer and ledger tell one story: asked before the first binding, and again whenever the signer says something new.
//!
//! Owns: gathering the facts, and carrying out what follows. May not: judge them; `payments::continuity` does.

use std::sync::PoisonError;
use std::sync::atomic::Ordering;

use paygate_payments::LedgerIndex;
use paygate_payments::continuity::{self, Doubt, Quarantine, StartFacts};
use paygate_proto::signer::v1::DescribeSignerResponse;

use super::Engine;
use crate::clock;
use crate::signer::{CallFailed, JournalHead};
use crate::store::{Cursor, StoreError};

/// What a dispatcher remembers of the comparisons.
#[derive(Debug, Default)]
pub(super) struct Continuity {
    /// What the signer said of itself when it was compared last. `None`: never by this generation.
    seen: Option<Said>,
    /// What a quarantine that ended has waited out.
    waited_out: WaitedOut,
}

/// What the signer says of itself that has to do with continuity.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Said {
    head: Option<JournalHead>,
    recovery: Option<JournalHead>,
    store_id: Vec<u8>,
    epoch: u64,
    highest_sequence: u32,
}

/// Slots that no row knows are filled now, and blobs up to this ledger are dead or known.
#[derive(Clone, Copy, Debug, Default)]
struct WaitedOut {
    highest: u32,
    last_ledger: LedgerIndex,
}

/// One comparison's material.
struct Compared {
    said: Said,
    facts: StartFacts,
}

/// Why a comparison was not made.
#[derive(Debug)]
pub(super) enum NotCompared {
    Store(StoreError),
    Signer(CallFailed),
}

impl From<StoreError> for NotCompared {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<CallFailed> for NotCompared {
    fn from(error: CallFailed) -> Self {
        Self::Signer(error)
    }
}

impl Engine {
    /// Compares store, ledger and signer, begins a quarantine if they call for one, and only then lets this generation bind
    /// and end payments. `described` is what the signer said of itself lately; if that is nothing new, nothing is done.
    pub(super) async fn check_continuity(
        &self,
        known: &mut Continuity,
        validated: LedgerIndex,
        sequence: u32,
        described: &DescribeSignerResponse,
    ) -> Result<(), NotCompared> {
        let lately = Said::of(described)?;
        if known.seen.as_ref() == Some(&lately) {
            return Ok(());
        }
        let compared = self.compare(known.waited_out, validated, sequence).await?;
        let starts = known.seen.is_none();
        let calls_for = if starts {
            continuity::at_start(compared.facts)
        } else {
            continuity::while_running(compared.facts)
        };
        if let Some(new) = calls_for {
            self.begin_quarantine(new, &compared).await?;
        }
        if starts {
            self.pass(&compared).await?;
        }
        known.seen = Some(compared.said);
        Ok(())
    }

    /// Ends the quarantine once everything that could have been lost is provably dead or known, and no doubt stands.
    pub(super) async fn end_quarantine(
        &self,
        known: &mut Continuity,
        reconciled: LedgerIndex,
        sequence: u32,
    ) -> Result<(), NotCompared> {
        let Some(quarantine) = self.view.now().quarantine else {
            return Ok(());
        };
        if !quarantine.is_over(reconciled) || self.store.cursor().await?.import_from.is_some() {
            return Ok(());
        }
        let compared = self.compare(known.waited_out, reconciled, sequence).await?;
        let goes_on = quarantine.review(reconciled, compared.facts);
        if goes_on == Some(quarantine) {
            return Ok(());
        }
        match goes_on {
            Some(next) => {
                tracing::warn!(reason = %next, "the quarantine goes on: nothing is bound");
                self.take_recovery(&compared).await?;
            }
            None => {
                tracing::info!(ledger = reconciled.0, "quarantine ends");
                known.waited_out = WaitedOut {
                    highest: compared.facts.signer_highest,
                    last_ledger: reconciled,
                };
            }
        }
        self.store
            .set_quarantine(self.epoch(), goes_on, clock::now())
            .await?;
        self.view.update(|v| v.quarantine = goes_on);
        Ok(())
    }

    /// Asks the signer after the store was read: what the store has recorded by then, the signer has said before.
    async fn compare(
        &self,
        waited_out: WaitedOut,
        validated: LedgerIndex,
        sequence: u32,
    ) -> Result<Compared, NotCompared> {
        let recorded = self.store.cursor().await?;
        let signer = self.signer.describe().await?;
        let slots = self.store.slot_facts().await?;
        let said = Said::of(&signer)?;
        let height = said.head.map_or(0, |head| head.height);
        let differs = height == recorded.journal_height
            && said
                .head
                .zip(recorded.journal_hash)
                .is_some_and(|(head, hash)| head.hash != hash);
        let facts = StartFacts {
            validated,
            reconciled: recorded.doubt_from,
            window: self.settings.terms.window,
            journal_height: height,
            recorded_height: recorded.journal_height,
            journal_differs: differs,
            journal_recovered: is_new_recovery(said.recovery, &recorded),
            signer_highest: said.highest_sequence,
            highest_bound: slots.highest_bound.max(Some(waited_out.highest)),
            signer_last_ledger: LedgerIndex(signer.highest_last_ledger_sequence),
            committed_last_ledger: slots.highest_last_ledger.max(waited_out.last_ledger),
            validated_sequence: sequence,
            other_store: !said.store_id.is_empty() && said.store_id != self.store.store_id(),
            epoch: self.epoch(),
            signer_epoch: said.epoch,
        };
        self.view.update(|v| v.signer.described = Some(signer));
        Ok(Compared { said, facts })
    }

    async fn begin_quarantine(
        &self,
        new: Quarantine,
        compared: &Compared,
    ) -> Result<(), StoreError> {
        // One that is running keeps its end, unless the new one ends later or a person has to do something.
        let running = self.store.cursor().await?.quarantine;
        let replaces = running.is_none_or(|running| {
            running.until < new.until || (running.why != new.why && !new.why.ends_by_waiting())
        });
        if replaces || new.why == Doubt::JournalRecovered {
            tracing::warn!(
                reason = %new,
                until_ledger = new.until.0,
                store_id = %hex::encode(self.store.store_id()),
                "quarantine begins: nothing is bound"
            );
            self.store
                .set_quarantine(self.epoch(), Some(new), clock::now())
                .await?;
            self.view.update(|v| v.quarantine = Some(new));
        }
        self.take_recovery(compared).await?;
        // A fresh store knows nothing of the time before it began, whatever else is in doubt.
        if compared.facts.reconciled.is_none() || new.why == Doubt::OtherStore {
            self.store
                .want_import(self.epoch(), self.settings.anchor)
                .await?;
        }
        Ok(())
    }

    /// The signer knows of a row that the store has lost: more may be lost, and alive.
    pub(super) async fn doubt_rows(&self) -> Result<(), StoreError> {
        let view = self.view.now();
        if view.quarantine.is_some() {
            return Ok(());
        }
        let validated = view
            .validated
            .map(|ledger| ledger.index)
            .unwrap_or_default();
        let signed = view
            .signer
            .described
            .as_ref()
            .map_or(0, |signer| signer.highest_last_ledger_sequence);
        let window = validated.plus(self.settings.terms.window);
        let quarantine = Quarantine {
            why: Doubt::SignerAhead,
            until: window.max(LedgerIndex(signed)),
        };
        tracing::warn!(reason = %quarantine, "quarantine begins: nothing is bound");
        self.store
            .set_quarantine(self.epoch(), Some(quarantine), clock::now())
            .await?;
        self.view.update(|v| v.quarantine = Some(quarantine));
        Ok(())
    }

    /// After the quarantine that a recovered journal calls for is committed, its heights are what requests carry.
    async fn take_recovery(&self, compared: &Compared) -> Result<(), StoreError> {
        let (true, Some(recovery)) = (
            compared.facts.journal_recovered && !compared.facts.other_store,
            compared.said.recovery,
        ) else {
            return Ok(());
        };
        tracing::warn!(
            height = recovery.height,
            "a person took the signer's journal into use again"
        );
        self.store
            .record_recovery(self.epoch(), recovery.height, recovery.hash)
            .await?;
        *self.journal.lock().unwrap_or_else(PoisonError::into_inner) = Some(recovery);
        Ok(())
    }

    /// Lets this generation go on, by a number of its own.
    async fn pass(&self, compared: &Compared) -> Result<(), StoreError> {
        let facts = &compared.facts;
        if facts.signer_epoch >= facts.epoch && !facts.other_store {
            let _nobody_writes = self.generation.write().await;
            let raised = self
                .store
                .raise_epoch(self.epoch(), facts.signer_epoch)
                .await?;
            tracing::warn!(
                epoch = raised,
                signer_epoch = facts.signer_epoch,
                "the store was set back: its generation is raised above what the signer has heard of"
            );
            self.epoch.store(raised, Ordering::Release);
            self.view.update(|v| v.epoch = raised);
        }
        let foreign = self
            .store
            .judge_imported(self.epoch(), facts.signer_highest, clock::now())
            .await?;
        if !foreign.is_empty() {
            let frozen = self.store.cursor().await?.frozen;
            tracing::error!(reason = ?frozen, "the wallet is frozen: nothing is sent until a person looked");
            self.view.update(|v| v.frozen = frozen);
        }
        self.store.pass_continuity(self.epoch(), clock::now()).await
    }
}

fn is_new_recovery(recovery: Option<JournalHead>, recorded: &Cursor) -> bool {
    recovery.is_some_and(|head| recorded.recovery != Some((head.height, head.hash)))
}

impl Said {
    fn of(signer: &DescribeSignerResponse) -> Result<Self, CallFailed> {
        Ok(Self {
            head: JournalHead::from_wire(signer.journal_head.as_ref())?,
            recovery: JournalHead::from_wire(signer.journal_recovery.as_ref())?,
            store_id: signer.store_id.clone(),
            epoch: signer.epoch,
            highest_sequence: signer.highest_sequence,
        })
    }
}
