//! Everything that happened to a payment, in the order in which it happened, for a person.
//!
//! Owns: layout. May not: leave out an event, or explain more than was stored.

use paygate_client::proto::{ExplainPaymentResponse, TimelineEvent};

use super::names;
use super::out::{Out, Tone, clean};
use super::{show, words};

/// Details that a summary may not hold: who said what. The rest is in the JSON.
const SHOWN_DETAILS: [(&str, &str); 2] = [("engine_result", "answer"), ("server", "server")];

/// The payment, its events, the evidence.
pub(crate) fn timeline(out: Out, explained: &ExplainPaymentResponse) -> String {
    let payment = explained.payment.clone().unwrap_or_default();
    let mut text = show::headline(out, &payment);
    text.push_str(&format!(
        "      {}: {}\n\n",
        clean(&payment.payment_id),
        words::meaning(&payment)
    ));
    let first = explained.events.first().map_or(0, millis);
    let widest = explained
        .events
        .iter()
        .map(|event| names::stage(event.stage).len());
    let widest = widest.max().unwrap_or_default();
    let mut day = String::new();
    for event in &explained.events {
        let clock = event
            .time
            .as_ref()
            .map(ToString::to_string)
            .unwrap_or_default();
        let today = clock.get(..10).unwrap_or_default();
        if today != day {
            text.push_str(&format!(
                "  {}\n",
                out.paint(Tone::Dim, &format!("{today} UTC"))
            ));
            day = today.to_owned();
        }
        text.push_str(&line(out, event, millis(event) - first, &clock, widest));
    }
    text.push('\n');
    let reason = words::reason(&payment);
    if !reason.is_empty() {
        text.push_str(&super::out::fields(&[("reason", clean(&reason))]));
    }
    text.push_str(&super::out::fields(&[
        ("gateway", clean(&explained.gateway_next)),
        ("you", clean(&explained.person_next)),
    ]));
    text.push_str(&show::ending(out, &payment));
    text
}

fn line(out: Out, event: &TimelineEvent, since: i64, clock: &str, widest: usize) -> String {
    let clock = out.paint(Tone::Dim, clock.get(11..19).unwrap_or(clock));
    let stage = names::stage(event.stage);
    let gap = " ".repeat(widest.saturating_sub(stage.len()));
    let stage = out.paint(tone(&stage), &stage);
    let details = SHOWN_DETAILS.iter().filter_map(|(key, name)| {
        let value = event.details.get(*key)?;
        // What the sentence says already is not said twice.
        (!value.is_empty() && !event.summary.contains(value.as_str()))
            .then(|| format!("{name} {value}"))
    });
    let details = details.collect::<Vec<_>>().join(", ");
    let details = if details.is_empty() {
        details
    } else {
        format!("  {}", out.paint(Tone::Dim, &details))
    };
    let summary = clean(&event.summary);
    format!(
        "  {:>11}  {clock}  {stage}{gap}  {summary}{details}\n",
        span(since)
    )
}

/// A stage that ends a payment stands out.
fn tone(stage: &str) -> Tone {
    match stage {
        "CONFIRMED" => Tone::Good,
        "FAILED" | "EXPIRED" | "CANCELLED" | "REJECTED" | "DENIED" => Tone::Bad,
        "HELD" | "WAITING" | "CANCEL_REQUESTED" => Tone::Open,
        _ => Tone::Plain,
    }
}

/// `+12.345 s` at first, `+1 h 02 m 03 s` where milliseconds no longer matter.
fn span(millis: i64) -> String {
    // A clock that was set back makes an event seem older than the first one.
    let (sign, millis) = if millis < 0 {
        ('-', millis.unsigned_abs())
    } else {
        ('+', millis.unsigned_abs())
    };
    let (seconds, rest) = (millis / 1000, millis % 1000);
    match seconds {
        0..600 => format!("{sign}{seconds}.{rest:03} s"),
        600..3600 => format!("{sign}{} m {:02} s", seconds / 60, seconds % 60),
        _ => format!("{sign}{} h {:02} m", seconds / 3600, seconds / 60 % 60),
    }
}

fn millis(event: &TimelineEvent) -> i64 {
    event.time.as_ref().map_or(0, |time| {
        time.seconds
            .saturating_mul(1000)
            .saturating_add(i64::from(time.nanos) / 1_000_000)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ctl::out::PLAIN;
    use paygate_client::proto::{Payment, PaymentState, payment};
    use prost_types::Timestamp;

    fn event(seconds: i64, stage: i32, summary: &str, details: &[(&str, &str)]) -> TimelineEvent {
        TimelineEvent {
            time: Some(Timestamp {
                seconds,
                nanos: 250_000_000,
            }),
            stage,
            summary: summary.to_owned(),
            details: details
                .iter()
                .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
                .collect(),
            ..TimelineEvent::default()
        }
    }

    #[test]
    fn a_timeline_tells_the_whole_story_in_order() {
        let explained = ExplainPaymentResponse {
            payment: Some(Payment {
                payment_id: "rent".into(),
                state: PaymentState::AtLarge.into(),
                destination: "rAlice".into(),
                amount: Some(payment::Amount::XrpDrops(1)),
                ..Payment::default()
            }),
            events: vec![
                event(86_399, 1, "stored", &[]),
                event(
                    86_400,
                    11,
                    "answered terQUEUED",
                    &[("engine_result", "terQUEUED"), ("server", "ws://one")],
                ),
                event(90_000, 99, "something newer", &[]),
            ],
            gateway_next: "It sends it again.".into(),
            person_next: "Nothing: wait.".into(),
        };
        assert_eq!(
            timeline(PLAIN, &explained),
            "AT_LARGE  0.000001 XRP to rAlice\n\
             \x20     rent: may be on the network; only a validated ledger decides\n\
             \n\
             \x20 1970-01-01 UTC\n\
             \x20    +0.000 s  23:59:59  ACCEPTED           stored\n\
             \x20 1970-01-02 UTC\n\
             \x20    +1.000 s  00:00:00  SUBMIT_ANSWERED    answered terQUEUED  server ws://one\n\
             \x20   +1 h 00 m  01:00:00  TIMELINE_STAGE_99  something newer\n\
             \n\
             \x20 gateway         It sends it again.\n\
             \x20 you             Nothing: wait.\n\
             \x20 pay again?      no: it may still be paid; ask again later, do not pay elsewhere\n"
        );
    }

    #[test]
    fn spans_are_as_fine_as_they_matter() {
        for (millis, text) in [
            (0, "+0.000 s"),
            (599_999, "+599.999 s"),
            (600_000, "+10 m 00 s"),
            (86_400_000, "+24 h 00 m"),
            (-1500, "-1.500 s"),
        ] {
            assert_eq!(span(millis), text);
        }
    }
}
