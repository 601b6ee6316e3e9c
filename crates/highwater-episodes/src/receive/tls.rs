//! TLS of the receiver: its certificate, who signs those of clients, which of these are revoked. Owns reading these files, and reading
//! them again when they change: the next connection meets the new ones, and the next request of one that is open is answered only where they
//! accept its certificate too.

pub mod look;

use std::fmt;
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use highwater_engine::clock::SharedClock;
use highwater_engine::diagnosis::with_causes;
use jiff::Timestamp;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer, UnixTime};
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{VerifierBuilderError, WebPkiClientVerifier};
use rustls::{RootCertStore, ServerConfig};

use super::settings::{ClientCerts, TlsSettings};

/// How often the files are looked at.
pub const RELOAD_SECS: u64 = 5;

/// TLS that cannot be served with.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read as what it should be.
    #[error("{} cannot be read as a {what}", .path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What it should be.
        what: &'static str,
        /// What the reader said.
        source: rustls::pki_types::pem::Error,
    },
    /// A file holds nothing of what it should.
    #[error("{} holds no {what}", .path.display())]
    Empty {
        /// The file.
        path: PathBuf,
        /// What it should hold.
        what: &'static str,
    },
    /// Certificate and key do not fit, or one of them is not understood.
    #[error("{} cannot be served with", .path.display())]
    Unfit {
        /// The file.
        path: PathBuf,
        /// What the library said.
        source: rustls::Error,
    },
    /// Who signs, or what is revoked, is not understood.
    #[error("{} cannot be used to check the certificates of clients", .path.display())]
    Clients {
        /// The file.
        path: PathBuf,
        /// What the library said.
        source: VerifierBuilderError,
    },
}

/// What a file looked like when it was read.
type Stamp = Option<(u64, u64, i64, i64)>;

/// What was read at one time.
#[derive(Debug)]
struct Read {
    config: Arc<ServerConfig>,
    verifier: Option<Arc<dyn ClientCertVerifier>>,
}

/// What is known of the list of revoked certificates that is served with.
#[derive(Debug, Clone, Copy, Default)]
enum Revoked {
    /// Nothing yet.
    #[default]
    Unread,
    /// Until when it is fresh, where it says so.
    Until(Option<Timestamp>),
    /// What it lacks was told.
    Told,
}

/// The TLS that is served with now.
pub struct TlsKeeper {
    settings: TlsSettings,
    current: RwLock<Arc<Read>>,
    read: Mutex<Vec<Stamp>>,
    revoked: Mutex<Revoked>,
}

/// The certificate that a client showed when it connected, and which files it was found to be good by last.
#[derive(Debug)]
pub struct Shown {
    keeper: Arc<TlsKeeper>,
    chain: Vec<CertificateDer<'static>>,
    good_by: Mutex<Arc<ServerConfig>>,
}

impl Shown {
    /// Whether it is accepted by the files as they are now.
    ///
    /// # Errors
    /// Why it is not: it may have been revoked, or who signed it taken away.
    pub fn check(&self) -> Result<(), rustls::Error> {
        let now = self.keeper.read_now();
        let mut good_by = self.good_by.lock().unwrap_or_else(PoisonError::into_inner);
        if let (false, Some(verifier), Some((own, between))) =
            (Arc::ptr_eq(&good_by, &now.config), &now.verifier, self.chain.split_first())
        {
            verifier.verify_client_cert(own, between, UnixTime::now())?;
            *good_by = Arc::clone(&now.config);
        }
        Ok(())
    }
}

impl TlsKeeper {
    /// Reads the files.
    ///
    /// # Errors
    /// One of them is missing, or is not what it should be.
    pub fn open(settings: TlsSettings) -> Result<Self, TlsError> {
        let stamps = stamps(&settings);
        let current = RwLock::new(Arc::new(config(&settings)?));
        Ok(Self { settings, current, read: Mutex::new(stamps), revoked: Mutex::default() })
    }

    /// What the next connection meets.
    #[must_use]
    pub fn current(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.read_now().config)
    }

    fn read_now(&self) -> Arc<Read> {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// What a client showed that met these files, where it showed anything.
    #[must_use]
    pub fn shown(self: &Arc<Self>, met: Arc<ServerConfig>, chain: &[CertificateDer<'_>]) -> Option<Shown> {
        let chain: Vec<_> = chain.iter().map(|certificate| certificate.clone().into_owned()).collect();
        (!chain.is_empty()).then(|| Shown { keeper: Arc::clone(self), chain, good_by: Mutex::new(met) })
    }

    /// Reads the files again if one of them changed; says whether the next connection meets something new.
    ///
    /// # Errors
    /// As [`TlsKeeper::open`]; what was served with before still is.
    pub fn reload(&self) -> Result<bool, TlsError> {
        let now = stamps(&self.settings);
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        if *read == now {
            return Ok(false);
        }
        let fresh = config(&self.settings);
        // Also after a failure, so that it is told once; files that are being replaced one by one change again.
        *read = now;
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(fresh?);
        *self.revoked.lock().unwrap_or_else(PoisonError::into_inner) = Revoked::Unread;
        Ok(true)
    }

    /// What the list of revoked certificates lacks, once each time that it was read: it is over, or by nobody who signs.
    pub fn lacks(&self, now: Timestamp) -> Option<String> {
        let mut revoked = self.revoked.lock().unwrap_or_else(PoisonError::into_inner);
        if let Revoked::Unread = *revoked {
            match look::revoked_until(&self.settings) {
                Ok(until) => *revoked = Revoked::Until(until),
                Err(by_others) => {
                    *revoked = Revoked::Told;
                    return Some(by_others);
                }
            }
        }
        let Revoked::Until(Some(until)) = *revoked else { return None };
        let path = self.settings.crl.as_deref().filter(|_| until <= now)?.display();
        *revoked = Revoked::Told;
        Some(format!(
            "{path} ended at {until}: have the authority write its list again; who was revoked since then is let in"
        ))
    }

    /// Looks at the files every [`RELOAD_SECS`], for ever.
    pub async fn watch(self: Arc<Self>, clock: SharedClock) {
        loop {
            let (keeper, now) = (Arc::clone(&self), clock.now());
            if let Ok(Some(lacks)) = tokio::task::spawn_blocking(move || keeper.lacks(now)).await {
                tracing::warn!("{lacks}");
            }
            clock.sleep(Duration::from_secs(RELOAD_SECS)).await;
            let keeper = Arc::clone(&self);
            match tokio::task::spawn_blocking(move || keeper.reload()).await {
                Ok(Ok(true)) => tracing::info!("the files of TLS changed; the next connection meets the new ones"),
                Ok(Ok(false)) | Err(_) => {}
                Ok(Err(error)) => {
                    tracing::error!(error = %with_causes(&error), "the files of TLS changed and cannot be used; the old ones stay");
                }
            }
        }
    }
}

impl fmt::Debug for TlsKeeper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsKeeper").field("settings", &self.settings).finish_non_exhaustive()
    }
}

fn files(settings: &TlsSettings) -> impl Iterator<Item = &Path> {
    let optional = [settings.client_ca.as_deref(), settings.crl.as_deref()].into_iter().flatten();
    [&*settings.cert, &*settings.key].into_iter().chain(optional)
}

fn stamps(settings: &TlsSettings) -> Vec<Stamp> {
    let stamp = |meta: Metadata| (meta.ino(), meta.len(), meta.mtime(), meta.mtime_nsec());
    files(settings).map(|path| std::fs::metadata(path).ok().map(stamp)).collect()
}

fn config(settings: &TlsSettings) -> Result<Read, TlsError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let chain = certificates(&settings.cert, "certificate chain")?;
    let key = PrivateKeyDer::from_pem_file(&settings.key).map_err(|source| TlsError::File {
        path: settings.key.to_path_buf(),
        what: "private key",
        source,
    })?;
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|source| TlsError::Unfit { path: settings.cert.to_path_buf(), source })?;
    let verifier = settings.client_ca.as_deref().map(|ca| verifier(settings, ca, provider)).transpose()?;
    let builder = match &verifier {
        None => builder.with_no_client_auth(),
        Some(verifier) => builder.with_client_cert_verifier(Arc::clone(verifier)),
    };
    let config = builder.with_single_cert(chain, key);
    let mut config = config.map_err(|source| TlsError::Unfit { path: settings.cert.to_path_buf(), source })?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Read { config: Arc::new(config), verifier })
}

fn verifier(
    settings: &TlsSettings,
    ca: &Path,
    provider: Arc<CryptoProvider>,
) -> Result<Arc<dyn ClientCertVerifier>, TlsError> {
    let mut roots = RootCertStore::empty();
    for root in certificates(ca, "list of those who sign")? {
        roots.add(root).map_err(|source| TlsError::Unfit { path: ca.to_path_buf(), source })?;
    }
    let mut builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
    let mut told = ca;
    if let Some(crl) = &settings.crl {
        let lists = read_revoked(crl)?;
        // The root is ours to take away; it is those below it that are revoked.
        builder = builder.with_crls(lists).only_check_end_entity_revocation();
        told = crl;
    }
    if settings.client_certs == ClientCerts::Optional {
        builder = builder.allow_unauthenticated();
    }
    builder.build().map_err(|source| TlsError::Clients { path: told.to_path_buf(), source })
}

fn certificates(path: &Path, what: &'static str) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let read: Result<Vec<_>, _> = CertificateDer::pem_file_iter(path).and_then(|certificates| certificates.collect());
    let read = read.map_err(|source| TlsError::File { path: path.to_path_buf(), what, source })?;
    if read.is_empty() { Err(TlsError::Empty { path: path.to_path_buf(), what }) } else { Ok(read) }
}

fn read_revoked(path: &Path) -> Result<Vec<CertificateRevocationListDer<'static>>, TlsError> {
    let what = "list of revoked certificates";
    let read: Result<Vec<_>, _> = CertificateRevocationListDer::pem_file_iter(path).and_then(|lists| lists.collect());
    let read = read.map_err(|source| TlsError::File { path: path.to_path_buf(), what, source })?;
    if read.is_empty() { Err(TlsError::Empty { path: path.to_path_buf(), what }) } else { Ok(read) }
}
