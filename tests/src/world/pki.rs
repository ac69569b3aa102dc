//! Certificates for stories: a CA, what it issues, what it takes back.
//!
//! Owns: keys that live as long as the story. May not: be used for anything else.

use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, DistinguishedName,
    DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyIdMethod, KeyPair, KeyUsagePurpose,
    RevokedCertParams, SanType, SerialNumber, date_time_ymd,
};

/// Last year in which everything here is good.
const LAST_YEAR: i32 = 2_090;

/// A certificate authority.
#[derive(Debug)]
pub struct Authority {
    pem: String,
    issuer: Issuer<'static, KeyPair>,
}

/// What a certificate is to say.
#[derive(Clone, Debug, Default)]
pub struct Subject {
    /// Its common name.
    pub common_name: String,
    /// Names in its subjectAltName: `uri:…` or `dns:…`.
    pub names: Vec<String>,
    /// It has ended long ago.
    pub expired: bool,
}

/// A certificate with its key, PEM.
#[derive(Clone, Debug)]
pub struct Issued {
    /// The certificate.
    pub cert: String,
    /// Its key.
    pub key: String,
    /// Its number.
    pub serial: u64,
}

impl Authority {
    /// A new one of this name.
    pub fn new(name: &str) -> Authority {
        let mut params = dated(CertificateParams::default());
        params.distinguished_name = named(name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate().expect("ring makes keys");
        let pem = params.self_signed(&key).expect("complete").pem();
        let issuer = Issuer::new(params, key);
        Authority { pem, issuer }
    }

    /// Its own certificate.
    pub fn pem(&self) -> &str {
        &self.pem
    }

    /// Issues a certificate, good for both ends of a connection. `serial` must be new.
    pub fn issue(&self, serial: u64, subject: &Subject) -> Issued {
        let mut params = dated(CertificateParams::default());
        params.serial_number = Some(SerialNumber::from(serial));
        params.distinguished_name = named(&subject.common_name);
        let san = |name: &String| match name.split_once(':') {
            Some(("uri", uri)) => SanType::URI(uri.try_into().expect("ASCII")),
            Some(("dns", host)) => SanType::DnsName(host.try_into().expect("ASCII")),
            _ => panic!("no name for a certificate: {name}"),
        };
        params.subject_alt_names = subject.names.iter().map(san).collect();
        let loopback = SanType::IpAddress(std::net::Ipv4Addr::LOCALHOST.into());
        params.subject_alt_names.push(loopback);
        params.extended_key_usages = vec![
            ExtendedKeyUsagePurpose::ServerAuth,
            ExtendedKeyUsagePurpose::ClientAuth,
        ];
        if subject.expired {
            params.not_after = date_time_ymd(2_021, 1, 1);
        }
        let key = KeyPair::generate().expect("ring makes keys");
        let cert = params.signed_by(&key, &self.issuer).expect("complete");
        Issued {
            cert: cert.pem(),
            key: key.serialize_pem(),
            serial,
        }
    }

    /// The list of what is taken back, PEM.
    pub fn revoked(&self, serials: &[u64]) -> String {
        let revoked = |serial: &u64| RevokedCertParams {
            serial_number: SerialNumber::from(*serial),
            revocation_time: date_time_ymd(2_021, 1, 1),
            reason_code: None,
            invalidity_date: None,
        };
        let params = CertificateRevocationListParams {
            this_update: date_time_ymd(2_021, 1, 1),
            next_update: date_time_ymd(LAST_YEAR, 1, 1),
            crl_number: SerialNumber::from(1),
            issuing_distribution_point: None,
            revoked_certs: serials.iter().map(revoked).collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        let list = params.signed_by(&self.issuer).expect("complete");
        list.pem().expect("DER becomes PEM")
    }
}

/// Writes a file that its owner alone can read, in one step: whoever reads it sees the old one or the new one.
pub fn put(path: &Path, text: &str) -> io::Result<()> {
    let beside = path.with_extension("new");
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600);
    io::Write::write_all(&mut options.open(&beside)?, text.as_bytes())?;
    std::fs::rename(&beside, path)
}

fn dated(mut params: CertificateParams) -> CertificateParams {
    params.not_before = date_time_ymd(2_020, 1, 1);
    params.not_after = date_time_ymd(LAST_YEAR, 1, 1);
    params
}

fn named(name: &str) -> DistinguishedName {
    let mut distinguished = DistinguishedName::new();
    distinguished.push(DnType::CommonName, name);
    distinguished
}
