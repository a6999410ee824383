//! The official clients, as they are: each goes through a visit (connect, list, call, be refused,
//! go on) on both transports. `tests/clients/` has the visits, this file what has to come of them.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use serde_json::Value;

use crate::house::{House, SUPPORT};

#[tokio::test]
async fn python_over_streamable_http() {
    let visit = Visit::python("http", "auto").await;
    visit.succeeds_with("2026-07-28");
    visit.is_told_of_the_limit_by_an_error();
}

#[tokio::test]
async fn python_over_streamable_http_with_the_older_handshake() {
    let visit = Visit::python("http", "legacy").await;
    visit.succeeds_with("2025-11-25");
    visit.is_told_of_the_limit_by_an_error();
}

#[tokio::test]
async fn python_over_sse_survives_a_limit() {
    let visit = Visit::python("sse", "auto").await;
    visit.succeeds_with("2026-07-28");
    visit.is_told_of_the_limit_by_a_result();
}

#[tokio::test]
async fn python_over_sse_with_the_older_handshake_survives_a_limit() {
    let visit = Visit::python("sse", "legacy").await;
    visit.succeeds_with("2025-11-25");
    visit.is_told_of_the_limit_by_a_result();
}

#[tokio::test]
async fn typescript_1_over_streamable_http() {
    let visit = Visit::typescript("http", "1").await;
    visit.succeeds_with("2025-11-25");
    visit.is_told_of_the_limit_by_an_error();
}

#[tokio::test]
async fn typescript_1_over_sse_survives_a_limit() {
    let visit = Visit::typescript("sse", "1").await;
    visit.succeeds();
    visit.is_told_of_the_limit_by_a_result();
}

#[tokio::test]
async fn typescript_2_over_streamable_http() {
    let visit = Visit::typescript("http", "2").await;
    visit.succeeds_with("2025-11-25");
    visit.is_told_of_the_limit_by_an_error();
}

#[tokio::test]
async fn typescript_2_over_streamable_http_with_the_newest_revision() {
    let visit = Visit::typescript("http", "2-auto").await;
    visit.succeeds_with("2026-07-28");
    visit.is_told_of_the_limit_by_an_error();
}

#[tokio::test]
async fn typescript_2_over_sse_survives_a_limit() {
    let visit = Visit::typescript("sse", "2").await;
    visit.succeeds_with("2025-11-25");
    visit.is_told_of_the_limit_by_a_result();
}

#[tokio::test]
async fn typescript_2_over_sse_with_the_newest_revision_survives_a_limit() {
    let visit = Visit::typescript("sse", "2-auto").await;
    visit.succeeds_with("2026-07-28");
    visit.is_told_of_the_limit_by_a_result();
}

#[tokio::test]
async fn a_limit_told_as_a_tool_error_reaches_every_model() {
    let clients = [
        python("http", "auto"),
        typescript("http", "1"),
        typescript("http", "2"),
    ];
    for client in clients {
        // One visit fills the windows of its house.
        let house = visited("tool_error").await;
        let visit = Visit::run(&house, client, &house.keys[SUPPORT]).await;
        visit.succeeds();
        visit.is_told_of_the_limit_by_a_result();
    }
}

#[tokio::test]
async fn a_bad_key_ends_every_client_at_the_door() {
    // Some clients try more than once.
    let house = House::with(|setup| {
        setup.set("limits.failed_logins", "{ requests = 1000, per = \"1m\" }");
    })
    .await;
    let clients = [
        python("http", "auto"),
        python("sse", "auto"),
        typescript("http", "1"),
        typescript("sse", "1"),
        typescript("http", "2"),
        typescript("sse", "2"),
    ];
    for client in clients {
        let described = client.describe();
        let refused = house.events("auth_failed").len();
        let visit = Visit::run(&house, client, "zmcp_nobody_has_this_key").await;
        assert_eq!(visit.names(), ["failed"], "{described}");
        assert!(house.events("auth_failed").len() > refused, "{described}");
        // The Python client tells nobody which status it got over Streamable HTTP.
        let text = visit.step("failed")["text"].as_str().unwrap();
        assert!(
            described == "client.py http auto" || text.contains("401") || text.contains("API key"),
            "{described}: {text}"
        );
    }
}

/// What a client reported of its visit, step by step.
pub(crate) struct Visit {
    client: String,
    steps: Vec<Value>,
}

impl Visit {
    async fn python(transport: &str, mode: &str) -> Self {
        Self::of(python(transport, mode)).await
    }

    async fn typescript(transport: &str, generation: &str) -> Self {
        Self::of(typescript(transport, generation)).await
    }

    async fn of(client: Client) -> Self {
        let house = visited("http").await;
        Self::run(&house, client, &house.keys[SUPPORT]).await
    }

    pub(crate) async fn run(house: &House, client: Client, key: &str) -> Self {
        let described = client.describe();
        let (reports, complaints) = (house.file("reports"), house.file("complaints"));
        let mut child = client
            .command(&house.url)
            .env("API_KEY", key)
            .stdout(File::create(&reports).unwrap())
            .stderr(File::create(&complaints).unwrap())
            .spawn()
            .unwrap();
        let deadline = Instant::now() + Duration::from_secs(120);
        while child.try_wait().unwrap().is_none() {
            if Instant::now() > deadline {
                child.kill().unwrap();
                panic!(
                    "{described} hangs: {}",
                    fs::read_to_string(reports).unwrap()
                );
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let stdout = fs::read_to_string(reports).unwrap();
        let stderr = fs::read_to_string(complaints).unwrap();
        let steps: Vec<Value> = stdout
            .lines()
            .map(|line| serde_json::from_str(line).expect(line))
            .collect();
        assert!(!steps.is_empty(), "{described} reports nothing: {stderr}");
        Self {
            client: described,
            steps,
        }
    }

    fn names(&self) -> Vec<&str> {
        let names = self.steps.iter().map(|step| step["step"].as_str().unwrap());
        names.collect()
    }

    fn step(&self, name: &str) -> &Value {
        let found = self.steps.iter().find(|step| step["step"] == name);
        found.unwrap_or_else(|| panic!("{}: no {name} in {:#?}", self.client, self.steps))
    }

    fn succeeds_with(&self, protocol: &str) {
        assert_eq!(
            self.step("connect")["protocol"],
            protocol,
            "{}",
            self.client
        );
        self.succeeds();
    }

    pub(crate) fn succeeds(&self) {
        let expected = [
            "connect", "list", "call", "denied", "limited", "other", "again", "end",
        ];
        assert_eq!(self.names(), expected, "{}: {:#?}", self.client, self.steps);
        let permitted = ["create_note", "get_contact_history", "search_contacts"];
        assert_eq!(self.step("list")["tools"], serde_json::json!(permitted));
        for step in ["call", "other", "again"] {
            let step = self.step(step);
            assert_eq!(step["isError"], false, "{}: {step}", self.client);
            assert!(
                step["content"]["items"].is_array(),
                "{}: {step}",
                self.client
            );
        }
        assert_eq!(self.step("denied")["isError"], true);
        assert_eq!(
            self.step("denied")["text"],
            "Tool 'get_dashboard_metrics' is not permitted for this client"
        );
    }

    /// The agent sees an HTTP error, whose text says how long to wait.
    fn is_told_of_the_limit_by_an_error(&self) {
        let limited = self.step("limited");
        assert!(limited["error"].is_object(), "{}: {limited}", self.client);
        assert!(limited["wait"].is_u64(), "{}: {limited}", self.client);
    }

    /// The model sees a tool result, whose text says how long to wait.
    fn is_told_of_the_limit_by_a_result(&self) {
        let limited = self.step("limited");
        assert_eq!(limited["isError"], true, "{}: {limited}", self.client);
        assert!(limited["wait"].is_u64(), "{}: {limited}", self.client);
    }
}

/// A house where two searches are a client's fill for a while.
async fn visited(answer: &str) -> House {
    House::with(|setup| {
        setup
            .set(
                "limits.tools.search_contacts",
                "{ requests = 2, per = \"6s\" }",
            )
            .set("limits.answer", answer);
    })
    .await
}

/// A client program and what it is started with.
pub(crate) struct Client {
    program: PathBuf,
    folder: PathBuf,
    script: &'static str,
    arguments: [String; 2],
}

pub(crate) fn python(transport: &str, mode: &str) -> Client {
    Client {
        program: installed("python/bin/python"),
        folder: installed("python"),
        script: "client.py",
        arguments: [transport.to_owned(), mode.to_owned()],
    }
}

pub(crate) fn typescript(transport: &str, generation: &str) -> Client {
    Client {
        program: "node".into(),
        // Where the modules are found from.
        folder: installed("node"),
        script: "client.mjs",
        arguments: [transport.to_owned(), generation.to_owned()],
    }
}

impl Client {
    fn describe(&self) -> String {
        format!("{} {}", self.script, self.arguments.join(" "))
    }

    fn command(&self, url: &str) -> Command {
        let script = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("tests/clients")
            .join(self.script);
        let mut command = Command::new(&self.program);
        if self.script == "client.mjs" {
            command.arg("--input-type=module");
        }
        // From standard input, so that imports are looked for in the folder.
        command
            .arg("-")
            .arg(url)
            .args(&self.arguments)
            .current_dir(&self.folder)
            .stdin(File::open(script).unwrap());
        command
    }
}

/// Something below `target/clients`.
fn installed(path: &str) -> PathBuf {
    let clients = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/clients");
    let stamp = clients.join(if path.starts_with("python") {
        "python/installed.txt"
    } else {
        "node/installed.json"
    });
    assert!(
        stamp.exists(),
        "the official clients are not installed: run tests/run, which installs them"
    );
    clients.join(path)
}
