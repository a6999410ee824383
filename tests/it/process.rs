//! The binary under test: run to its end, or as a process that ends with its value, and the folders
//! that it works in.

use std::{
    collections::BTreeMap,
    ffi::OsStr,
    fs,
    io::{BufRead, BufReader, Read},
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use serde_json::Value;

/// Runs a command of the binary to its end.
pub(crate) fn command(arguments: &[&str]) -> Output {
    command_with::<&str>(arguments, &[])
}

/// The same with environment variables.
pub(crate) fn command_with<V: AsRef<OsStr>>(arguments: &[&str], variables: &[(&str, V)]) -> Output {
    Command::new(BINARY)
        .args(arguments)
        .envs(variables.iter().map(|(name, value)| (name, value)))
        .output()
        .unwrap()
}

/// Runs a command whose output goes to a pipe that nobody reads any more; what it says on standard
/// error as well, if that is to be `silent`.
pub(crate) fn unheard(arguments: &[&str], silent: bool) -> Output {
    let closed = || {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        Stdio::from(writer)
    };
    let mut command = Command::new(BINARY);
    command.args(arguments).stdout(closed());
    if silent {
        command.stderr(closed());
    }
    command.output().unwrap()
}

pub(crate) struct Process {
    pub(crate) child: Child,
    pub(crate) stdout: Arc<Mutex<Vec<String>>>,
    pub(crate) stderr: Arc<Mutex<String>>,
}

impl Process {
    pub(crate) fn start(arguments: &[&str], environment: &BTreeMap<String, String>) -> Self {
        Self::start_in(None, arguments, environment)
    }

    /// Out of a shell script, if there is one.
    pub(crate) fn start_in(
        shell: Option<&str>,
        arguments: &[&str],
        environment: &BTreeMap<String, String>,
    ) -> Self {
        let mut command = match shell {
            None => Command::new(BINARY),
            Some(script) => {
                let mut shell = Command::new("sh");
                shell.args(["-c", script, "sh", BINARY]);
                shell
            }
        };
        let mut child = command
            .args(arguments)
            .envs(environment)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let (stdout, stderr) = (
            Arc::<Mutex<Vec<String>>>::default(),
            Arc::<Mutex<String>>::default(),
        );
        let (lines, text) = (stdout.clone(), stderr.clone());
        let (out, mut err) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
        std::thread::spawn(move || {
            for line in BufReader::new(out).lines().map_while(Result::ok) {
                lines.lock().unwrap().push(line);
            }
        });
        std::thread::spawn(move || {
            let (mut buffer, mut unread) = ([0; 4096], Vec::new());
            while let Ok(read @ 1..) = err.read(&mut buffer) {
                unread.extend_from_slice(&buffer[..read]);
                text.lock().unwrap().push_str(&whole_text(&mut unread));
            }
        });
        Self {
            child,
            stdout,
            stderr,
        }
    }

    pub(crate) fn signal(&self, signal: &str) {
        let pid = self.child.id().to_string();
        let sent = Command::new("kill").args([signal, &pid]).status();
        assert!(sent.unwrap().success());
    }

    /// What is in the ready file, once it is there.
    pub(crate) async fn wait_for(&self, ready: &Path) -> Value {
        let deadline = Instant::now() + Duration::from_secs(30);
        while !ready.exists() {
            let stderr = self.stderr.lock().unwrap().clone();
            assert!(Instant::now() < deadline, "not ready: {stderr}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        serde_json::from_slice(&fs::read(ready).unwrap()).unwrap()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Takes what can be read as text; a character whose end has yet to come stays.
pub(crate) fn whole_text(bytes: &mut Vec<u8>) -> String {
    let cut = match std::str::from_utf8(bytes) {
        Err(error) if error.error_len().is_none() => error.valid_up_to(),
        _ => bytes.len(),
    };
    let rest = bytes.split_off(cut);
    String::from_utf8_lossy(&std::mem::replace(bytes, rest)).into_owned()
}

pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn new() -> Self {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(Self::fresh_name("house"));
        fs::create_dir_all(&folder).unwrap();
        Self(folder)
    }

    /// A name that nothing else has in this run.
    pub(crate) fn fresh_name(kind: &str) -> String {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        format!("{kind}-{}-{count}", std::process::id())
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, text).unwrap();
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

pub(crate) const BINARY: &str = env!("CARGO_BIN_EXE_zoho-mcp");
