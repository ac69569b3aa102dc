//! One run: a simulated day of servers, callers, a gateway and a signer, and what goes wrong in it.
//!
//! Owns: the queue of what happens when, and the end: faults stop, everything gets the time that it needs, and then everything
//! must have ended. May not: judge; facts go to the recorder.

mod again;
mod days;
#[cfg(test)]
mod hour;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use paygate::{chance, clock};
use paygate_payments::intent::Wallet as PayWallet;
use paygate_payments::limits::Limits;
use paygate_payments::terms::TermsPolicy;
use paygate_signer::policy::{Policy, TransactionType};
use serde_json::Value;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::Instant;
use xrpl_tx::{AccountId, Drops};

use super::clients::{Clerk, Counter, Desk, Order, call};
use super::facts::{ChainLedger, ChainTx, Content, Fact, Sink};
use super::faults::{Bearing, Faults, People};
use super::fuse::{Fuse, MOMENTS};
use super::gateway::{End, Life, Setup};
use super::invariants::Rules;
use super::outsider::Outsider;
use super::plan::{Plan, Trouble};
use super::report::{Outcome, Recorder};
use super::seed::Draws;
use super::themes::Theme;
use super::time::{self, NOON_MS, now};
use super::vault::{SimSigner, Slip};
use super::watcher::watch;
use super::wires::{Weather, Wires};
use crate::sim::{
    Beginning, FAULT_NAMES, Fees, Millis, Network, Options, SeenLedger, SeenTx, ServerMode,
};
use crate::world::wallet::{SeedType, Wallet};

/// The network.
const NETWORK_ID: u32 = 21_337;
const FIRST_LEDGER: u32 = 1000;
const BASE_RESERVE: u64 = 1_000_000;

const FEES: Fees = Fees {
    base_drops: 10,
    reserve_base_drops: BASE_RESERVE,
    reserve_inc_drops: 200_000,
};

/// So many operators must say the same, if there are so many.
const AGREEMENT: usize = 2;

/// What the wallet holds, in drops.
const WALLET_DROPS: u64 = 5_000_000_000;

/// A version lives so many ledgers, and costs at most so many drops.
const WINDOW: u32 = 12;
const FEE_CAP: u64 = 2_000;

/// Faults that the run itself brings about, by their numbers in the menu.
const CRASH: u8 = 48;
const CLOCK_JUMPS: u8 = 51;
const DISK_FAILS: u8 = 52;

/// A clock is at most so wrong: two days.
const CLOCK_WRONG_MS: u64 = 2 * 24 * 3_600_000;

/// Destinations that exist.
const DESTINATIONS: u8 = 6;

/// After the last fault, so many ledgers are enough for everything to end. Who was found to lie is not believed for ten minutes; where
/// two of three lied one after the other, nothing can be decided until one of them is heard again.
const LEDGERS_TO_END: u32 = 250;

/// A thing that happens at a time.
#[derive(Clone, Copy, Debug)]
enum Event {
    /// Servers tell each other what they were given.
    Relay,
    /// They close their ledger and begin to agree.
    Propose,
    /// They have agreed.
    Accept,
    /// A server learns that everything up to a ledger is validated.
    Validate(usize, u32),
    /// Something goes wrong.
    Trouble,
    /// Servers and people are looked after: what goes wrong with them begins and ends.
    Faults,
    /// The gateway's process is started.
    StartGateway,
    /// The signer's process is started.
    StartSigner,
    /// Something goes wrong with the machine that gateway and signer run on.
    MachineTrouble,
    /// The clock is set right.
    RightClock,
    /// Wires are as they should be.
    CalmWires,
    /// What the day is about goes on.
    Act,
    /// The store is copied, to see the day again from there.
    Copy,
    /// Faults are over.
    Peace,
}

struct Day {
    plan: Plan,
    setup: Setup,
    recorder: Arc<Mutex<Recorder>>,
    desk: Desk,
    draws: Draws,
    /// For what goes wrong with the machine.
    machine: Draws,
    queue: BTreeMap<(u64, u64), Event>,
    queued: u64,
    began: Instant,
    faults: Faults,
    theme: Theme,
    acts: days::Acts,
    life: Option<Life>,
    lives: u64,
    seed: u64,
    servers: usize,
    wallet: String,
    /// The last ledger of which the recorder was told.
    told: u32,
    /// Nothing goes wrong any more.
    is_peace: bool,
    /// The last ledger when peace came.
    peace_at: u32,
}

/// Runs one seed in this thread, with its files in this empty folder.
#[must_use]
pub fn run_in(seed: u64, servers: usize, is_verbose: bool, folder: &Path) -> Outcome {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime without sockets needs nothing of the system");
    let outcome = runtime.block_on(async {
        time::begin();
        let mut chances = Draws::of(seed, "chance");
        chance::set_source(Some(Box::new(move |bytes| chances.fill(bytes))));
        Day::new(seed, servers, is_verbose, folder.join("paygate.db"))
            .run()
            .await
    });
    drop(runtime);
    time::end();
    chance::set_source(None);
    outcome
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn account(byte: u8) -> AccountId {
    AccountId::from_bytes([byte; 20])
}

/// Owns a destination, and acts on the ledger.
fn friend(byte: u8) -> Outsider {
    let wallet = Wallet::from_entropy(SeedType::Ed25519, [byte; 16]);
    Outsider::new(wallet, NETWORK_ID)
}

impl Day {
    fn new(seed: u64, servers: usize, is_verbose: bool, path: PathBuf) -> Self {
        let mut draws = Draws::of(seed, "plan");
        let mut machine = Draws::of(seed, "machine");
        let theme = Theme::draw(seed);
        let plan = theme.shape(Plan::draw(&mut draws).with(&mut machine));
        let recorder = Arc::new(Mutex::new(Recorder::new(seed, plan.name, is_verbose)));
        let sink: Sink = {
            let recorder = Arc::clone(&recorder);
            Arc::new(move |fact| lock(&recorder).see(&fact))
        };
        let mut entropy = [0; 16];
        Draws::of(seed, "wallet").fill(&mut entropy);
        let wallet = Wallet::from_entropy(SeedType::Ed25519, entropy);
        let funds = theme.funds(seed).unwrap_or(WALLET_DROPS);
        let mut funded = BTreeMap::from([(wallet.account.to_address(), funds)]);
        for byte in 1..=DESTINATIONS {
            funded.insert(account(byte).to_address(), 50_000_000);
        }
        let friends = [friend(1), friend(2)];
        for friend in &friends {
            funded.insert(friend.address(), theme.friends_drops());
        }
        let people = People {
            intruder: Outsider::new(wallet.clone(), NETWORK_ID),
            friends: friends.into(),
            unborn: account(100).to_address(),
        };
        let bearing = Bearing {
            liars_max: AGREEMENT - 1,
            bears_intruders: false,
            bears_ruin: false,
        };
        let acts = days::Acts::new(seed, people.clone());
        let faults = Faults::new(bearing, people, FEES, plan.faults_every_ms);
        let network = network(&plan, servers, funded);
        let anchor = network
            .server(1)
            .seen_ledger(FIRST_LEDGER, &wallet.account.to_address());
        let anchor = anchor.map(|ledger| (ledger.index, ledger.hash.0));
        let wires = Wires::new(network, Draws::of(seed, "wires"), Arc::clone(&sink));
        let signer_clock = Arc::new(|| u64::try_from(clock::now().0).unwrap_or(0));
        let signer = SimSigner::new(
            &wallet.seed,
            NETWORK_ID,
            policy(),
            signer_clock,
            Arc::clone(&sink),
        );
        let setup = Setup {
            path,
            wallet: PayWallet {
                network_id: NETWORK_ID,
                account: wallet.account,
                source_tag: Some(7),
            },
            limits: limits(),
            terms: TermsPolicy {
                fee_max: Drops::from_const(FEE_CAP),
                window: WINDOW,
            },
            anchor: anchor.expect("the first ledger is there"),
            at_large_max: plan.at_large_max,
            servers,
            agreement: AGREEMENT.min(servers),
            wires,
            signer,
            facts: sink,
            generation: 1,
            may_sign: true,
        };
        lock(&recorder).rules(Rules {
            window: WINDOW,
            fee_cap: FEE_CAP,
            reserve: BASE_RESERVE,
            is_watched: !theme.forgets(),
        });
        Self {
            plan,
            setup,
            recorder,
            desk: Desk::default(),
            draws: Draws::of(seed, "day"),
            machine,
            queue: BTreeMap::new(),
            queued: 0,
            began: Instant::now(),
            faults,
            theme,
            acts,
            life: None,
            lives: 0,
            seed,
            servers,
            wallet: wallet.account.to_address(),
            told: 0,
            is_peace: false,
            peace_at: 0,
        }
    }

    async fn run(mut self) -> Outcome {
        self.tell_ledgers(FIRST_LEDGER + 2);
        let mut callers = self.callers();
        let watcher = self.watcher();
        self.start_signer();
        self.at(0, Event::StartGateway);
        self.at(400, Event::Relay);
        self.at(3_000, Event::Propose);
        self.at(1_000, Event::Faults);
        self.at(self.plan.first_trouble_ms, Event::Trouble);
        self.at(2 * self.plan.first_trouble_ms, Event::MachineTrouble);
        self.at(self.plan.peace_ms, Event::Peace);
        self.begin_acts();
        self.begin_again();
        while !self.is_over(&mut callers) {
            self.step().await;
        }
        if let Some(watcher) = watcher {
            watcher.abort();
        }
        self.end(callers).await
    }

    fn at(&mut self, after_ms: u64, event: Event) {
        let now = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.queued += 1;
        self.queue.insert((now + after_ms, self.queued), event);
    }

    /// Waits for the next event, or for the gateway to die before it.
    async fn step(&mut self) {
        let ((ms, n), event) = self.queue.pop_first().expect("ledgers go on for ever");
        let when = self.began + Duration::from_millis(ms);
        let died = async {
            match &self.life {
                Some(life) => life.fuse.burnt().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            () = died => {
                self.queue.insert((ms, n), event);
                return self.bury().await;
            }
            () = tokio::time::sleep_until(when) => {}
        }
        if self.life.as_ref().is_some_and(Life::has_ended) {
            self.bury().await;
        }
        self.happen(event).await;
    }

    async fn happen(&mut self, event: Event) {
        match event {
            Event::Relay => {
                let mut network = self.setup.wires.network();
                network.relay();
                network.receive();
                drop(network);
                self.setup.wires.ring();
                self.at(400, Event::Relay);
            }
            Event::Faults => self.look_after(),
            Event::Propose if self.faults.is_halted(now()) => self.at(1_000, Event::Propose),
            Event::Propose => {
                let how = self.faults.agreement();
                let mut network = self.setup.wires.network();
                network.propose();
                network.shape(how);
                drop(network);
                let agree = self.draws.between(100, 900);
                self.at(agree, Event::Accept);
            }
            Event::Accept => self.accept(),
            Event::Validate(server, index) => self.validate(server, index),
            Event::Trouble if self.is_peace => {}
            Event::Trouble => {
                let next = self.draws.between(
                    self.plan.trouble_every_ms / 2,
                    self.plan.trouble_every_ms * 3 / 2,
                );
                self.at(next, Event::Trouble);
                self.trouble().await;
            }
            Event::StartGateway => self.start_gateway(),
            Event::StartSigner => self.start_signer(),
            Event::MachineTrouble => self.machine_trouble(),
            Event::RightClock => time::go_wrong(0),
            Event::CalmWires => self.setup.wires.weather(Weather::CALM),
            Event::Act => self.act().await,
            Event::Copy => self.copy_for_again(),
            Event::Peace => self.peace(),
        }
    }

    fn accept(&mut self) {
        let index = {
            let mut network = self.setup.wires.network();
            let is_slow = self.draws.permille(30);
            network.accept(is_slow).expect("nothing is kept in a file");
            network
                .build_sides(now())
                .expect("nothing is kept in a file");
            network.closed_index()
        };
        for server in 1..=self.servers {
            let lag = match self.draws.permille(if self.is_peace {
                0
            } else {
                self.plan.lag_permille
            }) {
                true => self.draws.between(3_000, 20_000),
                false => self.draws.between(100, 1_200),
            };
            self.at(lag, Event::Validate(server, index));
        }
        let halts = !self.is_peace && self.draws.permille(self.plan.halt_permille);
        let next = if halts {
            lock(&self.recorder).fault("network halts");
            self.draws.between(30_000, 120_000)
        } else {
            self.draws.between(2_500, 4_500)
        };
        self.at(next, Event::Propose);
    }

    fn validate(&mut self, server: usize, index: u32) {
        self.tell_ledgers(index);
        self.setup.wires.network().learn(server, index);
        self.setup.wires.ring();
    }

    /// Tells the recorder of all ledgers up to this one; each is validated once.
    fn tell_ledgers(&mut self, index: u32) {
        while self.told < index {
            let next = if self.told == 0 {
                FIRST_LEDGER
            } else {
                self.told + 1
            };
            let network = self.setup.wires.network();
            let honest = network.honest().expect("the network goes on");
            let seen = network.server(honest).seen_ledger(next, &self.wallet);
            drop(network);
            let seen = seen.expect("what is validated was closed before");
            let ledger = self.acts.known(chain_ledger(seen));
            (self.setup.facts)(Fact::Ledger(ledger));
            self.told = next;
        }
    }

    // --- lives ---

    fn start_gateway(&mut self) {
        if self.life.is_some() {
            return;
        }
        self.lives += 1;
        let armed = (!self.is_peace && self.draws.permille(self.plan.crash_permille)).then(|| {
            let moment = MOMENTS[usize::try_from(self.draws.below(6)).unwrap_or(0)];
            (moment, self.draws.between(1, 60))
        });
        let fuse = Arc::new(Fuse::new(armed));
        let draws = Draws::of(self.seed, &format!("life {}", self.lives));
        match self.setup.start(fuse, draws) {
            Ok(life) => {
                self.desk.set(Some(Counter {
                    store: life.store.clone(),
                    wake: Arc::clone(&life.wake),
                    view: life.view.clone(),
                }));
                self.life = Some(life);
            }
            Err(err) => {
                lock(&self.recorder).violation(format!("the gateway does not start: {err}"));
                self.at(1_000, Event::StartGateway);
            }
        }
    }

    /// The gateway is gone, by itself or by our doing.
    async fn bury(&mut self) {
        let Some(life) = self.life.take() else { return };
        self.desk.set(None);
        if let Some(moment) = life.fuse.died_at() {
            lock(&self.recorder).fault(moment.name());
            self.faults.happened(CRASH);
        }
        match life.kill().await {
            Some(End::Panicked) => {
                lock(&self.recorder).violation("the gateway panicked".to_owned())
            }
            Some(End::GaveUp(why)) => {
                lock(&self.recorder).note(&format!("the gateway gave up: {why}"))
            }
            None => {}
        }
        let down = self.draws.between(200, 6_000);
        self.at(down, Event::StartGateway);
    }

    fn start_signer(&mut self) {
        if self.setup.signer.is_alive() {
            return;
        }
        let failed = self.setup.signer.disk().failed_syncs();
        if let Err(err) = self.setup.signer.start() {
            let disk = self.setup.signer.disk();
            if disk.is_dead() || disk.failed_syncs() > failed {
                // It died once more while it started, or had to: its disk failed.
                self.kill_signer();
                return;
            }
            (self.setup.facts)(Fact::SignerRefused(err.to_string()));
            self.at(5_000, Event::StartSigner);
        }
    }

    fn kill_signer(&mut self) {
        let mut draws = self.draws.clone();
        self.setup.signer.kill(&mut |end| draws.below(end));
        self.draws = draws;
        let down = self.draws.between(100, 5_000);
        self.at(down, Event::StartSigner);
    }

    // --- what goes wrong ---

    async fn trouble(&mut self) {
        let Some(trouble) = self.plan.trouble(&mut self.draws) else {
            return;
        };
        lock(&self.recorder).fault(trouble.name());
        match trouble {
            Trouble::GatewayDies => self.bury().await,
            Trouble::SignerDies => self.kill_signer(),
            Trouble::SignerDiesAtDisk => {
                let calls = self.draws.between(1, 40);
                let when = match self.draws.permille(500) {
                    true => super::disk::When::Before,
                    false => super::disk::When::After,
                };
                self.setup.signer.disk().die_in(calls, when);
            }
            Trouble::SignerAnswerLost => self.setup.signer.slip(Slip::LostAnswer),
            Trouble::SignerDiesBeforeAnswer => self.setup.signer.slip(Slip::DiesBeforeAnswer),
            Trouble::SignerLate => {
                let late = Duration::from_millis(self.draws.between(500, 9_000));
                let slip = match self.draws.permille(500) {
                    true => Slip::LateAnswer(late),
                    false => Slip::LateRequest(late),
                };
                self.setup.signer.slip(slip);
            }
            Trouble::WiresCut => self.setup.wires.cut(),
            Trouble::Refused => {
                self.setup.wires.cut();
                self.storm(Weather {
                    refuses: true,
                    ..Weather::CALM
                });
            }
            Trouble::Losses => self.storm(Weather {
                lost_requests: 100,
                lost_answers: 300,
                ..Weather::CALM
            }),
            Trouble::Slow => self.storm(Weather {
                slowest_ms: 4_000,
                ..Weather::CALM
            }),
        }
        self.revive();
    }

    /// The machine's own: its clock jumps, or a sync of its disk fails. With draws of its own, so that a day is otherwise the same.
    fn machine_trouble(&mut self) {
        if self.is_peace || !self.plan.has_machine_trouble {
            return;
        }
        if self.machine.permille(400) {
            self.faults.happened(DISK_FAILS);
            lock(&self.recorder).note("a sync of the signer's disk is to fail");
            let syncs = self.machine.between(0, 20);
            self.setup.signer.disk().fail_sync_in(syncs);
        } else {
            self.faults.happened(CLOCK_JUMPS);
            // Minutes mostly; now and then days, in either direction.
            let most = match self.machine.permille(300) {
                true => CLOCK_WRONG_MS,
                false => CLOCK_WRONG_MS / 1_000,
            };
            let by = i64::try_from(self.machine.below(most)).unwrap_or(0);
            let by = if self.machine.permille(500) { by } else { -by };
            lock(&self.recorder).note(&format!("the clock jumps by {by} ms"));
            time::go_wrong(by);
            let over = self.machine.between(2_000, 40_000);
            self.at(over, Event::RightClock);
        }
        let next = self.machine.between(5_000, 40_000);
        self.at(next, Event::MachineTrouble);
    }

    fn look_after(&mut self) {
        let mut draws = self.draws.clone();
        if !self.is_peace && self.plan.has_faults {
            let mut network = self.setup.wires.network();
            self.faults
                .tick(&mut network, now(), &mut |end| draws.below(end));
        }
        self.draws = draws;
        for line in self.faults.told() {
            lock(&self.recorder).note(&line);
        }
        self.at(500, Event::Faults);
    }

    fn storm(&mut self, weather: Weather) {
        self.setup.wires.weather(weather);
        let over = self.draws.between(2_000, 25_000);
        self.at(over, Event::CalmWires);
    }

    /// A signer that ended by itself is started again, as a supervisor would.
    fn revive(&mut self) {
        if !self.setup.signer.is_alive() {
            if self.setup.signer.disk().is_dead() {
                self.faults.happened(CRASH);
            }
            self.kill_signer();
        }
    }

    fn peace(&mut self) {
        if !self.is_peace {
            self.is_peace = true;
            self.peace_at = self.told;
            let mut network = self.setup.wires.network();
            self.faults.stop(&mut network, now());
            drop(network);
            lock(&self.recorder).note("no more faults");
        }
        self.setup.wires.weather(Weather::CALM);
        time::go_wrong(0);
        if let Some(life) = &self.life {
            life.fuse.disarm();
            life.person_looks(&self.setup.facts);
        }
        self.revive();
        // One that dies of a fault that was injected before.
        self.at(6_000, Event::Peace);
    }

    // --- callers ---

    /// Follows every payment to its end. Not on a day on which a store is put back: an end that was told and never reached the ledger is
    /// then forgotten with its rows, and whoever asks for the same payment again is paid (runbooks/restore-from-backup.md).
    fn watcher(&self) -> Option<JoinHandle<()>> {
        let draws = Draws::of(self.seed, "watcher");
        let watching = watch(self.desk.clone(), self.clerk(), draws);
        (!self.theme.forgets()).then(|| tokio::spawn(watching))
    }

    fn clerk(&self) -> Clerk {
        let recorder = |then: fn(&mut Recorder, String)| {
            let recorder = Arc::clone(&self.recorder);
            move |what| then(&mut lock(&recorder), what)
        };
        let stored = Arc::clone(&self.recorder);
        Clerk {
            facts: Arc::clone(&self.setup.facts),
            stored: Arc::new(move || lock(&stored).stored()),
            complaint: Arc::new(recorder(|recorder, what| recorder.violation(what))),
        }
    }

    fn callers(&self) -> JoinSet<()> {
        let mut draws = Draws::of(self.seed, "callers");
        let clerk = self.clerk();
        let mut callers = JoinSet::new();
        for n in 0..self.plan.payments {
            let order = self.order(n, &mut draws);
            let own = Draws::of(self.seed, &format!("caller {n}"));
            callers.spawn(call(self.desk.clone(), clerk.clone(), order, own));
        }
        callers
    }

    fn order(&self, n: u64, draws: &mut Draws) -> Order {
        // Now and then somebody is to receive who does not exist; below the reserve that cannot be.
        let (destination, drops) = match draws.below(100) {
            0..5 if !self.theme.forgets() => (account(100), draws.between(1, 3_000_000)),
            5..15 => {
                let friend = friend(u8::try_from(draws.between(1, 2)).unwrap_or(1));
                let account = AccountId::from_address(&friend.address());
                (
                    account.expect("a friend has an address"),
                    draws.between(1, 20_000_000),
                )
            }
            _ => {
                let byte = u8::try_from(draws.between(1, u64::from(DESTINATIONS))).unwrap_or(1);
                (account(byte), draws.between(1, 20_000_000))
            }
        };
        let patience = draws.between(2, 40);
        Order {
            id: format!("p-{n}"),
            after: Duration::from_millis(match self.plan.bursts {
                true => draws.between(0, 3) * 30_000 + draws.below(1_500),
                false => draws.below(self.plan.callers_ms),
            }),
            destination,
            drops,
            deadline: draws
                .permille(300)
                .then(|| u32::try_from(patience).unwrap_or(2)),
            repeats: draws.permille(200),
            cancels: draws
                .permille(self.plan.cancel_permille)
                .then(|| Duration::from_millis(draws.below(15_000))),
            retries: draws.permille(300) || self.theme.forgets(),
            may_be_forgotten: self.theme.forgets(),
        }
    }

    // --- the end ---

    fn is_over(&mut self, callers: &mut JoinSet<()>) -> bool {
        while callers.try_join_next().is_some() {}
        if !self.is_peace {
            return false;
        }
        let waited = self.told.saturating_sub(self.peace_at);
        let all_final = callers.is_empty() && lock(&self.recorder).is_all_final_and_told();
        // A few ledgers more: a late transaction would show.
        (all_final && waited > WINDOW + 3) || waited > LEDGERS_TO_END
    }

    async fn end(mut self, mut callers: JoinSet<()>) -> Outcome {
        if !callers.is_empty() {
            let left = callers.len();
            lock(&self.recorder).violation(format!("{left} callers still wait for an answer"));
        }
        callers.abort_all();
        (self.setup.facts)(Fact::Ended);
        let met = self.faults.met(&self.setup.wires.network());
        for (name, n) in FAULT_NAMES.iter().zip(met.0) {
            lock(&self.recorder).met(name, n);
        }
        self.end_acts().await;
        if let Some(life) = self.life.take() {
            life.kill().await;
        }
        self.desk.set(None);
        self.look_again().await;
        lock(&self.recorder).end()
    }
}

fn network(plan: &Plan, servers: usize, funded: BTreeMap<String, u64>) -> Network {
    let options = Options {
        network_id: NETWORK_ID,
        start_index: FIRST_LEDGER,
        funded,
        fees: FEES,
        expected_size: plan.expected_size,
        page_entries: plan.page_entries,
        ..Options::default()
    };
    let beginning = Beginning {
        servers,
        validator_lists: 1,
        peers_min: 0,
        first_validated: Some(FIRST_LEDGER),
        validated: FIRST_LEDGER + 2,
        closed: FIRST_LEDGER + 2,
        mode: ServerMode::Full,
    };
    Network::new(options, beginning, Millis(NOON_MS)).expect("the funded accounts have addresses")
}

fn limits() -> Limits {
    Limits {
        payment_min: Drops::from_const(1),
        payment_max: Drops::from_const(100_000_000),
        day_max: Drops::from_const(100_000_000_000),
        pending_max: 10_000,
        assets: Vec::new(),
        approval_threshold: None,
        approval_window: paygate_payments::limits::APPROVAL_WINDOW_DEFAULT,
        clients: Vec::new(),
        stage: None,
    }
}

fn policy() -> Policy {
    Policy {
        max_payment: Drops::from_const(100_000_000),
        max_day: Drops::from_const(100_000_000_000),
        max_fee: Drops::from_const(FEE_CAP),
        last_ledger_window: 2 * WINDOW,
        anchor_ledger_index: FIRST_LEDGER,
        anchor_time_ms: NOON_MS,
        ledger_min_close_ms: 2_000,
        denied_destinations: std::collections::BTreeSet::new(),
        allowed_types: [TransactionType::Payment, TransactionType::NoOp].into(),
        assets: BTreeMap::new(),
    }
}

fn chain_ledger(seen: SeenLedger) -> ChainLedger {
    ChainLedger {
        index: seen.index,
        hash: seen.hash.0,
        sequence: seen.sequence,
        balance: seen.balance,
        txs: seen.txs.into_iter().map(chain_tx).collect(),
    }
}

fn chain_tx(seen: SeenTx) -> ChainTx {
    let text = |name: &str| seen.json.get(name).and_then(Value::as_str);
    let content = match text("TransactionType") {
        Some("Payment") => Content::Payment {
            invoice: text("InvoiceID")
                .and_then(|id| hex::decode(id).ok())
                .and_then(|id| id.try_into().ok()),
            destination: text("Destination").unwrap_or_default().to_owned(),
            tag: seen
                .json
                .get("DestinationTag")
                .and_then(Value::as_u64)
                .and_then(|tag| u32::try_from(tag).ok()),
            amount: text("Amount")
                .and_then(|drops| drops.parse().ok())
                .unwrap_or(0),
        },
        Some("AccountSet") => Content::NoOp,
        _ => Content::Other,
    };
    ChainTx {
        hash: seen.hash.0,
        sequence: seen.sequence,
        content,
        succeeded: seen.result == "tesSUCCESS",
        delivered: seen.delivered,
        fee: seen.fee,
        is_foreign: false,
    }
}
