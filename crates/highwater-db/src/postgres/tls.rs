//! TLS to PostgreSQL, as far as an address trusts. Owns the three verifiers that libpq's modes mean.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{WebPkiServerVerifier, verify_server_name};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::address::{Address, Trust};

/// Why TLS cannot be set up, before anything is sent.
#[derive(Debug, thiserror::Error)]
pub(super) enum TlsError {
    /// A file of certificates or a key cannot be read.
    #[error("{} cannot be read", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: rustls::pki_types::pem::Error,
    },
    /// There is no root to check the server's certificate against.
    #[error("no root certificate is known: name one with `sslrootcert`")]
    NoRoots,
    /// The certificates do not fit together.
    #[error("the certificates cannot be used")]
    Refused(#[from] Error),
    /// The roots cannot be used.
    #[error("the root certificates cannot be used")]
    Roots(#[from] rustls::client::VerifierBuilderError),
}

/// Whether an error is TLS's word about the other side, and no broken line.
pub(super) fn is_refusal(error: &(dyn std::error::Error + 'static)) -> bool {
    let mut at = Some(error);
    while let Some(error) = at {
        let within = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        if error.is::<Error>() || within.is_some_and(|inner| inner.is::<Error>()) {
            return true;
        }
        at = error.source();
    }
    false
}

/// What a connection to `address` speaks TLS with.
pub(super) fn connector(address: &Address) -> Result<MakeRustlsConnect, TlsError> {
    let provider = Arc::new(ring::default_provider());
    let verifier: Arc<dyn ServerCertVerifier> = match address.trust {
        Trust::Any | Trust::Encrypted => Arc::new(AnyCertificate(Arc::clone(&provider))),
        Trust::Authority => Arc::new(Authority { any_name: true, ..authority(address, &provider)? }),
        Trust::Host => Arc::new(authority(address, &provider)?),
    };
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(verifier);
    let config = match &address.identity {
        None => config.with_no_client_auth(),
        Some((certificate, key)) => {
            let key = PrivateKeyDer::from_pem_file(key).map_err(of_file(key))?;
            config.with_client_auth_cert(certificates(certificate)?, key)?
        }
    };
    Ok(MakeRustlsConnect::new(config))
}

fn authority(address: &Address, provider: &Arc<CryptoProvider>) -> Result<Authority, TlsError> {
    let mut roots = RootCertStore::empty();
    let mut named = Vec::new();
    match &address.root {
        Some(path) => {
            named = certificates(path)?;
            for certificate in &named {
                roots.add(certificate.clone())?;
            }
        }
        None => {
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        }
    }
    if roots.is_empty() {
        return Err(TlsError::NoRoots);
    }
    let chains = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider)).build()?;
    Ok(Authority { chains, named, any_name: false })
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let read = |path: &Path| CertificateDer::pem_file_iter(path)?.collect::<Result<Vec<_>, _>>();
    read(path).map_err(of_file(path))
}

fn of_file(path: &Path) -> impl Fn(rustls::pki_types::pem::Error) -> TlsError + use<> {
    let path = path.to_owned();
    move |source| TlsError::File { path: path.clone(), source }
}

/// Encryption without knowing to whom, as `require` means it.
#[derive(Debug)]
struct AnyCertificate(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

/// A certificate of a known authority, as `verify-ca` and `verify-full` mean it.
#[derive(Debug)]
struct Authority {
    chains: Arc<WebPkiServerVerifier>,
    /// The certificates of `sslrootcert`.
    named: Vec<CertificateDer<'static>>,
    /// Whatever host it names.
    any_name: bool,
}

impl Authority {
    /// Whether that the certificate may issue others is all that is wrong with it, and it is one of the roots itself, as those are
    /// that a person made with one command. Its time was looked at before.
    fn is_root(&self, end_entity: &CertificateDer<'_>, error: &Error) -> bool {
        let may_issue = matches!(error, Error::InvalidCertificate(CertificateError::Other(other)) if other.0.to_string() == CA_AS_SERVER);
        may_issue && self.named.iter().any(|root| root == end_entity)
    }
}

/// What the library says of such a certificate.
const CA_AS_SERVER: &str = "CaUsedAsEndEntity";

impl ServerCertVerifier for Authority {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        match self.chains.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now) {
            Err(Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) if self.any_name => Ok(ServerCertVerified::assertion()),
            Err(error) if self.is_root(end_entity, &error) => {
                if !self.any_name {
                    verify_server_name(&ParsedCertificate::try_from(end_entity)?, server_name)?;
                }
                Ok(ServerCertVerified::assertion())
            }
            verified => verified,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.chains.verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.chains.verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.chains.supported_verify_schemes()
    }
}
