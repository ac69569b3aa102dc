//! Which payments a report is about.
//!
//! Owns: the bounds of `--from` and `--to`, the time that a payment belongs to, reading all pages. May not: leave a page out.

use std::time::{Duration, SystemTime};

use paygate_client::proto::{ListPaymentsRequest, ListPaymentsResponse, Payment};
use paygate_client::{CallError, Client, Outcome, outcome};
use prost_types::Timestamp;
use tokio::time::sleep;

use super::parse::{When, when};

/// Payments of a page: the most that the contract has.
const PAGE: i32 = 1000;

/// Where the gateway does not say when to come back.
const PAUSE: Duration = Duration::from_secs(1);

/// An end of a period.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Bound {
    /// A ledger, which belongs to the period.
    Ledger(u32),
    /// A time. As the end it does not belong to the period.
    Time(When),
}

/// `93412345`, `2026-11-01T00:00:00Z`, `24h` (ago).
pub(crate) fn bound(text: &str) -> Result<Bound, String> {
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        let index = text.parse().ok().filter(|index| *index > 0);
        return index
            .map(Bound::Ledger)
            .ok_or_else(|| format!("{text} is no ledger index, 1 to {}", u32::MAX));
    }
    let time = when(text).map_err(|_| {
        format!("{text} is neither a ledger index, nor a time such as 2026-11-01T00:00:00Z, nor a span such as 24h (ago)")
    });
    time.map(Bound::Time)
}

/// From when to when.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Period {
    /// Both ledgers belong to it.
    Ledgers { from: u32, to: u32 },
    /// The end does not belong to it. `None`: open.
    Times {
        from: Option<Timestamp>,
        to: Option<Timestamp>,
    },
}

/// Bounds that make no period.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum PeriodError {
    #[error("--from and --to must both be ledgers or both be times")]
    Mixed,
    #[error("--from lies behind --to")]
    Empty,
}

impl Period {
    pub(super) fn of(
        from: Option<Bound>,
        to: Option<Bound>,
        now: SystemTime,
    ) -> Result<Self, PeriodError> {
        let period = match (from, to) {
            (Some(Bound::Ledger(from)), Some(Bound::Ledger(to))) => Self::Ledgers { from, to },
            (Some(Bound::Ledger(from)), None) => Self::Ledgers { from, to: u32::MAX },
            (None, Some(Bound::Ledger(to))) => Self::Ledgers { from: 1, to },
            (Some(Bound::Ledger(_)), Some(Bound::Time(_)))
            | (Some(Bound::Time(_)), Some(Bound::Ledger(_))) => {
                return Err(PeriodError::Mixed);
            }
            (from, to) => {
                let time = |bound: Option<Bound>| match bound {
                    Some(Bound::Time(when)) => Some(when.ago(now)),
                    Some(Bound::Ledger(_)) | None => None,
                };
                Self::Times {
                    from: time(from),
                    to: time(to),
                }
            }
        };
        let is_empty = match period {
            Self::Ledgers { from, to } => from > to,
            Self::Times {
                from: Some(from),
                to: Some(to),
            } => order(&from) >= order(&to),
            Self::Times { .. } => false,
        };
        if is_empty {
            Err(PeriodError::Empty)
        } else {
            Ok(period)
        }
    }

    /// Each payment belongs to one time, so that periods that follow each other hold each payment once.
    pub(super) fn holds(&self, payment: &Payment) -> bool {
        match self {
            Self::Ledgers { from, to } => {
                let index = payment
                    .evidence
                    .as_ref()
                    .map_or(0, |evidence| evidence.ledger_index);
                (*from..=*to).contains(&index)
            }
            Self::Times {
                from: None,
                to: None,
            } => true,
            Self::Times { from, to } => belongs_to(payment).is_some_and(|time| {
                from.as_ref().is_none_or(|from| order(&time) >= order(from))
                    && to.as_ref().is_none_or(|to| order(&time) < order(to))
            }),
        }
    }
}

/// When the ledger closed that decided it; if none did, when it ended; if it has not ended, when it was stored.
fn belongs_to(payment: &Payment) -> Option<Timestamp> {
    let closed = payment
        .evidence
        .as_ref()
        .and_then(|evidence| evidence.ledger_close_time);
    closed.or(match outcome(payment) {
        Outcome::Live => payment.create_time,
        Outcome::Paid | Outcome::Unpaid => payment.update_time,
    })
}

pub(super) fn order(time: &Timestamp) -> (i64, i32) {
    (time.seconds, time.nanos)
}

/// A page of payments, newest first, however long the gateway puts it off.
pub(super) async fn page(
    client: &Client,
    mut request: ListPaymentsRequest,
) -> Result<ListPaymentsResponse, CallError> {
    request.page_size = PAGE;
    loop {
        match client.list_payments(request.clone()).await {
            Err(CallError::Refused(refusal)) if refusal.code == tonic::Code::ResourceExhausted => {
                sleep(refusal.retry_after.unwrap_or(PAUSE)).await;
            }
            answer => return answer,
        }
    }
}

#[cfg(test)]
mod tests {
    use paygate_client::proto::{Evidence, PaymentState};

    use super::*;

    fn at(seconds: i64) -> Option<Timestamp> {
        Some(Timestamp { seconds, nanos: 0 })
    }

    fn times(from: &str, to: &str) -> Result<Period, PeriodError> {
        Period::of(
            Some(bound(from).unwrap()),
            Some(bound(to).unwrap()),
            SystemTime::UNIX_EPOCH,
        )
    }

    #[test]
    fn a_bound_is_a_ledger_or_a_time() {
        assert_eq!(bound("17"), Ok(Bound::Ledger(17)));
        assert!(matches!(bound("24h"), Ok(Bound::Time(When::Span(_)))));
        for bad in ["", "0", "4294967296", "2026-11-01", "-5", "ledger"] {
            assert!(bound(bad).is_err(), "{bad}");
        }
        assert_eq!(times("5", "4"), Err(PeriodError::Empty));
        assert_eq!(times("5", "1970-01-01T00:00:05Z"), Err(PeriodError::Mixed));
        assert_eq!(times("5", "5"), Ok(Period::Ledgers { from: 5, to: 5 }));
    }

    #[test]
    fn periods_that_follow_each_other_hold_each_payment_once() {
        let paid = Payment {
            state: PaymentState::Paid.into(),
            create_time: at(5),
            update_time: at(25),
            evidence: Some(Evidence {
                ledger_index: 7,
                ledger_close_time: at(20),
                ..Evidence::default()
            }),
            ..Payment::default()
        };
        let rejected = Payment {
            state: PaymentState::Rejected.into(),
            evidence: None,
            ..paid.clone()
        };
        let live = Payment {
            state: PaymentState::AtLarge.into(),
            ..rejected.clone()
        };
        let (first, second) = (
            times("1970-01-01T00:00:00Z", "1970-01-01T00:00:20Z").unwrap(),
            times("1970-01-01T00:00:20Z", "1970-01-01T00:01:00Z").unwrap(),
        );
        for (payment, expected) in [
            (&paid, [false, true]),
            (&rejected, [false, true]),
            (&live, [true, false]),
        ] {
            assert_eq!([first.holds(payment), second.holds(payment)], expected);
        }
        assert!(times("7", "7").unwrap().holds(&paid) && !times("1", "6").unwrap().holds(&paid));
        assert!(
            !times("1", "9").unwrap().holds(&live),
            "no ledger has decided it"
        );
    }
}
