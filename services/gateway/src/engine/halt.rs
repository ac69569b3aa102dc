//! After a halt: when to go on.
//!
//! Owns: the jitter. May not: count a halt; `watch` sees that the validated index stands still.
//!
//! When a network comes back, everybody who waited sends at once. Each gateway lets a few ledgers pass first: how many follows from
//! the first new ledger and the wallet, so that wallets differ and nothing has to be drawn.

use paygate_payments::{LedgerIndex, LedgerRef};
use paygate_proto::v1::PaymentReason;

use super::dispatch::blocked;
use crate::view::Blocked;

/// At most so many ledgers pass before anything is bound again.
const JITTER_LEDGERS_MAX: u32 = 2;

/// Where the dispatcher stands after a halt. Nothing of it is needed for safety.
#[derive(Debug, Default)]
pub(super) enum Resuming {
    /// There was no halt.
    #[default]
    No,
    /// The network is halted.
    Halted,
    /// It validates again: go on at this ledger.
    At(LedgerIndex),
}

impl Resuming {
    /// What holds back new signatures for a while, if anything does.
    pub(super) fn after_halt(
        &mut self,
        halted: bool,
        validated: LedgerRef,
        sequence: u32,
    ) -> Option<Blocked> {
        if halted {
            *self = Self::Halted;
            return None;
        }
        if matches!(self, Self::Halted) {
            *self = Self::At(validated.index.plus(jitter(validated, sequence)));
        }
        match *self {
            Self::At(index) if validated.index < index => {
                let detail = format!(
                    "the network validates again; sending goes on at ledger {index}, not with everybody else at once"
                );
                Some(blocked(PaymentReason::NetworkHalted, &detail))
            }
            _ => {
                *self = Self::No;
                None
            }
        }
    }
}

fn jitter(validated: LedgerRef, sequence: u32) -> u32 {
    let mixed = xrpl_tx::sha256(&[validated.hash.as_bytes(), &sequence.to_be_bytes()]);
    u32::from(mixed.as_bytes()[0]) % (JITTER_LEDGERS_MAX + 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use xrpl_tx::Hash256;

    fn ledger(index: u32, byte: u8) -> LedgerRef {
        LedgerRef {
            index: LedgerIndex(index),
            hash: Hash256::from_bytes([byte; 32]),
        }
    }

    #[test]
    fn after_a_halt_a_few_ledgers_pass_and_wallets_differ() {
        let mut waits = Vec::new();
        for byte in 0..32 {
            let mut resuming = Resuming::default();
            assert_eq!(resuming.after_halt(false, ledger(9, byte), 7), None);
            assert_eq!(resuming.after_halt(true, ledger(9, byte), 7), None);
            let mut index = 10;
            while let Some(blocked) = resuming.after_halt(false, ledger(index, byte), 7) {
                assert_eq!(blocked.reason, PaymentReason::NetworkHalted);
                index += 1;
            }
            assert_eq!(resuming.after_halt(false, ledger(index, byte), 7), None);
            waits.push(index - 10);
        }
        assert!(waits.iter().all(|wait| *wait <= JITTER_LEDGERS_MAX));
        assert!((0..=JITTER_LEDGERS_MAX).all(|wait| waits.contains(&wait)));
    }
}
