//! What a server's public port lets one address ask for, whatever the number of its connections.
//!
//! Owns: the price of commands and the two limits. May not: know frames; `net` warns and cuts.

use super::types::Millis;

/// Seconds over which what was asked for is forgotten.
const WINDOW_S: u64 = 32;
/// Price of a command.
const COST: u64 = 20;
/// Price of one that makes a server work.
const COST_HEAVY: u64 = 400;
/// Price of being warned.
const COST_WARNING: u64 = 4000;
/// Price of being cut off.
const COST_CUT: u64 = 6000;
/// Prices per second that bring a warning.
const WARNING_PER_S: u64 = 5000;
/// Prices per second that end the connection.
const CUT_PER_S: u64 = 25_000;

/// What the clients of the public port have asked for lately. Here they all have one address.
#[derive(Debug, Default)]
pub(super) struct Load {
    sum: u64,
    at_s: u64,
    warned_at_s: Option<u64>,
}

impl Load {
    fn forget(&mut self, now: Millis) {
        let now_s = now.0 / 1000;
        let elapsed = now_s.saturating_sub(self.at_s);
        self.at_s = now_s;
        if elapsed > 4 * WINDOW_S {
            self.sum = 0;
        }
        for _ in 0..elapsed.min(4 * WINDOW_S) {
            self.sum -= self.sum.div_ceil(WINDOW_S);
        }
    }

    fn add(&mut self, cost: u64) {
        self.sum = self.sum.saturating_add(cost);
    }

    /// True if the address has asked for too much already, and is to be cut off.
    pub(super) fn is_over(&mut self, now: Millis) -> bool {
        self.forget(now);
        let over = self.sum / WINDOW_S >= CUT_PER_S;
        if over {
            self.add(COST_CUT);
        }
        over
    }

    /// Takes the price of a command; true if the answer is to carry a warning, which it does once a second at most.
    pub(super) fn charge(&mut self, command: &str, now: Millis) -> bool {
        self.forget(now);
        self.add(match command {
            "account_tx" | "submit" | "submit_multisigned" => COST_HEAVY,
            _ => COST,
        });
        let warns = self.sum / WINDOW_S >= WARNING_PER_S && self.warned_at_s != Some(self.at_s);
        if warns {
            self.warned_at_s = Some(self.at_s);
            self.add(COST_WARNING);
        }
        warns
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn four_hundred_submits_at_once_bring_the_recorded_warning_and_two_thousand_the_cut() {
        let mut load = Load::default();
        let now = Millis(1_795_408_500_000);
        let warned: Vec<u32> = (0..1000_u32)
            .filter(|_| load.charge("submit", now))
            .collect();
        assert_eq!(warned, [399]);
        let left = (0..).find(|_| load.is_over(now) || load.charge("ping", now));
        assert!(left.is_some());
    }

    #[test]
    fn who_was_cut_off_is_served_again_ten_seconds_later_and_still_warned() {
        let mut load = Load::default();
        let start = 1_795_408_500_000;
        while !load.is_over(Millis(start)) {
            load.charge("submit", Millis(start));
        }
        assert!(load.is_over(Millis(start + 100)));
        assert!(!load.is_over(Millis(start + 10_000)));
        assert!(load.charge("ping", Millis(start + 10_000)));
        assert!(load.charge("ping", Millis(start + 35_000)));
        assert!(!load.charge("ping", Millis(start + 120_000)));
    }
}
