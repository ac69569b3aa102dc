//! Decimals as the ledger counts issued currencies: sixteen digits, and its own rounding.
//!
//! Owns: reading, printing, sums and shares of such numbers, exactly as a real server does them. May not: know
//! currencies, nor use the project's own arithmetic, so that an error of that arithmetic shows here.

use std::cmp::Ordering;
use std::fmt;

/// A mantissa is at least this, and less than ten times as much.
const MANTISSA_MIN: i128 = 1_000_000_000_000_000;
const MANTISSA_END: i128 = 10 * MANTISSA_MIN;
/// The smallest and largest power of ten.
const EXPONENT_MIN: i32 = -96;
const EXPONENT_MAX: i32 = 80;
/// Beyond so many digits of distance the smaller part of a sum only decides on which side of a number it lies.
const DIGITS_APART_MAX: u32 = 20;
/// Digits of the largest number that a share is first computed with.
const SHARE_DIGITS: i32 = 19;

/// Zero, or a number of sixteen digits times a power of ten.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Decimal {
    mantissa: i64,
    exponent: i32,
}

impl Decimal {
    /// Nothing.
    pub(super) const ZERO: Self = Self {
        mantissa: 0,
        exponent: 0,
    };
    /// The least that is more than nothing.
    const LEAST: Self = Self {
        mantissa: 1_000_000_000_000_000,
        exponent: EXPONENT_MIN,
    };

    /// The nearest number to `mantissa * 10^exponent`, of two equally near ones the even one; too small is zero, too large none.
    pub(super) fn new(mantissa: i128, exponent: i32) -> Option<Self> {
        if mantissa == 0 {
            return Some(Self::ZERO);
        }
        let (mut size, mut exponent) = (mantissa.unsigned_abs(), exponent);
        let (least, end) = (MANTISSA_MIN.unsigned_abs(), MANTISSA_END.unsigned_abs());
        while size < least {
            size *= 10;
            exponent -= 1;
        }
        let mut divisor = 1;
        while size / divisor >= end {
            divisor *= 10;
            exponent += 1;
        }
        let rest = size % divisor;
        size /= divisor;
        let above_half = match (rest * 2).cmp(&divisor) {
            Ordering::Less => false,
            Ordering::Equal => divisor > 1 && !size.is_multiple_of(2),
            Ordering::Greater => true,
        };
        size += u128::from(above_half);
        if size == end {
            size /= 10;
            exponent += 1;
        }
        if exponent < EXPONENT_MIN {
            return Some(Self::ZERO);
        }
        let size = i64::try_from(size).expect("sixteen digits fit");
        let mantissa = if mantissa < 0 { -size } else { size };
        (exponent <= EXPONENT_MAX).then_some(Self { mantissa, exponent })
    }

    /// Reads `12.5`, `-3` or `1e-5`.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (digits, power) = match text.split_once(['e', 'E']) {
            None => (text, 0),
            Some((digits, power)) => (digits, power.parse::<i32>().ok()?),
        };
        let (sign, digits) = match digits.strip_prefix('-') {
            Some(rest) => (-1, rest),
            None => (1, digits),
        };
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        let all = format!("{whole}{fraction}");
        let is_number = !all.is_empty() && all.bytes().all(|byte| byte.is_ascii_digit());
        let mantissa: i128 = is_number.then(|| all.parse().ok()).flatten()?;
        let places = i32::try_from(fraction.len()).ok()?;
        Self::new(sign * mantissa, power.checked_sub(places)?)
    }

    pub(super) fn is_zero(self) -> bool {
        self.mantissa == 0
    }

    pub(super) fn is_positive(self) -> bool {
        self.mantissa > 0
    }

    pub(super) fn is_negative(self) -> bool {
        self.mantissa < 0
    }

    /// The number with the other sign.
    pub(super) fn negated(self) -> Self {
        Self {
            mantissa: -self.mantissa,
            exponent: self.exponent,
        }
    }

    /// The number, or its negation.
    pub(super) fn negated_if(self, negate: bool) -> Self {
        if negate { self.negated() } else { self }
    }

    /// The sum, rounded to the nearest; none if it is too large.
    pub(super) fn plus(self, other: Self) -> Option<Self> {
        if self.is_zero() || other.is_zero() {
            return Some(if self.is_zero() { other } else { self });
        }
        let (large, small) = if self.exponent >= other.exponent {
            (self, other)
        } else {
            (other, self)
        };
        let apart = large.exponent.abs_diff(small.exponent);
        let shift = apart.min(DIGITS_APART_MAX);
        let rest = if apart > DIGITS_APART_MAX {
            i128::from(small.mantissa.signum())
        } else {
            i128::from(small.mantissa)
        };
        let sum = i128::from(large.mantissa) * 10_i128.pow(shift) + rest;
        Self::new(
            sum,
            large.exponent - i32::try_from(shift).expect("at most twenty"),
        )
    }

    /// The difference, rounded to the nearest; none if it is too large.
    pub(super) fn minus(self, other: Self) -> Option<Self> {
        self.plus(other.negated())
    }

    /// `self * numerator / denominator` of a number that is not negative: nineteen digits first, then sixteen, and one
    /// more in the last place if `up` and the nineteen were not exact. That is how a real server does it.
    pub(super) fn share(self, numerator: u32, denominator: u32, up: bool) -> Option<Self> {
        if self.is_zero() || numerator == denominator {
            return Some(self);
        }
        let denominator = u128::from(denominator.max(1));
        let product = u128::from(self.mantissa.unsigned_abs()) * u128::from(numerator);
        let (mut low, mut rest) = (product / denominator, product % denominator);
        let mut exponent = self.exponent;
        let room = SHARE_DIGITS - digits_rounded_up(low);
        if rest > 0 && room > 0 {
            let power = 10_u128.pow(room.unsigned_abs());
            exponent -= room;
            low *= power;
            rest *= power;
            low += rest / denominator;
            rest %= denominator;
        }
        let mut has_rest = rest > 0;
        let too_long = digits_rounded_up(low) - SHARE_DIGITS;
        if too_long > 0 {
            let power = 10_u128.pow(too_long.unsigned_abs());
            exponent += too_long;
            has_rest |= !low.is_multiple_of(power);
            low /= power;
        }
        let low = i128::try_from(low).ok()?;
        let share = Self::new(low, exponent)?;
        if !(has_rest && up) {
            return Some(share);
        }
        if share.is_zero() {
            return Some(Self::LEAST);
        }
        Self::new(i128::from(share.mantissa) + 1, share.exponent)
    }

    /// The lesser of the two.
    pub(super) fn min(self, other: Self) -> Self {
        if self <= other { self } else { other }
    }

    /// Mantissa and exponent; both 0 for zero.
    pub(super) fn parts(self) -> (i64, i32) {
        (self.mantissa, self.exponent)
    }
}

/// The smallest power of ten that is not less.
fn digits_rounded_up(number: u128) -> i32 {
    let mut power: u128 = 1;
    let mut digits = 0;
    while power < number {
        power *= 10;
        digits += 1;
    }
    digits
}

impl PartialOrd for Decimal {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Decimal {
    fn cmp(&self, other: &Self) -> Ordering {
        let signs = self.mantissa.signum().cmp(&other.mantissa.signum());
        let sizes = (self.exponent, self.mantissa.unsigned_abs())
            .cmp(&(other.exponent, other.mantissa.unsigned_abs()));
        match (signs, self.mantissa.signum()) {
            (Ordering::Equal, 0) => Ordering::Equal,
            (Ordering::Equal, -1) => sizes.reverse(),
            (Ordering::Equal, _) => sizes,
            _ => signs,
        }
    }
}

/// As servers print it: plain digits, unless the exponent is far from the point.
impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_zero() {
            return f.write_str("0");
        }
        if self.exponent != 0 && !(-25..=-5).contains(&self.exponent) {
            return write!(f, "{}e{}", self.mantissa, self.exponent);
        }
        let sign = if self.is_negative() { "-" } else { "" };
        let places = usize::try_from(-self.exponent).expect("not above zero here");
        let digits = format!(
            "{:0>width$}",
            self.mantissa.unsigned_abs(),
            width = places + 1
        );
        let (whole, fraction) = digits.split_at(digits.len() - places);
        let fraction = fraction.trim_end_matches('0');
        let point = if fraction.is_empty() { "" } else { "." };
        write!(f, "{sign}{whole}{point}{fraction}")
    }
}

impl fmt::Debug for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn number(text: &str) -> Decimal {
        Decimal::parse(text).unwrap()
    }

    #[test]
    fn numbers_print_as_servers_print_them() {
        #[rustfmt::skip]
        let rows = [
            ("0", "0"), ("-0", "0"), ("1", "1"), ("100", "100"), ("0.1234567890123456", "0.1234567890123456"), ("-500", "-500"),
            ("10.05", "10.05"), ("1e-81", "1000000000000000e-96"), ("1e-82", "0"), ("1e15", "1000000000000000"),
            ("1e14", "1000000000000000e-1"), ("1e10", "10000000000"), ("1e16", "1000000000000000e1"),
            ("9999999999999999e80", "9999999999999999e80"), ("0.0000000001", "0.0000000001"), ("1e-11", "1000000000000000e-26"),
        ];
        for (text, printed) in rows {
            assert_eq!(number(text).to_string(), printed, "{text}");
        }
        for text in ["", "-", ".", "1.2.3", "1e", "x", "1e81", "1e96", "1 "] {
            let parsed = Decimal::parse(text);
            assert!(
                parsed.is_none() || text == "1e81",
                "{text:?} is read as {parsed:?}"
            );
        }
    }

    /// Two sums and two shares from a recorded ledger.
    #[test]
    fn sums_and_shares_round_as_recorded() {
        let paid = number("0.1234567890123456")
            .share(1_005_000_000, 1_000_000_000, true)
            .unwrap();
        let left = number("459.9").minus(paid).unwrap();
        assert_eq!(left.to_string(), "459.7759259270426");
        let got = number("524.9502487562189").plus(number("0.1234567890123456"));
        assert_eq!(got.unwrap().to_string(), "525.0737055452312");
        let share = number("10").share(1_000_000_000, 1_005_000_000, false);
        assert_eq!(share.unwrap().to_string(), "9.950248756218905");
        let share = number("10").share(1_005_000_000, 1_000_000_000, true);
        assert_eq!(share.unwrap().to_string(), "10.05");
    }

    #[test]
    fn a_share_that_is_not_exact_is_rounded_up_when_asked() {
        let third = |up| number("1").share(1, 3, up).unwrap().to_string();
        assert_eq!(
            (third(false).as_str(), third(true).as_str()),
            ("0.3333333333333333", "0.3333333333333334")
        );
        let least = number("1e-81");
        assert_eq!(least.share(1, 3, true).unwrap(), least);
        assert!(least.share(1, 3, false).unwrap().is_zero());
        let half = least.share(1, 2, true).unwrap();
        assert!(
            half.is_zero(),
            "nineteen digits hold it exactly, so nothing is added"
        );
        assert_eq!(number("1").plus(number("1e-81")), Some(number("1")));
        assert_eq!(
            number("9999999999999999e80").plus(number("9999999999999999e80")),
            None
        );
    }

    #[test]
    fn numbers_are_in_order() {
        let texts = [
            "-1e20", "-2", "-1", "-1e-20", "0", "1e-20", "1", "1.5", "2", "1e20",
        ];
        for pair in texts.windows(2) {
            assert!(number(pair[0]) < number(pair[1]), "{pair:?}");
        }
    }
}
