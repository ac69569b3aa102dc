//! Holds a recorded conversation again, with a simulated server.
//!
//! Owns: the order of things, and what happened between two recorded steps: for a standalone server that is seen from
//! its answers (only how many ledgers it closed), for a network it is written down as its schedule. May not: look at the
//! simulated server's answers for anything but the comparison, nor hand a recorded answer to it.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::compare::{Difference, compare};
use super::genesis::Genesis;
use super::recording::{Happening, Recording, Run, Step};
use crate::sim::{Beginning, COMMANDS, DirectSocket, Fees, Millis, Network, Options, Release};

/// 2026-11-23 04:35:00 UTC, when the recordings began.
const START: Millis = Millis(1_795_408_500_000);
/// The servers' first ledger that they save.
const FIRST_LEDGER: u32 = 2;
/// Time that a step took, about. Short enough that nothing is forgotten between two steps of a scenario.
const STEP_MS: u64 = 10;
/// Fees and reserves of a new standalone ledger.
const FEES: Fees = Fees {
    base_drops: 10,
    reserve_base_drops: 10_000_000,
    reserve_inc_drops: 2_000_000,
};

/// What came of a step.
#[derive(Debug)]
pub enum Outcome {
    /// Asked and compared.
    Compared(Vec<Difference>),
    /// The simulated server has no such command.
    NotServed,
    /// Not part of a run that can be repeated.
    NotReplayed,
    /// The recorder's own note.
    Note,
}

/// A step and what came of it.
#[derive(Debug)]
pub struct Replayed<'a> {
    /// The step.
    pub step: &'a Step,
    /// Its place in the recording.
    pub position: usize,
    /// What came of it.
    pub outcome: Outcome,
}

/// Holds all conversations of a recording again.
pub fn replay(recording: &Recording) -> Vec<Replayed<'_>> {
    let mut all = Vec::new();
    let mut replayed = BTreeSet::new();
    let release = if recording.version.starts_with("2.") {
        Release::V2_3
    } else {
        Release::V3_3
    };
    for run in &recording.runs {
        let mut stage = Stage::new(run, release);
        for scenario in &run.scenarios {
            replayed.insert(scenario.as_str());
            let mut steps = recording.steps.iter();
            let begun = steps
                .by_ref()
                .filter(|step| step.scenario == *scenario)
                .find_map(validated_before);
            stage.close_up_to(begun);
            let steps = recording.steps.iter().enumerate();
            let steps = steps.filter(|(_, step)| step.scenario == *scenario);
            for (number, (position, step)) in steps.enumerate() {
                stage.happen(scenario, number);
                all.extend(stage.play(position, step));
            }
            all.extend(stage.deliver(true));
        }
    }
    let steps = recording.steps.iter().enumerate();
    all.extend(
        steps
            .filter(|(_, step)| !replayed.contains(step.scenario.as_str()))
            .map(|(position, step)| Replayed {
                step,
                position,
                outcome: if step.transport == "summary" {
                    Outcome::Note
                } else {
                    Outcome::NotReplayed
                },
            }),
    );
    all.sort_by_key(|replayed| replayed.position);
    all
}

/// A server in the middle of a conversation.
struct Stage<'r> {
    run: &'r Run,
    network: Network,
    genesis: Genesis,
    sockets: BTreeMap<String, DirectSocket>,
    /// Ledgers whose unrecorded transactions are done.
    prepared: BTreeSet<u32>,
    filled: BTreeSet<u32>,
    /// Pushed messages that were recorded before what caused them.
    waiting: Vec<(usize, &'r Step)>,
}

impl<'r> Stage<'r> {
    fn new(run: &'r Run, release: Release) -> Self {
        let options = Options {
            network_id: run.network_id,
            fees: FEES,
            start_index: run.first_held.unwrap_or(FIRST_LEDGER),
            expected_size: Some(run.expected_size),
            release,
            without_amendments: run
                .network
                .as_ref()
                .is_some_and(|network| network.without_amendments),
            ..Options::default()
        };
        let network = match &run.network {
            None => Network::standalone(options, FIRST_LEDGER, START),
            Some(network) => {
                let beginning = Beginning {
                    servers: network.servers,
                    validator_lists: network.validator_lists,
                    peers_min: network.peers_min,
                    first_validated: network.first_validated,
                    validated: network.validated,
                    closed: network.closed,
                    mode: network.mode,
                };
                Network::new(options, beginning, Millis(network.clock))
            }
        };
        let network = network.expect("nobody but the genesis account is funded");
        Self {
            run,
            network,
            genesis: Genesis::new(run.network_id),
            sockets: BTreeMap::new(),
            prepared: BTreeSet::new(),
            filled: BTreeSet::new(),
            waiting: Vec::new(),
        }
    }

    /// What the network did before a step.
    fn happen(&mut self, scenario: &str, number: usize) {
        let mut looks = true;
        let events = self.run.schedule.get(scenario).into_iter().flatten();
        for event in events.filter(|event| event.before == number) {
            let network = &mut self.network;
            match event.what {
                Happening::Clock(clock) => network.pass_to(Millis(clock)),
                Happening::Close(ledgers) => {
                    (0..ledgers).for_each(|_| agree(network, false));
                }
                Happening::CloseSlowly(ledgers) => {
                    (0..ledgers).for_each(|_| agree(network, true));
                }
                Happening::Propose(()) => network.propose(),
                Happening::Accept(()) => accept(network, false),
                Happening::Validate(server, index) => network.validate(server, index),
                Happening::Mode(server, mode) => network.enter(server, mode),
                Happening::Lose(server) => network.lose(server),
                Happening::Restart(server) => network
                    .restart(server)
                    .expect("it was started with the same options before"),
                Happening::Link(server) => network.link(server),
                Happening::Join(server) => network.join(server),
                Happening::LateSuccessors(server) => network.server(server).delay_successors(),
                Happening::InFlight(()) => looks = false,
            }
        }
        if looks {
            self.network.receive();
        }
    }

    fn play(&mut self, position: usize, step: &'r Step) -> Vec<Replayed<'r>> {
        let replayed = |outcome| Replayed {
            step,
            position,
            outcome,
        };
        if step.transport == "summary" {
            return vec![replayed(Outcome::Note)];
        }
        self.network.pass(STEP_MS);
        if step.is_push() {
            self.waiting.push((position, step));
            return self.deliver(false);
        }
        self.catch_up(step);
        if step.command().as_deref() == Some("ledger_accept") {
            self.fund();
        }
        let outcome = match step.command() {
            Some(command) if !COMMANDS.contains(&command.as_str()) && is_real(step) => {
                Outcome::NotServed
            }
            Some(_) | None => self.ask(step),
        };
        self.network.relay();
        let mut all = vec![replayed(outcome)];
        all.extend(self.deliver(false));
        all
    }

    /// Compares the pushed messages that have come; at the `end` also those that never came.
    fn deliver(&mut self, end: bool) -> Vec<Replayed<'r>> {
        let mut all = Vec::new();
        for (position, step) in std::mem::take(&mut self.waiting) {
            let socket = self.sockets.get_mut(socket_name(&step.transport));
            let outcome = match socket.and_then(DirectSocket::pushed) {
                Some(text) => Outcome::Compared(compare(&step.response, &parse(&text))),
                None if end => Outcome::Compared(compare(&step.response, &Value::Null)),
                None => {
                    self.waiting.push((position, step));
                    continue;
                }
            };
            all.push(Replayed {
                step,
                position,
                outcome,
            });
        }
        all
    }

    fn ask(&mut self, step: &Step) -> Outcome {
        let admin = !step.transport.contains("public") && !step.title.ends_with(" public");
        if step.transport.starts_with("ws") {
            let text = step.request.get("text").and_then(Value::as_str);
            let text = text.map_or_else(|| step.request.to_string(), binary_as_text);
            let server = self.network.server(step.server());
            let socket = self
                .sockets
                .entry(socket_name(&step.transport).to_owned())
                .or_insert_with(|| server.connect(admin));
            let answer = server.websocket(socket, &text);
            return Outcome::Compared(compare(&step.response, &json!(answer)));
        }
        let body = match step.request.get("http_method") {
            Some(_) => step.request["body"].as_str().unwrap_or_default().to_owned(),
            None if step.is_bare() => {
                json!({ "method": step.command(), "params": [step.request] }).to_string()
            }
            None => step.request.to_string(),
        };
        let (status, text) = self.network.server(step.server()).http(admin, &body);
        if step.is_bare() {
            return Outcome::Compared(compare(&step.response, &parse(&text)["result"]));
        }
        // Where no status was written down, none is compared.
        let status = step.http_status.map(|_| status);
        let frame =
            |status: Option<u16>, body: &Value| json!({ "http_status": status, "body": body });
        let (real, simulated) = (
            frame(step.http_status, &step.response),
            frame(status, &parse(&text)),
        );
        Outcome::Compared(compare(&real, &simulated))
    }

    /// Does what the recorder did since the step before: the answer says in which ledger it was given.
    fn catch_up(&mut self, step: &Step) {
        if self.run.network.is_some() {
            return;
        }
        self.close_up_to(validated_before(step));
        let open_index = self.network.server(1).validated_index() + 1;
        let run = self.run;
        let fill = run.filled.iter().find(|(ledger, ..)| *ledger == open_index);
        if let Some((_, size, to)) = fill
            && self.filled.insert(open_index)
        {
            while self.network.server(1).open_size() < *size {
                let blob = self.genesis.fills(to);
                self.submit(&blob);
            }
        }
    }

    fn close_up_to(&mut self, validated: Option<u32>) {
        if self.run.network.is_some() {
            return;
        }
        while validated.is_some_and(|index| self.network.server(1).validated_index() < index) {
            self.close();
        }
    }

    fn close(&mut self) {
        self.fund();
        self.network.pass(STEP_MS);
        let server = self.network.server(1);
        server.close_ledger().expect("nothing is kept in a file");
    }

    /// The payments that were made into the ledger that is open now.
    fn fund(&mut self) {
        let open_index = self.network.server(1).validated_index() + 1;
        if !self.prepared.insert(open_index) {
            return;
        }
        let run = self.run;
        for (_, address, drops) in run
            .funded
            .iter()
            .filter(|(ledger, ..)| *ledger == open_index)
        {
            let blob = self.genesis.pays(address, *drops, open_index);
            self.submit(&blob);
        }
    }

    fn submit(&mut self, blob: &str) {
        let body = json!({ "method": "submit", "params": [{ "tx_blob": blob }] });
        let (_, answer) = self.network.server(1).http(true, &body.to_string());
        assert!(
            answer.contains("tesSUCCESS"),
            "a payment of the genesis account is good: {answer}"
        );
    }
}

fn agree(network: &mut Network, is_slow: bool) {
    network.receive();
    network.propose();
    accept(network, is_slow);
}

fn accept(network: &mut Network, is_slow: bool) {
    network.accept(is_slow).expect("nothing is kept in a file");
}

/// True if a real server knows the command; asking for others is a test of how it says no.
fn is_real(step: &Step) -> bool {
    step.result().get("error").and_then(Value::as_str) != Some("unknownCmd")
}

/// Requests, raw texts and pushed messages of one socket were recorded under three names.
fn socket_name(transport: &str) -> &str {
    let name = transport.strip_suffix("-push").unwrap_or(transport);
    name.strip_suffix("-raw").unwrap_or(name)
}

/// Frames of bytes were recorded as hexadecimal digits; a server takes their content as text.
fn binary_as_text(text: &str) -> String {
    let bytes = hex::decode(text).ok().filter(|bytes| !bytes.is_empty());
    bytes
        .and_then(|bytes| String::from_utf8(bytes).ok())
        .unwrap_or_else(|| text.to_owned())
}

fn parse(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|_| json!({ "__not_json__": text }))
}

/// Index of the last validated ledger when the step was answered; None if nothing tells.
fn validated_before(step: &Step) -> Option<u32> {
    if step.is_push() {
        return None;
    }
    let result = step.result();
    let number = |value: &Value, name: &str| {
        let value = value.get(name)?;
        let number = value.as_u64().or_else(|| value.as_str()?.parse().ok())?;
        u32::try_from(number).ok()
    };
    let command = step.command()?;
    if let Some(current) = number(result, "ledger_current_index") {
        return current.checked_sub(if command == "ledger_accept" { 2 } else { 1 });
    }
    if let Some(validated) = number(result, "validated_ledger_index") {
        return Some(validated);
    }
    let info = result.get("info").or_else(|| result.get("state"));
    if let Some(validated) = info.and_then(|info| info.get("validated_ledger")) {
        return number(validated, "seq");
    }
    let asked_beyond = step.params().contains_key("ledger_index_max");
    number(result, "ledger_index")
        .or_else(|| number(result, "ledger_index_max").filter(|_| !asked_beyond))
}
