//! Setting up a wallet: the conversation in which a key is made, taken over, shown or sealed anew.
//!
//! Owns what a person is asked and told. May not: send anything anywhere, or leave anything behind unless it went to its end; the keystore
//! is written last, whole or not at all. A new seed appears once, on a terminal, on a screen that is then taken away.

mod terminal;

use std::path::{Path, PathBuf};

use clap::{Subcommand, ValueEnum};
use zeroize::Zeroizing;

use crate::hardening::{self, NotProtected};
use crate::keys::keystore::{
    Keystore, KeystoreError, PASSPHRASE_BYTES_MAX, PASSPHRASE_CHARACTERS_MIN, Passphrase,
};
use crate::keys::private::{PrivateError, PrivateFile};
use crate::keys::seed::{Family, Seed, SeedError};

use terminal::{Terminal, TerminalError};

/// What a person must type before a key is made or taken over.
const WORDS: &str = "I UNDERSTAND";

/// How often two passphrases may differ.
const TRIES: u32 = 3;

/// Characters of the seed that a person types to show that it was written down.
const SHOWN_BACK: usize = 6;

/// Longest line that is typed in the open.
const LINE_BYTES_MAX: usize = 200;

/// What may be done with a keystore.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Make a new key for a wallet and seal it into a keystore. Needs a terminal and a person.
    Init {
        /// The keystore to write. It must not be there.
        #[arg(long, value_name = "FILE")]
        keystore: PathBuf,
        /// How the key follows from the seed.
        #[arg(long, value_enum, default_value_t = FamilyName::Ed25519)]
        family: FamilyName,
        /// Take the passphrase from this private file instead of asking for it.
        #[arg(long, value_name = "FILE")]
        passphrase_file: Option<PathBuf>,
    },
    /// Seal a seed that you have into a keystore. Needs a terminal and a person.
    Import {
        /// The keystore to write. It must not be there.
        #[arg(long, value_name = "FILE")]
        keystore: PathBuf,
        /// Take the seed from this private file instead of asking for it.
        #[arg(long, value_name = "FILE")]
        seed_file: Option<PathBuf>,
        /// Take the passphrase from this private file instead of asking for it.
        #[arg(long, value_name = "FILE")]
        passphrase_file: Option<PathBuf>,
    },
    /// Show address and public key of a keystore; with a passphrase, also whether it opens. Never the seed.
    Show {
        /// The keystore.
        #[arg(long, value_name = "FILE")]
        keystore: PathBuf,
        /// Try this private file's passphrase.
        #[arg(long, value_name = "FILE")]
        passphrase_file: Option<PathBuf>,
    },
    /// Seal the same key with another passphrase. The old keystore is replaced; copies of it keep the old passphrase.
    Rekey {
        /// The keystore.
        #[arg(long, value_name = "FILE")]
        keystore: PathBuf,
        /// Take the present passphrase from this private file instead of asking for it.
        #[arg(long, value_name = "FILE")]
        passphrase_file: Option<PathBuf>,
        /// Take the new passphrase from this private file instead of asking for it.
        #[arg(long, value_name = "FILE")]
        new_passphrase_file: Option<PathBuf>,
    },
}

/// How a key follows from a seed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum FamilyName {
    /// `sEd...`, the usual choice
    Ed25519,
    /// `s...`, for tools that know nothing else
    Secp256k1,
}

/// Why nothing was done.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// There is no person, or he has gone.
    #[error(transparent)]
    Terminal(#[from] TerminalError),
    /// Other words.
    #[error("aborted: the words were not typed; nothing was written")]
    NotUnderstood,
    /// The seed is not at hand.
    #[error(
        "aborted: these are not the last {SHOWN_BACK} characters of the seed; nothing was written, forget that seed"
    )]
    NotWrittenDown,
    /// Two passphrases differ, again and again.
    #[error("aborted: the passphrases differ; nothing was written")]
    PassphrasesDiffer,
    /// The keystore.
    #[error(transparent)]
    Keystore(#[from] KeystoreError),
    /// A private file.
    #[error(transparent)]
    File(#[from] PrivateError),
    /// The seed.
    #[error(transparent)]
    Seed(#[from] SeedError),
    /// The process could be read by others.
    #[error(transparent)]
    NotProtected(#[from] NotProtected),
}

/// Does what was asked.
pub fn run(command: &Command) -> Result<(), SetupError> {
    hardening::hide_from_dumps()?;
    match command {
        Command::Init {
            keystore,
            family,
            passphrase_file,
        } => init(keystore, family.family(), passphrase_file.as_deref()),
        Command::Import {
            keystore,
            seed_file,
            passphrase_file,
        } => import(keystore, seed_file.as_deref(), passphrase_file.as_deref()),
        Command::Show {
            keystore,
            passphrase_file,
        } => show(keystore, passphrase_file.as_deref()),
        Command::Rekey {
            keystore,
            passphrase_file,
            new_passphrase_file,
        } => rekey(
            keystore,
            passphrase_file.as_deref(),
            new_passphrase_file.as_deref(),
        ),
    }
}

fn init(path: &Path, family: Family, passphrase: Option<&Path>) -> Result<(), SetupError> {
    let terminal = Terminal::open()?;
    refuse_existing(path)?;
    understood(&terminal)?;
    let passphrase = new_passphrase(&terminal, passphrase)?;
    let seed = Seed::random(family)?;
    show_once(&terminal, &seed)?;
    let keystore = Keystore::seal(&seed, &passphrase)?;
    keystore.create(path)?;
    recommend(&terminal, path, &keystore)
}

fn import(
    path: &Path,
    seed_file: Option<&Path>,
    passphrase: Option<&Path>,
) -> Result<(), SetupError> {
    let terminal = Terminal::open()?;
    refuse_existing(path)?;
    understood(&terminal)?;
    let seed = match seed_file {
        Some(file) => Seed::read(PrivateFile::open("seed file", file)?)?,
        None => {
            let typed = terminal.hidden("The seed (s... or sEd..., it is not shown): ", 64)?;
            Seed::parse(typed.trim_ascii())?
        }
    };
    let passphrase = new_passphrase(&terminal, passphrase)?;
    let keystore = Keystore::seal(&seed, &passphrase)?;
    keystore.create(path)?;
    recommend(&terminal, path, &keystore)?;
    if seed_file.is_some() {
        terminal.say("The seed file is still there. Once a payment has gone through, destroy it and every copy.\n")?;
    }
    Ok(())
}

fn show(path: &Path, passphrase: Option<&Path>) -> Result<(), SetupError> {
    let keystore = Keystore::read(PrivateFile::open("keystore", path)?)?;
    let mut text = format!(
        "address     {}\npublic key  {}\nfamily      {}\n",
        keystore.address(),
        keystore.public_key_hex(),
        keystore.family(),
    );
    if let Some(file) = passphrase {
        let passphrase = Passphrase::read(PrivateFile::open("passphrase file", file)?)?;
        keystore.open(&passphrase)?;
        text.push_str("it opens with the passphrase\n");
    }
    terminal::print(&text).map_err(TerminalError::from)?;
    Ok(())
}

fn rekey(path: &Path, old: Option<&Path>, new: Option<&Path>) -> Result<(), SetupError> {
    let keystore = Keystore::read(PrivateFile::open("keystore", path)?)?;
    let terminal = Terminal::open()?;
    let old = match old {
        Some(file) => Passphrase::read(PrivateFile::open("passphrase file", file)?)?,
        None => {
            Passphrase::new(terminal.hidden("The present passphrase: ", PASSPHRASE_BYTES_MAX)?)?
        }
    };
    let seed = keystore.open(&old)?;
    let new = new_passphrase(&terminal, new)?;
    Keystore::seal(&seed, &new)?.replace(path)?;
    terminal.say(&format!(
        "{} is sealed with the new passphrase. Older copies of it, in backups too, still open with the old one.\n",
        path.display()
    ))?;
    Ok(())
}

// === parts of the conversation ===

/// Asked before anything else: nobody should write a seed down for nothing.
fn refuse_existing(path: &Path) -> Result<(), SetupError> {
    if path.symlink_metadata().is_ok() {
        let path = path.display().to_string();
        return Err(KeystoreError::Exists { path }.into());
    }
    Ok(())
}

fn understood(terminal: &Terminal) -> Result<(), SetupError> {
    terminal.say(
        "This sets up the key of a hot wallet. Whoever has this key, or the seed it comes from, can take everything\n\
         that the wallet holds, at once and for good: the XRP Ledger knows no way back. If keystore and seed are both\n\
         lost, so is the money. Do this on a machine that you trust, with nobody looking over your shoulder.\n\n",
    )?;
    let typed = terminal.line(&format!("Type {WORDS} to go on: "), LINE_BYTES_MAX)?;
    if typed.trim_ascii() == WORDS.as_bytes() {
        Ok(())
    } else {
        Err(SetupError::NotUnderstood)
    }
}

fn new_passphrase(terminal: &Terminal, file: Option<&Path>) -> Result<Passphrase, SetupError> {
    if let Some(file) = file {
        return Ok(Passphrase::read(PrivateFile::open(
            "passphrase file",
            file,
        )?)?);
    }
    for _ in 0..TRIES {
        let question = format!(
            "A new passphrase, at least {PASSPHRASE_CHARACTERS_MIN} characters (it is not shown): "
        );
        let first = match Passphrase::new(terminal.hidden(&question, PASSPHRASE_BYTES_MAX)?) {
            Ok(first) => first,
            Err(error) => {
                terminal.say(&format!("{error}\n"))?;
                continue;
            }
        };
        let second = terminal.hidden("The same again: ", PASSPHRASE_BYTES_MAX)?;
        match Passphrase::new(second) {
            Ok(second) if second.is(&first) => return Ok(first),
            Ok(_) | Err(_) => terminal.say("They differ.\n")?,
        }
    }
    Err(SetupError::PassphrasesDiffer)
}

/// The only time that a seed is shown: on the terminal's other screen, which takes it along when it goes.
fn show_once(terminal: &Terminal, seed: &Seed) -> Result<(), SetupError> {
    let written = seed.written();
    let typed = {
        let screen = terminal.other_screen()?;
        screen.say("Write this seed down on paper, twice, and keep the papers in two places. It is shown only now:\n\n    ")?;
        screen.say(&written)?;
        screen.say("\n\n")?;
        let question = format!("Then type its last {SHOWN_BACK} characters: ");
        screen.hidden(&question, LINE_BYTES_MAX)?
    };
    let last: Zeroizing<Vec<u8>> =
        Zeroizing::new(written.as_bytes()[written.len() - SHOWN_BACK..].to_vec());
    if typed.trim_ascii() == last.as_slice() {
        Ok(())
    } else {
        Err(SetupError::NotWrittenDown)
    }
}

fn recommend(terminal: &Terminal, path: &Path, keystore: &Keystore) -> Result<(), SetupError> {
    terminal.say(&format!(
        "\n{path} holds the sealed key.\n\n\
         address     {address}\npublic key  {public}\n\n\
         In signer.toml:\n\n    [wallet]\n    keystore_file = \"{path}\"\n    passphrase_file = \"/run/secrets/keystore-passphrase\"\n\n\
         Before real money is sent there:\n\
         - Fund it with little: what one or two days of payments need. Refill it from a wallet that is offline.\n\
         - Better than this key as master key: give the wallet's account this one as regular key (SetRegularKey), keep the master key\n\
         \x20 cold, disable it (AccountSet, asfDisableMaster), and set wallet.address. A lost regular key can then be replaced.\n\
         - Put the cold wallets behind it under multi-signing (SignerListSet).\n\
         - Turn RequireDest on (AccountSet, asfRequireDest) if what comes in must be told apart by tags.\n\
         - Back up keystore and passphrase apart from each other, and try the backup: paygate-signer show.\n",
        path = path.display(),
        address = keystore.address(),
        public = keystore.public_key_hex(),
    ))?;
    Ok(())
}

impl FamilyName {
    fn family(self) -> Family {
        match self {
            FamilyName::Ed25519 => Family::Ed25519,
            FamilyName::Secp256k1 => Family::Secp256k1,
        }
    }
}
