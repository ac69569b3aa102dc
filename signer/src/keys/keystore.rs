//! The keystore: a seed, encrypted with a passphrase, in one small file that is worth nothing without it.
//!
//! Owns the file's format, which is final for its version: Argon2id makes a key of the passphrase, AES-256-GCM seals the seed under it, and
//! everything else that the file says is authenticated with it. May not: ask anybody anything, or decide where files lie.

use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use argon2::{Algorithm, Argon2, Params, Version};
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::rand::{SecureRandom, SystemRandom};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::private::{PrivateError, PrivateFile};
use super::seed::{ENTROPY_BYTES, Family, Seed};
use super::{KeyError, SigningKey};

const FORMAT: &str = "paygate-keystore";
const VERSION: u32 = 1;
const KDF: &str = "argon2id";
const CIPHER: &str = "aes-256-gcm";

/// Longest keystore file; one is about 600 bytes.
const KEYSTORE_BYTES_MAX: usize = 4 * 1024;

/// Fewest characters of a passphrase. Twelve random letters and digits outlast the key itself; what people make up should be longer.
pub const PASSPHRASE_CHARACTERS_MIN: usize = 12;

/// Most bytes of a passphrase.
pub const PASSPHRASE_BYTES_MAX: usize = 1024;

/// What a guess costs: RFC 9106's second recommendation, which a small container can afford once at its start.
const COST: Cost = Cost {
    memory_kib: 64 * 1024,
    passes: 3,
    lanes: 4,
};

/// A file that asks for less was weakened, and one that asks for more would stop the start.
const MEMORY_KIB: std::ops::RangeInclusive<u32> = COST.memory_kib..=1024 * 1024;
const PASSES: std::ops::RangeInclusive<u32> = COST.passes..=32;
const LANES: std::ops::RangeInclusive<u32> = 1..=16;

const SALT_BYTES: usize = 16;
const KEY_BYTES: usize = 32;

const FILE_MODE: u32 = 0o600;

/// Why a keystore cannot be used. Says nothing of the secret.
#[derive(Debug, thiserror::Error)]
pub enum KeystoreError {
    /// A file cannot be used.
    #[error(transparent)]
    File(#[from] PrivateError),
    /// The file is none.
    #[error("the keystore cannot be read: {0}")]
    Unreadable(String),
    /// It is of another version or made with other means.
    #[error("the keystore's {field} is {value}: this version reads {expected}")]
    Unsupported {
        /// Which field.
        field: &'static str,
        /// What it says.
        value: String,
        /// What is understood.
        expected: String,
    },
    /// It does not open. Whether the passphrase or the file is wrong cannot be told, on purpose.
    #[error("the keystore does not open: the passphrase is wrong, or the file was changed")]
    DoesNotOpen,
    /// The passphrase is too short or too long.
    #[error(
        "the passphrase has {characters} characters: at least {PASSPHRASE_CHARACTERS_MIN}, and at most {PASSPHRASE_BYTES_MAX} bytes"
    )]
    Passphrase {
        /// How many it has.
        characters: usize,
    },
    /// There is one already.
    #[error("{path} exists: a keystore is never overwritten by another")]
    Exists {
        /// The file.
        path: String,
    },
    /// The file system says no.
    #[error("cannot {action} {path}: {source}")]
    Io {
        /// What was tried.
        action: &'static str,
        /// The file.
        path: String,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// No key follows from the seed.
    #[error(transparent)]
    Key(#[from] KeyError),
}

/// A passphrase. Overwritten on drop.
pub struct Passphrase(Zeroizing<Vec<u8>>);

/// A sealed seed, and what may be known of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keystore {
    family: Family,
    public_key: [u8; 33],
    cost: Cost,
    salt: [u8; SALT_BYTES],
    nonce: [u8; NONCE_LEN],
    sealed: Vec<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Cost {
    memory_kib: u32,
    passes: u32,
    lanes: u32,
}

/// The file as it is written.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    format: String,
    version: u32,
    address: String,
    public_key: String,
    family: String,
    kdf: WrittenKdf,
    cipher: String,
    nonce: String,
    sealed: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenKdf {
    name: String,
    memory_kib: u32,
    passes: u32,
    lanes: u32,
    salt: String,
}

// === impl Passphrase ===

impl Passphrase {
    /// A passphrase that is to protect a key from now on.
    pub fn new(text: Zeroizing<Vec<u8>>) -> Result<Passphrase, KeystoreError> {
        let characters = String::from_utf8_lossy(&text).chars().count();
        if characters < PASSPHRASE_CHARACTERS_MIN || text.len() > PASSPHRASE_BYTES_MAX {
            return Err(KeystoreError::Passphrase { characters });
        }
        Ok(Passphrase(text))
    }

    /// Reads one from a private file, without the line's end.
    pub fn read(file: PrivateFile) -> Result<Passphrase, KeystoreError> {
        Passphrase::new(file.read(PASSPHRASE_BYTES_MAX + 2)?)
    }

    /// Whether both are the same.
    pub fn is(&self, other: &Passphrase) -> bool {
        self.0 == other.0
    }
}

// === impl Keystore ===

impl Keystore {
    /// Seals a seed.
    pub fn seal(seed: &Seed, passphrase: &Passphrase) -> Result<Keystore, KeystoreError> {
        let public_key = SigningKey::from_seed(seed.again())?.public();
        let mut keystore = Keystore {
            family: seed.family(),
            public_key: *public_key.as_bytes(),
            cost: COST,
            salt: [0; SALT_BYTES],
            nonce: [0; NONCE_LEN],
            sealed: Vec::with_capacity(ENTROPY_BYTES + AES_256_GCM.tag_len()),
        };
        let random = SystemRandom::new();
        for bytes in [&mut keystore.salt[..], &mut keystore.nonce[..]] {
            random.fill(bytes).map_err(|_| KeyError::Random)?;
        }
        let mut sealed = Zeroizing::new(seed.entropy().to_vec());
        let tag = keystore
            .key(passphrase)
            .seal_in_place_separate_tag(keystore.nonce(), keystore.head(), &mut sealed)
            .expect("sixteen bytes are within what one key may seal");
        keystore.sealed.extend_from_slice(&sealed);
        keystore.sealed.extend_from_slice(tag.as_ref());
        Ok(keystore)
    }

    /// Opens it.
    pub fn open(&self, passphrase: &Passphrase) -> Result<Seed, KeystoreError> {
        let mut sealed = Zeroizing::new(self.sealed.clone());
        let opened = self
            .key(passphrase)
            .open_in_place(self.nonce(), self.head(), &mut sealed)
            .map_err(|_| KeystoreError::DoesNotOpen)?;
        let mut entropy = Zeroizing::new([0; ENTROPY_BYTES]);
        if opened.len() != entropy.len() {
            return Err(KeystoreError::DoesNotOpen);
        }
        entropy.copy_from_slice(opened);
        Ok(Seed::from_entropy(entropy, self.family))
    }

    /// The address of the key inside, if the wallet's address is not configured.
    pub fn address(&self) -> String {
        self.public().account_id().to_address()
    }

    /// The public half of the key inside.
    pub fn public_key_hex(&self) -> String {
        hex::encode_upper(self.public_key)
    }

    /// Its family.
    pub fn family(&self) -> Family {
        self.family
    }

    fn public(&self) -> xrpl_tx::PublicKey {
        xrpl_tx::PublicKey::from_bytes(&self.public_key)
            .expect("checked when it was read, or a key's own")
    }

    fn key(&self, passphrase: &Passphrase) -> LessSafeKey {
        let Cost {
            memory_kib,
            passes,
            lanes,
        } = self.cost;
        let params = Params::new(memory_kib, passes, lanes, Some(KEY_BYTES))
            .expect("the cost was checked against its ranges");
        let mut key = Zeroizing::new([0; KEY_BYTES]);
        Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
            .hash_password_into(&passphrase.0, &self.salt, key.as_mut_slice())
            .expect("passphrase and salt are within Argon2's limits");
        LessSafeKey::new(UnboundKey::new(&AES_256_GCM, key.as_slice()).expect("32 bytes are a key"))
    }

    fn nonce(&self) -> Nonce {
        Nonce::assume_unique_for_key(self.nonce)
    }

    /// Everything that the file says in the clear: changed, it does not open.
    fn head(&self) -> Aad<String> {
        let Cost {
            memory_kib,
            passes,
            lanes,
        } = self.cost;
        Aad::from(format!(
            "{FORMAT}/{VERSION}\n{}\n{}\n{KDF} {memory_kib} {passes} {lanes} {}\n{CIPHER} {}\n",
            self.public_key_hex(),
            self.family,
            hex::encode(self.salt),
            hex::encode(self.nonce),
        ))
    }

    // --- its file

    /// Reads the text of a keystore file.
    pub fn parse(text: &[u8]) -> Result<Keystore, KeystoreError> {
        let written: Written = serde_json::from_slice(text)
            .map_err(|error| KeystoreError::Unreadable(error.to_string()))?;
        expect("format", &written.format, FORMAT)?;
        expect(
            "version",
            &written.version.to_string(),
            &VERSION.to_string(),
        )?;
        expect("kdf", &written.kdf.name, KDF)?;
        expect("cipher", &written.cipher, CIPHER)?;
        let family = match written.family.as_str() {
            "ed25519" => Family::Ed25519,
            "secp256k1" => Family::Secp256k1,
            other => return Err(unsupported("family", other, "ed25519 and secp256k1")),
        };
        let cost = Cost {
            memory_kib: within("kdf.memory_kib", written.kdf.memory_kib, MEMORY_KIB)?,
            passes: within("kdf.passes", written.kdf.passes, PASSES)?,
            lanes: within("kdf.lanes", written.kdf.lanes, LANES)?,
        };
        let keystore = Keystore {
            family,
            public_key: bytes("public_key", &written.public_key)?,
            cost,
            salt: bytes("kdf.salt", &written.kdf.salt)?,
            nonce: bytes("nonce", &written.nonce)?,
            sealed: bytes::<{ ENTROPY_BYTES + 16 }>("sealed", &written.sealed)?.to_vec(),
        };
        if xrpl_tx::PublicKey::from_bytes(&keystore.public_key).is_err() {
            return Err(KeystoreError::Unreadable("public_key is no key".to_owned()));
        }
        expect("address", &written.address, &keystore.address())?;
        Ok(keystore)
    }

    /// Reads a keystore file, which must be private although it is sealed.
    pub fn read(file: PrivateFile) -> Result<Keystore, KeystoreError> {
        Keystore::parse(&file.read(KEYSTORE_BYTES_MAX)?)
    }

    /// Writes a new file, whole or not at all; never over another one.
    pub fn create(&self, path: &Path) -> Result<(), KeystoreError> {
        if path.symlink_metadata().is_ok() {
            return Err(exists(path));
        }
        self.write(path, |from, to| {
            rustix::fs::renameat_with(
                rustix::fs::CWD,
                from,
                rustix::fs::CWD,
                to,
                rustix::fs::RenameFlags::NOREPLACE,
            )
        })
    }

    /// Puts this one in the place of the one that is there.
    pub fn replace(&self, path: &Path) -> Result<(), KeystoreError> {
        self.write(path, |from, to| rustix::fs::rename(from, to))
    }

    fn write(
        &self,
        path: &Path,
        rename: impl FnOnce(&Path, &Path) -> rustix::io::Result<()>,
    ) -> Result<(), KeystoreError> {
        let mut name = path.as_os_str().to_owned();
        name.push(".new");
        let new = PathBuf::from(name);
        let io = |action: &'static str, path: &Path| {
            let path = path.display().to_string();
            move |source: io::Error| KeystoreError::Io {
                action,
                path,
                source,
            }
        };
        let mut file = std::fs::File::options()
            .write(true)
            .create_new(true)
            .mode(FILE_MODE)
            .open(&new)
            .map_err(io("create", &new))?;
        let written = file
            .write_all(self.text().as_bytes())
            .and_then(|()| file.sync_all())
            .map_err(io("write", &new))
            .and_then(|()| {
                rename(&new, path).map_err(|error| match error {
                    rustix::io::Errno::EXIST => exists(path),
                    error => io("create", path)(error.into()),
                })
            });
        if written.is_err() {
            // What is sealed is worth nothing to others, and nothing is to be left behind; the first error is what matters.
            let _ = std::fs::remove_file(&new);
            return written;
        }
        let folder = path
            .parent()
            .filter(|folder| !folder.as_os_str().is_empty());
        let folder = folder.unwrap_or(Path::new("."));
        std::fs::File::open(folder)
            .and_then(|folder| folder.sync_all())
            .map_err(io("sync the folder of", path))
    }

    fn text(&self) -> String {
        let written = Written {
            format: FORMAT.to_owned(),
            version: VERSION,
            address: self.address(),
            public_key: self.public_key_hex(),
            family: self.family.to_string(),
            kdf: WrittenKdf {
                name: KDF.to_owned(),
                memory_kib: self.cost.memory_kib,
                passes: self.cost.passes,
                lanes: self.cost.lanes,
                salt: hex::encode(self.salt),
            },
            cipher: CIPHER.to_owned(),
            nonce: hex::encode(self.nonce),
            sealed: hex::encode(&self.sealed),
        };
        let text = serde_json::to_string_pretty(&written);
        text.expect("strings and numbers have a form in JSON") + "\n"
    }
}

fn exists(path: &Path) -> KeystoreError {
    KeystoreError::Exists {
        path: path.display().to_string(),
    }
}

fn unsupported(field: &'static str, value: &str, expected: &str) -> KeystoreError {
    KeystoreError::Unsupported {
        field,
        value: value.chars().take(64).collect(),
        expected: expected.to_owned(),
    }
}

fn expect(field: &'static str, value: &str, expected: &str) -> Result<(), KeystoreError> {
    if value == expected {
        Ok(())
    } else {
        Err(unsupported(field, value, expected))
    }
}

fn within(
    field: &'static str,
    value: u32,
    range: std::ops::RangeInclusive<u32>,
) -> Result<u32, KeystoreError> {
    if range.contains(&value) {
        return Ok(value);
    }
    let expected = format!("{} to {}", range.start(), range.end());
    Err(unsupported(field, &value.to_string(), &expected))
}

fn bytes<const N: usize>(field: &'static str, text: &str) -> Result<[u8; N], KeystoreError> {
    let mut bytes = [0; N];
    hex::decode_to_slice(text, &mut bytes)
        .map_err(|_| KeystoreError::Unreadable(format!("{field} is not {} hex digits", 2 * N)))?;
    Ok(bytes)
}

#[cfg(test)]
mod tests;
