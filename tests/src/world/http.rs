//! The few words of HTTP that stories need, over a plain socket.
//!
//! Owns: one request, one answer, one connection. May not: become a client library.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Longest wait for an answer on loopback.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// An answer.
#[derive(Debug)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// Its header lines, in lower case.
    pub head: String,
    /// The body.
    pub body: String,
}

/// GET of a path.
pub async fn get(address: &str, path: &str) -> io::Result<Answer> {
    ask(
        address,
        &format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"),
    )
    .await
}

/// GET of a path, in a format that is named.
pub async fn get_as(address: &str, path: &str, accept: &str) -> io::Result<Answer> {
    ask(
        address,
        &format!(
            "GET {path} HTTP/1.1\r\nHost: localhost\r\nAccept: {accept}\r\nConnection: close\r\n\r\n"
        ),
    )
    .await
}

/// POST of JSON to the root.
pub async fn post(address: &str, body: &str) -> io::Result<Answer> {
    let length = body.len();
    let head =
        "POST / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: application/json";
    ask(
        address,
        &format!("{head}\r\nContent-Length: {length}\r\n\r\n{body}"),
    )
    .await
}

async fn ask(address: &str, request: &str) -> io::Result<Answer> {
    let asked = async {
        let mut socket = TcpStream::connect(address).await?;
        socket.write_all(request.as_bytes()).await?;
        let mut answer = Vec::new();
        socket.read_to_end(&mut answer).await?;
        Ok(String::from_utf8_lossy(&answer).into_owned())
    };
    let text: io::Result<String> = tokio::time::timeout(ANSWER_WITHIN, asked).await?;
    let text = text?;
    let malformed = || io::Error::new(io::ErrorKind::InvalidData, "the answer is no HTTP");
    let (head, body) = text.split_once("\r\n\r\n").ok_or_else(malformed)?;
    let status = head
        .split(' ')
        .nth(1)
        .and_then(|code| code.parse().ok())
        .ok_or_else(malformed)?;
    let head = head.to_lowercase();
    let body = if head.contains("transfer-encoding: chunked") {
        dechunk(body).ok_or_else(malformed)?
    } else {
        body.to_owned()
    };
    Ok(Answer { status, head, body })
}

fn dechunk(mut body: &str) -> Option<String> {
    let mut whole = String::new();
    loop {
        let (size, rest) = body.split_once("\r\n")?;
        let size = usize::from_str_radix(size.trim(), 16).ok()?;
        if size == 0 {
            return Some(whole);
        }
        whole.push_str(rest.get(..size)?);
        body = rest.get(size..)?.strip_prefix("\r\n")?;
    }
}
