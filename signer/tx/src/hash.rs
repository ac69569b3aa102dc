//! Owns [`Hash256`] and the two digests of this crate, both by `ring`.

use std::fmt;
use std::str::FromStr;

use ring::digest;

/// Bytes of a hash.
const HASH_BYTES: usize = 32;

/// A 256-bit hash: of a transaction, a ledger, an invoice. Displayed as 64 upper-case hex digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hash256([u8; HASH_BYTES]);

/// The text is not 64 hex digits.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("hash is not 64 hex digits")]
pub struct HashError;

impl Hash256 {
    /// Wraps the bytes.
    pub const fn from_bytes(bytes: [u8; HASH_BYTES]) -> Hash256 {
        Hash256(bytes)
    }

    /// The bytes.
    pub const fn as_bytes(&self) -> &[u8; HASH_BYTES] {
        &self.0
    }
}

impl fmt::Display for Hash256 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode_upper(self.0))
    }
}

impl fmt::Debug for Hash256 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Hash256({self})")
    }
}

impl FromStr for Hash256 {
    type Err = HashError;

    fn from_str(text: &str) -> Result<Hash256, HashError> {
        let mut bytes = [0; HASH_BYTES];
        hex::decode_to_slice(text, &mut bytes).map_err(|_| HashError)?;
        Ok(Hash256(bytes))
    }
}

/// SHA-256 of the parts, one after the other.
pub fn sha256(parts: &[&[u8]]) -> Hash256 {
    let mut hash = [0; HASH_BYTES];
    hash.copy_from_slice(digest_of(&digest::SHA256, parts).as_ref());
    Hash256(hash)
}

/// The first half of the SHA-512 of the parts, one after the other: the ledger's hash.
pub fn sha512_half(parts: &[&[u8]]) -> Hash256 {
    let mut hash = [0; HASH_BYTES];
    hash.copy_from_slice(&digest_of(&digest::SHA512, parts).as_ref()[..HASH_BYTES]);
    Hash256(hash)
}

fn digest_of(algorithm: &'static digest::Algorithm, parts: &[&[u8]]) -> digest::Digest {
    let mut context = digest::Context::new(algorithm);
    for part in parts {
        context.update(part);
    }
    context.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    // FIPS 180-2, the message "abc".
    const ABC_SHA256: &str = "BA7816BF8F01CFEA414140DE5DAE2223B00361A396177A9CB410FF61F20015AD";
    const ABC_SHA512_HALF: &str =
        "DDAF35A193617ABACC417349AE20413112E6FA4E89A97EA20A9EEEE64B55D39A";

    #[test]
    fn digests_are_the_published_ones_however_the_message_is_cut() {
        assert_eq!(sha256(&[b"abc"]).to_string(), ABC_SHA256);
        assert_eq!(sha256(&[b"a", b"", b"bc"]).to_string(), ABC_SHA256);
        assert_eq!(sha512_half(&[b"abc"]).to_string(), ABC_SHA512_HALF);
        assert_eq!(sha512_half(&[b"ab", b"c"]).to_string(), ABC_SHA512_HALF);
    }

    #[test]
    fn hex_of_either_case_is_read_and_upper_case_written() {
        let hash: Hash256 = ABC_SHA256.to_lowercase().parse().unwrap();
        assert_eq!(hash.to_string(), ABC_SHA256);
        assert_eq!(hash, ABC_SHA256.parse().unwrap());
    }

    #[test]
    fn other_text_is_not_a_hash() {
        for text in [
            "",
            "00",
            &ABC_SHA256[1..],
            &format!("{ABC_SHA256}00"),
            &ABC_SHA256.replace('B', "G"),
        ] {
            assert_eq!(text.parse::<Hash256>(), Err(HashError), "{text}");
        }
    }
}
