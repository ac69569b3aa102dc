//! The table of the stories: for each recorded answer, what must hold while it is all that is known, and, for codes that a
//! validated ledger holds, how the payment ends.
//!
//! Owns: what is expected, in words of its own: nothing here is read from the gateway's tables. May not: list an answer that
//! nobody recorded.

use paygate_proto::v1::PaymentReason as Reason;

/// What an answer to `submit` calls for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Calls {
    /// Nothing, and it is a good sign.
    ForPatience,
    /// Nothing: a lower slot comes first.
    ForTheLowerSlot,
    /// Nothing: fees will fall.
    ForLowerFees,
    /// A look at what used the slot.
    ForALookAtTheSlot,
    /// Money for the wallet.
    ForMoney,
    /// A word with the payee.
    ForThePayee(&'static str),
    /// A look at trust lines.
    ForTrustLines(&'static str),
    /// A better server.
    ForAServer,
    /// Another address.
    ForAnAddress,
    /// A stop, and somebody who checks key, network and server.
    ForAKeyCheck,
    /// A stop, and a report: the gateway should never cause it.
    ForAReport,
}

/// How a payment ends with a code in a validated ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ends {
    /// FAILED, for this reason, and with a word on what to do before paying again.
    Failed(Reason, &'static str),
    /// FAILED, and sending stops: nothing of ours causes it.
    FailedAndFrozen,
}

/// A recorded code of the engine.
pub struct Row {
    /// Its name.
    pub code: &'static str,
    /// Preliminary.
    pub calls: Calls,
    /// Validated, if a recorded ledger holds it. `tesSUCCESS` ends PAID.
    pub ends: Option<Ends>,
}

/// A recorded error.
pub struct ErrorRow {
    /// The server's word.
    pub token: &'static str,
    /// After a `submit`.
    pub calls: Calls,
}

impl Calls {
    /// Whether sending stops.
    pub fn freezes(self) -> bool {
        matches!(self, Calls::ForAKeyCheck | Calls::ForAReport)
    }

    /// The reason of the live payment.
    pub fn reason(self) -> Reason {
        match self {
            Calls::ForPatience
            | Calls::ForTheLowerSlot
            | Calls::ForLowerFees
            | Calls::ForALookAtTheSlot
            | Calls::ForTrustLines(_) => Reason::None,
            Calls::ForMoney => Reason::InsufficientFunds,
            Calls::ForThePayee(_) => Reason::DestinationNotReady,
            Calls::ForAServer | Calls::ForAnAddress => Reason::LedgerUnavailable,
            Calls::ForAKeyCheck | Calls::ForAReport => Reason::WalletFrozen,
        }
    }

    /// What the gateway says that it does.
    pub fn gateway(self) -> &'static str {
        match self {
            Calls::ForALookAtTheSlot => "reads in the next validated ledgers what used the slot",
            Calls::ForLowerFees => "the next version offers what the ledger then asks for",
            Calls::ForAKeyCheck | Calls::ForAReport => {
                "signs and sends nothing until a person calls Unfreeze"
            }
            _ => "sends the same transaction again",
        }
    }

    /// What a person is told to do.
    pub fn person(self) -> &'static str {
        match self {
            Calls::ForPatience | Calls::ForALookAtTheSlot => "Nothing: wait for a validated ledger",
            Calls::ForTheLowerSlot => "the payment on the lowest open slot",
            Calls::ForLowerFees => "patience costs less than fees",
            Calls::ForMoney => "end XRP to the wallet",
            Calls::ForThePayee(remedy) | Calls::ForTrustLines(remedy) => remedy,
            Calls::ForAServer => "check the ledger's server",
            Calls::ForAnAddress => "Check that xrpl.servers names an XRP Ledger server",
            Calls::ForAKeyCheck => "Compare the signing key, the network and the configured server",
            Calls::ForAReport => "should never send what is answered so: report it",
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
        calls: Calls::ForAReport,
        ends: Some(Ends::FailedAndFrozen),
    }
}

/// Every recorded result code.
pub const ROWS: &[Row] = &[
    row("tesSUCCESS", Calls::ForPatience),
    row("telBAD_PATH_COUNT", Calls::ForAReport),
    row("telCAN_NOT_QUEUE", Calls::ForLowerFees),
    row("telCAN_NOT_QUEUE_BLOCKED", Calls::ForPatience),
    row("telCAN_NOT_QUEUE_BLOCKS", Calls::ForAReport),
    row("telCAN_NOT_QUEUE_FEE", Calls::ForPatience),
    row("telCAN_NOT_QUEUE_FULL", Calls::ForLowerFees),
    row("telINSUF_FEE_P", Calls::ForLowerFees),
    row("telNETWORK_ID_MAKES_TX_NON_CANONICAL", Calls::ForAKeyCheck),
    row("telREQUIRES_NETWORK_ID", Calls::ForAKeyCheck),
    row("telWRONG_NETWORK", Calls::ForAKeyCheck),
    row("temARRAY_EMPTY", Calls::ForAReport),
    row("temBAD_AMOUNT", Calls::ForAReport),
    row("temBAD_FEE", Calls::ForAReport),
    row("temBAD_OFFER", Calls::ForAReport),
    row("temBAD_QUORUM", Calls::ForAReport),
    row("temBAD_REGKEY", Calls::ForAReport),
    row("temBAD_SEND_XRP_LIMIT", Calls::ForAReport),
    row("temBAD_SEND_XRP_MAX", Calls::ForAReport),
    row("temBAD_SEND_XRP_NO_DIRECT", Calls::ForAReport),
    row("temBAD_SEND_XRP_PARTIAL", Calls::ForAReport),
    row("temBAD_SEND_XRP_PATHS", Calls::ForAReport),
    row("temBAD_TRANSFER_RATE", Calls::ForAReport),
    row("temDISABLED", Calls::ForPatience),
    row("temDST_IS_SRC", Calls::ForAReport),
    row("temDST_NEEDED", Calls::ForAReport),
    row("temINVALID", Calls::ForAReport),
    row("temINVALID_COUNT", Calls::ForAReport),
    row("temINVALID_FLAG", Calls::ForAReport),
    row("temREDUNDANT", Calls::ForAReport),
    row("temSEQ_AND_TICKET", Calls::ForAReport),
    row("tefBAD_AUTH", Calls::ForAKeyCheck),
    row("tefBAD_QUORUM", Calls::ForAKeyCheck),
    row("tefBAD_SIGNATURE", Calls::ForAKeyCheck),
    row("tefMASTER_DISABLED", Calls::ForAKeyCheck),
    row("tefMAX_LEDGER", Calls::ForPatience),
    row("tefNOT_MULTI_SIGNING", Calls::ForAKeyCheck),
    row("tefNO_TICKET", Calls::ForALookAtTheSlot),
    row("tefPAST_SEQ", Calls::ForALookAtTheSlot),
    row("tefWRONG_PRIOR", Calls::ForAReport),
    row("terINSUF_FEE_B", Calls::ForMoney),
    row("terNO_ACCOUNT", Calls::ForAKeyCheck),
    row("terNO_AMM", Calls::ForAReport),
    row("terPRE_SEQ", Calls::ForTheLowerSlot),
    row("terPRE_TICKET", Calls::ForTheLowerSlot),
    row("terQUEUED", Calls::ForPatience),
    failed(
        "tecDIR_FULL",
        Calls::ForPatience,
        Reason::TecOther,
        "owns as many objects",
    ),
    failed(
        "tecDST_TAG_NEEDED",
        Calls::ForThePayee(TAG),
        Reason::TecTagNeeded,
        TAG,
    ),
    failed(
        "tecINSUFFICIENT_RESERVE",
        Calls::ForMoney,
        Reason::TecUnfunded,
        REFILL,
    ),
    failed(
        "tecNO_DST",
        Calls::ForThePayee(ACCOUNT),
        Reason::TecNoDestination,
        ACCOUNT,
    ),
    failed(
        "tecNO_DST_INSUF_XRP",
        Calls::ForThePayee(RESERVE),
        Reason::TecNoDestination,
        RESERVE,
    ),
    failed(
        "tecNO_PERMISSION",
        Calls::ForThePayee(PREAUTH),
        Reason::TecNoPermission,
        PREAUTH,
    ),
    failed(
        "tecPATH_DRY",
        Calls::ForTrustLines(LINE),
        Reason::TecOther,
        LINE,
    ),
    failed(
        "tecPATH_PARTIAL",
        Calls::ForTrustLines(LIMIT),
        Reason::TecOther,
        LIMIT,
    ),
    failed(
        "tecUNFUNDED_PAYMENT",
        Calls::ForMoney,
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
pub const ERRORS: &[ErrorRow] = &[
    error("actMalformed", Calls::ForAnAddress),
    error("actNotFound", Calls::ForAServer),
    error("excessiveLgrRange", Calls::ForAServer),
    error("forbidden", Calls::ForAnAddress),
    error("internal", Calls::ForAServer),
    error("internalSubmit", Calls::ForAServer),
    error("invalidLgrRange", Calls::ForAServer),
    error("invalidParams", Calls::ForAnAddress),
    error("invalidTransaction", Calls::ForAReport),
    error("invalid_API_version", Calls::ForAnAddress),
    error("jsonInvalid", Calls::ForAnAddress),
    error("lgrIdxMalformed", Calls::ForAServer),
    error("lgrIdxsInvalid", Calls::ForAServer),
    error("lgrNotFound", Calls::ForAServer),
    error("malformedStream", Calls::ForAnAddress),
    error("missingCommand", Calls::ForAnAddress),
    error("noCurrent", Calls::ForAServer),
    error("noNetwork", Calls::ForAServer),
    error("notImpl", Calls::ForAnAddress),
    error("notSupported", Calls::ForAnAddress),
    error("notSynced", Calls::ForAServer),
    error("notYetImplemented", Calls::ForAnAddress),
    error("transactionNotFound", Calls::ForAServer),
    error("transactionSigned", Calls::ForAnAddress),
    error("txnNotFound", Calls::ForAServer),
    error("unknown", Calls::ForAServer),
    error("unknownCmd", Calls::ForAnAddress),
    error("wrongNetwork", Calls::ForAnAddress),
];

/// Every recorded way in which a server closed a WebSocket.
pub const CLOSES: &[&str] = &[
    "1008 Policy error: client is too slow.",
    "1008 threshold exceeded",
];

/// The commands that the gateway reads the ledger with, besides `submit`.
pub const READS: &[&str] = &[
    "account_info",
    "account_tx",
    "fee",
    "ledger",
    "server_state",
    "subscribe",
];
