//! Issued currencies: what is let in, what a ledger must show, and that nothing of one asset ever counts for another.
#![allow(clippy::unwrap_used)]

mod common;

use common::*;
use paygate_payments::intent::{Intent, IntentField};
use paygate_payments::limits::{AssetLimits, DayUnits, Limits, OverLimit, Usage};
use paygate_payments::money::Money;
use paygate_payments::payment::{HoldCause, Payment, State, StateName};
use paygate_payments::proof::{LedgerBody, LedgerTx};
use paygate_payments::slots::{AssetRoom, NoRoom, Room};
use proptest::prelude::*;
use xrpl_tx::{Amount, Drops, IssuedAmount, IssuedValue};

fn value(text: &str) -> IssuedValue {
    text.parse().unwrap()
}

fn usd() -> AssetLimits {
    AssetLimits {
        asset: asset("USD", 9),
        payment_min: value("1"),
        payment_max: value("1000"),
        day_max: value("1500"),
        transfer_fee_max_ppm: 2_000,
        approval_threshold: None,
    }
}

fn limits() -> Limits {
    Limits {
        payment_min: Drops::from_const(10),
        payment_max: Drops::from_const(1_000),
        day_max: Drops::from_const(1_500),
        pending_max: 3,
        assets: vec![usd()],
        approval_threshold: None,
        approval_window: paygate_payments::limits::APPROVAL_WINDOW_DEFAULT,
        clients: Vec::new(),
        stage: None,
    }
}

fn nothing_used() -> Usage {
    Usage {
        day: DayUnits::default(),
        pending: 0,
    }
}

/// What the configured cap makes of a value.
fn pay(text: &str) -> Amount {
    let amount = IssuedAmount::new(usd().asset, value(text)).unwrap();
    usd().payment(amount).unwrap()
}

fn bound(intent: Intent) -> Payment {
    let payment = accepted_of(intent, None);
    apply(&payment, bound_event(120)).unwrap().next
}

fn with_amount(mut tx: LedgerTx, other: Amount) -> LedgerTx {
    if let LedgerBody::Payment { amount, .. } = &mut tx.body {
        *amount = other;
    }
    tx
}

#[test]
fn send_max_is_the_amount_and_the_cap_of_the_issuers_fee_rounded_up() {
    for (amount, most) in [
        ("12.5", "12.525"),
        ("1", "1.002"),
        // 0.33399999999999996666 has more than 16 digits.
        ("0.3333333333333333", "0.334"),
    ] {
        assert_eq!(pay(amount), issued("USD", 9, amount, Some(most)));
    }
    let free = AssetLimits {
        transfer_fee_max_ppm: 0,
        ..usd()
    };
    let amount = IssuedAmount::new(usd().asset, value("12.5")).unwrap();
    assert_eq!(
        free.payment(amount),
        Some(issued("USD", 9, "12.5", None)),
        "without a fee there is no SendMax"
    );
}

#[test]
fn limits_count_what_a_payment_may_take_and_name_the_asset() {
    let limits = limits();
    let refusal = |amount| limits.admit(amount, nothing_used()).unwrap_err();
    assert_eq!(limits.admit(pay("998"), nothing_used()), Ok(()));
    // The value itself is under the maximum, with the issuer's fee it is not.
    assert!(matches!(
        refusal(pay("998.1")),
        OverLimit::AboveMaximum { .. }
    ));
    assert!(matches!(
        refusal(pay("0.999")),
        OverLimit::BelowMinimum { .. }
    ));
    let other_issuer = issued("USD", 8, "5", None);
    let told = refusal(other_issuer).to_string();
    assert!(
        told.contains(&asset("USD", 8).to_string()) && told.contains("assets"),
        "{told}"
    );
    let told = refusal(pay("5000")).to_string();
    assert!(
        told.contains("5010") && told.contains("assets.max_payment 1000") && told.contains("USD.r"),
        "{told}"
    );
    let used = Usage {
        day: usd().units(value("1499")),
        pending: 0,
    };
    let told = limits.admit(pay("1"), used).unwrap_err();
    assert!(matches!(told, OverLimit::Day { .. }), "{told}");
    assert!(told.to_string().contains("1499 USD.r"), "{told}");
    let full = Usage {
        pending: 3,
        ..nothing_used()
    };
    assert!(matches!(
        limits.admit(pay("1"), full),
        Err(OverLimit::Pending { max: 3 })
    ));
}

#[test]
fn two_requests_differ_in_the_part_that_differs_and_never_in_send_max() {
    let base = issued_intent();
    let differs = |amount| {
        base.differs_from(&Intent {
            amount,
            ..base.clone()
        })
    };
    assert_eq!(differs(issued("USD", 9, "12.5", None)), None);
    assert_eq!(differs(issued("USD", 9, "12.50", Some("99"))), None);
    for (amount, field, name) in [
        (
            issued("EUR", 9, "12.5", None),
            IntentField::Currency,
            "issued.currency",
        ),
        (
            issued("USD", 8, "12.5", None),
            IntentField::Issuer,
            "issued.issuer",
        ),
        (
            issued("USD", 9, "12.6", None),
            IntentField::Value,
            "issued.value",
        ),
        (Amount::Xrp(AMOUNT), IntentField::Amount, "amount"),
    ] {
        assert_eq!(differs(amount), Some(field));
        assert_eq!(field.name(), name);
    }
}

#[test]
fn paid_needs_exactly_the_amount_in_the_same_asset() {
    let intent = issued_intent();
    let got = |currency: &str, issuer, number: &str| {
        Some(Money::Issued {
            asset: asset(currency, issuer),
            value: value(number),
        })
    };
    let name = |delivered| {
        let tx = tx_of(&intent, "tesSUCCESS", delivered);
        state(&apply(&bound(intent.clone()), confirmed(110, tx))).unwrap()
    };
    assert_eq!(name(got("USD", 9, "12.5")), StateName::Paid);
    for other in [
        got("USD", 9, "12.49999999999999"),
        got("USD", 9, "12.525"),
        got("USD", 8, "12.5"),
        got("EUR", 9, "12.5"),
        Some(Money::Xrp(Drops::from_const(12_500_000))),
        None,
    ] {
        assert_eq!(name(other), StateName::OnHold, "{other:?}");
    }
    let tx = tx_of(&intent, "tesSUCCESS", got("USD", 9, "1"));
    let held = apply(&bound(intent.clone()), confirmed(110, tx)).unwrap();
    let State::OnHold(held) = held.next.state else {
        panic!("not held");
    };
    assert!(matches!(held.why, HoldCause::DeliveredDiffers { .. }));
    let dry = tx_of(&intent, "tecPATH_DRY", None);
    let failed = apply(&bound(intent.clone()), confirmed(110, dry)).unwrap();
    let State::Failed(settled) = failed.next.state else {
        panic!("not failed");
    };
    assert_eq!(settled.delivered, None);
}

#[test]
fn another_amount_issuer_or_send_max_on_its_slot_is_other_content() {
    let intent = issued_intent();
    let delivered = Some(intent.gets());
    for other in [
        issued("USD", 9, "12.5", None),
        issued("USD", 9, "12.5", Some("12.6")),
        issued("USD", 8, "12.5", Some("12.525")),
        issued("EUR", 9, "12.5", Some("12.525")),
        issued("USD", 9, "12.4", Some("12.525")),
        Amount::Xrp(AMOUNT),
    ] {
        let tx = with_amount(tx_of(&intent, "tesSUCCESS", delivered), other);
        let step = apply(&bound(intent.clone()), confirmed(110, tx)).unwrap();
        let State::OnHold(held) = step.next.state else {
            panic!("{other:?} is not held");
        };
        assert!(matches!(held.why, HoldCause::SlotTaken { .. }), "{other:?}");
    }
}

/// The row was lost and stored anew; the cap was another one when the lost one was sent.
#[test]
fn a_payment_found_on_the_ledger_keeps_the_send_max_that_it_was_sent_with() {
    let intent = issued_intent();
    let tx = tx_of(&intent, "tesSUCCESS", Some(intent.gets()));
    let sent_with = |amount| with_amount(tx.clone(), amount);
    let found = |tx| apply(&accepted_of(intent.clone(), None), confirmed(110, tx));
    assert_eq!(state(&found(tx.clone())), Some(StateName::Paid));
    let other_cap = sent_with(issued("USD", 9, "12.5", Some("13")));
    assert_eq!(state(&found(other_cap)), Some(StateName::Paid));
    for other in [
        issued("USD", 8, "12.5", Some("12.525")),
        issued("USD", 9, "12.4", Some("12.525")),
        Amount::Xrp(AMOUNT),
    ] {
        assert!(found(sent_with(other)).is_err(), "{other:?}");
    }
}

#[test]
fn room_in_one_asset_is_none_in_another_and_the_fee_takes_xrp() {
    let room = || Room {
        at_large: 0,
        at_large_max: 5,
        signer_day_left: Drops::from_const(25),
        signer_payment_max: Drops::from_const(10),
        spendable: Drops::from_const(25),
        assets: vec![AssetRoom {
            asset: usd().asset,
            signer_day_left: value("30"),
            signer_payment_max: value("20"),
            spendable: Some(value("25")),
        }],
    };
    let terms = terms(10, 120);
    let mut two = room();
    assert_eq!(two.take(pay("12"), terms), Ok(()));
    // 12.024 are at large: 12.976 are left of the line.
    assert!(matches!(
        two.take(pay("12.96"), terms),
        Err(NoRoom::Balance { .. })
    ));
    assert_eq!(two.take(pay("12.95"), terms), Ok(()));
    let shown = two.take(pay("0.01"), terms).unwrap_err();
    assert!(
        matches!(
            shown,
            NoRoom::SignerDay {
                needed: Money::Xrp(_),
                ..
            }
        ),
        "a third fee has no XRP: {shown}"
    );
    assert_eq!((two.at_large, two.spendable), (2, Drops::from_const(5)));

    let mut one = room();
    assert!(matches!(
        one.take(pay("20"), terms),
        Err(NoRoom::SignerPayment { .. })
    ));
    let unknown = one.take(issued("USD", 8, "1", None), terms);
    assert_eq!(
        unknown,
        Err(NoRoom::SignerAsset {
            asset: asset("USD", 8)
        })
    );
    one.assets[0].spendable = None;
    assert!(matches!(
        one.take(pay("1"), terms),
        Err(NoRoom::NoLine { .. })
    ));
    assert_eq!(
        one,
        Room {
            assets: one.assets.clone(),
            ..room()
        },
        "a refusal takes nothing"
    );
}

/// A run that fails fails again.
fn same_cases_each_run() -> ProptestConfig {
    ProptestConfig {
        cases: 1_000,
        rng_seed: proptest::test_runner::RngSeed::Fixed(0x5EED),
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

/// Values of which sums are exact in 128 bits: 16 digits, and exponents that lie close together.
fn any_value() -> impl Strategy<Value = IssuedValue> {
    (
        1_000_000_000_000_000u64..=9_999_999_999_999_999,
        -18i32..=-8,
    )
        .prop_map(|(mantissa, exponent)| IssuedValue::new(mantissa, exponent).unwrap())
}

/// The value in units of 10^-18.
fn exact(value: IssuedValue) -> u128 {
    if value.is_zero() {
        return 0;
    }
    let scale = u32::try_from(value.exponent() + 18).unwrap();
    u128::from(value.mantissa()) * 10u128.pow(scale)
}

proptest! {
    #![proptest_config(same_cases_each_run())]

    #[test]
    fn a_day_never_takes_more_than_its_limit_and_wastes_less_than_a_unit_for_each_payment(
        day_max in any_value(), ppm in 0u32..20_000, asked in prop::collection::vec(any_value(), 1..40), back in any::<u64>(),
    ) {
        let one = AssetLimits { payment_min: IssuedValue::MIN, payment_max: day_max, day_max, transfer_fee_max_ppm: ppm, ..usd() };
        let limits = Limits { pending_max: 100, assets: vec![one], ..limits() };
        let (mut used, mut taken) = (DayUnits::default(), Vec::new());
        for value in asked {
            let amount = one.payment(IssuedAmount::new(one.asset, value).unwrap()).unwrap();
            let takes = match Money::taken_by(amount) { Money::Issued { value, .. } => value, Money::Xrp(_) => unreachable!() };
            prop_assert!(takes >= value);
            let units = limits.day_units(amount);
            match limits.admit(amount, Usage { day: used, pending: 0 }) {
                Ok(()) => {
                    used = used.plus(units);
                    taken.push((takes, units));
                }
                Err(OverLimit::AboveMaximum { .. }) => prop_assert!(takes > day_max),
                Err(over) => {
                    let by_day = matches!(over, OverLimit::Day { .. });
                    prop_assert!(by_day);
                    // A unit is the last of the limit's 16 digits.
                    let unit = exact(day_max) / u128::from(day_max.mantissa());
                    let sum: u128 = taken.iter().map(|(takes, _)| exact(*takes)).sum();
                    let rounding = unit * u128::try_from(taken.len() + 1).unwrap();
                    prop_assert!(sum + exact(takes) + rounding > exact(day_max), "refused though it fits");
                }
            }
            let sum: u128 = taken.iter().map(|(takes, _)| exact(*takes)).sum();
            prop_assert!(sum <= exact(day_max), "the limit is passed");
            prop_assert!(exact(one.shown(used)) >= sum, "what is shown is never less than what was taken");
        }
        // What ended unpaid is given back to the digit: nothing drifts.
        if !taken.is_empty() {
            let at = usize::try_from(back % u64::try_from(taken.len()).unwrap()).unwrap();
            let rest = used.minus(taken[at].1).unwrap();
            let others = taken.iter().enumerate().filter(|(n, _)| *n != at);
            prop_assert_eq!(rest, others.fold(DayUnits::default(), |sum, (_, (_, units))| sum.plus(*units)));
        }
    }

    #[test]
    fn paid_is_exactness_whatever_the_digits(asked in any_value(), arrived in any_value(), same in any::<bool>(), issuer in 8u8..=9) {
        let amount = IssuedAmount::new(asset("USD", 9), asked).unwrap();
        let intent = Intent { amount: usd().payment(amount).unwrap(), ..intent() };
        let arrived = if same { asked } else { arrived };
        let delivered = Some(Money::Issued { asset: asset("USD", issuer), value: arrived });
        let tx = tx_of(&intent, "tesSUCCESS", delivered);
        let step = apply(&bound(intent), confirmed(110, tx));
        let exact = arrived == asked && issuer == 9;
        prop_assert_eq!(state(&step), Some(if exact { StateName::Paid } else { StateName::OnHold }));
    }
}
