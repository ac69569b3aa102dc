//! Counters of the signer. Owns their names. They are pulled by the gateway, as the signer opens no connection.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use paygate_proto::signer::v1::{Metric, MetricKind};

use crate::policy::Policy;
use crate::vault::Description;

/// Counters since the process started.
#[derive(Debug, Default)]
pub struct Metrics {
    /// By method, result and reason. A closed list each, so the map stays below a hundred entries.
    requests: Mutex<BTreeMap<(&'static str, &'static str, &'static str), u64>>,
    canary_failures: AtomicU64,
}

impl Metrics {
    pub(super) fn approved(&self, method: &'static str) {
        self.count(method, "approved", "");
    }

    pub(super) fn replayed(&self, method: &'static str) {
        self.count(method, "replayed", "");
    }

    pub(super) fn denied(&self, method: &'static str, reason: &'static str) {
        self.count(method, "denied", reason);
    }

    pub(super) fn failed(&self, method: &'static str) {
        self.count(method, "failed", "");
    }

    pub(super) fn canary_failed(&self) {
        self.canary_failures.fetch_add(1, Ordering::Relaxed);
    }

    fn count(&self, method: &'static str, result: &'static str, reason: &'static str) {
        let mut requests = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
        *requests.entry((method, result, reason)).or_default() += 1;
    }

    /// Everything as it is now.
    pub(super) fn read(
        &self,
        described: &Description,
        policy: &Policy,
        now_ms: u64,
    ) -> Vec<Metric> {
        let requests = self
            .requests
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        let mut metrics: Vec<Metric> = requests
            .into_iter()
            .map(|((method, result, reason), value)| {
                let labels = [("method", method), ("result", result), ("reason", reason)];
                metric(
                    "paygate_signer_requests_total",
                    MetricKind::Counter,
                    value,
                    &labels,
                )
            })
            .collect();
        let canary_failures = self.canary_failures.load(Ordering::Relaxed);
        metrics.push(metric(
            "paygate_signer_canary_failures_total",
            MetricKind::Counter,
            canary_failures,
            &[],
        ));
        for (name, value) in [
            ("paygate_signer_journal_height", described.head.height),
            (
                "paygate_signer_highest_sequence",
                u64::from(described.highest_sequence),
            ),
            ("paygate_signer_day_used_drops", described.used_day.get()),
            ("paygate_signer_day_limit_drops", policy.max_day.get()),
            (
                "paygate_signer_estimated_ledger_index",
                u64::from(described.estimated_ledger_index),
            ),
            (
                "paygate_signer_anchor_age_seconds",
                now_ms.saturating_sub(policy.anchor_time_ms) / 1000,
            ),
        ] {
            metrics.push(metric(name, MetricKind::Gauge, value, &[]));
        }
        metrics
    }
}

fn metric(name: &str, kind: MetricKind, value: u64, labels: &[(&str, &str)]) -> Metric {
    let labels = labels
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    Metric {
        name: name.to_owned(),
        labels,
        value,
        kind: kind.into(),
    }
}
