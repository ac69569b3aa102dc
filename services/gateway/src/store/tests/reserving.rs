//! What is reserved of every limit, against a model that adds it up by hand: random creates, ends, restarts, days that pass and limits
//! that change. The seed is printed; `PAYGATE_SEED=N` draws the same again.
#![allow(clippy::print_stderr, reason = "the seed is the bug report")]

use std::time::Duration;

use paygate_payments::LedgerIndex;
use paygate_payments::clients::{ClientLimits, ClientUse};
use paygate_payments::intent::PaymentKey;
use paygate_payments::limits::Limits;
use paygate_payments::payment::StateName;

use super::world::*;
use crate::clock::Millis;
use crate::store::{Accept, NewPayment, Store};

const CLIENTS: [&str; 3] = ["shop", "bank", "other"];

/// Steps of one run, and runs. `PAYGATE_TESTS_FULL=1` makes fifty times as many runs.
const STEPS: usize = 200;
const RUNS: u64 = 2;

const DAY_MS: i64 = 24 * 60 * 60 * 1_000;

/// SplitMix64: every draw follows from the seed.
struct Draws(u64);

impl Draws {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed ^ (mixed >> 31)) % limit
    }
}

/// A payment as the model has it.
struct Kept {
    key: PaymentKey,
    drops: u64,
    created: i64,
    state: StateName,
    deadline: Option<u32>,
    slot: Option<u32>,
}

struct Model {
    draws: Draws,
    world: World,
    limits: Limits,
    kept: Vec<Kept>,
    now: i64,
    ledger: u32,
    sequence: u32,
    refused: u32,
}

impl Kept {
    /// It has ended unpaid, and what it had reserved is free again.
    fn is_given_back(&self) -> bool {
        self.state.safe_to_repay()
    }
}

impl Model {
    async fn new(seed: u64) -> Model {
        let mut draws = Draws(seed);
        let limits = drawn(&mut draws);
        Model {
            world: World::with(limits.clone()).await,
            draws,
            limits,
            kept: Vec::new(),
            now: NOON.0,
            ledger: 100,
            sequence: 5,
            refused: 0,
        }
    }

    fn day(&self, client: Option<&str>) -> u64 {
        let counts = |kept: &&Kept| {
            kept.created >= self.now - DAY_MS
                && !kept.is_given_back()
                && client.is_none_or(|client| kept.key.client.as_str() == client)
        };
        self.kept.iter().filter(counts).map(|kept| kept.drops).sum()
    }

    fn pending(&self, client: Option<&str>) -> u64 {
        let counts = |kept: &&Kept| {
            !kept.state.is_final() && client.is_none_or(|client| kept.key.client.as_str() == client)
        };
        u64::try_from(self.kept.iter().filter(counts).count()).unwrap()
    }

    /// Whether a payment is let in, said in the words of the documentation and not in those of the core.
    fn admits(&self, client: &str, amount: u64) -> bool {
        let (limits, pending) = (&self.limits, self.pending(None));
        if self.day(None) + amount > limits.day_max.get() || pending >= limits.pending_max {
            return false;
        }
        let own = limits
            .clients
            .iter()
            .find(|own| own.client.as_str() == client);
        let mine = self.pending(Some(client));
        if let Some(own) = own {
            let over_day = own
                .day_max
                .is_some_and(|max| self.day(Some(client)) + amount > max.get());
            if over_day || own.pending_max.is_some_and(|max| mine >= max) {
                return false;
            }
        }
        let share = limits.share();
        let others = limits
            .clients
            .iter()
            .filter(|own| own.client.as_str() != client);
        let kept: u64 = others
            .map(|own| share.saturating_sub(self.pending(Some(own.client.as_str()))))
            .sum();
        (own.is_some() && mine < share) || pending + kept < limits.pending_max
    }

    /// Sometimes the largest amount that the wallet's day still takes, or one drop more.
    async fn create(&mut self) {
        let client = CLIENTS[usize::try_from(self.draws.below(3)).unwrap()];
        let left = self.limits.day_max.get().saturating_sub(self.day(None));
        let amount = match self.draws.below(4) {
            0 if left >= 1_000 => left.min(100 * XRP),
            1 if left >= 1_000 => (left + 1).min(100 * XRP),
            _ => 1_000 + self.draws.below(40 * XRP),
        };
        let deadline = (self.draws.below(3) == 0)
            .then(|| self.ledger + u32::try_from(self.draws.below(6)).unwrap() + 1);
        let name = format!(
            "p{}",
            self.kept.len() + usize::try_from(self.refused).unwrap()
        );
        let mut payment = NewPayment {
            deadline: deadline.map(LedgerIndex),
            at: Millis(self.now),
            ..new(&name)
        };
        payment.intent.key.client = id(client);
        payment.intent.amount = xrpl_tx::Amount::Xrp(drops(amount));
        let admits = self.admits(client, amount);
        match self.world.store.create(payment).await.unwrap() {
            Accept::Created(record) => {
                assert!(admits, "{name} of {client}: {amount} is over a limit");
                self.kept.push(Kept {
                    key: record.payment.intent.key,
                    drops: amount,
                    created: self.now,
                    state: StateName::Accepted,
                    deadline,
                    slot: None,
                });
            }
            Accept::OverLimit(over) => {
                assert!(!admits, "{name} of {client}: {amount} is within: {over}");
                self.refused += 1;
            }
            other => panic!("{other:?}"),
        }
    }

    fn any(&mut self, wanted: fn(&Kept) -> bool) -> Option<usize> {
        let found: Vec<usize> = (0..self.kept.len())
            .filter(|at| wanted(&self.kept[*at]))
            .collect();
        let count = u64::try_from(found.len()).unwrap();
        (count > 0).then(|| found[usize::try_from(self.draws.below(count)).unwrap()])
    }

    async fn cancel(&mut self) {
        let unbound = |kept: &Kept| kept.state == StateName::Accepted;
        if let Some(at) = self.any(unbound) {
            let key = self.kept[at].key.clone();
            let at_time = Millis(self.now);
            let cancelled = self
                .world
                .store
                .cancel(key, String::new(), at_time)
                .await
                .unwrap();
            self.kept[at].state = cancelled.record.payment.state.name();
            assert_eq!(self.kept[at].state, StateName::Cancelled);
        }
    }

    /// The lowest open slot first, as they come.
    async fn bind(&mut self) {
        let unbound = |kept: &Kept| kept.state == StateName::Accepted && kept.deadline.is_none();
        let open = self
            .kept
            .iter()
            .filter(|kept| kept.state == StateName::AtLarge)
            .count();
        if let (Some(at), true) = (self.any(unbound), open == 0) {
            let bind = crate::store::Bind {
                key: self.kept[at].key.clone(),
                slot: xrpl_tx::Slot::Sequence(self.sequence),
                since: LedgerIndex(self.ledger),
                terms: terms(self.ledger + 20),
            };
            let bound = self
                .world
                .store
                .bind(self.world.epoch, vec![bind], Millis(self.now));
            bound.await.unwrap();
            self.kept[at].state = StateName::AtLarge;
            self.kept[at].slot = Some(self.sequence);
        }
    }

    /// The next ledger: a bound payment is paid or fails in it, or in a later one; deadlines pass.
    async fn ledger(&mut self) {
        self.ledger += 1;
        let mut settled = Vec::new();
        let bound = |kept: &Kept| kept.state == StateName::AtLarge;
        if let (Some(at), true) = (self.any(bound), self.draws.below(2) == 0) {
            let record = self
                .world
                .store
                .get(&self.kept[at].key)
                .await
                .unwrap()
                .unwrap();
            let slot = self.kept[at].slot.unwrap();
            let (code, state) = match self.draws.below(2) {
                0 => ("tesSUCCESS", StateName::Paid),
                _ => ("tecPATH_DRY", StateName::Failed),
            };
            let byte = u8::try_from(self.ledger % 250).unwrap();
            settled.push(shown(self.ledger, payment_tx(&record, slot, byte, code)));
            self.kept[at].state = state;
            self.sequence += 1;
        }
        self.world
            .validated(self.ledger, self.sequence, settled)
            .await
            .unwrap();
        let ledger = self.ledger;
        for kept in &mut self.kept {
            let over = kept.deadline.is_some_and(|deadline| ledger > deadline);
            if kept.state == StateName::Accepted && over {
                kept.state = StateName::Expired;
            }
        }
        self.follow().await;
    }

    /// When exactly a deadline is over is no matter of limits: the store's word on it is taken, and that it ends unpaid is looked at.
    async fn follow(&mut self) {
        for kept in &mut self.kept {
            if kept.deadline.is_some() {
                let found = self.world.store.get(&kept.key).await.unwrap().unwrap();
                let state = found.payment.state.name();
                let likely = [
                    StateName::Accepted,
                    StateName::Expired,
                    StateName::Cancelled,
                ];
                assert!(likely.contains(&state), "{state:?}");
                kept.state = state;
            }
        }
    }

    async fn restart(&mut self) {
        let limits = self.limits.clone();
        let folder = {
            let world = std::mem::replace(&mut self.world, World::new().await);
            world.store.close().await;
            world.folder
        };
        let store = Store::open(options(&folder, limits)).unwrap();
        let epoch = store.begin_epoch().await.unwrap();
        store
            .pass_continuity(epoch, Millis(self.now))
            .await
            .unwrap();
        self.world = World {
            folder,
            store,
            epoch,
        };
    }

    async fn relimit(&mut self) {
        self.limits = drawn(&mut self.draws);
        let told = "a story".to_owned();
        let changed = self.world.store.set_limits(
            ops(),
            self.limits.clone(),
            told,
            String::new(),
            Millis(self.now),
        );
        changed.await.unwrap();
    }

    async fn step(&mut self) {
        match self.draws.below(20) {
            0..=8 => self.create().await,
            9..=11 => self.cancel().await,
            12..=13 => self.bind().await,
            14..=16 => self.ledger().await,
            17 => self.now += i64::try_from(self.draws.below(8)).unwrap() * DAY_MS / 8,
            18 => self.relimit().await,
            _ => self.restart().await,
        }
    }

    /// The sums of the store, both as rows and as the writer carries them, are those of the model.
    async fn compare(&self) {
        let at = Millis(self.now);
        let summary = self.world.store.summary(at).await.unwrap();
        assert_eq!(summary.day_used.get(), self.day(None), "the wallet's day");
        assert_eq!(summary.pending, self.pending(None), "pending");
        let names = self.limits.clients.iter().map(|own| own.client.as_str());
        let model = ClientUse {
            day: names.clone().map(|name| self.day(Some(name))).collect(),
            pending: names.map(|name| self.pending(Some(name))).collect(),
        };
        assert_eq!(self.world.store.client_use(at).await.unwrap(), model);
    }

    /// Everything that can end unpaid does: not a drop of it stays reserved.
    async fn ends(&mut self) {
        while self
            .kept
            .iter()
            .any(|kept| kept.state == StateName::Accepted)
        {
            self.cancel().await;
        }
        while self
            .kept
            .iter()
            .any(|kept| kept.state == StateName::AtLarge)
        {
            self.ledger().await;
        }
        self.compare().await;
        assert_eq!(self.pending(None), 0);
        self.now += DAY_MS + 1;
        self.compare().await;
        assert_eq!(self.day(None), 0, "a day later nothing counts");
    }
}

/// Tight enough that every limit is met.
fn drawn(draws: &mut Draws) -> Limits {
    let mut own = |name: &str| ClientLimits {
        client: id(name),
        payment_max: None,
        day_max: (draws.below(2) == 0).then(|| drops((50 + draws.below(200)) * XRP)),
        pending_max: (draws.below(2) == 0).then(|| 1 + draws.below(10)),
        destinations: Vec::new(),
    };
    let clients = vec![own("shop"), own("bank")];
    Limits {
        day_max: drops((200 + draws.below(600)) * XRP),
        pending_max: 5 + draws.below(20),
        clients,
        ..limits()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_reserved_is_what_is_not_ended_unpaid() {
    let full = std::env::var("PAYGATE_TESTS_FULL").is_ok_and(|full| full == "1");
    let (first, runs) = match std::env::var("PAYGATE_SEED") {
        Ok(seed) => (seed.parse().unwrap(), 1),
        Err(_) => (
            u64::from(std::process::id()),
            RUNS * if full { 50 } else { 1 },
        ),
    };
    let began = crate::clock::instant();
    let (mut created, mut refused) = (0, 0);
    for seed in first..first + runs {
        eprintln!("PAYGATE_SEED={seed}");
        let mut model = Model::new(seed).await;
        for _ in 0..STEPS {
            model.step().await;
            model.compare().await;
        }
        model.ends().await;
        created += model.kept.len();
        refused += model.refused;
    }
    let took = crate::clock::elapsed(began);
    eprintln!("{created} created, {refused} refused, in {took:?}");
    assert!(took < Duration::from_secs(600));
    assert!(
        created > 0 && refused > 0,
        "both sides of the limits were met"
    );
}
