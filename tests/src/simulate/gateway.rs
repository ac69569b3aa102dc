//! A life of the gateway: the real store, the real engine with all its loops, until it dies.
//!
//! Owns: what the process wires together at its start, without listeners; and its end, after which nothing of it runs. May not:
//! differ from the process in what runs.

use std::collections::BTreeSet;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use paygate::admin::HealthReport;
use paygate::api;
use paygate::clock;
use paygate::engine::{self, Engine, EngineError, Outputs};
use paygate::metrics::{BuildInfo, Metrics};
use paygate::signer::{Port, SignerClient};
use paygate::store::{
    Actor, Gate, OpenError, Passing, Point, Store, StoreError, StoreOptions, Unfrozen,
};
use paygate::view::View;
use paygate::xrpl::{Fleet, FleetSettings, LinkSettings};
use paygate_payments::intent::{Id, Wallet};
use paygate_payments::limits::Limits;
use paygate_payments::proof::{Quorum, Source};
use paygate_payments::terms::TermsPolicy;
use paygate_payments::{LedgerIndex, LedgerRef};
use paygate_telemetry::health::Health;
use paygate_telemetry::shutdown::Tasks;
use tokio::sync::{Notify, watch};
use tokio::task::{JoinHandle, JoinSet};
use tonic::service::Routes;
use tower::Service as _;
use tower::util::BoxCloneSyncService;
use xrpl_tx::Hash256;

use super::facts::{Commit, Fact, Sink, StoreLife};
use super::fuse::{Fuse, Moment};
use super::rows::Rows;
use super::seed::Draws;
use super::vault::SimSigner;
use super::wires::{Wires, url};

/// A server that takes longer is slow.
const LATENCY: Duration = Duration::from_secs(2);

/// Between two submits to a server that is not our own.
const SUBMIT_PAUSE: Duration = Duration::from_millis(100);

/// What all lives of a gateway have in common.
#[derive(Clone)]
pub struct Setup {
    /// The store's file.
    pub path: PathBuf,
    /// The wallet.
    pub wallet: Wallet,
    /// What is let in.
    pub limits: Limits,
    /// Fees and lives of versions.
    pub terms: TermsPolicy,
    /// The ledger by which servers prove their network.
    pub anchor: (u32, [u8; 32]),
    /// Slots undecided at once.
    pub at_large_max: usize,
    /// Servers, and how many of their operators must say the same.
    pub servers: usize,
    /// As many as must agree.
    pub agreement: usize,
    /// The ways to the servers.
    pub wires: Wires,
    /// The signer.
    pub signer: SimSigner,
    /// Takes facts down.
    pub facts: Sink,
    /// Grows with each store that is put back.
    pub generation: u64,
    /// Its requests for signatures reach the signer.
    pub may_sign: bool,
}

/// A running gateway.
pub struct Life {
    /// Its store, as callers reach it.
    pub store: Store,
    /// Rings when a payment was stored.
    pub wake: Arc<Notify>,
    /// What its loops know.
    pub view: View,
    /// Where it ends.
    pub fuse: Arc<Fuse>,
    root: JoinHandle<End>,
}

impl Life {
    /// A person looks, names every foreign transaction that there is, and lifts the freeze, as `paygatectl unfreeze` does: nothing else
    /// ends one.
    pub fn person_looks(&self, facts: &Sink) {
        if self.view.now().frozen.is_none() {
            return;
        }
        let (store, view, wake) = (
            self.store.clone(),
            self.view.clone(),
            Arc::clone(&self.wake),
        );
        // What is signed from here on is signed with a person's word.
        facts(Fact::Unfrozen);
        tokio::spawn(async move {
            let reason = "everything is in order again".to_owned();
            let mut lifted = store
                .unfreeze(operator(), reason.clone(), BTreeSet::new(), clock::now())
                .await;
            if let Ok(Unfrozen::Unnamed(foreign)) = lifted {
                // Each of them was looked at, and the key is safe again.
                let named = foreign.into_iter().collect();
                lifted = store
                    .unfreeze(operator(), reason, named, clock::now())
                    .await;
            }
            if let Ok(Unfrozen::Now) = lifted {
                view.update(|view| view.frozen = None);
                wake.notify_one();
            }
        });
    }
}

/// The person on duty.
fn operator() -> Actor {
    Actor::of(Id::new("operator").expect("eight letters are an id"))
}

/// How a life ended by itself.
#[derive(Debug)]
pub enum End {
    /// A loop gave up; a supervisor starts the process again.
    GaveUp(String),
    /// A panic: a bug.
    Panicked,
}

/// Why a life did not begin.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The store does not open.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// Its rows cannot be read behind its back.
    #[error(transparent)]
    Rows(#[from] rusqlite::Error),
}

/// Lets the store's jobs pass, and shows what each one changed.
struct Guard {
    fuse: Arc<Fuse>,
    rows: Arc<Mutex<Rows>>,
    facts: Sink,
    draws: Arc<Mutex<Draws>>,
    view: View,
    /// This life's first commit has not come yet, and it is one on such a store.
    begins: Mutex<Option<StoreLife>>,
}

impl fmt::Debug for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Guard")
    }
}

impl Gate for Guard {
    fn pass(&self, point: Point) -> Passing {
        let lives = match point {
            Point::BeforeCommit => self.fuse.reach(Moment::BeforeCommit),
            Point::AfterCommit => {
                let mut rows = self.rows.lock().unwrap_or_else(PoisonError::into_inner);
                let commit = rows
                    .changes()
                    .expect("the rows of an open store can be read");
                // Another life may commit until this one does.
                let begins = self
                    .begins
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .take();
                begins
                    .into_iter()
                    .for_each(|life| (self.facts)(Fact::Began(life)));
                let epoch = self.view.now().epoch;
                let by_epoch = (epoch > 0).then_some(epoch);
                (self.facts)(Fact::Committed(Commit { by_epoch, ..commit }));
                self.fuse.reach(Moment::AfterCommit)
            }
            Point::Read => !self.fuse.is_dead(),
        };
        if !lives {
            return Box::pin(std::future::pending());
        }
        let late = match point {
            Point::Read => 0,
            _ => {
                let mut draws = self.draws.lock().unwrap_or_else(PoisonError::into_inner);
                // Most commits are fast; now and then the disk takes its time, and others come in between.
                if draws.permille(20) {
                    draws.between(1, 300)
                } else {
                    0
                }
            }
        };
        let fuse = Arc::clone(&self.fuse);
        match late {
            0 if !fuse.stands_still() => Box::pin(std::future::ready(())),
            late => Box::pin(async move {
                tokio::time::sleep(Duration::from_millis(late)).await;
                fuse.going().await;
            }),
        }
    }
}

impl Setup {
    /// Begins a life.
    pub fn start(&self, fuse: Arc<Fuse>, draws: Draws) -> Result<Life, StartError> {
        let options = StoreOptions {
            path: self.path.clone(),
            wallet: self.wallet.clone(),
            limits: self.limits.clone(),
        };
        let rows_path = self.path.clone();
        let rows = Arc::new(Mutex::new(open_rows(&options, &rows_path)?));
        let view = View::default();
        let gate = Arc::new(Guard {
            fuse: Arc::clone(&fuse),
            rows,
            facts: Arc::clone(&self.facts),
            draws: Arc::new(Mutex::new(draws)),
            view: view.clone(),
            begins: Mutex::new(Some(StoreLife {
                generation: self.generation,
            })),
        });
        let store = Store::open_inline(options, gate)?;
        let wake = Arc::new(Notify::new());
        let build = BuildInfo {
            version: "simulated",
            revision: "simulated",
        };
        let metrics = Metrics::new(&build, []);
        let root = tokio::spawn(run(
            self.clone(),
            Parts {
                store: store.clone(),
                view: view.clone(),
                wake: Arc::clone(&wake),
                metrics,
                fuse: Arc::clone(&fuse),
            },
        ));
        Ok(Life {
            store,
            wake,
            view,
            fuse,
            root,
        })
    }

    fn fleet(&self) -> FleetSettings {
        let servers = (1..=self.servers).map(|number| {
            let source = Source {
                operator: format!("operator-{number}"),
                // One's own server is believed alone, also when it lies: with others beside it nobody's word is enough.
                own: self.servers == 1,
            };
            (self.link(number), source)
        });
        FleetSettings {
            servers: servers.collect(),
            quorum: Quorum::new(self.agreement),
            slow_after: LATENCY,
        }
    }

    fn link(&self, number: usize) -> LinkSettings {
        LinkSettings {
            url: url(number),
            server: format!("server-{number}"),
            network_id: self.wallet.network_id,
            anchor: LedgerRef {
                index: LedgerIndex(self.anchor.0),
                hash: Hash256::from_bytes(self.anchor.1),
            },
            connect_timeout: Duration::from_secs(5),
            request_timeout: Duration::from_secs(5),
            health_check_interval: Duration::from_secs(10),
        }
    }

    fn engine(&self) -> engine::Settings {
        engine::Settings {
            wallet: self.wallet.clone(),
            anchor: LedgerIndex(self.anchor.0),
            terms: self.terms,
            at_large_max: self.at_large_max,
            submit_pause: SUBMIT_PAUSE,
            halt_after: Duration::from_secs(20),
            latency_threshold: LATENCY,
        }
    }
}

/// The file is there only once the store has been opened.
fn open_rows(options: &StoreOptions, path: &Path) -> Result<Rows, StartError> {
    if !path.exists() {
        drop(Store::open_inline(options.clone(), Arc::new(Open))?);
    }
    Ok(Rows::open(path)?)
}

/// Lets everything pass.
#[derive(Debug)]
struct Open;

impl Gate for Open {
    fn pass(&self, _: Point) -> Passing {
        Box::pin(std::future::ready(()))
    }
}

struct Parts {
    store: Store,
    view: View,
    wake: Arc<Notify>,
    metrics: Metrics,
    fuse: Arc<Fuse>,
}

/// The process: ends when a loop does.
async fn run(setup: Setup, parts: Parts) -> End {
    let dial = setup.wires.dial(&parts.fuse);
    let (fleet, crew) = Fleet::new(setup.fleet(), &dial, parts.metrics.clone());
    let taken = Engine::take_over(engine::Parts {
        settings: setup.engine(),
        store: parts.store,
        fleet,
        signer: SignerClient::over(port(&setup, &parts.fuse)),
        view: parts.view,
        metrics: parts.metrics,
        wake: parts.wake,
    });
    let engine = match taken.await {
        Ok(engine) => engine,
        Err(err) => return gave_up(&err),
    };
    let tasks = Tasks::new();
    let stop = || tasks.stop_token();
    let (health, _) = Health::new(api::HEALTH_NAMES);
    let outputs = Outputs {
        health,
        report: watch::Sender::new(HealthReport::starting()),
    };
    let mut loops: JoinSet<Result<(), EngineError>> = JoinSet::new();
    let crew_stop = stop().into_stopped();
    loops.spawn(async move {
        crew.run(crew_stop).await;
        Ok(())
    });
    loops.spawn(Arc::clone(&engine).confirm(stop()));
    loops.spawn(Arc::clone(&engine).dispatch(stop()));
    loops.spawn(Arc::clone(&engine).watch(outputs, stop()));
    match loops.join_next().await {
        Some(Ok(Err(err))) => End::GaveUp(err.to_string()),
        Some(Ok(Ok(()))) | None => End::GaveUp("a loop ended".to_owned()),
        Some(Err(err)) if err.is_panic() => End::Panicked,
        Some(Err(err)) => End::GaveUp(err.to_string()),
    }
}

fn gave_up(err: &StoreError) -> End {
    End::GaveUp(err.to_string())
}

/// The way to the signer, for one life of the gateway.
fn port(setup: &Setup, fuse: &Arc<Fuse>) -> Port {
    let (routes, fuse, may_sign) = (setup.signer.port(), Arc::clone(fuse), setup.may_sign);
    BoxCloneSyncService::new(tower::service_fn(
        move |request: http::Request<tonic::body::Body>| {
            let (mut routes, fuse): (Routes, _) = (routes.clone(), Arc::clone(&fuse));
            async move {
                let method = request.uri().path().rsplit('/').next();
                let signs = method.is_some_and(|method| method.starts_with("Sign"));
                if fuse.is_dead() || signs && !(may_sign && fuse.reach(Moment::BeforeSign)) {
                    std::future::pending::<()>().await;
                }
                fuse.going().await;
                let answer = match routes.call(request).await {
                    Ok(answer) => answer,
                    Err(never) => match never {},
                };
                if fuse.is_dead() || signs && !fuse.reach(Moment::AfterSign) {
                    std::future::pending::<()>().await;
                }
                fuse.going().await;
                Ok(answer)
            }
        },
    ))
}

impl Life {
    /// True once its process has ended by itself.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.root.is_finished()
    }

    /// Ends it at once, and waits until nothing of it runs any more.
    pub async fn kill(self) -> Option<End> {
        self.fuse.blow();
        let ended = self.root.is_finished();
        self.root.abort();
        let how = match self.root.await {
            Ok(end) if ended => Some(end),
            Err(err) if err.is_panic() => Some(End::Panicked),
            _ => None,
        };
        self.store.close().await;
        how
    }
}
