//! Stories of a signal that goes away and comes back: what Check and Watch say, the reason in `/health`, and that each
//! outage is told as one: down once, up once, and nothing else moves.
#![allow(clippy::unwrap_used, reason = "a story ends where it goes wrong")]
#![allow(
    clippy::print_stderr,
    reason = "a story that cannot be told here says so"
)]

#[path = "health/scene.rs"]
mod scene;
#[path = "health/spoilt.rs"]
mod spoilt;

use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::sync::atomic::Ordering;

use paygate_proto::v1::{PaymentState, UnfreezeRequest};
use paygate_tests::world::client::{Client, DROPS_PER_XRP, payment, unix_channel};
use paygate_tests::world::wallet::payee;
use rustix::process::Signal;

use scene::{Outage, Scene, TOLD_WITHIN, pay_outside, signal, until};

/// What goes with the ledger.
const WITH_THE_LEDGER: [&str; 3] = ["ledger", "submit", "confirm"];

/// What goes with the signer.
const WITH_THE_SIGNER: [&str; 2] = ["sign", "submit"];

/// What goes with the store: nothing is left but to look.
const WITH_THE_STORE: [&str; 6] = [
    "",
    "paygate.v1.PaymentService",
    "accept",
    "submit",
    "confirm",
    "store",
];

#[tokio::test(flavor = "multi_thread")]
async fn the_ledger_goes_away_stands_still_and_halts() {
    let mut scene = Scene::start().await;
    let gone = Outage {
        what: "the ledger's server is killed",
        names: &WITH_THE_LEDGER,
        check: Some(("xrpl", "no connection to the ledger")),
        reason: "no connection to the ledger",
    };
    scene.world.kill_ledger();
    scene.is_down(&gone).await;
    scene.world.start_ledger().await.unwrap();
    scene.is_over(&gone).await;

    let frozen = Outage {
        what: "the ledger's server is stopped by a signal",
        check: Some(("xrpl", "ledger")),
        reason: "ledger",
        ..gone
    };
    let pid = scene.world.pids()["ledger"].clone();
    signal(&pid, Signal::STOP);
    scene.is_down(&frozen).await;
    signal(&pid, Signal::CONT);
    scene.is_over(&frozen).await;

    let halted = Outage {
        what: "no ledger closes",
        check: Some(("xrpl", "halted")),
        reason: "the network is halted",
        ..frozen
    };
    scene.closing.store(false, Ordering::Relaxed);
    scene.is_down(&halted).await;
    scene.closing.store(true, Ordering::Relaxed);
    scene.is_over(&halted).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_signer_goes_away_and_stands_still() {
    let mut scene = Scene::start().await;
    let gone = Outage {
        what: "the signer is killed",
        names: &WITH_THE_SIGNER,
        check: Some(("signer", "does not answer")),
        reason: "the signer does not answer",
    };
    scene.world.kill_signer();
    scene.is_down(&gone).await;
    scene.world.start_signer().await.unwrap();
    scene.is_over(&gone).await;

    let frozen = Outage {
        what: "the signer is stopped by a signal",
        check: Some(("signer", "has not answered for")),
        reason: "the signer has not answered for",
        ..gone
    };
    let pid = scene.world.pids()["signer"].clone();
    signal(&pid, Signal::STOP);
    scene.is_down(&frozen).await;
    signal(&pid, Signal::CONT);
    scene.is_over(&frozen).await;

    let socket = unix_channel(&scene.world.signer_socket());
    for name in ["", "paygate.signer.v1.SignerService"] {
        until(socket.clone(), name, true).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_signers_key_fails_and_its_journal_takes_no_more() {
    let folder = tempfile::tempdir().unwrap();
    let scene = Scene::with_signer_at(&folder.path().join("signer.sock")).await;
    let spoilt = scene.spoilt.clone().unwrap();
    let damaged = Outage {
        what: "the signer's canary signature does not verify",
        names: &WITH_THE_SIGNER,
        check: Some(("signer", "canary")),
        reason: "the signer's canary signature fails",
    };
    spoilt.set_canary(false).await;
    scene.is_down(&damaged).await;
    spoilt.set_canary(true).await;
    scene.is_over(&damaged).await;

    let full = Outage {
        what: "the signer answers questions and does not sign",
        check: Some(("signer", "the journal takes no more")),
        reason: "the journal takes no more",
        ..damaged
    };
    spoilt.signs.store(false, Ordering::Relaxed);
    let client = scene.world.client();
    client
        .create(payment("waits", &payee("alice"), DROPS_PER_XRP))
        .await
        .unwrap();
    scene.is_down(&full).await;
    spoilt.signs.store(true, Ordering::Relaxed);
    scene.is_over(&full).await;
    let paid = client.until_final("waits", TOLD_WITHIN).await.unwrap();
    assert_eq!(paid.state(), PaymentState::Paid);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_wallet_is_drained_and_somebody_else_uses_its_key() {
    let scene = Scene::start().await;
    let drained = Outage {
        what: "the wallet is paid down below its minimum",
        names: &["wallet"],
        check: Some(("wallet", "below the minimum 10")),
        reason: "below the minimum 10",
    };
    let client = scene.world.client();
    client
        .create(payment("drain", &payee("alice"), 5 * DROPS_PER_XRP))
        .await
        .unwrap();
    let paid = client.until_final("drain", TOLD_WITHIN).await.unwrap();
    assert_eq!(paid.state(), PaymentState::Paid);
    scene.is_down(&drained).await;
    let wallet = scene.world.wallet().clone();
    pay_outside(
        &scene.world,
        &scene.benefactor,
        &wallet.address(),
        100 * DROPS_PER_XRP,
    )
    .await;
    scene.is_over(&drained).await;

    let frozen = Outage {
        what: "a transaction of the wallet that was not made here",
        names: &["submit"],
        check: None,
        reason: "the key may be in other hands",
    };
    let foreign = pay_outside(&scene.world, &wallet, &payee("alice"), DROPS_PER_XRP).await;
    scene.is_down(&frozen).await;
    let request = UnfreezeRequest {
        reason: "the story's own transaction".to_owned(),
        acknowledged_tx_hashes: vec![foreign],
    };
    client.operations().unfreeze(request).await.unwrap();
    scene.is_over(&frozen).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_store_is_held_by_somebody_else() {
    let scene = Scene::start().await;
    let held = Outage {
        what: "another program holds the database",
        names: &WITH_THE_STORE,
        check: Some(("store", "the store")),
        reason: "the store",
    };
    let other = rusqlite::Connection::open(scene.world.path("gateway/paygate.db")).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    scene.is_down(&held).await;
    refused_then_paid(&scene, &held, || other.execute_batch("ROLLBACK").unwrap()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_disk_of_the_store_is_full() {
    let Some(scene) = Scene::on_a_small_disk().await else {
        eprintln!("not run: a small disk can be mounted by root only");
        return;
    };
    let full = Outage {
        what: "the disk of the store is full",
        names: &WITH_THE_STORE,
        check: Some(("store", "disk is full")),
        reason: "disk is full",
    };
    let filler = scene.world.path("gateway/filler");
    fill(&filler);
    // The log has pages left from before: what fits them is stored, in truth.
    let client = scene.world.client();
    let mut stored = 0;
    while client
        .create(payment(
            &format!("fits-{stored}"),
            &payee("alice"),
            DROPS_PER_XRP / 100,
        ))
        .await
        .is_ok()
    {
        stored += 1;
        assert!(stored < 1_000, "the disk is never full");
    }
    scene.is_down(&full).await;
    refused_then_paid(&scene, &full, || std::fs::remove_file(&filler).unwrap()).await;
    for n in 0..stored {
        client.get(&format!("fits-{n}")).await.unwrap();
    }
}

/// Writes until nothing more fits.
fn fill(path: &Path) {
    let mut file = File::create(path).unwrap();
    while file.write_all(&[0; 512]).is_ok() {}
}

/// During the outage a payment is refused; after it the same call is stored, and paid once.
async fn refused_then_paid(scene: &Scene, outage: &Outage<'_>, repair: impl FnOnce()) {
    let client = Client::new(&scene.world.listeners().grpc);
    let asked = payment("refused", &payee("alice"), DROPS_PER_XRP);
    let refused = client.create(asked.clone()).await;
    assert!(refused.is_err(), "nothing can be stored: {refused:?}");
    repair();
    scene.is_over(outage).await;
    client
        .create_until_stored(&asked, TOLD_WITHIN)
        .await
        .unwrap();
    let paid = client.until_final("refused", TOLD_WITHIN).await.unwrap();
    assert_eq!(paid.state(), PaymentState::Paid);
}
