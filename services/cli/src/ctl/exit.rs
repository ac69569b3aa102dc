//! How the program ends.
//!
//! Owns: the exit codes. May not: let 0 mean anything but PAID where a payment is asked about.

use std::process::ExitCode;

use paygate_client::proto::Payment;
use paygate_client::{CallError, Outcome, outcome};

/// The exit codes, as the help lists them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    Done,
    Otherwise,
    Undecided,
    Refused,
    /// Of sysexits.h: EX_USAGE.
    Usage,
}

impl Exit {
    /// For who wants a payment paid.
    pub(crate) fn of_payment(payment: &Payment) -> Exit {
        match outcome(payment) {
            Outcome::Paid => Exit::Done,
            Outcome::Unpaid => Exit::Otherwise,
            Outcome::Live => Exit::Undecided,
        }
    }

    /// For who wants a payment not to be paid.
    pub(crate) fn of_cancelled(payment: &Payment) -> Exit {
        match outcome(payment) {
            Outcome::Unpaid => Exit::Done,
            Outcome::Paid => Exit::Otherwise,
            Outcome::Live => Exit::Undecided,
        }
    }

    pub(crate) fn of_error(error: &CallError) -> Exit {
        match error {
            CallError::Refused(_) => Exit::Refused,
            CallError::Unanswered(_) => Exit::Undecided,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        ExitCode::from(match exit {
            Exit::Done => 0,
            Exit::Otherwise => 1,
            Exit::Undecided => 2,
            Exit::Refused => 3,
            Exit::Usage => 64,
        })
    }
}
