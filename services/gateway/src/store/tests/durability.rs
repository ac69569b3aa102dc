//! What survives.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use paygate_payments::payment::StateName;
use paygate_payments::step::Event;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use xrpl_tx::{AccountId, Hash256};

use super::world::{NOON, World, key, ledger, limits, new, options, payment_tx, shown, signed};
use crate::store::writer::Scope;
use crate::store::{Accept, OpenError, Store, StoreError, StoreOptions, accept, day};

/// Callers at once, and what each stores: several times as many pages as the log has when it is folded.
const CALLERS: u64 = 16;
const PAYMENTS_EACH: u64 = 700;
/// The log has 16 MB when it is folded, and grows a little meanwhile.
const LOG_BYTES_MAX: u64 = 32 * 1024 * 1024;

#[tokio::test]
async fn reopening_gives_equal_records() {
    let world = World::new().await;
    for name in ["accepted", "bound", "signed", "paid", "failed"] {
        world.created(new(name)).await;
    }
    world.bound("bound", 42, 120).await;
    world.bound("signed", 43, 120).await;
    let paid = world.bound("paid", 40, 120).await;
    let failed = world.bound("failed", 41, 120).await;
    let event = Event::Signed {
        number: 0,
        signed: signed(3),
    };
    world
        .store
        .advance(world.epoch, key("signed"), event, Vec::new(), NOON)
        .await
        .unwrap();
    world
        .store
        .record_journal(9, Hash256::from_bytes([5; 32]))
        .await
        .unwrap();
    world
        .store
        .record_journal(8, Hash256::from_bytes([6; 32]))
        .await
        .unwrap();
    let told = vec![
        shown(101, payment_tx(&paid, 40, 1, "tesSUCCESS")),
        shown(101, payment_tx(&failed, 41, 2, "tecNO_DST")),
    ];
    world.validated(101, 42, told).await.unwrap();
    let before = world.store.list(Default::default()).await.unwrap().records;
    let cursor = world.store.cursor().await.unwrap();
    assert_eq!(
        (cursor.journal_height, cursor.reconciled),
        (9, Some(ledger(101)))
    );
    let store_id = world.store.store_id();

    let handle = world.store.clone();
    world.store.close().await;
    assert_eq!(handle.create(new("late")).await, Err(StoreError::Stopped));
    let store = Store::open(options(&world.folder, limits())).unwrap();
    assert_eq!(store.store_id(), store_id);
    assert_eq!(
        store.list(Default::default()).await.unwrap().records,
        before
    );
    assert_eq!(store.cursor().await.unwrap(), cursor);
    assert_eq!(store.begin_epoch().await.unwrap(), world.epoch + 1);
}

/// The files as they lie there while the store is open, log and all, are what a killed process leaves.
#[tokio::test(flavor = "multi_thread")]
async fn whatever_was_answered_is_in_the_files_of_a_killed_process() {
    let world = World::with(paygate_payments::limits::Limits {
        day_max: xrpl_tx::Drops::MAX,
        pending_max: 10_000,
        ..limits()
    })
    .await;
    let mut calls = JoinSet::new();
    for n in 0..200 {
        let store = world.store.clone();
        calls.spawn(async move { store.create(new(&format!("p{n}"))).await.unwrap() });
    }
    while let Some(answered) = calls.join_next().await {
        answered.unwrap();
    }
    let copy = tempfile::tempdir().unwrap();
    for name in ["paygate.db", "paygate.db-wal"] {
        fs::copy(world.folder.path().join(name), copy.path().join(name)).unwrap();
    }
    let revived = Store::open(options(&copy, limits())).unwrap();
    for n in 0..200 {
        assert!(
            revived.get(&key(&format!("p{n}"))).await.unwrap().is_some(),
            "p{n} was acknowledged and is lost"
        );
    }
    assert_eq!(revived.begin_epoch().await.unwrap(), world.epoch + 1);
}

/// Nobody waits for the log to be folded, and it is folded all the same, under a load that never pauses.
#[tokio::test(flavor = "multi_thread")]
async fn the_log_stays_short_while_payments_keep_coming() {
    let world = World::with(paygate_payments::limits::Limits {
        day_max: xrpl_tx::Drops::MAX,
        pending_max: 100_000,
        ..limits()
    })
    .await;
    let log = world.folder.path().join("paygate.db-wal");
    let mut callers = JoinSet::new();
    for caller in 0..CALLERS {
        let store = world.store.clone();
        callers.spawn(async move {
            for n in 0..PAYMENTS_EACH {
                let stored = store.create(new(&format!("p{caller}-{n}"))).await.unwrap();
                assert!(matches!(stored, Accept::Created(_)), "{stored:?}");
            }
        });
    }
    while let Some(done) = callers.join_next().await {
        done.unwrap();
    }
    let bytes = fs::metadata(&log).unwrap().len();
    assert!(bytes < LOG_BYTES_MAX, "{bytes}");
    let summary = world.store.summary(NOON).await.unwrap();
    assert_eq!(summary.pending, CALLERS * PAYMENTS_EACH);
    // The file is whole, and says the same without the store.
    world.store.close().await;
    let conn = rusqlite::Connection::open(world.folder.path().join("paygate.db")).unwrap();
    let whole: String = conn
        .query_row("PRAGMA integrity_check", [], |row| row.get(0))
        .unwrap();
    assert_eq!(whole, "ok");
}

#[tokio::test]
async fn a_dropped_store_finishes_and_lets_go_of_the_file() {
    let world = World::new().await;
    world.created(new("a")).await;
    let World { folder, store, .. } = world;
    drop(store);
    let deadline = Instant::now() + Duration::from_secs(20);
    let store = loop {
        match Store::open(options(&folder, limits())) {
            Ok(store) => break store,
            Err(OpenError::Locked { .. }) if Instant::now() < deadline => {
                tokio::task::yield_now().await
            }
            Err(error) => panic!("{error}"),
        }
    };
    assert!(store.get(&key("a")).await.unwrap().is_some());
}

#[tokio::test]
async fn a_second_process_another_wallet_and_a_newer_schema_are_refused() {
    let world = World::new().await;
    let path = world.folder.path().join("paygate.db");
    assert_eq!(
        fs::metadata(&path).unwrap().permissions().mode() & 0o777,
        0o600
    );
    let second = Store::open(options(&world.folder, limits()));
    assert!(matches!(second.map(drop), Err(OpenError::Locked { .. })));
    world.created(new("a")).await;
    world.bound("a", 40, 120).await;
    world.store.close().await;

    let mut other: StoreOptions = options(&world.folder, limits());
    other.wallet.account = AccountId::from_bytes([8; 20]);
    assert!(matches!(
        Store::open(other).map(drop),
        Err(OpenError::OtherWallet { .. })
    ));
    let mut other = options(&world.folder, limits());
    other.wallet.source_tag = Some(56);
    assert!(matches!(
        Store::open(other).map(drop),
        Err(OpenError::SourceTag { open: 1, .. })
    ));

    let conn = rusqlite::Connection::open(&path).unwrap();
    conn.pragma_update(None, "user_version", 99).unwrap();
    drop(conn);
    let newer = Store::open(options(&world.folder, limits())).map(drop);
    assert!(matches!(
        newer,
        Err(OpenError::NewerSchema { found: 99, .. })
    ));
}

#[tokio::test]
async fn a_damaged_row_is_named_and_harms_no_other() {
    let world = World::new().await;
    let folder = &world.folder;
    world.created(new("a")).await;
    world.created(new("b")).await;
    let handle = world.store.clone();
    handle.close().await;
    let conn = rusqlite::Connection::open(folder.path().join("paygate.db")).unwrap();
    for damage in [
        "state = 'PAYED'",
        "memos = x'ff'",
        "drops = 200000000000000000",
        "state = 'PAID', evidence = x'ff'",
    ] {
        conn.execute(
            &format!("UPDATE payments SET {damage} WHERE payment_id = 'a'"),
            [],
        )
        .unwrap();
        let store = Store::open(options(folder, limits())).unwrap();
        match store.get(&key("a")).await {
            Err(StoreError::Corrupt { what }) => {
                assert!(what.starts_with("payment number 1: "), "{what}")
            }
            other => panic!("{damage}: {other:?}"),
        }
        assert_eq!(
            store
                .get(&key("b"))
                .await
                .unwrap()
                .unwrap()
                .payment
                .state
                .name(),
            StateName::Accepted
        );
        store.close().await;
    }
}

/// Jobs share a transaction. One that fails after it has written something takes nobody with it, and leaves nothing.
#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_fails_halfway_harms_no_neighbour() {
    let world = World::new().await;
    let store = &world.store;
    // While the writer waits here, what follows lines up behind it and becomes one transaction.
    let (release, held) = std::sync::mpsc::sync_channel::<()>(1);
    let (held, begun) = (std::sync::Mutex::new(held), Arc::new(Notify::new()));
    let holding = tokio::spawn({
        let (store, begun) = (store.clone(), Arc::clone(&begun));
        let hold = move |_: &mut Scope<'_>| {
            begun.notify_one();
            let _ = held.lock().unwrap().recv();
            Ok(())
        };
        async move { store.write(hold).await }
    });
    begun.notified().await;
    let runs = Arc::new(AtomicUsize::new(0));
    let halfway = {
        let runs = Arc::clone(&runs);
        store.write(move |scope| {
            runs.fetch_add(1, Ordering::SeqCst);
            accept::create(scope, &new("halfway"))?;
            Err::<(), _>(StoreError::Full)
        })
    };
    // The three before it in the join are polled, and so in line, first.
    let release = async { drop(release) };
    let (before, failed, after, ()) = tokio::join!(
        store.create(new("before")),
        halfway,
        store.create(new("after")),
        release
    );
    holding.await.unwrap().unwrap();
    assert_eq!(failed, Err(StoreError::Full));
    assert_eq!(
        runs.load(Ordering::SeqCst),
        2,
        "tried with the others, and then by itself"
    );
    assert!(matches!(before, Ok(Accept::Created(_))), "{before:?}");
    assert!(matches!(after, Ok(Accept::Created(_))), "{after:?}");
    assert_eq!(store.get(&key("halfway")).await.unwrap(), None);
    let summary = store.summary(NOON).await.unwrap();
    assert_eq!(summary.pending, 2);
    // The sum that the writer carries along agrees with the rows.
    let drops = new("x").intent.drops().get();
    assert_eq!(summary.day_used.get(), 2 * drops);
    let carried = store.write(|scope| day::used(scope, None, NOON));
    assert_eq!(carried.await.unwrap().drops().get(), 2 * drops);
}

#[tokio::test]
async fn a_full_disk_refuses_and_the_store_goes_on_when_there_is_room() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(options(&folder, limits())).unwrap();
    store.create(new("a")).await.unwrap();
    store.limit_pages(Some(1)).await.unwrap();
    let mut refused = 0;
    for n in 0..40 {
        match store.create(new(&format!("p{n}"))).await {
            Ok(_) => {}
            Err(StoreError::Full | StoreError::Unknown) => {
                refused += 1;
                assert_eq!(store.get(&key(&format!("p{n}"))).await.unwrap(), None);
            }
            Err(error) => panic!("{error}"),
        }
    }
    assert!(refused > 0);
    store.limit_pages(None).await.unwrap();
    store.create(new("later")).await.unwrap();
    assert!(store.get(&key("a")).await.unwrap().is_some());
    assert!(store.check().await.unwrap() < Duration::from_secs(20));
}
