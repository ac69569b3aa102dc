//! The seeded simulation: the real gateway, the real signer and simulated ledgers in one thread, in virtual time.
//!
//! # Layout
//! - [`facts`]: what a run is made of, as somebody sees it who sees everything.
//! - [`invariants`]: what must hold after every step.
//! - [`rows`]: the rows of a store, read from outside.
//! - [`vault`]: the lives of the signer; [`disk`]: its disk, which can lose what was not synced.

pub mod disk;
pub mod facts;
pub mod invariants;
pub mod rows;
pub mod vault;
