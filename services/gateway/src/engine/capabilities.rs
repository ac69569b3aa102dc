//! What the gateway can do now, from what was just seen, and the report that people read.
//!
//! Owns: which signal each capability rests on, and the sentence that names it. May not: look at anything by itself, or decide
//! about a payment: the dispatcher has its own obstacles.

use std::time::Duration;

use paygate_payments::payment::StateName;
use paygate_proto::v1::PaymentReason;
use paygate_telemetry::health::{Health, Serving};
use xrpl_tx::Drops;

use super::confirm::LEDGERS_BEHIND_MAX;
use crate::admin::{Check, CheckStatus, HealthReport, ServerReport};
use crate::clock::Millis;
use crate::metrics::Metrics;
use crate::store::Summary;
use crate::view::EngineView;
use crate::xrpl::ServerPicture;

/// Below it the wallet cannot do its work (design: minimum of the health check).
const BALANCE_MIN: Drops = Drops::from_const(10_000_000);

/// The oldest payment that is not final should not be older.
const OLDEST_PENDING_MAX: Duration = Duration::from_secs(300);

/// What starts the names of capabilities in the health service.
const PREFIX: &str = "paygate.capability.";

/// A signal is there, or this is why not.
type Signal = Result<(), String>;

/// One look at everything.
#[derive(Debug)]
pub(super) struct Seen<'a> {
    /// Link, signer and wallet, as they were seen last.
    pub(super) view: &'a EngineView,
    /// How long a write that changes nothing took, or why it failed.
    pub(super) store: Result<Duration, String>,
    /// What the rows say; none as long as nobody could read them.
    pub(super) summary: Option<&'a Summary>,
    /// Now.
    pub(super) now: Millis,
    /// Slower answers of ledger servers degrade the check `xrpl`.
    pub(super) latency_threshold: Duration,
}

/// Every capability, by the last part of its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Capabilities {
    pub(super) accept: Signal,
    pub(super) submit: Signal,
    pub(super) confirm: Signal,
    pub(super) sign: Signal,
    pub(super) ledger: Signal,
    pub(super) store: Signal,
    pub(super) wallet: Signal,
}

impl Capabilities {
    /// What each rests on.
    pub(super) fn of(seen: &Seen<'_>) -> Self {
        let view = seen.view;
        let running = if view.draining {
            Err("the process is stopping".to_owned())
        } else {
            Ok(())
        };
        let store = seen.store.clone().map(|_| ());
        let ledger = ledger(view);
        let sign = sign(view);
        let accept = running.and(store.clone());
        Self {
            submit: accept
                .clone()
                .and(ledger.clone())
                .and(sign.clone())
                .and(clear(view)),
            confirm: ledger.clone().and(store.clone()).and(reconciled(view)),
            wallet: wallet(view),
            accept,
            sign,
            ledger,
            store,
        }
    }

    fn by_name(&self) -> [(&'static str, &Signal); 7] {
        [
            ("accept", &self.accept),
            ("submit", &self.submit),
            ("confirm", &self.confirm),
            ("sign", &self.sign),
            ("ledger", &self.ledger),
            ("store", &self.store),
            ("wallet", &self.wallet),
        ]
    }

    /// Tells the health service, which counts, and the gauges what it says.
    pub(super) fn tell(&self, health: &Health, metrics: &Metrics) {
        for whole in ["", "paygate.v1.PaymentService"] {
            health.observe(whole, self.accept.clone());
        }
        for (capability, signal) in self.by_name() {
            let name = format!("{PREFIX}{capability}");
            health.observe(&name, signal.clone());
            metrics.capability(capability, health.get(&name) == Some(Serving::Yes));
        }
    }

    /// What people read. A check is unhealthy exactly while its capability does not serve.
    pub(super) fn report(&self, seen: &Seen<'_>, health: &Health) -> HealthReport {
        let view = seen.view;
        let slow = slow(view, seen.latency_threshold);
        let mut xrpl = check(health, "xrpl", "ledger", &self.ledger, &view.link.detail);
        xrpl.latency_ms = view
            .link
            .connected
            .then_some(u64::from(view.link.latency_ms));
        if let (CheckStatus::Healthy, Some(why)) = (
            xrpl.status,
            view.link.alarm.clone().or(slow).or(set_aside(view)),
        ) {
            xrpl.status = CheckStatus::Degraded;
            xrpl.detail = why;
        }
        let balance = view.account.as_ref().map_or_else(String::new, |account| {
            format!("balance {}, minimum {BALANCE_MIN}", account.balance)
        });
        let mut store = check(health, "store", "store", &self.store, "commits");
        store.latency_ms = seen
            .store
            .as_ref()
            .ok()
            .map(|took| u64::try_from(took.as_millis()).unwrap_or(u64::MAX));
        HealthReport {
            checks: vec![
                xrpl,
                check(health, "wallet", "wallet", &self.wallet, &balance),
                pending(seen.summary, seen.now),
                check(
                    health,
                    "signer",
                    "sign",
                    &self.sign,
                    "the canary signature verifies",
                ),
                store,
            ],
            servers: view.link.servers.iter().map(server).collect(),
        }
    }
}

/// Servers that are not asked, where others do their work.
fn set_aside(view: &EngineView) -> Option<String> {
    let aside = view.link.servers.iter().filter(|server| !server.used);
    let named: Vec<String> = aside
        .map(|server| format!("{} is set aside: {}", server.name, server.reason))
        .collect();
    (!named.is_empty()).then(|| named.join("; "))
}

fn server(server: &ServerPicture) -> ServerReport {
    ServerReport {
        name: server.name.clone(),
        state: server.state(),
        reason: server.reason.clone(),
        validated_ledger: server.newest,
        lag_ledgers: server.lag,
        latency_ms: server.latency_ms,
    }
}

fn ledger(view: &EngineView) -> Signal {
    if !view.link.connected {
        return Err(format!("no connection to the ledger: {}", view.link.detail));
    }
    if let Some(why) = &view.link.unusable {
        return Err(format!("the ledger server cannot be used: {why}"));
    }
    if view.halted {
        return Err("the network is halted: no new validated ledger".to_owned());
    }
    Ok(())
}

fn sign(view: &EngineView) -> Signal {
    if let Some(why) = &view.signer.unreachable {
        return Err(why.clone());
    }
    if view.signer.described.is_none() {
        return Err("the signer was not asked yet".to_owned());
    }
    if !view.signer.serving {
        return Err("the signer's canary signature fails".to_owned());
    }
    match &view.blocked {
        // It answers questions about itself, but not the one that matters.
        Some(blocked) if blocked.reason == PaymentReason::SignerUnavailable => {
            Err(blocked.detail.clone())
        }
        _ => Ok(()),
    }
}

/// Nothing that a person or time has to clear stands in the way of sending.
fn clear(view: &EngineView) -> Signal {
    match (&view.frozen, view.doubt()) {
        (Some(freeze), _) => Err(format!("frozen: {}", freeze.why)),
        (None, Some(doubt)) => Err(format!("quarantine: {doubt}")),
        (None, None) => Ok(()),
    }
}

fn reconciled(view: &EngineView) -> Signal {
    match (view.validated, view.unreconciled()) {
        (None, _) => Err("no ledger reconciled yet".to_owned()),
        (Some(done), behind) if behind > LEDGERS_BEHIND_MAX => Err(format!(
            "reconciled up to ledger {}, {behind} behind the server",
            done.index
        )),
        (Some(_), _) => Ok(()),
    }
}

fn wallet(view: &EngineView) -> Signal {
    match &view.account {
        None => Err("the wallet was not read yet".to_owned()),
        Some(account) if account.balance < BALANCE_MIN => Err(format!(
            "balance {} is below the minimum {BALANCE_MIN}",
            account.balance
        )),
        Some(_) => Ok(()),
    }
}

fn slow(view: &EngineView, threshold: Duration) -> Option<String> {
    let latency = Duration::from_millis(u64::from(view.link.latency_ms));
    (latency > threshold).then(|| {
        format!(
            "requests take {} ms, above monitoring.latency_threshold_ms {}",
            latency.as_millis(),
            threshold.as_millis()
        )
    })
}

/// The health service's word, with what was just seen: a single bad look degrades, and so says what may be coming.
fn check(
    health: &Health,
    name: &'static str,
    capability: &str,
    signal: &Signal,
    when_good: &str,
) -> Check {
    let said = health.get(&format!("{PREFIX}{capability}"));
    let (status, detail) = match (said, signal) {
        (Some(Serving::Yes), Ok(())) => (CheckStatus::Healthy, when_good.to_owned()),
        (Some(Serving::Yes), Err(why)) => (CheckStatus::Degraded, why.clone()),
        (_, Err(why)) => (CheckStatus::Unhealthy, why.clone()),
        (Some(Serving::No(was)), Ok(())) => (
            CheckStatus::Unhealthy,
            format!("coming back, it was: {was}"),
        ),
        (None, Ok(())) => (CheckStatus::Unhealthy, "never told".to_owned()),
    };
    Check {
        name,
        status,
        detail,
        latency_ms: None,
    }
}

fn pending(summary: Option<&Summary>, now: Millis) -> Check {
    let (status, detail) = match summary {
        None => (
            CheckStatus::Degraded,
            "the rows could not be read yet".to_owned(),
        ),
        Some(summary) => {
            let oldest = summary
                .oldest_pending
                .map_or(Duration::ZERO, |at| now.since(at));
            let held = on_hold(summary);
            let text = format!(
                "{} pending, the oldest for {} s, {held} on hold",
                summary.pending,
                oldest.as_secs()
            );
            if oldest > OLDEST_PENDING_MAX {
                let limit = OLDEST_PENDING_MAX.as_secs();
                (
                    CheckStatus::Degraded,
                    format!("{text}: longer than {limit} s"),
                )
            } else if held > 0 {
                (CheckStatus::Degraded, text)
            } else if let Some(pause) = summary.pauses.first() {
                let more = match summary.pauses.len() {
                    1 => String::new(),
                    all => format!(" (and {} more pauses)", all - 1),
                };
                (CheckStatus::Degraded, format!("{text}; {pause}{more}"))
            } else {
                (CheckStatus::Healthy, text)
            }
        }
    };
    Check {
        name: "pending",
        status,
        detail,
        latency_ms: None,
    }
}

/// Payments whose evidence does not decide.
pub(super) fn on_hold(summary: &Summary) -> u64 {
    in_state(summary, StateName::OnHold)
}

/// Payments in this state.
pub(super) fn in_state(summary: &Summary, state: StateName) -> u64 {
    let of = |(name, _): &&(StateName, u64)| *name == state;
    summary.by_state.iter().find(of).map_or(0, |(_, n)| *n)
}

#[cfg(test)]
mod tests;
