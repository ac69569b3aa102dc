//! What both processes share: logs, traces, W3C propagation, health reporting, shutdown.
//!
//! Owns the shape of a log line and of a span, the health service and the end of a process. May not know payments, keys or
//! configuration files, and may never fail or slow a payment: queues are bounded, what does not fit is counted and dropped, and
//! no error of an exporter reaches a caller.
#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod grpc;
pub mod health;
mod log;
pub mod probe;
pub mod propagation;
mod ring;
pub mod shutdown;
#[cfg(test)]
mod tests;
pub mod tracing_setup;

pub use propagation::{SpanForwarder, TraceParent};
pub use ring::SpanRing;
pub use tracing_setup::{InitError, LogLevel, Settings, SpanSink, Telemetry, init};
