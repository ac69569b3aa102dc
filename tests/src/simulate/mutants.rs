//! Teeth: deliberate defects, each of which the simulation must catch.
//!
//! Owns: their list, the build that holds them, and one line for each. The defects stand beside the right lines, as
//! `xrpl_tx::mutant!("NAME")`, which is `false` in every build but the one that is made here, with `--cfg paygate_mutants` for the
//! workspace's own crates and in a target folder of its own. May not: know which seed or fault catches which.

use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A deliberate defect.
#[derive(Clone, Copy, Debug)]
pub struct Mutant {
    /// Its name in the code.
    pub name: &'static str,
    /// What is wrong with it.
    pub what: &'static str,
}

macro_rules! mutants {
    ($($name:literal: $what:literal,)*) => {
        /// All of them.
        pub const ALL: &[Mutant] = &[$(Mutant { name: $name, what: $what }),*];
    };
}

mutants! {
    "ask-before-binding": "the signer is asked before the binding is committed",
    "version-uncommitted": "the signer is asked for a version that is not the committed one",
    "sent-before-stored": "a blob is sent before its signature is stored",
    "past-seq-is-failed": "tefPAST_SEQ ends the payment",
    "timeout-is-failed": "an unanswered submit ends the payment",
    "searched-all-believed": "a transaction that the server does not find is dead",
    "unvalidated-is-dead": "a LastLedgerSequence that the open ledger has passed counts as passed",
    "absence-of-first-version": "absence is judged by the first version alone",
    "deadline-by-clock": "a deadline passes by the clock",
    "sequence-of-open-ledger": "the wallet's Sequence is taken from the open ledger",
    "attribution-by-hash": "a transaction is ours only if its hash is known",
    "slot-reused": "a slot is given to a second payment",
    "recovery-signs-new-slot": "what was at large is bound anew after a restart",
    "bump-after-cancel": "a version that pays is added after the cancel",
    "cancel-ends-at-once": "a cancel ends a payment that is at large",
    "ledger-skipped": "history is asked for from one ledger too late",
    "range-not-compared": "the range that the server searched is not compared",
    "one-server-believed": "one operator's word is enough",
    "epoch-unchecked": "the store takes commits of an older generation",
    "signer-believes-any-epoch": "the signer takes requests of an older generation",
    "quarantine-ended-early": "a quarantine ends at once",
    "freeze-ignored": "a frozen wallet goes on",
    "balance-ignored": "more is bound than the wallet holds",
    "fee-cap-ignored": "a version may cost what the servers ask",
    "tec-is-paid": "a transaction that only took the fee has paid",
    "network-unproven": "any server is taken for one of the wallet's network",
    "event-passed-over": "who watches misses the first change behind his cursor",
    "head-not-synced": "the journal's HEAD is renamed before its bytes are synced",
    "journal-not-synced": "a signature leaves before its frame is synced",
}

/// Set for the compiler's wrapper, which is this very program.
const WRAPPER_VARIABLE: &str = "PAYGATE_SIMULATE_IS_RUSTC";

/// If this process was started as the compiler's wrapper: what the compiler said. Only the workspace's own crates come here.
#[must_use]
pub fn as_compiler() -> Option<io::Result<bool>> {
    std::env::var_os(WRAPPER_VARIABLE)?;
    let mut arguments = std::env::args_os().skip(1);
    let rustc = arguments.next()?;
    let status = Command::new(rustc)
        .args(arguments)
        .args(["--cfg", "paygate_mutants"])
        .env_remove(WRAPPER_VARIABLE)
        .status();
    Some(status.map(|status| status.success()))
}

/// Builds this program with the defects in it, as it was built itself, and says where it is.
pub fn build() -> io::Result<PathBuf> {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let own = std::env::current_exe()?;
    let profile = own.parent().and_then(Path::file_name).unwrap_or_default();
    let is_release = profile == "release";
    // Beside the folder that this program was built into.
    let target = own.ancestors().nth(2).unwrap_or(&workspace).join("mutants");
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo
        .current_dir(&workspace)
        .args(["build", "--package", "paygate-tests", "--bin", "simulate"])
        .args(is_release.then_some("--release"))
        .env("CARGO_TARGET_DIR", &target)
        .env("RUSTC_WORKSPACE_WRAPPER", &own)
        .env(WRAPPER_VARIABLE, "1");
    if !cargo.status()?.success() {
        return Err(io::Error::other("the build with the defects failed"));
    }
    let folder = if is_release { "release" } else { "debug" };
    Ok(target.join(folder).join("simulate"))
}

/// Puts a defect to work in this process. False: this build holds none.
#[must_use]
pub fn choose(mutant: &Mutant) -> bool {
    #[cfg(paygate_mutants)]
    {
        xrpl_tx::mutants::choose(mutant.name);
        true
    }
    #[cfg(not(paygate_mutants))]
    {
        let _ = mutant;
        false
    }
}

/// Where the table begins and ends in the page about it.
const TABLE: (&str, &str) = ("<!-- table -->\n", "<!-- end of table -->");

/// Writes what became of all of them, one line each in their order, into the page about them.
pub fn write_table(lines: &[String]) -> io::Result<()> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/simulate/mutants.md");
    let page = std::fs::read_to_string(&path)?;
    let parts = page.split_once(TABLE.0).and_then(|(before, rest)| {
        let (_, after) = rest.split_once(TABLE.1)?;
        Some((before, after))
    });
    let (before, after) = parts.ok_or_else(|| io::Error::other("it has no place for a table"))?;
    let mut table =
        "| defect | what is wrong with it | what became of it |\n|---|---|---|\n".to_owned();
    for (mutant, line) in ALL.iter().zip(lines) {
        let became = line.strip_prefix(mutant.name).unwrap_or(line).trim();
        table.push_str(&format!(
            "| {} | {} | {became} |\n",
            mutant.name, mutant.what
        ));
    }
    std::fs::write(
        path,
        format!("{before}{}{table}{}{after}", TABLE.0, TABLE.1),
    )
}

/// The name of the invariant in a violation's words; the words themselves if none is named.
#[must_use]
pub fn caught_by(violation: &str) -> String {
    let named = violation
        .split_once("invariant ")
        .and_then(|(_, rest)| rest.split_once("):"));
    let words = violation
        .split_once(": ")
        .map_or(violation, |(_, words)| words);
    match named {
        Some((invariant, _)) => format!("{invariant})"),
        None => words.chars().take(80).collect(),
    }
}
