//! The process: configuration in, listeners bound, tasks running, everything stopped in order.
//!
//! Owns: what is started before what, and what is stopped after what. May not: decide anything else.
//!
//! Three moments: a [`Config`](crate::config::Config) has no effects, a built [`App`] has bound its listeners and opened
//! its store, a running one has tasks. Stopping goes from the outside in: no new requests, then the loops, then the store,
//! then the last log lines and spans. The signer stops after us.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use paygate_payments::clients::ClientLimits;
use paygate_payments::intent::{Id, Wallet};
use paygate_payments::limits::{AssetLimits, Limits};
use paygate_payments::proof::{Quorum, Source};
use paygate_payments::terms::TermsPolicy;
use paygate_payments::{LedgerIndex, LedgerRef};
use paygate_telemetry::SpanForwarder;
use paygate_telemetry::grpc::{Call, Observer, code_name};
use paygate_telemetry::health::{Health, Serving};
use paygate_telemetry::shutdown::{self, StopToken, Tasks};
use serde::Serialize;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{Notify, watch};
use tokio::time::MissedTickBehavior;
use tonic::transport::Server;
use xrpl_tx::Drops;

use crate::admin::{self, HealthReport};
use crate::api::access::{Access, AccessError};
use crate::api::{self, Api};
use crate::backup;
use crate::clock;
use crate::config::{self, Config, ConfigSource, StagesError, StagesFile};
use crate::engine::{self, Engine, EngineError, Outputs};
use crate::metrics::{BuildInfo, Metrics};
use crate::reload::{self, Reloader};
use crate::signer::SignerClient;
use crate::store::{Actor, OpenError, Store, StoreError, StoreOptions};
use crate::tls;
use crate::view::View;
use crate::xrpl::{Crew, Dial, Fleet, FleetSettings, LinkSettings, Tcp};

/// Connections of the health listener, which anybody who reaches it may use, altogether and from one address; streams of each, and its
/// metadata in bytes. Orchestrators have one or two.
const HEALTH_ROOM: tls::Room = tls::Room {
    connections: 128,
    per_address: 32,
};
const HEALTH_STREAMS_MAX: u32 = 16;
const HEALTH_METADATA_BYTES_MAX: u32 = 8 * 1024;
const HEALTH_WINDOW_BYTES: u32 = 64 * 1024;

/// How long watchers of health have to leave, once they were told that the process stops.
const HEALTH_LEAVE: Duration = Duration::from_millis(300);

/// How often the newest backup is looked up.
const BACKUPS_LOOKED_AT: Duration = Duration::from_secs(30);

/// What ends with the first word of a stop.
const NAMES_OF_ENTRY: [&str; 4] = [
    "",
    "paygate.v1.PaymentService",
    "paygate.capability.accept",
    "paygate.capability.submit",
];

/// Why the gateway did not come up, or ended.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    /// A listener.
    #[error("cannot listen on {address} ({key}): {source}")]
    Listen {
        /// The key that names it.
        key: &'static str,
        /// The address.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// The store.
    #[error("cannot open the store: {0}")]
    Open(#[from] OpenError),
    /// The store, later.
    #[error("cannot take over the store: {0}")]
    Store(#[from] StoreError),
    /// The file of stages.
    #[error("rollout.stages_path: {0}")]
    Stages(#[from] StagesError),
    /// The files that say who may call.
    #[error("cannot serve: {0}")]
    Access(#[from] AccessError),
    /// The exporter of spans.
    #[error("monitoring.otlp_endpoint: {0}")]
    Spans(#[from] paygate_telemetry::propagation::ForwardError),
}

/// What the process says on standard output once its listeners are bound.
#[derive(Clone, Debug, Serialize)]
pub struct Listening {
    /// The gRPC API.
    pub grpc: SocketAddr,
    /// `grpc.health.v1` only.
    pub health: SocketAddr,
    /// `/metrics`, `/health`, `/livez`, `/readyz`.
    pub metrics: SocketAddr,
}

/// A gateway whose listeners are bound and whose store is open.
#[derive(Debug)]
pub struct App {
    config: Config,
    listeners: Listeners,
    api: Api,
    engine: Arc<Engine>,
    crew: Crew,
    metrics: Metrics,
    forwarder: Option<SpanForwarder>,
    /// Where the configuration is read anew. `None`: it is not.
    source: Option<ConfigSource>,
}

#[derive(Debug)]
struct Listeners {
    grpc: TcpListener,
    health: TcpListener,
    metrics: TcpListener,
}

impl App {
    /// Binds, opens and takes over. Nothing is sent or answered yet.
    pub async fn build(config: Config) -> Result<Self, AppError> {
        let listeners = Listeners {
            grpc: listen("listen", config.listen).await?,
            health: listen("health.listen", config.health.listen).await?,
            metrics: listen(
                "monitoring.metrics_listen",
                config.monitoring.metrics_listen,
            )
            .await?,
        };
        let build = BuildInfo {
            version: env!("CARGO_PKG_VERSION"),
            revision: option_env!("PAYGATE_REVISION").unwrap_or("unknown"),
        };
        let metrics = Metrics::new(&build, grpc_methods());
        let access = Access::open(&config, metrics.clone())?;
        let stages = config.read_stages()?;
        let wallet = Wallet {
            network_id: config.wallet.network_id,
            account: config.wallet.address.0,
            source_tag: config.wallet.source_tag,
        };
        let limits = limits(&config);
        metrics.payable_assets(limits.assets.iter().map(|limits| limits.asset));
        let options = StoreOptions {
            path: config.store.path.clone(),
            wallet: wallet.clone(),
            limits,
        };
        // Opening replays the log and may take a disk's time; nothing else runs yet.
        let store = tokio::task::block_in_place(|| Store::open(options))?;
        begin_rollout(&store, &config, stages).await?;
        let dial: Arc<dyn Dial> = Arc::new(Tcp);
        let (fleet, crew) = Fleet::new(fleet_settings(&config), &dial, metrics.clone());
        store.limit_fees(config.fees.max_xrp_per_hour.0);
        reload::keep_limits(&store, &config).await?;
        let signer = SignerClient::unix(config.signer.socket_path.clone(), signer_uids(&config));
        let view = View::default();
        let wake = Arc::new(Notify::new());
        let (health, _) = Health::new(api::HEALTH_NAMES);
        let engine = Engine::take_over(engine::Parts {
            settings: engine_settings(&config, wallet.clone()),
            store: store.clone(),
            fleet,
            signer,
            view: view.clone(),
            metrics: metrics.clone(),
            wake: Arc::clone(&wake),
        })
        .await?;
        let forwarder = config
            .monitoring
            .otlp_endpoint
            .as_deref()
            .map(SpanForwarder::connect)
            .transpose()?;
        let api = Api {
            settings: Arc::new(api::Settings::from(&config)),
            access,
            store,
            view,
            metrics: metrics.clone(),
            wallet,
            wake,
            inquiry: Some(engine.inquiry()),
            started: clock::now(),
            health,
        };
        Ok(Self {
            config,
            listeners,
            api,
            engine,
            crew,
            metrics,
            forwarder,
            source: None,
        })
    }

    /// SIGHUP reads the configuration anew from here.
    #[must_use]
    pub fn reloading(self, source: ConfigSource) -> Self {
        Self {
            source: Some(source),
            ..self
        }
    }

    /// Where it listens; a configured port 0 has become a real one.
    pub fn listening(&self) -> io::Result<Listening> {
        Ok(Listening {
            grpc: self.listeners.grpc.local_addr()?,
            health: self.listeners.health.local_addr()?,
            metrics: self.listeners.metrics.local_addr()?,
        })
    }

    /// Runs until a signal or the first failure. Returns the exit code.
    pub async fn run(self, mut panicked: watch::Receiver<bool>) -> u8 {
        let timeout = Duration::from_millis(self.config.shutdown.timeout_ms);
        let (front, back) = (Tasks::new(), Tasks::new());
        let view = self.api.view.clone();
        let store = self.api.store.clone();
        let health = self.api.health.clone();
        self.start(&front, &back);
        let code = tokio::select! {
            signal = shutdown::signal() => {
                tracing::info!(signal, timeout_ms = timeout.as_millis(), "stopping: no new payments are accepted");
                shutdown::EXIT_OK
            }
            failure = front.first_failure() => failed(&failure),
            failure = back.first_failure() => failed(&failure),
            () = store.ended() => {
                tracing::error!("the store's writer has ended; only opening the file anew tells what is on the disk");
                shutdown::EXIT_FAILED
            }
            _ = panicked.wait_for(|p| *p) => {
                tracing::error!("a panic ends the process; a restart goes on from the stored rows");
                return shutdown::EXIT_PANIC;
            }
        };
        view.update(|v| v.draining = true);
        for name in NAMES_OF_ENTRY {
            health.set(name, Serving::No("the process is stopping".to_owned()));
        }
        let began = clock::instant();
        let left = |eighths: u32| (timeout / 8 * eighths).saturating_sub(began.elapsed());
        // Requests in hand get half of the time, the loops go on for a quarter, the store has an eighth; the last one is for
        // log lines and spans.
        stop_all("requests", &front, left(4)).await;
        health.end("the process is stopping");
        stop_all("loops", &back, left(6)).await;
        if tokio::time::timeout(left(7), store.close()).await.is_err() {
            tracing::warn!("the store was not closed in time; what was answered is on the disk");
        }
        tracing::info!(code, took_ms = began.elapsed().as_millis(), "stopped");
        code
    }

    fn start(self, front: &Tasks, back: &Tasks) {
        let Self {
            config,
            listeners,
            api,
            engine,
            crew,
            metrics,
            forwarder,
            source,
        } = self;
        let stop = || back.stop_token();
        let fleet_stop = stop().into_stopped();
        back.spawn("xrpl", async move {
            crew.run(fleet_stop).await;
            Ok::<(), EngineError>(())
        });
        back.spawn("confirm", Arc::clone(&engine).confirm(stop()));
        back.spawn("dispatch", Arc::clone(&engine).dispatch(stop()));
        let (report, reported) = watch::channel(HealthReport::starting());
        let outputs = Outputs {
            health: api.health.clone(),
            report,
        };
        back.spawn("watch", Arc::clone(&engine).watch(outputs, stop()));
        back.spawn("spans", engine.forward_spans(forwarder, stop()));
        let admin_stop = stop().into_stopped();
        let served = metrics.clone();
        let shown = api.health.clone();
        back.spawn("admin", async move {
            admin::serve(listeners.metrics, served, shown, reported, admin_stop).await;
            Ok::<(), EngineError>(())
        });
        let interval = config.tls.reload_interval();
        let backups = watch_backups(config.clone(), metrics.clone(), stop());
        let reloader = source.map(|source| {
            let (store, access) = (api.store.clone(), api.access.clone());
            Reloader::new(source, config, store, access, api.metrics.clone())
        });
        let access = api.access.clone();
        back.spawn("access", keep_access(access, reloader, interval, stop()));
        back.spawn("backups", backups);
        let health = api.health.clone();
        let counted = metrics.clone();
        let probes = serve_health(listeners.health, health, counted, stop());
        back.spawn("health", probes);
        let observer: Observer = Arc::new(move |call: &Call<'_>| {
            metrics.grpc_request(
                call.service,
                call.method,
                code_name(call.code),
                call.elapsed,
                call.trace,
            );
        });
        front.spawn(
            "api",
            api::serve(
                api,
                listeners.grpc,
                observer,
                front.stop_token().into_stopped(),
            ),
        );
    }
}

/// Puts the stage into force that the store was left in. Nothing is let in before.
async fn begin_rollout(
    store: &Store,
    config: &Config,
    stages: Option<StagesFile>,
) -> Result<(), StoreError> {
    if let Some(file) = &stages {
        for client in config.unknown_stage_clients(&file.stages) {
            tracing::warn!(%client, "a stage of the roll-out lists a client that is not configured");
        }
    }
    let by = Actor {
        client: Id::new(api::LOCAL_CLIENT).expect("five letters are an id"),
        credential: "start of the gateway".to_owned(),
        trace_id: String::new(),
    };
    let stages = stages.map(|file| (file.stages, file.digest));
    let stage = store.begin_rollout(by, stages, clock::now()).await?;
    if let Some(stage) = stage {
        let limits = store.limits();
        tracing::info!(%stage, max_payment = %limits.payment_max, daily_limit = %limits.day_max, "this stage of the roll-out is in force");
    }
    Ok(())
}

async fn stop_all(what: &'static str, tasks: &Tasks, within: Duration) {
    tasks.stop();
    let late = tasks.join(within).await;
    if !late.is_empty() {
        tracing::warn!(
            ?late,
            what,
            "did not end in time; rows are true, the next start goes on"
        );
    }
}

/// Looks at the files of TLS and tokens, and reads them when somebody says so, and then the configuration too.
async fn keep_access(
    access: Access,
    mut reloader: Option<Reloader>,
    interval: Duration,
    mut stop: StopToken,
) -> io::Result<()> {
    let mut told = signal(SignalKind::hangup())?;
    let mut looks = tokio::time::interval(interval);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let anyway = tokio::select! {
            () = stop.stopped() => return Ok(()),
            _ = looks.tick() => false,
            _ = told.recv() => true,
        };
        let access = access.clone();
        // A panic in there ends the process by itself.
        let _ = tokio::task::spawn_blocking(move || access.reload(anyway)).await;
        if let Some(reloader) = reloader.as_mut().filter(|_| anyway) {
            reloader.reload().await;
        }
    }
}

/// Looks how old the newest backup is, if it is known where they are.
async fn watch_backups(config: Config, metrics: Metrics, mut stop: StopToken) -> io::Result<()> {
    let Some(folder) = config.backup.dir else {
        stop.stopped().await;
        return Ok(());
    };
    let (account, network) = (config.wallet.address.0, config.wallet.network_id);
    let mut looks = tokio::time::interval(BACKUPS_LOOKED_AT);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = stop.stopped() => return Ok(()),
            _ = looks.tick() => {}
        }
        let folder = folder.clone();
        let look = move || backup::newest(&folder, account, network);
        // A panic in there ends the process by itself.
        if let Ok(newest) = tokio::task::spawn_blocking(look).await {
            metrics.backup_last(newest.map_or(0, |(_, manifest)| manifest.made_at_unix));
        }
    }
}

/// Health on a listener of its own, for orchestrators: cached states, nothing else.
async fn serve_health(
    listener: TcpListener,
    health: Health,
    metrics: Metrics,
    stop: StopToken,
) -> Result<(), tonic::transport::Error> {
    let mut told = stop.clone();
    let incoming = tls::incoming(listener, None, HEALTH_ROOM, metrics);
    let server = Server::builder()
        .http2_keepalive_interval(Some(api::KEEPALIVE_INTERVAL))
        .http2_keepalive_timeout(Some(api::KEEPALIVE_TIMEOUT))
        .max_concurrent_streams(HEALTH_STREAMS_MAX)
        .initial_stream_window_size(HEALTH_WINDOW_BYTES)
        .initial_connection_window_size(HEALTH_WINDOW_BYTES)
        .http2_max_header_list_size(HEALTH_METADATA_BYTES_MAX)
        .add_service(health.server())
        .serve_with_incoming_shutdown(incoming, stop.into_stopped());
    tokio::select! {
        served = server => served,
        // Watchers were told the last state and let go; whoever does not leave is left.
        () = async { told.stopped().await; tokio::time::sleep(HEALTH_LEAVE).await } => Ok(()),
    }
}

async fn listen(key: &'static str, address: SocketAddr) -> Result<TcpListener, AppError> {
    TcpListener::bind(address)
        .await
        .map_err(|source| AppError::Listen {
            key,
            address,
            source,
        })
}

fn failed(failure: &shutdown::TaskFailure) -> u8 {
    tracing::error!(%failure, "stopping");
    failure.exit_code()
}

/// What a configuration lets in.
pub(crate) fn limits(config: &Config) -> Limits {
    Limits {
        payment_min: config.limits.min_payment_xrp.0,
        payment_max: config.limits.max_payment_xrp.0,
        day_max: config.limits.daily_limit_xrp.0,
        pending_max: u64::from(config.limits.max_pending_payments),
        assets: config.assets.iter().map(asset_limits).collect(),
        approval_threshold: config.limits.approval_threshold_xrp.map(|most| most.0),
        approval_window: Duration::from_millis(config.limits.approval_window_ms),
        // Without authentication nobody is one of them, and no places are kept for those who cannot come.
        clients: match config.security.require_authentication {
            true => config.clients.iter().map(client_limits).collect(),
            false => Vec::new(),
        },
        // The store knows which stage is in force, and lowers these limits by it.
        stage: None,
    }
}

fn client_limits(client: &config::Client) -> ClientLimits {
    ClientLimits {
        client: Id::new(client.client_id.clone()).expect("checked with the configuration"),
        payment_max: client.max_payment_xrp.map(|most| most.0),
        day_max: client.daily_limit_xrp.map(|most| most.0),
        pending_max: client.max_pending_payments.map(u64::from),
        destinations: client.destinations.iter().map(|to| to.0).collect(),
    }
}

fn asset_limits(asset: &config::Asset) -> AssetLimits {
    AssetLimits {
        asset: asset.id(),
        payment_min: asset.min_payment.0,
        payment_max: asset.max_payment.0,
        day_max: asset.daily_limit.0,
        transfer_fee_max_ppm: asset.max_transfer_fee_ppm,
        approval_threshold: asset.approval_threshold.map(|most| most.0),
    }
}

/// The ledger servers that a configuration names.
pub fn fleet_settings(config: &Config) -> FleetSettings {
    let xrpl = &config.xrpl;
    let names = server_names(&xrpl.servers);
    let servers = xrpl.servers.iter().zip(names).map(|(server, name)| {
        let link = LinkSettings {
            url: server.url.clone(),
            server: name,
            network_id: config.wallet.network_id,
            anchor: LedgerRef {
                index: LedgerIndex(config.wallet.anchor.index),
                hash: config.wallet.anchor.hash.0,
            },
            connect_timeout: xrpl.connect_timeout(),
            request_timeout: xrpl.request_timeout(),
            health_check_interval: xrpl.health_check_interval(),
        };
        let source = Source {
            operator: server.operator.clone(),
            own: server.own,
        };
        (link, source)
    });
    FleetSettings {
        servers: servers.collect(),
        quorum: Quorum::new(usize::try_from(xrpl.agreement).unwrap_or(usize::MAX)),
        slow_after: Duration::from_millis(config.monitoring.latency_threshold_ms),
    }
}

/// Names of servers in metrics and logs: that of the operator, with a number where he runs several.
fn server_names(servers: &[config::Server]) -> Vec<String> {
    let name = |(at, server): (usize, &config::Server)| {
        let same = |other: &&config::Server| other.operator == server.operator;
        match servers[..at].iter().filter(same).count() {
            0 => server.operator.clone(),
            before => format!("{}-{}", server.operator, before + 1),
        }
    };
    servers.iter().enumerate().map(name).collect()
}

fn engine_settings(config: &Config, wallet: Wallet) -> engine::Settings {
    let pause = Duration::from_secs(1) / config.xrpl.submit_rate_per_second.max(1);
    engine::Settings {
        wallet,
        anchor: LedgerIndex(config.wallet.anchor.index),
        terms: TermsPolicy {
            fee_max: Drops::new(config.fees.max_drops).unwrap_or(Drops::MAX),
            window: config.xrpl.last_ledger_window,
        },
        at_large_max: usize::try_from(config.xrpl.max_at_large).unwrap_or(usize::MAX),
        submit_pause: pause,
        halt_after: config.xrpl.halted_after(),
        latency_threshold: Duration::from_millis(config.monitoring.latency_threshold_ms),
    }
}

/// Users that the signer may run as: those configured, or in the dev profile our own.
pub fn signer_uids(config: &Config) -> Vec<u32> {
    if config.signer.allowed_uids.is_empty() {
        vec![rustix::process::getuid().as_raw()]
    } else {
        config.signer.allowed_uids.clone()
    }
}

/// Every served method as `package.Service/Method`, from the contract itself.
fn grpc_methods() -> Vec<String> {
    use prost::Message;
    let sets = [
        paygate_proto::FILE_DESCRIPTOR_SET,
        tonic_health::pb::FILE_DESCRIPTOR_SET,
    ];
    let mut methods = Vec::new();
    for set in sets {
        let set = prost_types::FileDescriptorSet::decode(set)
            .expect("the descriptor set is committed and tested");
        for file in set.file {
            for service in &file.service {
                for method in &service.method {
                    methods.push(format!(
                        "{}.{}/{}",
                        file.package(),
                        service.name(),
                        method.name()
                    ));
                }
            }
        }
    }
    methods
}
