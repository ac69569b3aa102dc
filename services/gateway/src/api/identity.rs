//! Who calls.
//!
//! Owns: the only place that turns a connection into a client_id. May not: let anybody in by default.

use paygate_payments::intent::Id;
use tonic::{Request, Status};

use super::errors;

/// Who calls without authentication, which only this host's own processes may.
pub const LOCAL_CLIENT: &str = "local";

/// The client of a call. Without authentication it is `local`, and a caller from elsewhere is nobody, whatever address the
/// configuration let the gateway listen on.
pub(super) fn caller<T>(request: &Request<T>) -> Result<Id, Status> {
    match request.remote_addr() {
        Some(peer) if peer.ip().to_canonical().is_loopback() => {
            Ok(Id::new(LOCAL_CLIENT).expect("five letters are an id"))
        }
        _ => Err(errors::credential_invalid()),
    }
}
