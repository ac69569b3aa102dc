//! The seed: its written form, its family, sixteen secret bytes.
//!
//! Owns reading and writing that form. May not: open a file; `private.rs` does.

use std::fmt;

use ring::rand::{SecureRandom, SystemRandom};
use xrpl_tx::sha256;
use zeroize::Zeroizing;

use super::private::{PrivateError, PrivateFile};

/// Longest seed file: a seed of 31 characters, a line's end, and room for a habit of blank lines.
const SEED_FILE_BYTES_MAX: usize = 128;

/// Characters of a written seed.
const SEED_CHARACTERS_MAX: usize = 31;
const SEED_CHARACTERS_MIN: usize = 25;

/// Bytes of a seed.
pub(super) const ENTROPY_BYTES: usize = 16;
const CHECKSUM_BYTES: usize = 4;

/// Prefix of a seed of the older family, written `s...`.
const PREFIX_SECP256K1: &[u8] = &[0x21];

/// Prefix of an ed25519 seed, written `sEd...`.
const PREFIX_ED25519: &[u8] = &[0x01, 0xE1, 0x4B];

const ALPHABET: &[u8; 58] = b"rpshnaf39wBUDNEGHJKLM4PQRST7VWXYZ2bcdeCg65jkm8oFqi1tuvAxyz";

/// Why there is no seed. Says nothing of what the text holds.
#[derive(Debug, thiserror::Error)]
pub enum SeedError {
    /// Its file cannot be used.
    #[error(transparent)]
    File(#[from] PrivateError),
    /// The text is no seed.
    #[error("the text is no seed: {0}")]
    NoSeed(&'static str),
    /// The system's random numbers are not there.
    #[error("the system gives no random numbers")]
    Random,
}

/// How a key follows from a seed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// `sEd...`
    Ed25519,
    /// `s...`
    Secp256k1,
}

/// Sixteen secret bytes and their family. Overwritten on drop.
pub struct Seed {
    entropy: Zeroizing<[u8; ENTROPY_BYTES]>,
    family: Family,
}

// === impl Seed ===

impl Seed {
    /// Reads a file that holds a written seed.
    pub fn read(file: PrivateFile) -> Result<Seed, SeedError> {
        Seed::parse(&file.read(SEED_FILE_BYTES_MAX)?)
    }

    /// A new one, from the system's random numbers.
    pub fn random(family: Family) -> Result<Seed, SeedError> {
        let mut entropy = Zeroizing::new([0; ENTROPY_BYTES]);
        SystemRandom::new()
            .fill(entropy.as_mut_slice())
            .map_err(|_| SeedError::Random)?;
        Ok(Seed { entropy, family })
    }

    pub(super) fn from_entropy(entropy: Zeroizing<[u8; ENTROPY_BYTES]>, family: Family) -> Seed {
        Seed { entropy, family }
    }

    /// The same once more, for who uses up one.
    pub(super) fn again(&self) -> Seed {
        Seed::from_entropy(self.entropy.clone(), self.family)
    }

    /// Its written form, `s...` or `sEd...`: the secret itself.
    pub fn written(&self) -> Zeroizing<String> {
        let prefix = match self.family {
            Family::Ed25519 => PREFIX_ED25519,
            Family::Secp256k1 => PREFIX_SECP256K1,
        };
        // With room for all: a vector that grows leaves copies behind.
        let mut content = Zeroizing::new(Vec::with_capacity(
            prefix.len() + ENTROPY_BYTES + CHECKSUM_BYTES,
        ));
        content.extend_from_slice(prefix);
        content.extend_from_slice(self.entropy.as_slice());
        let sum = sha256(&[sha256(&[&content]).as_bytes()]);
        content.extend_from_slice(&sum.as_bytes()[..CHECKSUM_BYTES]);
        encode_base58(&content)
    }

    /// Decodes a written seed of either family.
    pub fn parse(text: &[u8]) -> Result<Seed, SeedError> {
        if text.len() < SEED_CHARACTERS_MIN || text.len() > SEED_CHARACTERS_MAX {
            return Err(SeedError::NoSeed("its length is wrong"));
        }
        let bytes =
            decode_base58(text).ok_or(SeedError::NoSeed("it has a character that no seed has"))?;
        let decoded = |prefix: &[u8]| {
            // The decoded number, with leading zeros, has exactly this many bytes; longer ones are other things.
            let length = prefix.len() + ENTROPY_BYTES + CHECKSUM_BYTES;
            let (zeros, payload) = bytes.split_at(bytes.len() - length);
            (zeros.iter().all(|byte| *byte == 0) && payload.starts_with(prefix)).then_some(payload)
        };
        let (payload, family) = match (decoded(PREFIX_ED25519), decoded(PREFIX_SECP256K1)) {
            (Some(payload), _) => (payload, Family::Ed25519),
            (None, Some(payload)) => (payload, Family::Secp256k1),
            (None, None) => return Err(SeedError::NoSeed("it is another kind of text")),
        };
        let (content, sum) = payload.split_at(payload.len() - CHECKSUM_BYTES);
        let expected = sha256(&[sha256(&[content]).as_bytes()]);
        if &expected.as_bytes()[..CHECKSUM_BYTES] != sum {
            return Err(SeedError::NoSeed("its checksum does not match"));
        }
        let mut entropy = Zeroizing::new([0; ENTROPY_BYTES]);
        entropy.copy_from_slice(&content[content.len() - ENTROPY_BYTES..]);
        Ok(Seed { entropy, family })
    }

    /// Its family.
    pub fn family(&self) -> Family {
        self.family
    }

    /// Its secret bytes.
    pub(super) fn entropy(&self) -> &[u8; ENTROPY_BYTES] {
        &self.entropy
    }
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Family::Ed25519 => "ed25519",
            Family::Secp256k1 => "secp256k1",
        })
    }
}

/// The number that the text writes, big-endian. No text of at most 31 characters needs more than 23 bytes.
fn decode_base58(text: &[u8]) -> Option<Zeroizing<[u8; 24]>> {
    let mut number = Zeroizing::new([0u8; 24]);
    for character in text {
        let digit = ALPHABET.iter().position(|known| known == character)?;
        let mut carry = u32::try_from(digit).ok()?;
        for byte in number.iter_mut().rev() {
            carry += u32::from(*byte) * 58;
            *byte = (carry & 0xFF) as u8;
            carry >>= 8;
        }
        if carry != 0 {
            return None;
        }
    }
    Some(number)
}

/// The other way. No seed begins with a zero byte, which base58 would write apart.
fn encode_base58(bytes: &[u8]) -> Zeroizing<String> {
    let mut number = Zeroizing::new(bytes.to_vec());
    let mut digits = Zeroizing::new(Vec::with_capacity(SEED_CHARACTERS_MAX));
    while number.iter().any(|byte| *byte != 0) {
        let mut rest = 0u32;
        for byte in number.iter_mut() {
            let value = rest * 256 + u32::from(*byte);
            *byte = u8::try_from(value / 58).expect("the rest is below 58, so this is below 256");
            rest = value % 58;
        }
        digits.push(ALPHABET[rest as usize]);
    }
    let mut text = Zeroizing::new(String::with_capacity(digits.len()));
    text.extend(digits.iter().rev().map(|digit| char::from(*digit)));
    text
}
