//! Named points in the life of a real process, at which a story ends it or lets a call fail.
//!
//! Owns: building `tests/points/points.c` with the system's C compiler, one page of memory shared with each process, and
//! what of a buffer makes a passage count. May not: touch the programs under test; they are the shipped ones.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::World;
use super::process::Role;

/// The library's source.
const SOURCE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/points/points.c");

/// The page, as the library has it: sixteen numbers, then the points.
const PAGE_BYTES: u64 = 16_384;
const HEADER_BYTES: u64 = 16 * 8;
const NAME_BYTES: usize = 48;
const MARK_BYTES: usize = 48;
const POINT_BYTES: u64 = NAME_BYTES as u64 + 3 * 8 + MARK_BYTES as u64;
const POINTS_MAX: u64 = 64;

/// Numbers in the header.
const ARMED: u64 = 0;
const REMAINING: u64 = 8;
const ACTION: u64 = 16;
const ACTED: u64 = 24;
const LEDGER_PORT: u64 = 32;
const CALLER_PORT: u64 = 40;

/// Numbers of a point.
const PASSAGES: u64 = NAME_BYTES as u64;
const BYTES_MIN: u64 = PASSAGES + 8;
const MARK_LENGTH: u64 = BYTES_MIN + 8;
const MARK: u64 = MARK_LENGTH + 8;

/// What happens at a point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// The process is killed there, with SIGKILL.
    Kill,
    /// The call fails as on a disk that is broken, and nothing is done.
    BrokenDisk,
    /// The call fails as on a disk that is full, and nothing is done.
    FullDisk,
}

/// Why there are no points.
#[derive(Debug, thiserror::Error)]
pub enum PointsError {
    /// No compiler, or no room.
    #[error("the library of named points: {0}")]
    Io(#[from] io::Error),
    /// The compiler has failed and has said why.
    #[error("cc failed on {SOURCE}:\n{0}")]
    Compiler(String),
}

/// The library, and the pages of the three processes.
#[derive(Debug)]
pub struct Points {
    library: PathBuf,
    folder: PathBuf,
    pages: [File; 3],
}

impl Points {
    /// Compiles the library into a folder and makes the pages beside it.
    pub fn build(folder: &Path) -> Result<Points, PointsError> {
        let library = folder.join("points.so");
        let compiled = Command::new("cc")
            .args(["-shared", "-fPIC", "-O1", "-Wall", "-Wextra", "-o"])
            .args([&library, Path::new(SOURCE)])
            .arg("-ldl")
            .output()?;
        if !compiled.status.success() {
            let said = String::from_utf8_lossy(&compiled.stderr).into_owned();
            return Err(PointsError::Compiler(said));
        }
        let page = |role: Role| -> io::Result<File> {
            let page = OpenOptions::new()
                .read(true)
                .write(true)
                .create(true)
                .truncate(true)
                .open(page_path(folder, role))?;
            page.set_len(PAGE_BYTES)?;
            Ok(page)
        };
        Ok(Points {
            pages: [
                page(Role::Gateway)?,
                page(Role::Signer)?,
                page(Role::Ledger)?,
            ],
            folder: folder.to_owned(),
            library,
        })
    }

    /// The variables with which a process passes points.
    pub fn variables(&self, role: Role) -> Vec<(String, String)> {
        let page = page_path(&self.folder, role);
        [
            ("LD_PRELOAD", self.library.display().to_string()),
            ("POINTS_ROLE", role.name().to_owned()),
            ("POINTS_PAGE", page.display().to_string()),
        ]
        .map(|(key, value)| (key.to_owned(), value))
        .to_vec()
    }

    /// Tells the processes which connections are the ledger's and which the callers'.
    pub fn name_ports(&self, world: &World) {
        let port = |address: &str| -> u64 {
            let digits = address.rsplit(':').next().unwrap_or_default();
            digits
                .trim_end_matches('/')
                .parse()
                .expect("an address ends with a port")
        };
        for page in &self.pages {
            put(page, LEDGER_PORT, port(world.ledger_urls().0));
            put(page, CALLER_PORT, port(&world.listeners().grpc));
        }
    }

    /// Lets a passage count only if the buffer holds these bytes and has at least so many.
    pub fn count_only(&self, point: &str, mark: &[u8], bytes_min: u64) {
        assert!(
            mark.len() <= MARK_BYTES,
            "a mark has at most {MARK_BYTES} bytes"
        );
        let (page, at) = self.find(point);
        page.write_all_at(mark, at + MARK)
            .expect("the page takes a mark");
        put(page, at + MARK_LENGTH, mark.len() as u64);
        put(page, at + BYTES_MIN, bytes_min);
    }

    /// From now on the point acts at its n-th passage, once.
    pub fn arm(&self, point: &str, passage: u64, action: Action) {
        let (page, at) = self.find(point);
        put(page, REMAINING, passage);
        put(page, ACTED, 0);
        let action = match action {
            Action::Kill => 1,
            Action::BrokenDisk => 2,
            Action::FullDisk => 3,
        };
        put(page, ACTION, action);
        // Last, so that a process that passes just now finds the rest.
        put(page, ARMED, (at - HEADER_BYTES) / POINT_BYTES + 1);
    }

    /// The passage, of all lives of the process, at which the armed point has acted.
    pub fn acted_at(&self, point: &str) -> Option<u64> {
        let passage = get(self.find(point).0, ACTED);
        (passage != 0).then_some(passage)
    }

    /// How often the point was passed, over all lives of its process.
    pub fn passages(&self, point: &str) -> u64 {
        let (page, at) = self.find(point);
        get(page, at + PASSAGES)
    }

    /// Every point of every process that was started.
    pub fn names(&self) -> Vec<String> {
        let places = (0..POINTS_MAX).map(|number| HEADER_BYTES + number * POINT_BYTES);
        let named = places.flat_map(|at| self.pages.iter().map(move |page| name(page, at)));
        let mut names: Vec<String> = named.filter(|name| !name.is_empty()).collect();
        names.sort();
        names.dedup();
        names
    }

    fn find(&self, point: &str) -> (&File, u64) {
        let role = Role::of_point(point);
        let page = &self.pages[role as usize];
        let place = (0..POINTS_MAX)
            .map(|number| HEADER_BYTES + number * POINT_BYTES)
            .find(|at| name(page, *at) == point);
        (
            page,
            place.unwrap_or_else(|| panic!("the library knows no point {point}")),
        )
    }
}

impl Role {
    /// The process whose life the point is in.
    pub fn of_point(point: &str) -> Role {
        [Role::Gateway, Role::Signer, Role::Ledger]
            .into_iter()
            .find(|role| {
                point
                    .strip_prefix(role.name())
                    .is_some_and(|rest| rest.starts_with('.'))
            })
            .unwrap_or_else(|| panic!("point {point} begins with no process"))
    }
}

fn page_path(folder: &Path, role: Role) -> PathBuf {
    folder.join(format!("{}.page", role.name()))
}

fn name(page: &File, at: u64) -> String {
    let mut bytes = [0; NAME_BYTES];
    page.read_exact_at(&mut bytes, at)
        .expect("the page is there");
    let text: Vec<u8> = bytes.into_iter().take_while(|byte| *byte != 0).collect();
    String::from_utf8(text).expect("names of points are ASCII")
}

/// The library maps the page in the machine's own byte order.
fn put(page: &File, at: u64, value: u64) {
    page.write_all_at(&value.to_ne_bytes(), at)
        .expect("the page takes a number");
}

fn get(page: &File, at: u64) -> u64 {
    let mut bytes = [0; 8];
    page.read_exact_at(&mut bytes, at)
        .expect("the page is there");
    u64::from_ne_bytes(bytes)
}

/// A folder of a fixed size, as a disk that can be filled. Gone when dropped.
pub struct SmallDisk {
    folder: PathBuf,
}

impl SmallDisk {
    /// Mounts one; None where this user may not mount.
    pub fn mount(folder: &Path, kib: u32) -> io::Result<Option<SmallDisk>> {
        fs::create_dir_all(folder)?;
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o"])
            .arg(format!("size={kib}k,mode=0700"))
            .arg("small-disk")
            .arg(folder)
            .output()?;
        Ok(mounted.status.success().then(|| SmallDisk {
            folder: folder.to_owned(),
        }))
    }

    /// Takes all the room that is left.
    pub fn fill(&self) -> io::Result<()> {
        let ballast = File::create(self.folder.join("ballast"))?;
        let chunk = [0; 4096];
        let mut at = 0;
        loop {
            match ballast.write_at(&chunk, at) {
                Ok(written) => at += written as u64,
                Err(error) if error.kind() == io::ErrorKind::StorageFull => return Ok(()),
                Err(error) => return Err(error),
            }
        }
    }

    /// Gives it back.
    pub fn make_room(&self) -> io::Result<()> {
        fs::remove_file(self.folder.join("ballast"))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily: a process that has just been killed may still be letting go of its files.
        let _ = Command::new("umount").arg("-l").arg(&self.folder).output();
    }
}
