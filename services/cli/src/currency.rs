//! Names of issued currencies as a person writes them, and codes as the ledger has them.
//!
//! Owns: the translation both ways. May not: show a name that could be taken for a standard code; three characters are the
//! ledger's own, and only longer names are made from bytes.

/// Hex digits of a currency that is no standard code.
const HEX_DIGITS: usize = 40;

/// Characters of a name that is written as hex: more than a standard code's, at most the currency's 20 bytes.
const NAME_CHARS: std::ops::RangeInclusive<usize> = 4..=20;

/// Text that names no issued currency.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0} is no issued currency: write three characters (USD), a longer name (RLUSD), or {HEX_DIGITS} hex digits"
)]
pub struct CurrencyError(String);

/// `USD` for `USD`, 40 hex digits for `RLUSD` or for themselves.
///
/// # Errors
/// If the text is neither three characters, nor 4 to 20 letters and digits, nor 40 hex digits; or if it is XRP.
pub fn currency_code(text: &str) -> Result<String, CurrencyError> {
    let refuse = || CurrencyError(text.to_owned());
    let is = |check: fn(&u8) -> bool| text.as_bytes().iter().all(check);
    match text.len() {
        3 if is(u8::is_ascii_graphic) && text != "XRP" => Ok(text.to_owned()),
        HEX_DIGITS if is(u8::is_ascii_hexdigit) => Ok(text.to_ascii_uppercase()),
        length if NAME_CHARS.contains(&length) && is(u8::is_ascii_alphanumeric) => {
            let hex: String = text.bytes().map(|byte| format!("{byte:02X}")).collect();
            Ok(format!("{hex:0<HEX_DIGITS$}"))
        }
        _ => Err(refuse()),
    }
}

/// `RLUSD` for its 40 hex digits. `None`: the code has no such name, or is its own name.
#[must_use]
pub fn currency_name(code: &str) -> Option<String> {
    if code.len() != HEX_DIGITS || !code.is_ascii() {
        return None;
    }
    let bytes: Option<Vec<u8>> = (0..HEX_DIGITS)
        .step_by(2)
        .map(|at| u8::from_str_radix(&code[at..at + 2], 16).ok())
        .collect();
    let name = String::from_utf8(bytes?).ok()?;
    let name = name.trim_end_matches('\0');
    let good = NAME_CHARS.contains(&name.len()) && name.bytes().all(|b| b.is_ascii_alphanumeric());
    good.then(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const RLUSD: &str = "524C555344000000000000000000000000000000";

    #[test]
    fn a_person_writes_names_and_the_ledger_reads_codes() {
        for (text, code) in [
            ("USD", "USD"),
            ("RLUSD", RLUSD),
            (RLUSD, RLUSD),
            ("524c555344000000000000000000000000000000", RLUSD),
        ] {
            assert_eq!(currency_code(text).as_deref(), Ok(code));
        }
        for bad in [
            "",
            "US",
            "XRP",
            "U D",
            "RL USD",
            "Übung",
            "524C55534400000000000000000000000000000G",
        ] {
            assert!(currency_code(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_name_never_looks_like_a_standard_code() {
        assert_eq!(currency_name(RLUSD).as_deref(), Some("RLUSD"));
        // The bytes of "USD" in another place than a standard code has them.
        assert_eq!(
            currency_name("5553440000000000000000000000000000000000"),
            None
        );
        assert_eq!(
            currency_name("0000000000000000000000005553440000000000"),
            None
        );
        assert_eq!(
            currency_name("0158415500000000C1F76FF6ECB0BAC600000000"),
            None
        );
        assert_eq!(currency_name("USD"), None);
    }
}
