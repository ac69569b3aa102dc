//! What a run was: its trace as one number, its counts, what was violated; and one line for each fact, for a person.
//!
//! Owns: the order of facts on their way to the checker. May not: change one.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};
use std::sync::OnceLock;

use super::facts::{Fact, Hash, Standing};
use super::invariants::{Checker, Rules};

/// Violations of one run that are kept; one is enough to know.
const VIOLATIONS_MAX: usize = 20;

/// Hears of each violation when it is seen: the seed, and what it is.
pub type Listener = Box<dyn Fn(u64, &str) + Send + Sync>;

/// The process's own listener: a defect may make a run go round in circles for ever after its violation.
static LISTENER: OnceLock<Listener> = OnceLock::new();

/// From now on every violation of any run of this process is told at once. Only the first listener counts.
pub fn listen(listener: Listener) {
    let _ = LISTENER.set(listener);
}

/// Takes facts down.
pub struct Recorder {
    checker: Option<Checker>,
    standings: BTreeMap<String, Standing>,
    hash: Fnv,
    started: tokio::time::Instant,
    is_verbose: bool,
    outcome: Outcome,
}

/// What became of one seed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// The seed.
    pub seed: u64,
    /// What kind of day it was.
    pub plan: &'static str,
    /// Stands for everything that happened, in its order and with its times.
    pub trace: u64,
    /// Payments that were stored.
    pub payments: u64,
    /// How many ended in each state.
    pub ends: BTreeMap<String, u64>,
    /// Ledgers that were validated.
    pub ledgers: u64,
    /// Faults by their kinds.
    pub faults: BTreeMap<&'static str, u64>,
    /// Seconds that passed in there.
    pub seconds: u64,
    /// What did not hold.
    pub violations: Vec<String>,
    /// The run in words, if it was asked for.
    pub lines: Vec<String>,
}

impl Recorder {
    /// Nothing has happened yet.
    #[must_use]
    pub fn new(seed: u64, plan: &'static str, is_verbose: bool) -> Self {
        Self {
            checker: None,
            standings: BTreeMap::new(),
            hash: Fnv(0xcbf2_9ce4_8422_2325),
            started: tokio::time::Instant::now(),
            is_verbose,
            outcome: Outcome {
                seed,
                plan,
                ..Outcome::default()
            },
        }
    }

    /// What the checks have to know.
    pub fn rules(&mut self, rules: Rules) {
        self.checker = Some(Checker::new(rules));
    }

    /// Something happened.
    pub fn see(&mut self, fact: &Fact) {
        let at = self.started.elapsed().as_millis();
        match fact {
            Fact::Sent(sending) => {
                let _ = write!(self.hash, "{at} sent {:?}", sending.hash);
            }
            Fact::Signed(signed) => {
                let _ = write!(self.hash, "{at} signed {:?}", signed.hash);
            }
            fact => {
                let _ = write!(self.hash, "{at} {fact:?}");
            }
        }
        if self.is_verbose {
            let line = format!("{at:>8} {}", line(fact));
            self.outcome.lines.push(line);
        }
        if let Fact::Ledger(_) = fact {
            self.outcome.ledgers += 1;
        }
        if let Fact::Committed(commit) = fact {
            let rows = commit.payments.iter();
            self.standings
                .extend(rows.map(|row| (row.key.clone(), row.state)));
        }
        let Some(checker) = &mut self.checker else {
            return;
        };
        let before = checker.found().len();
        checker.see(fact);
        let new: Vec<String> = checker.found()[before..]
            .iter()
            .map(ToString::to_string)
            .collect();
        for violation in new {
            self.violation(violation);
        }
    }

    /// Something must not be.
    pub fn violation(&mut self, what: String) {
        let at = self.started.elapsed().as_millis();
        if self.is_verbose {
            self.outcome.lines.push(format!("{at:>8} VIOLATION {what}"));
        }
        if let Some(listener) = LISTENER.get() {
            listener(self.outcome.seed, &what);
        }
        if self.outcome.violations.len() < VIOLATIONS_MAX {
            self.outcome.violations.push(format!("at {at} ms: {what}"));
        }
    }

    /// A fault is injected.
    pub fn fault(&mut self, kind: &'static str) {
        let at = self.started.elapsed().as_millis();
        let _ = write!(self.hash, "{at} {kind}");
        *self.outcome.faults.entry(kind).or_default() += 1;
        self.note(kind);
    }

    /// A fault was met so often.
    pub fn met(&mut self, kind: &'static str, n: u64) {
        if n > 0 {
            *self.outcome.faults.entry(kind).or_default() += n;
        }
    }

    /// Something for a person to read.
    pub fn note(&mut self, what: &str) {
        if self.is_verbose {
            let at = self.started.elapsed().as_millis();
            self.outcome.lines.push(format!("{at:>8} {what}"));
        }
    }

    /// The run in words so far, if it was asked for.
    #[must_use]
    pub fn lines(&self) -> &[String] {
        &self.outcome.lines
    }

    /// Whether every payment has ended, and who watches was told of every end.
    #[must_use]
    pub fn is_all_final_and_told(&self) -> bool {
        let is_told = |key: &String| {
            self.checker
                .as_ref()
                .is_none_or(|checker| checker.is_told(key))
        };
        let mut standings = self.standings.iter();
        standings.all(|(key, state)| state.is_final() && is_told(key))
    }

    /// A payment was stored.
    pub fn stored(&mut self) {
        self.outcome.payments += 1;
    }

    /// The run is over.
    pub fn end(&mut self) -> Outcome {
        for end in self.standings.values() {
            *self.outcome.ends.entry(end.to_string()).or_default() += 1;
        }
        self.outcome.seconds = self.started.elapsed().as_secs();
        self.outcome.trace = self.hash.0;
        std::mem::take(&mut self.outcome)
    }
}

/// FNV-1a of everything that is written to it.
struct Fnv(u64);

impl fmt::Write for Fnv {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for byte in text.bytes() {
            self.0 = (self.0 ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
        Ok(())
    }
}

fn short(hash: &Hash) -> String {
    hex::encode_upper(&hash[..4])
}

fn line(fact: &Fact) -> String {
    match fact {
        Fact::Ledger(ledger) => {
            let txs = ledger.txs.iter().map(|tx| {
                let how = if tx.succeeded { "ok" } else { "tec" };
                format!(" {}:{}:{how}", tx.sequence, short(&tx.hash))
            });
            let txs: String = txs.collect();
            format!(
                "ledger {} validated, sequence {}, balance {}{txs}",
                ledger.index, ledger.sequence, ledger.balance
            )
        }
        Fact::Committed(commit) => {
            let mut text = format!(
                "committed, epoch {}, reconciled {:?}",
                commit.meta.epoch,
                commit.meta.reconciled.map(|r| r.0)
            );
            for row in &commit.payments {
                let _ = write!(text, "; {} {} slot {:?}", row.key, row.state, row.slot);
                if row.is_cancelled {
                    text.push_str(" cancelled");
                }
            }
            for version in &commit.versions {
                let kind = if version.is_payment { "pays" } else { "no-op" };
                let signed = version.signed.as_ref().map(|(hash, _)| short(hash));
                let _ = write!(
                    text,
                    "; version {}.{} {kind} fee {} last {} {signed:?}",
                    version.slot, version.number, version.fee, version.last_ledger
                );
            }
            for (slot, by) in &commit.resolved {
                let _ = write!(
                    text,
                    "; slot {slot} decided by {:?}",
                    by.as_ref().map(short)
                );
            }
            if commit.meta.is_frozen {
                text.push_str("; FROZEN");
            }
            if let Some(until) = commit.meta.quarantine_until {
                let _ = write!(text, "; quarantine until {until}");
            }
            text
        }
        Fact::Asked(ask) => format!(
            "signer asked: slot {} {:?} {} fee {} last {} epoch {}",
            ask.slot,
            ask.key,
            if ask.is_payment { "pays" } else { "no-op" },
            ask.fee,
            ask.last_ledger,
            ask.epoch
        ),
        Fact::Signed(signed) => format!(
            "signer signed: slot {} {}",
            signed.ask.slot,
            short(&signed.hash)
        ),
        Fact::Sent(sending) => format!("sent to {}: {}", sending.server, short(&sending.hash)),
        Fact::SignerBegan(held) => format!("signer began, {} in its journal", held.len()),
        other => format!("{other:?}"),
    }
}
