//! The gateway's state, for a person and for a script.
//!
//! Owns: layout. May not: hide what stops payments: that comes first.

use paygate_client::proto::{Capability, GetStatusResponse, LedgerServer, SignerStatus};
use prost_types::{Duration, Timestamp};
use serde_json::{Value, json};

use super::json::{duration, number, time};
use super::out::{Column, Out, Tone, clean, fields, table};
use super::words::xrp;
use super::{announce, names, pause, show, wallet};

pub(crate) fn text(out: Out, status: &GetStatusResponse) -> String {
    let mut text = stops(out, status);
    text.push_str(&gateway(status));
    text.push_str(&signer(&status.signer.clone().unwrap_or_default()));
    text.push_str(&fields(&[("pending", pending(status))]));
    if let Some(books) = &status.books {
        text.push_str(&wallet::books(out, books));
    }
    text.push('\n');
    let ledger = status.ledger.clone().unwrap_or_default();
    text.push_str(&servers(out, &ledger.servers));
    text.push('\n');
    text.push_str(&capabilities(out, &status.capabilities));
    text
}

fn gateway(status: &GetStatusResponse) -> String {
    let ledger = status.ledger.clone().unwrap_or_default();
    let lag = ledger.lag.as_ref();
    let lag = lag
        .map(|lag| format!(", grew {} ago", seconds(lag)))
        .unwrap_or_default();
    let dispatch = match status.epoch {
        0 => "does not dispatch".to_owned(),
        epoch => format!("epoch {epoch}"),
    };
    let (version, profile, role) = (&status.version, &status.profile, &status.role);
    let about = format!("version {version}, profile {profile}, role {role}, {dispatch}");
    let (network, validated) = (ledger.network_id, ledger.validated_ledger_index);
    let agreement = ledger.agreement;
    fields(&[
        ("gateway", clean(&about)),
        ("running since", show::time(&status.start_time)),
        ("wallet", clean(&status.account)),
        ("store", clean(&status.store_id)),
        (
            "ledger",
            format!("network {network}, validated {validated}{lag}"),
        ),
        (
            "agreement",
            format!("{agreement} operators must say the same, or one server of our own"),
        ),
    ])
}

/// Its figures are shown while it answers: older ones would look like new ones.
fn signer(signer: &SignerStatus) -> String {
    if !signer.reachable {
        return fields(&[(
            "signer",
            format!("not reachable: {}", clean(&signer.detail)),
        )]);
    }
    let (payment, day, left) = (
        xrp(signer.max_payment_drops),
        xrp(signer.max_day_drops),
        xrp(signer.headroom_drops),
    );
    let about = format!(
        "version {}, {} journal frames",
        signer.version, signer.journal_height
    );
    fields(&[
        ("signer", clean(&about)),
        (
            "signer's limits",
            format!("{payment} a payment, {day} a day, {left} left"),
        ),
        (
            "hardening",
            clean(&hardening(&signer.hardening, &signer.waived)),
        ),
    ])
}

fn pending(status: &GetStatusResponse) -> String {
    let Some(pending) = status
        .pending
        .as_ref()
        .filter(|pending| !pending.counts.is_empty())
    else {
        return "none".to_owned();
    };
    let counts = pending
        .counts
        .iter()
        .map(|count| format!("{} {}", count.count, names::state(count.state)));
    let oldest = pending.oldest_age.as_ref();
    let oldest = oldest
        .map(|age| format!(", the oldest {} old", seconds(age)))
        .unwrap_or_default();
    format!("{}{oldest}", counts.collect::<Vec<_>>().join(", "))
}

/// What stops payments, or one line that nothing does.
fn stops(out: Out, status: &GetStatusResponse) -> String {
    let mut stops = Vec::new();
    if let Some(freeze) = status.freeze.as_ref().filter(|freeze| freeze.active) {
        stops.push(format!("FROZEN{}: {}", since(&freeze.since), freeze.reason));
    }
    if let Some(pause) = status.pause.as_ref().filter(|pause| pause.active) {
        stops.push(format!(
            "PAUSED by {}{}: {}",
            pause.paused_by,
            since(&pause.since),
            pause.reason
        ));
    }
    stops.extend(status.scoped_pauses.iter().map(pause::text));
    if let Some(quarantine) = status
        .quarantine
        .as_ref()
        .filter(|quarantine| quarantine.active)
    {
        stops.push(format!(
            "QUARANTINE until ledger {}: {}",
            quarantine.until_ledger, quarantine.reason
        ));
    }
    stops.extend(status.announced.iter().map(|awaited| {
        format!(
            "AWAITED until ledger {}: transaction {}, made outside: {}",
            awaited.last_ledger_sequence, awaited.tx_hash, awaited.reason
        )
    }));
    if status.ledger.as_ref().is_some_and(|ledger| ledger.halted) {
        stops.push("HALTED: the network validates no ledgers".to_owned());
    }
    if status
        .signer
        .as_ref()
        .is_none_or(|signer| !signer.reachable)
    {
        stops.push("SIGNER UNREACHABLE: nothing further is signed".to_owned());
    }
    stops.extend(
        status
            .capabilities
            .iter()
            .filter(|one| !one.serving)
            .map(|one| format!("NOT SERVING {}: {}", capability(&one.name), one.reason)),
    );
    if stops.is_empty() {
        return format!("{}\n", out.paint(Tone::Good, "payments flow"));
    }
    stops
        .iter()
        .map(|stop| format!("{}\n", out.paint(Tone::Bad, stop)))
        .collect()
}

fn since(time: &Option<Timestamp>) -> String {
    let time = show::time(time);
    if time.is_empty() {
        time
    } else {
        format!(" since {time}")
    }
}

fn hardening(active: &[String], waived: &[String]) -> String {
    let waived = if waived.is_empty() {
        String::new()
    } else {
        format!("; waived: {}", waived.join(", "))
    };
    format!("{}{waived}", active.join(", "))
}

fn servers(out: Out, servers: &[LedgerServer]) -> String {
    let columns = [
        ("SERVER", false),
        ("OPERATOR", false),
        ("VALIDATED", true),
        ("LATENCY", true),
        ("STATE", false),
    ]
    .map(|(heading, right)| Column { heading, right });
    let row = |server: &LedgerServer| {
        let own = if server.own { " (own)" } else { "" };
        vec![
            (Tone::Plain, server.url.clone()),
            (Tone::Plain, format!("{}{own}", server.operator)),
            (Tone::Plain, server.validated_ledger_index.to_string()),
            (Tone::Plain, format!("{} ms", server.latency_ms)),
            (
                if server.connected {
                    Tone::Good
                } else {
                    Tone::Bad
                },
                if server.connected {
                    server.state.clone()
                } else {
                    format!("not connected: {}", server.state)
                },
            ),
        ]
    };
    table(out, &columns, &servers.iter().map(row).collect::<Vec<_>>())
}

fn capabilities(out: Out, capabilities: &[Capability]) -> String {
    let columns = [
        ("CAPABILITY", false),
        ("STATE", false),
        ("SINCE", false),
        ("REASON", false),
    ]
    .map(|(heading, right)| Column { heading, right });
    let row = |one: &Capability| {
        let state = if one.serving {
            (Tone::Good, "serving".to_owned())
        } else {
            (Tone::Bad, "not serving".to_owned())
        };
        vec![
            (Tone::Plain, capability(&one.name).to_owned()),
            state,
            (Tone::Dim, show::time(&one.since)),
            (Tone::Plain, one.reason.clone()),
        ]
    };
    table(
        out,
        &columns,
        &capabilities.iter().map(row).collect::<Vec<_>>(),
    )
}

/// The health service's name for the whole has no letters.
fn capability(name: &str) -> &str {
    if name.is_empty() {
        "(ready to accept)"
    } else {
        name
    }
}

fn seconds(span: &Duration) -> String {
    match span.seconds {
        0 => format!("{} ms", span.nanos / 1_000_000),
        seconds @ ..120 => format!("{seconds} s"),
        seconds @ ..7200 => format!("{} min", seconds / 60),
        seconds => format!("{} h", seconds / 3600),
    }
}

pub(crate) fn json(status: &GetStatusResponse) -> Value {
    let quarantine = status.quarantine.clone().unwrap_or_default();
    let freeze = status.freeze.clone().unwrap_or_default();
    let pause = status.pause.clone().unwrap_or_default();
    let pending = status.pending.clone().unwrap_or_default();
    let counts: serde_json::Map<_, _> = pending
        .counts
        .iter()
        .map(|count| (names::state(count.state), number(count.count)))
        .collect();
    let capabilities = status.capabilities.iter().map(|one| {
        json!({ "name": one.name, "serving": one.serving, "reason": one.reason, "since": time(&one.since) })
    });
    json!({
        "version": status.version,
        "profile": status.profile,
        "role": status.role,
        "start_time": time(&status.start_time),
        "store_id": status.store_id,
        "epoch": number(status.epoch),
        "account": status.account,
        "ledger": ledger_json(status),
        "signer": signer_json(status),
        "quarantine": { "active": quarantine.active, "reason": quarantine.reason, "until_ledger": quarantine.until_ledger },
        "freeze": { "active": freeze.active, "reason": freeze.reason, "since": time(&freeze.since) },
        "pause": { "active": pause.active, "reason": pause.reason, "since": time(&pause.since), "paused_by": pause.paused_by },
        "scoped_pauses": status.scoped_pauses.iter().map(pause::shown).collect::<Vec<_>>(),
        "pending": { "counts": counts, "oldest_age": duration(&pending.oldest_age) },
        "capabilities": capabilities.collect::<Vec<_>>(),
        "books": status.books.as_ref().map(wallet::books_json),
        "announced": status.announced.iter().map(announce::shown).collect::<Vec<_>>(),
    })
}

fn ledger_json(status: &GetStatusResponse) -> Value {
    let ledger = status.ledger.clone().unwrap_or_default();
    let servers = ledger.servers.iter().map(|server| {
        json!({
            "url": server.url,
            "operator": server.operator,
            "own": server.own,
            "connected": server.connected,
            "validated_ledger_index": server.validated_ledger_index,
            "latency_ms": server.latency_ms,
            "state": server.state,
        })
    });
    json!({
        "network_id": ledger.network_id,
        "validated_ledger_index": ledger.validated_ledger_index,
        "validated_ledger_hash": ledger.validated_ledger_hash,
        "lag": duration(&ledger.lag),
        "halted": ledger.halted,
        "agreement": ledger.agreement,
        "servers": servers.collect::<Vec<_>>(),
    })
}

fn signer_json(status: &GetStatusResponse) -> Value {
    let signer = status.signer.clone().unwrap_or_default();
    json!({
        "reachable": signer.reachable,
        "detail": signer.detail,
        "account": signer.account,
        "version": signer.version,
        "journal_height": number(signer.journal_height),
        "policy_digest": signer.policy_digest,
        "max_payment_drops": number(signer.max_payment_drops),
        "max_day_drops": number(signer.max_day_drops),
        "headroom_drops": number(signer.headroom_drops),
        "highest_sequence": signer.highest_sequence,
        "hardening": signer.hardening,
        "waived": signer.waived,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ctl::out::PLAIN;
    use paygate_client::proto::Freeze;

    fn healthy() -> GetStatusResponse {
        GetStatusResponse {
            signer: Some(SignerStatus {
                reachable: true,
                ..SignerStatus::default()
            }),
            capabilities: vec![Capability {
                serving: true,
                ..Capability::default()
            }],
            ..GetStatusResponse::default()
        }
    }

    #[test]
    fn what_stops_payments_comes_first() {
        assert!(text(PLAIN, &healthy()).starts_with("payments flow\n"));
        let mut stopped = healthy();
        stopped.freeze = Some(Freeze {
            active: true,
            reason: "a transaction that nobody here made".into(),
            since: None,
        });
        stopped.signer = None;
        stopped.capabilities[0].serving = false;
        stopped.capabilities[0].reason = "no ledger".into();
        let shown = text(PLAIN, &stopped);
        let first: Vec<_> = shown.lines().take(3).collect();
        assert_eq!(
            first,
            [
                "FROZEN: a transaction that nobody here made",
                "SIGNER UNREACHABLE: nothing further is signed",
                "NOT SERVING (ready to accept): no ledger",
            ]
        );
        assert!(!shown.contains("payments flow"));
    }
}
