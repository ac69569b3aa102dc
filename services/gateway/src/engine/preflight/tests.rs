//! What is asked, how often, and what an answer that is none does.

use std::collections::BTreeMap;

use paygate_payments::intent::{Id, Wallet};
use paygate_payments::payment::{Payment, State};
use paygate_payments::preflight::RefusalReason;
use paygate_payments::proof::{Quorum, Source};
use serde_json::{Value, json};
use xrpl_tx::{Amount, Drops, Hash256, Memos};

use super::*;
use crate::clock::Millis;
use crate::xrpl::Fleet;
use crate::xrpl::tests::scripted::{Do, World, except, ledger, refusal};

const XRP: u64 = 1_000_000;

fn account(byte: u8) -> AccountId {
    AccountId::from_bytes([byte; 20])
}

fn ground(index: u32) -> Ground {
    Ground {
        ledger: ledger(index),
        reserve_base: Drops::from_const(XRP),
    }
}

/// A payment to account `to`.
fn accepted(to: u8, drops: u64) -> Record {
    let id = |text: &str| Id::new(text).unwrap();
    let key = PaymentKey {
        client: id("shop"),
        payment: id(&format!("to-{to}-{drops}")),
    };
    Record {
        payment: Payment {
            intent: Intent {
                key,
                destination: account(to),
                destination_tag: None,
                amount: Amount::Xrp(Drops::new(drops).unwrap()),
                memos: Memos::default(),
                retry_of: None,
            },
            invoice_id: Hash256::from_bytes([to; 32]),
            deadline: None,
            cancel: None,
            state: State::Accepted,
        },
        created: Millis(0),
        updated: Millis(0),
        trace_parent: None,
        number: 1,
        ledger_closed: None,
        approve_before: None,
        versions: None,
    }
}

fn key(record: &Record) -> PaymentKey {
    record.payment.intent.key.clone()
}

fn inquiry(world: &World) -> Inquiry {
    inquiry_of(world, true)
}

/// With a server that is our own, or somebody else's.
fn inquiry_of(world: &World, own: bool) -> Inquiry {
    let source = Source {
        operator: "us".to_owned(),
        own,
    };
    let wallet = Wallet {
        network_id: 9_001,
        account: account(1),
        source_tag: None,
    };
    let fleet = Fleet::of(vec![(world.link.clone(), source)], Quorum::new(2));
    Inquiry::new(fleet, wallet)
}

/// The account that a request is about, as an ordinary one in the ledger that the request names.
fn ordinary(request: &Value) -> Value {
    json!({
        "ledger_hash": request["ledger_hash"], "ledger_index": 50, "validated": true,
        "account_data": { "Account": request["account"], "Balance": "50000000", "Flags": 0 },
    })
}

fn asks_about(request: &Value, byte: u8) -> bool {
    request["account"] == account(byte).to_address()
}

async fn world(script: impl Fn(&Value) -> Do + Send + Sync + 'static) -> World {
    let world = World::with(except("account_info", script)).await;
    world.connected().await;
    world
}

#[tokio::test]
async fn a_destination_is_asked_about_once_in_a_ledger() {
    let world = world(|request| Do::Answer(ordinary(request))).await;
    let (inquiry, mut memory) = (inquiry(&world), Memory::default());
    let waiting = [accepted(2, XRP), accepted(2, 5 * XRP), accepted(3, XRP)];
    for _ in 0..3 {
        let looked = memory
            .look(&inquiry, ground(50), &BTreeMap::new(), &waiting)
            .await;
        assert_eq!(looked.clear, waiting.iter().map(key).collect());
    }
    assert_eq!(world.times_seen("account_info"), 2);
    memory
        .look(&inquiry, ground(51), &BTreeMap::new(), &waiting)
        .await;
    assert_eq!(
        world.times_seen("account_info"),
        4,
        "the next ledger may differ"
    );
}

#[tokio::test]
async fn what_is_not_answered_is_no_refusal_and_holds_up_nobody_else() {
    let world = world(|request| match () {
        () if asks_about(request, 2) => Do::Nothing,
        () if asks_about(request, 3) => refusal(request, "tooBusy"),
        () if asks_about(request, 4) => refusal(request, "lgrNotFound"),
        () if asks_about(request, 5) => refusal(request, "actNotFound"),
        () => Do::Answer(ordinary(request)),
    })
    .await;
    let unknown = [2, 3, 4].map(|to| accepted(to, 1));
    let missing = accepted(5, XRP - 1);
    let known = accepted(6, 1);
    let waiting = [&unknown[..], &[missing.clone(), known.clone()]].concat();
    let looked = Memory::default()
        .look(&inquiry(&world), ground(50), &BTreeMap::new(), &waiting)
        .await;
    assert_eq!(looked.clear, BTreeSet::from([key(&known)]));
    let [refused] = looked.refused.as_slice() else {
        panic!("{:?}", looked.refused)
    };
    assert_eq!(*refused.key(), key(&missing));
    assert_eq!(refused.cannot().reason, RefusalReason::NotFunded);
    assert_eq!(refused.ledger(), ledger(50));
    assert_eq!(
        looked.waits.keys().cloned().collect::<BTreeSet<_>>(),
        unknown.iter().map(key).collect()
    );
    for blocked in looked.waits.values() {
        assert_eq!(blocked.reason, PaymentReason::LedgerUnavailable);
        assert!(
            blocked.detail.contains("not known yet"),
            "{}",
            blocked.detail
        );
    }
}

#[tokio::test]
async fn an_answer_about_another_ledger_account_or_an_open_ledger_is_none() {
    let world = world(|request| {
        let mut answer = ordinary(request);
        if asks_about(request, 2) {
            answer["ledger_hash"] = json!(ledger(49).hash.to_string());
        } else if asks_about(request, 3) {
            answer["account_data"]["Account"] = json!(account(9).to_address());
        } else {
            answer["validated"] = json!(false);
        }
        // Each would be refused, were it believed.
        answer["account_data"]["Flags"] = json!(0x0008_0000);
        Do::Answer(answer)
    })
    .await;
    let waiting = [2, 3, 4].map(|to| accepted(to, XRP));
    let looked = Memory::default()
        .look(&inquiry(&world), ground(50), &BTreeMap::new(), &waiting)
        .await;
    assert_eq!((looked.clear.len(), looked.refused.len()), (0, 0));
    assert_eq!(looked.waits.len(), 3);
}

#[tokio::test]
async fn two_operators_are_needed_where_the_server_is_not_our_own() {
    let world = world(|request| refusal(request, "actNotFound")).await;
    let foreign = inquiry_of(&world, false);
    let waiting = [accepted(2, 1)];
    let looked = Memory::default()
        .look(&foreign, ground(50), &BTreeMap::new(), &waiting)
        .await;
    assert_eq!((looked.refused.len(), looked.waits.len()), (0, 1));
}
