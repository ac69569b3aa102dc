//! The calls of approvers and of people on duty.
//!
//! Owns: nothing but the calls. May not: decide what an answer means for the money.

use paygate_proto::v1::approval_service_client::ApprovalServiceClient;
use paygate_proto::v1::operations_service_client::OperationsServiceClient;
use paygate_proto::v1::{
    ApprovePaymentRequest, ApprovePaymentResponse, GetRolloutRequest, GetRolloutResponse,
    ListAuditEntriesRequest, ListAuditEntriesResponse, ListPendingApprovalsRequest,
    ListPendingApprovalsResponse, PauseRequest, PauseResponse, PromoteRolloutRequest,
    PromoteRolloutResponse, RecordRolloutRequest, RecordRolloutResponse, RejectPaymentRequest,
    RejectPaymentResponse, ResumeRequest, ResumeResponse, RollbackRolloutRequest,
    RollbackRolloutResponse,
};
use tonic::transport::Channel;

use crate::client::Client;
use crate::error::CallError;
use crate::repeat::{Kind, repeat};

/// One call: its name here, what it sends, what comes back, how it is repeated, and which service has it.
macro_rules! calls {
    ($($(#[$doc:meta])* $name:ident($request:ty) -> $response:ty, $kind:ident, $service:ident . $method:ident;)*) => {
        impl Client {
            $($(#[$doc])*
            ///
            /// # Errors
            /// See [`CallError`]; asking again is safe.
            pub async fn $name(&self, request: $request) -> Result<$response, CallError> {
                let settings = self.settings();
                repeat(Kind::$kind, settings, settings.total_timeout, |time| {
                    let request = self.request(request.clone(), time);
                    let mut service = self.$service();
                    async move { service.$method(request).await }
                })
                .await
            })*
        }
    };
}

calls! {
    /// Keeps payments from being bound: all, those of one client, or those to one destination.
    pause(PauseRequest) -> PauseResponse, Write, operations.pause;
    /// Ends a pause.
    resume(ResumeRequest) -> ResumeResponse, Write, operations.resume;
    /// A page of payments that wait for approval, oldest first.
    pending_approvals(ListPendingApprovalsRequest) -> ListPendingApprovalsResponse, Read, approvals.list_pending_approvals;
    /// Lets a payment of another client go on.
    approve(ApprovePaymentRequest) -> ApprovePaymentResponse, Write, approvals.approve_payment;
    /// Ends a payment of another client that waits for approval.
    reject(RejectPaymentRequest) -> RejectPaymentResponse, Write, approvals.reject_payment;
    /// A page of the audit log, newest first.
    audit_entries(ListAuditEntriesRequest) -> ListAuditEntriesResponse, Read, operations.list_audit_entries;
    /// The stage of the roll-out, and what stands before the next one.
    rollout(GetRolloutRequest) -> GetRolloutResponse, Read, operations.get_rollout;
    /// Keeps a person's word about one criterion.
    record_rollout(RecordRolloutRequest) -> RecordRolloutResponse, Write, operations.record_rollout;
    /// Begins the next stage, if each criterion holds or is overridden.
    promote_rollout(PromoteRolloutRequest) -> PromoteRolloutResponse, Write, operations.promote_rollout;
    /// Goes back to an earlier stage, at once.
    rollback_rollout(RollbackRolloutRequest) -> RollbackRolloutResponse, Write, operations.rollback_rollout;
}

impl Client {
    fn operations(&self) -> OperationsServiceClient<Channel> {
        OperationsServiceClient::new(self.channel())
            .max_decoding_message_size(Self::ANSWER_MAX_BYTES)
    }

    fn approvals(&self) -> ApprovalServiceClient<Channel> {
        ApprovalServiceClient::new(self.channel()).max_decoding_message_size(Self::ANSWER_MAX_BYTES)
    }
}
