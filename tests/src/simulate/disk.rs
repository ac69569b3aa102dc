//! A disk that can lose what was not synced.
//!
//! Owns: the difference between what was written and what survives. Bytes of a file survive once the file is synced, a name once
//! the directory is; of the rest a crash keeps a beginning that the caller draws, file by file, and the last write of it may be
//! torn. A sync that failed has lost what it was to make durable, and the next one says nothing of it, as on a real kernel. May
//! not: lose anything else, or draw by itself.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use paygate_signer::journal::disk::{Disk, DiskFile, FILE_MODE, Opening};

/// A number below the argument, which is not 0.
pub type Draw<'a> = &'a mut dyn FnMut(u64) -> u64;

/// A disk. Clones are the same one.
#[derive(Clone, Debug)]
pub struct SimDisk(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    files: Vec<FileState>,
    /// Names as a running process sees them.
    names: BTreeMap<String, usize>,
    /// Names as of the last sync of the directory.
    synced_names: BTreeMap<String, usize>,
    /// What was done to names since, in order.
    unsynced_names: Vec<NameChange>,
    /// Crashes so far.
    life: u64,
    /// Calls that were made.
    calls: u64,
    /// The call at which the power goes, and whether it is still carried out.
    dies_at: Option<(u64, When)>,
    /// Syncs to come before one fails.
    fails_sync_in: Option<u64>,
    /// Syncs that failed.
    failed_syncs: u64,
    is_dead: bool,
}

#[derive(Debug, Default)]
struct FileState {
    /// As a running process sees it.
    bytes: Vec<u8>,
    /// As of the last sync.
    synced: Vec<u8>,
    /// What was done since, in order.
    unsynced: Vec<Change>,
}

#[derive(Clone, Debug)]
enum Change {
    Write { offset: usize, bytes: Vec<u8> },
    Length(usize),
}

#[derive(Clone, Debug)]
enum NameChange {
    Made { name: String, file: usize },
    Renamed { from: String, to: String },
}

/// Which side of a call the power goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// The call does nothing any more.
    Before,
    /// The call is carried out, and nobody hears of it.
    After,
}

/// An open file of it.
#[derive(Debug)]
struct SimFile {
    disk: SimDisk,
    file: usize,
    /// Files that were open when the power went stay useless.
    life: u64,
}

// === impl SimDisk ===

impl Default for SimDisk {
    fn default() -> Self {
        Self::new()
    }
}

impl SimDisk {
    /// An empty directory.
    #[must_use]
    pub fn new() -> Self {
        Self(Arc::new(Mutex::new(State {
            files: Vec::new(),
            names: BTreeMap::new(),
            synced_names: BTreeMap::new(),
            unsynced_names: Vec::new(),
            life: 0,
            calls: 0,
            dies_at: None,
            fails_sync_in: None,
            failed_syncs: 0,
            is_dead: false,
        })))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The power goes at the call after so many more. All later calls fail until [`Self::crash`].
    pub fn die_in(&self, calls: u64, when: When) {
        let mut state = self.state();
        state.dies_at = Some((state.calls + calls, when));
    }

    /// The power goes now.
    pub fn die(&self) {
        self.state().is_dead = true;
    }

    /// The sync after so many more fails.
    pub fn fail_sync_in(&self, syncs: u64) {
        self.state().fails_sync_in = Some(syncs);
    }

    /// Syncs that failed so far.
    #[must_use]
    pub fn failed_syncs(&self) -> u64 {
        self.state().failed_syncs
    }

    /// True if the power is gone.
    #[must_use]
    pub fn is_dead(&self) -> bool {
        self.state().is_dead
    }

    /// Calls that were made: reads, writes, syncs, names.
    #[must_use]
    pub fn calls(&self) -> u64 {
        self.state().calls
    }

    /// The power goes and comes back: what was synced is there, and of the rest a drawn beginning.
    pub fn crash(&self, draw: Draw<'_>) {
        let mut state = self.state();
        for file in &mut state.files {
            file.lose(draw);
        }
        let kept = below(draw, state.unsynced_names.len());
        let changes: Vec<NameChange> = state.unsynced_names.drain(..).take(kept).collect();
        let mut names = std::mem::take(&mut state.synced_names);
        for change in changes {
            change.apply(&mut names);
        }
        state.names = names.clone();
        state.synced_names = names;
        state.is_dead = false;
        state.dies_at = None;
        state.fails_sync_in = None;
        state.life += 1;
    }

    /// Everything that is on it now, as a copy that somebody puts back later.
    #[must_use]
    pub fn copy(&self) -> Vec<(String, Vec<u8>)> {
        let state = self.state();
        let bytes =
            |(name, file): (&String, &usize)| (name.clone(), state.files[*file].bytes.clone());
        state.names.iter().map(bytes).collect()
    }

    /// Puts a copy back in place of everything, durably. The process that used the disk must be gone.
    pub fn put_back(&self, copy: &[(String, Vec<u8>)]) {
        let mut state = self.state();
        state.life += 1;
        state.files.clear();
        state.names.clear();
        for (file, (name, bytes)) in copy.iter().enumerate() {
            state.names.insert(name.clone(), file);
            state.files.push(FileState {
                bytes: bytes.clone(),
                synced: bytes.clone(),
                unsynced: Vec::new(),
            });
        }
        state.synced_names = state.names.clone();
        state.unsynced_names.clear();
    }

    /// One call: counted, and perhaps the last.
    fn call<T>(&self, act: impl FnOnce(&mut State) -> io::Result<T>) -> io::Result<T> {
        let mut state = self.state();
        if state.is_dead {
            return Err(io::Error::other("the power is gone"));
        }
        let dies = state.dies_at.filter(|(at, _)| *at <= state.calls);
        state.calls += 1;
        match dies {
            None => act(&mut state),
            Some((_, when)) => {
                if when == When::After {
                    let _ = act(&mut state);
                }
                state.is_dead = true;
                Err(io::Error::other("the power went"))
            }
        }
    }
}

/// From 0 to `all`, both included.
fn below(draw: Draw<'_>, all: usize) -> usize {
    usize::try_from(draw(all as u64 + 1)).expect("it is at most a usize")
}

impl State {
    /// Refuses a file that was opened before the last crash.
    fn is_of(&self, life: u64) -> io::Result<()> {
        if self.life == life {
            Ok(())
        } else {
            Err(io::Error::other("the file was opened before the crash"))
        }
    }

    /// True if this sync is the one that fails.
    fn sync_fails(&mut self) -> bool {
        match self.fails_sync_in {
            Some(0) => {
                self.fails_sync_in = None;
                self.failed_syncs += 1;
                true
            }
            Some(more) => {
                self.fails_sync_in = Some(more - 1);
                false
            }
            None => false,
        }
    }
}

impl Disk for SimDisk {
    fn open(&self, name: &str, opening: Opening) -> io::Result<Box<dyn DiskFile>> {
        let file = self.call(|state| {
            let known = state.names.get(name).copied();
            let file = match (known, opening) {
                (None, Opening::Existing) => return Err(io::ErrorKind::NotFound.into()),
                (Some(file), Opening::Existing | Opening::OrNew) => file,
                (Some(file), Opening::Emptied) => {
                    state.files[file].change(Change::Length(0));
                    file
                }
                (None, Opening::OrNew | Opening::Emptied) => {
                    state.files.push(FileState::default());
                    let change = NameChange::Made {
                        name: name.to_owned(),
                        file: state.files.len() - 1,
                    };
                    change.apply(&mut state.names);
                    state.unsynced_names.push(change);
                    state.files.len() - 1
                }
            };
            Ok(file)
        })?;
        Ok(Box::new(SimFile {
            disk: self.clone(),
            file,
            life: self.state().life,
        }))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.call(|state| {
            if !state.names.contains_key(from) {
                return Err(io::ErrorKind::NotFound.into());
            }
            let change = NameChange::Renamed {
                from: from.to_owned(),
                to: to.to_owned(),
            };
            change.apply(&mut state.names);
            state.unsynced_names.push(change);
            Ok(())
        })
    }

    fn sync_directory(&self) -> io::Result<()> {
        self.call(|state| {
            if state.sync_fails() {
                // What the kernel has dropped is lost with the next crash, whatever a later sync says.
                state.unsynced_names.clear();
                return Err(io::Error::from_raw_os_error(5));
            }
            let mut names = std::mem::take(&mut state.synced_names);
            for change in state.unsynced_names.drain(..) {
                change.apply(&mut names);
            }
            state.synced_names = names;
            Ok(())
        })
    }

    fn mode(&self) -> io::Result<u32> {
        Ok(0o700)
    }

    fn path(&self) -> &Path {
        Path::new("simulated")
    }
}

// === impl SimFile ===

impl SimFile {
    fn on_file<T>(&self, act: impl FnOnce(&mut FileState) -> io::Result<T>) -> io::Result<T> {
        let (file, life) = (self.file, self.life);
        self.disk.call(|state| {
            state.is_of(life)?;
            act(&mut state.files[file])
        })
    }

    fn sync(&self) -> io::Result<()> {
        let (file, life) = (self.file, self.life);
        self.disk.call(|state| {
            state.is_of(life)?;
            let fails = state.sync_fails();
            let file = &mut state.files[file];
            let changes = std::mem::take(&mut file.unsynced);
            if fails {
                return Err(io::Error::from_raw_os_error(5));
            }
            for change in changes {
                change.apply(&mut file.synced);
            }
            Ok(())
        })
    }
}

impl DiskFile for SimFile {
    fn lock(&self) -> io::Result<()> {
        Ok(())
    }

    fn mode(&self) -> io::Result<u32> {
        Ok(FILE_MODE)
    }

    fn length(&self) -> io::Result<u64> {
        self.on_file(|file| Ok(file.bytes.len() as u64))
    }

    fn read_exact_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<()> {
        self.on_file(|file| {
            let begin = usize::try_from(offset).map_err(io::Error::other)?;
            let part = file.bytes.get(begin..begin.saturating_add(bytes.len()));
            bytes.copy_from_slice(part.ok_or(io::ErrorKind::UnexpectedEof)?);
            Ok(())
        })
    }

    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let offset = usize::try_from(offset).map_err(io::Error::other)?;
        let bytes = bytes.to_vec();
        self.on_file(|file| {
            file.change(Change::Write { offset, bytes });
            Ok(())
        })
    }

    fn set_length(&self, length: u64) -> io::Result<()> {
        let length = usize::try_from(length).map_err(io::Error::other)?;
        self.on_file(|file| {
            file.change(Change::Length(length));
            Ok(())
        })
    }

    fn sync_data(&self) -> io::Result<()> {
        self.sync()
    }

    fn sync_all(&self) -> io::Result<()> {
        self.sync()
    }
}

// === impl FileState, Change, NameChange ===

impl FileState {
    fn change(&mut self, change: Change) {
        change.apply(&mut self.bytes);
        self.unsynced.push(change);
    }

    /// Keeps a drawn beginning of what was not synced, whose last write may be torn.
    fn lose(&mut self, draw: Draw<'_>) {
        let kept = below(draw, self.unsynced.len());
        for (number, change) in std::mem::take(&mut self.unsynced)
            .into_iter()
            .take(kept)
            .enumerate()
        {
            let is_last = number + 1 == kept;
            match change {
                Change::Write { offset, bytes } if is_last => {
                    let whole = below(draw, bytes.len());
                    let bytes = bytes[..whole].to_vec();
                    Change::Write { offset, bytes }.apply(&mut self.synced);
                }
                change => change.apply(&mut self.synced),
            }
        }
        self.bytes = self.synced.clone();
    }
}

impl Change {
    fn apply(&self, to: &mut Vec<u8>) {
        match self {
            Self::Write { offset, bytes } => {
                let end = offset + bytes.len();
                if to.len() < end {
                    to.resize(end, 0);
                }
                to[*offset..end].copy_from_slice(bytes);
            }
            Self::Length(length) => to.resize(*length, 0),
        }
    }
}

impl NameChange {
    fn apply(&self, to: &mut BTreeMap<String, usize>) {
        match self {
            Self::Made { name, file } => {
                to.insert(name.clone(), *file);
            }
            Self::Renamed { from, to: new } => {
                // Of two names of one file only the new one is left; a name that a crash took has nothing to give.
                if let Some(file) = to.remove(from) {
                    to.insert(new.clone(), file);
                }
            }
        }
    }
}
