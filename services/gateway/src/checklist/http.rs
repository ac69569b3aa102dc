//! The few words of HTTP that Prometheus and Alertmanager are asked with.
//!
//! Owns: one request, one answer, one connection, limits on both. May not: speak TLS; both listen beside the gateway, or behind a forwarded port.

use std::io;
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Longest wait for an answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// Largest answer: the rules of a large Prometheus.
const ANSWER_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum HttpError {
    /// Not a URL that can be asked.
    #[error("{0} is not like http://host:port")]
    Url(String),
    /// The connection.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// No answer in time.
    #[error("no answer within {} s", ANSWER_WITHIN.as_secs())]
    Late,
    /// An answer, and not a good one.
    #[error("it answers {status}: {body}")]
    Status {
        /// The code.
        status: u16,
        /// The beginning of what it says.
        body: String,
    },
    /// An answer that is none.
    #[error("its answer is not the JSON that was asked for")]
    Content,
}

/// GET of JSON.
pub(super) async fn get(base: &str, path: &str) -> Result<Value, HttpError> {
    let (status, body) = ask(base, "GET", path, None).await?;
    good(status, &body)
}

/// GET of JSON, whatever the status.
pub(super) async fn get_any(base: &str, path: &str) -> Result<(u16, Value), HttpError> {
    let (status, body) = ask(base, "GET", path, None).await?;
    let body = serde_json::from_str(&body).map_err(|_| HttpError::Content)?;
    Ok((status, body))
}

/// POST of JSON; what comes back does not matter if it is good.
pub(super) async fn post(base: &str, path: &str, body: &Value) -> Result<(), HttpError> {
    match ask(base, "POST", path, Some(body.to_string())).await? {
        (200..=299, _) => Ok(()),
        (status, body) => Err(bad(status, &body)),
    }
}

fn good(status: u16, body: &str) -> Result<Value, HttpError> {
    match status {
        200 => serde_json::from_str(body).map_err(|_| HttpError::Content),
        _ => Err(bad(status, body)),
    }
}

fn bad(status: u16, body: &str) -> HttpError {
    let body = body.chars().take(200).collect();
    HttpError::Status { status, body }
}

async fn ask(
    base: &str,
    method: &str,
    path: &str,
    body: Option<String>,
) -> Result<(u16, String), HttpError> {
    let wrong = || HttpError::Url(base.to_owned());
    let uri: http::Uri = base.parse().map_err(|_| wrong())?;
    let authority = uri
        .authority()
        .filter(|_| uri.scheme_str() == Some("http"))
        .ok_or_else(wrong)?;
    let address = (
        authority.host().trim_matches(['[', ']']),
        authority.port_u16().unwrap_or(80),
    );
    let prefix = uri.path().trim_end_matches('/');
    let body = body.unwrap_or_default();
    // HTTP/1.0: the answer ends with the connection and comes in one piece.
    let request = format!(
        "{method} {prefix}{path} HTTP/1.0\r\nHost: {authority}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let exchange = async {
        let mut socket = TcpStream::connect(address).await?;
        socket.write_all(request.as_bytes()).await?;
        let mut answer = Vec::new();
        socket
            .take(ANSWER_BYTES_MAX)
            .read_to_end(&mut answer)
            .await?;
        Ok::<_, io::Error>(String::from_utf8_lossy(&answer).into_owned())
    };
    let answer = tokio::time::timeout(ANSWER_WITHIN, exchange)
        .await
        .map_err(|_| HttpError::Late)??;
    let (head, body) = answer.split_once("\r\n\r\n").ok_or(HttpError::Content)?;
    let status = head.split(' ').nth(1).and_then(|code| code.parse().ok());
    Ok((status.ok_or(HttpError::Content)?, body.to_owned()))
}
