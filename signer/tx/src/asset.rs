//! Owns [`Currency`] and [`Asset`]: what is paid when it is not XRP. Knows no trust line: whether anybody holds or issues
//! the asset is not known here.

use std::fmt;
use std::str::FromStr;

use crate::address::AccountId;
use crate::issued::SecondReaderError;

/// Bytes of a currency.
pub(crate) const CURRENCY_BYTES: usize = 20;

/// Hex digits of a currency that is no standard code.
const HEX_DIGITS: usize = 2 * CURRENCY_BYTES;

/// Where the three characters of a standard code stand among the bytes; all others are zero.
const CODE: std::ops::Range<usize> = 12..15;

/// What a standard code is made of, besides letters and digits.
const CODE_SIGNS: &[u8] = b"<>(){}[]|?!@#$%^&*";

/// The code that never names an issued currency.
const XRP: &[u8; 3] = b"XRP";

/// A currency that somebody issues, never XRP. Displayed as its three characters, if it is a standard code, and else as 40
/// upper-case hex digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Currency([u8; CURRENCY_BYTES]);

/// A currency of one issuer. Those of two issuers are two assets. Displayed as `USD.rIssuer`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Asset {
    /// What.
    pub currency: Currency,
    /// Whose.
    pub issuer: AccountId,
}

/// Why something is no currency.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CurrencyError {
    /// Neither form.
    #[error(
        "currency is neither three characters nor {HEX_DIGITS} hex digits, like USD or 524C555344000000000000000000000000000000"
    )]
    Form,
    /// A character that standard codes do not have.
    #[error("currency has a character that codes of the XRP Ledger do not have")]
    Character,
    /// XRP is nobody's.
    #[error("currency XRP is not issued: pay it as XRP")]
    Xrp,
    /// Begins with a zero byte and is no standard code.
    #[error("currency begins with 00 and is no standard code, which the XRP Ledger reserves")]
    Reserved,
}

// === impl Currency ===

impl Currency {
    /// Checks the bytes.
    pub const fn from_bytes(bytes: [u8; CURRENCY_BYTES]) -> Result<Currency, CurrencyError> {
        if bytes[0] != 0 {
            return Ok(Currency(bytes));
        }
        let mut at = 0;
        while at < CURRENCY_BYTES {
            if (at < CODE.start || at >= CODE.end) && bytes[at] != 0 {
                return Err(CurrencyError::Reserved);
            }
            at += 1;
        }
        let code = [
            bytes[CODE.start],
            bytes[CODE.start + 1],
            bytes[CODE.start + 2],
        ];
        match Currency::from_code(&code) {
            // No bytes at all are how XRP itself would be written.
            Err(CurrencyError::Character) if code[0] | code[1] | code[2] == 0 => {
                Err(CurrencyError::Xrp)
            }
            Err(CurrencyError::Character) => Err(CurrencyError::Reserved),
            other => other,
        }
    }

    const fn from_code(code: &[u8; 3]) -> Result<Currency, CurrencyError> {
        let mut bytes = [0; CURRENCY_BYTES];
        let mut at = 0;
        while at < code.len() {
            if !is_code_character(code[at]) {
                return Err(CurrencyError::Character);
            }
            bytes[CODE.start + at] = code[at];
            at += 1;
        }
        if code[0] == XRP[0] && code[1] == XRP[1] && code[2] == XRP[2] {
            return Err(CurrencyError::Xrp);
        }
        Ok(Currency(bytes))
    }

    /// The bytes.
    pub const fn as_bytes(&self) -> &[u8; CURRENCY_BYTES] {
        &self.0
    }

    /// Its three characters, if it is a standard code.
    pub fn code(&self) -> Option<&str> {
        // Checked when it was made: a first byte of zero is a standard code.
        match self.0[0] {
            0 => std::str::from_utf8(&self.0[CODE]).ok(),
            _ => None,
        }
    }
}

impl Currency {
    /// Whether xrpl-rust, which checks every blob before it is sent, reads the currency back as it was written. It takes
    /// any three upper-case letters or digits in the middle of the bytes for a standard code, whatever the other bytes are,
    /// except for those of XRP.
    pub fn check_second_reader(&self) -> Result<(), SecondReaderError> {
        let looks_like_a_code = self.0[CODE]
            .iter()
            .all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit());
        match looks_like_a_code && self.0[CODE] != *XRP && self.code().is_none() {
            true => Err(SecondReaderError::Currency { currency: *self }),
            false => Ok(()),
        }
    }
}

const fn is_code_character(byte: u8) -> bool {
    let mut at = 0;
    while at < CODE_SIGNS.len() {
        if CODE_SIGNS[at] == byte {
            return true;
        }
        at += 1;
    }
    byte.is_ascii_alphanumeric()
}

impl FromStr for Currency {
    type Err = CurrencyError;

    /// Reads three characters (`USD`, upper and lower case differ) or 40 hex digits of any case.
    fn from_str(text: &str) -> Result<Currency, CurrencyError> {
        if let Ok(code) = <&[u8; 3]>::try_from(text.as_bytes()) {
            return Currency::from_code(code);
        }
        let mut bytes = [0; CURRENCY_BYTES];
        hex::decode_to_slice(text, &mut bytes).map_err(|_| CurrencyError::Form)?;
        Currency::from_bytes(bytes)
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.code() {
            Some(code) => f.write_str(code),
            None => f.write_str(&hex::encode_upper(self.0)),
        }
    }
}

impl fmt::Debug for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Currency({self})")
    }
}

// === impl Asset ===

impl fmt::Display for Asset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.currency, self.issuer)
    }
}

impl fmt::Debug for Asset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Asset({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RLUSD: &str = "524C555344000000000000000000000000000000";

    #[test]
    fn both_forms_are_read_and_shown_as_the_ledger_shows_them() {
        for (text, shown) in [
            ("USD", "USD"),
            ("usd", "usd"),
            ("<>*", "<>*"),
            ("0000000000000000000000005553440000000000", "USD"),
            (RLUSD, RLUSD),
            ("524c555344000000000000000000000000000000", RLUSD),
            (
                "0158415500000000C1F76FF6ECB0BAC600000000",
                "0158415500000000C1F76FF6ECB0BAC600000000",
            ),
        ] {
            let currency: Currency = text.parse().unwrap();
            assert_eq!(currency.to_string(), shown);
            assert_eq!(Currency::from_bytes(*currency.as_bytes()), Ok(currency));
        }
        let usd: Currency = "USD".parse().unwrap();
        assert_eq!(
            hex::encode(usd.as_bytes()),
            "0000000000000000000000005553440000000000"
        );
    }

    #[test]
    fn xrp_has_no_issuer_in_any_form() {
        for text in [
            "XRP",
            "0000000000000000000000000000000000000000",
            "0000000000000000000000005852500000000000",
        ] {
            assert_eq!(text.parse::<Currency>(), Err(CurrencyError::Xrp), "{text}");
        }
        // Another currency, of a look that deceives: the allow list of a policy names it or not.
        assert!("xrp".parse::<Currency>().is_ok());
    }

    #[test]
    fn what_the_ledger_reserves_or_does_not_know_is_refused() {
        for (text, error) in [
            ("", CurrencyError::Form),
            ("US", CurrencyError::Form),
            ("USDT", CurrencyError::Form),
            ("U\u{e9}", CurrencyError::Character),
            ("U D", CurrencyError::Character),
            ("U-D", CurrencyError::Character),
            (&RLUSD[1..], CurrencyError::Form),
            (&format!("{RLUSD}0"), CurrencyError::Form),
            (&RLUSD.replace('4', "G"), CurrencyError::Form),
            (
                "0000000000000000000000005553440000000001",
                CurrencyError::Reserved,
            ),
            (
                "0000000000000000000000005553200000000000",
                CurrencyError::Reserved,
            ),
            (
                "0000000000000000000000000000000000000001",
                CurrencyError::Reserved,
            ),
        ] {
            assert_eq!(text.parse::<Currency>(), Err(error), "{text}");
        }
    }

    #[test]
    fn an_asset_is_shown_with_its_issuer() {
        let asset = Asset {
            currency: RLUSD.parse().unwrap(),
            issuer: "rMxCKbEDwqr76QuheSUMdEGf4B9xJ8m5De".parse().unwrap(),
        };
        assert_eq!(
            asset.to_string(),
            format!("{RLUSD}.rMxCKbEDwqr76QuheSUMdEGf4B9xJ8m5De")
        );
    }
}
