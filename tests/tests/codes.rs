//! Stories of answers: whatever a ledger's server says to a `submit`, only a validated ledger decides. Each result code and error
//! that two real servers were recorded to give is given to the real gateway; while it is all that is known, the payment is
//! AT_LARGE, not safe to repay, and says why, what happens next and what to do; then it lands all the same, or never does.
#![allow(clippy::unwrap_used, reason = "a story ends where it goes wrong")]

#[path = "codes/natural.rs"]
mod natural;
#[path = "codes/reads.rs"]
mod reads;
#[path = "codes/recorded.rs"]
mod recorded;
#[path = "codes/rows.rs"]
mod rows;
#[path = "codes/stage.rs"]
mod stage;

use std::collections::BTreeSet;

use paygate_payments::codes::Code;
use paygate_proto::v1::{EvidenceKind, PaymentReason, PaymentState};
use serde_json::{Value, json};

use recorded::Recorded;
use rows::{CLOSES, Calls, ERRORS, Ends, READS, ROWS};
use stage::{DROPS, Explained, Stage, WINDOW, answers, shown};

/// An answer to a `submit`, and what it calls for.
struct Answer {
    word: &'static str,
    calls: Calls,
    answer: Value,
}

fn all_answers() -> Vec<Answer> {
    let recorded = Recorded::read();
    let results = ROWS.iter().map(|row| Answer {
        word: row.code,
        calls: row.calls,
        answer: recorded.results[row.code].clone(),
    });
    let errors = ERRORS.iter().map(|row| Answer {
        word: row.token,
        calls: row.calls,
        answer: recorded.errors[row.token].clone(),
    });
    results.chain(errors).collect()
}

#[test]
fn every_recorded_code_and_error_has_its_story() {
    let recorded = Recorded::read();
    let set = |words: Vec<&str>| {
        words
            .into_iter()
            .map(str::to_owned)
            .collect::<BTreeSet<_>>()
    };
    let codes = set(ROWS.iter().map(|row| row.code).collect());
    let seen: BTreeSet<String> = recorded
        .results
        .keys()
        .chain(&recorded.validated)
        .cloned()
        .collect();
    assert_eq!(codes, seen, "result codes");
    let ending = set(ROWS
        .iter()
        .filter(|row| row.ends.is_some())
        .map(|row| row.code)
        .collect());
    let mut validated = recorded.validated.clone();
    validated.remove("tesSUCCESS");
    assert_eq!(ending, validated, "result codes of validated ledgers");
    let tokens = set(ERRORS.iter().map(|row| row.token).collect());
    assert_eq!(tokens, recorded.errors.keys().cloned().collect(), "errors");
    assert_eq!(set(CLOSES.to_vec()), recorded.closes, "closed WebSockets");
    // The gateway speaks WebSocket alone, on which servers answer in JSON or not at all.
    assert!(
        recorded
            .plain_texts
            .iter()
            .all(|transport| transport.starts_with("http"))
    );
    for (code, answer) in &recorded.results {
        assert!(
            Code::by_name(code).is_some(),
            "{code} is on the published list"
        );
        assert_eq!(
            answer["kept"], true,
            "{code}: an answer without fail_hard was recorded, and what it is about was kept"
        );
    }
    let reads = recorded
        .refused
        .iter()
        .filter(|(command, _)| READS.contains(&command.as_str()))
        .count();
    assert_eq!(
        (codes.len(), ending.len(), tokens.len(), reads),
        (60, 14, 28, 18)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_only_an_answer_never_decides() {
    let stage = Stage::set().await;
    let quiet: Vec<Answer> = all_answers()
        .into_iter()
        .filter(|answer| !answer.calls.freezes())
        .collect();

    // First ending: the server had it all the time, and it lands without being sent again.
    for answer in &quiet {
        let id = format!("lands.{}", answer.word);
        stage.answer(&id, Some(&answer.answer)).await;
        stage.pay(&id, None).await;
    }
    for answer in &quiet {
        let id = format!("lands.{}", answer.word);
        let explained = stage.until_answered(&id, answer.word).await;
        assert_is_only_an_answer(&explained, answer);
        assert_eq!(stage.given(&id).await.1, 1, "{id}");
    }
    for answer in &quiet {
        stage.land(&format!("lands.{}", answer.word), None).await;
    }
    stage.close().await;
    for answer in &quiet {
        let id = format!("lands.{}", answer.word);
        let paid = stage.until_state(&id, PaymentState::Paid).await;
        assert_is_paid(&stage, &id, &paid).await;
        assert_eq!(
            stage.given(&id).await.1,
            1,
            "{id}: landed without having been sent again"
        );
    }

    // Second ending: it never lands. With a deadline it expires, without one the next version has the same slot.
    for answer in &quiet {
        let (dies, again) = (
            format!("dies.{}", answer.word),
            format!("again.{}", answer.word),
        );
        stage.answer(&dies, Some(&answer.answer)).await;
        stage.answer(&again, Some(&answer.answer)).await;
        stage.pay(&dies, Some(WINDOW - 2)).await;
        stage.pay(&again, None).await;
    }
    for answer in &quiet {
        for ending in ["dies", "again"] {
            let explained = stage
                .until_answered(&format!("{ending}.{}", answer.word), answer.word)
                .await;
            assert_is_only_an_answer(&explained, answer);
        }
    }
    let alive = stage.explain(&format!("dies.{}", quiet[0].word)).await;
    let dead_at = u64::from(shown(&alive).dead_at_ledger);
    while stage.reconciled().await < dead_at {
        let still = stage.explain(&format!("dies.{}", quiet[0].word)).await;
        assert_eq!(
            shown(&still).state(),
            PaymentState::AtLarge,
            "nothing but the ledger that proves it ends it"
        );
        stage.close().await;
    }
    until_the_rest_is_over(&stage, &quiet).await;
    assert_eq!(stage.frozen().await, None, "none of these stops the rest");
}

/// All deadlines pass, all first versions die, and the second ones are let through.
async fn until_the_rest_is_over(stage: &Stage, quiet: &[Answer]) {
    for _ in 0..2 * WINDOW {
        stage.close().await;
    }
    for answer in quiet {
        let id = format!("dies.{}", answer.word);
        let expired = stage.until_state(&id, PaymentState::Expired).await;
        assert_is_expired(stage, &id, &expired).await;
        let id = format!("again.{}", answer.word);
        let again = stage.explain(&id).await;
        assert_eq!(shown(&again).state(), PaymentState::AtLarge, "{id}");
        assert!(
            shown(&again).versions.len() >= 2,
            "{id}: the first version is dead, the next one has its slot"
        );
        assert!(!shown(&again).safe_to_repay, "{id}");
    }
    for answer in quiet {
        stage.answer(&format!("again.{}", answer.word), None).await;
    }
    // One ledger to send them all with, one to hold them. On a busy machine a version that was signed late goes with a later one.
    let last = format!("again.{}", quiet.last().unwrap().word);
    for _ in 0..WINDOW {
        stage.close().await;
        if stage.is_answered_soon(&last, "tesSUCCESS").await {
            break;
        }
    }
    stage.until_answered(&last, "tesSUCCESS").await;
    stage.close().await;
    for answer in quiet {
        let id = format!("again.{}", answer.word);
        let paid = stage.until_state(&id, PaymentState::Paid).await;
        assert_is_paid(stage, &id, &paid).await;
        let first = shown(&paid).versions[0].tx_hash.clone();
        assert_ne!(
            shown(&paid).evidence.as_ref().unwrap().tx_hash,
            first,
            "{id}: the first version was dead"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_stops_everything_still_decides_nothing() {
    let stage = Stage::set().await;
    let alarms: Vec<Answer> = all_answers()
        .into_iter()
        .filter(|answer| answer.calls.freezes())
        .collect();
    for answer in &alarms {
        // First ending: it lands while sending is frozen.
        let id = format!("lands.{}", answer.word);
        stage.answer(&id, Some(&answer.answer)).await;
        stage.pay(&id, None).await;
        let why = stage.until_frozen().await;
        assert!(why.contains(answer.word), "{id}: {why}");
        assert_is_only_an_answer(&stage.until_answered(&id, answer.word).await, answer);
        stage.land(&id, None).await;
        stage.close().await;
        let paid = stage.until_state(&id, PaymentState::Paid).await;
        assert_is_paid(&stage, &id, &paid).await;
        assert_eq!(
            stage.given(&id).await.1,
            1,
            "{id}: nothing is sent while frozen"
        );
        stage.unfreeze("looked at").await;

        // Second ending: it never lands, and its deadline passes while sending is frozen.
        let id = format!("dies.{}", answer.word);
        stage.answer(&id, Some(&answer.answer)).await;
        stage.pay(&id, Some(2)).await;
        stage.until_frozen().await;
        assert_is_only_an_answer(&stage.until_answered(&id, answer.word).await, answer);
        for _ in 0..2 {
            assert_eq!(
                shown(&stage.explain(&id).await).state(),
                PaymentState::AtLarge,
                "{id}"
            );
            stage.close().await;
        }
        let expired = stage.until_state(&id, PaymentState::Expired).await;
        assert_is_expired(&stage, &id, &expired).await;
        stage.unfreeze("looked at").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_claim_of_a_validated_ledger_ends_a_payment_that_a_server_called_a_success() {
    let stage = Stage::set().await;
    let success = Recorded::read().results["tesSUCCESS"].clone();
    for row in ROWS {
        let Some(ends) = row.ends else { continue };
        let id = format!("claimed.{}", row.code);
        stage.answer(&id, Some(&success)).await;
        stage.pay(&id, None).await;
        stage.until_answered(&id, "tesSUCCESS").await;
        stage.land(&id, Some(row.code)).await;
        stage.close().await;
        let failed = stage.until_state(&id, PaymentState::Failed).await;
        let payment = shown(&failed);
        assert!(payment.safe_to_repay, "{id}");
        let evidence = payment.evidence.as_ref().unwrap();
        assert_eq!(
            (evidence.kind(), evidence.engine_result.as_str()),
            (EvidenceKind::Presence, row.code)
        );
        assert_eq!(evidence.delivered, None);
        assert!(
            payment.reason_detail.contains(row.code),
            "{id}: {}",
            payment.reason_detail
        );
        assert!(
            failed
                .person_next
                .contains("Pay again under a new payment_id"),
            "{id}: {}",
            failed.person_next
        );
        assert!(
            failed.gateway_next.starts_with("Nothing"),
            "{id}: {}",
            failed.gateway_next
        );
        match ends {
            Ends::Failed(reason, remedy) => {
                assert_eq!(payment.reason(), reason, "{id}");
                assert!(
                    failed.person_next.contains(remedy),
                    "{id}: {}",
                    failed.person_next
                );
                assert_eq!(stage.frozen().await, None, "{id}");
            }
            Ends::FailedAndFrozen => {
                assert_eq!(payment.reason(), PaymentReason::TecOther, "{id}");
                assert!(
                    failed.person_next.contains("report it"),
                    "{id}: {}",
                    failed.person_next
                );
                let why = stage.until_frozen().await;
                assert!(why.contains(row.code), "{id}: {why}");
                stage.unfreeze("looked at").await;
            }
        }
        assert_eq!(stage.received(&id).await, 0, "{id}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_word_that_nobody_knows_stops_and_pages() {
    let stage = Stage::set().await;
    let unheard = json!({
        "engine_result": "tecUNHEARD_OF", "engine_result_code": 999, "engine_result_message": "?",
        "applied": true, "broadcast": true, "kept": true, "queued": false, "accepted": true,
    });
    for (word, answer) in [
        ("tecUNHEARD_OF", unheard),
        ("unheardOf", json!({ "error": "unheardOf" })),
    ] {
        let id = format!("unheard.{word}");
        stage.answer(&id, Some(&answer)).await;
        stage.pay(&id, None).await;
        let why = stage.until_frozen().await;
        assert!(why.contains(word) && why.contains("does not know"), "{why}");
        let explained = stage.until_answered(&id, word).await;
        assert_eq!(shown(&explained).reason(), PaymentReason::WalletFrozen);
        assert!(
            explained.person_next.contains("Update the gateway"),
            "{}",
            explained.person_next
        );
        stage.land(&id, None).await;
        stage.close().await;
        let paid = stage.until_state(&id, PaymentState::Paid).await;
        assert_is_paid(&stage, &id, &paid).await;
        stage.unfreeze("looked at").await;
    }
}

/// Whatever the answer calls for: it is all that is known, so nothing is decided.
fn assert_is_only_an_answer(explained: &Explained, answer: &Answer) {
    let (payment, calls) = (shown(explained), answer.calls);
    let id = &payment.payment_id;
    assert_eq!(payment.state(), PaymentState::AtLarge, "{id}");
    assert!(!payment.safe_to_repay, "{id}");
    assert_eq!(payment.evidence, None, "{id}");
    assert!(
        answers(explained).iter().all(|word| word == answer.word),
        "{id}"
    );
    assert_eq!(
        payment.reason(),
        calls.reason(),
        "{id}: {}",
        payment.reason_detail
    );
    if answer.word != "tesSUCCESS" {
        assert!(
            payment.reason_detail.contains(answer.word),
            "{id}: {}",
            payment.reason_detail
        );
    }
    assert!(
        explained.gateway_next.contains(calls.gateway()),
        "{id}: {}",
        explained.gateway_next
    );
    assert!(
        explained.person_next.contains(calls.person()),
        "{id}: {}",
        explained.person_next
    );
    assert!(
        explained.person_next.contains("Do not pay elsewhere"),
        "{id}: {}",
        explained.person_next
    );
}

async fn assert_is_paid(stage: &Stage, id: &str, paid: &Explained) {
    let payment = shown(paid);
    assert!(!payment.safe_to_repay, "{id}");
    let evidence = payment.evidence.as_ref().unwrap();
    assert_eq!(
        (evidence.kind(), evidence.engine_result.as_str()),
        (EvidenceKind::Presence, "tesSUCCESS")
    );
    assert!(
        paid.person_next.contains("Do not pay again"),
        "{id}: {}",
        paid.person_next
    );
    assert_eq!(stage.received(id).await, DROPS, "{id}: once");
}

async fn assert_is_expired(stage: &Stage, id: &str, expired: &Explained) {
    let payment = shown(expired);
    assert!(payment.safe_to_repay, "{id}");
    assert_eq!(payment.reason(), PaymentReason::DeadlinePassed, "{id}");
    assert_eq!(
        payment.evidence.as_ref().unwrap().kind(),
        EvidenceKind::Absence,
        "{id}"
    );
    assert!(
        expired
            .person_next
            .contains("Pay again under a new payment_id"),
        "{id}: {}",
        expired.person_next
    );
    assert_eq!(stage.received(id).await, 0, "{id}");
}
