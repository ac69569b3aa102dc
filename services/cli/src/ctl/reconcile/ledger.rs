//! A ledger's server, asked directly.
//!
//! Owns: one connection, and that what it gives is the whole validated history of the wallet in the period, or an error. May not:
//! share anything with the gateway's own reading of the ledger, which is what is checked here; or fill a gap with a guess.

use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use prost_types::Timestamp;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{self, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async_with_config};

use super::super::period::{Period, order};
use super::transaction::{Transaction, number, read};

/// How long a connection or an answer may take.
const ANSWERED_WITHIN: Duration = Duration::from_secs(30);

/// Largest message that is read. A page of 200 transactions with metadata is under 1 MiB.
const MESSAGE_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Transactions asked for in one page; public servers give no more.
const PAGE_TRANSACTIONS: u32 = 200;

/// Transactions of one period that are held in memory, about 500 bytes each.
const TRANSACTIONS_MAX: usize = 1_000_000;

/// The ledger's time begins on 2000-01-01, so many seconds after that of everybody else.
const LEDGER_EPOCH_SECONDS: i64 = 946_684_800;

/// Why the ledger could not be read.
#[derive(Debug, thiserror::Error)]
pub(super) enum LedgerError {
    #[error("{url}: {source}")]
    Connect {
        url: String,
        source: Box<tungstenite::Error>,
    },
    #[error("{url} did not answer {command} within {} s", ANSWERED_WITHIN.as_secs())]
    Silent { url: String, command: &'static str },
    #[error("{url} closed the connection")]
    Closed { url: String },
    #[error("{url} refuses {command}: {error} {message}")]
    Refused {
        url: String,
        command: &'static str,
        error: String,
        message: String,
    },
    #[error("{url}: its answer to {command} cannot be read: {what}")]
    Malformed {
        url: String,
        command: &'static str,
        what: &'static str,
    },
    #[error("{url} is on network {has}, the gateway on {wants}")]
    Network { url: String, has: u64, wants: u32 },
    #[error("{url} holds validated ledgers {held}, not all of {from} to {to}")]
    NotHeld {
        url: String,
        held: String,
        from: u32,
        to: u32,
    },
    #[error(
        "{url} holds no ledger that closed before --from, so that the first of the period may be missing: it holds {held}"
    )]
    TooEarly { url: String, held: String },
    #[error("no ledger closed in the period")]
    Empty,
    #[error(
        "ledgers {from} to {to} hold more than {TRANSACTIONS_MAX} transactions of the wallet: take a shorter period"
    )]
    TooMany { from: u32, to: u32 },
}

/// A connection.
pub(super) struct Ledger {
    url: String,
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    requests: u64,
    /// The last range of ledgers that it holds.
    first: u32,
    last: u32,
    held: String,
}

impl Ledger {
    /// Connects, and checks that it is the gateway's network.
    pub(super) async fn connect(url: &str, network_id: u32) -> Result<Self, LedgerError> {
        // Only the first installation in a process counts; a second answers an error that means "already there".
        let _ = rustls::crypto::ring::default_provider().install_default();
        let limits = WebSocketConfig::default()
            .max_message_size(Some(MESSAGE_BYTES_MAX))
            .max_frame_size(Some(MESSAGE_BYTES_MAX));
        let connecting = connect_async_with_config(url, Some(limits), true);
        let connected = timeout(ANSWERED_WITHIN, connecting).await;
        let (socket, _) = connected
            .map_err(|_| LedgerError::Silent {
                url: url.to_owned(),
                command: "the handshake",
            })?
            .map_err(|error| LedgerError::Connect {
                url: url.to_owned(),
                source: Box::new(error),
            })?;
        let mut ledger = Self {
            url: url.to_owned(),
            socket,
            requests: 0,
            first: 0,
            last: 0,
            held: String::new(),
        };
        let command = "server_info";
        let answer = ledger.ask(command, json!({})).await?;
        let info = &answer["info"];
        let has = info["network_id"].as_u64().unwrap_or_default();
        if has != u64::from(network_id) {
            return Err(LedgerError::Network {
                url: url.to_owned(),
                has,
                wants: network_id,
            });
        }
        let held = info["complete_ledgers"]
            .as_str()
            .unwrap_or_default()
            .to_owned();
        let range = held.rsplit(',').next().unwrap_or_default().trim();
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        let index = |text: &str| text.trim().parse::<u32>().ok();
        let newest = info["validated_ledger"]["seq"]
            .as_u64()
            .and_then(|seq| u32::try_from(seq).ok());
        let (Some(first), Some(last), Some(newest)) = (index(first), index(last), newest) else {
            return Err(ledger.malformed(command, "it holds no validated ledgers"));
        };
        (ledger.first, ledger.last) = (first, last.min(newest));
        ledger.held = held;
        Ok(ledger)
    }

    /// First and last ledger of the period. Without an end: as far as both the server and the gateway are.
    pub(super) async fn resolve(
        &mut self,
        period: Period,
        gateway: u32,
    ) -> Result<(u32, u32), LedgerError> {
        let newest = self.last.min(gateway);
        let (from, to) = match period {
            Period::Ledgers { from, to: u32::MAX } => (from, newest),
            Period::Ledgers { from, to } => (from, to),
            Period::Times { from, to } => {
                let first = match from {
                    None => self.first,
                    Some(from) => {
                        // What closed before is not held: whether the period's first ledgers are, nobody knows.
                        if self.first > 1 && order(&from) < order(&self.closed(self.first).await?) {
                            return Err(LedgerError::TooEarly {
                                url: self.url.clone(),
                                held: self.held.clone(),
                            });
                        }
                        self.first_closed_at(&from).await?
                    }
                };
                let last = match to {
                    None => newest,
                    // A period that is not over yet ends where the server does; the report says where that was.
                    Some(to) => self.first_closed_at(&to).await?.saturating_sub(1),
                };
                (first, last)
            }
        };
        if from > to {
            return Err(LedgerError::Empty);
        }
        if from < self.first || to > self.last {
            return Err(LedgerError::NotHeld {
                url: self.url.clone(),
                held: self.held.clone(),
                from,
                to,
            });
        }
        Ok((from, to))
    }

    /// The first ledger that closed at or after a time; one past the last if none did. Close times never go back.
    async fn first_closed_at(&mut self, time: &Timestamp) -> Result<u32, LedgerError> {
        let (mut low, mut high) = (self.first, self.last.saturating_add(1));
        while low < high {
            let middle = low + (high - low) / 2;
            if order(&self.closed(middle).await?) < order(time) {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        Ok(low)
    }

    async fn closed(&mut self, index: u32) -> Result<Timestamp, LedgerError> {
        let command = "ledger";
        let answer = self.ask(command, json!({ "ledger_index": index })).await?;
        if answer["validated"] != true || number(&answer["ledger_index"]) != Some(u64::from(index))
        {
            return Err(self.malformed(command, "it is about another ledger"));
        }
        let seconds = answer["ledger"]["close_time"].as_i64();
        let seconds = seconds.ok_or_else(|| self.malformed(command, "it has no close_time"))?;
        Ok(Timestamp {
            seconds: seconds.saturating_add(LEDGER_EPOCH_SECONDS),
            nanos: 0,
        })
    }

    /// Every validated transaction that the wallet signed in these ledgers, oldest first.
    pub(super) async fn transactions(
        &mut self,
        account: &str,
        from: u32,
        to: u32,
    ) -> Result<Vec<Transaction>, LedgerError> {
        let command = "account_tx";
        let mut found = Vec::new();
        let mut marker = Value::Null;
        loop {
            let mut params = json!({
                "account": account, "ledger_index_min": from, "ledger_index_max": to, "forward": true, "limit": PAGE_TRANSACTIONS,
            });
            if !marker.is_null() {
                params["marker"] = marker.clone();
            }
            let page = self.ask(command, params).await?;
            let covers = |name: &str| {
                page[name]
                    .as_u64()
                    .and_then(|index| u32::try_from(index).ok())
            };
            if page["account"] != account {
                return Err(self.malformed(command, "it is about another account"));
            }
            // Each page says what it looked at; a page of less is no history.
            match (covers("ledger_index_min"), covers("ledger_index_max")) {
                (Some(first), Some(last)) if first <= from && last >= to => {}
                (first, last) => {
                    let held = format!(
                        "{} to {}",
                        first.unwrap_or_default(),
                        last.unwrap_or_default()
                    );
                    return Err(LedgerError::NotHeld {
                        url: self.url.clone(),
                        held,
                        from,
                        to,
                    });
                }
            }
            let entries = page["transactions"].as_array();
            for entry in entries.ok_or_else(|| self.malformed(command, "it has no transactions"))? {
                let read = read(entry, account)
                    .ok_or_else(|| self.malformed(command, "a transaction lacks something"))?;
                if !(from..=to).contains(&read.1.ledger_index) {
                    return Err(self.malformed(command, "a transaction is of another ledger"));
                }
                if read.0 {
                    found.push(read.1);
                }
            }
            if found.len() > TRANSACTIONS_MAX {
                return Err(LedgerError::TooMany { from, to });
            }
            let next = page["marker"].clone();
            if next.is_null() {
                return Ok(found);
            }
            if next == marker {
                return Err(self.malformed(command, "its pages go round in a circle"));
            }
            marker = next;
        }
    }

    async fn ask(
        &mut self,
        command: &'static str,
        mut request: Value,
    ) -> Result<Value, LedgerError> {
        self.requests += 1;
        let id = self.requests;
        request["id"] = json!(id);
        request["command"] = json!(command);
        request["api_version"] = json!(2);
        match timeout(ANSWERED_WITHIN, self.exchange(id, request.to_string())).await {
            Err(_) => Err(LedgerError::Silent {
                url: self.url.clone(),
                command,
            }),
            Ok(Err(error)) => Err(error),
            Ok(Ok(mut answer)) if answer["status"] == "success" => Ok(answer["result"].take()),
            Ok(Ok(answer)) => {
                let word = |name: &str| {
                    answer[name]
                        .as_str()
                        .unwrap_or_default()
                        .chars()
                        .take(200)
                        .collect()
                };
                Err(LedgerError::Refused {
                    url: self.url.clone(),
                    command,
                    error: word("error"),
                    message: word("error_message"),
                })
            }
        }
    }

    /// Sends, and waits for the answer of that number.
    async fn exchange(&mut self, id: u64, request: String) -> Result<Value, LedgerError> {
        let broken = |url: &str, error| LedgerError::Connect {
            url: url.to_owned(),
            source: Box::new(error),
        };
        let sent = self.socket.send(Message::text(request)).await;
        sent.map_err(|error| broken(&self.url, error))?;
        while let Some(message) = self.socket.next().await {
            let message = message.map_err(|error| broken(&self.url, error))?;
            let Message::Text(text) = message else {
                continue;
            };
            if let Ok(answer) = serde_json::from_str::<Value>(&text)
                && answer["id"] == id
            {
                return Ok(answer);
            }
        }
        Err(LedgerError::Closed {
            url: self.url.clone(),
        })
    }

    fn malformed(&self, command: &'static str, what: &'static str) -> LedgerError {
        LedgerError::Malformed {
            url: self.url.clone(),
            command,
            what,
        }
    }
}
