//! Why a handshake with Redis failed, read from what the TLS library says.

use std::{error::Error, io, sync::Arc};

use redis::RedisError;
use rustls::{AlertDescription, CertificateError, Error as Tls};

use super::cause::Cause;

/// The cause, where it is TLS's.
pub(super) fn cause(error: &RedisError) -> Option<Cause> {
    let source = error
        .source()?
        .downcast_ref::<Arc<dyn Error + Send + Sync>>()?;
    let io = source.downcast_ref::<io::Error>()?;
    Some(of(io.get_ref()?.downcast_ref::<Tls>()?))
}

fn of(error: &Tls) -> Cause {
    match error {
        Tls::InvalidCertificate(CertificateError::UnknownIssuer) => Cause::UnknownAuthority,
        Tls::InvalidCertificate(
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
        ) => Cause::WrongName,
        Tls::InvalidCertificate(
            CertificateError::Expired
            | CertificateError::ExpiredContext { .. }
            | CertificateError::NotValidYet
            | CertificateError::NotValidYetContext { .. },
        ) => Cause::OutOfDate,
        Tls::AlertReceived(AlertDescription::CertificateRequired) => Cause::CertificateDemanded,
        _ => Cause::Tls,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_library_says_is_found_below_the_layers_around_it() {
        let wrapped = |tls| RedisError::from(io::Error::new(io::ErrorKind::InvalidData, tls));
        let unknown = Tls::InvalidCertificate(CertificateError::UnknownIssuer);
        assert_eq!(cause(&wrapped(unknown)), Some(Cause::UnknownAuthority));
        let other = Tls::General("another thing".to_owned());
        assert_eq!(Cause::from(&wrapped(other)), Cause::Tls);
        let reset = RedisError::from(io::Error::from(io::ErrorKind::ConnectionReset));
        assert_eq!(cause(&reset), None);
        assert_eq!(Cause::from(&reset), Cause::Lost);
    }
}
