//! Every credential is exchanged while calls go on, and not one good call fails.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use paygate_client::{Client, Identity, Settings};
use paygate_tests::world::client::payment;
use paygate_tests::world::guarded::{Guard, Guarded};
use paygate_tests::world::pki::Subject;
use paygate_tests::world::wallet::payee;

use super::{subject, token};

const WITHIN: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(20);

/// Callers at once, half of them by certificate and half by token.
const CALLERS: usize = 6;

/// Calls on one connection; then its caller makes a new one, with what is in his files then.
const CALLS_PER_CONNECTION: u32 = 6;

const CLIENTS: &str = r#"
[[clients]]
client_id = "shop"
credentials = ["cn:shop"]
scopes = ["pay", "read"]
"#;

/// Attempts that the client library has had to repeat: here each would be a failed request.
static REPEATED: AtomicU32 = AtomicU32::new(0);

/// Waits until files came into force, or were refused, so often.
pub(crate) async fn reloads(gateway: &Guarded, files: &str, result: &str, times: u64) {
    let line = format!("paygate_access_reloads_total{{files=\"{files}\",result=\"{result}\"}}");
    let deadline = Instant::now() + WITHIN;
    while gateway.metric(&line).await < times {
        assert!(
            Instant::now() < deadline,
            "{line} stays below {times}:\n{}",
            gateway.log()
        );
        tokio::time::sleep(POLL).await;
    }
}

struct Load {
    stop: Arc<AtomicBool>,
    /// Connections that each caller has finished.
    connections: Arc<[AtomicU64; CALLERS]>,
    paid: Arc<AtomicU64>,
    callers: tokio::task::JoinSet<()>,
}

impl Load {
    fn start(gateway: &Guarded, identities: &[Identity]) -> Load {
        let mut load = Load {
            stop: Arc::default(),
            connections: Arc::default(),
            paid: Arc::default(),
            callers: tokio::task::JoinSet::new(),
        };
        let destination = payee("shop");
        for caller in 0..CALLERS {
            let identity = identities[caller % identities.len()].clone();
            let (endpoint, destination) = (gateway.endpoint(), destination.clone());
            let (stop, connections, paid) = (
                load.stop.clone(),
                load.connections.clone(),
                load.paid.clone(),
            );
            load.callers.spawn(async move {
                let mut number = 0;
                while !stop.load(Ordering::Relaxed) {
                    let client = once(Client::with_identity(&endpoint, &identity).unwrap());
                    for _ in 0..CALLS_PER_CONNECTION {
                        let id = format!("caller-{caller}-{number}");
                        number += 1;
                        let asked = payment(&id, &destination, 1_000);
                        let answer = client.create_payment(asked).await;
                        answer.unwrap_or_else(|error| panic!("{id} failed: {error:?}"));
                        paid.fetch_add(1, Ordering::Relaxed);
                    }
                    connections[caller].fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        load
    }

    /// Until every caller has made a new connection and called on it.
    async fn all_anew(&mut self) {
        let begun = |all: &[AtomicU64]| {
            all.iter()
                .map(|one| one.load(Ordering::Relaxed))
                .collect::<Vec<_>>()
        };
        let before = begun(&*self.connections);
        let deadline = Instant::now() + WITHIN;
        // The first to end may have begun before now; the second has not.
        while !begun(&*self.connections)
            .iter()
            .zip(&before)
            .all(|(now, before)| *now >= before + 2)
        {
            if let Some(ended) = self.callers.try_join_next() {
                ended.unwrap();
            }
            assert!(Instant::now() < deadline, "a caller stands still");
            tokio::time::sleep(POLL).await;
        }
    }

    async fn end(mut self) -> (u64, u64) {
        self.stop.store(true, Ordering::Relaxed);
        while let Some(ended) = self.callers.join_next().await {
            ended.unwrap();
        }
        let connections = self
            .connections
            .iter()
            .map(|one| one.load(Ordering::Relaxed));
        (self.paid.load(Ordering::Relaxed), connections.sum())
    }
}

/// A client whose every repeated attempt is seen.
fn once(client: Client) -> Client {
    client.with_settings(Settings {
        attempt_timeout: Duration::from_secs(30),
        total_timeout: Duration::from_secs(60),
        on_repeat: |_, _| {
            REPEATED.fetch_add(1, Ordering::Relaxed);
        },
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn certificates_and_tokens_are_exchanged_under_load() {
    let guard = Guard {
        clients: CLIENTS.to_owned(),
        ..Guard::default()
    };
    let gateway = Guarded::start(&guard).await;
    let shop = subject("shop", &[]);
    let (old, by_certificate) = gateway.issue("shop", 10, &shop);
    let (first, first_entry) = token(&["--id", "first", "--client", "shop"]);
    gateway.put("tokens.toml", &first_entry);
    gateway.put("shop.token", &first);
    reloads(&gateway, "tokens", "ok", 1).await;
    let by_token = Identity {
        token_file: Some(gateway.file("shop.token")),
        ..gateway.nobody()
    };
    let kept = once(gateway.client(&by_certificate));
    kept.wallet().await.unwrap();
    let mut load = Load::start(&gateway, &[by_certificate, by_token]);
    load.all_anew().await;

    // The gateway's own certificate: first the file alone, which is no pair with the old key and is not used.
    let own = Subject {
        common_name: "gateway".to_owned(),
        ..Subject::default()
    };
    let next = gateway.authority.issue(2, &own);
    gateway.put("server.pem", &next.cert);
    reloads(&gateway, "tls", "failed", 1).await;
    load.all_anew().await;
    gateway.put("server.key", &next.key);
    reloads(&gateway, "tls", "ok", 1).await;
    load.all_anew().await;

    // The callers' certificate: a new one beside the old, then the old one is taken back.
    gateway.issue("shop", 11, &shop);
    load.all_anew().await;
    kept.wallet().await.unwrap();
    gateway.put("crl.pem", &gateway.authority.revoked(&[old.serial]));
    reloads(&gateway, "tls", "ok", 2).await;
    let refused = kept.wallet().await.unwrap_err().to_string();
    assert!(
        refused.contains("revoked"),
        "an open connection goes on: {refused}"
    );
    load.all_anew().await;

    // The token: two of one client, then the old one is taken back.
    let (second, second_entry) = token(&["--id", "second", "--client", "shop"]);
    gateway.put("tokens.toml", &format!("{first_entry}\n{second_entry}"));
    reloads(&gateway, "tokens", "ok", 2).await;
    gateway.put("shop.token", &second);
    load.all_anew().await;
    gateway.put(
        "tokens.toml",
        &format!("{first_entry}revoked = true\n\n{second_entry}"),
    );
    reloads(&gateway, "tokens", "ok", 3).await;
    load.all_anew().await;
    gateway.put("old.token", &first);
    let old = Identity {
        token_file: Some(gateway.file("old.token")),
        ..gateway.nobody()
    };
    let refused = once(gateway.client(&old))
        .wallet()
        .await
        .unwrap_err()
        .to_string();
    assert!(refused.contains("revoked"), "{refused}");

    // A file with a mistake changes nothing, nor does being told to read the same again.
    gateway.put("tokens.toml", "[[tokens]]\nid = \"third\"\n");
    reloads(&gateway, "tokens", "failed", 1).await;
    load.all_anew().await;
    gateway.put("tokens.toml", &second_entry);
    gateway.hang_up();
    reloads(&gateway, "tls", "ok", 3).await;
    load.all_anew().await;

    let (paid, connections) = load.end().await;
    let repeated = REPEATED.load(Ordering::Relaxed);
    println!(
        "{paid} payments accepted on {connections} connections, {repeated} repeated, 0 failed"
    );
    assert_eq!(repeated, 0);
}
