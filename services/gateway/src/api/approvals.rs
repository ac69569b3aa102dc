//! ApprovalService: another identity decides about large payments.
//!
//! Owns: the requests' fields, and what a refused approver is told. May not: decide; the store does, on the row as it is, and audits it.

use paygate_payments::intent::PaymentKey;
use paygate_proto::v1::approval_service_server::ApprovalService;
use paygate_proto::v1::{
    ApprovePaymentRequest, ApprovePaymentResponse, IssuedAmount, ListPendingApprovalsRequest,
    ListPendingApprovalsResponse, RejectPaymentRequest, RejectPaymentResponse,
};
use tonic::{Request, Response, Status};
use xrpl_tx::{AccountId, Amount};

use super::errors::{self, Violation};
use super::{Api, audit, decode, encode, identity};
use crate::clock;
use crate::store::{Decided, Decision, Record, StoreError, Verdict};

/// Serves ApprovalService.
#[derive(Clone, Debug)]
pub struct ApprovalApi(pub Api);

#[tonic::async_trait]
impl ApprovalService for ApprovalApi {
    async fn list_pending_approvals(
        &self,
        request: Request<ListPendingApprovalsRequest>,
    ) -> Result<Response<ListPendingApprovalsResponse>, Status> {
        identity::caller(&request)?;
        let asked = request.get_ref();
        let limit = decode::page_size(asked.page_size)
            .map_err(|violation| errors::invalid(&[violation]))?;
        let token = Some(asked.page_token.clone()).filter(|token| !token.is_empty());
        let page = self
            .0
            .store
            .awaiting_approval(limit, token)
            .await
            .map_err(|error| errors::store("list_pending_approvals", &error))?;
        let view = self.0.view.now();
        Ok(Response::new(ListPendingApprovalsResponse {
            payments: page
                .records
                .iter()
                .map(|record| encode::payment(record, &view))
                .collect(),
            next_page_token: page.next.unwrap_or_default(),
        }))
    }

    async fn approve_payment(
        &self,
        request: Request<ApprovePaymentRequest>,
    ) -> Result<Response<ApprovePaymentResponse>, Status> {
        let by = audit::actor(&request)?;
        let (key, verdict, comment) = approval(request.get_ref())?;
        let decision = Decision {
            by,
            key,
            verdict,
            comment,
        };
        let record = self.decide(decision).await?;
        Ok(Response::new(ApprovePaymentResponse {
            payment: Some(encode::payment(&record, &self.0.view.now())),
        }))
    }

    async fn reject_payment(
        &self,
        request: Request<RejectPaymentRequest>,
    ) -> Result<Response<RejectPaymentResponse>, Status> {
        let by = audit::actor(&request)?;
        let asked = request.get_ref();
        let mut bad = Vec::new();
        let key = key(&asked.client_id, &asked.payment_id, &mut bad);
        let comment = decode::keep(decode::comment(&asked.comment), &mut bad);
        if asked.comment.is_empty() {
            bad.push(Violation::malformed(
                "comment",
                "is required: the payment's client reads why",
            ));
        }
        let (Some(key), Some(comment), true) = (key, comment, bad.is_empty()) else {
            return Err(errors::invalid(&bad));
        };
        let decision = Decision {
            by,
            key,
            verdict: Verdict::Reject,
            comment,
        };
        let record = self.decide(decision).await?;
        Ok(Response::new(RejectPaymentResponse {
            payment: Some(encode::payment(&record, &self.0.view.now())),
        }))
    }
}

impl ApprovalApi {
    async fn decide(&self, decision: Decision) -> Result<Record, Status> {
        if self.0.view.now().draining {
            return Err(errors::draining());
        }
        let (key, by) = (decision.key.clone(), decision.by.client.clone());
        let decided = self.0.store.decide(decision, clock::now()).await;
        let decided = decided.map_err(|error| match &error {
            StoreError::UnknownPayment(key) => errors::payment_not_found(key),
            StoreError::OnLedger { key, tx_hash } => errors::on_ledger(key, *tx_hash),
            _ => errors::store("decide_payment", &error),
        })?;
        match decided {
            Decided::Now(record) => {
                let state = record.payment.state.name();
                tracing::info!(payment_id = %key.payment, client_id = %key.client, approver = %by, state = state.as_str(), "an approver has decided");
                self.0.metrics.payment_entered(state.as_str());
                self.0.wake.notify_one();
                Ok(record)
            }
            Decided::Again(record) => Ok(record),
            refused => Err(why_not(&key, &refused)),
        }
    }
}

fn why_not(key: &PaymentKey, refused: &Decided) -> Status {
    match refused {
        Decided::Creator => errors::approver_is_creator(key),
        Decided::Differs(field) => errors::cannot_decide(
            key,
            Some(field),
            &format!(
                "is not what was expected: {field} differs; look at it again; it is unchanged"
            ),
        ),
        Decided::NotWaiting { state, by } => {
            let by = by
                .as_ref()
                .map(|by| format!(", as {by} decided"))
                .unwrap_or_default();
            let why = format!(
                "does not wait for approval: it is {}{by}; it is unchanged",
                state.as_str()
            );
            errors::cannot_decide(key, None, &why)
        }
        Decided::Over => errors::cannot_decide(
            key,
            None,
            "was not approved in time: it expires, and is paid only if its client asks again under a new id",
        ),
        Decided::Barred(why) => errors::cannot_decide(
            key,
            None,
            &format!("cannot be decided now: {why}; it is unchanged, and is not paid meanwhile"),
        ),
        Decided::Now(_) | Decided::Again(_) => {
            errors::internal("a decision that stands was refused")
        }
    }
}

/// The request's fields, or everything that is wrong with them.
fn approval(asked: &ApprovePaymentRequest) -> Result<(PaymentKey, Verdict, String), Status> {
    let mut bad = Vec::new();
    let key = key(&asked.client_id, &asked.payment_id, &mut bad);
    let comment = decode::keep(decode::comment(&asked.comment), &mut bad);
    let destination = decode::address(
        "expected_destination",
        &asked.expected_destination,
        AccountId::from_address,
    );
    let destination = decode::keep(destination, &mut bad);
    let amount = match (&asked.expected_issued, asked.expected_xrp_drops) {
        (None, 0) => {
            bad.push(Violation::malformed(
                "expected_xrp_drops",
                "is required, or expected_issued: the amount that you saw",
            ));
            None
        }
        (None, drops) => decode::keep(expected_drops(drops), &mut bad),
        (Some(issued), 0) => expected_issued(issued, &mut bad),
        (Some(_), _) => {
            bad.push(Violation::malformed(
                "expected_issued",
                "and expected_xrp_drops are both set: a payment has one amount",
            ));
            None
        }
    };
    match (key, destination, amount, comment) {
        (Some(key), Some(destination), Some(amount), Some(comment)) if bad.is_empty() => {
            let verdict = Verdict::Approve {
                destination,
                amount,
            };
            Ok((key, verdict, comment))
        }
        _ => Err(errors::invalid(&bad)),
    }
}

fn expected_drops(drops: u64) -> Result<Amount, Violation> {
    decode::amount::xrp(drops)
        .map(Amount::Xrp)
        .map_err(|violation| Violation {
            field: "expected_xrp_drops".to_owned(),
            ..violation
        })
}

fn expected_issued(asked: &IssuedAmount, bad: &mut Vec<Violation>) -> Option<Amount> {
    let mut wrong = Vec::new();
    let amount = decode::amount::issued(asked, &mut wrong);
    bad.extend(wrong.into_iter().map(|violation| Violation {
        field: format!("expected_{}", violation.field),
        ..violation
    }));
    Some(Amount::Issued {
        amount: amount?,
        send_max: None,
    })
}

/// Whose payment: always named, as it is never the approver's own.
fn key(client: &str, payment: &str, bad: &mut Vec<Violation>) -> Option<PaymentKey> {
    let client = decode::keep(decode::payment_id(client, "client_id"), bad);
    let payment = decode::keep(decode::payment_id(payment, "payment_id"), bad);
    Some(PaymentKey {
        client: client?,
        payment: payment?,
    })
}
