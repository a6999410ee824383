//! The log as evidence: nothing lost whatever happens to the process or the disk, nothing altered
//! unseen, and the whole story from its files alone.

use std::{
    collections::BTreeSet,
    fs::{self, OpenOptions},
    io::{Read as _, Write as _},
    os::unix::{fs::symlink, process::ExitStatusExt as _},
    path::Path,
    process::Output,
    time::Duration,
};

use serde_json::{Value, json};

use crate::house::{DASHBOARD, House, REPORTING, SUPPORT, Setup, command, eventually};

fn to_file(setup: &mut Setup) {
    setup.set("audit.sinks", "[\"file:audit.jsonl\"]");
}

/// A house whose log is signed, and its public key in `public.pem`.
async fn signed(change: impl FnOnce(&mut Setup)) -> House {
    let made = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("key-{}", uuid::Uuid::new_v4()));
    let generated = command(&["audit", "keygen", "--out", made.to_str().unwrap()]);
    assert!(generated.status.success(), "{generated:?}");
    let house = House::with(|setup| {
        to_file(setup);
        setup.set("audit.signing_key", "file:audit-key.pem");
        setup.folder_file("audit-key.pem", &fs::read_to_string(&made).unwrap());
        change(setup);
    })
    .await;
    fs::write(house.file("public.pem"), generated.stdout).unwrap();
    fs::remove_file(made).unwrap();
    house
}

/// The files of the log, the newest first.
fn files(house: &House) -> Vec<String> {
    let folder = house.file("");
    let names = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = names
        .filter_map(|path| path.to_str().map(str::to_owned))
        .filter(|path| path.contains("audit.jsonl"))
        .collect();
    files.sort();
    files.reverse();
    files
}

fn lines(house: &House) -> Vec<Value> {
    let mut files = files(house);
    files.sort_by_key(|path| (path.ends_with(".jsonl"), path.clone()));
    let texts = files.iter().map(|path| fs::read_to_string(path).unwrap());
    texts
        .flat_map(|text| text.lines().map(str::to_owned).collect::<Vec<_>>())
        .map(|line| serde_json::from_str(&line).expect(&line))
        .collect()
}

fn audit(what: &[&str], house: &House) -> Output {
    let files = files(house);
    let files = files.iter().map(String::as_str);
    let arguments: Vec<_> = ["audit"]
        .into_iter()
        .chain(what.iter().copied())
        .chain(files)
        .collect();
    command(&arguments)
}

fn verify(house: &House) -> Output {
    let key = house.file("public.pem");
    if key.exists() {
        return audit(&["verify", "--public-key", key.to_str().unwrap()], house);
    }
    audit(&["verify"], house)
}

fn said(output: &Output) -> String {
    let texts = [&output.stdout, &output.stderr];
    texts
        .map(|text| String::from_utf8_lossy(text).into_owned())
        .concat()
}

async fn stop(house: &mut House) {
    house.signal("-TERM");
    assert_eq!(
        house.ended().await.code(),
        Some(0),
        "{}",
        house.operational_log()
    );
}

async fn a_contact(house: &House) -> String {
    let search = json!({ "name": "Giulia" });
    let found = house
        .agent(SUPPORT)
        .call("search_contacts", search)
        .await
        .content();
    found["items"][0]["id"].as_str().unwrap().to_owned()
}

/// Writes notes, each known by its text, until the daemon is gone.
async fn write_until_killed(house: &House, contact: &str, round: usize) {
    let writers = (0..4).map(|writer| {
        let (agent, contact) = (house.agent(SUPPORT), contact.to_owned());
        tokio::spawn(async move {
            for n in 0.. {
                let name = format!("r{round}w{writer}n{n}");
                let note =
                    json!({ "record_id": contact, "content": name, "idempotency_key": name });
                agent.call("create_note", note).await;
            }
        })
    });
    let writers: Vec<_> = writers.collect();
    let first = eventually("a note", || {
        lines_of_the_last_file(house)
            .lines()
            .any(|line| line.contains(&format!("r{round}w")))
            .then_some(())
    });
    first.await;
    // Anywhere in what a write does.
    let pause = uuid::Uuid::new_v4().as_u128() % 60;
    tokio::time::sleep(Duration::from_millis(pause as u64)).await;
    house.signal("-KILL");
    for writer in writers {
        assert!(
            writer.await.is_err(),
            "a call that cannot be made fails the writer"
        );
    }
}

fn lines_of_the_last_file(house: &House) -> String {
    fs::read_to_string(house.file("audit.jsonl")).unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_kills_the_daemon_a_note_that_zoho_has_was_recorded_before() {
    let rounds = std::env::vars().find(|(name, _)| name == "ZOHO_MCP_TEST_KILLS");
    let rounds = rounds.map_or(20, |(_, rounds)| rounds.parse().unwrap());
    let mut house = signed(|setup| {
        setup.set("audit.file.max_size", "64KiB");
        setup.set("audit.checkpoint", "{ lines = 20, every = \"1s\" }");
    })
    .await;
    let contact = a_contact(&house).await;
    for round in 0..rounds {
        write_until_killed(&house, &contact, round).await;
        assert_eq!(house.ended().await.signal(), Some(9));
        // Zoho gives ten tokens in ten minutes, and each daemon takes one.
        house.zoho.later("10m").await;
        house.start_again().await;
    }
    let written = house.zoho.notes_of(&contact).await;
    stop(&mut house).await;
    let lines = lines(&house);
    let started = lines
        .iter()
        .filter(|line| line["event"] == "tool_call_start");
    let started: BTreeSet<_> = started
        .filter_map(|line| line["args"]["idempotency_key"].as_str())
        .collect();
    let ours = written
        .iter()
        .filter(|text| text.starts_with('r') && text.contains('w'));
    let unrecorded: Vec<_> = ours
        .clone()
        .filter(|text| !started.contains(&***text))
        .collect();
    assert!(
        unrecorded.is_empty(),
        "in Zoho and not in the log: {unrecorded:?}"
    );
    assert!(ours.count() > rounds, "too few notes to show anything");
    let verified = verify(&house);
    assert_eq!(verified.status.code(), Some(0), "{}", said(&verified));
    let named = lines.iter().filter(|line| line["previous"] == "named");
    assert_eq!(named.count(), rounds);
}

/// A tool, and what the story says of its end.
type Told = (&'static str, &'static str);

/// Calls of every kind by one client, in order; answers what the story has to tell.
async fn a_mixed_hour(house: &House) -> Vec<Told> {
    let (support, contact) = (house.agent(SUPPORT), a_contact(house).await);
    let mut told = vec![("called search_contacts", "records, after")];
    for n in 0..30 {
        let name = format!("m{n}");
        told.push(match n % 5 {
            0 => {
                let note =
                    json!({ "record_id": contact, "content": name, "idempotency_key": name });
                support.call("create_note", note).await.content();
                ("called create_note", "zoho     POST Notes answered 201")
            }
            1 => {
                support
                    .call("get_revenue_report", json!({}))
                    .await
                    .failure();
                (
                    "was not permitted to call get_revenue_report",
                    "because  the tool is not in the role's list",
                )
            }
            2 => {
                support
                    .call("get_contact_history", json!({ "contact_id": "1" }))
                    .await
                    .failure();
                ("called get_contact_history", "failed: not_found")
            }
            3 => {
                support.call("drop_table", json!({})).await;
                (
                    "was not permitted to call a tool that does not exist",
                    "because  unknown tool",
                )
            }
            _ => {
                house
                    .zoho
                    .fault(json!({ "fault": "status", "status": 503, "path": "/crm", "times": 9 }))
                    .await;
                support
                    .call("search_contacts", json!({ "email": "a@b.example" }))
                    .await
                    .failure();
                house.zoho.mend().await;
                ("called search_contacts", "failed: zoho_unavailable")
            }
        });
    }
    told
}

#[tokio::test]
async fn the_story_of_a_mixed_hour_is_told_from_the_log_alone() {
    let mut house = House::with(to_file).await;
    let told = a_mixed_hour(&house).await;
    stop(&mut house).await;
    let story = audit(&["story", "--client", SUPPORT], &house);
    let story = String::from_utf8(story.stdout).unwrap();
    let paragraphs: Vec<_> = story
        .split("\n\n")
        .filter(|text| !text.trim().is_empty())
        .collect();
    let calls: Vec<_> = paragraphs
        .iter()
        .filter(|text| !text.contains("proved who it is"))
        .collect();
    assert_eq!(calls.len(), told.len(), "{story}");
    for (paragraph, (what, end)) in calls.iter().zip(&told) {
        assert!(
            paragraph.contains(what) && paragraph.contains(end),
            "{what}, {end}:\n{paragraph}"
        );
        assert!(paragraph.contains("proven by api_key, key "), "{paragraph}");
    }
    assert!(!story.contains("a@b.example") && story.contains("email (personal: hmac:"));
    let note = lines(&house)
        .into_iter()
        .find(|line| line["toolName"] == "create_note")
        .unwrap();
    let one = audit(
        &[
            "story",
            "--execution",
            note["executionId"].as_str().unwrap(),
        ],
        &house,
    );
    let one = said(&one);
    for wanted in [
        "asked    content (2 characters)",
        "record_id 6",
        "allowed  by role customer-service",
        "1 records, after",
    ] {
        assert!(one.contains(wanted), "{wanted} in {one}");
    }
    let nothing = audit(&["story", "--client", "nobody"], &house);
    assert_eq!(nothing.status.code(), Some(1));
}

#[tokio::test]
async fn a_stream_has_a_story_of_its_own() {
    let mut house = House::with(to_file).await;
    let mut stream = house.agent(REPORTING).stream().await;
    stream.initialize().await;
    stream.call(1, "get_deal_summary", json!({})).await;
    house
        .agent(REPORTING)
        .call("get_deal_summary", json!({}))
        .await
        .content();
    let endpoint = stream.endpoint.clone();
    drop(stream);
    stop(&mut house).await;
    let lines = lines(&house);
    let open = lines
        .iter()
        .find(|line| line["event"] == "session_open")
        .unwrap();
    let session = open["sessionId"].as_str().unwrap();
    assert!(
        !endpoint.contains(session),
        "the log does not have what opens a session"
    );
    let story = said(&audit(&["story", "--session", session], &house));
    assert_eq!(
        story.matches("called get_deal_summary").count(),
        1,
        "{story}"
    );
    assert!(
        story.contains("opened a stream") && story.contains("the stream of reporting-agent ended"),
        "{story}"
    );
}

#[tokio::test]
async fn a_full_disk_refuses_writes_loses_nothing_and_passes() {
    let mut house = House::with(to_file).await;
    let contact = a_contact(&house).await;
    let (log, kept) = (house.file("audit.jsonl"), house.file("kept"));
    fs::rename(&log, &kept).unwrap();
    symlink("/dev/full", &log).unwrap();
    let agent = house.agent(SUPPORT);
    let note = |content: &str| json!({ "record_id": contact, "content": content });
    let refused = agent.call("create_note", note("refused")).await.failure();
    assert!(refused.contains("cannot record"), "{refused}");
    agent
        .call("search_contacts", json!({ "name": "Giulia" }))
        .await
        .content();
    assert_eq!(house.stranger(None).get("/health").await.status, 503);
    assert_eq!(house.stranger(None).get("/readyz").await.status, 503);
    fs::remove_file(&log).unwrap();
    fs::rename(&kept, &log).unwrap();
    let note = note("written");
    for _ in 0..100 {
        if house.stranger(None).get("/health").await.status == 200 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    agent.call("create_note", note).await.content();
    assert_eq!(house.zoho.notes_written().await, 1);
    stop(&mut house).await;
    let lines = lines(&house);
    let ends = lines.iter().filter(|line| line["error"] == "unrecorded");
    assert_eq!(ends.count(), 1);
    let searches = lines
        .iter()
        .filter(|line| line["toolName"] == "search_contacts");
    assert_eq!(
        searches.count(),
        4,
        "no line of a call that went on was lost"
    );
    assert!(verify(&house).status.success());
}

#[tokio::test]
async fn a_sink_that_takes_nothing_costs_no_memory_and_no_line() {
    let mut house = House::with(|setup| {
        setup.set("audit.sinks", "[\"file:audit.pipe\", \"file:audit.jsonl\"]");
        setup.set("limits.in_flight", "64");
    })
    .await;
    // The pipe takes the place of a file that was put there first.
    let pipe = house.file("audit.pipe");
    let begun = fs::read_to_string(&pipe).unwrap();
    fs::remove_file(&pipe).unwrap();
    let made = std::process::Command::new("mkfifo")
        .arg(&pipe)
        .status()
        .unwrap();
    assert!(made.success());
    let agent = house.agent(SUPPORT);
    let before = resident(house.pid());
    for _ in 0..200 {
        agent
            .call("get_contact_history", json!({ "contact_id": "1" }))
            .await;
    }
    eventually("the log to be stuck", || (!health(&house)).then_some(())).await;
    let note = json!({ "record_id": "1", "content": "x" });
    assert!(
        agent
            .call("create_note", note)
            .await
            .failure()
            .contains("cannot record")
    );
    assert!(resident(house.pid()) < before + (64 << 20));
    let mut reader = OpenOptions::new()
        .read(true)
        .write(true)
        .open(&pipe)
        .unwrap();
    let reading = tokio::task::spawn_blocking(move || {
        let (mut text, mut block) = (begun, vec![0; 1 << 16]);
        while !text.contains("\"log_close\"") {
            let read = reader.read(&mut block).unwrap();
            text.push_str(&String::from_utf8_lossy(&block[..read]));
        }
        text
    });
    eventually("the log to go on", || health(&house).then_some(())).await;
    stop(&mut house).await;
    let piped = reading.await.unwrap();
    fs::remove_file(house.file("audit.pipe")).unwrap();
    assert_eq!(
        piped,
        lines_of_the_last_file(&house),
        "both sinks have every line"
    );
    assert_eq!(piped.matches("\"tool_call_error\"").count(), 201);
    assert!(verify(&house).status.success());
}

fn health(house: &House) -> bool {
    let url = format!("{}/health", house.url);
    command(&["healthcheck", "--url", &url]).status.success()
}

/// Bytes of resident memory.
fn resident(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status
        .lines()
        .find(|line| line.starts_with("VmRSS:"))
        .unwrap();
    line.split_whitespace()
        .nth(1)
        .unwrap()
        .parse::<u64>()
        .unwrap()
        << 10
}

#[tokio::test]
async fn whoever_touches_the_file_is_found_out_and_the_place_is_named() {
    let mut house = signed(|_| ()).await;
    let contact = a_contact(&house).await;
    for n in 0..5 {
        let note =
            json!({ "record_id": contact, "content": "x", "idempotency_key": format!("k{n}") });
        house
            .agent(SUPPORT)
            .call("create_note", note)
            .await
            .content();
    }
    stop(&mut house).await;
    let whole = said(&verify(&house));
    assert!(
        whole.contains("to its last line") && whole.contains("PROVEN  whoever wrote it held"),
        "{whole}"
    );
    let log = house.file("audit.jsonl");
    let text = fs::read_to_string(&log).unwrap();
    let lines: Vec<_> = text.lines().collect();
    let without = |n: usize| [&lines[..n], &lines[n + 1..]].concat().join("\n");
    let swapped = [&lines[..4], &[lines[5], lines[4]], &lines[6..]]
        .concat()
        .join("\n");
    for (changed, says) in [
        (text.replacen("\"k1\"", "\"k7\"", 1), "the line was changed"),
        (without(6), ":7 (seq 8): lines with seq 7 to 7 are missing"),
        (without(0), ":1 (seq 2): the run does not begin here"),
        (
            lines[..8].join("\n"),
            ":8 (seq 8): the run has no closing line",
        ),
        (swapped, ":5 (seq 6): lines with seq 5 to 5 are missing"),
        (format!("{text}{}\n", lines[3]), "is out of place"),
        (text.replacen("{", "x", 1), ":1: this is no line of the log"),
    ] {
        fs::write(&log, changed).unwrap();
        let verified = verify(&house);
        assert_eq!(verified.status.code(), Some(1));
        assert!(
            said(&verified).contains(says),
            "{says} in {}",
            said(&verified)
        );
    }
    assert_eq!(
        command(&["audit", "verify", "no-such-file"]).status.code(),
        Some(64)
    );
}

#[tokio::test]
async fn a_line_that_a_crash_left_unfinished_is_mended_and_told() {
    let mut house = House::with(to_file).await;
    a_contact(&house).await;
    let log = house.file("audit.jsonl");
    eventually("the call's end", || {
        lines_of_the_last_file(&house)
            .contains("tool_call_success")
            .then_some(())
    })
    .await;
    house.signal("-KILL");
    house.ended().await;
    let mut file = OpenOptions::new().append(true).open(&log).unwrap();
    file.write_all(b"{\"timestamp\":\"2026-").unwrap();
    house.start_again().await;
    stop(&mut house).await;
    let lines = lines(&house);
    let healed = lines
        .iter()
        .find(|line| line["event"] == "log_healed")
        .unwrap();
    assert_eq!(
        healed["reason"],
        "19 bytes of an unfinished line were removed"
    );
    let verified = said(&verify(&house));
    assert!(
        verified.contains("cut off, and named to its last line by the next run"),
        "{verified}"
    );
    assert!(verified.contains("PROVEN"), "{verified}");
}

#[tokio::test]
async fn two_instances_share_a_file() {
    let mut one = House::with(|setup| {
        to_file(setup);
        setup
            .set("audit.instance", "one")
            .set("audit.file.max_size", "16KiB");
    })
    .await;
    let path = format!("[\"file:{}\"]", one.file("audit.jsonl").display());
    let mut other = House::with(|setup| {
        setup
            .set("audit.sinks", &path)
            .set("audit.instance", "other");
        setup.set("audit.file.max_size", "16KiB");
    })
    .await;
    for _ in 0..20 {
        a_contact(&one).await;
        a_contact(&other).await;
    }
    stop(&mut one).await;
    stop(&mut other).await;
    assert!(files(&one).len() > 1, "the file was put aside meanwhile");
    let verified = verify(&one);
    assert!(verified.status.success(), "{}", said(&verified));
    assert!(!said(&verified).contains("no whole run is missing"));
    for instance in ["of one: 64 lines", "of other: 64 lines"] {
        assert!(said(&verified).contains(instance), "{}", said(&verified));
    }
}

#[tokio::test]
async fn a_refusal_is_explained_down_to_the_line_of_the_configuration() {
    let mut house = House::with(|setup| {
        to_file(setup);
        setup.set(
            "limits.tools.get_dashboard_metrics",
            "{ requests = 1, per = \"1h\" }",
        );
    })
    .await;
    let denied = house
        .agent(SUPPORT)
        .call("get_revenue_report", json!({}))
        .await;
    let dashboard = house.agent(DASHBOARD);
    dashboard
        .call("get_dashboard_metrics", json!({}))
        .await
        .content();
    let limited = dashboard.call("get_dashboard_metrics", json!({})).await;
    let stranger = house.stranger(Some("nonsense")).call("x", json!({})).await;
    let fine = house
        .agent(REPORTING)
        .call("get_deal_summary", json!({}))
        .await;
    stop(&mut house).await;
    let config = house.file("zoho-mcp.toml");
    let config = config.to_str().unwrap();
    for (answer, says) in [
        (
            &denied,
            "zoho-mcp.toml:5: tools = [\"search_contacts\", \"get_contact_history\", \"create_note\"]",
        ),
        (
            &limited,
            "does not set it: add get_dashboard_metrics under [limits.tools]",
        ),
        (&stranger, "compare with `zoho-mcp keys list`"),
        (&fine, "It was not refused"),
    ] {
        let request = answer.header("x-request-id");
        let explained = audit(
            &["explain", "--request", request, "--config", config],
            &house,
        );
        assert!(
            said(&explained).contains(says),
            "{says} in {}",
            said(&explained)
        );
    }
}

#[tokio::test]
async fn who_knows_a_value_finds_it() {
    let mut house = House::with(|setup| {
        to_file(setup);
        let key = "0123456789abcdef0123456789abcdef";
        setup.set("audit.pseudonym_key", "file:pseudonyms");
        setup.folder_file("pseudonyms", key);
    })
    .await;
    let search = json!({ "email": "Anna@Example.org" });
    house.agent(SUPPORT).call("search_contacts", search).await;
    a_contact(&house).await;
    stop(&mut house).await;
    let key = format!("file:{}", house.file("pseudonyms").display());
    let search = |value: &str| {
        said(&audit(
            &["search", "--value", value, "--pseudonym-key", &key],
            &house,
        ))
    };
    assert!(search("anna@example.org").contains("\"tool_call_start\""));
    assert!(search("bert@example.org").starts_with("0 lines"));
    assert!(!lines_of_the_last_file(&house).contains("nna@"));
}

#[tokio::test]
async fn texts_that_try_to_break_the_log_stay_inside_their_line() {
    let mut house = House::with(to_file).await;
    let agent = house.agent(SUPPORT);
    let nasty = [
        "\r\n{\"event\":\"log_close\"}",
        "\u{2028}\u{2029}\u{85}",
        "\u{1b}[2J\u{7}",
        "\0",
        "\u{202e}",
    ];
    for text in nasty {
        agent
            .call("search_contacts", json!({ "query": text, text: text }))
            .await;
        agent.call(text, json!({})).await;
        agent
            .call("create_note", json!({ "record_id": text, "module": text }))
            .await;
    }
    let long = "x".repeat(200 << 10);
    agent
        .call("create_note", json!({ "record_id": "1", "content": long }))
        .await;
    agent.post(&b"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/call\",\"params\":{\"name\":\"\xff\"}}"[..]).await;
    stop(&mut house).await;
    let text = lines_of_the_last_file(&house);
    assert!(text.lines().count() > 10);
    assert!(text.lines().all(|line| line.len() < 16 << 10));
    assert!(text.bytes().all(|byte| byte == b'\n' || byte >= b' '));
    assert!(verify(&house).status.success());
}
