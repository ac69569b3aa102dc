//! The shell of Paygate: everything with a socket, a database, a clock or a task.
//!
//! Owns: configuration, the connection to the ledger, the store, the signer's client, the gRPC surface, metrics.
//! May not: decide what became of a payment. That is `paygate_payments`; here are only the loops around it.

#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod admin;
pub mod api;
pub mod app;
pub mod backup;
pub mod chance;
pub mod checklist;
pub mod cli;
pub mod clock;
pub mod config;
pub mod engine;
pub mod metrics;
pub mod oracle;
pub mod panics;
pub mod rebuild;
mod reload;
pub mod seats;
pub mod signer;
pub mod store;
pub mod tls;
pub mod view;
pub mod xrpl;
