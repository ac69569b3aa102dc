//! What is written beside a copy: whose it is, how far it is, and how its bytes are told from others.
//!
//! Owns: the form of the file `….manifest.json`. May not: read the copy.

use std::io::{self, Read};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::clock::Millis;
use crate::store::copy::CopyFacts;

/// What a manifest's name adds to its copy's.
pub const MANIFEST_SUFFIX: &str = ".manifest.json";

/// The form that this version writes, and the newest that it reads.
const FORM: u32 = 1;

/// Largest manifest; a good one has half a KiB.
const BYTES_MAX: u64 = 16 * 1024;

/// What is known of a copy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// Form of this file.
    pub form: u32,
    /// Name of the copy, in the same folder.
    pub file: String,
    /// Its length.
    pub bytes: u64,
    /// SHA-256 of it, hexadecimal.
    pub sha256: String,
    /// When it was made, RFC 3339.
    pub made_at: String,
    /// The same in seconds since 1970.
    pub made_at_unix: u64,
    /// Version of the program that made it.
    pub made_by: String,
    /// Identity of the store, hexadecimal.
    pub store_id: String,
    /// Its wallet.
    pub account: String,
    /// Its network.
    pub network_id: u32,
    /// The generation that wrote it.
    pub epoch: u64,
    /// Version of its schema.
    pub schema_version: i64,
    /// The last ledger that it had reconciled.
    pub reconciled_ledger_index: Option<u32>,
    /// Its hash.
    pub reconciled_ledger_hash: Option<String>,
    /// Height of the signer's journal as the store knew it.
    pub journal_height: u64,
}

/// A manifest that says nothing.
#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    /// The file.
    #[error("{path}: {source}; a copy without its manifest is not known to be whole")]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Not a manifest.
    #[error("{path} is no manifest: {why}")]
    Content {
        /// The file.
        path: PathBuf,
        /// Why.
        why: String,
    },
}

impl Manifest {
    pub(super) fn of(
        facts: &CopyFacts,
        file: &Path,
        bytes: u64,
        sha256: String,
        now: Millis,
    ) -> Self {
        let name = file.file_name().unwrap_or_default();
        Self {
            form: FORM,
            file: name.to_string_lossy().into_owned(),
            bytes,
            sha256,
            made_at: now.timestamp().to_string(),
            made_at_unix: now.since(Millis::ZERO).as_secs(),
            made_by: env!("CARGO_PKG_VERSION").to_owned(),
            store_id: hex::encode(facts.store_id),
            account: facts.account.to_address(),
            network_id: facts.network_id,
            epoch: facts.epoch,
            schema_version: facts.schema,
            reconciled_ledger_index: facts.reconciled.map(|ledger| ledger.index.0),
            reconciled_ledger_hash: facts.reconciled.map(|ledger| ledger.hash.to_string()),
            journal_height: facts.journal_height,
        }
    }

    /// Reads one.
    pub fn read(path: &Path) -> Result<Manifest, ManifestError> {
        let failed = |source| ManifestError::Io {
            path: path.to_owned(),
            source,
        };
        let wrong = |why: String| ManifestError::Content {
            path: path.to_owned(),
            why,
        };
        let mut text = String::new();
        std::fs::File::open(path)
            .and_then(|file| file.take(BYTES_MAX).read_to_string(&mut text))
            .map_err(failed)?;
        let manifest: Manifest =
            serde_json::from_str(&text).map_err(|why| wrong(why.to_string()))?;
        if manifest.form != FORM {
            return Err(wrong(format!(
                "form {}, this version reads {FORM}",
                manifest.form
            )));
        }
        if Path::new(&manifest.file).file_name() != Some(manifest.file.as_ref()) {
            return Err(wrong(format!("file {:?} is not a name", manifest.file)));
        }
        Ok(manifest)
    }

    pub(super) fn text(&self) -> String {
        let text = serde_json::to_string_pretty(self).expect("names and numbers have a JSON form");
        text + "\n"
    }
}

/// Where a copy's manifest is.
pub(super) fn path_of(file: &Path) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(MANIFEST_SUFFIX);
    PathBuf::from(name)
}
