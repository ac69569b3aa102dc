//! Owns [`Drops`]: an amount of XRP as an integer, never above the supply, with checked arithmetic only.

use std::fmt;

/// Drops in one XRP.
const DROPS_PER_XRP: u64 = 1_000_000;

/// Decimals of an amount in XRP: a drop is the smallest amount there is.
const XRP_DECIMALS_MAX: usize = 6;

/// Digits before the point: 10^11 XRP, the whole supply, has twelve.
const XRP_WHOLE_DIGITS_MAX: usize = 12;

/// An amount of XRP in drops (millionths), from 0 to [`Drops::MAX`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Drops(u64);

/// Why something is not an amount of XRP.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DropsError {
    /// More than there can ever be.
    #[error("amount {drops} drops is above the supply of {} drops", Drops::MAX.get())]
    AboveSupply {
        /// The refused amount, at most `u64::MAX`.
        drops: u64,
    },
    /// Not of the form `12` or `12.345678`.
    #[error("amount in XRP is not a plain decimal number like 12 or 12.345678")]
    NotDecimal,
    /// Finer than a drop. Nothing is ever rounded.
    #[error("amount in XRP has {decimals} decimals, more than {XRP_DECIMALS_MAX}")]
    TooPrecise {
        /// How many digits follow the point.
        decimals: usize,
    },
    /// More digits before the point than the supply has.
    #[error("amount in XRP has {digits} digits before the point, more than {XRP_WHOLE_DIGITS_MAX}")]
    TooLong {
        /// How many digits precede the point.
        digits: usize,
    },
}

impl Drops {
    /// Nothing.
    pub const ZERO: Drops = Drops(0);

    /// The supply at the ledger's birth: 100 billion XRP.
    pub const MAX: Drops = Drops(100_000_000_000 * DROPS_PER_XRP);

    /// Checks an amount in drops.
    pub const fn new(drops: u64) -> Result<Drops, DropsError> {
        if drops > Drops::MAX.0 {
            return Err(DropsError::AboveSupply { drops });
        }
        Ok(Drops(drops))
    }

    /// An amount written in the source. For constants only: above [`Drops::MAX`] it does not compile there.
    pub const fn from_const(drops: u64) -> Drops {
        assert!(
            drops <= Drops::MAX.0,
            "a constant amount is above the supply of XRP"
        );
        Drops(drops)
    }

    /// The number of drops.
    pub const fn get(self) -> u64 {
        self.0
    }

    /// The sum, unless it is above [`Drops::MAX`].
    pub fn checked_add(self, other: Drops) -> Option<Drops> {
        Drops::new(self.0.checked_add(other.0)?).ok()
    }

    /// The difference, unless it is below zero.
    pub fn checked_sub(self, other: Drops) -> Option<Drops> {
        self.0.checked_sub(other.0).map(Drops)
    }

    /// The difference, or zero where it would be below zero.
    pub fn saturating_sub(self, other: Drops) -> Drops {
        Drops(self.0.saturating_sub(other.0))
    }

    /// Reads a decimal number of XRP exactly: digits, and at most six decimals. No sign, exponent or space.
    pub fn from_xrp_str(text: &str) -> Result<Drops, DropsError> {
        let (whole, decimals) = match text.split_once('.') {
            Some((whole, decimals)) if !decimals.is_empty() => (whole, decimals),
            Some(_) => return Err(DropsError::NotDecimal),
            None => (text, ""),
        };
        if whole.is_empty() || !(whole.bytes().chain(decimals.bytes())).all(|b| b.is_ascii_digit())
        {
            return Err(DropsError::NotDecimal);
        }
        if whole.len() > XRP_WHOLE_DIGITS_MAX {
            return Err(DropsError::TooLong {
                digits: whole.len(),
            });
        }
        if decimals.len() > XRP_DECIMALS_MAX {
            return Err(DropsError::TooPrecise {
                decimals: decimals.len(),
            });
        }
        // At most 18 digits, so every intermediate value is below 10^18 and fits.
        let digits = whole
            .bytes()
            .chain(decimals.bytes())
            .chain(std::iter::repeat(b'0'));
        let drops = digits
            .take(whole.len() + XRP_DECIMALS_MAX)
            .fold(0u64, |sum, digit| sum * 10 + u64::from(digit - b'0'));
        Drops::new(drops)
    }

    /// The amount in XRP, exact, without trailing zeros: `1.5`, `0.000001`, `25`.
    pub fn to_xrp_string(self) -> String {
        let (whole, rest) = (self.0 / DROPS_PER_XRP, self.0 % DROPS_PER_XRP);
        if rest == 0 {
            return whole.to_string();
        }
        format!("{whole}.{rest:06}")
            .trim_end_matches('0')
            .to_owned()
    }
}

impl fmt::Display for Drops {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} XRP", self.to_xrp_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn xrp_text_is_read_exactly() {
        for (text, drops) in [
            ("0", 0),
            ("0.001", 1_000),
            ("0.000001", 1),
            ("1.50", 1_500_000),
            ("25", 25_000_000),
            ("4294.967296", 4_294_967_296),
            ("100000000000", 100_000_000_000_000_000),
            ("99999999999.999999", 99_999_999_999_999_999),
        ] {
            assert_eq!(Drops::from_xrp_str(text), Ok(Drops(drops)), "{text}");
        }
    }

    #[test]
    fn anything_but_a_plain_decimal_is_refused() {
        for text in [
            "", ".", "1.", ".5", "-1", "+1", "1e3", " 1", "1 ", "1,5", "1.2.3", "0x10", "1_000",
            "١", "NaN",
        ] {
            assert_eq!(
                Drops::from_xrp_str(text),
                Err(DropsError::NotDecimal),
                "{text}"
            );
        }
    }

    #[test]
    fn nothing_is_rounded_and_nothing_is_above_the_supply() {
        assert_eq!(
            Drops::from_xrp_str("0.0000001"),
            Err(DropsError::TooPrecise { decimals: 7 })
        );
        assert_eq!(
            Drops::from_xrp_str("1.0000000"),
            Err(DropsError::TooPrecise { decimals: 7 })
        );
        assert_eq!(
            Drops::from_xrp_str("1000000000000"),
            Err(DropsError::TooLong { digits: 13 })
        );
        assert_eq!(
            Drops::from_xrp_str("100000000000.000001"),
            Err(DropsError::AboveSupply {
                drops: 100_000_000_000_000_001
            })
        );
        assert_eq!(
            Drops::from_xrp_str("999999999999.999999"),
            Err(DropsError::AboveSupply {
                drops: 999_999_999_999_999_999
            })
        );
        assert_eq!(Drops::new(Drops::MAX.get()), Ok(Drops::MAX));
        assert_eq!(
            Drops::new(u64::MAX),
            Err(DropsError::AboveSupply { drops: u64::MAX })
        );
    }

    #[test]
    fn arithmetic_never_leaves_the_range() {
        let one = Drops::from_const(1);
        assert_eq!(Drops::MAX.checked_add(one), None);
        assert_eq!(Drops::MAX.checked_add(Drops::ZERO), Some(Drops::MAX));
        assert_eq!(Drops::MAX.checked_add(Drops::MAX), None);
        assert_eq!(Drops::ZERO.checked_sub(one), None);
        assert_eq!(Drops::MAX.checked_sub(Drops::MAX), Some(Drops::ZERO));
        assert_eq!(Drops::ZERO.saturating_sub(one), Drops::ZERO);
    }

    #[test]
    fn display_is_xrp_without_trailing_zeros() {
        for (drops, text) in [
            (0, "0 XRP"),
            (1, "0.000001 XRP"),
            (1_500_000, "1.5 XRP"),
            (10_000_000, "10 XRP"),
        ] {
            assert_eq!(Drops(drops).to_string(), text);
        }
        assert_eq!(Drops::MAX.to_string(), "100000000000 XRP");
    }

    proptest::proptest! {
        #![proptest_config(crate::same_cases_each_run())]

        #[test]
        fn text_and_back_is_the_same_amount(drops in 0..=Drops::MAX.get()) {
            let amount = Drops(drops);
            proptest::prop_assert_eq!(Drops::from_xrp_str(&amount.to_xrp_string()), Ok(amount));
        }

        #[test]
        fn no_text_panics(text in ".{0,40}|[0-9.]{0,40}") {
            let _ = Drops::from_xrp_str(&text);
        }
    }
}
