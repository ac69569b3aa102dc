//! The private key: from a seed file to signatures. Owns the two key families and the only code that touches a secret.
//!
//! A signature over a transaction needs an [`Approved`], which only the vault makes from a typed intent; the canary signs
//! under a prefix that no transaction can have. There is no way to have other bytes signed, and no `Debug`, `Clone` or
//! serialisation of a key. The key's bytes lie in [`Locked`] memory; what the curve libraries copy to the stack while
//! they work is overwritten after the key is made, and not after each signature.

pub mod keystore;
pub mod private;
pub mod seed;

use ring::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};
use secp256k1::{All, Message, Scalar, Secp256k1, SecretKey};
use xrpl_tx::{PublicKey, Signed, Unsigned, sha512_half};
use zeroize::{Zeroize, Zeroizing};

use crate::hardening::{Locked, LockedError};

use keystore::{Keystore, KeystoreError, Passphrase};
use private::PrivateFile;
use seed::{Family, Seed, SeedError};

/// What a canary signs begins with this. Every transaction's signing payload begins with "STX\0", "SMT\0" or "CLM\0", so
/// that a canary's signature fits nothing that the ledger knows.
const CANARY_PREFIX: &[u8] = b"paygate/canary/v1: not a transaction\0";

/// Stack that is overwritten after the key is made: more than the derivation uses.
const SCRUBBED_STACK_BYTES: usize = 64 * 1024;

/// Why there is no key.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// No private key follows from the seed: as likely as guessing it.
    #[error("no key can be derived from the seed")]
    Derivation,
    /// The locked memory cannot be had.
    #[error(transparent)]
    Memory(#[from] LockedError),
    /// The system's random numbers are not there.
    #[error("the system gives no random numbers")]
    Random,
}

/// Where the key lies: opened before the process confines itself, read after.
#[derive(Debug)]
pub enum KeyFiles {
    /// A written seed.
    Seed(PrivateFile),
    /// A sealed seed and what opens it.
    Keystore {
        /// The sealed seed.
        keystore: PrivateFile,
        /// What opens it.
        passphrase: PrivateFile,
    },
}

/// Why the key could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// From a seed file.
    #[error("wallet.seed_file: {0}")]
    Seed(#[from] SeedError),
    /// From a keystore.
    #[error("wallet.keystore_file: {0}")]
    Keystore(#[from] KeystoreError),
    /// No key follows.
    #[error(transparent)]
    Key(#[from] KeyError),
}

/// The canary's signature does not verify: the key or the curve library is damaged.
#[derive(Debug, thiserror::Error)]
#[error("the canary's signature does not verify")]
pub struct CanaryError;

/// An unsigned transaction that the rules allow. Only the vault makes one.
pub struct Approved(pub(crate) Unsigned);

/// The wallet's signing key.
pub struct SigningKey {
    public: PublicKey,
    secret: Secret,
}

enum Secret {
    Ed25519(Locked<Ed25519KeyPair>),
    Secp256k1 {
        key: Locked<SecretKey>,
        context: Secp256k1<All>,
    },
}

// === impl KeyFiles ===

impl KeyFiles {
    /// Reads the key into locked memory and closes the files.
    pub fn read(self) -> Result<SigningKey, ReadError> {
        let seed = match self {
            KeyFiles::Seed(file) => Seed::read(file)?,
            KeyFiles::Keystore {
                keystore,
                passphrase,
            } => {
                let passphrase = Passphrase::read(passphrase)?;
                Keystore::read(keystore)?.open(&passphrase)?
            }
        };
        Ok(SigningKey::from_seed(seed)?)
    }
}

// === impl SigningKey ===

impl SigningKey {
    /// Derives the key of a seed into locked memory.
    pub fn from_seed(seed: Seed) -> Result<SigningKey, KeyError> {
        let key = match seed.family() {
            Family::Ed25519 => ed25519(seed.entropy()),
            Family::Secp256k1 => secp256k1(seed.entropy()),
        };
        drop(seed);
        scrub_stack();
        key
    }

    /// The public half.
    pub fn public(&self) -> PublicKey {
        self.public
    }

    /// Whether the memory that holds it is locked and left out of dumps.
    pub fn memory_is_locked(&self) -> bool {
        match &self.secret {
            Secret::Ed25519(key) => key.is_locked(),
            Secret::Secp256k1 { key, .. } => key.is_locked(),
        }
    }

    /// Signs what the vault approved. The same transaction gets the same bytes: ed25519 by its definition, secp256k1 by
    /// RFC 6979, with the lower of the two possible S.
    pub(crate) fn sign(&self, approved: &Approved) -> Signed {
        let signature = self.sign_bytes(&approved.0.signing_payload());
        approved
            .0
            .sign_with(&signature)
            .expect("the signature is one of this key's family, which the transaction names")
    }

    /// Signs a text that can never be a transaction and verifies it with the public key.
    pub fn canary(&self, nonce: u64) -> Result<(), CanaryError> {
        let text = [CANARY_PREFIX, &nonce.to_be_bytes()].concat();
        let signature = self.sign_bytes(&text);
        let verified = match &self.secret {
            Secret::Ed25519(_) => {
                let raw = &self.public.as_bytes()[1..];
                UnparsedPublicKey::new(&ED25519, raw)
                    .verify(&text, &signature)
                    .is_ok()
            }
            Secret::Secp256k1 { context, .. } => {
                let key = secp256k1::PublicKey::from_slice(self.public.as_bytes());
                let signature = secp256k1::ecdsa::Signature::from_der(&signature);
                let digest = Message::from_digest(*sha512_half(&[&text]).as_bytes());
                matches!((key, signature), (Ok(key), Ok(signature)) if context.verify_ecdsa(&digest, &signature, &key).is_ok())
            }
        };
        if verified { Ok(()) } else { Err(CanaryError) }
    }

    fn sign_bytes(&self, text: &[u8]) -> Vec<u8> {
        match &self.secret {
            Secret::Ed25519(key) => key.get().sign(text).as_ref().to_vec(),
            Secret::Secp256k1 { key, context } => {
                let digest = Message::from_digest(*sha512_half(&[text]).as_bytes());
                context
                    .sign_ecdsa(&digest, key.get())
                    .serialize_der()
                    .to_vec()
            }
        }
    }
}

// === derivation ===

fn ed25519(entropy: &[u8; 16]) -> Result<SigningKey, KeyError> {
    let raw = Zeroizing::new(*sha512_half(&[entropy]).as_bytes());
    let pair =
        Ed25519KeyPair::from_seed_unchecked(raw.as_slice()).map_err(|_| KeyError::Derivation)?;
    let mut public = [0xED; 33];
    public[1..].copy_from_slice(pair.public_key().as_ref());
    let public = PublicKey::from_bytes(&public).map_err(|_| KeyError::Derivation)?;
    Ok(SigningKey {
        public,
        secret: Secret::Ed25519(Locked::new(pair)?),
    })
}

/// The XRP Ledger's family generator: a root key from the seed, and from its public half the tweak of the first account.
///
/// Ours and not xrpl-rust's, which refuses one seed in sixteen since it strips leading zeros of numbers.
fn secp256k1(entropy: &[u8; 16]) -> Result<SigningKey, KeyError> {
    let mut context = Secp256k1::new();
    let mut blinding = Zeroizing::new([0; 32]);
    ring::rand::SecureRandom::fill(&ring::rand::SystemRandom::new(), blinding.as_mut_slice())
        .map_err(|_| KeyError::Random)?;
    context.seeded_randomize(&blinding);

    let mut root = first_scalar(entropy)?;
    let root_public = root.public_key(&context).serialize();
    let mut account_part = [0; 37];
    account_part[..33].copy_from_slice(&root_public);
    let mut tweak = first_scalar(&account_part)?;
    let mut key = root
        .add_tweak(&Scalar::from(tweak))
        .map_err(|_| KeyError::Derivation)?;
    root.non_secure_erase();
    tweak.non_secure_erase();

    let public = PublicKey::from_bytes(&key.public_key(&context).serialize())
        .map_err(|_| KeyError::Derivation)?;
    let locked = Locked::new(key);
    key.non_secure_erase();
    Ok(SigningKey {
        public,
        secret: Secret::Secp256k1 {
            key: locked?,
            context,
        },
    })
}

/// The first of SHA-512Half(prefix, 0), SHA-512Half(prefix, 1), ... that is a private key.
fn first_scalar(prefix: &[u8]) -> Result<SecretKey, KeyError> {
    // One in 2^127 is none; three in a row do not happen.
    for counter in 0..3u32 {
        let bytes = Zeroizing::new(*sha512_half(&[prefix, &counter.to_be_bytes()]).as_bytes());
        if let Ok(key) = SecretKey::from_byte_array(&bytes) {
            return Ok(key);
        }
    }
    Err(KeyError::Derivation)
}

/// Overwrites the stack below the caller, where the derivation left copies.
#[inline(never)]
fn scrub_stack() {
    let mut stack = [0u8; SCRUBBED_STACK_BYTES];
    stack.zeroize();
    std::hint::black_box(&stack);
}
