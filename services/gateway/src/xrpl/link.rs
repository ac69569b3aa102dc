//! Link: the handle that callers hold, with its settings, states and errors.
//!
//! Owns: deadlines of calls and the difference between "never sent" and "perhaps sent". May not: touch the socket; that
//! is the driver's alone, so one connection keeps the order of what goes through it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use tokio::sync::{mpsc, oneshot, watch};
use tokio_tungstenite::tungstenite::Utf8Bytes;
use xrpl_tx::Hash256;

use super::dial::Dial;
use super::driver::{Driver, Outgoing};
use paygate_payments::LedgerRef;

use super::facts::LedgerEvent;
use super::wire;
use crate::clock;
use crate::metrics::Metrics;

/// Requests waiting for the socket or for an answer. A ledger's worth of submits and reads is far below it; more means
/// that the server has stopped answering, and refusing is better than hoarding.
pub(super) const REQUESTS_IN_FLIGHT_MAX: usize = 256;

/// What a link needs to know.
#[derive(Clone, Debug)]
pub struct LinkSettings {
    /// `ws://` or `wss://` URL of the server.
    pub url: String,
    /// Name of the server in metrics and logs: short, and without credentials.
    pub server: String,
    /// Network that the server must be on.
    pub network_id: u32,
    /// A ledger that this network is known to contain.
    pub anchor: LedgerRef,
    /// Limit for TCP, TLS, WebSocket handshake and proof of identity, each.
    pub connect_timeout: Duration,
    /// Limit for one request, from the call to its answer.
    pub request_timeout: Duration,
    /// A connection on which nothing was heard for two of these is given up; one ping is sent in each.
    pub health_check_interval: Duration,
}

/// Why a call brought no answer, by what the caller does differently.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// The request never left this process: nothing can have come of it.
    #[error("{command} was not sent to the ledger server: {why}")]
    NotConnected {
        /// Command of the request.
        command: &'static str,
        /// What stood in the way.
        why: NotSent,
    },
    /// The request was sent, or may have been. For `submit`: the blob may be on the network.
    #[error("{command} was sent to the ledger server, or may have been, and no answer came")]
    Unanswered {
        /// Command of the request.
        command: &'static str,
    },
    /// The server read the request and refused it. For `submit` this is still no proof that the blob is unknown to it.
    #[error("the ledger server refuses {command}: {error} ({message})")]
    Server {
        /// Command of the request.
        command: &'static str,
        /// Error token, for example `notSynced`.
        error: String,
        /// Error number, absent for some errors.
        code: Option<i64>,
        /// The server's sentence, cut to a safe length.
        message: String,
    },
    /// An answer came that we cannot read. For `submit`: as unknown as no answer.
    #[error("the ledger server's answer to {command} cannot be read: {detail}")]
    Malformed {
        /// Command of the request.
        command: &'static str,
        /// What was wrong with it.
        detail: String,
    },
}

impl CallError {
    /// Whether the server may have acted on the request.
    pub fn may_have_been_sent(&self) -> bool {
        !matches!(self, CallError::NotConnected { .. })
    }
}

/// Why a request did not leave this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotSent {
    /// There is no connection whose network is proven.
    #[error("no connection")]
    Disconnected,
    /// The server is on another network.
    #[error("the server is on another network")]
    WrongNetwork,
    /// Too many requests wait already.
    #[error("{REQUESTS_IN_FLIGHT_MAX} requests are waiting already")]
    Busy,
}

/// State of the connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConnectionState {
    /// Usable: the server proved its network.
    Connected {
        /// By what it was proven.
        proof: Proof,
        /// Since when, on our own monotonic clock.
        since: Instant,
    },
    /// Not usable; reconnecting.
    Disconnected {
        /// Why the last connection or attempt ended.
        reason: DisconnectReason,
        /// Since when nothing was usable, kept over failed attempts.
        since: Instant,
    },
    /// The server is on another network. Nothing is sent; it is asked again now and then, as an operator may repair it.
    WrongNetwork {
        /// What did not match.
        mismatch: WrongNetwork,
        /// Since when.
        since: Instant,
    },
}

impl ConnectionState {
    /// Whether requests can be sent.
    pub fn is_connected(&self) -> bool {
        matches!(self, ConnectionState::Connected { .. })
    }
}

/// By what a connection's network was proven.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proof {
    /// The server holds the configured anchor ledger with the configured hash.
    Anchor(LedgerRef),
    /// Its history does not reach the anchor; it holds a recent ledger that was validated on a proven connection.
    Recent(LedgerRef),
}

/// Why there is no connection.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DisconnectReason {
    /// Nothing was tried yet.
    #[error("not connected yet")]
    NotYet,
    /// TCP, TLS or the WebSocket handshake failed.
    #[error("connecting failed: {0}")]
    ConnectFailed(String),
    /// A step of connecting took too long.
    #[error("connecting took more than {0:?}")]
    ConnectTimedOut(Duration),
    /// The server closed the connection.
    #[error("closed by the server: code {code}, {reason}")]
    Closed {
        /// Close code; 1008 is the server's protection against load or slow readers.
        code: u16,
        /// The server's reason, cut to a safe length.
        reason: String,
    },
    /// The socket or the protocol failed.
    #[error("connection lost: {0}")]
    Lost(String),
    /// Nothing was heard for so long.
    #[error("nothing heard for {0:?}")]
    Silent(Duration),
    /// Requests were given up unanswered for so long, and nothing was answered meanwhile.
    #[error("no request answered for {0:?}")]
    Unanswering(Duration),
    /// The server can show neither the anchor nor the recent ledger, so its network is unknown.
    #[error("the server's network cannot be proven: {0}")]
    Unproven(String),
}

/// How a server turned out to be on another network.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WrongNetwork {
    /// It names another network.
    #[error("network_id is {got}, configured is {wanted}")]
    NetworkId {
        /// Configured.
        wanted: u32,
        /// What the server says.
        got: u32,
    },
    /// It has another ledger at a known index.
    #[error("ledger {index} has hash {got}, expected is {wanted}")]
    LedgerHash {
        /// Index of the ledger.
        index: u32,
        /// Expected hash.
        wanted: Hash256,
        /// The server's.
        got: Hash256,
    },
}

/// One connection to one server. Cheap to clone; the connection ends with the last handle.
#[derive(Clone, Debug)]
pub struct Link {
    pub(super) settings: Arc<LinkSettings>,
    pub(super) metrics: Metrics,
    requests: mpsc::Sender<Outgoing>,
    connection: watch::Receiver<ConnectionState>,
    ledgers: watch::Receiver<Option<LedgerEvent>>,
    recent: watch::Sender<Recent>,
}

/// Recent ledgers by which a server can prove its network whose history does not reach the anchor.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Recent {
    /// One that our store decided by, or that enough servers told: a server that has another is on another network.
    pub(super) agreed: Option<LedgerRef>,
    /// One that a single server with a proven network told. It may have lied: whoever has another is not proven, no more.
    pub(super) hint: Option<LedgerRef>,
}

impl Link {
    /// Makes a link and the driver that must run for it to work.
    pub fn new(
        settings: LinkSettings,
        dial: Arc<dyn Dial>,
        metrics: Metrics,
        now: Instant,
    ) -> (Link, Driver) {
        let settings = Arc::new(settings);
        let (requests, outgoing) = mpsc::channel(REQUESTS_IN_FLIGHT_MAX);
        let (connection_in, connection) = watch::channel(ConnectionState::Disconnected {
            reason: DisconnectReason::NotYet,
            since: now,
        });
        let (ledgers_in, ledgers) = watch::channel(None);
        let (recent, recent_out) = watch::channel(Recent::default());
        let driver = Driver::new(
            settings.clone(),
            dial,
            outgoing,
            connection_in,
            ledgers_in,
            recent_out,
        );
        let link = Link {
            settings,
            metrics,
            requests,
            connection,
            ledgers,
            recent,
        };
        (link, driver)
    }

    /// State of the connection, now and as it changes.
    pub fn connection(&self) -> watch::Receiver<ConnectionState> {
        self.connection.clone()
    }

    /// The newest validated ledger, as the stream announces it. A reader may miss some in between; history is asked
    /// for by range, never counted from here.
    pub fn watch_ledgers(&self) -> watch::Receiver<Option<LedgerEvent>> {
        self.ledgers.clone()
    }

    /// Tells the link a validated ledger that our store decided by or that enough servers told, for a server whose history
    /// does not reach the anchor.
    pub fn remember(&self, recent: LedgerRef) {
        self.recent
            .send_if_modified(|known| replace_if_newer(&mut known.agreed, recent));
    }

    /// Tells the link a ledger that one server with a proven network told.
    pub(super) fn hint(&self, recent: LedgerRef) {
        self.recent
            .send_if_modified(|known| replace_if_newer(&mut known.hint, recent));
    }

    /// The server's URL.
    pub fn url(&self) -> &str {
        &self.settings.url
    }

    /// Name of the server in metrics and logs.
    pub fn server(&self) -> &str {
        &self.settings.server
    }

    /// Sends one request and waits for its answer, at most as long as the settings allow.
    pub(super) async fn request<T: DeserializeOwned>(
        &self,
        command: &'static str,
        params: Map<String, Value>,
    ) -> Result<T, CallError> {
        let started = clock::instant();
        let answer = self.exchange(command, params).await;
        if !matches!(answer, Err(CallError::NotConnected { .. })) {
            self.metrics.xrpl_request(command, clock::elapsed(started));
        }
        wire::read_answer(command, &answer?)
    }

    async fn exchange(
        &self,
        command: &'static str,
        params: Map<String, Value>,
    ) -> Result<Utf8Bytes, CallError> {
        match &*self.connection.borrow() {
            ConnectionState::Connected { .. } => {}
            ConnectionState::Disconnected { .. } => {
                return Err(not_sent(command, NotSent::Disconnected));
            }
            ConnectionState::WrongNetwork { .. } => {
                return Err(not_sent(command, NotSent::WrongNetwork));
            }
        }
        let (reply, answer) = oneshot::channel();
        let outgoing = Outgoing {
            command,
            params,
            reply,
        };
        self.requests.try_send(outgoing).map_err(|err| match err {
            mpsc::error::TrySendError::Full(_) => not_sent(command, NotSent::Busy),
            mpsc::error::TrySendError::Closed(_) => not_sent(command, NotSent::Disconnected),
        })?;
        match tokio::time::timeout(self.settings.request_timeout, answer).await {
            Ok(Ok(outcome)) => outcome.map_err(|why| not_sent(command, why)),
            // A dropped reply means that the connection ended after the request was written; a timeout that it may be.
            Ok(Err(_)) | Err(_) => Err(CallError::Unanswered { command }),
        }
    }
}

fn replace_if_newer(known: &mut Option<LedgerRef>, recent: LedgerRef) -> bool {
    let newer = known.is_none_or(|known| known.index < recent.index);
    if newer {
        *known = Some(recent);
    }
    newer
}

fn not_sent(command: &'static str, why: NotSent) -> CallError {
    CallError::NotConnected { command, why }
}
