//! Who calls.
//!
//! Owns: the shape of a caller as handlers see it. May not: let anybody in by default.

use paygate_payments::intent::Id;
use tonic::{Request, Status};

use super::access::Standing;
use super::errors;
use crate::config::Scope;

/// Who calls without authentication, which only this host's own processes may.
pub const LOCAL_CLIENT: &str = "local";

/// The credential of such a caller: none but his address.
const LOOPBACK_CREDENTIAL: &str = "loopback";

/// Who calls, and what he may do. Handlers know nothing else of a caller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Caller {
    /// The configured client: payments, limits and audit go by it.
    pub(super) client_id: Id,
    /// What he proved it with, as the configuration writes it: `uri:…`, `dns:…`, `cn:…` or `token:` and the token's id. Never a secret.
    pub(super) credential: String,
    /// What he may do.
    pub(super) scopes: Vec<Scope>,
}

impl Caller {
    /// Whether he may do that.
    pub(super) fn may(&self, scope: Scope) -> bool {
        self.scopes.contains(&scope)
    }

    /// A process of this host, where nobody proves anything.
    pub(super) fn local() -> Caller {
        Caller {
            client_id: Id::new(LOCAL_CLIENT).expect("five letters are an id"),
            credential: LOOPBACK_CREDENTIAL.to_owned(),
            scopes: Scope::ALL.to_vec(),
        }
    }
}

/// What the caller's open stream will stand on. `None`: nobody proves anything.
pub(super) fn standing<T>(request: &Request<T>) -> Option<Standing> {
    request.extensions().get::<Standing>().cloned()
}

/// The caller of a request, as `access` has found him.
pub(super) fn caller<T>(request: &Request<T>) -> Result<Caller, Status> {
    let caller = request.extensions().get::<Caller>();
    caller.cloned().ok_or_else(errors::credential_invalid)
}
