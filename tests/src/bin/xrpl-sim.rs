//! The simulated XRP Ledger as a process of its own.
//!
//! Owns: the command line. Prints one JSON line when it serves, and runs until SIGTERM or SIGINT.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program that is started by people and by tests"
)]

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use paygate_tests::sim::{Fees, Handle, Options, Release, serve};
use serde_json::json;
use tokio::signal::unix::{SignalKind, signal};

/// Each keeps all ledgers in memory.
const SERVERS_MAX: usize = 16;

/// A simulated XRP Ledger: WebSocket and JSON-RPC on loopback.
#[derive(Parser)]
#[command(name = "xrpl-sim")]
struct Cli {
    /// Servers of the network, each at ports of its own.
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = parse_servers)]
    servers: usize,
    /// WebSocket ports, one for each server, separated by commas; 0 takes any, and so does a server without one.
    #[arg(
        long,
        default_value = "6006",
        value_delimiter = ',',
        value_name = "PORT"
    )]
    ws_port: Vec<u16>,
    /// JSON-RPC ports, likewise; they also serve ledger_accept and sim_script.
    #[arg(
        long,
        default_value = "5005",
        value_delimiter = ',',
        value_name = "PORT"
    )]
    rpc_port: Vec<u16>,
    /// Milliseconds between ledgers; 0 closes them only by ledger_accept.
    #[arg(long, default_value_t = 3500)]
    close_ms: u64,
    /// Directory that keeps the closed ledgers; without it nothing is kept.
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
    /// Network id; above 1024 every transaction must name it.
    #[arg(long, default_value_t = 21_337)]
    network_id: u32,
    /// First balance of an account, in XRP with up to 6 decimals; may be given several times.
    #[arg(long = "fund", value_name = "ADDRESS=XRP", value_parser = parse_fund)]
    funded: Vec<(String, u64)>,
    /// Reserve of an account, in drops.
    #[arg(long, default_value_t = 1_000_000)]
    reserve_base_drops: u64,
    /// Further reserve for each object that an account owns, in drops.
    #[arg(long, default_value_t = 200_000)]
    reserve_inc_drops: u64,
    /// Fee of a simple transaction, in drops.
    #[arg(long, default_value_t = 10)]
    fee_base_drops: u64,
    /// Transactions that fit a ledger; others wait for the next one.
    #[arg(long, value_name = "N")]
    capacity: Option<usize>,
    /// Index of the first ledger.
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..))]
    start_index: u32,
    /// Transactions that a ledger is expected to hold; above that fees rise and a queue forms. Without it fees never rise.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    expected_size: Option<u64>,
    /// Warn and cut off WebSocket clients that ask for too much, as a real server's public port does.
    #[arg(long)]
    public_limits: bool,
}

fn parse_servers(text: &str) -> Result<usize, String> {
    let count = text.parse().ok();
    count
        .filter(|count| (1..=SERVERS_MAX).contains(count))
        .ok_or_else(|| format!("expected 1 to {SERVERS_MAX}"))
}

fn parse_fund(text: &str) -> Result<(String, u64), String> {
    let (address, xrp) = text.split_once('=').ok_or("expected ADDRESS=XRP")?;
    let (whole, fraction) = xrp.split_once('.').unwrap_or((xrp, ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || fraction.len() > 6 || !digits(whole) || !digits(fraction) {
        return Err(format!(
            "{xrp:?} is not an amount of XRP with up to 6 decimals"
        ));
    }
    let drops = format!("{whole}{fraction:0<6}")
        .parse()
        .map_err(|_| format!("{xrp} XRP is more than there is"))?;
    Ok((address.to_owned(), drops))
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let runtime = tokio::runtime::Runtime::new().expect("the system gives a process its threads");
    match runtime.block_on(run(cli)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xrpl-sim: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(cli: Cli) -> Result<(), Box<dyn std::error::Error>> {
    // Before anything is said: whoever reads the line may send a signal at once.
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut handle = serve(Options {
        servers: cli.servers,
        ws_ports: cli.ws_port,
        rpc_ports: cli.rpc_port,
        close_every: Duration::from_millis(cli.close_ms),
        state: cli.state,
        network_id: cli.network_id,
        funded: cli.funded.into_iter().collect::<BTreeMap<_, _>>(),
        fees: Fees {
            base_drops: cli.fee_base_drops,
            reserve_base_drops: cli.reserve_base_drops,
            reserve_inc_drops: cli.reserve_inc_drops,
        },
        capacity: cli.capacity,
        start_index: cli.start_index,
        expected_size: cli.expected_size,
        page_entries: None,
        release: Release::V3_3,
        public_limits: cli.public_limits,
        without_amendments: false,
    })
    .await?;
    println!("{}", ready_line(&handle));
    tokio::select! {
        _ = terminate.recv() => Ok(()),
        _ = interrupt.recv() => Ok(()),
        () = handle.failed() => Err("a part of the server has failed".into()),
    }
}

fn ready_line(handle: &Handle) -> serde_json::Value {
    let (index, hash) = handle.anchor();
    let servers = handle.urls();
    let servers: Vec<_> = servers
        .iter()
        .map(|(ws, rpc)| json!({ "ws": ws, "rpc": rpc }))
        .collect();
    json!({
        "servers": servers,
        "ws": handle.ws_url(),
        "rpc": handle.rpc_url(),
        "network_id": handle.network_id(),
        "anchor": { "index": index, "hash": hash },
    })
}
