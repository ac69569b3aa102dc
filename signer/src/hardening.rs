//! What the process gives up before it reads the key, and the memory that the key lies in.
//!
//! Owns every `unsafe` block of the signer, each with its reason. Nothing is believed: after a protection is asked for,
//! [`confine`] tries what it must prevent and reports what happened. May not decide to go on without one: only the
//! configuration can waive a protection, by its name.

#![expect(
    unsafe_code,
    reason = "locked memory is raw memory; the rest of the signer has no unsafe code"
)]

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::Command;
use std::ptr::NonNull;
use std::str::FromStr;

use landlock::{
    ABI, Access, AccessFs, AccessNet, PathBeneath, PathFd, Ruleset, RulesetAttr,
    RulesetCreatedAttr, Scope,
};
use rustix::mm::{Advice, MapFlags, MlockFlags, MprotectFlags, ProtFlags};
use rustix::process::{DumpableBehavior, Resource, Rlimit};
use seccompiler::{BpfProgram, SeccompAction, SeccompFilter, SeccompRule, TargetArch};

/// Landlock's version that is asked for; older kernels give what they have, and the trial shows whether it is enough.
const LANDLOCK_ABI: ABI = ABI::V6;

/// Set in the number of a system call of the x32 interface, which a filter on numbers would not see otherwise.
const X32_BIT: i64 = 0x4000_0000;

/// A protection with the name by which configuration waives it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Protection {
    /// No file outside the journal's directory.
    Landlock,
    /// No socket, no connection, no program.
    Seccomp,
    /// No privilege is ever gained.
    NoNewPrivs,
    /// No core dump, no tracer.
    NotDumpable,
    /// The key's memory is locked and left out of dumps.
    KeyMemory,
}

/// What was found by trying.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    failures: Vec<(Protection, String)>,
}

/// A protection does not hold and nobody waived it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "protection {protection} does not hold: {cause}; to run without it, add \"{protection}\" to hardening.waive"
)]
pub struct NotProtected {
    /// Which.
    pub protection: Protection,
    /// What went wrong.
    pub cause: String,
}

/// The text names no protection.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("is none of landlock, seccomp, no_new_privs, not_dumpable, key_memory")]
pub struct UnknownProtection;

/// The locked memory cannot be had.
#[derive(Debug, thiserror::Error)]
#[error("memory for the key cannot be had: {0}")]
pub struct LockedError(#[from] io::Error);

// === impl Protection ===

impl Protection {
    /// All of them.
    pub const ALL: [Protection; 5] = [
        Protection::Landlock,
        Protection::Seccomp,
        Protection::NoNewPrivs,
        Protection::NotDumpable,
        Protection::KeyMemory,
    ];
}

impl fmt::Display for Protection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Protection::Landlock => "landlock",
            Protection::Seccomp => "seccomp",
            Protection::NoNewPrivs => "no_new_privs",
            Protection::NotDumpable => "not_dumpable",
            Protection::KeyMemory => "key_memory",
        })
    }
}

impl FromStr for Protection {
    type Err = UnknownProtection;

    fn from_str(text: &str) -> Result<Protection, UnknownProtection> {
        Protection::ALL
            .into_iter()
            .find(|known| known.to_string() == text)
            .ok_or(UnknownProtection)
    }
}

// === impl Report ===

impl Report {
    /// Whether nothing spoke against it.
    pub fn holds(&self, protection: Protection) -> bool {
        self.failures
            .iter()
            .all(|(failed, _)| *failed != protection)
    }

    /// Adds a protection that does not hold.
    pub fn fail(&mut self, protection: Protection, cause: impl Into<String>) {
        self.failures.push((protection, cause.into()));
    }

    /// What does not hold, and why.
    pub fn failures(&self) -> &[(Protection, String)] {
        &self.failures
    }

    /// Refuses the first protection that neither holds nor is waived.
    pub fn require(&self, waived: &[Protection]) -> Result<(), NotProtected> {
        match self
            .failures
            .iter()
            .find(|(protection, _)| !waived.contains(protection))
        {
            Some((protection, cause)) => Err(NotProtected {
                protection: *protection,
                cause: cause.clone(),
            }),
            None => Ok(()),
        }
    }

    fn note(&mut self, protection: Protection, result: Result<(), String>) {
        if let Err(cause) = result {
            self.fail(protection, cause);
        }
    }
}

/// Gives everything up that the signer does not need, and tries whether it is gone.
///
/// To be called once, before the key is read and before any other thread exists: threads started later inherit it all.
pub fn confine(journal_directory: &Path) -> Report {
    let mut report = Report::default();
    // Opened before and read after, since afterwards it cannot be opened.
    let status = File::open("/proc/self/status");
    if let Ok(threads) = std::fs::read_dir("/proc/self/task")
        && threads.count() > 1
    {
        report.fail(
            Protection::Landlock,
            "other threads were started before, which it would not cover",
        );
    }
    report.note(Protection::NotDumpable, forbid_dumps());
    report.note(
        Protection::NoNewPrivs,
        rustix::thread::set_no_new_privs(true).map_err(|error| error.to_string()),
    );
    report.note(
        Protection::Landlock,
        restrict_files(journal_directory).map_err(|error| error.to_string()),
    );
    report.note(
        Protection::Seccomp,
        restrict_calls().map_err(|error| error.to_string()),
    );

    report.note(Protection::NotDumpable, try_dumpable());
    report.note(Protection::NoNewPrivs, try_privileges());
    report.note(Protection::Landlock, try_files());
    report.note(Protection::Seccomp, try_calls());
    if let Ok(status) = status {
        report.note(Protection::Seccomp, try_status(status));
    }
    report
}

/// For commands that see a key and need everything else: no core dump, no tracer.
pub fn hide_from_dumps() -> Result<(), NotProtected> {
    forbid_dumps()
        .and_then(|()| try_dumpable())
        .map_err(|cause| NotProtected {
            protection: Protection::NotDumpable,
            cause,
        })
}

// === what is given up ===

fn forbid_dumps() -> Result<(), String> {
    let none = Rlimit {
        current: Some(0),
        maximum: Some(0),
    };
    rustix::process::setrlimit(Resource::Core, none)
        .map_err(|error| format!("core limit: {error}"))?;
    rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable)
        .map_err(|error| error.to_string())
}

/// Files: the journal's directory, to read, write, create, rename and cut, and nothing else anywhere.
fn restrict_files(journal_directory: &Path) -> Result<(), Box<dyn std::error::Error>> {
    let allowed = AccessFs::ReadFile
        | AccessFs::WriteFile
        | AccessFs::MakeReg
        | AccessFs::RemoveFile
        | AccessFs::Truncate;
    Ruleset::default()
        .handle_access(AccessFs::from_all(LANDLOCK_ABI))?
        .handle_access(AccessNet::from_all(LANDLOCK_ABI))?
        .scope(Scope::from_all(LANDLOCK_ABI))?
        .create()?
        .add_rule(PathBeneath::new(PathFd::new(journal_directory)?, allowed))?
        .restrict_self()?;
    Ok(())
}

/// System calls: those below answer EPERM from now on. The list names ways out of the process, ways into others, and
/// ways around the filter itself; `socketpair` stays, which the runtime needs for signals.
fn restrict_calls() -> Result<(), Box<dyn std::error::Error>> {
    let architecture = TargetArch::try_from(std::env::consts::ARCH)?;
    let mut rules = std::collections::BTreeMap::<i64, Vec<SeccompRule>>::new();
    for call in DENIED_CALLS {
        rules.insert(*call, Vec::new());
        if cfg!(target_arch = "x86_64") {
            rules.insert(*call | X32_BIT, Vec::new());
        }
    }
    let refused = SeccompAction::Errno(libc::EPERM.cast_unsigned());
    let filter = SeccompFilter::new(rules, SeccompAction::Allow, refused, architecture)?;
    let program: BpfProgram = filter.try_into()?;
    seccompiler::apply_filter_all_threads(&program)?;
    Ok(())
}

const DENIED_CALLS: &[libc::c_long] = &[
    // To the network and to other sockets. What the signer listens on is bound before.
    libc::SYS_socket,
    libc::SYS_connect,
    libc::SYS_bind,
    libc::SYS_listen,
    // Other programs.
    libc::SYS_execve,
    libc::SYS_execveat,
    // Other processes, and this one from outside.
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_process_madvise,
    libc::SYS_pidfd_getfd,
    libc::SYS_kcmp,
    // Rings whose operations no filter sees.
    libc::SYS_io_uring_setup,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    // The kernel's insides.
    libc::SYS_bpf,
    libc::SYS_perf_event_open,
    libc::SYS_userfaultfd,
    libc::SYS_kexec_load,
    libc::SYS_kexec_file_load,
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_delete_module,
    libc::SYS_add_key,
    libc::SYS_request_key,
    libc::SYS_keyctl,
    // Other views of the file system.
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_move_mount,
    libc::SYS_fsopen,
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_fspick,
    libc::SYS_open_tree,
    libc::SYS_mount_setattr,
    libc::SYS_pivot_root,
    libc::SYS_chroot,
    libc::SYS_unshare,
    libc::SYS_setns,
    libc::SYS_name_to_handle_at,
    libc::SYS_open_by_handle_at,
    libc::SYS_quotactl,
    libc::SYS_swapon,
    libc::SYS_swapoff,
    // The machine.
    libc::SYS_reboot,
    libc::SYS_settimeofday,
    libc::SYS_clock_settime,
    libc::SYS_clock_adjtime,
    libc::SYS_adjtimex,
    libc::SYS_sethostname,
    libc::SYS_setdomainname,
    libc::SYS_acct,
    libc::SYS_personality,
];

// === what is tried ===

fn try_dumpable() -> Result<(), String> {
    let core = rustix::process::getrlimit(Resource::Core);
    if core.current != Some(0) || core.maximum != Some(0) {
        return Err("the core limit is not 0".into());
    }
    match rustix::process::dumpable_behavior() {
        Ok(DumpableBehavior::NotDumpable) => Ok(()),
        other => Err(format!("the process is {other:?}")),
    }
}

fn try_privileges() -> Result<(), String> {
    match rustix::thread::no_new_privs() {
        Ok(true) => Ok(()),
        other => Err(format!("no_new_privs is {other:?}")),
    }
}

/// Landlock answers EACCES; everybody may read these, so nothing else does.
fn try_files() -> Result<(), String> {
    let refused =
        |what: &str, error: Option<io::Error>| match error.and_then(|error| error.raw_os_error()) {
            Some(libc::EACCES) => Ok(()),
            Some(libc::ENOENT) if what != "/" => Ok(()),
            Some(other) => Err(format!("{what} answered error {other}")),
            None => Err(format!("{what} could be read")),
        };
    refused("/", std::fs::read_dir("/").err())?;
    refused("/etc/passwd", File::open("/etc/passwd").err())?;
    refused("/proc/self/environ", File::open("/proc/self/environ").err())
}

/// The filter answers EPERM before anything else is looked at.
fn try_calls() -> Result<(), String> {
    let refused =
        |what: &str, error: Option<io::Error>| match error.and_then(|error| error.raw_os_error()) {
            Some(libc::EPERM) => Ok(()),
            Some(other) => Err(format!("{what} answered error {other}")),
            None => Err(format!("{what} was possible")),
        };
    refused(
        "opening an inet socket",
        std::net::UdpSocket::bind(("127.0.0.1", 0)).err(),
    )?;
    let pair = UnixDatagram::pair()
        .map_err(|error| format!("socketpair is needed and answered {error}"))?;
    refused("connecting", pair.0.connect("/nonexistent").err())?;
    let started = Command::new("/bin/true")
        .spawn()
        .and_then(|mut child| child.wait());
    refused("executing a program", started.err())
}

fn try_status(mut status: File) -> Result<(), String> {
    let mut text = String::new();
    status
        .read_to_string(&mut text)
        .map_err(|error| format!("the process's status cannot be read: {error}"))?;
    let filtered = text
        .lines()
        .any(|line| line.split_whitespace().eq(["Seccomp:", "2"]));
    if filtered {
        Ok(())
    } else {
        Err("the process's status shows no filter".into())
    }
}

// === the key's memory ===

/// A value in a page of its own: between two pages that nobody can touch, locked into memory, left out of core dumps and
/// of forked processes, read-only once written, overwritten when dropped.
pub struct Locked<T> {
    mapping: NonNull<u8>,
    page_bytes: usize,
    locked: bool,
    value: NonNull<T>,
}

// SAFETY: a `Locked<T>` owns its value as a `Box<T>` does and hands out shared references only.
unsafe impl<T: Send> Send for Locked<T> {}
// SAFETY: as above; `get` is the only access, and it needs `T: Sync` to be used from several threads.
unsafe impl<T: Sync> Sync for Locked<T> {}

impl<T> Locked<T> {
    /// Moves the value there. The caller overwrites what the move left behind.
    pub fn new(value: T) -> Result<Locked<T>, LockedError> {
        let page_bytes = rustix::param::page_size();
        assert!(
            size_of::<T>() <= page_bytes && align_of::<T>() <= page_bytes,
            "a key is smaller than a page"
        );
        // SAFETY: a new private anonymous mapping at an address of the kernel's choice touches no memory in use.
        let mapping = unsafe {
            rustix::mm::mmap_anonymous(
                std::ptr::null_mut(),
                3 * page_bytes,
                ProtFlags::empty(),
                MapFlags::PRIVATE,
            )
        };
        let mapping = NonNull::new(mapping.map_err(io::Error::from)?.cast::<u8>())
            .expect("a mapping of the kernel's choice is never at address 0");
        // SAFETY: the mapping has three pages, so its second begins within it.
        let page = unsafe { mapping.add(page_bytes) };
        let mut this = Locked {
            mapping,
            page_bytes,
            locked: false,
            value: page.cast::<T>(),
        };
        this.protect(MprotectFlags::READ | MprotectFlags::WRITE)
            .inspect_err(|_| this.unmap())?;
        let address = page.as_ptr().cast();
        // SAFETY: the page is our own mapping; locking it and leaving it out of dumps and forks changes no content.
        this.locked = unsafe {
            rustix::mm::mlock_with(address, page_bytes, MlockFlags::empty()).is_ok()
                && rustix::mm::madvise(address, page_bytes, Advice::LinuxDontDump).is_ok()
                && rustix::mm::madvise(address, page_bytes, Advice::LinuxDontFork).is_ok()
        };
        // SAFETY: the page is writable, aligned to more than `T` needs, at least as large as `T`, and holds no value yet.
        unsafe { this.value.write(value) };
        this.protect(MprotectFlags::READ)?;
        Ok(this)
    }

    /// The value.
    pub fn get(&self) -> &T {
        // SAFETY: `new` wrote a value there, nothing writes it again before `drop`, and the page is readable.
        unsafe { self.value.as_ref() }
    }

    /// Whether the page is locked and left out of dumps and forks.
    pub fn is_locked(&self) -> bool {
        self.locked
    }

    fn protect(&self, access: MprotectFlags) -> io::Result<()> {
        // SAFETY: the second page is our own; no reference to the value outlives `self`.
        unsafe { rustix::mm::mprotect(self.value.as_ptr().cast(), self.page_bytes, access) }
            .map_err(io::Error::from)
    }

    fn unmap(&self) {
        // SAFETY: the mapping is our own, and both callers make no use of it afterwards.
        let unmapped =
            unsafe { rustix::mm::munmap(self.mapping.as_ptr().cast(), 3 * self.page_bytes) };
        debug_assert!(unmapped.is_ok(), "a mapping of our own can be unmapped");
    }
}

impl<T> Drop for Locked<T> {
    fn drop(&mut self) {
        if self
            .protect(MprotectFlags::READ | MprotectFlags::WRITE)
            .is_err()
        {
            // The page cannot be overwritten, only given back; the kernel clears it before anybody gets it.
            return self.unmap();
        }
        // SAFETY: the value was written by `new`, is dropped here once, and the page is writable and as long as it was.
        unsafe {
            self.value.drop_in_place();
            let page = self.value.as_ptr().cast::<u8>();
            for offset in 0..self.page_bytes {
                // Volatile, so that the compiler does not leave it out as a write that nobody reads.
                page.add(offset).write_volatile(0);
            }
        }
        self.unmap();
    }
}
