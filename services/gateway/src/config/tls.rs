//! Section `tls`: the files that the gateway proves itself with, and those by which it knows callers.
//!
//! Owns: keys and defaults. May not: read a file; `crate::tls` does.

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Whether callers must show a certificate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ClientCertificates {
    /// Who has none may show a token.
    #[default]
    Optional,
    /// No connection without one.
    Required,
}

/// Section `tls`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Tls {
    /// The gateway's certificate and what leads to its CA, PEM. Absent: no TLS.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cert_file: Option<PathBuf>,
    /// Its key, PEM.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key_file: Option<PathBuf>,
    /// CAs whose certificates callers may show, PEM.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_ca_file: Option<PathBuf>,
    /// Whether callers must show one.
    pub client_certificates: ClientCertificates,
    /// Revoked certificates of these CAs, PEM.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub crl_file: Option<PathBuf>,
    /// Time for a handshake, and for the first bytes after it.
    pub handshake_timeout_ms: u64,
    /// Handshakes at the same time.
    pub max_handshakes: u32,
    /// How often the files are looked at.
    pub reload_interval_ms: u64,
}

impl Tls {
    /// `handshake_timeout_ms` as a duration.
    #[must_use]
    pub fn handshake_timeout(&self) -> Duration {
        Duration::from_millis(self.handshake_timeout_ms)
    }

    /// `reload_interval_ms` as a duration.
    #[must_use]
    pub fn reload_interval(&self) -> Duration {
        Duration::from_millis(self.reload_interval_ms)
    }
}

impl Default for Tls {
    fn default() -> Tls {
        Tls {
            cert_file: None,
            key_file: None,
            client_ca_file: None,
            client_certificates: ClientCertificates::Optional,
            crl_file: None,
            handshake_timeout_ms: 5_000,
            max_handshakes: 256,
            reload_interval_ms: 10_000,
        }
    }
}
