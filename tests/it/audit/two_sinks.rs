//! A log that goes to two places, of which a kill may have reached one.

use std::{
    collections::BTreeSet,
    fs::{self, File},
    io::Read as _,
};

use serde_json::{Value, json};

use crate::{
    house::{House, SUPPORT, Setup, command, eventually},
    log::{a_contact, said, signed, stop, verify},
};

/// Standard output is a pipe that nobody reads, though somebody could.
const UNREAD: &str = r#"log="${4%/*}/pipe"; mkfifo "$log"; exec 3<>"$log"; exec "$@" >"$log""#;
/// Standard output is added to a file.
const APPENDED: &str = r#"exec "$@" >>"${4%/*}/stream""#;
/// Files may not be larger than 6 KiB; standard output is a pipe that is read.
const FILLING: &str = r#"cd "${4%/*}"; mkfifo pipe
(cat <pipe >>stream; touch read) & ulimit -S -f 12; exec "$@" >pipe"#;

const BOTH: [&str; 2] = [
    r#"["stdout", "file:audit.jsonl"]"#,
    r#"["file:audit.jsonl", "stdout"]"#,
];

async fn house_with(sinks: &str, script: &str) -> House {
    signed(|setup| {
        setup.set("audit.sinks", sinks).through(script);
        setup.set("audit.checkpoint", "{ lines = 20, every = \"1s\" }");
    })
    .await
}

/// Until the sink takes nothing any more.
async fn until_refused(house: &House) {
    let id = house.zoho.ids("Contacts", "id is not null").await.remove(0);
    for n in 0..400 {
        let key = format!("k{n}");
        let note = json!({ "record_id": id, "content": "x", "idempotency_key": key });
        let agent = house.agent(SUPPORT);
        let result = agent.call("create_note", note).await.result();
        if result["isError"] == true {
            return;
        }
        a_contact(house).await;
    }
    panic!("the sink takes everything");
}

/// Standard output is a pipe whose reader goes away with the first byte.
const CLOSED: &str =
    r#"log="${4%/*}/pipe"; mkfifo "$log"; head -c 1 "$log" >/dev/null & exec "$@" >"$log""#;

/// Reads that are made although the log cannot be written everywhere, all of which are in the file.
async fn reads_are_in_the_file(house: &House, count: usize) {
    let starts = |house: &House| {
        let text = fs::read_to_string(house.file("audit.jsonl")).unwrap();
        text.matches("tool_call_start").count()
    };
    let before = starts(house);
    for _ in 0..count {
        a_contact(house).await;
    }
    eventually("every read is in the file", || {
        (starts(house) >= before + count).then_some(())
    })
    .await;
}

/// The last line of the first kind that the file has.
fn last(house: &House, event: &str) -> Value {
    let text = fs::read_to_string(house.file("audit.jsonl")).unwrap();
    let lines = text.lines().map(|line| serde_json::from_str(line).unwrap());
    let mut lines = lines.filter(|line: &Value| line["event"] == event);
    lines.next_back().unwrap_or_default()
}

#[tokio::test]
async fn a_file_has_every_line_whatever_becomes_of_standard_output() {
    for (script, sinks) in [(UNREAD, BOTH[0]), (CLOSED, BOTH[1])] {
        let mut house = house_with(sinks, script).await;
        until_refused(&house).await;
        reads_are_in_the_file(&house, 30).await;
        house.signal("-TERM");
        assert_ne!(house.ended().await.code(), Some(0));
        let log = house.operational_log();
        let told = "are not in the audit log: standard output did not take them; ";
        assert!(log.contains(told), "{log}");
        assert!(log.contains("audit.jsonl has all of it"), "{log}");
        assert_eq!(last(&house, "log_close")["event"], "log_close", "{log}");
        next_run(&house).await;
        assert_eq!(last(&house, "log_open")["previousEnd"], "closed");
        let file = verify(&house);
        assert_eq!(file.status.code(), Some(0), "{}", said(&file));
    }
}

#[tokio::test]
async fn standard_output_has_every_line_whatever_becomes_of_the_file() {
    let mut house = house_with(BOTH[1], FILLING).await;
    until_refused(&house).await;
    for _ in 0..10 {
        a_contact(&house).await;
    }
    house.signal("-TERM");
    assert_ne!(house.ended().await.code(), Some(0));
    let log = house.operational_log();
    assert!(
        log.contains("audit.jsonl did not take them; standard output has all"),
        "{log}"
    );
    eventually("the reader's end", || {
        house.file("read").exists().then_some(())
    })
    .await;
    let stream = house.file("stream");
    let key = house.file("public.pem");
    let arguments = [key.to_str().unwrap(), stream.to_str().unwrap()];
    let verified = command(&[&["audit", "verify", "--public-key"][..], &arguments].concat());
    assert_eq!(verified.status.code(), Some(0), "{}", said(&verified));
}

/// The next run, in the same folder, which ends by itself.
async fn next_run(house: &House) {
    house.zoho.later("10m").await;
    let appended = |setup: &mut Setup| {
        setup.through(APPENDED);
    };
    let mut next = house.replica(appended).await;
    a_contact(&next).await;
    stop(&mut next).await;
}

/// The files prove themselves without an excuse, and the stream needs only that of the kill.
fn assert_nothing_was_changed(house: &House) {
    let file = verify(house);
    assert_eq!(file.status.code(), Some(0), "{}", said(&file));
    let (stream, key) = (house.file("stream"), house.file("public.pem"));
    let (stream, key) = (stream.to_str().unwrap(), key.to_str().unwrap());
    let verify = ["audit", "verify", "--public-key", key, stream];
    let strict = said(&command(&verify));
    assert!(
        strict.contains("it was killed") && !strict.contains("changed"),
        "{strict}"
    );
    let open = command(&[&verify[..], &["--open"]].concat());
    assert_eq!(open.status.code(), Some(0), "{}", said(&open));
}

#[tokio::test]
async fn a_kill_while_the_reader_is_slow_is_told_as_a_kill() {
    for sinks in BOTH {
        let mut house = house_with(sinks, UNREAD).await;
        let mut pipe = File::open(house.file("pipe")).unwrap();
        until_refused(&house).await;
        house.signal("-KILL");
        house.ended().await;
        let mut taken = Vec::new();
        pipe.read_to_end(&mut taken).unwrap();
        // Small writes come whole into a pipe; other streams tear them.
        taken.truncate(taken.len() - 20);
        fs::write(house.file("stream"), taken).unwrap();
        next_run(&house).await;
        assert_nothing_was_changed(&house);
        let stream = fs::read_to_string(house.file("stream")).unwrap();
        let torn = stream.lines().filter(|line| !line.ends_with('}')).count();
        assert_eq!(torn, 1, "the next run begins a line of its own");
    }
}

/// What the lines of a text say, each as it would be in any chain.
fn told(text: &str) -> BTreeSet<String> {
    let events = text.lines().map(|line| {
        let line: Value = serde_json::from_str(line).unwrap();
        format!("{} {} {}", line["boot"], line["seq"], line["event"])
    });
    events.collect()
}

#[tokio::test]
async fn a_kill_while_the_disk_is_full_is_told_as_a_kill() {
    for sinks in BOTH {
        let mut house = house_with(sinks, FILLING).await;
        until_refused(&house).await;
        house.signal("-KILL");
        house.ended().await;
        eventually("the reader's end", || {
            house.file("read").exists().then_some(())
        })
        .await;
        let text = |name: &str| fs::read_to_string(house.file(name)).unwrap();
        let (file, stream) = (told(&text("audit.jsonl")), told(&text("stream")));
        let more: Vec<_> = file.difference(&stream).collect();
        assert!(more.is_empty(), "only in the file: {more:?}");
        assert!(file.len() > 5 && stream.len() > file.len());
        next_run(&house).await;
        assert_nothing_was_changed(&house);
    }
}

#[tokio::test]
async fn two_files_hold_a_chain_each() {
    let mut house = signed(|setup| {
        setup.set(
            "audit.sinks",
            r#"["file:audit.jsonl", "file:second.jsonl"]"#,
        );
    })
    .await;
    for _ in 0..4 {
        let agent = house.agent(SUPPORT);
        let calling = tokio::spawn(async move {
            loop {
                let search = json!({ "name": "Giulia" });
                agent.call("search_contacts", search).await;
            }
        });
        let second = house.file("second.jsonl");
        let before = fs::metadata(&second).unwrap().len();
        eventually("a call", || {
            (fs::metadata(&second).unwrap().len() > before + 4000).then_some(())
        })
        .await;
        house.signal("-KILL");
        house.ended().await;
        assert!(calling.await.is_err());
        // The kill came between the two.
        let lines = fs::read_to_string(&second).unwrap();
        let cut = lines.trim_end().rfind('\n').unwrap();
        fs::write(&second, &lines[..=cut]).unwrap();
        house.zoho.later("10m").await;
        house.start_again().await;
    }
    stop(&mut house).await;
    let first = verify(&house);
    assert_eq!(first.status.code(), Some(0), "{}", said(&first));
    let (second, key) = (house.file("second.jsonl"), house.file("public.pem"));
    let (second, key) = (second.to_str().unwrap(), key.to_str().unwrap());
    let verified = command(&["audit", "verify", "--public-key", key, second]);
    assert_eq!(verified.status.code(), Some(0), "{}", said(&verified));
    assert_eq!(
        said(&verified).matches("named to its last line").count(),
        4,
        "{}",
        said(&verified)
    );
}
