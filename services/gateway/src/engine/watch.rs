//! Looks at link, signer and store once a second, and tells what is seen.
//!
//! Owns: the looks, their patience, the view, the gauges. May not: restart, retry or decide anything, or let one dependency
//! that hangs hide the state of the others: all are asked at the same time, and nobody is asked again before he has answered.

use std::pin::Pin;
use std::time::{Duration, Instant};

use paygate_payments::LedgerIndex;
use paygate_telemetry::health::Health;
use paygate_telemetry::shutdown::StopToken;
use tokio::sync::watch;
use tokio::time::MissedTickBehavior;
use xrpl_tx::Drops;

use super::capabilities::{Capabilities, Seen, on_hold};
use super::confirm::is_fatal;
use super::{Engine, EngineError};
use crate::admin::HealthReport;
use crate::clock;
use crate::signer::CallFailed;
use crate::store::{StoreError, Summary};
use crate::view::{EngineView, LinkView};
use crate::xrpl::{CallError, ConnectionState, Progress, ServerInfo};

/// Everything is looked at so often.
const PERIOD: Duration = Duration::from_secs(1);

/// How long a look waits for an answer. What takes longer is looked at again in the next round; it is not asked twice.
const PATIENCE: Duration = Duration::from_secs(1);

/// A signer that is silent for so long does not answer; a commit of its journal takes milliseconds, on a bad disk a second.
const SIGNER_SILENT_MAX: Duration = Duration::from_secs(3);

/// What a server says of itself while it follows the network. In other states it answers from the past, or not at all.
const FOLLOWING: [&str; 3] = ["full", "proposing", "validating"];

/// Where what is seen goes.
#[derive(Debug)]
pub struct Outputs {
    /// The gRPC health service.
    pub health: Health,
    /// The JSON report.
    pub report: watch::Sender<HealthReport>,
}

type DescribedAndServing =
    Result<(paygate_proto::signer::v1::DescribeSignerResponse, bool), CallFailed>;

/// The open questions, and what is remembered between looks.
struct Eyes<'a> {
    link: Question<'a, Result<ServerInfo, CallError>>,
    signer: Question<'a, DescribedAndServing>,
    store: Question<'a, Result<Duration, StoreError>>,
    rows: Question<'a, Result<Summary, StoreError>>,
    progress: Progress,
    /// The newest rows that could be read. Their ages grow while nobody can read.
    summary: Option<Summary>,
}

/// An answer that is still to come.
type Awaited<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// One question at a time: a dependency that hangs gathers no queue of them.
struct Question<'a, T> {
    open: Option<(Instant, Awaited<'a, T>)>,
}

/// What a look brought.
enum Look<T> {
    /// The answer, and how long it took.
    Answer(T, Duration),
    /// None for so long.
    Waiting(Duration),
}

pub(super) async fn run(
    engine: &Engine,
    outputs: Outputs,
    mut stop: StopToken,
) -> Result<(), EngineError> {
    let mut tick = tokio::time::interval(PERIOD);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut eyes = Eyes::new();
    loop {
        tokio::select! {
            biased;
            () = stop.stopped() => return Ok(()),
            _ = tick.tick() => {}
        }
        tokio::select! {
            biased;
            () = stop.stopped() => return Ok(()),
            looked = eyes.look(engine, &outputs) => looked?,
        }
    }
}

impl<'a> Eyes<'a> {
    fn new() -> Self {
        Self {
            link: Question { open: None },
            signer: Question { open: None },
            store: Question { open: None },
            rows: Question { open: None },
            progress: Progress::new(clock::instant()),
            summary: None,
        }
    }

    /// One round.
    async fn look(&mut self, engine: &'a Engine, outputs: &Outputs) -> Result<(), EngineError> {
        let connected = engine.link.connection().borrow().is_connected();
        if !connected {
            // It ends with the connection; the next connection is asked anew.
            self.link.open = None;
        }
        let Self {
            link,
            signer,
            store,
            rows,
            ..
        } = self;
        let link = async {
            match connected {
                true => Some(link.ask(|| engine.link.server_info()).await),
                false => None,
            }
        };
        let (link, signer, store, rows) = tokio::join!(
            link,
            signer.ask(|| ask_signer(engine)),
            store.ask(|| engine.store.check()),
            rows.ask(|| engine.store.summary(clock::now())),
        );
        see_link(engine, &mut self.progress, link);
        see_signer(engine, signer);
        let store = match store {
            Look::Answer(Err(err), _) if is_fatal(&err) => return Err(err.into()),
            Look::Answer(Err(err), _) => Err(format!(
                "the store cannot write: {}",
                engine.store.last_failure().unwrap_or(err.to_string())
            )),
            Look::Answer(Ok(took), _) => Ok(took),
            Look::Waiting(open) => Err(unanswered("the store", open)),
        };
        match rows {
            Look::Answer(Ok(summary), _) => self.summary = Some(summary),
            Look::Answer(Err(err), _) if is_fatal(&err) => return Err(err.into()),
            Look::Answer(Err(_), _) | Look::Waiting(_) => {}
        }
        let view = engine.view.now();
        count(engine, &view, self.summary.as_ref());
        let seen = Seen {
            view: &view,
            store,
            summary: self.summary.as_ref(),
            now: clock::now(),
            latency_threshold: engine.settings.latency_threshold,
        };
        let capabilities = Capabilities::of(&seen);
        capabilities.tell(&outputs.health, &engine.metrics);
        let report = capabilities.report(&seen, &outputs.health);
        outputs.report.send_replace(report);
        Ok(())
    }
}

impl<'a, T> Question<'a, T> {
    /// Waits for the answer to the open question, or asks it first.
    async fn ask<F>(&mut self, question: impl FnOnce() -> F) -> Look<T>
    where
        F: Future<Output = T> + Send + 'a,
    {
        let (asked, answer) = self
            .open
            .get_or_insert_with(|| (clock::instant(), Box::pin(question())));
        let asked = *asked;
        let answer = tokio::time::timeout(PATIENCE, answer).await;
        let took = clock::instant().saturating_duration_since(asked);
        match answer {
            Ok(answer) => {
                self.open = None;
                Look::Answer(answer, took)
            }
            Err(_) => Look::Waiting(took),
        }
    }
}

fn unanswered(who: &str, open: Duration) -> String {
    format!("{who} has not answered for {} ms", open.as_millis())
}

/// What the signer says of itself, and what its own health service says of its canary.
async fn ask_signer(engine: &Engine) -> DescribedAndServing {
    let described = engine.signer.describe().await?;
    Ok((described, engine.signer.is_serving().await?))
}

fn see_signer(engine: &Engine, look: Look<DescribedAndServing>) {
    engine.view.update(|v| match look {
        Look::Answer(Ok((described, serving)), _) => {
            v.signer.described = Some(described);
            v.signer.unreachable = None;
            v.signer.serving = serving;
        }
        Look::Answer(Err(err), _) => {
            v.signer.unreachable = Some(err.to_string());
            v.signer.serving = false;
        }
        Look::Waiting(open) if open < SIGNER_SILENT_MAX => {}
        Look::Waiting(open) => {
            v.signer.unreachable = Some(unanswered("the signer", open));
            v.signer.serving = false;
        }
    });
}

fn see_link(
    engine: &Engine,
    progress: &mut Progress,
    look: Option<Look<Result<ServerInfo, CallError>>>,
) {
    let now = clock::instant();
    let newest = *engine.link.watch_ledgers().borrow();
    if let Some(ledger) = newest {
        progress.observe(ledger.index, now);
    }
    let halted = progress.is_halted(engine.settings.halt_after, now);
    let (connected, detail) = match engine.link.connection().borrow().clone() {
        ConnectionState::Connected { .. } => (true, String::new()),
        ConnectionState::Disconnected { reason, .. } => (false, reason.to_string()),
        ConnectionState::WrongNetwork { mismatch, .. } => (false, mismatch.to_string()),
    };
    let mut link = LinkView {
        connected,
        detail,
        unusable: None,
        latency_ms: 0,
        newest: newest.map(|ledger| LedgerIndex(ledger.index)),
    };
    if let (true, Some(look)) = (connected, look) {
        let took = match look {
            Look::Answer(Ok(info), took) => {
                link.connected = !info.amendment_blocked;
                link.detail = match info.amendment_blocked {
                    true => "the server is amendment blocked".to_owned(),
                    false => info.server_state.clone(),
                };
                let follows = FOLLOWING.contains(&info.server_state.as_str());
                link.unusable = (!follows).then(|| format!("its state is {}", info.server_state));
                took
            }
            Look::Answer(Err(err), took) => {
                link.unusable = Some(err.to_string());
                took
            }
            // Slow, and perhaps dead: the request's own deadline decides, or silence on the connection.
            Look::Waiting(open) => {
                link.detail = unanswered("the server", open);
                open
            }
        };
        link.latency_ms = u32::try_from(took.as_millis()).unwrap_or(u32::MAX);
    }
    engine.view.update(|v| {
        v.link = link;
        v.halted = halted;
    });
    let behind = engine.view.now().unreconciled();
    engine
        .metrics
        .ledger_lag(progress.since_change(now), behind);
}

fn count(engine: &Engine, view: &EngineView, summary: Option<&Summary>) {
    let metrics = &engine.metrics;
    metrics.standstill(view.frozen.is_some(), view.quarantine.is_some());
    let limits = &engine.settings.limits;
    if let Some(summary) = summary {
        let oldest = summary.oldest_pending.map(|at| clock::now().since(at));
        metrics.pending_payments(summary.pending, oldest);
        let room = limits.pending_max.saturating_sub(summary.pending);
        metrics.pending_room(room, on_hold(summary));
        let left = limits.day_max.saturating_sub(summary.day_used);
        metrics.limit_headroom("daily", left);
    }
    let Some(signer) = &view.signer.described else {
        return;
    };
    if let Some(limits) = &signer.limits {
        let left = limits.max_day_drops.saturating_sub(limits.used_day_drops);
        metrics.limit_headroom("signer_day", Drops::new(left).unwrap_or(Drops::MAX));
    }
    if let Some(validated) = view.link.newest {
        metrics.signer_estimate(signer.estimated_ledger_index, validated.0);
    }
}
