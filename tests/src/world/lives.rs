//! Further lives of a world's processes, and a world beside a ledger's server that somebody else runs.
//!
//! Owns: how one process ended, its next start. May not: know why it ended.

use std::process::ExitStatus;

use super::config::{Anchor, Listeners};
use super::directory::Directory;
use super::ledger::Ledger;
use super::process::Role;
use super::{Setup, World, WorldError, binaries, unix_seconds};

impl World {
    /// Builds everything for a ledger's server that somebody else runs, and starts nothing.
    pub async fn beside(mut setup: Setup, ws: &str, rpc: &str) -> Result<World, WorldError> {
        let binaries = tokio::task::spawn_blocking(binaries::build)
            .await
            .expect("the build does not panic")?;
        let directory = Directory::open(setup.directory.as_deref())?;
        setup.wallet = directory.keep_wallet(&setup.wallet)?;
        let (index, hash) = Ledger::at(rpc).validated().await?;
        let anchor = directory.keep_anchor(Anchor {
            index,
            hash,
            unix_seconds: unix_seconds(),
        })?;
        Ok(World {
            gateway: None,
            signer: None,
            ledger: None,
            setup,
            binaries,
            anchor,
            ledger_urls: vec![(ws.to_owned(), rpc.to_owned())],
            listeners: Listeners::default(),
            directory,
        })
    }

    /// How the process ended by itself; None while it runs, or if it was not started.
    pub fn how_ended(&mut self, role: Role) -> Option<ExitStatus> {
        let process = match role {
            Role::Gateway => &mut self.gateway,
            Role::Signer => &mut self.signer,
            Role::Ledger => &mut self.ledger,
        };
        process.as_mut()?.ended()
    }

    /// Starts the process again after its end.
    pub async fn restart(&mut self, role: Role) -> Result<(), WorldError> {
        match role {
            Role::Gateway => {
                self.kill_gateway();
                self.start_gateway().await
            }
            Role::Signer => {
                self.kill_signer();
                self.start_signer().await
            }
            Role::Ledger => {
                self.kill_ledger();
                self.start_ledger().await.map(drop)
            }
        }
    }
}
