//! Every rule of pre-flight as a line: what a ledger has, and what is said of the payment.
#![allow(clippy::unwrap_used)]

mod common;

use common::*;
use paygate_payments::intent::{Id, Intent, PaymentKey};
use paygate_payments::payment::{CancelCause, EndProof, State, StateName};
use paygate_payments::preflight::{
    AccountRoot, AssetFacts, DestinationFacts, Facts, HoldingFacts, IssuedFacts, IssuerRoot,
    Refusal, RefusalReason, Shortage, TrustLine, Verdict, check,
};
use paygate_payments::proof::{NoProof, Observed, Quorum, Reading, Source};
use paygate_payments::step::Event;
use xrpl_tx::{
    ACCOUNT_ONE, ACCOUNT_ZERO, AccountId, Amount, Asset, Drops, IssuedAmount, IssuedValue,
};

const XRP: u64 = 1_000_000;
const RESERVE: Drops = Drops::from_const(XRP);

const REQUIRE_TAG: u32 = 0x0002_0000;
const REQUIRE_AUTH: u32 = 0x0004_0000;
const DISALLOW_XRP: u32 = 0x0008_0000;
const GLOBAL_FREEZE: u32 = 0x0040_0000;
const DEPOSIT_AUTH: u32 = 0x0100_0000;

fn seen<T: Clone + PartialEq>(fact: T) -> Observed<T> {
    let reading = Reading {
        source: own(),
        ledger: ledger(100),
        fact,
    };
    Quorum::new(2).observed(&[reading]).unwrap()
}

fn drops(drops: u64) -> Drops {
    Drops::new(drops).unwrap()
}

fn value(text: &str) -> IssuedValue {
    text.parse().unwrap()
}

fn usd() -> Asset {
    Asset {
        currency: "USD".parse().unwrap(),
        issuer: AccountId::from_bytes([9; 20]),
    }
}

/// A payment without a tag.
fn asks(amount: Amount) -> Intent {
    Intent {
        amount,
        destination_tag: None,
        ..intent()
    }
}

fn pays(amount_drops: u64) -> Intent {
    asks(Amount::Xrp(drops(amount_drops)))
}

fn root(flags: u32) -> AccountRoot {
    AccountRoot {
        balance: drops(50 * XRP),
        flags,
        is_pseudo: false,
        wallet_preauthorised: false,
    }
}

// === XRP ===

fn of_xrp(intent: &Intent, root: Option<AccountRoot>) -> Verdict {
    let destination = seen(DestinationFacts {
        account: intent.destination,
        reserve_base: RESERVE,
        root,
    });
    let facts = Facts {
        destination: &destination,
        issued: None,
    };
    check(intent, &wallet(), facts)
}

fn reason(verdict: &Verdict) -> Option<RefusalReason> {
    match verdict {
        Verdict::Refused(refusal) => Some(refusal.cannot().reason),
        Verdict::Clear => None,
        Verdict::Waits(shortage) => panic!("it waits: {shortage}"),
    }
}

macro_rules! xrp {
    ($($name:ident: $intent:expr, $root:expr => $wanted:expr;)+) => {
        $(#[test] fn $name() { assert_eq!(reason(&of_xrp(&$intent, $root)), $wanted); })+
    };
}

xrp! {
    an_ordinary_account_receives: pays(5 * XRP), Some(root(0)) => None;
    flags_that_do_not_matter_are_not_looked_at: pays(5 * XRP), Some(root(!(REQUIRE_TAG | DISALLOW_XRP | DEPOSIT_AUTH))) => None;
    below_the_reserve_no_account_is_created: pays(XRP - 1), None => Some(RefusalReason::NotFunded);
    at_the_reserve_an_account_is_created: pays(XRP), None => None;
    an_account_that_is_there_may_get_a_drop: pays(1), Some(root(0)) => None;
    a_tag_is_needed: pays(5 * XRP), Some(root(REQUIRE_TAG)) => Some(RefusalReason::TagNeeded);
    zero_is_a_tag: Intent { destination_tag: Some(0), ..pays(5 * XRP) }, Some(root(REQUIRE_TAG)) => None;
    xrp_is_not_wanted: pays(5 * XRP), Some(root(DISALLOW_XRP)) => Some(RefusalReason::XrpUnwanted);
    the_door_is_barred: pays(5 * XRP), Some(root(DEPOSIT_AUTH)) => Some(RefusalReason::DepositNotAuthorised);
    the_door_is_open_to_the_wallet: pays(5 * XRP), Some(AccountRoot { wallet_preauthorised: true, ..root(DEPOSIT_AUTH) }) => None;
    a_poor_account_may_be_helped_back_to_its_reserve: pays(XRP), Some(AccountRoot { balance: RESERVE, ..root(DEPOSIT_AUTH) }) => None;
    not_with_more_than_the_reserve: pays(XRP + 1), Some(AccountRoot { balance: RESERVE, ..root(DEPOSIT_AUTH) }) => Some(RefusalReason::DepositNotAuthorised);
    nor_if_it_has_more_than_the_reserve: pays(XRP), Some(AccountRoot { balance: drops(XRP + 1), ..root(DEPOSIT_AUTH) }) => Some(RefusalReason::DepositNotAuthorised);
    an_amm_takes_no_payments: pays(5 * XRP), Some(AccountRoot { is_pseudo: true, ..root(0) }) => Some(RefusalReason::PseudoAccount);
    the_wallet_does_not_pay_itself: Intent { destination: wallet().account, ..pays(5 * XRP) }, Some(root(0)) => Some(RefusalReason::OwnAddress);
    account_zero_is_nobody: Intent { destination: ACCOUNT_ZERO, ..pays(5 * XRP) }, None => Some(RefusalReason::NobodysAddress);
    account_one_is_nobody: Intent { destination: ACCOUNT_ONE, ..pays(5 * XRP) }, Some(root(0)) => Some(RefusalReason::NobodysAddress);
}

// === issued currencies ===

/// What a ledger has around a payment of 10 USD, ready to go through.
#[derive(Clone)]
struct Usd {
    value: &'static str,
    send_max: Option<&'static str>,
    to: AccountId,
    root: Option<AccountRoot>,
    line: Option<TrustLine>,
    issuer: IssuerRoot,
    ours: Option<TrustLine>,
}

fn line() -> TrustLine {
    TrustLine {
        balance: value("5"),
        limit: value("100"),
        authorised: false,
        frozen_by_issuer: false,
        frozen_by_holder: false,
        deep_frozen: false,
        no_ripple_by_issuer: false,
    }
}

fn usual() -> Usd {
    Usd {
        value: "10",
        send_max: None,
        to: intent().destination,
        root: Some(root(0)),
        line: Some(line()),
        issuer: IssuerRoot {
            flags: 0,
            transfer_rate: 0,
        },
        ours: Some(line()),
    }
}

fn issuer(flags: u32, transfer_rate: u32) -> IssuerRoot {
    IssuerRoot {
        flags,
        transfer_rate,
    }
}

impl Usd {
    fn intent(&self) -> Intent {
        let amount = IssuedAmount::new(usd(), value(self.value)).unwrap();
        let send_max = self.send_max.map(value);
        Intent {
            destination: self.to,
            ..asks(Amount::Issued { amount, send_max })
        }
    }

    fn check(&self) -> Verdict {
        let destination = seen(DestinationFacts {
            account: self.to,
            reserve_base: RESERVE,
            root: self.root.clone(),
        });
        let holding = seen(HoldingFacts {
            account: self.to,
            asset: usd(),
            line: self.line,
        });
        let asset = seen(AssetFacts {
            asset: usd(),
            issuer: Some(self.issuer),
            wallet_line: self.ours,
        });
        let issued = Some(IssuedFacts {
            asset: &asset,
            holding: &holding,
        });
        let facts = Facts {
            destination: &destination,
            issued,
        };
        check(&self.intent(), &wallet(), facts)
    }
}

macro_rules! issued {
    ($($name:ident: $($field:ident: $with:expr),* => $wanted:expr;)+) => {
        $(#[test] fn $name() {
            let world = Usd { $($field: $with,)* ..usual() };
            assert_eq!(reason(&world.check()), $wanted);
        })+
    };
}

issued! {
    a_holder_with_room_receives: => None;
    no_account_no_issued_currency: root: None, line: None => Some(RefusalReason::NotFunded);
    a_tag_is_needed_for_every_asset: root: Some(root(REQUIRE_TAG)) => Some(RefusalReason::TagNeeded);
    xrp_may_be_unwanted_and_usd_not: root: Some(root(DISALLOW_XRP)) => None;
    the_door_is_barred_to_the_poor_as_well: root: Some(AccountRoot { balance: RESERVE, ..root(DEPOSIT_AUTH) }) => Some(RefusalReason::DepositNotAuthorised);
    no_trust_line: line: None => Some(RefusalReason::NoTrustLine);
    the_limit_is_reached_exactly: line: Some(TrustLine { balance: value("90"), ..line() }) => None;
    the_limit_is_passed: line: Some(TrustLine { balance: value("90.00000000000001"), ..line() }) => Some(RefusalReason::LineLimit);
    a_limit_of_nothing: line: Some(TrustLine { balance: IssuedValue::ZERO, limit: IssuedValue::ZERO, ..line() }) => Some(RefusalReason::LineLimit);
    a_line_that_the_issuer_froze_still_receives: line: Some(TrustLine { frozen_by_issuer: true, ..line() }) => None;
    a_line_that_is_frozen_deeply_does_not: line: Some(TrustLine { frozen_by_issuer: true, deep_frozen: true, ..line() }) => Some(RefusalReason::LineFrozen);
    nor_one_that_its_holder_froze: line: Some(TrustLine { frozen_by_holder: true, ..line() }) => Some(RefusalReason::LineFrozen);
    nor_a_holder_who_froze_everything: root: Some(root(GLOBAL_FREEZE)) => Some(RefusalReason::LineFrozen);
    the_issuer_has_to_authorise: issuer: issuer(REQUIRE_AUTH, 0), line: Some(TrustLine { balance: IssuedValue::ZERO, ..line() }) => Some(RefusalReason::LineNotAuthorised);
    the_issuer_has_authorised: issuer: issuer(REQUIRE_AUTH, 0), line: Some(TrustLine { balance: IssuedValue::ZERO, authorised: true, ..line() }) => None;
    who_holds_something_goes_on_unauthorised: issuer: issuer(REQUIRE_AUTH, 0) => None;
    a_global_freeze_stops_everybody: issuer: issuer(GLOBAL_FREEZE, 0) => Some(RefusalReason::AssetFrozen);
    nothing_passes_between_two_marked_lines: line: Some(TrustLine { no_ripple_by_issuer: true, ..line() }), ours: Some(TrustLine { no_ripple_by_issuer: true, ..line() }) => Some(RefusalReason::NotPassedOn);
    one_marked_line_lets_pass: line: Some(TrustLine { no_ripple_by_issuer: true, ..line() }) => None;
    a_fee_without_send_max: issuer: issuer(0, 1_000_000_001) => Some(RefusalReason::TransferFeeAboveCap);
    a_rate_of_one_takes_nothing: issuer: issuer(0, 1_000_000_000) => None;
    a_fee_at_the_cap: issuer: issuer(0, 1_005_000_000), send_max: Some("10.05") => None;
    a_fee_above_the_cap: issuer: issuer(0, 1_005_000_001), send_max: Some("10.05") => Some(RefusalReason::TransferFeeAboveCap);
    paid_back_to_the_issuer_nothing_bars_it: to: usd().issuer, line: None, issuer: issuer(GLOBAL_FREEZE | REQUIRE_AUTH, 1_500_000_000), ours: Some(TrustLine { frozen_by_issuer: true, ..line() }) => None;
}

#[test]
fn what_the_wallet_lacks_is_waited_for_unless_it_cannot_arrive_anyway() {
    let asset = usd();
    let without = Usd {
        ours: None,
        ..usual()
    };
    assert_eq!(without.check(), Verdict::Waits(Shortage::NoLine { asset }));
    let frozen = Some(TrustLine {
        frozen_by_issuer: true,
        ..line()
    });
    let frozen = Usd {
        ours: frozen,
        ..usual()
    };
    assert_eq!(
        frozen.check(),
        Verdict::Waits(Shortage::LineFrozen { asset })
    );
    let neither = Usd {
        line: None,
        ..frozen
    };
    assert_eq!(reason(&neither.check()), Some(RefusalReason::NoTrustLine));

    let destination = seen(DestinationFacts {
        account: intent().destination,
        reserve_base: RESERVE,
        root: None,
    });
    let facts = Facts {
        destination: &destination,
        issued: None,
    };
    assert_eq!(
        check(&usual().intent(), &wallet(), facts),
        Verdict::Waits(Shortage::NotRead { asset }),
        "what was not read is not a no"
    );
}

// === what comes of it ===

fn refusal(of: &Intent) -> Refusal {
    match of_xrp(of, Some(root(DISALLOW_XRP))) {
        Verdict::Refused(refusal) => refusal,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_refusal_ends_a_payment_that_was_never_bound_and_no_other() {
    let event = || Event::CannotReceive(refusal(&intent()));
    let ended = apply(&accepted(None), event()).unwrap().next;
    let State::Cancelled(end, cause) = &ended.state else {
        panic!("{ended:?}")
    };
    assert_eq!(
        (*cause, end.slot),
        (CancelCause::DestinationCannotReceive, None)
    );
    let EndProof::CannotReceive(cannot) = &end.proof else {
        panic!("{end:?}")
    };
    assert_eq!(
        (cannot.ledger, cannot.reason),
        (ledger(100), RefusalReason::XrpUnwanted)
    );
    assert_eq!(cannot.servers, ["ours"]);
    assert!(ended.state.name().safe_to_repay());

    assert!(
        apply(&at_large(None), event()).is_err(),
        "once bound, only the ledger ends it"
    );
    assert!(
        apply_quarantined(&accepted(None), event()).is_err(),
        "in quarantine nothing ends unpaid"
    );
    assert!(apply(&ended, event()).is_err(), "an end is an end");
    let of_another = Intent {
        key: PaymentKey {
            payment: Id::new("may-18").unwrap(),
            ..key()
        },
        ..intent()
    };
    let of_another = Event::CannotReceive(refusal(&of_another));
    assert!(
        apply(&accepted(None), of_another).is_err(),
        "a refusal is about one payment"
    );
}

#[test]
fn a_cancel_that_was_asked_for_before_keeps_its_cause() {
    let mut asked = accepted(None);
    asked.cancel = Some(CancelCause::Requested);
    let ended = apply(&asked, Event::CannotReceive(refusal(&intent())))
        .unwrap()
        .next;
    assert_eq!(ended.state.name(), StateName::Cancelled);
    assert_eq!(ended.cancel, Some(CancelCause::Requested));
}

#[test]
fn one_operator_is_not_enough_and_two_must_say_the_same() {
    let from = |operator: &str, index: u32, fact: u32| Reading {
        source: Source {
            operator: operator.to_owned(),
            own: false,
        },
        ledger: ledger(index),
        fact,
    };
    let two = Quorum::new(2);
    assert_eq!(
        two.observed(&[from("a", 100, 1)]).unwrap_err(),
        NoProof::TooFew { have: 1, need: 2 }
    );
    assert_eq!(
        two.observed(&[from("a", 100, 1), from("b", 100, 2)])
            .unwrap_err(),
        NoProof::Contradiction
    );
    assert_eq!(
        two.observed(&[from("a", 100, 1), from("b", 101, 1)])
            .unwrap_err(),
        NoProof::Contradiction
    );
    let agreed = two.observed(&[from("a", 100, 1), from("b", 100, 1)]);
    assert_eq!(agreed.unwrap().servers(), ["a", "b"]);
}

#[test]
fn every_reason_has_a_word_of_its_own() {
    for reason in RefusalReason::ALL {
        assert_eq!(RefusalReason::parse(reason.as_str()), Some(reason));
    }
}
