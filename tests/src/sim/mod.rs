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
//! on it `network`, several servers of one network, and `script`, the faults on demand.
//!
//! A server by itself is alone, and as in a real server's standalone mode a ledger is validated the moment it closes. Only
//! `network` has others; over sockets there is one server. What is not built is refused as `temDISABLED` or `unknownCmd`, or
//! answered as if nobody had ever made such an object.

mod apply;
mod archive;
mod blob;
mod clawback;
mod closing;
mod codes;
mod decimal;
mod delete;
mod direct;
mod directory;
mod draft;
mod effect;
mod entries;
mod god;
mod hub;
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
#[cfg(test)]
mod tests;
mod tokens;
mod trust;
mod types;
mod world;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use tokio::task::JoinSet;

pub use codes::Ter;
pub use direct::{Direct, DirectSocket};
pub use god::{Holding, SeenLedger, SeenPayment, SeenTx};
pub use network::{Beginning, Network};
pub use node::Script;
pub use rpc::COMMANDS;
pub use standing::ServerMode;
pub use state::Fees;
pub use store::StoreError;
pub use types::{Hash, Millis};
pub use world::{GENESIS_ADDRESS, GenesisError, Release};

use net::Shared;
use node::Node;
use store::Store;
use types::AccountId;
use world::{Genesis, World};

/// How to run a simulated network.
#[derive(Clone, Debug)]
pub struct Options {
    /// WebSocket port on loopback; 0 takes any.
    pub ws_port: u16,
    /// JSON-RPC port on loopback; 0 takes any.
    pub rpc_port: u16,
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
            ws_port: 0,
            rpc_port: 0,
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
        funded: options.funded,
        close_time: net::now().ledger_time(),
    };
    let (store, world) = match &options.state {
        Some(directory) => {
            let (store, world) = Store::open(directory, genesis)?;
            (Some(store), world)
        }
        None => (None, World::new(genesis).map_err(StoreError::from)?),
    };
    let listen = |port: u16| async move {
        net::bind(port)
            .await
            .map_err(|source| ServeError::Listen { port, source })
    };
    let (ws_listener, ws) = listen(options.ws_port).await?;
    let (rpc_listener, rpc) = listen(options.rpc_port).await?;
    let mut node = Node::new(world, store, options.capacity);
    node.world.release = options.release;
    node.world.without_amendments = options.without_amendments;
    node.load = options.public_limits.then(load::Load::default);
    node.queue = options.expected_size.map(queue::Queue::new);
    let node = Shared::new(node);
    let mut tasks = JoinSet::new();
    tasks.spawn(net::serve_websockets(ws_listener, node.clone()));
    tasks.spawn(net::serve_rpc(rpc_listener, node.clone()));
    if !options.close_every.is_zero() {
        tasks.spawn(net::close_ledgers(node.clone(), options.close_every));
    }
    Ok(Handle {
        node,
        ws,
        rpc,
        tasks,
    })
}

/// A running network, and the god view of it.
pub struct Handle {
    node: Shared,
    ws: SocketAddr,
    rpc: SocketAddr,
    tasks: JoinSet<()>,
}

impl Handle {
    /// Ends when a part of the server has failed, for example on a full disk.
    pub async fn failed(&mut self) {
        self.tasks.join_next().await;
    }

    /// Where WebSocket clients connect.
    pub fn ws_url(&self) -> String {
        format!("ws://{}", self.ws)
    }

    /// Where JSON-RPC clients connect; admin commands are allowed here.
    pub fn rpc_url(&self) -> String {
        format!("http://{}", self.rpc)
    }

    /// The network's id.
    pub fn network_id(&self) -> u32 {
        self.node.lock().world.genesis.network_id
    }

    /// Index and hash of the first ledger, which identifies the network.
    pub fn anchor(&self) -> (u32, String) {
        let node = self.node.lock();
        let first = node.world.first();
        (first.index, first.hash.to_string())
    }

    /// Index and hash of the last validated ledger.
    pub fn validated(&self) -> (u32, String) {
        let node = self.node.lock();
        let validated = node.world.validated();
        (validated.index, validated.hash.to_string())
    }

    /// Closes the open ledger now, as `ledger_accept` does; gives the index of the ledger that closed.
    pub fn close_ledger(&self) -> Result<u32, StoreError> {
        let mut node = self.node.lock();
        node.close(net::now())?;
        Ok(node.world.validated().index)
    }

    /// All validated payments with this InvoiceID, `tec` included.
    pub fn payments_by_invoice(&self, invoice_id: &str) -> Vec<SeenPayment> {
        self.node.lock().world.payments_by_invoice(invoice_id)
    }

    /// All validated payments from this account, oldest first.
    pub fn payments_from(&self, address: &str) -> Vec<SeenPayment> {
        self.node.lock().world.payments_from(address)
    }

    /// Validated balance in drops; None if there is no such account.
    pub fn balance(&self, address: &str) -> Option<u64> {
        let id = AccountId::from_address(address)?;
        Some(self.node.lock().world.accounts.get(&id)?.balance)
    }

    /// What the holder has of this issuer's money as servers print it, validated; None without a line between them.
    pub fn held(&self, holder: &str, issuer: &str, currency: &str) -> Option<String> {
        self.node.lock().world.held(holder, issuer, currency)
    }

    /// Validated Sequence; None if there is no such account.
    pub fn sequence(&self, address: &str) -> Option<u32> {
        let id = AccountId::from_address(address)?;
        Some(self.node.lock().world.accounts.get(&id)?.sequence)
    }

    /// Hash and ledger of the validated transaction that used this Sequence of the account.
    pub fn slot_consumer(&self, address: &str, sequence: u32) -> Option<(String, u32)> {
        let id = AccountId::from_address(address)?;
        let (hash, ledger) = self.node.lock().world.slot_consumer(&id, sequence)?;
        Some((hash.to_string(), ledger))
    }

    /// Hash and preliminary result of every blob that arrived since the start, in order.
    pub fn arrivals(&self) -> Vec<(String, Ter)> {
        let node = self.node.lock();
        node.arrivals
            .iter()
            .map(|arrival| (arrival.tx.hash.to_string(), arrival.ter))
            .collect()
    }

    /// What is to go wrong next.
    pub fn script(&self, script: Script) {
        self.node.lock().script = script;
    }

    /// Panics unless all balances and all burned fees add up to all the XRP there ever was.
    pub fn assert_conserved(&self) {
        self.node.lock().world.assert_conserved();
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.tasks.abort_all();
        // A close that is under way ends first; none comes after it, so the state directory is free.
        self.node.lock().stop();
    }
}
