//! Backoff: how long to wait before the next attempt to connect.
//!
//! Owns: doubling and jitter. May not: sleep.

use std::time::Duration;

use crate::chance;

/// Delay before the second attempt. Short: most losses are a restart of the server or one dropped connection.
const FIRST: Duration = Duration::from_millis(250);

/// No wait is longer: an operator who has just repaired something should not wait for us.
const LONGEST: Duration = Duration::from_secs(30);

/// Doubling delays, each spread over its upper half so that many clients do not come back at the same moment.
#[derive(Debug)]
pub(super) struct Backoff {
    next: Duration,
}

impl Backoff {
    pub(super) fn new() -> Backoff {
        Backoff { next: FIRST }
    }

    pub(super) fn reset(&mut self) {
        self.next = FIRST;
    }

    pub(super) fn next_delay(&mut self) -> Duration {
        let full = self.next;
        self.next = full.saturating_mul(2).min(LONGEST);
        spread(full)
    }

    pub(super) fn longest_delay(&mut self) -> Duration {
        self.next = LONGEST;
        spread(LONGEST)
    }
}

fn spread(full: Duration) -> Duration {
    let mut bytes = [0; 2];
    // Without randomness there is no jitter, and waiting the full time is the safe choice.
    if chance::fill(&mut bytes).is_err() {
        return full;
    }
    jittered(full, u16::from_be_bytes(bytes))
}

/// Between half of `full` and all of it, by where `random` is in its range.
fn jittered(full: Duration, random: u16) -> Duration {
    let half = full / 2;
    half + half * u32::from(random) / u32::from(u16::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_double_up_to_the_longest_and_start_over_after_success() {
        let mut backoff = Backoff::new();
        for full in [250, 500, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000] {
            let full = Duration::from_millis(full);
            let delay = backoff.next_delay();
            assert!(delay >= full / 2 && delay <= full, "{delay:?} for {full:?}");
        }
        backoff.reset();
        assert!(backoff.next_delay() <= FIRST);
    }

    #[test]
    fn jitter_covers_the_upper_half() {
        assert_eq!(jittered(LONGEST, 0), LONGEST / 2);
        assert_eq!(jittered(LONGEST, u16::MAX), LONGEST);
    }
}
