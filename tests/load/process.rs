//! The processes that take part, and what they use.

use std::{
    fs::{self, File},
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use axum::serve::{Listener, ListenerExt as _};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::{backend::Backend, generator::Endpoint};

/// Where the daemon's files are, and how processes are started.
pub(crate) struct Installation {
    binary: PathBuf,
    folder: PathBuf,
    core: Option<usize>,
}

/// A process that ends with this value.
pub(crate) struct Process {
    child: Child,
    pub(crate) ready: Value,
    key: String,
}

impl Installation {
    pub(crate) fn new(binary: &Path, folder: &Path, core: Option<usize>) -> Self {
        let _ = fs::remove_dir_all(folder);
        fs::create_dir_all(folder).unwrap();
        Self {
            binary: binary.to_owned(),
            folder: folder.to_owned(),
            core,
        }
    }

    pub(crate) async fn sandbox(&self) -> Process {
        let mut command = Command::new(&self.binary);
        command.args(["sandbox", "--listen", "127.0.0.1:0"]);
        self.ready(command, "sandbox.json", String::new()).await
    }

    pub(crate) async fn demo(&self) -> Process {
        let mut command = Command::new(&self.binary);
        command.args(["demo", "--listen", "127.0.0.1:0"]);
        self.ready(command, "demo.json", String::new()).await
    }

    /// The daemon with everything on: keys, limits in every dimension, roles, the audit log, which is
    /// the default one if `audit` says nothing of it.
    pub(crate) async fn daemon(
        &self,
        name: &str,
        backend: &Backend,
        zoho: &Value,
        audit: &str,
    ) -> Process {
        self.credentials(zoho);
        let url = &backend.url;
        let config = format!(
            "{CONFIG}{audit}[zoho]\nconcurrency = 64\ndaily_credits = 1000000000\nclient_share = 1.0\naccounts_url = \"{url}\"\napi_url = \"{url}\"\n"
        );
        let file = self.folder.join(format!("{name}.toml"));
        fs::write(&file, config).unwrap();
        let key = self.key("agent");
        let mut command = self.pinned(&self.binary);
        command.args(["serve", "--config"]).arg(&file);
        self.ready(command, &format!("{name}.json"), key).await
    }

    /// A daemon with the configuration of that file, and with what the environment adds to it.
    pub(crate) async fn serve(
        &self,
        name: &str,
        config: &Path,
        variables: &[(&str, &str)],
    ) -> Process {
        let mut command = self.pinned(&self.binary);
        command.args(["serve", "--config"]).arg(config);
        command.envs(variables.iter().copied());
        self.ready(command, &format!("{name}.json"), String::new())
            .await
    }

    /// What the daemon signs in at Zoho with, in `zoho.json`.
    pub(crate) fn credentials(&self, zoho: &Value) {
        let credentials = json!({
            "client_id": zoho["client_id"],
            "client_secret": zoho["client_secret"],
            "refresh_token": zoho["refresh_tokens"]["admin"],
        });
        fs::write(self.folder.join("zoho.json"), credentials.to_string()).unwrap();
    }

    /// A new key, whose hash is in `keys.json`.
    pub(crate) fn key(&self, client: &str) -> String {
        let made = Command::new(&self.binary)
            .args(["keys", "new", "--client", client, "--store"])
            .arg(self.folder.join("keys.json"))
            .output()
            .unwrap();
        assert!(made.status.success(), "{made:?}");
        String::from_utf8(made.stdout).unwrap().trim().to_owned()
    }

    /// Whether the log in those files is as it was written; says what is wrong with it.
    pub(crate) fn verify(&self, files: &[PathBuf]) {
        let mut verify = Command::new(&self.binary);
        verify.args(["audit", "verify"]).args(files);
        let verified = verify.output().unwrap();
        assert!(verified.status.success(), "{verified:?}");
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    pub(crate) async fn bare(&self, backend: &Backend, token: &str, replayed: &Value) -> Process {
        let mut command = self.pinned(&std::env::current_exe().unwrap());
        command
            .args(["bare", "--api", &backend.url, "--token", token])
            .args(["--replayed", &replayed.to_string()])
            .stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut url = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut url)
            .unwrap();
        Process {
            child,
            ready: json!({ "url": url.trim() }),
            key: "none".to_owned(),
        }
    }

    fn pinned(&self, binary: &Path) -> Command {
        let Some(core) = self.core else {
            return Command::new(binary);
        };
        let mut command = Command::new("taskset");
        command.args(["--cpu-list", &core.to_string()]).arg(binary);
        command
    }

    async fn ready(&self, mut command: Command, name: &str, key: String) -> Process {
        let file = self.folder.join(name);
        let log = self.folder.join(name).with_extension("log");
        let child = command
            .arg("--ready-file")
            .arg(&file)
            .stdin(Stdio::null())
            .stdout(File::create("/dev/null").unwrap())
            .stderr(File::create(&log).unwrap())
            .spawn()
            .unwrap();
        let deadline = Instant::now() + Duration::from_secs(30);
        while !file.exists() {
            assert!(
                Instant::now() < deadline,
                "not ready: see {}",
                log.display()
            );
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        Process {
            child,
            ready: serde_json::from_slice(&fs::read(&file).unwrap()).unwrap(),
            key,
        }
    }
}

impl Process {
    pub(crate) fn endpoint(&self) -> Endpoint {
        let url = self.ready["url"].as_str().unwrap();
        Endpoint {
            address: url.strip_prefix("http://").unwrap().parse().unwrap(),
            key: self.key.clone(),
        }
    }

    /// Ends it as an orchestrator does, and waits until it has ended well.
    pub(crate) fn stop(mut self) {
        let pid = self.child.id().to_string();
        let told = Command::new("kill").args(["-TERM", &pid]).status().unwrap();
        let ended = self.child.wait().unwrap();
        assert!(told.success() && ended.success(), "{ended}");
    }

    /// CPU time of all its threads so far, as the scheduler counts it.
    pub(crate) fn cpu(&self) -> Duration {
        cpu_of(self.child.id())
    }

    pub(crate) fn resident_mib(&self) -> f64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS:"));
        let kib: f64 = line
            .unwrap()
            .split_whitespace()
            .nth(1)
            .unwrap()
            .parse()
            .unwrap();
        kib / 1024.0
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// CPU time of all threads of a process so far.
pub(crate) fn cpu_of(process: u32) -> Duration {
    let threads = fs::read_dir(format!("/proc/{process}/task")).unwrap();
    let nanoseconds = threads.map(|thread| {
        let text = fs::read_to_string(thread.unwrap().path().join("schedstat"));
        let text = text.unwrap_or_default();
        text.split(' ').next().unwrap().parse().unwrap_or(0)
    });
    Duration::from_nanos(nanoseconds.sum())
}

/// A listener whose connections send at once, as the daemon's do.
pub(crate) fn no_delay(
    listener: TcpListener,
) -> impl Listener<Io = tokio::net::TcpStream, Addr = std::net::SocketAddr> {
    listener.tap_io(|socket| socket.set_nodelay(true).unwrap())
}

pub(crate) fn http() -> reqwest::Client {
    reqwest::Client::builder()
        .no_proxy()
        .tcp_nodelay(true)
        .build()
        .unwrap()
}

/// Limits that count every call and refuse none.
pub(crate) const CONFIG: &str = r#"
[server]
listen = "127.0.0.1:0"
max_connections = 30000
max_connections_per_address = 30000
[mcp]
max_streams_per_client = 30000
max_streams_per_user = 30000
[limits]
global = { requests = 1000000, per = "1s" }
client = { requests = 1000000, per = "1s" }
in_flight = 1000
in_flight_total = 1000
[limits.tools]
create_note = { requests = 1000000, per = "1s" }
search_contacts = { requests = 1000000, per = "1s" }
[roles.everything]
tools = ["create_note", "search_contacts"]
max_records_per_query = 100
allow_write = true
[clients.agent]
role = "everything"
"#;
