//! A person with `paygatectl`: what is typed, what is shown, how it ends.
//!
//! One world for one long story: a day of one caller.
#![allow(clippy::unwrap_used, reason = "a story ends where it goes wrong")]

use std::process::{Command, Output};
use std::time::{Duration, Instant};

use paygate_tests::world::client::{DROPS_PER_XRP, payment};
use paygate_tests::world::wallet::payee;
use paygate_tests::world::{Setup, World};
use serde_json::Value;

const WITHIN: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(100);

const TRACE_ID: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

/// A terminal session against one gateway.
struct Terminal {
    program: std::path::PathBuf,
    endpoint: String,
}

/// What a command left behind.
struct Said {
    code: i32,
    out: String,
    err: String,
}

impl Terminal {
    fn new(world: &World) -> Terminal {
        Terminal {
            program: world.binaries().ctl.clone(),
            endpoint: format!("http://{}", world.listeners().grpc),
        }
    }

    fn types(&self, arguments: &[&str]) -> Said {
        let output: Output = Command::new(&self.program)
            .args(arguments)
            .env_clear()
            .env("PAYGATE_ENDPOINT", &self.endpoint)
            .env("TRACEPARENT", format!("00-{TRACE_ID}-00f067aa0ba902b7-01"))
            .output()
            .unwrap();
        Said {
            code: output.status.code().unwrap(),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// With `--output json`, which promises one object on one line.
    fn asks(&self, arguments: &[&str]) -> (i32, Value) {
        let said = self.types(&[&["--output", "json"], arguments].concat());
        assert_eq!(said.out.lines().count(), 1, "{}{}", said.out, said.err);
        (said.code, serde_json::from_str(&said.out).unwrap())
    }
}

impl Said {
    #[track_caller]
    fn ends(self, code: i32) -> Said {
        assert_eq!(self.code, code, "out:\n{}\nerr:\n{}", self.out, self.err);
        assert!(
            !self.out.contains('\x1b'),
            "colours are for terminals: {}",
            self.out
        );
        self
    }

    #[track_caller]
    fn shows(self, parts: &[&str]) -> Said {
        for part in parts {
            assert!(self.out.contains(part), "{part:?} is not in\n{}", self.out);
        }
        self
    }

    #[track_caller]
    fn tells(self, parts: &[&str]) -> Said {
        for part in parts {
            assert!(self.err.contains(part), "{part:?} is not in\n{}", self.err);
        }
        self
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_day_with_paygatectl() {
    let world = World::start(Setup::default()).await.unwrap();
    let terminal = Terminal::new(&world);
    let alice = payee("alice");

    pays_and_understands(&terminal, &alice);
    cannot_pay_twice_or_otherwise(&terminal, &alice);
    ends_unpaid_with_proof(&terminal);
    reads_by_script(&terminal, &world).await;
    gathers_what_a_runbook_asks_for(&terminal);
    follows_and_cancels(&terminal, &world).await;

    drop(world);
    let gone = terminal.types(&[
        "--timeout",
        "1s",
        "pay",
        "1",
        "--to",
        &alice,
        "--id",
        "too-late",
    ]);
    gone.ends(2)
        .tells(&["No try reached the gateway", "--id too-late"]);
    // Also that nobody answers is evidence, and nobody is asked a second time.
    let asked = ["--timeout", "1s", "runbook", "GatewayDown"];
    terminal.types(&asked).ends(2).shows(&[
        "GatewayDown\n",
        "Every accepted payment is on the disk",
        "no answer",
        "not asked: the gateway did not answer before",
    ]);
}

fn pays_and_understands(terminal: &Terminal, alice: &str) {
    let checked = terminal.types(&[
        "pay",
        "25",
        "--to",
        alice,
        "--id",
        "rent",
        "--validate-only",
    ]);
    checked.ends(0).tells(&["nothing is stored"]);
    terminal
        .types(&["get", "rent"])
        .ends(3)
        .tells(&["PAYMENT_NOT_FOUND", "repeat the same pay command"]);

    let paid = terminal.types(&[
        "pay", "25", "--to", alice, "--tag", "0", "--id", "rent", "--memo", "November", "--wait",
    ]);
    paid.ends(0)
        .shows(&[
            "PAID  25 XRP to ",
            "(tag 0)",
            "tesSUCCESS",
            "25 XRP (25000000 drops)",
            "no: it is paid",
            "November",
        ])
        .tells(&[TRACE_ID]);
    let explained = terminal.types(&["explain", "rent"]).ends(0);
    explained.shows(&[
        "PAID  25 XRP",
        "ACCEPTED",
        "BOUND",
        "SIGNED",
        "SUBMITTED",
        "CONFIRMED",
        "tesSUCCESS",
        TRACE_ID,
    ]);
}

fn cannot_pay_twice_or_otherwise(terminal: &Terminal, alice: &str) {
    let again = terminal.types(&[
        "pay", "--drops", "25000000", "--to", alice, "--tag", "0", "--id", "rent", "--memo",
        "November",
    ]);
    again
        .ends(0)
        .shows(&["PAID"])
        .tells(&["stored by an earlier call"]);
    let other = [
        "pay", "26", "--to", alice, "--tag", "0", "--id", "rent", "--memo", "November",
    ];
    terminal
        .types(&other)
        .ends(3)
        .tells(&["PAYMENT_ID_REUSED", "amount", "goes on untouched"]);
    let (code, refused) = terminal.asks(&other);
    assert_eq!(
        (code, refused["error"]["outcome"].as_str()),
        (3, Some("REFUSED"))
    );
    assert!(
        refused["error"]["metadata"]["field"]
            .as_str()
            .unwrap()
            .contains("amount"),
        "{refused}"
    );

    let nobody = terminal.types(&["pay", "1", "--to", "rNobody"]);
    nobody
        .ends(3)
        .tells(&["FIELD_INVALID", "destination", "payment ctl-"]);
    for slip in [
        &["pay", "--to", alice][..],
        &["pay", "1.0000001", "--to", alice],
        &["pay", "1", "--drops", "1", "--to", alice],
        &["pay", "1", "--to", alice, "--id", "two words"],
        &["list", "--state", "sent"],
        &["--endpoint", "https://127.0.0.1:1", "wallet"],
    ] {
        terminal.types(slip).ends(64);
    }
    terminal
        .types(&["pay", "--help"])
        .ends(0)
        .shows(&["Examples:", "--validate-only"]);
    terminal
        .types(&["completions", "bash"])
        .ends(0)
        .shows(&["_paygatectl()", "--retry-of"]);
}

fn ends_unpaid_with_proof(terminal: &Terminal) {
    let nobody = payee("nobody yet");
    let given_up = terminal.types(&[
        "pay",
        "0.5",
        "--to",
        &nobody,
        "--id",
        "too-little",
        "--wait",
    ]);
    given_up
        .ends(1)
        .shows(&["CANCELLED", "DESTINATION_CANNOT_RECEIVE", "yes, safe"]);
    terminal.types(&["get", "too-little"]).ends(1);
}

/// `rent` is PAID, `too-little` ended unpaid, and nothing is pending.
fn gathers_what_a_runbook_asks_for(terminal: &Terminal) {
    terminal
        .types(&["runbook"])
        .ends(0)
        .shows(&["SignerDown\n", "  Restore from a backup\n"]);
    terminal
        .types(&["runbook", "lowwalletbalance"])
        .ends(0)
        .shows(&[
            "LowWalletBalance\n",
            "less than 100 XRP",
            "Is money at risk?\n  No, if",
            "=== paygatectl status ===\npayments flow",
            "=== paygatectl wallet ===\n  address",
            "=== paygatectl list --state paid --since 24h ===\nCREATED",
            "rent",
        ]);
    let (code, gathered) = terminal.asks(&["runbook", "PendingPaymentsStuck"]);
    assert_eq!(
        (code, &gathered["runbook"]),
        (0, &Value::from("PendingPaymentsStuck"))
    );
    let risk = gathered["money_at_risk"].as_str().unwrap();
    assert!(risk.starts_with("No. Nothing is lost."), "{risk}");
    let evidence = gathered["evidence"].as_array().unwrap();
    let asked: Vec<_> = evidence
        .iter()
        .map(|one| one["asked"].as_str().unwrap())
        .collect();
    assert_eq!(
        asked,
        [
            "paygatectl status",
            "paygatectl list --state awaiting-approval,accepted,at-large,on-hold",
            "paygatectl explain, of the oldest that is awaiting-approval,accepted,at-large,on-hold",
            "paygatectl audit tail",
        ]
    );
    assert!(
        evidence.iter().all(|one| one["error"].is_null()),
        "{gathered}"
    );
    assert!(evidence[0]["answer"]["capabilities"].is_array());
    assert_eq!(evidence[1]["answer"]["payments"], Value::Array(Vec::new()));
    assert!(evidence[2]["answer"].is_null(), "nothing is pending");
    terminal
        .types(&["runbook", "no-such-page"])
        .ends(64)
        .tells(&["no runbook", "lists them"]);
}

async fn reads_by_script(terminal: &Terminal, world: &World) {
    let (code, paid) = terminal.asks(&["get", "rent"]);
    assert_eq!(
        (code, paid["state"].as_str(), paid["xrp_drops"].as_str()),
        (0, Some("PAID"), Some("25000000"))
    );
    assert_eq!(paid["evidence"]["delivered_drops"], "25000000");
    assert_eq!(paid["trace_id"], TRACE_ID);

    let (_, first) = terminal.asks(&["list", "--limit", "1"]);
    assert_eq!(
        first["payments"][0]["payment_id"], "too-little",
        "newest first"
    );
    let token = first["next_page_token"].as_str().unwrap();
    let (_, second) = terminal.asks(&["list", "--limit", "1", "--page-token", token]);
    assert_eq!(second["payments"][0]["payment_id"], "rent");
    let all = terminal
        .types(&["list", "--limit", "1", "--all", "--output", "json"])
        .ends(0);
    assert_eq!(all.out.matches("\"payment_id\"").count(), 2);
    let table = terminal
        .types(&["list", "--state", "paid", "--since", "1h"])
        .ends(0);
    assert_eq!(table.out.lines().count(), 2, "{}", table.out);

    let (_, explained) = terminal.asks(&["explain", "rent"]);
    assert_eq!(explained["events"][0]["stage"], "ACCEPTED");
    let (code, wallet) = terminal.asks(&["wallet"]);
    assert_eq!(
        (code, wallet["address"].as_str()),
        (0, Some(world.wallet().address().as_str()))
    );
    assert_eq!(wallet["key_status"], "MASTER");
    terminal
        .types(&["wallet"])
        .ends(0)
        .shows(&["spendable", "24 hours"]);
    let (code, status) = terminal.asks(&["status"]);
    assert_eq!(
        (code, status["signer"]["reachable"].as_bool()),
        (0, Some(true))
    );
    // Health looks once a second, and the story is quicker than that.
    let deadline = Instant::now() + WITHIN;
    while !terminal.types(&["status"]).out.contains("payments flow") && Instant::now() < deadline {
        tokio::time::sleep(POLL).await;
    }
    terminal
        .types(&["status"])
        .ends(0)
        .shows(&["payments flow", "CAPABILITY"]);
}

async fn follows_and_cancels(terminal: &Terminal, world: &World) {
    let watched = terminal
        .types(&[
            "watch",
            "--cursor",
            "beginning",
            "--count",
            "2",
            "-o",
            "json",
        ])
        .ends(0);
    let changes: Vec<Value> = watched
        .out
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let shown = changes.iter().map(|one| {
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        (
            text(&one["payment"]["payment_id"]),
            text(&one["change"]["state"]),
        )
    });
    let wanted = [("rent", "ACCEPTED"), ("rent", "AT_LARGE")];
    assert_eq!(
        shown.collect::<Vec<_>>(),
        wanted.map(|(id, state)| (id.to_owned(), state.to_owned()))
    );
    let cursor = changes[1]["cursor"].as_str().unwrap();
    let further = terminal.types(&[
        "watch",
        "--cursor",
        cursor,
        "--state",
        "cancelled",
        "--count",
        "1",
    ]);
    further
        .ends(0)
        .shows(&["CANCELLED", "too-little"])
        .tells(&["go on with: paygatectl watch --cursor "]);
    let foreign = terminal.types(&["watch", "--cursor", "of another store"]);
    foreign.ends(3).tells(&["PAGE_TOKEN_INVALID"]);

    let asked = payment("fees", &payee("alice"), DROPS_PER_XRP);
    world.client().create(asked).await.unwrap();
    // Who wins is the ledger's business; that it is told truly is ours.
    let cancelled = terminal.types(&["cancel", "fees", "--comment", "a slip", "--wait"]);
    let wanted = ["CANCELLED", "PAID"][usize::try_from(cancelled.code).unwrap()];
    cancelled.shows(&[wanted]);
}
