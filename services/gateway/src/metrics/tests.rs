//! Names, formats and bounds of what is served.

use std::collections::BTreeMap;

use super::*;

fn metrics() -> Metrics {
    let build = BuildInfo {
        version: "0.1.0",
        revision: "abc",
    };
    Metrics::new(
        &build,
        ["paygate.v1.PaymentService/CreatePayment".to_owned()],
    )
}

fn rlusd() -> Asset {
    Asset {
        currency: "524C555344000000000000000000000000000000".parse().unwrap(),
        issuer: "rMxCKbEDwqr76QuheSUMdEGf4B9xJ8m5De".parse().unwrap(),
    }
}

/// Every metric with a value, as after some hours of work.
fn busy() -> Metrics {
    let metrics = metrics();
    let ms = Duration::from_millis(3);
    metrics.payment_entered("ACCEPTED");
    metrics.payment_entered("PAID");
    metrics.payable_assets([rlusd()].into_iter());
    metrics.payment_paid(Money::Xrp(Drops::from_const(1_500_000)));
    for issuer in [rlusd().issuer, xrpl_tx::AccountId::from_bytes([9; 20])] {
        metrics.payment_paid(Money::Issued {
            asset: Asset { issuer, ..rlusd() },
            value: "12.5".parse().unwrap(),
        });
    }
    metrics.pending_payments(3, Some(Duration::from_secs(9)));
    metrics.hot_wallet(
        Drops::from_const(999_000_001),
        Drops::from_const(998_000_001),
    );
    metrics.xrpl_connection("us", true);
    metrics.xrpl_request("submit", ms);
    metrics.xrpl_validated_ledger(77);
    metrics.ledger_lag(ms, 2);
    metrics.grpc_request("paygate.v1.PaymentService", "CreatePayment", "OK", ms, None);
    metrics.grpc_request("made.up", "Name", "UNIMPLEMENTED", ms, None);
    let traced = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    metrics.stage(Stage::Accept, ms, Some(&traced.parse().unwrap()));
    let not_kept = "00-1111651916cd43dd8448eb211c80319c-b7ad6b7169203331-00";
    metrics.stage(Stage::Sign, ms, Some(&not_kept.parse().unwrap()));
    metrics.signer_request(SignerResult::Approved);
    metrics.limit("daily", Drops::from_const(5), Drops::from_const(50));
    let gone = ClientRoom {
        client: "gone".to_owned(),
        day_left: Drops::ZERO,
        day_max: Drops::ZERO,
        pending: 0,
        pending_max: 0,
    };
    metrics.client_rooms(std::slice::from_ref(&gone));
    let shop = ClientRoom {
        client: "shop".to_owned(),
        pending: 3,
        ..gone
    };
    metrics.client_rooms(&[shop]);
    metrics.sending_blocked(Some("FEE_ABOVE_CAP"));
    assert!(metrics.from_signer("paygate_signer_journal_height", &[], 12));
    let labels = [
        ("reason", "FEE_CAP"),
        ("result", "denied"),
        ("method", "SignPayment"),
    ];
    assert!(metrics.from_signer("paygate_signer_requests_total", &labels, 2));
    metrics
}

/// What the classic format demands of every line: metadata before samples, each once, names that match.
fn check_classic(text: &str) {
    let mut typed = BTreeMap::new();
    let mut family = "";
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').unwrap();
            assert!(typed.insert(name, kind).is_none(), "{name} is typed twice");
            family = name;
        } else if let Some(rest) = line.strip_prefix("# HELP ") {
            assert!(
                rest.split_once(' ')
                    .is_some_and(|(_, help)| help.ends_with('.')),
                "{line}"
            );
        } else {
            let name = line.split(['{', ' ']).next().unwrap();
            let base = match typed[family] {
                "histogram" => ["_bucket", "_sum", "_count"]
                    .iter()
                    .find_map(|suffix| name.strip_suffix(suffix))
                    .unwrap(),
                "counter" => {
                    assert!(name.ends_with("_total"), "{line}");
                    name
                }
                _ => name,
            };
            assert_eq!(base, family, "{line}");
        }
    }
}

#[test]
fn the_classic_text_is_well_formed_and_complete() {
    let text = busy().render(Format::Classic);
    check_classic(&text);
    for line in [
        "# TYPE payments_total counter",
        "payments_total{status=\"PAID\"} 1",
        "payment_amount_xrp_total 1.5",
        "paygate_payment_amount_issued_total{currency=\"524C555344000000000000000000000000000000\",issuer=\"rMxCKbEDwqr76QuheSUMdEGf4B9xJ8m5De\"} 12.5",
        "paygate_payment_amount_issued_total{currency=\"unknown\",issuer=\"unknown\"} 12.5",
        "pending_payments 3",
        "paygate_oldest_pending_age_seconds 9.0",
        "wallet_balance_xrp{wallet_type=\"hot\"} 999.000001",
        "xrpl_connection_status{server=\"us\"} 1",
        "xrpl_request_duration_seconds_bucket{le=\"0.005\",command=\"submit\"} 1",
        "grpc_requests_total{service=\"paygate.v1.PaymentService\",method=\"CreatePayment\",code=\"OK\"} 1",
        "paygate_validated_ledger_index 77",
        "# TYPE paygate_build_info gauge",
        "paygate_build_info{version=\"0.1.0\",revision=\"abc\"} 1",
        "paygate_signer_requests_total{result=\"approved\"} 1",
        "paygate_signer_journal_height 12",
        "# TYPE paygate_signer_decisions_total counter",
        "paygate_signer_decisions_total{method=\"SignPayment\",result=\"denied\",reason=\"FEE_CAP\"} 2",
    ] {
        assert!(text.lines().any(|l| l == line), "{line} is not in\n{text}");
    }
    assert!(!text.contains("# EOF") && !text.contains("# UNIT"));
    assert!(!text.contains("trace_id"), "exemplars are OpenMetrics only");
}

#[test]
fn openmetrics_ends_with_its_marker() {
    let text = busy().render(Format::OpenMetrics);
    assert!(text.ends_with("# EOF\n"));
    let exemplars: Vec<_> = text.lines().filter(|l| l.contains("trace_id")).collect();
    assert_eq!(
        exemplars,
        [
            "paygate_stage_duration_seconds_bucket{le=\"0.005\",stage=\"accept\"} 1 \
             # {trace_id=\"0af7651916cd43dd8448eb211c80319c\"} 0.003"
        ],
        "a trace that is not kept leads nowhere"
    );
}

#[test]
fn a_callers_path_is_never_a_label() {
    let text = busy().render(Format::Classic);
    assert!(text.contains("service=\"unknown\",method=\"unknown\",code=\"UNIMPLEMENTED\""));
    assert!(!text.contains("made.up"));
}
