//! Accept: connections of the listeners that speak gRPC, with TLS if it is configured.
//!
//! Owns: how many there are, altogether and of one address, how many shake hands at once, how long that and the first bytes may take, and
//! the [`Peer`] that each call carries. May not: let one wait for another; only the kernel's queue waits.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc};
use tokio::time::{Instant, Sleep};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::server::Connected;

use super::{Certificate, Distrust, Tls};
use crate::metrics::{Handshake, Metrics};
use crate::seats::{Seat, Seats, holder};

/// Bytes that every connection of HTTP/2 begins with. Who has sent them is asked from then on whether he is there.
const PREFACE_BYTES: usize = 24;

/// How long they may take where there is no handshake whose limit counts.
const PREFACE_WITHIN: Duration = Duration::from_secs(5);

/// Of the handshakes at the same time, one address has at most one in so many: others get through while it opens all that it can.
const HANDSHAKES_PART: usize = 2;

/// Connections that are ready and that the server has not taken over yet.
const READY_MAX: usize = 64;

/// After an error of the listener: the process is short of handles, and trying at once makes it worse.
const LISTENER_PAUSE: Duration = Duration::from_millis(50);

/// The other end of a connection. Every call on it carries this.
#[derive(Clone, Debug)]
pub struct Peer {
    /// Its address.
    pub address: SocketAddr,
    /// What it has shown, verified.
    pub certificate: Option<Arc<Certificate>>,
}

/// How many connections a listener has.
#[derive(Clone, Copy, Debug)]
pub struct Room {
    /// At the same time.
    pub connections: usize,
    /// Of them, from one address.
    pub per_address: usize,
}

/// A connection that is ready for HTTP/2.
#[derive(Debug)]
pub struct Connection {
    io: Io,
    peer: Peer,
    /// Until the preface came; then there is none.
    silence: Option<Pin<Box<Sleep>>>,
    /// Bytes that came while there was one.
    came: usize,
    _seat: Seat<IpAddr>,
}

#[derive(Debug)]
enum Io {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

/// Accepts until what is returned is dropped.
#[must_use]
pub fn incoming(
    listener: TcpListener,
    tls: Option<Arc<Tls>>,
    room: Room,
    metrics: Metrics,
) -> ReceiverStream<io::Result<Connection>> {
    let (ready, connections) = mpsc::channel(READY_MAX);
    tokio::spawn(accept(listener, tls, room, metrics, ready));
    ReceiverStream::new(connections)
}

async fn accept(
    listener: TcpListener,
    tls: Option<Arc<Tls>>,
    room: Room,
    metrics: Metrics,
    ready: mpsc::Sender<io::Result<Connection>>,
) {
    let seats = Seats::new(room.connections, room.per_address);
    let handshakes = tls.as_ref().map_or(READY_MAX, |tls| {
        usize::try_from(tls.settings.max_handshakes).unwrap_or(READY_MAX)
    });
    let parts = Seats::new(handshakes, handshakes.div_ceil(HANDSHAKES_PART));
    let handshakes = Arc::new(Semaphore::new(handshakes));
    loop {
        let next = async {
            let shaking = Arc::clone(&handshakes).acquire_owned().await;
            (shaking, listener.accept().await)
        };
        let (shaking, accepted) = tokio::select! {
            () = ready.closed() => return,
            next = next => next,
        };
        let (stream, address) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(LISTENER_PAUSE).await;
                continue;
            }
        };
        let from = holder(address.ip());
        let (Some(seat), Some(part)) = (seats.take(&from), parts.take(&from)) else {
            metrics.handshake(Handshake::TooMany);
            continue;
        };
        let (tls, metrics, ready) = (tls.clone(), metrics.clone(), ready.clone());
        // Bounded by `handshakes`.
        tokio::spawn(async move {
            if let Some(connection) = connect(stream, address, tls.as_deref(), seat, &metrics).await
            {
                // An error says that the server has ended, and the connection with it.
                let _ = ready.send(Ok(connection)).await;
            }
            drop((shaking, part));
        });
    }
}

async fn connect(
    stream: TcpStream,
    address: SocketAddr,
    tls: Option<&Tls>,
    seat: Seat<IpAddr>,
    metrics: &Metrics,
) -> Option<Connection> {
    // Small answers are not held back; if it fails the connection is gone anyway.
    let _ = stream.set_nodelay(true);
    let connection = |io, certificate: Option<Certificate>, within| Connection {
        silence: Some(Box::pin(tokio::time::sleep_until(Instant::now() + within))),
        came: 0,
        io,
        peer: Peer {
            address,
            certificate: certificate.map(Arc::new),
        },
        _seat: seat,
    };
    let Some(tls) = tls else {
        return Some(connection(Io::Plain(stream), None, PREFACE_WITHIN));
    };
    let limit = tls.settings.handshake_timeout();
    // Both of the same set: it may be replaced at any moment.
    let loaded = tls.current();
    let acceptor = TlsAcceptor::from(Arc::clone(&loaded.server));
    let shaken = match tokio::time::timeout(limit, acceptor.accept(stream)).await {
        Ok(Ok(shaken)) => shaken,
        Ok(Err(error)) => {
            let result = Handshake::of(&error);
            metrics.handshake(result);
            // The text is rustls's own and names no secret.
            tracing::info!(%address, %error, "a TLS handshake failed");
            return None;
        }
        Err(_) => {
            metrics.handshake(Handshake::TimedOut);
            tracing::info!(%address, limit_ms = limit.as_millis(), "a TLS handshake took too long");
            return None;
        }
    };
    let shown = shaken.get_ref().1.peer_certificates();
    let shown = shown.map(|chain| chain.iter().map(|one| one.clone().into_owned()).collect());
    let certificate = match shown.map(|chain| loaded.certificate(chain)).transpose() {
        Ok(certificate) => certificate,
        Err(distrust) => {
            metrics.handshake(Handshake::from(distrust));
            tracing::info!(%address, ?distrust, "a certificate was refused after the handshake");
            return None;
        }
    };
    metrics.handshake(Handshake::Ok);
    Some(connection(Io::Tls(Box::new(shaken)), certificate, limit))
}

impl Handshake {
    fn of(error: &io::Error) -> Handshake {
        let inner = error.get_ref().and_then(|inner| inner.downcast_ref());
        match inner {
            Some(rustls::Error::NoCertificatesPresented) => Handshake::NoCertificate,
            Some(error @ rustls::Error::InvalidCertificate(_)) => {
                Handshake::from(Distrust::of(error))
            }
            _ => Handshake::Failed,
        }
    }
}

impl From<Distrust> for Handshake {
    fn from(distrust: Distrust) -> Handshake {
        match distrust {
            Distrust::Expired => Handshake::Expired,
            Distrust::Revoked => Handshake::Revoked,
            Distrust::Unverified | Distrust::Unreadable => Handshake::Unverified,
        }
    }
}

impl Connected for Connection {
    type ConnectInfo = Peer;

    fn connect_info(&self) -> Peer {
        self.peer.clone()
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let polled = match &mut self.io {
            Io::Plain(stream) => Pin::new(stream).poll_read(cx, buf),
            Io::Tls(stream) => Pin::new(stream).poll_read(cx, buf),
        };
        if polled.is_ready() {
            // A byte now and then is no preface.
            self.came = self.came.saturating_add(buf.filled().len() - before);
            if self.came >= PREFACE_BYTES {
                self.silence = None;
            }
        } else if let Some(silence) = &mut self.silence
            && silence.as_mut().poll(cx).is_ready()
        {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        polled
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        match &mut self.io {
            Io::Plain(stream) => Pin::new(stream).poll_write(cx, buf),
            Io::Tls(stream) => Pin::new(stream).poll_write(cx, buf),
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match &mut self.io {
            Io::Plain(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
            Io::Tls(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match &self.io {
            Io::Plain(stream) => stream.is_write_vectored(),
            Io::Tls(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.io {
            Io::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Io::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.io {
            Io::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Io::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}
