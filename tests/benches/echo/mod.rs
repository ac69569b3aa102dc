//! The least that a server of the same contract can do, which the benches compare with.
//!
//! Owns: nothing. May not: look at a request.

use paygate_proto::v1::payment_service_server::PaymentService;
use paygate_proto::v1::*;
use tonic::{Request, Response, Status};

/// Answers the answer that the gateway gave first, and does nothing else.
pub(crate) struct Echo(pub(crate) CreatePaymentResponse);

#[tonic::async_trait]
impl PaymentService for Echo {
    type WatchPaymentsStream = tokio_stream::Empty<Result<WatchPaymentsResponse, Status>>;

    async fn create_payment(
        &self,
        _: Request<CreatePaymentRequest>,
    ) -> Result<Response<CreatePaymentResponse>, Status> {
        Ok(Response::new(self.0.clone()))
    }

    async fn batch_create_payments(
        &self,
        _: Request<BatchCreatePaymentsRequest>,
    ) -> Result<Response<BatchCreatePaymentsResponse>, Status> {
        Err(Status::unimplemented("an echo"))
    }

    async fn get_payment(
        &self,
        _: Request<GetPaymentRequest>,
    ) -> Result<Response<GetPaymentResponse>, Status> {
        Err(Status::unimplemented("an echo"))
    }

    async fn list_payments(
        &self,
        _: Request<ListPaymentsRequest>,
    ) -> Result<Response<ListPaymentsResponse>, Status> {
        Err(Status::unimplemented("an echo"))
    }

    async fn watch_payments(
        &self,
        _: Request<WatchPaymentsRequest>,
    ) -> Result<Response<Self::WatchPaymentsStream>, Status> {
        Err(Status::unimplemented("an echo"))
    }

    async fn cancel_payment(
        &self,
        _: Request<CancelPaymentRequest>,
    ) -> Result<Response<CancelPaymentResponse>, Status> {
        Err(Status::unimplemented("an echo"))
    }

    async fn explain_payment(
        &self,
        _: Request<ExplainPaymentRequest>,
    ) -> Result<Response<ExplainPaymentResponse>, Status> {
        Err(Status::unimplemented("an echo"))
    }
}
