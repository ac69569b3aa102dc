//! `paygate backup` and `paygate restore`: copies of the database, made while the gateway works, and put back when it is lost.
//!
//! Owns: files, manifests, and what is said of them. May not: decide what a start with an older database does; the engine compares it with
//! journal and ledger, and its quarantine lets nothing be paid twice. Nor write into a database.
//!
//! A copy counts only with its manifest, which is written last: whatever a crash leaves behind has none.
//!
//! # Layout
//! - here: making a copy, and finding the newest one
//! - `manifest`: what is written beside a copy
//! - `restore`: verifying a copy, putting it in place
//! - `report`: what a person is told
//! - `command`: the command line

mod command;
mod manifest;
mod report;
mod restore;

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use ring::digest::{Context, SHA256};
use xrpl_tx::AccountId;

use crate::clock;
use crate::config::Config;
use crate::store::copy::{self, CopyError};

pub use command::{BackupArgs, RestoreArgs, backup, restore};
pub use manifest::{MANIFEST_SUFFIX, Manifest, ManifestError};
pub use restore::{PutBack, RestoreError, Verified, put_back, verify};

/// Amounts and destinations are the gateway's own user's to read.
const FILE_MODE: u32 = 0o600;
/// Likewise for the folder.
const DIR_MODE: u32 = 0o700;

/// Read at once while a file is hashed or copied.
const CHUNK_BYTES: usize = 256 * 1024;

/// Files of a folder that are looked at for the newest backup: hourly copies of a year.
const FILES_MAX: usize = 10_000;

/// A backup that was not made.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// Nobody said where to.
    #[error("--to is needed: backup.dir is not configured")]
    NoPlace,
    /// The database.
    #[error(transparent)]
    Copy(#[from] CopyError),
    /// A file of the copy. One that is there already is never overwritten.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The configuration is of another wallet.
    #[error(
        "the store at {path} serves {have} on network {have_network}, the configuration says {want} on network {want_network}"
    )]
    OtherWallet {
        /// The store.
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
}

/// Makes a copy of the configured store and its manifest, on the disk when this returns. `to` is a folder or the new file.
pub fn make(config: &Config, to: Option<&Path>) -> Result<(PathBuf, Manifest), BackupError> {
    let now = clock::now();
    let named = || name(&now.timestamp().to_string());
    let file = match (to, config.backup.dir.as_deref()) {
        (Some(to), _) if to.is_dir() => to.join(named()),
        (Some(to), _) => to.to_owned(),
        // A folder by its meaning, also the first time: a copy in its place would be in the way of every later one.
        (None, Some(folder)) => {
            let made = DirBuilder::new()
                .recursive(true)
                .mode(DIR_MODE)
                .create(folder);
            made.map_err(|source| failed(folder, source))?;
            folder.join(named())
        }
        (None, None) => return Err(BackupError::NoPlace),
    };
    claim(&file)?;
    let made = fill(config, &file, now);
    if made.is_err() {
        // Ours, and of no use to anybody.
        let _ = std::fs::remove_file(&file);
    }
    made.map(|manifest| (file, manifest))
}

fn fill(config: &Config, file: &Path, now: clock::Millis) -> Result<Manifest, BackupError> {
    copy::copy(&config.store.path, file)?;
    let io = |source| failed(file, source);
    let (sha256, bytes) = File::open(file)
        .and_then(|opened| {
            opened.sync_all()?;
            hash(opened)
        })
        .map_err(io)?;
    // What cannot be put back is no backup: SQLite reads each page of it once more.
    let facts = copy::examine(file)?;
    let (want, want_network) = (config.wallet.address.0, config.wallet.network_id);
    if (facts.account, facts.network_id) != (want, want_network) {
        return Err(BackupError::OtherWallet {
            path: config.store.path.clone(),
            have: facts.account,
            have_network: facts.network_id,
            want,
            want_network,
        });
    }
    let manifest = Manifest::of(&facts, file, bytes, sha256, now);
    let beside = manifest::path_of(file);
    let written = new_file(&beside).and_then(|mut opened| {
        opened.write_all(manifest.text().as_bytes())?;
        opened.sync_all()
    });
    written
        .and_then(|()| sync_folder(file))
        .map_err(|source| failed(&beside, source))?;
    Ok(manifest)
}

/// When the newest whole backup of this wallet in a folder was made, in seconds since 1970. `None`: there is none.
#[must_use]
pub fn newest(folder: &Path, account: AccountId, network_id: u32) -> Option<(PathBuf, Manifest)> {
    let entries = std::fs::read_dir(folder).ok()?.take(FILES_MAX);
    let of_wallet = |manifest: &Manifest| {
        (manifest.account.as_str(), manifest.network_id)
            == (account.to_address().as_str(), network_id)
    };
    entries
        .filter_map(Result::ok)
        .map(|entry| entry.path())
        .filter(|path| path.to_string_lossy().ends_with(MANIFEST_SUFFIX))
        .filter_map(|path| {
            let manifest = Manifest::read(&path).ok().filter(of_wallet)?;
            let file = path.with_file_name(&manifest.file);
            // A file that was cut off or deleted is none; its hash is looked at before it is put back.
            let bytes = std::fs::metadata(&file).ok()?.len();
            (bytes == manifest.bytes).then_some((file, manifest))
        })
        .max_by_key(|(_, manifest)| manifest.made_at_unix)
}

/// `paygate-20261123T231600Z.db` of `2026-11-23T23:16:00.123Z`.
fn name(timestamp: &str) -> String {
    let (seconds, _) = timestamp.split_once(['.', 'Z']).unwrap_or((timestamp, ""));
    let stamp: String = seconds
        .chars()
        .filter(|c| !matches!(c, '-' | ':'))
        .collect();
    format!("paygate-{stamp}Z.db")
}

/// Makes the empty file that the copy goes into, so that nobody else's is ever overwritten.
fn claim(file: &Path) -> Result<(), BackupError> {
    let manifest = manifest::path_of(file);
    if manifest.exists() {
        return Err(failed(&manifest, io::ErrorKind::AlreadyExists.into()));
    }
    new_file(file)
        .map(drop)
        .map_err(|source| failed(file, source))
}

fn new_file(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options
        .write(true)
        .create_new(true)
        .mode(FILE_MODE)
        .open(path)
}

/// SHA-256 in hexadecimal digits, and the length.
fn hash(mut file: impl Read) -> io::Result<(String, u64)> {
    let (mut context, mut bytes) = (Context::new(&SHA256), 0);
    let mut chunk = vec![0; CHUNK_BYTES];
    loop {
        let read = file.read(&mut chunk)?;
        if read == 0 {
            return Ok((hex::encode(context.finish()), bytes));
        }
        context.update(&chunk[..read]);
        bytes += u64::try_from(read).unwrap_or(u64::MAX);
    }
}

/// A file that was just made is there after a power cut only if its folder was synced too.
fn sync_folder(of: &Path) -> io::Result<()> {
    let folder = of.parent().filter(|folder| !folder.as_os_str().is_empty());
    File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}

fn failed(path: &Path, source: io::Error) -> BackupError {
    BackupError::Io {
        path: path.to_owned(),
        source,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_named_after_the_second_in_which_it_was_made() {
        assert_eq!(
            name("2026-11-23T23:16:00.123Z"),
            "paygate-20261123T231600Z.db"
        );
        assert_eq!(name("2026-11-23T23:16:00Z"), "paygate-20261123T231600Z.db");
    }
}
