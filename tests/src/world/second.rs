//! A second gateway in a world that has one, as somebody starts it by mistake.
//!
//! Owns: its process. May not: share a file with the first but those that its configuration names.

use std::path::Path;

use super::client::Client;
use super::config::Listeners;
use super::process::{Process, ProcessError};
use super::{READY_WITHIN, World, WorldError, field_of, stop, text};

/// A running gateway that is not the world's own. Killed and reaped when dropped.
pub struct SecondGateway {
    process: Option<Process>,
    listeners: Listeners,
}

impl World {
    /// Starts another gateway with this configuration.
    pub async fn start_second_gateway(&self, config: &Path) -> Result<SecondGateway, WorldError> {
        let arguments = vec![
            "serve".to_owned(),
            "--config".to_owned(),
            config.display().to_string(),
        ];
        let variables = self.setup.gateway_variables.clone();
        let launch = self.launch("second", &self.binaries.gateway, arguments, variables);
        let (process, ready) = launch.start(READY_WITHIN).await?;
        Ok(SecondGateway {
            process: Some(process),
            listeners: Listeners {
                grpc: text(field_of("second", &ready, "/grpc")?),
                health: text(field_of("second", &ready, "/health")?),
                metrics: text(field_of("second", &ready, "/metrics")?),
            },
        })
    }
}

impl SecondGateway {
    /// A caller of it.
    pub fn client(&self) -> Client {
        Client::new(&self.listeners.grpc)
    }

    /// Its addresses.
    pub fn listeners(&self) -> &Listeners {
        &self.listeners
    }

    /// SIGTERM, and its end.
    pub async fn stop(&mut self) -> Result<(), ProcessError> {
        stop(self.process.take()).await.map(|_| ())
    }
}
