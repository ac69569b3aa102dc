//! What the signer says of itself.
//!
//! Owns: the comparison of its words with the configuration. May not: ask for a signature.

use paygate_proto::signer::v1::{DescribeSignerResponse, Hardening};
use xrpl_tx::{AccountId, PublicKey};

use super::{Finding, Item};
use crate::app::signer_uids;
use crate::config::{Config, Profile};
use crate::signer::SignerClient;
use crate::store::copy;

const REACHABLE: Item = Item {
    name: "signer-reachable",
    to_do: "start it, look at its log, at the socket's owner and at signer.allowed_uids: runbooks/SignerDown.md",
};
const HEALTHY: Item = Item {
    name: "signer-healthy",
    to_do: "its canary signature fails or its journal stands still: runbooks/SignerDown.md",
};
const WALLET: Item = Item {
    name: "signer-wallet",
    to_do: "both files name one wallet and one network: wallet.address and wallet.network_id here and there",
};
const HARDENED: Item = Item {
    name: "signer-hardened",
    to_do: "take the waiver out of the signer's file, use a kernel with landlock and seccomp (signer/README.md)",
};
const LIMITS: Item = Item {
    name: "signer-limits",
    to_do: "raise the signer's policy or lower the gateway's limits: what is accepted here must not be denied there",
};
const PINNED: Item = Item {
    name: "signer-store",
    to_do: "start with the database that the journal belongs to; if that one is lost: runbooks/restore-from-backup.md",
};

pub(super) const ITEMS: [Item; 6] = [REACHABLE, HEALTHY, WALLET, HARDENED, LIMITS, PINNED];

/// What it said.
pub(super) struct Signer {
    described: Result<DescribeSignerResponse, String>,
    serving: Result<bool, String>,
}

impl Signer {
    /// The account whose master key its key is.
    pub(super) fn key_account(&self) -> Option<AccountId> {
        let described = self.described.as_ref().ok()?;
        let key = PublicKey::from_bytes(&described.public_key).ok()?;
        Some(key.account_id())
    }
}

pub(super) async fn look(config: &Config) -> Signer {
    let client = SignerClient::unix(config.signer.socket_path.clone(), signer_uids(config));
    Signer {
        described: client.describe().await.map_err(|error| error.to_string()),
        serving: client.is_serving().await.map_err(|error| error.to_string()),
    }
}

pub(super) fn check(config: &Config, signer: &Signer) -> Vec<Finding> {
    let said = match &signer.described {
        Ok(said) => said,
        Err(error) => {
            let socket = config.signer.socket_path.display();
            return vec![REACHABLE.failed(format_args!("{socket}: {error}"))];
        }
    };
    let height = said.journal_head.as_ref().map_or(0, |head| head.height);
    vec![
        REACHABLE.passed(format_args!(
            "version {}, journal at height {height}",
            said.version
        )),
        match &signer.serving {
            Ok(true) => HEALTHY.passed("its canary signature is good"),
            Ok(false) => HEALTHY.failed("it says NOT_SERVING"),
            Err(error) => HEALTHY.failed(error),
        },
        wallet(config, said),
        hardened(config, said.hardening.as_ref()),
        limits(config, said),
        pinned(config, said),
    ]
}

fn wallet(config: &Config, said: &DescribeSignerResponse) -> Finding {
    let wanted = (
        config.wallet.address.0.to_address(),
        config.wallet.network_id,
    );
    let told = format!(
        "it signs for {} on network {}",
        said.account, said.network_id
    );
    match (&said.account, said.network_id) == (&wanted.0, wanted.1) {
        true => WALLET.passed(told),
        false => WALLET.failed(format_args!(
            "{told}, configured is {} on network {}",
            wanted.0, wanted.1
        )),
    }
}

fn hardened(config: &Config, active: Option<&Hardening>) -> Finding {
    let none = Hardening::default();
    let active = active.unwrap_or(&none);
    let missing: Vec<&str> = [
        ("landlock", active.landlock),
        ("seccomp", active.seccomp),
        ("no_new_privs", active.no_new_privs),
        ("not_dumpable", active.not_dumpable),
        ("key_memory_locked", active.key_memory_locked),
    ]
    .into_iter()
    .filter_map(|(name, active)| (!active).then_some(name))
    .collect();
    match (missing.is_empty(), active.waived.is_empty(), config.profile) {
        (true, true, _) => HARDENED
            .passed("landlock, seccomp, no_new_privs, not dumpable, the key's memory locked"),
        (true, false, _) => HARDENED.warns(format_args!(
            "all is active, and waived is {}",
            active.waived.join(", ")
        )),
        (false, _, Profile::Production) => {
            HARDENED.failed(format_args!("missing: {}", missing.join(", ")))
        }
        (false, _, Profile::Dev) => HARDENED.warns(format_args!("missing: {}", missing.join(", "))),
    }
}

fn limits(config: &Config, said: &DescribeSignerResponse) -> Finding {
    let Some(policy) = &said.limits else {
        return LIMITS.failed("it tells no limits");
    };
    let limits = &config.limits;
    let wider: Vec<String> = [
        (
            "limits.max_payment_xrp",
            limits.max_payment_xrp.0.get(),
            policy.max_payment_drops,
            "drops",
        ),
        (
            "limits.daily_limit_xrp",
            limits.daily_limit_xrp.0.get(),
            policy.max_day_drops,
            "drops",
        ),
        (
            "fees.max_drops",
            config.fees.max_drops,
            policy.max_fee_drops,
            "drops",
        ),
        (
            "xrpl.last_ledger_window",
            u64::from(config.xrpl.last_ledger_window),
            u64::from(policy.last_ledger_window),
            "ledgers",
        ),
    ]
    .into_iter()
    .filter(|(_, ours, its, _)| ours > its)
    .map(|(key, ours, its, unit)| format!("{key} is {ours} {unit}, the signer allows {its}"))
    .collect();
    match wider.is_empty() {
        true => LIMITS.passed(format_args!(
            "{} of {} drops of the day are used",
            policy.used_day_drops, policy.max_day_drops
        )),
        false => LIMITS.failed(wider.join("; ")),
    }
}

fn pinned(config: &Config, said: &DescribeSignerResponse) -> Finding {
    let store = copy::peek(&config.store.path).ok();
    match (store, said.store_id.is_empty()) {
        (_, true) => PINNED.passed("its journal is empty and belongs to no store yet"),
        (None, false) => PINNED.failed(format_args!(
            "its journal belongs to store {}, and there is no database at {}",
            hex::encode(&said.store_id),
            config.store.path.display()
        )),
        (Some(facts), false) if facts.store_id.as_slice() == said.store_id => {
            PINNED.passed("its journal belongs to this database")
        }
        (Some(facts), false) => PINNED.failed(format_args!(
            "its journal belongs to store {}, the database is {}",
            hex::encode(&said.store_id),
            hex::encode(facts.store_id)
        )),
    }
}
