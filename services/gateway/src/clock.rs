//! The clock of the shell: wall time in milliseconds, and a monotonic one to measure with.
//!
//! Owns: the only place that reads a clock. May not: decide anything; wall time goes to people, timelines and the rolling
//! day, never into the fate of a bound payment.
//!
//! The monotonic clock is the runtime's, so that a runtime whose time is paused carries the whole gateway through days in
//! seconds. Such a runtime also says what the wall clock shows, see [`set_wall`].

use std::cell::Cell;
use std::fmt;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Milliseconds since the beginning of 1970, UTC.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Millis(pub i64);

thread_local! {
    /// What this thread's wall clock showed, and when.
    static WALL: Cell<Option<(Millis, Instant)>> = const { Cell::new(None) };
}

/// From now on, this thread's wall clock shows `wall` and goes on with the monotonic one; `None`: it is the system's again.
/// For a simulation, which owns its thread; calling it again makes the clock jump.
pub fn set_wall(wall: Option<Millis>) {
    WALL.set(wall.map(|wall| (wall, instant())));
}

/// Wall time now. A clock set before 1970 or past the year 292 million reads as the nearest end.
#[must_use]
pub fn now() -> Millis {
    if let Some((wall, at)) = WALL.get() {
        return wall.plus(elapsed(at));
    }
    match SystemTime::now().duration_since(UNIX_EPOCH) {
        Ok(since) => Millis::ZERO.plus(since),
        Err(_) => Millis::ZERO,
    }
}

/// A reading of the monotonic clock.
#[must_use]
pub fn instant() -> Instant {
    tokio::time::Instant::now().into_std()
}

/// How long ago a reading of the monotonic clock was.
#[must_use]
pub fn elapsed(since: Instant) -> Duration {
    instant().saturating_duration_since(since)
}

impl Millis {
    /// The beginning of 1970.
    pub const ZERO: Self = Self(0);

    /// So much later. Stops at the end of the range.
    #[must_use]
    pub fn plus(self, duration: Duration) -> Self {
        let ms = i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
        Self(self.0.saturating_add(ms))
    }

    /// So much earlier. Stops at the end of the range.
    #[must_use]
    pub fn minus(self, duration: Duration) -> Self {
        let ms = i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
        Self(self.0.saturating_sub(ms))
    }

    /// How long after `earlier` it is; nothing if it is before.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// The same time as the contract writes it.
    #[must_use]
    pub fn timestamp(self) -> prost_types::Timestamp {
        let nanos = self.0.rem_euclid(1000) * 1_000_000;
        prost_types::Timestamp {
            seconds: self.0.div_euclid(1000),
            nanos: i32::try_from(nanos).expect("less than a second has less than 10^9 nanoseconds"),
        }
    }
}

impl fmt::Display for Millis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ms since 1970", self.0)
    }
}
