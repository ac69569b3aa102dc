//! What people decide outlasts `kill -9`: payments that wait for approval, decisions about them, and limits that were changed in between.
#![allow(clippy::unwrap_used, reason = "a story ends where it goes wrong")]

use std::process::Command;
use std::time::{Duration, Instant, SystemTime};

use paygate_client::{CallError, Client, Identity};
use paygate_proto::v1::{
    ApprovePaymentRequest, CreatePaymentRequest, ListAuditEntriesRequest,
    ListPendingApprovalsRequest, Payment, PaymentReason, PaymentState, RejectPaymentRequest,
};
use paygate_tests::world::audit::{Audit, audit};
use paygate_tests::world::client::{DROPS_PER_XRP, payment};
use paygate_tests::world::wallet::payee;
use paygate_tests::world::{Setup, World};

const WITHIN: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(50);

const CLIENTS: &str = r#"[{client_id="shop",scopes=["pay","read"]},{client_id="boss",scopes=["approve","read"]},{client_id="ops",scopes=["operate"]}]"#;

/// Above the threshold, and what is asked for each time.
const LARGE: u64 = 20 * DROPS_PER_XRP;

/// A token of this client, its secret in a file; its entry for the gateway's file.
fn token(world: &World, client: &str) -> String {
    let made = Command::new(&world.binaries().ctl)
        .args(["token", "new", "--id", client, "--client", client])
        .env_clear()
        .output()
        .unwrap();
    assert!(made.status.success(), "{made:?}");
    let out = String::from_utf8(made.stdout).unwrap();
    let (secret, entry) = out.split_once("\n\n").unwrap();
    put(world, &format!("{client}.token"), secret);
    entry.to_owned()
}

fn put(world: &World, name: &str, text: &str) {
    paygate_tests::world::pki::put(&world.path(name), text).unwrap();
}

/// The gateway's variables, with these limits.
fn variables(world: &World, threshold: &str, max_pending: &str) -> Vec<(String, String)> {
    let tokens = world.path("tokens.toml").display().to_string();
    let variables = [
        ("PAYGATE__SECURITY__REQUIRE_AUTHENTICATION", "true"),
        ("PAYGATE__SECURITY__TOKENS_FILE", &tokens),
        ("PAYGATE__CLIENTS", CLIENTS),
        ("PAYGATE__LIMITS__APPROVAL_THRESHOLD_XRP", threshold),
        ("PAYGATE__LIMITS__MAX_PENDING_PAYMENTS", max_pending),
    ];
    variables
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .to_vec()
}

async fn guarded() -> World {
    let mut world = World::prepare(Setup::default()).await.unwrap();
    let entries = ["shop", "boss", "ops"].map(|client| token(&world, client));
    put(&world, "tokens.toml", &entries.join("\n"));
    world.set_gateway_variables(variables(&world, "10", "50"));
    world.start_signer().await.unwrap();
    world.start_gateway().await.unwrap();
    world
}

fn client(world: &World, name: &str) -> Client {
    let identity = Identity {
        token_file: Some(world.path(&format!("{name}.token"))),
        ..Identity::default()
    };
    let endpoint = format!("http://{}", world.listeners().grpc);
    Client::with_identity(&endpoint, &identity).unwrap()
}

async fn killed(world: &mut World) {
    world.kill_gateway();
    world.start_gateway().await.unwrap();
}

/// What the approver sees of these payments.
async fn waiting(boss: &Client, ids: &[&str]) -> Vec<Payment> {
    let request = ListPendingApprovalsRequest::default();
    let mut seen = boss.pending_approvals(request).await.unwrap().payments;
    seen.retain(|payment| ids.contains(&payment.payment_id.as_str()));
    seen
}

/// Approves what was seen, as it was seen.
async fn approve(boss: &Client, seen: &Payment) -> Result<Payment, CallError> {
    let request = ApprovePaymentRequest {
        client_id: seen.client_id.clone(),
        payment_id: seen.payment_id.clone(),
        expected_destination: seen.destination.clone(),
        expected_xrp_drops: LARGE,
        comment: "called the payee".to_owned(),
        expected_issued: None,
    };
    boss.approve(request)
        .await
        .map(|answer| answer.payment.unwrap())
}

async fn until(shop: &Client, id: &str, wanted: PaymentState) -> Payment {
    let deadline = Instant::now() + WITHIN;
    loop {
        let seen = shop.get_payment(id, "").await;
        if let Ok(payment) = &seen
            && payment.state() == wanted
        {
            return payment.clone();
        }
        assert!(
            Instant::now() < deadline,
            "{id} is not {wanted:?}: {seen:?}"
        );
        tokio::time::sleep(POLL).await;
    }
}

/// Audited deeds with their reasons, oldest first.
async fn deeds(ops: &Client) -> Vec<String> {
    let page = ops.audit_entries(ListAuditEntriesRequest::default()).await;
    let mut entries = page.unwrap().entries;
    entries.reverse();
    let line = |entry: &paygate_proto::v1::AuditEntry| {
        let method = entry.method.rsplit('/').next().unwrap();
        format!("{} {method}: {}", entry.client_id, entry.reason)
    };
    entries.iter().map(line).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn approvals_and_changed_limits_outlast_the_gateway() {
    let mut world = guarded().await;
    let (shop, boss, ops) = (
        client(&world, "shop"),
        client(&world, "boss"),
        client(&world, "ops"),
    );
    let alice = payee("alice");
    for id in ["waits", "refused", "withdrawn"] {
        let stored = shop
            .create_payment(payment(id, &alice, LARGE))
            .await
            .unwrap();
        assert_eq!(
            stored.payment.unwrap().state(),
            PaymentState::AwaitingApproval
        );
    }
    // So soon that its last ledger is validated while nobody is there.
    let soon = CreatePaymentRequest {
        pay_before: Some((SystemTime::now() + Duration::from_secs(9)).into()),
        ..payment("late", &alice, LARGE)
    };
    let deadline = Instant::now() + WITHIN;
    while let Err(error) = shop.create_payment(soon.clone()).await {
        assert!(Instant::now() < deadline, "{error:?}");
        tokio::time::sleep(POLL).await;
    }
    let seen = waiting(&boss, &["waits", "refused"]).await;
    assert_eq!(seen.len(), 2);

    // It still waits, and the approver sees exactly what was there before.
    killed(&mut world).await;
    assert_eq!(waiting(&boss, &["waits", "refused"]).await, seen);
    let late = until(&shop, "late", PaymentState::Expired).await;
    assert!(late.safe_to_repay, "{late:?}");

    // Decisions, each followed by an end without a word.
    let approved = approve(&boss, &seen[0]).await.unwrap();
    world.kill_gateway();
    assert_ne!(approved.state(), PaymentState::AwaitingApproval);
    world.start_gateway().await.unwrap();
    let paid = until(&shop, "waits", PaymentState::Paid).await;
    assert_eq!(
        approve(&boss, &seen[0]).await.unwrap().state(),
        PaymentState::Paid,
        "the same decision again"
    );
    let rejection = RejectPaymentRequest {
        client_id: "shop".to_owned(),
        payment_id: "refused".to_owned(),
        comment: "nobody knows of it".to_owned(),
    };
    boss.reject(rejection).await.unwrap();
    shop.cancel_payment("withdrawn", "").await.unwrap();
    killed(&mut world).await;
    let refused = until(&shop, "refused", PaymentState::Rejected).await;
    assert_eq!(refused.reason(), PaymentReason::ApprovalRefused);
    assert!(refused.safe_to_repay);
    let error = approve(&boss, &seen[1]).await.unwrap_err().to_string();
    assert!(error.contains("REJECTED"), "{error}");
    let withdrawn = until(&shop, "withdrawn", PaymentState::Cancelled).await;
    assert!(
        waiting(&boss, &["waits", "refused", "withdrawn", "late"])
            .await
            .is_empty()
    );
    let all = [paid, refused, withdrawn, late];
    assert_eq!(audit(&world, &all).await.unwrap(), Audit::default());

    // Starts with the same limits are no deeds. One with others is: who, what, from what to what.
    let before = deeds(&ops).await;
    let told = [
        "boss ApprovePayment: called the payee",
        "boss RejectPayment: nobody knows of it",
        "boss ApprovePayment: called the payee",
    ];
    assert_eq!(before, told);
    world.stop_gateway().await.unwrap();
    world.set_gateway_variables(variables(&world, "15", "40"));
    world.start_gateway().await.unwrap();
    killed(&mut world).await;
    let changed = "local configuration at start: limits.approval_threshold_xrp: 10 -> 15; limits.max_pending_payments: 50 -> 40";
    assert_eq!(deeds(&ops).await[told.len()..], [changed]);
}
