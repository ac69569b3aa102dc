//! Access: the one place where it is decided who calls and whether he may. Every call of the listener passes it, before anything
//! else looks at it.
//!
//! Owns: the layer, and what is in force. May not: look into a message, or let a call through that no rule names.
//!
//! # Layout
//! - here: the layer, and reloading
//! - `decide`: the order of the questions
//! - `rules`: which scope each method needs, and what counts as a read
//! - `rates`, `bucket`: how often a client may call
//! - `standing`: whether the caller of an open stream would still be let in
//! - `tokens`, `proxy`: what headers prove
//! - `denial`: every reason not to answer

mod bucket;
mod decide;
mod denial;
mod proxy;
mod rates;
mod rules;
mod standing;
mod tokens;

use std::path::PathBuf;
use std::pin::Pin;
use std::sync::{Arc, PoisonError, RwLock};
use std::task::{Context, Poll};

use http::{Request, Response};
use tonic::body::Body;
use tower::{Layer, Service};

use self::decide::{Asked, Found, Policy};
use self::denial::Denial;
use self::rates::{Limited, RateLimits, Rates};
use self::standing::Held;
use self::tokens::Tokens;
use super::identity::Caller;
use crate::clock;
use crate::config::{Client, Config};
use crate::metrics::Metrics;
use crate::tls::{Peer, Stamps, Tls, TlsError};

pub use rules::{Rule, rule};
pub(super) use standing::Standing;
pub use tokens::TokensError;

/// Who may call. Clones share it.
#[derive(Clone, Debug)]
pub struct Access(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    metrics: Metrics,
    tls: Option<Arc<Tls>>,
    in_force: RwLock<Arc<InForce>>,
    tokens_file: Option<TokensFile>,
    rates: Rates,
}

/// What calls are judged by, exchanged as a whole.
#[derive(Clone, Debug)]
struct InForce {
    /// `None`: no authentication, this host only.
    policy: Option<Arc<Policy>>,
    tokens: Arc<Tokens>,
    /// Whose tokens there may be.
    clients: Arc<Vec<Client>>,
}

#[derive(Debug)]
struct TokensFile {
    path: PathBuf,
    stamps: Stamps,
}

/// What a configuration that was read anew makes of access. Nothing is in force yet.
#[derive(Debug)]
pub(crate) struct Prepared {
    next: InForce,
    rates: RateLimits,
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
        let tokens_file = config.security.tokens_file.as_ref().filter(|_| on);
        // Before the file is read: what changes in between is seen as changed.
        let tokens_file = tokens_file.map(|path| TokensFile {
            path: path.clone(),
            stamps: Stamps::of(vec![path.clone()]),
        });
        let next = in_force(config, tokens_file.as_ref())?;
        let access = Access(Arc::new(Inner {
            tls,
            in_force: RwLock::new(Arc::new(next)),
            tokens_file,
            rates: Rates::new(Some(RateLimits::of(config)), metrics.clone()),
            metrics,
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

    /// Without authentication: callers of this host, as `local`, as often as they like.
    #[must_use]
    pub fn local(metrics: Metrics) -> Access {
        let nobody = InForce {
            policy: None,
            tokens: Arc::default(),
            clients: Arc::default(),
        };
        Access(Arc::new(Inner {
            tls: None,
            in_force: RwLock::new(Arc::new(nobody)),
            tokens_file: None,
            rates: Rates::new(None, metrics.clone()),
            metrics,
        }))
    }

    /// What this configuration would make of clients, their tokens and rates. The files of TLS and of tokens stay where they are.
    pub(crate) fn prepare(&self, config: &Config) -> Result<Prepared, AccessError> {
        Ok(Prepared {
            next: in_force(config, self.0.tokens_file.as_ref())?,
            rates: RateLimits::of(config),
        })
    }

    /// From the next call on.
    pub(crate) fn put(&self, prepared: Prepared) {
        self.exchange(prepared.next);
        self.0.rates.put(prepared.rates);
    }

    /// How often clients may call.
    pub(super) fn rates(&self) -> &Rates {
        &self.0.rates
    }

    fn in_force(&self) -> Arc<InForce> {
        let in_force = self.0.in_force.read();
        Arc::clone(&in_force.unwrap_or_else(PoisonError::into_inner))
    }

    fn exchange(&self, next: InForce) {
        let in_force = self.0.in_force.write();
        *in_force.unwrap_or_else(PoisonError::into_inner) = Arc::new(next);
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
            let now = self.in_force();
            let read = Tokens::read(&file.path, &now.clients).map(|tokens| {
                tracing::info!(tokens = tokens.len(), "security.tokens_file is in force");
                self.exchange(InForce {
                    tokens: Arc::new(tokens),
                    ..InForce::clone(&now)
                });
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

    /// Who calls, or the refusal, counted and logged. Of a call whose answer may last, also what it stands on.
    fn check(&self, request: &Request<Body>) -> Result<(Option<Caller>, Option<Standing>), Denial> {
        let inner = &self.0;
        let Some(peer) = request.extensions().get::<Peer>() else {
            // Every connection has one; without it nobody is anybody.
            return Err(Denial::NoCredential);
        };
        let in_force = self.in_force();
        let asked = Asked {
            path: request.uri().path(),
            headers: request.headers(),
            peer,
            tokens: &in_force.tokens,
            tls: inner.tls.as_deref(),
            now: clock::now(),
        };
        let mut found = Found::default();
        let decided = match &in_force.policy {
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
        let caller = decided?;
        let standing = match &caller {
            Some(caller) if in_force.policy.is_some() && rules::lasts(asked.path) => {
                let held = Held {
                    path: asked.path.to_owned(),
                    peer: peer.clone(),
                    handed_on: found.handed_on,
                    token: found.token,
                    address: found.address,
                    caller: caller.clone(),
                };
                Some(Standing::new(self.clone(), held))
            }
            _ => None,
        };
        Ok((caller, standing))
    }

    /// Whether the caller of an open stream would be let in now.
    fn stands(&self, held: &Held) -> Result<(), Denial> {
        let in_force = self.in_force();
        match &in_force.policy {
            None => Ok(()),
            Some(policy) => {
                policy.stands(held, &in_force.tokens, self.0.tls.as_deref(), clock::now())
            }
        }
    }

    /// Counts a call that creates nothing. Creates are counted where it is known that they are none.
    fn count(&self, caller: &Caller, path: &str) -> Result<(), Limited> {
        match rules::costs_a_read(path) {
            true => self.0.rates.read(&caller.client_id),
            false => Ok(()),
        }
    }
}

fn in_force(config: &Config, file: Option<&TokensFile>) -> Result<InForce, AccessError> {
    let on = config.security.require_authentication;
    let tokens = match file {
        Some(file) => Tokens::read(&file.path, &config.clients)?,
        None => Tokens::default(),
    };
    Ok(InForce {
        policy: on.then(|| Arc::new(Policy::of(config))),
        tokens: Arc::new(tokens),
        clients: Arc::new(config.clients.clone()),
    })
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
        let (caller, standing) = match self.access.check(&request) {
            Ok(found) => found,
            Err(denial) => {
                let refusal = denial.status().into_http();
                return Box::pin(async move { Ok(refusal) });
            }
        };
        if let Some(caller) = &caller
            && let Err(limited) = self.access.count(caller, request.uri().path())
        {
            let refusal = limited.status().into_http();
            return Box::pin(async move { Ok(refusal) });
        }
        // The secret has done its work; nothing behind here has a use for it.
        request.headers_mut().remove(http::header::AUTHORIZATION);
        let extensions = request.extensions_mut();
        if let Some(caller) = caller {
            extensions.insert(caller);
        }
        if let Some(standing) = standing {
            extensions.insert(standing);
        }
        Box::pin(self.inner.call(request))
    }
}
