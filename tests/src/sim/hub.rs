//! Subscriptions: which socket wants to hear what, and in which version of the API.
//!
//! Owns: the subscribers' queues and the shape of what is pushed into them. May not: wait for anybody; a subscriber
//! whose queue is full is dropped, as a real server closes a client that reads too slowly.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use serde_json::{Map, Value, json};
use tokio::sync::mpsc;

use super::blob::Tx;
use super::codes::Ter;
use super::shapes::{ApiVersion, complete_ledgers, ctid, object, tx_fields};
use super::types::{AccountId, iso};
use super::world::{Ledger, Release, World};

/// Messages that may wait for a slow reader. A real server has 100 by default and configured ones far more; a full
/// simulated ledger must fit.
const QUEUE_MESSAGES_MAX: usize = 20_000;

/// Units that a simple transaction cost before fees were told in drops alone.
const FEE_UNITS: u32 = 10;

/// Identifies a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct SocketId(u64);

/// The streams that one socket may subscribe to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Stream {
    /// Closed ledgers.
    Ledger,
    /// Validated transactions.
    Transactions,
    /// Validated transactions and those just applied to the open ledger.
    TransactionsProposed,
    /// The server's load and mode.
    Server,
    /// Accepted, but nothing is ever pushed here.
    Silent,
}

impl Stream {
    /// By its name in a subscribe request.
    pub(super) fn from_name(name: &str) -> Option<Self> {
        match name {
            "ledger" => Some(Self::Ledger),
            "transactions" => Some(Self::Transactions),
            "transactions_proposed" | "rt_transactions" => Some(Self::TransactionsProposed),
            "server" => Some(Self::Server),
            "consensus" | "validations" | "manifests" | "book_changes" | "peer_status" => {
                Some(Self::Silent)
            }
            _ => None,
        }
    }
}

struct Subscriber {
    queue: mpsc::Sender<String>,
    api: ApiVersion,
    streams: HashSet<Stream>,
    accounts: HashSet<AccountId>,
    accounts_proposed: HashSet<AccountId>,
}

/// What a subscribe or unsubscribe request names.
#[derive(Debug, Default)]
pub(super) struct Wanted {
    /// Streams.
    pub streams: Vec<Stream>,
    /// Accounts, validated transactions only.
    pub accounts: Vec<AccountId>,
    /// Accounts, also transactions just applied to the open ledger.
    pub accounts_proposed: Vec<AccountId>,
}

/// All subscribers.
#[derive(Default)]
pub(super) struct Hub {
    next: u64,
    /// In the order in which they came: it is the order in which they hear.
    subscribers: BTreeMap<SocketId, Subscriber>,
    /// Who was dropped for not reading.
    slow: BTreeSet<SocketId>,
    /// Who meant another server and was led here.
    astray: BTreeSet<SocketId>,
}

impl Hub {
    /// A new socket, subscribed to nothing yet.
    pub(super) fn connect(&mut self) -> (SocketId, mpsc::Receiver<String>) {
        let (queue, messages) = mpsc::channel(QUEUE_MESSAGES_MAX);
        let id = SocketId(self.next);
        self.next += 1;
        let (streams, accounts, accounts_proposed) = Default::default();
        self.subscribers.insert(
            id,
            Subscriber {
                queue,
                api: ApiVersion::V1,
                streams,
                accounts,
                accounts_proposed,
            },
        );
        (id, messages)
    }

    /// A hub without anybody, whose sockets have other names than those before: those are told nothing any more.
    pub(super) fn after(old: &Self) -> Self {
        Self {
            next: old.next,
            ..Self::default()
        }
    }

    /// True if the socket was dropped because it did not read.
    pub(super) fn was_too_slow(&self, id: SocketId) -> bool {
        self.slow.contains(&id)
    }

    /// The socket's client meant another server.
    pub(super) fn is_astray(&mut self, id: SocketId) {
        self.astray.insert(id);
    }

    /// True if a client that meant another server is still here.
    pub(super) fn has_astray(&self) -> bool {
        let mut astray = self.astray.iter();
        astray.any(|id| self.subscribers.contains_key(id))
    }

    /// Ends every connection.
    pub(super) fn cut_all(&mut self) {
        self.subscribers.clear();
    }

    /// The socket is gone.
    pub(super) fn disconnect(&mut self, id: SocketId) {
        self.subscribers.remove(&id);
        self.slow.remove(&id);
        self.astray.remove(&id);
    }

    /// Adds subscriptions.
    pub(super) fn subscribe(&mut self, id: SocketId, api: ApiVersion, wanted: Wanted) {
        if let Some(subscriber) = self.subscribers.get_mut(&id) {
            subscriber.api = api;
            subscriber.streams.extend(wanted.streams);
            subscriber.accounts.extend(wanted.accounts);
            subscriber
                .accounts_proposed
                .extend(wanted.accounts_proposed);
        }
    }

    /// Takes subscriptions away; what was not subscribed is ignored.
    pub(super) fn unsubscribe(&mut self, id: SocketId, wanted: &Wanted) {
        if let Some(subscriber) = self.subscribers.get_mut(&id) {
            subscriber
                .streams
                .retain(|stream| !wanted.streams.contains(stream));
            subscriber
                .accounts
                .retain(|account| !wanted.accounts.contains(account));
            subscriber
                .accounts_proposed
                .retain(|account| !wanted.accounts_proposed.contains(account));
        }
    }

    /// A transaction was applied to the open ledger.
    pub(super) fn publish_proposed(
        &mut self,
        tx: &Tx,
        ter: Ter,
        affected: &[AccountId],
        open_index: u32,
    ) {
        self.push(
            |subscriber| {
                let by_stream =
                    usize::from(subscriber.streams.contains(&Stream::TransactionsProposed));
                by_stream
                    + usize::from(
                        affected
                            .iter()
                            .any(|account| subscriber.accounts_proposed.contains(account)),
                    )
            },
            |api| proposed_message(tx, ter, open_index, api),
        );
    }

    /// A ledger is validated: first the ledger, then its transactions in order.
    pub(super) fn publish_ledger(&mut self, world: &World, index: u32) {
        let Some(ledger) = world.ledger(index) else {
            return;
        };
        let closed = ledger_closed_message(world, ledger);
        self.push(
            |subscriber| usize::from(subscriber.streams.contains(&Stream::Ledger)),
            |_| closed.clone(),
        );
        for (position, included) in ledger.txs.iter().enumerate() {
            self.push(
                |subscriber| {
                    // One copy for each stream and one for the accounts, as recorded.
                    let streams = [Stream::Transactions, Stream::TransactionsProposed];
                    let by_stream = streams
                        .iter()
                        .filter(|stream| subscriber.streams.contains(stream))
                        .count();
                    let concerns = |account: &AccountId| {
                        subscriber.accounts.contains(account)
                            || subscriber.accounts_proposed.contains(account)
                    };
                    by_stream + usize::from(included.affected.iter().any(concerns))
                },
                |api| validated_message(world, ledger, position, api),
            );
        }
    }

    /// True if anybody wants to hear of the server's load and mode.
    pub(super) fn has_server_stream(&self) -> bool {
        self.subscribers
            .values()
            .any(|subscriber| subscriber.streams.contains(&Stream::Server))
    }

    /// The server's load or mode changed.
    pub(super) fn publish_status(&mut self, status: &Map<String, Value>) {
        self.push(
            |subscriber| usize::from(subscriber.streams.contains(&Stream::Server)),
            |_| status.clone(),
        );
    }

    /// Queues copies of a message, printed once per version, and drops who does not read.
    fn push(
        &mut self,
        copies: impl Fn(&Subscriber) -> usize,
        message: impl Fn(ApiVersion) -> Map<String, Value>,
    ) {
        let mut printed: HashMap<ApiVersion, String> = HashMap::new();
        let slow = &mut self.slow;
        self.subscribers.retain(|id, subscriber| {
            let takes = (0..copies(subscriber)).all(|_| {
                let text = printed
                    .entry(subscriber.api)
                    .or_insert_with(|| json!(message(subscriber.api)).to_string());
                subscriber.queue.try_send(text.clone()).is_ok()
            });
            if !takes {
                slow.insert(*id);
            }
            takes
        });
    }
}

fn ledger_closed_message(world: &World, ledger: &Ledger) -> Map<String, Value> {
    let mut message = ledger_facts(world, ledger);
    message.insert("txn_count".into(), json!(ledger.txs.len()));
    message.insert("type".into(), json!("ledgerClosed"));
    message
}

/// What both a ledger's subscription and each of its messages say.
pub(super) fn ledger_facts(world: &World, ledger: &Ledger) -> Map<String, Value> {
    let fees = world.genesis.fees;
    let mut facts = object(json!({
        "fee_base": fees.base_drops,
        "ledger_hash": ledger.hash.to_string(),
        "ledger_index": ledger.index,
        "ledger_time": ledger.close_time,
        "reserve_base": fees.reserve_base_drops,
        "reserve_inc": fees.reserve_inc_drops,
        "validated_ledgers": complete_ledgers(world),
    }));
    if world.release == Release::V3_3 {
        facts.insert("network_id".into(), json!(world.genesis.network_id));
    }
    if world.without_amendments {
        facts.insert("fee_ref".into(), json!(FEE_UNITS));
    }
    facts
}

fn transaction_message(
    tx: &Tx,
    ter: Ter,
    api: ApiVersion,
    date: Option<u32>,
) -> Map<String, Value> {
    let mut message = object(json!({
        "engine_result": ter.name(),
        "engine_result_code": ter.code(),
        "engine_result_message": ter.message(),
        "type": "transaction",
    }));
    let mut fields = tx_fields(tx, api);
    if let Some(date) = date {
        fields.insert("date".into(), json!(date));
    }
    match api {
        ApiVersion::V1 => {
            fields.insert("hash".into(), json!(tx.hash.to_string()));
            message.insert("transaction".into(), Value::Object(fields));
        }
        ApiVersion::V2 => {
            message.insert("hash".into(), json!(tx.hash.to_string()));
            message.insert("tx_json".into(), Value::Object(fields));
        }
    }
    message
}

fn proposed_message(tx: &Tx, ter: Ter, open_index: u32, api: ApiVersion) -> Map<String, Value> {
    let mut message = transaction_message(tx, ter, api, None);
    message.insert("ledger_current_index".into(), json!(open_index));
    message.insert("status".into(), json!("proposed"));
    message.insert("validated".into(), json!(false));
    message
}

fn validated_message(
    world: &World,
    ledger: &Ledger,
    position: usize,
    api: ApiVersion,
) -> Map<String, Value> {
    let included = &ledger.txs[position];
    let mut message = transaction_message(&included.tx, included.ter, api, Some(ledger.close_time));
    message.insert("close_time_iso".into(), json!(iso(ledger.close_time)));
    if world.release == Release::V3_3
        && let Some(ctid) = ctid(world.genesis.network_id, ledger.index, position)
    {
        message.insert("ctid".into(), json!(ctid));
    }
    message.insert("ledger_hash".into(), json!(ledger.hash.to_string()));
    message.insert("ledger_index".into(), json!(ledger.index));
    message.insert("meta".into(), json!(included.meta));
    message.insert("status".into(), json!("closed"));
    message.insert("validated".into(), json!(true));
    message
}
