//! Wallets for tests: a fresh seed of either family, its address, and the private key that nobody else may see.
//!
//! Owns: a second derivation of keys, independent of the signer's, so that a mistake in the signer's shows as an address
//! that differs. May not: be used for real money, as it protects nothing.

use ring::rand::{SecureRandom, SystemRandom};
use ring::signature::{Ed25519KeyPair, KeyPair};
use secp256k1::{Message, Scalar, Secp256k1, SecretKey};
use xrpl::constants::CryptoAlgorithm;
use xrpl_tx::{AccountId, PublicKey, sha256, sha512_half};

const ALPHABET: &[u8; 58] = b"rpshnaf39wBUDNEGHJKLM4PQRST7VWXYZ2bcdeCg65jkm8oFqi1tuvAxyz";

/// How a key follows from its seed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SeedType {
    /// `sEd...`
    Ed25519,
    /// `s...`
    Secp256k1,
}

/// A wallet with everything that must stay inside the signer.
#[derive(Clone)]
pub struct Wallet {
    /// The written seed.
    pub seed: String,
    /// The private key: for ed25519 the 32 bytes that the curve calls its seed.
    pub private_key: [u8; 32],
    /// The account.
    pub account: AccountId,
}

impl Wallet {
    /// A new one from the system's random numbers.
    pub fn random(seed_type: SeedType) -> Wallet {
        let mut entropy = [0; 16];
        SystemRandom::new()
            .fill(&mut entropy)
            .expect("the system has random numbers");
        Wallet::from_entropy(seed_type, entropy)
    }

    /// The wallet of these sixteen bytes.
    pub fn from_entropy(seed_type: SeedType, entropy: [u8; 16]) -> Wallet {
        let (prefix, private_key, public): (&[u8], _, _) = match seed_type {
            SeedType::Ed25519 => {
                let private = *sha512_half(&[&entropy]).as_bytes();
                let pair = Ed25519KeyPair::from_seed_unchecked(&private)
                    .expect("any 32 bytes are an ed25519 seed");
                let mut public = [0xED; 33];
                public[1..].copy_from_slice(pair.public_key().as_ref());
                (&[0x01, 0xE1, 0x4B], private, public)
            }
            SeedType::Secp256k1 => {
                let (private, public) = secp256k1_key(&entropy);
                (&[0x21], private, public)
            }
        };
        let public =
            PublicKey::from_bytes(&public).expect("a derived public key has its family's form");
        Wallet {
            seed: base58check(&[prefix, &entropy].concat()),
            private_key,
            account: public.account_id(),
        }
    }

    /// The wallet of a written seed.
    pub fn from_seed(seed: &str) -> Result<Wallet, String> {
        let (entropy, algorithm) =
            xrpl::core::addresscodec::decode_seed(seed).map_err(|error| error.to_string())?;
        let seed_type = match algorithm {
            CryptoAlgorithm::ED25519 => SeedType::Ed25519,
            CryptoAlgorithm::SECP256K1 => SeedType::Secp256k1,
        };
        Ok(Wallet::from_entropy(seed_type, entropy))
    }

    /// The public key and this wallet's signature of a transaction's bytes, as hexadecimal digits.
    pub fn sign(&self, message: &[u8]) -> (String, String) {
        if self.seed.starts_with("sEd") {
            let pair = Ed25519KeyPair::from_seed_unchecked(&self.private_key)
                .expect("any 32 bytes are an ed25519 seed");
            let public = format!("ED{}", hex::encode_upper(pair.public_key().as_ref()));
            return (public, hex::encode_upper(pair.sign(message).as_ref()));
        }
        let curve = Secp256k1::new();
        let key = SecretKey::from_byte_array(&self.private_key)
            .expect("a derived private key is a private key");
        let digest = Message::from_digest(*sha512_half(&[message]).as_bytes());
        let signature = curve.sign_ecdsa(&digest, &key).serialize_der();
        let public = key.public_key(&curve).serialize();
        (hex::encode_upper(public), hex::encode_upper(signature))
    }

    /// The classic address.
    pub fn address(&self) -> String {
        self.account.to_address()
    }
}

/// An account of nobody, the same for the same name: somebody to pay.
pub fn payee(name: &str) -> String {
    let digest = sha256(&[b"payee ", name.as_bytes()]);
    let mut bytes = [0; 20];
    bytes.copy_from_slice(&digest.as_bytes()[..20]);
    AccountId::from_bytes(bytes).to_address()
}

/// The family generator of the XRP Ledger: a root key, and the tweak that makes the first account of it.
fn secp256k1_key(entropy: &[u8]) -> ([u8; 32], [u8; 33]) {
    let curve = Secp256k1::new();
    let scalar = |prefix: &[u8]| {
        (0u32..)
            .find_map(|counter| {
                SecretKey::from_byte_array(
                    sha512_half(&[prefix, &counter.to_be_bytes()]).as_bytes(),
                )
                .ok()
            })
            .expect("nearly every number is a private key")
    };
    let root = scalar(entropy);
    let tweak = scalar(&[root.public_key(&curve).serialize().as_slice(), &[0; 4]].concat());
    let key = root
        .add_tweak(&Scalar::from(tweak))
        .expect("the sum is zero for no seed that anybody will ever see");
    (key.secret_bytes(), key.public_key(&curve).serialize())
}

fn base58check(content: &[u8]) -> String {
    let sum = sha256(&[sha256(&[content]).as_bytes()]);
    let bytes = [content, &sum.as_bytes()[..4]].concat();
    let mut digits: Vec<u8> = Vec::new();
    for byte in bytes {
        let mut carry = u32::from(byte);
        for digit in &mut digits {
            carry += u32::from(*digit) << 8;
            *digit = (carry % 58) as u8;
            carry /= 58;
        }
        while carry > 0 {
            digits.push((carry % 58) as u8);
            carry /= 58;
        }
    }
    digits
        .iter()
        .rev()
        .map(|digit| char::from(ALPHABET[usize::from(*digit)]))
        .collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test ends where it goes wrong")]
mod tests {
    use super::*;

    #[test]
    fn wallets_are_those_of_other_implementations() {
        let genesis = Wallet::from_entropy(
            SeedType::Secp256k1,
            sixteen("DEDCE9CE67B451D852FD4E846FCDE31C"),
        );
        assert_eq!(genesis.seed, "snoPBrXtMeMyMHUVTgbuqAfg1SUTb");
        assert_eq!(genesis.address(), "rHb9CJAWyB4rj91VRWn96DkukG4bwdtyTh");
        let known = Wallet::from_entropy(
            SeedType::Ed25519,
            sixteen("4C3A1D213FBDFB14C7C28D609469B341"),
        );
        assert_eq!(known.seed, "sEdTM1uX8pu2do5XvTnutH6HsouMaM2");
    }

    fn sixteen(text: &str) -> [u8; 16] {
        hex::decode(text).unwrap().try_into().unwrap()
    }
}
