//! The head of the log in a second place: its end cannot be cut off unnoticed.

use std::{fs, path::PathBuf};

use serde_json::{Value, json};

use crate::{
    house::{House, REPORTING, SUPPORT, Setup, command, eventually},
    log::{audit, lines, said, stop, to_file},
};

/// A house that keeps its head in the folder of its configuration.
fn with_head(setup: &mut Setup) {
    to_file(setup);
    setup.set("audit.heads", ".");
    setup.set("audit.instance", "one");
}

fn head(house: &House) -> PathBuf {
    house.file("one.head")
}

fn hash_in(head: &PathBuf) -> Value {
    let text = fs::read_to_string(head).unwrap();
    serde_json::from_str::<Value>(&text).unwrap()["hash"].clone()
}

#[tokio::test]
async fn a_tail_that_was_cut_off_is_found_by_whoever_kept_the_head() {
    let mut house = House::with(with_head).await;
    house.agent(SUPPORT).tools().await;
    for _ in 0..3 {
        house
            .agent(REPORTING)
            .call("get_deal_summary", json!({}))
            .await
            .content();
    }
    house.crash();
    let head = head(&house);
    let kept = head.to_str().unwrap();
    let verify = |more: &[&str]| audit(&[&["verify", "--open"], more].concat(), &house);
    let whole = verify(&["--head", kept]);
    assert_eq!(whole.status.code(), Some(0), "{}", said(&whole));
    assert!(
        said(&whole).contains("PROVEN  the log reaches every head"),
        "{}",
        said(&whole)
    );
    let hash = hash_in(&head).as_str().unwrap().to_owned();
    assert!(
        said(&whole).contains(&format!("head {hash}")),
        "{}",
        said(&whole)
    );
    let log = house.file("audit.jsonl");
    let text = fs::read_to_string(&log).unwrap();
    let all: Vec<&str> = text.lines().collect();
    fs::write(&log, all[..all.len() - 2].join("\n") + "\n").unwrap();
    let blind = verify(&[]);
    assert_eq!(
        blind.status.code(),
        Some(0),
        "nothing else shows it: {}",
        said(&blind)
    );
    for more in [["--head", kept], ["--expect-head", &hash]] {
        let cut = verify(&more);
        assert_eq!(cut.status.code(), Some(1), "{}", said(&cut));
        let place = format!("audit.jsonl:{}: the log does not reach", all.len() - 2);
        assert!(said(&cut).contains(&place), "{}", said(&cut));
    }
}

#[tokio::test]
async fn the_head_is_the_last_line_of_the_log_at_every_end() {
    let mut house = House::with(with_head).await;
    house.agent(SUPPORT).tools().await;
    house.event_in_the_file("auth_success").await;
    for _ in 0..2 {
        stop(&mut house).await;
        let last = lines(&house).pop().unwrap();
        assert_eq!(last["event"], "log_close");
        assert_eq!(hash_in(&head(&house)), last["hash"]);
        house.start_again().await;
    }
}

impl House {
    /// Waits for a line of the log in its file.
    async fn event_in_the_file(&self, name: &str) {
        eventually(name, || {
            let mut lines = lines(self).into_iter();
            lines.find(|line| line["event"] == name)
        })
        .await;
    }
}

#[tokio::test]
async fn what_is_no_head_and_no_folder_for_heads_is_refused() {
    let mut house = House::with(to_file).await;
    let nowhere = house.command_with(&["check"], |setup| {
        setup.set("audit.heads", "no-such-folder");
    });
    assert_eq!(nowhere.status.code(), Some(64), "{}", said(&nowhere));
    assert!(
        said(&nowhere).contains("audit.heads: cannot write to"),
        "{}",
        said(&nowhere)
    );
    stop(&mut house).await;
    let config = house.file("zoho-mcp.toml");
    for wrong in [
        ["--head", config.to_str().unwrap()],
        ["--head", "no-such-file"],
        ["--expect-head", "abc"],
    ] {
        let log = house.file("audit.jsonl");
        let verify = ["audit", "verify", wrong[0], wrong[1], log.to_str().unwrap()];
        let refused = command(&verify);
        assert_eq!(refused.status.code(), Some(64), "{}", said(&refused));
        assert!(said(&refused).contains(wrong[0]), "{}", said(&refused));
    }
}
