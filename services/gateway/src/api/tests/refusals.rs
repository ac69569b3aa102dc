//! What is refused: with which reason and details, and that nothing of it is stored.

use super::*;

#[tokio::test]
async fn every_bad_field_is_named_in_one_answer_and_nothing_is_stored() {
    let gateway = Gateway::start().await;
    let memo = Memo {
        r#type: "two words".into(),
        ..Memo::default()
    };
    let refusal = gateway
        .refused(CreatePaymentRequest {
            payment_id: "no spaces".into(),
            destination: "rNobody".into(),
            amount: Some(Amount::XrpDrops(0)),
            memos: vec![memo],
            retry_of: "ä".into(),
            pay_before: in_seconds(2),
            ..CreatePaymentRequest::default()
        })
        .await;
    assert_eq!(
        (refusal.code(), reason(&refusal).as_str()),
        (Code::InvalidArgument, "FIELD_INVALID")
    );
    let told = fields(&refusal);
    assert_eq!(
        told,
        [
            "payment_id",
            "destination",
            "xrp_drops",
            "memos[0].type",
            "retry_of",
            "pay_before"
        ]
    );
    assert_eq!(gateway.stored().await, 0);
}

#[tokio::test]
async fn each_refusal_is_precise_and_nothing_of_it_is_stored() {
    let gateway = Gateway::start().await;
    let somebody = AccountId::from_bytes([1; 20]);
    let to = |destination: String| CreatePaymentRequest {
        destination,
        ..pay("p")
    };
    let drops = |drops| CreatePaymentRequest {
        amount: Some(Amount::XrpDrops(drops)),
        ..pay("p")
    };
    let x_with_tag = to_x_address(somebody, Some(7), XNetwork::Test);
    let clash = CreatePaymentRequest {
        destination: x_with_tag,
        destination_tag: Some(8),
        ..pay("p")
    };
    let memo = Memo {
        data: vec![0; 1_100],
        ..Memo::default()
    };
    let cases = [
        (
            "no id",
            CreatePaymentRequest {
                payment_id: String::new(),
                ..pay("p")
            },
            "FIELD_INVALID",
            "payment_id",
        ),
        (
            "long id",
            pay(&"x".repeat(65)),
            "FIELD_INVALID",
            "payment_id",
        ),
        (
            "no destination",
            to(String::new()),
            "FIELD_INVALID",
            "destination",
        ),
        (
            "bad checksum",
            to("rrrrrrrrrrrrrrrrrrrrBZbvjj".into()),
            "FIELD_INVALID",
            "destination",
        ),
        ("a seed", to(SEED.into()), "FIELD_INVALID", "destination"),
        (
            "nobody",
            to(ACCOUNT_ZERO.to_address()),
            "FIELD_INVALID",
            "destination",
        ),
        (
            "other network",
            to(to_x_address(somebody, None, XNetwork::Main)),
            "FIELD_INVALID",
            "destination",
        ),
        (
            "the wallet",
            to(gateway.api.wallet.account.to_address()),
            "DESTINATION_IS_WALLET",
            "destination",
        ),
        ("tag clash", clash, "FIELD_INVALID", "destination_tag"),
        (
            "no amount",
            CreatePaymentRequest {
                amount: None,
                ..pay("p")
            },
            "FIELD_INVALID",
            "amount",
        ),
        ("zero", drops(0), "FIELD_INVALID", "xrp_drops"),
        (
            "more than there is",
            drops(100_000_000_000_000_001),
            "FIELD_INVALID",
            "xrp_drops",
        ),
        ("too little", drops(999), "LIMIT_PAYMENT_MIN", "xrp_drops"),
        (
            "too much",
            drops(100_000_001),
            "LIMIT_PAYMENT_MAX",
            "xrp_drops",
        ),
        (
            "long memo",
            CreatePaymentRequest {
                memos: vec![memo],
                ..pay("p")
            },
            "FIELD_INVALID",
            "memos",
        ),
        (
            "empty memo",
            CreatePaymentRequest {
                memos: vec![Memo::default()],
                ..pay("p")
            },
            "FIELD_INVALID",
            "memos[0]",
        ),
    ];
    for (case, request, expected, field) in cases {
        let refusal = gateway.refused(request).await;
        assert_eq!(
            (refusal.code(), reason(&refusal).as_str()),
            (Code::InvalidArgument, expected),
            "{case}"
        );
        assert_eq!(fields(&refusal), [field], "{case}");
        assert!(
            !format!("{refusal:?}").contains(SEED),
            "{case}: a seed is repeated"
        );
    }
    let retry = gateway
        .refused(CreatePaymentRequest {
            retry_of: "unknown".into(),
            ..pay("p")
        })
        .await;
    assert_eq!(
        (retry.code(), reason(&retry).as_str()),
        (Code::FailedPrecondition, "RETRY_OF_INVALID")
    );
    assert_eq!(gateway.stored().await, 0);
}

#[tokio::test]
async fn limits_over_several_payments_say_when_to_come_back() {
    let gateway = Gateway::with(|limits| {
        limits.day_max = Drops::from_const(2_500_000);
        limits.pending_max = 3;
    })
    .await;
    for id in ["a", "b"] {
        gateway.create(pay(id)).await.unwrap();
    }
    let refusal = gateway.refused(pay("c")).await;
    assert_eq!(
        (refusal.code(), reason(&refusal).as_str()),
        (Code::ResourceExhausted, "LIMIT_DAILY")
    );
    let quota = refusal.get_details_quota_failure().unwrap();
    assert_eq!(
        (
            quota.violations[0].quota_id.as_str(),
            quota.violations[0].quota_value
        ),
        ("limits.daily_limit_xrp", 2_500_000)
    );
    let wait = refusal
        .get_details_retry_info()
        .unwrap()
        .retry_delay
        .unwrap();
    let hours = wait.as_secs() / 3600;
    assert!(
        (23..=24).contains(&hours),
        "the two payments of just now leave the day in about 24 hours, not {wait:?}"
    );

    let small = |id| CreatePaymentRequest {
        amount: Some(Amount::XrpDrops(1_000)),
        ..pay(id)
    };
    gateway.create(small("c")).await.unwrap();
    let refusal = gateway.refused(small("d")).await;
    assert_eq!(
        (refusal.code(), reason(&refusal).as_str()),
        (Code::ResourceExhausted, "LIMIT_PENDING")
    );
    assert_eq!(
        refusal.get_details_retry_info().unwrap().retry_delay,
        Some(Duration::from_secs(4))
    );
    // Full or not, a stored payment is found.
    assert!(gateway.create(pay("a")).await.unwrap().existed);
    assert_eq!(gateway.stored().await, 3);
}

#[tokio::test]
async fn while_draining_nothing_is_taken_and_everything_is_shown() {
    let gateway = Gateway::start().await;
    gateway.create(pay("before")).await.unwrap();
    gateway.api.view.update(|view| view.draining = true);
    let refusal = gateway.refused(pay("after")).await;
    assert_eq!(
        (refusal.code(), reason(&refusal).as_str()),
        (Code::Unavailable, "DRAINING")
    );
    assert_eq!(
        gateway.get("before").await.unwrap().state(),
        PaymentState::Accepted
    );
    assert_eq!(
        reason(&gateway.get("after").await.unwrap_err()),
        "PAYMENT_NOT_FOUND"
    );
}

#[tokio::test]
async fn a_store_that_is_gone_says_ask_again_and_nothing_of_itself() {
    let gateway = Gateway::start().await;
    gateway.api.store.clone().close().await;
    let refusal = gateway.refused(pay("p")).await;
    assert_eq!(
        (refusal.code(), reason(&refusal).as_str()),
        (Code::Unavailable, "STORE_UNAVAILABLE")
    );
    assert!(refusal.message().contains("same payment_id") && !refusal.message().contains("closed"));
}

#[tokio::test]
async fn what_is_too_large_or_does_not_exist_is_told_so() {
    let gateway = Gateway::start().await;
    let memo = Memo {
        data: vec![0; REQUEST_BYTES_MAX + 1],
        ..Memo::default()
    };
    let refusal = gateway
        .refused(CreatePaymentRequest {
            memos: vec![memo],
            ..pay("big")
        })
        .await;
    assert_eq!(
        (refusal.code(), reason(&refusal).as_str()),
        (Code::OutOfRange, "REQUEST_TOO_LARGE")
    );
    // A service that exists, but not here.
    let mut signer = SignerServiceClient::new(gateway.channel.clone());
    let refusal = signer
        .describe_signer(DescribeSignerRequest::default())
        .await
        .unwrap_err();
    assert_eq!(
        (refusal.code(), reason(&refusal).as_str()),
        (Code::Unimplemented, "NOT_IMPLEMENTED")
    );
    let reconcile = OperationsServiceClient::new(gateway.channel.clone())
        .reconcile_wallet(paygate_proto::v1::ReconcileWalletRequest::default())
        .await;
    assert_eq!(reason(&reconcile.unwrap_err()), "NOT_IMPLEMENTED");
    assert_eq!(gateway.stored().await, 0);
}
