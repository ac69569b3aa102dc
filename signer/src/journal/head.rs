//! The `HEAD` file: how far the journal reached when the last signature left. Owns its bytes and its replacement.
//!
//! It is small, replaced whole and never edited, so that after any crash it is either the old one or the new one.

use std::io;

use super::disk::{Disk, Opening};
use super::frame::checksum;

/// Name of the file in the journal's directory.
pub const HEAD_FILE: &str = "HEAD";

const HEAD_NEW_FILE: &str = "HEAD.new";
const HEAD_MAGIC: &[u8; 8] = b"PAYGATEH";
const HEAD_BYTES: usize = 60;
const CONTENT_BYTES: usize = HEAD_BYTES - 8;

/// The journal's end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// Number of frames.
    pub height: u64,
    /// Hash of the last frame, or of the file's header if there is none.
    pub hash: [u8; 32],
    /// The highest LastLedgerSequence in any frame.
    pub highest_last_ledger_sequence: u32,
}

/// Why `HEAD` cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum HeadError {
    /// The file system says no.
    #[error("cannot be read: {0}")]
    Io(#[from] io::Error),
    /// It is not what this program writes.
    #[error("is damaged")]
    Damaged,
}

impl Head {
    /// The file's bytes.
    fn encode(&self) -> [u8; HEAD_BYTES] {
        let mut bytes = [0; HEAD_BYTES];
        bytes[..8].copy_from_slice(HEAD_MAGIC);
        bytes[8..16].copy_from_slice(&self.height.to_be_bytes());
        bytes[16..48].copy_from_slice(&self.hash);
        bytes[48..52].copy_from_slice(&self.highest_last_ledger_sequence.to_be_bytes());
        let sum = checksum(&bytes[..CONTENT_BYTES]);
        bytes[CONTENT_BYTES..].copy_from_slice(&sum);
        bytes
    }

    fn decode(bytes: &[u8; HEAD_BYTES]) -> Result<Head, HeadError> {
        if &bytes[..8] != HEAD_MAGIC || checksum(&bytes[..CONTENT_BYTES]) != bytes[CONTENT_BYTES..]
        {
            return Err(HeadError::Damaged);
        }
        let mut height = [0; 8];
        height.copy_from_slice(&bytes[8..16]);
        let mut hash = [0; 32];
        hash.copy_from_slice(&bytes[16..48]);
        let mut highest = [0; 4];
        highest.copy_from_slice(&bytes[48..52]);
        Ok(Head {
            height: u64::from_be_bytes(height),
            hash,
            highest_last_ledger_sequence: u32::from_be_bytes(highest),
        })
    }

    /// Reads `HEAD`; none if there is no such file.
    pub fn read(disk: &dyn Disk) -> Result<Option<Head>, HeadError> {
        let file = match disk.open(HEAD_FILE, Opening::Existing) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        if file.length()? != HEAD_BYTES as u64 {
            return Err(HeadError::Damaged);
        }
        let mut bytes = [0; HEAD_BYTES];
        file.read_exact_at(&mut bytes, 0)?;
        Head::decode(&bytes).map(Some)
    }

    /// Replaces `HEAD` durably.
    ///
    /// The new bytes are synced before the rename, else a crash may leave the new name with no content; the directory is
    /// synced after it, else a crash may bring the old `HEAD` back, below a signature that has left.
    pub fn replace(&self, disk: &dyn Disk) -> io::Result<()> {
        let file = disk.open(HEAD_NEW_FILE, Opening::Emptied)?;
        file.write_all_at(&self.encode(), 0)?;
        if !xrpl_tx::mutant!("head-not-synced") {
            file.sync_all()?;
        }
        disk.rename(HEAD_NEW_FILE, HEAD_FILE)?;
        disk.sync_directory()
    }
}
