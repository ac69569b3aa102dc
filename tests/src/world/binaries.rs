//! The programs under test, built by cargo with the profile and into the target directory of whoever asks.
//!
//! Owns: the nested cargo call. May not: search for programs anywhere else, as an old one would be tested by mistake.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;

/// The workspace's root, from where cargo is called.
const WORKSPACE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

/// Where the programs are.
#[derive(Clone, Debug)]
pub struct Binaries {
    /// `paygate`.
    pub gateway: PathBuf,
    /// `paygate-signer`.
    pub signer: PathBuf,
    /// `xrpl-sim`.
    pub ledger: PathBuf,
    /// `paygatectl`.
    pub ctl: PathBuf,
}

/// Why there are none.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// Cargo, or this program's own place, cannot be found.
    #[error("cannot build the programs: {0}")]
    Io(#[from] io::Error),
    /// This program lies where cargo puts none.
    #[error("{0} is in no target directory of cargo: run it by cargo")]
    NotInTarget(PathBuf),
    /// Cargo has failed and has said why.
    #[error("cargo build failed with {0}; what it said is above")]
    Failed(std::process::ExitStatus),
}

/// Builds the programs, once in a process. Cargo's words go to standard error.
pub fn build() -> Result<Binaries, BuildError> {
    static BUILT: Mutex<Option<Binaries>> = Mutex::new(None);
    // A thread that panicked while it built has left None: the next one builds.
    let mut built = BUILT
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner);
    if let Some(binaries) = &*built {
        return Ok(binaries.clone());
    }
    let own = std::env::current_exe()?;
    let profile_directory =
        profile_directory(&own).ok_or_else(|| BuildError::NotInTarget(own.clone()))?;
    cargo_build(&profile_directory)?;
    let binaries = Binaries {
        gateway: profile_directory.join("paygate"),
        signer: profile_directory.join("paygate-signer"),
        ledger: profile_directory.join("xrpl-sim"),
        ctl: profile_directory.join("paygatectl"),
    };
    *built = Some(binaries.clone());
    Ok(binaries)
}

/// `TARGET/debug` for `TARGET/debug/devnet` and for `TARGET/debug/deps/payment-0123`.
fn profile_directory(own: &Path) -> Option<PathBuf> {
    let parent = own.parent()?;
    let profile = if parent.ends_with("deps") {
        parent.parent()?
    } else {
        parent
    };
    Some(profile.to_owned())
}

fn cargo_build(profile_directory: &Path) -> Result<(), BuildError> {
    let unplaced = || BuildError::NotInTarget(profile_directory.to_owned());
    let target = profile_directory.parent().ok_or_else(unplaced)?;
    let profile = match profile_directory
        .file_name()
        .and_then(|name| name.to_str())
        .ok_or_else(unplaced)?
    {
        "debug" => "dev",
        other => other,
    };
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo"));
    // The whole workspace is selected so that features are unified as in the build of this very program, which leaves
    // nothing to build twice; of it only four programs are built.
    let mut command = Command::new(cargo);
    // What cargo told this program about its own package; build scripts that look at it would run again for nothing, and
    // half the tree would be compiled anew each time.
    let about_us = |name: &OsString| {
        let name = name.to_string_lossy();
        name.starts_with("CARGO_PKG_")
            || name.starts_with("CARGO_MANIFEST_")
            || name.starts_with("CARGO_BIN_")
    };
    for (name, _) in std::env::vars_os().filter(|(name, _)| about_us(name)) {
        command.env_remove(name);
    }
    let status = command
        .current_dir(WORKSPACE)
        .args([
            "build",
            "--workspace",
            "--bin",
            "paygate",
            "--bin",
            "paygate-signer",
            "--bin",
            "xrpl-sim",
            "--bin",
            "paygatectl",
        ])
        .args(["--profile", profile, "--target-dir"])
        .arg(target)
        .stdin(Stdio::null())
        // Standard output belongs to the caller's own result.
        .stdout(Stdio::from(io::stderr()))
        .status()?;
    if status.success() {
        Ok(())
    } else {
        Err(BuildError::Failed(status))
    }
}
