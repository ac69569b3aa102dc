//! What went wrong, what it means for the money, and what to do, for a person.
//!
//! Owns: the sentences. May not: call a payment unpaid because a call failed.

use std::time::Duration;

use paygate_client::{CallError, Refusal};

use super::out::clean;

/// What was asked for, as far as it changes what a failure means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asked<'a> {
    /// To pay. The id is what makes repeating safe.
    Pay { payment_id: &'a str },
    /// To cancel.
    Cancel { payment_id: &'a str },
    /// To look at one payment.
    Look { payment_id: &'a str },
    /// To follow changes.
    Watch,
    /// To let sending go on.
    Unfreeze,
    /// To pause or to resume.
    Pause,
    /// To approve or to reject.
    Decide,
    /// To say something about the roll-out, to go on or back.
    Rollout,
    /// To say which transaction will be made outside.
    Announce,
    /// Anything that changes nothing and is about no single payment.
    Read,
}

impl<'a> Asked<'a> {
    pub(crate) fn payment_id(self) -> Option<&'a str> {
        match self {
            Asked::Pay { payment_id }
            | Asked::Cancel { payment_id }
            | Asked::Look { payment_id } => Some(payment_id),
            Asked::Watch
            | Asked::Unfreeze
            | Asked::Announce
            | Asked::Pause
            | Asked::Decide
            | Asked::Rollout
            | Asked::Read => None,
        }
    }
}

/// Some lines for standard error.
pub(crate) fn text(error: &CallError, asked: Asked<'_>, trace_id: &str) -> String {
    let answer = error.answer();
    let mut lines = vec![match error {
        CallError::Refused(_) => format!("refused: {}", clean(&answer.message)),
        CallError::Unanswered(unanswered) => {
            let tries = if unanswered.attempts == 1 {
                "try"
            } else {
                "tries"
            };
            format!(
                "no answer that settles it after {} {tries}: {}",
                unanswered.attempts,
                clean(&answer.message)
            )
        }
    }];
    lines.push(code(answer));
    lines.extend(answer.fields.iter().map(|field| {
        format!(
            "  field           {}: {}",
            clean(&field.subject),
            clean(&field.description)
        )
    }));
    lines.extend(answer.quotas.iter().map(|quota| {
        format!(
            "  limit           {}: {}",
            clean(&quota.subject),
            clean(&quota.description)
        )
    }));
    lines.extend(
        answer
            .metadata
            .iter()
            // Named above, with what is wrong with it.
            .filter(|(key, _)| *key != "field" || answer.fields.is_empty())
            .map(|(key, value)| format!("  {:<15} {}", clean(key), clean(value))),
    );
    lines.extend(
        answer
            .retry_after
            .map(|after| format!("  try again in    {}", span(after))),
    );
    if !trace_id.is_empty() {
        lines.push(format!("  trace           {trace_id}"));
    }
    lines.extend(advice(error, asked));
    lines.join("\n")
}

fn code(answer: &Refusal) -> String {
    match answer.reason.as_str() {
        "" => format!("  code            {}", answer.code_name()),
        reason => format!(
            "  reason          {} ({})",
            clean(reason),
            answer.code_name()
        ),
    }
}

/// What to do now. Nothing where the message says it all.
fn advice(error: &CallError, asked: Asked<'_>) -> Option<String> {
    match (error, asked) {
        (CallError::Unanswered(unanswered), Asked::Pay { payment_id }) if !unanswered.reached => Some(format!(
            "No try reached the gateway, so this command has stored nothing. Repeat it with --id {payment_id}."
        )),
        (CallError::Unanswered(_), Asked::Pay { payment_id }) => Some(format!(
            "It is UNKNOWN whether the payment is stored, and it may be paid. Do not pay elsewhere. Repeat the same command with \
             --id {payment_id}: that cannot pay twice."
        )),
        (CallError::Unanswered(_), Asked::Unfreeze) => {
            Some("It is UNKNOWN whether sending goes on. Look: paygatectl status. Repeating the same command is safe.".to_owned())
        }
        (CallError::Unanswered(_), Asked::Pause) => Some(
            "It is UNKNOWN whether it is in force. Look: paygatectl status. Repeating the same command is safe.".to_owned(),
        ),
        (CallError::Unanswered(_), Asked::Decide) => Some(
            "It is UNKNOWN whether the decision is stored. Repeating the same command is safe.".to_owned(),
        ),
        (CallError::Unanswered(_), Asked::Rollout) => Some(
            "It is UNKNOWN which stage is in force. Look: paygatectl rollout show. Repeating the same command is safe.".to_owned(),
        ),
        (CallError::Unanswered(_), Asked::Announce) => Some(
            "It is UNKNOWN whether it is announced. Repeating the same command is safe; do not send the transaction before it succeeds."
                .to_owned(),
        ),
        (CallError::Refused(_), Asked::Announce) => {
            Some("Do not send the transaction: unannounced, it freezes sending.".to_owned())
        }
        (CallError::Refused(refusal), Asked::Unfreeze) if refusal.metadata.contains_key("unacknowledged") => Some(
            "Sending stays frozen. Find out who made each of these transactions; then name each one with --acknowledge.".to_owned(),
        ),
        (CallError::Unanswered(_), Asked::Cancel { payment_id }) => Some(format!(
            "It is UNKNOWN whether the cancellation is stored. Repeat it, or look: paygatectl get {payment_id}"
        )),
        (CallError::Unanswered(_), Asked::Look { .. }) => {
            Some("This says nothing about the payment: ask again, and do not pay elsewhere meanwhile.".to_owned())
        }
        (CallError::Refused(refusal), Asked::Pay { payment_id }) if refusal.reason == "PAYMENT_ID_REUSED" => Some(format!(
            "The payment of that id goes on untouched: paygatectl get {payment_id}. Another payment needs an id of its own."
        )),
        (CallError::Refused(_), Asked::Pay { .. }) => Some("Nothing was stored by this request.".to_owned()),
        (CallError::Refused(refusal), Asked::Look { .. }) if refusal.reason == "PAYMENT_NOT_FOUND" => Some(
            "If it was sent and never answered, do not conclude that it does not exist: repeat the same pay command.".to_owned(),
        ),
        (CallError::Unanswered(_), Asked::Watch) => Some(
            "No change after a cursor is lost: go on with the last one. If none was given yet, changes since it began may be missing."
                .to_owned(),
        ),
        (CallError::Refused(refusal), Asked::Watch) if refusal.reason == "NOT_IMPLEMENTED" => {
            Some("This gateway has no stream of changes: poll with get or list.".to_owned())
        }
        (CallError::Refused(_) | CallError::Unanswered(_), _) => None,
    }
}

fn span(span: Duration) -> String {
    match span.as_secs() {
        0 => format!("{} ms", span.as_millis()),
        seconds @ 1..120 => format!("{seconds} s"),
        seconds @ 120..7200 => format!("{} min", seconds / 60),
        seconds => format!("{} h {} min", seconds / 3600, seconds / 60 % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use paygate_client::{FieldViolation, Unanswered};

    fn refusal(reason: &str) -> Refusal {
        Refusal {
            code: tonic::Code::InvalidArgument,
            reason: reason.into(),
            message: "xrp_drops: 0 is below 1".into(),
            metadata: [("field".to_owned(), "xrp_drops".to_owned())].into(),
            fields: vec![FieldViolation {
                subject: "xrp_drops".into(),
                description: "at least 1".into(),
            }],
            quotas: Vec::new(),
            retry_after: Some(Duration::from_millis(1500)),
        }
    }

    #[test]
    fn a_refusal_names_everything_that_it_carries() {
        let error = CallError::Refused(Box::new(refusal("FIELD_INVALID")));
        let text = text(&error, Asked::Pay { payment_id: "a" }, "abc");
        for part in [
            "refused: xrp_drops: 0 is below 1",
            "FIELD_INVALID (INVALID_ARGUMENT)",
            "xrp_drops: at least 1",
            "in    1 s",
            "abc",
            "Nothing was stored",
        ] {
            assert!(text.contains(part), "{part:?} is not in\n{text}");
        }
    }

    #[test]
    fn an_unknown_end_says_how_to_repeat_and_never_that_it_failed() {
        let unanswered = |reached| {
            CallError::Unanswered(Box::new(Unanswered {
                attempts: 3,
                reached,
                last: refusal(""),
            }))
        };
        let asked = Asked::Pay {
            payment_id: "invoice-1",
        };
        let unknown = text(&unanswered(true), asked, "");
        assert!(
            unknown.contains("UNKNOWN")
                && unknown.contains("--id invoice-1")
                && unknown.contains("Do not pay elsewhere")
        );
        assert!(!unknown.contains("Nothing was stored"));
        assert!(text(&unanswered(false), asked, "").contains("No try reached the gateway"));
    }
}
