//! Binds accepted payments to slots, as many as there is room for.
//!
//! Owns: gathering what the core needs to say how many. May not: bind past the signer's own head-room; a payment that the
//! signer would deny must not block the slots behind it. Nor bind what pre-flight has not let through.

use std::collections::BTreeMap;

use paygate_payments::LedgerIndex;
use paygate_payments::intent::PaymentKey;
use paygate_payments::payment::VersionKind;
use paygate_payments::slots::{self, AssetRoom, NoRoom, Room, SlotFacts};
use paygate_payments::terms::{self, FeeFacts, NoTerms};
use paygate_proto::signer::v1::{AssetLimits, DescribeSignerResponse};
use paygate_proto::v1::PaymentReason;
use xrpl_tx::{AccountId, Asset, Drops, IssuedValue, Slot};

use super::dispatch::{Dispatcher, Turn, blocked};
use super::preflight::Looked;
use super::slot::{asset_exposure, exposure};
use super::{Engine, join_trace, trace_of};
use crate::clock;
use crate::metrics::Stage;
use crate::store::{Bind, OpenSlot, Record, StoreError};
use crate::view::{AccountView, Blocked};

/// What came of binding.
#[derive(Debug, Default)]
pub(super) struct Bound {
    /// So many were bound.
    pub(super) count: usize,
    /// Why the next one was not.
    pub(super) why: Option<Blocked>,
    /// Who waits for something of its own, while those behind go on.
    pub(super) waits: BTreeMap<PaymentKey, Blocked>,
}

impl Dispatcher {
    /// Binds as many accepted payments as there is room for, all in one commit, once those are given up that cannot be received.
    pub(super) async fn bind(
        &self,
        turn: &Turn,
        open: &[OpenSlot],
        (facts, head): (FeeFacts, LedgerIndex),
        (waiting, looked): (&[Record], Looked),
    ) -> Result<Bound, StoreError> {
        let engine = &self.engine;
        let Looked {
            clear,
            refused,
            waits,
        } = looked;
        if !refused.is_empty() {
            engine.give_up(refused).await?;
            // They made room for others.
            engine.wake.notify_one();
        }
        let stopped = |why, waits| Bound {
            count: 0,
            why,
            waits,
        };
        let view = engine.view.now();
        if let Some(pause) = view.wallet_pause() {
            let why = blocked(PaymentReason::Paused, &pause.to_string());
            return Ok(stopped(Some(why), waits));
        }
        if clear.is_empty() {
            return Ok(stopped(None, waits));
        }
        // Asked anew: nobody else asks for signatures, so what it has left and what is bound but unsigned is the whole.
        let signer = match engine.signer.describe().await {
            Ok(signer) => signer,
            Err(failed) => {
                let why = blocked(PaymentReason::SignerUnavailable, &failed.to_string());
                return Ok(stopped(Some(why), waits));
            }
        };
        let room = self.room(&turn.account, &signer, open);
        let mut fees_left = engine.store.fee_budget(clock::now()).await?;
        let stored = engine.store.slot_facts().await?;
        let slot_facts = SlotFacts {
            validated_sequence: turn.account.sequence,
            highest_bound: stored.highest_bound,
            signer_highest: signer.highest_sequence,
        };
        let next = match slots::next(slot_facts) {
            Ok(slot) => slot,
            Err(doubt) => {
                let why = blocked(PaymentReason::Quarantine, &doubt.to_string());
                return Ok(stopped(Some(why), waits));
            }
        };
        let through = |record: &&Record| clear.contains(&record.payment.intent.key);
        let mut choice = Choice {
            since: turn.validated.index,
            next: Some(next),
            room,
            binds: Vec::new(),
            stuck: BTreeMap::new(),
            waits,
            why: None,
        };
        for record in waiting.iter().filter(through) {
            if choice.why.is_some() || choice.next.is_none() {
                break;
            }
            choice.consider(record, |room| {
                let terms = take(record, room, facts, engine, turn.validated.index, head)?;
                // Last: what is taken of the room is only a copy, and who does not fit stops all behind him.
                match fees_left.take(terms.fee) {
                    Ok(()) => Ok(terms),
                    Err(over) => {
                        Err((blocked(PaymentReason::FeeAboveCap, &over.to_string()), None))
                    }
                }
            });
        }
        let Choice {
            binds, waits, why, ..
        } = choice;
        let count = binds.len();
        if xrpl_tx::mutant!("ask-before-binding") {
            for bind in &binds {
                engine.ask_unbound(bind, waiting).await;
            }
        }
        if count > 0 {
            for record in engine
                .store
                .bind(engine.epoch(), binds, clock::now())
                .await?
            {
                trace_bound(engine, &record);
            }
        }
        Ok(Bound { count, why, waits })
    }

    /// How much may be bound now.
    fn room(
        &self,
        account: &AccountView,
        signer: &DescribeSignerResponse,
        open: &[OpenSlot],
    ) -> Room {
        let limits = signer.limits.clone().unwrap_or_default();
        let day = limits.max_day_drops.saturating_sub(limits.used_day_drops);
        let unsigned = || open.iter().filter(|slot| !slot.ever_signed());
        let assets = limits.assets.iter().filter_map(asset_limits);
        let assets = assets.map(|limits| AssetRoom {
            asset: limits.asset,
            signer_day_left: limits
                .day_left
                .saturating_sub_down(asset_exposure(unsigned(), limits.asset)),
            signer_payment_max: limits.payment_max,
            spendable: account.line(limits.asset).map(|line| {
                line.balance
                    .saturating_sub_down(asset_exposure(open.iter(), limits.asset))
            }),
        });
        let assets = assets.collect();
        Room {
            at_large: open.len(),
            at_large_max: self.engine.settings.at_large_max,
            signer_day_left: drops(day).saturating_sub(exposure(unsigned())),
            signer_payment_max: drops(limits.max_payment_drops),
            spendable: account
                .balance
                .saturating_sub(account.reserve)
                .saturating_sub(exposure(open.iter())),
            assets,
        }
    }
}

impl Engine {
    /// Has a payment signed that is not bound yet, for a deliberate defect alone.
    async fn ask_unbound(&self, bind: &Bind, waiting: &[Record]) {
        let record = waiting.iter().find(|r| r.payment.intent.key == bind.key);
        let Some(record) = record else { return };
        let (wallet, intent) = (&self.settings.wallet, &record.payment.intent);
        let version = bind.terms.version(VersionKind::Payment);
        let digest = intent.digest(wallet, bind.slot);
        let _ = self
            .signer
            .sign_payment(&self.fence(), wallet, intent, bind.slot, digest, &version)
            .await;
    }
}

/// Which payments are bound, while they are looked at one after another.
struct Choice {
    since: LedgerIndex,
    /// The next free slot; none is left at the end of all Sequences.
    next: Option<Slot>,
    room: Room,
    binds: Vec<Bind>,
    /// Assets of which the next payment waits. Their order is kept, and other assets go on.
    stuck: BTreeMap<Asset, Blocked>,
    waits: BTreeMap<PaymentKey, Blocked>,
    /// What stops all further ones. Strictly in order: who waits is not overtaken by smaller ones.
    why: Option<Blocked>,
}

impl Choice {
    fn consider(
        &mut self,
        record: &Record,
        take: impl FnOnce(&mut Room) -> Result<terms::Terms, (Blocked, Option<Asset>)>,
    ) {
        let intent = &record.payment.intent;
        let (key, asset) = (intent.key.clone(), intent.takes().asset());
        if let Some(blocked) = asset.and_then(|asset| self.stuck.get(&asset)) {
            self.waits.insert(key, blocked.clone());
            return;
        }
        match (take(&mut self.room), self.next) {
            (Ok(terms), Some(slot)) => {
                self.next = slot.number().checked_add(1).map(Slot::Sequence);
                self.binds.push(Bind {
                    key,
                    slot,
                    since: self.since,
                    terms,
                });
            }
            (Ok(_), None) => {}
            (Err((blocked, Some(asset))), _) => {
                self.waits.insert(key, blocked.clone());
                self.stuck.insert(asset, blocked);
            }
            (Err((blocked, None)), _) => self.why = Some(blocked),
        }
    }
}

/// The terms of a payment for which there is room; or why not, and the asset if it is only that one's.
fn take(
    record: &Record,
    room: &mut Room,
    facts: FeeFacts,
    engine: &Engine,
    validated: LedgerIndex,
    head: LedgerIndex,
) -> Result<terms::Terms, (Blocked, Option<Asset>)> {
    let deadline = record.payment.deadline;
    let terms =
        terms::choose(facts, engine.settings.terms, validated, head, deadline).map_err(|why| {
            let reason = match why {
                NoTerms::FeeAboveCap { .. } => PaymentReason::FeeAboveCap,
                NoTerms::DeadlinePassed { .. } => PaymentReason::DeadlinePassed,
            };
            (blocked(reason, &why.to_string()), None)
        })?;
    room.take(record.payment.intent.amount, terms)
        .map_err(|why| {
            let reason = match why {
                NoRoom::AtLarge { .. } => PaymentReason::Queued,
                NoRoom::SignerDay { .. }
                | NoRoom::SignerPayment { .. }
                | NoRoom::SignerAsset { .. } => PaymentReason::Headroom,
                NoRoom::Balance { .. } => PaymentReason::InsufficientFunds,
                NoRoom::NoLine { .. } => PaymentReason::AssetUnavailable,
            };
            (blocked(reason, &why.to_string()), why.asset())
        })?;
    Ok(terms)
}

fn trace_bound(engine: &Engine, record: &Record) {
    let span = tracing::info_span!(
        "payment.bind",
        payment_id = record.payment.intent.key.payment.as_str(),
        xrpl.slot = record.payment.state.slot().map(Slot::number),
        paygate.asset = record.payment.intent.takes().unit(),
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

/// What the signer allows of one asset.
struct SignerAsset {
    asset: Asset,
    payment_max: IssuedValue,
    day_left: IssuedValue,
}

/// What cannot be read counts as not allowed.
fn asset_limits(limits: &AssetLimits) -> Option<SignerAsset> {
    let max_day: IssuedValue = limits.max_day.parse().ok()?;
    Some(SignerAsset {
        asset: Asset {
            currency: limits.currency.parse().ok()?,
            issuer: AccountId::from_address(&limits.issuer).ok()?,
        },
        payment_max: limits.max_payment.parse().ok()?,
        day_left: max_day.saturating_sub_down(limits.used_day.parse().ok()?),
    })
}

/// The signer's limits are drops; a number past all XRP there is means no limit.
fn drops(number: u64) -> Drops {
    Drops::new(number).unwrap_or(Drops::MAX)
}
