//! Certificates for an occasion: an authority of its own, one for a server on this machine, one for each client that is named.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use rcgen::{BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair};

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

/// Writes `ca.pem`, `receiver.pem` and `receiver.key`, and `HOST.pem` and `HOST.key` of each host, whose common name and DNS name are
/// its own. The authority's key is thrown away.
///
/// # Errors
/// [`CertificateError`].
pub fn issue(directory: &Path, hosts: impl IntoIterator<Item = String>) -> Result<(), CertificateError> {
    fs::create_dir_all(directory)?;
    let authority_key = KeyPair::generate()?;
    let mut authority = params("an authority for an occasion", Vec::new())?;
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let certificate = authority.self_signed(&authority_key)?;
    fs::write(directory.join("ca.pem"), certificate.pem())?;
    let issuer = Issuer::new(authority, authority_key);

    let addresses = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
    signed(directory, "receiver", addresses, ExtendedKeyUsagePurpose::ServerAuth, &issuer)?;
    for host in hosts {
        signed(directory, &host, vec![host.clone()], ExtendedKeyUsagePurpose::ClientAuth, &issuer)?;
    }
    Ok(())
}

fn params(name: &str, names: Vec<String>) -> Result<CertificateParams, rcgen::Error> {
    let mut params = CertificateParams::new(names)?;
    params.distinguished_name.push(DnType::CommonName, name);
    Ok(params)
}

fn signed(
    directory: &Path,
    name: &str,
    names: Vec<String>,
    purpose: ExtendedKeyUsagePurpose,
    issuer: &Issuer<'_, KeyPair>,
) -> Result<(), CertificateError> {
    let key = KeyPair::generate()?;
    let mut params = params(name, names)?;
    params.extended_key_usages = vec![purpose];
    fs::write(directory.join(format!("{name}.pem")), params.signed_by(&key, issuer)?.pem())?;
    let mut file = File::options()
        .create(true)
        .write(true)
        .truncate(true)
        .mode(0o600)
        .open(directory.join(format!("{name}.key")))?;
    file.write_all(key.serialize_pem().as_bytes())?;
    Ok(())
}
