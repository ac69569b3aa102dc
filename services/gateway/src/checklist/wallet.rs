//! The hot wallet on the ledger: its money, and whose signatures it takes.
//!
//! Owns: the judgement of its account. May not: believe one server where several were reached: all have to say the same of one ledger.

use xrpl_tx::{AccountId, Drops};

use super::ledger::Ledger;
use super::signer::Signer;
use super::{Finding, Item};
use crate::config::Config;
use crate::xrpl::{AccountFacts, At, SignerList};

const EXISTS: Item = Item {
    name: "wallet-exists",
    to_do: "fund the address with the base reserve and what a day needs: runbooks/hot-wallet-refill.md",
};
const BALANCE: Item = Item {
    name: "wallet-balance",
    to_do: "refill: runbooks/hot-wallet-refill.md",
};
const DAY: Item = Item {
    name: "wallet-covers-a-payment",
    to_do: "refill above the reserve, or lower limits.max_payment_xrp: runbooks/hot-wallet-refill.md",
};
const KEY: Item = Item {
    name: "key-authorised",
    to_do: "SetRegularKey to the signer's key, from outside: runbooks/key-rotation.md",
};
const REGULAR: Item = Item {
    name: "key-is-regular",
    to_do: "give the signer a regular key and keep the master key cold: runbooks/key-rotation.md",
};
const MASTER: Item = Item {
    name: "master-key-disabled",
    to_do: "AccountSet with asfDisableMaster, once the regular key and a signer list work",
};
const LIST: Item = Item {
    name: "signer-list",
    to_do: "SignerListSet with several people's keys: they can then replace a lost or stolen regular key",
};
const TAG: Item = Item {
    name: "destination-tag-required",
    to_do: "AccountSet with asfRequireDest, so that nobody pays into the hot wallet by accident",
};

pub(super) const ITEMS: [Item; 8] = [EXISTS, BALANCE, DAY, KEY, REGULAR, MASTER, LIST, TAG];

/// As the alerts CriticalWalletBalance and LowWalletBalance.
const CRITICAL: Drops = Drops::from_const(20_000_000);
const LOW: Drops = Drops::from_const(100_000_000);

/// lsfDisableMaster and lsfRequireDestTag.
const MASTER_DISABLED: u32 = 0x0010_0000;
const TAG_REQUIRED: u32 = 0x0002_0000;

type Looked = (AccountFacts, Option<SignerList>);

pub(super) async fn check(config: &Config, signer: &Signer, ledger: &Ledger) -> Vec<Finding> {
    let (facts, list) = match look(config, ledger).await {
        Ok(looked) => looked,
        Err(why) => return vec![EXISTS.failed(why)],
    };
    let account = config.wallet.address.0;
    let mut found = vec![EXISTS.passed(format_args!(
        "{} in ledger {}, Sequence {}",
        account.to_address(),
        facts.ledger_index,
        facts.sequence
    ))];
    found.extend(money(config, ledger, &facts));
    found.extend(keys(account, signer.key_account(), &facts));
    found.push(match list {
        Some(list) => LIST.passed(format_args!(
            "{} signers, quorum {}",
            list.signers, list.quorum
        )),
        None => LIST.warns("the account has none"),
    });
    found.push(match facts.flags & TAG_REQUIRED {
        0 => TAG.warns("lsfRequireDestTag is not set"),
        _ => TAG.passed("lsfRequireDestTag is set"),
    });
    found
}

async fn look(config: &Config, ledger: &Ledger) -> Result<Looked, String> {
    let at = ledger.common().ok_or("no server of use tells of it")?;
    let account = config.wallet.address.0;
    let mut told: Option<(&str, Looked)> = None;
    for server in ledger.usable() {
        let name = server.link.server();
        let failed = |error: crate::xrpl::CallError| format!("{name}: {error}");
        let facts = server
            .link
            .account_info(account, At::Ledger(at))
            .await
            .map_err(failed)?;
        let facts = facts.ok_or_else(|| {
            format!(
                "{} is not in ledger {}, says {name}",
                account.to_address(),
                at.index.0
            )
        })?;
        let list = server.link.signer_list(account, at).await.map_err(failed)?;
        match &told {
            None => told = Some((name, (facts, list))),
            Some((first, before)) if *before != (facts, list) => {
                return Err(format!(
                    "{first} and {name} tell different things of ledger {}: runbooks/XRPLServersDisagree.md",
                    at.index.0
                ));
            }
            Some(_) => {}
        }
    }
    told.map(|(_, looked)| looked)
        .ok_or_else(|| "no server of use tells of it".to_owned())
}

fn money(config: &Config, ledger: &Ledger, facts: &AccountFacts) -> Vec<Finding> {
    let balance = facts.balance;
    let mut found = vec![if balance < CRITICAL {
        BALANCE.failed(format_args!("{balance}, below {CRITICAL}"))
    } else if balance < LOW {
        BALANCE.warns(format_args!("{balance}, below {LOW}"))
    } else {
        BALANCE.passed(balance)
    }];
    let Some(newest) = ledger.newest() else {
        return found;
    };
    let owned = newest
        .reserve_inc
        .get()
        .saturating_mul(u64::from(facts.owner_count));
    let reserve = Drops::new(newest.reserve_base.get().saturating_add(owned)).unwrap_or(Drops::MAX);
    let (spendable, most) = (
        balance.saturating_sub(reserve),
        config.limits.max_payment_xrp.0,
    );
    let told = format!("{spendable} above the reserve of {reserve}");
    found.push(match spendable < most {
        true => DAY.failed(format_args!("{told}, limits.max_payment_xrp is {most}")),
        false => DAY.passed(told),
    });
    found
}

fn keys(account: AccountId, key: Option<AccountId>, facts: &AccountFacts) -> Vec<Finding> {
    let disabled = facts.flags & MASTER_DISABLED != 0;
    let regular = facts
        .regular_key
        .map_or_else(|| "none".to_owned(), |key| key.to_address());
    let mut found = Vec::new();
    if let Some(key) = key {
        let is_regular = facts.regular_key == Some(key);
        let told = format!(
            "the signer's key is {}, the account's regular key {regular}",
            key.to_address()
        );
        found.push(match is_regular || (key == account && !disabled) {
            true => KEY.passed(&told),
            false => KEY.failed(&told),
        });
        found.push(match (is_regular, key == account) {
            (true, _) => REGULAR.passed("the signer holds the regular key"),
            (false, true) => REGULAR.failed(
                "the signer holds the master key: whoever steals it owns the account for ever",
            ),
            (false, false) => REGULAR.failed(&told),
        });
    }
    found.push(match disabled {
        true => MASTER.passed("lsfDisableMaster is set"),
        false => MASTER.failed("lsfDisableMaster is not set: the master key can still sign"),
    });
    found
}
