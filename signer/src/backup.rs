//! `paygate-signer backup` and `restore`: copies of the journal, made while the signer works, and put back when it is lost.
//!
//! Owns: folders, what is compared, what is refused, and what a person is told. May not: decide what a start with an older journal does.
//! The gateway's record of the newest frame and the signer's own refusal do that, and nothing is signed until a person has run `recover`.
//!
//! A copy needs no manifest: the frames are chained by their hashes, and `HEAD`, which is written last, names the last of them.

use std::fmt;
use std::fs::{DirBuilder, File};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileExt, MetadataExt};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};

use crate::config::Config;
use crate::index::{Index, Pin};
use crate::journal::copy::{Examined, copy, examine};
use crate::journal::open::JOURNAL_FILE;
use crate::journal::{OpenError, set_aside};

/// Owner lists and changes, nobody else does anything.
const DIRECTORY_MODE: u32 = 0o700;

/// What a copy is called until it is whole.
const PARTIAL: &str = ".partial";

/// Bytes that are compared at once.
const CHUNK_BYTES: usize = 256 * 1024;

const MS_PER_MINUTE: u64 = 60_000;

/// Why a copy was not made, taken for whole, or put back.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// The journal or the copy.
    #[error(transparent)]
    Journal(#[from] OpenError),
    /// The file system says no.
    #[error("{path}: {source}")]
    Io {
        /// Where.
        path: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The copy is another wallet's.
    #[error("the copy is of wallet {copy}, wallet.address says {configured}")]
    OtherWallet {
        /// The copy's.
        copy: String,
        /// The configuration's.
        configured: String,
    },
    /// What lies there would belong to a user whom the signer is not.
    #[error(
        "{path} belongs to user {owner}, this process is user {ours}: type it as the signer's user"
    )]
    OtherUser {
        /// The journal's folder.
        path: String,
        /// Its owner.
        owner: u32,
        /// Who typed.
        ours: u32,
    },
    /// What is in place is worth more than the copy.
    #[error(
        "the journal in place is whole and {place}: start the signer with it; nothing was changed"
    )]
    InPlaceIsBetter {
        /// Compared with the copy.
        place: &'static str,
    },
    /// A journal is in place.
    #[error(
        "a journal is in place, and nothing is overwritten: --move-aside renames it, so that it stays as evidence"
    )]
    InPlace,
}

/// A copy, all of it read.
#[derive(Debug)]
pub struct Copied {
    /// Its folder.
    pub directory: PathBuf,
    examined: Examined,
    pin: Option<Pin>,
    latest_ms: u64,
}

/// How a copy stands to the journal in place.
#[derive(Debug, PartialEq, Eq)]
pub enum Beside {
    /// They are the same.
    Same,
    /// The journal in place begins with the copy and has so many frames more.
    Older(u64),
    /// The copy begins with the journal in place and has so many frames more.
    Newer(u64),
    /// Neither begins with the other: they are of two journals.
    Different,
    /// There is nothing to compare with, and why.
    Unknown(String),
}

/// Copies the journal into a new folder below `to`, also while the signer works.
pub fn make(config: &Config, to: &Path, now_ms: u64) -> Result<Copied, BackupError> {
    let directory = to.join(format!("journal-{now_ms}"));
    let partial = to.join(format!("journal-{now_ms}{PARTIAL}"));
    let ours = DirBuilder::new().mode(DIRECTORY_MODE).create(&partial);
    ours.map_err(failed(&partial))?;
    let made = read(&partial, |index| {
        copy(
            &config.journal_directory,
            &partial,
            config.network_id,
            &mut |position, record| index.add(position, record),
        )
    });
    let named = made.and_then(|copied| {
        std::fs::rename(&partial, &directory)
            .and_then(|()| File::open(to)?.sync_all())
            .map_err(failed(&directory))?;
        Ok(Copied {
            directory: directory.clone(),
            ..copied
        })
    });
    if named.is_err() {
        // Ours, and of no use to anybody.
        let _ = std::fs::remove_dir_all(&partial);
    }
    named
}

/// Reads a copy from its first frame to its last, and holds it beside the journal in place.
pub fn verify(config: &Config, from: &Path) -> Result<(Copied, Beside), BackupError> {
    let copied = look(config, from)?;
    if let (Some(pin), Some(wallet)) = (copied.pin, config.wallet)
        && pin.account != wallet
    {
        return Err(BackupError::OtherWallet {
            copy: pin.account.to_address(),
            configured: wallet.to_address(),
        });
    }
    let beside = match look(config, &config.journal_directory) {
        Ok(place) => compare(&copied, &place)?,
        Err(error) => Beside::Unknown(error.to_string()),
    };
    Ok((copied, beside))
}

/// Puts a copy in the journal's place. Refused while a signer runs, and where the journal in place is whole and not older.
pub fn put_back(
    config: &Config,
    from: &Path,
    move_aside: bool,
    now_ms: u64,
) -> Result<(Copied, Option<String>), BackupError> {
    let place = &config.journal_directory;
    not_in_use(place)?;
    own(place)?;
    let (_, beside) = verify(config, from)?;
    match beside {
        Beside::Same => {
            return Err(BackupError::InPlaceIsBetter {
                place: "the same as the copy",
            });
        }
        Beside::Older(_) => {
            return Err(BackupError::InPlaceIsBetter {
                place: "newer than the copy",
            });
        }
        Beside::Newer(_) | Beside::Different | Beside::Unknown(_) => {}
    }
    let taken = [JOURNAL_FILE, "HEAD"]
        .iter()
        .any(|name| place.join(name).exists());
    let ending = match (taken, move_aside) {
        (true, false) => return Err(BackupError::InPlace),
        (true, true) => Some(set_aside(place, now_ms)?),
        (false, _) => None,
    };
    let copied = read(place, |index| {
        copy(from, place, config.network_id, &mut |position, record| {
            index.add(position, record)
        })
    })?;
    Ok((copied, ending))
}

fn look(config: &Config, directory: &Path) -> Result<Copied, BackupError> {
    read(directory, |index| {
        examine(directory, config.network_id, &mut |position, record| {
            index.add(position, record)
        })
    })
}

/// What is learnt while all records are read.
fn read(
    directory: &Path,
    reads: impl FnOnce(&mut Index) -> Result<Examined, OpenError>,
) -> Result<Copied, BackupError> {
    let mut index = Index::default();
    let examined = reads(&mut index)?;
    Ok(Copied {
        directory: directory.to_path_buf(),
        examined,
        pin: index.pin(),
        latest_ms: index.latest_ms(),
    })
}

/// Frames are only ever appended, so one journal of two of the same kind begins with the other, byte for byte.
fn compare(copied: &Copied, place: &Copied) -> Result<Beside, BackupError> {
    let (ours, theirs) = (copied.examined, place.examined);
    let open = |copied: &Copied| {
        let path = copied.directory.join(JOURNAL_FILE);
        File::open(&path).map_err(failed(&path))
    };
    let (left, right) = (open(copied)?, open(place)?);
    let shared = ours.bytes.min(theirs.bytes);
    if !same(&left, &right, shared).map_err(failed(&place.directory))? {
        return Ok(Beside::Different);
    }
    let (ours, theirs) = (ours.head.height, theirs.head.height);
    Ok(match ours.cmp(&theirs) {
        std::cmp::Ordering::Equal => Beside::Same,
        std::cmp::Ordering::Less => Beside::Older(theirs - ours),
        std::cmp::Ordering::Greater => Beside::Newer(ours - theirs),
    })
}

fn same(left: &File, right: &File, length: u64) -> io::Result<bool> {
    let (mut one, mut other) = (vec![0; CHUNK_BYTES], vec![0; CHUNK_BYTES]);
    let mut at = 0;
    while at < length {
        let step = usize::try_from(length - at)
            .unwrap_or(usize::MAX)
            .min(CHUNK_BYTES);
        left.read_exact_at(&mut one[..step], at)?;
        right.read_exact_at(&mut other[..step], at)?;
        if one[..step] != other[..step] {
            return Ok(false);
        }
        at += step as u64;
    }
    Ok(true)
}

fn not_in_use(place: &Path) -> Result<(), BackupError> {
    let path = place.join(JOURNAL_FILE);
    match File::open(&path) {
        // Let go at once: what is done next takes it again.
        Ok(file) => flock(&file, FlockOperation::NonBlockingLockExclusive).map_err(|_| {
            BackupError::Journal(OpenError::InUse {
                path: path.display().to_string(),
            })
        }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(failed(&path)(error)),
    }
}

/// The signer opens only what is its own: what root puts back, it could not even read.
fn own(place: &Path) -> Result<(), BackupError> {
    let found = place.ancestors().find(|path| path.exists());
    let path = found.unwrap_or(place);
    let owner = std::fs::metadata(path).map_err(failed(path))?.uid();
    let ours = rustix::process::geteuid().as_raw();
    if owner == ours {
        return Ok(());
    }
    Err(BackupError::OtherUser {
        path: path.display().to_string(),
        owner,
        ours,
    })
}

fn failed(path: &Path) -> impl FnOnce(io::Error) -> BackupError {
    let path = path.display().to_string();
    move |source| BackupError::Io { path, source }
}

// === words ===

impl Copied {
    /// What it is, in one line.
    pub fn told(&self, now_ms: u64) -> String {
        let head = self.examined.head;
        let Some(pin) = self.pin else {
            return format!("{}: whole, and empty", self.directory.display());
        };
        let minutes = now_ms.saturating_sub(self.latest_ms) / MS_PER_MINUTE;
        format!(
            "{}: whole, {} frames of wallet {} and store {}, the newest {minutes} minutes old, highest LastLedgerSequence {}",
            self.directory.display(),
            head.height,
            pin.account.to_address(),
            hex::encode(pin.store_id),
            head.highest_last_ledger_sequence,
        )
    }
}

/// What follows from it for who puts the copy back.
impl fmt::Display for Beside {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const OLDER: &str = "Put back, it would have forgotten them: gateway and signer notice (JOURNAL_BEHIND), and NOTHING IS SIGNED until a \
             person has run `paygate-signer recover` twice and a ledger past every lost signature is validated";
        match self {
            Beside::Same => f.write_str("It is the journal in place, frame for frame."),
            Beside::Older(frames) => write!(
                f,
                "IT IS OLDER than the journal in place by {frames} frames. {OLDER}. The journal in place is whole: keep it."
            ),
            Beside::Newer(frames) => write!(
                f,
                "It has {frames} frames that the journal in place lacks: the journal in place is the older one."
            ),
            Beside::Different => f.write_str(
                "IT IS OF ANOTHER JOURNAL than the one in place: neither begins with the other. One of the two was begun anew, or its disk was changed.",
            ),
            Beside::Unknown(why) => write!(
                f,
                "There is no journal in place to compare it with ({why}). WHETHER IT IS OLDER than what the signer signed last, this program \
                 cannot know: the gateway does. If frames are missing: {OLDER}."
            ),
        }
    }
}
