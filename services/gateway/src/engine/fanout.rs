//! Fan-out: what went through the primary server is told to the others as well.
//!
//! Owns: what each of them is still to be told, lowest slot first. May not: hold up the primary: whoever is slow here is slow
//! alone.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use futures_util::future::try_join_all;
use tokio::sync::Notify;
use xrpl_tx::Slot;

use super::Engine;
use super::submit::{Sendable, Then, Through};
use crate::store::StoreError;
use crate::xrpl::Member;

/// What the servers are still to be told. Bounded by the slots that are open at the same time.
#[derive(Debug)]
pub(super) struct FanOut {
    queues: Vec<Queue>,
}

#[derive(Debug, Default)]
struct Queue {
    blobs: Mutex<BTreeMap<Slot, Sendable>>,
    bell: Notify,
}

impl FanOut {
    pub(super) fn new(servers: usize) -> Self {
        let queues = std::iter::repeat_with(Queue::default).take(servers);
        Self {
            queues: queues.collect(),
        }
    }

    /// A round begins: what was left of the one before is sent again anyway.
    pub(super) fn begin(&self) {
        for queue in &self.queues {
            queue.blobs().clear();
        }
    }

    /// The primary was sent this; all others are to hear of it.
    pub(super) fn add(&self, primary: usize, blob: &Sendable) {
        for (number, queue) in self.queues.iter().enumerate() {
            if number != primary {
                queue.blobs().insert(blob.slot, blob.clone());
                queue.bell.notify_one();
            }
        }
    }
}

impl Queue {
    fn blobs(&self) -> MutexGuard<'_, BTreeMap<Slot, Sendable>> {
        self.blobs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn next(&self) -> Option<Sendable> {
        self.blobs().pop_first().map(|(_, blob)| blob)
    }
}

/// Runs until the store cannot go on.
pub(super) async fn run(engine: &Engine) -> Result<(), StoreError> {
    let members = engine.fleet.members();
    if members.len() < 2 {
        return std::future::pending().await;
    }
    let feeds = members.iter().map(|member| feed(engine, member));
    try_join_all(feeds).await.map(|_| ())
}

async fn feed(engine: &Engine, member: &Member) -> Result<(), StoreError> {
    let queue = &engine.fan_out.queues[member.number];
    loop {
        queue.bell.notified().await;
        while let Some(blob) = queue.next() {
            if engine.view.now().frozen.is_some() || !engine.fleet.may_submit(member.number) {
                queue.blobs().clear();
                break;
            }
            if engine.send_to(member, &blob, Through::FanOut).await? == Then::Stop {
                queue.blobs().clear();
                break;
            }
        }
    }
}
