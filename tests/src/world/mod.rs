//! A world: the simulated ledger, the signer and the gateway as real processes on loopback, in one directory.
//!
//! Owns: building, configuring, starting, killing and restarting them, and that nothing is left when it is dropped, also
//! in a test that panics. May not: reach into a process other than by what its users and operators have.
//!
//! `binaries` builds, `process` runs one process, `directory` holds the files, `look` is what a story sees of a world, `config` writes the files, `wallet` makes keys, `client` calls the
//! gateway, `second` is another one beside it, `ledger` reads validated history, `person` is somebody else on the ledger, `collector` receives spans, `http` is what the others speak.
//! `audit` compares what was said with what the ledger holds, `points` ends a process at a named point of its life, `lives` tells how a process
//! ended and starts it again, `draws` draws moments.
#![expect(
    clippy::print_stderr,
    reason = "a story that fails shows the logs of its processes"
)]

pub mod audit;
pub mod binaries;
pub mod client;
pub mod collector;
pub mod config;
mod directory;
pub mod draws;
pub mod guarded;
pub mod http;
pub mod ledger;
mod lives;
mod look;
pub mod person;
pub mod pki;
pub mod points;
pub mod process;
mod second;
pub mod wallet;

use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::{Duration, SystemTime};

use serde_json::Value;

use binaries::{Binaries, BuildError};
use config::{Anchor, Listeners};
use directory::Directory;
use ledger::LedgerError;
use process::{Launch, Process, ProcessError};
pub use second::SecondGateway;
use wallet::{SeedType, Wallet};

/// Longest wait for a ready line. A debug build on a busy machine takes seconds.
const READY_WITHIN: Duration = Duration::from_secs(60);

/// Longest wait for an end in order: the gateway's own shutdown timeout is 30 s.
const ENDED_WITHIN: Duration = Duration::from_secs(40);

/// The simulated network's number: above 1024, so that every transaction has to name it.
pub const NETWORK_ID: u32 = 21_337;

/// What a world is to be like.
#[derive(Clone)]
pub struct Setup {
    /// Milliseconds between ledgers; 0: only by [`ledger::Ledger::close_ledger`].
    pub close_ms: u64,
    /// Servers of the ledger's network, each of an operator of its own.
    pub servers: usize,
    /// Number of the network.
    pub network_id: u32,
    /// The paying wallet. A directory that has one already keeps its own.
    pub wallet: Wallet,
    /// What it holds at first, in whole XRP.
    pub wallet_xrp: u64,
    /// Other accounts that exist at first, in whole XRP.
    pub funded: Vec<(String, u64)>,
    /// Largest amount of one payment, for gateway and signer.
    pub max_payment_xrp: String,
    /// Largest sum of a day, for gateway and signer.
    pub daily_limit_xrp: String,
    /// Issued currencies that may be paid, for gateway and signer.
    pub assets: Vec<Asset>,
    /// Payments that may be pending.
    pub max_pending: u32,
    /// Where spans go. None: nowhere.
    pub otlp_endpoint: Option<String>,
    /// Where all files go, and stay. None: a temporary directory.
    pub directory: Option<PathBuf>,
    /// Variables that override keys of the gateway's configuration.
    pub gateway_variables: Vec<(String, String)>,
    /// The same for the signer's.
    pub signer_variables: Vec<(String, String)>,
    /// Variables of the ledger's server.
    pub ledger_variables: Vec<(String, String)>,
    /// Further arguments of the ledger's server.
    pub ledger_arguments: Vec<String>,
}

/// An issued currency that may be paid.
#[derive(Clone, Debug)]
pub struct Asset {
    /// Three characters or 40 hex digits.
    pub currency: String,
    /// The issuer's classic address.
    pub issuer: String,
    /// The most that one payment may take.
    pub max_payment: String,
    /// The most that the payments of a day may take.
    pub daily_limit: String,
    /// What the issuer may take of a transfer at most, for the gateway.
    pub max_transfer_fee_ppm: u32,
}

/// Why there is no world.
#[derive(Debug, thiserror::Error)]
pub enum WorldError {
    /// The programs are not built.
    #[error(transparent)]
    Build(#[from] BuildError),
    /// A process is not what it should be.
    #[error(transparent)]
    Process(#[from] ProcessError),
    /// The file system says no.
    #[error("cannot prepare {}: {source}", path.display())]
    Files {
        /// Where.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A ready line lacks something.
    #[error("the ready line of the {process} lacks {field}: {line}")]
    ReadyLine {
        /// Whose.
        process: &'static str,
        /// What it lacks.
        field: &'static str,
        /// What it printed.
        line: String,
    },
    /// The ledger's server does not tell where it is.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// The directory holds something else.
    #[error("{} holds no wallet of an earlier run: {why}", path.display())]
    Foreign {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
}

/// Running processes. The gateway ends first, as it is the one that waits for the others.
pub struct World {
    gateway: Option<Process>,
    signer: Option<Process>,
    ledger: Option<Process>,
    setup: Setup,
    binaries: Binaries,
    anchor: Anchor,
    /// WebSocket and JSON-RPC addresses of the ledger's servers.
    ledger_urls: Vec<(String, String)>,
    listeners: Listeners,
    directory: Directory,
}

impl Default for Setup {
    /// A fresh ed25519 wallet of 10,000 XRP, ledgers every 400 ms, the limits of a production gateway.
    fn default() -> Setup {
        Setup {
            close_ms: 400,
            servers: 1,
            network_id: NETWORK_ID,
            wallet: Wallet::random(SeedType::Ed25519),
            wallet_xrp: 10_000,
            funded: vec![(wallet::payee("alice"), 100)],
            max_payment_xrp: "100".to_owned(),
            daily_limit_xrp: "1000".to_owned(),
            assets: Vec::new(),
            max_pending: 50,
            otlp_endpoint: None,
            directory: None,
            gateway_variables: Vec::new(),
            signer_variables: Vec::new(),
            ledger_variables: Vec::new(),
            ledger_arguments: Vec::new(),
        }
    }
}

// === starting ===

impl World {
    /// Builds and starts everything.
    pub async fn start(setup: Setup) -> Result<World, WorldError> {
        let mut world = World::prepare(setup).await?;
        world.start_signer().await?;
        world.start_gateway().await?;
        Ok(world)
    }

    /// Builds everything and starts the ledger alone.
    pub async fn prepare(mut setup: Setup) -> Result<World, WorldError> {
        let binaries = tokio::task::spawn_blocking(binaries::build)
            .await
            .expect("the build does not panic")?;
        let directory = Directory::open(setup.directory.as_deref())?;
        setup.wallet = directory.keep_wallet(&setup.wallet)?;
        let placeholder = Anchor {
            index: 0,
            hash: String::new(),
            unix_seconds: 0,
        };
        let mut world = World {
            gateway: None,
            signer: None,
            ledger: None,
            setup,
            binaries,
            anchor: placeholder,
            ledger_urls: Vec::new(),
            listeners: Listeners::default(),
            directory,
        };
        let ready = world.start_ledger().await?;
        let field = |pointer: &'static str| field_of("ledger", &ready, pointer);
        let servers = field("/servers")?.as_array().into_iter().flatten();
        let urls = servers.map(|server| (text(&server["ws"]), text(&server["rpc"])));
        world.ledger_urls = urls.collect();
        let seen = Anchor {
            index: field("/anchor/index")?.as_u64().unwrap_or_default(),
            hash: text(field("/anchor/hash")?),
            unix_seconds: unix_seconds(),
        };
        world.anchor = world.directory.keep_anchor(seen)?;
        Ok(world)
    }

    /// Starts the ledger's server: at the addresses of its earlier life, if it had one.
    pub async fn start_ledger(&mut self) -> Result<Value, WorldError> {
        let port = |url: &String| url.rsplit(':').next().unwrap_or("0").to_owned();
        let ports = |url: fn(&(String, String)) -> &String| {
            let ports: Vec<String> = self.ledger_urls.iter().map(url).map(port).collect();
            if ports.is_empty() {
                return "0".to_owned();
            }
            ports.join(",")
        };
        let mut arguments = vec![
            "--servers".to_owned(),
            self.setup.servers.to_string(),
            "--ws-port".to_owned(),
            ports(|(ws, _)| ws),
            "--rpc-port".to_owned(),
            ports(|(_, rpc)| rpc),
            "--close-ms".to_owned(),
            self.setup.close_ms.to_string(),
            "--state".to_owned(),
            self.path("ledger").display().to_string(),
            "--network-id".to_owned(),
            self.setup.network_id.to_string(),
        ];
        arguments.extend(self.setup.ledger_arguments.iter().cloned());
        let variables = self.setup.ledger_variables.clone();
        let own = (self.setup.wallet.address(), self.setup.wallet_xrp);
        for (address, xrp) in std::iter::once(&own).chain(&self.setup.funded) {
            arguments.extend(["--fund".to_owned(), format!("{address}={xrp}")]);
        }
        let launch = self.launch("ledger", &self.binaries.ledger, arguments, variables);
        let (process, ready) = launch.start(READY_WITHIN).await?;
        self.ledger = Some(process);
        Ok(ready)
    }

    /// Starts the signer.
    pub async fn start_signer(&mut self) -> Result<(), WorldError> {
        let text = config::signer(&self.setup, &self.anchor, self.directory.path());
        let file = self.directory.write("signer/signer.toml", &text)?;
        let arguments = vec![
            "serve".to_owned(),
            "--config".to_owned(),
            file.display().to_string(),
        ];
        let variables = self.setup.signer_variables.clone();
        let launch = self.launch("signer", &self.binaries.signer, arguments, variables);
        let (process, _) = launch.start(READY_WITHIN).await?;
        self.signer = Some(process);
        Ok(())
    }

    /// Overrides keys of the gateway's configuration from its next start on.
    pub fn set_gateway_variables(&mut self, variables: Vec<(String, String)>) {
        self.setup.gateway_variables = variables;
    }

    /// Starts the gateway: at the addresses of its earlier life, if it had one.
    pub async fn start_gateway(&mut self) -> Result<(), WorldError> {
        let file = self.write_gateway_config()?;
        let arguments = vec![
            "serve".to_owned(),
            "--config".to_owned(),
            file.display().to_string(),
        ];
        let variables = self.setup.gateway_variables.clone();
        let launch = self.launch("gateway", &self.binaries.gateway, arguments, variables);
        let (process, ready) = launch.start(READY_WITHIN).await?;
        self.gateway = Some(process);
        self.listeners = Listeners {
            grpc: text(field_of("gateway", &ready, "/grpc")?),
            health: text(field_of("gateway", &ready, "/health")?),
            metrics: text(field_of("gateway", &ready, "/metrics")?),
        };
        Ok(())
    }

    /// Writes the gateway's configuration as it would be started now.
    pub fn write_gateway_config(&self) -> Result<PathBuf, WorldError> {
        let path = self.directory.path();
        let ledgers: Vec<&str> = self.ledger_urls.iter().map(|(ws, _)| ws.as_str()).collect();
        let text = config::gateway(&self.setup, &self.anchor, &ledgers, &self.listeners, path);
        self.directory.write("gateway/gateway.toml", &text)
    }

    fn launch(
        &self,
        name: &'static str,
        program: &Path,
        arguments: Vec<String>,
        mut environment: Vec<(String, String)>,
    ) -> Launch {
        environment.push(("RUST_BACKTRACE".to_owned(), "1".to_owned()));
        let logs = self.path("logs");
        Launch {
            name,
            program: program.to_owned(),
            arguments,
            environment,
            logs,
        }
    }
}

// === ending ===

impl World {
    /// `kill -9` of the gateway.
    pub fn kill_gateway(&mut self) {
        self.gateway = None;
    }

    /// `kill -9` of the signer.
    pub fn kill_signer(&mut self) {
        self.signer = None;
    }

    /// `kill -9` of the ledger's server: only what it had validated comes back.
    pub fn kill_ledger(&mut self) {
        self.ledger = None;
    }

    /// SIGTERM to the gateway, and how it ended. None: it was not running.
    pub async fn stop_gateway(&mut self) -> Result<Option<ExitStatus>, ProcessError> {
        stop(self.gateway.take()).await
    }

    /// SIGTERM to the signer, and how it ended. None: it was not running.
    pub async fn stop_signer(&mut self) -> Result<Option<ExitStatus>, ProcessError> {
        stop(self.signer.take()).await
    }

    /// SIGTERM to all, in order: the signer after the gateway, which may still need it, the ledger last.
    pub async fn stop(&mut self) -> Result<(), ProcessError> {
        self.stop_gateway().await?;
        self.stop_signer().await?;
        stop(self.ledger.take()).await?;
        Ok(())
    }

    /// The name of a process that has ended by itself.
    pub fn ended_by_itself(&mut self) -> Option<String> {
        let processes = [
            ("gateway", &mut self.gateway),
            ("signer", &mut self.signer),
            ("ledger", &mut self.ledger),
        ];
        processes.into_iter().find_map(|(name, process)| {
            let status = process.as_mut()?.ended()?;
            Some(format!("{name} ended with {status}"))
        })
    }
}

async fn stop(process: Option<Process>) -> Result<Option<ExitStatus>, ProcessError> {
    match process {
        Some(process) => process.terminate(ENDED_WITHIN).await.map(Some),
        None => Ok(None),
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}", self.tails());
        }
    }
}

fn unix_seconds() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since.unwrap_or_default().as_secs()
}

fn field_of<'a>(
    process: &'static str,
    ready: &'a Value,
    pointer: &'static str,
) -> Result<&'a Value, WorldError> {
    ready.pointer(pointer).ok_or_else(|| WorldError::ReadyLine {
        process,
        field: pointer,
        line: ready.to_string(),
    })
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
