//! What is taken: once, however often it is asked for.

use super::*;

#[tokio::test]
async fn the_same_request_gets_the_same_payment_and_another_one_is_told_the_field() {
    let gateway = Gateway::start().await;
    let first = gateway.create(pay("rent-1")).await.unwrap();
    assert!(!first.existed);
    let payment = first.payment.unwrap();
    assert_eq!(payment.state(), PaymentState::Accepted);
    assert_eq!(
        (payment.client_id.as_str(), payment.safe_to_repay),
        ("local", false)
    );
    assert_eq!(payment.invoice_id.len(), 64);
    let again = gateway.create(pay("rent-1")).await.unwrap();
    assert!(again.existed);
    assert_eq!(again.payment.unwrap(), payment);

    let other = CreatePaymentRequest {
        amount: Some(Amount::XrpDrops(2_000_000)),
        ..pay("rent-1")
    };
    let refusal = gateway.refused(other).await;
    assert_eq!(
        (refusal.code(), reason(&refusal).as_str()),
        (Code::AlreadyExists, "PAYMENT_ID_REUSED")
    );
    assert_eq!(
        refusal.get_details_error_info().unwrap().metadata["field"],
        "amount"
    );
    assert_eq!(fields(&refusal), ["amount"]);
    assert_eq!(gateway.stored().await, 1);
}

#[tokio::test]
async fn both_forms_of_an_address_are_the_same_content() {
    let gateway = Gateway::start().await;
    let destination = to_x_address(AccountId::from_bytes([1; 20]), Some(0), XNetwork::Test);
    let stored = gateway
        .create(CreatePaymentRequest {
            destination,
            ..pay("x")
        })
        .await
        .unwrap()
        .payment
        .unwrap();
    assert_eq!(stored.destination_tag, Some(0));
    let classic = CreatePaymentRequest {
        destination_tag: Some(0),
        ..pay("x")
    };
    assert!(gateway.create(classic).await.unwrap().existed);
    // No tag is not tag 0.
    let refusal = gateway.refused(pay("x")).await;
    assert_eq!(
        refusal.get_details_error_info().unwrap().metadata["field"],
        "destination_tag"
    );
    let burnt = CreatePaymentRequest {
        destination: ACCOUNT_ONE.to_address(),
        ..pay("x")
    };
    assert_eq!(reason(&gateway.refused(burnt).await), "PAYMENT_ID_REUSED");
}

#[tokio::test]
async fn pay_before_becomes_a_ledger_and_a_repeated_call_does_not_care() {
    let gateway = Gateway::start().await;
    let dated = |id, seconds| CreatePaymentRequest {
        pay_before: in_seconds(seconds),
        ..pay(id)
    };
    let refusal = gateway.refused(dated("d", 61)).await;
    assert_eq!(
        (refusal.code(), reason(&refusal).as_str()),
        (Code::Unavailable, "LEDGER_UNAVAILABLE")
    );

    gateway.at_ledger(1_000);
    let stored = gateway
        .create(dated("d", 61))
        .await
        .unwrap()
        .payment
        .unwrap();
    assert_eq!(stored.deadline_ledger, 1_012);
    for late in [Some(clock::Millis::ZERO.timestamp()), in_seconds(3)] {
        let request = |id| CreatePaymentRequest {
            pay_before: late,
            ..pay(id)
        };
        let refusal = gateway.refused(request("new")).await;
        assert_eq!(
            (refusal.code(), fields(&refusal)),
            (Code::InvalidArgument, vec!["pay_before".to_owned()])
        );
        let again = gateway.create(request("d")).await.unwrap();
        assert_eq!(
            (again.existed, again.payment.unwrap().deadline_ledger),
            (true, 1_012)
        );
    }
    assert_eq!(gateway.stored().await, 1);
}

#[tokio::test]
async fn a_stored_payment_is_found_after_its_limit_was_lowered() {
    let gateway = Gateway::start().await;
    gateway.create(pay("old")).await.unwrap();
    gateway
        .relimit(|limits| limits.payment_max = Drops::from_const(10_000))
        .await;
    assert!(gateway.create(pay("old")).await.unwrap().existed);
    assert_eq!(
        reason(&gateway.refused(pay("new")).await),
        "LIMIT_PAYMENT_MAX"
    );
}

#[tokio::test]
async fn validate_only_shows_the_payment_and_claims_nothing() {
    let gateway = Gateway::start().await;
    let trial = CreatePaymentRequest {
        validate_only: true,
        ..pay("v")
    };
    let shown = gateway.create(trial.clone()).await.unwrap();
    assert!(!shown.existed && shown.payment.unwrap().state() == PaymentState::Accepted);
    assert_eq!(gateway.stored().await, 0);
    let other = CreatePaymentRequest {
        amount: Some(Amount::XrpDrops(5_000_000)),
        ..pay("v")
    };
    gateway.create(other).await.unwrap();
    assert_eq!(reason(&gateway.refused(trial).await), "PAYMENT_ID_REUSED");
}

#[tokio::test]
async fn the_timeline_begins_with_the_acceptance_and_the_trace_is_the_callers() {
    let gateway = Gateway::start().await;
    let mut request = Request::new(pay("t"));
    let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    let header = format!("00-{trace}-00f067aa0ba902b7-01");
    request
        .metadata_mut()
        .insert("traceparent", header.parse().unwrap());
    gateway
        .payments
        .clone()
        .create_payment(request)
        .await
        .unwrap();
    let ask = ExplainPaymentRequest {
        payment_id: "t".into(),
        client_id: String::new(),
    };
    let explained = gateway
        .payments
        .clone()
        .explain_payment(ask)
        .await
        .unwrap()
        .into_inner();
    assert_eq!(explained.payment.unwrap().trace_id, trace);
    assert_eq!(explained.events[0].stage(), TimelineStage::Accepted);
}

#[tokio::test]
async fn the_dispatcher_is_woken_and_calls_are_counted() {
    let gateway = Gateway::start().await;
    gateway.create(pay("w")).await.unwrap();
    tokio::time::timeout(Duration::from_secs(5), gateway.api.wake.notified())
        .await
        .unwrap();
    gateway.refused(pay("")).await;
    let calls = gateway.calls.lock().unwrap().clone();
    assert_eq!(
        calls,
        [
            ("CreatePayment".to_owned(), Code::Ok),
            ("CreatePayment".to_owned(), Code::InvalidArgument)
        ]
    );
}
