//! A real Redis for the houses of a test, on a port and in a folder of its own, and whatever can
//! happen to it.

use std::{
    fs,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use redis::{Client, Connection, FromRedisValue};

pub(crate) use self::options::{Certificate, Options, valkey};
use crate::house::Folder;

mod cluster;
mod options;

pub(crate) struct Redis {
    pub(crate) port: u16,
    child: Option<Child>,
    folder: Folder,
    options: Options,
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
