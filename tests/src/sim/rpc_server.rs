//! What a server says of itself: its state and its fees.
//!
//! Owns: `server_info`, `server_state`, `fee` and the message about a new mode. May not: decide how the server stands
//! (`standing`) or what fees are (`queue`).

use serde_json::{Map, Value, json};

use super::faults::BlockedBy;
use super::node::Node;
use super::queue::{Queue, mul_div};
use super::rpc::{Call, Role};
use super::shapes::{complete_ledgers, object};
use super::standing::Claims;
use super::world::Release;

/// Fee level of a transaction that pays the base fee.
pub(super) const REFERENCE_LEVEL: u64 = 256;
/// The server's own key, which nobody checks.
pub(super) const PUBKEY_NODE: &str = "n9LU1CYf3eugYKoSRGu5rXiu2P4WTkJ8yNyR5mPBAFzQKV7JdYxb";
/// Fee of a median transaction when a ledger is full, as a multiple of the base fee.
const MEDIAN_MULTIPLE: u64 = 500;
/// What a server without a queue says of the size of ledgers.
pub(super) const EXPECTED_SIZE: u64 = 1000;
/// What a server without a queue says of its queue.
const QUEUE_SIZE: u64 = 20_000;

/// The server whose behaviour was recorded.
fn build_version(release: Release) -> &'static str {
    match release {
        Release::V2_3 => "2.3.0-b4",
        Release::V3_3 => "3.3.0-b0",
    }
}

/// The body of `server_info` (human units) and of `server_state` (drops).
pub(super) fn server(node: &Node, call: &Call<'_>, human: bool) -> Map<String, Value> {
    let world = &node.world;
    let standing = &node.standing;
    let states = ["connected", "disconnected", "full", "syncing", "tracking"];
    let accounting: Map<String, Value> = states
        .iter()
        .map(|state| {
            let transitions = if *state == "full" { "1" } else { "0" };
            (
                (*state).to_owned(),
                json!({ "duration_us": "0", "transitions": transitions }),
            )
        })
        .collect();
    let mut body = object(json!({
        "build_version": build_version(world.release),
        "complete_ledgers": complete_ledgers(world),
        "io_latency_ms": 1,
        "jq_trans_overflow": "0",
        "network_id": world.genesis.network_id,
        "peer_disconnects": "0",
        "peer_disconnects_resources": "0",
        "peers": standing.peers,
        "ports": [],
        "pubkey_node": PUBKEY_NODE,
        "server_state": standing.mode_name(call.role),
        "server_state_duration_us": "0",
        "state_accounting": accounting,
        "time": super::types::human(call.now.ledger_time()),
        "uptime": 0,
        "validation_quorum": 1,
    }));
    if let Claims::Blocked(by) = standing.claims {
        let (field, id, message) = blocked(by);
        body.insert(field.into(), json!(true));
        let warning = json!({ "id": id, "message": message });
        body.insert("warnings".into(), json!([warning]));
    }
    let (validated, published) = (world.archive.validated(), world.archive.published());
    if validated.is_some() {
        body.insert("initial_sync_duration_us".into(), json!("0"));
    }
    if published != validated || validated.is_none() {
        let published = published.map_or(json!("none"), |published| json!(published));
        body.insert("published_ledger".into(), published);
    }
    let name = match validated {
        Some(_) => "validated_ledger",
        None => "closed_ledger",
    };
    body.insert(name.into(), Value::Object(server_ledger(node, call, human)));
    let proposers = standing.proposers;
    let level = node.required_level();
    if human {
        let last_close = json!({ "converge_time_s": 2, "proposers": proposers });
        body.extend(object(
            json!({ "hostid": "FUM", "last_close": last_close, "load_factor": 1 }),
        ));
        let own = node.load_factor();
        if own > 1 {
            body.insert("load_factor".into(), json!(own));
            body.insert("load_factor_server".into(), json!(own));
        } else if level > REFERENCE_LEVEL {
            let factor = load_factor(level);
            body.insert("load_factor".into(), factor.clone());
            body.insert("load_factor_fee_escalation".into(), factor);
            body.insert("load_factor_server".into(), json!(1));
        }
    } else {
        let last_close = json!({ "converge_time": 2000, "proposers": proposers });
        body.insert("last_close".into(), last_close);
        body.extend(load_facts(node));
    }
    if call.role == Role::Admin {
        body.extend(standing.admin_facts(human));
        if world.release == Release::V3_3 {
            let git = json!({ "branch": "develop", "hash": "86d8b244d" });
            body.insert("git".into(), git);
        }
    }
    body
}

/// The field and the warning of a server that cannot follow its network any more.
fn blocked(by: BlockedBy) -> (&'static str, u32, &'static str) {
    match by {
        BlockedBy::Amendment => (
            "amendment_blocked",
            1002,
            "This server is amendment blocked, and must be updated to be able to stay in sync with the network.",
        ),
        BlockedBy::Unl => (
            "unl_blocked",
            1003,
            "This server has an expired validator list. validators.txt may be incorrectly configured or some [validator_list_sites] may be unreachable.",
        ),
    }
}

/// A fee level as a multiple of the base fee. Levels are 256ths, so eight decimals say it all.
fn load_factor(level: u64) -> Value {
    let (whole, rest) = (level / REFERENCE_LEVEL, level % REFERENCE_LEVEL);
    let decimals = rest * 100_000_000 / REFERENCE_LEVEL;
    let text = format!("{whole}.{decimals:08}");
    json!(text.parse::<f64>().expect("digits, a point and digits"))
}

/// What a server says of the last validated ledger, or of the last closed one if there is none.
fn server_ledger(node: &Node, call: &Call<'_>, human: bool) -> Map<String, Value> {
    let (world, fees) = (&node.world, node.world.genesis.fees);
    let ledger = world.validated();
    let mut facts = object(json!({ "hash": ledger.hash.to_string(), "seq": ledger.index }));
    if !human {
        facts.extend(object(json!({
            "base_fee": fees.base_drops,
            "close_time": ledger.close_time,
            "reserve_base": fees.reserve_base_drops,
            "reserve_inc": fees.reserve_inc_drops,
        })));
        return facts;
    }
    facts.extend(object(json!({
        "base_fee_xrp": xrp(fees.base_drops),
        "reserve_base_xrp": xrp(fees.reserve_base_drops),
        "reserve_inc_xrp": xrp(fees.reserve_inc_drops),
    })));
    let is_validated = world.last_validated().is_some();
    // The old release says no age of a ledger that is only closed.
    if is_validated || world.release == Release::V3_3 {
        let age = match node.standing.claims {
            Claims::Fresh => 0,
            Claims::Nothing | Claims::Blocked(_) => {
                call.now.ledger_time().saturating_sub(ledger.close_time)
            }
        };
        facts.insert("age".into(), json!(age));
    }
    facts
}

/// The fee levels of a server, as its state and its messages show them.
fn load_facts(node: &Node) -> Map<String, Value> {
    let level = node.required_level();
    let own = REFERENCE_LEVEL * node.load_factor();
    object(json!({
        "load_base": REFERENCE_LEVEL,
        "load_factor": level.max(own),
        "load_factor_fee_escalation": level,
        "load_factor_fee_queue": REFERENCE_LEVEL,
        "load_factor_fee_reference": REFERENCE_LEVEL,
        "load_factor_server": own,
    }))
}

/// The message about a new mode.
pub(super) fn server_status(node: &Node) -> Map<String, Value> {
    let mut message = load_facts(node);
    message.extend(object(json!({
        "base_fee": node.world.genesis.fees.base_drops,
        "server_status": node.standing.mode_name(Role::Public),
        "type": "serverStatus",
    })));
    message
}

/// Drops as a JSON number of XRP, which `server_info` shows; nothing computes with it.
fn xrp(drops: u64) -> Value {
    let (whole, rest) = (drops / 1_000_000, drops % 1_000_000);
    if rest == 0 {
        return json!(whole);
    }
    json!(
        format!("{whole}.{rest:06}")
            .parse::<f64>()
            .expect("digits, a point and digits")
    )
}

pub(super) fn fee(node: &Node) -> Map<String, Value> {
    let base = node.world.genesis.fees.base_drops;
    let queue = node.queue.as_ref();
    let level = node.required_level();
    let multiplier = queue.map_or(REFERENCE_LEVEL * MEDIAN_MULTIPLE, Queue::multiplier);
    let open_ledger_fee = mul_div(level, base, REFERENCE_LEVEL);
    // Rounded up, so that it is enough.
    let is_short = mul_div(open_ledger_fee, REFERENCE_LEVEL, base) < level;
    let mut facts = object(json!({
        "current_ledger_size": node.open_txs().len().to_string(),
        "current_queue_size": queue.map_or(0, Queue::len).to_string(),
        "drops": {
            "base_fee": base.to_string(),
            "median_fee": mul_div(multiplier, base, REFERENCE_LEVEL).to_string(),
            "minimum_fee": base.to_string(),
            "open_ledger_fee": (open_ledger_fee + u64::from(is_short)).to_string(),
        },
        "expected_ledger_size": queue.map_or(EXPECTED_SIZE, Queue::expected).to_string(),
        "ledger_current_index": node.open_index(),
        "levels": {
            "median_level": multiplier.to_string(),
            "minimum_level": REFERENCE_LEVEL.to_string(),
            "open_ledger_level": level.to_string(),
            "reference_level": REFERENCE_LEVEL.to_string(),
        },
    }));
    let most = queue.map_or(Some(QUEUE_SIZE), Queue::max_len);
    if let Some(most) = most {
        facts.insert("max_queue_size".into(), json!(most.to_string()));
    }
    facts
}
