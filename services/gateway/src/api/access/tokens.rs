//! Tokens: `pgt_ID_SECRET`, looked up by id and compared by hash.
//!
//! Owns: the form of a token and of the file that knows them. May not: hold a secret; the file has hashes only.

use std::collections::HashMap;
use std::path::Path;
use std::str::FromStr as _;

use figment::Figment;
use figment::providers::{Format as _, Toml};
use paygate_payments::intent::Id;
use serde::Deserialize;
use subtle::ConstantTimeEq as _;

use super::denial::Denial;
use crate::config::Client;
use crate::tls::{FileError, read_unwritable};

/// What a token begins with.
const PREFIX: &str = "pgt_";

/// Longest id of a token.
const ID_BYTES_MAX: usize = 32;

/// Longest token that is looked at.
const TOKEN_BYTES_MAX: usize = 128;

/// Tokens in one file.
const TOKENS_MAX: usize = 10_000;

/// All tokens of a file.
#[derive(Debug, Default)]
pub(super) struct Tokens(HashMap<String, Token>);

#[derive(Debug)]
struct Token {
    sha256: [u8; 32],
    client: Id,
    /// Seconds since 1970.
    expires: Option<i64>,
    revoked: bool,
}

/// A token that is ours and in force.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Shown<'a> {
    /// Its id, which is no secret.
    pub(super) id: &'a str,
    /// Whose it is.
    pub(super) client: &'a Id,
    sha256: &'a [u8; 32],
}

/// A token that was shown once, without its secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Proven {
    id: String,
    client: Id,
    sha256: [u8; 32],
}

/// A file that is not used.
#[derive(Debug, thiserror::Error)]
pub enum TokensError {
    /// It cannot be read.
    #[error("security.tokens_file: {0}")]
    File(#[from] FileError),
    /// It is not of the form.
    #[error("security.tokens_file: {0}")]
    Syntax(String),
    /// One entry.
    #[error("security.tokens_file: token {id:?}: {why}")]
    Entry {
        /// Its id.
        id: String,
        /// What is wrong.
        why: &'static str,
    },
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    #[serde(default)]
    tokens: Vec<Entry>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    id: String,
    client_id: String,
    sha256: String,
    #[serde(default)]
    expires: Option<String>,
    #[serde(default)]
    revoked: bool,
}

impl Tokens {
    /// Reads a file. Every token must be one of these clients'.
    pub(super) fn read(path: &Path, clients: &[Client]) -> Result<Tokens, TokensError> {
        let bytes = read_unwritable(path)?;
        let text = String::from_utf8(bytes)
            .map_err(|_| TokensError::Syntax("it is no UTF-8".to_owned()))?;
        Tokens::parse(&text, clients)
    }

    fn parse(text: &str, clients: &[Client]) -> Result<Tokens, TokensError> {
        let document: Document = Figment::from(Toml::string(text))
            .extract()
            .map_err(|error| TokensError::Syntax(error.to_string()))?;
        if document.tokens.len() > TOKENS_MAX {
            return Err(TokensError::Syntax(format!(
                "more than {TOKENS_MAX} tokens"
            )));
        }
        let mut tokens = HashMap::new();
        for entry in document.tokens {
            let id = entry.id.clone();
            let bad = |why| TokensError::Entry {
                id: id.clone(),
                why,
            };
            let token = entry.token(clients).map_err(bad)?;
            if tokens.insert(id.clone(), token).is_some() {
                return Err(bad("named twice"));
            }
        }
        Ok(Tokens(tokens))
    }

    /// Whose token an `authorization` shows. `now`: seconds since 1970.
    pub(super) fn look_up<'a>(
        &'a self,
        authorization: &'a str,
        now: i64,
    ) -> Result<Shown<'a>, Denial> {
        let (scheme, text) = authorization.split_once(' ').ok_or(Denial::TokenInvalid)?;
        if !scheme.eq_ignore_ascii_case("bearer") || text.len() > TOKEN_BYTES_MAX {
            return Err(Denial::TokenInvalid);
        }
        let (id, _secret) = text
            .strip_prefix(PREFIX)
            .and_then(|rest| rest.split_once('_'))
            .ok_or(Denial::TokenInvalid)?;
        let token = self.0.get(id).ok_or(Denial::TokenInvalid)?;
        let digest = ring::digest::digest(&ring::digest::SHA256, text.as_bytes());
        // What the time of this comparison could tell is a hash of 256 random bits, and even that it does not tell.
        if !bool::from(digest.as_ref().ct_eq(&token.sha256)) {
            return Err(Denial::TokenInvalid);
        }
        token.in_force(now)?;
        Ok(Shown {
            id,
            client: &token.client,
            sha256: &token.sha256,
        })
    }

    /// Whether a token that was shown before is still in force, and still that client's.
    pub(super) fn stands(&self, proven: &Proven, now: i64) -> Result<(), Denial> {
        let token = self.0.get(&proven.id).ok_or(Denial::TokenInvalid)?;
        if token.sha256 != proven.sha256 || token.client != proven.client {
            return Err(Denial::TokenInvalid);
        }
        token.in_force(now)
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}

impl Shown<'_> {
    /// What of it may be kept.
    pub(super) fn proven(&self) -> Proven {
        Proven {
            id: self.id.to_owned(),
            client: self.client.clone(),
            sha256: *self.sha256,
        }
    }
}

impl Token {
    fn in_force(&self, now: i64) -> Result<(), Denial> {
        if self.revoked {
            return Err(Denial::TokenRevoked);
        }
        if self.expires.is_some_and(|expires| now >= expires) {
            return Err(Denial::TokenExpired);
        }
        Ok(())
    }
}

impl Entry {
    fn token(&self, clients: &[Client]) -> Result<Token, &'static str> {
        let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        if self.id.is_empty() || self.id.len() > ID_BYTES_MAX || !self.id.bytes().all(allowed) {
            return Err("id: 1 to 32 of a-z 0-9 -");
        }
        let mut sha256 = [0; 32];
        hex::decode_to_slice(&self.sha256, &mut sha256)
            .map_err(|_| "sha256: 64 hex digits, of the whole token")?;
        if !clients
            .iter()
            .any(|client| client.client_id == self.client_id)
        {
            return Err("client_id: no such client is configured");
        }
        let client = Id::new(self.client_id.as_str()).map_err(|_| "client_id: malformed")?;
        let expires = match &self.expires {
            None => None,
            Some(text) => {
                let stamp = prost_types::Timestamp::from_str(text)
                    .map_err(|_| "expires: a time like 2027-05-01T00:00:00Z in quotes")?;
                Some(stamp.seconds)
            }
        };
        Ok(Token {
            sha256,
            client,
            expires,
            revoked: self.revoked,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Scope;

    const SECRET: &str =
        "pgt_shop-1_000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

    fn clients() -> Vec<Client> {
        vec![Client {
            client_id: "shop".to_owned(),
            credentials: vec![],
            scopes: vec![Scope::Pay],
            allowed_ips: vec![],
            max_payment_xrp: None,
            daily_limit_xrp: None,
            max_pending_payments: None,
            destinations: vec![],
            rate_limit_per_minute: None,
            rate_limit_per_hour: None,
        }]
    }

    fn file(more: &str) -> String {
        let hash = hex::encode(ring::digest::digest(
            &ring::digest::SHA256,
            SECRET.as_bytes(),
        ));
        format!("[[tokens]]\nid = \"shop-1\"\nclient_id = \"shop\"\nsha256 = \"{hash}\"\n{more}")
    }

    fn look_up(more: &str, authorization: &str, now: i64) -> Result<String, Denial> {
        let tokens = Tokens::parse(&file(more), &clients()).unwrap();
        tokens
            .look_up(authorization, now)
            .map(|shown| shown.client.to_string())
    }

    #[test]
    fn a_token_is_its_clients_until_it_ends() {
        let shown = format!("Bearer {SECRET}");
        assert_eq!(look_up("", &shown, 0), Ok("shop".to_owned()));
        assert_eq!(
            look_up("", &shown.replace("Bearer", "bearer"), 0),
            Ok("shop".to_owned())
        );
        let expires = "expires = \"1970-01-01T00:01:40Z\"";
        assert_eq!(look_up(expires, &shown, 99), Ok("shop".to_owned()));
        assert_eq!(look_up(expires, &shown, 100), Err(Denial::TokenExpired));
        assert_eq!(
            look_up("revoked = true", &shown, 0),
            Err(Denial::TokenRevoked)
        );
    }

    #[test]
    fn a_token_that_was_shown_stands_until_it_ends_or_its_file_knows_it_no_more() {
        let read = |more: &str| Tokens::parse(&file(more), &clients()).unwrap();
        let authorization = format!("Bearer {SECRET}");
        let tokens = read("");
        let proven = tokens.look_up(&authorization, 0).unwrap().proven();
        assert_eq!(tokens.stands(&proven, 0), Ok(()));
        let revoked = read("revoked = true");
        assert_eq!(revoked.stands(&proven, 0), Err(Denial::TokenRevoked));
        let expires = read("expires = \"1970-01-01T00:01:40Z\"");
        assert_eq!(expires.stands(&proven, 99), Ok(()));
        assert_eq!(expires.stands(&proven, 100), Err(Denial::TokenExpired));
        let none = Tokens::default();
        assert_eq!(none.stands(&proven, 0), Err(Denial::TokenInvalid));
        let other = file("").replace(&hex::encode(proven.sha256), &"ab".repeat(32));
        let other = Tokens::parse(&other, &clients()).unwrap();
        assert_eq!(other.stands(&proven, 0), Err(Denial::TokenInvalid));
    }

    #[test]
    fn anything_else_is_no_token() {
        for other in [
            "",
            SECRET,
            &format!("Basic {SECRET}"),
            "Bearer pgt_shop-1_",
            "Bearer pgt_shop-1",
            "Bearer pgt_other_00",
            &format!("Bearer {SECRET}0"),
            &format!("Bearer {}", SECRET.to_uppercase()),
        ] {
            assert_eq!(look_up("", other, 0), Err(Denial::TokenInvalid), "{other}");
        }
    }

    #[test]
    fn a_file_with_a_mistake_is_refused_as_a_whole() {
        for (more, why) in [
            ("colour = 1", "colour"),
            ("expires = \"tomorrow\"", "expires"),
            (
                "[[tokens]]\nid = \"b_c\"\nclient_id = \"shop\"\nsha256 = \"00\"",
                "id",
            ),
            (
                "[[tokens]]\nid = \"b\"\nclient_id = \"shop\"\nsha256 = \"00\"",
                "sha256",
            ),
        ] {
            let error = Tokens::parse(&file(more), &clients())
                .unwrap_err()
                .to_string();
            assert!(error.contains(why), "{error}");
        }
        let twice = format!("{}\n{}", file(""), file(""));
        let error = Tokens::parse(&twice, &clients()).unwrap_err().to_string();
        assert!(error.contains("named twice"), "{error}");
        let error = Tokens::parse(&file(""), &[]).unwrap_err().to_string();
        assert!(error.contains("no such client"), "{error}");
    }
}
