//! Lookups: what one validated ledger holds of accounts that are not the wallet.
//!
//! Owns: the calls and shapes of pre-flight. Each call names its ledger by hash, so that an answer, also "there is no such
//! thing", speaks of that ledger and of no other. May not: take a fact from an open ledger, or decide anything.

use paygate_payments::LedgerRef;
use paygate_payments::preflight::TrustLine;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::{Map, Value, json};
use xrpl_tx::{AccountId, Asset, Drops, IssuedValue};

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
    /// What leaves a sender for each billion that arrives of what this account issues; 0 if it says nothing.
    pub transfer_rate: u32,
}

/// Sides of a trust line: the flags of whoever has the lower account number, and of the other.
const LOW: Side = Side {
    authorised: 0x0004_0000,
    no_ripple: 0x0010_0000,
    freeze: 0x0040_0000,
};
const HIGH: Side = Side {
    authorised: 0x0008_0000,
    no_ripple: 0x0020_0000,
    freeze: 0x0080_0000,
};

/// lsfLowDeepFreeze and lsfHighDeepFreeze.
const DEEP_FREEZE: u32 = 0x0200_0000 | 0x0400_0000;

struct Side {
    authorised: u32,
    no_ripple: u32,
    freeze: u32,
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
    #[serde(rename = "TransferRate", default)]
    transfer_rate: u32,
}

#[derive(Debug, Deserialize)]
struct LineAnswer {
    #[serde(flatten)]
    about: About,
    node: Line,
}

/// A trust line. Its balance is that of the low side, its issuer nobody.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Line {
    balance: LineAmount,
    low_limit: LineAmount,
    high_limit: LineAmount,
    flags: u32,
}

#[derive(Debug, Deserialize)]
struct LineAmount {
    currency: String,
    issuer: WireAccount,
    value: String,
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
            transfer_rate: root.transfer_rate,
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

impl Link {
    /// The trust line of a holder for an asset in this ledger; `None` if the ledger has none.
    pub async fn trust_line(
        &self,
        holder: AccountId,
        asset: Asset,
        ledger: LedgerRef,
    ) -> Result<Option<TrustLine>, CallError> {
        let command = "ledger_entry";
        let named = json!({
            "accounts": [holder.to_address(), asset.issuer.to_address()],
            "currency": asset.currency.to_string(),
        });
        let params = in_ledger(ledger, "ripple_state", named);
        let answer = match self.request::<LineAnswer>(command, params).await {
            Ok(answer) => answer,
            Err(CallError::Server { error, .. }) if error == "entryNotFound" => return Ok(None),
            Err(err) => return Err(err),
        };
        answer.about.check(command, ledger)?;
        answer.node.seen_by(holder, asset).map(Some)
    }
}

impl Line {
    fn seen_by(&self, holder: AccountId, asset: Asset) -> Result<TrustLine, CallError> {
        let bad = |what: &str| malformed("ledger_entry", what);
        let is_low = holder < asset.issuer;
        let (limit, peer) = if is_low {
            (&self.low_limit, &self.high_limit)
        } else {
            (&self.high_limit, &self.low_limit)
        };
        if (limit.issuer.0, peer.issuer.0) != (holder, asset.issuer) {
            return Err(bad("it is about another trust line"));
        }
        if self.balance.currency.parse() != Ok(asset.currency) {
            return Err(bad("it is about another currency"));
        }
        let value = |text: &str| {
            text.parse::<IssuedValue>()
                .map_err(|_| bad("a value of the trust line does not read"))
        };
        let (negative, size) = match self.balance.value.strip_prefix('-') {
            Some(size) => (true, value(size)?),
            None => (false, value(&self.balance.value)?),
        };
        let (own, issuers) = if is_low { (LOW, HIGH) } else { (HIGH, LOW) };
        let has = |flag: u32| self.flags & flag != 0;
        Ok(TrustLine {
            balance: if negative == is_low {
                IssuedValue::ZERO
            } else {
                size
            },
            limit: value(&limit.value)?,
            authorised: has(issuers.authorised),
            frozen_by_issuer: has(issuers.freeze),
            frozen_by_holder: has(own.freeze),
            deep_frozen: has(DEEP_FREEZE),
            no_ripple_by_issuer: has(issuers.no_ripple),
        })
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
