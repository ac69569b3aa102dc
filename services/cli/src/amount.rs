//! XRP as a person writes it, and drops as the contract carries them.
//!
//! Owns: the exact conversion both ways. May not: round, or use a floating-point number.

/// Drops in one XRP.
pub const DROPS_PER_XRP: u64 = 1_000_000;

/// Most drops that can exist: 100 billion XRP.
pub const MAX_DROPS: u64 = 100_000_000_000 * DROPS_PER_XRP;

/// Decimals of an XRP amount: one drop is the smallest unit.
const XRP_DECIMALS: usize = 6;

/// Text that is no amount of XRP.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AmountError {
    /// Something else than digits and one point.
    #[error(
        "{0:?} is no amount of XRP: write digits, with a point before the decimals, for example 2.5"
    )]
    Malformed(String),
    /// Less than a drop would be needed.
    #[error("{0} has more than 6 decimals: the smallest amount is 0.000001 XRP, one drop")]
    TooFine(String),
    /// Zero is no payment.
    #[error("{0} is no payment: the smallest amount is 0.000001 XRP, one drop")]
    Zero(String),
    /// More than exists.
    #[error("{0} XRP is more than exists (100000000000)")]
    TooLarge(String),
}

/// `2500000` for `2.5`. Exact, or an error.
///
/// # Errors
/// If the text is no decimal number, has more than six decimals, is zero, or is more XRP than exists.
pub fn drops_from_xrp(text: &str) -> Result<u64, AmountError> {
    let malformed = || AmountError::Malformed(text.to_owned());
    let (whole, decimals) = match text.split_once('.') {
        Some((_, "")) => return Err(malformed()),
        Some((whole, decimals)) => (whole, decimals),
        None => (text, ""),
    };
    let all_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || !all_digits(whole) || !all_digits(decimals) {
        return Err(malformed());
    }
    if decimals.len() > XRP_DECIMALS {
        return Err(AmountError::TooFine(text.to_owned()));
    }
    let drops = format!("{whole}{decimals:0<XRP_DECIMALS$}")
        .parse::<u64>()
        .ok()
        .filter(|drops| *drops <= MAX_DROPS)
        .ok_or_else(|| AmountError::TooLarge(text.to_owned()))?;
    if drops == 0 {
        return Err(AmountError::Zero(text.to_owned()));
    }
    Ok(drops)
}

/// `2.5` for `2500000`: as few decimals as it takes.
#[must_use]
pub fn xrp_from_drops(drops: u64) -> String {
    let (whole, rest) = (drops / DROPS_PER_XRP, drops % DROPS_PER_XRP);
    if rest == 0 {
        return whole.to_string();
    }
    let decimals = format!("{rest:0XRP_DECIMALS$}");
    format!("{whole}.{}", decimals.trim_end_matches('0'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_amount_is_exact_or_refused() {
        for (text, drops) in [
            ("1", 1_000_000),
            ("2.5", 2_500_000),
            ("0.000001", 1),
            ("007.10", 7_100_000),
            ("100000000000", MAX_DROPS),
            ("99999999999.999999", MAX_DROPS - 1),
        ] {
            assert_eq!(drops_from_xrp(text), Ok(drops), "{text}");
        }
        for text in [
            "", ".", "1.", ".5", "-1", "+1", "1e3", "1,5", " 1", "0x1", "١", "1.2.3", "NaN",
        ] {
            assert_eq!(
                drops_from_xrp(text),
                Err(AmountError::Malformed(text.to_owned())),
                "{text:?}"
            );
        }
        let too_fine = drops_from_xrp("0.0000001");
        assert!(
            matches!(too_fine, Err(AmountError::TooFine(_))),
            "not even zeros are cut off: {too_fine:?}"
        );
        assert!(matches!(
            drops_from_xrp("0.000000"),
            Err(AmountError::Zero(_))
        ));
        for text in [
            "100000000000.000001",
            "18446744073710",
            "99999999999999999999999999",
        ] {
            assert!(
                matches!(drops_from_xrp(text), Err(AmountError::TooLarge(_))),
                "{text}"
            );
        }
    }

    #[test]
    fn drops_are_shown_as_xrp_that_reads_back_as_the_same_drops() {
        for (drops, text) in [
            (0, "0"),
            (1, "0.000001"),
            (2_500_000, "2.5"),
            (25_000_000, "25"),
            (MAX_DROPS, "100000000000"),
        ] {
            assert_eq!(xrp_from_drops(drops), text);
        }
        for drops in [1, 10, 999_999, 1_000_001, 123_456_789, MAX_DROPS - 1] {
            assert_eq!(drops_from_xrp(&xrp_from_drops(drops)), Ok(drops));
        }
    }
}
