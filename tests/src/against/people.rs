//! The people of the cases: who asks for what of those who pay him, who issues, who holds.
//!
//! Owns: their names and what each has set before the gateway starts. May not: know the gateway.

use std::collections::BTreeMap;

use serde_json::json;

use super::Fault;
use super::stage::done;
use crate::world::ledger::Ledger;
use crate::world::person::{Person, Rule};

/// What all issuers issue.
pub(super) const CURRENCY: &str = "USD";

/// Issuers. `strict` authorises its holders, `greedy` takes more than the gateway lets it, `toll` takes a little.
pub(super) const ISSUERS: [&str; 4] = ["plain", "strict", "toll", "greedy"];

/// Those who change their minds between pre-flight and ledger.
pub(super) const FICKLE: [&str; 6] = [
    "fickle1", "fickle2", "fickle3", "fickle4", "fickle5", "fickle6",
];

/// Everybody that is funded.
pub(super) const NAMES: [&str; 19] = [
    "alice", "tagged", "barred", "shy", "plain", "strict", "toll", "greedy", "ann", "small", "icy",
    "cool", "stranger", "fickle1", "fickle2", "fickle3", "fickle4", "fickle5", "fickle6",
];

/// What `toll` and `greedy` take, in millionths; the gateway's cap lies between.
const TOLL_PPM: u64 = 1_000;
const GREEDY_PPM: u64 = 2_001;

/// Deep freeze of a trust line, which demands the ordinary one.
const TF_SET_FREEZE_AND_DEEP_FREEZE: u32 = 0x0010_0000 | 0x0040_0000;

const LSF_DEPOSIT_AUTH: u64 = 0x0100_0000;

/// Rules, trust lines and money. What the server lacks for it, by amendment.
pub(super) async fn prepare(
    ledger: &Ledger,
    wallet: &Person,
    people: &BTreeMap<&'static str, Person>,
) -> Result<BTreeMap<&'static str, String>, Fault> {
    let of = |name: &str| &people[name];
    let mut lacks = BTreeMap::new();
    done(of("tagged").sets(Rule::DestinationTag, true).await)?;
    done(of("shy").sets(Rule::NoXrp, true).await)?;
    let barred = of("barred").sets(Rule::DepositAuthorization, true).await?;
    for issuer in ISSUERS {
        done(of(issuer).sets(Rule::Rippling, true).await)?;
    }
    done(of("strict").sets(Rule::Authorization, true).await)?;
    done(of("toll").charges_ppm(TOLL_PPM).await)?;
    done(of("greedy").charges_ppm(GREEDY_PPM).await)?;
    ledger.close_ledger().await?;
    // Where the amendment is off, the flag is refused, or taken and not set.
    let asked = json!({ "account": of("barred").address(), "ledger_index": "validated" });
    let flags = &ledger.ask("account_info", asked).await?["account_data"]["Flags"];
    if flags.as_u64().unwrap_or(0) & LSF_DEPOSIT_AUTH == 0 {
        lacks.insert("DepositAuth", format!("AccountSet: {barred}"));
    }

    for issuer in ISSUERS {
        done(wallet.trusts(&of(issuer).address(), CURRENCY, "2000").await)?;
    }
    let plain = of("plain").address();
    done(of("small").trusts(&plain, CURRENCY, "5").await)?;
    for holder in ["ann", "icy", "cool"] {
        for issuer in ISSUERS {
            done(
                of(holder)
                    .trusts(&of(issuer).address(), CURRENCY, "100")
                    .await,
            )?;
        }
    }
    for holder in FICKLE {
        done(of(holder).trusts(&plain, CURRENCY, "100").await)?;
    }
    ledger.close_ledger().await?;

    done(of("strict").authorizes(&wallet.address(), CURRENCY).await)?;
    done(
        of("plain")
            .freezes(&of("cool").address(), CURRENCY, true)
            .await,
    )?;
    let line = json!({ "currency": CURRENCY, "issuer": of("icy").address(), "value": "0" });
    let freeze = json!({ "TransactionType": "TrustSet", "LimitAmount": line, "Flags": TF_SET_FREEZE_AND_DEEP_FREEZE });
    let deep = of("plain").sends(freeze).await?;
    if deep != "tesSUCCESS" {
        lacks.insert("DeepFreeze", format!("TrustSet: {deep}"));
    }
    ledger.close_ledger().await?;
    for issuer in ISSUERS {
        done(of(issuer).issues(&wallet.address(), CURRENCY, "1000").await)?;
    }
    ledger.close_ledger().await?;
    Ok(lacks)
}
