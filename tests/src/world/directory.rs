//! The directory of a world: temporary, or kept so that a later run goes on with the same wallet and ledger.
//!
//! Owns: its layout and the modes of its files.
//!
//! ```text
//! ledger/    what the simulated ledger has validated      gateway/   configuration and store
//! signer/    configuration and journal                    secrets/   the seed, 0600
//! run/       the signer's socket, 0750                    logs/      what the processes said
//! backups/   copies of the store
//! ```

use std::fs::{self, DirBuilder, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tempfile::TempDir;

use super::WorldError;
use super::config::Anchor;
use super::wallet::Wallet;

/// Folders and their modes. The signer refuses a socket's directory that others may enter.
const FOLDERS: [(&str, u32); 8] = [
    ("ledger", 0o700),
    ("signer", 0o700),
    ("signer/journal", 0o700),
    ("gateway", 0o700),
    ("backups", 0o700),
    ("secrets", 0o700),
    ("run", 0o750),
    ("logs", 0o700),
];

const SEED_FILE: &str = "secrets/wallet.seed";
const ANCHOR_FILE: &str = "anchor.json";

/// Where the files are.
pub(super) struct Directory {
    path: PathBuf,
    temporary: Option<TempDir>,
}

impl Directory {
    /// Makes the folders, in a place of its own unless one is named.
    pub(super) fn open(named: Option<&Path>) -> Result<Directory, WorldError> {
        let files = |path: &Path, source| WorldError::Files {
            path: path.to_owned(),
            source,
        };
        let directory = match named {
            Some(path) => {
                fs::create_dir_all(path).map_err(|source| files(path, source))?;
                let path = path.canonicalize().map_err(|source| files(path, source))?;
                Directory {
                    path,
                    temporary: None,
                }
            }
            None => {
                let made = tempfile::Builder::new().prefix("paygate-").tempdir();
                let temporary = made.map_err(|source| files(&std::env::temp_dir(), source))?;
                Directory {
                    path: temporary.path().to_owned(),
                    temporary: Some(temporary),
                }
            }
        };
        for (folder, mode) in FOLDERS {
            let path = directory.path.join(folder);
            make_folder(&path, mode).map_err(|source| files(&path, source))?;
        }
        Ok(directory)
    }

    /// The directory.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Leaves everything where it is.
    pub(super) fn keep(&mut self) -> PathBuf {
        if let Some(temporary) = self.temporary.take() {
            let _ = temporary.keep();
        }
        self.path.clone()
    }

    /// Writes a file, private to this user, anew.
    pub(super) fn write(&self, relative: &str, text: &str) -> Result<PathBuf, WorldError> {
        let path = self.path.join(relative);
        let written = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&path)
            .and_then(|mut file| file.write_all(text.as_bytes()));
        written
            .map(|()| path.clone())
            .map_err(|source| WorldError::Files { path, source })
    }

    /// The wallet of an earlier run, or this one from now on.
    pub(super) fn keep_wallet(&self, fresh: &Wallet) -> Result<Wallet, WorldError> {
        match self.read(SEED_FILE)? {
            Some(seed) => Wallet::from_seed(seed.trim()).map_err(|why| WorldError::Foreign {
                path: self.path.join(SEED_FILE),
                why,
            }),
            None => {
                self.write(SEED_FILE, &format!("{}\n", fresh.seed))?;
                Ok(fresh.clone())
            }
        }
    }

    /// The anchor of an earlier run, or this one from now on: the signer's estimate has to begin when the ledger did.
    pub(super) fn keep_anchor(&self, seen: Anchor) -> Result<Anchor, WorldError> {
        if let Some(text) = self.read(ANCHOR_FILE)? {
            let path = self.path.join(ANCHOR_FILE);
            let stored: Value =
                serde_json::from_str(&text).map_err(|error| WorldError::Foreign {
                    path,
                    why: error.to_string(),
                })?;
            if stored["hash"] == seen.hash.as_str() {
                let unix_seconds = stored["unix_seconds"].as_u64().unwrap_or(seen.unix_seconds);
                return Ok(Anchor {
                    unix_seconds,
                    ..seen
                });
            }
        }
        let stored =
            json!({ "index": seen.index, "hash": seen.hash, "unix_seconds": seen.unix_seconds });
        self.write(ANCHOR_FILE, &format!("{stored}\n"))?;
        Ok(seen)
    }

    fn read(&self, relative: &str) -> Result<Option<String>, WorldError> {
        let path = self.path.join(relative);
        match fs::read_to_string(&path) {
            Ok(text) => Ok(Some(text)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(WorldError::Files { path, source }),
        }
    }
}

fn make_folder(path: &Path, mode: u32) -> io::Result<()> {
    match DirBuilder::new().mode(mode).create(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        made => made?,
    }
    // Again, as the process's umask may have taken bits away.
    fs::set_permissions(path, Permissions::from_mode(mode))
}
