//! The manifests: built by kustomize, valid by Kubernetes's own schemas, without a finding of
//! checkov, and in step with the daemon.

use std::process::Command;

use serde_json::{Value, json};

use crate::tools::{Folder, checkov, is_content, passes, read, run, secrets, text, tool};

const OVERLAY: &str = "deploy/kubernetes/overlays/production";

/// Everything that `kubectl apply -k` would send.
fn manifests() -> String {
    passes(Command::new("kubectl").args(["kustomize", OVERLAY]))
}

#[test]
fn the_manifests_are_valid() {
    let folder = Folder::new();
    let built = folder.write("built.yaml", &manifests());
    for version in ["1.31", "1.33", "1.35"] {
        passes(
            tool("kubernetes-validate")
                .args(["-k", version, "--strict"])
                .arg(&built),
        );
    }
}

#[test]
fn a_word_that_kubernetes_does_not_know_would_be_found() {
    let folder = Folder::new();
    let wrong = manifests().replace("readOnlyRootFilesystem", "readOnlyRootFileSystem");
    let built = folder.write("built.yaml", &wrong);
    let ended = run(tool("kubernetes-validate")
        .args(["-k", "1.33", "--strict"])
        .arg(&built));
    assert!(!ended.status.success(), "{}", text(&ended.stdout));
}

#[test]
fn checkov_finds_nothing() {
    let folder = Folder::new();
    let built = folder.write("built.yaml", &manifests());
    let mut checkov = checkov("kubernetes");
    checkov.arg("-f");
    passes(checkov.arg(&built));
}

#[test]
fn the_daemon_is_content_with_its_configuration() {
    let folder = Folder::new();
    let config = read(&format!("{OVERLAY}/zoho-mcp.toml"));
    let config = folder.write("config/zoho-mcp.toml", &config);
    secrets(&folder, "secrets");
    is_content(&config);
}

#[test]
fn the_grace_period_is_longer_than_the_end_takes() {
    let config = read(&format!("{OVERLAY}/zoho-mcp.toml"));
    let seconds = |key: &str| -> u32 {
        let (_, rest) = config.split_once(&format!("{key} = \"")).expect(key);
        rest.split_once("s\"").unwrap().0.parse().unwrap()
    };
    let built = manifests();
    let (_, rest) = built.split_once("terminationGracePeriodSeconds: ").unwrap();
    let grace: u32 = rest.lines().next().unwrap().parse().unwrap();
    assert!(seconds("drain_delay") + seconds("drain_timeout") + 5 <= grace);
}

/// The same, as values.
fn objects() -> Vec<Value> {
    let folder = Folder::new();
    let built = folder.write("built.yaml", &manifests());
    let read =
        "import json, sys, yaml; print(json.dumps(list(yaml.safe_load_all(open(sys.argv[1])))))";
    let json = passes(tool("python").args(["-c", read]).arg(built));
    serde_json::from_str(&json).unwrap()
}

fn spec(kind: &str) -> Value {
    let objects = objects().into_iter();
    let mut of_kind = objects.filter(|object| object.get("kind") == Some(&json!(kind)));
    let object = of_kind.next().expect(kind);
    object.get("spec").expect(kind).clone()
}

#[test]
fn what_is_meant_for_the_daemon_s_pods_is_for_them_and_no_others() {
    let labels = json!({ "app.kubernetes.io/name": "zoho-mcp" });
    let pods = json!({ "matchLabels": labels });
    assert_eq!(spec("Deployment")["template"]["metadata"]["labels"], labels);
    assert_eq!(spec("Deployment")["selector"], pods);
    assert_eq!(spec("Service")["selector"], labels);
    assert_eq!(spec("PodDisruptionBudget")["selector"], pods);
    assert_eq!(spec("NetworkPolicy")["podSelector"], pods);
}

#[test]
fn the_network_policy_lets_the_daemon_reach_the_pods_of_others() {
    let policy = spec("NetworkPolicy");
    let reached = |labels: Value| {
        let rules = policy["egress"].as_array().unwrap().iter();
        let mut peers = rules.flat_map(|rule| rule["to"].as_array().unwrap());
        peers.any(|peer| peer["podSelector"]["matchLabels"] == labels)
    };
    assert!(reached(json!({ "k8s-app": "kube-dns" })), "{policy}");
    let redis = json!({ "app.kubernetes.io/name": "redis" });
    assert!(reached(redis), "{policy}");
}
