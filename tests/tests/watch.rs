//! Stories of a caller who follows his payments through every break, and of one who changes his mind.
//!
//! Random moments are drawn from one seed, which is printed; `PAYGATE_SEED=N` draws them again.
#![allow(clippy::unwrap_used, reason = "a story ends where it goes wrong")]
#![allow(clippy::print_stderr, reason = "the seed is the bug report")]

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use paygate_proto::v1::{
    CancelPaymentRequest, EvidenceKind, Payment, PaymentReason, PaymentState, TimelineStage,
    WatchPaymentsRequest, WatchPaymentsResponse,
};
use paygate_tests::world::client::{Client, DROPS_PER_XRP, is_final, payment};
use paygate_tests::world::wallet::payee;
use paygate_tests::world::{Setup, World};
use ring::rand::{SecureRandom, SystemRandom};
use tokio::task::JoinSet;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

/// How much a watcher goes through.
#[derive(Clone, Copy)]
struct Size {
    payments: u64,
    cuts: u64,
}

const USUAL: Size = Size {
    payments: 100,
    cuts: 20,
};

/// With `PAYGATE_TESTS_FULL=1`.
const FULL: Size = Size {
    payments: 2000,
    cuts: 100,
};

/// Payments for each time that the gateway is killed and each time that it is stopped.
const PAYMENTS_TO_RESTARTS: u64 = 500;

/// Each payment has four changes, so that all cuts come before the last change: a cut comes after so many payments'
/// messages at most, on average after half of that.
const MESSAGES_OF_PAYMENT: u64 = 5;

/// The longest pause between two payments.
const PAUSE_MS_MAX: u64 = 60;

/// Payments whose cancel comes at a moment of its own.
const RACES: u64 = 24;

/// The longest that a payment of the race lives before its cancel: it covers every stage with ledgers of 400 ms.
const RACE_MS_MAX: u64 = 1500;

/// More than anything of these stories takes on a busy machine.
const WITHIN: Duration = Duration::from_secs(90);

/// And for each payment of a watcher.
const WITHIN_PAYMENT: Duration = Duration::from_millis(400);

const POLL: Duration = Duration::from_millis(50);

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

fn seed() -> u64 {
    let seed = match std::env::var("PAYGATE_SEED") {
        Ok(text) => text.parse().expect("PAYGATE_SEED is a number"),
        Err(_) => {
            let mut bytes = [0; 4];
            SystemRandom::new().fill(&mut bytes).unwrap();
            u64::from(u32::from_be_bytes(bytes))
        }
    };
    eprintln!("PAYGATE_SEED={seed}");
    seed
}

// === watching ===

impl Size {
    fn chosen() -> Size {
        let full = std::env::var_os("PAYGATE_TESTS_FULL").is_some_and(|value| value == "1");
        if full { FULL } else { USUAL }
    }

    fn messages_to_cut_max(self) -> u64 {
        MESSAGES_OF_PAYMENT * self.payments / self.cuts
    }

    fn within(self) -> Duration {
        WITHIN + WITHIN_PAYMENT * u32::try_from(self.payments).unwrap()
    }

    /// After which payments the gateway is killed, and after which it is stopped.
    fn restarts(self, draws: &mut Draws) -> BTreeMap<u64, Restart> {
        let length = self.payments.min(PAYMENTS_TO_RESTARTS);
        let mut restarts = BTreeMap::new();
        for begin in (0..self.payments).step_by(usize::try_from(length).unwrap()) {
            let mut after =
                |tenths: u64| begin + length * tenths / 10 + draws.below(length * 3 / 10);
            restarts.insert(after(1), Restart::Kill);
            restarts.insert(after(5), Restart::Stop);
        }
        restarts
    }
}

/// How a gateway ends before it is started again.
#[derive(Clone, Copy)]
enum Restart {
    Kill,
    Stop,
}

/// What a watcher keeps, as its users keep it: the cursor is stored after a message was dealt with, if nothing comes between.
struct Watcher {
    size: Size,
    cursor: String,
    /// What was heard of each payment, in the order in which it was heard first.
    heard: BTreeMap<String, Vec<u64>>,
    last: BTreeMap<String, Payment>,
    again: usize,
    cuts: u64,
    breaks: Vec<Status>,
}

impl Watcher {
    fn new(size: Size) -> Watcher {
        Watcher {
            size,
            cursor: "beginning".to_owned(),
            heard: BTreeMap::new(),
            last: BTreeMap::new(),
            again: 0,
            cuts: 0,
            breaks: Vec::new(),
        }
    }

    fn is_done(&self) -> bool {
        self.cuts == self.size.cuts
            && self.last.len() == usize::try_from(self.size.payments).unwrap()
            && self.last.values().all(is_final)
    }

    /// Follows until everything is told, cut off at drawn moments.
    async fn follow(mut self, client: Client, mut draws: Draws) -> Watcher {
        let deadline = Instant::now() + self.size.within();
        while !self.is_done() {
            match self.one_stream(&client, &mut draws, deadline).await {
                Ok(()) if self.is_done() => {}
                Ok(()) => self.cuts += 1,
                Err(status) => {
                    assert!(says_come_back(&status), "{status:?}");
                    self.breaks.push(status);
                    tokio::time::sleep(POLL).await;
                }
            }
        }
        self
    }

    /// What the story waits for.
    fn missing(&self) -> String {
        let open: Vec<_> = self.last.values().filter(|p| !is_final(p)).collect();
        format!(
            "{} payments heard of, {} cuts, breaks {:?}, not final {open:#?}",
            self.last.len(),
            self.cuts,
            self.breaks
        )
    }

    /// One connection's life: until it breaks, or is cut, or everything is told.
    async fn one_stream(
        &mut self,
        client: &Client,
        draws: &mut Draws,
        deadline: Instant,
    ) -> Result<(), Status> {
        let request = WatchPaymentsRequest {
            cursor: self.cursor.clone(),
            ..WatchPaymentsRequest::default()
        };
        let mut stream = client
            .payments()
            .watch_payments(request)
            .await?
            .into_inner();
        let max = self.size.messages_to_cut_max();
        let mut left = (self.cuts < self.size.cuts).then(|| 1 + draws.below(max));
        let mut previous = 0;
        while !self.is_done() && left != Some(0) {
            assert!(Instant::now() < deadline, "{}", self.missing());
            let message = stream
                .message()
                .await?
                .ok_or_else(|| Status::unavailable("the stream ended without a word"))?;
            left = left.map(|left| left - 1);
            if let Some(change) = &message.change {
                assert!(change.sequence > previous, "not in the order of commits");
                previous = change.sequence;
            }
            let cursor = message.cursor.clone();
            self.deal_with(message);
            // Cut between dealing with it and storing the cursor: the message comes again.
            if left == Some(0) && draws.below(2) == 0 {
                break;
            }
            self.cursor = cursor;
        }
        Ok(())
    }

    fn deal_with(&mut self, message: WatchPaymentsResponse) {
        let (Some(payment), Some(change)) = (message.payment, message.change) else {
            return;
        };
        assert!(change.state.is_some(), "a change has a state");
        let heard = self.heard.entry(payment.payment_id.clone()).or_default();
        if heard.contains(&change.sequence) {
            self.again += 1;
            return;
        }
        assert!(
            heard.last().is_none_or(|last| *last < change.sequence),
            "{}: {} after {heard:?}",
            payment.payment_id,
            change.sequence
        );
        heard.push(change.sequence);
        self.last.insert(payment.payment_id.clone(), payment);
    }
}

/// A gateway that stops says so, and one that has too much to do; one that is killed says nothing, and the transport finds
/// words of its own.
fn says_come_back(status: &Status) -> bool {
    match status.get_details_error_info() {
        Some(info) => matches!(
            (status.code(), info.reason.as_str()),
            (Code::Unavailable, "DRAINING") | (Code::ResourceExhausted, "OVERLOADED")
        ),
        None => matches!(
            status.code(),
            Code::Unavailable | Code::Unknown | Code::Internal | Code::Cancelled
        ),
    }
}

/// Cuts, kills and stops at drawn moments: everything that was committed was heard, in order.
#[tokio::test(flavor = "multi_thread")]
async fn a_watcher_who_is_cut_off_hears_every_change_across_restarts() {
    let (mut draws, size) = (Draws(seed()), Size::chosen());
    let mut world = World::start(Setup {
        max_pending: 200,
        wallet_xrp: 100_000,
        daily_limit_xrp: "10000".to_owned(),
        ..Setup::default()
    })
    .await
    .unwrap();
    let watcher = Watcher::new(size);
    let watching = tokio::spawn(watcher.follow(world.client(), Draws(draws.below(u64::MAX))));
    let restarts = size.restarts(&mut draws);
    let mut callers = JoinSet::new();
    let caller = world.client();
    for number in 0..size.payments {
        let client = caller.clone();
        let request = payment(
            &format!("watched-{number}"),
            &payee("alice"),
            DROPS_PER_XRP + number,
        );
        let within = size.within();
        callers.spawn(async move { client.create_until_stored(&request, within).await.unwrap() });
        tokio::time::sleep(Duration::from_millis(draws.below(PAUSE_MS_MAX))).await;
        match restarts.get(&number) {
            None => continue,
            Some(Restart::Kill) => world.kill_gateway(),
            Some(Restart::Stop) => {
                let began = Instant::now();
                let status = world.stop_gateway().await.unwrap().unwrap();
                assert!(status.success(), "{status}");
                eprintln!("stopped in {:?} with a watcher", began.elapsed());
            }
        }
        world.start_gateway().await.unwrap();
    }
    callers.join_all().await;
    let watcher = watching.await.unwrap();

    eprintln!(
        "{} payments, {} changes, {} heard again, {} cuts, {} breaks",
        watcher.last.len(),
        watcher.heard.values().map(Vec::len).sum::<usize>(),
        watcher.again,
        watcher.cuts,
        watcher.breaks.len()
    );
    let client = world.client();
    for (payment_id, heard) in &watcher.heard {
        let explained = client.explain(payment_id).await.unwrap();
        let committed: Vec<u64> = explained
            .events
            .iter()
            .filter(|event| event.state.is_some())
            .map(|event| event.sequence)
            .collect();
        assert_eq!(*heard, committed, "{payment_id}");
        assert_eq!(watcher.last[payment_id].state(), PaymentState::Paid);
        assert_eq!(
            watcher.last[payment_id].evidence,
            explained.payment.unwrap().evidence
        );
    }
}

// === cancelling ===

async fn cancel(client: &Client, payment_id: &str) -> Result<Payment, Status> {
    let request = CancelPaymentRequest {
        payment_id: payment_id.to_owned(),
        comment: "asked for in a story".to_owned(),
    };
    let answer = client.payments().cancel_payment(request).await?;
    Ok(answer.into_inner().payment.unwrap())
}

/// Waits until the payment's timeline has such a line.
async fn until_stage(client: &Client, payment_id: &str, stage: TimelineStage) {
    let deadline = Instant::now() + WITHIN;
    loop {
        let explained = client.explain(payment_id).await.unwrap();
        if explained.events.iter().any(|event| event.stage() == stage) {
            return;
        }
        assert!(
            Instant::now() < deadline,
            "{payment_id} never was {stage:?}: {explained:#?}"
        );
        tokio::time::sleep(POLL).await;
    }
}

/// Closes ledgers until the payment is final.
async fn close_until_final(world: &World, payment_id: &str) -> Payment {
    let deadline = Instant::now() + WITHIN;
    loop {
        world.ledger().close_ledger().await.unwrap();
        let payment = world.client().get(payment_id).await.unwrap();
        if is_final(&payment) {
            return payment;
        }
        assert!(Instant::now() < deadline, "{payment:#?}");
        tokio::time::sleep(POLL * 4).await;
    }
}

/// A ledger that closes only when the story says so.
async fn held_ledger() -> World {
    World::start(Setup {
        close_ms: 0,
        ..Setup::default()
    })
    .await
    .unwrap()
}

async fn made(world: &World, payment_id: &str) -> Client {
    let client = world.client();
    client
        .create(payment(payment_id, &payee("alice"), 3 * DROPS_PER_XRP))
        .await
        .unwrap();
    client
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancel_before_binding_is_certain() {
    let mut world = World::start(Setup::default()).await.unwrap();
    let client = world.client();
    // After a start a cancel waits until store, ledger and signer were compared. One payment shows that they were.
    client
        .create(payment("before-it", &payee("alice"), DROPS_PER_XRP))
        .await
        .unwrap();
    client.until_final("before-it", WITHIN).await.unwrap();
    world.kill_signer();
    // Nothing is bound without a signer; the gateway learns of its end within moments.
    let deadline = Instant::now() + WITHIN;
    let mut number = 0;
    let waiting = loop {
        let id = format!("early-{number}");
        let stored = made(&world, &id).await.get(&id).await.unwrap();
        if stored.reason() == PaymentReason::SignerUnavailable
            && stored.state() == PaymentState::Accepted
        {
            break id;
        }
        assert!(Instant::now() < deadline, "{stored:#?}");
        number += 1;
        tokio::time::sleep(POLL * 10).await;
    };
    let cancelled = cancel(&client, &waiting).await.unwrap();
    assert_eq!(
        (cancelled.state(), cancelled.reason()),
        (PaymentState::Cancelled, PaymentReason::CancelledByCaller)
    );
    assert!(cancelled.safe_to_repay);
    assert_eq!(
        cancelled.evidence.as_ref().unwrap().kind(),
        EvidenceKind::NeverBound
    );
    assert_eq!(cancel(&client, &waiting).await.unwrap(), cancelled);

    world.start_signer().await.unwrap();
    client
        .create(payment("after-it", &payee("alice"), DROPS_PER_XRP))
        .await
        .unwrap();
    client.until_final("after-it", WITHIN).await.unwrap();
    let paid = world
        .ledger()
        .paid_invoices(&world.wallet().address())
        .await
        .unwrap();
    assert!(!paid.contains_key(&cancelled.invoice_id));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancel_that_comes_after_the_payment_is_in_the_open_ledger_loses() {
    let world = held_ledger().await;
    let client = made(&world, "late").await;
    until_stage(&client, "late", TimelineStage::SubmitAnswered).await;
    let asked = cancel(&client, "late").await.unwrap();
    assert_eq!(
        (asked.state(), asked.reason()),
        (PaymentState::AtLarge, PaymentReason::CancelRequested)
    );
    assert!(asked.cancel_requested && !asked.safe_to_repay);
    assert_eq!(
        cancel(&client, "late").await.unwrap().state(),
        PaymentState::AtLarge
    );
    let paid = close_until_final(&world, "late").await;
    assert_eq!(paid.state(), PaymentState::Paid);
    assert!(paid.cancel_requested, "that it was asked for stays told");
    let invoices = world
        .ledger()
        .paid_invoices(&world.wallet().address())
        .await
        .unwrap();
    assert_eq!(invoices.get(&paid.invoice_id), Some(&1));
    let too_late = cancel(&client, "late").await.unwrap();
    assert_eq!(too_late, paid, "a final payment is answered as it is");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancel_of_a_payment_that_the_network_lost_wins() {
    let mut world = held_ledger().await;
    let client = made(&world, "lost").await;
    until_stage(&client, "lost", TimelineStage::SubmitAnswered).await;
    // A server that is killed forgets its open ledger and queue.
    world.kill_ledger();
    let asked = cancel(&client, "lost").await.unwrap();
    assert_eq!(asked.state(), PaymentState::AtLarge);
    world.start_ledger().await.unwrap();
    until_noop_is_sent(&client, "lost").await;
    let cancelled = close_until_final(&world, "lost").await;
    assert_eq!(
        (cancelled.state(), cancelled.reason()),
        (PaymentState::Cancelled, PaymentReason::CancelledByCaller)
    );
    assert!(cancelled.safe_to_repay);
    let evidence = cancelled.evidence.unwrap();
    assert_eq!(evidence.kind(), EvidenceKind::Presence);

    let address = world.wallet().address();
    let history = world.ledger().history(&address).await.unwrap();
    let made_here: Vec<_> = history.iter().filter(|e| e.account == address).collect();
    assert_eq!(made_here.len(), 1, "{made_here:?}");
    assert_eq!(
        (made_here[0].kind.as_str(), &made_here[0].hash),
        ("AccountSet", &evidence.tx_hash)
    );
    assert!(
        made_here[0].fee_drops * 4 > cancelled.versions[0].fee_drops * 5,
        "its fee replaces a payment that is queued"
    );
    // The slot is free for those behind it.
    made(&world, "next").await;
    until_stage(&client, "next", TimelineStage::SubmitAnswered).await;
    let next = close_until_final(&world, "next").await;
    assert_eq!(next.state(), PaymentState::Paid);
}

/// Waits until the newest version is a no-op that was signed.
async fn until_noop_is_sent(client: &Client, payment_id: &str) {
    let deadline = Instant::now() + WITHIN;
    loop {
        let payment = client.get(payment_id).await.unwrap();
        let newest = payment.versions.last().unwrap();
        if newest.kind() == paygate_proto::v1::VersionKind::NoOp && !newest.tx_hash.is_empty() {
            return;
        }
        assert!(Instant::now() < deadline, "{payment:#?}");
        tokio::time::sleep(POLL).await;
    }
}

/// Cancels at drawn moments of many payments' lives: each ends one way, and the ledger says the same.
#[tokio::test(flavor = "multi_thread")]
async fn cancels_at_any_moment_end_as_the_ledger_says() {
    let mut draws = Draws(seed());
    let world = World::start(Setup::default()).await.unwrap();
    let mut callers = JoinSet::new();
    for number in 0..RACES {
        let client = world.client();
        let pause = Duration::from_millis(draws.below(RACE_MS_MAX));
        callers.spawn(async move {
            let id = format!("race-{number}");
            client
                .create(payment(&id, &payee("alice"), DROPS_PER_XRP + number))
                .await
                .unwrap();
            tokio::time::sleep(pause).await;
            let asked = cancel(&client, &id).await.unwrap();
            assert_eq!(
                asked.safe_to_repay,
                asked.state() == PaymentState::Cancelled
            );
            client.until_final(&id, WITHIN).await.unwrap()
        });
    }
    let ended = callers.join_all().await;
    let address = world.wallet().address();
    let invoices = world.ledger().paid_invoices(&address).await.unwrap();
    assert!(invoices.values().all(|times| *times == 1), "{invoices:?}");
    let mut paid = BTreeSet::new();
    for payment in &ended {
        match payment.state() {
            PaymentState::Paid => {
                paid.insert(payment.invoice_id.clone());
            }
            PaymentState::Cancelled => {
                assert_eq!(payment.reason(), PaymentReason::CancelledByCaller);
            }
            other => panic!("{other:?}: {payment:#?}"),
        }
        assert!(payment.evidence.is_some());
    }
    eprintln!("{} of {} were paid", paid.len(), ended.len());
    assert_eq!(
        paid,
        invoices.into_keys().collect::<BTreeSet<_>>(),
        "the ledger agrees"
    );
}
