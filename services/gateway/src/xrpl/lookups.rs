//! Lookups: what one validated ledger holds of accounts that are not the wallet.
//!
//! Owns: the calls and shapes of pre-flight. Each call names its ledger by hash, so that an answer, also "there is no such
//! thing", speaks of that ledger and of no other. May not: take a fact from an open ledger, or decide anything.

use paygate_payments::LedgerRef;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::{Map, Value, json};
use xrpl_tx::{AccountId, Drops};

use super::link::{CallError, Link};
use super::wire::malformed;
use super::wire_values::{DropsText, WireAccount, WireHash};

/// An account of others in one ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OtherAccount {
    /// Its balance.
    pub balance: Drops,
    /// Its flags.
    pub flags: u32,
    /// It belongs to an object of the ledger.
    pub is_pseudo: bool,
}

/// The ledger that an answer says it is about.
#[derive(Debug, Deserialize)]
struct About {
    ledger_hash: WireHash,
    #[serde(default)]
    validated: bool,
}

#[derive(Debug, Deserialize)]
struct AccountAnswer {
    #[serde(flatten)]
    about: About,
    account_data: OtherRoot,
    /// Newer servers say it in a word.
    pseudo_account: Option<IgnoredAny>,
}

/// An account root. The three ids are those of the objects that have an account of their own.
#[derive(Debug, Deserialize)]
struct OtherRoot {
    #[serde(rename = "Account")]
    account: WireAccount,
    #[serde(rename = "Balance")]
    balance: DropsText,
    #[serde(rename = "Flags")]
    flags: u32,
    #[serde(rename = "AMMID")]
    amm: Option<IgnoredAny>,
    #[serde(rename = "VaultID")]
    vault: Option<IgnoredAny>,
    #[serde(rename = "LoanBrokerID")]
    loan_broker: Option<IgnoredAny>,
}

#[derive(Debug, Deserialize)]
struct PreauthAnswer {
    #[serde(flatten)]
    about: About,
    node: Preauth,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Preauth {
    account: WireAccount,
    authorize: WireAccount,
}

impl Link {
    /// An account in this ledger; `None` if the ledger has none.
    pub async fn other_account(
        &self,
        account: AccountId,
        ledger: LedgerRef,
    ) -> Result<Option<OtherAccount>, CallError> {
        let command = "account_info";
        let params = in_ledger(ledger, "account", json!(account.to_address()));
        let answer = match self.request::<AccountAnswer>(command, params).await {
            Ok(answer) => answer,
            Err(CallError::Server { error, .. }) if error == "actNotFound" => return Ok(None),
            Err(err) => return Err(err),
        };
        answer.about.check(command, ledger)?;
        let root = answer.account_data;
        if root.account.0 != account {
            return Err(malformed(command, "it is about another account"));
        }
        let ids = [&root.amm, &root.vault, &root.loan_broker];
        Ok(Some(OtherAccount {
            balance: root.balance.0,
            flags: root.flags,
            is_pseudo: answer.pseudo_account.is_some() || ids.into_iter().any(Option::is_some),
        }))
    }

    /// Whether `owner` has preauthorised `depositor` in this ledger.
    pub async fn is_preauthorised(
        &self,
        owner: AccountId,
        depositor: AccountId,
        ledger: LedgerRef,
    ) -> Result<bool, CallError> {
        let command = "ledger_entry";
        let named = json!({ "owner": owner.to_address(), "authorized": depositor.to_address() });
        let params = in_ledger(ledger, "deposit_preauth", named);
        let answer = match self.request::<PreauthAnswer>(command, params).await {
            Ok(answer) => answer,
            Err(CallError::Server { error, .. }) if error == "entryNotFound" => return Ok(false),
            Err(err) => return Err(err),
        };
        answer.about.check(command, ledger)?;
        if (answer.node.account.0, answer.node.authorize.0) != (owner, depositor) {
            return Err(malformed(command, "it is about another preauthorisation"));
        }
        Ok(true)
    }
}

impl About {
    fn check(&self, command: &'static str, ledger: LedgerRef) -> Result<(), CallError> {
        if self.ledger_hash.0 != ledger.hash {
            return Err(malformed(command, "it is about another ledger"));
        }
        if !self.validated {
            return Err(malformed(command, "its ledger is not validated"));
        }
        Ok(())
    }
}

fn in_ledger(ledger: LedgerRef, name: &str, value: Value) -> Map<String, Value> {
    let hash = json!(ledger.hash.to_string());
    Map::from_iter([(name.to_owned(), value), ("ledger_hash".to_owned(), hash)])
}
