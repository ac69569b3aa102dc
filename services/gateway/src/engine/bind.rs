//! Binds accepted payments to slots, as many as there is room for.
//!
//! Owns: gathering what the core needs to say how many. May not: bind past the signer's own head-room; a payment that the
//! signer would deny must not block the slots behind it.

use paygate_payments::LedgerIndex;
use paygate_payments::slots::{self, NoRoom, Room, SlotFacts};
use paygate_payments::terms::{self, FeeFacts, NoTerms};
use paygate_proto::signer::v1::DescribeSignerResponse;
use paygate_proto::v1::PaymentReason;
use xrpl_tx::{Drops, Slot};

use super::dispatch::{Dispatcher, Turn, blocked};
use super::slot::exposure;
use super::{Engine, join_trace, trace_of};
use crate::clock;
use crate::metrics::Stage;
use crate::store::{Bind, OpenSlot, Record, StoreError};
use crate::view::{AccountView, Blocked};

impl Dispatcher {
    /// Binds as many accepted payments as there is room for, all in one commit.
    pub(super) async fn bind(
        &self,
        turn: &Turn,
        open: &[OpenSlot],
        facts: FeeFacts,
        head: LedgerIndex,
    ) -> Result<(usize, Option<Blocked>), StoreError> {
        let engine = &self.engine;
        let left = engine.settings.at_large_max.saturating_sub(open.len());
        let waiting = engine.store.waiting(left.saturating_add(1)).await?;
        if waiting.is_empty() {
            return Ok((0, None));
        }
        // Asked anew: nobody else asks for signatures, so what it has left and what is bound but unsigned is the whole.
        let signer = match engine.signer.describe().await {
            Ok(signer) => signer,
            Err(failed) => {
                let why = blocked(PaymentReason::SignerUnavailable, &failed.to_string());
                return Ok((0, Some(why)));
            }
        };
        let mut room = self.room(&turn.account, &signer, open);
        let stored = engine.store.slot_facts().await?;
        let slot_facts = SlotFacts {
            validated_sequence: turn.account.sequence,
            highest_bound: stored.highest_bound,
            signer_highest: signer.highest_sequence,
        };
        let mut next = match slots::next(slot_facts) {
            Ok(slot) => slot,
            Err(doubt) => {
                let why = blocked(PaymentReason::Quarantine, &doubt.to_string());
                return Ok((0, Some(why)));
            }
        };
        let mut binds = Vec::new();
        let mut why = None;
        for record in &waiting {
            match take(record, &mut room, facts, engine, turn.validated.index, head) {
                Ok(terms) => {
                    let key = record.payment.intent.key.clone();
                    binds.push(Bind {
                        key,
                        slot: next,
                        since: turn.validated.index,
                        terms,
                    });
                    next = match next.number().checked_add(1) {
                        Some(number) => Slot::Sequence(number),
                        None => break,
                    };
                }
                Err(blocked) => {
                    // Strictly in order: who waits is not overtaken by smaller ones.
                    why = Some(blocked);
                    break;
                }
            }
        }
        let count = binds.len();
        if count > 0 {
            for record in engine.store.bind(engine.epoch, binds, clock::now()).await? {
                trace_bound(engine, &record);
            }
        }
        Ok((count, why))
    }

    /// How much may be bound now.
    fn room(
        &self,
        account: &AccountView,
        signer: &DescribeSignerResponse,
        open: &[OpenSlot],
    ) -> Room {
        let limits = signer.limits.unwrap_or_default();
        let day = limits.max_day_drops.saturating_sub(limits.used_day_drops);
        let unsigned = open.iter().filter(|slot| !slot.ever_signed());
        Room {
            at_large: open.len(),
            at_large_max: self.engine.settings.at_large_max,
            signer_day_left: drops(day).saturating_sub(exposure(unsigned)),
            signer_payment_max: drops(limits.max_payment_drops),
            spendable: account
                .balance
                .saturating_sub(account.reserve)
                .saturating_sub(exposure(open.iter())),
        }
    }
}

fn take(
    record: &Record,
    room: &mut Room,
    facts: FeeFacts,
    engine: &Engine,
    validated: LedgerIndex,
    head: LedgerIndex,
) -> Result<terms::Terms, Blocked> {
    let deadline = record.payment.deadline;
    let terms =
        terms::choose(facts, engine.settings.terms, validated, head, deadline).map_err(|why| {
            match why {
                NoTerms::FeeAboveCap { .. } => {
                    blocked(PaymentReason::FeeAboveCap, &why.to_string())
                }
                NoTerms::DeadlinePassed { .. } => {
                    blocked(PaymentReason::DeadlinePassed, &why.to_string())
                }
            }
        })?;
    room.take(record.payment.intent.drops(), terms)
        .map_err(|why| {
            let reason = match why {
                NoRoom::AtLarge { .. } => PaymentReason::Queued,
                NoRoom::SignerDay { .. } | NoRoom::SignerPayment { .. } => PaymentReason::Headroom,
                NoRoom::Balance { .. } => PaymentReason::InsufficientFunds,
            };
            blocked(reason, &why.to_string())
        })?;
    Ok(terms)
}

fn trace_bound(engine: &Engine, record: &Record) {
    let span = tracing::info_span!(
        "payment.bind",
        payment_id = record.payment.intent.key.payment.as_str(),
        xrpl.slot = record.payment.state.slot().map(Slot::number),
    );
    join_trace(&span, Some(record));
    engine.metrics.stage(
        Stage::Queue,
        record.updated.since(record.created),
        trace_of(Some(record)).as_ref(),
    );
    span.in_scope(|| {
        tracing::info!(payment_id = %record.payment.intent.key.payment, slot = ?record.payment.state.slot(), "payment bound");
    });
}

/// The signer's limits are drops; a number past all XRP there is means no limit.
fn drops(number: u64) -> Drops {
    Drops::new(number).unwrap_or(Drops::MAX)
}
