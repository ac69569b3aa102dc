//! A caller of the gateway, as its users write one: it keeps its payment_id and repeats until it knows.
//!
//! Owns: connections, retries, polling with a deadline. May not: conclude anything from an error.

use std::path::Path;
use std::time::{Duration, Instant};

use paygate_proto::signer::v1::signer_service_client::SignerServiceClient;
use paygate_proto::v1::operations_service_client::OperationsServiceClient;
use paygate_proto::v1::payment_service_client::PaymentServiceClient;
use paygate_proto::v1::wallet_service_client::WalletServiceClient;
use paygate_proto::v1::{
    CreatePaymentRequest, ExplainPaymentRequest, ExplainPaymentResponse, GetPaymentRequest,
    ListPaymentsRequest, Payment, PaymentState, TimelineStage, create_payment_request,
};
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Status};

/// How often a payment is looked at while somebody waits for it.
const POLL: Duration = Duration::from_millis(50);

/// Pause before a call is repeated after an error.
const RETRY_PAUSE: Duration = Duration::from_millis(100);

/// One call's own deadline: short, as the other end may have been killed in the middle of it.
const CALL_DEADLINE: Duration = Duration::from_secs(5);

/// Drops in one XRP.
pub const DROPS_PER_XRP: u64 = 1_000_000;

/// A gateway, as its callers see it.
#[derive(Clone, Debug)]
pub struct Client {
    channel: Channel,
}

/// A payment did not become final in time.
#[derive(Debug, thiserror::Error)]
#[error("payment {payment_id} is {last} after {} s", within.as_secs())]
pub struct NotFinal {
    /// Which.
    pub payment_id: String,
    /// What was heard last.
    pub last: String,
    /// How long it had.
    pub within: Duration,
}

/// A request for a payment of drops to somebody.
pub fn payment(payment_id: &str, destination: &str, drops: u64) -> CreatePaymentRequest {
    CreatePaymentRequest {
        payment_id: payment_id.to_owned(),
        destination: destination.to_owned(),
        amount: Some(create_payment_request::Amount::XrpDrops(drops)),
        ..CreatePaymentRequest::default()
    }
}

/// A channel to the signer's socket, as the gateway would have one.
pub fn signer(socket: &Path) -> SignerServiceClient<Channel> {
    SignerServiceClient::new(unix_channel(socket))
}

/// A channel to a Unix socket.
pub fn unix_channel(socket: &Path) -> Channel {
    let endpoint = Endpoint::from_shared(format!("unix://{}", socket.display()));
    endpoint
        .expect("an absolute path makes an address")
        .connect_lazy()
}

/// Whether nothing changes any more.
pub fn is_final(payment: &Payment) -> bool {
    use PaymentState::{Cancelled, Expired, Failed, Paid, Rejected};
    matches!(
        payment.state(),
        Paid | Failed | Expired | Cancelled | Rejected
    )
}

/// `PAID` for `PAYMENT_STATE_PAID`.
pub fn state_name(state: PaymentState) -> &'static str {
    state.as_str_name().trim_start_matches("PAYMENT_STATE_")
}

/// `SIGNED` for `TIMELINE_STAGE_SIGNED`.
pub fn stage_name(stage: TimelineStage) -> &'static str {
    stage.as_str_name().trim_start_matches("TIMELINE_STAGE_")
}

impl Client {
    /// Connects when it is first used, and again after each break.
    pub fn new(address: &str) -> Client {
        let endpoint = Endpoint::from_shared(format!("http://{address}"))
            .expect("a socket address makes an address");
        Client {
            channel: endpoint
                .timeout(CALL_DEADLINE)
                .connect_timeout(CALL_DEADLINE)
                .connect_lazy(),
        }
    }

    /// The same over a channel that the story has made.
    pub fn with_channel(channel: Channel) -> Client {
        Client { channel }
    }

    /// The channel itself, for other services.
    pub fn channel(&self) -> Channel {
        self.channel.clone()
    }

    /// PaymentService as generated.
    pub fn payments(&self) -> PaymentServiceClient<Channel> {
        PaymentServiceClient::new(self.channel())
    }

    /// WalletService as generated.
    pub fn wallet(&self) -> WalletServiceClient<Channel> {
        WalletServiceClient::new(self.channel())
    }

    /// OperationsService as generated.
    pub fn operations(&self) -> OperationsServiceClient<Channel> {
        OperationsServiceClient::new(self.channel())
    }

    /// CreatePayment, once.
    pub async fn create(&self, request: CreatePaymentRequest) -> Result<Payment, Status> {
        let answer = self.payments().create_payment(request).await?.into_inner();
        answer
            .payment
            .ok_or_else(|| Status::internal("the answer holds no payment"))
    }

    /// CreatePayment with a `traceparent`, once.
    pub async fn create_traced(
        &self,
        request: CreatePaymentRequest,
        traceparent: &str,
    ) -> Result<Payment, Status> {
        let mut request = Request::new(request);
        let value = traceparent
            .parse()
            .map_err(|_| Status::invalid_argument("traceparent is no ASCII"))?;
        request.metadata_mut().insert("traceparent", value);
        let answer = self.payments().create_payment(request).await?.into_inner();
        answer
            .payment
            .ok_or_else(|| Status::internal("the answer holds no payment"))
    }

    /// CreatePayment, repeated with the same payment_id after every error that says nothing or passes by itself.
    pub async fn create_until_stored(
        &self,
        request: &CreatePaymentRequest,
        within: Duration,
    ) -> Result<Payment, Status> {
        let deadline = Instant::now() + within;
        loop {
            match self.create(request.clone()).await {
                Ok(payment) => return Ok(payment),
                Err(status) if Instant::now() > deadline || is_permanent(status.code()) => {
                    return Err(status);
                }
                Err(_) => tokio::time::sleep(RETRY_PAUSE).await,
            }
        }
    }

    /// GetPayment, once.
    pub async fn get(&self, payment_id: &str) -> Result<Payment, Status> {
        let request = GetPaymentRequest {
            payment_id: payment_id.to_owned(),
            client_id: String::new(),
        };
        let answer = self.payments().get_payment(request).await?.into_inner();
        answer
            .payment
            .ok_or_else(|| Status::internal("the answer holds no payment"))
    }

    /// ExplainPayment, once.
    pub async fn explain(&self, payment_id: &str) -> Result<ExplainPaymentResponse, Status> {
        let request = ExplainPaymentRequest {
            payment_id: payment_id.to_owned(),
            client_id: String::new(),
        };
        Ok(self.payments().explain_payment(request).await?.into_inner())
    }

    /// All payments, page by page.
    pub async fn list(&self) -> Result<Vec<Payment>, Status> {
        let mut all = Vec::new();
        let mut request = ListPaymentsRequest {
            page_size: 1000,
            ..ListPaymentsRequest::default()
        };
        loop {
            let page = self
                .payments()
                .list_payments(request.clone())
                .await?
                .into_inner();
            all.extend(page.payments);
            if page.next_page_token.is_empty() {
                return Ok(all);
            }
            request.page_token = page.next_page_token;
        }
    }

    /// Polls until the payment is final, through every error.
    pub async fn until_final(
        &self,
        payment_id: &str,
        within: Duration,
    ) -> Result<Payment, NotFinal> {
        let deadline = Instant::now() + within;
        loop {
            let last = match self.get(payment_id).await {
                Ok(payment) if is_final(&payment) => return Ok(payment),
                Ok(payment) => format!(
                    "{} ({}{}{})",
                    state_name(payment.state()),
                    payment
                        .reason()
                        .as_str_name()
                        .trim_start_matches("PAYMENT_REASON_"),
                    if payment.reason_detail.is_empty() {
                        ""
                    } else {
                        ": "
                    },
                    payment.reason_detail
                ),
                Err(status) => format!("unknown ({:?}: {})", status.code(), status.message()),
            };
            if Instant::now() > deadline {
                return Err(NotFinal {
                    payment_id: payment_id.to_owned(),
                    last,
                    within,
                });
            }
            tokio::time::sleep(POLL).await;
        }
    }
}

/// Errors that the same request gets for ever.
fn is_permanent(code: Code) -> bool {
    matches!(
        code,
        Code::InvalidArgument
            | Code::AlreadyExists
            | Code::PermissionDenied
            | Code::Unauthenticated
            | Code::Unimplemented
    )
}
