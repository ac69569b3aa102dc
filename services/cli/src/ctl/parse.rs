//! Values of the command line, checked before anything is sent.
//!
//! Owns: spans of time, points in time, names of states. May not: read a clock; who asks passes the time in.

use std::str::FromStr as _;
use std::time::{Duration, SystemTime};

use paygate_client::proto::{AuditHead, PaymentState};
use paygate_client::{MAX_DROPS, check_payment_id, currency_code, drops_from_xrp};
use prost_types::Timestamp;

/// Longest span that is taken: more is a slip of the finger, and sums with the clock cannot overflow.
const SPAN_MAX: Duration = Duration::from_secs(10 * 365 * 24 * 3600);

/// Hex digits of a transaction's hash.
const TX_HASH_DIGITS: usize = 64;

/// A point in time, absolute or seen from now.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum When {
    At(Timestamp),
    Span(Duration),
}

impl When {
    /// `10m` means in ten minutes.
    pub(crate) fn ahead(self, now: SystemTime) -> Timestamp {
        match self {
            When::At(time) => time,
            When::Span(span) => Timestamp::from(now + span),
        }
    }

    /// `10m` means ten minutes ago.
    pub(crate) fn ago(self, now: SystemTime) -> Timestamp {
        match self {
            When::At(time) => time,
            When::Span(span) => {
                Timestamp::from(now.checked_sub(span).unwrap_or(SystemTime::UNIX_EPOCH))
            }
        }
    }
}

pub(crate) fn xrp(text: &str) -> Result<u64, String> {
    drops_from_xrp(text).map_err(|error| error.to_string())
}

pub(crate) fn drops(text: &str) -> Result<u64, String> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    let drops = text
        .parse::<u64>()
        .ok()
        .filter(|drops| digits && (1..=MAX_DROPS).contains(drops));
    drops.ok_or_else(|| format!("{text} is no number of drops from 1 to {MAX_DROPS}"))
}

/// A decimal as the gateway takes it. Whether the ledger can hold it, the gateway says.
pub(crate) fn decimal(text: &str) -> Result<String, String> {
    let (number, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let exponent = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
    let (whole, decimals) = number.split_once('.').unwrap_or((number, "0"));
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    if digits(whole) && digits(decimals) && digits(exponent) {
        Ok(text.to_owned())
    } else {
        Err(format!("{text} is no decimal such as 12.5"))
    }
}

pub(crate) fn currency(text: &str) -> Result<String, String> {
    currency_code(text).map_err(|error| error.to_string())
}

pub(crate) fn tx_hash(text: &str) -> Result<String, String> {
    if text.len() == TX_HASH_DIGITS && text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        Ok(text.to_ascii_uppercase())
    } else {
        Err(format!(
            "{text} is no transaction hash: {TX_HASH_DIGITS} hex digits"
        ))
    }
}

/// The head of an audit log, as `audit verify` shows it.
pub(crate) fn audit_head(text: &str) -> Result<AuditHead, String> {
    let wrong = || "must be a sequence and 64 hex digits, like 17:9f0c...".to_owned();
    let (sequence, hash) = text.split_once(':').ok_or_else(wrong)?;
    let sequence = sequence.parse().map_err(|_| wrong())?;
    if hash.len() != 64 || !hash.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(wrong());
    }
    Ok(AuditHead {
        sequence,
        hash: hash.to_ascii_lowercase(),
    })
}

pub(crate) fn payment_id(text: &str) -> Result<String, String> {
    check_payment_id(text)
        .map(str::to_owned)
        .map_err(|error| error.to_string())
}

/// `500ms`, `30s`, `5m`, `2h`, `7d`.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("{text} is no time such as 500ms, 30s, 5m, 2h, 7d (at most 10 years)");
    let digits = text
        .find(|letter: char| !letter.is_ascii_digit())
        .ok_or_else(wrong)?;
    let (number, unit) = text.split_at(digits);
    let number: u64 = number.parse().map_err(|_| wrong())?;
    let millis: u64 = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return Err(wrong()),
    };
    let span = number.checked_mul(millis).map(Duration::from_millis);
    span.filter(|span| *span <= SPAN_MAX && !span.is_zero())
        .ok_or_else(wrong)
}

/// A span, or a time as RFC 3339 has it.
pub(crate) fn when(text: &str) -> Result<When, String> {
    // Only whole times: a date alone leaves open when that day begins.
    let time = text
        .contains('T')
        .then(|| Timestamp::from_str(text).ok())
        .flatten();
    match (time, duration(text)) {
        (Some(time), _) => Ok(When::At(time)),
        (None, Ok(span)) => Ok(When::Span(span)),
        (None, Err(_)) => Err(format!(
            "{text} is neither a time such as 2026-11-24T12:00:00Z nor a span such as 10m, 2h, 7d"
        )),
    }
}

/// `at-large`, `AT_LARGE`, `PAYMENT_STATE_AT_LARGE`.
pub(crate) fn state(text: &str) -> Result<PaymentState, String> {
    let name = text.to_ascii_uppercase().replace('-', "_");
    let name = name.trim_start_matches("PAYMENT_STATE_");
    let state = PaymentState::from_str_name(&format!("PAYMENT_STATE_{name}"));
    state.filter(|state| *state != PaymentState::Unspecified).ok_or_else(|| {
        format!("{text} is no state: awaiting-approval, accepted, at-large, on-hold, paid, failed, expired, cancelled, rejected")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_have_a_unit() {
        assert_eq!(duration("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(duration("2h"), Ok(Duration::from_secs(7200)));
        for bad in [
            "",
            "5",
            "s",
            "-1s",
            "1.5h",
            "0s",
            "99999d",
            "18446744073709551615h",
            "3 s",
        ] {
            assert!(duration(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_time_is_absolute_or_seen_from_now() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000);
        assert_eq!(when("10m").unwrap().ahead(now).seconds, 1_000_600);
        assert_eq!(when("10m").unwrap().ago(now).seconds, 999_400);
        let noon = when("1970-01-01T12:00:00Z").unwrap();
        assert_eq!(
            (noon.ahead(now).seconds, noon.ago(now).seconds),
            (43_200, 43_200)
        );
        assert_eq!(
            when("1970-01-01T12:00:00+01:00").unwrap().ago(now).seconds,
            39_600
        );
        for bad in [
            "now",
            "10",
            "2026",
            "2026-11-24",
            "2026-13-01T00:00:00Z",
            "Tuesday",
        ] {
            assert!(when(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn states_go_by_every_name_that_they_are_shown_under() {
        for name in ["at-large", "AT_LARGE", "PAYMENT_STATE_AT_LARGE"] {
            assert_eq!(state(name), Ok(PaymentState::AtLarge));
        }
        assert!(state("unspecified").is_err());
        assert!(state("sent").is_err());
    }

    #[test]
    fn decimals_and_hashes_are_checked_before_anything_is_sent() {
        for good in ["12", "12.5", "0.000001", "1e-5", "1000000000000000e-21"] {
            assert_eq!(decimal(good).as_deref(), Ok(good));
        }
        for bad in [
            "", "-1", "+1", "1,5", ".5", "5.", "1e", "NaN", "1 USD", "0x1",
        ] {
            assert!(decimal(bad).is_err(), "{bad}");
        }
        assert_eq!(tx_hash(&"ab".repeat(32)), Ok("AB".repeat(32)));
        for bad in ["", "AB", &"AG".repeat(32), &"AB".repeat(33)] {
            assert!(tx_hash(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn drops_are_whole_and_exist() {
        assert_eq!(drops("1"), Ok(1));
        for bad in ["0", "+1", "-1", "1.0", "", "100000000000000001"] {
            assert!(drops(bad).is_err(), "{bad}");
        }
    }
}
