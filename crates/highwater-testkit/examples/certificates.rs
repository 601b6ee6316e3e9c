//! Certificates for an occasion: an authority of its own, one for a receiver on this machine, one for each host that is named.
//!
//! `certificates DIRECTORY HOST…` writes `ca.pem`, `receiver.pem`, `receiver.key` and `HOST.pem`, `HOST.key`. They are good for as
//! long as nobody trusts the authority with anything else: its key is thrown away.

use std::error::Error;
use std::fs::{self, File};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use rcgen::{BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair};

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let directory = arguments.next().ok_or("usage: certificates DIRECTORY HOST…")?;
    let directory = Path::new(&directory);
    fs::create_dir_all(directory)?;

    let authority_key = KeyPair::generate()?;
    let mut authority = params("the demo's authority", Vec::new())?;
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let certificate = authority.self_signed(&authority_key)?;
    fs::write(directory.join("ca.pem"), certificate.pem())?;
    let issuer = Issuer::new(authority, authority_key);

    let addresses = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
    issue(directory, "receiver", addresses, ExtendedKeyUsagePurpose::ServerAuth, &issuer)?;
    for host in arguments {
        issue(directory, &host, vec![host.clone()], ExtendedKeyUsagePurpose::ClientAuth, &issuer)?;
    }
    Ok(())
}

fn params(name: &str, names: Vec<String>) -> Result<CertificateParams, rcgen::Error> {
    let mut params = CertificateParams::new(names)?;
    params.distinguished_name.push(DnType::CommonName, name);
    Ok(params)
}

fn issue(
    directory: &Path,
    name: &str,
    names: Vec<String>,
    purpose: ExtendedKeyUsagePurpose,
    issuer: &Issuer<'_, KeyPair>,
) -> Result<(), Box<dyn Error>> {
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
