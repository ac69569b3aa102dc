//! The seeded simulation: the real gateway, the real signer and simulated ledgers in one thread, in virtual time.
//!
//! A run is decided by one seed: the same seed gives the same trace, fact by fact. Nothing of the gateway or the signer is
//! replaced by a model: engine, store (SQLite on a file in memory), client of the servers, vault and journal are those of the
//! processes. What is simulated is what lies outside: clock, chance, wires, the signer's disk, and the ledger.
//!
//! # Layout
//! - [`world`]: one run, from its first event to its end. [`plan`]: what kind of day it is; [`themes`]: what some days are about.
//!   [`seed`]: draws.
//! - [`gateway`]: a life of the gateway; [`fuse`]: where it ends. [`wires`]: the way to the servers. [`clients`]: callers.
//! - [`faults`]: what goes wrong with servers and on the ledger, and when; [`outsider`]: who acts there besides us.
//! - [`vault`]: the lives of the signer; [`disk`]: its disk, which can lose what was not synced.
//! - [`facts`]: what a run is made of, as somebody sees it who sees everything; [`rows`]: the store's part of it.
//! - [`invariants`]: what must hold after every step. [`report`]: what a run was. [`mutants`]: defects that it must catch.

mod bell;
pub mod clients;
pub mod disk;
pub mod facts;
pub mod faults;
pub mod fuse;
pub mod gateway;
pub mod invariants;
pub mod mutants;
pub mod outsider;
pub mod plan;
pub mod report;
pub mod rows;
pub mod seed;
pub mod themes;
pub mod vault;
pub mod wires;
pub mod world;

use std::path::{Path, PathBuf};

use report::Outcome;

/// Servers of a simulated network.
const SERVERS: usize = 3;

/// Runs one seed in this thread.
#[must_use]
pub fn run(seed: u64, is_verbose: bool) -> Outcome {
    world::run_in(seed, SERVERS, is_verbose, &folder())
}

/// Takes away what runs that were cut short have left.
pub fn sweep() {
    let _ = std::fs::remove_dir_all(folder());
}

/// Where stores lie: in memory, if there is such a folder, as nothing of them has to outlive a run.
fn folder() -> PathBuf {
    let memory = Path::new("/dev/shm");
    let parent = if memory.is_dir() {
        memory.to_owned()
    } else {
        std::env::temp_dir()
    };
    parent.join(format!("paygate-simulate-{}", std::process::id()))
}
