//! The story of 200 payments during which the gateway, the signer and the ledger's server are killed ten times each.
//!
//! All moments are drawn from one seed, which is printed; `PAYGATE_SEED=N` draws them again. What the processes do in
//! between is theirs, so that a seed repeats the plan and not every interleaving.
#![allow(clippy::unwrap_used, reason = "a story ends where it goes wrong")]
#![allow(clippy::print_stderr, reason = "the seed is the bug report")]

use std::time::{Duration, Instant};

use paygate_proto::v1::{CreatePaymentRequest, Payment, PaymentState, TimelineStage};
use paygate_tests::world::audit::{Audit, audit};
use paygate_tests::world::client::{Client, DROPS_PER_XRP, payment};
use paygate_tests::world::draws::{Draws, seed};
use paygate_tests::world::process::Role;
use paygate_tests::world::wallet::payee;
use paygate_tests::world::{Setup, World};
use serde_json::json;
use tokio::task::JoinSet;

const PAYMENTS: u64 = 200;
const KILLS_OF_EACH: usize = 10;

/// Stories in a row with `PAYGATE_TESTS_FULL=1`, each of another seed.
const FULL_STORIES: u64 = 5;

/// Kills of the gateway beyond the ten, until one has fallen between signing and submitting.
const EXTRA_KILLS_MAX: usize = 30;

const CLOSE_MS: u64 = 400;
const WALLET_XRP: u64 = 10_000;
const PAYEE_XRP: u64 = 100;

/// A caller repeats itself for as long as the whole story may take.
const STORED_WITHIN: Duration = Duration::from_secs(150);

/// From the last kill to the last payment.
const FINAL_WITHIN: Duration = Duration::from_secs(90);

/// Longest a kill waits for the moment between signing and submitting.
const HUNT_WITHIN: Duration = Duration::from_millis(2500);

/// What a killed process had written to a socket arrives within this.
const ARRIVED_WITHIN: Duration = Duration::from_millis(200);

/// Ten kills of each in a drawn order.
fn plan(draws: &mut Draws) -> Vec<Role> {
    let mut kills = [
        [Role::Gateway; KILLS_OF_EACH],
        [Role::Signer; KILLS_OF_EACH],
        [Role::Ledger; KILLS_OF_EACH],
    ]
    .concat();
    for at in (1..kills.len()).rev() {
        kills.swap(at, usize::try_from(draws.below(at as u64 + 1)).unwrap());
    }
    kills
}

fn request(number: u64) -> CreatePaymentRequest {
    // Amounts differ, so that one payment cannot pass for another.
    payment(
        &format!("crash-{number}"),
        &payee("alice"),
        DROPS_PER_XRP + number,
    )
}

/// The 200 payments, handed out bit by bit to callers that repeat themselves until they have an answer.
struct Callers {
    client: Client,
    next: u64,
    running: JoinSet<Payment>,
}

impl Callers {
    fn release(&mut self, count: u64) {
        for number in self.next..(self.next + count).min(PAYMENTS) {
            let client = self.client.clone();
            self.running.spawn(async move {
                client
                    .create_until_stored(&request(number), STORED_WITHIN)
                    .await
                    .unwrap()
            });
        }
        self.next = (self.next + count).min(PAYMENTS);
    }
}

/// Watches the newest payments until one is signed and nothing is noted of its being sent. The hashes of those.
async fn hunt(client: &Client, newest: std::ops::Range<u64>) -> Vec<String> {
    let deadline = Instant::now() + HUNT_WITHIN;
    while Instant::now() < deadline {
        for number in newest.clone() {
            let Ok(explained) = client.explain(&format!("crash-{number}")).await else {
                continue;
            };
            let has = |stage| explained.events.iter().any(|event| event.stage() == stage);
            if has(TimelineStage::Signed) && !has(TimelineStage::Submitted) {
                let versions = explained.payment.unwrap_or_default().versions;
                return versions
                    .into_iter()
                    .map(|version| version.tx_hash)
                    .filter(|hash| !hash.is_empty())
                    .collect();
            }
        }
    }
    Vec::new()
}

/// Kills the gateway, if possible between signing and submitting. True: the ledger's server has never seen what was signed.
async fn kill_gateway(world: &mut World, hunted: std::ops::Range<u64>) -> bool {
    let hashes = hunt(&world.client(), hunted).await;
    world.kill_gateway();
    // What the timeline lacks may have been sent all the same: only the ledger's server knows.
    tokio::time::sleep(ARRIVED_WITHIN).await;
    for hash in &hashes {
        let known = world
            .ledger()
            .ask("tx", json!({ "transaction": hash }))
            .await;
        if !known.is_err_and(|error| error.to_string().contains("txnNotFound")) {
            return false;
        }
    }
    !hashes.is_empty()
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_is_killed_each_payment_is_paid_once() {
    let full = std::env::var_os("PAYGATE_TESTS_FULL").is_some_and(|value| value == "1");
    let first = seed();
    for story in 0..if full { FULL_STORIES } else { 1 } {
        tell(first.wrapping_add(story)).await;
    }
}

async fn tell(seed: u64) {
    eprintln!(
        "to draw the same moments again: PAYGATE_SEED={seed} cargo test -p paygate-tests --test crashes"
    );
    let mut draws = Draws::new(seed);
    let setup = Setup {
        close_ms: CLOSE_MS,
        wallet_xrp: WALLET_XRP,
        funded: vec![(payee("alice"), PAYEE_XRP)],
        daily_limit_xrp: "100000".to_owned(),
        max_pending: 300,
        ..Setup::default()
    };
    let mut world = World::start(setup).await.unwrap();
    let kills = plan(&mut draws);
    let mut callers = Callers {
        client: world.client(),
        next: 0,
        running: JoinSet::new(),
    };
    let mut between = 0;
    for (at, target) in kills.iter().enumerate() {
        // The last few payments are kept for the kills after the plan.
        let per_kill = (PAYMENTS - 20) / kills.len() as u64;
        let newest = callers.next..callers.next + per_kill;
        callers.release(per_kill);
        tokio::time::sleep(draws.millis(50, 900)).await;
        match target {
            // Half of the gateway's kills fall at any moment, half at the one that is hardest.
            Role::Gateway if at % 2 == 0 => world.kill_gateway(),
            Role::Gateway => between += usize::from(kill_gateway(&mut world, newest).await),
            Role::Signer => world.kill_signer(),
            Role::Ledger => world.kill_ledger(),
        }
        tokio::time::sleep(draws.millis(0, 300)).await;
        world.restart(*target).await.unwrap();
    }
    let mut extra = 0;
    while between == 0 {
        assert!(
            extra < EXTRA_KILLS_MAX,
            "no kill fell between signing and submitting"
        );
        extra += 1;
        let newest = callers.next..PAYMENTS.min(callers.next + 1);
        callers.release(1);
        between += usize::from(kill_gateway(&mut world, newest).await);
        world.restart(Role::Gateway).await.unwrap();
    }
    eprintln!(
        "{between} kills fell between signing and submitting; {extra} were needed beyond the plan"
    );
    callers.release(PAYMENTS);
    let stored = callers.running.join_all().await;
    assert_eq!(stored.len() as u64, PAYMENTS);
    let mut paid = Vec::new();
    for number in 0..PAYMENTS {
        let payment = world
            .client()
            .until_final(&format!("crash-{number}"), FINAL_WITHIN)
            .await
            .unwrap();
        assert_eq!(
            payment.state(),
            PaymentState::Paid,
            "crash-{number}: {payment:?}"
        );
        paid.push(payment);
    }
    assert_eq!(audit(&world, &paid).await.unwrap(), Audit::default());
    let delivered: u64 = (0..PAYMENTS).map(|number| DROPS_PER_XRP + number).sum();
    let alice = world.ledger().account(&payee("alice")).await.unwrap();
    let (received, _) = alice.unwrap();
    assert_eq!(received, PAYEE_XRP * DROPS_PER_XRP + delivered);
}
