//! Dates and common names of certificates, which the verifier does not tell.
//!
//! Owns: walking over DER of definite lengths, and nothing more. May not: panic on any bytes, or decide whether to believe them;
//! `rustls-webpki` verifies.

use std::str::FromStr as _;

const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
const OID: u8 = 0x06;
const INTEGER: u8 = 0x02;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;

/// The explicit version of a certificate.
const VERSION: u8 = 0xa0;

/// UTF8String, PrintableString, IA5String: those whose bytes are UTF-8.
const STRINGS: [u8; 3] = [0x0c, 0x13, 0x16];

/// id-at-commonName, 2.5.4.3.
const COMMON_NAME: [u8; 3] = [0x55, 0x04, 0x03];

/// When a certificate ends, in seconds since 1970.
pub(super) fn not_after(certificate: &[u8]) -> Option<u64> {
    let mut validity = fields(certificate)?.validity;
    time(&mut validity)?;
    time(&mut validity)
}

/// The one common name of its subject. Several are none: nobody knows which one counts.
pub(super) fn common_name(certificate: &[u8]) -> Option<&str> {
    let mut subject = fields(certificate)?.subject;
    let mut found = None;
    while !subject.is_empty() {
        let mut set = take(&mut subject, SET)?;
        while !set.is_empty() {
            let mut attribute = take(&mut set, SEQUENCE)?;
            if take(&mut attribute, OID)? != COMMON_NAME {
                continue;
            }
            let (tag, text) = element(&mut attribute)?;
            if found.is_some() || !STRINGS.contains(&tag) {
                return None;
            }
            found = Some(std::str::from_utf8(text).ok()?);
        }
    }
    found
}

/// When a revocation list should be replaced, if it says so.
pub(super) fn next_update(list: &[u8]) -> Option<u64> {
    let mut input = list;
    let mut outer = take(&mut input, SEQUENCE)?;
    let mut inner = take(&mut outer, SEQUENCE)?;
    if inner.first() == Some(&INTEGER) {
        element(&mut inner)?;
    }
    // Algorithm, issuer, this update.
    take(&mut inner, SEQUENCE)?;
    take(&mut inner, SEQUENCE)?;
    time(&mut inner)?;
    time(&mut inner)
}

struct Fields<'a> {
    validity: &'a [u8],
    subject: &'a [u8],
}

fn fields(certificate: &[u8]) -> Option<Fields<'_>> {
    let mut input = certificate;
    let mut outer = take(&mut input, SEQUENCE)?;
    let mut inner = take(&mut outer, SEQUENCE)?;
    if inner.first() == Some(&VERSION) {
        element(&mut inner)?;
    }
    // Serial, algorithm, issuer.
    take(&mut inner, INTEGER)?;
    take(&mut inner, SEQUENCE)?;
    take(&mut inner, SEQUENCE)?;
    let validity = take(&mut inner, SEQUENCE)?;
    let subject = take(&mut inner, SEQUENCE)?;
    Some(Fields { validity, subject })
}

/// The contents of the next element, which must have this tag.
fn take<'a>(input: &mut &'a [u8], tag: u8) -> Option<&'a [u8]> {
    let (found, contents) = element(input)?;
    (found == tag).then_some(contents)
}

/// Tag and contents of the next element.
fn element<'a>(input: &mut &'a [u8]) -> Option<(u8, &'a [u8])> {
    let (&tag, rest) = input.split_first()?;
    let (&first, rest) = rest.split_first()?;
    let (length, rest) = match first {
        0..=0x7f => (usize::from(first), rest),
        // Up to three bytes of length: 16 MiB, more than any file that is read.
        0x81..=0x83 => {
            let (digits, rest) = rest.split_at_checked(usize::from(first - 0x80))?;
            let length = digits
                .iter()
                .fold(0, |sum, digit| sum * 256 + usize::from(*digit));
            (length, rest)
        }
        _ => return None,
    };
    let (contents, rest) = rest.split_at_checked(length)?;
    *input = rest;
    Some((tag, contents))
}

/// Seconds since 1970. Both forms of X.509 are in UTC, with seconds.
fn time(input: &mut &[u8]) -> Option<u64> {
    let (tag, text) = element(input)?;
    let text = std::str::from_utf8(text).ok()?.strip_suffix('Z')?;
    if !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let full = match (tag, text.len()) {
        // RFC 5280: two digits below 50 are of this century.
        (UTC_TIME, 12) if text < "50" => format!("20{text}"),
        (UTC_TIME, 12) => format!("19{text}"),
        (GENERALIZED_TIME, 14) => text.to_owned(),
        _ => return None,
    };
    let written = format!(
        "{}-{}-{}T{}:{}:{}Z",
        &full[..4],
        &full[4..6],
        &full[6..8],
        &full[8..10],
        &full[10..12],
        &full[12..]
    );
    let stamp = prost_types::Timestamp::from_str(&written).ok()?;
    u64::try_from(stamp.seconds).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_of_both_forms_are_read() {
        let read = |tag: u8, text: &str| {
            let mut der = vec![tag, u8::try_from(text.len()).unwrap()];
            der.extend(text.as_bytes());
            time(&mut der.as_slice())
        };
        assert_eq!(read(UTC_TIME, "700101000000Z"), Some(0));
        assert_eq!(read(UTC_TIME, "490101000000Z"), Some(2_493_072_000));
        assert_eq!(
            read(GENERALIZED_TIME, "20500101000000Z"),
            Some(2_524_608_000)
        );
        for bad in [
            "7001010000Z",
            "700101000000",
            "70010100000xZ",
            "701301000000Z",
            "",
        ] {
            assert_eq!(read(UTC_TIME, bad), None, "{bad}");
        }
    }

    #[test]
    fn no_bytes_make_it_panic() {
        let mut bytes = vec![0x30, 0x82, 0xff, 0xff, 0x30, 0x80, 0xa0, 0x03, 2, 1, 2];
        for at in 0..bytes.len() {
            for value in [0, 0x30, 0x7f, 0x80, 0x81, 0x83, 0x84, 0xff] {
                bytes[at] = value;
                for end in 0..=bytes.len() {
                    assert_eq!(not_after(&bytes[..end]), None);
                    assert_eq!(common_name(&bytes[..end]), None);
                    assert_eq!(next_update(&bytes[..end]), None);
                }
            }
        }
    }
}
