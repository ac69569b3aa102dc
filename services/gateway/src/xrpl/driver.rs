//! Driver: the one task that owns the socket.
//!
//! Owns: connecting, reconnecting with jitter, matching answers to requests by id, pings, size caps, subscriptions. May
//! not: read the content of answers to callers (they do, on their own task), or send anything of a caller's before the
//! server has proven its network.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::SinkExt;
use serde_json::{Map, Value};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{MissedTickBehavior, interval_at, timeout};
use tokio_stream::StreamExt;
use tokio_tungstenite::tungstenite::{Bytes, Message, Utf8Bytes};

use super::backoff::Backoff;
use super::dial::{Dial, Wire, WireError};
use paygate_payments::{LedgerIndex, LedgerRef};

use super::facts::LedgerEvent;
use super::fleet::News;
use super::identity::{self, Refusal};
use super::link::{
    ConnectionState, DisconnectReason, LinkSettings, NotSent, REQUESTS_IN_FLIGHT_MAX, Recent,
};
use super::wire::{self, Incoming};
use crate::clock;

/// A connection that held so long starts the next backoff from its beginning; shorter ones go on where they were, so a
/// server that accepts and closes at once is not hammered.
const STABLE_AFTER: Duration = Duration::from_secs(10);

/// Code with which servers close the connection of whoever asks or reads too slowly for what he asks.
const CLOSED_FOR_LOAD: u16 = 1008;

/// After so many checks in a row that found requests given up and no answer, the connection is made anew.
const CHECKS_UNANSWERED_MAX: u32 = 2;

/// How much text of a peer is kept in reasons and logs.
const REASON_CHARS_MAX: usize = 120;

/// A request on its way to the socket. Without Debug: its parameters may hold a blob, which is never logged.
pub(super) struct Outgoing {
    pub(super) command: &'static str,
    pub(super) params: Map<String, Value>,
    /// `Err` only if the request was never written. Dropped without an answer: it was.
    pub(super) reply: oneshot::Sender<Result<Utf8Bytes, NotSent>>,
}

/// The task behind a [`super::Link`].
#[derive(Debug)]
#[must_use = "a link works only while its driver runs"]
pub struct Driver {
    settings: Arc<LinkSettings>,
    dial: Arc<dyn Dial>,
    outgoing: mpsc::Receiver<Outgoing>,
    connection: watch::Sender<ConnectionState>,
    ledgers: watch::Sender<Option<LedgerEvent>>,
    recent: watch::Receiver<Recent>,
    /// The newest ledger validated on a proven connection of this link.
    seen: Option<LedgerRef>,
    next_id: u64,
    /// Where a fleet wants the news of this link.
    news: Option<(usize, mpsc::Sender<News>)>,
}

/// How one connection ended.
enum End {
    Lost(DisconnectReason),
    Refused(Refusal),
    HandlesGone,
}

impl Driver {
    pub(super) fn new(
        settings: Arc<LinkSettings>,
        dial: Arc<dyn Dial>,
        outgoing: mpsc::Receiver<Outgoing>,
        connection: watch::Sender<ConnectionState>,
        ledgers: watch::Sender<Option<LedgerEvent>>,
        recent: watch::Receiver<Recent>,
    ) -> Driver {
        Driver {
            settings,
            dial,
            outgoing,
            connection,
            ledgers,
            recent,
            seen: None,
            next_id: 0,
            news: None,
        }
    }

    /// Has the link tell a fleet what happens, under a number of the fleet's.
    pub(super) fn tell(self, number: usize, news: mpsc::Sender<News>) -> Driver {
        Driver {
            news: Some((number, news)),
            ..self
        }
    }

    /// News that nobody takes are lost: a fleet asks for what it misses.
    fn report(&self, news: impl FnOnce(usize) -> News) {
        if let Some((number, told)) = &self.news {
            drop(told.try_send(news(*number)));
        }
    }

    /// Runs until `stop` resolves or the last handle of the link is gone.
    pub async fn run(mut self, stop: impl Future<Output = ()>) {
        tokio::select! {
            biased;
            () = stop => {}
            () = self.reconnect_for_ever() => {}
        }
    }

    async fn reconnect_for_ever(&mut self) {
        let mut backoff = Backoff::new();
        loop {
            let mut connected_at = None;
            let end = self.one_connection(&mut connected_at).await;
            if connected_at.is_some_and(|at: Instant| {
                clock::instant().saturating_duration_since(at) >= STABLE_AFTER
            }) {
                backoff.reset();
            }
            let delay = match end {
                End::HandlesGone => return,
                End::Lost(reason) => {
                    if matches!(
                        reason,
                        DisconnectReason::Closed {
                            code: CLOSED_FOR_LOAD,
                            ..
                        }
                    ) {
                        self.report(News::TooMuch);
                    }
                    tracing::warn!(server = %self.settings.server, %reason, "ledger server disconnected");
                    self.disconnected(|since| ConnectionState::Disconnected { reason, since });
                    backoff.next_delay()
                }
                End::Refused(Refusal::Unproven(why)) => {
                    tracing::warn!(server = %self.settings.server, why, "ledger server's network is not proven");
                    let reason = DisconnectReason::Unproven(why);
                    self.disconnected(|since| ConnectionState::Disconnected { reason, since });
                    backoff.next_delay()
                }
                End::Refused(Refusal::WrongNetwork(mismatch)) => {
                    tracing::error!(server = %self.settings.server, %mismatch, "ledger server is on another network");
                    self.disconnected(|since| ConnectionState::WrongNetwork { mismatch, since });
                    backoff.longest_delay()
                }
            };
            if !self.refuse_until(delay).await {
                return;
            }
        }
    }

    /// Publishes that nothing can be sent. The first moment of an outage is kept over its failed attempts.
    fn disconnected(&self, state: impl FnOnce(Instant) -> ConnectionState) {
        let since = match &*self.connection.borrow() {
            ConnectionState::Disconnected { since, .. }
            | ConnectionState::WrongNetwork { since, .. } => *since,
            ConnectionState::Connected { .. } => clock::instant(),
        };
        self.connection.send_replace(state(since));
        self.report(|_| News::Connection);
    }

    /// Answers requests that slipped in around a disconnect, for as long as the delay. False: nobody is left to ask.
    async fn refuse_until(&mut self, delay: Duration) -> bool {
        let wait = tokio::time::sleep(delay);
        tokio::pin!(wait);
        loop {
            tokio::select! {
                biased;
                () = &mut wait => return true,
                request = self.outgoing.recv() => match request {
                    Some(request) => drop(request.reply.send(Err(NotSent::Disconnected))),
                    None => return false,
                },
            }
        }
    }

    async fn one_connection(&mut self, connected_at: &mut Option<Instant>) -> End {
        let limit = self.settings.connect_timeout;
        let mut socket = match timeout(limit, self.dial.dial(&self.settings.url)).await {
            Ok(Ok(socket)) => socket,
            Ok(Err(err)) => return End::Lost(DisconnectReason::ConnectFailed(short(&err))),
            Err(_) => return End::Lost(DisconnectReason::ConnectTimedOut(limit)),
        };
        let recent = *self.recent.borrow();
        let recent = Recent {
            hint: newer(self.seen, recent.hint),
            ..recent
        };
        let proving = identity::prove(&mut socket, &self.settings, recent);
        let proven = match timeout(limit, proving).await {
            Ok(Ok(proven)) => proven,
            Ok(Err(identity::Failure::Refused(refusal))) => return End::Refused(refusal),
            Ok(Err(identity::Failure::Lost(reason))) => return End::Lost(reason),
            Err(_) => return End::Lost(DisconnectReason::ConnectTimedOut(limit)),
        };
        *connected_at = Some(clock::instant());
        tracing::info!(server = %self.settings.server, proof = ?proven.proof, "ledger server connected");
        self.connection.send_replace(ConnectionState::Connected {
            proof: proven.proof,
            since: clock::instant(),
        });
        self.report(|_| News::Connection);
        if let Some(ledger) = proven.ledger {
            self.publish_ledger(ledger);
        }
        self.next_id = self.next_id.max(identity::FIRST_FREE_ID);
        self.serve(&mut socket).await
    }

    /// Moves messages until the connection ends. Requests already written are left without an answer by dropping the
    /// table, which their callers read as "perhaps sent".
    async fn serve(&mut self, socket: &mut Wire) -> End {
        let mut waiting = Waiting::default();
        let every = self.settings.health_check_interval;
        let mut check = interval_at(tokio::time::Instant::now() + every, every);
        check.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut heard = true;
        loop {
            tokio::select! {
                biased;
                message = socket.next() => {
                    heard = true;
                    if let Err(reason) = self.take(message, &mut waiting) {
                        return End::Lost(reason);
                    }
                }
                request = self.outgoing.recv() => {
                    let Some(request) = request else { return End::HandlesGone };
                    if let Err(reason) = self.write(socket, request, &mut waiting).await {
                        return End::Lost(reason);
                    }
                }
                _ = check.tick() => {
                    if !heard {
                        return End::Lost(DisconnectReason::Silent(every.saturating_mul(2)));
                    }
                    heard = false;
                    if waiting.has_gone_unanswered() {
                        return End::Lost(DisconnectReason::Unanswering(every.saturating_mul(2)));
                    }
                    if let Err(reason) = send(socket, Message::Ping(Bytes::new()), every).await {
                        return End::Lost(reason);
                    }
                }
            }
        }
    }

    async fn write(
        &mut self,
        socket: &mut Wire,
        request: Outgoing,
        waiting: &mut Waiting,
    ) -> Result<(), DisconnectReason> {
        if request.reply.is_closed() {
            // Its caller has already been told "perhaps sent"; sending it now would only make that true.
            return Ok(());
        }
        if waiting.is_full() {
            drop(request.reply.send(Err(NotSent::Busy)));
            return Ok(());
        }
        let id = self.next_id;
        self.next_id = self.next_id.wrapping_add(1);
        let text = wire::write_request(id, request.command, request.params);
        waiting.add(id, request.reply);
        send(socket, Message::text(text), self.settings.request_timeout).await
    }

    fn take(
        &mut self,
        message: Option<Result<Message, WireError>>,
        waiting: &mut Waiting,
    ) -> Result<(), DisconnectReason> {
        let Some(text) = text_of(message)? else {
            return Ok(());
        };
        match wire::sort(&text) {
            Incoming::Answer { id, load_warning } => {
                if load_warning {
                    tracing::debug!(server = %self.settings.server, "ledger server warns of load");
                    self.report(News::TooMuch);
                }
                waiting.answer(id, text);
            }
            Incoming::LedgerClosed(ledger) => self.publish_ledger(ledger.seen_at(clock::instant())),
            Incoming::Other { kind } => {
                tracing::debug!(server = %self.settings.server, kind, "message ignored");
            }
            Incoming::Unreadable => {
                return Err(DisconnectReason::Lost(
                    "a message is not readable JSON".to_owned(),
                ));
            }
        }
        Ok(())
    }

    /// Within one connection the index only grows; a server behind what we know does not move it back.
    fn publish_ledger(&mut self, ledger: LedgerEvent) {
        let published = self.ledgers.send_if_modified(|known| {
            let newer = known.is_none_or(|known| known.index < ledger.index);
            if newer {
                *known = Some(ledger);
            }
            newer
        });
        self.report(|number| News::Ledger(number, ledger));
        if published {
            self.seen = newer(
                self.seen,
                Some(LedgerRef {
                    index: LedgerIndex(ledger.index),
                    hash: ledger.hash,
                }),
            );
        }
    }
}

/// Requests that were written and wait for their answers. Bounded by [`REQUESTS_IN_FLIGHT_MAX`].
#[derive(Default)]
struct Waiting {
    // In order, so that callers whose connection is gone are told in the order in which they asked.
    replies: BTreeMap<u64, oneshot::Sender<Result<Utf8Bytes, NotSent>>>,
    /// Callers gave requests up since the last check.
    given_up: bool,
    /// An answer came since the last check, whatever it said.
    answered: bool,
    /// So many checks in a row found requests given up and no answer.
    checks_unanswered: u32,
}

impl Waiting {
    fn is_full(&mut self) -> bool {
        if self.replies.len() >= REQUESTS_IN_FLIGHT_MAX {
            self.forget_the_given_up();
        }
        self.replies.len() >= REQUESTS_IN_FLIGHT_MAX
    }

    fn add(&mut self, id: u64, reply: oneshot::Sender<Result<Utf8Bytes, NotSent>>) {
        self.replies.insert(id, reply);
    }

    /// An answer nobody waits for (given up, or an id that was never used) is dropped.
    fn answer(&mut self, id: u64, text: Utf8Bytes) {
        self.answered = true;
        if let Some(reply) = self.replies.remove(&id) {
            drop(reply.send(Ok(text)));
        }
    }

    fn forget_the_given_up(&mut self) {
        let before = self.replies.len();
        self.replies.retain(|_, reply| !reply.is_closed());
        self.given_up |= self.replies.len() < before;
    }

    /// Whether the server left requests unanswered over two checks in a row and answered nothing meanwhile: one that still says
    /// pong, or still tells of ledgers, is of no use for all that.
    fn has_gone_unanswered(&mut self) -> bool {
        self.forget_the_given_up();
        let (given_up, answered) = (self.given_up, self.answered);
        (self.given_up, self.answered) = (false, false);
        self.checks_unanswered = match (given_up, answered) {
            (_, true) => 0,
            (true, false) => self.checks_unanswered + 1,
            (false, false) => self.checks_unanswered,
        };
        self.checks_unanswered >= CHECKS_UNANSWERED_MAX
    }
}

/// Writes one message. A server that does not read for so long is as good as gone.
pub(super) async fn send(
    socket: &mut Wire,
    message: Message,
    limit: Duration,
) -> Result<(), DisconnectReason> {
    match timeout(limit, socket.send(message)).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(err)) => Err(DisconnectReason::Lost(short(&err))),
        Err(_) => Err(DisconnectReason::Silent(limit)),
    }
}

/// The text of a message; `None` for pings and pongs, which tungstenite answers by itself.
pub(super) fn text_of(
    message: Option<Result<Message, WireError>>,
) -> Result<Option<Utf8Bytes>, DisconnectReason> {
    match message {
        Some(Ok(Message::Text(text))) => Ok(Some(text)),
        Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => Ok(None),
        Some(Ok(Message::Binary(_))) => {
            Err(DisconnectReason::Lost("a binary message came".to_owned()))
        }
        Some(Ok(Message::Close(frame))) => Err(DisconnectReason::Closed {
            code: frame.as_ref().map_or(1005, |frame| frame.code.into()),
            reason: frame.map_or_else(String::new, |frame| short(&frame.reason)),
        }),
        Some(Err(err)) => Err(DisconnectReason::Lost(short(&err))),
        None => Err(DisconnectReason::Lost("the stream ended".to_owned())),
    }
}

/// A peer's text, cut to a safe length and freed of control characters.
pub(super) fn short(text: &impl std::fmt::Display) -> String {
    text.to_string()
        .chars()
        .filter(|c| !c.is_control())
        .take(REASON_CHARS_MAX)
        .collect()
}

fn newer(left: Option<LedgerRef>, right: Option<LedgerRef>) -> Option<LedgerRef> {
    match (left, right) {
        (Some(left), Some(right)) if right.index > left.index => Some(right),
        (Some(left), _) => Some(left),
        (None, right) => right,
    }
}
