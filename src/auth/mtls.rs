//! Client certificates: who it is that one names, and whether it is still to be trusted.

mod names;
mod refused;

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use arc_swap::ArcSwap;
use serde::Deserialize;

use crate::listen::{ClientCertificate, Trust, Untrusted};

use names::Names;
pub use refused::record_refused;

/// `[auth.mtls]`
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// What of a certificate names the client.
    pub identity: Identity,
}

/// What of a certificate names the client. Never both.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Identity {
    /// Its one URI among the subject alternative names, such as `spiffe://example.com/agent`.
    UriSan,
    /// Its one common name; a certificate that has a URI as well is refused.
    Cn,
}

/// Which client each name in a certificate belongs to, and the names of all clients.
#[derive(Clone, Debug, Default)]
pub struct CertificateNames {
    owners: HashMap<Box<str>, Arc<str>>,
    clients: HashSet<Arc<str>>,
}

impl CertificateNames {
    /// The names under `[clients]`, each with its `certificate`, where it has one.
    ///
    /// # Errors
    /// The second client with the same certificate.
    pub fn of<'a>(
        clients: impl IntoIterator<Item = (&'a Arc<str>, Option<&'a str>)>,
    ) -> Result<Self, Arc<str>> {
        let mut names = Self::default();
        for (client, certificate) in clients {
            names.clients.insert(client.clone());
            let Some(certificate) = certificate else {
                continue;
            };
            if names
                .owners
                .insert(certificate.into(), client.clone())
                .is_some()
            {
                return Err(client.clone());
            }
        }
        Ok(names)
    }

    fn owner(&self, name: &str) -> Option<&Arc<str>> {
        self.owners.get(name)
    }

    /// Whether the name stands for a client other than this one.
    fn is_anothers(&self, name: &str, client: &str) -> bool {
        let owner = self.owner(name);
        owner.is_some_and(|owner| **owner != *client)
            || (self.clients.contains(name) && name != client)
    }
}

/// Tells clients by their certificates.
pub struct Mtls {
    trust: Arc<Trust>,
    identity: Identity,
    clients: ArcSwap<CertificateNames>,
    vetted: Mutex<HashMap<[u8; 32], Vetted>>,
}

/// A chain that was trusted a moment ago.
#[derive(Clone)]
struct Vetted {
    generation: u64,
    at: Instant,
    names: Arc<Names>,
}

/// Whom a certificate names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identified {
    /// The name under `[clients]`.
    pub client: Arc<str>,
    /// The beginning of the certificate's SHA-256: which one it was, for the log.
    pub fingerprint: Arc<str>,
}

/// Why a certificate is not accepted. For logs only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum BadCertificate {
    #[error(transparent)]
    Untrusted(#[from] Untrusted),
    #[error("the certificate's key is not for signing")]
    KeyUsage,
    #[error("the certificate names nobody in the way that is configured")]
    NoName,
    #[error("the certificate names more than one")]
    SeveralNames,
    #[error("the certificate's two names disagree")]
    NamesDisagree,
    #[error("no client has this certificate's name")]
    UnknownName,
}

impl BadCertificate {
    /// As the audit log has it.
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Untrusted(why) => why.reason(),
            Self::KeyUsage => "wrong_key_usage",
            Self::NoName => "no_certificate_name",
            Self::SeveralNames => "several_certificate_names",
            Self::NamesDisagree => "certificate_names_disagree",
            Self::UnknownName => "unknown_certificate_name",
        }
    }
}

impl Mtls {
    /// Trust is shared with the handshakes.
    pub fn new(trust: Arc<Trust>, config: Config, clients: CertificateNames) -> Self {
        Self {
            trust,
            identity: config.identity,
            clients: ArcSwap::from_pointee(clients),
            vetted: Mutex::default(),
        }
    }

    /// Takes other clients from now on.
    pub fn reload(&self, clients: CertificateNames) {
        self.clients.store(Arc::new(clients));
    }

    /// Whether any client has a certificate.
    pub fn knows_anybody(&self) -> bool {
        !self.clients.load().owners.is_empty()
    }

    /// Whose certificate it is. It is verified against the CA and the revocation lists of this
    /// moment, whatever the handshake found: the connection may be older than they are.
    ///
    /// # Errors
    /// Why it names nobody who may come in.
    pub fn identify(&self, certificate: &ClientCertificate) -> Result<Identified, BadCertificate> {
        let names = self.vetted(certificate)?;
        let name = names.one(self.identity)?;
        let clients = self.clients.load();
        let client = clients.owner(name).ok_or(BadCertificate::UnknownName)?;
        if names.contradict(client, &clients) {
            return Err(BadCertificate::NamesDisagree);
        }
        Ok(Identified {
            client: client.clone(),
            fingerprint: fingerprint(&certificate.sha256),
        })
    }

    /// What a log can say of a certificate, trusted or not: its fingerprint, if it is one at all,
    /// and whom it names.
    pub fn shown(&self, certificate: &ClientCertificate) -> (Option<Arc<str>>, Option<Arc<str>>) {
        let clients = self.clients.load();
        let names = Names::of(&certificate.leaf).ok();
        let client = names.and_then(|names| {
            let name = names.one(self.identity).ok()?;
            clients.owner(name).cloned()
        });
        let is_one = !certificate.leaf.is_empty();
        (is_one.then(|| fingerprint(&certificate.sha256)), client)
    }

    /// Whether the certificate is trusted at this moment, whomever it names.
    ///
    /// # Errors
    /// Why it is not.
    pub fn trusts(&self, certificate: &ClientCertificate) -> Result<(), BadCertificate> {
        self.vetted(certificate).map(drop)
    }

    fn vetted(&self, certificate: &ClientCertificate) -> Result<Arc<Names>, BadCertificate> {
        let generation = self.trust.generation();
        let fresh =
            |seen: &&Vetted| seen.generation == generation && seen.at.elapsed() < TRUSTED_FOR;
        if let Some(seen) = self.lock().get(&certificate.chain).filter(fresh) {
            return Ok(seen.names.clone());
        }
        self.trust.verify(certificate)?;
        let names = Arc::new(Names::of(&certificate.leaf)?);
        let mut vetted = self.lock();
        if vetted.len() >= MAX_VETTED {
            vetted.clear();
        }
        let seen = Vetted {
            generation,
            at: Instant::now(),
            names: names.clone(),
        };
        vetted.insert(certificate.chain, seen);
        Ok(names)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<[u8; 32], Vetted>> {
        self.vetted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn fingerprint(sha256: &[u8; 32]) -> Arc<str> {
    let hex: String = sha256.iter().take(8).map(|b| format!("{b:02x}")).collect();
    hex.into()
}

/// For this long an unchanged trust need not be asked again; certificates and lists expire in the
/// meantime at most this much too late.
const TRUSTED_FOR: Duration = Duration::from_secs(3);
/// Chains that are remembered.
const MAX_VETTED: usize = 4096;

#[cfg(test)]
mod tests {
    use std::{fs, path::PathBuf};

    use jiff::Timestamp;
    use rcgen::{
        BasicConstraints, CertificateParams, CertificateRevocationListParams, CertifiedIssuer,
        DnType, IsCa, KeyIdMethod, KeyPair, RevokedCertParams, SanType, SerialNumber,
        date_time_ymd,
    };
    use rustls_pki_types::CertificateDer;

    use super::*;
    use crate::listen::{Tls, tls};

    const URI: &str = "spiffe://example.com/agent";

    struct Fixture {
        folder: PathBuf,
        ca: CertifiedIssuer<'static, KeyPair>,
        tls: Tls,
        mtls: Mtls,
    }

    impl Fixture {
        fn new() -> Self {
            let folder = std::env::temp_dir().join(format!("zoho-mcp-{}", uuid::Uuid::new_v4()));
            fs::create_dir(&folder).unwrap();
            let mut params = CertificateParams::default();
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            let ca = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
            fs::write(folder.join("ca.pem"), ca.pem()).unwrap();
            fs::write(folder.join("crl.pem"), crl(&ca, &[])).unwrap();
            let config: tls::Config = toml::from_str(
                "client_ca = 'ca.pem'\nclient_crl = 'crl.pem'\nclient_auth = 'off'\n\
                 forwarded_client_cert = 'verify'\nhandshake_timeout = '5s'",
            )
            .unwrap();
            let tls = Tls::load(&config, &folder, Timestamp::now()).unwrap();
            let config = Config {
                identity: Identity::UriSan,
            };
            let clients = CertificateNames::of([(&"agent".into(), Some(URI))]).unwrap();
            let mtls = Mtls::new(tls.trust().unwrap().clone(), config, clients);
            Self {
                folder,
                ca,
                tls,
                mtls,
            }
        }

        fn certificate(&self, serial: u64) -> ClientCertificate {
            Self::certificate_of(&self.ca, serial, &[])
        }

        /// One of another CA, and what comes with it.
        fn certificate_of(
            ca: &CertifiedIssuer<'static, KeyPair>,
            serial: u64,
            above: &[CertificateDer<'static>],
        ) -> ClientCertificate {
            let mut params = CertificateParams::default();
            params.serial_number = Some(SerialNumber::from(serial));
            params.subject_alt_names = vec![SanType::URI(URI.try_into().unwrap())];
            let key = KeyPair::generate().unwrap();
            let leaf = params.signed_by(&key, ca).unwrap().der().clone();
            ClientCertificate::new([&[leaf], above].concat()).unwrap()
        }
    }

    impl Drop for Fixture {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.folder);
        }
    }

    fn crl(ca: &CertifiedIssuer<'static, KeyPair>, revoked: &[u64]) -> String {
        let revoked_certs = revoked.iter().map(|&serial| RevokedCertParams {
            serial_number: SerialNumber::from(serial),
            revocation_time: date_time_ymd(2021, 1, 1),
            reason_code: None,
            invalidity_date: None,
        });
        let list = CertificateRevocationListParams {
            this_update: date_time_ymd(2020, 1, 1),
            next_update: date_time_ymd(2090, 1, 1),
            crl_number: SerialNumber::from(1),
            issuing_distribution_point: None,
            revoked_certs: revoked_certs.collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        list.signed_by(ca).unwrap().pem().unwrap()
    }

    #[test]
    fn a_certificate_that_was_good_is_so_no_longer_once_it_is_revoked() {
        let it = Fixture::new();
        let (one, other) = (it.certificate(7), it.certificate(8));
        let identified = it.mtls.identify(&one).unwrap();
        assert_eq!(&*identified.client, "agent");
        assert!(it.mtls.identify(&other).is_ok());
        fs::write(it.folder.join("crl.pem"), crl(&it.ca, &[7])).unwrap();
        assert!(it.tls.reload(Timestamp::now()).unwrap().is_ok());
        assert_eq!(
            it.mtls.identify(&one),
            Err(BadCertificate::Untrusted(Untrusted::Revoked))
        );
        assert!(it.mtls.identify(&other).is_ok());
        let shown = it.mtls.shown(&one);
        assert_eq!(shown, (Some(identified.fingerprint), Some("agent".into())));
        // A list that cannot be read takes nothing back and clears nobody.
        fs::write(it.folder.join("crl.pem"), "nonsense").unwrap();
        assert!(it.tls.reload(Timestamp::now()).unwrap().is_err());
        assert!(
            it.tls.reload_if_changed(Timestamp::now()).is_none(),
            "told once"
        );
        assert!(it.mtls.identify(&one).is_err() && it.mtls.identify(&other).is_ok());
    }

    #[test]
    fn what_was_found_of_one_chain_says_nothing_of_another_with_the_same_leaf() {
        let it = Fixture::new();
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, "below");
        let key = KeyPair::generate().unwrap();
        let below = CertifiedIssuer::signed_by(params, key, &it.ca).unwrap();
        let lists = crl(&it.ca, &[]) + &crl(&below, &[]);
        fs::write(it.folder.join("crl.pem"), lists).unwrap();
        assert!(it.tls.reload(Timestamp::now()).unwrap().is_ok());
        let whole = Fixture::certificate_of(&below, 7, &[below.der().clone()]);
        let torn = ClientCertificate::new(vec![whole.leaf.clone()]).unwrap();
        assert!(it.mtls.identify(&whole).is_ok());
        let untrusted = BadCertificate::Untrusted(Untrusted::UnknownIssuer);
        assert_eq!(it.mtls.identify(&torn), Err(untrusted));
        assert!(it.mtls.identify(&whole).is_ok());
    }

    #[test]
    fn a_client_that_is_taken_out_is_out_at_once() {
        let it = Fixture::new();
        let certificate = it.certificate(7);
        assert!(it.mtls.identify(&certificate).is_ok());
        it.mtls.reload(CertificateNames::default());
        assert_eq!(
            it.mtls.identify(&certificate),
            Err(BadCertificate::UnknownName)
        );
    }
}
