//! Draws from one seed, for stories about moments.
//!
//! Owns: where a seed comes from and how numbers follow from it. May not: read a clock.

use std::time::Duration;

use ring::rand::{SecureRandom, SystemRandom};

/// SplitMix64: every draw follows from the seed.
#[derive(Clone, Debug)]
pub struct Draws(u64);

impl Draws {
    /// The draws of this seed.
    pub fn new(seed: u64) -> Draws {
        Draws(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A number from 0 to one below the limit.
    pub fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }

    /// A time from `from` to nearly `to` milliseconds.
    pub fn millis(&mut self, from: u64, to: u64) -> Duration {
        Duration::from_millis(from + self.below(to - from))
    }
}

/// `PAYGATE_SEED`, or a fresh one. Print it: it is the bug report.
pub fn seed() -> u64 {
    match std::env::var("PAYGATE_SEED") {
        Ok(text) => text.parse().expect("PAYGATE_SEED is a number"),
        Err(_) => {
            let mut bytes = [0; 4];
            SystemRandom::new()
                .fill(&mut bytes)
                .expect("the system has random numbers");
            u64::from(u32::from_be_bytes(bytes))
        }
    }
}
