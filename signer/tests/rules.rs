//! What the vault signs and what it does not, each rule as a story.

#![allow(missing_docs, clippy::unwrap_used)]

mod world;

use std::collections::BTreeSet;

use paygate_proto::signer::v1::DenialReason;
use paygate_signer::intent::KnownFrame;
use paygate_signer::keys::SigningKey;
use paygate_signer::keys::seed::Seed;
use paygate_signer::policy::{DAY_MS, Policy, TransactionType};
use paygate_signer::vault::{Ledger, Vault, Wallet};
use xrpl_tx::{AccountId, Amount, Drops, Memo, Slot};

use world::{ALICE, Answer, BANNED, FIRST_LEDGER, NETWORK, NOON_MS, World, denied, policy, sealed};

#[test]
fn the_same_request_gets_the_journals_bytes_also_after_a_restart() {
    let world = World::new();
    let first = world.pay(world.payment("a", 1)).bytes();
    let head = world.head();
    let world = world.restart();
    let again = world.pay(world.payment("a", 1));
    assert!(again.is_replay());
    assert_eq!(again.bytes(), first);
    assert_eq!(world.head(), head, "a replay records nothing");
}

#[test]
fn a_replay_needs_no_room_in_the_limits_and_no_open_window() {
    let mut world = World::new();
    let first = world.pay(world.payment("a", 1)).bytes();
    let strict = Policy {
        max_payment: Drops::from_const(1),
        max_fee: Drops::from_const(1),
        ..policy()
    };
    world.now_ms += 10 * DAY_MS;
    let world = world.restart_with(strict);
    assert_eq!(world.pay(world.payment("a", 1)).bytes(), first);
}

#[test]
fn another_fee_or_last_ledger_is_a_new_version_under_the_caps() {
    let world = World::new();
    let first = world.pay(world.payment("a", 1)).bytes();
    let mut bumped = world.payment("a", 1);
    bumped.version.fee_drops = 15;
    let second = world.pay(bumped.clone());
    assert!(!second.is_replay());
    assert_ne!(second.bytes(), first);
    assert!(world.pay(bumped).is_replay());
    assert_eq!(
        world.pay(world.payment("a", 1)).bytes(),
        first,
        "the older version is still there"
    );

    let mut greedy = world.payment("a", 1);
    greedy.version.fee_drops = 21;
    assert_eq!(world.pay(greedy), denied(DenialReason::Fee));
}

#[test]
fn a_slot_never_serves_a_second_payment() {
    let world = World::new();
    world.pay(world.payment("a", 1)).bytes();
    assert_eq!(
        world.pay(world.payment("b", 1)),
        denied(DenialReason::SlotTaken)
    );
    let mut more = world.payment("a", 1);
    more.amount = Amount::Xrp(Drops::from_const(51));
    assert_eq!(world.pay(more), denied(DenialReason::SlotTaken));
    let mut elsewhere = world.payment("a", 1);
    elsewhere.destination = AccountId::from_bytes([2; 20]);
    let world = world.restart();
    assert_eq!(world.pay(elsewhere), denied(DenialReason::SlotTaken));
}

#[test]
fn a_payment_never_gets_a_second_slot() {
    let world = World::new();
    world.pay(world.payment("a", 1)).bytes();
    assert_eq!(
        world.pay(world.payment("a", 2)),
        denied(DenialReason::PaymentOnOtherSlot)
    );
    let world = world.restart();
    assert_eq!(
        world.pay(world.payment("a", 2)),
        denied(DenialReason::PaymentOnOtherSlot)
    );
}

#[test]
fn after_a_no_op_the_slot_takes_only_no_ops() {
    let world = World::new();
    world.pay(world.payment("a", 1)).bytes();
    let filler = world.no_op(1, Some("a"));
    let first = world.fill(&filler).bytes();
    assert_eq!(
        world.pay(world.payment("a", 1)),
        denied(DenialReason::SlotIsNoOp),
        "not even its old version"
    );
    let world = world.restart();
    assert_eq!(
        world.pay(world.payment("a", 1)),
        denied(DenialReason::SlotIsNoOp)
    );
    assert_eq!(world.fill(&filler).bytes(), first);
    let mut bumped = filler;
    bumped.version.fee_drops = 11;
    assert_ne!(world.fill(&bumped).bytes(), first);
}

#[test]
fn a_no_op_names_only_its_own_slots_payment() {
    let world = World::new();
    world.pay(world.payment("a", 1)).bytes();
    assert_eq!(
        world.fill(&world.no_op(2, Some("a"))),
        denied(DenialReason::PaymentOnOtherSlot)
    );
    assert_eq!(
        world.fill(&world.no_op(1, Some("b"))),
        denied(DenialReason::SlotTaken)
    );
    world.fill(&world.no_op(1, None)).bytes();
}

#[test]
fn a_payment_whose_slot_was_filled_before_it_was_signed_is_never_signed() {
    let world = World::new();
    world.fill(&world.no_op(1, Some("a"))).bytes();
    assert_eq!(
        world.pay(world.payment("a", 1)),
        denied(DenialReason::SlotIsNoOp)
    );
    assert_eq!(
        world.pay(world.payment("a", 2)),
        denied(DenialReason::PaymentOnOtherSlot)
    );
}

#[test]
fn refused_content_is_sealed_before_it_is_called_permanent() {
    let world = World::new();
    let mut to_banned = world.payment("a", 1);
    to_banned.destination = BANNED;
    assert_eq!(
        world.pay(to_banned),
        sealed(DenialReason::DestinationDenied)
    );
    assert_eq!(world.head().height, 1, "the seal is in the journal");
    let world = world.restart();
    assert_eq!(
        world.pay(world.payment("a", 1)),
        sealed(DenialReason::Sealed),
        "not with other content"
    );
    assert_eq!(
        world.pay(world.payment("a", 2)),
        sealed(DenialReason::Sealed),
        "not on another slot"
    );
    assert_eq!(
        world.pay(world.payment("b", 1)),
        denied(DenialReason::SlotIsNoOp),
        "nobody else gets the slot"
    );
    world.fill(&world.no_op(1, Some("a"))).bytes();
    assert_eq!(
        world.pay(world.payment("a", 2)),
        sealed(DenialReason::Sealed)
    );
}

#[test]
fn the_wallet_itself_and_bad_memos_are_refused_for_ever() {
    let world = World::new();
    let mut to_itself = world.payment("a", 1);
    to_itself.destination = world.wallet;
    assert_eq!(
        world.pay(to_itself),
        sealed(DenialReason::DestinationDenied)
    );
    let mut with_memo = world.payment("b", 2);
    with_memo.memos = vec![Memo {
        memo_type: Some(b"not a url \n".to_vec()),
        data: None,
        format: None,
    }];
    assert_eq!(world.pay(with_memo), sealed(DenialReason::MemosInvalid));
    let mut too_long = world.payment("c", 3);
    too_long.memos = vec![Memo {
        memo_type: None,
        data: Some(vec![1; 1025]),
        format: None,
    }];
    assert_eq!(world.pay(too_long), sealed(DenialReason::MemosInvalid));
}

#[test]
fn what_was_signed_once_is_never_called_permanently_denied() {
    let world = World::new();
    let first = world.pay(world.payment("a", 1)).bytes();
    let later = Policy {
        denied_destinations: BTreeSet::from([ALICE]),
        ..policy()
    };
    let world = world.restart_with(later);
    let mut bumped = world.payment("a", 1);
    bumped.version.fee_drops = 15;
    let height = world.head().height;
    assert_eq!(world.pay(bumped), denied(DenialReason::DestinationDenied));
    assert_eq!(world.head().height, height, "no seal");
    assert_eq!(world.pay(world.payment("a", 1)).bytes(), first);
}

#[test]
fn denials_that_may_pass_leave_no_trace() {
    let world = World::new();
    let mut too_much = world.payment("a", 1);
    too_much.amount = Amount::Xrp(Drops::from_const(101));
    assert_eq!(
        world.pay(too_much),
        denied(DenialReason::AmountAboveMaximum)
    );
    assert_eq!(world.head().height, 0);
    world.pay(world.payment("a", 1)).bytes();
}

#[test]
fn nothing_lives_past_the_signers_own_estimate_and_its_window() {
    let mut world = World::new();
    let with = |world: &World, last_ledger_sequence| {
        let mut request = world.payment("a", 1);
        request.version.last_ledger_sequence = last_ledger_sequence;
        world.pay(request)
    };
    for immortal in [0, FIRST_LEDGER + 31, u32::MAX] {
        assert_eq!(
            with(&world, immortal),
            denied(DenialReason::LastLedgerSequence)
        );
    }
    with(&world, FIRST_LEDGER + 30).bytes();
    world.now_ms += 3000;
    with(&world, FIRST_LEDGER + 31).bytes();
}

#[test]
fn a_clock_that_goes_back_does_not_bring_the_day_back() {
    let mut world = World::new();
    world.now_ms = NOON_MS + DAY_MS;
    world.pay(world.payment("a", 1)).bytes();
    world.now_ms = NOON_MS;
    assert_eq!(
        world
            .vault
            .describe(NOON_MS)
            .unwrap()
            .estimated_ledger_index,
        FIRST_LEDGER + 28_800
    );
    let world = world.restart();
    assert_eq!(
        world.vault.describe(0).unwrap().estimated_ledger_index,
        FIRST_LEDGER + 28_800
    );
}

#[test]
fn a_days_sum_counts_each_slot_once_with_its_dearest_version() {
    let mut world = World::new();
    for fee in [10, 15, 12] {
        let mut version = world.payment("a", 1);
        version.version.fee_drops = fee;
        world.pay(version).bytes();
    }
    assert_eq!(world.used(), 65);
    for (payment_id, sequence) in [("b", 2), ("c", 3), ("d", 4)] {
        world.pay(world.payment(payment_id, sequence)).bytes();
    }
    assert_eq!(world.used(), 65 + 3 * 60);
    assert_eq!(
        world.pay(world.payment("e", 5)),
        denied(DenialReason::DayLimit)
    );
    world = world.restart();
    assert_eq!(world.used(), 245, "the sum is rebuilt from the journal");
    assert_eq!(
        world.pay(world.payment("e", 5)),
        denied(DenialReason::DayLimit)
    );
    world.fill(&world.no_op(2, Some("b"))).bytes();
    assert_eq!(
        world.used(),
        245,
        "a no-op on a counted slot costs less than its payment could"
    );

    world.now_ms += DAY_MS - 1;
    assert_eq!(world.used(), 245);
    world.now_ms += 1;
    assert_eq!(world.used(), 0);
}

#[test]
fn the_first_signature_pins_the_store_for_ever() {
    let mut world = World::new();
    world.pay(world.payment("a", 1)).bytes();
    let mut world = {
        world.fence.store_id = [8; 16];
        world.restart()
    };
    assert_eq!(
        world.pay(world.payment("b", 2)),
        denied(DenialReason::WrongRequest)
    );
    assert_eq!(
        world.fill(&world.no_op(1, None)),
        denied(DenialReason::WrongRequest)
    );
    world.fence.store_id = [7; 16];
    world.pay(world.payment("b", 2)).bytes();
}

#[test]
fn an_older_epoch_and_an_absurd_jump_are_refused() {
    let mut world = World::new();
    world.fence.epoch = 5;
    world.pay(world.payment("a", 1)).bytes();
    let mut world = world.restart();
    for (epoch, reason) in [(4, DenialReason::Epoch), (1_000_006, DenialReason::Epoch)] {
        world.fence.epoch = epoch;
        assert_eq!(world.pay(world.payment("b", 2)), denied(reason));
        assert_eq!(
            world.pay(world.payment("a", 1)),
            denied(reason),
            "not even a replay"
        );
    }
    world.fence.epoch = 1_000_005;
    world.pay(world.payment("b", 2)).bytes();
    world.fence.epoch = 5;
    assert_eq!(
        world.pay(world.payment("c", 3)),
        denied(DenialReason::Epoch)
    );
}

#[test]
fn a_store_that_knows_more_of_the_journal_than_the_disk_is_noticed() {
    let mut world = World::new();
    world.pay(world.payment("a", 1)).bytes();
    let first = world.head();
    world.pay(world.payment("b", 2)).bytes();
    let second = world.head();
    for (height, hash, fits) in [
        (first.height, first.hash, true),
        (second.height, second.hash, true),
        (first.height, second.hash, false),
        (second.height + 1, second.hash, false),
    ] {
        world.fence.known = Some(KnownFrame { height, hash });
        let answer = world.pay(world.payment("a", 1));
        if fits {
            assert!(answer.is_replay());
        } else {
            assert_eq!(answer, denied(DenialReason::JournalBehind));
        }
    }
}

#[test]
fn another_account_or_another_digest_is_refused() {
    let world = World::new();
    let mut other = world.payment("a", 1);
    other.account = ALICE;
    assert_eq!(world.pay(other), denied(DenialReason::WrongRequest));
    let unclaimed = world.payment("a", 1);
    let answer = Answer::of(world.vault.sign_payment(&unclaimed, world.now_ms).unwrap());
    assert_eq!(answer, denied(DenialReason::IntentDigest));
}

#[test]
fn a_ticket_is_a_slot_apart_from_the_sequence_of_its_number() {
    let world = World::new();
    let on_ticket = |world: &World, payment_id: &str| {
        let mut request = world.payment(payment_id, 1);
        request.slot = Slot::Ticket(1);
        world.pay(request)
    };
    let first = on_ticket(&world, "a").bytes();
    world.pay(world.payment("b", 1)).bytes();
    assert_eq!(
        world.pay(world.payment("a", 1)),
        denied(DenialReason::PaymentOnOtherSlot)
    );
    let world = world.restart();
    assert_eq!(on_ticket(&world, "c"), denied(DenialReason::SlotTaken));
    assert_eq!(on_ticket(&world, "a").bytes(), first);
    assert_eq!(world.vault.describe(NOON_MS).unwrap().highest_sequence, 1);
}

#[test]
fn a_type_that_is_not_listed_is_denied() {
    let only = |allowed| Policy {
        allowed_types: BTreeSet::from([allowed]),
        ..policy()
    };
    let world = World::new().restart_with(only(TransactionType::NoOp));
    assert_eq!(
        world.pay(world.payment("a", 1)),
        denied(DenialReason::TypeNotAllowed)
    );
    world.fill(&world.no_op(1, None)).bytes();
    let world = world.restart_with(only(TransactionType::Payment));
    assert_eq!(
        world.fill(&world.no_op(2, None)),
        denied(DenialReason::TypeNotAllowed)
    );
    world.pay(world.payment("a", 2)).bytes();
}

#[test]
fn slots_may_come_in_any_order_and_with_any_gap() {
    let world = World::new();
    let world = world.restart_with(Policy {
        max_day: Drops::MAX,
        ..policy()
    });
    let sequences = [5000, 1, u32::MAX, 5001, 8000, 4999, 6500, 7000, 2, 7999];
    for sequence in sequences {
        world
            .pay(world.payment(&format!("p-{sequence}"), sequence))
            .bytes();
    }
    let world = world.restart();
    for sequence in sequences {
        assert!(
            world
                .pay(world.payment(&format!("p-{sequence}"), sequence))
                .is_replay(),
            "{sequence}"
        );
        assert_eq!(
            world.pay(world.payment("other", sequence)),
            denied(DenialReason::SlotTaken)
        );
    }
    assert_eq!(
        world.vault.describe(NOON_MS).unwrap().highest_sequence,
        u32::MAX
    );
}

#[test]
fn many_at_once_get_one_signature_for_each_slot() {
    let world = World::new().restart_with(Policy {
        max_day: Drops::MAX,
        ..policy()
    });
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for sequence in 1..=20 {
                    world
                        .pay(world.payment(&format!("p-{sequence}"), sequence))
                        .bytes();
                }
            });
        }
    });
    assert_eq!(world.head().height, 20);
}

#[test]
fn a_journal_serves_one_wallet_and_one_network() {
    let world = World::new();
    world.pay(world.payment("a", 1)).bytes();
    let World {
        directory, vault, ..
    } = world;
    drop(vault);
    let path = directory.path().join("journal");
    let refused = Ledger::open(&path, NETWORK + 1).unwrap_err().to_string();
    assert!(refused.contains("journal of network 63456"), "{refused}");
    let key =
        SigningKey::from_seed(Seed::parse(b"snoPBrXtMeMyMHUVTgbuqAfg1SUTb").unwrap()).unwrap();
    let wallet = Wallet {
        account: key.public().account_id(),
        network_id: NETWORK,
    };
    let ledger = Ledger::open(&path, NETWORK).unwrap();
    assert!(Vault::new(wallet, policy(), key, ledger).is_err());
}
