//! Stages of a roll-out: which limits are in force, who may pay, and what stands before the next stage, case by case.
#![allow(clippy::unwrap_used)]

use std::time::Duration;

use paygate_payments::intent::{Id, Intent, PaymentKey};
use paygate_payments::limits::{APPROVAL_WINDOW_DEFAULT, DayUnits, Limits, OverLimit, Usage};
use paygate_payments::rollout::judge::{
    Criterion, Evidence, Judged, Measure, Outcome, Payments, Verdict, judge, may_go_on, may_say,
};
use paygate_payments::rollout::{Name, NotStages, OverStage, Stage, Stages};
use xrpl_tx::{AccountId, Amount, Asset, Drops, IssuedAmount, Memos};

const XRP: u64 = 1_000_000;
const HOUR: Duration = Duration::from_secs(3600);

fn drops(drops: u64) -> Drops {
    Drops::new(drops).unwrap()
}

fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

fn id(text: &str) -> Id {
    Id::new(text).unwrap()
}

fn criterion(text: &str, measure: Measure) -> Criterion {
    Criterion {
        name: name(text),
        measure,
    }
}

/// 10 XRP a payment and 100 a day, by `ann` alone, for an hour.
fn internal(criteria: Vec<Criterion>) -> Stage {
    Stage {
        name: name("internal"),
        payment_max: Some(drops(10 * XRP)),
        day_max: Some(drops(100 * XRP)),
        clients: Some(vec![id("ann")]),
        issued: false,
        lasts: HOUR,
        criteria,
    }
}

fn general() -> Stage {
    Stage {
        name: name("general"),
        payment_max: None,
        day_max: None,
        clients: None,
        issued: true,
        lasts: Duration::ZERO,
        criteria: Vec::new(),
    }
}

fn configured(payment: u64, day: u64) -> Limits {
    Limits {
        payment_min: drops(1_000),
        payment_max: drops(payment * XRP),
        day_max: drops(day * XRP),
        pending_max: 50,
        assets: Vec::new(),
        approval_threshold: None,
        approval_window: APPROVAL_WINDOW_DEFAULT,
        clients: Vec::new(),
        stage: None,
    }
}

fn intent(client: &str, amount: Amount) -> Intent {
    Intent {
        key: PaymentKey {
            client: id(client),
            payment: id("p"),
        },
        destination: AccountId::from_bytes([3; 20]),
        destination_tag: None,
        amount,
        memos: Memos::new(Vec::new()).unwrap(),
        retry_of: None,
    }
}

/// What stands against a payment of so much, after so much in the day.
fn against(limits: &Limits, xrp: u64, used: u64) -> Option<OverLimit> {
    let usage = Usage {
        day: DayUnits::of_drops(drops(used * XRP)),
        pending: 0,
    };
    limits.admit(Amount::Xrp(drops(xrp * XRP)), usage).err()
}

#[test]
fn of_stage_and_configuration_the_smaller_limit_holds_and_says_whose_it_is() {
    let stage = internal(Vec::new());
    let limits = configured(50, 500).in_stage(&stage);
    assert_eq!(against(&limits, 10, 0), None);
    assert_eq!(
        against(&limits, 11, 0),
        Some(OverLimit::Stage(OverStage::Payment {
            stage: stage.name,
            amount: drops(11 * XRP),
            max: drops(10 * XRP),
        }))
    );
    assert_eq!(against(&limits, 10, 90), None);
    let over = against(&limits, 10, 91).unwrap();
    assert!(
        matches!(over, OverLimit::Stage(OverStage::Day { used, max, .. }) if used == drops(91 * XRP) && max == drops(100 * XRP))
    );
    assert_eq!(over.key(), "stages.daily_limit_xrp");
    assert!(over.to_string().contains("stage internal"), "{over}");

    // The configuration is tighter, in one of both or in both: its own words.
    let limits = configured(5, 500).in_stage(&stage);
    assert_eq!(
        against(&limits, 6, 0).unwrap().key(),
        "limits.max_payment_xrp"
    );
    assert_eq!(
        against(&limits, 5, 96).unwrap().key(),
        "stages.daily_limit_xrp"
    );
    let limits = configured(5, 50).in_stage(&stage);
    assert_eq!(
        against(&limits, 5, 46).unwrap().key(),
        "limits.daily_limit_xrp"
    );
    // The last stage has none of its own.
    let limits = configured(50, 500).in_stage(&general());
    assert_eq!(
        (limits.payment_max, limits.day_max),
        (drops(50 * XRP), drops(500 * XRP))
    );
    assert_eq!(
        against(&limits, 51, 0).unwrap().key(),
        "limits.max_payment_xrp"
    );
}

#[test]
fn only_clients_of_the_stage_pay_and_only_xrp_unless_it_says_so() {
    let xrp = Amount::Xrp(drops(XRP));
    let asset = Asset {
        currency: "USD".parse().unwrap(),
        issuer: AccountId::from_bytes([9; 20]),
    };
    let usd = Amount::Issued {
        amount: IssuedAmount::new(asset, "1".parse().unwrap()).unwrap(),
        send_max: None,
    };
    let limits = configured(50, 500);
    assert_eq!(limits.admit_to_stage(&intent("ben", usd)), Ok(()));
    let limits = limits.in_stage(&internal(Vec::new()));
    let stage = name("internal");
    assert_eq!(limits.admit_to_stage(&intent("ann", xrp)), Ok(()));
    assert_eq!(
        limits.admit_to_stage(&intent("ben", xrp)),
        Err(OverLimit::Stage(OverStage::Client { stage }))
    );
    assert_eq!(
        limits.admit_to_stage(&intent("ann", usd)),
        Err(OverLimit::Stage(OverStage::Issued { stage, asset }))
    );
    let limits = configured(50, 500).in_stage(&general());
    assert_eq!(limits.admit_to_stage(&intent("ben", usd)), Ok(()));
}

#[test]
fn stages_follow_each_other_and_never_let_less_through() {
    let made = |stages: Vec<Stage>| Stages::new(stages, 1);
    let stages = made(vec![internal(Vec::new()), general()]).unwrap();
    let (first, last) = (name("internal"), name("general"));
    assert_eq!(stages.first().name, first);
    assert_eq!(stages.after(first).map(|stage| stage.name), Some(last));
    assert_eq!(stages.before(last).map(|stage| stage.name), Some(first));
    assert_eq!((stages.after(last), stages.before(first)), (None, None));
    assert_eq!(stages.position(name("beta")), None);
    assert_eq!(made(Vec::new()), Err(NotStages::Count(0)));
    assert_eq!(
        made(vec![internal(Vec::new()), internal(Vec::new())]),
        Err(NotStages::Twice(first))
    );
    let wider = Stage {
        name: name("wider"),
        payment_max: Some(drops(11 * XRP)),
        ..internal(Vec::new())
    };
    assert_eq!(
        made(vec![wider, internal(Vec::new()), general()]),
        Err(NotStages::MoreThanNext(name("wider")))
    );
    let at_once = Stage {
        lasts: Duration::ZERO,
        ..internal(Vec::new())
    };
    assert_eq!(
        made(vec![at_once, general()]),
        Err(NotStages::NoTime(first))
    );
    assert_eq!(
        made(vec![internal(Vec::new())]),
        Err(NotStages::LastAsks(first))
    );
    let quick = Stages::new(vec![internal(Vec::new()), general()], 3600).unwrap();
    assert_eq!(quick.least(quick.first()), Duration::from_secs(1));
}

#[test]
fn a_name_is_short_and_plain() {
    let longest = "a".repeat(24);
    for text in ["a", "limited-beta", "2", longest.as_str()] {
        assert_eq!(name(text).as_str(), text);
    }
    let too_long = "a".repeat(25);
    for text in ["", "A", "a b", "ä", too_long.as_str()] {
        assert!(Name::new(text).is_err(), "{text}");
    }
}

/// A stage with one criterion, an hour old, and what one measure makes of the evidence.
fn told(measure: Measure, change: impl FnOnce(&mut Evidence)) -> Judged {
    let stages = Stages::new(vec![internal(vec![criterion("it", measure)]), general()], 1).unwrap();
    let mut evidence = Evidence {
        lasted: HOUR,
        ..Evidence::default()
    };
    change(&mut evidence);
    judge(&stages, stages.first(), &evidence, |_| None).remove(1)
}

fn with(payments: Payments) -> impl FnOnce(&mut Evidence) {
    move |evidence| evidence.payments = payments
}

#[test]
fn each_measure_fails_just_past_its_bar_and_says_its_number() {
    let secs = Duration::from_secs;
    let none = Payments::default();
    let paid = |paid: u64| Payments {
        stored: paid,
        paid,
        ..none
    };
    let rate = Measure::ErrorRate {
        below_ppm: 10_000,
        at_least: 100,
    };
    let in_time = Measure::ConfirmedWithin {
        within: secs(120),
        at_least: 1,
    };
    let confirmed = Measure::Confirmed { at_least: 2 };
    let errors = Measure::Errors { at_most: 0 };
    let one_of = |all: u64| Payments {
        failed: 1,
        ..paid(all - 1)
    };
    let cases = [
        (errors, paid(3), true, "0 of 3"),
        (errors, Payments { failed: 1, ..none }, false, "1 FAILED"),
        (errors, Payments { expired: 1, ..none }, false, "1 EXPIRED"),
        (
            errors,
            Payments {
                rejected: 1,
                ..none
            },
            false,
            "1 REJECTED",
        ),
        (errors, Payments { on_hold: 1, ..none }, false, "1 ON_HOLD"),
        (errors, Payments { open: 9, ..none }, true, "0 of 0"),
        (rate, paid(99), false, "0 of 99 (0 %)"),
        (rate, paid(100), true, "0 of 100 (0 %)"),
        // One of a hundred is one percent, and not below it; one of a hundred and one is.
        (rate, one_of(100), false, "1 of 100 (1 %)"),
        (rate, one_of(101), true, "1 of 101 (0.99 %)"),
        (rate, none, false, "0 of 0 (none)"),
        (confirmed, paid(1), false, "1 PAID, 0 not"),
        (confirmed, paid(2), true, "2 PAID, 0 not"),
        (
            confirmed,
            Payments { open: 1, ..paid(2) },
            false,
            "2 PAID, 1 not",
        ),
        (
            confirmed,
            Payments {
                failed: 1,
                ..paid(2)
            },
            false,
            "2 PAID, 1 not",
        ),
        (in_time, none, false, "0 PAID"),
        (
            in_time,
            Payments {
                slowest: secs(120),
                ..paid(1)
            },
            true,
            "after 2 min",
        ),
        (
            in_time,
            Payments {
                slowest: secs(121),
                ..paid(1)
            },
            false,
            "after 2 min 1 s",
        ),
        (
            in_time,
            Payments {
                oldest: secs(121),
                ..paid(1)
            },
            false,
            "waits 2 min 1 s",
        ),
        (Measure::Load { at_least: 5 }, paid(4), false, "4 PAID"),
        (Measure::Load { at_least: 5 }, paid(5), true, "5 PAID"),
    ];
    for (measure, payments, passes, says) in cases {
        let judged = told(measure, with(payments));
        assert_eq!(judged.outcome == Outcome::Passed, passes, "{judged}");
        assert!(
            judged.measured.contains(says),
            "{says:?} is not in {judged}"
        );
    }
    let incidents = Measure::Incidents { at_most: 0 };
    assert_eq!(told(incidents, |_| {}).outcome, Outcome::Passed);
    for change in [
        |evidence: &mut Evidence| evidence.incidents = 1,
        |evidence: &mut Evidence| evidence.standstill = true,
    ] {
        assert_eq!(told(incidents, change).outcome, Outcome::Failed);
    }
    let scraped = Measure::Scraped { within: secs(120) };
    for (ago, outcome) in [
        (None, Outcome::Failed),
        (Some(secs(120)), Outcome::Passed),
        (Some(secs(121)), Outcome::Failed),
    ] {
        assert_eq!(
            told(scraped, |evidence| evidence.scraped = ago).outcome,
            outcome
        );
    }
    assert_eq!(told(Measure::Person, |_| {}).outcome, Outcome::Unsaid);
}

#[test]
fn time_is_a_criterion_of_every_stage_but_the_last() {
    let stages = Stages::new(vec![internal(Vec::new()), general()], 1).unwrap();
    for (lasted, outcome) in [
        (HOUR - Duration::from_millis(1), Outcome::Failed),
        (HOUR, Outcome::Passed),
    ] {
        let evidence = Evidence {
            lasted,
            ..Evidence::default()
        };
        let judged = judge(&stages, stages.first(), &evidence, |_| None);
        assert_eq!(judged.len(), 1);
        assert_eq!(
            (judged[0].name.as_str(), judged[0].outcome),
            ("duration", outcome)
        );
        assert_eq!(may_go_on(&judged), outcome == Outcome::Passed);
    }
    let last = stages.get(name("general")).unwrap();
    assert!(judge(&stages, last, &Evidence::default(), |_| None).is_empty());
}

#[test]
fn a_person_says_what_only_a_person_knows_and_overrides_what_is_measured() {
    let feedback = name("feedback");
    let errors = name("errors");
    let stage = internal(vec![
        criterion("feedback", Measure::Person),
        criterion("errors", Measure::Errors { at_most: 0 }),
    ]);
    for (criterion, verdict, sayable) in [
        (feedback, Verdict::Passed, Some(true)),
        (feedback, Verdict::Failed, Some(true)),
        (feedback, Verdict::Override, Some(true)),
        (errors, Verdict::Passed, Some(false)),
        (errors, Verdict::Failed, Some(false)),
        (errors, Verdict::Override, Some(true)),
        (Name::duration(), Verdict::Passed, Some(false)),
        (Name::duration(), Verdict::Override, Some(true)),
        (name("unknown"), Verdict::Override, None),
    ] {
        assert_eq!(
            may_say(&stage, criterion, verdict),
            sayable,
            "{criterion} {verdict:?}"
        );
    }
    let stages = Stages::new(vec![stage, general()], 1).unwrap();
    let judged = |said: Option<Verdict>, failed: u64| {
        let evidence = Evidence {
            lasted: HOUR,
            payments: Payments {
                failed,
                ..Payments::default()
            },
            ..Evidence::default()
        };
        let judged = judge(&stages, stages.first(), &evidence, |_| said);
        let outcomes: Vec<Outcome> = judged.iter().map(|judged| judged.outcome).collect();
        (outcomes, may_go_on(&judged))
    };
    use Outcome::{Failed, Overridden, Passed, Unsaid};
    for (said, failed, outcomes, goes_on) in [
        (None, 0, [Passed, Unsaid, Passed], false),
        (Some(Verdict::Passed), 0, [Passed, Passed, Passed], true),
        (Some(Verdict::Failed), 0, [Passed, Failed, Passed], false),
        // A word that it holds changes nothing about what is measured.
        (Some(Verdict::Passed), 1, [Passed, Passed, Failed], false),
        (
            Some(Verdict::Override),
            1,
            [Passed, Overridden, Overridden],
            true,
        ),
        // What holds needs no override, and shows none.
        (
            Some(Verdict::Override),
            0,
            [Passed, Overridden, Passed],
            true,
        ),
    ] {
        assert_eq!(
            judged(said, failed),
            (outcomes.to_vec(), goes_on),
            "{said:?} {failed}"
        );
    }
}
