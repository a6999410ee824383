//! Secrets Manager: the real protocol from moto, which can be stopped like any process, and a stub
//! for what moto cannot be brought to answer.

use std::{
    collections::BTreeMap,
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Child, Command, Output, Stdio},
    sync::{Arc, Mutex},
};

use axum::{
    Json, Router,
    extract::State,
    http::{HeaderMap, StatusCode},
    routing::post,
};
use serde_json::{Value, json};
use tokio::sync::Barrier;

use crate::house::{Folder, Process, Setup, command_with, eventually, http};

/// A Secrets Manager that forgets everything when it is stopped.
pub(crate) struct Moto {
    server: Child,
    port: u16,
}

impl Moto {
    pub(crate) async fn start() -> Self {
        let (server, port) = serve(0).await;
        Self { server, port }
    }

    /// Kills it. Whoever asks then is refused the connection.
    pub(crate) fn kill(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }

    /// Starts it again, empty, where it was.
    pub(crate) async fn restart(&mut self) {
        self.kill();
        self.server = serve(self.port).await.0;
    }

    /// `-STOP`: whoever asks then waits; `-CONT` ends that.
    pub(crate) fn signal(&self, signal: &str) {
        let pid = self.server.id().to_string();
        let sent = Command::new("kill").args([signal, &pid]).status().unwrap();
        assert!(sent.success());
    }

    pub(crate) fn environment(&self) -> BTreeMap<String, String> {
        environment(&format!("http://127.0.0.1:{}", self.port))
    }

    /// Lets a daemon ask here.
    pub(crate) fn serves(&self, setup: &mut Setup) {
        setup.environment(self.environment());
    }

    /// Runs `zoho-mcp keys` on a secret.
    pub(crate) fn keys(&self, secret: &str, arguments: &[&str]) -> Output {
        let store = format!("aws:{secret}");
        let line = [&["keys"], arguments, &["--store", &store]].concat();
        command_in(&self.environment(), &line)
    }

    /// Makes a key, which must work.
    pub(crate) fn new_key(&self, secret: &str, client: &str) -> String {
        let made = self.keys(secret, &["new", "--client", client]);
        let problem = String::from_utf8_lossy(&made.stderr);
        assert!(made.status.success(), "{problem}");
        String::from_utf8(made.stdout).unwrap().trim().to_owned()
    }

    /// Asks as the AWS CLI would.
    pub(crate) async fn ask(&self, action: &str, body: Value) -> Value {
        let answer = http()
            .post(format!("http://127.0.0.1:{}/", self.port))
            .header("x-amz-target", format!("secretsmanager.{action}"))
            .header("content-type", "application/x-amz-json-1.1")
            .header(
                "authorization",
                "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/secretsmanager/aws4_request, \
                 SignedHeaders=host, Signature=none",
            )
            .body(body.to_string())
            .send()
            .await
            .unwrap();
        let is_success = answer.status().is_success();
        let text = answer.text().await.unwrap();
        assert!(is_success, "{action}: {text}");
        serde_json::from_str(&text).unwrap()
    }

    /// The text of the current version.
    pub(crate) async fn current(&self, secret: &str) -> String {
        let got = self
            .ask("GetSecretValue", json!({ "SecretId": secret }))
            .await;
        got["SecretString"].as_str().unwrap().to_owned()
    }

    /// Puts a text, as the current version or at another stage.
    pub(crate) async fn put(&self, secret: &str, text: &str, stage: &str) {
        let token = uuid();
        let version = json!({
            "SecretId": secret, "SecretString": text, "VersionStages": [stage],
            "ClientRequestToken": token,
        });
        self.ask("PutSecretValue", version).await;
    }
}

impl Drop for Moto {
    fn drop(&mut self) {
        self.kill();
    }
}

async fn serve(port: u16) -> (Child, u16) {
    let program =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("target/clients/python/bin/moto_server");
    let mut server = Command::new(&program)
        .args(["-H", "127.0.0.1", "-p", &port.to_string()])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{}: {error}; tests/run installs it", program.display()));
    let found = Arc::new(Mutex::new(None));
    let (lines, told) = (BufReader::new(server.stderr.take().unwrap()), found.clone());
    std::thread::spawn(move || {
        for line in lines.lines().map_while(Result::ok) {
            if let Some((_, port)) = line.split_once("http://127.0.0.1:") {
                *told.lock().unwrap() = port.trim().parse::<u16>().ok();
            }
        }
    });
    let port = eventually("moto to answer", || *found.lock().unwrap()).await;
    (server, port)
}

/// A Secrets Manager that answers as it is told.
#[derive(Clone)]
pub(crate) struct Stub {
    url: String,
    state: Arc<Mutex<Told>>,
}

#[derive(Default)]
struct Told {
    answers: BTreeMap<String, (u16, Value)>,
    previous: Option<(u16, Value)>,
    version: u32,
    asked: Vec<String>,
    meeting: Option<(Arc<Barrier>, usize)>,
    intruder: Option<String>,
    is_hung: bool,
    hanging: usize,
}

impl Stub {
    pub(crate) async fn start() -> Self {
        let state = Arc::<Mutex<Told>>::default();
        let router = Router::new()
            .route("/", post(answer))
            .with_state(state.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { url, state }
    }

    pub(crate) fn serves(&self, setup: &mut Setup) {
        setup.environment(environment(&self.url));
    }

    pub(crate) fn environment(&self) -> BTreeMap<String, String> {
        environment(&self.url)
    }

    pub(crate) fn port(&self) -> u16 {
        self.url.rsplit(':').next().unwrap().parse().unwrap()
    }

    /// Holds a text as the current version of a secret; each time it is another version.
    pub(crate) fn hold(&self, secret: &str, text: &str) {
        self.state.lock().unwrap().hold(secret, text);
    }

    /// Lets somebody else write this text just before the next write.
    pub(crate) fn intrude(&self, text: &str) {
        self.state.lock().unwrap().intruder = Some(text.to_owned());
    }

    /// Answers with an error of AWS.
    pub(crate) fn fail(&self, secret: &str, status: u16, code: &str) {
        let error = json!({ "__type": code, "message": "made up" });
        let mut told = self.state.lock().unwrap();
        told.answers.insert(secret.to_owned(), (status, error));
    }

    /// Answers with an error of AWS when the version before is asked for.
    pub(crate) fn fail_previous(&self, status: u16, code: &str) {
        let error = json!({ "__type": code, "message": "made up" });
        self.state.lock().unwrap().previous = Some((status, error));
    }

    /// Lets whoever asks for the version before wait without an answer.
    pub(crate) fn hang_previous(&self) {
        self.state.lock().unwrap().is_hung = true;
    }

    /// How many have waited so, or still do.
    pub(crate) fn hanging(&self) -> usize {
        self.state.lock().unwrap().hanging
    }

    /// Lets the next readers of a current version wait for each other: they all read the same.
    pub(crate) fn meet(&self, readers: usize) {
        self.state.lock().unwrap().meeting = Some((Arc::new(Barrier::new(readers)), readers));
    }

    /// The text of the current version.
    pub(crate) fn current(&self, secret: &str) -> String {
        let told = self.state.lock().unwrap();
        told.answers[secret].1["SecretString"]
            .as_str()
            .unwrap()
            .to_owned()
    }

    /// The stages that were asked for so far.
    pub(crate) fn asked(&self) -> Vec<String> {
        self.state.lock().unwrap().asked.clone()
    }
}

async fn answer(
    State(state): State<Arc<Mutex<Told>>>,
    headers: HeaderMap,
    body: String,
) -> (StatusCode, Json<Value>) {
    let asked: Value = serde_json::from_str(&body).unwrap();
    let is_hung = state.lock().unwrap().is_hung;
    if is_hung && asked["VersionStage"] == "AWSPREVIOUS" {
        state.lock().unwrap().hanging += 1;
        std::future::pending::<()>().await;
    }
    let is_put = headers["x-amz-target"] == "secretsmanager.PutSecretValue";
    let (met, (status, value)) = {
        let mut told = state.lock().unwrap();
        match is_put {
            true => (None, told.put(&asked)),
            false => (told.meets(&asked), told.get(&asked)),
        }
    };
    if let Some(met) = met {
        met.wait().await;
    }
    (StatusCode::from_u16(status).unwrap(), Json(value))
}

impl Told {
    fn hold(&mut self, secret: &str, text: &str) {
        self.version += 1;
        let version = format!("00000000-0000-0000-0000-{:012}", self.version);
        let value = json!({ "Name": secret, "SecretString": text, "VersionId": version });
        self.answers.insert(secret.to_owned(), (200, value));
    }

    fn get(&mut self, asked: &Value) -> (u16, Value) {
        let stage = asked["VersionStage"].as_str().unwrap_or("none");
        let secret = asked["SecretId"].as_str().unwrap_or_default();
        self.asked.push(stage.to_owned());
        let known = match stage {
            "AWSCURRENT" => self.answers.get(secret),
            "AWSPREVIOUS" => self.previous.as_ref(),
            _ => None,
        };
        let missing = || (400, json!({ "__type": "ResourceNotFoundException" }));
        known.cloned().unwrap_or_else(missing)
    }

    fn put(&mut self, asked: &Value) -> (u16, Value) {
        let (text, version) = (&asked["SecretString"], &asked["ClientRequestToken"]);
        let value = json!({ "SecretString": text, "VersionId": version });
        let secret = asked["SecretId"].as_str().unwrap().to_owned();
        if let Some(text) = self.intruder.take() {
            self.hold(&secret, &text);
        }
        self.previous = self.answers.insert(secret, (200, value));
        (200, json!({ "VersionId": version }))
    }

    fn meets(&mut self, asked: &Value) -> Option<Arc<Barrier>> {
        let (barrier, readers) = self.meeting.as_mut()?;
        if asked["VersionStage"] != "AWSCURRENT" || *readers == 0 {
            return None;
        }
        *readers -= 1;
        Some(barrier.clone())
    }
}

/// A daemon that is not ready at once, or never. Its port is known before it answers.
pub(crate) struct Early {
    pub(crate) url: String,
    pub(crate) daemon: Process,
    folder: Folder,
}

impl Early {
    /// `auth` is what stands under `[auth.api_keys]`.
    pub(crate) fn start(auth: &str, environment: &BTreeMap<String, String>) -> Self {
        let port = {
            let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
            free.local_addr().unwrap().port()
        };
        let folder = Folder::new();
        folder.write(
            "zoho.json",
            r#"{"client_id":"i","client_secret":"s","refresh_token":"t"}"#,
        );
        let config = format!(
            "[server]\nlisten = \"127.0.0.1:{port}\"\n[auth.api_keys]\n{auth}\n[zoho]\n\
             accounts_url = \"http://127.0.0.1:9\"\napi_url = \"http://127.0.0.1:9\"\n\
             [roles.r]\ntools = [\"search_contacts\"]\nmax_records_per_query = 10\n\
             [clients.customer-service-agent]\nrole = \"r\"\n"
        );
        let config = folder.write("zoho-mcp.toml", &config);
        let ready = folder.path("ready.json");
        let arguments = [
            "serve",
            "--config",
            config.to_str().unwrap(),
            "--ready-file",
            ready.to_str().unwrap(),
        ];
        Self {
            url: format!("http://127.0.0.1:{port}"),
            daemon: Process::start(&arguments, environment),
            folder,
        }
    }

    pub(crate) fn is_ready(&self) -> bool {
        self.folder.path("ready.json").exists()
    }

    /// What it ended with, and what it said.
    pub(crate) async fn ended(&mut self) -> (Option<i32>, String) {
        let child = &mut self.daemon.child;
        let status = eventually("the daemon to end", || child.try_wait().unwrap()).await;
        // What it said last may still be on its way through the pipe.
        let said = || Some(self.daemon.stderr.lock().unwrap().clone()).filter(|it| !it.is_empty());
        (status.code(), eventually("what it said", said).await)
    }

    pub(crate) fn log(&self) -> String {
        self.daemon.stderr.lock().unwrap().clone()
    }
}

/// Runs a command that asks where `environment` says.
pub(crate) fn command_in(environment: &BTreeMap<String, String>, arguments: &[&str]) -> Output {
    let variables = environment.iter().map(|(name, value)| (&**name, &**value));
    command_with(arguments, &variables.collect::<Vec<_>>())
}

/// What makes the AWS SDK ask at `url` and nowhere else.
pub(crate) fn environment(url: &str) -> BTreeMap<String, String> {
    let variables = [
        ("AWS_ENDPOINT_URL", url),
        ("AWS_REGION", "us-east-1"),
        ("AWS_ACCESS_KEY_ID", "test"),
        ("AWS_SECRET_ACCESS_KEY", "test"),
        ("AWS_EC2_METADATA_DISABLED", "true"),
        ("AWS_CONFIG_FILE", "/dev/null"),
        ("AWS_SHARED_CREDENTIALS_FILE", "/dev/null"),
    ];
    let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned()));
    variables.into()
}

fn uuid() -> String {
    uuid::Uuid::new_v4().to_string()
}
