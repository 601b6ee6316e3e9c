//! Certificates for an occasion: authorities, what they sign and what they take back. Owns no check of any.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CertifiedIssuer, DnType,
    ExtendedKeyUsagePurpose, IsCa, KeyIdMethod, KeyPair, KeyUsagePurpose, RevokedCertParams, SerialNumber,
    date_time_ymd,
};

/// Why there are no certificates.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// They cannot be made.
    #[error("a certificate cannot be made")]
    Make(#[from] rcgen::Error),
    /// They cannot be written.
    #[error("a certificate cannot be written")]
    Write(#[from] io::Error),
}

/// Someone who signs, with a key of its own that is nowhere else.
pub struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A certificate and its key, as PEM.
#[derive(Debug, Clone)]
pub struct Paper {
    /// The certificate.
    pub certificate: String,
    /// Its private key.
    pub key: String,
}

/// What a certificate says besides whose it is.
#[derive(Debug, Clone, Copy)]
pub struct Terms {
    /// Its serial number, by which it is revoked.
    pub serial: u8,
    /// The year at whose beginning it expires.
    pub until_year: i32,
}

impl Default for Terms {
    fn default() -> Self {
        Self { serial: 1, until_year: 4000 }
    }
}

impl std::fmt::Debug for Authority {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Authority").finish_non_exhaustive()
    }
}

impl Authority {
    /// One of this name.
    ///
    /// # Errors
    /// [`CertificateError::Make`].
    pub fn new(name: &str) -> Result<Self, CertificateError> {
        Ok(Self(CertifiedIssuer::self_signed(signers(name)?, KeyPair::generate()?)?))
    }

    /// One in between: its own certificate is signed by this one.
    ///
    /// # Errors
    /// [`CertificateError::Make`].
    pub fn between(&self, name: &str) -> Result<Self, CertificateError> {
        Ok(Self(CertifiedIssuer::signed_by(signers(name)?, KeyPair::generate()?, &self.0)?))
    }

    /// Its own certificate, as PEM.
    #[must_use]
    pub fn pem(&self) -> String {
        self.0.pem()
    }

    /// A certificate of a server on this machine.
    ///
    /// # Errors
    /// [`CertificateError::Make`].
    pub fn server(&self, terms: Terms) -> Result<Paper, CertificateError> {
        let addresses = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
        self.sign("receiver", addresses, ExtendedKeyUsagePurpose::ServerAuth, terms)
    }

    /// A certificate of a client, whose common name and DNS name are this one.
    ///
    /// # Errors
    /// [`CertificateError::Make`].
    pub fn client(&self, name: &str, terms: Terms) -> Result<Paper, CertificateError> {
        self.sign(name, vec![name.to_owned()], ExtendedKeyUsagePurpose::ClientAuth, terms)
    }

    /// The list of the certificates that it takes back, by their serial numbers, as PEM.
    ///
    /// # Errors
    /// [`CertificateError::Make`].
    pub fn revoking(&self, serials: &[u8]) -> Result<String, CertificateError> {
        let revoked = |serial: &u8| RevokedCertParams {
            serial_number: SerialNumber::from_slice(&[*serial]),
            revocation_time: date_time_ymd(2026, 1, 1),
            reason_code: None,
            invalidity_date: None,
        };
        let list = CertificateRevocationListParams {
            this_update: date_time_ymd(2026, 1, 1),
            next_update: date_time_ymd(4000, 1, 1),
            crl_number: SerialNumber::from_slice(&[1]),
            issuing_distribution_point: None,
            revoked_certs: serials.iter().map(revoked).collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        Ok(list.signed_by(&self.0)?.pem()?)
    }

    fn sign(
        &self,
        name: &str,
        names: Vec<String>,
        purpose: ExtendedKeyUsagePurpose,
        terms: Terms,
    ) -> Result<Paper, CertificateError> {
        let key = KeyPair::generate()?;
        let mut params = params(name, names)?;
        params.extended_key_usages = vec![purpose];
        params.serial_number = Some(SerialNumber::from_slice(&[terms.serial]));
        params.not_after = date_time_ymd(terms.until_year, 1, 1);
        Ok(Paper { certificate: params.signed_by(&key, &self.0)?.pem(), key: key.serialize_pem() })
    }
}

impl Paper {
    /// Signed by nobody but itself.
    ///
    /// # Errors
    /// [`CertificateError::Make`].
    pub fn of_its_own(name: &str) -> Result<Self, CertificateError> {
        let key = KeyPair::generate()?;
        let certificate = params(name, vec![name.to_owned()])?.self_signed(&key)?;
        Ok(Self { certificate: certificate.pem(), key: key.serialize_pem() })
    }

    /// Writes `NAME.pem` and `NAME.key` into a directory; the key is its owner's alone.
    ///
    /// # Errors
    /// [`CertificateError::Write`].
    pub fn write(&self, directory: &Path, name: &str) -> Result<(), CertificateError> {
        fs::write(directory.join(format!("{name}.pem")), &self.certificate)?;
        let mut key = File::options();
        let mut key =
            key.create(true).write(true).truncate(true).mode(0o600).open(directory.join(format!("{name}.key")))?;
        Ok(key.write_all(self.key.as_bytes())?)
    }
}

/// Writes `ca.pem`, `receiver.pem` and `receiver.key`, and `HOST.pem` and `HOST.key` of each host, whose common name and DNS name are
/// its own. The authority's key is thrown away.
///
/// # Errors
/// [`CertificateError`].
pub fn issue(directory: &Path, hosts: impl IntoIterator<Item = String>) -> Result<(), CertificateError> {
    fs::create_dir_all(directory)?;
    let authority = Authority::new("an authority for an occasion")?;
    fs::write(directory.join("ca.pem"), authority.pem())?;
    authority.server(Terms::default())?.write(directory, "receiver")?;
    for host in hosts {
        authority.client(&host, Terms::default())?.write(directory, &host)?;
    }
    Ok(())
}

fn signers(name: &str) -> Result<CertificateParams, CertificateError> {
    let mut own = params(name, Vec::new())?;
    own.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    own.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    Ok(own)
}

fn params(name: &str, names: Vec<String>) -> Result<CertificateParams, rcgen::Error> {
    let mut params = CertificateParams::new(names)?;
    params.distinguished_name.push(DnType::CommonName, name);
    Ok(params)
}
