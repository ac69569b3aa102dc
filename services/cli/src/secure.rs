//! TLS and tokens: what a caller shows, and whom it believes.
//!
//! Owns: reading these files, again with each connection and each call, so that new ones count at once. May not: take a secret from
//! an argument or a variable, or send a token where anybody could read it.

use std::fs::File;
use std::io::{self, Read as _};
use std::net::IpAddr;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use hyper_util::rt::TokioIo;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tonic::codegen::http::Uri;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::transport::{Channel, Endpoint};

/// Port of `https://` without one.
const HTTPS_PORT: u16 = 443;

/// What both sides speak above TLS.
const ALPN: &[u8] = b"h2";

/// Largest file: a list of CAs.
const FILE_BYTES_MAX: u64 = 1024 * 1024;

/// Bits of a mode that let others than the owner do anything.
const OTHERS: u32 = 0o077;

/// The files with which a caller proves who it is. Secrets are only ever named by their files.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Identity {
    /// CAs that the gateway's certificate must come from, PEM. Needed for `https://`.
    pub ca_file: Option<PathBuf>,
    /// The caller's certificate, PEM.
    pub cert_file: Option<PathBuf>,
    /// Its key, PEM.
    pub key_file: Option<PathBuf>,
    /// A file with nothing but a token.
    pub token_file: Option<PathBuf>,
}

/// Files that do not do.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// `https://` without CAs.
    #[error("{0}: TLS needs the CAs that the gateway's certificate comes from (--tls-ca FILE)")]
    NoCa(String),
    /// Files of TLS for `http://`.
    #[error("{0}: certificates are of use with https:// only")]
    NotTls(String),
    /// One without the other.
    #[error("a certificate needs its key, and a key its certificate (--cert FILE --key FILE)")]
    Half,
    /// Everybody on the way could read it.
    #[error("{0}: a token is sent over https:// only, or to this machine")]
    TokenInClear(String),
    /// A file.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A secret that others can read.
    #[error("{path} has mode {mode:04o}: a secret must be its owner's alone, 0400 or 0600")]
    NotPrivate {
        /// The file.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// Not what it should be.
    #[error("{path} holds no {what}")]
    Content {
        /// The file.
        path: PathBuf,
        /// What was looked for.
        what: &'static str,
    },
    /// rustls does not take them.
    #[error("certificate and key: {0}")]
    Tls(#[from] rustls::Error),
    /// The address.
    #[error("{0} is no name of a host")]
    Host(String),
}

/// A token in a file, read again for each call. While the file cannot be read, the last one that could counts.
#[derive(Clone, Debug)]
pub(crate) struct Token {
    path: PathBuf,
    last: Arc<Mutex<MetadataValue<Ascii>>>,
}

impl Token {
    fn open(path: &Path) -> Result<Token, IdentityError> {
        Ok(Token {
            path: path.to_owned(),
            last: Arc::new(Mutex::new(bearer(path)?)),
        })
    }

    /// For the header `authorization`.
    pub(crate) fn value(&self) -> MetadataValue<Ascii> {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if let Ok(value) = bearer(&self.path) {
            *last = value;
        }
        last.clone()
    }
}

/// A channel to the gateway, and the token that goes with each call.
pub(crate) fn connect(
    shown: &str,
    endpoint: &Endpoint,
    identity: &Identity,
) -> Result<(Channel, Option<Token>), IdentityError> {
    let uri = endpoint.uri();
    let secure = uri.scheme_str() == Some("https");
    let tls_files = identity.ca_file.is_some() || identity.cert_file.is_some();
    if identity.cert_file.is_some() != identity.key_file.is_some() {
        return Err(IdentityError::Half);
    }
    if !secure && tls_files {
        return Err(IdentityError::NotTls(shown.to_owned()));
    }
    if !secure && identity.token_file.is_some() && !is_here(uri) {
        return Err(IdentityError::TokenInClear(shown.to_owned()));
    }
    let token = identity
        .token_file
        .as_deref()
        .map(Token::open)
        .transpose()?;
    if !secure {
        return Ok((endpoint.connect_lazy(), token));
    }
    if identity.ca_file.is_none() {
        return Err(IdentityError::NoCa(shown.to_owned()));
    }
    // Now, so that a mistake is told by its name; and again with each connection.
    client_config(identity)?;
    server_name(uri)?;
    let identity = Arc::new(identity.clone());
    let connector = tower::service_fn(move |uri: Uri| {
        let identity = Arc::clone(&identity);
        async move { dial(&uri, &identity).await.map(TokioIo::new) }
    });
    Ok((endpoint.connect_with_connector_lazy(connector), token))
}

async fn dial(
    uri: &Uri,
    identity: &Identity,
) -> Result<TlsStream<TcpStream>, Box<dyn std::error::Error + Send + Sync>> {
    let config = client_config(identity)?;
    let name = server_name(uri)?;
    let port = uri.port_u16().unwrap_or(HTTPS_PORT);
    let stream = TcpStream::connect((host(uri), port)).await?;
    stream.set_nodelay(true)?;
    Ok(TlsConnector::from(Arc::new(config))
        .connect(name, stream)
        .await?)
}

fn client_config(identity: &Identity) -> Result<ClientConfig, IdentityError> {
    let mut roots = RootCertStore::empty();
    if let Some(path) = &identity.ca_file {
        for ca in certificates(path)? {
            roots.add(ca)?;
        }
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])?
        .with_root_certificates(roots);
    let mut config = match (&identity.cert_file, &identity.key_file) {
        (Some(cert), Some(key)) => {
            builder.with_client_auth_cert(certificates(cert)?, private_key(key)?)?
        }
        _ => builder.with_no_client_auth(),
    };
    config.alpn_protocols = vec![ALPN.to_vec()];
    Ok(config)
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, IdentityError> {
    let text = read(path, false)?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    match found {
        Ok(found) if !found.is_empty() => Ok(found),
        _ => Err(content(path, "PEM certificate")),
    }
}

fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, IdentityError> {
    let text = read(path, true)?;
    PrivateKeyDer::from_pem_slice(&text).map_err(|_| content(path, "PEM private key"))
}

fn bearer(path: &Path) -> Result<MetadataValue<Ascii>, IdentityError> {
    let bytes = read(path, true)?;
    let text = std::str::from_utf8(&bytes).map(str::trim);
    let text = text.ok().filter(|text| text.starts_with("pgt_"));
    let mut value: MetadataValue<Ascii> = text
        .and_then(|text| format!("Bearer {text}").parse().ok())
        .ok_or_else(|| content(path, "token, which begins with pgt_"))?;
    // Not in debug output, nor in the compression tables of HTTP/2.
    value.set_sensitive(true);
    Ok(value)
}

fn content(path: &Path, what: &'static str) -> IdentityError {
    IdentityError::Content {
        path: path.to_owned(),
        what,
    }
}

fn read(path: &Path, secret: bool) -> Result<Vec<u8>, IdentityError> {
    let failed = |source| IdentityError::Io {
        path: path.to_owned(),
        source,
    };
    let file = File::open(path).map_err(failed)?;
    let mode = file.metadata().map_err(failed)?.mode() & 0o7777;
    if secret && mode & OTHERS != 0 {
        return Err(IdentityError::NotPrivate {
            path: path.to_owned(),
            mode,
        });
    }
    let mut text = Vec::new();
    file.take(FILE_BYTES_MAX)
        .read_to_end(&mut text)
        .map_err(failed)?;
    Ok(text)
}

/// Without the brackets of an IPv6 address.
fn host(uri: &Uri) -> &str {
    let host = uri.host().unwrap_or_default();
    host.trim_start_matches('[').trim_end_matches(']')
}

fn server_name(uri: &Uri) -> Result<ServerName<'static>, IdentityError> {
    let host = host(uri).to_owned();
    ServerName::try_from(host.clone()).map_err(|_| IdentityError::Host(host))
}

fn is_here(uri: &Uri) -> bool {
    let host = host(uri);
    host == "localhost" || host.parse().is_ok_and(|ip: IpAddr| ip.is_loopback())
}
