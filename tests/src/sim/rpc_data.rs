//! Commands about accounts and whole ledgers.
//!
//! Owns: how a request names a ledger, and what is answered from it. May not: change anything.

use serde_json::{Map, Value, json};

use super::node::Node;
use super::order::header_bytes;
use super::rpc::{Answer, Call, RpcError};
use super::rpc_owned::signer_lists;
use super::settings::named_flags;
use super::shapes::{
    ApiVersion, index_json, ledger_header, ledger_tx, ledger_tx_binary, object, tx_fields,
};
use super::state::Account;
use super::types::{AccountId, Hash};
use super::world::Release;

/// The ledger that a request is about.
pub(super) enum Which {
    Current,
    Closed(u32),
}

impl Which {
    /// What every answer about it says of it.
    pub(super) fn facts(&self, node: &Node) -> Map<String, Value> {
        match self {
            Self::Current => {
                object(json!({ "ledger_current_index": node.open_index(), "validated": false }))
            }
            Self::Closed(index) => {
                let hash = node
                    .world
                    .ledger(*index)
                    .expect("found before")
                    .hash
                    .to_string();
                let validated = node.world.is_validated(*index);
                object(
                    json!({ "ledger_hash": hash, "ledger_index": index, "validated": validated }),
                )
            }
        }
    }
}

fn ledger_not_found() -> RpcError {
    RpcError::new("lgrNotFound", 21, "ledgerNotFound")
}

/// The ledger that the request names; the open one if it names none.
pub(super) fn which_ledger(node: &Node, call: &Call<'_>) -> Result<Which, RpcError> {
    let params = call.params;
    let shortcut = |which: Which| {
        let world = &node.world;
        let checked = node.standing.check_shortcut(world, call.api, call.now);
        checked.map(|()| which)
    };
    if let Some(hash) = params.get("ledger_hash") {
        let hash = hash.as_str().and_then(Hash::from_hex);
        let hash = hash.ok_or_else(|| {
            RpcError::invalid_params_because("Invalid field 'ledger_hash', not hex string.")
        })?;
        return node
            .world
            .ledger_by_hash(hash)
            .map(|ledger| Which::Closed(ledger.index))
            .ok_or_else(ledger_not_found);
    }
    let malformed = || {
        RpcError::invalid_params_because(match node.world.release {
            Release::V2_3 => "ledgerIndexMalformed",
            Release::V3_3 => "Invalid field 'ledger_index', not string or number.",
        })
    };
    let number = match params.get("ledger_index") {
        None => return shortcut(Which::Current),
        Some(Value::String(name)) => match name.as_str() {
            "current" | "" => return shortcut(Which::Current),
            "validated" => return shortcut(Which::Closed(node.world.validated().index)),
            "closed" => return shortcut(Which::Closed(node.world.closed().index)),
            digits => digits.parse().map_err(|_| malformed())?,
        },
        Some(value) => {
            u32::try_from(value.as_u64().ok_or_else(malformed)?).map_err(|_| malformed())?
        }
    };
    if number == node.open_index() {
        return Ok(Which::Current);
    }
    let ledger = node.world.ledger(number);
    ledger
        .filter(|ledger| node.world.archive.holds(ledger.index))
        .map(|ledger| Which::Closed(ledger.index))
        .ok_or_else(ledger_not_found)
}

pub(super) fn account_info(node: &mut Node, call: &Call<'_>) -> Answer {
    let address = match call
        .params
        .get("account")
        .or_else(|| call.params.get("ident"))
    {
        None => return Err(RpcError::invalid_params_because("Missing field 'account'.")),
        Some(Value::String(address)) => address,
        Some(_) => return Err(RpcError::invalid_params_because("Invalid field 'account'.")),
    };
    let which = which_ledger(node, call)?;
    let facts = which.facts(node);
    let malformed = || RpcError::new("actMalformed", 35, "Account malformed.").with(facts.clone());
    let id = AccountId::from_address(address).ok_or_else(malformed)?;
    let account = match which {
        Which::Current => node.open_account(&id),
        Which::Closed(index) => node.world.accounts.get_at(&id, index).cloned(),
    };
    let Some(account) = account else {
        let named = object(json!({ "account": address }));
        return Err(RpcError::new("actNotFound", 19, "Account not found.")
            .with(facts)
            .with(named));
    };
    let wants = |name: &str| {
        call.params
            .get(name)
            .and_then(Value::as_bool)
            .unwrap_or(false)
    };
    if wants("queue") && matches!(which, Which::Closed(_)) {
        return Err(RpcError::invalid_params().with(facts));
    }
    let mut data = account_data(&account);
    let mut result = facts;
    if wants("signer_lists") {
        let lists = signer_lists(node, &which, &account);
        let place = if call.api == ApiVersion::V1 {
            &mut data
        } else {
            &mut result
        };
        place.insert("signer_lists".into(), lists);
    }
    if wants("queue") {
        let queue = node.queue.as_ref();
        let data = queue.map_or(json!({ "txn_count": 0 }), |queue| queue.account_json(&id));
        result.insert("queue_data".into(), data);
    }
    result.insert("account_data".into(), Value::Object(data));
    let mut flags = account_flags(&account);
    if node.world.release == Release::V2_3 || node.world.without_amendments {
        flags.remove("allowTrustLineLocking");
    }
    result.insert("account_flags".into(), Value::Object(flags));
    Ok(result)
}

pub(super) fn account_data(account: &Account) -> Map<String, Value> {
    let (hash, ledger) = account.previous.unwrap_or_default();
    let mut data = account.fields();
    data.insert("LedgerEntryType".into(), json!("AccountRoot"));
    data.insert("PreviousTxnID".into(), json!(hash.to_string()));
    data.insert("PreviousTxnLgrSeq".into(), json!(ledger));
    data.insert("index".into(), json!(account.id.root_index().to_string()));
    data
}

fn account_flags(account: &Account) -> Map<String, Value> {
    named_flags(account).collect()
}

pub(super) fn ledger(node: &Node, call: &Call<'_>) -> Answer {
    let named = call.params.contains_key("ledger_index") || call.params.contains_key("ledger_hash");
    if !named {
        let closed = ledger_header(node.world.closed(), call.api);
        return Ok(object(
            json!({ "closed": { "ledger": closed }, "open": { "ledger": open_header(node, call.api) } }),
        ));
    }
    let flag = |name: &str| match call.params.get(name) {
        None => Ok(false),
        Some(value) => value.as_bool().ok_or_else(RpcError::invalid_params),
    };
    let (transactions, expand) = (flag("transactions")?, flag("expand")?);
    let binary = flag("binary")?;
    let which = which_ledger(node, call)?;
    let mut body = match which {
        Which::Current => open_header(node, call.api),
        Which::Closed(index) if binary => {
            let ledger = node.world.ledger(index).expect("found before");
            let data = hex::encode_upper(header_bytes(ledger));
            object(json!({ "closed": true, "ledger_data": data }))
        }
        Which::Closed(index) => {
            ledger_header(node.world.ledger(index).expect("found before"), call.api)
        }
    };
    if transactions {
        body.insert(
            "transactions".into(),
            ledger_transactions(node, &which, call.api, (expand, binary)),
        );
    }
    let mut result = which.facts(node);
    result.insert("ledger".into(), Value::Object(body));
    if flag("queue")?
        && let Some(queue) = node.queue.as_ref().filter(|queue| queue.len() > 0)
    {
        let waiting = queue.waiting().map(|(tx, mut facts)| {
            facts.insert("tx".into(), json!(tx.hash.to_string()));
            Value::Object(facts)
        });
        result.insert("queue_data".into(), waiting.collect());
    }
    Ok(result)
}

fn ledger_transactions(
    node: &Node,
    which: &Which,
    api: ApiVersion,
    (expand, binary): (bool, bool),
) -> Value {
    match which {
        Which::Current if !expand => node.open_txs().iter().map(|tx| json!(tx.hash.to_string())).collect(),
        Which::Current => node
            .open_txs()
            .iter()
            .map(|tx| {
                let mut fields = tx_fields(tx, api);
                match api {
                    ApiVersion::V1 => {
                        fields.insert("hash".into(), json!(tx.hash.to_string()));
                        Value::Object(fields)
                    }
                    ApiVersion::V2 => json!({ "hash": tx.hash.to_string(), "tx_json": fields, "validated": false }),
                }
            })
            .collect(),
        Which::Closed(index) => {
            let ledger = node.world.ledger(*index).expect("found before");
            let txs = ledger.txs.iter();
            if expand && binary {
                txs.map(|included| ledger_tx_binary(included, api)).collect()
            } else if expand {
                txs.map(|included| ledger_tx(ledger, included, api)).collect()
            } else {
                txs.map(|included| json!(included.tx.hash.to_string())).collect()
            }
        }
    }
}

fn open_header(node: &Node, api: ApiVersion) -> Map<String, Value> {
    object(json!({
        "closed": false,
        "ledger_index": index_json(node.open_index(), api),
        "parent_hash": node.world.closed().hash.to_string(),
    }))
}
