//! Progress: whether validated ledgers still come.
//!
//! Owns: the last index and when it changed, on a monotonic clock that is passed in; only of the first one that is seen its close
//! time tells how long it has stood. May not: believe a server's own `age`, which is printed as zero when it is very large or when
//! the server's clock is behind.

use std::time::{Duration, Instant};

/// Progress of the validated index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    last_index: u32,
    last_change: Instant,
    /// How old the first index was when it was seen. Any later one is seen when it comes.
    age_at_first: Duration,
}

impl Progress {
    /// Starts with nothing validated: a network that never shows a ledger is halted too.
    pub fn new(now: Instant) -> Progress {
        Progress {
            last_index: 0,
            last_change: now,
            age_at_first: Duration::ZERO,
        }
    }

    /// Takes an index that was validated. Only growth counts; a server that is behind changes nothing. `age` is the time since that
    /// ledger closed, by clocks that may be wrong: it counts for the first one, so that a process that starts in a halted network
    /// does not take its own start for progress.
    pub fn observe(&mut self, index: u32, age: Duration, now: Instant) {
        if index > self.last_index {
            let is_first = self.last_index == 0;
            self.age_at_first = if is_first { age } else { Duration::ZERO };
            self.last_index = index;
            self.last_change = now;
        }
    }

    /// The highest index that was validated.
    pub fn last_index(&self) -> u32 {
        self.last_index
    }

    /// How long ago the index last grew.
    pub fn since_change(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.last_change)
            .saturating_add(self.age_at_first)
    }

    /// Whether the index has not grown for longer than `after`.
    pub fn is_halted(&self, after: Duration, now: Instant) -> bool {
        self.since_change(now) > after
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_growth_of_the_index_is_progress() {
        let start = Instant::now();
        let after = Duration::from_secs(20);
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut progress = Progress::new(start);
        assert!(!progress.is_halted(after, at(20)));
        assert!(progress.is_halted(after, at(21)));
        progress.observe(7, Duration::ZERO, at(30));
        progress.observe(7, Duration::from_secs(90), at(45));
        progress.observe(6, Duration::ZERO, at(49));
        assert!(!progress.is_halted(after, at(50)));
        assert!(
            progress.is_halted(after, at(51)),
            "a repeated or lower index is no progress"
        );
        progress.observe(8, Duration::from_secs(90), at(52));
        assert!(!progress.is_halted(after, at(60)));
        assert_eq!(progress.last_index(), 8);
    }

    #[test]
    fn a_start_in_a_halted_network_is_no_progress() {
        let start = Instant::now();
        let after = Duration::from_secs(20);
        let mut progress = Progress::new(start);
        progress.observe(7, Duration::from_secs(3600), start);
        assert!(progress.is_halted(after, start));
        progress.observe(8, Duration::from_secs(3600), start);
        assert!(
            !progress.is_halted(after, start),
            "it moves, whatever the clocks say"
        );
    }

    #[test]
    fn an_earlier_reading_of_the_clock_is_not_a_halt() {
        let start = Instant::now() + Duration::from_secs(100);
        assert!(!Progress::new(start).is_halted(Duration::ZERO, start - Duration::from_secs(50)));
    }
}
