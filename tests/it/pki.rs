//! Certificates: CAs, what they sign and what they take back, and clients that show it.

use std::{
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CertifiedIssuer, DnType,
    ExtendedKeyUsagePurpose, IsCa, KeyIdMethod, KeyPair, KeyUsagePurpose, RevokedCertParams,
    SanType, SerialNumber, date_time_ymd,
};
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use tokio::net::TcpStream;
use tokio_rustls::{TlsConnector, client::TlsStream};

use crate::{
    agent::Agent,
    house::{House, Setup},
};

/// A CA, and the chain from it up to below the root.
pub(crate) struct Ca {
    issuer: CertifiedIssuer<'static, KeyPair>,
    chain: String,
}

/// A certificate with its chain, and its key.
pub(crate) struct Identity {
    pub(crate) chain: String,
    pub(crate) key: String,
    serial: u64,
}

impl Ca {
    pub(crate) fn root(name: &str) -> Self {
        Self::signed_by_itself(ca_params(name, BasicConstraints::Unconstrained))
    }

    /// A root, except for what is changed.
    pub(crate) fn root_with(change: impl FnOnce(&mut CertificateParams)) -> Self {
        let mut params = ca_params("changed", BasicConstraints::Unconstrained);
        change(&mut params);
        Self::signed_by_itself(params)
    }

    fn signed_by_itself(params: CertificateParams) -> Self {
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        Self {
            issuer,
            chain: String::new(),
        }
    }

    pub(crate) fn below(&self, name: &str, constraints: BasicConstraints) -> Self {
        self.below_with(name, constraints, |_| ())
    }

    /// The same, except for what is changed.
    pub(crate) fn below_with(
        &self,
        name: &str,
        constraints: BasicConstraints,
        change: impl FnOnce(&mut CertificateParams),
    ) -> Self {
        let mut params = ca_params(name, constraints);
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        let issuer = CertifiedIssuer::signed_by(params, key, &self.issuer).unwrap();
        Self {
            chain: issuer.pem() + &self.chain,
            issuer,
        }
    }

    pub(crate) fn pem(&self) -> String {
        self.issuer.pem()
    }

    /// For whoever signs in its name with other tools.
    pub(crate) fn key_pem(&self) -> String {
        self.issuer.key().serialize_pem()
    }

    /// For the daemon, by the names that tests call it.
    pub(crate) fn server(&self) -> Identity {
        self.server_with(&KeyPair::generate().unwrap())
    }

    /// The same with an RSA key, for which there are other ciphers.
    pub(crate) fn rsa_server(&self) -> Identity {
        self.server_with(&KeyPair::generate_for(&rcgen::PKCS_RSA_SHA256).unwrap())
    }

    /// For a server by other names, good until the end of a year.
    pub(crate) fn server_named(&self, names: &[&str], until: i32) -> Identity {
        self.leaf(|params| {
            serves(params, names);
            params.not_after = date_time_ymd(until, 12, 31);
        })
    }

    fn server_with(&self, key: &KeyPair) -> Identity {
        self.leaf_with(key, |params| serves(params, &["localhost", "127.0.0.1"]))
    }

    /// For a client by that URI.
    pub(crate) fn client(&self, uri: &str) -> Identity {
        self.leaf(|params| params.subject_alt_names = vec![by_uri(uri)])
    }

    /// A client's, except for what is changed.
    pub(crate) fn leaf(&self, change: impl FnOnce(&mut CertificateParams)) -> Identity {
        self.leaf_with(&KeyPair::generate().unwrap(), change)
    }

    fn leaf_with(&self, key: &KeyPair, change: impl FnOnce(&mut CertificateParams)) -> Identity {
        let (params, serial) = leaf_params(change);
        let leaf = params.signed_by(key, &self.issuer).unwrap();
        Identity {
            chain: leaf.pem() + &self.chain,
            key: key.serialize_pem(),
            serial,
        }
    }

    /// The list of what is taken back, good until the end of a year.
    pub(crate) fn crl(&self, revoked: &[u64], until: i32) -> String {
        let revoked_certs = revoked.iter().map(|&serial| RevokedCertParams {
            serial_number: SerialNumber::from(serial),
            revocation_time: date_time_ymd(2021, 1, 1),
            reason_code: None,
            invalidity_date: None,
        });
        let list = CertificateRevocationListParams {
            this_update: date_time_ymd(2020, 1, 1),
            next_update: date_time_ymd(until, 12, 31),
            crl_number: SerialNumber::from(next_serial()),
            issuing_distribution_point: None,
            revoked_certs: revoked_certs.collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        list.signed_by(&self.issuer).unwrap().pem().unwrap()
    }
}

impl Identity {
    pub(crate) fn self_signed(uri: &str) -> Self {
        let (params, serial) = leaf_params(|params| params.subject_alt_names = vec![by_uri(uri)]);
        let key = KeyPair::generate().unwrap();
        Self {
            chain: params.self_signed(&key).unwrap().pem(),
            key: key.serialize_pem(),
            serial,
        }
    }

    pub(crate) fn serial(&self) -> u64 {
        self.serial
    }

    /// Certificate and key in one file, so that both are replaced at once.
    pub(crate) fn bundle(&self) -> String {
        format!("{}{}", self.chain, self.key)
    }

    /// One that was made before, from [`Identity::bundle`].
    pub(crate) fn of_bundle(bundle: &str) -> Self {
        let (chain, key) = bundle.split_at(bundle.find("-----BEGIN PRIVATE KEY").unwrap());
        Self {
            chain: chain.to_owned(),
            key: key.to_owned(),
            serial: 0,
        }
    }

    /// The beginning of its SHA-256, as the log has it.
    pub(crate) fn fingerprint(&self) -> String {
        let digest = self.sha256();
        digest
            .iter()
            .take(8)
            .map(|byte| format!("{byte:02x}"))
            .collect()
    }

    fn sha256(&self) -> Vec<u8> {
        use sha2::{Digest as _, Sha256};
        let leaf = CertificateDer::from_pem_slice(self.chain.as_bytes()).unwrap();
        Sha256::digest(&leaf).to_vec()
    }

    /// Its SHA-256, as a token that is bound to it has it.
    pub(crate) fn thumbprint(&self) -> String {
        use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
        URL_SAFE_NO_PAD.encode(self.sha256())
    }

    /// As a load balancer writes it into a header.
    pub(crate) fn header(&self) -> String {
        percent_encoding::utf8_percent_encode(&self.chain, percent_encoding::CONTROLS)
            .to_string()
            .replace(' ', "%20")
    }
}

/// A house behind TLS, and whom its clients trust.
pub(crate) struct TlsHouse {
    pub(crate) house: House,
    pub(crate) servers: Ca,
}

impl TlsHouse {
    pub(crate) async fn with(change: impl FnOnce(&mut Setup)) -> Self {
        let servers = Ca::root("servers");
        let bundle = servers.server().bundle();
        let house = House::with(|setup| {
            setup.file("server.pem", &bundle);
            setup.set("server.tls.cert", "server.pem");
            setup.set("server.tls.key", "server.pem");
            setup.set("limits.failed_logins", "{ requests = 1000, per = \"1m\" }");
            change(setup);
        })
        .await;
        Self { house, servers }
    }

    /// Asks clients for certificates of a CA.
    pub(crate) fn ask(setup: &mut Setup, how: &str, ca: &Ca) {
        setup.file("clients.pem", &ca.pem());
        setup.set("server.tls.client_ca", "clients.pem");
        setup.set("server.tls.client_auth", how);
    }

    /// An agent that shows a certificate.
    pub(crate) fn agent(&self, identity: Option<&Identity>) -> Agent {
        self.house.stranger(None).over(self.http(identity))
    }

    /// The status, or none when there was not even an answer.
    pub(crate) async fn status(&self, identity: Option<&Identity>) -> Option<u16> {
        self.agent(identity).try_status().await
    }

    pub(crate) fn http(&self, identity: Option<&Identity>) -> reqwest::Client {
        let root = reqwest::Certificate::from_pem(self.servers.pem().as_bytes()).unwrap();
        let mut http = reqwest::Client::builder()
            .no_proxy()
            .timeout(std::time::Duration::from_secs(40))
            .tls_certs_only([root]);
        if let Some(identity) = identity {
            let identity = reqwest::Identity::from_pem(identity.bundle().as_bytes()).unwrap();
            http = http.identity(identity);
        }
        http.build().unwrap()
    }

    /// What a client of rustls does, which remembers sessions.
    pub(crate) fn client(&self, identity: Option<&Identity>) -> Arc<ClientConfig> {
        let mut roots = RootCertStore::empty();
        let root = CertificateDer::from_pem_slice(self.servers.pem().as_bytes()).unwrap();
        roots.add(root).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots);
        let mut config = match identity {
            None => builder.with_no_client_auth(),
            Some(identity) => {
                let chain = CertificateDer::pem_slice_iter(identity.chain.as_bytes());
                let key = PrivateKeyDer::from_pem_slice(identity.key.as_bytes()).unwrap();
                let chain = chain.collect::<Result<_, _>>().unwrap();
                builder.with_client_auth_cert(chain, key).unwrap()
            }
        };
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Arc::new(config)
    }

    pub(crate) async fn connect(&self, client: &Arc<ClientConfig>) -> TlsStream<TcpStream> {
        TlsConnector::from(client.clone())
            .connect("localhost".try_into().unwrap(), self.house.socket().await)
            .await
            .unwrap()
    }
}

pub(crate) fn by_uri(uri: &str) -> SanType {
    SanType::URI(uri.try_into().unwrap())
}

/// Runs the openssl command; its output, and whether it was content.
pub(crate) fn openssl(arguments: &[&str]) -> (bool, String) {
    let mut command = Command::new("openssl");
    let command = command.args(arguments).stdin(std::process::Stdio::null());
    let output = command.output().expect("the openssl command");
    let text = [output.stdout, output.stderr].concat();
    (
        output.status.success(),
        String::from_utf8_lossy(&text).into_owned(),
    )
}

/// A load balancer in front, which hands on the certificates of these CAs.
pub(crate) fn behind_balancer(setup: &mut Setup, clients: &str) {
    setup.file("clients.pem", clients);
    setup.set("server.trusted_proxies", "[\"127.0.0.1/32\"]");
    setup.set("server.tls.client_ca", "clients.pem");
    setup.set("server.tls.forwarded_client_cert", "passthrough");
}

impl House {
    /// Somebody of whom the load balancer in front has handed on that as a certificate.
    pub(crate) fn showing(&self, header: &str) -> Agent {
        let agent = self.stranger(None).with("x-forwarded-for", "203.0.113.9");
        agent.with("x-amzn-mtls-clientcert", header)
    }
}

fn ca_params(name: &str, constraints: BasicConstraints) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.serial_number = Some(SerialNumber::from(next_serial()));
    params.is_ca = IsCa::Ca(constraints);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

fn leaf_params(change: impl FnOnce(&mut CertificateParams)) -> (CertificateParams, u64) {
    let serial = next_serial();
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, "leaf");
    params.serial_number = Some(SerialNumber::from(serial));
    params.not_before = date_time_ymd(2020, 1, 1);
    params.not_after = date_time_ymd(2090, 1, 1);
    params.use_authority_key_identifier_extension = true;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    change(&mut params);
    (params, serial)
}

fn serves(params: &mut CertificateParams, names: &[&str]) {
    let names = names.iter().map(|&name| name.to_owned());
    let named = CertificateParams::new(names.collect::<Vec<_>>()).unwrap();
    params.subject_alt_names = named.subject_alt_names;
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
}

fn next_serial() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1000);
    NEXT.fetch_add(1, Ordering::Relaxed)
}
