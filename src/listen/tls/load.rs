//! From files to what rustls takes, with an error that names file, key and remedy.

use std::{
    collections::BTreeSet,
    fs, io,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    sync::Arc,
};

use jiff::Timestamp;
use rustls::{
    ServerConfig,
    crypto::{CryptoProvider, aws_lc_rs},
    server::ServerSessionMemoryCache,
    version::{TLS12, TLS13},
};
use rustls_pki_types::{
    CertificateDer, CertificateRevocationListDer, PrivateKeyDer, pem::PemObject,
};
use sha2::{Digest as _, Sha256};
use x509_parser::{
    certificate::X509Certificate, oid_registry::OID_X509_EXT_ISSUER_DISTRIBUTION_POINT,
    prelude::FromDer as _, revocation_list::CertificateRevocationList,
};

use super::{
    BadTls, ClientAuth, Config,
    authority::{self, Roots},
    expiry::{Kind, Term},
    trust::Verifier,
};
use crate::{
    secrets::{self, Secret},
    setting::SecretRef,
};

/// Where everything is.
pub(super) struct Files {
    identity: Option<(PathBuf, PathBuf)>,
    client_ca: Option<PathBuf>,
    client_crl: Option<PathBuf>,
    client_auth: ClientAuth,
}

/// What the files hold.
pub(super) struct Read {
    cert: Option<Vec<u8>>,
    key: Option<Secret>,
    client_ca: Option<Vec<u8>>,
    client_crl: Option<Vec<u8>>,
}

/// What comes of it.
pub(super) struct Loaded {
    pub(super) server: Option<Arc<ServerConfig>>,
    pub(super) verifier: Option<Arc<Verifier>>,
    pub(super) warnings: Vec<String>,
    pub(super) terms: Vec<Term>,
}

/// Size, time and place of each file.
pub(super) type Stamps = [Option<(u64, i64, i64, u64)>; 4];

impl Files {
    pub(super) fn of(config: &Config, base: &Path) -> Option<Self> {
        let path = |path: &Option<PathBuf>| path.as_ref().map(|path| base.join(path));
        let files = Self {
            identity: path(&config.cert).zip(path(&config.key)),
            client_ca: path(&config.client_ca),
            client_crl: path(&config.client_crl),
            client_auth: config.client_auth,
        };
        (files.identity.is_some() || files.client_ca.is_some()).then_some(files)
    }

    fn identity(&self) -> (Option<&PathBuf>, Option<&PathBuf>) {
        match &self.identity {
            Some((cert, key)) => (Some(cert), Some(key)),
            None => (None, None),
        }
    }

    pub(super) fn stamps(&self) -> Stamps {
        let (cert, key) = self.identity();
        let (ca, crl) = (self.client_ca.as_ref(), self.client_crl.as_ref());
        [cert, key, ca, crl].map(|path| {
            let metadata = fs::metadata(path?).ok()?;
            let (at, nanos) = (metadata.mtime(), metadata.mtime_nsec());
            Some((metadata.len(), at, nanos, metadata.ino()))
        })
    }

    /// All of them as they stand together: where one is replaced meanwhile they are read again.
    pub(super) fn read(&self) -> Result<Read, BadTls> {
        for _ in 1..MOST_READS {
            let before = self.stamps();
            let read = self.read_each();
            if self.stamps() == before {
                return read;
            }
        }
        self.read_each()
    }

    fn read_each(&self) -> Result<Read, BadTls> {
        let (cert, key) = self.identity();
        let key =
            key.map(|path| secrets::read(&SecretRef::File(path.clone()), Path::new(""), &|_| None));
        Ok(Read {
            cert: bounded(CERT, cert)?,
            key: key.transpose()?,
            client_ca: bounded(CLIENT_CA, self.client_ca.as_ref())?,
            client_crl: bounded(CLIENT_CRL, self.client_crl.as_ref())?,
        })
    }

    pub(super) fn load(&self, read: &Read, now: Timestamp) -> Result<Loaded, BadTls> {
        let (mut warnings, mut terms) = (Vec::new(), Vec::new());
        let provider = Arc::new(aws_lc_rs::default_provider());
        let verifier = match (&self.client_ca, &read.client_ca) {
            (Some(path), Some(pem)) => {
                let roots = roots(path, pem, now, &mut warnings)?;
                let verifier = self.verifier(roots, read, &provider, &mut terms, &mut warnings)?;
                Some(Arc::new(verifier))
            }
            _ => None,
        };
        let server = match (&self.identity, &read.cert, &read.key) {
            (Some((cert, key)), Some(pem), Some(secret)) => {
                warnings.extend(secret.warning.as_ref().map(ToString::to_string));
                let chain = certificates(CERT, cert, pem)?;
                terms.extend(validity(CERT, cert, &chain, now)?);
                warnings.extend(authority::doubts(cert, &chain, &provider));
                let private = private_key(key, secret)?;
                let server = self.server(&provider, chain, private, verifier.clone());
                Some(server.map_err(|_| BadTls::Mismatch {
                    key: key.clone(),
                    cert: cert.clone(),
                })?)
            }
            _ => None,
        };
        Ok(Loaded {
            server: server.map(Arc::new),
            verifier,
            warnings,
            terms,
        })
    }

    fn verifier(
        &self,
        roots: Roots,
        read: &Read,
        provider: &Arc<CryptoProvider>,
        terms: &mut Vec<Term>,
        warnings: &mut Vec<String>,
    ) -> Result<Verifier, BadTls> {
        let lists = match (&self.client_crl, &read.client_crl) {
            (Some(path), Some(bytes)) => {
                let lists = revocation_lists(path, bytes, terms)?;
                roots.vouch_for(path, &lists, provider, warnings)?;
                lists
            }
            _ => Vec::new(),
        };
        let is_optional = self.client_auth != ClientAuth::Required;
        Verifier::new(&roots, &lists, is_optional, provider).map_err(|_| BadTls::Garbage {
            key: CLIENT_CRL,
            path: self.client_crl.clone().unwrap_or_default(),
            wanted: "revocation list",
        })
    }

    fn server(
        &self,
        provider: &Arc<CryptoProvider>,
        chain: Vec<CertificateDer<'static>>,
        key: PrivateKeyDer<'static>,
        verifier: Option<Arc<Verifier>>,
    ) -> Result<ServerConfig, rustls::Error> {
        let builder = ServerConfig::builder_with_provider(provider.clone())
            .with_protocol_versions(&[&TLS13, &TLS12])?;
        let builder = match verifier {
            Some(verifier) if self.client_auth != ClientAuth::Off => {
                builder.with_client_cert_verifier(verifier)
            }
            _ => builder.with_no_client_auth(),
        };
        let mut server = builder.with_single_cert(chain, key)?;
        server.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        // Of its own, and no tickets: what was agreed under other certificates, another CA or
        // another revocation list cannot be resumed under these.
        server.session_storage = ServerSessionMemoryCache::new(SESSIONS);
        Ok(server)
    }
}

impl Read {
    pub(super) fn digest(&self) -> [u8; 32] {
        let mut digest = Sha256::new();
        let key = self.key.as_ref().map(Secret::bytes);
        let parts = [&self.cert, &self.client_ca, &self.client_crl].map(Option::as_deref);
        for part in parts.into_iter().chain([key]) {
            let part = part.unwrap_or_default();
            digest.update(part.len().to_be_bytes());
            digest.update(part);
        }
        digest.finalize().into()
    }
}

fn bounded(key: &'static str, path: Option<&PathBuf>) -> Result<Option<Vec<u8>>, BadTls> {
    let Some(path) = path else { return Ok(None) };
    let unreadable = |source| BadTls::Unreadable {
        key,
        path: path.clone(),
        source,
    };
    let metadata = fs::metadata(path).map_err(unreadable)?;
    if !metadata.is_file() || metadata.len() > MAX_FILE {
        let source = io::Error::other("not a file of at most 16 MiB");
        return Err(unreadable(source));
    }
    fs::read(path).map(Some).map_err(unreadable)
}

fn certificates(
    key: &'static str,
    path: &Path,
    pem: &[u8],
) -> Result<Vec<CertificateDer<'static>>, BadTls> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    let whole = |found: &Vec<CertificateDer<'_>>| {
        !found.is_empty()
            && found
                .iter()
                .all(|der| X509Certificate::from_der(der).is_ok())
    };
    found.ok().filter(whole).ok_or_else(|| BadTls::Garbage {
        key,
        path: path.to_owned(),
        wanted: "certificate",
    })
}

fn private_key(path: &Path, secret: &Secret) -> Result<PrivateKeyDer<'static>, BadTls> {
    PrivateKeyDer::from_pem_slice(secret.bytes()).map_err(|_| BadTls::Garbage {
        key: KEY,
        path: path.to_owned(),
        wanted: "private key",
    })
}

/// The leaf has to be valid now.
fn validity(
    key: &'static str,
    path: &Path,
    chain: &[CertificateDer<'_>],
    now: Timestamp,
) -> Result<Option<Term>, BadTls> {
    let Some((from, until)) = chain.first().and_then(|leaf| span_of(leaf)) else {
        return Ok(None);
    };
    if now > until {
        return Err(BadTls::Expired {
            key,
            path: path.to_owned(),
            until,
        });
    }
    if now < from {
        return Err(BadTls::NotYetValid {
            key,
            path: path.to_owned(),
            from,
        });
    }
    Ok(Some(Term {
        kind: Kind::Certificate,
        path: path.to_owned(),
        from,
        until,
    }))
}

fn span_of(der: &[u8]) -> Option<(Timestamp, Timestamp)> {
    let (_, certificate) = X509Certificate::from_der(der).ok()?;
    let validity = certificate.validity();
    let at = |seconds| Timestamp::from_second(seconds).ok();
    Some((
        at(validity.not_before.timestamp())?,
        at(validity.not_after.timestamp()).unwrap_or(Timestamp::MAX),
    ))
}

/// rustls asks a CA for nothing but its key and name, so that one that has expired is left out here.
fn roots(
    path: &Path,
    pem: &[u8],
    now: Timestamp,
    warnings: &mut Vec<String>,
) -> Result<Roots, BadTls> {
    let mut roots = Roots::default();
    let mut expired = None;
    for certificate in certificates(CLIENT_CA, path, pem)? {
        let end = span_of(&certificate).map(|(_, until)| until);
        let end = end.filter(|until| *until < now);
        roots.add(path, certificate, end.is_some())?;
        expired = end.or(expired);
    }
    match expired {
        Some(until) if roots.is_empty() => Err(BadTls::Expired {
            key: CLIENT_CA,
            path: path.to_owned(),
            until,
        }),
        Some(until) => {
            let path = path.display();
            warnings.push(format!(
                "{CLIENT_CA}: a CA in {path} was valid until {until} and is not trusted any more"
            ));
            Ok(roots)
        }
        None => Ok(roots),
    }
}

/// Many in one file as PEM, or one as DER, the newest first. An expired one is taken, since what it
/// revokes stays revoked; whoever it would clear is refused for as long as it is the newest.
fn revocation_lists(
    path: &Path,
    bytes: &[u8],
    terms: &mut Vec<Term>,
) -> Result<Vec<CertificateRevocationListDer<'static>>, BadTls> {
    let found: Vec<_> = if bytes.starts_with(&[0x30]) {
        vec![CertificateRevocationListDer::from(bytes.to_vec())]
    } else {
        CertificateRevocationListDer::pem_slice_iter(bytes)
            .collect::<Result<_, _>>()
            .unwrap_or_default()
    };
    let garbage = || BadTls::Garbage {
        key: CLIENT_CRL,
        path: path.to_owned(),
        wanted: "revocation list",
    };
    if found.is_empty() {
        return Err(garbage());
    }
    let mut lists = Vec::new();
    for list in &found {
        let (_, read) = CertificateRevocationList::from_der(list).map_err(|_| garbage())?;
        lists.push((read, list));
    }
    // The first list that speaks of a certificate is the one that counts.
    let age = |list: &CertificateRevocationList<'_>| {
        (list.last_update().timestamp(), list.crl_number().cloned())
    };
    lists.sort_by_key(|(list, _)| std::cmp::Reverse(age(list)));
    let mut newest = BTreeSet::new();
    for (list, _) in &lists {
        if newest.insert(realm(list)) {
            terms.extend(term(path, list));
        }
    }
    Ok(lists.into_iter().map(|(_, list)| list.clone()).collect())
}

/// What a list speaks of: its issuer's certificates, or the part of them that it names.
fn realm<'a>(list: &'a CertificateRevocationList<'_>) -> (&'a [u8], Option<&'a [u8]>) {
    let mut extensions = list.extensions().iter();
    let part = extensions.find(|it| it.oid == OID_X509_EXT_ISSUER_DISTRIBUTION_POINT);
    (list.issuer().as_raw(), part.map(|it| it.value))
}

fn term(path: &Path, list: &CertificateRevocationList<'_>) -> Option<Term> {
    let at = |seconds| Timestamp::from_second(seconds).ok();
    Some(Term {
        kind: Kind::RevocationList {
            issuer: list.issuer().to_string().into(),
        },
        path: path.to_owned(),
        from: at(list.last_update().timestamp())?,
        until: at(list.next_update()?.timestamp())?,
    })
}

const CERT: &str = "server.tls.cert";
const KEY: &str = "server.tls.key";
const CLIENT_CA: &str = "server.tls.client_ca";
const CLIENT_CRL: &str = "server.tls.client_crl";
const MAX_FILE: u64 = 16 << 20;
/// Of files that change again and again.
const MOST_READS: u32 = 4;
/// Sessions that can be resumed, for each set of certificates.
const SESSIONS: usize = 1024;
