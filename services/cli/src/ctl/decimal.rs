//! Decimals of any length: amounts of any asset, compared and added up exactly.
//!
//! Owns: their text, their sum. May not: round, or use a floating-point number.

use std::fmt;

/// Digits on either side of the point that are taken: a ledger's amounts have at most 97.
const PLACES_MAX: i64 = 128;

/// A decimal that is not below zero: equal amounts are equal, however they are written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Decimal {
    /// Digits, the highest first, without zeros at either end.
    digits: Vec<u8>,
    /// Power of ten of the last digit. 0 for zero.
    exponent: i64,
}

impl Decimal {
    /// `12.5`, `0.0125e3`. `None`: it is none, is negative, or is longer than any amount.
    pub(super) fn read(text: &str) -> Option<Self> {
        let (number, power) = match text.split_once(['e', 'E']) {
            Some((number, power)) => (
                number,
                power.strip_prefix('+').unwrap_or(power).parse().ok()?,
            ),
            None => (text, 0_i64),
        };
        let (whole, part) = number.split_once('.').unwrap_or((number, ""));
        if whole.is_empty() && part.is_empty() {
            return None;
        }
        let digit = |byte: u8| byte.is_ascii_digit().then(|| byte - b'0');
        let digits = whole
            .bytes()
            .chain(part.bytes())
            .map(digit)
            .collect::<Option<Vec<u8>>>()?;
        let exponent = power.checked_sub(i64::try_from(part.len()).ok()?)?;
        let length = i64::try_from(digits.len()).ok()?;
        let is_short = exponent >= -PLACES_MAX && exponent.checked_add(length)? <= PLACES_MAX;
        is_short.then(|| Self::of(digits, exponent))
    }

    /// Drops, as XRP.
    pub(super) fn of_drops(drops: u64) -> Self {
        Self::of(
            drops.to_string().bytes().map(|byte| byte - b'0').collect(),
            -6,
        )
    }

    /// The exact sum.
    pub(super) fn plus(&self, other: &Self) -> Self {
        let exponent = self.exponent.min(other.exponent);
        let aligned = |one: &Self| {
            let zeros = usize::try_from(one.exponent - exponent).unwrap_or_default();
            let mut digits = one.digits.clone();
            digits.extend(std::iter::repeat_n(0, zeros));
            digits.reverse();
            digits
        };
        let (one, two) = (aligned(self), aligned(other));
        let mut sum = Vec::with_capacity(one.len().max(two.len()) + 1);
        let mut carry = 0;
        for place in 0..one.len().max(two.len()) {
            let digit = |digits: &[u8]| digits.get(place).copied().unwrap_or_default();
            let both = digit(&one) + digit(&two) + carry;
            sum.push(both % 10);
            carry = both / 10;
        }
        sum.push(carry);
        sum.reverse();
        Self::of(sum, exponent)
    }

    fn of(mut digits: Vec<u8>, mut exponent: i64) -> Self {
        while digits.last() == Some(&0) {
            digits.pop();
            exponent += 1;
        }
        let zeros = digits.iter().take_while(|digit| **digit == 0).count();
        digits.drain(..zeros);
        if digits.is_empty() {
            exponent = 0;
        }
        Self { digits, exponent }
    }
}

impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text: String = self
            .digits
            .iter()
            .map(|digit| char::from(b'0' + digit))
            .collect();
        let places = usize::try_from(self.exponent.unsigned_abs()).unwrap_or_default();
        if self.exponent >= 0 {
            text.extend(std::iter::repeat_n('0', places));
            return f.write_str(if text.is_empty() { "0" } else { &text });
        }
        let padded = format!("{text:0>width$}", width = places + 1);
        let (whole, part) = padded.split_at(padded.len() - places);
        write!(f, "{whole}.{part}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Decimal {
        Decimal::read(text).unwrap()
    }

    #[test]
    fn equal_amounts_are_equal_however_they_are_written() {
        for (one, two) in [
            ("12.50", "12.5"),
            ("1e3", "1000"),
            ("0.0125E+3", "12.5"),
            ("0", "0.000"),
            ("5e-7", "0.0000005"),
        ] {
            assert_eq!(read(one), read(two), "{one} {two}");
        }
        assert_ne!(read("1"), read("10"));
        assert_eq!(Decimal::of_drops(2_500_000), read("2.5"));
        for bad in ["", ".", "-1", "1,5", "1e", "ten", "1e999", "1.2.3"] {
            assert_eq!(Decimal::read(bad), None, "{bad}");
        }
    }

    #[test]
    fn sums_are_exact_over_all_magnitudes() {
        for (one, two, sum) in [
            (
                "9999999999999999e13",
                "0.000001",
                "99999999999999990000000000000.000001",
            ),
            ("0.9", "0.1", "1"),
            ("0", "7", "7"),
            ("999", "1", "1000"),
        ] {
            assert_eq!(read(one).plus(&read(two)).to_string(), sum);
        }
        assert_eq!(Decimal::default().to_string(), "0");
    }
}
