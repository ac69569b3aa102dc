//! The table of reasons: what each error means for the money, and what to do.
//!
//! Owns: its shape. May not: hold a word of its own; the rows are made of the comments in `errors.proto`, as `errors.md` is.

use crate::v1::ErrorReason;

/// What a call that ended with a reason has stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stored {
    /// Nothing, by this call.
    Nothing,
    /// Nobody knows. Repeat the same call; do not pay elsewhere.
    Unknown,
}

/// A row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reason {
    /// Which.
    pub reason: ErrorReason,
    /// Its name, as ErrorInfo carries it.
    pub name: &'static str,
    /// Number of the gRPC status code that it always comes with.
    pub code: i32,
    /// What has become of the payment by this call.
    pub stored: Stored,
    /// What it means.
    pub meaning: &'static str,
    /// What it means for the money.
    pub money: &'static str,
    /// What to do.
    pub advice: &'static str,
}

/// The row of a name such as `PAYMENT_ID_REUSED`.
#[must_use]
pub fn row_of(name: &str) -> Option<&'static Reason> {
    REASONS.iter().find(|row| row.name == name)
}

include!("gen/reasons.rs");
