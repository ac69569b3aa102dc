//! The true time of a simulated day, which no clock of its processes can change.
//!
//! Owns: the time of the servers, and how wrong the clock of the gateway's machine is. May not: decide anything.

use std::cell::Cell;
use std::time::Duration;

use paygate::clock;
use tokio::time::Instant;

use crate::sim::Millis;

/// What clocks show when a day begins: 2026-11-23, noon.
pub(super) const NOON_MS: u64 = 1_795_435_200_000;

thread_local! {
    static BEGAN: Cell<Option<Instant>> = const { Cell::new(None) };
}

/// A day begins in this thread, and every clock is right.
pub(super) fn begin() {
    BEGAN.set(Some(Instant::now()));
    go_wrong(0);
}

/// The day is over.
pub(super) fn end() {
    BEGAN.set(None);
    clock::set_wall(None);
}

/// The time.
pub(super) fn now() -> Millis {
    let passed = BEGAN.get().map_or(Duration::ZERO, |began| began.elapsed());
    let passed = u64::try_from(passed.as_millis()).unwrap_or(u64::MAX);
    Millis(NOON_MS.saturating_add(passed))
}

/// The clock of the gateway's machine, which is also the signer's, jumps: from now on it is so many milliseconds fast, or slow.
pub(super) fn go_wrong(by_ms: i64) {
    let now = i64::try_from(now().0).unwrap_or(i64::MAX);
    clock::set_wall(Some(clock::Millis(now.saturating_add(by_ms))));
}
