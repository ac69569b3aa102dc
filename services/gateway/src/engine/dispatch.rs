//! Binds accepted payments to slots, has versions signed, fills dead slots, sends.
//!
//! Owns: the order of one turn: lowest slot first, commit before asking, ask before sending. May not: end a payment.

use std::sync::Arc;
use std::time::Duration;

use paygate_payments::bump;
use paygate_payments::filler::Filler;
use paygate_payments::payment::{VersionKind, Versions};
use paygate_payments::slots;
use paygate_payments::step::Event;
use paygate_payments::terms::{self, FeeFacts};
use paygate_payments::{LedgerIndex, LedgerRef};
use paygate_proto::v1::PaymentReason;
use paygate_telemetry::shutdown::StopToken;
use tokio::task::JoinSet;

use super::bind::Bound;
use super::confirm::{LEDGERS_BEHIND_MAX, is_fatal};
use super::creating;
use super::halt::Resuming;
use super::inquiry::Ground;
use super::preflight::Memory;
use super::sign::{Answer, Unsigned};
use super::start::{Continuity, NotCompared};
use super::submit::Sendable;
use super::{Engine, EngineError, fanout};
use crate::clock;
use crate::store::{OpenSlot, Record, StoreError};
use crate::view::{AccountView, Blocked, EngineView, Waits};

/// Signatures asked for at once: enough to fill the signer's group commit, few enough to keep answers in order.
const SIGN_BATCH_MAX: usize = 16;

/// A turn is taken at least so often, so that nothing depends on a wake-up.
const TURN_PERIOD: Duration = Duration::from_millis(500);

/// Payments looked at beyond those that there is room for, because as many before them wait for something of their own.
const HELD_BACK_MAX: usize = 256;

/// What a single payment can wait for while others go on.
const OWN_REASONS: [PaymentReason; 4] = [
    PaymentReason::LedgerUnavailable,
    PaymentReason::AssetUnavailable,
    PaymentReason::InsufficientFunds,
    PaymentReason::Headroom,
];

/// What a dispatcher remembers between turns. Nothing of it is needed for safety.
pub(super) struct Dispatcher {
    pub(super) engine: Arc<Engine>,
    /// What came of comparing store, signer and ledger.
    continuity: Continuity,
    /// The ledger at which everything was sent last.
    sent_at: Option<LedgerIndex>,
    /// What pre-flight knows of destinations.
    memory: Memory,
    /// So many payments waited for something of their own in the last turn.
    held_back: usize,
    /// When to go on after a halt.
    resuming: Resuming,
}

/// Why accepted payments wait, if they do.
#[derive(Debug, Default)]
struct Standstill {
    /// All of them.
    all: Option<Blocked>,
    /// Single ones.
    single: Waits,
}

/// What a turn works with: one consistent picture.
pub(super) struct Turn {
    pub(super) validated: LedgerRef,
    pub(super) account: AccountView,
    /// The highest Sequence that the signer signed for.
    pub(super) signer_highest: u32,
}

pub(super) async fn run(engine: Arc<Engine>, stop: StopToken) -> Result<(), EngineError> {
    tokio::select! {
        biased;
        ended = turns(Arc::clone(&engine), stop) => ended,
        failed = fanout::run(&engine) => failed.map_err(EngineError::from),
    }
}

async fn turns(engine: Arc<Engine>, mut stop: StopToken) -> Result<(), EngineError> {
    let mut dispatcher = Dispatcher {
        engine: Arc::clone(&engine),
        continuity: Continuity::default(),
        sent_at: None,
        memory: Memory::default(),
        held_back: 0,
        resuming: Resuming::default(),
    };
    let mut tick = tokio::time::interval(TURN_PERIOD);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            biased;
            () = stop.stopped() => return Ok(()),
            () = engine.wake.notified() => {}
            () = engine.reconciled.notified() => {}
            _ = tick.tick() => {}
        }
        match dispatcher.turn().await {
            Ok(standstill) => {
                for reason in OWN_REASONS {
                    let of = standstill.single.values().filter(|b| b.reason == reason);
                    let name = reason.as_str_name().trim_start_matches("PAYMENT_REASON_");
                    engine.metrics.held_back(name, of.count());
                }
                engine.view.update(|v| {
                    v.blocked = standstill.all;
                    v.waits = standstill.single;
                });
            }
            Err(err) if is_fatal(&err) => return Err(err.into()),
            Err(err) => {
                tracing::warn!(%err, "a turn of the dispatcher was cut short, the next one goes on")
            }
        }
    }
}

impl Standstill {
    fn of(all: Blocked) -> Self {
        Self {
            all: Some(all),
            single: Waits::default(),
        }
    }
}

impl Turn {
    /// What pre-flight stands on.
    fn ground(&self) -> Ground {
        Ground {
            ledger: self.validated,
            reserve_base: self.account.reserve_base,
        }
    }
}

impl Dispatcher {
    /// One turn.
    async fn turn(&mut self) -> Result<Standstill, StoreError> {
        let engine = Arc::clone(&self.engine);
        // Rows first: the picture is then at least as new, and a slot decided in between is seen as open, never as a gap.
        let open = engine.store.open_slots().await?;
        let view = engine.view.now();
        engine
            .answers()
            .keep_only(|slot| open.iter().any(|o| o.slot == slot));
        // What is at large already goes first: its slots are lower.
        self.send_again(&view, &open).await?;
        match self.prepare(&view).await? {
            Ok(turn) => {
                let (signed, standstill) = self.advance(&turn, open).await?;
                engine.send(&signed).await?;
                Ok(standstill)
            }
            Err(obstacle) => Ok(Standstill::of(obstacle)),
        }
    }

    /// What is needed before anything may be bound or signed.
    async fn prepare(&mut self, view: &EngineView) -> Result<Result<Turn, Blocked>, StoreError> {
        let engine = &self.engine;
        let (Some(validated), Some(account)) = (view.validated, view.account.clone()) else {
            return Ok(Err(blocked(
                PaymentReason::LedgerUnavailable,
                "no validated ledger was read yet",
            )));
        };
        let signer = match (&view.signer.described, &view.signer.unreachable) {
            (Some(described), None) => described.clone(),
            (_, Some(why)) => return Ok(Err(blocked(PaymentReason::SignerUnavailable, why))),
            (None, None) => {
                return Ok(Err(blocked(
                    PaymentReason::SignerUnavailable,
                    "not asked yet",
                )));
            }
        };
        let known = &mut self.continuity;
        let (ledger, sequence) = (validated.index, account.sequence);
        let compared = match engine
            .check_continuity(known, ledger, sequence, &signer)
            .await
        {
            Ok(()) => engine.end_quarantine(known, ledger, sequence).await,
            Err(why) => Err(why),
        };
        match compared {
            Ok(()) => {}
            Err(NotCompared::Store(error)) => return Err(error),
            Err(NotCompared::Signer(failed)) => {
                let why = failed.to_string();
                return Ok(Err(blocked(PaymentReason::SignerUnavailable, &why)));
            }
        }
        let view = engine.view.now();
        let pausing = self
            .resuming
            .after_halt(view.halted, validated, account.sequence);
        Ok(match obstacle(&view).or(pausing) {
            Some(obstacle) => Err(obstacle),
            None => Ok(Turn {
                validated,
                account,
                signer_highest: signer.highest_sequence,
            }),
        })
    }

    /// Everything that makes new signatures. Returns what may be sent for the first time, in slot order.
    async fn advance(
        &mut self,
        turn: &Turn,
        mut open: Vec<OpenSlot>,
    ) -> Result<(Vec<Sendable>, Standstill), StoreError> {
        let engine = Arc::clone(&self.engine);
        let waiting = self.waiting(open.len()).await?;
        let assets = &turn.account.assets;
        let looking = self
            .memory
            .look(&engine.inquiry, turn.ground(), assets, &waiting);
        // Both ask the same servers; neither needs the other's answer.
        let (facts, mut looked) = tokio::join!(engine.fee_facts(), looking);
        creating::wait_for_ours(&mut looked, &waiting, &open, turn.account.reserve_base);
        let facts = match facts {
            Ok(facts) => facts,
            Err(err) => {
                let why = blocked(PaymentReason::LedgerUnavailable, &err.to_string());
                return Ok((Vec::new(), Standstill::of(why)));
            }
        };
        let head = open
            .first()
            .and_then(OpenSlot::highest_last_ledger)
            .unwrap_or(LedgerIndex(0));
        self.cancel_and_fill(turn, &open, facts, head).await?;
        let raised = self.raise(turn, &open, facts).await?;
        let Bound { count, why, waits } = self
            .bind(turn, &open, (facts, head), (&waiting, looked))
            .await?;
        self.held_back = waits.len();
        if count > 0 || raised || self.changed(&open) {
            open = engine.store.open_slots().await?;
        }
        let (signed, denied) = self.sign_all(unsigned(&open)).await?;
        let standstill = Standstill {
            all: denied.or(why),
            single: Arc::new(waits),
        };
        Ok((signed, standstill))
    }

    /// The oldest accepted payments: one more than there is room for, so that it is known whether more wait, and as many more
    /// as were held back by something of their own.
    async fn waiting(&self, at_large: usize) -> Result<Vec<Record>, StoreError> {
        if self.engine.view.now().wallet_pause().is_some() {
            return Ok(Vec::new());
        }
        let left = self.engine.settings.at_large_max.saturating_sub(at_large);
        if left == 0 {
            return self.engine.store.waiting(1).await;
        }
        let held_back = self.held_back.min(HELD_BACK_MAX);
        let limit = left.saturating_add(1).saturating_add(held_back);
        self.engine.store.waiting(limit).await
    }

    /// True if slots are there whose rows this turn may have changed before binding.
    fn changed(&self, open: &[OpenSlot]) -> bool {
        open.iter()
            .any(|slot| slot.filler.is_some() || slot.wants_noop())
    }

    /// No-ops for slots whose payment has ended or is to be cancelled, and for gaps that no row has.
    async fn cancel_and_fill(
        &self,
        turn: &Turn,
        open: &[OpenSlot],
        facts: FeeFacts,
        head: LedgerIndex,
    ) -> Result<(), StoreError> {
        let engine = &self.engine;
        let Ok(terms) = terms::choose(
            facts,
            engine.settings.terms,
            turn.validated.index,
            head,
            None,
        ) else {
            return Ok(());
        };
        for slot in open {
            if let Some(filler) = &slot.filler
                && filler.wants_version(turn.validated.index)
            {
                let owner = filler.owner.clone();
                // The lowest slot holds up all others: after a window without it, its no-op bids more.
                let lowest = open.first().is_some_and(|first| first.slot == slot.slot);
                let terms = match &filler.versions {
                    Some(versions) if slot.has_noop() => {
                        let cap = engine.settings.terms.fee_max;
                        bump::after_a_window(terms, versions, lowest, cap)
                    }
                    _ => terms,
                };
                engine
                    .store
                    .add_filler(engine.epoch(), slot.slot, owner, terms, clock::now())
                    .await?;
            }
            if slot.wants_noop()
                && let Some(record) = &slot.owner
            {
                let key = record.payment.intent.key.clone();
                let cap = engine.settings.terms.fee_max;
                let noop = terms.outbidding(slot.highest_fee(), cap);
                let event = Event::NoOpAdded(noop);
                let added = engine
                    .store
                    .advance(engine.epoch(), key, event, Vec::new(), clock::now())
                    .await;
                match added {
                    Err(error @ StoreError::OnLedger { .. }) => {
                        engine.freeze(error.to_string()).await?;
                    }
                    added => drop(added?),
                }
            }
        }
        let numbers: Vec<u32> = open.iter().map(|o| o.slot.number()).collect();
        for gap in slots::gaps(turn.account.sequence, &numbers, turn.signer_highest) {
            tracing::warn!(
                slot = gap.number(),
                "no row has this slot and it blocks those behind it: a no-op fills it"
            );
            engine
                .store
                .add_filler(engine.epoch(), gap, None, terms, clock::now())
                .await?;
        }
        Ok(())
    }

    /// Has everything signed that is committed and not signed, in order, some at once.
    async fn sign_all(
        &self,
        work: Vec<Unsigned>,
    ) -> Result<(Vec<Sendable>, Option<Blocked>), StoreError> {
        let mut ready = Vec::new();
        let mut why = None;
        for batch in work.chunks(SIGN_BATCH_MAX) {
            // A freeze may have come since the turn began.
            if let Some(freeze) = self.engine.view.now().frozen.clone()
                && !xrpl_tx::mutant!("freeze-ignored")
            {
                why = Some(blocked(PaymentReason::WalletFrozen, &freeze.why));
                break;
            }
            let mut calls = JoinSet::new();
            for one in batch {
                calls.spawn(Arc::clone(&self.engine).sign(one.clone()));
            }
            let mut answers = Vec::new();
            while let Some(answer) = calls.join_next().await {
                // A panic in there is a bug: it ends the process as any other would.
                answers.push(answer.map_err(|_| StoreError::Stopped)??);
            }
            for answer in answers {
                match answer {
                    Answer::Signed(sendable) => ready.push(*sendable),
                    Answer::Withheld => {}
                    Answer::Denied {
                        reason,
                        message,
                        slot,
                    } => {
                        let detail = format!("slot {slot}: {}: {message}", reason.as_str_name());
                        why = Some(blocked(PaymentReason::SignerDenied, &detail));
                    }
                    Answer::Unknown(failed) => {
                        why = Some(blocked(
                            PaymentReason::SignerUnavailable,
                            &failed.to_string(),
                        ));
                    }
                    Answer::Frozen => {
                        why = Some(blocked(PaymentReason::WalletFrozen, "frozen just now"))
                    }
                }
            }
            if why.is_some() {
                break;
            }
        }
        ready.sort_by_key(|sendable| sendable.slot);
        Ok((ready, why))
    }

    /// With each newly reconciled ledger, everything that is still open is sent again, lowest slot first.
    async fn send_again(&mut self, view: &EngineView, open: &[OpenSlot]) -> Result<(), StoreError> {
        let Some(validated) = view.validated else {
            return Ok(());
        };
        if self.sent_at == Some(validated.index) || view.frozen.is_some() || !view.link.connected {
            return Ok(());
        }
        self.sent_at = Some(validated.index);
        let blobs: Vec<Sendable> = open
            .iter()
            .filter_map(|slot| sendable(slot, validated.index))
            .collect();
        self.engine.fan_out.begin();
        self.engine.send(&blobs).await
    }
}

/// What holds back every payment at once.
fn obstacle(view: &EngineView) -> Option<Blocked> {
    if let Some(freeze) = &view.frozen
        && !xrpl_tx::mutant!("freeze-ignored")
    {
        return Some(blocked(PaymentReason::WalletFrozen, &freeze.why));
    }
    if let Some(doubt) = view.doubt() {
        return Some(blocked(PaymentReason::Quarantine, &doubt));
    }
    if let Some(awaited) = view.announced.first() {
        let detail = format!(
            "transaction {}, made outside and announced ({}), is awaited until ledger {}",
            awaited.tx_hash, awaited.reason, awaited.last_ledger
        );
        return Some(blocked(PaymentReason::Paused, &detail));
    }
    if !view.link.connected {
        return Some(blocked(PaymentReason::LedgerUnavailable, &view.link.detail));
    }
    let behind = view.unreconciled();
    if behind > LEDGERS_BEHIND_MAX {
        let detail = format!("{behind} validated ledgers are not reconciled yet");
        return Some(blocked(PaymentReason::LedgerUnavailable, &detail));
    }
    if view.halted {
        return Some(blocked(
            PaymentReason::NetworkHalted,
            "no new validated ledger",
        ));
    }
    if let Some(why) = &view.link.unusable {
        return Some(blocked(PaymentReason::LedgerUnavailable, why));
    }
    if !view.signer.serving {
        return Some(blocked(
            PaymentReason::SignerUnavailable,
            "its health service does not say SERVING",
        ));
    }
    None
}

/// Committed versions without a signature, lowest slot first.
fn unsigned(open: &[OpenSlot]) -> Vec<Unsigned> {
    let newest = |slot: &OpenSlot, versions: &Versions, memo| {
        let (number, version) = versions.latest();
        version.signed.is_none().then(|| Unsigned {
            slot: slot.slot,
            owner: slot.owner.clone(),
            number,
            version: version.clone(),
            memo,
        })
    };
    open.iter()
        .filter_map(|slot| match (&slot.filler, slot.live_versions()) {
            (Some(filler), _) => filler_version(filler)
                .then(|| newest(slot, filler.versions.as_ref()?, Some(filler.memo())))?,
            // A cancelled payment's own versions are never asked for again; its no-op comes once there are terms for it.
            (None, Some(versions)) if slot.is_cancelled() && !ends_in_noop(versions) => None,
            (None, Some(versions)) => newest(slot, versions, slot.noop_memo()),
            (None, None) => None,
        })
        .collect()
}

/// A filler's newest version is a no-op; a dead payment's version is never asked for again.
fn filler_version(filler: &Filler) -> bool {
    filler.versions.as_ref().is_some_and(ends_in_noop)
}

fn ends_in_noop(versions: &Versions) -> bool {
    versions.latest().1.kind == VersionKind::NoOp
}

/// The blob of an open slot that may still get into a ledger.
fn sendable(slot: &OpenSlot, validated: LedgerIndex) -> Option<Sendable> {
    let versions = match &slot.filler {
        Some(filler) => filler.versions.as_ref()?,
        None => slot.live_versions()?,
    };
    let noop_only = slot.filler.is_some() || slot.is_cancelled();
    let newest = versions
        .as_slice()
        .iter()
        .rev()
        .find(|v| v.signed.is_some())?;
    if newest.last_ledger <= validated || (noop_only && newest.kind == VersionKind::Payment) {
        return None;
    }
    let signed = newest.signed.clone()?;
    Some(Sendable {
        slot: slot.slot,
        owner: slot.owner.clone(),
        signed,
    })
}

pub(super) fn blocked(reason: PaymentReason, detail: &str) -> Blocked {
    Blocked {
        reason,
        detail: detail.to_owned(),
    }
}

#[cfg(test)]
mod tests;
