//! What can be wrong with the files of `[server.tls]`, and what to do about it.

use std::{io, path::PathBuf};

use jiff::Timestamp;

use crate::secrets::SecretError;

/// TLS that cannot be used.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum BadTls {
    #[error("{key} needs {other} as well")]
    Incomplete {
        key: &'static str,
        other: &'static str,
    },
    #[error("{key}: cannot read {}", path.display())]
    Unreadable {
        key: &'static str,
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("server.tls.key: cannot be read")]
    Key(#[from] SecretError),
    #[error("{key}: {} holds no usable {wanted}", path.display())]
    Garbage {
        key: &'static str,
        path: PathBuf,
        wanted: &'static str,
    },
    #[error("server.tls.client_ca: {subject} in {} is not a CA certificate", path.display())]
    NotACa { path: PathBuf, subject: String },
    #[error("server.tls.client_crl: the list of {issuer} in {} is not signed by that CA", path.display())]
    ForgedList { path: PathBuf, issuer: String },
    #[error("server.tls.client_crl: no list in {} is of a CA in server.tls.client_ca, but of {issuers}", path.display())]
    ForeignLists { path: PathBuf, issuers: String },
    #[error("server.tls.key: the key in {} does not belong to the certificate in {}", key.display(), cert.display())]
    Mismatch { key: PathBuf, cert: PathBuf },
    #[error("{key}: the certificate in {} was valid until {until}", path.display())]
    Expired {
        key: &'static str,
        path: PathBuf,
        until: Timestamp,
    },
    #[error("{key}: the certificate in {} is valid only from {from}", path.display())]
    NotYetValid {
        key: &'static str,
        path: PathBuf,
        from: Timestamp,
    },
}

impl BadTls {
    /// What to do about it.
    pub const fn remedy(&self) -> &'static str {
        match self {
            Self::Incomplete { .. } => "set both, or neither",
            Self::Unreadable { .. } | Self::Key(_) => {
                "name a file that exists and that this process may read; paths are relative to the configuration file"
            }
            Self::Garbage { .. } => "put it there whole, as PEM (a revocation list may be DER)",
            Self::NotACa { .. } => {
                "name there only CAs whose every client is to be let in: basic constraints CA:TRUE, and keyCertSign where the key usage is said"
            }
            Self::ForgedList { .. } => {
                "fetch the list again from the CA; it has to be signed with the key in server.tls.client_ca, and not with SHA-1"
            }
            Self::ForeignLists { .. } => {
                "name the list of the CA in server.tls.client_ca, or the CA of these lists there"
            }
            Self::Mismatch { .. } => {
                "put the certificate of this key first in the file, its intermediates after it"
            }
            Self::Expired { .. } => "renew the certificate",
            Self::NotYetValid { .. } => "check the certificate and this machine's clock",
        }
    }
}
