//! A file with a secret in it: opened only if it is this user's alone, read once, into memory that is overwritten.
//!
//! The file is opened before the process confines itself and read after, so that the handle is all that is left of it. Its errors say
//! nothing of what it holds.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use zeroize::Zeroizing;

/// `O_NOFOLLOW` and `O_NONBLOCK`: a link or a pipe in the file's place is an error, not a detour or a wait.
const OPEN_FLAGS: rustix::fs::OFlags =
    rustix::fs::OFlags::NOFOLLOW.union(rustix::fs::OFlags::NONBLOCK);

/// Why the file is not read.
#[derive(Debug, thiserror::Error)]
pub enum PrivateError {
    /// The file system says no.
    #[error("cannot {action} {what} {path}: {source}")]
    Io {
        /// What was tried.
        action: &'static str,
        /// What the file is for.
        what: &'static str,
        /// The file.
        path: String,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// Others may read it.
    #[error("{what} {path} has mode {mode:04o}: allow only 0400 or 0600")]
    NotPrivate {
        /// What the file is for.
        what: &'static str,
        /// The file.
        path: String,
        /// Its mode.
        mode: u32,
    },
    /// It is somebody else's.
    #[error("{what} {path} belongs to uid {owner}, the signer runs as {own}")]
    NotOwned {
        /// What the file is for.
        what: &'static str,
        /// The file.
        path: String,
        /// Its owner.
        owner: u32,
        /// Who we are.
        own: u32,
    },
    /// It is a directory, a device, a pipe.
    #[error("{what} {path} is no regular file")]
    NotAFile {
        /// What the file is for.
        what: &'static str,
        /// The file.
        path: String,
    },
    /// It is too long.
    #[error("{what} {path} has more than {bytes_max} bytes")]
    TooLong {
        /// What the file is for.
        what: &'static str,
        /// The file.
        path: String,
        /// The limit.
        bytes_max: usize,
    },
}

/// An opened file, checked but not read.
#[derive(Debug)]
pub struct PrivateFile {
    file: File,
    what: &'static str,
    path: String,
}

impl PrivateFile {
    /// Opens the file and refuses it unless it is this user's alone. `what` names it in errors.
    pub fn open(what: &'static str, path: &Path) -> Result<PrivateFile, PrivateError> {
        let text = path.display().to_string();
        let io = |action| {
            let path = text.clone();
            move |source| PrivateError::Io {
                action,
                what,
                path,
                source,
            }
        };
        let file = File::options()
            .read(true)
            .custom_flags(OPEN_FLAGS.bits().cast_signed())
            .open(path)
            .map_err(io("open"))?;
        // Of the opened file, not of the path: it cannot be exchanged in between.
        let metadata = file.metadata().map_err(io("inspect"))?;
        if !metadata.is_file() {
            return Err(PrivateError::NotAFile { what, path: text });
        }
        let mode = metadata.mode() & 0o7777;
        if mode != 0o400 && mode != 0o600 {
            return Err(PrivateError::NotPrivate {
                what,
                path: text,
                mode,
            });
        }
        let own = rustix::process::geteuid().as_raw();
        if metadata.uid() != own {
            return Err(PrivateError::NotOwned {
                what,
                path: text,
                owner: metadata.uid(),
                own,
            });
        }
        Ok(PrivateFile {
            file,
            what,
            path: text,
        })
    }

    /// Reads all of it, without the white space around it, and closes the file.
    pub fn read(self, bytes_max: usize) -> Result<Zeroizing<Vec<u8>>, PrivateError> {
        // By hand into one buffer: a growing one would leave copies behind.
        let mut text = Zeroizing::new(vec![0; bytes_max + 1]);
        let mut length = 0;
        while length < text.len() {
            match (&self.file).read(&mut text[length..]) {
                Ok(0) => break,
                Ok(read) => length += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(source) => {
                    return Err(PrivateError::Io {
                        action: "read",
                        what: self.what,
                        path: self.path,
                        source,
                    });
                }
            }
        }
        if length > bytes_max {
            return Err(PrivateError::TooLong {
                what: self.what,
                path: self.path,
                bytes_max,
            });
        }
        Ok(Zeroizing::new(text[..length].trim_ascii().to_vec()))
    }
}
