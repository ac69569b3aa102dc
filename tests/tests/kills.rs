//! The real processes end at named points of their lives, with payments in flight: killed, or with a disk that fails.
//!
//! One round for a few points; with `PAYGATE_TESTS_FULL=1` one for every point; with `PAYGATE_KILLS_FULL=1`, as in
//! `tests/run --full kills`, ten (`PAYGATE_KILLS_ONLY=signer.head` for points that begin so). Prints the table of recovery times. Moments are drawn from one seed, which is printed; `PAYGATE_SEED=N` draws them again.
#![allow(clippy::unwrap_used, reason = "a story ends where it goes wrong")]
#![allow(clippy::print_stderr, reason = "the seed and the table are the result")]

use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::time::{Duration, Instant};

use paygate_proto::v1::{CreatePaymentRequest, Payment, PaymentState};
use paygate_tests::world::audit::{Audit, audit};
use paygate_tests::world::client::{Client, DROPS_PER_XRP, payment};
use paygate_tests::world::draws::{Draws, seed};
use paygate_tests::world::points::{Action, Points, SmallDisk};
use paygate_tests::world::process::Role;
use paygate_tests::world::wallet::payee;
use paygate_tests::world::{Setup, World, http};
use serde_json::Value;
use tempfile::TempDir;
use tokio::task::JoinSet;
use xrpl_tx::AccountId;

/// Payments in flight when a point acts.
const IN_FLIGHT: u64 = 30;

/// Rounds of each point with `PAYGATE_KILLS_FULL=1`.
const FULL_ROUNDS: u64 = 10;

/// A point acts at its first to sixth passage after it was armed.
const PASSAGES_MAX: u64 = 6;

/// Short ledgers, so that a window passes within a story.
const CLOSE_MS: u64 = 300;

/// More than anything takes on a busy machine.
const WITHIN: Duration = Duration::from_secs(90);

const POLL: Duration = Duration::from_millis(5);

/// Thirty payments pass every point within this, or pass it no more.
const MORE_AFTER: Duration = Duration::from_secs(4);

/// A blob in hexadecimal digits, masked: nothing else that the gateway asks is so long.
const SUBMIT_BYTES_MIN: u64 = 300;

/// Every point, in the order of a payment's life.
const POINTS: [&str; 30] = [
    "gateway.store.before_write",
    "gateway.store.after_write",
    "gateway.store.before_sync",
    "gateway.store.after_sync",
    "gateway.answer.before_send",
    "gateway.answer.after_send",
    "gateway.signer.before_send",
    "gateway.signer.after_send",
    "signer.request.after_receive",
    "signer.journal.before_write",
    "signer.journal.after_write",
    "signer.journal.before_sync",
    "signer.journal.after_sync",
    "signer.head.before_write",
    "signer.head.after_write",
    "signer.head.before_sync",
    "signer.head.after_sync",
    "signer.answer.before_send",
    "signer.answer.after_send",
    "gateway.signer.after_receive",
    "gateway.ledger.before_send",
    "gateway.ledger.after_send",
    "ledger.request.after_receive",
    "ledger.answer.before_send",
    "ledger.answer.after_send",
    "gateway.ledger.after_receive",
    "ledger.state.before_write",
    "ledger.state.after_write",
    "ledger.state.before_sync",
    "ledger.state.after_sync",
];

/// What every run tries: around each thing that must be durable before the next is done.
const QUICK_POINTS: [&str; 5] = [
    "gateway.store.after_sync",
    "gateway.signer.after_receive",
    "gateway.ledger.after_send",
    "signer.journal.after_sync",
    "signer.head.after_sync",
];

/// A disk that fails once: where, and what the process does then.
const FAILURES: [(&str, Action); 5] = [
    ("gateway.store.before_sync", Action::BrokenDisk),
    ("signer.journal.before_sync", Action::BrokenDisk),
    ("signer.head.before_sync", Action::BrokenDisk),
    ("signer.journal.before_write", Action::FullDisk),
    ("signer.head.before_write", Action::FullDisk),
];

/// What every run tries of it.
const QUICK_FAILURES: usize = 2;

/// How much is tried: rounds, and whether of everything.
fn extent() -> (u64, bool) {
    let is_set = |name| std::env::var_os(name).is_some_and(|value| value == "1");
    if is_set("PAYGATE_KILLS_FULL") {
        (FULL_ROUNDS, true)
    } else {
        (1, is_set("PAYGATE_TESTS_FULL"))
    }
}

/// A world whose processes pass points, and what was asked of it so far.
struct Scene {
    world: World,
    points: Points,
    draws: Draws,
    asked: u64,
    // Dropped after the processes that use them, the disk before the folder that it is in.
    disk: Option<SmallDisk>,
    _folder: TempDir,
}

/// What one round took, from the end of the process.
struct Recovery {
    ready: Duration,
    serving: Duration,
    decided: Duration,
}

impl Scene {
    async fn set(draws: Draws, payments: u64) -> Scene {
        Scene::set_in(fresh_folder(), None, draws, payments).await
    }

    async fn set_in(
        folder: TempDir,
        disk: Option<SmallDisk>,
        draws: Draws,
        payments: u64,
    ) -> Scene {
        let points = Points::build(folder.path()).unwrap();
        let setup = Setup {
            close_ms: CLOSE_MS,
            wallet_xrp: 3 * payments + 500,
            daily_limit_xrp: (3 * payments + 500).to_string(),
            max_pending: 4 * u32::try_from(IN_FLIGHT).unwrap(),
            directory: Some(folder.path().join("world")),
            gateway_variables: points.variables(Role::Gateway),
            signer_variables: points.variables(Role::Signer),
            ledger_variables: points.variables(Role::Ledger),
            ..Setup::default()
        };
        let world = World::start(setup).await.unwrap();
        points.name_ports(&world);
        count_what_moves_money(&points);
        Scene {
            world,
            points,
            draws,
            asked: 0,
            disk,
            _folder: folder,
        }
    }

    /// Thirty callers at about the same time, each of whom repeats himself until he has an answer.
    fn ask(&mut self, callers: &mut JoinSet<Payment>) {
        for number in self.asked..self.asked + IN_FLIGHT {
            let client = self.world.client();
            let patience = self.draws.millis(0, 400);
            callers.spawn(async move {
                tokio::time::sleep(patience).await;
                client
                    .create_until_stored(&request(number), WITHIN)
                    .await
                    .unwrap()
            });
        }
        self.asked += IN_FLIGHT;
    }

    /// Asks for thirty payments, and for thirty more whenever so many shared a sync that the point was passed too seldom.
    async fn ask_until_ended(&mut self, point: &str, callers: &mut JoinSet<Payment>) -> ExitStatus {
        let role = Role::of_point(point);
        let deadline = Instant::now() + WITHIN;
        while Instant::now() < deadline {
            self.ask(callers);
            let patience = Instant::now() + MORE_AFTER;
            while Instant::now() < patience {
                if let Some(status) = self.world.how_ended(role) {
                    return status;
                }
                tokio::time::sleep(POLL).await;
            }
        }
        panic!("not seen in time: {point} ends the process");
    }

    /// Arms the point, pays, waits for the end of the process, starts it again, and waits until all is decided.
    async fn round(&mut self, point: &str, action: Action) -> Recovery {
        let role = Role::of_point(point);
        let passage = 1 + self.draws.below(PASSAGES_MAX);
        let logged = self.log_of(role).len();
        self.points.arm(point, passage, action);
        let first = self.asked;
        let mut callers = JoinSet::new();
        let status = self.ask_until_ended(point, &mut callers).await;
        let ended = Instant::now();
        let acted_at = self.points.acted_at(point);
        assert!(acted_at.is_some(), "{point} has not acted: {status}");
        let log = self.log_of(role).split_off(logged);
        match action {
            Action::Kill => {
                assert_eq!(status.signal(), Some(9), "{point}: {status}");
                assert!(log.contains(&format!("killed at {point},")), "{log}");
            }
            // It ends by its own will and with its own words, and tries nothing a second time: a sync that succeeds then
            // proves nothing.
            Action::BrokenDisk | Action::FullDisk => {
                assert!(status.code().is_some_and(|code| code != 0), "{status}");
                assert!(log.contains("\"ERROR\""), "{log}");
                if action == Action::BrokenDisk {
                    assert_eq!(acted_at, Some(self.points.passages(point)), "{point}");
                }
            }
        }
        self.world.restart(role).await.unwrap();
        let ready = ended.elapsed();
        let world = &mut self.world;
        until(&format!("after {point} all is served"), async || {
            is_serving(world).await.then_some(())
        })
        .await;
        let serving = ended.elapsed();
        let stored = callers.join_all().await;
        assert_eq!(stored.len() as u64, self.asked - first);
        let client = self.world.client();
        for number in first..self.asked {
            decided(&client, number).await;
        }
        Recovery {
            ready,
            serving,
            decided: ended.elapsed(),
        }
    }

    fn log_of(&self, role: Role) -> String {
        let path = self.world.path(&format!("logs/{}.log", role.name()));
        std::fs::read_to_string(path).unwrap()
    }

    /// Nothing twice, nothing lost, no false word, by the ledger's own history.
    async fn assert_clean(&self) {
        let payments = self.world.client().list().await.unwrap();
        assert_eq!(payments.len() as u64, self.asked, "every payment is known");
        assert!(
            payments
                .iter()
                .all(|payment| payment.state() == PaymentState::Paid)
        );
        let found = audit(&self.world, &payments).await.unwrap();
        assert_eq!(found, Audit::default());
    }
}

/// Of all that passes the sockets only what belongs to a payment counts, so that the n-th passage is one of those.
fn count_what_moves_money(points: &Points) {
    let alice = payee("alice");
    let account = AccountId::from_address(&alice).unwrap();
    for point in ["before_send", "after_send"] {
        points.count_only(&format!("gateway.signer.{point}"), alice.as_bytes(), 0);
        points.count_only(&format!("signer.answer.{point}"), account.as_bytes(), 0);
        points.count_only(&format!("gateway.ledger.{point}"), b"", SUBMIT_BYTES_MIN);
        points.count_only(&format!("ledger.answer.{point}"), b"engine_result", 0);
        points.count_only(&format!("gateway.answer.{point}"), alice.as_bytes(), 0);
    }
    points.count_only("signer.request.after_receive", alice.as_bytes(), 0);
    points.count_only("gateway.signer.after_receive", account.as_bytes(), 0);
    points.count_only("gateway.ledger.after_receive", b"engine_result", 0);
    points.count_only("ledger.request.after_receive", b"", SUBMIT_BYTES_MIN);
}

fn request(number: u64) -> CreatePaymentRequest {
    // Amounts differ, so that one payment cannot pass for another.
    payment(
        &format!("kill-{number}"),
        &payee("alice"),
        DROPS_PER_XRP + number,
    )
}

async fn decided(client: &Client, number: u64) {
    let payment = client
        .until_final(&format!("kill-{number}"), WITHIN)
        .await
        .unwrap();
    assert_eq!(payment.state(), PaymentState::Paid, "{payment:?}");
}

/// Ready, and every capability served.
async fn is_serving(world: &World) -> bool {
    let Ok(answer) = http::get(&world.listeners().metrics, "/health").await else {
        return false;
    };
    let Ok(health) = serde_json::from_str::<Value>(&answer.body) else {
        return false;
    };
    let capabilities = health["capabilities"].as_array();
    answer.status == 200
        && capabilities.is_some_and(|all| all.iter().all(|one| one["serving"] == true))
}

async fn until<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + WITHIN;
    loop {
        if let Some(seen) = look().await {
            return seen;
        }
        assert!(Instant::now() < deadline, "not seen in time: {what}");
        tokio::time::sleep(POLL).await;
    }
}

fn fresh_folder() -> TempDir {
    let folder = tempfile::Builder::new().prefix("paygate-kills-").tempdir();
    folder.unwrap()
}

fn fresh_draws() -> Draws {
    let seed = seed();
    eprintln!(
        "to draw the same moments again: PAYGATE_SEED={seed} cargo test -p paygate-tests --test kills"
    );
    Draws::new(seed)
}

/// `min/median/max` in milliseconds.
fn spread(mut times: Vec<Duration>) -> String {
    times.sort();
    let at = |index: usize| times[index].as_millis();
    format!("{}/{}/{}", at(0), at(times.len() / 2), at(times.len() - 1))
}

fn row(point: &str, rounds: &[Recovery]) -> String {
    let times = |of: fn(&Recovery) -> Duration| spread(rounds.iter().map(of).collect());
    format!(
        "{point:30} {:>6} {:>18} {:>18} {:>20}",
        rounds.len(),
        times(|recovery| recovery.ready),
        times(|recovery| recovery.serving),
        times(|recovery| recovery.decided),
    )
}

const HEADER: &str = "point                          rounds           ready ms         serving ms           decided ms  (min/median/max from the end of the process)";

#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_killed_at_a_named_point_pays_once() {
    let mut draws = fresh_draws();
    let (rounds, all) = extent();
    let only = std::env::var("PAYGATE_KILLS_ONLY").unwrap_or_default();
    let chosen: &[&str] = if all { &POINTS } else { &QUICK_POINTS };
    let chosen: Vec<_> = chosen
        .iter()
        .filter(|point| point.starts_with(&only))
        .collect();
    assert!(!chosen.is_empty(), "no point begins with {only:?}");
    // A world for each point where there are many rounds: the ledger's server reads all that it ever held when it starts.
    let points_per_world = if rounds > 1 { 1 } else { chosen.len() };
    let mut payments = 0;
    eprintln!("{HEADER}");
    for points in chosen.chunks(points_per_world) {
        let planned = points.len() as u64 * rounds * IN_FLIGHT;
        let mut scene = Scene::set(Draws::new(draws.below(u64::MAX)), planned).await;
        let mut named = POINTS.map(str::to_owned).to_vec();
        named.sort();
        assert_eq!(scene.points.names(), named, "the matrix has every point");
        for point in points {
            let mut recoveries = Vec::new();
            for _ in 0..rounds {
                recoveries.push(scene.round(point, Action::Kill).await);
            }
            eprintln!("{}", row(point, &recoveries));
        }
        scene.assert_clean().await;
        for point in POINTS {
            let passages = scene.points.passages(point);
            assert!(passages > 0, "{point} was never passed");
        }
        payments += scene.asked;
    }
    eprintln!(
        "{} kills, {payments} payments: 0 double, 0 lost, 0 false",
        chosen.len() as u64 * rounds
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sync_that_fails_ends_the_process_and_loses_nothing() {
    let (rounds, all) = extent();
    let tried = if all { FAILURES.len() } else { QUICK_FAILURES };
    let chosen = &FAILURES[..tried];
    let payments = chosen.len() as u64 * rounds * IN_FLIGHT;
    let mut scene = Scene::set(fresh_draws(), payments).await;
    eprintln!("{HEADER}");
    for (point, action) in chosen {
        let mut recoveries = Vec::new();
        for _ in 0..rounds {
            recoveries.push(scene.round(point, *action).await);
        }
        eprintln!("{}", row(&format!("{point} {action:?}"), &recoveries));
    }
    scene.assert_clean().await;
}

/// Room on the small disk: more than the store's log ever takes, which is folded at 16 MiB.
const DISK_KIB: u32 = 64 * 1024;

/// The disk of one process fills up with payments in flight, and has room again later.
async fn fills_up(role: Role, folder: &str) {
    let place = fresh_folder();
    let directory = place.path().join("world");
    let Some(disk) = SmallDisk::mount(&directory.join(folder), DISK_KIB).unwrap() else {
        eprintln!(
            "not run: this user may not mount a file system, so no disk of the {role:?} fills up"
        );
        return;
    };
    let mut scene = Scene::set_in(place, Some(disk), fresh_draws(), 2 * IN_FLIGHT).await;
    let mut before = JoinSet::new();
    scene.ask(&mut before);
    let before = before.join_all().await;
    let mut callers = JoinSet::new();
    scene.ask(&mut callers);
    let disk = scene.disk.as_ref().unwrap();
    disk.fill().unwrap();
    until(
        &format!("the {role:?} says that its disk is full"),
        async || {
            let log = scene.log_of(role);
            let says = log.contains("disk is full") || log.contains("No space left");
            says.then_some(())
        },
    )
    .await;
    disk.make_room().unwrap();
    // The store goes on by itself; the signer never does, as what is on its disk is known only after a restart.
    if role == Role::Signer {
        let status = until("the signer ends", async || scene.world.how_ended(role)).await;
        assert!(status.code().is_some_and(|code| code != 0), "{status}");
        scene.world.restart(role).await.unwrap();
    }
    let stored = before.len() + callers.join_all().await.len();
    assert_eq!(stored as u64, scene.asked);
    let client = scene.world.client();
    for number in 0..scene.asked {
        decided(&client, number).await;
    }
    assert!(scene.world.how_ended(role).is_none(), "the {role:?} runs");
    scene.assert_clean().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_store_s_disk_fills_up_and_nothing_is_lost() {
    fills_up(Role::Gateway, "gateway").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_journal_s_disk_fills_up_and_nothing_is_lost() {
    fills_up(Role::Signer, "signer/journal").await;
}
