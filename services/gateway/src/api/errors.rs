//! Every error that the gRPC surface answers with. One constructor for each reason of `errors.proto`.
//!
//! Owns: status codes, messages and details. May not: repeat text of a caller that was not understood (it may be a secret in the
//! wrong field), nor tell what the store or another part of ours said of itself.

use std::collections::HashMap;
use std::time::Duration;

use paygate_payments::clients::OverClientLimit;
use paygate_payments::intent::{Id, IntentField, PaymentKey};
use paygate_payments::limits::OverLimit;
use paygate_payments::money::Money;
use paygate_payments::payment::{CannotReceive, StateName};
use paygate_payments::rollout::OverStage;
use paygate_proto::v1::ErrorReason;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, FieldViolation, QuotaViolation, StatusExt as _};
use xrpl_tx::{AccountId, Hash256};

use crate::store::{RetryRefusal, StoreError};

/// Domain of every ErrorInfo.
pub(crate) const DOMAIN: &str = "paygate.v1";

/// When to come back after an answer that says nothing about what is broken: short, because a repeated call is cheap and safe.
const RETRY_SOON: Duration = Duration::from_secs(1);

/// When a watcher may find a seat: streams last long.
const RETRY_WATCH: Duration = Duration::from_secs(10);

/// One field that cannot be taken as it is.
#[derive(Clone, Debug)]
pub(super) struct Violation {
    /// Path of the field in the request.
    pub(super) field: String,
    /// What is wrong, beginning with a verb: the field's name is put before it.
    pub(super) problem: String,
    /// Which error it is if it is the only one.
    pub(super) reason: ErrorReason,
    /// The value, where it was understood and is no text of the caller's.
    pub(super) value: Option<String>,
    /// The limit that it breaks.
    pub(super) limit: Option<String>,
}

/// A request that cannot be taken. All violations are told; there must be one.
pub(super) fn invalid(violations: &[Violation]) -> Status {
    let malformed = violations
        .iter()
        .find(|violation| violation.reason == ErrorReason::FieldInvalid);
    let Some(first) = malformed.or(violations.first()) else {
        return internal("a request was refused without a violation");
    };
    let mut metadata = vec![("field", first.field.clone())];
    metadata.extend(first.value.clone().map(|value| ("value", value)));
    metadata.extend(first.limit.clone().map(|limit| ("limit", limit)));
    let message = violations
        .iter()
        .map(Violation::sentence)
        .collect::<Vec<_>>()
        .join("; ");
    let mut details = info(first.reason, metadata);
    details.set_bad_request(violations.iter().map(Violation::detail).collect::<Vec<_>>());
    Status::with_error_details(Code::InvalidArgument, message, details)
}

/// The id belongs to a payment of other content.
pub(super) fn payment_id_reused(key: &PaymentKey, field: IntentField, state: StateName) -> Status {
    let metadata = vec![
        ("field", field.name().to_owned()),
        ("payment_id", key.payment.to_string()),
        ("state", state.as_str().to_owned()),
    ];
    let problem = format!(
        "differs from the stored payment of payment_id {}",
        key.payment
    );
    let mut details = info(ErrorReason::PaymentIdReused, metadata);
    details.add_bad_request_violation(field.name(), problem);
    let message = format!(
        "payment_id {} belongs to another payment, now {}, which differs in {}; nothing was changed",
        key.payment,
        state.as_str(),
        field.name()
    );
    Status::with_error_details(Code::AlreadyExists, message, details)
}

/// The predecessor cannot be replaced.
pub(super) fn retry_of_invalid(predecessor: &str, refusal: &RetryRefusal) -> Status {
    let problem = match refusal {
        RetryRefusal::Unknown => "is unknown".to_owned(),
        RetryRefusal::NotFinal(state) => format!("is {} and may still be paid", state.as_str()),
        RetryRefusal::NotSafe(state) => format!("is {}", state.as_str()),
        RetryRefusal::HasSuccessor(id) => format!("has a successor already, {id}"),
    };
    let mut details = info(
        ErrorReason::RetryOfInvalid,
        vec![("field", "retry_of".to_owned())],
    );
    details.add_bad_request_violation("retry_of", format!("names a payment that {problem}"));
    let message = format!("retry_of: payment {predecessor} {problem}; nothing was stored");
    Status::with_error_details(Code::FailedPrecondition, message, details)
}

/// A limit over several payments is used up. `wait`: until what blocks may be gone. `None`: it does not pass by itself.
pub(super) fn limit_used_up(
    wallet: AccountId,
    client: &Id,
    over: &OverLimit,
    wait: Option<Duration>,
) -> Status {
    let (reason, value, limit) = match over {
        OverLimit::NotConfigured { .. }
        | OverLimit::BelowMinimum { .. }
        | OverLimit::AboveMaximum { .. }
        | OverLimit::Client(OverClientLimit::Payment { .. })
        | OverLimit::Stage(OverStage::Payment { .. }) => {
            return invalid(&[amount_limit(over)]);
        }
        OverLimit::Stage(stage @ (OverStage::Client { .. } | OverStage::Issued { .. })) => {
            return not_in_stage(client, stage);
        }
        OverLimit::Stage(OverStage::Day { used, max, .. }) => (
            ErrorReason::LimitDaily,
            used.get().to_string(),
            max.get().to_string(),
        ),
        OverLimit::Client(OverClientLimit::Destination { destination }) => {
            return destination_not_allowed(client, *destination);
        }
        OverLimit::Client(OverClientLimit::Day { used, max, .. }) => (
            ErrorReason::LimitDaily,
            used.get().to_string(),
            max.get().to_string(),
        ),
        OverLimit::Client(
            OverClientLimit::Pending { max } | OverClientLimit::Share { share: max },
        ) => (ErrorReason::LimitPending, max.to_string(), max.to_string()),
        OverLimit::Day { used, max, .. } => (ErrorReason::LimitDaily, used.number(), max.number()),
        OverLimit::Pending { max } => (ErrorReason::LimitPending, max.to_string(), max.to_string()),
    };
    let id = over.key();
    let subject = match over {
        OverLimit::Client(_) => format!("client:{client}"),
        _ => format!("wallet:{wallet}"),
    };
    let mut quota = QuotaViolation::new(subject, over.to_string());
    quota.quota_id = id.to_owned();
    // A whole number by its type: of an issued currency the limit is in the metadata only.
    quota.quota_value = limit.parse().unwrap_or_default();
    let mut metadata = vec![("quota", id.to_owned()), ("value", value), ("limit", limit)];
    if let OverLimit::Stage(over) = over {
        metadata.push(("stage", over.stage().to_string()));
    }
    let mut details = info(reason, metadata);
    details.set_quota_failure(vec![quota]);
    if let Some(wait) = wait {
        details.set_retry_info(Some(wait));
    }
    Status::with_error_details(
        Code::ResourceExhausted,
        format!("{over}; nothing was stored"),
        details,
    )
}

/// The amount breaks a limit of a single payment.
pub(super) fn amount_limit(over: &OverLimit) -> Violation {
    let (reason, value, limit) = match over {
        OverLimit::NotConfigured { asset } => {
            return Violation {
                field: "issued".to_owned(),
                problem: over.to_string(),
                reason: ErrorReason::AssetNotConfigured,
                value: Some(asset.to_string()),
                limit: None,
            };
        }
        OverLimit::BelowMinimum { amount, min } => (ErrorReason::LimitPaymentMin, amount, min),
        OverLimit::AboveMaximum { amount, max } => (ErrorReason::LimitPaymentMax, amount, max),
        OverLimit::Client(OverClientLimit::Payment { amount, max }) => {
            return Violation {
                field: "xrp_drops".to_owned(),
                problem: over.to_string(),
                reason: ErrorReason::LimitPaymentMax,
                value: Some(amount.get().to_string()),
                limit: Some(max.get().to_string()),
            };
        }
        OverLimit::Stage(
            OverStage::Payment { amount, max, .. } | OverStage::Day { amount, max, .. },
        ) => {
            return Violation {
                field: "xrp_drops".to_owned(),
                problem: over.to_string(),
                reason: ErrorReason::LimitPaymentMax,
                value: Some(amount.get().to_string()),
                limit: Some(max.get().to_string()),
            };
        }
        // Neither is a limit of an amount; as a violation they keep their words.
        OverLimit::Client(_) | OverLimit::Stage(_) => {
            return Violation {
                field: "amount".to_owned(),
                problem: over.to_string(),
                reason: ErrorReason::LimitPending,
                value: None,
                limit: None,
            };
        }
        // Those of several payments are told by `limit_used_up`; as a violation they keep their words.
        OverLimit::Day { amount, max, .. } => (ErrorReason::LimitDaily, amount, max),
        OverLimit::Pending { max } => {
            return Violation {
                field: "amount".to_owned(),
                problem: over.to_string(),
                reason: ErrorReason::LimitPending,
                value: None,
                limit: Some(max.to_string()),
            };
        }
    };
    Violation {
        field: match value {
            Money::Xrp(_) => "xrp_drops",
            Money::Issued { .. } => "issued.value",
        }
        .to_owned(),
        problem: over.to_string(),
        reason,
        value: Some(value.number()),
        limit: Some(limit.number()),
    }
}

/// The client may not pay this account.
fn destination_not_allowed(client: &Id, destination: AccountId) -> Status {
    let metadata = vec![
        ("field", "destination".to_owned()),
        ("value", destination.to_address()),
        ("client_id", client.to_string()),
    ];
    let mut details = info(ErrorReason::DestinationNotAllowed, metadata);
    details.add_bad_request_violation("destination", "is none of clients.destinations");
    let message = format!(
        "destination: {destination} is none of the destinations that client {client} may pay; nothing was stored"
    );
    Status::with_error_details(Code::PermissionDenied, message, details)
}

/// The stage of the roll-out does not let this client pay, or not this kind of money.
fn not_in_stage(client: &Id, over: &OverStage) -> Status {
    let mut metadata = vec![
        ("stage", over.stage().to_string()),
        ("quota", over.key().to_owned()),
        ("client_id", client.to_string()),
    ];
    if let OverStage::Issued { asset, .. } = over {
        metadata.push(("value", asset.to_string()));
    }
    Status::with_error_details(
        Code::PermissionDenied,
        format!("{over}; nothing was stored"),
        info(ErrorReason::RolloutStage, metadata),
    )
}

/// A person asks for something that the roll-out does not allow now. Nothing was changed. `unmet`: the criteria that do not hold.
pub(super) fn rollout_forbids(why: &str, stage: Option<&str>, unmet: &[String]) -> Status {
    let mut metadata = Vec::new();
    metadata.extend(stage.map(|stage| ("stage", stage.to_owned())));
    if !unmet.is_empty() {
        metadata.push(("unmet", unmet.join(",")));
    }
    Status::with_error_details(
        Code::FailedPrecondition,
        format!("{why}; the stage is unchanged"),
        info(ErrorReason::StateForbids, metadata),
    )
}

/// An approver is the payment's own client.
pub(super) fn approver_is_creator(key: &PaymentKey) -> Status {
    let metadata = vec![
        ("client_id", key.client.to_string()),
        ("payment_id", key.payment.to_string()),
    ];
    let message = format!(
        "payment {key} was created by client {}, which cannot decide about it: another identity must; it is unchanged",
        key.client
    );
    Status::with_error_details(
        Code::PermissionDenied,
        message,
        info(ErrorReason::ApproverIsCreator, metadata),
    )
}

/// A decision about a payment cannot be carried out. `field`: what the approver saw otherwise.
pub(super) fn cannot_decide(key: &PaymentKey, field: Option<&'static str>, why: &str) -> Status {
    let mut metadata = vec![
        ("client_id", key.client.to_string()),
        ("payment_id", key.payment.to_string()),
    ];
    metadata.extend(field.map(|field| ("field", field.to_owned())));
    Status::with_error_details(
        Code::FailedPrecondition,
        format!("payment {key} {why}"),
        info(ErrorReason::StateForbids, metadata),
    )
}

/// As many pauses as there can be are in force.
pub(super) fn too_many_pauses(max: usize) -> Status {
    let message = format!(
        "{max} pauses are in force, as many as there can be: resume what is over, or pause the wallet as a whole"
    );
    Status::with_error_details(
        Code::FailedPrecondition,
        message,
        info(ErrorReason::StateForbids, vec![("limit", max.to_string())]),
    )
}

/// The ledger knows the payment and the store does not. The caller must not pay elsewhere.
pub(super) fn on_ledger(key: &PaymentKey, tx_hash: Hash256) -> Status {
    tracing::error!(payment_id = %key.payment, %tx_hash, "the ledger holds a transaction of a payment that no row knows");
    let metadata = vec![
        ("payment_id", key.payment.to_string()),
        ("tx_hash", tx_hash.to_string()),
    ];
    let message = format!(
        "transaction {tx_hash} on the ledger carries payment_id {} and the store does not know it: it may be paid already; do \
         not pay elsewhere, an operator must look",
        key.payment
    );
    Status::with_error_details(
        Code::FailedPrecondition,
        message,
        info(ErrorReason::StateForbids, metadata),
    )
}

/// A caller who only asks is told what pre-flight would make of his payment.
pub(super) fn destination_cannot_receive(cannot: &CannotReceive) -> Status {
    let metadata = vec![
        ("refusal", cannot.reason.as_str().to_uppercase()),
        ("ledger_index", cannot.ledger.index.to_string()),
    ];
    let message = format!(
        "the destination cannot receive this payment as of validated ledger {}: {}",
        cannot.ledger.index, cannot.detail
    );
    let details = info(ErrorReason::DestinationCannotReceive, metadata);
    Status::with_error_details(Code::FailedPrecondition, message, details)
}

/// Nothing was changed: a person must first know of these transactions.
pub(super) fn unnamed_foreign(unnamed: &[Hash256]) -> Status {
    let listed: Vec<String> = unnamed.iter().map(ToString::to_string).collect();
    let message = format!(
        "acknowledged_tx_hashes lacks {} of the wallet's foreign transactions: {}; find out who made them before sending goes on",
        unnamed.len(),
        listed.join(", ")
    );
    let metadata = vec![("unacknowledged", listed.join(","))];
    Status::with_error_details(
        Code::FailedPrecondition,
        message,
        info(ErrorReason::StateForbids, metadata),
    )
}

/// Nothing was changed: a transaction made outside cannot be announced now.
pub(super) fn announcement_refused(why: String) -> Status {
    Status::with_error_details(
        Code::FailedPrecondition,
        format!("the transaction cannot be announced: {why}"),
        info(ErrorReason::StateForbids, Vec::new()),
    )
}

/// There is no such payment of this client.
pub(super) fn payment_not_found(key: &PaymentKey) -> Status {
    let metadata = vec![
        ("client_id", key.client.to_string()),
        ("payment_id", key.payment.to_string()),
    ];
    let message = format!(
        "client {} has no payment {}; after a CreatePayment without an answer repeat CreatePayment",
        key.client, key.payment
    );
    Status::with_error_details(
        Code::NotFound,
        message,
        info(ErrorReason::PaymentNotFound, metadata),
    )
}

/// The page token is none of ours for these filters.
pub(super) fn page_token_invalid() -> Status {
    let mut details = info(
        ErrorReason::PageTokenInvalid,
        vec![("field", "page_token".to_owned())],
    );
    details.add_bad_request_violation(
        "page_token",
        "was not made by this gateway for these filters",
    );
    let message =
        "page_token was not made by this gateway for these filters; start over without one";
    Status::with_error_details(Code::InvalidArgument, message, details)
}

/// The cursor is none of ours, or of rows that are gone. `why` is our own word.
pub(super) fn cursor_invalid(why: &str) -> Status {
    let mut details = info(
        ErrorReason::PageTokenInvalid,
        vec![("field", "cursor".to_owned())],
    );
    details.add_bad_request_violation("cursor", why);
    let message = format!(
        "cursor: {why}; changes may have been missed: start over with the cursor beginning, or look the payments up"
    );
    Status::with_error_details(Code::InvalidArgument, message, details)
}

/// As many streams as allowed are open.
pub(super) fn too_many_watchers(limit: usize) -> Status {
    let mut details = info(ErrorReason::Overloaded, vec![("limit", limit.to_string())]);
    details.set_retry_info(Some(RETRY_WATCH));
    let message = format!(
        "{limit} streams of WatchPayments are open, as many as allowed; nothing is lost: come back with the same cursor"
    );
    Status::with_error_details(Code::ResourceExhausted, message, details)
}

/// The process is stopping and ends a stream.
pub(super) fn watch_draining() -> Status {
    let mut details = info(ErrorReason::Draining, vec![]);
    details.set_retry_info(Some(RETRY_SOON));
    let message = "the gateway is stopping; nothing is lost: call again with the last cursor that was dealt with";
    Status::with_error_details(Code::Unavailable, message, details)
}

/// A payment on hold cannot be cancelled.
pub(super) fn cannot_cancel(key: &PaymentKey, state: StateName) -> Status {
    let metadata = vec![
        ("payment_id", key.payment.to_string()),
        ("state", state.as_str().to_owned()),
    ];
    let message = format!(
        "payment {} is {} and cannot be cancelled: its slot is used already, and only evidence decides it; it is unchanged",
        key.payment,
        state.as_str()
    );
    Status::with_error_details(
        Code::FailedPrecondition,
        message,
        info(ErrorReason::StateForbids, metadata),
    )
}

/// A handler was reached by a call that did not pass `access`. It never is; nobody is let in if it were.
pub(super) fn credential_invalid() -> Status {
    let message = "no caller is known for this call";
    Status::with_error_details(
        Code::Unauthenticated,
        message,
        info(ErrorReason::CredentialInvalid, vec![]),
    )
}

/// Another client's payment, and no scope to see it.
pub(super) fn others_payments() -> Status {
    let message = "client_id: another client's payments are seen with the scope operate or approve only; leave it empty for your own";
    let metadata = vec![
        ("field", "client_id".to_owned()),
        ("scope", "operate".to_owned()),
    ];
    Status::with_error_details(
        Code::PermissionDenied,
        message,
        info(ErrorReason::ScopeMissing, metadata),
    )
}

/// This version does not do it. `instead` is a sentence that says what to do.
pub(super) fn not_implemented(what: &str, instead: &str) -> Status {
    let message = format!("{what} is not implemented in this version; {instead}");
    let details = info(
        ErrorReason::NotImplemented,
        vec![("feature", what.to_owned())],
    );
    Status::with_error_details(Code::Unimplemented, message, details)
}

/// The store failed. `operation` is for the log: callers learn only that they must ask again.
pub(super) fn store(operation: &'static str, error: &StoreError) -> Status {
    if matches!(error, StoreError::PageToken) {
        return page_token_invalid();
    }
    if let StoreError::WatchCursor(why) = error {
        return cursor_invalid(why);
    }
    tracing::error!(operation, %error, "the store failed a call");
    let mut details = info(ErrorReason::StoreUnavailable, vec![]);
    details.set_retry_info(Some(RETRY_SOON));
    let message = "the store does not answer and the outcome of this call is unknown: repeat the same call, with the same \
                   payment_id; it cannot pay twice";
    Status::with_error_details(Code::Unavailable, message, details)
}

/// The process is stopping.
pub(super) fn draining() -> Status {
    let mut details = info(ErrorReason::Draining, vec![]);
    details.set_retry_info(Some(RETRY_SOON));
    let message = "the gateway is stopping and takes no payments; this call stored nothing: repeat it, with the same payment_id";
    Status::with_error_details(Code::Unavailable, message, details)
}

/// `pay_before` needs a validated ledger and there is none yet.
pub(super) fn ledger_unavailable() -> Status {
    let mut details = info(
        ErrorReason::LedgerUnavailable,
        vec![("field", "pay_before".to_owned())],
    );
    details.set_retry_info(Some(RETRY_SOON));
    let message = "no validated ledger is known yet, and pay_before cannot become a deadline without one; nothing was stored: \
                   repeat the same call";
    Status::with_error_details(Code::Unavailable, message, details)
}

/// Too many calls at once.
pub(super) fn overloaded(limit: usize) -> Status {
    let mut details = info(ErrorReason::Overloaded, vec![("limit", limit.to_string())]);
    details.set_retry_info(Some(RETRY_SOON));
    let message = format!(
        "{limit} calls are being answered, as many as allowed; this one was not looked at: repeat it"
    );
    Status::with_error_details(Code::ResourceExhausted, message, details)
}

/// Too many batches at once.
pub(super) fn too_many_batches(limit: usize) -> Status {
    let mut details = info(ErrorReason::Overloaded, vec![("limit", limit.to_string())]);
    details.set_retry_info(Some(RETRY_SOON));
    let message = format!(
        "{limit} batches are being stored, as many as allowed; this one was not looked at: repeat it"
    );
    Status::with_error_details(Code::ResourceExhausted, message, details)
}

/// An item of a batch that would be too large a request by itself.
pub(super) fn request_too_large(bytes: usize, limit: usize) -> Status {
    let metadata = vec![("value", bytes.to_string()), ("limit", limit.to_string())];
    let message = format!(
        "the payment takes {bytes} bytes, the limit of a request is {limit}; nothing of it was stored"
    );
    let details = info(ErrorReason::RequestTooLarge, metadata);
    Status::with_error_details(Code::OutOfRange, message, details)
}

/// A bug of ours.
pub(super) fn internal(what: &'static str) -> Status {
    tracing::error!(what, "a bug: a call could not be answered");
    let message = "a bug of the gateway, logged with the trace id; the outcome is unknown: repeat the same call, and report it";
    Status::with_error_details(Code::Internal, message, info(ErrorReason::Internal, vec![]))
}

// === impl Violation ===

impl Violation {
    /// A malformed field.
    pub(super) fn malformed(field: impl Into<String>, problem: impl Into<String>) -> Self {
        Self {
            field: field.into(),
            problem: problem.into(),
            reason: ErrorReason::FieldInvalid,
            value: None,
            limit: None,
        }
    }

    /// The same, with a value that is safe to show.
    pub(super) fn of_value(mut self, value: impl ToString) -> Self {
        self.value = Some(value.to_string());
        self
    }

    /// The same, with the limit.
    pub(super) fn with_limit(mut self, limit: impl ToString) -> Self {
        self.limit = Some(limit.to_string());
        self
    }

    fn sentence(&self) -> String {
        format!("{}: {}", self.field, self.problem)
    }

    fn detail(&self) -> FieldViolation {
        let mut detail = FieldViolation::new(self.field.clone(), self.problem.clone());
        reason_name(self.reason).clone_into(&mut detail.reason);
        detail
    }
}

/// The reason as ErrorInfo carries it.
pub(super) fn reason_name(reason: ErrorReason) -> &'static str {
    let name = reason.as_str_name();
    name.strip_prefix("ERROR_REASON_").unwrap_or(name)
}

pub(super) fn info(reason: ErrorReason, metadata: Vec<(&'static str, String)>) -> ErrorDetails {
    let metadata: HashMap<String, String> = metadata
        .into_iter()
        .map(|(key, value)| (key.to_owned(), value))
        .collect();
    ErrorDetails::with_error_info(reason_name(reason), DOMAIN, metadata)
}
