//! What a shipper shows of itself in TLS, and whom it trusts. Owns that files which were renewed are taken up without a restart, and that
//! a half-written one takes nothing away.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use highwater_engine::contact::client_builder;
use highwater_engine::diagnosis::{Diagnosis, mends_limit, with_causes};
use reqwest::Client;

use super::{pem_of, unfit, unusable};
use crate::digest::Sha256Digest;
use crate::name::HostId;
use crate::pem::{self, Belongs};
use crate::ship::refused::Sign;
use crate::ship::settings::{ShipSettings, ShipTlsSettings};

/// The client with the certificate of the host, as the files are that were read last and could be used.
#[derive(Debug, Clone)]
pub struct Shown {
    now: Arc<RwLock<Now>>,
    tls: ShipTlsSettings,
    /// What tells, beside the certificate, who asks whom.
    asks: Vec<Vec<u8>>,
}

#[derive(Debug)]
struct Now {
    http: Client,
    sign: Sign,
    files: Sha256Digest,
}

/// The files, as they are read together.
struct Files {
    ca: Option<(PathBuf, Vec<u8>)>,
    certificate: Option<(PathBuf, Vec<u8>)>,
    key: Option<(PathBuf, Vec<u8>)>,
}

impl Files {
    fn read(tls: &ShipTlsSettings) -> Result<Self, (&'static str, Diagnosis)> {
        let read = |path: &Option<_>, field| {
            let path: &Option<highwater_engine::settings::FilePath> = path;
            path.as_ref().map(|path| Ok((path.to_path_buf(), pem_of(path, field)?))).transpose()
        };
        Ok(Self {
            ca: read(&tls.ca, "tls.ca")?,
            certificate: read(&tls.certificate, "tls.certificate")?,
            key: read(&tls.key, "tls.key")?,
        })
    }

    fn digest(&self) -> Sha256Digest {
        let all = [&self.ca, &self.certificate, &self.key];
        let each = all.map(|file| Sha256Digest::of(file.as_ref().map_or(&[][..], |(_, bytes)| bytes)).to_string());
        Sha256Digest::of(each.join(" ").as_bytes())
    }

    fn client(&self) -> Result<Client, (&'static str, Diagnosis)> {
        let mut client = client_builder();
        // What is wrong with one of them is told of it alone, in words.
        for (file, field, belongs, expected) in [
            (&self.ca, "tls.ca", Belongs::Certificates, "certificates"),
            (&self.certificate, "tls.certificate", Belongs::Certificates, "a certificate"),
            (&self.key, "tls.key", Belongs::Key, "a private key"),
        ] {
            if let Some((path, bytes)) = file {
                pem::check(path, bytes, belongs).map_err(|error| unfit(path, field, expected, &error))?;
            }
        }
        if let Some((path, bytes)) = &self.ca {
            let authorities = reqwest::Certificate::from_pem_bundle(bytes)
                .map_err(|error| unusable(path, "tls.ca", "certificates", &error))?;
            if authorities.is_empty() {
                return Err(unusable(path, "tls.ca", "certificates", &io::Error::other("there is none in it")));
            }
            client = client.tls_certs_only(authorities);
        }
        if let (Some((path, certificate)), Some((_, key))) = (&self.certificate, &self.key) {
            let chain = [certificate, &b"\n"[..], key].concat();
            let identity = reqwest::Identity::from_pem(&chain)
                .map_err(|error| unusable(path, "tls.certificate", "a certificate and its key", &error))?;
            client = client.identity(identity);
        }
        client.build().map_err(|error| {
            if let (true, Some((certificate, _)), Some((key, _))) = (is_of_another(&error), &self.certificate, &self.key) {
                let message = format!("{} is not the key of {}", key.display(), certificate.display());
                let next = "put the key there that the certificate was made with, or the certificate that was made with the key; where they are \
                            renewed the other may still be on its way: call again then";
                return ("tls.key", Diagnosis::refusal("HW-EPI-104", message, next));
            }
            // Without a descriptor none of the machine's certificates can be read, and the error says no more than that there is none.
            if let Err(why) = File::open("/")
                && let Some(mend) = mends_limit(&why)
            {
                let message = format!("the HTTP client cannot start: {why}");
                return ("tls", Diagnosis::failure("HW-ENV-002", message, mend));
            }
            let message = format!("the HTTP client cannot start: {}", with_causes(&error));
            let next = "check that `tls.key` is the key of `tls.certificate`, and the machine's TLS certificates";
            ("tls", Diagnosis::refusal("HW-EPI-104", message, next))
        })
    }
}

/// Whether a client cannot be made because its certificate and its key do not belong together.
fn is_of_another(error: &reqwest::Error) -> bool {
    std::iter::successors(Some(error as &(dyn std::error::Error + 'static)), |error| (*error).source())
        .any(|error| matches!(error.downcast_ref(), Some(rustls::Error::InconsistentKeys(_))))
}

impl Shown {
    /// Reads the files of these settings.
    ///
    /// # Errors
    /// The field of a file that cannot be used, and why.
    pub(super) fn new(settings: &ShipSettings, host: &HostId) -> Result<Self, (&'static str, Diagnosis)> {
        let token = settings.token.as_ref().map(|token| token.expose().as_bytes().to_vec()).unwrap_or_default();
        let receiver = settings.receiver.expose().as_str().as_bytes().to_vec();
        let (tls, asks) = (settings.tls.clone(), vec![receiver, host.as_str().as_bytes().to_vec(), token]);
        let now = read(&tls, &asks, None)?.expect("invariant: nothing was read before");
        Ok(Self { now: Arc::new(RwLock::new(now)), tls, asks })
    }

    /// The client.
    #[must_use]
    pub fn http(&self) -> Client {
        self.now.read().unwrap_or_else(PoisonError::into_inner).http.clone()
    }

    /// Who asks whom.
    #[must_use]
    pub fn sign(&self) -> Sign {
        self.now.read().unwrap_or_else(PoisonError::into_inner).sign
    }

    /// The file of the host's certificate.
    #[must_use]
    pub fn certificate(&self) -> Option<&Path> {
        self.tls.certificate.as_deref()
    }

    /// Takes up files that were written anew; whether there were any. What cannot be used changes nothing.
    ///
    /// # Errors
    /// The field of a file that cannot be used, and why.
    pub fn renew(&self) -> Result<bool, (&'static str, Diagnosis)> {
        let before = self.now.read().unwrap_or_else(PoisonError::into_inner).files;
        let Some(now) = read(&self.tls, &self.asks, Some(before))? else { return Ok(false) };
        *self.now.write().unwrap_or_else(PoisonError::into_inner) = now;
        Ok(true)
    }
}

/// The client of the files as they are; `None` where they are as they were.
fn read(
    tls: &ShipTlsSettings,
    asks: &[Vec<u8>],
    before: Option<Sha256Digest>,
) -> Result<Option<Now>, (&'static str, Diagnosis)> {
    let files = Files::read(tls)?;
    let digest = files.digest();
    if before == Some(digest) {
        return Ok(None);
    }
    let http = files.client()?;
    let shown = files.certificate.map(|(_, bytes)| bytes).unwrap_or_default();
    let mut parts: Vec<&[u8]> = asks.iter().map(Vec::as_slice).collect();
    parts.push(&shown);
    Ok(Some(Now { http, sign: Sign::of(&parts), files: digest }))
}
