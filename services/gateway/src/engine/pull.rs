//! The signer's spans and metrics, pulled, as the signer opens no connection of its own.
//!
//! Owns: when they are pulled and where they go. May not: fail or slow a payment; what nobody takes is lost and counted.

use std::time::Duration;

use paygate_telemetry::SpanForwarder;
use paygate_telemetry::shutdown::StopToken;
use tokio::time::MissedTickBehavior;

use super::Engine;

/// Spans leave the signer's ring so often; the ring holds far more than are made in between.
const PULL_PERIOD: Duration = Duration::from_secs(1);

/// At the end, the signer's last spans get so long.
const LAST_PULL: Duration = Duration::from_secs(2);

/// Pulls until told to stop, and once more then.
pub(super) async fn forward_spans(
    engine: &Engine,
    forwarder: Option<SpanForwarder>,
    mut stop: StopToken,
) {
    let mut tick = tokio::time::interval(PULL_PERIOD);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            biased;
            () = stop.stopped() => break,
            _ = tick.tick() => {}
        }
        // A signer or a collector that hangs does not hold up the end.
        tokio::select! {
            biased;
            () = stop.stopped() => break,
            () = pull(engine, forwarder.as_ref()) => {}
        }
    }
    // What the last payments left in the ring.
    let _ = tokio::time::timeout(LAST_PULL, pull(engine, forwarder.as_ref())).await;
}

async fn pull(engine: &Engine, forwarder: Option<&SpanForwarder>) {
    // An unreachable signer is told by `watch`; telemetry stays silent.
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
