//! ApprovalService: nothing of it is built. This version has no approval threshold, so no payment waits for an approver.

use paygate_proto::v1::approval_service_server::ApprovalService;
use paygate_proto::v1::{
    ApprovePaymentRequest, ApprovePaymentResponse, ListPendingApprovalsRequest,
    ListPendingApprovalsResponse, RejectPaymentRequest, RejectPaymentResponse,
};
use tonic::{Request, Response, Status};

use super::errors;

/// What to do instead.
const INSTEAD: &str = "no payment waits for an approver: there is no approval threshold";

/// Serves ApprovalService.
#[derive(Clone, Copy, Debug)]
pub struct ApprovalApi;

#[tonic::async_trait]
impl ApprovalService for ApprovalApi {
    async fn list_pending_approvals(
        &self,
        _request: Request<ListPendingApprovalsRequest>,
    ) -> Result<Response<ListPendingApprovalsResponse>, Status> {
        Err(errors::not_implemented("ListPendingApprovals", INSTEAD))
    }

    async fn approve_payment(
        &self,
        _request: Request<ApprovePaymentRequest>,
    ) -> Result<Response<ApprovePaymentResponse>, Status> {
        Err(errors::not_implemented("ApprovePayment", INSTEAD))
    }

    async fn reject_payment(
        &self,
        _request: Request<RejectPaymentRequest>,
    ) -> Result<Response<RejectPaymentResponse>, Status> {
        Err(errors::not_implemented("RejectPayment", INSTEAD))
    }
}
