//! Ids that nobody else makes: for payments, and for traces.
//!
//! Owns: the only source of randomness. May not: be used for a key or a secret.

use std::fs::File;
use std::io::{self, Read};

use paygate_telemetry::TraceParent;

/// Where the system hands out random bytes, without a limit and without blocking.
const SOURCE: &str = "/dev/urandom";

/// Random bytes in a payment's id. Two equal ids could be taken for one payment: 96 bits make that impossible in practice.
const PAYMENT_ID_BYTES: usize = 12;

/// An id for a payment whose caller has none of its own. Write it down before the payment is sent.
///
/// # Errors
/// If the system gives no random bytes.
pub fn random_payment_id() -> io::Result<String> {
    Ok(format!("ctl-{}", hex::<PAYMENT_ID_BYTES>()?))
}

/// The start of a new trace that is to be recorded.
///
/// # Errors
/// If the system gives no random bytes.
pub fn random_trace() -> io::Result<TraceParent> {
    loop {
        let text = format!("00-{}-{}-01", hex::<16>()?, hex::<8>()?);
        // An id of zeros alone is no id. It comes once in 2^64 times.
        if let Ok(trace) = text.parse() {
            return Ok(trace);
        }
    }
}

fn hex<const BYTES: usize>() -> io::Result<String> {
    let mut bytes = [0; BYTES];
    File::open(SOURCE)?.read_exact(&mut bytes)?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check_payment_id;

    #[test]
    fn ids_are_good_and_different() {
        let (one, other) = (random_payment_id().unwrap(), random_payment_id().unwrap());
        assert_ne!(one, other);
        check_payment_id(&one).unwrap();
        let (one, other) = (random_trace().unwrap(), random_trace().unwrap());
        assert_ne!(one.trace_id(), other.trace_id());
    }
}
