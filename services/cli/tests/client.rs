//! Stories of a client whose gateway fails in the middle of a call.
//!
//! The other end speaks the generated contract and does what it is told, as no real gateway can be made to fail at each of these
//! moments. What a real gateway makes of the calls is told in `tests/tests/cli.rs` at the workspace's root.
#![allow(clippy::unwrap_used, reason = "a story ends where it goes wrong")]

mod scripted;

use std::time::Duration;

use paygate_client::proto::{
    CreatePaymentRequest, Payment, PaymentState, WatchPaymentsRequest, WatchPaymentsResponse,
    create_payment_request,
};
use paygate_client::{CallError, Client, Outcome, Settings, outcome};
use scripted::{ATTEMPT, Does, Gateway, TOTAL, TRACE, client, refusal};
use tokio::net::TcpListener;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt as _};

fn hasty(client: Client, total: Duration) -> Client {
    client.with_settings(Settings {
        attempt_timeout: ATTEMPT,
        total_timeout: total,
        ..Settings::default()
    })
}

fn rent() -> CreatePaymentRequest {
    CreatePaymentRequest {
        payment_id: "rent".to_owned(),
        destination: "rAlice".to_owned(),
        amount: Some(create_payment_request::Amount::XrpDrops(5)),
        ..CreatePaymentRequest::default()
    }
}

fn message(cursor: &str, state: Option<PaymentState>) -> WatchPaymentsResponse {
    WatchPaymentsResponse {
        cursor: cursor.to_owned(),
        payment: state.map(|state| Payment {
            state: state.into(),
            ..Payment::default()
        }),
        ..WatchPaymentsResponse::default()
    }
}

// === paying ===

#[tokio::test]
async fn what_is_not_answered_is_asked_again_and_is_the_same_payment() {
    let unknown = [
        Code::Unavailable,
        Code::Unknown,
        Code::Cancelled,
        Code::Internal,
        Code::DeadlineExceeded,
    ];
    let fails = unknown.map(|code| Does::Fails(Status::new(code, "no")));
    let does = fails
        .into_iter()
        .chain([Does::Nothing, Does::Answers(PaymentState::Accepted)]);
    let (gateway, client) = Gateway::start(does).await;

    let created = client.create_payment(rent()).await.unwrap();
    assert_eq!(created.payment.unwrap().state(), PaymentState::Accepted);
    let seen = gateway.created();
    assert_eq!(seen.len(), unknown.len() + 2);
    for (asked, trace) in seen {
        assert_eq!(asked, rent(), "a repeated call is the same call");
        assert_eq!(trace, TRACE);
    }
}

#[tokio::test]
async fn a_refusal_is_not_repeated_and_tells_all() {
    let reused = Does::Fails(refusal(Code::AlreadyExists, "PAYMENT_ID_REUSED"));
    let (gateway, client) = Gateway::start([reused]).await;
    let error = client.create_payment(rent()).await.unwrap_err();
    let CallError::Refused(refused) = error else {
        panic!("{error}");
    };
    assert_eq!(refused.reason, "PAYMENT_ID_REUSED");
    assert_eq!(refused.metadata["field"], "amount");
    assert_eq!(refused.fields[0].description, "5 differs from 6");
    assert_eq!(refused.retry_after, Some(Duration::from_secs(7)));
    assert_eq!(gateway.created().len(), 1);
}

/// The first attempt may have stored it: "too many calls" to the second one does not mean that nothing is stored.
#[tokio::test]
async fn a_refusal_after_silence_leaves_it_unknown() {
    let limited = Does::Fails(refusal(Code::ResourceExhausted, "RATE_LIMITED"));
    let (_gateway, client) = Gateway::start([Does::Nothing, limited]).await;
    let error = client.create_payment(rent()).await.unwrap_err();
    let CallError::Unanswered(unanswered) = error else {
        panic!("{error}");
    };
    assert!(unanswered.reached);
    assert_eq!(unanswered.last.reason, "RATE_LIMITED");
}

/// A proxy that answers for the gateway knows nothing about payments.
#[tokio::test]
async fn a_refusal_that_is_not_the_gateways_own_settles_nothing() {
    let foreign = Does::Fails(Status::permission_denied("403 by some proxy"));
    let (gateway, client) = Gateway::start([foreign]).await;
    let error = client.create_payment(rent()).await.unwrap_err();
    assert!(matches!(error, CallError::Unanswered(_)), "{error}");
    assert_eq!(gateway.created().len(), 1, "it would say the same again");
}

/// An id belongs to one content for ever: whatever the first attempt did, it did not store this one.
#[tokio::test]
async fn a_used_id_after_silence_is_a_refusal() {
    let reused = Does::Fails(refusal(Code::AlreadyExists, "PAYMENT_ID_REUSED"));
    let (_gateway, client) = Gateway::start([Does::Nothing, reused]).await;
    let error = client.create_payment(rent()).await.unwrap_err();
    assert!(matches!(error, CallError::Refused(_)), "{error}");
}

#[tokio::test]
async fn a_gateway_that_is_not_there_was_not_reached() {
    // A port that was free a moment ago.
    let free = TcpListener::bind("127.0.0.1:0")
        .await
        .unwrap()
        .local_addr()
        .unwrap();
    let client = hasty(client(&free.to_string()), Duration::from_secs(1));
    let error = client.create_payment(rent()).await.unwrap_err();
    let CallError::Unanswered(unanswered) = error else {
        panic!("{error}");
    };
    assert!(!unanswered.reached, "{unanswered}");
    assert!(unanswered.attempts > 1);
    assert!(
        unanswered.last.message.contains("refused"),
        "it says why: {unanswered}"
    );
}

#[tokio::test]
async fn silence_ends_in_time_and_is_unknown() {
    let (_gateway, client) = Gateway::start(vec![Does::Nothing; 20]).await;
    let client = hasty(client, Duration::from_secs(1));
    let error = tokio::time::timeout(TOTAL, client.create_payment(rent()))
        .await
        .unwrap()
        .unwrap_err();
    assert!(
        matches!(&error, CallError::Unanswered(unanswered) if unanswered.reached),
        "{error}"
    );
}

#[tokio::test]
async fn waiting_goes_through_errors_to_the_end() {
    let busy = {
        let mut details = ErrorDetails::new();
        details.set_retry_info(Some(Duration::from_millis(10)));
        Status::with_error_details(Code::ResourceExhausted, "too many", details)
    };
    let does = [
        Does::Answers(PaymentState::AtLarge),
        Does::Fails(Status::unavailable("restarts")),
        Does::Fails(busy),
        Does::Nothing,
        Does::Answers(PaymentState::OnHold),
        Does::Answers(PaymentState::Paid),
    ];
    let (_gateway, client) = Gateway::start(does).await;
    let paid = client.wait_until_final("rent", TOTAL).await.unwrap();
    assert_eq!(outcome(&paid), Outcome::Paid);
}

#[tokio::test]
async fn a_wait_that_is_over_decides_nothing() {
    let (_gateway, client) = Gateway::start(vec![Does::Answers(PaymentState::AtLarge); 50]).await;
    let seen = client
        .wait_until_final("rent", Duration::from_secs(1))
        .await
        .unwrap();
    assert_eq!(outcome(&seen), Outcome::Live);
}

#[tokio::test]
async fn cancelling_is_asked_again_and_only_the_state_counts() {
    let does = [
        Does::Fails(Status::unavailable("no")),
        Does::Answers(PaymentState::AtLarge),
    ];
    let (_gateway, client) = Gateway::start(does).await;
    let payment = client.cancel_payment("rent", "").await.unwrap();
    assert_eq!(outcome(&payment), Outcome::Live);
}

// === watching ===

#[tokio::test]
async fn a_watch_goes_on_where_it_broke_and_misses_nothing() {
    let streams = [
        vec![
            message("c1", Some(PaymentState::Accepted)),
            message("c2", Some(PaymentState::AtLarge)),
        ],
        // A heartbeat moves the cursor, too.
        vec![message("c3", None)],
        vec![],
        vec![message("c4", Some(PaymentState::Paid))],
    ];
    let (gateway, client) = Gateway::watched(streams).await;
    let mut watch = client.watch_payments(WatchPaymentsRequest::default());
    let mut seen = Vec::new();
    for _ in 0..3 {
        let change = watch.next().await.unwrap();
        seen.push((change.cursor, change.payment.state()));
    }
    let wanted = [
        ("c1", PaymentState::Accepted),
        ("c2", PaymentState::AtLarge),
        ("c4", PaymentState::Paid),
    ];
    assert_eq!(
        seen,
        wanted.map(|(cursor, state)| (cursor.to_owned(), state))
    );
    assert_eq!(gateway.cursors(), ["", "c2", "c3", "c3"]);
    assert_eq!(watch.cursor(), "c4");
}

#[tokio::test]
async fn a_watch_that_breaks_before_its_first_cursor_says_so() {
    let (_gateway, client) = Gateway::watched([vec![]]).await;
    let mut watch = client.watch_payments(WatchPaymentsRequest::default());
    let error = watch.next().await.unwrap_err();
    assert!(
        matches!(error, CallError::Unanswered(_)),
        "changes since it began may be missing: {error}"
    );
}

#[tokio::test]
async fn a_gateway_without_a_stream_refuses_at_once() {
    let (_gateway, client) = Gateway::start([]).await;
    let error = client
        .watch_payments(WatchPaymentsRequest::default())
        .next()
        .await
        .unwrap_err();
    let CallError::Refused(refused) = error else {
        panic!("{error}");
    };
    assert_eq!(refused.reason, "NOT_IMPLEMENTED");
}
