//! What stalls beside the log, or in it, and what that does not change.

use std::{fs, fs::File, io::Read as _, time::Duration};

use crate::{
    house::{House, command},
    log::{a_contact, said, signed},
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
