//! The table: which scope each method needs.
//!
//! Owns: every method that is served. May not: have a catch-all that lets anything through; a method that is not here is refused.

use crate::config::Scope;

/// What a method asks of its caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// One of these scopes.
    Any(&'static [Scope]),
    /// To be somebody who is configured, be it a client with whatever scope or a trusted proxy: nothing is told about payments.
    Known,
}

/// Who pays may look after his payments; who decides or is on duty may look at all. `reach` says whose.
const LOOK: Rule = Rule::Any(&[Scope::Read, Scope::Pay, Scope::Approve, Scope::Operate]);
const PAY: Rule = Rule::Any(&[Scope::Pay]);
const WALLET: Rule = Rule::Any(&[Scope::Read, Scope::Operate]);
const APPROVE: Rule = Rule::Any(&[Scope::Approve]);
const OPERATE: Rule = Rule::Any(&[Scope::Operate]);

/// Whether a call counts as one that creates nothing. Creates count by themselves, as payments; and those of people who decide or are on
/// duty count nowhere: in a flood they are the ones who must get through.
#[must_use]
pub(super) fn costs_a_read(path: &str) -> bool {
    matches!(
        path,
        "/paygate.v1.PaymentService/GetPayment"
            | "/paygate.v1.PaymentService/ListPayments"
            | "/paygate.v1.PaymentService/WatchPayments"
            | "/paygate.v1.PaymentService/ExplainPayment"
            | "/paygate.v1.PaymentService/CancelPayment"
            | "/paygate.v1.WalletService/GetWallet"
    )
}

/// Whether its answer is a stream that may last, and tells of payments.
#[must_use]
pub(super) fn lasts(path: &str) -> bool {
    path == "/paygate.v1.PaymentService/WatchPayments"
}

/// The rule of a path like `/paygate.v1.PaymentService/GetPayment`. `None`: refused.
#[must_use]
pub fn rule(path: &str) -> Option<Rule> {
    let (service, method) = path.strip_prefix('/')?.split_once('/')?;
    let rule = match (service, method) {
        (
            "paygate.v1.PaymentService",
            "CreatePayment" | "BatchCreatePayments" | "CancelPayment",
        ) => PAY,
        (
            "paygate.v1.PaymentService",
            "GetPayment" | "ListPayments" | "WatchPayments" | "ExplainPayment",
        ) => LOOK,
        ("paygate.v1.WalletService", "GetWallet") => WALLET,
        (
            "paygate.v1.ApprovalService",
            "ListPendingApprovals" | "ApprovePayment" | "RejectPayment",
        ) => APPROVE,
        (
            "paygate.v1.OperationsService",
            "GetStatus"
            | "Pause"
            | "Resume"
            | "Unfreeze"
            | "AnnounceTransaction"
            | "GetRollout"
            | "RecordRollout"
            | "PromoteRollout"
            | "RollbackRollout"
            | "ReconcileWallet"
            | "ListAuditEntries",
        ) => OPERATE,
        ("grpc.health.v1.Health", "Check" | "Watch" | "List") => Rule::Known,
        (
            "grpc.reflection.v1.ServerReflection" | "grpc.reflection.v1alpha.ServerReflection",
            "ServerReflectionInfo",
        ) => Rule::Known,
        _ => return None,
    };
    Some(rule)
}

impl Rule {
    /// Whether these scopes suffice.
    #[must_use]
    pub fn allows(self, scopes: &[Scope]) -> bool {
        match self {
            Rule::Any(needed) => needed.iter().any(|scope| scopes.contains(scope)),
            Rule::Known => true,
        }
    }

    /// `pay`, or `read or operate`: for errors.
    #[must_use]
    pub fn needs(self) -> String {
        match self {
            Rule::Any(needed) => {
                let names: Vec<&str> = needed.iter().map(|scope| scope.name()).collect();
                names.join(" or ")
            }
            Rule::Known => "any".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use prost::Message as _;

    use super::*;

    #[test]
    fn every_method_of_the_contract_has_a_rule_and_nothing_else_has() {
        let sets = [
            paygate_proto::FILE_DESCRIPTOR_SET,
            tonic_health::pb::FILE_DESCRIPTOR_SET,
        ];
        for set in sets {
            let set = prost_types::FileDescriptorSet::decode(set).unwrap();
            for file in set
                .file
                .iter()
                .filter(|file| file.package() != "paygate.signer.v1")
            {
                for service in &file.service {
                    for method in &service.method {
                        let path =
                            format!("/{}.{}/{}", file.package(), service.name(), method.name());
                        assert!(rule(&path).is_some(), "{path} has no rule");
                        for other in [&path[1..], &format!("{path}/"), &path.to_ascii_lowercase()] {
                            assert!(rule(other).is_none(), "{other}");
                        }
                    }
                }
            }
        }
    }
}
