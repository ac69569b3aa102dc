//! What an error answer means for the money.
//!
//! Owns: the line between "the gateway has refused" and "nobody knows". May not: put an error on the first side unless the
//! contract says that nothing was stored.

use std::collections::BTreeMap;
use std::error::Error as _;
use std::fmt;
use std::time::Duration;

use tonic::{Code, ConnectError, Status};
use tonic_types::StatusExt as _;

/// Whose reasons count: the gateway's own. A proxy has others, or none.
const DOMAIN: &str = "paygate.v1";

/// Why a call did not give what was asked for.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// The gateway has refused: by this call nothing was stored or changed. The same call would be refused again, or not before
    /// [`Refusal::retry_after`].
    #[error("refused: {0}")]
    Refused(Box<Refusal>),
    /// Nobody knows whether the gateway has done it. Repeat with the same `payment_id`, or look the payment up.
    #[error("{0}")]
    Unanswered(Box<Unanswered>),
}

/// An error answer, with all that it carries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The gRPC status code.
    pub code: Code,
    /// Name of the `ErrorReason`, for example `PAYMENT_ID_REUSED`. Empty: the answer carries none, so it is not the gateway's own.
    pub reason: String,
    /// For a person: names the field, the value and the limit.
    pub message: String,
    /// What the reason is about, for example `field`.
    pub metadata: BTreeMap<String, String>,
    /// What is wrong with which field.
    pub fields: Vec<FieldViolation>,
    /// Limits that are used up, as subject and description.
    pub quotas: Vec<FieldViolation>,
    /// When it is worth asking again.
    pub retry_after: Option<Duration>,
}

/// What is wrong with a field or a limit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldViolation {
    /// Name of the field, or of the limit.
    pub subject: String,
    /// For a person.
    pub description: String,
}

/// A call that ended without an answer that settles it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unanswered {
    /// How often it was tried.
    pub attempts: u32,
    /// Whether any attempt came as far as a connection. If not, these attempts have stored nothing; earlier ones may have.
    pub reached: bool,
    /// What was heard last.
    pub last: Refusal,
}

/// What one failed attempt tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Meaning {
    /// There was no connection: the request did not leave this machine.
    NotSent,
    /// It may have been done.
    Unknown,
    /// Not by this attempt; an earlier one without an answer may have done it.
    Refused,
    /// Not by this attempt and not by an earlier one.
    RefusedForGood,
}

/// What a failed attempt tells. Whatever the contract does not call "nothing stored" is unknown.
pub(crate) fn meaning(status: &Status) -> Meaning {
    if is_unconnected(status) {
        return Meaning::NotSent;
    }
    match status.code() {
        // This id belongs to another content, for ever: ours was stored by no attempt.
        Code::AlreadyExists => Meaning::RefusedForGood,
        Code::InvalidArgument
        | Code::FailedPrecondition
        | Code::PermissionDenied
        | Code::Unauthenticated
        | Code::ResourceExhausted
        | Code::OutOfRange
        | Code::NotFound
        | Code::Unimplemented => Meaning::Refused,
        Code::Ok
        | Code::Cancelled
        | Code::Unknown
        | Code::DeadlineExceeded
        | Code::Aborted
        | Code::Internal
        | Code::Unavailable
        | Code::DataLoss => Meaning::Unknown,
    }
}

fn is_unconnected(status: &Status) -> bool {
    let mut cause = status.source();
    while let Some(error) = cause {
        if error.is::<ConnectError>() {
            return true;
        }
        cause = error.source();
    }
    false
}

impl CallError {
    /// What was heard last.
    #[must_use]
    pub fn answer(&self) -> &Refusal {
        match self {
            CallError::Refused(refusal) => refusal,
            CallError::Unanswered(unanswered) => &unanswered.last,
        }
    }
}

impl Refusal {
    /// All that an error answer carries.
    #[must_use]
    pub fn from_status(status: &Status) -> Refusal {
        let details = status.get_error_details();
        let info = details
            .error_info()
            .filter(|info| info.domain == DOMAIN)
            .cloned();
        let fields = details
            .bad_request()
            .map(|bad| bad.field_violations.clone());
        let quotas = details
            .quota_failure()
            .map(|quota| quota.violations.clone());
        let violation = |subject, description| FieldViolation {
            subject,
            description,
        };
        Refusal {
            code: status.code(),
            reason: info
                .as_ref()
                .map(|info| info.reason.clone())
                .unwrap_or_default(),
            message: message(status),
            metadata: info
                .map(|info| info.metadata.into_iter().collect())
                .unwrap_or_default(),
            fields: fields
                .unwrap_or_default()
                .into_iter()
                .map(|field| violation(field.field, field.description))
                .collect(),
            quotas: quotas
                .unwrap_or_default()
                .into_iter()
                .map(|quota| violation(quota.subject, quota.description))
                .collect(),
            retry_after: details.retry_info().and_then(|retry| retry.retry_delay),
        }
    }

    /// The code as gRPC spells it, for example `ALREADY_EXISTS`.
    #[must_use]
    pub fn code_name(&self) -> &'static str {
        code_name(self.code)
    }
}

/// The status's message, and the innermost cause where it comes from this side: "transport error" alone tells nobody anything.
fn message(status: &Status) -> String {
    let mut innermost = None;
    let mut cause = status.source();
    while let Some(error) = cause {
        innermost = Some(error.to_string());
        cause = error.source();
    }
    match innermost {
        Some(cause) if cause != status.message() => format!("{}: {cause}", status.message()),
        _ => status.message().to_owned(),
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code_name())?;
        if !self.reason.is_empty() {
            write!(f, " ({})", self.reason)?;
        }
        write!(f, ": {}", self.message)
    }
}

/// The status code as gRPC writes it.
#[must_use]
pub fn code_name(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "CANCELLED",
        Code::Unknown => "UNKNOWN",
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::NotFound => "NOT_FOUND",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::Aborted => "ABORTED",
        Code::OutOfRange => "OUT_OF_RANGE",
        Code::Unimplemented => "UNIMPLEMENTED",
        Code::Internal => "INTERNAL",
        Code::Unavailable => "UNAVAILABLE",
        Code::DataLoss => "DATA_LOSS",
        Code::Unauthenticated => "UNAUTHENTICATED",
    }
}

impl fmt::Display for Unanswered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tries = if self.attempts == 1 { "try" } else { "tries" };
        write!(
            f,
            "no answer that settles it after {} {tries}; the last was {}",
            self.attempts, self.last
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_contract_does_not_call_refused_is_unknown() {
        for (code, wanted) in [
            (Code::Unavailable, Meaning::Unknown),
            (Code::DeadlineExceeded, Meaning::Unknown),
            (Code::Cancelled, Meaning::Unknown),
            (Code::Unknown, Meaning::Unknown),
            (Code::Internal, Meaning::Unknown),
            (Code::Aborted, Meaning::Unknown),
            (Code::DataLoss, Meaning::Unknown),
            (Code::InvalidArgument, Meaning::Refused),
            (Code::ResourceExhausted, Meaning::Refused),
            (Code::AlreadyExists, Meaning::RefusedForGood),
        ] {
            assert_eq!(meaning(&Status::new(code, "")), wanted, "{code:?}");
        }
    }
}
