//! The seed: its file, its written form, its family. Owns the checks that the file is private.
//!
//! The file is opened before the process confines itself and read after, so that the handle is all that is left of it.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use xrpl_tx::sha256;
use zeroize::Zeroizing;

/// Longest seed file: a seed of 31 characters, a line's end, and room for a habit of blank lines.
const SEED_FILE_BYTES_MAX: usize = 128;

/// Characters of a written seed.
const SEED_CHARACTERS_MAX: usize = 31;
const SEED_CHARACTERS_MIN: usize = 25;

const ENTROPY_BYTES: usize = 16;
const CHECKSUM_BYTES: usize = 4;

/// Prefix of a seed of the older family, written `s...`.
const PREFIX_SECP256K1: &[u8] = &[0x21];

/// Prefix of an ed25519 seed, written `sEd...`.
const PREFIX_ED25519: &[u8] = &[0x01, 0xE1, 0x4B];

const ALPHABET: &[u8; 58] = b"rpshnaf39wBUDNEGHJKLM4PQRST7VWXYZ2bcdeCg65jkm8oFqi1tuvAxyz";

/// `O_NOFOLLOW` and `O_NONBLOCK`: a link or a pipe in the file's place is an error, not a detour or a wait.
const OPEN_FLAGS: rustix::fs::OFlags =
    rustix::fs::OFlags::NOFOLLOW.union(rustix::fs::OFlags::NONBLOCK);

/// Why there is no seed. Says nothing of what the file holds.
#[derive(Debug, thiserror::Error)]
pub enum SeedError {
    /// The file system says no.
    #[error("cannot {what} seed file {path}: {source}")]
    Io {
        /// What was tried.
        what: &'static str,
        /// The file.
        path: String,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// Others may read it.
    #[error("seed file {path} has mode {mode:04o}: allow only 0400 or 0600")]
    NotPrivate {
        /// The file.
        path: String,
        /// Its mode.
        mode: u32,
    },
    /// It is somebody else's.
    #[error("seed file {path} belongs to uid {owner}, the signer runs as {own}")]
    NotOwned {
        /// The file.
        path: String,
        /// Its owner.
        owner: u32,
        /// Who we are.
        own: u32,
    },
    /// It is a directory, a device, a pipe.
    #[error("seed file {path} is no regular file")]
    NotAFile {
        /// The file.
        path: String,
    },
    /// It is too long.
    #[error("seed file has more than {SEED_FILE_BYTES_MAX} bytes")]
    TooLong,
    /// What it holds is no seed.
    #[error("seed file holds no seed: {0}")]
    NoSeed(&'static str),
}

/// How a key follows from a seed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// `sEd...`
    Ed25519,
    /// `s...`
    Secp256k1,
}

/// An opened seed file, checked but not read.
#[derive(Debug)]
pub struct SeedFile {
    file: File,
    path: String,
}

/// Sixteen secret bytes and their family. Overwritten on drop.
pub struct Seed {
    entropy: Zeroizing<[u8; ENTROPY_BYTES]>,
    family: Family,
}

// === impl SeedFile ===

impl SeedFile {
    /// Opens the file and refuses it unless it is this user's alone.
    pub fn open(path: &Path) -> Result<SeedFile, SeedError> {
        let text = path.display().to_string();
        let io = |what| {
            let path = text.clone();
            move |source| SeedError::Io { what, path, source }
        };
        let file = File::options()
            .read(true)
            .custom_flags(OPEN_FLAGS.bits().cast_signed())
            .open(path)
            .map_err(io("open"))?;
        // Of the opened file, not of the path: it cannot be exchanged in between.
        let metadata = file.metadata().map_err(io("inspect"))?;
        if !metadata.is_file() {
            return Err(SeedError::NotAFile { path: text });
        }
        let mode = metadata.mode() & 0o7777;
        if mode != 0o400 && mode != 0o600 {
            return Err(SeedError::NotPrivate { path: text, mode });
        }
        let own = rustix::process::geteuid().as_raw();
        if metadata.uid() != own {
            return Err(SeedError::NotOwned {
                path: text,
                owner: metadata.uid(),
                own,
            });
        }
        Ok(SeedFile { file, path: text })
    }

    /// Reads the seed and closes the file.
    pub fn read(self) -> Result<Seed, SeedError> {
        let mut text = Zeroizing::new([0u8; SEED_FILE_BYTES_MAX + 1]);
        let mut length = 0;
        // By hand into one buffer: a growing one would leave copies behind.
        while length < text.len() {
            let read = (&self.file).read(&mut text[length..]);
            match read {
                Ok(0) => break,
                Ok(read) => length += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(source) => {
                    return Err(SeedError::Io {
                        what: "read",
                        path: self.path,
                        source,
                    });
                }
            }
        }
        if length > SEED_FILE_BYTES_MAX {
            return Err(SeedError::TooLong);
        }
        Seed::parse(text[..length].trim_ascii())
    }
}

// === impl Seed ===

impl Seed {
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
