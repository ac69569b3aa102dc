//! Tests of the configuration: what is accepted, what is refused, and that the reference tells the truth.

use std::collections::BTreeSet;

use serde_json::Value;
use xrpl_tx::Drops;

use super::*;

/// The least that a gateway on a laptop needs.
const LAPTOP: &str = r#"
[wallet]
address = "rHb9CJAWyB4rj91VRWn96DkukG4bwdtyTh"
network_id = 9001
anchor = { index = 3, hash = "6BD4144ABD632074334F545FB48310396849F074FED457B75EB3613EBDD22FC7" }
[xrpl]
servers = [{ url = "ws://127.0.0.1:6006", operator = "us", own = true }]
[security]
require_authentication = false
"#;

/// The worked example of the documentation, as a variable has it.
const RLUSD: &str = r#"[{ currency = "524C555344000000000000000000000000000000", issuer = "rMxCKbEDwqr76QuheSUMdEGf4B9xJ8m5De", min_payment = "0.01", max_payment = "1000", daily_limit = "10000", max_transfer_fee_ppm = 2000 }]"#;

/// A client as a variable has it.
const SHOP: &str = r#"[{ client_id = "shop", credentials = ["dns:shop.example.org"], scopes = ["pay"], allowed_ips = ["10.0.0.0/8"], max_payment_xrp = "10", daily_limit_xrp = "50", max_pending_payments = 5, destinations = ["rHb9CJAWyB4rj91VRWn96DkukG4bwdtyTh"] }]"#;

fn load(text: &str, variables: &[(&str, &str)]) -> Result<Config, ConfigError> {
    let variables = variables
        .iter()
        .map(|(name, value)| (name.to_string(), value.to_string()));
    Config::parse(text, variables, "paygate.toml")
}

fn problems(text: &str, variables: &[(&str, &str)]) -> Vec<(String, String)> {
    match load(text, variables) {
        Err(ConfigError::Problems(problems)) => problems
            .into_iter()
            .map(|problem| (problem.key, problem.reason))
            .collect(),
        other => panic!("expected problems, got {other:?}"),
    }
}

#[track_caller]
fn refused(variables: &[(&str, &str)], key: &str, reason: &str) {
    let problems = problems(LAPTOP, variables);
    assert!(
        problems
            .iter()
            .any(|(k, why)| k == key && why.contains(reason)),
        "no {key}: {reason} in {problems:?}"
    );
}

#[test]
fn a_laptop_needs_little_and_gets_the_defaults() {
    let config = load(LAPTOP, &[]).unwrap();
    assert_eq!(
        config.limits.max_payment_xrp.0,
        Drops::from_const(100_000_000)
    );
    assert_eq!(config.limits.min_payment_xrp.0, Drops::from_const(1_000));
    assert_eq!(
        config.limits.daily_limit_xrp.0,
        Drops::from_const(1_000_000_000)
    );
    assert_eq!(
        (config.xrpl.last_ledger_window, config.xrpl.max_at_large),
        (20, 50)
    );
    assert_eq!(config.listen.to_string(), "127.0.0.1:50051");
    assert!(config.warnings().is_empty());
}

#[test]
fn the_printed_configuration_loads_to_the_same() {
    let variables = [
        (
            "PAYGATE__MONITORING__OTLP_ENDPOINT",
            "unix:///run/with \"quotes\" and \\",
        ),
        ("PAYGATE__WALLET__SOURCE_TAG", "7"),
        ("PAYGATE__SIGNER__ALLOWED_UIDS", "[1000, 1001]"),
        ("PAYGATE__ASSETS", RLUSD),
    ];
    let config = load(LAPTOP, &variables).unwrap();
    assert_eq!(load(&config.to_string(), &[]).unwrap(), config, "{config}");
}

#[test]
fn every_documented_variable_overrides_its_key() {
    let variables: Vec<(String, String)> = keys::all()
        .filter(|key| !keys::is_in_list(key.path))
        .map(|key| {
            let doc = reference()
                .into_iter()
                .find(|doc| doc.key == key.path)
                .unwrap();
            (doc.variable, key.example.to_owned())
        })
        .collect();
    let config = Config::parse("", variables, "none").unwrap();
    assert_eq!(
        config.limits.daily_limit_xrp.0,
        Drops::from_const(1_000_000)
    );
    assert_eq!(config.wallet.anchor.index, 1);
    assert_eq!(
        config.monitoring.otlp_endpoint.as_deref(),
        Some("http://127.0.0.1:4317")
    );
    assert_eq!(config.signer.allowed_uids, [1]);
    assert!(config.xrpl.servers[0].own);
}

#[test]
fn the_reference_lists_exactly_the_keys_of_the_structs() {
    fn walk(path: &str, value: &Value, keys: &mut BTreeSet<String>) {
        match value {
            Value::Object(fields) => {
                for (name, inner) in fields {
                    let path = if path.is_empty() {
                        name.clone()
                    } else {
                        format!("{path}.{name}")
                    };
                    walk(&path, inner, keys);
                }
            }
            Value::Array(items) => {
                keys.insert(path.to_owned());
                items
                    .iter()
                    .filter(|item| item.is_object())
                    .for_each(|item| walk(path, item, keys));
            }
            _ => {
                keys.insert(path.to_owned());
            }
        }
    }
    let fee = "max_transfer_fee_ppm";
    let asset = RLUSD.replace(fee, &format!("approval_threshold = \"9\", {fee}"));
    let rates = "rate_limit_per_minute = 3, rate_limit_per_hour = 3";
    let shop = SHOP.replacen("client_id", &format!("{rates}, client_id"), 1);
    let set = [
        ("PAYGATE__LIMITS__APPROVAL_THRESHOLD_XRP", "50"),
        (
            "PAYGATE__MONITORING__OTLP_ENDPOINT",
            "http://127.0.0.1:4317",
        ),
        ("PAYGATE__WALLET__SOURCE_TAG", "7"),
        ("PAYGATE__ASSETS", asset.as_str()),
        ("PAYGATE__TLS__CERT_FILE", "/c"),
        ("PAYGATE__TLS__KEY_FILE", "/k"),
        ("PAYGATE__TLS__CLIENT_CA_FILE", "/a"),
        ("PAYGATE__TLS__CRL_FILE", "/r"),
        ("PAYGATE__SECURITY__TOKENS_FILE", "/t"),
        ("PAYGATE__BACKUP__DIR", "/b"),
        ("PAYGATE__ROLLOUT__STAGES_PATH", "/s"),
        ("PAYGATE__CLIENTS", shop.as_str()),
    ];
    let mut keys = BTreeSet::new();
    walk(
        "",
        &serde_json::to_value(load(LAPTOP, &set).unwrap()).unwrap(),
        &mut keys,
    );
    let documented: BTreeSet<String> = reference()
        .into_iter()
        .map(|doc| doc.key.to_owned())
        .collect();
    assert_eq!(keys, documented);
}

#[test]
fn the_reference_tells_the_defaults() {
    let config = serde_json::to_value(load(LAPTOP, &[]).unwrap()).unwrap();
    for doc in reference() {
        let given = ["required", "unset"].contains(&doc.default)
            || keys::is_in_list(doc.key)
            || doc.key == "security.require_authentication";
        if given {
            continue;
        }
        let value = doc.key.split('.').fold(&config, |value, part| &value[part]);
        let text = value
            .as_str()
            .map_or_else(|| value.to_string(), str::to_owned);
        assert_eq!(text, doc.default, "{}", doc.key);
    }
}

#[test]
fn all_problems_are_told_at_once() {
    let text = r#"
        colour = "blue"
        [wallet]
        address = "rHb9CJAWyB4rj91VRWn96DkukG4bwdtyTH"
        network_id = -1
        [xrpl]
        servers = [{ url = "http://x", operator = "us", own = true, colour = 1 }]
        last_ledger_window = 0
        [limits]
        max_payment_xrp = 0.1
        no_such_limit_xrp = "10"
        min_payment_xrp = "0"
    "#;
    let told = problems(text, &[("PAYGATE__LIMITS__NO_SUCH", "1")]);
    let keys: BTreeSet<&str> = told.iter().map(|(key, _)| key.as_str()).collect();
    let expected = [
        "PAYGATE__LIMITS__NO_SUCH",
        "colour",
        "limits.max_payment_xrp",
        "limits.min_payment_xrp",
        "limits.no_such_limit_xrp",
        "security.require_authentication",
        "wallet.address",
        "wallet.anchor",
        "wallet.network_id",
        "xrpl.last_ledger_window",
        "xrpl.servers",
        "xrpl.servers.colour",
    ];
    assert_eq!(keys, BTreeSet::from(expected), "{told:?}");
}

#[test]
fn an_empty_file_names_what_is_required() {
    let keys: Vec<String> = problems("", &[]).into_iter().map(|(key, _)| key).collect();
    for required in ["wallet", "xrpl", "security.require_authentication"] {
        assert!(
            keys.iter().any(|key| key == required),
            "{required} in {keys:?}"
        );
    }
}

#[test]
fn amounts_are_exact_or_refused() {
    for exact in ["0.000001", "1.000000", "7"] {
        load(LAPTOP, &[("PAYGATE__LIMITS__MIN_PAYMENT_XRP", exact)]).unwrap();
    }
    let whole = format!("{LAPTOP}\n[limits]\nmax_payment_xrp = 7");
    assert_eq!(
        load(&whole, &[]).unwrap().limits.max_payment_xrp.0,
        Drops::from_const(7_000_000)
    );
    let float = format!("{LAPTOP}\n[limits]\nmax_payment_xrp = 0.5");
    assert!(problems(&float, &[])[0].1.contains("decimal in quotes"));
    refused(
        &[("PAYGATE__LIMITS__MIN_PAYMENT_XRP", "0.0000001")],
        "limits.min_payment_xrp",
        "decimals",
    );
    refused(
        &[("PAYGATE__LIMITS__MIN_PAYMENT_XRP", "-1")],
        "limits.min_payment_xrp",
        "decimal",
    );
}

#[test]
fn limits_must_be_in_order() {
    refused(
        &[("PAYGATE__LIMITS__MIN_PAYMENT_XRP", "101")],
        "limits.min_payment_xrp",
        "100 XRP",
    );
    refused(
        &[("PAYGATE__LIMITS__DAILY_LIMIT_XRP", "99")],
        "limits.max_payment_xrp",
        "99 XRP",
    );
    let large = [
        ("PAYGATE__LIMITS__MAX_PAYMENT_XRP", "10001"),
        ("PAYGATE__LIMITS__DAILY_LIMIT_XRP", "20000"),
    ];
    let warnings = load(LAPTOP, &large).unwrap().warnings();
    assert_eq!(warnings[0].key, "limits.max_payment_xrp");
}

#[test]
fn an_issued_currency_has_limits_of_its_own() {
    let text = format!(
        r#"{LAPTOP}
        [[assets]]
        currency = "524C555344000000000000000000000000000000"
        issuer = "rMxCKbEDwqr76QuheSUMdEGf4B9xJ8m5De"
        min_payment = "0.01"
        max_payment = 1000
        daily_limit = "10000"
        [[assets]]
        currency = "USD"
        issuer = "rMxCKbEDwqr76QuheSUMdEGf4B9xJ8m5De"
        min_payment = "1"
        max_payment = "1e3"
        daily_limit = "5000"
        max_transfer_fee_ppm = 2000
        "#
    );
    let config = load(&text, &[]).unwrap();
    assert_eq!(config.assets[0].max_payment, config.assets[1].max_payment);
    assert_eq!(
        (
            config.assets[0].max_transfer_fee_ppm,
            config.assets[1].max_transfer_fee_ppm
        ),
        (0, 2000)
    );
    let shown = config.to_string();
    assert!(shown.contains(r#"currency = "USD""#), "{shown}");

    for (from, to, key, reason) in [
        (
            r#"currency = "USD""#,
            r#"currency = "XRP""#,
            "assets.currency",
            "pay it as XRP",
        ),
        (
            r#"currency = "USD""#,
            r#"currency = "DOLLAR""#,
            "assets.currency",
            "40 hex digits",
        ),
        (
            r#"currency = "USD""#,
            r#"currency = "524c555344000000000000000000000000000000""#,
            "assets",
            "listed twice",
        ),
        (
            r#"min_payment = "1""#,
            r#"min_payment = "0""#,
            "assets.min_payment",
            "nothing cannot be sent",
        ),
        (
            r#"min_payment = "1""#,
            r#"min_payment = "999""#,
            "assets.min_payment",
            "above assets.max_payment, 1000",
        ),
        (
            r#"min_payment = "1""#,
            r#"min_payment = 0.5"#,
            "assets.min_payment",
            "decimal in quotes",
        ),
        (
            r#"daily_limit = "5000""#,
            r#"daily_limit = "999""#,
            "assets.max_payment",
            "above assets.daily_limit, 999",
        ),
        (
            r#"daily_limit = "5000""#,
            r#"daily_limit = "-1""#,
            "assets.daily_limit",
            "decimal",
        ),
        (
            "fee_ppm = 2000",
            "fee_ppm = 1000001",
            "assets.max_transfer_fee_ppm",
            "at most 1000000",
        ),
        (
            "fee_ppm = 2000",
            "fee = 2000",
            "assets.max_transfer_fee",
            "unknown key",
        ),
    ] {
        assert!(text.contains(from));
        let told = problems(&text.replace(from, to), &[]);
        let found = told.iter().any(|(k, why)| k == key && why.contains(reason));
        assert!(found, "no {key}: {reason} in {told:?}");
    }
    let own = text.replace(
        "rMxCKbEDwqr76QuheSUMdEGf4B9xJ8m5De",
        "rHb9CJAWyB4rj91VRWn96DkukG4bwdtyTh",
    );
    assert!(
        problems(&own, &[])
            .iter()
            .any(|(key, why)| key == "assets.issuer" && why.contains("issuer"))
    );
}

#[test]
fn what_is_not_built_yet_is_refused_by_name() {
    refused(&[("PAYGATE__ROLE", "accept")], "role", "one gateway");
    refused(
        &[("PAYGATE__SECURITY__REQUIRE_AUTHENTICATION", "true")],
        "security.require_authentication",
        "no client is configured",
    );
    refused(
        &[("PAYGATE__LISTEN", "0.0.0.0:50051")],
        "listen",
        "loopback",
    );
    let of = |servers: &'static str, reason: &str| {
        refused(
            &[("PAYGATE__XRPL__SERVERS", servers)],
            "xrpl.servers",
            reason,
        );
    };
    let foreign = r#"[{url="wss://example.org",operator="them"}]"#;
    of(foreign, "own = true");
    of("[]", "1 to 8 ledger servers");
    of(
        r#"[{url="wss://a.org",operator="a"},{url="wss://b.org",operator="a"}]"#,
        "servers of other operators",
    );
    of(
        r#"[{url="wss://a.org",operator="a"},{url="wss://a.org",operator="b"}]"#,
        "named twice",
    );
    for enough in [
        r#"[{url="wss://a.org",operator="a"},{url="wss://b.org",operator="b"}]"#,
        r#"[{url="ws://127.0.0.1:1",operator="a",own=true},{url="ws://127.0.0.1:2",operator="b"}]"#,
    ] {
        load(LAPTOP, &[("PAYGATE__XRPL__SERVERS", enough)]).unwrap();
    }
    load(
        LAPTOP,
        &[
            ("PAYGATE__XRPL__SERVERS", foreign),
            ("PAYGATE__XRPL__AGREEMENT", "1"),
        ],
    )
    .unwrap();
}

#[test]
fn production_refuses_what_a_laptop_may() {
    let set = |servers: &'static str| {
        [
            ("PAYGATE__PROFILE", "production"),
            ("PAYGATE__XRPL__SERVERS", servers),
        ]
    };
    let testnet = r#"[{url="wss://s.altnet.rippletest.net:51233",operator="x",own=true}]"#;
    refused(&set(testnet), "xrpl.servers", "test networks");
    let plain = r#"[{url="ws://ledger.example.org:6006",operator="x",own=true}]"#;
    refused(&set(plain), "xrpl.servers", "wss://");
    let verbose = [
        ("PAYGATE__PROFILE", "production"),
        ("PAYGATE__MONITORING__LOG_LEVEL", "debug"),
    ];
    refused(&verbose, "monitoring.log_level", "debug");
    refused(
        &[("PAYGATE__PROFILE", "production")],
        "signer.allowed_uids",
        "named",
    );
    let bare = [("PAYGATE__PROFILE", "production")];
    refused(
        &bare,
        "security.require_authentication",
        "production does not start without authentication",
    );
    refused(
        &bare,
        "tls.cert_file",
        "production does not start without TLS",
    );
}

#[test]
fn a_server_is_a_websocket_without_credentials() {
    for (url, reason) in [
        ("ws://user:secret@127.0.0.1", "credentials"),
        ("http://127.0.0.1", "ws://"),
        ("127.0.0.1", "ws://"),
    ] {
        let servers = format!(r#"[{{url="{url}",operator="us",own=true}}]"#);
        let told = problems(LAPTOP, &[("PAYGATE__XRPL__SERVERS", &servers)]);
        assert!(
            told.iter().any(|(_, why)| why.contains(reason)),
            "{url}: {told:?}"
        );
        assert!(!format!("{told:?}").contains("secret"));
    }
}

#[test]
fn two_listeners_cannot_share_an_address() {
    refused(
        &[("PAYGATE__HEALTH__LISTEN", "127.0.0.1:50051")],
        "health.listen",
        "listens there already",
    );
    let zero = [
        ("PAYGATE__HEALTH__LISTEN", "127.0.0.1:0"),
        ("PAYGATE__LISTEN", "127.0.0.1:0"),
    ];
    load(LAPTOP, &zero).unwrap();
}

#[test]
fn a_broken_file_and_a_missing_one_say_so() {
    assert!(matches!(
        load("limits = [", &[]),
        Err(ConfigError::Syntax { .. })
    ));
    let missing = Config::load(std::path::Path::new("/no/such/paygate.toml"), []);
    assert!(matches!(missing, Err(ConfigError::File { .. })));
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("paygate.toml");
    std::fs::write(&path, LAPTOP).unwrap();
    Config::load(&path, [("HOME".to_owned(), "/root".to_owned())]).unwrap();
}

/// A laptop that asks its callers who they are.
fn guarded(clients: &str) -> [(&'static str, String); 5] {
    [
        (
            "PAYGATE__SECURITY__REQUIRE_AUTHENTICATION",
            "true".to_owned(),
        ),
        ("PAYGATE__TLS__CERT_FILE", "/c".to_owned()),
        ("PAYGATE__TLS__KEY_FILE", "/k".to_owned()),
        ("PAYGATE__TLS__CLIENT_CA_FILE", "/a".to_owned()),
        ("PAYGATE__CLIENTS", clients.to_owned()),
    ]
}

#[test]
fn a_gateway_with_tls_and_clients_may_listen_anywhere() {
    let owned = guarded(SHOP);
    let mut variables: Vec<(&str, &str)> = owned.iter().map(|(k, v)| (*k, v.as_str())).collect();
    variables.push(("PAYGATE__LISTEN", "0.0.0.0:50051"));
    load(LAPTOP, &variables).unwrap();
    for needed in [
        "PAYGATE__TLS__CERT_FILE",
        "PAYGATE__TLS__KEY_FILE",
        "PAYGATE__TLS__CLIENT_CA_FILE",
    ] {
        let fewer: Vec<_> = variables
            .iter()
            .copied()
            .filter(|(key, _)| *key != needed)
            .collect();
        let told = problems(LAPTOP, &fewer);
        assert!(!told.is_empty(), "without {needed}");
    }
    variables[0].1 = "false";
    refused(
        &variables,
        "listen",
        "security.require_authentication = false",
    );
}

#[test]
fn a_client_list_that_could_mean_two_things_is_refused() {
    for (clients, reason) in [
        (
            r#"[{client_id="a",credentials=["cn:x"],scopes=["pay"]},{client_id="b",credentials=["cn:x"],scopes=["pay"]}]"#,
            "one credential is one client",
        ),
        (
            r#"[{client_id="a",scopes=["pay"]},{client_id="a",scopes=["read"]}]"#,
            "named twice",
        ),
        (r#"[{client_id="a b",scopes=["pay"]}]"#, "client_id"),
        (r#"[{client_id="a",scopes=[]}]"#, "without one"),
        (
            r#"[{client_id="a",scopes=["pay"],credentials=["x"]}]"#,
            "no credential like",
        ),
        (
            r#"[{client_id="a",scopes=["pay"],credentials=["dns:A.example.org"]}]"#,
            "lower case",
        ),
        (
            r#"[{client_id="a",scopes=["pay"],credentials=["token:a-1"]}]"#,
            "security.tokens_file",
        ),
        (r#"[{client_id="a",scopes=["everything"]}]"#, "variant"),
        (
            r#"[{client_id="a",scopes=["pay"],max_payment_xrp="1000000"}]"#,
            "max_payment_xrp of a: above limits.max_payment_xrp",
        ),
        (
            r#"[{client_id="a",scopes=["pay"],daily_limit_xrp="0.0001"}]"#,
            "daily_limit_xrp of a: below limits.min_payment_xrp",
        ),
        (
            r#"[{client_id="a",scopes=["pay"],max_pending_payments=0}]"#,
            "max_pending_payments of a: not 1 to",
        ),
        (
            r#"[{client_id="a",scopes=["pay"],allowed_ips=["10.0.0.1/8"]}]"#,
            "10.0.0.0/8",
        ),
    ] {
        let owned = guarded(clients);
        let variables: Vec<(&str, &str)> = owned.iter().map(|(k, v)| (*k, v.as_str())).collect();
        let told = problems(LAPTOP, &variables);
        assert!(
            told.iter()
                .any(|(key, why)| key.starts_with("clients") && why.contains(reason)),
            "{clients}: {told:?}"
        );
    }
    let owned = guarded(SHOP);
    let mut variables: Vec<(&str, &str)> = owned.iter().map(|(k, v)| (*k, v.as_str())).collect();
    variables.push((
        "PAYGATE__SECURITY__TRUSTED_PROXIES",
        r#"["dns:shop.example.org"]"#,
    ));
    refused(
        &variables,
        "clients",
        "security.trusted_proxies has it already",
    );
}
