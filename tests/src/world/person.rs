//! Somebody else on the ledger: an issuer or a holder with a key of its own, who does as a story says.
//!
//! Owns: that person's transactions, encoded by xrpl-rust and signed here. May not: use what the gateway or the signer
//! is made of, nor know either.

use serde_json::{Map, Value, json};
use xrpl::core::binarycodec::{encode, encode_for_signing};

use super::NETWORK_ID;
use super::ledger::{Ledger, LedgerError};
use super::wallet::{SeedType, Wallet};

/// Fee of a person's transaction.
const FEE_DROPS: u64 = 10;
/// Up to this number of a network, no transaction may name it; above it, every one must.
const LEGACY_NETWORK_ID_MAX: u32 = 1024;
/// What a transfer costs is said in billionths; this is the millionth part of one.
const BILLIONTHS_PER_MILLIONTH: u64 = 1000;
/// `SetFlag` and `ClearFlag` values.
const ASF_REQUIRE_DEST_TAG: u32 = 1;
const ASF_REQUIRE_AUTH: u32 = 2;
const ASF_DISALLOW_XRP: u32 = 3;
const ASF_GLOBAL_FREEZE: u32 = 7;
const ASF_DEFAULT_RIPPLE: u32 = 8;
const ASF_DEPOSIT_AUTH: u32 = 9;
const ASF_CLAWBACK: u32 = 16;
/// TrustSet flags.
const TF_SET_AUTH: u32 = 0x0001_0000;
const TF_SET_FREEZE: u32 = 0x0010_0000;
const TF_CLEAR_FREEZE: u32 = 0x0020_0000;

/// What is hashed before a signed transaction.
const HASH_PREFIX: &[u8] = b"TXN\0";

/// A signed transaction that was not sent yet.
#[derive(Clone, Debug)]
pub struct Prepared {
    /// Its hash.
    pub hash: String,
    blob: String,
}

/// A person with an ed25519 wallet.
pub struct Person {
    wallet: Wallet,
    ledger: Ledger,
    network_id: u32,
}

/// What an account may ask of those who pay or trust it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// A destination tag.
    DestinationTag,
    /// Its permission to hold its money.
    Authorization,
    /// Not to send XRP; advice only.
    NoXrp,
    /// Not to pass its money on.
    GlobalFreeze,
    /// Nothing: its money may pass from holder to holder.
    Rippling,
    /// Its permission to pay in.
    DepositAuthorization,
    /// Not to be surprised when it takes its money back.
    Clawback,
}

impl Rule {
    fn flag(self) -> u32 {
        match self {
            Self::DestinationTag => ASF_REQUIRE_DEST_TAG,
            Self::Authorization => ASF_REQUIRE_AUTH,
            Self::NoXrp => ASF_DISALLOW_XRP,
            Self::GlobalFreeze => ASF_GLOBAL_FREEZE,
            Self::Rippling => ASF_DEFAULT_RIPPLE,
            Self::DepositAuthorization => ASF_DEPOSIT_AUTH,
            Self::Clawback => ASF_CLAWBACK,
        }
    }
}

impl Person {
    /// The same person for the same name; a world funds its address.
    pub fn named(name: &str, ledger: &Ledger) -> Person {
        Person::with(Person::wallet_of(name), ledger)
    }

    /// The wallet that [`Person::named`] takes.
    pub fn wallet_of(name: &str) -> Wallet {
        let mut entropy = [0; 16];
        let digest = xrpl_tx::sha256(&[b"person ", name.as_bytes()]);
        entropy.copy_from_slice(&digest.as_bytes()[..16]);
        Wallet::from_entropy(SeedType::Ed25519, entropy)
    }

    /// Who has this wallet.
    pub fn with(wallet: Wallet, ledger: &Ledger) -> Person {
        Person {
            wallet,
            ledger: ledger.clone(),
            network_id: NETWORK_ID,
        }
    }

    /// The same on another network than the simulated one's usual.
    pub fn on_network(self, network_id: u32) -> Person {
        Person { network_id, ..self }
    }

    /// The classic address.
    pub fn address(&self) -> String {
        self.wallet.address()
    }

    /// Sends a transaction of these fields and gives its preliminary result. The next ledger decides.
    pub async fn sends(&self, fields: Value) -> Result<String, LedgerError> {
        self.submits(&self.prepares(fields).await?).await
    }

    /// Signs a transaction of these fields for the next Sequence and keeps it back.
    pub async fn prepares(&self, fields: Value) -> Result<Prepared, LedgerError> {
        let current = json!({ "account": self.address(), "ledger_index": "current" });
        let root = self.ledger.ask("account_info", current).await?;
        let blob = self.sign(fields, &root["account_data"]["Sequence"]);
        let bytes = hex::decode(&blob).expect("the codec gives hexadecimal digits");
        Ok(Prepared {
            hash: xrpl_tx::sha512_half(&[HASH_PREFIX, &bytes]).to_string(),
            blob,
        })
    }

    /// Sends what was prepared and gives its preliminary result.
    pub async fn submits(&self, prepared: &Prepared) -> Result<String, LedgerError> {
        let blob = &prepared.blob;
        let answer = self
            .ledger
            .ask("submit", json!({ "tx_blob": blob }))
            .await?;
        let result = answer["engine_result"].as_str();
        result
            .map(str::to_owned)
            .ok_or_else(|| LedgerError::Answer {
                command: "submit",
                answer: answer.to_string(),
            })
    }

    fn sign(&self, fields: Value, sequence: &Value) -> String {
        let (public, _) = self.wallet.sign(&[]);
        let usual = json!({
            "Account": self.address(), "Fee": FEE_DROPS.to_string(), "Sequence": sequence, "SigningPubKey": public,
        });
        let mut tx: Map<String, Value> = [usual, fields]
            .into_iter()
            .filter_map(|fields| fields.as_object().cloned())
            .flatten()
            .collect();
        if self.network_id > LEGACY_NETWORK_ID_MAX {
            tx.insert("NetworkID".into(), json!(self.network_id));
        }
        let message = encode_for_signing(&tx).expect("these fields have a form");
        let message = hex::decode(message).expect("the codec gives hexadecimal digits");
        let (_, signature) = self.wallet.sign(&message);
        tx.insert("TxnSignature".into(), json!(signature));
        encode(&tx).expect("these fields have a form")
    }

    /// Asks for something of those who pay or trust it, or no longer.
    pub async fn sets(&self, rule: Rule, on: bool) -> Result<String, LedgerError> {
        let name = if on { "SetFlag" } else { "ClearFlag" };
        self.sends(json!({ "TransactionType": "AccountSet", name: rule.flag() }))
            .await
    }

    /// Keeps so many millionths of each amount that passes from holder to holder.
    pub async fn charges_ppm(&self, millionths: u64) -> Result<String, LedgerError> {
        let rate = (1_000_000 + millionths) * BILLIONTHS_PER_MILLIONTH;
        self.sends(json!({ "TransactionType": "AccountSet", "TransferRate": rate }))
            .await
    }

    /// Would hold up to so much of the issuer's money.
    pub async fn trusts(
        &self,
        issuer: &str,
        currency: &str,
        limit: &str,
    ) -> Result<String, LedgerError> {
        let limit = json!({ "currency": currency, "issuer": issuer, "value": limit });
        self.sends(json!({ "TransactionType": "TrustSet", "LimitAmount": limit }))
            .await
    }

    async fn rules_line(
        &self,
        holder: &str,
        currency: &str,
        flags: u32,
    ) -> Result<String, LedgerError> {
        let limit = json!({ "currency": currency, "issuer": holder, "value": "0" });
        self.sends(json!({ "TransactionType": "TrustSet", "LimitAmount": limit, "Flags": flags }))
            .await
    }

    /// Freezes what the holder has of its money, or ends that.
    pub async fn freezes(
        &self,
        holder: &str,
        currency: &str,
        on: bool,
    ) -> Result<String, LedgerError> {
        let flag = if on { TF_SET_FREEZE } else { TF_CLEAR_FREEZE };
        self.rules_line(holder, currency, flag).await
    }

    /// Lets the holder have its money.
    pub async fn authorizes(&self, holder: &str, currency: &str) -> Result<String, LedgerError> {
        self.rules_line(holder, currency, TF_SET_AUTH).await
    }

    /// Pays its own money: issues it.
    pub async fn issues(
        &self,
        holder: &str,
        currency: &str,
        value: &str,
    ) -> Result<String, LedgerError> {
        let amount = json!({ "currency": currency, "issuer": self.address(), "value": value });
        self.sends(json!({ "TransactionType": "Payment", "Amount": amount, "Destination": holder }))
            .await
    }

    /// Takes back so much of its money from the holder; it must have said so with [`Rule::Clawback`] before any line.
    pub async fn claws_back(
        &self,
        holder: &str,
        currency: &str,
        value: &str,
    ) -> Result<String, LedgerError> {
        let amount = json!({ "currency": currency, "issuer": holder, "value": value });
        self.sends(json!({ "TransactionType": "Clawback", "Amount": amount }))
            .await
    }

    /// Lets another account pay in.
    pub async fn preauthorizes(&self, other: &str) -> Result<String, LedgerError> {
        self.sends(json!({ "TransactionType": "DepositPreauth", "Authorize": other }))
            .await
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a story ends where it goes wrong")]
mod tests {
    use super::*;
    use crate::sim::{Options, serve};

    /// RLUSD in the form that is not three characters.
    const CURRENCY: &str = "524C555344000000000000000000000000000000";
    const XRP: u64 = 1_000_000;

    #[tokio::test]
    async fn an_issuer_and_its_holders_do_as_they_are_told() {
        let names = ["issuer", "ann", "ben"];
        let funded = names.map(|name| (Person::wallet_of(name).address(), 100 * XRP));
        let options = Options {
            network_id: NETWORK_ID,
            funded: funded.into(),
            ..Options::default()
        };
        let handle = serve(options).await.unwrap();
        let ledger = Ledger::at(&handle.rpc_url());
        let [issuer, ann, ben] = names.map(|name| Person::named(name, &ledger));
        let done = async |result: Result<String, LedgerError>| {
            assert_eq!(result.unwrap(), "tesSUCCESS");
            ledger.close_ledger().await.unwrap();
        };
        let held = async |holder: &Person| {
            let seen = ledger
                .held(&holder.address(), &issuer.address(), CURRENCY)
                .await;
            let held = handle.held(&holder.address(), &issuer.address(), CURRENCY);
            assert_eq!(seen.unwrap(), held, "the server says what is");
            held.unwrap_or_default()
        };
        let pays = |value: &str| {
            let amount = |value: &str| json!({ "currency": CURRENCY, "issuer": issuer.address(), "value": value });
            json!({ "TransactionType": "Payment", "Destination": ben.address(), "Amount": amount(value), "SendMax": amount("60") })
        };
        done(issuer.sets(Rule::Rippling, true).await).await;
        for holder in [&ann, &ben] {
            done(holder.trusts(&issuer.address(), CURRENCY, "1000").await).await;
        }
        done(issuer.issues(&ann.address(), CURRENCY, "100").await).await;
        done(issuer.charges_ppm(2000).await).await;
        done(ann.sends(pays("10")).await).await;
        assert_eq!(
            (held(&ann).await, held(&ben).await),
            ("89.98".into(), "10".into())
        );
        done(issuer.freezes(&ann.address(), CURRENCY, true).await).await;
        // A ledger of its own for each refusal: in one with what heals it the order decides.
        assert_eq!(ann.sends(pays("1")).await.unwrap(), "tecPATH_DRY");
        ledger.close_ledger().await.unwrap();
        done(issuer.freezes(&ann.address(), CURRENCY, false).await).await;
        done(ben.sets(Rule::DepositAuthorization, true).await).await;
        assert_eq!(ann.sends(pays("1")).await.unwrap(), "tecNO_PERMISSION");
        ledger.close_ledger().await.unwrap();
        done(ben.preauthorizes(&ann.address()).await).await;
        done(ann.sends(pays("1")).await).await;
        assert_eq!(held(&ben).await, "11");
        let asked =
            json!({ "source_account": ann.address(), "destination_account": ben.address() });
        let answer = ledger.ask("deposit_authorized", asked).await.unwrap();
        assert_eq!(answer["deposit_authorized"], true);
        let named = json!({ "owner": ben.address(), "authorized": ann.address() });
        let entry = json!({ "deposit_preauth": named, "ledger_index": "validated" });
        let entry = ledger.ask("ledger_entry", entry).await.unwrap();
        assert_eq!(entry["node"]["Authorize"], ann.address());
        let named = json!({ "accounts": [ben.address(), issuer.address()], "currency": CURRENCY });
        let entry = json!({ "ripple_state": named, "ledger_index": "validated" });
        let entry = ledger.ask("ledger_entry", entry).await.unwrap();
        let value = entry["node"]["Balance"]["value"].as_str().unwrap();
        assert_eq!(value.trim_start_matches('-'), "11");
        handle.assert_conserved();
    }

    #[tokio::test]
    async fn lines_come_in_pages() {
        let names = ["issuer", "ann", "ben", "cid"];
        let funded = names.map(|name| (Person::wallet_of(name).address(), 100 * XRP));
        let options = Options {
            network_id: NETWORK_ID,
            funded: funded.into(),
            ..Options::default()
        };
        let handle = serve(options).await.unwrap();
        let ledger = Ledger::at(&handle.rpc_url());
        let [issuer, holders @ ..] = names.map(|name| Person::named(name, &ledger));
        for holder in &holders {
            let trusted = holder.trusts(&issuer.address(), "USD", "5").await;
            assert_eq!(trusted.unwrap(), "tesSUCCESS");
        }
        ledger.close_ledger().await.unwrap();
        let mut seen = Vec::new();
        let mut asked =
            json!({ "account": issuer.address(), "ledger_index": "validated", "limit": 2 });
        loop {
            let page = ledger.ask("account_lines", asked.clone()).await.unwrap();
            let lines = page["lines"].as_array().unwrap();
            seen.extend(
                lines
                    .iter()
                    .map(|line| line["account"].as_str().unwrap().to_owned()),
            );
            match page.get("marker") {
                Some(marker) => asked["marker"] = marker.clone(),
                None => break,
            }
        }
        let mut all: Vec<String> = holders.iter().map(Person::address).collect();
        all.sort();
        seen.sort();
        assert_eq!(seen, all, "every line once");
    }
}
