//! Rates: how many payments a client may create within a minute and an hour, and how often it may ask.
//!
//! Owns: one bucket of each kind for each client, and the refusal. May not: count the calls of people on duty, who must get
//! through, or have a say in what became of money: a clock only decides who is asked to come back later.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use paygate_payments::intent::Id;
use paygate_proto::v1::ErrorReason;
use tonic::{Code, Status};
use tonic_types::{QuotaViolation, StatusExt as _};

use super::bucket::{Bucket, Rate};
use crate::api::errors;
use crate::clock;
use crate::config::Config;
use crate::metrics::{Counted, Metrics};

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(60 * 60);

/// Everybody's rates.
#[derive(Debug)]
pub(in crate::api) struct Rates {
    metrics: Metrics,
    began: Instant,
    books: Mutex<Books>,
}

#[derive(Debug)]
struct Books {
    /// `None`: nobody is limited, as in tests that have no configuration.
    limits: Option<RateLimits>,
    /// Only clients that were let in are here, so there are as many as are configured.
    used: HashMap<Id, Used>,
}

/// As configured.
#[derive(Clone, Debug)]
pub(super) struct RateLimits {
    creates: Creates,
    reads: u32,
    own: HashMap<Id, Creates>,
}

#[derive(Clone, Copy, Debug)]
struct Creates {
    minute: u32,
    hour: u32,
}

#[derive(Clone, Copy, Debug, Default)]
struct Used {
    minute: Bucket,
    hour: Bucket,
    reads: Bucket,
}

/// A client has called too often.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::api) struct Limited {
    client: Id,
    key: &'static str,
    max: u32,
    what: &'static str,
    wait: Duration,
}

impl Rates {
    pub(super) fn new(limits: Option<RateLimits>, metrics: Metrics) -> Rates {
        Rates {
            metrics,
            began: clock::instant(),
            books: Mutex::new(Books {
                limits,
                used: HashMap::new(),
            }),
        }
    }

    /// Other limits, from the next call on. What was used stays used.
    pub(super) fn put(&self, limits: RateLimits) {
        self.books().limits = Some(limits);
    }

    /// Counts a payment that this client is about to create, or refuses.
    pub(in crate::api) fn create(&self, client: &Id) -> Result<(), Limited> {
        let now = clock::elapsed(self.began);
        let mut books = self.books();
        let Some((limits, used)) = books.of(client) else {
            return Ok(());
        };
        let of_minute = used.minute.wait(limits.creates.minute(), now);
        let of_hour = used.hour.wait(limits.creates.hour(), now);
        let (key, max, what, wait) = match of_hour > of_minute {
            true => (
                "security.rate_limit_per_hour",
                limits.creates.hour,
                "payments an hour",
                of_hour,
            ),
            false => (
                "security.rate_limit_per_minute",
                limits.creates.minute,
                "payments a minute",
                of_minute,
            ),
        };
        if wait.is_zero() {
            used.minute.take(limits.creates.minute(), now);
            used.hour.take(limits.creates.hour(), now);
            return Ok(());
        }
        drop(books);
        self.metrics.rate_limited(Counted::Create);
        Err(Limited {
            client: client.clone(),
            key,
            max,
            what,
            wait,
        })
    }

    /// The payment was stored before: it was no create, but a read.
    pub(in crate::api) fn was_a_read(&self, client: &Id) {
        let now = clock::elapsed(self.began);
        if let Some((limits, used)) = self.books().of(client) {
            used.minute.give_back(limits.creates.minute());
            used.hour.give_back(limits.creates.hour());
            used.reads.take(limits.reads(), now);
        }
    }

    /// Counts a call of this client that creates nothing, or refuses.
    pub(in crate::api) fn read(&self, client: &Id) -> Result<(), Limited> {
        let now = clock::elapsed(self.began);
        let mut books = self.books();
        let Some((limits, used)) = books.of(client) else {
            return Ok(());
        };
        let wait = used.reads.wait(limits.reads(), now);
        if wait.is_zero() {
            used.reads.take(limits.reads(), now);
            return Ok(());
        }
        let max = limits.reads;
        drop(books);
        self.metrics.rate_limited(Counted::Read);
        Err(Limited {
            client: client.clone(),
            key: "security.read_limit_per_minute",
            max,
            what: "calls a minute that create nothing",
            wait,
        })
    }

    fn books(&self) -> MutexGuard<'_, Books> {
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Books {
    /// The client's limits and what it has used of them.
    fn of(&mut self, client: &Id) -> Option<(ClientRates, &mut Used)> {
        let limits = self.limits.as_ref()?;
        let rates = ClientRates {
            creates: limits.own.get(client).copied().unwrap_or(limits.creates),
            reads: limits.reads,
        };
        if !self.used.contains_key(client) {
            self.used.insert(client.clone(), Used::default());
        }
        Some((rates, self.used.get_mut(client)?))
    }
}

#[derive(Clone, Copy)]
struct ClientRates {
    creates: Creates,
    reads: u32,
}

impl ClientRates {
    fn reads(self) -> Rate {
        Rate {
            max: self.reads,
            span: MINUTE,
        }
    }
}

impl Creates {
    fn minute(self) -> Rate {
        Rate {
            max: self.minute,
            span: MINUTE,
        }
    }

    fn hour(self) -> Rate {
        Rate {
            max: self.hour,
            span: HOUR,
        }
    }
}

impl RateLimits {
    pub(super) fn of(config: &Config) -> RateLimits {
        let security = &config.security;
        let creates = Creates {
            minute: security.rate_limit_per_minute,
            hour: security.rate_limit_per_hour,
        };
        let own = config.clients.iter().filter_map(|client| {
            // check-config has refused any other.
            let id = Id::new(client.client_id.as_str()).ok()?;
            let own = Creates {
                minute: client.rate_limit_per_minute.unwrap_or(creates.minute),
                hour: client.rate_limit_per_hour.unwrap_or(creates.hour),
            };
            Some((id, own))
        });
        RateLimits {
            creates,
            reads: security.read_limit_per_minute,
            own: own.collect(),
        }
    }
}

impl Limited {
    /// What the caller is told. `wait` is when the bucket has room again, not a guess.
    pub(in crate::api) fn status(&self) -> Status {
        let Limited {
            client,
            key,
            max,
            what,
            wait,
        } = self;
        let metadata = vec![
            ("quota", (*key).to_owned()),
            ("limit", max.to_string()),
            ("client_id", client.to_string()),
        ];
        let told = format!("client {client} is above {key}, {max} {what}");
        let mut quota = QuotaViolation::new(format!("client:{client}"), told.clone());
        (*key).clone_into(&mut quota.quota_id);
        quota.quota_value = i64::from(*max);
        let mut details = errors::info(ErrorReason::RateLimited, metadata);
        details.set_quota_failure(vec![quota]);
        details.set_retry_info(Some(*wait));
        let message = format!(
            "{told}; this call stored nothing: repeat it, with the same payment_id, in {} ms",
            wait.as_millis() + 1
        );
        Status::with_error_details(Code::ResourceExhausted, message, details)
    }
}
