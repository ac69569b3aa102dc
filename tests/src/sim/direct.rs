//! The simulated server without sockets and clocks: for who replays recorded conversations in one thread.
//!
//! Owns: the same front as `net`, called directly, with a time that only the caller moves. May not: answer anything that
//! `net` would not.

use serde_json::{Map, Value};

use super::god::SeenLedger;
use super::line::{Line, Out};
use super::load::Load;
use super::net::{Shared, answer_text, rpc_body};
use super::node::Node;
use super::queue::Queue;
use super::rpc::Role;
use super::types::Millis;
use super::world::{Genesis, GenesisError, World};
use super::{Options, StoreError};

/// A server that is asked by calling it.
pub struct Direct {
    node: Shared,
    now: Millis,
}

/// A WebSocket of it.
pub struct DirectSocket {
    line: Line,
}

impl DirectSocket {
    /// The oldest message that was pushed and not taken yet, as the server made it.
    pub fn pushed(&mut self) -> Option<String> {
        self.line.pushed()
    }

    /// True if nothing comes through any more, and nobody said so.
    pub fn is_silent(&self) -> bool {
        self.line.is_silent()
    }

    /// When something goes out by itself that is late.
    pub fn due(&self) -> Option<Millis> {
        self.line.due()
    }

    /// Waits until the server has pushed something or ended the connection. May be dropped at any moment.
    pub async fn wait(&mut self) {
        self.line.wait().await;
    }
}

impl Direct {
    /// A server with these options, without ports, timer and files.
    pub fn new(options: Options, now: Millis) -> Result<Self, GenesisError> {
        let world = World::new(Genesis {
            network_id: options.network_id,
            start_index: options.start_index,
            fees: options.fees,
            funded: options.funded,
            close_time: now.ledger_time(),
        })?;
        let mut node = Node::new(world, None, options.capacity);
        node.world.release = options.release;
        node.world.without_amendments = options.without_amendments;
        node.load = options.public_limits.then(Load::default);
        node.queue = options.expected_size.map(Queue::new);
        node.page_entries = options.page_entries;
        Ok(Self {
            node: Shared::new(node),
            now,
        })
    }

    /// The node, for who plays several of them together.
    pub(super) fn shared(&self) -> Shared {
        self.node.clone()
    }

    /// The node alone.
    pub(super) fn into_node(self) -> Node {
        self.node.into_node()
    }

    /// Its time.
    pub(super) fn now(&self) -> Millis {
        self.now
    }

    /// The network whose ledgers it has: its id, and when its first ledger was closed, which differs once a network was begun anew.
    pub fn network(&self) -> (u32, u32) {
        let node = self.node.lock();
        (node.world.genesis.network_id, node.world.genesis.close_time)
    }

    /// Lets time pass.
    pub fn pass(&mut self, milliseconds: u64) {
        self.now = Millis(self.now.0 + milliseconds);
    }

    /// Status and body of the answer to an HTTP request.
    pub fn http(&self, admin: bool, body: &str) -> (u16, String) {
        let (status, text) = rpc_body(&self.node, role(admin), body, self.now);
        (status.as_u16(), text)
    }

    /// A new WebSocket.
    pub fn connect(&self, admin: bool) -> DirectSocket {
        let (id, pushed) = self.node.lock().hub.connect();
        DirectSocket {
            line: Line::new(id, role(admin), pushed),
        }
    }

    /// A new WebSocket of a client that meant another server.
    pub fn connect_astray(&self) -> DirectSocket {
        let socket = self.connect(false);
        self.node.lock().hub.is_astray(socket.line.socket().0);
        socket
    }

    /// A client sends a message. What comes of it goes out by [`Self::poll`], with all that is wrong on the way.
    pub fn request(&self, socket: &mut DirectSocket, text: &str) {
        socket.line.request(&self.node, text, self.now);
    }

    /// What goes out on this socket now: answers, pushed messages, ends.
    pub fn poll(&self, socket: &mut DirectSocket) -> Vec<Out> {
        socket.line.poll(&self.node, self.now)
    }

    /// A WebSocket is gone.
    pub fn disconnect(&self, socket: &DirectSocket) {
        let (id, _) = socket.line.socket();
        self.node.lock().hub.disconnect(id);
    }

    /// The answer to a WebSocket message, as the server made it.
    pub fn websocket(&self, socket: &DirectSocket, text: &str) -> Option<Map<String, Value>> {
        answer_text(&self.node, socket.line.socket(), text, self.now)
    }

    /// Closes the open ledger.
    pub fn close_ledger(&self) -> Result<(), StoreError> {
        self.node.lock().close(self.now)
    }

    /// Transactions in the open ledger.
    pub fn open_size(&self) -> usize {
        self.node.lock().open_txs().len()
    }

    /// The successors that the next success lets go wait for what comes after it.
    pub fn delay_successors(&self) {
        self.node.lock().script.late_successors = 1;
    }

    /// A ledger that it has closed, validated or not, with all that this account did in it.
    pub fn seen_ledger(&self, index: u32, address: &str) -> Option<SeenLedger> {
        self.node.lock().world.seen_ledger(index, address)
    }

    /// Index of the last ledger that it has closed.
    pub fn closed_index(&self) -> u32 {
        self.node.lock().world.closed().index
    }

    /// Index of the open ledger.
    pub fn open_index(&self) -> u32 {
        self.node.lock().open_index()
    }

    /// Index of the last validated ledger.
    pub fn validated_index(&self) -> u32 {
        self.node.lock().world.validated().index
    }
}

fn role(admin: bool) -> Role {
    if admin { Role::Admin } else { Role::Public }
}
