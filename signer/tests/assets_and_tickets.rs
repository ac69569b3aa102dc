//! Issued currencies and the making of tickets: what the vault signs of them and what it does not, each rule as a story.

#![allow(missing_docs, clippy::unwrap_used)]

mod world;

use std::collections::{BTreeMap, BTreeSet};

use paygate_proto::signer::v1::DenialReason;
use paygate_signer::intent::PaymentRequest;
use paygate_signer::policy::{AssetLimits, DAY_MS, Policy, TransactionType};
use xrpl_tx::{
    AccountId, Amount, Asset, Body, Drops, IssuedAmount, IssuedValue, NOOP_MEMO_TYPE,
    TICKETS_MEMO_TYPE, Unsigned,
};

use world::{Answer, World, denied, policy, sealed};

fn value(text: &str) -> IssuedValue {
    text.parse().unwrap()
}

fn asset(currency: &str) -> Asset {
    Asset {
        currency: currency.parse().unwrap(),
        issuer: AccountId::from_bytes([0x15; 20]),
    }
}

fn issued(currency: &str, amount: &str, send_max: Option<&str>) -> Amount {
    let amount = IssuedAmount::new(asset(currency), value(amount)).unwrap();
    Amount::issued(amount, send_max.map(value)).unwrap()
}

/// 100 USD for a payment, 250 a day; the same of EUR; tickets.
fn generous() -> Policy {
    let limits = AssetLimits {
        max_payment: value("100"),
        max_day: value("250"),
    };
    let mut policy = policy();
    policy.assets = BTreeMap::from([(asset("USD"), limits), (asset("EUR"), limits)]);
    policy.allowed_types.insert(TransactionType::TicketCreate);
    policy
}

fn world() -> World {
    World::new().restart_with(generous())
}

fn paying(world: &World, payment_id: &str, sequence: u32, amount: Amount) -> PaymentRequest {
    PaymentRequest {
        amount,
        ..world.payment(payment_id, sequence)
    }
}

fn pay(world: &World, payment_id: &str, sequence: u32, amount: Amount) -> Answer {
    world.pay(paying(world, payment_id, sequence, amount))
}

fn used(world: &World, currency: &str) -> IssuedValue {
    let described = world.vault.describe(world.now_ms).unwrap();
    let used = described.used_assets.iter();
    used.filter(|(found, _)| *found == asset(currency))
        .map(|(_, used)| *used)
        .next()
        .unwrap()
}

fn read(answer: Answer) -> Unsigned {
    Unsigned::from_blob(&answer.bytes()).unwrap().0
}

// === issued currencies ===

#[test]
fn what_is_signed_is_the_amount_and_the_send_max_that_were_asked_for() {
    let world = world();
    for (sequence, send_max) in [(1, None), (2, Some("50.1"))] {
        let amount = issued("USD", "50", send_max);
        let tx = read(pay(&world, &format!("p-{sequence}"), sequence, amount));
        let Body::Payment(payment) = tx.body else {
            panic!("{tx:?}");
        };
        assert_eq!(payment.amount, amount);
    }
}

#[test]
fn an_asset_that_is_not_listed_is_sealed() {
    let world = World::new();
    assert_eq!(
        pay(&world, "a", 1, issued("USD", "1", None)),
        sealed(DenialReason::AssetNotAllowed)
    );
    let world = world.restart_with(generous());
    assert_eq!(
        pay(&world, "a", 1, issued("USD", "1", None)),
        sealed(DenialReason::Sealed),
        "not even once it is listed"
    );
    pay(&world, "b", 2, issued("USD", "1", None)).bytes();
    let Amount::Issued { amount, .. } = issued("USD", "1", None) else {
        unreachable!("it is issued");
    };
    let elsewhere = Asset {
        issuer: AccountId::from_bytes([0x16; 20]),
        ..amount.asset()
    };
    let amount = IssuedAmount::new(elsewhere, amount.value()).unwrap();
    assert_eq!(
        pay(&world, "c", 3, Amount::issued(amount, None).unwrap()),
        sealed(DenialReason::AssetNotAllowed),
        "the same letters of another issuer are another asset"
    );
}

#[test]
fn a_payments_cap_counts_its_send_max() {
    let world = world();
    let too_much = denied(DenialReason::AmountAboveMaximum);
    for (amount, send_max) in [
        ("100.0000000000001", None),
        ("100", Some("100.0000000000001")),
        ("1e-5", Some("9999999999999999e80")),
    ] {
        let answer = pay(&world, "a", 1, issued("USD", amount, send_max));
        assert_eq!(answer, too_much, "{amount} {send_max:?}");
    }
    assert_eq!(world.head().height, 0, "it may pass, so it leaves no trace");
    pay(&world, "a", 1, issued("USD", "99", Some("100"))).bytes();
}

#[test]
fn a_days_sum_is_each_assets_own_and_counts_each_slot_once() {
    let mut world = world();
    pay(&world, "a", 1, issued("USD", "90", Some("100"))).bytes();
    pay(&world, "b", 2, issued("USD", "100", None)).bytes();
    pay(&world, "c", 3, issued("EUR", "100", None)).bytes();
    let mut bumped = paying(&world, "a", 1, issued("USD", "90", Some("100")));
    bumped.version.fee_drops = 15;
    world.pay(bumped).bytes();
    assert_eq!(
        (used(&world, "USD"), used(&world, "EUR")),
        (value("200"), value("100"))
    );
    assert_eq!(world.used(), 15 + 10 + 10, "of XRP they take their fees");

    let one_more = |world: &World, amount| pay(world, "d", 4, issued("USD", amount, None));
    assert_eq!(
        one_more(&world, "50.00000000000001"),
        denied(DenialReason::DayLimit)
    );
    world = world.restart_with(generous());
    assert_eq!(
        one_more(&world, "50.00000000000001"),
        denied(DenialReason::DayLimit),
        "the sum is rebuilt from the journal"
    );
    world.fill(&world.no_op(1, Some("a"))).bytes();
    assert_eq!(
        used(&world, "USD"),
        value("200"),
        "its payment may still come"
    );
    one_more(&world, "50").bytes();

    world.now_ms += DAY_MS - 1;
    assert_eq!(used(&world, "USD"), value("250"));
    world.now_ms += 1;
    assert_eq!(used(&world, "USD"), value("0"));
}

#[test]
fn its_fees_count_in_the_sum_of_xrp() {
    let world = World::new().restart_with(Policy {
        max_payment: Drops::from_const(1),
        max_day: Drops::from_const(25),
        ..generous()
    });
    pay(&world, "a", 1, issued("USD", "1", None)).bytes();
    pay(&world, "b", 2, issued("USD", "1", None)).bytes();
    assert_eq!(
        pay(&world, "c", 3, issued("USD", "1", None)),
        denied(DenialReason::DayLimit)
    );
}

#[test]
fn another_amount_another_send_max_or_xrp_is_another_intent() {
    let world = world();
    let first = issued("USD", "50", Some("51"));
    let bytes = pay(&world, "a", 1, first).bytes();
    for other in [
        issued("USD", "50", None),
        issued("USD", "50", Some("52")),
        issued("USD", "50.00000000000001", Some("51")),
        issued("EUR", "50", Some("51")),
        Amount::Xrp(Drops::from_const(50)),
    ] {
        assert_eq!(pay(&world, "a", 1, other), denied(DenialReason::SlotTaken));
    }
    let world = world.restart_with(generous());
    assert_eq!(pay(&world, "a", 1, first).bytes(), bytes);
}

#[test]
fn the_digest_of_the_policy_names_every_asset_and_type() {
    let digest = |policy: Policy| {
        let world = World::new().restart_with(policy);
        world.vault.describe(world.now_ms).unwrap().policy_digest
    };
    let mut more = generous();
    more.assets.get_mut(&asset("USD")).unwrap().max_day = value("251");
    let mut fewer = generous();
    fewer.assets.remove(&asset("EUR"));
    let mut typeless = generous();
    typeless.allowed_types = BTreeSet::new();
    let digests = [generous(), more, fewer, typeless, policy()].map(digest);
    for (at, one) in digests.iter().enumerate() {
        assert!(!digests[at + 1..].contains(one), "{at}");
    }
}

// === tickets ===

#[test]
fn tickets_are_made_only_if_the_policy_allows_it() {
    let world = World::new();
    assert_eq!(
        world.make_tickets(&world.tickets(1, 10)),
        denied(DenialReason::TypeNotAllowed)
    );
    assert_eq!(world.head().height, 0);
    let world = world.restart_with(generous());
    let tx = read(world.make_tickets(&world.tickets(1, 10)));
    let Body::TicketCreate(tickets) = tx.body else {
        panic!("{tx:?}");
    };
    assert_eq!(tickets.count(), 10);
    let [memo] = tx.memos.as_slice() else {
        panic!("{:?}", tx.memos);
    };
    assert_eq!(
        memo.memo_type.as_deref(),
        Some(TICKETS_MEMO_TYPE.as_bytes())
    );
    assert_eq!(
        memo.data.as_deref(),
        Some(&b"sequence 1: 10 tickets for payments"[..])
    );
    assert_ne!(TICKETS_MEMO_TYPE, NOOP_MEMO_TYPE);
}

#[test]
fn a_ticket_create_keeps_its_slot_for_ever() {
    let world = world();
    let first = world.make_tickets(&world.tickets(7, 10)).bytes();
    let world = world.restart_with(generous());
    let again = world.make_tickets(&world.tickets(7, 10));
    assert!(again.is_replay());
    assert_eq!(again.bytes(), first);
    let taken = denied(DenialReason::SlotTaken);
    assert_eq!(world.make_tickets(&world.tickets(7, 11)), taken);
    assert_eq!(world.pay(world.payment("a", 7)), taken);
    assert_eq!(
        world.fill(&world.no_op(7, Some("a"))),
        taken,
        "no payment was bound to the slot"
    );
    let mut bumped = world.tickets(7, 10);
    bumped.version.fee_drops = 15;
    assert_ne!(world.make_tickets(&bumped).bytes(), first);
    world.fill(&world.no_op(7, None)).bytes();
    assert_eq!(
        world.make_tickets(&world.tickets(7, 10)),
        denied(DenialReason::SlotIsNoOp),
        "not even its old version"
    );
}

#[test]
fn a_slot_of_a_payment_makes_no_tickets() {
    let world = world();
    world.pay(world.payment("a", 7)).bytes();
    assert_eq!(
        world.make_tickets(&world.tickets(7, 1)),
        denied(DenialReason::SlotTaken)
    );
}

#[test]
fn a_ticket_create_jumps_over_nothing_that_was_signed_for() {
    let world = world();
    world.pay(world.payment("a", 9)).bytes();
    for sequence in [1, 8] {
        assert_eq!(
            world.make_tickets(&world.tickets(sequence, 1)),
            denied(DenialReason::SlotTaken),
            "{sequence}"
        );
    }
    world.make_tickets(&world.tickets(10, 1)).bytes();
}

#[test]
fn what_a_ticket_create_sets_aside_is_no_sequence_any_more() {
    let world = world();
    world.make_tickets(&world.tickets(7, 3)).bytes();
    let world = world.restart_with(generous());
    for sequence in [8, 9, 10] {
        let taken = denied(DenialReason::SlotTaken);
        assert_eq!(world.pay(world.payment("a", sequence)), taken, "{sequence}");
        assert_eq!(
            world.fill(&world.no_op(sequence, None)),
            taken,
            "{sequence}"
        );
        assert_eq!(
            world.make_tickets(&world.tickets(sequence, 1)),
            taken,
            "{sequence}"
        );
    }
    world.pay(world.payment("before", 6)).bytes();
    world.pay(world.payment("after", 11)).bytes();
    let mut on_ticket = world.payment("on-a-ticket", 8);
    on_ticket.slot = xrpl_tx::Slot::Ticket(8);
    world.pay(on_ticket).bytes();

    // The gateway gives up making tickets: whether the no-op came, it learns from the ledger.
    world.fill(&world.no_op(7, None)).bytes();
    world.pay(world.payment("a", 8)).bytes();
}
