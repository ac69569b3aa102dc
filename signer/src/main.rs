//! The process: `paygate-signer serve`, `check-config`, `probe`, and the commands of `setup`. Owns the order in which it starts, and
//! nothing else.

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
use std::time::Duration;

use clap::{Parser, Subcommand};
use paygate_signer::config::{Config, KeyPlace};
use paygate_signer::hardening::{Protection, Report, confine};
use paygate_signer::keys::KeyFiles;
use paygate_signer::keys::private::{PrivateError, PrivateFile};
use paygate_signer::server::{CALLS_MAX, Parts, Socket, serve};
use paygate_signer::setup;
use paygate_signer::vault::{Ledger, Vault, Wallet};
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
    let (path, serves) = match &arguments.command {
        Command::Serve { config } => (config, true),
        Command::CheckConfig { config } => (config, false),
        Command::Probe { addr, service } => return run_probe(addr, service),
        Command::Setup(command) => return run_setup(command),
    };
    let config = match load(path) {
        Ok(config) => config,
        Err(error) => return failed(error.as_ref(), EXIT_CONFIG),
    };
    if !serves {
        print!("{config}");
        return ExitCode::from(EXIT_OK);
    }
    match run(config) {
        Ok(()) => ExitCode::from(EXIT_OK),
        Err(error) => failed(error.as_ref(), EXIT_FAILED),
    }
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
