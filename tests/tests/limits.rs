//! Limits of a real gateway: changed while it runs, counted exactly under a crowd and over kills, and rates. And that whoever may not come in
//! any more does not stay.
//!
//! Costs about 20 s in a debug build, most of it for starting the gateway again. Random moments are drawn from one seed, which is printed; `PAYGATE_SEED=N` draws them again.
#![allow(clippy::unwrap_used, reason = "a story ends where it goes wrong")]
#![allow(
    clippy::print_stderr,
    reason = "the seed and the figures are for people"
)]

#[path = "limits/crowd.rs"]
mod crowd;

use std::process::Command;
use std::time::{Duration, Instant};

use paygate_client::{CallError, Client, Identity, Refusal};
use paygate_proto::v1::{
    GetWalletResponse, ListAuditEntriesRequest, WatchPaymentsRequest, WatchPaymentsResponse,
};
use paygate_tests::world::binaries;
use paygate_tests::world::client::{DROPS_PER_XRP, payment};
use paygate_tests::world::guarded::{Guard, Guarded};
use paygate_tests::world::pki::Subject;
use paygate_tests::world::wallet::payee;
use tonic::{Code, Request, Status};

const WITHIN: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(20);

const CLIENTS: &str = r#"
[[clients]]
client_id = "shop"
credentials = ["cn:shop"]
scopes = ["pay", "read"]
daily_limit_xrp = "50"

[[clients]]
client_id = "ops"
credentials = ["cn:ops"]
scopes = ["operate"]
"#;

fn subject(name: &str) -> Subject {
    Subject {
        common_name: name.to_owned(),
        ..Subject::default()
    }
}

fn refused<T: std::fmt::Debug>(answer: Result<T, CallError>) -> Refusal {
    match answer {
        Err(CallError::Refused(refusal)) => *refusal,
        other => panic!("not refused: {other:?}"),
    }
}

/// Waits until the configuration came into force, or was refused, so often.
async fn reloaded(gateway: &Guarded, result: &str, times: u64) {
    let line = format!("paygate_access_reloads_total{{files=\"config\",result=\"{result}\"}}");
    let deadline = Instant::now() + WITHIN;
    while gateway.metric(&line).await < times {
        assert!(Instant::now() < deadline, "{}", gateway.log());
        tokio::time::sleep(POLL).await;
    }
}

/// Changes the configuration's file, and says so.
fn rewrite(gateway: &Guarded, changes: &[(&str, &str)]) {
    let mut text = std::fs::read_to_string(gateway.file("paygate.toml")).unwrap();
    for (old, new) in changes {
        assert!(text.contains(old), "{old} is not in the file");
        text = text.replace(old, new);
    }
    gateway.put("paygate.toml", &text);
    gateway.hang_up();
}

async fn audited(ops: &Client) -> Vec<String> {
    let page = ops
        .audit_entries(ListAuditEntriesRequest::default())
        .await
        .unwrap();
    let line = |entry: &paygate_proto::v1::AuditEntry| {
        assert_eq!(
            (entry.client_id.as_str(), entry.credential.as_str()),
            ("local", "signal:SIGHUP")
        );
        format!("{}: {}", entry.method, entry.reason)
    };
    page.entries.iter().map(line).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn limits_change_while_the_gateway_runs_and_a_bad_file_changes_nothing() {
    let gateway = Guarded::start(&Guard {
        clients: CLIENTS.to_owned(),
        ..Guard::default()
    })
    .await;
    let (_, shop) = gateway.issue("shop", 10, &subject("shop"));
    let (_, ops) = gateway.issue("ops", 11, &subject("ops"));
    let (shop, ops) = (gateway.client(&shop), gateway.client(&ops));
    let to = payee("landlord");
    let pay = async |id: &str, xrp: u64| {
        shop.create_payment(payment(id, &to, xrp * DROPS_PER_XRP))
            .await
    };
    pay("first", 30).await.unwrap();

    // Lower than what is used: what is stored stays, and nothing more is let in. A key that cannot change is named.
    rewrite(
        &gateway,
        &[
            ("daily_limit_xrp = \"50\"", "daily_limit_xrp = \"20\""),
            (
                "max_pending_payments = 1000000",
                "max_pending_payments = 900",
            ),
            ("[monitoring]", "[fees]\nmax_drops = 777\n\n[monitoring]"),
        ],
    );
    reloaded(&gateway, "ok", 1).await;
    let over = refused(pay("second", 1).await);
    assert_eq!(
        (over.code, over.reason.as_str()),
        (Code::ResourceExhausted, "LIMIT_DAILY")
    );
    assert_eq!(over.metadata["limit"], "20000000");
    pay("first", 30).await.unwrap();
    assert!(
        gateway.log().contains("this key needs a restart"),
        "{}",
        gateway.log()
    );
    assert!(gateway.log().contains("fees.max_drops"));
    let told = "configuration reload: clients.shop.daily_limit_xrp: 50 -> 20; limits.max_pending_payments: 1000000 -> 900";
    assert_eq!(audited(&ops).await, [told]);

    // Wrong: the log names field, value and limit; limits, clients and audit log are as before.
    rewrite(
        &gateway,
        &[
            ("max_pending_payments = 900", "max_pending_payments = 0"),
            ("daily_limit_xrp = \"20\"", "daily_limit_xrp = \"45\""),
        ],
    );
    reloaded(&gateway, "failed", 1).await;
    let log = gateway.log();
    let line = log
        .lines()
        .find(|line| line.contains("is not used"))
        .unwrap();
    for word in [
        "ERROR",
        "limits.max_pending_payments",
        "\"0\"",
        "allowed is 1 to",
    ] {
        assert!(line.contains(word), "{word} is not in {line}");
    }
    assert_eq!(
        refused(pay("second", 1).await).metadata["limit"],
        "20000000"
    );
    assert_eq!(audited(&ops).await.len(), 1);

    // Put right: more is let in, but only to whom it may pay now.
    rewrite(
        &gateway,
        &[
            ("max_pending_payments = 0", "max_pending_payments = 900"),
            (
                "daily_limit_xrp = \"45\"",
                &format!("daily_limit_xrp = \"45\"\ndestinations = [\"{to}\"]"),
            ),
        ],
    );
    reloaded(&gateway, "ok", 2).await;
    pay("second", 14).await.unwrap();
    assert_eq!(refused(pay("third", 2).await).reason, "LIMIT_DAILY");
    let elsewhere = payment("third", &payee("elsewhere"), 1);
    let elsewhere = refused(
        shop.create_payment(paygate_proto::v1::CreatePaymentRequest {
            amount: payment("x", &to, 1_000_000).amount,
            ..elsewhere
        })
        .await,
    );
    assert_eq!(elsewhere.reason, "DESTINATION_NOT_ALLOWED");

    // What a client has left is on the scrape, within a look.
    let line = "paygate_client_daily_headroom_xrp{client=\"shop\"}";
    let used = "paygate_client_pending_payments{client=\"shop\"}";
    let deadline = Instant::now() + WITHIN;
    while gateway.metric(used).await != 2 || gateway.metric(line).await != 1 {
        assert!(Instant::now() < deadline, "{}", gateway.log());
        tokio::time::sleep(POLL).await;
    }
    assert_eq!(
        gateway
            .metric("paygate_client_daily_limit_xrp{client=\"shop\"}")
            .await,
        45
    );
    assert_eq!(
        gateway
            .metric("paygate_client_pending_max_payments{client=\"shop\"}")
            .await,
        900
    );

    // A scope is taken back.
    rewrite(
        &gateway,
        &[("scopes = [\"pay\", \"read\"]", "scopes = [\"read\"]")],
    );
    reloaded(&gateway, "ok", 3).await;
    assert_eq!(refused(pay("first", 30).await).reason, "SCOPE_MISSING");
    let _: GetWalletResponse = shop.wallet().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn who_creates_too_often_waits_as_long_as_he_is_told_and_repeats_are_answered() {
    let slow = "[[clients]]\nclient_id = \"slow\"\ncredentials = [\"cn:slow\"]\nscopes = [\"pay\"]\nrate_limit_per_minute = 2\n";
    let gateway = Guarded::start(&Guard {
        clients: format!("{CLIENTS}\n{slow}"),
        security:
            "rate_limit_per_minute = 60\nrate_limit_per_hour = 64\nread_limit_per_minute = 120"
                .to_owned(),
        ..Guard::default()
    })
    .await;
    let (_, shop) = gateway.issue("shop", 10, &subject("shop"));
    let (_, slow) = gateway.issue("slow", 11, &subject("slow"));
    let (shop, slow) = (gateway.client(&shop), gateway.client(&slow));
    let to = payee("landlord");
    let pay =
        async |client: &Client, id: String| client.create_payment(payment(&id, &to, 1_000)).await;

    // The client with a rate of its own.
    pay(&slow, "0".to_owned()).await.unwrap();
    pay(&slow, "1".to_owned()).await.unwrap();
    let over = refused(pay(&slow, "2".to_owned()).await);
    assert_eq!(
        (over.code, over.reason.as_str()),
        (Code::ResourceExhausted, "RATE_LIMITED")
    );
    let told = |refusal: &Refusal| {
        (
            refusal.metadata["quota"].clone(),
            refusal.metadata["limit"].clone(),
        )
    };
    assert_eq!(
        told(&over),
        ("security.rate_limit_per_minute".to_owned(), "2".to_owned())
    );
    let wait = over.retry_after.unwrap();
    assert!(
        wait > Duration::from_secs(20) && wait <= Duration::from_secs(30),
        "{wait:?}"
    );

    // What is stored is answered for all that, and the others are not held up.
    for id in ["0", "1", "0"] {
        pay(&slow, id.to_owned()).await.unwrap();
    }
    let began = Instant::now();
    let mut created = 0;
    let over = loop {
        match pay(&shop, format!("p{created}")).await {
            Ok(_) => created += 1,
            failed => break refused(failed),
        }
        assert!(created <= 64, "an hour's worth");
    };
    let allowed = 60 + usize::try_from(began.elapsed().as_secs()).unwrap() + 1;
    assert!((60..=allowed).contains(&created), "{created} of {allowed}");
    // It is let in when it was told.
    let wait = over.retry_after.unwrap();
    assert!(wait <= Duration::from_secs(1) || created == 64, "{wait:?}");
    if created < 64 {
        tokio::time::sleep(wait + Duration::from_millis(1)).await;
        pay(&shop, format!("p{created}")).await.unwrap();
    }

    // Reads have a bucket of their own, that of creates is not theirs.
    let mut reads = 0;
    let over = loop {
        match shop.get_payment("p0", "").await {
            Ok(_) => reads += 1,
            failed => break refused(failed),
        }
        assert!(reads < 1_000);
    };
    assert!(reads >= 100, "{reads}");
    assert_eq!(
        told(&over),
        (
            "security.read_limit_per_minute".to_owned(),
            "120".to_owned()
        )
    );
    assert!(over.retry_after.unwrap() <= Duration::from_millis(500));
    assert!(
        gateway
            .metric("paygate_rate_limited_total{kind=\"create\"}")
            .await
            >= 2
    );
    assert!(
        gateway
            .metric("paygate_rate_limited_total{kind=\"read\"}")
            .await
            >= 1
    );

    // A rate that is raised acts at once on what is used.
    rewrite(
        &gateway,
        &[(
            "rate_limit_per_minute = 2\n",
            "rate_limit_per_minute = 600\n",
        )],
    );
    reloaded(&gateway, "ok", 1).await;
    let deadline = Instant::now() + WITHIN;
    while pay(&slow, "3".to_owned()).await.is_err() {
        assert!(Instant::now() < deadline, "{}", gateway.log());
        tokio::time::sleep(POLL).await;
    }
    eprintln!("{created} created and {reads} read before the rates were met");
}

/// A new token, and its entry for the file.
fn token(id: &str, client: &str) -> (String, String) {
    let made = Command::new(&binaries::build().unwrap().ctl)
        .args(["token", "new", "--id", id, "--client", client])
        .env_clear()
        .output()
        .unwrap();
    assert!(made.status.success(), "{made:?}");
    let out = String::from_utf8(made.stdout).unwrap();
    let (token, entry) = out.split_once("\n\n").unwrap();
    (token.to_owned(), entry.to_owned())
}

type Changes = tonic::Streaming<WatchPaymentsResponse>;

/// An open stream, by token or by certificate.
async fn watching(client: &Client, token: Option<&str>) -> Changes {
    let mut service =
        paygate_proto::v1::payment_service_client::PaymentServiceClient::new(client.channel());
    let mut request = Request::new(WatchPaymentsRequest::default());
    if let Some(token) = token {
        let bearer = format!("Bearer {token}").parse().unwrap();
        request.metadata_mut().insert("authorization", bearer);
    }
    let mut changes = service.watch_payments(request).await.unwrap().into_inner();
    changes
        .message()
        .await
        .unwrap()
        .expect("a heartbeat comes first");
    changes
}

async fn ended(mut changes: Changes) -> Status {
    let until = async {
        loop {
            match changes.message().await {
                Ok(Some(_)) => {}
                Ok(None) => panic!("it ended without a word"),
                Err(status) => return status,
            }
        }
    };
    tokio::time::timeout(WITHIN, until)
        .await
        .expect("it stays open")
}

#[tokio::test(flavor = "multi_thread")]
async fn an_open_watch_ends_with_what_it_stands_on() {
    let gateway = Guarded::start(&Guard {
        clients: CLIENTS.to_owned(),
        ..Guard::default()
    })
    .await;
    let (old, old_entry) = token("old", "shop");
    let (gone, gone_entry) = token("gone", "shop");
    let (good, good_entry) = token("good", "shop");
    gateway.put(
        "tokens.toml",
        &format!("{old_entry}\n{gone_entry}\n{good_entry}"),
    );
    gateway.hang_up();
    reloaded(&gateway, "ok", 1).await;
    let nobody = gateway.client(&gateway.nobody());
    let (certificate, identity): (_, Identity) = gateway.issue("shop", 10, &subject("shop"));
    let (_, kept) = gateway.issue("kept", 11, &subject("shop"));
    let by_certificate = watching(&gateway.client(&identity), None).await;
    let by_other = watching(&gateway.client(&kept), None).await;
    let by_old = watching(&nobody, Some(&old)).await;
    let by_gone = watching(&nobody, Some(&gone)).await;
    let mut by_good = watching(&nobody, Some(&good)).await;

    // One token is revoked, one is not in the file any more, one stays.
    gateway.put(
        "tokens.toml",
        &format!("{old_entry}revoked = true\n\n{good_entry}"),
    );
    let says = |status: &Status| (status.code(), status.message().to_owned());
    let (code, told) = says(&ended(by_old).await);
    assert_eq!(code, Code::Unauthenticated, "{told}");
    assert!(
        told.contains("revoked") && told.contains("nothing is lost"),
        "{told}"
    );
    assert_eq!(says(&ended(by_gone).await).0, Code::Unauthenticated);

    // One certificate is taken back, another one of the same client is not.
    gateway.put("crl.pem", &gateway.authority.revoked(&[certificate.serial]));
    let (code, told) = says(&ended(by_certificate).await);
    assert_eq!(code, Code::Unauthenticated, "{told}");
    assert!(told.contains("revoked"), "{told}");

    // The others were not touched: they are told of what happens.
    let shop = gateway.client(&kept);
    shop.create_payment(payment("seen", &payee("landlord"), 1_000_000))
        .await
        .unwrap();
    let told = async {
        loop {
            let message = by_good.message().await.unwrap().unwrap();
            if let Some(payment) = message.payment {
                return payment.payment_id;
            }
        }
    };
    assert_eq!(tokio::time::timeout(WITHIN, told).await.unwrap(), "seen");

    // The client is taken out of the configuration. Its token would be nobody's: such a file is refused, and then all goes at once.
    let shop = &CLIENTS[..CLIENTS.find("[[clients]]\nclient_id = \"ops\"").unwrap()];
    rewrite(&gateway, &[(shop, "\n")]);
    reloaded(&gateway, "failed", 1).await;
    gateway.put("tokens.toml", "");
    assert_eq!(says(&ended(by_good).await).0, Code::Unauthenticated);
    gateway.hang_up();
    reloaded(&gateway, "ok", 2).await;
    let (code, told) = says(&ended(by_other).await);
    assert_eq!(code, Code::PermissionDenied, "{told}");
}
