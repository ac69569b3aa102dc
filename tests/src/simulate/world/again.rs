//! The same day, seen once more by a gateway that hears of it otherwise.
//!
//! Owns: a copy of the store from the middle of the day, and, when the day is over, a gateway on that copy with wires of its own. It
//! finds in one piece, and in other bits, what the day's gateway found ledger by ledger. May not: have it sign or send anything, nor
//! judge; its verdicts go to the recorder, which holds them against the first ones.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use rusqlite::Connection;

use super::{Day, Event, lock};
use crate::simulate::facts::{Commit, Fact, Standing};
use crate::simulate::fuse::Fuse;
use crate::simulate::gateway::{Life, Setup};
use crate::simulate::rows::Rows;
use crate::simulate::seed::Draws;

/// So many seeds of a thousand are seen twice.
const AGAIN_PERMILLE: u64 = 150;

/// The copy is made within this time of the day.
const COPY_MS: (u64, u64) = (15_000, 120_000);

/// The second look takes at most so many ledgers: more than a quarantine lasts.
const LEDGERS_TO_LOOK: u32 = 60;

/// Messages of the second look take up to so long.
const SLOWEST_MS: u64 = 1_500;

impl Day {
    /// Some days are seen twice.
    pub(super) fn begin_again(&mut self) {
        let mut draws = Draws::of(self.seed, "again");
        // A store that is put back has forgotten what it had judged.
        if draws.permille(AGAIN_PERMILLE) && !self.theme.forgets() {
            self.at(draws.between(COPY_MS.0, COPY_MS.1), Event::Copy);
        }
    }

    fn again(&self) -> PathBuf {
        self.setup.path.with_extension("again")
    }

    pub(super) fn copy_for_again(&mut self) {
        if !self.setup.path.exists() {
            return self.at(1_000, Event::Copy);
        }
        let copied = Connection::open(&self.setup.path)
            .and_then(|store| store.execute("VACUUM INTO ?1", [self.again().to_string_lossy()]));
        copied.expect("an open store can be copied into a folder in memory");
    }

    /// Looks at the whole day again, if there is a copy to begin from.
    pub(super) async fn look_again(&mut self) {
        if !self.again().exists() {
            return;
        }
        let (then, now) = (all_rows(&self.again()), all_rows(&self.setup.path));
        let subjects = subjects(&then, &now);
        if subjects.is_empty() {
            return;
        }
        let wires = self
            .setup
            .wires
            .beside(Draws::of(self.seed, "wires again"), SLOWEST_MS);
        let setup = Setup {
            path: self.again(),
            wires,
            facts: Arc::new(|_| {}),
            may_sign: false,
            ..self.setup.clone()
        };
        let draws = Draws::of(self.seed, "life again");
        let life = match setup.start(Arc::new(Fuse::new(None)), draws) {
            Ok(life) => life,
            Err(err) => {
                let why = format!("a gateway does not start on the copy: {err}");
                return lock(&self.recorder).violation(why);
            }
        };
        let verdicts = self.verdicts(life, &subjects).await;
        for _ in verdicts.iter().filter(|(_, state)| state.is_final()) {
            lock(&self.recorder).fault("payments are judged again by another schedule");
        }
        (self.setup.facts)(Fact::Replayed(verdicts));
    }

    /// What this gateway says of these payments, once it has said all or had the time for it.
    async fn verdicts(
        &mut self,
        life: Life,
        subjects: &BTreeSet<String>,
    ) -> Vec<(String, Standing)> {
        let until = self.told + LEDGERS_TO_LOOK;
        let mut rows = Rows::open(&self.again()).expect("an open store can be read");
        let mut verdicts = BTreeMap::new();
        let mut is_open = true;
        while is_open && self.told < until {
            self.step().await;
            let commit = rows.look_at_all().expect("an open store can be read");
            let found = commit.payments.into_iter();
            let found = found.filter(|row| subjects.contains(&row.key));
            verdicts.extend(found.map(|row| (row.key, row.state)));
            is_open = life.has_ended() || verdicts.values().any(|state| !state.is_final());
        }
        life.kill().await;
        verdicts.into_iter().collect()
    }
}

fn all_rows(path: &std::path::Path) -> Commit {
    let rows = Rows::open(path).and_then(|mut rows| rows.look_at_all());
    rows.expect("a store that was opened can be read")
}

/// Payments that were on their way then, and of which both stores have the same versions: only those must end in the same way.
fn subjects(then: &Commit, now: &Commit) -> BTreeSet<String> {
    let versions = |commit: &Commit, slot: u32| -> BTreeSet<(u32, bool, u64, u32)> {
        let of_slot = commit.versions.iter().filter(|v| v.slot == slot);
        of_slot
            .map(|v| (v.number, v.is_payment, v.fee, v.last_ledger))
            .collect()
    };
    let live = then.payments.iter().filter(|row| !row.state.is_final());
    live.filter_map(|row| Some((row, row.slot?)))
        .filter(|(_, slot)| versions(then, *slot) == versions(now, *slot))
        .map(|(row, _)| row.key.clone())
        .collect()
}
