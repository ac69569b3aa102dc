//! The transaction engine results that this simulation can return: names, numbers and texts as recorded.
//!
//! Owns: the one table of them. May not: decide which one applies (`apply`) or what a server does with it (`node`).

macro_rules! results {
    ($($variant:ident = $name:literal, $code:literal, $text:literal;)+) => {
        /// A transaction engine result.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[allow(missing_docs, reason = "each variant is documented by its message in the table")]
        pub enum Ter { $($variant),+ }

        impl Ter {
            /// Its name on the wire, for example `tesSUCCESS`.
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name),+ }
            }

            /// Its number on the wire.
            pub fn code(self) -> i32 {
                match self { $(Self::$variant => $code),+ }
            }

            /// Its human text on the wire.
            pub fn message(self) -> &'static str {
                match self { $(Self::$variant => $text),+ }
            }
        }
    };
}

results! {
    TelBadDomain = "telBAD_DOMAIN", -398, "Domain too long.";
    TelBadPathCount = "telBAD_PATH_COUNT", -397, "Malformed: Too many paths.";
    TelInsufFeeP = "telINSUF_FEE_P", -394, "Fee insufficient.";
    TelNoDstPartial = "telNO_DST_PARTIAL", -393, "Partial payment to create account not allowed.";
    TelWrongNetwork = "telWRONG_NETWORK", -386, "Transaction specifies a Network ID that differs from that of the local node.";
    TelRequiresNetworkId = "telREQUIRES_NETWORK_ID", -385, "Transactions submitted to this node/network must include a correct NetworkID field.";
    TelNetworkIdMakesTxNonCanonical = "telNETWORK_ID_MAKES_TX_NON_CANONICAL", -384, "Transactions submitted to this node/network must NOT include a NetworkID field.";
    TelCanNotQueue = "telCAN_NOT_QUEUE", -392, "Can not queue at this time.";
    TelCanNotQueueBalance = "telCAN_NOT_QUEUE_BALANCE", -391, "Can not queue at this time: insufficient balance to pay all queued fees.";
    TelCanNotQueueBlocks = "telCAN_NOT_QUEUE_BLOCKS", -390, "Can not queue at this time: would block later queued transaction(s).";
    TelCanNotQueueBlocked = "telCAN_NOT_QUEUE_BLOCKED", -389, "Can not queue at this time: blocking transaction in queue.";
    TelCanNotQueueFee = "telCAN_NOT_QUEUE_FEE", -388, "Can not queue at this time: fee insufficient to replace queued transaction.";
    TelCanNotQueueFull = "telCAN_NOT_QUEUE_FULL", -387, "Can not queue at this time: queue is full.";
    TemMalformed = "temMALFORMED", -299, "Malformed transaction.";
    TemBadAmount = "temBAD_AMOUNT", -298, "Malformed: Bad amount.";
    TemBadCurrency = "temBAD_CURRENCY", -297, "Malformed: Bad currency.";
    TemBadFee = "temBAD_FEE", -295, "Invalid fee, negative or not XRP.";
    TemBadLimit = "temBAD_LIMIT", -293, "Limits must be non-negative.";
    TemBadOffer = "temBAD_OFFER", -292, "Malformed: Bad offer.";
    TemBadRegkey = "temBAD_REGKEY", -289, "Malformed: Regular key cannot be same as master key.";
    TemBadSendXrpLimit = "temBAD_SEND_XRP_LIMIT", -288, "Malformed: Limit quality is not allowed for XRP to XRP.";
    TemBadSendXrpMax = "temBAD_SEND_XRP_MAX", -287, "Malformed: Send max is not allowed for XRP to XRP.";
    TemBadSendXrpNoDirect = "temBAD_SEND_XRP_NO_DIRECT", -286, "Malformed: No Ripple direct is not allowed for XRP to XRP.";
    TemBadSendXrpPartial = "temBAD_SEND_XRP_PARTIAL", -285, "Malformed: Partial payment is not allowed for XRP to XRP.";
    TemBadSendXrpPaths = "temBAD_SEND_XRP_PATHS", -284, "Malformed: Paths are not allowed for XRP to XRP.";
    TemBadSignature = "temBAD_SIGNATURE", -282, "Malformed: Bad signature.";
    TemBadTransferRate = "temBAD_TRANSFER_RATE", -280, "Malformed: Transfer rate must be >= 1.0 and <= 2.0";
    TemBadSrcAccount = "temBAD_SRC_ACCOUNT", -281, "Malformed: Bad source account.";
    TemDstIsSrc = "temDST_IS_SRC", -279, "Destination may not be source.";
    TemDstNeeded = "temDST_NEEDED", -278, "Destination not specified.";
    TemInvalid = "temINVALID", -277, "The transaction is ill-formed.";
    TemInvalidFlag = "temINVALID_FLAG", -276, "The transaction has an invalid flag.";
    TemRedundant = "temREDUNDANT", -275, "The transaction is redundant.";
    TemRippleEmpty = "temRIPPLE_EMPTY", -274, "PathSet with no paths.";
    TemDisabled = "temDISABLED", -273, "The transaction requires logic that is currently disabled.";
    TemBadTickSize = "temBAD_TICK_SIZE", -269, "Malformed: Tick size out of range.";
    TemInvalidCount = "temINVALID_COUNT", -266, "Malformed: Count field outside valid range.";
    TemSeqAndTicket = "temSEQ_AND_TICKET", -263, "Transaction contains a TicketSequence and a non-zero Sequence.";
    TemArrayEmpty = "temARRAY_EMPTY", -253, "Malformed: Array is empty.";
    TemBadSigner = "temBAD_SIGNER", -272, "Malformed: No signer may duplicate account or other signers.";
    TemBadQuorum = "temBAD_QUORUM", -271, "Malformed: Quorum is unreachable.";
    TemBadWeight = "temBAD_WEIGHT", -270, "Malformed: Weight must be a positive value.";
    TefAlready = "tefALREADY", -198, "The exact transaction was already in this ledger.";
    TefBadAuth = "tefBAD_AUTH", -196, "Transaction's public key is not authorized.";
    TefException = "tefEXCEPTION", -193, "Unexpected program state.";
    TefNoAuthRequired = "tefNO_AUTH_REQUIRED", -191, "Auth is not required.";
    TefPastSeq = "tefPAST_SEQ", -190, "This sequence number has already passed.";
    TefWrongPrior = "tefWRONG_PRIOR", -189, "This previous transaction does not match.";
    TefMasterDisabled = "tefMASTER_DISABLED", -188, "Master key is disabled.";
    TefMaxLedger = "tefMAX_LEDGER", -187, "Ledger sequence too high.";
    TefBadSignature = "tefBAD_SIGNATURE", -186, "A signature is provided for a non-signer.";
    TefBadQuorum = "tefBAD_QUORUM", -185, "Signatures provided do not meet the quorum.";
    TefNotMultiSigning = "tefNOT_MULTI_SIGNING", -184, "Account has no appropriate list of multi-signers.";
    TefNoTicket = "tefNO_TICKET", -180, "Ticket is not in ledger.";
    TerInsufFeeB = "terINSUF_FEE_B", -97, "Account balance can't pay fee.";
    TerNoAccount = "terNO_ACCOUNT", -96, "The source account does not exist.";
    TerNoAuth = "terNO_AUTH", -95, "Not authorized to hold IOUs.";
    TerNoLine = "terNO_LINE", -94, "No such line.";
    TerPreSeq = "terPRE_SEQ", -92, "Missing/inapplicable prior transaction.";
    TerNoRipple = "terNO_RIPPLE", -90, "Path does not permit rippling.";
    TerQueued = "terQUEUED", -89, "Held until escalated fee drops.";
    TerPreTicket = "terPRE_TICKET", -88, "Ticket is not yet in ledger.";
    TerNoAmm = "terNO_AMM", -87, "AMM doesn't exist for the asset pair.";
    TesSuccess = "tesSUCCESS", 0, "The transaction was applied. Only final in a validated ledger.";
    TecPathPartial = "tecPATH_PARTIAL", 101, "Path could not send full amount.";
    TecUnfundedOffer = "tecUNFUNDED_OFFER", 103, "Insufficient balance to fund created offer.";
    TecUnfundedPayment = "tecUNFUNDED_PAYMENT", 104, "Insufficient XRP balance to send.";
    TecDirFull = "tecDIR_FULL", 121, "Can not add entry to full directory.";
    TecInsufReserveLine = "tecINSUF_RESERVE_LINE", 122, "Insufficient reserve to add trust line.";
    TecInsufReserveOffer = "tecINSUF_RESERVE_OFFER", 123, "Insufficient reserve to create offer.";
    TecNoDst = "tecNO_DST", 124, "Destination does not exist. Send XRP to create it.";
    TecNoDstInsufXrp = "tecNO_DST_INSUF_XRP", 125, "Destination does not exist. Too little XRP sent to create it.";
    TecNoLineInsufReserve = "tecNO_LINE_INSUF_RESERVE", 126, "No such line. Too little reserve to create it.";
    TecNoLineRedundant = "tecNO_LINE_REDUNDANT", 127, "Can't set non-existent line to default.";
    TecPathDry = "tecPATH_DRY", 128, "Path could not send partial amount.";
    TecNoAlternativeKey = "tecNO_ALTERNATIVE_KEY", 130, "The operation would remove the ability to sign transactions with the account.";
    TecOwners = "tecOWNERS", 132, "Non-zero owner count.";
    TecInsuffFee = "tecINSUFF_FEE", 136, "Insufficient balance to pay fee.";
    TecNoLine = "tecNO_LINE", 135, "No such line.";
    TecFrozen = "tecFROZEN", 137, "Asset is frozen.";
    TecNoTarget = "tecNO_TARGET", 138, "Target account does not exist.";
    TecNoPermission = "tecNO_PERMISSION", 139, "No permission to perform requested operation.";
    TecNoEntry = "tecNO_ENTRY", 140, "No matching entry found.";
    TecInsufficientReserve = "tecINSUFFICIENT_RESERVE", 141, "Insufficient reserve to complete requested operation.";
    TecNeedMasterKey = "tecNEED_MASTER_KEY", 142, "The operation requires the use of the Master Key.";
    TecDuplicate = "tecDUPLICATE", 149, "Ledger object already exists.";
    TecKilled = "tecKILLED", 150, "No funds transferred and no offer created.";
    TecHasObligations = "tecHAS_OBLIGATIONS", 151, "The account cannot be deleted since it has obligations.";
    TecTooSoon = "tecTOO_SOON", 152, "It is too early to attempt the requested operation. Please wait.";
    TecInsufficientFunds = "tecINSUFFICIENT_FUNDS", 159, "Not enough funds available to complete requested transaction.";
    TecDstTagNeeded = "tecDST_TAG_NEEDED", 143, "A destination tag is required.";
}

impl Ter {
    /// Claimed: the fee and the slot are taken, nothing else happened.
    pub fn is_tec(self) -> bool {
        self.code() >= 100
    }

    /// May succeed later without a change to the transaction.
    pub fn is_ter(self) -> bool {
        (-99..=-1).contains(&self.code())
    }

    /// Malformed for good.
    pub fn is_tem(self) -> bool {
        (-299..=-200).contains(&self.code())
    }

    /// `tes` or `tec`: the only results with which a transaction is in a ledger.
    pub fn is_in_ledger(self) -> bool {
        self == Self::TesSuccess || self.is_tec()
    }
}
