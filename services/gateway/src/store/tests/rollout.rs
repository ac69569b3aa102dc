//! The roll-out as the store keeps it: stages in force, words, evaluations, and what is left after a restart.

use std::time::Duration;

use paygate_payments::LedgerIndex;
use paygate_payments::continuity::{Doubt, Quarantine};
use paygate_payments::limits::{Limits, OverLimit};
use paygate_payments::rollout::judge::{Criterion, Measure, Outcome, Verdict};
use paygate_payments::rollout::{Name, OverStage, Stage, Stages};
use xrpl_tx::Amount;

use super::world::*;
use crate::clock::Millis;
use crate::store::rollout::{Rolled, RolloutView, Word};
use crate::store::{Accept, AuditQuery, Freeze, NewPayment, Store, StoreError};

const HOUR: Duration = Duration::from_secs(3600);

fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

fn stage(text: &str, payment: u64, day: u64, criteria: Vec<Criterion>) -> Stage {
    Stage {
        name: name(text),
        payment_max: Some(drops(payment * XRP)),
        day_max: Some(drops(day * XRP)),
        clients: None,
        issued: false,
        lasts: HOUR,
        criteria,
    }
}

fn criterion(text: &str, measure: Measure) -> Criterion {
    Criterion {
        name: name(text),
        measure,
    }
}

/// Two small stages, and the configured limits.
fn stages() -> Stages {
    let first = Stage {
        clients: Some(vec![id("shop")]),
        ..stage(
            "first",
            30,
            60,
            vec![
                criterion("errors", Measure::Errors { at_most: 0 }),
                criterion("calm", Measure::Incidents { at_most: 0 }),
            ],
        )
    };
    let person = vec![criterion("feedback", Measure::Person)];
    let last = Stage {
        payment_max: None,
        day_max: None,
        issued: true,
        lasts: Duration::ZERO,
        ..stage("last", 1, 1, Vec::new())
    };
    Stages::new(vec![first, stage("second", 50, 80, person), last], 1).unwrap()
}

async fn begun() -> World {
    let world = World::new().await;
    begin(&world.store, NOON).await;
    world
}

async fn begin(store: &Store, at: Millis) {
    let stages = Some((stages(), hash(1)));
    let stage = store.begin_rollout(ops(), stages, at).await.unwrap();
    assert!(stage.is_some());
}

async fn seen(store: &Store, at: Millis) -> RolloutView {
    store.rollout(None, at).await.unwrap().unwrap()
}

async fn promoted(store: &Store, to: &str, at: Millis) -> Rolled {
    let reason = "signed".to_owned();
    store
        .promote_rollout(ops(), name(to), reason, None, at)
        .await
        .unwrap()
}

async fn said(store: &Store, stage: &str, criterion: &str, verdict: Verdict) -> Rolled {
    let word = Word {
        stage: name(stage),
        criterion: name(criterion),
        verdict,
        reason: "ticket 7".to_owned(),
    };
    store.record_rollout(ops(), word, NOON).await.unwrap()
}

async fn rolled_back(store: &Store, to: &str, at: Millis) -> Rolled {
    let reason = "odd payments".to_owned();
    store.roll_back(ops(), name(to), reason, at).await.unwrap()
}

fn paying(payment: &str, client: &str, xrp: u64) -> NewPayment {
    let mut new = new(payment);
    new.intent.key.client = id(client);
    new.intent.amount = Amount::Xrp(drops(xrp * XRP));
    new
}

/// Why it is not let in, the same for who only asks.
async fn refused(store: &Store, new: NewPayment) -> OverLimit {
    let previewed = store.preview(new.clone()).await.unwrap();
    match (store.create(new).await.unwrap(), previewed) {
        (Accept::OverLimit(over), Accept::OverLimit(asked)) => {
            assert_eq!(over, asked);
            over
        }
        other => panic!("let in: {other:?}"),
    }
}

async fn audited(store: &Store) -> Vec<(String, String, i32)> {
    let page = store.audit(AuditQuery::default()).await.unwrap();
    let line = |entry: crate::store::AuditEntry| (entry.method, entry.subject, entry.code);
    page.entries.into_iter().rev().map(line).collect()
}

fn later(hours: u32) -> Millis {
    NOON.plus(HOUR * hours)
}

#[tokio::test]
async fn the_stage_lowers_what_is_let_in_and_the_configuration_may_lower_it_further() {
    let world = begun().await;
    let store = &world.store;
    let first = name("first");
    assert_eq!(store.rollout_stage(), Some(1));
    assert_eq!(
        refused(store, paying("a", "bank", 1)).await,
        OverLimit::Stage(OverStage::Client { stage: first })
    );
    let over = refused(store, paying("a", "shop", 31)).await;
    assert!(
        matches!(over, OverLimit::Stage(OverStage::Payment { .. })),
        "{over}"
    );
    world.created(paying("a", "shop", 30)).await;
    world.created(paying("b", "shop", 29)).await;
    let over = refused(store, paying("c", "shop", 2)).await;
    assert!(
        matches!(over, OverLimit::Stage(OverStage::Day { used, .. }) if used == drops(59 * XRP)),
        "{over}"
    );
    // The configuration is read anew: below the stage it holds, above it the stage does.
    for (day, stage_holds) in [(59, false), (500, true)] {
        let limits = Limits {
            day_max: drops(day * XRP),
            ..limits()
        };
        let told = "read anew".to_owned();
        store
            .set_limits(ops(), limits, told, String::new(), NOON)
            .await
            .unwrap();
        let over = refused(store, paying("c", "shop", 2)).await;
        let of_stage = matches!(over, OverLimit::Stage(_));
        assert_eq!(of_stage, stage_holds, "{over}");
    }
    // What is stored is answered whatever the stage: also of a client who is none of the stage's any more.
    assert_eq!(promoted(store, "second", later(1)).await, Rolled::Done);
    world.created(paying("d", "bank", 20)).await;
    assert_eq!(rolled_back(store, "first", later(1)).await, Rolled::Done);
    let again = store.create(paying("d", "bank", 20)).await.unwrap();
    assert!(matches!(again, Accept::Existed(_)), "{again:?}");
    refused(store, paying("e", "bank", 1)).await;
}

#[tokio::test]
async fn a_stage_ends_when_its_criteria_hold_or_are_overridden_and_all_of_it_is_kept() {
    let world = begun().await;
    let store = &world.store;
    // Too early: what was found is kept, also of a refusal.
    let Rolled::Unmet(unmet) = promoted(store, "second", NOON).await else {
        panic!("it went on");
    };
    assert_eq!(unmet.len(), 1);
    assert_eq!(
        (unmet[0].name.as_str(), unmet[0].outcome),
        ("duration", Outcome::Failed)
    );
    assert_eq!(store.rollout_stage(), Some(1));
    // An incident: sending froze. It counts also once a person has unfrozen.
    let why = "a story".to_owned();
    let freeze = Freeze { why, since: NOON };
    store.set_frozen(freeze, NOON).await.unwrap();
    let none = Default::default();
    store
        .unfreeze(ops(), "understood".to_owned(), none, NOON)
        .await
        .unwrap();
    let Rolled::Unmet(unmet) = promoted(store, "second", later(1)).await else {
        panic!("it went on");
    };
    assert_eq!(
        unmet[0].to_string(),
        "calm failed (1 freezes and quarantines; at most 0, and none now)"
    );
    // It is not for a person to say that nothing happened; only that it goes on.
    let here = said(store, "first", "calm", Verdict::Passed).await;
    assert_eq!(here, Rolled::Measured);
    assert_eq!(
        said(store, "first", "nothing", Verdict::Override).await,
        Rolled::NoCriterion
    );
    let other = said(store, "second", "feedback", Verdict::Passed).await;
    assert!(matches!(other, Rolled::OtherStage { .. }), "{other:?}");
    for _ in 0..2 {
        let here = said(store, "first", "calm", Verdict::Override).await;
        assert_eq!(here, Rolled::Done);
    }
    for _ in 0..2 {
        assert_eq!(promoted(store, "second", later(1)).await, Rolled::Done);
    }
    assert_eq!(store.rollout_stage(), Some(2));
    let of = |what: &str, subject: &str, code| (what.to_owned(), subject.to_owned(), code);
    let rpc = |name: &str| format!("paygate.v1.OperationsService/{name}");
    let at_first = "rollout stage first";
    assert_eq!(
        audited(store).await,
        [
            of("configuration", at_first, 0),
            of("rollout evaluation", at_first, 0),
            of(&rpc("PromoteRollout"), "rollout stage second", 9),
            of(&rpc("Unfreeze"), "wallet", 0),
            of("rollout evaluation", at_first, 0),
            of(&rpc("PromoteRollout"), "rollout stage second", 9),
            of(
                &rpc("RecordRollout"),
                "rollout stage first, criterion calm: passed",
                9
            ),
            of(
                &rpc("RecordRollout"),
                "rollout stage first, criterion nothing: override",
                9
            ),
            of(
                &rpc("RecordRollout"),
                "rollout stage second, criterion feedback: passed",
                9
            ),
            of(
                &rpc("RecordRollout"),
                "rollout stage first, criterion calm: override",
                0
            ),
            of("rollout evaluation", at_first, 0),
            of(&rpc("PromoteRollout"), "rollout stage second", 0),
        ],
        "a repeated call does nothing more"
    );
    let seen = seen(store, later(1)).await;
    assert_eq!(seen.history[0].what, "promoted");
    let overridden = seen
        .history
        .iter()
        .find(|line| line.outcome == "overridden");
    assert!(overridden.is_some_and(|line| line.what == "evaluated" && line.criterion == "calm"));
    // The new stage begins with nothing said and nothing measured.
    let outcomes: Vec<_> = seen
        .judged
        .iter()
        .map(|judged| (judged.name.to_string(), judged.outcome))
        .collect();
    assert_eq!(
        outcomes,
        [
            ("duration".to_owned(), Outcome::Failed),
            ("feedback".to_owned(), Outcome::Unsaid)
        ]
    );
    assert!(seen.words.is_empty());
}

#[tokio::test]
async fn one_goes_on_by_one_stage_and_back_by_any() {
    let world = begun().await;
    let store = &world.store;
    let over = promoted(store, "last", later(1)).await;
    let could_be = Some(name("second"));
    assert_eq!(
        over,
        Rolled::OtherStage {
            here: name("first"),
            could_be
        }
    );
    let back = rolled_back(store, "second", later(1)).await;
    assert!(matches!(back, Rolled::OtherStage { .. }), "{back:?}");
    assert_eq!(promoted(store, "second", later(1)).await, Rolled::Done);
    said(store, "second", "feedback", Verdict::Passed).await;
    assert_eq!(promoted(store, "last", later(2)).await, Rolled::Done);
    assert_eq!(store.limits().payment_max, limits().payment_max);
    assert_eq!(rolled_back(store, "first", later(2)).await, Rolled::Done);
    assert_eq!(store.limits().payment_max, drops(30 * XRP));
    // It begins anew: neither the time nor the word counts again.
    assert!(matches!(
        promoted(store, "second", later(2)).await,
        Rolled::Unmet(_)
    ));
    assert_eq!(promoted(store, "second", later(3)).await, Rolled::Done);
    assert!(matches!(
        promoted(store, "last", later(9)).await,
        Rolled::Unmet(_)
    ));
}

#[tokio::test]
async fn a_stage_outlives_restarts_and_a_file_that_does_not_name_it_is_refused() {
    let world = begun().await;
    assert_eq!(
        promoted(&world.store, "second", later(1)).await,
        Rolled::Done
    );
    let since = seen(&world.store, later(1)).await.since;
    let World { folder, store, .. } = world;
    store.close().await;
    let open = || Store::open(options(&folder, limits())).unwrap();

    let store = open();
    // Nothing is in force before it is told; then it is where it was left.
    begin(&store, later(5)).await;
    assert_eq!(store.rollout_stage(), Some(2));
    assert_eq!(seen(&store, later(5)).await.since, since);
    assert_eq!(store.limits().day_max, drops(80 * XRP));
    let entries = audited(&store).await.len();
    store.close().await;

    // The configuration names no stages any more: its own limits hold, and that is on record, once.
    for _ in 0..2 {
        let store = open();
        let none = store.begin_rollout(ops(), None, later(6)).await.unwrap();
        assert_eq!((none, store.rollout_stage()), (None, None));
        assert_eq!(store.limits().day_max, limits().day_max);
        assert!(store.rollout(None, later(6)).await.unwrap().is_none());
        assert_eq!(promoted(&store, "last", later(6)).await, Rolled::None);
        assert_eq!(audited(&store).await.len(), entries + 1);
        store.close().await;
    }
    // And again, from another file.
    let store = open();
    let other = Some((stages(), hash(2)));
    store.begin_rollout(ops(), other, later(7)).await.unwrap();
    let history = seen(&store, later(7)).await.history;
    let told: Vec<&str> = history
        .iter()
        .take(3)
        .map(|line| line.what.as_str())
        .collect();
    assert_eq!(told, ["changed", "resumed", "suspended"]);
    store.close().await;

    let store = open();
    let stages = stages();
    let renamed = stages.all().iter().map(|stage| Stage {
        name: name(&format!("{}-x", stage.name)),
        ..stage.clone()
    });
    let renamed = Stages::new(renamed.collect(), 1).unwrap();
    let refused = store
        .begin_rollout(ops(), Some((renamed, hash(3))), later(8))
        .await;
    assert_eq!(refused, Err(StoreError::UnknownStage("second".to_owned())));
}

#[tokio::test]
async fn what_became_of_the_payments_of_a_stage_is_counted_and_of_no_other() {
    let world = World::with(Limits {
        approval_threshold: Some(drops(26 * XRP)),
        ..limits()
    })
    .await;
    world.created(paying("before", "shop", 1)).await;
    let stages = Some((stages(), hash(1)));
    world
        .store
        .begin_rollout(ops(), stages, NOON)
        .await
        .unwrap();
    let errors = async |at| {
        let seen = seen(&world.store, at).await;
        seen.judged[1].measured.clone()
    };
    world.created(paying("good", "shop", 2)).await;
    world.created(paying("bad", "shop", 3)).await;
    // Waits for approval, which nobody gives: that is no error.
    world.created(paying("asks", "shop", 27)).await;
    let told = "0 of 3 payments (0 FAILED, 0 EXPIRED, 0 REJECTED, 0 ON_HOLD)";
    assert_eq!(errors(NOON).await, told);
    let good = world.bound("good", 5, 120).await;
    let bad = world.bound("bad", 6, 120).await;
    let shown = vec![
        shown(101, payment_tx(&good, 5, 50, "tesSUCCESS")),
        shown(101, payment_tx(&bad, 6, 60, "tecNO_DST")),
    ];
    world.validated(101, 7, shown).await.unwrap();
    world
        .store
        .expire_approvals(world.epoch, later(2))
        .await
        .unwrap();
    let told = "1 of 3 payments (1 FAILED, 0 EXPIRED, 0 REJECTED, 0 ON_HOLD)";
    assert_eq!(errors(later(2)).await, told);
}

#[tokio::test]
async fn a_quarantine_is_an_incident_unless_the_gateway_was_only_away() {
    let world = begun().await;
    let calm = async |at| seen(&world.store, at).await.judged[2].measured.clone();
    let quarantined = async |why: Option<Doubt>| {
        let until = LedgerIndex(200);
        let quarantine = why.map(|why| Quarantine { why, until });
        let set = world.store.set_quarantine(world.epoch, quarantine, NOON);
        set.await.unwrap();
    };
    quarantined(Some(Doubt::LongAbsence)).await;
    assert_eq!(calm(NOON).await, "0 freezes and quarantines");
    quarantined(None).await;
    quarantined(Some(Doubt::SignerAhead)).await;
    let stands = "1 freezes and quarantines, and sending stands still now";
    assert_eq!(calm(NOON).await, stands);
    quarantined(None).await;
    assert_eq!(calm(NOON).await, "1 freezes and quarantines");
}
