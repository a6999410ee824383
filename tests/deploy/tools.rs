//! The tools, and folders to give them.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
    sync::atomic::{AtomicU32, Ordering},
};

/// A tool that `tests/run` installs below `target/deploy`.
pub(crate) fn tool(name: &str) -> Command {
    Command::new(root().join("target/deploy/python/bin").join(name))
}

/// The checker of policies, offline and for what it is given.
pub(crate) fn checkov(framework: &str) -> Command {
    let mut checkov = tool("checkov");
    checkov.args(["--skip-download", "--quiet", "--compact", "--framework"]);
    checkov.arg(framework);
    checkov
}

/// The daemon's binary.
pub(crate) fn zoho_mcp() -> Command {
    Command::new(env!("CARGO_BIN_EXE_zoho-mcp"))
}

/// Runs it in the repository; a tool that is not there fails the test and says what to do.
pub(crate) fn run(command: &mut Command) -> Output {
    let program = command.get_program().to_owned();
    command
        .current_dir(root())
        .output()
        .unwrap_or_else(|error| panic!("{}: {error}; tests/run installs it", program.display()))
}

/// Runs it and expects it to be content; what it printed.
pub(crate) fn passes(command: &mut Command) -> String {
    let ended = run(command);
    let printed = text(&ended.stdout);
    let problem = text(&ended.stderr);
    assert!(ended.status.success(), "{command:?}: {printed}{problem}");
    printed
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

pub(crate) fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).expect(path)
}

/// A folder that goes away.
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("deploy-{}-{count}", std::process::id());
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        fs::create_dir_all(&folder).unwrap();
        Self(folder)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// Writes a file that only its owner can read.
    pub(crate) fn write(&self, name: &str, text: &str) -> PathBuf {
        use std::os::unix::fs::PermissionsExt as _;
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// What the configurations in `deploy/` refer to: keys, credentials, a key that signs.
pub(crate) fn secrets(folder: &Folder, below: &str) {
    let keys = folder.path(&format!("{below}/keys.json"));
    fs::create_dir_all(keys.parent().unwrap()).unwrap();
    for client in ["customer-service-agent", "reporting-agent"] {
        let new = ["keys", "new", "--client", client, "--store"];
        passes(zoho_mcp().args(new).arg(&keys));
    }
    let signing = folder.path(&format!("{below}/audit-key.pem"));
    passes(zoho_mcp().args(["audit", "keygen", "--out"]).arg(&signing));
    let zoho = r#"{"client_id":"1","client_secret":"2","refresh_token":"3"}"#;
    folder.write(&format!("{below}/zoho.json"), zoho);
    folder.write(&format!("{below}/redis-password"), "of-redis");
    folder.write(&format!("{below}/pseudonym-key"), &"k".repeat(32));
    folder.write(&format!("{below}/token-key"), &"t".repeat(32));
}

/// The daemon has nothing to say against a configuration.
pub(crate) fn is_content(config: &Path) {
    let said = passes(zoho_mcp().args(["check", "--config"]).arg(config));
    assert!(!said.contains("warning"), "{said}");
}
