//! The vault of Paygate: signs typed intents of one wallet under its own policy and journal, and opens no connection.
//!
//! The README says what it defends against and in which order to read it. Depends on no rule of the gateway: the two
//! sides decide apart.
//!
//! # Layout
//!
//! - `intent.rs`: requests as types, and their digests. `policy.rs`: the rules and the closed list of denials.
//! - `journal.rs` and `journal/`: what was approved, durably. `index.rs`: what is kept of it in memory.
//! - `keys.rs` and `keys/`: private files, seed, keystore, derivation, signatures.
//! - `vault.rs` and `vault/`: claim, decide, sign, journal, hand out. Synchronous.
//! - `backup.rs`: copies of the journal, made and put back.
//! - `hardening.rs`: what the process gives up; the only unsafe code.
//! - `config.rs`, `server.rs`, `main.rs`: the shell around it. `setup.rs`: the conversation in which a key is made.

#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod backup;
pub mod config;
pub mod hardening;
pub mod index;
pub mod intent;
pub mod journal;
pub mod keys;
pub mod policy;
pub mod server;
pub mod setup;
pub mod vault;
