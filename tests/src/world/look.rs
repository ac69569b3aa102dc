//! What a story sees of its world: addresses, process ids, clients, logs.
//!
//! Owns: no state. May not: start or end anything.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::World;
use super::binaries::Binaries;
use super::client::Client;
use super::config::Listeners;
use super::ledger::Ledger;
use super::process::{self, Process};
use super::wallet::Wallet;

impl World {
    /// A caller of the gateway.
    pub fn client(&self) -> Client {
        Client::new(&self.listeners.grpc)
    }

    /// The ledger as an auditor sees it.
    pub fn ledger(&self) -> Ledger {
        Ledger::at(&self.ledger_urls[0].1)
    }

    /// The same asked of one server, by its number: the first has 1. What goes wrong with it is ordered there, by `sim_script`.
    pub fn ledger_server(&self, number: usize) -> Ledger {
        Ledger::at(&self.ledger_urls[number - 1].1)
    }

    /// The WebSocket address of one server, by its number: the first has 1.
    pub fn ledger_server_url(&self, number: usize) -> &str {
        &self.ledger_urls[number - 1].0
    }

    /// The paying wallet.
    pub fn wallet(&self) -> &Wallet {
        &self.setup.wallet
    }

    /// What the wallet held at first, in whole XRP.
    pub fn wallet_xrp(&self) -> u64 {
        self.setup.wallet_xrp
    }

    /// The gateway's addresses.
    pub fn listeners(&self) -> &Listeners {
        &self.listeners
    }

    /// The WebSocket and JSON-RPC addresses of the ledger's first server.
    pub fn ledger_urls(&self) -> (&str, &str) {
        let (ws, rpc) = &self.ledger_urls[0];
        (ws, rpc)
    }

    /// The signer's socket.
    pub fn signer_socket(&self) -> PathBuf {
        self.path("run/signer.sock")
    }

    /// Where all files are.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// A file or folder of this world.
    pub fn path(&self, relative: &str) -> PathBuf {
        self.directory.path().join(relative)
    }

    /// The programs.
    pub fn binaries(&self) -> &Binaries {
        &self.binaries
    }

    /// Process ids by name, of those that run.
    pub fn pids(&self) -> Value {
        let pid = |process: &Option<Process>| process.as_ref().map(Process::pid);
        json!({ "gateway": pid(&self.gateway), "signer": pid(&self.signer), "ledger": pid(&self.ledger) })
    }

    /// The gateway's process id.
    pub fn gateway_pid(&self) -> u32 {
        self.gateway
            .as_ref()
            .expect("the story has started the gateway")
            .pid()
    }

    /// The signer's process id.
    pub fn signer_pid(&self) -> u32 {
        self.signer
            .as_ref()
            .expect("the story has started the signer")
            .pid()
    }

    /// Leaves all files where they are and says where.
    pub fn keep_directory(&mut self) -> PathBuf {
        self.directory.keep()
    }

    /// The ends of all logs.
    pub fn tails(&self) -> String {
        ["gateway", "signer", "ledger"]
            .map(|name| {
                format!(
                    "=== end of the log of the {name} ===\n{}",
                    process::tail(&self.path(&format!("logs/{name}.log")))
                )
            })
            .join("\n")
    }
}
