//! What a payment's state means for whoever asked for it.
//!
//! Owns: the three outcomes, and what a good payment_id is. May not: read an outcome from anything but the state.

use paygate_proto::v1::{Payment, PaymentState};

/// Longest payment_id, in characters: what the contract allows.
const PAYMENT_ID_MAX_CHARS: usize = 64;

/// What is proven about a payment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// A validated ledger shows that the destination got exactly the amount.
    Paid,
    /// It is proven that the destination got nothing from it and never will.
    Unpaid,
    /// Nothing is proven yet, or this program does not know the state. Ask again; do not pay elsewhere.
    Live,
}

/// Text that no payment can have as its id.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no payment id: 1 to 64 of A-Z a-z 0-9 . _ : -")]
pub struct PaymentIdError(String);

/// What the payment's state proves.
#[must_use]
pub fn outcome(payment: &Payment) -> Outcome {
    // From the number, as a state that this program does not know must not be taken for one that it does.
    match PaymentState::try_from(payment.state) {
        Ok(PaymentState::Paid) => Outcome::Paid,
        Ok(
            PaymentState::Failed
            | PaymentState::Expired
            | PaymentState::Cancelled
            | PaymentState::Rejected,
        ) => Outcome::Unpaid,
        _ => Outcome::Live,
    }
}

/// Whether paying again, by a new payment or by other means, cannot pay twice. The gateway must say so, and the state must
/// allow it: one of the two alone is not believed.
#[must_use]
pub fn safe_to_repay(payment: &Payment) -> bool {
    payment.safe_to_repay && outcome(payment) == Outcome::Unpaid
}

/// The id itself, if a payment can have it.
///
/// # Errors
/// If it is empty, longer than 64 characters or holds others than `A-Z a-z 0-9 . _ : -`.
pub fn check_payment_id(text: &str) -> Result<&str, PaymentIdError> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._:-".contains(&byte);
    if text.is_empty() || text.len() > PAYMENT_ID_MAX_CHARS || !text.bytes().all(allowed) {
        return Err(PaymentIdError(text.to_owned()));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn payment(state: i32, safe_to_repay: bool) -> Payment {
        Payment {
            state,
            safe_to_repay,
            ..Payment::default()
        }
    }

    #[test]
    fn only_known_final_states_are_outcomes() {
        for state in 0..20 {
            let wanted = match state {
                4 => Outcome::Paid,
                5..=8 => Outcome::Unpaid,
                _ => Outcome::Live,
            };
            assert_eq!(outcome(&payment(state, false)), wanted, "state {state}");
        }
    }

    #[test]
    fn safe_to_repay_takes_a_word_and_a_state_that_agree() {
        assert!(safe_to_repay(&payment(PaymentState::Failed.into(), true)));
        assert!(!safe_to_repay(&payment(PaymentState::Failed.into(), false)));
        assert!(!safe_to_repay(&payment(PaymentState::AtLarge.into(), true)));
        assert!(!safe_to_repay(&payment(PaymentState::Paid.into(), true)));
        assert!(
            !safe_to_repay(&payment(77, true)),
            "a state that is not known"
        );
    }

    #[test]
    fn ids_are_checked_before_anything_is_sent() {
        for good in ["a", "invoice-4711", "A.b_c:d-9", &"x".repeat(64)] {
            assert_eq!(check_payment_id(good), Ok(good));
        }
        for bad in ["", "a b", "ä", "a/b", &"x".repeat(65)] {
            assert!(check_payment_id(bad).is_err(), "{bad}");
        }
    }
}
