//! The simulated XRP Ledger: networks of one or several servers that answer like rippled 3.3 over WebSocket and JSON-RPC.
//!
//! Owns: everything a gateway may ask of such a server for payments of XRP and of issued currencies by the default path, and
//! the transactions that decide whether a payment arrives: AccountSet, TrustSet, Clawback, DepositPreauth, SetRegularKey,
//! SignerListSet, TicketCreate, AccountDelete. Offers are taken down, and nobody takes them. May not: use the project's own
//! encoder or arithmetic (blobs are decoded and verified by xrpl-rust) nor depend on the gateway or the signer.
//!
//! Layers, outside in: `net` (frames, sockets, clock) with `load` (what public ports allow) -> `rpc`, `rpc_server`, `rpc_sign`, `rpc_data`,
//! `rpc_history`, `rpc_owned`, `rpc_lines` (commands), `refusals` (words of the releases), `hub` (streams), `shapes` (how things are
//! printed) -> `node` (one server: open ledger, held and retried transactions) with `closing` and `standing` (how it stands to its
//! network) -> `world` (the chain as it has it) with `archive` (what of it is validated, saved, forgotten) and `order`, `queue` (what
//! waits for a cheaper ledger), `store` (its file), `god` (what tests ask) -> `preflight`, `apply` (the transaction engine) with
//! `settings`, `signers`, `trust`, `lines`, `tokens`, `clawback`, `offers`, `entries`, `delete` for its types, `draft`, `effect`, `nodes`
//! (metadata) -> `state`,
//! `directory`, `blob`, `money`, `decimal`, `codes`, `types`. Beside `net` stand `direct`, the same front without sockets and clocks,
//! on it `network`, several servers of one network, and `script`, the answers on demand. `faults` names all that may go wrong, and `conduct` (servers), `tamper` with `lies`
//! (answers) and `line` (one connection) carry it out; `witness` sees a whole network.
//!
//! A server by itself is alone, and as in a real server's standalone mode a ledger is validated the moment it closes. Only
//! `network` has others; over sockets there is one or such a network. What is not built is refused as `temDISABLED` or `unknownCmd`, or
//! answered as if nobody had ever made such an object.

mod apply;
mod archive;
mod blob;
mod clawback;
mod closing;
mod codes;
mod conduct;
mod decimal;
mod delete;
mod direct;
mod directory;
mod draft;
mod effect;
mod entries;
mod faults;
mod god;
mod hub;
mod lies;
mod line;
mod lines;
mod load;
mod money;
mod net;
mod network;
mod node;
mod nodes;
mod offers;
mod order;
mod preflight;
mod queue;
mod refusals;
mod rpc;
mod rpc_data;
mod rpc_history;
mod rpc_lines;
mod rpc_owned;
mod rpc_server;
mod rpc_sign;
mod script;
mod settings;
mod shapes;
mod signers;
mod standing;
mod state;
mod store;
mod tamper;
#[cfg(test)]
mod tests;
mod tokens;
mod trust;
mod types;
mod witness;
mod world;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::task::JoinSet;

pub use codes::Ter;
pub use conduct::Agreement;
pub use direct::{Direct, DirectSocket};
pub use faults::{
    BlockedBy, DialFault, DialHow, FAULT_NAMES, Fault, How, Lie, PushFault, PushHow, WireFault,
};
pub use god::{Holding, SeenLedger, SeenPayment, SeenTx};
pub use line::Out;
pub use network::{Beginning, Network};
pub use node::Script;
pub use rpc::COMMANDS;
pub use standing::ServerMode;
pub use state::Fees;
pub use store::StoreError;
pub use tamper::Met;
pub use types::{Hash, Millis};
pub use witness::{SeenBlob, Slot, SlotFate};
pub use world::{GENESIS_ADDRESS, GenesisError, Release};

use net::{Front, Shared};
use node::Node;
use store::Store;
use types::AccountId;
use world::{Genesis, World};

/// How to run a simulated network.
#[derive(Clone, Debug)]
pub struct Options {
    /// How many servers the network has.
    pub servers: usize,
    /// Their WebSocket ports on loopback; a server without one, and 0, takes any.
    pub ws_ports: Vec<u16>,
    /// Their JSON-RPC ports, likewise.
    pub rpc_ports: Vec<u16>,
    /// Time between ledgers; zero closes only by `ledger_accept`.
    pub close_every: Duration,
    /// Where closed ledgers are kept; None keeps nothing.
    pub state: Option<PathBuf>,
    /// Above 1024 every transaction must name it.
    pub network_id: u32,
    /// Classic addresses and what they hold at the start, in drops. [`GENESIS_ADDRESS`] holds the rest.
    pub funded: BTreeMap<String, u64>,
    /// Fees and reserves.
    pub fees: Fees,
    /// Transactions that fit a ledger; others wait for the next one. None: all fit.
    pub capacity: Option<usize>,
    /// Index of the first ledger.
    pub start_index: u32,
    /// Transactions that a ledger is expected to hold; when the open ledger holds more, fees rise, and who pays less waits
    /// in a queue. None: fees never rise.
    pub expected_size: Option<u64>,
    /// A page of `account_tx` holds at most so many entries, whatever is asked for. None: as many as a real server gives.
    pub page_entries: Option<u64>,
    /// Which real server it answers like.
    pub release: Release,
    /// Clients of the public port are warned and cut off when they ask for too much.
    pub public_limits: bool,
    /// The network is young and has voted no amendment in yet: fees are also told in units, for example.
    pub without_amendments: bool,
}

impl Default for Options {
    /// Any ports, ledgers only on demand, nothing kept, the fees of the main network.
    fn default() -> Self {
        Self {
            servers: 1,
            ws_ports: Vec::new(),
            rpc_ports: Vec::new(),
            close_every: Duration::ZERO,
            state: None,
            network_id: 21_337,
            funded: BTreeMap::new(),
            fees: Fees {
                base_drops: 10,
                reserve_base_drops: 1_000_000,
                reserve_inc_drops: 200_000,
            },
            capacity: None,
            start_index: 1000,
            expected_size: None,
            page_entries: None,
            release: Release::V3_3,
            public_limits: false,
            without_amendments: false,
        }
    }
}

/// Why a simulated network did not start.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The options or the state directory.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A port.
    #[error("cannot listen on loopback port {port}: {source}")]
    Listen {
        /// As asked for.
        port: u16,
        /// What happened.
        source: std::io::Error,
    },
}

/// Starts a simulated network; it runs until the handle is dropped.
pub async fn serve(options: Options) -> Result<Handle, ServeError> {
    let genesis = Genesis {
        network_id: options.network_id,
        start_index: options.start_index,
        fees: options.fees,
        funded: options.funded.clone(),
        close_time: net::now().ledger_time(),
    };
    let (store, world) = match &options.state {
        Some(directory) => {
            let (store, world) = Store::open(directory, genesis)?;
            (Some(store), world)
        }
        None => (None, World::new(genesis).map_err(StoreError::from)?),
    };
    let close_every = options.close_every;
    let (ws_ports, rpc_ports) = (options.ws_ports.clone(), options.rpc_ports.clone());
    let fronts = fronts(options, store, world)?;
    let mut servers = Vec::new();
    let mut tasks = JoinSet::new();
    for (number, front) in fronts.into_iter().enumerate() {
        let (ws_listener, ws) = listen(&ws_ports, number).await?;
        let (rpc_listener, rpc) = listen(&rpc_ports, number).await?;
        tasks.spawn(net::serve_websockets(ws_listener, front.clone()));
        tasks.spawn(net::serve_rpc(rpc_listener, front.clone()));
        if number == 0 && !close_every.is_zero() {
            tasks.spawn(net::close_ledgers(front.clone(), close_every));
        }
        servers.push(Served { front, ws, rpc });
    }
    Ok(Handle { servers, tasks })
}

/// One server alone, which validates what it closes, or several that agree.
fn fronts(options: Options, store: Option<Store>, world: World) -> Result<Vec<Front>, StoreError> {
    let count = options.servers;
    if count <= 1 {
        let mut node = Node::new(world, store, options.capacity);
        node.world.release = options.release;
        node.world.without_amendments = options.without_amendments;
        node.load = options.public_limits.then(load::Load::default);
        node.queue = options.expected_size.map(queue::Queue::new);
        node.page_entries = options.page_entries;
        let node = Shared::new(node);
        return Ok(vec![Front {
            node,
            network: None,
        }]);
    }
    let network = Network::serving(options, count, (store, world), net::now())?;
    let nodes: Vec<Shared> = (1..=count)
        .map(|number| network.server(number).shared())
        .collect();
    let network = Arc::new(Mutex::new(network));
    let front = |node| Front {
        node,
        network: Some(network.clone()),
    };
    Ok(nodes.into_iter().map(front).collect())
}

async fn listen(ports: &[u16], number: usize) -> Result<(TcpListener, SocketAddr), ServeError> {
    let port = ports.get(number).copied().unwrap_or(0);
    let bound = net::bind(port).await;
    bound.map_err(|source| ServeError::Listen { port, source })
}

/// One server and where it listens.
struct Served {
    front: Front,
    ws: SocketAddr,
    rpc: SocketAddr,
}

/// A running network, and the god view of it: what its first server has, which is meant wherever no number is given.
pub struct Handle {
    servers: Vec<Served>,
    tasks: JoinSet<()>,
}

impl Handle {
    /// Ends when a part of the server has failed, for example on a full disk.
    pub async fn failed(&mut self) {
        self.tasks.join_next().await;
    }

    fn node(&self) -> MutexGuard<'_, Node> {
        self.servers[0].front.node.lock()
    }

    /// Where WebSocket clients connect.
    pub fn ws_url(&self) -> String {
        format!("ws://{}", self.servers[0].ws)
    }

    /// Where JSON-RPC clients connect; admin commands are allowed here.
    pub fn rpc_url(&self) -> String {
        format!("http://{}", self.servers[0].rpc)
    }

    /// The WebSocket and JSON-RPC addresses of all servers.
    pub fn urls(&self) -> Vec<(String, String)> {
        let urls = |server: &Served| {
            (
                format!("ws://{}", server.ws),
                format!("http://{}", server.rpc),
            )
        };
        self.servers.iter().map(urls).collect()
    }

    /// The network's id.
    pub fn network_id(&self) -> u32 {
        self.node().world.genesis.network_id
    }

    /// Index and hash of the first ledger, which identifies the network.
    pub fn anchor(&self) -> (u32, String) {
        let node = self.node();
        let first = node.world.first();
        (first.index, first.hash.to_string())
    }

    /// Index and hash of the last validated ledger.
    pub fn validated(&self) -> (u32, String) {
        let node = self.node();
        let validated = node.world.validated();
        (validated.index, validated.hash.to_string())
    }

    /// Closes the open ledger now, as `ledger_accept` does; gives the index of the ledger that closed.
    pub fn close_ledger(&self) -> Result<u32, StoreError> {
        self.servers[0].front.close_ledger()?;
        Ok(self.node().world.validated().index)
    }

    /// All validated payments with this InvoiceID, `tec` included.
    pub fn payments_by_invoice(&self, invoice_id: &str) -> Vec<SeenPayment> {
        self.node().world.payments_by_invoice(invoice_id)
    }

    /// All validated payments from this account, oldest first.
    pub fn payments_from(&self, address: &str) -> Vec<SeenPayment> {
        self.node().world.payments_from(address)
    }

    /// Validated balance in drops; None if there is no such account.
    pub fn balance(&self, address: &str) -> Option<u64> {
        let id = AccountId::from_address(address)?;
        Some(self.node().world.accounts.get(&id)?.balance)
    }

    /// What the holder has of this issuer's money as servers print it, validated; None without a line between them.
    pub fn held(&self, holder: &str, issuer: &str, currency: &str) -> Option<String> {
        self.node().world.held(holder, issuer, currency)
    }

    /// Validated Sequence; None if there is no such account.
    pub fn sequence(&self, address: &str) -> Option<u32> {
        let id = AccountId::from_address(address)?;
        Some(self.node().world.accounts.get(&id)?.sequence)
    }

    /// Hash and ledger of the validated transaction that used this Sequence of the account.
    pub fn slot_consumer(&self, address: &str, sequence: u32) -> Option<(String, u32)> {
        let id = AccountId::from_address(address)?;
        let (hash, ledger) = self.node().world.slot_consumer(&id, sequence)?;
        Some((hash.to_string(), ledger))
    }

    /// Hash and preliminary result of every blob that arrived since the start, in order.
    pub fn arrivals(&self) -> Vec<(String, Ter)> {
        let node = self.node();
        node.arrivals
            .iter()
            .map(|arrival| (arrival.tx.hash.to_string(), arrival.ter))
            .collect()
    }

    /// What is to go wrong next.
    pub fn script(&self, script: Script) {
        self.node().script = script;
    }

    /// Panics unless all balances and all burned fees add up to all the XRP there ever was.
    pub fn assert_conserved(&self) {
        self.node().world.assert_conserved();
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.tasks.abort_all();
        // A close that is under way ends first; none comes after it, so the state directory is free.
        for server in &self.servers {
            server.front.stop();
        }
    }
}
