//! PEM files of settings: certificates, private keys, lists of revoked certificates. Owns how they are read, and what is said of a file
//! that holds something else, with what mends it; what they are used for is TLS's.

use std::io;
use std::path::Path;

use highwater_engine::shell::quoted_path;
use highwater_fs::read_plain;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer};

/// Most bytes of such a file.
pub const PEM_BYTES_MAX: u64 = 64 << 20;

/// What belongs into a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Belongs {
    /// Certificates, one or more.
    Certificates,
    /// A private key.
    Key,
    /// Lists of revoked certificates.
    Revoked,
}

impl Belongs {
    const ALL: [Self; 3] = [Self::Certificates, Self::Key, Self::Revoked];

    fn labels(self) -> &'static [&'static str] {
        match self {
            Self::Certificates => &["CERTIFICATE"],
            Self::Key => &["PRIVATE KEY", "RSA PRIVATE KEY", "EC PRIVATE KEY"],
            Self::Revoked => &["X509 CRL"],
        }
    }

    fn one(self) -> &'static str {
        match self {
            Self::Certificates => "a certificate",
            Self::Key => "a private key",
            Self::Revoked => "a list of revoked certificates",
        }
    }

    /// The word of openssl.
    fn command(self) -> &'static str {
        match self {
            Self::Certificates => "x509",
            Self::Key => "pkey",
            Self::Revoked => "crl",
        }
    }

    fn next(self) -> String {
        // A key is not shown: what it says is nobody's to read.
        let shows = match self {
            Self::Key => "-noout` shows whether a file holds one",
            Self::Certificates | Self::Revoked => "-noout -text` shows what a file holds",
        };
        format!("put {} there, as PEM; `openssl {} -in FILE {shows}", self.one(), self.command())
    }
}

/// A file that is not what belongs there: what was found, and what is to be done.
#[derive(Debug, thiserror::Error)]
#[error("{found}")]
pub struct PemError {
    found: String,
    /// What a person does about it.
    pub next: String,
    /// It was read, and nothing of the kind is in it.
    pub holds_none: bool,
}

/// Reads a file, whatever it holds.
///
/// # Errors
/// It cannot be read, or is no plain file.
pub fn bytes(path: &Path) -> Result<Vec<u8>, PemError> {
    read_plain(path, PEM_BYTES_MAX).map_err(|error| PemError {
        found: error.to_string(),
        holds_none: false,
        next: match error.kind() {
            io::ErrorKind::NotFound => "correct the path, or put the file there".to_owned(),
            io::ErrorKind::PermissionDenied => "let this user read it".to_owned(),
            _ => "put a PEM file there that this user can read, or correct the path".to_owned(),
        },
    })
}

/// The certificates of a file.
///
/// # Errors
/// It cannot be read, or holds none.
pub fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, PemError> {
    all(path, Belongs::Certificates)
}

/// The lists of revoked certificates of a file.
///
/// # Errors
/// It cannot be read, or holds none.
pub fn revoked(path: &Path) -> Result<Vec<CertificateRevocationListDer<'static>>, PemError> {
    all(path, Belongs::Revoked)
}

/// The private key of a file.
///
/// # Errors
/// It cannot be read, or holds none.
pub fn key(path: &Path) -> Result<PrivateKeyDer<'static>, PemError> {
    let bytes = bytes(path)?;
    PrivateKeyDer::from_pem_slice(&bytes).map_err(|error| unfit(path, &bytes, Belongs::Key, &error.to_string()))
}

fn all<T: PemObject>(path: &Path, belongs: Belongs) -> Result<Vec<T>, PemError> {
    let bytes = bytes(path)?;
    every(&bytes).map_err(|why| unfit(path, &bytes, belongs, &why))
}

/// All of a kind, at least one; else why there is none.
fn every<T: PemObject>(bytes: &[u8]) -> Result<Vec<T>, String> {
    let read: Vec<T> = T::pem_slice_iter(bytes).collect::<Result<_, _>>().map_err(|error| error.to_string())?;
    if read.is_empty() { Err("there is none in it".to_owned()) } else { Ok(read) }
}

/// That what was read of a file can be what belongs there.
///
/// # Errors
/// It cannot.
pub fn check(path: &Path, bytes: &[u8], belongs: Belongs) -> Result<(), PemError> {
    let why = match belongs {
        Belongs::Key => PrivateKeyDer::from_pem_slice(bytes).err().map(|error| error.to_string()),
        Belongs::Certificates => every::<CertificateDer<'_>>(bytes).err(),
        Belongs::Revoked => every::<CertificateRevocationListDer<'_>>(bytes).err(),
    };
    why.map_or(Ok(()), |why| Err(unfit(path, bytes, belongs, &why)))
}

/// What is said of a file that is not what belongs there.
fn unfit(path: &Path, bytes: &[u8], belongs: Belongs, why: &str) -> PemError {
    let text = String::from_utf8_lossy(bytes);
    let file = quoted_path(path);
    let mended = |form: &str| {
        format!("write it as PEM: `openssl {}{form} -in {file} -out NEW`, and name that", belongs.command())
    };
    let begin = |label: &str| text.contains(&format!("-----BEGIN {label}-----"));
    // A sequence, whose length is said in the long form or is that of the rest.
    let is_der = match bytes {
        [0x30, 0x81..=0x84, ..] => true,
        [0x30, length, rest @ ..] => usize::from(*length) == rest.len(),
        _ => false,
    };
    let (found, next) = if text.trim().is_empty() {
        ("it is empty".to_owned(), belongs.next())
    } else if is_der {
        ("it is DER, expected PEM".to_owned(), mended(" -inform der"))
    } else if belongs == Belongs::Key && (begin("ENCRYPTED PRIVATE KEY") || text.contains("Proc-Type: 4,ENCRYPTED")) {
        let next = format!(
            "take its passphrase away: `openssl pkey -in {file} -out NEW` asks for it; name that file, which its user alone may read"
        );
        ("it is encrypted, expected a private key without a passphrase".to_owned(), next)
    } else if !belongs.labels().iter().any(|label| begin(label)) {
        let other = Belongs::ALL.into_iter().find(|other| other.labels().iter().any(|label| begin(label)));
        let found = match other {
            Some(other) => format!("it holds {}, expected {}", other.one(), belongs.one()),
            None if text.contains("-----BEGIN ") => format!("it holds something else, expected {}", belongs.one()),
            None => "it is no PEM, which begins with a line `-----BEGIN …-----`".to_owned(),
        };
        (found, belongs.next())
    } else if text.matches("-----BEGIN ").count() > text.matches("-----END ").count() {
        ("it is cut off, for the line `-----END …-----` is missing".to_owned(), "put the whole file there".to_owned())
    } else {
        (why.to_owned(), belongs.next())
    };
    let holds_none = !belongs.labels().iter().any(|label| begin(label));
    PemError { found, next, holds_none }
}
