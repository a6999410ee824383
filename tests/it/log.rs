//! The log in its files, as an auditor has it.

use std::{fs, path::Path, process::Output};

use serde_json::{Value, json};

use crate::house::{House, SUPPORT, Setup, command};

pub(crate) fn to_file(setup: &mut Setup) {
    setup.set("audit.sinks", "[\"file:audit.jsonl\"]");
}

/// In a file, with pseudonyms of a key that is known.
pub(crate) fn pseudonymous(setup: &mut Setup) {
    to_file(setup);
    setup.set("audit.pseudonym_key", "file:pseudonyms");
    setup.file("pseudonyms", "0123456789abcdef0123456789abcdef");
}

/// What somebody finds who knows a value, and that key.
pub(crate) fn search(house: &House, value: &str) -> String {
    let key = format!("file:{}", house.file("pseudonyms").display());
    let found = audit(
        &["search", "--value", value, "--pseudonym-key", &key],
        house,
    );
    said(&found)
}

/// A house whose log is signed, and its public key in `public.pem`.
pub(crate) async fn signed(change: impl FnOnce(&mut Setup)) -> House {
    let made = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("key-{}", uuid::Uuid::new_v4()));
    let generated = command(&["audit", "keygen", "--out", made.to_str().unwrap()]);
    assert!(generated.status.success(), "{generated:?}");
    let house = House::with(|setup| {
        to_file(setup);
        setup.set("audit.signing_key", "file:audit-key.pem");
        setup.file("audit-key.pem", &fs::read_to_string(&made).unwrap());
        change(setup);
    })
    .await;
    fs::write(house.file("public.pem"), generated.stdout).unwrap();
    fs::remove_file(made).unwrap();
    house
}

/// The files of the log, the newest first.
pub(crate) fn files(house: &House) -> Vec<String> {
    let folder = house.file("");
    let names = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = names
        .filter_map(|path| path.to_str().map(str::to_owned))
        .filter(|path| path.contains("audit.jsonl") && !path.ends_with(".lock"))
        .collect();
    files.sort();
    files.reverse();
    files
}

pub(crate) fn lines(house: &House) -> Vec<Value> {
    let mut files = files(house);
    files.sort_by_key(|path| (path.ends_with(".jsonl"), path.clone()));
    let texts = files.iter().map(|path| fs::read_to_string(path).unwrap());
    texts
        .flat_map(|text| text.lines().map(str::to_owned).collect::<Vec<_>>())
        .map(|line| serde_json::from_str(&line).expect(&line))
        .collect()
}

/// Calls that have begun in the log and not ended.
pub(crate) fn open_calls(house: &House) -> usize {
    let lines = lines(house);
    let events = lines.iter().filter_map(|line| line["event"].as_str());
    let calls = events.filter(|event| event.starts_with("tool_call_"));
    let (begun, ended): (Vec<_>, Vec<_>) = calls.partition(|event| *event == "tool_call_start");
    begun.len() - ended.len()
}

pub(crate) fn audit(what: &[&str], house: &House) -> Output {
    let files = files(house);
    let files = files.iter().map(String::as_str);
    let arguments: Vec<_> = ["audit"]
        .into_iter()
        .chain(what.iter().copied())
        .chain(files)
        .collect();
    command(&arguments)
}

pub(crate) fn verify(house: &House) -> Output {
    let key = house.file("public.pem");
    if key.exists() {
        return audit(&["verify", "--public-key", key.to_str().unwrap()], house);
    }
    audit(&["verify"], house)
}

pub(crate) fn said(output: &Output) -> String {
    let texts = [&output.stdout, &output.stderr];
    texts
        .map(|text| String::from_utf8_lossy(text).into_owned())
        .concat()
}

pub(crate) async fn stop(house: &mut House) {
    house.signal("-TERM");
    assert_eq!(
        house.ended().await.code(),
        Some(0),
        "{}",
        house.operational_log()
    );
}

pub(crate) async fn a_contact(house: &House) -> String {
    let search = json!({ "name": "Giulia" });
    let found = house
        .agent(SUPPORT)
        .call("search_contacts", search)
        .await
        .content();
    found["items"][0]["id"].as_str().unwrap().to_owned()
}

pub(crate) fn lines_of_the_last_file(house: &House) -> String {
    fs::read_to_string(house.file("audit.jsonl")).unwrap_or_default()
}
