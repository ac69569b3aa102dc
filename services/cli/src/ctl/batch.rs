//! Paying what a file lists.
//!
//! Owns: that a file is checked as a whole before anything is sent, that each row is followed to its end, and that the same
//! command with the same file goes on where it was cut off. May not: choose an id, or take a row for unpaid because a call failed.

mod progress;
mod results;
mod rows;

use std::collections::{HashMap, HashSet, VecDeque};
use std::io::{self, IsTerminal as _};
use std::path::PathBuf;
use std::time::Duration;

use paygate_client::proto::{Payment, WatchPaymentsRequest};
use paygate_client::{CallError, Client, Refusal, Watch, xrp_from_drops};
use tokio::signal::ctrl_c;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until};

use self::progress::Progress;
use self::results::{Ended, Results};
use self::rows::{FileError, Row, Totals};
use super::args::BatchPay;
use super::exit::Exit;
use super::failure::{self, Asked};
use super::out::{clean, note};
use super::run::Context;

/// Calls at once. Many share one commit of the gateway.
const CALLS_MAX: usize = 16;

/// Bad rows that are printed; all are counted.
const BAD_SHOWN_MAX: usize = 50;

/// What to do after a batch was cut off.
const AGAIN: &str =
    "Run the same command with the same file again: what is stored is not paid again.";

/// How often the line of progress is drawn.
const DRAWN_EVERY: Duration = Duration::from_millis(500);

/// Where the gateway does not say when to come back.
const PAUSE: Duration = Duration::from_secs(1);

/// Pays a file.
pub(crate) async fn pay(context: &Context, asked: BatchPay) -> Exit {
    let rows = match rows::read(&asked.file) {
        Ok(rows) => rows,
        Err(error) => return bad(&error),
    };
    let totals = Totals::of(&rows).text();
    note(format_args!("{totals}"));
    if asked.dry_run {
        return dry_run(context, rows).await;
    }
    if !asked.yes {
        match consent(rows.len()) {
            Consent::Given => {}
            Consent::Withheld => {
                note("Nothing was sent.");
                return Exit::Usage;
            }
            Consent::NobodyToAsk => {
                note(
                    "paygatectl: nobody can be asked here; look at --dry-run, then repeat with --yes. Nothing was sent.",
                );
                return Exit::Usage;
            }
        }
    }
    let path = asked.results.clone().unwrap_or_else(|| {
        let mut name = asked.file.clone().into_os_string();
        name.push(".results.csv");
        PathBuf::from(name)
    });
    let results = match Results::begin(path, &rows) {
        Ok(results) => results,
        Err(error) => {
            note(format_args!("paygatectl: {error}; nothing was sent"));
            return Exit::Usage;
        }
    };
    let run = Run {
        context,
        in_flight: usize::from(asked.in_flight),
        lines: rows
            .iter()
            .map(|row| (row.request.payment_id.clone(), row.line))
            .collect(),
        waiting: rows.into(),
        live: HashSet::new(),
        calls: JoinSet::new(),
        not_before: Instant::now(),
        progress: Progress::new(results.len()),
        results,
        held_up: String::new(),
    };
    run.follow_to_the_end().await
}

fn bad(error: &FileError) -> Exit {
    note(format_args!("paygatectl: {}", clean(&error.to_string())));
    if let FileError::Rows(bad) = error {
        for bad in bad.iter().take(BAD_SHOWN_MAX) {
            note(format_args!("  line {}: {}", bad.line, clean(&bad.what)));
        }
        if bad.len() > BAD_SHOWN_MAX {
            note(format_args!("  and {} more", bad.len() - BAD_SHOWN_MAX));
        }
    }
    Exit::Usage
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Consent {
    Given,
    Withheld,
    NobodyToAsk,
}

/// The number is not typed by habit.
fn consent(payments: usize) -> Consent {
    if !io::stdin().is_terminal() {
        return Consent::NobodyToAsk;
    }
    note(format_args!(
        "Pay them? What is paid cannot be taken back. Type the number of payments:"
    ));
    let mut line = String::new();
    let typed = io::stdin().read_line(&mut line).is_ok() && line.trim() == payments.to_string();
    if typed {
        Consent::Given
    } else {
        Consent::Withheld
    }
}

// === dry run ===

/// Asks the gateway of each row whether it would take it now, by itself.
async fn dry_run(context: &Context, rows: Vec<Row>) -> Exit {
    let total = rows.len();
    let mut waiting: VecDeque<Row> = rows.into();
    let mut calls = JoinSet::new();
    let mut refused = 0_usize;
    loop {
        while calls.len() < CALLS_MAX
            && let Some(mut row) = waiting.pop_front()
        {
            row.request.validate_only = true;
            let client = context.client.clone();
            calls.spawn(async move {
                let answer = settled(&client, &row).await;
                (row, answer)
            });
        }
        let Some(joined) = calls.join_next().await else {
            break;
        };
        match joined {
            Ok((_, Ok(_))) => {}
            Ok((row, Err(CallError::Refused(refusal)))) => {
                refused += 1;
                note(format_args!(
                    "  line {}: {}",
                    row.line,
                    clean(&refusal.message)
                ));
            }
            Ok((_, Err(error))) => return context.failed(&error, Asked::Read),
            Err(error) => {
                note(format_args!("paygatectl: {error}"));
                return Exit::Undecided;
            }
        }
    }
    headroom(context).await;
    note(format_args!(
        "{} of {total} would be taken, each by itself; nothing was stored",
        total - refused
    ));
    if refused == 0 {
        Exit::Done
    } else {
        Exit::Refused
    }
}

/// What the wallet could pay at most: each row by itself says nothing about all of them.
async fn headroom(context: &Context) {
    if let Ok(wallet) = context.client.wallet().await {
        note(format_args!(
            "the wallet can pay {} XRP now; the day's limits are shown by `paygatectl wallet`",
            xrp_from_drops(wallet.spendable_drops)
        ));
    }
}

/// An answer that settles it, however long it is put off by rates of a dry run.
async fn settled(client: &Client, row: &Row) -> Result<(), CallError> {
    loop {
        match client.create_payment(row.request.clone()).await {
            Ok(_) => return Ok(()),
            Err(CallError::Refused(refusal)) if is_for_now(&refusal) => {
                sleep(refusal.retry_after.unwrap_or(PAUSE)).await;
            }
            Err(error) => return Err(error),
        }
    }
}

/// The gateway refuses now and would not later: rates, and payments that wait.
fn is_for_now(refusal: &Refusal) -> bool {
    refusal.code == tonic::Code::ResourceExhausted && refusal.retry_after.is_some()
}

// === paying ===

/// A batch on its way.
struct Run<'c> {
    context: &'c Context,
    in_flight: usize,
    waiting: VecDeque<Row>,
    /// All rows, by payment_id.
    lines: HashMap<String, u64>,
    /// Lines of those that are stored and not decided.
    live: HashSet<u64>,
    calls: JoinSet<Called>,
    /// The gateway has asked for a pause.
    not_before: Instant,
    progress: Progress,
    results: Results,
    /// Why nothing moves, if something is known.
    held_up: String,
}

type Called = (Row, Result<Payment, CallError>);

impl Run<'_> {
    async fn follow_to_the_end(mut self) -> Exit {
        let mut watch = self
            .context
            .client
            .watch_payments(WatchPaymentsRequest::default());
        // Before the first payment, so that no change of one is missed.
        if let Err(error) = watch.opened().await {
            return self.context.failed(&error, Asked::Watch);
        }
        let cut = tokio::select! {
            worked = self.work(&mut watch) => worked.err(),
            _ = ctrl_c() => Some(Cut::ByHand),
        };
        self.progress.clear();
        if let Err(error) = self.results.write() {
            note(format_args!("paygatectl: {error}"));
            return Exit::Undecided;
        }
        let exit = match cut {
            None => self.results.counts().exit(),
            Some(cut) => {
                note(cut);
                note(AGAIN);
                Exit::Undecided
            }
        };
        self.context
            .show(exit, || self.results.text(), || self.results.json())
    }

    async fn work(&mut self, watch: &mut Watch) -> Result<(), Cut> {
        let mut draw = tokio::time::interval(DRAWN_EVERY);
        while !self.waiting.is_empty() || !self.calls.is_empty() || !self.live.is_empty() {
            self.call();
            let may_call = !self.waiting.is_empty() && self.has_room();
            tokio::select! {
                Some(called) = self.calls.join_next() => {
                    let (row, answer) = called.map_err(|error| Cut::Failed(error.to_string()))?;
                    self.answered(row, answer);
                }
                change = watch.next() => self.changed(change)?,
                () = sleep_until(self.not_before), if may_call && Instant::now() < self.not_before => {}
                _ = draw.tick() => {
                    self.progress.draw(&self.results, self.live.len(), &self.held_up);
                    // Kept up to date on the way, for whoever looks, or if this process is killed.
                    self.results.write_now_and_then().map_err(|error| Cut::Failed(error.to_string()))?;
                }
            }
        }
        Ok(())
    }

    fn has_room(&self) -> bool {
        self.calls.len() < CALLS_MAX && self.calls.len() + self.live.len() < self.in_flight
    }

    fn call(&mut self) {
        while self.has_room() && Instant::now() >= self.not_before {
            let Some(row) = self.waiting.pop_front() else {
                return;
            };
            let client = self.context.client.clone();
            self.calls.spawn(async move {
                let created = client.create_payment(row.request.clone()).await;
                let payment = created.map(|created| created.payment.unwrap_or_default());
                (row, payment)
            });
        }
    }

    fn answered(&mut self, row: Row, answer: Result<Payment, CallError>) {
        match answer {
            Ok(payment) => {
                self.held_up.clear();
                self.seen(&payment);
            }
            Err(CallError::Refused(refusal)) if is_for_now(&refusal) => {
                self.put_off(row, &refusal);
            }
            Err(CallError::Refused(refusal)) => {
                self.results.ended(row.line, Ended::Refused(*refusal));
            }
            // Nobody knows, so it is asked for again, by the same id, until somebody does.
            Err(CallError::Unanswered(unanswered)) => self.put_off(row, &unanswered.last),
        }
    }

    fn put_off(&mut self, row: Row, why: &Refusal) {
        self.held_up = clean(&why.message);
        let until = Instant::now() + why.retry_after.unwrap_or(PAUSE);
        self.not_before = self.not_before.max(until);
        // In the file's order, as far as possible.
        self.waiting.push_front(row);
    }

    fn changed(&mut self, change: Result<paygate_client::Change, CallError>) -> Result<(), Cut> {
        match change {
            Ok(change) => {
                self.seen(&change.payment);
                Ok(())
            }
            // The stream goes on from its cursor, so nothing is missed.
            Err(CallError::Unanswered(unanswered)) => {
                self.held_up = clean(&unanswered.last.message);
                Ok(())
            }
            Err(error @ CallError::Refused(_)) => Err(Cut::Failed(failure::text(
                &error,
                Asked::Watch,
                &self.context.trace_id,
            ))),
        }
    }

    /// An answer or a change, whichever comes first.
    fn seen(&mut self, payment: &Payment) {
        let Some(line) = self.lines.get(&payment.payment_id) else {
            return;
        };
        if self.results.stored(*line, payment) {
            self.live.insert(*line);
        } else {
            self.live.remove(line);
        }
    }
}

/// Why a batch ends before its end.
#[derive(Debug, thiserror::Error)]
enum Cut {
    #[error("stopped")]
    ByHand,
    #[error("paygatectl: {0}")]
    Failed(String),
}
