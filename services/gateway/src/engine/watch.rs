//! Health of signer, link and store; gauges; the signer's spans.
//!
//! Owns: looking at everything once a second and telling what is seen: the view, the capabilities, the health report, the
//! gauges. May not: restart, retry or decide anything.

use std::time::Duration;

use paygate_payments::LedgerIndex;
use paygate_payments::payment::StateName;
use paygate_telemetry::SpanForwarder;
use paygate_telemetry::health::Health;
use paygate_telemetry::shutdown::StopToken;
use tokio::sync::watch;
use tokio::time::MissedTickBehavior;
use xrpl_tx::Drops;

use super::confirm::{LEDGERS_BEHIND_MAX, is_fatal};
use super::{Engine, EngineError};
use crate::admin::{Check, CheckStatus, HealthReport};
use crate::clock;
use crate::store::Summary;
use crate::view::{EngineView, LinkView};
use crate::xrpl::{ConnectionState, Progress};

/// Everything is looked at so often.
const PERIOD: Duration = Duration::from_secs(1);

/// Spans leave the signer's ring so often; the ring holds far more than are made in between.
const PULL_PERIOD: Duration = Duration::from_secs(1);

/// At the end, the signer's last spans get so long.
const LAST_PULL: Duration = Duration::from_secs(2);

/// Below it the wallet cannot do its work (design: minimum of the health check).
const BALANCE_MIN: Drops = Drops::from_const(10_000_000);

/// The oldest payment that is not final should not be older.
const OLDEST_PENDING_MAX: Duration = Duration::from_secs(300);

/// Where what is seen goes.
#[derive(Debug)]
pub struct Outputs {
    /// The gRPC health service.
    pub health: Health,
    /// The JSON report.
    pub report: watch::Sender<HealthReport>,
}

pub(super) async fn run(
    engine: &Engine,
    outputs: Outputs,
    mut stop: StopToken,
) -> Result<(), EngineError> {
    let mut tick = tokio::time::interval(PERIOD);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut progress = Progress::new(clock::instant());
    loop {
        tokio::select! {
            () = stop.stopped() => return Ok(()),
            _ = tick.tick() => {}
        }
        look(engine, &outputs, &mut progress).await?;
    }
}

async fn look(
    engine: &Engine,
    outputs: &Outputs,
    progress: &mut Progress,
) -> Result<(), EngineError> {
    see_link(engine, progress).await;
    see_signer(engine).await;
    let started = clock::instant();
    let store = engine.store.check().await;
    if let Err(err) = &store
        && is_fatal(err)
    {
        return Err(err.clone().into());
    }
    let store = store
        .map(|_| started.elapsed())
        .map_err(|err| err.to_string());
    let summary = engine
        .store
        .summary(clock::now())
        .await
        .map_err(|err| err.to_string());
    let view = engine.view.now();
    if let Ok(summary) = &summary {
        count(engine, &view, summary);
    }
    tell(engine, outputs, &view, store, summary);
    Ok(())
}

async fn see_link(engine: &Engine, progress: &mut Progress) {
    let now = clock::instant();
    if let Some(ledger) = *engine.link.watch_ledgers().borrow() {
        progress.observe(ledger.index, now);
    }
    let halted = progress.is_halted(engine.settings.halt_after, now);
    engine.metrics.ledger_lag(progress.since_change(now));
    let state = engine.link.connection().borrow().clone();
    let (connected, detail) = match state {
        ConnectionState::Connected { .. } => (true, String::new()),
        ConnectionState::Disconnected { reason, .. } => (false, reason.to_string()),
        ConnectionState::WrongNetwork { mismatch, .. } => (false, mismatch.to_string()),
    };
    let newest = engine
        .link
        .watch_ledgers()
        .borrow()
        .map(|ledger| LedgerIndex(ledger.index));
    let mut link = LinkView {
        connected,
        detail,
        latency_ms: 0,
        newest,
    };
    if link.connected {
        match engine.link.server_info().await {
            Ok(info) if info.amendment_blocked => {
                link.connected = false;
                link.detail = "the server is amendment blocked".to_owned();
            }
            Ok(info) => link.detail = info.server_state,
            Err(err) => link.detail = err.to_string(),
        }
        link.latency_ms = u32::try_from(now.elapsed().as_millis()).unwrap_or(u32::MAX);
    }
    engine.view.update(|v| {
        v.link = link;
        v.halted = halted;
    });
}

async fn see_signer(engine: &Engine) {
    let described = engine.signer.describe().await;
    let serving = engine.signer.is_serving().await;
    engine.view.update(|v| match (described, serving) {
        (Ok(described), Ok(serving)) => {
            v.signer.described = Some(described);
            v.signer.unreachable = None;
            v.signer.serving = serving;
        }
        (Err(err), _) | (_, Err(err)) => {
            v.signer.unreachable = Some(err.to_string());
            v.signer.serving = false;
        }
    });
}

fn count(engine: &Engine, view: &EngineView, summary: &Summary) {
    let oldest = summary.oldest_pending.map(|at| clock::now().since(at));
    engine.metrics.pending_payments(summary.pending, oldest);
    engine.metrics.limit_headroom(
        "daily",
        engine
            .settings
            .limits
            .day_max
            .saturating_sub(summary.day_used),
    );
    if let Some(limits) = view
        .signer
        .described
        .as_ref()
        .and_then(|d| d.limits.as_ref())
    {
        let left = limits.max_day_drops.saturating_sub(limits.used_day_drops);
        engine
            .metrics
            .limit_headroom("signer_day", Drops::new(left).unwrap_or(Drops::MAX));
    }
}

/// Capabilities and report from what was just seen. Reasons name the signal.
fn tell(
    engine: &Engine,
    outputs: &Outputs,
    view: &EngineView,
    store: Result<Duration, String>,
    summary: Result<Summary, String>,
) {
    let drained = if view.draining {
        Err("the process is stopping".to_owned())
    } else {
        Ok(())
    };
    let ledger = if !view.link.connected {
        Err(format!("no connection to the ledger: {}", view.link.detail))
    } else if view.halted {
        Err("the network is halted: no new validated ledger".to_owned())
    } else {
        Ok(())
    };
    let sign = match (&view.signer.unreachable, view.signer.serving) {
        (Some(why), _) => Err(why.clone()),
        (None, false) => Err("the signer's canary signature fails".to_owned()),
        (None, true) => Ok(()),
    };
    let clear = match (&view.frozen, view.quarantine) {
        (Some(freeze), _) => Err(format!("frozen: {}", freeze.why)),
        (None, Some(quarantine)) => Err(format!("quarantine: {}", quarantine.why)),
        (None, None) => Ok(()),
    };
    let wallet = match &view.account {
        None => Err("the wallet was not read yet".to_owned()),
        Some(account) if account.balance < BALANCE_MIN => Err(format!(
            "balance {} is below {BALANCE_MIN}",
            account.balance
        )),
        Some(_) => Ok(()),
    };
    let stored = store.clone().map(|_| ());
    let accept = drained.clone().and(stored.clone());
    let reconciled = match (view.validated, view.unreconciled()) {
        (None, _) => Err("no ledger reconciled yet".to_owned()),
        (Some(done), behind) if behind > LEDGERS_BEHIND_MAX => Err(format!(
            "reconciled up to ledger {}, {behind} behind the server",
            done.index
        )),
        (Some(_), _) => Ok(()),
    };
    let confirm = ledger.clone().and(stored.clone()).and(reconciled);
    let submit = accept
        .clone()
        .and(ledger.clone())
        .and(sign.clone())
        .and(clear);
    let health = &outputs.health;
    for (name, state) in [
        ("", &accept),
        ("paygate.v1.PaymentService", &accept),
        ("paygate.capability.accept", &accept),
        ("paygate.capability.submit", &submit),
        ("paygate.capability.confirm", &confirm),
        ("paygate.capability.sign", &sign),
        ("paygate.capability.ledger", &ledger),
        ("paygate.capability.store", &stored),
        ("paygate.capability.wallet", &wallet),
    ] {
        health.observe(name, state.clone());
    }
    let checks = vec![
        xrpl_check(engine, view, ledger),
        check("wallet", wallet, CheckStatus::Degraded, || {
            view.account
                .as_ref()
                .map_or_else(String::new, |a| format!("balance {}", a.balance))
        }),
        pending_check(summary),
        check("signer", sign, CheckStatus::Degraded, || {
            "the canary signature verifies".to_owned()
        }),
        Check {
            latency_ms: store
                .as_ref()
                .ok()
                .map(|d| u64::try_from(d.as_millis()).unwrap_or(u64::MAX)),
            ..check("store", stored, CheckStatus::Unhealthy, || {
                "commits".to_owned()
            })
        },
    ];
    outputs.report.send_replace(HealthReport {
        accepting: accept.is_ok(),
        checks,
    });
}

fn check(
    name: &'static str,
    state: Result<(), String>,
    when_bad: CheckStatus,
    detail: impl FnOnce() -> String,
) -> Check {
    match state {
        Ok(()) => Check {
            name,
            status: CheckStatus::Healthy,
            detail: detail(),
            latency_ms: None,
        },
        Err(why) => Check {
            name,
            status: when_bad,
            detail: why,
            latency_ms: None,
        },
    }
}

/// Without the ledger, payments are still accepted and queued: that is degraded, not broken.
fn xrpl_check(engine: &Engine, view: &EngineView, ledger: Result<(), String>) -> Check {
    let latency = u64::from(view.link.latency_ms);
    let mut check = check("xrpl", ledger, CheckStatus::Degraded, || {
        view.link.detail.clone()
    });
    if check.status == CheckStatus::Healthy
        && Duration::from_millis(latency) > engine.settings.latency_threshold
    {
        check.status = CheckStatus::Degraded;
        check.detail = format!("requests take {latency} ms, above monitoring.latency_threshold_ms");
    }
    check.latency_ms = view.link.connected.then_some(latency);
    check
}

fn pending_check(summary: Result<Summary, String>) -> Check {
    let state = summary.and_then(|summary| {
        let oldest = summary
            .oldest_pending
            .map_or(Duration::ZERO, |at| clock::now().since(at));
        let held = summary
            .by_state
            .iter()
            .find(|(name, _)| *name == StateName::OnHold)
            .map_or(0, |(_, n)| *n);
        let text = format!(
            "{} pending, the oldest for {} s, {held} on hold",
            summary.pending,
            oldest.as_secs()
        );
        if oldest > OLDEST_PENDING_MAX || held > 0 {
            Err(text)
        } else {
            Ok(text)
        }
    });
    match state {
        Ok(detail) => Check {
            name: "pending",
            status: CheckStatus::Healthy,
            detail,
            latency_ms: None,
        },
        Err(detail) => Check {
            name: "pending",
            status: CheckStatus::Degraded,
            detail,
            latency_ms: None,
        },
    }
}

/// Pulls spans and metrics out of the signer, which opens no connection of its own, and hands the spans on.
pub(super) async fn forward_spans(
    engine: &Engine,
    forwarder: Option<SpanForwarder>,
    mut stop: StopToken,
) {
    let mut tick = tokio::time::interval(PULL_PERIOD);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = stop.stopped() => {
                // What the last payments left in the ring.
                let _ = tokio::time::timeout(LAST_PULL, pull(engine, forwarder.as_ref())).await;
                return;
            }
            _ = tick.tick() => pull(engine, forwarder.as_ref()).await,
        }
    }
}

async fn pull(engine: &Engine, forwarder: Option<&SpanForwarder>) {
    // An unreachable signer is told by `see_signer`; telemetry stays silent.
    let Ok(answer) = engine.signer.pull().await else {
        return;
    };
    for metric in &answer.metrics {
        let labels: Vec<(&str, &str)> = metric
            .labels
            .iter()
            .map(|(k, v)| (k.as_str(), v.as_str()))
            .collect();
        engine
            .metrics
            .from_signer(&metric.name, &labels, metric.value);
    }
    engine.metrics.from_signer(
        "paygate_signer_spans_dropped_total",
        &[],
        answer.spans_dropped,
    );
    let Some(forwarder) = forwarder else { return };
    for request in answer.export_trace_requests {
        if let Err(err) = forwarder.send(request).await {
            tracing::debug!(%err, "the signer's spans were not taken by the collector");
        }
    }
}
