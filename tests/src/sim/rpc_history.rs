//! Commands that search the validated ledgers: `tx` and `account_tx`.
//!
//! Owns: ranges, pages and markers, and what a server says of a transaction that it was given but never validated.
//! May not: change anything.

use serde_json::{Map, Value, json};

use super::node::Node;
use super::rpc::{Answer, Call, Role, RpcError};
use super::rpc_data::{Which, which_ledger};
use super::shapes::{ApiVersion, account_tx_entry, object, tx_unvalidated, tx_validated};
use super::types::{AccountId, Hash};
use super::world::{Position, Release, World};

/// Widest range of ledgers that `tx` searches.
const TX_RANGE_MAX: u32 = 1000;
/// Entries of a page of `account_tx`, if the request does not say.
const PAGE_ENTRIES_DEFAULT: u64 = 200;
/// Fewest and most entries of a page for everybody but an admin.
const PAGE_ENTRIES_PUBLIC: std::ops::RangeInclusive<u64> = 10..=400;

pub(super) fn tx(node: &Node, call: &Call<'_>) -> Answer {
    let hash = match (call.params.get("transaction"), call.params.get("ctid")) {
        (Some(text), None) => {
            let hash = text.as_str().and_then(Hash::from_hex);
            hash.ok_or_else(|| RpcError::new("notImpl", 74, "Not implemented."))?
        }
        (None, Some(text)) => hash_of_ctid(
            &node.world,
            text.as_str().ok_or_else(RpcError::invalid_params)?,
        )?,
        _ => return Err(RpcError::invalid_params()),
    };
    let range = tx_range(call.params)?;
    let binary = call
        .params
        .get("binary")
        .and_then(Value::as_bool)
        .unwrap_or(false);
    if let Some((ledger, position)) = node.world.find(hash) {
        return Ok(tx_validated(
            &node.world,
            ledger,
            position,
            call.api,
            binary,
        ));
    }
    // What this server was given it knows, dead or alive, and then it says nothing of having searched.
    if let Some(tx) = node.cached(&hash) {
        return Ok(tx_unvalidated(tx, call.api, binary));
    }
    let searched = range.map(|(first, last)| {
        let searched_all = (first..=last).all(|index| {
            let ledger = node.world.ledger(index);
            ledger
                .is_some_and(|ledger| !ledger.txs.is_empty() && node.world.archive.has_saved(index))
        });
        object(json!({ "searched_all": searched_all }))
    });
    Err(RpcError::new("txnNotFound", 29, "Transaction not found.")
        .with(searched.unwrap_or_default()))
}

/// Both ends or none; numbers may be text.
fn tx_range(params: &Map<String, Value>) -> Result<Option<(u32, u32)>, RpcError> {
    let (Some(first), Some(last)) = (params.get("min_ledger"), params.get("max_ledger")) else {
        return Ok(None);
    };
    let invalid = || RpcError::new("invalidLgrRange", 79, "Ledger range is invalid.");
    let number = |value: &Value| {
        let number = value.as_u64().or_else(|| value.as_str()?.parse().ok());
        number
            .and_then(|number| u32::try_from(number).ok())
            .ok_or_else(invalid)
    };
    let (first, last) = (number(first)?, number(last)?);
    match last.checked_sub(first) {
        None => Err(invalid()),
        Some(width) if width > TX_RANGE_MAX => Err(RpcError::new(
            "excessiveLgrRange",
            78,
            "Ledger range exceeds 1000.",
        )),
        Some(_) => Ok(Some((first, last))),
    }
}

fn hash_of_ctid(world: &World, ctid: &str) -> Result<Hash, RpcError> {
    let not_found = || RpcError::new("txnNotFound", 29, "Transaction not found.");
    let number = u64::from_str_radix(ctid, 16)
        .ok()
        .filter(|number| ctid.len() == 16 && number >> 60 == 0xC);
    let number = number.ok_or_else(RpcError::invalid_params)?;
    let network_id = number & 0xFFFF;
    if network_id != u64::from(world.genesis.network_id) {
        let message = format!(
            "Wrong network. You should submit this request to a node running on NetworkID: {network_id}"
        );
        if world.release == Release::V2_3 {
            let code = object(json!({ "error_code": -1 }));
            return Err(RpcError::new("unknown", 4, &message).with(code));
        }
        return Err(RpcError::new("wrongNetwork", 4, &message));
    }
    let index = u32::try_from((number >> 32) & 0x0FFF_FFFF).expect("masked to 28 bits");
    let position = usize::try_from((number >> 16) & 0xFFFF).expect("masked to 16 bits");
    let included = world
        .ledger(index)
        .and_then(|ledger| ledger.txs.get(position))
        .ok_or_else(not_found)?;
    Ok(included.tx.hash)
}

pub(super) fn account_tx(node: &Node, call: &Call<'_>) -> Answer {
    let params = call.params;
    let address = match params.get("account") {
        None => return Err(RpcError::invalid_params_because("Missing field 'account'.")),
        Some(value) => value
            .as_str()
            .ok_or_else(|| RpcError::invalid_params_because("Invalid field 'account'."))?,
    };
    let malformed = || RpcError::new("actMalformed", 35, "Account malformed.");
    let id = AccountId::from_address(address).ok_or_else(malformed)?;
    let (first, last) = account_tx_range(node, call)?;
    let limit = page_limit(call, node.page_entries)?;
    let flag = |name: &str| match params.get(name) {
        None => Ok(false),
        Some(value) => value.as_bool().ok_or_else(RpcError::invalid_params),
    };
    let (forward, binary) = (flag("forward")?, flag("binary")?);
    let marker = params.get("marker").map(read_marker).transpose()?;

    let all = node.world.positions(&id).iter().copied();
    let mut positions: Vec<Position> = all
        .filter(|(index, _)| (first..=last).contains(index))
        .collect();
    if !forward {
        positions.reverse();
    }
    if let Some(marker) = marker {
        positions.retain(|position| {
            if forward {
                *position >= marker
            } else {
                *position <= marker
            }
        });
    }
    let entries: Vec<Value> = positions
        .iter()
        .take(limit)
        .filter_map(|(index, position)| Some((node.world.ledger(*index)?, *position)))
        .map(|(ledger, position)| account_tx_entry(&node.world, ledger, position, call.api, binary))
        .collect();
    let is_old = node.world.release == Release::V2_3;
    // The old release shows what was asked for and not what was used.
    let shown_limit = if is_old && !params.contains_key("limit") {
        0
    } else {
        limit
    };
    let mut result = object(json!({
        "account": address, "ledger_index_max": last, "ledger_index_min": first, "limit": shown_limit,
        "transactions": entries, "validated": true,
    }));
    if let Some((ledger, seq)) = positions.get(limit) {
        result.insert("marker".into(), json!({ "ledger": ledger, "seq": seq }));
    }
    Ok(result)
}

/// The range as used: version 1 cuts it to what there is, version 2 refuses what there is not.
fn account_tx_range(node: &Node, call: &Call<'_>) -> Result<(u32, u32), RpcError> {
    let Some(held) = node.world.archive.searchable() else {
        return Err(match call.api {
            ApiVersion::V1 => RpcError::new("lgrIdxsInvalid", 57, "Ledger indexes invalid."),
            ApiVersion::V2 => RpcError::new("notSynced", 18, "Not synced to the network."),
        });
    };
    let (held_first, held_last) = (*held.start(), *held.end());
    let (low, high) = (
        call.params.get("ledger_index_min"),
        call.params.get("ledger_index_max"),
    );
    if low.is_none() && high.is_none() {
        let named =
            call.params.contains_key("ledger_index") || call.params.contains_key("ledger_hash");
        if !named {
            return Ok((held_first, held_last));
        }
        return match which_ledger(node, call)? {
            Which::Closed(index) if node.world.is_validated(index) => Ok((index, index)),
            Which::Closed(_) | Which::Current => Err(RpcError::new(
                "lgrNotValidated",
                55,
                "Ledger not validated.",
            )),
        };
    }
    // -1 and any other negative number mean "as far as there is".
    let end = |value: Option<&Value>| match value {
        None => Ok(None),
        Some(value) => match value.as_i64() {
            Some(number) if number < 0 => Ok(None),
            Some(number) => u32::try_from(number)
                .map(Some)
                .map_err(|_| RpcError::invalid_params()),
            None => Err(RpcError::invalid_params()),
        },
    };
    let (low, high) = (end(low)?, end(high)?);
    let outside = low.is_some_and(|low| low != 0 && low < held_first)
        || high.is_some_and(|high| high > held_last);
    if call.api == ApiVersion::V2 && outside {
        return Err(RpcError::new(
            "lgrIdxMalformed",
            58,
            "Ledger index malformed.",
        ));
    }
    let first = low.map_or(held_first, |low| low.max(held_first));
    let last = high.map_or(held_last, |high| high.min(held_last));
    if first > last {
        return Err(match call.api {
            ApiVersion::V1 => RpcError::new("lgrIdxsInvalid", 57, "Ledger indexes invalid."),
            ApiVersion::V2 => RpcError::new("invalidLgrRange", 79, "Ledger range is invalid."),
        });
    }
    Ok((first, last))
}

fn page_limit(call: &Call<'_>, most: Option<u64>) -> Result<usize, RpcError> {
    let limit = match call.params.get("limit") {
        None => PAGE_ENTRIES_DEFAULT,
        Some(value) => value
            .as_u64()
            .filter(|limit| *limit > 0)
            .ok_or_else(RpcError::invalid_params)?,
    };
    let limit = match call.role {
        Role::Admin => limit,
        Role::Public => limit.clamp(*PAGE_ENTRIES_PUBLIC.start(), *PAGE_ENTRIES_PUBLIC.end()),
    };
    let limit = most.map_or(limit, |most| limit.min(most));
    usize::try_from(limit).map_err(|_| RpcError::invalid_params())
}

fn read_marker(marker: &Value) -> Result<Position, RpcError> {
    let invalid = || {
        RpcError::invalid_params_because(
            "invalid marker. Provide ledger index via ledger field, and transaction sequence number via seq field",
        )
    };
    let number = |name: &str| marker.get(name).and_then(Value::as_u64).ok_or_else(invalid);
    let ledger = u32::try_from(number("ledger")?).map_err(|_| invalid())?;
    let seq = usize::try_from(number("seq")?).map_err(|_| invalid())?;
    Ok((ledger, seq))
}
