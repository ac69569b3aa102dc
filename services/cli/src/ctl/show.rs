//! One payment, and lists of them, for a person.
//!
//! Owns: layout. The words about money are in `words`. May not: leave out what decides whether to pay again.

use paygate_client::Change;
use paygate_client::proto::{Evidence, ListPaymentsResponse, Memo, Payment, PaymentState, slot};
use prost_types::Timestamp;

use super::names;
use super::out::{Column, Out, Tone, clean, fields, table};
use super::words;

/// The longest name of a state, AWAITING_APPROVAL.
const STATE_WIDTH: usize = 17;

/// `PAID  25 XRP to rAlice (tag 7)`.
pub(crate) fn headline(out: Out, payment: &Payment) -> String {
    let tag = payment
        .destination_tag
        .map(|tag| format!(" (tag {tag})"))
        .unwrap_or_default();
    let state = out.paint(words::tone(payment), &names::state(payment.state));
    format!(
        "{state}  {} to {}{tag}\n",
        clean(&words::amount(payment)),
        clean(&payment.destination)
    )
}

/// A payment as it is now.
pub(crate) fn payment(out: Out, payment: &Payment) -> String {
    let of_client = |text: &str| {
        if text == "local" {
            String::new()
        } else {
            clean(text)
        }
    };
    let index = |index: u32| {
        if index == 0 {
            String::new()
        } else {
            index.to_string()
        }
    };
    let slot = payment
        .slot
        .as_ref()
        .and_then(|slot| slot.kind.as_ref())
        .map(|kind| match kind {
            slot::Kind::Sequence(sequence) => format!("sequence {sequence}"),
            slot::Kind::Ticket(ticket) => format!("ticket {ticket}"),
        });
    let versions = match payment.versions.len() {
        0 | 1 => String::new(),
        many => format!("{many} were made for the slot; at most one can take effect"),
    };
    // Without a slot the ledger has no part in it; the state and its reason tell everything.
    let cancel = if payment.cancel_requested && payment.slot.is_some() {
        "asked for; the ledger decides whether it came in time"
    } else {
        ""
    };
    let mut text = headline(out, payment);
    text.push_str(&fields(&[
        ("payment", clean(&payment.payment_id)),
        ("client", of_client(&payment.client_id)),
        ("at most", clean(&words::at_most(payment))),
        ("meaning", words::meaning(payment).to_owned()),
        ("reason", clean(&words::reason(payment))),
        ("replaces", clean(&payment.retry_of)),
        ("created", time(&payment.create_time)),
        ("changed", time(&payment.update_time)),
        ("approve before", time(&payment.approve_before)),
        ("deadline ledger", index(payment.deadline_ledger)),
        ("slot", slot.unwrap_or_default()),
        ("transactions", versions),
        ("cancellation", cancel.to_owned()),
    ]));
    for one in &payment.memos {
        text.push_str(&fields(&[("memo", memo(one))]));
    }
    text.push_str(&ending(out, payment));
    text
}

/// What proves the end, and what it means for paying again.
pub(crate) fn ending(out: Out, payment: &Payment) -> String {
    let mut text = String::new();
    if let Some(evidence) = &payment.evidence {
        let ledger = match (evidence.ledger_index, evidence.ledger_hash.as_str()) {
            (0, _) => String::new(),
            (index, hash) => format!("{index}  {}", clean(hash)),
        };
        // Every transaction costs something: 0 means that nobody has read it.
        let fee = match evidence.fee_drops {
            0 => String::new(),
            drops => format!("{drops} drops"),
        };
        text.push_str(&fields(&[
            ("proof", proof(payment, evidence)),
            ("transaction", clean(&evidence.tx_hash)),
            ("result", clean(&evidence.engine_result)),
            ("ledger", ledger),
            ("closed", time(&evidence.ledger_close_time)),
            ("delivered", clean(&words::delivered(evidence))),
            ("fee", fee),
            ("shown by", clean(&evidence.servers.join(", "))),
        ]));
    }
    text.push_str(&fields(&[
        (
            "pay again?",
            out.paint(words::tone(payment), words::pay_again(payment)),
        ),
        ("trace", clean(&payment.trace_id)),
    ]));
    text
}

/// A page of payments.
pub(crate) fn page(out: Out, page: &ListPaymentsResponse) -> String {
    if page.payments.is_empty() {
        return "no payments\n".to_owned();
    }
    let columns = [
        ("CREATED", false),
        ("PAYMENT", false),
        ("STATE", false),
        ("AMOUNT", true),
        ("TO", false),
        ("REASON", false),
    ]
    .map(|(heading, right)| Column { heading, right });
    let row = |payment: &Payment| {
        let tag = payment
            .destination_tag
            .map(|tag| format!(":{tag}"))
            .unwrap_or_default();
        vec![
            (Tone::Dim, time(&payment.create_time)),
            (Tone::Plain, payment.payment_id.clone()),
            (words::tone(payment), names::state(payment.state)),
            (Tone::Plain, words::amount(payment)),
            (Tone::Plain, format!("{}{tag}", payment.destination)),
            (Tone::Plain, words::reason(payment)),
        ]
    };
    table(
        out,
        &columns,
        &page.payments.iter().map(row).collect::<Vec<_>>(),
    )
}

/// One change, as a line: when, what the payment was right after it, which payment, what happened.
pub(crate) fn change(out: Out, change: &Change) -> String {
    // The payment itself may be further by now.
    let after = Payment {
        state: change.event.state.unwrap_or(change.payment.state),
        ..Payment::default()
    };
    let state = names::state(after.state);
    let gap = " ".repeat(STATE_WIDTH.saturating_sub(state.len()));
    let clock = out.paint(Tone::Dim, &time(&change.event.time));
    let state = out.paint(words::tone(&after), &state);
    let (id, summary) = (
        clean(&change.payment.payment_id),
        clean(&change.event.summary),
    );
    format!("{clock}  {state}{gap}  {id}  {summary}\n")
}

/// `2026-11-23 11:00:17 UTC`: seconds are enough for a person. Empty for none.
pub(crate) fn time(time: &Option<Timestamp>) -> String {
    let Some(time) = time else {
        return String::new();
    };
    let text = time.to_string();
    match (text.get(..10), text.get(11..19)) {
        (Some(day), Some(clock)) => format!("{day} {clock} UTC"),
        _ => text,
    }
}

fn memo(memo: &Memo) -> String {
    let data = match std::str::from_utf8(&memo.data) {
        Ok(text) => clean(text),
        Err(_) => format!("{} bytes that are no text", memo.data.len()),
    };
    let about = [&memo.r#type, &memo.format].map(|part| clean(part));
    let about = about
        .iter()
        .filter(|part| !part.is_empty())
        .cloned()
        .collect::<Vec<_>>()
        .join(", ");
    if about.is_empty() {
        data
    } else {
        format!("{data} ({about})")
    }
}

fn proof(payment: &Payment, evidence: &Evidence) -> String {
    let kind = names::evidence_kind(evidence.kind);
    let words = match kind.as_str() {
        // The payment itself, or the no-op that took its slot.
        "PRESENCE" if payment.state() == PaymentState::Cancelled => {
            "a validated ledger holds another transaction in its slot"
        }
        "PRESENCE" => "a validated ledger holds the transaction",
        "ABSENCE" => "a validated ledger shows that it can never happen any more",
        "NEVER_BOUND" => "it was never shown to the signer, so nothing of it exists",
        "SEAL" => "the signer has sealed it: never signed, and it never will be",
        _ => return kind,
    };
    words.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ctl::out::PLAIN;
    use paygate_client::proto::{TimelineEvent, evidence, payment as amount};

    fn paid() -> Payment {
        Payment {
            payment_id: "invoice-17".into(),
            client_id: "local".into(),
            state: PaymentState::Paid.into(),
            destination: "rAlice".into(),
            destination_tag: Some(0),
            amount: Some(amount::Amount::XrpDrops(2_500_000)),
            memos: vec![Memo {
                data: b"thank you\x07".to_vec(),
                ..Memo::default()
            }],
            create_time: Some(Timestamp {
                seconds: 1_000_000,
                nanos: 5_000_000,
            }),
            evidence: Some(Evidence {
                kind: 1,
                ledger_index: 77,
                ledger_hash: "AB".into(),
                tx_hash: "CD".into(),
                engine_result: "tesSUCCESS".into(),
                delivered: Some(evidence::Delivered::DeliveredDrops(2_500_000)),
                fee_drops: 10,
                servers: vec!["ws://one".into()],
                ..Evidence::default()
            }),
            ..Payment::default()
        }
    }

    #[test]
    fn a_paid_payment_reads_at_once() {
        let text = payment(PLAIN, &paid());
        for line in [
            "PAID  2.5 XRP to rAlice (tag 0)\n",
            "  payment         invoice-17\n",
            "  created         1970-01-12 13:46:40 UTC\n",
            "  memo            thank you\\u{7}\n",
            "  result          tesSUCCESS\n",
            "  delivered       2.5 XRP (2500000 drops)\n",
            "  fee             10 drops\n",
            "  pay again?      no: it is paid\n",
        ] {
            assert!(text.contains(line), "{line:?} is not in\n{text}");
        }
        assert!(
            !text.contains("client"),
            "without authentication there is one client\n{text}"
        );
    }

    #[test]
    fn a_change_shows_what_held_right_after_it() {
        let change = Change {
            cursor: "c1".into(),
            event: TimelineEvent {
                time: Some(Timestamp::default()),
                summary: "Bound to sequence 7.".into(),
                state: Some(PaymentState::AtLarge.into()),
                ..TimelineEvent::default()
            },
            payment: paid(),
        };
        assert_eq!(
            super::change(PLAIN, &change),
            "1970-01-01 00:00:00 UTC  AT_LARGE           invoice-17  Bound to sequence 7.\n"
        );
    }

    #[test]
    fn a_list_is_a_table() {
        let list = ListPaymentsResponse {
            payments: vec![paid()],
            next_page_token: String::new(),
        };
        assert_eq!(
            page(PLAIN, &list),
            "CREATED                  PAYMENT     STATE   AMOUNT  TO        REASON\n\
             1970-01-12 13:46:40 UTC  invoice-17  PAID   2.5 XRP  rAlice:0\n"
        );
        assert_eq!(
            page(PLAIN, &ListPaymentsResponse::default()),
            "no payments\n"
        );
    }
}
