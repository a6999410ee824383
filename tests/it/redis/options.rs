//! How a Redis of a test is run: its program, its command line, its certificate.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use super::{Redis, free_port};
use crate::house::Folder;

/// How a Redis is run.
#[derive(Default)]
pub(crate) struct Options {
    /// As redis-server takes them on its command line.
    pub(super) arguments: Vec<String>,
    pub(super) tls_port: Option<u16>,
    pub(super) password: Option<&'static str>,
    pub(super) cluster: bool,
    pub(super) server: Server,
    certificate: Certificate,
    demands_certificates: bool,
}

/// What the certificate of a Redis says.
#[derive(Clone, Copy, Default)]
pub(crate) enum Certificate {
    #[default]
    Good,
    Expired,
    OfAnotherName,
}

/// Which program it is.
#[derive(Default)]
pub(super) enum Server {
    #[default]
    Redis,
    Valkey,
}

impl Server {
    pub(super) fn command(&self) -> Command {
        match self {
            Self::Redis => Command::new("redis-server"),
            Self::Valkey => Command::new(valkey().expect("tests/run installs Valkey")),
        }
    }
}

/// Where `tests/run` has put Valkey, if it could be had.
pub(crate) fn valkey() -> Option<PathBuf> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/valkey/valkey-server");
    file.exists().then_some(file)
}

impl Options {
    fn add(mut self, arguments: &[&str]) -> Self {
        let arguments = arguments.iter().map(|&argument| argument.to_owned());
        self.arguments.extend(arguments);
        self
    }

    /// With a password for everybody.
    pub(crate) fn password(mut self, password: &'static str) -> Self {
        self.password = Some(password);
        self.add(&["--requirepass", password])
    }

    /// With TLS beside the bare port, and a certificate authority made for it: [`Redis::ca`].
    pub(crate) fn tls(mut self) -> Self {
        self.tls_port = Some(free_port());
        self
    }

    /// Valkey in its place.
    pub(crate) fn valkey(mut self) -> Self {
        self.server = Server::Valkey;
        self
    }

    /// With TLS for those who show a certificate of the same authority only.
    pub(crate) fn client_certificates(mut self) -> Self {
        self.demands_certificates = true;
        self.tls()
    }

    /// A certificate that says something else.
    pub(crate) fn certificate(mut self, certificate: Certificate) -> Self {
        self.certificate = certificate;
        self.tls()
    }

    /// A cluster of one node that holds all slots.
    pub(crate) fn cluster(mut self) -> Self {
        self.cluster = true;
        self.node()
    }

    /// A node of a cluster that holds nothing.
    pub(super) fn node(self) -> Self {
        let bus = free_port().to_string();
        self.add(&["--cluster-enabled", "yes", "--cluster-port", &bus])
    }

    /// A replica of a Redis.
    pub(crate) fn replica_of(self, primary: &Redis) -> Self {
        self.add(&["--replicaof", "127.0.0.1", &primary.port.to_string()])
    }

    /// A sentinel that watches a Redis and calls it `primary`.
    pub(crate) fn sentinel_of(self, primary: &Redis) -> Self {
        let monitor = format!("sentinel monitor primary 127.0.0.1 {} 1\n", primary.port);
        let password = primary.options.password;
        let password = password.map(|it| format!("sentinel auth-pass primary {it}\n"));
        let config = monitor + &password.unwrap_or_default();
        let file = primary.folder.write("sentinel.conf", &config);
        let mut options = self;
        options.arguments.insert(0, file.display().to_string());
        options.add(&["--sentinel"])
    }

    pub(super) fn with_certificates(self, folder: &Folder) -> Self {
        let Some(port) = self.tls_port else {
            return self;
        };
        let (ca, certificate, key) = certificates(self.certificate);
        let file = |name, text: &str| folder.write(name, text).display().to_string();
        let (ca, certificate) = (file("ca.pem", &ca), file("redis.pem", &certificate));
        let key = file("redis.key", &key);
        let auth = if self.demands_certificates {
            "yes"
        } else {
            "no"
        };
        self.add(&["--tls-port", &port.to_string(), "--tls-auth-clients", auth])
            .add(&["--tls-ca-cert-file", &ca, "--tls-cert-file", &certificate])
            .add(&["--tls-key-file", &key, "--tls-cluster", "yes"])
    }
}

/// An authority, and a certificate of this machine with its key.
fn certificates(wanted: Certificate) -> (String, String, String) {
    let mut authority = rcgen::CertificateParams::default();
    authority.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let authority_key = rcgen::KeyPair::generate().unwrap();
    let ca = authority.self_signed(&authority_key).unwrap();
    let issuer = rcgen::Issuer::new(authority, authority_key);
    let key = rcgen::KeyPair::generate().unwrap();
    let names: &[&str] = match wanted {
        Certificate::OfAnotherName => &["elsewhere.example"],
        Certificate::Good | Certificate::Expired => &["localhost", "127.0.0.1"],
    };
    let names = names.iter().map(|&name| name.to_owned());
    let mut server = rcgen::CertificateParams::new(names.collect::<Vec<_>>()).unwrap();
    if let Certificate::Expired = wanted {
        server.not_after = rcgen::date_time_ymd(2001, 1, 1);
    }
    let server = server.signed_by(&key, &issuer).unwrap();
    (ca.pem(), server.pem(), key.serialize_pem())
}
