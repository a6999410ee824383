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
        let more: Vec<_> = stream.difference(&file).collect();
        assert!(more.is_empty(), "only on the stream: {more:?}");
        assert!(stream.len() > 5);
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
