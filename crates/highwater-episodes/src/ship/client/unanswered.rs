//! What is told where no answer came. Owns that a refusal in the handshake is told as what it is, with what mends it.

use std::error::Error;
use std::io;

use highwater_engine::diagnosis::with_causes;
use rustls::AlertDescription;

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

/// What mends it that a receiver refuses this host's certificate; `None` where that is not what it says.
pub(in crate::ship) fn mends_certificate(alert: AlertDescription) -> Option<&'static str> {
    Some(match alert {
        AlertDescription::CertificateRequired => "name this host's certificate in `tls.certificate` and `tls.key`",
        AlertDescription::CertificateExpired => "renew this host's certificate, `tls.certificate`",
        AlertDescription::CertificateRevoked => "get this host another certificate: this one is revoked",
        AlertDescription::UnknownCA | AlertDescription::DecryptError => {
            "get this host a certificate of the authority in the receiver's `client-ca`"
        }
        AlertDescription::BadCertificate
        | AlertDescription::CertificateUnknown
        | AlertDescription::UnsupportedCertificate
        | AlertDescription::AccessDenied => {
            "look into the receiver's log: it says why it refuses this host's certificate"
        }
        _ => return None,
    })
}

/// What is told of no answer.
pub(super) fn told(error: &(dyn Error + 'static)) -> String {
    let alert = match tls_error(error) {
        Some(rustls::Error::AlertReceived(alert)) => mends_certificate(*alert).map(|mend| (alert, mend)),
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
