//! Every error token with which a server refuses a request, classified once.
//!
//! Owns: what a refusal says about the server and, after a `submit`, about what was sent. May not: decide a payment; a
//! refused `submit` proves nothing, as the server may have been given the same transaction before.

/// What a refused request advises.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// The server does not follow the network now.
    Behind,
    /// The server has too much to do.
    Busy,
    /// The server does not hold what was asked for. That is no proof of absence.
    NotShown,
    /// The server failed inside.
    Broken,
    /// The server does not serve such a request: another program, a closed port, or a request of ours that is wrong.
    NotServed,
    /// The server will not take these bytes: not a transaction, or its signature is wrong. Send nothing more and page.
    BadBlob,
    /// A token that nobody has classified: send nothing more and page.
    Unknown,
}

/// A refusal that is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The server's word, for example `noNetwork`.
    pub token: &'static str,
    /// What it advises.
    pub trouble: Trouble,
    /// What it means, in a sentence.
    pub meaning: &'static str,
}

/// Sorted by token.
#[rustfmt::skip]
const REFUSALS: &[Refusal] = &[
    Refusal { token: "actMalformed", trouble: Trouble::NotServed, meaning: "An account in the request is not written as an address." },
    Refusal { token: "actNotFound", trouble: Trouble::NotShown, meaning: "The account is not in the ledger that was asked for." },
    Refusal { token: "amendmentBlocked", trouble: Trouble::Behind, meaning: "The server is too old for rules that the network has switched on, and follows it no more." },
    Refusal { token: "excessiveLgrRange", trouble: Trouble::NotShown, meaning: "The range of ledgers asked for is longer than the server searches." },
    Refusal { token: "expiredValidatorList", trouble: Trouble::Behind, meaning: "The server's list of validators has run out, so it validates nothing." },
    Refusal { token: "forbidden", trouble: Trouble::NotServed, meaning: "The server does not allow this request on this port." },
    Refusal { token: "internal", trouble: Trouble::Broken, meaning: "The server failed inside." },
    Refusal { token: "internalSubmit", trouble: Trouble::Broken, meaning: "The server failed inside while it took the transaction in; it may hold it all the same." },
    Refusal { token: "invalidLgrRange", trouble: Trouble::NotShown, meaning: "The range of ledgers asked for ends before it begins." },
    Refusal { token: "invalidParams", trouble: Trouble::NotServed, meaning: "The server does not understand the request's parameters." },
    Refusal { token: "invalidTransaction", trouble: Trouble::BadBlob, meaning: "The bytes are not a transaction that the server can read, or its signature is wrong." },
    Refusal { token: "invalid_API_version", trouble: Trouble::NotServed, meaning: "The server does not speak the version of its API that was asked for." },
    Refusal { token: "jsonInvalid", trouble: Trouble::NotServed, meaning: "The server cannot read the request as JSON." },
    Refusal { token: "lgrIdxMalformed", trouble: Trouble::NotShown, meaning: "The range of ledgers asked for is not within what the server holds." },
    Refusal { token: "lgrIdxsInvalid", trouble: Trouble::NotShown, meaning: "The server holds no such range of ledgers." },
    Refusal { token: "lgrNotFound", trouble: Trouble::NotShown, meaning: "The server does not hold the ledger that was asked for." },
    Refusal { token: "lgrNotValidated", trouble: Trouble::NotShown, meaning: "The ledger that was asked for is not validated." },
    Refusal { token: "malformedStream", trouble: Trouble::NotServed, meaning: "The server knows no such stream." },
    Refusal { token: "missingCommand", trouble: Trouble::NotServed, meaning: "The server found no command in the request." },
    Refusal { token: "noClosed", trouble: Trouble::Behind, meaning: "The server has no closed ledger." },
    Refusal { token: "noCurrent", trouble: Trouble::Behind, meaning: "The server has just joined the network and has no open ledger yet." },
    Refusal { token: "noNetwork", trouble: Trouble::Behind, meaning: "The server is not connected to the network, or never was." },
    Refusal { token: "noPermission", trouble: Trouble::NotServed, meaning: "The server does not allow this request to us." },
    Refusal { token: "notImpl", trouble: Trouble::NotServed, meaning: "The server does not do such a thing." },
    Refusal { token: "notReady", trouble: Trouble::Behind, meaning: "The server is still starting." },
    Refusal { token: "notSupported", trouble: Trouble::NotServed, meaning: "The server does not do such a thing on this port." },
    Refusal { token: "notSynced", trouble: Trouble::Behind, meaning: "The server does not follow the network." },
    Refusal { token: "notYetImplemented", trouble: Trouble::NotServed, meaning: "The server does not do such a thing yet." },
    Refusal { token: "slowDown", trouble: Trouble::Busy, meaning: "The server gets more requests from us than it allows." },
    Refusal { token: "tooBusy", trouble: Trouble::Busy, meaning: "The server has too much to do." },
    Refusal { token: "transactionNotFound", trouble: Trouble::NotShown, meaning: "The transaction is not in the ledger that was asked for." },
    Refusal { token: "transactionSigned", trouble: Trouble::NotServed, meaning: "The server wanted a transaction without a signature." },
    Refusal { token: "txnNotFound", trouble: Trouble::NotShown, meaning: "The server does not hold the transaction; it may exist all the same." },
    Refusal { token: "unknown", trouble: Trouble::Broken, meaning: "The server failed and gives no name to it." },
    Refusal { token: "unknownCmd", trouble: Trouble::NotServed, meaning: "The server knows no such command." },
    Refusal { token: "wrongNetwork", trouble: Trouble::NotServed, meaning: "The request is about another network." },
];

impl Refusal {
    /// Looks a token up. `None`: unknown, so hold and page.
    #[must_use]
    pub fn by_token(token: &str) -> Option<&'static Self> {
        REFUSALS
            .binary_search_by(|refusal| refusal.token.cmp(token))
            .ok()
            .map(|at| &REFUSALS[at])
    }

    /// All of them, sorted by token.
    #[must_use]
    pub fn all() -> &'static [Self] {
        REFUSALS
    }
}

impl Trouble {
    /// What the token advises. An unknown one advises to stop and page.
    #[must_use]
    pub fn of(token: &str) -> Self {
        Refusal::by_token(token).map_or(Self::Unknown, |refusal| refusal.trouble)
    }

    /// Whether a `submit` that was refused so stops all sending until a person looked.
    #[must_use]
    pub fn freezes(self) -> bool {
        matches!(self, Self::BadBlob | Self::Unknown)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_token_is_found_and_an_unknown_one_stops_and_pages() {
        for refusal in Refusal::all() {
            assert_eq!(Refusal::by_token(refusal.token), Some(refusal));
        }
        assert_eq!(Trouble::of("brandNew"), Trouble::Unknown);
        assert!(Trouble::of("brandNew").freezes());
    }
}
