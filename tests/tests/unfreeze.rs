//! A person on duty: lets sending go on after a freeze, pauses and resumes, and reads what was done.
#![allow(clippy::unwrap_used, reason = "a story ends where it goes wrong")]

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use paygate_proto::v1::{PaymentReason, PaymentState};
use paygate_tests::world::client::{DROPS_PER_XRP, payment};
use paygate_tests::world::person::{Person, Rule};
use paygate_tests::world::wallet::payee;
use paygate_tests::world::{Setup, World};
use serde_json::Value;

/// More than anything in this story takes on a busy machine.
const WITHIN: Duration = Duration::from_secs(60);

const POLL: Duration = Duration::from_millis(50);

/// What a command left behind, typed where nobody can be asked.
fn types(world: &World, arguments: &[&str]) -> (i32, String, String) {
    let output = Command::new(&world.binaries().ctl)
        .args(arguments)
        .env_clear()
        .env(
            "PAYGATE_ENDPOINT",
            format!("http://{}", world.listeners().grpc),
        )
        .stdin(Stdio::null())
        .output()
        .unwrap();
    (
        output.status.code().unwrap(),
        String::from_utf8(output.stdout).unwrap(),
        String::from_utf8(output.stderr).unwrap(),
    )
}

fn asks(world: &World, arguments: &[&str]) -> (i32, Value) {
    let (code, out, err) = types(world, &[&["--output", "json"], arguments].concat());
    let json = serde_json::from_str(&out).unwrap_or_else(|_| panic!("{out}{err}"));
    (code, json)
}

#[tokio::test(flavor = "multi_thread")]
async fn sending_goes_on_once_a_person_has_named_the_foreign_transaction() {
    let world = World::start(Setup::default()).await.unwrap();
    let (code, answer) = asks(&world, &["unfreeze", "--reason", "just looking"]);
    assert_eq!(
        (code, &answer["freeze"]["active"]),
        (0, &Value::Bool(false))
    );

    // Somebody who has the key uses it beside the gateway.
    let stranger = Person::with(world.wallet().clone(), &world.ledger());
    let made = stranger.sets(Rule::DestinationTag, true).await.unwrap();
    assert_eq!(made, "tesSUCCESS");
    let deadline = Instant::now() + WITHIN;
    while asks(&world, &["status"]).1["freeze"]["active"] != true {
        assert!(Instant::now() < deadline, "it does not freeze");
        tokio::time::sleep(POLL).await;
    }
    let client = world.client();
    let waiting = payment("waiting", &payee("alice"), 5 * DROPS_PER_XRP);
    let stored = client.create(waiting).await.unwrap();
    assert_eq!(
        (stored.state(), stored.reason()),
        (PaymentState::Accepted, PaymentReason::WalletFrozen)
    );

    let (code, _, told) = types(&world, &["unfreeze", "--reason", "made by hand"]);
    assert_eq!(code, 64, "nobody can be asked, and nobody said --yes");
    assert!(
        told.contains("was not made here") && told.contains("--yes"),
        "{told}"
    );
    let (code, _, told) = types(&world, &["unfreeze", "--reason", "made by hand", "--yes"]);
    assert_eq!(code, 3, "{told}");
    assert!(told.contains("--acknowledge"), "{told}");
    let unnamed = ["unfreeze", "--reason", "made by hand", "--yes"];
    let (code, refused) = asks(&world, &unnamed);
    assert_eq!(code, 3);
    let foreign = refused["error"]["metadata"]["unacknowledged"]
        .as_str()
        .unwrap();
    assert_eq!(
        client.get("waiting").await.unwrap().state(),
        PaymentState::Accepted
    );

    let named = [&unnamed[..], &["--acknowledge", foreign]].concat();
    let (code, answer) = asks(&world, &named);
    assert_eq!(
        (code, &answer["freeze"]["active"]),
        (0, &Value::Bool(false))
    );
    let paid = client.until_final("waiting", WITHIN).await.unwrap();
    assert_eq!(paid.state(), PaymentState::Paid);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pause_lasts_over_a_kill_and_the_log_of_it_is_whole() {
    let setup = Setup {
        gateway_variables: vec![(
            "PAYGATE__LIMITS__APPROVAL_THRESHOLD_XRP".into(),
            "20".into(),
        )],
        ..Setup::default()
    };
    let mut world = World::start(setup).await.unwrap();
    let (code, paused) = asks(&world, &["pause", "--reason", "ticket 17"]);
    assert_eq!((code, &paused["pause"]["active"]), (0, &Value::Bool(true)));
    let client = world.client();
    let alice = payee("alice");
    let waiting = payment("waiting", &alice, 5 * DROPS_PER_XRP);
    let stored = client.create(waiting).await.unwrap();
    let is_paused = (PaymentState::Accepted, PaymentReason::Paused);
    assert_eq!((stored.state(), stored.reason()), is_paused);

    world.kill_gateway();
    world.start_gateway().await.unwrap();
    let (_, status) = asks(&world, &["status"]);
    assert_eq!(status["pause"]["reason"], "ticket 17");
    let client = world.client();
    let seen = client.get("waiting").await.unwrap();
    assert_eq!((seen.state(), seen.reason()), is_paused);
    let (code, _) = asks(&world, &["resume", "--reason", "looked at"]);
    assert_eq!(code, 0);
    let paid = client.until_final("waiting", WITHIN).await.unwrap();
    assert_eq!(paid.state(), PaymentState::Paid);

    // Without authentication there is one client, and it does not approve its own payments.
    let large = payment("large", &alice, 25 * DROPS_PER_XRP);
    let stored = client.create(large).await.unwrap();
    assert_eq!(stored.state(), PaymentState::AwaitingApproval);
    let (_, listed) = asks(&world, &["approvals"]);
    assert_eq!(listed["payments"][0]["payment_id"], "large");
    let approve = ["approve", "local", "large", "25", "--to", &alice];
    let (code, refused) = asks(&world, &approve);
    assert_eq!(
        (code, refused["error"]["reason"].as_str()),
        (3, Some("APPROVER_IS_CREATOR"))
    );

    let (code, whole) = asks(&world, &["audit", "verify"]);
    assert_eq!((code, whole["entries"].as_str()), (0, Some("3")), "{whole}");
    let (_, log) = asks(&world, &["audit", "tail"]);
    let first = log["entries"][0]["hash"].as_str().unwrap();
    let kept = |hash: &str| {
        let head = format!("1:{hash}");
        asks(&world, &["audit", "verify", "--head", &head])
    };
    assert_eq!(kept(first).0, 0);
    let (code, broken) = kept(&"0".repeat(64));
    assert_eq!((code, broken["first_broken"].as_str()), (1, Some("1")));
}
