//! Owns what ties a transaction to a payment or a purpose: the InvoiceID and the memos of no-ops and TicketCreates. The gateway and the signer both
//! compute them here, and the signer takes none from a request.

use crate::address::AccountId;
use crate::hash::{Hash256, sha256};
use crate::memo::Memo;
use crate::tx::{Slot, TicketCreate};

/// Keeps these hashes apart from every other use of SHA-256. A change of what is hashed needs a new one.
const INVOICE_DOMAIN: &[u8] = b"paygate/invoice/v1\0";

/// MemoType of a no-op that fills the slot of a payment.
pub const NOOP_MEMO_TYPE: &str = "paygate/noop";

/// MemoType of a no-op that fills a slot which no payment has.
pub const FILLER_MEMO_TYPE: &str = "paygate/filler";

/// MemoType of a TicketCreate.
pub const TICKETS_MEMO_TYPE: &str = "paygate/tickets";

/// The InvoiceID of a payment: SHA-256 of domain, network, account, and both ids with their lengths in front, so that
/// no two payments share one by moving characters from one id to the other.
pub fn invoice_id(
    network_id: u32,
    account: AccountId,
    client_id: &str,
    payment_id: &str,
) -> Hash256 {
    sha256(&[
        INVOICE_DOMAIN,
        &network_id.to_be_bytes(),
        account.as_bytes(),
        &length(client_id),
        client_id.as_bytes(),
        &length(payment_id),
        payment_id.as_bytes(),
    ])
}

/// The memo of a no-op that fills the slot of this payment.
pub fn noop_memo(client_id: &str, payment_id: &str) -> Memo {
    memo(NOOP_MEMO_TYPE, format!("{client_id}/{payment_id}"))
}

/// The memo of a no-op that fills a slot which no payment has.
pub fn filler_memo(slot: Slot) -> Memo {
    memo(FILLER_MEMO_TYPE, slot.to_string())
}

/// The memo of a TicketCreate: what it is for, which is no payment.
pub fn tickets_memo(slot: Slot, tickets: TicketCreate) -> Memo {
    memo(
        TICKETS_MEMO_TYPE,
        format!("{slot}: {} tickets for payments", tickets.count()),
    )
}

fn memo(memo_type: &str, data: String) -> Memo {
    Memo {
        memo_type: Some(memo_type.into()),
        data: Some(data.into_bytes()),
        format: None,
    }
}

fn length(text: &str) -> [u8; 4] {
    u32::try_from(text.len())
        .expect("ids have at most a few hundred characters")
        .to_be_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::address::ACCOUNT_ONE;
    use crate::memo::Memos;

    #[test]
    fn invoice_id_is_the_digest_of_the_framed_parts() {
        // python3: hashlib.sha256(b"paygate/invoice/v1\0" + struct.pack(">I", 1025) + bytes(19) + b"\1"
        //     + struct.pack(">I", 4) + b"shop" + struct.pack(">I", 8) + b"order-17").hexdigest()
        let id = invoice_id(1025, ACCOUNT_ONE, "shop", "order-17");
        assert_eq!(
            id.to_string(),
            "52AE5F6827696CAF62492A24F643CDE2C8DABA80DDA64620CA55D9BA6A02E2BC"
        );
    }

    #[test]
    fn every_part_counts_and_ids_do_not_run_together() {
        let id = |network, client, payment| invoice_id(network, ACCOUNT_ONE, client, payment);
        let ids = [
            id(0, "shop", "order-17"),
            id(1, "shop", "order-17"),
            id(0, "shopo", "rder-17"),
            id(0, "sho", "porder-17"),
            id(0, "shoporder-17", ""),
            id(0, "", "shoporder-17"),
            invoice_id(0, crate::ACCOUNT_ZERO, "shop", "order-17"),
        ];
        for (i, a) in ids.iter().enumerate() {
            assert!(!ids[i + 1..].contains(a), "{i}");
        }
    }

    #[test]
    fn memos_that_nobody_asks_for_say_what_they_are_for() {
        let noop = noop_memo("shop", "order-17");
        assert_eq!(noop.data.as_deref(), Some(&b"shop/order-17"[..]));
        let filler = filler_memo(Slot::Sequence(7));
        assert_eq!(filler.data.as_deref(), Some(&b"sequence 7"[..]));
        let tickets = tickets_memo(Slot::Sequence(7), TicketCreate::new(250).unwrap());
        assert_eq!(
            tickets.data.as_deref(),
            Some(&b"sequence 7: 250 tickets for payments"[..])
        );
        let memos = vec![noop, filler, tickets];
        assert_eq!(Memos::new(memos.clone()).unwrap().as_slice(), memos);
    }
}
