//! How an operator comes to an installation, as the first page of the runbooks has it: with a
//! `systemctl`, a `kubectl` and an `aws` that answer in the form in which these do.

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

use crate::{
    house::{House, REPORTING, SUPPORT, Setup},
    redis::Redis,
    runbook::Runbook,
};

const TOOLS: [(&str, &str); 3] = [
    ("systemctl", include_str!("installations/systemctl")),
    ("kubectl", include_str!("installations/kubectl")),
    ("aws", include_str!("installations/aws")),
];

/// A daemon as in a container: standard output and standard error go to one place.
async fn in_a_container(redis: &Redis) -> House {
    let house = House::with(|setup: &mut Setup| {
        setup
            .set("redis.url", &redis.url())
            .set("redis.timeout", "2s");
    })
    .await;
    let search = json!({ "name": "Giulia" });
    let support = house.agent(SUPPORT);
    for _ in 0..6 {
        support
            .call("search_contacts", search.clone())
            .await
            .content();
    }
    house.agent(REPORTING).tools().await;
    let operational = house.operational_log();
    assert!(!operational.is_empty());
    let both = format!("{operational}{}\n", house.audit_text().join("\n"));
    fs::write(house.file("container.log"), both).unwrap();
    for (name, script) in TOOLS {
        let tool = house.file(&format!("tools/{name}"));
        fs::create_dir_all(tool.parent().unwrap()).unwrap();
        fs::write(&tool, script).unwrap();
        fs::set_permissions(&tool, fs::Permissions::from_mode(0o755)).unwrap();
    }
    house
}

/// Runs what the page says of an installation; what was printed.
async fn come_to(installation: &str, book: &mut Runbook, house: &House) -> String {
    let said = book.step(installation, house).await;
    if installation != "One machine" {
        let fetched = fs::read_to_string(house.file("audit.jsonl")).unwrap();
        let written = house.audit_text().join("\n");
        assert!(written.starts_with(fetched.trim_end()), "{fetched}");
        assert!(fetched.lines().count() > 10, "{fetched}");
        assert!(said.contains("PROVEN  no line was changed"), "{said}");
        assert!(said.contains("reporting-agent"), "{said}");
    }
    said
}

#[tokio::test]
async fn the_runbooks_can_be_followed_on_each_installation() {
    let redis = Redis::start();
    let house = in_a_container(&redis).await;
    let (keys, zoho) = (read(&house, "keys.json"), read(&house, "zoho.json"));
    let secret = json!({
        "apiVersion": "v1", "kind": "Secret", "type": "Opaque",
        "metadata": { "name": "zoho-mcp", "namespace": "zoho-mcp", "resourceVersion": "7" },
        "data": { "keys.json": STANDARD.encode(&keys), "other": STANDARD.encode("o") },
    });
    fs::write(house.file("secret.json"), secret.to_string()).unwrap();
    fs::create_dir_all(house.file("secrets/zoho-mcp")).unwrap();
    fs::write(house.file("secrets/zoho-mcp/zoho"), &zoho).unwrap();

    let mut book = Runbook::open("README").with("cd /etc/zoho-mcp\n", "");
    come_to("One machine", &mut book, &house).await;
    assert!(read(&house, ".remembered").contains("PID=\"4242\""));
    come_to("Kubernetes", &mut book, &house).await;
    assert_eq!(read(&house, "keys.json"), keys);
    let replaced: Value = serde_json::from_str(&read(&house, "secret.json")).unwrap();
    assert_eq!(replaced["metadata"]["resourceVersion"], "8");
    assert_eq!(replaced["data"], secret["data"]);
    come_to("AWS", &mut book, &house).await;
    assert_eq!(read(&house, "zoho.json"), zoho);
    assert_eq!(read(&house, "secrets/zoho-mcp/zoho"), zoho);
    book.done();
}

#[tokio::test]
async fn what_somebody_else_has_changed_meanwhile_is_not_overwritten() {
    let redis = Redis::start();
    let house = in_a_container(&redis).await;
    let secret = json!({
        "kind": "Secret", "metadata": { "name": "zoho-mcp", "resourceVersion": "7" },
        "data": {
            "keys.json": STANDARD.encode(read(&house, "keys.json")),
            "zoho.json": STANDARD.encode(read(&house, "zoho.json")),
        },
    });
    fs::write(house.file("secret.json"), secret.to_string()).unwrap();
    fs::create_dir_all(house.file("secrets/zoho-mcp")).unwrap();
    fs::write(
        house.file("secrets/zoho-mcp/zoho"),
        read(&house, "zoho.json"),
    )
    .unwrap();
    // A look at another file meanwhile makes no difference.
    let cluster = "take keys.json\n\
        jq '.metadata.resourceVersion = \"8\" | .data.other = \"bmV3\"' secret.json > new.json\n\
        mv new.json secret.json\ntake zoho.json\nif put keys.json; then exit 9; fi\n";
    let cloud = "take zoho.json\necho 2 > secrets/zoho-mcp/zoho.version\n\
        echo new > secrets/zoho-mcp/zoho\nif put zoho.json; then exit 9; fi\n";
    let mut book = Runbook::open("README")
        .with("cd /etc/zoho-mcp\n", "")
        .with("take keys.json\nput keys.json", cluster)
        .with("take zoho.json\nput zoho.json", cloud);
    come_to("One machine", &mut book, &house).await;
    come_to("Kubernetes", &mut book, &house).await;
    let kept: Value = serde_json::from_str(&read(&house, "secret.json")).unwrap();
    assert_eq!(kept["data"]["other"], "bmV3", "{kept}");
    come_to("AWS", &mut book, &house).await;
    assert_eq!(read(&house, "secrets/zoho-mcp/zoho"), "new\n");
}

#[test]
fn the_templates_say_what_the_runbooks_ask_them() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = fs::read_to_string(root.join("docs/runbooks/README.md")).unwrap();
    let asked: Vec<&str> = page
        .split("$(output ")
        .skip(1)
        .filter_map(|rest| rest.split(')').next())
        .collect();
    assert_eq!(asked.len(), 3, "{asked:?}");
    for template in ["fargate", "single"] {
        let template =
            fs::read_to_string(root.join(format!("deploy/aws/{template}.yaml"))).unwrap();
        let (_, outputs) = template.split_once("\nOutputs:\n").unwrap();
        for output in &asked {
            assert!(outputs.contains(&format!("  {output}:\n")), "{output}");
        }
    }
}

fn read(house: &House, name: &str) -> String {
    fs::read_to_string(house.file(name)).unwrap()
}
