//! The `HEAD` file: how far the journal reached when the last signature left. Owns its bytes and how they change.
//!
//! ```text
//! two slots, 4096 bytes each:  "PAYGATES" | number u64 | height u64 | hash 32 | highest LastLedgerSequence u32 | checksum 8 | 0s
//! ```
//! Numbers are big-endian. Writes are numbered, and write `n` goes to slot `n % 2`: it overwrites the older of the two, in
//! place, and is synced before the next. So a crash can spoil at most the slot that was being written, about which nobody
//! has heard, and the other still says what the last signature that left needs. The slots lie in different pages and
//! blocks, so that no write of one touches the other. Nothing else changes in the file: neither its length nor its name, so that
//! a sync has nothing to write but the slot.
//!
//! Which of the two counts follows from their numbers alone. Slots that no such crash leaves are refused: both damaged, one in
//! the other's place, numbers that do not follow each other. One damaged slot is a torn write only if the
//! journal holds frames beyond the other one, since frames are synced before `HEAD` is written; `open.rs` looks at that.
//!
//! At each start the file is laid anew, under another name that then takes its place: both slots say the same. That also takes in the
//! form in which `HEAD` was before, 60 bytes that were replaced whole.

use std::io;

use super::disk::{Disk, DiskFile, Opening};
use super::frame::checksum;

/// Name of the file in the journal's directory.
pub const HEAD_FILE: &str = "HEAD";

const HEAD_NEW_FILE: &str = "HEAD.new";

/// Distance of the slots: at least a page and a block of the usual file systems and disks.
pub const SLOT_BYTES: usize = 4096;

/// Slots in the file.
const SLOTS: usize = 2;

const FILE_BYTES: usize = SLOTS * SLOT_BYTES;
const CHECKSUM_BYTES: usize = 8;

const SLOT_MAGIC: &[u8; 8] = b"PAYGATES";
const NUMBER_BYTES: usize = 8;

/// Height, hash and highest LastLedgerSequence.
const CONTENT_BYTES: usize = 44;
const SLOT_USED_BYTES: usize = SLOT_MAGIC.len() + NUMBER_BYTES + CONTENT_BYTES + CHECKSUM_BYTES;

const WHOLE_MAGIC: &[u8; 8] = b"PAYGATEH";
const WHOLE_BYTES: usize = WHOLE_MAGIC.len() + CONTENT_BYTES + CHECKSUM_BYTES;

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

/// What `HEAD` said at the start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stored {
    /// The journal's end, as far as signatures have left.
    pub head: Head,
    /// Whether the other slot is damaged. If a crash did that, the journal holds frames beyond this end.
    pub torn: bool,
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

/// `HEAD` in use.
#[derive(Debug)]
pub(super) struct HeadFile {
    file: Box<dyn DiskFile>,
    /// Number of the next write.
    next: u64,
}

// === impl Head ===

impl Head {
    fn encode(&self) -> [u8; CONTENT_BYTES] {
        let mut bytes = [0; CONTENT_BYTES];
        bytes[..8].copy_from_slice(&self.height.to_be_bytes());
        bytes[8..40].copy_from_slice(&self.hash);
        bytes[40..].copy_from_slice(&self.highest_last_ledger_sequence.to_be_bytes());
        bytes
    }

    fn decode(bytes: &[u8; CONTENT_BYTES]) -> Head {
        Head {
            height: u64::from_be_bytes(array(&bytes[..8])),
            hash: array(&bytes[8..40]),
            highest_last_ledger_sequence: u32::from_be_bytes(array(&bytes[40..])),
        }
    }

    /// Reads `HEAD`; none if there is no such file.
    pub fn read(disk: &dyn Disk) -> Result<Option<Stored>, HeadError> {
        let file = match disk.open(HEAD_FILE, Opening::Existing) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let length = file.length()?;
        if length == WHOLE_BYTES as u64 {
            let mut bytes = [0; WHOLE_BYTES];
            file.read_exact_at(&mut bytes, 0)?;
            let content = checked(WHOLE_MAGIC, &bytes).ok_or(HeadError::Damaged)?;
            let head = Head::decode(&array(content));
            return Ok(Some(Stored { head, torn: false }));
        }
        if length != FILE_BYTES as u64 {
            return Err(HeadError::Damaged);
        }
        let mut bytes = vec![0; FILE_BYTES];
        file.read_exact_at(&mut bytes, 0)?;
        let (even, odd) = bytes.split_at(SLOT_BYTES);
        let stored = latest(decode_slot(even, 0)?, decode_slot(odd, 1)?)?;
        Ok(Some(stored))
    }
}

// === impl HeadFile ===

impl HeadFile {
    /// Lays `HEAD` anew, durably.
    ///
    /// The new bytes are synced before the rename, else a crash may leave the new name with no content; the directory is
    /// synced after it, else a crash may bring the old `HEAD` back, below a signature that has left.
    pub(super) fn lay(disk: &dyn Disk, head: &Head) -> io::Result<HeadFile> {
        let file = disk.open(HEAD_NEW_FILE, Opening::Emptied)?;
        let mut bytes = [0; FILE_BYTES];
        for (number, slot) in (0..).zip(bytes.chunks_exact_mut(SLOT_BYTES)) {
            slot[..SLOT_USED_BYTES].copy_from_slice(&encode_slot(number, head));
        }
        file.write_all_at(&bytes, 0)?;
        if !xrpl_tx::mutant!("head-not-synced") {
            file.sync_all()?;
        }
        disk.rename(HEAD_NEW_FILE, HEAD_FILE)?;
        disk.sync_directory()?;
        Ok(HeadFile {
            file,
            next: SLOTS as u64,
        })
    }

    /// Moves `HEAD` on, durably. After an error it may be either, and the file must not be used again.
    pub(super) fn advance(&mut self, head: &Head) -> io::Result<()> {
        let slot = self.next % SLOTS as u64;
        self.file
            .write_all_at(&encode_slot(self.next, head), slot * SLOT_BYTES as u64)?;
        self.file.sync_data()?;
        self.next += 1;
        Ok(())
    }
}

// === slots ===

fn encode_slot(number: u64, head: &Head) -> [u8; SLOT_USED_BYTES] {
    let mut bytes = [0; SLOT_USED_BYTES];
    bytes[..8].copy_from_slice(SLOT_MAGIC);
    bytes[8..16].copy_from_slice(&number.to_be_bytes());
    bytes[16..16 + CONTENT_BYTES].copy_from_slice(&head.encode());
    let (content, sum) = bytes.split_at_mut(SLOT_USED_BYTES - CHECKSUM_BYTES);
    sum.copy_from_slice(&checksum(content));
    bytes
}

/// The number and the head of a slot; none if it is damaged where a torn write can have damaged it.
fn decode_slot(bytes: &[u8], place: u64) -> Result<Option<(u64, Head)>, HeadError> {
    let (used, rest) = bytes.split_at(SLOT_USED_BYTES);
    // Nobody ever writes there.
    if rest.iter().any(|byte| *byte != 0) {
        return Err(HeadError::Damaged);
    }
    let Some(content) = checked(SLOT_MAGIC, used) else {
        return Ok(None);
    };
    let number = u64::from_be_bytes(array(&content[..NUMBER_BYTES]));
    if number % SLOTS as u64 != place {
        return Err(HeadError::Damaged);
    }
    let head = Head::decode(&array(&content[NUMBER_BYTES..]));
    Ok(Some((number, head)))
}

fn latest(even: Option<(u64, Head)>, odd: Option<(u64, Head)>) -> Result<Stored, HeadError> {
    match (even, odd) {
        (Some(even), Some(odd)) => {
            let (older, newer) = if even.0 < odd.0 {
                (even, odd)
            } else {
                (odd, even)
            };
            if newer.0 - older.0 != 1 || newer.1.height < older.1.height {
                return Err(HeadError::Damaged);
            }
            Ok(Stored {
                head: newer.1,
                torn: false,
            })
        }
        (Some((_, head)), None) | (None, Some((_, head))) => Ok(Stored { head, torn: true }),
        (None, None) => Err(HeadError::Damaged),
    }
}

/// What stands between the magic and the checksum, if both are right.
fn checked<'a>(magic: &[u8; 8], bytes: &'a [u8]) -> Option<&'a [u8]> {
    let (content, sum) = bytes.split_at(bytes.len() - CHECKSUM_BYTES);
    let rest = content.strip_prefix(magic)?;
    (checksum(content) == sum).then_some(rest)
}

fn array<const N: usize>(bytes: &[u8]) -> [u8; N] {
    bytes
        .try_into()
        .expect("the callers cut by the layout's constants")
}
