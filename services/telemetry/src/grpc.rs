//! Layers around a gRPC server: one span and one observation a call, and status codes that say what happened.
//!
//! Owns how a call is named, traced and counted. May not look into messages, and may not refuse a call.
//!
//! Add [`TraceLayer`] first and [`StatusLayer`] second, so that spans and counters see the status that the caller gets.

mod status;
mod trace;

pub use status::StatusLayer;
pub use trace::{Call, Observer, TraceLayer, code_name};
