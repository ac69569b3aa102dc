//! The line of progress.
//!
//! Owns: how far it is, how fast, and how long it may take. May not: be drawn where nobody sees it move.

use std::io::{self, IsTerminal as _, Write as _};
use std::time::Duration;

use tokio::time::Instant;

use super::results::Results;

/// Width of the bar.
const BAR: usize = 24;

/// Without a terminal a line is printed so often.
const LINE_EVERY: Duration = Duration::from_secs(30);

pub(super) struct Progress {
    total: usize,
    began: Instant,
    /// Those that were done before the first look: an earlier run's, which say nothing about the rate.
    before: Option<usize>,
    is_terminal: bool,
    printed: Instant,
}

impl Progress {
    pub(super) fn new(total: usize) -> Self {
        Self {
            total,
            began: Instant::now(),
            before: None,
            is_terminal: io::stderr().is_terminal(),
            printed: Instant::now(),
        }
    }

    pub(super) fn draw(&mut self, results: &Results, live: usize, held_up: &str) {
        let counts = results.counts();
        let before = *self.before.get_or_insert(counts.done());
        let rate = Rate {
            done: counts.done(),
            since: counts.done() - before.min(counts.done()),
            total: self.total,
            elapsed: self.began.elapsed(),
        };
        let mut line = format!(
            "{} {}/{}  {} paid, {} unpaid, {} refused, {live} under way  {}",
            bar(rate.done, self.total),
            rate.done,
            self.total,
            counts.paid,
            counts.unpaid,
            counts.refused,
            rate.text()
        );
        if !held_up.is_empty() {
            line.push_str(&format!("  ({held_up})"));
        }
        let mut stderr = io::stderr().lock();
        if self.is_terminal {
            // Nobody reads what cannot be written.
            let _ = write!(stderr, "\r\x1b[K{line}");
            let _ = stderr.flush();
        } else if self.printed.elapsed() >= LINE_EVERY {
            self.printed = Instant::now();
            let _ = writeln!(stderr, "{line}");
        }
    }

    /// Takes the line away.
    pub(super) fn clear(&self) {
        if self.is_terminal {
            let _ = write!(io::stderr().lock(), "\r\x1b[K");
        }
    }
}

fn bar(done: usize, total: usize) -> String {
    let full = (done * BAR).checked_div(total).unwrap_or(BAR).min(BAR);
    format!("[{}{}]", "#".repeat(full), "-".repeat(BAR - full))
}

struct Rate {
    done: usize,
    /// Of these, done in this run.
    since: usize,
    total: usize,
    elapsed: Duration,
}

impl Rate {
    /// `3.4/s, 12m 05s left`; nothing as long as there is nothing to tell from.
    fn text(&self) -> String {
        let millis = self.elapsed.as_millis().max(1);
        let since = self.since as u128;
        if since == 0 {
            return String::new();
        }
        let tenths = since * 10_000 / millis;
        let left = (self.total - self.done.min(self.total)) as u128 * millis / since / 1000;
        format!(
            "{}.{}/s, {}m {:02}s left",
            tenths / 10,
            tenths % 10,
            left / 60,
            left % 60
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_earlier_run_did_is_no_rate_of_this_one() {
        let rate = |done, since| Rate {
            done,
            since,
            total: 100,
            elapsed: Duration::from_secs(10),
        };
        assert_eq!(rate(60, 0).text(), "");
        assert_eq!(rate(60, 20).text(), "2.0/s, 0m 20s left");
        assert_eq!(bar(50, 100).len(), BAR + 2);
        assert_eq!(bar(100, 100), format!("[{}]", "#".repeat(BAR)));
    }
}
