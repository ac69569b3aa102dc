//! The call about who else may sign for the wallet.
//!
//! Owns: its shape. The ledger is named by hash, so that also "there is none" speaks of that ledger. May not: judge.

use paygate_payments::LedgerRef;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::{Map, json};
use xrpl_tx::AccountId;

use super::link::{CallError, Link};
use super::wire::malformed;
use super::wire_values::{WireAccount, WireHash};

const COMMAND: &str = "account_info";

/// Those who may sign together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SignerList {
    /// How many are on it.
    pub signers: usize,
    /// How much weight must sign.
    pub quorum: u32,
}

#[derive(Debug, Deserialize)]
struct Answer {
    account_data: Root,
    ledger_hash: WireHash,
    #[serde(default)]
    validated: bool,
    signer_lists: Option<Vec<List>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Root {
    account: WireAccount,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct List {
    signer_quorum: u32,
    signer_entries: Vec<IgnoredAny>,
}

impl Link {
    /// The account's list of signers in this ledger; `None` if it has none.
    pub async fn signer_list(
        &self,
        account: AccountId,
        ledger: LedgerRef,
    ) -> Result<Option<SignerList>, CallError> {
        let params = Map::from_iter([
            ("account".to_owned(), json!(account.to_address())),
            ("ledger_hash".to_owned(), json!(ledger.hash.to_string())),
            ("signer_lists".to_owned(), json!(true)),
        ]);
        let answer: Answer = self.request(COMMAND, params).await?;
        if answer.account_data.account.0 != account {
            return Err(malformed(COMMAND, "it is about another account"));
        }
        if answer.ledger_hash.0 != ledger.hash || !answer.validated {
            return Err(malformed(COMMAND, "it is about another ledger"));
        }
        let lists = answer
            .signer_lists
            .ok_or_else(|| malformed(COMMAND, "it has no signer_lists"))?;
        Ok(lists.first().map(|list| SignerList {
            signers: list.signer_entries.len(),
            quorum: list.signer_quorum,
        }))
    }
}
