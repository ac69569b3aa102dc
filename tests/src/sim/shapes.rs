//! How things are printed: the shapes that answers and pushed messages share, in both versions of the API.
//!
//! Owns: field names and places as recorded from real servers. May not: decide anything or read a request.

use serde_json::{Map, Value, json};
use xrpl::core::binarycodec::encode;

use super::blob::{Kind, Tx};
use super::types::{human, iso};
use super::world::{Included, Ledger, Release, World};

/// Version of the API that a request asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum ApiVersion {
    /// The default.
    V1,
    /// Transactions under `tx_json`, no `Amount` in payments.
    V2,
}

/// The object in a `json!({..})`.
pub(super) fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        other => panic!("not an object: {other}"),
    }
}

/// What a server has saved of the chain, as it prints it.
pub(super) fn complete_ledgers(world: &World) -> String {
    world.archive.to_string()
}

/// The short name of a validated transaction; None where the numbers do not fit it.
pub(super) fn ctid(network_id: u32, ledger_index: u32, position: usize) -> Option<String> {
    let network_id = u16::try_from(network_id).ok()?;
    let position = u16::try_from(position).ok()?;
    (ledger_index <= 0x0FFF_FFFF)
        .then(|| format!("C{ledger_index:07X}{position:04X}{network_id:04X}"))
}

/// The fields of a transaction: version 1 adds `DeliverMax` to a payment, version 2 has only that.
pub(super) fn tx_fields(tx: &Tx, api: ApiVersion) -> Map<String, Value> {
    let mut fields = tx.json.clone();
    if matches!(tx.kind, Kind::Payment { .. })
        && let Some(amount) = fields.get("Amount").cloned()
    {
        fields.insert("DeliverMax".into(), amount);
        if api == ApiVersion::V2 {
            fields.remove("Amount");
        }
    }
    fields
}

/// An entry of `account_tx`.
pub(super) fn account_tx_entry(
    world: &World,
    ledger: &Ledger,
    position: usize,
    api: ApiVersion,
    binary: bool,
) -> Value {
    let included = &ledger.txs[position];
    if binary {
        let meta_name = if api == ApiVersion::V1 {
            "meta"
        } else {
            "meta_blob"
        };
        return json!({
            "ledger_index": ledger.index, meta_name: meta_blob(included), "tx_blob": hex::encode_upper(&included.tx.blob),
            "validated": true,
        });
    }
    let mut fields = tx_fields(&included.tx, api);
    insert_place(&mut fields, world, ledger, position);
    match api {
        ApiVersion::V1 => {
            fields.insert("hash".into(), json!(included.tx.hash.to_string()));
            fields.insert("inLedger".into(), json!(ledger.index));
            json!({ "meta": included.meta, "tx": fields, "validated": true })
        }
        ApiVersion::V2 => json!({
            "close_time_iso": iso(ledger.close_time), "hash": included.tx.hash.to_string(),
            "ledger_hash": ledger.hash.to_string(), "ledger_index": ledger.index, "meta": included.meta,
            "tx_json": fields, "validated": true,
        }),
    }
}

fn insert_place(fields: &mut Map<String, Value>, world: &World, ledger: &Ledger, position: usize) {
    if world.release == Release::V3_3
        && let Some(ctid) = ctid(world.genesis.network_id, ledger.index, position)
    {
        fields.insert("ctid".into(), json!(ctid));
    }
    fields.insert("date".into(), json!(ledger.close_time));
    fields.insert("ledger_index".into(), json!(ledger.index));
}

/// The answer of `tx` for a validated transaction.
pub(super) fn tx_validated(
    world: &World,
    ledger: &Ledger,
    position: usize,
    api: ApiVersion,
    binary: bool,
) -> Map<String, Value> {
    let included = &ledger.txs[position];
    let mut result = tx_unvalidated(&included.tx, api, binary);
    result.insert("validated".into(), json!(true));
    let ctid = ctid(world.genesis.network_id, ledger.index, position);
    if let Some(ctid) = &ctid {
        result.insert("ctid".into(), json!(ctid));
    }
    result.insert("ledger_index".into(), json!(ledger.index));
    let (meta_name, meta) = match (binary, api) {
        (false, _) => ("meta", json!(included.meta)),
        (true, ApiVersion::V1) => ("meta", json!(meta_blob(included))),
        (true, ApiVersion::V2) => ("meta_blob", json!(meta_blob(included))),
    };
    result.insert(meta_name.into(), meta);
    match api {
        ApiVersion::V1 => {
            result.insert("date".into(), json!(ledger.close_time));
            result.insert("inLedger".into(), json!(ledger.index));
        }
        ApiVersion::V2 => {
            result.insert("close_time_iso".into(), json!(iso(ledger.close_time)));
            result.insert("ledger_hash".into(), json!(ledger.hash.to_string()));
            if let Some(Value::Object(fields)) = result.get_mut("tx_json") {
                insert_place(fields, world, ledger, position);
            }
        }
    }
    result
}

/// The answer of `tx` for a transaction that the server was given and that is in no validated ledger.
pub(super) fn tx_unvalidated(tx: &Tx, api: ApiVersion, binary: bool) -> Map<String, Value> {
    let blob = hex::encode_upper(&tx.blob);
    let mut result = match (binary, api) {
        (true, ApiVersion::V1) => object(json!({ "tx": blob })),
        (true, ApiVersion::V2) => object(json!({ "tx_blob": blob })),
        (false, ApiVersion::V1) => tx_fields(tx, api),
        (false, ApiVersion::V2) => object(json!({ "tx_json": tx_fields(tx, api) })),
    };
    result.insert("hash".into(), json!(tx.hash.to_string()));
    result.insert("validated".into(), json!(false));
    result
}

/// Metadata in binary, by xrpl-rust; `delivered_amount` exists only in JSON.
fn meta_blob(included: &Included) -> String {
    let mut meta = included.meta.clone();
    meta.remove("delivered_amount");
    encode(&meta).expect("metadata has only fields that the codec knows")
}

/// The `ledger` object of a validated ledger.
pub(super) fn ledger_header(ledger: &Ledger, api: ApiVersion) -> Map<String, Value> {
    object(json!({
        "account_hash": ledger.account_hash.to_string(),
        "close_flags": 0,
        "close_time": ledger.close_time,
        "close_time_human": human(ledger.close_time),
        "close_time_iso": iso(ledger.close_time),
        "close_time_resolution": 10,
        "closed": true,
        "ledger_hash": ledger.hash.to_string(),
        "ledger_index": index_json(ledger.index, api),
        "parent_close_time": ledger.parent_close_time,
        "parent_hash": ledger.parent_hash.to_string(),
        "total_coins": ledger.total_drops.to_string(),
        "transaction_hash": ledger.transaction_hash.to_string(),
    }))
}

/// A ledger index inside a `ledger` object: text in version 1.
pub(super) fn index_json(index: u32, api: ApiVersion) -> Value {
    match api {
        ApiVersion::V1 => json!(index.to_string()),
        ApiVersion::V2 => json!(index),
    }
}

/// A transaction in an expanded `ledger` answer in binary.
pub(super) fn ledger_tx_binary(included: &Included, api: ApiVersion) -> Value {
    let meta_name = if api == ApiVersion::V1 {
        "meta"
    } else {
        "meta_blob"
    };
    let blob = hex::encode_upper(&included.tx.blob);
    json!({ meta_name: meta_blob(included), "tx_blob": blob })
}

/// A transaction in an expanded `ledger` answer.
pub(super) fn ledger_tx(ledger: &Ledger, included: &Included, api: ApiVersion) -> Value {
    let mut fields = tx_fields(&included.tx, api);
    match api {
        ApiVersion::V1 => {
            fields.insert("hash".into(), json!(included.tx.hash.to_string()));
            fields.insert("metaData".into(), json!(included.meta));
            Value::Object(fields)
        }
        ApiVersion::V2 => json!({
            "close_time_iso": iso(ledger.close_time), "hash": included.tx.hash.to_string(),
            "ledger_hash": ledger.hash.to_string(), "ledger_index": ledger.index, "meta": included.meta,
            "tx_json": fields, "validated": true,
        }),
    }
}
