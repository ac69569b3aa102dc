//! What two real servers were recorded to answer: every result code and every error, each with the answer that carried it.
//!
//! Owns: finding them. May not: leave one out because nobody has thought of it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use paygate_tests::replay::Recording;
use serde_json::{Map, Value};

/// Fields of an answer to `submit` that are not about the transaction itself.
const RESULT_FIELDS: [&str; 12] = [
    "accepted",
    "account_sequence_available",
    "account_sequence_next",
    "applied",
    "broadcast",
    "engine_result",
    "engine_result_code",
    "engine_result_message",
    "kept",
    "open_ledger_cost",
    "queued",
    "validated_ledger_index",
];

/// Fields of an error.
const ERROR_FIELDS: [&str; 4] = ["error", "error_code", "error_exception", "error_message"];

/// All of it, over both versions.
#[derive(Default)]
pub(crate) struct Recorded {
    /// Result codes that `submit` answered, each with such an answer, as it was.
    pub(crate) results: BTreeMap<String, Value>,
    /// Result codes in validated metadata.
    pub(crate) validated: BTreeSet<String>,
    /// Errors, each as it was.
    pub(crate) errors: BTreeMap<String, Value>,
    /// Commands, each with the errors that it was answered with.
    pub(crate) refused: BTreeSet<(String, String)>,
    /// The transports on which a server answered with plain text.
    pub(crate) plain_texts: BTreeSet<String>,
    /// How WebSockets were closed by the server.
    pub(crate) closes: BTreeSet<String>,
}

impl Recorded {
    /// Reads the committed recordings.
    pub(crate) fn read() -> Recorded {
        let directory = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/data/transcripts"));
        let mut found = Recorded::default();
        for recording in Recording::read_all(directory) {
            for step in &recording.steps {
                let hard = step.request.to_string().contains("fail_hard");
                let command = step.command().unwrap_or_default();
                if step.response.get("__not_json__").is_some() {
                    found.plain_texts.insert(step.transport.clone());
                }
                found.walk(&step.response, &command, hard);
                if step.transport == "summary" {
                    found.closes_in(&step.response);
                }
            }
        }
        found
    }

    fn walk(&mut self, value: &Value, command: &str, hard: bool) {
        match value {
            Value::Object(fields) => {
                self.take(fields, command, hard);
                fields
                    .values()
                    .for_each(|field| self.walk(field, command, hard));
            }
            Value::Array(list) => list.iter().for_each(|item| self.walk(item, command, hard)),
            _ => {}
        }
    }

    fn take(&mut self, fields: &Map<String, Value>, command: &str, hard: bool) {
        let text = |name: &str| fields.get(name).and_then(Value::as_str).map(str::to_owned);
        if let Some(code) = text("TransactionResult") {
            self.validated.insert(code);
        }
        if let Some(code) = text("engine_result") {
            // The gateway never asks for fail_hard, under which nothing is kept.
            let answer =
                (!hard && fields.contains_key("kept")).then(|| only(fields, &RESULT_FIELDS));
            let known = self.results.entry(code).or_insert(Value::Null);
            if let (Value::Null, Some(answer)) = (&known, answer) {
                *known = answer;
            }
        }
        // What the recorder itself could not read is a sentence, not a word.
        if let Some(error) = text("error").filter(|error| is_word(error)) {
            self.refused.insert((command.to_owned(), error.clone()));
            self.errors
                .entry(error)
                .or_insert_with(|| only(fields, &ERROR_FIELDS));
        }
    }

    /// The recorder's own note of how a conversation ended.
    fn closes_in(&mut self, note: &Value) {
        let notes = match note {
            Value::Array(list) => list.as_slice(),
            other => std::slice::from_ref(other),
        };
        for note in notes {
            for name in ["end", "ended"] {
                if let Some((_, close)) = note[name]
                    .as_str()
                    .and_then(|end| end.split_once("close frame "))
                {
                    self.closes.insert(close.to_owned());
                }
            }
        }
    }
}

fn only(fields: &Map<String, Value>, names: &[&str]) -> Value {
    let kept = fields
        .iter()
        .filter(|(name, _)| names.contains(&name.as_str()));
    Value::Object(
        kept.map(|(name, value)| (name.clone(), value.clone()))
            .collect(),
    )
}

fn is_word(text: &str) -> bool {
    !text.is_empty()
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphabetic() || byte == b'_')
}
