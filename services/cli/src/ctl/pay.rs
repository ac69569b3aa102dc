//! Paying, cancelling, and waiting for the ledger's decision.
//!
//! Owns: that the id is known to the person before anything is sent, and that everything after storing is "not decided" until it
//! is proven. May not: end with "refused" for a payment that is stored.

use std::time::{Duration, SystemTime};

use paygate_client::proto::{
    CreatePaymentRequest, IssuedAmount, Memo, Payment, create_payment_request,
};
use paygate_client::{Outcome, outcome, random_payment_id};
use tokio::signal::ctrl_c;

use super::args::{Cancel, Pay};
use super::exit::Exit;
use super::failure::Asked;
use super::out::note;
use super::run::Context;
use super::{failure, json, show};

/// Pays.
pub(crate) async fn pay(context: &Context, asked: Pay) -> Exit {
    let payment_id = match asked.id.clone().map_or_else(random_payment_id, Ok) {
        Ok(id) => id,
        Err(error) => {
            note(format_args!(
                "paygatectl: cannot make an id, give one by --id: {error}"
            ));
            return Exit::Usage;
        }
    };
    // Before anything is sent: whoever is cut off now can still repeat it safely.
    if asked.id.is_none() {
        note(format_args!(
            "payment {payment_id}  (if this is cut off, repeat it with --id {payment_id}: it cannot pay twice)"
        ));
    }
    note(format_args!("trace   {}", context.trace_id));
    let request = request(&asked, &payment_id);
    tokio::select! {
        exit = send(context, &asked, request, &payment_id) => exit,
        _ = ctrl_c() => {
            note(format_args!("stopped; the payment may be stored and paid. Look: paygatectl get {payment_id}"));
            Exit::Undecided
        }
    }
}

async fn send(
    context: &Context,
    asked: &Pay,
    request: CreatePaymentRequest,
    payment_id: &str,
) -> Exit {
    let mut created = match context.client.create_payment(request).await {
        Ok(created) => created,
        // Nothing is stored in either case, so there is nothing to warn of.
        Err(error) if asked.validate_only => return context.failed(&error, Asked::Read),
        Err(error) => return context.failed(&error, Asked::Pay { payment_id }),
    };
    if asked.validate_only {
        if !context.out.is_json() {
            note("it would be accepted; nothing is stored");
        }
        return context.show(
            Exit::Done,
            || show::headline(context.out, &payment(&created.payment)),
            || json::created(&created),
        );
    }
    if created.existed && !context.out.is_json() {
        note("this payment was stored by an earlier call");
    }
    if asked.wait {
        if !context.out.is_json() {
            note("stored; waiting for a validated ledger");
        }
        let seen = wait(context, payment(&created.payment), asked.wait_timeout).await;
        created.payment = Some(seen);
    }
    let payment = payment(&created.payment);
    let exit = Exit::of_payment(&payment);
    context.show(
        exit,
        || show::payment(context.out, &payment),
        || json::created(&created),
    )
}

/// Cancels.
pub(crate) async fn cancel(context: &Context, asked: &Cancel) -> Exit {
    let payment_id = asked.payment_id.as_str();
    let cancelled = match context
        .client
        .cancel_payment(payment_id, &asked.comment)
        .await
    {
        Ok(payment) => payment,
        Err(error) => return context.failed(&error, Asked::Cancel { payment_id }),
    };
    let payment = if asked.wait {
        wait(context, cancelled, asked.wait_timeout).await
    } else {
        cancelled
    };
    context.show(
        Exit::of_cancelled(&payment),
        || show::payment(context.out, &payment),
        || json::payment(&payment),
    )
}

/// The payment when it is final, or as it was last seen. It is stored: whatever goes wrong while it is looked at says nothing
/// about it, so no error comes out of here.
async fn wait(context: &Context, stored: Payment, within: Duration) -> Payment {
    if outcome(&stored) != Outcome::Live {
        return stored;
    }
    let payment_id = stored.payment_id.as_str();
    match context.client.wait_until_final(payment_id, within).await {
        Ok(seen) if outcome(&seen) != Outcome::Live => seen,
        Ok(seen) => {
            note(format_args!(
                "not decided within {} s; waiting longer is safe, paying elsewhere is not",
                within.as_secs()
            ));
            seen
        }
        Err(error) => {
            let failure = failure::text(&error, Asked::Look { payment_id }, &context.trace_id);
            note(format_args!("paygatectl: {failure}"));
            note(format_args!(
                "It is stored and may be paid. Look again: paygatectl get {payment_id}"
            ));
            stored
        }
    }
}

fn request(asked: &Pay, payment_id: &str) -> CreatePaymentRequest {
    let memo = |text: &String| Memo {
        data: text.clone().into_bytes(),
        ..Memo::default()
    };
    CreatePaymentRequest {
        payment_id: payment_id.to_owned(),
        destination: asked.to.clone(),
        destination_tag: asked.tag,
        amount: Some(amount(asked)),
        pay_before: asked.before.map(|before| before.ahead(SystemTime::now())),
        memos: asked.memo.iter().map(memo).collect(),
        retry_of: asked.retry_of.clone().unwrap_or_default(),
        validate_only: asked.validate_only,
    }
}

/// The command line has seen to it that there is exactly one amount, and with an issued one its currency and issuer.
fn amount(asked: &Pay) -> create_payment_request::Amount {
    match &asked.amount {
        Some(value) => create_payment_request::Amount::Issued(IssuedAmount {
            currency: asked.currency.clone().unwrap_or_default(),
            issuer: asked.issuer.clone().unwrap_or_default(),
            value: value.clone(),
        }),
        None => {
            let drops = asked.xrp.or(asked.drops).unwrap_or_default();
            create_payment_request::Amount::XrpDrops(drops)
        }
    }
}

fn payment(payment: &Option<Payment>) -> Payment {
    payment.clone().unwrap_or_default()
}
