//! A server of its own to the gateway: a relay before the simulated ledger, which can be gone, stand still or lie.
//!
//! Owns: what passes in each direction of a WebSocket. May not: make an answer up where the ledger has one to be changed.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::{accept_async, connect_async};

/// Changes an answer; given the request and the whole answer.
pub(crate) type Edit = Arc<dyn Fn(&Value, &mut Value) + Send + Sync>;

/// How a relay behaves.
#[derive(Clone)]
pub(crate) enum Conduct {
    /// Passes everything on as it is.
    Honest,
    /// Takes no connection and has none.
    Gone,
    /// Changes answers.
    Lies(Edit),
    /// Tells of no ledger after the one that it tells first.
    StandsStill,
    /// Closes the connection with code 1008 after so many submits on it.
    LimitsRate(u32),
}

/// A relay on a loopback port.
pub(crate) struct Relay {
    pub url: String,
    pub operator: &'static str,
    conduct: watch::Sender<Conduct>,
    submits: Arc<AtomicU32>,
}

impl Relay {
    pub(crate) async fn before(ledger: &str, operator: &'static str, conduct: Conduct) -> Relay {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("ws://{}", listener.local_addr().unwrap());
        let (sender, receiver) = watch::channel(conduct);
        let submits = Arc::<AtomicU32>::default();
        let (ledger, counted) = (ledger.to_owned(), Arc::clone(&submits));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (ledger, counted) = (ledger.clone(), Arc::clone(&counted));
                tokio::spawn(serve(stream, ledger, receiver.clone(), counted));
            }
        });
        Relay {
            url,
            operator,
            conduct: sender,
            submits,
        }
    }

    pub(crate) fn turns(&self, conduct: Conduct) {
        self.conduct.send_replace(conduct);
    }

    /// Submits that came here.
    pub(crate) fn submits(&self) -> u32 {
        self.submits.load(Ordering::SeqCst)
    }

    /// Its entry in `xrpl.servers`.
    pub(crate) fn entry(&self) -> String {
        format!(r#"{{url="{}",operator="{}"}}"#, self.url, self.operator)
    }
}

/// What is remembered of one connection.
#[derive(Default)]
struct Memory {
    asked: BTreeMap<u64, Value>,
    still_at: Option<Value>,
    submits: u32,
}

async fn serve(
    stream: TcpStream,
    ledger: String,
    conduct: watch::Receiver<Conduct>,
    submits: Arc<AtomicU32>,
) {
    if matches!(*conduct.borrow(), Conduct::Gone) {
        return;
    }
    let (Ok(mut client), Ok((mut server, _))) =
        (accept_async(stream).await, connect_async(&ledger).await)
    else {
        return;
    };
    let mut memory = Memory::default();
    let mut changes = conduct.clone();
    loop {
        tokio::select! {
            biased;
            () = gone(&mut changes) => return,
            message = client.next() => {
                let Some(Ok(message)) = message else { return };
                if let Message::Text(text) = &message {
                    let request: Value = serde_json::from_str(text).unwrap();
                    if request["command"] == "submit" {
                        submits.fetch_add(1, Ordering::SeqCst);
                        memory.submits += 1;
                    }
                    let limit = match *conduct.borrow() {
                        Conduct::LimitsRate(limit) => limit,
                        _ => u32::MAX,
                    };
                    if memory.submits > limit {
                        let reason = "threshold exceeded".into();
                        let frame = CloseFrame { code: 1008.into(), reason };
                        let _ = client.close(Some(frame)).await;
                        return;
                    }
                    memory.asked.insert(request["id"].as_u64().unwrap(), request);
                }
                if server.send(message).await.is_err() {
                    return;
                }
            }
            message = server.next() => {
                let Some(Ok(message)) = message else { return };
                let how = conduct.borrow().clone();
                let Some(message) = pass(message, &how, &mut memory) else { continue };
                if client.send(message).await.is_err() {
                    return;
                }
            }
        }
    }
}

async fn gone(conduct: &mut watch::Receiver<Conduct>) {
    let _ = conduct.wait_for(|c| matches!(c, Conduct::Gone)).await;
}

/// What the client gets to read of what the ledger says.
fn pass(message: Message, how: &Conduct, memory: &mut Memory) -> Option<Message> {
    let Message::Text(text) = &message else {
        return Some(message);
    };
    let mut said: Value = serde_json::from_str(text).unwrap();
    let request = said["id"].as_u64().and_then(|id| memory.asked.remove(&id));
    match (how, request) {
        (Conduct::Lies(edit), Some(request)) => edit(&request, &mut said),
        (Conduct::StandsStill, None) if said["type"] == "ledgerClosed" => return None,
        (Conduct::StandsStill, Some(request)) => stand_still(&request, &mut said, memory),
        _ => return Some(message),
    }
    Some(Message::text(said.to_string()))
}

/// It knows the ledger that it told first, and none after it.
fn stand_still(request: &Value, said: &mut Value, memory: &mut Memory) {
    if request["command"] == "server_state" {
        let ledger = said["result"]["state"]["validated_ledger"].clone();
        let first = memory.still_at.get_or_insert(ledger).clone();
        said["result"]["state"]["validated_ledger"] = first;
    }
    let still_at = memory.still_at.as_ref().and_then(|l| l["seq"].as_u64());
    let about = [
        &said["result"]["ledger_index"],
        &said["result"]["ledger_index_max"],
    ];
    let about = about.into_iter().find_map(Value::as_u64);
    if request["command"] != "subscribe" && about > still_at {
        refuse(said, "lgrNotFound");
    }
}

/// Makes an answer a refusal.
pub(crate) fn refuse(said: &mut Value, error: &str) {
    *said = json!({ "id": said["id"], "type": "response", "status": "error", "error": error });
}
