//! The seeded simulation: the real gateway, the real signer and simulated ledgers in one thread, in virtual time.
//!
//! A run is decided by one seed: the same seed gives the same trace, fact by fact. Nothing of the gateway or the signer is
//! replaced by a model: engine, store (SQLite on a file in memory), client of the servers, vault and journal are those of the
//! processes. What is simulated is what lies outside: clock, chance, wires, the signer's disk, and the ledger.
//!
//! # Layout
//! - [`world`]: one run, from its first event to its end. [`plan`]: what kind of day it is; [`themes`]: what some days are about.
//!   [`seed`]: draws.
//! - [`gateway`]: a life of the gateway; [`fuse`]: where it ends. [`wires`]: the way to the servers. [`clients`]: callers; [`watcher`]: who
//!   watches them all.
//! - [`faults`]: what goes wrong with servers and on the ledger, and when; [`outsider`]: who acts there besides us.
//! - [`vault`]: the lives of the signer; [`disk`]: its disk, which can lose what was not synced.
//! - [`facts`]: what a run is made of, as somebody sees it who sees everything; [`rows`]: the store's part of it.
//! - [`invariants`]: what must hold after every step. [`report`]: what a run was. [`menu`]: which faults were met. [`mutants`]: defects
//!   that it must catch.

mod bell;
pub mod clients;
pub mod disk;
pub mod facts;
pub mod faults;
pub mod fuse;
pub mod gateway;
pub mod invariants;
pub mod menu;
pub mod mutants;
pub mod outsider;
pub mod plan;
pub mod report;
pub mod rows;
pub mod seed;
pub mod themes;
mod time;
pub mod vault;
pub mod watcher;
pub mod wires;
pub mod world;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use report::Outcome;

/// Servers of a simulated network.
const SERVERS: usize = 3;

/// Runs one seed in this thread.
#[must_use]
pub fn run(seed: u64, is_verbose: bool) -> Outcome {
    let folder = folder();
    std::fs::create_dir_all(&folder).expect("the folder for a run can be written");
    let outcome = world::run_in(seed, SERVERS, is_verbose, &folder);
    let _ = std::fs::remove_dir_all(&folder);
    outcome
}

/// Takes away what runs that were cut short have left.
pub fn sweep() {
    let (parent, prefix) = place();
    let left = std::fs::read_dir(parent).into_iter().flatten().flatten();
    for entry in left.filter(|e| e.file_name().to_string_lossy().starts_with(&prefix)) {
        let _ = std::fs::remove_dir_all(entry.path());
    }
}

/// Where a run's store lies: in memory, if there is such a folder, as nothing of it has to outlive the run.
fn folder() -> PathBuf {
    // One seed may be run twice at the same time.
    static RUNS: AtomicU64 = AtomicU64::new(0);
    let (parent, prefix) = place();
    let run = RUNS.fetch_add(1, Ordering::Relaxed);
    parent.join(format!("{prefix}{run}"))
}

/// The folder of all runs, and how the names of this process's begin.
fn place() -> (PathBuf, String) {
    let memory = Path::new("/dev/shm");
    let parent = if memory.is_dir() {
        memory.to_owned()
    } else {
        std::env::temp_dir()
    };
    (parent, format!("paygate-simulate-{}-", std::process::id()))
}
