//! Draws: everything random of a run comes from one number.
//!
//! Owns: the generator and its separate streams, so that one concern that draws more does not change what another draws.
//! May not: be seeded by a clock.

/// A stream of draws: SplitMix64.
#[derive(Clone, Debug)]
pub struct Draws(u64);

impl Draws {
    /// The stream of a concern of this seed.
    #[must_use]
    pub fn of(seed: u64, concern: &str) -> Self {
        let mut draws = Self(seed ^ 0x9E37_79B9_7F4A_7C15);
        for byte in concern.bytes() {
            draws.0 ^= u64::from(byte);
            draws.next();
        }
        draws
    }

    /// The next 64 bits.
    #[expect(
        clippy::should_implement_trait,
        reason = "it has no end, and an Option would only be unwrapped"
    )]
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number below `end`; 0 if there is none.
    pub fn below(&mut self, end: u64) -> u64 {
        match end {
            0 => 0,
            end => self.next() % end,
        }
    }

    /// A number from `from` up to and with `to`.
    pub fn between(&mut self, from: u64, to: u64) -> u64 {
        from + self.below(to - from + 1)
    }

    /// True so many times in a thousand.
    pub fn permille(&mut self, often: u64) -> bool {
        self.below(1000) < often
    }

    /// Fills bytes.
    pub fn fill(&mut self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(8) {
            let drawn = self.next().to_be_bytes();
            chunk.copy_from_slice(&drawn[..chunk.len()]);
        }
    }
}
