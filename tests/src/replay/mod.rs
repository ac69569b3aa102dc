//! Recorded conversations with real servers, held again with the simulated one and compared answer by answer.
//!
//! Owns: what counts as a step, what is compared, and what a difference is. May not: correct the simulated servers on the
//! way: they start as the recorded ones did, get the same requests, and from then on are on their own. Only what the
//! recorder did without writing it down is done for them, and what a network decides by chance (`runs.json`).

mod compare;
mod drive;
mod genesis;
mod recording;

pub use compare::{Difference, Kind};
pub use drive::{Outcome, Replayed, replay};
pub use recording::{Recording, Run, Step};
