//! `paygatectl token new`: makes a token, shows it once, and prints what the gateway's file needs of it.
//!
//! Owns: the only place that makes a secret. May not: send it, or write it anywhere but where it was told to.

use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;

use clap::{Args, Subcommand};
use ring::digest::{SHA256, digest};
use ring::rand::{SecureRandom as _, SystemRandom};

use super::exit::Exit;
use super::out::{note, print};

/// 256 bits cannot be guessed.
const SECRET_BYTES: usize = 32;

/// Longest id, as the gateway takes it.
const ID_BYTES_MAX: usize = 32;

const NEW_HELP: &str = "\
Examples:
  paygatectl token new --id shop-2026-11 --client shop --expires 2027-05-01T00:00:00Z --out shop.token
  paygatectl token new --id shop-2027-05 --client shop --out shop.token.new

Nothing is sent: append the printed entry to the gateway's security.tokens_file, which it reads again by itself. Two tokens may name
one client: to rotate, add the new entry, give the caller the new token, and remove the old entry (or set revoked = true) when
nobody shows it any more. Without --out the token is printed to standard output, this once; the gateway has only its hash.";

#[derive(Debug, Subcommand)]
pub(crate) enum Token {
    /// Make a token.
    #[command(after_help = NEW_HELP)]
    New(New),
}

#[derive(Debug, Args)]
pub(crate) struct New {
    /// Its name, in logs and in the gateway's file: 1 to 32 of a-z 0-9 -.
    #[arg(long, value_parser = token_id)]
    id: String,
    /// The client that it is for, as the gateway's configuration names it.
    #[arg(long, value_name = "CLIENT_ID", value_parser = super::parse::payment_id)]
    client: String,
    /// When it ends, like 2027-05-01T00:00:00Z. Without it, never.
    #[arg(long, value_name = "TIME", value_parser = expires)]
    expires: Option<String>,
    /// A new file for the token, readable by you alone. Without it the token is printed.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

fn token_id(text: &str) -> Result<String, String> {
    let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    match !text.is_empty() && text.len() <= ID_BYTES_MAX && text.bytes().all(allowed) {
        true => Ok(text.to_owned()),
        false => Err(format!("an id has 1 to {ID_BYTES_MAX} of a-z 0-9 -")),
    }
}

fn expires(text: &str) -> Result<String, String> {
    match text.parse::<prost_types::Timestamp>() {
        Ok(_) => Ok(text.to_owned()),
        Err(_) => Err("no time like 2027-05-01T00:00:00Z".to_owned()),
    }
}

/// Makes it.
pub(crate) fn run(token: &Token) -> Exit {
    let Token::New(new) = token;
    match make(new) {
        Ok(text) => match print(&text) {
            Ok(()) => Exit::Done,
            Err(_) => Exit::Refused,
        },
        Err(error) => {
            note(format_args!("paygatectl: {error}"));
            Exit::Usage
        }
    }
}

/// What is printed. The secret is in it only if there is no file for it.
fn make(new: &New) -> io::Result<String> {
    let mut secret = [0; SECRET_BYTES];
    SystemRandom::new()
        .fill(&mut secret)
        .map_err(|_| io::Error::other("the system gives no random bytes"))?;
    let token = format!("pgt_{}_{}", new.id, hex(&secret));
    let mut entry = format!(
        "[[tokens]]\nid = \"{}\"\nclient_id = \"{}\"\nsha256 = \"{}\"\n",
        new.id,
        new.client,
        hex(digest(&SHA256, token.as_bytes()).as_ref()),
    );
    if let Some(expires) = &new.expires {
        entry.push_str(&format!("expires = \"{expires}\"\n"));
    }
    match &new.out {
        None => Ok(format!("{token}\n\n{entry}")),
        Some(path) => {
            // Never over an old one: a caller may be using it.
            let mut file = OpenOptions::new()
                .write(true)
                .create_new(true)
                .mode(0o600)
                .open(path)
                .map_err(|error| io::Error::other(format!("{}: {error}", path.display())))?;
            writeln!(file, "{token}")?;
            file.sync_all()?;
            Ok(entry)
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
