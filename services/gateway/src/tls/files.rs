//! Reading the files of TLS and of tokens, and noticing that they changed.
//!
//! Owns: what a file must look like to be believed. May not: put what it holds into an error.

use std::fs::{File, Metadata};
use std::io::{self, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer};

use super::der;

/// Largest file: a revocation list of a hundred thousand certificates, or ten thousand tokens.
const FILE_BYTES_MAX: u64 = 8 * 1024 * 1024;

/// Bits of a mode that let others than the owner do anything.
const OTHERS: u32 = 0o077;

/// Bits that let them write.
const OTHERS_WRITE: u32 = 0o022;

/// A file that is not used.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// None is named.
    #[error("no file is named")]
    Unset,
    /// The system says no.
    #[error("cannot read {path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Larger than any good one.
    #[error("{path} has {bytes} bytes, more than {FILE_BYTES_MAX}")]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// Its length.
        bytes: u64,
    },
    /// Others can read a secret.
    #[error("{path} has mode {mode:04o}: a key must be its owner's alone, 0400 or 0600")]
    NotPrivate {
        /// The file.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// Others can write what decides who is let in.
    #[error("{path} has mode {mode:04o}: others than its owner may write it")]
    Writable {
        /// The file.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// Somebody else's.
    #[error("{path} belongs to uid {owner}, neither to this process's {own} nor to root")]
    NotOwned {
        /// The file.
        path: PathBuf,
        /// Whose.
        owner: u32,
        /// Who we are.
        own: u32,
    },
    /// Not what it should be.
    #[error("{path} holds no {what}")]
    Content {
        /// The file.
        path: PathBuf,
        /// What was looked for.
        what: &'static str,
    },
}

/// Certificates of a PEM file, at least one, each of which can be read.
pub(super) fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, FileError> {
    let what = "PEM certificate that can be read";
    let found: Vec<CertificateDer<'static>> = sections(path, &read(path, |_| Ok(()))?, what)?;
    match found.iter().all(|one| der::not_after(one).is_some()) {
        true => Ok(found),
        false => Err(content(path, what)),
    }
}

/// Revocation lists of a PEM file, at least one.
pub(super) fn revocation_lists(
    path: &Path,
) -> Result<Vec<CertificateRevocationListDer<'static>>, FileError> {
    sections(path, &read(path, |_| Ok(()))?, "PEM revocation list")
}

/// The key of a PEM file that its owner alone can read.
pub(super) fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, FileError> {
    let text = read(path, |metadata| {
        owned(path, metadata)?;
        let mode = metadata.mode() & 0o7777;
        match mode & OTHERS {
            0 => Ok(()),
            _ => Err(FileError::NotPrivate {
                path: path.to_owned(),
                mode,
            }),
        }
    })?;
    PrivateKeyDer::from_pem_slice(&text).map_err(|_| content(path, "PEM private key"))
}

/// A file that decides who is let in: everybody may know it, its owner alone may change it.
pub fn read_unwritable(path: &Path) -> Result<Vec<u8>, FileError> {
    read(path, |metadata| {
        owned(path, metadata)?;
        let mode = metadata.mode() & 0o7777;
        match mode & OTHERS_WRITE {
            0 => Ok(()),
            _ => Err(FileError::Writable {
                path: path.to_owned(),
                mode,
            }),
        }
    })
}

/// The earliest end of certificates that [`certificates`] has read.
pub(super) fn earliest_end(certificates: &[CertificateDer<'static>]) -> u64 {
    let ends = certificates.iter().filter_map(|one| der::not_after(one));
    ends.min().unwrap_or(0)
}

/// The earliest time at which one of the lists should have been replaced.
pub(super) fn earliest_update(lists: &[CertificateRevocationListDer<'static>]) -> Option<u64> {
    lists.iter().filter_map(|one| der::next_update(one)).min()
}

fn sections<T: rustls::pki_types::pem::PemObject>(
    path: &Path,
    text: &[u8],
    what: &'static str,
) -> Result<Vec<T>, FileError> {
    let found: Result<Vec<T>, _> = T::pem_slice_iter(text).collect();
    match found {
        Ok(found) if !found.is_empty() => Ok(found),
        _ => Err(content(path, what)),
    }
}

fn content(path: &Path, what: &'static str) -> FileError {
    FileError::Content {
        path: path.to_owned(),
        what,
    }
}

fn owned(path: &Path, metadata: &Metadata) -> Result<(), FileError> {
    let own = rustix::process::geteuid().as_raw();
    let owner = metadata.uid();
    match owner == own || owner == 0 {
        true => Ok(()),
        false => Err(FileError::NotOwned {
            path: path.to_owned(),
            owner,
            own,
        }),
    }
}

/// The whole file, after `check` has seen the opened one: it cannot be exchanged in between.
fn read(
    path: &Path,
    check: impl FnOnce(&Metadata) -> Result<(), FileError>,
) -> Result<Vec<u8>, FileError> {
    let failed = |source| FileError::Io {
        path: path.to_owned(),
        source,
    };
    let file = File::open(path).map_err(failed)?;
    let metadata = file.metadata().map_err(failed)?;
    check(&metadata)?;
    let mut text = Vec::new();
    file.take(FILE_BYTES_MAX + 1)
        .read_to_end(&mut text)
        .map_err(failed)?;
    let bytes = u64::try_from(text.len()).unwrap_or(u64::MAX);
    match bytes > FILE_BYTES_MAX {
        true => Err(FileError::TooLarge {
            path: path.to_owned(),
            bytes,
        }),
        false => Ok(text),
    }
}

/// Files, and how they looked when they were read last.
#[derive(Debug)]
pub struct Stamps {
    paths: Vec<PathBuf>,
    seen: Mutex<Vec<Option<Stamp>>>,
}

/// What changes when a file is replaced or written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    device: u64,
    inode: u64,
    bytes: u64,
    modified: (i64, i64),
}

impl Stamps {
    /// As they look now. Taken before they are read, so that a change in between is noticed later.
    #[must_use]
    pub fn of(paths: Vec<PathBuf>) -> Stamps {
        let seen = Mutex::new(look(&paths));
        Stamps { paths, seen }
    }

    /// Whether one looks other than when this was asked last.
    #[must_use]
    pub fn changed(&self) -> bool {
        let now = look(&self.paths);
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let changed = *seen != now;
        *seen = now;
        changed
    }
}

fn look(paths: &[PathBuf]) -> Vec<Option<Stamp>> {
    let stamp = |path: &PathBuf| {
        let metadata = std::fs::metadata(path).ok()?;
        Some(Stamp {
            device: metadata.dev(),
            inode: metadata.ino(),
            bytes: metadata.size(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
        })
    };
    paths.iter().map(stamp).collect()
}
