//! The pages of `docs/runbooks`: their commands do what they say.

use std::{
    fs,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown},
    path::Path,
};

use serde_json::{Value, json};

use crate::{
    house::{House, REPORTING, SUPPORT, Setup, command, eventually},
    pki::{Ca, TlsHouse},
    redis::Redis,
    runbook::Runbook,
};

/// A house that keeps its log in a signed file, as an installation does.
fn installed(setup: &mut Setup) {
    let folder = crate::house::Folder::new();
    let key = folder.path("audit-key.pem");
    let made = command(&["audit", "keygen", "--out", key.to_str().unwrap()]);
    setup.file("audit-key.pem", &fs::read_to_string(&key).unwrap());
    setup.file("audit-public.pem", &String::from_utf8(made.stdout).unwrap());
    setup.file("pseudonym-key", &"p".repeat(40));
    setup.set("audit.sinks", r#"["stdout", "file:audit.jsonl"]"#);
    setup.set("audit.signing_key", "file:audit-key.pem");
    setup.set("audit.pseudonym_key", "file:pseudonym-key");
}

/// The same with Redis, which `zoho-mcp limits` looks into.
fn sharing(setup: &mut Setup, redis: &Redis) {
    installed(setup);
    setup
        .set("redis.url", &redis.url())
        .set("redis.timeout", "2s");
}

/// A call that succeeds, one that fails, and one that is not permitted.
async fn busy(house: &House) {
    let support = house.agent(SUPPORT);
    let found = support.search("Giulia").await;
    let note = json!({ "record_id": found.content()["items"][0]["id"], "content": "x" });
    support.call("create_note", note.clone()).await.content();
    support
        .call("get_contact_history", json!({ "contact_id": "1" }))
        .await
        .failure();
    house
        .agent(REPORTING)
        .call("create_note", note)
        .await
        .failure();
}

fn edit(house: &House, from: &str, to: &str) {
    let config = fs::read_to_string(house.file("zoho-mcp.toml")).unwrap();
    assert!(config.contains(from), "{config}");
    house.replace("zoho-mcp.toml", &config.replace(from, to));
}

#[tokio::test]
async fn every_page_is_listed_and_run() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let index = fs::read_to_string(folder.join("docs/runbooks/README.md")).unwrap();
    let tests = include_str!("runbooks.rs");
    for page in fs::read_dir(folder.join("docs/runbooks")).unwrap() {
        let page = page.unwrap().file_name().into_string().unwrap();
        if let Some(name) = page.strip_suffix(".md").filter(|name| *name != "README") {
            assert!(
                index.contains(&format!("]({page})")),
                "{page} is not in the README"
            );
            assert!(
                tests.contains(&format!("open(\"{name}\")")),
                "{page} is not run"
            );
        }
    }
}

#[tokio::test]
async fn a_key_is_rotated_and_another_one_revoked() {
    let house = House::with(installed).await;
    let mut book = Runbook::open("rotate-a-key");
    busy(&house).await;
    book.step("See what there is", &house).await;
    book.step("Make the second key", &house).await;
    let new = fs::read_to_string(house.file("new.key")).unwrap();
    let new = house.stranger(Some(new.trim()));
    new.tools().await;
    house.agent(REPORTING).tools().await;
    let kept = book.step("End the old one", &house).await;
    assert!(kept.contains("it is still in use"), "{kept}");
    house.agent(REPORTING).tools().await;
    book.step("End it although it was used", &house).await;
    let refused = async |client: &str| {
        let agent = house.agent(client);
        while agent.status().await != 401 {
            tokio::task::yield_now().await;
        }
    };
    refused(REPORTING).await;
    new.tools().await;
    let (ended, spare) = (one_that_ended(&house, SUPPORT), rotated(&house, SUPPORT));
    let variables = [("KEY", &*house.keys[SUPPORT])];
    let used = book.step_with("Leaked", &house, &variables).await;
    assert!(used.contains("create_note"), "{used}");
    let list: Value = serde_json::from_str(&keys(&house, &["list", "--json"])).unwrap();
    for (id, status) in [(ended, "retired"), (spare, "active")] {
        let keys = list["keys"].as_array().unwrap();
        let key = keys.iter().find(|key| key["id"] == *id).unwrap();
        assert_eq!(key["status"], status, "{list}");
    }
    refused(SUPPORT).await;
    book.done();
}

#[tokio::test]
async fn a_key_is_seen_to_work_where_there_are_sessions_too() {
    let with_sessions = |setup: &mut Setup| {
        installed(setup);
        setup.set("mcp.sessions", "true");
    };
    let house = House::with(with_sessions).await;
    let mut book = Runbook::open("rotate-a-key");
    book.step("See what there is", &house).await;
    book.step("Make the second key", &house).await;
}

/// Runs `zoho-mcp keys` on the store of the house; what it printed.
fn keys(house: &House, arguments: &[&str]) -> String {
    let store = house.file("keys.json");
    let place = ["--store", store.to_str().unwrap()];
    let ran = command(&[&["keys"], arguments, &place].concat());
    assert!(ran.status.success(), "{ran:?}");
    String::from_utf8(ran.stdout).unwrap()
}

/// The id of a second key of a client.
fn rotated(house: &House, client: &str) -> String {
    let made = keys(house, &["rotate", "--client", client]);
    made.split('_').nth(2).unwrap().to_owned()
}

/// The id of a key that has ended, and that the store has before all other keys.
fn one_that_ended(house: &House, client: &str) -> String {
    let id = rotated(house, client);
    keys(house, &["retire", "--force", "--key", &id]);
    let store = fs::read_to_string(house.file("keys.json")).unwrap();
    let mut store: Value = serde_json::from_str(&store).unwrap();
    store["keys"].as_array_mut().unwrap().reverse();
    house.replace("keys.json", &store.to_string());
    id
}

#[tokio::test]
async fn a_certificate_is_revoked() {
    const URI: &str = "spiffe://example.com/customer-service-agent";
    let ca = Ca::root("clients");
    let agent = ca.client(URI);
    let tls = TlsHouse::with(|setup| {
        installed(setup);
        TlsHouse::ask(setup, "required", &ca);
        setup.set("server.tls.client_crl", "clients.crl");
        setup.set(&format!("clients.{SUPPORT}.certificate"), URI);
        setup.file("clients.crl", &ca.crl(&[], 2099));
        setup.file("agent.pem", &agent.chain);
        setup.file("agent.key", &agent.key);
        setup.file("ca.key", &ca.key_pem());
        setup.file("ca.cnf", OPENSSL_CA);
        setup.file("index.txt", "");
        setup.file("crlnumber", "02\n");
    })
    .await;
    fs::write(tls.house.file("server-ca.pem"), tls.servers.pem()).unwrap();
    tls.agent(Some(&agent)).tools().await;
    let mut book = Runbook::open("revoke-a-certificate");
    let which = book.step("Which certificate", &tls.house).await;
    assert!(which.contains(URI) && which.contains(SUPPORT), "{which}");
    book.step("Make the new list", &tls.house).await;
    let access = read_by_a_service(&tls.house, "clients.crl");
    book.step("Put it in place", &tls.house).await;
    assert_eq!(access, access_to(&tls.house, "clients.crl"));
    let told = book.step("See that it holds", &tls.house).await;
    assert!(told.contains("revoked"), "{told}");
    book.done();
}

const OPENSSL_CA: &str = "
[ca]
default_ca = here
[here]
database = index.txt
crlnumber = crlnumber
certificate = clients.pem
private_key = ca.key
default_md = sha256
default_crl_days = 30
crl_extensions = number
[number]
authorityKeyIdentifier = keyid
";

#[tokio::test]
async fn credentials_that_zoho_refuses_are_replaced() {
    let house = House::with(installed).await;
    let mut mine = house.zoho.daemon_credentials.clone();
    let good = mine["refresh_token"].as_str().unwrap().to_owned();
    mine["refresh_token"] = json!("1000.revoked");
    house.replace("zoho.json", &mine.to_string());
    let is_read = |line: &Value| line["policy"] == "zoho.credentials";
    house.recorded("the revoked token", is_read).await;
    let search = json!({ "name": "Giulia" });
    let support = house.agent(SUPPORT);
    support
        .call("search_contacts", search.clone())
        .await
        .failure();
    let access = read_by_a_service(&house, "zoho.json");
    let mut book = Runbook::open("zoho-token-revoked");
    let told = book.step("Be sure", &house).await;
    assert!(told.contains("zoho_credentials"), "{told}");
    assert!(told.contains("credentials_refused"), "{told}");
    let variables = [("TOKEN", &*good)];
    book.step_with("Put it in", &house, &variables).await;
    assert_eq!(access, access_to(&house, "zoho.json"));
    book.step("See that it holds", &house).await;
    support.call("search_contacts", search).await.content();
    book.done();
}

/// Lets a group read a file that belongs to somebody else, as that of a service would be; who may
/// do what with it then.
fn read_by_a_service(house: &House, name: &str) -> (u32, u32, u32) {
    let file = house.file(name);
    fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
    // Whoever runs tests as somebody else than root cannot give files away.
    let _ = chown(&file, None, Some(65_532));
    access_to(house, name)
}

/// Owner, group and mode.
fn access_to(house: &House, name: &str) -> (u32, u32, u32) {
    let file = fs::metadata(house.file(name)).unwrap();
    (file.uid(), file.gid(), file.mode())
}

#[tokio::test]
async fn redis_is_lost_and_comes_back() {
    let mut redis = Redis::start();
    let house = House::with(|setup| sharing(setup, &redis)).await;
    house.agent(SUPPORT).tools().await;
    redis.kill();
    house
        .recorded("the local mode", |line| {
            line["event"] == "limiter_mode" && line["reason"] == "local"
        })
        .await;
    let mut book = Runbook::open("redis-lost");
    let told = book.step("What is wrong with it", &house).await;
    assert!(told.contains("\"error\":\"connection_"), "{told}");
    house.agent(SUPPORT).tools().await;
    book.step("Are the shares right?", &house).await;
    redis.restart();
    let used = book.step("When it is back", &house).await;
    assert!(used.contains("global"), "{used}");
    book.done();
}

#[tokio::test]
async fn credits_are_exhausted() {
    let redis = Redis::start();
    less_is_spent(House::with(|setup| sharing(setup, &redis)).await).await;
}

#[tokio::test]
async fn credits_are_exhausted_where_there_is_no_redis() {
    less_is_spent(House::with(installed).await).await;
}

/// Follows the page on credits.
async fn less_is_spent(house: House) {
    busy(&house).await;
    house.zoho.set(json!({ "daily_credits": 1 })).await;
    let reporting = house.agent(REPORTING);
    let refused = reporting.call("get_deal_summary", json!({})).await;
    assert_eq!(refused.status, 429);
    let mut book = Runbook::open("credits-exhausted");
    let spent = book.step("Who spent them", &house).await;
    assert!(spent.contains("zoho_credits_spent"), "{spent}");
    assert!(spent.contains("create_note"), "{spent}");
    edit(
        &house,
        "[clients.reporting-agent]\n",
        "[clients.reporting-agent]\nlimits = { requests = 5, per = \"1m\" }\n",
    );
    book.step("Spend less", &house).await;
    book.done();
}

#[tokio::test]
async fn an_agent_that_misbehaves_is_found_slowed_down_and_cut_off() {
    let redis = Redis::start();
    let house = House::with(|setup| sharing(setup, &redis)).await;
    busy(&house).await;
    let mut book = Runbook::open("a-misbehaving-agent");
    let found = book.step("Who it is and what it does", &house).await;
    assert!(
        found.contains("tool_access_denied reporting-agent create_note"),
        "{found}"
    );
    assert!(
        found.contains("was not permitted to call create_note"),
        "{found}"
    );
    let wrote = book.step("What it wrote", &house).await;
    assert_eq!(wrote.lines().count(), 1);
    let wrote: Value = serde_json::from_str(&wrote).unwrap();
    assert_eq!(wrote["outcome"], "created");
    edit(
        &house,
        "[clients.reporting-agent]\n",
        "[clients.reporting-agent]\nlimits = { requests = 2, per = \"1m\" }\n",
    );
    book.step("Slow it down", &house).await;
    let agent = house.agent(REPORTING);
    while agent.status().await != 429 {
        tokio::task::yield_now().await;
    }
    book.step("Cut it off", &house).await;
    while agent.status().await != 401 {
        tokio::task::yield_now().await;
    }
    house.agent(SUPPORT).tools().await;
    book.done();
}

#[tokio::test]
async fn an_incident_is_read_from_the_log() {
    let house = House::with(installed).await;
    busy(&house).await;
    eventually("the lines on disk", || {
        let log = fs::read_to_string(house.file("audit.jsonl")).unwrap();
        log.contains("tool_access_denied").then_some(())
    })
    .await;
    let mut book = Runbook::open("reading-an-incident");
    book.step("Take the log away first", &house).await;
    let proven = book.step("Can it be believed?", &house).await;
    assert!(proven.contains("PROVEN  no line was changed"), "{proven}");
    assert!(
        proven.contains("PROVEN  whoever wrote it held the signing key"),
        "{proven}"
    );
    let story = book.step("What happened", &house).await;
    assert!(
        story.contains("customer-service-agent called search_contacts"),
        "{story}"
    );
    assert!(story.contains("failed: not_found"), "{story}");
    let why = book.step("Why it was refused", &house).await;
    assert!(
        why.contains("add \"create_note\" to the tools of the role"),
        "{why}"
    );
    let runs = book.step("Was the daemon killed?", &house).await;
    assert!(
        runs.contains("previousEnd") && runs.contains("log open"),
        "{runs}"
    );
    book.done();
}
