//! How a record lies in the journal file: the file's header, a frame's header, checksums and the hash chain.
//!
//! ```text
//! file header, 64 bytes:  "PAYGATEJ" | version u32 | network_id u32 | 40 bytes of 0 | checksum 8
//! frame header, 64 bytes: "PGFR" | body length u32 | height u64 | hash of the frame before 32 | body checksum 8 | checksum 8
//! body:                   a record, a multiple of 8 bytes
//! ```
//! Numbers are big-endian. A checksum is the first 8 bytes of a SHA-256. A frame's hash is SHA-256 over a domain tag, its
//! header and its body; the first frame's predecessor is the hash of the file's header, so that a journal of another
//! network is another chain. Header and body are checksummed apart so that a damaged length is noticed before it is used.

use xrpl_tx::sha256;

use super::record::{ALIGNMENT_BYTES, BODY_BYTES_MAX};

/// Bytes of the file's header.
pub const FILE_HEADER_BYTES: usize = 64;

/// Bytes of a frame's header.
pub const FRAME_HEADER_BYTES: usize = 64;

/// Largest frame.
pub const FRAME_BYTES_MAX: usize = FRAME_HEADER_BYTES + BODY_BYTES_MAX;

const FILE_MAGIC: &[u8; 8] = b"PAYGATEJ";
const FRAME_MAGIC: &[u8; 4] = b"PGFR";
const FORMAT_VERSION: u32 = 1;
const CHECKSUM_BYTES: usize = 8;

const TAG_FILE: &[u8] = b"paygate/journal-file/v1\0";
const TAG_FRAME: &[u8] = b"paygate/journal-frame/v1\0";
const TAG_CHECKSUM: &[u8] = b"paygate/journal-checksum/v1\0";

/// What a frame's header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameHeader {
    /// Bytes of the body that follows.
    pub body_bytes: usize,
    /// Number of this frame, from 1.
    pub height: u64,
    /// Hash of the frame before.
    pub previous_hash: [u8; 32],
    body_checksum: [u8; CHECKSUM_BYTES],
}

/// Why bytes are not the frame that they should be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// The file ends within it.
    #[error("the file ends within it")]
    Short,
    /// The header's checksum, its magic or its length is wrong.
    #[error("its header is damaged")]
    Header,
    /// It is not the frame that follows the one before.
    #[error("it does not follow the frame before it")]
    Chain,
    /// The body's checksum is wrong.
    #[error("its body is damaged")]
    Body,
    /// The body is whole but no record.
    #[error("{0}")]
    Record(#[from] super::record::DecodeError),
}

/// Why bytes are not a journal's file header.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FileHeaderError {
    /// The magic, the reserved bytes or the checksum is wrong.
    #[error("it does not begin as a journal does")]
    Damaged,
    /// Another version wrote it.
    #[error("its format is version {found}, this program knows {FORMAT_VERSION}")]
    Version {
        /// The version found.
        found: u32,
    },
    /// It belongs to another network.
    #[error("it is a journal of network {found}, wallet.network_id is {expected}")]
    Network {
        /// The network found.
        found: u32,
        /// The network configured.
        expected: u32,
    },
}

/// The first 8 bytes of a tagged SHA-256.
pub(super) fn checksum(bytes: &[u8]) -> [u8; CHECKSUM_BYTES] {
    let mut sum = [0; CHECKSUM_BYTES];
    sum.copy_from_slice(&sha256(&[TAG_CHECKSUM, bytes]).as_bytes()[..CHECKSUM_BYTES]);
    sum
}

/// A new journal's first bytes.
pub fn file_header(network_id: u32) -> [u8; FILE_HEADER_BYTES] {
    let mut header = [0; FILE_HEADER_BYTES];
    header[..8].copy_from_slice(FILE_MAGIC);
    header[8..12].copy_from_slice(&FORMAT_VERSION.to_be_bytes());
    header[12..16].copy_from_slice(&network_id.to_be_bytes());
    let sum = checksum(&header[..FILE_HEADER_BYTES - CHECKSUM_BYTES]);
    header[FILE_HEADER_BYTES - CHECKSUM_BYTES..].copy_from_slice(&sum);
    header
}

/// Checks a journal's first bytes and returns where the chain begins.
pub fn check_file_header(
    header: &[u8; FILE_HEADER_BYTES],
    network_id: u32,
) -> Result<[u8; 32], FileHeaderError> {
    let (content, sum) = header.split_at(FILE_HEADER_BYTES - CHECKSUM_BYTES);
    if &header[..8] != FILE_MAGIC || checksum(content) != sum {
        return Err(FileHeaderError::Damaged);
    }
    let word = |at: usize| {
        u32::from_be_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]])
    };
    if word(8) != FORMAT_VERSION {
        return Err(FileHeaderError::Version { found: word(8) });
    }
    if word(12) != network_id {
        return Err(FileHeaderError::Network {
            found: word(12),
            expected: network_id,
        });
    }
    if header != &file_header(network_id) {
        return Err(FileHeaderError::Damaged);
    }
    Ok(*sha256(&[TAG_FILE, header]).as_bytes())
}

/// Header and body of the frame that follows `previous_hash`.
pub fn encode(height: u64, previous_hash: &[u8; 32], body: &[u8]) -> Vec<u8> {
    assert!(
        body.len() <= BODY_BYTES_MAX && body.len().is_multiple_of(ALIGNMENT_BYTES),
        "a record of a typed intent fits a frame"
    );
    let length = u32::try_from(body.len()).expect("checked above");
    let mut frame = Vec::with_capacity(FRAME_HEADER_BYTES + body.len());
    frame.extend_from_slice(FRAME_MAGIC);
    frame.extend_from_slice(&length.to_be_bytes());
    frame.extend_from_slice(&height.to_be_bytes());
    frame.extend_from_slice(previous_hash);
    frame.extend_from_slice(&checksum(body));
    frame.extend_from_slice(&checksum(&frame));
    frame.extend_from_slice(body);
    frame
}

/// The hash that the next frame and `HEAD` refer to.
pub fn hash(frame: &[u8]) -> [u8; 32] {
    *sha256(&[TAG_FRAME, frame]).as_bytes()
}

impl FrameHeader {
    /// Reads a header and checks it by itself.
    pub fn decode(bytes: &[u8; FRAME_HEADER_BYTES]) -> Result<FrameHeader, FrameError> {
        let (content, sum) = bytes.split_at(FRAME_HEADER_BYTES - CHECKSUM_BYTES);
        if checksum(content) != sum || &bytes[..4] != FRAME_MAGIC {
            return Err(FrameError::Header);
        }
        let length = u32::from_be_bytes([bytes[4], bytes[5], bytes[6], bytes[7]]);
        let body_bytes = usize::try_from(length).map_err(|_| FrameError::Header)?;
        if body_bytes > BODY_BYTES_MAX || !body_bytes.is_multiple_of(ALIGNMENT_BYTES) {
            return Err(FrameError::Header);
        }
        let mut height = [0; 8];
        height.copy_from_slice(&bytes[8..16]);
        let mut previous_hash = [0; 32];
        previous_hash.copy_from_slice(&bytes[16..48]);
        let mut body_checksum = [0; CHECKSUM_BYTES];
        body_checksum.copy_from_slice(&bytes[48..56]);
        Ok(FrameHeader {
            body_bytes,
            height: u64::from_be_bytes(height),
            previous_hash,
            body_checksum,
        })
    }

    /// Checks the body that follows the header.
    pub fn check_body(&self, body: &[u8]) -> Result<(), FrameError> {
        if body.len() != self.body_bytes || checksum(body) != self.body_checksum {
            return Err(FrameError::Body);
        }
        Ok(())
    }
}
