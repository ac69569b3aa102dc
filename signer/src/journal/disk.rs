//! What the journal asks of a disk, and the disk that is one.
//!
//! Owns every call of the file system that the journal makes. May not decide when anything is synced: the order is the
//! journal's, `head.rs` and `durability.rs`. The steps are kept as fine as the file system has them (bytes of a file, a name in
//! the directory, each synced apart), because a crash may come between any two: the simulation has a disk of its own that loses
//! exactly what was not synced.

use std::fmt;
use std::fs::{DirBuilder, File, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};

/// Owner reads and writes, nobody else does anything.
pub const FILE_MODE: u32 = 0o600;

/// Owner lists and changes, nobody else does anything.
const DIRECTORY_MODE: u32 = 0o700;

/// What is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opening {
    /// The file if it is there, to be read.
    Existing,
    /// The file, made empty if it is not there.
    OrNew,
    /// The file, emptied.
    Emptied,
}

/// One directory of private files. A name that was given or taken away survives a crash once the directory is synced.
pub trait Disk: fmt::Debug + Send + Sync {
    /// Opens a file of the directory.
    fn open(&self, name: &str, opening: Opening) -> io::Result<Box<dyn DiskFile>>;
    /// Gives a file the name of another, whose place it takes.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;
    /// Makes the names survive a crash.
    fn sync_directory(&self) -> io::Result<()>;
    /// The mode of the directory.
    fn mode(&self) -> io::Result<u32>;
    /// Where it is, for messages.
    fn path(&self) -> &Path;
}

/// An open file. What was written survives a crash once it is synced.
pub trait DiskFile: fmt::Debug + Send + Sync {
    /// Takes the file for this process alone, as long as it is open. An error means that somebody else has it.
    fn lock(&self) -> io::Result<()>;
    /// The file's mode.
    fn mode(&self) -> io::Result<u32>;
    /// Bytes that are in it.
    fn length(&self) -> io::Result<u64>;
    /// Fills the buffer from an offset on.
    fn read_exact_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<()>;
    /// Writes all the bytes at an offset.
    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()>;
    /// Cuts it.
    fn set_length(&self, length: u64) -> io::Result<()>;
    /// Makes what was written survive a crash.
    fn sync_data(&self) -> io::Result<()>;
    /// The same, with all that the file system keeps about the file.
    fn sync_all(&self) -> io::Result<()>;
}

/// A directory of the file system.
#[derive(Debug)]
pub struct RealDisk {
    path: PathBuf,
    handle: File,
}

// === impl RealDisk ===

impl RealDisk {
    /// Opens the directory, and makes it first if there is none.
    pub fn open(path: &Path) -> io::Result<RealDisk> {
        if !path.exists() {
            DirBuilder::new().mode(DIRECTORY_MODE).create(path)?;
        }
        Ok(RealDisk {
            path: path.to_path_buf(),
            handle: File::open(path)?,
        })
    }
}

impl Disk for RealDisk {
    fn open(&self, name: &str, opening: Opening) -> io::Result<Box<dyn DiskFile>> {
        let path = self.path.join(name);
        let mut options = File::options();
        let file = match opening {
            Opening::Existing => options.read(true).open(path)?,
            Opening::OrNew => options
                .read(true)
                .write(true)
                .create(true)
                .truncate(false)
                .mode(FILE_MODE)
                .open(path)?,
            Opening::Emptied => {
                let file = options
                    .write(true)
                    .create(true)
                    .truncate(true)
                    .mode(FILE_MODE)
                    .open(path)?;
                // What was there before may have had another mode.
                file.set_permissions(Permissions::from_mode(FILE_MODE))?;
                file
            }
        };
        Ok(Box::new(file))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        std::fs::rename(self.path.join(from), self.path.join(to))
    }

    fn sync_directory(&self) -> io::Result<()> {
        self.handle.sync_all()
    }

    fn mode(&self) -> io::Result<u32> {
        Ok(self.handle.metadata()?.mode())
    }

    fn path(&self) -> &Path {
        &self.path
    }
}

impl DiskFile for File {
    fn lock(&self) -> io::Result<()> {
        Ok(flock(self, FlockOperation::NonBlockingLockExclusive)?)
    }

    fn mode(&self) -> io::Result<u32> {
        Ok(self.metadata()?.mode())
    }

    fn length(&self) -> io::Result<u64> {
        Ok(self.metadata()?.len())
    }

    fn read_exact_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<()> {
        FileExt::read_exact_at(self, bytes, offset)
    }

    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        FileExt::write_all_at(self, bytes, offset)
    }

    fn set_length(&self, length: u64) -> io::Result<()> {
        self.set_len(length)
    }

    fn sync_data(&self) -> io::Result<()> {
        File::sync_data(self)
    }

    fn sync_all(&self) -> io::Result<()> {
        File::sync_all(self)
    }
}
