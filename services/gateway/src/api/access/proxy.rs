//! What a configured proxy says of whoever called it: his certificate, and his address.
//!
//! Owns: reading `x-forwarded-client-cert` and `x-forwarded-for`. May not: believe them; who asks here has seen the proxy's own
//! certificate, and the caller's is verified against the same CAs as everybody's.
//!
//! The first is of Envoy's form, one element with the certificate itself: `Cert="<URL-encoded PEM>"`. nginx makes it of
//! `$ssl_client_escaped_cert`. Of the second the last entry counts, which is the one that the proxy itself has added.

use std::net::IpAddr;

use http::HeaderMap;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;

/// The caller's certificate.
pub(super) const CERTIFICATE_HEADER: &str = "x-forwarded-client-cert";

/// The caller's address.
pub(super) const ADDRESS_HEADER: &str = "x-forwarded-for";

/// What a proxy has said.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Forwarded {
    /// `None`: the caller has shown none.
    pub(super) certificate: Option<CertificateDer<'static>>,
    /// `None`: it is not told.
    pub(super) address: Option<IpAddr>,
}

/// A header is there that only a proxy may send.
pub(super) fn speaks_as_proxy(headers: &HeaderMap) -> bool {
    headers.contains_key(CERTIFICATE_HEADER) || headers.contains_key(ADDRESS_HEADER)
}

/// What the headers say. `None`: they cannot be understood.
pub(super) fn read(headers: &HeaderMap) -> Option<Forwarded> {
    let certificate = match single(headers, CERTIFICATE_HEADER)? {
        None => None,
        Some(text) => certificate(text)?,
    };
    let address = match single(headers, ADDRESS_HEADER)? {
        None => None,
        Some(list) => Some(address(list.rsplit(',').next()?.trim())?),
    };
    Some(Forwarded {
        certificate,
        address,
    })
}

/// The one value of a header. The outer `None`: several, or no text.
fn single<'a>(headers: &'a HeaderMap, name: &str) -> Option<Option<&'a str>> {
    let mut values = headers.get_all(name).iter();
    let first = match values.next() {
        None => return Some(None),
        Some(first) => first.to_str().ok()?,
    };
    match values.next() {
        None => Some(Some(first)),
        Some(_) => None,
    }
}

/// With or without a port, an IPv6 address with or without brackets.
fn address(text: &str) -> Option<IpAddr> {
    let with_port = text
        .parse()
        .ok()
        .map(|with: std::net::SocketAddr| with.ip());
    let bare = text.trim_start_matches('[').trim_end_matches(']');
    with_port.or_else(|| bare.parse().ok())
}

/// The outer `None`: not of the form. The inner one: the caller had no certificate.
fn certificate(text: &str) -> Option<Option<CertificateDer<'static>>> {
    let mut found = None;
    let mut rest = text.trim();
    while !rest.is_empty() {
        let (name, after) = rest.split_once('=')?;
        let (value, after) = match after.strip_prefix('"') {
            Some(quoted) => {
                // A comma outside of quotes would begin what another proxy said before this one. A value with an escaped quote is
                // cut short here, and what remains is not of the form.
                let (value, after) = quoted.split_once('"')?;
                (value, after)
            }
            None => after.split_at(after.find([';', ',']).unwrap_or(after.len())),
        };
        rest = match after.strip_prefix(';') {
            Some(more) => more,
            None if after.is_empty() => after,
            None => return None,
        };
        if name.eq_ignore_ascii_case("cert") {
            if found.is_some() {
                return None;
            }
            found = Some(value);
        }
    }
    match found {
        None | Some("") => Some(None),
        Some(escaped) => {
            let pem = unescaped(escaped)?;
            CertificateDer::from_pem_slice(&pem).ok().map(Some)
        }
    }
}

fn unescaped(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        if byte != b'%' {
            bytes.push(byte);
            rest = after;
            continue;
        }
        let (digits, after) = after.split_at_checked(2)?;
        let mut decoded = [0];
        hex::decode_to_slice(digits, &mut decoded).ok()?;
        bytes.extend(decoded);
        rest = after;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ESCAPED: &str = "-----BEGIN%20CERTIFICATE-----%0AAQID%0A-----END%20CERTIFICATE-----%0A";

    fn headers(of: &[(&'static str, &str)]) -> HeaderMap {
        of.iter()
            .map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()))
            .collect()
    }

    fn der() -> Option<CertificateDer<'static>> {
        Some(CertificateDer::from(vec![1, 2, 3]))
    }

    #[test]
    fn what_nginx_and_envoy_say_is_read() {
        for form in [
            format!("Cert=\"{ESCAPED}\""),
            format!(
                "Hash=468e;Cert=\"{ESCAPED}\";Subject=\"CN=a,O=b\";URI=spiffe://example.org/shop"
            ),
        ] {
            let read = read(&headers(&[(CERTIFICATE_HEADER, &form)])).unwrap();
            assert_eq!(read.certificate, der(), "{form}");
        }
        for none in ["", "Cert=\"\"", "Hash=468e"] {
            let read = read(&headers(&[(CERTIFICATE_HEADER, none)])).unwrap();
            assert_eq!(read, Forwarded::default(), "{none}");
        }
        for (list, last) in [
            ("192.0.2.7", "192.0.2.7"),
            ("10.9.9.9, 192.0.2.7", "192.0.2.7"),
            ("192.0.2.7:4711", "192.0.2.7"),
            ("[2001:db8::1]:4711", "2001:db8::1"),
            ("2001:db8::1", "2001:db8::1"),
        ] {
            let read = read(&headers(&[(ADDRESS_HEADER, list)])).unwrap();
            assert_eq!(read.address, Some(last.parse().unwrap()), "{list}");
        }
    }

    #[test]
    fn what_could_mean_two_things_is_not_read() {
        for two in [
            format!("Cert=\"{ESCAPED}\",Cert=\"{ESCAPED}\""),
            format!("Cert=\"{ESCAPED}\";Cert=\"{ESCAPED}\""),
            format!("Hash=1,Cert=\"{ESCAPED}\""),
            "Cert=\"unclosed".to_owned(),
            "Cert=\"%zz\"".to_owned(),
            "Cert=\"no pem\"".to_owned(),
            "nothing".to_owned(),
        ] {
            assert_eq!(read(&headers(&[(CERTIFICATE_HEADER, &two)])), None, "{two}");
        }
        for list in ["", "unknown", "192.0.2.7,"] {
            assert_eq!(read(&headers(&[(ADDRESS_HEADER, list)])), None, "{list}");
        }
        let mut twice = headers(&[(ADDRESS_HEADER, "192.0.2.7")]);
        twice.append(ADDRESS_HEADER, "192.0.2.8".parse().unwrap());
        assert_eq!(read(&twice), None);
    }
}
