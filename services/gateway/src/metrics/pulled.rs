//! Pulled: metrics that the signer counts and the gateway shows, as the signer itself has no listener to scrape.
//!
//! Owns: the list of what is taken over. May not: let the signer choose a name or fill the scrape; whatever is not on the
//! list is dropped.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric, MetricEncoder};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;

use super::reference;

/// Label values longer than this are refused: they are words of closed enums, not text.
const LABEL_CHARS_MAX: usize = 48;

/// Values kept of one metric. Its methods, results and reasons multiply to fewer.
const VALUES_MAX: usize = 256;

/// What is taken over. The signer's own count of its requests is shown as decisions, because the gateway counts requests
/// to the signer under the same name from its side, where an unreachable signer shows too.
const TAKEN: [Taken; 9] = [
    Taken {
        from: "paygate_signer_requests_total",
        name: "paygate_signer_decisions",
        kind: MetricType::Counter,
        labels: &["method", "result", "reason"],
    },
    counter(
        "paygate_signer_canary_failures_total",
        "paygate_signer_canary_failures",
    ),
    counter(
        "paygate_signer_spans_dropped_total",
        "paygate_signer_spans_dropped",
    ),
    gauge("paygate_signer_journal_height"),
    gauge("paygate_signer_highest_sequence"),
    gauge("paygate_signer_day_used_drops"),
    gauge("paygate_signer_day_limit_drops"),
    gauge("paygate_signer_estimated_ledger_index"),
    gauge("paygate_signer_anchor_age_seconds"),
];

#[derive(Clone, Copy, Debug)]
struct Taken {
    /// Name that the signer uses.
    from: &'static str,
    /// Name that is shown; the encoder adds `_total` to counters.
    name: &'static str,
    kind: MetricType,
    /// Exactly these labels, in this order.
    labels: &'static [&'static str],
}

const fn counter(from: &'static str, name: &'static str) -> Taken {
    Taken {
        from,
        name,
        kind: MetricType::Counter,
        labels: &[],
    }
}

const fn gauge(name: &'static str) -> Taken {
    Taken {
        from: name,
        name,
        kind: MetricType::Gauge,
        labels: &[],
    }
}

/// The newest values, by place in [`TAKEN`] and by the values of the labels.
#[derive(Debug, Default)]
pub(super) struct FromSigner {
    values: Mutex<[BTreeMap<Vec<String>, u64>; TAKEN.len()]>,
}

impl FromSigner {
    /// False: not on the list, or not with these labels.
    pub(super) fn set(&self, name: &str, labels: &[(&str, &str)], value: u64) -> bool {
        let Some(place) = TAKEN.iter().position(|taken| taken.from == name) else {
            return false;
        };
        let wanted = TAKEN[place].labels;
        let values_of = |key: &&str| {
            let value = labels.iter().find(|(name, _)| name == key)?.1;
            is_word(value).then(|| value.to_owned())
        };
        let Some(key) = wanted
            .iter()
            .map(values_of)
            .collect::<Option<Vec<String>>>()
        else {
            return false;
        };
        if labels.len() != wanted.len() {
            return false;
        }
        let mut values = self.values.lock().unwrap_or_else(PoisonError::into_inner);
        let values = &mut values[place];
        if values.len() >= VALUES_MAX && !values.contains_key(&key) {
            return false;
        }
        values.insert(key, value);
        true
    }
}

/// Shows the values on each scrape.
#[derive(Debug)]
pub(super) struct PulledMetrics(pub(super) Arc<FromSigner>);

impl Collector for PulledMetrics {
    fn encode(&self, mut encoder: DescriptorEncoder) -> Result<(), std::fmt::Error> {
        let values = self.0.values.lock().unwrap_or_else(PoisonError::into_inner);
        for (taken, values) in TAKEN.iter().zip(values.iter()) {
            if values.is_empty() {
                continue;
            }
            // The registry ends its help texts with a point, and a collector's are to look the same.
            let help = format!("{}.", reference::meaning(taken.name));
            let mut family = encoder.encode_descriptor(taken.name, &help, None, taken.kind)?;
            for (labels, value) in values {
                let labels: Vec<(&str, &str)> = taken
                    .labels
                    .iter()
                    .copied()
                    .zip(labels.iter().map(String::as_str))
                    .collect();
                // With an empty set of labels the encoder would print empty braces.
                if labels.is_empty() {
                    encode_one(taken.kind, *value, family)?;
                    break;
                }
                encode_one(taken.kind, *value, family.encode_family(&labels)?)?;
            }
        }
        Ok(())
    }
}

fn encode_one(kind: MetricType, value: u64, encoder: MetricEncoder) -> Result<(), std::fmt::Error> {
    match kind {
        MetricType::Counter => ConstCounter::new(value).encode(encoder),
        _ => ConstGauge::new(super::saturating(value)).encode(encoder),
    }
}

/// The empty word is allowed: an approval has no reason.
fn is_word(text: &str) -> bool {
    text.len() <= LABEL_CHARS_MAX && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_signer_cannot_fill_the_scrape() {
        let from = FromSigner::default();
        let requests = |reason: &str| {
            let labels = [
                ("method", "SignPayment"),
                ("result", "denied"),
                ("reason", reason),
            ];
            from.set("paygate_signer_requests_total", &labels, 1)
        };
        assert!(requests("") && requests("FEE_CAP"));
        assert!(!requests("a\"b\n") && !requests(&"x".repeat(LABEL_CHARS_MAX + 1)));
        assert!(!from.set("up", &[], 1), "not on the list");
        assert!(!from.set("paygate_signer_journal_height", &[("a", "b")], 1));
        assert!(!from.set(
            "paygate_signer_requests_total",
            &[("method", "SignPayment")],
            1
        ));
        let taken = (0..1_000).filter(|n| requests(&format!("r{n}"))).count();
        assert_eq!(taken, VALUES_MAX - 2);
    }
}
