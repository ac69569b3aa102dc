//! Issued currencies on the surface: what is taken, what is refused and by which name, what is shown.

use super::*;
use paygate_payments::limits::AssetLimits;
use xrpl_tx::Asset;

const RLUSD: &str = "524C555344000000000000000000000000000000";

fn issuer() -> AccountId {
    AccountId::from_bytes([9; 20])
}

fn limits_of(currency: &str) -> AssetLimits {
    AssetLimits {
        asset: Asset {
            currency: currency.parse().unwrap(),
            issuer: issuer(),
        },
        payment_min: "0.01".parse().unwrap(),
        payment_max: "1000".parse().unwrap(),
        day_max: "1500".parse().unwrap(),
        transfer_fee_max_ppm: 2_000,
        approval_threshold: None,
    }
}

async fn gateway() -> Gateway {
    Gateway::with(|limits| limits.assets = vec![limits_of(RLUSD), limits_of("USD")]).await
}

fn amount(currency: &str, value: &str) -> IssuedAmount {
    IssuedAmount {
        currency: currency.into(),
        issuer: issuer().to_address(),
        value: value.into(),
    }
}

fn pay_issued(payment_id: &str, amount: IssuedAmount) -> CreatePaymentRequest {
    CreatePaymentRequest {
        amount: Some(Amount::Issued(amount)),
        ..pay(payment_id)
    }
}

#[tokio::test]
async fn an_issued_payment_is_stored_and_shown_with_its_send_max() {
    let gateway = gateway().await;
    let request = pay_issued("a", amount(&RLUSD.to_lowercase(), "12.50"));
    let created = gateway
        .create(request.clone())
        .await
        .unwrap()
        .payment
        .unwrap();
    assert!(gateway.create(request).await.unwrap().existed);
    let shown = gateway.get("a").await.unwrap();
    for payment in [&created, &shown] {
        assert_eq!(
            payment.amount,
            Some(payment::Amount::Issued(amount(RLUSD, "12.5")))
        );
        assert_eq!(payment.send_max, "12.525");
        assert_eq!(payment.state(), PaymentState::Accepted);
    }
    let trial = CreatePaymentRequest {
        validate_only: true,
        ..pay_issued("v", amount("USD", "1e2"))
    };
    let trial = gateway.create(trial).await.unwrap().payment.unwrap();
    assert_eq!(trial.send_max, "100.2");
    assert_eq!(gateway.stored().await, 1);

    let wallet = WalletServiceClient::new(gateway.channel.clone())
        .get_wallet(GetWalletRequest {})
        .await
        .unwrap()
        .into_inner();
    assert_eq!((wallet.accepted_drops, wallet.assets.len()), (0, 2));
    let rlusd = &wallet.assets[0];
    assert_eq!(rlusd.currency, RLUSD);
    assert_eq!(
        (
            rlusd.daily_limit.as_str(),
            rlusd.daily_used.as_str(),
            rlusd.daily_left.as_str()
        ),
        ("1500", "12.525", "1487.475")
    );
    assert_eq!(
        (rlusd.accepted.as_str(), rlusd.at_large.as_str()),
        ("12.525", "0")
    );
    assert_eq!(
        (wallet.assets[1].daily_used.as_str(), &wallet.assets[1].line),
        ("0", &None)
    );
}

#[tokio::test]
async fn what_cannot_be_paid_is_refused_by_field_value_and_limit() {
    let gateway = gateway().await;
    let other_issuer = IssuedAmount {
        issuer: AccountId::from_bytes([8; 20]).to_address(),
        ..amount("USD", "1")
    };
    let bad_issuer = IssuedAmount {
        issuer: SEED.into(),
        ..amount("USD", "1")
    };
    for (asked, expected, field, words) in [
        (
            amount("XRP", "1"),
            "FIELD_INVALID",
            "issued.currency",
            "pay it as XRP",
        ),
        (
            amount("DOLLAR", "1"),
            "FIELD_INVALID",
            "issued.currency",
            "40 hex digits",
        ),
        (
            bad_issuer,
            "FIELD_INVALID",
            "issued.issuer",
            "looks like a seed",
        ),
        (amount("USD", "0"), "FIELD_INVALID", "issued.value", "is 0"),
        (
            amount("USD", "-1"),
            "FIELD_INVALID",
            "issued.value",
            "decimal",
        ),
        (
            amount("USD", "1.2345678901234567"),
            "FIELD_INVALID",
            "issued.value",
            "16",
        ),
        (
            amount("USD", "1e-9"),
            "FIELD_INVALID",
            "issued.value",
            "second implementation",
        ),
        (
            amount("5200000000000000000000005553440000000000", "1"),
            "FIELD_INVALID",
            "issued.currency",
            "second implementation",
        ),
        (
            amount("EUR", "1"),
            "ASSET_NOT_CONFIGURED",
            "issued",
            "EUR.r",
        ),
        (other_issuer, "ASSET_NOT_CONFIGURED", "issued", "USD.r"),
        (
            amount("USD", "0.009"),
            "LIMIT_PAYMENT_MIN",
            "issued.value",
            "assets.min_payment 0.01",
        ),
        // The value is below the maximum, what it may take with the issuer's fee is not.
        (
            amount("USD", "999"),
            "LIMIT_PAYMENT_MAX",
            "issued.value",
            "1000.998",
        ),
    ] {
        let refusal = gateway.refused(pay_issued("p", asked.clone())).await;
        assert_eq!(
            (refusal.code(), reason(&refusal).as_str()),
            (Code::InvalidArgument, expected),
            "{asked:?}"
        );
        assert_eq!(fields(&refusal), [field], "{asked:?}");
        assert!(refusal.message().contains(words), "{refusal:?}");
        assert!(!format!("{refusal:?}").contains(SEED));
    }
    let nothing = gateway
        .refused(pay_issued("p", IssuedAmount::default()))
        .await;
    assert_eq!(
        fields(&nothing),
        ["issued.currency", "issued.issuer", "issued.value"]
    );
    assert_eq!(gateway.stored().await, 0);
}

#[tokio::test]
async fn a_day_of_one_currency_says_which_one_is_used_up() {
    let gateway = gateway().await;
    gateway
        .create(pay_issued("a", amount("USD", "990")))
        .await
        .unwrap();
    let refusal = gateway.refused(pay_issued("b", amount("USD", "600"))).await;
    assert_eq!(
        (refusal.code(), reason(&refusal).as_str()),
        (Code::ResourceExhausted, "LIMIT_DAILY")
    );
    let quota = refusal.get_details_quota_failure().unwrap();
    assert_eq!(quota.violations[0].quota_id, "assets.daily_limit");
    let metadata = refusal.get_details_error_info().unwrap().metadata;
    assert_eq!(
        (metadata["value"].as_str(), metadata["limit"].as_str()),
        ("991.98", "1500")
    );
    assert!(refusal.get_details_retry_info().is_some());
    assert!(refusal.message().contains("601.2 USD.r"), "{refusal:?}");
    gateway
        .create(pay_issued("c", amount(RLUSD, "990")))
        .await
        .unwrap();
    gateway.create(pay("d")).await.unwrap();
}

#[tokio::test]
async fn another_issuer_under_the_same_id_is_named_and_a_removed_asset_still_finds_its_payment() {
    let gateway = gateway().await;
    gateway
        .create(pay_issued("a", amount("USD", "5")))
        .await
        .unwrap();
    let other_issuer = IssuedAmount {
        issuer: AccountId::from_bytes([8; 20]).to_address(),
        ..amount("USD", "5")
    };
    for (asked, field) in [
        (pay_issued("a", other_issuer), "issued.issuer"),
        (pay_issued("a", amount(RLUSD, "5")), "issued.currency"),
        (pay_issued("a", amount("USD", "6")), "issued.value"),
        (pay("a"), "amount"),
    ] {
        let refusal = gateway.refused(asked).await;
        assert_eq!(
            (refusal.code(), reason(&refusal).as_str()),
            (Code::AlreadyExists, "PAYMENT_ID_REUSED")
        );
        assert_eq!(fields(&refusal), [field]);
    }
    gateway.relimit(|limits| limits.assets.clear()).await;
    let again = gateway
        .create(pay_issued("a", amount("USD", "5")))
        .await
        .unwrap();
    assert!(again.existed);
    assert_eq!(again.payment.unwrap().send_max, "5.01");
    let refusal = gateway.refused(pay_issued("b", amount("USD", "5"))).await;
    assert_eq!(reason(&refusal), "ASSET_NOT_CONFIGURED");
}
