//! One chain, seen through many schedules: ledger by ledger, in leaps, told twice, with restarts in between. Who was paid is decided by the
//! chain and the stored versions alone; when somebody looked decides nothing.
//!
//! Everything is drawn from a seed; `PAYGATE_SEED=N` draws one story again.
#![allow(
    clippy::print_stderr,
    reason = "the seed of a failed story is its bug report"
)]

use std::collections::BTreeMap;
use std::fs;

use paygate_payments::LedgerIndex;
use paygate_payments::payment::{CancelCause, State, StateName};
use paygate_payments::proof::{LedgerTx, Presence};
use paygate_payments::step::Event;
use xrpl_tx::{Hash256, noop_memo};

use super::world::{
    NOON, World, key, limits, new, noop_tx, options, payment_tx, shown, signed, terms,
};
use crate::store::{NewPayment, Record, Store};

const STORIES: u64 = 8;
const SCHEDULES: u64 = 4;
const PAYMENTS_MAX: u64 = 8;

const FIRST_SLOT: u32 = 40;
/// All first versions are dead here, and second ones are made.
const SECOND_VERSIONS_AT: u32 = 110;
/// What every last version is dead at.
const CHAIN_END: u32 = 160;

/// SplitMix64: every draw follows from the seed.
struct Draws(u64);

impl Draws {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed ^ (mixed >> 31)) % limit
    }

    fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }
}

/// What the ledger decided of a payment, without when it was noticed.
type Verdicts = BTreeMap<String, (StateName, Option<Hash256>)>;

/// The wallet's transactions with the ledgers that hold them, and the Sequence after all of them.
struct Chain {
    transactions: Vec<(u32, LedgerTx)>,
    next_sequence: u32,
}

impl Chain {
    fn sequence_at(&self, index: u32) -> u32 {
        let used = self.transactions.iter().filter(|(at, _)| *at <= index);
        FIRST_SLOT + u32::try_from(used.count()).unwrap()
    }

    fn between(&self, after: u32, to: u32) -> Vec<Presence> {
        let within = |(at, _): &&(u32, LedgerTx)| *at > after && *at <= to;
        let within = self.transactions.iter().filter(within);
        within.map(|(at, tx)| shown(*at, tx.clone())).collect()
    }
}

fn name_of(number: u64) -> String {
    format!("p{number}")
}

/// Payments that are bound, with one or two versions each, signed or not; some are to be cancelled, and have a no-op.
async fn bound_payments(world: &World, draws: &mut Draws) -> Vec<Record> {
    let count = 1 + draws.below(PAYMENTS_MAX);
    for number in 0..count {
        let deadline = draws.one_in(3).then_some(LedgerIndex(130));
        let asked = NewPayment {
            deadline,
            ..new(&name_of(number))
        };
        world.created(asked).await;
        let slot = FIRST_SLOT + u32::try_from(number).unwrap();
        let last = 104 + u32::try_from(draws.below(6)).unwrap();
        world.bound(&name_of(number), slot, last).await;
        sign(world, number, 0, draws).await;
    }
    world
        .validated(SECOND_VERSIONS_AT, FIRST_SLOT, Vec::new())
        .await
        .unwrap();
    for number in 0..count {
        sign(world, number, 1, draws).await;
        if draws.one_in(3) {
            let asked = Event::CancelAsked {
                cause: CancelCause::Requested,
                validated: LedgerIndex(SECOND_VERSIONS_AT),
            };
            advance(world, number, asked).await;
            if !draws.one_in(3) {
                advance(world, number, Event::NoOpAdded(terms(135))).await;
                sign(world, number, 2, draws).await;
            }
        }
    }
    let mut records = Vec::new();
    for number in 0..count {
        let record = world.store.get(&key(&name_of(number))).await.unwrap();
        records.push(record.unwrap());
    }
    records
}

async fn advance(world: &World, number: u64, event: Event) {
    let told = world
        .store
        .advance(world.epoch, key(&name_of(number)), event, Vec::new(), NOON);
    told.await.unwrap();
}

/// Two of three signatures come back; of the third one nobody knows whether it exists.
async fn sign(world: &World, number: u64, version: usize, draws: &mut Draws) {
    if !draws.one_in(3) {
        let signed = signed(blob(number, version));
        advance(
            world,
            number,
            Event::Signed {
                number: version,
                signed,
            },
        )
        .await;
    }
}

fn blob(number: u64, version: usize) -> u8 {
    u8::try_from(1 + number * 4).unwrap() + u8::try_from(version).unwrap()
}

/// A ledger for each slot in order, until one stays unused: then all behind it do.
fn chain(records: &[Record], draws: &mut Draws) -> Chain {
    let mut chain = Chain {
        transactions: Vec::new(),
        next_sequence: FIRST_SLOT,
    };
    let mut index = SECOND_VERSIONS_AT + 1;
    for (number, record) in (0..).zip(records) {
        index += u32::try_from(draws.below(4)).unwrap();
        let State::AtLarge(at_large) = &record.payment.state else {
            panic!("{record:?} is not at large");
        };
        // A version whose signature never came back may be on the network all the same.
        let alive: Vec<usize> = at_large
            .versions
            .as_slice()
            .iter()
            .enumerate()
            .filter(|(_, version)| version.last_ledger.0 >= index)
            .map(|(version, _)| version)
            .collect();
        if alive.is_empty() || draws.one_in(6) {
            break;
        }
        let version = alive[usize::try_from(draws.below(alive.len() as u64)).unwrap()];
        let slot = chain.next_sequence;
        let hash = blob(number, version);
        let tx = match at_large.versions.as_slice()[version].kind {
            paygate_payments::payment::VersionKind::NoOp => {
                noop_tx(noop_memo("shop", &name_of(number)), slot, hash)
            }
            paygate_payments::payment::VersionKind::Payment => {
                let code = if draws.one_in(4) {
                    "tecNO_DST"
                } else {
                    "tesSUCCESS"
                };
                payment_tx(record, slot, hash, code)
            }
        };
        chain.transactions.push((index, tx));
        chain.next_sequence += 1;
    }
    chain
}

/// What a store makes of the chain that looks at it now and then. `leap` is the most ledgers between two looks.
async fn verdicts(
    base: &World,
    records: &[Record],
    chain: &Chain,
    leap: u64,
    draws: &mut Draws,
) -> Verdicts {
    let folder = tempfile::tempdir().unwrap();
    fs::copy(
        base.folder.path().join("paygate.db"),
        folder.path().join("paygate.db"),
    )
    .unwrap();
    let open = async || {
        let store = Store::open(options(&folder, limits())).unwrap();
        let epoch = store.begin_epoch().await.unwrap();
        store.pass_continuity(epoch, NOON).await.unwrap();
        (store, epoch)
    };
    let (mut store, mut epoch) = open().await;
    let mut done = SECOND_VERSIONS_AT;
    while done < CHAIN_END {
        let to = (done + 1 + u32::try_from(draws.below(leap)).unwrap()).min(CHAIN_END);
        // Sometimes everything since the beginning is told again.
        let from = if draws.one_in(5) {
            SECOND_VERSIONS_AT
        } else {
            done
        };
        let told = crate::store::Reconciliation {
            terms: None,
            ..base.story(to, chain.sequence_at(to), chain.between(from, to))
        };
        store.reconcile(epoch, told).await.unwrap();
        done = to;
        if draws.one_in(12) {
            store.close().await;
            (store, epoch) = open().await;
        }
    }
    let mut verdicts = Verdicts::new();
    for record in records {
        let key = &record.payment.intent.key;
        let state = store.get(key).await.unwrap().unwrap().payment.state;
        let by = match &state {
            State::Paid(settled) | State::Failed(settled) => Some(settled.tx_hash),
            _ => None,
        };
        verdicts.insert(key.payment.to_string(), (state.name(), by));
    }
    store.close().await;
    verdicts
}

async fn story(seed: u64) {
    let mut draws = Draws(seed);
    let world = World::new().await;
    let records = bound_payments(&world, &mut draws).await;
    let chain = chain(&records, &mut draws);
    world.store.clone().close().await;
    let each = verdicts(&world, &records, &chain, 1, &mut draws).await;
    for schedule in 0..SCHEDULES {
        let leap = [2, 5, 15, 60][usize::try_from(schedule).unwrap()];
        let seen = verdicts(&world, &records, &chain, leap, &mut draws).await;
        assert_eq!(seen, each, "seed {seed}, leaps of {leap}");
    }
    // And the verdicts are the chain's.
    for (at, tx) in &chain.transactions {
        let number = (tx.slot.number() - FIRST_SLOT) as usize;
        let (state, by) = &each[records[number].payment.intent.key.payment.as_str()];
        let paid = tx.result.code() == "tesSUCCESS";
        let wanted = match tx.body {
            paygate_payments::proof::LedgerBody::Payment { .. } if paid => StateName::Paid,
            paygate_payments::proof::LedgerBody::Payment { .. } => StateName::Failed,
            _ => StateName::Cancelled,
        };
        assert_eq!(*state, wanted, "seed {seed}, ledger {at}");
        assert!(by.is_none_or(|by| by == tx.hash), "seed {seed}");
    }
    let unused = &records[chain.transactions.len()..];
    for record in unused {
        let (state, _) = each[record.payment.intent.key.payment.as_str()];
        let unpaid = matches!(
            state,
            StateName::AtLarge | StateName::Expired | StateName::Cancelled
        );
        assert!(unpaid, "seed {seed}: {state:?} without a transaction");
    }
}

#[tokio::test]
async fn who_was_paid_does_not_depend_on_when_somebody_looked() {
    match std::env::var("PAYGATE_SEED") {
        Ok(seed) => story(seed.parse().unwrap()).await,
        Err(_) => {
            let mut bytes = [0; 8];
            ring::rand::SecureRandom::fill(&ring::rand::SystemRandom::new(), &mut bytes).unwrap();
            let first = u64::from_be_bytes(bytes) >> 16;
            eprintln!("PAYGATE_SEED={first} and the {STORIES} from there on");
            for seed in first..first + STORIES {
                story(seed).await;
            }
        }
    }
}
