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
use tokio::sync::mpsc;
use tokio_stream::Stream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use xrpl_tx::sha512_half;

use super::bell::Bell;
use super::facts::{Fact, Sending, Sink as Facts};
use super::fuse::{Fuse, Moment};
use super::seed::Draws;
use super::time::now;
use crate::sim::{Direct, DirectSocket, Network, Out};

/// Messages that wait on a wire, in either direction. The gateway has at most 256 requests under way.
const MESSAGES_MAX: usize = 4096;

/// What a transaction's hash begins with.
const HASH_PREFIX: &[u8] = b"TXN\0";

/// The ways to all servers.
#[derive(Clone)]
pub struct Wires(Arc<Shared>);

struct Shared {
    network: Arc<Mutex<Network>>,
    /// Which network the servers belong to, unless something is wrong with one.
    own: (u32, u32),
    /// Rings when servers may have pushed something.
    pushed: Arc<Bell>,
    /// Rings when all wires are cut.
    cut: Bell,
    weather: Mutex<Weather>,
    draws: Mutex<Draws>,
    facts: Facts,
    /// No blob gets through.
    is_mute: bool,
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
            own: network.server(1).network(),
            network: Arc::new(Mutex::new(network)),
            pushed: Arc::default(),
            cut: Bell::default(),
            weather: Mutex::new(Weather::CALM),
            draws: Mutex::new(draws),
            facts,
            is_mute: false,
        }))
    }

    /// Other wires to the same servers, for somebody who only looks: messages take up to so long, and no blob gets through.
    pub fn beside(&self, draws: Draws, slowest_ms: u64) -> Self {
        Self(Arc::new(Shared {
            network: Arc::clone(&self.0.network),
            own: self.0.own,
            pushed: Arc::clone(&self.0.pushed),
            cut: Bell::default(),
            weather: Mutex::new(Weather {
                slowest_ms,
                ..Weather::CALM
            }),
            draws: Mutex::new(draws),
            facts: Arc::new(|_| {}),
            is_mute: true,
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
        self.0.pushed.ring();
    }

    /// Ends all connections.
    pub fn cut(&self) {
        self.0.cut.ring();
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
            let Some((reached, socket)) = wires.network().connect(number) else {
                return Err(WireError::ConnectionClosed);
            };
            // A server that gets another network's ledgers ends its connections.
            let is_our_network = wires.network().server(reached).network() == wires.0.own;
            let (to_server, from_gateway) = mpsc::channel(MESSAGES_MAX);
            let (to_gateway, from_server) = mpsc::channel(MESSAGES_MAX);
            let server = Server {
                wires: wires.clone(),
                number: reached,
                socket,
                to_gateway,
            };
            tokio::spawn(server.serve(from_gateway));
            let wire = Ours {
                wires,
                fuse,
                server: format!("server-{number}"),
                is_our_network,
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
    is_our_network: bool,
    to_server: mpsc::Sender<Message>,
    from_server: mpsc::Receiver<Message>,
}

impl Stream for Ours {
    type Item = Result<Message, WireError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.fuse.is_dead() {
            return Poll::Pending;
        }
        self.from_server
            .poll_recv(cx)
            .map(|message| message.map(Ok))
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
        if blob.is_some() && self.wires.0.is_mute {
            return Ok(());
        }
        if let Some(blob) = blob {
            if !self.fuse.reach(Moment::BeforeSend) {
                return Ok(());
            }
            (self.wires.0.facts)(Fact::Sent(Sending {
                server: self.server.clone(),
                is_our_network: self.is_our_network,
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

/// A server's end of a wire.
struct Server {
    wires: Wires,
    number: usize,
    socket: DirectSocket,
    to_gateway: mpsc::Sender<Message>,
}

impl Server {
    async fn serve(mut self, mut from_gateway: mpsc::Receiver<Message>) {
        let wires = self.wires.clone();
        let (mut cut, mut pushed) = (wires.0.cut.come(), wires.0.pushed.come());
        loop {
            let due = self.due();
            let message = tokio::select! {
                biased;
                () = wires.0.cut.hear(&mut cut) => break,
                () = due => None,
                message = from_gateway.recv() => match message {
                    None => break,
                    message => message,
                },
                () = wires.0.pushed.hear(&mut pushed) => None,
            };
            if let Some(message) = message {
                self.take(message).await;
            }
            if !self.push().await {
                break;
            }
        }
        let network = self.wires.network();
        network.server(self.number).disconnect(&self.socket);
    }

    async fn take(&mut self, message: Message) {
        self.wires.delay().await;
        let text = match message {
            // Nothing comes through on a half-open connection, in either direction.
            Message::Ping(_) if self.socket.is_silent() => return,
            Message::Ping(bytes) => return self.say(Message::Pong(bytes)),
            Message::Text(text) => text,
            _ => return,
        };
        if self.wires.is_lost(|weather| weather.lost_requests) {
            return;
        }
        {
            let network = self.wires.network();
            let server: &Direct = network.server(self.number);
            server.request(&mut self.socket, &text);
        }
        if self.wires.is_lost(|weather| weather.lost_answers) {
            let network = self.wires.network();
            network.server(self.number).poll(&mut self.socket);
        }
    }

    /// When something goes out that is late.
    fn due(&self) -> impl Future<Output = ()> + use<> {
        let due = self.socket.due().map(|at| at.0.saturating_sub(now().0));
        async move {
            match due {
                Some(ms) => tokio::time::sleep(Duration::from_millis(ms)).await,
                None => std::future::pending().await,
            }
        }
    }

    /// Carries what goes out now. False: the connection has ended.
    async fn push(&mut self) -> bool {
        let outs = {
            let network = self.wires.network();
            network.server(self.number).poll(&mut self.socket)
        };
        if !outs.is_empty() {
            self.wires.delay().await;
        }
        for out in outs {
            match out {
                Out::Text(text) => self.say(Message::text(text)),
                Out::Bytes(bytes) => self.say(Message::Binary(bytes.into())),
                // What never becomes whole is never heard.
                Out::Part(_) => {}
                Out::Close(code, reason) => {
                    let frame = (code > 0).then(|| CloseFrame {
                        code: code.into(),
                        reason: reason.into(),
                    });
                    self.say(Message::Close(frame));
                    return false;
                }
                Out::Cut => return false,
            }
        }
        true
    }

    /// A gateway that is gone hears nothing.
    fn say(&self, message: Message) {
        let _ = self.to_gateway.try_send(message);
    }
}
