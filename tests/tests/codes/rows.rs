//! The table of the stories: for each recorded answer, what must hold while it is all that is known, and, for codes that a
//! validated ledger holds, how the payment ends.
//!
//! Owns: what is expected, in words of its own: nothing here is read from the gateway's tables. May not: list an answer that
//! nobody recorded.

use paygate_proto::v1::PaymentReason as Reason;

/// What an answer to `submit` calls for: whatever it is, not for paying elsewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Calls {
    /// Nothing, and it is a good sign.
    Patience,
    /// Nothing: a lower slot comes first.
    LowerSlot,
    /// Nothing: fees will fall.
    LowerFees,
    /// A look at what used the slot.
    LookAtTheSlot,
    /// Money for the wallet.
    Money,
    /// A word with the payee.
    Payee(&'static str),
    /// A look at trust lines.
    TrustLines(&'static str),
    /// A better server.
    BetterServer,
    /// Another address.
    OtherAddress,
    /// A stop, and somebody who checks key, network and server.
    KeyCheck,
    /// A stop, and a report: the gateway should never cause it.
    Report,
}

/// How a payment ends with a code in a validated ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ends {
    /// FAILED, for this reason, and with a word on what to do before paying again.
    Failed(Reason, &'static str),
    /// FAILED, and sending stops: nothing of ours causes it.
    FailedAndFrozen,
}

/// A recorded code of the engine.
pub(crate) struct Row {
    /// Its name.
    pub(crate) code: &'static str,
    /// Preliminary.
    pub(crate) calls: Calls,
    /// Validated, if a recorded ledger holds it. `tesSUCCESS` ends PAID.
    pub(crate) ends: Option<Ends>,
}

/// A recorded error.
pub(crate) struct ErrorRow {
    /// The server's word.
    pub(crate) token: &'static str,
    /// After a `submit`.
    pub(crate) calls: Calls,
}

impl Calls {
    /// Whether sending stops.
    pub(crate) fn freezes(self) -> bool {
        matches!(self, Calls::KeyCheck | Calls::Report)
    }

    /// The reason of the live payment.
    pub(crate) fn reason(self) -> Reason {
        match self {
            Calls::Patience
            | Calls::LowerSlot
            | Calls::LowerFees
            | Calls::LookAtTheSlot
            | Calls::TrustLines(_) => Reason::None,
            Calls::Money => Reason::InsufficientFunds,
            Calls::Payee(_) => Reason::DestinationNotReady,
            Calls::BetterServer | Calls::OtherAddress => Reason::LedgerUnavailable,
            Calls::KeyCheck | Calls::Report => Reason::WalletFrozen,
        }
    }

    /// What the gateway says that it does.
    pub(crate) fn gateway(self) -> &'static str {
        match self {
            Calls::LookAtTheSlot => "reads in the next validated ledgers what used the slot",
            Calls::LowerFees => "the next version offers what the ledger then asks for",
            Calls::KeyCheck | Calls::Report => {
                "signs and sends nothing until a person calls Unfreeze"
            }
            _ => "sends the same transaction again",
        }
    }

    /// What a person is told to do.
    pub(crate) fn person(self) -> &'static str {
        match self {
            Calls::Patience | Calls::LookAtTheSlot => "Nothing: wait for a validated ledger",
            Calls::LowerSlot => "the payment on the lowest open slot",
            Calls::LowerFees => "patience costs less than fees",
            Calls::Money => "end XRP to the wallet",
            Calls::Payee(remedy) | Calls::TrustLines(remedy) => remedy,
            Calls::BetterServer => "check the ledger's server",
            Calls::OtherAddress => "Check that xrpl.servers names an XRP Ledger server",
            Calls::KeyCheck => "Compare the signing key, the network and the configured server",
            Calls::Report => "should never send what is answered so: report it",
        }
    }
}

const TAG: &str = "ask the payee for the destination tag";
const ACCOUNT: &str = "ask the payee for an account that exists";
const RESERVE: &str = "pay at least the ledger's base reserve";
const PREAUTH: &str = "ask the payee to authorise the wallet";
const LINE: &str = "trust line exists, is authorised and is not frozen";
const LIMIT: &str = "compare the amount with the limit of the payee's trust line";
const REFILL: &str = "send XRP to the wallet";

const fn row(code: &'static str, calls: Calls) -> Row {
    Row {
        code,
        calls,
        ends: None,
    }
}

const fn failed(code: &'static str, calls: Calls, reason: Reason, remedy: &'static str) -> Row {
    Row {
        code,
        calls,
        ends: Some(Ends::Failed(reason, remedy)),
    }
}

const fn never_ours(code: &'static str) -> Row {
    Row {
        code,
        calls: Calls::Report,
        ends: Some(Ends::FailedAndFrozen),
    }
}

/// Every recorded result code.
pub(crate) const ROWS: &[Row] = &[
    row("tesSUCCESS", Calls::Patience),
    row("telBAD_PATH_COUNT", Calls::Report),
    row("telCAN_NOT_QUEUE", Calls::LowerFees),
    row("telCAN_NOT_QUEUE_BLOCKED", Calls::Patience),
    row("telCAN_NOT_QUEUE_BLOCKS", Calls::Report),
    row("telCAN_NOT_QUEUE_FEE", Calls::Patience),
    row("telCAN_NOT_QUEUE_FULL", Calls::LowerFees),
    row("telINSUF_FEE_P", Calls::LowerFees),
    row("telNETWORK_ID_MAKES_TX_NON_CANONICAL", Calls::KeyCheck),
    row("telREQUIRES_NETWORK_ID", Calls::KeyCheck),
    row("telWRONG_NETWORK", Calls::KeyCheck),
    row("temARRAY_EMPTY", Calls::Report),
    row("temBAD_AMOUNT", Calls::Report),
    row("temBAD_FEE", Calls::Report),
    row("temBAD_OFFER", Calls::Report),
    row("temBAD_QUORUM", Calls::Report),
    row("temBAD_REGKEY", Calls::Report),
    row("temBAD_SEND_XRP_LIMIT", Calls::Report),
    row("temBAD_SEND_XRP_MAX", Calls::Report),
    row("temBAD_SEND_XRP_NO_DIRECT", Calls::Report),
    row("temBAD_SEND_XRP_PARTIAL", Calls::Report),
    row("temBAD_SEND_XRP_PATHS", Calls::Report),
    row("temBAD_TRANSFER_RATE", Calls::Report),
    row("temDISABLED", Calls::Patience),
    row("temDST_IS_SRC", Calls::Report),
    row("temDST_NEEDED", Calls::Report),
    row("temINVALID", Calls::Report),
    row("temINVALID_COUNT", Calls::Report),
    row("temINVALID_FLAG", Calls::Report),
    row("temREDUNDANT", Calls::Report),
    row("temSEQ_AND_TICKET", Calls::Report),
    row("tefBAD_AUTH", Calls::KeyCheck),
    row("tefBAD_QUORUM", Calls::KeyCheck),
    row("tefBAD_SIGNATURE", Calls::KeyCheck),
    row("tefMASTER_DISABLED", Calls::KeyCheck),
    row("tefMAX_LEDGER", Calls::Patience),
    row("tefNOT_MULTI_SIGNING", Calls::KeyCheck),
    row("tefNO_TICKET", Calls::LookAtTheSlot),
    row("tefPAST_SEQ", Calls::LookAtTheSlot),
    row("tefWRONG_PRIOR", Calls::Report),
    row("terINSUF_FEE_B", Calls::Money),
    row("terNO_ACCOUNT", Calls::KeyCheck),
    row("terNO_AMM", Calls::Report),
    row("terPRE_SEQ", Calls::LowerSlot),
    row("terPRE_TICKET", Calls::LowerSlot),
    row("terQUEUED", Calls::Patience),
    failed(
        "tecDIR_FULL",
        Calls::Patience,
        Reason::TecOther,
        "owns as many objects",
    ),
    failed(
        "tecDST_TAG_NEEDED",
        Calls::Payee(TAG),
        Reason::TecTagNeeded,
        TAG,
    ),
    failed(
        "tecINSUFFICIENT_RESERVE",
        Calls::Money,
        Reason::TecUnfunded,
        REFILL,
    ),
    failed(
        "tecNO_DST",
        Calls::Payee(ACCOUNT),
        Reason::TecNoDestination,
        ACCOUNT,
    ),
    failed(
        "tecNO_DST_INSUF_XRP",
        Calls::Payee(RESERVE),
        Reason::TecNoDestination,
        RESERVE,
    ),
    failed(
        "tecNO_PERMISSION",
        Calls::Payee(PREAUTH),
        Reason::TecNoPermission,
        PREAUTH,
    ),
    failed(
        "tecPATH_DRY",
        Calls::TrustLines(LINE),
        Reason::TecOther,
        LINE,
    ),
    failed(
        "tecPATH_PARTIAL",
        Calls::TrustLines(LIMIT),
        Reason::TecOther,
        LIMIT,
    ),
    failed(
        "tecUNFUNDED_PAYMENT",
        Calls::Money,
        Reason::TecUnfunded,
        REFILL,
    ),
    never_ours("tecNO_ALTERNATIVE_KEY"),
    never_ours("tecNO_ENTRY"),
    never_ours("tecNO_LINE_REDUNDANT"),
    never_ours("tecNO_TARGET"),
    never_ours("tecTOO_SOON"),
];

const fn error(token: &'static str, calls: Calls) -> ErrorRow {
    ErrorRow { token, calls }
}

/// Every recorded error, as the answer to a `submit`.
pub(crate) const ERRORS: &[ErrorRow] = &[
    error("actMalformed", Calls::OtherAddress),
    error("actNotFound", Calls::BetterServer),
    error("excessiveLgrRange", Calls::BetterServer),
    error("forbidden", Calls::OtherAddress),
    error("internal", Calls::BetterServer),
    error("internalSubmit", Calls::BetterServer),
    error("invalidLgrRange", Calls::BetterServer),
    error("invalidParams", Calls::OtherAddress),
    error("invalidTransaction", Calls::Report),
    error("invalid_API_version", Calls::OtherAddress),
    error("jsonInvalid", Calls::OtherAddress),
    error("lgrIdxMalformed", Calls::BetterServer),
    error("lgrIdxsInvalid", Calls::BetterServer),
    error("lgrNotFound", Calls::BetterServer),
    error("malformedStream", Calls::OtherAddress),
    error("missingCommand", Calls::OtherAddress),
    error("noCurrent", Calls::BetterServer),
    error("noNetwork", Calls::BetterServer),
    error("notImpl", Calls::OtherAddress),
    error("notSupported", Calls::OtherAddress),
    error("notSynced", Calls::BetterServer),
    error("notYetImplemented", Calls::OtherAddress),
    error("transactionNotFound", Calls::BetterServer),
    error("transactionSigned", Calls::OtherAddress),
    error("txnNotFound", Calls::BetterServer),
    error("unknown", Calls::BetterServer),
    error("unknownCmd", Calls::OtherAddress),
    error("wrongNetwork", Calls::OtherAddress),
];

/// Every recorded way in which a server closed a WebSocket.
pub(crate) const CLOSES: &[&str] = &[
    "1008 Policy error: client is too slow.",
    "1008 threshold exceeded",
];

/// The commands that the gateway reads the ledger with, besides `submit`.
pub(crate) const READS: &[&str] = &[
    "account_info",
    "account_tx",
    "fee",
    "ledger",
    "server_state",
    "subscribe",
];
