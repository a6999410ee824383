//! The image: the Dockerfile around the binary under test, and what runs containers of it.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
    sync::atomic::{AtomicU32, Ordering},
};

use serde_json::Value;
use tokio::sync::OnceCell;

use crate::house::Setup;

/// The image that all tests share.
pub(crate) struct Image;

/// One container of it, gone when its daemon has ended.
pub(crate) struct Container {
    name: String,
}

impl Image {
    /// Builds it once.
    pub(crate) async fn built() -> Self {
        static BUILT: OnceCell<()> = OnceCell::const_new();
        BUILT
            .get_or_init(|| async { tokio::task::spawn_blocking(build).await.unwrap() })
            .await;
        Self
    }

    /// What the image says of itself.
    pub(crate) fn config(&self) -> Value {
        let told = podman(&["image", "inspect", IMAGE]);
        let images: Value = serde_json::from_slice(&told.stdout).unwrap();
        images[0].clone()
    }

    /// Lets the daemon of a house run in a container: as nobody, with no right and no disk to write
    /// on except the folder of the house.
    pub(crate) fn houses(&self, setup: &mut Setup) -> Container {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("zoho-mcp-{}-{count}", std::process::id());
        setup.through(&format!(
            r#"shift
            folder=$(dirname "$3")
            chown -R 65532:65532 "$folder"
            CONTAINERS_STORAGE_CONF={storage} exec {PODMAN} run --rm --name {name} --no-healthcheck \
                --ulimit nofile=4096:4096 --ulimit nproc=4096:4096 --network host --env-host \
                --read-only --read-only-tmpfs=false --cap-drop ALL --security-opt no-new-privileges \
                --volume "$folder:$folder" {IMAGE} "$@""#,
            storage = storage().display(),
        ));
        Container { name }
    }
}

impl Container {
    /// Runs a command in it to its end.
    pub(crate) fn run(&self, variable: &str, command: &[&str]) -> Output {
        let line = [&["exec", "--env", variable, &self.name], command].concat();
        podman(&line)
    }
}

/// The end of `podman run` by a kill is not the end of what it runs.
impl Drop for Container {
    fn drop(&mut self) {
        podman(&["rm", "--force", "--time", "1", &self.name]);
    }
}

fn build() {
    let given = root().join("target/deploy/given");
    let programs = given.join("out/usr/local/bin");
    fs::create_dir_all(&programs).unwrap();
    fs::copy(env!("CARGO_BIN_EXE_zoho-mcp"), programs.join("zoho-mcp")).unwrap();
    let built = Command::new(root().join("tests/deploy/image"))
        .args([IMAGE, given.to_str().unwrap()])
        .output()
        .unwrap();
    let problem = String::from_utf8_lossy(&built.stderr);
    assert!(
        built.status.success(),
        "{problem}; tests/run installs what it needs"
    );
}

fn podman(arguments: &[&str]) -> Output {
    let mut words = PODMAN.split_whitespace();
    Command::new(words.next().unwrap())
        .args(words)
        .args(arguments)
        .env("CONTAINERS_STORAGE_CONF", storage())
        .output()
        .unwrap_or_else(|error| panic!("podman: {error}; tests/run installs it"))
}

fn storage() -> PathBuf {
    root().join("target/deploy/images/storage.conf")
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Without systemd, which machines that run tests need not have.
const PODMAN: &str = "podman --cgroup-manager cgroupfs --runtime runc --events-backend file";
const IMAGE: &str = "localhost/zoho-mcp:it";
