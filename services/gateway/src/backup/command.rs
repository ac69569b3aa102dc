//! `paygate backup` and `paygate restore` as a person types them.
//!
//! Owns: arguments and what is printed. May not: hold logic of its own.

use std::path::PathBuf;

use clap::Args;

use super::{BackupError, RestoreError, make, put_back, report, verify};
use crate::config::Config;

/// Arguments of `paygate backup`.
#[derive(Debug, Args)]
pub struct BackupArgs {
    /// The configuration file
    #[arg(long, value_name = "FILE")]
    pub config: PathBuf,
    /// A folder, or the new file itself; the default is backup.dir. Nothing is overwritten
    #[arg(long, value_name = "DIR|FILE")]
    to: Option<PathBuf>,
    /// One JSON object instead of text
    #[arg(long)]
    json: bool,
}

/// Arguments of `paygate restore`.
#[derive(Debug, Args)]
pub struct RestoreArgs {
    /// The copy; its manifest lies beside it
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// The configuration file; with --verify alone it may be left out
    #[arg(long, value_name = "FILE", required_unless_present = "verify")]
    pub config: Option<PathBuf>,
    /// Only look at the copy, and say what a start with it will do
    #[arg(long)]
    verify: bool,
    /// Rename a database that is in the way, with its log
    #[arg(long, conflicts_with = "verify")]
    move_aside: bool,
    /// One JSON object instead of text
    #[arg(long)]
    json: bool,
}

/// Makes a copy and gives what is printed.
pub fn backup(args: &BackupArgs, config: &Config) -> Result<String, BackupError> {
    let (file, manifest) = make(config, args.to.as_deref())?;
    Ok(match args.json {
        true => format!("{}\n", report::made_json(&file, &manifest)),
        false => report::made(&file, &manifest),
    })
}

/// Looks at a copy, puts it back if that is asked for, and gives what is printed.
pub fn restore(args: &RestoreArgs, config: Option<&Config>) -> Result<String, RestoreError> {
    let verified = verify(&args.file, config)?;
    let put = match config.filter(|_| !args.verify) {
        Some(config) => Some(put_back(&verified, config, args.move_aside)?),
        None => None,
    };
    let window = config.map(|config| config.xrpl.last_ledger_window);
    Ok(match args.json {
        true => format!(
            "{}\n",
            report::looked_at_json(&verified, window, put.as_ref())
        ),
        false => report::looked_at(&verified, window, put.as_ref()),
    })
}
