//! Who is believed when servers say different things, and who is not.
#![allow(clippy::unwrap_used)]

use paygate_payments::agreement::{Finding, Ledgers, Sifted, sift};
use paygate_payments::proof::{NoProof, Quorum, Source};
use paygate_payments::{LedgerIndex, LedgerRef};
use xrpl_tx::Hash256;

fn source(operator: &str) -> Source {
    Source {
        operator: operator.to_owned(),
        own: operator == "us",
    }
}

fn sifted(need: usize, said: &[(&str, u8)]) -> Sifted {
    let said: Vec<(Source, u8)> = said
        .iter()
        .map(|(who, what)| (source(who), *what))
        .collect();
    sift(Quorum::new(need), &said)
}

fn agreed(agreeing: &[usize], against: &[usize]) -> Sifted {
    Sifted::Agreed {
        agreeing: agreeing.to_vec(),
        against: against.to_vec(),
    }
}

#[test]
fn enough_operators_are_believed_and_the_odd_one_is_named() {
    let too_few = |have, need| Sifted::Open(NoProof::TooFew { have, need });
    let contradiction = Sifted::Open(NoProof::Contradiction);
    for (need, said, wanted) in [
        (2, vec![], Sifted::Open(NoProof::NotValidated)),
        (2, vec![("a", 1)], too_few(1, 2)),
        (2, vec![("a", 1), ("b", 1)], agreed(&[0, 1], &[])),
        // Two servers of one operator are one word.
        (2, vec![("a", 1), ("a", 1)], too_few(1, 2)),
        (2, vec![("a", 1), ("a", 2)], contradiction.clone()),
        (2, vec![("a", 1), ("b", 2)], contradiction.clone()),
        (2, vec![("a", 1), ("b", 2), ("c", 1)], agreed(&[0, 2], &[1])),
        (3, vec![("a", 1), ("b", 2), ("c", 1)], contradiction.clone()),
        (2, vec![("a", 1), ("b", 2), ("c", 3)], contradiction),
        (
            2,
            vec![("a", 1), ("b", 2), ("c", 1), ("d", 2)],
            Sifted::Split,
        ),
        // Our own suffices, against one of others; against enough others nothing is decided.
        (2, vec![("us", 1)], agreed(&[0], &[])),
        (2, vec![("us", 1), ("a", 2)], agreed(&[0], &[1])),
        (2, vec![("us", 1), ("a", 2), ("b", 2)], Sifted::Split),
        (2, vec![("us", 1), ("us", 2)], Sifted::Split),
    ] {
        assert_eq!(sifted(need, &said), wanted, "{need} of {said:?}");
    }
}

#[test]
fn the_order_of_words_does_not_decide() {
    let said = [("a", 1), ("b", 2), ("c", 1), ("d", 3)];
    for turn in 0..said.len() {
        let mut turned = said;
        turned.rotate_left(turn);
        let Sifted::Agreed { agreeing, against } = sifted(2, &turned) else {
            panic!("{turned:?}")
        };
        assert!(agreeing.iter().all(|place| turned[*place].1 == 1));
        assert!(against.iter().all(|place| turned[*place].1 != 1));
    }
}

fn ledger(index: u32, hash: u8) -> LedgerRef {
    LedgerRef {
        index: LedgerIndex(index),
        hash: Hash256::from_bytes([hash; 32]),
    }
}

fn ledgers(need: usize, operators: &[&str]) -> Ledgers {
    let sources = operators.iter().map(|name| source(name)).collect();
    Ledgers::new(Quorum::new(need), sources)
}

#[test]
fn the_validated_index_is_the_highest_that_enough_tell() {
    let mut heard = ledgers(2, &["a", "b", "c"]);
    assert_eq!(heard.said(0, ledger(7, 7)), []);
    assert_eq!(heard.newest(), None, "one server's word is nobody's");
    heard.said(0, ledger(8, 8));
    heard.said(1, ledger(7, 7));
    assert_eq!(
        heard.newest(),
        Some(ledger(7, 7)),
        "the slower of two counts"
    );
    heard.said(2, ledger(8, 8));
    assert_eq!(heard.newest(), Some(ledger(8, 8)));
    heard.said(1, ledger(6, 6));
    heard.said(2, ledger(6, 6));
    assert_eq!(heard.newest(), Some(ledger(8, 8)), "it never goes back");
}

#[test]
fn our_own_server_is_enough() {
    let mut heard = ledgers(2, &["us"]);
    heard.said(0, ledger(7, 7));
    assert_eq!(heard.newest(), Some(ledger(7, 7)));
}

#[test]
fn a_server_that_contradicts_what_is_agreed_is_named_whenever_it_speaks() {
    let contradicts = Finding::Contradicts {
        server: 2,
        told: ledger(7, 9),
        known: ledger(7, 7).hash,
    };
    let mut late = ledgers(2, &["a", "b", "c"]);
    late.said(0, ledger(7, 7));
    late.said(1, ledger(7, 7));
    assert_eq!(late.said(2, ledger(7, 9)), [contradicts]);
    let mut early = ledgers(2, &["a", "b", "c"]);
    early.said(2, ledger(7, 9));
    assert_eq!(early.said(0, ledger(7, 7)), []);
    assert_eq!(early.disputed(), Some(LedgerIndex(7)));
    assert_eq!(early.said(1, ledger(7, 7)), [contradicts]);
    assert_eq!(
        (early.newest(), early.disputed()),
        (Some(ledger(7, 7)), None)
    );
    let mut alone = ledgers(2, &["a", "b", "c"]);
    alone.said(2, ledger(7, 7));
    let two_words = alone.said(2, ledger(7, 8));
    assert!(matches!(
        two_words[..],
        [Finding::Contradicts { server: 2, .. }]
    ));
}

#[test]
fn two_groups_that_could_each_be_believed_decide_nothing() {
    let mut heard = ledgers(2, &["a", "b", "c", "d"]);
    heard.said(0, ledger(7, 7));
    heard.said(2, ledger(7, 9));
    heard.said(3, ledger(7, 9));
    let split = Finding::Split {
        index: LedgerIndex(7),
    };
    assert_eq!(heard.said(1, ledger(7, 7)), [split]);
}

#[test]
fn who_is_not_believed_decides_nothing_and_still_shows_how_many_say_otherwise() {
    let mut heard = ledgers(2, &["a", "b", "c", "d"]);
    heard.said(2, ledger(7, 9));
    heard.said(0, ledger(7, 7));
    let told = heard.said(1, ledger(7, 7));
    assert!(matches!(told[..], [Finding::Contradicts { server: 2, .. }]));
    heard.trust(2, false);
    heard.said(0, ledger(8, 8));
    heard.said(2, ledger(8, 8));
    assert_eq!(heard.newest(), Some(ledger(7, 7)), "its word is none");
    let split = Finding::Split {
        index: LedgerIndex(7),
    };
    assert_eq!(heard.said(3, ledger(7, 9)), [split], "two say otherwise");
    heard.trust(2, true);
    heard.said(2, ledger(8, 8));
    assert_eq!(heard.newest(), Some(ledger(8, 8)));
}

#[test]
fn what_was_decided_by_before_is_held_against_every_word() {
    let mut heard = ledgers(2, &["a", "b"]);
    heard.recall(ledger(7, 7));
    assert_eq!(heard.newest(), None, "nobody has told it in this life");
    let told = heard.said(0, ledger(7, 9));
    assert!(matches!(told[..], [Finding::Contradicts { server: 0, .. }]));
    let split = Finding::Split {
        index: LedgerIndex(7),
    };
    assert_eq!(heard.said(1, ledger(7, 9)), [split], "the past has changed");
}

#[test]
fn who_has_passed_a_ledger_in_silence_is_asked_about_it() {
    let mut heard = ledgers(2, &["a", "b", "c"]);
    heard.said(0, ledger(9, 9));
    assert_eq!(heard.missing(), None, "nobody else has come so far");
    heard.said(1, ledger(7, 7));
    heard.said(2, ledger(6, 6));
    assert_eq!(heard.missing(), Some((LedgerIndex(7), vec![0])));
    heard.said(0, ledger(7, 7));
    assert_eq!(heard.missing(), None);
    assert_eq!(heard.newest(), Some(ledger(7, 7)));
}

#[test]
fn a_server_that_announces_what_does_not_exist_moves_nothing() {
    let mut heard = ledgers(2, &["a", "b", "c"]);
    for far in 0..1_000 {
        heard.said(2, ledger(4_000_000_000 + far, 1));
    }
    for index in 7..10 {
        heard.said(0, ledger(index, 7));
        heard.said(1, ledger(index, 7));
    }
    assert_eq!(heard.newest(), Some(ledger(9, 7)));
    assert_eq!(heard.missing(), None);
    heard.trust(2, false);
    assert_eq!(heard.newest_of(2), None);
}
