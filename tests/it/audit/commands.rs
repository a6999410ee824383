//! The commands that read a log, as an investigator uses them.

use std::{fs, process::Output};

use serde_json::{Value, json};

use crate::{
    house::{House, REPORTING, SUPPORT, Setup, command},
    log::{audit, lines, pseudonymous, said, search, stop, to_file},
};

#[tokio::test]
async fn one_file_by_two_names_is_one_file() {
    let mut house = House::with(to_file).await;
    house.agent(SUPPORT).tools().await;
    stop(&mut house).await;
    let log = house.file("audit.jsonl");
    let (folder, link) = (house.file(""), house.file("link"));
    std::os::unix::fs::symlink(&log, &link).unwrap();
    let name = folder.file_name().unwrap().to_str().unwrap();
    let roundabout = folder.join("..").join(name).join("./audit.jsonl");
    let spellings = [&log, &roundabout, &link].map(|path| path.to_str().unwrap());
    let verified = command(&[&["audit", "verify"], &spellings[..]].concat());
    assert_eq!(verified.status.code(), Some(0), "{}", said(&verified));
    let count = lines(&house).len();
    assert!(
        said(&verified).contains(&format!(": {count} lines")),
        "{}",
        said(&verified)
    );
    let story = command(&[&["audit", "story", "--client", SUPPORT], &spellings[..]].concat());
    assert_eq!(
        said(&story).matches("proved who it is").count(),
        1,
        "{}",
        said(&story)
    );
}

#[tokio::test]
async fn a_story_can_be_of_one_day() {
    let mut house = House::with(to_file).await;
    house
        .agent(REPORTING)
        .call("get_deal_summary", json!({}))
        .await
        .content();
    stop(&mut house).await;
    let first = lines(&house).remove(0);
    let today = first["timestamp"].as_str().unwrap()[..10].to_owned();
    let of = |day: &str| audit(&["story", "--client", REPORTING, "--day", day], &house);
    let told = of(&today);
    assert!(
        said(&told).contains("called get_deal_summary"),
        "{}",
        said(&told)
    );
    let another = of("2020-02-29");
    assert_eq!(another.status.code(), Some(1), "{}", said(&another));
    assert!(said(&another).contains("nothing of that is in the log"));
    for wrong in ["yesterday", "2026-02-30", "2026"] {
        assert_eq!(of(wrong).status.code(), Some(64), "{wrong}");
    }
}

#[tokio::test]
async fn a_configuration_that_is_no_toml_is_a_mistake_of_whoever_named_it() {
    let mut house = House::with(to_file).await;
    let refused = house.stranger(Some("nonsense")).call("x", json!({})).await;
    stop(&mut house).await;
    let bad = house.file("bad.toml");
    fs::write(&bad, "[limits\nclient = 1").unwrap();
    let bad = bad.to_str().unwrap();
    let request = refused.header("x-request-id");
    let explained = audit(&["explain", "--request", request, "--config", bad], &house);
    for ended in [
        explained,
        command(&["check", "--config", bad]),
        command(&["serve", "--config", bad]),
    ] {
        assert_eq!(ended.status.code(), Some(64), "{}", said(&ended));
        assert!(said(&ended).contains("bad.toml"), "{}", said(&ended));
    }
}

#[tokio::test]
async fn a_value_within_a_filter_is_found_as_well() {
    let mut house = House::with(pseudonymous).await;
    let stage = json!({ "filters": { "stage": "Zaubersberg Deal" } });
    let asked = house.agent(REPORTING).call("get_deal_summary", stage).await;
    assert_eq!(asked.status, 200);
    stop(&mut house).await;
    let found = search(&house, "zaubersberg deal");
    assert!(
        found.contains("\"toolName\":\"get_deal_summary\""),
        "{found}"
    );
    assert!(!found.to_lowercase().contains("zaubersberg"), "{found}");
    assert!(search(&house, "Prospecting deal").starts_with("0 lines"));
}

#[tokio::test]
async fn a_call_without_a_token_is_explained_by_the_tokens_and_not_by_the_load() {
    let mut house = House::with(to_file).await;
    let denied = json!({ "error": "Access Denied", "status": "failure" });
    for fault in [
        json!({ "fault": "revoke_tokens", "path": "/crm", "times": 1 }),
        json!({ "fault": "status", "path": "/oauth", "status": 400, "body": denied }),
    ] {
        house.zoho.fault(fault).await;
    }
    let arguments = json!({ "name": "Giulia" });
    let agent = house.agent(SUPPORT);
    let failed = agent.call("search_contacts", arguments).await;
    let told = failed.failure();
    assert!(told.contains("too many access tokens"), "{told}");
    let request = failed.header("x-request-id").to_owned();
    stop(&mut house).await;
    let explained = said(&audit(&["explain", "--request", &request], &house));
    for part in [
        "zoho_token_throttled: so many access tokens",
        "token_key under [zoho]",
    ] {
        assert!(explained.contains(part), "{part}: {explained}");
    }
}

#[tokio::test]
async fn a_value_from_standard_input_is_found_however_its_accents_were_typed() {
    let mut house = House::with(pseudonymous).await;
    let asked = json!({ "name": "Ame\u{301}lie" });
    house
        .agent(SUPPORT)
        .call("search_contacts", asked)
        .await
        .content();
    stop(&mut house).await;
    let search = "zoho-mcp audit search --value - --pseudonym-key file:pseudonyms audit.jsonl";
    for (value, code) in [("AM\u{c9}LIE", 0), ("Ame\u{301}lie ", 0), ("Amelie", 1)] {
        let script = format!("printf '%s\\n' '{value}' | {search}");
        let found = house.shell(&script, &[]).await;
        assert_eq!(found.status.code(), Some(code), "{value}: {}", said(&found));
        let is_found = said(&found).contains("\"tool_call_start\"");
        assert_eq!(is_found, code == 0, "{value}: {}", said(&found));
    }
}

#[tokio::test]
async fn a_value_or_a_key_that_cannot_be_one_is_refused() {
    let mut house = House::with(pseudonymous).await;
    house.agent(SUPPORT).tools().await;
    stop(&mut house).await;
    fs::write(house.file("short"), "0123456789abcdef").unwrap();
    let reference = |name: &str| format!("file:{}", house.file(name).display());
    for (value, key, says) in [
        (" ", "pseudonyms", "--value: there is none"),
        ("x", "short", "shorter than 32 bytes"),
        ("x", "missing", "--pseudonym-key"),
    ] {
        let key = reference(key);
        let refused = audit(
            &["search", "--value", value, "--pseudonym-key", &key],
            &house,
        );
        assert_eq!(refused.status.code(), Some(64), "{}", said(&refused));
        assert!(said(&refused).contains(says), "{}", said(&refused));
    }
}

/// A search with the key in that file.
fn search_with(house: &House, value: &str, key: &str) -> Output {
    let key = format!("file:{}", house.file(key).display());
    audit(
        &["search", "--value", value, "--pseudonym-key", &key],
        house,
    )
}

#[tokio::test]
async fn a_search_answers_for_no_run_whose_pseudonyms_are_of_another_key() {
    let mut house = House::with(pseudonymous).await;
    house.agent(SUPPORT).search("Popper").await.content();
    stop(&mut house).await;
    house.zoho.later("10m").await;
    let key = "another key that is long enough, yes";
    fs::write(house.file("another"), key).unwrap();
    let another = |setup: &mut Setup| {
        setup.set("audit.pseudonym_key", "file:another");
    };
    let mut next = house.replica(another).await;
    next.agent(SUPPORT).search("Popper").await.content();
    stop(&mut next).await;
    let opens = lines(&house).into_iter();
    let opens: Vec<_> = opens.filter(|line| line["event"] == "log_open").collect();
    let [boots, ids] = ["boot", "pseudonymKey"].map(|name| [0, 1].map(|n| opens[n][name].clone()));
    assert!(ids.iter().all(|id| id.as_str().unwrap().len() == 16) && ids[0] != ids[1]);
    for (key, other) in [("pseudonyms", &boots[1]), ("another", &boots[0])] {
        let other = other.as_str().unwrap();
        let lack = format!("in 1 run with pseudonyms of another key: {other} of ");
        let found = search_with(&house, "Popper", key);
        assert_eq!(found.status.code(), Some(0), "{}", said(&found));
        assert!(said(&found).contains(&lack), "{}", said(&found));
        let nothing = search_with(&house, "Nobody", key);
        let told = said(&nothing);
        assert_eq!(nothing.status.code(), Some(1), "{told}");
        assert!(
            told.contains(&lack) && told.contains("it shows nothing"),
            "{told}"
        );
        assert!(!told.contains("nothing of that is in the log"), "{told}");
    }
}

#[tokio::test]
async fn a_search_answers_for_no_run_that_forgot_its_pseudonym_key() {
    let mut house = House::with(to_file).await;
    stop(&mut house).await;
    assert_eq!(lines(&house)[0]["pseudonymKey"], "forgotten");
    fs::write(house.file("any"), "0123456789abcdef0123456789abcdef").unwrap();
    let nothing = search_with(&house, "Popper", "any");
    assert_eq!(nothing.status.code(), Some(1));
    let told = said(&nothing);
    assert!(
        told.contains("in 1 run with pseudonyms of another key"),
        "{told}"
    );
}

#[tokio::test]
async fn a_search_answers_for_no_run_that_does_not_say_which_key_it_had() {
    let mut house = House::with(pseudonymous).await;
    house.agent(SUPPORT).search("Popper").await.content();
    stop(&mut house).await;
    // Its first line is in an older file, which is gone.
    let log = house.file("audit.jsonl");
    let text = fs::read_to_string(&log).unwrap();
    let (first, rest) = text.split_once('\n').unwrap();
    fs::write(&log, rest).unwrap();
    fs::write(
        house.file("another"),
        "another key that is long enough, yes",
    )
    .unwrap();
    let nothing = search_with(&house, "Popper", "another");
    let told = said(&nothing);
    assert_eq!(nothing.status.code(), Some(1), "{told}");
    let unknown = "it is not known whether they had this pseudonym key";
    assert!(told.contains(unknown), "{told}");
    assert!(!told.contains("nothing of that is in the log"), "{told}");
    let found = search_with(&house, "Popper", "pseudonyms");
    assert_eq!(found.status.code(), Some(0), "{}", said(&found));
    // Beside a run that is known to have another key.
    let other = first.replace(r#""pseudonymKey":""#, r#""pseudonymKey":"0"#);
    let boot = serde_json::from_str::<Value>(first).unwrap()["boot"].clone();
    let other = other.replace(boot.as_str().unwrap(), "0123456789abcdef");
    fs::write(&log, format!("{other}\n{rest}")).unwrap();
    let told = said(&search_with(&house, "Popper", "another"));
    assert!(
        told.contains("nor of those of which it is not known"),
        "{told}"
    );
}

#[tokio::test]
async fn line_ends_that_were_rewritten_are_told() {
    let mut house = House::with(to_file).await;
    house.agent(SUPPORT).tools().await;
    stop(&mut house).await;
    let log = house.file("audit.jsonl");
    let text = fs::read_to_string(&log).unwrap();
    let count = text.lines().count();
    let lack = format!("but not the ends of {count} lines: a carriage return");
    let verify = ["audit", "verify", log.to_str().unwrap()];
    assert!(!said(&command(&verify)).contains("carriage return"));
    fs::write(&log, text.replace('\n', "\r\n")).unwrap();
    let verified = command(&verify);
    assert_eq!(verified.status.code(), Some(0), "{}", said(&verified));
    assert!(said(&verified).contains(&lack), "{}", said(&verified));
    let story = audit(&["story", "--client", SUPPORT], &house);
    assert_eq!(story.status.code(), Some(0), "{}", said(&story));
    assert!(said(&story).contains(&lack), "{}", said(&story));
    fs::write(&log, text.replace('\n', "\r\r\n")).unwrap();
    let verified = command(&verify);
    assert_eq!(verified.status.code(), Some(1), "{}", said(&verified));
    assert!(
        said(&verified).contains("the line was changed"),
        "{}",
        said(&verified)
    );
}
