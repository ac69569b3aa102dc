//! How often a client may call: a bucket that fills up evenly.
//!
//! Owns: the arithmetic of a rate, so many within a span, at once or spread over it. May not: read a clock, or know what is called.

use std::time::Duration;

/// So many within each span.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rate {
    /// At most so many at once, and so many more in each span. Never 0: check-config refuses it.
    pub(super) max: u32,
    /// The span.
    pub(super) span: Duration,
}

/// What of a rate is used. It holds no rate of its own, so that a rate that is changed acts at once on what is used already.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Bucket {
    /// When nothing is used any more, on the caller's monotonic clock.
    full_at: Duration,
}

impl Rate {
    /// What one call takes of the span. Rounded down by less than a nanosecond.
    fn part(self) -> Duration {
        self.span / self.max.max(1)
    }
}

impl Bucket {
    /// How long until one more call is allowed. Nothing: it is.
    #[must_use]
    pub(super) fn wait(&self, rate: Rate, now: Duration) -> Duration {
        (self.used_until(rate, now) + rate.part()).saturating_sub(now + rate.span)
    }

    /// Counts one call.
    pub(super) fn take(&mut self, rate: Rate, now: Duration) {
        self.full_at = self.used_until(rate, now) + rate.part();
    }

    /// A call that was counted does not count after all.
    pub(super) fn give_back(&mut self, rate: Rate) {
        self.full_at = self.full_at.saturating_sub(rate.part());
    }

    /// Never further away than a whole span and one call: after a rate was lowered, nobody waits longer for it than that.
    fn used_until(&self, rate: Rate, now: Duration) -> Duration {
        self.full_at.max(now).min(now + rate.span)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    fn rate(max: u32) -> Rate {
        Rate { max, span: MINUTE }
    }

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(1_000 + seconds)
    }

    fn let_in(bucket: &mut Bucket, rate: Rate, now: Duration, asked: u32) -> u32 {
        let mut count = 0;
        for _ in 0..asked {
            if bucket.wait(rate, now).is_zero() {
                bucket.take(rate, now);
                count += 1;
            }
        }
        count
    }

    #[test]
    fn a_span_allows_so_many_at_once_and_then_one_for_each_part_of_it() {
        let (mut bucket, rate) = (Bucket::default(), rate(30));
        assert_eq!(let_in(&mut bucket, rate, at(0), 64), 30);
        assert_eq!(bucket.wait(rate, at(0)), Duration::from_secs(2));
        assert_eq!(let_in(&mut bucket, rate, at(1), 64), 0);
        assert_eq!(bucket.wait(rate, at(1)), Duration::from_secs(1));
        assert_eq!(let_in(&mut bucket, rate, at(2), 64), 1);
        assert_eq!(let_in(&mut bucket, rate, at(22), 64), 10);
        assert_eq!(let_in(&mut bucket, rate, at(10_000), 64), 30);
    }

    #[test]
    fn over_any_time_at_most_one_span_more_than_the_rate_is_let_in() {
        for max in [1, 7, 30, 500, 999_983, 1_000_000] {
            let (mut bucket, rate) = (Bucket::default(), rate(max));
            let mut count = 0;
            for second in 0..=300 {
                count += let_in(&mut bucket, rate, at(second), max.min(2_000));
            }
            let most = u64::from(max) * 6;
            assert!(u64::from(count) <= most, "{max}: {count}");
        }
    }

    #[test]
    fn what_is_given_back_can_be_used_again_and_no_more() {
        let (mut bucket, rate) = (Bucket::default(), rate(3));
        assert_eq!(let_in(&mut bucket, rate, at(0), 9), 3);
        bucket.give_back(rate);
        assert_eq!(let_in(&mut bucket, rate, at(0), 9), 1);
        let mut unused = Bucket::default();
        unused.give_back(rate);
        assert_eq!(let_in(&mut unused, rate, at(0), 9), 3);
    }

    #[test]
    fn another_rate_acts_at_once_on_what_is_used() {
        let mut bucket = Bucket::default();
        assert_eq!(let_in(&mut bucket, rate(10), at(0), 99), 10);
        assert_eq!(let_in(&mut bucket, rate(100), at(0), 99), 0, "used is used");
        assert_eq!(let_in(&mut bucket, rate(100), at(6), 99), 10);
        let hour = Rate {
            max: 10,
            span: 60 * MINUTE,
        };
        assert_eq!(let_in(&mut bucket, hour, at(60), 99), 9, "6 s are used");
        assert_eq!(bucket.wait(rate(1), at(60)), MINUTE, "not an hour");
    }
}
