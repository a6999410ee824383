//! What stalls beside the log, or in it, and what that does not change.

use std::{
    fs::{self, File},
    io::Read as _,
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use serde_json::json;

use crate::{
    house::{House, SUPPORT, command, eventually},
    log::{a_contact, audit, lines, said, signed, stop, to_file},
};

/// Standard output is a pipe that nobody reads, though somebody could.
const UNREAD: &str = r#"log="${4%/*}/audit"; mkfifo "$log"; exec 3<>"$log"; exec "$@" >"$log""#;

/// Reads the pipe until some lines of after `since` have come, kills the daemon, and reads the rest.
async fn killed_among_what_waited(house: &mut House, since: &str) -> Vec<u8> {
    let mut pipe = File::open(house.file("audit")).unwrap();
    let (mut part, mut all) = ([0; 4096], Vec::new());
    let waited = |text: &str| {
        let times = text.lines().filter_map(|line| line.get(14..38));
        times.filter(|time| *time > since).count()
    };
    while waited(&String::from_utf8_lossy(&all)) < 20 {
        let read = pipe.read(&mut part).unwrap();
        all.extend_from_slice(&part[..read]);
    }
    house.signal("-KILL");
    house.ended().await;
    pipe.read_to_end(&mut all).unwrap();
    all
}

#[tokio::test]
async fn a_log_that_stalled_and_was_killed_is_as_it_was_written() {
    let mut house = signed(|setup| {
        setup.set("audit.sinks", "[\"stdout\"]").through(UNREAD);
        setup.set("audit.checkpoint", "{ lines = 100000, every = \"1s\" }");
    })
    .await;
    // 64 KiB fit into the pipe.
    for _ in 0..75 {
        a_contact(&house).await;
    }
    // Longer than a checkpoint ever takes, as `verify` counts.
    tokio::time::sleep(Duration::from_secs(13)).await;
    let since = format!("{:.3}", jiff::Timestamp::now());
    for _ in 0..150 {
        a_contact(&house).await;
    }
    let all = killed_among_what_waited(&mut house, &since).await;
    let (stream, key) = (house.file("stream"), house.file("public.pem"));
    fs::write(&stream, all).unwrap();
    let [stream, key] = [&stream, &key].map(|path| path.to_str().unwrap());
    let verify = ["audit", "verify", "--open", "--public-key", key, stream];
    let verified = command(&verify);
    let told = said(&verified);
    assert_eq!(verified.status.code(), Some(0), "{told}");
    assert!(
        told.contains("but for the last"),
        "killed in a batch: {told}"
    );
}

/// Keeps whoever opens the file to write it, as a disk that hangs does.
fn hang(path: &Path) {
    let pipe = path.with_file_name("pipe");
    assert!(
        Command::new("mkfifo")
            .arg(&pipe)
            .status()
            .unwrap()
            .success()
    );
    fs::rename(pipe, path).unwrap();
}

/// Changes are made, and the daemon is ready, until it says so.
async fn goes_on_until(house: &House, what: &str) {
    let contact = a_contact(house).await;
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        let agent = house.agent(SUPPORT);
        let note = json!({ "record_id": contact, "content": "x" });
        let note = agent.call("create_note", note).await.result();
        assert_ne!(note["isError"], true, "{note}");
        assert_eq!(agent.get("/health").await.status, 200);
        let told = house.operational_log();
        if told.contains(what) {
            return;
        }
        assert!(Instant::now() < deadline, "{what}: {told}");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// A house with a head, and the head as it was at first.
async fn with_head() -> (House, String) {
    let house = House::with(|setup| {
        to_file(setup);
        setup.set("audit.heads", ".").set("audit.instance", "one");
    })
    .await;
    let head = eventually("a head", || fs::read_to_string(house.file("one.head")).ok()).await;
    (house, head)
}

const NOT_WRITTEN: &str = "audit.heads: cannot write";

#[tokio::test]
async fn a_head_or_a_claim_on_a_disk_that_hangs_stops_no_call_and_no_end() {
    for place in ["one.head", ".audit.jsonl.one.lock"] {
        let (mut house, head) = with_head().await;
        hang(&house.file(place));
        goes_on_until(&house, NOT_WRITTEN).await;
        stop(&mut house).await;
        let told = house.operational_log();
        assert_eq!(told.matches(NOT_WRITTEN).count(), 1, "{told}");
        assert!(!told.contains("are not in the audit log"), "{told}");
        assert_eq!(lines(&house).pop().unwrap()["event"], "log_close");
        fs::write(house.file("kept"), head).unwrap();
        let kept = house.file("kept");
        // An old head is no end that was cut off.
        let verified = audit(&["verify", "--head", kept.to_str().unwrap()], &house);
        assert_eq!(verified.status.code(), Some(0), "{}", said(&verified));
    }
}

#[tokio::test]
async fn a_head_on_a_disk_that_hangs_is_told_though_nobody_records_or_asks() {
    let (mut house, _) = with_head().await;
    hang(&house.file("one.head"));
    house.agent(SUPPORT).tools().await;
    let told = || house.operational_log().contains(NOT_WRITTEN).then_some(());
    eventually("the error", told).await;
    stop(&mut house).await;
    let told = house.operational_log();
    assert_eq!(told.matches(NOT_WRITTEN).count(), 1, "{told}");
}

#[tokio::test]
async fn a_head_is_written_again_once_its_disk_takes_it() {
    let (mut house, _) = with_head().await;
    let head = house.file("one.head");
    hang(&head);
    goes_on_until(&house, NOT_WRITTEN).await;
    let pipe = File::open(&head).unwrap();
    fs::remove_file(&head).unwrap();
    goes_on_until(&house, "audit.heads: the head is written again").await;
    drop(pipe);
    stop(&mut house).await;
    let verified = audit(&["verify", "--head", head.to_str().unwrap()], &house);
    assert_eq!(verified.status.code(), Some(0), "{}", said(&verified));
    let hash = lines(&house).pop().unwrap()["hash"].clone();
    let last = fs::read_to_string(head).unwrap();
    assert!(last.contains(hash.as_str().unwrap()), "{last}");
}
