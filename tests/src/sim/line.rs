//! One connection of a client to a server, and what goes wrong on it: the same over sockets and in virtual time.
//!
//! Owns: the order of what goes out, what is late, lost, doubled or cut. May not: wait, read a clock, or know how bytes travel; who
//! carries them asks for what is due now.

use std::collections::{BTreeMap, VecDeque};

use serde_json::{Map, Value, json};
use tokio::sync::mpsc;

use super::faults::{How, PushHow};
use super::hub::SocketId;
use super::lies;
use super::net::{Shared, answer_text, is_over};
use super::rpc::Role;
use super::script;
use super::tamper::Pushed;
use super::types::Millis;

/// What a proxy says when it reaches nobody behind it.
pub(super) const PROXY_PAGE: &str = "<html><head><title>502 Bad Gateway</title></head><body><center><h1>502 Bad Gateway</h1></center><hr><center>nginx</center></body></html>";
/// The beginning of compressed data that ends too early.
const GARBAGE: [u8; 12] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3, 0xab, 0x56];
/// Added to an id to make it wrong.
const WRONG_ID_OFFSET: u64 = 1_000_000;
/// Close code for a client that asks for too much or reads too slowly.
const CLOSE_POLICY: u16 = 1008;

/// What goes out to the client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Out {
    /// A message.
    Text(String),
    /// A message of bytes.
    Bytes(Vec<u8>),
    /// The beginning of a message of which no more comes.
    Part(String),
    /// The connection is closed in order, with a code and a reason; code 0: without.
    Close(u16, String),
    /// The connection is gone, and nobody said so.
    Cut,
}

enum Due {
    Request(String),
    Send(Out),
}

/// What the client can still expect.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Condition {
    Open,
    /// Nothing comes through, in either direction.
    Silent,
    Ended,
}

/// A connection.
pub(super) struct Line {
    id: SocketId,
    role: Role,
    pushed: mpsc::Receiver<String>,
    /// Taken from `pushed` and not looked at yet.
    taken: VecDeque<String>,
    is_cut: bool,
    condition: Condition,
    ready: VecDeque<Out>,
    due: BTreeMap<(Millis, u64), Due>,
    scheduled: u64,
    last_answer: Option<String>,
    /// It waits until the next message has gone out.
    swapped: Option<String>,
    /// Proposed transactions that wait for a validated one.
    proposed: Vec<String>,
    /// The ledger that was told last is one that the client does not hear of.
    is_in_gap: bool,
}

impl Line {
    pub(super) fn new(id: SocketId, role: Role, pushed: mpsc::Receiver<String>) -> Self {
        Self {
            id,
            role,
            pushed,
            taken: VecDeque::new(),
            is_cut: false,
            condition: Condition::Open,
            ready: VecDeque::new(),
            due: BTreeMap::new(),
            scheduled: 0,
            last_answer: None,
            swapped: None,
            proposed: Vec::new(),
            is_in_gap: false,
        }
    }

    /// The socket that it is for its server.
    pub(super) fn socket(&self) -> (SocketId, Role) {
        (self.id, self.role)
    }

    /// A pushed message as the server made it.
    pub(super) fn pushed(&mut self) -> Option<String> {
        self.taken
            .pop_front()
            .or_else(|| self.pushed.try_recv().ok())
    }

    /// True if nothing comes through any more, in either direction.
    pub(super) fn is_silent(&self) -> bool {
        self.condition == Condition::Silent
    }

    /// When something is due that is not yet.
    pub(super) fn due(&self) -> Option<Millis> {
        self.due.keys().next().map(|(at, _)| *at)
    }

    /// Waits for the server to push something, or to end the connection. May be dropped at any moment.
    pub(super) async fn wait(&mut self) {
        if self.is_cut {
            return std::future::pending().await;
        }
        match self.pushed.recv().await {
            Some(text) => self.taken.push_back(text),
            None => self.is_cut = true,
        }
    }

    /// The client sends a request.
    pub(super) fn request(&mut self, node: &Shared, text: &str, now: Millis) {
        if self.condition != Condition::Open {
            return;
        }
        if is_over(&mut node.lock(), self.role, now) {
            self.drain(node);
            self.send(Out::Close(CLOSE_POLICY, "threshold exceeded".to_owned()));
            return;
        }
        let how = match self.role {
            Role::Admin => None,
            Role::Public => node.lock().tampering.request(&command_of(text)),
        };
        match how {
            None => {
                let answer = self.run(node, text, now);
                self.answer(answer);
            }
            Some(How::LoseRequest) => {}
            Some(How::HalfOpen) => self.condition = Condition::Silent,
            Some(How::DelayRequest(late)) => {
                self.schedule(Millis(now.0 + late), Due::Request(text.to_owned()));
            }
            Some(How::Refuse(error)) => {
                let refusal = refusal(text, &error);
                self.drain(node);
                self.answer(Some(refusal));
            }
            Some(how) => {
                let answer = self.run(node, text, now);
                self.spoil(answer, &how, now);
            }
        }
    }

    /// What goes out now, in its order.
    pub(super) fn poll(&mut self, node: &Shared, now: Millis) -> Vec<Out> {
        while let Some(entry) = self.due.first_entry().filter(|entry| entry.key().0 <= now) {
            match entry.remove() {
                Due::Send(out) => self.send(out),
                Due::Request(text) => {
                    let answer = self.run(node, &text, now);
                    self.answer(answer);
                }
            }
        }
        self.drain(node);
        if self.condition == Condition::Silent {
            self.ready.clear();
            self.due.clear();
        }
        self.ready.drain(..).collect()
    }

    /// The answer, with everything that the request pushed to its own socket before it.
    fn run(&mut self, node: &Shared, text: &str, now: Millis) -> Option<Map<String, Value>> {
        let answer = answer_text(node, (self.id, self.role), text, now);
        self.drain(node);
        answer
    }

    fn answer(&mut self, answer: Option<Map<String, Value>>) {
        let Some(answer) = answer else { return };
        if let Some(close) = answer.get(script::CLOSE) {
            let code = close["code"]
                .as_u64()
                .and_then(|code| u16::try_from(code).ok());
            let reason = close["reason"].as_str().unwrap_or_default().to_owned();
            self.send(Out::Close(code.unwrap_or(CLOSE_POLICY), reason));
            return;
        }
        let text = json!(answer).to_string();
        self.last_answer = Some(text.clone());
        self.send(Out::Text(text));
    }

    /// An answer that does not arrive as it should.
    fn spoil(&mut self, answer: Option<Map<String, Value>>, how: &How, now: Millis) {
        let Some(mut answer) = answer else { return };
        let text = || json!(answer).to_string();
        match how {
            How::LoseAnswer => {}
            How::DelayAnswer(late) => {
                let text = text();
                self.schedule(Millis(now.0 + late), Due::Send(Out::Text(text)));
            }
            How::CutAnswer => {
                let mut text = text();
                text.truncate(text.floor_char_boundary(text.len() / 2));
                self.send(Out::Part(text));
                self.send(Out::Cut);
            }
            How::Close(code) => self.send(Out::Close(*code, String::new())),
            How::Repeat => {
                self.send(Out::Text(text()));
                self.answer(Some(answer));
            }
            How::WrongId => {
                let id = answer.get("id").and_then(Value::as_u64).unwrap_or(0);
                answer.insert("id".into(), json!(id + WRONG_ID_OFFSET));
                self.send(Out::Text(json!(answer).to_string()));
            }
            How::OldId => {
                if let Some(old) = self.last_answer.clone() {
                    self.send(Out::Text(old));
                }
                self.answer(Some(answer));
            }
            How::Page => self.send(Out::Text(PROXY_PAGE.to_owned())),
            How::Empty => self.send(Out::Text(String::new())),
            How::Garbage => self.send(Out::Bytes(GARBAGE.to_vec())),
            How::Warn => {
                answer.insert("warning".into(), json!("load"));
                self.answer(Some(answer));
            }
            // These never reach the server, see `request`.
            How::LoseRequest | How::DelayRequest(_) | How::HalfOpen | How::Refuse(_) => {
                self.answer(Some(answer));
            }
        }
    }

    fn schedule(&mut self, at: Millis, due: Due) {
        self.scheduled += 1;
        self.due.insert((at, self.scheduled), due);
    }

    fn send(&mut self, out: Out) {
        if self.condition != Condition::Open {
            return;
        }
        if matches!(out, Out::Close(..) | Out::Cut) {
            self.condition = Condition::Ended;
        }
        self.ready.push_back(out);
    }

    // === what is pushed ===

    fn drain(&mut self, node: &Shared) {
        loop {
            if let Some(text) = self.taken.pop_front() {
                self.tell(node, text);
                continue;
            }
            match self.pushed.try_recv() {
                Ok(text) => self.taken.push_back(text),
                Err(mpsc::error::TryRecvError::Empty) => break,
                Err(mpsc::error::TryRecvError::Disconnected) => {
                    self.is_cut = true;
                    break;
                }
            }
        }
        if self.is_cut {
            let reason = "Policy error: client is too slow.".to_owned();
            let end = match node.lock().hub.was_too_slow(self.id) {
                true => Out::Close(CLOSE_POLICY, reason),
                false => Out::Cut,
            };
            self.send(end);
        }
    }

    fn tell(&mut self, node: &Shared, mut text: String) {
        let mut node = node.lock();
        if !node.tampering.touches_pushes() && self.is_calm() {
            drop(node);
            return self.send(Out::Text(text));
        }
        let mut message: Map<String, Value> = serde_json::from_str(&text).unwrap_or_default();
        let kind = kind_of(&message);
        if lies::distort_pushed(&mut node.tampering, &mut message) {
            text = json!(message).to_string();
        }
        if kind == Pushed::Ledger {
            self.is_in_gap = false;
        }
        let how = if self.is_in_gap && kind == Pushed::Validated {
            Some(PushHow::Lose)
        } else {
            node.tampering.push(kind)
        };
        drop(node);
        match how {
            None => self.pass(text),
            Some(PushHow::Repeat) => {
                self.pass(text.clone());
                self.pass(text);
            }
            Some(PushHow::Swap) => {
                if let Some(before) = self.swapped.replace(text) {
                    self.send(Out::Text(before));
                }
            }
            Some(PushHow::Lose | PushHow::OnlyLedgers) => {}
            Some(PushHow::LoseLedgers) => self.is_in_gap = true,
            Some(PushHow::ProposedLate) => self.proposed.push(text),
        }
        if kind == Pushed::Validated {
            for late in std::mem::take(&mut self.proposed) {
                self.send(Out::Text(late));
            }
        }
    }

    fn is_calm(&self) -> bool {
        self.swapped.is_none() && self.proposed.is_empty() && !self.is_in_gap
    }

    fn pass(&mut self, text: String) {
        self.send(Out::Text(text));
        if let Some(before) = self.swapped.take() {
            self.send(Out::Text(before));
        }
    }
}

fn command_of(text: &str) -> String {
    let request: Map<String, Value> = serde_json::from_str(text).unwrap_or_default();
    let command = request.get("command").and_then(Value::as_str);
    command.unwrap_or_default().to_owned()
}

fn refusal(text: &str, error: &str) -> Map<String, Value> {
    let request: Map<String, Value> = serde_json::from_str(text).unwrap_or_default();
    let mut answer = Map::new();
    if let Some(id) = request.get("id") {
        answer.insert("id".into(), id.clone());
    }
    answer.insert("error".into(), json!(error));
    answer.insert("request".into(), json!(request));
    answer.insert("status".into(), json!("error"));
    answer.insert("type".into(), json!("response"));
    answer
}

fn kind_of(message: &Map<String, Value>) -> Pushed {
    match message.get("type").and_then(Value::as_str) {
        Some("ledgerClosed") => Pushed::Ledger,
        Some("transaction") if message.get("validated") == Some(&json!(true)) => Pushed::Validated,
        Some("transaction") => Pushed::Proposed,
        _ => Pushed::Other,
    }
}
