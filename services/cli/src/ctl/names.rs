//! Names of enum values as people and scripts see them: without their prefix.
//!
//! Owns: nothing but the cutting. May not: give a value that this program does not know the name of another.

use paygate_client::proto::{
    EvidenceKind, KeyStatus, PaymentReason, PaymentState, PreflightRefusal, RolloutOutcome,
    RolloutVerdict, TimelineStage, VersionKind,
};

/// `PAID` for 4; `STATE_77` for a state that a newer gateway has.
pub(crate) fn state(number: i32) -> String {
    cut(
        PaymentState::try_from(number).map(|state| state.as_str_name()),
        "PAYMENT_STATE_",
        number,
    )
}

pub(crate) fn reason(number: i32) -> String {
    cut(
        PaymentReason::try_from(number).map(|reason| reason.as_str_name()),
        "PAYMENT_REASON_",
        number,
    )
}

pub(crate) fn stage(number: i32) -> String {
    cut(
        TimelineStage::try_from(number).map(|stage| stage.as_str_name()),
        "TIMELINE_STAGE_",
        number,
    )
}

pub(crate) fn evidence_kind(number: i32) -> String {
    cut(
        EvidenceKind::try_from(number).map(|kind| kind.as_str_name()),
        "EVIDENCE_KIND_",
        number,
    )
}

pub(crate) fn preflight_refusal(number: i32) -> String {
    cut(
        PreflightRefusal::try_from(number).map(|refusal| refusal.as_str_name()),
        "PREFLIGHT_REFUSAL_",
        number,
    )
}

pub(crate) fn rollout_outcome(number: i32) -> String {
    cut(
        RolloutOutcome::try_from(number).map(|outcome| outcome.as_str_name()),
        "ROLLOUT_OUTCOME_",
        number,
    )
}

pub(crate) fn rollout_verdict(number: i32) -> String {
    cut(
        RolloutVerdict::try_from(number).map(|verdict| verdict.as_str_name()),
        "ROLLOUT_VERDICT_",
        number,
    )
}

pub(crate) fn version_kind(number: i32) -> String {
    cut(
        VersionKind::try_from(number).map(|kind| kind.as_str_name()),
        "VERSION_KIND_",
        number,
    )
}

pub(crate) fn key_status(number: i32) -> String {
    cut(
        KeyStatus::try_from(number).map(|status| status.as_str_name()),
        "KEY_STATUS_",
        number,
    )
}

fn cut<E>(name: Result<&'static str, E>, prefix: &str, number: i32) -> String {
    match name {
        Ok(name) => name.strip_prefix(prefix).unwrap_or(name).to_owned(),
        // "PAYMENT_STATE_" makes "STATE_77".
        Err(_) => format!("{}{number}", prefix.trim_start_matches("PAYMENT_")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_values_lose_their_prefix_and_unknown_ones_keep_their_number() {
        assert_eq!(state(4), "PAID");
        assert_eq!(state(77), "STATE_77");
        assert_eq!(reason(7), "LEDGER_UNAVAILABLE");
        assert_eq!(stage(11), "SUBMIT_ANSWERED");
        assert_eq!(evidence_kind(1), "PRESENCE");
        assert_eq!(preflight_refusal(5), "TAG_NEEDED");
        assert_eq!(version_kind(2), "NO_OP");
        assert_eq!(key_status(9), "KEY_STATUS_9");
    }
}
