//! What clients have left of their limits.
//!
//! Owns: one set of gauges for each configured client, and that those of a client who is gone go. May not: know a client that is not
//! configured: only who was let in could be one, and the label would be a caller's.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use xrpl_tx::Drops;

use super::labels::ClientLabel;
use super::{FloatGauge, Inner, Metrics, add, saturating, xrp};

/// One client's limits and what is left of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientRoom {
    /// Who.
    pub client: String,
    /// What its day still allows.
    pub day_left: Drops,
    /// What its day allows in all.
    pub day_max: Drops,
    /// Its payments that are not final.
    pub pending: u64,
    /// At most so many.
    pub pending_max: u64,
}

#[derive(Debug, Default)]
pub(super) struct Families {
    day_left: Family<ClientLabel, FloatGauge>,
    day_max: Family<ClientLabel, FloatGauge>,
    pending: Family<ClientLabel, Gauge>,
    pending_max: Family<ClientLabel, Gauge>,
    shown: Arc<Mutex<BTreeSet<String>>>,
}

impl Metrics {
    /// All clients there are.
    pub fn client_rooms(&self, rooms: &[ClientRoom]) {
        let families = &self.inner.clients;
        let now: BTreeSet<String> = rooms.iter().map(|room| room.client.clone()).collect();
        let mut shown = families
            .shown
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        for gone in shown.difference(&now) {
            families.remove(gone);
        }
        *shown = now;
        for room in rooms {
            families.set(room);
        }
    }
}

impl Families {
    fn set(&self, room: &ClientRoom) {
        let label = label(&room.client);
        self.day_left.get_or_create(&label).set(xrp(room.day_left));
        self.day_max.get_or_create(&label).set(xrp(room.day_max));
        self.pending
            .get_or_create(&label)
            .set(saturating(room.pending));
        self.pending_max
            .get_or_create(&label)
            .set(saturating(room.pending_max));
    }

    fn remove(&self, client: &str) {
        let label = label(client);
        self.day_left.remove(&label);
        self.day_max.remove(&label);
        self.pending.remove(&label);
        self.pending_max.remove(&label);
    }
}

fn label(client: &str) -> ClientLabel {
    ClientLabel {
        client: client.to_owned(),
    }
}

impl Inner {
    pub(super) fn register_clients(&mut self) {
        let r = &mut self.registry;
        add(r, "paygate_pending_max_payments", &self.pending_max);
        let families = &self.clients;
        add(r, "paygate_client_daily_headroom_xrp", &families.day_left);
        add(r, "paygate_client_daily_limit_xrp", &families.day_max);
        add(r, "paygate_client_pending_payments", &families.pending);
        add(
            r,
            "paygate_client_pending_max_payments",
            &families.pending_max,
        );
    }
}
