//! Runs the end-to-end suite against a ledger's server that is given by its addresses.
//!
//! Owns: the command line and the exit code. Starts a signer and a gateway of its own, with a fresh wallet.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program that is started by people and by tests"
)]

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, ValueEnum};
use paygate_tests::against::{Options, Verdict, run, show};

/// The end-to-end suite against any standalone XRP Ledger server: every kind of payment, every failure that can be
/// reached, bursts, kills, lost connections, a foreign transaction.
#[derive(Parser)]
#[command(name = "against", after_help = EXAMPLES)]
struct Cli {
    /// WebSocket of the server, without TLS. The gateway reaches it through a listener of this program, which can cut it.
    #[arg(long, value_name = "URL", value_parser = with_scheme("ws://"))]
    ws: String,
    /// JSON-RPC of the server with admin rights: ledgers are closed by its ledger_accept.
    #[arg(long, value_name = "URL", value_parser = with_scheme("http://"))]
    admin_rpc: String,
    /// File with the seed of the account that funds everybody, about 5,000 XRP; without it the genesis account's well-known one.
    #[arg(long, value_name = "FILE")]
    funder_seed_file: Option<PathBuf>,
    /// Network that the server must be on; without it whatever the server says.
    #[arg(long, value_name = "N")]
    network_id: Option<u32>,
    /// Milliseconds between ledgers.
    #[arg(long, value_name = "MS", default_value_t = 500, value_parser = clap::value_parser!(u64).range(100..=10_000))]
    close_ms: u64,
    /// Only this case; may be given several times.
    #[arg(long, value_name = "CASE")]
    only: Vec<String>,
    /// A table as the cases end, or one JSON object at the end.
    #[arg(long, value_enum, default_value_t = Output::Table)]
    output: Output,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Output {
    Table,
    Json,
}

const EXAMPLES: &str = "\
Examples:
  A real server, in a shell of its own (ports as in the example configuration that comes with it):
    xrpld --standalone --start --conf xrpld.cfg          (2.x: rippled -a --start --conf rippled.cfg)
    cargo run --bin against -- --ws ws://127.0.0.1:6006 --admin-rpc http://127.0.0.1:5005

  The simulated one:
    cargo run --bin xrpl-sim -- --close-ms 0 --network-id 0 --expected-size 32 --fund rHb9CJAWyB4rj91VRWn96DkukG4bwdtyTh=1000000
    cargo run --bin against -- --ws ws://127.0.0.1:6006 --admin-rpc http://127.0.0.1:5005 --close-ms 300

  Some cases, as JSON:
    cargo run --bin against -- --ws ws://127.0.0.1:6006 --admin-rpc http://127.0.0.1:5005 --only xrp --only audit --output json

What the server cannot do is skipped by name. Never run it on a network that others use: it closes ledgers.

Exit codes: 0 no case failed, 1 a case failed or the suite could not begin, 2 wrong command line.";

fn with_scheme(scheme: &'static str) -> impl Fn(&str) -> Result<String, String> + Clone {
    move |text| match text.strip_prefix(scheme) {
        Some(rest) if !rest.is_empty() => Ok(text.to_owned()),
        _ => Err(format!("expected {scheme}HOST:PORT")),
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    let cli = Cli::parse();
    match play(&cli).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("against: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn play(cli: &Cli) -> Result<bool, Box<dyn std::error::Error>> {
    let seed = match &cli.funder_seed_file {
        Some(path) => Some(
            std::fs::read_to_string(path)
                .map_err(|error| format!("cannot read {}: {error}", path.display()))?,
        ),
        None => None,
    };
    let options = Options {
        ws: cli.ws.clone(),
        admin_rpc: cli.admin_rpc.clone(),
        funder_seed: seed,
        network_id: cli.network_id,
        close_every: Duration::from_millis(cli.close_ms),
        only: cli.only.clone(),
    };
    let is_table = cli.output == Output::Table;
    if is_table {
        println!("{}", show::header());
    }
    let report = run(&options, |case| {
        if is_table {
            println!("{}", show::line(case));
        }
    })
    .await
    .map_err(|fault| fault.to_string())?;
    match cli.output {
        Output::Table => println!("{}", show::summary(&report)),
        Output::Json => println!("{:#}", show::json(&report)),
    }
    Ok(report.count(Verdict::Failed) == 0)
}
