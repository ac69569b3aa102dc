//! Following the changes: in the order of commits, from anywhere, past nothing.

use std::collections::BTreeSet;
use std::fs;
use std::sync::Arc;

use paygate_payments::payment::StateName;
use tokio::task::JoinSet;
use xrpl_tx::Slot;

use super::world::{NOON, World, id, key, ledger, limits, new, options, payment_tx, shown, terms};
use crate::store::{Bind, Change, Position, Store, StoreError, WatchFilter};

fn all() -> Arc<WatchFilter> {
    Arc::default()
}

/// Everything behind a place, read bit by bit.
async fn follow(
    store: &Store,
    mut position: Position,
    filter: &Arc<WatchFilter>,
) -> (Vec<Change>, Position) {
    let mut seen = Vec::new();
    loop {
        let read = store.changes(position, Arc::clone(filter)).await.unwrap();
        seen.extend(read.changes);
        position = read.position;
        if read.at_end {
            return (seen, position);
        }
    }
}

fn sequences(changes: &[Change]) -> Vec<u64> {
    changes.iter().map(|change| change.row.sequence).collect()
}

#[tokio::test]
async fn no_number_appears_behind_a_later_one_whatever_is_rolled_back() {
    let world = World::with(paygate_payments::limits::Limits {
        pending_max: 1000,
        day_max: xrpl_tx::Drops::MAX,
        ..limits()
    })
    .await;
    let mut jobs = JoinSet::new();
    for n in 0..300_u32 {
        let (store, epoch) = (world.store.clone(), world.epoch);
        jobs.spawn(async move {
            let name = format!("p{n}");
            store.create(new(&name)).await.unwrap();
            // The first one is bound and has its lines written; the second one is unknown: all of it is rolled back.
            let bind = |payment: &str, slot| Bind {
                key: key(payment),
                slot: Slot::Sequence(slot),
                since: ledger(100).index,
                terms: terms(120),
            };
            let doomed = vec![bind(&name, 1000 + n), bind("nobody", 2000 + n)];
            let refused = store.bind(epoch, doomed, NOON).await.unwrap_err();
            assert!(matches!(refused, StoreError::UnknownPayment(_)));
            if n % 3 == 0 {
                store
                    .cancel(key(&name), "why not".into(), NOON)
                    .await
                    .unwrap();
            }
        });
    }
    let mut commits = world.store.commits();
    let mut position = Position::BEGINNING;
    let mut seen = Vec::new();
    let mut reads = 0;
    while !jobs.is_empty() {
        let (more, next) = follow(&world.store, position, &all()).await;
        position = next;
        reads += 1;
        seen.extend(sequences(&more));
        tokio::select! {
            rung = commits.changed() => rung.unwrap(),
            done = jobs.join_next() => done.unwrap().unwrap(),
        }
    }
    let (more, position) = follow(&world.store, position, &all()).await;
    seen.extend(sequences(&more));
    assert!(
        seen.windows(2).all(|pair| pair[0] < pair[1]),
        "out of order"
    );
    let (again, end) = follow(&world.store, Position::BEGINNING, &all()).await;
    assert_eq!(
        seen,
        sequences(&again),
        "{reads} reads while it was written saw what one read afterwards sees"
    );
    assert_eq!((seen.len(), end), (400, position));
    assert_eq!(world.store.newest_position().await.unwrap(), end);
}

#[tokio::test]
async fn a_cursor_goes_on_where_it_was_also_after_a_restart() {
    let world = World::new().await;
    world.created(new("a")).await;
    let bound = world.bound("a", 40, 120).await;
    let (before, position) = follow(&world.store, Position::BEGINNING, &all()).await;
    let states: Vec<_> = before.iter().map(|c| c.row.event.state()).collect();
    use paygate_proto::v1::PaymentState::{Accepted, AtLarge, Paid};
    assert_eq!(states, [Accepted, AtLarge]);
    // The payment is shown as it is now, the change as it was.
    assert_eq!(before[0].record.payment.state.name(), StateName::AtLarge);
    let told = vec![shown(101, payment_tx(&bound, 40, 1, "tesSUCCESS"))];
    world.validated(101, 41, told).await.unwrap();
    let cursor = position.cursor();

    let folder = world.folder;
    world.store.close().await;
    let store = Store::open(options(&folder, limits())).unwrap();
    let from = store.position_of(cursor).await.unwrap();
    assert_eq!(from, position);
    let (behind, end) = follow(&store, from, &all()).await;
    assert_eq!(behind.len(), 1);
    assert_eq!(behind[0].row.event.state(), Paid);
    assert!(follow(&store, end, &all()).await.0.is_empty());
}

#[tokio::test]
async fn filters_pass_over_and_the_cursor_moves_on() {
    let world = World::new().await;
    for name in ["a", "b", "c"] {
        world.created(new(name)).await;
    }
    world
        .store
        .cancel(key("b"), String::new(), NOON)
        .await
        .unwrap();
    let cancelled = Arc::new(WatchFilter {
        client: Some(id("shop")),
        states: vec![StateName::Cancelled],
    });
    let (seen, end) = follow(&world.store, Position::BEGINNING, &cancelled).await;
    assert_eq!(seen.len(), 1);
    assert_eq!(seen[0].record.payment.intent.key, key("b"));
    assert_eq!(end, world.store.newest_position().await.unwrap());
    let strangers = Arc::new(WatchFilter {
        client: Some(id("stranger")),
        states: Vec::new(),
    });
    let (none, end) = follow(&world.store, Position::BEGINNING, &strangers).await;
    assert!(none.is_empty());
    assert_eq!(end, world.store.newest_position().await.unwrap());
}

#[tokio::test]
async fn one_read_is_bounded_and_the_next_one_goes_on() {
    let world = World::with(paygate_payments::limits::Limits {
        pending_max: 1000,
        day_max: xrpl_tx::Drops::MAX,
        ..limits()
    })
    .await;
    for n in 0..150 {
        world.created(new(&format!("p{n}"))).await;
    }
    let first = world
        .store
        .changes(Position::BEGINNING, all())
        .await
        .unwrap();
    assert_eq!((first.changes.len(), first.at_end), (64, false));
    let (rest, _) = follow(&world.store, first.position, &all()).await;
    let names: BTreeSet<_> = first
        .changes
        .iter()
        .chain(&rest)
        .map(|change| change.record.payment.intent.key.clone())
        .collect();
    assert_eq!((rest.len(), names.len()), (86, 150));
}

#[tokio::test]
async fn a_cursor_of_another_store_or_of_lost_rows_is_refused() {
    let world = World::new().await;
    world.created(new("a")).await;
    let folder = world.folder;
    world.store.close().await;
    let file = folder.path().join("paygate.db");
    let backup = folder.path().join("backup");
    fs::copy(&file, &backup).unwrap();

    let store = Store::open(options(&folder, limits())).unwrap();
    let kept = store.newest_position().await.unwrap();
    store.create(new("b")).await.unwrap();
    let lost = store.newest_position().await.unwrap();
    store.close().await;
    fs::copy(&backup, &file).unwrap();
    let store = Store::open(options(&folder, limits())).unwrap();
    assert_eq!(store.position_of(kept.cursor()).await.unwrap(), kept);
    let refused = |cursor: String| {
        let store = store.clone();
        async move {
            let refused = store.position_of(cursor).await;
            assert!(
                matches!(refused, Err(StoreError::WatchCursor(_))),
                "{refused:?}"
            );
        }
    };
    refused(lost.cursor()).await;
    // The number is given out again, for something else.
    store.create(new("c")).await.unwrap();
    refused(lost.cursor()).await;

    let other = World::new().await;
    other.created(new("a")).await;
    refused(other.store.newest_position().await.unwrap().cursor()).await;
    for text in [
        "0",
        "ff",
        &"0".repeat(34),
        &"f".repeat(34),
        &format!("02{}", "0".repeat(32)),
    ] {
        refused(text.to_owned()).await;
    }
}
