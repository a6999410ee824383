//! What a newcomer sees.

use serde_json::json;

use crate::{
    house::{House, SUPPORT, command, command_with, eventually},
    log::{said, stop},
    process::Folder,
};

#[tokio::test]
async fn a_newcomer_asks_about_a_contact_and_writes_a_note() {
    let house = House::demo().await;
    let agent = house.agent(SUPPORT);
    let found = agent
        .call("search_contacts", json!({ "name": "Giulia", "limit": 3 }))
        .await
        .content();
    let id = found["items"][0]["id"].as_str().unwrap();
    let note =
        json!({ "record_id": id, "content": "Wants a call on Friday", "idempotency_key": "a" });
    agent.call("create_note", note).await.content();
    let history = agent
        .call("get_contact_history", json!({ "contact_id": id }))
        .await
        .content();
    assert_eq!(history["items"][0]["text"], "Wants a call on Friday");
    assert_eq!(house.zoho.notes_written().await, 1);
}

#[tokio::test]
async fn the_first_question_of_the_readme_has_an_answer() {
    let house = House::demo().await;
    let question = "Find a contact called Giulia and tell me what happened";
    let asked = || house.operational_log().contains(question).then_some(());
    eventually("the question in the banner", asked).await;
    let agent = house.agent(SUPPORT);
    let found = agent.search("Giulia").await;
    let first = &found.content()["items"][0];
    assert!(
        first["fullName"].as_str().unwrap().contains("Giulia"),
        "{first}"
    );
    let asked = json!({ "contact_id": first["id"] });
    let history = agent.call("get_contact_history", asked).await.content();
    let kinds: Vec<&str> = history["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| item["type"].as_str().unwrap())
        .collect();
    for kind in ["notes", "deals", "tasks", "calls"] {
        assert!(kinds.contains(&kind), "no {kind} in {kinds:?}");
    }
}

#[tokio::test]
async fn the_demo_prints_what_to_paste_and_keeps_standard_output_for_the_audit_log() {
    let house = House::demo().await;
    let banner = house.operational_log();
    for wanted in [
        "claude mcp add",
        "claude_desktop_config.json",
        "~/.cursor/mcp.json",
        ".vscode/mcp.json",
        "curl -s",
    ] {
        assert!(banner.contains(wanted), "{wanted}");
    }
    house
        .keys
        .values()
        .for_each(|key| assert!(banner.contains(key)));
    house.agent(SUPPORT).tools().await;
    house.event("auth_success").await;
}

#[tokio::test]
async fn the_demo_is_small_at_rest() {
    let house = House::demo().await;
    let status = std::fs::read_to_string(format!("/proc/{}/status", house.pid())).unwrap();
    let resident = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .unwrap();
    let kib: u64 = resident.split_whitespace().next().unwrap().parse().unwrap();
    assert!(kib < 60 << 10, "{kib} KiB in a debug build");
}

#[tokio::test]
async fn keys_for_the_audit_log_are_taken_from_the_environment() {
    let folder = Folder::new();
    let (key, public) = (folder.path("key.pem"), folder.path("public.pem"));
    let [private, public] = [&key, &public].map(|path| path.to_str().unwrap());
    let made = command(&["audit", "keygen", "--out", private, "--public-out", public]);
    assert!(made.status.success(), "{made:?}");
    let pseudonyms = folder.write("pseudonyms", &"0123456789abcdef".repeat(4));
    let pseudonyms = format!("file:{}", pseudonyms.display());
    let log = folder.path("audit.jsonl").display().to_string();
    let variables = [
        ("SIGNING_KEY", format!("file:{private}")),
        ("PSEUDONYM_KEY", pseudonyms.clone()),
        ("SINKS", format!("[\"file:{log}\"]")),
    ];
    let environment = variables.map(|(name, value)| (format!("ZOHO_MCP__AUDIT__{name}"), value));
    let public = public.to_owned();
    let mut house = House::demo_with(folder, environment.into()).await;
    house.agent(SUPPORT).search("Giulia").await.content();
    stop(&mut house).await;
    let verified = command(&["audit", "verify", "--public-key", &public, &log]);
    assert!(verified.status.success(), "{}", said(&verified));
    let search = [
        "audit",
        "search",
        "--value",
        "Giulia",
        "--pseudonym-key",
        &pseudonyms,
        &log,
    ];
    let found = command(&search);
    assert!(said(&found).contains("search_contacts"), "{}", said(&found));
    let lost = [("ZOHO_MCP__AUDIT__SIGNING_KEY", "file:/nonexistent/key.pem")];
    let refused = command_with(&["demo", "--listen", "127.0.0.1:0"], &lost);
    assert_eq!(refused.status.code(), Some(64), "{}", said(&refused));
}
