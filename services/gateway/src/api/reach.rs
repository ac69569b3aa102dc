//! Whose payments a caller may see.
//!
//! Owns: what an empty `client_id` means, and the refusal of another's. May not: say whether such a payment exists.

use paygate_payments::intent::Id;
use tonic::Status;

use super::errors;
use super::identity::Caller;
use crate::config::Scope;

/// The client whose payment is asked for. `asked`: the field of the request, `None` if it was empty.
pub(super) fn one(caller: &Caller, asked: Option<Id>) -> Result<Id, Status> {
    let own = caller.client_id.clone();
    match asked {
        None => Ok(own),
        Some(asked) if asked == own || sees_others(caller) => Ok(asked),
        Some(_) => Err(errors::others_payments()),
    }
}

/// The same for several payments, where an operator who names nobody means everybody: `None`.
pub(super) fn several(caller: &Caller, asked: Option<Id>) -> Result<Option<Id>, Status> {
    if asked.is_none() && caller.may(Scope::Operate) {
        return Ok(None);
    }
    one(caller, asked).map(Some)
}

fn sees_others(caller: &Caller) -> bool {
    caller.may(Scope::Operate) || caller.may(Scope::Approve)
}
