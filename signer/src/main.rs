//! The process: `paygate-signer serve`, `check-config`, `probe`, the commands of `setup`, and what a person says about the journal:
//! `adopt-store`, `recover`, `backup`, `restore`. Owns the order in which it starts, and nothing else.

#![expect(
    clippy::print_stdout,
    reason = "one line tells the starter that it is ready; check-config talks to a person"
)]
#![expect(
    clippy::print_stderr,
    reason = "errors before there is a log go to the same place, in the same form"
)]

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use clap::{Parser, Subcommand};
use paygate_signer::backup;
use paygate_signer::config::{Config, KeyPlace};
use paygate_signer::hardening::{Protection, Report, confine};
use paygate_signer::journal::set_aside;
use paygate_signer::keys::KeyFiles;
use paygate_signer::keys::private::{PrivateError, PrivateFile};
use paygate_signer::server::{CALLS_MAX, Parts, Socket, serve};
use paygate_signer::setup;
use paygate_signer::vault::{Ledger, Recovered, Vault, Wallet};
use paygate_telemetry::probe::probe;
use paygate_telemetry::shutdown::{EXIT_CONFIG, EXIT_FAILED, EXIT_OK, EXIT_PANIC, signal};
use paygate_telemetry::{Settings, SpanRing, SpanSink};
use serde_json::json;

/// Finished spans that wait for the gateway: a few minutes of it being away at full load, about 4 MiB.
const SPANS_MAX: usize = 4096;

/// Threads that talk; those that sign are as many as calls in the vault.
const WORKER_THREADS: usize = 2;

/// How long the last log lines may take.
const FLUSH: Duration = Duration::from_secs(2);

/// Signs the payments of one wallet under its own policy and journal.
#[derive(Debug, Parser)]
#[command(version, after_help = EXAMPLES)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

const EXAMPLES: &str = "\
Examples:
  paygate-signer check-config --config signer.toml
  paygate-signer serve --config signer.toml
  paygate-signer probe --addr unix:/run/paygate-signer/signer.sock
  paygate-signer init --keystore /etc/paygate-signer/wallet.keystore
  paygate-signer adopt-store --config signer.toml --store-id 5f0e...
  paygate-signer recover --config signer.toml --validated-ledger 96000000
  paygate-signer backup --config signer.toml --to /backup/signer
  paygate-signer restore --config signer.toml --verify /backup/signer/journal-1767225600000

Exit codes: 0 ended as asked, 1 failed, 2 wrong command line, 64 bad configuration, 70 a bug (panic).";

#[derive(Debug, Subcommand)]
enum Command {
    /// Serves on its Unix socket until SIGTERM or SIGINT.
    Serve {
        /// The configuration file.
        #[arg(long)]
        config: PathBuf,
    },
    /// Prints the effective configuration, or exits with 64 and says what is wrong.
    CheckConfig {
        /// The configuration file.
        #[arg(long)]
        config: PathBuf,
    },
    /// Gives the journal to another store, because the one that it belongs to is lost for ever. Only while the signer is stopped.
    AdoptStore {
        /// The configuration file.
        #[arg(long)]
        config: PathBuf,
        /// The new store's id, as the gateway names it: 32 hex digits.
        #[arg(long, value_name = "HEX")]
        store_id: String,
    },
    /// Takes a journal into use again that was put back from a backup, or starts a new one in the place of a lost one. Run it twice: first to
    /// begin, again once the ledger that it names is validated. Only while the signer is stopped.
    Recover {
        /// The configuration file.
        #[arg(long)]
        config: PathBuf,
        /// The newest validated ledger of the network, from a source that you trust.
        #[arg(long, value_name = "N")]
        validated_ledger: u32,
        /// The journal is lost or cannot be opened: set what is left of it aside and start a new one.
        #[arg(long)]
        new_journal: bool,
    },
    /// Copies the journal into a new folder, while the signer works or not. The key is no part of it.
    Backup {
        /// The configuration file.
        #[arg(long)]
        config: PathBuf,
        /// The folder in which the new one is made.
        #[arg(long, value_name = "DIR")]
        to: PathBuf,
    },
    /// Reads a copy of the journal, and puts it in place unless --verify is given. Only while the signer is stopped.
    Restore {
        /// The configuration file.
        #[arg(long)]
        config: PathBuf,
        /// The copy: the folder that `backup` made.
        #[arg(value_name = "COPY")]
        copy: PathBuf,
        /// Read it and hold it beside the journal in place; change nothing. The signer may run.
        #[arg(long)]
        verify: bool,
        /// Rename the journal in place, so that it stays as evidence.
        #[arg(long, conflicts_with = "verify")]
        move_aside: bool,
    },
    /// Asks the health of a running signer; exits with 0 only if it is SERVING. For containers without other tools.
    Probe {
        /// Its socket.
        #[arg(
            long,
            value_name = "ADDRESS",
            default_value = "unix:/run/paygate-signer/signer.sock"
        )]
        addr: String,
        /// Name of the service; the default is the process as a whole.
        #[arg(long, value_name = "NAME", default_value = "")]
        service: String,
    },
    #[command(flatten)]
    Setup(setup::Command),
}

fn main() -> ExitCode {
    end_at_first_panic();
    let arguments = Arguments::parse();
    let path = match &arguments.command {
        Command::Serve { config }
        | Command::CheckConfig { config }
        | Command::AdoptStore { config, .. }
        | Command::Recover { config, .. }
        | Command::Backup { config, .. }
        | Command::Restore { config, .. } => config,
        Command::Probe { addr, service } => return run_probe(addr, service),
        Command::Setup(command) => return run_setup(command),
    };
    let config = match load(path) {
        Ok(config) => config,
        Err(error) => return failed(error.as_ref(), EXIT_CONFIG),
    };
    let ended = match &arguments.command {
        Command::Serve { .. } => run(config),
        Command::AdoptStore { .. } | Command::Recover { .. } => {
            told_by_person(config, &arguments.command)
        }
        Command::Backup { to, .. } => back_up(&config, to),
        Command::Restore {
            copy,
            verify,
            move_aside,
            ..
        } => restore(&config, copy, *verify, *move_aside),
        Command::CheckConfig { .. } | Command::Probe { .. } | Command::Setup(_) => {
            print!("{config}");
            Ok(())
        }
    };
    match ended {
        Ok(()) => ExitCode::from(EXIT_OK),
        Err(error) => failed(error.as_ref(), EXIT_FAILED),
    }
}

/// What a person says about the journal. The lock on it says that no signer runs.
fn told_by_person(config: Config, command: &Command) -> Result<(), Box<dyn Error>> {
    let directory = &config.journal_directory;
    let now_ms = now_ms()?;
    if let Command::Recover {
        new_journal: true, ..
    } = command
    {
        let ending = set_aside(directory, now_ms)?;
        println!("What is left of the journal was kept as journal.{ending} and HEAD.{ending}.");
    }
    let mut ledger = Ledger::open(directory, config.network_id)?;
    let account = match ledger.account().or(config.wallet) {
        Some(account) => account,
        None => open_key(&config.key)?.read()?.public().account_id(),
    };
    match command {
        Command::AdoptStore { store_id, .. } => {
            let store = hex::decode(store_id)
                .ok()
                .and_then(|bytes| <[u8; 16]>::try_from(bytes).ok())
                .ok_or("--store-id is not 32 hex digits")?;
            let head = ledger.adopt_store(account, store, now_ms)?;
            println!(
                "The journal belongs to store {store_id} from frame {} on. Start the signer: the gateway waits out one window, then goes on.",
                head.height
            );
        }
        Command::Recover {
            validated_ledger, ..
        } => {
            let window = config.policy.last_ledger_window;
            match ledger.recover(account, *validated_ledger, window, now_ms)? {
                Recovered::Waits { until } => println!(
                    "Signatures that were lost may be alive until ledger {until} is validated. The signer does not start before. \
                     Once it is, run this again with --validated-ledger {until} or higher, without --new-journal."
                ),
                Recovered::Done { head } => println!(
                    "The journal is in use again from frame {} on. Start the signer: the gateway waits out one window, then goes on.",
                    head.height
                ),
            }
        }
        _ => {}
    }
    Ok(())
}

fn now_ms() -> Result<u64, Box<dyn Error>> {
    let since = SystemTime::now().duration_since(UNIX_EPOCH)?;
    Ok(u64::try_from(since.as_millis())?)
}

fn back_up(config: &Config, to: &Path) -> Result<(), Box<dyn Error>> {
    let now_ms = now_ms()?;
    let copied = backup::make(config, to, now_ms)?;
    println!("{}", copied.told(now_ms));
    println!("What is signed from now on is not in it. The key is no part of it.");
    Ok(())
}

fn restore(
    config: &Config,
    from: &Path,
    verify: bool,
    move_aside: bool,
) -> Result<(), Box<dyn Error>> {
    let now_ms = now_ms()?;
    if verify {
        let (copied, beside) = backup::verify(config, from)?;
        println!("{}\n{beside}", copied.told(now_ms));
        return Ok(());
    }
    let (copied, aside) = backup::put_back(config, from, move_aside, now_ms)?;
    if let Some(ending) = aside {
        println!("What was in place was kept as journal.{ending} and HEAD.{ending}.");
    }
    println!("{}", copied.told(now_ms));
    println!(
        "Start the signer. If it has signed anything since this copy was made, the gateway says so and nothing is signed until a person \
         has run `paygate-signer recover` (runbooks/restore-from-backup.md)."
    );
    Ok(())
}

/// The start, in the order that the protections need: what lies outside is opened, then the process confines itself,
/// and only then the key is read and threads are started.
fn run(config: Config) -> Result<(), Box<dyn Error>> {
    let socket = Socket::bind(&config.socket_path, config.allowed_uids.clone())?;
    let ledger = Ledger::open(&config.journal_directory, config.network_id)?;
    let key_files = open_key(&config.key)?;

    let mut report = confine(&config.journal_directory);
    report.require(&config.waive)?;

    let spans = SpanRing::new(SPANS_MAX);
    let telemetry = paygate_telemetry::init(Settings {
        service_name: "paygate-signer",
        log_level: config.log_level,
        spans: SpanSink::Ring(spans.clone()),
    })?;
    end_at_first_panic();

    let key = key_files.read()?;
    if !key.memory_is_locked() {
        report.fail(
            Protection::KeyMemory,
            "the key's page cannot be locked: raise the limit of locked memory",
        );
    }
    report.require(&config.waive)?;

    let wallet = Wallet {
        account: config.wallet.unwrap_or(key.public().account_id()),
        network_id: config.network_id,
    };
    log_start(&config, wallet, &ledger, &report);
    let vault = Arc::new(Vault::new(wallet, config.policy, key, ledger)?);
    let parts = Parts {
        vault,
        report,
        waived: config.waive,
        spans,
    };
    let ready = json!({ "listening": format!("unix://{}", socket.path().display()), "account": wallet.account.to_address() });

    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(WORKER_THREADS)
        .max_blocking_threads(CALLS_MAX as usize + 1)
        .thread_name("paygate-signer")
        .enable_all()
        .build()?;
    let stop = async { tracing::info!(signal = signal().await, "stopping") };
    let served = runtime.block_on(serve(socket, parts, stop, || println!("{ready}")));
    runtime.shutdown_timeout(FLUSH);
    if let Err(error) = &served {
        tracing::error!(error = error as &dyn Error, "the signer ends");
    }
    telemetry.shutdown(FLUSH);
    Ok(served?)
}

fn open_key(place: &KeyPlace) -> Result<KeyFiles, PrivateError> {
    Ok(match place {
        KeyPlace::Seed(path) => KeyFiles::Seed(PrivateFile::open("seed file", path)?),
        KeyPlace::Keystore { file, passphrase } => KeyFiles::Keystore {
            keystore: PrivateFile::open("keystore", file)?,
            passphrase: PrivateFile::open("passphrase file", passphrase)?,
        },
    })
}

/// Talks to a person about a key. No journal is touched and nothing is served.
fn run_setup(command: &setup::Command) -> ExitCode {
    match setup::run(command) {
        Ok(()) => ExitCode::from(EXIT_OK),
        Err(error) => {
            // A person reads this, not a log.
            eprintln!("paygate-signer: {error}");
            ExitCode::from(EXIT_FAILED)
        }
    }
}

/// Asks another process. Nothing of the key or the journal is touched.
fn run_probe(addr: &str, service: &str) -> ExitCode {
    let asked = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map(|runtime| runtime.block_on(probe(addr, service)));
    match asked {
        Ok(Ok(())) => ExitCode::from(EXIT_OK),
        Ok(Err(error)) => failed(&error, EXIT_FAILED),
        Err(error) => failed(&error, EXIT_FAILED),
    }
}

fn load(path: &Path) -> Result<Config, Box<dyn Error>> {
    Ok(Config::load(path, std::env::vars())?)
}

fn log_start(config: &Config, wallet: Wallet, ledger: &Ledger, report: &Report) {
    tracing::info!(
        account = %wallet.account,
        network_id = wallet.network_id,
        profile = ?config.profile,
        cut_bytes = ledger.cut_bytes,
        kept_frames = ledger.kept_frames,
        version = env!("CARGO_PKG_VERSION"),
        "journal and key are open"
    );
    for (protection, cause) in report.failures() {
        tracing::warn!(%protection, cause, "a protection does not hold and is waived");
    }
}

/// A panic on any thread ends the process, after whatever the hook before would have said. What was being done is in the
/// journal or was never handed out.
fn end_at_first_panic() {
    let say = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        say(panic);
        std::process::exit(EXIT_PANIC.into());
    }));
}

fn failed(error: &dyn Error, code: u8) -> ExitCode {
    let line =
        json!({ "level": "ERROR", "target": "paygate_signer", "message": error.to_string() });
    eprintln!("{line}");
    ExitCode::from(code)
}
