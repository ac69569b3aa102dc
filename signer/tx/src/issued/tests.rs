//! Values against known answers, and against integers large enough for all of them.

use super::*;

fn value(text: &str) -> IssuedValue {
    text.parse().unwrap()
}

#[test]
fn text_is_read_exactly_and_shown_as_servers_show_it() {
    for (text, mantissa, exponent, shown) in [
        ("0", 0, -100, "0"),
        ("0.000e9", 0, -100, "0"),
        ("1", 1_000_000_000_000_000, -15, "1"),
        ("12.50", 1_250_000_000_000_000, -14, "12.5"),
        ("0.1", 1_000_000_000_000_000, -16, "0.1"),
        ("1e-5", 1_000_000_000_000_000, -20, "0.00001"),
        ("1E+3", 1_000_000_000_000_000, -12, "1000"),
        ("100", 1_000_000_000_000_000, -13, "100"),
        ("1.000000000000000000000", 1_000_000_000_000_000, -15, "1"),
        (
            "9999999999999999",
            9_999_999_999_999_999,
            0,
            "9999999999999999",
        ),
        ("99999999999", 9_999_999_999_900_000, -5, "99999999999"),
        (
            "100000000000",
            1_000_000_000_000_000,
            -4,
            "1000000000000000e-4",
        ),
        (
            "123456789012345.6",
            1_234_567_890_123_456,
            -1,
            "1234567890123456e-1",
        ),
        ("1e-10", 1_000_000_000_000_000, -25, "0.0000000001"),
        (
            "1.234567890123456e-10",
            1_234_567_890_123_456,
            -25,
            "0.0000000001234567890123456",
        ),
        ("1e-11", 1_000_000_000_000_000, -26, "1000000000000000e-26"),
        (
            "1000000000000000e-96",
            1_000_000_000_000_000,
            -96,
            "1000000000000000e-96",
        ),
        (
            "9999999999999999e80",
            9_999_999_999_999_999,
            80,
            "9999999999999999e80",
        ),
    ] {
        let read = value(text);
        assert_eq!(
            (read.mantissa(), read.exponent()),
            (mantissa, exponent),
            "{text}"
        );
        assert_eq!(read.to_string(), shown, "{text}");
        assert_eq!(value(shown), read, "{text}");
    }
    assert_eq!(value("1000000000000000e-96"), IssuedValue::MIN);
    assert_eq!(value("9999999999999999e80"), IssuedValue::MAX);
}

#[test]
fn anything_but_a_plain_decimal_is_refused() {
    for text in [
        "", ".", "1.", ".5", "-1", "+1", "-0", "01", "00", "1e", "e5", "1e5.0", "1e--5", "1e12345",
        "1 ", " 1", "1,5", "1.2.3", "0x10", "1_000", "١", "NaN", "inf", "1e5e5",
    ] {
        assert_eq!(
            text.parse::<IssuedValue>(),
            Err(IssuedValueError::NotDecimal),
            "{text}"
        );
    }
    let long = format!("0.{}1", "0".repeat(126));
    assert_eq!(
        long.parse::<IssuedValue>(),
        Err(IssuedValueError::TooLong { bytes: 129 })
    );
}

#[test]
fn what_the_ledger_cannot_hold_exactly_is_refused() {
    for (text, error) in [
        (
            "12345678901234567",
            IssuedValueError::TooPrecise { digits: 17 },
        ),
        (
            "1.0000000000000001",
            IssuedValueError::TooPrecise { digits: 17 },
        ),
        (
            "100000000000000001e3",
            IssuedValueError::TooPrecise { digits: 18 },
        ),
        ("1e96", IssuedValueError::TooLarge),
        ("10000000000000000e80", IssuedValueError::TooLarge),
        ("1e-82", IssuedValueError::TooSmall),
        ("100000000000000e-96", IssuedValueError::TooSmall),
        ("1e9999", IssuedValueError::TooLarge),
        ("1e-9999", IssuedValueError::TooSmall),
    ] {
        assert_eq!(text.parse::<IssuedValue>(), Err(error), "{text}");
    }
    assert_eq!(
        IssuedValue::new(u64::MAX, 0),
        Err(IssuedValueError::TooPrecise { digits: 20 })
    );
    assert_eq!(
        IssuedValue::new(1, i32::MAX),
        Err(IssuedValueError::TooLarge)
    );
    assert_eq!(
        IssuedValue::new(1, i32::MIN),
        Err(IssuedValueError::TooSmall)
    );
}

#[test]
fn the_binary_form_is_the_documented_one_and_has_no_second_spelling() {
    for (text, bytes) in [
        ("0", "8000000000000000"),
        ("1", "D4838D7EA4C68000"),
        ("1000000000000000e-96", "C0438D7EA4C68000"),
        ("9999999999999999e80", "EC6386F26FC0FFFF"),
    ] {
        assert_eq!(hex::encode_upper(value(text).to_bytes()), bytes, "{text}");
        let bytes = hex::decode(bytes).unwrap().try_into().unwrap();
        assert_eq!(IssuedValue::from_bytes(bytes), Ok(value(text)));
    }
    for bytes in [
        "4000000000000001", // XRP
        "94838D7EA4C68000", // -1
        "C000000000000000", // a positive zero
        "8000000000000001", // a zero with digits
        "D4838D7EA4C67FFF", // 15 digits
        "D4A386F26FC10000", // 17 digits
        "C0038D7EA4C68000", // exponent -97
        "ECA38D7EA4C68000", // exponent 81
        "FFFFFFFFFFFFFFFF",
    ] {
        let bytes = hex::decode(bytes).unwrap().try_into().unwrap();
        assert_eq!(
            IssuedValue::from_bytes(bytes),
            Err(IssuedValueError::Bytes),
            "{bytes:X?}"
        );
    }
}

#[test]
fn sums_are_exact_or_rounded_up() {
    for (one, other, sum) in [
        ("0", "0", Some("0")),
        ("0", "1.5", Some("1.5")),
        ("0.1", "0.2", Some("0.3")),
        ("9999999999999999", "1", Some("1e16")),
        ("9999999999999999", "2", Some("1000000000000001e1")),
        ("1", "1e-15", Some("1.000000000000001")),
        ("1", "1e-16", Some("1.000000000000001")),
        ("1", "1000000000000000e-96", Some("1.000000000000001")),
        ("9.999999999999999", "1000000000000000e-96", Some("10")),
        ("9999999999999999e80", "1000000000000000e-96", None),
        ("9999999999999999e80", "9999999999999999e80", None),
        ("5e95", "4e95", Some("9e95")),
    ] {
        let sum = sum.map(value);
        assert_eq!(
            value(one).checked_add_up(value(other)),
            sum,
            "{one} + {other}"
        );
        assert_eq!(
            value(other).checked_add_up(value(one)),
            sum,
            "{other} + {one}"
        );
    }
}

#[test]
fn a_sum_of_mantissas_is_a_value_that_is_not_below_it() {
    for (mantissa, exponent, sum) in [
        (0, 0, Some("0")),
        (3, 0, Some("3")),
        (30_000_000_000_000_000, -15, Some("30")),
        (30_000_000_000_000_001, -15, Some("30.00000000000001")),
        (u128::MAX, 0, Some("3402823669209385e23")),
        (1, -96, Some("1000000000000000e-96")),
        (1, i32::MIN, Some("1000000000000000e-96")),
        (1, 96, None),
        (1, i32::MAX, None),
        (0, i32::MAX, Some("0")),
    ] {
        assert_eq!(
            IssuedValue::at_least(mantissa, exponent),
            sum.map(value),
            "{mantissa}e{exponent}"
        );
    }
}

#[test]
fn differences_are_exact_or_rounded_down_and_never_below_nothing() {
    for (one, other, difference) in [
        ("1", "0", "1"),
        ("1", "1", "0"),
        ("1", "2", "0"),
        ("0", "1", "0"),
        ("0.3", "0.1", "0.2"),
        ("1e16", "1", "9999999999999999"),
        ("1", "1e-16", "0.9999999999999999"),
        ("1", "1e-17", "0.9999999999999999"),
        ("1", "1000000000000000e-96", "0.9999999999999999"),
        ("1000000000000001e-96", "1000000000000000e-96", "0"),
    ] {
        assert_eq!(
            value(one).saturating_sub_down(value(other)),
            value(difference),
            "{one} - {other}"
        );
    }
}

#[test]
fn a_transfer_fee_is_added_rounded_up() {
    for (amount, ppm, most) in [
        ("100", 0, Some("100")),
        ("100", 2_000, Some("100.2")),
        ("1", 1, Some("1.000001")),
        ("9999999999999999", 1, Some("1000001000000000e1")),
        ("1.000000000000001", 1_000, Some("1.001000000000002")),
        ("0", 5, Some("0")),
        ("3", 1_000_000, Some("6")),
        (
            "1000000000000000e-96",
            u32::MAX,
            Some("4295967295000000e-93"),
        ),
        ("9999999999999999e80", 1, None),
        ("9999999999999999e80", 0, Some("9999999999999999e80")),
    ] {
        assert_eq!(
            value(amount).add_ppm_up(ppm),
            most.map(value),
            "{amount} and {ppm}"
        );
    }
}

#[test]
fn the_second_readers_range_is_named_in_the_refusal() {
    for (text, readable) in [
        ("0", true),
        ("0.000001", true),
        ("9999999999999999e13", true),
        ("9.999999999999999e-7", false),
        ("1e29", false),
    ] {
        assert_eq!(
            value(text).check_second_reader().is_ok(),
            readable,
            "{text}"
        );
    }
    assert_eq!(
        value("1e29").check_second_reader().unwrap_err().to_string(),
        "value 1000000000000000e14 is outside 0.000001 to 9999999999999999e13, the range that a second implementation \
         reads back"
    );
}

// === properties, in integers of 1,024 bits and more than any value needs ===

/// The value as a multiple of 10^-120, digit by digit: least digit first, base 10^9.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Exact(Vec<u32>);

const BASE: u64 = 1_000_000_000;
const DIGITS: usize = 32;
const SCALE: i32 = 120;

impl Exact {
    fn of(value: IssuedValue) -> Exact {
        let mut digits = Exact(vec![0; DIGITS]);
        if value.is_zero() {
            return digits;
        }
        let (low, high) = (value.mantissa() % BASE, value.mantissa() / BASE);
        (digits.0[0], digits.0[1]) = (low as u32, high as u32);
        (0..value.exponent() + SCALE).for_each(|_| digits.times(10));
        digits
    }

    fn times(&mut self, factor: u64) {
        let carry = self.0.iter_mut().fold(0, |carry, digit| {
            let product = u64::from(*digit) * factor + carry;
            *digit = (product % BASE) as u32;
            product / BASE
        });
        assert_eq!(carry, 0);
    }

    fn plus(mut self, other: &Exact) -> Exact {
        let carry = self
            .0
            .iter_mut()
            .zip(&other.0)
            .fold(0, |carry, (digit, more)| {
                let sum = u64::from(*digit) + u64::from(*more) + carry;
                *digit = (sum % BASE) as u32;
                sum / BASE
            });
        assert_eq!(carry, 0);
        self
    }
}

impl PartialOrd for Exact {
    fn partial_cmp(&self, other: &Exact) -> Option<std::cmp::Ordering> {
        Some(self.0.iter().rev().cmp(other.0.iter().rev()))
    }
}

/// The next value that the ledger can hold.
fn next(value: IssuedValue) -> Option<IssuedValue> {
    match value.is_zero() {
        true => Some(IssuedValue::MIN),
        false if value.mantissa() == MANTISSA_MAX => {
            IssuedValue::new(MANTISSA_MIN, value.exponent() + 1).ok()
        }
        false => IssuedValue::new(value.mantissa() + 1, value.exponent()).ok(),
    }
}

fn any_value() -> impl proptest::strategy::Strategy<Value = IssuedValue> {
    use proptest::prelude::*;
    let mantissa = prop_oneof![
        Just(MANTISSA_MIN),
        Just(MANTISSA_MAX),
        (1..1_000u64).prop_map(|digits| digits * 10_000_000_000_000),
        MANTISSA_MIN..=MANTISSA_MAX,
    ];
    // Often near to each other, so that digits overlap.
    let exponent = prop_oneof![
        EXPONENT_MIN..=EXPONENT_MAX,
        -20..=20i32,
        -96..=-90i32,
        70..=80i32
    ];
    let value = (mantissa, exponent).prop_map(|(mantissa, exponent)| {
        let shift = 15 - mantissa.ilog10();
        IssuedValue::new(mantissa * 10u64.pow(shift), exponent).unwrap()
    });
    prop_oneof![1 => Just(IssuedValue::ZERO), 12 => value]
}

proptest::proptest! {
    #![proptest_config(crate::same_cases_each_run())]

    #[test]
    fn every_value_survives_its_text_and_its_bytes(value in any_value()) {
        proptest::prop_assert_eq!(value.to_string().parse(), Ok(value));
        proptest::prop_assert_eq!(IssuedValue::from_bytes(value.to_bytes()), Ok(value));
    }

    #[test]
    fn the_order_of_values_is_that_of_the_numbers(one in any_value(), other in any_value()) {
        let (exact, others) = (Exact::of(one), Exact::of(other));
        proptest::prop_assert_eq!(Some(one.cmp(&other)), exact.partial_cmp(&others));
    }

    #[test]
    fn a_sum_is_the_least_value_that_is_not_below_it(one in any_value(), other in any_value()) {
        let exact = Exact::of(one).plus(&Exact::of(other));
        match one.checked_add_up(other) {
            Some(sum) => {
                proptest::prop_assert!(Exact::of(sum) >= exact);
                let below = [one, other].into_iter().any(|part| part == sum)
                    || sum.is_zero()
                    || Exact::of(before(sum)) < exact;
                proptest::prop_assert!(below, "{} is more than the least", sum);
            }
            None => proptest::prop_assert!(exact > Exact::of(IssuedValue::MAX)),
        }
    }

    #[test]
    fn a_difference_is_the_greatest_value_that_is_not_above_it(one in any_value(), other in any_value()) {
        let difference = one.saturating_sub_down(other);
        if one <= other {
            proptest::prop_assert_eq!(difference, IssuedValue::ZERO);
        } else {
            // One is not below the sum of the two, and below that of the next.
            let other = Exact::of(other);
            proptest::prop_assert!(Exact::of(difference).plus(&other) <= Exact::of(one));
            let next = next(difference).unwrap();
            proptest::prop_assert!(Exact::of(next).plus(&other) > Exact::of(one));
        }
    }

    #[test]
    fn a_fee_on_top_is_the_least_value_that_is_not_below_it(value in any_value(), ppm in 0..=2_000_000u32) {
        let mut exact = Exact::of(value);
        exact.times(1_000_000 + u64::from(ppm));
        let million = |value: IssuedValue| {
            let mut exact = Exact::of(value);
            exact.times(1_000_000);
            exact
        };
        match value.add_ppm_up(ppm) {
            Some(more) => {
                proptest::prop_assert!(million(more) >= exact);
                proptest::prop_assert!(more == value || million(before(more)) < exact);
                proptest::prop_assert!(more >= value);
            }
            None => proptest::prop_assert!(exact > million(IssuedValue::MAX)),
        }
    }

    #[test]
    fn no_text_panics(text in ".{0,40}|[0-9.eE+-]{0,40}") {
        let _ = text.parse::<IssuedValue>();
    }

    #[test]
    fn no_bytes_have_two_meanings(bytes in proptest::array::uniform8(0u8..)) {
        if let Ok(value) = IssuedValue::from_bytes(bytes) {
            proptest::prop_assert_eq!(value.to_bytes(), bytes);
        }
    }
}

/// The value before one that is not zero.
fn before(value: IssuedValue) -> IssuedValue {
    if value == IssuedValue::MIN {
        return IssuedValue::ZERO;
    }
    match value.mantissa() == MANTISSA_MIN {
        true => IssuedValue::new(MANTISSA_MAX, value.exponent() - 1).unwrap(),
        false => IssuedValue::new(value.mantissa() - 1, value.exponent()).unwrap(),
    }
}
