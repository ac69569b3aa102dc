//! Recorded conversations with real servers, held again with the simulated one and compared answer by answer.
//!
//! Owns: what counts as a step, what is compared, and what a difference is. May not: correct the simulated server on the
//! way: it starts as the recorded one did, gets the same requests, and from then on is on its own. Only what the
//! recorder did without writing it down is done for it: accounts funded by the genesis account (`runs.json`) and ledgers
//! closed, both seen from the answers that follow.

mod compare;
mod drive;
mod genesis;
mod recording;

pub use compare::{Difference, Kind};
pub use drive::{Outcome, Replayed, replay};
pub use recording::{Recording, Run, Step};
