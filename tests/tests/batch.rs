//! A file of payments, paid by `paygatectl batch pay` while the program, the gateway and the signer are killed in between.
//!
//! 100 rows; 5,000 with `PAYGATE_TESTS_FULL=1`. The moments are drawn from one seed, which is printed; `PAYGATE_SEED=N` draws
//! them again.
#![allow(clippy::unwrap_used, reason = "a story ends where it goes wrong")]
#![allow(clippy::print_stderr, reason = "the seed is the bug report")]

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use paygate_proto::v1::PaymentState;
use paygate_tests::world::audit::{Audit, audit};
use paygate_tests::world::client::DROPS_PER_XRP;
use paygate_tests::world::draws::{Draws, seed};
use paygate_tests::world::process::Role;
use paygate_tests::world::wallet::payee;
use paygate_tests::world::{Setup, World};
use serde_json::Value;

/// Fewer than may be pending at once in the world, more than the gateway lets in: it has to be asked again.
const IN_FLIGHT: &str = "60";
const MAX_PENDING: u32 = 40;

/// What is killed, in this order. The program itself is one of them.
const KILLED: [Option<Role>; 5] = [
    None,
    Some(Role::Gateway),
    Some(Role::Signer),
    None,
    Some(Role::Gateway),
];

const PATIENCE: Duration = Duration::from_secs(60);

fn is_full() -> bool {
    std::env::var_os("PAYGATE_TESTS_FULL").is_some_and(|value| value == "1")
}

fn begin(world: &World, arguments: &[&str]) -> Child {
    Command::new(&world.binaries().ctl)
        .args(["--output", "json", "batch", "pay"])
        .args(arguments)
        .env_clear()
        .env(
            "PAYGATE_ENDPOINT",
            format!("http://{}", world.listeners().grpc),
        )
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

fn run(world: &World, arguments: &[&str]) -> (i32, Value, String) {
    let Output {
        status,
        stdout,
        stderr,
    } = begin(world, arguments).wait_with_output().unwrap();
    let err = String::from_utf8(stderr).unwrap();
    let json = serde_json::from_slice(&stdout).unwrap_or(Value::Null);
    (status.code().unwrap(), json, err)
}

/// Rows of the results file, each by its column's name.
fn results(path: &Path) -> Vec<csv::StringRecord> {
    let mut reader = csv::Reader::from_path(path).unwrap();
    reader.records().map(Result::unwrap).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_is_paid_once_whatever_is_killed_in_between() {
    let seed = seed();
    eprintln!("to draw the same moments again: PAYGATE_SEED={seed} cargo test --test batch");
    let mut draws = Draws::new(seed);
    let rows: u64 = if is_full() { 5_000 } else { 100 };
    let setup = Setup {
        daily_limit_xrp: "100000".to_owned(),
        max_pending: MAX_PENDING,
        wallet_xrp: 100_000,
        ..Setup::default()
    };
    let mut world = World::start(setup).await.unwrap();
    let (file, paid) = (world.path("salaries.csv"), world.path("paid.csv"));
    let mut text = "payment_id,destination,drops,memo\n".to_owned();
    let alice = payee("alice");
    for row in 0..rows {
        let drops = DROPS_PER_XRP + row;
        writeln!(text, "salary-{row},{alice},{drops},\"November, {row}\"").unwrap();
    }
    fs::write(&file, &text).unwrap();
    let (file, paid) = (file.to_str().unwrap(), paid.to_str().unwrap());

    // One row that is wrong keeps all of them from being sent.
    let wrong = world.path("wrong.csv");
    fs::write(&wrong, format!("{text}salary-0,{alice},5,\n")).unwrap();
    let (code, _, err) = run(&world, &[wrong.to_str().unwrap(), "--yes"]);
    assert_eq!(code, 64, "{err}");
    assert!(
        err.contains("payment_id salary-0 is that of line 2, too"),
        "{err}"
    );
    // Nor is anything sent where nobody agreed.
    let (code, _, err) = run(&world, &[file]);
    assert_eq!(code, 64, "{err}");
    assert!(err.contains("repeat with --yes"), "{err}");
    assert!(world.client().list().await.unwrap().is_empty());
    if !is_full() {
        let (code, _, err) = run(&world, &[file, "--dry-run"]);
        assert_eq!(code, 0, "{err}");
        assert!(err.contains("100 of 100 would be taken"), "{err}");
        assert!(world.client().list().await.unwrap().is_empty());
    }

    let arguments = [
        file,
        "--yes",
        "--results",
        paid,
        "--in-flight",
        IN_FLIGHT,
        "--timeout",
        "10s",
    ];
    let mut program = begin(&world, &arguments);
    for kill in KILLED {
        tokio::time::sleep(draws.millis(300, 1500)).await;
        match kill {
            None => {
                program.kill().unwrap();
                program.wait().unwrap();
                program = begin(&world, &arguments);
            }
            Some(role) => {
                match role {
                    Role::Gateway => world.kill_gateway(),
                    Role::Signer => world.kill_signer(),
                    Role::Ledger => world.kill_ledger(),
                }
                tokio::time::sleep(draws.millis(0, 300)).await;
                world.restart(role).await.unwrap();
            }
        }
    }
    let deadline = Instant::now() + PATIENCE + Duration::from_millis(200 * rows);
    while program.try_wait().unwrap().is_none() {
        assert!(Instant::now() < deadline, "{}", world.tails());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let output = program.wait_with_output().unwrap();
    let err = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(0), "{err}");
    let told: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(
        (told["paid"].as_u64(), told["undecided"].as_u64()),
        (Some(rows), Some(0)),
        "{told}"
    );

    // The file of results is complete, and says what the ledger says.
    let mut payments = Vec::new();
    for (row, record) in results(Path::new(paid)).iter().enumerate() {
        assert_eq!(record[1], format!("salary-{row}"));
        assert_eq!(&record[2], "PAID", "{record:?}");
        let payment = world.client().get(&record[1]).await.unwrap();
        assert_eq!(payment.state(), PaymentState::Paid);
        assert_eq!(record[7], payment.evidence.as_ref().unwrap().tx_hash);
        assert_eq!(record[10], format!("{} drops", DROPS_PER_XRP + row as u64));
        payments.push(payment);
    }
    assert_eq!(payments.len() as u64, rows);
    assert_eq!(audit(&world, &payments).await.unwrap(), Audit::default());

    // Once more pays nothing more, and ends as before.
    let (code, told, err) = run(&world, &arguments);
    assert_eq!((code, told["paid"].as_u64()), (0, Some(rows)), "{err}");
    assert_eq!(audit(&world, &payments).await.unwrap(), Audit::default());

    // A row whose id belongs to another content is refused, and the others say what they are.
    fs::write(
        file,
        format!("payment_id,destination,drops\nsalary-0,{alice},7\nsalary-1,{alice},1000001\n"),
    )
    .unwrap();
    let (code, told, _) = run(&world, &[file, "--yes", "--results", paid]);
    assert_eq!(
        (code, told["refused"].as_u64()),
        (3, Some(2)),
        "the memo belongs to the content: {told}"
    );
    let refused = results(Path::new(paid));
    assert!(
        refused[0][12].starts_with("PAYMENT_ID_REUSED"),
        "{refused:?}"
    );
    assert_eq!(&refused[0][3], "false");
}
