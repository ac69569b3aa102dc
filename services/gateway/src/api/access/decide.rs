//! Decide: who calls, from what his connection and his headers prove, and whether he may.
//!
//! Owns: the order of the questions. May not: answer one by default; each `Ok` here names a configured client.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use http::{HeaderMap, header};
use paygate_payments::intent::Id;

use super::denial::Denial;
use super::proxy::{self, Forwarded};
use super::rules::{self, Rule};
use super::standing::Held;
use super::tokens::{Proven, Tokens};
use crate::api::identity::Caller;
use crate::clock::Millis;
use crate::config::{Cidr, Client, Config, Scope};
use crate::tls::{Certificate, Distrust, Peer, Tls};

/// The configuration, as calls are judged by it.
#[derive(Debug)]
pub(super) struct Policy {
    allowed: Vec<Cidr>,
    proxies: Vec<String>,
    clients: HashMap<Id, Rights>,
    credentials: HashMap<String, Id>,
}

#[derive(Debug)]
struct Rights {
    scopes: Vec<Scope>,
    allowed: Vec<Cidr>,
}

/// What a call is judged on.
pub(super) struct Asked<'a> {
    pub(super) path: &'a str,
    pub(super) headers: &'a HeaderMap,
    pub(super) peer: &'a Peer,
    pub(super) tokens: &'a Tokens,
    pub(super) tls: Option<&'a Tls>,
    pub(super) now: Millis,
}

/// Who was found, for the log: as much as is proven before a denial.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) address: Option<IpAddr>,
    pub(super) credential: String,
    pub(super) client: Option<Id>,
    /// The certificate that a proxy has handed on.
    pub(super) handed_on: Option<Arc<Certificate>>,
    pub(super) token: Option<Proven>,
}

/// Without authentication: whoever is on this host is `local`, unless he calls for somebody else.
pub(super) fn local(asked: &Asked<'_>) -> Result<Option<Caller>, Denial> {
    if proxy::speaks_as_proxy(asked.headers) {
        return Err(Denial::ProxyHeader);
    }
    if !asked.peer.address.ip().to_canonical().is_loopback() {
        return Err(Denial::NotLoopback);
    }
    rules::rule(asked.path).ok_or(Denial::Method)?;
    Ok(Some(Caller::local()))
}

impl Policy {
    pub(super) fn of(config: &Config) -> Policy {
        let mut clients = HashMap::new();
        let mut credentials = HashMap::new();
        for client in &config.clients {
            // check-config has refused any other.
            let Ok(id) = Id::new(client.client_id.as_str()) else {
                continue;
            };
            for credential in &client.credentials {
                credentials.insert(credential.clone(), id.clone());
            }
            clients.insert(id, Rights::of(client));
        }
        Policy {
            allowed: config.security.allowed_ips.clone(),
            proxies: config.security.trusted_proxies.clone(),
            clients,
            credentials,
        }
    }

    /// The caller; `None` is a proxy for itself, which may ask what everybody known may.
    pub(super) fn decide(
        &self,
        asked: &Asked<'_>,
        found: &mut Found,
    ) -> Result<Option<Caller>, Denial> {
        let shown = asked.peer.certificate.as_deref();
        let is_proxy = shown.is_some_and(|shown| self.is_proxy(shown));
        let forwarded = match (is_proxy, proxy::speaks_as_proxy(asked.headers)) {
            (false, true) => return Err(Denial::ProxyHeader),
            (true, true) => Some(proxy::read(asked.headers).ok_or(Denial::ProxyHeaderMalformed)?),
            (_, false) => None,
        };
        if let (Some(shown), Some(tls)) = (shown, asked.tls) {
            tls.recheck(shown).map_err(distrusted)?;
        }
        found.address = match (&forwarded, is_proxy) {
            (Some(forwarded), _) => forwarded.address,
            (None, true) => None,
            (None, false) => Some(asked.peer.address.ip()),
        };
        let by_certificate = match is_proxy {
            true => self.forwarded(asked, forwarded, found)?,
            false => self.certified(shown, found)?,
        };
        let by_token = self.by_token(asked, found)?;
        let rule = rules::rule(asked.path);
        let client = match (by_token, by_certificate) {
            (Some(token), Certified::Client(other)) if token != other => {
                return Err(Denial::Disagree);
            }
            (Some(client), _) | (None, Certified::Client(client)) => client,
            (None, Certified::Unmapped) => return Err(Denial::Unmapped),
            // The proxy asks for itself, as its health checks do.
            (None, Certified::Nothing) if is_proxy && rule == Some(Rule::Known) => return Ok(None),
            (None, Certified::Nothing) => return Err(Denial::NoCredential),
        };
        found.client = Some(client.clone());
        let rights = self.clients.get(&client).ok_or(Denial::Unmapped)?;
        for list in [&self.allowed, &rights.allowed] {
            self.allow(list, found.address)?;
        }
        let rule = rule.ok_or(Denial::Method)?;
        if !rule.allows(&rights.scopes) {
            return Err(Denial::Scope(rule));
        }
        Ok(Some(Caller {
            client_id: client,
            credential: found.credential.clone(),
            scopes: rights.scopes.clone(),
        }))
    }

    fn is_proxy(&self, shown: &Certificate) -> bool {
        shown.names().iter().any(|name| self.proxies.contains(name))
    }

    fn allow(&self, list: &[Cidr], address: Option<IpAddr>) -> Result<(), Denial> {
        let inside = |address: IpAddr| list.iter().any(|network| network.contains(address));
        match list.is_empty() || address.is_some_and(inside) {
            true => Ok(()),
            false => Err(Denial::Address(address)),
        }
    }

    fn forwarded(
        &self,
        asked: &Asked<'_>,
        forwarded: Option<Forwarded>,
        found: &mut Found,
    ) -> Result<Certified, Denial> {
        let leaf = forwarded.and_then(|forwarded| forwarded.certificate);
        let certificate = match (leaf, asked.tls) {
            (None, _) => return Ok(Certified::Nothing),
            (Some(leaf), Some(tls)) => tls.certificate(leaf).map_err(distrusted)?,
            (Some(_), None) => return Err(Denial::CertificateInvalid),
        };
        let certificate = Arc::new(certificate);
        found.handed_on = Some(Arc::clone(&certificate));
        // What a proxy hands on is never a proxy.
        self.certified(Some(&certificate), found)
    }

    /// Whether who was let in would be let in again, by what he has shown then.
    pub(super) fn stands(
        &self,
        held: &Held,
        tokens: &Tokens,
        tls: Option<&Tls>,
        now: Millis,
    ) -> Result<(), Denial> {
        let own = held.peer.certificate.as_ref();
        if let Some(tls) = tls {
            for certificate in own.into_iter().chain(&held.handed_on) {
                tls.recheck(certificate).map_err(distrusted)?;
            }
        }
        let is_proxy = own.is_some_and(|own| self.is_proxy(own));
        if held.handed_on.is_some() && !is_proxy {
            return Err(Denial::ProxyHeader);
        }
        let client = &held.caller.client_id;
        match &held.token {
            Some(token) => tokens.stands(token, now.0.div_euclid(1_000))?,
            None => {
                let named = held.handed_on.as_ref().or(own);
                let named = named.map(|certificate| &**certificate);
                match self.certified(named, &mut Found::default())? {
                    Certified::Client(other) if other == *client => {}
                    _ => return Err(Denial::Unmapped),
                }
            }
        }
        let rights = self.clients.get(client).ok_or(Denial::Unmapped)?;
        for list in [&self.allowed, &rights.allowed] {
            self.allow(list, held.address)?;
        }
        let rule = rules::rule(&held.path).ok_or(Denial::Method)?;
        match rule.allows(&rights.scopes) {
            true => Ok(()),
            false => Err(Denial::Scope(rule)),
        }
    }

    fn certified(
        &self,
        shown: Option<&Certificate>,
        found: &mut Found,
    ) -> Result<Certified, Denial> {
        let Some(shown) = shown else {
            return Ok(Certified::Nothing);
        };
        let mut client: Option<&Id> = None;
        for name in shown.names() {
            let Some(id) = self.credentials.get(name) else {
                continue;
            };
            match client {
                None => {
                    found.credential.clone_from(name);
                    client = Some(id);
                }
                Some(other) if other == id => {}
                Some(_) => return Err(Denial::Disagree),
            }
        }
        if client.is_none() {
            // Of our own CA, so its name may stand in the log.
            found.credential = shown.names().first().cloned().unwrap_or_default();
        }
        Ok(client.map_or(Certified::Unmapped, |id| Certified::Client(id.clone())))
    }

    fn by_token(&self, asked: &Asked<'_>, found: &mut Found) -> Result<Option<Id>, Denial> {
        let mut values = asked.headers.get_all(header::AUTHORIZATION).iter();
        let Some(value) = values.next() else {
            return Ok(None);
        };
        if values.next().is_some() {
            return Err(Denial::TokenInvalid);
        }
        let text = value.to_str().map_err(|_| Denial::TokenInvalid)?;
        let now = asked.now.0.div_euclid(1_000);
        let shown = asked.tokens.look_up(text, now)?;
        found.credential = format!("token:{}", shown.id);
        found.token = Some(shown.proven());
        Ok(Some(shown.client.clone()))
    }
}

/// What a certificate says of its owner.
enum Certified {
    Nothing,
    Unmapped,
    Client(Id),
}

impl Rights {
    fn of(client: &Client) -> Rights {
        Rights {
            scopes: client.scopes.clone(),
            allowed: client.allowed_ips.clone(),
        }
    }
}

fn distrusted(distrust: Distrust) -> Denial {
    match distrust {
        Distrust::Expired => Denial::CertificateExpired,
        Distrust::Revoked => Denial::CertificateRevoked,
        Distrust::Unverified | Distrust::Unreadable => Denial::CertificateInvalid,
    }
}
