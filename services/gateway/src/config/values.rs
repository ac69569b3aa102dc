//! Values of the configuration that are more than numbers and words: checked while they are read.
//!
//! Owns: how an address, a hash, a currency and an amount are written. May not: accept an amount as a float.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use xrpl_tx::{AccountId, Currency, Drops, Hash256, IssuedValue};

/// A classic address in the configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Address(pub AccountId);

/// A ledger hash in the configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hash(pub Hash256);

/// An amount of XRP in the configuration: a decimal string, or a whole number. Never a float, which cannot hold 0.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Xrp(pub Drops);

/// An issued currency in the configuration: three characters, or 40 hex digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CurrencyCode(pub Currency);

/// A value of an issued currency in the configuration: a decimal string, or a whole number. Never a float.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Value(pub IssuedValue);

impl Serialize for Address {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0.to_address())
    }
}

impl<'de> Deserialize<'de> for Address {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Address, D::Error> {
        let text = String::deserialize(deserializer)?;
        AccountId::from_address(&text)
            .map(Address)
            .map_err(serde::de::Error::custom)
    }
}

impl Serialize for Hash {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0.to_string())
    }
}

impl<'de> Deserialize<'de> for Hash {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Hash, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map(Hash).map_err(serde::de::Error::custom)
    }
}

impl Serialize for Xrp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0.to_xrp_string())
    }
}

impl<'de> Deserialize<'de> for Xrp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Xrp, D::Error> {
        struct Text;
        impl serde::de::Visitor<'_> for Text {
            type Value = Xrp;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("XRP as a decimal in quotes, like \"0.001\"")
            }
            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Xrp, E> {
                Drops::from_xrp_str(text).map(Xrp).map_err(E::custom)
            }
            fn visit_u64<E: serde::de::Error>(self, whole: u64) -> Result<Xrp, E> {
                self.visit_str(&whole.to_string())
            }
            fn visit_i64<E: serde::de::Error>(self, whole: i64) -> Result<Xrp, E> {
                self.visit_str(&whole.to_string())
            }
        }
        deserializer.deserialize_any(Text)
    }
}

impl Serialize for CurrencyCode {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0.to_string())
    }
}

impl<'de> Deserialize<'de> for CurrencyCode {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<CurrencyCode, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse()
            .map(CurrencyCode)
            .map_err(serde::de::Error::custom)
    }
}

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0.to_string())
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Value, D::Error> {
        struct Text;
        impl serde::de::Visitor<'_> for Text {
            type Value = Value;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a decimal in quotes, like \"12.5\"")
            }
            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Value, E> {
                text.parse().map(Value).map_err(E::custom)
            }
            fn visit_u64<E: serde::de::Error>(self, whole: u64) -> Result<Value, E> {
                self.visit_str(&whole.to_string())
            }
            fn visit_i64<E: serde::de::Error>(self, whole: i64) -> Result<Value, E> {
                self.visit_str(&whole.to_string())
            }
        }
        deserializer.deserialize_any(Text)
    }
}
