//! Payments to accounts that a payment of ours is about to create.
//!
//! Owns: that such a payment waits, where pre-flight would give it up. May not: let one through: only a ledger that shows the account
//! does.

use std::collections::BTreeSet;

use paygate_payments::intent::PaymentKey;
use paygate_payments::payment::State;
use paygate_payments::preflight::RefusalReason;
use paygate_proto::v1::PaymentReason;
use xrpl_tx::{AccountId, Drops};

use super::dispatch::blocked;
use super::preflight::Looked;
use crate::store::{OpenSlot, Record};

/// Turns refusals of accounts that do not exist yet into waiting, as long as a payment that creates them is at large.
pub(super) fn wait_for_ours(
    looked: &mut Looked,
    waiting: &[Record],
    open: &[OpenSlot],
    reserve_base: Drops,
) {
    let created = created(open, reserve_base);
    if created.is_empty() {
        return;
    }
    let destination = |key: &PaymentKey| {
        let mut records = waiting.iter().map(|record| &record.payment.intent);
        records
            .find(|intent| intent.key == *key)
            .map(|intent| intent.destination)
    };
    let refused = std::mem::take(&mut looked.refused);
    for refusal in refused {
        let to = destination(refusal.key());
        let of_ours = refusal.cannot().reason == RefusalReason::NotFunded
            && to.is_some_and(|to| created.contains(&to));
        if of_ours {
            let detail =
                "a payment that is at large is to create its destination: the next ledgers tell";
            looked.waits.insert(
                refusal.key().clone(),
                blocked(PaymentReason::Queued, detail),
            );
        } else {
            looked.refused.push(refusal);
        }
    }
}

/// Destinations of live payments whose amount creates an account.
fn created(open: &[OpenSlot], reserve_base: Drops) -> BTreeSet<AccountId> {
    let payments = open.iter().filter_map(|slot| slot.owner.as_ref());
    payments
        .map(|record| &record.payment)
        .filter(|payment| matches!(payment.state, State::AtLarge(_)))
        .filter(|payment| payment.cancel.is_none() && payment.intent.drops() >= reserve_base)
        .map(|payment| payment.intent.destination)
        .collect()
}
