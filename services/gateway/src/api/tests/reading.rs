//! What is shown: payments, the wallet, the status, health and reflection.

use super::*;

#[tokio::test]
async fn a_live_payment_tells_why_it_does_not_move() {
    let gateway = Gateway::start().await;
    gateway.create(pay("p")).await.unwrap();
    gateway.at_ledger(1_000);
    assert_eq!(
        gateway.get("p").await.unwrap().reason(),
        PaymentReason::Queued
    );
    gateway.api.view.update(|view| view.link.connected = false);
    assert_eq!(
        gateway.get("p").await.unwrap().reason(),
        PaymentReason::LedgerUnavailable
    );
    gateway
        .api
        .view
        .update(|view| view.signer.unreachable = Some("no socket".into()));
    assert_eq!(
        gateway.get("p").await.unwrap().reason(),
        PaymentReason::SignerUnavailable
    );
    gateway.api.view.update(|view| view.halted = true);
    assert_eq!(
        gateway.get("p").await.unwrap().reason(),
        PaymentReason::NetworkHalted
    );
    let quarantine = Quarantine {
        why: Doubt::LongAbsence,
        until: LedgerIndex(1_020),
    };
    gateway
        .api
        .view
        .update(|view| view.quarantine = Some(quarantine));
    let payment = gateway.get("p").await.unwrap();
    assert_eq!(
        (payment.reason(), payment.state()),
        (PaymentReason::Quarantine, PaymentState::Accepted)
    );
}

#[tokio::test]
async fn payments_are_listed_in_pages_and_filters_are_checked() {
    let gateway = Gateway::start().await;
    for id in ["1", "2", "3"] {
        gateway.create(pay(id)).await.unwrap();
    }
    let list = |request: ListPaymentsRequest| {
        let mut payments = gateway.payments.clone();
        async move {
            payments
                .list_payments(request)
                .await
                .map(tonic::Response::into_inner)
        }
    };
    let two = ListPaymentsRequest {
        page_size: 2,
        ..ListPaymentsRequest::default()
    };
    let page = list(two.clone()).await.unwrap();
    let ids = |payments: &[Payment]| {
        payments
            .iter()
            .map(|p| p.payment_id.clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(ids(&page.payments), ["3", "2"]);
    let next = ListPaymentsRequest {
        page_token: page.next_page_token.clone(),
        ..two.clone()
    };
    let last = list(next.clone()).await.unwrap();
    assert_eq!(
        (ids(&last.payments), last.next_page_token.as_str()),
        (vec!["1".to_owned()], "")
    );

    let paid = vec![PaymentState::Paid as i32];
    let other_filter = list(ListPaymentsRequest {
        states: paid.clone(),
        ..next
    })
    .await
    .unwrap_err();
    assert_eq!(reason(&other_filter), "PAGE_TOKEN_INVALID");
    assert!(
        list(ListPaymentsRequest {
            states: paid,
            ..two.clone()
        })
        .await
        .unwrap()
        .payments
        .is_empty()
    );
    for (request, field) in [
        (
            ListPaymentsRequest {
                states: vec![3, 77],
                ..two.clone()
            },
            "states[1]",
        ),
        (
            ListPaymentsRequest {
                states: vec![0],
                ..two.clone()
            },
            "states[0]",
        ),
        (
            ListPaymentsRequest {
                page_size: -1,
                ..two.clone()
            },
            "page_size",
        ),
        (
            ListPaymentsRequest {
                page_size: 1001,
                ..two.clone()
            },
            "page_size",
        ),
    ] {
        let refusal = list(request).await.unwrap_err();
        assert_eq!(
            (reason(&refusal), fields(&refusal)),
            ("FIELD_INVALID".to_owned(), vec![field.to_owned()])
        );
    }
}

#[tokio::test]
async fn wallet_and_status_show_what_is_known() {
    let gateway = Gateway::start().await;
    gateway.create(pay("p")).await.unwrap();
    gateway
        .api
        .health
        .set("paygate.capability.store", Serving::Yes);
    let wallet = WalletServiceClient::new(gateway.channel.clone())
        .get_wallet(GetWalletRequest {})
        .await
        .unwrap();
    let wallet = wallet.into_inner();
    assert_eq!(
        (wallet.accepted_drops, wallet.key_status()),
        (1_000_000, KeyStatus::Unknown)
    );
    let limits = wallet.limits.unwrap();
    assert_eq!(
        (limits.daily_used_drops, limits.pending_payments),
        (1_000_000, 1)
    );
    let status = OperationsServiceClient::new(gateway.channel.clone())
        .get_status(GetStatusRequest {})
        .await
        .unwrap();
    let status = status.into_inner();
    assert_eq!(
        (status.profile.as_str(), status.store_id.len()),
        ("dev", 32)
    );
    assert_eq!(status.pending.unwrap().counts[0].count, 1);
    let serving: Vec<_> = status
        .capabilities
        .iter()
        .filter(|c| c.serving)
        .map(|c| c.name.as_str())
        .collect();
    assert_eq!(
        (serving, status.capabilities.len()),
        (vec!["paygate.capability.store"], HEALTH_NAMES.len())
    );
}

#[tokio::test]
async fn health_knows_every_name_and_reflection_every_service() {
    use tonic_health::pb::HealthCheckRequest;
    use tonic_health::pb::health_client::HealthClient;
    use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
    use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
    use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;

    let gateway = Gateway::start().await;
    let mut health = HealthClient::new(gateway.channel.clone());
    for name in HEALTH_NAMES {
        health
            .check(HealthCheckRequest {
                service: (*name).to_owned(),
            })
            .await
            .unwrap();
    }
    let request = tonic_reflection::pb::v1::ServerReflectionRequest {
        host: String::new(),
        message_request: Some(MessageRequest::ListServices(String::new())),
    };
    let mut reflection = ServerReflectionClient::new(gateway.channel.clone());
    let stream = reflection
        .server_reflection_info(tokio_stream::iter([request]))
        .await
        .unwrap();
    let answer = stream.into_inner().message().await.unwrap().unwrap();
    let Some(MessageResponse::ListServicesResponse(list)) = answer.message_response else {
        panic!("{answer:?}")
    };
    let names: Vec<_> = list
        .service
        .into_iter()
        .map(|service| service.name)
        .collect();
    for service in [
        "PaymentService",
        "ApprovalService",
        "WalletService",
        "OperationsService",
    ] {
        assert!(
            names.contains(&format!("paygate.v1.{service}")),
            "{names:?}"
        );
    }
    assert!(
        names.contains(&"grpc.health.v1.Health".to_owned()),
        "{names:?}"
    );
}
