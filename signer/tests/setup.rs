//! Setting up a wallet as a person does it: at a terminal, typing.
//!
//! The process gets a terminal of its own (a pseudo terminal); everything that it ever shows there is kept.

#![allow(missing_docs, clippy::unwrap_used)]

use std::fs::File;
use std::io::{Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::{Duration, Instant};

use rustix::fs::{Mode, OFlags};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

/// More than a conversation takes on a busy machine: a passphrase costs seconds there.
const WITHIN: Duration = Duration::from_secs(60);

/// Reads of the terminal that nobody has looked at yet.
const READS_MAX: usize = 1024;

const PASSPHRASE: &str = "correct horse battery";
/// The well-known seed "masterpassphrase": no secret.
const SEED: &str = "snoPBrXtMeMyMHUVTgbuqAfg1SUTb";
const WALLET: &str = "rHb9CJAWyB4rj91VRWn96DkukG4bwdtyTh";

/// The other screen begins and ends with these.
const OTHER_SCREEN: &str = "\x1b[?1049h";
const FIRST_SCREEN: &str = "\x1b[?1049l";

struct Person {
    child: Child,
    keys: File,
    shown: Receiver<Vec<u8>>,
    /// Everything shown so far.
    seen: String,
    /// So much of it was waited for.
    read: usize,
}

impl Person {
    fn runs(arguments: &[&str]) -> Person {
        let keys = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&keys).unwrap();
        unlockpt(&keys).unwrap();
        let name = ptsname(&keys, Vec::new()).unwrap();
        let side = || {
            let opened = rustix::fs::open(&name, OFlags::RDWR | OFlags::NOCTTY, Mode::empty());
            Stdio::from(opened.unwrap())
        };
        let child = Command::new(env!("CARGO_BIN_EXE_paygate-signer"))
            .args(arguments)
            .stdin(side())
            .stdout(side())
            .stderr(side())
            .spawn()
            .unwrap();
        let keys = File::from(keys);
        let mut screen = keys.try_clone().unwrap();
        let (tell, shown) = sync_channel(READS_MAX);
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            // The terminal ends with an error when its last user has gone.
            while let Ok(read @ 1..) = screen.read(&mut bytes) {
                if tell.send(bytes[..read].to_vec()).is_err() {
                    return;
                }
            }
        });
        Person {
            child,
            keys,
            shown,
            seen: String::new(),
            read: 0,
        }
    }

    /// Waits until this is shown, past what was waited for before; gives what came up to it.
    fn sees(&mut self, text: &str) -> String {
        let deadline = Instant::now() + WITHIN;
        loop {
            if let Some(at) = self.seen[self.read..].find(text) {
                let before = self.seen[self.read..self.read + at].to_owned();
                self.read += at + text.len();
                return before;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            let more = self.shown.recv_timeout(left);
            let more = more.unwrap_or_else(|_| panic!("{text:?} is not in {:?}", self.seen));
            self.seen.push_str(&String::from_utf8_lossy(&more));
        }
    }

    fn types(&mut self, text: &str) {
        self.keys.write_all(text.as_bytes()).unwrap();
    }

    fn answers(&mut self, question: &str, text: &str) {
        self.sees(question);
        self.types(&format!("{text}\n"));
    }

    fn ends(mut self) -> (ExitStatus, String) {
        let status = self.child.wait().unwrap();
        while let Ok(more) = self.shown.recv_timeout(Duration::from_millis(200)) {
            self.seen.push_str(&String::from_utf8_lossy(&more));
        }
        (status, self.seen.clone())
    }
}

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Folder {
        Folder(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn keystore(&self) -> String {
        self.path("wallet.keystore").display().to_string()
    }

    fn secret(&self, name: &str, text: &str) -> String {
        let path = self.path(name);
        let mut file = File::options()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)
            .unwrap();
        file.write_all(text.as_bytes()).unwrap();
        path.display().to_string()
    }

    fn is_empty(&self) -> bool {
        std::fs::read_dir(self.0.path()).unwrap().next().is_none()
    }
}

/// Without a terminal.
fn run(arguments: &[&str]) -> (i32, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_paygate-signer"))
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let said = [output.stdout, output.stderr].concat();
    (
        output.status.code().unwrap(),
        String::from_utf8(said).unwrap(),
    )
}

/// The seed that is on the other screen.
fn seed_in(shown: &str) -> String {
    let word = shown.split_whitespace().find(|word| {
        word.starts_with('s') && word.len() >= 25 && word.chars().all(char::is_alphanumeric)
    });
    word.unwrap_or_else(|| panic!("no seed in {shown:?}"))
        .to_owned()
}

#[test]
fn a_new_wallet_shows_its_seed_once_and_keeps_it_sealed() {
    let folder = Folder::new();
    let keystore = folder.keystore();
    let mut person = Person::runs(&["init", "--keystore", &keystore]);
    person.answers("Type I UNDERSTAND to go on: ", "I UNDERSTAND");
    person.answers("A new passphrase", "too short");
    person.sees("has 9 characters");
    person.answers("A new passphrase", PASSPHRASE);
    person.answers("The same again: ", "correct horse batterz");
    person.sees("They differ.");
    person.answers("A new passphrase", PASSPHRASE);
    person.answers("The same again: ", PASSPHRASE);
    person.sees(OTHER_SCREEN);
    let shown = person.sees("Then type its last 6 characters: ");
    let seed = seed_in(&shown);
    assert!(seed.starts_with("sEd"), "the usual family");
    person.types(&format!("{}\n", &seed[seed.len() - 6..]));
    person.sees(FIRST_SCREEN);
    let after = person.sees("paygate-signer show.");
    let (status, seen) = person.ends();
    assert_eq!(status.code(), Some(0), "{seen}");
    assert_eq!(seen.matches(&seed).count(), 1, "the seed is shown once");
    assert!(!seen.contains(PASSPHRASE) && !seen.contains("too short\n"));
    for advice in [
        "Fund it with little",
        "regular key",
        "master key",
        "multi-signing",
        "RequireDest",
    ] {
        assert!(after.contains(advice), "{advice}");
    }

    let passphrase = folder.secret("passphrase", &format!("{PASSPHRASE}\n"));
    let show = ["show", "--keystore", &keystore];
    let (code, said) = run(&[&show[..], &["--passphrase-file", &passphrase]].concat());
    assert_eq!(code, 0, "{said}");
    assert!(said.contains("it opens with the passphrase"), "{said}");
    let address = said.split_whitespace().nth(1).unwrap();
    assert!(after.contains(address), "{address}");
    assert!(!said.contains(&seed));
    assert!(!std::fs::read_to_string(&keystore).unwrap().contains(&seed));

    // Never over one that is there, and nobody has to write a seed down to hear that.
    let mut again = Person::runs(&["init", "--keystore", &keystore]);
    again.sees("a keystore is never overwritten");
    assert_eq!(again.ends().0.code(), Some(1));
}

#[test]
fn whoever_does_not_understand_or_goes_away_leaves_nothing_behind() {
    let folder = Folder::new();
    let keystore = folder.keystore();
    let start = || Person::runs(&["init", "--keystore", &keystore]);

    let mut person = start();
    person.answers("Type I UNDERSTAND to go on: ", "i understand");
    person.sees("aborted: the words were not typed");
    assert_eq!(person.ends().0.code(), Some(1));

    let mut person = start();
    person.answers("Type I UNDERSTAND to go on: ", "I UNDERSTAND");
    person.sees("A new passphrase");
    person.types("half a pass\x03");
    person.sees("aborted; nothing was written");
    let (status, seen) = person.ends();
    assert_eq!(status.code(), Some(1));
    assert!(!seen.contains("half a pass"));

    let mut person = start();
    person.answers("Type I UNDERSTAND to go on: ", "I UNDERSTAND");
    person.answers("A new passphrase", PASSPHRASE);
    person.answers("The same again: ", PASSPHRASE);
    let seed = seed_in(&person.sees("Then type its last 6 characters: "));
    person.types("wrong!\n");
    person.sees("forget that seed");
    let (status, seen) = person.ends();
    assert_eq!(status.code(), Some(1));
    assert_eq!(seen.matches(&seed).count(), 1);
    let gone = seen.rfind(FIRST_SCREEN).unwrap();
    assert!(
        gone > seen.find(&seed).unwrap(),
        "its screen was taken away"
    );

    assert!(folder.is_empty());
    let (code, said) = run(&["init", "--keystore", &keystore]);
    assert_eq!(code, 1);
    assert!(said.contains("needs a terminal"), "{said}");
    assert!(folder.is_empty());
}

#[test]
fn a_seed_is_taken_over_and_sealed_anew() {
    let folder = Folder::new();
    let keystore = folder.keystore();
    let mut person = Person::runs(&["import", "--keystore", &keystore]);
    person.answers("Type I UNDERSTAND to go on: ", "I UNDERSTAND");
    person.answers("The seed (", SEED);
    person.answers("A new passphrase", PASSPHRASE);
    person.answers("The same again: ", PASSPHRASE);
    person.sees(WALLET);
    let (status, seen) = person.ends();
    assert_eq!(status.code(), Some(0), "{seen}");
    assert!(!seen.contains(SEED), "what is typed hidden is not shown");

    let mut person = Person::runs(&["rekey", "--keystore", &keystore]);
    person.answers("The present passphrase: ", "not the passphrase");
    person.sees("the passphrase is wrong, or the file was changed");
    assert_eq!(person.ends().0.code(), Some(1));

    let old = folder.secret("old", PASSPHRASE);
    let new = folder.secret("new", "staple battery horse");
    let mut person = Person::runs(&[
        "rekey",
        "--keystore",
        &keystore,
        "--passphrase-file",
        &old,
        "--new-passphrase-file",
        &new,
    ]);
    person.sees("is sealed with the new passphrase");
    assert_eq!(person.ends().0.code(), Some(0));
    let opens = |passphrase: &str| {
        run(&[
            "show",
            "--keystore",
            &keystore,
            "--passphrase-file",
            passphrase,
        ])
    };
    assert_eq!(opens(&new).0, 0);
    let (code, said) = opens(&old);
    assert_eq!(code, 1);
    assert!(said.contains("does not open"), "{said}");
}

/// The smallest configuration that serves from a keystore.
fn configure(folder: &Folder, key: &str) -> PathBuf {
    let directory = folder.0.path().display();
    let anchor_time = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap()
        .as_secs();
    let text = format!(
        "[listen]\nsocket_path = \"{directory}/run/signer.sock\"\n[wallet]\n{key}\nnetwork_id = 63456\n\
         [policy]\nanchor_ledger_index = 1000\nanchor_time = {anchor_time}\n[journal]\ndirectory = \"{directory}/journal\"\n"
    );
    let path = folder.path("signer.toml");
    std::fs::write(&path, text).unwrap();
    path
}

fn serves(config: &Path) -> (Child, String) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_paygate-signer"))
        .args(["serve", "--config"])
        .arg(config)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    let mut out = std::io::BufReader::new(child.stdout.take().unwrap());
    std::io::BufRead::read_line(&mut out, &mut line).unwrap();
    (child, line)
}

#[test]
fn the_signer_serves_from_a_keystore_that_opens_and_from_no_other() {
    use std::os::unix::fs::DirBuilderExt as _;
    let folder = Folder::new();
    let keystore = folder.keystore();
    let passphrase = folder.secret("passphrase", PASSPHRASE);
    let seed = folder.secret("seed", SEED);
    let mut person = Person::runs(&[
        "import",
        "--keystore",
        &keystore,
        "--seed-file",
        &seed,
        "--passphrase-file",
        &passphrase,
    ]);
    person.answers("Type I UNDERSTAND to go on: ", "I UNDERSTAND");
    person.sees("The seed file is still there");
    assert_eq!(person.ends().0.code(), Some(0));
    std::fs::DirBuilder::new()
        .mode(0o750)
        .create(folder.path("run"))
        .unwrap();

    let key = |passphrase: &str| {
        format!("keystore_file = \"{keystore}\"\npassphrase_file = \"{passphrase}\"")
    };
    let (mut child, ready) = serves(&configure(&folder, &key(&passphrase)));
    assert!(ready.contains(WALLET), "{ready}");
    child.kill().unwrap();
    child.wait().unwrap();

    let wrong = folder.secret("wrong", "another passphrase");
    let (child, ready) = serves(&configure(&folder, &key(&wrong)));
    assert_eq!(ready, "");
    let ended = child.wait_with_output().unwrap();
    let said = String::from_utf8(ended.stderr).unwrap();
    assert_eq!(ended.status.code(), Some(1));
    assert!(
        said.contains("wallet.keystore_file: the keystore does not open"),
        "{said}"
    );
    assert!(!said.contains("another passphrase"), "{said}");

    for (bad, named) in [
        (
            format!("seed_file = \"{seed}\"\n{}", key(&passphrase)),
            "stands beside wallet.seed_file",
        ),
        (
            format!("keystore_file = \"{keystore}\""),
            "wallet.passphrase_file is required",
        ),
        (
            format!("passphrase_file = \"{passphrase}\""),
            "without wallet.keystore_file",
        ),
    ] {
        let config = configure(&folder, &bad).display().to_string();
        let (code, said) = run(&["check-config", "--config", &config]);
        assert_eq!(code, 64, "{said}");
        assert!(said.contains(named), "{said}");
    }
}
