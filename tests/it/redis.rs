//! A real Redis for the houses of a test, on a port and in a folder of its own, and whatever can
//! happen to it.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use redis::{Client, Connection, FromRedisValue};

use crate::house::Folder;

pub(crate) struct Redis {
    pub(crate) port: u16,
    child: Option<Child>,
    folder: Folder,
    options: Options,
}

/// How a Redis is run.
#[derive(Default)]
pub(crate) struct Options {
    /// As redis-server takes them on its command line.
    arguments: Vec<String>,
    tls_port: Option<u16>,
    password: Option<&'static str>,
    cluster: bool,
    server: Server,
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
enum Server {
    #[default]
    Redis,
    Valkey,
}

impl Server {
    fn command(&self) -> Command {
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
    fn node(self) -> Self {
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

    fn with_certificates(self, folder: &Folder) -> Self {
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

impl Redis {
    pub(crate) fn start() -> Self {
        Self::with(|options| options)
    }

    pub(crate) fn with(change: impl FnOnce(Options) -> Options) -> Self {
        let folder = Folder::new();
        let options = change(Options::default()).with_certificates(&folder);
        let mut redis = Self {
            port: free_port(),
            child: None,
            folder,
            options,
        };
        redis.launch();
        if redis.options.cluster {
            let _: String = redis.ask(&["CLUSTER", "ADDSLOTSRANGE", "0", "16383"]);
            redis.wait_for_cluster();
        }
        redis
    }

    /// A second node of a cluster, which has all that the first has.
    pub(crate) fn replica_in_cluster_of(primary: &Redis) -> Self {
        let replica = Self::with(Options::node);
        let port = primary.port.to_string();
        let bus = primary.bus();
        let _: String = replica.ask(&["CLUSTER", "MEET", "127.0.0.1", &port, bus]);
        let id: String = primary.ask(&["CLUSTER", "MYID"]);
        wait("the nodes to meet", || {
            let nodes: String = replica.ask(&["CLUSTER", "NODES"]);
            let line = nodes.lines().find(|line| line.contains(&id));
            line.is_some_and(|line| line.contains(" master ") && line.contains("0-16383"))
        });
        let _: String = replica.ask(&["CLUSTER", "REPLICATE", &id]);
        replica.wait_for_primary();
        replica
    }

    /// A cluster of three primaries, each of which has a third of the slots.
    pub(crate) fn cluster_of_three() -> [Self; 3] {
        let nodes = std::array::from_fn(|_| Self::with(Options::node));
        let all: &[Self; 3] = &nodes;
        let [first, others @ ..] = all;
        for (node, slots) in all.iter().zip(["0 5460", "5461 10922", "10923 16383"]) {
            let (from, to) = slots.split_once(' ').unwrap();
            let _: String = node.ask(&["CLUSTER", "ADDSLOTSRANGE", from, to]);
        }
        for node in others {
            let port = node.port.to_string();
            let meet = ["CLUSTER", "MEET", "127.0.0.1", &port, node.bus()];
            let _: String = first.ask(&meet);
        }
        for node in all {
            wait("all nodes to know each other", || {
                let info: String = node.ask(&["CLUSTER", "INFO"]);
                info.contains("cluster_state:ok") && info.contains("cluster_size:3")
            });
        }
        nodes
    }

    fn bus(&self) -> &str {
        self.options.arguments.last().unwrap()
    }

    /// The id by which the other nodes of a cluster know it.
    pub(crate) fn node_id(&self) -> String {
        self.ask(&["CLUSTER", "MYID"])
    }

    /// Waits until it has what its primary has.
    pub(crate) fn wait_for_primary(&self) {
        wait("the replica to have what its primary has", || {
            let info: String = self.ask(&["INFO", "replication"]);
            info.contains("master_link_status:up")
        });
    }

    /// Makes a sentinel appoint the other Redis.
    pub(crate) fn fail_over(&self) {
        wait("a replica that can be appointed", || {
            let mut command = redis::cmd("SENTINEL");
            command.arg("FAILOVER").arg("primary");
            let told = command.query::<String>(&mut self.connection().unwrap());
            told.is_ok()
        });
    }

    fn wait_for_cluster(&self) {
        wait("the cluster to be whole", || {
            let info: String = self.ask(&["CLUSTER", "INFO"]);
            info.contains("cluster_state:ok")
        });
    }

    pub(crate) fn url(&self) -> String {
        match self.options.tls_port {
            Some(port) => format!("rediss://localhost:{port}"),
            None => format!("redis://127.0.0.1:{}", self.port),
        }
    }

    /// The certificate authority behind [`Options::tls`].
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

    /// Gives the user `zoho` one more password, and the rights that docs/limits.md names.
    pub(crate) fn allow(&self, password: &str, more: &[&str]) {
        let password = format!(">{password}");
        let user = ["ACL", "SETUSER", "zoho", "on", &password, "~zm:*"];
        let rights = "+evalsha +eval +info +set +get +del +hset +hget +hmget +time +pexpire +zadd +zcard +zcount \
                      +zrangebyscore +zrem +zremrangebyscore +zscore +rpush +llen +blpop";
        let rights = rights.split_whitespace().chain(more.iter().copied());
        let _: String = self.ask(&user.into_iter().chain(rights).collect::<Vec<_>>());
    }

    /// Takes a password from the user `zoho`, and ends all connections.
    pub(crate) fn forbid(&self, password: &str) {
        let password = format!("<{password}");
        let _: String = self.ask(&["ACL", "SETUSER", "zoho", &password]);
        let _: u64 = self.ask(&["CLIENT", "KILL", "TYPE", "normal"]);
    }

    /// Puts something at the end of a list.
    pub(crate) fn push(&self, key: &str, value: &[u8]) {
        let mut push = redis::cmd("RPUSH");
        push.arg(key).arg(value);
        push.exec(&mut self.connection().unwrap()).unwrap();
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

    /// Starts it again, empty, or with what it saved last.
    pub(crate) fn restart(&mut self) {
        assert!(self.child.is_none());
        self.launch();
        if self.options.cluster {
            self.wait_for_cluster();
        }
    }

    /// It holds all connections and answers none.
    pub(crate) fn freeze(&self) {
        self.signal("-STOP");
    }

    pub(crate) fn thaw(&self) {
        self.signal("-CONT");
    }

    pub(crate) fn connection(&self) -> redis::RedisResult<Connection> {
        let credentials = self
            .options
            .password
            .map_or(String::new(), |it| format!(":{it}@"));
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

    fn launch(&mut self) {
        let log = fs::File::create(self.folder.path("redis.log")).unwrap();
        let child = (self.options.server)
            .command()
            .args(&self.options.arguments)
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
            self.connection().is_ok_and(|mut connection| {
                let pinged = redis::cmd("PING").query::<String>(&mut connection);
                pinged.is_ok_and(|pong| pong == "PONG")
            })
        });
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
