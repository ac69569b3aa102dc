//! The gateway's side of the socket to the signer.
//!
//! Owns: the connection, the check of who answers on it, and the translation of requests and answers. May not: judge a
//! signature (that is `oracle`), or read a gRPC error as a denial: an error says nothing, and the same request may be
//! repeated for ever.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use hyper_util::rt::TokioIo;
use paygate_payments::intent::{Intent, PaymentKey, Wallet};
use paygate_payments::payment::Version;
use paygate_proto::signer::v1 as wire;
use paygate_proto::signer::v1::signer_service_client::SignerServiceClient;
use paygate_proto::signer::v1::telemetry_service_client::TelemetryServiceClient;
use paygate_telemetry::propagation;
use tokio::net::UnixStream;
use tonic::transport::{Endpoint, Uri};
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tower::ServiceExt;
use tower::util::BoxCloneSyncService;
use xrpl_tx::{Amount, Hash256, Memo, Signed, Slot};

/// A signature costs a curve operation and a disk's sync; past this the signer is stuck, and asking again is safe.
const CALL_TIMEOUT: Duration = Duration::from_secs(10);

/// Spans taken in one pull; an answer then stays far under 4 MiB.
const PULL_SPANS_MAX: u32 = 512;

/// The way to the signer's services.
pub type Port = BoxCloneSyncService<
    http::Request<tonic::body::Body>,
    http::Response<tonic::body::Body>,
    PortError,
>;

/// The way is not there.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct PortError(#[source] pub Box<dyn std::error::Error + Send + Sync>);

/// The connection. Cheap to clone; connects when first used and again when lost.
#[derive(Clone, Debug)]
pub struct SignerClient {
    port: Port,
}

/// What ties each request to our store.
#[derive(Clone, Debug)]
pub struct Fence {
    /// Identity of the store.
    pub store_id: [u8; 16],
    /// Generation of this gateway.
    pub epoch: u64,
    /// The newest journal head that the store recorded.
    pub journal: Option<JournalHead>,
}

/// A frame of the signer's journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JournalHead {
    /// Its height.
    pub height: u64,
    /// Its hash.
    pub hash: Hash256,
}

/// The signer's answer.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// The journal holds it and here it is. Not yet compared with the intent.
    Signed {
        /// The transaction.
        signed: Signed,
        /// The journal afterwards.
        head: JournalHead,
    },
    /// Refused by policy or journal.
    Denied {
        /// Why.
        reason: wire::DenialReason,
        /// Never signed, never will be: the journal holds a seal.
        permanent: bool,
        /// For a person.
        message: String,
        /// The journal afterwards, if it is not empty.
        head: Option<JournalHead>,
    },
}

/// The call failed. Nothing is known; the same request may be repeated.
#[derive(Clone, Debug, thiserror::Error)]
pub enum CallFailed {
    /// No usable answer.
    #[error("the signer does not answer: {0}")]
    Status(String),
    /// An answer that no signer of this contract gives.
    #[error("the signer's answer cannot be read: {0}")]
    Malformed(&'static str),
}

// === impl SignerClient ===

impl SignerClient {
    /// A client of the socket at `path`. Whoever answers there must run as one of `uids`.
    pub fn unix(path: PathBuf, uids: Vec<u32>) -> Self {
        let connector = tower::service_fn(move |_: Uri| {
            let (path, uids) = (path.clone(), uids.clone());
            async move { connect(path, &uids).await.map(TokioIo::new) }
        });
        // The authority is never resolved; over Unix sockets it only has to be a valid one.
        let channel = Endpoint::from_static("http://localhost")
            .timeout(CALL_TIMEOUT)
            .connect_with_connector_lazy(connector);
        Self::over(BoxCloneSyncService::new(
            channel.map_err(|err| PortError(err.into())),
        ))
    }

    /// A client of whoever answers at `port`.
    pub fn over(port: Port) -> Self {
        Self { port }
    }

    /// Who the signer is and what it has left.
    pub async fn describe(&self) -> Result<wire::DescribeSignerResponse, CallFailed> {
        let mut client = SignerServiceClient::new(self.port.clone());
        Ok(client
            .describe_signer(wire::DescribeSignerRequest {})
            .await?
            .into_inner())
    }

    /// What the signer's own health service says of its canary.
    pub async fn is_serving(&self) -> Result<bool, CallFailed> {
        let mut client = HealthClient::new(self.port.clone());
        let request = tonic_health::pb::HealthCheckRequest {
            service: "paygate.signer.v1.SignerService".to_owned(),
        };
        let answer = client.check(request).await?.into_inner();
        Ok(answer.status() == ServingStatus::Serving)
    }

    /// Asks for one version of a payment.
    pub async fn sign_payment(
        &self,
        fence: &Fence,
        wallet: &Wallet,
        intent: &Intent,
        slot: Slot,
        digest: Hash256,
        version: &Version,
    ) -> Result<Outcome, CallFailed> {
        let request = wire::SignPaymentRequest {
            fence: Some(fence.into()),
            key: Some(key(&intent.key)),
            account: wallet.account.to_address(),
            slot: Some(wire_slot(slot)),
            destination: intent.destination.to_address(),
            destination_tag: intent.destination_tag,
            source_tag: wallet.source_tag,
            memos: intent.memos.as_slice().iter().map(memo).collect(),
            fee_drops: version.fee.get(),
            last_ledger_sequence: version.last_ledger.0,
            intent_digest: digest.as_bytes().to_vec(),
            amount: Some(amount(intent.amount)),
        };
        let mut client = SignerServiceClient::new(self.port.clone());
        let answer = client.sign_payment(traced(request)).await?.into_inner();
        match answer
            .outcome
            .ok_or(CallFailed::Malformed("it has no outcome"))?
        {
            wire::sign_payment_response::Outcome::Signed(signed) => signed.try_into(),
            wire::sign_payment_response::Outcome::Denied(denied) => denied.try_into(),
        }
    }

    /// Asks for a no-op that fills a slot.
    pub async fn sign_noop(
        &self,
        fence: &Fence,
        wallet: &Wallet,
        slot: Slot,
        owner: Option<&PaymentKey>,
        version: &Version,
    ) -> Result<Outcome, CallFailed> {
        let request = wire::SignNoOpRequest {
            fence: Some(fence.into()),
            account: wallet.account.to_address(),
            slot: Some(wire_slot(slot)),
            for_payment: owner.map(key),
            source_tag: wallet.source_tag,
            fee_drops: version.fee.get(),
            last_ledger_sequence: version.last_ledger.0,
        };
        let mut client = SignerServiceClient::new(self.port.clone());
        let answer = client.sign_no_op(traced(request)).await?.into_inner();
        match answer
            .outcome
            .ok_or(CallFailed::Malformed("it has no outcome"))?
        {
            wire::sign_no_op_response::Outcome::Signed(signed) => signed.try_into(),
            wire::sign_no_op_response::Outcome::Denied(denied) => denied.try_into(),
        }
    }

    /// Takes the spans and reads the metrics that the signer holds.
    pub async fn pull(&self) -> Result<wire::PullResponse, CallFailed> {
        let mut client = TelemetryServiceClient::new(self.port.clone());
        Ok(client
            .pull(wire::PullRequest {
                max_spans: PULL_SPANS_MAX,
            })
            .await?
            .into_inner())
    }
}

/// The signer checks our uid, and we check its: whoever could replace the socket file must not get our requests.
async fn connect(path: PathBuf, uids: &[u32]) -> io::Result<UnixStream> {
    let stream = UnixStream::connect(&path).await?;
    let uid = stream.peer_cred()?.uid();
    if uids.contains(&uid) {
        Ok(stream)
    } else {
        let text = format!(
            "{} is served by uid {uid}, which is not in signer.allowed_uids",
            path.display()
        );
        Err(io::Error::new(io::ErrorKind::PermissionDenied, text))
    }
}

/// The signer's span becomes a child of the caller's current one.
fn traced<T>(message: T) -> tonic::Request<T> {
    let mut request = tonic::Request::new(message);
    propagation::inject(&tracing::Span::current(), request.metadata_mut());
    request
}

fn key(key: &PaymentKey) -> wire::PaymentKey {
    wire::PaymentKey {
        client_id: key.client.to_string(),
        payment_id: key.payment.to_string(),
    }
}

fn amount(amount: Amount) -> wire::sign_payment_request::Amount {
    match amount {
        Amount::Xrp(drops) => wire::sign_payment_request::Amount::XrpDrops(drops.get()),
        Amount::Issued { amount, send_max } => {
            wire::sign_payment_request::Amount::Issued(wire::IssuedAmount {
                currency: amount.asset().currency.to_string(),
                issuer: amount.asset().issuer.to_address(),
                value: amount.value().to_string(),
                send_max: send_max.map(|most| most.to_string()).unwrap_or_default(),
            })
        }
    }
}

fn memo(memo: &Memo) -> wire::Memo {
    wire::Memo {
        r#type: memo.memo_type.clone().unwrap_or_default(),
        data: memo.data.clone().unwrap_or_default(),
        format: memo.format.clone().unwrap_or_default(),
    }
}

fn wire_slot(slot: Slot) -> wire::Slot {
    let kind = match slot {
        Slot::Sequence(number) => wire::slot::Kind::Sequence(number),
        Slot::Ticket(number) => wire::slot::Kind::Ticket(number),
    };
    wire::Slot { kind: Some(kind) }
}

fn hash(bytes: &[u8]) -> Result<Hash256, CallFailed> {
    let bytes = bytes
        .try_into()
        .map_err(|_| CallFailed::Malformed("a hash does not have 32 bytes"))?;
    Ok(Hash256::from_bytes(bytes))
}

// === Conversions ===

impl JournalHead {
    /// As the signer tells it; `None` for an empty journal.
    pub fn from_wire(head: Option<&wire::JournalHead>) -> Result<Option<Self>, CallFailed> {
        match head {
            None => Ok(None),
            Some(head) if head.height == 0 => Ok(None),
            Some(head) => Ok(Some(Self {
                height: head.height,
                hash: hash(&head.hash)?,
            })),
        }
    }
}

impl From<&Fence> for wire::Fence {
    fn from(fence: &Fence) -> Self {
        let journal_head = fence
            .journal
            .map_or_else(wire::JournalHead::default, |head| wire::JournalHead {
                height: head.height,
                hash: head.hash.as_bytes().to_vec(),
            });
        Self {
            store_id: fence.store_id.to_vec(),
            epoch: fence.epoch,
            journal_head: Some(journal_head),
        }
    }
}

impl TryFrom<wire::Signed> for Outcome {
    type Error = CallFailed;

    fn try_from(signed: wire::Signed) -> Result<Self, CallFailed> {
        let head = JournalHead::from_wire(signed.journal_head.as_ref())?;
        Ok(Self::Signed {
            signed: Signed {
                hash: hash(&signed.tx_hash)?,
                blob: signed.blob,
            },
            head: head.ok_or(CallFailed::Malformed("it signed and its journal is empty"))?,
        })
    }
}

impl TryFrom<wire::Denied> for Outcome {
    type Error = CallFailed;

    fn try_from(denied: wire::Denied) -> Result<Self, CallFailed> {
        let head = JournalHead::from_wire(denied.journal_head.as_ref())?;
        if denied.permanent && head.is_none() {
            return Err(CallFailed::Malformed("it sealed and its journal is empty"));
        }
        Ok(Self::Denied {
            reason: denied.reason(),
            permanent: denied.permanent,
            message: denied.message,
            head,
        })
    }
}

impl From<tonic::Status> for CallFailed {
    fn from(status: tonic::Status) -> Self {
        Self::Status(format!("{:?}: {}", status.code(), status.message()))
    }
}
