//! A panic anywhere ends the process, except where foreign code is known to panic and is fenced in.
//!
//! Owns: the panic hook's last word. May not: swallow a panic of our own code; a gateway that has met a bug stops, and
//! a restart goes on from rows that are true.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};

use tokio::sync::watch;

thread_local! {
    /// True while foreign code runs that may panic without harm.
    static FENCED: Cell<bool> = const { Cell::new(false) };
}

/// Tells when a panic has happened outside of [`fenced`]. What the hook did before, it still does.
#[must_use]
pub fn watch() -> watch::Receiver<bool> {
    let (panicked, told) = watch::channel(false);
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        if FENCED.get() {
            return;
        }
        before(info);
        panicked.send_replace(true);
    }));
    told
}

/// Runs foreign code on bytes that it may panic over. `None`: it did.
pub fn fenced<T>(step: impl FnOnce() -> T) -> Option<T> {
    let outer = FENCED.replace(true);
    let result = catch_unwind(AssertUnwindSafe(step));
    FENCED.set(outer);
    result.ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fenced_panic_is_none_and_one_outside_is_told() {
        let told = watch();
        let fell: Option<()> = fenced(|| panic!("foreign code fell over"));
        assert_eq!(fell, None);
        assert!(!*told.borrow());
        let ended = std::thread::spawn(|| panic!("a bug of ours, on purpose in this test")).join();
        assert!(ended.is_err());
        assert!(*told.borrow());
    }
}
