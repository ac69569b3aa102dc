//! Reading a journal without changing it, and copying one, also while a signer appends to it.
//!
//! Owns why a copy is whole. `HEAD` is read first, the journal after it: what lies at or below that `HEAD` is on the disk and never
//! changes, so the copy ends exactly there, whatever is appended meanwhile. Every signature that had left the signer when the copy
//! was begun is in it. May not: write where a journal lies, or decide what an older one means.

use std::io;
use std::path::Path;

use super::disk::{Disk, DiskFile, Opening, RealDisk};
use super::head::{HEAD_FILE, Head, HeadError, HeadFile, Stored};
use super::open::{JOURNAL_FILE, OpenError, Scan, io_error};
use super::{Position, Record};

/// `HEAD` is two slots that a signer overwrites in turn: a read may see them at two moments, and is then repeated.
const HEAD_READS_MAX: u32 = 64;

/// Bytes that are copied at once.
const CHUNK_BYTES: usize = 256 * 1024;

/// What lies at or below a `HEAD`, all of it read and checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Examined {
    /// Its end.
    pub head: Head,
    /// Bytes of the file up to there.
    pub bytes: u64,
}

/// Reads a whole journal up to its `HEAD`, and shows every record to `visit`. Changes nothing, also not what a start would cut.
pub fn examine(
    directory: &Path,
    network_id: u32,
    visit: &mut dyn FnMut(Position, &Record) -> Result<(), &'static str>,
) -> Result<Examined, OpenError> {
    let (disk, file) = existing(directory)?;
    let stored = steady_head(&disk)?;
    up_to(file.as_ref(), stored, network_id, directory, visit)
}

/// Copies a journal up to its `HEAD` into a folder that has none. On the disk, and read again, when this returns.
pub fn copy(
    from: &Path,
    to: &Path,
    network_id: u32,
    visit: &mut dyn FnMut(Position, &Record) -> Result<(), &'static str>,
) -> Result<Examined, OpenError> {
    let (disk, source) = existing(from)?;
    let stored = steady_head(&disk)?;
    // After HEAD: it covers what HEAD says.
    let length = source.length().map_err(io_error("inspect", from))?;
    for name in [JOURNAL_FILE, HEAD_FILE] {
        let path = to.join(name);
        if path.exists() {
            return Err(io_error("make", &path)(io::ErrorKind::AlreadyExists.into()));
        }
    }
    let target = RealDisk::open(to).map_err(io_error("open", to))?;
    let file = target
        .open(JOURNAL_FILE, Opening::OrNew)
        .map_err(io_error("make the journal in", to))?;
    fill(source.as_ref(), file.as_ref(), length).map_err(io_error("copy the journal to", to))?;
    let whole = Stored {
        head: stored.head,
        torn: false,
    };
    let examined = up_to(file.as_ref(), whole, network_id, to, visit)?;
    file.set_length(examined.bytes)
        .and_then(|()| file.sync_all())
        .map_err(io_error("sync the journal in", to))?;
    // Last, and durably: without it a start refuses what lies there.
    HeadFile::lay(&target, &examined.head).map_err(io_error("lay HEAD in", to))?;
    Ok(examined)
}

fn existing(directory: &Path) -> Result<(RealDisk, Box<dyn DiskFile>), OpenError> {
    // Looked at before it is opened: opening would make the folder.
    if !directory.join(JOURNAL_FILE).exists() {
        return Err(OpenError::Missing {
            missing: JOURNAL_FILE,
        });
    }
    let disk = RealDisk::open(directory).map_err(io_error("open", directory))?;
    let file = disk
        .open(JOURNAL_FILE, Opening::Existing)
        .map_err(io_error("open the journal in", directory))?;
    Ok((disk, file))
}

fn steady_head(disk: &RealDisk) -> Result<Stored, OpenError> {
    let mut reads = 0;
    loop {
        reads += 1;
        match Head::read(disk) {
            Ok(Some(stored)) => return Ok(stored),
            Ok(None) => return Err(OpenError::Missing { missing: HEAD_FILE }),
            Err(HeadError::Damaged) if reads < HEAD_READS_MAX => std::thread::yield_now(),
            Err(source) => return Err(OpenError::Head { source }),
        }
    }
}

fn up_to(
    file: &dyn DiskFile,
    stored: Stored,
    network_id: u32,
    directory: &Path,
    visit: &mut dyn FnMut(Position, &Record) -> Result<(), &'static str>,
) -> Result<Examined, OpenError> {
    let head = stored.head;
    let mut covered = |position: Position, record: &Record| match position.height <= head.height {
        true => visit(position, record),
        // Nobody has seen it yet: it is not part of what is looked at.
        false => Ok(()),
    };
    let scanned = Scan::new(file, network_id, directory)?.run(head, directory, &mut covered)?;
    // As a start would say: one damaged slot without a frame beyond the other is no torn write.
    if stored.torn && scanned.at.height == head.height {
        return Err(OpenError::Head {
            source: HeadError::Damaged,
        });
    }
    Ok(Examined {
        head,
        bytes: scanned.head_offset,
    })
}

fn fill(from: &dyn DiskFile, to: &dyn DiskFile, length: u64) -> io::Result<()> {
    let mut bytes = vec![0; CHUNK_BYTES];
    let mut at = 0;
    while at < length {
        let step = usize::try_from(length - at)
            .unwrap_or(usize::MAX)
            .min(CHUNK_BYTES);
        from.read_exact_at(&mut bytes[..step], at)?;
        to.write_all_at(&bytes[..step], at)?;
        at += step as u64;
    }
    Ok(())
}
