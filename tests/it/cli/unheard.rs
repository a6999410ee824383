//! Commands whose reader has gone, as in `zoho-mcp check … | head -1`.

use crate::{
    house::{House, SUPPORT, command},
    log::{lines, pseudonymous, said, stop},
    process::unheard,
    redis::Redis,
};

/// One of each command that ends by itself and makes nothing.
fn commands(house: &House) -> Vec<Vec<String>> {
    let path = |name: &str| house.file(name).display().to_string();
    let execution = lines(house)
        .iter()
        .find_map(|line| line["executionId"].as_str().map(str::to_owned));
    let (config, log, made) = (path("zoho-mcp.toml"), path("audit.jsonl"), path("made"));
    let (execution, key) = (execution.unwrap(), format!("file:{}", path("pseudonyms")));
    let commands: [&[&str]; 13] = [
        &["--help"],
        &["check", "--config", &config],
        &["check", "--config", "/nonexistent/mine.toml"],
        &["healthcheck", "--url", "http://127.0.0.1:1/"],
        &["keys", "list", "--store", &made],
        &["keys", "list", "--store", &made, "--json"],
        &["keys", "retire", "--key", "0", "--store", &made],
        &["limits", "show", "--config", &config],
        &["limits", "show", "--config", &config, "--json"],
        &["audit", "verify", &log],
        &["audit", "story", "--client", SUPPORT, &log],
        &["audit", "explain", "--execution", &execution, &log],
        &[
            "audit",
            "search",
            "--value",
            "Popper",
            "--pseudonym-key",
            &key,
            &log,
        ],
    ];
    let owned = |command: &&[&str]| command.iter().map(|&text| text.to_owned()).collect();
    commands.iter().map(owned).collect()
}

fn words(command: &[String]) -> Vec<&str> {
    command.iter().map(String::as_str).collect()
}

#[tokio::test]
async fn a_reader_who_has_gone_changes_no_exit_code_and_hears_of_no_panic() {
    let redis = Redis::start();
    let mut house = House::with(|setup| {
        pseudonymous(setup);
        setup.set("redis.url", &redis.url());
    })
    .await;
    house.agent(SUPPORT).search("Popper").await.content();
    stop(&mut house).await;
    let made = house.file("made").display().to_string();
    let new = ["keys", "new", "--client", "c", "--store", &made];
    assert_eq!(command(&new).status.code(), Some(0));
    for what in commands(&house) {
        let normal = command(&words(&what));
        assert!(
            !normal.stdout.is_empty() || !normal.status.success(),
            "{what:?}"
        );
        let unread = unheard(&words(&what), false);
        let told = said(&unread);
        assert_eq!(
            unread.status.code(),
            normal.status.code(),
            "{what:?}: {told}"
        );
        let is_quiet = !told.contains("panicked") && !told.contains("Broken pipe");
        assert!(is_quiet, "{what:?}: {told}");
        let silent = unheard(&words(&what), true);
        assert_eq!(silent.status.code(), normal.status.code(), "{what:?}");
    }
    let lost = unheard(&new, false);
    assert_eq!(lost.status.code(), Some(1));
    assert!(
        said(&lost).contains("stored but not printed: retire it"),
        "{}",
        said(&lost)
    );
}

#[tokio::test]
async fn half_a_pair_of_keys_is_not_kept_where_the_other_half_was_not_printed() {
    let house = House::start().await;
    let out = house.file("audit-key.pem");
    let keygen = ["audit", "keygen", "--out", out.to_str().unwrap()];
    let gone = unheard(&keygen, false);
    let full = house.shell("zoho-mcp audit keygen --out audit-key.pem >/dev/full", &[]);
    for lost in [gone, full.await] {
        assert_eq!(lost.status.code(), Some(1), "{}", said(&lost));
        assert!(
            said(&lost).contains("cannot print the public key"),
            "{}",
            said(&lost)
        );
        assert!(!out.exists());
    }
    assert_eq!(
        command(&keygen).status.code(),
        Some(0),
        "nothing is in its way"
    );
    assert!(out.exists());
}
