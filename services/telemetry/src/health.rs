//! The gRPC health service and the state behind it.
//!
//! Owns which names exist and whether each serves. May not probe anything: it is told. A single lost answer does not flip a name:
//! `observe` counts, both ways, so that a dependency that comes and goes is not told as a row of recoveries.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::{Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::SystemTime;

use tokio::sync::watch;
use tokio_stream::Stream;
use tokio_stream::wrappers::WatchStream;
use tonic::{Request, Response, Status};
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_server::{Health as HealthRpc, HealthServer};
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};

/// Whether a name serves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Serving {
    /// It does.
    Yes,
    /// It does not, and this is why, for a person.
    No(String),
}

/// How many observations of the other kind in a row it takes to change a state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hysteresis {
    /// Good ones until a name serves again. The first time, one is enough: what never served cannot flap.
    pub up_after: u32,
    /// Bad ones until it does not.
    pub down_after: u32,
}

/// The state of one name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NameState {
    /// As registered.
    pub name: &'static str,
    /// Whether it serves.
    pub serving: Serving,
    /// When that last changed, not counting a mere change of reason.
    pub since: SystemTime,
}

/// The states of all names. Clones share them.
#[derive(Clone, Debug)]
pub struct Health {
    names: Arc<BTreeMap<&'static str, Name>>,
    hysteresis: Hysteresis,
    /// True once nothing will change any more: watchers are told the last state and let go.
    ended: Arc<watch::Sender<bool>>,
}

/// Implements `grpc.health.v1.Health` on a [`Health`].
#[derive(Clone, Debug)]
pub struct HealthService(Health);

/// Reason of a name that nobody has spoken about yet.
const STARTING: &str = "starting";

#[derive(Debug)]
struct Name {
    entry: Mutex<Entry>,
    served: watch::Sender<bool>,
}

#[derive(Debug)]
struct Entry {
    serving: Serving,
    since: SystemTime,
    /// Observations in a row that contradict `serving`.
    against: u32,
    /// It has served before.
    has_served: bool,
}

impl Default for Hysteresis {
    /// Three either way.
    fn default() -> Self {
        Self {
            up_after: 3,
            down_after: 3,
        }
    }
}

impl Health {
    /// Registers every name as not serving, before anything listens. Other names never exist.
    #[must_use]
    pub fn new(names: &'static [&'static str]) -> (Self, HealthServer<HealthService>) {
        Self::with_hysteresis(names, Hysteresis::default())
    }

    /// The same with another hysteresis.
    #[must_use]
    pub fn with_hysteresis(
        names: &'static [&'static str],
        hysteresis: Hysteresis,
    ) -> (Self, HealthServer<HealthService>) {
        let now = SystemTime::now();
        let names = names.iter().map(|name| {
            let entry = Entry {
                serving: Serving::No(STARTING.to_owned()),
                since: now,
                against: 0,
                has_served: false,
            };
            let name_state = Name {
                entry: Mutex::new(entry),
                served: watch::Sender::new(false),
            };
            (*name, name_state)
        });
        let health = Self {
            names: Arc::new(names.collect()),
            hysteresis,
            ended: Arc::new(watch::Sender::new(false)),
        };
        let server = HealthServer::new(HealthService(health.clone()));
        (health, server)
    }

    /// A further server on the same state, for a second listener.
    #[must_use]
    pub fn server(&self) -> HealthServer<HealthService> {
        HealthServer::new(HealthService(self.clone()))
    }

    /// Says at once whether `name` serves. A name that was not registered is logged and ignored.
    pub fn set(&self, name: &str, serving: Serving) {
        self.change(name, |entry| {
            entry.against = 0;
            Some(serving)
        });
    }

    /// Says what was seen of `name`; its state changes only after so many observations in a row as the hysteresis asks for.
    pub fn observe(&self, name: &str, ok: Result<(), String>) {
        let Hysteresis {
            up_after,
            down_after,
        } = self.hysteresis;
        self.change(name, |entry| {
            let needed = match (&entry.serving, &ok) {
                (Serving::No(_), Ok(())) if entry.has_served => up_after,
                (Serving::No(_), Ok(())) => 1,
                (Serving::Yes, Err(_)) => down_after,
                (Serving::Yes, Ok(())) => {
                    entry.against = 0;
                    return None;
                }
                (Serving::No(_), Err(reason)) => {
                    entry.against = 0;
                    return Some(Serving::No(reason.clone()));
                }
            };
            entry.against = entry.against.saturating_add(1);
            (entry.against >= needed).then_some(match ok {
                Ok(()) => Serving::Yes,
                Err(reason) => Serving::No(reason),
            })
        });
    }

    /// The process ends: nothing serves, and watchers are let go after they were told so. Safe to repeat.
    pub fn end(&self, reason: &str) {
        for name in self.names.keys() {
            self.set(name, Serving::No(reason.to_owned()));
        }
        self.ended.send_replace(true);
    }

    /// Whether `name` serves; none if it was not registered.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<Serving> {
        let name = self.names.get(name)?;
        Some(name.lock().serving.clone())
    }

    /// All names in their order.
    #[must_use]
    pub fn snapshot(&self) -> Vec<NameState> {
        self.names
            .iter()
            .map(|(name, state)| {
                let entry = state.lock();
                NameState {
                    name,
                    serving: entry.serving.clone(),
                    since: entry.since,
                }
            })
            .collect()
    }

    fn change(&self, name: &str, next: impl FnOnce(&mut Entry) -> Option<Serving>) {
        let Some((name, state)) = self.names.get_key_value(name) else {
            tracing::error!(name, "health of a name that was never registered");
            return;
        };
        let mut entry = state.lock();
        let Some(next) = next(&mut entry) else { return };
        let flipped = (entry.serving == Serving::Yes) != (next == Serving::Yes);
        entry.serving = next;
        if flipped {
            entry.against = 0;
            entry.since = SystemTime::now();
            let serving = entry.serving == Serving::Yes;
            entry.has_served |= serving;
            // Sent under the lock, so that watchers see changes in their order.
            state.served.send_replace(serving);
            match &entry.serving {
                Serving::Yes => tracing::info!(name, "serving"),
                Serving::No(reason) => tracing::warn!(name, reason, "not serving"),
            }
        }
    }
}

impl Name {
    fn lock(&self) -> std::sync::MutexGuard<'_, Entry> {
        // Every field of an entry is valid by itself.
        self.entry.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The states of a name until the end; the last state was set before the end, and is told first.
struct Watched {
    states: WatchStream<bool>,
    ended: WatchStream<bool>,
}

impl Stream for Watched {
    type Item = Result<HealthCheckResponse, Status>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if let Poll::Ready(state) = Pin::new(&mut self.states).poll_next(cx) {
            return Poll::Ready(state.map(|serving| Ok(answer(serving))));
        }
        while let Poll::Ready(ended) = Pin::new(&mut self.ended).poll_next(cx) {
            if ended != Some(false) {
                return Poll::Ready(None);
            }
        }
        Poll::Pending
    }
}

fn answer(serving: bool) -> HealthCheckResponse {
    let status = if serving {
        ServingStatus::Serving
    } else {
        ServingStatus::NotServing
    };
    HealthCheckResponse {
        status: status.into(),
    }
}

#[tonic::async_trait]
impl HealthRpc for HealthService {
    type WatchStream = Pin<Box<dyn Stream<Item = Result<HealthCheckResponse, Status>> + Send>>;

    async fn check(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<HealthCheckResponse>, Status> {
        match self.0.names.get(request.get_ref().service.as_str()) {
            Some(name) => Ok(Response::new(answer(*name.served.borrow()))),
            None => Err(Status::not_found("service not registered")),
        }
    }

    async fn watch(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        // All names are registered before anything listens, so that an unknown one stays unknown.
        match self.0.names.get(request.get_ref().service.as_str()) {
            Some(name) => Ok(Response::new(Box::pin(Watched {
                states: WatchStream::new(name.served.subscribe()),
                ended: WatchStream::new(self.0.ended.subscribe()),
            }))),
            None => Err(Status::not_found("service not registered")),
        }
    }
}
