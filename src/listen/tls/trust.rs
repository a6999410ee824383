//! Whom a client certificate has to come from: the CA and the revocation lists of the moment.

use std::{
    collections::HashMap,
    io,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use arc_swap::ArcSwap;
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, OtherError, RootCertStore,
    SignatureScheme,
    client::danger::HandshakeSignatureValid,
    crypto::CryptoProvider,
    server::{
        VerifierBuilderError, WebPkiClientVerifier,
        danger::{ClientCertVerified, ClientCertVerifier},
    },
};
use rustls_pki_types::{CertificateDer, CertificateRevocationListDer, UnixTime};
use tokio::sync::watch;

use super::{
    super::ClientCertificate,
    authority::{Roots, may_issue},
    shown,
};

/// The CA and the revocation lists that count now, and when they change.
pub struct Trust {
    verifier: ArcSwap<Verifier>,
    generation: AtomicU64,
    changed: watch::Sender<()>,
    /// What was found of chains since the last change, and in which generation.
    verdicts: Mutex<HashMap<[u8; 32], Verdict>>,
}

/// The generation that a certificate was looked at in, and what was found.
type Verdict = (u64, Result<(), Untrusted>);

impl Trust {
    pub(super) fn new(verifier: Arc<Verifier>) -> Self {
        Self {
            verifier: ArcSwap::from(verifier),
            generation: AtomicU64::new(1),
            changed: watch::Sender::new(()),
            verdicts: Mutex::default(),
        }
    }

    pub(super) fn replace(&self, verifier: Arc<Verifier>) {
        self.verifier.store(verifier);
        self.generation.fetch_add(1, Ordering::SeqCst);
        self.verdicts().clear();
        self.changed.send_replace(());
    }

    /// Another number after each change. Read it before [`Trust::verify`] to remember its answer.
    pub fn generation(&self) -> u64 {
        self.generation.load(Ordering::SeqCst)
    }

    /// Whether the certificate is trusted at this moment. Costs two signatures and more.
    ///
    /// # Errors
    /// Why it is not.
    pub fn verify(&self, certificate: &ClientCertificate) -> Result<(), Untrusted> {
        let verifier = self.verifier.load();
        verifier
            .verify_client_cert(
                &certificate.leaf,
                &certificate.intermediates,
                UnixTime::now(),
            )
            .map(|_| ())
            .map_err(|error| Untrusted::of(&error).unwrap_or(Untrusted::Other))
    }

    /// The same, worked out once for all connections that show the same chain.
    pub(in crate::listen) fn verdict(
        &self,
        certificate: &ClientCertificate,
    ) -> Result<(), Untrusted> {
        let generation = self.generation();
        let known = self.verdicts().get(&certificate.chain).copied();
        if let Some((_, verdict)) = known.filter(|(of, _)| *of == generation) {
            return verdict;
        }
        let verdict = self.verify(certificate);
        self.verdicts()
            .insert(certificate.chain, (generation, verdict));
        verdict
    }

    fn verdicts(&self) -> MutexGuard<'_, HashMap<[u8; 32], Verdict>> {
        self.verdicts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(in crate::listen) fn changes(self: &Arc<Self>) -> TrustChanges {
        TrustChanges {
            trust: self.clone(),
            changed: self.changed.subscribe(),
        }
    }
}

/// The changes since it was asked for.
pub struct TrustChanges {
    trust: Arc<Trust>,
    changed: watch::Receiver<()>,
}

impl TrustChanges {
    /// Waits for the next one.
    pub(in crate::listen) async fn next(&mut self) -> &Trust {
        // The sender lives as long as the trust that is held here.
        let _ = self.changed.changed().await;
        &self.trust
    }
}

/// Why a client certificate is not trusted. For logs only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum Untrusted {
    #[error("no certificate was shown")]
    Missing,
    #[error("the certificate cannot be read")]
    Malformed,
    #[error("the certificate is expired")]
    Expired,
    #[error("the certificate is not valid yet")]
    NotYetValid,
    #[error("the certificate is not of a CA that is trusted")]
    UnknownIssuer,
    #[error("the certificate or one above it is revoked")]
    Revoked,
    #[error("no revocation list speaks of the certificate")]
    RevocationUnknown,
    #[error("the revocation list is expired")]
    RevocationListExpired,
    #[error("the revocation list is not signed by the CA")]
    RevocationListUntrusted,
    #[error("the certificate is not for clients")]
    WrongPurpose,
    #[error("a signature is wrong")]
    BadSignature,
    #[error("a signature is of a kind that is too weak or unknown")]
    WeakSignature,
    #[error("the chain breaks a rule of its CA")]
    Other,
}

impl Untrusted {
    /// As the audit log has it.
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Missing => "no_certificate",
            Self::Malformed => "malformed_certificate",
            Self::Expired => "certificate_expired",
            Self::NotYetValid => "certificate_not_yet_valid",
            Self::UnknownIssuer => "unknown_issuer",
            Self::Revoked => "certificate_revoked",
            Self::RevocationUnknown => "revocation_unknown",
            Self::RevocationListExpired => "crl_expired",
            Self::RevocationListUntrusted => "crl_untrusted",
            Self::WrongPurpose => "wrong_purpose",
            Self::BadSignature => "bad_signature",
            Self::WeakSignature => "weak_signature",
            Self::Other => "untrusted_chain",
        }
    }

    /// What a failed handshake says about the client's certificate, if it failed for that.
    pub(in crate::listen) fn of_handshake(error: &io::Error) -> Option<Self> {
        Self::of(error.get_ref()?.downcast_ref::<Error>()?)
    }

    fn of(error: &Error) -> Option<Self> {
        match error {
            Error::NoCertificatesPresented => Some(Self::Missing),
            Error::InvalidCertificate(error) => Some(Self::of_certificate(error)),
            Error::InvalidCertRevocationList(_) => Some(Self::RevocationListUntrusted),
            _ => None,
        }
    }

    fn of_certificate(error: &CertificateError) -> Self {
        use CertificateError as C;
        match error {
            C::BadEncoding => Self::Malformed,
            C::Expired | C::ExpiredContext { .. } => Self::Expired,
            C::NotValidYet | C::NotValidYetContext { .. } => Self::NotYetValid,
            C::Revoked => Self::Revoked,
            C::UnknownIssuer => Self::UnknownIssuer,
            C::UnknownRevocationStatus => Self::RevocationUnknown,
            C::ExpiredRevocationList | C::ExpiredRevocationListContext { .. } => {
                Self::RevocationListExpired
            }
            C::InvalidPurpose | C::InvalidPurposeContext { .. } => Self::WrongPurpose,
            C::BadSignature => Self::BadSignature,
            C::UnsupportedSignatureAlgorithmContext { .. }
            | C::UnsupportedSignatureAlgorithmForPublicKeyContext { .. } => Self::WeakSignature,
            _ => Self::Other,
        }
    }
}

/// A chain has to lead to one of the CAs, over certificates that may sign others, and over no more
/// of them than the CA lets stand below it: rustls asks neither of these two.
#[derive(Debug)]
pub(super) struct Verifier {
    all: Looks,
    /// The CAs apart by how many others they let stand below them, where any of them says so.
    by_depth: Vec<(usize, Looks)>,
}

impl Verifier {
    pub(super) fn new(
        roots: &Roots,
        lists: &[CertificateRevocationListDer<'static>],
        is_optional: bool,
        provider: &Arc<CryptoProvider>,
    ) -> Result<Self, VerifierBuilderError> {
        let mut all = RootCertStore::empty();
        let mut by_depth = Vec::new();
        for (depth, roots) in roots.trusted() {
            all.extend(roots.roots.iter().cloned());
            let looks = Looks::new(roots.clone(), lists, is_optional, provider)?;
            by_depth.push((*depth, looks));
        }
        if by_depth.iter().all(|(depth, _)| *depth == usize::MAX) {
            by_depth.clear();
        }
        Ok(Self {
            all: Looks::new(all, lists, is_optional, provider)?,
            by_depth,
        })
    }

    /// The certificates between come in order, the one that signed the leaf first (RFC 8446,
    /// section 4.4.2), so that a CA is offered the first of them only.
    fn within_depth(
        &self,
        leaf: &CertificateDer<'_>,
        issuing: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        if self.by_depth.is_empty() {
            return self.all.verify(leaf, issuing, now);
        }
        let mut looks = self.by_depth.iter().map(|(depth, looks)| {
            let nearest = issuing.get(..*depth).unwrap_or(issuing);
            looks.verify(leaf, nearest, now)
        });
        let trusted = looks.find_map(Result::ok);
        trusted.ok_or_else(|| CertificateError::UnknownIssuer.into())
    }
}

/// Two looks at a chain: every certificate in it of which some list speaks must not be revoked,
/// and some list must speak of the leaf.
#[derive(Debug)]
struct Looks {
    chain: Arc<dyn ClientCertVerifier>,
    leaf: Option<Arc<dyn ClientCertVerifier>>,
}

impl Looks {
    fn new(
        roots: RootCertStore,
        lists: &[CertificateRevocationListDer<'static>],
        is_optional: bool,
        provider: &Arc<CryptoProvider>,
    ) -> Result<Self, VerifierBuilderError> {
        let roots = Arc::new(roots);
        let builder = || {
            let builder =
                WebPkiClientVerifier::builder_with_provider(roots.clone(), provider.clone())
                    .with_crls(lists.to_vec())
                    .enforce_revocation_expiration();
            if is_optional {
                builder.allow_unauthenticated()
            } else {
                builder
            }
        };
        let leaf = if lists.is_empty() {
            None
        } else {
            Some(builder().only_check_end_entity_revocation().build()?)
        };
        Ok(Self {
            chain: builder().allow_unknown_revocation_status().build()?,
            leaf,
        })
    }

    fn verify(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        if let Some(leaf) = &self.leaf {
            leaf.verify_client_cert(end_entity, intermediates, now)?;
        }
        self.chain
            .verify_client_cert(end_entity, intermediates, now)
    }
}

/// A chain that rustls finds good and that breaks a rule of its CA all the same.
#[derive(Debug, thiserror::Error)]
#[error("a certificate in the chain may not sign others, or not that many below it")]
struct RuleBroken;

impl ClientCertVerifier for Verifier {
    fn client_auth_mandatory(&self) -> bool {
        self.all.chain.client_auth_mandatory()
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.all.chain.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        shown::note(end_entity);
        let issuing = intermediates.iter().filter(|der| may_issue(der));
        let issuing: Vec<_> = issuing
            .map(|der| CertificateDer::from(der.as_ref()))
            .collect();
        let verified = self.within_depth(end_entity, &issuing, now);
        let is_whole = self.by_depth.is_empty() && issuing.len() == intermediates.len();
        if verified.is_ok() || is_whole {
            return verified;
        }
        // Says what is wrong with the chain as it came.
        self.all.verify(end_entity, intermediates, now)?;
        let broken = OtherError(Arc::new(RuleBroken));
        Err(CertificateError::Other(broken).into())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.all.chain.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.all.chain.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.all.chain.supported_verify_schemes()
    }
}
