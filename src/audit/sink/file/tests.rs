use super::*;
use crate::setting::{Size, folder::Folder};

struct Logs(Folder);

/// A line of a log.
const FIRST: &str = "{\"timestamp\":\"2026-03-31T00:00:00.000Z\",\"event\":\"e\",\"instance\":\"i\",\"boot\":\"0123456789abcdef\",\"seq\":1,\"prevHash\":\"p\",\"hash\":\"h\"}\n";

fn config(max_size: &str) -> FileConfig {
    FileConfig {
        max_size: max_size.parse::<Size>().unwrap(),
        daily: true,
        fsync: Fsync::Group,
    }
}

impl Logs {
    fn new() -> Self {
        Self(Folder::new())
    }

    fn log(&self) -> PathBuf {
        self.0.join("audit.jsonl")
    }

    fn open(&self, max_size: &str) -> LogFile {
        LogFile::open(&self.log(), config(max_size)).unwrap()
    }

    /// The content of every file, the oldest first.
    fn contents(&self) -> Vec<String> {
        let mut paths: Vec<_> = fs::read_dir(&*self.0)
            .unwrap()
            .map(|it| it.unwrap().path())
            .collect();
        paths.sort_by_key(|path| (path == &self.log(), path.clone()));
        paths
            .iter()
            .map(|path| fs::read_to_string(path).unwrap())
            .collect()
    }
}

#[test]
fn an_unfinished_line_is_removed_and_counted() {
    let folder = Logs::new();
    let unfinished = format!("{FIRST}bcd");
    for (found, kept) in [
        (FIRST, FIRST),
        (&unfinished, FIRST),
        ("{\"timestamp\":\"2026", ""),
        ("{\"ti", ""),
        ("", ""),
    ] {
        fs::write(folder.log(), found).unwrap();
        let mut log = folder.open("1MiB");
        assert_eq!(log.healed(), (found.len() - kept.len()) as u64, "{found:?}");
        log.take(b"z\n").unwrap();
        assert_eq!(
            fs::read_to_string(folder.log()).unwrap(),
            format!("{kept}z\n")
        );
    }
    fs::write(folder.log(), format!("{FIRST}{}", "x".repeat(200_000))).unwrap();
    assert_eq!(folder.open("1MiB").healed(), 200_000);
}

#[test]
fn a_file_that_is_no_log_is_left_as_it_is() {
    let folder = Logs::new();
    for found in ["{\"keys\":[]}", "{}\n", "a\nb", "{\"timestamp\":\"t\"}\nx"] {
        fs::write(folder.log(), found).unwrap();
        let refused = LogFile::open(&folder.log(), config("1MiB")).map(|_| ());
        assert_eq!(refused.unwrap_err().kind(), io::ErrorKind::InvalidData);
        assert_eq!(fs::read_to_string(folder.log()).unwrap(), found);
    }
}

#[test]
fn a_full_file_is_put_aside_between_two_batches() {
    let folder = Logs::new();
    let mut log = folder.open("8B");
    for batch in ["1234\n", "56\n", "7\n", "89\n"] {
        log.take(batch.as_bytes()).unwrap();
    }
    assert_eq!(folder.contents(), ["1234\n56\n", "7\n89\n"]);
    log.take(b"longer than a file may be\n").unwrap();
    assert_eq!(folder.contents()[2], "longer than a file may be\n");
}

#[test]
fn a_day_ends_with_its_file() {
    let folder = Logs::new();
    fs::write(folder.log(), FIRST).unwrap();
    let old = std::time::SystemTime::now() - std::time::Duration::from_secs(86_400);
    File::options()
        .append(true)
        .open(folder.log())
        .unwrap()
        .set_modified(old)
        .unwrap();
    folder.open("1MiB").take(b"today\n").unwrap();
    assert_eq!(folder.contents(), [FIRST, "today\n"]);
}

#[test]
fn two_instances_share_a_file_that_is_put_aside() {
    let folder = Logs::new();
    let (mut one, mut other) = (folder.open("64B"), folder.open("64B"));
    for n in 10..50 {
        one.take(format!("one {n}\n").as_bytes()).unwrap();
        other.take(format!("other {n}\n").as_bytes()).unwrap();
    }
    let contents = folder.contents();
    assert!(contents.len() > 5 && contents.iter().all(|text| text.len() <= 64));
    let lines: Vec<_> = contents.iter().flat_map(|text| text.lines()).collect();
    assert_eq!(lines.len(), 80);
    assert!(
        lines
            .chunks(2)
            .enumerate()
            .all(|(n, pair)| pair == [format!("one {}", n + 10), format!("other {}", n + 10)])
    );
}

#[test]
fn a_full_disk_leaves_no_half_line() {
    let folder = Logs::new();
    let mut log = folder.open("1MiB");
    log.take(b"one\n").unwrap();
    fs::rename(folder.log(), folder.0.join("kept")).unwrap();
    std::os::unix::fs::symlink("/dev/full", folder.log()).unwrap();
    assert_eq!(
        log.take(b"two\n").unwrap_err().kind(),
        io::ErrorKind::StorageFull
    );
    fs::remove_file(folder.log()).unwrap();
    fs::rename(folder.0.join("kept"), folder.log()).unwrap();
    log.take(b"two\n").unwrap();
    assert_eq!(fs::read_to_string(folder.log()).unwrap(), "one\ntwo\n");
}

#[test]
fn a_log_that_cannot_be_put_aside_is_written_on() {
    let folder = Logs::new();
    let mut log = folder.open("8B");
    log.take(b"1234\n").unwrap();
    // A name that is too long for one that is put aside, as of a file that is mounted by itself.
    let long = folder.0.join("x".repeat(250));
    fs::rename(folder.log(), &long).unwrap();
    let mut log = LogFile {
        path: long.clone(),
        ..log
    };
    log.take(b"5678\n").unwrap();
    log.take(b"9\n").unwrap();
    assert_eq!(fs::read_to_string(long).unwrap(), "1234\n5678\n9\n");
}

#[test]
fn a_file_that_somebody_else_holds_is_refused_after_a_while() {
    let folder = Logs::new();
    fs::write(folder.log(), FIRST).unwrap();
    let held = File::open(folder.log()).unwrap();
    held.lock().unwrap();
    let refused = LogFile::open(&folder.log(), config("1MiB")).map(|_| ());
    assert_eq!(refused.unwrap_err().kind(), io::ErrorKind::WouldBlock);
    held.unlock().unwrap();
    folder.open("1MiB").take(b"z\n").unwrap();
}

#[test]
fn a_file_that_is_gone_was_put_aside_or_moved_or_deleted() {
    let folder = Logs::new();
    let aside = |name: &str| name.starts_with("audit.jsonl.2");
    for (change, wanted) in [
        (Some("audit.jsonl.20260331T000000.000000Z"), Gone::PutAside),
        (Some("audit.jsonl.1"), Gone::Moved),
        (None, Gone::Deleted),
    ] {
        let log = folder.open("1MiB");
        match change {
            Some(name) => fs::rename(folder.log(), folder.0.join(name)).unwrap(),
            None => fs::remove_file(folder.log()).unwrap(),
        }
        assert_eq!(gone(&log.file, &folder.log(), aside).unwrap(), wanted);
    }
}
