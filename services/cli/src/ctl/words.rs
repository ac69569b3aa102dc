//! What a payment's state means, in plain words.
//!
//! Owns: the sentences about money. May not: say more than is proven.

use paygate_client::proto::{Evidence, IssuedAmount, Payment, PaymentState, evidence, payment};
use paygate_client::{Outcome, currency_name, outcome, safe_to_repay, xrp_from_drops};

use super::names;
use super::out::Tone;

pub(crate) fn tone(payment: &Payment) -> Tone {
    match outcome(payment) {
        Outcome::Paid => Tone::Good,
        Outcome::Unpaid => Tone::Bad,
        Outcome::Live => Tone::Open,
    }
}

/// `2.5 XRP`, `12.5 USD of rIssuer`.
pub(crate) fn amount(payment: &Payment) -> String {
    match &payment.amount {
        Some(payment::Amount::XrpDrops(drops)) => xrp(*drops),
        Some(payment::Amount::Issued(issued)) => issued_amount(issued),
        None => "an unknown amount".to_owned(),
    }
}

pub(crate) fn delivered(evidence: &Evidence) -> String {
    match &evidence.delivered {
        Some(evidence::Delivered::DeliveredDrops(drops)) => {
            format!("{} ({drops} drops)", xrp(*drops))
        }
        Some(evidence::Delivered::DeliveredIssued(issued)) => issued_amount(issued),
        None => "nothing".to_owned(),
    }
}

pub(crate) fn xrp(drops: u64) -> String {
    format!("{} XRP", xrp_from_drops(drops))
}

/// What leaves the wallet at most, if the issuer may take a share. Empty: no more than the amount.
pub(crate) fn at_most(payment: &Payment) -> String {
    match (&payment.amount, payment.send_max.as_str()) {
        (Some(payment::Amount::Issued(issued)), most) if !most.is_empty() => {
            format!(
                "{most} {} with the issuer's transfer fee",
                currency(&issued.currency)
            )
        }
        _ => String::new(),
    }
}

fn issued_amount(issued: &IssuedAmount) -> String {
    let name = currency(&issued.currency);
    format!("{} {name} of {}", issued.value, issued.issuer)
}

/// A name where there is one: 40 hex digits say nothing to a person.
pub(crate) fn currency(code: &str) -> String {
    currency_name(code).unwrap_or_else(|| code.to_owned())
}

/// What the state means for whoever wants to know whether he was paid.
pub(crate) fn meaning(payment: &Payment) -> &'static str {
    let state = PaymentState::try_from(payment.state).unwrap_or_default();
    match state {
        PaymentState::Paid => {
            "a validated ledger shows that the destination got exactly this amount"
        }
        PaymentState::Failed => "it failed for good: the destination got nothing from it",
        PaymentState::Expired => "its deadline passed, and it is proven that it was not paid",
        PaymentState::Cancelled => "cancelled, and it is proven that it was not paid",
        PaymentState::Rejected => "refused before it was signed: it was not paid",
        PaymentState::AwaitingApproval => "stored; waits for somebody who approves it",
        PaymentState::Accepted => "stored; not sent to the ledger yet",
        PaymentState::AtLarge => "may be on the network; only a validated ledger decides",
        PaymentState::OnHold => "something is not understood; a person has to look",
        PaymentState::Unspecified => "a state that this program does not know: not decided",
    }
}

/// Whether to pay again by other means.
pub(crate) fn pay_again(payment: &Payment) -> &'static str {
    match (outcome(payment), safe_to_repay(payment)) {
        (Outcome::Paid, _) => "no: it is paid",
        (Outcome::Unpaid, true) => {
            "yes, safe: the destination got nothing from this payment and never will"
        }
        (Outcome::Unpaid, false) => "no: the gateway does not call it safe; ask again later",
        (Outcome::Live, _) => "no: it may still be paid; ask again later, do not pay elsewhere",
    }
}

/// `QUEUED: 3 payments are before it`, or nothing if there is nothing to say.
pub(crate) fn reason(payment: &Payment) -> String {
    let name = names::reason(payment.reason);
    match (name.as_str(), payment.reason_detail.as_str()) {
        ("NONE" | "UNSPECIFIED", detail) => detail.to_owned(),
        (name, "") => name.to_owned(),
        (name, detail) => format!("{name}: {detail}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_proven_end_allows_to_pay_again() {
        for state in 0..20 {
            let payment = Payment {
                state,
                safe_to_repay: true,
                ..Payment::default()
            };
            let wanted = matches!(state, 5..=8);
            assert_eq!(
                pay_again(&payment).starts_with("yes"),
                wanted,
                "{}",
                names::state(state)
            );
        }
        let unsure = Payment {
            state: PaymentState::Failed.into(),
            ..Payment::default()
        };
        assert!(pay_again(&unsure).starts_with("no"));
    }

    #[test]
    fn a_reason_is_shown_only_where_there_is_one() {
        let payment = |reason, detail: &str| Payment {
            reason,
            reason_detail: detail.to_owned(),
            ..Payment::default()
        };
        assert_eq!(reason(&payment(1, "")), "");
        assert_eq!(
            reason(&payment(2, "3 are before it")),
            "QUEUED: 3 are before it"
        );
        assert_eq!(reason(&payment(900, "")), "REASON_900");
    }
}
