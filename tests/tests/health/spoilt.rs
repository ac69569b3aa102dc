//! A signer whose key fails, as far as anybody outside can tell.
//!
//! Owns: what is spoilt. Everything else is the real signer's answer: the key itself is out of reach of any test.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use paygate_proto::signer::v1 as wire;
use paygate_tests::world::client::unix_channel;
use tokio::net::UnixListener;
use tokio_stream::wrappers::UnixListenerStream;
use tonic::transport::Channel;
use tonic::{Request, Response, Status};
use tonic_health::server::HealthReporter;
use wire::signer_service_client::SignerServiceClient;
use wire::signer_service_server::{SignerService, SignerServiceServer};
use wire::telemetry_service_client::TelemetryServiceClient;
use wire::telemetry_service_server::{TelemetryService, TelemetryServiceServer};

/// Stands before the signer, hands everything on, and spoils what the story wants spoilt: the key itself is out of reach.
#[derive(Clone)]
pub(crate) struct SpoiltSigner {
    signer: SignerServiceClient<Channel>,
    telemetry: TelemetryServiceClient<Channel>,
    health: HealthReporter,
    /// False: it answers questions about itself, and signs nothing.
    pub(crate) signs: Arc<AtomicBool>,
}

impl SpoiltSigner {
    /// Stands at a socket of its own.
    pub(crate) async fn start(real: &Path, at: &Path) -> SpoiltSigner {
        let (health, health_server) = tonic_health::server::health_reporter();
        let spoilt = SpoiltSigner {
            signer: SignerServiceClient::new(unix_channel(real)),
            telemetry: TelemetryServiceClient::new(unix_channel(real)),
            health,
            signs: Arc::new(AtomicBool::new(true)),
        };
        spoilt.set_canary(true).await;
        let server = tonic::transport::Server::builder()
            .add_service(health_server)
            .add_service(SignerServiceServer::new(spoilt.clone()))
            .add_service(TelemetryServiceServer::new(spoilt.clone()))
            .serve_with_incoming(UnixListenerStream::new(UnixListener::bind(at).unwrap()));
        tokio::spawn(server);
        spoilt
    }

    /// What its health service says.
    pub(crate) async fn set_canary(&self, verifies: bool) {
        let status = match verifies {
            true => tonic_health::ServingStatus::Serving,
            false => tonic_health::ServingStatus::NotServing,
        };
        let name = "paygate.signer.v1.SignerService";
        self.health.set_service_status(name, status).await;
    }
}

#[tonic::async_trait]
impl SignerService for SpoiltSigner {
    async fn describe_signer(
        &self,
        request: Request<wire::DescribeSignerRequest>,
    ) -> Result<Response<wire::DescribeSignerResponse>, Status> {
        self.signer.clone().describe_signer(request).await
    }

    async fn sign_payment(
        &self,
        request: Request<wire::SignPaymentRequest>,
    ) -> Result<Response<wire::SignPaymentResponse>, Status> {
        if !self.signs.load(Ordering::Relaxed) {
            return Err(Status::unavailable("the journal takes no more"));
        }
        self.signer.clone().sign_payment(request).await
    }

    async fn sign_ticket_create(
        &self,
        request: Request<wire::SignTicketCreateRequest>,
    ) -> Result<Response<wire::SignTicketCreateResponse>, Status> {
        self.signer.clone().sign_ticket_create(request).await
    }

    async fn sign_no_op(
        &self,
        request: Request<wire::SignNoOpRequest>,
    ) -> Result<Response<wire::SignNoOpResponse>, Status> {
        self.signer.clone().sign_no_op(request).await
    }
}

#[tonic::async_trait]
impl TelemetryService for SpoiltSigner {
    async fn pull(
        &self,
        request: Request<wire::PullRequest>,
    ) -> Result<Response<wire::PullResponse>, Status> {
        self.telemetry.clone().pull(request).await
    }
}
