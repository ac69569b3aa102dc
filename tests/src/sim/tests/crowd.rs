//! Stories about crowded ledgers and about tickets.

use serde_json::json;

use super::super::queue::Queue;
use super::*;

/// A server whose ledgers are expected to hold two transactions.
fn crowded(funded: &[(&Wallet, u64)]) -> Node {
    let mut node = node(funded);
    node.queue = Some(Queue::new(2));
    node
}

#[test]
fn who_pays_the_base_fee_waits_when_the_ledger_is_full_and_is_paid_out_later() {
    let (alice, bob) = (Wallet::new("alice"), Wallet::new("bob"));
    let mut node = crowded(&[(&alice, 100 * XRP), (&bob, 50 * XRP)]);
    let payments: Vec<_> = (0..5)
        .map(|number| alice.pays(&bob, XRP, FIRST + number))
        .collect();
    let results: Vec<Ter> = payments
        .iter()
        .map(|payment| submit(&mut node, payment).ter)
        .collect();
    // One more than expected fits before fees rise.
    let (in_ledger, waits) = (Ter::TesSuccess, Ter::TerQueued);
    assert_eq!(results, [in_ledger, in_ledger, in_ledger, waits, waits]);
    assert_eq!(submit(&mut node, &payments[3]).ter, Ter::TelCanNotQueueFee);
    for _ in 0..3 {
        close(&mut node);
    }
    for payment in &payments {
        assert_eq!(validated(&node, payment), Some(Ter::TesSuccess));
    }
    assert_eq!(balance(&node, &bob), Some(55 * XRP));
}

#[test]
fn only_more_than_a_quarter_more_replaces_who_waits() {
    let (alice, bob) = (Wallet::new("alice"), Wallet::new("bob"));
    let mut node = crowded(&[(&alice, 100 * XRP), (&bob, 50 * XRP)]);
    for number in 0..3 {
        submit(&mut node, &alice.pays(&bob, XRP, FIRST + number));
    }
    let waiting = |fee: &str| {
        alice.tx(json!({
            "Destination": bob.address(), "Amount": "1", "Sequence": FIRST + 3, "Fee": fee,
        }))
    };
    let results: Vec<Ter> = ["10", "12", "13"]
        .into_iter()
        .map(|fee| submit(&mut node, &waiting(fee)).ter)
        .collect();
    let (waits, refused) = (Ter::TerQueued, Ter::TelCanNotQueueFee);
    assert_eq!(results, [waits, refused, waits]);
}

#[test]
fn tickets_are_used_in_any_order_and_once() {
    let (alice, bob) = (Wallet::new("alice"), Wallet::new("bob"));
    let mut node = node(&[(&alice, 100 * XRP), (&bob, 50 * XRP)]);
    let create = alice.tx(json!({
        "TransactionType": "TicketCreate", "TicketCount": 2, "Sequence": FIRST,
    }));
    assert_eq!(submit(&mut node, &create).ter, Ter::TesSuccess);
    close(&mut node);
    let by_ticket = |ticket: u32, drops: u64| {
        alice.tx(json!({
            "Destination": bob.address(), "Amount": drops.to_string(), "Sequence": 0, "TicketSequence": ticket,
        }))
    };
    let last = by_ticket(FIRST + 2, 7);
    assert_eq!(submit(&mut node, &last).ter, Ter::TesSuccess);
    assert_eq!(submit(&mut node, &last).ter, Ter::TefNoTicket);
    let future = by_ticket(FIRST + 3, 7);
    assert_eq!(submit(&mut node, &future).ter, Ter::TerPreTicket);
    close(&mut node);
    let root = node.world.accounts.get(&alice.id()).unwrap();
    assert_eq!((root.sequence, root.owner_count), (FIRST + 3, 1));
    assert_eq!(
        root.tickets.keys().copied().collect::<Vec<_>>(),
        [FIRST + 1]
    );
}
