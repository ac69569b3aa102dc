//! Owns [`IssuedValue`] and [`IssuedAmount`]: amounts of issued currencies, as decimals of the ledger's own precision.
//! Integers only. Nothing is rounded unless a function's name says so.

use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;

use crate::asset::{Asset, Currency};

/// The least mantissa: every value but zero has exactly [`DIGITS_MAX`] digits.
const MANTISSA_MIN: u64 = 1_000_000_000_000_000;

/// The greatest mantissa.
const MANTISSA_MAX: u64 = 9_999_999_999_999_999;

/// Significant digits.
const DIGITS_MAX: usize = 16;

/// Powers of ten that a mantissa is multiplied by.
const EXPONENT_MIN: i32 = -96;
const EXPONENT_MAX: i32 = 80;

/// The exponent of zero, below all others, so that zero compares as the least.
const EXPONENT_OF_ZERO: i8 = -100;

/// Characters of a value at most: the longest that is worth writing has a point, 96 zeros and 16 digits.
const TEXT_BYTES_MAX: usize = 128;

/// Digits of a written exponent at most.
const EXPONENT_DIGITS_MAX: usize = 4;

/// Exponents that servers write as plain decimals; all others but 0 with an `e`.
const PLAIN_EXPONENTS: RangeInclusive<i8> = -25..=-5;

/// Exponents of which every mantissa survives a round through xrpl-rust: measured in `tests/oracle.rs`.
const SECOND_READER_EXPONENTS: RangeInclusive<i8> = -21..=13;

/// Parts of a million: what a transfer fee is counted in.
const MILLION: u128 = 1_000_000;

/// In the binary form: it is no XRP.
const NOT_XRP: u64 = 1 << 63;

/// In the binary form: it is positive.
const POSITIVE: u64 = 1 << 62;

/// In the binary form: bits of the mantissa.
const MANTISSA_BITS: u32 = 54;

/// In the binary form: what is added to the exponent.
const EXPONENT_BIAS: i32 = 97;

/// Exponents that no value comes near.
const EXPONENT_BOUND: i32 = 1_000;

/// Further apart than so many powers of ten, the lesser of two values is below the last digit of the greater one.
const DISTANCE_MAX: u32 = 20;

/// How much of an issued currency: zero, or a mantissa of 16 digits times a power of ten from -96 to 80. Never negative.
///
/// Displayed as servers print it; [`FromStr`] reads that and plain decimals.
// The order of the fields makes the derived order that of the values.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IssuedValue {
    exponent: i8,
    mantissa: u64,
}

/// More than nothing of an asset.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct IssuedAmount {
    asset: Asset,
    value: IssuedValue,
}

/// Why something is not a value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IssuedValueError {
    /// Longer than any value.
    #[error("value has {bytes} characters, more than {TEXT_BYTES_MAX}")]
    TooLong {
        /// How many.
        bytes: usize,
    },
    /// Not of the form `12`, `12.5` or `1e-5`.
    #[error("value is not a plain decimal number like 12, 12.5 or 1e-5")]
    NotDecimal,
    /// Finer than the ledger can hold. Nothing is ever rounded.
    #[error("value has {digits} significant digits, more than {DIGITS_MAX}")]
    TooPrecise {
        /// How many.
        digits: usize,
    },
    /// More than the ledger can hold.
    #[error("value is above 9999999999999999e{EXPONENT_MAX}")]
    TooLarge,
    /// Less than the ledger can hold, but not zero.
    #[error("value is below 1000000000000000e{EXPONENT_MIN}")]
    TooSmall,
    /// Bytes that are XRP, a negative value, or no value in the form in which it is written.
    #[error("bytes are not a positive value of an issued currency in its one form")]
    Bytes,
}

/// An amount of nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("value is 0")]
pub struct ZeroValueError;

/// Another implementation does not read back what we write.
///
/// xrpl-rust checks every blob before it is sent. What it cannot read can be signed, but never sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SecondReaderError {
    /// See [`IssuedValue::check_second_reader`].
    #[error(
        "value {value} is outside {} to {}, the range that a second implementation reads back",
        IssuedValue::SECOND_READER_MIN,
        IssuedValue::SECOND_READER_MAX
    )]
    Value {
        /// The value.
        value: IssuedValue,
    },
    /// See [`Currency::check_second_reader`].
    #[error(
        "currency {currency} is read back as the standard code in its middle by a second implementation"
    )]
    Currency {
        /// The currency.
        currency: Currency,
    },
}

// === impl IssuedValue ===

impl IssuedValue {
    /// Nothing.
    pub const ZERO: IssuedValue = IssuedValue {
        exponent: EXPONENT_OF_ZERO,
        mantissa: 0,
    };

    /// The least that is not nothing.
    pub const MIN: IssuedValue = IssuedValue {
        exponent: EXPONENT_MIN as i8,
        mantissa: MANTISSA_MIN,
    };

    /// The most.
    pub const MAX: IssuedValue = IssuedValue {
        exponent: EXPONENT_MAX as i8,
        mantissa: MANTISSA_MAX,
    };

    const SECOND_READER_MIN: IssuedValue = IssuedValue {
        exponent: *SECOND_READER_EXPONENTS.start(),
        mantissa: MANTISSA_MIN,
    };

    const SECOND_READER_MAX: IssuedValue = IssuedValue {
        exponent: *SECOND_READER_EXPONENTS.end(),
        mantissa: MANTISSA_MAX,
    };

    /// `mantissa` times ten to the power of `exponent`, if the ledger can hold exactly that.
    pub fn new(mantissa: u64, exponent: i32) -> Result<IssuedValue, IssuedValueError> {
        if mantissa == 0 {
            return Ok(IssuedValue::ZERO);
        }
        let (mut mantissa, mut exponent) = (mantissa, i64::from(exponent));
        while mantissa > MANTISSA_MAX {
            if !mantissa.is_multiple_of(10) {
                let digits = mantissa.to_string().trim_end_matches('0').len();
                return Err(IssuedValueError::TooPrecise { digits });
            }
            (mantissa, exponent) = (mantissa / 10, exponent + 1);
        }
        while mantissa < MANTISSA_MIN {
            (mantissa, exponent) = (mantissa * 10, exponent - 1);
        }
        if exponent > i64::from(EXPONENT_MAX) {
            return Err(IssuedValueError::TooLarge);
        }
        if exponent < i64::from(EXPONENT_MIN) {
            return Err(IssuedValueError::TooSmall);
        }
        let exponent = i8::try_from(exponent).expect("it is within -96 to 80");
        Ok(IssuedValue { exponent, mantissa })
    }

    /// The 16 digits; 0 for zero.
    pub const fn mantissa(self) -> u64 {
        self.mantissa
    }

    /// The power of ten that [`IssuedValue::mantissa`] is multiplied by: -96 to 80, and -100 for zero.
    pub const fn exponent(self) -> i32 {
        self.exponent as i32
    }

    /// Whether it is nothing.
    pub const fn is_zero(self) -> bool {
        self.mantissa == 0
    }

    /// The ledger's own form, without currency and issuer.
    pub const fn to_bytes(self) -> [u8; 8] {
        if self.is_zero() {
            return NOT_XRP.to_be_bytes();
        }
        // Not negative: the least exponent is -96.
        let exponent = (self.exponent as i32 + EXPONENT_BIAS) as u64;
        (NOT_XRP | POSITIVE | exponent << MANTISSA_BITS | self.mantissa).to_be_bytes()
    }

    /// Reads what [`IssuedValue::to_bytes`] writes, and refuses all else.
    pub fn from_bytes(bytes: [u8; 8]) -> Result<IssuedValue, IssuedValueError> {
        let written = u64::from_be_bytes(bytes);
        let mantissa = written & ((1 << MANTISSA_BITS) - 1);
        let exponent = (written >> MANTISSA_BITS & 0xFF) as i32 - EXPONENT_BIAS;
        let value = match IssuedValue::new(mantissa, exponent) {
            Ok(value) => value,
            Err(_) => return Err(IssuedValueError::Bytes),
        };
        match value.to_bytes() == bytes {
            true => Ok(value),
            false => Err(IssuedValueError::Bytes),
        }
    }

    /// The least value that is not below `mantissa` times ten to the power of `exponent`: many values summed up, each of the
    /// same power of ten. None if it would be above [`IssuedValue::MAX`].
    pub fn at_least(mantissa: u128, exponent: i32) -> Option<IssuedValue> {
        // Further out, every mantissa of 128 bits is above or below all values.
        let exponent = exponent.clamp(-EXPONENT_BOUND, EXPONENT_BOUND);
        rounded(mantissa, exponent, Rounding::Up)
    }

    /// The sum, rounded up to 16 digits, so that no limit is ever underestimated. None if it is above [`IssuedValue::MAX`].
    pub fn checked_add_up(self, other: IssuedValue) -> Option<IssuedValue> {
        let (greater, lesser) = (self.max(other), self.min(other));
        if lesser.is_zero() {
            return Some(greater);
        }
        let (greater_scaled, lesser_scaled, exponent) = aligned(greater, lesser);
        rounded(greater_scaled + lesser_scaled, exponent, Rounding::Up)
    }

    /// The difference, rounded down to 16 digits, so that no remainder is ever overestimated; zero where it would be less.
    pub fn saturating_sub_down(self, other: IssuedValue) -> IssuedValue {
        if other.is_zero() {
            return self;
        }
        if self <= other {
            return IssuedValue::ZERO;
        }
        let (minuend, subtrahend, exponent) = aligned(self, other);
        rounded(minuend - subtrahend, exponent, Rounding::Down)
            .expect("a difference is not above what it was taken from")
    }

    /// The value and so many millionths of it, rounded up to 16 digits. None if it is above [`IssuedValue::MAX`].
    pub fn add_ppm_up(self, parts_per_million: u32) -> Option<IssuedValue> {
        if self.is_zero() {
            return Some(self);
        }
        let scaled = u128::from(self.mantissa) * (MILLION + u128::from(parts_per_million));
        rounded(scaled, self.exponent() - 6, Rounding::Up)
    }

    /// Whether xrpl-rust, which checks every blob before it is sent, reads the value back as it was written. Its decoder
    /// fails on some values outside of this range and reads others: which, depends on their digits, so none is allowed.
    pub fn check_second_reader(self) -> Result<(), SecondReaderError> {
        match self.is_zero() || SECOND_READER_EXPONENTS.contains(&self.exponent) {
            true => Ok(()),
            false => Err(SecondReaderError::Value { value: self }),
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Rounding {
    Up,
    Down,
}

/// Both mantissas as multiples of the same power of ten. A lesser value that is too far below the greater one is written
/// as the least multiple: rounding either way sees that it is there.
fn aligned(greater: IssuedValue, lesser: IssuedValue) -> (u128, u128, i32) {
    let distance = greater.exponent().abs_diff(lesser.exponent());
    // 10^16 times 10^20 is far below 2^128.
    let scale = 10u128.pow(distance.min(DISTANCE_MAX));
    let lesser_scaled = match distance > DISTANCE_MAX {
        true => 1,
        false => u128::from(lesser.mantissa),
    };
    let exponent = greater.exponent() - distance.min(DISTANCE_MAX) as i32;
    (
        u128::from(greater.mantissa) * scale,
        lesser_scaled,
        exponent,
    )
}

/// The value of 16 digits next to `scaled` times ten to the power of `exponent`. Below the least, that is zero or the
/// least; above the most, none.
fn rounded(scaled: u128, exponent: i32, rounding: Rounding) -> Option<IssuedValue> {
    if scaled == 0 {
        return Some(IssuedValue::ZERO);
    }
    let (mut mantissa, mut exponent, mut inexact) = (scaled, exponent, false);
    while mantissa < u128::from(MANTISSA_MIN) {
        (mantissa, exponent) = (mantissa * 10, exponent - 1);
    }
    while mantissa > u128::from(MANTISSA_MAX) {
        inexact |= !mantissa.is_multiple_of(10);
        (mantissa, exponent) = (mantissa / 10, exponent + 1);
    }
    if inexact && rounding == Rounding::Up {
        mantissa += 1;
        if mantissa > u128::from(MANTISSA_MAX) {
            (mantissa, exponent) = (u128::from(MANTISSA_MIN), exponent + 1);
        }
    }
    if exponent < EXPONENT_MIN {
        return Some(match rounding {
            Rounding::Up => IssuedValue::MIN,
            Rounding::Down => IssuedValue::ZERO,
        });
    }
    let mantissa = u64::try_from(mantissa).expect("it has 16 digits");
    IssuedValue::new(mantissa, exponent).ok()
}

impl FromStr for IssuedValue {
    type Err = IssuedValueError;

    /// Reads digits, decimals and an exponent exactly. No sign, no space, no leading zeros, as servers have it.
    fn from_str(text: &str) -> Result<IssuedValue, IssuedValueError> {
        if text.len() > TEXT_BYTES_MAX {
            return Err(IssuedValueError::TooLong { bytes: text.len() });
        }
        let (number, written_exponent) = match text.split_once(['e', 'E']) {
            Some((number, exponent)) => (number, read_exponent(exponent)?),
            None => (text, 0),
        };
        let (whole, decimals) = match number.split_once('.') {
            Some((whole, decimals)) if !decimals.is_empty() => (whole, decimals),
            Some(_) => return Err(IssuedValueError::NotDecimal),
            None => (number, ""),
        };
        let digits = || whole.bytes().chain(decimals.bytes());
        if whole.is_empty()
            || (whole.len() > 1 && whole.starts_with('0'))
            || !digits().all(|byte| byte.is_ascii_digit())
        {
            return Err(IssuedValueError::NotDecimal);
        }
        let length = whole.len() + decimals.len();
        let Some(first) = digits().position(|byte| byte != b'0') else {
            return Ok(IssuedValue::ZERO);
        };
        let trailing = digits().rev().take_while(|byte| *byte == b'0').count();
        let significant = length - first - trailing;
        if significant > DIGITS_MAX {
            return Err(IssuedValueError::TooPrecise {
                digits: significant,
            });
        }
        let mantissa = digits()
            .skip(first)
            .take(significant)
            .fold(0u64, |sum, digit| sum * 10 + u64::from(digit - b'0'));
        // Both lengths are at most 128.
        let exponent = written_exponent + trailing as i32 - decimals.len() as i32;
        IssuedValue::new(mantissa, exponent)
    }
}

fn read_exponent(text: &str) -> Result<i32, IssuedValueError> {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    if digits.is_empty()
        || digits.len() > EXPONENT_DIGITS_MAX
        || !digits.bytes().all(|byte| byte.is_ascii_digit())
    {
        return Err(IssuedValueError::NotDecimal);
    }
    text.parse().map_err(|_| IssuedValueError::NotDecimal)
}

impl fmt::Display for IssuedValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_zero() {
            return f.write_str("0");
        }
        let digits = self.mantissa.to_string();
        if self.exponent == 0 {
            return f.write_str(&digits);
        }
        if !PLAIN_EXPONENTS.contains(&self.exponent) {
            return write!(f, "{digits}e{}", self.exponent);
        }
        let decimals = usize::from(self.exponent.unsigned_abs());
        let padded = format!("{digits:0>width$}", width = decimals + 1);
        let (whole, rest) = padded.split_at(padded.len() - decimals);
        match rest.trim_end_matches('0') {
            "" => f.write_str(whole),
            rest => write!(f, "{whole}.{rest}"),
        }
    }
}

impl fmt::Debug for IssuedValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "IssuedValue({self})")
    }
}

impl Default for IssuedValue {
    fn default() -> IssuedValue {
        IssuedValue::ZERO
    }
}

// === impl IssuedAmount ===

impl IssuedAmount {
    /// Checks that it is something.
    pub const fn new(asset: Asset, value: IssuedValue) -> Result<IssuedAmount, ZeroValueError> {
        if value.is_zero() {
            return Err(ZeroValueError);
        }
        Ok(IssuedAmount { asset, value })
    }

    /// Of what.
    pub const fn asset(&self) -> Asset {
        self.asset
    }

    /// How much, more than nothing.
    pub const fn value(&self) -> IssuedValue {
        self.value
    }

    /// Whether xrpl-rust reads currency and value back as they were written.
    pub fn check_second_reader(&self) -> Result<(), SecondReaderError> {
        self.asset.currency.check_second_reader()?;
        self.value.check_second_reader()
    }
}

impl fmt::Display for IssuedAmount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.value, self.asset)
    }
}

#[cfg(test)]
mod tests;
