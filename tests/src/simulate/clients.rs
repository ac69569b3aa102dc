//! The callers: each wants one payment, asks until it is told that it is stored, and then does what callers do.
//!
//! Owns: creating, repeating, asking, cancelling, and paying anew with `retry_of` once it is said to be safe. May not: know of the
//! chain, or of anything that a real caller is not told.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use paygate::clock;
use paygate::store::{Accept, NewPayment, Record, Store, StoreError};
use paygate::view::View;
use paygate_payments::LedgerIndex;
use paygate_payments::intent::{Id, Intent, PaymentKey};
use tokio::sync::Notify;
use xrpl_tx::{AccountId, Amount, Drops, Memos};

use super::facts::{Fact, Sink, Standing, Telling};
use super::seed::Draws;

/// A caller gives one answer so long.
const PATIENCE: Duration = Duration::from_secs(5);

/// The gateway of the moment, as callers reach it; none while it is down.
#[derive(Clone, Default)]
pub struct Desk(Arc<Mutex<Option<Counter>>>);

/// Where callers are served.
#[derive(Clone)]
pub struct Counter {
    /// The store that takes payments in.
    pub store: Store,
    /// Rings when a payment was stored.
    pub wake: Arc<Notify>,
    /// What the gateway knows.
    pub view: View,
}

/// What a caller wants.
#[derive(Clone, Debug)]
pub struct Order {
    /// Its payment id.
    pub id: String,
    /// When it comes.
    pub after: Duration,
    /// Who receives.
    pub destination: AccountId,
    /// How much.
    pub drops: u64,
    /// So many ledgers from when it comes.
    pub deadline: Option<u32>,
    /// It asks for the same once more.
    pub repeats: bool,
    /// It changes its mind after so long.
    pub cancels: Option<Duration>,
    /// It pays anew if it is told that the payment ended unpaid.
    pub retries: bool,
    /// Its payment may be forgotten with a store that is put back: it then asks for the same again, by the same id.
    pub may_be_forgotten: bool,
}

/// What callers count and complain about.
#[derive(Clone)]
pub struct Clerk {
    /// Takes facts down.
    pub facts: Sink,
    /// A payment was stored.
    pub stored: Arc<dyn Fn() + Send + Sync>,
    /// The gateway said what it must never say.
    pub complaint: Arc<dyn Fn(String) + Send + Sync>,
}

impl Desk {
    /// The gateway is up, or down.
    pub fn set(&self, counter: Option<Counter>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = counter;
    }

    /// Callers are let in once the process has taken over its store.
    fn get(&self) -> Option<Counter> {
        let counter = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        counter
            .clone()
            .filter(|counter| counter.view.now().epoch > 0)
    }

    /// Asks whoever is there until there is an answer.
    pub(super) async fn ask<T, F>(&self, ask: impl Fn(Counter) -> F) -> Result<T, StoreError>
    where
        F: Future<Output = Result<T, StoreError>>,
    {
        loop {
            if let Some(counter) = self.get() {
                match tokio::time::timeout(PATIENCE, ask(counter)).await {
                    Ok(Err(StoreError::Unknown | StoreError::Stopped)) | Err(_) => {}
                    Ok(answer) => return answer,
                }
            }
            tokio::time::sleep(Duration::from_millis(1700)).await;
        }
    }
}

/// One caller, from its coming to its going.
pub async fn call(desk: Desk, clerk: Clerk, order: Order, mut draws: Draws) {
    tokio::time::sleep(order.after).await;
    let Some(key) = create(&desk, &clerk, &order, None).await else {
        return;
    };
    if order.repeats {
        tokio::time::sleep(Duration::from_millis(draws.below(20_000))).await;
        create(&desk, &clerk, &order, None).await;
    }
    if let Some(after) = order.cancels {
        tokio::time::sleep(after).await;
        let cancel = |counter: Counter| {
            let key = key.clone();
            async move {
                let why = "changed my mind".to_owned();
                let answer = counter.store.cancel(key, why, clock::now()).await;
                counter.wake.notify_one();
                answer
            }
        };
        // A final payment cannot be cancelled, which is an answer as well.
        let _ = desk.ask(cancel).await;
    }
    if order.retries {
        let end = wait(&desk, &clerk, &key, &order).await;
        if end.is_unpaid() {
            let again = Order {
                id: format!("{}-again", order.id),
                deadline: None,
                ..order
            };
            create(&desk, &clerk, &again, Some(key.payment)).await;
        }
    }
}

async fn create(
    desk: &Desk,
    clerk: &Clerk,
    order: &Order,
    retry_of: Option<Id>,
) -> Option<PaymentKey> {
    let id = |text: &str| Id::new(text).expect("ids of the simulation are short words");
    let intent = Intent {
        key: PaymentKey {
            client: id("shop"),
            payment: id(&order.id),
        },
        destination: order.destination,
        destination_tag: None,
        amount: Amount::Xrp(Drops::new(order.drops).expect("amounts of the simulation are small")),
        memos: Memos::default(),
        retry_of,
    };
    let ask = |counter: Counter| {
        let intent = intent.clone();
        let wanted = order.deadline;
        async move {
            let validated = counter
                .view
                .now()
                .validated
                .map_or(0, |ledger| ledger.index.0);
            let deadline = wanted.filter(|_| validated > 0);
            let new = NewPayment {
                intent,
                deadline: deadline.map(|ledgers| LedgerIndex(validated + ledgers)),
                trace_parent: None,
                at: clock::now(),
            };
            let answer = counter.store.create(new).await;
            counter.wake.notify_one();
            answer
        }
    };
    match desk.ask(ask).await {
        Ok(Accept::Created(_)) => {
            (clerk.stored)();
            Some(intent.key)
        }
        Ok(Accept::Existed(_)) => Some(intent.key),
        Ok(Accept::OverLimit(_)) => None,
        Ok(other) => {
            (clerk.complaint)(format!(
                "{} was asked for, and the answer is {other:?}",
                intent.key
            ));
            None
        }
        Err(err) => {
            (clerk.complaint)(format!("{} was asked for, and it fails: {err}", intent.key));
            None
        }
    }
}

/// Asks again and again until the payment has ended.
async fn wait(desk: &Desk, clerk: &Clerk, key: &PaymentKey, order: &Order) -> Standing {
    loop {
        let get = |counter: Counter| {
            let key = key.clone();
            async move { counter.store.get(&key).await }
        };
        match desk.ask(get).await {
            Ok(Some(record)) => {
                let state = standing(&record);
                (clerk.facts)(Fact::Told(Telling {
                    key: key.to_string(),
                    state,
                    safe_to_repay: record.payment.state.name().is_final() && state.is_unpaid(),
                    by_watch: false,
                }));
                if state.is_final() {
                    return state;
                }
            }
            Ok(None) if order.may_be_forgotten => {
                create(desk, clerk, order, None).await;
            }
            Ok(None) => (clerk.complaint)(format!("{key} was stored, and is not there")),
            Err(err) => (clerk.complaint)(format!("{key} was asked for, and it fails: {err}")),
        }
        tokio::time::sleep(Duration::from_secs(7)).await;
    }
}

/// The state of a payment, as a caller reads it.
pub(super) fn standing(record: &Record) -> Standing {
    let word = record.payment.state.name().as_str();
    Standing::parse(word).expect("the words of the contract are known")
}
