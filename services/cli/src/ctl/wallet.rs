//! The wallet, for a person and for a script.
//!
//! Owns: layout. May not: show figures as known that are not.

use paygate_client::proto::{GetWalletResponse, SlotInFlight};
use serde_json::{Value, json};

use super::json::{number, time};
use super::out::{Column, Out, Tone, clean, fields, table};
use super::words::xrp;
use super::{names, show};

pub(crate) fn text(out: Out, wallet: &GetWalletResponse) -> String {
    let limits = wallet.limits.unwrap_or_default();
    let key = names::key_status(wallet.key_status);
    let key_tone = match key.as_str() {
        "MASTER" | "REGULAR" => Tone::Good,
        "NOT_AUTHORIZED" => Tone::Bad,
        _ => Tone::Open,
    };
    let seen = match wallet.validated_ledger_index {
        0 => out.paint(
            Tone::Bad,
            "none seen yet: the figures of the account are not known",
        ),
        index => format!("{index}, read {}", show::time(&wallet.observed_time)),
    };
    let mut text = fields(&[
        ("address", clean(&wallet.address)),
        ("network", wallet.network_id.to_string()),
        ("ledger", seen),
        ("balance", xrp(wallet.balance_drops)),
        (
            "reserve",
            format!(
                "{} ({} objects owned)",
                xrp(wallet.reserve_drops),
                wallet.owner_count
            ),
        ),
        ("at large", xrp(wallet.at_large_drops)),
        ("accepted", xrp(wallet.accepted_drops)),
        (
            "spendable",
            out.paint(
                if wallet.spendable_drops == 0 {
                    Tone::Bad
                } else {
                    Tone::Good
                },
                &xrp(wallet.spendable_drops),
            ),
        ),
        ("next sequence", wallet.sequence.to_string()),
        ("key", out.paint(key_tone, &key)),
        (
            "one payment",
            format!(
                "{} to {}",
                xrp(limits.min_payment_drops),
                xrp(limits.max_payment_drops)
            ),
        ),
        (
            "24 hours",
            format!(
                "{} of {} used, {} left",
                xrp(limits.daily_used_drops),
                xrp(limits.daily_limit_drops),
                xrp(limits.daily_left_drops)
            ),
        ),
        (
            "pending",
            format!(
                "{} of at most {}",
                limits.pending_payments, limits.max_pending_payments
            ),
        ),
    ]);
    if !wallet.slots.is_empty() {
        text.push('\n');
        text.push_str(&slots(out, &wallet.slots));
    }
    for watched in &wallet.watched {
        let balance = match &watched.observed_time {
            None => "not read yet".to_owned(),
            time => format!("{}, read {}", xrp(watched.balance_drops), show::time(time)),
        };
        text.push_str(&fields(&[(
            &clean(&watched.wallet_type),
            format!("{}  {balance}", clean(&watched.address)),
        )]));
    }
    text
}

fn slots(out: Out, slots: &[SlotInFlight]) -> String {
    let columns = [
        ("SEQUENCE", true),
        ("PAYMENT", false),
        ("DEAD AT LEDGER", true),
    ]
    .map(|(heading, right)| Column { heading, right });
    let row = |slot: &SlotInFlight| {
        let payment = if slot.payment_id.is_empty() {
            "(a no-op fills it)"
        } else {
            &slot.payment_id
        };
        [
            slot.sequence.to_string(),
            payment.to_owned(),
            slot.dead_at_ledger.to_string(),
        ]
        .map(|cell| (Tone::Plain, cell))
        .to_vec()
    };
    table(out, &columns, &slots.iter().map(row).collect::<Vec<_>>())
}

pub(crate) fn json(wallet: &GetWalletResponse) -> Value {
    let limits = wallet.limits.unwrap_or_default();
    let slot = |slot: &SlotInFlight| {
        json!({
            "sequence": slot.sequence,
            "client_id": slot.client_id,
            "payment_id": slot.payment_id,
            "dead_at_ledger": slot.dead_at_ledger,
        })
    };
    let watched = wallet.watched.iter().map(|watched| {
        json!({
            "address": watched.address,
            "wallet_type": watched.wallet_type,
            "balance_drops": number(watched.balance_drops),
            "observed_time": time(&watched.observed_time),
        })
    });
    json!({
        "address": wallet.address,
        "network_id": wallet.network_id,
        "validated_ledger_index": wallet.validated_ledger_index,
        "observed_time": time(&wallet.observed_time),
        "balance_drops": number(wallet.balance_drops),
        "reserve_drops": number(wallet.reserve_drops),
        "spendable_drops": number(wallet.spendable_drops),
        "at_large_drops": number(wallet.at_large_drops),
        "accepted_drops": number(wallet.accepted_drops),
        "sequence": wallet.sequence,
        "owner_count": wallet.owner_count,
        "slots": wallet.slots.iter().map(slot).collect::<Vec<_>>(),
        "limits": {
            "min_payment_drops": number(limits.min_payment_drops),
            "max_payment_drops": number(limits.max_payment_drops),
            "daily_limit_drops": number(limits.daily_limit_drops),
            "daily_used_drops": number(limits.daily_used_drops),
            "daily_left_drops": number(limits.daily_left_drops),
            "max_pending_payments": limits.max_pending_payments,
            "pending_payments": limits.pending_payments,
        },
        "key_status": names::key_status(wallet.key_status),
        "watched": watched.collect::<Vec<_>>(),
    })
}
