//! HTTP/2 by hand: frames that no library would send.
//!
//! Owns: how bytes are laid out on the wire. May not: know what the other end makes of them.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpSocket, TcpStream};

/// What every connection begins with.
pub(super) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Frames' types.
pub(super) const DATA: u8 = 0;
pub(super) const HEADERS: u8 = 1;
pub(super) const PRIORITY: u8 = 2;
pub(super) const RST_STREAM: u8 = 3;
pub(super) const SETTINGS: u8 = 4;
pub(super) const PUSH_PROMISE: u8 = 5;
pub(super) const PING: u8 = 6;
pub(super) const GOAWAY: u8 = 7;
pub(super) const WINDOW_UPDATE: u8 = 8;
pub(super) const CONTINUATION: u8 = 9;

/// Flags.
pub(super) const END_STREAM: u8 = 1;
pub(super) const END_HEADERS: u8 = 4;

/// The other end may have stopped to read: that is its right.
const WRITE_WITHIN: Duration = Duration::from_secs(2);

/// A connection is made within this, or not at all.
const CONNECT_WITHIN: Duration = Duration::from_secs(2);

/// A connection from an address of loopback. `None`: it was not let in.
pub(super) async fn connect(from: [u8; 4], to: &str) -> Option<TcpStream> {
    let socket = TcpSocket::new_v4().ok()?;
    socket.bind(SocketAddr::from((from, 0))).ok()?;
    let to = to.parse().expect("a listener's address");
    tokio::time::timeout(CONNECT_WITHIN, socket.connect(to))
        .await
        .ok()?
        .ok()
}

/// Whether the other end took it all.
pub(super) async fn write(stream: &mut TcpStream, bytes: &[u8]) -> bool {
    let written = tokio::time::timeout(WRITE_WITHIN, stream.write_all(bytes)).await;
    matches!(written, Ok(Ok(())))
}

/// Preface and empty settings.
pub(super) fn hello() -> Vec<u8> {
    [PREFACE, &frame(SETTINGS, 0, 0, &[])].concat()
}

/// One frame.
pub(super) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len())
        .expect("a frame is small")
        .to_be_bytes();
    let mut bytes = length[1..].to_vec();
    bytes.extend([kind, flags]);
    bytes.extend(stream.to_be_bytes());
    bytes.extend(payload);
    bytes
}

/// The headers of a gRPC call, and more.
pub(super) fn call(path: &str, more: &[(&str, &str)]) -> Vec<u8> {
    let usual = [
        (":method", "POST"),
        (":scheme", "http"),
        (":path", path),
        (":authority", "localhost"),
        ("content-type", "application/grpc"),
        ("te", "trailers"),
    ];
    let mut block = Vec::new();
    for (name, value) in usual.iter().chain(more) {
        literal(&mut block, name.as_bytes(), value.as_bytes());
    }
    block
}

/// A header that nobody indexes or compresses.
pub(super) fn literal(block: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    block.push(0);
    for text in [name, value] {
        length(block, text.len());
        block.extend(text);
    }
}

/// An integer with a prefix of 7 bits.
fn length(block: &mut Vec<u8>, length: usize) {
    let byte = |number: usize| u8::try_from(number).expect("below 256");
    if length < 127 {
        return block.push(byte(length));
    }
    block.push(127);
    let mut rest = length - 127;
    while rest >= 128 {
        block.push(byte(rest % 128 + 128));
        rest /= 128;
    }
    block.push(byte(rest));
}

/// A message as gRPC lays it out, which says that it has so many bytes.
pub(super) fn message(says: u32, bytes: &[u8]) -> Vec<u8> {
    [&[0], &says.to_be_bytes()[..], bytes].concat()
}
