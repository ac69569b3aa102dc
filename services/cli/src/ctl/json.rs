//! Results for scripts.
//!
//! Owns: the names and shapes of the JSON. They follow the contract's fields in snake_case; each is always there, `null` or empty
//! where it holds nothing; 64-bit numbers are strings, enum values go without their prefix, bytes are base64, times RFC 3339. A name is never given
//! another meaning. May not: leave out what a person is shown.

use paygate_client::proto::{
    CreatePaymentResponse, Evidence, ExplainPaymentResponse, IssuedAmount, ListPaymentsResponse,
    Memo, Payment, PaymentVersion, TimelineEvent, evidence, payment, slot,
};
use paygate_client::{CallError, Change, FieldViolation};
use prost_types::{Duration, Timestamp};
use serde_json::{Value, json};

use super::names;

pub(crate) fn payment(payment: &Payment) -> Value {
    let (xrp_drops, issued) = match &payment.amount {
        Some(payment::Amount::XrpDrops(drops)) => (number(*drops), Value::Null),
        Some(payment::Amount::Issued(amount)) => (Value::Null, issued_amount(amount)),
        None => (Value::Null, Value::Null),
    };
    let slot = payment
        .slot
        .as_ref()
        .and_then(|slot| slot.kind.as_ref())
        .map(|kind| match kind {
            slot::Kind::Sequence(sequence) => json!({ "sequence": sequence, "ticket": null }),
            slot::Kind::Ticket(ticket) => json!({ "sequence": null, "ticket": ticket }),
        });
    json!({
        "payment_id": payment.payment_id,
        "client_id": payment.client_id,
        "state": names::state(payment.state),
        "reason": names::reason(payment.reason),
        "reason_detail": payment.reason_detail,
        "safe_to_repay": paygate_client::safe_to_repay(payment),
        "destination": payment.destination,
        "destination_tag": payment.destination_tag,
        "xrp_drops": xrp_drops,
        "issued": issued,
        "send_max": payment.send_max,
        "memos": payment.memos.iter().map(memo).collect::<Vec<_>>(),
        "retry_of": payment.retry_of,
        "create_time": time(&payment.create_time),
        "update_time": time(&payment.update_time),
        "approve_before": time(&payment.approve_before),
        "deadline_ledger": payment.deadline_ledger,
        "cancel_requested": payment.cancel_requested,
        "slot": slot,
        "versions": payment.versions.iter().map(version).collect::<Vec<_>>(),
        "dead_at_ledger": payment.dead_at_ledger,
        "invoice_id": payment.invoice_id,
        "trace_id": payment.trace_id,
        "evidence": payment.evidence.as_ref().map(evidence),
    })
}

pub(crate) fn created(created: &CreatePaymentResponse) -> Value {
    let mut value = payment(&created.payment.clone().unwrap_or_default());
    value["existed"] = json!(created.existed);
    value
}

pub(crate) fn page(page: &ListPaymentsResponse) -> Value {
    json!({
        "payments": page.payments.iter().map(payment).collect::<Vec<_>>(),
        "next_page_token": page.next_page_token,
    })
}

pub(crate) fn explained(explained: &ExplainPaymentResponse) -> Value {
    json!({
        "payment": payment(&explained.payment.clone().unwrap_or_default()),
        "events": explained.events.iter().map(event).collect::<Vec<_>>(),
        "gateway_next": explained.gateway_next,
        "person_next": explained.person_next,
    })
}

pub(crate) fn change(change: &Change) -> Value {
    json!({ "cursor": change.cursor, "change": event(&change.event), "payment": payment(&change.payment) })
}

/// `payment_id` is there if the call was about one payment.
pub(crate) fn error(error: &CallError, payment_id: Option<&str>, trace_id: &str) -> Value {
    let answer = error.answer();
    let outcome = match error {
        CallError::Refused(_) => "REFUSED",
        CallError::Unanswered(_) => "UNKNOWN",
    };
    let violations = |violations: &[FieldViolation], name: &str| {
        let one = |violation: &FieldViolation| json!({ name: violation.subject, "description": violation.description });
        violations.iter().map(one).collect::<Vec<_>>()
    };
    json!({
        "error": {
            "outcome": outcome,
            "payment_id": payment_id,
            "code": answer.code_name(),
            "reason": answer.reason,
            "message": answer.message,
            "metadata": answer.metadata,
            "field_violations": violations(&answer.fields, "field"),
            "quota_violations": violations(&answer.quotas, "subject"),
            "retry_after_ms": answer.retry_after.map(|after| u64::try_from(after.as_millis()).unwrap_or(u64::MAX)),
            "trace_id": trace_id,
        }
    })
}

/// A 64-bit number: as a string, because many readers of JSON round larger ones.
pub(crate) fn number(number: u64) -> Value {
    Value::String(number.to_string())
}

pub(crate) fn time(time: &Option<Timestamp>) -> Value {
    time.as_ref()
        .map_or(Value::Null, |time| Value::String(time.to_string()))
}

/// As protobuf's JSON: `1.500s`.
pub(crate) fn duration(duration: &Option<Duration>) -> Value {
    duration
        .as_ref()
        .map_or(Value::Null, |duration| Value::String(duration.to_string()))
}

fn issued_amount(amount: &IssuedAmount) -> Value {
    json!({ "currency": amount.currency, "issuer": amount.issuer, "value": amount.value })
}

fn memo(memo: &Memo) -> Value {
    json!({ "type": memo.r#type, "data": base64(&memo.data), "format": memo.format })
}

fn version(version: &PaymentVersion) -> Value {
    json!({
        "fee_drops": number(version.fee_drops),
        "last_ledger_sequence": version.last_ledger_sequence,
        "tx_hash": version.tx_hash,
        "kind": names::version_kind(version.kind),
    })
}

fn evidence(evidence: &Evidence) -> Value {
    let (drops, issued) = match &evidence.delivered {
        Some(evidence::Delivered::DeliveredDrops(drops)) => (number(*drops), Value::Null),
        Some(evidence::Delivered::DeliveredIssued(amount)) => (Value::Null, issued_amount(amount)),
        None => (Value::Null, Value::Null),
    };
    json!({
        "kind": names::evidence_kind(evidence.kind),
        "ledger_index": evidence.ledger_index,
        "ledger_hash": evidence.ledger_hash,
        "tx_hash": evidence.tx_hash,
        "engine_result": evidence.engine_result,
        "delivered_drops": drops,
        "delivered_issued": issued,
        "fee_drops": number(evidence.fee_drops),
        "servers": evidence.servers,
        "refusal": (evidence.refusal != 0).then(|| names::preflight_refusal(evidence.refusal)),
        "ledger_close_time": time(&evidence.ledger_close_time),
    })
}

fn event(event: &TimelineEvent) -> Value {
    let details: std::collections::BTreeMap<_, _> = event.details.iter().collect();
    json!({
        "time": time(&event.time),
        "sequence": number(event.sequence),
        "stage": names::stage(event.stage),
        "summary": event.summary,
        "details": details,
        "span_id": event.span_id,
        "state": event.state.map(names::state),
    })
}

/// RFC 4648, with padding, as protobuf's JSON has bytes.
fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let group = |chunk: &[u8]| {
        let byte = |index: usize| u32::from(chunk.get(index).copied().unwrap_or_default());
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        [18, 12, 6, 0]
            .into_iter()
            .enumerate()
            .map(move |(index, shift)| {
                // Three bytes make four letters, two make three, one makes two.
                let used = index <= chunk.len();
                if used {
                    char::from(LETTERS[(bits >> shift & 63) as usize])
                } else {
                    '='
                }
            })
            .collect::<String>()
    };
    bytes.chunks(3).map(group).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use paygate_client::proto::PaymentState;

    #[test]
    fn bytes_are_base64() {
        for (bytes, text) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foobar", "Zm9vYmFy"),
        ] {
            assert_eq!(base64(bytes.as_bytes()), text);
        }
        assert_eq!(base64(&[0xff, 0xfe, 0xfd]), "//79");
    }

    #[test]
    fn large_amounts_are_not_rounded_and_absent_is_null() {
        let shown = payment(&Payment {
            state: PaymentState::AtLarge.into(),
            amount: Some(payment::Amount::XrpDrops(99_999_999_999_999_999)),
            safe_to_repay: true,
            ..Payment::default()
        });
        assert_eq!(shown["xrp_drops"], "99999999999999999");
        assert_eq!(shown["state"], "AT_LARGE");
        assert_eq!(
            shown["safe_to_repay"], false,
            "a live payment never is, whatever was sent"
        );
        for absent in [
            "destination_tag",
            "issued",
            "slot",
            "evidence",
            "create_time",
        ] {
            assert!(shown[absent].is_null(), "{absent}");
        }
    }
}
