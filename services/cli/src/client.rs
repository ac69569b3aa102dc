//! The calls, typed, each with a deadline and repeated where that is safe.
//!
//! Owns: the connection, and what goes with each request: its deadline and its trace. May not: decide what an answer means for
//! the money; that is in `error` and `payment`.

use std::time::Duration;

use paygate_proto::v1::operations_service_client::OperationsServiceClient;
use paygate_proto::v1::payment_service_client::PaymentServiceClient;
use paygate_proto::v1::wallet_service_client::WalletServiceClient;
use paygate_proto::v1::{
    AnnounceTransactionRequest, AnnounceTransactionResponse, CancelPaymentRequest,
    CreatePaymentRequest, CreatePaymentResponse, ExplainPaymentRequest, ExplainPaymentResponse,
    GetPaymentRequest, GetStatusRequest, GetStatusResponse, GetWalletRequest, GetWalletResponse,
    ListPaymentsRequest, ListPaymentsResponse, Payment, UnfreezeRequest, UnfreezeResponse,
    WatchPaymentsRequest,
};
use paygate_telemetry::TraceParent;
use tokio::time::{Instant, sleep};
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Status};

use crate::error::{CallError, Refusal, Unanswered};
use crate::payment::{Outcome, outcome};
use crate::repeat::{Kind, repeat};
use crate::secure::{self, Identity, IdentityError, Token};
use crate::watch::Watch;

/// Between two looks at a payment that somebody waits for. The network closes a ledger in 3 to 5 seconds.
const POLL: Duration = Duration::from_millis(250);

/// Largest answer that is read: a page of 1,000 payments with the largest memos and many versions fits.
const ANSWER_MAX_BYTES: usize = 64 * 1024 * 1024;

/// How long calls may take, and who hears that one is repeated.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// For one attempt, which the gateway is told. Storing takes milliseconds; a gateway that restarts takes seconds.
    pub attempt_timeout: Duration,
    /// For a call with all its attempts and the pauses between.
    pub total_timeout: Duration,
    /// Called before an attempt is repeated, with the number of attempts so far and what the last one heard.
    pub on_repeat: fn(u32, &Refusal),
}

/// A gateway. Cheap to clone; all clones share one connection, which is made when it is first needed and again after each break.
#[derive(Clone, Debug)]
pub struct Client {
    channel: Channel,
    settings: Settings,
    trace: Option<TraceParent>,
    token: Option<Token>,
}

/// Text that is no address of a gateway.
#[derive(Debug, thiserror::Error)]
pub enum EndpointError {
    /// What the caller shows, or whom it believes.
    #[error("endpoint {0}")]
    Identity(#[from] IdentityError),
    /// It is no URI.
    #[error("endpoint {endpoint} is no address such as http://127.0.0.1:50051: {source}")]
    Malformed {
        /// As given.
        endpoint: String,
        /// What is wrong with it.
        source: tonic::transport::Error,
    },
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            attempt_timeout: Duration::from_secs(5),
            total_timeout: Duration::from_secs(30),
            on_repeat: |_, _| (),
        }
    }
}

impl Client {
    /// A gateway at `http://HOST:PORT`. Needs a tokio runtime around it; connects when it is first used.
    ///
    /// # Errors
    /// If the text is no such address.
    pub fn new(endpoint: &str) -> Result<Client, EndpointError> {
        Client::with_identity(endpoint, &Identity::default())
    }

    /// A gateway at `https://HOST:PORT` that asks its callers who they are. The files are read again with each connection, the token
    /// with each call, so that they can be exchanged while the client lives.
    ///
    /// # Errors
    /// If the text is no such address, or a file does not do.
    pub fn with_identity(endpoint: &str, identity: &Identity) -> Result<Client, EndpointError> {
        let address = match endpoint.contains("://") {
            true => endpoint.to_owned(),
            false => format!("http://{endpoint}"),
        };
        let malformed = |source| EndpointError::Malformed {
            endpoint: endpoint.to_owned(),
            source,
        };
        let settings = Settings::default();
        let target = Endpoint::from_shared(address)
            .and_then(|endpoint| {
                endpoint.user_agent(concat!("paygate_client/", env!("CARGO_PKG_VERSION")))
            })
            .map_err(malformed)?
            .connect_timeout(settings.attempt_timeout);
        let (channel, token) = secure::connect(endpoint, &target, identity)?;
        Ok(Client {
            channel,
            settings,
            trace: None,
            token,
        })
    }

    /// The connection itself, for services that have no method here. Calls on it carry neither token nor trace.
    #[must_use]
    pub fn channel(&self) -> Channel {
        self.channel.clone()
    }

    /// The same gateway with other deadlines.
    #[must_use]
    pub fn with_settings(mut self, settings: Settings) -> Client {
        self.settings = settings;
        self
    }

    /// The same gateway, with each call in this trace. A payment that is created so stays in it to its end.
    #[must_use]
    pub fn with_trace(mut self, trace: TraceParent) -> Client {
        self.trace = Some(trace);
        self
    }

    /// Stores a payment; does not wait for the ledger. Repeated with the same `payment_id` until there is an answer.
    ///
    /// # Errors
    /// [`CallError::Refused`]: it is not stored. [`CallError::Unanswered`]: nobody knows; call again with the same request.
    pub async fn create_payment(
        &self,
        request: CreatePaymentRequest,
    ) -> Result<CreatePaymentResponse, CallError> {
        repeat(
            Kind::Write,
            &self.settings,
            self.settings.total_timeout,
            |time| {
                let request = self.request(request.clone(), time);
                async move {
                    let answer = self.payments().create_payment(request).await?;
                    filled(&answer.get_ref().payment)?;
                    Ok(answer)
                }
            },
        )
        .await
    }

    /// One payment as it is now. An empty `client_id` is the caller's own.
    ///
    /// # Errors
    /// See [`CallError`].
    pub async fn get_payment(
        &self,
        payment_id: &str,
        client_id: &str,
    ) -> Result<Payment, CallError> {
        self.look(payment_id, client_id, self.settings.total_timeout)
            .await
    }

    /// The caller's own payment when it is final, or as it was last seen when the time is over: see [`outcome`].
    /// Polls outside of the trace, which tells of paying and not of who looked how often.
    ///
    /// # Errors
    /// [`CallError::Refused`]: it cannot be looked up. [`CallError::Unanswered`]: it was never seen.
    pub async fn wait_until_final(
        &self,
        payment_id: &str,
        within: Duration,
    ) -> Result<Payment, CallError> {
        let untraced = Client {
            trace: None,
            ..self.clone()
        };
        let deadline = Instant::now() + within;
        let mut seen = None;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let mut pause = POLL;
            match untraced.look(payment_id, "", left).await {
                Ok(payment) if outcome(&payment) != Outcome::Live => return Ok(payment),
                Ok(payment) => seen = Some(payment),
                // Too many looks: less often. It says nothing about the payment.
                Err(CallError::Refused(refusal))
                    if refusal.code == Code::ResourceExhausted && Instant::now() < deadline =>
                {
                    pause = refusal.retry_after.unwrap_or(POLL).max(POLL);
                }
                Err(CallError::Unanswered(_)) if seen.is_some() => (),
                Err(error) => return Err(error),
            }
            if Instant::now() + pause >= deadline {
                return seen.ok_or_else(|| {
                    let last =
                        Refusal::from_status(&Status::resource_exhausted("not looked up in time"));
                    CallError::Unanswered(Box::new(Unanswered {
                        attempts: 1,
                        reached: true,
                        last,
                    }))
                });
            }
            sleep(pause).await;
        }
    }

    /// A page of payments, newest first.
    ///
    /// # Errors
    /// See [`CallError`].
    pub async fn list_payments(
        &self,
        request: ListPaymentsRequest,
    ) -> Result<ListPaymentsResponse, CallError> {
        repeat(
            Kind::Read,
            &self.settings,
            self.settings.total_timeout,
            |time| {
                let request = self.request(request.clone(), time);
                async move { self.payments().list_payments(request).await }
            },
        )
        .await
    }

    /// A payment and everything that happened to it. An empty `client_id` is the caller's own.
    ///
    /// # Errors
    /// See [`CallError`].
    pub async fn explain_payment(
        &self,
        payment_id: &str,
        client_id: &str,
    ) -> Result<ExplainPaymentResponse, CallError> {
        let asked = ExplainPaymentRequest {
            payment_id: payment_id.to_owned(),
            client_id: client_id.to_owned(),
        };
        repeat(
            Kind::Read,
            &self.settings,
            self.settings.total_timeout,
            |time| {
                let request = self.request(asked.clone(), time);
                async move {
                    let answer = self.payments().explain_payment(request).await?;
                    filled(&answer.get_ref().payment)?;
                    Ok(answer)
                }
            },
        )
        .await
    }

    /// Asks to cancel. Only the state of the payment in the answer says whether it is cancelled.
    ///
    /// # Errors
    /// See [`CallError`]; asking again is safe.
    pub async fn cancel_payment(
        &self,
        payment_id: &str,
        comment: &str,
    ) -> Result<Payment, CallError> {
        let asked = CancelPaymentRequest {
            payment_id: payment_id.to_owned(),
            comment: comment.to_owned(),
        };
        let answer = repeat(
            Kind::Write,
            &self.settings,
            self.settings.total_timeout,
            |time| {
                let request = self.request(asked.clone(), time);
                async move {
                    let answer = self.payments().cancel_payment(request).await?;
                    filled(&answer.get_ref().payment)?;
                    Ok(answer)
                }
            },
        );
        Ok(answer.await?.payment.unwrap_or_default())
    }

    /// Every change in the order of commits, from `request.cursor` on. Nothing is sent before the first [`Watch::next`].
    #[must_use]
    pub fn watch_payments(&self, request: WatchPaymentsRequest) -> Watch {
        Watch::new(self.clone(), request)
    }

    /// What the wallet holds and how much may still be sent.
    ///
    /// # Errors
    /// See [`CallError`].
    pub async fn wallet(&self) -> Result<GetWalletResponse, CallError> {
        repeat(
            Kind::Read,
            &self.settings,
            self.settings.total_timeout,
            |time| {
                let request = self.request(GetWalletRequest {}, time);
                let mut service = WalletServiceClient::new(self.channel.clone());
                async move { service.get_wallet(request).await }
            },
        )
        .await
    }

    /// Everything that decides whether payments flow.
    ///
    /// # Errors
    /// See [`CallError`].
    pub async fn status(&self) -> Result<GetStatusResponse, CallError> {
        repeat(
            Kind::Read,
            &self.settings,
            self.settings.total_timeout,
            |time| {
                let request = self.request(GetStatusRequest {}, time);
                let mut service = OperationsServiceClient::new(self.channel.clone());
                async move { service.get_status(request).await }
            },
        )
        .await
    }

    /// Lets sending go on after a freeze. It is refused as long as there are foreign transactions that `request` does not name.
    ///
    /// # Errors
    /// See [`CallError`]; asking again is safe.
    pub async fn unfreeze(&self, request: UnfreezeRequest) -> Result<UnfreezeResponse, CallError> {
        repeat(
            Kind::Write,
            &self.settings,
            self.settings.total_timeout,
            |time| {
                let request = self.request(request.clone(), time);
                let mut service = OperationsServiceClient::new(self.channel.clone());
                async move { service.unfreeze(request).await }
            },
        )
        .await
    }

    /// Names a transaction of the wallet that is made outside, so that it does not freeze sending.
    ///
    /// # Errors
    /// See [`CallError`]; asking again is safe.
    pub async fn announce(
        &self,
        request: AnnounceTransactionRequest,
    ) -> Result<AnnounceTransactionResponse, CallError> {
        repeat(
            Kind::Write,
            &self.settings,
            self.settings.total_timeout,
            |time| {
                let request = self.request(request.clone(), time);
                let mut service = OperationsServiceClient::new(self.channel.clone());
                async move { service.announce_transaction(request).await }
            },
        )
        .await
    }

    /// Largest answer that is read.
    pub(crate) const ANSWER_MAX_BYTES: usize = ANSWER_MAX_BYTES;

    pub(crate) fn settings(&self) -> &Settings {
        &self.settings
    }

    pub(crate) fn payments(&self) -> PaymentServiceClient<Channel> {
        PaymentServiceClient::new(self.channel.clone()).max_decoding_message_size(ANSWER_MAX_BYTES)
    }

    /// A request in the trace, with the token, without a deadline of its own.
    pub(crate) fn traced<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        if let Some(trace) = &self.trace {
            let value = trace
                .as_str()
                .parse()
                .expect("hex digits and dashes are ASCII");
            request.metadata_mut().insert("traceparent", value);
        }
        if let Some(token) = &self.token {
            request
                .metadata_mut()
                .insert("authorization", token.value());
        }
        request
    }

    pub(crate) fn request<T>(&self, message: T, time: Duration) -> Request<T> {
        let mut request = self.traced(message);
        request.set_timeout(time);
        request
    }

    async fn look(
        &self,
        payment_id: &str,
        client_id: &str,
        total: Duration,
    ) -> Result<Payment, CallError> {
        let asked = GetPaymentRequest {
            payment_id: payment_id.to_owned(),
            client_id: client_id.to_owned(),
        };
        let answer = repeat(Kind::Read, &self.settings, total, |time| {
            let request = self.request(asked.clone(), time);
            async move {
                let answer = self.payments().get_payment(request).await?;
                filled(&answer.get_ref().payment)?;
                Ok(answer)
            }
        });
        Ok(answer.await?.payment.unwrap_or_default())
    }
}

/// An answer without the payment is no answer.
fn filled(payment: &Option<Payment>) -> Result<(), Status> {
    match payment {
        Some(_) => Ok(()),
        None => Err(Status::internal("the answer holds no payment")),
    }
}
