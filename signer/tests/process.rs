//! The signer as its users see it: a process behind a Unix socket.

#![allow(missing_docs, clippy::unwrap_used)]

use std::io::{BufRead, BufReader};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use paygate_proto::signer::v1 as wire;
use paygate_signer::intent::PaymentRequest;
use tonic::transport::{Channel, Endpoint};
use wire::sign_payment_response::Outcome;
use wire::signer_service_client::SignerServiceClient;
use wire::telemetry_service_client::TelemetryServiceClient;

/// The well-known seed "masterpassphrase": no secret.
const SEED: &str = "snoPBrXtMeMyMHUVTgbuqAfg1SUTb";
const WALLET: &str = "rHb9CJAWyB4rj91VRWn96DkukG4bwdtyTh";
const DESTINATION: &str = "rPT1Sjq2YGrBMTttX4GZHjKu9dyfzbpAYe";
const RLUSD: &str = "524C555344000000000000000000000000000000";
const RLUSD_ISSUER: &str = "rMxCKbEDwqr76QuheSUMdEGf4B9xJ8m5De";
const TRACE_ID: &str = "0af7651916cd43dd8448eb211c80319c";

struct Process {
    child: Child,
    socket: PathBuf,
    account: String,
    directory: tempfile::TempDir,
}

fn write_private(path: &Path, text: &str) {
    use std::io::Write as _;
    let mut file = std::fs::File::options()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)
        .unwrap();
    file.write_all(text.as_bytes()).unwrap();
}

fn configure(directory: &Path) -> PathBuf {
    let anchor_time = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_secs();
    write_private(&directory.join("seed"), &format!("{SEED}\n"));
    std::fs::DirBuilder::new()
        .mode(0o750)
        .recursive(true)
        .create(directory.join("run"))
        .unwrap();
    let text = format!(
        r#"
        [listen]
        socket_path = "{directory}/run/signer.sock"
        [wallet]
        seed_file = "{directory}/seed"
        network_id = 63456
        [policy]
        anchor_ledger_index = 1000
        anchor_time = {anchor_time}
        allowed_types = ["payment", "no_op", "ticket_create"]
        [[policy.assets]]
        currency = "{RLUSD}"
        issuer = "{RLUSD_ISSUER}"
        max_payment = "500"
        max_day = "2500.5"
        [journal]
        directory = "{directory}/journal"
        "#,
        directory = directory.display()
    );
    let path = directory.join("signer.toml");
    std::fs::write(&path, text).unwrap();
    path
}

fn command(config: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_paygate-signer"));
    command.arg("serve").arg("--config").arg(config);
    command
}

impl Process {
    fn start() -> Process {
        let directory = tempfile::tempdir().unwrap();
        let config = configure(directory.path());
        Process::start_in(directory, &config)
    }

    fn start_in(directory: tempfile::TempDir, config: &Path) -> Process {
        let mut child = command(config).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        let ready: serde_json::Value = serde_json::from_str(&line).unwrap();
        let socket = ready["listening"]
            .as_str()
            .unwrap()
            .strip_prefix("unix://")
            .unwrap()
            .into();
        let account = ready["account"].as_str().unwrap().to_owned();
        Process {
            child,
            socket,
            account,
            directory,
        }
    }

    async fn channel(&self) -> Channel {
        Endpoint::from_shared(format!("unix://{}", self.socket.display()))
            .unwrap()
            .connect()
            .await
            .unwrap()
    }

    /// As `kill -9` does it: the socket's file is left behind.
    fn kill_and_start(mut self) -> Process {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        let empty = tempfile::tempdir().unwrap();
        let directory = std::mem::replace(&mut self.directory, empty);
        let config = directory.path().join("signer.toml");
        Process::start_in(directory, &config)
    }

    fn end(&mut self) -> Option<i32> {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
        self.child.wait().unwrap().code()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn payment(sequence: u32, payment_id: &str) -> wire::SignPaymentRequest {
    let request = wire::SignPaymentRequest {
        fence: Some(wire::Fence {
            store_id: vec![7; 16],
            epoch: 1,
            journal_head: Some(wire::JournalHead {
                height: 0,
                hash: Vec::new(),
            }),
        }),
        key: Some(wire::PaymentKey {
            client_id: "local".into(),
            payment_id: payment_id.into(),
        }),
        account: WALLET.into(),
        slot: Some(wire::Slot {
            kind: Some(wire::slot::Kind::Sequence(sequence)),
        }),
        destination: DESTINATION.into(),
        destination_tag: Some(0),
        amount: Some(wire::sign_payment_request::Amount::XrpDrops(25_000_000)),
        fee_drops: 12,
        last_ledger_sequence: 1010,
        intent_digest: vec![0; 32],
        ..Default::default()
    };
    with_digest(request)
}

fn with_digest(mut request: wire::SignPaymentRequest) -> wire::SignPaymentRequest {
    request.intent_digest = PaymentRequest::from_wire(request.clone())
        .unwrap()
        .digest(63456)
        .to_vec();
    request
}

#[tokio::test]
async fn it_signs_over_its_socket_and_answers_a_repetition_with_the_same_bytes() {
    let mut process = Process::start();
    assert_eq!(process.account, WALLET);
    let mut signer = SignerServiceClient::new(process.channel().await);

    let described = signer
        .describe_signer(wire::DescribeSignerRequest {})
        .await
        .unwrap()
        .into_inner();
    assert_eq!(described.account, WALLET);
    let hardening = described.hardening.unwrap();
    assert!(
        hardening.landlock && hardening.seccomp && hardening.no_new_privs,
        "{hardening:?}"
    );
    assert!(
        hardening.not_dumpable && hardening.key_memory_locked,
        "{hardening:?}"
    );

    let sign = |mut signer: SignerServiceClient<Channel>, request| async move {
        match signer
            .sign_payment(request)
            .await
            .unwrap()
            .into_inner()
            .outcome
            .unwrap()
        {
            Outcome::Signed(signed) => signed,
            Outcome::Denied(denied) => panic!("{denied:?}"),
        }
    };
    let first = sign(signer.clone(), payment(7, "p-1")).await;
    let again = sign(signer.clone(), payment(7, "p-1")).await;
    assert!(!first.replayed && again.replayed);
    assert_eq!((&first.blob, &first.tx_hash), (&again.blob, &again.tx_hash));
    assert_eq!(first.journal_head.unwrap().height, 1);

    assert_eq!(process.end(), Some(0));
}

#[tokio::test]
async fn it_pays_a_listed_asset_and_tells_what_is_used_of_its_limits() {
    let process = Process::start();
    let mut signer = SignerServiceClient::new(process.channel().await);
    let paying = |sequence, payment_id: &str, currency: &str| {
        let mut request = payment(sequence, payment_id);
        request.amount = Some(wire::sign_payment_request::Amount::Issued(
            wire::IssuedAmount {
                currency: currency.into(),
                issuer: RLUSD_ISSUER.into(),
                value: "100.25".into(),
                send_max: "100.5".into(),
            },
        ));
        with_digest(request)
    };
    let mut answer = async |request| {
        let answer = signer.sign_payment(request).await.unwrap().into_inner();
        answer.outcome.unwrap()
    };
    let Outcome::Signed(signed) = answer(paying(7, "p-1", RLUSD)).await else {
        panic!("it is within all limits");
    };
    let (tx, _) = xrpl_tx::Unsigned::from_blob(&signed.blob).unwrap();
    assert!(format!("{tx:?}").contains("100.25"), "{tx:?}");
    let Outcome::Denied(denied) = answer(paying(8, "p-2", "USD")).await else {
        panic!("it is not listed");
    };
    assert_eq!(denied.reason(), wire::DenialReason::AssetNotAllowed);
    assert!(denied.permanent);
    assert_eq!(
        denied.message,
        format!("asset USD.{RLUSD_ISSUER} is not in policy.assets")
    );

    let described = signer
        .describe_signer(wire::DescribeSignerRequest {})
        .await
        .unwrap()
        .into_inner();
    let limits = described.limits.unwrap();
    assert_eq!(
        limits.assets,
        [wire::AssetLimits {
            currency: RLUSD.into(),
            issuer: RLUSD_ISSUER.into(),
            max_payment: "500".into(),
            max_day: "2500.5".into(),
            used_day: "100.5".into(),
        }]
    );
    assert_eq!(limits.used_day_drops, 12);
}

#[tokio::test]
async fn it_makes_tickets_and_names_what_is_wrong_with_a_request_for_them() {
    use wire::sign_ticket_create_response::Outcome;
    let process = Process::start();
    let mut signer = SignerServiceClient::new(process.channel().await);
    let mut ask = async |ticket_count, kind| {
        let request = wire::SignTicketCreateRequest {
            fence: payment(7, "p-1").fence,
            account: WALLET.into(),
            slot: Some(wire::Slot { kind: Some(kind) }),
            ticket_count,
            source_tag: None,
            fee_drops: 12,
            last_ledger_sequence: 1010,
        };
        let answer = signer.sign_ticket_create(request).await.unwrap();
        answer.into_inner().outcome.unwrap()
    };
    for (count, kind, message) in [
        (
            251,
            wire::slot::Kind::Sequence(7),
            "ticket_count is 251, not within 1 to 250",
        ),
        (
            1,
            wire::slot::Kind::Ticket(7),
            "slot is a ticket: tickets are made by a sequence",
        ),
    ] {
        let Outcome::Denied(denied) = ask(count, kind).await else {
            panic!("{message}");
        };
        assert_eq!(denied.message, message);
        assert_eq!(denied.reason(), wire::DenialReason::WrongRequest);
        assert!(!denied.permanent);
    }
    let Outcome::Signed(first) = ask(250, wire::slot::Kind::Sequence(7)).await else {
        panic!("the policy allows it");
    };
    let Outcome::Signed(again) = ask(250, wire::slot::Kind::Sequence(7)).await else {
        panic!("it is a repetition");
    };
    assert!(!first.replayed && again.replayed);
    assert_eq!((first.blob, first.tx_hash), (again.blob, again.tx_hash));
}

#[tokio::test]
async fn killed_and_started_again_it_answers_with_the_same_bytes() {
    let process = Process::start();
    let sign = |channel: Channel| async move {
        let mut signer = SignerServiceClient::new(channel);
        match signer
            .sign_payment(payment(7, "p-1"))
            .await
            .unwrap()
            .into_inner()
            .outcome
            .unwrap()
        {
            Outcome::Signed(signed) => signed,
            Outcome::Denied(denied) => panic!("{denied:?}"),
        }
    };
    let first = sign(process.channel().await).await;
    let again = process.kill_and_start();
    let replayed = sign(again.channel().await).await;
    assert!(replayed.replayed);
    assert_eq!(replayed.blob, first.blob);
    assert_eq!(replayed.journal_head, first.journal_head);
}

#[tokio::test]
async fn its_health_is_serving_by_both_names() {
    let process = Process::start();
    let mut health = tonic_health::pb::health_client::HealthClient::new(process.channel().await);
    for service in ["", "paygate.signer.v1.SignerService"] {
        let request = tonic_health::pb::HealthCheckRequest {
            service: service.into(),
        };
        let status = health.check(request).await.unwrap().into_inner().status;
        assert_eq!(
            status,
            tonic_health::pb::health_check_response::ServingStatus::Serving as i32
        );
    }
}

#[tokio::test]
async fn its_spans_join_the_callers_trace_and_hold_no_secret() {
    let process = Process::start();
    let mut signer = SignerServiceClient::new(process.channel().await);
    let mut request = tonic::Request::new(payment(7, "p-traced"));
    let traceparent = format!("00-{TRACE_ID}-b7ad6b7169203331-01");
    request
        .metadata_mut()
        .insert("traceparent", traceparent.parse().unwrap());
    let Some(Outcome::Signed(signed)) = signer
        .sign_payment(request)
        .await
        .unwrap()
        .into_inner()
        .outcome
    else {
        panic!("it is within all limits")
    };

    let mut telemetry = TelemetryServiceClient::new(process.channel().await);
    let deadline = std::time::Instant::now() + Duration::from_secs(10);
    let mut pulled = Vec::new();
    let mut metrics = Vec::new();
    // The call's span ends a moment after its answer.
    while !contains(&pulled, b"SignPayment") && std::time::Instant::now() < deadline {
        let response = telemetry
            .pull(wire::PullRequest { max_spans: 0 })
            .await
            .unwrap()
            .into_inner();
        pulled.extend(response.export_trace_requests.concat());
        metrics = response.metrics;
        tokio::task::yield_now().await;
    }
    assert!(
        contains(&pulled, &hex::decode(TRACE_ID).unwrap()),
        "the spans are of the caller's trace"
    );
    assert!(contains(&pulled, b"vault.sign_payment") && contains(&pulled, b"p-traced"));
    for secret in [
        SEED.as_bytes(),
        &signed.blob,
        hex::encode_upper(&signed.blob).as_bytes(),
    ] {
        assert!(!contains(&pulled, secret));
    }
    let approved = metrics
        .iter()
        .find(|metric| metric.name == "paygate_signer_requests_total")
        .unwrap();
    assert_eq!(
        (approved.value, approved.labels["result"].as_str()),
        (1, "approved")
    );
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}

#[tokio::test]
async fn nobody_else_may_connect() {
    let directory = tempfile::tempdir().unwrap();
    let config = configure(directory.path());
    let mut child = command(&config)
        .env("PAYGATE_SIGNER__LISTEN__ALLOWED_UIDS", "[4242]")
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap())
        .read_line(&mut line)
        .unwrap();
    let endpoint = Endpoint::from_shared(format!(
        "unix://{}/run/signer.sock",
        directory.path().display()
    ))
    .unwrap();
    let mut signer = SignerServiceClient::new(endpoint.connect_lazy());
    let refused = signer.describe_signer(wire::DescribeSignerRequest {}).await;
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(refused.is_err());
}

#[test]
fn two_signers_cannot_run_for_one_wallet() {
    let process = Process::start();
    let config = process.directory.path().join("signer.toml");
    let same_socket = command(&config).output().unwrap();
    assert_eq!(same_socket.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&same_socket.stderr).contains("another process listens on"));

    let other_socket = process.directory.path().join("run/other.sock");
    let same_journal = command(&config)
        .env("PAYGATE_SIGNER__LISTEN__SOCKET_PATH", other_socket)
        .output()
        .unwrap();
    assert_eq!(same_journal.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&same_journal.stderr).contains("is in use by another signer"));
}

#[test]
fn a_bad_configuration_is_named_and_exits_with_64() {
    let directory = tempfile::tempdir().unwrap();
    let config = configure(directory.path());
    let check = |variable: &str, value: &str| {
        let output = Command::new(env!("CARGO_BIN_EXE_paygate-signer"))
            .arg("check-config")
            .arg("--config")
            .arg(&config)
            .env(variable, value)
            .output()
            .unwrap();
        (
            output.status.code(),
            String::from_utf8_lossy(&output.stderr).into_owned(),
        )
    };
    assert_eq!(check("UNRELATED", "1").0, Some(0));
    let (code, message) = check("PAYGATE_SIGNER__POLICY__MAX_DAY_XRP", "a lot");
    assert_eq!(code, Some(64));
    assert!(message.contains("policy.max_day_xrp"), "{message}");
}

#[test]
fn a_seed_file_that_others_may_read_is_refused() {
    use std::os::unix::fs::PermissionsExt as _;
    let directory = tempfile::tempdir().unwrap();
    let config = configure(directory.path());
    std::fs::set_permissions(
        directory.path().join("seed"),
        std::fs::Permissions::from_mode(0o640),
    )
    .unwrap();
    let output = command(&config).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let message = String::from_utf8_lossy(&output.stderr);
    assert!(
        message.contains("mode 0640") && !message.contains(SEED),
        "{message}"
    );
}
