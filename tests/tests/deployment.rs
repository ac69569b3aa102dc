//! `paygate preflight`, before a deployment: a gateway that is prepared passes, and each thing that is not as it must be is found and named.
//!
//! One world for one long story; most defects are one variable, and are looked at side by side.
#![allow(clippy::unwrap_used, reason = "a story ends where it goes wrong")]

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use paygate_proto::v1::PaymentState;
use paygate_tests::world::client::{DROPS_PER_XRP, payment};
use paygate_tests::world::http;
use paygate_tests::world::person::{Person, Rule};
use paygate_tests::world::pki::{Authority, Subject, put};
use paygate_tests::world::wallet::payee;
use paygate_tests::world::{Setup, World};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

/// More than anything here takes on a busy machine.
const WITHIN: Duration = Duration::from_secs(60);

const POLL: Duration = Duration::from_millis(50);

/// asfDisableMaster.
const DISABLE_MASTER: u32 = 4;

/// Lists at the same time: each waits for a ledger most of the time.
const SIDE_BY_SIDE: usize = 4;

type Variables = Vec<(String, String)>;

fn variable(name: &str, value: impl ToString) -> (String, String) {
    (format!("PAYGATE__{name}"), value.to_string())
}

/// What the list says, as JSON.
struct Said {
    code: i32,
    items: Vec<Value>,
}

impl Said {
    fn with(&self, status: &str) -> BTreeSet<String> {
        let named = |item: &&Value| item["status"] == status;
        let names = self.items.iter().filter(named);
        names
            .map(|item| item["item"].as_str().unwrap().to_owned())
            .collect()
    }

    fn details(&self, name: &str) -> String {
        let of = self.items.iter().filter(|item| item["item"] == name);
        of.map(|item| format!("{}: {}\n", item["status"], item["detail"]))
            .collect()
    }
}

/// A gateway's configuration with the variables of its deployment.
#[derive(Clone)]
struct Deployment {
    program: PathBuf,
    config: PathBuf,
    variables: Variables,
    arguments: Vec<String>,
}

impl Deployment {
    fn runs(&self, command: &str, other: &Variables, more: &[&str]) -> (i32, String, String) {
        let output = Command::new(&self.program)
            .args([command, "--config", &self.config.display().to_string()])
            .args(more)
            .env_clear()
            .envs(
                self.variables
                    .iter()
                    .chain(other)
                    .map(|(key, value)| (key, value)),
            )
            .output()
            .unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (
            output.status.code().unwrap(),
            text(output.stdout),
            text(output.stderr),
        )
    }

    fn list(&self, other: &Variables) -> Said {
        let arguments: Vec<&str> = self
            .arguments
            .iter()
            .map(String::as_str)
            .chain(["--json"])
            .collect();
        let (code, out, err) = self.runs("preflight", other, &arguments);
        let said: Value =
            serde_json::from_str(&out).unwrap_or_else(|_| panic!("{code}: {out}{err}"));
        assert_eq!(said["passed"], code == 0, "{said}");
        let items = said["items"].as_array().unwrap().clone();
        Said { code, items }
    }

    /// The same with one thing else; an empty value means that the variable is not set at all.
    fn but(&self, other: &[(&str, &str)]) -> Deployment {
        let mut changed = self.clone();
        for (name, value) in other {
            let (name, value) = variable(name, value);
            changed.variables.retain(|(known, _)| *known != name);
            if !value.is_empty() {
                changed.variables.push((name, value));
            }
        }
        changed
    }
}

/// One defect: what is changed, which items then fail, and what one of them says.
struct Defect {
    deployment: Deployment,
    failed: &'static [&'static str],
    warned: &'static str,
    says: &'static str,
}

impl Defect {
    fn is_found(&self) {
        let said = self.deployment.list(&Vec::new());
        let failed: BTreeSet<String> = self.failed.iter().map(|name| (*name).to_owned()).collect();
        let all: String = said.items.iter().map(|item| format!("{item}\n")).collect();
        assert_eq!(
            said.with("failed"),
            failed,
            "for {:?} {}:\n{all}",
            self.failed,
            self.says
        );
        assert_eq!(said.code, i32::from(!failed.is_empty()));
        if !self.warned.is_empty() {
            assert!(
                said.with("warning").contains(self.warned),
                "{}:\n{all}",
                self.warned
            );
        }
        let name = self.failed.first().copied().unwrap_or(self.warned);
        let details = said.details(name);
        assert!(
            details.contains(self.says),
            "{name} says {details}, not {}",
            self.says
        );
    }
}

/// Prometheus and Alertmanager as far as they are asked: by path, what is answered.
struct Monitoring {
    url: String,
    answers: Arc<Mutex<Vec<(&'static str, Value)>>>,
}

impl Monitoring {
    async fn start(metrics: &str) -> Monitoring {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let answers = Arc::new(Mutex::new(Self::good(metrics)));
        let served = Arc::clone(&answers);
        tokio::spawn(async move {
            while let Ok((mut socket, _)) = listener.accept().await {
                let served = Arc::clone(&served);
                tokio::spawn(async move {
                    let mut request = vec![0; 16 * 1024];
                    let read = socket.read(&mut request).await.unwrap_or(0);
                    let request = String::from_utf8_lossy(&request[..read]).into_owned();
                    let found = served
                        .lock()
                        .unwrap()
                        .iter()
                        .find(|(start, _)| request.starts_with(start))
                        .cloned();
                    let (status, body) =
                        found.map_or((404, json!("not here")), |(_, body)| (200, body));
                    let _ = socket
                        .write_all(format!("HTTP/1.0 {status} said\r\n\r\n{body}").as_bytes())
                        .await;
                });
            }
        });
        Monitoring { url, answers }
    }

    /// What both say where all is well. The rules are those that are shipped.
    fn good(metrics: &str) -> Vec<(&'static str, Value)> {
        let shipped = concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy/prometheus");
        let read = |file: &str| fs::read_to_string(format!("{shipped}/{file}")).unwrap();
        let text = read("alerts.yml") + &read("slo.yml");
        let names = text
            .lines()
            .filter_map(|line| line.trim().strip_prefix("- alert: "));
        let rules: Vec<Value> = names
            .map(|name| json!({ "name": name, "type": "alerting" }))
            .collect();
        vec![
            (
                "GET /api/v1/targets",
                json!({ "data": { "activeTargets": [
                { "scrapeUrl": format!("http://{metrics}/metrics"), "health": "up", "labels": { "job": "paygate" } },
            ] } }),
            ),
            (
                "GET /api/v1/rules",
                json!({ "data": { "groups": [{ "name": "paygate", "rules": rules }] } }),
            ),
            ("POST /api/v2/alerts", json!(null)),
            (
                "GET /api/v2/alerts",
                json!([{ "receivers": [{ "name": "payments-on-call" }], "status": { "state": "active" } }]),
            ),
        ]
    }

    fn answers(&self, start: &'static str, answer: Option<Value>) {
        let mut answers = self.answers.lock().unwrap();
        answers.retain(|(known, _)| *known != start);
        answers.extend(answer.map(|answer| (start, answer)));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_prepared_deployment_passes_and_every_defect_is_named() {
    let hot = Person::wallet_of("hot wallet").address();
    let richer = Person::wallet_of("treasury").address();
    let mut world = World::prepare(Setup {
        servers: 3,
        max_payment_xrp: "20000".to_owned(),
        daily_limit_xrp: "40000".to_owned(),
        funded: vec![(hot.clone(), 15), (richer, 90_000), (payee("alice"), 100)],
        signer_variables: vec![("PAYGATE_SIGNER__WALLET__ADDRESS".to_owned(), hot.clone())],
        ..Setup::default()
    })
    .await
    .unwrap();
    // First the ledger's side: a wallet without money, keys and rules, then each of them.
    world.start_signer().await.unwrap();
    let open = vec![
        variable("WALLET__ADDRESS", &hot),
        variable("LIMITS__MAX_PAYMENT_XRP", 100),
        variable("LIMITS__DAILY_LIMIT_XRP", 1000),
    ];
    world.set_gateway_variables(open.clone());
    let mut deployment = Deployment {
        program: world.binaries().gateway.clone(),
        config: world.write_gateway_config().unwrap(),
        variables: open.clone(),
        arguments: Vec::new(),
    };
    let person = Person::named("hot wallet", &world.ledger());
    the_wallet_is_prepared(&world, &deployment, &person).await;

    world.start_gateway().await.unwrap();
    // Then its own: a first payment, so that store and journal know each other, access, a copy.
    let client = world.client();
    client
        .create_until_stored(&payment("first", &payee("alice"), DROPS_PER_XRP), WITHIN)
        .await
        .unwrap();
    assert_eq!(
        client.until_final("first", WITHIN).await.unwrap().state(),
        PaymentState::Paid
    );
    world.stop_gateway().await.unwrap();
    let authority = Authority::new("a CA");
    deployment.variables = [open, guarded(&world, &authority)].concat();
    world.set_gateway_variables(deployment.variables.clone());
    world.start_gateway().await.unwrap();
    deployment.config = world.write_gateway_config().unwrap();
    let (code, out, err) = deployment.runs("backup", &Vec::new(), &[]);
    assert_eq!(code, 0, "{out}{err}");
    healthy(&world, 200).await;
    let monitoring = Monitoring::start(&world.listeners().metrics).await;
    let arguments = [
        "--prometheus",
        &monitoring.url,
        "--alertmanager",
        &monitoring.url,
    ];
    deployment.arguments = arguments.map(str::to_owned).to_vec();

    let passes = |deployment: &Deployment| {
        let said = deployment.list(&Vec::new());
        assert_eq!(said.code, 0, "{:?}", said.items);
        let warned: Vec<String> = said.with("warning").into_iter().collect();
        // What a devnet is: no production, one machine.
        let known = ["profile-production", "signer-hardened"];
        assert!(
            warned.iter().all(|name| known.contains(&name.as_str())),
            "{:?}",
            said.items
        );
        assert_eq!(said.with("person").len(), 8);
    };
    passes(&deployment);
    let (code, out, _) = deployment.runs("preflight", &Vec::new(), &[]);
    assert!(
        code == 0 && out.contains("PERSON   on-call") && out.contains("0 failed"),
        "{out}"
    );

    let defects = defects(&world, &deployment, &authority);
    let count = defects.len();
    let left = Mutex::new(defects.into_iter());
    let next = || left.lock().unwrap().next();
    std::thread::scope(|scope| {
        let next = &next;
        for _ in 0..SIDE_BY_SIDE {
            scope.spawn(move || {
                while let Some(defect) = next() {
                    defect.is_found();
                }
            });
        }
    });
    assert!(count >= 20, "{count} defects");
    nobody_hears(&deployment, &monitoring).await;
    let (code, _, err) =
        deployment
            .but(&[("XRPL__AGREEMENT", "0")])
            .runs("preflight", &Vec::new(), &[]);
    assert_eq!(code, 64, "a bad configuration is none: {err}");

    passes(&deployment);
    world.kill_signer();
    healthy(&world, 503).await;
    let gone = Defect {
        deployment,
        failed: &["gateway-health", "signer-reachable"],
        warned: "signer-healthy",
        says: "signer is unhealthy",
    };
    gone.is_found();
}

async fn healthy(world: &World, status: u16) {
    let deadline = Instant::now() + WITHIN;
    loop {
        let answer = http::get(&world.listeners().metrics, "/health")
            .await
            .unwrap();
        if answer.status == status {
            return;
        }
        assert!(Instant::now() < deadline, "never {status}: {}", answer.body);
        tokio::time::sleep(POLL).await;
    }
}

/// Looks at the list while the wallet comes to be what it must be.
async fn the_wallet_is_prepared(world: &World, deployment: &Deployment, hot: &Person) {
    let usual: BTreeSet<String> = ["authentication".to_owned()].into();
    let fails = |more: &[&str]| {
        let said = deployment.list(&Vec::new());
        let wanted: BTreeSet<String> = usual
            .iter()
            .cloned()
            .chain(more.iter().map(|name| (*name).to_owned()))
            .collect();
        assert_eq!(said.with("failed"), wanted, "{:?}", said.items);
        said
    };
    let done = async |result: Result<String, _>| {
        assert_eq!(result.unwrap(), "tesSUCCESS");
        let before = world.ledger().validated_index().await.unwrap();
        while world.ledger().validated_index().await.unwrap() < before + 2 {
            tokio::time::sleep(POLL).await;
        }
    };
    let said = fails(&[
        "wallet-balance",
        "wallet-covers-a-payment",
        "key-authorised",
        "key-is-regular",
        "master-key-disabled",
    ]);
    let warned = said.with("warning");
    for name in [
        "signer-list",
        "destination-tag-required",
        "approval-threshold",
        "certificate-dates",
        "alerts-loaded",
        "gateway-health",
        "backup-age",
    ] {
        assert!(warned.contains(name), "{name}: {warned:?}");
    }
    let treasury = Person::named("treasury", &world.ledger());
    let refill = |xrp: u64| json!({ "TransactionType": "Payment", "Destination": hot.address(), "Amount": (xrp * DROPS_PER_XRP).to_string() });
    done(treasury.sends(refill(60)).await).await;
    let key = json!({ "TransactionType": "SetRegularKey", "RegularKey": payee("another key") });
    done(hot.sends(key).await).await;
    // Money between the two alerts, and somebody else's key.
    let said = fails(&[
        "wallet-covers-a-payment",
        "key-authorised",
        "key-is-regular",
        "master-key-disabled",
    ]);
    assert!(
        said.with("warning").contains("wallet-balance"),
        "{:?}",
        said.items
    );
    done(treasury.sends(refill(50_000)).await).await;
    let key = json!({ "TransactionType": "SetRegularKey", "RegularKey": world.wallet().address() });
    done(hot.sends(key).await).await;
    fails(&["master-key-disabled"]);
    let entry =
        |name: &str| json!({ "SignerEntry": { "Account": payee(name), "SignerWeight": 1 } });
    let list = json!({ "TransactionType": "SignerListSet", "SignerQuorum": 2, "SignerEntries": [entry("ann"), entry("ben")] });
    done(hot.sends(list).await).await;
    done(hot.sets(Rule::DestinationTag, true).await).await;
    let disable = json!({ "TransactionType": "AccountSet", "SetFlag": DISABLE_MASTER });
    done(hot.sends(disable).await).await;
    let said = fails(&[]);
    assert!(
        said.details("signer-list").contains("2 signers, quorum 2"),
        "{:?}",
        said.items
    );
}

/// Files of TLS, and who may call.
fn guarded(world: &World, authority: &Authority) -> Variables {
    let at = |name: &str| world.path(&format!("gateway/{name}"));
    let own = authority.issue(
        1,
        &Subject {
            common_name: "gateway".to_owned(),
            ..Subject::default()
        },
    );
    put(&at("ca.pem"), authority.pem()).unwrap();
    put(&at("server.pem"), &own.cert).unwrap();
    put(&at("server.key"), &own.key).unwrap();
    vec![
        variable("TLS__CERT_FILE", at("server.pem").display()),
        variable("TLS__KEY_FILE", at("server.key").display()),
        variable("TLS__CLIENT_CA_FILE", at("ca.pem").display()),
        variable("SECURITY__REQUIRE_AUTHENTICATION", true),
        variable(
            "CLIENTS",
            "[{client_id=\"shop\",credentials=[\"dns:shop.example.org\"],scopes=[\"pay\"]}]",
        ),
        variable("LIMITS__APPROVAL_THRESHOLD_XRP", 50),
    ]
}

fn folder(world: &World, name: &str, mode: u32) -> String {
    let path = world.path(name);
    fs::create_dir(&path).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    path.display().to_string()
}

/// Copies the backup, with something changed in its manifest.
fn copies(world: &World, to: &str, change: impl Fn(&mut Value)) {
    for entry in fs::read_dir(world.path("backups")).unwrap() {
        let from = entry.unwrap().path();
        let file = Path::new(to).join(from.file_name().unwrap());
        match from.extension().is_some_and(|kind| kind == "json") {
            false => drop(fs::copy(&from, file).unwrap()),
            true => {
                let mut manifest: Value =
                    serde_json::from_str(&fs::read_to_string(&from).unwrap()).unwrap();
                change(&mut manifest);
                fs::write(file, manifest.to_string()).unwrap();
            }
        }
    }
}

fn defects(world: &World, good: &Deployment, authority: &Authority) -> Vec<Defect> {
    let defect =
        |other: &[(&str, &str)], failed: &'static [&'static str], says: &'static str| Defect {
            deployment: good.but(other),
            failed,
            warned: "",
            says,
        };
    let warns = |other: &[(&str, &str)], warned: &'static str, says: &'static str| Defect {
        deployment: good.but(other),
        failed: &[],
        warned,
        says,
    };
    let at = |name: &str| world.path(name).display().to_string();
    let own = fs::read_to_string(world.path("gateway/server.key")).unwrap();
    fs::write(world.path("gateway/open.key"), own).unwrap();
    fs::set_permissions(
        world.path("gateway/open.key"),
        fs::Permissions::from_mode(0o644),
    )
    .unwrap();
    let expired = authority.issue(
        2,
        &Subject {
            common_name: "gateway".to_owned(),
            expired: true,
            ..Subject::default()
        },
    );
    put(&world.path("gateway/expired.pem"), &expired.cert).unwrap();
    put(&world.path("gateway/expired.key"), &expired.key).unwrap();
    let (empty, old, open, cut) = (
        folder(world, "empty", 0o700),
        folder(world, "old", 0o700),
        folder(world, "open", 0o755),
        folder(world, "cut", 0o700),
    );
    copies(world, &old, |manifest| {
        manifest["made_at_unix"] = json!(1_700_000_000)
    });
    copies(world, &open, |_| ());
    copies(world, &cut, |manifest| manifest["bytes"] = json!(1));
    let servers = |number: usize, more: &str, own: bool| {
        let entry = |n: usize| {
            let url = world.ledger_server_url(n);
            format!("{{url=\"{url}\",operator=\"o{n}\",own={own}}}")
        };
        let mut entries: Vec<String> = (1..=number).map(entry).collect();
        entries.extend((!more.is_empty()).then(|| more.to_owned()));
        format!("[{}]", entries.join(","))
    };
    let gone = "{url=\"ws://127.0.0.1:9\",operator=\"gone\"}";
    let mut bare = good.clone();
    bare.config = world.path("gateway/bare.toml");
    let whole = fs::read_to_string(&good.config).unwrap();
    let without: Vec<&str> = whole
        .lines()
        .filter(|line| !line.starts_with("dir = "))
        .collect();
    fs::write(&bare.config, without.join("\n")).unwrap();
    let wrong_hash = "AB".repeat(32);
    let nobody = payee("nobody");
    vec![
        defect(
            &[("MONITORING__LOG_LEVEL", "debug")],
            &["log-level"],
            "debug",
        ),
        defect(
            &[("SECURITY__REQUIRE_AUTHENTICATION", "false")],
            &["authentication"],
            "may pay",
        ),
        warns(
            &[
                ("LIMITS__MAX_PAYMENT_XRP", "20000"),
                ("LIMITS__DAILY_LIMIT_XRP", "40000"),
            ],
            "limits-conservative",
            "20000 XRP, above 10000 XRP",
        ),
        warns(
            &[("LIMITS__APPROVAL_THRESHOLD_XRP", "")],
            "approval-threshold",
            "not set",
        ),
        defect(
            &[("TLS__KEY_FILE", &at("gateway/nowhere.key"))],
            &["access-files"],
            "tls.key_file",
        ),
        defect(
            &[("TLS__KEY_FILE", &at("gateway/open.key"))],
            &["access-files", "file-modes"],
            "0644",
        ),
        defect(
            &[
                ("TLS__CERT_FILE", &at("gateway/expired.pem")),
                ("TLS__KEY_FILE", &at("gateway/expired.key")),
            ],
            &["certificate-dates"],
            "tls.cert_file is not valid any more",
        ),
        defect(
            &[("ROLLOUT__STAGES_PATH", "/nowhere/stages.toml")],
            &["rollout-stage"],
            "cannot be read",
        ),
        defect(&[("BACKUP__DIR", &empty)], &["backup-age"], "no whole copy"),
        defect(&[("BACKUP__DIR", &cut)], &["backup-age"], "no whole copy"),
        defect(
            &[("BACKUP__DIR", &old)],
            &["backup-age"],
            "hours old, 26 are too many",
        ),
        Defect {
            deployment: bare,
            failed: &["backup-age"],
            warned: "",
            says: "backup.dir is not set",
        },
        defect(
            &[("BACKUP__DIR", &open)],
            &["file-modes"],
            "0755: others can read it",
        ),
        defect(
            &[("BACKUP__DIR", "/proc")],
            &["disk-free", "backup-age", "file-modes"],
            "backup.dir: 0 MiB are free in /proc",
        ),
        defect(
            &[("STORE__PATH", &at("nowhere/paygate.db"))],
            &["store", "signer-store", "disk-free"],
            "is no folder",
        ),
        defect(
            &[("STORE__PATH", &at("empty/paygate.db"))],
            &["signer-store"],
            "there is no database",
        ),
        defect(
            &[("SIGNER__SOCKET_PATH", &at("run/nowhere.sock"))],
            &["signer-reachable"],
            "nowhere.sock",
        ),
        defect(
            &[("SIGNER__ALLOWED_UIDS", "[12345]")],
            &["signer-reachable"],
            "not in signer.allowed_uids",
        ),
        defect(
            &[("FEES__MAX_DROPS", "999999")],
            &["signer-limits"],
            "fees.max_drops is 999999 drops",
        ),
        defect(
            &[("XRPL__LAST_LEDGER_WINDOW", "200")],
            &["signer-limits"],
            "xrpl.last_ledger_window is 200 ledgers",
        ),
        defect(
            &[("WALLET__ADDRESS", &nobody)],
            &["wallet-exists", "signer-wallet", "store", "backup-age"],
            "is not in ledger",
        ),
        defect(
            &[("WALLET__NETWORK_ID", "1")],
            &[
                "ledger-server-network",
                "ledger-operators",
                "signer-wallet",
                "store",
                "backup-age",
                "wallet-exists",
            ],
            "network_id is 21337, configured is 1",
        ),
        defect(
            &[("WALLET__ANCHOR__HASH", &wrong_hash)],
            &["ledger-server-network", "ledger-operators", "wallet-exists"],
            "expected is ABAB",
        ),
        defect(
            &[("XRPL__SERVERS", &servers(2, gone, true))],
            &["ledger-server-reached"],
            "gone: ws://127.0.0.1:9: connecting failed",
        ),
        defect(
            &[("XRPL__SERVERS", &servers(1, gone, false))],
            &["ledger-operators", "ledger-server-reached"],
            "1 operators of use, 2 must agree",
        ),
        warns(
            &[("XRPL__SERVERS", &servers(2, "", false))],
            "ledger-operators",
            "no operator to spare",
        ),
    ]
}

/// What Prometheus and Alertmanager can say, and not say.
async fn nobody_hears(good: &Deployment, monitoring: &Monitoring) {
    let rows: [(&'static str, Option<Value>, &'static str, &'static str); 6] = [
        ("GET /api/v1/targets", None, "metrics-scraped", "404"),
        (
            "GET /api/v1/targets",
            Some(json!({ "data": { "activeTargets": [] } })),
            "metrics-scraped",
            "none of 0 targets",
        ),
        (
            "GET /api/v1/targets",
            Some(
                json!({ "data": { "activeTargets": [{ "scrapeUrl": "http://gateway:9090/metrics", "labels": { "job": "paygate" },
                "health": "down", "lastError": "connection refused" }] } }),
            ),
            "metrics-scraped",
            "is down: connection refused",
        ),
        (
            "GET /api/v1/rules",
            Some(json!({ "data": { "groups": [{ "rules": [{ "name": "SignerDown" }] }] } })),
            "alerts-loaded",
            "missing: BackupTooOld",
        ),
        ("POST /api/v2/alerts", None, "alert-delivered", "404"),
        (
            "GET /api/v2/alerts",
            Some(json!([])),
            "alert-delivered",
            "does not show it",
        ),
    ];
    for (path, answer, item, says) in rows {
        let before = monitoring.answers.lock().unwrap().clone();
        monitoring.answers(path, answer);
        let failed: &'static [&'static str] = match item {
            "metrics-scraped" => &["metrics-scraped"],
            "alerts-loaded" => &["alerts-loaded"],
            _ => &["alert-delivered"],
        };
        let deployment = good.clone();
        let found = move || {
            Defect {
                deployment,
                failed,
                warned: "",
                says,
            }
            .is_found()
        };
        tokio::task::spawn_blocking(found).await.unwrap();
        *monitoring.answers.lock().unwrap() = before;
    }
}
