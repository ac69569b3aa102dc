//! Compares the simulated ledger with two real servers, answer by answer, and keeps the table of what differs.
//!
//! Owns: the reasons of the differences. May not: let a difference pass that has none, or that is not in the table.
#![allow(clippy::unwrap_used, reason = "a story ends where it goes wrong")]
#![allow(
    clippy::print_stdout,
    reason = "the numbers are for who runs the comparison"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

use paygate_tests::replay::{Difference, Outcome, Recording, Replayed, replay};
use paygate_tests::sim::COMMANDS;

#[path = "transcripts/reasons.rs"]
mod reasons;
use reasons::{NOT_REPLAYED, REASONS, Reason};

/// Differences in these fields would mislead a gateway about money.
const DECISIVE: [&str; 8] = [
    "engine_result",
    "error",
    "applied",
    "queued",
    "kept",
    "validated",
    "Sequence",
    "TransactionResult",
];
/// Steps that must be compared, in hundredths of those whose command is served.
const COMPARED_PERCENT_MIN: usize = 90;
/// Compared steps that may differ, in hundredths.
const DIFFERENT_PERCENT_MAX: usize = 2;
/// Paths that a row of the table names; the rest are counted.
const PATHS_SHOWN_MAX: usize = 4;

const HEAD: &str = "\
# The simulated ledger against real servers

Recorded conversations with two versions of a real server (`VERSION.jsonl.gz`, the servers' bytes unchanged) are held again with
the simulated one, from a new ledger on. What is not in the recordings is in `runs.json`, and it is of three kinds:

- what the recorder did without writing it down: accounts funded by the genesis account (of three of its payments only its
  Sequence tells; whom they paid is made up);
- how a network stood when a recording began: servers, ledgers, mode, clock;
- a schedule of what networks and threads decide by chance: when a ledger was closed, agreed on and counted as validated, by which
  server; when a server was lost, found others, fetched their ledger, changed its mode; what one server had sent and another not
  yet looked at. Which transactions are in a ledger follows: those that the servers had when they closed it.

The schedule was read from the recordings, so in those scenarios the mode, the index of the validated and of the open ledger and the
order of messages about modes are no proof of anything; what follows from them is. No other part of an answer is handed to the
simulator. What a server says in a mode, what it keeps, queues, relays, saves,
publishes and forgets are the simulator's own rules. Ledgers that a standalone server closed are counted from its answers.

Compared are, everywhere in an answer, the set of fields, their types, the lengths of lists and all values, except hashes (their
form is compared) and what is a server's own: times, versions, keys, counters of the machine (see `OWN_TO_EACH_SERVER`). A difference
is decisive if it is in `engine_result`, `error`, `applied`, `queued`, `kept`, `validated`, `Sequence` or `TransactionResult`.

This page is generated: `UPDATE_GENERATED=1 cargo test -p paygate-tests --test transcripts` writes it anew. A difference without a
reason in `tests/tests/transcripts/reasons.rs` fails the test in any case.
";

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("data/transcripts")
}

fn is_decisive(difference: &Difference) -> bool {
    let name = difference.path.rsplit('.').next().unwrap();
    DECISIVE.contains(&name)
}

/// Steps of a scenario, or of all.
#[derive(Default)]
struct Count {
    recorded: usize,
    served: usize,
    compared: usize,
    different: usize,
    decisive: usize,
}

impl Count {
    fn add(&mut self, replayed: &Replayed<'_>) {
        self.recorded += 1;
        let command = replayed.step.command();
        let known = command.is_none_or(|command| COMMANDS.contains(&command.as_str()));
        let compared = matches!(replayed.outcome, Outcome::Compared(_));
        self.served += usize::from(known || compared);
        if let Outcome::Compared(differences) = &replayed.outcome {
            self.compared += 1;
            self.different += usize::from(!differences.is_empty());
            self.decisive += usize::from(differences.iter().any(is_decisive));
        }
    }
}

fn counts(page: &mut String, version: &str, replayed: &[Replayed<'_>]) {
    let mut counts: BTreeMap<&str, Count> = BTreeMap::new();
    let mut all = Count::default();
    for replayed in replayed {
        if matches!(replayed.outcome, Outcome::Note) {
            continue;
        }
        counts
            .entry(&replayed.step.scenario)
            .or_default()
            .add(replayed);
        all.add(replayed);
    }
    writeln!(page, "\n## {version}: steps\n\n| scenario | recorded | served | compared | different | decisively | |\n|---|---|---|---|---|---|---|").unwrap();
    for (name, count) in counts.into_iter().chain([("all", all)]) {
        let Count {
            recorded,
            served,
            compared,
            different,
            decisive,
        } = count;
        let why = NOT_REPLAYED
            .iter()
            .find(|(scenario, _)| *scenario == name)
            .map_or("", |(_, why)| *why);
        assert!(
            compared > 0 || !why.is_empty(),
            "{name} is not replayed, and nothing says why"
        );
        writeln!(
            page,
            "| {name} | {recorded} | {served} | {compared} | {different} | {decisive} | {why} |"
        )
        .unwrap();
        if name == "all" {
            assert!(
                compared * 100 >= served * COMPARED_PERCENT_MIN,
                "{version}: only {compared} of {served} steps are compared"
            );
            assert!(
                different * 100 <= compared * DIFFERENT_PERCENT_MAX,
                "{version}: {different} of {compared} compared steps differ"
            );
            assert_eq!(
                decisive, 0,
                "{version}: steps differ in what matters for money; no reason excuses that"
            );
            println!(
                "{version}: {recorded} steps recorded, {served} served, {compared} compared, {different} different, {decisive} decisively"
            );
        }
    }
}

/// The first reason that fits, with its place in the list.
fn reason_of(replayed: &Replayed<'_>, difference: &Difference) -> Option<(usize, &'static Reason)> {
    REASONS.iter().enumerate().find(|(_, reason)| {
        replayed.step.scenario.starts_with(reason.scenario)
            && replayed.step.title.contains(reason.step)
            && (reason.path.is_empty()
                || difference.path.ends_with(reason.path)
                || difference.path.contains(&format!("{}.", reason.path)))
    })
}

/// One row for each step and reason; what has no reason goes to `unexplained`.
fn differences(
    page: &mut String,
    version: &str,
    replayed: &[Replayed<'_>],
    (unexplained, used): (&mut Vec<String>, &mut BTreeSet<usize>),
) {
    writeln!(
        page,
        "\n## {version}: differences\n\n| scenario | step | where | why |\n|---|---|---|---|"
    )
    .unwrap();
    for replayed in replayed {
        let Outcome::Compared(found) = &replayed.outcome else {
            continue;
        };
        let mut rows: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
        for difference in found {
            let Some((place, reason)) = reason_of(replayed, difference) else {
                unexplained.push(format!(
                    "{version}\t{}\t{}\t{}\t{}\t{:?}\t{}\t{}",
                    replayed.step.scenario,
                    replayed.position,
                    replayed.step.title,
                    difference.path,
                    difference.kind,
                    difference.real,
                    difference.simulated
                ));
                continue;
            };
            used.insert(place);
            let place = format!("{} {:?}", difference.path, difference.kind).to_lowercase();
            rows.entry(reason.why).or_default().insert(place);
        }
        for (why, places) in rows {
            let rest = places.len().saturating_sub(PATHS_SHOWN_MAX);
            let mut shown: Vec<String> = places.into_iter().take(PATHS_SHOWN_MAX).collect();
            if rest > 0 {
                shown.push(format!("and {rest} more"));
            }
            // Seeds of throw-away accounts, but nobody should get used to seeing seeds.
            let (title, _) = replayed
                .step
                .title
                .split_once("{\"secret\"")
                .unwrap_or((&replayed.step.title, ""));
            let title: String = title.replace('|', "/").chars().take(80).collect();
            writeln!(
                page,
                "| {} | {} {title} | {} | {why} |",
                replayed.step.scenario,
                replayed.position,
                shown.join("; ")
            )
            .unwrap();
        }
    }
}

#[test]
fn the_simulated_ledger_answers_as_the_recorded_servers_did() {
    let mut page = HEAD.to_owned();
    let (mut unexplained, mut used) = (Vec::new(), BTreeSet::new());
    for recording in Recording::read_all(&directory()) {
        let replayed = replay(&recording);
        counts(&mut page, &recording.version, &replayed);
        let kept = (&mut unexplained, &mut used);
        differences(&mut page, &recording.version, &replayed, kept);
    }
    if let Some(path) = std::env::var_os("UNEXPLAINED") {
        fs::write(path, unexplained.join("\n")).unwrap();
    }
    assert!(
        unexplained.is_empty(),
        "{} differences have no reason, the first ones:\n{}",
        unexplained.len(),
        unexplained[..unexplained.len().min(20)].join("\n")
    );
    for (place, reason) in REASONS.iter().enumerate() {
        assert!(
            used.contains(&place),
            "a reason excuses nothing any more: {:?} {:?} {:?}",
            reason.scenario,
            reason.step,
            reason.path
        );
    }
    let table = directory().join("differences.md");
    if std::env::var_os("UPDATE_GENERATED").is_some_and(|value| value == "1") {
        fs::write(&table, &page).unwrap();
    }
    let stored = fs::read_to_string(&table).unwrap_or_default();
    let new = page
        .lines()
        .find(|line| !stored.lines().any(|stored| stored == *line));
    assert!(
        stored == page,
        "tests/data/transcripts/differences.md is not what the comparison finds, for example\n  {}\nIf that is right: \
         UPDATE_GENERATED=1 cargo test -p paygate-tests --test transcripts, and commit the result",
        new.unwrap_or("a line that is no longer true")
    );
}
