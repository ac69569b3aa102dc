//! The devnet: a simulated ledger, the signer and the gateway on this machine, one payment, and what to type next.
//!
//! Owns: the command line and what a person or a script is shown. Everything that runs is a [`World`]. May not: leave a
//! process behind, however it ends.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program for a person at a terminal"
)]

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, ValueEnum};
use paygate_proto::v1::{ExplainPaymentResponse, PaymentState};
use paygate_telemetry::shutdown::{EXIT_CONFIG, EXIT_FAILED};
use paygate_tests::show;
use paygate_tests::world::client::{DROPS_PER_XRP, payment, state_name};
use paygate_tests::world::wallet::{SeedType, Wallet, payee};
use paygate_tests::world::{Setup, World};
use ring::rand::{SecureRandom, SystemRandom};
use tokio::signal::unix::{SignalKind, signal};

/// Longest wait for the first payment, beside the ledgers that it takes.
const PAID_WITHIN: Duration = Duration::from_secs(60);

/// Ledgers that the first payment may take: its window and some.
const PAID_WITHIN_LEDGERS: u32 = 25;

/// How often the processes are looked at while it serves.
const WATCH_EVERY: Duration = Duration::from_millis(500);

/// What the first payment pays.
const FIRST_PAYMENT_XRP: u64 = 25;

/// Runs a simulated XRP Ledger, the signer and the gateway on this machine, pays once and shows how.
#[derive(Parser)]
#[command(name = "devnet")]
struct Cli {
    /// Pay once and end: with 0 only if the payment is PAID.
    #[arg(long)]
    once: bool,
    /// Prose for a person, or one JSON object for a script.
    #[arg(long, value_enum, default_value_t = Output::Text)]
    output: Output,
    /// Milliseconds between ledgers.
    #[arg(long, default_value_t = 3500, value_parser = clap::value_parser!(u64).range(100..=60_000))]
    close_ms: u64,
    /// Where spans go, for example http://127.0.0.1:4317. Without it they go nowhere.
    #[arg(long, value_name = "URL")]
    otlp_endpoint: Option<String>,
    /// Keeps wallet, ledger, journal, store and logs here; a later run goes on with them.
    #[arg(long, value_name = "DIR")]
    directory: Option<PathBuf>,
    /// Family of the wallet's key.
    #[arg(long, value_enum, default_value_t = Family::Ed25519)]
    seed_type: Family,
    /// On SIGUSR1, `kill -9` the gateway and start it again at the same addresses.
    #[arg(long)]
    restart_gateway_on_usr1: bool,
    /// Which network.
    #[arg(long, value_enum, default_value_t = Network::Simulated)]
    network: Network,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Output {
    Text,
    Json,
}

#[derive(Clone, Copy, ValueEnum)]
enum Family {
    Ed25519,
    Secp256k1,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Network {
    Simulated,
    Testnet,
}

/// How a run went that was not stopped by an error.
enum Outcome {
    Paid,
    NotPaid,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    if cli.network == Network::Testnet {
        eprintln!(
            "devnet: --network testnet is not built yet; this version runs the simulated ledger only"
        );
        return ExitCode::from(EXIT_CONFIG);
    }
    let runtime = tokio::runtime::Runtime::new().expect("the system gives a process its threads");
    match runtime.block_on(run(&cli)) {
        Ok(Outcome::Paid) => ExitCode::SUCCESS,
        Ok(Outcome::NotPaid) => ExitCode::from(EXIT_FAILED),
        Err(error) => {
            eprintln!("devnet: {error}");
            ExitCode::from(EXIT_FAILED)
        }
    }
}

async fn run(cli: &Cli) -> Result<Outcome, Box<dyn std::error::Error>> {
    // Before anything is started: a signal must find somebody who stops what runs.
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut restart = signal(SignalKind::user_defined1())?;
    let begun = tokio::select! {
        begun = begin(cli) => Some(begun?),
        _ = terminate.recv() => None,
        _ = interrupt.recv() => None,
    };
    let Some((mut world, outcome)) = begun else {
        // The world was dropped with the future that held it, and its processes were killed with it.
        step("stopped before the first payment was final");
        return Ok(Outcome::NotPaid);
    };
    if !cli.once {
        let mut watch = tokio::time::interval(WATCH_EVERY);
        loop {
            tokio::select! {
                _ = terminate.recv() => break,
                _ = interrupt.recv() => break,
                Some(()) = restart.recv(), if cli.restart_gateway_on_usr1 => restart_gateway(&mut world).await?,
                _ = watch.tick() => if let Some(what) = world.ended_by_itself() {
                    return Err(with_logs(&mut world, &what));
                },
            }
        }
    }
    step("stopping");
    world.stop().await?;
    Ok(outcome)
}

/// Starts everything and pays once.
async fn begin(cli: &Cli) -> Result<(World, Outcome), Box<dyn std::error::Error>> {
    step("building paygate, paygate-signer and xrpl-sim");
    let mut world = World::prepare(setup(cli)).await?;
    step(&format!(
        "the simulated ledger closes a ledger every {} ms",
        cli.close_ms
    ));
    let started = async {
        world.start_signer().await?;
        world.start_gateway().await
    };
    if let Err(error) = started.await {
        return Err(with_logs(&mut world, &error.to_string()));
    }
    step(&format!(
        "signer and gateway run, wallet {}",
        world.wallet().address()
    ));
    let outcome = pay(cli, &mut world).await;
    Ok((world, outcome))
}

async fn restart_gateway(world: &mut World) -> Result<(), Box<dyn std::error::Error>> {
    world.kill_gateway();
    if let Err(error) = world.start_gateway().await {
        return Err(with_logs(world, &error.to_string()));
    }
    step(&format!(
        "the gateway was killed and runs again with process id {}",
        world.gateway_pid()
    ));
    Ok(())
}

/// What happened, and where its traces are left.
fn with_logs(world: &mut World, what: &str) -> Box<dyn std::error::Error> {
    let directory = world.keep_directory();
    format!("{what}\nlogs and data are kept in {}", directory.display()).into()
}

fn setup(cli: &Cli) -> Setup {
    let seed_type = match cli.seed_type {
        Family::Ed25519 => SeedType::Ed25519,
        Family::Secp256k1 => SeedType::Secp256k1,
    };
    Setup {
        close_ms: cli.close_ms,
        wallet: Wallet::random(seed_type),
        otlp_endpoint: cli.otlp_endpoint.clone(),
        directory: cli.directory.clone(),
        ..Setup::default()
    }
}

/// Pays once and shows it.
async fn pay(cli: &Cli, world: &mut World) -> Outcome {
    let (payment_id, traceparent) = (
        format!("devnet-{}", random_hex(4)),
        format!("00-{}-{}-01", random_hex(16), random_hex(8)),
    );
    step(&format!(
        "paying {FIRST_PAYMENT_XRP} XRP as payment {payment_id}"
    ));
    let request = payment(
        &payment_id,
        &payee("alice"),
        FIRST_PAYMENT_XRP * DROPS_PER_XRP,
    );
    let client = world.client();
    let within = PAID_WITHIN + Duration::from_millis(cli.close_ms) * PAID_WITHIN_LEDGERS;
    let finished = async {
        client
            .create_traced(request, &traceparent)
            .await
            .map_err(|status| {
                format!(
                    "CreatePayment answers {:?}: {}",
                    status.code(),
                    status.message()
                )
            })?;
        client
            .until_final(&payment_id, within)
            .await
            .map_err(|error| error.to_string())
    };
    let finished = finished.await;
    let explained = client.explain(&payment_id).await;
    match &explained {
        Ok(explained) => show_payment(cli, world, explained),
        Err(status) => eprintln!(
            "devnet: ExplainPayment answers {:?}: {}",
            status.code(),
            status.message()
        ),
    }
    let why = match finished {
        Ok(payment) if payment.state() == PaymentState::Paid => return Outcome::Paid,
        Ok(payment) => format!(
            "the payment is {}: {}",
            state_name(payment.state()),
            payment.reason_detail
        ),
        Err(why) => why,
    };
    eprintln!("devnet: {why}");
    eprintln!(
        "devnet: logs and data are kept in {}",
        world.keep_directory().display()
    );
    Outcome::NotPaid
}

fn show_payment(cli: &Cli, world: &World, explained: &ExplainPaymentResponse) {
    match cli.output {
        Output::Json => println!("{}", show::json(world, explained)),
        Output::Text => {
            print!("{}", show::timeline(explained));
            if !cli.once {
                print!("{}", show::what_next(world));
            }
        }
    }
}

/// One line about what happens, apart from the result.
fn step(text: &str) {
    eprintln!("devnet: {text}");
}

fn random_hex(bytes: usize) -> String {
    let mut random = vec![0; bytes];
    SystemRandom::new()
        .fill(&mut random)
        .expect("the system has random numbers");
    hex::encode(random)
}
