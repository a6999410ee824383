//! What makes a certificate a CA's, and what a CA vouches for. rustls asks the CAs that it is told to
//! trust for nothing but their names and keys.

use std::{collections::BTreeMap, path::Path};

use rustls::{RootCertStore, crypto::CryptoProvider};
use rustls_pki_types::{CertificateDer, CertificateRevocationListDer};
use x509_parser::{
    certificate::X509Certificate, prelude::FromDer as _, revocation_list::CertificateRevocationList,
};

use super::BadTls;

/// The CAs of client certificates.
#[derive(Default)]
pub(super) struct Roots {
    /// Those that have expired as well: their lists are no strangers.
    known: Vec<CertificateDer<'static>>,
    /// Those that count, apart by how many other CAs they let stand below them.
    trusted: BTreeMap<usize, RootCertStore>,
}

impl Roots {
    /// Takes a certificate from the file at `path`, to be trusted unless it has expired.
    ///
    /// # Errors
    /// When it is not a CA's: whoever holds its key could sign any name for himself.
    pub(super) fn add(
        &mut self,
        path: &Path,
        der: CertificateDer<'static>,
        has_expired: bool,
    ) -> Result<(), BadTls> {
        let (_, certificate) = X509Certificate::from_der(&der).map_err(|_| garbage(path))?;
        let Some(depth) = depth(&certificate) else {
            return Err(BadTls::NotACa {
                path: path.to_owned(),
                subject: certificate.subject().to_string(),
            });
        };
        if !has_expired {
            let roots = self
                .trusted
                .entry(depth)
                .or_insert_with(RootCertStore::empty);
            roots.add(der.clone()).map_err(|_| garbage(path))?;
        }
        self.known.push(der);
        Ok(())
    }

    /// Whether no CA counts.
    pub(super) fn is_empty(&self) -> bool {
        self.trusted.is_empty()
    }

    /// Those that count, each kind with how many other CAs may stand below it.
    pub(super) fn trusted(&self) -> &BTreeMap<usize, RootCertStore> {
        &self.trusted
    }

    /// Looks at revocation lists before anybody is judged by them: with a list that its CA has not
    /// signed, or without one of the CAs, everybody would be refused.
    ///
    /// # Errors
    /// The list that is not its CA's, and lists that are all of strangers.
    pub(super) fn vouch_for(
        &self,
        path: &Path,
        lists: &[CertificateRevocationListDer<'_>],
        provider: &CryptoProvider,
        warnings: &mut Vec<String>,
    ) -> Result<(), BadTls> {
        let mut strangers = Vec::new();
        for list in lists {
            let Ok((_, list)) = CertificateRevocationList::from_der(list) else {
                continue;
            };
            let known = self.known.iter();
            let known = known.filter_map(|ca| Some(X509Certificate::from_der(ca).ok()?.1));
            let mut issuers = known
                .filter(|ca| ca.subject().as_raw() == list.issuer().as_raw())
                .peekable();
            let issuer = || list.issuer().to_string();
            if issuers.peek().is_none() {
                strangers.push(issuer());
            } else if !issuers.any(|ca| {
                let signature = &list.signature_value.data;
                is_signed_by(&ca, list.tbs_cert_list.as_ref(), signature, provider)
            }) {
                return Err(BadTls::ForgedList {
                    path: path.to_owned(),
                    issuer: issuer(),
                });
            }
        }
        if !lists.is_empty() && strangers.len() == lists.len() {
            return Err(BadTls::ForeignLists {
                path: path.to_owned(),
                issuers: strangers.join(", "),
            });
        }
        let path = path.display();
        warnings.extend(strangers.iter().map(|issuer| {
            format!("server.tls.client_crl: the list of {issuer} in {path} cannot be checked, since no CA of that name is in server.tls.client_ca; it counts only for what such a CA below those has signed")
        }));
        Ok(())
    }
}

/// Whether a CA's certificate may sign others, as far as it says so itself. Of those between a root
/// and a client rustls asks everything but what their keys are for.
pub(super) fn may_issue(der: &CertificateDer<'_>) -> bool {
    X509Certificate::from_der(der).is_ok_and(|(_, certificate)| depth(&certificate).is_some())
}

/// What clients will not like about the chain that the server shows: nothing here depends on it.
pub(super) fn doubts(
    path: &Path,
    chain: &[CertificateDer<'_>],
    provider: &CryptoProvider,
) -> Vec<String> {
    let chain = chain.iter();
    let chain: Vec<_> = chain
        .filter_map(|der| Some(X509Certificate::from_der(der).ok()?.1))
        .collect();
    let path = path.display();
    let mut doubts = Vec::new();
    let purposes = chain.first().map(|leaf| leaf.extended_key_usage());
    if let Some(Ok(Some(purposes))) = purposes
        && !purposes.value.server_auth
        && !purposes.value.any
    {
        doubts.push(format!(
            "server.tls.cert: the certificate in {path} is not for servers (extended key usage), and clients will refuse it; have one issued with serverAuth"
        ));
    }
    for (below, above) in chain.iter().zip(chain.iter().skip(1)) {
        let signature = &below.signature_value.data;
        let is_named = below.issuer().as_raw() == above.subject().as_raw();
        if !is_named || !is_signed_by(above, below.tbs_certificate.as_ref(), signature, provider) {
            doubts.push(format!(
                "server.tls.cert: in {path} {} did not sign {}, which stands before it, and clients may refuse the chain; put after each certificate the one that signed it",
                above.subject(),
                below.subject(),
            ));
        }
    }
    doubts
}

/// How many CAs may stand below a CA; `None` for what is none.
fn depth(certificate: &X509Certificate<'_>) -> Option<usize> {
    let constraints = certificate.basic_constraints().ok()??.value;
    let usage = certificate.key_usage().ok()?;
    let signs = usage.is_none_or(|usage| usage.value.key_cert_sign());
    let most = constraints.path_len_constraint;
    let most = most.map_or(usize::MAX, |most| {
        usize::try_from(most).unwrap_or(usize::MAX)
    });
    (constraints.ca && signs).then_some(most)
}

/// An algorithm fits a key or finds no good signature, so that all can be tried.
fn is_signed_by(
    ca: &X509Certificate<'_>,
    message: &[u8],
    signature: &[u8],
    provider: &CryptoProvider,
) -> bool {
    let key = &ca.public_key().subject_public_key.data;
    let algorithms = provider.signature_verification_algorithms.all.iter();
    let mut verified = algorithms.map(|one| one.verify_signature(key, message, signature));
    verified.any(|verified| verified.is_ok())
}

fn garbage(path: &Path) -> BadTls {
    BadTls::Garbage {
        key: "server.tls.client_ca",
        path: path.to_owned(),
        wanted: "CA certificate",
    }
}
