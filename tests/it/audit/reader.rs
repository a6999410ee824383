//! Somebody who reads the log: what they are told, and how far they may believe it.

use std::fs;

use serde_json::{Value, json};
use zoho_mcp::audit::Redactor;

use crate::{
    house::{House, SUPPORT, command},
    log::{a_contact, audit, said, signed, stop, to_file},
};

async fn a_signed_log() -> House {
    let mut house = signed(|_| ()).await;
    a_contact(&house).await;
    let agent = house.agent(SUPPORT);
    agent
        .call("get_contact_history", json!({ "contact_id": "1" }))
        .await
        .failure();
    stop(&mut house).await;
    house
}

#[tokio::test]
async fn a_log_among_other_lines_is_verified_when_they_are_passed_over() {
    let house = a_signed_log().await;
    let ours = fs::read_to_string(house.file("audit.jsonl")).unwrap();
    let operational = house.operational_log();
    let others: Vec<&str> = operational.lines().collect();
    assert!(!others.is_empty());
    for line in &others {
        let line: Value = serde_json::from_str(line).unwrap();
        assert!(line.get("event").is_none(), "it is the audit log's: {line}");
    }
    let metrics = r#"{"_aws":{"Timestamp":1},"toolName":"x"}"#;
    let mut merged: Vec<&str> = vec![metrics];
    for (n, line) in ours.lines().enumerate() {
        merged.extend([line, others[n % others.len()]]);
    }
    let (path, key) = (house.file("merged"), house.file("public.pem"));
    let (path, key) = (path.to_str().unwrap(), key.to_str().unwrap());
    let verify = |text: &str, flags: &[&str]| {
        fs::write(path, text).unwrap();
        let verify = ["audit", "verify", "--public-key", key, path];
        command(&[&verify[..], flags].concat())
    };
    let whole = merged.join("\n") + "\n";
    assert_eq!(verify(&whole, &[]).status.code(), Some(1));
    let passed_over = verify(&whole, &["--mixed"]);
    assert_eq!(passed_over.status.code(), Some(0), "{}", said(&passed_over));
    let count = format!("nothing of {} lines", merged.len() - ours.lines().count());
    assert!(
        said(&passed_over).contains(&count),
        "{}",
        said(&passed_over)
    );
    // A line of ours cannot be hidden as one of another log's.
    let hidden = whole.replacen("{\"timestamp\"", "{\"target\":\"x\",\"timestamp\"", 2);
    let found = verify(&hidden, &["--mixed"]);
    assert_eq!(found.status.code(), Some(1), "{}", said(&found));
}

#[tokio::test]
async fn what_is_told_among_other_lines_is_told_and_verified_as_well() {
    let house = a_signed_log().await;
    let log = house.file("audit.jsonl");
    let ours = fs::read_to_string(&log).unwrap();
    let stranger = format!(r#"{{"target":"x","clientId":"{SUPPORT}","requestId":"r"}}"#);
    fs::write(&log, ours.replace('\n', &format!("\n{stranger}\n"))).unwrap();
    fs::write(house.file("pseudonyms"), PSEUDONYMS).unwrap();
    let key = format!("file:{}", house.file("pseudonyms").display());
    let failed = ours.lines().find(|line| line.contains("tool_call_error"));
    let failed: Value = serde_json::from_str(failed.unwrap()).unwrap();
    let request = failed["requestId"].as_str().unwrap();
    let public = house.file("public.pem");
    let with_key = ["--public-key", public.to_str().unwrap()];
    for what in [
        &["story", "--client", SUPPORT][..],
        &["explain", "--request", request],
        &["search", "--value", "giulia", "--pseudonym-key", &key],
    ] {
        let what = [what, &with_key].concat();
        let output = audit(&what, &house);
        let told = said(&output);
        assert!(told.contains("NOT VERIFIED"), "{what:?}: {told}");
        assert_eq!(output.status.code(), Some(1), "{what:?}: {told}");
        let told = said(&audit(&[&what[..], &["--mixed"]].concat(), &house));
        assert!(told.contains("Verified, as far as"), "{what:?}: {told}");
    }
}

#[tokio::test]
async fn a_log_from_before_it_was_signed_is_believed_as_far_as_it_can_be() {
    let mut house = House::with(to_file).await;
    a_contact(&house).await;
    stop(&mut house).await;
    let made = command(&[
        "audit",
        "keygen",
        "--out",
        house.file("key").to_str().unwrap(),
    ]);
    let public = house.file("public.pem");
    fs::write(&public, made.stdout).unwrap();
    let with_key = ["--public-key", public.to_str().unwrap()];
    let since = ["--signed-since", "2999-01-01T00:00:00Z"];
    let verified = said(&audit(
        &[&["verify"], &with_key[..], &since].concat(),
        &house,
    ));
    assert!(
        verified.contains("from before --signed-since"),
        "{verified}"
    );
    assert!(!verified.contains("held the signing key"), "{verified}");
    let story = [&["story", "--client", SUPPORT][..], &with_key].concat();
    let told = said(&audit(&story, &house));
    assert!(told.contains("NOT VERIFIED"), "{told}");
    let told = said(&audit(&[&story[..], &since].concat(), &house));
    assert!(
        told.contains("but not who wrote 1 run from before"),
        "{told}"
    );
}

#[tokio::test]
async fn whoever_is_told_a_story_hears_whether_the_log_was_verified() {
    let house = a_signed_log().await;
    let key = house.file("public.pem");
    let story = ["story", "--client", SUPPORT];
    let with_key = [&story[..], &["--public-key", key.to_str().unwrap()]].concat();
    let told = said(&audit(&with_key, &house));
    assert!(told.contains("Verified, as far as it goes:\n"), "{told}");
    let told = said(&audit(&story, &house));
    assert!(told.contains("Not verified: the chain holds"), "{told}");
    let log = house.file("audit.jsonl");
    let text = fs::read_to_string(&log).unwrap();
    let failed = text.lines().find(|line| line.contains("tool_call_error"));
    let failed: Value = serde_json::from_str(failed.unwrap()).unwrap();
    fs::write(&log, text.replace("not_found", "timeout")).unwrap();
    let told = said(&audit(&story, &house));
    assert!(told.contains("NOT VERIFIED"), "{told}");
    let request = failed["requestId"].as_str().unwrap();
    let told = said(&audit(&["explain", "--request", request], &house));
    assert!(told.contains("NOT VERIFIED"), "{told}");
    assert!(told.contains("get_contact_history failed for"), "{told}");
}

#[tokio::test]
async fn a_log_without_its_beginning_or_its_end_is_not_simply_verified() {
    let house = a_signed_log().await;
    let (log, key) = (house.file("audit.jsonl"), house.file("public.pem"));
    let whole = fs::read_to_string(&log).unwrap();
    let lines: Vec<&str> = whole.lines().collect();
    let failed = lines.iter().find(|line| line.contains("tool_call_error"));
    let failed: Value = serde_json::from_str(failed.unwrap()).unwrap();
    let request = failed["requestId"].as_str().unwrap();
    fs::write(house.file("pseudonyms"), PSEUDONYMS).unwrap();
    let pseudonyms = format!("file:{}", house.file("pseudonyms").display());
    let last = lines.len() - 1;
    let cut = format!("but not that nothing followed seq {last} of ");
    for (part, caveats) in [
        (&lines[..last], [&*cut, ": there is no closing line\n"]),
        (
            &lines[1..],
            ["but not what was before seq 2 of ", " is not here\n"],
        ),
    ] {
        fs::write(&log, part.join("\n") + "\n").unwrap();
        for (what, code) in [
            (&["story", "--client", SUPPORT][..], 0),
            (&["story", "--client", "nobody"], 1),
            (&["explain", "--request", request], 0),
            (&["explain", "--request", "nothing"], 1),
            (
                &["search", "--value", "x", "--pseudonym-key", &pseudonyms],
                1,
            ),
        ] {
            let with_key = [what, &["--public-key", key.to_str().unwrap()]].concat();
            let output = audit(&with_key, &house);
            let told = said(&output);
            assert_eq!(output.status.code(), Some(code), "{what:?}: {told}");
            assert!(!told.contains("Verified.\n"), "{what:?}: {told}");
            for caveat in caveats {
                assert!(told.contains(caveat), "{what:?} {caveat}: {told}");
            }
        }
    }
}

#[tokio::test]
async fn a_forged_text_draws_nothing_on_the_screen_of_whoever_reads() {
    let house = a_signed_log().await;
    let log = house.file("audit.jsonl");
    let text = fs::read_to_string(&log).unwrap();
    let redactor = Redactor::new(&PSEUDONYMS.as_bytes().to_vec().into());
    let role = format!(
        "\"role\":\"{}\u{202e}\u{9b}2J",
        redactor.pseudonym_of("giulia")
    );
    let forged = text
        .replace("\"role\":\"", &role)
        .replace(SUPPORT, "x\\u001b[2J\\nPROVEN  no line was changed")
        .replacen("\"instance\":\"", "\"instance\":\"\\u001b]0;", 1)
        .replace("\"signer\":\"", "\"signer\":\"\\u001b[8m\\nPROVEN ")
        .replace("\"toolName\":\"", "\"toolName\":\"\u{202e}\u{85}");
    fs::write(&log, forged).unwrap();
    let request = text.split("\"requestId\":\"").nth(1).unwrap();
    let request = request.split('"').next().unwrap();
    fs::write(house.file("pseudonyms"), PSEUDONYMS).unwrap();
    let key = format!("file:{}", house.file("pseudonyms").display());
    for what in [
        &["verify", "--open", "--partial"][..],
        &[
            "story",
            "--client",
            "x\u{1b}[2J\nPROVEN  no line was changed",
        ],
        &["explain", "--request", request],
        &["search", "--value", "giulia", "--pseudonym-key", &key],
    ] {
        let output = audit(what, &house);
        let told = String::from_utf8(output.stdout).unwrap();
        assert!(!told.is_empty(), "{what:?}");
        let drawn = |c: char| c.is_control() && c != '\n' || c == '\u{202e}';
        assert!(!told.contains(drawn), "{what:?}: {told:?}");
        assert!(!told.contains("\nPROVEN"), "{what:?}: {told}");
    }
}

const PSEUDONYMS: &str = "0123456789abcdef0123456789abcdef";
