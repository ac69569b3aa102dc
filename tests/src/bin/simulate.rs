//! `simulate`: runs the seeded simulation over many seeds, or one of them in words.
//!
//! Owns: threads, counts and the exit code. May not: decide what is a violation.

#![expect(
    clippy::print_stdout,
    reason = "it talks to a person, and CI reads its last line"
)]

use std::collections::BTreeMap;
use std::ops::Range;
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Instant;

use clap::Parser;
use paygate_tests::simulate::report::Outcome;
use paygate_tests::simulate::run;

/// Runs the real gateway and the real signer through simulated days of faults, one for each seed.
#[derive(Debug, Parser)]
#[command(
    version,
    after_help = "Exit codes: 0 nothing was violated, 1 something was, 2 wrong command line."
)]
struct Arguments {
    /// Seeds to run, as `A..B`.
    #[arg(long, value_parser = seeds, default_value = "0..100")]
    seeds: Range<u64>,
    /// Only this one.
    #[arg(long)]
    seed: Option<u64>,
    /// Every fact of it in words.
    #[arg(long)]
    verbose: bool,
}

fn seeds(text: &str) -> Result<Range<u64>, String> {
    let parsed = text.split_once("..").and_then(|(from, to)| {
        let range = from.parse().ok()?..to.parse().ok()?;
        (range.start < range.end).then_some(range)
    });
    parsed.ok_or_else(|| "is not like 0..100".to_owned())
}

/// Sums over all seeds.
#[derive(Debug, Default)]
struct Sums {
    seeds: u64,
    payments: u64,
    ledgers: u64,
    seconds: u64,
    ends: BTreeMap<String, u64>,
    plans: BTreeMap<&'static str, u64>,
    faults: BTreeMap<&'static str, u64>,
    violated: BTreeMap<u64, Vec<String>>,
}

impl Sums {
    fn add(&mut self, outcome: Outcome) {
        self.seeds += 1;
        self.payments += outcome.payments;
        self.ledgers += outcome.ledgers;
        self.seconds += outcome.seconds;
        *self.plans.entry(outcome.plan).or_default() += 1;
        for (kind, n) in outcome.faults {
            *self.faults.entry(kind).or_default() += n;
        }
        for (state, n) in outcome.ends {
            *self.ends.entry(state).or_default() += n;
        }
        if !outcome.violations.is_empty() {
            self.violated.insert(outcome.seed, outcome.violations);
        }
    }
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let seeds = arguments
        .seed
        .map_or(arguments.seeds, |seed| seed..seed + 1);
    let began = Instant::now();
    let next = AtomicU64::new(seeds.start);
    let sums = Mutex::new(Sums::default());
    let cores = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        for _ in 0..cores {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= seeds.end {
                        return;
                    }
                    let outcome = run(seed, arguments.verbose);
                    outcome.lines.iter().for_each(|line| println!("{line}"));
                    if arguments.seed.is_some() {
                        println!("trace: {:016x}", outcome.trace);
                    }
                    for violation in outcome.violations.iter().take(2) {
                        println!("seed {seed} ({}): {violation}", outcome.plan);
                    }
                    sums.lock()
                        .unwrap_or_else(PoisonError::into_inner)
                        .add(outcome);
                }
            });
        }
    });
    let sums = sums.into_inner().unwrap_or_else(PoisonError::into_inner);
    tell(&sums, began)
}

fn tell(sums: &Sums, began: Instant) -> ExitCode {
    let took = began.elapsed().as_millis().max(1);
    println!("seeds: {}", sums.seeds);
    println!("plans: {}", list(&sums.plans));
    println!("payments: {} ({})", sums.payments, list(&sums.ends));
    println!(
        "ledgers: {}, simulated hours: {}",
        sums.ledgers,
        sums.seconds / 3600
    );
    println!("faults: {}", sums.faults.values().sum::<u64>());
    for (kind, n) in &sums.faults {
        println!("  {n:>8} {kind}");
    }
    let per_10s = u128::from(sums.seeds) * 10_000 / took;
    println!(
        "took {} ms, seeds per second: {}.{}",
        took,
        per_10s / 10,
        per_10s % 10
    );
    let seeds: Vec<String> = sums.violated.keys().map(ToString::to_string).collect();
    match seeds.is_empty() {
        true => {
            println!("violations: 0");
            ExitCode::SUCCESS
        }
        false => {
            println!("violations: in {} seeds: {}", seeds.len(), seeds.join(" "));
            ExitCode::FAILURE
        }
    }
}

fn list<K: std::fmt::Display>(counts: &BTreeMap<K, u64>) -> String {
    let all: Vec<String> = counts
        .iter()
        .map(|(name, n)| format!("{name} {n}"))
        .collect();
    all.join(", ")
}
