//! Metrics: one handle with methods in the words of the domain, and the text that Prometheus scrapes.
//!
//! Owns: every metric's name, unit, labels and buckets. May not: let a label grow without bound; labels are fixed words
//! or come from a fixed list, and anything else becomes `unknown`. This is the only file in which amounts become floats,
//! because the scrape format has nothing else; nothing is ever read back from here.

#![expect(
    clippy::float_arithmetic,
    reason = "the scrape format has only floats; amounts are divided into XRP here and nowhere else"
)]

mod classic;
mod pulled;

use std::collections::BTreeSet;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use paygate_payments::money::Money;
use prometheus_client::encoding::{EncodeLabelSet, text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;
use xrpl_tx::{Asset, Drops, IssuedValue};

use self::pulled::{FromSigner, PulledMetrics};

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

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StatusLabel {
    status: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct WalletLabel {
    wallet_type: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct AssetLabels {
    currency: String,
    issuer: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ServerLabel {
    server: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CommandLabel {
    command: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct MethodLabels {
    service: String,
    method: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CallLabels {
    service: String,
    method: String,
    code: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StageLabel {
    stage: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ResultLabel {
    result: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReasonLabel {
    reason: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct LimitLabel {
    limit: &'static str,
}

type FloatCounter = Counter<f64, AtomicU64>;
type FloatGauge = Gauge<f64, AtomicU64>;
type Histograms<L> = Family<L, Histogram, fn() -> Histogram>;

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
    wallet_balance: Family<WalletLabel, FloatGauge>,
    connection: Family<ServerLabel, Gauge>,
    xrpl_requests: Histograms<CommandLabel>,
    grpc_requests: Family<CallLabels, Counter>,
    grpc_durations: Histograms<MethodLabels>,
    stages: Histograms<StageLabel>,
    signer_requests: Family<ResultLabel, Counter>,
    preflight_refusals: Family<ReasonLabel, Counter>,
    held_back: Family<ReasonLabel, Gauge>,
    headroom: Family<LimitLabel, FloatGauge>,
    validated_index: Gauge,
    ledger_lag: FloatGauge,
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
            wallet_balance: Family::default(),
            connection: Family::default(),
            xrpl_requests: Family::new_with_constructor(request_histogram),
            grpc_requests: Family::default(),
            grpc_durations: Family::new_with_constructor(request_histogram),
            stages: Family::new_with_constructor(stage_histogram),
            signer_requests: Family::default(),
            preflight_refusals: Family::default(),
            held_back: Family::default(),
            headroom: Family::default(),
            validated_index: Gauge::default(),
            ledger_lag: FloatGauge::default(),
            from_signer: Arc::default(),
        };
        inner.register(build);
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

    /// Balance of the hot wallet in the newest validated ledger.
    pub fn hot_wallet_balance(&self, balance: Drops) {
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

    /// How long ago the validated index last grew.
    pub fn ledger_lag(&self, lag: Duration) {
        self.inner.ledger_lag.set(lag.as_secs_f64());
    }

    /// A gRPC request ended. `code` is the status in upper case, for example `OK` or `INVALID_ARGUMENT`.
    pub fn grpc_request(&self, service: &str, method: &str, code: &'static str, took: Duration) {
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
        self.inner
            .grpc_durations
            .get_or_create(&durations)
            .observe(took.as_secs_f64());
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
    pub fn stage(&self, stage: Stage, took: Duration) {
        let label = StageLabel {
            stage: stage.name(),
        };
        self.inner
            .stages
            .get_or_create(&label)
            .observe(took.as_secs_f64());
    }

    /// A request to the signer ended.
    pub fn signer_request(&self, result: SignerResult) {
        let label = ResultLabel {
            result: result.name(),
        };
        self.inner.signer_requests.get_or_create(&label).inc();
    }

    /// A payment was given up before it was bound, because its destination cannot receive it. `reason` is one of the core's.
    pub fn preflight_refused(&self, reason: &'static str) {
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

    /// What a limit still allows, for example of `daily`.
    pub fn limit_headroom(&self, limit: &'static str, left: Drops) {
        self.inner
            .headroom
            .get_or_create(&LimitLabel { limit })
            .set(xrp(left));
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
    /// Names and meanings. A counter is registered without `_total`, which the encoder adds; help texts without a final
    /// point, for the same reason.
    fn register(&mut self, build: &BuildInfo) {
        let r = &mut self.registry;
        r.register(
            "payments",
            "Payments by the state that they came into",
            self.payments.clone(),
        );
        r.register(
            "payment_amount_xrp",
            "XRP paid, in validated ledgers; issued currencies are counted apart",
            self.paid_xrp.clone(),
        );
        r.register(
            "paygate_payment_amount_issued",
            "Issued currency paid, in validated ledgers and in its own units, for each configured asset",
            self.paid_issued.clone(),
        );
        r.register(
            "pending_payments",
            "Payments that are not final",
            self.pending.clone(),
        );
        r.register(
            "paygate_oldest_pending_age_seconds",
            "Age of the oldest payment that is not final",
            self.oldest_pending.clone(),
        );
        r.register(
            "wallet_balance_xrp",
            "Balance in the newest validated ledger",
            self.wallet_balance.clone(),
        );
        r.register(
            "xrpl_connection_status",
            "1 if the connection to the ledger server is usable",
            self.connection.clone(),
        );
        r.register(
            "xrpl_request_duration_seconds",
            "Duration of requests to ledger servers",
            self.xrpl_requests.clone(),
        );
        r.register(
            "grpc_requests",
            "gRPC requests by status",
            self.grpc_requests.clone(),
        );
        r.register(
            "grpc_request_duration_seconds",
            "Duration of gRPC requests",
            self.grpc_durations.clone(),
        );
        self.register_ours(build);
    }

    /// The names that the user's material does not give start with `paygate_`.
    fn register_ours(&mut self, build: &BuildInfo) {
        let r = &mut self.registry;
        r.register(
            "paygate_stage_duration_seconds",
            "Duration of the parts of a payment's life",
            self.stages.clone(),
        );
        r.register(
            "paygate_signer_requests",
            "Requests to the signer by result",
            self.signer_requests.clone(),
        );
        r.register(
            "paygate_preflight_refusals",
            "Payments given up before they were bound, because their destination cannot receive them",
            self.preflight_refusals.clone(),
        );
        r.register(
            "paygate_held_back_payments",
            "Accepted payments that wait for something of their own, while others go on",
            self.held_back.clone(),
        );
        r.register(
            "paygate_limit_headroom_xrp",
            "What a limit still allows",
            self.headroom.clone(),
        );
        r.register(
            "paygate_validated_ledger_index",
            "Index of the newest validated ledger",
            self.validated_index.clone(),
        );
        r.register(
            "paygate_ledger_lag_seconds",
            "Time since the validated index last grew",
            self.ledger_lag.clone(),
        );
        let info = vec![("version", build.version), ("revision", build.revision)];
        r.register("paygate_build", "What is running", Info::new(info));
        r.register_collector(Box::new(PulledMetrics(self.from_signer.clone())));
    }
}

fn request_histogram() -> Histogram {
    Histogram::new(REQUEST_SECONDS)
}

fn stage_histogram() -> Histogram {
    Histogram::new(STAGE_SECONDS)
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn metrics() -> Metrics {
        let build = BuildInfo {
            version: "0.1.0",
            revision: "abc",
        };
        Metrics::new(
            &build,
            ["paygate.v1.PaymentService/CreatePayment".to_owned()],
        )
    }

    fn rlusd() -> Asset {
        Asset {
            currency: "524C555344000000000000000000000000000000".parse().unwrap(),
            issuer: "rMxCKbEDwqr76QuheSUMdEGf4B9xJ8m5De".parse().unwrap(),
        }
    }

    /// Every metric with a value, as after some hours of work.
    fn busy() -> Metrics {
        let metrics = metrics();
        let ms = Duration::from_millis(3);
        metrics.payment_entered("ACCEPTED");
        metrics.payment_entered("PAID");
        metrics.payable_assets([rlusd()].into_iter());
        metrics.payment_paid(Money::Xrp(Drops::from_const(1_500_000)));
        for issuer in [rlusd().issuer, xrpl_tx::AccountId::from_bytes([9; 20])] {
            metrics.payment_paid(Money::Issued {
                asset: Asset { issuer, ..rlusd() },
                value: "12.5".parse().unwrap(),
            });
        }
        metrics.pending_payments(3, Some(Duration::from_secs(9)));
        metrics.hot_wallet_balance(Drops::from_const(999_000_001));
        metrics.xrpl_connection("us", true);
        metrics.xrpl_request("submit", ms);
        metrics.xrpl_validated_ledger(77);
        metrics.ledger_lag(ms);
        metrics.grpc_request("paygate.v1.PaymentService", "CreatePayment", "OK", ms);
        metrics.grpc_request("made.up", "Name", "UNIMPLEMENTED", ms);
        metrics.stage(Stage::Accept, ms);
        metrics.signer_request(SignerResult::Approved);
        metrics.limit_headroom("daily", Drops::from_const(5));
        assert!(metrics.from_signer("paygate_signer_journal_height", &[], 12));
        let labels = [
            ("reason", "FEE_CAP"),
            ("result", "denied"),
            ("method", "SignPayment"),
        ];
        assert!(metrics.from_signer("paygate_signer_requests_total", &labels, 2));
        metrics
    }

    /// What the classic format demands of every line: metadata before samples, each once, names that match.
    fn check_classic(text: &str) {
        let mut typed = BTreeMap::new();
        let mut family = "";
        for line in text.lines() {
            if let Some(rest) = line.strip_prefix("# TYPE ") {
                let (name, kind) = rest.split_once(' ').unwrap();
                assert!(typed.insert(name, kind).is_none(), "{name} is typed twice");
                family = name;
            } else if let Some(rest) = line.strip_prefix("# HELP ") {
                assert!(
                    rest.split_once(' ')
                        .is_some_and(|(_, help)| help.ends_with('.')),
                    "{line}"
                );
            } else {
                let name = line.split(['{', ' ']).next().unwrap();
                let base = match typed[family] {
                    "histogram" => ["_bucket", "_sum", "_count"]
                        .iter()
                        .find_map(|suffix| name.strip_suffix(suffix))
                        .unwrap(),
                    "counter" => {
                        assert!(name.ends_with("_total"), "{line}");
                        name
                    }
                    _ => name,
                };
                assert_eq!(base, family, "{line}");
            }
        }
    }

    #[test]
    fn the_classic_text_is_well_formed_and_complete() {
        let text = busy().render(Format::Classic);
        check_classic(&text);
        for line in [
            "# TYPE payments_total counter",
            "payments_total{status=\"PAID\"} 1",
            "payment_amount_xrp_total 1.5",
            "paygate_payment_amount_issued_total{currency=\"524C555344000000000000000000000000000000\",issuer=\"rMxCKbEDwqr76QuheSUMdEGf4B9xJ8m5De\"} 12.5",
            "paygate_payment_amount_issued_total{currency=\"unknown\",issuer=\"unknown\"} 12.5",
            "pending_payments 3",
            "paygate_oldest_pending_age_seconds 9.0",
            "wallet_balance_xrp{wallet_type=\"hot\"} 999.000001",
            "xrpl_connection_status{server=\"us\"} 1",
            "xrpl_request_duration_seconds_bucket{le=\"0.005\",command=\"submit\"} 1",
            "grpc_requests_total{service=\"paygate.v1.PaymentService\",method=\"CreatePayment\",code=\"OK\"} 1",
            "paygate_validated_ledger_index 77",
            "# TYPE paygate_build_info gauge",
            "paygate_build_info{version=\"0.1.0\",revision=\"abc\"} 1",
            "paygate_signer_requests_total{result=\"approved\"} 1",
            "paygate_signer_journal_height 12",
            "# TYPE paygate_signer_decisions_total counter",
            "paygate_signer_decisions_total{method=\"SignPayment\",result=\"denied\",reason=\"FEE_CAP\"} 2",
        ] {
            assert!(text.lines().any(|l| l == line), "{line} is not in\n{text}");
        }
        assert!(!text.contains("# EOF") && !text.contains("# UNIT"));
    }

    #[test]
    fn openmetrics_ends_with_its_marker() {
        assert!(busy().render(Format::OpenMetrics).ends_with("# EOF\n"));
    }

    #[test]
    fn a_callers_path_is_never_a_label() {
        let text = busy().render(Format::Classic);
        assert!(text.contains("service=\"unknown\",method=\"unknown\",code=\"UNIMPLEMENTED\""));
        assert!(!text.contains("made.up"));
    }
}
