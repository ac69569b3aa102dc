//! TLS of the gRPC listener: own acceptor, certificates that change while it runs, and what is known of the other end.
//!
//! Owns: which certificate is shown, which are believed, and what a connection proves. May not: say who a caller is or what he may
//! do; that is `api::access`.
//!
//! # Layout
//! - here: the files in force, and how new ones come into force
//! - `accept`: connections, handshakes, their limits
//! - `certificate`: what a caller's certificate says, and whether it is still believed
//! - `der`: dates and common names of certificates
//! - `files`: reading, and noticing changes

mod accept;
mod certificate;
mod der;
mod files;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, UnixTime};
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::{RootCertStore, ServerConfig};
use tokio::sync::watch;

pub use accept::{Connection, Peer, Room, incoming};
pub use certificate::{Certificate, Distrust};
pub use files::{FileError, Stamps, read_unwritable};

use crate::config::{self, ClientCertificates};

/// What both sides speak above TLS.
const ALPN: &[u8] = b"h2";

/// The files in force. Replaced as a whole, or not at all.
#[derive(Debug)]
pub struct Tls {
    settings: config::Tls,
    loaded: watch::Sender<Arc<Loaded>>,
    stamps: Stamps,
    generations: AtomicU64,
}

/// What a set of files makes.
#[derive(Debug)]
pub(crate) struct Loaded {
    server: Arc<ServerConfig>,
    verifier: Option<Arc<dyn ClientCertVerifier>>,
    /// Counts sets, so that a connection made under an older one is looked at again.
    generation: u64,
    expiries: Vec<(&'static str, u64)>,
}

/// Files that cannot come into force.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// One of them.
    #[error("{key}: {source}")]
    File {
        /// The key that names it.
        key: &'static str,
        /// Why.
        source: FileError,
    },
    /// Certificate and key are no pair, or rustls does not take them.
    #[error("tls.cert_file and tls.key_file: {0}")]
    Pair(#[source] rustls::Error),
    /// CAs or lists that are none.
    #[error("tls.client_ca_file and tls.crl_file: {0}")]
    Clients(String),
}

impl Tls {
    /// Reads the files. `None`: no TLS is configured.
    pub fn open(settings: &config::Tls) -> Result<Option<Arc<Tls>>, TlsError> {
        if settings.cert_file.is_none() {
            return Ok(None);
        }
        let files = [
            &settings.cert_file,
            &settings.key_file,
            &settings.client_ca_file,
            &settings.crl_file,
        ];
        let stamps = Stamps::of(files.into_iter().flatten().cloned().collect());
        let first = Arc::new(load(settings, 1)?);
        Ok(Some(Arc::new(Tls {
            settings: settings.clone(),
            loaded: watch::Sender::new(first),
            stamps,
            generations: AtomicU64::new(1),
        })))
    }

    /// Reads the files again if one has changed, or anyway. `None`: there was nothing to do. After an error the old ones stay.
    pub fn reload(&self, anyway: bool) -> Option<Result<(), TlsError>> {
        if !self.stamps.changed() && !anyway {
            return None;
        }
        let generation = self.generations.fetch_add(1, Ordering::Relaxed) + 1;
        Some(load(&self.settings, generation).map(|loaded| {
            self.loaded.send_replace(Arc::new(loaded));
        }))
    }

    /// When what is in force ends, by the name of its file: the earliest date in it, in seconds since 1970.
    #[must_use]
    pub fn expiries(&self) -> Vec<(&'static str, u64)> {
        self.current().expiries.clone()
    }

    /// A certificate that a proxy has checked the possession of. It is verified here like those of connections.
    pub fn certificate(&self, leaf: CertificateDer<'static>) -> Result<Certificate, Distrust> {
        self.current().certificate(vec![leaf])
    }

    /// Whether a connection's certificate is still believed: it may have ended or been revoked since.
    pub fn recheck(&self, certificate: &Certificate) -> Result<(), Distrust> {
        certificate.recheck(&self.current())
    }

    pub(crate) fn current(&self) -> Arc<Loaded> {
        self.loaded.borrow().clone()
    }
}

impl Loaded {
    fn certificate(&self, chain: Vec<CertificateDer<'static>>) -> Result<Certificate, Distrust> {
        let certificate = Certificate::read(chain)?;
        certificate.recheck(self)?;
        Ok(certificate)
    }

    fn verify(&self, chain: &[CertificateDer<'static>]) -> Result<(), Distrust> {
        let (leaf, between) = chain.split_first().ok_or(Distrust::Unreadable)?;
        let verifier = self.verifier.as_ref().ok_or(Distrust::Unverified)?;
        verifier
            .verify_client_cert(leaf, between, now())
            .map(|_| ())
            .map_err(|error| Distrust::of(&error))
    }
}

fn now() -> UnixTime {
    let millis = u64::try_from(crate::clock::now().0).unwrap_or(0);
    UnixTime::since_unix_epoch(std::time::Duration::from_millis(millis))
}

fn load(settings: &config::Tls, generation: u64) -> Result<Loaded, TlsError> {
    let of = |key| move |source| TlsError::File { key, source };
    let (Some(cert_file), Some(key_file)) = (&settings.cert_file, &settings.key_file) else {
        let source = FileError::Unset;
        return Err(of("tls.key_file")(source));
    };
    let chain = files::certificates(cert_file).map_err(of("tls.cert_file"))?;
    let key = files::private_key(key_file).map_err(of("tls.key_file"))?;
    let mut expiries = vec![("cert_file", files::earliest_end(&chain))];
    let mut verifier = None;
    if let Some(file) = &settings.client_ca_file {
        let cas = files::certificates(file).map_err(of("tls.client_ca_file"))?;
        expiries.push(("client_ca_file", files::earliest_end(&cas)));
        let lists = match &settings.crl_file {
            None => Vec::new(),
            Some(file) => files::revocation_lists(file).map_err(of("tls.crl_file"))?,
        };
        expiries.extend(files::earliest_update(&lists).map(|at| ("crl_file", at)));
        let optional = settings.client_certificates == ClientCertificates::Optional;
        verifier = Some(client_verifier(&cas, lists, optional)?);
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
        .map_err(TlsError::Pair)?;
    let builder = match &verifier {
        None => builder.with_no_client_auth(),
        Some(verifier) => builder.with_client_cert_verifier(Arc::clone(verifier)),
    };
    let mut server = builder
        .with_single_cert(chain, key)
        .map_err(TlsError::Pair)?;
    server.alpn_protocols = vec![ALPN.to_vec()];
    // A resumed session would bring back a certificate without looking whether it was revoked meanwhile.
    server.session_storage = Arc::new(NoServerSessionStorage {});
    server.send_tls13_tickets = 0;
    Ok(Loaded {
        server: Arc::new(server),
        verifier,
        generation,
        expiries,
    })
}

fn client_verifier(
    cas: &[CertificateDer<'static>],
    lists: Vec<CertificateRevocationListDer<'static>>,
    optional: bool,
) -> Result<Arc<dyn ClientCertVerifier>, TlsError> {
    let failed = |why: &dyn std::fmt::Display| TlsError::Clients(why.to_string());
    let mut roots = RootCertStore::empty();
    for ca in cas {
        roots.add(ca.clone()).map_err(|why| failed(&why))?;
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    // The leaf's own CA must have a list; an old list still counts, as the metric of its end is what a person is told by.
    let builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
        .with_crls(lists)
        .only_check_end_entity_revocation();
    let builder = match optional {
        true => builder.allow_unauthenticated(),
        false => builder,
    };
    builder.build().map_err(|why| failed(&why))
}
