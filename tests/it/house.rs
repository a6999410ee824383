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

use crate::{agent::Agent, crm::sandbox, process::BINARY, wire::Wire};
pub(crate) use crate::{
    crm::Zoho,
    process::{Folder, Process, command, command_with},
};

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

/// What a house starts with; a test changes what it is about.
#[derive(Default)]
pub(crate) struct Setup {
    environment: BTreeMap<String, String>,
    config: String,
    credentials: Option<TakeCredentials>,
    shell: Option<String>,
    files: Vec<(String, String)>,
    zoho_user: Option<String>,
}

type TakeCredentials = Box<dyn FnOnce(&Value)>;

impl Setup {
    /// Starts the daemon out of a shell script, where `"$@"` is the daemon's command.
    pub(crate) fn through(&mut self, script: &str) -> &mut Self {
        self.shell = Some(script.to_owned());
        self
    }

    /// The CRM user whose credentials the daemon has: `admin`, `manager` or `rep-1`.
    pub(crate) fn zoho_user(&mut self, user: &str) -> &mut Self {
        self.zoho_user = Some(user.to_owned());
        self
    }

    /// Gives the daemon an environment variable.
    pub(crate) fn variable(&mut self, name: &str, value: &str) -> &mut Self {
        self.environment.insert(name.to_owned(), value.to_owned());
        self
    }

    /// Leaves a key to the configuration file.
    pub(crate) fn unset(&mut self, key: &str) -> &mut Self {
        self.environment.remove(&variable(key));
        self
    }

    /// Sets a key of the configuration, such as `limits.client`, to a TOML value or a text.
    pub(crate) fn set(&mut self, key: &str, value: &str) -> &mut Self {
        self.environment.insert(variable(key), value.to_owned());
        self
    }

    /// Adds to the environment of the daemon.
    pub(crate) fn environment(&mut self, variables: BTreeMap<String, String>) -> &mut Self {
        self.environment.extend(variables);
        self
    }

    /// Hands what proves the daemon to Zoho to somebody, before the daemon starts.
    pub(crate) fn credentials(&mut self, take: impl FnOnce(&Value) + 'static) -> &mut Self {
        self.credentials = Some(Box::new(take));
        self
    }

    /// Puts a file beside the configuration.
    pub(crate) fn file(&mut self, name: &str, text: &str) -> &mut Self {
        self.files.push((name.to_owned(), text.to_owned()));
        self
    }

    /// Adds to the configuration file.
    pub(crate) fn config(&mut self, toml: &str) -> &mut Self {
        self.config.push_str(toml);
        self
    }
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
        let (config, ready) = (self.file("zoho-mcp.toml"), self.file("daemon.json"));
        let _ = fs::remove_file(&ready);
        let arguments = [
            "serve",
            "--config",
            config.to_str().unwrap(),
            "--ready-file",
            ready.to_str().unwrap(),
        ];
        self.daemon = Process::start(&arguments, &self.environment);
        let ready = self.daemon.wait_for(&ready).await;
        self.url = ready["url"].as_str().unwrap().to_owned();
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
        let (config, ready) = (self.file("zoho-mcp.toml"), self.file("restarted.json"));
        let _ = fs::remove_file(&ready);
        let arguments = [
            "serve",
            "--config",
            config.to_str().unwrap(),
            "--ready-file",
        ];
        let arguments = [&arguments[..], &[ready.to_str().unwrap()]].concat();
        self.daemon = Process::start(&arguments, &self.environment);
        self.daemon.wait_for(&ready).await;
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

fn variable(key: &str) -> String {
    let name = key.to_uppercase().replace('-', "_").replace('.', "__");
    format!("ZOHO_MCP__{name}")
}

/// Looks again and again for twenty seconds.
pub(crate) async fn eventually<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "waited in vain for {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

pub(crate) fn http() -> reqwest::Client {
    let timeout = Duration::from_secs(40);
    reqwest::Client::builder()
        .no_proxy()
        .timeout(timeout)
        // Everything is plain HTTP, and reading the system's authorities takes longer than a test.
        .tls_certs_only([])
        .build()
        .unwrap()
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

const CONFIG: &str = r#"
[server]
listen = "127.0.0.1:0"
[roles.customer-service]
tools = ["search_contacts", "get_contact_history", "create_note"]
max_records_per_query = 10
allow_write = true
[roles.reporting]
tools = ["search_contacts", "get_deal_summary", "get_revenue_report"]
max_records_per_query = 100
[roles.dashboard]
tools = ["get_dashboard_metrics"]
max_records_per_query = 50
[clients.customer-service-agent]
role = "customer-service"
[clients.reporting-agent]
role = "reporting"
[clients.readonly-dashboard]
role = "dashboard"
"#;
