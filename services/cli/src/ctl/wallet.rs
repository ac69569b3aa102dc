//! The wallet, for a person and for a script.
//!
//! Owns: layout. May not: show figures as known that are not.

use paygate_client::proto::{Books, GetWalletResponse, SlotInFlight, WalletAsset};
use serde_json::{Value, json};

use super::json::{number, time};
use super::out::{Column, Out, Tone, clean, fields, table};
use super::words::{currency, xrp};
use super::{names, show};

pub(crate) fn text(out: Out, wallet: &GetWalletResponse) -> String {
    let mut text = fields(&[
        ("address", clean(&wallet.address)),
        ("network", wallet.network_id.to_string()),
    ]);
    text.push_str(&account(out, wallet));
    text.push_str(&limits(wallet));
    if let Some(kept) = &wallet.books {
        text.push_str(&books(out, kept));
    }
    for asset in &wallet.assets {
        text.push('\n');
        text.push_str(&asset_text(out, wallet, asset));
    }
    if !wallet.slots.is_empty() {
        text.push('\n');
        text.push_str(&slots(out, &wallet.slots));
    }
    for watched in &wallet.watched {
        let balance = match &watched.observed_time {
            None => "not read yet".to_owned(),
            time => format!("{}, read {}", xrp(watched.balance_drops), show::time(time)),
        };
        let shown = format!("{}  {balance}", clean(&watched.address));
        text.push_str(&fields(&[(&clean(&watched.wallet_type), shown)]));
    }
    text
}

/// What the ledger says. Before one was seen all figures are 0, and none of them means anything.
fn account(out: Out, wallet: &GetWalletResponse) -> String {
    if wallet.validated_ledger_index == 0 {
        let unknown = "none seen yet: what the wallet holds is not known";
        return fields(&[("ledger", out.paint(Tone::Bad, unknown))]);
    }
    let key = names::key_status(wallet.key_status);
    let key_tone = match key.as_str() {
        "MASTER" | "REGULAR" => Tone::Good,
        "NOT_AUTHORIZED" => Tone::Bad,
        _ => Tone::Open,
    };
    let spendable_tone = if wallet.spendable_drops == 0 {
        Tone::Bad
    } else {
        Tone::Good
    };
    let (ledger, objects) = (wallet.validated_ledger_index, wallet.owner_count);
    fields(&[
        (
            "ledger",
            format!("{ledger}, read {}", show::time(&wallet.observed_time)),
        ),
        ("balance", xrp(wallet.balance_drops)),
        (
            "reserve",
            format!("{} ({objects} objects owned)", xrp(wallet.reserve_drops)),
        ),
        ("at large", xrp(wallet.at_large_drops)),
        ("accepted", xrp(wallet.accepted_drops)),
        (
            "spendable",
            out.paint(spendable_tone, &xrp(wallet.spendable_drops)),
        ),
        ("next sequence", wallet.sequence.to_string()),
        ("key", out.paint(key_tone, &key)),
    ])
}

fn limits(wallet: &GetWalletResponse) -> String {
    let limits = wallet.limits.unwrap_or_default();
    let (least, most) = (xrp(limits.min_payment_drops), xrp(limits.max_payment_drops));
    let (used, day, left) = (
        xrp(limits.daily_used_drops),
        xrp(limits.daily_limit_drops),
        xrp(limits.daily_left_drops),
    );
    let (fees, fees_max) = (
        xrp(limits.hourly_fees_used_drops),
        xrp(limits.hourly_fees_limit_drops),
    );
    let (pending, pending_max) = (limits.pending_payments, limits.max_pending_payments);
    fields(&[
        ("one payment", format!("{least} to {most}")),
        ("24 hours", format!("{used} of {day} used, {left} left")),
        ("pending", format!("{pending} of at most {pending_max}")),
        ("fees an hour", format!("{fees} of {fees_max} used")),
    ])
}

/// Where the balance came from and went to. What nothing explains stands out.
pub(super) fn books(out: Out, books: &Books) -> String {
    let unexplained = match (books.found_drops, books.lost_drops) {
        (0, 0) => out.paint(Tone::Good, "nothing"),
        (found, lost) => {
            let text = format!("{} came and {} went", xrp(found), xrp(lost));
            out.paint(Tone::Bad, &text)
        }
    };
    fields(&[
        (
            "books",
            format!(
                "since ledger {}: {} then, {} now",
                books.opened_ledger,
                xrp(books.opening_drops),
                xrp(books.balance_drops)
            ),
        ),
        (
            "paid",
            format!("{}, fees {}", xrp(books.paid_drops), xrp(books.fees_drops)),
        ),
        ("came in", xrp(books.inflows_drops)),
        (
            "made outside",
            format!(
                "{} in, {} out",
                xrp(books.outside_in_drops),
                xrp(books.outside_out_drops)
            ),
        ),
        ("unexplained", unexplained),
    ])
}

pub(super) fn books_json(books: &Books) -> Value {
    json!({
        "opened_ledger": books.opened_ledger,
        "opening_drops": number(books.opening_drops),
        "balance_drops": number(books.balance_drops),
        "paid_drops": number(books.paid_drops),
        "fees_drops": number(books.fees_drops),
        "inflows_drops": number(books.inflows_drops),
        "outside_in_drops": number(books.outside_in_drops),
        "outside_out_drops": number(books.outside_out_drops),
        "found_drops": number(books.found_drops),
        "lost_drops": number(books.lost_drops),
    })
}

/// One issued currency: its trust line and its limits.
fn asset_text(out: Out, wallet: &GetWalletResponse, asset: &WalletAsset) -> String {
    let line = match (&asset.line, wallet.validated_ledger_index) {
        (_, 0) => "not known".to_owned(),
        (None, _) => out.paint(Tone::Bad, "no trust line was read: nothing can be paid"),
        (Some(line), _) if line.frozen => {
            let frozen = format!("{}, FROZEN by the issuer", line.balance);
            out.paint(Tone::Bad, &frozen)
        }
        (Some(line), _) => clean(&format!(
            "{} (limit of the line {})",
            line.balance, line.limit
        )),
    };
    let fee = match asset.max_transfer_fee_ppm {
        0 => String::new(),
        ppm => format!("at most {ppm} millionths of the value"),
    };
    fields(&[
        ("currency", clean(&currency(&asset.currency))),
        ("issuer", clean(&asset.issuer)),
        ("balance", line),
        ("at large", clean(&asset.at_large)),
        ("accepted", clean(&asset.accepted)),
        (
            "one payment",
            clean(&format!("{} to {}", asset.min_payment, asset.max_payment)),
        ),
        (
            "24 hours",
            clean(&format!(
                "{} of {} used, {} left",
                asset.daily_used, asset.daily_limit, asset.daily_left
            )),
        ),
        ("transfer fee", fee),
    ])
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
            "hourly_fees_limit_drops": number(limits.hourly_fees_limit_drops),
            "hourly_fees_used_drops": number(limits.hourly_fees_used_drops),
        },
        "books": wallet.books.as_ref().map(books_json),
        "key_status": names::key_status(wallet.key_status),
        "watched": watched.collect::<Vec<_>>(),
        "assets": wallet.assets.iter().map(asset_json).collect::<Vec<_>>(),
    })
}

fn asset_json(asset: &WalletAsset) -> Value {
    let line = asset
        .line
        .as_ref()
        .map(|line| json!({ "balance": line.balance, "limit": line.limit, "frozen": line.frozen }));
    json!({
        "currency": asset.currency,
        "issuer": asset.issuer,
        "min_payment": asset.min_payment,
        "max_payment": asset.max_payment,
        "daily_limit": asset.daily_limit,
        "daily_used": asset.daily_used,
        "daily_left": asset.daily_left,
        "max_transfer_fee_ppm": asset.max_transfer_fee_ppm,
        "at_large": asset.at_large,
        "accepted": asset.accepted,
        "line": line,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ctl::out::PLAIN;
    use paygate_client::proto::WalletLine;

    #[test]
    fn a_wallet_that_was_not_read_has_no_balance_rather_than_none() {
        let mut wallet = GetWalletResponse::default();
        let shown = text(PLAIN, &wallet);
        assert!(
            shown.contains("not known") && !shown.contains("balance"),
            "{shown}"
        );
        (wallet.validated_ledger_index, wallet.balance_drops) = (7, 2_500_000);
        let shown = text(PLAIN, &wallet);
        assert!(shown.contains("  balance         2.5 XRP\n"), "{shown}");
        wallet.assets.push(WalletAsset {
            currency: "524C555344000000000000000000000000000000".into(),
            issuer: "rIssuer".into(),
            daily_used: "12.525".into(),
            daily_limit: "1000".into(),
            daily_left: "987.475".into(),
            ..WalletAsset::default()
        });
        let shown = text(PLAIN, &wallet);
        for line in [
            "  currency        RLUSD\n",
            "  24 hours        12.525 of 1000 used, 987.475 left\n",
            "no trust line was read",
        ] {
            assert!(shown.contains(line), "{line:?} is not in\n{shown}");
        }
        wallet.assets[0].line = Some(WalletLine {
            balance: "40".into(),
            limit: "100".into(),
            frozen: true,
        });
        assert!(text(PLAIN, &wallet).contains("40, FROZEN by the issuer"));
        assert_eq!(json(&wallet)["assets"][0]["line"]["balance"], "40");
    }
}
