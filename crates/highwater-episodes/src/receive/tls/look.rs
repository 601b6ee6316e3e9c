//! The files of TLS, each looked at on its own: whether it can be used, and until when. Owns what is called soon; serves nothing.

use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer};
use x509_cert::Certificate;
use x509_cert::crl::CertificateList;
use x509_cert::der::Decode as _;
use x509_cert::der::asn1::ObjectIdentifier;
use x509_cert::ext::pkix::{BasicConstraints, ExtendedKeyUsage};

use super::{CA_FIELD, CERT_FIELD, TlsError, certificates, config, read_revoked, verifier};
use crate::pem::{self, PemError};
use crate::receive::settings::TlsSettings;

/// A certificate that ends within so many days ends soon, unless it was made for a short time.
pub const SOON_DAYS_MAX: i64 = 14;
/// One that was made for a short time ends soon in the last of so many parts of it.
const SOON_PART: i32 = 5;
const HOURS_A_DAY: i64 = 24;
/// What a certificate says that is a server's (RFC 5280, section 4.2.1.12).
const SERVER_AUTH: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.1");
/// What one says that is for everything.
const ANY_USE: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.37.0");

/// From when to when a file may be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Term {
    /// The first moment.
    pub from: Timestamp,
    /// The last.
    pub until: Timestamp,
}

/// How a term stands at a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It has not begun.
    Early,
    /// It goes on.
    Good,
    /// It is nearly over.
    Soon,
    /// It is over.
    Over,
}

impl Term {
    /// How it stands.
    #[must_use]
    pub fn standing(self, now: Timestamp) -> Standing {
        let part = self.from.duration_until(self.until) / SOON_PART;
        let soon = part.min(SignedDuration::from_hours(SOON_DAYS_MAX * HOURS_A_DAY));
        match now.duration_until(self.until) {
            _ if now < self.from => Standing::Early,
            left if left <= SignedDuration::ZERO => Standing::Over,
            left if left < soon => Standing::Soon,
            _ => Standing::Good,
        }
    }
}

/// What a file is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Use {
    /// The receiver shows it, and has its key.
    Shown,
    /// Who signs the certificates of clients.
    Signers,
    /// Which of these are revoked.
    Revoked,
}

/// A file of TLS.
#[derive(Debug)]
pub struct Look {
    /// Which.
    pub path: PathBuf,
    /// What it is for.
    pub used: Use,
    /// For how long it may be used, where it says so; or why it cannot be.
    pub term: Result<Option<Term>, TlsError>,
    /// Lists of revoked certificates, none of which is by one of those who sign: whom one of these signed is refused.
    pub is_by_others: bool,
    /// A certificate in it that is for something else, where one is.
    pub misfit: Option<String>,
}

impl Look {
    /// That [none](Self::is_by_others) of the lists in a file is by who signs.
    #[must_use]
    pub fn told_by_others(path: &Path) -> String {
        format!(
            "{} has no list by who is in `client-ca`: whom one of these signed is refused, and so is whom that one signed",
            path.display()
        )
    }

    fn new(path: &Path, used: Use, term: Result<Option<Term>, TlsError>) -> Self {
        Self { path: path.to_path_buf(), used, term, is_by_others: false, misfit: None }
    }
}

/// Looks at the files of a receiver.
#[must_use]
pub fn looks(settings: &TlsSettings) -> Vec<Look> {
    let alone = TlsSettings { client_ca: None, crl: None, ..settings.clone() };
    // Of a chain the one that ends first ends it.
    let of_file = |path: &Path, field, what| Ok(common(&certificates(path, field, what)?));
    let shown = config(&alone).and_then(|_| of_file(&settings.cert, CERT_FIELD, "certificate chain"));
    let mut looks = vec![Look { misfit: for_clients(&settings.cert), ..Look::new(&settings.cert, Use::Shown, shown) }];
    let Some(ca) = &settings.client_ca else { return looks };
    let without = TlsSettings { crl: None, ..settings.clone() };
    let checks = |settings| verifier(settings, ca, std::sync::Arc::new(rustls::crypto::ring::default_provider()));
    let signers = checks(&without).and_then(|_| of_file(ca, CA_FIELD, "list of those who sign"));
    let usable = signers.is_ok();
    looks.push(Look { misfit: signs_none(ca), ..Look::new(ca, Use::Signers, signers) });
    if let Some(crl) = &settings.crl {
        // What is wrong with who signs is told of them.
        let fits = if usable { checks(settings).map(drop) } else { Ok(()) };
        let revoked = fits.and_then(|()| Ok(fresh(&read_revoked(crl)?)));
        let is_by_others = revoked.is_ok() && usable && is_by_others(ca, crl).unwrap_or_default();
        looks.push(Look { is_by_others, ..Look::new(crl, Use::Revoked, revoked) });
    }
    looks
}

/// Until when the lists of revoked certificates are fresh that are in use, where they say it.
///
/// # Errors
/// None of them is by one of those who sign, as a person is told it.
pub(super) fn revoked_until(settings: &TlsSettings) -> Result<Option<Timestamp>, String> {
    let (Some(ca), Some(crl)) = (settings.client_ca.as_deref(), settings.crl.as_deref()) else { return Ok(None) };
    // Of what cannot be read more is told elsewhere.
    if is_by_others(ca, crl).unwrap_or_default() {
        return Err(Look::told_by_others(crl));
    }
    Ok(read_revoked(crl).ok().and_then(|lists| fresh(&lists)).map(|term| term.until))
}

/// Whether none of these lists is by one of those who sign.
fn is_by_others(ca: &Path, crl: &Path) -> Result<bool, TlsError> {
    let signers = certificates(ca, CA_FIELD, "list of those who sign")?;
    let signers: Vec<_> = signers.iter().filter_map(|der| Certificate::from_der(der).ok()).collect();
    let lists = read_revoked(crl)?;
    let mut by =
        lists.iter().filter_map(|der| CertificateList::from_der(der).ok()).map(|list| list.tbs_cert_list.issuer);
    Ok(!by.any(|issuer| signers.iter().any(|signer| signer.tbs_certificate.subject == issuer)))
}

/// The term that all certificates of a file have in common; `None` where one of them does not say it.
///
/// # Errors
/// It cannot be read, or holds no certificate.
pub fn term(path: &Path) -> Result<Option<Term>, PemError> {
    Ok(common(&pem::certificates(path)?))
}

pub(super) fn common(certificates: &[CertificateDer<'static>]) -> Option<Term> {
    let terms = certificates.iter().map(|der| {
        let validity = Certificate::from_der(der).ok()?.tbs_certificate.validity;
        Some(Term { from: moment(validity.not_before)?, until: moment(validity.not_after)? })
    });
    terms.reduce(narrowed).flatten()
}

/// What is used for something else than it is for, as a person is told it.
pub(super) fn misfits(settings: &TlsSettings) -> Vec<String> {
    let signers = settings.client_ca.as_deref().and_then(signs_none);
    for_clients(&settings.cert).into_iter().chain(signers).collect()
}

/// That the certificate which is shown says it is for clients: shippers refuse it.
fn for_clients(path: &Path) -> Option<String> {
    let own = pem::certificates(path).ok()?;
    let own = Certificate::from_der(own.first()?).ok()?.tbs_certificate;
    let (_, ExtendedKeyUsage(uses)) = own.get::<ExtendedKeyUsage>().ok()??;
    let serves = uses.contains(&SERVER_AUTH) || uses.contains(&ANY_USE);
    let path = path.display();
    (!serves).then(|| {
        format!(
            "{path} is for clients alone: its extended key usage has no serverAuth, and shippers refuse such a server"
        )
    })
}

/// That a certificate of those who sign may sign none; one that signed itself is its own authority.
fn signs_none(path: &Path) -> Option<String> {
    let all = pem::certificates(path).ok()?;
    let mut all = all.iter().filter_map(|der| Some(Certificate::from_der(der).ok()?.tbs_certificate));
    let leaf = all.find(|one| {
        let may_sign =
            one.get::<BasicConstraints>().is_ok_and(|found| found.is_some_and(|(_, constraints)| constraints.ca));
        !may_sign && one.subject != one.issuer
    })?;
    Some(format!(
        "{} holds a certificate that signs no others ({}): it is no authority, and whom its own signed is refused",
        path.display(),
        leaf.subject
    ))
}

fn narrowed(one: Option<Term>, other: Option<Term>) -> Option<Term> {
    let (one, other) = (one?, other?);
    Some(Term { from: one.from.max(other.from), until: one.until.min(other.until) })
}

/// From when to when lists are fresh.
fn fresh(lists: &[CertificateRevocationListDer<'static>]) -> Option<Term> {
    let terms = lists.iter().map(|der| {
        let list = CertificateList::from_der(der).ok()?.tbs_cert_list;
        Some(Term { from: moment(list.this_update)?, until: moment(list.next_update?)? })
    });
    terms.reduce(narrowed).flatten()
}

fn moment(time: x509_cert::time::Time) -> Option<Timestamp> {
    let since_1970: Duration = time.to_unix_duration();
    Timestamp::from_second(i64::try_from(since_1970.as_secs()).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn time(text: &str) -> Timestamp {
        text.parse().expect("a time")
    }

    #[test]
    fn a_certificate_ends_soon_by_what_it_was_made_for() {
        let year = Term { from: time("2026-01-01T00:00:00Z"), until: time("2027-01-01T00:00:00Z") };
        assert_eq!(year.standing(time("2025-12-31T23:59:59Z")), Standing::Early);
        assert_eq!(year.standing(time("2026-12-17T23:59:59Z")), Standing::Good);
        assert_eq!(year.standing(time("2026-12-18T00:00:01Z")), Standing::Soon);
        assert_eq!(year.standing(time("2027-01-01T00:00:00Z")), Standing::Over);
        let day = Term { from: time("2026-01-01T00:00:00Z"), until: time("2026-01-02T00:00:00Z") };
        assert_eq!(day.standing(time("2026-01-01T19:00:00Z")), Standing::Good);
        assert_eq!(day.standing(time("2026-01-01T20:00:00Z")), Standing::Soon);
    }
}
