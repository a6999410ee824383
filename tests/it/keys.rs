//! `zoho-mcp keys` in both stores, and what the daemon tells it.

use std::process::Output;

use serde_json::{Value, json};

use crate::{
    house::{House, REPORTING, SUPPORT, command, eventually, key_document},
    moto::{Moto, Stub, command_in},
};

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn code(output: &Output) -> Option<i32> {
    output.status.code()
}

fn json_of(output: &Output) -> Value {
    let problem = text(&output.stderr);
    assert!(output.status.success(), "{problem}");
    serde_json::from_slice(&output.stdout).unwrap()
}

#[tokio::test]
async fn a_key_lives_in_aws_as_it_does_in_a_file() {
    let moto = Moto::start().await;
    let nothing = moto.keys("keys", &["list"]);
    assert_eq!(code(&nothing), Some(1));
    assert!(text(&nothing.stderr).contains("keys new --client NAME --store aws:keys"));
    let first = moto.new_key("keys", SUPPORT);
    let made = moto.keys("keys", &["rotate", "--client", SUPPORT, "--json"]);
    let second = json_of(&made);
    let third = moto.keys("keys", &["rotate", "--client", SUPPORT]);
    assert_eq!(code(&third), Some(1), "two live keys are enough");
    let unknown = moto.keys("keys", &["retire", "--key", &first[10..20]]);
    assert_eq!(code(&unknown), Some(1), "nothing tells when it was used");
    assert!(text(&unknown.stderr).contains("--usage FILE"));
    let end = ["retire", "--force", "--key", &first[10..20], "--json"];
    let ended = moto.keys("keys", &end);
    assert_eq!(json_of(&ended)["liveKeysLeft"], 1);
    let listed = json_of(&moto.keys("keys", &["list", "--json"]));
    let statuses = [0, 1].map(|n| listed["keys"][n]["status"].clone());
    assert_eq!(statuses, [json!("retired"), json!("active")]);
    assert_eq!(listed["keys"][1]["id"], second["id"]);
    let said = text(&moto.keys("keys", &["list"]).stderr);
    assert!(said.contains("LAST USED is not kept in AWS"), "{said}");
    let stored = moto.current("keys").await;
    let key = second["key"].as_str().unwrap();
    assert!(!stored.contains(&key[21..53]), "hashes only");
}

#[tokio::test]
async fn the_first_key_is_made_in_the_secret_that_the_template_makes() {
    let moto = Moto::start().await;
    let template = include_str!("../../deploy/aws/secrets.yaml");
    let (_, keys) = template.split_once("\n  ApiKeys:\n").unwrap();
    let (_, seed) = keys.split_once("SecretString: '").unwrap();
    let seed = seed.split('\'').next().unwrap();
    let secret =
        json!({ "Name": "keys", "SecretString": seed, "ClientRequestToken": "t".repeat(32) });
    moto.ask("CreateSecret", secret).await;
    let nothing = moto.keys("keys", &["list"]);
    assert!(text(&nothing.stderr).contains("keys new --client NAME --store aws:keys"));
    moto.new_key("keys", SUPPORT);
    let listed = json_of(&moto.keys("keys", &["list", "--json"]));
    assert_eq!(listed["keys"][0]["client"], SUPPORT);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn commands_that_change_the_same_version_in_aws_lose_no_key() {
    let stub = Stub::start().await;
    let (_, document) = key_document("agent-0");
    stub.hold("keys", &document);
    stub.meet(3);
    std::thread::scope(|scope| {
        for client in ["agent-1", "agent-2", "agent-3"] {
            let arguments = ["keys", "new", "--client", client, "--store", "aws:keys"];
            let environment = stub.environment();
            scope.spawn(move || {
                let made = command_in(&environment, &arguments);
                assert!(made.status.success(), "{}", text(&made.stderr));
            });
        }
    });
    let stored: Value = serde_json::from_str(&stub.current("keys")).unwrap();
    let keys = stored["keys"].as_array().unwrap().iter();
    let mut clients: Vec<&str> = keys.map(|key| key["client"].as_str().unwrap()).collect();
    clients.sort_unstable();
    assert_eq!(clients, ["agent-0", "agent-1", "agent-2", "agent-3"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_somebody_else_wrote_to_aws_meanwhile_is_put_back() {
    let stub = Stub::start().await;
    let (first, second) = (key_document(SUPPORT).1, key_document(SUPPORT).1);
    let (first, second): (Value, Value) = (
        serde_json::from_str(&first).unwrap(),
        serde_json::from_str(&second).unwrap(),
    );
    let mut both = first.clone();
    let theirs = second["keys"][0].clone();
    both["keys"].as_array_mut().unwrap().push(theirs.clone());
    let stored = || serde_json::from_str::<Value>(&stub.current("keys")).unwrap();
    stub.hold("keys", &first.to_string());
    stub.intrude(&both.to_string());
    let new = ["keys", "new", "--client", REPORTING, "--store", "aws:keys"];
    assert_eq!(code(&command_in(&stub.environment(), &new)), Some(0));
    let keys = stored()["keys"].clone();
    assert_eq!((&keys[1], &keys[2]["client"]), (&theirs, &json!(REPORTING)));
    // This time there is no room for both, and who comes second is refused.
    stub.hold("keys", &first.to_string());
    stub.intrude(&both.to_string());
    let rotate = ["keys", "rotate", "--client", SUPPORT, "--store", "aws:keys"];
    let refused = command_in(&stub.environment(), &rotate);
    assert_eq!(
        (code(&refused), text(&refused.stdout)),
        (Some(1), String::new())
    );
    assert!(text(&refused.stderr).contains("2 live keys already"));
    assert_eq!(stored(), both);
}

#[tokio::test]
async fn the_daemon_tells_at_once_that_a_key_is_in_use() {
    let house = House::start().await;
    let store = house.file("keys.json");
    let store = store.to_str().unwrap();
    let keys = |arguments: &[&str]| command(&[&["keys"], arguments, &["--store", store]].concat());
    let last = |id: &str| {
        let listed = json_of(&keys(&["list", "--json"]));
        let mut keys = listed["keys"].as_array().unwrap().iter();
        keys.find(|key| key["id"] == id).unwrap()["lastUsed"].clone()
    };
    let retire = |id: &str| {
        let ended = keys(&["retire", "--key", id]);
        (code(&ended), text(&ended.stderr))
    };
    eventually("the usage file", || {
        let listed = json_of(&keys(&["list", "--json"]));
        (listed["usageKnown"] == true).then_some(())
    })
    .await;
    house.agent(SUPPORT).tools().await;
    let used = &house.keys[SUPPORT][10..20];
    eventually("the first use on disk", || {
        last(used).is_string().then_some(())
    })
    .await;
    let (status, said) = retire(used);
    assert!(status == Some(1) && said.contains("--force"), "{said}");
    // It was made before the daemon watched: somebody else may have used it.
    let unused = &house.keys[REPORTING][10..20];
    let (status, said) = retire(unused);
    assert!(status == Some(1) && said.contains("not known"), "{said}");
    // Keys are dated to the second, so one of the daemon's first second may be older than the file.
    eventually("a key that was watched from its first moment", || {
        let made = json_of(&keys(&["rotate", "--client", REPORTING, "--json"]));
        let id = made["id"].as_str().unwrap();
        let (status, _) = retire(id);
        keys(&["retire", "--force", "--key", id]);
        (status == Some(0)).then_some(())
    })
    .await;
    let forced = keys(&["retire", "--force", "--key", used]);
    assert_eq!(code(&forced), Some(0));
}

#[tokio::test]
async fn the_audit_log_tells_it_of_every_instance() {
    let house = House::start().await;
    house.agent(SUPPORT).tools().await;
    house.event("auth_success").await;
    let (store, log) = (house.file("keys.json"), house.file("audit.jsonl"));
    std::fs::write(&log, house.audit_text().join("\n")).unwrap();
    let (store, log) = (store.to_str().unwrap(), log.to_str().unwrap());
    let listed = json_of(&command(&[
        "keys", "list", "--json", "--usage", log, "--store", store,
    ]));
    assert!(listed["keys"][0]["lastUsed"].is_string(), "{listed}");
    let id = &house.keys[SUPPORT][10..20];
    let arguments = [
        "keys", "retire", "--key", id, "--usage", log, "--store", store,
    ];
    assert_eq!(code(&command(&arguments)), Some(1));
}

#[tokio::test]
async fn a_misuse_is_told_apart_from_a_failure_and_echoes_no_key() {
    let house = House::start().await;
    let key = house.keys[SUPPORT].clone();
    let store = house.file("keys.json");
    let store = store.to_str().unwrap();
    for (arguments, status, says) in [
        (
            &["new", "--client", "a", "--env", "PROD"][..],
            64,
            "2 to 8 letters",
        ),
        (
            &["new", "--client", "a", "--expires", "99999999d"],
            64,
            "too far away",
        ),
        (&["new"], 64, "--client"),
        (&["retire", "--key", &key], 64, "10 characters"),
        (&["retire", "--key", "AAAAAAAAAA"], 1, "keys list"),
        (
            &["rotate", "--client", "nobody"],
            1,
            "keys new --client nobody",
        ),
    ] {
        let line = [&["keys"], arguments, &["--store", store]].concat();
        let output = command(&line);
        let said = text(&output.stderr);
        assert_eq!(code(&output), Some(status), "{said}");
        assert!(said.contains(says) && !said.contains(&key), "{said}");
    }
    for store in ["env:KEYS", "aws:", "aws:keys#field", ""] {
        let output = command(&["keys", "list", "--store", store]);
        assert_eq!(code(&output), Some(64), "{store}");
    }
}

#[tokio::test]
async fn a_core_dump_would_hold_no_memory() {
    let house = House::start().await;
    let filter = format!("/proc/{}/coredump_filter", house.pid());
    assert_eq!(std::fs::read_to_string(filter).unwrap().trim(), "00000000");
}
