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
use highwater_engine::shell::quoted_path;
use jiff::Timestamp;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, UnixTime};
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{NoServerSessionStorage, VerifierBuilderError, WebPkiClientVerifier};
use rustls::{CertificateError, RootCertStore, ServerConfig};

use super::settings::{ClientCerts, TlsSettings};
use crate::pem::{self, PemError};

/// The fields of the files.
const CERT_FIELD: &str = "tls.cert";
const KEY_FIELD: &str = "tls.key";
const CA_FIELD: &str = "tls.client-ca";
const CRL_FIELD: &str = "tls.crl";

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
        /// The field that names it, from the receiver's.
        field: &'static str,
        /// What it should be.
        what: &'static str,
        /// What was found.
        source: PemError,
    },
    /// A file holds nothing of what it should.
    #[error("{} holds no {what}", .path.display())]
    Empty {
        /// The file.
        path: PathBuf,
        /// The field that names it, from the receiver's.
        field: &'static str,
        /// What it should hold.
        what: &'static str,
        /// What was found.
        source: PemError,
    },
    /// The key is that of another certificate.
    #[error("{} cannot be served with: {} is the key of another certificate", .cert.display(), .key.display())]
    OfAnother {
        /// The certificate's file.
        cert: PathBuf,
        /// The key's.
        key: PathBuf,
    },
    /// A certificate or a key is not understood.
    #[error("{} cannot be served with", .path.display())]
    Unfit {
        /// The file.
        path: PathBuf,
        /// The field that names it, from the receiver's.
        field: &'static str,
        /// What the library said.
        source: rustls::Error,
    },
    /// Who signs, or what is revoked, is not understood.
    #[error("{} cannot be used to check the certificates of clients", .path.display())]
    Clients {
        /// The file.
        path: PathBuf,
        /// The field that names it, from the receiver's.
        field: &'static str,
        /// What the library said.
        source: VerifierBuilderError,
    },
}

impl TlsError {
    /// The field that names the file, from the receiver's.
    #[must_use]
    pub fn field(&self) -> &'static str {
        match self {
            Self::File { field, .. } | Self::Empty { field, .. } => field,
            Self::Unfit { field, .. } | Self::Clients { field, .. } => field,
            Self::OfAnother { .. } => KEY_FIELD,
        }
    }

    /// What a person does about it.
    #[must_use]
    pub fn next(&self) -> String {
        match self {
            Self::File { source, .. } | Self::Empty { source, .. } => source.next.clone(),
            Self::OfAnother { .. } => "put the key there that the certificate was made with, or the certificate that was made with the key; where \
                                       they are renewed the other may still be on its way"
                .to_owned(),
            Self::Unfit { path, field, .. } | Self::Clients { path, field, .. } => {
                let shows = match *field {
                    // A key is not shown: what it says is nobody's to read.
                    KEY_FIELD => "pkey -noout",
                    CRL_FIELD => "crl -noout -text",
                    _ => "x509 -noout -text",
                };
                format!("put another there, as PEM; `openssl {shows} -in {}` shows what it holds", quoted_path(path))
            }
        }
    }
}

/// What a file looked like when it was read.
type Stamp = Option<(u64, u64, (i64, i64), (i64, i64))>;

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
    settings: RwLock<Arc<TlsSettings>>,
    current: RwLock<Arc<Read>>,
    read: Mutex<Vec<Stamp>>,
    revoked: Mutex<Revoked>,
}

/// The certificate that a client showed when it connected, if any, and which files that was found to be good by last.
#[derive(Debug)]
pub struct Shown {
    keeper: Arc<TlsKeeper>,
    chain: Vec<CertificateDer<'static>>,
    /// When the first certificate of the chain ends; `None` where one of them does not say, so that each request asks.
    until: Option<Timestamp>,
    good_by: Mutex<Arc<ServerConfig>>,
}

impl Shown {
    /// Whether it is accepted now, by the files as they are.
    ///
    /// # Errors
    /// Why it is not: it may have ended, been revoked, or who signed it been taken away.
    pub fn check(&self) -> Result<(), rustls::Error> {
        let (now, time) = (self.keeper.read_now(), UnixTime::now());
        let is_after = |until: Timestamp| i64::try_from(time.as_secs()).is_ok_and(|secs| secs > until.as_second());
        let is_over = !self.chain.is_empty() && self.until.is_none_or(is_after);
        let mut good_by = self.good_by.lock().unwrap_or_else(PoisonError::into_inner);
        if Arc::ptr_eq(&good_by, &now.config) && !is_over {
            return Ok(());
        }
        match (self.chain.split_first(), &now.verifier) {
            (None, Some(verifier)) if verifier.client_auth_mandatory() => {
                return Err(rustls::Error::NoCertificatesPresented);
            }
            (None, _) => {}
            (Some((own, between)), Some(verifier)) => {
                verifier.verify_client_cert(own, between, time)?;
            }
            // Nobody signs any more.
            (Some(_), None) => return Err(CertificateError::UnknownIssuer.into()),
        }
        *good_by = Arc::clone(&now.config);
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
        let settings = RwLock::new(Arc::new(settings));
        Ok(Self { settings, current, read: Mutex::new(stamps), revoked: Mutex::default() })
    }

    fn settings(&self) -> Arc<TlsSettings> {
        Arc::clone(&self.settings.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// What the next connection meets.
    #[must_use]
    pub fn current(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.read_now().config)
    }

    fn read_now(&self) -> Arc<Read> {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// What a client showed that met these files.
    #[must_use]
    pub fn shown(self: &Arc<Self>, met: Arc<ServerConfig>, chain: &[CertificateDer<'_>]) -> Shown {
        let chain: Vec<_> = chain.iter().map(|certificate| certificate.clone().into_owned()).collect();
        let until = look::common(&chain).map(|term| term.until);
        Shown { keeper: Arc::clone(self), chain, until, good_by: Mutex::new(met) }
    }

    /// Reads the files again if one of them changed; says whether the next connection meets something new.
    ///
    /// # Errors
    /// As [`TlsKeeper::open`]; what was served with before still is.
    pub fn reload(&self) -> Result<bool, TlsError> {
        self.read_again(false)
    }

    fn read_again(&self, is_asked: bool) -> Result<bool, TlsError> {
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        let settings = self.settings();
        let now = stamps(&settings);
        if *read == now && !is_asked {
            return Ok(false);
        }
        let fresh = config(&settings);
        // Also after a failure, so that it is told once; files that are being replaced one by one change again.
        *read = now;
        self.serve_with(fresh?);
        Ok(true)
    }

    /// Whether it serves by these settings.
    #[must_use]
    pub fn is_by(&self, settings: &TlsSettings) -> bool {
        *self.settings() == *settings
    }

    /// Takes up other settings, with their files; says whether the next connection meets something new.
    ///
    /// # Errors
    /// As [`TlsKeeper::open`]; what was served with before still is, and its files are looked at as before.
    pub fn take_up(&self, settings: &TlsSettings) -> Result<bool, TlsError> {
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        if *self.settings() == *settings {
            drop(read);
            // Whatever kept them from being read may be over, and no look shows that.
            return self.read_again(true);
        }
        let now = stamps(settings);
        let fresh = config(settings)?;
        *read = now;
        *self.settings.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(settings.clone());
        self.serve_with(fresh);
        Ok(true)
    }

    fn serve_with(&self, fresh: Read) {
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(fresh);
        *self.revoked.lock().unwrap_or_else(PoisonError::into_inner) = Revoked::Unread;
    }

    /// What certificates of the files are for, where it is something else than what they are used for; empty where they are as they were
    /// when it was asked last.
    fn misfits(&self, told: &mut Option<Arc<ServerConfig>>) -> Vec<String> {
        let now = self.current();
        if told.as_ref().is_some_and(|told| Arc::ptr_eq(told, &now)) {
            return Vec::new();
        }
        *told = Some(now);
        look::misfits(&self.settings())
    }

    /// What the list of revoked certificates lacks, once each time that it was read: it is over, or by nobody who signs.
    pub fn lacks(&self, now: Timestamp) -> Option<String> {
        let mut revoked = self.revoked.lock().unwrap_or_else(PoisonError::into_inner);
        if let Revoked::Unread = *revoked {
            match look::revoked_until(&self.settings()) {
                Ok(until) => *revoked = Revoked::Until(until),
                Err(by_others) => {
                    *revoked = Revoked::Told;
                    return Some(by_others);
                }
            }
        }
        let Revoked::Until(Some(until)) = *revoked else { return None };
        let settings = self.settings();
        let path = settings.crl.as_deref().filter(|_| until <= now)?.display();
        *revoked = Revoked::Told;
        Some(format!(
            "{path} ended at {until}: have the authority write its list again; who was revoked since then is let in"
        ))
    }

    /// Looks at the files every [`RELOAD_SECS`], for ever.
    pub async fn watch(self: Arc<Self>, clock: SharedClock) {
        let mut told = None;
        loop {
            let (keeper, now, mut before) = (Arc::clone(&self), clock.now(), told.take());
            let looked = tokio::task::spawn_blocking(move || {
                let all: Vec<String> = keeper.misfits(&mut before).into_iter().chain(keeper.lacks(now)).collect();
                (all, before)
            });
            if let Ok((all, before)) = looked.await {
                all.iter().for_each(|one| tracing::warn!("{one}"));
                told = before;
            }
            clock.sleep(Duration::from_secs(RELOAD_SECS)).await;
            let keeper = Arc::clone(&self);
            match tokio::task::spawn_blocking(move || keeper.reload()).await {
                Ok(Ok(true)) => tracing::info!("the files of TLS changed; the next connection meets the new ones"),
                Ok(Ok(false)) | Err(_) => {}
                Ok(Err(error)) => {
                    let field = format!("receiver.{}", error.field());
                    tracing::error!(%field, error = %with_causes(&error), "the files of TLS changed and cannot be used; the old ones stay");
                }
            }
        }
    }
}

impl fmt::Debug for TlsKeeper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsKeeper").field("settings", &self.settings()).finish_non_exhaustive()
    }
}

fn files(settings: &TlsSettings) -> impl Iterator<Item = &Path> {
    let optional = [settings.client_ca.as_deref(), settings.crl.as_deref()].into_iter().flatten();
    [&*settings.cert, &*settings.key].into_iter().chain(optional)
}

fn stamps(settings: &TlsSettings) -> Vec<Stamp> {
    // Who may read it is a change too.
    let stamp =
        |meta: Metadata| (meta.ino(), meta.len(), (meta.mtime(), meta.mtime_nsec()), (meta.ctime(), meta.ctime_nsec()));
    files(settings).map(|path| std::fs::metadata(path).ok().map(stamp)).collect()
}

fn config(settings: &TlsSettings) -> Result<Read, TlsError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let chain = certificates(&settings.cert, CERT_FIELD, "certificate chain")?;
    let file =
        |source| TlsError::File { path: settings.key.to_path_buf(), field: KEY_FIELD, what: "private key", source };
    let key = pem::key(&settings.key).map_err(file)?;
    let unfit = |source| TlsError::Unfit { path: settings.cert.to_path_buf(), field: CERT_FIELD, source };
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(unfit)?;
    // What is wrong with the key alone is told of it alone.
    provider.key_provider.load_private_key(key.clone_key()).map_err(|source| TlsError::Unfit {
        path: settings.key.to_path_buf(),
        field: KEY_FIELD,
        source,
    })?;
    let verifier = settings.client_ca.as_deref().map(|ca| verifier(settings, ca, provider)).transpose()?;
    let builder = match &verifier {
        None => builder.with_no_client_auth(),
        Some(verifier) => builder.with_client_cert_verifier(Arc::clone(verifier)),
    };
    let mut config = builder.with_single_cert(chain, key).map_err(|source| match source {
        rustls::Error::InconsistentKeys(_) => {
            TlsError::OfAnother { cert: settings.cert.to_path_buf(), key: settings.key.to_path_buf() }
        }
        source => unfit(source),
    })?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    // Who resumes a session shows no certificate again, so one that ended, or was revoked, would still be let in.
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Ok(Read { config: Arc::new(config), verifier })
}

fn verifier(
    settings: &TlsSettings,
    ca: &Path,
    provider: Arc<CryptoProvider>,
) -> Result<Arc<dyn ClientCertVerifier>, TlsError> {
    let mut roots = RootCertStore::empty();
    for root in certificates(ca, CA_FIELD, "list of those who sign")? {
        roots.add(root).map_err(|source| TlsError::Unfit { path: ca.to_path_buf(), field: CA_FIELD, source })?;
    }
    let mut builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
    let mut told = (ca, CA_FIELD);
    if let Some(crl) = &settings.crl {
        let lists = read_revoked(crl)?;
        // Whoever signs below the root may be revoked like those whom it signed; the root is ours to take away.
        builder = builder.with_crls(lists);
        told = (crl, CRL_FIELD);
    }
    if settings.client_certs == ClientCerts::Optional {
        builder = builder.allow_unauthenticated();
    }
    let (path, field) = told;
    builder.build().map_err(|source| TlsError::Clients { path: path.to_path_buf(), field, source })
}

fn certificates(
    path: &Path,
    field: &'static str,
    what: &'static str,
) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    pem::certificates(path).map_err(|source| unread(path, field, what, source))
}

fn read_revoked(path: &Path) -> Result<Vec<CertificateRevocationListDer<'static>>, TlsError> {
    pem::revoked(path).map_err(|source| unread(path, CRL_FIELD, "list of revoked certificates", source))
}

fn unread(path: &Path, field: &'static str, what: &'static str, source: PemError) -> TlsError {
    let path = path.to_path_buf();
    if source.holds_none {
        TlsError::Empty { path, field, what, source }
    } else {
        TlsError::File { path, field, what, source }
    }
}
