//! A real Redis for the houses of a test, on a port and in a folder of its own, and whatever can
//! happen to it.

use std::{
    fs,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use redis::{Client, Connection, FromRedisValue};

use crate::house::Folder;

pub(crate) struct Redis {
    pub(crate) port: u16,
    child: Option<Child>,
    folder: Folder,
    arguments: Vec<String>,
    tls_port: Option<u16>,
    password: Option<&'static str>,
}

impl Redis {
    pub(crate) fn start() -> Self {
        Self::with(&[])
    }

    /// With settings as redis-server takes them on its command line.
    pub(crate) fn with(arguments: &[&str]) -> Self {
        let arguments = arguments.iter().map(|&argument| argument.to_owned());
        let redis = Self {
            port: free_port(),
            child: None,
            folder: Folder::new(),
            arguments: arguments.collect(),
            tls_port: None,
            password: None,
        };
        redis.started()
    }

    /// With a password for everybody.
    pub(crate) fn with_password(password: &'static str) -> Self {
        let mut redis = Self::with(&["--requirepass", password]);
        redis.password = Some(password);
        redis
    }

    /// With TLS beside the bare port, and a certificate authority made for it: [`Redis::ca`].
    pub(crate) fn with_tls() -> Self {
        let folder = Folder::new();
        let (ca, certificate, key) = certificates();
        let ca = folder.write("ca.pem", &ca);
        let certificate = folder.write("redis.pem", &certificate);
        let key = folder.write("redis.key", &key);
        let tls_port = free_port();
        let arguments = [
            "--tls-port".to_owned(),
            tls_port.to_string(),
            "--tls-ca-cert-file".into(),
            ca.display().to_string(),
            "--tls-cert-file".into(),
            certificate.display().to_string(),
            "--tls-key-file".into(),
            key.display().to_string(),
            "--tls-auth-clients".into(),
            "no".into(),
        ];
        let redis = Self {
            port: free_port(),
            child: None,
            folder,
            arguments: arguments.into(),
            tls_port: Some(tls_port),
            password: None,
        };
        redis.started()
    }

    /// A cluster of one node that holds all slots.
    pub(crate) fn cluster() -> Self {
        let redis = Self::with(&["--cluster-enabled", "yes"]);
        let _: String = redis.ask(&["CLUSTER", "ADDSLOTSRANGE", "0", "16383"]);
        wait("the cluster to be whole", || {
            let info: String = redis.ask(&["CLUSTER", "INFO"]);
            info.contains("cluster_state:ok")
        });
        redis
    }

    /// A sentinel that watches a Redis and calls it `primary`.
    pub(crate) fn sentinel_of(primary: &Self) -> Self {
        let folder = Folder::new();
        let config = folder.write(
            "sentinel.conf",
            &format!("sentinel monitor primary 127.0.0.1 {} 1\n", primary.port),
        );
        let redis = Self {
            port: free_port(),
            child: None,
            folder,
            arguments: vec![config.display().to_string(), "--sentinel".into()],
            tls_port: None,
            password: None,
        };
        redis.started()
    }

    pub(crate) fn url(&self) -> String {
        match self.tls_port {
            Some(port) => format!("rediss://localhost:{port}"),
            None => format!("redis://127.0.0.1:{}", self.port),
        }
    }

    /// The certificate authority behind [`Redis::with_tls`].
    pub(crate) fn ca(&self) -> String {
        self.folder.path("ca.pem").display().to_string()
    }

    /// Sends a command and waits for its answer.
    pub(crate) fn ask<T: FromRedisValue>(&self, command: &[&str]) -> T {
        let (name, arguments) = command.split_first().unwrap();
        redis::cmd(name)
            .arg(arguments)
            .query(&mut self.connection().unwrap())
            .unwrap()
    }

    pub(crate) fn keys(&self) -> Vec<String> {
        self.ask(&["KEYS", "*"])
    }

    /// How often a command was run so far.
    pub(crate) fn ran(&self, command: &str) -> u64 {
        let info: String = self.ask(&["INFO", "commandstats"]);
        let line = info
            .lines()
            .find_map(|line| line.strip_prefix(&format!("cmdstat_{command}:calls=")));
        let calls = line.and_then(|line| line.split(',').next());
        calls.map_or(0, |calls| calls.parse().unwrap())
    }

    /// Ends it as a crash does.
    pub(crate) fn kill(&mut self) {
        let mut child = self.child.take().expect("a running Redis");
        child.kill().unwrap();
        child.wait().unwrap();
    }

    /// Starts it again, empty.
    pub(crate) fn restart(&mut self) {
        assert!(self.child.is_none());
        self.launch();
    }

    /// It holds all connections and answers none.
    pub(crate) fn freeze(&self) {
        self.signal("-STOP");
    }

    pub(crate) fn thaw(&self) {
        self.signal("-CONT");
    }

    pub(crate) fn connection(&self) -> redis::RedisResult<Connection> {
        let credentials = self.password.map_or(String::new(), |it| format!(":{it}@"));
        let url = format!("redis://{credentials}127.0.0.1:{}", self.port);
        Client::open(url)?.get_connection_with_timeout(Duration::from_secs(5))
    }

    fn signal(&self, signal: &str) {
        let pid = self
            .child
            .as_ref()
            .expect("a running Redis")
            .id()
            .to_string();
        let sent = Command::new("kill").args([signal, &pid]).status().unwrap();
        assert!(sent.success());
    }

    fn started(mut self) -> Self {
        self.launch();
        self
    }

    fn launch(&mut self) {
        let log = fs::File::create(self.folder.path("redis.log")).unwrap();
        let child = Command::new("redis-server")
            .args(&self.arguments)
            .args(["--port", &self.port.to_string(), "--bind", "127.0.0.1"])
            .args(["--save", "", "--appendonly", "no", "--dir"])
            .arg(self.folder.path(""))
            .stdin(Stdio::null())
            .stdout(log)
            .stderr(Stdio::null())
            .spawn()
            .expect("redis-server: tests/run installs it");
        self.child = Some(child);
        wait("Redis to answer", || {
            // One that wants a password answers too.
            self.connection().is_ok_and(|mut connection| {
                let pinged = redis::cmd("PING").query::<String>(&mut connection);
                pinged.is_ok_and(|pong| pong == "PONG")
            }) || self.wants_a_password()
        });
    }

    fn wants_a_password(&self) -> bool {
        let wanted = self
            .arguments
            .iter()
            .any(|argument| argument == "--requirepass");
        wanted && std::net::TcpStream::connect(("127.0.0.1", self.port)).is_ok()
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn wait(what: &str, mut done: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !done() {
        assert!(Instant::now() < deadline, "waited in vain for {what}");
        #[expect(
            clippy::disallowed_methods,
            reason = "no runtime is needed to start a Redis"
        )]
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

/// An authority, and a certificate of `localhost` with its key.
fn certificates() -> (String, String, String) {
    let mut authority = rcgen::CertificateParams::default();
    authority.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let authority_key = rcgen::KeyPair::generate().unwrap();
    let ca = authority.self_signed(&authority_key).unwrap();
    let issuer = rcgen::Issuer::new(authority, authority_key);
    let key = rcgen::KeyPair::generate().unwrap();
    let server = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    let server = server.signed_by(&key, &issuer).unwrap();
    (ca.pem(), server.pem(), key.serialize_pem())
}
