//! Amounts: XRP in drops, or a decimal of a currency that somebody issues.
//!
//! Owns: how currencies and amounts are read from a transaction and printed. May not: move anything.

use std::fmt;

use serde_json::{Value, json};

use super::decimal::Decimal;
use super::types::AccountId;

/// The account that stands for nobody where a balance needs an issuer.
pub(super) const NO_ACCOUNT: AccountId =
    AccountId([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
/// Where the three characters of a standard code are.
const CODE_AT: std::ops::Range<usize> = 12..15;
/// Characters of a standard code besides letters and digits.
const CODE_SIGNS: &[u8] = b"?!@#$%^&*<>(){}[]|";

/// The 20 bytes of a currency; all zero is XRP.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Currency(pub [u8; 20]);

impl Currency {
    /// Reads three characters or 40 hexadecimal digits.
    pub(super) fn parse(text: &str) -> Option<Self> {
        if text == "XRP" {
            return Some(Self([0; 20]));
        }
        let is_code = |byte: u8| byte.is_ascii_alphanumeric() || CODE_SIGNS.contains(&byte);
        if text.len() == CODE_AT.len() && text.bytes().all(is_code) {
            let mut bytes = [0; 20];
            bytes[CODE_AT].copy_from_slice(text.as_bytes());
            return Some(Self(bytes));
        }
        Some(Self(hex::decode(text).ok()?.try_into().ok()?))
    }

    /// True for the one that looks like XRP and is not.
    pub(super) fn is_bad(&self) -> bool {
        let mut bad = [0; 20];
        bad[CODE_AT].copy_from_slice(b"XRP");
        self.0 == bad
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let code = &self.0[CODE_AT];
        let is_standard = self.0[..CODE_AT.start].iter().all(|byte| *byte == 0)
            && self.0[CODE_AT.end..].iter().all(|byte| *byte == 0)
            && !self.is_bad()
            && code
                .iter()
                .all(|byte| byte.is_ascii_alphanumeric() || CODE_SIGNS.contains(byte));
        match std::str::from_utf8(code) {
            _ if self.0 == [0; 20] => f.write_str("XRP"),
            Ok(code) if is_standard => f.write_str(code),
            _ => f.write_str(&hex::encode_upper(self.0)),
        }
    }
}

impl fmt::Debug for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A currency and who issues it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Asset {
    pub currency: Currency,
    pub issuer: AccountId,
}

/// An amount of anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Money {
    /// Drops; a transaction may name impossible ones.
    Xrp(i128),
    /// An issued currency.
    Issued(Decimal, Asset),
}

impl Money {
    /// Reads an amount of a transaction.
    pub(super) fn from_json(value: &Value) -> Option<Self> {
        if let Some(drops) = value.as_str() {
            return drops.parse().ok().map(Self::Xrp);
        }
        let text = |name: &str| value.get(name).and_then(Value::as_str);
        let asset = Asset {
            currency: Currency::parse(text("currency")?)?,
            issuer: AccountId::from_address(text("issuer")?)?,
        };
        Some(Self::Issued(Decimal::parse(text("value")?)?, asset))
    }

    /// As servers print it.
    pub(super) fn to_json(self) -> Value {
        match self {
            Self::Xrp(drops) => json!(drops.to_string()),
            Self::Issued(value, asset) => issued_json(value, &asset.currency, &asset.issuer),
        }
    }

    /// Drops; None for an issued currency.
    pub(super) fn drops(&self) -> Option<i128> {
        match self {
            Self::Xrp(drops) => Some(*drops),
            Self::Issued(..) => None,
        }
    }
}

/// An amount of an issued currency as servers print it.
pub(super) fn issued_json(value: Decimal, currency: &Currency, issuer: &AccountId) -> Value {
    json!({
        "currency": currency.to_string(), "issuer": issuer.to_string(), "value": value.to_string(),
    })
}
