//! Brings validated ledgers in, in order and without gaps.
//!
//! Owns: the only path to a final state of a bound payment. May not: submit, sign, or guess from a preliminary result, a
//! timeout or a clock. What a ledger means for a payment is decided by `payments`, in the store's transaction.

use std::sync::Arc;
use std::time::Duration;

use paygate_payments::payment::StateName;
use paygate_payments::proof::NoProof;
use paygate_payments::step::Effect;
use paygate_payments::{LedgerIndex, LedgerRef};
use paygate_telemetry::shutdown::StopToken;
use paygate_telemetry::{TraceParent, propagation};
use xrpl_tx::Drops;

use super::slot::exposure;
use super::witness::Witnessed;
use super::{Engine, EngineError};
use crate::clock::{self, Millis};
use crate::metrics::Stage;
use crate::store::{Reconciled, Reconciliation, SettledStats, StoreError};
use crate::view::{AccountView, LineView};
use crate::xrpl::{AccountFacts, AccountTxError, CallError, LedgerEvent};

/// Ledgers reconciled in one transaction: some ten minutes of the network, far within one walk of account_tx.
const LEDGERS_PER_STEP_MAX: u32 = 200;

/// Further behind the server than this, what is known of the wallet is too old to bind by, and confirming does not work.
pub(super) const LEDGERS_BEHIND_MAX: u32 = 5;

/// Without news from the stream, the newest ledger is looked at so often.
const RETRY_PERIOD: Duration = Duration::from_secs(1);

/// XRPL counts seconds from the beginning of 2000.
const XRPL_EPOCH_UNIX_SECONDS: i64 = 946_684_800;

/// lsfDisableMaster of an account root.
const FLAG_MASTER_DISABLED: u32 = 0x0010_0000;

/// Why the newest ledger could not be reconciled now. It is tried again; nothing was decided.
#[derive(Debug, thiserror::Error)]
pub(super) enum Delay {
    #[error(transparent)]
    Call(#[from] CallError),
    #[error(transparent)]
    History(#[from] AccountTxError),
    #[error("the readings prove nothing: {0:?}")]
    NoProof(NoProof),
    #[error("ledger {0} cannot be shown by the server")]
    NoLedger(u32),
    #[error("the server shows a validated transaction with result {0}")]
    NotFinal(String),
    #[error("the wallet's account is not in ledger {0}")]
    NoAccount(u32),
    #[error("{0}")]
    Store(StoreError),
}

pub(super) async fn run(engine: &Engine, mut stop: StopToken) -> Result<(), EngineError> {
    let mut ledgers = engine.fleet.watch_ledgers();
    let mut tick = tokio::time::interval(RETRY_PERIOD);
    let mut last_delay = String::new();
    loop {
        tokio::select! {
            biased;
            () = stop.stopped() => return Ok(()),
            changed = ledgers.changed() => if changed.is_err() { return Ok(()) },
            _ = tick.tick() => {}
        }
        let Some(newest) = *ledgers.borrow_and_update() else {
            continue;
        };
        let caught_up = match catch_up(engine, newest).await {
            Ok(()) => engine.import_history().await,
            Err(delay) => Err(delay),
        };
        match caught_up {
            Ok(()) => last_delay.clear(),
            Err(Delay::Store(err)) if is_fatal(&err) => return Err(err.into()),
            Err(delay) => {
                let text = delay.to_string();
                if text != last_delay {
                    tracing::warn!(ledger = newest.index, reason = %text, "the ledger cannot be reconciled now");
                    last_delay = text;
                }
            }
        }
    }
}

/// Store errors after which this process must not go on.
pub(super) fn is_fatal(err: &StoreError) -> bool {
    match err {
        StoreError::Fenced { .. }
        | StoreError::Corrupt { .. }
        | StoreError::Stopped
        | StoreError::Sqlite(_) => true,
        // The rest passes, or a person is paged and rows stay as they are.
        _ => false,
    }
}

async fn catch_up(engine: &Engine, newest: LedgerEvent) -> Result<(), Delay> {
    loop {
        let cursor = engine.store.cursor().await.map_err(Delay::Store)?;
        let target = LedgerRef {
            index: LedgerIndex(newest.index),
            hash: newest.hash,
        };
        let Some(done) = cursor.reconciled else {
            // A fresh store has nothing at large: it begins at the present.
            let facts = engine.read_account(target).await?;
            let opened = engine.store.open_books(target, facts.balance);
            opened.await.map_err(Delay::Store)?;
            engine.store.start_at(target).await.map_err(Delay::Store)?;
            publish(engine, target, &facts, newest).await?;
            continue;
        };
        if done.index >= target.index {
            if engine.view.now().account.is_none() && done == target {
                let facts = engine.read_account(target).await?;
                publish(engine, target, &facts, newest).await?;
            }
            return Ok(());
        }
        let next = engine.next_step(done, target).await?;
        reconcile(engine, done, next, newest).await?;
    }
}

impl Engine {
    /// The ledger up to which the next step goes: the newest one, or one on the way if it is far.
    async fn next_step(&self, done: LedgerRef, target: LedgerRef) -> Result<LedgerRef, Delay> {
        if target.index.0 - done.index.0 <= LEDGERS_PER_STEP_MAX {
            return Ok(target);
        }
        self.ledger_at(done.index.0 + LEDGERS_PER_STEP_MAX).await
    }

    /// How far the signer's journal reaches. While continuity is in doubt it is asked anew, after the ledger was read: another gateway
    /// may be served.
    async fn signer_highest(&self) -> Option<u32> {
        let view = self.view.now();
        let fresh = match view.quarantine {
            Some(_) => self.signer.describe().await.ok(),
            None => None,
        };
        let described = fresh.or_else(|| view.signer.described.clone())?;
        Some(described.highest_sequence)
    }
}

async fn reconcile(
    engine: &Engine,
    done: LedgerRef,
    to: LedgerRef,
    newest: LedgerEvent,
) -> Result<(), Delay> {
    let Witnessed {
        facts,
        proof,
        history,
        settled,
    } = engine.witness(done, to).await?;
    let terms = engine.terms_now(to.index).await;
    let signer_highest = engine.signer_highest().await;
    let closed_at = (to.index.0 == newest.index).then(|| close_time(newest.close_time));
    let reconciliation = Reconciliation {
        ledger: to,
        closed_at,
        sequence: facts.sequence,
        balance: facts.balance,
        settled,
        proof,
        terms,
        guards: engine.guards(&history),
        signer_highest,
        window: engine.settings.terms.window,
        at: clock::now(),
    };
    let reconciled = {
        let _same_generation = engine.generation.read().await;
        engine
            .store
            .reconcile(engine.epoch(), reconciliation)
            .await
            .map_err(Delay::Store)?
    };
    report(engine, to, &reconciled).await?;
    publish(engine, to, &facts, newest).await
}

/// Alarms, counters and spans of what was just committed.
async fn report(engine: &Engine, ledger: LedgerRef, reconciled: &Reconciled) -> Result<(), Delay> {
    for (key, state) in &reconciled.changed {
        engine.metrics.payment_entered(state.as_str());
        tracing::info!(payment_id = %key.payment, client_id = %key.client, state = state.as_str(), ledger = ledger.index.0, "payment moved by the ledger");
    }
    for settled in &reconciled.settled {
        let trace = trace_settled(settled, ledger);
        engine.metrics.stage(
            Stage::Confirm,
            clock::now().since(settled.created),
            trace.as_ref(),
        );
        if settled.state == StateName::Paid {
            engine.metrics.payment_paid(settled.amount);
        }
    }
    engine.tell_guards(reconciled);
    for hash in &reconciled.imported {
        tracing::warn!(tx_hash = %hash, ledger = ledger.index.0, "a transaction of the wallet that no row knows: rows were lost");
    }
    if let Some(quarantine) = reconciled.quarantine {
        tracing::warn!(reason = %quarantine, until_ledger = quarantine.until.0, "quarantine begins: nothing is bound");
        engine.view.update(|v| v.quarantine = Some(quarantine));
    }
    if let Some(hash) = reconciled.foreign.first() {
        let why = format!(
            "transaction {hash} of the wallet was not made here: the key may be in other hands"
        );
        engine.freeze(why).await.map_err(Delay::Store)?;
    }
    if reconciled.effects.contains(&Effect::FreezeWallet) {
        // The transaction that took the ledger in has frozen the wallet, and said why.
        let cursor = engine.store.cursor().await.map_err(Delay::Store)?;
        let why = cursor.frozen.map_or_else(
            || {
                format!(
                    "ledger {} decided a slot in a way that a person must look at",
                    ledger.index
                )
            },
            |freeze| freeze.why,
        );
        engine.freeze(why).await.map_err(Delay::Store)?;
    }
    Ok(())
}

fn trace_settled(settled: &SettledStats, ledger: LedgerRef) -> Option<TraceParent> {
    let span = tracing::info_span!(
        "payment.confirm",
        payment_id = settled.key.payment.as_str(),
        xrpl.ledger_index = ledger.index.0,
        paygate.state = settled.state.as_str(),
        paygate.asset = settled.amount.unit(),
    );
    let parent = settled
        .trace_parent
        .as_deref()
        .and_then(|p| p.parse::<TraceParent>().ok());
    if let Some(parent) = &parent {
        propagation::set_remote_parent(&span, parent);
    }
    span.in_scope(|| tracing::info!(payment_id = %settled.key.payment, state = settled.state.as_str(), "payment is decided"));
    parent
}

/// Shows the reconciled ledger to everybody and lets the dispatcher go on.
async fn publish(
    engine: &Engine,
    ledger: LedgerRef,
    facts: &AccountFacts,
    newest: LedgerEvent,
) -> Result<(), Delay> {
    let open = engine.store.open_slots().await.map_err(Delay::Store)?;
    let at_large = exposure(open.iter());
    let reserve = newest
        .reserve_inc
        .get()
        .checked_mul(u64::from(facts.owner_count));
    let reserve = reserve
        .and_then(|n| Drops::new(n).ok())
        .and_then(|d| newest.reserve_base.checked_add(d));
    let reserve = reserve.unwrap_or(Drops::MAX);
    let limits = engine.store.limits();
    let payable = limits.assets.iter();
    let assets = engine
        .inquiry
        .assets(payable.map(|limits| limits.asset), ledger)
        .await;
    let account = AccountView {
        sequence: facts.sequence,
        balance: facts.balance,
        owner_count: facts.owner_count,
        reserve_base: newest.reserve_base,
        reserve,
        spendable: facts
            .balance
            .saturating_sub(reserve)
            .saturating_sub(at_large),
        at_large,
        regular_key: facts.regular_key,
        master_disabled: facts.flags & FLAG_MASTER_DISABLED != 0,
        lines: assets
            .values()
            .filter_map(|observed| LineView::of(observed.fact()))
            .collect(),
        assets: Arc::new(assets),
    };
    engine.metrics.hot_wallet(facts.balance, account.spendable);
    engine.metrics.xrpl_validated_ledger(ledger.index.0);
    engine.view.update(|v| {
        v.validated = Some(ledger);
        v.validated_at = Some(clock::now());
        v.account = Some(account);
    });
    engine.reconciled.notify_one();
    Ok(())
}

pub(super) fn close_time(seconds: u32) -> Millis {
    Millis((i64::from(seconds) + XRPL_EPOCH_UNIX_SECONDS) * 1000)
}
