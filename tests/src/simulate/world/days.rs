//! What happens on days that are about something: see `themes.rs`.
//!
//! Owns: when each such thing happens, and its end at peace. May not: judge it, nor touch a day without a theme.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use rusqlite::Connection;
use serde_json::{Value, json};

use super::{Day, Event, lock};
use crate::sim::{Fault, How, Lie, Millis, WireFault};
use crate::simulate::facts::{ChainLedger, Hash};
use crate::simulate::faults::People;
use crate::simulate::fuse::Moment;
use crate::simulate::gateway::Life;
use crate::simulate::seed::Draws;
use crate::simulate::themes::Theme;
use crate::simulate::time::now;
use crate::simulate::wires::Weather;

/// In the menu of faults.
const KEY_ELSEWHERE: u8 = 30;
const OLDER_STORE: u8 = 49;
const TWO_GATEWAYS: u8 = 50;

/// Acts follow each other so closely, where nothing else is said.
const PACE_MS: u64 = 500;

/// The first act comes within this time.
const FIRST_MS: (u64, u64) = (10_000, 50_000);

/// Longer than any of these lasts, a version lives: the network closes a ledger in about four seconds.
const WINDOW_MS: u64 = 48_000;

/// A dry wallet is filled up to this at the end: more than all callers of a day ask for.
const ENOUGH_DROPS: u64 = 4_000_000_000;

/// What a theme remembers.
pub(super) struct Acts {
    draws: Draws,
    people: People,
    /// How far it has come.
    step: u32,
    /// When the next step is due.
    due: Millis,
    /// A gateway beside the day's own.
    beside: Option<Life>,
    /// Since when the wallet is frozen.
    frozen: Option<Millis>,
    /// Transactions of somebody else with the wallet's key.
    foreign: BTreeSet<Hash>,
}

impl Acts {
    pub(super) fn new(seed: u64, people: People) -> Self {
        Self {
            draws: Draws::of(seed, "acts"),
            people,
            step: 0,
            due: Millis(0),
            beside: None,
            frozen: None,
            foreign: BTreeSet::new(),
        }
    }

    /// A ledger, with what is known of who made its transactions.
    pub(super) fn known(&self, mut ledger: ChainLedger) -> ChainLedger {
        for tx in &mut ledger.txs {
            tx.is_foreign = self.foreign.contains(&tx.hash);
        }
        ledger
    }

    fn next(&mut self, from_ms: u64, to_ms: u64) {
        self.step += 1;
        self.due = Millis(now().0 + self.draws.between(from_ms, to_ms));
    }
}

impl Day {
    /// The day's theme begins.
    pub(super) fn begin_acts(&mut self) {
        if self.theme == Theme::Plain {
            return;
        }
        self.acts.due = Millis(now().0 + self.acts.draws.between(FIRST_MS.0, FIRST_MS.1));
        self.at(PACE_MS, Event::Act);
    }

    /// It goes on.
    pub(super) async fn act(&mut self) {
        self.at(PACE_MS, Event::Act);
        self.leave_beside().await;
        if self.theme == Theme::Intruder || self.theme == Theme::PutBack {
            self.look_after_freeze();
        }
        if self.theme == Theme::Dry && self.is_peace {
            return self.fill_up();
        }
        if now().0 < self.acts.due.0 || self.is_peace {
            return;
        }
        match self.theme {
            Theme::Plain => {}
            Theme::TwoGateways => self.start_second(),
            Theme::Sleeper => self.sleep_and_wake(),
            Theme::PutBack => self.put_back().await,
            Theme::Intruder => self.intrude(),
            Theme::Dry => {
                self.fill(40_000_000);
                self.acts.next(20_000, 45_000);
            }
            Theme::Costly => self.ask_for_more(),
            Theme::Holes => self.lose_history(),
            Theme::Unheard => self.lose_blobs(),
        }
    }

    /// Nothing of it is left.
    pub(super) async fn end_acts(&mut self) {
        if let Some(life) = self.acts.beside.take() {
            life.kill().await;
        }
    }

    fn note_act(&self, kind: &'static str) {
        lock(&self.recorder).fault(kind);
    }

    // --- several gateways ---

    /// A gateway that stands beside another ends by itself, or a person ends it.
    async fn leave_beside(&mut self) {
        if let (true, Some(life)) = (self.is_peace, &self.life) {
            life.fuse.wake();
        }
        let is_over = |life: &Life| life.has_ended() || life.fuse.is_dead();
        if self.is_peace || self.acts.beside.as_ref().is_some_and(is_over) {
            self.end_acts().await;
        }
    }

    /// The store is let go of, and another gateway opens it. Its lock is a file: on some disks it holds nobody, and people delete it.
    fn take_over(&mut self) {
        self.acts.beside = self.life.take();
        self.desk.set(None);
        let mut name = self.setup.path.as_os_str().to_owned();
        name.push(".lock");
        let _ = fs::remove_file(PathBuf::from(name));
        self.start_gateway();
    }

    fn start_second(&mut self) {
        if self.life.is_none() || self.acts.beside.is_some() {
            return;
        }
        self.faults.happened(TWO_GATEWAYS);
        self.note_act("a second gateway opens the store");
        self.take_over();
        self.acts.next(10_000, 40_000);
    }

    fn sleep_and_wake(&mut self) {
        let life = self.life.as_ref();
        match self.acts.step {
            // It stops before the next signature that it wants, if it lives to want one.
            0 => match life {
                Some(life) if life.fuse.stands_still() => {
                    self.note_act("gateway stands still");
                    // A version may have died until another takes over, and until this one goes on.
                    self.acts.next(WINDOW_MS / 2, WINDOW_MS * 3 / 2);
                }
                Some(life) => life.fuse.stop_at(Moment::BeforeSign),
                None => {}
            },
            1 => {
                self.take_over();
                self.acts.next(WINDOW_MS, WINDOW_MS * 3);
            }
            2 => {
                if let Some(life) = &self.acts.beside {
                    life.fuse.wake();
                }
                self.acts.next(1_000, 20_000);
                self.acts.step = 0;
            }
            _ => {}
        }
    }

    // --- a store that is put back ---

    fn copy(&self) -> PathBuf {
        self.setup.path.with_extension("copy")
    }

    async fn put_back(&mut self) {
        match self.acts.step {
            0 if self.setup.path.exists() => {
                let copied = Connection::open(&self.setup.path).and_then(|store| {
                    store.execute("VACUUM INTO ?1", [self.copy().to_string_lossy()])
                });
                copied.expect("an open store can be copied into a folder in memory");
                self.acts.next(15_000, 70_000);
            }
            1 => {
                self.faults.happened(OLDER_STORE);
                self.note_act("an old copy of the store is put back");
                self.bury().await;
                for kind in ["db-wal", "db-shm"] {
                    let _ = fs::remove_file(self.setup.path.with_extension(kind));
                }
                let moved = fs::rename(self.copy(), &self.setup.path);
                moved.expect("a file in memory can be moved");
                self.setup.generation += 1;
                self.acts.next(0, 0);
            }
            _ => {}
        }
    }

    // --- somebody else with the key ---

    fn intrude(&mut self) {
        if self.acts.step >= 3 {
            return;
        }
        let friend = self.acts.people.friends[0].address();
        let fields = match self.acts.draws.below(5) {
            0 | 1 => {
                let drops = self.acts.draws.between(1, 50_000_000);
                json!({ "Destination": friend, "Amount": drops.to_string() })
            }
            2 | 3 => json!({ "TransactionType": "AccountSet" }),
            _ => json!({ "TransactionType": "TicketCreate", "TicketCount": 2 }),
        };
        let intruder = self.acts.people.intruder.clone();
        let hash = {
            let network = self.setup.wires.network();
            let server = network.honest();
            server.and_then(|server| intruder.submit(&network, server, fields))
        };
        if let Some(hash) = hash.and_then(|(hash, _)| hex::decode(hash).ok()) {
            self.faults.happened(KEY_ELSEWHERE);
            self.note_act("somebody else uses the wallet's key");
            self.acts.foreign.extend(Hash::try_from(hash.as_slice()));
        }
        self.acts.next(20_000, 70_000);
    }

    /// A person looks some time after the wallet froze.
    fn look_after_freeze(&mut self) {
        let Some(life) = &self.life else { return };
        if life.view.now().frozen.is_none() {
            self.acts.frozen = None;
            return;
        }
        let now = now();
        let since = *self.acts.frozen.get_or_insert(now);
        if now.0 > since.0 + 25_000 {
            self.acts.frozen = None;
            life.person_looks(&self.setup.facts);
        }
    }

    // --- money ---

    fn fill_up(&mut self) {
        let wallet = self.wallet.clone();
        let balances = self.setup.wires.network().balances(&wallet);
        let balance = balances.last().map_or(0, |(_, drops)| *drops);
        if self.acts.step < 1_000 || balance < ENOUGH_DROPS / 4 && now().0 >= self.acts.due.0 {
            self.fill(ENOUGH_DROPS);
            self.acts.next(15_000, 15_000);
            self.acts.step = self.acts.step.max(1_000);
        }
    }

    fn fill(&mut self, drops: u64) {
        let network = self.setup.wires.network();
        let server = network.honest();
        let fields: Value = json!({ "Destination": self.wallet, "Amount": drops.to_string() });
        let friend = &self.acts.people.friends[1];
        let paid = server.and_then(|server| friend.submit(&network, server, fields));
        drop(network);
        if paid.is_some() {
            self.note_act("the wallet is filled up");
        }
    }

    // --- servers ---

    fn trouble_all(&mut self, fault: &Fault) {
        let mut network = self.setup.wires.network();
        for number in 1..=self.servers {
            network.trouble(number, fault, now());
        }
    }

    fn heal_all(&mut self) {
        let mut network = self.setup.wires.network();
        for number in 1..=self.servers {
            network.heal(number, now());
        }
    }

    fn ask_for_more(&mut self) {
        if self.acts.step.is_multiple_of(2) {
            let times = self.acts.draws.between(150, 3_000);
            self.note_act("all servers ask for more than the cap");
            self.trouble_all(&Fault::LoadFactor { times });
            self.acts.next(15_000, 70_000);
        } else {
            self.heal_all();
            self.acts.next(5_000, 30_000);
        }
    }

    /// Nobody lets the gateway in for a few ledgers, and then two or all servers do not have them.
    fn lose_history(&mut self) {
        match self.acts.step % 3 {
            0 => {
                self.setup.wires.cut();
                self.setup.wires.weather(Weather {
                    refuses: true,
                    ..Weather::CALM
                });
                self.acts.next(9_000, 25_000);
            }
            1 => {
                self.note_act("servers have the same hole in their history");
                let ledgers = u32::try_from(self.acts.draws.between(1, 9)).unwrap_or(3);
                // Some servers refuse a range that they do not have, some tell that they have used a smaller one, and some do so only
                // from the second page on.
                let hole = match self.acts.draws.below(3) {
                    0 => Fault::Lie(Lie::ClampedPages(ledgers.div_ceil(3))),
                    1 => Fault::Lie(Lie::ShrinkingPages),
                    _ => Fault::MissingHistory {
                        from_back: 0,
                        ledgers,
                    },
                };
                let spared = self.acts.draws.below(4);
                let mut network = self.setup.wires.network();
                for number in 1..=self.servers {
                    if u64::try_from(number).ok() != Some(spared) {
                        network.trouble(number, &hole, now());
                    }
                }
                drop(network);
                self.setup.wires.weather(Weather::CALM);
                self.acts.next(8_000, 30_000);
            }
            _ => {
                self.heal_all();
                self.acts.next(5_000, 20_000);
            }
        }
    }

    /// For about as long as a version lives no blob arrives.
    fn lose_blobs(&mut self) {
        if self.acts.step.is_multiple_of(2) {
            self.note_act("servers lose every blob");
            self.trouble_all(&Fault::Wire(WireFault {
                command: Some("submit".to_owned()),
                skip: 0,
                times: u32::MAX,
                how: How::LoseRequest,
            }));
            self.acts.next(WINDOW_MS / 2, WINDOW_MS * 3 / 2);
        } else {
            self.heal_all();
            self.acts.next(8_000, 30_000);
        }
    }
}
