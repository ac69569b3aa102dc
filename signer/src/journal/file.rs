//! The journal file in use: appending, reading a frame again, finding a frame by its height.

use std::collections::VecDeque;
use std::sync::Arc;

use super::disk::DiskFile;
use super::durability::{Durability, JournalError};
use super::frame::{self, FRAME_HEADER_BYTES, FrameHeader};
use super::head::Head;
use super::record::Record;

/// Frames that one commit makes durable at most, so that what lies beyond `HEAD` after a crash has a bound.
/// The server has fewer calls in flight than that.
pub const COMMIT_FRAMES_MAX: u64 = 256;

/// Largest journal: the index keeps offsets in units of 8 bytes in 32 bits.
const JOURNAL_BYTES_MAX: u64 = 8 * (u32::MAX as u64);

/// Offsets of every so-manieth frame are kept, to find a frame by its height with few reads.
const CHECKPOINT_FRAMES: u64 = 1024;

/// Hashes of the last frames are kept: a gateway's recorded head is almost always among them.
pub(super) const RECENT_HASHES: usize = 1024;

/// Where a frame is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// Number of the frame, from 1.
    pub height: u64,
    /// Where it begins in the file.
    pub offset: u64,
}

/// The journal's end, for the one who appends. Not shared: the vault keeps it under its lock.
#[derive(Debug)]
pub struct Journal {
    pub(super) file: Arc<dyn DiskFile>,
    pub(super) durability: Arc<Durability>,
    pub(super) head: Head,
    pub(super) end: u64,
    pub(super) checkpoints: Vec<u64>,
    pub(super) recent: VecDeque<[u8; 32]>,
}

impl Journal {
    /// The end of what was appended.
    pub fn head(&self) -> Head {
        self.head
    }

    /// What makes it durable.
    pub fn durability(&self) -> Arc<Durability> {
        Arc::clone(&self.durability)
    }

    /// Writes the record's frame at the end. Nothing of it may leave the process before [`Durability::commit`].
    pub fn append(&mut self, record: &Record) -> Result<Position, JournalError> {
        let waiting = self.head.height - self.durability.durable_height();
        if waiting >= COMMIT_FRAMES_MAX {
            return Err(JournalError::Backlog(waiting));
        }
        let position = Position {
            height: self.head.height + 1,
            offset: self.end,
        };
        let frame = frame::encode(position.height, &self.head.hash, &record.encode());
        let end = self.end + frame.len() as u64;
        if end > JOURNAL_BYTES_MAX {
            return Err(JournalError::Full(self.end));
        }
        if let Err(source) = self.file.write_all_at(&frame, self.end) {
            self.durability.fail();
            return Err(JournalError::Io {
                what: "append to",
                source,
            });
        }
        let highest = record
            .transaction()
            .map_or(0, |transaction| transaction.last_ledger_sequence);
        self.head = Head {
            height: position.height,
            hash: frame::hash(&frame),
            highest_last_ledger_sequence: self.head.highest_last_ledger_sequence.max(highest),
        };
        self.end = end;
        remember(
            &mut self.checkpoints,
            &mut self.recent,
            position,
            self.head.hash,
        );
        self.durability.appended(self.head);
        Ok(position)
    }

    /// Reads the record whose frame begins at `offset`.
    pub fn read(&self, offset: u64) -> Result<(Position, Record), JournalError> {
        let damaged = |source| JournalError::Damaged { offset, source };
        let header = self.read_header(offset)?;
        let mut body = vec![0; header.body_bytes];
        self.file
            .read_exact_at(&mut body, offset + FRAME_HEADER_BYTES as u64)
            .map_err(|source| JournalError::Io {
                what: "read",
                source,
            })?;
        header.check_body(&body).map_err(damaged)?;
        let record = Record::decode(&body).map_err(|error| damaged(error.into()))?;
        Ok((
            Position {
                height: header.height,
                offset,
            },
            record,
        ))
    }

    /// The hash of the frame at a height; none if the journal does not reach it.
    pub fn hash_at(&self, height: u64) -> Result<Option<[u8; 32]>, JournalError> {
        if height == 0 || height > self.head.height {
            return Ok(None);
        }
        if height == self.head.height {
            return Ok(Some(self.head.hash));
        }
        let back = usize::try_from(self.head.height - height).unwrap_or(usize::MAX);
        if let Some(index) = self.recent.len().checked_sub(back + 1) {
            return Ok(self.recent.get(index).copied());
        }
        // The frame after it names it. Its nearest checkpoint is at most CHECKPOINT_FRAMES headers before.
        let checkpoint = usize::try_from(height / CHECKPOINT_FRAMES)
            .expect("as many checkpoints as are in memory");
        let mut offset = *self
            .checkpoints
            .get(checkpoint)
            .expect("every height below the head has a checkpoint");
        loop {
            let header = self.read_header(offset)?;
            if header.height == height + 1 {
                return Ok(Some(header.previous_hash));
            }
            offset += (FRAME_HEADER_BYTES + header.body_bytes) as u64;
        }
    }

    fn read_header(&self, offset: u64) -> Result<FrameHeader, JournalError> {
        let mut bytes = [0; FRAME_HEADER_BYTES];
        self.file
            .read_exact_at(&mut bytes, offset)
            .map_err(|source| JournalError::Io {
                what: "read",
                source,
            })?;
        FrameHeader::decode(&bytes).map_err(|source| JournalError::Damaged { offset, source })
    }
}

/// Checkpoint `n` is where frame `n * CHECKPOINT_FRAMES + 1` begins.
pub(super) fn remember(
    checkpoints: &mut Vec<u64>,
    recent: &mut VecDeque<[u8; 32]>,
    position: Position,
    hash: [u8; 32],
) {
    if (position.height - 1).is_multiple_of(CHECKPOINT_FRAMES) {
        checkpoints.push(position.offset);
    }
    if recent.len() == RECENT_HASHES {
        recent.pop_front();
    }
    recent.push_back(hash);
}
