//! Limits of single clients, and what people do, over restarts and in a file that somebody changed.

use paygate_payments::clients::{ClientLimits, OverClientLimit};
use paygate_payments::limits::{Limits, OverLimit};
use paygate_payments::payment::StateName;
use tokio::task::JoinSet;
use xrpl_tx::AccountId;

use super::world::{NOON, World, XRP, drops, id, limits, new, ops, options, terms};
use crate::clock::Millis;
use crate::store::{
    Accept, AuditPage, AuditQuery, Bind, NewPayment, PauseScope, Paused, Store, StoreError,
};
use paygate_payments::LedgerIndex;
use xrpl_tx::Slot;

fn client(name: &str) -> ClientLimits {
    ClientLimits {
        client: id(name),
        payment_max: None,
        day_max: None,
        pending_max: None,
        destinations: Vec::new(),
    }
}

/// 25 XRP.
fn of(name: &str, payment: &str) -> NewPayment {
    let mut new = new(payment);
    new.intent.key.client = id(name);
    new
}

/// So many ask at once; how many were let in, and what the others were told.
async fn rush(store: &Store, name: &'static str, from: u32, calls: u32) -> (u32, Vec<OverLimit>) {
    let mut asked = JoinSet::new();
    for n in from..from + calls {
        let store = store.clone();
        asked.spawn(async move { store.create(of(name, &format!("p{n}"))).await.unwrap() });
    }
    let (mut created, mut refused) = (0, Vec::new());
    while let Some(accept) = asked.join_next().await {
        match accept.unwrap() {
            Accept::Created(_) => created += 1,
            Accept::OverLimit(over) => refused.push(over),
            other => panic!("{other:?}"),
        }
    }
    (created, refused)
}

async fn reopened(world: World, limits: Limits) -> World {
    let World { folder, store, .. } = world;
    store.close().await;
    let store = Store::open(options(&folder, limits)).unwrap();
    let epoch = store.begin_epoch().await.unwrap();
    store.pass_continuity(epoch, NOON).await.unwrap();
    World {
        folder,
        store,
        epoch,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clients_day_holds_to_the_drop_when_64_ask_at_once_and_over_a_restart() {
    let limits = Limits {
        pending_max: 200,
        clients: vec![
            ClientLimits {
                day_max: Some(drops(10 * 25 * XRP)),
                ..client("shop")
            },
            client("other"),
        ],
        ..limits()
    };
    let mut world = World::with(limits.clone()).await;
    let full = OverLimit::Client(OverClientLimit::Day {
        amount: drops(25 * XRP),
        used: drops(250 * XRP),
        max: drops(250 * XRP),
    });
    let (created, refused) = rush(&world.store, "shop", 0, 64).await;
    assert_eq!((created, refused), (10, vec![full; 54]));
    // What it may not, another may.
    assert_eq!(rush(&world.store, "other", 0, 8).await.0, 8);
    world = reopened(world, limits.clone()).await;
    assert_eq!(rush(&world.store, "shop", 100, 64).await.0, 0);
    // What ends unpaid is given back, exactly, also in the next life.
    let page = crate::store::ListQuery {
        client: Some(id("shop")),
        limit: 3,
        ..crate::store::ListQuery::default()
    };
    for record in world.store.list(page).await.unwrap().records {
        let key = record.payment.intent.key;
        world.store.cancel(key, String::new(), NOON).await.unwrap();
    }
    world = reopened(world, limits).await;
    assert_eq!(rush(&world.store, "shop", 200, 64).await.0, 3);
    let summary = world.store.summary(NOON).await.unwrap();
    assert_eq!(
        (summary.pending, summary.day_used),
        (18, drops(18 * 25 * XRP))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_takes_the_places_that_are_kept_for_others() {
    let limits = Limits {
        pending_max: 20,
        clients: vec![client("shop"), client("other")],
        ..limits()
    };
    // Half of the places in equal parts: 5 for each.
    let world = World::with(limits.clone()).await;
    let share = OverLimit::Client(OverClientLimit::Share { share: 5 });
    let (created, refused) = rush(&world.store, "shop", 0, 64).await;
    assert_eq!((created, refused), (15, vec![share; 49]));
    let world = reopened(world, limits).await;
    assert_eq!(
        rush(&world.store, "nobody", 0, 4).await,
        (0, vec![share; 4])
    );
    let (created, refused) = rush(&world.store, "other", 0, 64).await;
    assert_eq!((created, refused.len()), (5, 59));
    assert_eq!(world.store.summary(NOON).await.unwrap().pending, 20);
}

#[tokio::test]
async fn a_client_pays_only_whom_and_how_much_it_may_and_a_stored_payment_stays() {
    let free = Limits {
        clients: vec![client("shop")],
        ..limits()
    };
    let world = World::with(free.clone()).await;
    world.created(of("shop", "before")).await;
    let tight = Limits {
        clients: vec![ClientLimits {
            payment_max: Some(drops(25 * XRP - 1)),
            pending_max: Some(1),
            destinations: vec![AccountId::from_bytes([9; 20])],
            ..client("shop")
        }],
        ..free
    };
    let told = "clients.shop: tighter".to_owned();
    world
        .store
        .set_limits(ops(), tight, told, String::new(), NOON)
        .await
        .unwrap();
    let known = world.store.create(of("shop", "before")).await.unwrap();
    assert!(matches!(known, Accept::Existed(_)), "{known:?}");
    let asked = |to: u8, amount: u64| {
        let mut new = of("shop", "after");
        new.intent.destination = AccountId::from_bytes([to; 20]);
        new.intent.amount = xrpl_tx::Amount::Xrp(drops(amount));
        world.store.create(new)
    };
    let over = |accept: Accept| match accept {
        Accept::OverLimit(over) => over.key(),
        other => panic!("{other:?}"),
    };
    assert_eq!(
        over(asked(3, 25 * XRP).await.unwrap()),
        "clients.destinations"
    );
    assert_eq!(
        over(asked(9, 25 * XRP).await.unwrap()),
        "clients.max_payment_xrp"
    );
    let last = asked(9, 25 * XRP - 1).await.unwrap();
    assert_eq!(over(last), "clients.max_pending_payments");
    let audit = world.store.audit(AuditQuery::default()).await.unwrap();
    assert_eq!(audit.entries[0].reason, "clients.shop: tighter");
}

#[tokio::test]
async fn a_pause_and_an_open_approval_last_over_a_restart_and_the_store_itself_binds_nothing() {
    let limits = Limits {
        approval_threshold: Some(drops(24 * XRP)),
        ..limits()
    };
    let world = World::with(limits.clone()).await;
    let waiting = world.created(new("p")).await;
    assert_eq!(waiting.payment.state.name(), StateName::AwaitingApproval);
    let pause = world
        .store
        .pause(ops(), PauseScope::Wallet, "ticket".to_owned(), NOON);
    let Paused::InForce(pause) = pause.await.unwrap() else {
        panic!("not paused");
    };
    let world = reopened(
        world,
        Limits {
            approval_threshold: None,
            ..limits
        },
    )
    .await;
    assert_eq!(world.store.pauses().await.unwrap(), vec![pause.clone()]);
    let after = world.store.get(&waiting.payment.intent.key).await.unwrap();
    assert_eq!(after, Some(waiting), "its window stands as it was stored");
    world.created(new("q")).await;
    let bind = |payment: &str| {
        let bind = Bind {
            key: super::world::key(payment),
            slot: Slot::Sequence(7),
            since: LedgerIndex(100),
            terms: terms(120),
        };
        world.store.bind(world.epoch, vec![bind], NOON)
    };
    let refused = bind("q").await.unwrap_err();
    assert_eq!(refused, StoreError::Paused(pause.to_string()));
    let resumed = world
        .store
        .resume(ops(), PauseScope::Wallet, "done".to_owned(), NOON);
    assert!(resumed.await.unwrap());
    let refused = bind("p").await.unwrap_err();
    assert!(
        matches!(refused, StoreError::Illegal(_)),
        "nobody approved it: {refused}"
    );
    assert_eq!(bind("q").await.unwrap().len(), 1);
}

/// What the log says is wrong with itself: the first sequence that does not fit.
fn first_broken(page: &AuditPage) -> Option<u64> {
    let mut entries = page.entries.clone();
    entries.reverse();
    let mut last = 0;
    let mut previous = None;
    for entry in &entries {
        let follows = entry.sequence == last + 1
            && previous.is_none_or(|previous| previous == entry.previous)
            && entry.hash == entry.chained();
        if !follows {
            return Some(last + 1);
        }
        (last, previous) = (entry.sequence, Some(entry.hash));
    }
    let head = page.head.map_or(0, |head| head.sequence);
    (head != last).then_some(last + 1)
}

#[tokio::test]
async fn whoever_changes_the_file_breaks_the_log_at_that_entry_and_the_log_goes_on() {
    const GUARDED: &str = "UPDATE audit SET reason = 'another' WHERE sequence = 2";
    for (change, broken) in [
        ("SELECT 1", None),
        (GUARDED, Some(2)),
        ("DELETE FROM audit WHERE sequence = 2", Some(2)),
        ("DELETE FROM audit WHERE sequence = 4", Some(4)),
        ("UPDATE audit SET sequence = 9 WHERE sequence = 1", Some(1)),
    ] {
        let world = World::new().await;
        let deed = async |store: &Store, n: i64| {
            let scope = PauseScope::Client(id(&format!("c{n}")));
            store
                .pause(ops(), scope, format!("reason {n}"), Millis(n))
                .await
                .unwrap();
        };
        for n in 1..=4 {
            deed(&world.store, n).await;
        }
        let World { folder, store, .. } = world;
        store.close().await;
        let file = rusqlite::Connection::open(folder.path().join("paygate.db")).unwrap();
        assert!(
            file.execute(GUARDED, []).is_err(),
            "the file itself refuses"
        );
        file.execute_batch("DROP TRIGGER audit_kept; DROP TRIGGER audit_fixed")
            .unwrap();
        file.execute_batch(change).unwrap();
        drop(file);
        let store = Store::open(options(&folder, limits())).unwrap();
        let page = store.audit(AuditQuery::default()).await.unwrap();
        assert_eq!(first_broken(&page), broken, "{change}");
        // Nobody is kept from pausing, and the damage stays to be seen.
        deed(&store, 5).await;
        let page = store.audit(AuditQuery::default()).await.unwrap();
        assert_eq!(first_broken(&page), broken, "{change}");
    }
}
