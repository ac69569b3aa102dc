//! Denials: every reason not to answer a call, what its caller is told, and how it is counted.
//!
//! Owns: the words. May not: repeat a credential that was not verified, or say which of several secrets was nearly right.

use std::net::IpAddr;

use paygate_proto::v1::ErrorReason;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use super::rules::Rule;
use crate::api::errors;

/// Why a call is not answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Denial {
    /// From another host, where nobody proves who he is.
    NotLoopback,
    /// Neither certificate nor token.
    NoCredential,
    /// A token that is none of ours, or an `authorization` of another kind.
    TokenInvalid,
    /// Its time is over.
    TokenExpired,
    /// It was taken back.
    TokenRevoked,
    /// A certificate that ended after the connection was made.
    CertificateExpired,
    /// A certificate that was taken back after the connection was made.
    CertificateRevoked,
    /// A certificate, handed on by a proxy or under other files than now, that no CA stands for.
    CertificateInvalid,
    /// A proxy's header from somebody who is no configured proxy.
    ProxyHeader,
    /// A proxy's header that cannot be understood.
    ProxyHeaderMalformed,
    /// A certificate whose names are no client's.
    Unmapped,
    /// Several credentials, of different clients.
    Disagree,
    /// Not on an allow-list. `None`: a proxy did not say from where.
    Address(Option<IpAddr>),
    /// The client may do other things.
    Scope(Rule),
    /// There is no such method, or none with a rule.
    Method,
}

impl Denial {
    /// As metrics and logs have it.
    pub(super) fn word(&self) -> &'static str {
        match self {
            Denial::NotLoopback => "not_loopback",
            Denial::NoCredential => "no_credential",
            Denial::TokenInvalid => "token_invalid",
            Denial::TokenExpired => "token_expired",
            Denial::TokenRevoked => "token_revoked",
            Denial::CertificateExpired => "certificate_expired",
            Denial::CertificateRevoked => "certificate_revoked",
            Denial::CertificateInvalid => "certificate_invalid",
            Denial::ProxyHeader => "proxy_header",
            Denial::ProxyHeaderMalformed => "proxy_header_malformed",
            Denial::Unmapped => "unmapped",
            Denial::Disagree => "disagree",
            Denial::Address(_) => "address",
            Denial::Scope(_) => "scope",
            Denial::Method => "method",
        }
    }

    /// What the caller is told.
    pub(super) fn status(&self) -> Status {
        self.told("the call was not looked at")
    }

    /// What a caller is told whose stream was open.
    pub(super) fn ends_stream(&self) -> Status {
        self.told("the stream ends here, and nothing is lost: call again with the last cursor that was dealt with")
    }

    fn told(&self, then: &str) -> Status {
        let (code, reason) = match self {
            Denial::Unmapped | Denial::Address(_) => {
                (Code::PermissionDenied, ErrorReason::ClientNotAllowed)
            }
            Denial::Scope(_) => (Code::PermissionDenied, ErrorReason::ScopeMissing),
            Denial::Method => {
                let instead = "server reflection lists those that exist";
                return errors::not_implemented("this method", instead);
            }
            _ => (Code::Unauthenticated, ErrorReason::CredentialInvalid),
        };
        let mut metadata = vec![("denial", self.word().to_owned())];
        if let Denial::Scope(rule) = self {
            metadata.push(("scope", rule.needs()));
        }
        let message = format!("{}; {then}", self.sentence());
        Status::with_error_details(code, message, errors::info(reason, metadata))
    }

    fn sentence(&self) -> String {
        let fixed = match self {
            Denial::NotLoopback => {
                "without authentication this gateway serves callers of its own host only"
            }
            Denial::NoCredential => {
                "no credential: show a client certificate, or a token in authorization: Bearer"
            }
            Denial::TokenInvalid => "the authorization is no token that is known here",
            Denial::TokenExpired => "the token has expired: ask for a new one",
            Denial::TokenRevoked => "the token was revoked: ask for a new one",
            Denial::CertificateExpired => {
                "the client certificate has expired: connect with a new one"
            }
            Denial::CertificateRevoked => {
                "the client certificate was revoked: connect with a new one"
            }
            Denial::CertificateInvalid => {
                "the client certificate is of no CA that is believed here"
            }
            Denial::ProxyHeader => {
                "x-forwarded-client-cert and x-forwarded-for are taken from configured proxies only"
            }
            Denial::ProxyHeaderMalformed => {
                "x-forwarded-client-cert or x-forwarded-for of the proxy cannot be read"
            }
            Denial::Unmapped => "the certificate's names are those of no configured client",
            Denial::Disagree => "the credentials belong to different clients",
            Denial::Address(None) => {
                "the proxy does not tell the caller's address, which must be allowed"
            }
            Denial::Address(Some(_)) => "the address is not on the allow-list",
            Denial::Scope(rule) => return format!("this call needs the scope {}", rule.needs()),
            Denial::Method => "there is no such method",
        };
        fixed.to_owned()
    }
}
