//! Stories with several ledger servers: one lies, one is gone, one stands still; who is believed, and what comes of payments.
#![allow(clippy::unwrap_used, reason = "a story ends where it goes wrong")]

mod fleet {
    pub(crate) mod relay;
}

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use fleet::relay::{Conduct, Edit, Relay, refuse};
use paygate_proto::v1::{Payment, PaymentState, TimelineStage};
use paygate_tests::world::client::{DROPS_PER_XRP, payment};
use paygate_tests::world::wallet::payee;
use paygate_tests::world::{Setup, World, http};
use serde_json::{Value, json};

/// More than anything of these stories takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// Between two looks at a condition.
const LOOK: Duration = Duration::from_millis(100);

/// A world whose gateway sees the ledger only through these relays, of whose operators two must agree.
async fn world(close_ms: u64, servers: Vec<(&'static str, Conduct)>) -> (World, Vec<Relay>) {
    let setup = Setup {
        close_ms,
        ..Setup::default()
    };
    // The ledger runs first: the relays need its address, and the gateway theirs.
    let mut world = World::prepare(setup).await.unwrap();
    let (ledger, _) = world.ledger_urls();
    let ledger = ledger.to_owned();
    let mut relays = Vec::new();
    for (operator, conduct) in servers {
        relays.push(Relay::before(&ledger, operator, conduct).await);
    }
    let entries: Vec<String> = relays.iter().map(Relay::entry).collect();
    let set = |key: &str, value: String| (format!("PAYGATE__XRPL__{key}"), value);
    world.set_gateway_variables(vec![
        set("SERVERS", format!("[{}]", entries.join(","))),
        set("AGREEMENT", "2".to_owned()),
        set("SUBMIT_RATE_PER_SECOND", "100".to_owned()),
        set("REQUEST_TIMEOUT_MS", "5000".to_owned()),
    ]);
    world.start_signer().await.unwrap();
    world.start_gateway().await.unwrap();
    (world, relays)
}

async fn create(world: &World, ids: &[String]) {
    for id in ids {
        let request = payment(id, &payee("alice"), DROPS_PER_XRP);
        world.client().create(request).await.unwrap();
    }
}

fn ids(what: &str, count: u32) -> Vec<String> {
    (0..count).map(|n| format!("{what}-{n}")).collect()
}

async fn all_paid(world: &World, ids: &[String]) -> Vec<Payment> {
    let mut paid = Vec::new();
    for id in ids {
        let payment = world.client().until_final(id, PATIENCE).await.unwrap();
        assert_eq!(payment.state(), PaymentState::Paid, "{payment:?}");
        paid.push(payment);
    }
    let address = world.wallet().address();
    let invoices = world.ledger().paid_invoices(&address).await.unwrap();
    assert_eq!(invoices.len(), ids.len(), "the ledger has each");
    assert!(invoices.values().all(|times| *times == 1), "{invoices:?}");
    paid
}

async fn health(world: &World) -> Value {
    let answer = http::get(&world.listeners().metrics, "/health")
        .await
        .unwrap();
    serde_json::from_str(&answer.body).unwrap()
}

fn server<'a>(health: &'a Value, name: &str) -> &'a Value {
    let servers = health["servers"].as_array().unwrap();
    let found = servers.iter().find(|server| server["name"] == name);
    found.unwrap_or(&Value::Null)
}

/// Waits until health says something of a server.
async fn says(world: &World, name: &str, wanted: impl Fn(&Value) -> bool) -> Value {
    let shown = tokio::time::timeout(PATIENCE, async {
        loop {
            let health = health(world).await;
            if wanted(server(&health, name)) {
                return health;
            }
            tokio::time::sleep(LOOK).await;
        }
    });
    match shown.await {
        Ok(health) => health,
        Err(_) => panic!("of {name}: {}", health(world).await),
    }
}

fn has_reason(text: &'static str) -> impl Fn(&Value) -> bool {
    move |server| {
        let reason = server["reason"].as_str().unwrap_or_default();
        reason.contains(text)
    }
}

// === lies ===

/// The wallet's Sequence is one lower than it is: a slot that was used looks open.
fn false_sequence(request: &Value, said: &mut Value) {
    let sequence = &mut said["result"]["account_data"]["Sequence"];
    if request["command"] == "account_info"
        && let Some(number) = sequence.as_u64()
    {
        *sequence = json!(number - 1);
    }
}

/// What was paid looks failed.
fn false_transaction(request: &Value, said: &mut Value) {
    if request["command"] == "account_tx" {
        for tx in said["result"]["transactions"]
            .as_array_mut()
            .into_iter()
            .flatten()
        {
            tx["meta"]["TransactionResult"] = json!("tecNO_PERMISSION");
        }
    }
}

/// What was paid is not there.
fn missing_transaction(request: &Value, said: &mut Value) {
    if request["command"] == "account_tx" && said["result"]["transactions"].is_array() {
        said["result"]["transactions"] = json!([]);
    }
}

async fn one_of_three_lies(lie: Edit, words: &'static str) {
    // The liar is the one that is preferred.
    let servers = vec![
        ("mallory", Conduct::Lies(lie)),
        ("alpha", Conduct::Honest),
        ("beta", Conduct::Honest),
    ];
    let (world, _relays) = world(400, servers).await;
    let ids = ids("lied-about", 3);
    create(&world, &ids).await;
    for payment in all_paid(&world, &ids).await {
        let said_so: BTreeSet<String> = payment.evidence.unwrap().servers.into_iter().collect();
        let honest = ["alpha", "beta"].map(str::to_owned);
        assert_eq!(said_so, BTreeSet::from(honest));
    }
    let health = says(&world, "mallory", has_reason(words)).await;
    let liar = server(&health, "mallory");
    assert_eq!(liar["state"], "set aside", "{liar}");
    let xrpl = &health["checks"][0];
    assert_eq!(
        (&xrpl["name"], &xrpl["status"]),
        (&json!("xrpl"), &json!("degraded"))
    );
    assert!(
        xrpl["detail"].as_str().unwrap().contains("mallory"),
        "{xrpl}"
    );
    let metrics = http::get(&world.listeners().metrics, "/metrics")
        .await
        .unwrap();
    let lines: Vec<&str> = metrics.body.lines().collect();
    let count = |name: &str| {
        let line = format!(r#"paygate_xrpl_disagreements_total{{server="{name}"}} "#);
        let line = lines.iter().find_map(|l| l.strip_prefix(&line)).unwrap();
        line.parse::<u32>().unwrap()
    };
    assert!(count("mallory") >= 1);
    assert_eq!((count("alpha"), count("beta")), (0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_tells_a_false_sequence_is_believed_by_nobody() {
    one_of_three_lies(Arc::new(false_sequence), "its account_info").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_tells_a_false_result_is_believed_by_nobody() {
    one_of_three_lies(Arc::new(false_transaction), "as no other has it").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_hides_a_transaction_is_believed_by_nobody() {
    one_of_three_lies(Arc::new(missing_transaction), "lacks transaction").await;
}

// === absence ===

#[tokio::test(flavor = "multi_thread")]
async fn a_burst_goes_on_through_another_server_when_the_primary_dies() {
    let servers = vec![
        ("alpha", Conduct::Honest),
        ("beta", Conduct::Honest),
        ("gamma", Conduct::Honest),
    ];
    let (world, relays) = world(400, servers).await;
    let ids = ids("burst", 30);
    create(&world, &ids[..1]).await;
    all_paid(&world, &ids[..1]).await;
    create(&world, &ids[1..]).await;
    tokio::time::timeout(PATIENCE, async {
        while relays[0].submits() < 4 {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    })
    .await
    .expect("the burst has begun");
    relays[0].turns(Conduct::Gone);
    all_paid(&world, &ids).await;
    says(&world, "alpha", |s| s["state"] == "set aside").await;
    // Another one takes over with the next look at the servers, and what all of them answered is noted as the answers come.
    let taken_over = async {
        while !another_is_primary(&world).await || !all_have_answered(&world, &ids).await {
            tokio::time::sleep(LOOK).await;
        }
    };
    tokio::time::timeout(PATIENCE, taken_over)
        .await
        .expect("another server is primary, and both others answered for some payment");
}

async fn another_is_primary(world: &World) -> bool {
    let health = health(world).await;
    ["beta", "gamma"]
        .iter()
        .any(|name| server(&health, name)["state"] == "primary")
}

/// Whether the timelines of these payments hold answers of both servers that stayed.
async fn all_have_answered(world: &World, ids: &[String]) -> bool {
    let mut answered = BTreeSet::new();
    for id in ids {
        let timeline = world.client().explain(id).await.unwrap().events;
        let submits = timeline
            .into_iter()
            .filter(|e| e.stage() == TimelineStage::SubmitAnswered);
        answered.extend(submits.filter_map(|entry| entry.details.get("server").cloned()));
    }
    ["beta", "gamma"]
        .iter()
        .all(|name| answered.contains(*name))
}

#[tokio::test(flavor = "multi_thread")]
async fn with_too_few_servers_nothing_is_decided_and_nothing_is_lost() {
    let servers = vec![
        ("alpha", Conduct::Honest),
        ("beta", Conduct::Honest),
        ("gamma", Conduct::Honest),
    ];
    let (world, relays) = world(0, servers).await;
    let ids = ids("waits", 4);
    world.ledger().close_ledger().await.unwrap();
    create(&world, &ids).await;
    let state = |id: String| {
        let client = world.client();
        async move { client.get(&id).await.unwrap() }
    };
    let sent = async {
        for id in &ids {
            loop {
                let timeline = world.client().explain(id).await.unwrap().events;
                if timeline
                    .iter()
                    .any(|e| e.stage() == TimelineStage::SubmitAnswered)
                {
                    break;
                }
                tokio::time::sleep(LOOK).await;
            }
        }
    };
    tokio::time::timeout(PATIENCE, sent)
        .await
        .expect("all are sent");
    relays[1].turns(Conduct::Gone);
    relays[2].turns(Conduct::Gone);
    for name in ["beta", "gamma"] {
        says(&world, name, |s| s["state"] == "set aside").await;
    }
    // Far past every LastLedgerSequence: the one server that is left tells all of it.
    for _ in 0..30 {
        world.ledger().close_ledger().await.unwrap();
    }
    let seen = says(&world, "alpha", |s| {
        s["validated_ledger"].as_u64() > Some(30)
    })
    .await;
    let ledger = seen["checks"][0]["detail"].as_str().unwrap();
    assert!(ledger.contains("2 operators must agree"), "{ledger}");
    for id in &ids {
        let payment = state(id.clone()).await;
        assert_eq!(payment.state(), PaymentState::AtLarge, "{payment:?}");
        assert!(!payment.safe_to_repay);
    }
    relays[1].turns(Conduct::Honest);
    relays[2].turns(Conduct::Honest);
    all_paid(&world, &ids).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn servers_that_are_of_little_use_are_named_and_harm_nobody() {
    // It knows the present, and nothing of the wallet's past.
    let forgets: Edit = Arc::new(|request, said| {
        if request["command"] == "account_tx" {
            refuse(said, "lgrIdxMalformed");
        }
    });
    let servers = vec![
        ("limiter", Conduct::LimitsRate(3)),
        ("forgetful", Conduct::Lies(forgets)),
        ("still", Conduct::StandsStill),
        ("alpha", Conduct::Honest),
        ("beta", Conduct::Honest),
    ];
    let (world, _relays) = world(400, servers).await;
    let ids = ids("among-them", 12);
    create(&world, &ids).await;
    all_paid(&world, &ids).await;
    // So many ledgers behind, or, if this took long, for so long where it is.
    says(&world, "still", |s| {
        s["lag_ledgers"].as_u64() > Some(4) && s["state"] == "only if needed"
    })
    .await;
    says(&world, "forgetful", has_reason("does not hold the ledgers")).await;
    says(&world, "limiter", |s| s["state"] != "primary").await;
    let health = health(&world).await;
    assert!(["primary", "used"].contains(&server(&health, "alpha")["state"].as_str().unwrap()));
}
