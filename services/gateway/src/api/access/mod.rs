//! Access: the one place where it is decided who calls and whether he may. Every call of the listener passes it, before anything
//! else looks at it.
//!
//! Owns: the layer, and the tokens in force. May not: look into a message, or let a call through that no rule names.
//!
//! # Layout
//! - here: the layer, and reloading
//! - `decide`: the order of the questions
//! - `rules`: which scope each method needs
//! - `tokens`, `proxy`: what headers prove
//! - `denial`: every reason not to answer

mod decide;
mod denial;
mod proxy;
mod rules;
mod tokens;

use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::{Request, Response};
use tokio::sync::watch;
use tonic::body::Body;
use tower::{Layer, Service};

use self::decide::{Asked, Found, Policy};
use self::denial::Denial;
use self::tokens::Tokens;
use super::identity::Caller;
use crate::clock;
use crate::config::{Client, Config};
use crate::metrics::Metrics;
use crate::tls::{Peer, Stamps, Tls, TlsError};

pub use rules::{Rule, rule};
pub use tokens::TokensError;

/// Who may call. Clones share it.
#[derive(Clone, Debug)]
pub struct Access(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    metrics: Metrics,
    tls: Option<Arc<Tls>>,
    /// `None`: no authentication, this host only.
    policy: Option<Policy>,
    tokens: watch::Sender<Arc<Tokens>>,
    tokens_file: Option<TokensFile>,
}

#[derive(Debug)]
struct TokensFile {
    path: PathBuf,
    stamps: Stamps,
    clients: Vec<Client>,
}

/// Files that cannot come into force.
#[derive(Debug, thiserror::Error)]
pub enum AccessError {
    /// Those of TLS.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The tokens.
    #[error(transparent)]
    Tokens(#[from] TokensError),
}

impl Access {
    /// As configured. Reads the files that the configuration names.
    pub fn open(config: &Config, metrics: Metrics) -> Result<Access, AccessError> {
        let tls = Tls::open(&config.tls)?;
        let on = config.security.require_authentication;
        let mut tokens = Tokens::default();
        let mut tokens_file = None;
        if let Some(path) = config.security.tokens_file.as_ref().filter(|_| on) {
            let stamps = Stamps::of(vec![path.clone()]);
            tokens = Tokens::read(path, &config.clients)?;
            tokens_file = Some(TokensFile {
                path: path.clone(),
                stamps,
                clients: config.clients.clone(),
            });
        }
        let access = Access(Arc::new(Inner {
            metrics,
            tls,
            policy: on.then(|| Policy::of(config)),
            tokens: watch::Sender::new(Arc::new(tokens)),
            tokens_file,
        }));
        access.tell_expiries();
        Ok(access)
    }

    /// Whether the files that the configuration names would come into force.
    pub fn check_files(config: &Config) -> Result<(), AccessError> {
        Tls::open(&config.tls)?;
        if let Some(path) = &config.security.tokens_file {
            Tokens::read(path, &config.clients)?;
        }
        Ok(())
    }

    /// Without authentication: callers of this host, as `local`.
    #[must_use]
    pub fn local(metrics: Metrics) -> Access {
        Access(Arc::new(Inner {
            metrics,
            tls: None,
            policy: None,
            tokens: watch::Sender::default(),
            tokens_file: None,
        }))
    }

    /// The files of TLS, if there are any.
    #[must_use]
    pub fn tls(&self) -> Option<Arc<Tls>> {
        self.0.tls.clone()
    }

    /// Reads files that have changed, or all of them `anyway`. What is bad leaves the old in force, and is told.
    pub fn reload(&self, anyway: bool) {
        let inner = &self.0;
        if let Some(done) = inner.tls.as_ref().and_then(|tls| tls.reload(anyway)) {
            self.tell("tls", done.map_err(AccessError::from));
            self.tell_expiries();
        }
        if let Some(file) = &inner.tokens_file
            && (file.stamps.changed() || anyway)
        {
            let read = Tokens::read(&file.path, &file.clients).map(|tokens| {
                tracing::info!(tokens = tokens.len(), "security.tokens_file is in force");
                inner.tokens.send_replace(Arc::new(tokens));
            });
            self.tell("tokens", read.map_err(AccessError::from));
        }
    }

    fn tell(&self, files: &'static str, done: Result<(), AccessError>) {
        self.0.metrics.files_reloaded(files, done.is_ok());
        match done {
            Ok(()) => tracing::info!(files, "new files are in force"),
            Err(error) => {
                tracing::error!(files, %error, "new files are not used; the old ones stay in force");
            }
        }
    }

    fn tell_expiries(&self) {
        for (file, at) in self.0.tls.iter().flat_map(|tls| tls.expiries()) {
            self.0.metrics.certificate_expiry(file, at);
        }
    }

    /// Who calls, or the refusal, counted and logged.
    fn check(&self, request: &Request<Body>) -> Result<Option<Caller>, Denial> {
        let inner = &self.0;
        let Some(peer) = request.extensions().get::<Peer>() else {
            // Every connection has one; without it nobody is anybody.
            return Err(Denial::NoCredential);
        };
        let tokens = inner.tokens.borrow().clone();
        let asked = Asked {
            path: request.uri().path(),
            headers: request.headers(),
            peer,
            tokens: &tokens,
            tls: inner.tls.as_deref(),
            now: clock::now(),
        };
        let mut found = Found::default();
        let decided = match &inner.policy {
            None => decide::local(&asked),
            Some(policy) => policy.decide(&asked, &mut found),
        };
        if let Err(denial) = &decided {
            inner.metrics.access_denied(denial.word());
            // The path is the caller's own text: only one that is known is told.
            let method = rule(asked.path).map_or("unknown", |_| asked.path);
            let address = found.address.unwrap_or(peer.address.ip());
            let client = found.client.as_ref().map_or("", |id| id.as_str());
            tracing::warn!(denial = denial.word(), method, %address, credential = found.credential, client_id = client, "a call was refused");
        }
        decided
    }
}

/// Makes [`AccessService`]s.
#[derive(Clone, Debug)]
pub(super) struct AccessLayer(pub(super) Access);

/// What [`AccessLayer`] makes.
#[derive(Clone, Debug)]
pub(super) struct AccessService<S> {
    inner: S,
    access: Access,
}

impl<S> Layer<S> for AccessLayer {
    type Service = AccessService<S>;

    fn layer(&self, inner: S) -> AccessService<S> {
        AccessService {
            inner,
            access: self.0.clone(),
        }
    }
}

impl<S> Service<Request<Body>> for AccessService<S>
where
    S: Service<Request<Body>, Response = Response<Body>>,
    S::Future: Send + 'static,
    S::Error: 'static,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, S::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        match self.access.check(&request) {
            Err(denial) => {
                let refusal = denial.status().into_http();
                Box::pin(async move { Ok(refusal) })
            }
            Ok(caller) => {
                // The secret has done its work; nothing behind here has a use for it.
                request.headers_mut().remove(http::header::AUTHORIZATION);
                if let Some(caller) = caller {
                    request.extensions_mut().insert(caller);
                }
                Box::pin(self.inner.call(request))
            }
        }
    }
}
