//! A gateway that asks its callers who they are, without a ledger or a signer behind it: nothing is paid, everything is answered.
//!
//! Owns: its directory, its files of TLS and tokens, its process. May not: pay; a world's gateway is guarded by the same keys,
//! given as `gateway_variables`.

use std::path::{Path, PathBuf};
use std::time::Duration;

use paygate_client::{Client, Identity};
use rustix::process::Signal;

use super::pki::{Authority, Issued, Subject, put};
use super::process::{Launch, Process};
use super::{binaries, http};

/// A debug build on a busy machine starts within this.
const READY_WITHIN: Duration = Duration::from_secs(60);

/// How often the gateway looks at its files: at once, for a story.
const RELOAD_MS: u32 = 100;

/// What a story may configure.
#[derive(Clone, Debug, Default)]
pub struct Guard {
    /// Tables `[[clients]]`.
    pub clients: String,
    /// More lines of `[security]`.
    pub security: String,
    /// More lines of `[tls]`.
    pub tls: String,
}

/// A running gateway with its CA.
#[derive(Debug)]
pub struct Guarded {
    /// Everything that it reads and writes.
    pub directory: tempfile::TempDir,
    /// The CA of its callers and of its own certificate.
    pub authority: Authority,
    process: Process,
    grpc: String,
    metrics: String,
}

impl Guarded {
    /// Starts it. Its own certificate has the number 1; no certificate is revoked and there are no tokens.
    pub async fn start(guard: &Guard) -> Guarded {
        let binaries = binaries::build().expect("cargo builds the programs");
        let directory = tempfile::tempdir().expect("a directory for the run");
        let authority = Authority::new("paygate test CA");
        let at = |name: &str| directory.path().join(name);
        put(&at("ca.pem"), authority.pem()).expect("written");
        put(&at("crl.pem"), &authority.revoked(&[])).expect("written");
        put(&at("tokens.toml"), "").expect("written");
        let own = authority.issue(
            1,
            &Subject {
                common_name: "gateway".to_owned(),
                ..Subject::default()
            },
        );
        put(&at("server.pem"), &own.cert).expect("written");
        put(&at("server.key"), &own.key).expect("written");
        let config = at("paygate.toml");
        std::fs::write(&config, text(guard, directory.path())).expect("written");
        let launch = Launch {
            name: "gateway",
            program: binaries.gateway,
            arguments: vec![
                "serve".to_owned(),
                "--config".to_owned(),
                config.display().to_string(),
            ],
            environment: Vec::new(),
            logs: directory.path().to_owned(),
        };
        let (process, ready) = launch.start(READY_WITHIN).await.expect("it starts");
        let address = |name: &str| ready[name].as_str().expect("an address").to_owned();
        Guarded {
            grpc: address("grpc"),
            metrics: address("metrics"),
            directory,
            authority,
            process,
        }
    }

    /// A file of its directory.
    pub fn file(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Exchanges one of its files.
    pub fn put(&self, name: &str, text: &str) {
        put(&self.file(name), text).expect("written");
    }

    /// A caller's certificate and key, in one file of this name, so that both are exchanged in one step.
    pub fn issue(&self, name: &str, serial: u64, subject: &Subject) -> (Issued, Identity) {
        let issued = self.authority.issue(serial, subject);
        let file = format!("{name}.pem");
        self.put(&file, &format!("{}{}", issued.cert, issued.key));
        let identity = Identity {
            ca_file: Some(self.file("ca.pem")),
            cert_file: Some(self.file(&file)),
            key_file: Some(self.file(&file)),
            token_file: None,
        };
        (issued, identity)
    }

    /// Somebody who shows nothing.
    pub fn nobody(&self) -> Identity {
        Identity {
            ca_file: Some(self.file("ca.pem")),
            ..Identity::default()
        }
    }

    /// A caller.
    pub fn client(&self, identity: &Identity) -> Client {
        Client::with_identity(&self.endpoint(), identity).expect("the files are good")
    }

    /// Its address.
    pub fn endpoint(&self) -> String {
        format!("https://{}", self.grpc)
    }

    /// SIGHUP: read the files now.
    pub fn hang_up(&self) {
        self.process.signal(Signal::HUP);
    }

    /// The value of one line of the scrape, by its beginning. 0 if it is not there, or no whole number.
    pub async fn metric(&self, line: &str) -> u64 {
        let scrape = http::get(&self.metrics, "/metrics")
            .await
            .expect("a scrape")
            .body;
        let value = scrape.lines().find_map(|found| found.strip_prefix(line));
        value
            .and_then(|value| value.trim().trim_end_matches(".0").parse().ok())
            .unwrap_or(0)
    }

    /// Its log.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.file("gateway.log")).unwrap_or_default()
    }
}

fn text(guard: &Guard, directory: &Path) -> String {
    let directory = directory.display();
    format!(
        r#"listen = "127.0.0.1:0"

[wallet]
address = "rHb9CJAWyB4rj91VRWn96DkukG4bwdtyTh"
network_id = 21338
anchor = {{ index = 3, hash = "6BD4144ABD632074334F545FB48310396849F074FED457B75EB3613EBDD22FC7" }}

[[xrpl.servers]]
url = "ws://127.0.0.1:9"
operator = "nobody"
own = true

[signer]
socket_path = "{directory}/signer.sock"

[store]
path = "{directory}/paygate.db"

[limits]
daily_limit_xrp = "1000000"
max_pending_payments = 1000000

[health]
listen = "127.0.0.1:0"

[monitoring]
metrics_listen = "127.0.0.1:0"

[tls]
cert_file = "{directory}/server.pem"
key_file = "{directory}/server.key"
client_ca_file = "{directory}/ca.pem"
crl_file = "{directory}/crl.pem"
reload_interval_ms = {RELOAD_MS}
{tls}

[security]
tokens_file = "{directory}/tokens.toml"
{rates}{security}

{clients}"#,
        rates = rates(guard),
        tls = guard.tls,
        security = guard.security,
        clients = guard.clients,
    )
}

/// Stories call as often as they can, unless they are about that.
fn rates(guard: &Guard) -> &'static str {
    match guard.security.contains("_limit_per_") {
        true => "",
        false => {
            "rate_limit_per_minute = 1000000\nrate_limit_per_hour = 1000000\nread_limit_per_minute = 1000000\n"
        }
    }
}
