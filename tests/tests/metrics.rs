//! What a scrape shows: every metric of the reference and no other, with labels that nobody can fill; and the page about them.
#![allow(clippy::unwrap_used, reason = "a story ends where it goes wrong")]
#![allow(
    clippy::print_stderr,
    reason = "the cardinality is a figure that people read"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::fs;
use std::time::{Duration, Instant};

use paygate::metrics::{Kind, METRICS, MetricDoc, Values};
use paygate_proto::v1::{PaymentState, WatchPaymentsRequest};
use paygate_tests::world::client::{Client, DROPS_PER_XRP, payment};
use paygate_tests::world::wallet::payee;
use paygate_tests::world::{Asset, Setup, World, http};
use tokio::task::JoinSet;
use tonic::Code;

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy/metrics.md");

const HEAD: &str = "\
# Metrics

What `/metrics` on `monitoring.metrics_listen` shows. The classic text format comes by default; OpenMetrics, with exemplars that
carry the trace id of one case of a bucket, to who asks for `application/openmetrics-text`. The signer has no listener: its
own counters, `paygate_signer_…`, are pulled by the gateway once a second and shown here.

No label holds anything that a caller chose: no payment, no payee; clients are those of the configuration. A method that does not exist counts as `unknown`.
All values but gauges begin at 0 with the process. Histograms have `_bucket`, `_sum` and `_count`.

This page is generated: `UPDATE_GENERATED=1 cargo test -p paygate-tests --test metrics` writes it anew.

| metric | type | unit | labels and their values | meaning | when to worry |
|---|---|---|---|---|---|
";

const OPENMETRICS: &str = "application/openmetrics-text;version=1.0.0,text/plain;q=0.5";

const WITHIN: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(100);

/// The payments and callers of the story about cardinality.
const PAYMENTS: usize = 5_000;
const CALLERS: usize = 20;

/// Calls that a caller has open at once: they share commits.
const LANES: usize = 10;

/// Lines with a value in one scrape. A Prometheus server takes this from one target without noticing.
const SERIES_MAX: usize = 700;

// === the page ===

fn kind(kind: Kind) -> &'static str {
    match kind {
        Kind::Counter => "counter",
        Kind::Gauge => "gauge",
        Kind::Histogram => "histogram",
    }
}

fn page() -> String {
    let mut page = HEAD.to_owned();
    for metric in METRICS {
        let labels = metric.labels.iter().map(|label| match label.values {
            Values::Words(words) => format!("`{}`: {}", label.name, words.join(", ")),
            Values::From(whence) => format!("`{}`: {whence}", label.name),
        });
        let cells = [
            format!("`{}`", metric.name),
            kind(metric.kind).to_owned(),
            metric.unit.to_owned(),
            labels.collect::<Vec<_>>().join("; "),
            metric.meaning.to_owned(),
            metric.worry.to_owned(),
        ];
        let cells = cells.map(|cell| cell.replace('|', "\\|"));
        writeln!(page, "| {} |", cells.join(" | ")).unwrap();
    }
    page
}

#[test]
fn the_page_about_metrics_is_current() {
    let current = page();
    if std::env::var_os("UPDATE_GENERATED").is_some_and(|value| value == "1") {
        fs::write(PAGE, &current).unwrap();
    }
    let stored = fs::read_to_string(PAGE).unwrap_or_default();
    assert!(
        stored == current,
        "deploy/metrics.md is not what the gateway serves: run\n  \
         UPDATE_GENERATED=1 cargo test -p paygate-tests --test metrics\nand commit the result"
    );
}

// === a scrape ===

/// One scrape, taken apart.
#[derive(Debug, Default)]
struct Scrape {
    /// Type and help by name.
    families: BTreeMap<String, (String, String)>,
    /// Labels of each sample, by family.
    samples: BTreeMap<String, Vec<BTreeMap<String, String>>>,
}

impl Scrape {
    fn read(text: &str) -> Scrape {
        let mut scrape = Scrape::default();
        let mut help = "";
        let mut family = "";
        for line in text.lines() {
            if let Some(rest) = line.strip_prefix("# HELP ") {
                help = rest.split_once(' ').unwrap().1;
            } else if let Some(rest) = line.strip_prefix("# TYPE ") {
                let (name, kind) = rest.split_once(' ').unwrap();
                family = name;
                let told = (kind.to_owned(), help.to_owned());
                assert!(
                    scrape.families.insert(name.to_owned(), told).is_none(),
                    "{name} comes twice"
                );
            } else {
                let mut labels = labels(line);
                labels.remove("le");
                let samples = scrape.samples.entry(family.to_owned()).or_default();
                samples.push(labels);
            }
        }
        scrape
    }

    fn series(&self) -> usize {
        self.samples.values().map(Vec::len).sum()
    }

    /// What is wrong with it, measured by the reference, both ways.
    fn problems(&self) -> Vec<String> {
        let documented: BTreeSet<&str> = METRICS.iter().map(|metric| metric.name).collect();
        let unknown = self
            .families
            .keys()
            .filter(|name| !documented.contains(name.as_str()))
            .map(|name| format!("{name} is served and in no reference"));
        let mut problems: Vec<String> = unknown.collect();
        for metric in METRICS {
            problems.extend(self.problems_of(&metric));
        }
        problems
    }

    fn problems_of(&self, metric: &MetricDoc) -> Vec<String> {
        let name = metric.name;
        let (Some((served, help)), Some(samples)) =
            (self.families.get(name), self.samples.get(name))
        else {
            // Without TLS nothing ends; the stories of access see it.
            return match name == "paygate_certificate_expiry_timestamp_seconds" {
                true => Vec::new(),
                false => vec![format!("{name} is in the reference and not served")],
            };
        };
        let mut problems = Vec::new();
        if served != kind(metric.kind) {
            problems.push(format!("{name} is a {served}"));
        }
        if help.trim_end_matches('.') != metric.meaning {
            problems.push(format!("{name} is explained as {help:?}"));
        }
        let wanted: BTreeSet<&str> = metric.labels.iter().map(|label| label.name).collect();
        for sample in samples {
            let got: BTreeSet<&str> = sample.keys().map(String::as_str).collect();
            if got != wanted {
                problems.push(format!("{name} has the labels {got:?}"));
            }
            for label in metric.labels {
                let value = sample.get(label.name).map_or("", String::as_str);
                if let Values::Words(words) = label.values
                    && !words.contains(&value)
                {
                    problems.push(format!("{name} has {}={value:?}", label.name));
                }
            }
        }
        problems
    }
}

/// The labels of a sample: their values hold no quotes.
fn labels(line: &str) -> BTreeMap<String, String> {
    let Some((_, rest)) = line.split_once('{') else {
        return BTreeMap::new();
    };
    let (inside, _) = rest.rsplit_once('}').unwrap();
    inside
        .split("\",")
        // A family that has no labels is written with empty braces.
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let (name, value) = pair.split_once("=\"").unwrap();
            (name.to_owned(), value.trim_end_matches('"').to_owned())
        })
        .collect()
}

async fn scrape(world: &World) -> Scrape {
    let text = http::get(&world.listeners().metrics, "/metrics").await;
    Scrape::read(&text.unwrap().body)
}

/// Waits until the scrape is what the reference says: the signer's counters are pulled once a second.
async fn until_complete(world: &World) -> Scrape {
    let deadline = Instant::now() + WITHIN;
    loop {
        let scrape = scrape(world).await;
        let problems = scrape.problems();
        if problems.is_empty() {
            return scrape;
        }
        assert!(Instant::now() < deadline, "{problems:#?}");
        tokio::time::sleep(POLL).await;
    }
}

/// Each issued currency that is configured has a sample of its own.
fn dollars() -> Asset {
    Asset {
        currency: "USD".to_owned(),
        issuer: payee("issuer"),
        max_payment: "25".to_owned(),
        daily_limit: "100".to_owned(),
        max_transfer_fee_ppm: 0,
    }
}

// === the stories ===

#[tokio::test(flavor = "multi_thread")]
async fn a_scrape_shows_the_reference_and_openmetrics_shows_a_trace() {
    let setup = Setup {
        assets: vec![dollars()],
        ..Setup::default()
    };
    let world = World::start(setup).await.unwrap();
    let client = world.client();
    let trace = "0af7651916cd43dd8448eb211c80319c";
    let asked = payment("traced", &payee("alice"), DROPS_PER_XRP);
    client
        .create_traced(asked, &format!("00-{trace}-b7ad6b7169203331-01"))
        .await
        .unwrap();
    let paid = client.until_final("traced", WITHIN).await.unwrap();
    assert_eq!(paid.state(), PaymentState::Paid);
    until_complete(&world).await;
    let admin = &world.listeners().metrics;

    let watching = client
        .payments()
        .watch_payments(WatchPaymentsRequest::default())
        .await
        .unwrap();
    let open = http::get(admin, "/metrics").await.unwrap();
    assert!(open.body.contains("\npaygate_open_watches 1\n"));
    drop(watching);
    let deadline = Instant::now() + WITHIN;
    while !http::get(admin, "/metrics")
        .await
        .unwrap()
        .body
        .contains("\npaygate_open_watches 0\n")
    {
        assert!(Instant::now() < deadline, "the watcher has gone");
        tokio::time::sleep(POLL).await;
    }

    let classic = http::get(admin, "/metrics").await.unwrap();
    assert!(classic.head.contains("text/plain; version=0.0.4"));
    assert!(!classic.body.contains("trace_id") && !classic.body.contains("# EOF"));
    let open = http::get_as(admin, "/metrics", OPENMETRICS).await.unwrap();
    assert!(open.head.contains("application/openmetrics-text"));
    assert!(open.body.ends_with("# EOF\n"));
    let shown = |start: &str, label: &str| {
        open.body.lines().any(|line| {
            line.starts_with(start)
                && line.contains(label)
                && line.contains(&format!("# {{trace_id=\"{trace}\"}}"))
        })
    };
    for stage in ["accept", "queue", "sign", "submit", "confirm"] {
        assert!(
            shown(
                "paygate_stage_duration_seconds_bucket",
                &format!("stage=\"{stage}\"")
            ),
            "{stage} of the traced payment is not shown:\n{}",
            open.body
        );
    }
    assert!(shown(
        "grpc_request_duration_seconds_bucket",
        "method=\"CreatePayment\""
    ));
}

#[tokio::test(flavor = "multi_thread")]
async fn thousands_of_payments_do_not_grow_the_scrape() {
    let world = World::start(Setup {
        wallet_xrp: 1_000_000,
        daily_limit_xrp: "100000".to_owned(),
        max_pending: 6_000,
        assets: vec![dollars()],
        ..Setup::default()
    })
    .await
    .unwrap();
    create(&world, "first", 1).await;
    let first = world.client().until_final("first-0-0", WITHIN).await;
    assert_eq!(first.unwrap().state(), PaymentState::Paid);
    call_what_does_not_exist(&world).await;
    let before = until_complete(&world).await.series();
    create(&world, "many", PAYMENTS / CALLERS).await;
    call_what_does_not_exist(&world).await;
    let after = until_complete(&world).await.series();
    eprintln!(
        "cardinality: {before} series after {CALLERS} payments, {after} after {} of {CALLERS} concurrent callers \
         (without authentication all of them are the client `local`; no label holds a client)",
        PAYMENTS + CALLERS
    );
    assert!(after <= SERIES_MAX, "{after} series, at most {SERIES_MAX}");
    // Another status code, or a command that the ledger is asked now and then, has at most a histogram's lines.
    assert!(after <= before + 40, "{before} series became {after}");
}

/// Each caller has a connection of his own and stores so many, some at the same time.
async fn create(world: &World, name: &'static str, each: usize) {
    let mut callers = JoinSet::new();
    for caller in 0..CALLERS {
        let client = Client::new(&world.listeners().grpc);
        for lane in 0..LANES.min(each) {
            let client = client.clone();
            callers.spawn(async move {
                for n in (lane..each).step_by(LANES) {
                    let id = format!("{name}-{caller}-{n}");
                    let request = payment(&id, &payee("alice"), DROPS_PER_XRP);
                    client.create_until_stored(&request, WITHIN).await.unwrap();
                }
            });
        }
    }
    while let Some(done) = callers.join_next().await {
        done.unwrap();
    }
}

/// Paths are the caller's to choose; labels are not.
async fn call_what_does_not_exist(world: &World) {
    for n in 0..50 {
        let mut client = tonic::client::Grpc::new(world.client().channel());
        client.ready().await.unwrap();
        let path = format!("/made.up.Service{n}/Method{n}").parse().unwrap();
        let codec: tonic_prost::ProstCodec<WatchPaymentsRequest, WatchPaymentsRequest> =
            tonic_prost::ProstCodec::default();
        let request = tonic::Request::new(WatchPaymentsRequest::default());
        let refused = client.unary(request, path, codec).await.unwrap_err();
        assert_eq!(refused.code(), Code::Unimplemented);
    }
    let text = http::get(&world.listeners().metrics, "/metrics").await;
    let text = text.unwrap().body;
    assert!(text.contains("service=\"unknown\",method=\"unknown\",code=\"UNIMPLEMENTED\""));
    assert!(!text.contains("made.up"));
}
