//! Metrics: one handle with methods in the words of the domain, and the text that Prometheus scrapes.
//!
//! Owns: every metric's name, unit, labels and buckets. May not: let a label grow without bound; labels are fixed words
//! or come from a fixed list, and anything else becomes `unknown`. This is the only file in which amounts become floats,
//! because the scrape format has nothing else; nothing is ever read back from here.
//!
//! # Layout
//! - here: the handle and the families behind it
//! - `reference`: what each metric means
//! - `labels`: what tells samples apart
//! - `access`: refused calls, handshakes, certificates
//! - `clients`: what clients have left of their limits
//! - `classic`: the encoder's text for scrapers that do not ask for OpenMetrics
//! - `pulled`: what the signer counts

#![expect(
    clippy::float_arithmetic,
    reason = "the scrape format has only floats; amounts are divided into XRP here and nowhere else"
)]

mod access;
mod classic;
mod clients;
mod labels;
mod pulled;
mod reference;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use paygate_payments::books::Book;
use paygate_payments::money::Money;
use paygate_payments::preflight::RefusalReason;
use paygate_telemetry::TraceParent;
use prometheus_client::encoding::text;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::exemplar::HistogramWithExemplars;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;
use xrpl_tx::{Asset, Drops, IssuedValue};

use self::labels::{
    AssetLabels, CallLabels, CapabilityLabel, CommandLabel, EntryLabel, FileLabel, KindLabel,
    LimitLabel, MethodLabels, ReasonLabel, ReloadLabels, ResultLabel, ScopeLabel, ServerLabel,
    StageLabel, StatusLabel, TraceLabel, WalletLabel,
};
use self::pulled::{FromSigner, PulledMetrics};
use crate::clock::{self, Millis};

pub use self::access::{Counted, Handshake};
pub use self::clients::ClientRoom;
pub use self::reference::{Kind, Label, METRICS, MetricDoc, Values};

/// Content type of the classic text format.
pub const CLASSIC_CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Content type of OpenMetrics.
pub const OPENMETRICS_CONTENT_TYPE: &str =
    "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// What stands for a method that we do not serve: callers choose paths, and a label must not be theirs to choose.
const UNKNOWN: &str = "unknown";

/// Requests of callers: the bars 0.1, 0.5, 1, 2 and 5 s, and finer below, where the durable accept path lies.
const REQUEST_SECONDS: [f64; 14] = [
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0,
];

/// Stages of a payment: the queue and the confirmation take ledgers, each 3 to 5 s, and a halt can make it an hour.
const STAGE_SECONDS: [f64; 15] = [
    0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 60.0, 300.0, 900.0, 3600.0,
];

/// Handle to all metrics. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Metrics {
    inner: Arc<Inner>,
}

/// What the build says of itself.
#[derive(Clone, Debug)]
pub struct BuildInfo {
    /// Version of the package.
    pub version: &'static str,
    /// Commit that it was built from, or `unknown`.
    pub revision: &'static str,
}

/// A part of a payment's life whose duration is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Stage {
    /// From the request to the durable row.
    Accept,
    /// From the row to its slot.
    Queue,
    /// From the slot to the signature.
    Sign,
    /// One submit and its answer.
    Submit,
    /// From the stored row to the validated ledger that decided it.
    Confirm,
}

/// How a request to the signer ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SignerResult {
    /// A signature came back.
    Approved,
    /// Its policy said no.
    Denied,
    /// No answer, or an error.
    Failed,
}

/// Text format of a scrape.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Prometheus text format 0.0.4, which everything reads.
    Classic,
    /// OpenMetrics 1.0, for those who ask.
    OpenMetrics,
}

/// For what is not served at all until it is known.
type NoLabels = [(&'static str, &'static str); 0];
type FloatCounter = Counter<f64, AtomicU64>;
type FloatGauge = Gauge<f64, AtomicU64>;
type Histograms<L> = Family<L, Histogram, fn() -> Histogram>;
type Traced = HistogramWithExemplars<TraceLabel>;
type TracedHistograms<L> = Family<L, Traced, fn() -> Traced>;

#[derive(Debug)]
struct Inner {
    registry: Registry,
    grpc_methods: BTreeSet<(String, String)>,
    payments: Family<StatusLabel, Counter>,
    paid_xrp: FloatCounter,
    paid_issued: Family<AssetLabels, FloatCounter>,
    payable_assets: OnceLock<BTreeSet<Asset>>,
    pending: Gauge,
    oldest_pending: FloatGauge,
    pending_headroom: Gauge,
    pending_max: Gauge,
    clients: clients::Families,
    on_hold: Gauge,
    wallet_balance: Family<WalletLabel, FloatGauge>,
    spendable: FloatGauge,
    frozen: Gauge,
    quarantine: Gauge,
    paused: Family<ScopeLabel, Gauge>,
    awaiting_approval: Gauge,
    rollout_stage: Gauge,
    scraped: Mutex<Option<Instant>>,
    capabilities: Family<CapabilityLabel, Gauge>,
    open_watches: Gauge,
    connection: Family<ServerLabel, Gauge>,
    xrpl_in_doubt: Family<ServerLabel, Gauge>,
    xrpl_lag: Family<ServerLabel, Gauge>,
    xrpl_disagreements: Family<ServerLabel, Counter>,
    xrpl_requests: Histograms<CommandLabel>,
    grpc_requests: Family<CallLabels, Counter>,
    grpc_durations: TracedHistograms<MethodLabels>,
    stages: TracedHistograms<StageLabel>,
    signer_requests: Family<ResultLabel, Counter>,
    preflight_refusals: Family<ReasonLabel, Counter>,
    held_back: Family<ReasonLabel, Gauge>,
    headroom: Family<LimitLabel, FloatGauge>,
    limits: Family<LimitLabel, FloatGauge>,
    sending_blocked: Family<ReasonLabel, Gauge>,
    books: Family<EntryLabel, FloatGauge>,
    books_differences: Counter,
    foreign: Counter,
    announced: Gauge,
    fee_bumps: Counter,
    validated_index: Gauge,
    ledger_lag: FloatGauge,
    ledgers_behind: Gauge,
    started: FloatGauge,
    estimate_lead: Gauge,
    access_denied: Family<ReasonLabel, Counter>,
    rate_limited: Family<KindLabel, Counter>,
    handshakes: Family<ResultLabel, Counter>,
    certificate_expiry: Family<FileLabel, Gauge>,
    backup_last: Family<NoLabels, Gauge>,
    files_reloaded: Family<ReloadLabels, Counter>,
    from_signer: Arc<FromSigner>,
}

impl Metrics {
    /// Registers everything. `grpc_methods` are the served ones, each as `package.Service/Method`.
    pub fn new(build: &BuildInfo, grpc_methods: impl IntoIterator<Item = String>) -> Metrics {
        let mut inner = Inner {
            registry: Registry::default(),
            grpc_methods: grpc_methods.into_iter().filter_map(split_method).collect(),
            payments: Family::default(),
            paid_xrp: FloatCounter::default(),
            paid_issued: Family::default(),
            payable_assets: OnceLock::new(),
            pending: Gauge::default(),
            oldest_pending: FloatGauge::default(),
            pending_headroom: Gauge::default(),
            pending_max: Gauge::default(),
            clients: clients::Families::default(),
            on_hold: Gauge::default(),
            wallet_balance: Family::default(),
            spendable: FloatGauge::default(),
            frozen: Gauge::default(),
            quarantine: Gauge::default(),
            paused: Family::default(),
            awaiting_approval: Gauge::default(),
            rollout_stage: Gauge::default(),
            scraped: Mutex::default(),
            capabilities: Family::default(),
            open_watches: Gauge::default(),
            connection: Family::default(),
            xrpl_in_doubt: Family::default(),
            xrpl_lag: Family::default(),
            xrpl_disagreements: Family::default(),
            xrpl_requests: Family::new_with_constructor(|| Histogram::new(REQUEST_SECONDS)),
            grpc_requests: Family::default(),
            grpc_durations: Family::new_with_constructor(|| {
                Traced::new(REQUEST_SECONDS.into_iter())
            }),
            stages: Family::new_with_constructor(|| Traced::new(STAGE_SECONDS.into_iter())),
            signer_requests: Family::default(),
            preflight_refusals: Family::default(),
            held_back: Family::default(),
            headroom: Family::default(),
            limits: Family::default(),
            sending_blocked: Family::default(),
            books: Family::default(),
            books_differences: Counter::default(),
            foreign: Counter::default(),
            announced: Gauge::default(),
            fee_bumps: Counter::default(),
            validated_index: Gauge::default(),
            ledger_lag: FloatGauge::default(),
            ledgers_behind: Gauge::default(),
            started: FloatGauge::default(),
            estimate_lead: Gauge::default(),
            access_denied: Family::default(),
            rate_limited: Family::default(),
            handshakes: Family::default(),
            certificate_expiry: Family::default(),
            backup_last: Family::default(),
            files_reloaded: Family::default(),
            from_signer: Arc::default(),
        };
        inner.register(build);
        inner.begin();
        Metrics {
            inner: Arc::new(inner),
        }
    }

    /// A payment came into a state: `ACCEPTED` when it was stored, then each state that the ledger brought.
    pub fn payment_entered(&self, status: &'static str) {
        self.inner
            .payments
            .get_or_create(&StatusLabel { status })
            .inc();
    }

    /// The configured issued currencies: only they are labels. Told once, at the start; each begins with 0.
    pub fn payable_assets(&self, assets: impl Iterator<Item = Asset>) {
        let known = self.inner.payable_assets.get_or_init(|| assets.collect());
        for asset in known {
            let _ = self
                .inner
                .paid_issued
                .get_or_create(&AssetLabels::of(asset));
        }
    }

    /// A payment that delivered so much is in a validated ledger.
    pub fn payment_paid(&self, amount: Money) {
        match amount {
            Money::Xrp(drops) => {
                self.inner.paid_xrp.inc_by(xrp(drops));
            }
            Money::Issued { asset, value } => {
                let known = self.inner.payable_assets.get();
                let labels = match known.is_some_and(|known| known.contains(&asset)) {
                    true => AssetLabels::of(&asset),
                    false => AssetLabels::unknown(),
                };
                let paid = self.inner.paid_issued.get_or_create(&labels);
                paid.inc_by(decimal(value));
            }
        }
    }

    /// How many payments are not final, and how long the oldest of them has been waiting.
    pub fn pending_payments(&self, count: u64, oldest: Option<Duration>) {
        self.inner.pending.set(saturating(count));
        self.inner
            .oldest_pending
            .set(oldest.unwrap_or_default().as_secs_f64());
    }

    /// How many payments more may become pending of how many in all, and how many wait for a person's evidence.
    pub fn pending_room(&self, headroom: u64, max: u64, on_hold: u64) {
        self.inner.pending_headroom.set(saturating(headroom));
        self.inner.pending_max.set(saturating(max));
        self.inner.on_hold.set(saturating(on_hold));
    }

    /// Whether sending is stopped, and whether continuity is in doubt.
    pub fn standstill(&self, frozen: bool, quarantine: bool) {
        self.inner.frozen.set(i64::from(frozen));
        self.inner.quarantine.set(i64::from(quarantine));
    }

    /// So many pauses of this scope are in force: `wallet`, `client` or `destination`.
    pub fn paused(&self, scope: &'static str, count: usize) {
        self.inner
            .paused
            .get_or_create(&ScopeLabel { scope })
            .set(i64::try_from(count).unwrap_or(i64::MAX));
    }

    /// So many payments wait for approval.
    pub fn awaiting_approval(&self, count: u64) {
        self.inner
            .awaiting_approval
            .set(i64::try_from(count).unwrap_or(i64::MAX));
    }

    /// Number of the roll-out's stage in force, from 1. `None`: there is no roll-out.
    pub fn rollout_stage(&self, stage: Option<usize>) {
        self.inner
            .rollout_stage
            .set(stage.map_or(0, |stage| i64::try_from(stage).unwrap_or(i64::MAX)));
    }

    /// Somebody reads them.
    pub fn scraped(&self) {
        *self.last_scrape() = Some(clock::instant());
    }

    /// How long ago somebody read them. `None`: not since the start.
    #[must_use]
    pub fn scraped_ago(&self) -> Option<Duration> {
        self.last_scrape().map(clock::elapsed)
    }

    fn last_scrape(&self) -> std::sync::MutexGuard<'_, Option<Instant>> {
        self.inner
            .scraped
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// What the health service says of a capability.
    pub fn capability(&self, capability: &'static str, serving: bool) {
        self.inner
            .capabilities
            .get_or_create(&CapabilityLabel { capability })
            .set(i64::from(serving));
    }

    /// A WatchPayments stream is open for as long as what this returns lives.
    #[must_use]
    pub fn open_watch(&self) -> OpenWatch {
        self.inner.open_watches.inc();
        OpenWatch(self.clone())
    }

    /// The hot wallet in the newest reconciled ledger.
    pub fn hot_wallet(&self, balance: Drops, spendable: Drops) {
        self.inner.spendable.set(xrp(spendable));
        let label = WalletLabel { wallet_type: "hot" };
        self.inner
            .wallet_balance
            .get_or_create(&label)
            .set(xrp(balance));
    }

    /// Whether a ledger server is usable. `server` comes from the configuration, so there are few.
    pub fn xrpl_connection(&self, server: &str, connected: bool) {
        let label = ServerLabel {
            server: server.to_owned(),
        };
        self.inner
            .connection
            .get_or_create(&label)
            .set(i64::from(connected));
    }

    /// How a ledger server stands: whether there is a reason not to use it gladly, and how many ledgers it is behind.
    pub fn xrpl_server(&self, server: &str, in_doubt: bool, lag: u32) {
        let label = || ServerLabel {
            server: server.to_owned(),
        };
        let inner = &self.inner;
        inner
            .xrpl_in_doubt
            .get_or_create(&label())
            .set(i64::from(in_doubt));
        inner.xrpl_lag.get_or_create(&label()).set(i64::from(lag));
        // Shown before the first one.
        let _ = inner.xrpl_disagreements.get_or_create(&label());
    }

    /// A ledger server said something else than enough others.
    pub fn xrpl_disagreement(&self, server: &str) {
        let label = ServerLabel {
            server: server.to_owned(),
        };
        self.inner.xrpl_disagreements.get_or_create(&label).inc();
    }

    /// A request to a ledger server ended, with an answer or without.
    pub fn xrpl_request(&self, command: &'static str, took: Duration) {
        let label = CommandLabel { command };
        self.inner
            .xrpl_requests
            .get_or_create(&label)
            .observe(took.as_secs_f64());
    }

    /// Index of the newest validated ledger.
    pub fn xrpl_validated_ledger(&self, index: u32) {
        self.inner.validated_index.set(i64::from(index));
    }

    /// How long ago the validated index last grew, and how many announced ledgers are not reconciled.
    pub fn ledger_lag(&self, lag: Duration, ledgers: u32) {
        self.inner.ledger_lag.set(lag.as_secs_f64());
        self.inner.ledgers_behind.set(i64::from(ledgers));
    }

    /// The signer's estimate of the ledger index, beside the validated one.
    pub fn signer_estimate(&self, estimated: u32, validated: u32) {
        let lead = i64::from(estimated).saturating_sub(i64::from(validated));
        self.inner.estimate_lead.set(lead);
    }

    /// A gRPC request ended. `code` is the status in upper case, for example `OK` or `INVALID_ARGUMENT`.
    pub fn grpc_request(
        &self,
        service: &str,
        method: &str,
        code: &'static str,
        took: Duration,
        trace: Option<&TraceParent>,
    ) {
        let key = (service.to_owned(), method.to_owned());
        let (service, method) = if self.inner.grpc_methods.contains(&key) {
            key
        } else {
            (UNKNOWN.to_owned(), UNKNOWN.to_owned())
        };
        let durations = MethodLabels {
            service: service.clone(),
            method: method.clone(),
        };
        self.inner.grpc_durations.get_or_create(&durations).observe(
            took.as_secs_f64(),
            exemplar(trace),
            None,
        );
        self.inner
            .grpc_requests
            .get_or_create(&CallLabels {
                service,
                method,
                code,
            })
            .inc();
    }

    /// A part of a payment's life took so long.
    pub fn stage(&self, stage: Stage, took: Duration, trace: Option<&TraceParent>) {
        let label = StageLabel {
            stage: stage.name(),
        };
        self.inner
            .stages
            .get_or_create(&label)
            .observe(took.as_secs_f64(), exemplar(trace), None);
    }

    /// A request to the signer ended.
    pub fn signer_request(&self, result: SignerResult) {
        let label = ResultLabel {
            result: result.name(),
        };
        self.inner.signer_requests.get_or_create(&label).inc();
    }

    /// A payment was given up before it was bound, because its destination cannot receive it.
    pub fn preflight_refused(&self, reason: RefusalReason) {
        let reason = reason.as_str();
        self.inner
            .preflight_refusals
            .get_or_create(&ReasonLabel { reason })
            .inc();
    }

    /// So many accepted payments wait for something of their own, for `reason`, while others go on.
    pub fn held_back(&self, reason: &'static str, count: usize) {
        self.inner
            .held_back
            .get_or_create(&ReasonLabel { reason })
            .set(i64::try_from(count).unwrap_or(i64::MAX));
    }

    /// What a limit still allows, for example of `daily`, and what it allows in all.
    pub fn limit(&self, limit: &'static str, left: Drops, whole: Drops) {
        let inner = &self.inner;
        let label = || LimitLabel { limit };
        inner.headroom.get_or_create(&label()).set(xrp(left));
        inner.limits.get_or_create(&label()).set(xrp(whole));
    }

    /// Why the next accepted payment is not bound, as the contract names it. `None`: nothing is in its way.
    pub fn sending_blocked(&self, why: Option<&str>) {
        for reason in reference::BLOCKED {
            self.inner
                .sending_blocked
                .get_or_create(&ReasonLabel { reason })
                .set(i64::from(why == Some(reason)));
        }
    }

    /// The wallet's books as they stand. Without books all entries are 0.
    pub fn books(&self, book: Option<&Book>) {
        for (entry, drops) in entries(book) {
            self.inner
                .books
                .get_or_create(&EntryLabel { entry })
                .set(xrp(drops));
        }
    }

    /// Books and ledger differ.
    pub fn books_difference(&self) {
        self.inner.books_differences.inc();
    }

    /// A transaction of the wallet was not made here and nobody announced it.
    pub fn foreign_transaction(&self) {
        self.inner.foreign.inc();
    }

    /// So many transactions made outside are awaited.
    pub fn announced(&self, count: usize) {
        self.inner
            .announced
            .set(i64::try_from(count).unwrap_or(i64::MAX));
    }

    /// A higher fee was bid because a deadline is near.
    pub fn fee_bump(&self) {
        self.inner.fee_bumps.inc();
    }

    /// Takes over one value that the signer reported. False: it is not on the list, and was dropped.
    pub fn from_signer(&self, name: &str, labels: &[(&str, &str)], value: u64) -> bool {
        self.inner.from_signer.set(name, labels, value)
    }

    /// The text of a scrape.
    pub fn render(&self, format: Format) -> String {
        let mut open = String::new();
        text::encode(&mut open, &self.inner.registry).expect("writing into a String does not fail");
        match format {
            Format::OpenMetrics => open,
            Format::Classic => classic::from_openmetrics(&open),
        }
    }
}

impl Stage {
    const ALL: [Stage; 5] = [
        Stage::Accept,
        Stage::Queue,
        Stage::Sign,
        Stage::Submit,
        Stage::Confirm,
    ];

    const fn name(self) -> &'static str {
        match self {
            Stage::Accept => "accept",
            Stage::Queue => "queue",
            Stage::Sign => "sign",
            Stage::Submit => "submit",
            Stage::Confirm => "confirm",
        }
    }
}

impl SignerResult {
    const ALL: [SignerResult; 3] = [
        SignerResult::Approved,
        SignerResult::Denied,
        SignerResult::Failed,
    ];

    const fn name(self) -> &'static str {
        match self {
            SignerResult::Approved => "approved",
            SignerResult::Denied => "denied",
            SignerResult::Failed => "failed",
        }
    }
}

impl AssetLabels {
    fn of(asset: &Asset) -> Self {
        Self {
            currency: asset.currency.to_string(),
            issuer: asset.issuer.to_address(),
        }
    }

    /// Stored while it was configured, paid after it no longer was.
    fn unknown() -> Self {
        Self {
            currency: UNKNOWN.to_owned(),
            issuer: UNKNOWN.to_owned(),
        }
    }
}

impl Inner {
    /// A counter is registered without `_total`, which the encoder adds; help texts without a final point, for the same reason.
    fn register(&mut self, build: &BuildInfo) {
        let r = &mut self.registry;
        add(r, "payments", &self.payments);
        add(r, "payment_amount_xrp", &self.paid_xrp);
        add(r, "paygate_payment_amount_issued", &self.paid_issued);
        add(r, "pending_payments", &self.pending);
        add(r, "wallet_balance_xrp", &self.wallet_balance);
        add(r, "xrpl_connection_status", &self.connection);
        add(r, "xrpl_request_duration_seconds", &self.xrpl_requests);
        add(r, "grpc_requests", &self.grpc_requests);
        add(r, "grpc_request_duration_seconds", &self.grpc_durations);
        self.register_access();
        self.register_clients();
        self.register_ours(build);
    }

    /// The names that the user's material does not give start with `paygate_`.
    fn register_ours(&mut self, build: &BuildInfo) {
        let r = &mut self.registry;
        add(r, "paygate_xrpl_server_in_doubt", &self.xrpl_in_doubt);
        add(r, "paygate_xrpl_server_lag_ledgers", &self.xrpl_lag);
        add(r, "paygate_xrpl_disagreements", &self.xrpl_disagreements);
        add(
            r,
            "paygate_oldest_pending_age_seconds",
            &self.oldest_pending,
        );
        add(
            r,
            "paygate_pending_headroom_payments",
            &self.pending_headroom,
        );
        add(r, "paygate_payments_on_hold", &self.on_hold);
        add(r, "paygate_preflight_refusals", &self.preflight_refusals);
        add(r, "paygate_held_back_payments", &self.held_back);
        add(r, "paygate_wallet_spendable_xrp", &self.spendable);
        add(r, "paygate_limit_headroom_xrp", &self.headroom);
        add(r, "paygate_limit_xrp", &self.limits);
        add(r, "paygate_sending_blocked", &self.sending_blocked);
        add(r, "paygate_books_xrp", &self.books);
        add(r, "paygate_books_differences", &self.books_differences);
        add(r, "paygate_foreign_transactions", &self.foreign);
        add(r, "paygate_announced_transactions", &self.announced);
        add(r, "paygate_fee_bumps", &self.fee_bumps);
        add(r, "paygate_wallet_frozen", &self.frozen);
        add(r, "paygate_quarantine", &self.quarantine);
        add(r, "paygate_paused", &self.paused);
        add(r, "paygate_awaiting_approval", &self.awaiting_approval);
        add(r, "paygate_rollout_stage", &self.rollout_stage);
        add(r, "paygate_capability_serving", &self.capabilities);
        add(r, "paygate_validated_ledger_index", &self.validated_index);
        add(r, "paygate_ledger_lag_seconds", &self.ledger_lag);
        add(r, "paygate_ledger_lag_ledgers", &self.ledgers_behind);
        add(r, "paygate_open_watches", &self.open_watches);
        add(r, "paygate_stage_duration_seconds", &self.stages);
        add(r, "paygate_signer_requests", &self.signer_requests);
        add(r, "paygate_start_time_seconds", &self.started);
        add(
            r,
            "paygate_signer_estimate_lead_ledgers",
            &self.estimate_lead,
        );
        let info = vec![("version", build.version), ("revision", build.revision)];
        r.register(
            "paygate_build",
            reference::meaning("paygate_build"),
            Info::new(info),
        );
        r.register_collector(Box::new(PulledMetrics(self.from_signer.clone())));
    }

    /// What is certain from the first moment on: a counter that begins at 0 shows its first step to `rate`, and a capability
    /// that was never spoken of does not serve.
    fn begin(&self) {
        for status in reference::STATUSES {
            let _ = self.payments.get_or_create(&StatusLabel { status });
        }
        for scope in reference::PAUSE_SCOPES {
            let _ = self.paused.get_or_create(&ScopeLabel { scope });
        }
        for stage in Stage::ALL {
            let stage = stage.name();
            let _ = self.stages.get_or_create(&StageLabel { stage });
        }
        for result in SignerResult::ALL {
            let result = result.name();
            let _ = self.signer_requests.get_or_create(&ResultLabel { result });
        }
        for reason in RefusalReason::ALL {
            let reason = reason.as_str();
            let _ = self
                .preflight_refusals
                .get_or_create(&ReasonLabel { reason });
        }
        for (entry, _) in entries(None) {
            let _ = self.books.get_or_create(&EntryLabel { entry });
        }
        for capability in reference::CAPABILITIES {
            let _ = self
                .capabilities
                .get_or_create(&CapabilityLabel { capability });
        }
        let since_1970 = clock::now().since(Millis::ZERO);
        self.started.set(since_1970.as_secs_f64());
    }
}

/// The entries of the books, as the reference lists them.
fn entries(book: Option<&Book>) -> [(&'static str, Drops); 9] {
    let of = |entry: fn(&Book) -> Drops| book.map_or(Drops::ZERO, entry);
    let entries = [
        of(|b| b.opening),
        of(|b| b.balance),
        of(|b| b.paid),
        of(|b| b.fees),
        of(|b| b.inflows),
        of(|b| b.outside_in),
        of(|b| b.outside_out),
        of(|b| b.found),
        of(|b| b.lost),
    ];
    let mut names = reference::BOOK_ENTRIES.iter();
    entries.map(|drops| {
        (
            names.next().copied().expect("as many names as entries"),
            drops,
        )
    })
}

/// An open WatchPayments stream, as the gauge counts them.
#[derive(Debug)]
pub struct OpenWatch(Metrics);

impl Drop for OpenWatch {
    fn drop(&mut self) {
        self.0.inner.open_watches.dec();
    }
}

/// Registers a family under its name with what the reference says of it.
fn add<M>(registry: &mut Registry, name: &'static str, metric: &M)
where
    M: prometheus_client::registry::Metric + Clone,
{
    registry.register(name, reference::meaning(name), metric.clone());
}

/// Only a trace that is kept leads anywhere.
fn exemplar(trace: Option<&TraceParent>) -> Option<TraceLabel> {
    let trace = trace.filter(|trace| trace.is_sampled())?;
    Some(TraceLabel {
        trace_id: trace.trace_id().to_owned(),
    })
}

fn split_method(path: String) -> Option<(String, String)> {
    let (service, method) = path.split_once('/')?;
    Some((service.to_owned(), method.to_owned()))
}

/// XRP as a float, for a graph. The whole supply in drops is above 2^53, so the last digits of very large sums are lost;
/// that is why nothing is ever computed from it.
#[expect(clippy::cast_precision_loss, reason = "a graph does not show the drop")]
fn xrp(amount: Drops) -> f64 {
    amount.get() as f64 / 1_000_000.0
}

/// A graph does not show the last digits. What a float cannot hold, nobody pays.
fn decimal(value: IssuedValue) -> f64 {
    value.to_string().parse().unwrap_or(0.0)
}

fn saturating(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}
