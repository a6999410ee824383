//! One machine: what the page on deployment says is done below a folder that stands in for `/`, and
//! the daemon is started on it as the user that systemd would start it as.

use std::{fs, os::unix::fs::MetadataExt as _, path::PathBuf, process::Command};

use crate::tools::{passes, read, root, run, text};

const BINARY: &str = env!("CARGO_BIN_EXE_zoho-mcp");

/// A machine, where other users come to; the folders of a build need not be open to them.
struct Machine(PathBuf);

impl Machine {
    /// Runs the commands of the page.
    fn installed() -> Self {
        let name = format!("zoho-mcp-machine-{}", std::process::id());
        let machine = Self(std::env::temp_dir().join(name));
        let at = machine.0.display();
        let prepare = format!(
            r#"mkdir -p {at}/own/target/dist {at}/tools {at}/etc {at}/usr/lib/sysusers.d
            cd {at}/own && ln -s {repository}/deploy {repository}/docs {repository}/README.md .
            ln -s {BINARY} target/dist/zoho-mcp
            echo '{{"client_id":"1","client_secret":"2","refresh_token":"3"}}' > zoho.json
            printf '#!/bin/sh\necho "$*" >> {at}/asked\n' > ../tools/systemctl
            chmod 755 ../tools/systemctl"#,
            repository = root().display(),
        );
        shell(&prepare);
        shell(&machine.commands());
        machine
    }

    /// Those of the page, with this folder for `/`.
    fn commands(&self) -> String {
        let at = self.0.display();
        let page = read("docs/deployment.md");
        let (_, section) = page.split_once("\n## One machine\n").unwrap();
        let (_, block) = section.split_once("```sh\n").unwrap();
        let (commands, _) = block.split_once("\n```").unwrap();
        let group = format!("$(awk -F: '$1 == \"zoho-mcp\" {{print $3}}' {at}/etc/group)");
        let group = if is_root() {
            group
        } else {
            "$(id -g)".to_owned()
        };
        let here = commands
            .replace(" /etc/", &format!(" {at}/etc/"))
            .replace(" /usr/", &format!(" {at}/usr/"))
            .replace("systemd-sysusers", &format!("systemd-sysusers --root={at}"))
            .replace("-g zoho-mcp", &format!("-g \"{group}\""));
        format!("cd {at}/own; PATH={at}/usr/local/bin:{at}/tools:$PATH\n{here}")
    }

    fn path(&self, below: &str) -> PathBuf {
        self.0.join(below)
    }

    /// User and group that `systemd-sysusers` made.
    fn user(&self) -> (u32, u32) {
        let passwd = fs::read_to_string(self.path("etc/passwd")).unwrap();
        let user = passwd.lines().find_map(|it| it.strip_prefix("zoho-mcp:"));
        let mut ids = user.unwrap().split(':').skip(1);
        let mut id = || ids.next().unwrap().parse().unwrap();
        (id(), id())
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn shell(script: &str) -> String {
    passes(Command::new("bash").args(["-euo", "pipefail", "-c", script]))
}

fn is_root() -> bool {
    fs::metadata("/proc/self").unwrap().uid() == 0
}

/// What a line of the unit says.
fn unit(key: &str) -> Option<String> {
    let unit = read("deploy/systemd/zoho-mcp.service");
    let value = unit
        .lines()
        .find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
    value.map(str::to_owned)
}

#[test]
fn what_is_installed_can_be_read_by_the_user_of_the_unit() {
    let machine = Machine::installed();
    let asked = fs::read_to_string(machine.path("asked")).unwrap();
    assert_eq!(asked, "daemon-reload\nenable --now zoho-mcp\n");
    let documentation = unit("Documentation").unwrap();
    let documentation = documentation.strip_prefix("file:///").unwrap().to_owned();
    assert!(machine.path(&documentation).exists(), "{documentation}");
    for secret in ["keys.json", "zoho.json", "pseudonym-key", "audit-key.pem"] {
        let mode = fs::metadata(machine.path("etc/zoho-mcp").join(secret))
            .unwrap()
            .mode();
        assert_eq!(mode & 0o777, 0o640, "{secret}");
    }

    let config = machine.path("etc/zoho-mcp/zoho-mcp.toml");
    let at = machine.path("var").display().to_string();
    let here = fs::read_to_string(&config)
        .unwrap()
        .replace("\"file:/var", &format!("\"file:{at}"));
    fs::write(&config, here.replace("\"/var", &format!("\"{at}"))).unwrap();
    let (user, group) = machine.user();
    // What LogsDirectory= and StateDirectory= make.
    let (of_user, as_user) = match is_root() {
        true => (
            format!("chown {user}:{group}"),
            format!("setpriv --reuid={user} --regid={group} --clear-groups"),
        ),
        false => ("true".to_owned(), String::new()),
    };
    let said = shell(&format!(
        "mkdir -p {at}/log/zoho-mcp {at}/lib/zoho-mcp; {of_user} {at}/log/zoho-mcp {at}/lib/zoho-mcp
        cd /; {as_user} {binary} check --config {config}",
        binary = machine.path("usr/local/bin/zoho-mcp").display(),
        config = config.display(),
    ));
    assert!(!said.contains("warning"), "{said}");
    assert!(said.contains("audit log: can be written"), "{said}");
}

#[test]
fn a_wrong_configuration_ends_what_systemd_started_with_what_it_does_not_start_again() {
    // Of other commands than the main one the status is not looked at.
    assert_eq!(unit("ExecStartPre"), None);
    let start = unit("ExecStart").unwrap();
    assert!(
        start.starts_with("/usr/local/bin/zoho-mcp serve "),
        "{start}"
    );
    let wrong = run(Command::new(BINARY).args(["serve", "--config", "tests/deploy.rs"]));
    let status = unit("RestartPreventExitStatus").unwrap();
    assert_eq!(
        wrong.status.code(),
        status.parse().ok(),
        "{}",
        text(&wrong.stderr)
    );
}
