//! Opening the journal: every check, what is cut, what is refused.
//!
//! Cuts only beyond `HEAD`, and never more than one commit can have left there; everything else that is wrong is an
//! [`OpenError`] that says what to do, and nothing is changed.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::Path;
use std::sync::Arc;

use rustix::fs::{FlockOperation, flock};

use super::disk::{Disk, DiskFile, Opening, RealDisk};
use super::durability::Durability;
use super::file::{COMMIT_FRAMES_MAX, Journal, Position, RECENT_HASHES, remember};
use super::frame::{
    self, FILE_HEADER_BYTES, FRAME_BYTES_MAX, FRAME_HEADER_BYTES, FrameError, FrameHeader,
};
use super::head::{Head, HeadError, HeadFile, Stored};
use super::record::Record;

/// Name of the file in its directory.
pub const JOURNAL_FILE: &str = "journal";

/// Bytes beyond `HEAD` that a crash can leave.
const COMMIT_BYTES_MAX: u64 = COMMIT_FRAMES_MAX * FRAME_BYTES_MAX as u64;

/// What to do is the same for all: nothing in haste.
const ADVICE: &str = "nothing was changed: keep the directory as it is, do not start another signer for this wallet, and follow \
     'The journal refuses to open' in the signer's README, or runbooks/restore-from-backup.md";

/// Why the journal was not opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The file system says no.
    #[error("cannot {what} {path}: {source}")]
    Io {
        /// What was tried.
        what: &'static str,
        /// On which file.
        path: String,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// Another process has it open.
    #[error("journal {path} is in use by another signer: exactly one may run for a wallet")]
    InUse {
        /// The file.
        path: String,
    },
    /// Others may read or write it.
    #[error("{path} has mode {mode:04o}: others than its owner may use it, allow only the owner")]
    NotPrivate {
        /// The file or directory.
        path: String,
        /// Its mode.
        mode: u32,
    },
    /// The file's header is not what it should be.
    #[error("journal is refused: {source}; {ADVICE}")]
    FileHeader {
        /// What is wrong.
        #[source]
        source: frame::FileHeaderError,
    },
    /// `HEAD` cannot be used.
    #[error("HEAD of the journal {source}; {ADVICE}")]
    Head {
        /// What is wrong.
        #[source]
        source: HeadError,
    },
    /// The journal has frames but no `HEAD`, or there is a `HEAD` but no journal.
    #[error("the journal is incomplete: {missing} is missing; {ADVICE}")]
    Missing {
        /// Which of the two.
        missing: &'static str,
    },
    /// A frame that `HEAD` covers is not there as it was written.
    #[error(
        "frame {height} at offset {offset} of the journal is refused: {source}; HEAD says that {head_height} frames are whole; {ADVICE}"
    )]
    Damaged {
        /// Number of the frame.
        height: u64,
        /// Where it begins.
        offset: u64,
        /// Where `HEAD` is.
        head_height: u64,
        /// What is wrong.
        #[source]
        source: FrameError,
    },
    /// `HEAD` names another frame than the journal has at its height.
    #[error("HEAD does not belong to this journal: at height {height} they differ; {ADVICE}")]
    HeadDiffers {
        /// The height.
        height: u64,
    },
    /// More lies beyond `HEAD` than a crash can leave.
    #[error(
        "{frames} frames or {bytes} bytes lie beyond HEAD, more than a crash can leave: HEAD is older than the journal; {ADVICE}"
    )]
    HeadBehind {
        /// Whole frames beyond `HEAD`.
        frames: u64,
        /// Bytes after the last whole frame.
        bytes: u64,
    },
    /// The records do not agree with each other.
    #[error("frame {height} of the journal is refused: {problem}; {ADVICE}")]
    Inconsistent {
        /// Number of the frame.
        height: u64,
        /// What is wrong.
        problem: &'static str,
    },
}

/// An opened journal and what was found while opening it.
#[derive(Debug)]
pub struct Opened {
    /// The journal.
    pub journal: Journal,
    /// Bytes beyond `HEAD` that were torn and cut.
    pub cut_bytes: u64,
    /// Whole frames beyond `HEAD` that were kept.
    pub kept_frames: u64,
}

pub(super) fn io_error(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> OpenError {
    let path = path.display().to_string();
    move |source| OpenError::Io { what, path, source }
}

/// What the group and others may do to a private file: nothing.
fn check_private(path: &Path, mode: u32) -> Result<(), OpenError> {
    if mode & 0o077 != 0 {
        return Err(OpenError::NotPrivate {
            path: path.display().to_string(),
            mode: mode & 0o7777,
        });
    }
    Ok(())
}

/// Renames a journal that cannot be used, and its `HEAD`, so that they stay as evidence. Answers the new names' ending. Refused while a
/// signer runs on it.
pub fn set_aside(directory: &Path, clock_ms: u64) -> Result<String, OpenError> {
    let path = directory.join(JOURNAL_FILE);
    let ending = format!("lost-{clock_ms}");
    match File::options().read(true).write(true).open(&path) {
        Ok(file) => flock(&file, FlockOperation::NonBlockingLockExclusive).map_err(|_| {
            OpenError::InUse {
                path: path.display().to_string(),
            }
        })?,
        Err(source) if source.kind() == io::ErrorKind::NotFound => {}
        Err(source) => return Err(io_error("open", &path)(source)),
    }
    for name in [JOURNAL_FILE, super::head::HEAD_FILE] {
        let from = directory.join(name);
        let renamed = std::fs::rename(&from, directory.join(format!("{name}.{ending}")));
        match renamed {
            Err(source) if source.kind() != io::ErrorKind::NotFound => {
                return Err(io_error("rename", &from)(source));
            }
            _ => {}
        }
    }
    File::open(directory)
        .and_then(|handle| handle.sync_all())
        .map_err(io_error("sync", directory))?;
    Ok(ending)
}

impl Journal {
    /// Opens the journal of `directory`, or makes it there if there is none, and shows every record to `visit`.
    ///
    /// `visit` says what is wrong with a record, given those before it. The lock lasts as long as the journal.
    pub fn open(
        directory: &Path,
        network_id: u32,
        visit: &mut dyn FnMut(Position, &Record) -> Result<(), &'static str>,
    ) -> Result<Opened, OpenError> {
        let disk = RealDisk::open(directory).map_err(io_error("open", directory))?;
        Journal::open_on(Arc::new(disk), network_id, visit)
    }

    /// The same on a disk.
    pub fn open_on(
        disk: Arc<dyn Disk>,
        network_id: u32,
        visit: &mut dyn FnMut(Position, &Record) -> Result<(), &'static str>,
    ) -> Result<Opened, OpenError> {
        let directory = disk.path();
        let mode = disk.mode().map_err(io_error("inspect", directory))?;
        check_private(directory, mode)?;

        let path = directory.join(JOURNAL_FILE);
        let file = disk
            .open(JOURNAL_FILE, Opening::OrNew)
            .map_err(io_error("open", &path))?;
        file.lock().map_err(|_| OpenError::InUse {
            path: path.display().to_string(),
        })?;
        check_private(&path, file.mode().map_err(io_error("inspect", &path))?)?;
        let length = file.length().map_err(io_error("inspect", &path))?;

        let stored = Head::read(disk.as_ref()).map_err(|source| OpenError::Head { source })?;
        let stored = match stored {
            Some(_) if length == 0 => {
                return Err(OpenError::Missing {
                    missing: JOURNAL_FILE,
                });
            }
            Some(stored) => stored,
            None => create(file.as_ref(), length, network_id, &path)?,
        };
        Scan::new(file.as_ref(), network_id, &path)?
            .run(stored.head, &path, visit)?
            .finish(file, disk.as_ref(), stored)
    }
}

/// Makes an empty journal, or finishes one whose making was cut short: without `HEAD` no frame can have been written.
fn create(
    file: &dyn DiskFile,
    length: u64,
    network_id: u32,
    path: &Path,
) -> Result<Stored, OpenError> {
    if length > FILE_HEADER_BYTES as u64 {
        return Err(OpenError::Missing {
            missing: super::head::HEAD_FILE,
        });
    }
    let header = frame::file_header(network_id);
    file.write_all_at(&header, 0)
        .map_err(io_error("write", path))?;
    file.sync_all().map_err(io_error("sync", path))?;
    let hash = frame::check_file_header(&header, network_id).expect("it was made a line above");
    let head = Head {
        height: 0,
        hash,
        highest_last_ledger_sequence: 0,
    };
    Ok(Stored { head, torn: false })
}

/// Goes through the file once, frame by frame.
pub(super) struct Scan<'a> {
    reader: BufReader<Sequential<'a>>,
    at: Head,
    offset: u64,
    length: u64,
    checkpoints: Vec<u64>,
    recent: VecDeque<[u8; 32]>,
}

/// A file from its beginning on.
struct Sequential<'a> {
    file: &'a dyn DiskFile,
    at: u64,
    length: u64,
}

impl Read for Sequential<'_> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.length - self.at).unwrap_or(usize::MAX);
        let taken = left.min(bytes.len());
        self.file.read_exact_at(&mut bytes[..taken], self.at)?;
        self.at += taken as u64;
        Ok(taken)
    }
}

/// What a scan found.
pub(super) struct Scanned {
    pub(super) at: Head,
    /// Where the frames beyond `HEAD` begin.
    pub(super) head_offset: u64,
    offset: u64,
    length: u64,
    checkpoints: Vec<u64>,
    recent: VecDeque<[u8; 32]>,
}

impl<'a> Scan<'a> {
    pub(super) fn new(
        file: &'a dyn DiskFile,
        network_id: u32,
        path: &Path,
    ) -> Result<Scan<'a>, OpenError> {
        let length = file.length().map_err(io_error("inspect", path))?;
        let whole = Sequential {
            file,
            at: 0,
            length,
        };
        let mut reader = BufReader::with_capacity(64 * 1024, whole);
        let mut header = [0; FILE_HEADER_BYTES];
        if length < FILE_HEADER_BYTES as u64 {
            return Err(OpenError::FileHeader {
                source: frame::FileHeaderError::Damaged,
            });
        }
        reader
            .read_exact(&mut header)
            .map_err(io_error("read", path))?;
        let hash = frame::check_file_header(&header, network_id)
            .map_err(|source| OpenError::FileHeader { source })?;
        Ok(Scan {
            reader,
            at: Head {
                height: 0,
                hash,
                highest_last_ledger_sequence: 0,
            },
            offset: FILE_HEADER_BYTES as u64,
            length,
            checkpoints: Vec::new(),
            recent: VecDeque::with_capacity(RECENT_HASHES),
        })
    }

    pub(super) fn run(
        mut self,
        head: Head,
        path: &Path,
        visit: &mut dyn FnMut(Position, &Record) -> Result<(), &'static str>,
    ) -> Result<Scanned, OpenError> {
        let mut frame = Vec::with_capacity(FRAME_BYTES_MAX);
        let mut head_offset = self.offset;
        loop {
            if self.at.height == head.height {
                if self.at != head {
                    return Err(OpenError::HeadDiffers {
                        height: head.height,
                    });
                }
                head_offset = self.offset;
            }
            if self.offset == self.length && self.at.height >= head.height {
                break;
            }
            let position = Position {
                height: self.at.height + 1,
                offset: self.offset,
            };
            let record = match self.next(&mut frame, path)? {
                Ok(record) => record,
                // Nothing beyond HEAD has left the process: it is the rest of an interrupted commit.
                Err(_) if position.height > head.height => break,
                Err(source) => {
                    return Err(OpenError::Damaged {
                        height: position.height,
                        offset: position.offset,
                        head_height: head.height,
                        source,
                    });
                }
            };
            visit(position, &record).map_err(|problem| OpenError::Inconsistent {
                height: position.height,
                problem,
            })?;
        }
        Ok(Scanned {
            at: self.at,
            head_offset,
            offset: self.offset,
            length: self.length,
            checkpoints: self.checkpoints,
            recent: self.recent,
        })
    }

    /// Reads the next frame and steps over it if it is whole and follows. The outer error is the file system's.
    fn next(
        &mut self,
        frame: &mut Vec<u8>,
        path: &Path,
    ) -> Result<Result<Record, FrameError>, OpenError> {
        frame.resize(FRAME_HEADER_BYTES, 0);
        let left = self.length - self.offset;
        if left < FRAME_HEADER_BYTES as u64 {
            return Ok(Err(FrameError::Short));
        }
        self.reader
            .read_exact(frame)
            .map_err(io_error("read", path))?;
        let mut bytes = [0; FRAME_HEADER_BYTES];
        bytes.copy_from_slice(frame);
        let header = match FrameHeader::decode(&bytes) {
            Ok(header) => header,
            Err(error) => return Ok(Err(error)),
        };
        if header.height != self.at.height + 1 || header.previous_hash != self.at.hash {
            return Ok(Err(FrameError::Chain));
        }
        let frame_bytes = FRAME_HEADER_BYTES + header.body_bytes;
        if left < frame_bytes as u64 {
            return Ok(Err(FrameError::Short));
        }
        frame.resize(frame_bytes, 0);
        self.reader
            .read_exact(&mut frame[FRAME_HEADER_BYTES..])
            .map_err(io_error("read", path))?;
        if let Err(error) = header.check_body(&frame[FRAME_HEADER_BYTES..]) {
            return Ok(Err(error));
        }
        let record = match Record::decode(&frame[FRAME_HEADER_BYTES..]) {
            Ok(record) => record,
            Err(error) => return Ok(Err(error.into())),
        };
        let highest = record
            .transaction()
            .map_or(0, |transaction| transaction.last_ledger_sequence);
        self.at = Head {
            height: header.height,
            hash: frame::hash(frame),
            highest_last_ledger_sequence: self.at.highest_last_ledger_sequence.max(highest),
        };
        let position = Position {
            height: header.height,
            offset: self.offset,
        };
        remember(
            &mut self.checkpoints,
            &mut self.recent,
            position,
            self.at.hash,
        );
        self.offset += frame_bytes as u64;
        Ok(Ok(record))
    }
}

impl Scanned {
    /// Writes the frames beyond `HEAD` over themselves. After a sync that failed the kernel may hold pages that are not on the
    /// disk and take them for clean: the next sync would leave them out, and a `HEAD` that covers them would be a lie.
    fn write_again(&self, file: &dyn DiskFile) -> io::Result<()> {
        let length = usize::try_from(self.offset - self.head_offset)
            .expect("it is at most COMMIT_FRAMES_MAX frames");
        let mut bytes = vec![0; length];
        file.read_exact_at(&mut bytes, self.head_offset)?;
        file.write_all_at(&bytes, self.head_offset)
    }

    /// Cuts what is torn, lays `HEAD` at the end, and hands over.
    fn finish(
        self,
        file: Box<dyn DiskFile>,
        disk: &dyn Disk,
        stored: Stored,
    ) -> Result<Opened, OpenError> {
        let kept_frames = self.at.height - stored.head.height;
        let cut_bytes = self.length - self.offset;
        if kept_frames > COMMIT_FRAMES_MAX || cut_bytes > COMMIT_BYTES_MAX {
            return Err(OpenError::HeadBehind {
                frames: kept_frames,
                bytes: cut_bytes,
            });
        }
        // HEAD is written only after frames beyond it were synced. Without them it was no crash.
        if stored.torn && kept_frames == 0 {
            return Err(OpenError::Head {
                source: HeadError::Damaged,
            });
        }
        if cut_bytes > 0 {
            file.set_length(self.offset)
                .map_err(io_error("cut the torn end of the journal in", disk.path()))?;
        }
        if kept_frames > 0 {
            self.write_again(file.as_ref())
                .map_err(io_error("write the end of the journal in", disk.path()))?;
        }
        if cut_bytes > 0 || kept_frames > 0 {
            file.sync_all()
                .map_err(io_error("sync the journal in", disk.path()))?;
        }
        let head_file =
            HeadFile::lay(disk, &self.at).map_err(io_error("lay HEAD in", disk.path()))?;
        let file: Arc<dyn DiskFile> = Arc::from(file);
        let durability = Arc::new(Durability::new(Arc::clone(&file), head_file, self.at));
        let journal = Journal {
            file,
            durability,
            head: self.at,
            end: self.offset,
            checkpoints: self.checkpoints,
            recent: self.recent,
        };
        Ok(Opened {
            journal,
            cut_bytes,
            kept_frames,
        })
    }
}
