//! What is counted of callers that are not let in, and of the files that decide it.
//!
//! Owns: the words of these labels. May not: hold a name, an address or a credential.

use super::labels::{FileLabel, KindLabel, ReasonLabel, ReloadLabels, ResultLabel};
use super::reference::{DENIALS, HANDSHAKES};
use super::{Inner, Metrics, add, saturating};

/// How a TLS handshake ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Handshake {
    /// Well.
    Ok,
    /// The other end had no certificate, and needs one.
    NoCertificate,
    /// Its certificate has expired or is not valid yet.
    Expired,
    /// Its certificate was revoked.
    Revoked,
    /// Its certificate is of no CA that counts.
    Unverified,
    /// It was too slow.
    TimedOut,
    /// There are as many connections as allowed.
    TooMany,
    /// Anything else: no TLS, no common version, a broken connection.
    Failed,
}

/// What a rate counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counted {
    /// A payment that is to be created.
    Create,
    /// A call that creates nothing.
    Read,
}

impl Counted {
    pub(super) const ALL: [Counted; 2] = [Counted::Create, Counted::Read];

    fn word(self) -> &'static str {
        match self {
            Counted::Create => "create",
            Counted::Read => "read",
        }
    }
}

impl Handshake {
    fn word(self) -> &'static str {
        match self {
            Handshake::Ok => "ok",
            Handshake::NoCertificate => "no_certificate",
            Handshake::Expired => "expired",
            Handshake::Revoked => "revoked",
            Handshake::Unverified => "unverified",
            Handshake::TimedOut => "timed_out",
            Handshake::TooMany => "too_many",
            Handshake::Failed => "failed",
        }
    }
}

impl Metrics {
    /// A call was refused before anything looked at it.
    pub fn access_denied(&self, reason: &'static str) {
        let denied = &self.inner.access_denied;
        denied.get_or_create(&ReasonLabel { reason }).inc();
    }

    /// A client has called too often.
    pub fn rate_limited(&self, counted: Counted) {
        let kind = counted.word();
        let limited = &self.inner.rate_limited;
        limited.get_or_create(&KindLabel { kind }).inc();
    }

    /// A handshake is over.
    pub fn handshake(&self, result: Handshake) {
        let label = ResultLabel {
            result: result.word(),
        };
        self.inner.handshakes.get_or_create(&label).inc();
    }

    /// When a file's certificates end, in seconds since 1970.
    pub fn certificate_expiry(&self, file: &'static str, at: u64) {
        let label = FileLabel { file };
        self.inner
            .certificate_expiry
            .get_or_create(&label)
            .set(saturating(at));
    }

    /// When the newest whole backup was made, in seconds since 1970; 0 if there is none.
    pub fn backup_last(&self, at: u64) {
        self.inner
            .backup_last
            .get_or_create(&[])
            .set(saturating(at));
    }

    /// Files were read again.
    pub fn files_reloaded(&self, files: &'static str, good: bool) {
        let result = if good { "ok" } else { "failed" };
        let label = ReloadLabels { files, result };
        self.inner.files_reloaded.get_or_create(&label).inc();
    }
}

impl Inner {
    pub(super) fn register_access(&mut self) {
        let r = &mut self.registry;
        add(r, "paygate_access_denied", &self.access_denied);
        add(r, "paygate_rate_limited", &self.rate_limited);
        add(r, "paygate_tls_handshakes", &self.handshakes);
        add(
            r,
            "paygate_certificate_expiry_timestamp_seconds",
            &self.certificate_expiry,
        );
        add(r, "paygate_access_reloads", &self.files_reloaded);
        add(
            r,
            "paygate_backup_last_success_timestamp_seconds",
            &self.backup_last,
        );
        // Shown before the first one, so that a rate has something to begin with.
        for reason in DENIALS {
            let _ = self.access_denied.get_or_create(&ReasonLabel { reason });
        }
        for counted in Counted::ALL {
            let kind = counted.word();
            let _ = self.rate_limited.get_or_create(&KindLabel { kind });
        }
        for result in HANDSHAKES {
            let _ = self.handshakes.get_or_create(&ResultLabel { result });
        }
        for result in ["ok", "failed"] {
            for files in ["tls", "tokens", "config"] {
                let _ = self
                    .files_reloaded
                    .get_or_create(&ReloadLabels { files, result });
            }
        }
    }
}
