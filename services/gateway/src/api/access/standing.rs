//! Whether a caller whose stream is open would still be let in.
//!
//! Owns: what he has proven, as far as it can be looked at again: certificates, the token's id and hash. May not: keep a token.

use std::net::IpAddr;
use std::sync::Arc;

use super::Access;
use super::denial::Denial;
use super::tokens::Proven;
use crate::api::identity::Caller;
use crate::tls::{Certificate, Peer};
use tonic::Status;

/// What an open stream stands on. Clones share it.
#[derive(Clone, Debug)]
pub(in crate::api) struct Standing {
    access: Access,
    held: Arc<Held>,
}

/// What the caller has shown when his stream was opened.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) path: String,
    pub(super) peer: Peer,
    /// Of a certificate that a proxy has handed on.
    pub(super) handed_on: Option<Arc<Certificate>>,
    pub(super) token: Option<Proven>,
    /// From where, if that is known.
    pub(super) address: Option<IpAddr>,
    pub(super) caller: Caller,
}

impl Standing {
    pub(super) fn new(access: Access, held: Held) -> Standing {
        Standing {
            access,
            held: Arc::new(held),
        }
    }

    /// Looks again, at the files and the configuration that are in force now. What it answers ends the stream.
    pub(in crate::api) fn check(&self) -> Result<(), Status> {
        self.access
            .stands(&self.held)
            .map_err(|denial| self.ended(&denial))
    }

    fn ended(&self, denial: &Denial) -> Status {
        let held = &self.held;
        self.access.0.metrics.access_denied(denial.word());
        tracing::warn!(
            denial = denial.word(),
            method = held.path,
            credential = held.caller.credential,
            client_id = held.caller.client_id.as_str(),
            "an open stream was ended"
        );
        denial.ends_stream()
    }
}
