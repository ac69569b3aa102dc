//! 64 callers at the daily limits of wallet and client, while the gateway is killed: never a drop over, never a drop kept.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use paygate_client::{CallError, Client, Identity, Settings};
use paygate_proto::v1::{
    ListPaymentsRequest, PauseRequest, Payment, PaymentState, payment as proto,
};
use paygate_tests::world::client::payment;
use paygate_tests::world::draws::{Draws, seed};
use paygate_tests::world::wallet::payee;
use paygate_tests::world::{Setup, World};
use tokio::task::JoinSet;

use super::{POLL, WITHIN, token};

const CALLERS: usize = 64;

/// What the wallet's day takes, and the shop's of it; the bank's is the rest.
const DAY: u64 = 20_000_000;
const SHOP_DAY: u64 = 7_000_000;

/// Times that the gateway is killed while the day is filled, and again while it is given back.
const KILLS: u64 = 3;

/// Amounts, in drops: neither divides what is left of a day at every moment.
const AMOUNTS: [u64; 4] = [20_000, 30_000, 50_000, 1_000];

const CLIENTS: &str = r#"[{client_id="shop",scopes=["pay","read"],daily_limit_xrp="7"},{client_id="bank",scopes=["pay","read"],daily_limit_xrp="13"},{client_id="ops",scopes=["operate","read"]}]"#;

/// A caller goes on until he is told to stop: what he was promised is what he counts.
struct Crowd {
    stop: Arc<AtomicBool>,
    stored: Arc<AtomicU64>,
    refused: Arc<AtomicU64>,
    callers: JoinSet<BTreeMap<String, u64>>,
}

fn patient(client: Client) -> Client {
    client.with_settings(Settings {
        attempt_timeout: Duration::from_secs(10),
        total_timeout: Duration::from_secs(60),
        on_repeat: |_, _| {},
    })
}

impl Crowd {
    fn start(shop: &Client, bank: &Client, round: u64) -> Crowd {
        let mut crowd = Crowd {
            stop: Arc::default(),
            stored: Arc::default(),
            refused: Arc::default(),
            callers: JoinSet::new(),
        };
        let to = payee("landlord");
        for caller in 0..CALLERS {
            let client = if caller % 2 == 0 { shop } else { bank }.clone();
            let (stop, stored, refused) = (
                crowd.stop.clone(),
                crowd.stored.clone(),
                crowd.refused.clone(),
            );
            let to = to.clone();
            crowd.callers.spawn(async move {
                let mut mine = BTreeMap::new();
                let mut number = 0;
                while !stop.load(Ordering::Relaxed) {
                    let drops = AMOUNTS[(caller + number) % AMOUNTS.len()];
                    let id = format!("r{round}-c{caller}-{number}");
                    number += 1;
                    match client.create_payment(payment(&id, &to, drops)).await {
                        Ok(_) => {
                            mine.insert(id, drops);
                            stored.fetch_add(1, Ordering::Relaxed);
                        }
                        Err(CallError::Refused(refusal)) => {
                            assert_eq!(refusal.reason, "LIMIT_DAILY", "{refusal:?}");
                            refused.fetch_add(1, Ordering::Relaxed);
                        }
                        // It may be stored, or not: the rows tell.
                        Err(CallError::Unanswered(_)) => {}
                    }
                }
                mine
            });
        }
        crowd
    }

    async fn stored(&self, at_least: u64) {
        reached(&self.stored, at_least).await;
    }

    /// The day is full, and then everybody is refused several times more.
    async fn filled(self, ops: &Client) -> BTreeMap<String, u64> {
        let deadline = Instant::now() + WITHIN;
        while ops.wallet().await.unwrap().limits.unwrap().daily_left_drops > 0 {
            assert!(Instant::now() < deadline, "the day is not filled");
            tokio::time::sleep(POLL).await;
        }
        let from = self.refused.load(Ordering::Relaxed);
        reached(&self.refused, from + 4 * CALLERS as u64).await;
        self.stop.store(true, Ordering::Relaxed);
        let mut all = BTreeMap::new();
        for mine in self.callers.join_all().await {
            all.extend(mine);
        }
        all
    }
}

async fn reached(counter: &AtomicU64, at_least: u64) {
    let deadline = Instant::now() + WITHIN;
    while counter.load(Ordering::Relaxed) < at_least {
        let now = counter.load(Ordering::Relaxed);
        assert!(Instant::now() < deadline, "{now} of {at_least}");
        tokio::time::sleep(POLL).await;
    }
}

/// A gateway that asks for tokens, and whose wallet is paused so that nothing is bound.
async fn guarded() -> (World, Client, Client, Client) {
    let mut world = World::prepare(Setup {
        daily_limit_xrp: "20".to_owned(),
        max_payment_xrp: "10".to_owned(),
        max_pending: 100_000,
        ..Setup::default()
    })
    .await
    .unwrap();
    let mut file = String::new();
    for client in ["shop", "bank", "ops"] {
        let (secret, entry) = token(client, client);
        file.push_str(&format!("{entry}\n"));
        put(&world, &format!("{client}.token"), &secret);
    }
    put(&world, "tokens.toml", &file);
    let tokens = world.path("tokens.toml").display().to_string();
    let variables = [
        ("PAYGATE__SECURITY__REQUIRE_AUTHENTICATION", "true"),
        ("PAYGATE__SECURITY__TOKENS_FILE", &tokens),
        ("PAYGATE__CLIENTS", CLIENTS),
    ];
    let variables = variables.map(|(key, value)| (key.to_owned(), value.to_owned()));
    world.set_gateway_variables(variables.to_vec());
    world.start_signer().await.unwrap();
    world.start_gateway().await.unwrap();
    let endpoint = format!("http://{}", world.listeners().grpc);
    let client = |name: &str| {
        let identity = Identity {
            token_file: Some(world.path(&format!("{name}.token"))),
            ..Identity::default()
        };
        patient(Client::with_identity(&endpoint, &identity).unwrap())
    };
    let (shop, bank, ops) = (client("shop"), client("bank"), client("ops"));
    ops.pause(PauseRequest {
        reason: "a story".to_owned(),
        scope: None,
    })
    .await
    .unwrap();
    (world, shop, bank, ops)
}

fn put(world: &World, name: &str, text: &str) {
    paygate_tests::world::pki::put(&world.path(name), text).unwrap();
}

async fn all(ops: &Client) -> Vec<Payment> {
    let mut found = Vec::new();
    let mut asked = ListPaymentsRequest::default();
    loop {
        let page = ops.list_payments(asked.clone()).await.unwrap();
        found.extend(page.payments);
        if page.next_page_token.is_empty() {
            return found;
        }
        asked.page_token = page.next_page_token;
    }
}

fn drops(payment: &Payment) -> u64 {
    match payment.amount {
        Some(proto::Amount::XrpDrops(drops)) => drops,
        _ => panic!("not in XRP: {payment:?}"),
    }
}

/// What stands fills all three limits to the last drop; and what was promised stands.
async fn is_exactly_full(ops: &Client, promised: &BTreeMap<String, u64>) {
    let stand: Vec<Payment> = all(ops).await;
    let stand = stand
        .iter()
        .filter(|payment| payment.state() == PaymentState::Accepted);
    let (mut sum, mut of_shop, mut found) = (0, 0, BTreeMap::new());
    for payment in stand {
        sum += drops(payment);
        if payment.client_id == "shop" {
            of_shop += drops(payment);
        }
        found.insert(payment.payment_id.clone(), drops(payment));
    }
    assert_eq!(sum, DAY);
    assert_eq!(of_shop, SHOP_DAY);
    for (id, amount) in promised {
        assert_eq!(found.get(id), Some(amount), "{id} was promised");
    }
    let limits = ops.wallet().await.unwrap().limits.unwrap();
    assert_eq!((limits.daily_used_drops, limits.daily_left_drops), (DAY, 0));
}

/// Everything is cancelled, by as many callers, and the gateway is killed meanwhile.
async fn give_back(world: &mut World, [shop, bank, ops]: [&Client; 3], draws: &mut Draws) {
    let mut waiting = all(ops).await;
    waiting.retain(|payment| payment.state() == PaymentState::Accepted);
    let count = waiting.len() as u64;
    let done = Arc::new(AtomicU64::new(0));
    let mut callers: Vec<Vec<Payment>> = vec![Vec::new(); CALLERS];
    for (at, payment) in waiting.into_iter().enumerate() {
        callers[at % CALLERS].push(payment);
    }
    let mut cancels = JoinSet::new();
    for mine in callers {
        let (shop, bank, done) = (shop.clone(), bank.clone(), done.clone());
        cancels.spawn(async move {
            for payment in mine {
                let client = if payment.client_id == "shop" {
                    &shop
                } else {
                    &bank
                };
                cancel(client, &payment.payment_id).await;
                done.fetch_add(1, Ordering::Relaxed);
            }
        });
    }
    for kill in 1..=KILLS {
        reached(&done, count * kill / (KILLS + 2)).await;
        tokio::time::sleep(draws.millis(0, 50)).await;
        world.kill_gateway();
        world.start_gateway().await.unwrap();
    }
    cancels.join_all().await;
}

/// Until it is cancelled: after a start a cancel is stored and waits for the comparison of store, signer and ledger.
async fn cancel(client: &Client, id: &str) {
    let deadline = Instant::now() + WITHIN;
    loop {
        if let Ok(payment) = client.cancel_payment(id, "").await
            && payment.state() == PaymentState::Cancelled
        {
            return;
        }
        assert!(Instant::now() < deadline, "{id} is not cancelled");
        tokio::time::sleep(POLL).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sixty_four_callers_and_kills_never_pass_a_limit_nor_leave_anything_reserved() {
    let seed = seed();
    eprintln!("PAYGATE_SEED={seed}");
    let mut draws = Draws::new(seed);
    let (mut world, shop, bank, ops) = guarded().await;
    let began = Instant::now();
    let rounds = match std::env::var("PAYGATE_TESTS_FULL") {
        Ok(full) if full == "1" => 8,
        _ => 1,
    };
    let mut stored = 0;
    for round in 0..rounds {
        let crowd = Crowd::start(&shop, &bank, round);
        for kill in 1..=KILLS {
            crowd.stored(kill * 100).await;
            tokio::time::sleep(draws.millis(0, 50)).await;
            world.kill_gateway();
            world.start_gateway().await.unwrap();
        }
        let promised = crowd.filled(&ops).await;
        stored += promised.len();
        is_exactly_full(&ops, &promised).await;
        give_back(&mut world, [&shop, &bank, &ops], &mut draws).await;
        let limits = ops.wallet().await.unwrap().limits.unwrap();
        assert_eq!((limits.daily_used_drops, limits.pending_payments), (0, 0));
        assert_eq!(
            limits.daily_left_drops, DAY,
            "the head-room is back to the last drop"
        );
    }
    let kills = 2 * KILLS * rounds;
    eprintln!(
        "{stored} payments stored to the last drop and given back, {kills} kills, in {:?}",
        began.elapsed()
    );
}
