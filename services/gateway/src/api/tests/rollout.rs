//! The calls about the roll-out: which fields they take, and what they answer where there is none.

use paygate_payments::rollout::{Name, Stage, Stages};
use paygate_proto::v1::{
    GetRolloutRequest, PromoteRolloutRequest, RecordRolloutRequest, RollbackRolloutRequest,
};

use super::*;

fn operations(gateway: &Gateway) -> OperationsServiceClient<Channel> {
    OperationsServiceClient::new(gateway.channel.clone())
}

fn going(stage: &str, reason: &str) -> PromoteRolloutRequest {
    PromoteRolloutRequest {
        stage: stage.to_owned(),
        reason: reason.to_owned(),
    }
}

#[tokio::test]
async fn without_a_roll_out_the_configured_limits_hold_and_there_is_nothing_to_promote() {
    let gateway = Gateway::start().await;
    let shown = operations(&gateway)
        .get_rollout(GetRolloutRequest {})
        .await
        .unwrap()
        .into_inner()
        .rollout
        .unwrap();
    assert_eq!(
        (
            shown.stage.as_str(),
            shown.max_payment_drops,
            shown.daily_limit_drops
        ),
        ("", 100_000_000, 1_000_000_000)
    );
    let refused = operations(&gateway)
        .promote_rollout(going("internal", "signed"))
        .await
        .unwrap_err();
    assert_eq!(reason(&refused), "STATE_FORBIDS");
    assert!(refused.message().contains("there is no roll-out"));
    let back = RollbackRolloutRequest {
        stage: "internal".to_owned(),
        reason: "odd".to_owned(),
    };
    let refused = operations(&gateway).rollback_rollout(back).await;
    assert_eq!(reason(&refused.unwrap_err()), "STATE_FORBIDS");
}

#[tokio::test]
async fn a_stage_that_is_none_and_a_word_without_a_reason_are_named() {
    let gateway = Gateway::start().await;
    let bad = going("Not a stage", "");
    let refused = operations(&gateway).promote_rollout(bad).await.unwrap_err();
    assert_eq!(reason(&refused), "FIELD_INVALID");
    assert_eq!(fields(&refused), ["reason", "stage"]);
    let bad = RecordRolloutRequest {
        stage: "internal".to_owned(),
        reason: "x".repeat(201),
        ..RecordRolloutRequest::default()
    };
    let refused = operations(&gateway).record_rollout(bad).await.unwrap_err();
    assert_eq!(fields(&refused), ["reason", "criterion", "verdict"]);
}

#[tokio::test]
async fn a_client_and_a_currency_that_are_none_of_the_stages_are_refused_by_its_name() {
    let usd = IssuedAmount {
        currency: "USD".into(),
        issuer: AccountId::from_bytes([9; 20]).to_address(),
        value: "1".into(),
    };
    let asset = paygate_payments::limits::AssetLimits {
        asset: xrpl_tx::Asset {
            currency: "USD".parse().unwrap(),
            issuer: AccountId::from_bytes([9; 20]),
        },
        payment_min: "1".parse().unwrap(),
        payment_max: "10".parse().unwrap(),
        day_max: "10".parse().unwrap(),
        transfer_fee_max_ppm: 0,
        approval_threshold: None,
    };
    let dollars = CreatePaymentRequest {
        amount: Some(Amount::Issued(usd)),
        ..pay("dollars")
    };
    for (client, request) in [("somebody", pay("p")), ("local", dollars)] {
        let gateway = Gateway::with(|limits| limits.assets = vec![asset]).await;
        let stage = Stage {
            name: Name::new("internal").unwrap(),
            payment_max: None,
            day_max: None,
            clients: Some(vec![Id::new(client).unwrap()]),
            issued: false,
            lasts: Duration::ZERO,
            criteria: Vec::new(),
        };
        let stages = Stages::new(vec![stage], 1).unwrap();
        let by = Actor::of(Id::new("operator").unwrap());
        let digest = Hash256::from_bytes([1; 32]);
        let begun = gateway
            .api
            .store
            .begin_rollout(by, Some((stages, digest)), clock::now());
        begun.await.unwrap();
        let refusal = gateway.refused(request.clone()).await;
        assert_eq!(reason(&refusal), "ROLLOUT_STAGE");
        let info = refusal.get_details_error_info().unwrap();
        assert_eq!(info.metadata["stage"], "internal");
        assert_eq!(gateway.stored().await, 0);
    }
}
