//! BatchCreatePayments: many CreatePayments in one call.
//!
//! Owns: the size of a batch, that its items begin in its order, and that each is answered by itself. May not: decide about a payment;
//! each goes the whole way of CreatePayment, and knows nothing of the others.

use std::collections::HashMap;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::Poll;

use paygate_proto::v1::{
    BatchCreatePaymentsRequest, BatchItem, BatchItemError, CreatePaymentResponse, batch_item,
};
use tonic::Status;
use tonic_types::StatusExt as _;

use super::errors::{self, Violation};

/// The method's path, which has a cap of its own on the size of its messages.
pub(super) const PATH: &str = "/paygate.v1.PaymentService/BatchCreatePayments";

/// Items of a batch, as the contract says.
pub(super) const ITEMS_MAX: usize = 100;

/// Largest batch: so many items with the largest memos fit. Each item may still not be larger than a request of its own.
pub(super) const BYTES_MAX: usize = 128 * 1024;

/// Batches at once. Their rows together leave room in the writer's queue, which takes 1,024 jobs, for payments that come alone.
pub(super) const AT_ONCE_MAX: usize = 8;

/// What is wrong with the batch as a whole; nothing of it is stored then.
pub(super) fn check(request: &BatchCreatePaymentsRequest) -> Result<(), Status> {
    let items = request.payments.len();
    if items == 0 || items > ITEMS_MAX {
        let problem = format!("holds {items} items, which must be 1 to {ITEMS_MAX}");
        let violation = Violation::malformed("payments", problem)
            .of_value(items)
            .with_limit(ITEMS_MAX);
        return Err(errors::invalid(&[violation]));
    }
    let mut first = HashMap::with_capacity(items);
    let mut bad = Vec::new();
    for (at, payment) in request.payments.iter().enumerate() {
        // What has no id is refused by itself.
        if payment.payment_id.is_empty() {
            continue;
        }
        if let Some(before) = first.insert(payment.payment_id.as_str(), at) {
            let field = format!("payments[{at}].payment_id");
            let problem = format!("is that of payments[{before}], too");
            bad.push(Violation::malformed(field, problem));
        }
    }
    if bad.is_empty() {
        Ok(())
    } else {
        Err(errors::invalid(&bad))
    }
}

/// What CreatePayment answers, as an item.
pub(super) fn item(answer: Result<CreatePaymentResponse, Status>) -> BatchItem {
    let outcome = match answer {
        Ok(created) => batch_item::Outcome::Created(created),
        Err(status) => batch_item::Outcome::Error(error(&status)),
    };
    BatchItem {
        outcome: Some(outcome),
    }
}

fn error(status: &Status) -> BatchItemError {
    let details = status.get_error_details();
    let info = details.error_info();
    let named = info.and_then(|info| info.metadata.get("field")).cloned();
    let retry = details.retry_info().and_then(|retry| retry.retry_delay);
    BatchItemError {
        code: status.code().into(),
        reason: info.map(|info| info.reason.clone()).unwrap_or_default(),
        message: status.message().to_owned(),
        field: named.unwrap_or_default(),
        retry_after: retry.and_then(|delay| prost_types::Duration::try_from(delay).ok()),
    }
}

/// All of them at once, begun in this order: so do their rows stand in the writer's queue, and share its commits. Dropped, all end.
pub(super) async fn all<F: Future>(calls: Vec<F>) -> Vec<F::Output> {
    let mut calls: Vec<Pin<Box<F>>> = calls.into_iter().map(Box::pin).collect();
    let mut answers: Vec<Option<F::Output>> = calls.iter().map(|_| None).collect();
    poll_fn(|cx| {
        for (call, answer) in calls.iter_mut().zip(&mut answers) {
            if answer.is_none()
                && let Poll::Ready(ready) = call.as_mut().poll(cx)
            {
                *answer = Some(ready);
            }
        }
        if answers.iter().all(Option::is_some) {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    })
    .await;
    answers.into_iter().flatten().collect()
}
