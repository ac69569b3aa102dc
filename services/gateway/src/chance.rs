//! Chance: the random bytes of the shell.
//!
//! Owns: the only place that draws them: the name of a new store, and by how much waits differ. May not: make a key, or decide
//! anything.

use std::cell::RefCell;
use std::fmt;

use ring::rand::{SecureRandom, SystemRandom};

/// Fills bytes from a stream that a simulation draws from its seed.
pub type Source = Box<dyn FnMut(&mut [u8])>;

thread_local! {
    static SEEDED: RefCell<Option<Source>> = const { RefCell::new(None) };
}

/// The system gives no random bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoRandom;

impl fmt::Display for NoRandom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the system gives no random bytes")
    }
}

/// From now on, this thread draws from `source`; `None`: from the system again. For a simulation, which owns its thread.
pub fn set_source(source: Option<Source>) {
    SEEDED.set(source);
}

/// Fills `bytes`.
pub(crate) fn fill(bytes: &mut [u8]) -> Result<(), NoRandom> {
    SEEDED.with_borrow_mut(|seeded| match seeded {
        Some(source) => {
            source(bytes);
            Ok(())
        }
        None => SystemRandom::new().fill(bytes).map_err(|_| NoRandom),
    })
}
