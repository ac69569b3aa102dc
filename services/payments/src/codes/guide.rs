//! What happens next, by the answer that a server gave or the code that a validated ledger holds.
//!
//! Owns: the words for a person: what it means, what the gateway does by itself, what is left to do. May not: be read by
//! code, nor say that a payment ended: only a state with its evidence says that.

use super::errors::{Refusal, Trouble};
use super::{Advice, Code, Verdict};

/// Three sentences for a person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Guide {
    /// What the answer says.
    pub meaning: &'static str,
    /// What the gateway does by itself.
    pub gateway: &'static str,
    /// What a person should do.
    pub person: String,
}

const SENDS_AGAIN: &str = "It reads every validated ledger, and sends the same transaction again after each until a ledger holds it or its \
     LastLedgerSequence has passed.";
const BIDS_AGAIN: &str = "It sends the same transaction again after each validated ledger. Once that one is proven dead, the next version \
     offers what the ledger then asks for, on the lowest open slot at least a quarter more; near its deadline a payment offers more at \
     once. Never more than fees.max_drops, nor than fees.max_xrp_per_hour leaves.";
const READS_SLOT: &str = "It reads in the next validated ledgers what used the slot. Until one shows that, nothing is decided.";
const FROZEN: &str = "It has frozen sending: it signs and sends nothing until a person calls Unfreeze. It goes on reading validated ledgers, \
     which alone decide what was sent before.";
const FINAL: &str = "Nothing: this is final.";
const FINAL_FROZEN: &str = "Nothing more for this payment, which is final. It has frozen sending until a person calls Unfreeze.";

const WAIT: &str = "Nothing: wait for a validated ledger. Do not pay elsewhere meanwhile.";
const WAIT_FOR_LOWER: &str = "Nothing: wait. If it lasts, look at the payment on the lowest open slot (GetWallet lists them). Do not pay elsewhere \
     meanwhile.";
const WAIT_FOR_FEES: &str = "Nothing: patience costs less than fees. Raise fees.max_drops only if it lasts and a deadline comes near. Do not pay \
     elsewhere meanwhile.";
const REFILL: &str = "Send XRP to the wallet. Do not pay elsewhere meanwhile: the ledger may still take this payment.";
const CHECK_KEY: &str = "Compare the signing key, the network and the configured server with what the answer says, repair what differs, \
     then call Unfreeze and say why. Do not pay elsewhere before the payment is final and safe_to_repay.";
const REPORT: &str = "The gateway should never send what is answered so: report it with the output of `paygatectl explain`. Call Unfreeze once \
     the cause is known. Do not pay elsewhere before the payment is final and safe_to_repay.";
const NEW_CODE: &str = "Update the gateway, or look the word up in the XRP Ledger's documentation, then call Unfreeze and say why. Do not pay \
     elsewhere before the payment is final and safe_to_repay.";
const CHECK_SERVER: &str = "If it lasts longer than a few ledgers, check the ledger's server, or configure another. Do not pay elsewhere \
     meanwhile: the server may hold the transaction.";
const CHECK_ADDRESS: &str = "Check that xrpl.servers names an XRP Ledger server and a port that takes transactions. Do not pay elsewhere \
     meanwhile: the server may hold the transaction.";

/// An answer to `submit`. It never decides.
#[must_use]
pub fn provisional(code: &str) -> Guide {
    let Some(known) = Code::by_name(code) else {
        return Guide {
            meaning: "A result code that this version does not know.",
            gateway: FROZEN,
            person: NEW_CODE.to_owned(),
        };
    };
    let (gateway, person) = match known.advice {
        Advice::WaitForValidation => (SENDS_AGAIN, WAIT),
        Advice::Resubmit => (SENDS_AGAIN, WAIT_FOR_LOWER),
        Advice::RaiseFee => (BIDS_AGAIN, WAIT_FOR_FEES),
        Advice::LookAtLedger => (READS_SLOT, WAIT),
        Advice::Refill => (SENDS_AGAIN, REFILL),
        Advice::PauseWallet => (FROZEN, CHECK_KEY),
        Advice::StopAndHold | Advice::Bug => (FROZEN, REPORT),
    };
    let person = match remedy(code) {
        Some(remedy) if !known.advice.freezes() => format!(
            "Do not pay elsewhere meanwhile: the ledger may still take this payment. What would help it: {remedy}."
        ),
        _ => person.to_owned(),
    };
    Guide {
        meaning: known.meaning,
        gateway,
        person,
    }
}

/// A `submit` that the server refused with an error. It never decides either.
#[must_use]
pub fn refused(token: &str) -> Guide {
    let (gateway, person) = match Trouble::of(token) {
        Trouble::Behind | Trouble::Busy | Trouble::NotShown | Trouble::Broken => {
            (SENDS_AGAIN, CHECK_SERVER)
        }
        Trouble::NotServed => (SENDS_AGAIN, CHECK_ADDRESS),
        Trouble::BadBlob => (FROZEN, REPORT),
        Trouble::Unknown => (FROZEN, NEW_CODE),
    };
    Guide {
        meaning: Refusal::by_token(token)
            .map_or("An error that this version does not know.", |known| {
                known.meaning
            }),
        gateway,
        person: person.to_owned(),
    }
}

/// A `submit` to which no answer came, or none that can be read.
#[must_use]
pub fn unanswered() -> Guide {
    Guide {
        meaning: "It was sent, or may have been, and no answer came that can be read.",
        gateway: SENDS_AGAIN,
        person: WAIT.to_owned(),
    }
}

/// The code of a payment that a validated ledger holds.
#[must_use]
pub fn settled(code: &str) -> Guide {
    let verdict = Verdict::of(code);
    let again =
        "Pay again under a new payment_id, with retry_of naming this one, if it is still wanted.";
    let person = match (verdict, remedy(code)) {
        (Verdict::Delivered, _) => "Nothing: it is paid. Do not pay again.".to_owned(),
        (Verdict::FailedPause | Verdict::Bug | Verdict::NotInLedger, _) => format!(
            "The gateway should never cause it: report it with the output of `paygatectl explain`, and call Unfreeze once the cause is known. {again}"
        ),
        (Verdict::Failed | Verdict::FailedRefill, Some(remedy)) => {
            format!("Before anything else: {remedy}. {again}")
        }
        (Verdict::Failed | Verdict::FailedRefill, None) => again.to_owned(),
    };
    Guide {
        meaning: Code::by_name(code).map_or(
            "A result code that this version does not know: fee and slot are gone.",
            |known| known.meaning,
        ),
        gateway: if verdict.freezes() {
            FINAL_FROZEN
        } else {
            FINAL
        },
        person,
    }
}

/// What would make the ledger take such a payment.
fn remedy(code: &str) -> Option<&'static str> {
    Some(match code {
        "tecNO_DST" => "ask the payee for an account that exists",
        "tecNO_DST_INSUF_XRP" => {
            "pay at least the ledger's base reserve, or ask the payee for an account that exists"
        }
        "tecDST_TAG_NEEDED" => "ask the payee for the destination tag",
        "tecNO_PERMISSION" => {
            "ask the payee to authorise the wallet (DepositPreauth), or for another address"
        }
        "tecPATH_DRY" | "tecNO_LINE" | "tecNO_AUTH" | "tecFROZEN" | "tecLOCKED"
        | "tecNO_ISSUER" => {
            "ask payee and issuer whether the payee's trust line exists, is authorised and is not frozen, and look at the wallet's own"
        }
        "tecPATH_PARTIAL" => {
            "compare the amount with the limit of the payee's trust line, the wallet's own balance and the issuer's transfer fee"
        }
        "tecUNFUNDED_PAYMENT"
        | "tecINSUFF_FEE"
        | "tecINSUFFICIENT_RESERVE"
        | "tecFAILED_PROCESSING"
        | "terINSUF_FEE_B"
        | "telCAN_NOT_QUEUE_BALANCE" => "send XRP to the wallet",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_is_not_final_lets_anybody_pay_elsewhere() {
        let codes = Code::all().iter().map(|code| provisional(code.name));
        let tokens = Refusal::all().iter().map(|known| refused(known.token));
        let others = [
            provisional("tecBRAND_NEW"),
            refused("brandNew"),
            unanswered(),
        ];
        for guide in codes.chain(tokens).chain(others) {
            assert!(
                guide.person.contains("Do not pay elsewhere"),
                "{}: {}",
                guide.meaning,
                guide.person
            );
        }
    }

    #[test]
    fn a_final_code_says_what_to_do_before_paying_again() {
        assert!(settled("tesSUCCESS").person.contains("Do not pay again"));
        assert!(
            settled("tecDST_TAG_NEEDED")
                .person
                .starts_with("Before anything else: ask the payee for the destination tag")
        );
        assert!(settled("tecNO_ENTRY").gateway.contains("frozen"));
        assert!(settled("tecBRAND_NEW").gateway.contains("frozen"));
    }
}
