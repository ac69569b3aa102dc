//! What the stories about whole systems need: the simulated ledger, and whatever drives the real processes.
//!
//! Owns: test doubles of things outside the project. May not: be depended on by anything that ships.

pub mod replay;
pub mod show;
pub mod sim;
pub mod simulate;
pub mod world;
