//! Brings validated ledgers in, in order and without gaps.
//!
//! Owns: the only path to a final state of a bound payment. May not: submit, sign, or guess from a preliminary result, a
//! timeout or a clock. What a ledger means for a payment is decided by `payments`, in the store's transaction.

use std::sync::Arc;
use std::time::Duration;

use paygate_payments::payment::StateName;
use paygate_payments::proof::{
    FinalResult, LedgerBody, LedgerTx, NoProof, Presence, SequenceReading, StateProof,
    TransactionReading,
};
use paygate_payments::step::Effect;
use paygate_payments::{LedgerIndex, LedgerRef};
use paygate_telemetry::shutdown::StopToken;
use paygate_telemetry::{TraceParent, propagation};
use xrpl_tx::{Drops, Memo};

use super::slot::exposure;
use super::{Engine, EngineError};
use crate::clock::{self, Millis};
use crate::metrics::Stage;
use crate::store::{Reconciled, Reconciliation, SettledStats, StoreError};
use crate::view::{AccountView, LineView};
use crate::xrpl::{AccountFacts, AccountTxError, At, CallError, LedgerEvent, LedgerTransaction};

/// Ledgers reconciled in one transaction: some ten minutes of the network, far within one walk of account_tx.
const LEDGERS_PER_STEP_MAX: u32 = 200;

/// Further behind the server than this, what is known of the wallet is too old to bind by, and confirming does not work.
pub(super) const LEDGERS_BEHIND_MAX: u32 = 5;

/// Without news from the stream, the newest ledger is looked at so often.
const RETRY_PERIOD: Duration = Duration::from_secs(1);

/// XRPL counts seconds from the beginning of 2000.
const XRPL_EPOCH_UNIX_SECONDS: i64 = 946_684_800;

/// tfPartialPayment: delivers less than it says. We never set it, so a transaction that does is not ours.
const FLAG_FULLY_CANONICAL: u32 = 0x8000_0000;

/// lsfDisableMaster of an account root.
const FLAG_MASTER_DISABLED: u32 = 0x0010_0000;

/// Why the newest ledger could not be reconciled now. It is tried again; nothing was decided.
#[derive(Debug, thiserror::Error)]
enum Delay {
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
    let mut ledgers = engine.link.watch_ledgers();
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
        match catch_up(engine, newest).await {
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
            let facts = read_account(engine, target).await?;
            engine.store.start_at(target).await.map_err(Delay::Store)?;
            publish(engine, target, &facts, newest).await?;
            continue;
        };
        if done.index >= target.index {
            if engine.view.now().account.is_none() && done == target {
                let facts = read_account(engine, target).await?;
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
        let index = done.index.0 + LEDGERS_PER_STEP_MAX;
        let header = self
            .link
            .ledger_header(index)
            .await?
            .filter(|h| h.validated)
            .ok_or(Delay::NoLedger(index))?;
        Ok(LedgerRef {
            index: LedgerIndex(index),
            hash: header.hash,
        })
    }

    fn state_proof(&self, ledger: LedgerRef, facts: &AccountFacts) -> Result<StateProof, Delay> {
        let reading = SequenceReading {
            source: self.settings.source.clone(),
            validated: facts.validated,
            ledger: LedgerRef {
                index: LedgerIndex(facts.ledger_index),
                hash: facts.ledger_hash,
            },
            account: self.settings.wallet.account,
            sequence: facts.sequence,
        };
        // What the stream announced and what the account was read from must be one ledger.
        if reading.ledger != ledger {
            return Err(Delay::NoProof(NoProof::Contradiction));
        }
        self.settings
            .quorum
            .state_proof(&[reading])
            .map_err(Delay::NoProof)
    }

    async fn presence(&self, tx: &LedgerTransaction) -> Result<Presence, Delay> {
        let hash = match tx.ledger_hash {
            Some(hash) => hash,
            None => {
                let header = self.link.ledger_header(tx.ledger_index).await?;
                header
                    .filter(|h| h.validated)
                    .ok_or(Delay::NoLedger(tx.ledger_index))?
                    .hash
            }
        };
        let reading = TransactionReading {
            source: self.settings.source.clone(),
            validated: tx.validated,
            ledger: LedgerRef {
                index: LedgerIndex(tx.ledger_index),
                hash,
            },
            tx: ledger_tx(tx)?,
        };
        self.settings
            .quorum
            .presence(&[reading])
            .map_err(Delay::NoProof)
    }
}

async fn read_account(engine: &Engine, ledger: LedgerRef) -> Result<AccountFacts, Delay> {
    let index = ledger.index.0;
    let facts = engine
        .link
        .account_info(engine.settings.wallet.account, At::Index(index))
        .await?;
    facts.ok_or(Delay::NoAccount(index))
}

async fn reconcile(
    engine: &Engine,
    done: LedgerRef,
    to: LedgerRef,
    newest: LedgerEvent,
) -> Result<(), Delay> {
    let account = engine.settings.wallet.account;
    let first = match xrpl_tx::mutant!("ledger-skipped") {
        true => (done.index.0 + 2).min(to.index.0),
        false => done.index.0 + 1,
    };
    let history = engine.link.account_tx(account, first, to.index.0).await?;
    let facts = read_account(engine, to).await?;
    #[cfg(paygate_mutants)]
    let facts = super::mutants::account(engine, facts).await;
    let proof = engine.state_proof(to, &facts)?;
    let mut settled = Vec::new();
    for tx in history
        .transactions
        .iter()
        .filter(|tx| tx.account == account)
    {
        settled.push(engine.presence(tx).await?);
    }
    let terms = engine.terms_now(to.index).await;
    let closed_at = (to.index.0 == newest.index).then(|| close_time(newest.close_time));
    let reconciliation = Reconciliation {
        ledger: to,
        closed_at,
        sequence: facts.sequence,
        balance: facts.balance,
        settled,
        proof,
        terms,
        at: clock::now(),
    };
    let reconciled = engine
        .store
        .reconcile(engine.epoch, reconciliation)
        .await
        .map_err(Delay::Store)?;
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
    let payable = engine.settings.limits.assets.iter();
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

fn close_time(seconds: u32) -> Millis {
    Millis((i64::from(seconds) + XRPL_EPOCH_UNIX_SECONDS) * 1000)
}

/// A transaction of the wallet in the core's words.
fn ledger_tx(tx: &LedgerTransaction) -> Result<LedgerTx, Delay> {
    let result =
        FinalResult::parse(&tx.result).ok_or_else(|| Delay::NotFinal(tx.result.clone()))?;
    let plain = tx.flags & !FLAG_FULLY_CANONICAL == 0;
    let body = match (
        tx.transaction_type.as_str(),
        tx.destination,
        tx.plain_amount(),
    ) {
        ("Payment", Some(destination), Some(amount)) if plain && !tx.has_path_fields => {
            LedgerBody::Payment {
                destination,
                destination_tag: tx.destination_tag,
                amount,
                delivered: tx.delivered.money(),
                invoice_id: tx.invoice_id,
            }
        }
        // A no-op of ours is known by its hash, or by the memo that names what it is for.
        ("AccountSet", _, _) if plain => LedgerBody::NoOp,
        _ => LedgerBody::Other,
    };
    let part = |bytes: &Vec<u8>| (!bytes.is_empty()).then(|| bytes.clone());
    let memos = tx.memos.iter().map(|m| Memo {
        memo_type: part(&m.memo_type),
        data: part(&m.data),
        format: part(&m.format),
    });
    Ok(LedgerTx {
        hash: tx.hash,
        account: tx.account,
        slot: tx.slot,
        result,
        fee: tx.fee_charged,
        source_tag: tx.source_tag,
        memos: memos.collect(),
        body,
    })
}
