//! A roll-out by a person with `paygatectl`, through the four shipped stages, with real processes: what each lets in, what stands before the
//! next one, and that going back acts at once. Time is compressed; nothing else of the stages' times is.
//!
//! Costs about 6 s in a debug build.
#![allow(clippy::unwrap_used, reason = "a story ends where it goes wrong")]

use std::fs;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use paygate_proto::v1::{
    BatchCreatePaymentsRequest, CreatePaymentRequest, ListAuditEntriesRequest, PaymentState,
    batch_item,
};
use paygate_tests::world::client::{DROPS_PER_XRP, payment};
use paygate_tests::world::wallet::payee;
use paygate_tests::world::{Setup, World, http};
use serde_json::Value;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

const WITHIN: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(50);

const SHIPPED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy/rollout/stages.toml");
const PRODUCTION: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../deploy/paygate.production.toml"
);

/// A week lasts a second.
const TIME_FACTOR: &str = "time_factor = 604800\n";

const KEY: &str = "PAYGATE__ROLLOUT__STAGES_PATH";

/// The shipped stages for a world with one client, `local`, which is none of the second stage's; and with fewer payments.
fn stages() -> String {
    let shipped = fs::read_to_string(SHIPPED).unwrap();
    let ours = shipped
        .replace("clients = [\"internal\"]", "clients = [\"local\"]")
        .replace(
            "clients = [\"internal\", \"shop\"]",
            "clients = [\"somebody\"]",
        );
    let counts = ["10", "100", "1000"];
    let fewer = counts.iter().fold(ours, |text, count| {
        text.replace(&format!("at_least = {count}\n"), "at_least = 1\n")
    });
    format!("{TIME_FACTOR}{fewer}")
}

/// What a command left behind.
struct Said {
    code: i32,
    json: Value,
}

fn types(world: &World, arguments: &[&str]) -> Output {
    Command::new(&world.binaries().ctl)
        .args(arguments)
        .env_clear()
        .env(
            "PAYGATE_ENDPOINT",
            format!("http://{}", world.listeners().grpc),
        )
        .output()
        .unwrap()
}

fn rollout(world: &World, arguments: &[&str]) -> Said {
    let output = types(
        world,
        &[&["--output", "json", "rollout"], arguments].concat(),
    );
    Said {
        code: output.status.code().unwrap(),
        json: serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|error| panic!("{error}: {output:?}")),
    }
}

impl Said {
    #[track_caller]
    fn done(self) -> Value {
        assert_eq!(self.code, 0, "{}", self.json);
        self.json
    }

    /// The criteria that a promotion was refused for.
    #[track_caller]
    fn unmet(self) -> Vec<String> {
        assert_eq!(self.code, 3, "{}", self.json);
        let found = find(&self.json, "unmet").unwrap_or_else(|| panic!("{}", self.json));
        let names = found.as_str().unwrap().split(',');
        names.map(str::to_owned).collect()
    }
}

/// The value of a key, wherever it is.
fn find<'a>(value: &'a Value, key: &str) -> Option<&'a Value> {
    match value {
        Value::Object(fields) => fields
            .get(key)
            .or_else(|| fields.values().find_map(|inner| find(inner, key))),
        Value::Array(items) => items.iter().find_map(|item| find(item, key)),
        _ => None,
    }
}

/// Outcome of each criterion, as it stands now.
fn outcomes(world: &World) -> Vec<(String, String)> {
    let stage = rollout(world, &["show"]).done();
    let criteria = stage["criteria"].as_array().unwrap().clone();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    criteria
        .iter()
        .map(|criterion| (text(&criterion["name"]), text(&criterion["outcome"])))
        .collect()
}

/// Waits until nothing stands before the next stage, and goes on to it.
async fn promoted(world: &World, to: &str) {
    let deadline = Instant::now() + WITHIN;
    loop {
        let stage = rollout(world, &["show"]).done();
        if stage["unmet_conditions"].as_array().unwrap().is_empty() {
            break;
        }
        assert!(Instant::now() < deadline, "{stage:#}");
        tokio::time::sleep(POLL).await;
    }
    let stage = rollout(world, &["promote", "--reason", "signed by treasury"]).done();
    assert_eq!(stage["stage"], to);
}

fn xrp(id: &str, xrp: u64) -> CreatePaymentRequest {
    payment(id, &payee("alice"), xrp * DROPS_PER_XRP)
}

/// What the refusal of a payment says: code, reason, and what names the stage. The same alone, in a batch, and for who only asks.
async fn refused(world: &World, request: CreatePaymentRequest) -> (Code, String, String) {
    let client = world.client();
    let alone = client.create(request.clone()).await.unwrap_err();
    let asked = CreatePaymentRequest {
        validate_only: true,
        ..request.clone()
    };
    let asked = client.create(asked).await.unwrap_err();
    let batch = BatchCreatePaymentsRequest {
        payments: vec![request],
    };
    let batch = client
        .payments()
        .batch_create_payments(batch)
        .await
        .unwrap();
    let item = batch.into_inner().items.remove(0).outcome.unwrap();
    let batch_item::Outcome::Error(item) = item else {
        panic!("let in: {item:?}");
    };
    let reason = |status: &Status| status.get_details_error_info().unwrap().reason;
    assert_eq!(alone.message(), asked.message());
    assert_eq!(alone.message(), item.message);
    assert_eq!(reason(&alone), reason(&asked));
    assert_eq!(reason(&alone), item.reason);
    (alone.code(), item.reason, alone.message().to_owned())
}

async fn paid(world: &World, id: &str, amount: u64) {
    let client = world.client();
    client
        .create_until_stored(&xrp(id, amount), WITHIN)
        .await
        .unwrap();
    let paid = client.until_final(id, WITHIN).await.unwrap();
    assert_eq!(paid.state(), PaymentState::Paid, "{paid:?}");
}

/// What people and the gateway did, oldest first: method and reason.
async fn audited(world: &World) -> Vec<(String, String, i32)> {
    let request = ListAuditEntriesRequest {
        page_size: 1000,
        ..ListAuditEntriesRequest::default()
    };
    let page = world
        .client()
        .operations()
        .list_audit_entries(request)
        .await
        .unwrap()
        .into_inner();
    let line = |entry: paygate_proto::v1::AuditEntry| {
        let method = entry.method.rsplit('/').next().unwrap_or_default();
        (method.to_owned(), entry.reason.clone(), entry.code)
    };
    page.entries.into_iter().rev().map(line).collect()
}

#[track_caller]
fn names_stage(told: &(Code, String, String), code: Code, reason: &str, stage: &str) {
    assert_eq!((told.0, told.1.as_str()), (code, reason), "{told:?}");
    assert!(told.2.contains(&format!("stage {stage}")), "{told:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn four_stages_are_walked_and_going_back_acts_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("stages.toml");
    fs::write(&file, stages()).unwrap();
    let variables = vec![(KEY.to_owned(), file.display().to_string())];
    let mut world = World::start(Setup {
        gateway_variables: variables,
        ..Setup::default()
    })
    .await
    .unwrap();

    // Internal: 10 XRP a payment, 100 a day.
    let told = refused(&world, xrp("large", 11)).await;
    names_stage(
        &told,
        Code::InvalidArgument,
        "LIMIT_PAYMENT_MAX",
        "internal",
    );
    assert!(
        told.2.contains("11 XRP") && told.2.contains("10 XRP"),
        "{}",
        told.2
    );
    // Nothing is paid yet, and nobody reads the metrics: neither criterion holds, however long it lasts.
    let unmet = rollout(&world, &["promote", "--reason", "too early"]).unmet();
    for criterion in ["all-confirmed", "monitoring-works"] {
        assert!(unmet.contains(&criterion.to_owned()), "{unmet:?}");
    }
    for number in 0..10 {
        let request = xrp(&format!("test-{number}"), 10);
        let client = world.client();
        client.create_until_stored(&request, WITHIN).await.unwrap();
    }
    let told = refused(&world, xrp("more", 1)).await;
    names_stage(&told, Code::ResourceExhausted, "LIMIT_DAILY", "internal");
    for number in 0..10 {
        let client = world.client();
        let id = format!("test-{number}");
        client.until_final(&id, WITHIN).await.unwrap();
    }
    let metrics = http::get(&world.listeners().metrics, "/metrics").await;
    assert!(metrics.unwrap().body.contains("paygate_rollout_stage 1"));
    promoted(&world, "limited-beta").await;

    // Limited beta: killed and started again, the gateway is where it was.
    let since = rollout(&world, &["show"]).done()["since"].clone();
    world.kill_gateway();
    world.start_gateway().await.unwrap();
    let stage = rollout(&world, &["show"]).done();
    assert_eq!(
        (&stage["stage"], &stage["since"]),
        (&"limited-beta".into(), &since)
    );
    let told = refused(&world, xrp("not-listed", 1)).await;
    names_stage(
        &told,
        Code::PermissionDenied,
        "ROLLOUT_STAGE",
        "limited-beta",
    );
    let again = world.client().create(xrp("test-0", 10)).await.unwrap();
    assert_eq!(
        again.state(),
        PaymentState::Paid,
        "what is stored is answered"
    );
    // Nobody may pay here, so two criteria cannot hold; and one only a person knows.
    let mut unmet = rollout(&world, &["promote", "--reason", "too early"]).unmet();
    unmet.retain(|criterion| criterion != "duration");
    let wanted = ["error-rate", "confirmed-in-time", "no-security-incident"];
    assert_eq!(unmet, wanted);
    let record = |criterion: &str, verdict: &str, reason: &str| {
        rollout(&world, &["record", criterion, verdict, "--reason", reason])
    };
    let word = record("error-rate", "passed", "it looked good");
    assert_eq!(word.code, 3, "{}", word.json);
    let why = "nobody was let in, ticket 4712";
    for _ in 0..2 {
        record("error-rate", "override", why).done();
    }
    record("confirmed-in-time", "override", why).done();
    record("no-security-incident", "passed", "asked security").done();
    promoted(&world, "public-beta").await;
    let log = audited(&world).await;
    let is_override = |(method, reason, code): &&(String, String, i32)| {
        method == "RecordRollout" && reason == why && *code == 0
    };
    assert_eq!(log.iter().filter(is_override).count(), 2, "{log:?}");
    let evaluated = log
        .iter()
        .rfind(|(method, ..)| method == "rollout evaluation");
    let evaluated = &evaluated.unwrap().1;
    assert!(
        evaluated.contains("error-rate overridden (0 of 0 (none); below 1 %, of at least 1)"),
        "{evaluated}"
    );
    let shown = types(&world, &["rollout", "show"]);
    let shown = String::from_utf8(shown.stdout).unwrap();
    for word in [
        "stage public-beta",
        "feedback-positive",
        "UNSAID",
        "promoted",
    ] {
        assert!(shown.contains(word), "{word} is not in\n{shown}");
    }

    // Public beta: 500 XRP a payment, but the configuration says 100, and holds.
    let told = refused(&world, xrp("large", 101)).await;
    assert_eq!(told.1, "LIMIT_PAYMENT_MAX");
    assert!(told.2.contains("limits.max_payment_xrp"), "{}", told.2);
    paid(&world, "beta", 60).await;
    rollout(
        &world,
        &[
            "record",
            "feedback-positive",
            "failed",
            "--reason",
            "two complaints",
        ],
    )
    .done();
    let failed = ("feedback-positive".to_owned(), "FAILED".to_owned());
    assert!(outcomes(&world).contains(&failed), "{:?}", outcomes(&world));
    rollout(
        &world,
        &[
            "record",
            "feedback-positive",
            "passed",
            "--reason",
            "both repaired",
        ],
    )
    .done();
    promoted(&world, "general").await;
    let stage = rollout(&world, &["show"]).done();
    assert_eq!(
        (&stage["next_stage"], &stage["criteria"]),
        (&"".into(), &Value::Array(vec![]))
    );
    world.client().create(xrp("general", 70)).await.unwrap();

    // Back to the first one: the next payment meets its limits. What is stored goes on. A second word changes nothing.
    for _ in 0..2 {
        let back = ["rollback", "--to", "internal", "--reason", "odd payments"];
        assert_eq!(rollout(&world, &back).done()["stage"], "internal");
        let told = refused(&world, xrp("after", 70)).await;
        names_stage(
            &told,
            Code::InvalidArgument,
            "LIMIT_PAYMENT_MAX",
            "internal",
        );
    }
    let told = refused(&world, xrp("after", 1)).await;
    names_stage(&told, Code::ResourceExhausted, "LIMIT_DAILY", "internal");
    let client = world.client();
    let stored = client.until_final("general", WITHIN).await.unwrap();
    assert_eq!(stored.state(), PaymentState::Paid);
    let log = audited(&world).await;
    let backs = log
        .iter()
        .filter(|(method, ..)| method == "RollbackRollout");
    assert_eq!(backs.count(), 1, "{log:?}");
    let verified = types(&world, &["audit", "verify"]);
    assert!(verified.status.success(), "{verified:?}");
    world.stop().await.unwrap();
}

#[test]
fn production_refuses_compressed_time_and_dev_does_not() {
    let gateway = paygate_tests::world::binaries::build().unwrap().gateway;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("stages.toml");
    let checks = |text: &str, profile: &str| {
        fs::write(&file, text).unwrap();
        let output = Command::new(&gateway)
            .args(["check-config", "--config", PRODUCTION, "--profile", profile])
            .env_clear()
            .env(KEY, &file)
            .output()
            .unwrap();
        let told = String::from_utf8(output.stderr).unwrap();
        (output.status.code().unwrap(), told)
    };
    let shipped = fs::read_to_string(SHIPPED).unwrap();
    let compressed = format!("{TIME_FACTOR}{shipped}");
    assert_eq!(checks(&shipped, "production").0, 0);
    assert_eq!(checks(&compressed, "dev").0, 0);
    let (code, told) = checks(&compressed, "production");
    assert_eq!(code, 64, "{told}");
    assert!(
        told.contains("rollout.stages_path") && told.contains("production refuses compressed time"),
        "{told}"
    );
}
