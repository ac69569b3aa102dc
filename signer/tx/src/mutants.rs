//! Deliberate defects, one line each beside the right line, for the simulation to find.
//!
//! Owns: which one is at work. They exist only in a build that is made with `--cfg paygate_mutants`, which `simulate --mutants` does
//! for itself; in any other build [`mutant!`](crate::mutant) is `false`, and the compiler removes what hangs on it. May not: be a
//! feature, since features of one crate reach all that are built with it.

/// True if this defect is at work. `false` in all builds but the simulation's own.
#[macro_export]
macro_rules! mutant {
    ($name:literal) => {{
        #[cfg(paygate_mutants)]
        {
            $crate::mutants::is_chosen($name)
        }
        #[cfg(not(paygate_mutants))]
        {
            false
        }
    }};
}

/// Lies in every binary that holds the defects, and in no other.
#[cfg(paygate_mutants)]
pub static MARKER: &str = "this binary holds the deliberate defects of paygate";

#[cfg(paygate_mutants)]
static CHOSEN: std::sync::Mutex<&str> = std::sync::Mutex::new("");

/// Puts one defect to work in the whole process; the empty name none.
#[cfg(paygate_mutants)]
pub fn choose(name: &'static str) {
    *CHOSEN
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner) = name;
}

/// True if it is the chosen one.
#[cfg(paygate_mutants)]
pub fn is_chosen(name: &str) -> bool {
    let chosen = *CHOSEN
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner);
    // The marker is looked at so that no linker leaves it out.
    chosen == name && !MARKER.is_empty()
}
