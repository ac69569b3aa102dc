//! A bell that wakes who waits in the order in which they began to.
//!
//! Owns: that order. The runtime's own `watch` draws by chance, of its own, in which order many are woken, and then a seed would not
//! decide a day.

use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::Notify;

/// A bell.
#[derive(Debug, Default)]
pub(super) struct Bell {
    rung: AtomicU64,
    waiting: Notify,
}

/// How often somebody has heard it.
#[derive(Debug)]
pub(super) struct Heard(u64);

impl Bell {
    /// Wakes everybody.
    pub(super) fn ring(&self) {
        self.rung.fetch_add(1, Ordering::Relaxed);
        self.waiting.notify_waiters();
    }

    /// Who comes now has missed nothing.
    pub(super) fn come(&self) -> Heard {
        Heard(self.rung.load(Ordering::Relaxed))
    }

    /// Waits until it has rung since it was heard last.
    pub(super) async fn hear(&self, heard: &mut Heard) {
        loop {
            // First in line, then the look: a ring in between is not missed.
            let next = self.waiting.notified();
            let rung = self.rung.load(Ordering::Relaxed);
            if rung != heard.0 {
                heard.0 = rung;
                return;
            }
            next.await;
        }
    }
}
