//! A caller's certificate: its names, its end, and whether it is still believed.
//!
//! Owns: how names are written as credentials. May not: map them to clients.

use std::sync::atomic::{AtomicU64, Ordering};

use rustls::pki_types::CertificateDer;
use rustls::{CertificateError, Error};
use webpki::EndEntityCert;

use super::{Loaded, der, now};

/// Names of one certificate that are looked at. A good one has one to three.
const NAMES_MAX: usize = 64;

/// A certificate that was verified once. Its owner's key was proven by the handshake, or by a proxy's.
#[derive(Debug)]
pub struct Certificate {
    chain: Vec<CertificateDer<'static>>,
    names: Vec<String>,
    not_after: u64,
    /// The set of files that verified it last.
    verified_by: AtomicU64,
}

/// Why a certificate is not believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Distrust {
    /// Its time is over, or has not come.
    Expired,
    /// Its CA has taken it back.
    Revoked,
    /// It is of no CA that counts here.
    Unverified,
    /// It is no certificate.
    Unreadable,
}

impl Certificate {
    /// Not verified yet.
    pub(super) fn read(chain: Vec<CertificateDer<'static>>) -> Result<Certificate, Distrust> {
        let leaf = chain.first().ok_or(Distrust::Unreadable)?;
        let not_after = der::not_after(leaf).ok_or(Distrust::Unreadable)?;
        let parsed = EndEntityCert::try_from(leaf).map_err(|_| Distrust::Unreadable)?;
        let uris = parsed.valid_uri_names().map(|name| format!("uri:{name}"));
        let hosts = parsed.valid_dns_names();
        let hosts = hosts.map(|name| format!("dns:{}", name.to_ascii_lowercase()));
        let common = der::common_name(leaf).map(|name| format!("cn:{name}"));
        let names = uris.chain(hosts).chain(common).take(NAMES_MAX).collect();
        Ok(Certificate {
            chain,
            names,
            not_after,
            verified_by: AtomicU64::new(0),
        })
    }

    /// As credentials: `uri:…`, `dns:…`, `cn:…`, in this order.
    #[must_use]
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// Verifies it if other files are in force than last time; its end is looked at always.
    pub(super) fn recheck(&self, loaded: &Loaded) -> Result<(), Distrust> {
        if now().as_secs() > self.not_after {
            return Err(Distrust::Expired);
        }
        if self.verified_by.load(Ordering::Relaxed) != loaded.generation {
            loaded.verify(&self.chain)?;
            self.verified_by.store(loaded.generation, Ordering::Relaxed);
        }
        Ok(())
    }
}

impl Distrust {
    pub(super) fn of(error: &Error) -> Distrust {
        match error {
            Error::InvalidCertificate(CertificateError::Revoked) => Distrust::Revoked,
            Error::InvalidCertificate(
                CertificateError::Expired
                | CertificateError::ExpiredContext { .. }
                | CertificateError::NotValidYet
                | CertificateError::NotValidYetContext { .. },
            ) => Distrust::Expired,
            Error::InvalidCertificate(CertificateError::BadEncoding) => Distrust::Unreadable,
            _ => Distrust::Unverified,
        }
    }
}
