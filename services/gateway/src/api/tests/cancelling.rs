//! CancelPayment as a caller hears it.

use paygate_proto::v1::{CancelPaymentRequest, EvidenceKind};

use super::*;

async fn cancel(gateway: &Gateway, payment_id: &str, comment: &str) -> Result<Payment, Status> {
    let request = CancelPaymentRequest {
        payment_id: payment_id.into(),
        comment: comment.into(),
    };
    let answer = gateway.payments.clone().cancel_payment(request).await?;
    Ok(answer.into_inner().payment.unwrap())
}

#[tokio::test]
async fn a_payment_that_is_not_bound_is_cancelled_for_certain_and_again_changes_nothing() {
    let gateway = Gateway::start().await;
    gateway.create(pay("p")).await.unwrap();
    let cancelled = cancel(&gateway, "p", "paid in cash").await.unwrap();
    assert_eq!(
        (cancelled.state(), cancelled.reason()),
        (PaymentState::Cancelled, PaymentReason::CancelledByCaller)
    );
    assert!(cancelled.safe_to_repay && cancelled.cancel_requested);
    let evidence = cancelled.evidence.clone().unwrap();
    assert_eq!(
        (evidence.kind(), evidence.ledger_index),
        (EvidenceKind::NeverBound, 0)
    );
    assert_eq!(cancel(&gateway, "p", "").await.unwrap(), cancelled);
    let explained = gateway
        .payments
        .clone()
        .explain_payment(ExplainPaymentRequest {
            payment_id: "p".into(),
            client_id: String::new(),
        })
        .await
        .unwrap()
        .into_inner();
    let told = explained
        .events
        .iter()
        .find(|event| event.stage() == TimelineStage::CancelRequested)
        .unwrap();
    assert!(told.summary.contains("paid in cash"));
    assert_eq!(explained.events[0].state(), PaymentState::Accepted);
}

#[tokio::test]
async fn in_quarantine_the_cancel_is_stored_and_the_reason_says_so() {
    let gateway = Gateway::start().await;
    gateway.create(pay("p")).await.unwrap();
    let quarantine = Quarantine {
        why: Doubt::LongAbsence,
        until: LedgerIndex(1_020),
    };
    let epoch = gateway.api.store.begin_epoch().await.unwrap();
    let passed = gateway.api.store.pass_continuity(epoch, clock::now()).await;
    passed.unwrap();
    gateway
        .api
        .store
        .set_quarantine(epoch, Some(quarantine), clock::now())
        .await
        .unwrap();
    gateway
        .api
        .view
        .update(|view| view.quarantine = Some(quarantine));
    let stored = cancel(&gateway, "p", "").await.unwrap();
    assert_eq!(
        (stored.state(), stored.reason()),
        (PaymentState::Accepted, PaymentReason::Quarantine)
    );
    assert!(stored.cancel_requested && !stored.safe_to_repay);
}

#[tokio::test]
async fn what_cannot_be_cancelled_is_refused_by_name() {
    let gateway = Gateway::start().await;
    gateway.create(pay("p")).await.unwrap();
    let unknown = cancel(&gateway, "q", "").await.unwrap_err();
    assert_eq!(
        (unknown.code(), reason(&unknown).as_str()),
        (Code::NotFound, "PAYMENT_NOT_FOUND")
    );
    for comment in ["x".repeat(201), "two\nlines".to_owned()] {
        let refusal = cancel(&gateway, "p", &comment).await.unwrap_err();
        assert_eq!(
            (reason(&refusal).as_str(), fields(&refusal)),
            ("FIELD_INVALID", vec!["comment".to_owned()])
        );
    }
    assert_eq!(
        fields(&cancel(&gateway, "", "").await.unwrap_err()),
        ["payment_id"]
    );
    gateway.api.view.update(|view| view.draining = true);
    let stopping = cancel(&gateway, "p", "").await.unwrap_err();
    assert_eq!(reason(&stopping), "DRAINING");
    assert_eq!(
        gateway.get("p").await.unwrap().state(),
        PaymentState::Accepted
    );
}
