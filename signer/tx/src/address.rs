//! Owns account ids and their two written forms, classic address and X-address. Reads no ledger: whether an account
//! exists is not known here.

use std::fmt;
use std::str::FromStr;

use crate::base58::{self, Base58Error, TEXT_BYTES_MAX};

/// Bytes of an account id.
const ACCOUNT_BYTES: usize = 20;

/// What precedes the account id in a classic address.
const CLASSIC_PREFIX: u8 = 0x00;

const X_PREFIX_MAIN: [u8; 2] = [0x05, 0x44];
const X_PREFIX_TEST: [u8; 2] = [0x04, 0x93];

/// The account of nobody; its address is where the ledger's own money came from. Money sent there is refused.
pub const ACCOUNT_ZERO: AccountId = AccountId([0; ACCOUNT_BYTES]);

/// The account of nobody that can be paid all the same: the money is lost for ever.
pub const ACCOUNT_ONE: AccountId =
    AccountId([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);

/// An account of the ledger. Displayed as its classic address.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AccountId([u8; ACCOUNT_BYTES]);

/// Where to pay, as a caller wrote it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Destination {
    /// Who is paid.
    pub account: AccountId,
    /// The destination tag inside an X-address. A classic address has none; tag 0 is a tag.
    pub tag: Option<u32>,
    /// Which kind of network an X-address is for. A classic address does not say.
    pub network: Option<XNetwork>,
}

/// The two kinds of network that an X-address distinguishes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum XNetwork {
    /// The network where XRP is worth something. Written with a leading `X`.
    Main,
    /// Every other network. Written with a leading `T`.
    Test,
}

/// Why a text is not an address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// Longer than any address.
    #[error("address has more than {TEXT_BYTES_MAX} characters")]
    TooLong,
    /// A character outside the ledger's base58 alphabet.
    #[error("address has a character outside the base58 alphabet of the XRP Ledger")]
    Character,
    /// Mistyped or cut.
    #[error("address checksum does not match")]
    Checksum,
    /// Right checksum, but not the number of bytes of this kind of address.
    #[error("address holds {bytes} bytes instead of {expected}")]
    Length {
        /// How many bytes the text decodes to, without checksum.
        bytes: usize,
        /// How many this kind of address has.
        expected: usize,
    },
    /// Right checksum, but something else: a seed, a node key, an address of another chain.
    #[error("text is valid base58 but not an address of the XRP Ledger")]
    Prefix,
    /// An X-address with a tag that the ledger cannot carry, or with a flag that is not defined.
    #[error("x-address has tag flag {flag}; only 0 (no tag) and 1 (32-bit tag) are supported")]
    TagFlag {
        /// The flag.
        flag: u8,
    },
    /// An X-address says that it has no tag or a short one, and carries more.
    #[error("x-address carries bytes in a tag field that must be zero")]
    TagReserved,
}

// === impl AccountId ===

impl AccountId {
    /// Wraps the bytes.
    pub const fn from_bytes(bytes: [u8; ACCOUNT_BYTES]) -> AccountId {
        AccountId(bytes)
    }

    /// The bytes.
    pub const fn as_bytes(&self) -> &[u8; ACCOUNT_BYTES] {
        &self.0
    }

    /// Reads a classic address (`r…`).
    pub fn from_address(address: &str) -> Result<AccountId, AddressError> {
        let payload: [u8; 1 + ACCOUNT_BYTES] = decode(address)?;
        let [prefix, account @ ..] = payload;
        if prefix != CLASSIC_PREFIX {
            return Err(AddressError::Prefix);
        }
        Ok(AccountId(account))
    }

    /// The classic address.
    pub fn to_address(&self) -> String {
        let mut payload = [CLASSIC_PREFIX; 1 + ACCOUNT_BYTES];
        payload[1..].copy_from_slice(&self.0);
        base58::encode_check(&payload)
    }
}

impl fmt::Display for AccountId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_address())
    }
}

impl fmt::Debug for AccountId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AccountId({self})")
    }
}

impl FromStr for AccountId {
    type Err = AddressError;

    fn from_str(address: &str) -> Result<AccountId, AddressError> {
        AccountId::from_address(address)
    }
}

// === impl Destination ===

/// Prefix, account, tag flag, tag (little endian), reserved half of a 64-bit tag.
const X_BYTES: usize = 2 + ACCOUNT_BYTES + 1 + 4 + 4;

impl Destination {
    /// Reads a classic address or an X-address.
    pub fn parse(text: &str) -> Result<Destination, AddressError> {
        if !text.starts_with(['X', 'T']) {
            let account = AccountId::from_address(text)?;
            return Ok(Destination {
                account,
                tag: None,
                network: None,
            });
        }
        let payload: [u8; X_BYTES] = decode(text)?;
        let (prefix, rest) = payload.split_at(2);
        let (account, rest) = rest.split_at(ACCOUNT_BYTES);
        let [flag, t0, t1, t2, t3, reserved @ ..] = rest else {
            return Err(AddressError::Length {
                bytes: payload.len(),
                expected: X_BYTES,
            });
        };
        let network = match prefix {
            p if p == X_PREFIX_MAIN => XNetwork::Main,
            p if p == X_PREFIX_TEST => XNetwork::Test,
            _ => return Err(AddressError::Prefix),
        };
        let written = u32::from_le_bytes([*t0, *t1, *t2, *t3]);
        let tag = match flag {
            0 if written != 0 => return Err(AddressError::TagReserved),
            0 => None,
            1 => Some(written),
            flag => return Err(AddressError::TagFlag { flag: *flag }),
        };
        if reserved != [0; 4] {
            return Err(AddressError::TagReserved);
        }
        let mut bytes = [0; ACCOUNT_BYTES];
        bytes.copy_from_slice(account);
        Ok(Destination {
            account: AccountId(bytes),
            tag,
            network: Some(network),
        })
    }
}

/// Writes an X-address.
pub fn to_x_address(account: AccountId, tag: Option<u32>, network: XNetwork) -> String {
    let mut payload = Vec::with_capacity(X_BYTES);
    payload.extend_from_slice(match network {
        XNetwork::Main => &X_PREFIX_MAIN,
        XNetwork::Test => &X_PREFIX_TEST,
    });
    payload.extend_from_slice(&account.0);
    payload.push(u8::from(tag.is_some()));
    payload.extend_from_slice(&tag.unwrap_or(0).to_le_bytes());
    payload.extend_from_slice(&[0; 4]);
    base58::encode_check(&payload)
}

/// Decodes a text whose payload must have exactly `N` bytes.
fn decode<const N: usize>(text: &str) -> Result<[u8; N], AddressError> {
    let payload = base58::decode_check(text).map_err(|err| match err {
        Base58Error::TooLong => AddressError::TooLong,
        Base58Error::Character => AddressError::Character,
        Base58Error::Checksum => AddressError::Checksum,
    })?;
    let bytes = payload.len();
    payload
        .try_into()
        .map_err(|_| AddressError::Length { bytes, expected: N })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An X-address of [`ACCOUNT_ONE`] whose last nine bytes, flag, tag and reserved half, are these.
    fn x_address(prefix: [u8; 2], tail: [u8; 9]) -> String {
        base58::encode_check(&[&prefix[..], &ACCOUNT_ONE.0, &tail].concat())
    }

    #[test]
    fn an_x_address_carries_no_tag_or_a_32_bit_tag_and_nothing_else() {
        let parse = |tail| Destination::parse(&x_address(X_PREFIX_MAIN, tail)).map(|to| to.tag);
        assert_eq!(parse([0, 0, 0, 0, 0, 0, 0, 0, 0]), Ok(None));
        assert_eq!(parse([1, 0, 0, 0, 0, 0, 0, 0, 0]), Ok(Some(0)));
        assert_eq!(parse([1, 0xD2, 0x04, 0, 0, 0, 0, 0, 0]), Ok(Some(1234)));
        assert_eq!(
            parse([1, 255, 255, 255, 255, 0, 0, 0, 0]),
            Ok(Some(u32::MAX))
        );
        assert_eq!(
            parse([0, 1, 0, 0, 0, 0, 0, 0, 0]),
            Err(AddressError::TagReserved)
        );
        assert_eq!(
            parse([0, 0, 0, 0, 0, 0, 0, 0, 1]),
            Err(AddressError::TagReserved)
        );
        assert_eq!(
            parse([1, 7, 0, 0, 0, 1, 0, 0, 0]),
            Err(AddressError::TagReserved)
        );
        assert_eq!(
            parse([2, 7, 0, 0, 0, 0, 0, 0, 0]),
            Err(AddressError::TagFlag { flag: 2 })
        );
        assert_eq!(
            parse([255, 7, 0, 0, 0, 0, 0, 0, 0]),
            Err(AddressError::TagFlag { flag: 255 })
        );
    }

    #[test]
    fn right_checksum_and_length_with_another_prefix_is_not_an_address() {
        let mut payload = [0; 21];
        payload[0] = 1;
        let text = base58::encode_check(&payload);
        assert_eq!(AccountId::from_address(&text), Err(AddressError::Prefix));
        // The neighbours of the two prefixes, of those that still begin with X or T.
        for prefix in [[0x05, 0x45], [0x05, 0x43], [0x04, 0x94], [0x04, 0x92]] {
            let text = x_address(prefix, [0; 9]);
            assert!(Destination::parse(&text).is_err(), "{text}");
        }
    }

    proptest::proptest! {
        #![proptest_config(crate::same_cases_each_run())]

        #[test]
        fn right_checksum_and_any_bytes_never_panic(payload in proptest::collection::vec(0u8.., 0..40)) {
            let text = base58::encode_check(&payload);
            let classic = payload.len() == 21 && payload[0] == CLASSIC_PREFIX;
            proptest::prop_assert_eq!(AccountId::from_address(&text).is_ok(), classic);
            let _ = Destination::parse(&text);
        }
    }
}
