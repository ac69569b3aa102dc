//! Probe: asks a gateway or a signer for its health, for containers whose images hold no other tool.
//!
//! Owns: one Check of `grpc.health.v1`. May not: print or exit; the command line does both.

use std::time::Duration;

use tonic::transport::{Endpoint, Error as TransportError};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

/// Limit for connecting and for the answer, each. Orchestrators give a probe a few seconds at most.
const PROBE_TIMEOUT: Duration = Duration::from_secs(2);

/// Why a probe did not find its service serving.
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    /// The address cannot be used.
    #[error(
        "address {address} is not like http://127.0.0.1:50052 or unix:/run/paygate/health.sock"
    )]
    Address {
        /// What was given.
        address: String,
    },
    /// Nobody answered there.
    #[error("cannot connect to {address}")]
    Connect {
        /// What was given.
        address: String,
        /// Why.
        #[source]
        source: TransportError,
    },
    /// The call failed; an unknown service is NOT_FOUND.
    #[error("health check of {service:?} failed: {code}: {message}")]
    Call {
        /// Name of the service.
        service: String,
        /// Status code.
        code: tonic::Code,
        /// Message of the server.
        message: String,
    },
    /// It answered that it does not serve.
    #[error("service {service:?} is {status}; the gateway's /health says why")]
    NotServing {
        /// Name of the service.
        service: String,
        /// What it said.
        status: &'static str,
    },
}

/// Succeeds only if the service at `address` answers SERVING. The empty name is the server as a whole.
pub async fn probe(address: &str, service: &str) -> Result<(), ProbeError> {
    let channel = endpoint(address)?
        .connect()
        .await
        .map_err(|source| ProbeError::Connect {
            address: address.to_owned(),
            source,
        })?;
    let request = HealthCheckRequest {
        service: service.to_owned(),
    };
    let answer = HealthClient::new(channel)
        .check(request)
        .await
        .map_err(|status| ProbeError::Call {
            service: service.to_owned(),
            code: status.code(),
            message: status.message().to_owned(),
        })?;
    match answer.into_inner().status() {
        ServingStatus::Serving => Ok(()),
        other => Err(ProbeError::NotServing {
            service: service.to_owned(),
            status: other.as_str_name(),
        }),
    }
}

fn endpoint(address: &str) -> Result<Endpoint, ProbeError> {
    let refused = || ProbeError::Address {
        address: address.to_owned(),
    };
    let uri = match address.split_once(':') {
        // tonic wants two slashes and an absolute path.
        Some(("unix", path)) => {
            let path = path.strip_prefix("//").unwrap_or(path);
            if !path.starts_with('/') {
                return Err(refused());
            }
            format!("unix://{path}")
        }
        Some(("http", _)) => address.to_owned(),
        _ => return Err(refused()),
    };
    Ok(Endpoint::from_shared(uri)
        .map_err(|_| refused())?
        .connect_timeout(PROBE_TIMEOUT)
        .timeout(PROBE_TIMEOUT))
}

#[cfg(test)]
mod tests {
    use tokio::net::{TcpListener, UnixListener};
    use tokio_stream::wrappers::{TcpListenerStream, UnixListenerStream};
    use tonic::transport::Server;

    use super::*;

    const SERVICE: &str = "paygate.v1.PaymentService";

    #[tokio::test]
    async fn only_serving_is_success() {
        let (reporter, server) = tonic_health::server::health_reporter();
        reporter
            .set_service_status(SERVICE, tonic_health::ServingStatus::NotServing)
            .await;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(
            Server::builder()
                .add_service(server)
                .serve_with_incoming(TcpListenerStream::new(listener)),
        );
        let refused = probe(&address, SERVICE).await;
        assert!(
            matches!(refused, Err(ProbeError::NotServing { .. })),
            "{refused:?}"
        );
        reporter
            .set_service_status(SERVICE, tonic_health::ServingStatus::Serving)
            .await;
        probe(&address, SERVICE).await.unwrap();
        let unknown = probe(&address, "no.such.Service").await;
        assert!(
            matches!(
                unknown,
                Err(ProbeError::Call {
                    code: tonic::Code::NotFound,
                    ..
                })
            ),
            "{unknown:?}"
        );
    }

    #[tokio::test]
    async fn a_unix_socket_is_probed_too() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("health.sock");
        let (_reporter, server) = tonic_health::server::health_reporter();
        let incoming = UnixListenerStream::new(UnixListener::bind(&path).unwrap());
        tokio::spawn(
            Server::builder()
                .add_service(server)
                .serve_with_incoming(incoming),
        );
        probe(&format!("unix:{}", path.display()), "")
            .await
            .unwrap();
        probe(&format!("unix://{}", path.display()), "")
            .await
            .unwrap();
    }

    #[tokio::test]
    async fn nobody_there_and_unusable_addresses_are_told_apart() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        drop(listener);
        assert!(matches!(
            probe(&address, "").await,
            Err(ProbeError::Connect { .. })
        ));
        for address in [
            "",
            "127.0.0.1:50052",
            "https://x",
            "unix:relative.sock",
            "http://",
        ] {
            let refused = probe(address, "").await;
            assert!(
                matches!(refused, Err(ProbeError::Address { .. })),
                "{address}: {refused:?}"
            );
        }
    }
}
