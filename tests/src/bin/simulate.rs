//! `simulate`: runs the seeded simulation over many seeds, or one of them in words.
//!
//! Owns: threads, counts and the exit code. May not: decide what is a violation.

#![expect(
    clippy::print_stdout,
    reason = "it talks to a person, and CI reads its last line"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::process::{Command, ExitCode};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use clap::Parser;
use paygate_tests::simulate::menu::{self, Entry};
use paygate_tests::simulate::report::{Outcome, listen};
use paygate_tests::simulate::{self, mutants, run};

/// Runs the real gateway and the real signer through simulated days of faults, one for each seed.
#[derive(Debug, Parser)]
#[command(
    version,
    after_help = "Exit codes: 0 nothing was violated, 1 something was, or of 1000 seeds and more none met a fault that can be met, 2 wrong \
                  command line."
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
    /// Builds itself with deliberate defects and tells for each what catches it, and after how many seeds.
    #[arg(long)]
    mutants: bool,
    /// Only with this defect, or its name's beginning.
    #[arg(long, value_name = "NAME")]
    mutant: Option<String>,
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

/// A defect that makes a run go round in circles is given so long.
const MUTANT_SECONDS_MAX: u64 = 300;

fn main() -> ExitCode {
    if let Some(compiled) = mutants::as_compiler() {
        return ended(compiled.unwrap_or(false));
    }
    let arguments = Arguments::parse();
    if arguments.mutants {
        return try_mutants(&arguments);
    }
    if let Some(name) = &arguments.mutant {
        return try_mutant(name, arguments.seeds);
    }
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

fn ended(well: bool) -> ExitCode {
    match well {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    }
}

/// Each defect in a process of its own: one may make a run go round in circles.
fn try_mutants(arguments: &Arguments) -> ExitCode {
    let program = match mutants::build() {
        Ok(program) => program,
        Err(err) => {
            println!("{err}");
            return ExitCode::FAILURE;
        }
    };
    let wanted = arguments.mutant.as_deref().unwrap_or("");
    let seeds = format!("{}..{}", arguments.seeds.start, arguments.seeds.end);
    let (began, mut survived, mut lines) = (Instant::now(), 0, Vec::new());
    for mutant in mutants::ALL.iter().filter(|m| m.name.starts_with(wanted)) {
        let mut tried = Command::new(&program);
        tried.args(["--mutant", mutant.name, "--seeds", &seeds]);
        let line = match tried.output() {
            Ok(tried) => {
                survived += u32::from(!tried.status.success());
                String::from_utf8_lossy(&tried.stdout).trim().to_owned()
            }
            Err(err) => {
                survived += 1;
                format!("{} was not tried: {err}", mutant.name)
            }
        };
        println!("{line}");
        lines.push(line);
    }
    println!("took {} s, survived: {survived}", began.elapsed().as_secs());
    if wanted.is_empty() && std::env::var_os("UPDATE_GENERATED").is_some() {
        match mutants::write_table(&lines) {
            Ok(()) => println!("the table is written"),
            Err(err) => println!("the table is not written: {err}"),
        }
    }
    ended(survived == 0)
}

/// Words that wait to be heard; who has more to say waits.
const WORDS_MAX: usize = 256;

/// What a run with a defect has to say.
enum Word {
    Violated(u64, String),
    Ended(u64),
}

/// Runs seeds, one after the other on each core, until one shows the defect. It counts when it is seen, not when its run ends, which
/// a defect may keep from ever coming.
fn try_mutant(name: &str, seeds: Range<u64>) -> ExitCode {
    let Some(mutant) = mutants::ALL.iter().find(|mutant| mutant.name == name) else {
        println!("{name} is no defect");
        return ExitCode::FAILURE;
    };
    if !mutants::choose(mutant) {
        println!("this program holds no defects: use --mutants");
        return ExitCode::FAILURE;
    }
    let (says, words) = mpsc::sync_channel(WORDS_MAX);
    let of_runs = says.clone();
    listen(Box::new(move |seed, what| {
        let _ = of_runs.send(Word::Violated(seed, what.to_owned()));
    }));
    let next = Arc::new(AtomicU64::new(seeds.start));
    for _ in 0..thread::available_parallelism().map_or(1, usize::from) {
        let (next, says, end) = (Arc::clone(&next), says.clone(), seeds.end);
        thread::spawn(move || {
            loop {
                let seed = next.fetch_add(1, Ordering::Relaxed);
                if seed >= end {
                    return;
                }
                let _ = run(seed, false);
                let _ = says.send(Word::Ended(seed));
            }
        });
    }
    let verdict = verdict(&words, &seeds);
    simulate::sweep();
    let well = verdict.is_ok();
    match verdict {
        Ok((seed, by)) => {
            let after = seed - seeds.start + 1;
            println!("{name} caught by {by} after {after} seeds (seed {seed})");
        }
        Err(why) => println!("{name} survived: {why}"),
    }
    // Runs that go on are of no use any more.
    std::process::exit(i32::from(!well))
}

/// The lowest seed that shows the defect, and what it violates first. Of seeds that run at the same time the lower one is waited for.
fn verdict(words: &mpsc::Receiver<Word>, seeds: &Range<u64>) -> Result<(u64, String), String> {
    let began = Instant::now();
    let mut violated: BTreeMap<u64, String> = BTreeMap::new();
    let mut ended: BTreeSet<u64> = BTreeSet::new();
    let settled = |violated: &BTreeMap<u64, String>, ended: &BTreeSet<u64>| {
        let (seed, what) = violated.first_key_value()?;
        // Violations that only a run's own bookkeeping sees are named if nothing better comes.
        let is_named = what.contains("invariant ") || ended.contains(seed);
        let is_lowest = (seeds.start..*seed).all(|lower| ended.contains(&lower));
        (is_named && is_lowest).then(|| (*seed, mutants::caught_by(what)))
    };
    loop {
        if let Some(found) = settled(&violated, &ended) {
            return Ok(found);
        }
        if seeds.clone().all(|seed| ended.contains(&seed)) {
            return Err(format!("{} seeds", ended.len()));
        }
        let left = Duration::from_secs(MUTANT_SECONDS_MAX).saturating_sub(began.elapsed());
        match words.recv_timeout(left) {
            Ok(Word::Violated(seed, what)) => {
                let known = violated.entry(seed).or_insert_with(|| what.clone());
                if !known.contains("invariant ") && what.contains("invariant ") {
                    *known = what;
                }
            }
            Ok(Word::Ended(seed)) => {
                ended.insert(seed);
            }
            Err(_) => {
                let found = violated.pop_first();
                let found = found.map(|(seed, what)| (seed, mutants::caught_by(&what)));
                return found.ok_or(format!("no verdict within {MUTANT_SECONDS_MAX} s"));
            }
        }
    }
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
    let missed = tell_faults(sums);
    // A fault that never comes about shows nothing; in few seeds a rare one may be missing.
    let is_complete = missed.is_empty() || sums.seeds < menu::SEEDS_TO_MEET_ALL;
    let per_10s = u128::from(sums.seeds) * 10_000 / took;
    println!(
        "took {} ms, seeds per second: {}.{}",
        took,
        per_10s / 10,
        per_10s % 10
    );
    if !is_complete {
        println!("never met: {}", missed.join(", "));
    }
    let seeds: Vec<String> = sums.violated.keys().map(ToString::to_string).collect();
    match seeds.is_empty() {
        true => {
            println!("violations: 0");
            ended(is_complete)
        }
        false => {
            println!("violations: in {} seeds: {}", seeds.len(), seeds.join(" "));
            ExitCode::FAILURE
        }
    }
}

/// All faults by their kinds: the menu in its order, then what the run did in detail. Gives those of the menu that were not met.
fn tell_faults(sums: &Sums) -> Vec<&'static str> {
    let of_menu = |(kind, _): &(&&str, &u64)| menu::holds(kind);
    let met = sums.faults.iter().filter(of_menu);
    println!("faults: {}", met.map(|(_, n)| n).sum::<u64>());
    let mut missed = Vec::new();
    for entry in menu::entries(&sums.faults) {
        match entry {
            Entry::Met(name, n) => println!("  {n:>8} {name}"),
            Entry::Absent(name, why) => println!("         - {name}: {why}"),
            Entry::Missed(name) => {
                println!("         0 {name}");
                missed.push(name);
            }
        }
    }
    println!("of these, or on their way to them:");
    for (kind, n) in sums.faults.iter().filter(|entry| !of_menu(entry)) {
        println!("  {n:>8} {kind}");
    }
    missed
}

fn list<K: std::fmt::Display>(counts: &BTreeMap<K, u64>) -> String {
    let all: Vec<String> = counts
        .iter()
        .map(|(name, n)| format!("{name} {n}"))
        .collect();
    all.join(", ")
}
