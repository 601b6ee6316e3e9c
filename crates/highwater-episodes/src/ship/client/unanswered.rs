//! What is told where no answer came. Owns that a refusal in the handshake is told as what it is, with what mends it.

use std::error::Error;
use std::io;
use std::path::Path;

use highwater_engine::diagnosis::with_causes;
use jiff::Timestamp;
use rustls::AlertDescription;

use crate::receive::tls::look::{Standing, Term, term};

/// What is done about a certificate of this host's that is over.
const RENEW: &str = "renew this host's certificate, `tls.certificate`";

/// What TLS said, where it did.
pub(in crate::ship) fn tls_error<'e>(error: &'e (dyn Error + 'static)) -> Option<&'e rustls::Error> {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(tls) = error.downcast_ref::<rustls::Error>() {
            return Some(tls);
        }
        // What an I/O error wraps is not among its causes.
        let wrapped = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        if let Some(tls) = wrapped.and_then(|wrapped| tls_error(wrapped)) {
            return Some(tls);
        }
        cause = error.source();
    }
    None
}

/// What mends it that a receiver refuses this host's certificate, which is in this file; `None` where that is not what it says.
pub(in crate::ship) fn mends_certificate(
    alert: AlertDescription,
    certificate: Option<&Path>,
    now: Timestamp,
) -> Option<String> {
    Some(match alert {
        AlertDescription::CertificateRequired => {
            "name this host's certificate in `tls.certificate` and `tls.key`".to_owned()
        }
        AlertDescription::CertificateExpired => {
            let term = certificate.and_then(|file| term(file).ok().flatten());
            term.map_or_else(|| RENEW.to_owned(), |term| mends_term(term, now))
        }
        AlertDescription::CertificateRevoked => "get this host another certificate: this one is revoked".to_owned(),
        AlertDescription::UnknownCA => {
            "get this host a certificate of the authority in the receiver's `client-ca`; if it is of that one, the receiver's `crl` lacks a \
             list of who signed it, and the receiver's log says so"
                .to_owned()
        }
        AlertDescription::DecryptError => {
            "get this host a certificate of the authority in the receiver's `client-ca`".to_owned()
        }
        AlertDescription::BadCertificate
        | AlertDescription::CertificateUnknown
        | AlertDescription::UnsupportedCertificate
        | AlertDescription::AccessDenied => {
            "look into the receiver's log: it says why it refuses this host's certificate".to_owned()
        }
        _ => return None,
    })
}

/// What mends it that a receiver says of a certificate that it is over: it says the same of one that does not count yet.
fn mends_term(term: Term, now: Timestamp) -> String {
    let second = |at: Timestamp| Timestamp::from_second(at.as_second()).unwrap_or(at);
    let (from, until, now_here) = (second(term.from), second(term.until), second(now));
    match term.standing(now) {
        Standing::Over => RENEW.to_owned(),
        Standing::Early => format!(
            "it is not valid before {from}; the clock here says {now_here}: set the clock that is wrong (`timedatectl`), here or where it was \
             signed, or call again then"
        ),
        Standing::Good | Standing::Soon => format!(
            "by the clock here, {now_here}, it is valid from {from} until {until}: set the receiver's clock, or this host's \
             (`timedatectl`)"
        ),
    }
}

/// What is told of no answer, by one who shows this certificate.
pub(super) fn told(error: &(dyn Error + 'static), certificate: Option<&Path>, now: Timestamp) -> String {
    let alert = match tls_error(error) {
        Some(rustls::Error::AlertReceived(alert)) => {
            mends_certificate(*alert, certificate, now).map(|mend| (alert, mend))
        }
        _ => None,
    };
    match alert {
        Some((alert, mend)) => format!(
            "the receiver refuses this host's certificate: {alert:?}; {mend}; the next pass takes renewed files up ({})",
            with_causes(error)
        ),
        None => with_causes(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_that_does_not_count_yet_is_not_told_as_one_that_is_over() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let term = Term { from: at("2026-11-20T12:00:00Z"), until: at("2027-11-20T12:00:00Z") };
        let early = mends_term(term, at("2026-11-19T08:00:00.5Z"));
        assert!(
            early.contains("not valid before 2026-11-20T12:00:00Z; the clock here says 2026-11-19T08:00:00Z:"),
            "{early}"
        );
        assert!(mends_term(term, at("2027-01-01T00:00:00Z")).contains("valid from 2026-11-20T12:00:00Z until 2027-"));
        assert_eq!(mends_term(term, at("2027-12-01T00:00:00Z")), RENEW);
    }
}
