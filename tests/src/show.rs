//! A payment's timeline as a person or a script is shown it.
//!
//! Owns: wording and layout, made from what ExplainPayment has stored. May not: ask or decide anything.

use std::fmt::Write as _;
use std::io::IsTerminal;

use paygate_proto::v1::{
    ExplainPaymentResponse, Payment, PaymentState, TimelineEvent, evidence, payment,
};
use serde_json::{Value, json};

use crate::world::World;
use crate::world::client::{stage_name, state_name};
use crate::world::wallet::payee;
use xrpl_tx::Drops;

const GREEN: &str = "\x1b[32m";
const RED: &str = "\x1b[31m";
const DIM: &str = "\x1b[2m";
const RESET: &str = "\x1b[0m";

/// The object that `--output json` prints.
pub fn json(world: &World, explained: &ExplainPaymentResponse) -> Value {
    let payment = explained.payment.clone().unwrap_or_default();
    let evidence = payment.evidence.clone().unwrap_or_default();
    let (ledger_ws, ledger_rpc) = world.ledger_urls();
    let listeners = world.listeners();
    let stages = explained.events.iter().map(|event| {
        json!({ "stage": stage_name(event.stage()), "time": time(event), "summary": event.summary })
    });
    json!({
        "payment_id": payment.payment_id,
        "state": state_name(payment.state()),
        "tx_hash": evidence.tx_hash,
        "ledger_index": evidence.ledger_index,
        "delivered_drops": delivered_drops(&payment),
        "trace_id": payment.trace_id,
        "stages": stages.collect::<Vec<_>>(),
        "endpoints": {
            "gateway": listeners.grpc,
            "metrics": listeners.metrics,
            "health": listeners.health,
            "signer": format!("unix://{}", world.signer_socket().display()),
            "xrpl_ws": ledger_ws,
            "xrpl_rpc": ledger_rpc,
        },
        "pids": world.pids(),
        "directory": world.directory(),
    })
}

/// What happened, from the first event to the evidence.
pub fn timeline(explained: &ExplainPaymentResponse) -> String {
    let payment = explained.payment.clone().unwrap_or_default();
    let colour = if payment.state() == PaymentState::Paid {
        GREEN
    } else {
        RED
    };
    let mut text = String::new();
    let state = paint(colour, state_name(payment.state()));
    let amount = match payment.amount {
        Some(payment::Amount::XrpDrops(drops)) => xrp(drops),
        _ => "?".to_owned(),
    };
    line(
        &mut text,
        format_args!(
            "\n{state}  {amount} to {}  (payment {})\n",
            payment.destination, payment.payment_id
        ),
    );
    let first = explained.events.first().map_or(0, millis);
    for event in &explained.events {
        let since = millis(event) - first;
        let (seconds, rest) = (since / 1000, since % 1000);
        let clock = time(event);
        let clock = clock.get(11..23).unwrap_or(&clock).trim_end_matches('Z');
        let stage = stage_name(event.stage());
        line(
            &mut text,
            format_args!(
                "  +{seconds:>3}.{rest:03} s  {}  {stage:<16} {}",
                paint(DIM, clock),
                event.summary
            ),
        );
    }
    if let Some(evidence) = &payment.evidence {
        line(
            &mut text,
            format_args!("\n  transaction   {}", evidence.tx_hash),
        );
        line(
            &mut text,
            format_args!("  result        {}", evidence.engine_result),
        );
        line(
            &mut text,
            format_args!(
                "  ledger        {}  {}",
                evidence.ledger_index, evidence.ledger_hash
            ),
        );
        line(
            &mut text,
            format_args!(
                "  delivered     {}  ({} drops)",
                xrp(delivered_drops(&payment)),
                delivered_drops(&payment)
            ),
        );
        line(
            &mut text,
            format_args!("  fee           {} drops", evidence.fee_drops),
        );
    } else {
        line(
            &mut text,
            format_args!("\n  no evidence yet: {}", payment.reason_detail),
        );
    }
    let repay = if payment.safe_to_repay { "yes" } else { "no" };
    line(&mut text, format_args!("  safe to repay {repay}"));
    line(
        &mut text,
        format_args!("  trace         {}", payment.trace_id),
    );
    text
}

/// Commands with this world's own addresses.
pub fn what_next(world: &World) -> String {
    let gateway = &world.listeners().grpc;
    let metrics = &world.listeners().metrics;
    let socket = world.signer_socket();
    let socket = socket.display();
    let request = format!(
        r#"{{"payment_id": "mine-1", "destination": "{}", "xrp_drops": 1500000}}"#,
        payee("alice")
    );
    let service = "paygate.v1.PaymentService";
    format!(
        r#"
What to type next (another terminal):

  # pay and wait for the proof; see why; see what may stop payments
  cargo run -q --bin paygatectl -- --endpoint http://{gateway} pay 1.5 --to {payee} --id mine-1 --wait
  cargo run -q --bin paygatectl -- --endpoint http://{gateway} explain mine-1
  cargo run -q --bin paygatectl -- --endpoint http://{gateway} status

  # the same with grpcurl
  grpcurl -plaintext -d '{request}' {gateway} {service}/CreatePayment
  grpcurl -plaintext -d '{{"payment_id": "mine-1"}}' {gateway} {service}/GetPayment
  grpcurl -plaintext -d '{{"payment_id": "mine-1"}}' {gateway} {service}/ExplainPayment
  grpcurl -plaintext {gateway} paygate.v1.OperationsService/GetStatus

  # the same with buf
  buf curl --protocol grpc --http2-prior-knowledge -d '{request}' http://{gateway}/{service}/CreatePayment

  # the same from Python, after tests/run has made .cache/venv
  .cache/venv/bin/python tests/python/pay.py --target {gateway} --payment-id mine-1 --destination {payee} --xrp-drops 1500000

  # health of both, metrics
  python3 -c 'import grpc; from grpc_health.v1 import health_pb2, health_pb2_grpc; print(health_pb2_grpc.HealthStub(grpc.insecure_channel("{gateway}")).Check(health_pb2.HealthCheckRequest()))'
  python3 -c 'import grpc; from grpc_health.v1 import health_pb2, health_pb2_grpc; print(health_pb2_grpc.HealthStub(grpc.insecure_channel("unix:{socket}", options=[("grpc.default_authority", "localhost")])).Check(health_pb2.HealthCheckRequest()))'
  curl -s http://{metrics}/metrics
  curl -s http://{metrics}/health

  logs, store, journal: {directory}

Ctrl-C stops everything.
"#,
        payee = payee("alice"),
        directory = world.directory().display(),
    )
}

fn delivered_drops(payment: &Payment) -> u64 {
    match payment
        .evidence
        .as_ref()
        .and_then(|evidence| evidence.delivered.as_ref())
    {
        Some(evidence::Delivered::DeliveredDrops(drops)) => *drops,
        _ => 0,
    }
}

fn xrp(drops: u64) -> String {
    Drops::new(drops).map_or_else(|_| format!("{drops} drops"), |drops| drops.to_string())
}

fn time(event: &TimelineEvent) -> String {
    event
        .time
        .as_ref()
        .map(ToString::to_string)
        .unwrap_or_default()
}

fn millis(event: &TimelineEvent) -> i64 {
    event.time.as_ref().map_or(0, |time| {
        time.seconds * 1000 + i64::from(time.nanos) / 1_000_000
    })
}

fn paint(colour: &str, text: &str) -> String {
    let plain = std::env::var_os("NO_COLOR").is_some() || !std::io::stdout().is_terminal();
    if plain {
        text.to_owned()
    } else {
        format!("{colour}{text}{RESET}")
    }
}

fn line(text: &mut String, arguments: std::fmt::Arguments<'_>) {
    text.write_fmt(arguments)
        .and_then(|()| text.write_char('\n'))
        .expect("a String takes all text");
}
