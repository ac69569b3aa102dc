//! The command line of `paygate`.
//!
//! Owns: commands, exit codes, what is printed to a person. May not: hold logic of its own.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, Subcommand};
use paygate_telemetry::shutdown::{EXIT_CONFIG, EXIT_FAILED, EXIT_OK};
use paygate_telemetry::{Settings, SpanSink, probe};

use crate::api::access::Access;
use crate::app::App;
use crate::config::{Config, ConfigSource};
use crate::{backup, checklist, panics, rebuild};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Last log lines and spans get so long at the end, or the last eighth of shutdown.timeout_ms, if that is less.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(3);

/// A payment gateway for the XRP Ledger.
#[derive(Debug, Parser)]
#[command(name = "paygate", version, about, after_help = EXAMPLES)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

const EXAMPLES: &str = "\
Examples:
  paygate check-config --config paygate.toml
  paygate serve --config paygate.toml
  paygate probe --addr http://127.0.0.1:50052
  PAYGATE__MONITORING__LOG_LEVEL=warn paygate serve --config paygate.toml
  paygate preflight --config paygate.toml --profile production --prometheus http://127.0.0.1:9091
  paygate backup --config paygate.toml --to /backup
  paygate restore --verify /backup/paygate-20261123T231600Z.db
  paygate rebuild --config paygate.toml --client shop --ids orders.txt
  cut -f1,2 payments.tsv | paygate rebuild --config paygate.toml --ids - --output json

Exit codes: 0 ended as asked, 1 failed, 2 wrong command line, 4 (rebuild) answered, and the servers' history is not long enough,
64 bad configuration, 70 a bug (panic).";

/// `rebuild` has answered for a part of the ledgers only.
const EXIT_INCOMPLETE: u8 = 4;

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the gateway until SIGTERM or SIGINT
    Serve {
        /// The configuration file
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
    },
    /// Print the effective configuration, or everything that is wrong with it, and start nothing
    CheckConfig {
        /// The configuration file
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
        /// Check as if the profile were this one
        #[arg(long, value_name = "PROFILE", value_parser = ["dev", "production"])]
        profile: Option<String>,
    },
    /// Tell from the ledger alone which payments were made, when the database is lost. Reads only, needs neither store nor signer
    Rebuild {
        /// The configuration file: wallet, network, servers
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
        /// The payments that the callers know of: client_id<TAB>payment_id a line, or payment_id alone with --client; - reads
        /// standard input. Without it all payments of the wallet are shown
        #[arg(long, value_name = "FILE")]
        ids: Option<PathBuf>,
        /// The client_id of lines that have none. Without authentication it is "local"
        #[arg(long, value_name = "CLIENT_ID")]
        client: Option<String>,
        /// First ledger of the walk; the default is wallet.anchor
        #[arg(long, value_name = "INDEX")]
        from_ledger: Option<u32>,
        /// How the answer is printed
        #[arg(long, value_enum, default_value_t)]
        output: rebuild::Format,
    },
    /// Go through the list before a deployment: servers, signer, keys, wallet, files, backups, monitoring. Exit 1 if an item fails
    Preflight(checklist::PreflightArgs),
    /// Copy the database while the gateway works, with a manifest beside the copy
    Backup(backup::BackupArgs),
    /// Look at a copy, and put it in the place of a lost database. The next start reconciles it before anything is signed
    Restore(backup::RestoreArgs),
    /// Ask a grpc.health.v1 service; exit 0 only if it is SERVING
    Probe {
        /// For example http://127.0.0.1:50052 or unix:/run/paygate-signer/signer.sock
        #[arg(long, value_name = "ADDRESS", default_value = "http://127.0.0.1:50052")]
        addr: String,
        /// Name of the service; the default is the process as a whole
        #[arg(long, value_name = "NAME", default_value = "")]
        service: String,
    },
}

/// What `main` calls.
#[must_use]
pub fn main() -> ExitCode {
    let code = match Cli::parse().command {
        Command::Serve { config } => serve(&config),
        Command::CheckConfig { config, profile } => check_config(&config, profile.as_deref()),
        Command::Rebuild {
            config,
            ids,
            client,
            from_ledger,
            output,
        } => run_rebuild(
            &config,
            ids.as_deref(),
            client.as_deref(),
            from_ledger,
            output,
        ),
        Command::Preflight(args) => preflight(&args),
        Command::Backup(args) => match load(&args.config, None) {
            Ok(config) => answer(backup::backup(&args, &config)),
            Err(code) => code,
        },
        Command::Restore(args) => {
            match args
                .config
                .as_deref()
                .map(|path| load(path, None))
                .transpose()
            {
                Ok(config) => answer(backup::restore(&args, config.as_ref())),
                Err(code) => code,
            }
        }
        Command::Probe { addr, service } => run_probe(&addr, &service),
    };
    ExitCode::from(code)
}

/// Files and connections that the process may have open: all that its listeners let in, with room for the store and the ledger's servers.
/// What a shell or a container gives by default is less, and short of handles nothing works at all.
const OPEN_FILES_WANTED: u64 = 4_096;

/// As many as the system lets it have.
fn raise_open_files() {
    let now = getrlimit(Resource::Nofile);
    let wanted = now
        .maximum
        .map_or(OPEN_FILES_WANTED, |most| most.min(OPEN_FILES_WANTED));
    if now.current.is_some_and(|current| current < wanted) {
        let raised = Rlimit {
            current: Some(wanted),
            maximum: now.maximum,
        };
        // Then it stays as it is, and connections are refused earlier.
        let _ = setrlimit(Resource::Nofile, raised);
    }
}

fn serve(path: &Path) -> u8 {
    raise_open_files();
    let source = source(path, None);
    let config = match source.load() {
        Ok(config) => config,
        Err(err) => return complain(EXIT_CONFIG, &err),
    };
    runtime().block_on(async {
        let spans = match &config.monitoring.otlp_endpoint {
            Some(endpoint) => SpanSink::Otlp { endpoint: endpoint.clone() },
            None => SpanSink::Discard,
        };
        let settings = Settings { service_name: "paygate", log_level: config.monitoring.log_level, spans };
        let telemetry = match paygate_telemetry::init(settings) {
            Ok(telemetry) => telemetry,
            Err(err) => return complain(EXIT_FAILED, &err),
        };
        let panicked = panics::watch();
        let flush = FLUSH_TIMEOUT.min(Duration::from_millis(config.shutdown.timeout_ms) / 8);
        for warning in config.warnings() {
            tracing::warn!(key = %warning.key, value = %warning.value, reason = %warning.reason, "configuration");
        }
        let code = match App::build(config).await {
            Ok(app) => {
                let app = app.reloading(source);
                announce(&app);
                app.run(panicked).await
            }
            Err(err) => {
                tracing::error!(%err, "the gateway cannot start");
                EXIT_FAILED
            }
        };
        let flushed = tokio::task::spawn_blocking(move || telemetry.shutdown(flush)).await;
        if flushed.is_err() { EXIT_FAILED } else { code }
    })
}

#[expect(
    clippy::print_stdout,
    reason = "one line for whoever started the process with port 0"
)]
fn announce(app: &App) {
    if let Ok(listening) = app.listening() {
        println!("{}", serde_json::json!(listening));
        tracing::info!(grpc = %listening.grpc, health = %listening.health, metrics = %listening.metrics, "listening");
    }
}

#[expect(clippy::print_stdout, reason = "the answer of the command")]
fn check_config(path: &Path, profile: Option<&str>) -> u8 {
    let config = match load(path, profile) {
        Ok(config) => config,
        Err(code) => return code,
    };
    print!("{config}");
    for warning in config.warnings() {
        println!("# warning: {warning}");
    }
    // Of this machine, and perhaps not of the one that it is meant for: told, and no reason to call the configuration bad.
    if let Err(error) = Access::check_files(&config) {
        println!("# warning: serve would not start here: {error}");
    }
    EXIT_OK
}

/// The configuration, or the exit code after the complaint.
fn load(path: &Path, profile: Option<&str>) -> Result<Config, u8> {
    source(path, profile)
        .load()
        .map_err(|err| complain(EXIT_CONFIG, &err))
}

fn source(path: &Path, profile: Option<&str>) -> ConfigSource {
    let mut environment: Vec<(String, String)> = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect();
    if let Some(profile) = profile {
        environment.push((
            format!("{}PROFILE", crate::config::VARIABLE_PREFIX),
            profile.to_owned(),
        ));
    }
    ConfigSource {
        path: path.to_owned(),
        environment,
    }
}

fn run_rebuild(
    path: &Path,
    ids: Option<&Path>,
    client: Option<&str>,
    from: Option<u32>,
    output: rebuild::Format,
) -> u8 {
    let config = match load(path, None) {
        Ok(config) => config,
        Err(code) => return code,
    };
    let payments = match ids.map(|ids| rebuild::read_list(ids, client)).transpose() {
        Ok(payments) => payments.unwrap_or_default(),
        Err(err) => return complain(EXIT_CONFIG, &err),
    };
    let question = rebuild::Question { payments, from };
    let answer = match runtime().block_on(rebuild::rebuild(&config, question)) {
        Ok(answer) => answer,
        Err(err) => return complain(EXIT_FAILED, &err),
    };
    match rebuild::print(&answer, output, &mut std::io::stdout().lock()) {
        Err(err) => complain(EXIT_FAILED, &err),
        Ok(()) if answer.wanted.is_some() => EXIT_INCOMPLETE,
        Ok(()) => EXIT_OK,
    }
}

#[expect(clippy::print_stdout, reason = "the answer of the command")]
fn preflight(args: &checklist::PreflightArgs) -> u8 {
    let config = match load(&args.config, args.profile.as_deref()) {
        Ok(config) => config,
        Err(code) => return code,
    };
    let (text, passed) = runtime().block_on(checklist::preflight(args, &config));
    print!("{text}");
    if passed { EXIT_OK } else { EXIT_FAILED }
}

fn run_probe(addr: &str, service: &str) -> u8 {
    match runtime().block_on(probe::probe(addr, service)) {
        Ok(()) => EXIT_OK,
        Err(err) => complain(EXIT_FAILED, &err),
    }
}

#[expect(clippy::print_stdout, reason = "the answer of the command")]
fn answer<E: std::error::Error>(done: Result<String, E>) -> u8 {
    match done {
        Ok(text) => {
            print!("{text}");
            EXIT_OK
        }
        Err(err) => complain(EXIT_FAILED, &err),
    }
}

#[expect(
    clippy::print_stderr,
    reason = "before logging is set up, and for commands that only answer a person"
)]
fn complain(code: u8, err: &dyn std::error::Error) -> u8 {
    eprint!("paygate: {err}");
    let mut source = err.source();
    while let Some(cause) = source {
        eprint!(": {cause}");
        source = cause.source();
    }
    eprintln!();
    code
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .expect("threads and an epoll instance are there, or nothing can be done at all")
}
