//! What a configuration means, and what a bad one is called.

use xrpl_tx::Drops;

use super::*;

const SMALLEST: &str = r#"
    [wallet]
    seed_file = "/run/secrets/seed"
    network_id = 0
    [policy]
    anchor_ledger_index = 100000000
    anchor_time = "2026-11-23T10:00:00Z"
"#;

fn load(text: &str, variables: &[(&str, &str)]) -> Result<Config, ConfigError> {
    let figment =
        Figment::from(Serialized::defaults(ConfigFile::default())).merge(Toml::string(text));
    let variables = variables
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    Config::from_figment(override_keys(figment, variables)?)
}

fn error(text: &str, variables: &[(&str, &str)]) -> String {
    load(text, variables).unwrap_err().to_string()
}

#[test]
fn the_smallest_file_is_enough() {
    let config = load(SMALLEST, &[]).unwrap();
    assert_eq!(
        config.policy.max_payment,
        Drops::from_xrp_str("100").unwrap()
    );
    assert_eq!(config.policy.anchor_time_ms, 1_795_428_000_000);
    assert!(config.allowed_uids.contains(&0));
}

#[test]
fn an_amount_from_a_variable_is_exact() {
    let config = load(
        SMALLEST,
        &[("PAYGATE_SIGNER__POLICY__MAX_PAYMENT_XRP", "0.123456")],
    )
    .unwrap();
    assert_eq!(config.policy.max_payment.get(), 123_456);
    let config = load(
        SMALLEST,
        &[("PAYGATE_SIGNER__LISTEN__ALLOWED_UIDS", "[7, 8]")],
    )
    .unwrap();
    assert_eq!(config.allowed_uids, BTreeSet::from([7, 8]));
}

#[test]
fn what_has_no_meaning_is_refused_by_name() {
    for (text, variables, expected) in [
        (
            "",
            &[][..],
            "wallet.seed_file or wallet.keystore_file is required",
        ),
        (
            "[wallet]\nseed = \"/x\"",
            &[],
            "unknown field: found `seed`",
        ),
        (
            SMALLEST,
            &[("PAYGATE_SIGNER__POLICY__MAX_PAYMNT_XRP", "1")],
            "PAYGATE_SIGNER__POLICY__MAX_PAYMNT_XRP overrides no key",
        ),
        (
            SMALLEST,
            &[("PAYGATE_SIGNER__POLICY__MAX_PAYMENT_XRP", "1e3")],
            "policy.max_payment_xrp \"1e3\" is no amount",
        ),
        (
            SMALLEST,
            &[("PAYGATE_SIGNER__POLICY__MAX_PAYMENT_XRP", "2000")],
            "is above policy.max_day_xrp",
        ),
        (
            SMALLEST,
            &[("PAYGATE_SIGNER__POLICY__ANCHOR_TIME", "yesterday")],
            "policy.anchor_time is neither",
        ),
        (
            SMALLEST,
            &[("PAYGATE_SIGNER__HARDENING__WAIVE", "[\"all\"]")],
            "hardening.waive \"all\" is none of",
        ),
        (
            SMALLEST,
            &[("PAYGATE_SIGNER__WALLET__SEED_FILE", "seed")],
            "wallet.seed_file \"seed\" is no absolute path",
        ),
    ] {
        let error = error(text, variables);
        assert!(error.contains(expected), "{error}");
    }
}

const RLUSD: &str = concat!(
    r#"{ currency = "524C555344000000000000000000000000000000", "#,
    r#"issuer = "rMxCKbEDwqr76QuheSUMdEGf4B9xJ8m5De", max_payment = "500", max_day = "2500.50" }"#
);

#[test]
fn issued_currencies_are_listed_with_their_limits() {
    let config = load(&format!("{SMALLEST}\nassets = [{RLUSD}]"), &[]);
    let assets = config.unwrap().policy.assets;
    let (asset, limits) = assets.first_key_value().unwrap();
    assert_eq!(
        asset.to_string(),
        "524C555344000000000000000000000000000000.rMxCKbEDwqr76QuheSUMdEGf4B9xJ8m5De"
    );
    assert_eq!(limits.max_payment.to_string(), "500");
    assert_eq!(limits.max_day.to_string(), "2500.5");
    assert!(load(SMALLEST, &[]).unwrap().policy.assets.is_empty());
    let variable = ("PAYGATE_SIGNER__POLICY__ASSETS", format!("[{RLUSD}]"));
    let config = load(SMALLEST, &[(variable.0, variable.1.as_str())]).unwrap();
    assert_eq!(config.policy.assets, assets);
}

#[test]
fn an_asset_without_sense_is_refused_by_name() {
    for (from, to, expected) in [
        ("524C", "52", "has currency \"52"),
        ("rMx", "rMy", "no classic address"),
        (
            "\"500\"",
            "\"5000\"",
            "has max_payment 5000 above max_day 2500.5 for 524C",
        ),
        ("\"500\"", "\"0\"", "has max_payment 0 for 524C"),
        ("\"500\"", "\"-1\"", "has max_payment \"-1\" for 524C"),
        ("\"2500.50\"", "\"1e99\"", "has max_day \"1e99\" for 524C"),
        ("\"500\"", "500", "policy.assets"),
        ("max_day", "max_week", "max_week"),
    ] {
        let assets = RLUSD.replace(from, to);
        let error = error(&format!("{SMALLEST}\nassets = [{assets}]"), &[]);
        assert!(error.contains(expected), "{error}");
    }
    let twice = format!("{SMALLEST}\nassets = [{0}, {0}]", RLUSD);
    assert!(error(&twice, &[]).contains("policy.assets lists 524C"));
}

#[test]
fn tickets_are_made_only_if_the_policy_says_so() {
    let allowed = |text: &str| load(text, &[]).unwrap().policy.allowed_types;
    use TransactionType::{NoOp, Payment, TicketCreate};
    assert_eq!(allowed(SMALLEST), BTreeSet::from([Payment, NoOp]));
    let with = format!("{SMALLEST}\nallowed_types = [\"payment\", \"no_op\", \"ticket_create\"]");
    assert_eq!(
        allowed(&with),
        BTreeSet::from([Payment, NoOp, TicketCreate])
    );
    let wrong = format!("{SMALLEST}\nallowed_types = [\"everything\"]");
    assert!(error(&wrong, &[]).contains("policy.allowed_types \"everything\" is none of payment"));
}

#[test]
fn production_lets_nobody_in_by_default() {
    let profile = ("PAYGATE_SIGNER__PROFILE", "production");
    assert!(error(SMALLEST, &[profile]).contains("listen.allowed_uids is empty"));
    for uids in ["[0]", "[65534]"] {
        let variables = [profile, ("PAYGATE_SIGNER__LISTEN__ALLOWED_UIDS", uids)];
        assert!(error(SMALLEST, &variables).contains("contains 0 or 65534"));
    }
    let variables = [
        profile,
        ("PAYGATE_SIGNER__LISTEN__ALLOWED_UIDS", "[4242]"),
        ("PAYGATE_SIGNER__LOG__LEVEL", "debug"),
    ];
    assert!(error(SMALLEST, &variables).contains("log.level is debug or trace"));
    assert!(load(SMALLEST, &variables[..2]).is_ok());
}

#[test]
fn the_effective_configuration_is_a_configuration() {
    let config = load(
        SMALLEST,
        &[
            ("PAYGATE_SIGNER__HARDENING__WAIVE", "[\"landlock\"]"),
            ("PAYGATE_SIGNER__POLICY__ASSETS", &format!("[{RLUSD}]")),
        ],
    )
    .unwrap();
    assert_eq!(
        load(&config.to_string(), &[]).unwrap().to_string(),
        config.to_string()
    );
}

#[test]
fn the_reference_lists_exactly_the_keys() {
    fn keys(prefix: &str, value: &serde_json::Value, out: &mut BTreeSet<String>) {
        match value {
            serde_json::Value::Object(fields) => {
                for (name, value) in fields {
                    keys(&format!("{prefix}.{name}"), value, out);
                }
            }
            _ => {
                out.insert(prefix.trim_start_matches('.').to_owned());
            }
        }
    }
    let mut expected = BTreeSet::new();
    keys(
        "",
        &serde_json::to_value(ConfigFile::default()).unwrap(),
        &mut expected,
    );
    let listed: BTreeSet<String> = reference::reference()
        .iter()
        .map(|key| key.key.to_owned())
        .collect();
    assert_eq!(listed, expected);
    for key in reference::reference() {
        let variable = format!(
            "{VARIABLE_PREFIX}{}",
            key.key.replace('.', "__").to_uppercase()
        );
        assert_eq!(key.variable, variable);
    }
}
