//! The wires between the gateway and the simulated servers: WebSockets without sockets, in virtual time.
//!
//! Owns: delays, what gets lost, what is cut; and that every blob that leaves the gateway is noted in its order. May not: change
//! or invent a message.

use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::Sink;
use paygate::xrpl::{Dial, Dialing, Wire, WireError};
use serde_json::{Map, Value};
use tokio::sync::{mpsc, watch};
use tokio_stream::Stream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::error::ProtocolError;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use xrpl_tx::sha512_half;

use super::facts::{Fact, Sending, Sink as Facts};
use super::fuse::{Fuse, Moment};
use super::seed::Draws;
use crate::sim::{DirectSocket, Millis, Network, Out};

/// Messages that wait on a wire, in either direction. The gateway has at most 256 requests under way.
const MESSAGES_MAX: usize = 4096;

/// What a transaction's hash begins with.
const HASH_PREFIX: &[u8] = b"TXN\0";

/// The ways to all servers.
#[derive(Clone)]
pub struct Wires(Arc<Shared>);

struct Shared {
    network: Mutex<Network>,
    /// Rings when servers may have pushed something.
    pushed: watch::Sender<u64>,
    /// Rings when all wires are cut.
    cut: watch::Sender<u64>,
    weather: Mutex<Weather>,
    draws: Mutex<Draws>,
    facts: Facts,
}

/// What is wrong with the wires now.
#[derive(Clone, Copy, Debug)]
pub struct Weather {
    /// Nobody can connect.
    pub refuses: bool,
    /// Requests that get lost, of a thousand.
    pub lost_requests: u64,
    /// Answers that get lost, of a thousand.
    pub lost_answers: u64,
    /// A message takes at most so long, in milliseconds.
    pub slowest_ms: u64,
}

impl Weather {
    /// Nothing.
    pub const CALM: Self = Self {
        refuses: false,
        lost_requests: 0,
        lost_answers: 0,
        slowest_ms: 20,
    };
}

impl Wires {
    /// Wires to the servers of this network.
    pub fn new(network: Network, draws: Draws, facts: Facts) -> Self {
        Self(Arc::new(Shared {
            network: Mutex::new(network),
            pushed: watch::Sender::new(0),
            cut: watch::Sender::new(0),
            weather: Mutex::new(Weather::CALM),
            draws: Mutex::new(draws),
            facts,
        }))
    }

    /// The servers, at this moment of time.
    pub fn network(&self) -> MutexGuard<'_, Network> {
        let mut network = lock(&self.0.network);
        network.pass_to(now());
        network
    }

    /// Servers may have pushed something.
    pub fn ring(&self) {
        self.0.pushed.send_modify(|n| *n += 1);
    }

    /// Ends all connections.
    pub fn cut(&self) {
        self.0.cut.send_modify(|n| *n += 1);
    }

    /// From now on it is like this.
    pub fn weather(&self, weather: Weather) {
        *lock(&self.0.weather) = weather;
    }

    /// What one life of the gateway dials with.
    pub fn dial(&self, fuse: &Arc<Fuse>) -> Arc<dyn Dial> {
        Arc::new(Dialer {
            wires: self.clone(),
            fuse: Arc::clone(fuse),
        })
    }

    fn draw(&self, end: u64) -> u64 {
        lock(&self.0.draws).below(end)
    }

    async fn delay(&self) {
        let slowest = lock(&self.0.weather).slowest_ms;
        let late = 1 + self.draw(slowest);
        tokio::time::sleep(Duration::from_millis(late)).await;
    }

    fn is_lost(&self, often: impl Fn(&Weather) -> u64) -> bool {
        let often = often(&lock(&self.0.weather));
        often > 0 && self.draw(1000) < often
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn now() -> Millis {
    Millis(u64::try_from(paygate::clock::now().0).unwrap_or(0))
}

struct Dialer {
    wires: Wires,
    fuse: Arc<Fuse>,
}

impl fmt::Debug for Dialer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Dialer")
    }
}

/// The URL of a server by its number, from 1 on.
#[must_use]
pub fn url(number: usize) -> String {
    format!("ws://server-{number}")
}

fn number_of(url: &str) -> usize {
    let number = url.rsplit('-').next().and_then(|text| text.parse().ok());
    number.expect("the simulation's own URLs end in a number")
}

impl Dial for Dialer {
    fn dial(&self, url: &str) -> Dialing {
        let (wires, fuse) = (self.wires.clone(), Arc::clone(&self.fuse));
        let number = number_of(url);
        Box::pin(async move {
            wires.delay().await;
            if lock(&wires.0.weather).refuses || fuse.is_dead() {
                return Err(WireError::ConnectionClosed);
            }
            let Some((number, socket)) = wires.network().connect(number) else {
                return Err(WireError::ConnectionClosed);
            };
            let (to_server, from_gateway) = mpsc::channel(MESSAGES_MAX);
            let (to_gateway, from_server) = mpsc::channel(MESSAGES_MAX);
            let server = Server {
                wires: wires.clone(),
                number,
                socket,
                to_gateway,
            };
            tokio::spawn(server.serve(from_gateway));
            let wire = Ours {
                wires,
                fuse,
                server: format!("server-{number}"),
                to_server,
                from_server,
            };
            Ok(Box::pin(wire) as Wire)
        })
    }
}

/// The gateway's end of a wire.
struct Ours {
    wires: Wires,
    fuse: Arc<Fuse>,
    server: String,
    to_server: mpsc::Sender<Message>,
    from_server: mpsc::Receiver<Result<Message, WireError>>,
}

impl Stream for Ours {
    type Item = Result<Message, WireError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.fuse.is_dead() {
            return Poll::Pending;
        }
        self.from_server.poll_recv(cx)
    }
}

impl Sink<Message> for Ours {
    type Error = WireError;

    fn poll_ready(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<(), WireError>> {
        Poll::Ready(Ok(()))
    }

    fn start_send(self: Pin<&mut Self>, message: Message) -> Result<(), WireError> {
        if self.fuse.is_dead() {
            return Ok(());
        }
        let blob = match &message {
            Message::Text(text) if text.contains("\"submit\"") => blob_of(text),
            _ => None,
        };
        if let Some(blob) = blob {
            if !self.fuse.reach(Moment::BeforeSend) {
                return Ok(());
            }
            (self.wires.0.facts)(Fact::Sent(Sending {
                server: self.server.clone(),
                is_our_network: true,
                hash: *sha512_half(&[HASH_PREFIX, &blob]).as_bytes(),
                blob,
            }));
            let sent = self.to_server.try_send(message);
            self.fuse.reach(Moment::AfterSend);
            return sent.map_err(|_| WireError::ConnectionClosed);
        }
        self.to_server
            .try_send(message)
            .map_err(|_| WireError::ConnectionClosed)
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<(), WireError>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<(), WireError>> {
        Poll::Ready(Ok(()))
    }
}

fn blob_of(text: &str) -> Option<Vec<u8>> {
    let request: Map<String, Value> = serde_json::from_str(text).ok()?;
    hex::decode(request.get("tx_blob")?.as_str()?).ok()
}

/// Until this moment; None: for ever.
async fn until(due: Option<Millis>) {
    match due {
        Some(due) => {
            let left = due.0.saturating_sub(now().0);
            tokio::time::sleep(Duration::from_millis(left)).await;
        }
        None => std::future::pending().await,
    }
}

/// A server's end of a wire.
struct Server {
    wires: Wires,
    number: usize,
    socket: DirectSocket,
    to_gateway: mpsc::Sender<Result<Message, WireError>>,
}

impl Server {
    async fn serve(mut self, mut from_gateway: mpsc::Receiver<Message>) {
        let mut cut = self.wires.0.cut.subscribe();
        let mut pushed = self.wires.0.pushed.subscribe();
        loop {
            let message = tokio::select! {
                biased;
                _ = cut.changed() => break,
                message = from_gateway.recv() => match message {
                    None => break,
                    message => message,
                },
                _ = pushed.changed() => None,
                () = until(self.socket.due()) => None,
            };
            if let Some(message) = message {
                self.take(message).await;
            }
            if !self.deliver().await {
                break;
            }
        }
        let network = self.wires.network();
        network.server(self.number).disconnect(&self.socket);
    }

    async fn take(&mut self, message: Message) {
        self.wires.delay().await;
        let text = match message {
            Message::Ping(bytes) if self.socket.is_silent() => return drop(bytes),
            Message::Ping(bytes) => return self.say(Ok(Message::Pong(bytes))),
            Message::Text(text) => text,
            _ => return,
        };
        if self.wires.is_lost(|weather| weather.lost_requests) {
            return;
        }
        let network = self.wires.network();
        network.server(self.number).request(&mut self.socket, &text);
    }

    /// What goes out by now; false if the connection has ended.
    async fn deliver(&mut self) -> bool {
        let outs = {
            let network = self.wires.network();
            network.server(self.number).poll(&mut self.socket)
        };
        if outs.is_empty() {
            return true;
        }
        self.wires.delay().await;
        for out in outs {
            match out {
                Out::Text(text) => {
                    let is_answer = text.contains("\"type\":\"response\"");
                    if !is_answer || !self.wires.is_lost(|weather| weather.lost_answers) {
                        self.say(Ok(Message::text(text)));
                    }
                }
                Out::Bytes(bytes) => self.say(Ok(Message::binary(bytes))),
                // Of a message that does not end nobody hears.
                Out::Part(_) => {}
                Out::Close(code, reason) => {
                    let code = CloseCode::from(code);
                    let reason = reason.into();
                    self.say(Ok(Message::Close(Some(CloseFrame { code, reason }))));
                    return false;
                }
                Out::Cut => {
                    let reset = ProtocolError::ResetWithoutClosingHandshake;
                    self.say(Err(WireError::Protocol(reset)));
                    return false;
                }
            }
        }
        true
    }

    /// A gateway that is gone hears nothing.
    fn say(&self, message: Result<Message, WireError>) {
        let _ = self.to_gateway.try_send(message);
    }
}
