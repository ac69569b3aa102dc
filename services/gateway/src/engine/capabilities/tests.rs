//! Each signal alone, and what goes with it.

use paygate_payments::continuity::{Doubt, Quarantine};
use paygate_payments::{LedgerIndex, LedgerRef};
use xrpl_tx::Hash256;

use super::*;
use crate::store::Freeze;
use crate::view::{AccountView, Blocked, LinkView, SignerView};

const NAMES: &[&str] = &[
    "",
    "paygate.v1.PaymentService",
    "paygate.capability.accept",
    "paygate.capability.submit",
    "paygate.capability.confirm",
    "paygate.capability.sign",
    "paygate.capability.ledger",
    "paygate.capability.store",
    "paygate.capability.wallet",
];

fn ledger_at(index: u32) -> LedgerRef {
    LedgerRef {
        index: LedgerIndex(index),
        hash: Hash256::from_bytes([1; 32]),
    }
}

/// Nothing is wrong.
fn good() -> EngineView {
    EngineView {
        validated: Some(ledger_at(100)),
        account: Some(AccountView {
            sequence: 1,
            balance: Drops::from_const(10_000_000),
            owner_count: 0,
            reserve_base: Drops::from_const(1_000_000),
            reserve: Drops::from_const(1_000_000),
            spendable: Drops::from_const(9_000_000),
            at_large: Drops::ZERO,
            regular_key: None,
            master_disabled: false,
            lines: Vec::new(),
            assets: Default::default(),
        }),
        signer: SignerView {
            described: Some(Default::default()),
            unreachable: None,
            serving: true,
        },
        link: LinkView {
            connected: true,
            detail: "full".to_owned(),
            newest: Some(LedgerIndex(100)),
            ..LinkView::default()
        },
        ..EngineView::default()
    }
}

fn seen(view: &EngineView) -> Seen<'_> {
    Seen {
        view,
        store: Ok(Duration::from_millis(2)),
        summary: None,
        now: Millis(0),
        latency_threshold: Duration::from_secs(5),
    }
}

/// What is away, with its reason.
fn away(capabilities: &Capabilities) -> Vec<(&'static str, String)> {
    let all = capabilities.by_name().into_iter();
    all.filter_map(|(name, signal)| Some((name, signal.clone().err()?)))
        .collect()
}

type Spoil = fn(&mut EngineView);

#[test]
fn every_signal_takes_away_what_rests_on_it_and_is_named() {
    assert_eq!(away(&Capabilities::of(&seen(&good()))), []);
    let blocked = |view: &mut EngineView, reason| {
        let detail = "the signer does not answer: it hangs".to_owned();
        view.blocked = Some(Blocked { reason, detail });
    };
    assert_eq!(
        {
            let mut view = good();
            blocked(&mut view, PaymentReason::SignerDenied);
            away(&Capabilities::of(&seen(&view)))
        },
        [],
        "a denial is an answer"
    );
    let stories: [(Spoil, &[&str], &str); 12] = [
        (
            |v| v.link.connected = false,
            &["submit", "confirm", "ledger"],
            "no connection",
        ),
        (
            |v| v.link.unusable = Some("its state is syncing".into()),
            &["submit", "confirm", "ledger"],
            "its state is syncing",
        ),
        (
            |v| v.halted = true,
            &["submit", "confirm", "ledger"],
            "halted",
        ),
        (
            |v| v.link.newest = Some(LedgerIndex(106)),
            &["confirm"],
            "6 behind",
        ),
        (|v| v.validated = None, &["confirm"], "no ledger reconciled"),
        (
            |v| v.signer.unreachable = Some("nobody listens".into()),
            &["submit", "sign"],
            "nobody listens",
        ),
        (|v| v.signer.serving = false, &["submit", "sign"], "canary"),
        (
            |v| v.signer.described = None,
            &["submit", "sign"],
            "not asked yet",
        ),
        (
            |v| {
                v.frozen = Some(Freeze {
                    why: "foreign".into(),
                    since: Millis(0),
                })
            },
            &["submit"],
            "frozen: foreign",
        ),
        (
            |v| {
                v.quarantine = Some(Quarantine {
                    why: Doubt::SignerAhead,
                    until: LedgerIndex(130),
                })
            },
            &["submit"],
            "until ledger 130",
        ),
        (|v| v.account = None, &["wallet"], "not read yet"),
        (
            |v| v.account.as_mut().unwrap().balance = Drops::from_const(9_999_999),
            &["wallet"],
            "below the minimum",
        ),
    ];
    for (spoil, names, reason) in stories {
        let mut view = good();
        spoil(&mut view);
        let away = away(&Capabilities::of(&seen(&view)));
        let which: Vec<_> = away.iter().map(|(name, _)| *name).collect();
        assert_eq!(which, names, "{reason}");
        assert!(away.iter().all(|(_, why)| why.contains(reason)), "{away:?}");
    }
    let view = good();
    let without_store = Seen {
        store: Err("the disk of the store is full".to_owned()),
        ..seen(&view)
    };
    let gone = away(&Capabilities::of(&without_store));
    let which: Vec<_> = gone.iter().map(|(name, _)| *name).collect();
    assert_eq!(which, ["accept", "submit", "confirm", "store"]);
    let mut view = good();
    blocked(&mut view, PaymentReason::SignerUnavailable);
    let gone = away(&Capabilities::of(&seen(&view)));
    assert_eq!(gone[1].0, "sign", "it answers, but does not sign: {gone:?}");
    view = good();
    view.draining = true;
    let gone = away(&Capabilities::of(&seen(&view)));
    assert_eq!(gone[0].0, "accept", "{gone:?}");
}

#[test]
fn a_check_degrades_with_the_first_bad_look_and_is_unhealthy_while_its_capability_does_not_serve() {
    let (health, _) = Health::new(NAMES);
    let metrics = Metrics::new(
        &crate::metrics::BuildInfo {
            version: "0.1.0",
            revision: "unknown",
        },
        [],
    );
    let mut view = good();
    let mut status = |spoil: Spoil| {
        spoil(&mut view);
        let seen = seen(&view);
        let capabilities = Capabilities::of(&seen);
        capabilities.tell(&health, &metrics);
        let report = capabilities.report(&seen, &health);
        let xrpl = report.checks.iter().find(|c| c.name == "xrpl").unwrap();
        (xrpl.status, xrpl.detail.clone())
    };
    let bad: Spoil = |v| v.halted = true;
    let good: Spoil = |v| v.halted = false;
    assert_eq!(status(good).0, CheckStatus::Healthy);
    assert_eq!(
        status(|v| v.link.latency_ms = 5_001).0,
        CheckStatus::Degraded
    );
    assert_eq!(status(|v| v.link.latency_ms = 5).0, CheckStatus::Healthy);
    for wanted in [
        CheckStatus::Degraded,
        CheckStatus::Degraded,
        CheckStatus::Unhealthy,
    ] {
        assert_eq!(status(bad).0, wanted);
    }
    for _ in 0..2 {
        let (status, detail) = status(good);
        assert_eq!(status, CheckStatus::Unhealthy);
        assert!(detail.starts_with("coming back, it was: "), "{detail}");
    }
    assert_eq!(status(good).0, CheckStatus::Healthy);
}
