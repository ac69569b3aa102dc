//! Owns the names and headers of the fields that we send, and the numbers around them. The encoder and the decoder take
//! them from here; in which order the fields stand is theirs.

/// A field of the ledger's binary form.
#[derive(Clone, Copy)]
pub(crate) struct Field {
    /// As the ledger's documentation writes it.
    pub(crate) name: &'static str,
    /// What precedes its value.
    pub(crate) header: &'static [u8],
}

// Type and field code take four bits each of one byte; a field code above 15 takes a second byte.
pub(crate) const TRANSACTION_TYPE: Field = field("TransactionType", &[0x12]);
pub(crate) const NETWORK_ID: Field = field("NetworkID", &[0x21]);
pub(crate) const SOURCE_TAG: Field = field("SourceTag", &[0x23]);
pub(crate) const SEQUENCE: Field = field("Sequence", &[0x24]);
pub(crate) const DESTINATION_TAG: Field = field("DestinationTag", &[0x2E]);
pub(crate) const LAST_LEDGER_SEQUENCE: Field = field("LastLedgerSequence", &[0x20, 27]);
pub(crate) const TICKET_COUNT: Field = field("TicketCount", &[0x20, 40]);
pub(crate) const TICKET_SEQUENCE: Field = field("TicketSequence", &[0x20, 41]);
pub(crate) const INVOICE_ID: Field = field("InvoiceID", &[0x50, 17]);
pub(crate) const AMOUNT: Field = field("Amount", &[0x61]);
pub(crate) const FEE: Field = field("Fee", &[0x68]);
pub(crate) const SEND_MAX: Field = field("SendMax", &[0x69]);
pub(crate) const SIGNING_PUB_KEY: Field = field("SigningPubKey", &[0x73]);
pub(crate) const TXN_SIGNATURE: Field = field("TxnSignature", &[0x74]);
pub(crate) const MEMO_TYPE: Field = field("MemoType", &[0x7C]);
pub(crate) const MEMO_DATA: Field = field("MemoData", &[0x7D]);
pub(crate) const MEMO_FORMAT: Field = field("MemoFormat", &[0x7E]);
pub(crate) const ACCOUNT: Field = field("Account", &[0x81]);
pub(crate) const DESTINATION: Field = field("Destination", &[0x83]);
pub(crate) const MEMO: Field = field("Memo", &[0xEA]);
pub(crate) const OBJECT_END: Field = field("end of an object", &[0xE1]);
pub(crate) const MEMOS: Field = field("Memos", &[0xF9]);
pub(crate) const ARRAY_END: Field = field("end of an array", &[0xF1]);

/// TransactionType of a Payment.
pub(crate) const TYPE_PAYMENT: u16 = 0;

/// TransactionType of an AccountSet.
pub(crate) const TYPE_ACCOUNT_SET: u16 = 3;

/// TransactionType of a TicketCreate.
pub(crate) const TYPE_TICKET_CREATE: u16 = 10;

/// Set in every amount of XRP that is not negative, and ours never are.
pub(crate) const XRP_POSITIVE: u64 = 0x4000_0000_0000_0000;

/// The longest byte string whose length takes one byte.
pub(crate) const ONE_BYTE_LENGTH_MAX: usize = 192;

/// The longest byte string whose length takes two bytes. Three are never needed: memos end far below.
pub(crate) const TWO_BYTE_LENGTH_MAX: usize = 12_480;

const fn field(name: &'static str, header: &'static [u8]) -> Field {
    Field { name, header }
}
