//! The seeded simulation: the real gateway, the real signer and simulated ledgers in one thread, in virtual time.
//!
//! # Layout
//! - [`facts`]: what a run is made of, as somebody sees it who sees everything.
//! - [`faults`]: what goes wrong with servers and on the ledger, and when; [`outsider`]: who acts there besides us.
//! - [`invariants`]: what must hold after every step.
//! - [`rows`]: the rows of a store, read from outside.
//! - [`vault`]: the lives of the signer; [`disk`]: its disk, which can lose what was not synced.

pub mod disk;
pub mod facts;
pub mod faults;
pub mod invariants;
pub mod outsider;
pub mod rows;
pub mod vault;
