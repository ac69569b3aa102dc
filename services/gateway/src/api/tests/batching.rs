//! Many payments in one call: each is answered as CreatePayment would answer it, and knows nothing of the others.

use paygate_proto::v1::{
    BatchCreatePaymentsRequest, BatchItemError, WatchPaymentsRequest, batch_item,
};

use super::super::batch;
use super::*;

impl Gateway {
    async fn batch(
        &self,
        payments: Vec<CreatePaymentRequest>,
    ) -> Result<Vec<batch_item::Outcome>, Status> {
        let request = BatchCreatePaymentsRequest { payments };
        let mut client = self.payments.clone();
        let answer = client.batch_create_payments(request).await?.into_inner();
        Ok(answer
            .items
            .into_iter()
            .map(|item| item.outcome.expect("one of the two"))
            .collect())
    }
}

fn created(outcome: &batch_item::Outcome) -> &CreatePaymentResponse {
    match outcome {
        batch_item::Outcome::Created(created) => created,
        batch_item::Outcome::Error(error) => panic!("{error:?}"),
    }
}

fn error(outcome: &batch_item::Outcome) -> &BatchItemError {
    match outcome {
        batch_item::Outcome::Error(error) => error,
        batch_item::Outcome::Created(created) => panic!("{created:?}"),
    }
}

fn ids(prefix: &str, count: usize) -> Vec<CreatePaymentRequest> {
    (0..count)
        .map(|number| pay(&format!("{prefix}-{number}")))
        .collect()
}

#[tokio::test]
async fn a_bad_row_refuses_only_itself_and_says_what_create_payment_says() {
    let gateway = Gateway::start().await;
    gateway.create(pay("old")).await.unwrap();
    let drops = |id: &str, drops| CreatePaymentRequest {
        amount: Some(Amount::XrpDrops(drops)),
        ..pay(id)
    };
    let large = Memo {
        data: vec![0; REQUEST_BYTES_MAX + 1],
        ..Memo::default()
    };
    let rows = vec![
        pay("a"),
        drops("tiny", 1),
        pay("old"),
        drops("OLD", 2_000_000),
        pay("no spaces"),
        CreatePaymentRequest {
            memos: vec![large],
            ..pay("big")
        },
        CreatePaymentRequest {
            retry_of: "unknown".into(),
            ..pay("again")
        },
        CreatePaymentRequest {
            validate_only: true,
            ..pay("trial")
        },
    ];
    let outcomes = gateway.batch(rows.clone()).await.unwrap();
    assert_eq!(outcomes.len(), rows.len());
    assert!(!created(&outcomes[0]).existed);
    let stored = created(&outcomes[0]).payment.clone().unwrap();
    assert_eq!(stored, gateway.get("a").await.unwrap());
    assert!(created(&outcomes[2]).existed && !created(&outcomes[3]).existed);
    assert!(!created(&outcomes[7]).existed);
    for (at, reason, field) in [
        (1, "LIMIT_PAYMENT_MIN", "xrp_drops"),
        (4, "FIELD_INVALID", "payment_id"),
        (5, "REQUEST_TOO_LARGE", ""),
        (6, "RETRY_OF_INVALID", "retry_of"),
    ] {
        let told = error(&outcomes[at]);
        assert_eq!((told.reason.as_str(), told.field.as_str()), (reason, field));
        let alone = gateway.create(rows[at].clone()).await.unwrap_err();
        assert_eq!(told.code, i32::from(alone.code()), "{reason}");
        if reason != "REQUEST_TOO_LARGE" {
            assert_eq!(told.message, alone.message());
        }
        assert_eq!(told.retry_after, None);
    }
    assert_eq!(gateway.stored().await, 3);
    // The same again is the same again, and nothing more is stored.
    let again = gateway.batch(rows[..4].to_vec()).await.unwrap();
    for at in [0, 2, 3] {
        assert!(created(&again[at]).existed, "row {at}");
    }
    assert_eq!(gateway.stored().await, 3);
}

#[tokio::test]
async fn a_full_batch_is_stored_in_its_order_and_each_row_is_told_to_watchers() {
    let gateway = Gateway::with(|limits| {
        limits.pending_max = 1_000;
        limits.day_max = Drops::from_const(99_000_000);
    })
    .await;
    let mut client = gateway.payments.clone();
    let watch = client.watch_payments(WatchPaymentsRequest::default());
    let mut watch = watch.await.unwrap().into_inner();
    watch.message().await.unwrap();
    let outcomes = gateway.batch(ids("row", batch::ITEMS_MAX)).await.unwrap();
    let (last, stored) = outcomes.split_last().unwrap();
    assert!(stored.iter().all(|outcome| !created(outcome).existed));
    // Exactly at the day's limit, and never one over.
    assert_eq!(error(last).reason, "LIMIT_DAILY");
    assert!(error(last).retry_after.is_some());
    for number in 0..stored.len() {
        let told = watch.message().await.unwrap().unwrap();
        assert_eq!(told.payment.unwrap().payment_id, format!("row-{number}"));
    }
}

#[tokio::test]
async fn what_is_wrong_with_a_batch_as_a_whole_stores_nothing_of_it() {
    let gateway = Gateway::start().await;
    let refused = async |payments| gateway.batch(payments).await.unwrap_err();
    for (payments, field) in [
        (vec![], "payments"),
        (ids("p", batch::ITEMS_MAX + 1), "payments"),
        (vec![pay("a"), pay("b"), pay("a")], "payments[2].payment_id"),
    ] {
        let refusal = refused(payments).await;
        assert_eq!(
            (refusal.code(), reason(&refusal).as_str()),
            (Code::InvalidArgument, "FIELD_INVALID")
        );
        assert_eq!(fields(&refusal), [field]);
    }
    // More than any batch, less than a hundred of the largest rows.
    let memo = Memo {
        data: vec![0; 2_000],
        ..Memo::default()
    };
    let mut heavy = ids("p", batch::ITEMS_MAX);
    for payment in &mut heavy {
        payment.memos = vec![memo.clone()];
    }
    let refusal = refused(heavy).await;
    assert_eq!(
        (refusal.code(), reason(&refusal).as_str()),
        (Code::OutOfRange, "REQUEST_TOO_LARGE")
    );
    gateway.api.view.update(|view| view.draining = true);
    let refusal = refused(ids("p", 2)).await;
    assert_eq!(
        (refusal.code(), reason(&refusal).as_str()),
        (Code::Unavailable, "DRAINING")
    );
    assert_eq!(gateway.stored().await, 0);
}

#[tokio::test]
async fn a_hundred_rows_with_the_largest_memos_fit() {
    let gateway = Gateway::with(|limits| limits.pending_max = 1_000).await;
    let memo = Memo {
        data: vec![0; 1_000],
        ..Memo::default()
    };
    let mut rows = ids(&"i".repeat(60), batch::ITEMS_MAX);
    for row in &mut rows {
        row.memos = vec![memo.clone()];
        row.pay_before = in_seconds(3_600);
    }
    gateway.at_ledger(1_000);
    let outcomes = gateway.batch(rows).await.unwrap();
    assert!(outcomes.iter().all(|outcome| !created(outcome).existed));
}
