//! Idempotency, limits, predecessors, pages.

use std::time::Duration;

use paygate_payments::LedgerIndex;
use paygate_payments::intent::IntentField;
use paygate_payments::limits::{Limits, OverLimit};
use paygate_payments::money::Money;
use paygate_payments::payment::{CancelCause, StateName};
use paygate_payments::step::Event;
use tokio::task::JoinSet;
use xrpl_tx::{AccountId, Amount, Memos};

use super::world::{NOON, World, XRP, drops, id, intent, key, limits, new};
use crate::store::{Accept, ListQuery, NewPayment, RetryRefusal, StoreError};

async fn cancel(world: &World, payment: &str) {
    let event = Event::CancelAsked {
        cause: CancelCause::Requested,
        validated: LedgerIndex(100),
    };
    let advanced = world
        .store
        .advance(world.epoch, key(payment), event, Vec::new(), NOON)
        .await
        .unwrap();
    assert_eq!(advanced.record.payment.state.name(), StateName::Cancelled);
}

#[tokio::test]
async fn a_repeated_request_gets_the_same_payment_and_its_first_deadline() {
    let world = World::new().await;
    let first = world
        .created(NewPayment {
            deadline: Some(LedgerIndex(900)),
            ..new("a")
        })
        .await;
    let again = NewPayment {
        deadline: Some(LedgerIndex(950)),
        at: NOON.plus(Duration::from_secs(5)),
        ..new("a")
    };
    assert_eq!(
        world.store.create(again).await.unwrap(),
        Accept::Existed(first.clone())
    );
    assert_eq!(world.store.get(&key("a")).await.unwrap(), Some(first));
    assert_eq!(world.store.timeline(&key("a")).await.unwrap().len(), 1);
}

#[tokio::test]
async fn each_field_of_the_content_conflicts_by_its_name() {
    let world = World::new().await;
    world.created(new("a")).await;
    let mut others = Vec::new();
    for field in [
        IntentField::Amount,
        IntentField::Destination,
        IntentField::DestinationTag,
        IntentField::Memos,
        IntentField::RetryOf,
    ] {
        let mut other = intent("a");
        match field {
            IntentField::Amount
            | IntentField::Currency
            | IntentField::Issuer
            | IntentField::Value => other.amount = Amount::Xrp(drops(25 * XRP + 1)),
            IntentField::Destination => other.destination = AccountId::from_bytes([4; 20]),
            // Tag 0 is a tag.
            IntentField::DestinationTag => other.destination_tag = None,
            IntentField::Memos => other.memos = Memos::default(),
            IntentField::RetryOf => other.retry_of = Some(id("z")),
        }
        others.push((field, other));
    }
    for (field, other) in others {
        match world
            .store
            .create(NewPayment {
                intent: other,
                ..new("a")
            })
            .await
            .unwrap()
        {
            Accept::Conflict {
                field: found,
                existing,
            } => {
                assert_eq!(found, field);
                assert_eq!(existing.payment.intent, intent("a"));
            }
            other => panic!("{field:?}: {other:?}"),
        }
    }
    assert_eq!(world.store.summary(NOON).await.unwrap().pending, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn limits_hold_to_the_drop_when_64_ask_at_once() {
    let tight = Limits {
        day_max: drops(10 * 25 * XRP),
        pending_max: 64,
        ..limits()
    };
    let few = Limits {
        pending_max: 10,
        ..limits()
    };
    for (limits, by_day) in [(tight, true), (few, false)] {
        let world = World::with(limits).await;
        let mut calls = JoinSet::new();
        for n in 0..64 {
            let store = world.store.clone();
            calls.spawn(async move { store.create(new(&format!("p{n}"))).await.unwrap() });
        }
        let mut created = 0;
        while let Some(accept) = calls.join_next().await {
            match accept.unwrap() {
                Accept::Created(_) => created += 1,
                Accept::OverLimit(OverLimit::Day { used, .. }) if by_day => {
                    assert_eq!(used, Money::Xrp(drops(250 * XRP)))
                }
                Accept::OverLimit(OverLimit::Pending { max: 10 }) if !by_day => {}
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(created, 10);
        let summary = world.store.summary(NOON).await.unwrap();
        assert_eq!(
            (summary.pending, summary.day_used, summary.accepted),
            (10, drops(250 * XRP), drops(250 * XRP))
        );
    }
}

#[tokio::test]
async fn an_unpaid_end_gives_back_what_the_day_had_reserved() {
    let world = World::with(Limits {
        day_max: drops(25 * XRP),
        ..limits()
    })
    .await;
    world.created(new("a")).await;
    let refused = world.store.create(new("b")).await.unwrap();
    assert!(
        matches!(refused, Accept::OverLimit(OverLimit::Day { .. })),
        "{refused:?}"
    );
    cancel(&world, "a").await;
    world.created(new("b")).await;
    // The day rolls: what was accepted 24 hours ago no longer counts, what was a millisecond later does.
    let day = Duration::from_secs(24 * 60 * 60);
    let early = NewPayment {
        at: NOON.plus(day),
        ..new("c")
    };
    let refused = world.store.create(early.clone()).await.unwrap();
    assert!(
        matches!(refused, Accept::OverLimit(OverLimit::Day { .. })),
        "{refused:?}"
    );
    world
        .created(NewPayment {
            at: NOON.plus(day).plus(Duration::from_millis(1)),
            ..early
        })
        .await;
}

#[tokio::test]
async fn a_successor_needs_a_predecessor_that_is_safe_to_repay_and_is_the_only_one() {
    let world = World::new().await;
    let retry = |payment: &str, of: &str| {
        let mut new = new(payment);
        new.intent.retry_of = Some(id(of));
        new
    };
    let ask = async |payment: &str| world.store.create(retry(payment, "a")).await.unwrap();
    assert_eq!(ask("b").await, Accept::BadRetry(RetryRefusal::Unknown));
    world.created(new("a")).await;
    assert_eq!(
        ask("b").await,
        Accept::BadRetry(RetryRefusal::NotFinal(StateName::Accepted))
    );
    cancel(&world, "a").await;
    world.created(retry("b", "a")).await;
    assert_eq!(
        ask("c").await,
        Accept::BadRetry(RetryRefusal::HasSuccessor(id("b")))
    );
    assert!(matches!(ask("b").await, Accept::Existed(_)));
}

#[tokio::test]
async fn a_preview_stores_nothing() {
    let world = World::new().await;
    assert!(
        matches!(world.store.preview(new("a")).await.unwrap(), Accept::Created(record) if record.number == 0)
    );
    assert_eq!(world.store.get(&key("a")).await.unwrap(), None);
}

#[tokio::test]
async fn pages_are_newest_first_and_a_token_fits_only_its_filters() {
    let world = World::new().await;
    for n in 0..7 {
        world.created(new(&format!("p{n}"))).await;
    }
    cancel(&world, "p3").await;
    let all = ListQuery {
        limit: 3,
        ..ListQuery::default()
    };
    let shop = ListQuery {
        client: Some(id("shop")),
        ..all.clone()
    };
    for query in [all.clone(), shop] {
        let mut seen = Vec::new();
        let mut token = None;
        loop {
            let page = world
                .store
                .list(ListQuery {
                    token,
                    ..query.clone()
                })
                .await
                .unwrap();
            seen.extend(page.records.iter().map(|record| record.number));
            token = page.next;
            if token.is_none() {
                break;
            }
        }
        assert_eq!(seen, [7, 6, 5, 4, 3, 2, 1]);
    }
    let cancelled = ListQuery {
        states: vec![StateName::Cancelled],
        ..all.clone()
    };
    assert_eq!(
        world
            .store
            .list(cancelled.clone())
            .await
            .unwrap()
            .records
            .len(),
        1
    );
    let nobody = ListQuery {
        client: Some(id("bank")),
        ..all.clone()
    };
    assert!(world.store.list(nobody).await.unwrap().records.is_empty());
    let token = world.store.list(all).await.unwrap().next;
    assert!(token.is_some());
    let other = world.store.list(ListQuery { token, ..cancelled }).await;
    assert_eq!(other, Err(StoreError::PageToken));
    let forged = ListQuery {
        token: Some("zz".to_owned()),
        ..ListQuery::default()
    };
    assert_eq!(world.store.list(forged).await, Err(StoreError::PageToken));
}
