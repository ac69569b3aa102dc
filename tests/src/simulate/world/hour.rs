//! A story in virtual time: the network validates nothing for an hour.
//!
//! Owns: that hour. May not: draw anything that goes wrong besides.

use paygate::store::Record;
use paygate_payments::intent::{Id, PaymentKey};
use paygate_payments::payment::StateName;
use paygate_proto::v1::PaymentReason;

use super::*;

/// How long.
const HOUR: Duration = Duration::from_secs(3600);

/// More than a payment or the gateway's notice of a halt takes.
const PATIENCE: Duration = Duration::from_secs(120);

const SEED: u64 = 20;

/// A day on which nothing goes wrong by itself and nobody comes unasked.
fn quiet_day(path: PathBuf) -> Day {
    let mut day = Day::new(SEED, 3, true, path);
    day.theme = Theme::Plain;
    let plan = &mut day.plan;
    plan.name = "an hour without a ledger";
    plan.has_faults = false;
    (plan.crash_permille, plan.halt_permille, plan.lag_permille) = (0, 0, 0);
    day
}

impl Day {
    async fn begin(&mut self) {
        self.tell_ledgers(FIRST_LEDGER + 2);
        self.start_signer();
        self.start_gateway();
        self.at(400, Event::Relay);
        self.at(3_000, Event::Propose);
        self.pass(Duration::from_secs(20)).await;
    }

    async fn pass(&mut self, time: Duration) {
        let until = Instant::now() + time;
        while Instant::now() < until {
            if self.queue.is_empty() {
                self.at(1_000, Event::CalmWires);
            }
            self.step().await;
        }
    }

    async fn until(&mut self, what: &str, holds: impl AsyncFn(&Self) -> bool) {
        let until = Instant::now() + PATIENCE;
        while !holds(self).await {
            assert!(Instant::now() < until, "{what}: {:#?}", self.lines());
            self.pass(Duration::from_millis(100)).await;
        }
    }

    fn life(&self) -> &Life {
        self.life.as_ref().expect("the gateway runs")
    }

    fn lines(&self) -> Vec<String> {
        lock(&self.recorder).lines().to_vec()
    }

    /// How often a line of the run so far says this.
    fn said(&self, words: &str) -> usize {
        let lines = self.lines();
        lines.iter().filter(|line| line.contains(words)).count()
    }

    async fn pay(&self, id: &str, deadline: Option<u32>) {
        let order = Order {
            id: id.to_owned(),
            after: Duration::ZERO,
            destination: account(3),
            drops: 1_000_000,
            deadline,
            repeats: false,
            cancels: None,
            retries: false,
            may_be_forgotten: false,
        };
        call(self.desk.clone(), self.clerk(), order, Draws::of(SEED, id)).await;
    }

    async fn payment(&self, id: &str) -> Record {
        let word = |text: &str| Id::new(text).expect("a short word");
        let key = PaymentKey {
            client: word("shop"),
            payment: word(id),
        };
        let found = self.life().store.get(&key).await;
        found.expect("the store answers").expect("it was stored")
    }

    async fn is(&self, id: &str, state: StateName) -> bool {
        self.payment(id).await.payment.state.name() == state
    }

    /// The network agrees on nothing from here on.
    async fn halt(&mut self) {
        let is_between = |day: &Self| {
            let mut events = day.queue.values();
            events.any(|event| matches!(event, Event::Propose))
        };
        while !is_between(self) {
            self.step().await;
        }
        // Nor do servers tell each other anything new.
        self.queue
            .retain(|_, event| !matches!(event, Event::Propose | Event::Relay));
    }

    fn resume(&mut self) {
        self.at(0, Event::Relay);
        self.at(500, Event::Propose);
    }
}

fn in_virtual_time(name: &str, story: impl AsyncFnOnce(PathBuf)) {
    let folder = tempfile::Builder::new()
        .prefix(name)
        .tempdir()
        .expect("temporary files can be written");
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime without sockets needs nothing of the system");
    runtime.block_on(async {
        clock::set_wall(Some(clock::Millis(
            i64::try_from(NOON_MS).unwrap_or(i64::MAX),
        )));
        let mut chances = Draws::of(SEED, "chance");
        chance::set_source(Some(Box::new(move |bytes| chances.fill(bytes))));
        story(folder.path().join("paygate.db")).await;
    });
    drop(runtime);
    clock::set_wall(None);
    chance::set_source(None);
}

#[test]
fn for_an_hour_the_network_validates_nothing_and_no_payment_ends_or_is_signed() {
    in_virtual_time("hour", async |path| {
        let mut day = quiet_day(path);
        let watcher = day.watcher().expect("no store is put back");
        day.begin().await;
        day.pay("before", None).await;
        day.until("paid", async |day| day.is("before", StateName::Paid).await)
            .await;

        // One is on the network when it halts, and its last ledger is near.
        day.halt().await;
        let sent = day.said("sent to");
        day.pay("at-large", Some(15)).await;
        day.until("sent", async |day| {
            day.is("at-large", StateName::AtLarge).await && day.said("sent to") > sent
        })
        .await;
        day.until("noticed", async |day| day.life().view.now().halted)
            .await;
        let (signed, ledger) = (day.said("signer signed"), day.told);
        for id in ["in-it-1", "in-it-2", "in-it-3"] {
            day.pay(id, Some(30)).await;
        }

        // The gateway dies in the middle, too, and its next life finds the network as it is.
        day.pass(HOUR / 2).await;
        day.bury().await;
        day.pass(HOUR / 2).await;
        let view = day.life().view.now();
        assert!(view.halted);
        let why = view.blocked.as_ref().expect("something waits");
        assert_eq!(why.reason, PaymentReason::NetworkHalted, "{}", why.detail);
        assert!(day.is("at-large", StateName::AtLarge).await);
        for id in ["in-it-1", "in-it-2", "in-it-3"] {
            let waits = day.payment(id).await.payment.state;
            assert_eq!(waits.name(), StateName::Accepted, "{id}: {waits:?}");
        }
        assert_eq!(day.said("signer signed"), signed, "nothing is signed");
        assert_eq!(day.told, ledger, "nothing was validated");

        // A deadline is an index, and none has passed: an hour is not a ledger.
        day.resume();
        for id in ["at-large", "in-it-1", "in-it-2", "in-it-3"] {
            day.until(id, async |day| day.is(id, StateName::Paid).await)
                .await;
        }
        assert!(!day.life().view.now().halted);
        day.until("told", async |day| {
            lock(&day.recorder).is_all_final_and_told()
        })
        .await;
        watcher.abort();
        day.is_peace = true;
        let outcome = day.end(JoinSet::new()).await;
        assert!(outcome.violations.is_empty(), "{:#?}", outcome.violations);
        assert!(outcome.seconds >= HOUR.as_secs());
    });
}
