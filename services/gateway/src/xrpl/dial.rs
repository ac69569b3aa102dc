//! Dial: how a server is reached, as a wire of WebSocket messages.
//!
//! Owns: TCP, TLS, the WebSocket handshake and its size caps. May not: read a message, or try again; the driver does.
//!
//! The trait is there for whoever has no network: a simulation answers on wires of its own.

use std::fmt;
use std::future::Future;
use std::pin::Pin;

use futures_util::Sink;
use tokio_stream::Stream;
use tokio_tungstenite::connect_async_with_config;
use tokio_tungstenite::tungstenite::{self, Message, protocol::WebSocketConfig};

/// Largest message that is read. A page of account_tx (200 transactions with metadata) is under 1 MiB; a server that
/// sends more than this is broken or hostile, and the connection is given up.
pub(super) const MESSAGE_BYTES_MAX: usize = 4 * 1024 * 1024;

/// How a wire or the attempt to get one fails.
pub type WireError = tungstenite::Error;

/// A connection whose handshake is done.
pub type Wire = Pin<Box<dyn Messages>>;

/// Messages in both directions.
pub trait Messages:
    Stream<Item = Result<Message, WireError>> + Sink<Message, Error = WireError> + Send
{
}

impl<T> Messages for T where
    T: Stream<Item = Result<Message, WireError>> + Sink<Message, Error = WireError> + Send
{
}

/// An attempt to connect. It may be dropped at any moment.
pub type Dialing = Pin<Box<dyn Future<Output = Result<Wire, WireError>> + Send>>;

/// Who connects.
pub trait Dial: fmt::Debug + Send + Sync {
    /// Connects once.
    fn dial(&self, url: &str) -> Dialing;
}

/// Over TCP, with TLS where the URL says so.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tcp;

impl Dial for Tcp {
    fn dial(&self, url: &str) -> Dialing {
        // Only the first installation in a process counts; a second answers an error that means "already there".
        let _ = rustls::crypto::ring::default_provider().install_default();
        let url = url.to_owned();
        Box::pin(async move {
            let limits = WebSocketConfig::default()
                .max_message_size(Some(MESSAGE_BYTES_MAX))
                .max_frame_size(Some(MESSAGE_BYTES_MAX));
            let (socket, _) = connect_async_with_config(url, Some(limits), true).await?;
            Ok(Box::pin(socket) as Wire)
        })
    }
}
