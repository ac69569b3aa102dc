//! The recorded conversations as they are stored: one JSON object a line, compressed, the servers' bytes unchanged.
//!
//! Owns: the form of the files. May not: judge an answer.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;

use flate2::read::GzDecoder;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::sim::ServerMode;

/// One exchange, or one message that a server pushed, or a note of the recorder's.
#[derive(Debug, Deserialize)]
pub struct Step {
    /// The story it belongs to.
    pub scenario: String,
    /// What it shows.
    #[serde(rename = "step")]
    pub title: String,
    /// How it went: over which of the server's ports, as request or pushed.
    pub transport: String,
    /// Status of the answer, for HTTP.
    pub http_status: Option<u16>,
    /// What was sent.
    pub request: Value,
    /// What came.
    pub response: Value,
}

impl Step {
    /// True for a message that the server sent by itself.
    pub fn is_push(&self) -> bool {
        self.transport.ends_with("-push")
    }

    /// True for an exchange with the server; the rest are the recorder's own notes.
    pub fn is_exchange(&self) -> bool {
        !self.is_push() && self.transport != "summary"
    }

    /// The command that was asked for; None if the request is no request.
    pub fn command(&self) -> Option<String> {
        let parsed;
        let request = match self
            .request
            .get("body")
            .or_else(|| self.request.get("text"))
        {
            Some(Value::String(text)) => {
                parsed = serde_json::from_str(text).ok()?;
                &parsed
            }
            _ => &self.request,
        };
        let name = request.get("method").or_else(|| request.get("command"));
        if name.is_none() && self.is_bare() {
            let is_submit = self.request.get("tx_blob").is_some();
            return Some(if is_submit { "submit" } else { "tx" }.to_owned());
        }
        Some(name?.as_str()?.to_owned())
    }

    /// True if only the parameters of a request and the result of its answer were written down.
    pub(super) fn is_bare(&self) -> bool {
        let transport = self.transport.split_once(' ');
        transport.is_some_and(|(_, server)| server.starts_with("node"))
    }

    /// The number of the server that was asked.
    pub(super) fn server(&self) -> usize {
        let second = self.is_bare() || self.title.contains("node 2");
        if second { 2 } else { 1 }
    }

    /// The parameters of the request.
    pub(super) fn params(&self) -> Map<String, Value> {
        let params = match self.request.get("params") {
            Some(Value::Array(list)) => list.first(),
            _ => Some(&self.request),
        };
        params
            .and_then(Value::as_object)
            .cloned()
            .unwrap_or_default()
    }

    /// The answer without its frame.
    pub(super) fn result(&self) -> &Value {
        self.response.get("result").unwrap_or(&self.response)
    }
}

/// How a network of servers stood when a recording began.
#[derive(Debug, Deserialize)]
pub struct Beginning {
    /// Number of servers.
    pub servers: usize,
    /// Lists of validators in each one's configuration.
    pub validator_lists: usize,
    /// A server with fewer peers gives the network up.
    pub peers_min: usize,
    /// The first ledger that the servers counted as validated; none if they never heard of one.
    pub first_validated: Option<u32>,
    /// The last one that they did.
    pub validated: u32,
    /// The last one that they closed.
    pub closed: u32,
    /// How far they had come.
    pub mode: ServerMode,
    /// No amendment was in force yet.
    #[serde(default)]
    pub without_amendments: bool,
    /// The time in milliseconds since 1970.
    pub clock: u64,
}

/// What happened in a network before a step, counted from the scenario's first.
#[derive(Debug, Deserialize)]
pub struct Event {
    /// The step.
    pub before: usize,
    /// What happened.
    #[serde(flatten)]
    pub what: Happening,
}

/// What a network of servers does by itself: what consensus decided and when, and how servers found and lost each other.
/// Nothing in it says what a server answers.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Happening {
    /// It was this time, in milliseconds since 1970.
    Clock(u64),
    /// So many ledgers closed, with what was in the servers' open ledgers.
    Close(u32),
    /// The same once, but agreeing took long.
    CloseSlowly(u32),
    /// The servers closed their open ledgers and began to agree on the next one.
    Propose(()),
    /// They agreed on it.
    Accept(()),
    /// A server learnt that ledgers up to this one are validated.
    Validate(usize, u32),
    /// A server's mode changed.
    Mode(usize, ServerMode),
    /// A server was lost.
    Lose(usize),
    /// It was started again.
    Restart(usize),
    /// It found the others.
    Link(usize),
    /// It had fetched the network's last closed ledger.
    Join(usize),
    /// A server left the held successors of the transaction that it was given to another thread, and that came too late.
    LateSuccessors(usize),
    /// What servers had sent each other was not yet looked at.
    InFlight(()),
}

/// Scenarios that one server ran one after the other since it was started on a new ledger.
#[derive(Debug, Deserialize)]
pub struct Run {
    /// Their names, in order.
    pub scenarios: Vec<String>,
    /// The network's id.
    pub network_id: u32,
    /// Ledger, address and drops of what the genesis account paid unrecorded.
    pub funded: Vec<(u32, String, u64)>,
    /// Transactions a ledger is expected to hold before fees escalate, as configured.
    pub expected_size: u64,
    /// The first ledger that the server still held, if not the one from which on it had saved all.
    pub first_held: Option<u32>,
    /// How its network stood when it began, if it is not one standalone server.
    pub network: Option<Beginning>,
    /// What happened between the steps of each scenario that no answer tells in time.
    #[serde(default)]
    pub schedule: BTreeMap<String, Vec<Event>>,
    /// Ledger, size and address: unrecorded payments of a drop to it that filled the open ledger up to that size.
    #[serde(default)]
    pub filled: Vec<(u32, usize, String)>,
}

/// All that was recorded with one version of the server.
#[derive(Debug)]
pub struct Recording {
    /// Its version.
    pub version: String,
    /// Everything, in the order of the files.
    pub steps: Vec<Step>,
    /// What can be replayed, and how.
    pub runs: Vec<Run>,
}

impl Recording {
    /// Reads the recordings of all versions from a directory.
    ///
    /// # Panics
    /// If the committed files are not what they should be.
    pub fn read_all(directory: &Path) -> Vec<Recording> {
        let runs = std::fs::read_to_string(directory.join("runs.json"))
            .expect("runs.json is a committed file");
        let runs: BTreeMap<String, Vec<Run>> =
            serde_json::from_str(&runs).expect("runs.json says how recordings began");
        runs.into_iter()
            .map(|(version, runs)| Recording {
                steps: read_steps(&directory.join(format!("{version}.jsonl.gz"))),
                version,
                runs,
            })
            .collect()
    }
}

fn read_steps(path: &Path) -> Vec<Step> {
    let file = std::fs::File::open(path).expect("a recording is a committed file");
    let mut text = String::new();
    GzDecoder::new(file)
        .read_to_string(&mut text)
        .expect("a recording is compressed text");
    text.lines()
        .map(|line| serde_json::from_str(line).expect("a recorded line is a step"))
        .collect()
}
