//! WatchPayments as a watcher hears it.

use paygate_proto::v1::{CancelPaymentRequest, WatchPaymentsRequest, WatchPaymentsResponse};
use tonic::Streaming;

use super::*;

/// Far above what a busy machine takes; below the heartbeat's period it would say nothing.
const SOON: Duration = Duration::from_secs(60);

async fn watch(
    gateway: &Gateway,
    request: WatchPaymentsRequest,
) -> Result<Streaming<WatchPaymentsResponse>, Status> {
    let answer = gateway.payments.clone().watch_payments(request).await?;
    Ok(answer.into_inner())
}

fn from(cursor: &str) -> WatchPaymentsRequest {
    WatchPaymentsRequest {
        cursor: cursor.into(),
        ..WatchPaymentsRequest::default()
    }
}

async fn next(stream: &mut Streaming<WatchPaymentsResponse>) -> WatchPaymentsResponse {
    tokio::time::timeout(SOON, stream.message())
        .await
        .unwrap()
        .unwrap()
        .unwrap()
}

/// The next change, and the cursor behind it.
async fn next_change(stream: &mut Streaming<WatchPaymentsResponse>) -> (String, Payment, String) {
    loop {
        let message = next(stream).await;
        if let Some(payment) = message.payment {
            let change = message.change.unwrap();
            let state = change.state().as_str_name().to_owned();
            return (state, payment, message.cursor);
        }
        assert_eq!(message.change, None, "a heartbeat tells of no change");
    }
}

#[tokio::test]
async fn a_watcher_hears_what_comes_and_goes_on_where_he_was() {
    let gateway = Gateway::start().await;
    gateway.create(pay("before")).await.unwrap();
    let mut stream = watch(&gateway, from("")).await.unwrap();
    let hello = next(&mut stream).await;
    assert!(hello.payment.is_none() && !hello.cursor.is_empty());

    gateway.create(pay("p")).await.unwrap();
    let (state, payment, cursor) = next_change(&mut stream).await;
    assert_eq!(
        (state.as_str(), payment.payment_id.as_str()),
        ("PAYMENT_STATE_ACCEPTED", "p")
    );
    drop(stream);
    gateway
        .payments
        .clone()
        .cancel_payment(CancelPaymentRequest {
            payment_id: "p".into(),
            comment: String::new(),
        })
        .await
        .unwrap();
    let mut stream = watch(&gateway, from(&cursor)).await.unwrap();
    assert_eq!(
        next(&mut stream).await.cursor,
        cursor,
        "nothing was passed over"
    );
    let (state, payment, _) = next_change(&mut stream).await;
    assert_eq!(
        (state.as_str(), payment.state()),
        ("PAYMENT_STATE_CANCELLED", PaymentState::Cancelled)
    );

    let mut whole = watch(&gateway, from("beginning")).await.unwrap();
    let mut heard = Vec::new();
    for _ in 0..3 {
        let (state, payment, _) = next_change(&mut whole).await;
        heard.push((payment.payment_id, state));
    }
    let heard: Vec<_> = heard
        .iter()
        .map(|(id, s)| (id.as_str(), s.as_str()))
        .collect();
    assert_eq!(
        heard,
        [
            ("before", "PAYMENT_STATE_ACCEPTED"),
            ("p", "PAYMENT_STATE_ACCEPTED"),
            ("p", "PAYMENT_STATE_CANCELLED")
        ]
    );
}

#[tokio::test]
async fn filters_are_heeded_and_wrong_ones_are_named() {
    let gateway = Gateway::start().await;
    let mut cancelled = watch(
        &gateway,
        WatchPaymentsRequest {
            states: vec![PaymentState::Cancelled as i32],
            ..from("beginning")
        },
    )
    .await
    .unwrap();
    let mut strangers = watch(
        &gateway,
        WatchPaymentsRequest {
            client_id: "stranger".into(),
            ..from("beginning")
        },
    )
    .await
    .unwrap();
    for id in ["a", "b"] {
        gateway.create(pay(id)).await.unwrap();
    }
    let request = CancelPaymentRequest {
        payment_id: "b".into(),
        comment: String::new(),
    };
    gateway
        .payments
        .clone()
        .cancel_payment(request)
        .await
        .unwrap();
    let (_, payment, _) = next_change(&mut cancelled).await;
    assert_eq!(payment.payment_id, "b");
    // Whatever he hears in the time that the other one took is a heartbeat.
    assert!(next(&mut strangers).await.payment.is_none());

    for (request, field) in [
        (
            WatchPaymentsRequest {
                states: vec![0],
                ..from("")
            },
            "states[0]",
        ),
        (
            WatchPaymentsRequest {
                client_id: "no spaces".into(),
                ..from("")
            },
            "client_id",
        ),
    ] {
        let refusal = watch(&gateway, request).await.unwrap_err();
        assert_eq!(
            (reason(&refusal).as_str(), fields(&refusal)),
            ("FIELD_INVALID", vec![field.to_owned()])
        );
    }
    let refusal = watch(&gateway, from("made-up")).await.unwrap_err();
    assert_eq!(
        (refusal.code(), reason(&refusal).as_str(), fields(&refusal)),
        (
            Code::InvalidArgument,
            "PAGE_TOKEN_INVALID",
            vec!["cursor".to_owned()]
        )
    );
}

#[tokio::test]
async fn a_stopping_gateway_ends_the_stream_so_that_its_watcher_comes_back() {
    let gateway = Gateway::start().await;
    let mut stream = watch(&gateway, from("beginning")).await.unwrap();
    next(&mut stream).await;
    gateway.api.view.update(|view| view.draining = true);
    let end = tokio::time::timeout(SOON, async {
        loop {
            match stream.message().await {
                Ok(Some(message)) => assert!(message.payment.is_none()),
                Ok(None) => panic!("ended as if all were told"),
                Err(status) => return status,
            }
        }
    })
    .await
    .unwrap();
    assert_eq!(
        (end.code(), reason(&end).as_str()),
        (Code::Unavailable, "DRAINING")
    );
    assert!(end.get_details_retry_info().is_some());
    let refusal = watch(&gateway, from("")).await.unwrap_err();
    assert_eq!(reason(&refusal), "DRAINING");
}

#[tokio::test]
async fn there_are_so_many_seats_and_who_leaves_frees_his() {
    let gateway = Gateway::start().await;
    let mut streams = Vec::new();
    for _ in 0..64 {
        let mut stream = watch(&gateway, from("")).await.unwrap();
        next(&mut stream).await;
        streams.push(stream);
    }
    let refusal = watch(&gateway, from("")).await.unwrap_err();
    assert_eq!(
        (refusal.code(), reason(&refusal).as_str()),
        (Code::ResourceExhausted, "OVERLOADED")
    );
    gateway.create(pay("p")).await.unwrap();
    for stream in &mut streams {
        let (_, payment, _) = next_change(stream).await;
        assert_eq!(payment.payment_id, "p");
    }
    streams.pop();
    tokio::time::timeout(SOON, async {
        while watch(&gateway, from("")).await.is_err() {
            tokio::task::yield_now().await;
        }
    })
    .await
    .unwrap();
}

/// A reader who does not read holds up nobody, and finds everything when he does.
#[tokio::test]
async fn a_slow_reader_loses_nothing() {
    let gateway = Gateway::with(|limits| {
        limits.pending_max = 10_000;
        limits.day_max = Drops::MAX;
    })
    .await;
    let mut stream = watch(&gateway, from("")).await.unwrap();
    // Some two megabytes of messages: more than the connection takes in without being read.
    let memo = Memo {
        data: vec![b'x'; 1_000],
        ..Memo::default()
    };
    let mut calls = tokio::task::JoinSet::new();
    for n in 0..1_000 {
        let mut payments = gateway.payments.clone();
        let request = CreatePaymentRequest {
            memos: vec![memo.clone()],
            ..pay(&format!("p{n}"))
        };
        calls.spawn(async move { payments.create_payment(request).await.unwrap() });
        while calls.len() > 50 {
            calls.join_next().await.unwrap().unwrap();
        }
    }
    while let Some(done) = calls.join_next().await {
        done.unwrap();
    }
    let mut heard = std::collections::BTreeSet::new();
    let mut last = 0;
    while heard.len() < 1_000 {
        let message = next(&mut stream).await;
        let Some(change) = message.change else {
            continue;
        };
        assert!(change.sequence > last, "out of order");
        last = change.sequence;
        heard.insert(message.payment.unwrap().payment_id);
    }
}
