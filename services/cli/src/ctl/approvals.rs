//! Approving and rejecting payments of other clients.
//!
//! Owns: the calls, and the list of what waits. May not: approve what the approver did not type: destination and amount are his.

use paygate_client::proto::{
    ApprovePaymentRequest, IssuedAmount, ListPendingApprovalsRequest, Payment, RejectPaymentRequest,
};
use serde_json::json;

use super::args::{Approvals, Approve, Reject};
use super::exit::Exit;
use super::failure::Asked;
use super::out::{Column, Out, Tone, note, table};
use super::run::{Context, written};
use super::{json, show, words};

/// Shows what waits.
pub(crate) async fn list(context: &Context, asked: Approvals) -> Exit {
    let mut request = ListPendingApprovalsRequest {
        page_size: asked.limit,
        page_token: asked.page_token,
    };
    loop {
        let page = match context.client.pending_approvals(request.clone()).await {
            Ok(page) => page,
            Err(error) => return context.failed(&error, Asked::Read),
        };
        let shown = context.out.result(
            || text(context.out, &page.payments),
            || {
                json!({
                    "payments": page.payments.iter().map(json::payment).collect::<Vec<_>>(),
                    "next_page_token": page.next_page_token,
                })
            },
        );
        if shown.is_err() || page.next_page_token.is_empty() {
            return written(shown, Exit::Done);
        }
        if !asked.all {
            note(format_args!(
                "there are more: --all, or go on with --page-token {}",
                page.next_page_token
            ));
            return Exit::Done;
        }
        request.page_token = page.next_page_token;
    }
}

fn text(out: Out, payments: &[Payment]) -> String {
    if payments.is_empty() {
        return "nothing waits for approval\n".to_owned();
    }
    let columns = [
        ("CLIENT", false),
        ("PAYMENT", false),
        ("AMOUNT", true),
        ("TO", false),
        ("TAG", true),
        ("APPROVE BEFORE", false),
    ]
    .map(|(heading, right)| Column { heading, right });
    let row = |payment: &Payment| {
        let tag = payment.destination_tag.map(|tag| tag.to_string());
        vec![
            (Tone::Plain, payment.client_id.clone()),
            (Tone::Plain, payment.payment_id.clone()),
            (Tone::Plain, words::amount(payment)),
            (Tone::Plain, payment.destination.clone()),
            (Tone::Plain, tag.unwrap_or_default()),
            (Tone::Open, show::time(&payment.approve_before)),
        ]
    };
    table(out, &columns, &payments.iter().map(row).collect::<Vec<_>>())
}

/// Approves what was typed.
pub(crate) async fn approve(context: &Context, asked: Approve) -> Exit {
    let issued = match (asked.amount, asked.currency, asked.issuer) {
        (Some(value), Some(currency), Some(issuer)) => Some(IssuedAmount {
            currency,
            issuer,
            value,
        }),
        _ => None,
    };
    let request = ApprovePaymentRequest {
        client_id: asked.client_id,
        payment_id: asked.payment_id.clone(),
        expected_destination: asked.to,
        expected_xrp_drops: asked.xrp.or(asked.drops).unwrap_or(0),
        comment: asked.comment,
        expected_issued: issued,
    };
    match context.client.approve(request).await {
        Ok(answer) => decided(context, &answer.payment.unwrap_or_default()),
        Err(error) => context.failed(&error, Asked::Decide),
    }
}

/// Rejects.
pub(crate) async fn reject(context: &Context, asked: Reject) -> Exit {
    let request = RejectPaymentRequest {
        client_id: asked.client_id,
        payment_id: asked.payment_id,
        comment: asked.comment,
    };
    match context.client.reject(request).await {
        Ok(answer) => decided(context, &answer.payment.unwrap_or_default()),
        Err(error) => context.failed(&error, Asked::Decide),
    }
}

fn decided(context: &Context, payment: &Payment) -> Exit {
    context.show(
        Exit::Done,
        || show::payment(context.out, payment),
        || json::payment(payment),
    )
}
