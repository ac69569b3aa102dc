//! What one server does with what it is given, from submit to a validated ledger, and over a restart.

use std::io::Write;
use std::sync::Arc;

use serde_json::json;

use super::super::blob::Tx;
use super::super::node::Node;
use super::super::store::{Store, StoreError};
use super::super::types::Millis;
use super::{FIRST, START, Wallet, XRP, balance, close, genesis, node, submit, validated};

fn names(answer: &super::Submitted) -> (&'static str, bool, bool, bool) {
    (
        answer.ter.name(),
        answer.applied,
        answer.broadcast,
        answer.kept,
    )
}

#[test]
fn same_blob_again_is_past_sequence_and_pays_once() {
    let (alice, bob) = (Wallet::new("alice"), Wallet::new("bob"));
    let mut node = node(&[(&alice, 100 * XRP), (&bob, 50 * XRP)]);
    let tx = alice.pays(&bob, XRP, FIRST);
    assert_eq!(
        names(&submit(&mut node, &tx)),
        ("tesSUCCESS", true, true, true)
    );
    assert_eq!(
        names(&submit(&mut node, &tx)),
        ("tefPAST_SEQ", false, false, true)
    );
    assert_eq!(
        names(&node.submit(&tx, true, START)),
        ("tefPAST_SEQ", false, false, false)
    );
    close(&mut node);
    assert_eq!(
        names(&submit(&mut node, &tx)),
        ("tefPAST_SEQ", false, false, true)
    );
    close(&mut node);
    assert_eq!(balance(&node, &bob), Some(51 * XRP));
}

#[test]
fn gap_filler_brings_its_held_successors_along() {
    let (alice, bob) = (Wallet::new("alice"), Wallet::new("bob"));
    let mut node = node(&[(&alice, 100 * XRP), (&bob, 50 * XRP)]);
    let txs: Vec<Arc<Tx>> = (0..14)
        .map(|number| alice.pays(&bob, XRP, FIRST + number))
        .collect();
    for tx in &txs[1..] {
        assert_eq!(
            names(&submit(&mut node, tx)),
            ("terPRE_SEQ", false, false, true)
        );
    }
    let answer = submit(&mut node, &txs[0]);
    assert_eq!(answer.ter.name(), "tesSUCCESS");
    assert_eq!(answer.account_sequence, Some(FIRST + 1));
    let open = node.open_account(&alice.id()).unwrap().sequence;
    assert_eq!(open, FIRST + 11, "ten successors come along, not more");
    close(&mut node);
    close(&mut node);
    assert_eq!(
        balance(&node, &bob),
        Some(64 * XRP),
        "the others at the close"
    );
}

#[test]
fn gap_filled_within_six_closes_executes_and_later_does_not() {
    let (alice, bob) = (Wallet::new("alice"), Wallet::new("bob"));
    for closes in 1..=8 {
        let mut node = node(&[(&alice, 100 * XRP), (&bob, 50 * XRP)]);
        let early = alice.pays(&bob, XRP, FIRST + 1);
        submit(&mut node, &early);
        (0..closes).for_each(|_| close(&mut node));
        submit(&mut node, &alice.pays(&bob, XRP, FIRST));
        (0..3).for_each(|_| close(&mut node));
        assert_eq!(
            validated(&node, &early).is_some(),
            closes <= 6,
            "filled after {closes} closes"
        );
    }
}

#[test]
fn fail_hard_keeps_and_claims_nothing() {
    let (alice, bob) = (Wallet::new("alice"), Wallet::new("bob"));
    let mut node = node(&[(&alice, 100 * XRP), (&bob, 50 * XRP)]);
    let early = alice.pays(&bob, XRP, FIRST + 1);
    let too_much = alice.pays(&bob, 1000 * XRP, FIRST);
    assert_eq!(
        names(&node.submit(&early, true, START)),
        ("terPRE_SEQ", false, false, false)
    );
    assert_eq!(
        names(&node.submit(&too_much, true, START)),
        ("tecUNFUNDED_PAYMENT", false, false, false)
    );
    submit(&mut node, &alice.pays(&bob, XRP, FIRST));
    close(&mut node);
    close(&mut node);
    assert_eq!(
        (validated(&node, &early), validated(&node, &too_much)),
        (None, None)
    );
}

#[test]
fn malformed_blob_is_remembered_as_bad_for_five_minutes() {
    let (alice, bob) = (Wallet::new("alice"), Wallet::new("bob"));
    let mut node = node(&[(&alice, 100 * XRP), (&bob, 50 * XRP)]);
    let nothing = alice.pays(&bob, 0, FIRST);
    assert_eq!(
        names(&submit(&mut node, &nothing)),
        ("temBAD_AMOUNT", false, false, true)
    );
    let again = submit(&mut node, &nothing);
    assert_eq!(names(&again), ("temBAD_SIGNATURE", false, false, false));
    assert_eq!(again.account_sequence, None);
    let later = Millis(START.0 + 301_000);
    assert_eq!(
        node.submit(&nothing, false, later).ter.name(),
        "temBAD_AMOUNT"
    );
}

#[test]
fn of_two_versions_of_a_slot_one_is_paid() {
    let (alice, bob) = (Wallet::new("alice"), Wallet::new("bob"));
    let mut node = node(&[(&alice, 100 * XRP), (&bob, 50 * XRP)]);
    let cheap = alice.pays(&bob, XRP, FIRST);
    let dear = alice.tx(json!({ "Destination": bob.address(), "Amount": XRP.to_string(), "Sequence": FIRST, "Fee": "99" }));
    submit(&mut node, &cheap);
    assert_eq!(submit(&mut node, &dear).ter.name(), "tefPAST_SEQ");
    close(&mut node);
    assert_eq!(balance(&node, &bob), Some(51 * XRP));
    assert!(validated(&node, &cheap).is_some() && validated(&node, &dear).is_none());
}

#[test]
fn ledger_creates_the_account_in_its_own_order() {
    // One of them pays too little to create the account; together they work whatever the order of submission was.
    let (alice, bob, carol) = (
        Wallet::new("alice"),
        Wallet::new("bob"),
        Wallet::new("carol"),
    );
    let mut node = node(&[(&alice, 100 * XRP), (&bob, 100 * XRP)]);
    let little = alice.pays(&carol, XRP / 2, FIRST);
    assert_eq!(submit(&mut node, &little).ter.name(), "tecNO_DST_INSUF_XRP");
    submit(&mut node, &bob.pays(&carol, 5 * XRP, FIRST));
    close(&mut node);
    assert_eq!(
        validated(&node, &little).map(|ter| ter.name()),
        Some("tesSUCCESS")
    );
    assert_eq!(balance(&node, &carol), Some(5 * XRP + XRP / 2));
}

#[test]
fn full_ledger_leaves_the_rest_to_the_next() {
    let (alice, bob) = (Wallet::new("alice"), Wallet::new("bob"));
    let world = super::World::new(genesis(&[(&alice, 100 * XRP), (&bob, 50 * XRP)])).unwrap();
    let mut node = Node::new(world, None, Some(2));
    for number in 0..5 {
        submit(&mut node, &alice.pays(&bob, XRP, FIRST + number));
    }
    let mut counts = Vec::new();
    for _ in 0..4 {
        close(&mut node);
        counts.push(node.world.validated().txs.len());
    }
    assert_eq!(counts, [2, 2, 1, 0]);
}

#[test]
fn expired_transaction_never_enters() {
    let (alice, bob) = (Wallet::new("alice"), Wallet::new("bob"));
    let mut node = node(&[(&alice, 100 * XRP), (&bob, 50 * XRP)]);
    let ends = alice.tx(json!({
        "Destination": bob.address(), "Amount": "1", "Sequence": FIRST + 1, "LastLedgerSequence": FIRST + 2,
    }));
    submit(&mut node, &ends);
    close(&mut node);
    close(&mut node);
    submit(&mut node, &alice.pays(&bob, XRP, FIRST));
    (0..4).for_each(|_| close(&mut node));
    assert_eq!(validated(&node, &ends), None);
    assert_eq!(
        node.world.accounts.get(&alice.id()).unwrap().sequence,
        FIRST + 1
    );
}

fn restart(directory: &std::path::Path, wallets: &[(&Wallet, u64)]) -> Node {
    let (store, world) = Store::open(directory, genesis(wallets)).unwrap();
    Node::new(world, Some(store), None)
}

#[test]
fn restart_keeps_closed_ledgers_and_loses_the_open_one() {
    let (alice, bob) = (Wallet::new("alice"), Wallet::secp("bob"));
    let funded = [(&alice, 100 * XRP), (&bob, 50 * XRP)];
    let directory = tempfile::tempdir().unwrap();
    let mut node = restart(directory.path(), &funded);
    let anchor = node.world.first().hash;
    let (closed, open) = (
        alice.pays(&bob, XRP, FIRST),
        alice.pays(&bob, XRP, FIRST + 1),
    );
    submit(&mut node, &closed);
    submit(&mut node, &bob.pays(&alice, XRP, FIRST));
    close(&mut node);
    submit(&mut node, &open);
    let (tip, held_by_alice) = (node.world.validated().hash, balance(&node, &alice));
    drop(node);

    let mut node = restart(directory.path(), &funded);
    assert_eq!(
        (node.world.first().hash, node.world.validated().hash),
        (anchor, tip)
    );
    assert_eq!(balance(&node, &alice), held_by_alice);
    assert!(node.open_txs().is_empty() && node.cached(&open.hash).is_none());
    assert_eq!(submit(&mut node, &closed).ter.name(), "tefPAST_SEQ");
    assert_eq!(submit(&mut node, &open).ter.name(), "tesSUCCESS");
    close(&mut node);
    assert_eq!(node.world.validated().parent_hash, tip);
}

#[test]
fn torn_last_record_is_cut_off_and_damage_before_it_is_refused() {
    let (alice, bob) = (Wallet::new("alice"), Wallet::new("bob"));
    let funded = [(&alice, 100 * XRP), (&bob, 50 * XRP)];
    let directory = tempfile::tempdir().unwrap();
    let mut node = restart(directory.path(), &funded);
    close(&mut node);
    let tip = node.world.validated().hash;
    drop(node);
    let file = directory.path().join("ledgers.jsonl");
    let append = |bytes: &[u8]| {
        std::fs::OpenOptions::new()
            .append(true)
            .open(&file)
            .unwrap()
            .write_all(bytes)
            .unwrap()
    };
    append(b"0123456789ABCDEF {\"record\":\"led");

    let mut node = restart(directory.path(), &funded);
    assert_eq!(node.world.validated().hash, tip);
    close(&mut node);
    drop(node);
    let node = restart(directory.path(), &funded);
    assert_eq!(node.world.validated().index, FIRST + 2);
    drop(node);

    append(b"rubbish\nmore rubbish\n");
    assert!(matches!(
        Store::open(directory.path(), genesis(&funded)),
        Err(StoreError::Damaged { line: 4, .. })
    ));
    std::fs::remove_file(&file).unwrap();
    drop(restart(directory.path(), &funded));
    let other = Store::open(directory.path(), genesis(&[(&alice, 7)]));
    assert!(matches!(other, Err(StoreError::OtherNetwork { .. })));
}
