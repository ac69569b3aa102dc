//! Payments for accounting, and what the gateway says of them held to the ledger: `paygatectl export` and `paygatectl reconcile`.
#![allow(clippy::unwrap_used, reason = "a story ends where it goes wrong")]

use std::fs;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use paygate_proto::v1::{Payment, PaymentState};
use paygate_tests::world::client::{DROPS_PER_XRP, payment};
use paygate_tests::world::person::{Person, Rule};
use paygate_tests::world::wallet::payee;
use paygate_tests::world::{Setup, World};
use serde_json::{Value, json};

/// More than anything in this story takes on a busy machine.
const WITHIN: Duration = Duration::from_secs(60);

const POLL: Duration = Duration::from_millis(50);

fn types(world: &World, arguments: &[&str]) -> (i32, Value, String) {
    let output = Command::new(&world.binaries().ctl)
        .args(["--output", "json"])
        .args(arguments)
        .env_clear()
        .env(
            "PAYGATE_ENDPOINT",
            format!("http://{}", world.listeners().grpc),
        )
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let err = String::from_utf8(output.stderr).unwrap();
    let json = serde_json::from_slice(&output.stdout).unwrap_or(Value::Null);
    (output.status.code().unwrap(), json, err)
}

fn reconciles(world: &World, from: &str) -> (i32, Value) {
    let (ws, _) = world.ledger_urls();
    let (code, told, err) = types(world, &["reconcile", "--from", from, "--ledger-url", ws]);
    assert!(told.is_object(), "{err}");
    (code, told)
}

fn kinds(told: &Value) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let all = told["differences"].as_array().unwrap().iter();
    all.map(|one| (text(&one["kind"]), text(&one["payment_id"])))
        .collect()
}

fn evidence_of(paid: &[Payment]) -> Vec<(u32, String)> {
    let evidence = paid
        .iter()
        .map(|payment| payment.evidence.as_ref().unwrap());
    evidence
        .map(|evidence| (evidence.ledger_index, evidence.tx_hash.clone()))
        .collect()
}

fn exports(world: &World, paid: &[Payment]) {
    let (csv, lines) = (world.path("all.csv"), world.path("all.jsonl"));
    let (csv, lines) = (csv.to_str().unwrap(), lines.to_str().unwrap());
    let (code, told, err) = types(world, &["export", csv]);
    assert_eq!((code, told["payments"].as_u64()), (0, Some(4)), "{err}");
    let mut reader = csv::Reader::from_path(csv).unwrap();
    let rows: Vec<csv::StringRecord> = reader.records().map(Result::unwrap).collect();
    let ids: Vec<&str> = rows.iter().map(|row| &row[1]).collect();
    assert_eq!(ids, ["cancelled", "wage-2", "wage-1", "wage-0"]);
    for (row, payment) in rows[1..].iter().rev().zip(paid) {
        let evidence = payment.evidence.as_ref().unwrap();
        assert_eq!((&row[2], &row[7], &row[6]), ("PAID", "XRP", &row[9]));
        assert_eq!(&row[11], evidence.tx_hash);
        assert_eq!(row[12], evidence.ledger_index.to_string());
        assert_eq!(
            row[13],
            evidence.ledger_close_time.as_ref().unwrap().to_string()
        );
    }
    assert_eq!(&rows[3][6], "5.000001");
    // The same again is the same file, under another name: none is ever replaced.
    let before = fs::read(csv).unwrap();
    let (code, _, err) = types(world, &["export", csv]);
    assert_eq!(code, 64);
    assert!(err.contains("is not overwritten"), "{err}");
    let again = world.path("again.csv");
    types(world, &["export", again.to_str().unwrap()]);
    assert_eq!(fs::read(again).unwrap(), before);
    // Lines for programs, of one ledger alone, and of a time in which nothing was.
    let (index, _) = evidence_of(paid)[0];
    let index = index.to_string();
    let of_ledger = ["export", lines, "--from", &index, "--to", &index];
    assert_eq!(types(world, &of_ledger).0, 0);
    let text = fs::read_to_string(lines).unwrap();
    let first: Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
    assert_eq!(
        (&first["payment_id"], &first["delivered"]),
        (&json!("wage-0"), &json!("5.000001"))
    );
    let none = world.path("none.csv");
    let past = [
        "export",
        none.to_str().unwrap(),
        "--to",
        "2020-01-01T00:00:00Z",
    ];
    assert_eq!(types(world, &past).1["payments"], 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_gateway_says_is_held_to_the_ledger_and_each_difference_is_named() {
    let mut world = World::start(Setup::default()).await.unwrap();
    let client = world.client();
    let alice = payee("alice");
    let mut paid = Vec::new();
    for number in 0..3 {
        let id = format!("wage-{number}");
        let drops = 5 * DROPS_PER_XRP + 1 + number;
        client.create(payment(&id, &alice, drops)).await.unwrap();
        let last = client.until_final(&id, WITHIN).await.unwrap();
        assert_eq!(last.state(), PaymentState::Paid);
        paid.push(last);
    }
    // One that ended before it had a slot is on no ledger, and that is right.
    types(&world, &["pause", "--reason", "to cancel in time"]);
    let unsent = payment("cancelled", &alice, DROPS_PER_XRP);
    client.create(unsent).await.unwrap();
    types(&world, &["cancel", "cancelled"]);
    let cancelled = client.get("cancelled").await.unwrap();
    assert_eq!(cancelled.state(), PaymentState::Cancelled);

    exports(&world, &paid);

    let (first, hash) = evidence_of(&paid)[0].clone();
    let from = first.to_string();
    let (code, told) = reconciles(&world, &from);
    assert_eq!((code, kinds(&told)), (0, vec![]), "{told}");
    assert_eq!(
        (&told["equal"], &told["store"]),
        (&json!(true), &told["ledger"])
    );
    assert_eq!(told["store"]["paid"], 3);
    assert_eq!(
        told["ledger"]["delivered"],
        json!([{ "asset": "XRP", "value": "15.000006" }])
    );
    // By the time at which its ledger closed, too; and never of less than was asked for.
    let closed = paid[0].evidence.as_ref().unwrap().ledger_close_time;
    let (code, by_time) = reconciles(&world, &closed.unwrap().to_string());
    assert_eq!((code, &by_time["store"]), (0, &told["store"]), "{by_time}");
    let ws = world.ledger_urls().0.to_owned();
    let ws = ws.as_str();
    let far = [
        "reconcile",
        "--from",
        "1",
        "--to",
        "4000000000",
        "--ledger-url",
        ws,
    ];
    let (code, _, err) = types(&world, &far);
    assert_eq!(code, 2, "{err}");
    assert!(err.contains("nothing was compared"), "{err}");

    // Somebody changes a row by hand, and somebody who has the key uses it beside the gateway.
    world.stop_gateway().await.unwrap();
    alter(&world);
    world.start_gateway().await.unwrap();
    let stranger = Person::with(world.wallet().clone(), &world.ledger());
    let made = stranger.sets(Rule::DestinationTag, true).await.unwrap();
    assert_eq!(made, "tesSUCCESS");
    let deadline = Instant::now() + WITHIN;
    while types(&world, &["status"]).1["freeze"]["active"] != true {
        assert!(Instant::now() < deadline, "it does not freeze");
        tokio::time::sleep(POLL).await;
    }
    let (code, told) = reconciles(&world, &from);
    assert_eq!(code, 1, "{told}");
    assert_eq!(
        kinds(&told),
        [
            ("DIFFERS".to_owned(), "wage-0".to_owned()),
            ("FOREIGN".to_owned(), String::new())
        ],
        "{told}"
    );
    let differs = &told["differences"][0];
    assert_eq!(differs["tx_hash"], hash.as_str());
    assert_eq!(
        differs["what"],
        "amount: the gateway says 7 XRP, the ledger 5.000001 XRP"
    );
    assert_eq!(told["foreign"], 1);
    // Of the ledgers before, there is none.
    let (last, _) = evidence_of(&paid)[2].clone();
    let first_whole = evidence_of(&paid)[1].0.to_string();
    let part = [
        "reconcile",
        "--from",
        &first_whole,
        "--to",
        &last.to_string(),
        "--ledger-url",
        ws,
    ]
    .map(str::to_owned);
    let part: Vec<&str> = part.iter().map(String::as_str).collect();
    let (code, told, err) = types(&world, &part);
    assert_eq!(
        (code, told["store"]["paid"].as_u64()),
        (0, Some(2)),
        "{err}{told}"
    );
}

/// The amount of a payment that is paid: nothing in the gateway looks at it again.
fn alter(world: &World) {
    let store = rusqlite::Connection::open(world.path("gateway/paygate.db")).unwrap();
    let changed = store
        .execute(
            "UPDATE payments SET drops = 7000000 WHERE payment_id = 'wage-0'",
            [],
        )
        .unwrap();
    assert_eq!(changed, 1);
}
