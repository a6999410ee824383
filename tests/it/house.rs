//! The harness: a house is a daemon, the sandbox behind it, and a folder with their files. It is
//! torn down when it goes out of scope.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::{Command, ExitStatus, Output},
    sync::Arc,
    time::{Duration, Instant},
};

use serde_json::Value;
use tokio::net::TcpStream;

use self::setup::CONFIG;
pub(crate) use self::setup::Setup;
use crate::{agent::Agent, crm::sandbox, process::BINARY, wire::Wire};
pub(crate) use crate::{
    crm::Zoho,
    process::{Folder, Process, command, command_with},
};

mod setup;

pub(crate) const SUPPORT: &str = "customer-service-agent";
pub(crate) const REPORTING: &str = "reporting-agent";
pub(crate) const DASHBOARD: &str = "readonly-dashboard";

/// CRM users with a credential of their own: a representative and their manager.
pub(crate) const REP: &str = "yuki@tallowmere.example";
pub(crate) const MANAGER: &str = "priya@tallowmere.example";

pub(crate) struct House {
    pub(crate) url: String,
    pub(crate) keys: BTreeMap<String, String>,
    pub(crate) zoho: Zoho,
    daemon: Process,
    environment: BTreeMap<String, String>,
    folder: Arc<Folder>,
    sandbox: Option<Process>,
}

impl House {
    /// The demo: everything in one process, as a newcomer starts it.
    pub(crate) async fn demo() -> Self {
        Self::demo_with(Folder::new(), BTreeMap::new()).await
    }

    /// The same with variables of the environment.
    pub(crate) async fn demo_with(folder: Folder, environment: BTreeMap<String, String>) -> Self {
        let ready = folder.path("demo.json");
        let arguments = [
            "demo",
            "--listen",
            "127.0.0.1:0",
            "--ready-file",
            ready.to_str().unwrap(),
        ];
        let daemon = Process::start(&arguments, &environment);
        let ready = daemon.wait_for(&ready).await;
        Self {
            url: ready["url"].as_str().unwrap().to_owned(),
            keys: serde_json::from_value(ready["clients"].clone()).unwrap(),
            zoho: Zoho::new(&ready["zoho"]),
            daemon,
            environment,
            folder: folder.into(),
            sandbox: None,
        }
    }

    /// A daemon with a configuration file, and a sandbox beside it.
    pub(crate) async fn start() -> Self {
        Self::with(|_| ()).await
    }

    pub(crate) async fn with(change: impl FnOnce(&mut Setup)) -> Self {
        let mut setup = Setup::default();
        // Tests share one address and one minute; what is about limits says so itself.
        setup.set("limits.client", "{ requests = 100000, per = \"1m\" }");
        setup.set("limits.global", "{ requests = 100000, per = \"1m\" }");
        setup.set(
            "limits.tools.get_revenue_report",
            "{ requests = 100000, per = \"1m\" }",
        );
        change(&mut setup);
        let folder = Folder::new();
        let (sandbox, zoho) = sandbox(&folder).await;
        let keys = [SUPPORT, REPORTING, DASHBOARD]
            .map(|client| (client.to_owned(), new_key(&folder, client)));
        folder.write("zoho-mcp.toml", &format!("{}{CONFIG}", setup.config));
        let mut credentials = zoho.daemon_credentials.clone();
        if let Some(user) = &setup.zoho_user {
            credentials["refresh_token"] = zoho.refresh_tokens[user].clone();
        }
        folder.write("zoho.json", &credentials.to_string());
        folder.write("users.json", &zoho.people().to_string());
        if let Some(take) = setup.credentials.take() {
            take(&zoho.daemon_credentials);
        }
        for (name, text) in &setup.files {
            folder.write(name, text);
        }
        setup
            .set("zoho.accounts_url", &zoho.url)
            .set("zoho.api_url", &zoho.url);
        let daemon = Self::serve(&folder, "daemon.json", &setup).await;
        Self {
            url: daemon.0,
            keys: keys.into(),
            zoho,
            daemon: daemon.1,
            environment: setup.environment,
            folder: folder.into(),
            sandbox: Some(sandbox),
        }
    }

    /// Another daemon with the same files, keys and sandbox: a second instance.
    pub(crate) async fn replica(&self, change: impl FnOnce(&mut Setup)) -> Self {
        let setup = self.changed(change);
        let (url, daemon) = Self::serve(&self.folder, &Folder::fresh_name("replica"), &setup).await;
        Self {
            url,
            keys: self.keys.clone(),
            zoho: self.zoho.clone(),
            daemon,
            environment: setup.environment,
            folder: self.folder.clone(),
            sandbox: None,
        }
    }

    fn changed(&self, change: impl FnOnce(&mut Setup)) -> Setup {
        let mut setup = Setup {
            environment: self.environment.clone(),
            ..Setup::default()
        };
        change(&mut setup);
        setup
    }

    async fn serve(folder: &Folder, ready: &str, setup: &Setup) -> (String, Process) {
        let (config, ready) = (folder.path("zoho-mcp.toml"), folder.path(ready));
        let _ = fs::remove_file(&ready);
        let arguments = [
            "serve",
            "--config",
            config.to_str().unwrap(),
            "--ready-file",
            ready.to_str().unwrap(),
        ];
        let daemon = Process::start_in(setup.shell.as_deref(), &arguments, &setup.environment);
        let url = daemon.wait_for(&ready).await["url"]
            .as_str()
            .unwrap()
            .to_owned();
        (url, daemon)
    }

    /// Runs a command with the daemon's configuration to its end.
    pub(crate) fn command(&self, arguments: &[&str]) -> Output {
        self.command_with(arguments, |_| ())
    }

    /// The same with something changed.
    pub(crate) fn command_with(
        &self,
        arguments: &[&str],
        change: impl FnOnce(&mut Setup),
    ) -> Output {
        let setup = self.changed(change);
        Command::new(BINARY)
            .args(arguments)
            .arg("--config")
            .arg(self.folder.path("zoho-mcp.toml"))
            .envs(setup.environment)
            .output()
            .unwrap()
    }

    /// Runs a script as an operator would: in the folder of the configuration, with the binary at hand.
    pub(crate) async fn shell(&self, script: &str, variables: &[(&str, &str)]) -> Output {
        let programs = Path::new(BINARY).parent().unwrap().display();
        let script = format!("PATH={programs}:$PATH\n{script}");
        let mut shell = Command::new("timeout");
        shell
            .args(["120", "bash", "-c", &script])
            .current_dir(self.folder.path(""))
            .envs(&self.environment)
            .envs(variables.iter().copied())
            .env("URL", &self.url)
            .env("PID", self.pid().to_string());
        tokio::task::spawn_blocking(move || shell.output().unwrap())
            .await
            .unwrap()
    }

    /// Ends the daemon as a crash does.
    pub(crate) fn crash(&mut self) {
        self.daemon.child.kill().unwrap();
        self.daemon.child.wait().unwrap();
    }

    /// Starts the daemon again after it has ended, in the same folder and beside the same sandbox.
    pub(crate) async fn start_again(&mut self) {
        let setup = self.changed(|_| ());
        (self.url, self.daemon) = Self::serve(&self.folder, "daemon.json", &setup).await;
    }

    /// A client of the listener for operators.
    pub(crate) fn operator(&self) -> Agent {
        let ready = fs::read(self.file("daemon.json")).unwrap();
        let ready: Value = serde_json::from_slice(&ready).unwrap();
        Agent::new(ready["ops"].as_str().unwrap(), None)
    }

    pub(crate) fn agent(&self, client: &str) -> Agent {
        Agent::new(&self.url, Some(&self.keys[client]))
    }

    pub(crate) fn stranger(&self, key: Option<&str>) -> Agent {
        Agent::new(&self.url, key)
    }

    /// A bare connection, for what no client would send.
    pub(crate) async fn socket(&self) -> TcpStream {
        TcpStream::connect(self.address()).await.unwrap()
    }

    /// The same, for what goes back and forth on it.
    pub(crate) async fn wire(&self) -> Wire {
        Wire::new(self.socket().await)
    }

    /// Host and port.
    pub(crate) fn address(&self) -> &str {
        self.url.split("://").last().unwrap()
    }

    /// Ends the daemon with SIGTERM and starts another in its place; how the first one ended.
    pub(crate) async fn restart(&mut self) -> ExitStatus {
        self.signal("-TERM");
        let ended = self.ended().await;
        let listen = "ZOHO_MCP__SERVER__LISTEN".to_owned();
        self.environment.insert(listen, self.address().to_owned());
        self.start_again().await;
        ended
    }

    /// Puts a whole file in the place of another at once, as careful tools do.
    pub(crate) fn replace(&self, name: &str, text: &str) {
        let unfinished = self.folder.write("unfinished", text);
        fs::rename(unfinished, self.file(name)).unwrap();
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.folder.path(name)
    }

    /// The lines of the audit log so far.
    pub(crate) fn audit(&self) -> Vec<Value> {
        let lines = self.daemon.stdout.lock().unwrap().clone();
        lines
            .iter()
            .map(|line| serde_json::from_str(line).expect(line))
            .collect()
    }

    pub(crate) fn audit_text(&self) -> Vec<String> {
        self.daemon.stdout.lock().unwrap().clone()
    }

    pub(crate) fn operational_log(&self) -> String {
        self.daemon.stderr.lock().unwrap().clone()
    }

    /// Waits for a line of the audit log.
    pub(crate) async fn recorded(&self, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        eventually(what, || self.audit().into_iter().find(&wanted)).await
    }

    pub(crate) async fn event(&self, name: &str) -> Value {
        self.recorded(name, |line| line["event"] == name).await
    }

    pub(crate) fn events(&self, name: &str) -> Vec<Value> {
        self.audit()
            .into_iter()
            .filter(|line| line["event"] == name)
            .collect()
    }

    /// Waits until the metrics for operators have that line.
    pub(crate) async fn measured(&self, line: &str) {
        let (operator, deadline) = (self.operator(), Instant::now() + PATIENCE);
        loop {
            let metrics = operator.get("/metrics").await.text;
            if metrics.contains(line) {
                return;
            }
            assert!(Instant::now() < deadline, "no {line}: {metrics}");
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }

    /// Sends a signal to the daemon.
    pub(crate) fn signal(&self, signal: &str) {
        self.daemon.signal(signal);
    }

    /// Sends a signal to the sandbox.
    pub(crate) fn signal_sandbox(&self, signal: &str) {
        let sandbox = self.sandbox.as_ref().expect("a sandbox of its own");
        sandbox.signal(signal);
    }

    pub(crate) fn pid(&self) -> u32 {
        self.daemon.child.id()
    }

    /// Waits for the daemon to end by itself.
    pub(crate) async fn ended(&mut self) -> ExitStatus {
        let child = &mut self.daemon.child;
        eventually("the daemon to end", || child.try_wait().unwrap()).await
    }

    /// Stops the sandbox: Zoho is gone.
    pub(crate) fn stop_sandbox(&mut self) {
        self.sandbox.take().expect("a sandbox of its own");
    }
}

/// Looks again and again for twenty seconds.
pub(crate) async fn eventually<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "waited in vain for {what}");
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}

const PATIENCE: Duration = Duration::from_secs(20);
const LOOK_AGAIN: Duration = Duration::from_millis(20);

pub(crate) fn http() -> reqwest::Client {
    plain_http().build().unwrap()
}

/// For clients of plain HTTP: reading the system's authorities takes longer than a test.
pub(crate) fn plain_http() -> reqwest::ClientBuilder {
    reqwest::Client::builder()
        .no_proxy()
        .timeout(Duration::from_secs(40))
        .tls_certs_only([])
}

fn new_key(folder: &Folder, client: &str) -> String {
    let store = folder.path("keys.json");
    let made = command(&[
        "keys",
        "new",
        "--client",
        client,
        "--store",
        store.to_str().unwrap(),
    ]);
    assert!(
        made.status.success(),
        "{}",
        String::from_utf8_lossy(&made.stderr)
    );
    String::from_utf8(made.stdout).unwrap().trim().to_owned()
}

/// A key, and a document of its own that holds its hash.
pub(crate) fn key_document(client: &str) -> (String, String) {
    let folder = Folder::new();
    let key = new_key(&folder, client);
    (key, fs::read_to_string(folder.path("keys.json")).unwrap())
}
