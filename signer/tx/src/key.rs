//! Owns public keys and the account that a key owns. No private key ever comes here.

use std::fmt;

use ripemd::{Digest as _, Ripemd160};

use crate::address::AccountId;
use crate::hash::sha256;

/// Bytes of a public key of either family, prefix included.
const KEY_BYTES: usize = 33;

/// What precedes an ed25519 key. The compressed points of secp256k1 begin with 02 or 03.
const ED25519_PREFIX: u8 = 0xED;

/// A public key as it stands in a transaction: 33 bytes, whose first tells the family.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PublicKey([u8; KEY_BYTES]);

/// The two families of keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Algorithm {
    /// Signs the payload itself; signatures of 64 bytes.
    Ed25519,
    /// ECDSA over the SHA-512 half of the payload; signatures in DER.
    Secp256k1,
}

/// Why bytes are not a public key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PublicKeyError {
    /// Not 33 bytes.
    #[error("public key has {bytes} bytes instead of {KEY_BYTES}")]
    Length {
        /// How many there are.
        bytes: usize,
    },
    /// Not the first byte of either family.
    #[error("public key begins with {prefix:02X}, not with ED, 02 or 03")]
    Prefix {
        /// The first byte.
        prefix: u8,
    },
}

impl PublicKey {
    /// Checks length and prefix. Whether the point lies on the curve is the business of whoever holds the private key.
    pub fn from_bytes(bytes: &[u8]) -> Result<PublicKey, PublicKeyError> {
        let key: [u8; KEY_BYTES] = bytes
            .try_into()
            .map_err(|_| PublicKeyError::Length { bytes: bytes.len() })?;
        match key[0] {
            ED25519_PREFIX | 0x02 | 0x03 => Ok(PublicKey(key)),
            prefix => Err(PublicKeyError::Prefix { prefix }),
        }
    }

    /// The bytes, prefix included.
    pub const fn as_bytes(&self) -> &[u8; KEY_BYTES] {
        &self.0
    }

    /// Which family the key belongs to.
    pub const fn algorithm(&self) -> Algorithm {
        match self.0[0] {
            ED25519_PREFIX => Algorithm::Ed25519,
            _ => Algorithm::Secp256k1, // the constructor let only 02 and 03 pass besides
        }
    }

    /// The account whose master key this is.
    pub fn account_id(&self) -> AccountId {
        AccountId::from_bytes(Ripemd160::digest(sha256(&[&self.0]).as_bytes()).into())
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode_upper(self.0))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({self})")
    }
}
