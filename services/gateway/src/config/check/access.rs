//! Who may call: orders between TLS, authentication, clients and listeners.
//!
//! Owns: every reason of these keys not to start. May not: read the files that they name; that fails at the start, by the same names.

use std::collections::BTreeMap;

use paygate_payments::intent::Id;

use super::{COUNT, Checker};
use crate::config::{Client, ClientCertificates, Profile};

/// Clients are teams' services, not people; the list is held in memory and searched by name.
const CLIENTS_MAX: usize = 1_000;

/// Names of one client in certificates.
const CREDENTIALS_MAX: usize = 64;

/// Accounts that one client is confined to: more is a matter for the caller's own records.
const DESTINATIONS_MAX: usize = 1_000;

/// Longest name in a certificate that is of use.
const CREDENTIAL_BYTES_MAX: usize = 512;

/// What a credential in a certificate begins with.
const KINDS: [&str; 3] = ["uri:", "dns:", "cn:"];

impl Checker<'_> {
    pub(super) fn access(&mut self) {
        self.tls();
        self.authentication();
        self.clients();
    }

    fn tls(&mut self) {
        let tls = &self.config.tls;
        let needs: [(&str, bool, &str, bool); 5] = [
            (
                "tls.cert_file",
                tls.cert_file.is_some(),
                "tls.key_file",
                tls.key_file.is_some(),
            ),
            (
                "tls.key_file",
                tls.key_file.is_some(),
                "tls.cert_file",
                tls.cert_file.is_some(),
            ),
            (
                "tls.client_ca_file",
                tls.client_ca_file.is_some(),
                "tls.cert_file",
                tls.cert_file.is_some(),
            ),
            (
                "tls.crl_file",
                tls.crl_file.is_some(),
                "tls.client_ca_file",
                tls.client_ca_file.is_some(),
            ),
            (
                "tls.client_certificates",
                tls.client_certificates == ClientCertificates::Required,
                "tls.client_ca_file",
                tls.client_ca_file.is_some(),
            ),
        ];
        for (key, set, needed, there) in needs {
            if set && !there {
                let why = format!("needs {needed}, which is not set");
                self.refuse(&[key, needed], "set", why);
            }
        }
    }

    fn authentication(&mut self) {
        let config = self.config;
        let on = config.security.require_authentication;
        if on && config.clients.is_empty() {
            let why = "no client is configured, so nobody could call: name them in [[clients]], or set it to false and serve only this host";
            self.refuse(&["security.require_authentication", "clients"], on, why);
        }
        let listen = config.listen;
        if !listen.ip().is_loopback() && (!on || config.tls.cert_file.is_none()) {
            let why = "without tls.cert_file, or with security.require_authentication = false, only loopback is served, like 127.0.0.1";
            self.refuse(&["listen"], listen, why);
        }
        if config.profile != Profile::Production {
            return;
        }
        if !on {
            let why = "production does not start without authentication: set it to true";
            self.refuse(&["security.require_authentication"], on, why);
        }
        if config.tls.cert_file.is_none() {
            let why = "production does not start without TLS: name the gateway's certificate, and its key in tls.key_file";
            self.refuse(&["tls.cert_file"], "unset", why);
        }
    }

    fn clients(&mut self) {
        let config = self.config;
        if config.clients.len() > CLIENTS_MAX {
            let why = format!("at most {CLIENTS_MAX} clients can be configured");
            self.refuse(&["clients"], config.clients.len(), why);
        }
        // Who holds which credential; a proxy is no client.
        let mut holders: BTreeMap<&str, &str> = BTreeMap::new();
        for proxy in &config.security.trusted_proxies {
            self.credential("security.trusted_proxies", proxy);
            holders.insert(proxy, "security.trusted_proxies");
        }
        let mut ids: Vec<&str> = Vec::new();
        for client in &config.clients {
            let id = client.client_id.as_str();
            if Id::new(id).is_err() {
                self.refuse(
                    &["clients"],
                    format_args!("{id:?}"),
                    "client_id: not 1 to 64 of A-Z a-z 0-9 . _ : -",
                );
            }
            if ids.contains(&id) {
                self.refuse(&["clients"], id, "client_id: named twice");
            }
            ids.push(id);
            if client.scopes.is_empty() {
                self.refuse(
                    &["clients"],
                    id,
                    "scopes: without one it may do nothing; leave the client out",
                );
            }
            self.limits_of(client);
            if client.credentials.len() > CREDENTIALS_MAX {
                let why = format!("credentials: at most {CREDENTIALS_MAX}");
                self.refuse(&["clients"], id, why);
            }
            for credential in &client.credentials {
                self.credential("clients", credential);
                if let Some(holder) = holders.insert(credential, id) {
                    let why = format!(
                        "credentials: {holder} has it already; one credential is one client"
                    );
                    self.refuse(&["clients"], format_args!("{id}: {credential}"), why);
                }
            }
        }
    }

    /// A client's limits lie within the wallet's: a wider one would promise what is refused.
    fn limits_of(&mut self, client: &Client) {
        let config = self.config;
        let (limits, id) = (&config.limits, &client.client_id);
        let most = [
            (
                "max_payment_xrp",
                client.max_payment_xrp,
                ("limits.max_payment_xrp", limits.max_payment_xrp),
            ),
            (
                "daily_limit_xrp",
                client.daily_limit_xrp,
                ("limits.daily_limit_xrp", limits.daily_limit_xrp),
            ),
        ];
        for (name, own, (key, of_all)) in most {
            let Some(own) = own else { continue };
            if own > of_all {
                let why = format!("{name} of {id}: above {key}, {}", of_all.0);
                self.refuse(&["clients", key], own.0, why);
            }
            if own < limits.min_payment_xrp {
                let key = "limits.min_payment_xrp";
                let why = format!("{name} of {id}: below {key}, {}", limits.min_payment_xrp.0);
                self.refuse(&["clients", key], own.0, why);
            }
        }
        if let Some(pending) = client.max_pending_payments
            && !(1..=limits.max_pending_payments).contains(&pending)
        {
            let why = format!(
                "max_pending_payments of {id}: not 1 to limits.max_pending_payments, {}",
                limits.max_pending_payments
            );
            self.refuse(&["clients", "limits.max_pending_payments"], pending, why);
        }
        for (name, rate) in [
            ("rate_limit_per_minute", client.rate_limit_per_minute),
            ("rate_limit_per_hour", client.rate_limit_per_hour),
        ] {
            if let Some(rate) = rate.filter(|rate| !COUNT.contains(&u64::from(*rate))) {
                let (least, most) = (COUNT.start(), COUNT.end());
                let why = format!("{name} of {id}: allowed is {least} to {most}");
                self.refuse(&["clients"], rate, why);
            }
        }
        if client.destinations.len() > DESTINATIONS_MAX {
            let why = format!("destinations of {id}: at most {DESTINATIONS_MAX}");
            self.refuse(&["clients"], client.destinations.len(), why);
        }
    }

    fn credential(&mut self, key: &'static str, credential: &str) {
        if credential.starts_with("token:") {
            let why = "a token names its client itself, in security.tokens_file, so that it can be rotated while the gateway runs";
            return self.refuse(&[key], credential, why);
        }
        let named = KINDS
            .iter()
            .any(|kind| credential.len() > kind.len() && credential.starts_with(kind));
        if !named || credential.len() > CREDENTIAL_BYTES_MAX {
            let why = format!(
                "no credential like uri:spiffe://…, dns:… or cn:…, of at most {CREDENTIAL_BYTES_MAX} bytes"
            );
            return self.refuse(&[key], format_args!("{credential:?}"), why);
        }
        if credential.starts_with("dns:") && credential.bytes().any(|b| b.is_ascii_uppercase()) {
            self.refuse(
                &[key],
                credential,
                "names of hosts are compared in lower case: write it so",
            );
        }
        if self.config.tls.client_ca_file.is_none() {
            let why = "without tls.client_ca_file no certificate is asked for";
            self.refuse(&[key, "tls.client_ca_file"], credential, why);
        }
    }
}
