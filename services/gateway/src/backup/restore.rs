//! Looking at a copy, and putting it in the place of a lost database.
//!
//! Owns: every reason not to put it back, and the order of the steps. May not: overwrite or delete a database; what is in the way is renamed,
//! if a person says so.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use xrpl_tx::AccountId;

use super::manifest::{self, Manifest, ManifestError};
use super::{CHUNK_BYTES, hash, new_file, sync_folder};
use crate::clock;
use crate::config::Config;
use crate::store::OpenError;
use crate::store::copy::{self, CopyError, CopyFacts};

/// What SQLite keeps beside a database. Whatever is in the way goes in this order: a log alone is thrown away by the next start, a
/// database without its log would lack its last payments.
const PARTS: [&str; 3] = ["", "-wal", "-shm"];

/// A copy that agrees with its manifest, is whole, and is of the configured wallet.
#[derive(Debug)]
pub struct Verified {
    /// The copy.
    pub file: PathBuf,
    /// What is written beside it.
    pub manifest: Manifest,
    /// What it says itself.
    pub facts: CopyFacts,
}

/// What was done.
#[derive(Debug)]
pub struct PutBack {
    /// The database, as it is now.
    pub store: PathBuf,
    /// What was in the way, and is now under these names.
    pub moved_aside: Vec<PathBuf>,
}

/// A copy that is not put back.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    /// Its manifest.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// The copy.
    #[error(transparent)]
    Copy(#[from] CopyError),
    /// A file.
    #[error("{path}: {source}")]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Other bytes than were written.
    #[error(
        "{path} is not what was backed up: it has {bytes} bytes and SHA-256 {sha256}, its manifest says {want_bytes} and {want}"
    )]
    OtherBytes {
        /// The copy.
        path: PathBuf,
        /// Its length.
        bytes: u64,
        /// Its hash.
        sha256: String,
        /// The manifest's length.
        want_bytes: u64,
        /// The manifest's hash.
        want: String,
    },
    /// The manifest speaks of another store than the copy.
    #[error("{path} does not fit its manifest: {what}")]
    OtherStory {
        /// The copy.
        path: PathBuf,
        /// What differs.
        what: &'static str,
    },
    /// It is of another wallet.
    #[error(
        "{path} serves {have} on network {have_network}, the configuration says {want} on network {want_network}"
    )]
    OtherWallet {
        /// The copy.
        path: PathBuf,
        /// Its account.
        have: AccountId,
        /// Its network.
        have_network: u32,
        /// The configured account.
        want: AccountId,
        /// The configured network.
        want_network: u32,
    },
    /// A gateway runs on the store.
    #[error("{0}; stop it first")]
    Held(OpenError),
    /// There is a database, or what is left of one.
    #[error("{0} is there: nothing is overwritten; --move-aside renames it, with its log")]
    InTheWay(PathBuf),
}

/// Compares a copy with its manifest, lets SQLite read every page, and compares its wallet with the configured one.
pub fn verify(file: &Path, config: Option<&Config>) -> Result<Verified, RestoreError> {
    let manifest = Manifest::read(&manifest::path_of(file))?;
    let (sha256, bytes) = File::open(file)
        .and_then(hash)
        .map_err(|source| io_of(file, source))?;
    same_bytes(file, &manifest, sha256, bytes)?;
    let facts = copy::examine(file)?;
    let path = || file.to_owned();
    let differs = [
        (hex::encode(facts.store_id) != manifest.store_id, "store_id"),
        (facts.account.to_address() != manifest.account, "account"),
        (facts.network_id != manifest.network_id, "network_id"),
        (facts.schema != manifest.schema_version, "schema_version"),
    ];
    if let Some((_, what)) = differs.into_iter().find(|(differs, _)| *differs) {
        return Err(RestoreError::OtherStory { path: path(), what });
    }
    if let Some(wallet) = config.map(|config| &config.wallet)
        && (facts.account, facts.network_id) != (wallet.address.0, wallet.network_id)
    {
        return Err(RestoreError::OtherWallet {
            path: path(),
            have: facts.account,
            have_network: facts.network_id,
            want: wallet.address.0,
            want_network: wallet.network_id,
        });
    }
    Ok(Verified {
        file: path(),
        manifest,
        facts,
    })
}

/// Puts a verified copy in place. The lock is held from before the first look at the place until the copy is on the disk.
pub fn put_back(
    verified: &Verified,
    config: &Config,
    move_aside: bool,
) -> Result<PutBack, RestoreError> {
    let store = &config.store.path;
    let _lock = copy::hold(store).map_err(RestoreError::Held)?;
    let fresh = with(store, ".restoring");
    // Left behind by a restore that was cut off; nobody else makes this name, and the lock is ours.
    match std::fs::remove_file(&fresh) {
        Err(source) if source.kind() != io::ErrorKind::NotFound => {
            return Err(io_of(&fresh, source));
        }
        _ => {}
    }
    let in_the_way = PARTS.map(|part| with(store, part)).into_iter();
    let in_the_way: Vec<PathBuf> = in_the_way
        .filter(|path| path.symlink_metadata().is_ok())
        .collect();
    if let Some(first) = in_the_way.first().filter(|_| !move_aside) {
        return Err(RestoreError::InTheWay(first.clone()));
    }
    // Copied and compared before anything is moved: a full disk changes nothing.
    let (sha256, bytes) = write(&verified.file, &fresh).map_err(|source| io_of(&fresh, source))?;
    same_bytes(&fresh, &verified.manifest, sha256, bytes)?;
    let moved_aside = set_aside(store, &in_the_way)?;
    std::fs::rename(&fresh, store)
        .and_then(|()| sync_folder(store))
        .map_err(|source| io_of(store, source))?;
    Ok(PutBack {
        store: store.clone(),
        moved_aside,
    })
}

fn same_bytes(
    file: &Path,
    manifest: &Manifest,
    sha256: String,
    bytes: u64,
) -> Result<(), RestoreError> {
    match (bytes, &sha256) == (manifest.bytes, &manifest.sha256) {
        true => Ok(()),
        false => Err(RestoreError::OtherBytes {
            path: file.to_owned(),
            bytes,
            sha256,
            want_bytes: manifest.bytes,
            want: manifest.sha256.clone(),
        }),
    }
}

fn write(from: &Path, to: &Path) -> io::Result<(String, u64)> {
    let (mut from, mut into) = (File::open(from)?, new_file(to)?);
    let mut chunk = vec![0; CHUNK_BYTES];
    loop {
        let read = from.read(&mut chunk)?;
        if read == 0 {
            break;
        }
        into.write_all(&chunk[..read])?;
    }
    into.sync_all()?;
    hash(File::open(to)?)
}

/// Renames what is in the way, so that it can still be opened: the log keeps the name that belongs to its database.
fn set_aside(store: &Path, in_the_way: &[PathBuf]) -> Result<Vec<PathBuf>, RestoreError> {
    let aside = with(store, &format!(".before-{}", clock::now().0));
    let mut moved = Vec::new();
    for part in PARTS {
        let (from, to) = (with(store, part), with(&aside, part));
        if !in_the_way.contains(&from) {
            continue;
        }
        std::fs::rename(&from, &to).map_err(|source| io_of(&from, source))?;
        sync_folder(store).map_err(|source| io_of(store, source))?;
        moved.push(to);
    }
    Ok(moved)
}

fn with(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

fn io_of(path: &Path, source: io::Error) -> RestoreError {
    RestoreError::Io {
        path: path.to_owned(),
        source,
    }
}
